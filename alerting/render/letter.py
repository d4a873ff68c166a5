"""What is any mail of ours made of? Paragraphs and columns of text, and the same as HTML that every program shows.

Nothing is loaded from elsewhere and nothing runs; styles are inline, tables are plain. No background is set, so that a
dark mode may choose it.
"""

from collections.abc import Iterable, Sequence
from html import escape
from textwrap import wrap
from typing import Any

from alerting.render import content
from alerting.settings import Receiver
from alerting.types import Severity
from alerting.wording import clip, isolated, one_line

SUBJECT_LIMIT = 200
MOST_RECIPIENTS = 100  # RFC 5321 §4.5.3.1.8: what every server takes
WIDTH = 76
# Badges are told by their words; the colours are Slack's, with the text that can be read on each.
COLOURS: dict[Severity, tuple[str, str]] = {
    "info": ("#8C8C8C", "#000000"),
    "warning": ("#ECB22E", "#000000"),
    "error": ("#E8912D", "#000000"),
    "critical": ("#E01E5A", "#FFFFFF"),
}
RESOLVED_COLOUR = ("#2EB67D", "#000000")
QUIET, ACCENT = "#767676", "#1A73E8"  # both have a contrast of 4.5 on white and on black
FONT = "font-family:Helvetica,Arial,sans-serif;font-size:15px;line-height:1.4"


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


def message_id(identity: str) -> str:
    """
    >>> message_id("al-1")
    '<al-1@leeway>'
    """
    return f"<{identity}@leeway>"


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
        rows = broken(line, WIDTH - width) if flowing else [line]
        found += [f"{label if k == 0 else '':<{width}}{row}" for k, row in enumerate(rows)]
    return found


def broken(text: str, width: int = WIDTH) -> list[str]:
    """Lines as long as a mail's should be; at least one."""
    return [isolated(line) for line in wrap(one_line(text), width, break_on_hyphens=False)] or [""]


def page(name: str, body: Iterable[str]) -> str:
    """A whole document around rows of a column."""
    head = (
        '<!DOCTYPE html>\n<html lang="en" dir="ltr">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<meta name="supported-color-schemes" content="light dark">\n'
        f"<title>{said(name)}</title>\n</head>\n"
    )
    frame = '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0">'
    return (
        f'{head}<body style="margin:0;padding:12px;{FONT}">\n{frame}\n<tr><td>\n'
        f'<div style="max-width:640px;{FONT}">\n' + "\n".join(body) + "\n</div>\n</td></tr>\n"
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
        f'font-weight:bold;{FONT}">{said(text)}</td></tr></table>'
    )


def heading(text: str) -> str:
    return f'<h1 style="margin:12px 0 8px 0;font-size:20px;line-height:1.25">{said(text)}</h1>'


def paragraph(text: str) -> str:
    return f'<p style="margin:0 0 12px 0">{said(text)}</p>'


def title(text: str) -> str:
    return f'<h2 style="margin:16px 0 4px 0;font-size:15px">{said(text)}</h2>'


def small(text: str) -> str:
    return f'<p style="margin:16px 0 0 0;font-size:12px;color:{QUIET}">{said(text)}</p>'


def table(pairs: Iterable[tuple[str, str]], code: dict[str, str] | None = None) -> list[str]:
    """Label and words in two columns; addresses become links, what is in `code` is to be typed."""
    rows = ['<table role="presentation" cellpadding="0" cellspacing="0" border="0">']
    for label, text in pairs:
        rows.append(
            f'<tr><td valign="top" style="padding:2px 12px 2px 0;color:{QUIET};'
            f'white-space:nowrap;{FONT}">{said(label)}</td>'
            f'<td valign="top" style="padding:2px 0;{FONT}">'
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
        return f'<a href="{escape(found)}" style="color:{ACCENT}">{said(text)}</a>'
    return said(text)


def listed(name: str, items: Iterable[str], more: int) -> list[str]:
    rows = [f'<li style="margin:2px 0">{said(item)}</li>' for item in items]
    rest = [f'<li style="margin:2px 0">and {more} more</li>'] if more else []
    return [title(name), '<ul style="margin:0;padding-left:20px">', *rows, *rest, "</ul>"]
