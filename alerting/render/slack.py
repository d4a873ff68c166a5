"""An alert as a Slack message: `chat.postMessage` without its token, within the limits of contracts §7."""

from typing import Any

from alerting.types import Affected, Alert, Operation, Severity
from alerting.wording import clip, in_numbers, listed_name, measured, one_line

COLOURS: dict[Severity, str] = {
    "info": "#8C8C8C",
    "warning": "#ECB22E",
    "error": "#E8912D",
    "critical": "#E01E5A",
}
RESOLVED_COLOUR = "#2EB67D"
HEADER_LIMIT = 150
MOST_SERIES = 10
# Shares of the 8,000 that a whole message may have; Slack's own limits (section 3,000, field 2,000) are wider.
_TEXT, _SUMMARY, _NAME, _FIELD, _LINK = 300, 2500, 70, 300, 600
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def render(alert: Alert, target: str | None) -> dict[str, Any]:
    """The payload; `target` is the Slack channel, None for a webhook that has its own."""
    resolved = alert.change == "resolved"
    said = "resolved" if resolved else alert.severity
    colour = RESOLVED_COLOUR if resolved else COLOURS[alert.severity]
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": fit(alert.title, HEADER_LIMIT)}},
        _section(_emphasised(alert)),
        *([_section(_series(alert))] if len(alert.affected) > 1 else []),
        {"type": "section", "fields": [_markdown(field) for field in _fields(alert)]},
        {"type": "context", "elements": [_markdown(_footer(alert))]},
    ]
    payload: dict[str, Any] = {} if target is None else {"channel": target}
    return payload | {
        "text": fit(f"{said}: {alert.title}", _TEXT),
        "unfurl_links": False,
        "attachments": [{"color": colour, "blocks": blocks}],
    }


def operation(alert: Alert, *, threads: bool) -> Operation:
    """Post a new message, rewrite the first one, or rewrite it and say so below."""
    if alert.change == "opened" or not threads:
        return "post"
    return "update" if alert.change == "repeated" else "update_and_reply"


def reply(alert: Alert) -> str:
    """A line for the thread."""
    level = "" if alert.change == "resolved" else f" ({alert.severity}, {alert.verdict.value})"
    return fit(f"{alert.change}{level}: {alert.summary}", 500)


def fit(text: str, limit: int) -> str:
    """`text` on one line, escaped, cut so that it stays within `limit` however it is counted.

    A character counts for the longest of its forms: escaped for Slack, inside JSON, in UTF-8.

    >>> fit("a < b & c", 14), fit("a < b", 14)
    ('a &lt; b …', 'a &lt; b')
    """
    kept: list[str] = []
    room = limit
    line = clip(text, limit)
    for i, character in enumerate(line):
        written = _ENTITIES.get(character, character)
        needed = max(len(written.encode()), 2 if character in '"\\' else 1)
        rest = 0 if i == len(line) - 1 else 3  # the ellipsis
        if needed + rest > room:
            kept.append("…")
            break
        kept.append(written)
        room -= needed
    return "".join(kept)


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _markdown(text)}


def _markdown(text: str) -> dict[str, str]:
    return {"type": "mrkdwn", "text": text}


def _emphasised(alert: Alert) -> str:
    """The summary with its first number in bold and segments as code."""
    said = fit(alert.summary, _SUMMARY)
    first = next((series.effect for series in alert.affected if series.effect), None)
    if first is not None:
        said = said.replace(measured(first), f"*{measured(first)}*", 1)
    for segment in alert.also_in[:3]:
        name = fit(segment, _FIELD)
        said = said.replace(name, f"`{name}`", 1)
    return said


def _series(alert: Alert) -> str:
    lines = [_line(series) for series in alert.affected[:MOST_SERIES]]
    more = alert.affected_total - len(lines)
    return "\n".join([*lines, *([f"+{more} more"] if more > 0 else [])])


def _line(series: Affected) -> str:
    name = fit(listed_name(series.series), _NAME)
    return f"• *{name}* {in_numbers(series)}"


def _fields(alert: Alert) -> list[str]:
    evidence = alert.evidence
    against = "events" if evidence.n_reference is None else f"against {evidence.n_reference:,}"
    fields = [
        f"*Kind*\n{alert.kind.replace('_', ' ')}, {alert.verdict.value}",
        f"*Seen*\n{evidence.n_current:,} {against}",
    ]
    if alert.model.owner is not None:
        fields.append(f"*Owner*\n{fit(alert.model.owner, _FIELD)}")
    return fields


def _footer(alert: Alert) -> str:
    links = [(alert.links.runbook, "Runbook"), (alert.links.console, "Why")]
    said = [_link(address, text) for address, text in links if address and _fits(address)]
    if alert.change != "resolved":
        said.append(f"`leeway ack {alert.episode_id}`")
    return " · ".join(said) or alert.episode_id


def _fits(address: str) -> bool:
    """A link that was cut would lead nowhere: it is left out instead."""
    return len(_escaped_address(address).encode()) <= _LINK


def _link(address: str, text: str) -> str:
    return f"<{_escaped_address(address)}|{text}>"


def _escaped_address(address: str) -> str:
    address = one_line(address).replace("&", "&amp;")
    for reserved in ' <>|"\\':
        address = address.replace(reserved, f"%{ord(reserved):02X}")
    return address
