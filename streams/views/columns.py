"""How are the windows of one subject kept? As rows of fixed width, in bytes, that numpy reads as columns.

A row takes 96 bytes, 16 more for each metric and 3 for each series: 0.2 MiB for a month of hourly windows of fifty
series.
"""

from typing import NamedTuple

import numpy as np


class Row(NamedTuple):
    """What is kept of one window, in the order of `ROWS`; numbers that there are not are NaN."""

    start: int
    end: int
    logged: int
    partition: int
    offset: int  # of the record on the log
    windows: int  # how many it was put together from; the place is that of the worst
    events: int
    late: int
    verdict: int
    reason: int
    statistic: float  # of the alarm
    threshold: float
    data: float  # the largest effect over its floor, of features
    prediction: float  # and of what the model says


_FORMATS = ("<i8",) * 8 + ("u1",) * 2 + ("<f8",) * 4
ROWS = np.dtype(list(zip(Row._fields, _FORMATS, strict=True)))
CELLS = np.dtype([("value", "<f4"), ("low", "<f4"), ("high", "<f4"), ("n", "<u4")])


class Table:
    """Rows of one width, one after another.

    >>> table = Table(2)
    >>> table.insert(0, b"bb"), table.insert(0, b"aa"), len(table)
    (None, None, 2)
    >>> table.replace(1, 2, b"cc")
    >>> bytes(table.rows(0, 2))
    b'aacc'
    """

    __slots__ = ("_bytes", "width")

    def __init__(self, width: int) -> None:
        self._bytes, self.width = bytearray(), width

    def __len__(self) -> int:
        return len(self._bytes) // self.width if self.width else 0

    def insert(self, at: int, row: bytes) -> None:
        """Put a row before the one at this place."""
        self._bytes[at * self.width : at * self.width] = row

    def replace(self, start: int, end: int, row: bytes) -> None:
        """Put one row, or none, in place of some."""
        self._bytes[start * self.width : end * self.width] = row

    def rows(self, start: int, end: int) -> bytes:
        """A copy, so that what is read does not change while it is looked at."""
        return bytes(self._bytes[start * self.width : end * self.width])

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self._bytes)
