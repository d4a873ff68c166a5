"""What a lifecycle says about watching: windows, budget, metrics, drift, quality, labels, alerts."""

import re
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
    field_serializer,
    field_validator,
    model_validator,
)

from streams.lifecycle import conditions, grammar, metrics
from streams.lifecycle.detection import DriftDetection
from streams.lifecycle.mistakes import Wrong
from streams.lifecycle.written import (
    Boolean,
    Change,
    Condition,
    Duration,
    Filled,
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
    form,
    listed,
    word,
)

_MINUTE = timedelta(minutes=1)
_HOUR = timedelta(hours=1)


class Windowing(Section):
    """Panes, windows and how late events may be."""

    pane: Length = _MINUTE
    """the grain of counting"""
    size: WindowLength = _HOUR
    """how much is judged at once; a multiple of the pane, at most 31d"""
    lateness: Duration = _MINUTE
    """how far events may be out of order before they count as late"""
    idle: Length = 5 * _MINUTE
    """a silent source partition holds the watermark back for so long"""
    max_ahead: Duration = 5 * _MINUTE
    """an event further in the future than this is a dead letter"""
    grace: Duration = 3 * _HOUR
    """what a version shows for so long after its deployment is published, and delivered only if it is
    still open then"""


Amount = Annotated[float, form("value", "number", "string")]
Bound = Annotated[metrics.Bound, form("value, {min} or {max}", "number", "string", "object")]


class PerformanceMetric(Section):
    """A metric with the line beyond which it is a problem; times are milliseconds."""

    metric: Metric
    """a [metric of outcomes](outcomes.md#metrics), which needs labels; or a latency, a share of
    failures, `throughput`, `positive_rate`, `mean_score` or the mean of a feature, which need none
    """
    current: Amount | None = None
    """its value where the reference has no outcomes"""
    threshold: Bound | None = None
    """the first line that it must not cross"""
    critical: Bound | None = None
    """the second one"""
    measurement_frequency: Frequency = None
    """over how long: a number of windows, at most 31d; none, or something else: one window"""
    segment: Text | None = None
    """of these events only, `NAME=VALUE`"""
    min_events: Positive = 200
    """fewer say nothing yet"""

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
    """the largest rise of missing values over the reference"""
    invalid: Share = 0.01
    """the largest share of values that are not of their type"""
    range: Share = 0.005
    """the largest share of numbers outside their range"""
    unseen: Share = 0.01
    """the largest share of categories that the reference does not know, beyond the reference's own
    """
    stale: Share = 0.05
    """the largest share of values older than their `freshness`"""
    leak: Share = 0.0
    """the largest share of values younger than their prediction"""
    volume: Share = 0.5
    """the least part of the usual volume"""
    silent: Annotated[
        timedelta | None,
        PlainValidator(_silent),
        PlainSerializer(lambda length: "auto" if length is None else grammar.iso(length)),
        form("auto, duration", "string"),
        Filled("auto"),
    ] = None
    """the longest time without a prediction; auto: three times the longest that is usual, at least 15m
    """
    window: WindowLength = 5 * _MINUTE
    """how often all this, and operation, is judged"""


class LabelHealth(Section):
    """When labels are expected, and how many of them."""

    delay: Duration | None = None
    """how long after its prediction a label is expected; see [label health](outcomes.md#label-health)
    """
    coverage: Share | None = None
    """the least share of predictions with a label, at the age `within`"""
    within: Length | None = None
    """how old predictions are whose labels are counted"""
    max_lag: Length | None = None
    """the age beyond which no more than 5 % of the labels may be"""
    maturity: Length | None = None
    """labels younger than that wait, where early ones are no fair sample; see
    [maturity](outcomes.md#two-clocks)"""
    min_confidence: Share = 0.0
    """labels with a `label_confidence` below do not count"""
    max_corrections: Share = 0.01
    """the largest share of labels that may be taken back"""


class Slice(Section):
    """A guardrail of one segment's values; times are milliseconds."""

    segment: Text
    """a line for every value of this segment"""
    metric: Metric
    """of outcomes only"""
    min: Amount | None = None
    """no value of it may be below"""
    max: Amount | None = None
    """no value of it may be above"""
    max_gap: Change | None = None
    """how far the best and the worst may be apart"""
    min_events: Positive = 1000
    """values with fewer are left out"""

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
    """whether other active versions are compared with the current one"""
    min_events: Positive = 1000
    """fewer say nothing yet"""
    max_gap: Change = grammar.Change(0.02, relative=False)
    """how much worse than the current one another may be"""


SEVERITIES = {name.capitalize(): name for name in ("critical", "error", "warning", "info")}
_CHANNELS = {
    "slack": "slack",
    "pagerduty": "pagerduty",
    "pager duty": "pagerduty",
    "email": "email",
    "e mail": "email",
}


_CHANNEL = form("Slack, PagerDuty, Email, receiver", "string")


def _channel(value: object) -> str:
    name = grammar.text(value)
    return _CHANNELS.get(grammar.fold(name), name)


class AlertRule(Section):
    """When to tell whom, how urgently, and where the reader finds what to do."""

    name: Annotated[Text, Filled("the condition")]
    """for people"""
    condition: Condition
    """a kind (`data drift`, `severe data drift`, `prediction drift`, `concept drift`, `performance`,
    `data quality`, `label health`, `operational`, `pipeline`) overrides its defaults; a line for a
    metric, a share (`missing(age) > 3%`), a distance (`psi(age) > 0.2`) or a silence is a rule of
    its own; so are several tests joined by `and`. See [conditions](#conditions)"""
    severity: Annotated[
        Literal["critical", "error", "warning", "info"] | None, word(SEVERITIES, "a severity")
    ] = None  # None: as is usual for the kind
    """none: as usual for the kind"""
    channel: Annotated[
        tuple[Annotated[str, PlainValidator(_channel), _CHANNEL], ...], BeforeValidator(listed)
    ] = ()
    """who hears it"""
    runbook: Text | None = None
    """linked from the alert"""
    for_: Persistence | None = Field(default=None, alias="for")
    """how long it must hold; none: 2 of 3 windows for what has a line, and at once for kinds and
    silences"""

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
    """the budget of the whole model: all features, segments and looks; see [statistics](statistics.md)
    """
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
