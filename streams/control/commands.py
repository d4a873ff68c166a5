"""What was asked for, and what became of it? The commands on the log with their outcomes, and the way to give one.

`Ledger` is folded from `leeway.commands` and from the outcomes on `leeway.results`, which may come in any order.
`Post` writes. A command is applied once by its id, so giving it again is harmless; giving another one under the same
id would be lost in silence, and is refused here.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from alerting.identity import rfc3339
from streams.broker import Outgoing, Record
from streams.commands import (
    OUTCOME,
    Command,
    CommandOutcome,
    InvalidCommand,
    Silence,
    Unsilence,
    command_record,
    decode,
    moment_ms,
    named,
    word,
)
from streams.control.problems import Mistake, Problem
from streams.errors import BrokerError, LeewayError
from streams.kafka.commands import Writer
from streams.topics import Names

Document = dict[str, Any]
MOST = 20_000  # commands that are remembered; the oldest are forgotten first
SILENCE_STATUSES = ("pending", "active", "ended", "refused")
Key = tuple[str, str]  # command id and model
K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Given:
    """A command as it stands on the log; `command` None: it cannot be read."""

    command_id: str
    model_id: str
    word: str
    by: str
    given_ms: int  # by the log's clock
    command: Command | None
    logged: bool = True  # False: we wrote it, and have not read it back yet


@dataclass(slots=True)
class Ledger:
    """Commands and their outcomes, as far as they are still on their topics; the first of an id counts."""

    given: dict[Key, Given] = field(default_factory=dict)
    outcomes: dict[Key, CommandOutcome] = field(default_factory=dict)

    def give(self, record: Record) -> None:
        """Fold in a record of `leeway.commands`. Raises `ValueError` where it names no command."""
        command: Command | None = None
        said = named(record.value)
        try:
            command = decode(record.value)
        except InvalidCommand:
            if not {"command_id", "model_id"} <= said.keys():
                raise ValueError("no command") from None
        key = said["command_id"], said["model_id"]
        what, by = said.get("command", "unknown"), said.get("by", "unknown")
        known = self.given.get(key)
        if known is None or not known.logged:
            _keep(self.given, key, Given(*key, what, by, record.timestamp_ms or 0, command))

    def expect(self, command: Command, now_ms: int) -> Given:
        """Know a command before it is read: it is being written."""
        key = command.command_id, command.model_id
        given = Given(*key, word(command), command.by, now_ms, command, logged=False)
        _keep(self.given, key, given)
        return given

    def forget(self, given: Given) -> None:
        """It was perhaps not written; if it was, it is read later."""
        key = given.command_id, given.model_id
        if self.given.get(key) is given:
            del self.given[key]

    def hear(self, record: Record) -> bool:
        """Fold in an outcome from `leeway.results`, the first of a command; False: it is something else.

        Raises `msgspec.MsgspecError` where an outcome cannot be read.
        """
        if ("ce_type", OUTCOME.encode()) not in record.headers:
            return False
        outcome = msgspec.json.decode(record.value or b"", type=CommandOutcome)
        key = outcome.command_id, outcome.model_id
        if key not in self.outcomes:
            _keep(self.outcomes, key, outcome)
        return True

    def find(self, command_id: str) -> Given | None:
        """The command of this id that was given last."""
        found = [one for (known, _), one in self.given.items() if known == command_id]
        return max(found, key=lambda one: one.given_ms, default=None)

    def outcome(self, given: Given) -> CommandOutcome | None:
        """What became of it; None: nothing yet."""
        return self.outcomes.get((given.command_id, given.model_id))

    def document(self, given: Given) -> Document:
        """A command with its outcome, for the API."""
        outcome = self.outcome(given)
        return {
            "command_id": given.command_id,
            "command": given.word,
            "model_id": given.model_id,
            "by": given.by,
            "given_at": rfc3339(given.given_ms),
            "status": outcome.outcome if outcome else "pending",
            "reason": outcome.reason if outcome else None,
            "applied_at": outcome.applied_at if outcome else None,
            "said": msgspec.to_builtins(given.command),
        }

    def silences(self, now_ms: int) -> list[Document]:
        """All silences, those that are over too; which hold is told by `status`."""
        ended: dict[tuple[str, str], str] = {}
        for one in self.given.values():
            outcome = self.outcome(one)
            if isinstance(one.command, Unsilence) and outcome and outcome.outcome == "applied":
                ended.setdefault((one.model_id, one.command.silence_id), outcome.applied_at)
        return [
            self._silence(one, one.command, ended, now_ms)
            for one in self.given.values()
            if isinstance(one.command, Silence)
        ]

    def _silence(
        self, given: Given, silence: Silence, ended: Mapping[tuple[str, str], str], now_ms: int
    ) -> Document:
        outcome = self.outcome(given)
        over = ended.get((given.model_id, silence.silence_id))
        if outcome is not None and outcome.outcome == "refused":
            status = "refused"
        elif over is not None or moment_ms(silence.until) <= now_ms:
            status = "ended"
        elif outcome is None or (silence.from_ and moment_ms(silence.from_) > now_ms):
            status = "pending"
        else:
            status = "active"
        return {
            "silence_id": silence.silence_id,
            "model_id": given.model_id,
            "status": status,
            "match": msgspec.to_builtins(silence.match),
            "from": silence.from_ or (outcome.applied_at if outcome else None),
            "until": silence.until,
            "ended_at": over,
            "reason": silence.reason,
            "by": given.by,
            "command_id": given.command_id,
        }


def _keep(kept: dict[K, V], key: K, value: V) -> None:
    kept[key] = value
    if len(kept) > MOST:
        del kept[next(iter(kept))]


@dataclass(slots=True)
class Post:
    """Writes commands to Kafka with an idempotent producer, one after another.

    Parameters
    ----------
    kafka : librdkafka's properties
    names : of the topics
    """

    kafka: Mapping[str, str]
    names: Names
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _writer: Writer | None = None

    async def write(self, command: Command) -> None:
        """Returns when the brokers have it. Raises `Problem` where they do not take it."""
        record = command_record(self.names, command)
        async with self._lock:
            try:
                await asyncio.to_thread(self._write, record)
            except LeewayError as error:
                self._writer = None  # what failed once may go on failing: the next one begins anew
                retry = isinstance(error, BrokerError) and error.retry
                detail = "Kafka does not take the command" + (": try again" if retry else "")
                raise Problem("not_ready", detail) from error

    def _write(self, record: Outgoing) -> None:
        if self._writer is None:
            self._writer = Writer(self.kafka)
        self._writer.write(record)
        self._writer.flush()


class Counter:
    """Where commands are handed in: looks whether an id was used before, and posts what is new.

    Parameters
    ----------
    ledger : what is known from the log
    write : posts a command
    now_ms : the clock
    """

    def __init__(
        self, ledger: Ledger, write: Callable[[Command], Awaitable[None]], now_ms: Callable[[], int]
    ) -> None:
        self._ledger, self._write, self._now_ms = ledger, write, now_ms
        self._writing: dict[str, asyncio.Task[None]] = {}

    async def take(self, command: Command) -> Document:
        """Post a command that is new, and tell what is known of it: it is kept now, whoever wrote it.

        Whoever stops waiting does not stop the writing.

        Raises
        ------
        Problem
            `conflict`: another command was given under this id; `not_ready`: Kafka does not take it.
        """
        known = self._ledger.find(command.command_id)
        if known is None:
            # before it is written: the same id may come in again meanwhile
            known = self._ledger.expect(command, self._now_ms())
            writing = asyncio.ensure_future(self._post(known, command))
            self._writing[known.command_id] = writing
            # it is told to those who still wait; where nobody does, it is no news
            writing.add_done_callback(lambda task: task.cancelled() or task.exception())
        elif known.command != command:
            raise Problem("conflict", f"{command.command_id}: was given before, to {known.word}")
        if known.command_id in self._writing:
            await asyncio.shield(self._writing[known.command_id])
        return self._ledger.document(known)

    async def _post(self, known: Given, command: Command) -> None:
        try:
            await self._write(command)
        except Problem:
            self._ledger.forget(known)
            raise
        finally:
            del self._writing[known.command_id]


def read(body: bytes, command_id: str | None, by: str | None) -> Command:
    """The command in the body of a request.

    Parameters
    ----------
    command_id
        Of the header `Idempotency-Key`; None: the body says it.
    by
        The name of the token that was shown; None: the body says it.

    Raises
    ------
    Problem
        `bad_request`: it is no JSON object; `invalid_command`: it is no command.

    Examples
    --------
    >>> read(b'{"command": "retrain", "model_id": "m"}', "c1", "ann").by
    'ann'
    """
    try:
        said = msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        said = None
    if not isinstance(said, dict):
        raise Problem("bad_request", "the body is not a JSON object")
    for name, known in (("command_id", command_id), ("by", by)):
        if known is not None and said.setdefault(name, known) != known:
            raise _invalid(name, known, said[name])
    try:
        return decode(msgspec.json.encode(said))
    except InvalidCommand as wrong:
        what, _, path = str(wrong).rpartition(" - at `$.")
        raise _invalid(path.rstrip("`") if what else "", what or str(wrong), None) from None


def _invalid(path: str, expected: str, got: object) -> Problem:
    told = None if got is None else str(got)[:200]
    detail = f"{path}: expected {expected}" if told else f"{path}: {expected}".lstrip(": ")
    return Problem("invalid_command", detail, (Mistake(path, expected, told),))
