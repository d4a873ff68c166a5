"""What do numbers that were held against their limits say about one kind of problem? Checks become a finding.

Metrics, shares of broken values, latencies and the coverage of labels all are judged alike: a number with its interval,
a limit, and whether the whole interval lies beyond it. What differs is the kind of problem, and the words.
"""

from collections.abc import Sequence
from dataclasses import replace

from alerting.findings import MOST_AFFECTED
from alerting.identity import rfc3339
from alerting.settings import Persistence
from alerting.types import (
    Affected,
    Cause,
    CauseClass,
    Effect,
    Episode,
    Finding,
    Kind,
    Signal,
    Since,
)
from alerting.wording import SUMMARY_LIMIT, clip, clock, duration, number, percent, short_name
from detectors.types import Check, Status, Unit

_LOUD = (Status.SEVERE, Status.DRIFTING)
_NOUNS: dict[Kind, str] = {
    "performance": "metric",
    "data_quality": "rule",
    "operational": "limit",
    "label_health": "limit of the labels",
}


def from_checks(
    kind: Kind,
    checks: Sequence[Check],
    window_start_ms: int,
    window_end_ms: int,
    *,
    cause: CauseClass | None = None,
    hints: Sequence[str] = (),
    before: Episode | None = None,
) -> Finding:
    """All checks of one kind and window as one finding: the worst says how bad it is.

    Parameters
    ----------
    cause : None: a break where data are broken, else unknown
    hints : what speaks for the cause, strongest first, such as the slice that carries the damage
    before : the episode of this kind, open or not; what it is about must be known to be well before it may resolve

    Examples
    --------
    >>> low = Check("recall", "metric:recall", Status.DRIFTING, False, 0.534, 0.497, 0.571, 0.62, 1204, unit="metric")
    >>> found = from_checks("performance", [low], 0, 3_600_000)
    >>> found.headline
    'recall 0.534 (0.497 to 0.571), limit 0.62'
    >>> found.status.value, found.recovery
    ('drifting', 'recall recovered')
    """
    wrong = sorted((c for c in checks if c.status in _LOUD), key=_rank)
    known = [c for c in checks if c.status != Status.INSUFFICIENT]
    status = wrong[0].status if wrong else Status.STABLE if known else Status.INSUFFICIENT
    blamed = {a.series for a in before.finding.affected} if before and before.open else set()
    unknown = {c.series for c in checks} - {c.series for c in known}
    calm = status == Status.STABLE and all(c.calm for c in known) and not blamed & unknown
    start, end = rfc3339(window_start_ms), rfc3339(window_end_ms)
    said = ""
    if wrong:
        said = f"{_sentences(wrong)} Since about {clock(window_start_ms, window_end_ms)}."
    lead = wrong[0] if wrong else known[0] if known else None
    names = _names(kind, wrong)
    return Finding(
        kind=kind,
        status=status,
        calm=calm,
        headline=_headline(wrong),
        recovery=f"{names} recovered",
        summary=clip(said, SUMMARY_LIMIT),
        since=Since(start, start, end),
        since_ms=window_start_ms,
        affected=tuple(_affected(c) for c in wrong[:MOST_AFFECTED]),
        affected_total=len(wrong),
        cause=Cause({"class": cause or _usual_cause(kind), "hints": tuple(hints)}),
        log_statistic=None,
        log_threshold=None,
        n_reference=lead.n_reference if lead and lead.n_reference else None,
        n_current=lead.n if lead else 0,
        signals=tuple(_signal(c) for c in wrong[:MOST_AFFECTED] if c.value is not None),
        leading_score=wrong[0].rule if wrong else None,
        severe_windows=int(status == Status.SEVERE),
        rules=tuple(c.rule for c in wrong),
        at_once=any(c.at_once for c in wrong),
    )


def persisted(
    rule: Persistence, violated_ms: Sequence[int], finding: Finding, at_ms: int, window_ms: int
) -> tuple[tuple[int, ...], Finding]:
    """What a rule says once it has held for long enough; until then it is no problem, but not calm either.

    Parameters
    ----------
    violated_ms : ends of the windows that broke the rule, as this function returned them
    at_ms, window_ms : end and length of the finding's window

    Returns
    -------
    violated_ms, finding
        The finding, or a quiet one in its place. An insufficient one counts neither way.

    Examples
    --------
    >>> broken = from_checks("performance", [Check("f1", "metric:f1", Status.DRIFTING, False, 0, 0, 0, 1, 9)], 0, 10)
    >>> ends, first = persisted(Persistence(2, 3), (), broken, 10, 10)
    >>> _, second = persisted(Persistence(2, 3), ends, broken, 20, 10)
    >>> first.status.value, second.status.value
    ('stable', 'drifting')
    """
    oldest = at_ms - max(rule.of * window_ms, (rule.for_ms or 0) + window_ms)
    kept = tuple(ms for ms in violated_ms if ms > oldest)
    if finding.status == Status.INSUFFICIENT:
        return kept, finding
    if finding.status == Status.STABLE:
        # an unbroken run begins anew; two of three may continue
        return (kept if rule.for_ms is None else ()), finding
    kept = (*kept, at_ms)
    if rule.for_ms is not None:
        enough = at_ms - kept[0] + window_ms >= rule.for_ms
    else:
        enough = len(kept) >= rule.hits
    if enough or finding.at_once:
        return kept, finding
    return kept, replace(finding, status=Status.STABLE, calm=False)


def _usual_cause(kind: Kind) -> CauseClass:
    return "pipeline_break" if kind == "data_quality" else "unknown"


def _rank(check: Check) -> tuple[bool, float, str]:
    """Severe before drifting, then by how far beyond its limit a number is, relative to the limit."""
    value, limit = check.value, check.limit
    beyond = 0.0
    if value is not None and limit is not None:
        beyond = abs(value - limit) / max(abs(limit), 1e-9)
    return check.status != Status.SEVERE, -beyond, check.rule


def _names(kind: Kind, wrong: Sequence[Check]) -> str:
    if not wrong:
        return {"performance": "performance", "data_quality": "data quality"}.get(
            kind, kind.replace("_", " ")
        )
    more = len(wrong) - 1
    noun = _NOUNS.get(kind, "rule")
    plural = "s" if more > 1 else ""
    return wrong[0].rule + (f" and {more} more {noun}{plural}" if more else "")


def _headline(wrong: Sequence[Check]) -> str:
    if not wrong:
        return "all rules hold"
    more = len(wrong) - 1
    return in_words(wrong[0]) + (f" and {more} more" if more else "")


def _sentences(wrong: Sequence[Check]) -> str:
    said = [in_words(check) for check in wrong[:5]]
    text = ". ".join(s[:1].upper() + s[1:] for s in said)
    more = len(wrong) - len(said)
    reference = wrong[0].reference
    usual = f" (reference {_amount(reference, wrong[0].unit)})" if reference is not None else ""
    return f"{text}{usual}" + (f". And {more} more." if more > 0 else ".")


def in_words(check: Check) -> str:
    """One check as people read it.

    Examples
    --------
    >>> in_words(Check("missing(age)", "feature:age", Status.SEVERE, False, 0.42, 0.4, 0.44, 0.03, 900, unit="share"))
    'age missing in 42 % (40 % to 44 %), limit 3 %'
    >>> in_words(Check("latency_p99", "latency", Status.DRIFTING, False, 312, 290, 330, 200, 900, unit="time"))
    'latency_p99 312 ms (290 ms to 330 ms), limit 200 ms'
    """
    if check.said is not None:
        return check.said
    name, _, of = check.rule.partition("(")
    name = name.replace("_", " ") if of else name
    subject = f"{short_name(check.series)} {name} in" if of else name
    if check.value is None:
        return f"{subject} unknown"
    text = f"{subject} {_amount(check.value, check.unit)}"
    if check.low is not None and check.high is not None:
        text += f" ({_amount(check.low, check.unit)} to {_amount(check.high, check.unit)})"
    return text if check.limit is None else f"{text}, limit {_amount(check.limit, check.unit)}"


def _amount(value: float, unit: Unit) -> str:
    if unit == "share":
        return percent(value)
    if unit == "time":
        return f"{value:.0f} ms" if value < 10_000 else duration(int(value))
    if unit == "metric":
        return f"{value:.3f}".rstrip("0").rstrip(".") if abs(value) < 100 else f"{value:,.0f}"
    return f"{value:,.0f}" if abs(value) >= 1000 else number(value)


def _affected(check: Check) -> Affected:
    effect = None
    if check.value is not None:
        low = check.value if check.low is None else check.low
        high = check.value if check.high is None else check.high
        effect = Effect(check.rule, check.value, low, high, check.limit or 0.0)
    return Affected(check.series, 0.0, effect, None, ())  # rules have no share of one change


def _signal(check: Check) -> Signal:
    assert check.value is not None  # asked before
    return Signal(
        series=check.series,
        value=check.value,
        low=check.value if check.low is None else check.low,
        high=check.value if check.high is None else check.high,
        reference=check.reference,
        threshold=check.limit,
        n_reference=check.n_reference,
        n_current=check.n,
    )
