"""Lists of p-values: the procedures' definitions, and what they promise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from detectors.samples.lists import benjamini_yekutieli, holm

P_VALUES = st.lists(st.sampled_from([1e-300, 1e-6, 0.0005, 0.001, 0.004, 0.01, 0.03, 0.5, 1.0]))


def by_definition(p_values: list[float], alpha: float) -> list[bool]:
    """Holm, one hypothesis after another."""
    order, out = np.argsort(p_values, kind="stable"), [False] * len(p_values)
    for i, k in enumerate(order.tolist()):
        if p_values[k] > alpha / (len(p_values) - i):
            break
        out[k] = True
    return out


@given(P_VALUES, st.sampled_from([0.01, 0.05]))
def test_holm_rejects_what_its_definition_rejects(p_values: list[float], alpha: float) -> None:
    assert holm(np.array(p_values), alpha).tolist() == by_definition(p_values, alpha)


@given(P_VALUES)
def test_benjamini_yekutieli_agrees_with_scipy(p_values: list[float]) -> None:
    if p_values:
        wanted = stats.false_discovery_control(p_values, method="by") <= 0.01
        assert benjamini_yekutieli(np.array(p_values)).tolist() == wanted.tolist()


@given(P_VALUES, st.integers(0, 5))
def test_what_was_not_tested_takes_no_part(p_values: list[float], untested: int) -> None:
    both = np.array([*p_values, *[np.nan] * untested])
    for of in (holm, benjamini_yekutieli):
        found = of(both)
        assert found[: len(p_values)].tolist() == of(np.array(p_values)).tolist()
        assert not found[len(p_values) :].any()


@pytest.mark.rate
def test_lists_of_no_drift_are_almost_always_empty() -> None:
    g = np.random.default_rng(1)
    p_values = g.uniform(size=(2000, 50))
    for of in (holm, benjamini_yekutieli):
        assert np.mean([of(row, 0.05).any() for row in p_values]) < 0.06
