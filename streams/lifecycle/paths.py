"""Where in an event is a field? The small path language of contracts 1.2."""

import re
from dataclasses import dataclass

from streams.lifecycle.mistakes import Wrong, quoted, shown

Path = tuple[str | int, ...]

_STEP = re.compile(r"\[(\d{1,6})\]|((?:[^\\.\[\]]|\\.)+)")
_MOST_STEPS = 8
UNREADABLE = re.compile(
    r'[\x00-\x1f"\\]'
)  # what JSON has to escape: events are not searched for such names
_EXPECTED = (
    "keys joined by dots such as meta.at, a list index [0], or $key, $timestamp, $headers.NAME"
)


@dataclass(frozen=True, slots=True)
class Const:
    """A fixed value in place of a path."""

    value: str | int | float | bool | None


def path(value: object) -> Path:
    r"""Steps from an event to a value: text for a key, a whole number for a list index.

    ``()`` is the whole event; ``("$key",)``, ``("$timestamp",)`` and ``("$headers", NAME)`` read the Kafka record.

    Raises
    ------
    Wrong
        Wildcards, expressions, empty steps, more than 8 steps.

    Examples
    --------
    >>> path("meta.items[0].a\\.b"), path("."), path("$headers.trace")
    (('meta', 'items', 0, 'a.b'), (), ('$headers', 'trace'))
    """
    if isinstance(value, tuple):
        return value
    if not isinstance(value, str):
        raise Wrong(shown(value), "is not a path", _EXPECTED)
    if value == ".":
        return ()
    if value.startswith("$"):
        return _of_record(value)
    if "*" in value or "?(" in value or ".." in value:
        raise Wrong(quoted(value), "has a wildcard or an expression", _EXPECTED)
    steps: list[str | int] = []
    end = 0
    while end < len(value):
        found = _STEP.match(value, end)
        if found is None:
            raise Wrong(quoted(value), "is not a path", _EXPECTED)
        index, key = found.groups()
        steps.append(int(index) if index is not None else re.sub(r"\\(.)", r"\1", key))
        end = found.end()
        if end < len(value) and value[end] == ".":
            end += 1
            if end == len(value):
                raise Wrong(quoted(value), "ends in a dot", _EXPECTED)
        elif end < len(value) and value[end] != "[":
            raise Wrong(quoted(value), "is not a path", _EXPECTED)
    if not steps:
        raise Wrong("", "is empty", _EXPECTED)
    if any(isinstance(step, str) and UNREADABLE.search(step) for step in steps):
        what = "has a quotation mark, a backslash or a control character in a key"
        raise Wrong(quoted(value), what, _EXPECTED)
    if len(steps) > _MOST_STEPS:
        raise Wrong(quoted(value), f"has {len(steps)} steps", f"at most {_MOST_STEPS} steps")
    return tuple(steps)


def _of_record(value: str) -> Path:
    if value in ("$key", "$timestamp"):
        return (value,)
    if value.startswith("$headers.") and len(value) > len("$headers."):
        return ("$headers", value.removeprefix("$headers."))
    raise Wrong(
        quoted(value), "is not a part of a Kafka record", "$key, $timestamp or $headers.NAME"
    )


def path_text(steps: Path) -> str:
    """The text that `path` reads as `steps`."""
    if not steps:
        return "."
    if steps[0] == "$headers":
        return f"$headers.{steps[1]}"
    if steps[0] in ("$key", "$timestamp"):
        return str(steps[0])
    text = ""
    for step in steps:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += ("." if text else "") + re.sub(r"([\\.\[\]])", r"\\\1", step)
    return text


def field(value: object) -> Path | Const:
    """A path, or ``{const: X}``."""
    if isinstance(value, Const):
        return value
    if isinstance(value, dict):
        if list(value) != ["const"] or isinstance(value["const"], dict | list):
            raise Wrong(shown(value), "is not a path", "a path or {const: VALUE}")
        return Const(value["const"])
    return path(value)
