"""Outcomes that wait as rows of numbers: what becomes of them, counted per subject, pane and day of prediction."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.binning import INVALID_TEXT, MAX_CATEGORY_LENGTH, json_text
from detectors.performance.counting import Columns, count
from detectors.performance.layout import Layout
from detectors.performance.slices import SliceLayout
from detectors.performance.slices import count as count_slices
from detectors.samples.effects import Floats, Ints
from detectors.sequences.contract import sample, sample_to_data
from streams.messages import pack_counts

Mask = NDArray[np.bool_]

DAY_MS = 86_400_000
NO_DAY = -1
ABSENT, INVALID, TOO_LONG = -1, -2, -3  # in place of the code of a class
_AT_ONCE = 1 << 21  # integers of the vectors that are made at once: bounds the memory


class Chunk(NamedTuple):
    """Some outcomes, a row each."""

    keys: Ints  # version and values of the segments, by number
    panes: Ints
    days: Ints  # start of the prediction's day, or NO_DAY
    counted: Mask  # in the pane; else in its day alone
    columns: Columns
    cells: Ints  # (features, rows), -1 where unknown
    singles: list[
        tuple[str, int]
    ]  # event id and time of each row, where errors are read one by one


class Counted(NamedTuple):
    """What a record says of one subject's outcomes in one pane."""

    outcomes: int
    corrected: int
    cells: bytes
    days: dict[int, bytes]
    slices: bytes
    values: list[Any]


NOTHING = Counted(0, 0, b"", {}, b"", [])


class Codes(dict[Any, int]):
    """Values of labels and predictions to codes of classes.

    A class that is none of the layout's gets one of its own for as long as these codes live: a right prediction of it
    is right.

    Examples
    --------
    >>> codes = Codes(("no", "yes"))
    >>> codes.of(["yes", None, "perhaps", 7, True, "no"]).tolist()
    [1, -1, 2, 3, 4, 0]
    """

    def __init__(self, classes: Sequence[str]) -> None:
        super().__init__({text: code for code, text in enumerate(classes)})
        self._next = len(classes)
        self[None], self[INVALID_TEXT] = ABSENT, INVALID

    def of(self, values: Sequence[Any]) -> Ints:
        """The code of each value; `ABSENT`, `INVALID` or `TOO_LONG` where there is none."""
        # 1 and true are one key, and two classes
        keys = [json_text(v) if v.__class__ is bool else v for v in values]
        return np.array([self[key] for key in keys], np.int64)

    def __missing__(self, value: Any) -> int:
        text = value if isinstance(value, str) else json_text(value)
        if len(text) > MAX_CATEGORY_LENGTH:
            return TOO_LONG
        if text not in self:
            self[text], self._next = self._next, self._next + 1
        self[value] = self[text]
        return self[text]


def joined(chunks: Sequence[Chunk]) -> Chunk:
    """Many as one."""
    return Chunk(
        np.concatenate([chunk.keys for chunk in chunks]),
        np.concatenate([chunk.panes for chunk in chunks]),
        np.concatenate([chunk.days for chunk in chunks]),
        np.concatenate([chunk.counted for chunk in chunks]),
        Columns(*map(np.concatenate, zip(*(chunk.columns for chunk in chunks), strict=True))),
        np.concatenate([chunk.cells for chunk in chunks], axis=1),
        [single for chunk in chunks for single in chunk.singles],
    )


def counted(
    layout: Layout, slices: SliceLayout | None, subjects: Ints, rows: Chunk
) -> Iterator[tuple[tuple[int, ...], Counted]]:
    """Count rows for their subjects.

    Parameters
    ----------
    subjects : the subject of each row, from 0 on

    Returns
    -------
    (subject, pane) and what was counted of it, ascending
    """
    pairs, record = _distinct(subjects, rows.panes)
    parts, part = _distinct(record, rows.days, rows.counted)
    order = np.argsort(part, kind="stable")
    firsts = np.searchsorted(part[order], np.arange(len(parts) + 1))
    back = np.bincount(record, rows.counted & (rows.columns.weights < 0), len(pairs))
    net = np.bincount(record, rows.counted * rows.columns.weights, len(pairs))
    values = _values(layout, record, len(pairs), rows)
    of_slices = _slices(slices, record, len(pairs), rows, losses(layout, rows.columns))
    cells: Ints = np.zeros(layout.total, np.int64)
    days: dict[int, Ints] = {}
    at_once = max(1, _AT_ONCE // layout.total)
    for first in range(0, len(parts), at_once):
        last = min(first + at_once, len(parts))
        which = order[firsts[first] : firsts[last]]
        vectors = count(layout, rows.columns.rows(which), part[which] - first, last - first)
        for place, vector in enumerate(vectors, start=first):
            of, day, in_pane = parts[place]
            if in_pane:
                cells += vector
            if day != NO_DAY:
                days[day] = days[day] + vector if day in days else vector
            if place + 1 < len(parts) and parts[place + 1][0] == of:
                continue
            found = Counted(
                int(net[of]),
                int(back[of]),
                pack_counts(cells),
                {day: pack_counts(vector) for day, vector in sorted(days.items())},
                of_slices[of],
                values[of],
            )
            yield pairs[of], found
            cells, days = np.zeros(layout.total, np.int64), {}


def _distinct(*columns: Any) -> tuple[list[tuple[int, ...]], Ints]:
    """The distinct rows of some columns of whole numbers, ascending, and which of them each row is."""
    place = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        distinct, which = np.unique(column, return_inverse=True)
        place = place * len(distinct) + which
    _, first, which = np.unique(place, return_index=True, return_inverse=True)
    return [tuple(int(c[i]) for c in columns) for i in first.tolist()], which


def _slices(
    layout: SliceLayout | None, record: Ints, records: int, rows: Chunk, lost: Floats
) -> list[bytes]:
    known = (rows.cells >= 0).any(axis=0) & rows.counted
    known &= np.isfinite(lost)
    found = [b""] * records
    if layout is None or not known.any():
        return found
    wrong = layout.whole(lost[known])
    cells, weights = rows.cells[:, known], rows.columns.weights[known]
    present, group = np.unique(record[known], return_inverse=True)
    order = np.argsort(group, kind="stable")
    at_once = max(1, _AT_ONCE // layout.total)
    firsts = np.searchsorted(group[order], np.arange(len(present) + 1))
    for first in range(0, len(present), at_once):
        last = min(first + at_once, len(present))
        which = order[firsts[first] : firsts[last]]
        vectors = count_slices(
            layout,
            cells[:, which],
            wrong[which],
            weights[which],
            group[which] - first,
            last - first,
        )
        for place, vector in zip(present[first:last].tolist(), vectors, strict=True):
            found[place] = pack_counts(vector)
    return found


def _values(layout: Layout, record: Ints, records: int, rows: Chunk) -> list[list[Any]]:
    """The errors or losses one by one. What a correction takes back is not unread: its new value comes beside it."""
    if not rows.singles:
        return [[]] * records
    read: list[list[tuple[str, int, float]]] = [[] for _ in range(records)]
    values = losses(layout, rows.columns).tolist()
    for i in np.flatnonzero(rows.counted & (rows.columns.weights > 0)).tolist():
        read[record[i]].append((*rows.singles[i], values[i]))
    drawn = map(sample, read)
    return [sample_to_data(one) if one.seen else [] for one in drawn]


def losses(layout: Layout, columns: Columns) -> Floats:
    """How wrong each outcome is: 0 or 1 of classes, the absolute error of numbers, else the loss that came with it."""
    if layout.task == "number":
        with np.errstate(over="ignore", invalid="ignore"):
            found = np.abs(columns.prediction_values - columns.label_values)
    else:
        known = (columns.labels >= 0) & (columns.predictions >= 0)
        found = np.where(known, columns.labels != columns.predictions, np.nan)
    return np.where(np.isnan(found), columns.losses, found)
