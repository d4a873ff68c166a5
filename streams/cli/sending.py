"""How does what a person says reach the judges, and what came of it? Shared by all commands under "Act".

A command is a record on `leeway.commands`. The judge of its model reads it, applies it before the next window it
judges, and says so on `leeway.results`; that is what is waited for here.
"""

import getpass
import inspect
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, NamedTuple, ParamSpec, TypeVar
from uuid import uuid4

import msgspec
import typer

from streams.cli import output
from streams.cli.connection import BrokersOption, ConfigOption, read_topics, service_of
from streams.commands import REFUSALS
from streams.errors import UsageError

if TYPE_CHECKING:
    from streams.broker import Outgoing, Record
    from streams.commands import Command, CommandOutcome
    from streams.service import Service

__all__ = [
    "NO_ANSWER",
    "REFUSALS",
    "REFUSED",
    "EpisodeArgument",
    "ModelArgument",
    "Sender",
    "TriggerArgument",
    "acting",
    "choice",
    "instant",
    "length",
    "now_ms",
    "until_ms",
]

P = ParamSpec("P")
T = TypeVar("T")

REFUSED, NO_ANSWER = 1, 3  # exit codes
_MOST_SHOWN = 5
_LOOK_S = 0.05

EpisodeArgument = Annotated[
    str, typer.Argument(metavar="EPISODE", help="its id, or the beginning of it: leeway status")
]
TriggerArgument = Annotated[
    str, typer.Argument(metavar="TRIGGER", help="its id, or the beginning of it: leeway status")
]
ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="a registered model's id")]
_ByOption = Annotated[
    str | None, typer.Option("--by", metavar="NAME", help="who says so; default: your user name")
]
_IdOption = Annotated[
    str | None,
    typer.Option(
        "--id", metavar="ID", help="a command is applied once by its id; default: a new one"
    ),
]
_NoteOption = Annotated[
    str | None, typer.Option("--note", metavar="TEXT", help="for whoever asks why")
]
_WaitOption = Annotated[bool, typer.Option("--wait/--no-wait", help="wait until it was applied")]
_WithinOption = Annotated[
    str, typer.Option("--within", metavar="DURATION", help="how long to wait at most")
]
_JsonOption = Annotated[bool, typer.Option("--json", help="for programs")]


class Found(NamedTuple):
    """An episode, a trigger or a silence by its whole id, and whose it is."""

    id: str
    model_id: str


@dataclass(frozen=True, slots=True)
class Sender:
    """Somebody who says something, and how long they wait to hear what came of it."""

    service: "Service"
    by: str
    command_id: str
    repeats: bool  # the id was typed: it may have been sent before
    note: str | None
    wait_s: float | None
    as_json: bool

    def about(self, model_id: str) -> dict[str, Any]:
        """What every command says."""
        return {
            "command_id": self.command_id,
            "model_id": model_id,
            "by": self.by,
            "note": self.note,
        }

    def episode(self, wanted: str) -> Found:
        """The episode whose id begins so. Raises `UsageError` where there is none, or more than one."""
        told = (_decoded(record.value, _Alert) for record in self._read("alerts"))
        known = {a.episode_id: (Found(a.episode_id, a.model.id), a.title) for a in told if a}
        return _only(wanted, "ep-", known, "episode")

    def trigger(self, wanted: str) -> Found:
        """The trigger whose id begins so. Raises `UsageError` where there is none, or more than one."""
        told = (_decoded(record.value, _Trigger) for record in self._read("retraining"))
        known = {
            t.trigger_id: (Found(t.trigger_id, t.model.id), t.reason.summary) for t in told if t
        }
        return _only(wanted, "rt-", known, "trigger")

    def silence(self, wanted: str) -> Found:
        """The silence whose id begins so. Raises `UsageError` where there is none, or more than one."""
        told = (_decoded(record.value, _Silence) for record in self._read("commands"))
        known = {
            s.silence_id: (Found(s.silence_id, s.model_id), s.reason)
            for s in told
            if s and s.command == "silence"
        }
        return _only(wanted, "sl-", known, "silence")

    def _read(self, topic: str) -> Iterable["Record"]:
        return read_topics(self.service, topic)[topic]

    def give(self, command: "Command") -> int:
        """Write it, wait for what comes of it, and tell. Returns the exit code.

        0: applied (or written, where nobody waits). 1: refused. 3: no answer in time.
        """
        from streams.commands import InvalidCommand, command_record, decode, word
        from streams.kafka.commands import NOTHING_YET, Tail
        from streams.topics import Names

        names, properties = Names(self.service.topics.prefix), self.service.properties
        record = command_record(names, command)
        try:
            decode(record.value)
        except InvalidCommand as wrong:
            raise UsageError(f"{word(command)}: {wrong}") from None
        before_ms = self._given_before(command) if self.repeats else None
        if self.wait_s is None:
            self._write(record, anew=before_ms is None)
            return self._tell_written()
        since_ms = NOTHING_YET if before_ms is None else before_ms
        # the tail first: what is answered before anybody looks must not be missed
        with Tail(properties, [names("results")], since_ms=since_ms, key=command.model_id) as tail:
            self._write(record, anew=before_ms is None)
            output.remark(
                f"{self.command_id} is written; waiting up to {self.wait_s:g} s for the next window of "
                f"{command.model_id}"
            )
            until = time.monotonic() + self.wait_s
            while time.monotonic() < until:
                for seen in tail.read(_LOOK_S):
                    if outcome := _outcome(seen, command):
                        return self._tell(command, outcome)
        output.remark(
            f"no answer within {self.wait_s:g} s: commands take effect with the next window that is judged, and no "
            f"window of {command.model_id} was judged since. It stays written; the same line with "
            f"--id {self.command_id} waits again without giving it twice"
        )
        return NO_ANSWER

    def _write(self, record: "Outgoing", *, anew: bool) -> None:
        from streams.kafka.commands import Writer

        if not anew:
            output.remark(f"{self.command_id} was given before: it is not given again")
            return
        writer = Writer(self.service.properties)
        writer.write(record)
        writer.flush()

    def _given_before(self, command: "Command") -> int | None:
        """When a command of this id was given for this model, shortly before; None: it was not."""
        from streams.commands import word

        for record in self._read("commands"):
            known = _decoded(record.value, _Given)
            if known and (known.command_id, known.model_id) == (self.command_id, command.model_id):
                if known.command != word(command):
                    raise UsageError(
                        f"--id {self.command_id}: was given before, to {known.command}: choose another"
                    )
                return max((record.timestamp_ms or 0) - _SKEW_MS, 0)
        return None

    def _tell_written(self) -> int:
        if self.as_json:
            output.print_json({"command_id": self.command_id, "outcome": "pending"})
        else:
            output.write(f"written: {self.command_id}")
        return 0

    def _tell(self, command: "Command", outcome: "CommandOutcome") -> int:
        if self.as_json:
            output.print_json(outcome)
        elif outcome.outcome == "applied":
            at = outcome.applied_at[:16].replace("T", " ")
            output.write(f"applied: {outcome.command}, {command.model_id}, as of {at} UTC")
        else:
            reason = outcome.reason or "no reason was given"
            output.write(f"refused: {outcome.command}, {command.model_id}: {reason}")
            if reason in REFUSALS:
                output.remark(REFUSALS[reason])
        return 0 if outcome.outcome == "applied" else REFUSED


def acting(function: Callable[Concatenate[Sender, P], int]) -> Callable[..., int]:
    """A command of the command line from one that is given its sender: adds the options that all of these have.

    Parameters
    ----------
    function
        Takes the sender and then what this command takes of its own, in Typer's annotations.

    Returns
    -------
    callable
        With the signature that Typer reads.
    """

    def command(
        *,
        by: _ByOption = None,
        command_id: _IdOption = None,
        note: _NoteOption = None,
        wait: _WaitOption = True,
        within: _WithinOption = "60s",
        brokers: BrokersOption = None,
        config: ConfigOption = None,
        as_json: _JsonOption = False,
        **own: Any,
    ) -> int:
        sender = Sender(
            service=service_of(brokers, config),
            by=by or _user(),
            command_id=command_id or f"cm-{uuid4().hex}",
            repeats=command_id is not None,
            note=note,
            wait_s=length("--within", within).total_seconds() if wait else None,
            as_json=as_json,
        )
        return function(sender, **own)  # type: ignore[call-arg]  # the names are the function's

    _, *taken = inspect.signature(function, eval_str=True).parameters.values()
    *shared, _ = inspect.signature(command, eval_str=True).parameters.values()
    parameters = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in (*taken, *shared)]
    command.__signature__ = inspect.Signature(parameters, return_annotation=int)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    command.__doc__ = function.__doc__
    return command


def length(option: str, written: str) -> timedelta:
    """A length of time as it was typed.

    >>> length("--for", "1h30m")
    datetime.timedelta(seconds=5400)
    """
    from streams.lifecycle.grammar import longer_than_nothing
    from streams.lifecycle.mistakes import Wrong

    try:
        return longer_than_nothing(written)
    except Wrong as wrong:
        raise UsageError(f"{option} {wrong.line()}") from None


def instant(option: str, written: str) -> int:
    """A moment as it was typed, in epoch milliseconds.

    >>> instant("--until", "2026-03-02T08:00:00+01:00")
    1772434800000
    """
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        expected = "a time with Z or an offset, such as 2026-03-02T07:00:00Z"
        raise UsageError(f"{option} {written}: expected {expected}")
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def until_ms(begin_ms: int, length_of: str | None, until: str | None) -> int:
    """The end that was typed as a length or as a moment, in epoch milliseconds.

    >>> until_ms(0, "2h", None)
    7200000
    """
    if (length_of is None) == (until is None):
        raise UsageError("say either --for DURATION or --until TIME")
    if length_of is not None:
        return begin_ms + length("--for", length_of) // timedelta(milliseconds=1)
    end_ms = instant("--until", until or "")
    if end_ms <= begin_ms:
        raise UsageError(f"--until {until}: is over already")
    return end_ms


def choice(option: str, written: str | None, known: Sequence[str]) -> str | None:
    """One of a few words, however its case and blanks are.

    >>> choice("--kind", "Data-Drift", ("data_drift", "pipeline"))
    'data_drift'
    """
    if written is None:
        return None
    meant = "_".join(written.replace("-", " ").replace("_", " ").split()).lower()
    if meant not in known:
        raise UsageError(f"{option} {written}: expected {', '.join(known[:-1])} or {known[-1]}")
    return meant


def now_ms() -> int:
    """The present, in epoch milliseconds."""
    return time.time_ns() // 1_000_000


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # no name for this number, as in many containers
        raise UsageError("--by NAME: this machine has no name for you") from None


_SKEW_MS = 10 * 60 * 1000  # between the clock of a person's machine and that of a judge's


class _Model(msgspec.Struct, frozen=True):
    id: str


class _Alert(msgspec.Struct, frozen=True):
    episode_id: str
    model: _Model
    title: str = ""


class _Reason(msgspec.Struct, frozen=True):
    summary: str = ""


class _Trigger(msgspec.Struct, frozen=True):
    trigger_id: str
    model: _Model
    reason: _Reason = _Reason()


class _Given(msgspec.Struct, frozen=True):
    command: str
    command_id: str
    model_id: str


class _Silence(_Given, frozen=True):
    silence_id: str
    reason: str = ""


def _decoded(value: bytes | None, kind: type[T]) -> T | None:
    """What others wrote may be of another kind."""
    try:
        return msgspec.json.decode(value or b"", type=kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None


def _only(wanted: str, prefix: str, known: dict[str, tuple[Found, str]], what: str) -> Found:
    begin = prefix + wanted.removeprefix(prefix)
    fitting = [both for id_, both in known.items() if id_.startswith(begin)]
    if not wanted.removeprefix(prefix) or not fitting:
        raise UsageError(f"there is no {what} {wanted!r}: leeway status lists what is open")
    if len(fitting) > 1 and begin not in known:
        shown = "; ".join(f"{found.id} ({text})" for found, text in fitting[:_MOST_SHOWN])
        more = f" and {len(fitting) - _MOST_SHOWN} more" if len(fitting) > _MOST_SHOWN else ""
        raise UsageError(f"{what} {wanted!r} may be any of {len(fitting)}: {shown}{more}")
    return known[begin][0] if begin in known else fitting[0][0]


def _outcome(record: "Record", command: "Command") -> "CommandOutcome | None":
    from streams.commands import CommandOutcome

    if ("ce_type", b"leeway.command.v1") not in record.headers:
        return None
    found = _decoded(record.value, CommandOutcome)
    mine = found and (found.command_id, found.model_id) == (command.command_id, command.model_id)
    return found if mine else None
