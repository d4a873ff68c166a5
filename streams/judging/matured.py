"""How right were the predictions of a day, as far as is known by now? Scope `matured`.

Labels come late: what a day was worth is told again, with a higher revision, whenever a window of outcomes changed it.
Nothing alerts here; the lines that were written say whether the day was well.
"""

from collections.abc import Mapping

import msgspec

from alerting.types import Subject
from detectors.operations.measures import share as share_of
from detectors.performance.metrics import MIN_LABELS, confusion
from detectors.samples.effects import Ints
from detectors.types import Reason, Status, Window
from streams.judging.conclusions import LOUD, Conclusion, worst
from streams.judging.plans import ModelPlan
from streams.judging.results import Judged, document
from streams.judging.scopes import DAY_MS, OUTCOMES
from streams.judging.share import Share
from streams.judging.shown import entry, metric_documents
from streams.judging.subjects import SubjectKey
from streams.judging.truth_plan import TruthPlan
from streams.judging.truths import Closed, Day, OutcomeWindow, fitted, summed

MATURED = "matured"


def add(
    share: Share,
    plan: ModelPlan,
    truths: TruthPlan,
    key: SubjectKey,
    days: Mapping[int, Ints],
    end: int,
) -> tuple[int, ...]:
    """Add what became known until `end` to the days of its predictions; the days that changed.

    Days whose truth can come no more are forgotten. Counts of two layouts cannot be added: the newer ones stay.
    """
    memory, digest = share.subject(plan, key).truths, truths.layout.digest
    oldest = _oldest(plan, truths, end)
    changed = []
    for day, counts in sorted(days.items()):
        if day < oldest or not counts.any():
            continue
        before = memory.days.get(day, Day())
        if before.digest == digest:
            more = summed(before.counts, counts)
        else:
            more = fitted(counts, truths.layout.total)
        memory.days[day] = Day(more, digest, before.revision + 1)
        share.put_day(plan, key, day)
        changed.append(day)
    for day in [one for one in memory.days if one < oldest]:
        del memory.days[day]
        share.put_day(plan, key, day)
    return tuple(changed)


def count(
    share: Share,
    plan: ModelPlan,
    truths: TruthPlan,
    key: SubjectKey,
    made: OutcomeWindow,
    end: int,
) -> None:
    """Add the predictions of days."""
    memory, oldest = share.subject(plan, key).truths, _oldest(plan, truths, end)
    of, digest = memory.predictions, truths.layout.digest
    for day, many in made.predictions.items():
        of[day] = of.get(day, 0) + many
    for day in [one for one in of if one < oldest]:
        del of[day]
    for day, counts in made.hopes.items():
        before = memory.hopes.get(day)
        known = before is not None and before.digest == digest
        more = summed(before.counts, counts) if before is not None and known else counts
        memory.hopes[day] = Closed(more, digest)
        share.put_hope(plan, key, day)
    for day in [one for one in memory.hopes if one < oldest]:
        del memory.hopes[day]
        share.put_hope(plan, key, day)
    share.put_predictions(plan, key)


def _oldest(plan: ModelPlan, truths: TruthPlan, end: int) -> int:
    """The oldest day whose truth may come in a window that ends then: it begins a window earlier."""
    return (end - plan.timings[OUTCOMES.name].window_ms - truths.keep_ms) // DAY_MS * DAY_MS


def tell(
    share: Share, plan: ModelPlan, truths: TruthPlan, key: SubjectKey, start: int
) -> Conclusion:
    """What is known of one day."""
    memory = share.subject(plan, key).truths
    day = memory.days[start]
    counts = fitted(day.counts, truths.layout.total)
    rows = truths.rows(counts)
    made = memory.predictions.get(start, 0)
    held = truths.hold(key[1], lambda rule: counts)
    status = worst([one.judged.status for one in held])
    if status in LOUD:
        reason = Reason.RULE
    elif status == Status.STABLE:
        reason = Reason.QUIET
    else:  # too few for the lines that were written, or nothing was that it could be held against
        few = rows < MIN_LABELS or bool(held)
        reason = Reason.TOO_FEW_EVENTS if few else Reason.NO_REFERENCE
    metrics = metric_documents(truths, counts, key[1], held)
    coverage = share_of(min(rows, made), made)
    if coverage is not None:
        metrics["label_coverage"] = entry(coverage)
    window = Window(start, start + DAY_MS, rows)
    about = Subject(plan.lifecycle.model_id, *key)
    told = document(plan, about, MATURED, window, Judged(status, reason, metrics=metrics))
    told = msgspec.structs.replace(
        told, revision=day.revision, confusion=confusion(truths.layout, counts)
    )
    return Conclusion(key, window.end_ms, told, ())
