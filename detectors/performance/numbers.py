"""How far off are predicted numbers? Metrics of regression, from the exact sums of errors and truths."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import exp, inf, sqrt

from detectors.performance.layout import Layout
from detectors.performance.magnitude import added
from detectors.performance.measured import MIN_LABELS, Answer, Insufficient, Metric, around, mean_of
from detectors.samples.effects import Ints

NAMES = ("mae", "rmse", "mape", "bias", "r2", "cost")


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums over outcomes of an error e = prediction - truth: of what is too much, too little, their squares, e⁴."""

    n: int
    over: Fraction
    under: Fraction
    over_square: Fraction
    under_square: Fraction
    fourth: Fraction

    @property
    def square(self) -> Fraction:
        """Σ e²"""
        return self.over_square + self.under_square

    @staticmethod
    def read(layout: Layout, counts: Ints) -> "Sums":
        """The sums of a vector."""
        error = layout.read(counts, "error")
        return Sums(
            int(layout.read(counts, "number")[0]),
            added(error[:, 0], 1),
            added(error[:, 1], 1),
            added(error[:, 2:4], 2),
            added(error[:, 4:6], 2),
            added(error[:, 6:8], 4),
        )


def measure(
    layout: Layout, counts: Ints, name: str, z: float, costs: Mapping[str, float]
) -> Answer:
    r"""One of `NAMES`.

    ``mae`` Σ|e|/n; ``rmse`` the root of Σe²/n; ``bias`` Σe/n, above 0 where predictions are too high; ``mape`` the mean
    of \|e/y\| over truths other than 0, as a share; ``r2`` 1 - Σe²/Σ(y - ȳ)²; ``cost`` (Σ over × its cost + Σ under ×
    its cost)/n.

    Notes
    -----
    Normal intervals. :math:`se(RMSE) = sd(e^2)/(2\,RMSE\sqrt{n})`, taken on the scale of its logarithm, as squares are
    skewed. That of R² is :math:`(1 - R^2)\sqrt{(κ_e + κ_y)/n}`, κ the variance of squares over their mean's square; it
    leaves out that large errors and far truths come together: too wide where R² is low, not too narrow.
    """
    sums = Sums.read(layout, counts)
    n = sums.n
    if n < MIN_LABELS:
        return Insufficient("too_few_labels", max(n, 0), MIN_LABELS)
    square = float(sums.square)
    match name:
        case "mae":
            return mean_of(float(sums.over + sums.under), square, n, z, 0.0, inf)
        case "bias":
            return mean_of(float(sums.over - sums.under), square, n, z, -inf, inf)
        case "rmse":
            value = sqrt(max(square / n, 0.0))
            if not value:
                return Metric(0.0, 0.0, 0.0, n)
            spread = sqrt(max(float(sums.fourth) / n - value**4, 0.0))
            factor = exp(min(z * spread / (2 * value * value * sqrt(n)), 700.0))
            return Metric(value, value / factor, value * factor, n)
        case "mape":
            return _mape(layout, counts, z)
        case "r2":
            return _r2(layout, counts, sums, z)
    if not costs:
        return Insufficient("no_costs", 0, 1)
    over, under = costs.get("over", 0.0), costs.get("under", 0.0)
    first = float(sums.over) * over + float(sums.under) * under
    second = float(sums.over_square) * over**2 + float(sums.under_square) * under**2
    return mean_of(first, second, n, z, -inf, inf)


def _mape(layout: Layout, counts: Ints, z: float) -> Answer:
    n = int(layout.read(counts, "number")[2])
    if n < MIN_LABELS:
        return Insufficient("only_zeros", max(n, 0), MIN_LABELS)
    ratio = layout.read(counts, "ratio")
    return mean_of(float(added(ratio[:, 0], 1)), float(added(ratio[:, 1:], 2)), n, z, 0.0, inf)


def truth_moments(layout: Layout, counts: Ints) -> tuple[float, float, float]:
    """Mean, variance and fourth central moment of the truth; (0, 0, 0) without one."""
    n = int(layout.read(counts, "number")[0])
    if n < 1:
        return 0.0, 0.0, 0.0
    truth = layout.read(counts, "truth")
    mean = added(truth[:, 0], 1) / n
    m2, m3, m4 = (added(truth[:, at : at + 2], power) / n for power, at in ((2, 1), (3, 3), (4, 5)))
    variance = m2 - mean * mean
    fourth = m4 - 4 * mean * m3 + 6 * mean**2 * m2 - 3 * mean**4
    return layout.centre + float(mean), float(variance), float(fourth)


def _r2(layout: Layout, counts: Ints, sums: Sums, z: float) -> Answer:
    n = sums.n
    _, variance, fourth = truth_moments(layout, counts)
    if variance <= 0:
        return Insufficient("constant_truth", 1, 2)
    mse = float(sums.square) / n
    value = 1 - mse / variance
    of_errors = float(sums.fourth) / n / mse**2 - 1 if mse > 0 else 0.0
    # A fourth moment is rounded: where truths are far from 0, take that of the normal distribution at least.
    of_truths = max(fourth / variance**2 - 1, 2.0)
    se = abs(1 - value) * sqrt(max(of_errors + of_truths, 0.0) / n)
    return around(value, se, n, z, -inf, 1.0)
