"""The job of the profiler as one would write it first: a Faust agent that updates river detectors event by event."""

import asyncio
import uuid
from collections import Counter
from typing import Any, cast

import faust
from river.drift import ADWIN

from benchmarks._workload import CATEGORIES, NUMBERS


def run(brokers: str, topic: str, events: int) -> None:
    """Read so many events and stop. No state is kept and nothing is exactly-once."""
    app = faust.App(
        f"bench-{uuid.uuid4().hex[:8]}",
        broker=f"kafka://{brokers}",
        store="memory://",
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        consumer_auto_offset_reset="earliest",
        stream_wait_empty=False,
    )
    detectors: dict[tuple[str, str], Any] = {}  # river has no types
    counts: dict[tuple[str, str], Counter[str]] = {}
    new_detector = cast(Any, ADWIN)
    left = events
    done = asyncio.Event()

    @app.agent(app.topic(topic))
    async def update(stream):  # type: ignore[no-untyped-def]
        nonlocal left
        async for event in stream:
            model = event["model_id"]
            numbers = {f"num_{i}": event["features"][f"num_{i}"] for i in range(NUMBERS)}
            for name, number in (numbers | {"score": event["score"]}).items():
                if (model, name) not in detectors:
                    detectors[model, name] = new_detector()
                detectors[model, name].update(number)
            texts = {f"cat_{i}": event["features"][f"cat_{i}"] for i in range(CATEGORIES)}
            for name, text in (texts | {"prediction": event["prediction"]}).items():
                counts.setdefault((model, name), Counter())[text] += 1
            left -= 1
            if left == 0:
                done.set()

    async def main() -> None:
        await app.start()
        await done.wait()
        await app.stop()

    asyncio.run(main())
