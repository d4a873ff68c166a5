"""Same input, same bytes: for any partitions, batches, order within the lateness, workers, aborts and crashes."""

import random
from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec
import pytest

from alerting.identity import rfc3339
from alerting.settings import Receiver
from detectors.reference.build import Reference
from streams.broker import Partition, Record
from streams.commands import Command
from streams.lifecycle import Lifecycle
from streams.loop import FOREVER_MS, Loop, Outcome
from streams.memory import MemoryBroker, MemoryLog
from streams.offline.replay import OUTPUTS, replay
from streams.offline.sources import Chunk, Source
from streams.profiling.columns import related
from streams.profiling.profiler import Profiler
from tests.builders import (
    MINUTE_MS,
    NAMES,
    START_MS,
    encode,
    event,
    judge,
    lifecycle,
    logged,
    profile,
    reference,
    stream,
)
from tests.streams.mishaps import befall

WINDOW_MS, LATENESS_MS = 5 * MINUTE_MS, MINUTE_MS
WINDOWS, PER_WINDOW = 18, 210
SHIFTED = range(5, 10)
SLACK = Receiver("slack", "slack", "#ml")
SAID = tuple(name for name in OUTPUTS if name != "dead-letters")  # whose offsets are where they lay


@cache
def models() -> tuple[tuple[Lifecycle, Reference | None], ...]:
    """One model with segments and drift, one without a reference."""
    window = {"size": "5m", "lateness": "1m", "pane": "1m"}
    features = {"income": "number", "home": "category", "age": "integer"}
    one = lifecycle(
        features=features | {"note": "text", "face": "vector"},
        segments=["country", "member", {"by": ["country", "member"]}],
        prediction={"classes": ["yes", "no"], "positive": "yes"},
        monitoring={
            "window": window,
            "false_alarms": "1 per day",
            "drift_detection": {"data_drift": {"joint": True}},
        },
        retraining={
            "trigger_conditions": [
                {"name": "inputs", "trigger": "severe data drift", "action": "retrain"}
            ]
        },
    )
    other = lifecycle(model_id="n", monitoring={"window": window})
    built = reference(one, tagged(stream(6_000, seed=99)), together=related(one))
    return (one, built), (other, None)


def tagged(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same with tags, and with features that numbers are derived from."""
    countries, members = ["DE", "DE", "FR", "IT", None], [True, 1, False]
    found = []
    for i, e in enumerate(events):
        income = e["features"]["income"]
        note = f"paid {i % 7} of {int(100 * income)}" if i % 11 else None
        derived = {"note": note, "face": [income, i % 5, 0.25], "age": 40 + i % 13}
        tags = {"country": countries[i % 5], "member": members[i % 3]}
        found.append(e | {"features": e["features"] | derived, "tags": tags})
    return found


@cache
def arrivals() -> tuple[tuple[int, bytes], ...]:
    """When each record is sent, and its bytes; now and then one that nobody can use."""
    found: list[tuple[int, bytes]] = []
    step = WINDOW_MS // PER_WINDOW
    for n in range(WINDOWS):
        if n in (13, 14):
            continue  # silence
        start, shift = START_MS + n * WINDOW_MS, 1.5 if n in SHIFTED else 0.0
        rows = tagged(stream(PER_WINDOW, seed=n, start_ms=start, step_ms=step, shift=shift))
        rows[n] |= {"score": "high", "features": {"income": None, "home": f"new {n}"}}
        rows[n + 1] |= {"status": "error"}
        rows[n + 2] |= {"model_version": "1.0.1"}
        rows[n + 3] |= {"model_id": "n"}
        rows[n + 4] |= {"model_id": "stranger"}
        found += [(e["timestamp"], v) for e, v in zip(rows, encode(rows), strict=True)]
        found.append((start + WINDOW_MS // 2, b'{"model_id": "m", "timestamp": "noon %d"}' % n))
    found += [(START_MS + 5 * WINDOW_MS // 2 + i, b"\xff") for i in range(20)]  # a burst
    return tuple(sorted(found))


def found(
    values: Sequence[bytes],
    partitions: int = 1,
    batch: int = 10_000,
    commands: Sequence[Command] = (),
) -> dict[str, Any]:
    """What a replay finds in these records; of dead letters, the values."""
    source = Source(
        "memory",
        tuple(of for of, _ in models()),
        None,
        (),
        lambda: iter([Chunk("predictions", values, len(values))]),
    )
    built = {of.model_id: reference for of, reference in models() if reference is not None}
    replayed = replay(
        source, built, receivers=[SLACK], partitions=partitions, batch=batch, commands=commands
    )
    return {
        name: sorted(r.value or b"" for r in records)
        if name == "dead-letters"
        else [(r.key, r.value, r.headers) for r in records]
        for name, records in replayed.topics.items()
    }


@cache
def expected() -> dict[str, Any]:
    """What one partition, read in one piece, comes to."""
    return found([value for _, value in arrivals()])


def test_the_stream_is_worth_the_trouble() -> None:
    sizes = {name: len(records) for name, records in expected().items()}
    assert sizes["results"] > 100
    assert sizes["alerts"] >= 4
    assert sizes["alerts.slack"] >= 2
    assert sizes["retraining"] >= 2
    assert sizes["dead-letters"] == WINDOWS - 2 + 20


@pytest.mark.parametrize(
    ("partitions", "batch"), [(1, 7), (1, 1_000), (3, 7), (3, 10_000), (8, 1_000), (8, 10_000)]
)
def test_partitions_and_batches_change_no_byte(partitions: int, batch: int) -> None:
    assert found([v for _, v in arrivals()], partitions=partitions, batch=batch) == expected()


def test_batches_of_one_record_change_no_byte() -> None:
    assert found([v for _, v in arrivals()], partitions=3, batch=1) == expected()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_another_order_within_the_lateness_changes_no_byte(seed: int) -> None:
    delays = random.Random(seed)
    order = sorted(
        range(len(arrivals())),
        key=lambda i: (arrivals()[i][0] + delays.randrange(LATENESS_MS), i),
    )
    assert order != sorted(order)
    shuffled = [arrivals()[i][1] for i in order]
    assert found(shuffled, partitions=1 + seed, batch=500) == expected()


def said_in_between() -> list[Command]:
    """What people say to both models, each at its time."""
    documents = [
        ("m", 3, {"command": "retrain", "command_id": "c1"}),
        ("n", 4, {"command": "retrain", "command_id": "c1"}),
        ("m", 12, {"command": "deployed", "command_id": "c2", "model_version": "1.0.1"}),
        ("n", 8, {"command": "deployed", "command_id": "c2", "model_version": "2.0.0"}),
        ("n", 9, {"command": "resolve", "command_id": "c3", "episode_id": "ep-0"}),
    ]
    return [
        msgspec.convert(
            {"model_id": model, "by": "ann", "at": rfc3339(START_MS + n * WINDOW_MS), **of}, Command
        )
        for model, n, of in documents
    ]


@pytest.mark.parametrize(("partitions", "batch"), [(3, 7), (8, 1_000)])
def test_commands_with_a_time_are_obeyed_at_the_same_window_by_one_judge_and_by_many(
    partitions: int, batch: int
) -> None:
    values = [v for _, v in arrivals()]
    once = found(values, commands=said_in_between())
    assert once != expected()
    assert found(values, partitions, batch, said_in_between()) == once


# ---- two profilers, and what happens to them


def fresh_log() -> MemoryLog:
    """All records on three partitions."""
    return logged([value for _, value in arrivals()], *models(), partitions=3)


class Workers:
    """Two members of the profilers' group, which take turns as chance has it, crash and are replaced."""

    def __init__(self, log: MemoryLog, seed: int) -> None:
        self._log, self._random = log, random.Random(seed)
        self._born = 0
        self._members = [self._start(), self._start()]
        self.mishaps = 0

    def _start(self) -> tuple[MemoryBroker, Loop]:
        broker = MemoryBroker(self._log, "profiler", f"w{self._born}")
        self._born += 1
        stage = Profiler(NAMES, 3, self._log.partition_count)
        loop = Loop(broker, stage, ["leeway.predictions"], ["leeway.models"], limit=200)
        loop.start()
        return broker, loop

    def some_time(self, steps: int) -> None:
        """Let so many things happen."""
        for _ in range(steps):
            self.mishaps += befall(self._members, self._start, self._random, [1, 13, 400])

    def finish(self) -> None:
        """Nothing more happens to them; they read what is left, and the source stays silent."""
        quiet = 0
        while quiet < 6:
            before = self._read()
            for _, loop in self._members:
                polled = loop.turn()
                if not polled.batches:
                    loop.stage.idle(dict.fromkeys(loop.owned, FOREVER_MS))
                done = loop.commit() is Outcome.NOTHING and not polled.batches
                quiet = quiet + 1 if done and self._read() == before else 0

    def _read(self) -> list[int]:
        return [
            self._log.committed("profiler", Partition("leeway.predictions", p)) for p in range(3)
        ]


def said(log: MemoryLog) -> dict[str, list[Any]]:
    """Every byte that was said, by key and time."""

    def of(record: Record) -> tuple[bytes, bytes]:
        return record.key or b"", dict(record.headers).get("ce_time", b"")

    return {
        name: [(r.key, r.value, r.headers) for r in sorted(log.read(NAMES(name)), key=of)]
        for name in SAID
    }


@cache
def undisturbed() -> dict[str, list[Any]]:
    """What one profiler without mishaps and one judge come to."""
    log = fresh_log()
    profile(log)
    judge(log, [SLACK])
    return said(log)


@pytest.mark.parametrize("seed", range(4))
def test_two_profilers_in_any_order_with_aborts_and_crashes_change_no_byte(seed: int) -> None:
    log = fresh_log()
    workers = Workers(log, seed)
    workers.some_time(250)
    assert workers.mishaps > 10
    workers.finish()
    judge(log, [SLACK], limit=50 + seed, commit_after=100)
    assert said(log) == undisturbed()
    dead = sorted(r.value or b"" for r in log.read("leeway.dead-letters"))
    assert dead == expected()["dead-letters"]


def test_what_is_replayed_is_what_the_stages_say_on_a_log() -> None:
    for name in SAID:
        assert undisturbed()[name] == expected()[name]


def test_a_record_of_the_next_century_is_nobodys_time_but_its_own() -> None:
    values = [v for _, v in arrivals()]
    far = encode([event(4_000_000_000_000)])
    log = logged(
        [*values[:500], *far, *values[500:]],
        *models(),
        timestamps_ms=[START_MS + 10 * 24 * 3_600_000] * (len(values) + 1),
    )
    profile(log)
    judge(log, [SLACK])
    late = [r for r in log.read("leeway.results") if b'"late":0' not in (r.value or b"")]
    assert late == []
    assert b"timestamp_future" in [
        dict(r.headers)["leeway.reason"] for r in log.read("leeway.dead-letters")
    ]
