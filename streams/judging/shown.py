"""How are metrics written in a result (contracts 5.1)?"""

from collections.abc import Sequence

from detectors.operations.measures import Measure
from detectors.performance.metrics import Metric, metric, metrics
from detectors.samples.effects import Ints
from streams.judging.truth_plan import Held, TruthPlan


def metric_documents(
    truths: TruthPlan, counts: Ints, segment: str, held: Sequence[Held]
) -> dict[str, object]:
    """Every metric with its 95 % interval, its reference and its line; or why there is none.

    A metric that is measured over more than one window is that of its period in the result that completes it.
    """
    usual = truths.usual(segment)
    reference = usual.metrics if usual is not None else {}
    lines = {one.rule.metric: one for one in reversed(held) if one.counts is not None}
    found: dict[str, object] = {}
    for name, of_window in metrics(truths.layout, counts, costs=truths.costs).items():
        line, was, answer = lines.get(name), reference.get(name), of_window
        if line is not None and line.rule.period_ms and line.counts is not None:
            answer = metric(truths.layout, line.counts, name, costs=truths.costs)
        if isinstance(answer, Metric):
            found[name] = entry(
                answer,
                was.value if was is not None else None,
                line.judged.limit if line is not None else None,
            )
        else:
            found[name] = {"insufficient": answer.reason, "n": answer.n}
    return found


def entry(
    of: Metric | Measure, reference: float | None = None, threshold: float | None = None
) -> dict[str, object]:
    """One metric."""
    value, low, high, n = of[:4]
    return {
        "value": value,
        "low": low,
        "high": high,
        "n": n,
        "reference": reference,
        "threshold": threshold,
    }
