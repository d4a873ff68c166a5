"""What does another format cost a profiler, beside plain JSON? CPU per event, unpacked, decoded, grouped and counted.

    python -m benchmarks.formats [--events 100000] [--rounds 5]

No Kafka is in it: the same events of the profiler's benchmark are handed over in batches, in every format, median over
rounds in which the formats take turns. Ratios can be trusted, absolute times depend on the machine. Exit code 1 if
JSON pays for the others.
"""

import argparse
import json
import statistics
import struct
import sys
import time
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import NamedTuple

import fastavro

from benchmarks import _workload as workload
from benchmarks._figures import markdown
from streams.broker import Batch, Partition, Record
from streams.formats.registered import Known, Schema
from streams.formats.unpacking import AS_IT_IS, Unpack, Unpacking
from streams.lifecycle import Lifecycle
from streams.profiling.profiler import Profiler
from streams.registry import lifecycle_record
from streams.topics import Names

HEAD = ("format", "bytes", "µs per event", "times JSON")
LARGEST_SHARE = 1.1  # of JSON with other formats possible, to JSON alone
BATCH = 1_000
TOPIC = "leeway.predictions"
SCHEMA = {
    "type": "record",
    "name": "Prediction",
    "fields": [
        {"name": "event_id", "type": "string"},
        {"name": "model_id", "type": "string"},
        {"name": "model_version", "type": ["null", "string"]},
        {"name": "timestamp", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "score", "type": "double"},
        {"name": "prediction", "type": "string"},
        {
            "name": "features",
            "type": {
                "type": "record",
                "name": "Features",
                "fields": [
                    *({"name": f"num_{i}", "type": "double"} for i in range(workload.NUMBERS)),
                    *({"name": f"cat_{i}", "type": "string"} for i in range(workload.CATEGORIES)),
                ],
            },
        },
    ],
}
KNOWN = Known({1: Schema("AVRO", json.dumps(SCHEMA)), 2: Schema("JSON", "{}")})
ABOUT = {"specversion": "1.0", "id": "1", "source": "/models", "type": "prediction"}
Headers = tuple[tuple[str, bytes], ...]


class Form(NamedTuple):
    """One way to pack an event, and how a profiler is told."""

    name: str
    format: str
    pack: Callable[[bytes], bytes]
    headers: Headers = ()
    unpack: Unpack = Unpacking(KNOWN)


def _avro() -> Callable[[bytes], bytes]:
    parsed = fastavro.parse_schema(SCHEMA)

    def pack(value: bytes) -> bytes:
        written = BytesIO()
        written.write(struct.pack(">bI", 0, 1))
        fastavro.schemaless_writer(written, parsed, json.loads(value))
        return written.getvalue()

    return pack


FORMS = (
    Form("json, nothing else known", "json", bytes, unpack=lambda batch, formats: batch),
    Form("json", "json", bytes, unpack=AS_IT_IS),
    Form("json-schema", "json-schema", lambda value: struct.pack(">bI", 0, 2) + value),
    Form(
        "cloudevents, binary",
        "cloudevents",
        bytes,
        tuple((f"ce_{name}", text.encode()) for name, text in ABOUT.items()),
    ),
    Form(
        "cloudevents, structured",
        "cloudevents",
        lambda value: json.dumps(ABOUT).encode()[:-1] + b', "data": ' + value + b"}",
        (("content-type", b"application/cloudevents+json"),),
    ),
    Form("avro", "avro", _avro()),
)


class _Rows:
    """Records made when they are asked for, as those of Kafka are."""

    def __init__(self, values: Sequence[bytes], headers: Headers) -> None:
        self._values, self._headers = values, headers

    def __getitem__(self, index: int) -> Record:
        return Record(TOPIC, 0, index, None, None, self._values[index], self._headers)


def measured(form: Form, values: Sequence[bytes]) -> float:
    """CPU seconds of a profiler that has counted them all."""
    stage = Profiler(Names(), 4, lambda topic: 1, form.unpack)
    records = [lifecycle_record(Names(), one) for one in _lifecycles(form.format)]
    stage.follow([Record(r.topic, 0, i, None, r.key, r.value) for i, r in enumerate(records)])
    stage.gained(Partition(TOPIC, 0), iter(()))
    began = time.process_time()
    for at in range(0, len(values), BATCH):
        mine = values[at : at + BATCH]
        offsets, none = list(range(at, at + len(mine))), [None] * len(mine)
        stage.step(Batch(TOPIC, mine, [0] * len(mine), offsets, none, _Rows(mine, form.headers)))
    work = stage.flush()
    took = time.process_time() - began
    if any(record.topic == Names()("dead-letters") for record in work.records):
        raise SystemExit(f"{form.name}: events were refused")
    return took


def _lifecycles(format_: str) -> list[Lifecycle]:
    found = []
    for one in workload.lifecycles():
        assert one.source.predictions is not None
        predictions = one.source.predictions.model_copy(update={"format": format_})
        source = one.source.model_copy(update={"predictions": predictions})
        found.append(one.model_copy(update={"source": source}))
    return found


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--events", type=int, default=100_000)
    options.add_argument("--rounds", type=int, default=5)
    asked = options.parse_args()
    plain = workload.events(0, asked.events)
    packed = {form.name: list(map(form.pack, plain)) for form in FORMS}
    took: dict[str, list[float]] = {form.name: [] for form in FORMS}
    for _ in range(asked.rounds):
        for form in FORMS:
            took[form.name].append(measured(form, packed[form.name]))
    each = {name: statistics.median(times) / asked.events * 1e6 for name, times in took.items()}
    alone, beside = (each[form.name] for form in FORMS[:2])
    rows = [
        (
            form.name,
            str(round(statistics.fmean(map(len, packed[form.name])))),
            f"{each[form.name]:.2f}",
            f"{each[form.name] / alone:.2f}",
        )
        for form in FORMS
    ]
    print(*markdown(HEAD, rows), sep="\n")
    return int(beside > LARGEST_SHARE * alone)


if __name__ == "__main__":
    sys.exit(main())
