"""Verdicts, contexts and policies with keyword defaults: a test says only what it is about."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from alerting.episodes import advance
from alerting.findings import from_verdict
from alerting.settings import Context, EpisodePolicy, Model, Receiver
from alerting.types import Alert, Episode, Finding, Subject
from detectors.types import (
    Alarm,
    Culprit,
    Effect,
    Onset,
    Reason,
    SeriesVerdict,
    Status,
    TopBin,
    Verdict,
    Window,
)

HOUR = 3_600_000
SEVEN = 1772434800000  # 2026-03-02T07:00:00Z
GOLDEN = Path(__file__).parent / "golden"
SUBJECT = Subject("loan-default", "2.3.1")
MODEL = Model("loan-default", "Loan default risk", "2.3.1", "Production", "credit-risk")
RECEIVERS = (
    Receiver("slack", "slack", "#ml-alerts"),
    Receiver("pagerduty", "pagerduty"),
    Receiver("email", "email"),
)
PSI = Effect("psi", 0.404, 0.364, 0.451, 0.1)
ONSET = Onset(SEVEN - 4_800_000, SEVEN - 5_340_000, SEVEN - 4_380_000)
CULPRIT = Culprit("feature:annual_income", "location", 0.83, PSI)


def series(name: str = "feature:annual_income", **changes: Any) -> SeriesVerdict:
    usual = SeriesVerdict(
        series=name,
        status=Status.SEVERE,
        reason=Reason.ALARM_SEVERE,
        n_reference=50000,
        n_current=3544,
        missing_reference=0.011,
        missing_current=0.016,
        effect=PSI,
        top_bins=(TopBin(1, 10, 0.1, 0.355, 0.322),),
    )
    return usual._replace(**changes)


def verdict(status: Status = Status.SEVERE, **changes: Any) -> Verdict:
    usual = Verdict(
        window=Window(SEVEN - HOUR, SEVEN, 3601),
        status=status,
        reason=Reason.ALARM_SEVERE,
        alarm=Alarm(41.2, 7.678, 1183),
        series=(series(), series("feature:home")),
        culprits=(CULPRIT, Culprit("feature:home", "category", 0.1, PSI)),
        onset=ONSET,
        severe_windows=1 if status == Status.SEVERE else 0,
    )
    if status in (Status.STABLE, Status.INSUFFICIENT):
        usual = replace(usual, reason=Reason.QUIET, culprits=(), onset=None)
    return replace(usual, **changes)


def finding(status: Status = Status.SEVERE, **changes: Any) -> Finding:
    return replace(from_verdict(verdict(status)), **changes)


def context(window: int = 0, **changes: Any) -> Context:
    """The context of the n-th window."""
    return replace(Context(SUBJECT, SEVEN + window * HOUR, HOUR, "rs-of-this-window"), **changes)


def policy(**changes: Any) -> EpisodePolicy:
    return replace(EpisodePolicy(MODEL, receivers=RECEIVERS, budget="1 per 90 days"), **changes)


def opened(**changes: Any) -> tuple[Episode, Alert]:
    """An episode and the alert that opened it."""
    episode, alerts = advance(policy(**changes), None, finding(), context())
    assert episode is not None
    return episode, alerts[0]
