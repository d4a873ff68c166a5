"""Is a reference built from exactly what production will read?"""

import json
from itertools import chain
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.binning import Binner, Column
from detectors.reference.build import from_document, to_document
from streams.profiling.columns import MOST_LABELS, columns
from tests.builders import START_MS, encode, event, lifecycle, profiled, reference, small, stream
from tests.streams.test_events import TABLE


def test_columns_come_in_the_order_features_prediction_score() -> None:
    read = columns(lifecycle(), encode(stream(10)))
    assert [c.name for c in read.columns] == [
        "feature:income",
        "feature:home",
        "prediction",
        "score",
    ]
    assert len(read.times_ms) == 10


def test_what_production_would_reject_is_not_in_the_reference() -> None:
    values = [TABLE[name][0] or b"" for name in sorted(TABLE)]
    read = columns(lifecycle(), values)
    found = profiled(values)
    failed = read.rejected.pop("status")
    assert (
        failed == 3
    )  # events without an output: a model that failed says nothing about its inputs
    assert sorted(read.rejected.elements()) == sorted(found.reasons)
    assert len(read.times_ms) + failed == sum(one.events for one in found.counted.values())


@settings(max_examples=30)
@given(st.lists(st.sampled_from(sorted(TABLE)), min_size=1, max_size=40))
def test_columns_fall_into_the_same_cells_as_events_do(names: list[str]) -> None:
    values = [TABLE[name][0] or b"" for name in names if "status" not in name]
    read = columns(lifecycle(), values)
    series = [r.series for r in small().series]
    have = {c.name: c for c in read.columns if isinstance(c, Column)}
    if len(have) < len(series):  # an output that no event has is left out
        return
    binned = Binner(series).count([have[s.name] for s in series]).cells[0].tolist()
    found = profiled(values, lifecycle(), small())
    per_series = [[*chain(*one.cells.values())] for one in found.counted.values()]
    assert binned == np.sum(per_series, axis=0).tolist()


def test_an_output_that_no_event_has_is_left_out() -> None:
    read = columns(lifecycle(), encode([event(prediction=..., score=None)] * 3))
    assert [c.name for c in read.columns] == ["feature:income", "feature:home"]


@pytest.mark.parametrize(
    ("outputs", "type_"),
    [
        (["yes", "no", "yes"], "category"),
        ([0, 1, 1], "category"),
        ([True, False, True], "category"),
        ([0.25, 1, 3.5], "number"),
        (list(range(MOST_LABELS + 1)), "number"),
        (list(range(MOST_LABELS)), "category"),
        ([0.5, "yes"], "category"),
        ([0.5, True], "category"),
    ],
)
def test_the_type_of_an_undeclared_output_is_told_from_its_values(
    outputs: list[object], type_: str
) -> None:
    read = columns(lifecycle(), encode([event(prediction=value) for value in outputs]))
    (found,) = [c for c in read.columns if c.name == "prediction"]
    assert found.type == type_


@pytest.mark.parametrize(
    ("keys", "type_"),
    [
        ({"prediction": {"classes": ["true", "false"]}}, "boolean"),
        ({"prediction": {"classes": ["1", "2"]}}, "category"),
        ({"metadata": {"model_type": "Regression"}}, "number"),
    ],
)
def test_a_declared_output_has_its_declared_type(keys: dict[str, Any], type_: str) -> None:
    read = columns(lifecycle(**keys), encode([event(prediction=1)]))
    assert [c.type for c in read.columns if c.name == "prediction"] == [type_]


def test_values_of_the_wrong_type_are_odd_and_null_is_missing() -> None:
    values: list[object] = [1, "x", None, True, []]
    rows = [event(features={"income": v, "home": v}) for v in values]
    income, home = columns(lifecycle(), encode(rows)).columns[:2]
    assert income.odd.tolist() == [False, True, False, True, True]
    assert np.isnan(income.values[2])  # type: ignore[arg-type]
    assert home.values[:4] == ["1", "x", None, "true"]
    assert home.odd.tolist() == [False, False, False, False, True]


def test_events_of_others_are_rejected_by_the_reason() -> None:
    of = lifecycle(source={"predictions": {"filter": {"kind": "p"}}})
    values = encode([event(kind="p"), event(kind="x"), event(kind="p", model_id="other")])
    read = columns(of, [*values, b"{"])
    assert dict(read.rejected) == {"filtered": 1, "unregistered": 1, "not_json": 1}
    assert len(read.times_ms) == 1


def test_feature_events_have_no_outputs() -> None:
    of = lifecycle(features={"income": {"type": "number", "from": "features"}, "home": "category"})
    read = columns(of, encode([event()]), "features")
    assert [c.name for c in read.columns] == ["feature:income"]


@settings(max_examples=25)
@given(st.lists(st.text(max_size=8), min_size=1, max_size=6))
def test_a_reference_of_any_texts_can_be_written_down(texts: list[str]) -> None:
    of = lifecycle(segments=["country"])
    rows = [
        json.dumps(event(START_MS + i, features={"home": t}, tags={"country": t})).encode()
        for i, t in enumerate(texts * 20)
    ]
    rows.append(json.dumps(event(features={"home": "\ud800"}, tags={"country": "\ud800"})).encode())
    read = columns(of, rows)
    assert read.segments["country"][-1] == "country=(none)"
    built = reference(of, [json.loads(r) for r in rows[:-1]])
    assert from_document(json.loads(json.dumps(to_document(built)))) == built
