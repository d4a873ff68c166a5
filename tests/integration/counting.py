"""The smallest stage that can be wrong: it counts, and keeps its counts."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from streams.broker import Batch, Outgoing, Partition, Record, Work


class Counting:
    """Counts values per partition.

    `sink` gets what was added since the last flush, `state` (keyed by value, on the partition of the source) the total.
    An event that is lost, or counted twice, shows in both; a state restored too early or too late shows in the second.
    """

    def __init__(self, sink: str, state: str) -> None:
        self._sink, self._state = sink, state
        self._totals: dict[int, Counter[bytes]] = {}
        self._void()

    def _void(self) -> None:
        self._added: Counter[tuple[int, bytes]] = Counter()
        self._offsets: dict[Partition, int] = {}

    def gained(self, partition: Partition, kept: Iterator[Record]) -> None:
        self._totals[partition.number] = Counter(
            {record.key or b"": int(record.value or b"") for record in kept}
        )

    def dropped(self, partition: Partition) -> None:
        del self._totals[partition.number]

    def follow(self, records: Sequence[Record]) -> None:
        pass

    def step(self, batch: Batch) -> None:
        for number, offset, value in zip(
            batch.partitions, batch.offsets, batch.values, strict=True
        ):
            self._added[number, value or b""] += 1
            self._totals[number][value or b""] += 1
            self._offsets[Partition(batch.topic, number)] = offset + 1

    def idle(self, silent_ms: Mapping[Partition, int]) -> None:
        pass

    def flush(self) -> Work:
        records = []
        for (number, value), added in sorted(self._added.items()):
            total = b"%d" % self._totals[number][value]
            records.append(Outgoing(self._sink, value, b"%d" % added))
            records.append(Outgoing(self._state, value, total, partition=number))
        work = Work(records, self._offsets)
        self._void()
        return work

    def forget(self) -> None:
        self._totals.clear()
        self._void()
