"""Is the JSON read that producers already send? Paths, constants, filters, units, many models on one topic."""

import json
from typing import Any

import numpy as np
import pytest

from detectors.binning import Column
from detectors.reference.build import Reference, build
from streams.lifecycle import Lifecycle
from streams.profiling.events import Topic, readings
from streams.profiling.reading import FEATURES, PREDICTIONS
from tests.builders import (
    HOUR_MS,
    NAMES,
    START_MS,
    Counted,
    Profiled,
    batch,
    encode,
    event,
    lifecycle,
    profiled,
    profiler,
    reference,
    stream,
)

TYPES = {"feature:income": "number", "feature:home": "category", "score": "number"}


def income_only(of: Lifecycle, **more: str) -> Reference:
    """Incomes of 0 to 99, and whatever else is wanted, so that a test sees in which cell a value fell."""
    numbers = np.arange(100.0).repeat(20)
    columns = [Column("feature:income", "number", numbers, np.zeros(2000, bool))]
    for name, type_ in more.items():
        if type_ == "number":
            columns.append(Column(name, "number", numbers / 100, np.zeros(2000, bool)))
        else:
            texts: list[str | None] = ["rent", "own"] * 1000
            columns.append(Column(name, "category", texts, np.zeros(2000, bool)))
    built, _ = build(
        columns,
        None,
        reference_id="r",
        model_id=of.model_id,
        model_version=of.version,
        source="s",
        window_ms=HOUR_MS,
    )
    return built


def mapped(fields: dict[str, Any], **source: Any) -> Lifecycle:
    """A lifecycle that reads its predictions with these paths."""
    return lifecycle(
        features={"income": "number"}, source={"predictions": {"fields": fields, **source}}
    )


def seen(of: Lifecycle, *events: Any, **record: Any) -> Counted:
    """What one pane of these events comes to."""
    return profiled(encode(events), of, income_only(of), **record).only


def test_fields_are_found_where_their_paths_say() -> None:
    of = mapped(
        {
            "model_id": "meta.model",
            "timestamp": "meta.at",
            "features": "applicant",
            "model_version": "meta.version",
        }
    )
    meta = {"model": "m", "at": START_MS, "version": "1.0.0"}
    found = seen(of, {"meta": meta, "applicant": {"income": 5}}, {"meta": meta, "applicant": None})
    assert found.events == 2
    assert found.cells["feature:income"][0] == 1
    assert found.cells["feature:income"][-1] == 1  # missing


def test_a_constant_model_id_needs_no_member_of_that_name() -> None:
    of = mapped({"model_id": {"const": "m"}, "model_version": {"const": "3.1"}})
    found = profiled(encode([event(model_id=...), event(model_id="stranger")]), of, income_only(of))
    assert list(found.counted) == [("m", "3.1", "all", START_MS)]
    assert found.only.events == 2


def test_a_feature_may_have_a_path_of_its_own() -> None:
    of = lifecycle(features={"income": {"type": "number", "path": "a.b\\.c[1].income"}})
    found = seen(of, event(a={"b.c": [0, {"income": 99}]}), event(a={"b.c": [0]}), event(a=7))
    assert found.cells["feature:income"][-3] == 1
    assert found.cells["feature:income"][-1] == 2


@pytest.mark.parametrize("fast", [True, False])
def test_the_whole_event_may_be_the_features(fast: bool) -> None:
    of = mapped({"features": "."} | ({} if fast else {"model_version": "$key"}))
    found = seen(of, event(income=3, features=...), key=b"1.0.0")
    assert found.cells["feature:income"][0] == 1


def test_key_time_and_headers_of_the_record_can_be_read() -> None:
    of = mapped(
        {"model_id": "$key", "timestamp": "$timestamp", "model_version": "$headers.version"}
    )
    found = profiled(
        encode([{"features": {"income": 1}}]),
        of,
        income_only(of),
        key=b"m",
        headers=(("version", b"2.5"),),
        timestamps_ms=[START_MS + 7],
    )
    assert list(found.counted) == [("m", "2.5", "all", START_MS)]


def test_the_time_of_a_record_is_in_milliseconds_whatever_the_unit_of_the_events() -> None:
    of = mapped({"timestamp": "$timestamp"}, timestamp_unit="s")
    found = profiled(encode([event()]), of, income_only(of), timestamps_ms=[START_MS])
    assert list(found.counted) == [("m", "1.0.0", "all", START_MS)]


def test_a_file_has_no_times_of_records() -> None:
    of = mapped({"timestamp": "$timestamp"})
    assert profiled(encode([event()]), of, income_only(of)).reasons == ["timestamp_missing"]


@pytest.mark.parametrize("key", [None, b"\xff", b"my model"])
def test_a_record_whose_key_names_no_model_is_a_dead_letter(key: bytes | None) -> None:
    of = mapped({"model_id": "$key"})
    assert profiled(encode([event()]), of, income_only(of), key=key).reasons == ["model_id"]


def test_a_filter_keeps_what_is_equal_as_json_has_it() -> None:
    of = mapped({}, filter={"kind": 1})
    events = [event(kind=kind) for kind in (1, 1.0, True, "1", 2, None, ...)]
    found = profiled(encode(events), of, income_only(of))
    assert found.only.events == 2
    assert not found.dead


@pytest.mark.parametrize(
    ("unit", "time"),
    [
        ("s", START_MS // 1000),
        ("s", START_MS / 1000 + 0.25),
        ("ms", START_MS),
        ("us", START_MS * 1000),
        ("ns", START_MS * 1_000_000),
        ("ns", "2026-03-02T00:00:00Z"),
        ("s", "2026-03-02T01:00:00+01:00"),
    ],
)
def test_times_are_read_in_the_unit_of_the_source(unit: str, time: object) -> None:
    of = mapped({}, timestamp_unit=unit)
    found = profiled(encode([event(timestamp=time)] * 2), of, income_only(of))
    assert list(found.counted) == [("m", "1.0.0", "all", START_MS)]
    assert found.only.events == 2


def several(*models: dict[str, Any]) -> tuple[Any, Profiled]:
    """A profiler of several models, whose summaries are not split into series."""
    made = [lifecycle(features={"income": "number"}, **keys) for keys in models]
    return profiler(*((of, income_only(of)) for of in made)), Profiled()


@pytest.mark.parametrize(
    "second",
    [
        {},  # both by model_id: one tagged union
        {"source": {"predictions": {"fields": {"model_id": "$key"}}}},
        {"source": {"predictions": {"filter": {"kind": "b"}}}},
    ],
)
def test_models_that_share_a_topic_each_count_their_own(second: dict[str, Any]) -> None:
    one, found = several({"model_id": "a"}, {"model_id": "b", **second})
    events = [event(model_id=name, kind=name) for name in ("a", "b", "a", "stranger")]
    one.step(batch(encode(events), key=b"b"))
    found.add(one.flush(), None)
    counted = {key[0]: of.events for key, of in found.counted.items()}
    expected = 4 if "fields" in str(second) else 1  # by its key every record is b's
    assert counted == {"a": 2, "b": expected}


def test_a_topic_with_models_by_id_alone_is_decoded_in_one_call() -> None:
    made = [lifecycle(model_id=name) for name in ("a", "b", "c")]
    of = [reading for one in made for reading in readings(one, NAMES, TYPES)]
    assert Topic(of).decode is not None


def test_two_models_with_a_constant_id_both_count_every_event_which_came_in_once() -> None:
    constant = {"predictions": {"fields": {"model_id": {"const": "x"}}}}
    one, found = several(
        {"model_id": "a", "source": constant}, {"model_id": "b", "source": constant}
    )
    one.step(batch(encode([event(), event(), event(model_id="whose")])))
    found.add(one.flush(), None)
    assert {key[0]: of.events for key, of in found.counted.items()} == {"a": 3, "b": 3}
    assert found.came_in == {START_MS: 3}


def test_a_model_may_read_predictions_and_features_from_one_topic() -> None:
    shared = {"topic": "t"}
    of = lifecycle(
        features={"income": {"type": "number", "from": "features"}, "home": "category"},
        source={
            "predictions": shared | {"filter": {"kind": "p"}},
            "features": shared | {"filter": {"kind": "f"}},
        },
    )
    built = income_only(of, **{"feature:home": "category"})
    events = [event(kind="p"), event(kind="f"), event(kind="f")]
    found = profiled(encode(events), of, built, topic="t").only
    assert sum(found.cells["feature:income"]) == 2
    assert sum(found.cells["feature:home"]) == 1


def test_feature_events_count_for_the_current_version_beside_the_predictions() -> None:
    of = lifecycle(
        version="1.4.0",
        features={"income": {"type": "number", "from": "features"}, "home": "category"},
    )
    built = income_only(of, **{"feature:home": "category"})
    one, found = profiler((of, built)), Profiled()
    assert one.topics == ("leeway.features", "leeway.predictions")
    one.step(batch(encode([event(model_version="1.4.0", features={"home": "own"})])))
    update = {"model_id": "m", "timestamp": START_MS, "entity_id": "e", "features": {"income": 7}}
    one.step(batch(encode([update, update]), topic="leeway.features"))
    found.add(one.flush(), built)
    cells = found.counted["m", "1.4.0", "all", START_MS].cells
    assert sum(cells["feature:income"]) == 2  # of the feature events alone
    assert sum(cells["feature:home"]) == 1
    kinds = [reading.kind for reading in readings(of, NAMES, TYPES)]
    assert kinds == [PREDICTIONS, FEATURES]


SCORED = lifecycle(
    features={"income": "number"}, prediction={"classes": ["no", "yes"], "positive": "yes"}
)


@pytest.mark.parametrize(
    ("fields", "cell", "invalid"),
    [
        ({"scores": {"yes": 0.99, "no": 0.01}}, -3, {}),
        ({"score": 0.0, "scores": {"yes": 0.99}}, 0, {}),
        ({"score": None, "scores": {"yes": 0.99}}, -3, {}),
        ({"scores": {"no": 0.01}}, -1, {}),
        ({"scores": "high"}, -1, {}),
        ({"scores": {"yes": "high"}}, -2, {"score": {"type": 1}}),
        ({"score": 0.0, "scores": {"yes": "high"}}, 0, {}),
        ({"score": "high", "scores": {"yes": 0.99}}, -2, {"score": {"type": 1}}),
        ({"score": float("nan"), "scores": {"yes": 0.99}}, -3, {"score": {"non_finite": 1}}),
    ],
)
def test_the_score_is_that_of_the_positive_class_where_there_is_no_other(
    fields: dict[str, Any], cell: int, invalid: dict[str, Any]
) -> None:
    built = income_only(SCORED, score="number")
    value = json.dumps(event(**{"score": ..., **fields})).encode()
    found = profiled([value], SCORED, built).only
    assert found.cells["score"][cell] == 1
    assert found.invalid == invalid


@pytest.mark.parametrize("status", ["ok", "fallback", None, "error", "timeout"])
def test_only_an_answer_has_a_prediction_and_a_score(status: str | None) -> None:
    built = reference(SCORED, stream(2_000))
    found = profiled(encode([event(status=status), event()]), SCORED, built).only
    answered = 1 + (status not in ("error", "timeout"))
    assert sum(found.cells["prediction"]) == sum(found.cells["score"]) == answered
    assert sum(found.cells["feature:income"]) == 2


def test_categories_may_be_integers_and_booleans_by_their_json_text() -> None:
    of = lifecycle(features={"code": "category", "member": "boolean"})
    values = [{"code": code, "member": code == 1} for code in (1, 1, 2, True)]
    built = reference(of, [event(START_MS + i, features=values[i % 4]) for i in range(4_000)])
    (code, member) = (s.series for s in built.series[:2])
    assert code.categories == ("1", "2", "true")
    assert member.categories == ("false", "true")
    found = profiled(
        encode([event(features=f) for f in (*values, {"code": "1", "member": 1})]), of, built
    )
    assert found.only.cells["feature:code"] == [3, 1, 1, 0, 0]
    assert found.only.cells["feature:member"] == [1, 3, 1, 0]
    assert found.only.invalid == {"feature:member": {"type": 1}}


def test_one_member_may_serve_two_features_of_different_types() -> None:
    of = lifecycle(
        features={
            "income": {"type": "number", "path": "features.x"},
            "home": {"type": "category", "path": "features.x"},
        }
    )
    built = income_only(of, **{"feature:home": "category"})
    found = profiled(encode([event(features={"x": v}) for v in (5, "rent")]), of, built).only
    assert found.cells["feature:income"][0] == 1
    assert found.cells["feature:income"][-2] == 1
    assert found.cells["feature:home"] == [0, 1, 1, 0]


def test_a_segment_by_a_declared_category_is_still_decoded_in_one_call() -> None:
    of = lifecycle(segments=[{"name": "home", "path": "features.home"}])
    assert Topic(readings(of, NAMES, TYPES)).decode is not None
    built = reference(of, stream(2_000))
    found = profiled(encode([event(), event(features={"home": [1]})]), of, built)
    assert {key[2]: one.events for key, one in found.counted.items()} == {
        "home=(other)": 1,
        "home=rent": 1,
    }
