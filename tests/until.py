"""How do tests wait? For a fact, with a deadline: this is the only helper that does."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

T = TypeVar("T")

PAUSE_S = 0.02


def until(
    condition: Callable[[], T],
    within: timedelta = timedelta(seconds=60),
    describe: Callable[[], object] | str = "",
) -> T:
    """Call `condition` until it answers something true, and return that answer.

    Parameters
    ----------
    condition
        Asked again and again. An `AssertionError` it raises means "not yet", so that it may be written with asserts.
    within
        When to give up.
    describe
        What was waited for, or a function that says what the world looked like; used when time is up.

    Raises
    ------
    AssertionError
        Time is up; the message shows the last answer.

    Examples
    --------
    >>> answers = iter([0, 0, 7])
    >>> until(lambda: next(answers))
    7
    >>> until(lambda: 0, timedelta(0), "seven windows")
    Traceback (most recent call last):
        ...
    AssertionError: not within 0.0 s: seven windows (last seen: 0)
    """
    deadline = time.monotonic() + within.total_seconds()
    while True:
        last: object
        try:
            if answer := condition():
                return answer
            last = answer
        except AssertionError as error:
            last = error
        if time.monotonic() >= deadline:
            said = describe if isinstance(describe, str) else describe()
            waited = f"not within {within.total_seconds()} s"
            raise AssertionError(f"{waited}: {said or 'a true answer'} (last seen: {last!r})")
        time.sleep(PAUSE_S)
