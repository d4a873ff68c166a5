"""What a lifecycle says about retraining, release, versions and retirement."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    model_validator,
)

from streams.lifecycle import conditions, grammar, triggers
from streams.lifecycle.metrics import METRICS, UNKNOWN, metric_name
from streams.lifecycle.mistakes import Wrong, shown
from streams.lifecycle.monitoring import named
from streams.lifecycle.written import (
    ApprovalCondition,
    Boolean,
    Condition,
    Date,
    DateRange,
    Duration,
    Filled,
    Length,
    Positive,
    Rate,
    Requirement,
    Retention,
    Section,
    Text,
    Texts,
    Trigger,
    Version,
    each,
    form,
    listed,
    text_or_number,
    word,
)

_DAY = timedelta(days=1)
Approval = Literal["auto", "required", "advisory"]


class TriggerCondition(Section):
    """When to ask for what, and who must agree first."""

    name: Annotated[Text, Filled("the trigger")]
    """part of the trigger id"""
    trigger: Trigger
    """data drift or prediction drift that stays severe for 3 windows; concept drift or performance at
    once; a metric of outcomes beyond a line; a date, so many labels, or a person. See
    [conditions](#conditions)"""
    action: Annotated[
        Literal["retrain", "evaluate", "notify"],
        PlainValidator(triggers.action),
        form("retrain, evaluate, notify", "string"),
    ]
    """`notify` tells people of a condition as an entry of `alerts` does; drifting predictions alone
    are only ever evaluated"""
    approval: Annotated[
        Approval, word(["auto", "required", "advisory"], "a kind of approval"), Filled("see below")
    ] = "advisory"
    """default for `retrain`: required where there are approvers, else auto; otherwise advisory"""
    priority: Annotated[
        Literal["low", "normal", "high"], word(["low", "normal", "high"], "a priority")
    ] = "normal"
    """of several conditions that hold the most urgent asks"""


class TrainingWindow(Section):
    """The suggested range of training data."""

    lookback: Length = 90 * _DAY
    """the suggested range of data"""
    from_: Annotated[
        Literal["lookback", "change_point"],
        word(
            {"lookback": "lookback", "change_point": "change_point"}, "a start of the training data"
        ),
    ] = Field(default="lookback", alias="from")
    """where that range begins; `change_point` when the change is known"""
    min_records: Positive | None = None
    """fewer events hold the request back"""
    min_labels: Positive | None = None
    """fewer labels, of the predictions since the range begins, hold the request back"""


class Guards(Section):
    """What keeps retraining from running in circles."""

    cooldown: Duration = _DAY
    """no other request for so long after one"""
    at_most: Rate = grammar.Rate(2, 7 * _DAY)
    """requests in any such time"""
    expires: Length = 3 * _DAY
    """a request that nobody approves is cancelled"""
    start_within: Length = _DAY
    """an approved trigger that nobody starts has failed"""
    finish_within: Length = 7 * _DAY
    """a trigger that was started and does not end in this time has failed"""
    dry_run: Boolean = False
    """requested, never approved"""


def _params(value: object) -> dict[str, str]:
    expected = "at most 32 names with a text each"
    if not isinstance(value, dict):
        raise Wrong(shown(value), "is not a mapping", expected)
    if len(value) > 32:
        raise Wrong(f"{len(value)} parameters", "are too many", expected)
    return dict(zip(value, each(value.items(), text_or_number), strict=True))


class Pipeline(Section):
    """The retraining pipeline; carried in every trigger."""

    location: Text | None = None
    """where the pipeline is; handed on in every trigger"""
    data_sources: Texts = ()
    """what it trains on; handed on in every trigger"""
    validation_requirements: Annotated[
        tuple[Requirement, ...],
        BeforeValidator(listed),
    ] = ()
    """a bound of a metric is a gate like those of `promotion_gates`; anything else is a check that a
    person ticks"""
    params: Annotated[dict[str, str], PlainValidator(_params), form("mapping", "object")] = Field(
        default={}
    )
    """at most 32 names with a text each; handed on in every trigger"""


@dataclass(frozen=True, slots=True)
class Gate:
    """What a released model must reach: exactly one of `min` and `max`."""

    min: conditions.Value | None = None
    max: conditions.Value | None = None
    segment: str | None = None


def _gates(value: object) -> dict[str, Gate]:
    if not isinstance(value, dict):
        raise Wrong(
            shown(value), "is not a mapping", "metrics with {min: VALUE} or {max: VALUE} each"
        )
    names = [metric_name(name) or name for name in value]
    pairs = zip(names, value.values(), strict=True)
    gates = each(zip(value, pairs, strict=True), lambda pair: _gate(*pair))
    return dict(zip(names, gates, strict=True))


def _gate(name: str, written: object) -> Gate:
    """One gate, of the metric `name`."""
    if isinstance(written, Gate):
        return written
    if isinstance(written, list) or written is None:
        raise Wrong(shown(written), "is not a gate", "{min: VALUE} or {max: VALUE}")
    if not isinstance(written, dict):
        said = written if isinstance(written, str) else shown(written)
        sides = f"{{min: {said}}} or {{max: {said}}}"
        raise Wrong(shown(written), "has no direction", sides)
    unknown = next((key for key in written if key not in ("min", "max", "segment")), None)
    if unknown is not None:
        raise Wrong("", "is not a key of a gate", "min, max or segment", at=(unknown,))
    if ("min" in written) == ("max" in written):
        raise Wrong("", "has not one direction", "either min or max")
    about = METRICS.get(name, UNKNOWN)
    side, other = ("min", "max") if "min" in written else ("max", "min")
    if about.better == ("lower" if side == "min" else "higher"):
        raise Wrong(side, f"lets only a bad {name} pass", f"{{{other}: VALUE}}", at=(side,))
    try:
        line = conditions.value(written[side], about.unit)
    except Wrong as error:
        if error.subject == "cannot read":
            expected = "a number, or a value such as current - 1 point"
            raise Wrong(shown(written[side]), "is not a value", expected, at=(side,)) from None
        raise Wrong(error.subject, error.what, error.expected, error.hint, (side,)) from None
    segment = grammar.text(written["segment"]) if "segment" in written else None
    return Gate(min=line, segment=segment) if side == "min" else Gate(max=line, segment=segment)


def _gates_document(gates: dict[str, Gate]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, gate in gates.items():
        side, line = ("min", gate.min) if gate.min is not None else ("max", gate.max)
        assert line is not None
        plain = line.base == "number" and not line.unit
        found[name] = {side: line.amount if plain else str(line)}
        if gate.segment is not None:
            found[name]["segment"] = gate.segment
    return found


Gates = Annotated[
    Mapping[str, Gate],
    PlainValidator(_gates),
    form("METRIC: {min} or {max}", "object"),
    PlainSerializer(_gates_document, return_type=dict[str, Any]),
]


class ApprovalProcess(Section):
    """Who decides about a release, and when nobody needs to."""

    auto_deploy_if: ApprovalCondition | None = None
    """holds the release for a person unless it is true"""
    manual_review_if: ApprovalCondition | None = None
    """holds the release for a person if it is true or cannot be told"""
    approvers: Texts = ()
    """named in the trigger; having any makes approval required, and nobody else may ask, approve,
    reject, cancel or tick"""


class Previous(Section):
    """A version that was deployed before."""

    version: Version
    """what was deployed before"""
    deployed: DateRange | None = None
    """from when, and to when"""
    retired_reason: Text | None = None
    """why it is not any more"""


class Rollback(Section):
    """The way back."""

    available_versions: Annotated[
        tuple[Version, ...],
        BeforeValidator(listed),
    ] = ()
    """versions that one can go back to"""
    rollback_procedure: Texts = ()
    """the steps of it"""
    rollback_time: Length | None = None
    """how long it takes"""
    trigger: Condition | None = None
    """when"""


class Versioning(Section):
    """The versions of the model."""

    current_version: Version | None = None
    """equals `version`"""
    previous_versions: tuple[Previous, ...] = ()
    rollback: Rollback = Rollback()


class Retirement(Section):
    """The end of the model's life."""

    status: Annotated[
        Literal["Active", "Deprecated", "Retired"],
        word(["Active", "Deprecated", "Retired"], "a status"),
    ] = "Active"
    """Retired: its episodes end as `retired` and nothing is judged any more; Deprecated: later"""
    deprecation_date: Date | None = None
    """from when on it should not be used"""
    replacement: Text | None = None
    """the id of the model that replaces it"""
    data_retention: Retention | None = None
    """how long its state is kept"""


def _with_approval(value: Any, *, approvers: bool) -> Any:
    """A condition in which it is said who must agree."""
    if not isinstance(value, dict) or value.get("approval") is not None:
        return value
    try:
        retrain = triggers.action(value.get("action")) == "retrain"
    except Wrong:  # told when the action itself is read
        retrain = False
    approval: Approval = ("required" if approvers else "auto") if retrain else "advisory"
    return {**value, "approval": approval}


class Retraining(Section):
    """When and how the model is trained again, and what a new version must show."""

    trigger_conditions: tuple[TriggerCondition, ...] = ()
    training_window: TrainingWindow = TrainingWindow()
    guards: Guards = Guards()
    pipeline: Pipeline = Pipeline()
    promotion_gates: Gates = Field(default={})
    """held against what the pipeline reports with `completed`; a failed one rejects, what is missing
    or no finite number never promotes"""
    approval_process: ApprovalProcess = ApprovalProcess()

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, value: Any) -> Any:
        """Names for conditions without one; who must agree where it is not written."""
        if not isinstance(value, dict) or "trigger_conditions" not in value:
            return value
        process = value.get("approval_process")
        approvers = isinstance(process, dict) and bool(process.get("approvers"))
        rules = named(value["trigger_conditions"], "trigger", triggers.trigger)
        if isinstance(rules, list):
            rules = [_with_approval(rule, approvers=approvers) for rule in rules]
        return {**value, "trigger_conditions": rules}
