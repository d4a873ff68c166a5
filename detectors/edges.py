"""Where are the cells of a series cut? Frozen once, from reference values alone, never again.

Bins taken from reference and current together would let one outlier of the current window hide a real shift.
"""

from collections import Counter
from dataclasses import dataclass
from math import inf, isfinite, nextafter

import numpy as np

from detectors.binning import Column
from detectors.samples.effects import Floats
from detectors.series import Series

FEW = 20  # integers of at most so many distinct values have a cell for each
TOP_CATEGORIES = 50
KNOWN_CATEGORIES = 10_000  # more distinct values than this are identifiers, not categories
MINIMUM_ROWS = 200  # fewer finite values are no reference
SOLID_ROWS = 1_000  # fewer give cells of less than a hundred rows
TINY = 1e-300  # a scale below it has no usable inverse
NORMAL_IQR = 1.349  # interquartile range of the standard normal distribution


@dataclass(frozen=True, slots=True)
class Cut:
    """A series cut into cells, and what to warn about."""

    series: Series
    warnings: tuple[str, ...] = ()


def cut(column: Column, bins: int) -> Cut:
    """Fix the cells of a series from the values of the reference.

    Parameters
    ----------
    column : the reference's values; missing and odd ones play no part
    bins : how many cells a number should have

    Examples
    --------
    >>> income = Column("feature:income", "number", np.arange(1.0, 1001.0) / 8, np.zeros(1000, bool))
    >>> cut(income, bins=4).series.edges
    (31.25, 62.5, 93.75)
    >>> clicks = Column("feature:clicks", "integer", np.array([0.0, 1, 2, 2] * 250), np.zeros(1000, bool))
    >>> cut(clicks, bins=4).series.support
    (0.0, 1.0, 2.0)
    """
    if column.type == "boolean":
        series = Series(column.name, "boolean", categories=("false", "true"))
        return Cut(series, _few(column.name, len(_present(column))))
    if column.type == "category":
        return _categories(column)
    return _numbers(column, bins)


def _present(column: Column) -> list[str]:
    return [
        v
        for v, odd in zip(column.values, column.odd, strict=True)
        if isinstance(v, str) and not odd
    ]


def _few(name: str, rows: int) -> tuple[str, ...]:
    if rows < MINIMUM_ROWS:
        return (
            f"{name}: only {rows} values, of at least {MINIMUM_ROWS}: every verdict will be insufficient",
        )
    if rows < SOLID_ROWS:
        return (
            f"{name}: only {rows} values, of at least {SOLID_ROWS} wanted: small drifts stay unseen",
        )
    return ()


def _categories(column: Column) -> Cut:
    present = _present(column)
    tally = Counter(present)
    ranked = sorted(tally, key=lambda value: (-tally[value], value))  # ties by code point
    top, known = ranked[:TOP_CATEGORIES], sorted(ranked[TOP_CATEGORIES:])
    series = Series(column.name, "category", categories=tuple(top), known=tuple(known))
    return Cut(series, _few(column.name, len(present)))


def _numbers(column: Column, bins: int) -> Cut:
    raw = np.asarray(column.values, np.float64)
    values = (
        np.sort(raw[np.isfinite(raw) & ~column.odd]) + 0.0
    )  # + 0.0: no negative zero among the edges
    warnings = _few(column.name, len(values))
    if not len(values):
        return Cut(Series(column.name, column.type), warnings)
    centre, scale = robust(values)
    ends = (
        float(values[-(-len(values) // 1000) - 1]),
        float(values[-(-len(values) * 999 // 1000) - 1]),
    )
    edges: tuple[float, ...]
    distinct, held = np.unique(values, return_counts=True)
    whole = bool((distinct == np.rint(distinct)).all())
    if len(distinct) == 1:
        warnings += (f"{column.name}: the same value in every row: any other will be news",)
        # Of a number, 7.3 is news where all were 7; whole numbers are cut half-way, as elsewhere.
        edges = _around(float(distinct[0]), whole=whole and column.type == "integer")
    elif whole and len(distinct) <= FEW:
        support = tuple(float(v) for v in distinct)
        series = Series(
            column.name, column.type, support=support, centre=centre, scale=scale, ends=ends
        )
        return Cut(series, warnings)
    else:
        edges = quantile_edges(values, distinct, held, bins, whole=whole)
    series = Series(column.name, column.type, edges=edges, centre=centre, scale=scale, ends=ends)
    return Cut(series, warnings)


def robust(values: Floats) -> tuple[float, float]:
    """Median, and interquartile range as a normal distribution's standard deviation, of sorted values.

    >>> robust(np.arange(1.0, 1350.0))
    (675.0, 499.6293550778354)
    """
    lower, middle, upper = (float(values[-(-len(values) * k // 4) - 1]) for k in (1, 2, 3))
    iqr = upper / NORMAL_IQR - lower / NORMAL_IQR  # in this order: no overflow
    spread = iqr if iqr > 0 else _deviation(values)
    return middle, spread if spread > TINY and isfinite(spread) else 1.0


def _deviation(values: Floats) -> float:
    with np.errstate(
        over="ignore", invalid="ignore"
    ):  # of numbers near the largest float: not finite
        return float(values.std())


def _around(value: float, *, whole: bool) -> tuple[float, ...]:
    """The pair of edges that gives a value a cell of its own; nothing lies below the lowest float."""
    if whole and abs(value) < 2.0**51:  # beyond, a half is lost
        return value - 0.5, value + 0.5
    below = nextafter(value, -inf)
    return (below, value) if isfinite(below) else (value,)


def quantile_edges(
    values: Floats, distinct: Floats, held: np.ndarray, bins: int, *, whole: bool
) -> tuple[float, ...]:
    """Edges of about `bins` cells of equal mass in the sorted `values`; an edge is always an observed value.

    A value held by a whole cell's share of the rows is a spike with a cell of its own. An edge that would leave a cell
    without a reference row is dropped. Whole numbers are cut half-way.

    Examples
    --------
    >>> x = np.sort(np.r_[np.zeros(600), np.arange(1, 401) / 10])
    >>> quantile_edges(x, *np.unique(x, return_counts=True), bins=5, whole=False)
    (0.0, 10.0, 20.0, 30.0)
    """
    spikes = distinct[held >= len(values) / bins]
    others = values[~np.isin(values, spikes)]
    parts = bins - len(spikes)
    cuts = (
        {float(others[-(-i * len(others) // parts) - 1]) for i in range(1, parts)}
        if len(others)
        else set()
    )
    between = {e + 0.5 for e in cuts} if whole else cuts
    edges = sorted(between.union(*(_around(float(v), whole=whole) for v in spikes)))
    filled = np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1)
    kept = [e for e, rows in zip(edges, filled[:-1], strict=True) if rows]
    return tuple(kept[:-1] if kept and not filled[-1] else kept)
