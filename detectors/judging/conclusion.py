"""What is published of a window: the verdict that the alarm, the effects and the written rules come to."""

from dataclasses import replace

import numpy as np

from detectors.alarm.sequential import Standing, State, standing
from detectors.judging.gauge import Gauge
from detectors.judging.listing import effects_at, list_series, missing_name
from detectors.judging.literal import Ruled
from detectors.judging.memory import Memory, Problem, Suspect
from detectors.judging.plan import Plan, Watch
from detectors.samples.effects import Interval, Ints
from detectors.types import Alarm, Culprit, Onset, Reason, Status, Verdict, Window


def _alarm(plan: Plan, state: State, now: Standing) -> Alarm:
    log = round(now.log, 6) if np.isfinite(now.log) else None
    return Alarm(log, round(plan.policy.log_threshold, 6), state.looks)


def decline(plan: Plan, watch: Watch, memory: Memory, window: Window, reason: Reason) -> Verdict:
    """What is published of a window that cannot be judged."""
    now, notes = standing(watch.panel, memory.state), plan.notes
    alarm = _alarm(plan, memory.state, now) if watch.budgeted else None
    if reason == Reason.REFERENCE_TOO_SMALL:
        notes = (*notes, f"the reference holds too few events in slot {window.slot} of its season")
    return Verdict(window, Status.INSUFFICIENT, reason, alarm, notes=notes)


def conclude(
    plan: Plan,
    watch: Watch,
    state: State,
    now: Standing,
    window: Window,
    spread: Ints,
    rules: Ruled,
    problem: Problem | None = None,
    graded: Interval | None = None,
    *,
    listed: bool,
) -> Verdict:
    """What is published of a judged window."""
    status, reason = Status.STABLE, Reason.QUIET
    culprits: tuple[Culprit, ...] = ()
    every = [plan.series[at].name for at in watch.positions]
    named = dict(rules.seen.named(every))
    if problem and graded:
        names = [every[s.series] for s in problem.suspects]
        names = [
            missing_name(name) if s.score == "missing" else name
            for name, s in zip(names, problem.suspects, strict=True)
        ]
        opened = problem.opened_ms is not None
        status, reason = _conclusion(opened=opened, severe=problem.severe)
        named |= {
            name: _conclusion(opened=opened, severe=s.severe)
            for name, s in zip(names, problem.suspects, strict=True)
        }
        culprits = tuple(
            _culprit(watch.gauge, name, s, graded)
            for name, s in zip(names, problem.suspects, strict=True)
        )
    verdict = Verdict(
        window,
        status,
        reason,
        _alarm(plan, state, now) if watch.budgeted else None,
        # The culprits of a broken rule show the effects that are listed.
        list_series(plan, spread, named) if listed or rules.broken else (),
        culprits,
        problem.onset if problem else None,
        problem.severe_windows if problem else 0,
        plan.notes,
    )
    return (
        _with_rules(watch, every, verdict, rules) if rules.seen.flags or rules.broken else verdict
    )


def _with_rules(watch: Watch, every: list[str], verdict: Verdict, rules: Ruled) -> Verdict:
    """The verdict after literal rules, too, had their say: the worse of the two, all culprits."""
    broken = rules.broken
    if broken is None:  # some broke their rule, but fewer than the share that was asked for
        if verdict.status != Status.STABLE:
            return verdict
        return replace(verdict, reason=Reason.BELOW_EFFECT_FLOOR)
    listed = {s.series: s.effect for s in verdict.series}
    first, kinds, share = watch.panel.first, watch.panel.kinds, round(1 / len(broken.series), 6)
    culprits = tuple(
        Culprit(every[k], kinds[first[k]], share, listed[every[k]]) for k in broken.series
    )
    alone = verdict.status == Status.STABLE
    if alone or (broken.severe and verdict.status == Status.DRIFTING):
        status = Status.SEVERE if broken.severe else Status.DRIFTING
        verdict = replace(verdict, status=status, reason=Reason.RULE)
    return replace(
        verdict,
        culprits=culprits if alone else (*verdict.culprits, *culprits),
        onset=Onset(broken.opened_ms, broken.opened_ms, broken.until_ms)
        if alone
        else verdict.onset,
        severe_windows=max(verdict.severe_windows, broken.severe_windows),
    )


def _conclusion(*, opened: bool, severe: bool) -> tuple[Status, Reason]:
    if not opened:
        return Status.STABLE, Reason.BELOW_EFFECT_FLOOR
    return (Status.SEVERE, Reason.ALARM_SEVERE) if severe else (Status.DRIFTING, Reason.ALARM)


def _culprit(gauge: Gauge, name: str, suspect: Suspect, graded: Interval) -> Culprit:
    """With the effect that is largest relative to its gate; of a missing share, its own."""
    k = suspect.series
    if suspect.score == "missing":
        at = 2 * len(gauge.numbers) + int(gauge.missing[k])
    else:
        at = int(gauge.largest(graded)[k])
    (effect,), _, _ = effects_at(gauge, graded, np.array([at]))
    return Culprit(
        name, suspect.score, suspect.share, effect if np.isfinite(graded.low[at]) else None
    )
