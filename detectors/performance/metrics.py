r"""How good is the model, and how sure is that? Every metric from counts, each with its interval, or why there is none.

Shares have Wilson's interval [1]_; a mean of shares adds up how far each may be off, as Newcombe does for two (MOVER
[2]_); F1 = 2s/(1 + s) has that of s = TP/(TP + FP + FN). Metrics of scores are in `detectors.performance.scoring`, of
numbers in `detectors.performance.numbers`. All intervals take outcomes for independent.

With more than two classes precision, recall and F1 are macro averages: plain means over the classes where they are
defined (scikit-learn's with ``zero_division=nan``). Those of every class are in `per_class`. What needs a positive
class (false positive rate, AUC, log loss, Brier, cost) sets it against all others.

.. [1] Wilson, E. B. (1927). Probable inference, the law of succession, and statistical inference. JASA 22.
.. [2] Zou, G. Y., Donner, A. (2008). Construction of confidence limits about effect measures: a general approach.
   Statistics in Medicine 27.
"""

from collections.abc import Mapping
from math import hypot, sqrt
from typing import NamedTuple

import numpy as np

from detectors.performance import numbers, scoring
from detectors.performance.layout import SHOWN, UNIT, Layout
from detectors.performance.measured import (
    MIN_EACH,
    MIN_LABELS,
    REASONS,
    Answer,
    Insufficient,
    Metric,
    mean_of,
    share,
)
from detectors.samples.effects import Z95, Ints, wilson

__all__ = [
    "MIN_EACH",
    "MIN_LABELS",
    "REASONS",
    "Z95",
    "Z99",
    "Insufficient",
    "Metric",
    "confusion",
    "errors",
    "labels",
    "lags",
    "metric",
    "metrics",
    "names",
    "per_class",
]

Z99 = 2.5758293035489004  # the normal distribution's 99.5 % point: for written thresholds

_CLASSES = ("accuracy", "balanced_accuracy", "precision", "recall", "f1")
_POSITIVE = ("false_positive_rate", "false_negative_rate", "positive_rate", "cost")
_MORE = (
    "error",
    "specificity",
)  # by name only: complements of accuracy and the false positive rate


def names(layout: Layout, *, costs: bool = False) -> tuple[str, ...]:
    """The metrics of a task, in the order in which they are shown.

    >>> names(Layout.of("classes", ("a", "b", "c")))
    ('accuracy', 'balanced_accuracy', 'precision', 'recall', 'f1', 'calibration_error', 'mean_score', 'mean_loss')
    """
    if layout.task == "feedback":
        return ("mean_loss",)
    if layout.task == "number":
        found = numbers.NAMES
    else:
        positive = () if layout.positive is None else _POSITIVE
        found = (*_CLASSES, *scoring.names(layout), *positive)
    return (*(name for name in found if costs or name != "cost"), "mean_loss")


def metrics(
    layout: Layout, counts: Ints, *, costs: Mapping[str, float] | None = None, z: float = Z95
) -> dict[str, Answer]:
    """Every metric of the task; the mean loss of feedback beside labels, and the cost, only where there are such.

    Parameters
    ----------
    counts : int64, shape (layout.total,)
    costs : of a ``false_positive`` and a ``false_negative``, or of 1 ``over`` and ``under``
    z : width of the intervals in standard errors

    Examples
    --------
    >>> from detectors.performance.counting import Columns, count
    >>> layout = Layout.of("binary", ("no", "yes"), "yes")
    >>> truth, said = np.arange(100) % 2, np.arange(100) % 4 // 2
    >>> counts = count(layout, Columns.of(100, labels=truth, predictions=said))[0]
    >>> found = metrics(layout, counts, costs={"false_positive": 2, "false_negative": 10})
    >>> found["recall"]._replace(low=0, high=0), found["cost"].value
    (Metric(value=0.5, low=0, high=0, n=50, chance=0.0), 3.0)
    >>> found["auc"]
    Insufficient(reason='too_few_scores', n=0, need=30)
    """
    _checked(layout, counts)
    fed = int(layout.read(counts, "feedback")[0]) > 0 or layout.task == "feedback"
    found: dict[str, Answer] = {}
    few = None  # what is said of all shares of too few outcomes
    if layout.task in ("binary", "classes") and (n := errors(layout, counts)[1]) < MIN_LABELS:
        few = Insufficient("too_few_labels", n, MIN_LABELS)
    for name in names(layout, costs=bool(costs)):
        if few is not None and name != "mean_loss" and name not in scoring.NAMES:
            found[name] = few
        elif fed or name != "mean_loss":
            found[name] = _measured(layout, counts, name, costs or {}, z)
    return found


def metric(
    layout: Layout,
    counts: Ints,
    name: str,
    *,
    costs: Mapping[str, float] | None = None,
    z: float = Z95,
) -> Answer:
    """One metric; those of `names`, ``error`` (1 - accuracy) and ``specificity``.

    Raises
    ------
    ValueError
        The counts are not those of the layout.
    """
    _checked(layout, counts)
    known = names(layout, costs=True)
    classified = layout.task in ("binary", "classes")
    if name not in known and not (
        classified and (name == "error" or (name == "specificity" and layout.positive is not None))
    ):
        return Insufficient("not_for_task", 0, 0)
    return _measured(layout, counts, name, costs or {}, z)


def _checked(layout: Layout, counts: Ints) -> None:
    if counts.shape != (layout.total,):
        raise ValueError(f"expected {layout.total} counts, not {counts.shape}")


def _measured(
    layout: Layout, counts: Ints, name: str, costs: Mapping[str, float], z: float
) -> Answer:
    """One of the task's metrics."""
    if name == "mean_loss":
        return _mean_loss(layout, counts, z)
    if layout.task == "number":
        return numbers.measure(layout, counts, name, z, costs)
    if name in scoring.NAMES:
        return scoring.measure(layout, counts, name, z)
    return _of_classes(layout, counts, name, costs, z)


def _mean_loss(layout: Layout, counts: Ints, z: float) -> Answer:
    n, first, second = layout.read(counts, "feedback").tolist()
    if n < MIN_LABELS:
        return Insufficient("too_few_losses", max(n, 0), MIN_LABELS)
    return mean_of(first / UNIT, second / UNIT, n, z, 0.0, 1.0)


class _Classes(NamedTuple):
    """Of every class: right, predicted and actual outcomes, prediction and truth known."""

    right: Ints
    predicted: Ints
    actual: Ints


def _classes(layout: Layout, counts: Ints) -> _Classes:
    kinds = len(layout.classes)
    if kinds > SHOWN:
        each = np.maximum(layout.read(counts, "each"), 0)
        return _Classes(each[:, 0], each[:, 1], each[:, 2])
    both = _both(layout, counts)
    return _Classes(np.diag(both)[:kinds], both.sum(0)[:kinds], both.sum(1)[:kinds])


def _both(layout: Layout, counts: Ints) -> Ints:
    """The confusion of outcomes whose prediction is known."""
    return np.maximum(layout.read(counts, "confusion")[:, :-1], 0)


def errors(layout: Layout, counts: Ints) -> tuple[int, int]:
    """Wrong predictions, and outcomes whose prediction and class are known; of a task of classes."""
    n = int(_both(layout, counts).sum())
    right = int(layout.read(counts, "right")[0])
    return min(max(n - right, 0), n), n


def _of_classes(
    layout: Layout, counts: Ints, name: str, costs: Mapping[str, float], z: float
) -> Answer:
    wrong, n = errors(layout, counts)
    if n < MIN_LABELS:
        return Insufficient("too_few_labels", n, MIN_LABELS)
    if name == "error":
        return share(wrong, n, z)
    if name == "accuracy":
        return share(n - wrong, n, z)
    of, both = _classes(layout, counts), _both(layout, counts)
    if layout.task == "classes" and name in _CLASSES:
        return _macro(of, both, name, n, z)
    assert layout.positive is not None
    right, predicted, actual = (int(part[layout.positive]) for part in of)
    if name == "positive_rate":
        return share(predicted, n, z)
    if name == "cost":
        return _cost(predicted - right, actual - right, n, costs, z)
    if actual < MIN_EACH:
        return Insufficient("too_few_positives", actual, MIN_EACH)
    if n - actual < MIN_EACH:
        return Insufficient("too_few_negatives", n - actual, MIN_EACH)
    match name:
        case "precision":
            if not predicted:
                return Insufficient("none_predicted", 0, 1)
            return share(right, predicted, z)
        case "recall":
            return share(right, actual, z)
        case "false_negative_rate":
            return share(actual - right, actual, z)
        case "f1":
            return _f1(right, predicted, actual, z)
        case "balanced_accuracy":
            return _macro(of, both, name, n, z)
    spared = n - actual - (predicted - right)
    kept = spared if name == "specificity" else n - actual - spared
    return share(kept, n - actual, z)


def _f1(right: int, predicted: int, actual: int, z: float) -> Metric:
    # s = TP/(TP + FP + FN) is a share of independent outcomes; to first order the interval is that of the delta method.
    found = share(right, predicted + actual - right, z)
    value, low, high = (2 * s / (1 + s) for s in found[:3])
    return Metric(value, low, high, actual)


def _macro(of: _Classes, both: Ints, name: str, n: int, z: float) -> Answer:
    among = {"precision": of.predicted, "f1": of.predicted + of.actual - of.right}.get(
        name, of.actual
    )
    defined = among > 0
    k = int(defined.sum())
    if k < 2:
        return Insufficient("one_class", k, 2)
    shares = of.right[defined] / among[defined]
    parts = np.stack([shares, *wilson(shares, among[defined].astype(np.float64), z)])
    if name == "f1":
        parts = 2 * parts / (1 + parts)
    value, low, high = parts
    coupled = _coupled(both) if name == "f1" else 1.0
    down, up = (sqrt(coupled * float(np.square(d).sum())) / k for d in (value - low, high - value))
    mean = float(value.sum()) / k
    return Metric(mean, max(mean - down, 0.0), min(mean + up, 1.0), n)


def _coupled(both: Ints) -> float:
    r"""The variance of the sum of the classes' F1 over the sum of their variances; at most 2.

    An error from class i to class j lowers both. By the delta method an outcome moves the sum by
    :math:`2[i=j]/d_i - F_i/d_i - F_j/d_j`, d the outcomes that are, or are predicted to be, of a class.
    Beyond 50 classes it is that of the first 50 and the rest as one.
    """
    cells = both.astype(np.float64)
    size = np.maximum(cells.sum(0) + cells.sum(1), 1.0)
    pull = 2 * np.diag(cells) / size**2
    gain = np.diag(cells) * (2 / size - 2 * pull) ** 2
    wrong = cells - np.diag(np.diag(cells))
    alone = gain.sum() + (wrong * (pull[:, None] ** 2 + pull**2)).sum()
    whole = gain.sum() + (wrong * (pull[:, None] + pull) ** 2).sum()
    return float(whole / alone) if alone > 0 else 1.0


def _cost(over: int, missed: int, n: int, costs: Mapping[str, float], z: float) -> Answer:
    if not costs:
        return Insufficient("no_costs", 0, 1)
    value = down = up = 0.0
    for rows, name in ((over, "false_positive"), (missed, "false_negative")):
        part, *bounds = (each * costs.get(name, 0.0) for each in share(rows, n, z)[:3])
        value, down, up = (
            value + part,
            hypot(down, part - min(bounds)),
            hypot(up, max(bounds) - part),
        )
    return Metric(value, value - down, value + up, n)  # min, max: a cost below 0 is a gain


def per_class(layout: Layout, counts: Ints, *, z: float = Z95) -> dict[str, dict[str, Answer]]:
    """Precision and recall of every class, from 10 outcomes predicted to be, and being, of it.

    >>> from detectors.performance.counting import Columns, count
    >>> layout = Layout.of("classes", ("cat", "dog"))
    >>> truth = np.arange(40) % 2
    >>> of = per_class(layout, count(layout, Columns.of(40, labels=truth, predictions=0 * truth))[0])
    >>> of["cat"]["precision"].value, of["cat"]["recall"].value, of["dog"]["precision"].reason
    (0.5, 1.0, 'none_predicted')
    """
    out: dict[str, dict[str, Answer]] = {}
    of = _classes(layout, counts)
    for text, right, predicted, actual in zip(
        layout.classes, *(part.tolist() for part in of), strict=True
    ):
        out[text] = {}
        for name, among in (("precision", predicted), ("recall", actual)):
            if among >= MIN_EACH:
                out[text][name] = share(right, among, z)
            else:
                none = name == "precision" and not among
                reason = "none_predicted" if none else "too_few_labels"
                out[text][name] = Insufficient(reason, among, MIN_EACH)
    return out


def confusion(layout: Layout, counts: Ints) -> dict[str, dict[str, int]]:
    """``{ACTUAL: {PREDICTED: count}}``; `other` and `absent` only where there are such, {} for other tasks.

    A class that is itself called `other` or `absent` keeps its name; ours then has a blank before it.

    >>> from detectors.performance.counting import Columns, count
    >>> layout = Layout.of("binary", ("no", "yes"), "yes")
    >>> some = Columns.of(3, labels=np.array([0, 1, 1]), predictions=np.array([0, 0, -1]))
    >>> confusion(layout, count(layout, some)[0])
    {'no': {'no': 1, 'yes': 0}, 'yes': {'no': 1, 'yes': 0, 'absent': 1}}
    """
    if layout.task not in ("binary", "classes"):
        return {}
    matrix = layout.read(counts, "confusion")
    shown = layout.classes[:SHOWN]
    ours = [name if name not in shown else f" {name}" for name in ("other", "absent")]
    named = [*shown, *ours]
    always = len(shown)
    return {
        actual: {
            predicted: cell
            for place, (predicted, cell) in enumerate(zip(named, row, strict=True))
            if place < always or cell
        }
        for at, (actual, row) in enumerate(zip(named, matrix.tolist(), strict=False))
        if at < always or any(row)
    }


def labels(layout: Layout, counts: Ints) -> Ints:
    """The truth's counts in the cells of `Layout.label`: of classes one each, odd (another class), missing."""
    return np.maximum(layout.read(counts, "label"), 0)


def lags(layout: Layout, counts: Ints) -> Ints:
    """How old the labels were: twelve buckets cut at `layout.LAG_EDGES_MS`, then unknown."""
    return np.maximum(layout.read(counts, "lag"), 0)
