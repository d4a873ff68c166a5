"""What is one role as a process? A stage, its Kafka and its metrics, until somebody says stop.

`leeway run --role` calls these. The wiring of each role is here and nowhere else: which topics it shares with its
group, what it follows, where its state is, how often it commits.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from alerting.settings import Receiver
from streams import logs, metrics
from streams.broker import Polled
from streams.errors import BrokerError
from streams.judging.conclusions import Judged
from streams.judging.judge import Judge
from streams.kafka.admin import topic_partitions
from streams.kafka.broker import KafkaBroker
from streams.kafka.commands import past
from streams.loop import Observer, Outcome, run
from streams.metrics import Meter
from streams.offline.sources import source_topics
from streams.profiling.profiler import Profiler, Seen
from streams.registry import Registry
from streams.topics import Names

__all__ = ["Process", "judge", "profiler"]

_LOOK_AGAIN_S = 5.0  # for topics that are not there yet
_WAIT_S = 0.5
_PROFILER_BATCH = (
    1_000  # what is made of them fits the cache; 10,000 cost a fifth more CPU per event
)
_PROFILER_COMMIT_S = 1.0
_JUDGE_COMMIT_S = 1.0


@dataclass(frozen=True, slots=True)
class Process:
    """What every role is given.

    `instance` names it within its group, the same after a restart: it takes over what its former life left open.
    """

    properties: Mapping[str, str]
    names: Names
    instance: str
    meter: Meter
    stopped: Callable[[], bool]

    def group(self, role: str) -> str:
        return f"{self.names.prefix}{role}"


def profiler(process: Process) -> None:
    """Profile every topic that a registered lifecycle reads; take up new ones as they are registered."""
    never = threading.Event()
    reported: tuple[str, ...] = ()
    while not process.stopped():
        there = topic_partitions(process.properties)
        wanted = _wanted(process)
        lacking = tuple(topic for topic in wanted if topic not in there)
        if lacking and lacking != reported:
            logs.warning("topics.missing", topics=",".join(lacking), next="waiting for them")
        reported = lacking
        topics = [topic for topic in wanted if topic in there]
        if not topics:
            never.wait(_WAIT_S)
            continue
        broker = KafkaBroker(process.properties, process.group("profiler"), process.instance)
        partitions = broker.partition_count(process.names("profiles"))
        stage = Profiler(process.names, partitions, broker.partition_count)
        stale = _Stale(process, stage, wanted, lacking)
        run(
            broker,
            stage,
            topics=topics,
            followed=[process.names("models")],
            commit_every_s=_PROFILER_COMMIT_S,
            limit=_PROFILER_BATCH,
            stop=lambda stale=stale: process.stopped() or stale(),  # type: ignore[misc]
            observe=_Counting(process.meter, stage),
        )


def judge(process: Process, receivers: Sequence[Receiver], console: str | None) -> None:
    """Judge what the profilers have counted."""
    broker = KafkaBroker(process.properties, process.group("judge"), process.instance)
    partitions = broker.partition_count(process.names("profiles"))
    stage = Judge(process.names, partitions, receivers, console)
    run(
        broker,
        stage,
        topics=[process.names("profiles")],
        followed=[process.names("models")],
        state_topic=process.names("state"),
        followed_to_end=True,
        commit_every_s=_JUDGE_COMMIT_S,
        stop=process.stopped,
        observe=_Counting(process.meter, stage),
    )


def _wanted(process: Process) -> tuple[str, ...]:
    """The topics that registered lifecycles read, sorted."""
    registry = Registry()
    for records in past(process.properties, [process.names("models")]):
        registry.apply(records)
    found = {
        topic
        for model_id in registry.models
        if (registered := registry.get(model_id)) is not None
        for topic in source_topics(registered.lifecycle, process.names)
    }
    return tuple(sorted(found))


class _Stale:
    """Whether the subscription no longer fits what is registered, or a missing topic has appeared."""

    def __init__(
        self, process: Process, stage: Profiler, wanted: Sequence[str], lacking: Sequence[str]
    ) -> None:
        self._process, self._stage = process, stage
        self._wanted, self._lacking = tuple(wanted), tuple(lacking)
        self._due = time.monotonic() + _LOOK_AGAIN_S

    def __call__(self) -> bool:
        if self._stage.topics != self._wanted:
            return True
        if not self._lacking or time.monotonic() < self._due:
            return False
        self._due = time.monotonic() + _LOOK_AGAIN_S
        try:
            there = topic_partitions(self._process.properties)
        except BrokerError:
            return False  # the loop will say so itself, if it lasts
        return any(topic in there for topic in self._lacking)


class _Counting(Observer):
    """Counts what the loop and its stage did, for Prometheus."""

    def __init__(self, meter: Meter, stage: Profiler | Judge) -> None:
        self._meter, self._stage = meter, stage

    def polled(self, polled: Polled, seconds: float) -> None:
        self._meter.set(metrics.HEARTBEAT, time.time())
        if polled.batches:
            self._meter.observe(metrics.BATCH_DURATION, seconds)

    def committed(self, outcome: Outcome, records: int, seconds: float) -> None:
        self._meter.count(metrics.TRANSACTIONS, 1, outcome.value)
        self._meter.observe(metrics.TRANSACTION_DURATION, seconds)
        if isinstance(self._stage, Profiler):
            self._take_seen(self._stage)
        else:
            self._take_judged(self._stage)

    def _take_seen(self, stage: Profiler) -> None:
        seen, stage.seen = stage.seen, Seen()
        for topic, count in seen.events.items():
            self._meter.count(metrics.EVENTS, count, topic)
        for (topic, reason), count in seen.dead_letters.items():
            self._meter.count(metrics.EVENTS_INVALID, count, topic, reason)
        for (model, reason), count in seen.fields.items():
            self._meter.count(metrics.FIELDS_INVALID, count, model, reason)
        for reason, count in seen.skipped.items():
            self._meter.count(metrics.EVENTS_SKIPPED, count, reason)
        for (topic, number), highest_ms in seen.watermarks_ms.items():
            self._meter.set(metrics.WATERMARK, highest_ms / 1000, topic, str(number))

    def _take_judged(self, stage: Judge) -> None:
        judged, stage.judged = stage.judged, Judged()
        for model, count in judged.late.items():
            self._meter.count(metrics.EVENTS_LATE, count, model)
