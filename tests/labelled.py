"""A model with labels and a story about it: twelve days of predictions and late truth, of which three go wrong."""

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any

from alerting.settings import Receiver
from detectors.reference.build import Reference, digest
from streams.lifecycle import Lifecycle
from streams.loop import drain
from streams.memory import MemoryBroker, MemoryLog
from streams.offline.known import known_outcomes
from streams.profiling.profiler import Profiler
from streams.topics import TOPICS
from tests.builders import (
    HOUR_MS,
    NAMES,
    START_MS,
    documents,
    encode,
    judge,
    lifecycle,
    reference,
    registered,
    stream,
)

DAY_MS = 24 * HOUR_MS
DAYS, EACH = 12, 400
WORSE = range(6, 9)  # days on which the model errs
SLACK = Receiver("slack", "slack", "#ml")
SAID = ("results", "alerts", "alerts.slack", "retraining")


def watched(**monitoring: Any) -> Lifecycle:
    """A model with labels, that is judged every six hours and whose truth is judged every day."""
    return lifecycle(
        source={"labels": {}, "join": False},
        prediction={
            "classes": ["no", "yes"],
            "positive": "yes",
            "costs": {"false_positive": 10, "false_negative": 30, "unit": "EUR"},
        },
        segments=["country"],
        monitoring={
            "window": {"size": "6h", "pane": "1h", "lateness": "1m"},
            "false_alarms": "1 per 30 days",
            "performance_metrics": [
                {"metric": "accuracy", "threshold": "below 0.75"},
                {"metric": "recall", "threshold": "below 0.5", "measurement_frequency": "Weekly"},
            ],
            "drift_detection": {"concept_drift": {"window": "1d"}},
        }
        | monitoring,
        retraining={
            "trigger_conditions": [
                {"name": "worse", "trigger": "concept drift detected", "action": "retrain"}
            ]
        },
    )


def predicted(days: Iterable[int], seed: int = 0) -> list[dict[str, Any]]:
    """So many predictions a day."""
    found = []
    for day in days:
        start = START_MS + day * DAY_MS
        for i, one in enumerate(
            stream(EACH, seed=seed + 100 + day, start_ms=start, step_ms=DAY_MS // EACH)
        ):
            tags = {"country": "DE" if i % 3 else "FR"}
            found.append(one | {"event_id": f"{day}/{i}", "tags": tags})
    return found


def labelled(
    predictions: Sequence[Mapping[str, Any]], worse: range = WORSE, seed: int = 5
) -> list[dict[str, Any]]:
    """Their labels, hours late: right in nine of ten, but for the days on which it is six of ten."""
    chance, found = random.Random(seed), []
    for one in predictions:
        day = int(one["event_id"].partition("/")[0])
        right = chance.random() < (0.6 if day in worse else 0.9)
        said = one["prediction"]
        found.append(
            {
                "event_id": one["event_id"],
                "model_id": "m",
                "model_version": "1.0.0",
                "timestamp": one["timestamp"] + chance.randrange(30) * HOUR_MS,
                "prediction_timestamp": one["timestamp"],
                "prediction": said,
                "score": one["score"],
                "label": said if right else {"yes": "no", "no": "yes"}[said],
                "tags": one["tags"],
            }
        )
    return sorted(found, key=lambda label: (label["timestamp"], label["event_id"]))


@cache
def built(**monitoring: Any) -> Reference:
    """What the model is compared with: forty quiet days before."""
    of, past = watched(**monitoring), predicted(range(-40, 0), seed=1_000)
    made = reference(of, past)
    labels = encode(labelled(past, range(0), seed=7))
    known, _ = known_outcomes(of, made, labels, list)
    whole = replace(made, known=known)
    return replace(whole, digest=digest(whole))


@cache
def story() -> tuple[tuple[str, int, bytes], ...]:
    """Everything in the order in which it comes: topic, time, event."""
    predictions = predicted(range(DAYS))
    labels = labelled(predictions)
    found = [
        (topic, one["timestamp"], value)
        for topic, events in (("predictions", predictions), ("labels", labels))
        for one, value in zip(events, encode(events), strict=True)
    ]
    return tuple(sorted(found, key=lambda row: row[1]))


def logged(
    rows: Sequence[tuple[str, int, bytes]],
    *models: tuple[Lifecycle, Reference],
    partitions: int = 1,
) -> MemoryLog:
    """A log in memory that holds these events and what is registered."""
    log = MemoryLog()
    for name in ("predictions", "labels"):
        log.create(NAMES(name), partitions)
    for one in TOPICS:
        log.create(NAMES(one.name), one.partitions or partitions)
    for of, known in models or ((watched(), built()),):
        for record in registered(of, known):
            log.append(record.topic, record.value, record.key, partition=0)
    for i, (topic, _, value) in enumerate(rows):
        log.append(NAMES(topic), value, partition=i % partitions)
    return log


def profile(log: MemoryLog, **how: int) -> None:
    """Let a profiler read everything."""
    partitions = log.partition_count(NAMES("profiles"))
    stage = Profiler(NAMES, partitions, log.partition_count)
    topics = [NAMES("predictions"), NAMES("labels")]
    drain(MemoryBroker(log, "profiler"), stage, topics=topics, followed=[NAMES("models")], **how)  # type: ignore[arg-type]


@cache
def judged() -> MemoryLog:
    """The story, read and judged in one go."""
    log = logged(story())
    profile(log)
    judge(log, [SLACK])
    return log


def results(log: MemoryLog, scope: str, segment: str = "all") -> list[dict[str, Any]]:
    found = documents(log, "results")
    return [r for r in found if (r["scope"], r["segment"]) == (scope, segment)]


def day_of(time: str) -> int:
    return (round(datetime.fromisoformat(time).timestamp() * 1000) - START_MS) // DAY_MS


def labels_of(day: int, field: str, country: str | None = None) -> list[dict[str, Any]]:
    """The labels whose `field` is on a day."""
    every = labelled(predicted(range(DAYS)))
    return [
        one
        for one in every
        if (one[field] - START_MS) // DAY_MS == day and country in (None, one["tags"]["country"])
    ]


def counted(labels: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """Their confusion."""
    pairs = Counter((one["label"], one["prediction"]) for one in labels)
    return {a: {p: pairs[a, p] for p in ("no", "yes")} for a in ("no", "yes")}


def told(
    rows: Sequence[tuple[str, int, bytes]],
    of: Lifecycle | None = None,
    known: Reference | None = None,
    **how: int,
) -> MemoryLog:
    """These events, read and judged."""
    log = logged(rows, (of or watched(), known or built()))
    profile(log, **how)
    judge(log, [SLACK])
    return log
