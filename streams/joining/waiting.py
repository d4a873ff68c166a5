"""What was read and is not folded in yet: predictions of a poll, and labels before their turn."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import msgspec

from streams.joining.reading import Read
from streams.joining.records import Label


@dataclass(slots=True)
class Chunk:
    """Predictions of one poll that are not folded in yet."""

    read: Read
    end: int  # the offset after it


class Pending(msgspec.Struct, gc=False):
    """A label before its turn."""

    offset: int
    before_ms: int  # how far the labels before it have come
    key: bytes
    label: Label


def reached(from_ms: int, times_ms: Sequence[int]) -> list[int]:
    """How far events have come before each of these, and after the last."""
    return list(accumulate(times_ms, max, initial=from_ms))


def cut(chunk: Chunk, until: int) -> Chunk | None:
    """Leave in a chunk what is before `until`, and return the rest."""
    read, end = chunk.read, chunk.end
    at = bisect_left(read.offsets, until)
    if at == len(read.offsets):
        return None
    row = bisect_left(read.at, at)
    rest = Read(
        read.offsets[at],
        read.times_ms[at:],
        read.offsets[at:],
        [i - at for i in read.at[row:]],
        read.keys[row:],
        read.rows[row:],
    )
    chunk.end = until
    del read.times_ms[at:], read.offsets[at:], read.at[row:], read.keys[row:], read.rows[row:]
    return Chunk(rest, end)
