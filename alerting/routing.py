"""Who hears what: severities and channels by kind, and the receivers they lead to (contracts §6)."""

from collections.abc import Sequence
from typing import NamedTuple

from alerting.settings import EpisodePolicy, Receiver
from alerting.types import SEVERITIES, Kind, Severity
from detectors.types import Status


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


def route(policy: EpisodePolicy, kind: Kind, verdict: Status, broken: Sequence[str] = ()) -> Route:
    """The lifecycle's rules for this kind and level, else the defaults. `broken`: written rules that do not hold.

    The highest severity of the matching rules counts, their channels add up, and the runbook is that of the most severe
    rule that has one. Outside `Production` severity stops at warning. Info is told to nobody but the digest.
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
    else:
        wanted = _default_names(severity, pages=default.pages)
        named = [receiver for receiver in policy.receivers if receiver.name in wanted]
    heard = dict.fromkeys(receiver.name for receiver in named if _hears(receiver, severity))
    return Route(severity, tuple(heard), runbook)


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
