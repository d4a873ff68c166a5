"""How many events came twice? A sample of ids that adds up exactly, whatever the order and the split of the events.

Kept are the `K` smallest hashes of all ids, each with how often it came: if a hash is among the smallest of the whole,
it is among the smallest of every part that holds it, so nothing of it is lost by adding parts up [1]_. Which ids are
kept has nothing to do with how often they came. The hash of an id depends on its pane: an id repeats itself within a
pane only.

References
----------
.. [1] Cohen, E. and Kaplan, H. (2007). Summarizing data using bottom-k sketches. PODC 2007.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.binning import Ints
from detectors.operations.measures import Measure
from detectors.samples.effects import Z95, wilson

K = 128
_BITS = 32
_WORD = 8  # bytes
_ODD = np.uint64(0x9E3779B97F4A7C15)
_MASKS = np.array([2 ** (8 * k) - 1 for k in range(_WORD + 1)], np.uint64)  # of the first k bytes
Hashes = NDArray[np.uint32]


class Sample(NamedTuple):
    """The smallest hashes, ascending, and how often each one came; both of at most `K`."""

    hashes: Hashes
    times: Ints


EMPTY = Sample(np.zeros(0, np.uint32), np.zeros(0, np.int64))


def checksums(joined: bytes) -> Hashes:
    """A checksum of every id, each of them followed by a byte 0.

    A multiplicative hash over words of eight bytes, of all ids at once: a call per id costs ten times as much. Two ids
    that share their 32 bits are taken for one: among n ids, a share of about n / 2^33.

    >>> one, other, again = checksums(b"7f1c\\0a long one of 19 bytes\\0" + b"7f1c\\0").tolist()
    >>> one == again, one == other
    (True, False)
    """
    ids = joined.count(b"\0")
    letters = np.frombuffer(joined, np.uint8)
    # the eight bytes from every byte on, as one number
    words: Any = np.ndarray(len(joined), "<u8", joined + bytes(_WORD - 1), strides=(1,))
    step = len(joined) // ids if ids else 1
    if len(joined) == ids * step and not letters[step - 1 :: step].any():
        found = _of_one_length(words, step, ids)
    else:
        found = _of_any_length(words, np.flatnonzero(letters == 0))
    return np.asarray((found * _ODD) >> np.uint64(_BITS), np.uint32)


def _of_one_length(words: Any, step: int, ids: int) -> NDArray[np.uint64]:
    """As ids mostly are: nothing has to be looked for, and no word is cut but the last."""
    found = np.full(ids, step - 1, np.uint64) * _ODD
    for first in range(0, step - 1, _WORD):
        _mix(found, words[first::step] & _MASKS[min(step - 1 - first, _WORD)])
    return found


def _of_any_length(words: Any, ends: Ints) -> NDArray[np.uint64]:
    starts = np.concatenate(([0], ends[:-1] + 1))
    lengths = ends - starts
    found = lengths.astype(np.uint64) * _ODD
    for first in range(0, int(lengths.max(initial=0)), _WORD):
        left = lengths - first
        which: Any = slice(None) if left.min() > 0 else left > 0
        some = found[which]
        _mix(some, words[starts[which] + first] & _MASKS[np.minimum(left[which], _WORD)])
        found[which] = some
    return found


def _mix(found: NDArray[np.uint64], words: NDArray[np.uint64]) -> None:
    """Take another word into each hash."""
    found ^= words
    found *= _ODD
    found ^= found >> np.uint64(29)


def salted(checksums: Hashes, pane_start_ms: int | Ints) -> Hashes:
    """Hashes of ids within a pane: spread evenly, and others in every pane.

    Parameters
    ----------
    pane_start_ms : one for all, or one for each

    Examples
    --------
    >>> salted(np.array([1, 2, 1], np.uint32), 60_000).tolist()
    [3068763869, 1308788532, 3068763869]
    """
    start = np.atleast_1d(np.asarray(pane_start_ms, np.int64))
    salt = (start ^ (start >> np.int64(_BITS))) & np.int64(0xFFFF_FFFF)
    return _mixed(checksums ^ _mixed(salt.astype(np.uint32)))


def _mixed(x: Hashes) -> Hashes:
    """The finaliser of MurmurHash3: a bijection after which every bit depends on all."""
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    x = (x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return np.asarray(x ^ (x >> np.uint32(16)), np.uint32)


def sample(hashes: Hashes) -> Sample:
    """The sample of one part.

    >>> sample(np.array([7, 3, 7], np.uint32))
    Sample(hashes=array([3, 7], dtype=uint32), times=array([1, 2]))
    """
    kept, times = np.unique(hashes, return_counts=True)
    return Sample(kept[:K], times[:K].astype(np.int64))


def samples(hashes: Hashes, lengths: Sequence[int]) -> list[Sample]:
    """The sample of each of several groups, whose hashes lie one group after the other.

    >>> samples(np.array([7, 3, 7, 5], np.uint32), [3, 1])[1]
    Sample(hashes=array([5], dtype=uint32), times=array([1]))
    """
    at = np.repeat(np.arange(len(lengths), dtype=np.uint64), lengths) << np.uint64(_BITS)
    kept, times = np.unique(at | hashes, return_counts=True)
    of = (kept >> np.uint64(_BITS)).astype(np.int64)
    cuts = np.searchsorted(of, np.arange(len(lengths) + 1))
    low = (kept & np.uint64(0xFFFF_FFFF)).astype(np.uint32)
    ends = np.minimum(cuts[1:], cuts[:-1] + K)
    return [
        Sample(low[a:b], times[a:b].astype(np.int64))
        for a, b in zip(cuts.tolist(), ends.tolist(), strict=False)
    ]


def merged(parts: Iterable[Sample]) -> Sample:
    """The sample of all parts together.

    >>> a, b = sample(np.array([3, 7], np.uint32)), sample(np.array([7], np.uint32))
    >>> merged([a, b])
    Sample(hashes=array([3, 7], dtype=uint32), times=array([1, 2]))
    """
    of = [part for part in parts if len(part.hashes)]
    if len(of) < 2:
        return of[0] if of else EMPTY
    hashes, which = np.unique(np.concatenate([p.hashes for p in of]), return_inverse=True)
    times = np.zeros(len(hashes), np.int64)
    np.add.at(times, which, np.concatenate([p.times for p in of]))
    return Sample(hashes[:K], times[:K])


def pack(of: Sample) -> bytes:
    """The hashes, then how often each came, as little-endian 32-bit numbers."""
    return of.hashes.astype("<u4").tobytes() + of.times.astype("<u4").tobytes()


def unpack(packed: bytes) -> Sample:
    """The inverse of `pack`; raises `ValueError` on what is none.

    >>> unpack(pack(sample(np.array([7, 3, 7], np.uint32))))
    Sample(hashes=array([3, 7], dtype=uint32), times=array([1, 2]))
    """
    if len(packed) % 8:
        raise ValueError(f"a sample of ids has pairs of 32-bit numbers, not {len(packed)} bytes")
    both: Any = np.frombuffer(packed, "<u4").reshape(2, -1)
    return Sample(both[0].astype(np.uint32), both[1].astype(np.int64))


def share(of: Sample, events: int, z: float = Z95) -> Measure | None:
    r"""The share of events that came again, with its interval; None where no event has an id.

    With `d` of `m` sampled ids repeated and `c` events per sampled id, the share is :math:`1 - 1/c`; its bounds move as
    the Wilson bounds of `d / m` do. An id that came very often, but was not sampled, shows in how few different ids
    there are: the K-th smallest hash estimates their number with a relative error of :math:`1/\sqrt{K - 2}` [1]_.

    Parameters
    ----------
    events : that have an id

    Examples
    --------
    >>> once, twice = np.arange(60, dtype=np.uint32), np.arange(40, dtype=np.uint32)
    >>> found = share(sample(np.concatenate([once, twice])), 100)
    >>> round(found.value, 3), round(found.low, 3), round(found.high, 3)
    (0.4, 0.324, 0.464)

    References
    ----------
    .. [1] Beyer, K. et al. (2007). On synopses for distinct-value estimation under multiset operations. SIGMOD 2007.
    """
    rows = len(of.hashes)
    if not rows or not events:
        return None
    seen, repeated = int(of.times.sum()), int((of.times > 1).sum())
    value = 1 - rows / seen
    low, high = (float(bound) for bound in wilson(repeated / rows, rows, z))
    found = Measure(value, 0.0, high / (1 + high), events)
    if repeated:
        part = repeated / rows
        found = Measure(value, value * low / part, min(1.0, value * high / part), events)
    if rows < K:
        return found
    different = (K - 1) * 2.0**_BITS / (float(of.hashes[-1]) + 1)
    error = z / math.sqrt(K - 2)
    fewest, most = (1 - different * (1 + sign * error) / events for sign in (1, -1))
    if fewest <= found.high:
        return found
    return Measure(1 - different / events, fewest, min(1.0, most), events)
