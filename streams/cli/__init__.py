"""The command line: what a person types, what it prints, and the exit code it ends with."""

import os
import select
import sys
from collections.abc import Sequence
from types import TracebackType

from streams.errors import LeewayError, LifecycleError

__all__ = ["main"]

INTERRUPTED = 130
_USER_MISTAKES = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code (streams/errors.py says which; 130 when interrupted).

    Parameters
    ----------
    arguments
        What comes after `leeway` (default: this process's own).

    Examples
    --------
    >>> main(["--version"])
    leeway 0.1.0
    0
    """
    from streams.cli.app import run

    if arguments is None:
        arguments = sys.argv[1:]
        sys.excepthook = _defect
    try:
        code = run(arguments)
        sys.stdout.flush()
    except LifecycleError as wrong:
        _say(str(wrong))  # each line begins with its file already
        return wrong.exit_code
    except LeewayError as ended:
        _say(f"leeway: {ended}")
        return ended.exit_code
    except (*_USER_MISTAKES, PermissionError) as refused:
        if refused.filename is None:
            raise
        _say(f"leeway: {refused.filename}: {refused.strerror}")
        return 2
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        if not _reader_is_gone():
            raise
        return 0
    return code


def _say(message: str) -> None:
    print(message, file=sys.stderr)


def _reader_is_gone() -> bool:
    """Whether nobody reads our output any more (`leeway replay … | head`); then the rest goes nowhere, quietly."""
    output = sys.stdout.fileno()
    question = select.poll()
    question.register(output, 0)
    gone = any(answer & (select.POLLERR | select.POLLHUP) for _, answer in question.poll(0))
    if gone:
        # The interpreter flushes once more at exit, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), output)
    return gone


def _defect(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Whatever else ends a command is our fault: the traceback, then what it means. Python exits with 1."""
    sys.__excepthook__(kind, error, trace)
    _say(
        f"leeway: a defect in Leeway, not in what you typed: {kind.__name__}. Please report the lines above."
    )
