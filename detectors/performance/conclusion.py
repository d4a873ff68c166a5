"""What is published of a window's outcomes: the verdict, what carries it, and which class of change it looks like."""

from collections.abc import Sequence
from math import isfinite
from typing import Literal

import numpy as np

from detectors.performance.concept_plan import ConceptPlan
from detectors.performance.memory import Memory, Past, Problem
from detectors.performance.watches import LOSS, Errors, Fold, Watch, published, top_cells
from detectors.samples.effects import Floats, Ints
from detectors.sequences.losses import log_mean
from detectors.types import Alarm, Culprit, Reason, SeriesVerdict, Status, Verdict, Window

Cause = Literal["relation_change", "label_shift", "pipeline_break", "unknown"]


def cause(verdict: Verdict) -> Cause:
    """Which class of change it looks like, by what leads the alarm (contracts 5.2)."""
    if not verdict.culprits:
        return "unknown"
    lead = verdict.culprits[0]
    if lead.score in ("missing", "odd") and lead.series == LOSS:
        return "pipeline_break"
    return "relation_change" if lead.series == LOSS else "label_shift"


def _alarm(plan: ConceptPlan, logs: Floats, looks: int) -> Alarm:
    log = log_mean(logs)
    limit = round(plan.policy.log_threshold, 6)
    return Alarm(round(log, 6) if isfinite(log) else None, limit, looks)


def decline(plan: ConceptPlan, memory: Memory, window: Window, reason: Reason) -> Verdict:
    """What is published of a window that cannot be judged."""
    logs = np.array([w.log(f) for w, f in zip(plan.watches, memory.folds, strict=True)])
    alarm = _alarm(plan, logs, memory.looks)
    return Verdict(window, Status.INSUFFICIENT, reason, alarm, notes=plan.notes)


def _conclusion(*, opened: bool, severe: bool) -> tuple[Status, Reason]:
    if not opened:
        return Status.STABLE, Reason.BELOW_EFFECT_FLOOR
    return (Status.SEVERE, Reason.ALARM_SEVERE) if severe else (Status.DRIFTING, Reason.ALARM)


def conclude(
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
    """What is published of a judged window; `memory` is the one from before it."""
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
