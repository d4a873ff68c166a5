"""What does the profiler cost per event? CPU of each stage of it, and of the same job in Faust and river.

    python -m benchmarks.profiler [--events 1000000] [--rounds 5] [--brokers HOST:PORT]
    python -m benchmarks.profiler --memory 5000000

Every figure is the CPU time (user and system, all threads) of a process of its own over the same events
on a real broker, median over rounds in which the modes take turns: ratios within one run can be trusted,
absolute times depend on the machine.
"""

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np
from confluent_kafka import Consumer

from benchmarks import _workload as workload
from streams.broker import Batch, Partition, Record, Stage, Work
from streams.kafka import broker as kafka
from streams.kafka.broker import KafkaBroker
from streams.local_kafka import any_broker
from streams.loop import Loop
from streams.profiling.events import Topic
from streams.profiling.profiler import Profiler
from streams.profiling.sheet import Sheet
from streams.registry import Registry
from streams.topics import Names

MODES = {
    "consume": "confluent-kafka alone, values touched",
    "poll": "+ our broker: values, offsets, times as columns",
    "decode": "+ decode into checked, typed structs with their times",
    "profile": "+ group, bin, count",
    "transactions": "+ exactly-once commits every second: the whole profiler",
    "faust": "a plain Faust agent: river ADWIN and counts in memory, per event; a restart loses them",
    "tables": "the same with its counts in a Faust table, which a restart does not lose",
}
FEWER = {"faust": 20, "tables": 100}  # of the events: they take too long for all
TARGET_SHARE, TARGET_TIMES = 0.6, 50
POLL = 500  # events that fit the processor's cache together with what is made of them


class _Counted:
    """A loop that stops after so many events."""

    def __init__(self, loop: Loop, events: int) -> None:
        self._loop, self._left = loop, events

    def run(self, every_s: float | None) -> None:
        due = 0.0
        while self._left > 0:
            polled = self._loop.turn(0.2)
            self._left -= sum(len(batch.values) for batch in polled.batches)
            now = time.perf_counter()
            if every_s is not None and now >= due and polled.batches:
                self._loop.commit()
                due = now + every_s
        self._loop.commit() if every_s is not None else self._loop.stage.flush()


def consume(brokers: str, names: Names, events: int) -> float:
    """Nothing but the client, set up as the profiler sets it up."""
    mine = {"bootstrap.servers": brokers, "group.id": uuid.uuid4().hex, "enable.auto.commit": False}
    consumer = Consumer({**kafka._DEFAULTS, **mine})
    began = time.process_time()
    consumer.subscribe([names("predictions")])
    left = events
    while left > 0:
        left -= len([m.value() for m in consumer.consume(POLL, 0.2) if m.error() is None])
    used = time.process_time() - began
    consumer.close()
    return used


def _broker(brokers: str, names: Names) -> KafkaBroker:
    properties = {"bootstrap.servers": brokers}
    return KafkaBroker(properties, f"{names.prefix}bench-{uuid.uuid4().hex[:8]}", "0")


def poll(brokers: str, names: Names, events: int) -> float:
    """What reaches a stage."""
    return _with_stage(brokers, names, events, _Ignoring(), None)


def decode(brokers: str, names: Names, events: int) -> float:
    """The profiler's own decoder, and nothing done with what it decodes."""
    return _with_stage(brokers, names, events, _Decoding(names), None)


def profile(brokers: str, names: Names, events: int) -> float:
    """The profiler without commits; counts are taken out once a second all the same."""
    return _with_stage(brokers, names, events, _Flushing(names, 4, lambda _: 4), None)


def transactions(brokers: str, names: Names, events: int) -> float:
    """The profiler as it runs."""
    return _with_stage(brokers, names, events, Profiler(names, 4, lambda _: 4), 1.0)


def _with_stage(
    brokers: str, names: Names, events: int, stage: Stage, every_s: float | None
) -> float:
    """CPU seconds from the first poll to the end."""
    broker = _broker(brokers, names)
    topics, models = [names("predictions")], [names("models")]
    loop = Loop(broker, stage, topics, models, limit=POLL, clock=time.monotonic)
    loop.start()
    if isinstance(stage, Profiler):
        assert stage.topics  # compiled now: that happens once, not per event
    began = time.process_time()
    _Counted(loop, events).run(every_s)
    used = time.process_time() - began
    broker.close()
    return used


class _Flushing(Profiler):
    """The profiler, its work taken out once a second as a commit would, and thrown away."""

    _due = 0.0

    def step(self, batch: Batch) -> None:
        super().step(batch)
        if time.perf_counter() >= self._due:
            self.flush()
            self._due = time.perf_counter() + 1.0


class _Ignoring:
    """A stage that does nothing."""

    def gained(self, partition: Partition, kept: Iterator[Record]) -> None: ...

    def dropped(self, partition: Partition) -> None: ...

    def follow(self, records: Sequence[Record]) -> None: ...

    def step(self, batch: Batch) -> None: ...

    def idle(self, silent_ms: Mapping[Partition, int]) -> None: ...

    def forget(self) -> None: ...

    def flush(self) -> Work:
        return Work()


class _Decoding(_Ignoring):
    """The profiler's own decoding, as far as events with their times."""

    def __init__(self, names: Names) -> None:
        self._names, self._registry = names, Registry()
        self._topic: Topic | None = None

    def follow(self, records: Sequence[Record]) -> None:
        self._registry.apply(records)
        of_topic = []
        for model in self._registry.models:
            of = self._registry.get(model)
            if of is not None and of.reference is not None:
                of_topic += Sheet(of, self._names).readings
        self._topic = Topic(of_topic)

    def step(self, batch: Batch) -> None:
        assert self._topic is not None
        if self._topic.read(batch.values, batch.timestamps_ms) is None:
            raise SystemExit("the benchmark's events must all be good")


def faust(brokers: str, names: Names, events: int, *, tables: bool = False) -> float:
    """What one would write first: an agent, one river detector per number, per event."""
    from benchmarks._faust_agent import run

    began = time.process_time()
    run(brokers, names("predictions"), events, tables=tables)
    return time.process_time() - began


RUN: dict[str, Callable[[str, Names, int], float]] = {
    "consume": consume,
    "poll": poll,
    "decode": decode,
    "profile": profile,
    "transactions": transactions,
    "faust": faust,
    "tables": partial(faust, tables=True),
}


def _measure(mode: str, brokers: str, prefix: str, events: int) -> tuple[float, int]:
    """CPU µs per event and peak memory in MB of one mode in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.profiler", "--mode", mode, "--prefix", prefix]
    command += ["--events", str(events), "--brokers", brokers]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{mode} failed:\n{done.stderr[-2000:]}")
    cpu, peak = done.stdout.split()[-2:]
    return float(cpu), int(peak)


def _one(mode: str, brokers: str, prefix: str, events: int) -> None:
    cpu = RUN[mode](brokers, Names(prefix), events) / events * 1e6
    print(cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def compare(brokers: str, events: int, rounds: int) -> None:
    """All modes in turn, and the two ratios that matter."""
    prefix = f"bench-{uuid.uuid4().hex[:8]}."
    print(f"writing {events:,} events of {len(workload.events(0, 1)[0])} bytes", file=sys.stderr)
    workload.prepare(brokers, prefix, events)
    found: dict[str, list[float]] = {mode: [] for mode in MODES}
    for number in range(rounds):
        for mode in MODES:
            print(f"round {number + 1} of {rounds}: {mode}", file=sys.stderr)
            cpu, _ = _measure(mode, brokers, prefix, events // FEWER.get(mode, 1))
            found[mode].append(cpu)
    print(_machine(), f"{events:,} events, {rounds} rounds, median CPU µs per event")
    for mode, about in MODES.items():
        print(f"{mode:14s}{statistics.median(found[mode]):8.2f}   {about}")
    shares = [d / t for d, t in zip(found["decode"], found["transactions"], strict=True)]
    print(
        f"consume + decode, share of the whole profiler: {statistics.median(shares):.2f} (target {TARGET_SHARE})"
    )
    for mode in FEWER:
        times = [f / t for f, t in zip(found[mode], found["transactions"], strict=True)]
        print(
            f"{mode} against the whole profiler: {statistics.median(times):.0f} times (target {TARGET_TIMES})"
        )


def memory(brokers: str, events: int) -> None:
    """Peak memory of the whole profiler over few and over many events."""
    prefix = f"bench-{uuid.uuid4().hex[:8]}."
    workload.prepare(brokers, prefix, events)
    print(_machine(), "peak resident memory of the profiler, MB")
    for n in (events // 5, events):
        print(
            f"{n:>12,} events {_measure('transactions', brokers, prefix, n)[1]:5d}   (target 300, flat)"
        )


def _machine() -> str:
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, numpy {np.__version__}:"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", type=int, metavar="EVENTS", help="measure memory instead")
    parser.add_argument("--brokers", help="of an existing Kafka; default: a local one is started")
    parser.add_argument("--mode", choices=MODES, help=argparse.SUPPRESS)
    parser.add_argument("--prefix", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.mode:
        _one(options.mode, options.brokers, options.prefix, options.events)
        return
    with any_broker(options.brokers) as broker:
        if options.memory:
            memory(broker.bootstrap, options.memory)
        else:
            compare(broker.bootstrap, options.events, options.rounds)


if __name__ == "__main__":
    main()
