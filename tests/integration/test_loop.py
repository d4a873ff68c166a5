"""Does the loop close by itself? Worse answers, a trigger, a training, a new version with its reference, and quiet."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from streams.broker import Outgoing
from streams.cli import main
from streams.kafka.admin import create_topics
from streams.kafka.commands import Tail
from streams.local_kafka import AnyBroker
from tests.integration.running import Deployment, Roles
from tests.until import until

pytestmark = pytest.mark.kafka

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "retrain"
PATIENCE = timedelta(seconds=60)
WINDOW_MS, EACH = 300_000, 300  # events of a window
REFERENCE, QUIET, WORSE, AFTER = 40, 8, 10, 12  # windows
# Near the present: a consumer starts nothing that has expired.
START_MS = int((datetime.now(UTC) - timedelta(days=2)).timestamp() * 1000) // WINDOW_MS * WINDOW_MS
FIRST = {  # the model that answers until another one is deployed
    "version": "1.0.0",
    "features": ["income", "debt", "age"],
    "classes": ["repaid", "default"],
    "mean": [0.0, 0.0, 0.0],
    "scale": [1.0, 1.0, 1.0],
    "weights": [-3.0, 3.0, 0.0],
    "bias": 0.0,
}


class Lending:
    """A service that answers, and learns later who was right. From window `QUIET` on, other borrowers default."""

    def __init__(self, place: Deployment, topics: tuple[str, str], current: Path) -> None:
        self._place, self._topics, self._current = place, topics, current
        self._writer = place.writer()
        self.sent = 0  # windows

    def send(self, windows: int = 1) -> None:
        """The next windows."""
        for _ in range(windows):
            model = json.loads(self._current.read_bytes()) if self._current.exists() else FIRST
            for topic, event in zip(self._topics, window(self.sent, model), strict=True):
                for value in event:
                    self._writer.write(Outgoing(topic, b"loans", value))
            self.sent += 1
        self._writer.flush()


def window(number: int, model: dict[str, Any]) -> tuple[list[bytes], list[bytes]]:
    """Predictions of a window, and their labels."""
    dice = np.random.default_rng([5, number + REFERENCE])
    x = dice.normal(size=(EACH, 3)).round(4)
    truth = [-3.0, 3.0, 0.0] if number < QUIET else [0.0, 3.0, 3.0]
    late = dice.random(EACH) < 1 / (1 + np.exp(-(x * truth).sum(1)))
    scaled = (x - model["mean"]) / model["scale"] * model["weights"]
    scores = 1 / (1 + np.exp(-scaled.sum(1) - model["bias"]))
    times = START_MS + number * WINDOW_MS + np.arange(EACH) * (WINDOW_MS // EACH)
    predictions, labels = [], []
    for k in range(EACH):
        known = {
            "event_id": f"{number}/{k}",
            "model_id": "loans",
            "model_version": model["version"],
            "prediction": model["classes"][int(scores[k] > 0.5)],
            "score": round(float(scores[k]), 6),
        }
        features = dict(zip(model["features"], x[k].tolist(), strict=True))
        made = int(times[k])
        predictions.append(known | {"timestamp": made, "features": features})
        label = FIRST["classes"][int(late[k])]  # type: ignore[index]
        told = {"timestamp": made + 1, "prediction_timestamp": made, "label": label}
        labels.append(known | told)
    return [msgspec.json.encode(p) for p in predictions], [msgspec.json.encode(b) for b in labels]


class Heard:
    """What Leeway has said so far."""

    def __init__(self, tail: Tail, prefix: str) -> None:
        self._tail, self._prefix = tail, prefix
        self._found: dict[str, list[Any]] = {"results": [], "alerts": [], "retraining": []}

    def __getitem__(self, topic: str) -> list[Any]:
        for record in self._tail.read():
            self._found[record.topic.removeprefix(self._prefix)].append(
                json.loads(record.value or b"{}")
            )
        return self._found[topic]

    def judged(self, version: str = "") -> int:
        """Windows of outcomes with a verdict."""
        return len(self.verdicts("outcomes", version))

    def verdicts(self, scope: str, version: str = "") -> list[str]:
        return [
            r["verdict"]
            for r in self["results"]
            if r.get("scope") == scope and r["model_version"].startswith(version)
        ]

    @property
    def statuses(self) -> list[str]:
        return [trigger["status"]["name"] for trigger in self["retraining"]]

    def outcome_of(self, word: str) -> str | None:
        """What became of a command."""
        found = (r for r in self["results"] if r.get("command") == word)
        return next((r["outcome"] for r in found), None)


@contextmanager
def consuming(
    place: Deployment, lifecycle: Path, runs: Path
) -> Iterator["subprocess.Popen[bytes]"]:
    """The reference consumer, as its page says it is started."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    settings = {
        "LEEWAY_BROKERS": place.service.brokers,
        "LEEWAY_TOPICS_PREFIX": place.names.prefix,
        "PATH": path,
    }
    line = [sys.executable, str(EXAMPLE / "consumer.py"), str(lifecycle), str(runs)]
    process = subprocess.Popen(line, env=dict(os.environ) | settings, start_new_session=True)
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # with a job that it may have begun
        process.wait()


@pytest.mark.parametrize("partitions", [1, 2])
def test_a_job_reads_a_topic_to_its_end_while_others_go_on_writing_to_it(
    kafka: AnyBroker,
    unique: Callable[[str], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    partitions: int,
) -> None:
    place = Deployment(kafka, unique("job"), tmp_path)
    topic, written = f"{place.names.prefix}scored", [b"%d" % n for n in range(3_000)]
    create_topics(place.properties, place.names, partitions=2, more={topic: partitions})
    monkeypatch.syspath_prepend(EXAMPLE)
    train = import_module("train")
    monkeypatch.setattr(train, "BROKERS", kafka.bootstrap)
    writer, over = place.writer(), threading.Event()
    for n, value in enumerate(written):
        writer.write(Outgoing(topic, None, value, (), n % partitions))
    writer.flush()

    def go_on() -> None:
        while not over.wait(0.01):
            writer.write(Outgoing(topic, None, b"more", (), 0))
            writer.flush()

    others = threading.Thread(target=go_on)
    others.start()
    try:
        read = list(train._records(topic))
    finally:
        over.set()
        others.join()
    assert sorted(value for value in read if value != b"more") == sorted(written)


def test_worse_answers_are_retrained_upon_and_the_new_version_is_quiet(
    kafka: AnyBroker, unique: Callable[[str], str], tmp_path: Path
) -> None:
    place = Deployment(kafka, unique("loop"), tmp_path)
    topics = (f"{place.names.prefix}scored", f"{place.names.prefix}known")
    create_topics(place.properties, place.names, partitions=2, more=dict.fromkeys(topics, 1))
    lifecycle, runs = registered(place, topics, tmp_path), tmp_path / "runs"
    lending = Lending(place, topics, runs / "current.json")
    with (
        place.tail("results", "alerts", "retraining") as tail,
        Roles(place.children(profiler=1, judge=1)),
        consuming(place, lifecycle, runs),
    ):
        heard = Heard(tail, place.names.prefix)
        lending.send(QUIET + WORSE)
        until(lambda: "approved" in heard.statuses, PATIENCE, lambda: heard["alerts"])
        until(lambda: onward(lending, heard, "deployed"), PATIENCE, lambda: heard.statuses)
        deployed_in = lending.sent
        lending.send(AFTER)
        until(lambda: heard.judged("1.1.0") >= AFTER - 1, PATIENCE, lambda: heard.judged("1.1.0"))

        assert heard.outcome_of("deployed") == "applied"
        assert heard.statuses == ["requested", "approved", "started", "completed"]
        last = heard["retraining"][-1]
        assert last["gates"]["decision"] == "promote"
        (run,) = (found for found in runs.iterdir() if found.is_dir())
        assert run.name == last["trigger_id"], "one job for one trigger"
        told = [(a["kind"], a["change"], a["resolve_reason"]) for a in heard["alerts"]]
        assert told[0] == ("concept_drift", "opened", None)
        assert told[-1] == ("concept_drift", "resolved", "retrained")
        assert {kind for kind, _, _ in told} == {"concept_drift"}
        new = [r for r in heard["results"] if r.get("model_version") == "1.1.0"]
        assert {r["reference_id"] for r in new} == {last["trigger_id"]}
        assert deployed_in > QUIET + WORSE
        assert heard.verdicts("outcomes", "1.1.0").count("stable") >= AFTER // 2
        assert {*heard.verdicts("outcomes", "1.1.0"), *heard.verdicts("inputs", "1.1.0")} <= {
            "stable",
            "insufficient",
        }


def registered(place: Deployment, topics: tuple[str, str], folder: Path) -> Path:
    """The example's lifecycle with these topics, registered with the reference of its first version."""
    lifecycle, past = folder / "loans.yaml", folder / "past.jsonl"
    text = (EXAMPLE / "loans.yaml").read_text()
    for written, topic in zip(("loans.scored", "loans.outcomes"), topics, strict=True):
        text = text.replace(written, topic)
    lifecycle.write_text(text)
    with past.open("wb") as file:
        for number in range(-REFERENCE, 0):
            file.writelines(value + b"\n" for of in window(number, FIRST) for value in of)
    with contextlib.redirect_stdout(io.StringIO()):
        assert main(["baseline", str(lifecycle), "--data", str(past)]) == 0
        assert main(["apply", str(lifecycle), "--config", str(place.config)]) == 0
    return lifecycle


def onward(lending: Lending, heard: Heard, command: str) -> bool:
    """Time goes on, window by window as they are judged, until a command was applied."""
    if heard.judged() >= lending.sent - 1:
        lending.send()
    return heard.outcome_of(command) is not None
