"""Do the rows of a window depend on each other as much as the reference says? Bounds of φ from windows seen."""

from typing import NamedTuple

import numpy as np
from scipy import special

from detectors.alarm.scores import Score
from detectors.alarm.sequential import MIN_WINDOWS, dispersion
from detectors.reference.seasons import dispersion_within
from detectors.samples.effects import Ints
from detectors.series import Series

SURE = 0.999  # of the lower bound: it is looked at for hundreds of scores


class Dependence(NamedTuple):
    """Bounds of φ: surely at least `low`; at most `high`, which is what a reference keeps."""

    low: float
    high: float


def dependence(
    windows: Ints, series: Series, score: Score, slots: Ints | None = None
) -> Dependence | None:
    r"""How much more a score's window means vary than independent rows would let them.

    Parameters
    ----------
    windows : int64, shape (T, cells)
    slots : int64, shape (T,)
        Which slot of a season each is in: then means vary around those of their slots. None: there is no season.

    Returns
    -------
    None where fewer than 30 windows (29 beyond one for every slot) can tell.

    Notes
    -----
    `high` is `detectors.alarm.sequential.dispersion`, or `detectors.reference.seasons.dispersion_within`. With the same
    sum of squares X and f degrees of freedom, `low` is :math:`X / χ^2_{.999}(f)`, and at least 1. Windows are taken for
    independent of each other; a slow drift looks like dependence.

    Examples
    --------
    >>> from detectors.alarm.scores import scores
    >>> flag = Series("feature:flag", "boolean", categories=("false", "true"))
    >>> wild = np.array([[90 - d, 10 + d, 0, 0] for d in (-9, 9) * 15])
    >>> score = scores(flag, wild.sum(0), rows=100)[0]
    >>> found = dependence(wild, flag, score)
    >>> round(found.low, 2), round(found.high, 2)
    (4.63, 15.25)
    >>> dependence(wild, flag, score, np.arange(30) % 2) is None
    True
    """
    free = len(windows) - (1 if slots is None else len(np.unique(slots)))
    if free < MIN_WINDOWS - 1:
        return None
    if slots is None:
        high = dispersion(windows, score)
    else:
        high = dispersion_within(windows, slots, series, score)
    squares = high * float(special.chdtri(free, 0.95)) if high > 1 else 0.0
    return Dependence(max(1.0, squares / float(special.chdtri(free, 1 - SURE))), high)
