"""Raw samples: agreement with scipy where it computes the same."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from detectors.samples.raw import ks_sample


@settings(max_examples=100)
@given(
    st.integers(1, 70),
    st.integers(1, 70),
    st.sampled_from([0.0, 0.5, 4.0]),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_the_exact_test_agrees_with_scipy(
    m: int, n: int, shift: float, ties: bool, seed: int
) -> None:
    g = np.random.default_rng(seed)
    x, y = g.normal(size=m), g.normal(shift, 1, size=n)
    if ties:
        x, y = np.rint(2 * x), np.rint(2 * y)
    ours = ks_sample(x, y)
    with warnings.catch_warnings(record=True) as gave_up:  # as theirs does on some sizes
        warnings.simplefilter("always")
        theirs = stats.ks_2samp(x, y, method="exact")
    assert ours.statistic == pytest.approx(theirs.statistic, abs=1e-12)
    if not gave_up:
        assert ours.p_value == pytest.approx(theirs.pvalue, abs=1e-9)


@pytest.mark.parametrize(
    ("m", "n", "shift"), [(900, 1100, 0.05), (2000, 2000, 0.3), (20_000, 300, 0.1)]
)
def test_large_samples_agree_with_scipy(m: int, n: int, shift: float) -> None:
    g = np.random.default_rng(m)
    x, y = g.normal(size=m), g.normal(shift, 1, size=n)
    ours, theirs = ks_sample(x, y), stats.ks_2samp(x, y)
    assert ours.p_value == pytest.approx(theirs.pvalue, abs=1e-9)
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-9)


def test_samples_that_share_nothing_keep_a_p_value() -> None:
    far = ks_sample(np.arange(3000.0), np.arange(3000.0) + 1e6)
    assert (float(far.statistic), float(far.p_value)) == (1.0, 1e-300)
    assert ks_sample(np.array([-np.inf, 0.0]), np.array([np.inf])).p_value > 0.3


def test_an_empty_sample_says_nothing_and_nan_is_refused() -> None:
    assert tuple(map(float, ks_sample(np.array([]), np.array([1.0])))) == (0.0, 1.0)
    with pytest.raises(ValueError, match="NaN"):
        ks_sample(np.array([np.nan]), np.array([1.0]))
