"""What do the commands print, write and answer? Those that need no broker, and one run of those that do."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from streams.broker import Outgoing
from streams.cli import main
from streams.kafka.commands import Writer
from streams.local_kafka import AnyBroker, free_port
from streams.supervisor import leeway
from tests.until import until

HOUR = timedelta(hours=1)
START = datetime(2026, 3, 2, tzinfo=UTC)
PER_HOUR, REFERENCE, PRODUCTION, DRIFT_AT = 300, 40, 16, 10  # hours
LIFECYCLE = """
model_lifecycle:
  model_id: {model}
  version: "1.0"
  metadata: {{purpose: a test, owner: tests, framework: numpy, model_type: Classification}}
  prediction: {{classes: [stays, leaves], positive: leaves}}
  features: {{tenure: number, visits: integer, plan: category, active: boolean}}
  segments: [country]
  monitoring:
    window: {{size: 1h, idle: 2s}}
    alerts:
      - {{condition: Data drift detected, severity: Warning, channel: Slack}}
"""


def table(hours: int, first: int, *, drift_at: int | None, seed: int) -> pa.Table:
    random = np.random.default_rng(seed)
    rows = hours * PER_HOUR
    tenure = random.gamma(2.0, 300.0, rows)
    if drift_at is not None:
        tenure[drift_at * PER_HOUR :] *= 3
    step = HOUR / PER_HOUR
    return pa.table(
        {
            "timestamp": [START + first * HOUR + step * i for i in range(rows)],
            "model_version": ["1.0"] * rows,
            "split": ["reference" if drift_at is None else "production"] * rows,
            "tenure": tenure,
            "visits": random.poisson(3.0, rows),
            "plan": random.choice(["basic", "plus", "pro"], rows),
            "active": random.random(rows) < 0.8,
            "country": random.choice(["DE", "FR"], rows),
            "score": random.random(rows),
            "prediction": random.choice(["stays", "leaves"], rows),
        }
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a lifecycle, its data and its reference."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "churn.yaml").write_text(LIFECYCLE.format(model="churn"))
    past = table(REFERENCE, 0, drift_at=None, seed=1)
    present = table(PRODUCTION, REFERENCE, drift_at=DRIFT_AT, seed=2)
    pq.write_table(pa.concat_tables([past, present]), folder / "churn.parquet")
    baseline = ["baseline", str(folder / "churn.yaml"), "--data", str(folder / "churn.parquet")]
    assert main([*baseline, "--where", "split=reference"]) == 0
    return folder


def replay(folder: Path, *more: str) -> int:
    events = ["--events", str(folder / "churn.parquet"), "--where", "split=production"]
    return main(["replay", str(folder / "churn.yaml"), *events, *more])


def test_check_answers_0_for_a_lifecycle_without_mistakes(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(made / "churn.yaml")]) == 0
    assert "churn 1.0: no mistakes" in capsys.readouterr().out


def test_check_lists_the_mistakes_of_all_files_and_answers_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(
            'model_lifecycle: {model_id: m, version: "1", monitorng: {}}\n'
        )
    files = [str(tmp_path / name) for name in ("a.yaml", "b.yaml", "missing.yaml")]
    assert main(["check", *files]) == 2
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 3
    assert printed[0].startswith(f"{files[0]}:1:")
    assert 'did you mean "monitoring"?' in printed[1]
    assert main(["check", "--json", *files]) == 2
    (first, *_) = json.loads(capsys.readouterr().out)["files"]
    assert first["mistakes"][0]["line"] == 1


def test_a_reference_can_be_read_by_people_and_comes_out_the_same_again(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = (made / "churn.reference.json").read_text()
    document = json.loads(written)
    assert document["built_from"]["events"] == REFERENCE * PER_HOUR
    assert document["blocks"]["windows"] == REFERENCE
    assert list(document["series"])[:2] == ["feature:tenure", "feature:visits"]
    assert any(
        line.strip().startswith('"edges": [') and line.rstrip().endswith("],")
        for line in written.splitlines()
    )
    again = tmp_path / "again.json"
    files = [
        str(made / "churn.yaml"),
        "--data",
        str(made / "churn.parquet"),
        "--output",
        str(again),
    ]
    assert main(["baseline", *files, "--where", "split=reference", "--json"]) == 0
    assert again.read_text() == written
    assert json.loads(capsys.readouterr().out)["reference"] == document


def test_replay_finds_the_drift_and_names_its_feature(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replay(made, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["events"] == PRODUCTION * PER_HOUR
    (episode,) = [e for e in found["episodes"] if e["segment"] == "all"]
    assert episode["affected"][0] == "feature:tenure"
    began = START + (REFERENCE + DRIFT_AT) * HOUR
    assert began < datetime.fromisoformat(episode["opened_at"]) <= began + 3 * HOUR
    assert replay(made, "--exit-code") == 4
    assert "tenure drifted" in capsys.readouterr().out


def test_replay_writes_the_same_bytes_for_any_partitions_and_batches(
    made: Path, tmp_path: Path
) -> None:
    written = []
    for partitions, batch in ((1, 10_000), (3, 1_000), (8, 77)):
        to = tmp_path / f"{partitions}-{batch}"
        numbers = ["--partitions", str(partitions), "--batch", str(batch)]
        assert replay(made, "--output", str(to), *numbers) == 0
        written.append({path.name: path.read_bytes() for path in sorted(to.iterdir())})
    assert written[0] == written[1] == written[2]
    assert {"leeway.results.jsonl", "leeway.alerts.jsonl", "leeway.retraining.jsonl"} <= written[
        0
    ].keys()
    lines = [json.loads(line) for line in written[0]["leeway.alerts.jsonl"].splitlines()]
    assert all(line.keys() == {"key", "headers", "value"} for line in lines)
    assert lines[0]["headers"]["ce_type"] == "leeway.alert.opened.v1"


def test_replay_without_a_reference_says_what_to_type(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = tmp_path / "churn.yaml"
    alone.write_bytes((made / "churn.yaml").read_bytes())
    assert main(["replay", str(alone), "--events", str(made / "churn.parquet"), "--json"]) == 0
    captured = capsys.readouterr()
    assert f"leeway baseline {alone}" in captured.err
    windows = json.loads(captured.out)["windows"]
    assert {window["verdict"] for window in windows} == {"insufficient"}


def test_events_nobody_can_read_are_written_as_dead_letters_byte_for_byte(
    made: Path, tmp_path: Path
) -> None:
    event = {"model_id": "churn", "timestamp": int(START.timestamp() * 1000), "features": {}}
    lines = [json.dumps(event).encode(), b"{broken", b"\xff\xfe"]
    source = tmp_path / "events.jsonl"
    source.write_bytes(b"\n".join(lines) + b"\n")
    to = tmp_path / "found"
    arguments = [str(made / "churn.yaml"), "--events", str(source), "--output", str(to)]
    assert main(["replay", *arguments]) == 0
    dead = [
        json.loads(line) for line in (to / "leeway.dead-letters.jsonl").read_text().splitlines()
    ]
    assert [letter["headers"]["leeway.reason"] for letter in dead] == ["not_json", "not_json"]
    assert dead[0]["value"] == "{broken"


MISTAKES = {
    "no such lifecycle": (["replay", "nothing.yaml", "--events", "x"], "nothing.yaml"),
    "no such data": (["baseline", "{churn}", "--data", "nothing.parquet"], "there is no such file"),
    "not a reference": (["replay", "{churn}", "--events", "{data}", "--reference", "{churn}"], "is not a reference"),
    "no such model": (["baseline", "{churn}", "--data", "{data}", "--model", "loans"], "it holds churn"),
    "a wrong condition": (["baseline", "{churn}", "--data", "{data}", "--where", "split"], "COLUMN=VALUE"),
    "no Kafka": (["models"], "no Kafka was given"),
    "no Kafka for a topic": (["baseline", "{churn}", "--data", "topic:x"], "no Kafka was given"),
    "an unknown role": (["run", "--role", "joker", "--brokers", "localhost:1"], "expected profiler, joiner, "),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_and_exit_code_2(
    made: Path, mistake: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(made)
    typed, expected = MISTAKES[mistake]
    names = {"churn": str(made / "churn.yaml"), "data": str(made / "churn.parquet")}
    assert main([part.format(**names) for part in typed]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert expected in line


# ------------------------------------------------------------------------------------------------- with a broker


@contextmanager
def running(
    *arguments: str, environment: dict[str, str], log: Path
) -> Iterator["subprocess.Popen[bytes]"]:
    """A service whose log is shown when the test fails. A file, since nobody empties a pipe meanwhile."""
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            leeway("run", *arguments), stderr=stderr, env=os.environ | environment
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        sys.stdout.write(log.read_text())


@pytest.mark.kafka
def test_a_running_service_finds_what_replay_finds_and_the_commands_show_it(
    made: Path,
    tmp_path: Path,
    kafka: AnyBroker,
    unique: Callable[[str], str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    environment = {
        "LEEWAY_BROKERS": kafka.bootstrap,
        "LEEWAY_TOPICS_PREFIX": f"{unique('cli')}.",
        "LEEWAY_TOPICS_PARTITIONS": "2",
        "LEEWAY_HTTP_PORT": str(free_port()),
        "LEEWAY_METRICS_PORT": "0",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def asked(*command: str) -> Any:
        assert main([*command, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    assert replay(made, "--json") == 0
    expected = json.loads(capsys.readouterr().out)["episodes"]
    assert asked("apply", str(made / "churn.yaml"))["applied"][0]["model_id"] == "churn"
    assert [model["model_id"] for model in asked("models")["models"]] == ["churn"]
    log = tmp_path / "service.log"
    said = ("silence", "churn", "--id", "moving", "--reason", "moving", "--by", "ann")
    began, ends = ("--from", START.isoformat()), ("--until", (START + 29 * 24 * HOUR).isoformat())
    with running(str(made / "churn.yaml"), environment=environment, log=log) as service:
        assert asked(*said, *began, *ends, "--no-wait")["outcome"] == "pending"
        assert main(["retrain", "nobody"]) == 1, "no window is waited for where there is no model"
        assert "refused: retrain, nobody: unknown_model" in capsys.readouterr().out
        port = environment["LEEWAY_HTTP_PORT"]
        given = until(lambda: _give(port, "churn"))
        assert given["status"] == "pending"
        _produce(made, environment)
        found = until(
            lambda: _all_judged(asked("status")),
            within=timedelta(seconds=90),
            describe="the last window",
        )
        assert asked(*said, *began, *ends)["outcome"] == "applied", "it is not given again"
        told = until(lambda: _answered(port, given["command_id"]))
        assert (told["status"], told["reason"]) == ("refused", "unknown_episode")
        (silence,) = _get(port, "/silences")["items"]
        assert (silence["command_id"], silence["by"]) == ("moving", "ann")
        service.send_signal(signal.SIGTERM)
        assert service.wait(60) == 0
    capsys.readouterr()  # the log
    assert [e["episode_id"] for e in found["episodes"]] == [e["episode_id"] for e in expected]
    assert found["dead_letters"] == {"not_json": 1}
    assert found["unregistered"] == {"nobody": 1}
    past = ["--data", f"topic:{environment['LEEWAY_TOPICS_PREFIX']}predictions", "--output"]
    rebuilt = asked("baseline", str(made / "churn.yaml"), *past, str(tmp_path / "rebuilt.json"))
    assert rebuilt["reference"]["built_from"]["events"] == PRODUCTION * PER_HOUR
    why = asked("explain", "churn", "tenure")
    assert why["series"][0]["effect"]["name"] in ("auc_shift", "spread")
    assert main(["explain", "churn"]) == 0
    assert "alarm: log statistic" in capsys.readouterr().out
    assert main(["explain", "churn", "tenur"]) == 2
    assert main(["status"]) == 0
    assert "events of nobody, which nobody registered" in capsys.readouterr().out


def _get(port: str, path: str, body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    address = f"http://127.0.0.1:{port}/api/v1{path}"
    with urlopen(Request(address, data, headers), timeout=20) as answer:
        return json.loads(answer.read())


def _give(port: str, model: str) -> Any:
    """Give a command over HTTP, once control has read the log."""
    about = {"command_id": "click", "model_id": model, "by": "ann", "episode_id": "ep-none"}
    try:
        return _get(port, "/commands", {"command": "acknowledge", **about})
    except URLError:  # not listening yet, or still reading
        return None


def _answered(port: str, command_id: str) -> Any:
    told = _get(port, f"/commands/{command_id}")
    return told if told["status"] != "pending" else None


def _all_judged(status: Any) -> Any:
    end = (START + (REFERENCE + PRODUCTION) * HOUR).isoformat(timespec="milliseconds")
    return status if status["models"][0]["window_end"] == end.replace("+00:00", "Z") else None


def _produce(made: Path, environment: dict[str, str]) -> None:
    from streams.lifecycle import read
    from streams.offline.selection import parse_where
    from streams.offline.sources import open_source

    source = open_source(
        str(made / "churn.parquet"),
        read(made / "churn.yaml"),
        where=parse_where(["split=production"]),
    )
    writer = Writer({"bootstrap.servers": environment["LEEWAY_BROKERS"]})
    topic = f"{environment['LEEWAY_TOPICS_PREFIX']}predictions"
    until(lambda: _exists(environment, topic))
    stranger = {"model_id": "nobody", "timestamp": int(START.timestamp() * 1000), "features": {}}
    for value in (b"broken", json.dumps(stranger).encode()):
        writer.write(Outgoing(topic, None, value))
    for chunk in source.chunks():
        for number, event in enumerate(chunk.events):
            writer.write(Outgoing(topic, str(number).encode(), event))
    writer.flush()


def _exists(environment: dict[str, str], topic: str) -> bool:
    from streams.kafka.admin import topic_partitions

    return topic in topic_partitions({"bootstrap.servers": environment["LEEWAY_BROKERS"]})
