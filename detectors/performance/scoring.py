"""How good are the scores? The area under the ROC curve, proper scores and calibration, from score bins by label."""

from math import inf, pi, sqrt

import numpy as np

from detectors.performance.layout import UNIT, Layout, fixed_edges
from detectors.performance.measured import (
    MIN_EACH,
    MIN_LABELS,
    Answer,
    Insufficient,
    Metric,
    mean_of,
)
from detectors.samples.effects import Floats, Ints, wilson

NAMES = ("auc", "log_loss", "brier", "calibration_error", "mean_score")
CALIBRATION_BINS = 20
STRAY = 0.01  # share of scores that may lie below any confidence


def names(layout: Layout) -> tuple[str, ...]:
    """Which of `NAMES` there are. A confidence ranks no classes; a score that is no probability is not calibrated."""
    if layout.scored is None:
        return ()
    if not layout.probable:
        return ("auc", "mean_score") if layout.scored == "positive" else ("mean_score",)
    return NAMES if layout.scored == "positive" else ("calibration_error", "mean_score")


def measure(layout: Layout, counts: Ints, name: str, z: float) -> Answer:
    r"""One of `names`.

    ``auc``: the chance that a positive scores above a negative. ``log_loss`` and ``brier``: means, scores clipped to
    [1e-6, 1 - 1e-6] for the former. ``calibration_error``: the mean distance of the share of hits from the mean score
    in 20 groups of score bins, which chance alone makes larger than 0. ``mean_score``: of labelled outcomes.

    Notes
    -----
    AUC: :math:`\sum_b q_b u_b`, q the positives' shares of the bins and u the mid-ranks of the negatives. The interval
    is Wilson's with the number of rows that DeLong's variance stands for, so that it stays inside [0, 1] and does not
    vanish at 1, wider by what the bins hide: their ties, at the slope of the likelihood ratio across a bin.
    Calibration error: :math:`\sum_b n_b|\bar y_b - \bar s_b|/n`, `chance` is about
    :math:`\sum_b\sqrt{2\bar y_b(1-\bar y_b)n_b/π}/n`; low is the value less `chance` less z se,
    :math:`se^2 = (Brier - ECE^2)/n`. Without a reference, groups are .05 wide; else they hold a twentieth of it.
    """
    n = int(layout.read(counts, "proper")[5])
    if n < MIN_LABELS:
        return Insufficient("too_few_scores", max(n, 0), MIN_LABELS)
    proper = layout.read(counts, "proper") / UNIT
    match name:
        case "auc":
            return _auc(np.maximum(layout.read(counts, "score"), 0), z)
        case "log_loss":
            return mean_of(float(proper[0]), float(proper[1]), n, z, 0.0, inf)
        case "brier":
            return mean_of(float(proper[2]), float(proper[3]), n, z, 0.0, 1.0)
        case "calibration_error":
            strays = below_confidence(layout, layout.read(counts, "score").sum(1))
            if strays > STRAY * n:
                return Insufficient("no_confidences", n - strays, n)
            return _calibration_error(layout, counts, float(proper[2]) / n, z)
    total = float(layout.read(counts, "score_sum").sum()) / UNIT
    found = mean_of(total, float(proper[4]), n, z, 0.0, 1.0)
    low, high = layout.score_range
    value, least, most = (low + part * (high - low) for part in found[:3])
    return Metric(value, least, most, n)


def below_confidence(layout: Layout, rows: Ints) -> int:
    """How many scores are none of a predicted class: the largest of K probabilities is at least 1/K.

    Without a positive class a score is taken for the confidence of the prediction; one that is not gives itself away.

    Parameters
    ----------
    rows : int64, shape (bins,)

    Examples
    --------
    >>> layout = Layout("classes", ("a", "b"), None, np.array([0.25, 0.5]))
    >>> below_confidence(layout, np.array([7, 2, 91]))
    7
    """
    kinds = len(layout.classes)
    if layout.scored != "confidence" or not kinds:
        return 0
    return int(rows[:-1][layout.score_edges < 1 / kinds].sum())


def _auc(bins: Ints, z: float) -> Answer:
    negatives, positives = (int(n) for n in bins.sum(0))
    if positives < MIN_EACH:
        return Insufficient("too_few_positives", positives, MIN_EACH)
    if negatives < MIN_EACH:
        return Insufficient("too_few_negatives", negatives, MIN_EACH)
    p, q = bins[:, 0] / negatives, bins[:, 1] / positives
    below, beside = p.cumsum() - p / 2, q.cumsum() - q / 2  # mid-ranks
    value = float((q * below).sum())
    square = _variance(q, below) / positives + _variance(p, beside) / negatives
    least, most = min(positives, negatives), positives + negatives
    rows = min(max(value * (1 - value) / square, least), most) if square > 0 else least
    low, high = wilson(value, rows, z)
    hidden = _hidden(bins, p, q)
    return Metric(
        value,
        min(max(float(low) - hidden, 0.0), value),
        max(min(float(high) + hidden, 1.0), value),
        most,
    )


def _variance(weights: Floats, of: Floats) -> float:
    mean = float((weights * of).sum())
    return max(float((weights * of * of).sum()) - mean * mean, 0.0)


def _hidden(bins: Ints, p: Floats, q: Floats) -> float:
    """How much of the AUC the order inside the bins may be worth: at most half of every tie."""
    held = np.flatnonzero(bins.sum(1))
    if len(held) < 2:
        return float((p * q).sum() / 2)
    ratio = np.log((bins[held, 1] + 0.5) / (bins[held, 0] + 0.5))
    slope = np.abs(np.gradient(ratio))
    return float((p[held] * q[held] * np.minimum(slope / 12, 0.5)).sum())


def groups(layout: Layout) -> Ints:
    """The calibration group of every score bin."""
    edges = layout.score_edges
    if not np.array_equal(edges, fixed_edges(layout.score_range)):
        bins = len(edges) + 1
        return np.arange(bins) * CALIBRATION_BINS // bins
    cuts = np.arange(1, CALIBRATION_BINS) / CALIBRATION_BINS
    return np.searchsorted(cuts, np.append(edges, 1.0), side="left")


def _calibration_error(layout: Layout, counts: Ints, brier: float, z: float) -> Metric:
    bins, of = np.maximum(layout.read(counts, "score"), 0), groups(layout)
    rows, hits, scores = (
        np.bincount(of, part, CALIBRATION_BINS)
        for part in (bins.sum(1), bins[:, 1], layout.read(counts, "score_sum") / UNIT)
    )
    n = int(rows.sum())
    value = float(np.abs(hits - scores).sum()) / n
    rate = hits / np.maximum(rows, 1)
    chance = float(np.sqrt(2 * rate * (1 - rate) * rows / pi).sum()) / n
    se = sqrt(max(brier - value * value, 0.0) / n)
    return Metric(value, max(value - chance - z * se, 0.0), min(value + z * se, 1.0), n, chance)
