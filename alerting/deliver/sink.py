"""What is a sink? It sends one parcel once, and says in one of two ways what came of it."""

from dataclasses import dataclass
from typing import Literal, Protocol

from alerting.types import Notification

Trouble = Literal["network", "timeout", "rate_limited", "server", "client", "auth"]


@dataclass(frozen=True, slots=True)
class Parcel:
    """What goes to one receiver.

    Parameters
    ----------
    notification : rendered for it; a webhook's payload is the CloudEvent itself
    thread : what the receiver called the first message of the episode (Slack's `ts`); None: nobody knows of one
    """

    notification: Notification
    thread: str | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """The receiver has it.

    Parameters
    ----------
    thread : what it called the message, where that matters later; opaque to all but the sink
    said : what a person should know all the same, such as refused addresses, without address, token or payload
    """

    thread: str | None = None
    said: str | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """The receiver does not have it, or nobody knows.

    Parameters
    ----------
    trouble : what a metric calls it
    retry : whether the same parcel may pass later; if not, it never will
    said : what to tell a person, without address, token or payload
    after_s : how long the receiver asked us to wait
    """

    trouble: Trouble
    retry: bool
    said: str
    after_s: float | None = None


class Sink(Protocol):
    """One receiver. Nothing the other side does makes `send` raise, and it never tries twice."""

    @property
    def receiver(self) -> str: ...

    async def send(self, parcel: Parcel) -> Sent | Failed: ...

    async def close(self) -> None: ...
