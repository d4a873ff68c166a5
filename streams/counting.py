"""What do the meters hear of a loop? Observers that count what it and its stage did, for Prometheus.

Nothing here is done per event.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from streams import logs
from streams.broker import Partition, Polled
from streams.joining.joiner import Joiner
from streams.joining.joiner import Seen as SeenJoins
from streams.joining.rocks import tidy
from streams.judging.conclusions import Judged
from streams.judging.judge import Judge
from streams.loop import Observer, Outcome
from streams.metrics import (
    BATCH_DURATION,
    CAPPED,
    EVENTS,
    EVENTS_INVALID,
    EVENTS_LATE,
    EVENTS_SKIPPED,
    FIELDS_INVALID,
    HEARTBEAT,
    JOINS,
    LAG_SECONDS,
    MODEL_PREDICTIONS,
    OPEN_PANES,
    STORE,
    TRANSACTION_DURATION,
    TRANSACTIONS,
    WATERMARK,
    Meter,
)
from streams.profiling.profiler import Profiler, Seen

__all__ = ["Joining", "Judging", "Profiling"]

_LAG_EVERY_S = 1.0
_LOOKS = 64  # at records of a batch: the client hands them out in runs of one partition each
_SELDOM_S = 5.0  # between two looks at what is dear to look at
_DEAR = 100  # what took n seconds is not done again for this many times n


class _Counting(Observer):
    """What every role counts: its loop's turns, its transactions, and how far it is behind."""

    def __init__(self, meter: Meter, now: Callable[[], float] = time.time) -> None:
        self._meter, self._now = meter, now
        self._owned: set[Partition] = set()
        self._read_ms: dict[Partition, int] = {}  # when what was read last was written
        self._lag_due = 0.0

    def gained(self, partitions: Sequence[Partition]) -> None:
        self._owned.update(partitions)

    def dropped(self, partitions: Sequence[Partition]) -> None:
        self._owned.difference_update(partitions)
        for partition in partitions:
            self._read_ms.pop(partition, None)
        here = {partition.topic for partition in self._owned}
        for topic in sorted({partition.topic for partition in partitions} - here):
            self._meter.remove(LAG_SECONDS, topic)

    def polled(self, polled: Polled, seconds: float) -> None:
        now = self._now()
        self._meter.set(HEARTBEAT, now)
        if polled.batches:
            self._meter.observe(BATCH_DURATION, seconds)
        for batch in polled.batches:
            step = max(len(batch.partitions) // _LOOKS, 1)
            some = slice(
                (len(batch.partitions) - 1) % step, None, step
            )  # the last one is among them
            last = dict(zip(batch.partitions[some], batch.timestamps_ms[some], strict=True))
            self._read_ms |= {Partition(batch.topic, p): ms for p, ms in last.items() if ms}
        if now >= self._lag_due:
            self._lag_due = now + _LAG_EVERY_S
            self._behind(polled, now)

    def _behind(self, polled: Polled, now: float) -> None:
        topics: dict[str, float] = {partition.topic: 0.0 for partition in sorted(self._owned)}
        for partition, ms in self._read_ms.items():
            if partition in self._owned and partition not in polled.ends:
                lag = max(now - ms / 1000, topics[partition.topic])
                topics[partition.topic] = lag
        for topic, lag in topics.items():
            self._meter.set(LAG_SECONDS, lag, topic)

    def committed(self, outcome: Outcome, records: int, seconds: float) -> None:
        self._meter.count(TRANSACTIONS, 1, outcome.value)
        self._meter.observe(TRANSACTION_DURATION, seconds)


class Profiling(_Counting):
    """Counts what a profiler saw."""

    def __init__(self, meter: Meter, stage: Profiler, now: Callable[[], float] = time.time) -> None:
        super().__init__(meter, now)
        self._stage = stage

    def committed(self, outcome: Outcome, records: int, seconds: float) -> None:
        super().committed(outcome, records, seconds)
        meter = self._meter
        seen, self._stage.seen = self._stage.seen, Seen()
        for topic, count in seen.events.items():
            meter.count(EVENTS, count, topic)
        for (topic, reason), count in seen.dead_letters.items():
            meter.count(EVENTS_INVALID, count, topic, reason)
        for (model, reason), count in seen.fields.items():
            meter.count(FIELDS_INVALID, count, model, reason)
        for reason, count in seen.skipped.items():
            meter.count(EVENTS_SKIPPED, count, reason)
        if seen.nameless:
            meter.count(CAPPED, seen.nameless, "unregistered_models")
        for (topic, number), highest_ms in seen.watermarks_ms.items():
            meter.set(WATERMARK, highest_ms / 1000, topic, str(number))
        now = self._now()
        for (model, version, status), count in seen.predictions.items():
            current = seen.current[model]
            label = meter.versions.label(model, version, current=current, now=now)
            meter.count(MODEL_PREDICTIONS, count, model, label, status)


class Judging(_Counting):
    """Counts what a judge came to, and looks now and then at what waits in it."""

    def __init__(self, meter: Meter, stage: Judge, now: Callable[[], float] = time.time) -> None:
        super().__init__(meter, now)
        self._stage = stage
        self._due = 0.0

    def polled(self, polled: Polled, seconds: float) -> None:
        super().polled(polled, seconds)
        began = self._now()
        if began >= self._due:
            self._meter.set(OPEN_PANES, self._stage.open_panes)
            done = self._now()
            self._due = done + max(_SELDOM_S, _DEAR * (done - began))

    def committed(self, outcome: Outcome, records: int, seconds: float) -> None:
        super().committed(outcome, records, seconds)
        judged, self._stage.judged = self._stage.judged, Judged()
        for model, count in judged.late.items():
            self._meter.count(EVENTS_LATE, count, model)
        if judged.capped:
            self._meter.count(CAPPED, judged.capped, "subjects")
        if judged.unreadable_commands:
            logs.warning("commands.unreadable", records=judged.unreadable_commands)


class Joining(_Counting):
    """Counts what the joiner did, shows what its stores take, tells of those made anew, and frees what others left."""

    def __init__(self, meter: Meter, stage: Joiner, place: Path) -> None:
        super().__init__(meter)
        self._stage, self._place = stage, place
        self._due = self._tidied = 0.0
        self._rebuilding = False

    def polled(self, polled: Polled, seconds: float) -> None:
        super().polled(polled, seconds)
        if (records := self._stage.rebuilding) and time.monotonic() >= self._due:
            logs.info("store.rebuilding", records=records)
            self._rebuilding, self._due = True, time.monotonic() + _SELDOM_S
        elif self._rebuilding and not records:
            self._rebuilding = False
            logs.info("store.rebuilt")

    def committed(self, outcome: Outcome, records: int, seconds: float) -> None:
        super().committed(outcome, records, seconds)
        seen, self._stage.seen = self._stage.seen, SeenJoins()
        for topic, count in seen.events.items():
            self._meter.count(EVENTS, count, topic)
        for what, count in seen.joins.items():
            self._meter.count(JOINS, count, what)
        if time.monotonic() >= self._tidied:
            self._tidied = time.monotonic() + _SELDOM_S
            tidy(self._place, self._stage.lanes)
            size = self._stage.size()
            self._meter.set(STORE, size.disk_bytes, "disk")
            self._meter.set(STORE, size.memory_bytes, "memory")
