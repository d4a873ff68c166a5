"""An alert as a Slack message: `chat.postMessage` without its token, within the limits of contracts §7."""

import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any

from alerting.render import content
from alerting.settings import Receiver
from alerting.types import Alert, Operation, Severity
from alerting.wording import clip, isolated, measured

COLOURS: dict[Severity, str] = {
    "info": "#8C8C8C",
    "warning": "#ECB22E",
    "error": "#E8912D",
    "critical": "#E01E5A",
}
RESOLVED_COLOUR = "#2EB67D"
HEADER_LIMIT = 150
# What the buttons of a receiver with a signing secret are called; their value is `button_value`.
ACKNOWLEDGE, SILENCE = "leeway.acknowledge", "leeway.silence"
# Shares of the 8,000 that a whole message may have; Slack's own limits (section 3,000, field 2,000) are wider.
_TEXT, _SUMMARY, _NAME, _NUMBERS, _FIELD, _LINK, _CAUSE = 300, 1400, 70, 130, 300, 400, 500
_REPLY = 500
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
# Slack has no escape for its own marks: what stands in a name is written with the sign that looks the same.
_MARKS = {"*": "\u2217", "`": "\u02cb", "~": "\u223c"}
_EDGE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")  # an underscore inside a word marks nothing
_MENTION = re.compile(r"(?<!\w)@(?=\w)")
# Octets that a character may take beyond its own: escaped, replaced, or inside JSON.
_MORE = {"&": 4, "<": 3, ">": 3, "*": 2, "`": 2, "~": 2, "@": 2, "_": 2, '"': 1, "\\": 1}
_WIDE_AT, _LOW_LINE = "\uff20", "\u02cd"


def render(alert: Alert, receiver: Receiver) -> dict[str, Any]:
    """The payload; the receiver's target is the Slack channel, None for a webhook that has its own."""
    over = content.is_over(alert)
    said = "resolved" if over else alert.severity
    quiet = dict(content.commands(alert)).get("Silence")
    blocks = [
        {"type": "header", "text": plain(alert.title)},
        section(_emphasised(alert)),
        *([section(_series(alert))] if len(alert.affected) > 1 else []),
        context(_why(alert)),
        {"type": "section", "fields": [markdown(field) for field in _fields(alert)]},
        context(_footer(alert)),
        *([] if quiet is None else [context(code(quiet))]),
        *([_buttons(alert)] if receiver.buttons and content.commands(alert) else []),
    ]
    return message(
        receiver,
        text=f"{said}: {alert.title}",
        colour=RESOLVED_COLOUR if over else COLOURS[alert.severity],
        blocks=blocks,
    )


def message(
    receiver: Receiver, *, text: str, colour: str, blocks: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """The members of any message of ours; `text` is what a phone shows."""
    payload: dict[str, Any] = {} if receiver.target is None else {"channel": receiver.target}
    return payload | {
        "text": fit(text, _TEXT),
        "unfurl_links": False,
        "attachments": [{"color": colour, "blocks": list(blocks)}],
    }


def operation(alert: Alert, *, threads: bool) -> Operation:
    """Post a new message, rewrite the first one, or rewrite it and say so below."""
    if alert.change == "opened" or not threads:
        return "post"
    return "update" if alert.change == "repeated" else "update_and_reply"


def reply(alert: Alert) -> str:
    """A line for the thread."""
    level = "" if content.is_over(alert) else f" ({alert.severity}, {alert.verdict.value})"
    return fit(f"{alert.change}{level}: {alert.summary}", _REPLY)


# ------------------------------------------------------------------------------------------------ text


def fit(text: str, limit: int) -> str:
    """`text` on one line, escaped, cut so that it stays within `limit` however it is counted.

    >>> fit("a < b & c", 14), fit("a < b", 14), fit("*a* @here _b_ c_d", 30)
    ('a &lt; b …', 'a &lt; b', '∗a∗ ＠here ˍbˍ c_d')
    """
    written = escaped(cut(text, limit))
    apart = isolated(written)
    return apart if len(apart.encode()) <= limit else written


def escaped(text: str) -> str:
    """Text in which nothing is markup any more: no link, no mention, no bold [1]_.

    References
    ----------
    .. [1] docs.slack.dev/messaging/formatting-message-text: only ``&``, ``<`` and ``>`` have an escape.
    """
    return "".join(_ENTITIES.get(c, c) for c in _unmarked(text))


def cut(text: str, limit: int) -> str:
    """`text` on one line, cut so that it is within `limit` once `escaped`.

    A character counts for the longest of its forms: escaped for Slack, inside JSON, in UTF-8.
    """
    line = clip(text, limit)
    if cost(line) <= limit:
        return line
    ends = range(len(line) + 1)
    return line[: bisect_right(ends, limit - 3, key=lambda end: cost(line[:end])) - 1] + "…"


def cost(text: str) -> int:
    """The octets that a text may take once `escaped` and inside JSON."""
    more = sum(octets * text.count(mark) for mark, octets in _MORE.items())
    return len(text.encode(errors="replace")) + more


def _unmarked(text: str) -> str:
    for mark, lookalike in _MARKS.items():
        text = text.replace(mark, lookalike)
    return _EDGE.sub(_LOW_LINE, _MENTION.sub(_WIDE_AT, text))


def code(text: str) -> str:
    """What is to be typed, or named exactly: only a backtick would end it."""
    return "`" + "".join(_ENTITIES.get(c, c) for c in text.replace("`", _MARKS["`"])) + "`"


def plain(title: str) -> dict[str, str]:
    """A header's text, which knows no markup but entities; it may not be empty."""
    return {"type": "plain_text", "text": fit(title, HEADER_LIMIT) or "…"}


def section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": markdown(text)}


def context(text: str) -> dict[str, Any]:
    """A line in small letters."""
    return {"type": "context", "elements": [markdown(text)]}


def markdown(text: str) -> dict[str, str]:
    return {"type": "mrkdwn", "text": text or "…"}


def link(address: str, text: str) -> str:
    """A link; `content.address` has made the address harmless."""
    return f"<{address.replace('&', '&amp;')}|{text}>"


def fits(address: str | None) -> bool:
    """A link that was cut would lead nowhere: it is left out instead."""
    return address is not None and len(address.replace("&", "&amp;")) <= _LINK


# ------------------------------------------------------------------------------------------------ parts


def _emphasised(alert: Alert) -> str:
    """The summary with its first number in bold and segments as code."""
    line = cut(alert.summary, _SUMMARY)
    first = next((series.effect for series in alert.affected if series.effect), None)
    wanted = [(measured(first), True)] if first is not None else []
    wanted += [(clip(segment, _NAME), False) for segment in alert.also_in[:3]]
    marks: list[tuple[int, int, bool]] = []
    for text, bold in wanted:
        start = _place(line, text)
        end = start + len(text)
        if start >= 0 and all(end <= a or b <= start for a, b, _ in marks):
            marks.append((start, end, bold))
    return "".join(_pieces(line, sorted(marks)))


def _place(line: str, text: str) -> int:
    """Where a text stands as words of their own, -1 if nowhere: marks inside a word do nothing."""
    if not text:
        return -1
    found = re.search(rf"(?<!\w){re.escape(text)}(?!\w)", line)
    return -1 if found is None else found.start()


def _pieces(line: str, marks: Sequence[tuple[int, int, bool]]) -> Iterator[str]:
    done = 0
    for start, end, bold in marks:
        yield escaped(line[done:start])
        yield f"*{escaped(line[start:end])}*" if bold else code(line[start:end])
        done = end
    yield escaped(line[done:])


def _series(alert: Alert) -> str:
    shown, more = content.lines(alert)
    listed = [f"• *{fit(name, _NAME) or '…'}* {fit(said, _NUMBERS)}" for name, said in shown]
    return "\n".join([*listed, *([f"+{more} more"] if more else [])])


def _why(alert: Alert) -> str:
    """How bad in words, since when where the summary does not say, and the probable cause."""
    size = content.size(alert)
    parts = ["Back again"] if alert.change == "opened" and alert.reopened else []
    if size and not content.is_over(alert):
        parts.append(f"*{size[:1].upper()}{size[1:]}*")
    if "since about" not in alert.summary.casefold() and not content.is_over(alert):
        parts.append(f"Since: {fit(content.since(alert), _FIELD)}")
    hints = "; ".join((content.cause(alert), *content.hints(alert)))
    parts.append(f"Probable cause: {fit(hints, _CAUSE)}")
    return " · ".join(parts)


def _fields(alert: Alert) -> list[str]:
    evidence = alert.evidence
    against = "events" if evidence.n_reference is None else f"against {evidence.n_reference:,}"
    fields = [
        f"*Kind*\n{alert.kind.replace('_', ' ')}, {alert.verdict.value}",
        f"*Seen*\n{evidence.n_current:,} {against}",
    ]
    if alert.model.owner is not None:
        fields.append(f"*Owner*\n{fit(alert.model.owner, _NAME) or '…'}")
    if alert.segment != "all":
        fields.append(f"*Where*\n{code(cut(alert.segment, _NAME))}")
    price = content.cost(alert)
    if price is not None:
        fields.append(f"*Cost*\n{fit(price, _NUMBERS)}")
    return fields


def _footer(alert: Alert) -> str:
    runbook, console = content.address(alert.links.runbook), content.address(alert.links.console)
    said = [
        link(address, text)
        for address, text in ((runbook, "Runbook"), (console, "Why"))
        if address is not None and fits(address)
    ]
    named = content.runbook(alert)
    if named is not None:
        said.insert(0, f"Runbook: {fit(named, _FIELD)}")
    if not content.is_over(alert) and alert.status == "open":
        said.append(code(f"leeway ack {alert.episode_id}"))
    return " · ".join(said) or alert.episode_id


def _buttons(alert: Alert) -> dict[str, Any]:
    value = button_value(alert)
    typed = dict(content.commands(alert))
    names = [
        *([(ACKNOWLEDGE, "Acknowledge")] if "Acknowledge" in typed else []),
        *([(SILENCE, f"Silence for {content.SILENCE_FOR}")] if "Silence" in typed else []),
    ]
    return {
        "type": "actions",
        "elements": [
            {
                "type": "button",
                "action_id": action,
                "text": {"type": "plain_text", "text": text},
                "value": value,
            }
            for action, text in names
        ],
    }


def button_value(alert: Alert) -> str:
    """What a click sends back: JSON with `model_id`, `episode_id`, `kind`, `segment`.

    Where the segment cannot be named exactly, there is no button that would need it.
    """
    about = {
        "model_id": alert.model.id,
        "episode_id": alert.episode_id,
        "kind": alert.kind,
        "segment": alert.segment if content.named_exactly(alert.segment) else "all",
    }
    return json.dumps(about, ensure_ascii=False)
