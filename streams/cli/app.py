"""Which commands are there, and where does each live?

A command is one line in `COMMANDS` and one module `streams/cli/<name>.py` (`-` becomes `_`), which is imported when the
command is typed and not before: `leeway --help` answers from the table alone. The module has

* ``command``, a function with Typer's annotations: its parameters are the arguments, its docstring the help text. What
  it returns is the exit code (None: 0). It prints results to stdout and everything else to stderr, and raises a
  `LeewayError` for whatever a person or a machine can be blamed for; `streams.cli.main` prints that and nothing more.
* ``EXAMPLE``, a line to type: the help text ends with it, and a test runs it.
"""

import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import metadata
from typing import TYPE_CHECKING, Any

from streams.errors import UsageError

if TYPE_CHECKING:
    from typer.core import TyperCommand

__all__ = ["COMMANDS", "Command", "built", "run", "version"]


@dataclass(frozen=True, slots=True)
class Command:
    """A command by name, what it is for, and the heading it stands under."""

    name: str
    does: str
    heading: str

    @property
    def module(self) -> str:
        """Where its `command` function is.

        >>> Command("dead-letters", "", "").module
        'streams.cli.dead_letters'
        """
        return f"streams.cli.{self.name.replace('-', '_')}"


COMMANDS = (
    Command("demo", "the whole product in about a minute on this machine", "Begin"),
    Command("init", "draft a lifecycle from events that are there", "Begin"),
    Command("check", "find every mistake in lifecycle files", "Begin"),
    Command("baseline", "build the frozen reference from data", "Begin"),
    Command("calibrate", "what your past says: false alarms, and what would be found", "Begin"),
    Command("replay", "run everything over a file, without Kafka", "Begin"),
    Command("run", "run the service: all roles, or one of them", "Run"),
    Command("apply", "register lifecycles and their references", "Run"),
    Command("broker", "a local Kafka for development", "Run"),
    Command("models", "list what is registered", "Look"),
    Command("status", "what is firing, stale or silent", "Look"),
    Command("explain", "why a verdict is what it is", "Look"),
    Command("report", "all that is known of a model, in one HTML file", "Look"),
    Command("dead-letters", "what was refused, and send it again", "Look"),
    Command("ack", "an episode is being looked after: no repeats", "Act"),
    Command("snooze", "tell nobody of an episode for a while", "Act"),
    Command("resolve", "an episode is over, whatever the numbers say", "Act"),
    Command("silence", "tell nobody of such problems for a while", "Act"),
    Command("unsilence", "end a silence", "Act"),
    Command("retrain", "ask for a retraining", "Act"),
    Command("approve", "let a retraining begin", "Act"),
    Command("reject", "refuse a retraining", "Act"),
    Command("cancel", "call a retraining off", "Act"),
    Command("tick", "a check that only a person can make was made", "Act"),
    Command("training", "what became of a retraining, for pipelines", "Act"),
    Command("deployed", "another version answers now", "Act"),
    Command("rebaseline", "the present is normal", "Act"),
)

_USAGE = "Usage: leeway COMMAND [ARGUMENTS]"
_INTRODUCTION = """\
Watches machine-learning models in production: finds drift on Kafka streams within a
stated false-alarm budget, and publishes alerts and retraining triggers."""
_END = """\
  leeway COMMAND --help    what a command takes
  leeway --version         which Leeway this is

Example: leeway demo"""


def run(arguments: Sequence[str]) -> int:
    """Run the command that `arguments` name, and return its exit code.

    Raises
    ------
    UsageError
        There is no such command, or it does not take these arguments.
    """
    match list(arguments):
        case [] | ["--help" | "-h" | "help"]:
            print(_help())
            return 0
        case ["--version" | "version"]:
            print(f"leeway {version()}")
            return 0
        case [name, *rest]:
            return _invoke(_named(name), rest)
    raise AssertionError("a list is empty or has a first item")


def built(command: Command) -> "TyperCommand":
    """Import the command's module and make a Typer command of its function."""
    import typer
    from typer.core import TyperCommand

    module = importlib.import_module(command.module)
    example: str = module.EXAMPLE
    # No markup: help is plain text everywhere, and rich's own import takes longer than most commands.
    parser = typer.Typer(add_completion=False, rich_markup_mode=None)
    parser.command(command.name, epilog=f"Example: {example}")(module.command)
    made: Any = typer.main.get_command(parser)
    assert isinstance(made, TyperCommand)
    return made


def _invoke(command: Command, arguments: list[str]) -> int:
    import typer

    from streams import logs

    logs.configure()
    called = f"leeway {command.name}"
    parser = built(command)
    # Not `parser.main`: that ends the process in ways of its own.
    try:
        with parser.make_context(called, arguments) as context:
            answer = parser.invoke(context)
    except typer.Exit as ended:
        return ended.exit_code
    except typer.Abort:
        raise KeyboardInterrupt from None
    except typer.TyperException as wrong:
        what = wrong.format_message().rstrip(".")
        raise UsageError(f"{what} ({called} --help says what it takes)") from None
    return answer if isinstance(answer, int) else 0


def _named(name: str) -> Command:
    for command in COMMANDS:
        if command.name == name:
            return command
    kind = "option" if name.startswith("-") else "command"
    close = get_close_matches(name, [command.name for command in COMMANDS], n=1)
    hint = f"did you mean {close[0]!r}?" if close else "leeway --help lists what there is"
    raise UsageError(f"there is no {kind} {name!r}: {hint}")


def _help() -> str:
    lines = [_USAGE, "", _INTRODUCTION, ""]
    widest = max(len(command.name) for command in COMMANDS)
    for heading in dict.fromkeys(command.heading for command in COMMANDS):
        lines.append(f"{heading}:")
        lines += [f"  {c.name:<{widest}}  {c.does}" for c in COMMANDS if c.heading == heading]
        lines.append("")
    return "\n".join([*lines, _END])


def version() -> str:
    """Which Leeway this is."""
    try:
        return metadata.version("leeway-drift")
    except metadata.PackageNotFoundError:
        sys.stderr.write("leeway: this Leeway is not installed; the version is the source's\n")
        return "0.1.0"
