"""How good is the present model? What a candidate is held against: as the reference has it, and as measured last."""

from collections.abc import Callable

from detectors.performance.metrics import Metric, metric
from streams.judging.plans import ModelPlan
from streams.judging.subjects import ModelState
from streams.judging.truths import Ints, fitted, summed
from streams.segments import ALL

ENOUGH = 1_000  # labelled predictions: days further back say nothing of the present
LEAST = 200  # fewer of them prove nothing


def as_usual(plan: ModelPlan) -> Callable[[str, str | None], float | None]:
    """A metric in the reference, of all events or of a segment; else as the lifecycle has it."""

    def found(name: str, segment: str | None) -> float | None:
        usual = plan.truths.usual(segment or ALL) if plan.truths is not None else None
        if usual is not None and name in usual.metrics:
            return usual.metrics[name].value
        written = plan.lifecycle.monitoring.performance_metrics
        of = (one for one in written if one.metric == name and (one.segment or None) == segment)
        return next((one.current for one in of if one.current is not None), None)

    return found


def as_measured(plan: ModelPlan, model: ModelState) -> Callable[[str, str | None], float | None]:
    """A metric of the current version on the newest days whose labels are known; None where they are too few."""

    def found(name: str, segment: str | None) -> float | None:
        truths = plan.truths
        subject = model.subjects.get((plan.lifecycle.version, segment or ALL))
        if truths is None or subject is None:
            return None
        counts: Ints | None = None
        rows = 0
        for _, day in sorted(subject.truths.days.items(), reverse=True):
            if day.digest != truths.layout.digest:
                continue
            more = fitted(day.counts, truths.layout.total)
            counts = more if counts is None else summed(counts, more)
            rows = truths.rows(counts)
            if rows >= ENOUGH:
                break
        if counts is None or rows < LEAST:
            return None
        answer = metric(truths.layout, counts, name, costs=truths.costs)
        return answer.value if isinstance(answer, Metric) else None

    return found
