"""What does PagerDuty accept? Events API v2, `POST /v2/enqueue`.

Sources: github.com/PagerDuty/developer-docs, docs/events-API-v2/01-Overview.md (512 KB; 202, 400, 429, 5xx) and
docs/events-API-v2/02-Trigger-Events.md (routing key of 32 characters; trigger, acknowledge, resolve; dedup key 255;
summary 1,024; summary, source and severity required; images by HTTPS; links with href).
"""

import json
import re
from typing import Any

from tests.vendors import Rejected

BODY_LIMIT = 512 * 1024
_ACTIONS = ("trigger", "acknowledge", "resolve")
_SEVERITIES = ("critical", "error", "warning", "info")
_MEMBERS = frozenset(
    {
        *("routing_key", "event_action", "dedup_key", "payload", "client", "client_url"),
        *("images", "links"),
    }
)
_TEXTS = ("component", "group", "class")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)")
_ADDRESS = re.compile(r"https?://[!-;=?-~]+")  # printable ASCII without <, >


def event(body: Any, *, keyed: bool = True) -> None:
    """Hold an event's JSON against the documented rules.

    Parameters
    ----------
    keyed : whether the routing key, which is a secret and added last, must be there

    Raises
    ------
    Rejected
        Its reason is the `status` of PagerDuty's answer 400, its `why` one of the `errors`.

    Examples
    --------
    >>> event({"event_action": "resolve", "dedup_key": "ep-1"}, keyed=False)
    >>> event({"event_action": "resolve"}, keyed=False)
    Traceback (most recent call last):
        ...
    tests.vendors.Rejected: invalid event: dedup_key is required
    """
    if not isinstance(body, dict):
        raise _invalid("no object")
    try:
        size = len(json.dumps(body, ensure_ascii=False, allow_nan=False).encode())
    except (TypeError, ValueError) as error:
        raise _invalid(type(error).__name__) from None
    if size > BODY_LIMIT:
        raise _invalid(f"{size} bytes")
    if body.keys() - _MEMBERS:
        raise _invalid(f"unknown members {sorted(body.keys() - _MEMBERS)}")
    key = body.get("routing_key")
    if keyed and not (isinstance(key, str) and re.fullmatch(r"[0-9A-Za-z]{32}", key)):
        raise _invalid("routing_key has 32 characters")
    if body.get("event_action") not in _ACTIONS:
        raise _invalid("event_action is trigger, acknowledge or resolve")
    dedup = body.get("dedup_key")
    if dedup is not None and not (isinstance(dedup, str) and 1 <= len(dedup) <= 255):
        raise _invalid("dedup_key has 1 to 255 characters")
    if body["event_action"] != "trigger":
        if dedup is None:
            raise _invalid("dedup_key is required")
        return
    _payload(body.get("payload"))
    if not isinstance(body.get("client", ""), str):
        raise _invalid("client is text")
    if "client_url" in body:
        _address(body["client_url"], "client_url")
    for link in _objects(body.get("links", []), "links", {"href", "text"}):
        _address(link.get("href"), "links.href")
        if not isinstance(link.get("text", ""), str):
            raise _invalid("links.text is text")
    for image in _objects(body.get("images", []), "images", {"src", "href", "alt"}):
        if not str(image.get("src", "")).startswith("https://"):
            raise _invalid("images.src is served by HTTPS")


def _payload(payload: Any) -> None:
    if not isinstance(payload, dict):
        raise _invalid("payload is required")
    allowed = {"summary", "source", "severity", "timestamp", "custom_details", *_TEXTS}
    if payload.keys() - allowed:
        raise _invalid(f"unknown members {sorted(payload.keys() - allowed)}")
    summary, source = payload.get("summary"), payload.get("source")
    if not (isinstance(summary, str) and 1 <= len(summary) <= 1024):
        raise _invalid("summary has 1 to 1024 characters")
    if not (isinstance(source, str) and source):
        raise _invalid("source is required")
    if payload.get("severity") not in _SEVERITIES:
        raise _invalid("severity is critical, error, warning or info")
    if not _TIME.fullmatch(str(payload.get("timestamp", "2015-07-17T08:42:58.315+0000"))):
        raise _invalid("timestamp is ISO 8601")
    for name in _TEXTS:
        if not isinstance(payload.get(name, ""), str):
            raise _invalid(f"{name} is text")
    if not isinstance(payload.get("custom_details", {}), dict):
        raise _invalid("custom_details is an object")


def _objects(items: Any, name: str, members: set[str]) -> list[Any]:
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise _invalid(f"{name} is a list of objects")
    if any(item.keys() - members for item in items):
        raise _invalid(f"{name} has {sorted(members)}")
    return items


def _address(address: Any, name: str) -> None:
    if not (isinstance(address, str) and _ADDRESS.fullmatch(address)):
        raise _invalid(f"{name} is an address, got {address!r:.80}")


def _invalid(why: str) -> Rejected:
    return Rejected("invalid event", why)
