"""Are norm and distance right for any numbers, and is the reference measured like new vectors?"""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.reference.derived import Raw, Vector, derive
from detectors.reference.vectors import learn, measured

FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(st.tuples(FINITE, FINITE), min_size=1, max_size=20))
def test_norm_and_distance_are_finite_whatever_the_numbers_are(
    pairs: list[tuple[float, float]],
) -> None:
    vector, centre = [a for a, _ in pairs], [b for _, b in pairs]
    norm, distance = measured(vector, centre)
    assert 0 <= norm < math.inf
    assert 0 <= distance < math.inf
    assert norm >= max(map(abs, vector))


@given(st.lists(st.lists(st.floats(-1e150, 1e150), min_size=3, max_size=3), min_size=2, max_size=8))
def test_each_vector_is_measured_from_the_centre_of_the_others(vectors: list[list[float]]) -> None:
    _, measures = learn(vectors)
    for i, vector in enumerate(vectors):
        others = np.delete(np.array(vectors), i, axis=0).mean(0)
        scale = np.abs(vectors).max()
        assert measures[1, i] == pytest.approx(
            math.dist(vector, others),
            rel=1e-9,
            abs=1e-9 * scale + 1e-300,  # subnormal numbers have no nine digits
        )


def test_new_vectors_are_not_farther_away_than_the_reference_says() -> None:
    random = np.random.default_rng(4)
    centre, measures = learn(random.normal(size=(500, 200)).tolist())
    new = [measured(v, centre)[1] for v in random.normal(size=(500, 200)).tolist()]
    error = np.hypot(np.std(new), measures[1].std()) / math.sqrt(500)
    assert abs(np.mean(new) - measures[1].mean()) < 3 * error
    assert np.mean(new) - measures[1].mean() * 499 / 500 > 0


def test_the_length_that_most_vectors_have_is_the_right_one() -> None:
    rows: list[Any] = [[1.0, 2.0]] * 5 + [[1.0]] * 2 + [None, []]
    found = derive([Raw("feature:v", "vector", rows, np.zeros(9, bool))], np.arange(9))
    (one,) = found.derivations
    assert isinstance(one, Vector)
    assert one.centre == (1.0, 2.0)
    assert found.columns[0].odd.tolist() == [False] * 5 + [True, True, False, True]
    assert np.isnan(np.asarray(found.columns[0].values, np.float64)[7])
    assert found.warnings == (
        "feature:v: 2 vectors do not have 2 numbers, as most do: they are invalid",
    )


def test_a_feature_without_a_single_vector_is_left_out() -> None:
    found = derive([Raw("feature:v", "vector", [None, []], np.zeros(2, bool))], np.arange(2))
    assert found.columns == ()
    assert found.warnings == ("feature:v: no vector in any row: it is left out",)
