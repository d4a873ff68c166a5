"""What do the answers of `/api/v1` look like? A type for each: OpenAPI, documentation and tests are made of them.

Published documents are answered as they were published: their types are those of `alerting.types` and
`streams.messages`. `None` in a member is something that is not known, or does not exist.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from alerting.types import Alert, Trigger
from streams.messages import SeriesDocument
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
