"""Reference and current side by side: the right cells, the right names, and no value of personal data."""

import json
from typing import Any

import pytest

from detectors.reference.document import to_document
from streams.broker import Record
from streams.views.distribution import Distribution, distribution
from streams.views.places import Elsewhere
from streams.views.read import ReadModel
from tests.streams.fleet import Fleet, records
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

CELLS = {"type": "number", "edges": [10.0, 20.0], "counts": [50, 30, 20], "odd": 0, "missing": 5}


def reference(**more: Any) -> dict[str, Any]:
    return {
        "reference_id": "loans-2025-12",
        "model_version": "1.0.0",
        "built_from": {"events": 105},
        "series": {"feature:income": CELLS},
    } | more


def read_of(
    counts: list[int],
    *,
    segment: str = "all",
    of: dict[str, Any] | None = None,
    registered: bool = True,
    **keys: Any,
) -> ReadModel:
    written = [
        record("models", "reference|loans|loans-2025-12", of or reference()),
        told("results", result(0, segment=segment, found=[series(counts=counts)])),
    ]
    if registered:
        written.append(record("models", "lifecycle|loans", lifecycle(**keys)))
    return read_model(*written)


def drawn(read: ReadModel, segment: str = "all", **how: Any) -> Distribution | None:
    return distribution(read, "loans", "1.0.0", segment, "feature:income", **how)


def test_shares_add_up_and_what_is_missing_is_apart() -> None:
    features = {"income": {"type": "number", "unit": "EUR", "description": "a year"}}
    found = drawn(read_of([1, 2, 1, 0, 4], features=features))
    assert found is not None
    assert found.labels == ("up to 10", "10 to 20", "above 20")
    assert found.reference == (0.5, 0.3, 0.2)
    assert found.current == (0.25, 0.5, 0.25)
    assert (found.n_reference, found.n_current) == (100, 4)
    assert (found.missing_reference, found.missing_current) == (5 / 105, 0.5)
    assert (found.ordered, found.unit, found.description) == (True, "EUR", "a year")


def test_what_fits_no_cell_is_shown_where_there_is_any() -> None:
    found = drawn(read_of([1, 2, 1, 4, 0]))
    assert found is not None
    assert found.labels[-1] == "invalid"
    assert (found.reference[-1], found.current[-1]) == (0.0, 0.5)


def test_values_of_personal_data_are_never_named() -> None:
    for keys in ({"privacy": {"pii": ["income"]}}, {"registered": False}):
        found = drawn(read_of([1, 2, 1, 0, 4], **keys))
        assert found is not None
        assert found.labels == ("bin 1 of 3", "bin 2 of 3", "bin 3 of 3")
        assert found.concealed
    read = fleet(1, 12, 1)
    codes = distribution(read, "loan-default", "1.0.0", "all", "feature:postcode")
    assert codes is not None
    assert not {"1000", "1100", "2000", "4000", "4700"} & set(codes.labels)


def test_a_segment_is_held_against_its_own_reference() -> None:
    parts = {"segments": {"c=1": {"events": 10, "counts": {"feature:income": [1, 1, 2, 0, 0]}}}}
    read = read_of([1, 2, 1, 0, 0], segment="c=1", of=reference(**parts))
    found = drawn(read, "c=1")
    assert found is not None
    assert found.reference == (0.25, 0.25, 0.5)
    unknown = read_of([1, 2, 1, 0, 0], segment="c=2", of=reference(**parts))
    assert drawn(unknown, "c=2") is None


def test_a_season_is_read_from_the_log_and_gives_the_slot_of_the_window() -> None:
    slots = {"0": {"windows": 4, "events": 8, "counts": {"feature:income": [0, 0, 8, 0, 0]}}}
    season = {"name": "hour_of_week", "timezone": "UTC", "slots": slots, "segments": {}}
    read = read_of([1, 2, 1, 0, 0], of=reference(season=season))
    with pytest.raises(Elsewhere) as elsewhere:
        drawn(read)
    (place,) = elsewhere.value.places
    found = drawn(read, recalled={place: json.dumps(reference(season=season)).encode()})
    assert found is not None
    assert found.reference == (0.0, 0.0, 1.0), "the first window is a Monday's first hour"
    assert found.slot == 0
    gone = drawn(read, recalled={place: None})
    assert gone is not None
    assert gone.reference == (0.5, 0.3, 0.2)


def test_where_nothing_was_counted_or_known_there_is_nothing_to_draw() -> None:
    assert drawn(read_of([])) is None
    assert drawn(read_of([1, 2, 3])) is None, "cells of another reference"
    read = read_of([1, 2, 1, 0, 0])
    assert drawn(read, end_ms=1) is None
    assert distribution(read, "loans", "1.0.0", "all", "feature:other") is None
    assert distribution(read, "nobody", "1.0.0", "all", "feature:income") is None
    assert read.reference_document("loans", "none") is None
    kept = read.reference_document("loans", "loans-2025-12")
    assert kept["series"]["feature:income"]["counts"] == CELLS["counts"]


def test_a_window_that_only_the_log_has_is_drawn_from_what_is_recalled() -> None:
    of = Fleet(1, 50, 1, NOW_MS)
    log: list[Record] = list(records(of))
    read = fleet(1, 50, 1)
    model = of.made[0]
    past = next(p for s, p in read.results[model.id].items() if s.scope == "inputs")
    with pytest.raises(Elsewhere) as elsewhere:
        distribution(read, model.id, "1.0.0", "all", "feature:income", past[0].end_ms)
    (place,) = elsewhere.value.places
    (wanted,) = (r for r in log if (r.topic, r.partition, r.offset) == (*place[0], place[1]))
    recalled = {place: wanted.value}
    found = distribution(read, model.id, "1.0.0", "all", "feature:income", past[0].end_ms, recalled)
    assert found is not None
    assert found.end_ms == past[0].end_ms
    assert to_document(model.reference)["series"]["feature:income"]["counts"][0] / 50_000 == (
        pytest.approx(found.reference[0], rel=1e-3)
    )
