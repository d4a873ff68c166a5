"""Is what is said of outcomes what a plain count of the labels says, by window and by day, whatever happens between?"""

from typing import Any

import pytest

from streams.judging.judge import Judge
from streams.loop import Loop, Outcome
from streams.memory import MemoryBroker, MemoryLog
from tests.builders import (
    NAMES,
    documents,
    judge,
)
from tests.labelled import (
    DAYS,
    SAID,
    SLACK,
    counted,
    day_of,
    judged,
    labels_of,
    logged,
    profile,
    results,
    story,
)


@pytest.mark.parametrize("country", [None, "DE", "FR"])
def test_a_window_counts_what_became_known_in_it(country: str | None) -> None:
    segment = "all" if country is None else f"country={country}"
    found = results(judged(), "outcomes", segment)
    assert len(found) >= DAYS
    for result in found[:DAYS]:
        day = day_of(result["window"]["start"])
        mine = labels_of(day, "timestamp", country)
        assert result["window"]["events"] == len(mine)
        assert result["confusion"] == counted(mine)
        accuracy = sum(one["label"] == one["prediction"] for one in mine) / len(mine)
        assert result["metrics"]["accuracy"]["value"] == pytest.approx(accuracy, abs=1e-12)


@pytest.mark.parametrize("country", [None, "DE"])
def test_a_day_is_told_again_until_all_its_truth_is_known(country: str | None) -> None:
    segment = "all" if country is None else f"country={country}"
    last: dict[int, dict[str, Any]] = {}
    for result in results(judged(), "matured", segment):
        day = day_of(result["window"]["start"])
        before = last.get(day)
        assert result["revision"] == (before["revision"] + 1 if before else 1)
        assert before is None or before["result_id"] == result["result_id"]
        last[day] = result
    assert sorted(last) == list(range(DAYS))
    for day, result in last.items():
        mine = labels_of(day, "prediction_timestamp", country)
        assert result["confusion"] == counted(mine)
        coverage = result["metrics"]["label_coverage"]
        assert coverage["value"] == 1.0
        assert coverage["n"] == len(mine)


def test_the_change_is_found_and_asks_for_a_retraining_and_ends() -> None:
    alerts = [a for a in documents(judged(), "alerts") if a["segment"] == "all"]
    concept = [a for a in alerts if a["kind"] == "concept_drift"]
    assert concept[0]["change"] == "opened"
    assert day_of(concept[0]["at"]) in (7, 8)
    assert concept[0]["cause"]["class"] == "relation_change"
    assert concept[0]["affected"][0]["series"] == "loss"
    triggers = documents(judged(), "retraining")
    # no pipeline says that it started
    assert [t["status"]["name"] for t in triggers] == ["requested", "approved", "failed"]
    assert triggers[0]["reason"]["code"] == "concept_drift"
    assert triggers[0]["training_window"]["labelled"] > 0


def test_a_line_that_is_crossed_for_two_days_is_an_alert() -> None:
    performance = [a for a in documents(judged(), "alerts") if a["kind"] == "performance"]
    assert performance[0]["change"] == "opened"
    assert performance[0]["affected"][0]["series"] == "metric:accuracy"
    assert day_of(performance[0]["at"]) == 9


def test_an_open_problem_says_what_it_costs_more_than_in_the_reference() -> None:
    costs = {r["window"]["end"]: r["metrics"]["cost"] for r in results(judged(), "outcomes")}
    shown = [a for a in documents(judged(), "alerts") if a["cost"] is not None]
    assert {a["kind"] for a in shown} == {"performance", "concept_drift"}
    for alert in shown:
        if alert["segment"] == "all":
            cost = costs[alert["at"]]
            more = round(1000 * (cost["value"] - cost["reference"]), 2)
            assert alert["cost"] == {"amount": more, "unit": "EUR", "per": 1000}
            if alert["change"] == "opened":
                assert more > 1000, "it errs more often"


def test_an_estimate_stands_beside_the_truth_and_is_called_unreliable_once_that_is_worse() -> None:
    shown = {}
    for result in results(judged(), "outcomes"):
        if "accuracy_estimated" in result["metrics"]:
            shown[day_of(result["window"]["start"])] = result["metrics"]["accuracy_estimated"]
    assert sorted(shown) == list(range(DAYS))
    for one in shown.values():
        assert one["low"] < one["value"] < one["high"]
        assert (
            abs(one["value"] - 0.9) < 0.02
        )  # of what the reference was: it is blind to the change
    assert [shown[day]["reliability"] for day in (0, 3, 8)] == [
        "unchecked",
        "confirmed",
        "unreliable",
    ]
    assert "worse than estimated" in shown[8]["reasons"][1]


def test_a_metric_of_a_week_is_in_the_result_that_completes_it() -> None:
    held = {
        day_of(r["window"]["start"]): r["metrics"]["recall"]["threshold"]
        for r in results(judged(), "outcomes")
        if "threshold" in r["metrics"].get("recall", {})
    }
    assert [day for day, line in held.items() if line is not None] == [6, 13]


# ---- the same bytes


def said(log: MemoryLog) -> dict[str, list[Any]]:
    """Every byte that was said."""
    return {
        name: [
            (r.key, r.value, r.headers)
            for r in sorted(
                log.read(NAMES(name)), key=lambda r: (r.key or b"", dict(r.headers)["ce_id"])
            )
        ]
        for name in SAID
    }


@pytest.mark.parametrize(("partitions", "limit"), [(1, 37), (3, 500)])
def test_partitions_and_batches_change_no_byte(partitions: int, limit: int) -> None:
    log = logged(story(), partitions=partitions)
    profile(log, limit=limit, commit_after=limit)
    judge(log, [SLACK], limit=limit, commit_after=limit)
    assert said(log) == said(judged())


@pytest.mark.parametrize(("every", "limit"), [(2, 150), (5, 20)])
def test_a_judge_that_is_killed_again_and_again_says_the_same_bytes(every: int, limit: int) -> None:
    log = logged(story())
    profile(log, limit=800, commit_after=800)
    for instance in range(10_000):
        broker = MemoryBroker(log, "judge", str(instance))
        loop = Loop(
            broker,
            Judge(NAMES, 1, [SLACK]),
            [NAMES("profiles")],
            [NAMES("models")],
            NAMES("state"),
            limit=limit,
        )
        loop.start()
        for _ in range(every):
            polled = loop.turn()
            if not polled.batches and loop.commit() is Outcome.NOTHING:
                assert said(log) == said(judged())
                assert instance > 3
                return
            loop.commit()
        loop.turn()  # what is in hand when it dies is lost
        broker.crash()
    raise AssertionError("it never ends")
