"""How large is the change of a loss, or of labels, and how sure? Cells under the bets of the alarm.

Of a loss that is not 0 or 1, and of the truth, cells are counted; both are watched as a series of inputs is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf, isinf, log

import numpy as np
from scipy import special

from detectors.alarm.scores import Score, ScoreKind, scores
from detectors.alarm.sequential import Panel, State, Watched, step
from detectors.alarm.span import Sizes
from detectors.performance.watches import (
    LABEL,
    LOSS,
    SHARE_GATES,
    Fold,
    e_value,
    half,
    rising,
    unbounded,
    usual,
    written_gates,
)
from detectors.samples import effects, two_sample
from detectors.samples.effects import Floats, Interval, Ints
from detectors.sequences.losses import LossCells
from detectors.series import Series
from detectors.types import Evidence

RANK_GATES = (0.02, 0.07)  # location and spread of labels that are numbers
LOSS_GATES = (0.05, 0.10)  # change of the mean loss, relative to the reference's


@dataclass(frozen=True, slots=True, eq=False)
class _Shares:
    """The effects that are differences of a share, to be measured at once."""

    which: Ints  # (I,): which effects
    part: Ints  # (I, cells): 1 where a cell has the property
    whole: Ints  # (I, cells): 1 where its rows count

    @staticmethod
    def of(scores: tuple[Score, ...], names: tuple[str, ...]) -> "_Shares":
        which = [e for e, name in enumerate(names) if name == "difference"]
        part = np.array([scores[e].live & (scores[e].values > 0) for e in which], np.int64)
        whole = np.array([scores[e].live for e in which], np.int64)
        return _Shares(np.array(which, np.int64), part, whole)

    def sums(self, counts: Ints) -> tuple[Floats, Floats]:
        """Rows with the property, and rows."""
        part, whole = (self.part * counts).sum(1), (self.whole * counts).sum(1)
        return part.astype(np.float64), whole.astype(np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """The cells of a loss or of labels under the bets of `detectors.alarm.sequential`.

    Of a loss the mean is watched, relative to the reference's, and the shares above the cap and of unusable values, all
    upward; of labels the share of every class, or location and spread of numbers, in both directions.
    """

    name: str
    series: Series
    reference: Ints
    scores: tuple[Score, ...]  # (E,)
    phi: Floats  # (E,)
    panel: Panel
    upward: bool
    z: float
    names: tuple[str, ...]
    kinds: tuple[ScoreKind, ...]
    gates: Floats
    own_error: Floats
    shares: _Shares

    @staticmethod
    def loss(
        cells: LossCells,
        rows: float,
        phi: Mapping[str, float],
        tolerance: float = 0.0,
        severe: float | None = None,
    ) -> "Cells":
        """Watch a loss that is not 0 or 1.

        Parameters
        ----------
        rows : expected losses per window
        phi : over-dispersion by score (loss, above_cap, odd, missing); one without takes the largest
        tolerance : growth of the mean loss that is not worth an alert, relative to the reference's
        severe : growth from which it is severe
        """
        found = cells.scores(rows)
        each = _phi(found, phi)
        gates = written_gates(LOSS_GATES, tolerance, severe)
        panel = cells.panel(rows, each)
        return _cells(
            LOSS, cells.series, cells.counts, found, each, panel, gates, rows, upward=True
        )

    @staticmethod
    def labels(
        series: Series,
        reference: Ints,
        rows: float,
        phi: Mapping[str, float],
        tolerance: float = 0.0,
        severe: float | None = None,
    ) -> "Cells":
        """Watch what the truth is.

        Parameters
        ----------
        series : a category of the classes, or a number
        reference : int64, (series.cells,)
        rows : expected labels per window
        phi : over-dispersion by score of `detectors.alarm.scores.scores`; one without takes the largest
        tolerance : change of a class's share that is not worth an alert
        severe : change from which it is severe
        """
        found = scores(series, reference, rows)
        each = _phi(found, phi)
        gates = written_gates(SHARE_GATES, tolerance, severe)
        panel = Panel.compile([Watched(0, found, each)], reference, rows)
        return _cells(LABEL, series, reference, found, each, panel, gates, rows, upward=False)

    def start(self) -> Fold:
        state = State.start(self.panel.usable.shape, self.reference)
        return Fold(state.log, state.path, state.since, state.pool)

    def rows(self, counts: Ints) -> int:
        return int(counts.sum())

    def step(self, fold: Fold, counts: Ints, at_ms: int) -> Fold:
        state = step(self.panel, self._state(fold), counts, at_ms)
        return Fold(state.log, state.path, state.since, state.pool)

    def _state(self, fold: Fold) -> State:
        return State(fold.log, fold.path, fold.since, fold.pool, 0)

    def components(self, fold: Fold) -> Floats:
        return fold.log + self.panel.log_prior

    def log(self, fold: Fold) -> float:
        return _log_sum(self.components(fold))

    def lead(self, fold: Fold) -> ScoreKind:
        return self.kinds[int(self.components(fold).max(1).argmax())]

    def measure(self, counts: Ints) -> Interval:
        found, rows = np.zeros((3, len(self.scores))), np.zeros(len(self.scores))
        for e, score in enumerate(self.scores):
            if self.names[e] != "difference":
                reference, current = self.reference[score.live], counts[score.live]
                rows[e] = current.sum()
                values, phi = score.values[score.live], float(self.phi[e])
                found[:, e] = _effect(self.names[e], values, reference, current, phi)
        of = self.shares
        (had, m), (has, n) = of.sums(self.reference), of.sums(counts)
        found[:, of.which] = effects.difference(had, m, has, n, self.phi[of.which], self.z)
        rows[of.which] = n
        return unbounded(Interval(*found), rows)

    def sizes(self, found: Interval) -> Sizes:
        if self.upward:
            return rising(found)
        least = np.maximum(np.maximum(found.low, -found.high), 0.0)
        return Sizes(half(found), least, np.maximum(np.abs(found.low), np.abs(found.high)))

    def evidence(self, before: Fold, after: Fold, counts: Ints) -> tuple[Evidence, ...]:
        weights = np.where(self.panel.usable, np.exp(self.panel.log_prior), 0.0)
        e = e_value(before.log, after.log, weights)
        values = self.series.values
        test = two_sample.chi_square(
            self.reference[:values], counts[:values], float(self.phi.max())
        )
        return (
            Evidence("chi2", float(test.statistic), float(test.p_value), None),
            Evidence("bounded_loss" if self.upward else "shares", self._moved(counts), None, e),
        )

    def _moved(self, counts: Ints) -> float:
        """What the e-value is about: the mean of the first score."""
        first = self.scores[0]
        return float((counts * first.values).sum() / max(int(counts[first.live].sum()), 1))


def _cells(
    name: str,
    series: Series,
    reference: Ints,
    of: tuple[Score, ...],
    phi: tuple[float, ...],
    panel: Panel,
    gates: tuple[float, float],
    rows: float,
    *,
    upward: bool,
) -> Cells:
    names = tuple(_effect_name(score, upward=upward) for score in of)
    shares = {"difference": SHARE_GATES if upward else gates, "loss_change": gates}
    each = np.array([shares.get(n, RANK_GATES) for n in names]).T
    among = sum(score.kind == "category" for score in of)
    z = float(-special.ndtri(0.025 / max(among, 1)))  # one of several classes is picked
    kinds = tuple(score.kind for score in of)
    bare = Cells(
        name,
        series,
        reference,
        of,
        np.array(phi),
        panel,
        upward,
        z,
        names,
        kinds,
        each,
        np.zeros(len(of)),
        _Shares.of(of, names),
    )
    return replace(bare, own_error=half(bare.measure(usual(reference, rows))))


def _effect_name(score: Score, *, upward: bool) -> str:
    if score.indicator:
        return "difference"
    if upward:
        return "loss_change"
    return "auc_shift" if score.kind == "location" else "spread"


def _effect(name: str, values: Floats, reference: Ints, current: Ints, phi: float) -> Interval:
    if name == "loss_change":
        return loss_change(values, reference, current, phi)
    if not reference.any() or not current.any():
        return Interval(np.zeros(()), np.array(-inf), np.array(inf))
    return (effects.location if name == "auc_shift" else effects.spread)(reference, current, phi)


def _phi(of: tuple[Score, ...], known: Mapping[str, float]) -> tuple[float, ...]:
    largest = max(known.values(), default=1.0)
    return tuple(known.get(score.name, largest) for score in of)


def _log_sum(logs: Floats) -> float:
    top = float(logs.max())
    return top if isinf(top) else log(float(np.exp(logs - top).sum())) + top


def loss_change(worth: Floats, reference: Ints, current: Ints, phi: float = 1.0) -> Interval:
    r"""How much larger the mean bounded loss is, as a share of the reference's: .1 is a tenth more.

    Parameters
    ----------
    worth : (cells,): the mean loss in every cell, in any unit
    reference, current : int64, (cells,)
    phi : over-dispersion of a window's mean

    Notes
    -----
    :math:`R - 1` with :math:`R = \bar f_q/\bar f_p` and, by the delta method,
    :math:`se^2 = φ (V_q/n + R^2 V_p/m)/\bar f_p^2`; normal interval. Where the reference never lost anything it is the
    difference of the means instead.

    Examples
    --------
    >>> found = loss_change(np.array([0.0, 1.0]), np.array([8000, 2000]), np.array([700, 300]))
    >>> round(float(found.value), 3), round(float(found.low), 3), round(float(found.high), 3)
    (0.5, 0.346, 0.654)
    """
    m, n = max(int(reference.sum()), 1), max(int(current.sum()), 1)
    p, q = (reference / m, current / n)
    before, now = float((p * worth).sum()), float((q * worth).sum())
    spread_p = max(float((p * worth * worth).sum()) - before * before, 0.0)
    spread_q = max(float((q * worth * worth).sum()) - now * now, 0.0)
    unit = before if before > 0 else 1.0
    ratio = now / unit
    se = (phi * (spread_q / n + ratio * ratio * spread_p / m)) ** 0.5 / unit
    value, half = (now - before) / unit, effects.Z95 * se
    return Interval(np.array(value), np.array(value - half), np.array(value + half))
