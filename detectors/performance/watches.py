"""What is watched for concept drift, and how large is its change? Errors, the cells of a loss, the cells of labels.

All three are e-detectors ([1] of `detectors.alarm.sequential`), so the mean of their M is one, whatever their
dependence: together they spend one budget, and each pays for the other's company with the logarithm of their number.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, isinf, log
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import special

from detectors.alarm.scores import Score, ScoreKind, scores
from detectors.alarm.sequential import (
    Panel,
    State,
    Watched,
    step,
)
from detectors.alarm.span import Sizes
from detectors.samples import effects, two_sample
from detectors.samples.effects import Floats, Interval, Ints
from detectors.sequences.losses import Bernoulli, LossCells, Run, log_mean, tolerated
from detectors.series import Series
from detectors.types import Effect, Evidence, TopBin

LOSS, LABEL = "loss", "label"
LEAST = 30  # outcomes below which nothing is said about an effect
SHARE_GATES = (0.02, 0.10)  # difference of a share: drifting, severe
RANK_GATES = (0.02, 0.07)  # location and spread of labels that are numbers
LOSS_GATES = (0.05, 0.10)  # change of the mean loss, relative to the reference's
TAIL = 24  # windows of the usual size after which an episode can be told to be over
_LARGEST = 1e300


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """What one watch remembers. Bets that were never made are -inf, 0, 0."""

    log: Floats  # log M of every bet
    path: Floats  # the CUSUM twin, which tells when it began
    since: Ints  # start of the window in which the path last left 0, epoch ms
    pool: Ints  # reference and every window so far, (cells,)


class Watch(Protocol):
    """A series of outcomes under watch; E effects say how large its change is."""

    @property
    def name(self) -> str:
        """`LOSS` or `LABEL`."""
        ...

    @property
    def reference(self) -> Ints:
        """(cells,)"""
        ...

    @property
    def kinds(self) -> tuple[ScoreKind, ...]:
        """(E,): what moved, where an effect is large."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """(E,): difference, loss_change, auc_shift, spread"""
        ...

    @property
    def gates(self) -> Floats:
        """(2, E): drifting, severe."""
        ...

    @property
    def own_error(self) -> Floats:
        """(E,): half-widths that `TAIL` usual windows cannot undercut. Labels are too few to wait for half a gate."""
        ...

    def start(self) -> Fold:
        """No evidence yet."""
        ...

    def rows(self, counts: Ints) -> int:
        """Outcomes that the bets are about."""
        ...

    def step(self, fold: Fold, counts: Ints, at_ms: int) -> Fold:
        """After one more window, which began `at_ms`."""
        ...

    def components(self, fold: Fold) -> Floats:
        """The bets' shares of M, as logarithms; their sum is M."""
        ...

    def log(self, fold: Fold) -> float:
        """log M, -inf before the first bet."""
        ...

    def lead(self, fold: Fold) -> ScoreKind:
        """What the strongest bet is about."""
        ...

    def measure(self, counts: Ints) -> Interval:
        """The effects, (E,); without a bound under `LEAST` outcomes."""
        ...

    def sizes(self, found: Interval) -> Sizes:
        """How large effects are in the directions that are watched."""
        ...

    def evidence(self, before: Fold, after: Fold, counts: Ints) -> tuple[Evidence, ...]:
        """What the window says by itself."""
        ...


def again(watch: Watch, fold: Fold, span: Ints) -> Fold:
    """After an episode: no evidence, and the pool without the windows of the episode."""
    fresh = watch.start()
    return Fold(fresh.log, fresh.path, fresh.since, fold.pool - span)


def usual(reference: Ints, rows: float) -> Ints:
    """What `TAIL` windows of `rows` outcomes hold when nothing changed; at least enough for any effect."""
    most = max(TAIL * rows, 8.0 * LEAST) / max(int(reference.sum()), 1)
    found: Ints = np.rint(reference * most).astype(np.int64)
    return found


def _half(found: Interval) -> Floats:
    with np.errstate(invalid="ignore"):
        return np.asarray((found.high - found.low) / 2)


def _rising(found: Interval) -> Sizes:
    return Sizes(_half(found), np.maximum(found.low, 0.0), np.maximum(found.high, 0.0))


def _unbounded(found: Interval, rows: Floats) -> Interval:
    few = rows < LEAST
    return Interval(
        np.where(np.isfinite(found.value), found.value, 0.0),
        np.where(few, -inf, found.low),
        np.where(few, inf, found.high),
    )


def _log_sum(logs: Floats) -> float:
    top = float(logs.max())
    return top if isinf(top) else log(float(np.exp(logs - top).sum())) + top


def _e_value(before: Floats, after: Floats, weights: Floats) -> float:
    """The mean of the bets' e-values in one window; a bet that stood still is worth 1."""
    still = after == before
    with np.errstate(invalid="ignore", over="ignore"):
        won = np.where(still, 0.0, after - np.logaddexp(0.0, before))
        found = float((np.exp(won) * weights).sum() / weights.sum())
    return min(max(found, 1 / _LARGEST), _LARGEST)


@dataclass(frozen=True, slots=True, eq=False)
class Errors:
    """The error rate of a classifier: `Bernoulli` against the reference's rate and what is tolerated beyond it.

    Cells: right, wrong. Upward only.
    """

    reference: Ints
    phi: float
    rate: Bernoulli
    gates: Floats
    own_error: Floats
    name: str = LOSS
    names: tuple[str, ...] = ("difference",)
    kinds: tuple[ScoreKind, ...] = ("location",)

    @staticmethod
    def compile(
        reference: Ints,
        rows: float,
        phi: float = 1.0,
        tolerance: float = 0.0,
        severe: float | None = None,
    ) -> "Errors":
        """Prepare the bets.

        Parameters
        ----------
        reference : int64, (2,): right and wrong
        rows : expected labels per window
        phi : over-dispersion of the error rate of windows
        tolerance : error rate beyond the reference's that is not worth an alarm
        severe : difference of the rate from which it is severe
        """
        right, wrong = reference.tolist()
        rate = Bernoulli(tolerated(wrong, right + wrong, phi, tolerance), phi, rows)
        gates = written_gates(SHARE_GATES, tolerance, severe)
        bare = Errors(reference, phi, rate, np.array(gates)[:, None], np.zeros(1))
        return Errors(reference, phi, rate, bare.gates, _half(bare.measure(usual(reference, rows))))

    def start(self) -> Fold:
        run = self.rate.start()
        return Fold(run.log, run.path, run.since, self.reference)

    def rows(self, counts: Ints) -> int:
        return int(counts.sum())

    def step(self, fold: Fold, counts: Ints, at_ms: int) -> Fold:
        right, wrong = counts.tolist()
        run = self.rate.step(Run(fold.log, fold.path, fold.since, 0), wrong, right + wrong, at_ms)
        return Fold(run.log, run.path, run.since, fold.pool + counts)

    def components(self, fold: Fold) -> Floats:
        return np.asarray(fold.log - np.log(len(fold.log)))

    def log(self, fold: Fold) -> float:
        return log_mean(fold.log)

    def lead(self, fold: Fold) -> ScoreKind:
        return "location"

    def measure(self, counts: Ints) -> Interval:
        right, wrong = counts.tolist()
        had, of = int(self.reference[1]), int(self.reference.sum())
        found = effects.difference(had, of, np.array([wrong]), right + wrong, self.phi)
        return _unbounded(found, np.array([right + wrong]))

    def sizes(self, found: Interval) -> Sizes:
        return _rising(found)

    def evidence(self, before: Fold, after: Fold, counts: Ints) -> tuple[Evidence, ...]:
        right, wrong = counts.tolist()
        had, of = int(self.reference[1]), int(self.reference.sum())
        test = two_sample.two_proportions(had, of, wrong, right + wrong, self.phi)
        e = _e_value(before.log, after.log, np.ones(len(after.log)))
        return (
            Evidence("two_proportion", float(test.statistic), float(test.p_value), None),
            Evidence("bernoulli", wrong / max(right + wrong, 1), None, e),
        )


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
        value, low, high = (np.zeros(len(self.scores)) for _ in range(3))
        rows = np.zeros(len(self.scores))
        for e, (score, name) in enumerate(zip(self.scores, self.names, strict=True)):
            reference, current = self.reference[score.live], counts[score.live]
            rows[e] = current.sum()
            found = _effect(name, score.values[score.live], reference, current, self.phi[e], self.z)
            value[e], low[e], high[e] = (float(part) for part in found)
        return _unbounded(Interval(value, low, high), rows)

    def sizes(self, found: Interval) -> Sizes:
        if self.upward:
            return _rising(found)
        least = np.maximum(np.maximum(found.low, -found.high), 0.0)
        return Sizes(_half(found), least, np.maximum(np.abs(found.low), np.abs(found.high)))

    def evidence(self, before: Fold, after: Fold, counts: Ints) -> tuple[Evidence, ...]:
        weights = np.where(self.panel.usable, np.exp(self.panel.log_prior), 0.0)
        e = _e_value(before.log, after.log, weights)
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
    zero = np.zeros(len(of))
    bare = Cells(
        name, series, reference, of, np.array(phi), panel, upward, z, names, kinds, each, zero
    )
    own = _half(bare.measure(usual(reference, rows)))
    return Cells(
        name, series, reference, of, np.array(phi), panel, upward, z, names, kinds, each, own
    )


def _effect_name(score: Score, *, upward: bool) -> str:
    if score.indicator:
        return "difference"
    if upward:
        return "loss_change"
    return "auc_shift" if score.kind == "location" else "spread"


def _effect(
    name: str, values: Floats, reference: Ints, current: Ints, phi: float, z: float
) -> Interval:
    m, n = int(reference.sum()), int(current.sum())
    if name == "difference":
        had, has = int(reference[values > 0].sum()), int(current[values > 0].sum())
        return effects.difference(had, m, has, n, phi, z)
    if name == "loss_change":
        return loss_change(values, reference, current, phi)
    if not m or not n:
        return Interval(np.zeros(()), np.array(-inf), np.array(inf))
    return (effects.location if name == "auc_shift" else effects.spread)(reference, current, phi)


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


def written_gates(
    usual: tuple[float, float], tolerance: float, severe: float | None
) -> tuple[float, float]:
    """The gates where something was written: the larger of tolerance and usual gate, severe from twice that on.

    >>> written_gates((0.02, 0.10), 0.0, None), written_gates((0.02, 0.10), 0.04, None)
    ((0.02, 0.1), (0.04, 0.08))
    """
    drifting = max(tolerance, usual[0])
    if severe is None:
        severe = 2 * drifting if tolerance > usual[0] else usual[1]
    return drifting, max(severe, drifting)


def _phi(of: tuple[Score, ...], known: Mapping[str, float]) -> tuple[float, ...]:
    largest = max(known.values(), default=1.0)
    return tuple(known.get(score.name, largest) for score in of)


def published(
    watch: Watch, found: Interval, which: NDArray[np.bool_] | None = None
) -> Effect | None:
    """The effect that is largest relative to its gate, as it is shown; None where there are too few outcomes."""
    least = watch.sizes(found).least / watch.gates[0]
    usable = np.isfinite(found.low) & np.isfinite(found.high)
    if which is not None:
        usable &= which
    if not usable.any():
        return None
    at = int(np.where(usable, least, -1.0).argmax())
    if not least[at] > 0:  # nothing is sure: show the first, which is what the series is about
        at = int(usable.argmax())
    return Effect(
        watch.names[at],
        float(found.value[at]),
        float(found.low[at]),
        float(found.high[at]),
        float(watch.gates[0, at]),
    )


def top_cells(watch: Watch, counts: Ints, most: int = 3) -> tuple[TopBin, ...]:
    r"""The cells that changed most, by :math:`(p - q)^2/t`."""
    m, n = max(int(watch.reference.sum()), 1), max(int(counts.sum()), 1)
    p, q = watch.reference / m, counts / n
    t = (watch.reference + counts) / (m + n)
    part = np.divide((p - q) ** 2, t, out=np.zeros(len(t)), where=t > 0)
    order = np.argsort(-part, kind="stable")[:most].tolist()
    return tuple(
        TopBin(b + 1, len(t), float(p[b]), float(q[b]), float(part[b]))
        for b in order
        if part[b] > 0
    )
