"""What is watched for concept drift, and how large is its change? What every watch can say, and the one on errors.

Errors, the cells of a loss and those of labels (`detectors.performance.cells`) can be watched. All three are
e-detectors ([1] of `detectors.alarm.sequential`), so the mean of their M is one, whatever their dependence: together
they spend one budget, and each pays for the other's company with the logarithm of their number.
"""

from dataclasses import dataclass, replace
from math import inf
from typing import Protocol

import numpy as np

from detectors.alarm.scores import ScoreKind
from detectors.alarm.span import Sizes
from detectors.samples import effects, two_sample
from detectors.samples.effects import Floats, Interval, Ints
from detectors.sequences.losses import Bernoulli, Run, log_mean, tolerated
from detectors.types import Effect, Evidence, TopBin

LOSS, LABEL = "loss", "label"
LEAST = 30  # outcomes below which nothing is said about an effect
SHARE_GATES = (0.02, 0.10)  # difference of a share: drifting, severe
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


def half(found: Interval) -> Floats:
    """Half-widths."""
    with np.errstate(invalid="ignore"):
        return np.asarray((found.high - found.low) / 2)


def rising(found: Interval) -> Sizes:
    """Of effects that only matter when they are above 0."""
    return Sizes(half(found), np.maximum(found.low, 0.0), np.maximum(found.high, 0.0))


def unbounded(found: Interval, rows: Floats) -> Interval:
    """Without bounds where there are too few outcomes; nothing is known of them then."""
    few = rows < LEAST
    return Interval(
        np.where(np.isfinite(found.value), found.value, 0.0),
        np.where(few, -inf, found.low),
        np.where(few, inf, found.high),
    )


def e_value(before: Floats, after: Floats, weights: Floats) -> float:
    """The mean of the bets' e-values in one window; a bet that stood still is worth 1."""
    still = after == before
    with np.errstate(invalid="ignore", over="ignore"):
        won = np.where(still, 0.0, after - np.logaddexp(0.0, before))
        found = float((np.exp(won) * weights).sum() / weights.sum())
    return min(max(found, 1 / _LARGEST), _LARGEST)


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
        return replace(bare, own_error=half(bare.measure(usual(reference, rows))))

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
        return unbounded(found, np.array([right + wrong]))

    def sizes(self, found: Interval) -> Sizes:
        return rising(found)

    def evidence(self, before: Fold, after: Fold, counts: Ints) -> tuple[Evidence, ...]:
        right, wrong = counts.tolist()
        had, of = int(self.reference[1]), int(self.reference.sum())
        test = two_sample.two_proportions(had, of, wrong, right + wrong, self.phi)
        e = e_value(before.log, after.log, np.ones(len(after.log)))
        return (
            Evidence("two_proportion", float(test.statistic), float(test.p_value), None),
            Evidence("bernoulli", wrong / max(right + wrong, 1), None, e),
        )


def published(watch: Watch, found: Interval) -> Effect | None:
    """The effect that is largest relative to its gate, as it is shown; None where there are too few outcomes."""
    least = watch.sizes(found).least / watch.gates[0]
    usable = np.isfinite(found.low) & np.isfinite(found.high)
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
