"""What the API tells of the past: differences with intervals, matured days, columns without gaps."""

import math
from typing import Any

import pytest

from streams.control.api import ROUTES
from streams.views.asked import Asked
from streams.views.problems import Problem
from streams.views.read import ReadModel
from tests.streams.published import (
    NOW_MS,
    fleet,
    lifecycle,
    read_model,
    record,
    result,
    series,
    told,
)


def ask(read: ReadModel, path: str, model: str = "loans", **query: str) -> Any:
    (route,) = (one for one in ROUTES if one.path == f"/models/{{id}}/{path}")
    given = {name.rstrip("_"): value for name, value in query.items()}
    return route.answer(Asked(read, NOW_MS, {"id": model}, route.query(given.items())))


def outcomes(version: str, hour: int, **accuracy: Any) -> Any:
    told_of = {
        "value": 0.9,
        "low": 0.88,
        "high": 0.93,
        "n": 400,
        "reference": 0.91,
        "threshold": 0.8,
    }
    return told(
        "results",
        result(hour, version=version, scope="outcomes") | {"metrics": {"accuracy": told_of | accuracy}},
    )  # fmt: skip


@pytest.fixture(scope="module")
def read() -> ReadModel:
    previous = [
        {"version": "0.9.0", "deployed": "2025-06-01 to 2026-01-12", "retired_reason": "worse"}
    ]
    return read_model(
        record("models", "lifecycle|loans", lifecycle(versioning={"previous_versions": previous})),
        outcomes("1.0.0", 0),
        outcomes("1.0.0", 1),
        outcomes("2.0.0", 1, value=0.84, low=0.8, high=0.87, n=90),
        outcomes("2.0.0", 2),
        told("results", result(1, found=[series("feature:age"), series("score", effect=None)])),
        told("results", result(1, version="2.0.0", found=[series("feature:income")])),
    )  # fmt: skip


def test_only_windows_of_both_versions_are_compared_the_newest_first(read: ReadModel) -> None:
    found = ask(read, "compare", a="1.0.0", b="2.0.0")["items"]
    assert [(one["scope"], one["start"]) for one in found] == [
        ("outcomes", "2026-03-02T01:00:00.000Z"),
        ("inputs", "2026-03-02T01:00:00.000Z"),
    ]


def test_a_difference_has_the_interval_that_the_two_make(read: ReadModel) -> None:
    one = ask(read, "compare", a="1.0.0", b="2.0.0")["items"][0]["metrics"]["accuracy"]
    assert (one["a"]["value"], one["b"]["value"], one["b"]["n"]) == (0.9, 0.84, 90)
    assert one["difference"] == pytest.approx(-0.06)
    assert one["low"] == pytest.approx(-0.06 - math.hypot(0.84 - 0.80, 0.93 - 0.90))
    assert one["high"] == pytest.approx(-0.06 + math.hypot(0.87 - 0.84, 0.90 - 0.88))
    back = ask(read, "compare", a="2.0.0", b="1.0.0")["items"][0]["metrics"]["accuracy"]
    assert (back["low"], back["high"]) == pytest.approx((-one["high"], -one["low"]))


def test_the_largest_effects_of_either_version_are_beside_each_other(read: ReadModel) -> None:
    found = ask(read, "compare", a="1.0.0", b="2.0.0")["items"][1]["effects"]
    assert [(one["series"], one["a"] is None, one["b"] is None) for one in found] == [
        ("feature:age", False, True),
        ("feature:income", True, False),
    ]


def test_versions_that_nobody_knows_are_not_found(read: ReadModel) -> None:
    with pytest.raises(Problem, match="loans has no version '3'"):
        ask(read, "compare", a="1.0.0", b="3")
    with pytest.raises(Problem, match="b: expected the version beside it"):
        ask(read, "compare", a="1.0.0")


def test_versions_are_those_of_results_and_of_the_lifecycle(read: ReadModel) -> None:
    newest, current, old = ask(read, "versions")["items"]
    assert (newest["version"], newest["current"]) == ("2.0.0", False)
    assert (current["version"], current["current"], current["windows"]) == ("1.0.0", True, 1)
    assert current["first_window"] == "2026-03-02T00:00:00.000Z"
    assert (old["retired_reason"], old["verdict"], old["last_window"]) == ("worse", None, None)


def test_history_and_drift_are_columns_of_equal_length() -> None:
    read = fleet(models=3, features=3, days=1)
    for scope in ("inputs", "outcomes", "health"):
        found = ask(read, "history", "churn", scope=scope)
        assert found["lines"], scope
        for line in found["lines"]:
            for column in ("value", "low", "high", "n"):
                assert len(line[column]) == len(found["end"]), (scope, line["name"], column)
        assert found["end"] == sorted(found["end"])
    few = ask(read, "history", "churn", scope="health", points="5", names="latency_p95,none")
    assert [one["name"] for one in few["lines"]] == ["latency_p95"]
    assert 1 <= len(few["end"]) <= 5
    drift = ask(read, "drift", "churn", top="2")
    assert len(drift["series"]) == 2
    assert drift["series"][0]["series"] == "feature:income"
    for one in drift["series"]:
        assert len(one["ratio"]) == len(one["verdict"]) == len(drift["end"])


def test_a_matured_day_has_its_coverage_and_metrics() -> None:
    read = fleet(models=3, features=3, days=3)
    found = ask(read, "matured", "fraud-card")["items"]
    assert [one["start"] for one in found] == sorted((one["start"] for one in found), reverse=True)
    for day in found:
        assert 0 <= day["coverage"] <= 1
        assert "label_coverage" not in day["metrics"]
        assert {"value", "low", "high", "n", "reference", "threshold"} == day["metrics"][
            "recall"
        ].keys()
    assert ask(read, "matured", "fraud-card", to=found[-1]["end"])["items"] == found[-1:]


def test_a_distribution_has_the_shares_of_both() -> None:
    read = fleet(models=3, features=3, days=1)
    found = ask(read, "distribution", "churn", series="feature:income")
    for side in ("reference", "current"):
        assert sum(cell[side] for cell in found["cells"]) == pytest.approx(1)
    with pytest.raises(Problem, match="nothing was counted"):
        ask(read, "distribution", "churn", series="feature:nobody's")
