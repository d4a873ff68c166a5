"""How is a command given? Written once, whoever asks twice.

A command is applied once by its id, so giving it again is harmless; giving another one under the same id would be lost
in silence, and is refused here.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import msgspec

from streams.broker import Outgoing
from streams.commands import (
    Command,
    InvalidCommand,
    command_record,
    decode,
)
from streams.errors import BrokerError, LeewayError
from streams.kafka.commands import Writer
from streams.topics import Names
from streams.views.ledger import Document, Given, Ledger
from streams.views.problems import Mistake, Problem


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
