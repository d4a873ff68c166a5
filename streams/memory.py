"""What is Kafka without Kafka? The log and the broker in memory: replay runs on it, and so do most tests.

It keeps the promises that stages depend on: order within a partition, the default partitioner, transactions that are
visible as a whole or not at all, groups whose members share partitions, and members that leave, crash, expire or are
fenced. Everything is deterministic: no clock, no randomness, no thread.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from zlib import crc32

from streams.broker import (
    Aborted,
    Batch,
    Broker,
    Listener,
    Outgoing,
    Partition,
    Place,
    Polled,
    Record,
    Since,
    Work,
)
from streams.errors import BrokerError, Fenced, UsageError

__all__ = ["MemoryBroker", "MemoryLog", "partition_of"]

_Headers = tuple[tuple[str, bytes], ...]


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a keyed record: CRC-32 of the key, as librdkafka's default partitioner has it.

    Examples
    --------
    >>> partition_of(b"fraud", 12)
    10
    """
    return crc32(key) % partitions


@dataclass(slots=True)
class _Slot:
    """One partition's records as columns; the offset is the index."""

    keys: list[bytes | None] = field(default_factory=list)
    values: list[bytes | None] = field(default_factory=list)
    timestamps_ms: list[int | None] = field(default_factory=list)
    headers: dict[int, _Headers] = field(default_factory=dict)  # most records have none


@dataclass(slots=True)
class _Group:
    """Who shares what. A partition is in `owners` until its owner has let go of it."""

    committed: dict[Partition, int] = field(default_factory=dict)
    notes: dict[Partition, str] = field(default_factory=dict)
    instances: dict[str, "MemoryBroker"] = field(default_factory=dict)  # the newest of each name
    members: list["MemoryBroker"] = field(default_factory=list)  # who shares, by name
    owners: dict[Partition, "MemoryBroker"] = field(default_factory=dict)


class MemoryLog:
    """Topics, their records, and what each group has committed.

    Examples
    --------
    >>> log = MemoryLog()
    >>> log.create("events", 2)
    >>> log.append("events", b"an event", key=b"fraud")
    Partition(topic='events', number=0)
    >>> [record.value for record in log.read("events")]
    [b'an event']
    """

    def __init__(self) -> None:
        self._topics: dict[str, list[_Slot]] = {}
        self._turn: defaultdict[str, int] = defaultdict(int)  # where the next null key goes
        self._groups: defaultdict[str, _Group] = defaultdict(_Group)

    def create(self, topic: str, partitions: int) -> None:
        """Create a topic, or add partitions to it. Nothing happens when it has them already."""
        slots = self._topics.setdefault(topic, [])
        slots.extend(_Slot() for _ in range(partitions - len(slots)))

    def partition_count(self, topic: str) -> int:
        """Raises UsageError when the topic does not exist."""
        return len(self._slots(topic))

    def append(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        *,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        headers: _Headers = (),
    ) -> Partition:
        """Write one record, visible at once, and say where it went.

        `partition` None: by the key (see `partition_of`); records without a key take turns.
        """
        slots = self._slots(topic)
        if partition is None:
            if key is None:
                partition = self._turn[topic] % len(slots)
                self._turn[topic] += 1
            else:
                partition = partition_of(key, len(slots))
        elif not 0 <= partition < len(slots):
            raise BrokerError(f"topic {topic} has no partition {partition}")
        slot = slots[partition]
        if headers:
            slot.headers[len(slot.values)] = headers
        slot.keys.append(key)
        slot.values.append(value)
        slot.timestamps_ms.append(timestamp_ms)
        return Partition(topic, partition)

    def read(self, topic: str) -> list[Record]:
        """Every record of a topic, partition by partition."""
        return [
            self.record(Partition(topic, number), offset)
            for number, slot in enumerate(self._slots(topic))
            for offset in range(len(slot.values))
        ]

    def record(self, partition: Partition, offset: int) -> Record:
        """One record. Raises IndexError beyond the end."""
        slot = self._slot(partition)
        return Record(
            partition.topic,
            partition.number,
            offset,
            slot.timestamps_ms[offset],
            slot.keys[offset],
            slot.values[offset],
            slot.headers.get(offset, ()),
        )

    def end(self, partition: Partition) -> int:
        """The offset the next record will have."""
        return len(self._slot(partition).values)

    def committed(self, group: str, partition: Partition) -> int:
        """The offset at which the group goes on: 0 when it never committed."""
        return self._groups[group].committed.get(partition, 0)

    def _slots(self, topic: str) -> list[_Slot]:
        if topic not in self._topics:
            raise UsageError(f"topic {topic} does not exist")
        return self._topics[topic]

    def _slot(self, partition: Partition) -> _Slot:
        return self._slots(partition.topic)[partition.number]


class MemoryBroker(Broker):
    """One member of a group on a `MemoryLog`.

    Members share the partitions of their topics by range, in the order of their instance names. Whoever must give a
    partition up does so in its next `poll`, and only then does its new owner get it. A second broker with the same
    group and instance fences the first one.
    """

    def __init__(self, log: MemoryLog, group: str, instance: str = "0") -> None:
        self.log = log
        self.instance = instance
        self._group = log._groups[group]
        self._topics: tuple[str, ...] = ()
        self._listener: Listener | None = None
        self._positions: dict[Partition, int] = {}  # of everything owned: the next offset to read
        self._followed: dict[Partition, int] = {}
        self._held: frozenset[Partition] = frozenset()
        self._failures = 0
        self._gone = ""  # why this member can do nothing any more
        self._expired = False
        self._turn = 0
        if predecessor := self._group.instances.get(instance):
            predecessor._leave("another process owns this work now")
        self._group.instances[instance] = self

    # ------------------------------------------------------------------------------------------------ what tests do

    def fail_next_commit(self, times: int = 1) -> None:
        """Let the next commits come to nothing, as a broker that dies in the middle of one would."""
        self._failures += times

    def crash(self) -> None:
        """The process is gone at once: nothing committed, nobody told."""
        self._leave("crashed")

    def expire(self) -> None:
        """The group takes this member for dead, and it does not know: its next commit aborts, its next poll hears."""
        self._let_go(tuple(self._positions))
        self._group.members.remove(self)
        self._expired = True

    @property
    def expired(self) -> bool:
        """Taken for dead, and has not heard of it yet."""
        return self._expired

    # ---------------------------------------------------------------------------------------------------- the broker

    def subscribe(self, topics: Sequence[str], listener: Listener) -> None:
        for topic in topics:
            self.log.partition_count(topic)
        self._topics, self._listener = tuple(topics), listener
        self._join()

    def follow(self, topics: Sequence[str]) -> None:
        for topic in topics:
            for number in range(self.log.partition_count(topic)):
                self._followed.setdefault(Partition(topic, number), 0)

    def followed(self, *, to_end: bool) -> Sequence[Record]:
        self._check()
        found = []
        for partition, position in self._followed.items():
            end = self.log.end(partition)
            found += [self.log.record(partition, offset) for offset in range(position, end)]
            self._followed[partition] = end
        return found

    def poll(self, limit: int, timeout_s: float) -> Polled:
        self._check()
        if self._listener is None:
            return Polled()
        self._rebalance(self._listener)
        batches = self._read(limit)
        ends = (p for p, position in self._positions.items() if position == self.log.end(p))
        return Polled(batches, frozenset(ends))

    def places(self) -> Mapping[Partition, Place]:
        committed, notes = self._group.committed, self._group.notes
        return {p: Place(committed[p], notes.get(p, "")) for p in self._positions if p in committed}

    def reread(self, partition: Partition, start: int | Since) -> None:
        if isinstance(start, Since):
            times = enumerate(self.log._slot(partition).timestamps_ms)
            late = (i for i, time in times if time is None or time >= start.time_ms)
            start = next(late, self.log.end(partition))
        self._positions[partition] = start

    def hold(self, partitions: Collection[Partition]) -> None:
        self._held = frozenset(partitions)

    def restore(self, partition: Partition) -> Iterator[Record]:
        self._check()
        newest: dict[bytes | None, Record] = {}
        for offset in range(self.log.end(partition)):
            record = self.log.record(partition, offset)
            newest.pop(record.key, None)  # so that the order is that of the newest records
            newest[record.key] = record
        yield from (record for record in newest.values() if record.value is not None)

    def partition_count(self, topic: str) -> int:
        return self.log.partition_count(topic)

    def commit(self, work: Work) -> None:
        self._check()
        if not work.records and not work.offsets:
            return
        for partition in work.offsets:
            if partition not in self._positions:
                raise BrokerError(
                    f"{partition} is committed by {self.instance}, who does not own it"
                )
        for record in work.records:  # before the first is written: all of it or none
            count = self.log.partition_count(record.topic)
            if record.partition is not None and not 0 <= record.partition < count:
                raise BrokerError(f"topic {record.topic} has no partition {record.partition}")
        if self._failures or self._expired:
            self._failures = max(0, self._failures - 1)
            self._go_back()
            raise Aborted("as asked for" if not self._expired else "the group went on without us")
        for record in work.records:
            self._write(record)
        self._group.committed.update(work.offsets)
        self._group.notes.update(dict.fromkeys(work.offsets, "") | work.notes)

    def close(self) -> None:
        self._leave("closed")

    # ------------------------------------------------------------------------------------------------------- inside

    def _check(self) -> None:
        if self._gone == "closed":
            raise BrokerError("this broker was closed")
        if self._gone:
            raise Fenced(f"{self.instance}: {self._gone}")

    def _join(self) -> None:
        self._group.members.append(self)
        self._group.members.sort(key=lambda member: member.instance)

    def _leave(self, why: str) -> None:
        self._gone = self._gone or why
        if self in self._group.members:
            self._group.members.remove(self)
        self._let_go(tuple(self._positions))
        self._positions.clear()

    def _let_go(self, partitions: Sequence[Partition]) -> None:
        for partition in partitions:
            if self._group.owners.get(partition) is self:
                del self._group.owners[partition]

    def _share(self) -> list[Partition]:
        """What this member should own: ranges of each topic, the first members one more where it does not divide."""
        share = []
        for topic in self._topics:
            sharing = [member for member in self._group.members if topic in member._topics]
            count, place = self.log.partition_count(topic), sharing.index(self)
            each, over = divmod(count, len(sharing))
            first = place * each + min(place, over)
            mine = range(first, first + each + (place < over))
            share += [Partition(topic, number) for number in mine]
        return share

    def _rebalance(self, listener: Listener) -> None:
        if self._expired:
            lost = sorted(self._positions)
            self._positions.clear()
            self._expired = False
            self._join()
            if lost:
                listener.partitions_lost(lost)
        share = self._share()
        if leaving := sorted(self._positions.keys() - set(share)):
            listener.partitions_leaving(leaving)
            self._let_go(leaving)
            for partition in leaving:
                del self._positions[partition]
        free = [p for p in share if p not in self._group.owners]
        for partition in free:
            self._group.owners[partition] = self
            self._positions[partition] = self._group.committed.get(partition, 0)
        if free:
            listener.partitions_gained(free)

    def _go_back(self) -> None:
        for partition in self._positions:
            self._positions[partition] = self._group.committed.get(partition, 0)

    def _read(self, limit: int) -> tuple[Batch, ...]:
        """Up to `limit` records, a fair share from each partition that has any, a different one first each time."""
        waiting = [
            p
            for p in sorted(self._positions)
            if p not in self._held and self._positions[p] < self.log.end(p)
        ]
        if not waiting:
            return ()
        self._turn += 1
        cut = self._turn % len(waiting)
        taken: defaultdict[str, list[tuple[Partition, range]]] = defaultdict(list)
        for place, partition in enumerate(waiting[cut:] + waiting[:cut]):
            start = self._positions[partition]
            share = -(-limit // (len(waiting) - place))
            stop = min(start + share, self.log.end(partition))
            limit -= stop - start
            if stop > start:
                taken[partition.topic].append((partition, range(start, stop)))
                self._positions[partition] = stop
        return tuple(self._batch(topic, spans) for topic, spans in taken.items())

    def _batch(self, topic: str, spans: Sequence[tuple[Partition, range]]) -> Batch:
        values: list[bytes | None] = []
        partitions: list[int] = []
        offsets: list[int] = []
        timestamps_ms: list[int | None] = []
        for partition, span in spans:
            slot = self.log._slot(partition)
            values += slot.values[span.start : span.stop]
            partitions += repeat(partition.number, len(span))
            offsets += span
            timestamps_ms += slot.timestamps_ms[span.start : span.stop]
        return Batch(
            topic,
            values,
            partitions,
            offsets,
            timestamps_ms,
            _Rows(self.log, topic, partitions, offsets),
        )

    def _write(self, record: Outgoing) -> None:
        self.log.append(
            record.topic,
            record.value,
            record.key,
            partition=record.partition,
            headers=record.headers,
        )


@dataclass(frozen=True, slots=True)
class _Rows:
    log: MemoryLog
    topic: str
    partitions: Sequence[int]
    offsets: Sequence[int]

    def __getitem__(self, index: int) -> Record:
        partition = Partition(self.topic, self.partitions[index])
        return self.log.record(partition, self.offsets[index])
