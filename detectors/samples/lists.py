"""Which of a window's series moved? Corrections of many p-values that hold whatever the dependence between them.

For lists that people read, never for alarms: over time every list is wrong sooner or later.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from detectors.samples.effects import Floats

LISTED = 0.01  # share of wrong entries in a list


def holm(p_values: Floats, alpha: float = LISTED) -> NDArray[np.bool_]:
    r"""Which of K hypotheses are rejected, by Holm's step-down: the chance of one wrong entry is at most `alpha`.

    Stricter than `benjamini_yekutieli` on long lists in which much moved; use it where every entry is acted upon.

    Notes
    -----
    With :math:`p_{(1)} \le … \le p_{(K)}`: reject while :math:`p_{(i)} \le α/(K - i + 1)` [1]_. Any dependence. NaN
    takes no part: it is neither counted nor rejected. Cost O(K log K).

    Examples
    --------
    >>> holm(np.array([0.5, 1e-9, 0.004, np.nan])).tolist()
    [False, True, True, False]

    References
    ----------
    .. [1] Holm, S. (1979). A simple sequentially rejective multiple test procedure. Scandinavian Journal of Statistics
       6, 65-70.
    """
    tested = np.sort(p_values[np.isfinite(p_values)])
    failed = np.flatnonzero(tested > alpha / np.arange(len(tested), 0, -1))
    # Everything below the first p-value that fails is rejected; an equal one cannot have passed before it.
    return np.asarray(p_values < tested[failed[0]] if len(failed) else np.isfinite(p_values))


def benjamini_yekutieli(p_values: Floats, alpha: float = LISTED) -> NDArray[np.bool_]:
    r"""Which of K hypotheses are rejected: of the entries, a share of at most `alpha` is wrong on average.

    Notes
    -----
    Rejects up to the largest i with :math:`p_{(i)} \le iα/(K \sum_{j\le K} 1/j)` [1]_. Any dependence. NaN takes no
    part: it is neither counted nor rejected. Cost O(K log K).

    Examples
    --------
    >>> benjamini_yekutieli(np.array([0.5, 1e-9, 0.003])).tolist()
    [False, True, True]

    References
    ----------
    .. [1] Benjamini, Y., Yekutieli, D. (2001). The control of the false discovery rate in multiple testing under
       dependency. Annals of Statistics 29, 1165-1188.
    """
    tested = np.sort(p_values[np.isfinite(p_values)])
    passed = np.flatnonzero(tested <= _limits(len(tested), alpha))
    limit = tested[passed[-1]] if len(passed) else -1.0
    return np.asarray(p_values <= limit)


@lru_cache(maxsize=16)
def _limits(k: int, alpha: float) -> Floats:
    """What the i-th smallest of K p-values must not exceed; the same in every window."""
    ranks = np.arange(1, k + 1)
    return np.asarray(ranks * (alpha / (k * (1 / ranks).sum())) if k else ranks, np.float64)
