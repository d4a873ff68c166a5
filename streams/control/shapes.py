"""What do the answers of `/api/v1` look like? A type for each: OpenAPI, documentation and tests are made of them.

Published documents are answered as they were published: their types are those of `alerting.types` and
`streams.messages`. `None` in a member is something that is not known, or does not exist.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from alerting.types import Alert, Trigger
from streams.messages import EffectDocument, MissingDocument, SeriesDocument
from streams.views.vitals import State as RoleState

Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
Count = Annotated[int, Meta(ge=0)]
ModelState = Literal["healthy", "degraded", "down", "unknown", "retired"]
Verdict = Literal["stable", "drifting", "severe", "insufficient"]


class WindowVerdict(msgspec.Struct, kw_only=True):
    """Which window a result is about, and what it concluded."""

    result_id: str
    start: Time
    end: Time
    events: Count
    verdict: Verdict
    reason: str


class ModelSummary(msgspec.Struct, kw_only=True):
    """How a model is, and why we say so."""

    model_id: str
    model_name: str
    state: ModelState
    because: str
    current_version: str | None
    environment: str | None
    owner: str | None
    last_event: Time | None
    last_window: WindowVerdict | None
    open_episodes: list[str]
    lifecycle_revision: str | None
    reference_id: str | None


class ReferenceSummary(msgspec.Struct, kw_only=True):
    """What a model is compared with."""

    reference_id: str
    model_version: str
    events: Count
    end: Time | None


class ModelDetail(ModelSummary, kw_only=True):
    """A model with its lifecycle file as it is registered."""

    versions: list[str]
    segments: list[str]
    references: list[ReferenceSummary]
    lifecycle: dict[str, Any] | None


class SeriesNow(SeriesDocument, kw_only=True, frozen=True):
    """A series in the newest window of its scope."""

    scope: str
    window: WindowVerdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode(Alert):
    """An episode as its latest alert tells it, with all its alerts, the oldest first."""

    history: list[Alert]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(Trigger):
    """A trigger as its latest status tells it, with all its statuses, the oldest first."""

    history: list[Trigger]


class CommandState(msgspec.Struct, kw_only=True):
    """A command, and what became of it; `said` is the command itself, None where it cannot be read."""

    command_id: str
    command: str
    model_id: str
    by: str
    given_at: Time
    status: Literal["pending", "applied", "refused"]
    reason: str | None
    explained: str | None
    applied_at: Time | None
    said: dict[str, Any] | None


class SilenceState(msgspec.Struct, kw_only=True):
    """A silence: whom nobody is told of, until when, and why."""

    silence_id: str
    model_id: str
    status: Literal["pending", "active", "ended", "refused"]
    match: dict[str, str]
    from_: str | None = msgspec.field(name="from")
    until: str
    ended_at: Time | None
    reason: str
    by: str
    command_id: str


class ReadTo(msgspec.Struct, kw_only=True):
    """How far control has read one partition."""

    topic: str
    partition: Count
    position: Count
    end: Count


class SourceIntake(msgspec.Struct, kw_only=True):
    """What came in on one source topic, and what of it could not be used."""

    topic: str
    events: Count
    dead_letters: dict[str, int]
    unregistered: Count


class Breaker(msgspec.Struct, kw_only=True):
    """Whether a receiver is given a rest because it fails."""

    receiver: str
    open: bool


class PartitionLag(msgspec.Struct, kw_only=True):
    """How far a role has read one partition; `committed` None: it never has."""

    topic: str
    partition: Count
    committed: Count | None
    end: Count
    lag: Count


class RoleHealth(msgspec.Struct, kw_only=True):
    """How one role is. `needed` false: nothing that is registered asks for it."""

    role: str
    state: RoleState
    because: str
    needed: bool
    members: Count | None
    lag: Count | None
    partitions: list[PartitionLag]


class Health(msgspec.Struct, kw_only=True):
    """How far control is, how the other roles are, and what came in."""

    ready: bool
    roles: list[RoleHealth]
    roles_as_of: Time | None
    reading: list[ReadTo]
    unreadable: dict[str, dict[str, int]]
    sources: list[SourceIntake]
    dead_letters: Count
    breakers: list[Breaker]


class UnregisteredModel(msgspec.Struct, kw_only=True):
    """Somebody sends events of a model that nobody registered."""

    model_id: str
    topic: str
    events: Count


class Place(msgspec.Struct, kw_only=True):
    """A record of a topic."""

    topic: str
    partition: Count
    offset: Count


class DeadLetter(msgspec.Struct, kw_only=True):
    """What was refused and why, never its content. `truncated`: it was too large to be kept whole."""

    reason: str
    message: str
    origin: Place
    at: Time
    size: Count
    truncated: bool
    group: str
    stage: str
    partition: Count
    offset: Count
    replayed_at: Time | None


class VersionSummary(msgspec.Struct, kw_only=True):
    """A version of a model, and the time it was judged in."""

    version: str
    current: bool
    verdict: Verdict | None
    first_window: Time | None
    last_window: Time | None
    windows: Count
    deployed: str | None
    retired_reason: str | None
    open_episodes: list[str]


class Measured(msgspec.Struct, kw_only=True):
    """A number with its interval, and what it was measured on."""

    value: float
    low: float | None
    high: float | None
    n: Count


class Compared(msgspec.Struct, kw_only=True):
    """One number of two versions. The difference is b - a; its interval holds if the two were measured apart."""

    a: Measured
    b: Measured
    difference: float
    low: float | None
    high: float | None


class OneSide(msgspec.Struct, kw_only=True):
    """What was concluded of one version."""

    events: Count
    verdict: Verdict
    reason: str


class EffectsOfBoth(msgspec.Struct, kw_only=True):
    """How far a series is from the reference in two versions: effect over its floor, 1 is worth an alert."""

    series: str
    a: float | None
    b: float | None


class SideBySide(msgspec.Struct, kw_only=True):
    """A window in which both versions were judged."""

    scope: str
    start: Time
    end: Time
    a: OneSide
    b: OneSide
    metrics: dict[str, Compared]
    effects: list[EffectsOfBoth]


class MaturedMetric(Measured, kw_only=True):
    """A metric of one day, and what it is held against."""

    reference: float | None
    threshold: float | None


class MaturedDay(msgspec.Struct, kw_only=True):
    """How right the predictions of one day were, as far as is known by now. `coverage`: the share with a label."""

    version: str
    start: Time
    end: Time
    events: Count
    coverage: float | None
    metrics: dict[str, MaturedMetric]


class HistoryLine(msgspec.Struct, kw_only=True):
    """One number over time; each list has an entry for each time of `end`, null where nothing is known."""

    name: str
    reference: float | None
    threshold: float | None
    value: list[float | None]
    low: list[float | None]
    high: list[float | None]
    n: list[int]


class History(msgspec.Struct, kw_only=True):
    """Numbers over time, oldest first."""

    version: str
    segment: str
    scope: str
    end: list[Time]
    lines: list[HistoryLine]


class SeriesDrift(msgspec.Struct, kw_only=True):
    """A series over time: its effect over its floor, and its verdict."""

    series: str
    ratio: list[float | None]
    verdict: list[Literal["none", "insufficient", "stable", "drifting", "severe"]]


class Drift(msgspec.Struct, kw_only=True):
    """Drift of every series over time, the most drifting first, the oldest window first."""

    version: str
    segment: str
    end: list[Time]
    series: list[SeriesDrift]


class Cell(msgspec.Struct, kw_only=True):
    """One bin or category: the share of values in it."""

    label: str
    reference: float
    current: float


class SeriesDistribution(msgspec.Struct, kw_only=True):
    """What the values of a series look like in one window, beside the reference.

    `ordered`: the cells are bins of a number. `concealed`: personal data, whose cells have numbers and no values.
    """

    series: str
    version: str
    segment: str
    start: Time
    end: Time
    verdict: str
    reason: str
    effect: EffectDocument | None
    n_reference: Count
    n_current: Count
    missing: MissingDocument
    ordered: bool
    concealed: bool
    unit: str | None
    description: str | None
    cells: list[Cell]
