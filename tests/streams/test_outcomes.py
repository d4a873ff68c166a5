"""Is what is said of outcomes what a plain count of the labels says, by window and by day, whatever happens between?"""

import json
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any

import pytest

from alerting.settings import Receiver
from detectors.reference.build import Reference, digest
from streams.judging.judge import Judge
from streams.lifecycle import Lifecycle
from streams.loop import Loop, Outcome, drain
from streams.memory import MemoryBroker, MemoryLog
from streams.messages import Joined, decode_profile, encode_profile
from streams.offline.known import known_outcomes
from streams.offline.replay import replay
from streams.offline.sources import Chunk, Source
from streams.profiling.profiler import Profiler
from streams.topics import TOPICS
from tests.builders import (
    HOUR_MS,
    NAMES,
    START_MS,
    documents,
    encode,
    judge,
    lifecycle,
    reference,
    registered,
    stream,
)

DAY_MS = 24 * HOUR_MS
DAYS, EACH = 12, 400
WORSE = range(6, 9)  # days on which the model errs
SLACK = Receiver("slack", "slack", "#ml")
SAID = ("results", "alerts", "alerts.slack", "retraining")


def watched(**monitoring: Any) -> Lifecycle:
    """A model with labels, that is judged every six hours and whose truth is judged every day."""
    return lifecycle(
        source={"labels": {}, "join": False},
        prediction={"classes": ["no", "yes"], "positive": "yes"},
        segments=["country"],
        monitoring={
            "window": {"size": "6h", "pane": "1h", "lateness": "1m"},
            "false_alarms": "1 per 30 days",
            "performance_metrics": [
                {"metric": "accuracy", "threshold": "below 0.75"},
                {"metric": "recall", "threshold": "below 0.5", "measurement_frequency": "Weekly"},
            ],
            "drift_detection": {"concept_drift": {"window": "1d"}},
        }
        | monitoring,
        retraining={
            "trigger_conditions": [
                {"name": "worse", "trigger": "concept drift detected", "action": "retrain"}
            ]
        },
    )


def predicted(days: Iterable[int], seed: int = 0) -> list[dict[str, Any]]:
    """So many predictions a day."""
    found = []
    for day in days:
        start = START_MS + day * DAY_MS
        for i, one in enumerate(
            stream(EACH, seed=seed + 100 + day, start_ms=start, step_ms=DAY_MS // EACH)
        ):
            tags = {"country": "DE" if i % 3 else "FR"}
            found.append(one | {"event_id": f"{day}/{i}", "tags": tags})
    return found


def labelled(
    predictions: Sequence[Mapping[str, Any]], worse: range = WORSE, seed: int = 5
) -> list[dict[str, Any]]:
    """Their labels, hours late: right in nine of ten, but for the days on which it is six of ten."""
    chance, found = random.Random(seed), []
    for one in predictions:
        day = int(one["event_id"].partition("/")[0])
        right = chance.random() < (0.6 if day in worse else 0.9)
        said = one["prediction"]
        found.append(
            {
                "event_id": one["event_id"],
                "model_id": "m",
                "model_version": "1.0.0",
                "timestamp": one["timestamp"] + chance.randrange(30) * HOUR_MS,
                "prediction_timestamp": one["timestamp"],
                "prediction": said,
                "score": one["score"],
                "label": said if right else {"yes": "no", "no": "yes"}[said],
                "tags": one["tags"],
            }
        )
    return sorted(found, key=lambda label: (label["timestamp"], label["event_id"]))


@cache
def built(**monitoring: Any) -> Reference:
    """What the model is compared with: forty quiet days before."""
    of, past = watched(**monitoring), predicted(range(-40, 0), seed=1_000)
    made = reference(of, past)
    labels = encode(labelled(past, range(0), seed=7))
    known, _ = known_outcomes(of, made, labels, list)
    whole = replace(made, known=known)
    return replace(whole, digest=digest(whole))


@cache
def story() -> tuple[tuple[str, int, bytes], ...]:
    """Everything in the order in which it comes: topic, time, event."""
    predictions = predicted(range(DAYS))
    labels = labelled(predictions)
    found = [
        (topic, one["timestamp"], value)
        for topic, events in (("predictions", predictions), ("labels", labels))
        for one, value in zip(events, encode(events), strict=True)
    ]
    return tuple(sorted(found, key=lambda row: row[1]))


def logged(
    rows: Sequence[tuple[str, int, bytes]],
    *models: tuple[Lifecycle, Reference],
    partitions: int = 1,
) -> MemoryLog:
    """A log in memory that holds these events and what is registered."""
    log = MemoryLog()
    for name in ("predictions", "labels"):
        log.create(NAMES(name), partitions)
    for one in TOPICS:
        log.create(NAMES(one.name), one.partitions or partitions)
    for of, known in models or ((watched(), built()),):
        for record in registered(of, known):
            log.append(record.topic, record.value, record.key, partition=0)
    for i, (topic, _, value) in enumerate(rows):
        log.append(NAMES(topic), value, partition=i % partitions)
    return log


def profile(log: MemoryLog, **how: int) -> None:
    """Let a profiler read everything."""
    partitions = log.partition_count(NAMES("profiles"))
    stage = Profiler(NAMES, partitions, log.partition_count)
    topics = [NAMES("predictions"), NAMES("labels")]
    drain(MemoryBroker(log, "profiler"), stage, topics=topics, followed=[NAMES("models")], **how)  # type: ignore[arg-type]


@cache
def judged() -> MemoryLog:
    """The story, read and judged in one go."""
    log = logged(story())
    profile(log)
    judge(log, [SLACK])
    return log


def results(log: MemoryLog, scope: str, segment: str = "all") -> list[dict[str, Any]]:
    found = documents(log, "results")
    return [r for r in found if (r["scope"], r["segment"]) == (scope, segment)]


def day_of(time: str) -> int:
    return (round(datetime.fromisoformat(time).timestamp() * 1000) - START_MS) // DAY_MS


def labels_of(day: int, field: str, country: str | None = None) -> list[dict[str, Any]]:
    """The labels whose `field` is on a day."""
    every = labelled(predicted(range(DAYS)))
    return [
        one
        for one in every
        if (one[field] - START_MS) // DAY_MS == day and country in (None, one["tags"]["country"])
    ]


def counted(labels: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """Their confusion."""
    pairs = Counter((one["label"], one["prediction"]) for one in labels)
    return {a: {p: pairs[a, p] for p in ("no", "yes")} for a in ("no", "yes")}


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
    assert [t["status"]["name"] for t in triggers] == ["requested", "approved"]
    assert triggers[0]["reason"]["code"] == "concept_drift"
    assert triggers[0]["training_window"]["labelled"] > 0


def test_a_line_that_is_crossed_for_two_days_is_an_alert() -> None:
    performance = [a for a in documents(judged(), "alerts") if a["kind"] == "performance"]
    assert performance[0]["change"] == "opened"
    assert performance[0]["affected"][0]["series"] == "metric:accuracy"
    assert day_of(performance[0]["at"]) == 9


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


def told(
    rows: Sequence[tuple[str, int, bytes]],
    of: Lifecycle | None = None,
    known: Reference | None = None,
    **how: int,
) -> MemoryLog:
    """These events, read and judged."""
    log = logged(rows, (of or watched(), known or built()))
    profile(log, **how)
    judge(log, [SLACK])
    return log


def test_labels_that_stop_are_an_alert_and_no_verdict_is_stable_without_them() -> None:
    stopped = START_MS + 5 * DAY_MS
    rows = [row for row in story() if row[0] != "labels" or row[1] < stopped]
    of = watched(labels={"delay": "1d"})
    log = told(rows, of)
    health = [a for a in documents(log, "alerts") if a["kind"] == "label_health"]
    assert health[0]["change"] == "opened"
    assert health[0]["affected"][0]["effect"]["name"] == "no_labels"
    after = [r for r in results(log, "outcomes") if day_of(r["window"]["start"]) >= 5]
    assert {r["verdict"] for r in after} == {"insufficient"}
    assert {r["window"]["events"] for r in after} == {0}


def test_truth_that_comes_too_late_changes_its_day_and_no_window() -> None:
    late = labels_of(3, "timestamp")[:50]
    ids = {one["event_id"] for one in late}
    rows = [
        row for row in story() if row[0] != "labels" or json.loads(row[2])["event_id"] not in ids
    ]
    at = next(i for i, row in enumerate(rows) if row[1] >= START_MS + 5 * DAY_MS)
    rows[at:at] = [
        ("labels", one["timestamp"], value) for one, value in zip(late, encode(late), strict=True)
    ]
    log = told(rows, limit=60, commit_after=60)
    outcomes = {day_of(r["window"]["start"]): r for r in results(log, "outcomes")}
    assert outcomes[3]["window"]["events"] == len(labels_of(3, "timestamp")) - 50
    assert sum(r["window"]["late"] for r in outcomes.values()) == 50
    last = {day_of(r["window"]["start"]): r["confusion"] for r in results(log, "matured")}
    for day in range(DAYS):
        assert last[day] == counted(labels_of(day, "prediction_timestamp"))


def test_joined_labels_and_their_corrections_move_the_counts_of_their_day_once() -> None:
    """As production joins them: the truth of a tenth is corrected two days later, a tenth is told twice."""
    other = {"yes": "no", "no": "yes"}
    predictions = predicted(range(5))
    bare = [
        {name: one[name] for name in ("event_id", "model_id", "timestamp", "label")}
        for one in labelled(predictions)
    ]
    corrected = [
        one | {"timestamp": one["timestamp"] + 2 * DAY_MS, "label": other[one["label"]]}
        for one in bare[::10]
    ]
    labels = sorted([*bare, *bare[3::10], *corrected], key=lambda one: one["timestamp"])
    of = lifecycle(
        source={"labels": {}},
        prediction={"classes": ["no", "yes"], "positive": "yes"},
        monitoring={"window": {"size": "6h", "pane": "1h"}},
    )
    chunks = [
        Chunk("predictions", encode(predictions), 1),
        Chunk("labels", encode(labels), 1),
    ]
    source = Source("memory", (of,), None, (), lambda: iter(chunks))
    found = replay(source, {})
    truth = {one["event_id"]: one["label"] for one in [*bare, *corrected]}
    days: dict[int, Counter[tuple[str, str]]] = {}
    for one in predictions:
        counts = days.setdefault((one["timestamp"] - START_MS) // DAY_MS, Counter())
        counts[truth[one["event_id"]], one["prediction"]] += 1
    last = {}
    for record in found.topics["results"]:
        result = json.loads(record.value or b"")
        if (result["scope"], result["segment"]) == ("matured", "all"):
            last[day_of(result["window"]["start"])] = result
    assert sorted(last) == sorted(days)
    for day, counts in days.items():
        plain = {a: {p: counts[a, p] for p in ("no", "yes")} for a in ("no", "yes")}
        assert last[day]["confusion"] == plain
        assert last[day]["metrics"]["label_coverage"]["value"] == 1.0


def test_with_a_maturity_windows_are_of_predictions_and_wait_for_their_truth() -> None:
    of = watched(labels={"maturity": "18h"})
    log = told(story(), of, limit=500, commit_after=500)
    found = {day_of(r["window"]["start"]): r for r in results(log, "outcomes")}
    last = {day_of(r["window"]["start"]): r for r in results(log, "matured")}
    for day in range(DAYS):
        mine = labels_of(day, "prediction_timestamp")
        young = [
            one for one in mine if one["timestamp"] - one["prediction_timestamp"] <= 18 * HOUR_MS
        ]
        assert found[day]["confusion"] == counted(young)
        assert last[day]["confusion"] == counted(mine)


@pytest.mark.parametrize("field", ["label", "loss"])
@pytest.mark.parametrize("known", [False, True])
def test_numbers_and_feedback_are_judged_by_their_loss(field: str, known: bool) -> None:
    features = {"income": "number", "home": "category"}
    metric = {"label": "mae", "loss": "mean_loss"}[field]
    of = lifecycle(
        features=features,
        metadata={"model_type": "Regression" if field == "label" else "LLM"},
        source={"labels": {}, "join": False},
        monitoring={
            "window": {"size": "6h", "pane": "1h"},
            "false_alarms": "1 per 30 days",
            "performance_metrics": [{"metric": metric, "threshold": {"max": 0.3}}],
            "drift_detection": {"concept_drift": {"method": ["Performance degradation", "ADWIN"]}},
        },
    )

    def made(days: range, worse: range) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        chance, predictions, labels = random.Random(days.start), [], []
        for one in predicted(days, seed=days.start + 500):
            day = int(one["event_id"].partition("/")[0])
            off = abs(chance.gauss(0, 0.6 if day in worse else 0.2))
            said = round(one["score"], 3)
            predictions.append(
                {k: v for k, v in one.items() if k != "score"} | {"prediction": said}
            )
            truth = (
                {"label": said + off, "prediction": said}
                if field == "label"
                else {"loss": min(off, 1.0)}
            )
            label = {k: one[k] for k in ("event_id", "model_id", "model_version", "timestamp")}
            labels.append(label | truth | {"prediction_timestamp": one["timestamp"]})
        return predictions, labels

    before, past = made(range(-40, 0), range(0))
    built = reference(of, before)
    if known:
        outcomes, _ = known_outcomes(of, built, encode(past), list)
        built = replace(built, known=outcomes)
        built = replace(built, digest=digest(built))
    predictions, labels = made(range(8), range(4, 7))
    rows = [
        ("predictions", one["timestamp"], value)
        for one, value in zip(predictions, encode(predictions), strict=True)
    ]
    rows += [
        ("labels", one["timestamp"], value)
        for one, value in zip(labels, encode(labels), strict=True)
    ]
    log = told(sorted(rows, key=lambda row: row[1]), of, built)
    found = {day_of(r["window"]["start"]): r for r in results(log, "outcomes")}
    for day in range(8):
        mine = [one for one in labels if (one["timestamp"] - START_MS) // DAY_MS == day]
        losses = [
            one["loss"] if field == "loss" else abs(one["label"] - one["prediction"])
            for one in mine
        ]
        assert found[day]["metrics"][metric]["value"] == pytest.approx(
            sum(losses) / len(losses), abs=1e-5
        )
    kinds = {a["kind"] for a in documents(log, "alerts") if a["change"] == "opened"}
    assert ("concept_drift" in kinds) == known
    assert "performance" in kinds


def test_a_fall_below_what_was_written_is_found_without_a_reference() -> None:
    bare = replace(reference(watched(), predicted(range(-2, 0))), known=None)
    of = watched(
        performance_metrics=[{"metric": "accuracy", "current": 0.9}],
        drift_detection={"concept_drift": {"threshold": "10%"}},
    )
    alerts = documents(told(story(), of, bare), "alerts")
    opened = next(a for a in alerts if (a["kind"], a["change"]) == ("performance", "opened"))
    assert opened["affected"][0]["effect"]["floor"] == pytest.approx(0.81)
    assert day_of(opened["at"]) in (8, 9)


def test_a_method_that_is_named_is_evidence_beside_the_alarm() -> None:
    of = watched(
        drift_detection={
            "concept_drift": {"window": "1d", "method": ["Performance degradation", "ADWIN", "DDM"]}
        }
    )
    found = [r for r in results(told(story(), of), "outcomes") if r["series"]]
    counts = [
        [e["statistic"] for e in r["series"][0]["evidence"] if e["detector"] == "adwin"]
        for r in found
    ]
    assert counts[0] == [0.0]
    assert counts[-1][0] >= 1
    plain = {r["result_id"]: r["verdict"] for r in results(judged(), "outcomes")}
    assert all(plain[r["result_id"]] == r["verdict"] for r in found)


def test_labels_that_find_no_prediction_are_told_with_a_hint() -> None:
    log = logged(story())
    profile(log)
    for day in range(DAYS):
        record = Joined("m", START_MS + day * DAY_MS, {"matched": 10, "unmatched": 290})
        log.append(NAMES("profiles"), encode_profile(record), b"m", partition=0)
    fresh = logged([], (watched(), built()))
    joined = [r for r in log.read(NAMES("profiles")) if decode_profile(r.value or b"") is not None]
    joined.sort(key=lambda r: not isinstance(decode_profile(r.value or b""), Joined))
    for r in joined:
        fresh.append(r.topic, r.value, r.key, partition=0, headers=r.headers)
    judge(fresh, [SLACK])
    health = [a for a in documents(fresh, "alerts") if a["kind"] == "label_health"]
    assert "97% of the labels find no prediction" in health[0]["summary"]


def test_values_of_a_segment_that_differ_too_much_are_an_alert() -> None:
    of = watched(
        slices=[
            {"segment": "country", "metric": "accuracy", "max_gap": "5 points", "min_events": 50}
        ]
    )
    rows = [
        (topic, at, value.replace(b'"label":"yes"', b'"label":"no"'))
        if topic == "labels" and b'"FR"' in value
        else (topic, at, value)
        for topic, at, value in story()
    ]
    alerts = documents(told(rows, of), "alerts")
    (opened,) = [
        a
        for a in alerts
        if (a["kind"], a["change"], a["segment"]) == ("performance", "opened", "all")
    ]
    assert "between country=FR and country=DE" in opened["title"]
    assert day_of(opened["at"]) == 3  # the labels of the first day are younger than usual


def test_a_model_without_a_reference_is_held_against_its_lines() -> None:
    bare = replace(reference(watched(), predicted(range(-2, 0))), known=None)
    log = told(story(), known=bare)
    verdicts = {day_of(r["window"]["start"]): r for r in results(log, "outcomes")}
    assert verdicts[4]["verdict"] == "stable"
    assert verdicts[9]["reason"] == "rule"
    assert verdicts[4]["confusion"] == counted(labels_of(4, "timestamp"))


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
