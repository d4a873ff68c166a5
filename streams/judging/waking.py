"""Who may be left out after nothing came from anywhere, and then something does?

The others may bring the same backlog and only be read a little later: their old silence says nothing of it. So a
partition is not left out again before it was silent for `idle` since then. Nobody here has a clock: a silence is told
whenever it has lasted for another `idle`, so one that is told twice more has lasted for one at least.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from streams.judging.watermarks import LONGEST_SILENCE_MS, NOBODY_LONGER, SourceProgress
from streams.messages import Progress


class Readers(NamedTuple):
    """All models that read the same topics, and leave out what is silent for as long."""

    topics: tuple[str, ...]
    idle_ms: int

    def silent(self, sources: Mapping[str, SourceProgress]) -> bool:
        """Whether nothing comes from any of the topics."""
        return all(
            topic in sources and sources[topic].silent(self.idle_ms) for topic in self.topics
        )


_NOWHERE: Mapping[str, dict[int, int]] = MappingProxyType({})
_Kept = list[tuple[Readers, dict[str, dict[int, int]]]]


class Waking:
    """For how long partitions must be silent to be left out, where that is longer than `idle`."""

    def __init__(self) -> None:
        self._until_ms: dict[Readers, dict[str, dict[int, int]]] = {}

    def of(self, readers: Readers, topic: str) -> Mapping[int, int]:
        """By partition."""
        return self._until_ms.get(readers, _NOWHERE).get(topic, NOBODY_LONGER)

    def hear(
        self, of: Iterable[Readers], sources: Mapping[str, SourceProgress], progress: Progress
    ) -> bool:
        """Take note of who wakes, before `sources` do; whether that changed anything."""
        changed = False
        for readers in of:
            awake = [r.partition for r in progress.reports if r.idle_ms < readers.idle_ms]
            if awake and readers.silent(sources):
                self._until_ms[readers] = {
                    topic: {
                        number: silent_ms + 2 * readers.idle_ms
                        for number, silent_ms in sorted(sources[topic].idle_ms.items())
                        if silent_ms <= LONGEST_SILENCE_MS
                    }
                    for topic in readers.topics
                }
                changed = True
            of_source = self._until_ms.get(readers, _NOWHERE).get(progress.source, {})
            for number in awake:
                changed |= of_source.pop(number, None) is not None
        return changed

    def to_data(self) -> object:
        """Plain data; `from_data` reads it back."""
        return msgspec.to_builtins(sorted(self._until_ms.items()))

    @classmethod
    def from_data(cls, data: Any) -> "Waking":
        """The inverse of `to_data`."""
        found = cls()
        found._until_ms = dict(msgspec.convert(data, _Kept, strict=False))  # keys of JSON are texts
        return found
