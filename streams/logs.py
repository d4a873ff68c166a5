"""What has happened? One line on stderr per thing that happened: to a window, an episode, a partition, a connection.

Never one per event, and never a feature value, a payload or a credential. A line is a name (`noun.past`) and values::

    logs.warning("episode.opened", model="fraud", severity="severe", reason="the alarm crossed")

    2026-03-14T09:05:02.118Z warning episode.opened role=judge model=fraud severity=severe reason="the alarm crossed"

On a terminal it reads as above; elsewhere it is one JSON object with the same keys. `LEEWAY_LOG_FORMAT` (`text` or
`json`) and `LEEWAY_LOG_LEVEL` (`debug`, `info`, `warning`, `error`) decide otherwise.
"""

import json
import logging
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TextIO

from streams.errors import UsageError

__all__ = ["configure", "debug", "error", "info", "warning"]

_LEEWAY = logging.getLogger("leeway")
_FORMATS = ("text", "json")
_LEVELS = ("debug", "info", "warning", "error")
_PLAIN = frozenset(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:/|,+%@*()[]<>"
)


def debug(happened: str, /, **values: object) -> None:
    """Log what only somebody looking for a fault wants to know."""
    _log(logging.DEBUG, happened, values)


def info(happened: str, /, **values: object) -> None:
    """Log what is worth knowing and needs nobody."""
    _log(logging.INFO, happened, values)


def warning(happened: str, /, **values: object) -> None:
    """Log what somebody may have to look at."""
    _log(logging.WARNING, happened, values)


def error(happened: str, /, *, traceback: bool = False, **values: object) -> None:
    """Log what has failed. `traceback` adds the exception being handled."""
    _log(logging.ERROR, happened, values, traceback=traceback)


def configure(
    stream: TextIO | None = None,
    *,
    environment: Mapping[str, str] = os.environ,
    **always: object,
) -> None:
    """Send all lines to `stream` (default: stderr), with the values `always` (such as ``role="judge"``) in each.

    What libraries log through the standard `logging` comes out in the same form, from level warning up.

    Raises
    ------
    UsageError
        `LEEWAY_LOG_FORMAT` or `LEEWAY_LOG_LEVEL` is not one of its values.
    """
    stream = sys.stderr if stream is None else stream
    form = _choice(environment, "LEEWAY_LOG_FORMAT", _FORMATS) or (
        "text" if stream.isatty() else "json"
    )
    level = _choice(environment, "LEEWAY_LOG_LEVEL", _LEVELS) or "info"
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Text(always) if form == "text" else _Json(always))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    _LEEWAY.setLevel(level.upper())


def _choice(environment: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str | None:
    if not (value := environment.get(name, "").lower()):
        return None
    if value not in choices:
        raise UsageError(f"{name}: {value!r} is not one of {', '.join(choices)}")
    return value


def _log(
    level: int, happened: str, values: Mapping[str, object], *, traceback: bool = False
) -> None:
    _LEEWAY.log(level, happened, extra={"leeway_values": dict(values)}, exc_info=traceback)


class _Formatter(logging.Formatter):
    """Turns a record into its parts; the two forms below write them."""

    def __init__(self, always: Mapping[str, object]) -> None:
        super().__init__()
        self._always = dict(always)

    def _parts(self, record: logging.LogRecord) -> tuple[str, str, str, dict[str, object]]:
        """Time, level, what happened, values."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        level = record.levelname.lower()
        values = dict(self._always)
        own: object = getattr(record, "leeway_values", None)
        if isinstance(own, dict):
            return moment.replace("+00:00", "Z"), level, record.msg, values | own
        values |= {"library": record.name, "message": record.getMessage()}
        return moment.replace("+00:00", "Z"), level, "library.logged", values

    def _traceback(self, record: logging.LogRecord) -> str | None:
        if not record.exc_info or record.exc_info[0] is None:
            return None
        return self.formatException(record.exc_info)


class _Text(_Formatter):
    def format(self, record: logging.LogRecord) -> str:
        moment, level, happened, values = self._parts(record)
        line = " ".join([moment, level, happened, *(f"{k}={_word(v)}" for k, v in values.items())])
        traceback = self._traceback(record)
        return line if traceback is None else f"{line}\n{traceback}"


class _Json(_Formatter):
    def format(self, record: logging.LogRecord) -> str:
        moment, level, happened, values = self._parts(record)
        line: dict[str, object] = {"time": moment, "level": level, "happened": happened} | values
        if (traceback := self._traceback(record)) is not None:
            line["traceback"] = traceback
        return json.dumps(line, ensure_ascii=False, default=str)


def _word(value: object) -> str:
    """A value as one word: quoted where it would not be one.

    >>> _word("fraud"), _word("it crossed"), _word(0.5), _word(None), _word("")
    ('fraud', '"it crossed"', '0.5', 'null', '""')
    """
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    text = str(value)
    return text if text and _PLAIN.issuperset(text) else json.dumps(text, ensure_ascii=False)
