"""On which days does a schedule ask? Dates in event time, at 00:00 UTC."""

from datetime import UTC, date, datetime

from alerting.settings import DAY_MS, Schedule

_EPOCH = date(1970, 1, 1)
_MONDAY = 4  # days after the epoch: the first Monday
_MONTHS = {"monthly": 1, "quarterly": 3, "yearly": 12}


def last_slot(schedule: Schedule, before_ms: int, at_ms: int) -> int | None:
    """The last time in (`before_ms`, `at_ms`] at which a schedule asks; None: it does not ask in between.

    Weeks begin on Monday; so do periods of several days, counted from the first Monday of 1970.

    Examples
    --------
    >>> first_of_march = 1_772_323_200_000  # 2026, a Sunday
    >>> last_slot(Schedule("monthly"), first_of_march - 1, first_of_march) == first_of_march
    True
    >>> last_slot(Schedule("monthly"), first_of_march, first_of_march + 30 * DAY_MS) is None
    True
    >>> last_slot(Schedule("weekly"), first_of_march, first_of_march + DAY_MS) == first_of_march + DAY_MS
    True
    """
    slot = (
        _of_days(schedule, at_ms) if schedule.every not in _MONTHS else _of_months(schedule, at_ms)
    )
    return slot if slot > before_ms else None


def _of_days(schedule: Schedule, at_ms: int) -> int:
    length = {"daily": 1, "weekly": 7}.get(schedule.every, schedule.days) * DAY_MS
    first = _MONDAY * DAY_MS
    return first + (at_ms - first) // length * length


def _of_months(schedule: Schedule, at_ms: int) -> int:
    day = datetime.fromtimestamp(at_ms // 1000, UTC).date()
    months = _MONTHS[schedule.every]
    month = (day.month - 1) // months * months + 1
    return (date(day.year, month, 1) - _EPOCH).days * DAY_MS
