"""What stands in for Kafka's client where a test is about producers: it keeps what it is given."""

import json
import threading
from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaError, KafkaException

from streams.client import Emitter


class Kept:
    """An in-memory twin of `confluent_kafka.Producer`: as much of it as an emitter uses."""

    def __init__(self, properties: dict[str, Any]) -> None:
        self.properties = properties
        self.records: list[tuple[str, bytes, str | None]] = []  # delivered
        self.waiting: list[tuple[str, bytes, str | None]] = []
        self.reachable = True
        self.refuses: KafkaError | None = None
        self._heard: Callable[[KafkaError | None, object], None] = properties.get(
            "on_delivery", lambda error, message: None
        )
        self._stirred = threading.Event()

    def produce(self, topic: str, value: bytes, key: str | None) -> None:
        if self.refuses is not None:
            raise KafkaException(self.refuses)
        if len(self.waiting) >= self.properties["queue.buffering.max.messages"]:
            raise BufferError
        (self.records if self.reachable else self.waiting).append((topic, value, key))

    def poll(self, timeout_s: float) -> None:
        self._stirred.wait(min(timeout_s, 0.01))

    def flush(self, timeout_s: float) -> int:
        if self.reachable:
            self.records += self.waiting
            self.waiting.clear()
        return len(self.waiting)

    def purge(self) -> None:
        while self.waiting:
            self._heard(KafkaError(KafkaError._PURGE_QUEUE), None)
            self.waiting.pop()  # not before it was heard, as librdkafka does

    def __len__(self) -> int:
        return len(self.waiting)


class Producers:
    """Makes such clients and remembers them: the first one only tries the properties."""

    def __init__(self) -> None:
        self.made: list[Kept] = []

    def __call__(self, properties: dict[str, Any]) -> Kept:
        self.made.append(Kept(properties))
        return self.made[-1]

    def emitter(self, **settings: Any) -> Emitter:
        """An emitter of model `m` on them."""
        given: dict[str, Any] = {
            "model_id": "m",
            "model_version": "1.0.0",
            "producer": self,
        } | settings
        return Emitter("nowhere:9092", **given)

    @property
    def records(self) -> list[tuple[str, bytes, str | None]]:
        """What was delivered, whoever did it."""
        return [record for one in self.made for record in one.records]

    @property
    def events(self) -> list[dict[str, Any]]:
        """The same, read."""
        return [json.loads(value) for _, value, _ in self.records]
