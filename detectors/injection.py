"""How does a window look after a change that did not happen? Counts in, counts out, by any size of change.

A change is put into a window that was really seen, so everything else in it stays as it was: its noise, its season, the
dependence of its rows. Nothing is drawn: rows are taken at equal distances, and what cannot be divided is spread over
windows by multiples of the golden ratio, which fill an interval evenly.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from detectors.judging.plan import Plan
from detectors.samples.effects import Floats, Ints
from detectors.series import Series

Kind = Literal["shift", "share", "missing"]

_GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True, eq=False)
class Injection:
    """A change of one series, by any size.

    ``shift`` moves every value by `size` reference standard deviations, whole numbers by whole steps whose mean is
    that; a value that holds a cell's worth of the rows (many zeros, say) stays where it is. ``share`` moves that share
    of the rows from the `source` cells into `target`, and ``missing`` into the missing cell.

    Parameters
    ----------
    first : place of the series' first cell in the flat counts
    values : for a shift, the finite values in every window of the past
    """

    kind: Kind
    series: Series
    first: int
    values: tuple[Floats, ...] = ()
    source: tuple[int, ...] = ()
    target: int = 0

    def into(self, counts: Ints, size: float, at: int) -> None:
        """Change `counts`, the window `at` of the past, in place."""
        cells = counts[self.first : self.first + self.series.cells]
        if self.kind == "shift":  # a difference, so that rows whose value is not at hand stay
            change = self._counted(at, size * self.series.scale) - self._unmoved[at]
            cells[:-1] = np.maximum(cells[:-1] + change, 0)
            return
        rows = int(cells.sum())
        even = (at * _GOLDEN) % 1  # no share is too small: its mean over windows is exact
        source = np.array(self.source)
        taken = spread_over(cells[source], int(size * rows + even), phase=even)
        cells[source] -= taken
        cells[self.target] += int(taken.sum())

    @cached_property
    def _prepared(self) -> tuple[tuple[Floats, ...], bool]:
        """What moves in every window, sorted; and whether it moves in whole steps."""
        every = np.concatenate([*self.values, np.empty(0)])
        whole = bool((every == np.rint(every)).all())
        if whole:
            # x + floor(d + u) with u spread evenly over [0, 1) is a whole step with mean d; u is added here already.
            return tuple(np.sort(v + (np.arange(len(v)) * _GOLDEN) % 1) for v in self.values), whole
        distinct, held = np.unique(every, return_counts=True)
        heavy = distinct[held * self.series.values >= len(every)]
        return tuple(np.sort(v[~np.isin(v, heavy)]) for v in self.values), whole

    @cached_property
    def _unmoved(self) -> list[Ints]:
        return [self._counted(at, 0.0) for at in range(len(self.values))]

    def _counted(self, at: int, amount: float) -> Ints:
        """Value cells and odd of what moves, moved by an amount."""
        moving, whole = self._prepared
        values, series = moving[at], self.series
        if series.support:
            low = np.array(series.support) - amount
            held = np.searchsorted(values, low + 1, "left") - np.searchsorted(values, low, "left")
            return np.append(held, len(values) - held.sum())
        edges = np.array(series.edges)
        if whole:
            below = np.searchsorted(values, np.floor(edges) + 1 - amount, "left")
        else:
            below = np.searchsorted(values, edges - amount, "right")
        out = np.zeros(series.values + 1, np.int64)  # odd is 0
        out[: len(edges)] = below
        out[len(edges)] = len(values)
        out[1 : len(edges) + 1] -= below
        return out


def spread_over(cells: Ints, rows: int, phase: float = 0.5) -> Ints:
    """Which cells so many rows come from, taken at equal distances: in proportion, and each at most as often as it has.

    Examples
    --------
    >>> spread_over(np.array([50, 30, 20]), 10).tolist()
    [5, 3, 2]
    >>> spread_over(np.array([2, 0, 1]), 99).tolist()
    [2, 0, 1]
    """
    total = int(cells.sum())
    rows = min(rows, total)
    if rows <= 0:
        return np.zeros(len(cells), np.int64)
    at = np.floor((np.arange(rows) + phase) * (total / rows)).astype(np.int64)
    which = np.searchsorted(np.cumsum(cells), np.minimum(at, total - 1), side="right")
    return np.bincount(which, minlength=len(cells)).astype(np.int64)


def injections(
    plan: Plan, values: Mapping[str, tuple[Floats, ...]]
) -> tuple[tuple[Injection | None, ...], tuple[Injection, ...]]:
    """What can be injected into every watched series, in their order: a change of its values, and of its missing share.

    A number moves if it varies and its `values` are at hand, by series name and window; one that nearly always is the
    same gets another value in a share of the rows. In a category rows move from its most frequent value to the second.

    Returns
    -------
    of the values (None: its values are not at hand), of the missing share
    """
    of_values: list[Injection | None] = []
    of_missing = []
    assert plan.watch is not None
    for column, k in enumerate(plan.watch.positions):
        series, first = plan.series[k], plan.offsets[k]
        counts = plan.counts[first : first + series.values]
        kinds = {
            kind
            for kind, of in zip(plan.watch.panel.kinds, plan.watch.panel.series, strict=True)
            if of == column
        }
        ranked = np.argsort(-counts, kind="stable")
        everywhere = tuple(range(series.values))
        if "location" in kinds:
            mine = values.get(series.name)
            of_values.append(
                None if mine is None else Injection("shift", series, first, values=mine)
            )
        else:  # the most frequent value becomes the second; where there is none, one that was never seen
            target = int(ranked[1]) if len(ranked) > 1 else series.values
            source = (int(ranked[0]),)
            of_values.append(Injection("share", series, first, source=source, target=target))
        of_missing.append(
            Injection("missing", series, first, source=everywhere, target=series.values + 1)
        )
    return tuple(of_values), tuple(of_missing)
