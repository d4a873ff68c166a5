"""What does an answer mean? One table of HTTP statuses for all receivers, one of SMTP replies (contracts §7).

Only what is wrong with the parcel itself is permanent. A refused key or certificate may be put right while the parcel
waits: those are tried again until it expires.
"""

from datetime import UTC
from email.utils import parsedate_to_datetime

from alerting.deliver.sink import Failed

LONGEST_WAIT_S = 24 * 3600.0
_TEMPORARY = (408, 425)
_SMTP_AUTH = (530, 534, 535)


def by_status(status: int, retry_after: str | None, now_ms: int) -> Failed:
    """An HTTP answer that is not the receiver's word for success.

    Parameters
    ----------
    retry_after : the header as it came
    now_ms : a date in it is counted from here

    Examples
    --------
    >>> by_status(429, "30", 0)
    Failed(trouble='rate_limited', retry=True, said='answered 429', after_s=30.0)
    >>> by_status(404, None, 0)
    Failed(trouble='client', retry=False, said='answered 404', after_s=None)
    """
    said = f"answered {status}"
    after_s = wait(retry_after, now_ms)
    if status in (401, 403):
        return Failed("auth", retry=True, said=said, after_s=after_s)
    if status == 429:
        return Failed("rate_limited", retry=True, said=said, after_s=after_s)
    if status >= 500 or status in _TEMPORARY:
        return Failed("server", retry=True, said=said, after_s=after_s)
    if 300 <= status < 400:
        return Failed("client", retry=False, said=f"{said}: redirects are not followed")
    if status >= 400:
        return Failed("client", retry=False, said=said)
    return Failed("server", retry=True, said=f"{said}, which does not mean that it was taken")


def wait(header: str | None, now_ms: int) -> float | None:
    """Seconds that a `Retry-After` header asks for, a day at most; None: it says nothing that can be read.

    >>> wait("12", 0), wait("Thu, 01 Jan 1970 00:01:00 GMT", 15_000), wait("soon", 0), wait("-1", 0)
    (12.0, 45.0, None, None)
    """
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:12]), LONGEST_WAIT_S)
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return min(max(0.0, date.timestamp() - now_ms / 1000), LONGEST_WAIT_S)


def by_reply(code: int, step: str) -> Failed:
    """An SMTP reply that is not success. Its text is not told: servers put addresses into it.

    >>> by_reply(451, "RCPT")
    Failed(trouble='server', retry=True, said='answered 451 to RCPT', after_s=None)
    >>> by_reply(535, "AUTH").trouble, by_reply(550, "RCPT").retry
    ('auth', False)
    """
    said = f"answered {code} to {step}"
    if code in _SMTP_AUTH:
        return Failed("auth", retry=True, said=said)
    if 500 <= code < 600:
        return Failed("client", retry=False, said=said)
    return Failed("server", retry=True, said=said)
