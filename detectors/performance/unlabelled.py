"""What is counted of predictions whose labels have not come? Score bins by predicted class."""

from dataclasses import dataclass

import numpy as np

from detectors.performance.layout import UNIT, Layout
from detectors.samples.effects import Floats, Ints


@dataclass(frozen=True, slots=True)
class EstimateLayout:
    """What is counted of predictions for the estimate, labels or not.

    A vector is score bin × predicted class (other, positive, none given) rows, the same Σ 2^20 score, and one place for
    predictions without a score. With confidences (more than two classes) there is one column:
    predictions that have both.

    Examples
    --------
    >>> EstimateLayout(Layout.of("binary", ("no", "yes"), "yes")).total  # 186 bins × 3 × 2 + 1
    1117
    >>> EstimateLayout(Layout.of("number")).total
    0
    """

    outcomes: Layout

    @property
    def bins(self) -> int:
        return self.outcomes.shape("score")[0]

    @property
    def columns(self) -> int:
        return 3 if self.outcomes.scored == "positive" else 1

    @property
    def total(self) -> int:
        """Length of the vector; 0 where scores say nothing about right and wrong."""
        return self.bins and 2 * self.bins * self.columns + 1

    def rows(self, counts: Ints) -> Ints:
        """(bins, columns): how many predictions."""
        return counts[: self.bins * self.columns].reshape(self.bins, self.columns)

    def sums(self, counts: Ints) -> Ints:
        """(bins, columns): Σ 2^20 score, scores on the scale of 0 to 1."""
        return counts[self.bins * self.columns : -1].reshape(self.bins, self.columns)

    def unscored(self, counts: Ints) -> int:
        """Predictions that had no score."""
        return int(counts[-1])


def count(
    layout: EstimateLayout, predictions: Ints, scores: Floats, groups: Ints, n_groups: int
) -> Ints:
    """One vector per group (a pane, say) in one pass.

    Parameters
    ----------
    predictions : (n,): codes as in `detectors.performance.counting.Columns`, -1 absent
    scores : (n,): NaN or infinite: none
    groups : (n,): which of the vectors a prediction belongs to

    Returns
    -------
    Ints
        (n_groups, layout.total). Exact; the sum over any parts in any order is the same.

    Notes
    -----
    Cost about .1 µs per prediction.

    Examples
    --------
    >>> layout = EstimateLayout(Layout("binary", ("no", "yes"), 1, np.array([0.5])))
    >>> some = np.array([0.25, 0.75, np.nan])
    >>> count(layout, np.array([0, 1, 1]), some, np.zeros(3, int), 1).tolist()
    [[1, 0, 0, 0, 1, 0, 262144, 0, 0, 0, 786432, 0, 1]]
    """
    out = np.zeros((n_groups, layout.total), np.int64)
    if not layout.total:
        return out
    outcomes, columns = layout.outcomes, layout.columns
    scored = np.isfinite(scores)
    if columns == 1:
        scored &= predictions >= 0
    score, code, group = scores, predictions, groups
    if not scored.all():
        out[:, -1] = np.bincount(groups[~scored], minlength=n_groups)
        score, code, group = scores[scored], predictions[scored], groups[scored]
    cells = np.searchsorted(outcomes.score_edges, score, side="left")
    if columns == 3:
        cells = cells * 3 + np.where(code < 0, 2, code == outcomes.positive)
    low, high = outcomes.score_range
    units = np.rint(np.clip((score - low) / (high - low), 0.0, 1.0) * UNIT)
    width = layout.bins * columns
    at = group * width + cells
    out[:, :width] = np.bincount(at, minlength=n_groups * width).reshape(n_groups, width)
    # Whole numbers of up to 2^20: the sum of 2^32 of them is exact in a float64.
    sums = np.bincount(at, units, n_groups * width).astype(np.int64)
    out[:, width:-1] = sums.reshape(n_groups, width)
    return out
