"""What a lifecycle says about watching: windows, budget, metrics, drift, quality, labels, alerts."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    ModelWrapValidatorHandler,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
    field_serializer,
    field_validator,
    model_validator,
)

from streams.lifecycle import conditions, drift, grammar, metrics
from streams.lifecycle.mistakes import Wrong, shown
from streams.lifecycle.written import (
    Boolean,
    Change,
    Condition,
    Duration,
    Frequency,
    Length,
    Metric,
    Persistence,
    Positive,
    Rate,
    Section,
    Share,
    Text,
    WindowLength,
    each,
    listed,
    word,
)

_MINUTE = timedelta(minutes=1)
_HOUR = timedelta(hours=1)


class Windowing(Section):
    """Panes, windows and how late events may be."""

    pane: Length = _MINUTE
    size: WindowLength = _HOUR
    lateness: Duration = _MINUTE
    idle: Length = 5 * _MINUTE
    max_ahead: Duration = 5 * _MINUTE
    grace: Duration = 3 * _HOUR


class PerformanceMetric(Section):
    """A metric with the line beyond which it is a problem; times are milliseconds."""

    metric: Metric
    current: float | None = None
    threshold: metrics.Bound | None = None
    critical: metrics.Bound | None = None
    measurement_frequency: Frequency = None
    segment: Text | None = None
    min_events: Positive = 200

    @field_validator("current", mode="plain")
    @classmethod
    def _read_current(cls, value: object, info: ValidationInfo) -> float | None:
        unit = metrics.METRICS.get(info.data.get("metric", ""), metrics.UNKNOWN).unit
        return None if value is None else metrics.amount(value, unit)

    @field_validator("threshold", "critical", mode="plain")
    @classmethod
    def _read_bound(cls, value: object, info: ValidationInfo) -> metrics.Bound | None:
        if value is None or "metric" not in info.data:
            return None
        return metrics.bound(value, info.data["metric"])

    @field_serializer("threshold", "critical")
    def _write_bound(self, value: metrics.Bound | None) -> Any:
        return None if value is None else metrics.bound_document(value, self.metric)

    @field_serializer("current")
    def _write_current(self, value: float | None) -> Any:
        unit = metrics.METRICS.get(self.metric, metrics.UNKNOWN).unit
        return metrics.amount_text(value, unit) if value is not None and unit == "time" else value


def _names(value: object) -> Literal["all"] | tuple[str, ...]:
    if isinstance(value, str) and grammar.fold(value) == "all":
        return "all"
    if not isinstance(value, list | tuple):
        raise Wrong(shown(value), "is not a list of features", "all, or a list of names", "")
    if not value:
        raise Wrong(
            "", "is an empty list", "all, or a list of names", "enabled: false switches it off"
        )
    return tuple(each(enumerate(value), grammar.text))


Alarm = Annotated[Literal["budget", "every_window"], word(["budget", "every_window"], "an alarm")]
Method = Annotated[
    drift.Methods, PlainValidator(drift.methods), PlainSerializer(drift.methods_document)
]


class PredictionDrift(Section):
    """Drift of prediction, score and confidence; `threshold` and `severe` are sizes that matter, None: the defaults."""

    enabled: Boolean = True
    method: Method = drift.AUTO
    threshold: drift.Threshold | None = None
    severe: drift.Threshold | None = None
    check_frequency: Frequency = None  # None: the window's size
    alarm: Alarm = "budget"

    @field_validator("threshold", "severe", mode="plain")
    @classmethod
    def _read_threshold(cls, value: object, info: ValidationInfo) -> drift.Threshold | None:
        if value is None or "method" not in info.data:
            return None
        return drift.threshold(value, info.data["method"])

    @model_validator(mode="wrap")
    @classmethod
    def _fill(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Severe is twice the threshold unless it is written; a p-value has no double, nor has the largest effect."""
        found = handler(value)
        threshold = found.threshold
        if threshold is None or found.severe is not None or threshold.measure == "p":
            return found
        severe = replace(threshold, value=2 * threshold.value)
        try:
            drift.threshold(drift.threshold_document(severe), found.method)
        except Wrong:
            return found
        return found.model_copy(update={"severe": severe})

    @field_serializer("threshold", "severe")
    def _write_threshold(self, value: drift.Threshold | None) -> Any:
        return None if value is None else drift.threshold_document(value)


def _part(value: object) -> float:
    part = grammar.share(value)
    if not part:
        raise Wrong(shown(value), "is no feature at all", "a share above 0, such as 30%")
    return part


class DataDrift(PredictionDrift):
    """Drift of the features; `share` is the part of them that must drift, None: any feature will do.

    `joint` watches the relations between the numbers among them too.
    """

    features_monitored: Annotated[
        Literal["all"] | tuple[str, ...],
        PlainValidator(_names),
        PlainSerializer(lambda names: names if names == "all" else list(names)),
    ] = "all"
    share: Annotated[float, PlainValidator(_part)] | None = None
    joint: Boolean = False


_CONCEPT_METHODS = {
    "Performance degradation": "performance_degradation",
    "Label drift": "label_drift",
    "ADWIN": "adwin",
    "HDDM": "hddm",
    "Page-Hinkley": "page_hinkley",
    "DDM": "ddm",
}


class ConceptDrift(Section):
    """Drift of the relation between inputs and truth, seen in the loss or the labels."""

    method: Annotated[
        tuple[Annotated[str, word(_CONCEPT_METHODS, "a method of concept drift")], ...],
        BeforeValidator(listed),
    ] = ("performance_degradation",)
    window: WindowLength = timedelta(days=1)
    threshold: Change | None = None


class DriftDetection(Section):
    """Which kinds of drift are looked for, and how."""

    data_drift: DataDrift = DataDrift()
    prediction_drift: PredictionDrift = PredictionDrift()
    concept_drift: ConceptDrift | None = None


def _silent(value: object) -> timedelta | None:
    if isinstance(value, str) and grammar.fold(value) == "auto":
        return None
    try:
        return grammar.longer_than_nothing(value)
    except Wrong as error:
        raise Wrong(error.subject, error.what, f"auto, or {error.expected}", error.hint) from None


class DataQuality(Section):
    """Limits of what is no drift but broken; `silent` None is ``auto``."""

    missing: Change = grammar.Change(0.02, relative=False)
    invalid: Share = 0.01
    range: Share = 0.005
    unseen: Share = 0.01
    stale: Share = 0.05
    leak: Share = 0.0
    volume: Share = 0.5
    silent: Annotated[
        timedelta | None,
        PlainValidator(_silent),
        PlainSerializer(lambda length: "auto" if length is None else grammar.iso(length)),
    ] = None
    window: WindowLength = 5 * _MINUTE


class LabelHealth(Section):
    """When labels are expected, and how many of them."""

    delay: Duration | None = None
    coverage: Share | None = None
    within: Length | None = None
    max_lag: Length | None = None
    maturity: Length | None = None
    min_confidence: Share = 0.0
    max_corrections: Share = 0.01


class Slice(Section):
    """A guardrail of one segment's values; times are milliseconds."""

    segment: Text
    metric: Metric
    min: float | None = None
    max: float | None = None
    max_gap: Change | None = None
    min_events: Positive = 1000

    @field_validator("min", "max", mode="plain")
    @classmethod
    def _read_line(cls, value: object, info: ValidationInfo) -> float | None:
        unit = metrics.METRICS.get(info.data.get("metric", ""), metrics.UNKNOWN).unit
        return None if value is None else metrics.amount(value, unit)

    @field_serializer("min", "max")
    def _write_line(self, value: float | None) -> Any:
        unit = metrics.METRICS.get(self.metric, metrics.UNKNOWN).unit
        return metrics.amount_text(value, unit) if value is not None and unit == "time" else value

    @model_validator(mode="after")
    def _has_a_limit(self) -> "Slice":
        if self.min is None and self.max is None and self.max_gap is None:
            raise Wrong("", "has no limit", "min, max or max_gap")
        return self


class Versions(Section):
    """Comparison of other active versions with the current one."""

    compare: Boolean = True
    min_events: Positive = 1000
    max_gap: Change = grammar.Change(0.02, relative=False)


SEVERITIES = {name.capitalize(): name for name in ("critical", "error", "warning", "info")}
_CHANNELS = {
    "slack": "slack",
    "pagerduty": "pagerduty",
    "pager duty": "pagerduty",
    "email": "email",
    "e mail": "email",
}


def _channel(value: object) -> str:
    name = grammar.text(value)
    return _CHANNELS.get(grammar.fold(name), name)


class AlertRule(Section):
    """When to tell whom, how urgently, and where the reader finds what to do."""

    name: Text
    condition: Condition
    severity: Annotated[
        Literal["critical", "error", "warning", "info"] | None, word(SEVERITIES, "a severity")
    ] = None  # None: as is usual for the kind
    channel: Annotated[
        tuple[Annotated[str, PlainValidator(_channel)], ...], BeforeValidator(listed)
    ] = ()
    runbook: Text | None = None
    for_: Persistence | None = Field(default=None, alias="for")

    @property
    def channels(self) -> tuple[str, ...]:
        """`channel`, whose items are slack, pagerduty, email or a receiver's name."""
        return self.channel

    @property
    def persistence(self) -> grammar.Persistence | None:
        """How long the condition must hold, wherever that was written."""
        return self.for_ or self.condition.persistence


def slug(text: str) -> str:
    """A short name out of a sentence.

    >>> slug("recall < 0.62 for 2 of 3 windows")
    'recall-below-0.62-for-2-of-3-windows'
    """
    for sign, said in (("<=", "at most"), (">=", "at least"), ("<", "below"), (">", "above")):
        text = text.replace(sign, f" {said} ")
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")[:60] or "rule"


def named(value: object, key: str, read: Any) -> object:
    """A list of mappings in which those without a name got one that says what they are about."""
    if not isinstance(value, list | tuple):
        return value
    taken = {
        item["name"]
        for item in value
        if isinstance(item, dict) and isinstance(item.get("name"), str)
    }
    result = []
    for item in value:
        if isinstance(item, dict) and item.get("name") is None:
            try:
                first = slug(str(read(item.get(key))))
            except Wrong:  # told when the item itself is read
                first = "rule"
            name = next(
                n for n in (first, *(f"{first}-{k}" for k in range(2, 10_000))) if n not in taken
            )
            taken.add(name)
            item = {**item, "name": name}
        result.append(item)
    return result


class Monitoring(Section):
    """Everything that is watched, and who hears of it."""

    window: Windowing = Windowing()
    false_alarms: Rate = grammar.Rate(1, timedelta(days=90))
    performance_metrics: tuple[PerformanceMetric, ...] = ()
    drift_detection: DriftDetection = DriftDetection()
    data_quality: DataQuality = DataQuality()
    labels: LabelHealth | None = None
    slices: tuple[Slice, ...] = ()
    versions: Versions | None = None
    alerts: tuple[AlertRule, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _name_alerts(cls, value: Any) -> Any:
        if isinstance(value, dict) and "alerts" in value:
            return {**value, "alerts": named(value["alerts"], "condition", conditions.condition)}
        return value
