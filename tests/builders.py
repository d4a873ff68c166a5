"""What tests are about, with keyword defaults for everything else."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from detectors.reference import Reference, build, to_document
from streams.broker import Batch, Record
from streams.columns import columns
from streams.lifecycle import Lifecycle, load
from streams.registry import lifecycle_record, reference_record
from streams.topics import Names

NAMES = Names()
START_MS = 1_772_409_600_000  # 2026-03-02T00:00:00Z, a Monday
MINUTE_MS, HOUR_MS = 60_000, 3_600_000


def lifecycle(**keys: Any) -> Lifecycle:
    """A lifecycle of two features, unless `keys` says otherwise; JSON is YAML."""
    document = {
        "model_id": "m",
        "version": "1.0.0",
        "features": {"income": "number", "home": "category"},
    } | keys
    (one,) = load(json.dumps({"model_lifecycle": document}), "m.yaml")
    return one


def event(time_ms: int = START_MS, **fields: Any) -> dict[str, Any]:
    """A prediction of model `m`; a field given as `...` is left out."""
    written = {
        "model_id": "m",
        "model_version": "1.0.0",
        "timestamp": time_ms,
        "features": {"income": 1.0, "home": "rent"},
        "prediction": "yes",
        "score": 0.5,
    } | fields
    return {name: value for name, value in written.items() if value is not ...}


def encode(events: Iterable[Mapping[str, Any] | bytes]) -> list[bytes]:
    """Events as the bytes a producer sends."""
    return [e if isinstance(e, bytes) else msgspec.json.encode(e) for e in events]


def stream(
    n: int,
    *,
    seed: int = 0,
    start_ms: int = START_MS,
    step_ms: int = 3_600,
    shift: float = 0.0,
    **fields: Any,
) -> list[dict[str, Any]]:
    """`n` seeded predictions, one every `step_ms`; `shift` moves the income by so many standard deviations."""
    random = np.random.default_rng(seed)
    incomes = (random.normal(size=n) + shift).round(6).tolist()
    homes = random.choice(["rent", "own", "other"], size=n, p=[0.5, 0.3, 0.2]).tolist()
    scores = random.random(n).round(6).tolist()
    return [
        event(
            start_ms + i * step_ms,
            features={"income": incomes[i], "home": homes[i]},
            score=scores[i],
            prediction="yes" if scores[i] > 0.5 else "no",
            **fields,
        )
        for i in range(n)
    ]


def reference(
    of: Lifecycle, events: Sequence[Mapping[str, Any]] | None = None, **settings: Any
) -> Reference:
    """A reference of `of`, by default of 10,000 seeded events over ten hours before the stream starts."""
    rows = events if events is not None else stream(10_000, seed=99, start_ms=START_MS - 36_000_000)
    read = columns(of, encode(rows))
    built, _ = build(
        read.columns,
        read.times_ms,
        reference_id="r1",
        model_id=of.model_id,
        model_version=of.version,
        source="seeded",
        window_ms=HOUR_MS,
        segments=read.segments,
        **settings,
    )
    return built


def registered(of: Lifecycle, built: Reference | None = None) -> list[Record]:
    """Records of `leeway.models` that register a lifecycle and its reference."""
    written = [lifecycle_record(NAMES, of)]
    if built is not None:
        written.append(reference_record(NAMES, of.model_id, built.reference_id, to_document(built)))
    return [Record(r.topic, 0, i, None, r.key, r.value) for i, r in enumerate(written)]


def batch(
    values: Sequence[bytes | None],
    *,
    topic: str = "leeway.predictions",
    partitions: Sequence[int] | None = None,
    first_offset: int = 0,
    timestamps_ms: Sequence[int | None] | None = None,
    headers: tuple[tuple[str, bytes], ...] = (),
) -> Batch:
    """Records of one topic, as one poll brings them."""
    of = list(partitions or [0] * len(values))
    stamps = list(timestamps_ms or [None] * len(values))
    offsets = [first_offset + i for i in range(len(values))]
    rows = [
        Record(topic, of[i], offsets[i], stamps[i], None, values[i], headers)
        for i in range(len(values))
    ]
    return Batch(topic, list(values), of, offsets, stamps, rows)
