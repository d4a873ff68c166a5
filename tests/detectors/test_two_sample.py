"""Tests of two samples: agreement with scipy, joined cells, and their rates when nothing changed."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from detectors.samples import two_sample
from detectors.samples.effects import Ints

SAMPLES = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 60)), min_size=2, max_size=12)


@settings(max_examples=60)
@given(SAMPLES)
def test_chi_square_agrees_with_scipy_where_no_cell_is_small(cells: list[tuple[int, int]]) -> None:
    table = np.array(cells).T + np.array([[60], [30]])
    ours, theirs = two_sample.chi_square(*table), stats.chi2_contingency(table, correction=False)
    assert float(ours.statistic) == pytest.approx(theirs.statistic, abs=1e-9)
    assert float(ours.p_value) == pytest.approx(theirs.pvalue, abs=1e-9)


@settings(max_examples=60)
@given(SAMPLES)
def test_joined_cells_keep_every_row_and_expect_five(cells: list[tuple[int, int]]) -> None:
    reference, current = (np.array(side, float)[:, None] for side in zip(*cells, strict=True))
    m, n = max(reference.sum(), 1e-9), max(current.sum(), 1e-9)
    share = min(m, n) / (m + n)
    joined = two_sample._joined(reference, current, (reference + current) * share)
    assert [side.sum() for side in joined] == pytest.approx([reference.sum(), current.sum()])
    expected = (joined[0] + joined[1]) * share
    assert len(expected[expected > 0]) <= 1 or expected[expected > 0].min() >= 5 - 1e-9


@pytest.mark.parametrize(
    ("reference", "current", "joined"),
    [
        ([900, 60, 20, 20], [90, 6, 2, 2], ([900, 60, 40], [90, 6, 4])),
        ([30, 30, 30], [3, 3, 3], ([90], [9])),
        ([40, 0, 400, 400], [4, 0, 40, 40], ([440, 400], [44, 40])),
    ],
)
def test_small_cells_are_joined_smallest_first(
    reference: list[int], current: list[int], joined: tuple[list[int], list[int]]
) -> None:
    ours = two_sample.chi_square(np.array(reference), np.array(current))
    wanted = two_sample.chi_square(*(np.array(side) for side in joined))
    assert ours.p_value == wanted.p_value


@settings(max_examples=80)
@given(st.integers(1, 3000), st.integers(1, 800), st.floats(0, 0.02), st.integers(0, 2**32 - 1))
def test_two_small_shares_agree_with_fishers_exact_test(
    m: int, n: int, share: float, seed: int
) -> None:
    g = np.random.default_rng(seed)
    a, k = int(g.binomial(m, share)), int(g.binomial(n, share))
    t = (a + k) / (m + n)
    if min(m, n) * t * (1 - t) < 10:
        for flip in (False, True):
            x, y = (m - a, n - k) if flip else (a, k)
            ours = two_sample.two_proportions(x, m, y, n).p_value
            theirs = stats.fisher_exact(np.array([[y, n - y], [x, m - x]])).pvalue
            assert float(ours) == pytest.approx(theirs, abs=1e-9)


def test_two_large_shares_agree_with_chi_square_without_correction() -> None:
    ours = two_sample.two_proportions(1000, 10_000, 130, 1000)
    theirs = stats.chi2_contingency([[130, 870], [1000, 9000]], correction=False)
    assert float(ours.statistic) ** 2 == pytest.approx(theirs.statistic, abs=1e-9)
    assert float(ours.p_value) == pytest.approx(theirs.pvalue, abs=1e-9)


def test_over_dispersed_shares_are_compared_with_fewer_rows() -> None:
    plain, wide = (two_sample.two_proportions(1000, 10_000, 130, 1000, f) for f in (1.0, 4.0))
    assert wide.p_value == pytest.approx(2 * stats.norm.sf(abs(float(plain.statistic)) / 2))
    assert two_sample.two_proportions(4, 1000, 8, 400, 2.0).p_value == pytest.approx(
        stats.fisher_exact(np.array([[4, 196], [2, 498]])).pvalue
    )


@pytest.mark.parametrize(
    "test",
    [two_sample.chi_square, two_sample.psi, two_sample.auc_shift, two_sample.total_variation],
)
def test_no_p_value_is_zero_or_undefined(
    test: Callable[[Ints, Ints], two_sample.Answer],
) -> None:
    far = test(np.array([10**6, 0, 10**6]), np.array([0, 10**6, 0]))
    assert 1e-300 <= float(far.p_value) <= 1 or float(far.statistic) == 0
    for current in (np.zeros(3, int), np.array([5, 0, 0])):
        found = test(np.array([500, 0, 0]), current)
        assert np.isfinite(found.statistic)
        assert float(found.p_value) == 1.0 or test is two_sample.auc_shift


def test_the_smallest_p_value_is_floored() -> None:
    found = two_sample.chi_square(np.array([10**6, 10**6]), np.array([10**6, 1]))
    assert float(found.p_value) == 1e-300


@pytest.mark.rate
@pytest.mark.parametrize(("n", "mean", "tail"), [(200, 0.0449, 0.047), (1000, 0.0099, 0.049)])
def test_rates_under_no_drift_are_those_published(n: int, mean: float, tail: float) -> None:
    g = np.random.default_rng(n)
    reference, current = (g.multinomial(r, [0.1] * 10, size=20_000).T for r in (10_000, n))
    psi, chi = two_sample.psi(reference, current), two_sample.chi_square(reference, current)
    assert psi.statistic.mean() == pytest.approx(mean, rel=0.02)
    assert (psi.p_value < 0.05).mean() == pytest.approx(tail, abs=0.006)
    assert (chi.p_value < 0.05).mean() == pytest.approx(0.05, abs=0.006)
    assert two_sample.total_variation(reference, current).statistic.mean() == pytest.approx(
        {200: 0.0855, 1000: 0.0397}[n], rel=0.02
    )
