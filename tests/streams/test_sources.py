import csv
import gzip
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.errors import UsageError
from streams.lifecycle import Lifecycle, load
from streams.offline.selection import Where, parse_kind, parse_where
from streams.offline.sources import Source, in_plain_shape, open_source, source_topics
from streams.profiling.columns import columns
from streams.topics import Names
from tests.builders import START_MS
from tests.builders import lifecycle as made

NOON_MS = 1_772_452_800_000  # 2026-03-02 12:00 UTC
LIFECYCLE = """
model_lifecycle:
  model_id: loans
  version: "1.0"
  prediction: {classes: [yes, "no"], positive: yes}
  features: {income: number, lines: integer, home: category, employed: boolean}
  segments: [country]
"""


@pytest.fixture
def lifecycle() -> Lifecycle:
    return loaded(LIFECYCLE)


def loaded(text: str) -> Lifecycle:
    (found,) = load(text, "test.yaml")
    return found


def row(**fields: Any) -> dict[str, Any]:
    return {
        "timestamp": datetime(2026, 3, 2, 12, tzinfo=UTC),
        "income": 41200.5,
        "lines": 3,
        "home": "rent",
        "employed": True,
        "country": "DE",
        "score": 0.25,
        "prediction": "yes",
    } | fields


def parquet(directory: Path, rows: Sequence[Mapping[str, Any]], **types: Any) -> str:
    table = pa.Table.from_pylist(list(rows))
    for name, kind in types.items():
        at = table.schema.get_field_index(name)
        table = table.set_column(at, name, table.column(name).cast(kind))
    path = directory / "rows.parquet"
    pq.write_table(table, path, row_group_size=3)
    return str(path)


def csv_file(directory: Path, header: Sequence[str], *rows: Sequence[str]) -> str:
    path = directory / "rows.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return str(path)


def lines(directory: Path, *events: bytes | dict[str, Any], name: str = "events.jsonl") -> str:
    path = directory / name
    encoded = [e if isinstance(e, bytes) else json.dumps(e).encode() for e in events]
    content = b"".join(event + b"\n" for event in encoded)
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return str(path)


def events_of(source: Source) -> list[dict[str, Any]]:
    return [json.loads(event) for chunk in source.chunks() for event in chunk.events]


def test_a_parquet_row_becomes_the_event_a_producer_would_have_sent(
    tmp_path: Path, lifecycle: Lifecycle
) -> None:
    name = parquet(tmp_path, [row(event_id="a", label="no", label_timestamp=datetime.now(UTC))])
    assert events_of(open_source(name, [lifecycle])) == [
        {
            "event_id": "a",
            "model_id": "loans",
            "timestamp": NOON_MS,
            "prediction": "yes",
            "score": 0.25,
            "features": {"income": 41200.5, "lines": 3, "home": "rent", "employed": True},
            "tags": {"country": "DE"},
        }
    ]


def test_nan_and_null_are_absent_and_infinity_is_no_number(
    tmp_path: Path, lifecycle: Lifecycle
) -> None:
    rows = [row(income=value) for value in (math.nan, None, math.inf)]
    source = open_source(parquet(tmp_path, rows), [lifecycle])
    raw = [event for chunk in source.chunks() for event in chunk.events]
    assert [b'"income"' in event for event in raw] == [False, False, True]
    assert b"1e999" in raw[2]
    income = columns(source.lifecycles[0], raw).columns[0]
    assert [value != value for value in income.values] == [True, True, True]


@pytest.mark.parametrize(
    "kind",
    [
        pa.timestamp("s"),
        pa.timestamp("ns"),
        pa.timestamp("us", "UTC"),
        pa.timestamp("ms", "Europe/Berlin"),
    ],
    ids=str,
)
def test_a_time_of_any_unit_and_zone_is_the_same_moment(
    tmp_path: Path, lifecycle: Lifecycle, kind: pa.DataType
) -> None:
    name = parquet(tmp_path, [row()], timestamp=kind)
    assert events_of(open_source(name, [lifecycle]))[0]["timestamp"] == NOON_MS


@pytest.mark.parametrize(
    "written",
    ["2026-03-02T12:00:00Z", "2026-03-02 12:00:00", "2026-03-02T13:00:00+01:00", str(NOON_MS)],
)
def test_a_written_time_is_read_in_its_zone_and_without_one_as_utc(
    tmp_path: Path, lifecycle: Lifecycle, written: str
) -> None:
    name = csv_file(tmp_path, ["timestamp", "income"], [written, "1"])
    assert events_of(open_source(name, [lifecycle]))[0]["timestamp"] == NOON_MS


def test_whole_numbers_that_a_table_keeps_as_floats_are_integers_again(
    tmp_path: Path, lifecycle: Lifecycle
) -> None:
    rows = [row(lines=4.0, home=7.0), row(lines=None, home=None), row(lines=4.5, home=None)]
    found = events_of(open_source(parquet(tmp_path, rows), [lifecycle]))
    assert [event["features"].get("lines") for event in found] == [4, None, 4.5]
    assert found[0]["features"]["home"] == 7


def test_csv_values_have_the_declared_types_and_others_stay_text(
    tmp_path: Path, lifecycle: Lifecycle
) -> None:
    header = ["timestamp", "income", "lines", "home", "employed", "country", "status"]
    name = csv_file(
        tmp_path,
        header,
        [str(NOON_MS), "1e3", "4.0", "12", "True", "DE", "ok"],
        [str(NOON_MS), "n/a", "x", "", "0", "", "ok"],
    )
    first, second = events_of(open_source(name, [lifecycle]))
    assert first["features"] == {"income": 1000.0, "lines": 4, "home": "12", "employed": True}
    assert second["features"] == {"lines": "x", "employed": False}
    assert first["tags"] == {"country": "DE"}
    assert "tags" not in second


def test_vectors_are_lists_in_parquet_and_json_text_in_csv(tmp_path: Path) -> None:
    of = loaded(LIFECYCLE.replace("lines: integer", "face: vector"))
    vectors: list[Any] = [[1.5, 2.0], None, [0.25]]
    written = parquet(tmp_path, [row(face=v) for v in vectors])
    found = [e["features"].get("face") for e in events_of(open_source(written, [of]))]
    assert found == vectors
    header = ["timestamp", "income", "face", "home", "employed", "country"]
    cells = ["[1.5, 2]", "", "[0.25", "nan", '["a"]']
    rows = [["2026-03-02T12:00:00Z", "1", cell, "rent", "true", "DE"] for cell in cells]
    source = open_source(csv_file(tmp_path, header, *rows), [of])
    found = [e["features"].get("face") for e in events_of(source)]
    assert found == [[1.5, 2], None, "[0.25", None, ["a"]]


def test_a_segment_is_found_even_where_its_column_is_a_feature(tmp_path: Path) -> None:
    lifecycle = loaded(LIFECYCLE.replace("segments: [country]", "segments: [home]"))
    (event,) = events_of(open_source(parquet(tmp_path, [row()]), [lifecycle]))
    assert event["tags"]["home"] == event["features"]["home"] == "rent"


LABELLED = LIFECYCLE.replace("  features:", "  source: {labels: {}}\n  features:")


def labelled_rows() -> list[dict[str, Any]]:
    """Four predictions; the truth of the second is known first, that of the third not yet."""
    known = [datetime(2026, 3, 2, hour, tzinfo=UTC) for hour in (20, 14, 15, 21)]
    return [
        row(event_id=name, label=truth, label_timestamp=at if truth else None)
        for name, truth, at in zip("abcd", ("yes", "no", None, "no"), known, strict=True)
    ]


def by_kind(source: Source) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for chunk in source.chunks():
        found.setdefault(chunk.kind, []).extend(map(json.loads, chunk.events))
    return found


def test_the_labels_of_a_table_are_events_of_their_own_in_the_order_they_became_known(
    tmp_path: Path,
) -> None:
    found = by_kind(open_source(parquet(tmp_path, labelled_rows()), [loaded(LABELLED)]))
    assert [event["event_id"] for event in found["predictions"]] == ["a", "b", "c", "d"]
    assert not any("label" in event for event in found["predictions"])
    assert found["labels"][0] == {
        "event_id": "b",
        "timestamp": NOON_MS + 2 * 3_600_000,
        "label": "no",
        "model_id": "loans",
    }
    assert [event["event_id"] for event in found["labels"]] == ["b", "a", "d"]


@pytest.mark.parametrize(
    "source",
    ["{labels: {}, join: false}", "{labels: {fields: {prediction: said}}}"],
)
def test_labels_of_a_table_say_what_was_predicted_where_their_producers_do(
    tmp_path: Path, source: str
) -> None:
    lifecycle = loaded(LABELLED.replace("{labels: {}}", source))
    first = by_kind(open_source(parquet(tmp_path, labelled_rows()), [lifecycle]))["labels"][0]
    assert first == {
        "event_id": "b",
        "timestamp": NOON_MS + 2 * 3_600_000,
        "prediction": "yes",
        "score": 0.25,
        "label": "no",
        "prediction_timestamp": NOON_MS,
        "model_id": "loans",
        "features": {"income": 41200.5, "lines": 3, "home": "rent", "employed": True},
        "tags": {"country": "DE"},
    }


def test_rows_without_an_id_or_a_time_of_their_label_are_labelled_at_once(tmp_path: Path) -> None:
    path = parquet(tmp_path, [row(label="no"), row(label=None)])
    (label,) = by_kind(open_source(path, [loaded(LABELLED)]))["labels"]
    assert (label["timestamp"], label["prediction"], label["label"]) == (NOON_MS, "yes", "no")
    assert "prediction_timestamp" not in label


def test_labels_that_nobody_reads_stay_in_the_table(tmp_path: Path, lifecycle: Lifecycle) -> None:
    assert list(by_kind(open_source(parquet(tmp_path, labelled_rows()), [lifecycle]))) == [
        "predictions"
    ]


def test_a_table_may_hold_nothing_but_labels(tmp_path: Path) -> None:
    rows = [{"event_id": "a", "timestamp": NOON_MS, "label": "yes"}]
    source = open_source(parquet(tmp_path, rows), [loaded(LABELLED)], kind="labels")
    assert by_kind(source) == {"labels": [rows[0] | {"model_id": "loans"}]}


def test_labels_and_what_is_joined_of_them_are_topics_that_are_read() -> None:
    names = Names()
    assert source_topics(loaded(LABELLED), names) == (
        *("leeway.predictions", "leeway.labels", "leeway.outcomes"),
    )
    alone = loaded(LABELLED.replace("{labels: {}}", "{labels: {topic: truths}, join: false}"))
    assert source_topics(alone, names) == ("leeway.predictions", "truths")


def test_only_rows_with_all_wanted_values_are_kept(tmp_path: Path, lifecycle: Lifecycle) -> None:
    rows = [
        row(split=split, part=part, income=float(i))
        for i, (split, part) in enumerate([("a", 1), ("b", 1), ("a", 2)])
    ]
    name = parquet(tmp_path, rows)
    where = parse_where(["split=a", "part=2"])
    assert [
        e["features"]["income"] for e in events_of(open_source(name, [lifecycle], where=where))
    ] == [2.0]


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzipped"])
def test_json_lines_are_handed_on_byte_for_byte(
    tmp_path: Path, lifecycle: Lifecycle, packed: bool
) -> None:
    written = [b'{"model_id": "loans",  "timestamp": 1}', b"\xff\xfe", b'{"truncated": ']
    name = lines(tmp_path, *written, name="events.jsonl.gz" if packed else "events.jsonl")
    chunks = list(open_source(name, [lifecycle]).chunks())
    assert [event for chunk in chunks for event in chunk.events] == written
    assert chunks[-1].read == Path(name).stat().st_size


def test_the_fields_of_an_event_tell_its_kind(tmp_path: Path) -> None:
    lifecycle = loaded(
        LIFECYCLE.replace("income: number", "income: {type: number, from: features}")
    )
    prediction = {"model_id": "loans", "timestamp": 1, "features": {}, "score": 0.1}
    feature = {"model_id": "loans", "timestamp": 1, "features": {"income": 1}}
    label = {"event_id": "a", "timestamp": 1, "label": "yes"}
    name = lines(tmp_path, prediction, feature, feature, label)
    chunks = list(open_source(name, [lifecycle]).chunks())
    assert [(c.kind, len(c.events)) for c in chunks] == [
        ("predictions", 1),
        ("features", 2),
        ("labels", 1),
    ]
    told = list(open_source(name, [lifecycle], kind="features").chunks())
    assert [(c.kind, len(c.events)) for c in told] == [("features", 4)]


def test_a_condition_on_json_lines_finds_members_tags_and_features(
    tmp_path: Path, lifecycle: Lifecycle
) -> None:
    event = {"a": {"b": True}, "tags": {"split": "x"}, "features": {"income": 2.0}}
    name = lines(tmp_path, event, {"a": {"b": False}}, b"broken")
    for text in ("a.b=true", "split=x", "income=2"):
        (chunk,) = open_source(name, [lifecycle], where=parse_where([text])).chunks()
        assert len(chunk.events) == 2, "what cannot be read cannot be left out in silence"


def test_a_topic_is_read_through_the_function_it_is_given(lifecycle: Lifecycle) -> None:
    asked: list[str] = []

    def past(topic: str) -> list[list[bytes]]:
        asked.append(topic)
        return [[b"{}"], [b"{}", b"{}"]]

    chunks = list(open_source("topic:loans.scored", [lifecycle], past=past).chunks())
    assert asked == ["loans.scored"]
    assert [chunk.read for chunk in chunks] == [1, 3]


def test_rows_of_a_table_are_read_with_the_plain_mapping(tmp_path: Path) -> None:
    mapped = LIFECYCLE.replace(
        "  features:",
        "  source: {predictions: {topic: scored, fields: {features: inputs}, timestamp_unit: s}}\n  features:",
    )
    source = open_source(parquet(tmp_path, [row()]), [loaded(mapped)])
    raw = [event for chunk in source.chunks() for event in chunk.events]
    found = columns(source.lifecycles[0], raw)
    assert list(found.columns[0].values) == [41200.5]
    assert source_topics(source.lifecycles[0], Names()) == ("leeway.predictions",)


def test_a_lifecycle_in_plain_shape_already_stays_the_same_object(lifecycle: Lifecycle) -> None:
    assert in_plain_shape(lifecycle, "predictions", ["income"]) is lifecycle


MISTAKES: dict[str, tuple[Callable[[Path], str], Sequence[str], str]] = {
    "no such file": (lambda d: str(d / "rows.parquet"), (), "there is no such file"),
    "a directory": (str, (), "is a directory"),
    "an empty file": (lambda d: lines(d), (), "is empty"),
    "nothing known": (lambda d: lines(d, b"hello", name="x.txt"), (), "cannot tell what it holds"),
    "damaged Parquet": (lambda d: lines(d, b"PAR1 but no more", name="x.parquet"), (), "cannot be read as Parquet"),
    "no timestamp": (
        lambda d: csv_file(d, ["time", "income"], ["1", "2"]),
        (),
        "has no column timestamp; it has time, income",
    ),
    "no feature": (
        lambda d: csv_file(d, ["timestamp", "x"], ["1", "2"]),
        (),
        "no column is named like a declared feature (income, lines, home, employed); it has timestamp, x",
    ),
    "an unknown column": (
        lambda d: parquet(d, [row()]),
        ["part=1"],
        "--where part: is not a column of",
    ),
    "nothing left": (
        lambda d: parquet(d, [row(split="a"), row(split="b")]),
        ["split=c"],
        "nothing has split=c; split is a, b",
    ),
    "seconds": (
        lambda d: csv_file(d, ["timestamp", "income"], ["1772434693", "2"]),
        (),
        "1772434693 looks like seconds",
    ),
    "a ragged row": (
        lambda d: csv_file(d, ["timestamp", "income"], ["1"]),
        (),
        "row 2 has 1 values, the header has 2 columns",
    ),
    "a column twice": (
        lambda d: csv_file(d, ["timestamp", "income", "income"], ["1", "2", "3"]),
        (),
        "column 'income' is there twice",
    ),
    "truncated gzip": (
        lambda d: _truncated(lines(d, *[{"n": i} for i in range(999)], name="x.jsonl.gz")),
        (),
        "is damaged",
    ),
}  # fmt: skip


def _truncated(name: str) -> str:
    Path(name).write_bytes(Path(name).read_bytes()[:-20])
    return name


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_that_names_what_is_there(
    tmp_path: Path, lifecycle: Lifecycle, mistake: str
) -> None:
    make, where, expected = MISTAKES[mistake]
    with pytest.raises(UsageError) as raised:
        list(open_source(make(tmp_path), [lifecycle], where=parse_where(where)).chunks())
    assert expected in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_table_of_several_models_must_say_whose_each_row_is(
    tmp_path: Path, lifecycle: Lifecycle
) -> None:
    other = loaded(LIFECYCLE.replace("model_id: loans", "model_id: cards"))
    name = parquet(tmp_path, [row()])
    with pytest.raises(UsageError, match="no column model_id"):
        open_source(name, [lifecycle, other])
    name = parquet(tmp_path, [row(model_id="cards")])
    assert events_of(open_source(name, [lifecycle, other]))[0]["model_id"] == "cards"


def test_a_column_cannot_have_two_types(tmp_path: Path, lifecycle: Lifecycle) -> None:
    other = loaded(
        LIFECYCLE.replace("loans", "cards").replace("income: number", "income: category")
    )
    with pytest.raises(UsageError, match="number in loans and category in cards"):
        open_source(parquet(tmp_path, [row(model_id="loans")]), [lifecycle, other])


def test_what_is_typed_wrong_names_what_was_expected() -> None:
    with pytest.raises(UsageError, match="expected COLUMN=VALUE"):
        parse_where(["split"])
    with pytest.raises(UsageError, match="expected predictions or features"):
        parse_kind("labels")
    assert parse_where(["a=b=c"]) == (Where("a", "b=c"),)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.floats(allow_infinity=False)),
            st.one_of(st.none(), st.text(max_size=20)),
            st.one_of(st.none(), st.booleans()),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_a_table_and_its_events_hold_the_same_values(
    tmp_path: Path, rows: list[tuple[float | None, str | None, bool | None]]
) -> None:
    lifecycle = loaded(LIFECYCLE)
    name = parquet(tmp_path, [row(income=n, home=text, employed=truth) for n, text, truth in rows])
    found = events_of(open_source(name, [lifecycle]))
    for event, (n, text, truth) in zip(found, rows, strict=True):
        expected = None if n is None or math.isnan(n) else n
        assert event["features"].get("income") == expected
        assert event["features"].get("home") == text
        assert event["features"].get("employed") == truth


DATA = Path(os.environ.get("LEEWAY_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the real streams: set LEEWAY_TEST_DATA")
def test_a_real_stream_has_the_rows_it_is_said_to_have() -> None:
    (lifecycle,) = load(Path("examples/elec2.yaml").read_text(), "elec2.yaml")
    for split, rows in (("reference", 10_000), ("production", 35_312)):
        source = open_source(
            str(DATA / "elec2.parquet"), [lifecycle], where=parse_where([f"split={split}"])
        )
        of_predictions = (c for c in source.chunks() if c.kind == "predictions")
        assert sum(len(chunk.events) for chunk in of_predictions) == rows


@pytest.mark.parametrize("per_second", [1, 1000])
def test_numbers_in_a_lifecycles_unit_are_times_and_so_are_milliseconds(
    tmp_path: Path, per_second: int
) -> None:
    one = made(source={"predictions": {"timestamp_unit": "s", "fields": {"timestamp": "at"}}})
    at = START_MS * per_second // 1000
    path = parquet(tmp_path, [{"at": at, "model_id": "m", "income": 1.0}])
    (read,) = events_of(open_source(path, [one]))
    assert read["timestamp"] == START_MS


def test_a_column_of_our_name_is_not_replaced_by_one_that_is_mapped(tmp_path: Path) -> None:
    one = made(source={"predictions": {"fields": {"timestamp": "at"}}})
    path = parquet(tmp_path, [{"timestamp": START_MS, "at": 5, "model_id": "m", "income": 1.0}])
    (read,) = events_of(open_source(path, [one]))
    assert read["timestamp"] == START_MS
    assert read["tags"] == {"at": 5}


def test_a_date_that_python_has_no_name_for_is_one_line(
    tmp_path: Path, lifecycle: Lifecycle
) -> None:
    far = pa.array([3 * 10**11], pa.timestamp("s"))
    path = tmp_path / "far.parquet"
    pq.write_table(
        pa.table({"timestamp": [START_MS], "model_id": ["m"], "income": [1.0], "far": far}), path
    )
    with pytest.raises(UsageError, match="column far: cannot be read"):
        events_of(open_source(str(path), [lifecycle]))
