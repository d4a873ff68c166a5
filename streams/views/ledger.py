"""What was asked for, and what became of it? The commands on the log with their outcomes.

Folded from `leeway.commands` and from the outcomes on `leeway.results`, which may come in any order.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from alerting.identity import rfc3339
from streams.broker import Record
from streams.commands import (
    OUTCOME,
    Command,
    CommandOutcome,
    InvalidCommand,
    Silence,
    Unsilence,
    decode,
    moment_ms,
    named,
    refusal,
    word,
)

Document = dict[str, Any]
MOST = 20_000  # commands that are remembered; the oldest are forgotten first
_OUTCOME = OUTCOME.encode()
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
        if not is_outcome(record):
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
            "explained": refusal(outcome.reason) if outcome and outcome.reason else None,
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


def is_outcome(record: Record) -> bool:
    """Whether a record of `leeway.results` is about a command."""
    return ("ce_type", _OUTCOME) in record.headers


def _keep(kept: dict[K, V], key: K, value: V) -> None:
    kept[key] = value
    if len(kept) > MOST:
        del kept[next(iter(kept))]
