"""How is a delivery put on record? The documents of `leeway.deliveries`: the last word about each key."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from alerting.deliver.items import Delivery, Key, State
from alerting.identity import rfc3339
from alerting.types import Severity
from streams.views.documents import event_ms


@dataclass(frozen=True, slots=True)
class Delivering:
    """How delivery is doing now, in this control.

    Parameters
    ----------
    circuits : by receiver, whether it is given a rest because it fails
    oldest_ms : by receiver, when the oldest news that waits was published
    suppressed : by reason, how much of what came needed no message
    """

    circuits: Mapping[str, bool] = field(default_factory=dict)
    oldest_ms: Mapping[str, int] = field(default_factory=dict)
    suppressed: Mapping[str, int] = field(default_factory=dict)


class DeliveryDocument(msgspec.Struct):
    """What became of the last notification about an episode at a receiver; `alerting.deliver.items.Delivery` in words.

    Its times are readings of a clock, unlike those of any other document.
    """

    receiver: str
    episode_id: str
    channel: str
    model_id: str
    sequence: int
    state: State
    change: str
    severity: Severity
    at: str
    attempts: int = 0
    last_error: str | None = None
    first_attempt_at: str | None = None
    next_attempt_at: str | None = None
    slack_ts: str | None = None
    told: int = 0
    reached: bool = False
    fallback: str | None = None


def document(delivery: Delivery) -> DeliveryDocument:
    """The document of a delivery, as it stands on the topic and in the API."""
    return DeliveryDocument(
        receiver=delivery.receiver,
        episode_id=delivery.episode_id,
        channel=delivery.channel,
        model_id=delivery.model_id,
        sequence=delivery.sequence,
        state=delivery.state,
        change=delivery.change,
        severity=delivery.severity,
        at=rfc3339(delivery.at_ms),
        attempts=delivery.attempts,
        last_error=delivery.last_error,
        first_attempt_at=_text(delivery.first_attempt_ms),
        next_attempt_at=_text(delivery.next_attempt_ms),
        slack_ts=delivery.slack_ts,
        told=delivery.told,
        reached=delivery.reached,
        fallback=delivery.fallback,
    )


def encode(delivery: Delivery) -> tuple[bytes, bytes]:
    """Key and value of its record."""
    return str(delivery.key).encode(), msgspec.json.encode(document(delivery))


def decode(value: bytes) -> Delivery:
    """A delivery from the value of its record. Raises `ValueError` (msgspec's are) if it is none."""
    read = msgspec.json.decode(value, type=DeliveryDocument)
    return Delivery(
        receiver=read.receiver,
        episode_id=read.episode_id,
        channel=read.channel,
        model_id=read.model_id,
        sequence=read.sequence,
        state=read.state,
        change=read.change,
        severity=read.severity,
        at_ms=event_ms(read.at),
        attempts=read.attempts,
        last_error=read.last_error,
        first_attempt_ms=_ms(read.first_attempt_at),
        next_attempt_ms=_ms(read.next_attempt_at),
        slack_ts=read.slack_ts,
        told=read.told,
        reached=read.reached,
        fallback=read.fallback,
    )


def key_of(key: bytes) -> Key:
    """
    >>> key_of(b"ops|ep-1")
    Key(receiver='ops', episode_id='ep-1')
    """
    receiver, _, episode_id = key.decode().rpartition("|")
    return Key(receiver, episode_id)


def _text(time_ms: int | None) -> str | None:
    return None if time_ms is None else rfc3339(time_ms)


def _ms(time: str | None) -> int | None:
    return None if time is None else event_ms(time)
