"""Which segments an event belongs to: one value of each of the lifecycle's groupings.

Only values that the reference knows get a series of their own; the rest is `(other)`, and events without a value are
`(none)`. So the number of segments is bounded, and does not depend on the order in which values turn up.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from detectors.binning import json_text
from detectors.reference import Reference
from streams.events import Reading
from streams.lifecycle import Lifecycle

ALL = "all"
OTHER, NONE = "(other)", "(none)"
MAX_VALUE_LENGTH = 64
_PLAIN = "".join(chr(c) for c in range(32, 127) if chr(c) not in "%,=|")


def text_of(value: object) -> str:
    """A segment value as text, not yet encoded.

    >>> text_of(True), text_of(7), text_of(None)
    ('true', '7', '(none)')
    """
    if value is None:
        return NONE
    if isinstance(value, bool | int):
        return json_text(value)
    return str(value)[:MAX_VALUE_LENGTH]


def encode(text: str) -> str:
    """Percent-encode what has a meaning in a segment's name, and control characters.

    >>> encode("a=b,c|d%")
    'a%3Db%2Cc%7Cd%25'
    """
    parts = (
        c if c in _PLAIN or (ord(c) > 159) else quote(c, safe="", errors="replace") for c in text
    )
    return "".join(parts)


def name_of(pairs: Sequence[tuple[str, str]]) -> str:
    """The name of a segment, its groupings sorted by name.

    >>> name_of([("country", "DE"), ("channel", "web")])
    'channel=web,country=DE'
    """
    return ",".join(f"{encode(name)}={encode(value)}" for name, value in sorted(pairs))


@dataclass(frozen=True, slots=True)
class Definition:
    """One entry of the lifecycle's `segments`: the simple groupings it combines, by position."""

    groupings: tuple[tuple[str, int], ...]
    known: frozenset[str]

    @property
    def by(self) -> bool:
        """Whether it combines several groupings, so that it folds many combinations into one."""
        return len(self.groupings) > 1

    def name_of(self, values: tuple[str, ...]) -> str:
        """The segment that a combination of the simple groupings' values belongs to."""
        if not self.groupings:
            return ALL
        name = name_of([(grouping, values[i]) for grouping, i in self.groupings])
        if name in self.known or (not self.by and values[self.groupings[0][1]] in (OTHER, NONE)):
            return name
        return name_of([(grouping, OTHER) for grouping, _ in self.groupings])


class Definitions(Sequence[Definition]):
    """All of a lifecycle's groupings; the first one's segments add up to `all`."""

    def __init__(self, simple: Sequence[str], definitions: Sequence[Definition]) -> None:
        self._simple, self._definitions = tuple(simple), tuple(definitions)

    def __getitem__(self, index: Any) -> Any:
        return self._definitions[index]

    def __len__(self) -> int:
        return len(self._definitions)

    def split(
        self, events: list[Any], reading: Reading
    ) -> Iterator[tuple[tuple[str, ...], list[Any]]]:
        """Events by their combination of values of the simple groupings."""
        if not self._simple:
            yield (), events
            return
        columns = [map(reading.attribute[f"segment:{name}"], events) for name in self._simple]
        groups: defaultdict[tuple[Any, ...], list[Any]] = defaultdict(list)
        for raw, event in zip(zip(*columns, strict=True), events, strict=True):
            groups[raw].append(event)
        merged: defaultdict[tuple[str, ...], list[Any]] = defaultdict(list)
        for raw, of in groups.items():
            merged[tuple(self._value(i, value) for i, value in enumerate(raw))] += of
        yield from merged.items()

    def _value(self, position: int, raw: object) -> str:
        text = text_of(raw)
        if raw is None:
            return NONE
        for definition in self._definitions:
            if definition.groupings == ((self._simple[position], position),):
                known = name_of([(self._simple[position], text)]) in definition.known
                return text if known else OTHER
        return text  # only part of a combination: the combination decides


def compile_definitions(lifecycle: Lifecycle, reference: Reference | None) -> Definitions:
    """The groupings of a lifecycle, with the segments that its reference knows."""
    known = frozenset(s.segment for s in reference.segments) if reference else frozenset()
    simple = [s.name for s in lifecycle.segments if not s.by]
    simple += sorted({n for s in lifecycle.segments for n in s.by or ()} - set(simple))
    definitions = [
        Definition(
            tuple((name, simple.index(name)) for name in segment.by or (segment.name,)), known
        )
        for segment in lifecycle.segments
    ]
    return Definitions(simple, definitions or [Definition((), known)])
