"""What the loops did reaches the meters: every metric that a stage counts moves, and says where it was."""

from pathlib import Path
from typing import Any, cast

import pytest

from streams import counting
from streams.broker import Batch, Partition, Polled
from streams.counting import Joining, Judging, Profiling
from streams.joining.joiner import Seen as SeenJoins
from streams.judging.conclusions import Judged
from streams.loop import Outcome
from streams.metrics import Meter, counted
from streams.profiling.profiler import Seen


class Clock:
    """A time of day that a test sets."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Stage:
    """What observers ask of a stage."""

    open_panes = 7
    rebuilding = 0
    lanes = ()

    def __init__(self) -> None:
        self.seen: Any = None
        self.judged: Any = None

    def size(self) -> Any:
        return type("Size", (), {"disk_bytes": 5, "memory_bytes": 6})


def batch(topic: str, partitions: list[int], times_ms: list[int]) -> Batch:
    rows = cast(Any, [None] * len(partitions))
    return Batch(topic, rows, partitions, list(range(len(partitions))), times_ms, rows)


def values(meter: Meter) -> dict[str, float]:
    found = (line for line in meter.exposition().decode().splitlines() if line[0] != "#")
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in found)}


def profiled() -> Meter:
    meter, stage = Meter("profiler", "1.0.0"), Stage()
    observer = Profiling(meter, cast(Any, stage), Clock())
    observer.gained([Partition("t", 0)])
    observer.polled(Polled((batch("t", [0], [999_000]),)), 0.1)
    stage.seen = Seen()
    stage.seen.events["t"] = 5
    stage.seen.dead_letters["t", "not_json"] = 2
    stage.seen.fields["m", "type"] = 3
    stage.seen.skipped["unregistered"] = 4
    stage.seen.nameless = 6
    stage.seen.watermarks_ms[Partition("t", 0)] = 77_000
    stage.seen.predictions["m", "2", "ok"] = 8
    stage.seen.predictions["m", "1", "error"] = 1
    stage.seen.current["m"] = "2"
    observer.committed(Outcome.COMMITTED, 1, 0.02)
    assert stage.seen == Seen()
    return meter


def judged() -> Meter:
    meter, stage = Meter("judge", "1.0.0"), Stage()
    observer = Judging(meter, cast(Any, stage), Clock())
    observer.gained([Partition("t", 0)])
    observer.polled(Polled((batch("t", [0], [999_000]),)), 0.1)
    stage.judged = Judged()
    stage.judged.late["m"] = 4
    stage.judged.capped = 3
    observer.committed(Outcome.ABORTED, 1, 0.02)
    return meter


def joined(place: Path) -> Meter:
    meter, stage = Meter("joiner", "1.0.0"), Stage()
    observer = Joining(meter, cast(Any, stage), place)
    observer.gained([Partition("t", 0)])
    observer.polled(Polled((batch("t", [0], [999_000]),)), 0.1)
    stage.seen = SeenJoins()
    stage.seen.events["t"] = 5
    stage.seen.joins["matched"] = 3
    observer.committed(Outcome.COMMITTED, 1, 0.02)
    return meter


def of_role(role: str, place: Path) -> Meter:
    if role == "joiner":
        return joined(place)
    return profiled() if role == "profiler" else judged()


SHOWN = {
    "profiler": {
        'leeway_events_total{topic="t"}': 5,
        'leeway_events_invalid_total{reason="not_json",topic="t"}': 2,
        'leeway_fields_invalid_total{model="m",reason="type"}': 3,
        'leeway_events_skipped_total{reason="unregistered"}': 4,
        'leeway_capped_total{cap="unregistered_models"}': 6,
        'leeway_watermark_timestamp_seconds{partition="0",topic="t"}': 77,
        'leeway_model_predictions_total{model="m",status="ok",version="2"}': 8,
        'leeway_model_predictions_total{model="m",status="error",version="1"}': 1,
        'leeway_transactions_total{outcome="committed",role="profiler"}': 1,
        'leeway_lag_seconds{role="profiler",topic="t"}': 1,
        'leeway_heartbeat_timestamp_seconds{role="profiler"}': 1000,
    },
    "judge": {
        'leeway_events_late_total{model="m"}': 4,
        'leeway_capped_total{cap="subjects"}': 3,
        "leeway_open_panes": 7,
        'leeway_transactions_total{outcome="aborted",role="judge"}': 1,
        'leeway_transaction_duration_seconds_count{role="judge"}': 1,
        'leeway_batch_duration_seconds_count{role="judge"}': 1,
    },
    "joiner": {
        'leeway_events_total{topic="t"}': 5,
        'leeway_joins_total{outcome="matched"}': 3,
        'leeway_joiner_store_bytes{where="disk"}': 5,
        'leeway_joiner_store_bytes{where="memory"}': 6,
    },
}


@pytest.mark.parametrize("role", SHOWN)
def test_what_a_stage_saw_is_counted(role: str, tmp_path: Path) -> None:
    meter = of_role(role, tmp_path)
    assert SHOWN[role].items() <= values(meter).items()


@pytest.mark.parametrize("role", SHOWN)
def test_every_metric_of_a_stage_moves(role: str, tmp_path: Path) -> None:
    meter = of_role(role, tmp_path)
    moved = {name.split("{")[0] for name, value in values(meter).items() if value}
    bare = {metric.full_name for metric in counted(role)} - {
        "leeway_restarts_total",
        "leeway_schema_requests_total",
    }
    assert [name for name in sorted(bare) if not {name, f"{name}_count"} & moved] == []


def test_lag_is_the_age_of_what_was_read_last_where_more_waits() -> None:
    meter, clock = Meter("profiler", "1.0.0"), Clock()
    observer = Profiling(meter, cast(Any, Stage()), clock)
    one, two = Partition("t", 0), Partition("t", 1)
    lag = 'leeway_lag_seconds{role="profiler",topic="t"}'
    observer.gained([one, two])
    observer.polled(Polled((batch("t", [0, 1, 0], [1, 990_000, 980_000]),)), 0.1)
    assert values(meter)[lag] == 20
    clock.now += 5
    observer.polled(Polled((), frozenset({one})), 0.1)
    assert values(meter)[lag] == 15
    clock.now += 5
    observer.polled(Polled((), frozenset({one, two})), 0.1)
    assert values(meter)[lag] == 0
    clock.now += 5
    observer.polled(Polled(()), 0.1)
    observer.dropped([one, two])
    assert lag not in values(meter)


def test_lag_looks_at_a_few_records_of_a_large_batch_and_at_the_last() -> None:
    meter, clock = Meter("profiler", "1.0.0"), Clock()
    observer = Profiling(meter, cast(Any, Stage()), clock)
    observer.gained([Partition("t", n) for n in range(4)])
    partitions = [n // 250 for n in range(1_000)]
    times = [900_000 + n for n in range(1_000)]
    observer.polled(Polled((batch("t", partitions, times),)), 0.1)
    held = observer._read_ms
    assert [held[Partition("t", n)] // 10 for n in range(4)] == [90_024, 90_048, 90_074, 90_099]
    assert held[Partition("t", 3)] == times[-1]


def test_panes_are_counted_seldom_where_counting_them_takes_long() -> None:
    class Slow(Stage):
        looks = 0

        @property
        def open_panes(self) -> int:  # type: ignore[override]
            self.looks += 1
            clock.now += 1.0
            return 7

    clock, stage = Clock(), Slow()
    observer = Judging(Meter("judge", "1.0.0"), cast(Any, stage), clock)
    for _ in range(100):
        observer.polled(Polled(()), 0.0)
        clock.now += 1.0
    assert stage.looks == 1
    assert counting._DEAR == 100
