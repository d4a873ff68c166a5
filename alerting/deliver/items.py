"""What waits to be sent, what is on record about it, and what is to be done: the nouns of the outbox."""

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from alerting.deliver.pace import RATES, SECOND_MS, Rate
from alerting.deliver.sink import Parcel
from alerting.types import Notification, Severity

State = Literal["waiting", "sent", "expired", "late", "superseded", "merged", "refused"]


class Key(NamedTuple):
    """Whose news about what: everything with the same key happens one after the other."""

    receiver: str
    episode_id: str

    def __str__(self) -> str:
        return f"{self.receiver}|{self.episode_id}"


@dataclass(frozen=True, slots=True)
class Delivery:
    """What is on record about an episode at a receiver: the last thing that was decided.

    Parameters
    ----------
    sequence, state : of the notification that this is about. ``waiting``: tried, and to be tried again. All others are
        final: sent, expired, late (about events too old for a message), superseded (nothing left to say), merged (told
        as part of a shared cause), refused (never to be accepted; it is among the dead letters)
    attempts, first_attempt_ms, next_attempt_ms, last_error : of that notification
    slack_ts : what the receiver called the first message of the episode
    told : highest sequence that arrived; 0: none
    reached : whether something arrived, or may have: then the end of the problem is told, too
    fallback : who was to hear it instead
    at_ms : when this was decided, by the clock
    """

    receiver: str
    episode_id: str
    channel: str
    model_id: str
    sequence: int
    state: State
    change: str
    severity: Severity
    at_ms: int
    attempts: int = 0
    last_error: str | None = None
    first_attempt_ms: int | None = None
    next_attempt_ms: int | None = None
    slack_ts: str | None = None
    told: int = 0
    reached: bool = False
    fallback: str | None = None

    @property
    def key(self) -> Key:
        return Key(self.receiver, self.episode_id)

    @property
    def final(self) -> bool:
        return self.state != "waiting"

    def covers(self, sequence: int) -> bool:
        """Whether nothing is to be done about a notification any more."""
        return sequence < self.sequence or (sequence == self.sequence and self.final)


@dataclass(frozen=True, slots=True)
class Terms:
    """On which terms a receiver is sent to."""

    name: str
    channel: str
    rate: Rate
    max_event_age_ms: int = 48 * 3600 * SECOND_MS
    fallback: str | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """A notification that is to be sent.

    Parameters
    ----------
    logged_ms : Kafka's timestamp of it: its time to live counts from then
    at_ms : event time of what it tells
    not_before_ms : it is held back until then, to see what else happens
    gathered : whether it may be told as part of a shared cause instead
    opening : tells of a problem that the receiver has not heard of, be it by itself or for one that it replaces
    instead : it stands in for a receiver that cannot be reached
    """

    notification: Notification
    logged_ms: int
    at_ms: int
    not_before_ms: int = 0
    gathered: bool = False
    opening: bool = False
    instead: bool = False

    @property
    def key(self) -> Key:
        return Key(self.notification.receiver, self.notification.episode_id)

    @property
    def sequence(self) -> int:
        return self.notification.sequence

    @property
    def expires_ms(self) -> int:
        return self.logged_ms + self.notification.expires_after_seconds * SECOND_MS

    @property
    def opens(self) -> bool:
        """Whether it makes sense to somebody who knows nothing of the problem."""
        return self.opening or self.notification.change not in ("acknowledged", "eased", "resolved")


# --- what to do -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Send:
    """Send it, then tell `Outbox.answered`."""

    key: Key
    parcel: Parcel


@dataclass(frozen=True, slots=True)
class Settle:
    """Put this on record, then tell `Outbox.recorded`. `dead`: refused for ever, so keep it with the dead letters."""

    record: Delivery
    dead: Notification | None = None


@dataclass(frozen=True, slots=True)
class Redirect:
    """Put this on record, then render the notification for `to` as well and `add` what `item` makes of that."""

    record: Delivery
    notification: Notification
    to: str
    instead_of: Item

    def item(self, rendered: Notification) -> Item:
        """What stands in: it has as long again as the news had, whether that has run out or will."""
        of = self.instead_of
        return replace(of, notification=rendered, logged_ms=of.expires_ms, instead=True)


Act = Send | Settle | Redirect


def terms(
    name: str,
    channel: str,
    *,
    rate: tuple[int, int] | None = None,
    max_event_age_ms: int = 48 * 3600 * SECOND_MS,
    fallback: str | None = None,
) -> Terms:
    """A receiver as its owner set it up. `rate`: so many messages in so many milliseconds, else the channel's own.

    >>> terms("ops", "email", rate=(2, 60_000)).rate
    Rate(count=2, per_ms=60000, burst=2)
    """
    own = RATES[channel]
    if rate is not None:
        own = Rate(rate[0], rate[1], min(rate[0], own.burst))
    return Terms(name, channel, own, max_event_age_ms, fallback)
