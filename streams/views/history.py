"""How did things change over the last thirty days? Lines of numbers and the drift of every series, as numpy columns."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streams.views.columns import Columns, together
from streams.views.past import DAY_MS as DAY_MS
from streams.views.past import VERDICTS as VERDICTS
from streams.views.past import Past, Scoped
from streams.views.read import ReadModel

Times = NDArray[np.int64]
Values = NDArray[np.float64]

OF_WINDOWS = ("events", "late", "alarm_ratio", "data_drift", "prediction_drift")


@dataclass(frozen=True, slots=True)
class Line:
    """One number over time, of one subject and scope."""

    name: str
    end_ms: Times  # window ends, ascending
    value: Values  # NaN: that window had none
    low: Values  # NaN: no interval
    high: Values
    n: NDArray[np.int64]
    reference: float | None  # latest known
    threshold: float | None


@dataclass(frozen=True, slots=True)
class Heat:
    """Drift of every series over time."""

    series: tuple[str, ...]  # most drifting first
    end_ms: Times
    ratio: NDArray[np.float32]  # [series, window]: effect over its floor; NaN: none measured
    verdict: NDArray[np.uint8]  # [series, window]: index into `VERDICTS`


def windows(read: ReadModel, model_id: str, version: str, segment: str, scope: str) -> Times:
    """Ends of all windows that are known, ascending; of thirty days at most."""
    past = _past(read, model_id, version, segment, scope)
    return np.zeros(0, np.int64) if past is None else past.columns().rows["end"].astype(np.int64)


def lines(
    read: ReadModel,
    model_id: str,
    version: str,
    segment: str,
    scope: str,
    names: Iterable[str] | None = None,
    start_ms: int | None = None,
    end_ms: int | None = None,
    most: int = 500,
) -> list[Line]:
    """Numbers over time; a name that nothing is known of has no line.

    Parameters
    ----------
    names : of metrics as results name them, and of `OF_WINDOWS`: events and those counted late per window, the alarm's
        log statistic over its threshold, and the largest effect over its floor of features and of predictions. None:
        all that there are, metrics first
    start_ms, end_ms : windows that end within; None: any
    most : points of a line. Where there are more windows, runs of them are put together: the mean, weighted by what
        each was measured on, between the lowest of the lower and the highest of the upper bounds; of alarms and
        effects the largest

    Examples
    --------
    >>> from streams.topics import Names
    >>> lines(ReadModel(Names()), "loans", "1.0.0", "all", "inputs")
    []
    """
    past = _past(read, model_id, version, segment, scope)
    if past is None:
        return []
    of = past.columns(*past.between(start_ms, end_ms))
    if not len(of.rows):
        return []
    starts = runs(of.rows["end"], most)
    ends = of.rows["end"][np.append(starts[1:], len(of.rows)) - 1].astype(np.int64)
    found = {
        line.name: line
        for line in (*_metrics(past, of, starts, ends), *_of_windows(of, starts, ends))
    }
    return [found[name] for name in (found if names is None else names) if name in found]


def heat(
    read: ReadModel,
    model_id: str,
    version: str,
    segment: str,
    start_ms: int | None = None,
    end_ms: int | None = None,
    most: int = 240,
) -> Heat:
    """Drift of every series; where there are more windows than `most`, the worst of each run of windows.

    The series that drifted in the most windows comes first, then the one that went furthest beyond its floor.
    """
    past = _past(read, model_id, version, segment, "inputs")
    if past is None:
        return _COLD
    names = tuple(past.series)
    of = past.columns(*past.between(start_ms, end_ms))
    if not len(of.rows) or not names:
        return _COLD
    starts = runs(of.rows["end"], most)
    ends = of.rows["end"][np.append(starts[1:], len(of.rows)) - 1].astype(np.int64)
    ratio = np.fmax.reduceat(of.ratio[:, : len(names)].astype(np.float32), starts, axis=0)
    verdict = np.maximum.reduceat(of.verdict[:, : len(names)], starts, axis=0)
    bad = (verdict >= VERDICTS.index("drifting")).sum(0).tolist()
    peak = np.nan_to_num(np.fmax.reduce(ratio, axis=0), nan=-1.0).tolist()
    order = sorted(range(len(names)), key=lambda k: (-bad[k], -peak[k], names[k]))
    shown = [k for k in order if peak[k] >= 0 or verdict[:, k].any()]
    return Heat(
        tuple(names[k] for k in shown),
        ends,
        np.ascontiguousarray(ratio[:, shown].T),
        np.ascontiguousarray(verdict[:, shown].T),
    )


def runs(ends: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Where runs of windows begin, so that there are at most `most`: those that end in the same stretch of time.

    Stretches lie where they lie whatever the first window is, so that a picture does not flicker as time goes on.

    >>> runs(np.array([1, 2, 3, 4, 5, 6, 7]), 4).tolist()
    [0, 2, 4, 6]
    """
    if len(ends) <= most:
        return np.arange(len(ends))
    step = max(int(np.median(np.diff(ends))), 1)
    span = int(ends[-1] - ends[0])
    length = -(-span // (max(most - 1, 1) * step)) * step
    of = (ends - 1) // length
    return np.flatnonzero(np.append(True, of[1:] != of[:-1]))


_COLD = Heat((), np.zeros(0, np.int64), np.zeros((0, 0), np.float32), np.zeros((0, 0), np.uint8))


def _past(read: ReadModel, model_id: str, version: str, segment: str, scope: str) -> Past | None:
    return read.results.get(model_id, {}).get(Scoped(model_id, version, segment, scope))


def _metrics(past: Past, of: Columns, starts: Times, ends: Times) -> Iterator[Line]:
    cells = together(of.metrics, starts) if len(starts) < len(of.rows) else of.metrics
    names = list(past.metrics.items())
    for name, column in names:
        if column >= cells.shape[1]:
            continue
        cell = cells[:, column]
        if np.isnan(cell["value"]).all():
            continue
        reference, threshold = past.lines.get(name, (None, None))
        value, low, high = (seven(cell[part]) for part in ("value", "low", "high"))
        yield Line(name, ends, value, low, high, cell["n"].astype(np.int64), reference, threshold)


def _of_windows(of: Columns, starts: Times, ends: Times) -> Iterator[Line]:
    rows = of.rows
    n = np.add.reduceat(rows["events"], starts)
    many = np.add.reduceat(rows["windows"], starts)
    none = np.full(len(starts), np.nan)

    def line(name: str, value: Values, reference: float | None, threshold: float | None) -> Line:
        return Line(name, ends, value, none, none, n, reference, threshold)

    yield line("events", n / many, None, None)
    if rows["late"].any():
        yield line("late", np.add.reduceat(rows["late"], starts) / many, None, None)
    with np.errstate(divide="ignore", invalid="ignore"):
        alarm = np.maximum(np.nan_to_num(rows["statistic"]), 0.0) / rows["threshold"]
    alarm[~(rows["threshold"] > 0)] = np.nan
    for name, value in (
        ("alarm_ratio", alarm),
        ("data_drift", rows["data"]),
        ("prediction_drift", rows["prediction"]),
    ):
        if not np.isnan(value).all():
            yield line(name, np.fmax.reduceat(value, starts), None, 1.0)


def seven(values: NDArray[np.float32]) -> Values:
    """Floats of four bytes as people wrote them: seven digits, none of them made up.

    >>> float(np.float32(0.9)), float(seven(np.array([0.9], np.float32))[0])
    (0.8999999761581421, 0.9)
    """
    found = values.astype(np.float64)
    sure = np.isfinite(found) & (found != 0)
    digits = 6 - np.floor(np.log10(np.abs(found[sure])))
    scale = 10.0 ** np.clip(digits, -300, 300)
    found[sure] = np.rint(found[sure] * scale) / scale
    return found
