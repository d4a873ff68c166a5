"""How many predictions are usual? What a model got in the same hour of the days before, or, at first, lately."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
DAYS = 8  # so that the same hour of the same weekday is among them
ENOUGH_DAYS = 3
RECENT, ENOUGH_RECENT = 24, 12  # windows
LEAST_MS, ENOUGH_GAPS = 15 * 60_000, 3


@dataclass(frozen=True, slots=True)
class Volume:
    """What is remembered of a model's volume. All of it is counts of past windows, in order of time.

    Examples
    --------
    >>> kept = Volume()
    >>> for k in range(12):
    ...     kept = kept.after(k * 300_000, 100 + k, 300_000)
    >>> kept.usual(3_600_000, 300_000)
    105.5
    """

    hours: tuple[tuple[int, int, int], ...] = ()  # start in ms, predictions, windows
    recent: tuple[int, ...] = ()
    last_ms: int | None = None  # end of the last pane with a prediction
    gap_ms: int = 0  # the longest usual time without one
    gaps: int = 0  # how many were longer than what is always well

    def usual(self, start_ms: int, window_ms: int) -> float | None:
        """How many predictions are usual in the window that starts at this time; None while that is not known.

        The median over the same hour of the last days, from `ENOUGH_DAYS` of them on; where the hour a week ago is
        known and had fewer, that: a weekend is no outage. Before that the median of the last windows, from
        `ENOUGH_RECENT` on.
        """
        hour = start_ms // HOUR_MS * HOUR_MS
        full = max(1, HOUR_MS // window_ms // 2)
        same = [
            (of, n / windows)
            for of, n, windows in self.hours
            if of < hour and (hour - of) % DAY_MS == 0 and windows >= full
        ]
        if len(same) >= ENOUGH_DAYS:
            usual = _median([n for _, n in same])
            return min([usual, *(n for of, n in same if hour - of == 7 * DAY_MS)])
        return _median(self.recent) if len(self.recent) >= ENOUGH_RECENT else None

    @property
    def most_silent_ms(self) -> int | None:
        """The longest silence that is well: three times the longest usual one, and at least `LEAST_MS`.

        None while that is not known: few windows were seen, or so few predictions that most windows have none and too
        few silences to say what is usual.
        """
        if not self._dense and self.gaps < ENOUGH_GAPS:
            return None
        return max(LEAST_MS, 3 * self.gap_ms)

    @property
    def _dense(self) -> bool:
        return len(self.recent) >= ENOUGH_RECENT and _median(self.recent) > 0

    def silent_ms(self, end_ms: int) -> int | None:
        """How long there has been no prediction at this time; None if there never was one."""
        return None if self.last_ms is None else max(0, end_ms - self.last_ms)

    def seen(self, panes_ms: Sequence[int], pane_ms: int) -> "Volume":
        """With the panes, by their starts, that had predictions. A silence that was too long is not usual."""
        last, gap, gaps, most = self.last_ms, self.gap_ms, self.gaps, self.most_silent_ms
        for start in sorted(panes_ms):
            silent = start - last if last is not None else 0
            if most is None or silent <= most:
                gap, gaps = max(gap, silent), gaps + (silent > LEAST_MS)
            last = max(last or 0, start + pane_ms)
        return replace(self, last_ms=last, gap_ms=gap, gaps=gaps)

    def after(self, start_ms: int, predictions: int, window_ms: int) -> "Volume":
        """With one more window, which is judged by what was before it."""
        hour = start_ms // HOUR_MS * HOUR_MS
        kept = [of for of in self.hours if of[0] > hour - DAYS * DAY_MS]
        if kept and kept[-1][0] == hour:
            _, n, windows = kept.pop()
            kept.append((hour, n + predictions, windows + 1))
        else:
            kept.append((hour, predictions, 1))
        recent = (*self.recent, predictions)[-RECENT:]
        return replace(self, hours=tuple(kept), recent=recent)

    def to_data(self) -> dict[str, Any]:
        """Plain data; `from_data` reads it back."""
        return {
            "hours": [list(of) for of in self.hours],
            "recent": list(self.recent),
            "last_ms": self.last_ms,
            "gap_ms": self.gap_ms,
            "gaps": self.gaps,
        }

    @classmethod
    def from_data(cls, data: Any) -> "Volume":
        """The inverse of `to_data`.

        >>> kept = Volume().seen([0, 300_000], 60_000).after(0, 7, 300_000)
        >>> Volume.from_data(kept.to_data()) == kept
        True
        """
        hours = tuple((start, n, windows) for start, n, windows in data["hours"])
        return cls(hours, tuple(data["recent"]), data["last_ms"], data["gap_ms"], data["gaps"])


def _median(numbers: Sequence[float]) -> float:
    ordered = sorted(numbers)
    middle = (len(ordered) - 1) / 2
    return (ordered[math.floor(middle)] + ordered[math.ceil(middle)]) / 2
