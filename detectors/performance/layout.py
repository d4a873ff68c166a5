"""Which integers are kept of a model's outcomes? Their places in one flat vector, for one pane as for thirty days.

An *outcome* is a prediction together with its truth. Every block below is a sum over outcomes, so vectors add up in any
order to the same bits, and an outcome is taken back by its weight of -1. What a block holds:

========== ============== ===========================================================================================
block      shape          holds
========== ============== ===========================================================================================
rows       (1,)           outcomes
lag        (13,)          how old the label was: twelve buckets cut at `LAG_EDGES_MS`, unknown
label      (cells,)       the truth, in the cells of `Layout.label`: a value each, odd (another class), missing
confusion  (C+1, C+2)     actual × predicted: the first 50 classes, then `other`; predicted also `absent`
right      (1,)           outcomes whose prediction is the truth, those beyond the layout's classes included
each       (C, 3)         beyond 50 classes, of every one: right, predicted, actual (both with the other side known)
score      (bins, 2)      score bin × (missed, hit); a hit: the truth is the positive class. Where there is none, the
                          score is the prediction's confidence, a hit: it is right
score_sum  (bins,)        Σ 2^20 score
proper     (6,)           of scored outcomes: Σ and Σ² of log loss, of Brier, in 2^-20; Σ score² in 2^-20; Σ 1
loss       (cells,)       the bounded loss in the cells of `Layout.loss`: |error| of numbers, feedback
feedback   (3,)           outcomes with a loss of their own: Σ 1, Σ and Σ² in 2^-20
number     (3,)           outcomes with both numbers: Σ 1; numbers beyond 2^80; those whose truth is not 0
error      (16, 8)        by magnitude: Σ over and under, their squares, fourth powers (see `magnitude`)
truth      (16, 7)        by magnitude: Σ y, y², y³, y⁴, y less `Layout.centre`
ratio      (16, 3)        by magnitude: Σ |e/y| and its square
========== ============== ===========================================================================================

Every term of a sum is at most 2^30 (the square of a log loss, in 2^-20, is below 2^28): 2^31 outcomes stay below 2^63.
`detectors.performance.counting.count` adds 2^20 outcomes at a time in float64, which is exact up to 2^53.

Against the design's sketch: errors and truths of numbers have no scale to be told and no clip at 32 of it, as a model
without a reference has neither. They are kept by magnitude, which agrees with exact sums to 2^-22 at any size.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import accumulate
from json import dumps
from math import isfinite, prod
from typing import Literal, get_args

import numpy as np

from detectors.performance.magnitude import ERROR, MAGNITUDES, RATIO, TRUTH
from detectors.samples.effects import Floats, Ints
from detectors.series import Series

Task = Literal["binary", "classes", "number", "feedback"]

VERSION = 1  # of the meaning of the blocks
SHOWN = 50  # classes with a row and a column of their own in the confusion
MOST_CLASSES = 500  # more are `other`
UNIT = 2.0**20  # scores, losses and their squares are sums of whole numbers of 2^-20
LEAST_PROBABILITY = 1e-6  # scores are clipped to it, and to 1 less it, before the logarithm

_M, _H, _D = 60_000, 3_600_000, 86_400_000
#: A label at most so old (ms) is in the bucket of that place; older than all: the twelfth.
LAG_EDGES_MS = (
    *(_M, 5 * _M, 15 * _M, _H, 4 * _H, 12 * _H),
    *(_D, 3 * _D, 7 * _D, 14 * _D, 30 * _D),
)
LAGS = len(LAG_EDGES_MS) + 2  # one more for older ones, one for unknown

_TENTHS = ("1", "1.25", "1.6", "2", "2.5", "3.15", "4", "5", "6.3", "8")  # Renard's series R10
_TAIL = [float(f"{m}e-{d}") for d in (6, 5, 4, 3) for m in _TENTHS] + [
    float(f"{m}e-2") for m in _TENTHS[:7]
]
#: Without a reference scores are cut here: steps of .01, and towards 0 and 1 tenths of a decade, as rare events need.
#: With 1 % positives the area under the ROC curve (.876) is .0004 too low on average, on 50 reference quantiles .0012.
GRID = (*_TAIL, *(k / 100 for k in range(5, 96)), *(1 - e for e in reversed(_TAIL)))


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """What the integers of a vector mean. Two vectors may be added if the digests of their layouts are equal.

    Parameters
    ----------
    task : binary: two classes, one of them positive; classes: others; number: regression; feedback: losses only
    classes : JSON texts, the code of a class is its place; at most 500
    positive : the code of the positive class
    score_edges : inner edges of the score bins, ascending; empty: scores are not counted
    score_range : what a score of 0 and one of 1 is; scores are probabilities when it is (0, 1)
    centre : of the truth of numbers, so that their variance is exact
    label, loss : cells of the truth and of the bounded loss; None: not counted

    Examples
    --------
    >>> layout = Layout.of("binary", ("repaid", "default"), positive="default")
    >>> layout.total, layout.shape("confusion"), len(layout.score_edges)
    (598, (3, 4), 185)
    """

    task: Task
    classes: tuple[str, ...] = ()
    positive: int | None = None
    score_edges: Floats = field(default_factory=lambda: np.zeros(0))
    score_range: tuple[float, float] = (0.0, 1.0)
    centre: float = 0.0
    label: Series | None = None
    loss: Series | None = None
    shapes: Mapping[str, tuple[int, ...]] = field(init=False, repr=False)
    places: Mapping[str, slice] = field(init=False, repr=False)
    total: int = field(init=False)
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        if self.task not in get_args(Task):
            raise ValueError(f"task: expected one of {', '.join(get_args(Task))}, not {self.task}")
        if len(set(self.classes)) < len(self.classes) or len(self.classes) > MOST_CLASSES:
            raise ValueError(f"classes are distinct, and at most {MOST_CLASSES}")
        if self.task == "binary" and (len(self.classes) != 2 or self.positive is None):
            raise ValueError("a binary task has two classes, and one of them is positive")
        if self.positive is not None and not 0 <= self.positive < len(self.classes):
            raise ValueError("the positive class is one of the classes")
        low, high = self.score_range
        if not (low < high and isfinite(high - low)):
            raise ValueError(f"score_range: expected two ascending numbers, not {low} and {high}")
        if not isfinite(self.centre):
            raise ValueError("centre: expected a finite number")
        shapes = self._shapes()
        ends = list(accumulate(prod(shape) for shape in shapes.values()))
        places = dict(zip(shapes, map(slice, [0, *ends], ends), strict=False))
        for name, value in (
            *(("shapes", shapes), ("places", places), ("total", ends[-1])),
            ("digest", self._digest()),
        ):
            object.__setattr__(self, name, value)

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        kinds = len(self.classes)
        shown = min(kinds, SHOWN)
        classified = self.task in ("binary", "classes")
        scored = len(self.score_edges) + 1 if classified and len(self.score_edges) else 0
        number = self.task == "number"
        by = MAGNITUDES if number else 0
        return {
            "rows": (1,),
            "lag": (LAGS,),
            "label": (self.label.cells if self.label else 0,),
            "confusion": (shown + 1, shown + 2) if classified else (0, 0),
            "right": (int(classified),),
            "each": (kinds if classified and kinds > SHOWN else 0, 3),
            "score": (scored, 2),
            "score_sum": (scored,),
            "proper": (6 if scored else 0,),
            "loss": (self.loss.cells if self.loss else 0,),
            "feedback": (3,),
            "number": (3 if number else 0,),
            "error": (by, ERROR),
            "truth": (by, TRUTH),
            "ratio": (by, RATIO),
        }

    def _digest(self) -> str:
        whole = [
            *(VERSION, self.task, self.classes, self.positive),
            *(self.score_edges.tolist(), self.score_range, self.centre),
            *(one and [one.edges, one.support, one.categories] for one in (self.label, self.loss)),
        ]
        return sha256(dumps(whole, separators=(",", ":")).encode()).hexdigest()[:16]

    def block(self, name: str) -> slice:
        """The places of a block in the vector; of length 0 where the task has no use for it."""
        return self.places[name]

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a block."""
        return self.shapes[name]

    def read(self, counts: Ints, name: str) -> Ints:
        """One block of a vector, in its shape."""
        return counts[self.places[name]].reshape(self.shapes[name])

    @property
    def scored(self) -> Literal["positive", "confidence"] | None:
        """What a score is the probability of: the positive class, or that the prediction is right."""
        if not self.shapes["score"][0]:
            return None
        return "confidence" if self.positive is None else "positive"

    @property
    def probable(self) -> bool:
        """Scores are probabilities, which have a log loss, a Brier score and a calibration."""
        return self.scored is not None and self.score_range == (0.0, 1.0)

    @staticmethod
    def of(
        task: Task,
        classes: Sequence[str] = (),
        positive: str | None = None,
        score_range: tuple[float, float] = (0.0, 1.0),
        reference: "Layout | None" = None,
    ) -> "Layout":
        """The layout for a lifecycle's settings: that of its reference if it fits, else one with fixed edges.

        Parameters
        ----------
        classes : JSON texts; empty: those of the reference, or none is known and every class is `other`
        positive : one of the classes; the only one where no others are known
        reference : the layout of the reference's outcomes

        Examples
        --------
        >>> Layout.of("classes", ("cat", "dog", "bird")).scored
        'confidence'
        >>> [name for name, shape in Layout.of("number").shapes.items() if shape[0]]
        ['rows', 'lag', 'feedback', 'number', 'error', 'truth', 'ratio']
        """
        if reference is not None and reference.fits(task, classes, positive, score_range):
            return reference
        kept = kept_classes(classes, positive)
        classified = task in ("binary", "classes")
        return Layout(
            task,
            kept,
            None if positive is None else kept.index(positive),
            fixed_edges(score_range) if classified else np.zeros(0),
            score_range,
            label=label_series(kept) if classified else None,
        )

    def fits(
        self,
        task: Task,
        classes: Sequence[str] = (),
        positive: str | None = None,
        score_range: tuple[float, float] = (0.0, 1.0),
    ) -> bool:
        """Whether outcomes under these settings can be counted in this layout. The order of classes is its own."""
        mine = None if self.positive is None else self.classes[self.positive]
        return (
            self.task == task
            and (not classes or set(classes[:MOST_CLASSES]) <= set(self.classes))
            and positive == mine
            and self.score_range == score_range
        )


def kept_classes(classes: Sequence[str], positive: str | None) -> tuple[str, ...]:
    """The classes that have a code: the first 500, the positive one among them.

    >>> kept_classes(["a", "b"], "a"), kept_classes([], "a")
    (('a', 'b'), ('a',))
    """
    kept = tuple(classes[:MOST_CLASSES])
    if positive is None or positive in kept:
        return kept
    return (*kept[: MOST_CLASSES - 1], positive)


def label_series(classes: Sequence[str]) -> Series:
    """The truth as a series: a cell for each class, `odd` holds the others."""
    return Series("label", "category", categories=tuple(classes))


def fixed_edges(score_range: tuple[float, float] = (0.0, 1.0)) -> Floats:
    """`GRID`, laid over a range of scores."""
    low, high = score_range
    return np.unique(np.array(GRID) * (high - low) + low)
