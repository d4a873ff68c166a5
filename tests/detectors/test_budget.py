"""From the budget to the threshold, and the promise in words."""

from math import log

import pytest

from detectors.alarm import budget

DAY_MS, HOUR_MS = 86_400_000, 3_600_000


@pytest.mark.parametrize(
    ("count", "per", "window", "alarms", "wanted"),
    [
        (1, 90 * DAY_MS, HOUR_MS, 2, 4320.0),
        (1, 90 * DAY_MS, DAY_MS, 2, 1000.0),
        (0.5, 90 * DAY_MS, 60_000, 1, 259_200.0),
    ],
)
def test_a_budget_becomes_a_threshold(
    count: float, per: int, window: int, alarms: int, wanted: float
) -> None:
    assert budget.threshold(count, per, window, alarms) == wanted
    assert budget.log_threshold(count, per, window, alarms) == pytest.approx(log(wanted), abs=1e-6)


@pytest.mark.parametrize("wrong", [(0, 1, 1, 1), (1, 0, 1, 1), (1, 1, 0, 1), (1, 1, 1, 0)])
def test_a_budget_of_nothing_is_refused(wrong: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="budget needs"):
        budget.threshold(*wrong)


def test_the_promise_names_its_conditions() -> None:
    lines = budget.guarantee(1, 90 * DAY_MS, HOUR_MS, calibrated=False)
    assert "at least 2160 windows of 1 h (90 days)" in lines[0]
    assert "at most 1 false alarm expected" in lines[3]
    assert any("row dependence is not calibrated" in line for line in lines)


def test_short_times_are_told_in_short_units() -> None:
    assert [budget.duration(ms) for ms in (5, 1500, 2 * DAY_MS)] == ["5 ms", "1.5 s", "2 days"]
