"""An alert as a mail: text and HTML that say in five seconds what happened, how bad it is and what to do."""

from typing import Any

from alerting.identity import alert_id
from alerting.render import content
from alerting.render.content import Picture
from alerting.render.letter import (
    COLOURS,
    FONT,
    QUIET,
    RESOLVED_COLOUR,
    badge,
    broken,
    columns,
    heading,
    letter,
    listed,
    message_id,
    page,
    paragraph,
    paragraphs,
    said,
    table,
    title,
)
from alerting.settings import Receiver
from alerting.types import Alert
from alerting.wording import SUMMARY_LIMIT, TITLE_LIMIT, clip

_TEXT_BAR, _BAR = 20, 160  # characters, pixels
_BEFORE, _NOW = "#8C8C8C", "#1A73E8"


def render(alert: Alert, receiver: Receiver) -> dict[str, Any]:
    """The payload of a notification: everything but sender and login.

    Cost: some 10 KiB. Nothing is loaded from elsewhere, nothing runs, and no feature value is shown.
    """
    return letter(
        receiver,
        subject=f"[{content.stands(alert)}] {alert.title}",
        text=_text(alert),
        html=_html(alert),
        headers={
            **thread(alert),
            "Auto-Submitted": "auto-generated",
            "X-Leeway-Episode": alert.episode_id,
        },
    )


def thread(alert: Alert) -> dict[str, str]:
    """Every mail of an episode answers its first one, so that a mail program shows them as one conversation [1]_.

    The first one's id follows from the episode, whoever got it and whenever.

    References
    ----------
    .. [1] RFC 5322, §3.6.4.
    """
    own, first = message_id(alert.alert_id), message_id(alert_id(alert.episode_id, 1))
    if own == first:
        return {"Message-ID": own}
    return {"Message-ID": own, "In-Reply-To": first, "References": first}


# ------------------------------------------------------------------------------------------------ what both say


def _title_of(alert: Alert) -> str:
    return clip(alert.title, TITLE_LIMIT)


def _summary(alert: Alert) -> str:
    return clip(alert.summary, SUMMARY_LIMIT)


def _facts(alert: Alert) -> list[tuple[str, str]]:
    """What is read first."""
    over = content.is_over(alert)
    facts = [
        ("How bad", "" if over else content.how_bad(alert)),
        ("Since", content.since(alert)),
        ("Where", content.where(alert)),
        ("Cost", content.cost(alert) or ""),
        ("Probable cause", "; ".join((content.cause(alert), *content.hints(alert)))),
    ]
    return [(label, words) for label, words in facts if words]


def _about(alert: Alert) -> list[tuple[str, str]]:
    """What is read last."""
    model = alert.model
    name = f"{clip(model.name, 60)} ({model.id} {model.version}, {clip(model.environment, 40)})"
    facts = [
        ("Seen", content.seen(alert)),
        ("Model", name),
        ("Owner", clip(model.owner or "", 60)),
        ("Episode", alert.episode_id),
    ]
    return [(label, words) for label, words in facts if words]


def _moved(alert: Alert) -> tuple[list[str], int]:
    """Series by their part in the change, where there is more than one, and how many are not named."""
    shown, more = content.lines(alert)
    if content.is_over(alert) or len(shown) < 2:
        return [], 0
    return [f"{name}: {numbers}" for name, numbers in shown], more


def _pictures(alert: Alert) -> tuple[Picture, ...]:
    """How it looks; of what is over there is nothing to see."""
    return () if content.is_over(alert) else content.pictures(alert)


def _actions(alert: Alert) -> list[tuple[str, str]]:
    """What to open or to type."""
    book = content.runbook(alert)
    named = [] if book is None else [("Runbook", book)]
    return [*content.links(alert), *named, *content.commands(alert)]


# ------------------------------------------------------------------------------------------------ text


def _text(alert: Alert) -> str:
    head = f"{content.stands(alert).upper()}: {content.kind_of(alert)}"
    parts = [
        [head, *broken(_title_of(alert))],
        broken(_summary(alert)),
        columns(_facts(alert)),
        columns(_actions(alert), flowing=False),
        *([*broken(_caption(one)), *_drawn(one)] for one in _pictures(alert)),
    ]
    moved, more = _moved(alert)
    if moved:
        rows = [row for line in moved for row in broken(f"- {line}")]
        parts.append(["What moved", *rows, *([f"- and {more} more"] if more else [])])
    return paragraphs([*(part for part in parts if part), columns(_about(alert))])


def _drawn(picture: Picture) -> list[str]:
    width = max(len(picture.before), len("now"))
    found = []
    for row in picture.rows:
        found.append(f"  {row.label}")
        for name, value, words in _bars(picture, row):
            bar = "#" * _length(value, picture.longest, _TEXT_BAR)
            found.append(f"    {name:<{width}}  {bar:<{_TEXT_BAR}}  {words}")
    return found


def _bars(picture: Picture, row: content.Row) -> tuple[tuple[str, float, str], ...]:
    return (picture.before, row.before, row.said[0]), ("now", row.current, row.said[1])


def _length(value: float, longest: float, full: int) -> int:
    """At least one where there is anything at all."""
    if not value > 0 or not longest > 0:
        return 0
    return max(1, min(full, round(full * (value / longest))))


def _caption(picture: Picture) -> str:
    return f"{picture.name}: {picture.before} beside now"


# ------------------------------------------------------------------------------------------------ HTML


def _html(alert: Alert) -> str:
    colours = RESOLVED_COLOUR if content.is_over(alert) else COLOURS[alert.severity]
    body = [
        badge(f"{content.stands(alert)}: {content.kind_of(alert)}", colours),
        heading(_title_of(alert)),
        paragraph(_summary(alert)),
        *table(_facts(alert)),
    ]
    actions = _actions(alert)
    if actions:
        body += [title("What to do"), *table(actions, code=dict(content.commands(alert)))]
    for picture in _pictures(alert):
        body += _painted(picture)
    moved, more = _moved(alert)
    if moved:
        body += listed("What moved", moved, more)
    body += [title("About"), *table(_about(alert))]
    return page(_title_of(alert), body)


def _painted(picture: Picture) -> list[str]:
    """Bars made of cells with a background: what a mail program shows when it loads no images."""
    rows = [
        title(_caption(picture)),
        '<table role="presentation" cellpadding="0" cellspacing="0" border="0">',
    ]
    for row in picture.rows:
        for (name, value, words), colour in zip(_bars(picture, row), (_BEFORE, _NOW), strict=True):
            label = row.label if name != "now" else ""
            rows.append(
                f'<tr><td style="padding:1px 12px 1px 0;color:{QUIET};{FONT}">{said(label)}</td>'
                f'<td style="padding:1px 8px 1px 0;{FONT}">{said(name)}</td>'
                f"<td>{_bar(_length(value, picture.longest, _BAR), colour)}</td>"
                f'<td align="right" style="padding:1px 0 1px 8px;{FONT}">{said(words)}</td></tr>'
            )
    return [*rows, "</table>"]


def _bar(width: int, colour: str) -> str:
    if not width:
        return ""
    return (
        '<table role="presentation" cellpadding="0" cellspacing="0" border="0"><tr>'
        f'<td width="{width}" height="12" bgcolor="{colour}" style="width:{width}px;height:12px;'
        f'background-color:{colour};font-size:1px;line-height:12px">&nbsp;</td></tr></table>'
    )
