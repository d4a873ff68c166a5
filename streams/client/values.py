"""What does a Python value become in an event? JSON where it has a form for it, else null, and that is counted.

NaN and the infinities, which JSON has no form for, become null as well: that is how they mean "missing" in data frames.
"""

import math
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import msgspec

__all__ = ["Unwritable", "encoder", "is_text", "plain"]

_NOTHING = ("NAType", "NaTType")  # pandas; not imported for it
MAX_DEPTH = 32


class Unwritable(ValueError):
    """Something JSON has no form for."""


def encoder(lost: Callable[[], object]) -> Callable[[object], bytes]:
    """What writes events. `lost` is called for each value that becomes null because nothing else would do.

    >>> write = encoder(lambda: print("one lost"))
    >>> write({"a": float("nan"), "b": Decimal("1.20"), "c": (1, 2)})
    b'{"a":null,"b":1.20,"c":[1,2]}'
    >>> write({"a": 1j})
    one lost
    b'{"a":null}'
    """

    def rest(value: object) -> object:
        try:
            return unusual(value)
        except Unwritable:
            lost()
            return None

    return msgspec.json.Encoder(enc_hook=rest, decimal_format="number").encode


def unusual(value: object) -> object:
    """What is no plain value, as plain ones: numbers and arrays of NumPy, times of pandas, mappings, text subclasses.

    Raises
    ------
    Unwritable
        It is none of these.

    Examples
    --------
    >>> from types import MappingProxyType
    >>> unusual(MappingProxyType({"a": 1}))
    {'a': 1}
    """
    if type(value).__name__ in _NOTHING:
        return None
    for base, made in _BASES:
        if isinstance(value, base):
            return made(value)
    if isinstance(value, Mapping):
        return dict(value)
    listed = getattr(value, "tolist", None)  # scalars have it, too
    if callable(listed):
        found = listed()
        if type(found) is not type(value):
            return found
    for converted in (getattr(value, "model_dump", None), getattr(value, "__float__", None)):
        if callable(converted):
            return converted()
    raise Unwritable(f"no JSON for a {type(value).__name__}")


# bool is an int, datetime a date: the order matters
_BASES: tuple[tuple[type, Callable[[Any], object]], ...] = (
    (bool, bool),
    (int, int),
    (float, float),
    (str, lambda value: str.__str__(value)),
    (datetime, lambda value: value.isoformat()),
    (date, lambda value: value.isoformat()),
)


def is_text(text: str) -> bool:
    """Whether it can be written as UTF-8: halves of characters cannot.

    >>> is_text("Zürich"), is_text("\\ud800")
    (True, False)
    """
    return text.isascii() or not any("\ud800" <= c <= "\udfff" for c in text)


def plain(value: object, lost: Callable[[], object], depth: int = MAX_DEPTH) -> object:
    """A value as JSON's own types, looked at piece by piece: what the fast way could not write.

    Parameters
    ----------
    lost
        Called for each value that becomes null, and each name that is left out.
    depth
        How many levels of lists and objects it may have.

    Raises
    ------
    RecursionError
        It has more.

    Examples
    --------
    >>> plain({"a": [Decimal("sNaN"), "x\\ud800"], "b": 2}, lambda: None)
    {'a': [None, None], 'b': 2}
    """
    if value is None or isinstance(value, bool):
        return value
    if type(value) is int:
        return value
    if type(value) is float:
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return value if value.is_finite() else None
    if type(value) is str:
        if is_text(value):
            return value
        lost()
        return None
    if depth <= 0:
        raise RecursionError
    if type(value) is dict:
        found = {}
        for name, of in value.items():
            if isinstance(name, str) and is_text(name):
                found[str.__str__(name)] = plain(of, lost, depth - 1)
            elif isinstance(name, int) and not isinstance(name, bool):
                found[str(int(name))] = plain(of, lost, depth - 1)
            else:
                lost()
        return found
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(one, lost, depth - 1) for one in value]
    if isinstance(value, time | timedelta | bytes | bytearray):
        return msgspec.to_builtins(value)
    try:
        return plain(unusual(value), lost, depth - 1)
    except Unwritable:
        lost()
        return None
