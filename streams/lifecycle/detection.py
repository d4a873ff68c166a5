"""Which drift is looked for, by which method, and how much of it matters?"""

from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    ModelWrapValidatorHandler,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
    field_serializer,
    field_validator,
    model_validator,
)

from streams.lifecycle import drift, grammar
from streams.lifecycle.mistakes import Wrong, shown
from streams.lifecycle.written import (
    Boolean,
    Change,
    Frequency,
    Section,
    WindowLength,
    each,
    form,
    listed,
    word,
)


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
    drift.Methods,
    PlainValidator(drift.methods),
    PlainSerializer(drift.methods_document),
    form("auto, PSI, KS-test, …", "string", "object"),
]


Threshold = Annotated[drift.Threshold, form("`0.1`, `D > 0.1`, `p < 0.05`", "number", "string")]


class PredictionDrift(Section):
    """Drift of prediction, score and confidence; `threshold` and `severe` are sizes that matter, None: the defaults."""

    enabled: Boolean = True
    """whether features, or prediction and score, count for the alarm"""
    method: Method = drift.AUTO
    """which effect is shown first and gated, see [methods](#methods-by-name)"""
    threshold: Threshold | None = None
    """smallest effect worth an alert; none: the method's own"""
    severe: Threshold | None = None
    """second gate, twice the threshold; without `threshold` it means nothing"""
    check_frequency: Frequency = None  # None: the window's size
    """length of the window, in which outputs are judged with the inputs; none:
    `monitoring.window.size`"""
    alarm: Alarm = "budget"
    """spend the budget, or apply the rule literally to every window"""

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
        form("all, list", "string", "array"),
    ] = "all"
    """which features; all: those of role `input`"""
    share: Annotated[float, PlainValidator(_part), form("share", "number", "string")] | None = None
    """part of the monitored series that must drift, each by itself, before an episode opens; none: any
    one"""
    joint: Boolean = False
    """watch the relations between the monitored numbers too, as [joint
    series](statistics.md#relations-between-features); needs two numbers"""


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
    """drift between inputs and truth, see [outcomes](outcomes.md#concept-drift); needs labels"""
    window: WindowLength = timedelta(days=1)
    """the window of all outcomes"""
    threshold: Change | None = None
    """the rise of the error rate that matters: points of it, or a percentage of the first of
    `performance_metrics`; of a mean loss both are relative to the reference's; never below 2
    points, or a twentieth of a mean loss"""


class DriftDetection(Section):
    """Which kinds of drift are looked for, and how."""

    data_drift: DataDrift = DataDrift()
    prediction_drift: PredictionDrift = PredictionDrift()
    concept_drift: ConceptDrift | None = None
