"""Delivery on a real broker: what judges published reaches people, once, whatever happens in between."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from alerting.deliver.items import terms
from alerting.deliver.sink import Failed, Parcel, Sent
from streams.control.app import Control, serve
from streams.control.door import Door
from streams.control.outgoing import Reachable
from streams.kafka.admin import create_topics
from streams.local_kafka import AnyBroker
from streams.topics import Names
from tests.integration.fire import Fire
from tests.until import until

pytestmark = pytest.mark.kafka
Unique = Callable[[str], str]


def notification(episode: str, sequence: int = 1, **changed: Any) -> dict[str, Any]:
    return {
        "idempotency_key": f"nt-{episode}-{sequence}",
        "receiver": "slack",
        "channel": "slack",
        "alert_id": f"al-{episode}-{sequence}",
        "episode_id": episode,
        "sequence": sequence,
        "model_id": "loans",
        "change": "opened",
        "severity": "warning",
        "at": "2099-01-01T00:00:00.000Z",
        "expires_after_seconds": 3600,
        "operation": "post",
        "reply": None,
        "payload": {"text": "income drifted"},
    } | changed


@dataclass
class Remembering:
    """A sink in memory."""

    receiver: str = "slack"
    parcels: list[Parcel] = field(default_factory=list)

    async def send(self, parcel: Parcel) -> Sent | Failed:
        self.parcels.append(parcel)
        return Sent(f"{len(self.parcels)}.0")

    async def close(self) -> None:
        pass


@contextmanager
def delivering(kafka: AnyBroker, names: Names, *sinks: Any) -> Iterator[Control]:
    receivers = Reachable(
        [terms(sink.receiver, "slack", max_event_age_ms=2**60) for sink in sinks],
        {sink.receiver: sink for sink in sinks},
    )
    loops: list[tuple[asyncio.AbstractEventLoop, asyncio.Event, Control]] = []

    async def run() -> None:
        stop = asyncio.Event()
        control = Control({"bootstrap.servers": kafka.bootstrap}, names, receivers)
        loops.append((asyncio.get_running_loop(), stop, control))
        await serve(control, Door("127.0.0.1", 0), "0.0.1", stop)

    thread = threading.Thread(target=lambda: asyncio.run(run()), name="control")
    thread.start()
    until(lambda: loops)
    loop, stop, control = loops[0]
    try:
        yield control
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture
def names(kafka: AnyBroker, unique: Unique) -> Names:
    names = Names(unique("delivery") + ".")
    create_topics({"bootstrap.servers": kafka.bootstrap}, names, partitions=2)
    return names


def test_a_notification_is_delivered_once_and_recorded(kafka: AnyBroker, names: Names) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    producer.produce(names("alerts.slack"), json.dumps(notification("ep-1")).encode(), key=b"ep-1")
    producer.flush(10)
    sink = Remembering()
    with delivering(kafka, names, sink) as control:
        until(lambda: control.read.deliveries)
        (record,) = control.read.deliveries.values()
        assert (record.state, record.sequence, record.slack_ts) == ("sent", 1, "1.0")
    with delivering(kafka, names, sink) as control:
        until(lambda: control.courier is not None and control.courier._open)
        producer.produce(
            names("alerts.slack"),
            json.dumps(notification("ep-1", 2, change="escalated")).encode(),
            key=b"ep-1",
        )
        producer.flush(10)
        until(lambda: len(sink.parcels) == 2)
    assert [(p.notification.sequence, p.thread) for p in sink.parcels] == [(1, None), (2, "1.0")]


def test_everything_arrives_whatever_vendors_answer_and_however_often_control_is_killed(
    kafka: AnyBroker, unique: Unique, tmp_path: Path
) -> None:
    fire = Fire(kafka, unique("fire"), tmp_path, seed=6)
    try:
        report = fire.run(episodes=20, kills=3)
    finally:
        fire.close()
    assert report.good, "\n".join([*report.lines(), (tmp_path / "control.log").read_text()[-4000:]])
