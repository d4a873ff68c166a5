"""Is the model up, and is what it is fed whole? Windows of scope `health`, from counts to checks.

Pure: what is remembered goes in and comes out, and time is that of the events.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from alerting.types import Kind
from detectors.binning import UNIT
from detectors.operations.layout import (
    STATUS,
    STATUSES,
    predictions,
)
from detectors.operations.measures import Measure, measures, share
from detectors.operations.rules import LEAST, Z99, failing, held, silence, volume
from detectors.operations.volume import LEAST_MS, Volume
from detectors.samples.effects import Z95
from detectors.types import Check, Reason, Status, Window
from streams.judging.limits import Limits, Mean, WrittenLine
from streams.judging.plans import UNVERSIONED
from streams.judging.quality import LOUD, Together, gone, quality
from streams.judging.scopes import Timing
from streams.judging.vitals import HealthWindow
from streams.messages import capped
from streams.segments import ALL

Ints = NDArray[np.int64]
MOST_QUALITY = 200  # entries of a result
_WORST = (Status.SEVERE, Status.DRIFTING, Status.STABLE)


class Sum(NamedTuple):
    """The windows of a longer period, so far, added up."""

    start_ms: int
    digest: str
    window: HealthWindow


@dataclass(frozen=True, slots=True)
class HealthMemory:
    """What judging the health of one version × segment remembers."""

    volume: Volume = field(default_factory=Volume)
    names: Mapping[str, int] = field(
        default_factory=dict
    )  # never declared -> end of the window that told of it
    gone: tuple[str, ...] = ()  # features that are missing everywhere
    sums: Mapping[int, Sum] = field(default_factory=dict)  # by length of the period

    def to_data(self) -> dict[str, Any]:
        """Plain data; `from_data` reads it back."""
        return {
            "volume": self.volume.to_data(),
            "names": dict(self.names),
            "gone": list(self.gone),
            "sums": [
                [length, of.start_ms, of.digest, of.window.to_data()]
                for length, of in sorted(self.sums.items())
            ],
        }

    @classmethod
    def from_data(cls, data: Any) -> "HealthMemory":
        """The inverse of `to_data`."""
        return cls(
            Volume.from_data(data["volume"]),
            data["names"],
            tuple(data["gone"]),
            {
                length: Sum(start, digest, HealthWindow.from_data(window))
                for length, start, digest, window in data["sums"]
            },
        )


@dataclass(frozen=True, slots=True)
class HealthVerdict:
    """What one window says of a version × segment.

    Of shares that are well and calm only the worst of each rule is among the `checks`: what is not named is well.
    """

    window: Window
    status: Status
    reason: Reason
    checks: Mapping[Kind, tuple[Check, ...]]  # data_quality, operational, performance
    quality: dict[str, dict[str, object]]  # as results have them
    metrics: dict[str, dict[str, object]]
    notices: tuple[str, ...]  # one line each, for people
    statuses: Mapping[str, int]  # predictions by status
    last_ms: int | None  # end of the last pane with a prediction, this window included


def close(
    limits: Limits,
    memory: HealthMemory,
    windows: Mapping[str, HealthWindow],
    window: Window,
    version: str,
    segment: str,
) -> tuple[HealthMemory, HealthVerdict]:
    """Judge one window of one version and segment, and remember what the next ones need.

    Parameters
    ----------
    windows : what was counted, by the digest of the reference; none: nothing came
    window : its start, its end, and what else results tell of it
    """
    counted, of = windows.get(limits.digest), Together.of(windows)
    mine = segment == ALL and version in (limits.version, UNVERSIONED)
    seen = memory.volume.seen(of.predicted, limits.pane_ms)
    judged = quality(limits, counted, of, segment)
    traffic = _traffic(limits, memory.volume, seen, of.vector, window) if mine else ()
    sums = _added(limits, memory.sums, counted, window, segment)
    lines = tuple(_lines(limits, sums, counted, of.vector, window, segment))
    answered = failing(measures(of.vector, limits.window_ms, Z99).get("availability"))
    checks: dict[Kind, tuple[Check, ...]] = {
        "data_quality": judged,
        "operational": (*(j for k, j in lines if k == "operational"), answered, *traffic),
        "performance": tuple(j for k, j in lines if k == "performance"),
    }
    missing = gone(limits, memory.gone, judged)
    names, notices = memory.names, (*_changed(memory.gone, missing), *_unversioned(version, window))
    if segment == ALL:
        names, told = _named(memory, of.names, window.end_ms)
        notices = (*told, *notices)
    if mine and not any(j.rule == "silent" and j.status in LOUD for j in traffic):
        # an outage is not usual
        seen = seen.after(window.start_ms, predictions(of.vector), limits.window_ms)
    status, reason = _concluded(chain.from_iterable(checks.values()), window)
    verdict = HealthVerdict(
        window=window,
        status=status,
        reason=reason,
        checks={kind: tuple(_telling(each)) for kind, each in checks.items()},
        quality=_entries((*judged, *traffic), len(notices)),
        metrics=_metrics(limits, counted, of.vector, lines),
        notices=notices,
        statuses=dict(zip((*STATUSES, "unknown"), of.vector[STATUS].tolist(), strict=True)),
        last_ms=seen.last_ms,
    )
    kept = {length: of for length, of in sums.items() if of.start_ms + length > window.end_ms}
    return HealthMemory(seen, names, missing, kept), verdict


# ---- how it runs


def _traffic(
    limits: Limits, usual: Volume, seen: Volume, vector: Ints, window: Window
) -> tuple[Check, ...]:
    n = predictions(vector)
    most = limits.silent_ms if limits.silent_ms is not None else _longest(limits, usual)
    # where it is not known what is usual, nothing is said
    silent = seen.silent_ms(window.end_ms) if most is not None else None
    judged = silence(silent, most if most is not None else LEAST_MS, n)
    return volume(n, usual.usual(window.start_ms, limits.window_ms), limits.quality.volume), judged


def _longest(limits: Limits, usual: Volume) -> int | None:
    """The longest silence that is well, by the reference and by what was seen; None where neither can say."""
    seen = usual.most_silent_ms
    if limits.gap_ms is None:
        return seen
    return max(LEAST_MS, 3 * limits.gap_ms, seen or 0)


def _added(
    limits: Limits,
    sums: Mapping[int, Sum],
    counted: HealthWindow | None,
    window: Window,
    segment: str,
) -> dict[int, Sum]:
    """The longer periods that some metric is measured over, with this window."""
    lengths = sorted({of.every_ms for of in limits.lines if of.segment == segment})
    found: dict[int, Sum] = {}
    for length in lengths:
        if length <= limits.window_ms:
            continue
        start, before = Timing(length).start_of(window.start_ms), sums.get(length)
        if before is None or (before.start_ms, before.digest) != (start, limits.digest):
            before = None
        if counted is None:
            found |= {length: before} if before is not None else {}
            continue
        whole = HealthWindow.from_data(counted.to_data()) if before is None else before.window
        if before is not None:
            whole.absorb(counted)
        found[length] = Sum(start, limits.digest, whole)
    return found


def _lines(
    limits: Limits,
    sums: Mapping[int, Sum],
    counted: HealthWindow | None,
    vector: Ints,
    window: Window,
    segment: str,
) -> Iterator[tuple[Kind, Check]]:
    """The metrics that were given a line, those of a longer period in the window that completes it."""
    for of in limits.lines:
        if of.segment != segment:
            continue
        if of.every_ms <= limits.window_ms:
            found = _measured(limits, counted, vector, limits.window_ms, Z99)
        elif (
            whole := sums.get(of.every_ms)
        ) is None or whole.start_ms + of.every_ms > window.end_ms:
            continue
        else:
            found = _measured(limits, whole.window, whole.window.vector, of.every_ms, Z99)
        yield of.kind, _held(of, found)


def _held(of: WrittenLine, found: Mapping[str, Measure]) -> Check:
    return held(
        of.line, of.metric, of.series, found.get(of.metric), reference=of.reference, unit=of.unit
    )


def measured(
    limits: Limits, windows: Mapping[str, HealthWindow], window: Window, names: Iterable[str]
) -> dict[str, Measure]:
    """All metrics of a window that need no labels, and the means of these features, with their 99 % intervals."""
    counted, vector = windows.get(limits.digest), Together.of(windows).vector
    return _measured(limits, counted, vector, window.end_ms - window.start_ms, Z99, names)


def _measured(
    limits: Limits,
    counted: HealthWindow | None,
    vector: Ints,
    span_ms: int,
    z: float,
    names: Iterable[str] = (),
) -> dict[str, Measure]:
    """All metrics that need no labels, and the means of these features beside those that have a line."""
    found = measures(vector, span_ms, z)
    if counted is None:
        return found
    if limits.positive is not None:
        cells = counted.counted.cells
        rate = share(int(cells[limits.positive]), int(cells[limits.outputs].sum()), z)
        found |= {"positive_rate": rate} if rate is not None else {}
    wanted = {"mean_score", *names} | {of.metric for of in limits.lines}
    for name in sorted(wanted & limits.means.keys()):
        mean = _mean(limits, limits.means[name], counted, z)
        found |= {name: mean} if mean is not None else {}
    return found


def _mean(limits: Limits, of: Mean, counted: HealthWindow, z: float) -> Measure | None:
    """The mean of a series from its sums, which are in 1/4096 of the reference's sd."""
    start = int(limits.starts[of.place])
    n = int(counted.counted.cells[start : start + of.series.values].sum())
    if not n:
        return None
    first, second = (int(x) for x in counted.sums.reshape(-1, 2)[of.place])
    unit = of.series.scale / UNIT
    middle = first / n
    error = z * (max(second / n - middle * middle, 0.0) / n) ** 0.5
    value, half = of.series.centre + unit * middle, unit * error
    return Measure(value, value - half, value + half, n)


# ---- what is told


def _named(
    memory: HealthMemory, names: tuple[str, ...], end_ms: int
) -> tuple[Mapping[str, int], tuple[str, ...]]:
    new = [name for name in names if name not in memory.names]
    if not new:
        return memory.names, ()
    kept = capped({**dict.fromkeys(new, end_ms), **memory.names})
    return kept, tuple(f"schema: {name} is no declared feature" for name in new if name in kept)


def _changed(before: tuple[str, ...], now: tuple[str, ...]) -> tuple[str, ...]:
    said = [f"schema: {_short(name)} vanished" for name in now if name not in before]
    return (*said, *(f"schema: {_short(name)} is back" for name in before if name not in now))


def _short(series: str) -> str:
    return series.removeprefix("feature:")


def _unversioned(version: str, window: Window) -> tuple[str, ...]:
    return (
        ("predictions name no model_version",) if version == UNVERSIONED and window.events else ()
    )


def _concluded(checks: Iterable[Check], window: Window) -> tuple[Status, Reason]:
    found = [of.status for of in checks]
    status = next((s for s in _WORST if s in found), Status.INSUFFICIENT)
    if status in (Status.SEVERE, Status.DRIFTING):
        return status, Reason.RULE
    if not window.events:
        return Status.INSUFFICIENT, Reason.NO_EVENTS
    if status == Status.INSUFFICIENT or window.events < LEAST:
        return Status.INSUFFICIENT, Reason.TOO_FEW_EVENTS
    return Status.STABLE, Reason.QUIET


def _telling(checks: tuple[Check, ...]) -> Iterator[Check]:
    """Without what is well: the worst of every rule stands for it."""
    worst: dict[str, Check] = {}
    for of in checks:
        rule = of.rule.partition("(")[0]
        if of.status != Status.STABLE or not of.calm:
            yield of
        elif rule not in worst or _near(of) > _near(worst[rule]):
            worst[rule] = of
    yield from worst.values()


def _near(of: Check) -> float:
    return (of.value or 0.0) - (of.limit or 0.0)


def _entries(quality: tuple[Check, ...], notices: int) -> dict[str, dict[str, object]]:
    """What results show: what is broken, and what is not nothing."""
    shown = [
        j for j in quality if j.value is not None and (j.value or j.rule in ("volume", "leak"))
    ]
    shown.sort(key=lambda j: (j.status not in (Status.SEVERE, Status.DRIFTING), -_near(j), j.rule))
    found: dict[str, dict[str, object]] = {
        j.rule: {
            "value": j.value,
            "limit": j.limit,
            "violated": j.status in (Status.SEVERE, Status.DRIFTING),
        }
        for j in shown[:MOST_QUALITY]
    }
    if notices:
        found["schema"] = {"value": float(notices), "limit": 0.0, "violated": False}
    return dict(sorted(found.items()))


def _metrics(
    limits: Limits,
    counted: HealthWindow | None,
    vector: Ints,
    lines: tuple[tuple[Kind, Check], ...],
) -> dict[str, dict[str, object]]:
    """Every metric with its 95 % interval; those of a longer period as they were held against their line."""
    written = {of.metric: of for of in limits.lines}
    measured = _measured(limits, counted, vector, limits.window_ms, Z95)
    found = {name: _entry(of, written.get(name)) for name, of in measured.items()}
    for _, judged in lines:
        line = written[judged.rule]
        if line.every_ms > limits.window_ms and judged.value is not None:
            whole = Measure(judged.value, judged.low or 0.0, judged.high or 0.0, judged.n)
            found[judged.rule] = _entry(whole, line)
    return found


def _entry(of: Measure, line: WrittenLine | None) -> dict[str, object]:
    if of.n < LEAST:
        return {"insufficient": Reason.TOO_FEW_EVENTS.value, "n": of.n}
    return {
        **of._asdict(),
        "reference": line.reference if line is not None else None,
        "threshold": line.line.limit if line is not None else None,
    }
