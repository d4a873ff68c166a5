"""Are outcomes told rightly where labels stop, come late, are corrected, are no classes, or have no reference?"""

import json
import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from detectors.reference.build import digest
from streams.messages import Joined, decode_profile, encode_profile
from streams.offline.expectations import expectations
from streams.offline.known import known_outcomes
from streams.offline.replay import replay
from streams.offline.sources import Chunk, Source
from tests.builders import (
    HOUR_MS,
    NAMES,
    START_MS,
    documents,
    encode,
    judge,
    lifecycle,
    reference,
)
from tests.labelled import (
    DAY_MS,
    DAYS,
    SLACK,
    built,
    counted,
    day_of,
    judged,
    labelled,
    labels_of,
    logged,
    predicted,
    profile,
    results,
    story,
    told,
    watched,
)


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


def test_check_scales_false_alarms_to_the_labels_that_the_reference_saw() -> None:
    of = watched(drift_detection={"concept_drift": {"method": "HDDM"}})
    (line,) = expectations(of, built())
    # .058 of 10,000 labels (statistics 4.2), 400 of them a day
    assert "hddm has no budget: about 0.016 false alarms a week at 400 labels a day" in line
    assert "assumed" not in line
