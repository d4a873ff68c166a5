"""What does a field of an event mean? Its value as its series counts it, its time, or what is wrong with it."""

import json
import math
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated

import msgspec

from detectors.binning import INVALID_TEXT, MAX_CATEGORY_LENGTH, json_text
from detectors.reference.text import fits
from streams.broker import Record
from streams.errors import InvalidEvent
from streams.lifecycle.paths import Path

FIRST_MS, LAST_MS = 31_536_000_000, 4_102_444_799_999  # the years 1971 to 2099
UNIT_PER_S = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
MODEL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}").fullmatch
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}").fullmatch
MOST_CHARACTERS = 256  # of an event id
STATUSES = ("ok", "error", "timeout", "fallback")
ANSWERED = frozenset((None, "ok", "fallback"))  # other statuses have no prediction and no score

INVALID = math.inf  # a number of the wrong type: JSON has no infinity, so nothing else can be one
ABSENT = -math.inf  # a value that this event does not have to have

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WITHOUT_ZONE = re.compile(r"\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?)?").fullmatch
TEXT_TIME = Annotated[datetime, msgspec.Meta(tz=True)]
BEYOND = 10**400  # stands for a whole number of even more digits: it, too, is no double and no time


class NonFinite:
    """Stands for a bare NaN or Infinity while an event is looked at field by field."""


def to_ms(moment: datetime) -> int:
    """Epoch milliseconds, cut.

    >>> to_ms(datetime(1970, 1, 1, 0, 0, 1, 999_999, tzinfo=UTC))
    1999
    """
    return (moment - EPOCH) // timedelta(milliseconds=1)


def typed(raw: object, type_: str, length: int | None = None) -> tuple[object, str | None]:
    """A field's value as its series counts it, and what is wrong with it. `length`: of a vector, if it is known."""
    if type_ == "vector":
        return _vector(raw, length)
    if type_ in ("number", "integer"):
        if isinstance(raw, NonFinite):
            return None, "non_finite"
        if isinstance(raw, bool) or not isinstance(raw, (int, float)):
            return INVALID, "type"
        try:
            number = float(raw)
        except OverflowError:
            return None, "non_finite"
        if not math.isfinite(number):
            return None, "non_finite"
        return (INVALID, "type") if type_ == "integer" and raw % 1 else (number, None)
    if isinstance(raw, NonFinite):
        return None, "non_finite"
    if type_ == "output" and isinstance(raw, float):
        return raw, None
    if type_ == "text":
        if not isinstance(raw, str) or not is_text(raw):
            return INVALID, "type"
        return (raw, None) if fits(raw) else (INVALID, "too_long")
    if type_ == "boolean":
        return (json_text(raw), None) if isinstance(raw, bool) else (INVALID_TEXT, "type")
    if isinstance(raw, bool | int):
        return json_text(raw), None
    if not isinstance(raw, str) or not is_text(raw):
        return INVALID_TEXT, "type"
    return (raw, None) if len(raw) <= MAX_CATEGORY_LENGTH else (INVALID_TEXT, "too_long")


def _vector(raw: object, length: int | None) -> tuple[object, str | None]:
    if not isinstance(raw, list) or length not in (None, len(raw)):
        return (None, "non_finite") if isinstance(raw, NonFinite) else (INVALID, "type")
    numbers: list[float] = []
    for one in raw:
        number, reason = typed(one, "number")
        if reason is not None:
            return number, reason
        if number is None:  # null
            return INVALID, "type"
        numbers.append(number)  # type: ignore[arg-type] # `typed` gives a float, None or a reason
    return numbers, None


def tag_of(raw: object) -> str | int | float | bool | None:
    """A segment's value, if it is one."""
    if isinstance(raw, float):
        return raw if math.isfinite(raw) else None
    return raw if isinstance(raw, int) or (isinstance(raw, str) and is_text(raw)) else None


def is_event_id(raw: object) -> bool:
    """Whether this can be an event's id: text, not empty, not too long."""
    return isinstance(raw, str) and 0 < len(raw) <= MOST_CHARACTERS and is_text(raw)


def raw_of(value: object) -> msgspec.Raw | None:
    """A value as the JSON it was read from; None if it has parts that JSON does not know."""
    try:
        return msgspec.Raw(json.dumps(value, separators=(",", ":")).encode())
    except TypeError:  # a NaN somewhere
        return None


def is_text(text: str) -> bool:
    """JSON can escape halves of characters, which nobody can write down as UTF-8."""
    return text.isascii() or not any("\ud800" <= c <= "\udfff" for c in text)


def same(found: object, wanted: object) -> bool:
    """Equal as JSON has it: 1 is 1.0, but not true."""
    return found == wanted and isinstance(found, bool) == isinstance(wanted, bool)


def moment_of(time_ms: int) -> datetime:
    return EPOCH + timedelta(milliseconds=time_ms)


def parse_time(raw: object, unit: str) -> int | datetime:
    """A timestamp in `unit`, or RFC 3339 text with an offset.

    Raises
    ------
    InvalidEvent
        With the reason, and the unit it looks like.

    Examples
    --------
    >>> parse_time(1772434693, "ms")
    Traceback (most recent call last):
    streams.errors.InvalidEvent: timestamp_unit: looks like seconds; set timestamp_unit: s
    """
    if raw is None:
        raise InvalidEvent("timestamp_missing")
    if isinstance(raw, str):
        return _parse_text_time(raw)
    if isinstance(raw, float) and unit == "s" and math.isfinite(raw):
        # by its shortest decimals, as the producer wrote it: 0.412 s is 412 ms
        time_ms = math.floor(Decimal(repr(raw)) * 1000)
        return moment_of(_legal(time_ms, "ms", raw))
    if isinstance(raw, bool) or not isinstance(raw, int):
        raise InvalidEvent("timestamp_type")
    return _legal(raw, unit, raw)


def _legal(time: int, unit: str, written: int | float) -> int:
    """The time itself, if it is in the legal years."""
    if _is_legal(time, unit):
        return time
    for other, words in (
        ("s", "seconds"),
        ("ms", "milliseconds"),
        ("us", "microseconds"),
        ("ns", "nanoseconds"),
    ):
        if _is_legal(written, other):
            hint = f"looks like {words}; set timestamp_unit: {other}"
            raise InvalidEvent("timestamp_unit", hint)
    raise InvalidEvent("timestamp_unit", "outside the years 1971 to 2099 in every unit")


def _is_legal(time: int | float, unit: str) -> bool:
    # multiplied, not divided: a whole number may have more digits than a double can hold
    per_s = UNIT_PER_S[unit]
    return FIRST_MS * per_s <= time * 1000 < (LAST_MS + 1) * per_s


def _parse_text_time(raw: str) -> datetime:
    try:
        # what reads the times of good events, so that a time means the same beside a bad field
        moment = msgspec.convert(raw, TEXT_TIME)
        legal = FIRST_MS <= to_ms(moment) <= LAST_MS
    except (msgspec.ValidationError, OverflowError, ValueError):
        raise InvalidEvent("timestamp_zone" if _WITHOUT_ZONE(raw) else "timestamp_type") from None
    if not legal:
        raise InvalidEvent("timestamp_unit", "outside the years 1971 to 2099")
    return moment


def value_at(event: object, path: Path, record: Record) -> object:
    """The value at a path; None where there is none."""
    if path and isinstance(path[0], str) and path[0].startswith("$"):
        return _of_record(path, record)
    for step in path:
        if isinstance(step, int):
            if not isinstance(event, list) or step >= len(event):
                return None
            event = event[step]
        elif isinstance(event, dict):
            event = event.get(step)
        else:
            return None
    return event


def _of_record(path: Path, record: Record) -> object:
    if path[0] == "$timestamp":
        return record.timestamp_ms
    raw = record.key if path[0] == "$key" else dict(record.headers).get(str(path[1]))
    try:
        return raw.decode() if raw is not None else None
    except UnicodeDecodeError:
        return None
