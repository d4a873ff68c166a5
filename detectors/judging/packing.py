"""How are arrays of numbers written into JSON, small and to the last bit? A type, and little-endian bytes as base64."""

from base64 import b64decode, b64encode
from binascii import Error

import numpy as np

from detectors.samples.effects import Floats, Ints

_WHOLE = ("u1", "u2", "u4")  # what whole numbers are written as, if they fit; else as i8


def pack(array: Floats | Ints) -> str:
    """The numbers of an array in one text, whole ones in as few bytes each as the largest needs.

    Four characters for three bytes: a float64 takes 10.7, where its decimal digits take 18.

    >>> pack(np.array([1, 2, 300])), pack(np.array([0.1])), pack(np.array([], np.int64))
    ('u2:AQACACwB', 'f8:mpmZmZmZuT8=', 'u1:')
    """
    kind = "f8" if array.dtype == np.float64 else _fitting(array.astype(np.int64, copy=False))
    return f"{kind}:{b64encode(array.astype(f'<{kind}').tobytes()).decode()}"


def _fitting(array: Ints) -> str:
    if array.size and int(array.min()) < 0:
        return "i8"
    most = int(array.max()) if array.size else 0
    return next((kind for kind in _WHOLE if most <= np.iinfo(kind).max), "i8")


def unpack_ints(text: object, size: int | None = None) -> Ints:
    """The whole numbers that `pack` wrote, int64.

    Raises
    ------
    ValueError
        It is no such text, or holds another number of them than `size`.

    >>> unpack_ints("u2:AQACACwB").tolist()
    [1, 2, 300]
    """
    return _unpack(text, (*_WHOLE, "i8"), size).astype(np.int64)


def unpack_floats(text: object, size: int | None = None) -> Floats:
    """The floats that `pack` wrote; raises as `unpack_ints`.

    >>> unpack_floats("f8:mpmZmZmZuT8=").tolist()
    [0.1]
    """
    return _unpack(text, ("f8",), size).astype(np.float64)


def _unpack(text: object, kinds: tuple[str, ...], size: int | None) -> Floats | Ints:
    kind, colon, code = text.partition(":") if isinstance(text, str) else ("", "", "")
    if kind not in kinds or not colon:
        raise ValueError(f"expected packed numbers: {' or '.join(kinds)}, a colon and base64")
    try:
        found: Floats | Ints = np.frombuffer(b64decode(code, validate=True), f"<{kind}")
    except (Error, ValueError):
        raise ValueError(f"not base64 of whole {kind} numbers") from None
    if size is not None and found.size != size:
        raise ValueError(f"expected {size} numbers, not {found.size}")
    return found
