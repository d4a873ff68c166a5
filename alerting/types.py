"""The documents that alerting publishes, member for member and in their order, and the memory it keeps.

`Alert`, `Notification` and `Trigger` are what readers of the topics see: encoding one as JSON gives the document.
Times in them are RFC 3339 text. `Episode` and `TriggerMemory` outlive a window: plain data, times as epoch ms.
"""

from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

from detectors.types import Status

Kind = Literal[
    "data_drift",
    "prediction_drift",
    "concept_drift",
    "performance",
    "data_quality",
    "label_health",
    "operational",
    "pipeline",
    "version_regression",
]
Severity = Literal["info", "warning", "error", "critical"]
Change = Literal["opened", "escalated", "eased", "acknowledged", "repeated", "resolved"]
ResolveReason = Literal["recovered", "retrained", "rebaselined", "deployed", "manual", "retired"]
EpisodeStatus = Literal["open", "acknowledged", "resolved"]
Held = Literal["grace", "flapping", "staging", "muted", "snoozed"]
CauseClass = Literal[
    "pipeline_break",
    "input_shift",
    "prediction_shift",
    "label_shift",
    "relation_change",
    "unknown",
]
Channel = Literal["slack", "pagerduty", "email", "webhook"]
Operation = Literal["send", "post", "update", "update_and_reply"]
ReasonCode = Literal[
    "data_drift",
    "prediction_drift",
    "concept_drift",
    "performance",
    "schedule",
    "new_labels",
    "manual",
]
TriggerStatus = Literal[
    "requested", "approved", "rejected", "cancelled", "started", "completed", "failed"
]
Action = Literal["retrain", "evaluate"]
Approval = Literal["auto", "required", "advisory"]
Priority = Literal["low", "normal", "high"]
Basis = Literal["lookback", "change_point"]
Bound = dict[str, float | str]  # {"min": 0.82} or {"max": "80ms"}, perhaps with a segment

SEVERITIES: tuple[Severity, ...] = ("info", "warning", "error", "critical")  # weakest first


@dataclass(frozen=True, slots=True)
class Subject:
    """Model × version × segment: what alarms and episodes are about."""

    model_id: str
    version: str
    segment: str = "all"


# --- alerts -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Since:
    """When the change began."""

    estimate: str
    earliest: str
    latest: str


@dataclass(frozen=True, slots=True)
class AlertModel:
    """Whose alert it is."""

    id: str
    name: str
    version: str
    environment: str
    owner: str | None


@dataclass(frozen=True, slots=True)
class Missing:
    """Share of events without a value."""

    reference: float
    current: float


@dataclass(frozen=True, slots=True)
class Bin:
    """Share of one bin; bins have numbers (from 1), never feature values."""

    bin: int
    of: int
    reference: float
    current: float


@dataclass(frozen=True, slots=True)
class Effect:
    """How different reference and current are, with its 95 % interval and the smallest size that matters."""

    name: str
    value: float
    low: float
    high: float
    floor: float


@dataclass(frozen=True, slots=True)
class Affected:
    """One series with its part of the change."""

    series: str
    share_of_change: float
    effect: Effect | None
    missing: Missing | None
    top_bins: tuple[Bin, ...]


# A TypedDict because a dataclass cannot have a field named `class`.
Cause = TypedDict("Cause", {"class": CauseClass, "hints": tuple[str, ...]})


@dataclass(frozen=True, slots=True)
class AlertEvidence:
    """The result behind an alert; null what its source does not have."""

    result_id: str | None
    log_statistic: float | None
    log_threshold: float | None
    n_reference: int | None
    n_current: int
    budget: str | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """Who hears it, or why nobody does."""

    receivers: tuple[str, ...]
    inhibited_by: str | None
    silenced_by: str | None
    held: Held | None

    @property
    def suppressed(self) -> bool:
        return not (self.inhibited_by is self.silenced_by is self.held is None)


@dataclass(frozen=True, slots=True)
class AlertLinks:
    runbook: str | None
    console: str | None


@dataclass(frozen=True, slots=True)
class Alert:
    """One transition of an episode."""

    alert_id: str
    episode_id: str
    sequence: int
    at: str
    change: Change
    status: EpisodeStatus
    resolve_reason: ResolveReason | None
    kind: Kind
    severity: Severity
    verdict: Status
    title: str
    summary: str
    opened_at: str
    resolved_at: str | None
    since: Since | None
    reopened: bool
    model: AlertModel
    segment: str
    also_in: tuple[str, ...]
    affected_total: int
    affected: tuple[Affected, ...]
    cause: Cause
    cost: dict[str, float | str] | None  # an estimate per 1,000 predictions; needs labels
    evidence: AlertEvidence
    delivery: Delivery
    links: AlertLinks


@dataclass(frozen=True, slots=True)
class Notification:
    """An alert rendered for one receiver: ready to send, but for the secret."""

    idempotency_key: str
    receiver: str
    channel: Channel
    alert_id: str
    episode_id: str
    sequence: int
    model_id: str
    change: Change
    severity: Severity
    at: str
    expires_after_seconds: int
    operation: Operation
    reply: str | None
    payload: dict[str, Any]


# --- triggers -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TriggerState:
    """Where a trigger stands; `sequence` counts its events from 1."""

    name: TriggerStatus
    sequence: int
    at: str
    by: str
    note: str | None


@dataclass(frozen=True, slots=True)
class TriggerModel:
    """What to retrain."""

    id: str
    name: str
    version: str
    environment: str
    owner: str | None
    training_data_snapshot: str | None


@dataclass(frozen=True, slots=True)
class TriggerReason:
    code: ReasonCode
    summary: str
    episode_id: str | None
    severity: Severity | None


@dataclass(frozen=True, slots=True)
class OffsetRange:
    """Where the suggested data lie in Kafka: start inclusive, end exclusive."""

    cluster_id: str
    topic: str
    partition: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class TrainingWindow:
    """The suggested range of training data."""

    start: str
    end: str
    basis: Basis
    records: int
    labelled: int
    offsets: tuple[OffsetRange, ...]


@dataclass(frozen=True, slots=True)
class Signal:
    """One measurement that speaks for retraining; `reference` is what it would be had nothing changed."""

    series: str
    value: float
    low: float
    high: float
    reference: float | None
    threshold: float | None
    n_reference: int
    n_current: int


@dataclass(frozen=True, slots=True)
class TriggerEvidence:
    alert_ids: tuple[str, ...]
    result_ids: tuple[str, ...]
    signals: tuple[Signal, ...]
    truncated: int  # signals left out


@dataclass(frozen=True, slots=True)
class TriggerPolicy:
    """The condition that asked, and the guards it passed."""

    name: str
    action: Action
    approval: Approval
    approvers: tuple[str, ...]
    priority: Priority
    expires_at: str
    cooldown_until: str
    previous_trigger_id: str | None
    suppressed_since_last: int
    dry_run: bool


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What the lifecycle says about the retraining pipeline, passed on."""

    location: str | None
    data_sources: tuple[str, ...]
    params: dict[str, str]


@dataclass(frozen=True, slots=True)
class Gates:
    """What a candidate must prove; the decision follows its report."""

    required: dict[str, Bound]
    checks: tuple[str, ...]
    decision: Literal["promote", "hold", "reject"] | None
    passed: tuple[str, ...]
    failed: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Link:
    href: str
    text: str


@dataclass(frozen=True, slots=True)
class Trigger:
    """A request to retrain, as it stands after one event of its life."""

    trigger_id: str
    status: TriggerState
    model: TriggerModel
    reason: TriggerReason
    training_window: TrainingWindow
    evidence: TriggerEvidence
    policy: TriggerPolicy
    pipeline: Pipeline
    gates: Gates
    links: tuple[Link, ...]


# --- what is kept -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Finding:
    """What one source says about one kind of problem in one window: words for people, numbers for documents."""

    kind: Kind
    status: Status
    calm: bool  # this window counts towards resolving; never true together with a problem
    headline: str  # "annual_income and 1 more input drifted"
    recovery: str  # the headline once it is over
    summary: str
    since: Since | None
    since_ms: int | None
    affected: tuple[Affected, ...]
    affected_total: int
    cause: Cause
    log_statistic: float | None
    log_threshold: float | None
    n_reference: int | None
    n_current: int
    signals: tuple[Signal, ...] = ()
    leading_score: str | None = None  # what moved in the leading series
    severe_windows: int = 0
    visible: bool = True  # this window alone shows the problem, not only what came before
    rules: tuple[str, ...] = ()  # written rules that are broken in this window
    at_once: bool = False  # has waited long enough by itself: opens without persistence
    cost: float | None = None  # by what a prediction costs more than in the reference


@dataclass(frozen=True, slots=True)
class Episode:
    """The life of one problem of one subject; kept after it resolved, because it may be continued.

    `verdict` is the level it stands at; `finding` the last one that described the problem.
    """

    episode_id: str
    subject: Subject
    kind: Kind
    status: EpisodeStatus
    severity: Severity
    verdict: Status
    sequence: int
    opened_ms: int
    changed_ms: int  # the last transition
    resolved_ms: int | None
    good_windows: int  # calm ones in a row
    level_windows: int  # in a row at another level than `verdict`
    reopened: int
    reopenings_ms: tuple[int, ...]  # of the last 24 hours
    flapping: bool
    told: tuple[str, ...]  # receivers that know of it and must hear its end
    inhibited_ms: int | None  # the last window in which another episode kept this one from delivery
    result_id: str | None  # of the window that opened it
    finding: Finding
    levels: dict[str, int] = field(default_factory=dict)  # how bad each of `told` believes it is
    told_ms: int | None = None  # when somebody was last told how it stands
    snoozed_until_ms: int | None = None

    @property
    def open(self) -> bool:
        return self.status != "resolved"


@dataclass(frozen=True, slots=True)
class TriggerMemory:
    """What is remembered about a model's triggers between windows."""

    trigger: Trigger | None = None  # the last one, whatever its status
    deadline_ms: int | None = None  # when its present status ends by itself
    cooldown_until_ms: int = 0
    requested_ms: tuple[int, ...] = ()  # requests that still count against `at_most`
    asked: tuple[str, ...] = ()  # ids of the last ones: none is asked for twice
    suppressed: int = 0  # reasons held back since the last request
    suppressed_of: tuple[str, ...] = ()  # the last of them
    scheduled_until_ms: int = 0  # dates up to here were looked at
    waiting: dict[str, int] = field(default_factory=dict)  # by condition: the date held back
    labels: int = 0  # that became known
    labels_used: int = 0  # of them, those before the last retraining was asked for
    ticked: tuple[str, ...] = ()  # checks of the trigger that a person made
    review: tuple[str, ...] = ()  # why a person must look before its model is released
