"""What is a score worth? The chance of a hit at each score, from the counts of the reference's outcomes."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.performance.layout import UNIT, Layout
from detectors.performance.measured import Insufficient
from detectors.samples.effects import Floats, Ints

LEAST_LABELS = 200  # of the reference, with scores
LEAST_EACH = 10  # hits, and misses, among them
BEYOND = (
    3.0  # so many times further out than the reference's scores of an end bin, nothing is known
)
_SLOPE = 5  # points back from the end that the slope beyond it is taken from
POOLED = 30  # labels that a point of the calibration stands on, at least


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """What a score was worth in the reference: a rising (or falling) line through points.

    Parameters
    ----------
    at, chance : points: mean score, and share of hits, made monotone
    mix : (points, pools): of which pools of labels, in which parts, the chance of a point is made
    variance : of the share of hits, of each pool
    rows, mean : of each score bin: the reference's labels and mean score (NaN without labels)
    """

    at: Floats
    chance: Floats
    mix: Floats
    variance: Floats
    rows: Ints
    mean: Floats

    def read(self, scores: Floats) -> Floats:
        """The chance of a hit at each score, on the line between the points."""
        return np.interp(scores, self.at, self.chance)

    def squared_error(self, scores: Floats, weights: Floats) -> float:
        """Variance of ``Σ weights · read(scores)`` from the reference's finite number of labels."""
        last = len(self.at) - 1
        right = np.clip(np.searchsorted(self.at, scores, side="left"), 1, max(last, 1))
        left, right = right - 1, np.minimum(right, last)
        gap = np.maximum(self.at[right] - self.at[left], 1e-300)
        part = np.clip((scores - self.at[left]) / gap, 0.0, 1.0)
        on = np.bincount(left, weights * (1 - part), len(self.at))
        on += np.bincount(right, weights * part, len(self.at))
        pools = (on[:, None] * self.mix).sum(0)
        return float((pools * pools * self.variance).sum())


def calibrate(layout: Layout, reference: Ints, phi: float = 1.0) -> Calibration | Insufficient:
    """What the scores of a layout are worth, from the counts of the reference's outcomes.

    Neighbouring bins are joined until each holds 30 labels, then made monotone by pooling adjacent violators (in the
    direction in which the scores rank the reference).

    Parameters
    ----------
    reference : (layout.total,)
    phi : over-dispersion of the error rate of windows; the reference's labels count as labels/phi

    Returns
    -------
    Calibration | Insufficient
        ``not_for_task`` for numbers and feedback; ``uncalibrated`` under 200 labels with a score, 10 hits or 10 misses.

    Examples
    --------
    >>> layout = Layout("binary", ("no", "yes"), 1, np.array([0.25, 0.5, 0.75]))
    >>> counts = np.zeros(layout.total, np.int64)
    >>> counts[layout.block("score")] = [90, 10, 60, 40, 65, 35, 15, 85]
    >>> counts[layout.block("score_sum")] = np.array([12, 40, 60, 90]) * 2**20
    >>> found = calibrate(layout, counts)
    >>> found.read(np.array([0.12, 0.4, 0.5, 0.6, 0.9])).tolist()
    [0.1, 0.375, 0.375, 0.375, 0.85]
    """
    if layout.task not in ("binary", "classes"):
        return Insufficient("not_for_task", 0, 0)
    if layout.scored is None:
        return Insufficient("uncalibrated", 0, LEAST_LABELS)
    cells = np.maximum(layout.read(reference, "score"), 0)
    sums = np.maximum(layout.read(reference, "score_sum"), 0) / UNIT
    rows, hits = cells.sum(1), cells[:, 1]
    n, positive = int(rows.sum()), int(hits.sum())
    for seen, need in ((n, LEAST_LABELS), (positive, LEAST_EACH), (n - positive, LEAST_EACH)):
        if seen < need:
            return Insufficient("uncalibrated", seen, need)
    group = _joined(rows)
    held, hit, total = (np.bincount(group, each) for each in (rows, hits, sums))
    block = _monotone(held, hit if _rises(cells) else held - hit)
    m, k = np.bincount(block, held), np.bincount(block, hit)
    share = (k + 1) / (m + 2)  # so that a bin of hits only is not certain
    mean = np.divide(sums, rows, out=np.full(len(rows), np.nan), where=rows > 0)
    points = _Points(total / held, (k / m)[block], np.eye(len(m))[block])
    low, high = layout.score_range
    inside = (layout.score_edges - low) / (high - low)
    at, chance, mix = points.beyond(float(inside[-1])).turned().beyond(-float(inside[0])).turned()
    return Calibration(at, chance, mix, phi * share * (1 - share) / (m + 2), rows, mean)


class _Points(NamedTuple):
    """The line of a calibration: mean scores, chances, and of which pools these are made."""

    at: Floats
    chance: Floats
    mix: Floats

    def turned(self) -> "_Points":
        """Last point first, scores negative."""
        return _Points(-self.at[::-1], self.chance[::-1], self.mix[::-1])

    def beyond(self, edge: float) -> "_Points":
        """One point more at the end, as the last bin is open: on the slope of the last points, as far as is known.

        Flat, a shift towards higher scores would move predictions there without an effect.
        """
        before, last = max(len(self.at) - 1 - _SLOPE, 0), len(self.at) - 1
        run = float(self.at[last] - self.at[before])
        further = (BEYOND - 1) * max(float(self.at[last]) - edge, 0.0)
        if not (run > 0 and further > 0):
            return self
        part = further / run
        rise = part * float(self.chance[last] - self.chance[before])
        chance = min(max(float(self.chance[last]) + rise, 0.0), 1.0)
        kept = (chance - float(self.chance[last])) / rise if rise else 0.0
        mix = self.mix[last] + kept * part * (self.mix[last] - self.mix[before])
        return _Points(
            np.append(self.at, self.at[last] + further),
            np.append(self.chance, chance),
            np.concatenate([self.mix, mix[None]]),
        )


def _joined(rows: Ints) -> Ints:
    """For each bin the group it is in: as few neighbours as hold 30 labels."""
    group, number, held = np.zeros(len(rows), np.int64), 0, 0
    for b, n in enumerate(rows.tolist()):
        group[b] = number
        held += n
        if held >= POOLED:
            number, held = number + 1, 0
    return np.minimum(group, max(number - 1, 0))  # what is left over joins the last


def _rises(cells: Ints) -> bool:
    """Whether hits have the higher scores."""
    missed, hit = cells.astype(np.float64).T
    return bool((hit * (missed.cumsum() - missed / 2)).sum() * 2 >= missed.sum() * hit.sum())


def _monotone(rows: NDArray[Any], hits: NDArray[Any]) -> Ints:
    """For each group the block of equal shares that pooling adjacent violators puts it in; shares rise."""
    blocks: list[tuple[float, float, int]] = []
    for n, k in zip(rows.tolist(), hits.tolist(), strict=True):
        size = 1
        while blocks and blocks[-1][1] * n >= k * blocks[-1][0]:
            before, hit, length = blocks.pop()
            n, k, size = n + before, k + hit, size + length
        blocks.append((n, k, size))
    return np.repeat(np.arange(len(blocks)), [size for _, _, size in blocks])
