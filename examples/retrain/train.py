"""One training job: the events of the suggested window, a model, its reference, and what is reported of it.

    python train.py runs/rt-… loans.yaml

The predictions in the new reference are out of fold: those of a model that has not seen the row. A reference that its
model has learned by heart would call every later answer worse.
"""

import fcntl
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
from consumer import BROKERS, ME, PREFIX, read, write
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

Event = dict[str, Any]


def train(run: Path, lifecycle: Path) -> dict[str, Any]:
    """Train, build the reference, and say how good the model is."""
    trigger, whole = read(run / "trigger.json"), yaml.safe_load(lifecycle.read_text())
    model = whole["model_lifecycle"]
    features, positive = list(model["features"]), model["prediction"]["positive"]
    rows = list(_rows(trigger, features))
    if len(rows) < 100:
        raise ValueError(f"{len(rows)} labelled events in the training window: expected 100")
    x = np.array([[one["features"][name] for name in features] for one, _ in rows])
    y = np.array([label["label"] == positive for _, label in rows])
    pipe = make_pipeline(StandardScaler(), LogisticRegression())
    unseen = cross_val_predict(pipe, x, y, cv=5, method="predict_proba")[:, 1]
    scaler, regression = (step for _, step in pipe.fit(x, y).steps)
    version = _next(trigger["model"]["version"])
    made = {
        "version": version,
        "features": features,
        "classes": [next(c for c in model["prediction"]["classes"] if c != positive), positive],
        "mean": scaler.mean_.tolist(),
        "scale": scaler.scale_.tolist(),
        "weights": regression.coef_[0].tolist(),
        "bias": float(regression.intercept_[0]),
    }
    write(
        run / "model.json", json.dumps(made).encode()
    )  # numbers, no pickle: a model must not run code
    _reference(run, whole | {"model_lifecycle": model | {"version": version}}, made, rows, unseen)
    metrics = {
        "accuracy": float(accuracy_score(y, unseen > 0.5)),
        "auc": float(roc_auc_score(y, unseen)),
        "log_loss": float(log_loss(y, unseen)),
    }
    return {"status": "completed", "model_version": version, "metrics": metrics}


def _rows(trigger: Any, features: list[str]) -> Iterator[tuple[Event, Event]]:
    """Predictions of the window with their labels, in order of time, each once."""
    window, model_id = trigger["training_window"], trigger["model"]["id"]
    start, end = (
        1000 * datetime.fromisoformat(window[side]).timestamp() for side in ("start", "end")
    )
    predictions: dict[str, Event] = {}
    labels: dict[str, Event] = {}
    for event in (e for source in trigger["pipeline"]["data_sources"] for e in _events(source)):
        if event.get("model_id") != model_id:
            continue
        if "label" in event:
            labels[event["event_id"]] = event
        elif start <= event["timestamp"] < end and _whole(event, features):
            predictions[event["event_id"]] = event
    for event in sorted(predictions.values(), key=lambda e: (e["timestamp"], e["event_id"])):
        if event["event_id"] in labels:
            yield event, labels[event["event_id"]]


def _whole(event: Event, features: list[str]) -> bool:
    return all(isinstance(event["features"].get(name), int | float) for name in features)


def _events(source: str) -> Iterable[Event]:
    """All of a file of JSON lines, or of a topic up to its present end."""
    topic = source.removeprefix("topic:")
    if topic == source:
        return map(json.loads, Path(source).read_text().splitlines())
    return map(json.loads, _records(topic))


def _records(topic: str) -> Iterator[bytes]:
    settings = {
        "enable.partition.eof": True,
        "enable.auto.commit": False,
        "group.id": f"{PREFIX}{ME}",
    }
    consumer = Consumer({"bootstrap.servers": BROKERS, **settings})
    parts = [
        TopicPartition(topic, n, OFFSET_BEGINNING)
        for n in consumer.list_topics(topic, timeout=30).topics[topic].partitions
    ]
    ends = {part.partition: consumer.get_watermark_offsets(part, timeout=30)[1] for part in parts}
    consumer.assign(parts)
    while ends:  # of now: Kafka tells of an end only where nothing comes for a while
        for message in consumer.consume(1000, timeout=1.0):
            number, error = message.partition(), message.error()
            if error is None:
                yield message.value()
            elif error.code() != KafkaError._PARTITION_EOF:
                raise KafkaException(error)
            if error or message.offset() + 1 >= ends.get(number, 0):
                ends.pop(number, None)
    consumer.close()


def _next(version: str) -> str:
    """New training data: the next minor release, which needs a reference of its own."""
    major, minor, _ = version.split(".")
    return f"{major}.{int(minor) + 1}.0"


def _reference(run: Path, lifecycle: Any, made: Any, rows: Iterable[Any], unseen: Any) -> None:
    """What is normal for the new model: the same events, answered as it would have."""
    with (run / "events.jsonl").open("w") as file:
        for (event, label), score in zip(rows, unseen.tolist(), strict=True):
            answer = made["classes"][score > 0.5]
            said = {"model_version": made["version"], "prediction": answer, "score": score}
            known = {"prediction_timestamp": event["timestamp"]}
            for one in (event | said, label | said | known):
                file.write(json.dumps(one) + "\n")
    (run / "lifecycle.yaml").write_text(json.dumps(lifecycle))  # JSON is YAML
    where = ["--data", str(run / "events.jsonl"), "--output", str(run / "reference.json")]
    name = [str(run / "lifecycle.yaml"), "--id", run.name]
    subprocess.run(["leeway", "baseline", *name, *where], check=True, stdout=subprocess.DEVNULL)


def main(run: Path, lifecycle: Path) -> None:
    with (run / "lock").open("w") as lock:
        try:
            fcntl.flock(
                lock, fcntl.LOCK_EX | fcntl.LOCK_NB
            )  # gone with the process, however it ends
        except BlockingIOError:
            return  # the job runs already
        if (run / "report.json").exists():
            return
        try:
            report = train(run, lifecycle)
        except Exception as error:  # noqa: BLE001 - whatever it is, Leeway and people should hear of it
            report = {"status": "failed", "error": f"{type(error).__name__}: {error}"[:1000]}
        write(run / "report.json", json.dumps(report).encode())
        print(f"{datetime.now(UTC):%H:%M:%S} {run.name}: {report}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
