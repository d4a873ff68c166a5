"""Which changes would these detectors have found in this past, and how small may they be? Injected, then judged.

Counts in, counts out. A change is put into windows that were really seen (`Injection`), and the windows are judged as
production would judge them, by `detectors.judging.decision.decide`. `smallest` searches the size for all series at
once: the evidence of one series does not depend on the others, so all can be changed in the same pass; `found_within`
then proves a size of one series by verdicts. Nothing is drawn: the same past gives the same answer.

What it says holds for the past it was given. It is blind to changes of other shapes than those injected.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, exp, inf, isnan, log, nan

import numpy as np
from numpy.typing import NDArray

from detectors.alarm.sequential import standing
from detectors.injection import Injection, Kind
from detectors.judging.decision import decide
from detectors.judging.gauge import magnitude
from detectors.judging.memory import Memory, Past
from detectors.judging.plan import Plan
from detectors.reference.frozen import Reference
from detectors.samples.effects import Floats, Ints
from detectors.types import Status, Verdict, Window

DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS
LOUD = (Status.DRIFTING, Status.SEVERE)
ENOUGH = 0.8  # share of the runs in which a change must be found
CANDIDATES = 64  # places in the past at which a run may start
SEARCHED = 3  # runs that the search looks at; all of them prove what it found
HALVINGS = 6  # of the range of sizes, as logarithm: to about 10 %
GROWTH = 1.15  # a size that could not be proven is tried again so much larger
RANGES: dict[Kind, tuple[float, float]] = {
    "shift": (0.01, 4.0),
    "share": (0.001, 0.5),
    "missing": (0.001, 1.0),
}


# ------------------------------------------------------------------------------------------------- judging the past


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Windows and their verdicts. `memories` holds what was remembered before some of them, by position."""

    windows: tuple[Past, ...]
    verdicts: tuple[Verdict, ...]
    memories: dict[int, Memory | None]


@dataclass(frozen=True, slots=True)
class Problem:
    """An episode that the past would have raised, from its first window to its last."""

    opened: Window
    last: Window
    open: bool  # still, at the end of the past
    severe: bool
    series: tuple[str, ...]


def judge(plan: Plan, windows: Sequence[Past], *, remember: bool = True) -> Judged:
    """Judge closed, disjoint windows in order, as production does.

    Parameters
    ----------
    remember : whether to keep the memory at `CANDIDATES` places, for runs to start at
    """
    stride = max(1, len(windows) // CANDIDATES)
    memory: Memory | None = None
    memories: dict[int, Memory | None] = {}
    verdicts = []
    for at, past in enumerate(windows):
        if remember and at % stride == 0:
            memories[at] = memory
        memory, verdict = decide(plan, memory, past.window, past.counts, listed=False)
        verdicts.append(verdict)
    return Judged(tuple(windows), tuple(verdicts), memories)


def problems(judged: Judged) -> tuple[Problem, ...]:
    """The episodes among the verdicts; what is insufficient neither begins nor ends one."""
    found: list[Problem] = []
    for verdict in judged.verdicts:
        current = found[-1] if found and found[-1].open else None
        if verdict.status in LOUD:
            severe = verdict.status == Status.SEVERE
            if current is None:
                names = tuple(c.series for c in verdict.culprits)
                found.append(Problem(verdict.window, verdict.window, True, severe, names))
            else:
                found[-1] = replace(current, last=verdict.window, severe=current.severe or severe)
        elif current is not None and verdict.status == Status.STABLE:
            found[-1] = replace(current, open=False)
    return tuple(found)


# ------------------------------------------------------------------------------------------------------- searching


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """A place in the past at which a change begins: what was remembered there, and the windows that follow.

    Where the past ends before the run does, it is used again: whole weeks of it if it has one, else whole days.
    """

    memory: Memory | None
    steps: tuple[tuple[int, Past], ...]  # with their position in the past
    sign: int  # numbers are shifted upwards in half of the runs, downwards in the others

    def size_of(self, change: Injection, size: float) -> float:
        """With the run's direction, if the change has one."""
        return self.sign * size if change.kind == "shift" else size

    def until(self, length_ms: int) -> tuple[tuple[int, Past], ...]:
        """The windows that end within so much time."""
        first = self.steps[0][1].window.start_ms
        return tuple(s for s in self.steps if s[1].window.end_ms <= first + length_ms)


def runs(plan: Plan, judged: Judged, length_ms: int, most: int) -> tuple[Run, ...]:
    """Runs of a length, at places spread over the past at which it is quiet: without a change nothing is raised.

    None if no window ends within that time, if there is no quiet place, or if the past is shorter than a seventh of it.
    """
    windows = judged.windows
    span = windows[-1].window.end_ms - windows[0].window.start_ms if windows else 0
    if 7 * span < length_ms:
        return ()
    loud = np.cumsum([verdict.status in LOUD for verdict in judged.verdicts])
    quiet = []
    for at, memory in sorted(judged.memories.items()):
        steps = _following(windows, at, length_ms)
        known = min(at + len(steps), len(windows)) - 1
        if steps and loud[known] == (loud[at - 1] if at else 0) and not _troubled(memory):
            quiet.append((at, memory, steps))
    # A place from which on the past holds few rows, such as its first window, says little of production.
    rows = [sum(past.window.events for _, past in steps) for _, _, steps in quiet]
    usual = float(np.median(rows)) if rows else 0.0
    quiet = [place for place, n in zip(quiet, rows, strict=True) if 2 * n >= usual]
    chosen = [quiet[i * len(quiet) // most] for i in range(most)] if len(quiet) > most else quiet
    # What is used again was judged with another memory.
    still = [
        (memory, steps)
        for at, memory, steps in chosen
        if at + len(steps) <= len(windows) or not _raises(plan, memory, steps)
    ]
    return tuple(
        Run(memory, steps, 1 if i % 2 == 0 else -1) for i, (memory, steps) in enumerate(still)
    )


def _troubled(memory: Memory | None) -> bool:
    return memory is not None and memory.problem is not None


def _following(windows: Sequence[Past], at: int, length_ms: int) -> tuple[tuple[int, Past], ...]:
    start, end = windows[at].window.start_ms, windows[-1].window.end_ms
    span = end - windows[0].window.start_ms
    unit = WEEK_MS if span >= WEEK_MS else DAY_MS if span >= DAY_MS else span
    period = span // unit * unit
    again = [i for i, past in enumerate(windows) if past.window.start_ms >= end - period]
    steps: list[tuple[int, Past]] = []
    later, places = 0, list(range(at, len(windows)))
    while True:
        for i in places:
            window = windows[i].window
            moved = replace(window, start_ms=window.start_ms + later, end_ms=window.end_ms + later)
            if moved.end_ms > start + length_ms:
                return tuple(steps)
            steps.append((i, Past(moved, windows[i].counts)))
        later, places = later + period, again


def _raises(plan: Plan, memory: Memory | None, steps: Sequence[tuple[int, Past]]) -> bool:
    for _, past in steps:
        memory, verdict = decide(plan, memory, past.window, past.counts, listed=False)
        if verdict.status in LOUD:
            return True
    return False


_Changed = dict[
    tuple[int, int], Ints
]  # by position in the past and direction: used again and again


def smallest(
    plan: Plan, of: Sequence[Run], changes: Sequence[Injection | None], length_ms: int
) -> Floats:
    """The smallest size of every change that the alarm would find within a time, in most of the runs.

    Parameters
    ----------
    changes : one for every watched series, or None

    Returns
    -------
    float64, shape (watched series,)
        Infinite where the largest size is not found, or nothing can be injected; NaN under a literal rule, which has no
        evidence to add up. Not yet proven: `prove` does.

    Notes
    -----
    The alarm's statistic is the mean over series, and only one changes: its own evidence with the change replaces the
    one without. Cost: `HALVINGS` times `SEARCHED` judgements of the windows within the time, for all series together.
    """
    searched = [of[i * len(of) // SEARCHED] for i in range(SEARCHED)] if len(of) > SEARCHED else of
    search = _Search(plan, searched, changes, length_ms)
    ranges = [RANGES[c.kind] if c is not None else (1.0, 1.0) for c in changes]
    low, high = (np.log([r[end] for r in ranges]) for end in (0, 1))
    reached = search.finds(np.exp(high))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        ok = search.finds(np.exp(middle))
        low, high = np.where(ok, low, middle), np.where(ok, middle, high)
    possible = reached & np.array([c is not None for c in changes])
    found = np.where(possible, np.exp(high), inf)
    return np.where(search.watch.literal, nan, found)


class _Search:
    """Judges runs with changes in all series at once, without an alarm, and reads the evidence of each."""

    def __init__(
        self,
        plan: Plan,
        of: Sequence[Run],
        changes: Sequence[Injection | None],
        length_ms: int,
    ) -> None:
        assert plan.watch is not None
        self.watch, self._limit = plan.watch, plan.policy.log_threshold
        self._silent = replace(plan, policy=replace(plan.policy, log_threshold=inf))
        self._of, self._changes, self._length_ms = of, changes, length_ms
        nothing = np.zeros(len(changes))
        self._without = [self._evidence(run, nothing, {})[0] for run in of]

    def finds(self, sizes: Floats) -> NDArray[np.bool_]:
        """Whether the alarm fires, and the effect matters, in enough of the runs, (watched series,)."""
        hits = np.zeros(len(sizes), np.int64)
        changed: _Changed = {}
        for run, others in zip(self._of, self._without, strict=True):
            mine, matters = self._evidence(run, sizes, changed)
            paid = np.where(self.watch.literal, -inf, others)
            rest = np.exp(paid).sum(1)[:, None] - np.exp(paid)  # of quiet windows: no overflow
            log_m = np.logaddexp(mine, np.log(np.maximum(rest, 1e-300)))
            crossed = log_m - log(max(1, self.watch.budgeted)) >= self._limit
            hits += crossed.any(0) & matters
        return np.asarray(hits >= max(1, int(ENOUGH * len(self._of))))

    def _evidence(
        self, run: Run, sizes: Floats, changed: _Changed
    ) -> tuple[Floats, NDArray[np.bool_]]:
        """log M of every series after every window, and whether its effect over all of them matters."""
        memory, seen = run.memory, np.zeros_like(self._silent.pool)
        found = []
        for at, past in run.until(self._length_ms):
            if (at, run.sign) not in changed or not sizes.any():
                counts = past.counts.copy()
                for change, size in zip(self._changes, sizes.tolist(), strict=True):
                    if change is not None and size:
                        change.into(counts, run.size_of(change, size), at)
                changed[at, run.sign] = counts
            counts = changed[at, run.sign]
            seen += self._silent.spread(past.window.slot, counts)
            memory, _ = decide(self._silent, memory, past.window, counts, listed=False)
            assert memory is not None
            found.append(standing(self.watch.panel, memory.state).series)
        least, _ = magnitude(self._silent.measure(seen))
        matters = np.zeros(len(sizes), bool)
        matters[self.watch.gauge.series[least >= self.watch.gauge.drifting]] = True
        return np.array(found), matters


# --------------------------------------------------------------------------------------------------------- proving


@dataclass(frozen=True, slots=True)
class Found:
    """The size of a change, and in how many of the runs it was found; None: not even the largest size was."""

    size: float | None
    found: int
    runs: int


@dataclass(frozen=True, slots=True, eq=False)
class Alone:
    """One watched series by itself, with a threshold at which the whole model alarms at the latest.

    The alarm's statistic is the mean over series: what one series must reach alone is the sum.
    """

    plan: Plan
    rows: NDArray[np.bool_]  # of the whole panel: the series' own

    @staticmethod
    def of(reference: Reference, segment: str, whole: Plan, column: int) -> "Alone":
        """The watched series `column` of a plan."""
        assert whole.watch is not None
        if whole.watch.literal[column]:  # it may count how many series broke their rule
            return Alone(whole, np.ones(len(whole.watch.panel.series), bool))
        name = whole.series[whole.watch.positions[column]].name
        threshold = whole.policy.log_threshold + log(whole.watch.budgeted)
        policy = replace(whole.policy, log_threshold=threshold)
        plan = Plan.compile(reference, segment, policy, [name])
        return Alone(plan, whole.watch.panel.series == column)

    def memory(self, whole: Memory | None) -> Memory | None:
        """Its part of what is remembered of all series."""
        if whole is None:
            return None
        state = whole.state
        mine = replace(
            state,
            log=state.log[self.rows],
            path=state.path[self.rows],
            since=state.since[self.rows],
        )
        return replace(whole, state=mine)


def prove(one: Alone, of: Sequence[Run], change: Injection, size: float, length_ms: int) -> Found:
    """Inject the change and judge; a size that is not found in `ENOUGH` of the runs grows until it is.

    Parameters
    ----------
    size : where to begin; NaN: nothing is known, so it is searched first
    """
    least, most = RANGES[change.kind]
    if isnan(size):
        low, high = log(least), log(most)
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            enough = _finds(one, of, change, exp(middle), length_ms) is not None
            low, high = (low, middle) if enough else (middle, high)
        size = exp(high)
    while size < inf:
        size = min(rounded_up(size), most)
        found = _finds(one, of, change, size, length_ms)
        if found is not None:
            return Found(size, found, len(of))
        size = size * GROWTH if size < most else inf
    return Found(None, 0, len(of))


def _finds(
    one: Alone, of: Sequence[Run], change: Injection, size: float, length_ms: int
) -> int | None:
    """In how many of the runs a change is found; None: in too few."""
    changed: _Changed = {}
    missed = 0
    for run in of:
        missed += not _found_within(one, run, change, size, length_ms, changed)
        if len(of) - missed < ENOUGH * len(of):
            return None
    return len(of) - missed


def _found_within(
    one: Alone, run: Run, change: Injection, size: float, length_ms: int, changed: _Changed
) -> bool:
    """Whether an episode opens within the time."""
    memory = one.memory(run.memory)
    for at, past in run.until(length_ms):
        if (at, run.sign) not in changed:
            counts = past.counts.copy()
            change.into(counts, run.size_of(change, size), at)
            changed[at, run.sign] = counts
        memory, verdict = decide(one.plan, memory, past.window, changed[at, run.sign], listed=False)
        if verdict.status in LOUD:
            return True
    return False


def rounded_up(size: float) -> float:
    """To two digits, never down: what is printed is what was injected.

    >>> rounded_up(0.0731), rounded_up(1.301), rounded_up(0.2)
    (0.074, 1.4, 0.2)
    """
    unit = 10.0 ** (np.floor(np.log10(size)) - 1)
    return float(round(ceil(round(size / unit, 9)) * unit, 9))
