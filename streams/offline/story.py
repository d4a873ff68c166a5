"""What happened? Episodes and triggers as people tell them, from the documents on the output topics."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import msgspec

__all__ = [
    "AlertSeen",
    "EpisodeTold",
    "ResultSeen",
    "TriggerTold",
    "episodes",
    "results",
    "triggers",
]

_SEVERITIES = ("info", "warning", "error", "critical")


class _Window(msgspec.Struct, frozen=True):
    start: str
    end: str
    events: int
    late: int


class ResultSeen(msgspec.Struct, frozen=True):
    """What people look for in a result."""

    model_id: str
    model_version: str
    segment: str
    scope: str
    verdict: str
    reason: str
    window: _Window


class _Model(msgspec.Struct, frozen=True):
    id: str
    version: str


class _Affected(msgspec.Struct, frozen=True):
    series: str


class _Since(msgspec.Struct, frozen=True):
    estimate: str


class _Delivery(msgspec.Struct, frozen=True):
    receivers: list[str] = []
    inhibited_by: str | None = None


class AlertSeen(msgspec.Struct, frozen=True):
    """What people look for in an alert."""

    episode_id: str
    sequence: int
    at: str
    change: str
    kind: str
    severity: str
    title: str
    summary: str
    opened_at: str
    resolved_at: str | None
    model: _Model
    segment: str
    since: _Since | None = None
    affected: list[_Affected] = []
    delivery: _Delivery = _Delivery()


class _Status(msgspec.Struct, frozen=True):
    name: str
    at: str
    sequence: int


class _Reason(msgspec.Struct, frozen=True):
    code: str
    summary: str
    episode_id: str | None = None


class _Trigger(msgspec.Struct, frozen=True):
    trigger_id: str
    status: _Status
    model: _Model
    reason: _Reason


@dataclass(frozen=True, slots=True)
class EpisodeTold:
    """One problem from its first to its last transition; times are RFC 3339 texts of event time."""

    episode_id: str
    model_id: str
    version: str
    segment: str
    kind: str
    severity: str  # the highest it reached
    title: str  # as it opened
    affected: tuple[str, ...]  # series, by share of the change, as it opened
    since: str | None
    opened_at: str
    resolved_at: str | None  # None: still open
    explained: bool = False  # by another problem, all the time: nobody was told of this one


@dataclass(frozen=True, slots=True)
class TriggerTold:
    """One request to retrain and the states it went through."""

    trigger_id: str
    model_id: str
    version: str
    reason: str
    summary: str
    episode_id: str | None
    requested_at: str
    states: tuple[str, ...]


def results(values: Iterable[bytes | None]) -> list[ResultSeen]:
    """The results among what is on `leeway.results`; outcomes of commands are left out."""
    found = []
    for value in values:
        try:
            found.append(_result(value or b""))
        except msgspec.MsgspecError:
            continue
    return found


def episodes(values: Iterable[bytes | None]) -> tuple[EpisodeTold, ...]:
    """Episodes in the order in which they opened, from alerts in any order."""
    told: dict[str, EpisodeTold] = {}
    alerts = sorted((_alert(value) for value in values if value), key=lambda a: (a.at, a.sequence))
    for alert in alerts:
        known = told.get(alert.episode_id) or EpisodeTold(
            alert.episode_id,
            alert.model.id,
            alert.model.version,
            alert.segment,
            alert.kind,
            alert.severity,
            alert.title,
            tuple(one.series for one in alert.affected),
            alert.since.estimate if alert.since else None,
            alert.opened_at,
            None,
            True,
        )
        told[alert.episode_id] = replace(
            known,
            severity=max(known.severity, alert.severity, key=_SEVERITIES.index),
            resolved_at=alert.resolved_at,
            explained=known.explained and _nobody_heard(alert, opening=alert.sequence == 1),
        )
    return tuple(told.values())


def _nobody_heard(alert: AlertSeen, *, opening: bool) -> bool:
    """Because another problem explained this one; what nobody is there to hear is news all the same."""
    explained = alert.delivery.inhibited_by is not None
    return explained or (not opening and not alert.delivery.receivers)


def triggers(values: Iterable[bytes | None]) -> tuple[TriggerTold, ...]:
    """Triggers in the order in which they were requested."""
    told: dict[str, TriggerTold] = {}
    found = sorted(
        (_trigger(v) for v in values if v), key=lambda t: (t.status.at, t.status.sequence)
    )
    for one in found:
        known = told.get(one.trigger_id) or TriggerTold(
            one.trigger_id,
            one.model.id,
            one.model.version,
            one.reason.code,
            one.reason.summary,
            one.reason.episode_id,
            one.status.at,
            (),
        )
        told[one.trigger_id] = replace(known, states=(*known.states, one.status.name))
    return tuple(told.values())


_result = msgspec.json.Decoder(ResultSeen).decode
_alert = msgspec.json.Decoder(AlertSeen).decode
_trigger = msgspec.json.Decoder(_Trigger).decode
