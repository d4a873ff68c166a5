"""How long must a window be, so that it holds enough of these events, and the data enough of it?"""

from dataclasses import dataclass

__all__ = ["Windows", "windows_for"]

_MINUTE = 60_000
_SIZES = {
    "5m": 5,
    "15m": 15,
    "30m": 30,
    "1h": 60,
    "2h": 120,
    "4h": 240,
    "6h": 360,
    "12h": 720,
    "1d": 1440,
    "2d": 2880,
    "7d": 10080,
}
_USUAL = "1h"
_PANES = {"1m": 60, "5m": 720, "30m": 2880, "1h": 10080}  # up to windows of so many minutes
_ENOUGH, _LEAST = 200, 100  # events in a window
_WINDOWS = 30  # that a reference needs to tell how rows depend on each other
_QUALITY = 50  # events in a window of data quality


@dataclass(frozen=True, slots=True)
class Windows:
    """Lengths as a lifecycle has them, and about how many events are in a window."""

    size: str
    pane: str
    quality: str | None
    outcomes: str
    events: float


def windows_for(events: int, span_ms: int) -> Windows | None:
    """Windows for so many events in so much time; None where the time tells nothing.

    >>> windows_for(45_312, 45_312 * 30 * 60_000)
    Windows(size='7d', pane='1h', quality='2d', outcomes='7d', events=336.0)
    >>> windows_for(90_000, 90 * 3_600_000).size
    '1h'
    """
    if events < 2 or span_ms <= 0:
        return None
    each = {name: events / span_ms * minutes * _MINUTE for name, minutes in _SIZES.items()}
    size = next((name for name in _SIZES if _SIZES[name] >= 60 and each[name] >= _ENOUGH), "7d")
    if span_ms / (_SIZES[size] * _MINUTE) < _WINDOWS:
        fitting = [
            name
            for name, minutes in _SIZES.items()
            if minutes < _SIZES[size]
            and each[name] >= _LEAST
            and span_ms / (minutes * _MINUTE) >= _WINDOWS
        ]
        size = fitting[-1] if fitting else size
    pane = next(name for name, minutes in _PANES.items() if _SIZES[size] <= minutes)
    quality = next((name for name in _SIZES if each[name] >= _QUALITY), "7d")
    outcomes = size if _SIZES[size] > _SIZES["1d"] else "1d"
    return Windows(size, pane, None if quality == "5m" else quality, outcomes, each[size])
