"""Is the model up, and is what it is fed whole? Windows of scope `health`, from summaries to findings.

What a window says is in `streams.judging.health`. Segments have a window only where a line was written for them: what
is broken in one of them shows in `all`, or in its inputs.
"""

from collections.abc import Mapping, Sequence

from alerting.checks import from_checks
from alerting.types import Finding, Kind, Subject
from detectors.types import Check, Window
from streams.judging import health, written
from streams.judging.conclusions import Conclusion
from streams.judging.plans import ModelPlan
from streams.judging.results import Judged, document
from streams.judging.scopes import HEALTH
from streams.judging.share import Share
from streams.judging.subjects import SubjectKey, keys_of, source_of
from streams.judging.vitals import HealthWindow
from streams.judging.waiting import patient
from streams.messages import Summary
from streams.segments import ALL

# A break of the data explains what an outage looks like, and both explain what follows from them.
_ORDER: tuple[Kind, ...] = ("data_quality", "operational", "performance")


def merge(share: Share, plan: ModelPlan, summary: Summary) -> None:
    """Add a summary to its window; one that was judged takes no more."""
    if not summary.health:
        return  # written by a Leeway that did not count it
    share.align(plan, HEALTH)
    model = share.models[summary.model_id]
    start = plan.timings[HEALTH.name].start_of(summary.pane_start_ms)
    until = model.of(HEALTH).judged_until_ms
    for key in keys_of(summary):
        subject = model.subject(key) if key[1] == ALL or key[1] in plan.lined else None
        if subject is None:
            continue  # of those beyond the cap the inputs are counted as such
        if until is not None and start < until:
            share.add_late(plan, key, HEALTH, summary.events)
            continue
        windows = subject.windows(HEALTH).setdefault(start, {})
        if summary.reference_digest not in windows:
            windows[summary.reference_digest] = HealthWindow.like(summary)
        windows[summary.reference_digest].merge(summary)
        share.put_window(plan, key, HEALTH, start, summary.reference_digest)


def close(
    share: Share, plan: ModelPlan, start: int, due: Sequence[SubjectKey]
) -> Sequence[Conclusion]:
    """Judge one window of these subjects."""
    return [_conclude(share, plan, key, start) for key in due]


def _conclude(share: Share, plan: ModelPlan, key: SubjectKey, start: int) -> Conclusion:
    subject = share.subject(plan, key)
    windows = share.close_window(plan, key, HEALTH, start)
    end = start + plan.timings[HEALTH.name].window_ms
    window = _window(windows, start, end, share.take_late(plan, key, HEALTH))
    subject.health, verdict = health.close(plan.limits, subject.health, windows, window, *key)
    share.put_health(plan, key, end)
    findings: list[Finding] = []
    more: dict[Kind, list[Check]] = {}
    tests: dict[str, Check] = {}
    if key == (plan.lifecycle.version, ALL):
        measured = {}
        if plan.conditions.metrics or plan.conditions.lines:
            measured = health.measured(plan.limits, windows, window, plan.conditions.means)
        counted = written.Counted(plan.limits, windows, window, measured, verdict.last_ms)
        more = written.checks(plan.conditions, counted)
        tests = written.told(plan.conditions, counted)
    for kind in _ORDER:
        if kind == "performance" and not verdict.checks[kind]:
            continue  # no line was written
        found = [*verdict.checks[kind], *more.get(kind, ())]
        checks, moved = patient(kind, found, subject.violated, window, plan.conditions.waits)
        if moved:
            share.put_violated(plan, key)
        before = subject.episodes.get(source_of(HEALTH.name, kind))
        findings.append(from_checks(kind, checks, start, end, before=before))
    told = Judged(
        verdict.status,
        verdict.reason,
        None,
        verdict.metrics,
        verdict.quality,
        verdict.notices,
    )
    about = Subject(plan.lifecycle.model_id, *key)
    result = document(plan, about, HEALTH.name, window, told)
    return Conclusion(key, end, result, tuple(findings), tests=tests)


def _window(windows: Mapping[str, HealthWindow], start: int, end: int, late: int) -> Window:
    events = sum(window.counted.events for window in windows.values())
    panes = len({pane for window in windows.values() for pane in window.counted.panes})
    return Window(start, end, events, late, panes)
