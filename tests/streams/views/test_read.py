"""The read model: what it keeps of each record, what it forgets, and that no redelivery changes it."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from streams.broker import Record
from streams.views.past import KEPT_MS, Past
from streams.views.read import STORIES, ReadModel, Scoped
from tests.streams.published import (
    HOUR_MS,
    NAMES,
    START_MS,
    alert,
    intake,
    lifecycle,
    read_model,
    record,
    reference,
    result,
    series,
    told,
    trigger,
)

COMMAND = {"command": "retrain", "command_id": "c1", "model_id": "loans", "by": "ann"}
OUTCOME = COMMAND | {"outcome": "applied", "reason": None, "applied_at": "2026-03-02T09:00:00.000Z"}
INPUTS = Scoped("loans", "1.0.0", "all", "inputs")


def state(read: ReadModel) -> dict[str, Any]:
    """Everything a read model can be asked for."""
    found = {
        name: value
        for name, value in vars(read).items()
        if name not in ("_folds", "topics", "_state_topic", "whole", "_pasts")
    }
    found["results"] = {
        subject: (
            past.metrics,
            past.series,
            past.lines,
            *map(bytes, past.columns()),
            documents(past),
        )
        for of_model in read.results.values()
        for subject, past in of_model.items()
    }
    return found


def documents(past: Past) -> list[Any]:
    return [(one[:-1], one.document) for one in past[-2:]]


def a_log() -> list[Record]:
    """A little of everything, on several partitions, unreadable records among it."""
    written = [
        record("models", "lifecycle|loans", lifecycle()),
        record("models", "reference|loans|loans-2025-12", reference()),
        told("results", result(0)),
        told("results", result(1, verdict="severe", found=[series()])),
        told("alerts", alert(1)),
        told("retraining", trigger(1)),
        told("retraining", trigger(2, status="approved")),
        record("results", "loans", b"\xff not json"),
        record("state", "-|-|-|intake", intake(1, a={"events": 5}), partition=1),
        record("state", "-|-|-|intake", intake(2, a={"events": 9}), partition=0),
        record("state", "loans|1.0.0|all|detector", {"anything": 1}, partition=0),
        told("alerts", alert(2, change="resolved", hour=4)),
        told("results", result(2, model="churn"), partition=1),
        record("models", "lifecycle|loans", lifecycle(version="1.1.0")),
        told("results", result(1, verdict="drifting")),  # the judge started over
        told("commands", COMMAND),
        told("commands", COMMAND | {"by": "bob"}),  # the first of an id counts
        told("commands", COMMAND | {"command_id": "c2"}),
        record("commands", "loans", b"not json"),
        told("results", OUTCOME, headers={"ce_type": b"leeway.command.v1"}),
    ]
    ends: dict[tuple[str, int], int] = {}
    numbered = []
    for one in written:
        at = ends.get((one.topic, one.partition), 0)
        ends[one.topic, one.partition] = at + 2  # transactions leave gaps
        numbered.append(one._replace(offset=at))
    return numbered


@given(st.data())
def test_no_redelivery_and_no_interleaving_of_partitions_changes_the_read_model(
    data: st.DataObject,
) -> None:
    log = a_log()
    expected = ReadModel(NAMES)
    for one in log:
        expected.fold(one)
    partitions: dict[tuple[str, int], list[Record]] = {}
    for one in log:
        partitions.setdefault((one.topic, one.partition), []).append(one)
    read, at = ReadModel(NAMES), dict.fromkeys(partitions, 0)
    while unread := [p for p in partitions if at[p] < len(partitions[p])]:
        partition = data.draw(st.sampled_from(unread), "partition")
        read.fold(partitions[partition][at[partition]])
        at[partition] += 1
        if data.draw(st.booleans(), "rebalance"):
            back = data.draw(st.integers(0, at[partition]), "back to")
            for again in partitions[partition][back : at[partition]]:
                read.fold(again)
    assert state(read) == state(expected)


def test_what_the_log_itself_repeats_is_counted_once() -> None:
    read = read_model(told("results", result(0)), told("results", result(0)))
    assert read.judged == {("loans", "stable"): 1}
    assert len(read.results["loans"][INPUTS]) == 1


def test_an_unreadable_record_is_counted_and_leaves_its_neighbours() -> None:
    wrong = [
        b"",
        b"{",
        b"[1]",
        b"\xff\xfe",
        b"[" * 20_000,
        json.dumps(result() | {"verdict": "odd"}).encode(),
        json.dumps(result() | {"window": {"start": "yesterday"}}).encode(),
        None,
    ]
    records = [record("results", "loans", value) for value in wrong]
    read = read_model(told("results", result(0)), *records, told("results", result(1)))
    assert len(read.results["loans"][INPUTS]) == 2
    assert sum(read.unreadable["leeway.results"].values()) == len(wrong)


def test_a_lifecycle_of_a_newer_leeway_leaves_the_former_one() -> None:
    newer = lifecycle(version="2.0.0")
    newer["lifecycle"]["format"] = 2
    read = read_model(
        record("models", "lifecycle|loans", lifecycle()), record("models", "lifecycle|loans", newer)
    )
    assert read.unreadable == {"leeway.models": {"StateError": 1}}
    registered = read.lifecycles["loans"]
    assert registered is not None
    assert registered.version == "1.0.0"


def test_a_record_whose_key_is_not_text_is_unreadable() -> None:
    bad = record("models", "x", lifecycle())._replace(key=b"\xff")
    assert sum(read_model(bad).unreadable["leeway.models"].values()) == 1


def test_history_keeps_thirty_days_before_the_newest_window_whatever_the_order() -> None:
    month = KEPT_MS // HOUR_MS
    hours = [*range(10, month + 10), 3, 8]
    read = read_model(*(told("results", result(hour)) for hour in hours))
    kept = read.results["loans"][INPUTS]
    assert [one.start_ms for one in kept] == [START_MS + h * HOUR_MS for h in range(10, month + 10)]


def test_outcomes_of_commands_are_not_results() -> None:
    outcome = record(
        "results", "loans", {"command_id": "c"}, headers={"ce_type": b"leeway.command.v1"}
    )
    read = read_model(outcome)
    assert read.results == {}
    assert read.unreadable == {"leeway.results": {"ValidationError": 1}}, "nor is this an outcome"


def test_a_structured_cloud_event_is_unwrapped() -> None:
    wrapped = record(
        "results",
        "loans",
        {"specversion": "1.0", "data": result(0)},
        headers={"content-type": b"application/cloudevents+json; charset=utf-8"},
    )
    (kept,) = read_model(wrapped).results["loans"][INPUTS]
    assert kept.document == result(0)


def test_an_episode_keeps_everything_said_about_it_in_order_of_sequence() -> None:
    records = [alert(2, change="escalated", severity="error", hour=2), alert(1)]
    read = read_model(*(told("alerts", one) for one in records))
    (episode,) = read.episodes["loans"].values()
    assert [event.word for event in episode.history] == ["opened", "escalated"]
    assert episode.latest.severity == "error"
    assert not episode.ended
    assert episode.history[0].document == alert(1)


def test_only_ended_stories_are_forgotten_and_their_alerts_stay_counted() -> None:
    first = alert(1, opened_hour=0, hour=0)
    closed = [
        alert(sequence, opened_hour=hour, hour=hour, change=change)
        for hour in range(1, STORIES + 2)
        for sequence, change in ((1, "opened"), (2, "resolved"))
    ]
    read = read_model(*(told("alerts", one) for one in (first, *closed)))
    kept = read.episodes["loans"]
    assert len(kept) == STORIES
    assert first["episode_id"] in kept
    assert read.forgotten_alerts == {
        ("data_drift", "warning", "opened"): 2,
        ("data_drift", "warning", "resolved"): 2,
    }


def test_forgotten_triggers_stay_counted() -> None:
    triggers = [trigger(1, status="failed", anchor=n, hour=n) for n in range(STORIES + 1)]
    read = read_model(*(told("retraining", one) for one in triggers))
    assert len(read.triggers["loans"]) == STORIES
    assert read.forgotten_transitions == {("loans", "failed"): 1}


def test_the_newest_intake_speaks_for_all_partitions() -> None:
    read = read_model(
        record("state", "-|-|-|intake", intake(5, new={"events": 2}), partition=2),
        record("state", "-|-|-|intake", intake(4, old={"events": 1}), partition=0),
        record("state", "-|-|-|intake", None, partition=1),
    )
    assert list(read.intake) == ["new"]
    assert read_model().intake == {}


def test_a_registration_is_replaced_by_the_next_and_removed_by_a_null() -> None:
    again = record("models", "reference|loans|a", reference("a", end=None))
    read = read_model(
        record("models", "lifecycle|loans", lifecycle()),
        record("models", "lifecycle|loans", None),
        again,
        record("models", "reference|loans|b", reference("b")),
        record("models", "reference|loans|c", reference("c")),
        again,
        record("models", "reference|loans|c", None),
        record("models", "routing", {"revision": "1"}),
    )
    assert read.lifecycles == {"loans": None}
    assert list(read.references["loans"]) == ["b", "a"]
    assert read.references["loans"]["a"].end_ms is None


def test_effects_are_measured_in_units_of_the_smallest_that_matters() -> None:
    drop = {"name": "auc_shift", "value": -0.06, "low": -0.07, "high": -0.05, "floor": 0.02}
    found = [
        series(),
        series("missing:income", effect=None),
        series("score", effect=drop),
        series("prediction", effect=drop | {"floor": 0.0}),
    ]
    read = read_model(told("results", result(0, found=found)))
    (kept,) = read.results["loans"][INPUTS]
    assert kept.effects == {"data_drift": 4.04, "prediction_drift": 3.0}
