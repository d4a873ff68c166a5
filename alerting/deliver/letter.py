"""How does a rendered e-mail become bytes and an envelope? Nothing in it can add a header or a recipient."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, parseaddr
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
    Subject: =?utf-8?q?=C3=A9?=
    Date: Thu, 01 Jan 1970 00:00:00 -0000
    Message-ID: <1@leeway>
    """
    recipients = tuple(address_of(str(each)) for each in payload.get("to") or to)
    if not 1 <= len(recipients) <= MOST_RECIPIENTS:
        raise Unsendable(f"{len(recipients)} recipients: expected 1 to {MOST_RECIPIENTS}")
    message = EmailMessage(policy=_POLICY)
    message["From"] = _line(sender)
    message["To"] = ", ".join(recipients)
    message["Subject"] = _line(str(payload.get("subject", "")))
    message["Date"] = formatdate(at_s)
    for name, value in dict(payload.get("headers") or {}).items():
        if not _HEADERS.fullmatch(name) or name in message:
            raise Unsendable("a header that is not rendering's to set")
        message[name] = _line(str(value))
    message.set_content(str(payload.get("text", "")))
    if payload.get("html"):
        message.add_alternative(str(payload["html"]), subtype="html")
    content = message.as_bytes()
    if len(content) > MOST_BYTES:
        raise Unsendable("larger than 256 KiB")
    return Letter(address_of(sender), recipients, content)


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


def _line(text: str) -> str:
    if _BREAK.search(text):
        raise Unsendable("a line break in a header")
    return text
