"""What do the read models need of the documents the judge writes? The rest of each is kept as it came."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

import msgspec

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_Time = Annotated[datetime, msgspec.Meta(tz=True)]
_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]


def epoch_ms(moment: datetime) -> int:
    """
    >>> epoch_ms(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
    1000
    """
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def event_ms(time: str) -> int:
    """A time in a document of ours, as epoch milliseconds.

    >>> event_ms("1970-01-01T00:00:01.000Z")
    1000
    """
    return epoch_ms(datetime.fromisoformat(time))


class Window(msgspec.Struct):
    start: _Time
    end: _Time
    events: int
    late: int = 0


class Alarm(msgspec.Struct):
    log_threshold: float
    log_statistic: float | None = None


class Effect(msgspec.Struct):
    name: str
    value: float
    low: float
    high: float
    floor: float


class Missing(msgspec.Struct):
    reference: float = 0.0
    current: float = 0.0


class Evidence(msgspec.Struct):
    p_value: float | None = None


class TopBin(msgspec.Struct):
    bin: int
    of: int
    reference: float
    current: float


class Series(msgspec.Struct):
    series: str
    verdict: str
    reason: str
    n_reference: int
    n_current: int
    missing: Missing = msgspec.field(default_factory=Missing)
    effect: Effect | None = None
    evidence: list[Evidence] = []
    top_bins: list[TopBin] = []
    counts: list[int] = []  # what was compared, by cell of the reference: values, odd, missing

    @property
    def p_value(self) -> float | None:
        """The smallest of its tests; None if no test gives one."""
        return min((e.p_value for e in self.evidence if e.p_value is not None), default=None)


class Measured(msgspec.Struct):
    """One metric of a result; `value` None: too few events."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    reference: float | None = None
    threshold: float | None = None


class Result(msgspec.Struct):
    result_id: _Text
    model_id: _Text
    model_version: _Text
    segment: _Text
    scope: _Text
    window: Window
    verdict: Literal["stable", "drifting", "severe", "insufficient"]
    reason: _Text
    alarm: Alarm | None = None
    metrics: dict[str, Measured] = {}
    series: list[Series] = []


class ModelVersion(msgspec.Struct):
    id: _Text
    version: str = ""  # a problem of the whole model has none
    name: str = ""
    environment: str = ""
    owner: str | None = None
    training_data_snapshot: str | None = None  # of a trigger


class Since(msgspec.Struct):
    estimate: _Time
    earliest: _Time | None = None
    latest: _Time | None = None


class Links(msgspec.Struct):
    runbook: str | None = None
    console: str | None = None


class Kept(msgspec.Struct):
    """Who is to hear it, or why nobody was told."""

    receivers: list[str] = []
    inhibited_by: str | None = None
    silenced_by: str | None = None
    held: str | None = None

    @property
    def reason(self) -> str | None:
        """One word, the same that alerting would name first."""
        if self.silenced_by is not None:
            return "silence"
        return self.held or ("inhibited" if self.inhibited_by is not None else None)


class Affected(msgspec.Struct):
    """One series, and its part of the change."""

    series: str
    share_of_change: float = 0.0
    effect: Effect | None = None
    missing: Missing | None = None
    top_bins: list[TopBin] = []


class Cause(msgspec.Struct, rename={"kind": "class"}):
    kind: str = "unknown"
    hints: list[str] = []


class Cost(msgspec.Struct):
    """What so many predictions cost more than in the reference, estimated."""

    amount: float
    unit: str
    per: int


class AlertEvidence(msgspec.Struct):
    result_id: str | None = None
    log_statistic: float | None = None
    log_threshold: float | None = None
    n_reference: int | None = None
    n_current: int | None = None
    budget: str | None = None


class Alert(msgspec.Struct):
    """A transition of an episode. What an earlier release did not write has a default."""

    alert_id: _Text
    episode_id: _Text
    sequence: int
    at: _Time
    change: _Text
    status: Literal["open", "acknowledged", "resolved"]
    kind: _Text
    severity: Literal["info", "warning", "error", "critical"]
    opened_at: _Time
    model: ModelVersion
    segment: str
    title: str
    summary: str
    since: Since | None = None
    links: Links = msgspec.field(default_factory=Links)
    delivery: Kept = msgspec.field(default_factory=Kept)
    resolve_reason: str | None = None
    verdict: str = ""
    resolved_at: _Time | None = None
    reopened: bool = False
    also_in: list[str] = []
    affected_total: int = 0
    affected: list[Affected] = []
    cause: Cause = msgspec.field(default_factory=Cause)
    cost: Cost | None = None
    evidence: AlertEvidence = msgspec.field(default_factory=AlertEvidence)


class Status(msgspec.Struct):
    name: _Text
    sequence: int
    at: _Time
    by: str = ""
    note: str | None = None


class Reason(msgspec.Struct):
    code: _Text
    summary: str = ""
    episode_id: str | None = None
    severity: str | None = None


class OffsetRange(msgspec.Struct):
    topic: str
    partition: int
    start: int
    end: int
    cluster_id: str = ""


class TrainingWindow(msgspec.Struct):
    """The suggested range of training data."""

    start: _Time
    end: _Time
    basis: str = ""
    records: int = 0
    labelled: int = 0
    offsets: list[OffsetRange] = []


class Signal(msgspec.Struct):
    """One measurement that speaks for retraining."""

    series: str
    value: float
    low: float
    high: float
    reference: float | None = None
    threshold: float | None = None
    n_reference: int = 0
    n_current: int = 0


class TriggerEvidence(msgspec.Struct):
    alert_ids: list[str] = []
    result_ids: list[str] = []
    signals: list[Signal] = []
    truncated: int = 0


class TriggerPolicy(msgspec.Struct):
    name: str = ""
    action: str = "retrain"
    approval: str = ""
    approvers: list[str] = []
    priority: str = "normal"
    expires_at: _Time | None = None
    cooldown_until: _Time | None = None
    previous_trigger_id: str | None = None
    suppressed_since_last: int = 0
    dry_run: bool = False


class Pipeline(msgspec.Struct):
    location: str | None = None
    data_sources: list[str] = []
    params: dict[str, str] = {}


class Gates(msgspec.Struct):
    """What a candidate must prove, and what came of it."""

    required: dict[str, dict[str, float | str]] = {}
    checks: list[str] = []
    decision: str | None = None
    passed: list[str] = []
    failed: list[str] = []
    missing: list[str] = []


class Link(msgspec.Struct):
    href: str
    text: str


class Trigger(msgspec.Struct):
    """A step in the life of a request to retrain. What an earlier release did not write has a default."""

    trigger_id: _Text
    status: Status
    model: ModelVersion
    reason: Reason
    training_window: TrainingWindow | None = None
    evidence: TriggerEvidence = msgspec.field(default_factory=TriggerEvidence)
    policy: TriggerPolicy = msgspec.field(default_factory=TriggerPolicy)
    pipeline: Pipeline = msgspec.field(default_factory=Pipeline)
    gates: Gates = msgspec.field(default_factory=Gates)
    links: list[Link] = []


class LifecycleRecord(msgspec.Struct):
    lifecycle: msgspec.Raw


class BuiltFrom(msgspec.Struct):
    events: int = 0
    end: _Time | None = None


class ReferenceSeries(msgspec.Struct, omit_defaults=True):
    """How one series is cut into cells, and what the reference has in them."""

    type: str = "number"
    edges: list[float] = []
    support: list[float] = []
    categories: list[str] = []
    known: list[str] = []
    counts: list[int] = []
    odd: int = 0
    missing: int = 0


class ReferenceSegment(msgspec.Struct):
    counts: dict[str, list[int]] = {}  # by series: values, odd, missing


class Slot(msgspec.Struct):
    counts: dict[str, list[int]] = {}


class Seasonal(msgspec.Struct):
    slots: dict[str, Slot] = {}
    segments: dict[str, dict[str, Slot]] = {}
    name: str = ""
    timezone: str = "UTC"


class Reference(msgspec.Struct):
    reference_id: _Text
    model_version: _Text
    built_from: BuiltFrom
    series: dict[str, ReferenceSeries] = {}
    segments: dict[str, ReferenceSegment] = {}
    season: Seasonal | None = None


class Source(msgspec.Struct):
    """What came in on one source topic: events, dead letters by reason, events of unregistered models by name."""

    events: int = 0
    dead_letters: dict[str, int] = {}
    unregistered: dict[str, int] = {}


class Sources(msgspec.Struct):
    sources: dict[str, Source]


class Intake(msgspec.Struct):
    as_of: _Time
    data: Sources


class CloudEvent(msgspec.Struct):
    data: msgspec.Raw
