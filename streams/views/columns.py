"""How are the windows of one subject kept? As rows of fixed width, in bytes, that numpy reads as columns.

A row takes 96 bytes, 16 more for each metric and 3 for each series: 0.2 MiB for a month of hourly windows of fifty
series.
"""

from collections.abc import Sequence
from math import nan
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MOST = 2**32 - 1


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


class Columns(NamedTuple):
    """The rows of a time, as columns; nobody changes them."""

    rows: NDArray[np.void]  # of `ROWS`
    metrics: NDArray[np.void]  # [row, metric] of `CELLS`
    ratio: NDArray[np.float16]  # [row, series]
    verdict: NDArray[np.uint8]  # [row, series]


def together(
    cells: NDArray[np.void], starts: Sequence[int] | NDArray[np.int64]
) -> NDArray[np.void]:
    """Runs of windows as one row each.

    Parameters
    ----------
    cells : of `CELLS`, shape (windows, metrics)
    starts : where each run begins, ascending, the first is 0

    Returns
    -------
    shape (runs, metrics): the mean of the values, weighted by what they were measured on; the lowest of the lower and
    the highest of the upper bounds; the sum of what they were measured on
    """
    found = nothing((len(starts), cells.shape[1]))
    if not cells.size:
        return found
    value, n = cells["value"].astype(np.float64), cells["n"].astype(np.float64)
    weight = np.where(np.isnan(value), 0.0, np.maximum(n, 1.0))
    total = np.add.reduceat(weight, starts, axis=0)
    summed = np.add.reduceat(np.nan_to_num(value) * weight, starts, axis=0)
    found["value"] = np.divide(summed, total, out=np.full(total.shape, nan), where=total > 0)
    found["low"] = np.fmin.reduceat(cells["low"], starts, axis=0)
    found["high"] = np.fmax.reduceat(cells["high"], starts, axis=0)
    found["n"] = np.minimum(np.add.reduceat(n, starts, axis=0), MOST)
    return found


def nothing(shape: tuple[int, int]) -> NDArray[np.void]:
    """Cells in which nothing was measured."""
    found = np.zeros(shape, CELLS)
    for name in ("value", "low", "high"):
        found[name] = nan
    return found


def drift_of(series: int) -> np.dtype[np.void]:
    """How the effects and verdicts of so many series lie in a row."""
    return np.dtype([("ratio", "<f2", (series,)), ("verdict", "u1", (series,))])
