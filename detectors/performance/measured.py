"""What is said of a metric: its value with an interval, or why there is none."""

from math import isfinite, sqrt
from typing import NamedTuple

from detectors.samples.effects import wilson


class Metric(NamedTuple):
    """A metric's value, the bounds of its interval, and how many outcomes it is made of."""

    value: float
    low: float
    high: float
    n: int
    chance: float = 0.0  # of a calibration error: what it is on average where nothing is wrong


class Insufficient(NamedTuple):
    """Why a metric has no value: `n` of at least `need` that it takes."""

    reason: str  # too_few_labels, too_few_positives, too_few_negatives, … : `metrics.REASONS`
    n: int
    need: int


Answer = Metric | Insufficient


def share(part: int, n: int, z: float) -> Metric:
    """A share of `n`, with Wilson's interval."""
    low, high = wilson(part / n, n, z)
    return Metric(part / n, float(low), float(high), n)


def around(value: float, se: float, n: int, z: float, least: float, most: float) -> Metric:
    """A value with a normal interval inside its range."""
    if not (isfinite(value) and isfinite(se)):
        return Metric(value, least, most, n)
    return Metric(value, max(value - z * se, least), min(value + z * se, most), n)


def mean_of(first: float, second: float, n: int, z: float, least: float, most: float) -> Metric:
    """A mean with a normal interval, from the sum and the sum of squares."""
    value = first / n
    return around(value, sqrt(max(second / n - value * value, 0.0) / n), n, z, least, most)
