"""What is one mistake in a file, and how does its line read?"""

import difflib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Steps = tuple[str | int, ...]

_PLAIN_KEY = re.compile(r"[\w$*+/.<> -]+")
_LONGEST_QUOTE = 60


class WrittenInt(int):
    """A whole number that remembers how it was written."""

    text: str


class WrittenFloat(float):
    """A number that remembers how it was written (``2.10``)."""

    text: str


class Wrong(ValueError):
    """A value that cannot be what its key asks for.

    Parameters
    ----------
    subject
        The offending value as a person reads it (`shown`); "" when naming it adds nothing.
    what
        What is wrong with it.
    expected
        What would be right. Never holds the value of a feature.
    hint
        The smallest change that helps, if one is known.
    at
        Steps from the value being read to the part that is wrong.
    """

    def __init__(
        self, subject: str, what: str, expected: str, hint: str = "", at: Steps = ()
    ) -> None:
        super().__init__(f"{subject} {what}".strip())
        self.subject = subject
        self.what = what
        self.expected = expected
        self.hint = hint
        self.at = at

    def line(self, *, quote: bool = True) -> str:
        """The part after the path; `quote=False` leaves out everything the person wrote.

        >>> Wrong('"High"', "is not a severity", "Critical or Info").line()
        '"High" is not a severity: expected Critical or Info'
        """
        subject = self.subject if quote or not self.subject else "this value"
        hint = self.hint if quote else ""
        line = f"{subject} {self.what}".strip() + f": expected {self.expected}"
        return f"{line}; {hint}" if hint else line


class Several(ValueError):
    """Several mistakes inside one value."""

    def __init__(self, wrongs: Sequence[Wrong]) -> None:
        super().__init__("; ".join(map(str, wrongs)))
        self.wrongs = tuple(wrongs)


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where something is written; both count from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake: where, at which path, and the rest of its line."""

    place: Place
    path: Steps
    text: str
    because: tuple[Steps, ...] = ()  # what else was read to find it

    def line(self, name: str) -> str:
        """``FILE:LINE:COLUMN: PATH: …``."""
        path = dotted(self.path)
        where = f"{name}:{self.place.line}:{self.place.column}: "
        return where + (f"{path}: " if path else "") + self.text


def dotted(steps: Sequence[str | int]) -> str:
    """The path of a key as a person writes it.

    >>> dotted(("monitoring", "alerts", 0, "severity"))
    'monitoring.alerts[0].severity'
    """
    text = ""
    for step in steps:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN_KEY.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f"[{quoted(step)}]"
    return text


def quoted(text: str) -> str:
    """`text` in double quotes on one line, shortened where it is long."""
    if len(text) > _LONGEST_QUOTE:
        text = text[: _LONGEST_QUOTE - 1] + "…"
    return json.dumps(text, ensure_ascii=False)


def shown(value: object) -> str:
    """A value as it was written: text in quotes, numbers bare, the rest by its kind.

    >>> shown("High"), shown(5), shown(True), shown([1])
    ('"High"', '5', 'true', 'a list')
    """
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, WrittenInt | WrittenFloat):
        return value.text
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return bare(value)
    if value is None:
        return "nothing"
    return "a mapping" if isinstance(value, dict) else "a list"


def bare(number: float) -> str:
    """The shortest decimal text of a number.

    >>> bare(5.0), bare(0.25), bare(1e-05)
    ('5', '0.25', '1e-05')
    """
    if abs(number) < 1e15 and number == int(number):
        return str(int(number))
    return repr(number)


def either(words: Iterable[str]) -> str:
    """`a, b or c`."""
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else last


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint naming the known word that `word` was probably meant to be; "" when none is near.

    >>> did_you_mean("monitorng", ["metadata", "monitoring"])
    'did you mean "monitoring"?'
    """
    near = nearest(word, known)
    return f"did you mean {quoted(near)}?" if near else ""


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that `word` was probably meant to be; "" when none is near."""
    by_lower = {name.lower(): name for name in known}
    found = difflib.get_close_matches(word.lower(), list(by_lower), n=1, cutoff=0.7)
    return by_lower[found[0]] if found else ""
