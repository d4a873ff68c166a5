"""The job of the profiler as one would write it first: a Faust agent that updates river detectors event by event."""

import asyncio
import uuid
from typing import Any, cast

import faust
import msgspec
from river.drift import ADWIN

from benchmarks._workload import NUMBERS


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
        value_serializer="raw",
    )
    detectors: dict[tuple[str, int], Any] = {}  # river has no types
    decode, new_detector = msgspec.json.Decoder().decode, cast(Any, ADWIN)
    left = events
    done = asyncio.Event()

    @app.agent(app.topic(topic, value_serializer="raw"))
    async def update(stream):  # type: ignore[no-untyped-def]
        nonlocal left
        async for value in stream:
            event = decode(value)
            model, features = event["model_id"], event["features"]
            for i in range(NUMBERS):
                detector = detectors.get((model, i))
                if detector is None:
                    detector = detectors[model, i] = new_detector()
                detector.update(features[f"num_{i}"])
            left -= 1
            if left == 0:
                done.set()

    async def main() -> None:
        await app.start()
        await done.wait()
        await app.stop()

    asyncio.run(main())
