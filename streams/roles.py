"""What is one role as a process? A stage, its Kafka and its metrics, until somebody says stop.

`leeway run --role` calls these. The wiring of each role is here and nowhere else: which topics it shares with its
group, what it follows, where its state is, how often it commits.
"""

import gc
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from streams import logs
from streams.broker import Stage
from streams.counting import Joining, Judging, Profiling
from streams.errors import BrokerError, UsageError
from streams.formats.unpacking import Unpacking
from streams.joining.joiner import Joiner
from streams.joining.pairs import Pair, check_partitions, pairs, together
from streams.joining.rocks import Memory, RocksStore
from streams.judging.judge import Judge
from streams.kafka.admin import cluster_id, topic_partitions
from streams.kafka.broker import KafkaBroker
from streams.kafka.commands import past
from streams.kafka.schema_registry import Leaving, SchemaRegistry
from streams.lifecycle import Lifecycle
from streams.loop import Observer, run
from streams.metrics import HEARTBEAT, SCHEMAS, Meter
from streams.offline.sources import source_topics
from streams.profiling.profiler import Profiler
from streams.registry import Registry
from streams.routing import Routing
from streams.topics import Names

__all__ = ["Process", "collect_rarely", "joiner", "judge", "profiler", "side_by_side", "waiting"]

_LOOK_AGAIN_S = 5.0  # for topics that are not there yet
_WAIT_S = 0.5
_PROFILER_BATCH = (
    1_000  # what is made of them fits the cache; 10,000 cost a fifth more CPU per event
)
_PROFILER_COMMIT_S = 1.0
_JUDGE_COMMIT_S = 1.0
_JOINER_COMMIT_S = 1.0
JOINER_BATCH = 2_000  # looked up together
_AHEAD_KIB = "16384"  # of each process, in the client


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
    registry: Mapping[str, str] = field(default_factory=dict)  # settings of a schema registry

    def group(self, role: str) -> str:
        return f"{self.names.prefix}{role}"

    def waits(self, seconds: float) -> None:
        """There is nothing to do yet; it is alive all the same."""
        self.meter.set(HEARTBEAT, time.time())
        threading.Event().wait(seconds)

    def unpacking(self) -> Unpacking:
        """What makes JSON of what producers send; it keeps what it learned of schemas."""

        def told(outcome: str) -> None:
            self.meter.count(SCHEMAS, 1, outcome)

        return Unpacking(SchemaRegistry(self.registry, stopped=self.stopped, told=told))


def profiler(process: Process) -> None:
    """Profile every topic that a registered lifecycle reads; take up new ones as they are registered."""
    unpack = process.unpacking()
    reported: tuple[str, ...] = ()
    while not process.stopped():
        there = topic_partitions(process.properties)
        wanted = _wanted(process)
        lacking = reported = _lacking(wanted, there, reported)
        topics = [topic for topic in wanted if topic in there]
        if not topics:
            process.waits(_WAIT_S)
            continue
        broker = KafkaBroker(process.properties, process.group("profiler"), process.instance)
        partitions = broker.partition_count(process.names("profiles"))
        stage = Profiler(process.names, partitions, broker.partition_count, unpack)
        stale = _Stale(process, stage, wanted, lacking)
        _work(
            process,
            broker,
            stage,
            topics,
            stale,
            commit_every_s=_PROFILER_COMMIT_S,
            limit=_PROFILER_BATCH,
            observe=Profiling(process.meter, stage),
        )


def collect_rarely() -> None:
    """Look for cycles of garbage only after a million more objects than before. A joiner holds tens of thousands of
    tuples and makes no cycles; looking through them again and again took a quarter of its time."""
    gc.set_threshold(1_000_000, 10, 10)


def joiner(process: Process, directory: Path, memory_bytes: int) -> None:
    """Join the labels of every registered lifecycle that asks for it with their predictions.

    Parameters
    ----------
    directory : where predictions wait for their labels; what is in it can be made anew
    memory_bytes : for all stores together
    """
    collect_rarely()
    unpack = process.unpacking()
    memory = Memory(memory_bytes)
    place = directory / cluster_id(process.properties)
    place /= f"{process.group('joiner')}.{process.instance}"
    reported: tuple[str, ...] = ()
    started = False
    while not process.stopped():
        joined = pairs(_lifecycles(process), process.names)
        wanted = tuple(sorted({t for pair in joined for t in (pair.predictions, pair.labels)}))
        there = topic_partitions(process.properties) if wanted else {}
        lacking = reported = _lacking(wanted, there, reported)
        topics = _joinable(joined, there, strict=not started)
        started = True
        if not topics:
            process.waits(_WAIT_S if wanted else _LOOK_AGAIN_S / 2)
            continue
        properties = waiting(process.properties)
        broker = KafkaBroker(properties, process.group("joiner"), process.instance)
        stage = Joiner(
            process.names,
            lambda lane: RocksStore(place / lane, memory),
            broker.partition_count,
            unpack,
        )
        stale = _Stale(process, stage, wanted, lacking)
        _work(
            process,
            broker,
            stage,
            topics,
            stale,
            commit_every_s=_JOINER_COMMIT_S,
            limit=JOINER_BATCH,
            observe=Joining(process.meter, stage, place),
        )
        stage.close()


def _lacking(
    wanted: Sequence[str], there: Mapping[str, int], reported: tuple[str, ...]
) -> tuple[str, ...]:
    """Which wanted topics do not exist; said once, as long as they are those that were `reported`."""
    lacking = tuple(topic for topic in wanted if topic not in there)
    if lacking and lacking != reported:
        logs.warning("topics.missing", topics=",".join(lacking), next="waiting for them")
    return lacking


def _work(
    process: Process,
    broker: KafkaBroker,
    stage: Stage,
    topics: Sequence[str],
    stale: "_Stale",
    *,
    commit_every_s: float,
    limit: int,
    observe: Observer,
) -> None:
    """Run a stage until the process is to end, or what it reads is not what lifecycles want any more."""
    with suppress(Leaving):
        run(
            broker,
            stage,
            topics=topics,
            followed=[process.names("models")],
            commit_every_s=commit_every_s,
            limit=limit,
            stop=lambda: process.stopped() or stale(),
            observe=observe,
        )


def _joinable(joined: Sequence[Pair], there: Mapping[str, int], *, strict: bool) -> list[str]:
    """The topics that can be joined. A lifecycle that comes later and cannot be joined must not end the others."""
    topics: set[str] = set()
    for group in together(joined):
        of_group = {topic for pair in group for topic in (pair.predictions, pair.labels)}
        if not of_group <= there.keys():
            continue
        try:
            check_partitions(group, there.__getitem__)
        except UsageError as wrong:
            if strict:
                raise
            logs.error("labels.not_joined", reason=str(wrong))
            continue
        topics |= of_group
    return sorted(topics)


def side_by_side(properties: Mapping[str, str]) -> dict[str, str]:
    """A member gets the same partitions of all topics."""
    if properties.get("group.protocol") == "consumer":
        return {**properties, "group.remote.assignor": "range"}
    return {**properties, "partition.assignment.strategy": "range"}


def waiting(properties: Mapping[str, str]) -> dict[str, str]:
    """A joiner's way of reading: with less in memory, as what is fetched ahead of a partition that has to wait for
    another one is fetched again."""
    return {"queued.max.messages.kbytes": _AHEAD_KIB, **side_by_side(properties)}


def judge(process: Process, usual: Routing, mode: Literal["binary", "structured"]) -> None:
    """Judge what the profilers have counted, and do what people and pipelines ask for.

    Parameters
    ----------
    usual : who hears of alerts, until somebody says so on `leeway.models`
    mode : of the CloudEvents that it writes
    """
    properties = side_by_side(process.properties)
    broker = KafkaBroker(properties, process.group("judge"), process.instance)
    topics = [process.names("profiles"), process.names("commands")]
    partitions, beside = map(broker.partition_count, topics)
    if partitions != beside:
        raise UsageError(
            f"{topics[0]} has {partitions} partitions and {topics[1]} {beside}: a model's commands belong to the "
            "partition of its profiles, give both the same number"
        )
    stage = Judge(
        process.names,
        partitions,
        usual.receivers,
        usual.console,
        routing=usual.routing,
        runbook=usual.runbook,
        mode=mode,
    )
    run(
        broker,
        stage,
        topics=topics,
        followed=[process.names("models")],
        state_topic=process.names("state"),
        followed_to_end=True,
        commit_every_s=_JUDGE_COMMIT_S,
        stop=process.stopped,
        observe=Judging(process.meter, stage),
    )


def _wanted(process: Process) -> tuple[str, ...]:
    """The topics that registered lifecycles read, sorted."""
    found = {topic for one in _lifecycles(process) for topic in source_topics(one, process.names)}
    return tuple(sorted(found))


def _lifecycles(process: Process) -> list[Lifecycle]:
    """Those that are registered."""
    registry = Registry()
    for records in past(process.properties, [process.names("models")]):
        registry.apply(records)
    found = map(registry.get, registry.models)
    return [registered.lifecycle for registered in found if registered is not None]


class _Stale:
    """Whether the subscription no longer fits what is registered, or a missing topic has appeared."""

    def __init__(
        self,
        process: Process,
        stage: Profiler | Joiner,
        wanted: Sequence[str],
        lacking: Sequence[str],
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
