"""An alert as a mail: text and HTML that say in five seconds what happened, how bad it is and what to do."""

from collections.abc import Iterable, Sequence
from html import escape
from textwrap import wrap
from typing import Any

from alerting.identity import alert_id
from alerting.render import content
from alerting.render.content import Picture
from alerting.settings import Receiver
from alerting.types import Alert, Severity
from alerting.wording import SUMMARY_LIMIT, TITLE_LIMIT, clip, isolated, one_line

SUBJECT_LIMIT = 200
MOST_RECIPIENTS = 100  # RFC 5321 §4.5.3.1.8: what every server takes
_WIDTH = 76
_BAR = 20
# Badges are told by their words; the colours are Slack's, with the text that can be read on each.
COLOURS: dict[Severity, tuple[str, str]] = {
    "info": ("#8C8C8C", "#000000"),
    "warning": ("#ECB22E", "#000000"),
    "error": ("#E8912D", "#000000"),
    "critical": ("#E01E5A", "#FFFFFF"),
}
RESOLVED_COLOUR = ("#2EB67D", "#000000")
# Both have a contrast of 4.5 on white and on black: no background is set, so that a dark mode may choose it.
_QUIET, _ACCENT = "#767676", "#1A73E8"
_BEFORE, _NOW = "#8C8C8C", "#1A73E8"
_FONT = "font-family:Helvetica,Arial,sans-serif;font-size:15px;line-height:1.4"


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


def letter(
    receiver: Receiver, *, subject: str, text: str, html: str, headers: dict[str, str]
) -> dict[str, Any]:
    """The members of any mail of ours."""
    return {
        "to": list(receiver.to[:MOST_RECIPIENTS]),
        "subject": clip(subject, SUBJECT_LIMIT),
        "text": text,
        "html": html,
        "headers": headers,
    }


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


def message_id(identity: str) -> str:
    """
    >>> message_id("al-1")
    '<al-1@leeway>'
    """
    return f"<{identity}@leeway>"


# ------------------------------------------------------------------------------------------------ what both say


def _title_of(alert: Alert) -> str:
    return clip(alert.title, TITLE_LIMIT)


def _summary(alert: Alert) -> str:
    return clip(alert.summary, SUMMARY_LIMIT)


def _facts(alert: Alert) -> list[tuple[str, str]]:
    model = alert.model
    name = f"{clip(model.name, 60)} ({model.id} {model.version}, {clip(model.environment, 40)})"
    over = content.is_over(alert)
    facts = [
        ("How bad", "" if over else content.how_bad(alert)),
        ("Since", content.since(alert)),
        ("Where", content.where(alert)),
        ("Cost", content.cost(alert) or ""),
        ("Probable cause", "; ".join((content.cause(alert), *content.hints(alert)))),
        ("Seen", content.seen(alert)),
        ("Model", name),
        ("Owner", clip(model.owner or "", 60)),
    ]
    return [(label, said) for label, said in facts if said]


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
    shown, more = content.lines(alert)
    head = f"{content.stands(alert).upper()}: {content.kind_of(alert)}"
    parts = [[head, *broken(_title_of(alert))], broken(_summary(alert)), columns(_facts(alert))]
    for picture in _pictures(alert):
        parts.append([*broken(_caption(picture)), *_drawn(picture)])
    if len(shown) > 1:
        named = [line for name, said in shown for line in broken(f"- {name}: {said}")]
        parts.append(["What moved", *named, *([f"- and {more} more"] if more else [])])
    actions = columns(_actions(alert), flowing=False)
    if actions:
        parts.append(actions)
    parts.append([f"Episode {alert.episode_id}"])
    return paragraphs(parts)


def paragraphs(parts: Iterable[Sequence[str]]) -> str:
    """Lines with an empty one between the parts.

    >>> paragraphs([["a", "b"], ["c"]])
    'a\\nb\\n\\nc\\n'
    """
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def columns(pairs: Sequence[tuple[str, str]], *, flowing: bool = True) -> list[str]:
    """Labels on the left, what they say on the right; a command or a link is never broken.

    >>> columns([("Since", "07:00"), ("Where", "all events")])
    ['Since  07:00', 'Where  all events']
    """
    width = max((len(label) for label, _ in pairs), default=0) + 2
    found = []
    for label, said in pairs:
        line = one_line(said)
        rows = broken(line, _WIDTH - width) if flowing else [line]
        found += [f"{label if k == 0 else '':<{width}}{row}" for k, row in enumerate(rows)]
    return found


def broken(text: str, width: int = _WIDTH) -> list[str]:
    """Lines as long as a mail's should be; at least one."""
    return [isolated(line) for line in wrap(one_line(text), width, break_on_hyphens=False)] or [""]


def _drawn(picture: Picture) -> list[str]:
    width = max(len(picture.before), len("now"))
    found = []
    for row in picture.rows:
        found.append(f"  {row.label}")
        for name, value, said in _bars(picture, row):
            bar = "#" * _length(value, picture.longest, _BAR)
            found.append(f"    {name:<{width}}  {bar:<{_BAR}}  {said}")
    return found


def _bars(picture: Picture, row: content.Row) -> tuple[tuple[str, float, str], ...]:
    return (picture.before, row.before, row.said[0]), ("now", row.now, row.said[1])


def _length(value: float, longest: float, full: int) -> int:
    """At least one where there is anything at all."""
    if not value > 0 or not longest > 0:
        return 0
    return max(1, min(full, round(full * (value / longest))))


def _caption(picture: Picture) -> str:
    return f"{picture.name}: {picture.before} beside now"


# ------------------------------------------------------------------------------------------------ HTML


def _html(alert: Alert) -> str:
    shown, more = content.lines(alert)
    colours = RESOLVED_COLOUR if content.is_over(alert) else COLOURS[alert.severity]
    body = [
        badge(f"{content.stands(alert)}: {content.kind_of(alert)}", colours),
        heading(_title_of(alert)),
        paragraph(_summary(alert)),
        *table(_facts(alert)),
    ]
    for picture in _pictures(alert):
        body += _painted(picture)
    if len(shown) > 1:
        body += listed("What moved", (f"{name}: {numbers}" for name, numbers in shown), more)
    actions = _actions(alert)
    if actions:
        body += [_title("What to do"), *table(actions, code=dict(content.commands(alert)))]
    body.append(small(f"Episode {alert.episode_id}"))
    return page(_title_of(alert), body)


def page(title: str, body: Iterable[str]) -> str:
    """A whole document around rows of a column."""
    head = (
        '<!DOCTYPE html>\n<html lang="en" dir="ltr">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<meta name="supported-color-schemes" content="light dark">\n'
        f"<title>{said(title)}</title>\n</head>\n"
    )
    frame = '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0">'
    return (
        f'{head}<body style="margin:0;padding:12px;{_FONT}">\n{frame}\n<tr><td>\n'
        f'<div style="max-width:640px;{_FONT}">\n' + "\n".join(body) + "\n</div>\n</td></tr>\n"
        "</table>\n</body>\n</html>\n"
    )


def said(text: str) -> str:
    """Text for HTML: on one line, escaped, and runs of a script written from right to left kept to themselves.

    >>> said('a <b> & "c"')
    'a &lt;b&gt; &amp; &quot;c&quot;'
    """
    return isolated(escape(one_line(text)), "<bdi>", "</bdi>")


def badge(text: str, colours: tuple[str, str]) -> str:
    ground, ink = colours
    return (
        '<table role="presentation" cellpadding="0" cellspacing="0" border="0"><tr>'
        f'<td bgcolor="{ground}" style="background-color:{ground};color:{ink};padding:4px 10px;'
        f'font-weight:bold;{_FONT}">{said(text)}</td></tr></table>'
    )


def heading(text: str) -> str:
    return f'<h1 style="margin:12px 0 8px 0;font-size:20px;line-height:1.25">{said(text)}</h1>'


def paragraph(text: str) -> str:
    return f'<p style="margin:0 0 12px 0">{said(text)}</p>'


def _title(text: str) -> str:
    return f'<h2 style="margin:16px 0 4px 0;font-size:15px">{said(text)}</h2>'


def small(text: str) -> str:
    return f'<p style="margin:16px 0 0 0;font-size:12px;color:{_QUIET}">{said(text)}</p>'


def table(pairs: Iterable[tuple[str, str]], code: dict[str, str] | None = None) -> list[str]:
    """Label and words in two columns; addresses become links, what is in `code` is to be typed."""
    rows = ['<table role="presentation" cellpadding="0" cellspacing="0" border="0">']
    for label, text in pairs:
        rows.append(
            f'<tr><td valign="top" style="padding:2px 12px 2px 0;color:{_QUIET};'
            f'white-space:nowrap;{_FONT}">{said(label)}</td>'
            f'<td valign="top" style="padding:2px 0;{_FONT}">'
            f"{_cell(text, typed=text == (code or {}).get(label))}</td></tr>"
        )
    return [*rows, "</table>"]


def _cell(text: str, *, typed: bool) -> str:
    if typed:
        return (
            f'<code style="font-family:Consolas,Menlo,monospace;font-size:13px">{said(text)}</code>'
        )
    found = content.address(text)
    if found is not None and found == text:
        return f'<a href="{escape(found)}" style="color:{_ACCENT}">{said(text)}</a>'
    return said(text)


def listed(title: str, items: Iterable[str], more: int) -> list[str]:
    rows = [f'<li style="margin:2px 0">{said(item)}</li>' for item in items]
    rest = [f'<li style="margin:2px 0">and {more} more</li>'] if more else []
    return [_title(title), '<ul style="margin:0;padding-left:20px">', *rows, *rest, "</ul>"]


def _painted(picture: Picture) -> list[str]:
    """Bars made of cells with a background: what a mail program shows when it loads no images."""
    rows = [
        _title(_caption(picture)),
        '<table role="presentation" cellpadding="0" cellspacing="0" border="0">',
    ]
    for row in picture.rows:
        for (name, value, words), colour in zip(_bars(picture, row), (_BEFORE, _NOW), strict=True):
            label = row.label if name != "now" else ""
            rows.append(
                f'<tr><td style="padding:1px 12px 1px 0;color:{_QUIET};{_FONT}">{said(label)}</td>'
                f'<td style="padding:1px 8px 1px 0;{_FONT}">{said(name)}</td>'
                f"<td>{_bar(_length(value, picture.longest, 160), colour)}</td>"
                f'<td align="right" style="padding:1px 0 1px 8px;{_FONT}">{said(words)}</td></tr>'
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
