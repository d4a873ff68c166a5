"""Do the labels come as they should? Coverage, age, one-sidedness, corrections, and whether there are any at all.

A performance is only as good as its labels: those that come early are no random sample (fraud is reported, its absence
is not), and a stream that stops looks like a model without errors. So this is a verdict of its own. Only labels of
equal age are compared: coverage is that of whole days of prediction, all as old as the limit says, cut at that age.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp, log, sqrt
from typing import Any, NamedTuple

import numpy as np

from detectors.operations.rules import INSIDE, LEAST, Z99
from detectors.performance.layout import LAG_EDGES_MS, LAGS
from detectors.samples import effects
from detectors.samples.effects import Z95, Ints, wilson
from detectors.types import Check, Reason, Status, Verdict, Window

SURE = 1e-6  # chance below which a run of one class is no accident
LATE = 0.05  # share of labels that may be older than the largest lag
LAG_SHIFT = (
    0.10  # chance, beyond one half, that a label is older (or younger) than one of the reference
)
FALL = 0.10  # of coverage below that of earlier days, where nothing was written
SETTLED = (
    0.9  # share of the reference's labels that are known at the age at which days are compared
)
BASELINE_DAYS = 7
NEWEST_DAYS = 28
STRETCH = 3  # times the longest silence before: then there are no labels
LEARNT_MS, PATIENCE_MS = (
    14 * 86_400_000,
    7 * 86_400_000,
)  # shorter known, a week without may be usual
_LATEST_MS = 400 * 86_400_000  # the open bucket of lags is drawn to end at the longest join window
_DAY_MS = 86_400_000
_REFERENCE_Z = 4.0
_UNKNOWN = LAGS - 1  # the bucket of labels whose prediction time is not known


class Limits(NamedTuple):
    """What was written of the labels; None: compared with the reference, or with earlier days."""

    coverage: float | None = None  # least share of predictions that is labelled…
    within_ms: int | None = None  # …at this age
    delay_ms: int | None = None  # how late labels are expected to be
    max_lag_ms: int | None = None
    max_corrections: float = 0.01


class Usual(NamedTuple):
    """The labels of the reference."""

    lags: Ints | None = None  # (13,): block `lag`; None or all unknown: it has no lags
    classes: Ints | None = None  # (C,): labels of every class
    phi: float = 1.0  # over-dispersion of the shares of classes


class Seen(NamedTuple):
    """What came in a window."""

    predictions: int
    outcomes: int  # net of what was taken back
    corrected: int
    lags: Ints  # (13,)
    classes: Ints | None = None  # (C,); None: the truth is no class


class Day(NamedTuple):
    """A day of predictions, and the ages of the labels that are known of it."""

    start_ms: int
    predictions: int
    lags: Ints  # (13,)


@dataclass(frozen=True, slots=True)
class LabelMemory:
    """When labels came so far; None: never."""

    first_ms: int | None = None  # start of the first window with predictions
    began_ms: int | None = None  # start of the first window with labels
    last_ms: int | None = None  # end of the last window with labels
    longest_ms: int = 0  # the longest time without labels between two windows that had some

    def to_data(self) -> list[Any]:
        """For JSON.

        >>> LabelMemory.from_data(LabelMemory(0, 5, 10, 3).to_data())
        LabelMemory(first_ms=0, began_ms=5, last_ms=10, longest_ms=3)
        """
        return [self.first_ms, self.began_ms, self.last_ms, self.longest_ms]

    @staticmethod
    def from_data(data: Sequence[Any]) -> "LabelMemory":
        """The memory that `to_data` wrote."""
        first_ms, began_ms, last_ms, longest_ms = data
        return LabelMemory(first_ms, began_ms, last_ms, longest_ms)


class LabelHealth(NamedTuple):
    """The verdict: severe without any labels, drifting where a limit is broken, and every check that was made."""

    status: Status
    calm: bool
    checks: tuple[Check, ...]

    @property
    def broken(self) -> tuple[Check, ...]:
        """The checks whose limit is broken."""
        return tuple(c for c in self.checks if c.status in (Status.DRIFTING, Status.SEVERE))

    @property
    def immature(self) -> bool:
        """Whether labels are younger or older than those of the reference: performance cannot be compared."""
        return any(c.rule == "label_lag" for c in self.broken)


def judge_labels(
    limits: Limits,
    usual: Usual,
    memory: LabelMemory,
    window: Window,
    seen: Seen,
    days: Sequence[Day],
) -> tuple[LabelMemory, LabelHealth]:
    """Judge the labels of one closed window; windows must be disjoint and in order.

    Parameters
    ----------
    days : days of prediction, oldest first; only those that are old enough are used, at most the newest 29

    Notes
    -----
    Broken where the whole 99 % interval (Wilson, Newcombe) is beyond the limit; nothing is said under 30 events. Shares
    of days vary more than chance, so days are compared with the over-dispersion that they show. Cost: .3 ms.

    Examples
    --------
    >>> lags = np.zeros(13, np.int64); lags[3] = 400
    >>> seen = Seen(predictions=1000, outcomes=400, corrected=20, lags=lags)
    >>> memory, found = judge_labels(Limits(), Usual(), LabelMemory(), Window(0, 3_600_000), seen, [])
    >>> found.status.value, [(c.rule, c.value, c.limit) for c in found.broken]
    ('drifting', [('label_corrections', 0.05, 0.01)])
    """
    after = _advanced(memory, window, seen)
    checks = (
        _silence(limits, memory, after, window, seen),
        _coverage(limits, usual, window, days),
        _lag(limits, usual, seen),
        _one_sided(usual, seen),
        _corrections(limits, seen),
    )
    known = [c.status for c in checks]
    status = next(
        (s for s in (Status.SEVERE, Status.DRIFTING, Status.STABLE) if s in known),
        Status.INSUFFICIENT,
    )
    calm = status == Status.STABLE and all(
        c.calm for c in checks if c.status != Status.INSUFFICIENT
    )
    return after, LabelHealth(status, calm, checks)


def compared(verdict: Verdict, health: LabelHealth) -> Verdict:
    """The verdict on outcomes, unless the age of the labels forbids to compare them: then it changes nothing."""
    if not health.immature or verdict.status == Status.INSUFFICIENT:
        return verdict
    return replace(verdict, status=Status.INSUFFICIENT, reason=Reason.LABELS_IMMATURE)


def _advanced(memory: LabelMemory, window: Window, seen: Seen) -> LabelMemory:
    first, began, last = memory.first_ms, memory.began_ms, memory.last_ms
    longest = memory.longest_ms
    if seen.predictions > 0 and first is None:
        first = window.start_ms
    if seen.outcomes > 0:
        if last is not None:
            longest = max(longest, window.start_ms - last)
        began = window.start_ms if began is None else began
        last = window.end_ms
    return LabelMemory(first, began, last, longest)


def _said(rule: str, series: str, n: int, limit: float | None = None, unit: Any = "share") -> Check:
    """Nothing can be said."""
    return Check(
        rule, series, Status.INSUFFICIENT, False, None, None, None, limit, max(n, 0), unit=unit
    )


def _silence(
    limits: Limits, before: LabelMemory, after: LabelMemory, window: Window, seen: Seen
) -> Check:
    """No label though predictions come and labels are due: their delay is known, or some came before.

    Labels that come once a week are silent for six days from the first: before two weeks of them are known, and unless
    their delay was written, a week without is not called silence.
    """
    length = window.end_ms - window.start_ms
    if seen.outcomes > 0:
        return Check(
            "no_labels",
            "label",
            Status.STABLE,
            True,
            0.0,
            0.0,
            0.0,
            None,
            seen.outcomes,
            unit="time",
        )
    if before.last_ms is not None and before.began_ms is not None:
        since, most = before.last_ms, max(STRETCH * before.longest_ms, 2 * length)
        if limits.delay_ms is not None:
            most = max(most, limits.delay_ms)
        elif before.last_ms - before.began_ms < LEARNT_MS:
            most = max(most, PATIENCE_MS)
    elif limits.delay_ms is not None and after.first_ms is not None:
        since, most = after.first_ms, limits.delay_ms + max(length, limits.delay_ms // 2)
    else:
        return _said("no_labels", "label", 0, unit="time")
    value, limit = float(window.end_ms - since), float(most)
    if seen.predictions < LEAST:
        found = _said("no_labels", "label", 0, limit, unit="time")
        return found._replace(value=value, low=value, high=value)
    broken = value > limit
    status = Status.SEVERE if broken else Status.STABLE
    return Check("no_labels", "label", status, False, value, value, value, limit, 0, unit="time")


def _bucket(age_ms: int) -> int:
    """Labels in buckets before this place are at most so old; an age between two edges takes the later one."""
    return int(np.searchsorted(LAG_EDGES_MS, age_ms)) + 1


def _coverage(limits: Limits, usual: Usual, window: Window, days: Sequence[Day]) -> Check:
    rule, series = "label_coverage", "metric:label_coverage"
    age = _age(limits, usual)
    if age is None:
        return _said(rule, series, 0, limits.coverage)
    upto = min(_bucket(age), _UNKNOWN)
    old = [
        d for d in days if d.start_ms + _DAY_MS + age <= window.end_ms and d.predictions >= LEAST
    ]
    if not old:
        return _said(rule, series, 0, limits.coverage)
    n = [d.predictions for d in old]
    labelled = [min(max(int(d.lags[:upto].sum()), 0), d.predictions) for d in old]
    value = labelled[-1] / n[-1]
    low, high = (float(bound) for bound in wilson(value, n[-1], Z99))
    if limits.coverage is not None:
        broken = high < limits.coverage
        calm = not broken and value >= limits.coverage
        return Check(
            rule, series, _status(broken=broken), calm, value, low, high, limits.coverage, n[-1]
        )
    before, of = labelled[-1 - NEWEST_DAYS : -1], n[-1 - NEWEST_DAYS : -1]
    if len(before) < BASELINE_DAYS:
        return _said(rule, series, n[-1])._replace(value=value, low=low, high=high)
    part, whole = sum(before), sum(of)
    share = part / whole
    change = effects.difference(part, whole, labelled[-1], n[-1], _dispersion(before, of), Z99)
    broken = float(change.high) < -FALL
    limit = max(share - FALL, 0.0)
    calm = not broken and value >= limit + INSIDE * (share - limit)
    return Check(
        rule, series, _status(broken=broken), calm, value, low, high, limit, n[-1], share, whole
    )


def _age(limits: Limits, usual: Usual) -> int | None:
    """The age at which days are compared; None: neither written nor known from the reference."""
    if limits.within_ms is not None:
        return limits.within_ms
    if usual.lags is None:
        return None
    known = np.maximum(usual.lags[:_UNKNOWN], 0).cumsum()
    if known[-1] < LEAST:
        return None
    at = int(np.searchsorted(known, SETTLED * known[-1]))
    return LAG_EDGES_MS[min(at, len(LAG_EDGES_MS) - 1)]


def _dispersion(parts: Sequence[int], wholes: Sequence[int]) -> float:
    """How much more than by chance the shares of days vary; at least 1."""
    share = sum(parts) / sum(wholes)
    chance = share * (1 - share)
    if chance <= 0 or len(parts) < 2:
        return 1.0
    squares = sum(n * (k / n - share) ** 2 for k, n in zip(parts, wholes, strict=True))
    return max(1.0, squares / chance / (len(parts) - 1))


def _status(*, broken: bool) -> Status:
    return Status.DRIFTING if broken else Status.STABLE


def _lag(limits: Limits, usual: Usual, seen: Seen) -> Check:
    rule = series = "label_lag"
    known = np.maximum(seen.lags[:_UNKNOWN], 0)
    n = int(known.sum())
    if limits.max_lag_ms is not None:
        older = int(known[_bucket(limits.max_lag_ms) :].sum())
        return _late(limits.max_lag_ms, older, int(known[-1]), n)
    reference = None if usual.lags is None else np.maximum(usual.lags[:_UNKNOWN], 0)
    if n < LEAST or reference is None or int(reference.sum()) < LEAST:
        return _said(rule, series, n, LAG_SHIFT, "number")
    shift = effects.location(reference, known)
    value, half = float(shift.value), float(shift.high - shift.low) / 2 * Z99 / Z95
    away = abs(value)
    broken = away - half > LAG_SHIFT
    was, now = lag_quantile(reference), lag_quantile(known)
    said = None
    if broken and was is not None and now is not None:
        said = f"labels are {_long(now[0])} old in the middle, usually {_long(was[0])}"
    return Check(
        rule,
        series,
        _status(broken=broken),
        not broken and away <= LAG_SHIFT * (1 - INSIDE),
        value,
        value - half,
        value + half,
        LAG_SHIFT,
        n,
        0.0,
        int(reference.sum()),
        "number",
        said,
    )


def _late(most_ms: int, older: int, latest: int, n: int) -> Check:
    """Whether more than a twentieth of the labels are older than the largest lag."""
    rule = series = "label_lag"
    beyond_buckets = most_ms > LAG_EDGES_MS[-1]
    if n < LEAST:
        return _said(rule, series, n, LATE)
    if beyond_buckets and latest > LATE * n:
        return _said(rule, series, n, LATE)  # older than the last edge: by how much is not counted
    value = older / n
    low, high = (float(bound) for bound in wilson(value, n, Z99))
    broken = low > LATE
    calm = not broken and value <= LATE * (1 - INSIDE)
    return Check(rule, series, _status(broken=broken), calm, value, low, high, LATE, n)


def lag_quantile(lags: Ints, q: float = 0.5) -> tuple[float, float, float, int] | None:
    r"""A quantile of the ages of labels, in ms, from their buckets: value, low, high (99 %), labels.

    The value is the geometric middle of its bucket (half of the first edge in the first one); the bounds are the outer
    edges of the buckets that hold the ranks :math:`qn \pm z\sqrt{nq(1-q)}`. The open bucket ends at 400 days. None
    without labels of known age.

    Examples
    --------
    >>> lags = np.zeros(13, np.int64); lags[[3, 6]] = 900, 100
    >>> [round(x / 60_000) for x in lag_quantile(lags)[:3]]
    [30, 15, 60]
    """
    known = np.maximum(lags[:_UNKNOWN], 0)
    n = int(known.sum())
    if n == 0:
        return None
    reached = known.cumsum()
    half = Z99 * sqrt(n * q * (1 - q))
    ranks = [min(max(r, 1.0), float(n)) for r in (q * n, q * n - half, q * n + half)]
    at, first, last = (int(np.searchsorted(reached, r)) for r in ranks)
    above = (*LAG_EDGES_MS, _LATEST_MS)
    below = (0, *LAG_EDGES_MS)
    value = above[0] / 2 if at == 0 else exp((log(below[at]) + log(above[at])) / 2)
    return value, float(below[first]), float(above[last]), n


def _one_sided(usual: Usual, seen: Seen) -> Check:
    """All labels of one class, where the reference makes that impossible."""
    rule, series = "label_one_sided", "label"
    if usual.classes is None or seen.classes is None:
        return _said(rule, series, 0, SURE, "number")
    now, was = np.maximum(seen.classes, 0), np.maximum(usual.classes, 0)
    n, m = int(now.sum()), int(was.sum())
    if n < LEAST or m < LEAST:
        return _said(rule, series, n, SURE, "number")
    top = int(now.argmax())
    share = float(now[top] / n)
    _, most = wilson(float(was[top] / m), m / usual.phi, _REFERENCE_Z)
    # the chance that so many come by accident; 1 unless all are of one class
    chance = exp(max(n / usual.phi * log(max(float(most), 1e-300)), -690.0)) if share == 1 else 1.0
    broken = chance < SURE
    return Check(
        rule,
        series,
        _status(broken=broken),
        not broken,
        chance,
        chance,
        chance,
        SURE,
        n,
        float(was[top] / m),
        m,
        "number",
        f"all {n:,} labels are of one class, usually {was[top] / m:.0%}" if broken else None,
    )


def _corrections(limits: Limits, seen: Seen) -> Check:
    rule, series = "label_corrections", "label"
    n = max(seen.outcomes, seen.corrected)
    if n < LEAST:
        return _said(rule, series, n, limits.max_corrections)
    value = max(seen.corrected, 0) / n
    low, high = (float(bound) for bound in wilson(value, n, Z99))
    broken = seen.corrected > 0 and low > limits.max_corrections
    calm = not broken and value <= limits.max_corrections * (1 - INSIDE)
    return Check(
        rule, series, _status(broken=broken), calm, value, low, high, limits.max_corrections, n
    )


def _long(ms: float) -> str:
    """A length of time in words.

    >>> _long(90_000), _long(5_400_000), _long(3 * 86_400_000)
    ('2 min', '1.5 h', '3 days')
    """
    if ms < 3_600_000:
        return f"{max(ms / 60_000, 0.5):.0f} min"
    if ms < 2 * _DAY_MS:
        return f"{ms / 3_600_000:.2g} h"
    return f"{ms / _DAY_MS:.3g} days"
