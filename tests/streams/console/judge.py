"""A judge for tests of buttons: it hears every command that is given, and says what came of it when it is told to."""

import json
from dataclasses import dataclass, field

import msgspec

from streams.broker import Partition, Record
from streams.commands import OUTCOME, Command, word
from streams.views.problems import Problem
from streams.views.read import ReadModel
from tests.streams.published import NOW_MS, record


def fold(read: ReadModel, one: Record) -> None:
    """Fold a record in behind what was folded."""
    read.fold(one._replace(offset=read.position(Partition(one.topic, one.partition))))


def outcome(command: Command, refused: str | None = None) -> Record:
    """What a judge says to a command."""
    said = {
        "command_id": command.command_id,
        "command": word(command),
        "model_id": command.model_id,
        "outcome": "applied" if refused is None else "refused",
        "reason": refused,
        "by": command.by,
        "applied_at": "2026-03-02T10:00:00.000Z",
    }
    headers = {"content-type": b"application/json", "ce_type": OUTCOME.encode()}
    return record("results", command.model_id, said, headers=headers)


def given(command: Command, at_ms: int = NOW_MS) -> Record:
    """A command as it stands on the log."""
    said = json.loads(msgspec.json.encode(command))
    return record("commands", command.model_id, said, timestamp_ms=at_ms)


@dataclass
class Judge:
    """Where commands go in tests of buttons.

    Parameters
    ----------
    refuses : the word that every command is refused with; None: it is applied
    waits : outcomes are said by `answer`, not at once
    problems : raised instead of taking a command, one after the other
    """

    read: ReadModel
    refuses: str | None = None
    waits: bool = False
    problems: list[Problem] = field(default_factory=list)
    heard: list[Command] = field(default_factory=list)

    async def write(self, command: Command) -> None:
        """What `Site` writes commands with."""
        if self.problems:
            raise self.problems.pop(0)
        self.heard.append(command)
        fold(self.read, given(command))
        if not self.waits:
            fold(self.read, outcome(command, self.refuses))
