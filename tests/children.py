"""How does a test end a process that it started? In order, and in any case: no test waits for one for ever."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

Process = TypeVar("Process", bound="subprocess.Popen[Any]")


@contextmanager
def ended(process: Process, within: timedelta = timedelta(seconds=60)) -> Iterator[Process]:
    """Ask it to end when the block is left (SIGTERM), and kill it where it does not.

    Raises
    ------
    subprocess.TimeoutExpired
        It had to be killed.

    Examples
    --------
    >>> with ended(subprocess.Popen(["sleep", "60"])) as asleep:
    ...     pass
    >>> asleep.returncode
    -15
    """
    try:
        yield process
    finally:
        try:
            process.terminate()
            process.wait(within.total_seconds())
        finally:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()
