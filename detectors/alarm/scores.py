"""Which numbers are watched? The scores of a series: one number in [0, 1] per cell; the alarm tests their means."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from detectors.samples.effects import Floats, Ints, midranks
from detectors.series import Series

ScoreKind = Literal["location", "spread", "category", "unusual", "odd", "missing"]

ENOUGH = 5.0  # expected rows below which an indicator has no usable z, and only grows by surprise
EVERY = 1e18  # rows per window at which every category that occurs gets its own indicator


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """One score of a series.

    `name` is unique in its series and stable: the reference keeps the dispersion under it.
    """

    kind: ScoreKind
    name: str
    values: Floats  # (cells,), in [0, 1]
    live: NDArray[np.bool_]  # (cells,): whose rows take part; elsewhere `values` is 0
    indicator: bool
    rare: bool  # an indicator that is expected on fewer than five rows per window


def scores(series: Series, counts: Ints, rows: float) -> tuple[Score, ...]:
    """The scores of a series whose reference is `counts`, watched in windows of about `rows` rows.

    Numbers have the mid-rank u (location) and \\|2u − 1\\| (spread); a number that nearly always has the same value has
    the indicator of any other value instead. Categories have an indicator each if `rows` brings five of them, and one
    for the merged rest; two categories need only that of the rarer. Every series has `odd` and `missing`.

    Parameters
    ----------
    counts : int64, shape (series.cells,)
    rows : expected rows per window

    Examples
    --------
    >>> home = Series("feature:home", "category", categories=("rent", "own", "ship"))
    >>> for s in scores(home, np.array([5000, 4990, 10, 0, 0]), rows=1000):
    ...     print(s.name, s.rare, s.values.tolist())
    category:1 False [1.0, 0.0, 0.0, 0.0, 0.0]
    category:2 False [0.0, 1.0, 0.0, 0.0, 0.0]
    rest True [0.0, 0.0, 1.0, 0.0, 0.0]
    odd True [0.0, 0.0, 0.0, 1.0, 0.0]
    missing True [0.0, 0.0, 0.0, 0.0, 1.0]
    """
    values = series.values
    of = _numeric(counts[:values], rows) if series.numeric else _categories(counts, values, rows)
    everywhere = np.ones(series.cells, bool)
    live = everywhere.copy()
    live[values if series.numeric else values + 1 :] = False
    built = [_score(kind, name, cells, live, counts, rows) for kind, name, cells in of]
    ends: tuple[tuple[ScoreKind, int], ...] = (("odd", values), ("missing", values + 1))
    for kind, cell in ends:
        built.append(_score(kind, kind, _indicator(series.cells, [cell]), everywhere, counts, rows))
    return tuple(built)


def every_score(series: Series, counts: Ints, rows: float) -> Mapping[str, Score]:
    """By name, the scores for windows of `rows` rows and those that longer windows or larger segments would add."""
    return {s.name: s for r in (EVERY, rows) for s in scores(series, counts, r)}


def _score(
    kind: ScoreKind, name: str, values: Floats, live: NDArray[np.bool_], counts: Ints, rows: float
) -> Score:
    full = np.zeros(len(live))
    full[: len(values)] = values
    indicator = kind not in ("location", "spread")
    share = float((counts * live * full).sum() / max((counts * live).sum(), 1))
    return Score(
        kind, name, full, live, indicator, indicator and rows * min(share, 1 - share) < ENOUGH
    )


_Named = tuple[ScoreKind, str, Floats]


def _indicator(cells: int, which: list[int]) -> Floats:
    out = np.zeros(cells)
    out[which] = 1.0
    return out


def _numeric(counts: Ints, rows: float) -> list[_Named]:
    share = counts / max(int(counts.sum()), 1)
    if rows * (1 - share.max()) < ENOUGH:
        return [("unusual", "unusual", np.where(np.arange(len(share)) == share.argmax(), 0.0, 1.0))]
    u = midranks(share)
    return [("location", "location", u), ("spread", "spread", np.abs(2 * u - 1))]


def _categories(counts: Ints, values: int, rows: float) -> list[_Named]:
    if values < 2:
        return []  # a constant category: `odd` sees everything else
    if values == 2:
        return [_category([int(counts[:2].argmin())], values)]
    expected = counts[:values].astype(np.float64) * (rows / max(int(counts.sum()), 1))
    frequent = [b for b in range(values) if expected[b] >= ENOUGH]
    rest = [b for b in range(values) if expected[b] < ENOUGH]
    if not frequent:
        return [_category(group, values) for group in _chunks(rest, expected)]
    # The complement of a category that holds nearly all rows is in the others: an indicator that can only fall is none.
    useful = [b for b in frequent if expected.sum() - expected[b] >= ENOUGH]
    found = [_category([b], values) for b in useful]
    return [*found, ("category", "rest", _indicator(values, rest))] if rest else found


def _category(group: list[int], values: int) -> _Named:
    return "category", "category:" + "+".join(str(b + 1) for b in group), _indicator(values, group)


def _chunks(cells: list[int], expected: Floats) -> list[list[int]]:
    """Groups of rare categories that together bring five rows; what is left over makes none."""
    groups: list[list[int]] = []
    group: list[int] = []
    for b in cells:
        group.append(b)
        if expected[group].sum() >= ENOUGH:
            groups.append(group)
            group = []
    return groups
