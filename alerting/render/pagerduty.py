"""An alert as a PagerDuty Events v2 request, without its routing key, within the limits of contracts §7."""

from typing import Any

from alerting.types import Alert, Change
from alerting.wording import clip, in_numbers, listed_name

SUMMARY_LIMIT = 1024
MOST_SERIES = 10
_ACTIONS: dict[Change, str] = {"acknowledged": "acknowledge", "resolved": "resolve"}


def render(alert: Alert) -> dict[str, Any]:
    """The payload. Every event of an episode has its id as `dedup_key`: one incident from first to last."""
    action = _ACTIONS.get(alert.change, "trigger")
    event: dict[str, Any] = {"event_action": action, "dedup_key": alert.episode_id}
    if action != "trigger":
        return event
    model = alert.model
    payload: dict[str, Any] = {
        "summary": clip(alert.title, SUMMARY_LIMIT),
        "source": f"{model.environment}/{model.id}@{model.version}",
        "severity": alert.severity,
        "timestamp": alert.at,
        "component": model.id,
        "group": None if model.owner is None else clip(model.owner, 255),
        "class": alert.kind,
        "custom_details": _details(alert),
    }
    console, runbook = alert.links.console, alert.links.runbook
    links = [] if runbook is None else [{"href": runbook, "text": "Runbook"}]
    event |= {
        "client": "Leeway",
        "client_url": console,
        "links": links,
        "payload": {key: value for key, value in payload.items() if value is not None},
    }
    return {key: value for key, value in event.items() if value is not None}


def _details(alert: Alert) -> dict[str, Any]:
    """What a person needs before opening anything."""
    series = [
        f"{listed_name(one.series)}: {in_numbers(one)}" for one in alert.affected[:MOST_SERIES]
    ]
    more = alert.affected_total - len(series)
    details: dict[str, Any] = {
        "what": alert.summary,
        "segment": alert.segment,
        "current": alert.evidence.n_current,
        "reference": alert.evidence.n_reference,
        "cause": alert.cause["class"].replace("_", " "),
        "hints": list(alert.cause["hints"]),
        "series": series + ([f"+{more} more"] if more > 0 else []),
        "also_in": list(alert.also_in[:MOST_SERIES]),
    }
    return {name: value for name, value in details.items() if value not in (None, [])}
