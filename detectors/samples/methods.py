"""Which two-sample methods can people name, and what does each of them measure, compare and miss?

`METHODS` is the table behind the lifecycle's `method`. A method has one *effect*, which is shown with its 95 % interval
and gated; a *test*, with the statistic as people know it and a p-value; and the value that the literal *rule*
(``PSI > 0.2``, ``p < 0.05``) compares. Cells on the first axis, shape ``(cells,)`` or ``(cells, series)``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from types import MappingProxyType
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from detectors.samples import distances, effects, transport, two_sample
from detectors.samples.effects import Counts, Floats, Interval, Number
from detectors.samples.transport import knots
from detectors.samples.two_sample import Answer

__all__ = ["METHODS", "Method", "knots"]

Mask = NDArray[np.bool_]
Rule = Literal["effect", "p"]


class _Sides(NamedTuple):
    """Two sets of counts, (cells, series), 0 outside `where`."""

    reference: Counts
    current: Counts
    phi: Number
    where: Mask | None
    knots: Floats


@dataclass(frozen=True, slots=True)
class Method:
    """One way to compare two samples, by the name people know.

    Examples
    --------
    >>> before, now = np.array([2500, 2500, 2500, 2500]), np.array([150, 200, 300, 350])
    >>> [round(float(x), 2) for x in METHODS["js"].measure(before, now)]
    [0.13, 0.1, 0.16]
    >>> METHODS["ks"].rule_value(before, now) < 0.05, METHODS["ks"].rule_value(before, now, by="effect") > 0.1
    (np.True_, np.True_)
    """

    name: str  # in lifecycles, results and metrics
    label: str  # as people write it
    effect: str  # what it shows and gates; the name of `Effect`
    compares: tuple[str, ...]  # "number", "category"; booleans are categories
    threshold: (
        float  # the effect that counts as drifting if nothing else is said; twice it is severe
    )
    level: float | None  # the p-value's, where people know the method by its p-value
    most: float  # the largest value the effect can have
    signed: bool  # whether the effect has a direction
    sees: str
    blind_to: str
    cost: str
    source: str
    least_rows: int  # current rows below which neither interval nor p-value is to be trusted
    _effect: Callable[[_Sides], Interval]
    _test: Callable[[_Sides], Answer]

    def measure(
        self,
        reference: Counts,
        current: Counts,
        phi: Number = 1.0,
        where: Mask | None = None,
        knots: Floats | None = None,
    ) -> Interval:
        """The effect and its 95 % interval; shape (series,) or ().

        A side without rows shows nothing: 0, with an interval without ends.

        Parameters
        ----------
        reference, current : counts, (cells,) or (cells, series)
        phi : over-dispersion, one number or (series,)
        where : which cells belong to the comparison; all if None
        knots : what `knots` says about the series; cells are taken for 0, 1, 2 … if None
        """
        found = self._effect(_sides(reference, current, phi, where, knots))
        empty = _empty(reference, current, where)
        shape = empty.shape
        return Interval(
            np.where(empty, 0.0, found.value.reshape(shape)),
            np.where(empty, -inf, found.low.reshape(shape)),
            np.where(empty, inf, found.high.reshape(shape)),
        )

    def test(
        self,
        reference: Counts,
        current: Counts,
        phi: Number = 1.0,
        where: Mask | None = None,
        knots: Floats | None = None,
    ) -> Answer:
        """The statistic as the method's name promises it, nothing taken off, and its p-value; 0 and 1 without rows.

        Parameters as in `measure`.
        """
        found = self._test(_sides(reference, current, phi, where, knots))
        empty = _empty(reference, current, where)
        shape = empty.shape
        return Answer(
            np.where(empty, 0.0, found.statistic.reshape(shape)),
            np.where(empty, 1.0, found.p_value.reshape(shape)),
        )

    def rule_value(
        self,
        reference: Counts,
        current: Counts,
        phi: Number = 1.0,
        where: Mask | None = None,
        knots: Floats | None = None,
        by: Rule | None = None,
    ) -> Floats:
        """What a written rule compares: the p-value, or the size of the statistic in the effect's unit, sign dropped.

        Parameters
        ----------
        by : "p" or "effect"; None: "p" where the method is known by its p-value
        others : as in `measure`
        """
        found = self.test(reference, current, phi, where, knots)
        if by == "p" or (by is None and self.level is not None):
            return found.p_value
        if self.name == "chi2":  # known by its p-value; its size is that of Cramér's V
            found = METHODS["cramers_v"].test(reference, current, phi, where, knots)
        return np.abs(found.statistic)


def _empty(reference: Counts, current: Counts, where: Mask | None) -> Mask:
    inside = True if where is None else where
    rows = ((side * inside).sum(0) for side in (reference, current))
    return np.asarray(np.minimum(*rows) == 0)


def _sides(
    reference: Counts, current: Counts, phi: Number, where: Mask | None, knots: Floats | None
) -> _Sides:
    cells = len(reference)
    tall = (cells, -1)
    r, c = (np.asarray(side, np.float64).reshape(tall) for side in (reference, current))
    if where is not None:
        inside = where.reshape(tall)
        r, c = np.where(inside, r, 0.0), np.where(inside, c, 0.0)
    at = _plain(cells) if knots is None else knots.reshape((len(knots), -1))
    if len(at) < 2 * cells:  # cells beyond the values, such as `odd`
        at = np.concatenate([at, np.repeat(at[-1:], 2 * cells - len(at), axis=0)])
    return _Sides(r, c, phi, None if where is None else where.reshape(tall), at[: 2 * cells])


def _plain(cells: int) -> Floats:
    return np.repeat(np.arange(float(cells)), 2)[:, None]


def _largest_change(sides: _Sides) -> tuple[NDArray[np.int64], Floats]:
    """Which cell's share changed most, the last of equals, and how many comparisons that choice was among."""
    (p, _), (q, _) = effects.shares(sides.reference), effects.shares(sides.current)
    gap = np.abs(q - p)
    leading = gap >= gap.max(0) * (
        1 - 1e-9
    )  # two shares that add up to 1 change alike but for rounding
    at = len(gap) - 1 - leading[::-1].argmax(0)
    occupied = (sides.reference + sides.current > 0).sum(0)
    return at, np.where(occupied > 2, occupied, 1.0)


def _pick(sides: _Sides, at: NDArray[np.int64]) -> tuple[Floats, Floats, Floats, Floats]:
    a, k = (np.take_along_axis(side, at[None], 0)[0] for side in (sides.reference, sides.current))
    return np.asarray(a), sides.reference.sum(0), np.asarray(k), sides.current.sum(0)


def _share_changed(sides: _Sides) -> Interval:
    at, among = _largest_change(sides)
    z = -special.ndtri(0.025 / among)
    return effects.difference(*_pick(sides, at), sides.phi, np.asarray(z))


def _proportions(sides: _Sides) -> Answer:
    at, among = _largest_change(sides)
    a, m, k, n = _pick(sides, at)
    p_value = two_sample.two_proportions(a, m, k, n, sides.phi).p_value
    return Answer(k / np.maximum(n, 1) - a / np.maximum(m, 1), np.minimum(p_value * among, 1.0))


def _on_counts(
    of: Callable[[Counts, Counts, Number], Interval],
) -> Callable[[_Sides], Interval]:
    return lambda s: of(s.reference, s.current, s.phi)


def _tested(of: Callable[[Counts, Counts, Number], Answer]) -> Callable[[_Sides], Answer]:
    return lambda s: of(s.reference, s.current, s.phi)


_BOTH = ("number", "category")
_CELLS = "O(cells)"
_CHI = "Pearson 1911; Cochran 1954"
_TABLE = (
    Method(
        name="psi",
        label="PSI",
        effect="psi",
        compares=_BOTH,
        threshold=0.2,
        level=None,
        most=inf,
        signed=False,
        sees="any change that moves rows between cells, most of all in rare cells",
        blind_to="movement inside a cell; the order of cells",
        cost=_CELLS,
        source="Yurdakul 2018",
        least_rows=200,
        _effect=lambda s: effects.psi(s.reference, s.current, s.phi, s.where),
        _test=lambda s: two_sample.psi(s.reference, s.current, s.phi, s.where),
    ),
    Method(
        name="ks",
        label="KS-test",
        effect="ks_statistic",
        compares=("number",),
        threshold=0.1,
        level=0.05,
        most=1.0,
        signed=False,
        sees="a shift",
        blind_to="a change of spread or of tails, unless large; movement inside a cell",
        cost=_CELLS,
        source="Kolmogorov 1933; Smirnov 1939",
        least_rows=200,
        _effect=_on_counts(distances.kolmogorov_smirnov),
        _test=_tested(two_sample.kolmogorov_smirnov),
    ),
    Method(
        name="chi2",
        label="Chi-Square",
        effect="cramers_v",
        compares=("category",),
        threshold=0.05,  # of V, which is small where the reference is much larger than a window
        level=0.05,
        most=1.0,
        signed=False,
        sees="any change of shares",
        blind_to="the order of cells; how far rows went",
        cost=_CELLS,
        source=_CHI,
        least_rows=200,
        _effect=_on_counts(distances.cramers_v),
        _test=_tested(two_sample.chi_square),
    ),
    Method(
        name="js",
        label="Jensen-Shannon",
        effect="js",
        compares=_BOTH,
        threshold=0.1,
        level=None,
        most=1.0,
        signed=False,
        sees="any change that moves rows between cells",
        blind_to="movement inside a cell; the order of cells",
        cost=_CELLS,
        source="Lin 1991; Endres, Schindelin 2003",
        least_rows=200,
        _effect=_on_counts(distances.jensen_shannon),
        _test=_tested(two_sample.jensen_shannon),
    ),
    Method(
        name="wasserstein",
        label="Wasserstein",
        effect="wasserstein",
        compares=("number",),
        threshold=0.1,
        level=None,
        most=inf,
        signed=False,
        sees="a shift, a change of spread, and how far rows went",
        blind_to="what happens beyond the reference's .1 % and 99.9 % quantiles or inside a cell",
        cost=_CELLS,
        source="Vallender 1974",
        least_rows=1000,
        _effect=lambda s: transport.wasserstein(s.reference, s.current, s.phi, knots=s.knots),
        _test=lambda s: two_sample.wasserstein(s.reference, s.current, s.phi, knots=s.knots),
    ),
    Method(
        name="tv",
        label="Total variation",
        effect="tv",
        compares=_BOTH,
        threshold=0.1,
        level=None,
        most=1.0,
        signed=False,
        sees="the share of rows that changed their cell",
        blind_to="how far they went; movement inside a cell",
        cost=_CELLS,
        source="Levin, Peres 2017; p-value: chi-square's",
        least_rows=200,
        _effect=_on_counts(effects.total_variation),
        _test=_tested(two_sample.total_variation),
    ),
    Method(
        name="hellinger",
        label="Hellinger",
        effect="hellinger",
        compares=_BOTH,
        threshold=0.1,
        level=None,
        most=1.0,
        signed=False,
        sees="any change that moves rows between cells",
        blind_to="movement inside a cell; the order of cells",
        cost=_CELLS,
        source="Hellinger 1909; Pardo 2006",
        least_rows=200,
        _effect=_on_counts(distances.hellinger),
        _test=_tested(two_sample.hellinger),
    ),
    Method(
        name="auc_shift",
        label="AUC shift",
        effect="auc_shift",
        compares=("number",),
        threshold=0.07,
        level=None,
        most=0.5,
        signed=True,
        sees="a shift, even a small one",
        blind_to="a symmetric change of spread, exactly",
        cost=_CELLS,
        source="DeLong, DeLong, Clarke-Pearson 1988",
        least_rows=200,
        _effect=_on_counts(effects.location),
        _test=_tested(two_sample.auc_shift),
    ),
    Method(
        name="two_proportion",
        label="Two proportions",
        effect="difference",
        compares=("category",),
        threshold=0.05,
        level=0.05,
        most=1.0,
        signed=True,
        sees="the share that changed most; its p-value pays for the choice",
        blind_to="many small changes at once",
        cost="O(cells); O(rows with the property) where the exact test is due",
        source="Newcombe 1998; Fisher 1935",
        least_rows=1,
        _effect=_share_changed,
        _test=_proportions,
    ),
    Method(
        name="cramers_v",
        label="Cramér's V",
        effect="cramers_v",
        compares=("category",),
        threshold=0.2,
        level=None,
        most=1.0,
        signed=False,
        sees="any change of shares",
        blind_to="the order of cells; small where the reference is much larger than a window",
        cost=_CELLS,
        source="Bergsma 2013",
        least_rows=200,
        _effect=_on_counts(distances.cramers_v),
        _test=_tested(two_sample.cramers_v),
    ),
    Method(
        name="mean_shift",
        label="Mean shift",
        effect="mean_shift",
        compares=("number",),
        threshold=0.25,
        level=None,
        most=inf,
        signed=True,
        sees="a shift of the mean, in reference standard deviations",
        blind_to="a change of spread; what happens beyond the reference's .1 % and 99.9 % quantiles",
        cost=_CELLS,
        source="the normal test of two means on cells",
        least_rows=200,
        _effect=lambda s: transport.mean_shift(s.reference, s.current, s.phi, knots=s.knots),
        _test=lambda s: two_sample.mean_shift(s.reference, s.current, s.phi, knots=s.knots),
    ),
)

METHODS: Mapping[str, Method] = MappingProxyType({method.name: method for method in _TABLE})
