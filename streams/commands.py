"""What may be said on `leeway.commands`, and what is answered (contracts §5.5).

A command is applied once, by its id. What becomes of it is told on `leeway.results`.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec

from alerting.cloudevents import attributes
from alerting.identity import derived
from streams.broker import Outgoing
from streams.topics import Names

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
_VERSION = r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$"  # as in a lifecycle: it is part of keys
ModelVersion = Annotated[str, msgspec.Meta(pattern=_VERSION)]
Note = Annotated[str, msgspec.Meta(max_length=1_000)]
Time = Annotated[
    str, msgspec.Meta(max_length=40, extra_json_schema={"format": "date-time"})
]  # RFC 3339
MOST_BYTES = 64 * 1024
MOST_PENDING = 10_000  # of a model: what exceeds it is refused
REMEMBERED = 500  # ids of a model: a command that comes again later than that is applied again
OUTCOME = "leeway.command.v1"  # the type of an outcome among what is on `leeway.results`
REFUSALS = {  # what a judge's word means to a person
    "unknown_model": "no lifecycle of this model is registered; leeway models lists those that are",
    "invalid": "it is not a command that the judges know, or its times make no sense",
    "unknown_episode": "the model has no such episode",
    "not_open": "the episode is over",
    "unknown_trigger": "the model has no such trigger",
    "not_possible": "it cannot follow the state things are in: docs/operating.md, Acting, says when",
    "not_an_approver": "the lifecycle names approvers, and you are none of them",
    "unknown_silence": "there is no such silence, or it has ended",
    "unknown_reference": "no such reference is registered; leeway apply registers it",
    "same_version": "this version answers already",
    "dry_run": "retraining.guards.dry_run lets no retraining begin",
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class InvalidCommand(ValueError):
    """Not a command; the text says why."""


class _Command(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag_field="command",
    omit_defaults=True,
    forbid_unknown_fields=True,  # what nobody reads was meant otherwise
):
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


class Match(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
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

    model_version: ModelVersion
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


def word(command: Command) -> str:
    """What a command is called.

    >>> word(Unsilence(command_id="c1", model_id="m", by="ann", silence_id="s"))
    'unsilence'
    """
    return str(type(command).__struct_config__.tag)


def refusal(reason: str) -> str:
    """What a judge's word means to a person.

    >>> refusal("not_open"), refusal("full_moon")
    ('the episode is over', 'full moon')
    """
    return REFUSALS.get(reason, reason.replace("_", " "))


class CommandOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a command. `reason`: one word where it was refused."""

    command_id: str
    command: str
    model_id: str
    outcome: Literal["applied", "refused"]
    reason: str | None
    by: str
    applied_at: str  # RFC 3339: the end of the window before which it took effect


def moment_ms(text: str) -> int:
    """Epoch milliseconds of a time that a command names.

    Raises
    ------
    InvalidCommand
        It is no RFC 3339 time with an offset.

    >>> moment_ms("2026-03-02T07:00:00Z")
    1772434800000
    """
    try:
        found = msgspec.convert(text, datetime)
        if found.tzinfo is None:
            raise InvalidCommand(f"{text}: without an offset")
        return (found - _EPOCH) // timedelta(milliseconds=1)
    except (msgspec.ValidationError, OverflowError):
        raise InvalidCommand(f"{text}: not a time of RFC 3339") from None


def decode(value: bytes | None) -> Command:
    """A record's command; its times are times.

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
    if isinstance(found, Deployed) and found.model_version.endswith("\n"):
        raise InvalidCommand("model_version: ends with a new line")  # which `$` lets pass
    for name in ("at", "until", "from_", "start", "end"):
        if (text := getattr(found, name, None)) is not None:
            moment_ms(text)
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


def outcome_record(names: Names, outcome: CommandOutcome) -> Outgoing:
    """The record that tells what became of a command."""
    about = attributes(
        derived("co", outcome.model_id, outcome.command_id),
        OUTCOME,
        source=f"/leeway/{outcome.model_id}",
        subject=outcome.command_id,
        time=outcome.applied_at,
        schema="command-outcome",
    )
    value = msgspec.json.encode(outcome)
    return Outgoing(names("results"), outcome.model_id.encode(), value, about)


@dataclass(slots=True)
class Inbox:
    """The commands of one model: those that wait for their window, and the ids of those that do not any more."""

    pending: list[Command] = field(default_factory=list)  # as they came
    done: deque[str] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def knows(self, command_id: str) -> bool:
        """Whether a command of this id was here before."""
        return command_id in self.done or any(c.command_id == command_id for c in self.pending)

    def add(self, command: Command) -> str | None:
        """Keep a command until its time; why not, in one word, where there are too many."""
        if len(self.pending) >= MOST_PENDING:
            self.done.append(command.command_id)
            return "not_possible"
        self.pending.append(command)
        return None

    def due(self, at_ms: int) -> list[Command]:
        """Take out what may take effect at this time."""
        found = [c for c in self.pending if c.at is None or moment_ms(c.at) <= at_ms]
        if found:
            self.pending = [c for c in self.pending if c not in found]
            self.done.extend(c.command_id for c in found)
        return found

    def to_data(self) -> dict[str, object]:
        """Plain data; `from_data` reads it back."""
        return {"pending": msgspec.to_builtins(self.pending), "done": list(self.done)}

    @classmethod
    def from_data(cls, data: dict[str, Iterable[Any]]) -> "Inbox":
        """The inverse of `to_data`."""
        found = cls(msgspec.convert(data["pending"], list[Command]))
        found.done.extend(data["done"])
        return found
