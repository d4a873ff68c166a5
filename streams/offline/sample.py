"""What does a source look like? Some of its rows, from all of its length, for a person who has no lifecycle yet.

The rows are chosen by the fractional parts of multiples of the golden ratio: spread evenly over the whole source,
whatever its length and its cycles are, and the same ones each time.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from streams.errors import UsageError
from streams.offline.opening import Lines, open_file
from streams.offline.tables import Role, Table, Values
from streams.topics import SOURCES, Names

__all__ = ["DEFAULT_ROWS", "Sample", "take"]

DEFAULT_ROWS = 20_000
_LONGEST_TOPIC = 20  # samples: a topic may hold weeks, and its beginning tells enough
_STEP, _TURN = 0x9E3779B97F4A7C15, 1 << 64  # the golden ratio's fractional part in 64 bits
_MOST_COLUMNS = 2_000
T = TypeVar("T")
Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows of a table, or JSON objects.

    `name` is that of the file without its folder, or ``topic:NAME``. `rows` counts what there is, `unreadable` what of
    it was looked at and is no JSON object, `whole` says whether its end was reached. One of `columns` and `events` is
    empty; in a table that knows no types (CSV) all values are text.
    """

    name: str
    rows: int
    whole: bool
    typed: bool
    columns: Mapping[str, Values]
    events: Sequence[Mapping[str, Any]]
    unreadable: int = 0

    @property
    def topic(self) -> str | None:
        """The topic's name, if it is one; None too for Leeway's own, where events are looked for anyway."""
        name = self.name.removeprefix("topic:")
        return None if name == self.name or name == Names()(SOURCES[0]) else name


class Chosen(Generic[T]):
    """At most `most` of all that come, evenly spread, in their order.

    >>> few = Chosen(4)
    >>> for n in range(20): few.offer(n, n)
    >>> few.kept
    [0, 5, 13, 18]
    """

    def __init__(self, most: int) -> None:
        self._most, self._below = max(most, 2), _TURN
        self._kept: list[tuple[int, T]] = []

    def offer(self, number: int, item: T) -> None:
        """The next item, and its place in the source."""
        turn = number * _STEP % _TURN
        if turn >= self._below:
            return
        self._kept.append((turn, item))
        while len(self._kept) > self._most:
            self._below //= 2
            self._kept = [one for one in self._kept if one[0] < self._below]

    @property
    def kept(self) -> list[T]:
        return [item for _, item in self._kept]


def take(
    name: str,
    most: int,
    past: Callable[[str], Iterator[Sequence[bytes]]],
    advance: Callable[[str, int | None], Any],
) -> Sample:
    """A sample of a source.

    Parameters
    ----------
    name : a file, or ``topic:NAME``
    most : rows of the sample
    past : reads a topic from its beginning to its present end
    advance : told what is read and how long it is, gives a context manager whose value is told how far it is

    Raises
    ------
    UsageError
        There is no such thing, it cannot be read, or it holds nothing.
    """
    if name.startswith("topic:"):
        with advance(name, None) as told:
            return _of_topic(name, most, past, told)
    opened = open_file(name)
    short = Path(name).name
    if isinstance(opened, Lines):
        with advance(name, opened.size) as told:
            return _of_lines(name, short, most, _lines(opened, told))
    with advance(name, opened.rows) as told:
        return _of_table(opened, short, most, told)


def _of_table(table: Table, short: str, most: int, advance: Advance) -> Sample:
    columns = table.columns
    if len(columns) > _MOST_COLUMNS:
        raise UsageError(
            f"{table.name}: has {len(columns):,} columns: expected at most {_MOST_COLUMNS:,}"
        )
    if len(set(columns)) < len(columns):
        twice = next(column for column in columns if columns.count(column) > 1)
        raise UsageError(f"{table.name}: column {twice!r} is there twice")
    chosen: Chosen[tuple[object, ...]] = Chosen(most)
    roles: dict[str, Role] = dict.fromkeys(columns, "any")
    rows = 0
    for batch in table.batches(roles):
        for row in zip(*(batch[column] for column in columns), strict=True):
            chosen.offer(rows, row)
            rows += 1
        advance(rows)
    if not rows or not columns:
        raise UsageError(f"{table.name}: has no rows")
    kept = list(zip(*chosen.kept, strict=True))
    return Sample(
        short, rows, True, table.rows is not None, dict(zip(columns, kept, strict=True)), ()
    )


def _lines(lines: Lines, advance: Advance) -> Iterator[Sequence[bytes]]:
    for block in lines.blocks():
        yield block.lines
        advance(block.read)


def _of_lines(name: str, short: str, most: int, blocks: Iterable[Sequence[bytes]]) -> Sample:
    chosen: Chosen[bytes] = Chosen(most)
    rows = 0
    for block in blocks:
        for line in block:
            chosen.offer(rows, line)
            rows += 1
    if not rows:
        raise UsageError(f"{name}: holds no events")
    return _decoded(name, short, rows, True, chosen.kept)


def _of_topic(
    name: str, most: int, past: Callable[[str], Iterator[Sequence[bytes]]], advance: Advance
) -> Sample:
    chosen: Chosen[bytes] = Chosen(most)
    rows, whole = 0, True
    reading = past(name.removeprefix("topic:"))
    with closing(reading):  # type: ignore[type-var] # a generator
        for values in reading:
            for value in values:
                chosen.offer(rows, value)
                rows += 1
            advance(rows)
            if rows >= most * _LONGEST_TOPIC:
                whole = False
                break
    if not rows:
        raise UsageError(f"{name}: the topic is empty")
    return _decoded(name, name, rows, whole, chosen.kept)


def _decoded(name: str, short: str, rows: int, whole: bool, values: Sequence[bytes]) -> Sample:
    events, why = [], ""
    for value in values:
        try:
            found = msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError, ValueError) as error:
            why = why or f"not JSON: {error}"
            continue
        if isinstance(found, dict):
            events.append(found)
        else:
            why = why or "JSON, but no object"
    if not events:
        hint = "; write one object per line" if values[0].lstrip()[:1] == b"[" else ""
        raise UsageError(
            f"{name}: none of the {len(values):,} events looked at is a JSON object: the first is {why}{hint}"
        )
    return Sample(short, rows, whole, True, {}, events, len(values) - len(events))
