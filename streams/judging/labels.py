"""Do the labels come as they should? The labels of one window, from what is kept of a subject to checks."""

from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple

from detectors.operations.measures import share as share_of
from detectors.operations.rules import Z99, Line, held
from detectors.performance.labels import (
    Day,
    LabelHealth,
    Limits,
    Seen,
    Usual,
    judge_labels,
    lag_quantile,
)
from detectors.performance.measured import Metric
from detectors.performance.metrics import labels, lags
from detectors.performance.rules import judge_line
from detectors.samples.effects import Ints
from detectors.types import Check, Status, Window
from streams.judging.lines import Rule
from streams.judging.shown import entry
from streams.judging.subjects import TruthMemory
from streams.judging.truth_plan import TruthPlan
from streams.judging.truths import Day as Known
from streams.judging.truths import fitted
from streams.segments import ALL

UNMATCHED = 0.2  # the largest share of labels without a prediction that is well
_HINT = (
    "are predictions and labels keyed by event id, on as many partitions, by the same partitioner?"
)


_NO_DAY = Known()


class Labels(NamedTuple):
    """What is said of the labels of a window."""

    status: Status
    checks: tuple[Check, ...]
    immature: bool  # they are older or younger than usual: performance cannot be compared
    metrics: Mapping[str, object]
    quality: Mapping[str, object]
    told: Mapping[str, Metric]  # coverage and lag, as far as they are known


def judge(
    truths: TruthPlan,
    memory: TruthMemory,
    window: Window,
    counts: Ints,
    corrected: int,
    predictions: int,
    joined: Mapping[str, int],
) -> Labels:
    """Judge the labels of one window, and remember when they came.

    Parameters
    ----------
    counts, corrected : of the outcomes that became known in it
    predictions : that were made in it
    joined : what became of its labels; empty for all but one subject of a model
    """
    classified = truths.layout.task in ("binary", "classes")
    seen = Seen(
        predictions,
        truths.rows(counts),
        corrected,
        lags(truths.layout, counts),
        labels(truths.layout, counts)[: len(truths.layout.classes)] if classified else None,
    )
    memory.labels, found = judge_labels(
        _limits(truths), _usual(truths), memory.labels, window, seen, _days(truths, memory)
    )
    middle = lag_quantile(seen.lags)
    lag = None if middle is None else Metric(*middle)
    extra = [*_lines(truths, found, lag), *_joined(joined)]
    checks = (*found.checks, *extra)
    metrics: dict[str, object] = {} if lag is None else {"label_lag": entry(lag)}
    check, covered = _coverage(found), _covered(found)
    if check is not None and covered is not None:
        metrics["label_coverage"] = entry(covered, check.reference, check.limit)
    quality = {
        check.rule: {
            "value": check.value,
            "limit": check.limit,
            "violated": check.status in (Status.DRIFTING, Status.SEVERE),
        }
        for check in checks
        if check.value is not None
    }
    told = {} if lag is None else {"label_lag": lag}
    if covered is not None:
        told["label_coverage"] = covered
    return Labels(found.status, checks, found.immature, metrics, quality, told)


def _limits(truths: TruthPlan) -> Limits:
    of = truths.health
    return Limits(of.coverage, _ms(of.within), _ms(of.delay), _ms(of.max_lag), of.max_corrections)


def _usual(truths: TruthPlan) -> Usual:
    usual = truths.usual(ALL)
    if usual is None:
        return Usual()
    classified = truths.layout.task in ("binary", "classes")
    known = labels(truths.layout, usual.counts)[: len(truths.layout.classes)]
    reference = truths.reference.outcomes if truths.reference is not None else None
    phis = dict(reference.dispersion).get("label", ()) if reference is not None else ()
    phi = max((value for _, value in phis), default=1.0)
    return Usual(lags(truths.layout, usual.counts), known if classified else None, phi)


def _days(truths: TruthPlan, memory: TruthMemory) -> list[Day]:
    """Days of predictions, labelled or not, oldest first."""
    found = []
    for start, made in sorted(memory.predictions.items()):
        of = memory.days.get(start, _NO_DAY)
        counts = of.counts if of.digest == truths.layout.digest else _NO_DAY.counts
        found.append(Day(start, made, lags(truths.layout, fitted(counts, truths.layout.total))))
    return found


def _lines(truths: TruthPlan, found: LabelHealth, lag: Metric | None) -> list[Check]:
    """Lines that were written for the labels themselves."""
    held_to = []
    covered = _covered(found)
    for rule in truths.rules:
        if rule.metric == "label_lag" and rule.segment == ALL:
            held_to.append(
                judge_line(_named(rule), lag, rule.line, series="label_lag", unit="time")
            )
        elif rule.metric == "label_coverage" and rule.segment == ALL and _coverage(found):
            series = "metric:label_coverage"
            held_to.append(
                judge_line(_named(rule), covered, rule.line, series=series, unit="share")
            )
    return held_to


def _coverage(found: LabelHealth) -> Check | None:
    return next((c for c in found.checks if c.rule == "label_coverage"), None)


def _covered(found: LabelHealth) -> Metric | None:
    """The share of predictions that have their label by now."""
    coverage = _coverage(found)
    if coverage is None or coverage.value is None:
        return None
    return Metric(coverage.value, coverage.low or 0.0, coverage.high or 1.0, coverage.n)


def _named(rule: Rule) -> str:
    """A line on coverage or lag is a rule beside the check of that name."""
    return f"{rule.name}_line" if rule.name == rule.metric else rule.name


def _joined(joined: Mapping[str, int]) -> list[Check]:
    """Whether too many labels find no prediction."""
    unmatched, matched = joined.get("unmatched", 0), joined.get("matched", 0)
    if not unmatched + matched:
        return []
    found = held(
        Line(high=UNMATCHED, least=200),
        "unmatched",
        "label",
        share_of(unmatched, unmatched + matched, Z99),
        reference=0.0,
    )
    if found.status != Status.DRIFTING or found.value is None:
        return [found]
    return [found._replace(said=f"{found.value:.0%} of the labels find no prediction: {_HINT}")]


def _ms(length: timedelta | None) -> int | None:
    return None if length is None else length // timedelta(milliseconds=1)
