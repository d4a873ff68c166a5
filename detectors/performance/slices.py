"""What is counted so that one can ask where errors concentrate? Rows and errors by cells of features and of pairs.

Every outcome is counted in one cell of each feature and, for the first features, in one block of each pair of them: how
many rows, how many errors (or how much loss). Those are integers and add up in any order; `detectors.performance.
concentration` searches them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from itertools import combinations, pairwise
from math import isfinite
from typing import Literal

import numpy as np

from detectors.samples.effects import Floats, Ints
from detectors.series import Series

LONGEST = 4_096  # integers of one vector
PAIRED = 12  # features whose pairs are counted
GROUPS = 4  # of a feature's cells, in pairs
_PARTS, _LARGEST = 4_096, 32  # a loss is kept to 1/4096 of its scale, up to 32 of it
_NOWHERE = -(1 << 48)  # a place that stays below 0 whatever is added
_AT_ONCE = 1 << 13  # outcomes counted in one go: bounds the memory

Lost = Literal["error", "loss"]


@dataclass(frozen=True)
class SliceLayout:
    """What is counted where in the vector of slices.

    The vector starts with the window's totals. Then come the cells of `singles`, feature after feature, then the blocks
    of each pair. Every place holds `width` integers: rows and errors or, for a loss, rows, Σ loss, Σ loss².

    Parameters
    ----------
    series : the features, most important first
    lost : "error" (0 or 1) or "loss" (whole numbers of `unit`, at most 2^17)
    singles : how many of the features have their cells counted
    pairs : pairs of places in `series` that are counted
    left_out : what there was no room for, in words
    unit : what 1 is worth in the sums of a loss

    Notes
    -----
    In pairs a feature's values are in at most four groups: neighbouring cells of a number, the three most frequent
    categories and the others. Rows that lack one of the two values take no part in the pair.
    """

    series: tuple[Series, ...]
    lost: Lost
    singles: int
    pairs: tuple[tuple[int, int], ...]
    left_out: tuple[str, ...] = ()
    unit: float = 1.0

    @classmethod
    def of(
        cls,
        series: Sequence[Series],
        lost: Lost = "error",
        scale: float = 1.0,
        *,
        longest: int = LONGEST,
        paired: int = PAIRED,
    ) -> "SliceLayout":
        """As much as fits into `longest` integers: the cells of all features first, then pairs, in the given order.

        Parameters
        ----------
        scale : a usual size of the loss, such as the standard deviation of the reference's; kept to 2^-12 of it

        Examples
        --------
        >>> ages = Series("feature:age", "number", edges=(20.0, 40.0))
        >>> home = Series("feature:home", "boolean", categories=("false", "true"))
        >>> layout = SliceLayout.of([ages, home])
        >>> layout.total, layout.pairs  # 2 (1 + 5 + 4 + 3 × 2)
        (32, ((0, 1),))
        >>> SliceLayout.of([ages, home], longest=20).left_out
        ('pairs: 1 of 1',)
        """
        if not (scale > 0 and isfinite(scale)):
            raise ValueError(f"scale: expected a finite number above 0, not {scale}")
        width = 2 if lost == "error" else 3
        room = longest // width - 1
        singles = 0
        for each in series:
            if each.cells > room:
                break
            room -= each.cells
            singles += 1
        wanted = list(combinations(range(min(singles, paired)), 2))
        wanted.sort(key=lambda pair: (pair[1], pair[0]))  # those of the first features first
        pairs = []
        for i, j in wanted:
            size = len(groups(series[i])) * len(groups(series[j]))
            if size > room:
                break
            room -= size
            pairs.append((i, j))
        out = [each.name for each in series[singles:]]
        if len(pairs) < len(wanted):
            out.append(f"pairs: {len(wanted) - len(pairs)} of {len(wanted)}")
        unit = 1.0 if lost == "error" else scale / _PARTS
        return cls(tuple(series), lost, singles, tuple(pairs), tuple(out), unit)

    @property
    def width(self) -> int:
        """Integers per place."""
        return 2 if self.lost == "error" else 3

    @cached_property
    def starts(self) -> Ints:
        """The first place of each single, then of each pair, then the number of places."""
        sizes = [1, *(each.cells for each in self.series[: self.singles])]
        sizes += [len(groups(self.series[i])) * len(groups(self.series[j])) for i, j in self.pairs]
        return np.cumsum(sizes)

    @property
    def total(self) -> int:
        """Length of the vector."""
        return int(self.starts[-1]) * self.width

    @cached_property
    def digest(self) -> str:
        """What two vectors have in common that may be added."""
        text = repr((self.series[: self.singles], self.lost, self.pairs, self.unit))
        return blake2b(text.encode(), digest_size=8).hexdigest()

    @cached_property
    def group_of(self) -> tuple[Ints, ...]:
        """For each single: cell → its group in pairs, -1 for odd and missing."""
        found = []
        for each in self.series[: self.singles]:
            group = np.full(each.cells, -1)
            for number, (first, last) in enumerate(groups(each)):
                group[first : last + 1] = number
            found.append(group)
        return tuple(found)

    def whole(self, losses: Floats) -> Ints:
        """Losses as `count` takes them: whole numbers of `unit`, at most 32 scales; errors as they are. None is NaN.

        >>> SliceLayout.of([], "loss", scale=2.0).whole(np.array([0.5, 1e9])).tolist()
        [1024, 131072]
        >>> SliceLayout.of([]).whole(np.array([0.0, 1.0])).tolist()
        [0, 1]
        """
        if self.lost == "error":
            return np.asarray(losses, np.int64)
        return np.rint(np.minimum(losses / self.unit, _PARTS * _LARGEST)).astype(np.int64)


def groups(series: Series) -> list[tuple[int, int]]:
    """First and last value cell of each group of a feature in pairs; odd and missing are in none.

    >>> groups(Series("feature:age", "number", edges=(1.0, 2.0, 3.0, 4.0, 5.0)))
    [(0, 0), (1, 2), (3, 3), (4, 5)]
    """
    cells = series.values
    if cells <= GROUPS:
        return [(cell, cell) for cell in range(cells)]
    if not series.numeric:  # the most frequent come first
        return [*((cell, cell) for cell in range(GROUPS - 1)), (GROUPS - 1, cells - 1)]
    edges = [cells * k // GROUPS for k in range(GROUPS + 1)]
    return [(first, last - 1) for first, last in pairwise(edges)]


def count(
    layout: SliceLayout,
    cells: Ints,
    wrong: Ints,
    weights: Ints,
    of: Ints,
    n_groups: int,
) -> Ints:
    """One vector of slices per group (a pane, say) in one pass.

    Parameters
    ----------
    cells : (features, n): the cell of each outcome in each of `layout.series`; -1 where it is not known
    wrong : (n,): 1 for an error, else 0; or the loss as an integer
    weights : (n,): 1, or -1 where a correction takes an outcome back
    of : (n,): which of the vectors an outcome belongs to

    Returns
    -------
    Ints
        (n_groups, layout.total). Exact; the sum over any parts in any order is the same.

    Notes
    -----
    Cost 1 µs per outcome with twelve features (12 singles, 66 pairs).

    Examples
    --------
    >>> layout = SliceLayout.of([Series("feature:home", "boolean", categories=("false", "true"))])
    >>> count(layout, np.array([[0, 1, 1]]), np.array([0, 1, 0]), np.ones(3, int), np.zeros(3, int), 1)
    array([[3, 1, 1, 0, 2, 1, 0, 0, 0, 0]])
    """
    places, width = int(layout.starts[-1]), layout.width
    out = np.zeros((n_groups * places, width), np.int64)
    for first in range(0, len(wrong), _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        index = _places(layout, cells[:, part], of[part] * places)
        weight = np.asarray(weights[part], np.float64)
        lost = np.asarray(wrong[part], np.float64)
        _add(out[:, 0], index, weight)
        bad = np.flatnonzero(lost)
        if len(bad):
            index, amount = index[:, bad], (weight * lost)[bad]
            _add(out[:, 1], index, amount)
            if width == 3:
                _add(out[:, 2], index, amount * lost[bad])
    return out.reshape(n_groups, places * width)


def _add(out: Ints, index: Ints, amount: Floats) -> None:
    """Add each column's amount at its places; whole numbers, so that a chunk's sums are exact: below 2^53."""
    known = index >= 0
    flat = index[known]
    if (amount == 1).all():
        found = np.bincount(flat, minlength=len(out))
    else:
        found = np.bincount(flat, np.broadcast_to(amount, index.shape)[known], len(out))
    out += found.astype(np.int64)


def _places(layout: SliceLayout, cells: Ints, base: Ints) -> Ints:
    """(1 + singles + pairs, n): the place of each outcome in each block, below 0 for none."""
    n, singles, starts = cells.shape[1], layout.singles, layout.starts.tolist()
    index = np.empty((1 + singles + len(layout.pairs), n), np.int64)
    index[0] = base
    for feature in range(singles):
        own = cells[feature]
        index[1 + feature] = np.where(own >= 0, own + (base + starts[feature]), _NOWHERE)
    used = sorted({feature for pair in layout.pairs for feature in pair})
    # The last entry stands for -1, a cell that is not known.
    groups_of = {f: np.append(layout.group_of[f], -1) for f in used}
    grouped = {f: np.where(g < 0, _NOWHERE, g)[cells[f]] for f, g in groups_of.items()}
    for number, (i, j) in enumerate(layout.pairs):
        across = len(groups(layout.series[j]))
        index[1 + singles + number] = grouped[i] * across + grouped[j] + base
        index[1 + singles + number] += starts[singles + number]
    return index
