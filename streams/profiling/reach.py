"""What must the judge know besides counts? How far each source was read, what came in, and what was no event."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from streams.broker import Batch, Partition, Record
from streams.messages import SLOT_MS, Intake, Mark, Progress, Report, Unread


@dataclass(slots=True)
class _Source:
    """How far one source partition was read, as far as this process knows."""

    highest_ms: int | None = None
    offset: int = 0
    idle_ms: int = 0
    told: bool = False  # the judge knows all of the above


@dataclass(slots=True)
class Beside:
    """Records of one place that are no events."""

    dead_letters: dict[str, int] = field(default_factory=dict)
    unregistered: dict[str, int] = field(default_factory=dict)


class Reach:
    """What one profiler knows of its source partitions, and what it has not told yet.

    Parameters
    ----------
    partition_count : how many partitions a source topic has
    """

    def __init__(self, partition_count: Callable[[str], int]) -> None:
        self._partition_count = partition_count
        self.sources: dict[Partition, _Source] = {}
        self._heard: dict[Partition, None] = {}
        self.void()

    def void(self) -> None:
        """Everything was told."""
        self.offsets: dict[Partition, int] = {}
        self.slots: defaultdict[str, Counter[int]] = defaultdict(Counter)  # events by topic, start
        self.unread: dict[tuple[Partition, int | None, int], Beside] = {}
        self._marks: dict[tuple[str, int], Mark] = {}

    def gained(self, partition: Partition) -> None:
        """Nothing is known of a partition that is read from now on."""
        self.sources[partition] = _Source()

    def dropped(self, partition: Partition) -> None:
        """Another one reads it now."""
        self.sources.pop(partition, None)

    def forget(self) -> None:
        """Nothing that was read since the last commit is true any more."""
        for partition in self.sources:
            self.sources[partition] = _Source()
        self.void()

    def highest_ms(self, batch: Batch) -> dict[int, int | None]:
        """The latest event time of each partition of a batch, before it."""
        return {
            number: source.highest_ms
            for number in dict.fromkeys(batch.partitions)
            if (source := self.sources.get(Partition(batch.topic, number))) is not None
        }

    def heard(self) -> Collection[Partition]:
        """Partitions that brought usable events since this was last asked.

        One that brings nothing usable must not hold time back for all the others.
        """
        heard, self._heard = self._heard, {}
        return heard.keys()

    def idle(
        self, silent_ms: Mapping[Partition, int], limits_of: Mapping[str, Sequence[int]]
    ) -> None:
        """Note which partitions have crossed the silence after which some model leaves them out, or a multiple of it.

        Where nothing comes from anywhere, only this says that time passes.
        """
        for partition, silent in sorted(silent_ms.items()):
            source = self.sources.get(partition)
            if source is None:
                continue
            limits = limits_of.get(partition.topic, ())
            before = source.idle_ms
            if any(silent // limit != before // limit for limit in limits):
                source.idle_ms, source.told = silent, False

    def advance(
        self, batch: Batch, times: Any, where: Sequence[int] | None
    ) -> dict[Partition, int]:
        """Note the offsets and the highest event time per source partition; the latter of those that brought events."""
        partitions, found = batch.partitions, dict[Partition, int]()
        last = dict(zip(partitions, batch.offsets, strict=True))
        several = len(last) > 1
        if several:
            of_event = np.array(
                partitions if where is None else [partitions[i] for i in where], np.int64
            )
        for number, offset in sorted(last.items()):
            partition = Partition(batch.topic, number)
            self.offsets[partition] = offset + 1
            source = self.sources.setdefault(partition, _Source())
            source.offset, source.told = offset + 1, False
            mine = times[of_event == number] if several else times
            if len(mine):
                highest, source.idle_ms = int(mine.max()), 0
                self._heard[partition] = None
                source.highest_ms = max(source.highest_ms or highest, highest)
                found[partition] = source.highest_ms
        return found

    def count_slots(self, topic: str, times: Any, where: Sequence[int] | None) -> None:
        """Count events by the five minutes they came in."""
        if where is not None:  # one that several models read came in once
            _, first = np.unique(np.array(where, np.int64), return_index=True)
            times = times[first]
        if not len(times):
            return
        of, slots = self.slots[topic], times // SLOT_MS
        if slots[0] == slots[-1] and (slots == slots[0]).all():
            of[int(slots[0]) * SLOT_MS] += len(times)
        else:
            for slot, n in zip(*np.unique(slots, return_counts=True), strict=True):
                of[int(slot) * SLOT_MS] += int(n)

    def relay(self, mark: Mark) -> None:
        """What the joiner says of its labels: told to the judge after the outcomes that were read before it."""
        self._marks[mark.source, mark.partition] = mark

    def progress(self, topics: Collection[str]) -> Iterator[Progress]:
        """How far these topics were read, as far as nobody knows yet."""
        by_topic: defaultdict[str, list[Report]] = defaultdict(list)
        for partition, source in sorted(self.sources.items()):
            if not source.told and partition.topic in topics:
                report = Report(partition.number, source.highest_ms, source.offset, source.idle_ms)
                by_topic[partition.topic].append(report)
                source.told = True
                if source.offset:  # with offsets the commit fails for who has left the group:
                    self.offsets.setdefault(partition, source.offset)  # silence is the owner's
        for topic, reports in by_topic.items():
            yield Progress(topic, self._partition_count(topic), reports)
        for (joined, number), mark in sorted(self._marks.items()):
            report = Report(number, mark.highest_ms, 0, mark.idle_ms)
            yield Progress(joined, mark.partitions, [report])

    def intake(self) -> Iterator[Intake]:
        """What came in, and what was no event."""
        unread: defaultdict[str, list[Unread]] = defaultdict(list)
        for (partition, after, logged), of in sorted(
            self.unread.items(), key=lambda item: (item[0][0], item[0][1] or 0, item[0][2])
        ):
            found = Unread(partition.number, after, logged, of.dead_letters, of.unregistered)
            unread[partition.topic].append(found)
        for topic in sorted(dict.fromkeys([*self.slots, *unread])):
            yield Intake(topic, dict(sorted(self.slots[topic].items())), unread[topic])

    def beside(self, record: Record, before_ms: int | None) -> Beside:
        """What is no event counts with the event before it in its partition; only that does not depend on batches."""
        partition, slot, logged = Partition(record.topic, record.partition), None, 0
        if before_ms is not None:
            slot = before_ms // SLOT_MS * SLOT_MS
        elif record.timestamp_ms is not None:
            logged = record.timestamp_ms // SLOT_MS * SLOT_MS
        return self.unread.setdefault((partition, slot, logged), Beside())
