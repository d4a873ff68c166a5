"""What would Leeway have found in these events? The stages of production, over a log in memory.

Nothing here decides anything: events are written to the topics their producers would have used, joiner, profiler and
judge read them through the same loop as on Kafka, and what they wrote is handed back. The end of the source is a
silence that lasts for ever, so that the last windows are judged too.
"""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass

import msgspec

from alerting.settings import Receiver
from detectors.reference.build import Reference, to_document
from streams.broker import Outgoing, Record
from streams.commands import Command, command_record
from streams.errors import UsageError
from streams.joining.joiner import Joiner
from streams.joining.pairs import pairs
from streams.joining.store import MemoryStore
from streams.judging.judge import Judge
from streams.loop import drain
from streams.memory import MemoryBroker, MemoryLog
from streams.offline.sources import Source, source_topics, topic_of
from streams.profiling.profiler import Profiler
from streams.registry import lifecycle_record, reference_record
from streams.routing import Routing, routing_record
from streams.topics import TOPICS, Names

__all__ = ["OUTPUTS", "Replayed", "as_lines", "replay"]

OUTPUTS = (
    "results",
    "alerts",
    "alerts.slack",
    "alerts.pagerduty",
    "alerts.email",
    "retraining",
    "dead-letters",
)
_BATCH = 10_000


@dataclass(frozen=True, slots=True)
class Replayed:
    """What was read, and what each output topic held at the end: ordered by key, then by event time."""

    events: int
    labels: int  # label events that no lifecycle reads
    topics: Mapping[str, tuple[Record, ...]]  # by the name without the prefix


def replay(
    source: Source,
    references: Mapping[str, Reference],
    *,
    names: Names | None = None,
    receivers: Sequence[Receiver] = (),
    console: str | None = None,
    routing: Routing | None = None,
    partitions: int = 1,
    batch: int = _BATCH,
    commands: Sequence[Command] = (),
    outputs: Sequence[str] = OUTPUTS,
    advance: Callable[[int], None] = lambda read: None,
) -> Replayed:
    """Run a source through joiner, profiler and judge.

    Parameters
    ----------
    references : by model id
    console : address of the console's pages, for links
    routing : who hears of alerts, as it would stand on the log; None: `receivers`, by the defaults
    partitions : of every topic; changes nothing about what is found
    batch : records of one poll; changes nothing about what is found
    commands : what people and pipelines said, known before the first event: each waits for the window of its `at`
    outputs : the topics that are handed back, without the prefix
    advance : told how far into `Source.size` the work is
    """
    names = names or Names()
    log = MemoryLog()
    topics = {topic for one in source.lifecycles for topic in source_topics(one, names)}
    for topic in sorted(topics):
        log.create(topic, partitions)
    for topic_of_ours in TOPICS:
        log.create(names(topic_of_ours.name), topic_of_ours.partitions or partitions)
    for one in source.lifecycles:
        _write(log, lifecycle_record(names, one))
        if reference := references.get(one.model_id):
            document = to_document(reference)
            _write(log, reference_record(names, one.model_id, reference.reference_id, document))
    if routing is not None:
        _write(log, routing_record(names, routing))
    followed = (names("models"),)
    if commands:
        for command in commands:
            _write(log, command_record(names, command))
        _judge(log, Judge(names, partitions, receivers, console), names, batch)
    joined = {
        topic
        for pair in pairs(source.lifecycles, names)
        for topic in (pair.predictions, pair.labels)
    }
    events = labels = 0
    for chunk in source.chunks():
        readers = [one for one in source.lifecycles if getattr(one.source, chunk.kind) is not None]
        if chunk.kind == "labels" and not readers:
            labels += len(chunk.events)
            continue
        into = _only_topic({topic_of(one, chunk.kind, names) for one in readers}, chunk.kind)
        # who is joined must be in one partition; what a source has is not keyed
        partition = 0 if into in joined else None
        for event in chunk.events:
            log.append(into, event, partition=partition)
        events += len(chunk.events)
        advance(chunk.read)
    if joined:
        drain(
            MemoryBroker(log, "joiner"),
            Joiner(names, lambda lane: MemoryStore(), log.partition_count),
            topics=sorted(joined),
            followed=followed,
            limit=batch,
        )
    profiler = Profiler(names, partitions, log.partition_count)
    drain(
        MemoryBroker(log, "profiler"),
        profiler,
        topics=sorted(topics),
        followed=followed,
        limit=batch,
    )
    _judge(log, Judge(names, partitions, receivers, console), names, batch)
    found = {name: tuple(_ordered(log.read(names(name)))) for name in outputs}
    return Replayed(events, labels, found)


def _judge(log: MemoryLog, stage: Judge, names: Names, batch: int) -> None:
    drain(
        MemoryBroker(log, "judge"),
        stage,
        topics=[names("profiles"), names("commands")],
        followed=[names("models")],
        state_topic=names("state"),
        limit=batch,
    )


def as_lines(records: Sequence[Record]) -> bytes:
    """JSON lines ``{"key", "headers", "value"}``; a value that is not JSON (a dead letter) is text.

    Examples
    --------
    >>> as_lines([Record("t", 0, 0, None, b"fraud", b'{"n": 1}', (("ce_id", b"x"),))])
    b'{"key":"fraud","headers":{"ce_id":"x"},"value":{"n": 1}}\\n'
    """
    return b"".join(msgspec.json.encode(_line(record)) + b"\n" for record in records)


def _line(record: Record) -> dict[str, object]:
    return {
        "key": None if record.key is None else record.key.decode("utf-8", "backslashreplace"),
        "headers": {n: v.decode("utf-8", "backslashreplace") for n, v in record.headers},
        "value": _value(record.value),
    }


def _value(value: bytes | None) -> object:
    if value is None:
        return None
    try:
        msgspec.json.decode(value)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return value.decode("utf-8", "backslashreplace")
    return msgspec.Raw(value)


def _ordered(records: Sequence[Record]) -> list[Record]:
    """By key, then event time; what has the same of both stays in the order it was written."""
    return sorted(
        records, key=lambda record: (record.key or b"", dict(record.headers).get("ce_time", b""))
    )


def _only_topic(topics: Set[str], kind: str) -> str:
    if len(topics) == 1:
        return next(iter(topics))
    if not topics:
        raise UsageError(
            f"these are {kind}, which no lifecycle reads: set --kind, or source.{kind}"
        )
    raise UsageError(
        f"the lifecycles read their {kind} from different topics ({', '.join(sorted(topics))}): "
        "replay them one at a time"
    )


def _write(log: MemoryLog, record: Outgoing) -> None:
    log.append(record.topic, record.value, record.key, partition=record.partition)
