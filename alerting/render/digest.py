"""How does a daily digest look? What deserved no message of its own, by reason, the worst first, within any limit."""

from collections.abc import Callable
from typing import NamedTuple

from alerting.digest import Digest, DigestLine
from alerting.identity import notification_id
from alerting.render import content, letter, slack
from alerting.settings import Receiver
from alerting.types import SEVERITIES, Notification, Severity
from alerting.wording import clip

EXPIRES_AFTER_SECONDS = 24 * 3600  # then there is the next one
_LINE = 180
_SLACK_ROOM, _SECTION_ROOM = 5000, 2400  # of the 8,000 of a message, and the 3,000 of a section
_MAIL_ROOM = 40_000  # of the 64 KiB of a notification, text and HTML together
_MORE = 40  # octets kept for a section's title and for saying how many lines are missing


class Part(NamedTuple):
    """What is shown of one section."""

    title: str
    lines: tuple[str, ...]
    more: int


def notification(
    receiver: Receiver, digest: Digest, console: str | None = None
) -> Notification | None:
    """The digest as a message; None for receivers that read none (PagerDuty, webhooks).

    Its members say `digest_id` where those of an alert's message name alert and episode; it is about no one model.
    """
    if receiver.channel == "slack":
        payload = _slack(receiver, digest, console)
    elif receiver.channel == "email":
        payload = _email(receiver, digest, console)
    else:
        return None
    return Notification(
        idempotency_key=notification_id(digest.digest_id, receiver.name),
        receiver=receiver.name,
        channel=receiver.channel,
        alert_id=digest.digest_id,
        episode_id=digest.digest_id,
        sequence=1,
        model_id="",
        change="opened",
        severity=worst(digest),
        at=digest.day_end,
        expires_after_seconds=EXPIRES_AFTER_SECONDS,
        operation="post" if receiver.channel == "slack" else "send",
        reply=None,
        payload=payload,
    )


def worst(digest: Digest) -> Severity:
    """The highest severity in it."""
    found = [line.severity for section in digest.sections for line in section.lines]
    return max(found, key=SEVERITIES.index, default="info")


def said(line: DigestLine) -> str:
    """One line, with what became of it.

    >>> said(DigestLine("churn", "churn 1: age drifted", "2026-03-02T07:00:00.000Z", "warning", False, 3))
    'churn 1: age drifted (warning, over by now, 3 times)'
    """
    about = [
        *([line.severity] if line.severity != "info" else []),
        *([] if line.open else ["over by now"]),
        *([f"{line.times} times"] if line.times > 1 else []),
    ]
    text = clip(line.text, _LINE) or "…"
    return f"{text} ({', '.join(about)})" if about else text


def parts(digest: Digest, room: int, section_room: int, cost: Callable[[str], int]) -> list[Part]:
    """As many lines as there is room for, section by section, and how many are missing.

    Parameters
    ----------
    room, section_room : for all lines, and for those of one section, by `cost`
    """
    found = []
    left = room - _MORE * len(digest.sections)
    for section in digest.sections:
        shown: list[str] = []
        here = min(left, section_room)
        for line in section.lines:
            needed = cost(said(line))
            if needed > here:
                break
            shown.append(said(line))
            here, left = here - needed, left - needed
        more = section.more + len(section.lines) - len(shown)
        found.append(Part(section.title, tuple(shown), more))
    return found


def _title(digest: Digest) -> str:
    things = "1 thing" if digest.total == 1 else f"{digest.total:,} things"
    return f"Digest of {digest.day_end[:10]}: {things} that deserved no message"


def _more(part: Part) -> list[str]:
    return [f"+{part.more} more"] if part.more else []


def _slack(receiver: Receiver, digest: Digest, console: str | None) -> dict[str, object]:
    blocks = [{"type": "header", "text": slack.plain(_title(digest))}]
    for part in parts(digest, _SLACK_ROOM, _SECTION_ROOM, _slack_cost):
        lines = [f"• {slack.escaped(line)}" for line in part.lines]
        blocks.append(slack.section("\n".join([f"*{part.title}*", *lines, *_more(part)])))
    blocks.append(slack.context(_footer(digest, console)))
    return slack.message(
        receiver, text=_title(digest), colour=slack.COLOURS[worst(digest)], blocks=blocks
    )


def _slack_cost(line: str) -> int:
    return slack.cost(line) + 6  # the bullet, and a line break as JSON writes it


def _mail_cost(line: str) -> int:
    return len(line.encode()) + len(letter.said(line).encode()) + 60  # the tags of an item


def _footer(digest: Digest, console: str | None) -> str:
    own = content.address(console)
    found = [slack.link(own, "Console")] if own is not None and slack.fits(own) else []
    return " · ".join([*found, digest.digest_id])


def _email(receiver: Receiver, digest: Digest, console: str | None) -> dict[str, object]:
    shown = parts(digest, _MAIL_ROOM, _MAIL_ROOM, _mail_cost)
    own = content.address(console)
    links = [("Console", own)] if own is not None else []
    title = _title(digest)
    text = [[title]]
    body = [letter.badge("digest", letter.COLOURS[worst(digest)]), letter.heading(title)]
    for part in shown:
        lines = [row for line in part.lines for row in letter.broken(f"- {line}")]
        text.append([part.title, *lines, *[f"- {more}" for more in _more(part)]])
        body += letter.listed(part.title, part.lines, part.more)
    if links:
        text.append(letter.columns(links, flowing=False))
        body += letter.table(links)
    return letter.letter(
        receiver,
        subject=f"[digest] {title}",
        text=letter.paragraphs([*text, [digest.digest_id]]),
        html=letter.page(title, [*body, letter.small(digest.digest_id)]),
        headers={
            "Message-ID": letter.message_id(digest.digest_id),
            "Auto-Submitted": "auto-generated",
        },
    )
