"""What is said of a metric: its value with an interval, or why there is none."""

from math import sqrt
from typing import NamedTuple

from detectors.samples.effects import wilson

MIN_LABELS = 30
MIN_EACH = 10  # positives, and negatives

#: Why a metric has no value, as a person reads it.
REASONS = {
    "too_few_labels": "too few labels of which the prediction is known",
    "too_few_scores": "too few labels of which the score is known",
    "too_few_positives": "too few labels of the positive class",
    "too_few_negatives": "too few labels of another class than the positive one",
    "none_predicted": "the class was never predicted",
    "no_confidences": "scores lie below what a confidence in one of so many classes can be",
    "one_class": "all labels are of one class",
    "constant_truth": "all labels are the same number",
    "only_zeros": "too few labels that are not 0, which nothing is a share of",
    "too_few_losses": "too few losses",
    "no_costs": "no costs of mistakes are written",
    "too_few_predictions": "too few predictions with a score",
    "uncalibrated": "too few labels in the reference to know what a score is worth",
    "not_for_task": "there is no such metric for this kind of model",
}


class Metric(NamedTuple):
    """A metric's value, the bounds of its interval, and how many outcomes it is made of."""

    value: float
    low: float
    high: float
    n: int
    chance: float = 0.0  # of a calibration error: its mean where the scores are right


class Insufficient(NamedTuple):
    """Why a metric has no value: there are `n` of at least `need`."""

    reason: str  # one of `REASONS`
    n: int
    need: int


Answer = Metric | Insufficient


def share(part: int, n: int, z: float) -> Metric:
    """A share of `n`, with Wilson's interval.

    >>> share(81, 263, 1.96)._asdict()["n"]
    263
    """
    low, high = wilson(part / n, n, z)
    # Rounding may put the bounds of 0 and 1 beyond the value.
    return Metric(part / n, min(float(low), part / n), max(float(high), part / n), n)


def around(value: float, se: float, n: int, z: float, least: float, most: float) -> Metric:
    """A value with a normal interval, both inside its range.

    >>> around(0.9, 0.1, 30, 2.0, 0.0, 1.0)
    Metric(value=0.9, low=0.7, high=1.0, n=30, chance=0.0)
    """
    value = min(max(value, least), most)  # beyond it only if more was taken back than counted
    return Metric(value, max(value - z * se, least), min(value + z * se, most), n)


def mean_of(first: float, second: float, n: int, z: float, least: float, most: float) -> Metric:
    """A mean with a normal interval, from the sum and the sum of squares of `n` numbers."""
    value = first / n
    se = sqrt(max(second / n - value * value, 0.0) / n)
    return around(value, se, n, z, least, most)
