"""When was that? Times of tables: numbers in any unit, and texts with or without a zone, as epoch milliseconds."""

import math
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from streams.errors import UsageError

__all__ = ["TIMES", "moment", "times"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_FIRST_MS, _LAST_MS = 31_536_000_000, 4_102_444_800_000  # the legal years, 1971 to 2099
_UNITS = (("seconds", 1000), ("milliseconds", 1), ("microseconds", 1e-3), ("nanoseconds", 1e-6))
TIMES = ("time", *(name for name, _ in _UNITS))
_PER_SECOND = {"seconds": 1, "milliseconds": 1000, "microseconds": 10**6, "nanoseconds": 10**9}


def times(values: Sequence[object], role: str, name: str) -> list[object]:
    """Epoch milliseconds of numbers and RFC 3339 texts; what is neither stays as it is, to be refused as an event.

    Numbers may be in the unit that `role` names, if they make sense in it: the legal years of two units never overlap.
    """
    found = [_time(value) for value in values]
    first = next((v for v in found if isinstance(v, int)), None)
    if first is not None and not _FIRST_MS <= first < _LAST_MS:
        for unit, factor in _UNITS:
            if _FIRST_MS <= first * factor < _LAST_MS and unit != role:
                raise UsageError(
                    f"{name}: {first} looks like {unit}: expected milliseconds since 1970, or a time with its zone"
                )
    if role == "time" or (first is not None and _FIRST_MS <= first < _LAST_MS):
        return found
    return [_time(value, per_second=_PER_SECOND[role]) for value in values]


def _time(value: object, *, per_second: int = 1000) -> object:
    if isinstance(value, str) and per_second != 1000:
        with suppress(ValueError):
            value = int(value) if value.isdigit() else float(value)
    if isinstance(value, float):
        if per_second != 1000 and math.isfinite(value):
            return int(value * 1000 // per_second)
        return None if math.isnan(value) else int(value) if value.is_integer() else value
    if isinstance(value, int) and not isinstance(value, bool):
        return value * 1000 // per_second
    if not isinstance(value, str):
        return value
    if value.isdigit():
        return int(value)
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return value
    return ((found if found.tzinfo else found.replace(tzinfo=UTC)) - _EPOCH) // _MILLISECOND


def moment(ms: int | None) -> datetime | None:
    """A moment that Python has a name for; None for any other."""
    try:
        return None if ms is None else _EPOCH + timedelta(milliseconds=ms)
    except OverflowError:
        return None
