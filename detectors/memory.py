"""What does the detection of one subject remember from window to window? Plain data, and its way to JSON and back."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isinf
from typing import Any, cast

import numpy as np

from detectors import literal
from detectors.effects import Floats, Ints
from detectors.plan import Plan
from detectors.scores import ScoreKind
from detectors.sequential import State
from detectors.types import Onset, Window


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """A window that was judged, or several small ones judged together: int64 counts of shape (total,)."""

    window: Window
    counts: Ints


@dataclass(frozen=True, slots=True)
class Suspect:
    """A culprit, frozen when the alarm crossed its threshold; only `severe` changes later."""

    series: int  # which of the watched ones
    score: ScoreKind
    share: float
    severe: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """What the alarm said, from significance to resolution or lapse."""

    onset: Onset
    suspects: tuple[Suspect, ...]
    span: Ints  # everything since the onset: leaves the pool when the episode resolves
    graded: Ints  # everything since the onset, or the calmer tail after easing: what severity is judged on
    opened_ms: int | None = None  # start of the window that opened the episode
    calm: int = 0  # consecutive windows with a calm tail
    mild: int = 0  # the same against the severe gates
    severe_windows: int = 0

    @property
    def severe(self) -> bool:
        """Whether any culprit is."""
        return any(s.severe for s in self.suspects)


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """Everything a subject keeps. `history` is stored apart, one record per window."""

    state: State
    carried: tuple[Past, ...] = ()  # windows too small to be judged so far, joined within a slot
    problem: Problem | None = None
    history: tuple[Past, ...] = ()
    broken: literal.Broken | None = None  # what written rules have found

    @staticmethod
    def start(plan: Plan) -> "Memory":
        """Nothing seen yet: the pool is the reference."""
        return Memory(State.start(_shape(plan), plan.pool))


def to_data(memory: Memory) -> dict[str, Any]:
    """JSON-able and exact, without `history`. Components that never betted are null and take no further room."""
    state, carried, problem = memory.state, memory.carried, memory.problem
    betted = np.isfinite(state.log)
    return {
        "log": [None if isinf(v) else v for v in state.log.ravel().tolist()],
        "path": state.path[betted].tolist(),
        "since": state.since[betted].tolist(),
        "pool": state.pool.tolist(),
        "looks": state.looks,
        "carried": [{"window": _window(p.window), "counts": p.counts.tolist()} for p in carried],
        "problem": problem
        and {
            "onset": [
                problem.onset.estimate_ms,
                problem.onset.earliest_ms,
                problem.onset.latest_ms,
            ],
            "suspects": [[s.series, s.score, s.share, s.severe] for s in problem.suspects],
            "span": problem.span.tolist(),
            "graded": problem.graded.tolist(),
            "opened_ms": problem.opened_ms,
            "calm": problem.calm,
            "mild": problem.mild,
            "severe_windows": problem.severe_windows,
        },
        "broken": memory.broken and literal.to_data(memory.broken),
    }


def from_data(plan: Plan, data: dict[str, Any], history: Sequence[Past]) -> Memory:
    """The memory that `to_data` wrote, to the last bit.

    Raises
    ------
    ValueError
        It was written under another plan: other series, cells or scores.
    """
    shape = _shape(plan)
    log = np.array([-inf if v is None else v for v in data["log"]], np.float64)
    pool = np.array(data["pool"], np.int64)
    if log.size != shape[0] * shape[1] or pool.shape != plan.pool.shape:
        raise ValueError("the kept state belongs to another reference or lifecycle")
    log = log.reshape(shape)
    betted = np.isfinite(log)
    path: Floats = np.zeros(shape)
    since: Ints = np.zeros(shape, np.int64)
    path[betted], since[betted] = data["path"], data["since"]
    carried, problem = data["carried"], data["problem"]
    return Memory(
        State(log, path, since, pool, data["looks"]),
        tuple(Past(Window(*p["window"]), np.array(p["counts"], np.int64)) for p in carried),
        problem and _problem(problem),
        tuple(history),
        (broken := data.get("broken")) and literal.from_data(broken),
    )


def _problem(data: dict[str, Any]) -> Problem:
    return Problem(
        Onset(*data["onset"]),
        tuple(
            Suspect(k, cast(ScoreKind, score), share, severe)
            for k, score, share, severe in data["suspects"]
        ),
        np.array(data["span"], np.int64),
        np.array(data["graded"], np.int64),
        data["opened_ms"],
        data["calm"],
        data["mild"],
        data["severe_windows"],
    )


def _shape(plan: Plan) -> tuple[int, ...]:
    return plan.watch.panel.usable.shape if plan.watch else (0, 0)


def _window(window: Window) -> list[int]:
    return [window.start_ms, window.end_ms, window.events, window.late, window.panes, window.slot]
