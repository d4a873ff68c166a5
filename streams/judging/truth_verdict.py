"""What does a window of outcomes come to? Labels, lines, the detector, and where the errors are."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import msgspec

from alerting.checks import from_checks
from alerting.findings import from_concept
from alerting.settings import Persistence
from alerting.types import Finding, Kind, Subject
from detectors.performance import concept, named
from detectors.performance.concentration import Slice, search
from detectors.performance.metrics import confusion
from detectors.performance.rules import judge_line
from detectors.performance.watches import LOSS
from detectors.samples.effects import Ints
from detectors.types import Check, Reason, SeriesVerdict, Status, Unit, Verdict, Window
from streams.judging import hopes, labels
from streams.judging.conclusions import LOUD, Conclusion
from streams.judging.lines import Rule
from streams.judging.plans import ModelPlan
from streams.judging.results import Judged as Told
from streams.judging.results import document
from streams.judging.scopes import OUTCOMES, Timing
from streams.judging.share import Share
from streams.judging.shown import metric_documents
from streams.judging.subjects import SubjectKey, TruthMemory, source_of
from streams.judging.truth_plan import OF_LABELS, TruthPlan
from streams.judging.truths import OutcomeWindow, fitted, summed
from streams.judging.waiting import called, patient
from streams.lifecycle.conditions import MetricTest
from streams.messages import SliceDocument
from streams.segments import ALL

_CONCEPT = source_of(OUTCOMES.name, "concept_drift")


class Known(NamedTuple):
    """What became known in one window about one subject."""

    window: Window
    counts: Ints  # in the layout of the plan
    counted: OutcomeWindow  # empty where there was nothing, or only of another layout
    predictions: int  # that were made in it
    hopes: Ints | None  # the same, for estimates
    days: tuple[int, ...]  # of which more is known now


def conclude(
    share: Share,
    plan: ModelPlan,
    truths: TruthPlan,
    key: SubjectKey,
    beside: Mapping[SubjectKey, Known],
    joined: Mapping[str, int],
) -> Conclusion:
    """From what became known in a window to a result and its findings, what explains first.

    Parameters
    ----------
    beside : what became known about every subject
    joined : what became of the model's labels in this window
    """
    known = beside[key]
    memory, window, segment = share.subject(plan, key).truths, known.window, key[1]
    findings: list[Finding] = []
    # How labels come does not depend on the segment: a version's are judged together.
    of_labels = None
    if segment == ALL:
        mine = joined if key[0] == plan.lifecycle.version else {}
        of_labels = labels.judge(
            truths, memory, window, known.counts, known.counted.corrected, known.predictions, mine
        )
        share.put_predictions(plan, key)
        findings.append(_ruled(share, plan, key, window, "label_health", of_labels.checks))
    immature = of_labels is not None and of_labels.immature
    if immature:
        verdict, anew = Verdict(window, Status.INSUFFICIENT, Reason.LABELS_IMMATURE, None), False
    else:
        verdict, anew = _decide(share, plan, truths, key, known)
    held = truths.hold(segment, lambda rule: _over(truths, memory, known, rule))
    lines = [one.judged for one in held]
    if segment == ALL:
        others = {of: one.counts for (version, of), one in beside.items() if version == key[0]}
        lines += [*truths.worse(known.counts), *truths.apart(others, known.counts)]
    loud = verdict.status in LOUD or any(one.status in LOUD for one in lines)
    where = _where(truths, segment, known) if loud and not immature else ()
    hints = tuple(_hint(of) for of in where)
    metrics = metric_documents(truths, known.counts, segment, held)
    dearer = _dearer(metrics)
    performance = None
    if lines and not immature:
        checks = [called(one, one.series.removeprefix("metric:")) for one in lines]
        performance = _ruled(
            share, plan, key, window, "performance", checks, verdict, hints, truths.waits
        )
        findings.append(replace(performance, cost=dearer))
    findings.append(replace(from_concept(verdict, hints), cost=dearer))
    told = _together(verdict, performance)._replace(metrics=metrics)
    if of_labels is not None:
        episode = share.subject(plan, key).episodes.get(_CONCEPT)
        changed = verdict.status in LOUD or (episode is not None and episode.open)
        hoped = hopes.estimated(truths, memory, known.hopes, changed=changed)
        metrics = {**metrics, **hoped, **of_labels.metrics}
        told = told._replace(metrics=metrics, quality=of_labels.quality)
    result = msgspec.structs.replace(
        document(plan, Subject(plan.lifecycle.model_id, *key), OUTCOMES.name, window, told),
        confusion=confusion(truths.layout, known.counts),
        slices=[_slice(of) for of in where],
    )
    tests: dict[str, Check] = {}
    if of_labels is not None and key[0] == plan.lifecycle.version:
        tests = _tests(plan, truths, known.counts, of_labels)
    begun = _CONCEPT if anew else None
    return Conclusion(key, window.end_ms, result, tuple(findings), begun, tests)


def _tests(
    plan: ModelPlan, truths: TruthPlan, counts: Ints, of_labels: labels.Labels
) -> dict[str, Check]:
    """What a window of segment `all` says of metrics that are parts of conditions."""
    found = {}
    for test in plan.conditions.parts[OUTCOMES.name]:
        if not isinstance(test, MetricTest):
            continue
        line, name = plan.conditions.lines[str(test)], str(test)
        if test.metric in OF_LABELS:
            answer = of_labels.told.get(test.metric)
            unit: Unit = "time" if test.metric == "label_lag" else "share"
            check = judge_line(name, answer, line, series=f"metric:{test.metric}", unit=unit)
        elif of_labels.immature:
            continue  # of what is compared with nothing nothing is said
        else:
            check = truths.line(name, test.metric, line, counts)
        found[name] = called(check, test.metric)
    return found


def _decide(
    share: Share, plan: ModelPlan, truths: TruthPlan, key: SubjectKey, known: Known
) -> tuple[Verdict, bool]:
    """Fold the window into the detector of its subject; whether that began anew."""
    detector = truths.detector(key[1]) if plan.comparable(key[0]) else None
    memory = share.subject(plan, key).truths
    before, anew = memory.recall(truths.digest, detector)
    after, verdict = concept.decide(detector, before, known.window, known.counts)
    if detector is not None and after is not None:
        memory.memory = after
        share.put_concept(plan, key, known.window.end_ms)
    if truths.singles:
        memory.singles = memory.found(truths.singles)
        for _, values in sorted(known.counted.values.items()):
            memory.singles = named.extend(truths.singles, memory.singles, values)
        share.put_singles(plan, key, truths.singles, known.window.end_ms)
        found, rows = named.evidence(truths.singles, memory.singles), truths.rows(known.counts)
        if not any(one.series == LOSS for one in verdict.series):
            loss = SeriesVerdict(LOSS, verdict.status, verdict.reason, 0, rows, 0.0, 0.0, None)
            verdict = replace(verdict, series=(*verdict.series, loss))
        verdict = named.beside(verdict, LOSS, found)
    return replace(verdict, notes=(*verdict.notes, *truths.notes)), anew


def _over(truths: TruthPlan, memory: TruthMemory, known: Known, rule: Rule) -> Ints | None:
    """The outcomes that a rule is about: of the window, or of the longer period that it completes."""
    if rule.period_ms is None:
        return known.counts
    end = known.window.end_ms
    if Timing(rule.period_ms).start_of(end) != end:
        return None
    counts = known.counts
    for start, of in memory.closed.items():
        within = end - rule.period_ms <= start < known.window.start_ms
        if within and of.digest == truths.layout.digest:
            counts = summed(counts, of.counts)
    return counts


def _ruled(
    share: Share,
    plan: ModelPlan,
    key: SubjectKey,
    window: Window,
    kind: Kind,
    checks: Sequence[Check],
    verdict: Verdict | None = None,
    hints: Sequence[str] = (),
    waits: Mapping[str, Persistence] | None = None,
) -> Finding:
    """What rules say, once they were broken for long enough."""
    subject = share.subject(plan, key)
    heard, moved = patient(kind, checks, subject.violated, window, waits)
    if moved:
        share.put_violated(plan, key)
    return from_checks(
        kind,
        heard,
        window.start_ms,
        window.end_ms,
        cause="unknown" if verdict is None else concept.cause(verdict),
        hints=hints,
        before=subject.episodes.get(source_of(OUTCOMES.name, kind)),
    )


def _where(truths: TruthPlan, segment: str, known: Known) -> tuple[Slice, ...]:
    """The slices in which the errors are, or were added."""
    if truths.slices is None:
        return ()
    counts = fitted(known.counted.slices, truths.slices.total)
    return search(truths.slices, counts, past=truths.sliced() if segment == ALL else None).slices


def _hint(of: Slice) -> str:
    return (
        f"{of.name} carries {of.share:.0%} of the errors: {of.rate:.3f} instead of {of.against:.3f}"
    )


def _dearer(metrics: Mapping[str, object]) -> float | None:
    """By what a prediction costs more than in the reference; None: nobody says what mistakes cost, or it is unknown."""
    of = metrics.get("cost")
    if not isinstance(of, dict) or of.get("reference") is None:
        return None
    return float(of["value"] - of["reference"])


def _slice(of: Slice) -> SliceDocument:
    return SliceDocument(
        of.name, of.rows, of.rate, of.against, of.low, of.high, of.share, of.p_value
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
