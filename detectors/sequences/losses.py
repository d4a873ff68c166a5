"""Has the model begun to err more? The default detectors of errors and losses, on windows of counts.

* `Bernoulli` folds k errors in n labels: a bet against a tolerated rate. It serves any business rate as well.
* `LossCells` is for losses that are not 0 or 1: their cells, under the bets of `detectors.alarm.sequential`.

Both are Shiryaev-Roberts e-detectors M = (1 + M) e, [1] of `detectors.alarm.sequential`: while nothing gets worse, M
reaches A not before A windows on average. Counts add up, so the order inside a window does not matter;
`detectors.sequences.labels` reads labels one by one. Upward only: fewer errors are no alarm. Blind to errors that
change place while their rate stays.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from math import inf, isfinite, isinf, log
from typing import Any

import numpy as np

from detectors.alarm.scores import ENOUGH, Score, ScoreKind
from detectors.alarm.sequential import BETS, FIXED, TILTS, Panel, Watched
from detectors.binning import Binner, Column
from detectors.edges import quantile_edges
from detectors.samples.effects import Floats, Ints, wilson
from detectors.series import Series

ODDS = (1.25, 1.5, 2.0, 3.0, 5.0)  # alternatives: multiples of the tolerated odds
RATE_Z = 3.0  # error of the reference's rate paid for, in standard errors
CERTAIN = 1 - 1e-6  # a tolerated rate from which nothing can be worse
CAP_SHARE = 0.999  # a loss counts up to this quantile of the reference's; above, only how often
LOSS_BINS = 10


def tolerated(errors: int, labels: int, phi: float = 1.0, tolerance: float = 0.0) -> float:
    """The rate p0 that the bets are against: the reference's, at its worst, and what is tolerated beyond.

    Parameters
    ----------
    errors, labels : of the reference
    phi : over-dispersion of the error rate of windows; the labels count as labels/phi

    Returns
    -------
    float
        Upper Wilson bound at 3 standard errors, plus `tolerance`; at most 1. Too low a rate in 1 of 700 references.

    Examples
    --------
    >>> round(tolerated(2_000, 10_000), 6)
    0.212267
    """
    if not 0 <= errors <= labels or labels < 1:
        raise ValueError(f"{errors} errors in {labels} labels are no reference")
    if not (phi >= 1 and isfinite(phi) and tolerance >= 0):
        raise ValueError("over-dispersion is at least 1, a tolerance at least 0")
    return min(float(wilson(errors / labels, labels / phi, RATE_Z)[1]) + tolerance, 1.0)


@lru_cache(64)
def gains(p0: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """What an error and a right answer win, as logarithms, against each alternative. Zeros: there is none."""
    if p0 > CERTAIN:
        return (0.0,) * len(ODDS), (0.0,) * len(ODDS)
    q = [1 / (1 + (1 / p0 - 1) / odds) for odds in ODDS]
    return tuple(log(x / p0) for x in q), tuple(log((1 - x) / (1 - p0)) for x in q)


def log_mean(logs: Floats) -> float:
    """Of several M the mean, as logarithms."""
    return float(np.logaddexp.reduce(logs)) - log(len(logs))


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """What the fold over windows remembers: five alternatives."""

    log: Floats  # log M, -inf before the first window
    path: Floats  # the CUSUM twin, which tells when it began
    since: Ints  # start of the window in which the path last left 0
    looks: int  # windows since the last reset

    @property
    def log_statistic(self) -> float:
        """log M, the mean over the alternatives; -inf before the first window."""
        return log_mean(self.log)

    @property
    def onset(self) -> int:
        """When the leading alternative began to win, in the units given to `Bernoulli.step`."""
        return int(self.since[int(self.log.argmax())])


@dataclass(frozen=True, slots=True)
class Bernoulli:
    r"""The e-detector of an error rate, on windows of counts.

    :math:`\log e = (k \log(q/p_0) + (n-k) \log((1-q)/(1-p_0)))/φ`, averaged over q with odds(q) = odds(p0) × 1.25, 1.5,
    2, 3, 5. Additive: log e of two windows together is the sum of theirs.

    Parameters
    ----------
    p0 : `tolerated`
    phi : over-dispersion of the error rate of windows, from the reference
    rows : expected labels per window; in a longer one φ grows with it, as a common effect does not average out

    Notes
    -----
    Assumes labels that are independent, or as dependent as φ says. Cost 10 µs per window. On Bernoulli .2 with 10,000
    reference labels, windows of 100 and A = 100,000, .3 is found after 430 labels, .5 after 100.

    Examples
    --------
    >>> rate = Bernoulli(tolerated(2_000, 10_000))
    >>> run = rate.start()
    >>> for hour, errors in enumerate([19, 21, 20, 34, 36, 33]):
    ...     run = rate.step(run, errors, 100, at=hour)
    >>> round(run.log_statistic, 3), run.onset
    (12.188, 3)
    """

    p0: float
    phi: float = 1.0
    rows: float = inf

    def __post_init__(self) -> None:
        if not 0 < self.p0 <= 1:
            raise ValueError(f"a tolerated rate is above 0 and at most 1, not {self.p0}")
        if not (self.phi >= 1 and isfinite(self.phi) and self.rows > 0):
            raise ValueError("over-dispersion and rows per window are at least 1")

    def start(self) -> Run:
        """No evidence yet; also what a reset leaves."""
        shape = len(ODDS)
        return Run(np.full(shape, -np.inf), np.zeros(shape), np.zeros(shape, np.int64), 0)

    def step(self, run: Run, k: int, n: int, at: int = 0) -> Run:
        """After one more window of k errors in n labels, which began `at`. Without labels it stands still."""
        if not 0 <= k <= n:
            raise ValueError(f"{k} errors in {n} labels are no window")
        if not n or self.p0 > CERTAIN:
            return run
        wrong, right = (np.array(g) for g in gains(self.p0))
        phi = 1 + (self.phi - 1) * max(1.0, n / self.rows)
        gain = (k * wrong + (n - k) * right) / phi
        return Run(
            np.logaddexp(0.0, run.log) + gain,
            np.maximum(run.path, 0.0) + gain,
            np.where(run.path <= 0, at, run.since),
            run.looks + 1,
        )

    def to_data(self, run: Run) -> dict[str, Any]:
        """The run for JSON, exact; -inf is null."""
        return {
            "log": [None if isinf(v) else v for v in run.log.tolist()],
            "path": run.path.tolist(),
            "since": run.since.tolist(),
            "looks": run.looks,
        }

    def from_data(self, data: dict[str, Any]) -> Run:
        """The run that `to_data` wrote."""
        return Run(
            np.array([-inf if v is None else v for v in data["log"]], np.float64),
            np.array(data["path"], np.float64),
            np.array(data["since"], np.int64),
            data["looks"],
        )


@dataclass(frozen=True, slots=True, eq=False)
class LossCells:
    """A loss in cells: how it is counted, and what the mean of each cell is worth.

    The last cell holds what lies above the cap, the 99.9 % quantile of the reference; one loss there counts as much as
    one at the cap, so that a single outlier cannot win the bet, and how often it happens is watched on its own.
    """

    series: Series
    counts: Ints  # (cells,): the reference
    worth: Floats  # (value cells,): mean reference loss of the cell, as a share of that of the topmost below the cap

    @staticmethod
    def cut(name: str, losses: Floats) -> "LossCells":
        """Fix the cells from the losses of the reference.

        Parameters
        ----------
        losses : float64, shape (m,), at least 0; NaN is missing

        Raises
        ------
        ValueError
            No loss is finite, or one is negative.

        Examples
        --------
        >>> cells = LossCells.cut("loss", np.arange(2000) / 1000)
        >>> len(cells.worth), cells.series.edges[-1], round(float(cells.worth[0]), 3), float(cells.worth[-1])
        (11, 1.997, 0.052, 1.0)
        """
        finite = np.sort(losses[np.isfinite(losses)]) + 0.0
        if not len(finite) or finite[0] < 0:
            raise ValueError("losses of a reference are finite and not negative")
        cap = float(finite[int(np.ceil(CAP_SHARE * len(finite))) - 1])
        below = np.minimum(finite, cap)
        distinct, held = np.unique(below, return_counts=True)
        edges = [
            e for e in quantile_edges(below, distinct, held, LOSS_BINS, whole=False) if e < cap
        ]
        series = Series(name, "number", edges=(*edges, cap))
        cell = np.searchsorted(edges, below, side="left")
        unit = cap if cap > 0 else 1.0  # in this order: no overflow
        mean = np.bincount(cell, below / unit, len(edges) + 1) / np.bincount(
            cell, minlength=len(edges) + 1
        )
        worth = np.append(mean / mean[-1] if mean[-1] > 0 else mean, 1.0)
        return LossCells(series, _counted(series, losses), worth)

    def count(self, losses: Floats) -> Ints:
        """The cells of some losses, int64 of shape (cells,). Counts add up; losses do not."""
        return _counted(self.series, losses)

    def scores(self, rows: float) -> tuple[Score, ...]:
        """What is watched in windows of about `rows` losses: their mean, the share above the cap, odd and missing."""
        values, cells = self.series.values, self.series.cells
        inside = self.counts[:values]
        usual = int(inside.argmax())
        nearly_constant = rows * (1 - inside[usual] / max(int(inside.sum()), 1)) < ENOUGH
        mean = (np.arange(values) > usual) * 1.0 if nearly_constant else self.worth
        capped = (np.arange(values) == values - 1) * 1.0
        watched = [("loss", mean, nearly_constant, values), ("above_cap", capped, True, values)]
        for name, cell in (("odd", values), ("missing", values + 1)):
            watched.append((name, (np.arange(cells) == cell) * 1.0, True, cells))
        return tuple(
            self._score(name, of, indicator=indicator, among=among, rows=rows)
            for name, of, indicator, among in watched
        )

    def _score(self, name: str, of: Floats, *, indicator: bool, among: int, rows: float) -> Score:
        full, live = np.zeros(self.series.cells), np.arange(self.series.cells) < among
        full[: len(of)] = of
        share = float((self.counts * full).sum()) / max(int(self.counts[live].sum()), 1)
        rare = indicator and rows * min(share, 1 - share) < ENOUGH
        kind = _KINDS[name]
        return Score(kind, name, full, live, indicator, rare)

    def panel(self, rows: float, phi: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)) -> Panel:
        r"""The bets, for `sequential.step` and `sequential.standing`; start with ``State.start(…, cells.counts)``.

        Of the mean and of the share above the cap only the bets that they rise: a loss that falls is no alarm.

        Parameters
        ----------
        rows : expected losses per window
        phi : over-dispersion of every score, from `sequential.dispersion`
        """
        scores = self.scores(rows)
        panel = Panel.compile([Watched(0, scores, phi)], self.counts, rows)
        up = np.concatenate((np.arange(FIXED) < len(BETS), TILTS > 0))
        prior = np.where(panel.usable, np.exp(panel.log_prior), 0.0)
        for row, score in enumerate(scores):
            if score.name in ("loss", "above_cap") and not score.rare:
                prior[row] = np.where(up, 2 * prior[row], 0.0)  # half the bets, twice the weight
        usable = prior > 0
        log_prior = np.log(np.where(usable, prior, 1.0))
        return replace(panel, usable=usable, open=panel.open & usable, log_prior=log_prior)


_KINDS: dict[str, ScoreKind] = {
    "loss": "location",
    "above_cap": "unusual",
    "odd": "odd",
    "missing": "missing",
}


def _counted(series: Series, losses: Floats) -> Ints:
    column = Column(series.name, "number", losses, np.zeros(len(losses), bool))
    cells: Ints = Binner([series]).count([column]).cells[0]
    return cells
