"""Has what is to be predicted changed? The verdict on the outcomes of a window: errors or losses, and labels.

As for inputs (`detectors.judging.decision`) the alarm says that something changed, the effect on everything since the
onset whether it matters, and a calm, precise, recent tail that it is over. Pure: (plan, memory, window) -> verdict.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import isfinite
from typing import Literal

import numpy as np

from detectors.alarm.span import Newest, Sizes, calm_tail, onset
from detectors.edges import MINIMUM_ROWS
from detectors.performance.layout import Layout
from detectors.performance.memory import (
    Memory,
    Past,
    Problem,
    Suspect,
    from_data,
    joined,
    remembered,
    to_data,
)
from detectors.performance.metrics import errors
from detectors.performance.reference import OutcomeReference
from detectors.performance.watches import (
    LABEL,
    LOSS,
    Cells,
    Errors,
    Fold,
    Watch,
    again,
    published,
    top_cells,
)
from detectors.samples.effects import Floats, Interval, Ints
from detectors.sequences.losses import CERTAIN, LossCells, log_mean
from detectors.types import (
    Alarm,
    Culprit,
    Onset,
    Reason,
    SeriesVerdict,
    Status,
    Verdict,
    Window,
)

__all__ = [
    "ConceptPlan",
    "ConceptPolicy",
    "Memory",
    "cause",
    "decide",
    "from_data",
    "to_data",
]

LAPSE = 0.5  # significance nobody was told of ends below this share of log A
_DAY_MS = 86_400_000
_WINDOWS = 30  # that a reference without times is taken for

Cause = Literal["relation_change", "label_shift", "pipeline_break", "unknown"]


@dataclass(frozen=True, slots=True)
class ConceptPolicy:
    """When outcomes are judged, what is surprising and what matters.

    Both tolerances only ever raise a gate: .02 of a share, a twentieth of a mean loss.
    """

    log_threshold: float  # log A
    watched: tuple[str, ...] = (LOSS,)  # `LOSS`, `LABEL` or both: they share the budget
    tolerance: float = 0.0  # of the error rate; of a mean loss, relative to the reference's
    severe: float | None = None  # None: twice the tolerance, or the usual
    label_tolerance: float = 0.0  # of the share of a class
    label_severe: float | None = None
    min_labels: int = 30  # fewer are carried to the next window; 1: the alarm looks at every label
    hold: int = 3  # calm windows until an episode resolves
    history_ms: int = 30 * _DAY_MS


@dataclass(frozen=True, slots=True, eq=False)
class ConceptPlan:
    """A reference and a policy, ready to judge windows of one segment."""

    policy: ConceptPolicy
    layout: Layout
    watches: tuple[Watch, ...]  # empty: the reference holds too few labels
    places: tuple[slice, ...]  # of every watch in `pick`
    notes: tuple[str, ...] = field(default=())

    @staticmethod
    def compile(
        layout: Layout,
        reference: Ints,
        policy: ConceptPolicy,
        *,
        rows: float,
        dispersion: Mapping[str, Mapping[str, float]] | None = None,
        worth: Floats | None = None,
    ) -> "ConceptPlan":
        """Prepare to watch outcomes that are counted in `layout`.

        Parameters
        ----------
        reference : int64, (layout.total,)
        rows : expected outcomes per window
        dispersion : over-dispersion φ by watch (loss, label) and score: ``{"loss": {"error": 12.1}}``. A score that is
            not named takes the largest of its watch; None, or a watch without any: 1, and a note that says so
        worth : mean loss in every value cell of `layout.loss`, as `LossCells.worth`; needed where that is watched

        Examples
        --------
        >>> layout = Layout.of("binary", ("no", "yes"), positive="yes")
        >>> counts = np.zeros(layout.total, np.int64)
        >>> layout.read(counts, "confusion")[:2, :2] = [[7200, 800], [1200, 800]]
        >>> layout.read(counts, "right")[:] = 8000
        >>> plan = ConceptPlan.compile(layout, counts, ConceptPolicy(9.2), rows=500)
        >>> plan.watches[0].reference.tolist(), plan.notes
        ([8000, 2000], ('dependence of outcomes not calibrated',))
        """
        known = dispersion or {}
        watches: list[Watch] = []
        for name in (LOSS, LABEL):
            if name in policy.watched:
                found = _watch(layout, name, reference, policy, rows, known.get(name, {}), worth)
                if found is not None:
                    watches.append(found)
        ends = np.cumsum([0, *(len(w.reference) for w in watches)]).tolist()
        places = tuple(slice(a, b) for a, b in pairwise(ends))
        notes = []
        if not all(known.get(w.name) for w in watches):
            notes.append("dependence of outcomes not calibrated")
        if any(isinstance(w, Errors) and w.rate.p0 > CERTAIN for w in watches):
            notes.append("no error rate is above the one that is tolerated: errors are not watched")
        return ConceptPlan(policy, layout, tuple(watches), places, tuple(notes))

    @staticmethod
    def of(
        reference: OutcomeReference, policy: ConceptPolicy, rows: float | None = None
    ) -> "ConceptPlan":
        """`compile` for a reference as it was built.

        Parameters
        ----------
        rows : expected outcomes per window of the subject; None: those of the reference's windows
        """
        known = {name: dict(phis) for name, phis in reference.dispersion}
        classified = reference.layout.task in ("binary", "classes")
        loss = known.get("error" if classified else "loss", {})
        span = reference.span
        usual = span.rows if span is not None else reference.outcomes / _WINDOWS
        return ConceptPlan.compile(
            reference.layout,
            reference.counts,
            policy,
            rows=max(usual if rows is None else rows, 1.0),
            dispersion={LOSS: loss, LABEL: known.get("label", {})},
            worth=np.array(reference.worth) if reference.worth else None,
        )

    def pick(self, counts: Ints) -> Ints:
        """What the watches need of a vector of outcomes, one after another."""
        if not self.watches:
            return np.zeros(0, np.int64)
        return np.concatenate([_cells(self.layout, w, counts) for w in self.watches])

    def measure(self, counts: Ints) -> list[Interval]:
        """The effects of every watch on what `pick` took."""
        return [w.measure(counts[at]) for w, at in zip(self.watches, self.places, strict=True)]


def _watch(
    layout: Layout,
    name: str,
    reference: Ints,
    policy: ConceptPolicy,
    rows: float,
    phi: Mapping[str, float],
    worth: Floats | None,
) -> Watch | None:
    if name == LABEL:
        if layout.label is None:
            return None
        counts = reference[layout.block("label")]
        if counts[: layout.label.values].sum() < MINIMUM_ROWS:
            return None
        tolerance, severe = policy.label_tolerance, policy.label_severe
        return Cells.labels(layout.label, counts, rows, phi, tolerance, severe)
    if layout.task in ("binary", "classes"):
        counts = _errors(layout, reference)
        if counts.sum() < MINIMUM_ROWS:
            return None
        largest = max(phi.values(), default=1.0)
        return Errors.compile(counts, rows, largest, policy.tolerance, policy.severe)
    counts = reference[layout.block("loss")]
    if layout.loss is None or worth is None or counts[: layout.loss.values].sum() < MINIMUM_ROWS:
        return None
    cells = LossCells(layout.loss, counts, worth)
    return Cells.loss(cells, rows, phi, policy.tolerance, policy.severe)


def _errors(layout: Layout, counts: Ints) -> Ints:
    """Right and wrong predictions; outcomes without a prediction are neither."""
    wrong, n = errors(layout, counts)
    return np.array([n - wrong, wrong], np.int64)


def _cells(layout: Layout, watch: Watch, counts: Ints) -> Ints:
    if watch.name == LABEL:
        found = counts[layout.block("label")]
    elif isinstance(watch, Errors):
        found = _errors(layout, counts)
    else:
        found = counts[layout.block("loss")]
    return np.maximum(found, 0)  # what was taken back from an earlier window is no evidence


def cause(verdict: Verdict) -> Cause:
    """Which class of change it looks like, by what leads the alarm (contracts 5.2)."""
    if not verdict.culprits:
        return "unknown"
    lead = verdict.culprits[0]
    if lead.score in ("missing", "odd") and lead.series == LOSS:
        return "pipeline_break"
    return "relation_change" if lead.series == LOSS else "label_shift"


def decide(
    plan: ConceptPlan | None,
    memory: Memory | None,
    window: Window,
    counts: Ints,
    *,
    listed: bool = True,
) -> tuple[Memory | None, Verdict]:
    """Judge the outcomes of one closed window; windows must be disjoint and in order.

    Parameters
    ----------
    plan : None if there is no reference
    memory : None before the first window
    counts : int64, (layout.total,)
    listed : whether `Verdict.series` is filled, which takes most of the time and decides nothing

    Returns
    -------
    memory, verdict
        The arguments are not changed. Culprits are the series ``loss`` and ``label``.

    Raises
    ------
    ValueError
        The counts are not those of the layout.

    Notes
    -----
    M is the mean of the M of all watches, which keeps :math:`E[τ] \\ge A` whatever their dependence: two of them cost
    each a delay worth log 2, where half a budget for each would cost the same. The alarm is exact at any number of
    labels; effects need thirty.
    """
    if plan is None:
        return memory, Verdict(window, Status.INSUFFICIENT, Reason.NO_REFERENCE, None)
    if counts.shape != (plan.layout.total,):
        raise ValueError(f"expected {plan.layout.total} counts, not {counts.shape}")
    if not plan.watches:
        return memory, Verdict(
            window, Status.INSUFFICIENT, Reason.REFERENCE_TOO_SMALL, None, notes=plan.notes
        )
    memory = memory or Memory(tuple(w.start() for w in plan.watches))
    policy, picked = plan.policy, plan.pick(counts)
    if not picked.any():
        return memory, _declined(plan, memory, window, Reason.NO_EVENTS)
    current = Past(window, picked)
    if memory.carried is not None:
        current = joined(memory.carried, current)
    if _labels(plan, current.counts) < policy.min_labels:
        memory = replace(memory, carried=current)
        return memory, _declined(plan, memory, window, Reason.TOO_FEW_EVENTS)
    before = memory.folds
    at_ms = current.window.start_ms
    folds = tuple(
        w.step(f, current.counts[at], at_ms)
        for w, f, at in zip(plan.watches, before, plan.places, strict=True)
    )
    logs = np.array([w.log(f) for w, f in zip(plan.watches, folds, strict=True)])
    history = _history(policy, memory, folds, current)
    problem = _suspected(plan, memory.problem, folds, logs, history, current)
    if problem is not None:
        found = plan.measure(problem.graded)
        problem = _opened(plan, problem, found, current)
        problem = _calmed(plan, problem, history)
        if problem.calm >= policy.hold:
            verdict = _verdict(plan, memory, folds, logs, window, current, None, listed=listed)
            fresh = tuple(
                again(w, f, problem.span[at])
                for w, f, at in zip(plan.watches, folds, plan.places, strict=True)
            )
            return Memory(fresh), verdict
    verdict = _verdict(plan, memory, folds, logs, window, current, problem, listed=listed)
    return Memory(folds, memory.looks + 1, None, problem, history), verdict


def _labels(plan: ConceptPlan, counts: Ints) -> int:
    return max(w.rows(counts[at]) for w, at in zip(plan.watches, plan.places, strict=True))


def _history(
    policy: ConceptPolicy, memory: Memory, folds: Sequence[Fold], current: Past
) -> tuple[Past, ...]:
    """The windows that a bet that is winning now began with, or that lie in the episode."""
    needed = [int(f.since[f.path > 0].min()) for f in folds if (f.path > 0).any()]
    problem = memory.problem
    if problem is not None and problem.opened_ms is not None:
        needed.append(problem.opened_ms)
    oldest = max(
        min(needed, default=current.window.start_ms), current.window.end_ms - policy.history_ms
    )
    return remembered(memory.history, current, min(oldest, current.window.start_ms))


def _total(windows: Sequence[Past]) -> Ints:
    return np.asarray(np.add.reduce([p.counts for p in windows], axis=0))


def _suspected(
    plan: ConceptPlan,
    problem: Problem | None,
    folds: Sequence[Fold],
    logs: Floats,
    history: tuple[Past, ...],
    current: Past,
) -> Problem | None:
    """The problem after this window: kept, lapsed, or found now; its sums include the window."""
    limit, log = plan.policy.log_threshold, round(log_mean(logs), 6)
    if problem and (problem.opened_ms is not None or log >= limit * LAPSE):
        span = problem.span + current.counts
        same = problem.graded is problem.span
        graded = span if same else problem.graded + current.counts
        return replace(problem, span=span, graded=graded)
    if log < limit:
        return None
    over = [int(k) for k in np.argsort(-logs, kind="stable") if logs[k] >= limit]
    suspects = tuple(
        Suspect(
            k,
            plan.watches[k].lead(folds[k]),
            round(min(float(np.exp(logs[k] - log)) / len(logs), 1.0), 6),
        )
        for k in over or [int(logs.argmax())]
    )
    components = np.concatenate(
        [w.components(f).ravel() for w, f in zip(plan.watches, folds, strict=True)]
    )
    since = np.concatenate([f.since.ravel() for f in folds])
    window = current.window
    began = Onset(*onset(components, since, window.start_ms, window.end_ms))
    span = _total([p for p in history if p.window.start_ms >= began.estimate_ms])
    return Problem(began, suspects, span, span)


def _opened(
    plan: ConceptPlan, problem: Problem, found: Sequence[Interval], current: Past
) -> Problem:
    """Open the episode once a suspect's effect surely matters; from its severe gate on it is severe."""
    least = [w.sizes(one).least for w, one in zip(plan.watches, found, strict=True)]
    if problem.opened_ms is None:
        if not any(
            (least[s.watch] > plan.watches[s.watch].gates[0]).any() for s in problem.suspects
        ):
            return problem
        problem = replace(problem, opened_ms=current.window.start_ms)
    suspects = tuple(
        replace(s, severe=s.severe or bool((least[s.watch] > plan.watches[s.watch].gates[1]).any()))
        for s in problem.suspects
    )
    return replace(problem, suspects=suspects)


def _calmed(plan: ConceptPlan, problem: Problem, history: tuple[Past, ...]) -> Problem:
    """Count calm windows. A severe episode eases after `hold` windows that are calm against the severe gates."""
    opened = problem.opened_ms
    if opened is None:
        return problem
    since = [p for p in history if p.window.start_ms >= opened]
    watches = [(plan.watches[s.watch], plan.places[s.watch]) for s in problem.suspects]

    def sizes(counts: Ints) -> Sizes:
        found = [w.sizes(w.measure(counts[at])) for w, at in watches]
        return Sizes(*(np.concatenate(part) for part in zip(*found, strict=True)))

    newest = Newest(len(since), lambda start, end: _total(since[start:end]), sizes)
    gates = np.concatenate([w.gates for w, _ in watches], axis=1)
    own = np.concatenate([w.own_error for w, _ in watches])
    calm = problem.calm + 1 if calm_tail(newest, gates[0], own) is not None else 0
    tail = calm_tail(newest, gates[1], own) if problem.severe else None
    problem = replace(problem, calm=calm, mild=0 if tail is None else problem.mild + 1)
    if tail is not None and problem.mild >= plan.policy.hold:
        mild = tuple(replace(s, severe=False) for s in problem.suspects)
        problem = replace(problem, suspects=mild, graded=tail, mild=0)
    return replace(problem, severe_windows=problem.severe_windows + 1 if problem.severe else 0)


def _alarm(plan: ConceptPlan, logs: Floats, looks: int) -> Alarm:
    log = log_mean(logs)
    limit = round(plan.policy.log_threshold, 6)
    return Alarm(round(log, 6) if isfinite(log) else None, limit, looks)


def _declined(plan: ConceptPlan, memory: Memory, window: Window, reason: Reason) -> Verdict:
    logs = np.array([w.log(f) for w, f in zip(plan.watches, memory.folds, strict=True)])
    alarm = _alarm(plan, logs, memory.looks)
    return Verdict(window, Status.INSUFFICIENT, reason, alarm, notes=plan.notes)


def _conclusion(*, opened: bool, severe: bool) -> tuple[Status, Reason]:
    if not opened:
        return Status.STABLE, Reason.BELOW_EFFECT_FLOOR
    return (Status.SEVERE, Reason.ALARM_SEVERE) if severe else (Status.DRIFTING, Reason.ALARM)


def _verdict(
    plan: ConceptPlan,
    memory: Memory,
    folds: Sequence[Fold],
    logs: Floats,
    window: Window,
    current: Past,
    problem: Problem | None,
    *,
    listed: bool,
) -> Verdict:
    status, reason = Status.STABLE, Reason.QUIET
    culprits: list[Culprit] = []
    named: dict[int, tuple[Status, Reason]] = {}
    if problem is not None:
        opened = problem.opened_ms is not None
        status, reason = _conclusion(opened=opened, severe=problem.severe)
        for s in problem.suspects:
            watch = plan.watches[s.watch]
            effect = published(watch, watch.measure(problem.graded[plan.places[s.watch]]))
            culprits.append(Culprit(watch.name, s.score, s.share, effect))
            named[s.watch] = _conclusion(opened=opened, severe=s.severe)
    series: list[SeriesVerdict] = []
    if listed:
        order = np.argsort(-logs, kind="stable").tolist()
        series = [
            _series(plan, k, memory.folds[k], folds[k], current.counts, named.get(k)) for k in order
        ]
    return Verdict(
        window,
        status,
        reason,
        _alarm(plan, logs, memory.looks + 1),
        tuple(series),
        tuple(culprits),
        problem.onset if problem else None,
        problem.severe_windows if problem else 0,
        plan.notes,
    )


def _series(
    plan: ConceptPlan,
    k: int,
    before: Fold,
    after: Fold,
    counts: Ints,
    named: tuple[Status, Reason] | None,
) -> SeriesVerdict:
    watch, mine = plan.watches[k], counts[plan.places[k]]
    rows = watch.rows(mine)
    effect = published(watch, watch.measure(mine))
    status, reason = named or (Status.STABLE, Reason.QUIET)
    if named is None and effect is None:
        status, reason = Status.INSUFFICIENT, Reason.TOO_FEW_EVENTS
    was, now = (_missing(watch, of) for of in (watch.reference, mine))
    return SeriesVerdict(
        watch.name,
        status,
        reason,
        watch.rows(watch.reference),
        rows,
        was,
        now,
        effect,
        watch.evidence(before, after, mine) if effect is not None else (),
        top_cells(watch, mine) if effect is not None else (),
    )


def _missing(watch: Watch, counts: Ints) -> float:
    if isinstance(watch, Errors):
        return 0.0
    return float(counts[-1] / max(int(counts.sum()), 1))
