"""Where predictions wait for their labels: what a store must do, and one in memory.

A store belongs to one lane. It holds values by event id, in *buckets* of event time that are thrown away whole, and one
small value of its own, `marks`, that says what all the others were folded from. A write is whole or not at all, and
after a crash the store holds what it held after some former write: it is a cache, and the rest is folded in again.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

Change = tuple[int, bytes]  # bucket and value


class Size(NamedTuple):
    disk_bytes: int
    memory_bytes: int


class Store(Protocol):
    """Values of one lane. A bucket is named by the event time at which it ends."""

    @property
    def marks(self) -> bytes | None:
        """What was written last; None for a store that is empty."""

    def get(self, keys: Sequence[bytes]) -> Mapping[bytes, Change]:
        """Those of the keys that are there, each from its latest bucket."""

    def write(self, changes: Mapping[bytes, Change], marks: bytes, gone_ms: int) -> None:
        """All of it or nothing, but for what belongs to buckets that end before `gone_ms`."""

    def drop(self, buckets: Collection[int]) -> None:
        """Throw buckets away, those that are there."""

    def buckets(self) -> Iterable[int]: ...

    def erase(self) -> None:
        """Forget everything."""

    def size(self) -> Size: ...

    def close(self) -> None: ...


class MemoryStore:
    """For replay and tests: nothing outlives it."""

    def __init__(self) -> None:
        self.marks: bytes | None = None
        self._buckets: dict[int, dict[bytes, bytes]] = {}

    def get(self, keys: Sequence[bytes]) -> Mapping[bytes, Change]:
        found: dict[bytes, Change] = {}
        for bucket in sorted(self._buckets):  # a later one replaces what an earlier one has
            values = self._buckets[bucket]
            found |= {key: (bucket, values[key]) for key in keys if key in values}
        return found

    def write(self, changes: Mapping[bytes, Change], marks: bytes, gone_ms: int) -> None:
        for key, (bucket, value) in changes.items():
            if bucket >= gone_ms:
                self._buckets.setdefault(bucket, {})[key] = value
        self.marks = marks

    def drop(self, buckets: Collection[int]) -> None:
        for bucket in buckets:
            self._buckets.pop(bucket, None)

    def buckets(self) -> Iterable[int]:
        return sorted(self._buckets)

    def erase(self) -> None:
        self._buckets.clear()
        self.marks = None

    def size(self) -> Size:
        values = (v for of in self._buckets.values() for v in of.items())
        return Size(0, sum(len(key) + len(value) for key, value in values))

    def close(self) -> None:
        pass
