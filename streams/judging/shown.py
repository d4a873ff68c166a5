"""How are metrics written in a result (contracts 5.1)?"""

from collections.abc import Sequence

from detectors.operations.measures import Measure
from detectors.performance.metrics import Metric, metrics
from detectors.performance.rules import Judged
from detectors.samples.effects import Ints
from streams.judging.truth_plan import TruthPlan


def metric_documents(
    truths: TruthPlan, counts: Ints, segment: str, held: Sequence[Judged]
) -> dict[str, object]:
    """Every metric with its 95 % interval, its reference and its line; or why there is none."""
    usual = truths.usual(segment)
    reference = usual.metrics if usual is not None else {}
    lines = {one.series: one for one in reversed(held)}
    found: dict[str, object] = {}
    for name, answer in metrics(truths.layout, counts, costs=truths.costs).items():
        if isinstance(answer, Metric):
            line, was = lines.get(f"metric:{name}"), reference.get(name)
            found[name] = entry(
                answer,
                was.value if was is not None else None,
                line.limit if line is not None else None,
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
