"""What may be said on `leeway.commands`, and what is answered (contracts §5.5).

A command is applied once, by its id. What becomes of it is told on `leeway.results`.
"""

from typing import Annotated, Any, Literal

import msgspec

from streams.broker import Outgoing
from streams.topics import Names

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Note = Annotated[str, msgspec.Meta(max_length=1_000)]
Time = Annotated[str, msgspec.Meta(max_length=40)]  # RFC 3339
MOST_BYTES = 64 * 1024


class InvalidCommand(ValueError):
    """Not a command; the text says why."""


class _Command(msgspec.Struct, frozen=True, kw_only=True, tag_field="command", omit_defaults=True):
    command_id: Id
    model_id: Text
    by: Text
    at: Time | None = None  # not before a window that ends here
    note: Note | None = None


class Acknowledge(_Command, frozen=True, tag="acknowledge"):
    """Somebody looks after an episode: it is not repeated until it gets worse."""

    episode_id: Text


class Snooze(_Command, frozen=True, tag="snooze"):
    """An episode is not delivered until then."""

    episode_id: Text
    until: Time


class Resolve(_Command, frozen=True, tag="resolve"):
    """An episode is over, whatever the numbers say."""

    episode_id: Text


class Match(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a silence is about; what is not said matches anything."""

    version: Text | None = None
    segment: Text | None = None
    kind: Text | None = None
    severity: Text | None = None
    series: Text | None = None


class Silence(_Command, frozen=True, tag="silence"):
    """Matching episodes are published, not delivered, from `from_` (None: now) until then."""

    silence_id: Id
    until: Time
    reason: Note
    match: Match = Match()
    from_: Time | None = msgspec.field(default=None, name="from")


class Unsilence(_Command, frozen=True, tag="unsilence"):
    """A silence ends now."""

    silence_id: Id


class Retrain(_Command, frozen=True, tag="retrain"):
    """Somebody asks for a retraining."""

    reason: Note | None = None
    priority: Literal["low", "normal", "high"] = "normal"


class Approve(_Command, frozen=True, tag="approve"):
    trigger_id: Text


class Reject(_Command, frozen=True, tag="reject"):
    trigger_id: Text


class Cancel(_Command, frozen=True, tag="cancel"):
    trigger_id: Text


class TickCheck(_Command, frozen=True, tag="tick_check"):
    """A check that only a person can make was made."""

    trigger_id: Text
    check: Note


class Report(_Command, frozen=True, tag="report"):
    """What a pipeline says about its run. Times among the metrics are in milliseconds."""

    trigger_id: Text
    status: Literal["started", "completed", "failed"]
    run_url: Note | None = None
    model_version: Text | None = None
    metrics: dict[str, float] = {}
    slices: dict[str, dict[str, float]] = {}  # segment value -> metric -> number
    error: Note | None = None


class Deployed(_Command, frozen=True, tag="deployed"):
    """Another version answers now."""

    model_version: Text
    trigger_id: Text | None = None
    reference_id: Text | None = None
    rollback: bool = False


class Rebaseline(_Command, frozen=True, tag="rebaseline"):
    """The present is normal: by another reference, or by what was seen from `start` to `end`."""

    reference_id: Text | None = None
    start: Time | None = None
    end: Time | None = None


Command = (
    Acknowledge
    | Snooze
    | Resolve
    | Silence
    | Unsilence
    | Retrain
    | Approve
    | Reject
    | Cancel
    | TickCheck
    | Report
    | Deployed
    | Rebaseline
)
_decode = msgspec.json.Decoder(Command).decode


class CommandOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a command. `reason`: one word where it was refused."""

    command_id: str
    command: str
    model_id: str
    outcome: Literal["applied", "refused"]
    reason: str | None
    by: str
    applied_at: str  # RFC 3339: the end of the window before which it took effect


def decode(value: bytes | None) -> Command:
    """A record's command.

    Raises
    ------
    InvalidCommand
        It is none.

    >>> decode(b'{"command": "unsilence", "command_id": "c1", "model_id": "m", "by": "ann", "silence_id": "s"}').by
    'ann'
    """
    if not value or len(value) > MOST_BYTES:
        raise InvalidCommand("empty or larger than 64 KiB")
    try:
        found: Command = _decode(value)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidCommand(str(error)) from None
    return found


def named(value: bytes | None) -> dict[str, Any]:
    """What can be told of a record that is no command: its id, word, model and author, as far as they are texts."""
    try:
        found = msgspec.json.decode(value or b"")
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return {}
    if not isinstance(found, dict):
        return {}
    names = ("command_id", "command", "model_id", "by")
    return {name: found[name] for name in names if isinstance(found.get(name), str)}


def command_record(names: Names, command: Command) -> Outgoing:
    """The record that gives a command."""
    return Outgoing(names("commands"), command.model_id.encode(), msgspec.json.encode(command))
