"""What do the configured detectors make of this past: false alarms, and the smallest changes they would find?"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from detectors.calibration import (
    DAY_MS,
    WEEK_MS,
    Alone,
    Found,
    Judged,
    Run,
    judge,
    problems,
    prove,
    runs,
    smallest,
)
from detectors.injection import Injection, Kind, injections
from detectors.judging.memory import Past
from detectors.judging.plan import Plan
from detectors.reference import joint
from detectors.reference.derived import features_of
from detectors.samples.effects import Floats
from detectors.types import Status
from streams.offline.past import History, Subject
from streams.segments import ALL

__all__ = ["Calibration", "Episode", "FalseAlarms", "Reach", "calibrate", "work"]

MONTH_MS = 30 * DAY_MS
HORIZONS = {"day": DAY_MS, "week": WEEK_MS}
_NONE: Floats = np.empty(0)


@dataclass(frozen=True, slots=True)
class Episode:
    """A problem that the past would have raised."""

    version: str
    segment: str
    opened: str  # start of the first window, ISO 8601
    until: str | None  # end of the last window; None: still open when the past ends
    severe: bool
    series: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FalseAlarms:
    """What would have been raised, all versions and segments together. A month has 30 days."""

    days: float
    windows: int  # that were judged
    insufficient: int
    raised: int
    per_month: float
    allowed_per_month: float
    nearest: float  # largest log M over log A: 1 is an alarm
    episodes: tuple[Episode, ...]


@dataclass(frozen=True, slots=True)
class Reach:
    """The smallest change of one series that is found. `unit`: what a shift of 1 is, in the series' own unit.

    `day` and `week` are None where nothing was injected: see `Calibration.nothing`, or the values are not at hand.
    """

    series: str
    change: Kind
    unit: float | None
    day: Found | None
    week: Found | None


@dataclass(frozen=True, slots=True)
class Calibration:
    """Everything measured. `nothing` says, by horizon, why no change could be injected."""

    model_id: str
    version: str
    reference: str
    window_ms: int
    budget: str
    events: int
    first: str
    last: str
    false_alarms: FalseAlarms
    runs: Mapping[str, int]
    nothing: Mapping[str, str]
    again: tuple[str, ...]  # horizons longer than the past, whose windows were used more than once
    reaches: tuple[Reach, ...]
    notes: tuple[str, ...]


def work(history: History) -> int:
    """How many steps `calibrate` counts for a past."""
    plan = history.plan.detector(*main_subject(history))
    series = len(plan.watch.positions) if plan is not None and plan.watch is not None else 0
    return 1 + 2 * len(HORIZONS) * (1 + series)


def main_subject(history: History) -> Subject:
    """The version changes are injected into: the lifecycle's, or the one with most windows; all segments together."""
    current = history.plan.lifecycle.version, ALL
    if current in history.windows:
        return current
    return max((s for s in history.windows if s[1] == ALL), key=lambda s: len(history.windows[s]))


def calibrate(
    history: History, *, most: int = 10, advance: Callable[[int], None] = lambda done: None
) -> Calibration:
    """Judge a past, then inject changes into it.

    Parameters
    ----------
    most : runs for every horizon, from different places in the past
    advance : told how much of `work` is done
    """
    judged: dict[Subject, Judged] = {}
    plans: dict[Subject, Plan] = {}
    main = main_subject(history)
    for subject, windows in history.windows.items():
        plan = history.plan.detector(*subject)
        assert plan is not None  # others are not in the history
        plans[subject], judged[subject] = plan, judge(plan, windows, remember=subject == main)
    advance(1)
    injected = _Injected(history, main, plans[main], judged[main], most, advance)
    windows = history.windows[main]
    return Calibration(
        model_id=history.plan.lifecycle.model_id,
        version=main[0],
        reference=history.reference.reference_id,
        window_ms=history.plan.window_ms,
        budget=history.plan.budget,
        events=history.events,
        first=_iso(windows[0].window.start_ms),
        last=_iso(windows[-1].window.end_ms),
        false_alarms=_false_alarms(history, judged, plans),
        reaches=injected.reaches(),
        runs={name: len(of) for name, of in injected.runs.items()},
        nothing=injected.nothing,
        again=tuple(
            name
            for name in injected.runs
            if windows[-1].window.end_ms - windows[0].window.start_ms < HORIZONS[name]
        ),
        notes=(*plans[main].notes, *_about_overlap(history, windows)),
    )


# --------------------------------------------------------------------------------------------------- false alarms


def _false_alarms(
    history: History, judged: Mapping[Subject, Judged], plans: Mapping[Subject, Plan]
) -> FalseAlarms:
    every = [past.window for of in history.windows.values() for past in of]
    span = max(w.end_ms for w in every) - min(w.start_ms for w in every)
    found = [
        Episode(
            *subject,
            _iso(p.opened.start_ms),
            None if p.open else _iso(p.last.end_ms),
            p.severe,
            p.series,
        )
        for subject, of in judged.items()
        for p in problems(of)
    ]
    statuses = [v.status for of in judged.values() for v in of.verdicts]
    nearest = max(
        (
            v.alarm.log_statistic / v.alarm.log_threshold
            for of in judged.values()
            for v in of.verdicts
            if v.alarm is not None and v.alarm.log_statistic is not None
        ),
        default=0.0,
    )
    allowed = history.plan.lifecycle.monitoring.false_alarms
    insufficient = statuses.count(Status.INSUFFICIENT)
    return FalseAlarms(
        days=round(span / DAY_MS, 2),
        windows=len(statuses) - insufficient,
        insufficient=insufficient,
        raised=len(found),
        per_month=round(len(found) * MONTH_MS / span, 3),
        allowed_per_month=round(allowed.count * MONTH_MS / (allowed.per.total_seconds() * 1000), 3),
        nearest=round(max(nearest, 0.0), 3),
        episodes=tuple(sorted(found, key=lambda e: (e.opened, e.segment != ALL, e.segment))),
    )


# ------------------------------------------------------------------------------------------------------ injecting


class _Injected:
    """Searches and proves, horizon by horizon; series that have never been missing prove their missing share once."""

    def __init__(
        self,
        history: History,
        subject: Subject,
        plan: Plan,
        judged: Judged,
        most: int,
        advance: Callable[[int], None],
    ) -> None:
        self._history, self._segment, self._plan = history, subject[1], plan
        self._advance, self._done = advance, 1
        self.runs: dict[str, tuple[Run, ...]] = {}
        self.nothing: dict[str, str] = {}
        if plan.watch is None:
            self.nothing = dict.fromkeys(HORIZONS, "the reference is too small for any verdict")
            return
        for name, length_ms in HORIZONS.items():
            self.runs[name] = runs(plan, judged, length_ms, most)
            if not self.runs[name]:
                del self.runs[name]
                self.nothing[name] = _why_nothing(history, judged, name, length_ms)
        values, missing = injections(plan, _values(history, subject))
        # What is computed from several features cannot be changed by itself.
        related = {n for n, f in features_of(history.reference.derived).items() if f == joint.NAME}
        mine = [plan.series[k].name not in related for k in plan.watch.positions]
        self._of_values = [c if own else None for c, own in zip(values, mine, strict=True)]
        self._of_missing = [c if own else None for c, own in zip(missing, mine, strict=True)]
        self._alone = [
            Alone.of(history.reference, self._segment, plan, k)
            for k in range(len(plan.watch.positions))
        ]

    def reaches(self) -> tuple[Reach, ...]:
        """Of every watched series, in order: of its values, then of its missing share."""
        if self._plan.watch is None:
            return ()
        names = [self._plan.series[k].name for k in self._plan.watch.positions]
        units = [
            change.series.scale if change is not None and change.kind == "shift" else None
            for change in self._of_values
        ]
        found: dict[tuple[str, str], list[Found | None]] = {}
        for which, changes in (("values", self._of_values), ("missing", self._of_missing)):
            known: list[Found | None] = [None] * len(names)  # what a shorter time finds
            for name in HORIZONS:
                known = found[name, which] = self._found(name, changes, known)
        out = []
        for k, name in enumerate(names):
            change = self._of_values[k]
            if change is not None:
                days = (found[horizon, "values"][k] for horizon in HORIZONS)
                out.append(Reach(name, change.kind, units[k], *days))
            if self._of_missing[k] is not None:
                days = (found[horizon, "missing"][k] for horizon in HORIZONS)
                out.append(Reach(name, "missing", None, *days))
        return tuple(out)

    def _found(
        self,
        horizon: str,
        changes: Sequence[Injection | None],
        sooner: Sequence[Found | None],
    ) -> list[Found | None]:
        of, length_ms = self.runs.get(horizon, ()), HORIZONS[horizon]
        sizes = smallest(self._plan, of, changes, length_ms) if of else [0.0] * len(changes)
        self._step()
        out: list[Found | None] = []
        known: dict[object, Found] = {}
        for k, (change, size) in enumerate(zip(changes, sizes, strict=True)):
            self._step()
            before = sooner[k]
            if before is not None and before.size is not None and size > before.size:
                size = before.size
            if not of or change is None:
                out.append(None)
                continue
            alike = self._alike(k, change)
            if alike not in known:
                known[alike] = prove(self._alone[k], of, change, float(size), length_ms)
            out.append(known[alike])
        return out

    def _alike(self, column: int, change: Injection) -> object:
        """What the proof of a missing share depends on, where none has ever been missing."""
        missing = change.first + change.series.cells - 1
        ever = self._plan.counts[missing] or any(
            past.counts[missing] for of in self.runs.values() for r in of for _, past in r.steps
        )
        if change.kind != "missing" or ever:
            return column
        panel = self._alone[column].plan.watch
        assert panel is not None
        return panel.panel.kinds, panel.panel.phi[-1]

    def _step(self) -> None:
        self._done += 1
        self._advance(self._done)


def _values(history: History, subject: Subject) -> dict[str, tuple[Floats, ...]]:
    """Values of numbers in every window of the subject; never more than were counted there."""
    plan = history.plan.detector(*subject)
    assert plan is not None
    found = {}
    for series, first in zip(plan.series, plan.offsets, strict=True):
        if (of := history.numbers.get(series.name)) is not None:
            end = first + series.cells - 1  # without missing
            found[series.name] = tuple(
                of[start][: int(past.counts[first:end].sum())]
                if (start := past.window.start_ms) in of
                else _NONE
                for past in history.windows[subject]
            )
    return found


def _about_overlap(history: History, windows: Sequence[Past]) -> Iterator[str]:
    """Whether the reference was built from this very past; a shared window at its edge does not matter."""
    built = history.reference.built_from
    if built.start_ms is not None and built.end_ms is not None:
        first, last = windows[0].window.start_ms, windows[-1].window.end_ms
        if min(last, built.end_ms) - max(first, built.start_ms) > history.plan.window_ms:
            yield (
                "the reference was built from this time: against its own events most looks quiet, "
                "and unseen words and values look as if they had become fewer"
            )


def _why_nothing(history: History, judged: Judged, name: str, length_ms: int) -> str:
    first, last = judged.windows[0].window.start_ms, judged.windows[-1].window.end_ms
    if history.plan.window_ms > length_ms:
        return f"a window is longer than a {name}"
    if 7 * (last - first) < length_ms:
        return f"the past is shorter than a seventh of a {name}"
    return f"there is no quiet {name} in this past to inject a change into"


def _iso(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
