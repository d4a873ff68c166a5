"""Do the rows of a window depend on each other as much as the reference says, and does a season explain it?

Both read windows that did not drift. What a slow drift does to them looks like dependence.
"""

from typing import NamedTuple

import numpy as np
from scipy import special

from detectors.effects import Floats, Ints
from detectors.scores import Score
from detectors.sequential import MIN_WINDOWS, dispersion

SURE = 0.999  # of the lower bound: it is looked at for hundreds of scores
LEAST_PER_SLOT = (
    2.0  # windows in a slot of a season, on average, from which it can be told from chance
)


class Dependence(NamedTuple):
    """Bounds of φ: surely at least `low`; at most `high`, which is what a reference keeps."""

    low: float
    high: float


def dependence(windows: Ints, score: Score) -> Dependence:
    r"""How much more a score's window means vary than independent rows would let them.

    Parameters
    ----------
    windows : int64, shape (T, cells), T ≥ 30

    Notes
    -----
    `high` is `detectors.sequential.dispersion`. With the same sum of squares X, `low` is
    :math:`X / χ^2_{.999}(T-1)`, and at least 1. Windows are taken for independent of each other.

    Examples
    --------
    >>> from detectors.series import Series
    >>> from detectors.scores import scores
    >>> flag = Series("feature:flag", "boolean", categories=("false", "true"))
    >>> wild = np.array([[90 - d, 10 + d, 0, 0] for d in (-9, 9) * 15])
    >>> found = dependence(wild, scores(flag, wild.sum(0), rows=100)[0])
    >>> round(found.low, 2), round(found.high, 2)
    (4.63, 15.25)
    """
    high = dispersion(windows, score)
    of = len(windows) - 1
    squares = high * float(special.chdtri(of, 0.95)) if high > 1 else 0.0
    return Dependence(max(1.0, squares / float(special.chdtri(of, 1 - SURE))), high)


def explained(windows: Ints, slots: Ints, score: Score) -> float:
    r"""Share of a score's over-dispersion that a season explains, in [0, 1].

    Parameters
    ----------
    windows : int64, shape (T, cells)
    slots : int64, shape (T,)
        The slot of the season that every window is in.

    Returns
    -------
    0 also where nothing is to be explained, or where slots hold fewer than two windows on average.

    Notes
    -----
    :math:`1 - (w - 1)/(o - 1)` with the mean squares o around the mean and w around the means of the slots, each over
    its degrees of freedom and over the variance of independent rows.

    Examples
    --------
    >>> from detectors.series import Series
    >>> from detectors.scores import scores
    >>> flag = Series("feature:flag", "boolean", categories=("false", "true"))
    >>> daily = np.array([[90 - d, 10 + d, 0, 0] for d in (-5, 5) * 15])
    >>> explained(daily, np.arange(30) % 2, scores(flag, daily.sum(0), rows=100)[0])
    1.0
    """
    seen = windows[:, score.live].astype(np.float64)
    values, n = score.values[score.live], seen.sum(1)
    held = n > 0
    used, at = np.unique(slots[held], return_inverse=True)
    if held.sum() < max(MIN_WINDOWS, LEAST_PER_SLOT * len(used)):
        return 0.0
    seen, n = seen[held], n[held]
    sums = (seen * values).sum(1)
    centre = sums.sum() / n.sum()
    variance = float((seen * values * values).sum() / n.sum() - centre * centre)
    if variance <= 1e-12:
        return 0.0
    of_slots = np.bincount(at, sums) / np.bincount(at, n)

    def over(around: Floats, free: int) -> float:
        return float((n * (sums / n - around) ** 2).sum()) / (variance * free) - 1

    whole = over(np.full(len(n), centre), len(n) - 1)
    within = over(of_slots[at], len(n) - len(used))
    return min(1.0, max(0.0, 1 - max(within, 0.0) / whole)) if whole > 0 else 0.0
