"""Do two raw samples come from one distribution? For people who hold the rows; the service compares counts."""

from math import gcd

import numpy as np
from scipy import signal, special, stats

from detectors.samples.effects import Floats
from detectors.samples.two_sample import SMALLEST, Answer

EXACT_ROWS = 10_000  # of the larger sample, beyond which the p-value is the limit's


def ks_sample(reference: Floats, current: Floats) -> Answer:
    r"""Two-sided Kolmogorov-Smirnov test of two raw samples.

    Sees a shift best; weak on spread and tails. Unbinned, and so a little stronger than
    `two_sample.kolmogorov_smirnov`, whose p-value is conservative. Ties make it conservative, too.

    Parameters
    ----------
    reference, current : numbers, in any order; infinities count as the ends

    Raises
    ------
    ValueError
        A value is NaN.

    Notes
    -----
    :math:`D = \sup |F_m - G_n|`. Up to 10,000 rows on either side the p-value is exact: the share of lattice paths from
    (0, 0) to (m, n) that somewhere leave :math:`|i/m - j/n| < D`, summed over where they do [1]_; beyond, that of one
    sample of :math:`mn/(m + n)` rows. Without rows on a side: 0 and 1. Cost O((m + n) log(m + n)), and up to O(mnD) for
    the exact p-value.

    Examples
    --------
    >>> found = ks_sample(np.array([1.0, 2.0, 3.0, 4.0]), np.array([3.5, 4.5, 5.5, 6.5]))
    >>> float(found.statistic), round(float(found.p_value), 6)
    (0.75, 0.228571)

    References
    ----------
    .. [1] Hodges, J. L. (1958). The significance probability of the Smirnov two-sample test. Arkiv för Matematik 3.
    """
    first, second = (np.sort(np.asarray(x, np.float64)) for x in (reference, current))
    if np.isnan(first).any() or np.isnan(second).any():
        raise ValueError("a sample contains NaN")
    m, n = len(first), len(second)
    if not m or not n:
        return Answer(np.asarray(0.0), np.asarray(1.0))
    both = np.concatenate([first, second])
    i, j = (np.searchsorted(side, both, side="right") for side in (first, second))
    common = gcd(m, n)
    gap = int(np.abs(i * (n // common) - j * (m // common)).max())  # D m n / gcd: an integer
    d = gap / (m // common * n)
    if max(m, n) <= EXACT_ROWS:
        p = _leaving(min(m, n), max(m, n), gap)
    else:
        p = float(stats.kstwo.sf(d, np.round(m * n / (m + n))))
    return Answer(np.asarray(d), np.asarray(min(max(p, SMALLEST), 1.0)))


def _leaving(m: int, n: int, gap: int) -> float:
    """Share of the lattice paths from (0, 0) to (m, n) with |i n - j m| / gcd(m, n) >= `gap` somewhere.

    Paths are followed as a random walk that steps in i with chance m/(m + n): where they matter, its probabilities are
    numbers of ordinary size, unlike counts of paths.
    """
    if gap == 0:
        return 1.0
    up, right, step = n // gcd(m, n), m // gcd(m, n), m / (m + n)
    rows = np.arange(m + 1)
    low = np.maximum((rows * up - gap) // right + 1, 0)
    high = np.minimum(-((-rows * up - gap) // right) - 1, n)
    inside = (1 - step) ** np.arange(
        float(high[0] + 1)
    )  # chance to pass (0, j) without having left
    share = 0.0
    for i in range(m + 1):
        a, b = int(low[i]), int(high[i])
        if b < n:  # leaving by a step in j
            share += float(inside[-1]) * (1 - step) * float(_arriving(m - i, n - b - 1, step))
        if i == m:
            break
        first, last = int(low[i + 1]), int(high[i + 1])
        left = inside[: first - a]  # leaving by a step in i
        onward = _arriving(m - i - 1, n - a - np.arange(float(len(left))), step)
        share += float((left * onward).sum()) * step
        if first > b:
            break
        entering = np.concatenate([inside[first - a :], np.zeros(last - b)]) * step
        inside = signal.lfilter([1.0], [1.0, step - 1], entering)
    return share / float(_arriving(m, n, step))


def _arriving(i: int, j: Floats | int, step: float) -> Floats:
    """Chance of a walk to arrive at a point that lies i and j further on."""
    paths = special.gammaln(i + j + 1.0) - special.gammaln(i + 1.0) - special.gammaln(j + 1.0)
    return np.asarray(np.exp(paths + special.xlogy(i, step) + special.xlogy(j, 1 - step)))
