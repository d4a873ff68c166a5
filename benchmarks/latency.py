"""How long after a window ends is its alert there? From the event that ends it to the alert on `leeway.alerts`.

    python -m benchmarks.latency [--windows 20] [--brokers HOST:PORT]

`leeway run` with its default settings watches a model per window, each with a feature that is broken from its first
event on. Once the profiler has committed all counts of a window, at a random moment of its rhythm, one event per source
partition is sent that takes the watermark past the window's end. The clock starts before the first of these is sent and
stops when a reader of committed records has the alert.
"""

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from detectors.reference.build import build, to_document
from streams.broker import Outgoing, Record
from streams.kafka.admin import create_topics
from streams.kafka.commands import Tail, Writer
from streams.lifecycle import load
from streams.local_kafka import any_broker
from streams.messages import Progress, decode_profile
from streams.profiling.columns import columns
from streams.service import Service, load_service
from streams.supervisor import leeway
from streams.topics import Names

PARTITIONS = 4  # of the source
HOUR_MS = 3_600_000
LATENESS_MS = 60_000
FIRST_MS = 1_759_996_800_000  # in the past of every clock that runs this; a full hour
EVENTS = 2_000  # of a window
TARGET_S = 3.0
_PATIENCE_S = 120.0


class Round(NamedTuple):
    """Seconds after the event that ends the window was sent."""

    counted: float  # until the profiler's report that ends the window was committed
    alerted: float


def lifecycle(number: int) -> str:
    """A model, as a file. JSON is YAML."""
    features = {"income": "number", "age": "number", "home": "category"}
    about = {"model_id": f"model-{number:02d}", "version": "1.0.0", "features": features}
    return json.dumps({"model_lifecycle": about})


def events(model: int, start_ms: int, count: int, *, broken: bool, seed: int) -> list[bytes]:
    """Events of an hour, in order; a broken feature is in another unit."""
    dice = np.random.default_rng([seed, model])
    times = (start_ms + np.sort(dice.integers(HOUR_MS, size=count))).tolist()
    incomes = (dice.lognormal(10, 0.5, count) / (12 if broken else 1)).round(2).tolist()
    ages = dice.normal(40, 12, count).round(1).tolist()
    homes = dice.choice(["rent", "own"], count).tolist()
    return [
        msgspec.json.encode(
            {
                "model_id": f"model-{model:02d}",
                "model_version": "1.0.0",
                "timestamp": time_ms,
                "features": {"income": income, "age": age, "home": home},
            }
        )
        for time_ms, income, age, home in zip(times, incomes, ages, homes, strict=True)
    ]


@contextmanager
def running(brokers: str, windows: int) -> Iterator[Service]:
    """`leeway run` with defaults, but for names of its own."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "leeway.yaml")
        document = {
            "brokers": brokers,
            "topics": {"prefix": f"latency-{uuid.uuid4().hex[:8]}."},
            "http": {"port": 0},
            "metrics": {"port": 0},
        }
        config.write_text(json.dumps(document))
        service = load_service(config, {})
        names = Names(service.topics.prefix)
        create_topics(
            service.properties,
            names,
            partitions=service.topics.partitions,
            more={names("predictions"): PARTITIONS},
        )
        files = [str(path) for path in _written(Path(folder), windows)]
        process = subprocess.Popen(
            leeway("run", *files, "--config", str(config)), stderr=subprocess.PIPE
        )
        said = threading.Thread(target=_echo, args=(process,), daemon=True)
        said.start()
        try:
            yield service
        finally:
            process.terminate()
            process.wait(60)


def _written(folder: Path, windows: int) -> Iterator[Path]:
    """Lifecycle files, each with its reference beside it."""
    for number in range(windows):
        path = folder / f"{number}.yaml"
        path.write_text(lifecycle(number))
        (one,) = load(path.read_text(), path.name)
        read = columns(one, events(number, FIRST_MS - HOUR_MS, 20_000, broken=False, seed=1))
        reference, _ = build(
            read.columns,
            None,
            reference_id="r1",
            model_id=one.model_id,
            model_version=one.version,
            source="benchmark",
            window_ms=HOUR_MS,
        )
        document = msgspec.json.encode(to_document(reference))
        (folder / f"{one.model_id}.reference.json").write_bytes(document)
        yield path


def _echo(process: "subprocess.Popen[bytes]") -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if b"role.started" not in line:
            sys.stderr.buffer.write(line)


class Measuring:
    """A producer and a reader beside the service."""

    def __init__(self, service: Service) -> None:
        self._names = Names(service.topics.prefix)
        self._writer = Writer({**service.properties, "linger.ms": "0"})
        self._profiles, self._alerts = self._names("profiles"), self._names("alerts")
        self._tail = Tail(service.properties, [self._profiles, self._alerts])
        self._sent = 0
        self._offsets = dict.fromkeys(range(PARTITIONS), 0)
        self._highest = dict.fromkeys(range(PARTITIONS), 0)
        self._alerted: set[str] = set()

    def round(self, number: int) -> Round:
        """One window: its events, the event that ends it, and its alert."""
        start_ms = FIRST_MS + number * HOUR_MS
        self._send(events(number, start_ms, EVENTS, broken=True, seed=2))
        self._until(lambda: sum(self._offsets.values()) == self._sent, "the counts")
        threading.Event().wait(random.Random(number).uniform(0, 1))
        end_ms = start_ms + HOUR_MS + LATENESS_MS
        one = json.loads(events(number, end_ms, 1, broken=True, seed=3)[0])
        began = time.perf_counter()
        self._send([msgspec.json.encode({**one, "timestamp": end_ms})] * PARTITIONS)
        counted = self._until(lambda: min(self._highest.values()) >= end_ms, "the report")
        alerted = self._until(lambda: f"model-{number:02d}" in self._alerted, "the alert")
        return Round(counted - began, alerted - began)

    def _send(self, values: Sequence[bytes]) -> None:
        for number, value in enumerate(values):
            partition = number % PARTITIONS
            self._writer.write(Outgoing(self._names("predictions"), None, value, (), partition))
        self._writer.flush()
        self._sent += len(values)

    def _until(self, condition: Callable[[], bool], what: str) -> float:
        deadline = time.perf_counter() + _PATIENCE_S
        while not condition():
            for record in self._tail.read(0.01):
                self._take(record)
            if time.perf_counter() > deadline:
                raise SystemExit(f"{what} did not come within {_PATIENCE_S:.0f} s")
        return time.perf_counter()

    def _take(self, record: Record) -> None:
        if record.topic == self._alerts:
            self._alerted.add((record.key or b"").decode())
        elif record.partition == 0:  # every partition has a copy of the reports
            report = decode_profile(record.value or b"")
            if isinstance(report, Progress):
                for one in report.reports:
                    self._offsets[one.partition] = one.offset
                    self._highest[one.partition] = one.highest_ms or 0


def measure(brokers: str, windows: int) -> list[Round]:
    """All rounds; the one before them, in which everything is done for the first time, does not count."""
    with running(brokers, windows + 1) as service:
        measuring = Measuring(service)
        found = []
        for number in range(windows + 1):
            one = measuring.round(number)
            print(f"window {number}: {one.alerted:.2f} s", file=sys.stderr)
            found.append(one)
    return found[1:]


def show(rounds: Sequence[Round]) -> None:
    """The table."""
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{machine}: seconds after the event that ends a window was sent, {len(rounds)} windows")
    print(f"{'':44s}{'median':>8s}{'p95':>8s}{'max':>8s}")
    parts = {
        "profiler: its report is committed": [one.counted for one in rounds],
        "judge: from there to the alert": [one.alerted - one.counted for one in rounds],
        "together: the alert can be read": [one.alerted for one in rounds],
    }
    for name, seconds in parts.items():
        p95 = float(np.quantile(seconds, 0.95))
        print(f"{name:44s}{statistics.median(seconds):8.2f}{p95:8.2f}{max(seconds):8.2f}")
    print(f"{'target, for all of them':44s}{'':16s}{TARGET_S:8.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--windows", type=int, default=20)
    parser.add_argument("--brokers", help="of an existing Kafka; default: a local one is started")
    options = parser.parse_args()
    with any_broker(options.brokers) as broker:
        show(measure(broker.bootstrap, options.windows))


if __name__ == "__main__":
    main()
