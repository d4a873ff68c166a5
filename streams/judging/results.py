"""A verdict as the document that goes to `leeway.results` (contracts §5.1)."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from alerting.identity import result_id, rfc3339
from alerting.types import Subject
from detectors.types import Reason, SeriesVerdict, Status, Verdict, Window
from streams.judging.plans import ModelPlan
from streams.judging.scopes import INPUTS
from streams.judging.windows import OpenWindow
from streams.messages import (
    AlarmDocument,
    EffectDocument,
    EvidenceDocument,
    MissingDocument,
    ResultDocument,
    SeriesDocument,
    TopBinDocument,
    WindowDocument,
    encode_json,
)

MOST_SERIES = 400
MAX_BYTES = 512 * 1024


class Judged(NamedTuple):
    """What a window came to, in the words of any scope."""

    status: Status
    reason: Reason
    verdict: Verdict | None = None  # of a detector
    metrics: Mapping[str, object] = {}
    quality: Mapping[str, object] = {}
    notes: Sequence[str] = ()
    compared: Mapping[str, list[int]] = {}  # of a series, its counts by cell


def result(
    plan: ModelPlan,
    subject: Subject,
    verdict: Verdict,
    counted: OpenWindow | None,
    compared: Mapping[str, list[int]],
) -> ResultDocument:
    """The document of one verdict on inputs."""
    quality = _quality(plan, counted)
    judged = Judged(verdict.status, verdict.reason, verdict, {}, quality, verdict.notes, compared)
    return document(plan, subject, INPUTS.name, verdict.window, judged)


def document(
    plan: ModelPlan, subject: Subject, scope: str, window: Window, judged: Judged
) -> ResultDocument:
    """The document of one window; the weakest series are left out, and counted, where it would be too large."""
    verdict = judged.verdict
    found = verdict.series if verdict is not None else ()
    series = [_series(s, judged.compared.get(s.series, [])) for s in found[:MOST_SERIES]]
    document = ResultDocument(
        result_id=result_id(subject, scope, window.start_ms, window.end_ms),
        model_id=subject.model_id,
        model_version=subject.version,
        segment=subject.segment,
        scope=scope,
        lifecycle_revision=plan.lifecycle.revision,
        reference_id=plan.reference.reference_id if plan.reference else None,
        window=WindowDocument(
            rfc3339(window.start_ms),
            rfc3339(window.end_ms),
            window.events,
            window.late,
            window.panes,
        ),
        verdict=judged.status,
        reason=judged.reason,
        alarm=_alarm(plan, verdict),
        metrics=dict(judged.metrics),
        quality=dict(judged.quality),
        truncated=len(found) - len(series),
        series=series,
        notes=list(judged.notes),
    )
    while len(encode_json(document)) > MAX_BYTES and document.series:
        keep = len(document.series) // 2
        document = msgspec.structs.replace(
            document, series=document.series[:keep], truncated=len(found) - keep
        )
    return document


def _alarm(plan: ModelPlan, verdict: Verdict | None) -> AlarmDocument | None:
    alarm = verdict.alarm if verdict is not None else None
    if alarm is None:
        return None
    return AlarmDocument(
        alarm.log_statistic, round(alarm.log_threshold, 6), plan.budget, alarm.looks
    )


def _series(verdict: SeriesVerdict, counts: list[int]) -> SeriesDocument:
    effect = verdict.effect
    return SeriesDocument(
        series=verdict.series,
        verdict=verdict.status,
        reason=verdict.reason,
        n_reference=verdict.n_reference,
        n_current=verdict.n_current,
        missing=MissingDocument(verdict.missing_reference, verdict.missing_current),
        effect=EffectDocument(effect.name, effect.value, effect.low, effect.high, effect.floor)
        if effect
        else None,
        evidence=[
            EvidenceDocument(e.detector, e.statistic, e.p_value, e.e_value)
            for e in verdict.evidence
        ],
        top_bins=[
            TopBinDocument(b.bin, b.of, b.reference, b.current, b.contribution)
            for b in verdict.top_bins
        ],
        counts=counts,
    )


def _quality(plan: ModelPlan, counted: OpenWindow | None) -> dict[str, object]:
    """Shares of events whose fields were invalid or broke a declared rule; only what happened."""
    if counted is None or not counted.events:
        return {}
    limits = plan.lifecycle.monitoring.data_quality
    found: dict[str, object] = {}
    for name, reasons in sorted(counted.invalid.items()):
        found[f"invalid({name})"] = _rule(sum(reasons.values()), counted.events, limits.invalid)
    for name, reasons in sorted(counted.violations.items()):
        for reason, n in sorted(reasons.items()):
            found[f"{reason}({name})"] = _rule(n, counted.events, limits.range)
    return found


def _rule(n: int, events: int, limit: float) -> dict[str, object]:
    share = n / events
    return {"value": share, "limit": limit, "violated": share > limit}
