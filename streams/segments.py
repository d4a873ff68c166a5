"""Which segments an event belongs to: one value of each of the lifecycle's groupings.

Only values that the reference knows get a series of their own; the rest is `(other)`, and events without a value are
`(none)`. So the number of segments is bounded, and does not depend on the order in which values turn up.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from detectors.binning import json_text
from detectors.reference.build import Reference
from streams.lifecycle import Lifecycle
from streams.profiling.reading import Reading

ALL = "all"
OTHER, NONE = "(other)", "(none)"
MAX_VALUE_LENGTH = 64
MOST_SEGMENTS = 200  # of a model
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
        self.simple, self._definitions = tuple(simple), tuple(definitions)
        # what is part of no segment that is known needs no group of its own: it is (other) to every definition
        self._parts = {part for d in definitions for name in d.known for part in name.split(",")}

    def __getitem__(self, index: Any) -> Any:
        return self._definitions[index]

    def __len__(self) -> int:
        return len(self._definitions)

    def split(
        self, events: list[Any], reading: Reading
    ) -> Iterator[tuple[tuple[str, ...], list[Any]]]:
        """Events by their combination of values of the simple groupings."""
        if not self.simple:
            yield (), events
            return
        columns = [map(read, events) for read in self._readers(reading)]
        groups: defaultdict[tuple[Any, ...], list[Any]] = defaultdict(list)
        for raw, event in zip(zip(*columns, strict=True), events, strict=True):
            groups[raw].append(event)
        merged: defaultdict[tuple[str, ...], list[Any]] = defaultdict(list)
        for raw, of in groups.items():
            if all(value is None or isinstance(value, str) for value in raw):
                merged[self.texts(raw)] += of
                continue
            for event in of:  # 1, 1.0 and true are one key, and three values
                merged[self.texts(read(event) for read in self._readers(reading))].append(event)
        yield from merged.items()

    def _readers(self, reading: Reading) -> Iterator[Callable[[Any], Any]]:
        return (reading.attribute[f"segment:{name}"] for name in self.simple)

    def texts(self, raw: Iterable[object]) -> tuple[str, ...]:
        """Values of the simple groupings, as they are told apart."""
        return tuple(map(self._text, self.simple, raw))

    def _text(self, grouping: str, raw: object) -> str:
        text = text_of(raw)
        return text if raw is None or name_of([(grouping, text)]) in self._parts else OTHER


def compile_definitions(lifecycle: Lifecycle, reference: Reference | None) -> Definitions:
    """The groupings of a lifecycle, with the segments that its reference knows."""
    known = frozenset(s.segment for s in reference.segments) if reference else frozenset()
    simple = [s.name for s in lifecycle.segments if not s.by]  # combinations are made of these
    definitions = [
        Definition(
            tuple((name, simple.index(name)) for name in segment.by or (segment.name,)), known
        )
        for segment in lifecycle.segments
    ]
    return Definitions(simple, definitions or [Definition((), known)])


def most_frequent(
    lifecycle: Lifecycle, values: Mapping[str, Sequence[str]]
) -> dict[str, list[str]]:
    """The segments that a reference will know: the most frequent ones of each grouping, within its cap and the model's.

    Parameters
    ----------
    values : simple grouping -> the text of each event

    Returns
    -------
    dict
        Grouping, simple or combined -> the segment of each event; rare ones are `(other)`.
    """
    left, found = MOST_SEGMENTS, {}
    for segment in lifecycle.segments:
        groupings = segment.by or (segment.name,)
        rows = list(zip(*(values[name] for name in groupings), strict=True))
        other, none = (tuple([text] * len(groupings)) for text in (OTHER, NONE))
        counted = Counter(rows)
        del counted[other], counted[none]
        ranked = sorted(counted, key=lambda of: (-counted[of], of))
        kept = ranked[: min(segment.max_values, left)]
        left -= len(kept)
        names = {of: name_of([*zip(groupings, of, strict=True)]) for of in (other, none, *kept)}
        found[segment.name] = [names.get(row, names[other]) for row in rows]
    return found
