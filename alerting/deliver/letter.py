"""How does a rendered e-mail become bytes and an envelope? Nothing in it can add a header or a recipient."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.header import Header
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, parseaddr, quote
from typing import Any

MOST_RECIPIENTS = 100
MOST_BYTES = 256 * 1024
# What rendering may set; everything else is ours: sender, recipients, date, structure.
_HEADERS = re.compile(
    r"Message-ID|In-Reply-To|References|Auto-Submitted|Precedence|X-[A-Za-z0-9-]{1,60}",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,253}")
_BREAK = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
# Seven bits: every server takes that, and lines stay short.
_POLICY = SMTP.clone(cte_type="7bit")


class Unsendable(ValueError):
    """This letter can never be sent; the text quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class Letter:
    """An envelope and its content."""

    sender: str = field(repr=False)
    to: tuple[str, ...] = field(repr=False)
    content: bytes = field(repr=False)


def compose(payload: Mapping[str, Any], sender: str, to: Sequence[str], at_s: float) -> Letter:
    """The letter of a notification.

    Parameters
    ----------
    payload : `to`, `subject`, `text`, `html`, `headers` of contracts §5.3
    to : the addresses where the payload has none
    at_s : its date

    Raises
    ------
    Unsendable
        A line break in a header, a header that is not rendering's to set, no or too many or unreadable addresses, or
        more than 256 KiB.

    Examples
    --------
    >>> payload = {"to": ["b@example.org"], "subject": "é", "text": ".", "headers": {"Message-ID": "<1@leeway>"}}
    >>> letter = compose(payload, "Leeway <a@example.org>", (), 0.0)
    >>> letter.sender, letter.to
    ('a@example.org', ('b@example.org',))
    >>> print(letter.content.decode().replace("\\r", "").split("Content-Type")[0].rstrip())
    From: Leeway <a@example.org>
    To: b@example.org
    Subject: =?utf-8?b?w6k=?=
    Date: Thu, 01 Jan 1970 00:00:00 -0000
    Message-ID: <1@leeway>
    """
    recipients = tuple(address_of(str(each)) for each in payload.get("to") or to)
    if not 1 <= len(recipients) <= MOST_RECIPIENTS:
        raise Unsendable(f"{len(recipients)} recipients: expected 1 to {MOST_RECIPIENTS}")
    called, address = parseaddr(sender)[0], address_of(sender)
    head = {
        "From": f"{_encoded('From', _quoted(called))} <{address}>" if called else address,
        "To": ",\r\n ".join(recipients),
        "Subject": _encoded("Subject", str(payload.get("subject", ""))),
        "Date": formatdate(at_s),
    }
    headers = payload.get("headers")
    for name, value in headers.items() if isinstance(headers, dict) else ():
        if not _HEADERS.fullmatch(name) or name.casefold() in map(str.casefold, head):
            raise Unsendable("a header that is not rendering's to set")
        head[name] = _encoded(name, str(value))
    body = EmailMessage(policy=_POLICY)
    body.set_content(_text(payload.get("text", "")))
    if payload.get("html"):
        body.add_alternative(_text(payload["html"]), subtype="html")
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    content = lines.encode("ascii") + body.as_bytes()
    if len(content) > MOST_BYTES:
        raise Unsendable("larger than 256 KiB")
    return Letter(address, recipients, content)


def address_of(text: str) -> str:
    """The plain address in `Name <address>`.

    Raises
    ------
    Unsendable
        There is none, or it is not ASCII.
    """
    address = parseaddr(_line(text))[1]
    if not _ADDRESS.fullmatch(address):
        raise Unsendable("an address that cannot be read")
    return address


def _encoded(name: str, value: str) -> str:
    """A header's value in ASCII, folded.

    Not by `EmailMessage`: it decodes what looks like an encoded word, and before Python 3.11.10 wrote the line breaks
    inside one as they were (CVE-2024-6923), so that a feature's name could add a header. Here such a text is text.

    >>> _encoded("Subject", "=?utf-8?q?a=0D=0ABcc=3A_b?=")
    '=?utf-8?b?PT91dGYtOD9xP2E9MEQ9MEFCY2M9M0FfYj89?='
    """
    text = _line(value)
    plain = text.isascii() and "=?" not in text
    if plain and len(text) + len(name) <= 900:
        return text
    return Header(text, "utf-8", header_name=name).encode(linesep="\r\n")


def _quoted(name: str) -> str:
    """A person's name as a header has it.

    >>> print(_quoted("Leeway"), _quoted("Team, ML"))
    Leeway "Team, ML"
    """
    atoms = re.fullmatch(r"[\w !#$%&'*+/=?^`{|}~-]*", name, re.ASCII)
    return name if atoms or not name.isascii() or "=?" in name else f'"{quote(name)}"'


def _line(text: str) -> str:
    if _BREAK.search(text):
        raise Unsendable("a line break in a header")
    return _text(text)


def _text(value: object) -> str:
    """What mail can carry: half a surrogate pair has no bytes, and a control but tab and line break no meaning."""
    return _CONTROLS.sub("\ufffd", str(value).encode("utf-8", "replace").decode())
