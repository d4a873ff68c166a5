"""How does one cause in many models look? One message instead of one for each, with every model's episode in it."""

from typing import Any

from alerting.identity import alert_id, notification_id, rfc3339
from alerting.notify import EXPIRES_AFTER_SECONDS, RESOLVED_EXPIRES_AFTER_SECONDS
from alerting.render import content, letter, slack
from alerting.settings import Receiver
from alerting.shared import News, Shared
from alerting.types import Notification, Operation
from alerting.wording import clip, clock, listed_name

MOST_MODELS = 10
WHY = "Probably one cause outside of the models, such as a source that they share."
_NAME, _TITLE = 70, 130


def notification(
    receiver: Receiver, shared: Shared, *, told: bool = False, console: str | None = None
) -> Notification | None:
    """The shared cause as a message; None for receivers that hear of every episode by itself (PagerDuty, webhooks).

    Its members say `shared_id` where those of an alert's message name the episode. A cause that grows, or is over, is
    newer news of the same.

    Parameters
    ----------
    told : whether it was told before: Slack rewrites that message, a mail answers the first one
    """
    over = shared.over_ms is not None
    if over and not receiver.send_resolved:
        return None
    if receiver.channel == "slack":
        payload = _slack(receiver, shared, console)
    elif receiver.channel == "email":
        payload = _email(receiver, shared, console, told=told)
    else:
        return None
    operation: Operation = "send"
    if receiver.channel == "slack":
        again: Operation = "update_and_reply" if over else "update"
        operation = again if told and receiver.threads else "post"
    own = alert_id(shared.shared_id, shared.sequence)
    latest_ms = max(news.at_ms for news in shared.members)
    return Notification(
        idempotency_key=notification_id(own, receiver.name),
        receiver=receiver.name,
        channel=receiver.channel,
        alert_id=own,
        episode_id=shared.shared_id,
        sequence=shared.sequence,
        model_id=shared.members[0].model_id,
        change="resolved" if over else "repeated" if told else "opened",
        severity=shared.severity,
        at=rfc3339(latest_ms if shared.over_ms is None else shared.over_ms),
        expires_after_seconds=RESOLVED_EXPIRES_AFTER_SECONDS
        if over
        else EXPIRES_AFTER_SECONDS[shared.severity],
        operation=operation,
        reply=slack.fit(title(shared), 300) if operation == "update_and_reply" else None,
        payload=payload,
    )


def title(shared: Shared) -> str:
    """
    >>> news = tuple(News("s", "feature:age", model, f"ep-{model}", 0, "warning", "age drifted") for model in "abc")
    >>> title(Shared("sh-1", "s", "feature:age", 0, "warning", news))
    'age drifted in 3 models'
    """
    over = "" if shared.over_ms is None else ": over in all of them"
    return f"{clip(listed_name(shared.series), _NAME)} drifted in {len(shared.models)} models{over}"


def _state(shared: Shared) -> str:
    return shared.severity if shared.over_ms is None else "resolved"


def _members(shared: Shared) -> tuple[tuple[News, ...], int]:
    return shared.members[:MOST_MODELS], max(0, len(shared.members) - MOST_MODELS)


def _said(news: News, shared: Shared) -> str:
    latest_ms = max(one.at_ms for one in shared.members)
    at = clock(news.at_ms, latest_ms if shared.over_ms is None else shared.over_ms)
    return f"{clip(news.title, _TITLE)} ({at})"


def _ack(news: News) -> str:
    return f"leeway ack {news.episode_id}"


def _slack(receiver: Receiver, shared: Shared, console: str | None) -> dict[str, Any]:
    shown, more = _members(shared)
    over = shared.over_ms is not None
    rows = [
        f"• {slack.fit(_said(one, shared), 220)}"
        + ("" if over else f"\n   {slack.code(_ack(one))}")
        for one in shown
    ]
    half = (len(rows) + 1) // 2
    listed = ["\n".join(part) for part in (rows[:half], rows[half:]) if part]
    own = content.address(console)
    links = [slack.link(own, "Console")] if own is not None and slack.fits(own) else []
    blocks = [
        {"type": "header", "text": slack.plain(title(shared))},
        slack.section(WHY),
        *(slack.section(part) for part in listed),
        slack.context(" · ".join([*([f"+{more} more"] if more else []), *links, shared.shared_id])),
    ]
    return slack.message(
        receiver,
        text=f"{_state(shared)}: {title(shared)}",
        colour=slack.RESOLVED_COLOUR if over else slack.COLOURS[shared.severity],
        blocks=blocks,
    )


def _email(
    receiver: Receiver, shared: Shared, console: str | None, *, told: bool
) -> dict[str, Any]:
    shown, more = _members(shared)
    name = title(shared)
    own = content.address(console)
    links = [("Console", own)] if own is not None else []
    over = shared.over_ms is not None
    open_ = () if over else shown
    actions = [*links, *((f"Acknowledge {one.model_id}", _ack(one)) for one in open_)]
    said = f"{_state(shared)}: one cause, many models"
    colour = letter.RESOLVED_COLOUR if over else letter.COLOURS[shared.severity]
    rows = [_said(one, shared) for one in shown]
    text = [
        [f"{_state(shared).upper()}: one cause, many models", *letter.broken(name)],
        letter.broken(WHY),
        [line for row in rows for line in letter.broken(f"- {row}")]
        + ([f"- and {more} more"] if more else []),
        letter.columns(actions, flowing=False),
        [shared.shared_id],
    ]
    body = [
        letter.badge(said, colour),
        letter.heading(name),
        letter.paragraph(WHY),
        *letter.listed("Where", rows, more),
        *letter.table(actions, code=dict(actions[len(links) :])),
        letter.small(shared.shared_id),
    ]
    first = letter.message_id(shared.shared_id)
    ids = {"Message-ID": first}
    if told:
        again = letter.message_id(f"{shared.shared_id}.{shared.sequence}")
        ids = {"Message-ID": again, "In-Reply-To": first, "References": first}
    return letter.letter(
        receiver,
        subject=f"[{_state(shared)}] {name}",
        text=letter.paragraphs(text),
        html=letter.page(name, body),
        headers=ids | {"Auto-Submitted": "auto-generated"},
    )
