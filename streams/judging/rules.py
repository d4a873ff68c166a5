"""What does a lifecycle's `method`, `threshold`, `severe` and `alarm` mean for each series of a reference?"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from detectors.judging.rules import AUTO, Rule, written
from detectors.series import Series
from streams.lifecycle import Lifecycle
from streams.lifecycle.detection import PredictionDrift
from streams.lifecycle.drift import ONLY_CATEGORIES, ONLY_NUMBERS, Methods, Threshold

OUTPUTS = ("prediction", "score")
_SIZE_OF = {"D": "ks", "V": "chi2", "difference": "two_proportion"}


def rules(
    lifecycle: Lifecycle,
    series: Iterable[Series],
    *,
    aside: Iterable[str] = (),
    literally: bool = False,
) -> Mapping[str, Rule]:
    """The rules of the series for which something was written, by name; the others keep `auto`.

    Parameters
    ----------
    aside : series that keep `auto` whatever is written
    literally : as if `alarm: every_window` were written
    """
    drift, kept = lifecycle.monitoring.drift_detection, set(aside)
    found = {}
    for one in series:
        of = drift.prediction_drift if one.name in OUTPUTS else drift.data_drift
        if literally:
            of = of.model_copy(update={"alarm": "every_window"})
        rule = None if one.name in kept else rule_of(of, numeric=one.numeric)
        feature = lifecycle.features.get(one.name.removeprefix("feature:"))
        if feature is not None and feature.min_effect is not None and one.name not in kept:
            rule = _from(rule or written(AUTO), feature.min_effect)
        if rule is not None:
            found[one.name] = rule
    return found


def _from(rule: Rule, least: float) -> Rule:
    """The rule with a feature's own smallest effect; what is severe stays as many times larger."""
    times = rule.severe / rule.threshold if rule.severe and rule.threshold else 2.0
    return replace(rule, threshold=least, severe=least * times)


def rule_of(drift: PredictionDrift, *, numeric: bool) -> Rule | None:
    """The rule for numbers, or for categories; None where nothing was written for them.

    A type that the method does not compare is tested by chi-square if a p-value is the rule, and else stays with
    `auto` under the budget: no series is left unwatched.
    """
    threshold, severe = drift.threshold, drift.severe
    literal = drift.alarm == "every_window"
    name = _method(drift.method, numeric=numeric)
    if name != AUTO and name in (ONLY_CATEGORIES if numeric else ONLY_NUMBERS):
        by_p = threshold.measure == "p" if threshold else written(name, literal=True).level
        name = "chi2" if literal and by_p else AUTO
        threshold = threshold if threshold and threshold.measure == "p" else None
    if name == AUTO:
        literal = False
    if name == AUTO and threshold is None:
        return None
    if threshold is None or _SIZE_OF.get(threshold.measure, name) != name:
        return written(name, literal=literal)
    if threshold.measure == "p":
        worse = severe.value if severe else None
        return written(name, level=threshold.value, severe_level=worse, literal=literal)
    return written(name, threshold=threshold.value, severe=_size(severe), literal=literal)


def _method(methods: Methods, *, numeric: bool) -> str:
    return methods.number if numeric else methods.category


def _size(severe: Threshold | None) -> float | None:
    return severe.value if severe is not None else None
