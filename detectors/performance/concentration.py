"""Where do the errors concentrate? A search over the cells of features, over pairs of features, and over segments.

`search` compares each slice with the rest of its window or, given the same counts of the reference, what the slice lost
with what the rest lost. It corrects for everything it looked at.

Blind to slices that are no cell, pair or segment, and to damage that is everywhere alike: then no slice is named.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Literal, NamedTuple

import numpy as np
from scipy import special

from detectors.performance.slices import Lost, SliceLayout, groups
from detectors.performance.tallies import LEAST, compare, holm, possible, rates, square_error
from detectors.samples.effects import Floats, Ints, difference
from detectors.series import Series

CERTAINTY = 0.05  # chance that a window in which errors concentrate nowhere names a slice
FLOOR = 0.02  # smallest excess of the error rate that is worth a name
MOST = 5
_BESIDE = 0.01  # p-value up to which a cell is above others beside a slice that was named before it


class Slice(NamedTuple):
    """One slice in which errors concentrate.

    `rate` is its error rate (mean loss), `against` that of the rest of the window or, with a reference, its own past.
    `low` to `high` is a 95 % interval of the difference, `excess` how much the difference is above that of the rest
    (without a reference: the difference itself), `share` the part of all errors (with a reference: of all that were
    added) that it explains, `p_value` corrected for everything that was looked at.
    """

    name: str
    rows: int
    rate: float
    against: float
    low: float
    high: float
    lift: float | None  # rate / against; None where that is 0
    excess: float
    rows_share: float
    share: float
    p_value: float


class Found(NamedTuple):
    """What a search found, the clearest first; how many slices it looked at, and what it could not look at."""

    slices: tuple[Slice, ...]
    looked_at: int
    versus: Literal["rest", "past"]
    left_out: tuple[str, ...]


def search(
    layout: SliceLayout,
    counts: Ints,
    segments: Mapping[str, Sequence[int]] | None = None,
    *,
    past: Ints | None = None,
    past_segments: Mapping[str, Sequence[int]] | None = None,
    floor: float | None = None,
    most: int = MOST,
) -> Found:
    r"""The slices in which errors concentrate, the clearest first; none where nothing is clear.

    Parameters
    ----------
    counts : (layout.total,): the window's
    segments : name → (rows, errors) or (rows, Σ loss, Σ loss²) of the window
    past, past_segments : the same of the reference. With them the question is where errors were *added*
    floor : smallest excess to be named; default: the smaller of .02 and half of the window's error rate, a quarter of
        its mean loss
    most : how many slices are named at most

    Returns
    -------
    Found
        Without `past` an excess is the slice's rate less that of the rest. With it, the slice's rate less its own past
        one, less the same difference of the rest: damage that is everywhere alike names no slice. A slice that had
        fewer than 30 rows in the past (an unseen category) is compared with the whole past.

    Raises
    ------
    ValueError
        Where a vector has not the length of the layout.

    Notes
    -----
    One-sided tests of excess > 0. Errors against the rest: the conditional (Fisher) tail
    :math:`P(X \ge k) \le \mathrm{pmf}(k)/(1 - r_k)`, X hypergeometric and r_k the ratio of its next two terms; exact in
    that it is never too small. Losses: Welch's t on n - 1 degrees of freedom of the slice. Against the past: a
    difference of differences in its standard errors, each rate with one error and one right answer added [1]_.
    p-values are Holm's over all slices, empty ones too. Intervals are Newcombe's at the level 1 - .05 R/K for R
    rejected of K slices [2]_, since they belong to slices that were picked.

    A slice is not named twice. A pair must be clear against the rest of both its parts, and beyond
    their sum. A cell must remain above
    others (p < .01) among the rows that a slice named before it does not hold, as far as pairs were counted. Segments
    are not pruned: how they overlap is not known.

    Assumes rows that are independent given what they share as a window. Cost about 3 ms for 2,000 slices.

    Examples
    --------
    >>> layout = SliceLayout.of([Series("feature:home", "boolean", categories=("false", "true"))])
    >>> found = search(layout, np.array([1000, 150, 500, 100, 500, 50, 0, 0, 0, 0]))
    >>> best = found.slices[0]
    >>> best.name, best.rate, best.against, best.lift, found.looked_at
    ('feature:home value 1 of 2', 0.2, 0.1, 2.0, 4)

    References
    ----------
    .. [1] Agresti, A., Caffo, B. (2000). Simple and effective confidence intervals for proportions and differences of
       proportions result from adding two successes and two failures. The American Statistician 54.
    .. [2] Benjamini, Y., Yekutieli, D. (2005). False discovery rate-adjusted multiple confidence intervals for selected
       parameters. JASA 100.
    """
    tables = _tables(layout, counts, past)
    candidates = _candidates(layout)
    more = sorted(segments or {})
    looked_at = len(candidates) + len(more)
    versus: Literal["rest", "past"] = "rest" if past is None else "past"
    totals = tables[:, :1]
    inside = np.concatenate(
        [
            tables[:, [c.place for c in candidates]],
            _segments(
                layout.width, more, segments or {}, past_segments if versus == "past" else {}
            ),
        ],
        axis=1,
    )
    if not looked_at:
        return Found((), 0, versus, layout.left_out)
    excess, log_p = compare(inside, totals - inside, past is not None)
    corrected = holm(log_p)
    rejected = (corrected <= CERTAINTY) & (excess > 0)
    z = -float(special.ndtri(CERTAINTY * max(int(rejected.sum()), 1) / (2 * looked_at)))
    limit = (
        _floor(layout.lost, float(rates(totals)[0, 0])) if floor is None else floor / layout.unit
    )
    worth = np.flatnonzero(rejected & (excess >= limit))
    order = worth[np.lexsort((worth, -excess[worth], log_p[worth]))]
    named: list[int] = []
    beside = _Beside(layout, tables, past is not None, log(CERTAINTY / looked_at))
    for i in order.tolist():
        if len(named) < most and (
            i >= len(candidates)
            or beside.clear(candidates[i], [candidates[j] for j in named if j < len(candidates)])
        ):
            named.append(i)
    names = [*(c.name for c in candidates), *more]
    slices = []
    for i in named:
        rate, against, low, high, share = _told(inside[:, i], totals[:, 0], past is not None, z)
        slices.append(
            Slice(
                names[i],
                int(inside[0, i, 0]),
                rate * layout.unit,
                against * layout.unit,
                low * layout.unit,
                high * layout.unit,
                rate / against if against > 0 else None,
                float(excess[i]) * layout.unit,
                min(float(inside[0, i, 0] / max(totals[0, 0, 0], 1.0)), 1.0),
                share,
                float(corrected[i]),
            )
        )
    return Found(tuple(slices), looked_at, versus, layout.left_out)


class _Candidate(NamedTuple):
    """A slice to look at: its name, its place in the tables, and its parts as (feature, group) of the pairs."""

    name: str
    place: int
    parts: tuple[tuple[int, int], ...]


def _tables(layout: SliceLayout, counts: Ints, past: Ints | None) -> Floats:
    """(2, places, width)."""
    sides = [counts, np.zeros_like(counts) if past is None else past]
    if any(side.shape != (layout.total,) for side in sides):
        raise ValueError(f"expected vectors of {layout.total} integers: another layout's?")
    return possible(np.stack(sides).reshape(2, -1, layout.width).astype(np.float64))


def _segments(
    width: int,
    names: Sequence[str],
    now: Mapping[str, Sequence[int]],
    past: Mapping[str, Sequence[int]] | None,
) -> Floats:
    tallies = np.zeros((2, len(names), width))
    for side, of in enumerate((now, past or {})):
        for i, name in enumerate(names):
            tallies[side, i] = of.get(name, (0,) * width)
    return possible(tallies)


def _candidates(layout: SliceLayout) -> list[_Candidate]:
    found = []
    for feature, each in enumerate(layout.series[: layout.singles]):
        group = layout.group_of[feature].tolist()
        found += [
            _Candidate(
                _cell(each, cell), int(layout.starts[feature]) + cell, ((feature, group[cell]),)
            )
            for cell in range(each.cells)
        ]
    for number, (i, j) in enumerate(layout.pairs):
        place = int(layout.starts[layout.singles + number])
        for a, left in enumerate(groups(layout.series[i])):
            for b, right in enumerate(groups(layout.series[j])):
                name = f"{_group(layout.series[i], *left)} and {_group(layout.series[j], *right)}"
                found.append(_Candidate(name, place, ((i, a), (j, b))))
                place += 1
    return found


def _cell(series: Series, cell: int) -> str:
    """A cell in words, without the values that are in it."""
    if cell >= series.values:
        odd = "invalid" if series.numeric else "unseen"
        return f"{series.name} {odd if cell == series.values else 'missing'}"
    return _group(series, cell, cell)


def _group(series: Series, first: int, last: int) -> str:
    word = "bin" if series.numeric else "value"
    if first == last:
        return f"{series.name} {word} {first + 1} of {series.values}"
    return f"{series.name} {word}s {first + 1}-{last + 1} of {series.values}"


def _floor(lost: Lost, rate: float) -> float:
    return min(FLOOR, rate / 2) if lost == "error" else rate / 4


@dataclass(frozen=True, slots=True)
class _Beside:
    """Is a slice more than what was named before it, or than its parts?"""

    layout: SliceLayout
    tables: Floats
    past: bool
    bar: float  # logarithm of the p-value that a pair must stay below

    def clear(self, slice_: _Candidate, named: Sequence[_Candidate]) -> bool:
        if len(slice_.parts) == 2:
            return self._beyond_parts(slice_) and not any(
                len(other.parts) == 2 and self._same(slice_, other) for other in named
            )
        return all(self._beside(slice_.parts[0], other) for other in named)

    def _pair(self, i: int, j: int) -> Floats | None:
        """(2, groups of i, groups of j, width); None where it is not counted."""
        key = (min(i, j), max(i, j))
        if key not in self.layout.pairs:
            return None
        number = self.layout.singles + self.layout.pairs.index(key)
        first, last = self.layout.starts[number], self.layout.starts[number + 1]
        shape = (2, len(groups(self.layout.series[key[0]])), -1, self.layout.width)
        table = self.tables[:, first:last].reshape(shape)
        return table if key == (i, j) else table.swapaxes(1, 2)

    def _beyond_parts(self, slice_: _Candidate) -> bool:
        (i, a), (j, b) = slice_.parts
        table = self._pair(i, j)
        assert table is not None  # where the slice is from
        own = table[:, a, b]
        row, column = table[:, a].sum(1) - own, table[:, :, b].sum(1) - own
        rests = np.stack([row, column], axis=1)
        if not (compare(np.stack([own, own], axis=1), rests, self.past)[1] < self.bar).all():
            return False
        # Two parts that add up are no pair of their own: more than row + column - neither.
        neither = table.sum((1, 2)) - own - row - column
        four = (own, row, column, neither)
        more = rates(own) - rates(row) - rates(column) + rates(neither)
        square = np.stack([square_error(each) for each in four]).sum(0)
        if self.past:
            t = (more[0] - more[1]) / np.sqrt(np.maximum(square[0] + square[1], 1e-300))
        else:
            t = more[0] / np.sqrt(np.maximum(square[0], 1e-300))
        return bool(special.log_ndtr(-t) < self.bar)

    def _beside(self, part: tuple[int, int], other: _Candidate) -> bool:
        """Is the cell's group above others where the other slice is not?"""
        (feature, group), features = part, [f for f, _ in other.parts]
        if feature in features:
            if len(other.parts) == 1 or dict(other.parts)[feature] != group:
                return True  # they share no row
            x, h = next(p for p in other.parts if p[0] != feature)
            table = self._pair(feature, x)
            assert table is not None  # where the other slice is from
            own = table[:, group].sum(1) - table[:, group, h]
            rest = table.sum((1, 2)) - table[:, group].sum(1)
            return self._above(own, rest)
        for x, h in other.parts:
            table = self._pair(feature, x)
            if group < 0 or h < 0 or table is None:
                continue
            left = np.delete(table, h, axis=2)
            own = left[:, group].sum(1)
            if not self._above(own, left.sum((1, 2)) - own):
                return False
        return True

    def _above(self, own: Floats, rest: Floats) -> bool:
        return bool(compare(own[:, None], rest[:, None], self.past)[1][0] < log(_BESIDE))

    def _same(self, slice_: _Candidate, other: _Candidate) -> bool:
        """Whether each part of one is, for the most part, a part of the other."""
        return all(any(self._mostly(p, q) for q in other.parts) for p in slice_.parts)

    def _mostly(self, part: tuple[int, int], other: tuple[int, int]) -> bool:
        if part[0] == other[0]:
            return part == other
        table = self._pair(part[0], other[0])
        if table is None:  # for want of room
            return False
        rows = table[0, part[1], :, 0]
        return bool(2 * rows[other[1]] >= max(float(rows.sum()), 1.0))


def _told(
    inside: Floats, totals: Floats, past: bool, z: float
) -> tuple[float, float, float, float, float]:
    """Rate, what it is held against, the interval of the difference, the share of the errors that it explains."""
    rows, rate = float(inside[0, 0]), float(rates(inside)[0])
    other = possible(totals[0] - inside[0])
    if past:
        other = inside[1] if inside[1, 0] >= LEAST else totals[1]
    against = float(rates(other))
    if len(other) == 2:
        _, low, high = difference(other[1], other[0], inside[0, 1], inside[0, 0], z=z)
    else:
        half = z * np.sqrt(square_error(inside[0]) + square_error(other))
        low, high = rate - against - half, rate - against + half
    added = rows * (rate - against)
    whole = float(totals[0, 1] - (totals[0, 0] * rates(totals)[1] if past else 0.0))
    share = min(max(added / whole, 0.0), 1.0) if whole > 0 else 0.0
    return rate, against, float(low), float(high), share
