"""How is a vector of counts that is mostly zeros written in few bytes? As the places that are not zero."""

import numpy as np

from detectors.samples.effects import Ints


def pack_counts(counts: Ints) -> bytes:
    """Places (int32) of what is not zero, ascending, then the values there (int64), little-endian."""
    at = np.flatnonzero(counts)
    return at.astype("<i4").tobytes() + counts[at].astype("<i8").tobytes()


def unpack_counts(packed: bytes, total: int) -> Ints:
    """The vector of length `total`.

    Raises
    ------
    ValueError
        These are no counts of that length.

    Examples
    --------
    >>> unpack_counts(pack_counts(np.array([0, -1, 0, 2**40])), 4).tolist()
    [0, -1, 0, 1099511627776]
    >>> unpack_counts(pack_counts(np.array([0, -1])), 1)
    Traceback (most recent call last):
        ...
    ValueError: expected counts of 1 places
    """
    n = len(packed) // 12
    at = np.frombuffer(packed, "<i4", n)
    if len(packed) % 12 or (n and not (at[0] >= 0 and at[-1] < total and (np.diff(at) > 0).all())):
        raise ValueError(f"expected counts of {total} places")
    counts = np.zeros(total, np.int64)
    counts[at] = np.frombuffer(packed, "<i8", n, 4 * n)
    return counts
