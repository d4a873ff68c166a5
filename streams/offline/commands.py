"""What was said on `leeway.commands`, as a file for a replay: one command per line, each with the time it waits for."""

from pathlib import Path

from streams.commands import Command, InvalidCommand, decode
from streams.errors import UsageError


def read_commands(path: Path) -> list[Command]:
    """The commands of a file of JSON lines.

    Without `at` a command takes effect with the first window: the outcomes on `leeway.results` say when each of them
    did, as `applied_at`.

    Raises
    ------
    UsageError
        The file cannot be read, or a line is no command.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found.append(decode(line))
        except InvalidCommand as error:
            raise UsageError(
                f"{path}, line {number}: {error}: expected a command like "
                '{"command": "deployed", "command_id": "ci-1", "model_id": "m", "by": "ci", '
                '"at": "2026-03-02T07:00:00Z", "model_version": "2.0.0"}'
            ) from None
    return found
