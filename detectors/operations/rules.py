"""Is a number of one window beyond its limit, surely? Shares, metrics, volume and silence, all judged alike.

A limit is broken where the whole 99 % interval lies beyond it, so that few events break none; under `LEAST` events
nothing is said at all. Calm is what is back inside by a tenth of the way from the limit to the usual value: that counts
towards a recovery.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from detectors.binning import Floats, Ints
from detectors.operations.measures import Measure, poisson
from detectors.samples.effects import difference, wilson
from detectors.types import Check, Status, Unit

Z99 = 2.5758293035489004  # the normal distribution's 99.5 % point
LEAST = 30  # events
INSIDE = 0.1  # of the way from the limit to the usual value
HALF = 0.5


class Shares(NamedTuple):
    """One share of each of several series: arrays of one length.

    `part` of `whole` events have the property; `limit` is the largest share that is well, beyond the reference's share
    where `rises`. Without `part_reference` the usual share is none.
    """

    rule: str  # missing, invalid
    series: Sequence[str]
    names: Sequence[str]  # as rules name them: annual_income
    part: Ints
    whole: Ints
    limit: Floats
    part_reference: Ints | None = None
    whole_reference: Ints | None = None
    rises: bool = False


def shares(of: Shares, z: float = Z99) -> tuple[Check, ...]:
    """Hold shares against their limits, all series at once.

    A limit is broken where the lower Wilson bound is above it; a rise where the lower Newcombe bound of the difference
    to the reference is. Cost: some thirty vectorised passes.

    Examples
    --------
    >>> missing = Shares("missing", ["feature:a", "feature:b"], ["a", "b"], np.array([9, 90]), np.array([100, 100]),
    ...                  np.array([0.02, 0.02]), np.array([500, 500]), np.array([10_000, 10_000]), rises=True)
    >>> a, b = shares(missing)
    >>> a.status.value, b.status.value, round(b.value, 3), round(b.limit, 3), b.reference
    ('stable', 'drifting', 0.9, 0.07, 0.05)
    """
    if not len(of.series):
        return ()
    value = of.part / np.maximum(of.whole, 1)
    low, high = wilson(value, of.whole.astype(np.float64), z)
    usual, rows = np.zeros(len(value)), np.zeros(len(value), np.int64)
    if of.part_reference is not None and of.whole_reference is not None:
        rows = of.whole_reference
        usual = of.part_reference / np.maximum(rows, 1)
    limit = of.limit + usual if of.rises else of.limit
    broken = low > limit
    if of.rises and of.part_reference is not None:
        before, now = of.part_reference.astype(np.float64), of.part.astype(np.float64)
        rise = difference(before, rows.astype(np.float64), now, of.whole.astype(np.float64), z=z)
        broken = np.where(rows > 0, rise.low > of.limit, broken)
    broken &= of.part > 0
    calm = ~broken & (value <= limit - INSIDE * np.maximum(limit - usual, 0.0))
    low, high = np.where(of.part > 0, low, 0.0), np.where(of.part < of.whole, high, 1.0)
    found = []
    for k, series in enumerate(of.series):
        n, m = int(of.whole[k]), int(rows[k])
        status = _status(n, broken=bool(broken[k]))
        found.append(
            Check(
                f"{of.rule}({of.names[k]})",
                series,
                status,
                status == Status.STABLE and bool(calm[k]),
                float(value[k]),
                float(low[k]),
                float(high[k]),
                float(limit[k]),
                n,
                float(usual[k]) if m else None,
                m,
            )
        )
    return tuple(found)


def _status(n: int, *, broken: bool) -> Status:
    if n < LEAST:
        return Status.INSUFFICIENT
    return Status.DRIFTING if broken else Status.STABLE


class Line(NamedTuple):
    """Where a metric is a problem: below `low` or above `high`, and where it is severe. None: nowhere."""

    low: float | None = None
    high: float | None = None
    severe_low: float | None = None
    severe_high: float | None = None
    least: int = 200  # events

    @property
    def limit(self) -> float | None:
        """The line that people are shown."""
        written = (self.low, self.high, self.severe_low, self.severe_high)
        return next((line for line in written if line is not None), None)


def held(
    line: Line,
    rule: str,
    series: str,
    measure: Measure | None,
    *,
    reference: float | None = None,
    unit: Unit = "share",
) -> Check:
    """Hold a metric against a written line.

    Parameters
    ----------
    measure : with its 99 % interval; None: nothing was counted for it
    reference : what the metric usually is, if that is known

    Examples
    --------
    >>> late = held(Line(high=200.0), "latency_p99", "latency", Measure(312.0, 287.0, 341.0, 900), unit="time")
    >>> late.status.value, late.limit
    ('drifting', 200.0)
    >>> held(Line(low=0.99, severe_low=0.9), "availability", "status", Measure(0.5, 0.4, 0.6, 300)).status.value
    'severe'
    """
    if measure is None or measure.n < max(line.least, LEAST):
        n = measure.n if measure is not None else 0
        value, low, high = measure[:3] if measure is not None else (None, None, None)
        status = Status.INSUFFICIENT
        return Check(
            rule, series, status, False, value, low, high, line.limit, n, reference, 0, unit
        )
    value, low, high, n = measure
    severe = _beyond(low, high, line.severe_low, line.severe_high)
    broken = severe or _beyond(low, high, line.low, line.high)
    status = Status.SEVERE if severe else Status.DRIFTING if broken else Status.STABLE
    calm = not broken and _inside(value, line, reference)
    return Check(rule, series, status, calm, value, low, high, line.limit, n, reference, 0, unit)


def _beyond(low: float, high: float, least: float | None, most: float | None) -> bool:
    return (least is not None and high < least) or (most is not None and low > most)


def _inside(value: float, line: Line, reference: float | None) -> bool:
    for limit, sign in ((line.low, 1), (line.high, -1)):
        if limit is not None:
            room = 0.0 if reference is None else max(0.0, sign * (reference - limit))
            if sign * (value - limit) < INSIDE * room:
                return False
    return True


def failing(answered: Measure | None) -> Check:
    """Whether surely half of the predictions fail; `answered` is ``availability`` with its 99 % interval.

    >>> failing(Measure(0.2, 0.15, 0.26, 400)).status.value
    'severe'
    """
    return held(Line(severe_low=HALF, least=LEAST), "failing", "status", answered)


def volume(predictions: int, usual: float | None, least_part: float) -> Check:
    r"""Hold the number of predictions against the usual one. Only less is a problem.

    Broken where the upper bound of the count, as that of a Poisson count, is below `least_part` of the usual. Nothing
    is said where the usual is not known, or where the least of it would be under `LEAST` events.

    Examples
    --------
    >>> volume(40, 1000.0, 0.5).status.value, volume(480, 1000.0, 0.5).status.value
    ('drifting', 'stable')
    """
    if usual is None or usual * least_part < LEAST:
        return Check(
            "volume",
            "volume",
            Status.INSUFFICIENT,
            False,
            None,
            None,
            None,
            least_part,
            predictions,
        )
    value = predictions / usual
    low, high = (bound / usual for bound in poisson(predictions, Z99))
    broken = high < least_part
    calm = not broken and value >= least_part + INSIDE * (1 - least_part)
    status = Status.DRIFTING if broken else Status.STABLE
    return Check("volume", "volume", status, calm, value, low, high, least_part, predictions, 1.0)


def silence(silent_ms: int | None, most_ms: int, predictions: int) -> Check:
    """Hold the time since the last prediction against the longest that is well. None: there was none ever.

    >>> silence(1_200_000, 900_000, 0).said
    'no predictions for 20m, limit 15m'
    """
    if silent_ms is None:
        return Check(
            "silent", "volume", Status.INSUFFICIENT, False, None, None, None, float(most_ms), 0
        )
    value, broken = float(silent_ms), silent_ms > most_ms
    return Check(
        "silent",
        "volume",
        Status.DRIFTING if broken else Status.STABLE,
        not broken and predictions > 0,
        value,
        value,
        value,
        float(most_ms),
        predictions,
        unit="time",
        said=f"no predictions for {_long(silent_ms)}, limit {_long(most_ms)}" if broken else None,
        at_once=broken,
    )


def _long(ms: int) -> str:
    """A length of time in two units at most.

    >>> _long(90_000), _long(7_200_000), _long(93_600_000)
    ('1m 30s', '2h', '1d 2h')
    """
    parts = []
    for letter, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if n := ms // size:
            parts.append(f"{n}{letter}")
        ms %= size
    return " ".join(parts[:2]) or "0s"


def half_unusable(part: Ints, whole: Ints, z: float = Z99) -> bool:
    """Whether surely more than half of the values are unusable in half of the series or more.

    >>> half_unusable(np.array([90, 80, 0, 0]), np.array([100, 100, 100, 100]))
    True
    >>> half_unusable(np.array([9, 8, 0, 0]), np.array([10, 10, 10, 10]))
    False
    """
    if not len(part):
        return False
    low, _ = wilson(part / np.maximum(whole, 1), whole.astype(np.float64), z)
    unusable = (low > HALF) & (whole >= LEAST)
    return bool(2 * np.count_nonzero(unusable) >= len(part))
