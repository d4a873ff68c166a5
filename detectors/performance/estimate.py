r"""How right is the model before labels come? Confidence-based estimates, from counts of predictions alone.

Once it is calibrated on the reference's labels, a score says how likely the positive class is, or a confidence how
likely the prediction is right. So every prediction is right with a known chance, and accuracy, precision and the others
are sums of these chances, known as CBPE [1]_. Nothing is kept of rows: predictions are counted by score bin and
predicted class, and the calibration is read off the reference's counts of the same bins.

Holds under covariate shift, as long as a score means what it meant. Where the model does not describe the world wholly,
inputs that drift change that a little: more than the interval says, in `benchmarks/estimates.py` by .005 on average.
**Blind to a change of the relation between inputs and outcome**: the estimate stays where it is while the model gets
worse. `detectors.performance.trust` holds it against the truth once that is there.

.. [1] Confidence-based performance estimation, as in NannyML 0.13's documentation, "Estimating performance for
   classification".
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import NamedTuple

import numpy as np

from detectors.performance.calibrated import BEYOND, Calibration
from detectors.performance.layout import LEAST_PROBABILITY, UNIT, Layout
from detectors.performance.measured import Insufficient
from detectors.performance.unlabelled import EstimateLayout
from detectors.samples.effects import Z95, Floats, Ints, wilson

#: Said wherever an estimate is shown.
BLIND = (
    "an estimate from scores, not from labels: it cannot see a change of the relation between "
    "inputs and outcome"
)
LEAST_PREDICTIONS = 30
LEAST_EACH = 10  # expected positives, and negatives
_HARDLY = 5  # a bin in which the reference had fewer labels is outside of what it knew


class Estimate(NamedTuple):
    """A metric as it is expected to come out, with its 95 % interval.

    `sampling` is the standard error from the finite number of predictions, whose labels are chance; `calibration` that
    from the finite number of labels in the reference, larger where predictions moved to scores that were rare there.
    """

    value: float
    low: float
    high: float
    n: int
    sampling: float
    calibration: float


class Estimates(NamedTuple):
    """All that could be estimated for a window; `outside`: the share of predictions where the reference knew little."""

    metrics: dict[str, Estimate | Insufficient]
    outside: float
    scored: int
    unscored: int


class _Terms(NamedTuple):
    """A metric, what a row more of a hit or of a miss in each cell adds to it, and the number of rows behind it."""

    value: float
    hit: Floats
    miss: Floats


def estimate(
    layout: EstimateLayout,
    calibration: Calibration | Insufficient,
    counts: Ints,
    costs: Mapping[str, float] | None = None,
    phi: float = 1.0,
) -> Estimates:
    r"""Every metric that scores can estimate.

    Parameters
    ----------
    counts : (layout.total,): sums of `count`
    costs : of a `false_positive` and a `false_negative`
    phi : over-dispersion of the error rate of windows; predictions count as predictions/phi

    Returns
    -------
    Estimates
        For two classes accuracy, balanced_accuracy, precision, recall, f1, false_positive_rate, false_negative_rate,
        cost; with probabilities also auc, log_loss, brier. For confidences accuracy. Where the calibration is missing
        every one is insufficient for its reason.

    Notes
    -----
    With n_j predictions in cell j (score bin × predicted class) and c_j the calibration at their mean score, TP is
    :math:`\sum n_j c_j` over cells predicted positive, and so on. Variance, by the delta method, from what a hit or a
    miss more adds (h_j, m_j): :math:`φ\sum n_j(c_j h_j^2 + (1-c_j)m_j^2)` of sampling, and that of
    :math:`\sum n_j(h_j - m_j)c_j` of calibration. Shares have Wilson's interval for as many rows as give this variance.
    Log loss and Brier score are taken at the mean score of a cell. Cost about 1 ms.

    Examples
    --------
    >>> from detectors.performance.calibrated import calibrate
    >>> outcomes = Layout("binary", ("no", "yes"), 1, np.array([0.5]))
    >>> seen = np.zeros(outcomes.total, np.int64)
    >>> seen[outcomes.block("score")] = [720, 80, 40, 160]
    >>> seen[outcomes.block("score_sum")] = np.array([80, 160]) * 2**20
    >>> layout = EstimateLayout(outcomes)
    >>> now = np.array([100, 0, 0, 0, 300, 0, 10 << 20, 0, 0, 0, 240 << 20, 0, 0])
    >>> found = estimate(layout, calibrate(outcomes, seen), now).metrics["accuracy"]
    >>> round(found.value, 3), round(found.low, 3), round(found.high, 3), found.n
    (0.825, 0.762, 0.874, 400)
    """
    names = _names(layout.outcomes, costs)
    if isinstance(calibration, Insufficient):
        return Estimates(dict.fromkeys(names, calibration), 0.0, 0, 0)
    rows = layout.rows(counts)
    unscored = layout.unscored(counts)
    n = int(rows.sum())
    if n < LEAST_PREDICTIONS:
        few = Insufficient("too_few_predictions", n, LEAST_PREDICTIONS)
        return Estimates(dict.fromkeys(names, few), 0.0, n, unscored)
    whole = _Whole.of(layout, calibration, counts)
    return Estimates(
        {name: whole.estimate(names[name], phi, costs or {}, name) for name in names},
        _outside(layout, calibration, counts),
        n,
        unscored,
    )


_Formula = Callable[["_Whole", Mapping[str, float]], _Terms]


def _names(layout: Layout, costs: Mapping[str, float] | None) -> dict[str, _Formula]:
    """The metrics of a layout, in the order in which they are shown."""
    found = dict(_CLASSES) if layout.task == "binary" else {}
    if layout.scored == "confidence" or layout.scored is None:
        found = {"accuracy": _accuracy}
    if layout.scored == "positive":
        found["auc"] = _auc
    if layout.scored == "positive" and layout.probable:
        found |= {"log_loss": _log_loss, "brier": _brier}
    if layout.task == "binary" and costs:
        found["cost"] = _cost
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Whole:
    """A window's predictions with the chance that each cell's are hits; arrays are (bins, columns)."""

    calibration: Calibration
    rows: Floats
    score: Floats  # mean of a cell
    chance: Floats
    said: Floats  # rows of the columns with a class, 0 in the others

    @classmethod
    def of(cls, layout: EstimateLayout, calibration: Calibration, counts: Ints) -> "_Whole":
        rows = layout.rows(counts).astype(np.float64)
        sums = layout.sums(counts) / UNIT
        score = np.divide(sums, rows, out=np.full(rows.shape, 0.5), where=rows > 0)
        said = rows.copy()
        said[:, 2:] = 0.0
        return cls(calibration, rows, score, calibration.read(score), said)

    @property
    def confusion(self) -> tuple[float, float, float, float]:
        """Expected TP, FP, FN, TN."""
        other, positive = self.said[:, 0], self.said[:, 1]
        yes, no = self.chance[:, 1], self.chance[:, 0]
        return (
            float((positive * yes).sum()),
            float((positive * (1 - yes)).sum()),
            float((other * no).sum()),
            float((other * (1 - no)).sum()),
        )

    def terms(self, value: float, tp: float, fp: float, fn: float, tn: float) -> _Terms:
        """What a row more adds, given what one more true positive, false positive … does."""
        hit, miss = np.zeros_like(self.rows), np.zeros_like(self.rows)
        hit[:, 0], hit[:, 1], miss[:, 0], miss[:, 1] = fn, tp, tn, fp
        return _Terms(value, hit, miss)

    def estimate(
        self, formula: _Formula, phi: float, costs: Mapping[str, float], name: str
    ) -> Estimate | Insufficient:
        scores_only = name in ("auc", "log_loss", "brier")
        rows = self.rows if scores_only else self.said
        n = int(rows.sum())
        if n < LEAST_PREDICTIONS:
            return Insufficient("too_few_predictions", n, LEAST_PREDICTIONS)
        if name not in ("accuracy", "log_loss", "brier", "cost"):
            hits = float((rows * self.chance).sum())
            for reason, expected in (
                ("too_few_positives", hits),
                ("too_few_negatives", n - hits),
            ):
                if expected < LEAST_EACH:
                    return Insufficient(reason, int(expected), LEAST_EACH)
        if name == "precision" and not self.said[:, 1].any():
            return Insufficient("none_predicted", 0, 1)
        value, hit, miss = formula(self, costs)
        sampling = phi * float((rows * (self.chance * hit**2 + (1 - self.chance) * miss**2)).sum())
        weights = (rows * (hit - miss)).ravel()
        uncertain = self.calibration.squared_error(self.score.ravel(), weights)
        low, high = _interval(name, value, sampling + uncertain, n)
        return Estimate(value, low, high, n, sqrt(sampling), sqrt(uncertain))


def _interval(name: str, value: float, variance: float, n: int) -> tuple[float, float]:
    if name in ("log_loss", "brier", "cost"):
        half = Z95 * sqrt(variance)
        return (max(value - half, 0.0) if name != "cost" else value - half), value + half
    inside = value * (1 - value)
    low, high = wilson(value, inside / variance if inside > 0 and variance > 0 else n)
    return min(float(low), value), max(float(high), value)


def _accuracy(whole: _Whole, _: Mapping[str, float]) -> _Terms:
    if whole.rows.shape[1] == 1:
        n = float(whole.rows.sum())
        value = float((whole.rows * whole.chance).sum()) / n
        ones = np.ones_like(whole.rows)
        return _Terms(value, ones * (1 - value) / n, ones * -value / n)
    tp, fp, fn, tn = whole.confusion
    n = tp + fp + fn + tn
    value = (tp + tn) / n
    return whole.terms(value, (1 - value) / n, -value / n, -value / n, (1 - value) / n)


def _balanced(whole: _Whole, _: Mapping[str, float]) -> _Terms:
    first, second = _recall(whole, {}), _false_alarms(whole, {})
    return _Terms(
        (first.value + 1 - second.value) / 2,
        (first.hit - second.hit) / 2,
        (first.miss - second.miss) / 2,
    )


def _precision(whole: _Whole, _: Mapping[str, float]) -> _Terms:
    tp, fp, _fn, _tn = whole.confusion
    value = tp / (tp + fp)
    return whole.terms(value, (1 - value) / (tp + fp), -value / (tp + fp), 0.0, 0.0)


def _recall(whole: _Whole, _: Mapping[str, float]) -> _Terms:
    tp, _fp, fn, _tn = whole.confusion
    value = tp / (tp + fn)
    return whole.terms(value, (1 - value) / (tp + fn), 0.0, -value / (tp + fn), 0.0)


def _misses(whole: _Whole, _: Mapping[str, float]) -> _Terms:
    recall = _recall(whole, {})
    return _Terms(1 - recall.value, -recall.hit, -recall.miss)


def _false_alarms(whole: _Whole, _: Mapping[str, float]) -> _Terms:
    _tp, fp, _fn, tn = whole.confusion
    value = fp / (fp + tn)
    return whole.terms(value, 0.0, (1 - value) / (fp + tn), 0.0, -value / (fp + tn))


def _f1(whole: _Whole, _: Mapping[str, float]) -> _Terms:
    tp, fp, fn, _tn = whole.confusion
    both = 2 * tp + fp + fn
    value = 2 * tp / both
    return whole.terms(value, (2 - 2 * value) / both, -value / both, -value / both, 0.0)


def _cost(whole: _Whole, costs: Mapping[str, float]) -> _Terms:
    tp, fp, fn, tn = whole.confusion
    n = tp + fp + fn + tn
    over, under = costs.get("false_positive", 0.0), costs.get("false_negative", 0.0)
    value = (fp * over + fn * under) / n
    return whole.terms(value, -value / n, (over - value) / n, (under - value) / n, -value / n)


def _auc(whole: _Whole, _: Mapping[str, float]) -> _Terms:
    """On score bins, as it is measured on labels; rows of a bin are ties."""
    hits = (whole.rows * whole.chance).sum(1)
    misses = whole.rows.sum(1) - hits
    p, n = float(hits.sum()), float(misses.sum())
    below = (misses.cumsum() - misses / 2) / n  # of a hit: the misses it beats
    above = 1 - (hits.cumsum() - hits / 2) / p
    value = float((hits * below).sum()) / p
    shape = whole.rows.shape
    return _Terms(
        value,
        np.broadcast_to(((below - value) / p)[:, None], shape),
        np.broadcast_to(((above - value) / n)[:, None], shape),
    )


def _mean_of(whole: _Whole, hit: Floats, miss: Floats) -> _Terms:
    n = float(whole.rows.sum())
    value = float((whole.rows * (whole.chance * hit + (1 - whole.chance) * miss)).sum()) / n
    return _Terms(value, (hit - value) / n, (miss - value) / n)


def _log_loss(whole: _Whole, _: Mapping[str, float]) -> _Terms:
    score = np.clip(whole.score, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return _mean_of(whole, -np.log(score), -np.log(1 - score))


def _brier(whole: _Whole, _: Mapping[str, float]) -> _Terms:
    return _mean_of(whole, np.square(1 - whole.score), np.square(whole.score))


_CLASSES: dict[str, _Formula] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced,
    "precision": _precision,
    "recall": _recall,
    "f1": _f1,
    "false_positive_rate": _false_alarms,
    "false_negative_rate": _misses,
}


def _outside(layout: EstimateLayout, calibration: Calibration, counts: Ints) -> float:
    """Share of predictions where the reference's scores said little.

    In bins in which it had fewer than five labels; or in an end bin, if there they are on average three times further
    from its edge than the reference's were.
    """
    rows = layout.rows(counts).sum(1)
    sums = layout.sums(counts).sum(1) / UNIT
    out = calibration.rows < _HARDLY
    low, high = layout.outcomes.score_range
    edges = (layout.outcomes.score_edges - low) / (high - low)
    for bin_, edge, sign in ((0, edges[0], -1.0), (len(rows) - 1, edges[-1], 1.0)):
        if rows[bin_] and calibration.rows[bin_]:
            usual = sign * (float(calibration.mean[bin_]) - edge)
            out[bin_] |= sign * (sums[bin_] / rows[bin_] - edge) > BEYOND * usual
    return float(rows[out].sum() / max(int(rows.sum()), 1))
