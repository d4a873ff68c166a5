"""Which scores a series has."""

import numpy as np
import pytest

from detectors.alarm.scores import every_score, scores
from tests.detectors import cases


def names(levels: int, counts: list[int], rows: float) -> list[str]:
    found = scores(cases.category("c", levels), np.array([*counts, 0, 0]), rows)
    return [s.name + (" rare" if s.rare else "") for s in found][:-2]


def test_a_number_has_location_and_spread_among_the_rows_that_have_a_value() -> None:
    location, spread, odd, missing = scores(
        cases.number("x"), np.array([100] * 10 + [5, 50]), rows=1000
    )
    assert location.values[:10] == pytest.approx((np.arange(10) + 0.5) / 10)
    assert spread.values[[0, 9]] == pytest.approx([0.9, 0.9])
    assert not location.live[10:].any()
    assert odd.live.all()
    assert not location.rare
    assert not missing.rare  # 45 of 1,000 rows are expected to miss it


def test_a_nearly_constant_number_has_one_rare_indicator_instead() -> None:
    found = scores(cases.number("x"), np.array([9990, *[0] * 8, 10, 0, 0]), rows=1000)
    assert [(s.kind, s.rare) for s in found] == [
        ("unusual", True),
        ("odd", True),
        ("missing", True),
    ]
    assert found[0].values.tolist() == [0.0, *[1.0] * 9, 0.0, 0.0]


def test_categories_that_five_rows_are_expected_of_have_their_own_indicator() -> None:
    assert names(4, [5000, 4900, 50, 50], rows=1000) == [
        "category:1",
        "category:2",
        "category:3",
        "category:4",
    ]
    assert names(4, [5000, 4900, 60, 40], rows=1000)[-1] == "rest rare"


def test_two_categories_need_the_indicator_of_the_rarer_only() -> None:
    assert names(2, [9000, 1000], rows=1000) == ["category:2"]
    assert names(2, [1000, 9000], rows=1000) == ["category:1"]


def test_a_constant_category_is_watched_by_unseen_values_alone() -> None:
    assert names(1, [10_000], rows=1000) == []


def test_a_category_that_holds_nearly_all_rows_is_watched_through_the_others() -> None:
    assert names(3, [9990, 6, 4], rows=1000) == ["rest rare"]


def test_categories_that_are_all_rare_are_watched_in_groups_of_five_rows() -> None:
    found = names(100, [100] * 100, rows=200)
    assert found[0] == "category:1+2+3"
    assert len(found) == 33


def test_every_score_includes_those_of_longer_windows() -> None:
    counts = np.array([5000, 4990, 10, 0, 0])
    found = every_score(cases.category("c", 3), counts, rows=1000)
    assert set(found) == {"category:1", "category:2", "category:3", "rest", "odd", "missing"}
