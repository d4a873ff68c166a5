"""Who hears of alerts, as judges know it: the public half of the service file, on `leeway.models` under `routing`.

Judges decide from the log, not from a file of the machine they happen to run on.
"""

from dataclasses import dataclass
from hashlib import sha256

import msgspec

from alerting.settings import Receiver, RoutingRule
from streams.broker import Outgoing
from streams.topics import Names

KEY = "routing"


@dataclass(frozen=True, slots=True)
class Routing:
    """Receivers without their secrets, the routes to them, and what their messages link to."""

    receivers: tuple[Receiver, ...] = ()
    routing: tuple[RoutingRule, ...] = ()
    console: str | None = None  # address of the console's pages
    runbook: str | None = None  # where neither the lifecycle nor its rule names one

    @property
    def revision(self) -> str:
        """Of what it says, like that of a lifecycle.

        >>> Routing().revision == Routing().revision != Routing(console="https://leeway.example").revision
        True
        """
        return sha256(msgspec.json.encode(self)).hexdigest()[:12]


class Document(msgspec.Struct, frozen=True):
    """What stands on the topic: receivers without their secrets, the routes to them, and a digest of it all."""

    revision: str
    routing: tuple[RoutingRule, ...]
    receivers: tuple[Receiver, ...]
    console: str | None = None
    runbook: str | None = None


def encode(routing: Routing) -> bytes:
    """The value of the record.

    >>> decode(encode(Routing((Receiver("ops", "slack", "#ops"),)))).receivers[0].target
    '#ops'
    """
    return msgspec.json.encode(
        Document(
            routing.revision, routing.routing, routing.receivers, routing.console, routing.runbook
        )
    )


def decode(value: bytes) -> Routing:
    """What a record says; raises `msgspec.MsgspecError` where this release cannot read it."""
    found = msgspec.json.decode(value, type=Document)
    return Routing(found.receivers, found.routing, found.console, found.runbook)


def routing_record(names: Names, routing: Routing) -> Outgoing:
    """The record that tells judges who hears of alerts; writing it twice changes nothing."""
    return Outgoing(names("models"), KEY.encode(), encode(routing), partition=0)
