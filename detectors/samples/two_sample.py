"""Could chance alone have made this difference? Tests of two sets of counts over the same frozen cells.

Evidence for the report, never an alarm: in 50 features some p-value below .05 turns up in nine of ten windows without
drift. Shapes as in `detectors.samples.effects`: (reference, current), cells on the first axis.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from detectors.samples import distances, effects, transport
from detectors.samples.effects import Counts, Floats, Number, Pair, by_series, paired

SMALLEST = 1e-300  # a p-value is never published as 0
EXPECTED = 5.0  # rows a cell must expect before its square is trusted (Cochran 1954)
EXACT_BELOW = 10.0  # n t(1-t) under which two proportions are compared exactly


class Answer(NamedTuple):
    """A test's statistic and its p-value, at least `SMALLEST`."""

    statistic: Floats
    p_value: Floats


def _floored(p: Floats) -> Floats:
    return np.minimum(np.maximum(p, SMALLEST), 1.0)


def _tail(freedom: Floats, square: Floats) -> Floats:
    """Chance of a chi-square variable above `square`; 1 where nothing is free to change."""
    tail = special.chdtrc(np.maximum(freedom, 1.0), square)
    return _floored(np.where(freedom > 0, tail, 1.0))


def chi_square(reference: Counts, current: Counts, phi: Number = 1.0) -> Answer:
    r"""Pearson's chi-square of two samples: did any share change?

    Sees any change of shares; blind to the order of the cells and to movement inside one. The reference is a sample
    too, never taken for the truth.

    Notes
    -----
    :math:`X^2 = \frac{mn}{m+n}\sum_b \frac{(p_b - q_b)^2}{t_b}`, :math:`t_b = (r_b + c_b)/(m + n)`; B - 1 degrees of
    freedom. Cells in which the smaller sample expects fewer than five rows are joined, smallest first. Wants 200 rows;
    at p = 2e-5 the true rate is 1.2 times nominal there and equal to it from 500. Cost O(cells), sorted only where a
    cell is small.

    Examples
    --------
    >>> found = chi_square(np.array([900, 100]), np.array([85, 15]))
    >>> round(float(found.statistic), 4), round(float(found.p_value), 4)
    (2.4277, 0.1192)

    References
    ----------
    .. [1] Pearson, K. (1911). On the probability that two independent distributions of frequency are really samples
       from the same population. Biometrika 8.
    """
    return Answer(*by_series(chi_square_of, reference, current, phi))


def chi_square_of(pair: Pair, phi: Number) -> Answer:
    """`chi_square` of every series of a pair."""
    m, n = np.maximum(pair.rows, 1e-9)
    expected = pair.both * (np.minimum(m, n) / (m + n) / phi)
    if ((expected < EXPECTED) & pair.held).any():
        r, c = pair.counts
        pair = paired(*_joined(r, c, expected))
    p, q = pair.share
    terms = (p - q) ** 2 / np.where(pair.held, pair.both, 1.0)
    statistic = m * n * effects.total(terms)
    return Answer(statistic, _tail(pair.freedom, statistic / phi))


def _joined(r: Floats, c: Floats, expected: Floats) -> tuple[Floats, Floats]:
    """The same counts with small cells joined: cells in ascending order are collected until five rows are expected."""
    order = np.argsort(expected, axis=0, kind="stable")
    r, c, expected = (np.take_along_axis(a, order, 0) for a in (r, c, expected))
    small_rows = int((expected < EXPECTED).any(1).sum())
    for b in range(min(small_rows, len(r) - 1)):
        small = expected[b] < EXPECTED
        _move(small, b, b + 1, r, c, expected)
    small = expected[-1] < EXPECTED  # nothing larger is left to join: back to the largest before it
    if small.any() and len(r) > 1:
        target = np.asarray(expected[:-1].argmax(0))
        for a in (r, c):
            before = np.take_along_axis(a, target[None], 0) + np.where(small, a[-1], 0.0)
            np.put_along_axis(a, target[None], before, 0)
            a[-1] = np.where(small, 0.0, a[-1])
    return r, c


def _move(which: NDArray[np.bool_], source: int, target: int, *arrays: Floats) -> None:
    for a in arrays:
        a[target] += np.where(which, a[source], 0.0)
        a[source] = np.where(which, 0.0, a[source])


def psi(
    reference: Counts, current: Counts, phi: Number = 1.0, where: NDArray[np.bool_] | None = None
) -> Answer:
    r"""Population stability index: how far has the histogram moved?

    As `chi_square`, heavier on rare cells. Without the sizes of both samples the number means nothing: under no drift
    its mean is :math:`(B-1)(1/m + 1/n)`.

    Notes
    -----
    :math:`PSI = \sum_b (q_b - p_b)\ln(q_b/p_b)` over shares smoothed by ½; :math:`PSI/s \sim χ^2(B-1)` for
    :math:`s = 1/m + 1/n`, the two-sample form of Yurdakul (2018). Good from n = 20 B, in the far tail from 50 B. Cost
    O(cells).

    Examples
    --------
    >>> found = psi(np.array([2500, 2500, 2500, 2500]), np.array([150, 200, 300, 350]))
    >>> round(float(found.statistic), 3), bool(found.p_value < 1e-6)
    (0.105, True)
    """
    return Answer(*by_series(_psi, reference, current, phi, where))


def _psi(pair: Pair, phi: Number) -> Answer:
    return psi_test(effects.location_spread_psi_of(pair, phi).value[2], pair, phi)


def psi_test(effect: Floats, pair: Pair, phi: Number) -> Answer:
    """`psi` of an effect that was measured already: its mean under no drift is added again."""
    chance = phi * pair.noise
    statistic = np.maximum(effect + pair.freedom * chance, 0.0)
    return Answer(statistic, _tail(pair.freedom, statistic / chance))


def auc_shift(reference: Counts, current: Counts, phi: Number = 1.0) -> Answer:
    """Shift in location (`effects.location`), tested against 0 with DeLong's standard error.

    Sees a shift, in particular a small one that `chi_square` spreads over B - 1 degrees of freedom; blind to a change
    of spread. Wants 200 rows.

    Examples
    --------
    >>> found = auc_shift(np.array([2500, 2500, 2500, 2500]), np.array([230, 240, 260, 270]))
    >>> round(float(found.statistic), 4), round(float(found.p_value), 4)
    (0.0175, 0.0586)
    """
    return shift_test(effects.location(reference, current, phi))


def shift_test(shift: effects.Interval) -> Answer:
    """`auc_shift` of a location that was measured already."""
    se = (shift.high - shift.low) / (2 * effects.Z95)
    z = np.divide(shift.value, se, out=np.zeros_like(se), where=se > 0)
    return Answer(shift.value, _floored(2 * special.ndtr(-np.abs(z))))


def total_variation(reference: Counts, current: Counts, phi: Number = 1.0) -> Answer:
    """Share of rows that moved. It has no null distribution of its own: the p-value is that of `chi_square`.

    Examples
    --------
    >>> found = total_variation(np.array([900, 100]), np.array([85, 15]))
    >>> round(float(found.statistic), 4), round(float(found.p_value), 4)
    (0.05, 0.1192)
    """
    return Answer(*by_series(_total_variation, reference, current, phi))


def _total_variation(pair: Pair, phi: Number) -> Answer:
    return Answer(moved_share(pair), chi_square_of(pair, phi).p_value)


def moved_share(pair: Pair) -> Floats:
    """Total variation itself, of every series of a pair."""
    p, q = pair.share
    return effects.total(np.abs(q - p)) / 2


def kolmogorov_smirnov(reference: Counts, current: Counts, phi: Number = 1.0) -> Answer:
    r"""Largest gap between the distribution functions at the edges of the cells, tested against Kolmogorov's limit.

    Sees a shift; weak on spread and tails. Binning makes the p-value conservative: at .05 the true size is .017 in ten
    cells, .024 in twenty. Wants 200 rows.

    Notes
    -----
    Kolmogorov's distribution at :math:`D/\sqrt{s}`, :math:`s = φ(1/m + 1/n)` (Smirnov 1939). Cost O(cells).

    Examples
    --------
    >>> found = kolmogorov_smirnov(np.array([2500] * 4), np.array([230, 240, 260, 270]))
    >>> round(float(found.statistic), 4), round(float(found.p_value), 4)
    (0.03, 0.3865)
    """
    gap = distances.ks_gap(reference, current)
    return Answer(
        gap, _floored(special.kolmogorov(gap / np.sqrt(_chance(reference, current, phi))))
    )


def jensen_shannon(reference: Counts, current: Counts, phi: Number = 1.0) -> Answer:
    r"""Jensen-Shannon distance to the base 2: how far has the histogram moved?

    As `psi`, whose distribution under no change its square shares but for a factor, and bounded by 1.

    Notes
    -----
    :math:`8 \ln 2\; JS^2/s \sim χ^2(B-1)`. Nothing is smoothed. Good from n = 50 B; at .05 the true rate is .058 at
    20 B, .065 at 10 B. Cost O(cells).

    Examples
    --------
    >>> found = jensen_shannon(np.array([2500] * 4), np.array([230, 240, 260, 270]))
    >>> round(float(found.statistic), 4), round(float(found.p_value), 4)
    (0.0269, 0.3028)
    """
    square = distances.js_square(reference, current)
    return _from_square(square, 8 * np.log(2), reference, current, phi)


def hellinger(reference: Counts, current: Counts, phi: Number = 1.0) -> Answer:
    r"""Hellinger distance: how far has the histogram moved?

    Notes
    -----
    :math:`8 H^2/s \sim χ^2(B-1)`, as for `psi`. Nothing is smoothed. Good from n = 50 B; rates as those of
    `jensen_shannon`. Cost O(cells).

    Examples
    --------
    >>> found = hellinger(np.array([2500] * 4), np.array([230, 240, 260, 270]))
    >>> round(float(found.statistic), 4), round(float(found.p_value), 4)
    (0.0224, 0.3027)
    """
    return _from_square(
        distances.hellinger_square(reference, current), 8.0, reference, current, phi
    )


def _from_square(
    square: Floats, factor: float, reference: Counts, current: Counts, phi: Number
) -> Answer:
    free = distances.freedom(reference, current)
    tail = _tail(free, factor * square / _chance(reference, current, phi))
    return Answer(np.sqrt(square), tail)


def _chance(reference: Counts, current: Counts, phi: Number) -> Floats:
    m, n = np.maximum(reference.sum(0), 1), np.maximum(current.sum(0), 1)
    return np.asarray(phi * (1 / m + 1 / n))


def cramers_v(reference: Counts, current: Counts, phi: Number = 1.0) -> Answer:
    """Cramér's V, corrected for bias. The p-value is that of `chi_square`.

    Examples
    --------
    >>> found = cramers_v(np.array([900, 100]), np.array([850, 150]))
    >>> round(float(found.statistic), 4), round(float(found.p_value), 4)
    (0.0722, 0.0007)
    """
    return Answer(
        distances.cramers_v(reference, current, phi).value,
        chi_square(reference, current, phi).p_value,
    )


def wasserstein(reference: Counts, current: Counts, phi: Number = 1.0, *, knots: Floats) -> Answer:
    """Wasserstein's distance in reference standard deviations: did any mass move?

    Sees a shift and a change of spread; blind beyond the ends of `knots`. The p-value is an approximation that was
    compared with simulation (`transport.noise`): within 10 % of the true rate down to .001. Wants 1,000 rows.

    Examples
    --------
    >>> ends = np.array([-2.0, -1, -1, 0, 0, 1, 1, 2])
    >>> found = wasserstein(np.array([2500] * 4), np.array([230, 240, 260, 270]), knots=ends)
    >>> round(float(found.statistic), 4), round(float(found.p_value), 4)
    (0.07, 0.0615)
    """
    m, n = np.maximum(reference.sum(0), 1), np.maximum(current.sum(0), 1)
    pooled = (reference + current) / (m + n)
    distance = transport.earth_moved(reference, current, knots=knots)
    z = transport.noise(pooled, pooled, m, n, phi, knots).deviate(distance)
    return Answer(distance, _floored(2 * special.ndtr(-z)))


def mean_shift(reference: Counts, current: Counts, phi: Number = 1.0, *, knots: Floats) -> Answer:
    """Shift of the mean (`transport.mean_shift`), tested against 0 with its standard error. Wants 200 rows.

    Examples
    --------
    >>> ends = np.array([-2.0, -1, -1, 0, 0, 1, 1, 2])
    >>> found = mean_shift(np.array([2500] * 4), np.array([230, 240, 260, 270]), knots=ends)
    >>> round(float(found.statistic), 4), round(float(found.p_value), 4)
    (0.07, 0.0586)
    """
    return shift_test(transport.mean_shift(reference, current, phi, knots=knots))


def two_proportions(
    reference: Number,
    rows_reference: Number,
    current: Number,
    rows_current: Number,
    phi: Number = 1.0,
) -> Answer:
    r"""Did one share change?

    Notes
    -----
    :math:`z = (q - p)/\sqrt{t(1-t)s}`; where :math:`\min(m,n)\,t(1-t) < 10` the p-value is that of the conditional
    exact test (Fisher 1935), two-sided by the sum of all tables that are no likelier than the one seen. Cost O(1), or
    O(rows with the property) for the exact test.

    Parameters
    ----------
    reference, current : how many rows of either side have the property
    rows_reference, rows_current : how many rows there are
    phi : over-dispersion; counts are divided by it (and rounded for the exact test)

    Examples
    --------
    >>> found = two_proportions(1000, 10_000, 130, 1000)
    >>> round(float(found.statistic), 3), round(float(found.p_value), 5)
    (2.979, 0.00289)
    >>> round(float(two_proportions(1, 10_000, 3, 1000).p_value), 6)
    0.002793
    """
    a, m, k, n, f = (
        np.atleast_1d(np.asarray(x, np.float64))
        for x in np.broadcast_arrays(reference, rows_reference, current, rows_current, phi)
    )
    m, n = np.maximum(m, 1.0), np.maximum(n, 1.0)
    t = (a + k) / (m + n)
    variance = t * (1 - t) * (1 / m + 1 / n)
    gap = k / n - a / m
    z = np.divide(gap, np.sqrt(variance), out=np.zeros_like(gap), where=variance > 0)
    p = 2 * special.ndtr(-np.abs(z) / np.sqrt(f))
    few = np.minimum(m, n) / f * t * (1 - t) < EXACT_BELOW
    if few.any():
        whole = (np.rint(x[few] / f[few]) for x in (a, m, k, n))
        p[few] = _fisher(*whole)
    shape = np.broadcast_shapes(
        *(np.shape(x) for x in (reference, rows_reference, current, rows_current, phi))
    )
    return Answer(z.reshape(shape), _floored(p).reshape(shape))


def _fisher(a: Floats, m: Floats, k: Floats, n: Floats) -> Floats:
    """Two-sided exact p-values of k of n against a of m, all at once.

    Ratios of neighbouring hypergeometric probabilities are summed as logarithms: no factorial, one row of the working
    array per possible k.
    """
    flip = a + k > (m + n) / 2  # count the rarer outcome: fewer possible tables
    a, k = np.where(flip, m - a, a), np.where(flip, n - k, k)
    total = a + k
    first, last = np.maximum(total - m, 0), np.minimum(total, n)
    x = first + np.arange(int((last - first).max()) + 1)[:, None]
    inside = x <= last
    up = np.where(inside, (total - x + 1) * (n - x + 1), 1.0)
    down = np.where(inside, x * (m - total + x), 1.0)
    up[0] = down[0] = 1.0
    log = np.where(inside, np.cumsum(np.log(up / down), axis=0), -np.inf)
    weight = np.exp(log - log.max(0))
    seen = np.take_along_axis(weight, (k - first).astype(np.int64)[None], 0)
    # A table whose probability equals that of the one seen must count: ties differ in their last bits.
    return np.asarray(np.where(weight <= seen * (1 + 1e-7), weight, 0.0).sum(0) / weight.sum(0))
