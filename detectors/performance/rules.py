"""Is a metric surely beyond what somebody wrote? A line, the reference, or how far apart two groups may be.

As every rule (`detectors.operations.rules`), one is broken where the whole 99 % interval is beyond its line, and calm
once the value is back inside by a tenth of the way to the reference. How long it must hold is alerting's to say.
"""

from collections.abc import Mapping
from math import sqrt
from typing import Literal, NamedTuple

from scipy import special

from detectors.operations.measures import Measure
from detectors.operations.rules import INSIDE, LEAST, Line, held
from detectors.performance.measured import Answer, Metric
from detectors.types import Check, Status, Unit

__all__ = ["Change", "Gap", "Line", "baseline", "degraded", "gap", "judge_line"]

Better = Literal["higher", "lower"] | None

MIN_EVENTS = 200
SEVERE = 2.0  # times the tolerated change
_SURE = 0.01  # chance that an interval of 99 % misses
_INSUFFICIENT = Status.INSUFFICIENT


class Change(NamedTuple):
    """How far something may move: a share of the reference's value, or an amount of the metric itself."""

    amount: float
    relative: bool

    def of(self, reference: float) -> float:
        """The amount of the metric that it allows.

        >>> Change(0.05, relative=True).of(0.8), Change(0.05, relative=False).of(0.8)
        (0.04000000000000001, 0.05)
        """
        return abs(reference) * self.amount if self.relative else self.amount


def judge_line(
    rule: str,
    answer: Answer | None,
    line: Line,
    *,
    series: str | None = None,
    reference: float | None = None,
    unit: Unit = "metric",
) -> Check:
    """Hold a metric against written lines.

    Parameters
    ----------
    rule : the metric's name
    answer : with its 99 % interval
    line : a problem below `low` or above `high`, severe beyond the second pair; nothing is said under `least` outcomes
    series : None: ``metric:NAME``
    reference : what the metric usually is; only the way back is measured by it

    Examples
    --------
    >>> judge_line("recall", Metric(0.53, 0.49, 0.57, 1204), Line(low=0.62, severe_low=0.58)).status.value
    'severe'
    >>> judge_line("recall", Metric(0.53, 0.45, 0.64, 210), Line(low=0.62, severe_low=0.58)).status.value
    'stable'
    """
    measure = Measure(*answer[:4]) if isinstance(answer, Metric) else None
    found = held(line, rule, series or f"metric:{rule}", measure, reference=reference, unit=unit)
    if measure is None and answer is not None:
        return found._replace(n=answer.n)
    return found


def baseline(reference: float, amount: float = 0.0, *, relative: bool = False) -> float:
    """The number that ``baseline - 2 points`` means, or ``baseline + 5%`` (relative).

    >>> round(baseline(0.82, -0.02), 4), round(baseline(20.0, 0.05, relative=True), 4)
    (0.8, 21.0)
    """
    return reference + (abs(reference) * amount if relative else amount)


def _apart(higher: Metric, lower: Metric, times: float = 1.0) -> tuple[float, float, float]:
    """Difference of two metrics and its interval, from both their intervals (MOVER)."""
    value = higher.value - lower.value
    below = sqrt((higher.value - higher.low) ** 2 + (lower.high - lower.value) ** 2)
    above = sqrt((higher.high - higher.value) ** 2 + (lower.value - lower.low) ** 2)
    return value, value - times * below, value + times * above


def degraded(
    rule: str,
    current: Answer | None,
    reference: Answer | None,
    allowed: Change,
    better: Better,
    *,
    series: str | None = None,
    severe: Change | None = None,
    least: int = MIN_EVENTS,
    unit: Unit = "metric",
) -> Check:
    r"""Whether a metric is worse than in the reference (or in another version) by more than is allowed.

    Parameters
    ----------
    current, reference : with their 99 % intervals; a reference that is a written number has none: low and high are it
    better : which way is good; None: a change in either direction counts
    severe : change from which it is severe; None: twice what is allowed

    Notes
    -----
    Broken where the lower bound of the difference is beyond what is allowed; that bound comes from both intervals:
    :math:`d - \sqrt{(a - l_a)^2 + (u_b - b)^2}` [1]_. For shares with Wilson's intervals it is Newcombe's.

    Examples
    --------
    >>> was, now = Metric(0.81, 0.80, 0.82, 10_000), Metric(0.74, 0.71, 0.77, 1500)
    >>> found = degraded("accuracy", now, was, Change(0.03, relative=False), "higher")
    >>> found.status.value, round(found.limit, 2), found.reference
    ('drifting', 0.78, 0.81)
    >>> degraded("accuracy", now, was, Change(0.05, relative=True), "higher").status.value
    'stable'

    References
    ----------
    .. [1] Zou, G. Y., Donner, A. (2008). Construction of confidence limits about effect measures: a general approach.
       Statistics in Medicine 27.
    """
    name = series or f"metric:{rule}"
    need = max(least, LEAST)
    if not isinstance(reference, Metric):
        n = 0 if current is None else current.n
        return Check(rule, name, _INSUFFICIENT, False, None, None, None, None, n, unit=unit)
    room = allowed.of(reference.value)
    downward = better == "higher"
    limit = reference.value - room if downward else reference.value + room
    if not isinstance(current, Metric) or current.n < need:
        found = Check(rule, name, _INSUFFICIENT, False, None, None, None, limit, 0, unit=unit)
        found = found._replace(reference=reference.value, n_reference=reference.n)
        if isinstance(current, Metric):
            found = found._replace(value=current.value, low=current.low, high=current.high)
        return found if current is None else found._replace(n=current.n)
    rise, fall = _apart(current, reference), _apart(reference, current)
    if better is None:
        worse, _, _ = sure = max(rise, fall)
        limit = limit if sure is rise else reference.value - room
    else:
        worse, _, _ = sure = fall if downward else rise
    most = SEVERE * room if severe is None else severe.of(reference.value)
    status = (
        Status.SEVERE
        if sure[1] > max(most, room)
        else Status.DRIFTING
        if sure[1] > room
        else Status.STABLE
    )
    calm = status == Status.STABLE and worse <= room - INSIDE * room
    return Check(
        rule,
        name,
        status,
        calm,
        current.value,
        current.low,
        current.high,
        limit,
        current.n,
        reference.value,
        reference.n,
        unit,
    )


class Gap(NamedTuple):
    """How far apart the values of a segment are, and which two are the furthest."""

    judged: Check
    lowest: str | None
    highest: str | None


def gap(
    rule: str,
    answers: Mapping[str, Answer],
    allowed: Change,
    *,
    series: str,
    reference: float | None = None,
    least: int = MIN_EVENTS,
    unit: Unit = "metric",
) -> Gap:
    """Whether two values of a segment differ in a metric by more than is allowed.

    The two that differ most are picked, so their interval is widened to hold for all pairs at once.

    Parameters
    ----------
    answers : by value of the segment, with their 99 % intervals; those under `least` outcomes take no part
    allowed : relative to `reference`, or absolute
    reference : the metric of the whole; needed where `allowed` is relative

    Examples
    --------
    >>> of = {"DE": Metric(0.81, 0.78, 0.84, 1500), "US": Metric(0.70, 0.66, 0.74, 900)}
    >>> found = gap("max_gap(country)", of, Change(0.05, relative=False), series="metric:accuracy")
    >>> found.judged.status.value, found.lowest, found.highest, round(found.judged.value, 3)
    ('drifting', 'US', 'DE', 0.11)
    """
    need = max(least, LEAST)
    known = {
        name: answer
        for name, answer in sorted(answers.items())
        if isinstance(answer, Metric) and answer.n >= need
    }
    smallest = min((m.n for m in known.values()), default=0)
    if len(known) < 2 or (allowed.relative and reference is None):
        limit = None if allowed.relative and reference is None else allowed.of(reference or 0.0)
        declined = Check(
            rule, series, _INSUFFICIENT, False, None, None, None, limit, smallest, unit=unit
        )
        return Gap(declined, None, None)
    lowest = min(known, key=lambda name: known[name].value)
    highest = max(known, key=lambda name: known[name].value)
    pairs = len(known) * (len(known) - 1) / 2
    wider = float(special.ndtri(_SURE / 2 / pairs) / special.ndtri(_SURE / 2))
    value, low, high = _apart(known[highest], known[lowest], wider)
    limit = allowed.of(reference or 0.0)
    status = (
        Status.SEVERE if low > SEVERE * limit else Status.DRIFTING if low > limit else Status.STABLE
    )
    calm = status == Status.STABLE and value <= limit - INSIDE * limit
    judged = Check(
        rule, series, status, calm, value, max(low, 0.0), high, limit, smallest, 0.0, 0, unit
    )
    return Gap(judged, lowest, highest)
