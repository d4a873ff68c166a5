"""Is a part of a document what it should be? Readers that name the place, and what was expected there.

Every reader takes a value and its place, and raises ValueError where the value is not what the name says.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import isfinite
from typing import Any, TypeVar

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_T = TypeVar("_T")


def read_object(value: object, at: str) -> Mapping[str, Any]:
    """An object with names as keys."""
    if not isinstance(value, dict) or not all(isinstance(k, str) for k in value):
        raise ValueError(f"{at or 'reference'}: expected an object")
    return value


def read_members(
    value: object, at: str, names: str | list[str], optional: str = ""
) -> Mapping[str, Any]:
    """An object with exactly these members, and perhaps the optional ones."""
    given, wanted = read_object(value, at), names.split() if isinstance(names, str) else names
    dot = f"{at}." if at else ""
    for name in wanted:
        if name not in given:
            raise ValueError(f"{dot}{name}: is missing")
    for name in given:
        if name not in wanted and name not in optional.split():
            raise ValueError(f"{dot}{name}: is not known")
    return given


def read_text(value: object, at: str) -> str:
    """A text."""
    if not isinstance(value, str):
        raise ValueError(f"{at}: expected a text")
    return value


def read_integer(value: object, at: str, least: int = 0) -> int:
    """A whole number from `least` to 2^53, that a float64 holds exactly."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value < 2**53:
        raise ValueError(f"{at}: expected an integer of at least {least}")
    return value


def read_number(value: object, at: str) -> float:
    """A finite number."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not isfinite(value):
        raise ValueError(f"{at}: expected a finite number")
    return float(value)


def read_items(value: object, at: str, read: Callable[[object, str], _T]) -> tuple[_T, ...]:
    """A list, each item of which `read` reads."""
    if not isinstance(value, list):
        raise ValueError(f"{at}: expected a list")
    return tuple(read(v, f"{at}[{i}]") for i, v in enumerate(value))


def read_ascending(value: object, at: str) -> tuple[float, ...]:
    """Numbers, each larger than the one before."""
    numbers = read_items(value, at, read_number)
    if any(a >= b for a, b in pairwise(numbers)):
        raise ValueError(f"{at}: expected ascending numbers")
    return numbers


def read_pair(value: object, at: str) -> tuple[float, float]:
    """Two numbers, the second not below the first."""
    numbers = read_items(value, at, read_number)
    if len(numbers) != 2 or numbers[0] > numbers[1]:
        raise ValueError(f"{at}: expected two ascending numbers")
    return numbers[0], numbers[1]


def read_distinct(value: object, at: str) -> tuple[str, ...]:
    """Texts, none of them twice."""
    texts = read_items(value, at, read_text)
    if len(set(texts)) < len(texts):
        raise ValueError(f"{at}: repeats a value")
    return texts


def read_counts(value: object, at: str, length: int) -> tuple[int, ...]:
    """So many counts."""
    counts = read_items(value, at, lambda v, place: read_integer(v, place))
    if len(counts) != length:
        raise ValueError(f"{at}: expected {length} counts, not {len(counts)}")
    return counts


def read_moment(value: object, at: str) -> int | None:
    """A time in epoch milliseconds, or None."""
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(read_text(value, at))
        return (moment - EPOCH) // timedelta(milliseconds=1)
    except (TypeError, ValueError):
        raise ValueError(f"{at}: expected a time such as 2026-03-02T07:00:00.000Z") from None
