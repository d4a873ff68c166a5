"""Which keys act in this release, which are only parsed, and what else deserves a person's attention?

`NOT_YET` and `ACTS` are the tables to edit when a release makes more keys act: move the path from one to the other.
A test holds them to the schema: each key is in exactly one of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from streams.lifecycle import gaps
from streams.lifecycle.conditions import MetricTest
from streams.lifecycle.grammar import human
from streams.lifecycle.metrics import METRICS, NEEDS_LABELS
from streams.lifecycle.mistakes import Steps, dotted, quoted, shown
from streams.lifecycle.settings import Lifecycle

_VERSIONS = "comparing and rolling back versions comes with a later release"
_RETIREMENT = "deprecation, and what becomes of a retired model's state, come with a later release"


@dataclass(frozen=True, slots=True)
class Row:
    """A key that does not act yet; with `values`, only these values of it (in the normalised file) do not."""

    path: str  # "*" for any item or name
    why: str
    values: tuple[Any, ...] = ()


NOT_YET: tuple[Row, ...] = (
    Row("source.*.fields.entity_id", "entities are read with a later release"),
    Row("reference.max_age", "the age of a reference is judged with a later release"),
    Row("monitoring.versions", _VERSIONS),
    Row("versioning", _VERSIONS),
    Row("retirement.status", _RETIREMENT, ("Deprecated",)),
    Row("retirement.deprecation_date", _RETIREMENT),
    Row("retirement.replacement", _RETIREMENT),
    Row("retirement.data_retention", _RETIREMENT),
    Row("privacy.show_values", "alerts name bins by number and show no values in this release"),
)
ACTS: tuple[str, ...] = (
    "model_id",
    "model_name",
    "version",
    "metadata",
    "prediction.costs.false_positive",
    "prediction.costs.false_negative",
    "prediction.costs.over",
    "prediction.costs.under",
    "prediction.costs.unit",
    "prediction.costs.unacceptable",
    "prediction.classes",
    "prediction.positive",
    "prediction.score_range",
    "prediction.entity",
    "prediction.decision_owner",
    "prediction.serving",
    "prediction.fallback",
    "prediction.review",
    "prediction.target",
    "deployment.environment",
    "deployment.endpoint",
    "deployment.infrastructure",
    "deployment.scaling_config",
    "source.*.topic",
    "source.*.fields",
    "source.*.filter",
    "source.*.timestamp_unit",
    "source.*.format",
    "source.join",
    "features.*.type",
    "features.*.role",
    "features.*.importance",
    "features.*.unit",
    "features.*.description",
    "features.*.source",
    "features.*.transformation",
    "features.*.leakage",
    "features.*.path",
    "features.*.from",
    "features.*.range",
    "features.*.allowed",
    "features.*.nullable",
    "features.*.freshness",
    "features.*.min_effect",
    "segments",
    "reference.id",
    "reference.from",
    "reference.min_events",
    "reference.bins",
    "reference.season",
    "reference.timezone",
    "monitoring.window",
    "monitoring.false_alarms",
    "monitoring.data_quality",
    "monitoring.performance_metrics",
    "monitoring.labels",
    "monitoring.slices",
    "monitoring.drift_detection.data_drift.enabled",
    "monitoring.drift_detection.data_drift.features_monitored",
    "monitoring.drift_detection.data_drift.joint",
    "monitoring.drift_detection.data_drift.check_frequency",
    "monitoring.drift_detection.data_drift.method",
    "monitoring.drift_detection.data_drift.threshold",
    "monitoring.drift_detection.data_drift.severe",
    "monitoring.drift_detection.data_drift.alarm",
    "monitoring.drift_detection.data_drift.share",
    "monitoring.drift_detection.prediction_drift.enabled",
    "monitoring.drift_detection.prediction_drift.check_frequency",
    "monitoring.drift_detection.prediction_drift.method",
    "monitoring.drift_detection.prediction_drift.threshold",
    "monitoring.drift_detection.prediction_drift.severe",
    "monitoring.drift_detection.prediction_drift.alarm",
    "monitoring.drift_detection.concept_drift",
    "monitoring.alerts",
    "retraining.trigger_conditions",
    "retraining.training_window",
    "retraining.guards",
    "retraining.pipeline",
    "retraining.promotion_gates",
    "retraining.approval_process",
    "retirement.status",
    "privacy.pii",
)
# What acts of conditions and triggers, whose keys are in `ACTS`, is told by `streams.lifecycle.gaps`.


def notices(lifecycle: Lifecycle) -> tuple[str, ...]:
    """What a person should know about a valid lifecycle, one line each, ``PATH: …``.

    First what is missing, then what has consequences, then every key that is parsed but does not act yet.
    """
    return (
        *_missing(lifecycle),
        *_remarks(lifecycle),
        *gaps.of_labels(lifecycle),
        *gaps.of_release(lifecycle),
        *_not_yet(lifecycle),
    )


def _missing(lifecycle: Lifecycle) -> Iterator[str]:
    wanted = {
        "purpose": "readers of an alert cannot tell what the model is for",
        "owner": "alerts name nobody who is responsible",
        "framework": "a retraining pipeline is not told what it builds",
    }
    for key, consequence in wanted.items():
        if getattr(lifecycle.metadata, key) is None:
            yield f"metadata.{key}: is missing: {consequence}"


def _remarks(lifecycle: Lifecycle) -> Iterator[str]:
    environment = lifecycle.deployment.environment
    if environment != "Production" and "prod" in environment.lower():
        yield (
            f"deployment.environment: {quoted(environment)} is not Production: nothing of this model may page"
        )
    capped = sum(segment.max_values for segment in lifecycle.segments)
    if capped > 200:
        yield f"segments: up to {capped} segments are asked for: 200 are kept, the rest is counted as (other)"
    detection = lifecycle.monitoring.drift_detection
    for key, drift in (
        ("data_drift", detection.data_drift),
        ("prediction_drift", detection.prediction_drift),
    ):
        path = f"monitoring.drift_detection.{key}.threshold"
        if drift.threshold and drift.threshold.measure == "p" and drift.alarm == "budget":
            yield (
                f"{path}: a p-value says how surprising, not how large: under alarm: budget it is only the level of "
                "the list in results; alarm: every_window applies it literally"
            )
    used = windows(lifecycle)
    if detection.prediction_drift.enabled and used.prediction != used.inputs:
        yield (
            "monitoring.drift_detection.prediction_drift.check_frequency: predictions are judged together with the "
            f"features: every {human(used.inputs)}"
        )
    lined = {metric.metric for metric in lifecycle.monitoring.performance_metrics}
    for name, feature in lifecycle.features.items():
        if feature.role in ("operational", "business") and name not in lined:
            yield (
                f"features.{name}.role: {feature.role} features are not watched for drift; a line for the mean of "
                "this one in performance_metrics acts"
            )
    for place, metric in enumerate(lifecycle.monitoring.performance_metrics):
        line, now = metric.threshold, metric.current
        if line is None or now is None:
            continue
        if (line.min is not None and now < line.min) or (line.max is not None and now > line.max):
            path = f"monitoring.performance_metrics[{place}].current"
            yield f"{path}: is beyond the threshold already: an alert follows at once"
    for place, rule in enumerate(lifecycle.monitoring.alerts):
        for test in rule.condition.tests:
            better = (
                METRICS[test.metric].better
                if isinstance(test, MetricTest) and test.metric in METRICS
                else None
            )
            if isinstance(test, MetricTest) and (better, test.op[0]) in (
                ("higher", ">"),
                ("lower", "<"),
            ):
                yield f"monitoring.alerts[{place}].condition: alerts when {test.metric} is good"


def _not_yet(lifecycle: Lifecycle) -> Iterator[str]:
    document = lifecycle.normalised()
    for row in NOT_YET:
        for path, value in _matches(document, tuple(row.path.split(".")), ()):
            if not row.values or value in row.values:
                said = f" ({shown(value)})" if isinstance(value, str) and row.values else ""
                yield f"{dotted(path)}: parsed, does not act yet{said} ({row.why})"
    for place, cohort in enumerate(lifecycle.monitoring.slices):
        if cohort.metric not in NEEDS_LABELS:
            yield (
                f"monitoring.slices[{place}]: parsed, does not act yet (slices of {cohort.metric}, which needs no "
                "labels, come with a later release)"
            )
    for place, alert in enumerate(lifecycle.monitoring.alerts):
        rule = f"monitoring.alerts[{place}]"
        gap = gaps.alert_gap(alert.condition, lifecycle)
        if gap is not None:
            yield f"{rule}.condition: parsed, does not act yet ({gap})"
    for place, wish in enumerate(lifecycle.retraining.trigger_conditions):
        rule = f"retraining.trigger_conditions[{place}]"
        gap = gaps.trigger_gap(wish.trigger, wish.action, lifecycle)
        if gap is not None:
            yield f"{rule}.trigger: parsed, does not act yet ({gap})"


def _matches(value: Any, pattern: Steps, path: Steps) -> Iterator[tuple[Steps, Any]]:
    """The parts of a document that a pattern names, with their paths."""
    if not pattern:
        yield path, value
        return
    step, rest = pattern[0], pattern[1:]
    if isinstance(value, list) and step == "*":
        for place, item in enumerate(value):
            yield from _matches(item, rest, (*path, place))
    elif isinstance(value, dict):
        for key in value if step == "*" else (step,):
            if key in value:
                yield from _matches(value[key], rest, (*path, key))


@dataclass(frozen=True, slots=True)
class Windows:
    """The length of each scope's window."""

    inputs: timedelta
    prediction: timedelta
    outcomes: timedelta | None  # None: nothing needs labels
    health: timedelta


def _outcomes(lifecycle: Lifecycle) -> timedelta | None:
    """The length in which outcomes are judged, a day unless it is written."""
    concept = lifecycle.monitoring.drift_detection.concept_drift
    if concept is None and lifecycle.source.labels is None:
        return None
    return concept.window if concept else timedelta(days=1)


def windows(lifecycle: Lifecycle) -> Windows:
    """The windows that are really used: what is written, else what follows from the rest.

    `check_frequency` defaults to the window's size; the health window is as written (default 5 minutes),
    rounded up to whole panes.
    """
    monitoring = lifecycle.monitoring
    detection, base = monitoring.drift_detection, monitoring.window
    panes = -(-monitoring.data_quality.window // base.pane)
    inputs = detection.data_drift.check_frequency or base.size
    return Windows(
        inputs=inputs,
        prediction=detection.prediction_drift.check_frequency or inputs,
        outcomes=_outcomes(lifecycle),
        health=panes * base.pane,
    )
