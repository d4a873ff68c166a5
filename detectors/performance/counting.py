"""Outcomes in, integers out: columns of many outcomes, counted for many panes or days in one pass."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.performance.layout import (
    LAG_EDGES_MS,
    LAGS,
    LEAST_PROBABILITY,
    SHOWN,
    UNIT,
    Layout,
)
from detectors.performance.magnitude import LARGEST, halves, magnitudes, rounded
from detectors.samples.effects import Floats, Ints
from detectors.series import Series

MOST_ROWS = 1 << 20  # per pass: 2^20 terms of up to 2^30 stay exact in a float64

_Mask = NDArray[np.bool_]


class Columns(NamedTuple):
    """Some outcomes, a column for each field. What a task has no use for is not looked at.

    `labels`, `predictions`: int64 codes of `Layout.classes`. A class that is none of them has any code from
    ``len(classes)`` on, equal ones for equal classes, so that a right prediction of it is known for one. -1: absent.
    """

    labels: Ints
    predictions: Ints
    scores: Floats  # NaN: absent
    label_values: Floats  # of a task of numbers; NaN: absent
    prediction_values: Floats
    losses: Floats  # feedback, 0 to 1; NaN: absent
    weights: Ints  # 1, or -1 for an outcome that is taken back
    lag_ms: Ints  # label time less prediction time; -1: unknown

    @staticmethod
    def of(
        rows: int,
        *,
        labels: Ints | None = None,
        predictions: Ints | None = None,
        scores: Floats | None = None,
        label_values: Floats | None = None,
        prediction_values: Floats | None = None,
        losses: Floats | None = None,
        weights: Ints | None = None,
        lag_ms: Ints | None = None,
    ) -> "Columns":
        """So many outcomes; a column not given is absent, a weight 1."""
        none, nan = np.full(rows, -1, np.int64), np.full(rows, np.nan)
        return Columns(
            none if labels is None else labels,
            none if predictions is None else predictions,
            nan if scores is None else scores,
            nan if label_values is None else label_values,
            nan if prediction_values is None else prediction_values,
            nan if losses is None else losses,
            np.ones(rows, np.int64) if weights is None else weights,
            none if lag_ms is None else lag_ms,
        )

    def rows(self, which: slice | _Mask | Ints) -> "Columns":
        """Some of the outcomes."""
        return Columns(
            self.labels[which],
            self.predictions[which],
            self.scores[which],
            self.label_values[which],
            self.prediction_values[which],
            self.losses[which],
            self.weights[which],
            self.lag_ms[which],
        )


def count(layout: Layout, columns: Columns, groups: Ints | None = None, n_groups: int = 1) -> Ints:
    """The vectors of groups of outcomes.

    Parameters
    ----------
    groups : int64, shape (rows,)
        Which group each outcome is in, from 0 to ``n_groups - 1``; None: all are in one.

    Returns
    -------
    int64, shape (n_groups, layout.total)

    Notes
    -----
    Cost .2 µs per outcome of a binary task, .5 of numbers, and 8 bytes × n_groups × the longest block. Processors of
    another kind may round the last bit of a logarithm otherwise; of 10^9 outcomes one then adds 2^-20 more or less.

    Examples
    --------
    >>> layout = Layout.of("binary", ("no", "yes"), "yes")
    >>> some = Columns.of(4, labels=np.array([0, 1, 1, 1]), predictions=np.array([0, 1, 0, -1]))
    >>> counted = count(layout, some)[0]
    >>> layout.read(counted, "confusion").tolist(), layout.read(counted, "right").tolist()
    ([[1, 0, 0, 0], [1, 1, 0, 1], [0, 0, 0, 0]], [2])
    """
    out = np.zeros((n_groups, layout.total), np.int64)
    rows = len(columns.weights)
    within = np.zeros(rows, np.int64) if groups is None else groups
    for start in range(0, rows, MOST_ROWS):
        part = slice(start, start + MOST_ROWS)
        _Pass(layout, columns.rows(part), within[part], out).run()
    return out


class _Pass:
    """One pass over at most 2^20 outcomes: adds every block to `out`."""

    def __init__(self, layout: Layout, columns: Columns, groups: Ints, out: Ints) -> None:
        self.layout, self.columns, self.groups, self.out = layout, columns, groups, out
        weights = columns.weights.astype(np.float64)
        self.weights = weights if (weights != 1).any() else None

    def run(self) -> None:
        columns = self.columns
        self._add("rows", 0, None, 0)
        lags = np.searchsorted(np.array(LAG_EDGES_MS), columns.lag_ms, side="left")
        self._add("lag", np.where(columns.lag_ms < 0, LAGS - 1, lags), None)
        if self.layout.task in ("binary", "classes"):
            self._classes()
        elif self.layout.task == "number":
            self._numbers()
        elif self.layout.loss:
            self._loss_cells(columns.losses, ~np.isnan(columns.losses))
        fed = np.isfinite(columns.losses)
        if fed.any():
            loss = np.clip(columns.losses[fed], 0.0, 1.0)
            self._sums("feedback", fed, (None, _units(loss), _units(loss * loss)))

    def _classes(self) -> None:
        layout, columns = self.layout, self.columns
        kinds = len(layout.classes)
        shown = min(kinds, SHOWN)
        known, said = columns.labels >= 0, columns.predictions >= 0
        both = known & said
        assert layout.label is not None
        self._add("label", np.minimum(columns.labels, kinds), known)  # odd is next to the classes
        actual = np.minimum(columns.labels, shown)
        predicted = np.where(said, np.minimum(columns.predictions, shown), shown + 1)
        self._add("confusion", actual * (shown + 2) + predicted, known)
        right = columns.labels == columns.predictions
        self._add("right", 0, both & right, 0)
        if layout.shape("each")[0]:
            for place, codes, which in (
                (0, columns.labels, both & right),
                (1, columns.predictions, both),
                (2, columns.labels, both),
            ):
                self._add("each", codes * 3 + place, which & (codes < kinds))
        if layout.scored is not None:
            self._scores(both if layout.scored == "confidence" else known, right)

    def _scores(self, usable: _Mask, right: _Mask) -> None:
        layout, columns = self.layout, self.columns
        usable = usable & np.isfinite(columns.scores)
        scores = columns.scores[usable]
        hit = (
            right[usable] if layout.positive is None else columns.labels[usable] == layout.positive
        )
        bins = np.searchsorted(layout.score_edges, scores, side="left")
        self._add_selected("score", bins * 2 + hit, usable, None)
        low, high = layout.score_range
        share = np.clip((scores - low) / (high - low), 0.0, 1.0)
        self._add_selected("score_sum", bins, usable, _units(share))
        given = np.clip(share, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
        log_loss = -np.log(np.where(hit, given, 1 - given))
        brier = np.square(share - hit)
        self._sums(
            "proper",
            usable,
            (
                *(_units(log_loss), _units(log_loss * log_loss)),
                *(_units(brier), _units(brier * brier), _units(share * share), None),
            ),
        )

    def _numbers(self) -> None:
        layout, columns = self.layout, self.columns
        given = ~np.isnan(columns.label_values)
        if layout.label:
            self._cells("label", layout.label, columns.label_values, given)
        with np.errstate(over="ignore", invalid="ignore"):  # inf less inf is counted as odd
            error = columns.prediction_values - columns.label_values
        if layout.loss:
            size = np.abs(error)
            strange = np.isinf(columns.label_values) | np.isinf(columns.prediction_values)
            self._loss_cells(np.where(strange, np.inf, size), given)
        usable = np.isfinite(columns.label_values) & np.isfinite(columns.prediction_values)
        e, y = error[usable], columns.label_values[usable]
        k, m = magnitudes(e)
        over = e > 0
        square = m * m
        high, low = halves(square)
        fourth = halves(np.square(rounded(square)))
        sides = [(np.where(side, part, 0)) for side in (over, ~over) for part in (m, high, low)]
        self._by_magnitude(
            "error", usable, k, (sides[0], sides[3], *sides[1:3], *sides[4:], *fourth)
        )
        with np.errstate(over="ignore"):
            k, m = magnitudes(y - layout.centre)
        sign = np.where(y < layout.centre, -1, 1)
        square = m * m
        b = rounded(square)
        parts = (*halves(square), *(sign * p for p in halves(m * b)), *halves(b * b))
        self._by_magnitude("truth", usable, k, (sign * m, *parts))
        divided = usable & (columns.label_values != 0)
        with np.errstate(over="ignore"):
            k, m = magnitudes(error[divided] / columns.label_values[divided])
        self._by_magnitude("ratio", divided, k, (m, *halves(m * m)))
        clipped = (np.abs(e) > LARGEST) | (np.abs(y) > LARGEST)
        self._sums(
            "number", usable, (None, clipped.astype(np.float64), (y != 0).astype(np.float64))
        )

    def _cells(self, block: str, series: Series, values: Floats, which: _Mask) -> None:
        """Value cells as everywhere, odd where the value is infinite or none of the supported, missing where NaN."""
        seen = values[which]
        if series.support:
            support = np.array(series.support)
            cells = np.searchsorted([a + 0.5 for a in series.support[:-1]], seen, side="left")
            odd = (support[cells] != seen) & ~np.isnan(seen)
        else:
            cells = np.searchsorted(series.edges, seen, side="left")
            odd = np.isinf(seen)
        cells = np.where(odd, series.values, np.where(np.isnan(seen), series.values + 1, cells))
        self._add_selected(block, cells, which, None)

    def _loss_cells(self, losses: Floats, which: _Mask) -> None:
        assert self.layout.loss is not None
        self._cells("loss", self.layout.loss, losses, which)

    def _by_magnitude(self, block: str, which: _Mask, k: Ints, terms: Iterable[Ints]) -> None:
        width = self.layout.shape(block)[1]
        for place, term in enumerate(terms):
            self._add_selected(block, k * width + place, which, term.astype(np.float64))

    def _sums(self, block: str, which: _Mask, terms: Iterable[Floats | None]) -> None:
        for place, term in enumerate(terms):
            self._add_selected(block, place, which, term, place)

    def _add(
        self, block: str, cells: Ints | int, which: _Mask | None, place: int | None = None
    ) -> None:
        """Count every outcome, or those of `which`, in its cell of the block."""
        if which is None or which.all():
            self._add_selected(block, cells, None, None, place)
        elif isinstance(cells, int):
            self._add_selected(block, cells, which, None, place)
        else:
            self._add_selected(block, cells[which], which, None, place)

    def _add_selected(
        self,
        block: str,
        cells: Ints | int,
        which: _Mask | None,
        terms: Floats | None,
        place: int | None = None,
    ) -> None:
        """Add whole numbers (None: ones), already only those of `which`, to the cells of a block or to one place."""
        groups = self.groups if which is None else self.groups[which]
        weights = self.weights
        if weights is not None and which is not None:
            weights = weights[which]
        if terms is not None:
            weights = terms if weights is None else terms * weights
        n = len(self.out)
        where = self.layout.block(block)
        if place is not None:
            found = np.bincount(groups, weights, n)
            self.out[:, where.start + place] += found.astype(np.int64)
            return
        width = where.stop - where.start
        found = np.bincount(groups * width + cells, weights, n * width)
        self.out[:, where] += found.astype(np.int64).reshape(n, width)


def _units(values: Floats) -> Floats:
    """Whole numbers of 2^-20."""
    return np.rint(values * UNIT)
