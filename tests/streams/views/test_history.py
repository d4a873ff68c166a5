"""Lines and heat: what is drawn of a month is what was said, and no more points than asked for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.views import history
from streams.views.history import VERDICTS, runs, seven
from tests.streams.published import (
    HOUR_MS,
    START_MS,
    fleet,
    read_model,
    result,
    series,
    told,
)

ABOUT = ("loans", "1.0.0", "all")


def drifted(size: float, verdict: str = "drifting") -> dict[str, object]:
    effect = {"name": "psi", "value": size, "low": 0, "high": 1, "floor": 0.1}
    return series("feature:income", effect=effect, verdict=verdict)


def test_a_line_has_every_window_and_says_where_there_was_nothing() -> None:
    metrics = [
        {"recall": {"value": 0.9, "low": 0.85, "high": 0.93, "n": 50, "reference": 0.8, "threshold": None}},
        {"recall": {"insufficient": "too_few_events", "n": 3}},
        {"recall": {"value": 0.7, "low": 0.6, "high": 0.8, "n": 40, "reference": 0.81, "threshold": 0.75}},
    ]  # fmt: skip
    documents = (result(k, scope="outcomes") | {"metrics": of} for k, of in enumerate(metrics))
    read = read_model(*(told("results", one) for one in documents))
    found = history.lines(read, *ABOUT, "outcomes")
    assert [line.name for line in found] == ["recall", "events", "alarm_ratio"]
    recall = found[0]
    assert recall.end_ms.tolist() == [START_MS + k * HOUR_MS for k in (1, 2, 3)]
    np.testing.assert_equal(recall.value, [0.9, np.nan, 0.7])
    np.testing.assert_equal(recall.low, [0.85, np.nan, 0.6])
    assert recall.n.tolist() == [50, 3, 40]
    assert (recall.reference, recall.threshold) == (0.81, 0.75)
    later = history.lines(read, *ABOUT, "outcomes", ["events", "recall", "f1"], START_MS + 2 * HOUR_MS)  # fmt: skip
    assert [(line.name, len(line.value)) for line in later] == [("events", 2), ("recall", 2)]


def test_more_windows_than_points_are_put_together_and_keep_their_extremes() -> None:
    read = fleet(2, 12, 10)
    whole = {line.name: line for line in history.lines(read, "churn", "1.0.0", "all", "health")}
    few = history.lines(read, "churn", "1.0.0", "all", "health", most=50)
    assert {line.name for line in few} == whole.keys()
    for line in few:
        before = whole[line.name]
        assert len(line.end_ms) <= 50
        assert line.end_ms[-1] == before.end_ms[-1]
        assert line.n.sum() == before.n.sum()
        if not np.isnan(before.low).all():
            assert np.nanmin(line.low) == np.nanmin(before.low)
            assert np.nanmax(line.high) == np.nanmax(before.high)
            assert (line.low <= line.value).all()


def test_heat_is_the_worst_of_each_run_and_the_most_drifting_series_comes_first() -> None:
    read = fleet(2, 12, 4)
    whole = history.heat(read, "churn", "1.0.0", "all")
    assert whole.series[0] == "feature:income"
    assert whole.ratio.shape == whole.verdict.shape == (len(whole.series), len(whole.end_ms))
    assert whole.end_ms.tolist() == history.windows(read, "churn", "1.0.0", "all", "inputs").tolist()  # fmt: skip
    few = history.heat(read, "churn", "1.0.0", "all", most=10)
    assert len(few.end_ms) <= 10
    assert few.series[0] == whole.series[0]
    assert few.ratio[0].max() == whole.ratio[0].max()
    assert few.verdict[0].max() == VERDICTS.index("severe")


def test_a_window_that_measured_nothing_is_a_hole_and_not_a_zero() -> None:
    documents = [result(0, found=[drifted(0.2)]), result(1), result(2, found=[drifted(0.05)])]
    heat = history.heat(read_model(*(told("results", one) for one in documents)), *ABOUT)
    np.testing.assert_allclose(heat.ratio, [[2.0, np.nan, 0.5]], rtol=1e-3)
    assert heat.verdict.tolist() == [[VERDICTS.index("drifting"), 0, VERDICTS.index("drifting")]]


@given(
    st.lists(st.integers(1, 10**6), min_size=1, max_size=300, unique=True),
    st.integers(2, 60),
)
def test_runs_cover_every_window_and_are_never_too_many(ends: list[int], most: int) -> None:
    starts = runs(np.array(sorted(ends)), most)
    assert len(starts) <= most
    assert starts[0] == 0
    assert (np.diff(starts) > 0).all()
    assert starts[-1] < len(ends)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=False))
def test_seven_digits_are_those_that_four_bytes_hold(value: float) -> None:
    stored = np.array([value], np.float32)
    assert np.float32(seven(stored)[0]) == pytest.approx(stored[0], rel=1e-6)
