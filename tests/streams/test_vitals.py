"""Does the profiler count how a model runs, event by event, whatever way the event was read and in whatever batch?"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.operations import repeats
from detectors.operations.layout import (
    FEATURES,
    IDENTIFIED,
    LATENCY,
    MISSING,
    ODD,
    STATUS,
    TIMED,
    TOTAL,
    latencies,
)
from detectors.samples.effects import Ints
from streams.lifecycle import Lifecycle
from streams.messages import (
    MOST_NAMES,
    Summary,
    capped,
    decode_profile,
    unpack_cells,
    unpack_counts,
)
from streams.profiling.events import Topic, readings
from streams.profiling.profiler import Profiler
from streams.profiling.vitals import looked_at
from streams.topics import Names
from tests.builders import (
    NAMES,
    START_MS,
    batch,
    encode,
    event,
    lifecycle,
    profiler,
    reference,
    small,
    stream,
)


def counted(
    events: Sequence[Mapping[str, Any] | bytes],
    of: Lifecycle | None = None,
    *,
    cuts: Sequence[int] = (),
    topic: str = "leeway.predictions",
) -> list[Summary]:
    """What a profiler without a reference says, flushing at the cuts."""
    one, values = profiler((of or lifecycle(), small() if of is None else None)), encode(events)
    found: list[Summary] = []
    at = [0, *sorted(cuts), len(values)]
    for first, last in pairwise(at):
        if values[first:last]:
            one.step(batch(values[first:last], topic=topic))
        found += _summaries(one)
    return found


def _summaries(one: Profiler) -> list[Summary]:
    records = [
        decode_profile(r.value or b"") for r in one.flush().records if r.topic == NAMES("profiles")
    ]
    return [r for r in records if isinstance(r, Summary)]


def vector(found: Sequence[Summary]) -> Ints:
    """All of them added up, over one definition of segments."""
    total: Ints = np.sum(
        [unpack_counts(s.health, TOTAL) for s in found if s.definition == 0], axis=0
    )
    return total


def sample(found: Sequence[Summary]) -> repeats.Sample:
    return repeats.merged(repeats.unpack(s.repeats) for s in found if s.definition == 0)


def invalid(found: Sequence[Summary]) -> dict[str, dict[str, int]]:
    total: dict[str, Counter[str]] = {}
    for s in found:
        for name, reasons in s.invalid.items():
            total.setdefault(name, Counter()).update(reasons)
    return {name: dict(of) for name, of in total.items()}


def test_statuses_are_counted_and_one_that_nobody_knows_is_apart() -> None:
    statuses = ["ok", None, "error", "timeout", "timeout", "fallback", "OK", 7]
    found = counted([event(status=s) for s in statuses])
    assert vector(found)[STATUS].tolist() == [2, 1, 2, 1, 2]
    assert invalid(found)["status"] == {"status": 2}


def test_latencies_of_all_statuses_are_counted_and_bad_ones_are_odd() -> None:
    values = [0.05, 18.4, 18.4, 1e9, None, ..., -1, "fast", True]
    found = counted([event(latency_ms=v, status="error") for v in values])
    cells = vector(found)
    good = latencies(np.array([0.05, 18.4, 18.4, 1e9]))[0]
    assert (cells[LATENCY][:82] == good[:82]).all()
    assert (cells[ODD], cells[MISSING]) == (3, 2)
    assert invalid(found)["latency_ms"] == {"negative": 1, "type": 2}


def test_a_latency_that_is_a_feature_too_is_both_and_keeps_the_fast_way() -> None:
    of = lifecycle(features={"took": {"type": "number", "path": "latency_ms"}})
    (reading,) = readings(of, Names(), {"feature:took": "number"})
    assert reading.fast
    assert [w.name for w in reading.series] == ["feature:took"]
    built = reference(of, [event(START_MS + k, latency_ms=k % 50 + 0.5) for k in range(2_000)])
    one = profiler((of, built))
    one.step(batch(encode([event(latency_ms=v) for v in (5.0, -2.0, None)])))
    found = _summaries(one)
    assert vector(found)[[ODD, MISSING]].tolist() == [1, 1]
    assert (
        unpack_cells(found[0].cells)[: built.series[0].series.cells].sum() == 3
    )  # of the feature, the one below zero among them
    assert found[0].invalid == {"latency_ms": {"negative": 1}}


def test_ids_are_counted_and_unusable_ones_are_not() -> None:
    ids = ["a", "b", "a", "", 7, "x" * 257, ..., None, "é" * 200]
    found = counted([event(event_id=i) for i in ids])
    assert vector(found)[IDENTIFIED] == 4
    assert sorted(sample(found).times.tolist()) == [1, 1, 2]
    assert invalid(found)["event_id"] == {"event_id": 3}


@pytest.mark.parametrize("path", ["$key", "$headers.id", "meta[0]", {"const": "x"}, "timestamp"])
def test_an_id_that_is_no_key_of_its_own_makes_no_event_slower(path: Any) -> None:
    of = lifecycle(source={"predictions": {"fields": {"event_id": path}}})
    (reading,) = readings(of, Names(), {})
    assert reading.fast
    assert "event_id" not in reading.attribute


def test_feature_events_are_no_predictions() -> None:
    of = lifecycle(features={"income": {"type": "number", "from": "features", "freshness": "1h"}})
    one = {"model_id": "m", "timestamp": START_MS, "features": {"income": 1.0}}
    old = one | {"feature_timestamp": "2026-03-01T20:00:00Z"}
    found = counted([one, old], of, topic="leeway.features")
    assert vector(found)[STATUS].sum() == 0
    assert vector(found)[FEATURES] == 2
    assert vector(found)[TIMED].tolist() == [0, 1]
    assert found[0].violations == {"feature:income": {"stale": 1}}


@pytest.mark.parametrize("unit", ["ms", "s"])
def test_the_age_of_features_is_that_of_the_event_in_every_unit(unit: str) -> None:
    of = lifecycle(
        source={"predictions": {"timestamp_unit": unit}},
        features={"income": {"type": "number", "freshness": "1m"}, "home": "category"},
    )
    now = START_MS if unit == "ms" else START_MS // 1000
    second = 1000 if unit == "ms" else 1
    ages = [60, 61, -1, 0]
    events = [event(now, feature_timestamp=now - a * second) for a in ages]
    events.append(
        event(now, feature_timestamp={"income": now - 61 * second, "home": None, "x": 5 * now})
    )
    found = counted(events, of)
    assert found[0].violations == {
        "feature:income": {"stale": 2},
        "feature_timestamp": {"leak": 1},
    }
    assert "timestamp_unit" in invalid(found)["feature_timestamp"]


def names_in(found: Sequence[Summary]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for s in found:
        if s.definition == 0:
            total.update(s.names)
    return dict(total)


def test_features_that_nobody_declared_are_found_and_declared_ones_are_not() -> None:
    events = [e | {"features": {**e["features"], "debt": 1, "a\nb": 2}} for e in stream(4_000)]
    names = names_in(counted(events))
    assert set(names) == {"debt"}
    assert 10 <= names["debt"] <= 70  # one in 128


@pytest.mark.parametrize("declared", ["income", "a 'name'", "größe.2"])
@pytest.mark.parametrize("more", [{}, {"debt": 1}])
def test_names_are_told_apart_whatever_the_declared_ones_are_made_of(
    declared: str, more: dict[str, int]
) -> None:
    of = lifecycle(features={declared: "number"})
    events = [event(START_MS + k, features={declared: 1.0} | more) for k in range(2_000)]
    assert set(names_in(counted(events, of))) == set(more)


def test_where_the_whole_event_holds_the_features_our_own_fields_are_none() -> None:
    of = lifecycle(
        source={"predictions": {"fields": {"features": ".", "latency_ms": "took"}}},
        features={"income": "number"},
        segments=[{"name": "land", "path": "country"}],
    )
    fields = {"income": 1.0, "took": 3, "country": "DE", "event_id": "e", "extra": {"deep": 1}}
    events = [event(START_MS + k, features=..., **fields) for k in range(4_000)]
    assert set(names_in(counted(events, of))) == {"extra"}


def test_which_events_are_looked_at_does_not_hang_on_few_times() -> None:
    random = np.random.default_rng(0)
    values = [b"x" * int(n) for n in random.integers(200, 400, 20_000)]
    minutes = START_MS + random.integers(0, 2_000, 20_000) * 60_000
    every = START_MS + np.arange(20_000)
    for times in (minutes, every):
        assert 60 <= len(list(looked_at(times, values))) <= 320


def test_names_are_capped_alike_in_any_order() -> None:
    names = [f"n{k}" for k in range(3 * MOST_NAMES)]
    assert capped(dict.fromkeys(names, 1)) == capped(dict.fromkeys(reversed(names), 1))
    assert len(capped(dict.fromkeys(names, 1))) == MOST_NAMES


MESSY = [
    e
    | {
        "event_id": [f"e{k % 90}", None, ""][k % 3],
        "latency_ms": [3.0, None, -1][k % 3],
        "status": ["ok", "error", "?", None][k % 4],
        "feature_timestamp": [None, START_MS, {"income": START_MS + 10**9}][k % 3],
        "tags": {"country": ["DE", "FR", None][k % 3]},
    }
    for k, e in enumerate(stream(300, step_ms=700))
]


@given(st.lists(st.integers(0, 300), max_size=5), st.permutations(range(3)))
@settings(max_examples=20)
def test_any_split_into_batches_flushes_and_profilers_gives_the_same_counts(
    cuts: list[int], order: list[int]
) -> None:
    whole = counted(MESSY)
    parts = [s for part in order for s in counted(MESSY[part::3], cuts=cuts)]
    assert (vector(parts) == vector(whole)).all()
    assert repeats.pack(sample(parts)) == repeats.pack(sample(whole))
    assert invalid(parts) == invalid(whole)
    assert names_in(parts) == names_in(whole)


def test_segments_of_two_groupings_each_hold_every_event_once() -> None:
    of = lifecycle(segments=["country", {"name": "web"}])
    found = counted(MESSY, of)
    for number in (0, 1):
        of_one = [unpack_counts(s.health, TOTAL) for s in found if s.definition == number]
        assert (np.sum(of_one, axis=0) == vector(counted(MESSY))).all()
    by_other = repeats.merged(repeats.unpack(s.repeats) for s in found if s.definition == 1)
    assert repeats.pack(by_other) == repeats.pack(sample(found))


def test_careful_and_fast_reading_count_alike() -> None:
    slow = lifecycle(source={"predictions": {"fields": {"score": "scores[0]"}}})
    assert not readings(slow, Names(), {"score": "number"})[0].fast
    one, other = counted(MESSY), counted(MESSY, slow)
    assert (vector(one) == vector(other)).all()
    assert repeats.pack(sample(one)) == repeats.pack(sample(other))


def test_half_a_character_in_an_id_costs_the_id() -> None:
    value = json.dumps(event(event_id="\ud800")).encode()
    assert Topic(readings(lifecycle(), Names(), {})).read_one(value, None) is None
    found = counted([value, *encode([event(event_id="a")])])
    assert vector(found)[IDENTIFIED] == 1
    assert invalid(found)["event_id"] == {"event_id": 1}
