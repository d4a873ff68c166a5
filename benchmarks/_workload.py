"""The set-up that profilers are measured on: 20 models, 10 numbers, 2 categories and a score in 357 bytes of JSON."""

import json

import msgspec
import numpy as np
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from detectors.reference.build import build, to_document
from streams.lifecycle import Lifecycle, load
from streams.profiling.columns import columns
from streams.registry import lifecycle_record, reference_record
from streams.topics import Names

MODELS, NUMBERS, CATEGORIES = 20, 10, 2
FIRST_MS, STEP_MS = 1_760_000_000_000, 2  # in the past of every clock that runs this
HOUR_MS = 3_600_000


def lifecycles() -> tuple[Lifecycle, ...]:
    """Twenty models that share a topic."""
    features = {f"num_{i}": "number" for i in range(NUMBERS)}
    features |= {f"cat_{i}": "category" for i in range(CATEGORIES)}
    documents = [
        {
            "model_lifecycle": {
                "model_id": f"model-{number:02d}",
                "version": "1.4.2",
                "metadata": {"model_type": "Classification"},
                "features": features,
            }
        }
        for number in range(MODELS)
    ]
    return tuple(one for d in documents for one in load(json.dumps(d), "benchmark.yaml"))


def events(start: int, size: int, *, model: int | None = None) -> list[bytes]:
    """Events number `start` to `start + size`, the same in every run."""
    random = np.random.default_rng([1, start])
    numbers = random.normal(size=(size, NUMBERS)).round(5).tolist()
    scores = random.random(size).round(6).tolist()
    models = random.integers(MODELS, size=size).tolist()
    levels = random.integers(8, size=(size, CATEGORIES)).tolist()
    written = []
    for i in range(size):
        features: dict[str, object] = {f"num_{j}": x for j, x in enumerate(numbers[i])}
        features |= {f"cat_{j}": f"v{c}" for j, c in enumerate(levels[i])}
        event = {
            "event_id": f"{start + i:032x}",
            "model_id": f"model-{models[i] if model is None else model:02d}",
            "model_version": "1.4.2",
            "timestamp": FIRST_MS + (start + i) * STEP_MS,
            "score": scores[i],
            "prediction": "yes" if scores[i] > 0.5 else "no",
            "features": features,
        }
        written.append(msgspec.json.encode(event))
    return written


def prepare(brokers: str, prefix: str, n: int, partitions: int = 4) -> Names:
    """Topics under `prefix`: events, registered models with references, and room for summaries."""
    names, admin = Names(prefix), AdminClient({"bootstrap.servers": brokers})
    topics = [
        NewTopic(names(t), partitions, 1) for t in ("predictions", "profiles", "dead-letters")
    ]
    for created in admin.create_topics([*topics, NewTopic(names("models"), 1, 1)]).values():
        created.result()
    settings = {"linger.ms": 20, "compression.type": "lz4", "batch.size": 1_000_000}
    room = {"queue.buffering.max.messages": 1_000_000, "queue.buffering.max.kbytes": 2_000_000}
    producer = Producer({"bootstrap.servers": brokers} | settings | room)
    for of in lifecycles():
        read = columns(of, events(10_000_000, 10_000, model=int(of.model_id[-2:])))
        built, _ = build(
            read.columns,
            None,
            reference_id="r",
            model_id=of.model_id,
            model_version=of.version,
            source="benchmark",
            window_ms=HOUR_MS,
        )
        records = (
            lifecycle_record(names, of),
            reference_record(names, of.model_id, "r", to_document(built)),
        )
        for record in records:
            producer.produce(record.topic, record.value, record.key, 0)
    for start in range(0, n, 10_000):
        for i, value in enumerate(events(start, min(10_000, n - start))):
            producer.produce(names("predictions"), value, str(i % 64))
        producer.poll(0)
        if start % 200_000 == 0:
            producer.flush()
    producer.flush()
    return names
