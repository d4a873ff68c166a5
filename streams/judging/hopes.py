"""How right is the model, as far as scores tell before labels come? Estimates of a window, and what they were worth.

Estimates are of segment `all`, by the day on which predictions were made. Each is held against the truth of that day
once nearly all of that is known.
"""

from collections.abc import Mapping

from detectors.performance.estimate import Estimate, Estimates, estimate
from detectors.performance.measured import Insufficient, Metric
from detectors.performance.metrics import metric
from detectors.performance.trust import RECENT, Check, check, reliability
from detectors.samples.effects import Ints
from streams.judging.shown import entry
from streams.judging.subjects import TruthMemory
from streams.judging.truth_plan import TruthPlan
from streams.judging.truths import fitted

KNOWN = 0.8  # share of a day's predictions whose truth must be known to hold an estimate against it


def estimated(
    truths: TruthPlan, memory: TruthMemory, counts: Ints | None, *, changed: bool
) -> Mapping[str, object]:
    """`NAME_estimated` of the predictions that were counted; empty where nothing can be estimated.

    Parameters
    ----------
    counts : of predictions, by `truths.hopes`
    changed : concept drift is open
    """
    if truths.hopes is None or counts is None:
        return {}
    now = _estimates(truths, counts)
    found: dict[str, object] = {}
    past = _past(truths, memory)
    for name, one in now.metrics.items():
        checks = [_check(truths, name, before, truth) for before, truth in past]
        trust = reliability(checks, now.outside, changed)
        if isinstance(one, Insufficient):
            found[f"{name}_estimated"] = {"insufficient": one.reason, "n": one.n}
        elif isinstance(one, Estimate):
            shown = entry(Metric(*one[:4]))
            found[f"{name}_estimated"] = {
                **shown,
                "reliability": trust.state,
                "reasons": list(trust.reasons),
            }
    return found


def _estimates(truths: TruthPlan, counts: Ints) -> Estimates:
    assert truths.hopes is not None  # whoever asks has counted them
    total = truths.hopes.total
    return estimate(truths.hopes, truths.calibration, fitted(counts, total), truths.costs)


def _past(truths: TruthPlan, memory: TruthMemory) -> list[tuple[Estimates, Ints]]:
    """The estimates of the last days whose truth is known, oldest first, and that truth."""
    found = []
    for start, day in sorted(memory.days.items(), reverse=True):
        hoped, made = memory.hopes.get(start), memory.predictions.get(start, 0)
        mine = day.digest == truths.layout.digest
        if hoped is None or hoped.digest != truths.layout.digest or not mine:
            continue
        truth = fitted(day.counts, truths.layout.total)
        if made and truths.rows(truth) >= KNOWN * made:
            found.append((_estimates(truths, hoped.counts), truth))
        if len(found) == RECENT:
            break
    return found[::-1]


def _check(truths: TruthPlan, name: str, hoped: Estimates, truth: Ints) -> Check:
    answer = metric(truths.layout, truth, name, costs=truths.costs)
    return check(name, hoped.metrics[name], answer, truths.phi)
