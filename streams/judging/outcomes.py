"""Is the model still right? Windows of scope `outcomes`, from records to findings.

A window holds what became known in it. What is known by now of the days on which predictions were made is told beside
it: `streams.judging.matured`.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce

from detectors.operations.layout import TOTAL, predictions
from detectors.samples.effects import Ints
from detectors.types import Window
from streams.judging import matured
from streams.judging.conclusions import Conclusion, Judged
from streams.judging.plans import ModelPlan
from streams.judging.scopes import DAY_MS, OUTCOMES
from streams.judging.share import Share
from streams.judging.subjects import SubjectKey, SubjectState, keys_of
from streams.judging.truth_plan import TruthPlan
from streams.judging.truth_verdict import Known, conclude
from streams.judging.truths import Closed, OutcomeWindow, fitted, grown, summed
from streams.messages import Joined, Outcomes, Summary, unpack_counts
from streams.segments import ALL

PREDICTED = (
    "="  # and the reference's digest, in place of a layout's: predictions without their truth
)


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
            if closed is not None and record.digest.startswith(closed.digest):
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
        hopes = summary.hopes if key[1] == ALL else b""
        digest = PREDICTED + summary.reference_digest
        _window(subject, start, digest).predict(pane // DAY_MS * DAY_MS, many, hopes)
        share.put_window(plan, key, OUTCOMES, start, digest)


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


def close(
    share: Share, plan: ModelPlan, start: int, due: Sequence[SubjectKey]
) -> Sequence[Conclusion]:
    """Judge one window of these subjects, and tell again of the days that it changed."""
    truths = plan.truths
    assert truths is not None  # else there would be no windows
    joined = share.take_joined(plan, start)
    known = {key: _known(share, plan, truths, key, start) for key in due}
    told = [conclude(share, plan, truths, key, known, joined) for key in due]
    days = [matured.tell(share, plan, truths, key, day) for key in due for day in known[key].days]
    return [*told, *days]


def _known(share: Share, plan: ModelPlan, truths: TruthPlan, key: SubjectKey, start: int) -> Known:
    """Take a window out of the open ones; it stays in the sums over longer periods, and in its days."""
    windows = share.close_window(plan, key, OUTCOMES, start)
    counted = windows.get(truths.counted, OutcomeWindow())
    counts = fitted(counted.cells, truths.layout.total)
    end = start + truths.timing.window_ms
    events = sum(window.outcomes for window in windows.values())
    panes = len({pane for window in windows.values() for pane in window.panes})
    late = share.take_late(plan, key, OUTCOMES)
    if truths.longest_ms:
        _remember(share, plan, truths, key, start, counts)
    made = OutcomeWindow()
    for digest, window_of in windows.items():
        if digest.startswith(PREDICTED):
            of_ours = digest == PREDICTED + plan.digest
            made.absorb(window_of if of_ours else replace(window_of, hopes={}))
    matured.count(share, plan, truths, key, made, end)
    days = matured.add(share, plan, truths, key, counted.days, end)
    window = Window(start, end, max(events, 0), late, panes)
    hopes = reduce(summed, made.hopes.values()) if made.hopes else None
    return Known(window, counts, counted, sum(made.predictions.values()), hopes, days)


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
