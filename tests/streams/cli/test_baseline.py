"""What `leeway baseline` makes of data with labels: their outcomes in the reference, and what a person sees of them."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from streams.cli import main
from tests.builders import encode, stream

LIFECYCLE = """
model_lifecycle:
  model_id: churn
  version: "1.0"
  prediction: {{classes: ["yes", "no"], positive: "yes"}}
  features: {{income: number, home: category}}
  {source}
"""
FIRST = datetime(2026, 3, 2, tzinfo=UTC)


def folder_with(folder: Path, source: str, **columns: Any) -> Path:
    """A lifecycle and a table of 1,200 predictions over 40 days; every fifth was wrong."""
    (folder / "churn.yaml").write_text(LIFECYCLE.format(source=source))
    rows = []
    for i, event in enumerate(stream(1_200, seed=4)):
        other = {"yes": "no", "no": "yes"}[event["prediction"]]
        at = FIRST + i * timedelta(minutes=48)
        rows.append(
            {
                "event_id": f"e{i}",
                "timestamp": at,
                "label_timestamp": at + timedelta(hours=5),
                "label": event["prediction"] if i % 5 else other,
                **{name: event[name] for name in ("prediction", "score")},
                **event["features"],
            }
        )
    table = pa.Table.from_pylist(rows).drop_columns([name for name in columns if not columns[name]])
    pq.write_table(table, folder / "past.parquet")
    return folder


def baseline(folder: Path, *more: str) -> int:
    return main(
        ["baseline", str(folder / "churn.yaml"), "--data", str(folder / "past.parquet"), *more]
    )


@pytest.mark.parametrize("source", ["source: {labels: {}}", "source: {labels: {}, join: false}"])
def test_the_labels_of_the_data_become_outcomes_of_the_reference(
    tmp_path: Path, source: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert baseline(folder_with(tmp_path, source), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    outcomes = found["reference"]["outcomes"]
    assert outcomes["counts"]["rows"] == [1_200]
    assert outcomes["counts"]["right"] == [960]
    assert outcomes["span"]["windows"] == 41
    assert sum(outcomes["counts"]["lag"]) == outcomes["counts"]["lag"][5] == 1_200
    assert not any("label" in warning for warning in found["warnings"])


def test_what_was_normal_of_outcomes_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert baseline(folder_with(tmp_path, "source: {labels: {}}")) == 0
    shown = capsys.readouterr().out
    assert "outcomes: 1,200 labels in 41 windows of 30; phi of error" in shown
    assert any(line.split()[:2] == ["accuracy", "0.8"] for line in shown.splitlines())


def test_labels_without_a_time_of_their_own_are_warned_about(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = folder_with(tmp_path, "source: {labels: {}, join: false}", label_timestamp=False)
    assert baseline(folder) == 0
    assert "early windows are not comparable" in capsys.readouterr().err


def test_data_without_labels_are_said_to_have_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert baseline(folder_with(tmp_path, "source: {labels: {}}", label=False), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert "outcomes" not in found["reference"]
    assert "the data hold no labels: outcomes will have no reference" in found["warnings"]


def test_labels_that_the_lifecycle_does_not_read_are_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert baseline(folder_with(tmp_path, "metadata: {}"), "--json") == 0
    assert "outcomes" not in json.loads(capsys.readouterr().out)["reference"]


@pytest.mark.parametrize("labelled", [True, False])
def test_the_labels_of_a_topics_past_are_on_the_topic_of_labels(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    labelled: bool,
) -> None:
    (tmp_path / "m.yaml").write_text(LIFECYCLE.format(source="source: {labels: {topic: truths}}"))
    rows = stream(1_200, seed=4, step_ms=600_000, model_id="churn")
    said = [row | {"event_id": f"e{i}"} for i, row in enumerate(rows)]
    known = [
        {"event_id": row["event_id"], "timestamp": row["timestamp"] + 1, "label": "yes"}
        for row in said
    ]
    topics = {"said": encode(said), "truths": encode(known if labelled else [])}
    monkeypatch.setattr("streams.cli.baseline.past", lambda topic, *others: iter([topics[topic]]))
    monkeypatch.setenv("LEEWAY_BROKERS", "localhost:1")
    assert main(["baseline", str(tmp_path / "m.yaml"), "--data", "topic:said", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert ("outcomes" in found["reference"]) == labelled
    if labelled:
        assert found["reference"]["outcomes"]["counts"]["rows"] == [1_200]


def test_events_of_which_nothing_is_declared_give_no_reference_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder_with(tmp_path, "source: {labels: {}}")
    (tmp_path / "churn.yaml").write_text(
        'model_lifecycle: {model_id: churn, version: "1", monitoring: {}}\n'
    )
    bare = pq.read_table(tmp_path / "past.parquet").select(["timestamp"])
    pq.write_table(bare, tmp_path / "past.parquet")
    assert baseline(tmp_path) == 2
    assert "gives no reference: no feature is declared" in capsys.readouterr().err
