"""The door between stages and a log: what a stage is given, what it gives back, and who carries it.

A `Stage` (profiler, joiner, judge) is a fold: no I/O, no clock. A `Broker` reads and writes; it has
two implementations, `streams.kafka.broker` and `streams.memory`, that pass one suite
(tests/streams/test_broker_contract.py). `streams.loop` joins the two and owns the only clock.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable


class Partition(NamedTuple):
    topic: str
    number: int


class Record(NamedTuple):
    """One record as it was read, for the paths that look at records one by one.

    `origin` is the record as it was on the log, where this one is what it stands for (`streams.formats`).
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int | None  # the log's own time; None where there is none (a file)
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    origin: "Record | None" = None


class Outgoing(NamedTuple):
    """One record to write. `partition` None: by CRC-32 of the key, at random for a null key."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    partition: int | None = None


class Place(NamedTuple):
    """Where a group stands in a partition, as it last committed: the next offset to read, and what it noted there."""

    offset: int
    note: str = ""


class Since(NamedTuple):
    """The first record that the log took at this time or later."""

    time_ms: int


class Rows(Protocol):
    """The records of a batch one by one; row `i` belongs to `Batch.values[i]`. Made only when asked for."""

    def __getitem__(self, index: int) -> Record: ...


@dataclass(frozen=True, slots=True)
class Batch:
    """Records of one topic that one poll brought, as columns: what is needed per event without a call per event."""

    topic: str
    values: Sequence[bytes | None]
    partitions: Sequence[int]
    offsets: Sequence[int]
    timestamps_ms: Sequence[int | None]  # the log's append or create time
    rows: Rows

    def take(self, indices: Sequence[int]) -> "Batch":
        """Some of the records, in this order."""
        return Batch(
            self.topic,
            [self.values[i] for i in indices],
            [self.partitions[i] for i in indices],
            [self.offsets[i] for i in indices],
            [self.timestamps_ms[i] for i in indices],
            _Some(self.rows, indices),
        )


@dataclass(frozen=True, slots=True)
class _Some:
    rows: Rows
    indices: Sequence[int]

    def __getitem__(self, index: int) -> Record:
        return self.rows[self.indices[index]]


@dataclass(frozen=True, slots=True)
class Polled:
    """What one poll brought. `ends`: owned partitions whose reader stands at the end of the log right now."""

    batches: tuple[Batch, ...] = ()
    ends: frozenset[Partition] = frozenset()


@dataclass(slots=True)
class Work:
    """What a stage concluded since its last flush, and the input it used up: one transaction.

    `offsets` holds, per partition, the next offset to read; `notes` what whoever reads on from there is told.
    """

    records: list[Outgoing] = field(default_factory=list)
    offsets: dict[Partition, int] = field(default_factory=dict)
    notes: dict[Partition, str] = field(default_factory=dict)


class Stage(Protocol):
    """A deterministic fold over its input. It never reads a clock; `idle` tells it what the loop's clock saw."""

    def gained(self, partition: Partition, kept: Iterator[Record]) -> None:
        """`partition` is ours now; `kept` is its state as last committed (empty for a stage that keeps none)."""

    def dropped(self, partition: Partition) -> None:
        """`partition` is no longer ours; everything of it was committed or is void."""

    def follow(self, records: Sequence[Record]) -> None:
        """Records of the topics that every process reads in full (`leeway.models`)."""

    def step(self, batch: Batch) -> None:
        """Fold a batch in."""

    def idle(self, silent_ms: Mapping[Partition, int]) -> None:
        """How long each owned partition has been silent while its reader stood at the end of the log."""

    def flush(self) -> Work:
        """Everything concluded since the last flush. Afterwards the stage assumes it is committed."""

    def forget(self) -> None:
        """The last flush (and all since) came to nothing: go back to what was last committed.

        The broker rewinds; `gained` follows for every partition still owned, before the next `step`.
        """


@runtime_checkable
class Hurried(Protocol):
    """What a stage is besides when its conclusions cannot always wait for the next commit."""

    @property
    def urgent(self) -> bool:
        """Somebody waits for what was concluded since the last flush."""


@runtime_checkable
class Listening(Protocol):
    """What a stage is besides when a record may say nothing to it."""

    def heard(self) -> Collection[Partition]:
        """Partitions that brought something usable since this was last asked: all others are silent."""


@runtime_checkable
class Rereading(Protocol):
    """What a stage is besides when it may have to read again what was committed, to know what it knew then."""

    def reread(self, places: Mapping[Partition, Place]) -> Mapping[Partition, int | Since]:
        """All new partitions were gained. Where to begin in them, where that is before what was committed.

        `places` has all partitions that are owned and in which something was committed.
        """


@runtime_checkable
class Holding(Protocol):
    """What a stage is besides when it cannot take everything as it comes."""

    def held(self) -> Collection[Partition]:
        """Partitions to read nothing from until this says otherwise."""


class Listener(Protocol):
    """Told by the broker, from inside `poll`, what happens to partitions. The loop is one."""

    def partitions_gained(self, partitions: Sequence[Partition]) -> None: ...

    def partitions_leaving(self, partitions: Sequence[Partition]) -> None:
        """Last chance to commit: after this call somebody else may own them."""

    def partitions_lost(self, partitions: Sequence[Partition]) -> None:
        """Too late to commit: somebody else may own them already.

        What was not committed is void, also of the partitions that stay: this poll begins at their committed offsets.
        """


class Aborted(Exception):
    """A transaction came to nothing; the next poll begins where the last commit ended, and the process can go on."""


class Broker(Protocol):
    """One owner, one thread."""

    def subscribe(self, topics: Sequence[str], listener: Listener) -> None:
        """Join the group and share the topics' partitions with its other members."""

    def follow(self, topics: Sequence[str]) -> None:
        """Read these topics in full, outside the group: `followed` brings them."""

    def followed(self, *, to_end: bool) -> Sequence[Record]:
        """What is new in the followed topics; `to_end` waits until everything written so far has been read."""

    def poll(self, limit: int, timeout_s: float) -> Polled:
        """At most `limit` records of the subscribed topics. Rebalances happen in here and reach the listener."""

    def places(self) -> Mapping[Partition, Place]:
        """Where the group stands in the partitions that are owned; nothing for those in which it never committed."""

    def reread(self, partition: Partition, start: int | Since) -> None:
        """Read an owned partition from here in the next polls, or from the oldest record there still is after it."""

    def hold(self, partitions: Collection[Partition]) -> None:
        """Read nothing from these in the next polls, and from all others that are owned."""

    def restore(self, partition: Partition) -> Iterator[Record]:
        """The newest record per key of a compacted partition, in order of offset, read to its end (committed only).

        A key whose newest record has no value is gone.
        """

    def partition_count(self, topic: str) -> int:
        """Raises UsageError when the topic does not exist."""

    def commit(self, work: Work) -> None:
        """Write records and offsets in one transaction: all of it or none.

        Raises
        ------
        Aborted
            Nothing was written, and the next `poll` begins at the committed offsets again: forget, and go on.
        Fenced
            Another process took over: end.
        BrokerError
            Nothing more can be done in this process.
        """

    def close(self) -> None:
        """Leave the group and let go of everything; nothing is committed."""
