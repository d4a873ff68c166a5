"""What does the detection of one subject remember from window to window? Plain data, and its way to JSON and back.

Written as it is the alarm's state is by far the largest part, and it changes in every window. But the windows are kept
anyway: so a state is written every `MOST_STEPS` windows only, as a `Base`, and is advanced by the windows since then
when it is read. That gives the same bits, as long as it is done by the same build of numpy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from math import inf
from typing import Any, cast

import numpy as np

from detectors.alarm.scores import ScoreKind
from detectors.alarm.sequential import State
from detectors.judging import literal
from detectors.judging.packing import pack, unpack_floats, unpack_ints
from detectors.judging.plan import Plan
from detectors.samples.effects import Floats, Ints
from detectors.types import Onset, Window

FORMAT = 2  # 1 wrote every state, as lists of decimal numbers
_OTHER = "the kept state belongs to another reference or lifecycle"
MOST_STEPS = 16  # advancing a state by a window takes a third of a millisecond


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

    def fits(self, plan: Plan) -> bool:
        """Whether the plan still has as many scores and cells as it had."""
        state = self.state
        return state.log.shape == _shape(plan) and state.pool.shape == plan.pool.shape


@dataclass(frozen=True, slots=True, eq=False)
class Base:
    """A state that was written, and of how many windows of the history each step since then consisted."""

    state: State
    steps: tuple[int, ...] = ()


def based(base: Base | None, before: Memory, after: Memory) -> Base:
    """What is kept of the memory after a window: the same base and perhaps a step more, or its state as a new base."""
    if base is not None and after.state is before.state:
        return base  # nothing was judged
    if (
        base is not None
        and after.state.looks == before.state.looks + 1
        and len(base.steps) < MOST_STEPS
    ):
        last = before.history[-1] if before.history else None
        newest = list(takewhile(lambda p: p is not last, reversed(after.history)))
        steps = (*base.steps, len(newest))
        # Not if the history has lost some, or windows have another length now and may come in another order.
        disjoint = last is None or newest[-1].window.start_ms >= last.window.end_ms
        if disjoint and sum(steps) <= len(after.history):
            return Base(base.state, steps)
    return Base(after.state)


def to_data(plan: Plan, memory: Memory, base: Base | None = None) -> dict[str, Any]:
    """JSON-able and exact, without `history`; with a `base` that is kept apart, without the state."""
    problem = memory.problem
    return {
        "format": FORMAT,
        "state": state_to_data(plan, memory.state) if base is None else None,
        "looks": memory.state.looks,
        "steps": [] if base is None else list(base.steps),
        "carried": [
            {"window": _window(p.window), "counts": pack(p.counts)} for p in memory.carried
        ],
        "problem": problem
        and {
            "onset": [
                problem.onset.estimate_ms,
                problem.onset.earliest_ms,
                problem.onset.latest_ms,
            ],
            "suspects": [[s.series, s.score, s.share, s.severe] for s in problem.suspects],
            "span": _sparse(problem.span),
            "graded": None if problem.graded is problem.span else _sparse(problem.graded),
            "opened_ms": problem.opened_ms,
            "calm": problem.calm,
            "mild": problem.mild,
            "severe_windows": problem.severe_windows,
        },
        "broken": memory.broken and literal.to_data(memory.broken),
    }


def state_to_data(plan: Plan, state: State) -> dict[str, Any]:
    """A state, exact: components that never betted take a bit each, the pool is what came to the reference."""
    betted = np.isfinite(state.log)
    since, which = np.unique(state.since[betted], return_inverse=True)
    return {
        "watched": list(_watched(plan)),
        "shape": [*state.log.shape, *state.pool.shape],
        "betted": pack(np.packbits(betted).astype(np.int64)),
        "log": pack(state.log[betted]),
        "path": pack(state.path[betted]),
        "since": [pack(since), pack(which)],
        "pool": _sparse(state.pool - plan.pool),
        "looks": state.looks,
    }


def from_data(
    plan: Plan, data: dict[str, Any], history: Sequence[Past], base: State | None = None
) -> tuple[Memory, Base]:
    """The memory that `to_data` wrote, to the last bit, and the base that it was kept by.

    Raises
    ------
    ValueError
        It was written under another plan (other series, cells or scores), or its base or history is not there.
    """
    if "format" not in data:
        return _from_first_format(plan, data, history)
    written = data["state"]
    if written is not None:
        base = state_from_data(plan, written)
    if base is None:
        raise ValueError("the kept state lacks its base")
    steps, state, at = tuple(data["steps"]), base, len(history) - sum(data["steps"])
    if at < 0:
        raise ValueError("the kept state lacks windows of its history")
    for windows in steps:
        parts = history[at : at + windows]
        state = plan.step(
            state, [(p.window.slot, p.counts) for p in parts], parts[0].window.start_ms
        )
        at += windows
    if state.looks != data["looks"]:
        raise ValueError("the kept state does not follow from its base")
    carried = tuple(
        Past(Window(*p["window"]), unpack_ints(p["counts"], plan.cells)) for p in data["carried"]
    )
    problem, broken = data["problem"], data["broken"]
    memory = Memory(
        state,
        carried,
        _problem(plan, problem) if problem else None,
        tuple(history),
        broken and literal.from_data(broken),
    )
    return memory, Base(base, steps)


def state_from_data(plan: Plan, data: dict[str, Any]) -> State:
    """The state that `state_to_data` wrote; raises ValueError if it was under another plan."""
    shape = _shape(plan)
    if data["watched"] != list(_watched(plan)) or data["shape"] != [*shape, *plan.pool.shape]:
        raise ValueError(_OTHER)
    size = shape[0] * shape[1]
    bits = unpack_ints(data["betted"], -(-size // 8)).astype(np.uint8)
    betted = np.unpackbits(bits, count=size).astype(bool).reshape(shape)
    found = int(betted.sum())
    log: Floats = np.full(shape, -inf)
    path: Floats = np.zeros(shape)
    since: Ints = np.zeros(shape, np.int64)
    log[betted], path[betted] = (unpack_floats(data[name], found) for name in ("log", "path"))
    since[betted] = unpack_ints(data["since"][0])[unpack_ints(data["since"][1], found)]
    pool = plan.pool + _dense(plan, data["pool"])
    return State(log, path, since, pool, data["looks"])


def _sparse(counts: Ints) -> list[str]:
    """Counts in the shape of a pool: the slots that have any, and their cells."""
    rows = np.atleast_2d(counts)
    held = np.flatnonzero(rows.any(1))
    return [pack(held), pack(rows[held].ravel())]


def _dense(plan: Plan, data: list[str]) -> Ints:
    shape = plan.pool.shape
    held = unpack_ints(data[0])
    out = np.zeros((shape[0] if len(shape) == 2 else 1, plan.cells), np.int64)
    if held.size and held.max() >= len(out):
        raise ValueError(_OTHER)
    out[held] = unpack_ints(data[1], held.size * plan.cells).reshape(-1, plan.cells)
    return out.reshape(shape)


def _problem(plan: Plan, data: dict[str, Any]) -> Problem:
    span = _dense(plan, data["span"])
    return Problem(
        Onset(*data["onset"]),
        tuple(
            Suspect(k, cast(ScoreKind, score), share, severe)
            for k, score, share, severe in data["suspects"]
        ),
        span,
        span if data["graded"] is None else _dense(plan, data["graded"]),
        data["opened_ms"],
        data["calm"],
        data["mild"],
        data["severe_windows"],
    )


def _from_first_format(
    plan: Plan, data: dict[str, Any], history: Sequence[Past]
) -> tuple[Memory, Base]:
    """What Leeway 0.1 wrote: no seasons, no written rules, all numbers in full."""
    shape = _shape(plan)
    log = np.array([-inf if v is None else v for v in data["log"]], np.float64)
    pool = np.array(data["pool"], np.int64)
    if log.size != shape[0] * shape[1] or pool.shape != plan.pool.shape:
        raise ValueError(_OTHER)
    log = log.reshape(shape)
    betted = np.isfinite(log)
    path: Floats = np.zeros(shape)
    since: Ints = np.zeros(shape, np.int64)
    path[betted], since[betted] = data["path"], data["since"]
    state = State(log, path, since, pool, data["looks"])
    carried, problem = data["carried"], data["problem"]
    if problem:
        sums = {name: _sparse(np.array(problem[name], np.int64)) for name in ("span", "graded")}
        problem = {**problem, **sums}
    memory = Memory(
        state,
        (Past(Window(*carried["window"]), np.array(carried["counts"], np.int64)),)
        if carried
        else (),
        _problem(plan, problem) if problem else None,
        tuple(history),
    )
    return memory, Base(state)


def _shape(plan: Plan) -> tuple[int, ...]:
    return plan.watch.panel.usable.shape if plan.watch else (0, 0)


def _watched(plan: Plan) -> tuple[int, ...]:
    return plan.watch.positions if plan.watch else ()


def _window(window: Window) -> list[int]:
    return [window.start_ms, window.end_ms, window.events, window.late, window.panes, window.slot]
