"""What should be set differently, as far as a past can tell? Window, budget, season and the reference's dispersion."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import ceil, exp, inf, log

import numpy as np

from detectors.alarm.budget import LEAST
from detectors.alarm.scores import scores
from detectors.alarm.sequential import MIN_WINDOWS
from detectors.calibration import DAY_MS
from detectors.judging.decision import Plan
from detectors.judging.memory import Past
from detectors.reference.dependence import dependence
from detectors.reference.frozen import SLOTS, Season
from detectors.reference.seasons import DAYS, explained, proposal
from detectors.samples.effects import Ints
from detectors.series import Series
from streams import seasons
from streams.lifecycle.grammar import human
from streams.offline.calibration import Calibration, main_subject
from streams.offline.past import History

__all__ = ["Advice", "Dispersion", "advise", "snippet"]

FULL = 0.9  # share of windows that should hold enough events
OFF = 1.25  # times the reference's φ from which it matters
PRECISE = 1_000  # events from which a window tells a tenth of a standard deviation
_LENGTHS_MIN = (1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 240, 360, 480, 720, 1440, 2880, 10080)
_MOST_PATIENT = 3650  # days per false alarm


@dataclass(frozen=True, slots=True)
class Dispersion:
    """φ of one score of a series: in the reference, and its bounds in the past."""

    series: str
    score: str
    reference: float | None  # None: it was not calibrated
    low: float
    high: float
    off: bool  # the reference's is too small


@dataclass(frozen=True, slots=True)
class Advice:
    """What to set, and why: one sentence for every setting. `season` None: as it is."""

    window: str
    window_events: int  # the median window's
    false_alarms: str
    supported: (
        str | None
    )  # the budget that allows most of those with which this past would have been quiet
    season: str | None
    rebuild: bool  # whether the reference should be built anew
    dispersion: tuple[Dispersion, ...]  # of every series of which enough windows were seen
    because: tuple[str, ...]


def advise(history: History, calibration: Calibration) -> Advice:
    """Read advice off a past that was judged."""
    plan = history.plan.detector(*main_subject(history))
    assert plan is not None  # it was judged with it
    windows = history.windows[main_subject(history)]
    because: list[str] = []
    window_ms = _window(history, windows, because)
    season = _season(history, plan, windows) if seasons.fits(window_ms) else None
    dispersion = _dispersion(history, plan, windows)
    off = [d for d in dispersion if d.off]
    calibrated = all(r.dispersion for r in history.reference.series)
    if season is not None:
        because.append(
            f"season: {season[0]} explains {season[1]:.0%} of how windows differ beyond chance: "
            "every window is compared with its own hour"
        )
    if off:
        most = max(off, key=lambda d: d.low / (d.reference or 1.0))
        because.append(
            f"dispersion: the rows of {len(off)} series depend on each other more than the reference knows "
            f"({most.series}: φ is at least {most.low:.2g}, the reference has {most.reference or 1:.2g}): "
            "false alarms may exceed the budget; rebuild it with leeway baseline from windows such as these, "
            "unless they drifted, which looks the same"
        )
    elif not calibrated:
        because.append(
            f"dispersion: the reference has none: rebuild it with leeway baseline from {MIN_WINDOWS} or more "
            "consecutive windows with event times"
        )
    elif not dispersion:
        because.append(
            f"dispersion: these {len(windows)} windows are too few to tell, of at least {MIN_WINDOWS}"
        )
    else:
        because.append("dispersion: the reference's φ covers what these windows show")
    quiet = _quiet_for(history, calibration)
    allowed = _budget(history, calibration, quiet, bool(off) or season is not None, because)
    rebuild = bool(off) or not calibrated or season is not None
    return Advice(
        window=human(timedelta(milliseconds=window_ms)),
        window_events=int(np.median([w.window.events for w in windows])),
        false_alarms=allowed,
        supported=None if quiet is None else f"1 per {_days(quiet)}",
        season=season[0] if season else None,
        rebuild=rebuild or window_ms != history.plan.window_ms,
        dispersion=tuple(dispersion),
        because=tuple(because),
    )


def snippet(history: History, advice: Advice) -> str:
    """The settings as YAML, to go under `model_lifecycle`."""
    size = f"window: {{size: {advice.window}}}"
    data = history.plan.lifecycle.monitoring.drift_detection.data_drift
    lines = ["monitoring:"]
    if data.check_frequency is None:
        lines.append(f"  {size}")
    else:
        lines.append(f"  drift_detection: {{data_drift: {{check_frequency: {advice.window}}}}}")
    lines.append(f"  false_alarms: {advice.false_alarms}")
    if advice.season:
        lines += ["reference:", f"  season: {advice.season}"]
    return "\n".join(lines) + "\n"


# --------------------------------------------------------------------------------------------------------- window


def _window(history: History, windows: Sequence[Past], because: list[str]) -> int:
    """The shortest usual length whose windows hold enough events, if the present one's do not."""
    plan = history.plan
    detector = plan.detector(*main_subject(history))
    assert detector is not None
    least, now = detector.policy.min_rows, plan.window_ms
    events = int(np.median([w.window.events for w in windows]))
    said = f"window: {_long(now)} brings {events:,} events in the median"
    if _full(windows, now, least) >= FULL:
        shorter = [
            length
            for length in _lengths(plan.pane_ms)
            if length < now and events * length / now >= PRECISE
        ]
        hint = (
            f"; {_long(shorter[0])} would bring {events * shorter[0] // now:,} and tell of large changes sooner "
            "(and needs a reference built for it)"
            if shorter
            else ""
        )
        because.append(f"{said}, a verdict needs {least}{hint}")
        return now
    span = windows[-1].window.end_ms - windows[0].window.start_ms
    for length in _lengths(plan.pane_ms):
        if length > now and _full(windows, length, least) >= FULL and span >= MIN_WINDOWS * length:
            because.append(
                f"{said}, fewer than the {least} of a verdict; {_long(length)} has enough"
            )
            return length
    because.append(
        f"{said}, fewer than the {least} of a verdict: windows are added up until they have them. A longer window "
        f"would leave fewer than {MIN_WINDOWS} in this past, too few to see how rows depend on each other"
    )
    return now


def _lengths(pane_ms: int) -> Iterator[int]:
    return (m * 60_000 for m in _LENGTHS_MIN if m * 60_000 % pane_ms == 0)


def _full(windows: Sequence[Past], length_ms: int, least: int) -> float:
    """Share of windows of a length, of those with events, that hold enough."""
    starts = np.array([w.window.start_ms // length_ms for w in windows])
    events = np.bincount(starts - starts.min(), [w.window.events for w in windows])
    return float((events >= least).sum() / max((events > 0).sum(), 1))


def _long(ms: int) -> str:
    return human(timedelta(milliseconds=ms))


# ----------------------------------------------------------------------------------------- season and dependence


def _season(history: History, plan: Plan, windows: Sequence[Past]) -> tuple[str, float] | None:
    """A season that explains most of how windows differ, and how much; None if there is one already, or none does."""
    model = history.plan
    if history.reference.season is not None or not seasons.fits(model.window_ms):
        return None
    days = len(windows) * model.window_ms / DAY_MS
    shares: dict[str, float | None] = {}
    for name in SLOTS:
        if days < DAYS[name]:
            continue
        of = seasons.slot_of(Season(name, model.lifecycle.reference.timezone))
        slots = np.array([of(w.window.start_ms) for w in windows])
        parts = [
            explained(cells, slots, scores(series, cells.sum(0), history.reference.rows))
            for series, cells in _watched(plan, windows)
        ]
        between, whole = (sum(p[k] for p in parts) for k in (0, 1))
        shares[name] = between / whole if whole > 0 else None
    proposed = proposal(shares)
    return None if proposed is None else (proposed, min(shares[proposed] or 0.0, 1.0))


def _dispersion(history: History, plan: Plan, windows: Sequence[Past]) -> list[Dispersion]:
    """φ of every watched series: of the score that is furthest off, else of that with the largest."""
    reference = history.reference
    slots = np.array([w.window.slot for w in windows]) if reference.season else None
    of = {r.series.name: r for r in reference.series}
    out = []
    for series, cells in _watched(plan, windows):
        known = dict(of[series.name].dispersion)
        found = [
            Dispersion(
                series.name,
                score.name,
                known.get(score.name),
                round(bounds.low, 3),
                round(bounds.high, 3),
                off=bounds.low > OFF * known.get(score.name, inf),
            )
            for score in scores(series, np.array(of[series.name].counts), reference.rows)
            if not score.rare and (bounds := dependence(cells, series, score, slots)) is not None
        ]
        if found:
            out.append(
                max(found, key=lambda d: (d.off, d.off * d.low / (d.reference or 1.0), d.high))
            )
    return out


def _watched(plan: Plan, windows: Sequence[Past]) -> Iterator[tuple[Series, Ints]]:
    """Every watched series with its cells in all windows, (T, cells)."""
    counts = np.stack([w.counts for w in windows])
    for k in plan.watch.positions if plan.watch is not None else ():
        first, series = plan.offsets[k], plan.series[k]
        yield series, counts[:, first : first + series.cells]


# --------------------------------------------------------------------------------------------------------- budget


def _budget(
    history: History,
    calibration: Calibration,
    quiet: timedelta | None,
    cause: bool,
    because: list[str],
) -> str:
    """The budget as it is, unless the past raised more than it allows for no reason that can be taken away."""
    found, plan = calibration.false_alarms, history.plan
    allowed = plan.lifecycle.monitoring.false_alarms
    written = plan.budget
    if found.raised == 0:
        more = ""
        if quiet is not None and quiet * allowed.count < allowed.per:
            more = f"; 1 per {_days(quiet)} would have raised nothing either"
        because.append(f"false_alarms: {written} raised nothing in {found.days:g} days{more}")
        return written
    often = (
        f"{found.raised} in {found.days:g} days, {found.per_month:g} a month, where {written} allows "
        f"{found.allowed_per_month:g}"
    )
    if found.per_month <= found.allowed_per_month:
        because.append(f"false_alarms: {often}")
        return written
    if cause:
        because.append(
            f"false_alarms: {often}; if nothing drifted, first do the above, then calibrate again"
        )
        return written
    if quiet is None:
        because.append(
            f"false_alarms: {often}, and no budget would have been quiet: what was raised is drift of this past"
        )
        return written
    because.append(f"false_alarms: {often}; 1 per {_days(quiet)} would have raised nothing")
    return f"1 per {_days(quiet)}"


def _quiet_for(history: History, calibration: Calibration) -> timedelta | None:
    """The shortest time per false alarm with which this past would have been quiet; None beyond ten years."""
    plan = history.plan
    log_peak = calibration.false_alarms.nearest * plan.policy.log_threshold
    if log_peak > log(_MOST_PATIENT * DAY_MS):
        return None
    alarms = 2 * (1 + len(history.reference.segments))
    days = max(1, ceil(plan.window_ms * max(LEAST, exp(log_peak)) / (alarms * DAY_MS)))
    return timedelta(days=days) if days <= _MOST_PATIENT else None


def _days(length: timedelta) -> str:
    days = length.days
    return f"{days} day{'' if days == 1 else 's'}"
