"""The job of the profiler as one would write it first: a Faust agent, river detectors and counts, event by event."""

import asyncio
import uuid
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, MutableMapping
from tempfile import TemporaryDirectory
from typing import Any, cast

import faust
from river.drift import ADWIN

from benchmarks._workload import CATEGORIES, NUMBERS

PANE_S = 300
DECILES = [-1.28, -0.84, -0.52, -0.25, 0.0, 0.25, 0.52, 0.84, 1.28]


def run(brokers: str, topic: str, events: int, *, tables: bool) -> None:
    """Read so many events and stop.

    Parameters
    ----------
    tables : keep the counts in a table of Faust's, so that they survive a restart, each event counted at least once;
        else in memory, where nothing survives
    """
    with TemporaryDirectory() as folder:
        _run(brokers, topic, events, folder, tables=tables)


def _run(brokers: str, topic: str, events: int, folder: str, *, tables: bool) -> None:
    app = faust.App(
        f"bench-{uuid.uuid4().hex[:8]}",
        broker=f"kafka://{brokers}",
        store="memory://",
        datadir=folder,
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=tables,
        topic_replication_factor=1,
        consumer_auto_offset_reset="earliest",
        stream_wait_empty=False,
    )
    counts: MutableMapping[str, int] = Counter()
    if tables:
        counts = cast(Any, app.Table("counts", default=int, partitions=4))
    detectors: dict[tuple[str, str], Any] = {}  # river has no types
    new_detector = cast(Any, ADWIN)
    left = events
    done = asyncio.Event()

    @app.agent(app.topic(topic))
    async def update(stream):  # type: ignore[no-untyped-def]
        nonlocal left
        async for event in stream:
            model = event["model_id"]
            pane = event["timestamp"] // (1000 * PANE_S)
            for name, number in _numbers(event):
                if (model, name) not in detectors:
                    detectors[model, name] = new_detector()
                detectors[model, name].update(number)
                counts[f"{model}|{pane}|{name}|{bisect_left(DECILES, number)}"] += 1
            for name, text in _texts(event):
                counts[f"{model}|{pane}|{name}|{text}"] += 1
            left -= 1
            if left == 0:
                done.set()

    async def main() -> None:
        await app.start()
        await done.wait()
        await app.stop()

    asyncio.run(main())


def _numbers(event: dict[str, Any]) -> Iterator[tuple[str, float]]:
    for i in range(NUMBERS):
        yield f"num_{i}", event["features"][f"num_{i}"]
    yield "score", event["score"]


def _texts(event: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for i in range(CATEGORIES):
        yield f"cat_{i}", event["features"][f"cat_{i}"]
    yield "prediction", event["prediction"]
