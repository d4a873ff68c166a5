"""What is concluded about a subject after a window, and what does it remember? Pure: (plan, memory, window) -> verdict.

The alarm says that something changed; the effect, with its interval, whether it matters. Both are needed to open an
episode, and a calm, precise, recent tail to resolve it.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from detectors.alarm.sequential import Standing, State, standing
from detectors.alarm.span import Newest, Sizes, calm_tail
from detectors.alarm.span import onset as onset_of
from detectors.judging import literal
from detectors.judging.conclusion import conclude, decline
from detectors.judging.gauge import Gates, Gauge, magnitude, padded
from detectors.judging.listing import list_series
from detectors.judging.memory import (
    Base,
    Memory,
    Past,
    Problem,
    Suspect,
    based,
    from_data,
    state_from_data,
    state_to_data,
    to_data,
)
from detectors.judging.plan import Plan, Policy, Watch
from detectors.judging.rules import Rule, written
from detectors.samples.effects import Interval, Ints
from detectors.types import Onset, Reason, Status, Verdict, Window

__all__ = [
    "Base",
    "Gates",
    "Memory",
    "Past",
    "Plan",
    "Policy",
    "Rule",
    "based",
    "decide",
    "from_data",
    "state_from_data",
    "state_to_data",
    "to_data",
    "written",
]

LAPSE = 0.5  # significance nobody was told of ends below this share of log A


def decide(
    plan: Plan | None,
    memory: Memory | None,
    window: Window,
    counts: Ints,
    *,
    listed: bool = True,
) -> tuple[Memory | None, Verdict]:
    """Judge one closed window; windows must be disjoint and in order.

    Parameters
    ----------
    plan : None if there is no reference
    memory : None before the first window
    counts : int64, shape (plan.cells,)
        The cells of all series, one after another (`Plan.offsets`).
    listed : whether `Verdict.series` is filled, which takes most of the time and decides nothing

    Returns
    -------
    memory, verdict
        The arguments are not changed. After an insufficient verdict the memory differs in what it carries at most.

    Raises
    ------
    ValueError
        The counts are not those of the plan.

    Notes
    -----
    Cost: .5 to .8 ms for 50 numeric features of ten cells while nothing is wrong, 2 ms in an episode.
    """
    if plan is None:
        return memory, Verdict(window, Status.INSUFFICIENT, Reason.NO_REFERENCE, None)
    if counts.shape != (plan.cells,):
        raise ValueError(f"expected {plan.cells} counts, not {counts.shape}")
    memory, watch = memory or Memory.start(plan), plan.watch
    if watch is None:
        return memory, Verdict(
            window,
            Status.INSUFFICIENT,
            Reason.REFERENCE_TOO_SMALL,
            None,
            list_series(plan, counts, {}) if listed else (),
        )
    if not counts.any():
        return memory, decline(plan, watch, memory, window, Reason.NO_EVENTS)
    if not plan.judges(window.slot):
        return memory, decline(plan, watch, memory, window, Reason.REFERENCE_TOO_SMALL)
    parts = _joined(memory.carried, window, counts)
    current = _whole(parts)
    # Events of the window: as many as the watched series with the most has.
    if padded(current.counts, watch.gauge.place).sum(0).max() < plan.policy.min_rows:
        memory = replace(memory, carried=parts)
        return memory, decline(plan, watch, memory, window, Reason.TOO_FEW_EVENTS)
    state = plan.step(
        memory.state, [(p.window.slot, p.counts) for p in parts], current.window.start_ms
    )
    history = _remembered(memory.history, window.end_ms - plan.policy.history_ms, parts)
    now = _standing(watch, state)
    spread = _spread(plan, parts)
    rules = _ruled(plan, watch, memory.broken, current.window, spread)
    problem = _suspected(plan, watch, memory.problem, state, now, history, current, spread)
    graded = None
    if problem is not None:
        if problem.opened_ms is None and plan.policy.share:
            problem = _by_themselves(plan, watch, problem, state, now, history)
        graded = plan.measure(problem.graded)
        problem = _opened(plan, watch, problem, graded, current)
        problem = _calmed(plan, watch.gauge, problem, history)
        if problem.calm >= plan.policy.hold:
            verdict = conclude(plan, watch, state, now, window, spread, rules, listed=listed)
            state = State.start(state.log.shape, state.pool - problem.span)
            return Memory(state, (), None, history, rules.broken), verdict
    verdict = conclude(
        plan, watch, state, now, window, spread, rules, problem, graded, listed=listed
    )
    return Memory(state, (), problem, history, rules.broken), verdict


def _standing(watch: Watch, state: State) -> Standing:
    """How strong the evidence is in the series that the budget pays for."""
    now = standing(watch.panel, state)
    if watch.budgeted == len(watch.positions):
        return now
    series = np.where(watch.literal, -np.inf, now.series)
    components = np.where(watch.literal[watch.panel.series][:, None], -np.inf, now.components)
    peak = float(series.max())
    if not np.isfinite(peak):
        return Standing(-np.inf, series, components)
    mean = np.exp(series - peak).sum() / watch.budgeted
    return Standing(float(np.log(mean)) + peak, series, components)


def _ruled(
    plan: Plan, watch: Watch, broken: literal.Broken | None, window: Window, spread: Ints
) -> literal.Ruled:
    if watch.budgeted == len(watch.positions):
        return literal.Ruled(literal.Seen(), None)
    policy = plan.policy
    seen = literal.look(watch, *plan.comparable(spread), policy.share, policy.min_rows)
    after = literal.advance(broken, seen, policy.hold, window.start_ms, window.end_ms)
    return literal.Ruled(seen, after)


def _remembered(
    history: tuple[Past, ...], oldest_ms: int, parts: tuple[Past, ...]
) -> tuple[Past, ...]:
    """The history with the new window, without those that start before `oldest_ms`."""
    gone = 0
    while gone < len(history) and history[gone].window.start_ms < oldest_ms:
        gone += 1
    return (*history[gone:], *parts)


def _joined(carried: tuple[Past, ...], window: Window, counts: Ints) -> tuple[Past, ...]:
    """What was carried with the new window: one part for every slot of the season that they lie in, in order."""
    new = Past(window, counts)
    if not carried or carried[-1].window.slot != window.slot:
        return (*carried, new)
    return (*carried[:-1], _whole((carried[-1], new)))


def _whole(parts: tuple[Past, ...]) -> Past:
    """Windows as one."""
    if len(parts) == 1:
        return parts[0]
    windows = [p.window for p in parts]
    joined = Window(
        windows[0].start_ms,
        windows[-1].end_ms,
        sum(w.events for w in windows),
        sum(w.late for w in windows),
        sum(w.panes for w in windows),
        windows[0].slot,
    )
    return Past(joined, np.add.reduce([p.counts for p in parts], axis=0))


def _spread(plan: Plan, windows: Sequence[Past]) -> Ints:
    """The counts of windows, summed, in the shape of the pool."""
    return np.asarray(
        np.add.reduce([plan.spread(p.window.slot, p.counts) for p in windows], axis=0)
    )


def _suspected(
    plan: Plan,
    watch: Watch,
    problem: Problem | None,
    state: State,
    now: Standing,
    history: tuple[Past, ...],
    current: Past,
    spread: Ints,
) -> Problem | None:
    """The problem after this window: kept, lapsed, or found now; its sums include the window."""
    limit, log = plan.policy.log_threshold, round(now.log, 6)
    if problem and (problem.opened_ms is not None or log >= limit * LAPSE):
        span, graded = (counts + spread for counts in (problem.span, problem.graded))
        return replace(problem, span=span, graded=graded)
    if log < limit:
        return None
    over = [int(k) for k in np.argsort(-now.series, kind="stable") if now.series[k] >= limit]
    suspects = tuple(_suspect(watch, now, k) for k in over or [int(now.series.argmax())])
    window = current.window
    onset = Onset(*onset_of(now.components, state.since, window.start_ms, window.end_ms))
    span = _spread(plan, [p for p in history if p.window.start_ms >= onset.estimate_ms])
    return Problem(onset, suspects, span, span)


def _suspect(watch: Watch, now: Standing, k: int) -> Suspect:
    rows = np.flatnonzero(watch.panel.series == k)
    lead = watch.panel.kinds[int(rows[now.components[rows].max(1).argmax()])]
    share = float(np.exp(now.series[k] - now.log)) / watch.budgeted
    return Suspect(k, lead, round(min(share, 1.0), 6))


def _opened(plan: Plan, watch: Watch, problem: Problem, graded: Interval, current: Past) -> Problem:
    """Open the episode once a culprit's effect surely matters; from its severe gate on a culprit is severe."""
    gauge = watch.gauge
    least, _ = magnitude(graded)
    if problem.opened_ms is None:
        of = _of(gauge, problem)
        matters = set(gauge.series[of & (least >= gauge.drifting)].tolist())
        inputs = _waiting(plan, watch, matters)
        if matters <= inputs:
            return problem
        those = tuple(s for s in problem.suspects if s.series not in inputs)
        problem = replace(problem, suspects=those)
        problem = replace(problem, opened_ms=current.window.start_ms)
    severe = set(gauge.series[least >= gauge.severe].tolist())
    suspects = tuple(replace(s, severe=s.severe or s.series in severe) for s in problem.suspects)
    return replace(problem, suspects=suspects)


def _by_themselves(
    plan: Plan,
    watch: Watch,
    problem: Problem,
    state: State,
    now: Standing,
    history: tuple[Past, ...],
) -> Problem:
    """The problem with every series as suspect whose own M is over the threshold now, judged on what they share.

    That is everything since the last of them took off: before it a series that joined late was as it should be, and
    those windows would hide how large its change is.
    """
    over = np.argsort(-now.series, kind="stable")
    over = over[now.series[over] >= plan.policy.log_threshold]
    if not len(over):
        return problem
    began = []
    for k in over.tolist():
        rows = watch.panel.series == k
        began.append(int(state.since[rows].ravel()[now.components[rows].argmax()]))
    since = [p for p in history if p.window.start_ms >= max(began)]
    suspects = tuple(_suspect(watch, now, k) for k in over.tolist())
    return replace(problem, suspects=suspects, graded=_spread(plan, since))


def _waiting(plan: Plan, watch: Watch, matters: set[int]) -> set[int]:
    """The inputs that open nothing yet: all of them, while those that matter are fewer than the share asked for."""
    inputs = set(np.flatnonzero(watch.inputs & ~watch.literal).tolist())
    enough = literal.least(plan.policy.share, len(inputs))
    return inputs if plan.policy.share and len(matters & inputs) < enough else set()


def _of(gauge: Gauge, problem: Problem) -> NDArray[np.bool_]:
    return np.isin(gauge.series, [s.series for s in problem.suspects])


def _calmed(plan: Plan, gauge: Gauge, problem: Problem, history: tuple[Past, ...]) -> Problem:
    """Count calm windows. A severe episode eases after `hold` windows that are calm against the severe gates."""
    if problem.opened_ms is None:
        return problem
    since = [p for p in history if p.window.start_ms >= problem.opened_ms]
    of = _of(gauge, problem)

    def sizes(counts: Ints) -> Sizes:
        found = Interval(*(part[of] for part in plan.measure(counts)))
        return Sizes((found.high - found.low) / 2, *magnitude(found))

    newest = Newest(len(since), lambda start, end: _spread(plan, since[start:end]), sizes)
    calm_now = calm_tail(newest, gauge.drifting[of], gauge.own_error[of]) is not None
    calm = problem.calm + 1 if calm_now else 0
    tail = calm_tail(newest, gauge.severe[of], gauge.own_error[of]) if problem.severe else None
    problem = replace(problem, calm=calm, mild=0 if tail is None else problem.mild + 1)
    if tail is not None and problem.mild >= plan.policy.hold:
        mild = tuple(replace(s, severe=False) for s in problem.suspects)
        problem = replace(problem, suspects=mild, graded=tail, mild=0)
    return replace(problem, severe_windows=problem.severe_windows + 1 if problem.severe else 0)
