"""Distances: population values to the published digits, agreement with scipy, and how often their intervals cover."""

from collections.abc import Callable
from itertools import pairwise
from math import inf, nan, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import spatial, stats

from detectors.binning import Column
from detectors.edges import cut
from detectors.samples import distances, transport, two_sample
from detectors.samples.effects import Counts, Floats, Interval
from detectors.samples.transport import knots
from detectors.series import Series
from tests.detectors import cases

LARGE = 10**9  # rows of a "population"
TENTH = 3.090232306167813  # the normal distribution's 99.9 % point
X = Series("feature:x", "number", edges=cases.DECILES, ends=(-TENTH, TENTH))
VIGINTILES = tuple(stats.norm.ppf(i / 20) for i in range(1, 20))
FINE = Series("feature:x", "number", edges=VIGINTILES, ends=(-TENTH, TENTH))


def even(shares: Floats) -> Floats:
    return np.full(len(shares), LARGE / len(shares))


@pytest.mark.parametrize(
    ("mean", "variance", "js", "gap"),
    [
        (0.1, 1.0, 0.041561, 0.039828),
        (0.25, 1.0, 0.103555, 0.098706),
        (0.5, 1.0, 0.204684, 0.197412),
        (0.0, 1.5, 0.097622, 0.047692),
    ],
)
def test_distances_of_a_normal_feature_are_those_of_the_population(
    mean: float, variance: float, js: float, gap: float
) -> None:
    current = cases.normal(mean, variance**0.5) * LARGE
    sides = even(current), current
    assert distances.jensen_shannon(*sides).value == pytest.approx(js, abs=6e-7)
    assert distances.kolmogorov_smirnov(*sides).value == pytest.approx(gap, abs=6e-7)
    assert distances.hellinger(*sides).value == pytest.approx(
        sqrt(1 - float(np.sqrt(cases.normal(mean, variance**0.5) / 10).sum())), abs=6e-7
    )


@pytest.mark.parametrize(
    ("before", "after", "js"),
    [
        ((0.9, 0.1), (0.87, 0.13), 0.039985),
        ((0.9, 0.1), (0.85, 0.15), 0.064393),
        ((0.1,) * 10, (0.15, 0.05, *(0.1,) * 8), 0.098788),
    ],
)
def test_distances_of_categories_are_those_of_the_population(
    before: tuple[float, ...], after: tuple[float, ...], js: float
) -> None:
    found = distances.jensen_shannon(np.array(before) * LARGE, np.array(after) * LARGE)
    assert found.value == pytest.approx(js, abs=6e-7)


@pytest.mark.parametrize(
    ("series", "mean", "wanted"), [(X, 0.1, 0.111), (FINE, 0.1, 0.105), (X, 2.0, 1.83)]
)
def test_a_shift_reads_in_wasserstein_and_mean_what_was_published(
    series: Series, mean: float, wanted: float
) -> None:
    edges = np.array([-inf, *series.edges, inf])
    reference, current = (np.diff(stats.norm.cdf(edges, m)) * LARGE for m in (0.0, mean))
    at = knots([series])[:, 0]
    assert transport.wasserstein(reference, current, knots=at).value == pytest.approx(
        wanted, abs=7e-3 if mean == 2 else 6e-4
    )
    assert transport.mean_shift(reference, current, knots=at).value == pytest.approx(
        wanted, abs=7e-3 if mean == 2 else 6e-4
    )


SIDES = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 60)), min_size=2, max_size=12)


@settings(max_examples=80)
@given(SIDES, st.integers(0, 2**32 - 1))
def test_distances_agree_with_scipy(cells: list[tuple[int, int]], seed: int) -> None:
    reference, current = np.array(cells).T + np.array([[1], [0]])
    current[0] += 1
    p, q = reference / reference.sum(), current / current.sum()
    found = two_sample.jensen_shannon(reference, current)
    assert found.statistic == pytest.approx(spatial.distance.jensenshannon(p, q, 2), abs=1e-9)
    root = spatial.distance.euclidean(np.sqrt(p), np.sqrt(q)) / sqrt(2)
    assert two_sample.hellinger(reference, current).statistic == pytest.approx(root, abs=1e-9)
    points = np.sort(np.random.default_rng(seed).normal(size=len(p)))
    at = knots([Series("feature:x", "integer", support=tuple(points))])[:, 0]
    moved = transport.earth_moved(reference, current, knots=at)
    assert moved == pytest.approx(stats.wasserstein_distance(points, points, p, q), abs=1e-9)


@settings(max_examples=60)
@given(SIDES)
def test_linear_cells_agree_with_many_points_in_each(cells: list[tuple[int, int]]) -> None:
    reference, current = np.array(cells).T + 1
    edges = np.linspace(0, 3, len(cells) + 1) ** 2
    at = np.repeat(edges, 2)[1:-1]
    fine = 400
    points = np.concatenate(
        [a + (b - a) * (np.arange(fine) + 0.5) / fine for a, b in pairwise(edges)]
    )
    p, q = (np.repeat(side / side.sum() / fine, fine) for side in (reference, current))
    moved = transport.earth_moved(reference, current, knots=at)
    assert moved == pytest.approx(stats.wasserstein_distance(points, points, p, q), abs=2e-2 / fine)


def test_the_gap_is_scipys_on_the_cells() -> None:
    g = np.random.default_rng(2)
    reference, current = g.integers(0, 10, 900), g.integers(1, 10, 300)
    counts = [np.bincount(x, minlength=10) for x in (reference, current)]
    answer = two_sample.kolmogorov_smirnov(counts[0], counts[1])
    theirs = stats.ks_2samp(reference, current, method="asymp")
    assert answer.statistic == pytest.approx(theirs.statistic, abs=1e-12)
    limit = stats.kstwobign.sf(theirs.statistic * sqrt(900 * 300 / 1200))
    assert answer.p_value == pytest.approx(limit, abs=1e-9)


def test_cramers_v_is_bergsmas() -> None:
    table = np.array([[40, 30, 20, 10], [15, 25, 35, 25]])
    n, r, k = table.sum(), 4, 2
    square = stats.chi2_contingency(table, correction=False).statistic / n
    wide, low = r - (r - 1) ** 2 / (n - 1), k - (k - 1) ** 2 / (n - 1)
    wanted = sqrt(max(0, square - (r - 1) * (k - 1) / (n - 1)) / (min(wide, low) - 1))
    assert distances.cramers_v(*table).value == pytest.approx(wanted, abs=1e-12)


def test_cramers_v_stays_small_where_the_reference_is_large_and_its_balanced_form_does_not() -> (
    None
):
    shifted = cases.normal(0.5)
    small, large = (
        of(even(shifted) / LARGE * 10_000, shifted * rows).value
        for of, rows in ((distances.cramers_v, 1000), (distances.balanced_v, 1000))
    )
    assert small < 0.2 < large


SET_UPS = {
    "no drift": (cases.normal(), cases.normal(), X),
    "shift": (cases.normal(), cases.normal(0.25), X),
    "spread": (cases.normal(), cases.normal(0, sqrt(1.5)), X),
    "two cells": (
        np.array([0.9, 0.1]),
        np.array([0.87, 0.13]),
        Series("feature:n", "integer", support=(0.0, 1.0)),
    ),
}
INTERVALS: dict[str, Callable[[Counts, Counts, Floats], Interval]] = {
    "ks": lambda r, c, k: distances.kolmogorov_smirnov(r, c),
    "js": lambda r, c, k: distances.jensen_shannon(r, c),
    "hellinger": lambda r, c, k: distances.hellinger(r, c),
    "cramers_v": lambda r, c, k: distances.cramers_v(r, c),
    "balanced_v": lambda r, c, k: distances.balanced_v(r, c),
    "wasserstein": lambda r, c, k: transport.wasserstein(r, c, knots=k),
    "mean_shift": lambda r, c, k: transport.mean_shift(r, c, knots=k),
}


@pytest.mark.parametrize("name", INTERVALS)
@pytest.mark.parametrize("of", SET_UPS.values(), ids=SET_UPS)
def test_intervals_cover_the_truth(name: str, of: tuple[Floats, Floats, Series]) -> None:
    p, q, series = of
    at, interval = knots([series]), INTERVALS[name]
    for m, n in ((10_000, 1000), (1000, 1000)):
        g = np.random.default_rng([m, n])
        r, c = g.multinomial(m, p, size=2000).T, g.multinomial(n, q, size=2000).T
        scale = 10**8 / m  # so many rows that nothing is left to chance, in the same proportion
        truth = float(interval((p * m * scale)[:, None], (q * n * scale)[:, None], at).value[0])
        found = interval(r, c, at)
        assert (found.low > truth + 1e-4).mean() < 0.04
        assert ((found.low <= truth + 1e-4) & (truth - 1e-4 <= found.high)).mean() > 0.935


def test_the_chance_part_of_wasserstein_is_that_of_a_simulation() -> None:
    for p, at in (
        (cases.normal(), knots([X])),
        (np.array([0.6] + [0.08] * 5), np.repeat([-1e-9, 0, 1, 2, 3, 5, 12], 2)[1:-1, None]),
    ):
        g = np.random.default_rng(4)
        r, c = g.multinomial(10_000, p, size=20_000).T, g.multinomial(1000, p, size=20_000).T
        moved = transport.earth_moved(r, c, knots=at)
        t = np.asarray(p)[:, None]
        chance = transport.noise(t, t, 10_000, 1000, 1.0, at)
        assert (moved**2).mean() == pytest.approx(float(chance.square[0]), rel=0.05)
        assert (moved > chance.reach).mean() == pytest.approx(0.025, abs=0.004)
        p_value = two_sample.wasserstein(r, c, knots=at).p_value
        assert (p_value < 0.05).mean() == pytest.approx(0.05, abs=0.006)


@pytest.mark.rate
@pytest.mark.parametrize(
    ("n", "psi", "tail", "far", "ks"),
    [
        (100, 0.0866, 0.043, 0.0015, 0.0172),
        (200, 0.0449, 0.047, 0.0014, 0.0171),
        (1000, 0.0099, 0.049, 0.0012, 0.0178),
        (10_000, 0.0018, 0.050, 0.0012, 0.0170),
    ],
)
def test_rates_without_drift_are_those_published(
    n: int, psi: float, tail: float, far: float, ks: float
) -> None:
    g = np.random.default_rng(n)
    r, c = (g.multinomial(rows, [0.1] * 10, size=30_000).T for rows in (10_000, n))
    found = two_sample.psi(r, c)
    assert found.statistic.mean() == pytest.approx(psi, rel=0.02)
    assert (found.p_value < 0.05).mean() == pytest.approx(tail, abs=0.004)
    assert (found.p_value < 0.001).mean() == pytest.approx(far, abs=0.0007)
    gaps = two_sample.kolmogorov_smirnov(r, c).p_value
    assert (gaps < 0.05).mean() == pytest.approx(ks, abs=0.003)
    for of in (two_sample.jensen_shannon, two_sample.hellinger):
        rate = (of(r, c).p_value < 0.05).mean()
        assert rate == pytest.approx({100: 0.065, 200: 0.058}.get(n, 0.05), abs=0.006)


@pytest.mark.parametrize(("bins", "size"), [(20, 0.024), (50, 0.031)])
@pytest.mark.rate
def test_more_cells_make_the_binned_gap_less_conservative(bins: int, size: float) -> None:
    g = np.random.default_rng(bins)
    r, c = (g.multinomial(rows, [1 / bins] * bins, size=20_000).T for rows in (10_000, 1000))
    p_value = two_sample.kolmogorov_smirnov(r, c).p_value
    assert (p_value < 0.05).mean() == pytest.approx(size, abs=0.004)


# ------------------------------------------------------------------------------------ where cells lie


def test_open_cells_end_at_the_quantiles_of_the_reference() -> None:
    values = np.arange(1.0, 10_001.0) / 7
    found = cut(Column("feature:x", "number", values, np.zeros(10_000, bool)), 10).series
    assert found.ends == (10 / 7, 9990 / 7)
    at = knots([found])[:, 0]
    assert at[0] == pytest.approx((10 / 7 - found.centre) / found.scale)
    assert at[-1] == pytest.approx((9990 / 7 - found.centre) / found.scale)
    assert (np.diff(at) >= 0).all()


@pytest.mark.parametrize(
    "values",
    [
        [0.5] * 300,
        [7.0] * 300,
        [1e308, -1e308, 1e300] * 100,
        [0.0] * 299 + [1e308],
        [nan] * 300,
        [],
        [2.0],
        [5e-324] * 200,
        list(np.r_[np.zeros(600), np.arange(1, 401) / 10]),
        list(np.arange(5000.0)),
        [0.0, 1.0, 10.0] * 100,
    ],
    ids=lambda v: str(v[:3]),
)
def test_cells_of_any_series_lie_in_order_and_have_a_finite_place(values: list[float]) -> None:
    x = np.array(values, float)
    series = cut(Column("feature:x", "number", x, np.zeros(len(x), bool)), 10).series
    at = knots([series])
    assert at.shape == (2 * series.values, 1)
    assert np.isfinite(at).all()
    assert (np.diff(at[:, 0]) >= 0).all()
    full = np.zeros((series.values, 1))
    full[0], gone = 300, np.roll(full, 1)
    gone[-1] = 300
    for of in (transport.wasserstein, transport.mean_shift):
        assert np.isfinite(of(full, gone, knots=at)).all()


def test_a_constant_that_moves_has_moved_some_way() -> None:
    for value in (0.5, 7.0):
        x = np.full(300, value)
        series = cut(Column("feature:x", "number", x, np.zeros(300, bool)), 10).series
        at = knots([series])[:, 0]
        moved = transport.wasserstein(np.array([0, 9000, 0]), np.array([0, 500, 500]), knots=at)
        assert moved.low > 0.1


def test_references_without_ends_still_have_cells() -> None:
    at = knots([Series("feature:x", "number", edges=(18.0, 40.0), centre=29.0, scale=11.0)])
    assert at[:, 0].tolist() == [-2.0, -1.0, -1.0, 1.0, 1.0, 2.0]
