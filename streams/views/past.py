"""What was said of one model × version × segment in one scope during the last thirty days of its events?

Windows shorter than an hour are put together, an hour in a row, once they are two days old: the worst verdict and
effect of each series, the mean of every metric (weighted by what it was measured on) between the lowest of its lower
and the highest of its upper bounds.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from math import nan
from struct import Struct
from typing import Any, overload

import numpy as np

from streams.broker import Partition
from streams.views.columns import (
    CELLS,
    MOST,
    ROWS,
    Columns,
    Row,
    Table,
    drift_of,
    nothing,
    together,
)
from streams.views.documents import Measured, Result
from streams.views.judged import Judged as Judged
from streams.views.judged import Scoped as Scoped
from streams.views.judged import documents as documents
from streams.views.judged import largest
from streams.views.places import Place
from streams.views.whole import Whole

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
KEPT_MS = 30 * DAY_MS  # of event time, before the newest window
FINE_MS = 2 * DAY_MS  # so long windows shorter than an hour are kept one by one
MOST_ROWS = 4_000  # windows of one minute: two days of them, and 28 days of hours
MOST_SERIES, MOST_METRICS = 512, 64
MOST_WHOLE, WHOLE_BYTES = 40, 112 * 1024  # of a subject so many documents stay in memory
_MOST_REASONS = 255
VERDICTS = ("none", "insufficient", "stable", "drifting", "severe")  # the worst last
_LEVELS = {name: level for level, name in enumerate(VERDICTS)}
_ROW = Struct("<8q2B4d")
_LARGEST, _LARGEST_RATIO = 3e38, 60_000.0  # four bytes, and two, have no numbers beyond
_MOST_EVENTS = 2**53
_struct = cache(Struct)


class Past(Sequence[Judged]):
    """The windows of one subject in one scope, oldest first; as a sequence those that are kept one by one."""

    def __init__(self, subject: Scoped, topic: str, whole: Whole, kept_ms: int = KEPT_MS) -> None:
        self.subject, self._topic, self._whole = subject, topic, whole
        self._kept_ms = kept_ms
        self._ends = array("q")
        self._rows, self._metrics, self._drift = Table(_ROW.size), Table(0), Table(0)
        self.metrics: dict[str, int] = {}  # name -> column
        self.series: dict[str, int] = {}
        self.lines: dict[str, tuple[float | None, float | None]] = {}  # reference, threshold
        self.last_event_ms: int | None = None  # end of the newest window that had events
        self._reasons: list[str] = []
        self._settled = 0  # rows before this one are as coarse as they get
        self._fine = 0  # rows from this one on are windows as they were judged
        self._kept: list[tuple[int, int, Place, int]] = []  # documents in memory, oldest first
        self._kept_bytes = 0

    # ---- writing

    def put(
        self, found: Result, start_ms: int, end_ms: int, place: Place, logged_ms: int, value: bytes
    ) -> None:
        """Add a window, in place of what was said of it before; one that is too old changes nothing."""
        if self._ends and end_ms <= self._ends[-1] - self._kept_ms:
            return
        at, known = self._find(start_ms, end_ms)
        if at < self._fine and not known:
            return  # what it belongs to was put together
        if known and self._row(at).windows > 1:
            return
        newest = at + known == len(self._ends)
        (_, partition), offset = place
        row = self._packed(found, start_ms, end_ms, partition, offset, logged_ms)
        cells, drift = self._cells(found.metrics, newest=newest), self._levels(found)
        if known:
            self._forget_whole(start_ms, end_ms)
            self._rows.replace(at, at + 1, row)
            self._metrics.replace(at, at + 1, cells)
            self._drift.replace(at, at + 1, drift)
        else:
            self._ends.insert(at, end_ms)
            self._rows.insert(at, row)
            self._metrics.insert(at, cells)
            self._drift.insert(at, drift)
            self._settled += at < self._settled
        if found.window.events > 0:
            self.last_event_ms = max(end_ms, self.last_event_ms or end_ms)
        self._keep_whole(start_ms, end_ms, place, value)
        self._settle()
        self._expire()

    def _find(self, start_ms: int, end_ms: int) -> tuple[int, bool]:
        at = bisect_left(self._ends, end_ms)
        while at < len(self._ends) and self._ends[at] == end_ms:
            start = self._row(at).start
            if start >= start_ms:
                return at, start == start_ms
            at += 1
        return at, False

    def _packed(
        self, found: Result, start: int, end: int, partition: int, offset: int, logged: int
    ) -> bytes:
        window, alarm = found.window, found.alarm
        if found.reason not in self._reasons:
            # a byte counts to 255; that many reasons there are not, unless somebody makes them up
            self._reasons[_MOST_REASONS:] = [found.reason]
        reason = self._reasons.index(found.reason)
        effects = largest(found.series)
        return _ROW.pack(
            start,
            end,
            logged,
            partition,
            offset,
            1,
            min(max(window.events, 0), _MOST_EVENTS),
            min(max(window.late, 0), _MOST_EVENTS),
            _LEVELS[found.verdict],
            reason,
            nan if alarm is None or alarm.log_statistic is None else alarm.log_statistic,
            nan if alarm is None else alarm.log_threshold,
            effects.get("data_drift", nan),
            effects.get("prediction_drift", nan),
        )

    def _cells(self, metrics: Mapping[str, Measured], *, newest: bool) -> bytes:
        new = [name for name in metrics if name not in self.metrics]
        if new and len(self.metrics) < MOST_METRICS:
            self._widen_metrics(new)
        width = len(self.metrics)
        flat: list[Any] = [nan, nan, nan, 0] * width
        for name, of in metrics.items():
            column = self.metrics.get(name)
            if column is not None:
                flat[4 * column : 4 * column + 4] = _cell(of)
                if newest:
                    self.lines[name] = of.reference, of.threshold
        return _struct(f"<{'fffI' * width}").pack(*flat)

    def _levels(self, found: Result) -> bytes:
        if self.subject.scope != "inputs":
            return b""
        new = [one.series for one in found.series if one.series not in self.series]
        if new and len(self.series) < MOST_SERIES:
            self._widen_series(new)
        width = len(self.series)
        ratios, levels = [nan] * width, [0] * width
        for one in found.series:
            column = self.series.get(one.series)
            if column is not None:
                levels[column] = _LEVELS.get(one.verdict, 0)
                if one.effect is not None and one.effect.floor > 0:
                    ratios[column] = min(abs(one.effect.value) / one.effect.floor, _LARGEST_RATIO)
        return _struct(f"<{width}e{width}B").pack(*ratios, *levels)

    def _widen_metrics(self, new: Iterable[str]) -> None:
        before = self.columns().metrics
        for name in new:
            if len(self.metrics) < MOST_METRICS:
                self.metrics[name] = len(self.metrics)
        after = nothing((len(before), len(self.metrics)))
        after[:, : before.shape[1]] = before
        self._metrics = Table(16 * len(self.metrics))
        self._metrics.insert(0, after.tobytes())

    def _widen_series(self, new: Iterable[str]) -> None:
        before = self.columns()
        for name in new:
            if len(self.series) < MOST_SERIES:
                self.series[name] = len(self.series)
        after = np.zeros(len(self._ends), drift_of(len(self.series)))
        after["ratio"] = np.nan
        after["ratio"][:, : before.ratio.shape[1]] = before.ratio
        after["verdict"][:, : before.verdict.shape[1]] = before.verdict
        self._drift = Table(3 * len(self.series))
        self._drift.insert(0, after.tobytes())

    # ---- what is not for ever

    def _keep_whole(self, start: int, end: int, place: Place, value: bytes) -> None:
        """Keep the newest documents: as many as fit, and the newest in any case."""
        at = bisect_left(self._kept, (end, start))
        self._kept.insert(at, (end, start, place, len(value)))
        self._kept_bytes += len(value)
        self._whole.put(place, value)
        share = 1 if self.subject.segment == "all" else 4
        while len(self._kept) > 1 and (
            len(self._kept) > MOST_WHOLE // share or self._kept_bytes > WHOLE_BYTES // share
        ):
            self._let_go(0)

    def _forget_whole(self, start: int, end: int) -> None:
        at = bisect_left(self._kept, (end, start))
        if at < len(self._kept) and self._kept[at][:2] == (end, start):
            self._let_go(at)

    def _let_go(self, at: int) -> None:
        _, _, place, size = self._kept.pop(at)
        self._kept_bytes -= size
        self._whole.drop(place)

    def _settle(self) -> None:
        """Put together the windows of hours that are two days old."""
        limit = self._ends[-1] - FINE_MS
        while self._settled < len(self._ends):
            at, end = self._settled, self._ends[self._settled]
            until = (end - 1) // HOUR_MS * HOUR_MS + HOUR_MS
            if until > limit:
                return
            after = bisect_right(self._ends, until, lo=at)
            hourly = self._row(at).start < until - HOUR_MS
            if after - at > 1 and not hourly:
                self._join(at, after)
                self._fine = at + 1
            self._settled = at + 1

    def _join(self, at: int, after: int) -> None:
        of = self.columns(at, after)
        rows, whole = of.rows, of.rows["verdict"].astype(int)
        worst = rows[len(rows) - 1 - int(whole[::-1].argmax())]
        alarm = rows[int(np.nan_to_num(rows["statistic"], nan=-np.inf).argmax())]
        joined = worst.copy()
        joined["start"], joined["end"] = rows["start"].min(), rows["end"].max()
        for name in ("windows", "events", "late"):
            joined[name] = rows[name].sum()
        joined["statistic"], joined["threshold"] = alarm["statistic"], alarm["threshold"]
        for name in ("data", "prediction"):
            joined[name] = np.fmax.reduce(rows[name])
        drift = np.zeros(1, drift_of(len(self.series)))
        drift["ratio"] = np.fmax.reduce(of.ratio, axis=0)
        drift["verdict"] = np.maximum.reduce(of.verdict, axis=0, initial=0)
        self._rows.replace(at, after, joined.tobytes())
        self._metrics.replace(at, after, together(of.metrics, [0]).tobytes())
        self._drift.replace(at, after, drift.tobytes())
        self._ends[at:after] = array("q", [int(joined["end"])])

    def _expire(self) -> None:
        gone = bisect_right(self._ends, self._ends[-1] - self._kept_ms)
        gone = max(gone, len(self._ends) - MOST_ROWS)
        if gone:
            del self._ends[:gone]
            for table in (self._rows, self._metrics, self._drift):
                table.replace(0, gone, b"")
            self._settled, self._fine = max(self._settled - gone, 0), max(self._fine - gone, 0)

    def shorten(self, kept_ms: int) -> None:
        """Keep less of it from now on."""
        self._kept_ms = min(kept_ms, self._kept_ms)
        if self._ends:
            self._expire()

    def forget(self) -> None:
        """Give back the documents that are in memory."""
        while self._kept:
            self._let_go(0)

    # ---- reading

    @property
    def newest_ms(self) -> int:
        """End of the newest window; -1: there is none."""
        return self._ends[-1] if self._ends else -1

    @property
    def size(self) -> int:
        """Bytes of its rows."""
        return 8 * len(self._ends) + self._rows.size + self._metrics.size + self._drift.size

    def between(self, start_ms: int | None, end_ms: int | None) -> tuple[int, int]:
        """The rows of windows that end within ``[start_ms, end_ms]``; None means any."""
        start = 0 if start_ms is None else bisect_left(self._ends, start_ms)
        return start, len(self._ends) if end_ms is None else bisect_right(self._ends, end_ms)

    def columns(self, start: int = 0, end: int | None = None) -> Columns:
        """A copy of some rows."""
        end = len(self._ends) if end is None else end
        many, metrics, series = max(end - start, 0), len(self.metrics), len(self.series)
        rows = np.frombuffer(self._rows.rows(start, end), ROWS)
        cells = np.frombuffer(self._metrics.rows(start, end), CELLS).reshape(many, metrics)
        if not series:
            nothing = np.zeros((many, 0), np.uint8)
            return Columns(rows, cells, nothing.astype(np.float16), nothing)
        drift = np.frombuffer(self._drift.rows(start, end), drift_of(series))
        return Columns(rows, cells, drift["ratio"], drift["verdict"])

    def place(self, end_ms: int) -> Place | None:
        """Where the document of the window that ends then is; of windows put together, the worst one's."""
        at = bisect_left(self._ends, end_ms)
        if at == len(self._ends) or self._ends[at] != end_ms:
            return None
        return self._place(self._row(at))

    def _place(self, row: Row) -> Place:
        return Partition(self._topic, row.partition), row.offset

    def _row(self, at: int) -> Row:
        return Row(*_ROW.unpack(self._rows.rows(at, at + 1)))

    def __len__(self) -> int:
        return len(self._ends) - self._fine

    @overload
    def __getitem__(self, index: int) -> Judged: ...
    @overload
    def __getitem__(self, index: slice) -> list[Judged]: ...
    def __getitem__(self, index: int | slice) -> Judged | list[Judged]:
        many = len(self)
        if isinstance(index, slice):
            return [self._judged(self._fine + at) for at in range(*index.indices(many))]
        if not -many <= index < many:
            raise IndexError(index)
        return self._judged(self._fine + index % many)

    def _judged(self, at: int) -> Judged:
        row = self._row(at)
        effects = {}
        if row.data == row.data:
            effects["data_drift"] = row.data
        if row.prediction == row.prediction:
            effects["prediction_drift"] = row.prediction
        return Judged(
            row.end,
            row.start,
            self.subject,
            row.events,
            row.late,
            VERDICTS[row.verdict],
            self._reasons[row.reason],
            None if row.statistic != row.statistic else row.statistic,
            None if row.threshold != row.threshold else row.threshold,
            effects,
            row.logged,
            self._place(row),
            self._whole,
        )


def _cell(of: Measured) -> tuple[float, float, float, int]:
    value, low, high = (
        nan if x is None else min(max(x, -_LARGEST), _LARGEST) for x in (of.value, of.low, of.high)
    )
    return value, low, high, min(max(of.n, 0), MOST)
