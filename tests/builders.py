"""What tests are about, with keyword defaults for everything else."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np

from alerting.settings import Receiver
from detectors.reference.build import Reference, build, to_document
from streams.broker import Batch, Outgoing, Record, Work
from streams.judging.judge import Judge
from streams.lifecycle import Lifecycle, load
from streams.loop import drain
from streams.memory import MemoryBroker, MemoryLog
from streams.messages import (
    Intake,
    Profile,
    Progress,
    Summary,
    add,
    decode_profile,
    unpack_cells,
)
from streams.profiling.columns import columns
from streams.profiling.profiler import Profiler
from streams.registry import lifecycle_record, reference_record
from streams.topics import TOPICS, Names

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
        model_id=of.model_id,
        source="seeded",
        window_ms=HOUR_MS,
        segments=read.segments,
        **{"reference_id": "r1", "model_version": of.version} | settings,
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
    key: bytes | None = None,
) -> Batch:
    """Records of one topic, as one poll brings them."""
    of = list(partitions or [0] * len(values))
    stamps = list(timestamps_ms or [None] * len(values))
    offsets = [first_offset + i for i in range(len(values))]
    rows = [
        Record(topic, of[i], offsets[i], stamps[i], key, values[i], headers)
        for i in range(len(values))
    ]
    return Batch(topic, list(values), of, offsets, stamps, rows)


@cache
def small() -> Reference:
    """What `lifecycle()` is compared with, where the numbers do not matter."""
    return reference(lifecycle(), stream(2_000, seed=99, start_ms=START_MS - 7_200_000))


def profiler(*models: tuple[Lifecycle, Reference | None], partitions: int = 1) -> Profiler:
    """A profiler that knows these models; the source topics have as many partitions as `leeway.profiles`."""
    one = Profiler(NAMES, partitions, lambda topic: partitions)
    for of, built in models:
        one.follow(registered(of, built))
    return one


@dataclass
class Counted:
    """What was counted for one model, version, segment and pane."""

    events: int = 0
    cells: dict[str, list[int]] = field(default_factory=dict)  # by series
    invalid: dict[str, dict[str, int]] = field(default_factory=dict)
    violations: dict[str, dict[str, int]] = field(default_factory=dict)
    sums: bytes = b""


@dataclass
class Profiled:
    """What a profiler gave out, added up."""

    counted: dict[tuple[str, str, str, int], Counted] = field(default_factory=dict)
    dead: list[Outgoing] = field(default_factory=list)
    came_in: Counter[int] = field(default_factory=Counter)  # events by start of their slot
    unread: Counter[tuple[int, int | None, str]] = field(default_factory=Counter)
    progress: list[Progress] = field(default_factory=list)

    @property
    def reasons(self) -> list[str]:
        """Why each dead letter is one, in order."""
        return [dict(record.headers)["leeway.reason"].decode() for record in self.dead]

    @property
    def unregistered(self) -> dict[str, int]:
        """Events by model that nobody registered."""
        found: Counter[str] = Counter()
        for (_, _, name), n in self.unread.items():
            if name.startswith("model "):
                found[name.removeprefix("model ")] += n
        return dict(found)

    @property
    def only(self) -> Counted:
        """What was counted, if all of it belongs together."""
        (one,) = self.counted.values()
        return one

    def add(self, work: Work, built: Reference | None) -> None:
        """Add what one flush gave out; a broadcast counts once."""
        for record in work.records:
            if record.topic == NAMES("dead-letters"):
                self.dead.append(record)
            elif record.partition in (None, 0):
                assert record.value is not None
                self._add(decode_profile(record.value), built)

    def _add(self, record: Profile, built: Reference | None) -> None:
        if isinstance(record, Progress):
            self.progress.append(record)
        elif isinstance(record, Intake):
            self.came_in.update(record.events)
            for unread in record.unread:
                reasons = dict(unread.dead_letters)
                reasons |= {f"model {name}": n for name, n in unread.unregistered.items()}
                for name, n in reasons.items():
                    self.unread[unread.partition, unread.after_ms, name] += n
        elif isinstance(record, Summary):
            self._add_summary(record, built)

    def _add_summary(self, record: Summary, built: Reference | None) -> None:
        key = (record.model_id, record.model_version, record.segment, record.pane_start_ms)
        into = self.counted.setdefault(key, Counted())
        into.events += record.events
        cells, at = unpack_cells(record.cells).tolist(), 0
        for series in built.series if built is not None else ():
            width = series.series.cells
            before = into.cells.get(series.series.name, [0] * width)
            more = cells[at : at + width]
            into.cells[series.series.name] = [a + b for a, b in zip(before, more, strict=True)]
            at += width
        add(into.invalid, record.invalid)
        add(into.violations, record.violations)
        sums = np.frombuffer(record.sums, "<i8")
        into.sums = (sums + np.frombuffer(into.sums or bytes(sums.nbytes), "<i8")).tobytes()


def profiled(
    values: Sequence[bytes | None],
    of: Lifecycle | None = None,
    built: Reference | None = None,
    *,
    splits: Sequence[int] = (),
    flush_at: Sequence[int] = (),
    **settings: Any,
) -> Profiled:
    """Run records through a profiler, in batches that end at `splits` and flushes at `flush_at`.

    `settings` are those of `batch`; without a lifecycle, that of `lifecycle()`.
    """
    if of is None:
        of, built = lifecycle(), small()
    one, found = profiler((of, built)), Profiled()
    cuts = sorted({0, len(values), *splits, *flush_at})
    per_record = {n: settings.pop(n) for n in ("partitions", "timestamps_ms") if n in settings}
    for first, last in pairwise(cuts):
        mine = {name: of_all[first:last] for name, of_all in per_record.items()}
        one.step(batch(values[first:last], first_offset=first, **mine, **settings))
        if last in flush_at:
            found.add(one.flush(), built)
    found.add(one.flush(), built)
    return found


def logged(
    records: Iterable[Mapping[str, Any] | bytes | None],
    *models: tuple[Lifecycle, Reference | None],
    partitions: int = 1,
    topic: str = "leeway.predictions",
    timestamps_ms: Sequence[int] | None = None,
) -> MemoryLog:
    """A log in memory that holds these records, one after another on its partitions, and what is registered."""
    log = MemoryLog()
    for name in ("leeway.predictions", "leeway.features", topic):
        log.create(name, partitions)
    for one in TOPICS:
        log.create(NAMES(one.name), one.partitions or partitions)
    for of, built in models or ((lifecycle(), small()),):
        for known in registered(of, built):
            log.append(known.topic, known.value, known.key, partition=0)
    for i, record in enumerate(records):
        value = record if record is None or isinstance(record, bytes) else encode([record])[0]
        stamp = timestamps_ms[i] if timestamps_ms is not None else None
        log.append(topic, value, partition=i % partitions, timestamp_ms=stamp)
    return log


def profile(log: MemoryLog, topics: Sequence[str] = ("leeway.predictions",), **how: int) -> None:
    """Let a profiler read everything on the log."""
    partitions = log.partition_count(NAMES("profiles"))
    stage = Profiler(NAMES, partitions, log.partition_count)
    drain(MemoryBroker(log, "profiler"), stage, topics=topics, followed=[NAMES("models")], **how)  # type: ignore[arg-type]


def judge(log: MemoryLog, receivers: Sequence[Receiver] = (), **how: int) -> None:
    """Let a judge read everything that was profiled."""
    stage = Judge(NAMES, log.partition_count(NAMES("profiles")), receivers)
    drain(
        MemoryBroker(log, "judge"),
        stage,
        topics=[NAMES("profiles"), NAMES("commands")],
        followed=[NAMES("models")],
        state_topic=NAMES("state"),
        **how,  # type: ignore[arg-type]
    )


def documents(log: MemoryLog, topic: str) -> list[dict[str, Any]]:
    """What was written to one of our topics, in order."""
    return [json.loads(record.value or b"null") for record in log.read(NAMES(topic))]
