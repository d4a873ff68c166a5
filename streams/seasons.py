"""Which slot of a season does a window belong to? The local hour of its start; `detectors` only know numbers."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from detectors.reference.frozen import SLOTS, Season
from detectors.reference.seasons import Seasonal

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOUR_MS = 3_600_000


def slot_of(season: Season) -> Callable[[int], int]:
    """The slot of the window that starts at a time in epoch milliseconds.

    The hour on a clock on the wall: daylight saving time moves it. The hour that a night in autumn has twice is one
    slot, the hour that a night in spring lacks has no window on that day.

    >>> of = slot_of(Season("hour_of_week", "Europe/Berlin"))
    >>> of(1_774_746_000_000), of(1_774_749_600_000)  # 29 March 2026, a Sunday: 01:00 UTC is 03:00, not 02:00
    (147, 148)
    """
    zone, weekly = ZoneInfo(season.timezone), season.name == "hour_of_week"

    def of(start_ms: int) -> int:
        local = (_EPOCH + timedelta(milliseconds=start_ms)).astimezone(zone)
        return local.hour + 24 * local.weekday() * weekly

    return of


def candidates(timezone: str, window_ms: int, times_ms: NDArray[np.int64]) -> list[Seasonal]:
    """Every season with the slot of every row; none if a window may lie in several slots."""
    if not fits(window_ms):
        return []
    starts, rows = np.unique(times_ms // window_ms * window_ms, return_inverse=True)
    found = []
    for name in SLOTS:
        season = Season(name, timezone)
        of = slot_of(season)
        slots = np.array([of(start) for start in starts.tolist()], np.int64)
        found.append(Seasonal(season, slots[rows]))
    return found


def fits(window_ms: int) -> bool:
    """Whether windows of this length lie within an hour each."""
    return HOUR_MS % window_ms == 0
