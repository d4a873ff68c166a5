"""What does a mail server take, and a mail program show? RFC 5322 and 5321, and Leeway's own documented limits.

Sources: RFC 5322 §2.1.1 (lines of 998 octets), §3.6 (fields and how often), §3.6.4 (identification fields), RFC 2045 §6
(what a body without an encoding may hold), RFC 5321 §4.5.3.1.8 (100 recipients), RFC 3834 §5 (Auto-Submitted). Leeway's
own: 100 recipients, 256 KiB, no line breaks in headers; a page without scripts, remote content and forms.
"""

import re
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import SMTP
from email.utils import parseaddr
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

from tests.vendors import Rejected

MOST_RECIPIENTS = 100
MAIL_LIMIT = 256 * 1024
LINE_LIMIT = 998
_MESSAGE_ID = re.compile(r"<[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[A-Za-z0-9.-]+>")
_ADDRESS = re.compile(r"[^@\s,;<>\"]+@[A-Za-z0-9.-]+")
_ISOLATES = re.compile("[\u2068\u2069]")  # keep what is written from right to left to itself
_HEADER = re.compile(r"[!-9;-~]+")
_ONCE = ("From", "To", "Date", "Message-ID", "Subject", "Auto-Submitted")
_AT_MOST_ONCE = ("In-Reply-To", "References", "MIME-Version", "Reply-To", "Cc")
_TAGS = frozenset(
    {
        *("html", "head", "meta", "title", "body", "table", "tr", "td", "th", "h1", "h2", "p"),
        *("div", "span", "a", "ul", "li", "code", "pre", "strong", "bdi", "br"),
    }
)
_VOID = frozenset({"meta", "br"})
_ATTRIBUTES = frozenset(
    {
        *("style", "width", "height", "bgcolor", "align", "valign", "cellpadding", "cellspacing"),
        *("border", "role", "href", "lang", "dir", "colspan", "charset", "name", "content"),
        *("aria-hidden", "scope"),
    }
)


def payload(given: Any) -> None:
    """Hold a notification's payload for e-mail against the limits.

    Raises
    ------
    Rejected
        Its reason is the name of the member.
    """
    if not isinstance(given, dict) or given.keys() != {"to", "subject", "text", "html", "headers"}:
        raise Rejected("payload", f"members {sorted(given)}")
    recipients = given["to"]
    if not isinstance(recipients, list) or len(recipients) > MOST_RECIPIENTS:
        raise Rejected("to", "a list of at most 100")
    for address in recipients:
        if not address.isprintable() or not _ADDRESS.fullmatch(parseaddr(address)[1]):
            raise Rejected("to", repr(address))
    for name, value in {"Subject": given["subject"], **given["headers"]}.items():
        if not _HEADER.fullmatch(name):
            raise Rejected(name, "no name of a header")
        if not isinstance(value, str) or not value or not value.isprintable():
            raise Rejected(name, "empty, or with control characters")
    if len(given["subject"]) > 200:
        raise Rejected("subject", f"{len(given['subject'])} characters")
    headers = given["headers"]
    for name in ("Message-ID", "In-Reply-To", "References"):
        if name in headers and not all(map(_MESSAGE_ID.fullmatch, headers[name].split())):
            raise Rejected(name, headers[name])
    if "Message-ID" not in headers or headers.get("Auto-Submitted") != "auto-generated":
        raise Rejected("headers", "needs Message-ID and Auto-Submitted")
    if not given["text"].strip():
        raise Rejected("text", "empty")
    if not all(_ISOLATES.sub("", line).isprintable() for line in given["text"].split("\n")):
        raise Rejected("text", "control characters")
    if len(given["text"].encode()) + len(given["html"].encode()) > MAIL_LIMIT // 2:
        raise Rejected("payload", "too large for 256 KiB once encoded")
    page(given["html"])


def message(raw: bytes, recipients: int = 1) -> EmailMessage:
    """Hold what SMTP's DATA carried against the RFCs and the limits, and return it parsed.

    Raises
    ------
    Rejected
        Its reason is what a server says after 5yz.
    """
    if not 1 <= recipients <= MOST_RECIPIENTS:
        raise Rejected("552 too many recipients", str(recipients))
    if len(raw) > MAIL_LIMIT:
        raise Rejected("552 message too big", str(len(raw)))
    bare = raw.replace(b"\r\n", b"")
    if b"\r" in bare or b"\n" in bare or b"\0" in raw:
        raise Rejected("550 bare CR, LF or NUL")
    if any(len(line) > LINE_LIMIT for line in raw.split(b"\r\n")):
        raise Rejected("550 line too long")
    head, gap, _ = raw.partition(b"\r\n\r\n")
    if not gap or not head.isascii():
        raise Rejected("550 headers", "not ASCII, or no body")
    mail = BytesParser(policy=SMTP).parsebytes(raw)
    assert isinstance(mail, EmailMessage)
    if mail.defects:
        raise Rejected("550 malformed", str(mail.defects))
    for name in _ONCE:
        if len(mail.get_all(name, [])) != 1 or not str(mail[name]).strip():
            raise Rejected("550 headers", f"{name} once")
    for name in _AT_MOST_ONCE:
        if len(mail.get_all(name, [])) > 1:
            raise Rejected("550 headers", f"{name} at most once")
    for name in ("Message-ID", "In-Reply-To", "References"):
        for one in str(mail.get(name, "")).split():
            if not _MESSAGE_ID.fullmatch(one):
                raise Rejected("550 headers", f"{name}: {one}")
    parts = [part.get_content_type() for part in mail.walk()]
    if parts != ["multipart/alternative", "text/plain", "text/html"]:
        raise Rejected("550 parts", str(parts))
    for part in mail.iter_parts():
        if part.defects or not str(part.get_content()).strip():
            raise Rejected("550 parts", f"{part.get_content_type()} is empty or malformed")
    html = str(mail.get_body(("html",)).get_content())  # type: ignore[union-attr]
    page(html.replace("\r\n", "\n"))
    return mail


def page(html: str) -> None:
    """Hold the HTML against what is shown the same everywhere, safely: our own rules.

    Inline styles on plain tables; nothing is loaded, nothing runs, every tag is closed, links lead to the web.

    >>> page("<p>a &lt; b</p>")
    >>> page("<p onclick='x()'>a</p>")
    Traceback (most recent call last):
        ...
    tests.vendors.Rejected: html: attribute onclick of p
    """
    reader = _Reader(convert_charrefs=True)
    reader.feed(html)
    reader.close()
    if reader.open:
        raise Rejected("html", f"never closed: {reader.open}")


class _Reader(HTMLParser):
    def __init__(self, *, convert_charrefs: bool) -> None:
        super().__init__(convert_charrefs=convert_charrefs)
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _TAGS:
            raise Rejected("html", f"tag {tag}")
        for name, value in attrs:
            if name not in _ATTRIBUTES:
                raise Rejected("html", f"attribute {name} of {tag}")
            if name == "style" and re.search(r"url\(|expression|import|position|@", value or ""):
                raise Rejected("html", f"style {value!r}")
            if name == "href" and urlsplit(value or "").scheme not in ("http", "https"):
                raise Rejected("html", f"href {value!r}")
        if len({name for name, _ in attrs}) < len(attrs):
            raise Rejected("html", f"an attribute of {tag} twice")
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            raise Rejected("html", f"</{tag}> closes nothing")

    def handle_comment(self, data: str) -> None:
        raise Rejected("html", "a comment")

    def handle_data(self, data: str) -> None:
        if not data.replace("\n", "").replace("\xa0", "").isprintable():
            raise Rejected("html", f"control characters in {data!r:.80}")
