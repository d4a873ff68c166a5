"""An alert as a PagerDuty Events v2 request, without its routing key, within the limits of contracts §7."""

from typing import Any

from alerting.render import content
from alerting.types import Alert, Change
from alerting.wording import clip

SUMMARY_LIMIT = 1024
_NAME, _SEGMENT = 255, 100
_ACTIONS: dict[Change, str] = {"acknowledged": "acknowledge", "resolved": "resolve"}


def render(alert: Alert) -> dict[str, Any]:
    """The payload. Every event of an episode has its id as `dedup_key`: one incident from first to last."""
    action = _ACTIONS.get(alert.change, "trigger")
    if action != "trigger":
        return {"event_action": action, "dedup_key": alert.episode_id}
    model = alert.model
    return trigger(
        alert.episode_id,
        summary=alert.title,
        source=f"{model.environment}/{model.id}@{model.version}",
        severity=alert.severity,
        at=alert.at,
        about={"component": model.id, "group": model.owner, "class": alert.kind},
        details=_details(alert),
        runbook=alert.links.runbook,
        console=alert.links.console,
    )


def trigger(
    dedup_key: str,
    *,
    summary: str,
    source: str,
    severity: str,
    at: str,
    about: dict[str, str | None],
    details: dict[str, Any],
    runbook: str | None,
    console: str | None,
) -> dict[str, Any]:
    """The members of any event of ours that opens or renews an incident; what is not known is left out."""
    payload: dict[str, Any] = {
        "summary": clip(summary, SUMMARY_LIMIT) or "…",
        "source": clip(source, _NAME),
        "severity": severity,
        "timestamp": at,
        **{name: clip(said, _NAME) for name, said in about.items() if said is not None},
        "custom_details": {
            name: said for name, said in details.items() if said not in (None, "", [])
        },
    }
    book = content.address(runbook)
    event: dict[str, Any] = {
        "event_action": "trigger",
        "dedup_key": dedup_key,
        "client": "Leeway",
        "client_url": content.address(console),
        "links": [] if book is None else [{"href": book, "text": "Runbook"}],
        "payload": payload,
    }
    return {name: said for name, said in event.items() if said is not None}


def _details(alert: Alert) -> dict[str, Any]:
    """What a person needs before opening anything."""
    shown, more = content.lines(alert)
    series = [f"{name}: {said}" for name, said in shown]
    return {
        "what": clip(alert.summary, SUMMARY_LIMIT),
        "how bad": content.size(alert),
        "since": content.since(alert),
        "segment": clip(alert.segment, _SEGMENT),
        "current": alert.evidence.n_current,
        "reference": alert.evidence.n_reference,
        "cost": content.cost(alert),
        "cause": f"{alert.cause['class'].replace('_', ' ')}: {content.cause(alert)}",
        "hints": list(content.hints(alert)),
        "series": series + ([f"+{more} more"] if more else []),
        "bins": _bins(alert),
        "also_in": [clip(segment, _SEGMENT) for segment in alert.also_in[: content.MOST_SERIES]],
        "runbook": content.runbook(alert),
        **{word.lower(): typed for word, typed in content.commands(alert)},
    }


def _bins(alert: Alert) -> list[str]:
    """Reference beside now, in words: PagerDuty shows no picture that is not on the web."""
    return [
        f"{picture.name}, {row.label}: {picture.before} {row.said[0]}, now {row.said[1]}"
        for picture in content.pictures(alert)
        for row in picture.rows
    ]
