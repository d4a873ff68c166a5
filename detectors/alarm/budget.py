"""How many false alarms may there be? From the user's budget to the threshold, and the promise in words."""

from math import log

LEAST = 1000.0  # under it "asymptotic" is not a word to use
_DAY_MS = 86_400_000


def threshold(count: float, per_ms: int, window_ms: int, alarms: int = 1) -> float:
    r"""The threshold A of every alarm that keeps `alarms` of them together within the budget.

    Parameters
    ----------
    count : false alarms allowed
    per_ms : in this time
    window_ms : length of the windows
    alarms : how many alarms can fire: segments × {data, loss}

    Notes
    -----
    :math:`A = \max(1000, N G / b)` for N windows in the period: with a reset after every alarm at most T/A false alarms
    are expected in T windows (`detectors.alarm.sequential`, [1]).

    Examples
    --------
    >>> threshold(1, 90 * 86_400_000, 3_600_000, alarms=2)  # 1 per 90 days, hourly, data and loss
    4320.0
    """
    if count <= 0 or per_ms <= 0 or window_ms <= 0 or alarms < 1:
        raise ValueError("a budget needs a positive count, period, window and number of alarms")
    return max(LEAST, per_ms / window_ms * alarms / count)


def log_threshold(count: float, per_ms: int, window_ms: int, alarms: int = 1) -> float:
    """`threshold` as a natural logarithm, rounded as it is published.

    >>> log_threshold(1, 90 * 86_400_000, 3_600_000, alarms=2)
    8.371011
    """
    return round(log(threshold(count, per_ms, window_ms, alarms)), 6)


def guarantee(
    count: float, per_ms: int, window_ms: int, alarms: int = 1, *, calibrated: bool
) -> tuple[str, ...]:
    """What is promised while nothing drifts, and under which conditions: one sentence each.

    Examples
    --------
    >>> for line in guarantee(1, 90 * 86_400_000, 3_600_000, alarms=2, calibrated=True)[:4]:
    ...     print(line)
    mean time to a false alarm: at least 4320 windows of 1 h (180 days) for each of 2 alarms
    chance of a false alarm within 90 days: at most 50 % for each alarm
    false alarms expected in 90 days, with a reset after each: at most 0.5 for each alarm
    all alarms together: at most 1 false alarm expected in 90 days
    """
    a = threshold(count, per_ms, window_ms, alarms)
    windows = per_ms / window_ms
    each, period, of = (
        windows / a,
        duration(per_ms),
        f" for each of {alarms} alarms" if alarms > 1 else "",
    )
    one = " for each alarm" if alarms > 1 else ""
    chance = f"{100 * min(1.0, each):.3g} %"
    dependence = (
        "rows of a window are independent, or as dependent as in the reference"
        if calibrated
        else "rows of a window are independent: row dependence is not calibrated"
    )
    return (
        f"mean time to a false alarm: at least {a:.0f} windows of {duration(window_ms)}"
        f" ({duration(round(a * window_ms))}){of}",
        f"chance of a false alarm within {period}: at most {chance}{one}",
        f"false alarms expected in {period}, with a reset after each: at most {each:.3g}{one}",
        f"all alarms together: at most {each * alarms:.3g} false alarm"
        f"{'' if each * alarms == 1 else 's'} expected in {period}",
        "provided that",
        "- the reference itself is within 4 standard errors of the truth (all but 6 in 100,000 scores are)",
        "- windows hold enough rows: the faster half of the bets is exact only as they grow",
        f"- {dependence}",
        "- no season moves the values, but the one that the reference has slots for",
        "- windows that are judged are disjoint",
    )


def duration(ms: int) -> str:
    """A length of time in its largest unit that needs at most one decimal.

    >>> duration(90_000), duration(3_600_000), duration(86_400_000), duration(90 * 86_400_000)
    ('1.5 min', '1 h', '1 day', '90 days')
    """
    for name, unit in (("day", _DAY_MS), ("h", 3_600_000), ("min", 60_000), ("s", 1000)):
        if ms >= unit:
            value = round(ms / unit, 1)
            return f"{value:g} {name}{'s' if name == 'day' and value != 1 else ''}"
    return f"{ms} ms"
