"""What was normal of the outcomes? The edges, counts and over-dispersion that later outcomes are held against.

It is built from outcomes whose predictions were not fitted to their own labels: out of fold, or later than training.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from detectors.alarm.scores import Score, every_score
from detectors.alarm.sequential import MIN_WINDOWS, dispersion
from detectors.binning import Column
from detectors.edges import MINIMUM_ROWS, cut, quantile_edges, robust
from detectors.performance.counting import Columns, count
from detectors.performance.layout import Layout, Task, fixed_edges, kept_classes, label_series
from detectors.performance.metrics import errors
from detectors.samples.effects import Floats, Ints
from detectors.sequences.losses import LossCells
from detectors.series import Series

SCORE_BINS = 50
LABEL_BINS = 10
LEAST_ROWS = 30  # of windows that are shorter than production's, to calibrate on
WANTED = 1_000  # fewer outcomes leave small changes unseen

Phis = tuple[tuple[str, float], ...]  # score -> over-dispersion


class Span(NamedTuple):
    """How long the reference is: consecutive windows of production's length, and the median of outcomes in one.

    Shorter windows where those of production would be fewer than thirty: φ grows with longer ones.
    """

    window_ms: int
    windows: int
    rows: int
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True, eq=False)
class OutcomeReference:
    """The frozen outcomes of a reference.

    `dispersion` says how much more the means of windows vary than those of independent outcomes would: for ``error``
    (share of wrong predictions), ``loss`` (scores of `LossCells`) and ``label`` (scores of the truth's cells). It is
    empty where fewer than 30 windows could tell.
    """

    layout: Layout
    counts: Ints  # (layout.total,)
    worth: tuple[float, ...] = ()  # of the cells of `Layout.loss`, as in `LossCells`
    span: Span | None = None  # None: its outcomes have no times
    dispersion: tuple[tuple[str, Phis], ...] = ()

    @property
    def outcomes(self) -> int:
        """How many outcomes there are."""
        return int(self.counts[self.layout.block("rows")][0])

    @property
    def errors(self) -> tuple[int, int]:
        """Wrong predictions, and outcomes whose prediction is known."""
        return errors(self.layout, self.counts)

    @property
    def loss_cells(self) -> LossCells | None:
        """The bounded loss, for the bets on it."""
        if self.layout.loss is None:
            return None
        return LossCells(
            self.layout.loss, self.layout.read(self.counts, "loss"), np.array(self.worth)
        )

    def phi(self, series: str, score: str) -> float:
        """Over-dispersion of a score's window means, 1 where it is not known."""
        return dict(dict(self.dispersion).get(series, ())).get(score, 1.0)


def build_outcomes(
    task: Task,
    *,
    classes: Sequence[str] = (),
    positive: str | None = None,
    score_range: tuple[float, float] = (0.0, 1.0),
    labels: Sequence[str | None] | Floats | None = None,
    predictions: Sequence[str | None] | Floats | None = None,
    scores: Floats | None = None,
    losses: Floats | None = None,
    times_ms: Ints | None = None,
    lag_ms: Ints | None = None,
    window_ms: int,
) -> tuple[OutcomeReference | None, tuple[str, ...]]:
    """Freeze the outcomes of a reference, and say what they cannot support.

    Parameters
    ----------
    classes : JSON texts; empty: those of the labels, most frequent first
    positive : one of the classes; of a binary task without, the rarer one
    labels, predictions : JSON texts of classes with None for absent, or numbers with NaN for absent
    scores, losses : float64, shape (rows,)
        NaN is absent.
    times_ms : int64, shape (rows,)
        When the labels became known (or the predictions were made, where those decide); None: not known.
    window_ms : length of the windows in which outcomes will be judged

    Returns
    -------
    reference, warnings : None where no outcome is usable; warnings one line each, for a person

    Examples
    --------
    >>> truth = ["no", "yes"] * 500
    >>> made, warnings = build_outcomes("binary", positive="yes", labels=truth, predictions=["no"] * 1000,
    ...     times_ms=np.arange(1000) * 60_000, window_ms=3_600_000)
    >>> made.errors, made.span.windows, warnings
    ((500, 1000), 31, ())
    """
    rows = max((len(c) for c in (labels, predictions, scores, losses) if c is not None), default=0)
    warnings: list[str] = []
    worth: tuple[float, ...] = ()
    if task in ("binary", "classes"):
        layout, columns = _classified(
            task, classes, positive, score_range, rows, labels, predictions, scores, losses, lag_ms
        )
        usable = (columns.labels >= 0) & ((columns.predictions >= 0) | np.isfinite(columns.scores))
    else:
        columns = Columns.of(
            rows,
            label_values=_floats(labels, rows),
            prediction_values=_floats(predictions, rows),
            losses=None if losses is None else np.clip(losses, 0.0, 1.0),
            lag_ms=lag_ms,
        )
        with np.errstate(over="ignore", invalid="ignore"):
            error = np.abs(columns.prediction_values - columns.label_values)
        usable = np.isfinite(error if task == "number" else columns.losses)
        layout = Layout(task)
        if usable.any():
            lost = (error if task == "number" else columns.losses)[usable]
            cells = LossCells.cut("loss", lost)
            worth = tuple(cells.worth.tolist())
            centre, scale = robust(np.sort(lost))
            loss = replace(cells.series, centre=centre, scale=scale)
            layout = _of_numbers(task, loss, columns.label_values[usable])
    held = int(usable.sum())
    if not held:
        return None, ("outcomes: no row has a label and what was predicted",)
    if held < MINIMUM_ROWS:
        warnings.append(
            f"outcomes: only {held}, of at least {MINIMUM_ROWS}: verdicts on them are insufficient"
        )
    elif held < WANTED:
        warnings.append(
            f"outcomes: only {held}, of at least {WANTED} wanted: small drops stay unseen"
        )
    columns = columns.rows(usable)
    made = OutcomeReference(layout, count(layout, columns)[0], worth)
    if times_ms is None:
        warnings.append("row dependence of outcomes not calibrated: they have no times")
        return made, tuple(warnings)
    span, windows = _span(times_ms[usable], window_ms)
    if span.windows < MIN_WINDOWS:
        # φ grows with the windows that it is used for; without any it would be 1, which is nearly always wrong
        shorter, parts = _span(times_ms[usable], (span.end_ms - span.start_ms) // MIN_WINDOWS or 1)
        if shorter.windows >= MIN_WINDOWS and shorter.rows >= LEAST_ROWS:
            span, windows = shorter, parts
    made = replace(made, span=span)
    if span.windows < MIN_WINDOWS:
        warnings.append(
            f"row dependence of outcomes not calibrated: they span {span.windows} windows, "
            f"of at least {MIN_WINDOWS} needed"
        )
        return made, tuple(warnings)
    counts = count(layout, columns, windows, span.windows)
    return replace(made, dispersion=_dispersed(made, counts)), tuple(warnings)


def _span(times_ms: Ints, window_ms: int) -> tuple[Span, Ints]:
    """The windows that hold rows, and the one of each row."""
    _, windows = np.unique(times_ms // window_ms, return_inverse=True)
    sizes = np.bincount(windows)
    first, last = int(times_ms.min()), int(times_ms.max())
    return Span(window_ms, len(sizes), int(np.median(sizes)), first, last + 1), windows


def _classified(
    task: Task,
    classes: Sequence[str],
    positive: str | None,
    score_range: tuple[float, float],
    rows: int,
    labels: Sequence[str | None] | Floats | None,
    predictions: Sequence[str | None] | Floats | None,
    scores: Floats | None,
    losses: Floats | None,
    lag_ms: Ints | None,
) -> tuple[Layout, Columns]:
    truth, said = (_texts(column, rows) for column in (labels, predictions))
    tally: dict[str, int] = {}
    for text in truth:
        if text is not None:
            tally[text] = tally.get(text, 0) + 1
    ranked = sorted(tally, key=lambda text: (-tally[text], text))  # ties by code point
    kept = kept_classes(tuple(classes or ranked), positive)
    if task == "binary" and positive is None and len(kept) == 2:
        positive = min(kept, key=lambda text: (tally.get(text, 0), text))
    code = {text: at for at, text in enumerate(kept)}
    for text in sorted({text for text in (*truth, *said) if text is not None} - set(kept)):
        code[text] = len(code)  # beyond the classes: equal codes for equal classes
    columns = Columns.of(
        rows,
        labels=np.array([-1 if t is None else code[t] for t in truth], np.int64),
        predictions=np.array([-1 if t is None else code[t] for t in said], np.int64),
        scores=scores,
        losses=losses,
        lag_ms=lag_ms,
    )
    given = columns.scores[np.isfinite(columns.scores) & (columns.labels >= 0)]
    layout = Layout(
        task,
        kept,
        None if positive is None else code[positive],
        _score_edges(np.sort(given), score_range),
        score_range,
        label=label_series(kept),
    )
    return layout, columns


def _score_edges(scores: Floats, score_range: tuple[float, float]) -> Floats:
    distinct, held = np.unique(scores, return_counts=True)
    if len(scores) < MINIMUM_ROWS or len(distinct) < 2:
        return fixed_edges(score_range)
    edges = quantile_edges(scores + 0.0, distinct, held, SCORE_BINS, whole=False)
    return np.array(edges) if edges else fixed_edges(score_range)


def _of_numbers(task: Task, loss: Series, truths: Floats) -> Layout:
    if task == "feedback":
        return Layout(task, loss=loss)
    column = Column("label", "number", truths, np.zeros(len(truths), bool))
    label = cut(column, LABEL_BINS).series
    return Layout(task, centre=label.centre, label=label, loss=loss)


def _floats(values: Sequence[str | None] | Floats | None, rows: int) -> Floats:
    return np.full(rows, np.nan) if values is None else np.asarray(values, np.float64)


def _texts(values: Sequence[str | None] | Floats | None, rows: int) -> Sequence[str | None]:
    if values is None:
        return [None] * rows
    return [None if v is None else str(v) for v in values]


def _dispersed(made: OutcomeReference, windows: Ints) -> tuple[tuple[str, Phis], ...]:
    """φ of every score that is betted on, from the counts of consecutive windows."""
    layout = made.layout
    rows = float(np.median(windows[:, layout.block("rows")]))
    found = []
    if layout.task in ("binary", "classes"):
        wrong = np.array([errors(layout, one) for one in windows])
        cells = np.stack([wrong[:, 1] - wrong[:, 0], wrong[:, 0]], axis=1)
        ones = np.array([0.0, 1.0])
        score = Score("category", "error", ones, np.ones(2, bool), indicator=True, rare=False)
        found.append(("error", _phis(cells, [score])))
    cut_losses = made.loss_cells
    if cut_losses is not None:
        found.append(("loss", _phis(windows[:, layout.block("loss")], cut_losses.scores(rows))))
    if layout.label is not None:
        truth = layout.read(made.counts, "label")
        watched = every_score(layout.label, truth, rows).values()
        found.append(("label", _phis(windows[:, layout.block("label")], watched)))
    return tuple(found)


def _phis(windows: Ints, scores: Iterable[Score]) -> Phis:
    # Four decimals: a person reads them, and more would pretend to more than 30 windows know.
    return tuple((score.name, round(dispersion(windows, score), 4)) for score in scores)
