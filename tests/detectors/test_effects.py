"""Effects: population values, published intervals, and that they hold for one series as for many."""

import numpy as np
import pytest

from detectors.samples import effects, two_sample
from detectors.samples.effects import Floats
from tests.detectors import cases

LARGE = 10**9  # rows of a "population": what sampling adds is below the digits compared

POPULATION = [  # mean, variance, PSI, TV, location, spread
    (0.1, 1.0, 0.009587, 0.039828, 0.027753, 0.001479),
    (0.25, 1.0, 0.059816, 0.098706, 0.069043, 0.009154),
    (0.5, 1.0, 0.237749, 0.197412, 0.135698, 0.035390),
    (0.0, 1.5, 0.053101, 0.095384, 0.0, 0.058400),
]


@pytest.mark.parametrize(("mean", "variance", "psi", "tv", "location", "spread"), POPULATION)
def test_effects_of_a_normal_feature_are_those_of_the_population(
    mean: float, variance: float, psi: float, tv: float, location: float, spread: float
) -> None:
    reference = np.full(10, LARGE / 10)
    current = cases.normal(mean, variance**0.5) * LARGE
    assert effects.psi(reference, current).value == pytest.approx(psi, abs=6e-7)
    assert two_sample.total_variation(reference, current).statistic == pytest.approx(tv, abs=6e-7)
    assert effects.location(reference, current).value == pytest.approx(location, abs=6e-7)
    assert effects.spread(reference, current).value == pytest.approx(spread, abs=6e-7)


@pytest.mark.parametrize(
    ("before", "after", "psi", "tv"),
    [
        ((0.9, 0.1), (0.87, 0.13), 0.008888, 0.03),
        ((0.9, 0.1), (0.85, 0.15), 0.023131, 0.05),
        ((0.1,) * 10, (0.15, 0.05, *(0.1,) * 8), 0.054931, 0.05),
    ],
)
def test_effects_of_categories_are_those_of_the_population(
    before: tuple[float, ...], after: tuple[float, ...], psi: float, tv: float
) -> None:
    reference, current = np.array(before) * LARGE, np.array(after) * LARGE
    assert effects.psi(reference, current).value == pytest.approx(psi, abs=6e-7)
    assert two_sample.total_variation(reference, current).statistic == pytest.approx(tv, abs=6e-7)


@pytest.mark.parametrize(  # Newcombe 1998, table II, method 10: a/m - b/n
    ("a", "m", "b", "n", "low", "high"),
    [
        (56, 70, 48, 80, 0.0524, 0.3339),
        (9, 10, 3, 10, 0.1705, 0.8090),
        (6, 7, 2, 7, 0.0582, 0.8062),
        (5, 56, 0, 29, -0.0381, 0.1926),
        (0, 10, 0, 20, -0.1611, 0.2775),
        (0, 10, 0, 10, -0.2775, 0.2775),
        (10, 10, 0, 20, 0.6791, 1.0),
        (10, 10, 0, 10, 0.6075, 1.0),
    ],
)
def test_newcombes_interval_is_the_published_one(
    a: int, m: int, b: int, n: int, low: float, high: float
) -> None:
    found = effects.difference(b, n, a, m)
    assert (float(found.low), float(found.high)) == pytest.approx((low, high), abs=6e-5)


def test_wilsons_interval_holds_where_nothing_was_seen() -> None:
    low, high = effects.wilson(0.0, 15)
    assert (float(low), float(high)) == pytest.approx((0.0, 0.2039), abs=5e-5)


@pytest.mark.parametrize("series", [1, 2, 3, 8, 50, 300])
@pytest.mark.parametrize("cells", [1, 2, 10, 52, 200])
def test_a_total_adds_the_cells_in_their_order_however_they_lie_in_memory(
    cells: int, series: int
) -> None:
    terms = np.random.default_rng(cells).normal(size=(cells, series))
    wanted = np.zeros(series)
    for row in terms:
        wanted = wanted + row
    for laid in (terms, np.asfortranarray(terms), np.repeat(terms, 2, axis=1)[:, ::2]):
        assert effects.total(laid).tolist() == wanted.tolist()
    assert float(effects.total(terms[:, 0].copy())) == wanted[0]


def test_many_series_at_once_give_what_each_gives_alone() -> None:
    g = np.random.default_rng(3)
    reference, current = (
        g.multinomial(rows, [0.3, 0.25, 0.2, 0.15, 0.1], size=4).T for rows in (5000, 400)
    )
    wide = [np.vstack([a, np.zeros((3, 4), int)]) for a in (reference, current)]  # padded
    where = np.arange(8)[:, None] < np.full(4, 5)
    together = [
        effects.location(*wide),
        effects.spread(*wide),
        effects.psi(wide[0], wide[1], where=where),
        effects.total_variation(*wide),
    ]
    for k in range(4):
        pair = reference[:, k], current[:, k]
        alone = [
            effects.location(*pair),
            effects.spread(*pair),
            effects.psi(*pair),
            effects.total_variation(*pair),
        ]
        for one, all_of_them in zip(alone, together, strict=True):
            assert [float(v) for v in one] == pytest.approx([float(v[k]) for v in all_of_them])


@pytest.mark.parametrize("phi", [4.0])
def test_over_dispersion_widens_an_interval_and_does_not_move_it(phi: float) -> None:
    reference, current = np.array([400, 300, 300]), np.array([60, 30, 10])
    for of in (effects.location, effects.spread):
        plain, wide = of(reference, current), of(reference, current, phi)
        assert wide.value == plain.value
        assert wide.high - wide.low == pytest.approx(2 * (plain.high - plain.low))
    share, wide_share = (effects.difference(300, 1000, 20, 100, f) for f in (1.0, phi))
    assert wide_share.value == share.value
    assert wide_share.high - wide_share.low > share.high - share.low


def test_without_rows_effects_are_finite() -> None:
    none, some = np.zeros(3, int), np.array([10, 20, 30])
    for found in (
        effects.location(some, none),
        effects.spread(some, none),
        effects.psi(some, none),
        effects.total_variation(some, none),
        effects.difference(5, 60, 0, 0),
    ):
        assert all(np.isfinite(part) for part in found)


def _inside(found: effects.Interval, truth: float) -> Floats:
    return np.asarray((found.low <= truth) & (truth <= found.high))


@pytest.mark.rate
@pytest.mark.parametrize("n", [200, 1000])
def test_intervals_of_location_spread_and_difference_cover_the_truth(n: int) -> None:
    g = np.random.default_rng(n)
    shares = cases.normal(0.25)
    reference = g.multinomial(10_000, [0.1] * 10, size=2000).T
    current = g.multinomial(n, shares, size=2000).T
    u = (np.arange(10) + 0.5) / 10
    location, spread = (float((shares * f).sum()) - 0.5 for f in (u, np.abs(2 * u - 1)))
    first = effects.difference(reference[0], 10_000, current[0], n)
    assert _inside(effects.location(reference, current), location).mean() > 0.935
    assert _inside(effects.spread(reference, current), spread).mean() > 0.935
    assert _inside(first, shares[0] - 0.1).mean() > 0.935


@pytest.mark.rate
@pytest.mark.parametrize("m", [1000, 10_000])
@pytest.mark.parametrize(
    ("p", "q"), [((0.9, 0.1), (0.87, 0.13)), ((0.5, 0.3, 0.2), (0.45, 0.3, 0.25))]
)
def test_bounds_of_psi_and_tv_hold_where_cells_are_few(
    p: tuple[float, ...], q: tuple[float, ...], m: int
) -> None:
    g = np.random.default_rng(m)
    reference, current = (g.multinomial(r, x, size=4000).T for r, x in ((m, p), (1000, q)))
    before, after = np.array(p), np.array(q)
    index = float(((after - before) * np.log(after / before)).sum())
    psi, tv = effects.psi(reference, current), effects.total_variation(reference, current)
    assert (psi.low > index).mean() < 0.03
    assert (psi.high < index).mean() < 0.035
    assert (tv.low > 0.5 * np.abs(after - before).sum()).mean() < 0.01
    assert (tv.high < 0.5 * np.abs(after - before).sum()).mean() < 0.11


@pytest.mark.rate
def test_bounds_of_psi_and_tv_err_as_rarely_as_published() -> None:
    g = np.random.default_rng(11)
    shares = cases.normal(0.25)
    reference = g.multinomial(10_000, [0.1] * 10, size=4000).T
    current = g.multinomial(1000, shares, size=4000).T
    psi, tv = effects.psi(reference, current), effects.total_variation(reference, current)
    assert (psi.low > 0.059816).mean() < 0.021 + 0.01
    assert (psi.high < 0.059816).mean() < 0.044 + 0.01
    assert (tv.low > 0.098706).mean() < 0.003 + 0.003
    assert (tv.high < 0.098706).mean() < 0.03
