"""What is the name of a thing? Ids derived from content, the same on any machine and in every replay."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256

from alerting.types import Kind, Subject

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def derived(prefix: str, *parts: str | int) -> str:
    """Id of 43 characters from the parts that make a thing what it is.

    Parameters
    ----------
    prefix : str
        Two letters: what kind of thing.
    parts : str or int
        Text without control characters; times as epoch milliseconds.

    Examples
    --------
    >>> derived("rt", "loan-default", "2.3.1", "recall-floor", "performance", 1772409600000)
    'rt-4c64a8ea292d618f167bbde418b75f8a2a8bc9c2'
    """
    joined = "\x1f".join(str(part) for part in parts)
    return f"{prefix}-{sha256(joined.encode()).hexdigest()[:40]}"


@lru_cache(1024)  # a window's times are written several times
def rfc3339(time_ms: int) -> str:
    """Epoch milliseconds as text: UTC, always with milliseconds.

    >>> rfc3339(1772434800000)
    '2026-03-02T07:00:00.000Z'
    """
    time = _EPOCH + timedelta(milliseconds=time_ms)
    return time.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def result_id(subject: Subject, scope: str, start_ms: int, end_ms: int) -> str:
    return derived("rs", *_parts(subject), scope, start_ms, end_ms)


def episode_id(subject: Subject, kind: Kind, opened_ms: int) -> str:
    return derived("ep", *_parts(subject), kind, opened_ms)


def alert_id(episode: str, sequence: int) -> str:
    return derived("al", episode, sequence)


def notification_id(alert: str, receiver: str) -> str:
    return derived("nt", alert, receiver)


def trigger_id(model: str, version: str, policy: str, reason: str, anchor: int | str) -> str:
    """`anchor` is what makes it this request: opened_at of the episode, or a command id."""
    return derived("rt", model, version, policy, reason, anchor)


def trigger_event_id(trigger: str, sequence: int) -> str:
    return derived("re", trigger, sequence)


def digest_id(receiver: str, day_ms: int) -> str:
    return derived("dg", receiver, day_ms)


def shared_id(series: str, window_end_ms: int) -> str:
    return derived("sh", series, window_end_ms)


def _parts(subject: Subject) -> tuple[str, str, str]:
    return subject.model_id, subject.version, subject.segment
