"""Predictions and their late labels, as logs of two topics, and what a plain pandas calculation makes of them."""

from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import numpy as np
import pandas as pd

from streams.lifecycle import Lifecycle, load
from streams.memory import partition_of

FIRST_MS = 1_760_000_000_000  # in the past of every clock that runs this
HOUR_MS, MINUTE_MS = 3_600_000, 60_000
SPAN_MS = 24 * HOUR_MS
HORIZON_MS = 6 * HOUR_MS
LABELLED, LATEST_MS = 0.30, 3 * HOUR_MS
EARLY, CORRECTED, DUPLICATED, ORPHANED = 0.01, 0.01, 0.01, 0.005  # of the labels
FEATURES = 12
CLASSES = np.array(["no", "yes"])


class Expected(NamedTuple):
    """What became of labels, and the net outcomes by hour of the first label, label and prediction."""

    counts: dict[str, int]
    confusion: dict[tuple[int, str, str], int]


@dataclass(frozen=True)
class Logs:
    """Both topics in the order they are written. `delivered` of a prediction: when it is written."""

    predictions: pd.DataFrame  # id, time, delivered, predicted, score, partition
    labels: pd.DataFrame  # id, time, label, partition


def lifecycle(predictions: str, labels: str) -> Lifecycle:
    """One model whose labels are joined; it reads these topics."""
    source = {
        "predictions": {"topic": predictions},
        "labels": {"topic": labels},
        "join": {"window": f"{HORIZON_MS}ms"},
    }
    document = {
        "model_id": "model-00",
        "version": "1.4.2",
        "metadata": {"model_type": "Classification"},
        "prediction": {"classes": ["no", "yes"], "positive": "yes"},
        "source": source,
        "monitoring": {"window": {"idle": "2s"}},  # labels wait no longer once the predictions end
        "features": {f"num_{i}": "number" for i in range(FEATURES)},
    }
    (one,) = load(msgspec.json.encode({"model_lifecycle": document}).decode(), "benchmark.yaml")
    return one


def logs(n: int, partitions: int, seed: int = 1) -> Logs:
    """`n` predictions of a day and the labels of 30 % of them; the same for the same arguments."""
    random = np.random.default_rng(seed)
    times = FIRST_MS + np.sort(random.integers(0, SPAN_MS, n))
    score = random.random(n).round(6)
    predictions = pd.DataFrame(
        {
            "id": [f"{i:032x}" for i in range(n)],
            "time": times,
            "delivered": times,
            "predicted": CLASSES[(score > 0.5).astype(int)],
            "score": score,
        }
    )
    chosen = np.flatnonzero(random.random(n) < LABELLED)
    labels = pd.DataFrame(
        {
            "id": predictions["id"].to_numpy()[chosen],
            "time": times[chosen] + random.integers(0, LATEST_MS, len(chosen)),
            "label": CLASSES[(random.random(len(chosen)) < score[chosen]).astype(int)],
        }
    )
    early = random.random(len(chosen)) < EARLY
    soon = random.integers(0, 10 * MINUTE_MS, int(early.sum()))
    labels.loc[early, "time"] = times[chosen[early]] + soon
    after = labels["time"].to_numpy()[early] + random.integers(1, 30 * MINUTE_MS, int(early.sum()))
    predictions.loc[chosen[early], "delivered"] = after
    corrected = labels[random.random(len(labels)) < CORRECTED].copy()
    corrected["label"] = np.where(corrected["label"] == "yes", "no", "yes")
    corrected["time"] += random.integers(1, 30 * MINUTE_MS, len(corrected))
    duplicated = labels[random.random(len(labels)) < DUPLICATED].copy()
    duplicated["time"] += random.integers(0, 30 * MINUTE_MS, len(duplicated))
    orphaned = labels[random.random(len(labels)) < ORPHANED].copy()
    orphaned["id"] = "f" + orphaned["id"].str[1:]
    labels = pd.concat([labels, corrected, duplicated, orphaned], ignore_index=True)
    predictions = predictions.sort_values("delivered", kind="stable", ignore_index=True)
    labels = labels.sort_values("time", kind="stable", ignore_index=True)
    for table in (predictions, labels):
        table["partition"] = [partition_of(one.encode(), partitions) for one in table["id"]]
    return Logs(predictions, labels)


def expected(logs: Logs) -> Expected:
    """A join, three grouped passes, nothing else: it knows no order of reading and no store."""
    predictions, labels = logs.predictions.copy(), logs.labels.copy()
    of_partition = predictions.groupby("partition")["time"]
    predictions["reached"] = of_partition.cummax()
    predictions["reached"] = predictions.groupby("partition")["reached"].shift(fill_value=0)
    labels["turn"] = labels.groupby("partition")["time"].cummax()
    both = labels.merge(predictions, on="id", how="left", suffixes=("", "_p"))
    found = both[both["time_p"].notna()].copy()
    before = found.groupby("id")["label"].shift()
    first = before.isna()
    changed = ~first & (before != found["label"])
    counts = {
        "matched": int(first.sum()),
        "duplicate": int((~first & ~changed).sum()),
        "corrected": int(changed.sum()),
        "early": int((found["reached"] >= found["turn"]).sum()),
        "unmatched": int(both["time_p"].isna().sum()),
    }
    truths = found.groupby("id").agg(
        time=("time", "first"), label=("label", "last"), predicted=("predicted", "first")
    )
    hours = (truths["time"] - FIRST_MS) // HOUR_MS
    confusion = truths.groupby([hours, "label", "predicted"]).size()
    return Expected(counts, {(int(h), a, p): int(k) for (h, a, p), k in confusion.items()})


def prediction(row: tuple[str, int, str, float], features: dict[str, float]) -> bytes:
    """An event of about 350 bytes."""
    event_id, time_ms, predicted, score = row
    return msgspec.json.encode(
        {
            "event_id": event_id,
            "model_id": "model-00",
            "model_version": "1.4.2",
            "timestamp": time_ms,
            "score": score,
            "prediction": predicted,
            "features": features,
        }
    )


def label(row: tuple[str, int, str]) -> bytes:
    event_id, time_ms, said = row
    return msgspec.json.encode(
        {"event_id": event_id, "model_id": "model-00", "timestamp": time_ms, "label": said}
    )
