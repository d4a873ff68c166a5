"""How label events are read and counted: which ones are whole, what becomes of the others, what a defect costs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.performance.metrics import confusion, lags
from detectors.reference.build import Reference
from detectors.samples.effects import Ints
from detectors.sequences.contract import sample_from_data
from streams.broker import Outgoing
from streams.lifecycle import Lifecycle
from streams.messages import Outcomes, Progress, Summary, decode_profile, unpack_counts
from streams.outcomes import digest_of, layout_of, slices_of
from streams.profiling.profiler import Profiler
from tests.builders import (
    HOUR_MS,
    NAMES,
    START_MS,
    batch,
    encode,
    event,
    lifecycle,
    profiled,
    profiler,
    stream,
)
from tests.builders import reference as built_reference

DAY_MS = 24 * HOUR_MS
PREDICTED_MS = START_MS - HOUR_MS
WHOLE: Mapping[str, Any] = {"labels": {}, "join": False}
BINARY: Mapping[str, Any] = {"classes": ["no", "yes"], "positive": "yes"}


def label(**fields: Any) -> dict[str, Any]:
    """A whole label event of model `m`; a field given as `...` is left out."""
    written = {
        "event_id": "a",
        "model_id": "m",
        "model_version": "1.0.0",
        "timestamp": START_MS,
        "label": "yes",
        "prediction": "no",
        "score": 0.25,
        "prediction_timestamp": PREDICTED_MS,
    } | fields
    return {name: value for name, value in written.items() if value is not ...}


def of_labels(**keys: Any) -> Lifecycle:
    return lifecycle(**({"source": WHOLE, "prediction": BINARY} | keys))


@dataclass
class Counted:
    """What the records say of one version and segment in one pane, added up."""

    outcomes: int = 0
    corrected: int = 0
    cells: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    days: dict[int, Ints] = field(default_factory=dict)
    slices: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    values: list[tuple[str, int, float]] = field(default_factory=list)
    invalid: dict[str, dict[str, int]] = field(default_factory=dict)

    def as_data(self) -> object:
        days = {day: vector.tolist() for day, vector in sorted(self.days.items())}
        return (
            *(self.outcomes, self.corrected, self.cells.tolist(), days, self.slices.tolist()),
            *(sorted(self.values), self.invalid),
        )


@dataclass
class Done:
    """Everything a profiler gave out for some events."""

    of: Lifecycle
    built: Reference | None
    counted: dict[tuple[str, str, int], Counted] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
    progress: list[Progress] = field(default_factory=list)
    events: int = 0  # counted in summaries

    @property
    def only(self) -> Counted:
        (one,) = self.counted.values()
        return one

    @property
    def confusion(self) -> dict[str, dict[str, int]]:
        found = confusion(layout_of(self.of, self.built), self.only.cells)
        kept = {a: {p: n for p, n in of.items() if n} for a, of in found.items()}
        return {actual: of for actual, of in kept.items() if of}

    def add(self, records: Sequence[Outgoing]) -> None:
        for record in records:
            if record.topic == NAMES("dead-letters"):
                self.reasons.append(dict(record.headers)["leeway.reason"].decode())
                continue
            found = decode_profile(record.value or b"")
            if isinstance(found, Outcomes):
                self._add(found)
            elif isinstance(found, Progress):
                self.progress.append(found)
            elif isinstance(found, Summary):
                self.events += found.events

    def _add(self, found: Outcomes) -> None:
        layout = layout_of(self.of, self.built)
        slices = slices_of(self.of, self.built, layout)
        assert found.digest == digest_of(layout, slices)
        into = self.counted.setdefault(
            (found.model_version, found.segment, found.pane_start_ms),
            Counted(
                cells=np.zeros(layout.total, np.int64),
                slices=np.zeros(slices.total if slices else 0, np.int64),
            ),
        )
        into.outcomes += found.outcomes
        into.corrected += found.corrected
        into.cells += unpack_counts(found.cells, layout.total)
        into.slices += unpack_counts(found.slices, len(into.slices))
        for day, packed in found.days.items():
            into.days[day] = into.days.get(day, 0) + unpack_counts(packed, layout.total)
        if found.values:
            entries = sample_from_data(found.values).entries
            into.values += [(e.event_id, e.time_ms, e.value) for e in entries]
        for name, reasons in found.invalid.items():
            for reason, n in reasons.items():
                of = into.invalid.setdefault(name, {})
                of[reason] = of.get(reason, 0) + n


def counted(
    events: Sequence[Mapping[str, Any] | bytes],
    of: Lifecycle | None = None,
    built: Reference | None = None,
    *,
    topic: str = "leeway.labels",
    per_batch: int = 1000,
    per_flush: int = 1000,
) -> Done:
    """What becomes of label events in a profiler."""
    of = of or of_labels()
    done, values = Done(of, built), encode(events)
    one: Profiler = profiler((of, built))
    for first in range(0, len(values), per_flush):
        for start in range(first, min(first + per_flush, len(values)), per_batch):
            part = values[start : min(start + per_batch, first + per_flush)]
            one.step(batch(part, topic=topic, first_offset=start))
        done.add(one.flush().records)
    return done


# ------------------------------------------------------------------------------------------ what is whole


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"event_id": ...},
        {"score": ...},
        {"prediction": ...},
        {"label": ..., "prediction": ..., "score": ..., "loss": 0.5, "event_id": ...},
        {"prediction": ..., "score": ..., "scores": {"no": 0.9, "yes": 0.1}},
    ],
)
def test_a_label_that_says_what_was_predicted_and_a_loss_need_nothing_else(
    fields: Mapping[str, Any],
) -> None:
    done = counted([label(**fields)])
    assert (done.only.outcomes, done.reasons) == (1, [])


@pytest.mark.parametrize("join", [False, {}])
@pytest.mark.parametrize(
    "fields",
    [
        {"label": ...},
        {"label": None},
        {"label": ..., "loss": None},
        {"prediction": ..., "score": ..., "event_id": ...},
        {"prediction": None, "score": None, "event_id": ""},
        {"prediction": ..., "score": ..., "event_id": 7},
        {"prediction": ..., "score": ..., "event_id": "x" * 257},
    ],
)
def test_a_label_that_nobody_can_ever_use_is_a_dead_letter(
    fields: Mapping[str, Any], join: Any
) -> None:
    done = counted([label(**fields)], of_labels(source={"labels": {}, "join": join}))
    assert (done.counted, done.reasons) == ({}, ["label_incomplete"])


@pytest.mark.parametrize("named", [True, False])
def test_a_label_that_must_be_joined_is_left_to_the_joiner_and_moves_time_on(named: bool) -> None:
    bare = label(prediction=..., score=..., model_id="m" if named else ...)
    done = counted([bare], of_labels(source={"labels": {}}))
    assert (done.counted, done.reasons) == ({}, [])
    (progress,) = done.progress
    assert [report.highest_ms for report in progress.reports] == [START_MS]


def test_without_a_joiner_a_label_that_must_be_joined_is_a_dead_letter() -> None:
    assert counted([label(prediction=..., score=...)]).reasons == ["label_incomplete"]
    assert counted([label(prediction=..., score=..., model_id=...)]).reasons == ["model_id"]


@pytest.mark.parametrize("model_id", ["a model", 7, ""])
def test_a_label_whose_model_has_no_legal_name_is_a_dead_letter(model_id: object) -> None:
    done = counted([label(model_id=model_id)], of_labels(source={"labels": {}}))
    assert done.reasons == ["model_id"]


def test_labels_of_all_sorts_in_one_batch_are_told_apart() -> None:
    events: list[dict[str, Any] | bytes] = [
        label(),
        label(model_id=..., prediction=..., score=...),
        b"{",
        label(prediction=..., score=...),
        label(label=None),
        label(model_id="other"),
        label(label="no"),
    ]
    done = counted(events, of_labels(source={"labels": {}}))
    assert done.only.outcomes == 2
    assert sorted(done.reasons) == ["label_incomplete", "not_json"]


def test_labels_and_predictions_may_share_a_topic() -> None:
    of = of_labels(source={"labels": {"topic": "leeway.predictions"}, "join": False})
    both = event() | {"label": "yes", "event_id": "a"}
    done = counted([both, event(), event()], of, topic="leeway.predictions")
    assert (done.only.outcomes, done.events, done.reasons) == (1, 3, [])


def test_a_profiler_reads_labels_and_outcomes_only_where_a_lifecycle_does() -> None:
    def topics(of: Lifecycle) -> tuple[str, ...]:
        return profiler((of, None)).topics

    assert topics(lifecycle()) == ("leeway.predictions",)
    assert topics(of_labels()) == ("leeway.labels", "leeway.predictions")
    assert topics(of_labels(source={"labels": {}})) == (
        *("leeway.labels", "leeway.outcomes", "leeway.predictions"),
    )


# --------------------------------------------------------------------------------------- what is counted


def test_a_label_counts_when_it_became_known_and_on_the_day_of_its_prediction() -> None:
    done = counted([label(), label(label="no")])
    ((version, segment, pane_ms),) = done.counted
    assert (version, segment, pane_ms) == ("1.0.0", "all", START_MS)
    assert done.confusion == {"no": {"no": 1}, "yes": {"no": 1}}
    assert lags(layout_of(done.of, None), done.only.cells)[3] == 2  # within an hour
    (day,) = done.only.days
    assert day == START_MS - DAY_MS  # predicted the day before
    assert (done.only.days[day] == done.only.cells).all()


def test_a_label_without_the_time_of_its_prediction_is_of_no_day() -> None:
    done = counted([label(prediction_timestamp=...)])
    assert (done.only.outcomes, done.only.days) == (1, {})
    assert lags(layout_of(done.of, None), done.only.cells)[-1] == 1


def test_a_label_without_a_version_is_of_the_current_one() -> None:
    done = counted([label(model_version=...), label(model_version="0.9"), label(model_version="?")])
    assert {version: one.outcomes for (version, _, _), one in done.counted.items()} == {
        "1.0.0": 2,
        "0.9": 1,
    }
    assert done.counted["1.0.0", "all", START_MS].invalid == {"model_version": {"model_version": 1}}


def test_a_label_older_than_its_prediction_is_not_used() -> None:
    done = counted([label(prediction_timestamp=START_MS + 1)])
    assert done.only.outcomes == 0
    assert done.only.invalid == {"label": {"label_before_prediction": 1}}


def test_a_label_that_is_not_sure_enough_is_not_used() -> None:
    of = of_labels(monitoring={"labels": {"min_confidence": 0.8}})
    done = counted([label(label_confidence=c) for c in (0.79, 0.8, 1, ...)], of)
    assert done.only.outcomes == 3
    assert done.only.invalid == {"label": {"uncertain": 1}}


@pytest.mark.parametrize(
    ("fields", "field_", "reason", "used"),
    [
        ({"label": [1]}, "label", "type", 0),
        ({"label": "x" * 257}, "label", "too_long", 0),
        ({"prediction": {}}, "prediction", "type", 1),
        ({"score": "high"}, "score", "type", 1),
        ({"loss": 1.5}, "loss", "range", 1),
        ({"label_confidence": "sure"}, "label_confidence", "type", 1),
        ({"prediction_timestamp": 1772434693}, "prediction_timestamp", "timestamp_unit", 1),
        ({"event_id": 7}, "event_id", "event_id", 1),
    ],
)
def test_a_bad_field_costs_that_field(
    fields: Mapping[str, Any], field_: str, reason: str, used: int
) -> None:
    done = counted([label(**fields)])
    assert (done.only.outcomes, done.reasons) == (used, [])
    assert done.only.invalid == {field_: {reason: 1}}


def test_what_is_wrong_with_a_label_that_the_joiner_takes_is_not_counted_twice() -> None:
    bare = label(prediction=..., score=..., label_confidence="sure")
    assert counted([bare], of_labels(source={"labels": {}})).counted == {}


def test_a_class_nobody_declared_is_right_where_it_was_predicted() -> None:
    done = counted([label(label="maybe", prediction="maybe"), label(label="maybe", prediction="x")])
    layout = layout_of(done.of, None)
    assert layout.read(done.only.cells, "right").tolist() == [1]


def test_booleans_and_whole_numbers_are_the_classes_of_their_json_text() -> None:
    booleans = of_labels(prediction={"classes": [True, False], "positive": True})
    done = counted(
        [label(label=True, prediction=False), label(label=False, prediction=False)], booleans
    )
    assert done.confusion == {"true": {"false": 1}, "false": {"false": 1}}
    numbers = of_labels(prediction={"classes": [0, 1], "positive": 1})
    done = counted([label(label=1, prediction=0), label(label=1, prediction="1")], numbers)
    assert done.confusion == {"1": {"0": 1, "1": 1}}


def test_numbers_are_counted_by_their_error() -> None:
    of = lifecycle(source=WHOLE, metadata={"model_type": "Regression"})
    done = counted(
        [label(label=3, prediction=2.5), label(label=0.5, prediction=2), label(label="3")], of
    )
    layout = layout_of(of, None)
    assert layout.read(done.only.cells, "number").tolist() == [2, 0, 2]
    assert done.only.invalid["label"] == {"type": 1}


def test_a_model_known_by_feedback_alone_counts_losses() -> None:
    of = lifecycle(source=WHOLE, metadata={"model_type": "LLM"})
    bare = {"prediction": ..., "score": ..., "label": ...}
    done = counted([label(loss=0.25, **bare), label(loss=1, **bare), label()], of)
    layout = layout_of(of, None)
    assert done.only.outcomes == 2
    assert layout.read(done.only.cells, "feedback").tolist()[:2] == [2, 5 << 18]


def test_labels_are_mapped_as_predictions_are() -> None:
    fields = {
        "event_id": "ref.id",
        "timestamp": "known_at",
        "label": "truth",
        "prediction": "was.said",
        "prediction_timestamp": "was.at",
        "model_id": {"const": "m"},
    }
    source = {"fields": fields, "timestamp_unit": "s", "filter": {"kind": "final"}}
    of = of_labels(source={"labels": source, "join": False})
    written = {
        "kind": "final",
        "ref": {"id": "a"},
        "known_at": START_MS // 1000,
        "truth": "yes",
        "was": {"said": "yes", "at": "2026-03-01T23:00:00Z"},
    }
    done = counted([written, written | {"kind": "draft"}], of)
    assert done.confusion == {"yes": {"yes": 1}}
    assert list(done.only.days) == [START_MS - DAY_MS]


# ------------------------------------------------------------------------- segments, slices, corrections


def test_a_label_is_in_its_own_segment_of_every_grouping() -> None:
    of = of_labels(segments=["country", "channel"])
    rows = stream(400, start_ms=START_MS - 2 * HOUR_MS)
    for i, row in enumerate(rows):
        row["tags"] = {"country": "DE" if i % 2 else "FR", "channel": "web"}
    built = built_reference(of, rows)
    tags = [{"country": "DE", "channel": "web"}, {"country": "FR"}, {"country": "XX"}, ...]
    done = counted([label(tags=one) for one in tags], of, built)
    assert {segment: one.outcomes for (_, segment, _), one in done.counted.items()} == {
        "country=DE": 1,
        "country=FR": 1,
        "country=(other)": 1,
        "country=(none)": 1,
        "channel=web": 1,
        "channel=(none)": 3,
    }


def test_errors_are_told_apart_by_the_features_that_come_along() -> None:
    of = of_labels()
    built = built_reference(of, stream(2_000, start_ms=START_MS - 2 * HOUR_MS))
    features = {"income": 0.1, "home": "rent"}
    done = counted(
        [label(features=features), label(features=features, label="no"), label()], of, built
    )
    assert done.only.outcomes == 3
    assert done.only.slices[:2].tolist() == [2, 1]  # rows with features, and errors


def test_a_correction_takes_the_former_outcome_back() -> None:
    of = of_labels(source={"labels": {}})
    rows = [label(weight=1), label(weight=-1), label(weight=1, label="no")]
    done = counted(rows, of, topic="leeway.outcomes")
    assert (done.only.outcomes, done.only.corrected) == (1, 1)
    assert done.confusion == {"no": {"no": 1}}
    assert counted([label(weight=-1)]).only.outcomes == 1  # nobody but the joiner takes back


def test_outcomes_keep_our_names_whatever_the_labels_are_mapped_to() -> None:
    fields = {"event_id": "id", "label": "truth", "model_id": {"const": "m"}}
    of = of_labels(source={"labels": {"fields": fields, "timestamp_unit": "s"}})
    assert counted([label()], of, topic="leeway.outcomes").only.outcomes == 1


def test_outcomes_of_predictions_count_by_their_time_once_they_must_mature() -> None:
    of = of_labels(monitoring={"labels": {"maturity": "1h"}})
    rows = [label(), label(timestamp=START_MS + 1), label(prediction_timestamp=...)]
    done = counted(rows, of)
    assert done.counted["1.0.0", "all", PREDICTED_MS].outcomes == 1  # one came in time
    (day,) = done.counted["1.0.0", "all", PREDICTED_MS].days.values()
    assert layout_of(of, None).read(day, "rows").tolist() == [2]  # the other counts for its day
    late = done.counted["1.0.0", "all", START_MS]
    assert late.outcomes == 0
    assert late.invalid == {"prediction_timestamp": {"missing": 1}}


def test_errors_are_given_out_one_by_one_only_where_a_method_reads_them() -> None:
    rows = [
        label(event_id="a"),
        label(event_id="b", label="no"),
        label(event_id="c", score=..., label=..., loss=0.5),
    ]
    assert counted(rows).only.values == []
    concept = {"drift_detection": {"concept_drift": {"method": ["ADWIN"]}}}
    done = counted(rows, of_labels(monitoring=concept))
    assert sorted(done.only.values) == [
        ("a", START_MS, 1.0),
        ("b", START_MS, 0.0),
        ("c", START_MS, 0.5),
    ]


# ------------------------------------------------------------------------------- the same, however it comes

values: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(["yes", "no", "maybe", "x" * 257, 1, True, 0.5, None]), st.just([]), st.just({})
)
numbers = st.sampled_from([0, 0.25, 1, 1.5, -1, "high", True, None, 10**400])
some_labels = st.fixed_dictionaries(
    {"timestamp": st.sampled_from([START_MS, START_MS + 60_000, START_MS + DAY_MS])},
    optional={
        "model_id": st.sampled_from(["m", "other", None, 7]),
        "event_id": st.sampled_from(["a", "b", "", None, 3]),
        "model_version": st.sampled_from(["1.0.0", "0.9", "?", None, 1]),
        "label": values,
        "prediction": values,
        "score": numbers,
        "loss": numbers,
        "label_confidence": numbers,
        "prediction_timestamp": st.sampled_from(
            [PREDICTED_MS, START_MS + 1, None, 5, "2026-03-01T23:00:00Z", "2026-03-01"]
        ),
        "tags": st.fixed_dictionaries(
            {}, optional={"country": st.sampled_from(["DE", 1, True, None])}
        ),
        "features": st.fixed_dictionaries({}, optional={"income": numbers, "home": values}),
    },
)


@cache
def everything() -> tuple[Lifecycle, Reference]:
    """A lifecycle that asks for all there is, and its reference."""
    of = of_labels(
        source={"labels": {}},
        segments=["country"],
        features={"income": "number", "home": "category", "age": "integer"},
        monitoring={
            "labels": {"min_confidence": 0.5},
            "drift_detection": {"concept_drift": {"method": ["DDM"]}},
        },
    )
    past = stream(500, start_ms=START_MS - HOUR_MS)
    for i, row in enumerate(past):
        row["features"]["age"] = i % 7
    return of, built_reference(of, past)


@given(st.lists(some_labels, min_size=1, max_size=12), st.integers(1, 12), st.integers(1, 12))
@settings(max_examples=60)
def test_any_labels_count_the_same_alone_and_in_any_batches(
    rows: list[dict[str, Any]], per_batch: int, per_flush: int
) -> None:
    of, built = everything()
    events = [json.dumps(row).encode() for row in rows]
    together = counted(events, of, built)
    split = counted(events, of, built, per_batch=per_batch, per_flush=per_flush)
    alone = counted(events, of, built, per_batch=1, per_flush=1)
    assert sorted(together.reasons) == sorted(split.reasons) == sorted(alone.reasons)
    data = {key: one.as_data() for key, one in sorted(together.counted.items())}
    assert data == {key: one.as_data() for key, one in sorted(split.counted.items())}
    assert data == {key: one.as_data() for key, one in sorted(alone.counted.items())}


@given(some_labels)
@settings(max_examples=100)
def test_the_careful_path_counts_what_the_fast_one_does(row: dict[str, Any]) -> None:
    fast = of_labels(source={"labels": {}}, segments=["country"])
    # a filter cannot be read fast; this one keeps everything
    slow = of_labels(source={"labels": {"filter": {"nothing": None}}}, segments=["country"])
    written = json.dumps(row).encode()
    quick, careful = counted([written], fast), counted([written], slow)
    assert quick.reasons == careful.reasons
    assert {k: v.as_data() for k, v in quick.counted.items()} == {
        k: v.as_data() for k, v in careful.counted.items()
    }


@given(
    st.lists(
        st.fixed_dictionaries({}, optional={"income": numbers, "home": values, "age": numbers}),
        min_size=1,
        max_size=20,
    )
)
@settings(max_examples=40)
def test_a_feature_is_in_the_cell_that_predictions_count_it_in(rows: list[dict[str, Any]]) -> None:
    of, built = everything()
    present = [{k: v for k, v in row.items() if v is not None} | {"income": 0.5} for row in rows]
    done = counted([json.dumps(label(features=row)).encode() for row in present], of, built)
    said = [json.dumps(event(features=row)).encode() for row in present]
    cells = profiled(said, of, built).only.cells
    slices = slices_of(of, built, layout_of(of, built))
    assert slices is not None
    for number, one in enumerate(slices.series):
        first = int(slices.starts[number])
        mine = done.only.slices.reshape(-1, 2)[first : first + one.cells, 0]
        assert mine.tolist() == cells[one.name], one.name
