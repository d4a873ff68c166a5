"""How are days, ranges of days, schedules and retention written? (contracts 2.2)"""

import datetime
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from streams.lifecycle.grammar import duration, fold, iso, longer_than_nothing
from streams.lifecycle.mistakes import Wrong, quoted, shown


@dataclass(frozen=True, slots=True)
class Retention:
    """How long to keep what is left of a retired model; the one place where months and years are allowed."""

    years: int = 0
    months: int = 0
    time: timedelta = timedelta(0)

    def __str__(self) -> str:
        calendar = (f"{self.years}Y" if self.years else "") + (
            f"{self.months}M" if self.months else ""
        )
        return f"P{calendar}" if calendar else iso(self.time)


def retention(value: object) -> Retention:
    """A duration, or months or years: ``7 years``, ``18 months``, ``P7Y``."""
    if isinstance(value, Retention):
        return value
    if isinstance(value, str):
        found = re.fullmatch(r"(\d{1,4})\s*(years?|months?)", value.strip(), re.I)
        if found:
            count = int(found[1])
            return Retention(years=count) if found[2][0] in "yY" else Retention(months=count)
        found = re.fullmatch(r"P(?:(\d{1,4})Y)?(?:(\d{1,4})M)?", value.strip())
        if found and any(found.groups()):
            return Retention(years=int(found[1] or 0), months=int(found[2] or 0))
    try:
        return Retention(time=duration(value))
    except Wrong as error:
        expected = "how long, such as 90 days, 18 months or 7 years"
        raise Wrong(error.subject, "is not a length of time", expected) from None


def date(value: object) -> datetime.date:
    """A day, ``2026-01-31``."""
    if isinstance(value, datetime.date):
        return value
    expected = "a date such as 2026-01-31"
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        try:
            return datetime.date.fromisoformat(value)
        except ValueError:
            raise Wrong(shown(value), "is no day of the calendar", expected) from None
    raise Wrong(shown(value), "is not a date", expected)


@dataclass(frozen=True, slots=True)
class DateRange:
    """Days from `start` to `end`, both included; `end` None when only one day was written."""

    start: datetime.date
    end: datetime.date | None = None

    def __str__(self) -> str:
        return f"{self.start} to {self.end}" if self.end else f"{self.start}"


def date_range(value: object) -> DateRange:
    """``2025-06-01 to 2025-12-01``, or one day."""
    if isinstance(value, DateRange):
        return value
    first, to, last = value.partition(" to ") if isinstance(value, str) else ("", "", "")
    try:
        found = DateRange(date(first.strip()), date(last.strip()) if to else None)
    except Wrong as error:
        expected = "a date or a range such as 2025-06-01 to 2025-12-01"
        what = error.what if "calendar" in error.what else "is not a date or a range"
        raise Wrong(shown(value), what, expected) from None
    if found.end is not None and found.end < found.start:
        raise Wrong(shown(value), "ends before it starts", "the earlier date first")
    return found


@dataclass(frozen=True, slots=True)
class Schedule:
    """A fixed rhythm in event time, from 00:00 UTC; `days` for ``every N days``."""

    every: Literal["daily", "weekly", "monthly", "quarterly", "yearly", "days"]
    days: int = 0

    def __str__(self) -> str:
        return f"every {self.days} days" if self.days else f"Scheduled: {self.every.capitalize()}"


_SCHEDULES: tuple[Literal["daily", "weekly", "monthly", "quarterly", "yearly"], ...] = (
    "daily",
    "weekly",
    "monthly",
    "quarterly",
    "yearly",
)


def schedule(text: str) -> Schedule | None:
    """The schedule that `text` writes; None when it is none.

    >>> schedule("Scheduled: Monthly"), schedule("accuracy < 0.82")
    (Schedule(every='monthly', days=0), None)
    """
    words = fold(text)
    prefix = re.match(r"scheduled?\s*:?\s*", words)
    rest = words[prefix.end() :] if prefix else words
    expected = "Daily, Weekly, Monthly, Quarterly, Yearly or every N days"
    for name in _SCHEDULES:
        if rest == name:
            return Schedule(name)
    if rest.startswith("every "):
        try:
            length = longer_than_nothing(rest.removeprefix("every "))
        except Wrong as error:
            raise Wrong(quoted(text), error.what, expected) from None
        if length % timedelta(days=1):
            raise Wrong(quoted(text), "is not a number of whole days", expected)
        return Schedule("days", length.days)
    if prefix:
        if any(name in rest for name in _SCHEDULES):
            raise Wrong(quoted(text), "is not one schedule", expected, "write two entries")
        raise Wrong(quoted(text), "is not a schedule", expected)
    return None
