"""Does the joiner count each label once, whatever is killed and lost; and how fast is it, and what does it take?

    python -m benchmarks.joiner [--events 1000000] [--kills 10] [--brokers HOST:PORT]

Predictions of one day with labels for 30 % of them, up to three hours late; 1 % of the labels come before their
prediction was written, 1 % are corrected, 1 % come twice, 0.5 % belong to nothing. The joiner runs as people run it, as
a child of the supervisor on a real broker; it is killed (SIGKILL) at seeded moments, and once its store is deleted
while it is down. Then every count and the confusion of every hour are held against a plain pandas calculation. Before
that, one undisturbed run is timed. Exit code 1 if anything is missed.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from benchmarks import _joined as joined
from benchmarks._joiner_alone import Taken
from streams.kafka.admin import create_topics
from streams.kafka.commands import Tail
from streams.local_kafka import AnyBroker, any_broker
from streams.messages import Joined, decode_profile, mark_of
from streams.registry import lifecycle_record
from streams.supervisor import SUPERVISED, leeway
from streams.topics import Names

PARTITIONS = 4
MEMORY_BYTES = 128 * 1024 * 1024
TARGET_PER_S = 60_000  # predictions per second of one core
MOST_RSS = 640 * 1024 * 1024  # of the process, with everything that Python and librdkafka take
STORED_BYTES = 450  # of a prediction, with its id and its truth, before compression
PATIENCE_S = 300.0


def produce(brokers: str, names: Names, logs: joined.Logs) -> None:
    """Write both topics, each in its order."""
    settings = {"linger.ms": 20, "compression.type": "lz4", "batch.size": 1_000_000}
    room = {"queue.buffering.max.messages": 1_000_000, "queue.buffering.max.kbytes": 2_000_000}
    producer = Producer({"bootstrap.servers": brokers} | settings | room)
    columns = [logs.predictions[name].tolist() for name in ("id", "time", "predicted", "score")]
    numbers = np.random.default_rng(2).normal(size=(1_000, joined.FEATURES)).round(5).tolist()
    features = [{f"num_{j}": x for j, x in enumerate(row)} for row in numbers]
    for place, row in enumerate(zip(*columns, strict=True)):
        value = joined.prediction(row, features[place % 1_000])
        producer.produce(names("predictions"), value, row[0])
        if place % 10_000 == 0:
            producer.poll(0)
        if place % 200_000 == 0:
            producer.flush()
    columns = [logs.labels[name].tolist() for name in ("id", "time", "label")]
    for row in zip(*columns, strict=True):
        producer.produce(names("labels"), joined.label(row), row[0])
    producer.flush()


def register(brokers: str, names: Names, sources: Sequence[str]) -> None:
    """The model, which reads these topics of predictions and labels."""
    record = lifecycle_record(names, joined.lifecycle(*sources))
    producer = Producer({"bootstrap.servers": brokers})
    producer.produce(record.topic, record.value, record.key, 0)
    producer.flush()


def found(properties: dict[str, str], names: Names) -> joined.Expected:
    """What is committed: counts of labels, and net outcomes by hour, label and prediction."""
    counts: Counter[str] = Counter()
    confusion: Counter[tuple[int, str, str]] = Counter()
    with Tail(properties, [names("outcomes"), names("profiles")]) as tail:
        while not tail.at_end:
            for record in tail.read():
                if record.topic == names("profiles"):
                    one = decode_profile(record.value or b"")
                    assert isinstance(one, Joined)
                    counts.update(one.counts)
                elif mark_of(record.value) is None:
                    out = msgspec.json.decode(record.value or b"")
                    hour = (out["timestamp"] - joined.FIRST_MS) // joined.HOUR_MS
                    confusion[hour, out["label"], out["prediction"]] += out["weight"]
    counts.pop("unlabelled", None)
    return joined.Expected(
        {what: n for what, n in sorted(counts.items()) if n},
        {what: n for what, n in sorted(confusion.items()) if n},
    )


class Progress:
    """How far a group has committed. It is asked through a consumer that never joins it.

    Not through `AdminClient`: a coordinator that is not ready yet is the end of the process (librdkafka 2.16 looks for
    a group that an admin client does not have: a segmentation fault in `rd_kafka_handle_OffsetFetch`).
    """

    def __init__(
        self, properties: dict[str, str], group: str, sources: Sequence[str], logs: joined.Logs
    ) -> None:
        self._consumer = Consumer({**properties, "group.id": group, "enable.auto.commit": False})
        self._ends = {
            (topic, number): int((of["partition"] == number).sum())
            for topic, of in zip(sources, (logs.predictions, logs.labels), strict=True)
            for number in range(PARTITIONS)
        }

    def __call__(self) -> float:
        asked = [TopicPartition(*where) for where in self._ends]
        try:
            places = self._consumer.committed(asked, timeout=10)
        except KafkaException:  # the coordinator is not ready
            return 0.0
        at = {(place.topic, place.partition): max(0, place.offset) for place in places}
        done = sum(min(at[where], end) for where, end in self._ends.items())
        return done / sum(self._ends.values())

    def close(self) -> None:
        self._consumer.close()


class Role:
    """The joiner as a child that is started again when it is killed."""

    def __init__(self, config: Path, kind: str = "joiner-1") -> None:
        self._command = [
            *leeway("run", "--role", "joiner", "--instance", kind, "--config", str(config))
        ]
        self._environment = {**os.environ, SUPERVISED: "1", "LEEWAY_METRICS_PORT": "0"}
        self.start()

    def start(self) -> None:
        """Start it (again)."""
        self.process = subprocess.Popen(
            self._command, env=self._environment, stdin=subprocess.PIPE, start_new_session=True
        )

    def revive(self) -> None:
        if (code := self.process.poll()) is not None:
            print(f"  the joiner ended with {code}", flush=True)
            self._let_go()
            self.start()

    def kill(self) -> None:
        """Kill -9, and wait until it is gone."""
        self.process.send_signal(signal.SIGKILL)
        self._let_go()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self._let_go()

    def _let_go(self) -> None:
        self.process.wait(30)
        if self.process.stdin is not None:
            self.process.stdin.close()


def torment(
    properties: dict[str, str],
    names: Names,
    logs: joined.Logs,
    folder: Path,
    kills: int,
    seed: int,
    sources: Sequence[str],
) -> None:
    """Run the joiner over everything and kill it so many times."""
    stores, never, dice = folder / "stores", threading.Event(), random.Random(seed)
    config = folder / "leeway.yaml"
    document = {
        "brokers": properties["bootstrap.servers"],
        "kafka": {k: v for k, v in properties.items() if k != "bootstrap.servers"},
        "topics": {"prefix": names.prefix, "partitions": PARTITIONS},
        "joiner": {"directory": str(stores), "memory_bytes": MEMORY_BYTES},
    }
    config.write_bytes(msgspec.json.encode(document))  # JSON is YAML
    progress = Progress(properties, f"{names.prefix}joiner", sources, logs)
    moments = sorted(dice.uniform(0.02, 0.95) for _ in range(kills))
    deletion = kills // 2
    role = Role(config)
    began = time.monotonic()
    try:
        for number, moment in enumerate(moments):
            while (done := progress()) < moment:
                role.revive()
                if time.monotonic() - began > PATIENCE_S:
                    raise SystemExit(f"only {done:.0%} is done after {PATIENCE_S:.0f} s")
                never.wait(0.1)
            never.wait(dice.uniform(0, 0.9))
            role.kill()
            what = f"killed at {done:.0%}"
            if number == deletion:
                shutil.rmtree(stores)
                what += ", and its store deleted"
            print(f"  {what}", flush=True)
            role.start()
        while progress() < 1:
            role.revive()
            if time.monotonic() - began > PATIENCE_S:
                raise SystemExit(f"only {progress():.0%} is done after {PATIENCE_S:.0f} s")
            never.wait(0.2)
    finally:
        role.stop()
        progress.close()
    print(f"  {kills} kills in {time.monotonic() - began:.0f} s", flush=True)


def undisturbed(brokers: str, names: Names, predictions: int, labels: int, folder: Path) -> Taken:
    """One run that nobody disturbs, in a process that holds nothing else."""
    mine = [sys.executable, "-m", "benchmarks._joiner_alone", brokers, names.prefix]
    mine += [str(predictions + labels), str(folder), str(MEMORY_BYTES)]
    return msgspec.json.decode(subprocess.check_output(mine), type=Taken)


def within(taken: Taken, predictions: int, labels: int) -> bool:
    """Print what a run took; whether that is what the README promises."""
    live = predictions * min(1.0, 2 * joined.HORIZON_MS / joined.SPAN_MS)
    most_disk = live * STORED_BYTES
    rate = predictions / taken.cpu_s
    print(
        f"throughput: {rate:,.0f} predictions/s of one core (at least {TARGET_PER_S:,}); "
        f"{predictions / taken.wall_s:,.0f}/s by the clock, with {labels:,} labels\n"
        f"disk: {taken.disk_bytes / 1e6:.0f} MB (at most {most_disk / 1e6:.0f}: "
        f"{STORED_BYTES} bytes for each prediction of two horizons)\n"
        f"memory: {taken.resident_bytes / 1e6:.0f} MB resident (at most {MOST_RSS / 1e6:.0f}), "
        f"stores bounded to {MEMORY_BYTES / 1e6:.0f}"
    )
    return (
        rate >= TARGET_PER_S and taken.disk_bytes <= most_disk and taken.resident_bytes <= MOST_RSS
    )


def differences(expected: joined.Expected, got: joined.Expected) -> list[str]:
    """One line for each number that differs."""
    lines = []
    for kind, one, other in (
        ("labels", expected.counts, got.counts),
        ("outcomes", expected.confusion, got.confusion),
    ):
        for what in sorted({*one, *other}, key=str):
            if one.get(what, 0) != other.get(what, 0):
                lines.append(
                    f"{kind} {what}: expected {one.get(what, 0)}, found {other.get(what, 0)}"
                )
    return lines


def run(broker: AnyBroker, events: int, kills: int, seed: int, *, timed: bool = True) -> int:
    """The whole of it; the exit code."""
    names = Names(f"joiner-{uuid.uuid4().hex[:8]}.")
    properties = {"bootstrap.servers": broker.bootstrap}
    if broker.kind != "given":  # its least is not ours to lower
        properties |= {"session.timeout.ms": "2000", "heartbeat.interval.ms": "300"}
    sources = names("predictions"), names("labels")
    create_topics(properties, names, partitions=PARTITIONS, more=dict.fromkeys(sources, PARTITIONS))
    register(broker.bootstrap, names, sources)
    logs = joined.logs(events, PARTITIONS, seed)
    expected = joined.expected(logs)
    produce(broker.bootstrap, names, logs)
    print(
        f"{events:,} predictions, {len(logs.labels):,} labels, {PARTITIONS} partitions", flush=True
    )
    with tempfile.TemporaryDirectory() as folder:
        failed = False
        if timed:
            alone = Path(folder, "alone")
            taken = undisturbed(broker.bootstrap, names, events, len(logs.labels), alone)
            failed = not within(taken, events, len(logs.labels))
            for line in differences(expected, found(properties, names)):
                print(f"MISSED undisturbed: {line}")
                failed = True
        other = Names(f"{names.prefix}killed.")  # the same sources, with outputs of its own
        create_topics(properties, other, partitions=PARTITIONS)
        register(broker.bootstrap, other, sources)
        torment(properties, other, logs, Path(folder), kills, seed, sources)
        lines = differences(expected, found(properties, other))
    for line in lines:
        print(f"MISSED: {line}")
    shown = ", ".join(f"{what} {n:,}" for what, n in expected.counts.items())
    hours = len({hour for hour, _, _ in expected.confusion})
    if not lines:
        print(f"as pandas counts them: {shown}; confusion of {hours} hours")
    return 1 if lines or failed else 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--brokers")
    options = parser.parse_args(arguments)
    with any_broker(options.brokers) as broker:
        return run(broker, options.events, options.kills, options.seed)


if __name__ == "__main__":
    sys.exit(main())
