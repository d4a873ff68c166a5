"""What may a user decide about alerting? Frozen policy, compiled from lifecycle and service file by streams."""

from dataclasses import dataclass, field
from typing import Literal

from alerting.silences import Silence
from alerting.types import (
    Action,
    Approval,
    Basis,
    Bound,
    Channel,
    Held,
    Kind,
    Pipeline,
    Priority,
    Severity,
    Subject,
)

HOUR_MS = 60 * 60 * 1000
DAY_MS = 24 * HOUR_MS


@dataclass(frozen=True, slots=True)
class Model:
    """The model a lifecycle describes; `version` is the one deployed now."""

    id: str
    name: str
    version: str
    environment: str
    owner: str | None = None
    training_data_snapshot: str | None = None

    @property
    def production(self) -> bool:
        """Only here severity may pass `warning`."""
        return self.environment.casefold() == "production"


@dataclass(frozen=True, slots=True)
class Persistence:
    """How long a rule must be broken before it opens an episode: in `hits` of the last `of` windows, or, where `for_ms`
    is given, in every window for so long."""

    hits: int = 2
    of: int = 3
    for_ms: int | None = None


@dataclass(frozen=True, slots=True)
class AlertRule:
    """An entry of `monitoring.alerts` whose condition is a kind, or a rule that joins the episodes of a kind.

    `data drift detected` is level drifting (it holds at severe too), `severe data drift` is level severe, and
    `drift threshold exceeded` is level severe of three kinds. An entry with a `rule` holds only while that is broken.
    """

    kinds: tuple[Kind, ...]
    level: Literal["drifting", "severe"]
    severity: Severity | None = None  # None: the default of the kind
    channels: tuple[
        str, ...
    ] = ()  # slack, pagerduty, email or receivers' names; empty: the defaults
    runbook: str | None = None
    rule: str | None = None


@dataclass(frozen=True, slots=True)
class Mute:
    """When a route is not used, in UTC; what is not said is every day, or the whole day. Nothing said mutes nothing.

    A night that spans midnight (`until` before `start`) belongs to the day on which it begins.
    """

    days: tuple[int, ...] = ()  # 0 is Monday
    hours: tuple[int, int] | None = None  # minutes after midnight, [start, until)


@dataclass(frozen=True, slots=True)
class RoutingRule:
    """An entry of `routing`: who hears of what matches it. An empty tuple matches anything.

    The first rule that matches ends the search, unless it says `go_on`; after the last one come the defaults.
    """

    kinds: tuple[Kind, ...] = ()
    severities: tuple[Severity, ...] = ()
    models: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    receivers: tuple[str, ...] = ()  # by name; empty: the default ones, with this repeat and mute
    repeat_ms: int | None = None  # None: the default of the severity
    mute: Mute | None = None
    go_on: bool = False


@dataclass(frozen=True, slots=True)
class Receiver:
    """The public half of a receiver: no secrets."""

    name: str
    channel: Channel
    target: str | None = None  # Slack's channel
    threads: bool = True  # False: an incoming webhook, which can only post
    send_resolved: bool = True
    to: tuple[str, ...] = ()  # addresses of mail
    buttons: bool = False  # Slack's clicks come back to us, signed


@dataclass(frozen=True, slots=True)
class EpisodePolicy:
    """How problems of one model become alerts."""

    model: Model
    rules: tuple[AlertRule, ...] = ()
    receivers: tuple[Receiver, ...] = ()
    budget: str | None = None  # the false-alarm budget in the user's words
    console: str | None = None  # the model's page
    runbook: str | None = None  # where no rule names one
    routing: tuple[RoutingRule, ...] = ()
    cost_unit: str | None = None  # of what mistakes cost: "EUR"


@dataclass(frozen=True, slots=True)
class Context:
    """What a decision needs to know about its window besides the finding."""

    subject: Subject
    at_ms: int  # the window's end
    window_ms: int
    result_id: str | None
    also_in: tuple[str, ...] = ()  # other segments with the same problem
    inhibited_by: str | None = None  # an open episode that explains this one
    held: Held | None = None  # published but not delivered: grace, staging
    silences: tuple[Silence, ...] = ()  # the model's; asked once it is known how bad a problem is


@dataclass(frozen=True, slots=True)
class Schedule:
    """A rhythm in event time, from 00:00 UTC of the first day; `days` for every so many of them."""

    every: Literal["daily", "weekly", "monthly", "quarterly", "yearly", "days"]
    days: int = 0


@dataclass(frozen=True, slots=True)
class RetrainingCondition:
    """An entry of `retraining.trigger_conditions`: it waits for a problem, a date, labels, or a person.

    At whatever level a kind is written, of the inputs only severe drift that lasts fulfils it. `rule`: only while this
    rule is broken; `by_rule`: that is all it waits for.
    """

    name: str
    kinds: tuple[Kind, ...] = ()
    action: Action = "retrain"
    approval: Approval = "auto"
    priority: Priority = "normal"
    rule: str | None = None
    by_rule: bool = False
    schedule: Schedule | None = None
    labels: int | None = None  # so many since the last retraining
    by_hand: bool = False  # what a person who asks asks for


@dataclass(frozen=True, slots=True)
class ReleaseTest:
    """One test of `auto_deploy_if` or `manual_review_if`: a word, an open problem, or a metric of the candidate.

    None of them given: nothing is known that it could be held against.
    """

    said: str  # as people read it
    word: Literal["all gates pass", "always", "never"] | None = None
    kinds: tuple[Kind, ...] = ()
    severe: tuple[Kind, ...] = ()  # of them, those that must be severe
    metric: str | None = None
    bound: Bound = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RetrainingPolicy:
    """When drift becomes a request to retrain, and what the request carries."""

    model: Model
    conditions: tuple[RetrainingCondition, ...] = ()
    severe_windows: int = 3  # statistics 3.8
    approvers: tuple[str, ...] = ()
    basis: Basis = "lookback"
    lookback_ms: int = 90 * DAY_MS
    min_records: int = 0
    min_labels: int = 0
    cooldown_ms: int = DAY_MS
    at_most: int = 2
    at_most_per_ms: int = 7 * DAY_MS
    expires_ms: int = 72 * HOUR_MS
    start_within_ms: int | None = DAY_MS  # None: no deadline
    finish_within_ms: int | None = 7 * DAY_MS
    dry_run: bool = False
    pipeline: Pipeline = field(default_factory=lambda: Pipeline(None, (), {}))
    gates: dict[str, Bound] = field(default_factory=dict)
    checks: tuple[str, ...] = ()
    promote_if: tuple[ReleaseTest, ...] = ()  # all of them; none: nothing more than the gates
    review_if: tuple[ReleaseTest, ...] = ()  # all of them; none: no person need look
    console: str | None = None
