"""How is a draft written down? As YAML that says what was meant and nothing else, with comments in their own column."""

import re
from collections.abc import Iterable

__all__ = ["Page", "comment", "listed", "number", "scalar"]

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_WORDS = frozenset(("true", "false", "yes", "no", "on", "off", "null", "y", "n"))
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}
_COLUMN = 44  # where comments begin, if they can


def scalar(text: str) -> str:
    r"""Text as YAML reads it back.

    >>> scalar("debt_to_income"), scalar("no"), scalar("1.0"), scalar('a: "b"\n')
    ('debt_to_income', '"no"', '"1.0"', '"a: \\"b\\"\\n"')
    """
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable() and char != "\ufeff":
        return char
    code = ord(char)
    return (
        f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
    )


def number(value: float) -> str:
    """A number as YAML reads it back.

    >>> number(5000000.0), number(0.05), number(-1e300)
    ('5000000', '0.05', '-1.0e+300')
    """
    if value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    text = repr(value)
    return text if "e" not in text else f"{value:.1e}"


def listed(items: Iterable[str]) -> str:
    """A list on one line.

    >>> listed(["up", "no"])
    '[up, "no"]'
    """
    return f"[{', '.join(map(scalar, items))}]"


def comment(text: str) -> str:
    """Text for a comment: on one line, whatever is in it."""
    return "".join(char if char.isprintable() and char != "\ufeff" else "?" for char in text)


class Page:
    """Lines of YAML, two blanks per level."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def say(self, depth: int, text: str, why: str = "") -> None:
        """A line, and perhaps a comment behind it."""
        line = "  " * depth + text
        self._lines.append(f"{line.ljust(_COLUMN)}  # {comment(why)}" if why else line)

    def remark(self, depth: int, text: str) -> None:
        """A line that is a comment."""
        self._lines.append("  " * depth + f"# {comment(text)}")

    def __str__(self) -> str:
        return "\n".join(self._lines) + "\n"
