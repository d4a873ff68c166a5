"""Has anything begun to drift? The alarm: e-detectors on the counts of closed, disjoint windows.

An *e-value* has mean at most 1 while nothing drifts. The Shiryaev-Roberts e-detector M = (1 + M) e [1]_ reaches A not
before A windows on average, and so does the mean of any number of such M, whatever their dependence: that is the whole
correction for many series. Two families of bets are mixed for every score (`detectors.alarm.scores`):

* D3 bets on single rows against the reference's own confidence bounds: valid in finite samples, slow [2]_.
* D4 bets on the window's z-score against the pool of everything seen so far: fast, and the reference's error cancels.

A fold, `step(panel, state, counts, at_ms) -> state`; nothing is mutated. Statistics are natural logarithms. Sums run
in a fixed order over the first axis, never through BLAS: the bits of one series do not depend on its neighbours.
Under a season every slot has a `Panel` and a pool, all share one M: `step_slots`.
Blind to changes that leave every score's mean in place: movement inside one cell, joint distributions, order of rows.

References
----------
.. [1] Shin, J., Ramdas, A., Rinaldo, A. (2024). E-detectors: a nonparametric framework for sequential change detection.
   New England Journal of Statistics in Data Science 2.
.. [2] Waudby-Smith, I., Ramdas, A. (2024). Estimating means of bounded random variables by betting. JRSS B 86.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from detectors.alarm.scores import Score, ScoreKind
from detectors.samples.effects import Floats, Ints, wilson

BETS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)  # D3: shares of the largest legal bet, up and down
RARE_BETS = (0.002, 0.005, 0.01, *BETS)  # up only
TILTS = np.array([-4, -2, -1, -0.5, 0.5, 1, 2, 4.0])  # D4: standardised shifts betted on
FIXED = 2 * len(BETS)  # columns 0 … 11 of a score's components are D3, the others D4
COMPONENTS = FIXED + len(TILTS)
REFERENCE_Z = (
    4.0  # D3: error of the reference paid for, in standard errors; fails for 6e-5 of scores
)
# Rows behind a score from which D4 bets on all, or on at most 2 sd.
ALL_TILTS, SMALL_TILTS = 20.0, 5.0
MIN_WINDOWS = 30  # reference windows from which over-dispersion can be bounded
_BEHIND = np.where(np.abs(TILTS) <= 2, SMALL_TILTS, ALL_TILTS)[:, None]
_HALF_SQUARES = (TILTS**2 / 2)[:, None]


@dataclass(frozen=True, slots=True, eq=False)
class Watched:
    """A series to watch: where its cells lie in the flat vector, its scores, and their over-dispersion."""

    offset: int
    scores: tuple[Score, ...]
    phi: tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """All scores of a model as rows of one flat structure; compiled once, never changed.

    R rows (scores), S series (each a run of consecutive rows), C cells of the widest series: shorter ones are padded
    with cells that are always 0 and add exactly nothing.
    """

    place: Ints  # (C, S): index into the flat counts; padding points one past their end
    cells: Ints  # (C, R): the same for every row
    series: Ints  # (R,): which column of `place` a row belongs to
    first: Ints  # (S,): first row of a series
    kinds: tuple[ScoreKind, ...]  # (R,)
    moments: Floats  # (3, C, R): live, live f, live f²
    indicator: NDArray[np.bool_]  # (R,)
    phi: Floats  # (R,)
    gain: Floats  # (C, 12, R): what a row of events in cell C wins, as logarithm
    usable: NDArray[np.bool_]  # (R, 20): components that exist
    open: NDArray[
        np.bool_
    ]  # (R, 20): those that may bet; fewer than exist in some slots of a season
    log_prior: Floats  # (R, 20): weight of a component within its series; -inf: it does not exist
    rows: float  # of the windows that φ was measured on

    @staticmethod
    def compile(
        watched: Sequence[Watched],
        counts: Ints,
        rows: float,
        tolerance: float = 0.0,
        weights: tuple[float, float] = (0.5, 0.5),
        shut: NDArray[np.bool_] | None = None,
    ) -> "Panel":
        """Prepare every bet.

        Parameters
        ----------
        counts : int64, shape (total,)
            The reference, all series one after another.
        rows : expected rows per window: of those that φ was measured on
        tolerance : change of a score's mean that is not worth spending budget on; exact with weights (1, 0)
        weights : of D3 and D4: (1, 0) is the fixed reference alone, (0, 1) the growing one. Rare scores have no D4
            and are bet on by D3 whatever the weights
        shut : bool, shape (R, 20): components that never bet on this reference, though others of their kind do

        Examples
        --------
        A share of .3 that becomes .36, in windows of 1,000 rows against 10,000:

        >>> from detectors.series import Series
        >>> from detectors.alarm.scores import scores
        >>> flag = Series("feature:flag", "boolean", categories=("false", "true"))
        >>> reference = np.array([7000, 3000, 0, 0])
        >>> found = scores(flag, reference, rows=1000)
        >>> panel = Panel.compile([Watched(0, found, phi=(1.0,) * len(found))], reference, rows=1000)
        >>> state = State.start(panel.usable.shape, reference)
        >>> for hour, trues in enumerate([300, 300, 360, 360]):
        ...     state = step(panel, state, np.array([1000 - trues, trues, 0, 0]), at_ms=hour * 3_600_000)
        ...     print(round(standing(panel, state).log, 3))
        -2.393
        -1.92
        4.169
        10.634
        """
        width = max(len(w.scores[0].values) for w in watched)
        sizes = np.array([len(w.scores) for w in watched])
        series = np.repeat(np.arange(len(watched)), sizes)
        place = np.full((width, len(watched)), len(counts))
        for s, w in enumerate(watched):
            cells = len(w.scores[0].values)
            place[:cells, s] = w.offset + np.arange(cells)
        flat = [score for w in watched for score in w.scores]
        value, live = np.zeros((width, len(flat))), np.zeros((width, len(flat)))
        for r, score in enumerate(flat):
            value[: len(score.values), r] = score.values
            live[: len(score.live), r] = score.live
        phi = np.array([p for w in watched for p in w.phi], np.float64)
        indicator = np.array([score.indicator for score in flat])
        rare = np.array([score.rare for score in flat])
        moments = np.stack([live, live * value, live * value * value])
        at = place[:, series]
        m, mean, sd = _moments(moments * np.append(counts, 0).astype(np.float64)[at])
        half = REFERENCE_Z * sd * np.sqrt(phi / m)
        bounds = wilson(mean, m / phi, REFERENCE_Z)
        low = np.where(indicator, bounds[0], mean - half) - tolerance
        high = np.where(indicator, bounds[1], mean + half) + tolerance
        gain = np.zeros((width, len(flat), FIXED))
        bets = np.array(BETS)
        up, down = (value - high) * live, (low - value) * live
        gain[:, ~rare, : len(BETS)] = _gain(up, bets)[:, ~rare]
        gain[:, ~rare, len(BETS) :] = _gain(down, bets)[:, ~rare]
        gain[:, rare, : len(RARE_BETS)] = _gain(up, np.array(RARE_BETS))[:, rare]
        prior = np.zeros((len(flat), COMPONENTS))
        prior[:, :FIXED], prior[:, FIXED:] = weights[0] / FIXED, weights[1] / len(TILTS)
        prior[rare] = np.where(np.arange(COMPONENTS) < len(RARE_BETS), 1 / len(RARE_BETS), 0.0)
        prior /= np.repeat(sizes, sizes)[:, None]
        usable = prior > 0
        log_prior = np.where(usable, np.log(np.where(usable, prior, 1.0)), -np.inf)
        return Panel(
            place,
            at,
            series,
            np.cumsum(sizes) - sizes,
            tuple(score.kind for score in flat),
            moments,
            indicator,
            phi,
            np.ascontiguousarray(gain.transpose(0, 2, 1)),
            usable,
            usable if shut is None else usable & ~shut,
            log_prior,
            rows,
        )


def _gain(edge: Floats, bets: Floats) -> Floats:
    """log(1 + λ w) per cell, row and bet; the largest legal λ is that which a row can just not be ruined by."""
    worst = np.maximum(-edge.min(0), 1e-9)
    return np.asarray(np.log1p(bets * (edge / worst)[:, :, None]))


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """What the detector remembers: R rows of 20 components. Entries that never betted are -inf, 0, 0."""

    log: Floats  # (R, 20): log M
    path: Floats  # (R, 20): the CUSUM twin, which tells when it began
    since: Ints  # (R, 20): start of the window in which the path last left 0, epoch ms
    pool: (
        Ints  # (total,): reference and every window since the start; (slots, total) under a season
    )
    looks: int  # windows since the last reset

    @staticmethod
    def start(shape: tuple[int, ...], pool: Ints) -> "State":
        """No evidence yet; also what a reset leaves. `shape` is that of `Panel.usable`."""
        return State(
            np.full(shape, -np.inf), np.zeros(shape), np.zeros(shape, np.int64), pool, looks=0
        )


def _moments(weighted: Floats) -> tuple[Floats, Floats, Floats]:
    """Rows, mean and standard deviation of every score, from `Panel.moments` times cells, (3, …, C, R)."""
    n, first, second = np.add.reduce(weighted, axis=-2)
    n = np.maximum(n, 1e-300)
    mean = first / n
    return n, mean, np.sqrt(np.maximum(second / n - mean * mean, 0.0))


def step(panel: Panel, state: State, counts: Ints, at_ms: int) -> State:
    r"""The state after one more window.

    Parameters
    ----------
    counts : int64, shape (total,)
        One closed window, disjoint from all others.
    at_ms : start of the window

    Notes
    -----
    D3: :math:`\log e = \frac1φ \sum_b c_b \log(1 + λ w_b)`. D4: :math:`e = \exp(λz - λ^2/2)` with
    :math:`z = (\bar f_t - \bar f_N) / (σ_N \sqrt{φ(1/n - 1/N)})` over the pool, this window included. A component that
    may not bet stands still: a step with e = 1 would add 1 per window and reach A for certain. In a window longer than
    expected, φ grows with it: a common effect does not average out. Cost O(C R), .11 ms for 50 features of 12 cells.
    """
    pool = state.pool + counts
    return _advanced(panel, state, _bets(panel, pool, counts), pool, at_ms)


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """The rows of a window that fell into one slot of a season."""

    slot: int
    panel: Panel  # of this slot
    counts: Ints  # (total,)


def step_slots(parts: Sequence[Part], state: State, at_ms: int) -> State:
    r"""The state after a window whose rows fell into one or several slots; `state.pool` is (slots, total).

    Notes
    -----
    Small windows are judged together, and those may lie in several slots. D3 adds up, as rows do. D4 bets on
    :math:`z = \sum_s n_s τ_s z_s / \sqrt{\sum_s n_s^2 τ_s^2}` with :math:`τ_s` the standard error in slot s: the
    recursive residuals of different slots are uncorrelated, so z has variance 1, and a shift that all slots share
    adds up. φ grows with the rows of all parts: what dependent rows share may last longer than a slot. With one part it
    is `step`, to the last bit.
    """
    pool = state.pool.copy()
    found = []
    together = np.add.reduce([_live_rows(part.panel, part.counts) for part in parts])
    for part in parts:
        pool[part.slot] += part.counts
        found.append(_bets(part.panel, pool[part.slot], part.counts, together))
    return _advanced(
        parts[0].panel, state, found[0] if len(found) == 1 else _together(found), pool, at_ms
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Bets:
    """What every score has to bet on in a window, (R,) and (R, 12)."""

    n: Floats  # live rows
    behind: Floats  # rows behind the z-score
    z: Floats
    scale: Floats  # standard error of the window's mean against the pool's
    fixed: Floats  # gains of D3
    open: NDArray[np.bool_]


def _cells(panel: Panel, *of: Ints) -> Floats:
    """Flat counts as the cells of every row, (len(of), C, R)."""
    flat = np.zeros((len(of), len(of[0]) + 1))  # the last one: padding
    for counts, into in zip(of, flat, strict=True):
        into[:-1] = counts
    return flat.take(panel.cells, axis=1)


def _live_rows(panel: Panel, counts: Ints) -> Floats:
    return np.asarray(np.add.reduce(panel.moments[0] * _cells(panel, counts)[0], axis=0))


def _bets(panel: Panel, pool: Ints, counts: Ints, together: Floats | None = None) -> _Bets:
    """`together`: live rows of all that is judged at once, if that is more than `counts`."""
    cells = _cells(panel, counts, pool)
    weighted = panel.moments[:, None] * cells
    (n, total), (mean, centre), (_, sd) = _moments(weighted)
    at_once = n if together is None else together
    phi = 1 + (panel.phi - 1) * np.maximum(1.0, at_once / panel.rows)
    fixed = np.add.reduce(cells[0][:, None] * panel.gain, axis=0) / phi
    scale = sd * np.sqrt(phi * np.maximum(1 / np.maximum(n, 1.0) - 1 / np.maximum(total, 1.0), 0.0))
    z = (mean - centre) / np.where(scale > 0, scale, np.inf)
    largest = np.maximum.reduce(weighted[0, 1]) / total
    behind = n * np.where(panel.indicator, np.minimum(centre, 1 - centre), 1 - largest)
    return _Bets(n, behind, z, scale, fixed.T, panel.open)


def _together(found: Sequence[_Bets]) -> _Bets:
    """The bets on all parts of a window; a part in which a score may not bet adds nothing to it."""
    fixed = np.add.reduce([b.fixed * b.open[:, :FIXED] for b in found])
    growing = [b.open[:, FIXED:].any(1) for b in found]
    spread = [b.n * b.scale * may for b, may in zip(found, growing, strict=True)]
    z = np.add.reduce([s * b.z for b, s in zip(found, spread, strict=True)])
    scale = np.sqrt(np.add.reduce([s * s for s in spread]))
    return _Bets(
        np.add.reduce([b.n * b.open[:, :FIXED].any(1) for b in found]),
        np.add.reduce([b.behind * may for b, may in zip(found, growing, strict=True)]),
        np.divide(z, scale, out=np.zeros_like(scale), where=scale > 0),
        scale,
        fixed,
        np.logical_or.reduce([b.open for b in found]),
    )


def _advanced(panel: Panel, state: State, bets: _Bets, pool: Ints, at_ms: int) -> State:
    gain, enough = np.empty(panel.usable.shape), np.empty(panel.usable.shape, bool)
    gain[:, :FIXED] = bets.fixed
    gain[:, FIXED:] = (TILTS[:, None] * bets.z - _HALF_SQUARES).T
    enough[:, :FIXED] = (bets.n >= 1)[:, None]
    enough[:, FIXED:] = (bets.behind >= _BEHIND).T
    active = bets.open & enough
    begins = active & (state.path <= 0)
    return State(
        log=np.where(active, _log_one_plus(state.log) + gain, state.log),
        path=np.where(active, np.maximum(state.path, 0.0) + gain, state.path),
        since=np.where(begins, at_ms, state.since),
        pool=pool,
        looks=state.looks + 1,
    )


def _log_one_plus(log: Floats) -> Floats:
    """log(1 + M) from log M; `np.logaddexp` takes five times as long."""
    return np.asarray(np.maximum(log, 0.0) + np.log1p(np.exp(-np.abs(log))))


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """How strong the evidence is: log M of the model, of every series and of every component's weighted share."""

    log: float
    series: Floats  # (S,): log M of each; M of the model is their mean
    components: Floats  # (R, 20), weighted within the series


def standing(panel: Panel, state: State, columns: slice = slice(0, COMPONENTS)) -> Standing:
    r"""Read log M off a state.

    Parameters
    ----------
    columns : restricts it to the share of D3, ``slice(0, FIXED)``, or D4, ``slice(FIXED, COMPONENTS)``

    Notes
    -----
    :math:`M = \frac1S \sum_k M_k`, the mean over series of the weighted mean over scores, bets and tilts. Compare
    :math:`\log M` with :math:`\log A` (`detectors.alarm.budget`). Cost O(20 R), a tenth of a step.
    """
    weighted = state.log + panel.log_prior
    weighted[:, : columns.start] = weighted[:, columns.stop :] = -np.inf
    top = np.maximum.reduceat(weighted.ravel(), panel.first * COMPONENTS)
    top = np.where(np.isfinite(top), top, 0.0)
    mass = np.exp(weighted - top[panel.series][:, None])
    with np.errstate(divide="ignore"):  # log 0 is -inf: no evidence yet
        series = np.log(np.add.reduceat(np.add.reduce(mass, axis=1), panel.first)) + top
        peak = float(series.max())
        if not np.isfinite(peak):
            return Standing(-np.inf, series, weighted)
        log = float(np.log(np.exp(series - peak).sum() / len(series))) + peak
    return Standing(log, series, weighted)


def dispersion(windows: Ints, score: Score) -> float:
    r"""Over-dispersion φ of a score's window means: upper 95 % bound, at least 1.

    Parameters
    ----------
    windows : int64, shape (T, cells), T ≥ 30
        Consecutive windows of the reference, as long as those of production.

    Notes
    -----
    :math:`φ = \max(1, \sum_i n_i (\bar f_i - \bar f)^2 / (σ^2 χ^2_{.05}(T-1)))`. The bound, not the estimate: too small
    breaks the false-alarm guarantee, too large costs delay (independent rows give 1.65 on average from 30 windows,
    1.28 from 100). Blind to dependence that spans more than the reference.

    Examples
    --------
    >>> from detectors.series import Series
    >>> from detectors.alarm.scores import scores
    >>> flag = Series("feature:flag", "boolean", categories=("false", "true"))
    >>> steady, wild = (np.array([[90 - d, 10 + d, 0, 0] for d in (-a, a) * 15]) for a in (1, 9))
    >>> score = scores(flag, steady.sum(0), rows=100)[0]
    >>> dispersion(steady, score), round(dispersion(wild, score), 2)
    (1.0, 15.25)
    """
    if len(windows) < MIN_WINDOWS:
        raise ValueError(f"over-dispersion needs {MIN_WINDOWS} windows, not {len(windows)}")
    seen = windows[:, score.live].astype(np.float64)
    values = score.values[score.live]
    n = seen.sum(1)
    rows = max(float(n.sum()), 1.0)
    mean = (seen * values).sum(1) / np.maximum(n, 1.0)
    centre = float((seen * values).sum()) / rows
    variance = float((seen * values * values).sum()) / rows - centre * centre
    if variance <= 1e-12:
        return 1.0
    bound = float(special.chdtri(len(windows) - 1, 0.95))
    return max(1.0, float((n * (mean - centre) ** 2).sum()) / (variance * bound))
