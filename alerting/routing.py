"""Who hears what: severities and channels by kind, and the receivers they lead to (contracts §6)."""

from collections.abc import Sequence
from typing import NamedTuple

from alerting.settings import (
    DAY_MS,
    HOUR_MS,
    EpisodePolicy,
    Model,
    Mute,
    Receiver,
    RoutingRule,
)
from alerting.types import SEVERITIES, Kind, Severity
from detectors.types import Status

MINUTE_MS = 60 * 1000
REPEAT_MS: dict[Severity, int | None] = {
    "info": None,
    "warning": 24 * HOUR_MS,
    "error": 12 * HOUR_MS,
    "critical": 4 * HOUR_MS,
}


class Default(NamedTuple):
    drifting: Severity
    severe: Severity
    pages: bool  # may reach PagerDuty without a rule that says so


DEFAULTS: dict[Kind, Default] = {
    "data_drift": Default("warning", "warning", False),
    "prediction_drift": Default("warning", "warning", False),
    "concept_drift": Default("error", "critical", True),
    "performance": Default("error", "critical", True),
    "data_quality": Default("error", "critical", True),
    "label_health": Default("warning", "error", False),
    "operational": Default("error", "critical", True),
    "pipeline": Default("warning", "error", False),
    "version_regression": Default("error", "critical", True),
}


class Route(NamedTuple):
    """Who hears of a problem at its present level."""

    severity: Severity
    receivers: tuple[str, ...]
    runbook: str | None
    repeat_ms: int | None = None  # how long until it is told again; None: never
    muted: tuple[str, ...] = ()  # receivers that every route to them is muted for now


class _Leg(NamedTuple):
    """A part of the way: some receivers, and whether they are spared now."""

    receivers: Sequence[Receiver]
    repeat_ms: int | None = None
    muted: bool = False


def route(
    policy: EpisodePolicy,
    kind: Kind,
    verdict: Status,
    broken: Sequence[str] = (),
    segment: str = "all",
    at_ms: int = 0,
) -> Route:
    """Who hears of a problem: the lifecycle's own channels, else the service's routing, else the defaults.

    Parameters
    ----------
    broken : written rules that do not hold
    at_ms : event time, for what is muted then

    Notes
    -----
    Of the lifecycle's rules for this kind and level the highest severity counts, their channels add up, and the runbook
    is that of the most severe rule that has one. Outside `Production` severity stops at warning. Info is told to nobody
    but the digest. PagerDuty hears errors and worse, so drift without labels, a warning, never pages unless a lifecycle
    raises it.
    """
    default = DEFAULTS[kind]
    severe = verdict == Status.SEVERE
    usual = default.severe if severe else default.drifting
    rules = sorted(
        (
            (rule.severity or usual, rule)
            for rule in policy.rules
            if kind in rule.kinds
            and (severe or rule.level == "drifting")
            and (rule.rule is None or rule.rule in broken)
        ),
        key=lambda pair: -SEVERITIES.index(pair[0]),  # sorted is stable: equals stay as written
    )
    severity = rules[0][0] if rules else usual
    if not policy.model.production and SEVERITIES.index(severity) > SEVERITIES.index("warning"):
        severity = "warning"
    runbook = next((rule.runbook for _, rule in rules if rule.runbook), policy.runbook)
    channels = dict.fromkeys(channel for _, rule in rules for channel in rule.channels)
    if channels:
        named = [found for word in channels for found in _called(policy.receivers, word)]
        legs = [_Leg(named)]
    else:
        legs = _legs(policy, kind, severity, segment, at_ms)
    ways = [
        (receiver.name, leg)
        for leg in legs
        for receiver in leg.receivers
        if _hears(receiver, severity)
    ]
    names = tuple(dict.fromkeys(name for name, _ in ways))
    spoken = {name for name, leg in ways if not leg.muted}
    repeats = [leg.repeat_ms for leg in legs if leg.repeat_ms is not None]
    repeat_ms = min(repeats, default=REPEAT_MS[severity]) if severity != "info" else None
    muted = tuple(name for name in names if name not in spoken)
    return Route(severity, names, runbook, repeat_ms, muted)


def _legs(
    policy: EpisodePolicy, kind: Kind, severity: Severity, segment: str, at_ms: int
) -> list[_Leg]:
    """What the service's routing says, in its order, and the defaults where it does not end before them."""
    wanted = _default_names(severity, pages=DEFAULTS[kind].pages)
    usual = [receiver for receiver in policy.receivers if receiver.name in wanted]
    legs: list[_Leg] = []
    for rule in policy.routing:
        if not _matches(rule, policy.model, kind, severity, segment):
            continue
        named = [receiver for receiver in policy.receivers if receiver.name in rule.receivers]
        muted = rule.mute is not None and is_muted(rule.mute, at_ms)
        legs.append(_Leg(named if rule.receivers else usual, rule.repeat_ms, muted))
        if not rule.go_on:
            return legs
    return [*legs, _Leg(usual)]


def _matches(rule: RoutingRule, model: Model, kind: Kind, severity: Severity, segment: str) -> bool:
    return all(
        not wanted or found in wanted
        for wanted, found in (
            (rule.kinds, kind),
            (rule.severities, severity),
            (rule.models, model.id),
            (rule.owners, model.owner),
            (tuple(name.casefold() for name in rule.environments), model.environment.casefold()),
            (rule.segments, segment),
        )
    )


def is_muted(mute: Mute, at_ms: int) -> bool:
    """Whether a route is not used at this time.

    >>> night = Mute(hours=(22 * 60, 6 * 60))
    >>> [is_muted(night, hour * HOUR_MS) for hour in (5, 6, 21, 22)]
    [True, False, False, True]
    """
    if mute.hours is None:
        return _weekday(at_ms) in mute.days
    start, until = mute.hours
    minute = at_ms // MINUTE_MS % (24 * 60)
    if start < until:
        began_ms, within = at_ms, start <= minute < until
    else:
        began_ms = at_ms if minute >= start else at_ms - DAY_MS
        within = minute >= start or minute < until
    return within and (not mute.days or _weekday(began_ms) in mute.days)


def _weekday(at_ms: int) -> int:
    """0 is Monday; the epoch was a Thursday."""
    return (at_ms // DAY_MS + 3) % 7


def _called(receivers: Sequence[Receiver], word: str) -> list[Receiver]:
    """The receiver of this name, else all of this channel."""
    word = word.casefold()
    exact = [receiver for receiver in receivers if receiver.name.casefold() == word]
    return exact or [receiver for receiver in receivers if receiver.channel == word]


def _default_names(severity: Severity, *, pages: bool) -> tuple[str, ...]:
    if severity == "critical":
        return ("slack", "pagerduty", "email")
    return ("slack", "pagerduty") if severity == "error" and pages else ("slack",)


def _hears(receiver: Receiver, severity: Severity) -> bool:
    """PagerDuty hears errors and worse; an info is sent to nobody."""
    if receiver.channel == "pagerduty":
        return severity in ("error", "critical")
    return severity != "info"
