"""Is this JSON that Leeway takes? UTF-8, one object, not too large and not too deep (contracts §1.3)."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from streams.errors import InvalidEvent
from streams.formats.refused import Refused
from streams.profiling.fields import BEYOND, NonFinite

MAX_BYTES, MAX_DEPTH = 1 << 20, 32


def _whole(digits: str) -> int:
    return int(digits) if len(digits) <= 400 else -BEYOND if digits[0] == "-" else BEYOND


_PASS = 512
_JSON = json.JSONDecoder(parse_int=_whole, parse_constant=lambda _: NonFinite())


def parse(value: bytes | None) -> object:
    """JSON as contracts §1.3 takes it.

    Raises
    ------
    InvalidEvent
        `empty`, `too_large`, `not_json`, `too_deep` or `not_object`; or what kept it from being unpacked.
    """
    if isinstance(value, Refused):
        raise value.defect
    if not value:
        raise InvalidEvent("empty")
    if len(value) > MAX_BYTES:
        raise InvalidEvent("too_large")
    try:
        event = _JSON.decode(value.decode())
    except RecursionError:
        raise InvalidEvent("too_deep") from None
    except ValueError:  # not UTF-8, or not JSON
        raise InvalidEvent("not_json") from None
    if isinstance(event, (dict, list)) and _deeper(event, MAX_DEPTH):
        raise InvalidEvent("too_deep")
    if not isinstance(event, dict):
        raise InvalidEvent("not_object")
    return event


def sound(values: Sequence[bytes]) -> bool:
    """Whether JSON that msgspec has decoded also is what it passes over unread: UTF-8, not too large, not too deep.

    Costs a few vectorised passes over some hundred values at a time, which then are still in the processor's cache.
    """
    return all(_sound(values[i : i + _PASS]) for i in range(0, len(values), _PASS))


def _sound(values: Sequence[bytes]) -> bool:
    longest, together = max(map(len, values)), b"".join(values)
    if longest > MAX_BYTES:
        return False
    if not together.isascii():
        try:
            together.decode()  # each ends with a bracket, so no character can span two
        except UnicodeDecodeError:
            return False
    letters = np.frombuffer(together, np.uint8)
    opening = letters == ord("{")
    if b"[" in together:
        opening |= letters == ord("[")
    at = np.flatnonzero(opening)
    # Only an event that holds more brackets than levels are allowed can be too deep.
    if len(at) <= MAX_DEPTH or (at[MAX_DEPTH:] - at[:-MAX_DEPTH]).min() >= longest:
        return True
    return not any(map(_too_deep, values))


def sound_alone(value: bytes) -> bool:
    """The same for one value."""
    if len(value) > MAX_BYTES or _too_deep(value):
        return False
    if not value.isascii():
        try:
            value.decode()
        except UnicodeDecodeError:
            return False
    return True


def _too_deep(value: bytes) -> bool:
    if value.count(b"{") + value.count(b"[") <= MAX_DEPTH:
        return False
    try:
        return _deeper(msgspec.json.decode(value), MAX_DEPTH)
    except (msgspec.MsgspecError, RecursionError):
        return True  # or something else that needs a closer look


def _deeper(event: object, limit: int) -> bool:
    """Whether containers nest more than `limit` deep; level by level, so depth costs no recursion."""
    level: list[Any] = [event]
    for _ in range(limit):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return False
    return True
