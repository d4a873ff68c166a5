"""When did it begin, and is it over? What the alarm says of an episode's ends, for inputs and outcomes alike."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from detectors.samples.effects import Floats, Ints

SLACK = 1.25  # a tail need not be more precise than this many times the reference's own error
_MOST = 0.95  # share of the evidence that began between the onset's earliest and latest


def onset(
    components: Floats, since: Ints, window_start_ms: int, window_end_ms: int
) -> tuple[int, int, int]:
    """When the component with the largest share of M took off: estimate, earliest, latest.

    The range is that of all components' starts, weighted by their shares of M: how far the bets agree, not a confidence
    interval. The change may lie anywhere in a window, hence a window's length at its end.

    Parameters
    ----------
    components : logarithms of their shares of M, -inf where a component has none
    since : int64, the same shape: start of the window in which it last began to win
    window_start_ms, window_end_ms : of the newest window

    Examples
    --------
    >>> onset(np.array([2.0, 5.0, 4.5]), np.array([0, 20, 10]), 30, 40)
    (20, 0, 30)
    """
    weight, since = np.exp(components - components.max()).ravel(), since.ravel()
    order = np.argsort(since, kind="stable")
    reached = np.cumsum(weight[order]) / weight.sum()
    first, last = (
        int(since[order[np.searchsorted(reached, at)]]) for at in ((1 - _MOST) / 2, (1 + _MOST) / 2)
    )
    estimate = int(since[components.argmax()])
    end = max(last, estimate) + window_end_ms - window_start_ms
    return estimate, min(first, estimate), min(end, window_end_ms)


class Sizes(NamedTuple):
    """How large effects are: half-widths of their intervals, and the bounds of their sizes."""

    half: Floats
    least: Floats
    most: Floats


class Newest:
    """Sums and effects of the newest windows since the opening, for any number of them; each measured once.

    Parameters
    ----------
    length : windows since the opening
    between : their counts, summed, from the one position to before the other; the oldest window is 0
    measure : the effects of counts
    """

    def __init__(
        self, length: int, between: Callable[[int, int], Ints], measure: Callable[[Ints], Sizes]
    ) -> None:
        self.length = length
        self._between, self._measure, self._found = between, measure, dict[int, Sizes]()
        self._sums: dict[int, Ints] = {}

    def sums(self, windows: int) -> Ints:
        """The counts of so many windows."""
        if windows not in self._sums:
            known = max((w for w in self._sums if w < windows), default=0)
            more = self._between(self.length - windows, self.length - known)
            self._sums[windows] = more + self._sums[known] if known else more
        return self._sums[windows]

    def effects(self, windows: int) -> Sizes:
        """The effects on so many windows."""
        if windows not in self._found:
            self._found[windows] = self._measure(self.sums(windows))
        return self._found[windows]


def calm_tail(newest: Newest, gates: Floats, own_error: Floats) -> Ints | None:
    """Counts of the newest windows that are just enough to be precise, if they are calm.

    Precise: every half-width is at most half the gate, or what the reference's own error allows where that is more (a
    half-width no number of rows can reach would keep the episode open for ever). Calm: every upper bound is below twice
    that, which is the gate, and no lower bound would open the episode again.

    Parameters
    ----------
    gates, own_error : (E,): gate of every effect, and the half-width that no number of rows can undercut
    """
    reach = np.maximum(gates / 2, SLACK * own_error)

    def precise(windows: int) -> bool:
        return bool((newest.effects(windows).half <= reach).all())

    few, enough = 0, 1  # the tail is longer than the first, at most as long as the second
    while not precise(enough):
        if enough == newest.length:
            return None
        few, enough = enough, min(2 * enough, newest.length)
    while enough - few > 1:
        middle = (few + enough) // 2
        few, enough = (few, middle) if precise(middle) else (middle, enough)
    _, least, most = newest.effects(enough)
    return newest.sums(enough) if (most < 2 * reach).all() and (least < gates).all() else None
