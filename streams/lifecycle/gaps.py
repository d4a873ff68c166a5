"""Why does a condition or a trigger not act, and what of a lifecycle has no labels to work on?"""

from collections.abc import Iterator

from streams.lifecycle.conditions import (
    SIZES,
    Condition,
    KindTest,
    MetricTest,
    SeriesTest,
    SilenceTest,
    Test,
    WordTest,
)
from streams.lifecycle.grammar import human
from streams.lifecycle.metrics import NEEDS_LABELS
from streams.lifecycle.mistakes import either
from streams.lifecycle.settings import Lifecycle
from streams.lifecycle.triggers import NewLabels, Trigger

KINDS_THAT_OPEN = (
    "data_drift",
    "prediction_drift",
    "concept_drift",
    "performance",
    "data_quality",
    "label_health",
    "operational",
    "pipeline",
)
KINDS_THAT_RETRAIN = ("data_drift", "prediction_drift", "concept_drift", "performance")
_OF_LABELS = ("label_coverage", "label_lag")
_OF_OUTCOMES = NEEDS_LABELS - set(_OF_LABELS)
_ONLY_KINDS_OF_LABELS = ("concept_drift", "label_health")


def alert_gap(condition: Condition, lifecycle: Lifecycle) -> str | None:
    """Why a condition opens nothing in this release; None: it acts.

    Examples
    --------
    >>> from streams.lifecycle import load
    >>> one, = load('model_lifecycle: {model_id: m, version: "1", features: {x: number}}', "m.yaml")
    >>> from streams.lifecycle.conditions import condition
    >>> alert_gap(condition("version regression"), one)
    'version regression comes with a later release'
    >>> alert_gap(condition("accuracy < 0.8 and data drift"), one) is None
    True
    """
    gaps = (_test_gap(test, lifecycle) for test in condition.tests)
    return next((gap for gap in gaps if gap is not None), None)


def _test_gap(test: Test, lifecycle: Lifecycle) -> str | None:
    """Why a test tells nothing."""
    if isinstance(test, KindTest):
        return None if set(test.kinds) & set(KINDS_THAT_OPEN) else _later(test)
    if isinstance(test, MetricTest):
        feature = lifecycle.features.get(test.metric)
        if feature is not None and feature.type not in ("number", "integer"):
            return f"{test.metric} is a {feature.type}, and has no mean"
        return _no_line(test, lifecycle)
    return "belongs to the approval process" if isinstance(test, WordTest) else None


def trigger_gap(trigger: Trigger, action: str, lifecycle: Lifecycle) -> str | None:
    """Why a trigger asks for nothing, or tells nothing, in this release; None: it acts."""
    told = action == "notify"
    if not isinstance(trigger, Condition):
        return "only conditions are told to people" if told else None
    if told or leading(trigger) is not None:
        return alert_gap(trigger, lifecycle)
    kinds = [kind.replace("_", " ") for kind in KINDS_THAT_RETRAIN]
    wanted = either([*kinds, "a metric of outcomes", "how much a feature changed"])
    return f"this release retrains on {wanted}"


def leading(condition: Condition) -> Test | None:
    """The test that may ask for a retraining, the first of several; None: no test of it may."""
    return next((test for test in condition.tests if _retrains(test)), None)


def _retrains(test: Test) -> bool:
    if isinstance(test, KindTest):
        return bool(set(test.kinds) & set(KINDS_THAT_RETRAIN))
    if isinstance(test, MetricTest):
        return test.metric in _OF_OUTCOMES
    return isinstance(test, SeriesTest) and test.statistic in SIZES


def _no_line(test: MetricTest, lifecycle: Lifecycle) -> str | None:
    """Why it is not known what a metric is compared with."""
    if test.value.base == "number" or _written(test.metric, lifecycle) is not None:
        return None
    if test.metric in _OF_OUTCOMES:
        return None  # the reference may know it
    return (
        f"{test.value.base} is not known: performance_metrics has no current value of {test.metric}"
    )


def _written(metric: str, lifecycle: Lifecycle) -> float | None:
    written = lifecycle.monitoring.performance_metrics
    return next((m.current for m in written if m.metric == metric), None)


def _later(test: KindTest) -> str:
    return f"{str(test).replace('_', ' ')} comes with a later release"


def of_release(lifecycle: Lifecycle) -> Iterator[str]:
    """Which conditions of a release no report can fulfil, one line each, ``PATH: …``."""
    process = lifecycle.retraining.approval_process
    for key, condition in (
        ("auto_deploy_if", process.auto_deploy_if),
        ("manual_review_if", process.manual_review_if),
    ):
        for test in condition.tests if condition is not None else ():
            if isinstance(test, SeriesTest | SilenceTest):
                yield (
                    f"retraining.approval_process.{key}: {test} cannot be told of a new model: "
                    "every release waits for a person"
                )


# ---- labels


def of_labels(lifecycle: Lifecycle) -> Iterator[str]:
    """What a person should know about labels, one line each, ``PATH: …``."""
    if lifecycle.source.labels is None:
        yield from _unlabelled(lifecycle)
    else:
        yield from _times(lifecycle)
        yield from _measured(lifecycle)


def _unlabelled(lifecycle: Lifecycle) -> Iterator[str]:
    why = "needs labels, and none are read: write source.labels"
    prediction, monitoring = lifecycle.prediction, lifecycle.monitoring
    if prediction is not None and prediction.costs is not None:
        yield f"prediction.costs: {why}"
    for place, metric in enumerate(monitoring.performance_metrics):
        if metric.metric in NEEDS_LABELS:
            yield f"monitoring.performance_metrics[{place}]: {why}"
    if monitoring.drift_detection.concept_drift is not None:
        yield f"monitoring.drift_detection.concept_drift: {why}"
    if monitoring.labels is not None:
        yield f"monitoring.labels: {why}"
    for place, cohort in enumerate(monitoring.slices):
        if cohort.metric in NEEDS_LABELS:
            yield f"monitoring.slices[{place}]: {why}"
    for place, rule in enumerate(monitoring.alerts):
        acts = alert_gap(rule.condition, lifecycle) is None
        if acts and any(map(_only_of_labels, rule.condition.tests)):
            yield f"monitoring.alerts[{place}].condition: {why}"
    for place, wish in enumerate(lifecycle.retraining.trigger_conditions):
        acts = trigger_gap(wish.trigger, wish.action, lifecycle) is None
        if acts and _waits_for_labels(wish.trigger):
            yield f"retraining.trigger_conditions[{place}].trigger: {why}"
    if lifecycle.retraining.training_window.min_labels is not None:
        yield (
            "retraining.training_window.min_labels: holds every request back: no labels are read, "
            "as source.labels is not written"
        )


def _waits_for_labels(trigger: Trigger) -> bool:
    if isinstance(trigger, Condition):
        return any(map(_only_of_labels, trigger.tests))
    return isinstance(trigger, NewLabels)


def _only_of_labels(test: Test) -> bool:
    if isinstance(test, KindTest):
        return all(kind in _ONLY_KINDS_OF_LABELS for kind in test.kinds)
    return isinstance(test, MetricTest) and test.metric in NEEDS_LABELS


def _times(lifecycle: Lifecycle) -> Iterator[str]:
    labels, join = lifecycle.monitoring.labels, lifecycle.source.join
    if join is not None and lifecycle.source.predictions is None:
        yield (
            "source.labels: are joined with predictions, which are not read; with join: false they say "
            "themselves what was predicted"
        )
    if labels is None:
        return
    for key, length in (("max_lag", labels.max_lag), ("within", labels.within)):
        if join is not None and length is not None and join.window < length:
            yield (
                f"source.join.window: {human(join.window)} is shorter than monitoring.labels.{key}, {human(length)}: "
                "labels older than the window find no prediction"
            )
            break
    if labels.maturity is None:
        return
    late = human(labels.maturity)
    if labels.delay is not None and labels.maturity < labels.delay:
        yield (
            f"monitoring.labels.maturity: {late} is shorter than the delay, {human(labels.delay)}: most labels come "
            "too late for the window of their prediction"
        )
    else:
        yield (
            f"monitoring.labels.maturity: outcomes count when their prediction was made, and are judged {late} later; "
            "labels that come after that only show in matured days"
        )


def _measured(lifecycle: Lifecycle) -> Iterator[str]:
    prediction, monitoring = lifecycle.prediction, lifecycle.monitoring
    if prediction is not None and prediction.costs is not None and prediction.positive is None:
        costs = prediction.costs
        if not costs.false_positive is costs.false_negative is None:
            yield "prediction.costs: no cost is measured without prediction.positive: mistakes have no sides"
    concept = monitoring.drift_detection.concept_drift
    window = concept.window if concept is not None else None
    for place, metric in enumerate(monitoring.performance_metrics):
        every = metric.measurement_frequency
        if every is None or window is None or metric.metric not in _OF_OUTCOMES:
            continue
        if every < window or every % window:
            yield (
                f"monitoring.performance_metrics[{place}].measurement_frequency: {human(every)} is no number of "
                f"windows of outcomes (concept_drift.window): measured over each, {human(window)}"
            )
