"""Is the model still right? Windows of scope `outcomes`, from records to findings.

A window holds what became known in it. What is known by now of the days on which predictions were made is told beside
it: `streams.judging.matured`.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from alerting.checks import Check, from_checks
from alerting.findings import from_concept
from alerting.types import Finding, Subject
from detectors.operations.layout import TOTAL, predictions
from detectors.performance import concept
from detectors.performance import rules as line_rules
from detectors.performance.metrics import confusion
from detectors.samples.effects import Ints
from detectors.types import Reason, Status, Verdict, Window
from streams.judging import matured
from streams.judging.conclusions import LOUD, Conclusion, Judged
from streams.judging.lines import Rule
from streams.judging.plans import ModelPlan
from streams.judging.results import Judged as Told
from streams.judging.results import document
from streams.judging.scopes import DAY_MS, OUTCOMES, Timing
from streams.judging.share import Share
from streams.judging.shown import metric_documents
from streams.judging.subjects import SubjectKey, SubjectState, keys_of, source_of
from streams.judging.truth_plan import TruthPlan
from streams.judging.truths import Closed, OutcomeWindow, fitted, grown, summed
from streams.judging.waiting import patient
from streams.messages import Joined, Outcomes, Summary, unpack_counts
from streams.segments import ALL

PREDICTED = ""  # in place of a layout's digest: predictions are counted in none


# ---- merging


def merge(share: Share, plan: ModelPlan, record: Outcomes, judged: Judged) -> None:
    """Add a record to its window, and to that of `all`.

    What comes after its window was judged is late: no window counts it any more, but the sums over longer periods and
    the days of predictions do.
    """
    share.align(plan, OUTCOMES)
    model = share.models[record.model_id]
    start = plan.timings[OUTCOMES.name].start_of(record.pane_start_ms)
    until = model.of(OUTCOMES).judged_until_ms
    late = until is not None and start < until
    into = until if late and until is not None else start
    for key in keys_of(record):
        subject = model.subject(key)
        if subject is None:
            judged.capped += 1
            continue
        window = _window(subject, into, record.digest)
        if late:
            window.merge_days(record)
            share.add_late(plan, key, OUTCOMES, abs(record.outcomes))
            judged.late[record.model_id] += abs(record.outcomes) if key[1] == ALL else 0
            closed = subject.truths.closed.get(start)
            if closed is not None and closed.digest == record.digest:
                closed.counts = grown(closed.counts, record.cells)
                share.put_closed(plan, key, start)
        else:
            window.merge(record)
        share.put_window(plan, key, OUTCOMES, into, record.digest)


def merge_predictions(share: Share, plan: ModelPlan, summary: Summary) -> None:
    """Count predictions by their day: labels are held against their number."""
    if not summary.health:
        return
    many = predictions(unpack_counts(summary.health, TOTAL))
    if not many:
        return
    share.align(plan, OUTCOMES)
    model, pane = share.models[summary.model_id], summary.pane_start_ms
    until = model.of(OUTCOMES).judged_until_ms or 0
    start = max(plan.timings[OUTCOMES.name].start_of(pane), until)
    for key in keys_of(summary):
        subject = model.subject(key)
        if subject is None:
            continue  # counted as beyond the cap where its inputs are
        window = _window(subject, start, PREDICTED)
        day = pane // DAY_MS * DAY_MS
        window.predictions[day] = window.predictions.get(day, 0) + many
        share.put_window(plan, key, OUTCOMES, start, PREDICTED)


def _window(subject: SubjectState, start: int, digest: str) -> OutcomeWindow:
    windows = subject.windows(OUTCOMES).setdefault(start, {})
    return windows.setdefault(digest, OutcomeWindow())


def join(share: Share, plan: ModelPlan, record: Joined) -> None:
    """Add what became of labels to its window; the next one where that was judged."""
    model = share.models[record.model_id]
    until = model.of(OUTCOMES).judged_until_ms or 0
    start = max(plan.timings[OUTCOMES.name].start_of(record.pane_start_ms), until)
    into = model.joined.setdefault(start, {})
    for name, n in record.counts.items():
        into[name] = into.get(name, 0) + n
    share.put_joined(plan, start)


# ---- closing


class Known(NamedTuple):
    """What became known in one window about one subject."""

    window: Window
    counts: Ints  # in the layout of the plan
    counted: OutcomeWindow  # empty where there was nothing, or only of another layout
    days: tuple[int, ...]  # of which more is known now


def close(
    share: Share, plan: ModelPlan, start: int, due: Sequence[SubjectKey]
) -> Sequence[Conclusion]:
    """Judge one window of these subjects, and tell again of the days that it changed."""
    truths = plan.truths
    assert truths is not None  # else there would be no windows
    known = {key: _known(share, plan, truths, key, start) for key in due}
    told = [_conclude(share, plan, truths, key, known) for key in due]
    share.take_joined(plan, start)
    days = [matured.tell(share, plan, truths, key, day) for key in due for day in known[key].days]
    return [*told, *days]


def _known(share: Share, plan: ModelPlan, truths: TruthPlan, key: SubjectKey, start: int) -> Known:
    """Take a window out of the open ones; it stays in the sums over longer periods, and in its days."""
    windows = share.close_window(plan, key, OUTCOMES, start)
    counted = windows.get(truths.layout.digest, OutcomeWindow())
    counts = fitted(counted.cells, truths.layout.total)
    end = start + truths.timing.window_ms
    events = sum(window.outcomes for window in windows.values())
    panes = len({pane for window in windows.values() for pane in window.panes})
    late = share.take_late(plan, key, OUTCOMES)
    if truths.longest_ms:
        _remember(share, plan, truths, key, start, counts)
    if PREDICTED in windows:
        matured.count(share, plan, truths, key, windows[PREDICTED].predictions, end)
    days = matured.add(share, plan, truths, key, counted.days, end)
    return Known(Window(start, end, max(events, 0), late, panes), counts, counted, days)


def _remember(
    share: Share, plan: ModelPlan, truths: TruthPlan, key: SubjectKey, start: int, counts: Ints
) -> None:
    """Keep the window as long as a longer period may need it."""
    of = share.subject(plan, key).truths.closed
    of[start] = Closed(counts, truths.layout.digest)
    share.put_closed(plan, key, start)
    for old in [one for one in of if one <= start - truths.longest_ms]:
        del of[old]
        share.put_closed(plan, key, old)


def _conclude(
    share: Share,
    plan: ModelPlan,
    truths: TruthPlan,
    key: SubjectKey,
    beside: Mapping[SubjectKey, Known],
) -> Conclusion:
    """From what became known in a window to a result and its findings."""
    known, subject = beside[key], share.subject(plan, key)
    window = known.window
    verdict, anew = _decide(share, plan, truths, key, known)
    held = truths.hold(key[1], lambda rule: _over(truths, subject, known, rule))
    performance = _performance(share, plan, truths, key, held, window, verdict)
    told = _together(verdict, performance)._replace(
        metrics=metric_documents(truths, known.counts, key[1], held)
    )
    about = Subject(plan.lifecycle.model_id, *key)
    result = document(plan, about, OUTCOMES.name, window, told)
    result = msgspec.structs.replace(result, confusion=confusion(truths.layout, known.counts))
    findings = (*([performance] if performance else []), from_concept(verdict))
    return Conclusion(
        key,
        window.end_ms,
        result,
        findings,
        source_of(OUTCOMES.name, "concept_drift") if anew else None,
    )


def _decide(
    share: Share, plan: ModelPlan, truths: TruthPlan, key: SubjectKey, known: Known
) -> tuple[Verdict, bool]:
    """Fold the window into the detector of its subject; whether that began anew."""
    detector = truths.detector(key[1]) if plan.comparable(key[0]) else None
    of = share.subject(plan, key).truths
    before, anew = of.recall(truths.digest, detector)
    after, verdict = concept.decide(detector, before, known.window, known.counts)
    if detector is not None and after is not None:
        of.memory = after
        share.put_concept(plan, key, known.window.end_ms)
    return verdict, anew


def _over(truths: TruthPlan, subject: SubjectState, known: Known, rule: Rule) -> Ints | None:
    """The outcomes that a rule is about: of the window, or of the longer period that it completes."""
    if rule.period_ms is None:
        return known.counts
    end = known.window.end_ms
    if Timing(rule.period_ms).start_of(end) != end:
        return None
    counts = known.counts
    for start, of in subject.truths.closed.items():
        within = end - rule.period_ms <= start < known.window.start_ms
        if within and of.digest == truths.layout.digest:
            counts = summed(counts, of.counts)
    return counts


def _performance(
    share: Share,
    plan: ModelPlan,
    truths: TruthPlan,
    key: SubjectKey,
    held: Sequence[line_rules.Judged],
    window: Window,
    verdict: Verdict,
) -> Finding | None:
    """What the written lines say, once they were crossed for long enough; None where none was written."""
    if not held:
        return None
    subject = share.subject(plan, key)
    waits = {rule.name: rule.persistence for rule in truths.rules}
    checks = [Check(**one._asdict()) for one in held]
    checks, moved = patient("performance", checks, subject.violated, window, waits)
    if moved:
        share.put_violated(plan, key)
    return from_checks(
        "performance",
        checks,
        window.start_ms,
        window.end_ms,
        cause=concept.cause(verdict),
        before=subject.episodes.get(source_of(OUTCOMES.name, "performance")),
    )


def _together(verdict: Verdict, performance: Finding | None) -> Told:
    """What is worst: the detector's verdict, or that of the lines."""
    told = Told(verdict.status, verdict.reason, verdict, notes=verdict.notes)
    if performance is None:
        return told
    worse = performance.status == Status.SEVERE and verdict.status != Status.SEVERE
    if worse or (performance.status in LOUD and verdict.status not in LOUD):
        return told._replace(status=performance.status, reason=Reason.RULE)
    if performance.status == Status.STABLE and verdict.reason == Reason.NO_REFERENCE:
        return told._replace(status=Status.STABLE, reason=Reason.QUIET)
    return told
