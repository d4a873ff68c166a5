"""What does a model server call? One method per kind of event; none of them waits, and none of them raises."""

import re
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from types import MappingProxyType, TracebackType
from typing import Any, Self

from confluent_kafka import KafkaException, Producer

from streams.client.channel import Channel, Counts, Limits
from streams.client.events import Writer, new_id
from streams.client.exposition import show
from streams.client.strictness import defect
from streams.errors import InvalidEvent, UsageError
from streams.topics import MAX_MESSAGE_BYTES, Names

__all__ = ["Emitter", "Timed"]

_MODEL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}").fullmatch
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}").fullmatch
_KINDS = ("predictions", "features", "labels")
_NOTHING: Mapping[str, Any] = MappingProxyType({})
_LIMITS = Limits()


class Emitter:
    """Sends the events of one model to Kafka, beside whatever else the process does.

    Parameters
    ----------
    brokers
        Kafka's addresses, ``"host:9092,other:9092"``.
    model_id, model_version
        Whose events they are. A call may name another version, of a canary for one.
    topics
        Where ``predictions``, ``features`` and ``labels`` go, if not to ``leeway.predictions`` and so on.
    limits
        How much may wait, and how long.
    kafka
        More properties of librdkafka: ``security.protocol``, ``sasl.*``, ``partitioner``.
    strict
        In tests and development: whatever would be refused, or lose a field, raises `InvalidEvent` at once.
    registry
        A `prometheus_client.CollectorRegistry` that shall show the counts.
    producer
        Makes Kafka's client of its properties: something else in tests that have no Kafka.

    Raises
    ------
    UsageError
        A name or a property is wrong. Only here: an address nobody answers at is no error.

    Notes
    -----
    Make one per process and model, at its start, and keep it. Thread-safe; to be used from asyncio as it is. After a
    fork every process makes its own client at its first event; the fork itself waits, at most half a second, for one
    that is about to connect. A call takes some ten microseconds; while no broker answers, events wait up to `limits`,
    then each new one is lost and counted.

    Examples
    --------
    >>> emitter = Emitter("localhost:9092", model_id="loan-default", model_version="2.3.1", strict=True)
    >>> emitter.prediction({"annual_income": 41_200}, timestamp=1772434693)
    Traceback (most recent call last):
    streams.errors.InvalidEvent: timestamp_unit: looks like seconds: give milliseconds
    """

    def __init__(
        self,
        brokers: str,
        *,
        model_id: str,
        model_version: str | None = None,
        topics: Mapping[str, str] = _NOTHING,
        limits: Limits = _LIMITS,
        kafka: Mapping[str, Any] = _NOTHING,
        strict: bool = False,
        registry: Any = None,
        producer: Callable[[dict[str, Any]], Any] = Producer,
    ) -> None:
        if not _MODEL_ID(model_id):
            raise UsageError("model_id: expected letters, digits, . _ -, at most 100")
        if model_version is not None and not _VERSION(model_version):
            raise UsageError("model_version: expected letters, digits, . _ + -, at most 64")
        if wrong := sorted(set(topics) - set(_KINDS)):
            raise UsageError(f"topics: {wrong[0]} is none of {', '.join(_KINDS)}")
        self.model_id = model_id
        names = Names()
        self._topics = {kind: topics.get(kind, names(kind)) for kind in _KINDS}
        properties = _properties(brokers, limits, kafka)
        try:
            producer(dict(properties))  # nothing stays of it: a process may fork afterwards
        except KafkaException as failure:
            raise UsageError(f"kafka: {failure.args[0].str()}") from None
        self._channel = Channel(properties, limits, producer)
        self._strict = strict
        ahead_ms = limits.ahead // timedelta(milliseconds=1)
        self._writer = Writer(model_id, model_version, ahead_ms, self._odd)
        if registry is not None:
            show(self, registry)

    # ---- what a server calls

    def prediction(
        self,
        features: Any = None,
        *,
        prediction: object = None,
        score: object = None,
        scores: object = None,
        latency_ms: object = None,
        status: object = None,
        tags: object = None,
        event_id: object = None,
        timestamp: object = None,
        feature_timestamp: object = None,
        model_version: object = None,
    ) -> str:
        """Send a prediction: never waits, never raises.

        Parameters
        ----------
        features
            A mapping of names to values, or a row of pandas. Read before the call returns.
        prediction, score, scores, latency_ms, status, tags, feature_timestamp
            As contracts and docs/messages.md have them; None is left out.
        event_id
            What its label will name: text, a whole number, or a UUID. None: one is made.
        timestamp
            When it was predicted (`to_ms`). None: now.

        Returns
        -------
        str
            The event's id, for the label.
        """
        now_ns = time.time_ns()
        made = new_id(now_ns)
        try:
            if event_id is not None:
                given = self._writer.id_of(event_id)
                if given is None:
                    self._odd("event_id")
                else:
                    made = given
            fields = {
                "timestamp": timestamp,
                "features": features,
                "prediction": prediction,
                "score": score,
                "scores": scores,
                "latency_ms": latency_ms,
                "status": status,
                "tags": tags,
                "feature_timestamp": feature_timestamp,
                "model_version": model_version,
            }
            self._send("predictions", self._writer.prediction(made, fields, now_ns), made)
        except Exception as failure:  # noqa: BLE001 # a request must not fail because it is watched
            self._refuse(failure)
        return made

    def feature(
        self,
        features: Any,
        *,
        entity_id: object = None,
        tags: object = None,
        timestamp: object = None,
        feature_timestamp: object = None,
        model_version: object = None,
    ) -> None:
        """Send features that were computed apart from any prediction: never waits, never raises.

        `entity_id`, whose features they are, is the record's key.
        """
        now_ns = time.time_ns()
        try:
            entity = None if entity_id is None else self._writer.id_of(entity_id)
            fields = {
                "timestamp": timestamp,
                "entity_id": entity,
                "features": features,
                "tags": tags,
                "feature_timestamp": feature_timestamp,
                "model_version": model_version,
            }
            self._send("features", self._writer.feature(fields, now_ns), entity)
        except Exception as failure:  # noqa: BLE001 # as above
            self._refuse(failure)

    def label(
        self,
        event_id: object = None,
        label: object = None,
        *,
        loss: object = None,
        prediction: object = None,
        score: object = None,
        prediction_timestamp: object = None,
        label_confidence: object = None,
        features: object = None,
        tags: object = None,
        timestamp: object = None,
        model_version: object = None,
    ) -> None:
        """Send a truth, or a loss instead of one: never waits, never raises.

        By the `event_id` of its prediction the joiner finds the rest. With `prediction` or `score`, or a `loss`, it is
        self-contained and needs no joiner.
        """
        now_ns = time.time_ns()
        try:
            of = None if event_id is None else self._writer.id_of(event_id)
            if of is None and event_id is not None:
                self._odd("event_id")
            fields = {
                "timestamp": timestamp,
                "label": label,
                "loss": loss,
                "prediction": prediction,
                "score": score,
                "prediction_timestamp": prediction_timestamp,
                "label_confidence": label_confidence,
                "features": features,
                "tags": tags,
                "model_version": model_version,
            }
            self._send("labels", self._writer.label(of, fields, now_ns), of)
        except Exception as failure:  # noqa: BLE001 # as above
            self._refuse(failure)

    def timed(self, features: Any = None, **known: Any) -> "Timed":
        """Around a call of the model: sends the prediction with its latency, and a failure as one.

        Examples
        --------
        ::

            with emitter.timed(features) as seen:
                seen.prediction = model.predict(features)
            return seen.prediction, seen.event_id
        """
        return Timed(self, features, known)

    # ---- and whoever looks after it

    @property
    def counts(self) -> Counts:
        """What became of the events of this process so far."""
        return self._channel.counts

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until nothing waits any more, at most `timeout` seconds. Returns whether nothing does."""
        return self._channel.flush(timeout)

    def close(self, timeout: float = 10.0) -> None:
        """Send what waits, at most for `timeout` seconds. The rest is lost, and so is what comes later: both counted.

        At the end of a process this happens by itself, for at most `limits.at_exit`.
        """
        self._channel.close(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ----

    def _send(self, kind: str, value: bytes, key: str | None) -> None:
        if self._strict and (found := defect(value)):
            raise InvalidEvent(*found)
        self._channel.put(self._topics[kind], value, key)

    def _odd(self, reason: str) -> None:
        if self._strict:
            raise InvalidEvent(reason, "Leeway could not use that field")
        self._channel.fields.add(reason)

    def _refuse(self, failure: Exception) -> None:
        if isinstance(failure, InvalidEvent):
            large = failure.reason == "too_large"
            self._channel.refused.add(failure.reason if large else f"invalid:{failure.reason}")
        else:
            self._channel.refused.add("error")
        if self._strict:
            raise failure


class Timed:
    """A prediction in the making: set what becomes known; at the end of the block it is sent."""

    __slots__ = (
        *("_began_s", "_emitter", "_known", "event_id", "features"),
        *("prediction", "score", "scores", "status", "tags"),
    )

    def __init__(self, emitter: Emitter, features: Any, known: Mapping[str, Any]) -> None:
        self._emitter, self._known, self._began_s = emitter, dict(known), 0.0
        self.features = features
        self.event_id = str(self._known.pop("event_id", None) or new_id(time.time_ns()))
        self.prediction: object = self._known.pop("prediction", None)
        self.score: object = self._known.pop("score", None)
        self.scores: object = self._known.pop("scores", None)
        self.status: object = self._known.pop("status", None)
        self.tags: object = self._known.pop("tags", None)

    def __enter__(self) -> Self:
        self._began_s = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        latency_ms = round((time.perf_counter() - self._began_s) * 1000, 3)
        if kind is not None:
            # who cancels a task, does not want to wait for it any longer
            if issubclass(kind, TimeoutError) or kind.__name__ == "CancelledError":
                self.status = "timeout"
            elif issubclass(kind, Exception):
                self.status = "error"
            else:
                return  # the process ends
        self._emitter.prediction(
            self.features,
            prediction=self.prediction,
            score=self.score,
            scores=self.scores,
            status=self.status,
            tags=self.tags,
            event_id=self.event_id,
            latency_ms=latency_ms,
            **self._known,
        )


def _properties(brokers: str, limits: Limits, kafka: Mapping[str, Any]) -> dict[str, Any]:
    """What librdkafka is told. Whoever gives properties of their own knows why, except where counts depend on it."""
    return {
        "bootstrap.servers": brokers,
        "compression.type": "lz4",
        "linger.ms": limits.linger / timedelta(milliseconds=1),
        "log_level": 0,  # what matters of it, our own line says
        "message.timeout.ms": int(limits.patience / timedelta(milliseconds=1)),
        "partitioner": "consistent_random",  # CRC-32 of the key, for predictions and labels alike
        **kafka,
        "delivery.report.only.error": True,
        "enable.idempotence": True,
        "message.max.bytes": MAX_MESSAGE_BYTES,
        "queue.buffering.max.kbytes": max(1, limits.bytes // 1024),
        "queue.buffering.max.messages": limits.events,
    }
