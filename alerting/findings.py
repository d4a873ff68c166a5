"""What does one source say about one kind of problem in one window? Verdicts and intake counts become findings."""

from collections.abc import Mapping, Sequence

from alerting.identity import rfc3339
from alerting.types import (
    Affected,
    Bin,
    Cause,
    CauseClass,
    Finding,
    Kind,
    Missing,
    Signal,
    Since,
)
from alerting.types import Effect as Shown
from alerting.wording import (
    SUMMARY_LIMIT,
    clip,
    clock,
    effect_in_full,
    is_joint,
    percent,
    short_name,
    what_moved,
)
from detectors.types import Culprit, Effect, Onset, SeriesVerdict, Status, Verdict

MOST_AFFECTED = 50
MOST_BINS = 3
BAD_SHARE = 0.01  # of the events of five minutes; contracts 1.3
BAD_LEAST_EVENTS = 100
_BACK_INSIDE = 0.9  # a rule resolves inside its limit by a tenth; the reference of this one is 0
BROKEN = ("missing", "odd")  # scores that say the data are damaged, not new
_SAME_MISSING = 0.02  # the smallest difference of a proportion that matters, statistics 3.6
_MANY_AT_ONCE = 3


def from_verdict(verdict: Verdict) -> Finding:
    """What the input detector says. The kind is `data_drift` as soon as one culprit is a feature."""
    seen = {series.series: series for series in verdict.series}
    inputs = _inputs(verdict.culprits, seen)
    # Inputs lead, by their share of the alarm: what outputs do follows from them.
    culprits = (*inputs, *(c for c in verdict.culprits if c not in inputs))
    onset, alarm = verdict.onset, verdict.alarm
    lead = seen.get(culprits[0].series) if culprits else None
    kind: Kind = "prediction_drift" if culprits and not inputs else "data_drift"
    who = _who(culprits, inputs)
    return Finding(
        kind=kind,
        status=verdict.status,
        calm=verdict.status == Status.STABLE,
        headline=f"{who} drifted",
        recovery=f"{who} recovered",
        summary=_summary(verdict, culprits, seen),
        since=_since(onset),
        since_ms=None if onset is None else onset.estimate_ms,
        affected=tuple(
            _affected(culprit, seen.get(culprit.series)) for culprit in culprits[:MOST_AFFECTED]
        ),
        affected_total=len(culprits),
        cause=_cause(culprits, inputs, seen),
        log_statistic=_rounded(alarm.log_statistic if alarm else None),
        log_threshold=_rounded(alarm.log_threshold if alarm else None),
        n_reference=None if lead is None else lead.n_reference,
        n_current=verdict.window.events if lead is None else lead.n_current,
        signals=tuple(_signals(culprits[:MOST_AFFECTED], seen)),
        leading_score=culprits[0].score if culprits else None,
        severe_windows=verdict.severe_windows,
        visible=any(_beyond_its_floor(seen.get(culprit.series)) for culprit in culprits),
    )


def from_concept(verdict: Verdict, hints: Sequence[str] = ()) -> Finding:
    """What the detectors of losses and labels say: the relation between inputs and truth changed, or the truth did.

    Parameters
    ----------
    verdict : its culprits are ``loss`` and ``label``
    hints : what else speaks for the cause, such as the slices in which the errors are
    """
    seen = {series.series: series for series in verdict.series}
    culprits, onset, alarm = verdict.culprits, verdict.onset, verdict.alarm
    lead = culprits[0].series if culprits else "loss"
    labels = lead == "label"
    what = "labels are mixed differently" if labels else "the model errs more"
    about = seen.get(lead)
    effect = culprits[0].effect if culprits else None
    said = verdict.reason.explanation
    if culprits:
        said = what[:1].upper() + what[1:]
        if effect is not None:
            said += f": {_by_how_much(effect)}"
        if about is not None:
            said += f" in {about.n_current:,} labels"
        if onset is not None:
            said += f", since about {clock(onset.estimate_ms, verdict.window.end_ms)}"
        said += "".join(f"; {hint}" for hint in hints[:1]) + "."
    cause: CauseClass = "unknown" if not culprits else "relation_change"
    if labels:
        cause = "label_shift"
    return Finding(
        kind="concept_drift",
        status=verdict.status,
        calm=verdict.status == Status.STABLE,
        headline=what,
        recovery="the labels recovered" if labels else "the model errs as before",
        summary=clip(said, SUMMARY_LIMIT),
        since=_since(onset),
        since_ms=None if onset is None else onset.estimate_ms,
        affected=tuple(_affected(culprit, seen.get(culprit.series)) for culprit in culprits),
        affected_total=len(culprits),
        cause=Cause({"class": cause, "hints": tuple(hints)}),
        log_statistic=_rounded(alarm.log_statistic if alarm else None),
        log_threshold=_rounded(alarm.log_threshold if alarm else None),
        n_reference=None if about is None else about.n_reference,
        n_current=verdict.window.events if about is None else about.n_current,
        signals=tuple(_signals(culprits, seen)),
        leading_score=culprits[0].score if culprits else None,
        severe_windows=verdict.severe_windows,
        visible=any(_beyond_its_floor(seen.get(culprit.series)) for culprit in culprits),
    )


def _by_how_much(effect: Effect) -> str:
    """A difference of shares in points; anything else as it is called.

    >>> _by_how_much(Effect("difference", 0.083, 0.051, 0.114, 0.02))
    '8.3 points more (5.1 to 11.4, floor 2)'
    """
    if effect.name != "difference":
        return effect_in_full(effect)
    size, low, high = (round(100 * v, 1) for v in (effect.value, effect.low, effect.high))
    more = "more" if size >= 0 else "fewer"
    if size < 0:
        low, high = -high, -low
    return f"{abs(size):g} points {more} ({low:g} to {high:g}, floor {100 * effect.floor:g})"


def from_intake(
    bad: int, total: int, reasons: Mapping[str, int], window_start_ms: int, window_end_ms: int
) -> Finding:
    """What the share of unusable events of five minutes says.

    Parameters
    ----------
    bad, total : int
        Dead-lettered events, and all events.
    reasons : mapping
        Dead letters by defect.
    """
    share = bad / total if total else 0.0
    if total < BAD_LEAST_EVENTS:
        status = Status.INSUFFICIENT
    elif bad == total:
        status = Status.SEVERE
    else:
        status = Status.DRIFTING if share > BAD_SHARE else Status.STABLE
    ranked = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))[:5]
    defects = ", ".join(f"{reason} {count:,}" for reason, count in ranked if count)
    since = clock(window_start_ms, window_end_ms)
    tail = f": {defects}." if defects else "."
    start, end = rfc3339(window_start_ms), rfc3339(window_end_ms)
    return Finding(
        kind="pipeline",
        status=status,
        calm=status == Status.STABLE and share <= BAD_SHARE * _BACK_INSIDE,
        headline=f"{percent(share)} of the events cannot be used",
        recovery="events can be used again",
        summary=clip(
            f"{bad:,} of {total:,} events went to the dead letters ({percent(share)}, "
            f"limit {percent(BAD_SHARE)}), since about {since}{tail}",
            SUMMARY_LIMIT,
        ),
        since=Since(start, start, end),
        since_ms=window_start_ms,
        affected=(),
        affected_total=0,
        cause=Cause({"class": "pipeline_break", "hints": (defects,) if defects else ()}),
        log_statistic=None,
        log_threshold=None,
        n_reference=None,
        n_current=total,
    )


def _since(onset: Onset | None) -> Since | None:
    if onset is None:
        return None
    return Since(rfc3339(onset.estimate_ms), rfc3339(onset.earliest_ms), rfc3339(onset.latest_ms))


def _rounded(log: float | None) -> float | None:
    """The last digits differ between processors."""
    return None if log is None else round(log, 6)


def _inputs(culprits: Sequence[Culprit], seen: Mapping[str, SeriesVerdict]) -> tuple[Culprit, ...]:
    """Culprits that are features, their missing rates or relations; outputs may be missing too (`missing:score`)."""

    def is_input(series: str) -> bool:
        prefix, _, name = series.partition(":")
        output = name in ("prediction", "score") and f"feature:{name}" not in seen
        return prefix in ("feature", "joint") or (prefix == "missing" and not output)

    return tuple(culprit for culprit in culprits if is_input(culprit.series))


def _who(culprits: Sequence[Culprit], inputs: Sequence[Culprit]) -> str:
    """The leading input (else output), and how many more."""
    named = inputs or culprits
    if not named:
        return "inputs"
    more = len(named) - 1
    plural = "s" if more > 1 else ""
    noun = "input" if inputs else "output"
    return short_name(named[0].series) + (f" and {more} more {noun}{plural}" if more else "")


def _summary(
    verdict: Verdict, culprits: Sequence[Culprit], seen: Mapping[str, SeriesVerdict]
) -> str:
    if not culprits:
        return verdict.reason.explanation
    first, *others = culprits
    said = f"{short_name(first.series)}: {what_moved(first, seen.get(first.series))}."
    if first.effect is not None:
        said += f" {effect_in_full(first.effect)}"
    if verdict.onset is not None:
        joint = " Since" if first.effect is None else ", since"
        said += f"{joint} about {clock(verdict.onset.estimate_ms, verdict.window.end_ms)}"
    said = said.removesuffix(".") + "."
    if others:
        names = ", ".join(short_name(culprit.series) for culprit in others[:4])
        said += f" Also {names}" + (f" and {len(others) - 4} more." if len(others) > 4 else ".")
    return clip(said, SUMMARY_LIMIT)


def _beyond_its_floor(series: SeriesVerdict | None) -> bool:
    """Whether the window's own effect surely matters."""
    effect = series.effect if series is not None else None
    return effect is not None and max(effect.low, -effect.high) >= effect.floor


def _affected(culprit: Culprit, seen: SeriesVerdict | None) -> Affected:
    return Affected(
        series=culprit.series,
        share_of_change=round(culprit.share, 6),
        effect=None if culprit.effect is None else Shown(*culprit.effect),
        missing=None if seen is None else Missing(seen.missing_reference, seen.missing_current),
        top_bins=()
        if seen is None
        else tuple(
            Bin(top.bin, top.of, top.reference, top.current) for top in seen.top_bins[:MOST_BINS]
        ),
    )


def _signals(culprits: Sequence[Culprit], seen: Mapping[str, SeriesVerdict]) -> list[Signal]:
    signals = []
    for culprit in culprits:
        effect, series = culprit.effect, seen.get(culprit.series)
        if effect is not None and series is not None:
            signals.append(
                Signal(
                    series=culprit.series,
                    value=effect.value,
                    low=effect.low,
                    high=effect.high,
                    reference=0.0,  # an effect without a change
                    threshold=effect.floor,
                    n_reference=series.n_reference,
                    n_current=series.n_current,
                )
            )
    return signals


def _cause(
    culprits: Sequence[Culprit], inputs: Sequence[Culprit], seen: Mapping[str, SeriesVerdict]
) -> Cause:
    """Which class of change it looks like, and what speaks for it."""
    if not culprits:
        return Cause({"class": "unknown", "hints": ()})
    hints = []
    if culprits[0].score in BROKEN:
        name: CauseClass = "pipeline_break"
        hints.append("values are missing or unusable: repair the data before retraining on them")
    elif not inputs:
        name = "prediction_shift"
        hints.append("no input moved")
    else:
        name = "input_shift"
        lead = seen.get(culprits[0].series)
        if lead and abs(lead.missing_current - lead.missing_reference) < _SAME_MISSING:
            hints.append("values changed, the missing rate did not")
    moved = {c.series.partition(":")[2] for c in inputs if not is_joint(c.series)}
    if len(moved) >= _MANY_AT_ONCE:
        watched = sum(series.startswith("feature:") for series in seen)
        hints.append(f"{len(moved)} of the {watched} inputs moved at once")
    return Cause({"class": name, "hints": tuple(hints)})
