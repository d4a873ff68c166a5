"""Is what `leeway init` drafts a lifecycle that all else can use at once, and does it say what it guessed?"""

import csv
import gzip
import json
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.broker import Outgoing
from streams.cli import main
from streams.demo import plan
from streams.kafka.admin import create_topics
from streams.kafka.commands import Writer
from streams.lifecycle import Lifecycle, load, notices
from streams.local_kafka import AnyBroker
from streams.profiling.columns import columns
from streams.topics import Names

ROOT = Path(__file__).resolve().parents[3]
DATA = Path(os.environ.get("LEEWAY_TEST_DATA", ROOT.parent / "shared" / "data"))
FIRST = datetime(2026, 3, 2, tzinfo=UTC)
FIRST_MS = 1_772_409_600_000
MINUTE_MS = 60_000


def row(draw: Random, i: int, **more: Any) -> dict[str, Any]:
    """A scored application for a loan."""
    risk = draw.random()
    return {
        "event_id": f"e{i}",
        "timestamp": FIRST_MS + i * MINUTE_MS,
        "income": round(draw.lognormvariate(10, 0.5), 2),
        "dependants": draw.randrange(6),
        "home": draw.choice(("rent", "own", "mortgage")),
        "employed": draw.random() < 0.9,
        "score": round(risk, 3),
        "prediction": "default" if risk > 0.7 else "repaid",
        **more,
    }


def rows(count: int = 400, **more: Callable[[Random, int], Any]) -> list[dict[str, Any]]:
    draw = Random(3)
    return [row(draw, i, **{k: make(draw, i) for k, make in more.items()}) for i in range(count)]


def lines(path: Path, events: Iterable[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    return path


def table(path: Path, found: Sequence[Mapping[str, Any]]) -> Path:
    """The rows as the kind of file that the name says."""
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(list(found)), path)
        return path
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(found[0]))
        writer.writeheader()
        writer.writerows(found)
    return path


def drafted(source: Path, *more: str) -> Lifecycle:
    """The lifecycle that is drafted beside the source; `leeway check` misses only what people must say."""
    out = source.parent / "drafted.yaml"
    assert main(["init", str(source), "--out", str(out), "--force", *more]) == 0
    assert main(["check", str(out)]) == 0
    (one,) = load(out.read_text(), str(out))
    missing = (
        "metadata.purpose",
        "metadata.owner",
        "metadata.framework",
        "prediction.target",
        "privacy: parsed",
    )
    assert all(notice.startswith(missing) for notice in notices(one))
    return one


def types(one: Lifecycle) -> dict[str, str]:
    return {name: feature.type for name, feature in one.features.items()}


def used(source: Path) -> dict[str, Any]:
    """What baseline makes of the source with the draft beside it; replay runs, too."""
    out = source.parent / "drafted.yaml"
    reference = source.parent / "reference.json"
    assert main(["baseline", str(out), "--data", str(source), "--output", str(reference)]) == 0
    replay = ("replay", str(out), "--events", str(source), "--reference", str(reference))
    assert main([*replay, "--output", str(source.parent / "found")]) == 0
    assert not (source.parent / "found" / "leeway.dead-letters.jsonl").read_bytes()
    found: dict[str, Any] = json.loads(reference.read_text())
    return found


WHAT = {
    "income": "number",
    "dependants": "integer",
    "home": "category",
    "employed": "boolean",
}


@pytest.mark.parametrize("name", ["loans.parquet", "loans.csv", "loans.jsonl"])
def test_a_draft_is_used_at_once_on_the_data_it_was_made_of(tmp_path: Path, name: str) -> None:
    found = rows()
    source = lines(tmp_path / name, found) if name.endswith("l") else table(tmp_path / name, found)
    one = drafted(source)
    assert types(one) == WHAT
    assert (one.model_id, one.version, one.metadata.model_type) == (
        "loans",
        "1.0.0",
        "Classification",
    )
    assert one.prediction is not None
    assert one.prediction.classes == ("default", "repaid")
    assert one.prediction.positive == "default", "a high score speaks for it"
    assert one.features["home"].allowed == tuple(
        sorted(("rent", "own", "mortgage"), key=lambda home: -sum(r["home"] == home for r in found))
    )
    low, high = one.features["income"].range or (1.0, 0.0)
    assert low == 0
    assert high >= 2 * max(r["income"] for r in found)
    assert used(source)["series"]


def test_labels_of_a_table_are_read_and_wait_for_nothing_they_need_not(tmp_path: Path) -> None:
    found = rows(
        label=lambda draw, i: draw.choice(("default", "repaid")),
        label_timestamp=lambda draw, i: FIRST_MS + (i + 90) * MINUTE_MS,
    )
    source = table(tmp_path / "loans.parquet", found)
    one = drafted(source)
    assert one.source.labels is not None
    assert one.source.join is not None, "rows have ids"
    assert one.monitoring.drift_detection.concept_drift is not None
    assert used(source)["outcomes"]["counts"]["rows"] == [400]
    source = table(source, [{k: v for k, v in r.items() if k != "event_id"} for r in found])
    assert drafted(source).source.join is None


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
@pytest.mark.parametrize(
    ("unit", "per_second"), [("ms", 10**3), ("s", 1), ("us", 10**6), ("ns", 10**9)]
)
def test_columns_by_other_names_and_times_in_other_units_are_read_all_the_same(
    tmp_path: Path, suffix: str, unit: str, per_second: int
) -> None:
    names = {"timestamp": "created_at", "prediction": "decision", "event_id": "request_id"}
    found = rows(outcome=lambda draw, i: draw.choice(("default", "repaid")))
    theirs = [{names.get(name, name): value for name, value in r.items()} for r in found]
    for each in theirs:
        each["created_at"] = each["created_at"] * per_second // 1000
        each["known_at"] = each["created_at"] + 3600 * per_second
    source = table(tmp_path / f"loans.{suffix}", theirs)
    one = drafted(source)
    assert types(one) == WHAT
    assert one.source.predictions is not None
    assert one.source.predictions.timestamp_unit == unit
    assert one.source.labels is not None
    reference = used(source)
    assert reference["built_from"]["start"].startswith("2026-03-02T00:00")
    assert reference["outcomes"]["counts"]["rows"] == [400]
    assert set(reference["series"]) >= {"prediction", "score"}


def nested(r: Mapping[str, Any], **meta: Any) -> dict[str, Any]:
    """The same as somebody else's service writes it."""
    inputs = {name: r[name] for name in WHAT}
    at = (FIRST + timedelta(milliseconds=r["timestamp"] - FIRST_MS)).isoformat()
    return {
        "meta": {
            "request_id": r["event_id"],
            "at": at,
            "model": "2.4.1",
            "took_ms": 12.5,
            "channel": "web" if r["dependants"] % 2 else "app",
            **meta,
        },
        "applicant": inputs,
        "decision": {"output": r["prediction"], "p_default": r["score"]},
    }


def test_fields_are_found_in_nested_objects_by_names_and_values(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = lines(tmp_path / "scored.jsonl", map(nested, rows()))
    one = drafted(source, "--model", "loan-default")
    assert types(one) == WHAT
    assert one.source.predictions is not None
    said = {name: str(path) for name, path in one.source.predictions.fields.items()}
    assert set(said) == {
        *("model_id", "event_id", "timestamp", "model_version", "latency_ms"),
        *("features", "prediction", "score", "tags"),
    }
    assert one.version == "2.4.1"
    assert [segment.name for segment in one.segments] == ["channel"]
    read = columns(one, source.read_bytes().splitlines())
    assert not read.rejected
    assert set(read.segments["channel"]) == {"channel=app", "channel=web"}
    assert used(source)["series"]
    told = capsys.readouterr().err
    assert "saw: event_id is meta.request_id" in told
    assert "guessed: features are in applicant: it has most members" in told


def test_features_that_lie_deeper_or_beside_each_other_have_paths(tmp_path: Path) -> None:
    deep = [
        {"ts": r["timestamp"], "features": {"a": {"x": r["income"]}, "b": {"x": r["dependants"]}}}
        for r in rows()
    ]
    one = drafted(lines(tmp_path / "deep.jsonl", deep))
    assert types(one) == {"x": "number", "b_x": "integer"}
    flat = [{"when": r["timestamp"], "at": r["timestamp"], "income": r["income"]} for r in rows()]
    source = lines(tmp_path / "flat.jsonl", flat)
    one = drafted(source)
    assert "income" in one.features
    assert used(source)["series"]


def test_labels_among_the_events_are_mapped_and_joined_by_their_ids(tmp_path: Path) -> None:
    events = [nested(r) for r in rows()]
    truths = [
        {"request_id": f"e{i}", "known_at": 1_772_500_000 + i, "outcome": "repaid"}
        for i in range(400)
    ]
    one = drafted(lines(tmp_path / "both.jsonl", [*events, *truths]))
    labels = one.source.labels
    assert labels is not None
    assert labels.timestamp_unit == "s"
    assert set(labels.fields) == {"event_id", "timestamp", "label"}
    assert one.source.join is not None


def test_the_demonstrations_events_are_drafted_as_its_lifecycle_has_them(tmp_path: Path) -> None:
    (_, _, first), *_ = plan.hours([plan.first_days()], seed=plan.DEFAULT_SEED)
    source = tmp_path / "demo.jsonl"
    source.write_bytes(b"\n".join(one.value for one in (*first.predictions, *first.labels)) + b"\n")
    one = drafted(source)
    (theirs,) = load((ROOT / "streams/demo/lifecycle.yaml").read_text(), "demo")
    assert (one.model_id, one.version) == (theirs.model_id, theirs.version)
    assert types(one) == types(theirs)
    assert one.prediction is not None
    assert theirs.prediction is not None
    assert one.prediction.positive == theirs.prediction.positive
    assert [segment.name for segment in one.segments] == ["country"]
    assert one.source.predictions == theirs.source.predictions, "our own shape needs no mapping"


REAL = {"elec2.parquet": (7, "7d", "up"), "insects_gradual.parquet": (33, "2h", None)}


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the real streams: set LEEWAY_TEST_DATA")
@pytest.mark.parametrize("name", REAL)
def test_a_real_stream_is_drafted_with_all_its_features(name: str, tmp_path: Path) -> None:
    (tmp_path / name).symlink_to(DATA / name)
    one = drafted(tmp_path / name)
    features, size, positive = REAL[name]
    assert len(one.features) == features
    assert one.monitoring.window.size == load(WINDOW.format(size), "w")[0].monitoring.window.size
    assert one.source.labels is not None
    assert one.prediction is not None
    assert one.prediction.positive == positive


WINDOW = 'model_lifecycle: {{model_id: m, version: "1", monitoring: {{window: {{size: {}}}}}}}'


def test_what_is_no_feature_is_left_out_with_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = rows(
        customer_id=lambda draw, i: f"c{draw.randrange(10**9)}",
        currency=lambda draw, i: "EUR",
        opened=lambda draw, i: "2025-01-01T00:00:00Z" if i % 2 else "2025-01-02T00:00:00Z",
        nothing=lambda draw, i: None,
        counter=lambda draw, i: i,
        split=lambda draw, i: "train" if i % 2 else "test",
    )
    source = table(tmp_path / "loans.parquet", found)
    one = drafted(source)
    assert types(one) == WHAT
    told = capsys.readouterr().err
    for name, why in {
        "customer_id": "an identifier",
        "currency": "always the same",
        "opened": "a time",
        "nothing": "no event has a value",
        "counter": "an identifier",
        "split": "how the rows were divided",
    }.items():
        assert f"left out: {name}: {why}" in told
        assert f"# {name}" in (tmp_path / "drafted.yaml").read_text()
    assert "EUR" not in (tmp_path / "drafted.yaml").read_text()


def test_what_looks_personal_is_named_so_and_its_values_are_not_written(tmp_path: Path) -> None:
    found = rows(
        gender=lambda draw, i: draw.choice(("f", "m")),
        reach=lambda draw, i: f"{draw.choice('abc')}@example.com",
    )
    one = drafted(table(tmp_path / "loans.parquet", found))
    assert one.privacy.pii == ("gender", "reach")
    assert one.features["gender"].allowed is None
    assert "example.com" not in (tmp_path / "drafted.yaml").read_text()
    one = drafted(table(tmp_path / "loans.parquet", found), "--no-values")
    assert one.privacy.pii == tuple(one.features)
    assert not any(f.range or f.allowed for f in one.features.values())


def test_missing_values_regressions_and_texts_are_seen(tmp_path: Path) -> None:
    words = ("the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "and", "sleeps")
    found = rows(
        prediction=lambda draw, i: round(draw.gauss(100, 20), 2),
        score=lambda draw, i: None,
        gap=lambda draw, i: draw.random() if draw.random() < 0.9 else None,
        remark=lambda draw, i: " ".join(draw.choices(words, k=6)),
        embedding=lambda draw, i: [draw.random() for _ in range(4)],
    )
    one = drafted(table(tmp_path / "prices.parquet", found))
    assert one.metadata.model_type == "Regression"
    assert types(one) == WHAT | {"gap": "number", "remark": "text", "embedding": "vector"}
    nullable = one.features["gap"].nullable
    assert 0.15 < nullable <= 0.5
    assert used(tmp_path / "prices.parquet")["series"]


def test_a_sample_comes_from_all_of_a_long_source_and_is_the_same_each_time(tmp_path: Path) -> None:
    found = rows(5_000, drifted=lambda draw, i: "late" if i > 4_000 else "early")
    source = lines(tmp_path / "long.jsonl", found)
    packed = tmp_path / "long.jsonl.gz"
    packed.write_bytes(gzip.compress(source.read_bytes()))
    one = drafted(source, "--sample", "200")
    assert one.features["drifted"].allowed == ("early", "late")
    assert drafted(packed, "--sample", "200") == one


def test_a_topic_is_read_from_a_real_broker(
    kafka: AnyBroker,
    unique: Callable[[str], str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    topic, silent = unique("scored"), unique("silent")
    properties = {"bootstrap.servers": kafka.bootstrap}
    create_topics(properties, Names(unique("i") + "."), partitions=1, more={topic: 2, silent: 1})
    writer = Writer(properties)
    for event in map(nested, rows(200)):
        writer.write(Outgoing(topic, None, json.dumps(event).encode()))
    writer.flush()
    out = tmp_path / "loans.yaml"
    typed = ("--brokers", kafka.bootstrap, "--model", "loans", "--out", str(out), "--force")
    assert main(["init", f"topic:{topic}", *typed]) == 0
    (one,) = load(out.read_text(), "loans.yaml")
    assert one.source.predictions is not None
    assert one.source.predictions.topic == topic
    assert types(one) == WHAT
    capsys.readouterr()
    assert main(["init", f"topic:{silent}", *typed]) == 2
    assert capsys.readouterr().err == f"leeway: topic:{silent}: the topic is empty\n"


def test_nothing_is_overwritten_unless_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = str(lines(tmp_path / "loans.jsonl", rows()))
    assert main(["init", source]) == 0
    mine = tmp_path / "loans.yaml"
    mine.write_text("mine")
    assert main(["init", source]) == main(["init", source, "--out", str(mine)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert mine.read_text() == "mine"
    assert main(["init", source, "--force"]) == 0
    assert load(mine.read_text(), "loans.yaml")[0].model_id == "loans"
    assert main(["init", source, "--out", "-"]) == 0
    assert load(capsys.readouterr().out, "screen")[0].model_id == "loans"


def _written(name: str, text: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_text(text)
        return folder / name

    return write


TWO_MODELS = "".join(
    json.dumps({"model_id": name, "timestamp": FIRST_MS, "features": {"a": 1.5}}) + "\n"
    for name in ("a", "b", "a")
)
MISTAKES: dict[str, tuple[Callable[[Path], Path], tuple[str, ...], str]] = {
    "no file": (lambda folder: folder / "no.csv", (), "there is no such file"),
    "an empty file": (_written("a.csv", ""), (), "is empty"),
    "a header alone": (_written("a.csv", "a,b\n"), (), "has no rows"),
    "no line": (_written("a.jsonl", "\n \n"), (), "holds no events"),
    "no JSON": (_written("a.jsonl", "a,b\n1,2\n"), (), "none of the 2 events looked at is a JSON object"),
    "a list": (_written("a.json", '[{"a": 1}]\n'), (), "write one object per line"),
    "a text": (_written("a.txt", "hello"), (), "cannot tell what it holds"),
    "several models": (_written("a.jsonl", TWO_MODELS), (), "2 models: say --model a or b"),
    "another model": (_written("a.jsonl", TWO_MODELS), ("--model", "c"), "has no event of it; it has a, b"),
    "an odd name": (_written("a.jsonl", TWO_MODELS), ("--model", "no name"), "--model no name: is not a name"),
    "labels": (_written("a.jsonl", '{"event_id": "1", "label": "x", "timestamp": 1}\n'), (), "labels only"),
    "a column twice": (_written("a.csv", "a,a\n1,2\n"), (), "'a' is there twice"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_and_nothing_is_written(
    mistake: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write, more, told = MISTAKES[mistake]
    out = tmp_path / "out.yaml"
    assert main(["init", str(write(tmp_path)), "--out", str(out), *more]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line
    assert not out.exists()


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(("model_id", "2026-03-02T00:00:00Z", "a@b.de", "true", "1", "1772409600000")),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.text(max_size=6), inner, max_size=4),
    ),
    max_leaves=6,
)
NAMES = st.one_of(
    st.text(max_size=10),
    st.sampled_from(
        (
            *("timestamp", "event_id", "model_id", "prediction", "score", "label", "features"),
            *(
                "tags",
                "status",
                "x",
                "x.length",
                "no",
                "a.b",
                "$key",
                "meta",
                "loss",
                "scores",
                'q"',
            ),
        )
    ),
)


@settings(max_examples=40)
@given(st.lists(st.dictionaries(NAMES, VALUES, max_size=6), min_size=1, max_size=6))
def test_any_json_gives_a_lifecycle_or_one_clear_line(
    tmp_path_factory: pytest.TempPathFactory, events: list[dict[str, Any]]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    source = folder / "any.jsonl"
    source.write_bytes(
        b"".join(json.dumps(event).encode("utf-8", "surrogatepass") + b"\n" for event in events)
    )
    _lifecycle_or_line(source)


@settings(max_examples=40)
@given(
    st.lists(NAMES, min_size=1, max_size=5, unique=True),
    st.lists(st.lists(st.text(max_size=8), min_size=5, max_size=5), min_size=1, max_size=6),
)
def test_any_csv_gives_a_lifecycle_or_one_clear_line(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], cells: list[list[str]]
) -> None:
    source = tmp_path_factory.mktemp("any") / "any.csv"
    with source.open("w", newline="", encoding="utf-8", errors="replace") as file:
        csv.writer(file).writerows([names, *(row[: len(names)] for row in cells)])
    _lifecycle_or_line(source)


def test_columns_of_any_type_are_features_or_left_out(tmp_path: Path) -> None:
    count, draw = 60, Random(1)
    days = [FIRST.date() + timedelta(days=i % 28) for i in range(count)]
    columns = {
        "timestamp": pa.array([FIRST + timedelta(minutes=i) for i in range(count)], pa.timestamp("ns")),
        "struct": pa.array([{"a": i} for i in range(count)]),
        "map": pa.array([[("k", i)] for i in range(count)], pa.map_(pa.string(), pa.int64())),
        "bytes": pa.array([b"\xff%d" % i for i in range(count)]),
        "money": pa.array([Decimal("1.25") * i for i in range(count)], pa.decimal128(20, 4)),
        "day": pa.array(days),
        "span": pa.array([timedelta(seconds=i) for i in range(count)]),
        "far": pa.array([3 * 10**11] * count, pa.timestamp("s")),
        "packed": pa.array([("a", "b")[i % 2] for i in range(count)]).dictionary_encode(),
        "large": pa.array([f"v{i % 3}" for i in range(count)], pa.large_string()),
        "texts": pa.array([["a", "b"] for _ in range(count)]),
        "vector": pa.array([[draw.random()] * 3 for _ in range(count)], pa.list_(pa.float32(), 3)),
        "huge": pa.array([2**63 + draw.randrange(2**60) for _ in range(count)], pa.uint64()),
        "null": pa.nulls(count),
        "nan": pa.array([math.nan] * count),
        "none": pa.array([("none", "some")[i % 2] for i in range(count)]),
        'we"ird\n#: ': pa.array([draw.random() for _ in range(count)]),
    }  # fmt: skip
    source = tmp_path / "any.parquet"
    pq.write_table(pa.table(columns), source)
    one = drafted(source)
    assert types(one) == {
        "money": "number",
        "packed": "category",
        "large": "category",
        "vector": "vector",
        "huge": "integer",
        "none": "category",
    }
    assert one.features["none"].allowed == ("none", "some")
    source = tmp_path / "some.parquet"
    pq.write_table(pa.table(columns).drop_columns(["far"]), source)
    assert types(drafted(source)) == types(one)
    assert used(source)["series"]


def _lifecycle_or_line(source: Path) -> None:
    from contextlib import redirect_stderr
    from io import StringIO

    out, said = source.parent / "out.yaml", StringIO()
    with redirect_stderr(said):
        code = main(["init", str(source), "--out", str(out)])
    if code == 0:
        assert load(out.read_text(), "out.yaml")
    else:
        assert code == 2
        assert len(said.getvalue().splitlines()) == 1
        assert "no lifecycle can be drafted" not in said.getvalue()
