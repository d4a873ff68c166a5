"""What goes wrong in a month of many models: episodes, requests to retrain, what was sent to whom, what people said."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from alerting.deliver.items import Delivery, State
from alerting.identity import alert_id, derived, episode_id, rfc3339, trigger_id
from alerting.types import (
    Affected,
    Alert,
    AlertEvidence,
    AlertLinks,
    AlertModel,
    Bin,
    Effect,
    Gates,
    Kind,
    Link,
    Missing,
    Pipeline,
    Signal,
    Since,
    Subject,
    TrainingWindow,
    Trigger,
    TriggerEvidence,
    TriggerModel,
    TriggerPolicy,
    TriggerReason,
    TriggerState,
    TriggerStatus,
)
from alerting.types import Delivery as Heard
from detectors.types import Status
from tests.streams.month import HOUR_MS, Model

OUTCOMES = "outcomes of commands"  # they are among the results
Told = tuple[str, str, object, int]  # topic, key, document (bytes: as it is), when
_FINAL: tuple[State, ...] = (
    "sent",
    "waiting",
    "expired",
    "merged",
    "refused",
    "superseded",
    "late",
)
_LINKS = AlertLinks("https://wiki.example/runbooks/drift", None)


class _Change(NamedTuple):
    """One transition: hours before the end, the word, and what is new since the one before."""

    hours_left: int
    change: Any
    severity: Any = "warning"
    status: Any = "open"
    verdict: Status = Status.DRIFTING
    held: Any = None
    silenced_by: str | None = None
    inhibited_by: str | None = None


def problems(model: Model) -> Iterator[Told]:
    """Everything about one model that is no result, oldest first within each episode or request."""
    begins, ends, name = model.story.begins, model.story.ends, model.story.name
    worse: dict[str, Any] = {"severity": "error", "verdict": Status.SEVERE}
    if name == "drifting":
        changes = [_Change(begins, "opened"), _Change(max(begins - 7, 1), "escalated", **worse)]
        yield from _episode(model, "data_drift", changes, "Slack")
        yield from _request(model, "data_drift", begins - 1, ("requested",))
        old = model.days * 24 - 3
        changes = [_Change(old, "opened"), _Change(old - 4, "resolved", status="resolved")]
        yield from _episode(model, "prediction_drift", changes, "Slack")
        yield from _asked(model, begins)
    elif name == "worse":
        changes = [
            _Change(begins, "opened", **worse),
            _Change(max(begins - 2, 1), "acknowledged", status="acknowledged", **worse),
        ]
        yield from _episode(model, "performance", changes, "PagerDuty")
        quiet = [_Change(begins, "opened", inhibited_by=_id(model, "performance", begins))]
        yield from _episode(model, "concept_drift", quiet, "Slack")
        yield from _request(model, "performance", begins - 1, ("requested", "approved", "started"))
    elif name == "outage":
        worst: dict[str, Any] = {"severity": "critical", "verdict": Status.SEVERE}
        changes = [
            _Change(begins, "opened", **worst),
            _Change(max(ends, 1), "resolved", status="resolved", **worst),
        ]
        yield from _episode(model, "operational", changes, "PagerDuty")
        yield from _request(model, "performance", begins - 2, ("requested", "rejected"))
    elif name == "released":
        changes = [_Change(begins, "opened", held="grace")]
        yield from _episode(model, "prediction_drift", changes, "Slack")
        steps: tuple[TriggerStatus, ...] = ("requested", "approved", "started", "completed")
        yield from _request(model, "schedule", begins + 3, steps)
    elif name == "silent":
        changes = [_Change(max(begins - 1, 1), "opened", "critical", verdict=Status.SEVERE)]
        yield from _episode(model, "operational", changes, "PagerDuty")
        silenced = [_Change(begins, "opened", silenced_by="maintenance")]
        yield from _episode(model, "data_quality", silenced, "Slack")
        yield from _request(model, "manual", begins, ("requested", "started", "failed"))
    elif name == "well":
        yield from _request(model, "new_labels", 30, ("requested", "cancelled"))


def _id(model: Model, kind: Kind, hours_left: int) -> str:
    return episode_id(Subject(model.id, "1.0.0"), kind, _at(model, hours_left))


def _at(model: Model, hours_left: int) -> int:
    return model.now_ms - hours_left * HOUR_MS


def _affected(model: Model) -> tuple[Affected, ...]:
    effect = Effect("psi", 0.404, 0.364, 0.451, 0.1)
    bins = (Bin(1, 10, 0.1, 0.031), Bin(10, 10, 0.1, 0.355))
    series = [f"feature:{name}" for name in model.names[:3]]
    parts = zip(series, (0.71, 0.2, 0.09), strict=False)
    return tuple(Affected(one, part, effect, Missing(0.011, 0.016), bins) for one, part in parts)


def _episode(model: Model, kind: Kind, changes: list[_Change], channel: str) -> Iterator[Told]:
    opened = _at(model, changes[0].hours_left)
    id_ = _id(model, kind, changes[0].hours_left)
    affected = _affected(model) if kind.endswith("drift") else ()
    title = (
        f"{model.id} 1.0.0: {model.names[0]} drifted"
        if affected
        else f"{model.id} 1.0.0: {kind.replace('_', ' ')}"
    )
    receiver = {"Slack": "team-slack", "PagerDuty": "on-call"}[channel]
    for sequence, of in enumerate(changes, 1):
        at, ended = rfc3339(_at(model, of.hours_left)), of.status == "resolved"
        quiet = not (of.held is of.silenced_by is of.inhibited_by is None)
        alert = Alert(
            alert_id=alert_id(id_, sequence),
            episode_id=id_,
            sequence=sequence,
            at=at,
            change=of.change,
            status=of.status,
            resolve_reason="recovered" if ended else None,
            kind=kind,
            severity=of.severity,
            verdict=of.verdict,
            title=title,
            summary=f"{model.names[0]}: PSI 0.40 (0.36 to 0.45, floor 0.1), in a window of 3,544 events.",
            opened_at=rfc3339(opened),
            resolved_at=at if ended else None,
            since=Since(*(rfc3339(opened - k * HOUR_MS) for k in (2, 3, 1))),
            reopened=False,
            model=AlertModel(
                model.id, model.registered["model_name"], "1.0.0", "Production", "credit-risk"
            ),
            segment="all",
            also_in=tuple(model.segments[:1]),
            affected_total=len(affected),
            affected=affected,
            cause={
                "class": "input_shift" if affected else "unknown",
                "hints": ("one feature carries 71 % of the change",) if affected else (),
            },
            cost={"amount": 18.4, "unit": "EUR", "per": 1000} if kind == "performance" else None,
            evidence=AlertEvidence(
                derived("rs", id_, sequence), 41.2, 7.678, 50_000, 3_544, "1 per 90 days"
            ),
            delivery=Heard(() if quiet else (receiver,), of.inhibited_by, of.silenced_by, of.held),
            links=_LINKS,
        )
        yield "alerts", model.id, alert, _at(model, of.hours_left)
    if not quiet:
        state = (
            _FINAL[model.place % 3]
            if model.place < len(_FINAL)
            else _FINAL[model.place % len(_FINAL)]
        )
        tried = state in ("waiting", "expired")
        last = Delivery(
            receiver=receiver,
            episode_id=id_,
            channel=channel.lower(),
            model_id=model.id,
            sequence=len(changes),
            state=state,
            change=changes[-1].change,
            severity=changes[-1].severity,
            at_ms=_at(model, changes[-1].hours_left) + 900,
            attempts=4 if tried else 1,
            last_error="503 Service Unavailable" if tried else None,
            first_attempt_ms=_at(model, changes[-1].hours_left) + 500,
            next_attempt_ms=model.now_ms + 60_000 if state == "waiting" else None,
            told=0 if tried else len(changes),
            reached=not tried,
        )
        yield "deliveries", str(last.key), last, last.at_ms


def _request(
    model: Model, code: Any, hours_left: int, steps: tuple[TriggerStatus, ...]
) -> Iterator[Told]:
    opened = _at(model, hours_left)
    id_ = trigger_id(model.id, "1.0.0", "drifted", code, opened)
    people = {
        "approved": "ann",
        "rejected": "bob",
        "cancelled": "ann",
        "started": "pipeline",
        "completed": "pipeline",
        "failed": "pipeline",
    }
    done = steps[-1] == "completed"
    for sequence, step in enumerate(steps, 1):
        at = min(opened + (sequence - 1) * HOUR_MS, model.now_ms)
        trigger = Trigger(
            trigger_id=id_,
            status=TriggerState(
                step,
                sequence,
                rfc3339(at),
                people.get(step, "policy"),
                "out of memory" if step == "failed" else None,
            ),
            model=TriggerModel(
                model.id, model.registered["model_name"], "1.0.0", "Production", "credit-risk", None
            ),
            reason=TriggerReason(code, f"{model.names[0]} drifted severely", None, "warning"),
            training_window=TrainingWindow(
                rfc3339(opened - 60 * 24 * HOUR_MS),
                rfc3339(opened),
                "lookback",
                1_840_000,
                122_000,
                (),
            ),
            evidence=TriggerEvidence(
                (),
                (),
                (
                    Signal(
                        f"feature:{model.names[0]}", 0.404, 0.364, 0.451, None, 0.1, 50_000, 3_544
                    ),
                ),
                0,
            ),
            policy=TriggerPolicy(
                "drifted",
                "retrain",
                "required",
                ("ann", "bob"),
                "high",
                rfc3339(opened + 72 * HOUR_MS),
                rfc3339(opened + 48 * HOUR_MS),
                None,
                2,
                False,
            ),
            pipeline=Pipeline("ci/loans/train", ("lake/loans",), {"epochs": "12"}),
            gates=Gates(
                {"recall": {"min": 0.82}},
                ("A/B test in one city",),
                "promote" if done and step == "completed" else None,
                ("recall",) if done and step == "completed" else (),
                (),
                (),
            ),
            links=(Link("https://ci.example/runs/17", "run"),)
            if step in ("started", "completed", "failed")
            else (),
        )
        yield "retraining", model.id, trigger, at


def _asked(model: Model, begins: int) -> Iterator[Told]:
    """Commands of every fate: applied, refused, and not heard of yet."""
    at = _at(model, max(begins - 2, 1))
    common = {"model_id": model.id, "by": "ann"}
    silence = {
        "command": "silence",
        "command_id": f"{model.id[:40]}-s1",
        "silence_id": f"{model.id[:40]}-weekend",
        "until": rfc3339(model.now_ms + 20 * HOUR_MS),
        "reason": "migration of the warehouse",
        "match": {"kind": "data_quality"},
    } | common
    refused = {
        "command": "acknowledge",
        "command_id": f"{model.id[:40]}-a1",
        "episode_id": "ep-none",
    } | common
    waiting = {
        "command": "retrain",
        "command_id": f"{model.id[:40]}-r1",
        "reason": "new data",
    } | common
    for asked in (silence, refused, waiting):
        yield "commands", model.id, asked, at
    for asked, outcome, reason in (
        (silence, "applied", None),
        (refused, "refused", "unknown_episode"),
    ):
        answer = {
            "command_id": asked["command_id"],
            "command": asked["command"],
            "model_id": model.id,
            "outcome": outcome,
            "reason": reason,
            "by": "ann",
            "applied_at": rfc3339(at),
        }
        yield OUTCOMES, model.id, answer, at
