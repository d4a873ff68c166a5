"""Delivery on a real broker: what judges published reaches people, once, whatever happens in between."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import Producer

from alerting.cloudevents import headers, notification_headers
from alerting.deliver.items import Key, terms
from alerting.deliver.sink import Failed, Parcel, Sent
from alerting.notify import notify
from alerting.settings import Receiver
from alerting.types import Alert, Channel, Delivery
from streams.broker import Outgoing
from streams.control.app import Control, serve
from streams.control.door import Door
from streams.control.outgoing import Reachable
from streams.kafka.admin import create_topics
from streams.kafka.commands import Tail, Writer
from streams.local_kafka import AnyBroker
from streams.messages import encode_json
from streams.topics import Names
from tests.integration.fire import GOLDEN, Fire
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
    refuses: str = ""  # the episode of which it takes nothing

    async def send(self, parcel: Parcel) -> Sent | Failed:
        if parcel.notification.severity == "critical" and self.receiver == "pagerduty":
            return Failed("auth", False, "status 401")
        if parcel.notification.episode_id == self.refuses:
            return Failed("client", False, "status 400")
        self.parcels.append(parcel)
        return Sent(f"{len(self.parcels)}.0")

    async def close(self) -> None:
        pass


CHANNELS: dict[str, Channel] = {"slack": "slack", "hook": "webhook", "pagerduty": "pagerduty"}


def publish(writer: Writer, names: Names, alert: Alert) -> None:
    """As a judge does."""
    key = alert.model.id.encode()
    writer.write(Outgoing(names("alerts"), key, encode_json(alert), headers(alert)))
    public = [Receiver(name, CHANNELS[name], "#ml") for name in ("slack", "pagerduty")]
    for note in notify(public, [alert]):
        about, key = notification_headers(note, alert), note.episode_id.encode()
        writer.write(Outgoing(names(f"alerts.{note.channel}"), key, encode_json(note), about))


def drifted(model: str) -> Alert:
    """Drift of the same input, an instant ago."""
    alert: Alert = msgspec.json.decode(GOLDEN.read_bytes(), type=Alert)
    return replace(
        alert,
        alert_id=f"al-{model}",
        episode_id=f"ep-{model}",
        model=replace(alert.model, id=model),
        delivery=Delivery(("slack", "pagerduty"), None, None, None),
    )


@contextmanager
def delivering(kafka: AnyBroker, names: Names, *sinks: Any) -> Iterator[Control]:
    channels = {sink.receiver: CHANNELS[sink.receiver] for sink in sinks}
    receivers = Reachable(
        [terms(name, of, max_event_age_ms=2**60, rate=(9, 9)) for name, of in channels.items()],
        {sink.receiver: sink for sink in sinks},
        [Receiver(name, channel, "#ml") for name, channel in channels.items()],
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


def test_one_cause_is_one_message_hooks_hear_all_and_others_stand_in(
    kafka: AnyBroker, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("delivery", "shared_causes"):
        monkeypatch.setattr(f"streams.control.{module}.GATHER_MS", 1500)
    slack, pager, hook = (Remembering(name) for name in ("slack", "pagerduty", "hook"))
    pager.refuses = "ep-b"
    writer = Writer({"bootstrap.servers": kafka.bootstrap})
    with delivering(kafka, names, slack, pager, hook) as control:
        until(lambda: control.courier is not None and control.courier._open)
        for model in "abcd":
            publish(writer, names, drifted(model))
        writer.flush()
        until(lambda: slack.parcels)
        until(lambda: len(hook.parcels) == 4)
        done = {**dict.fromkeys("abcd", "merged")}
        until(lambda: {k.episode_id[3:]: r.state for k, r in control.read.deliveries.items()
                       if k.receiver == "slack" and k.episode_id.startswith("ep-")} == done)  # fmt: skip
        until(lambda: control.read.deliveries[Key("pagerduty", "ep-b")].state == "refused")
        told = len(slack.parcels)
        worst = Delivery(("pagerduty",), None, None, None)
        publish(
            writer,
            names,
            replace(drifted("x"), severity="critical", kind="performance", delivery=worst),
        )
        writer.flush()
        until(lambda: len(slack.parcels) > told)
        assert slack.parcels.pop().notification.episode_id == "ep-x"
        until(lambda: control.read.deliveries[Key("pagerduty", "ep-x")].fallback == "slack")
    assert [parcel.notification.sequence for parcel in slack.parcels] == [7]  # four, still open
    assert sorted(p.notification.episode_id for p in pager.parcels) == ["ep-a", "ep-c", "ep-d"]
    assert {p.notification.payload["data"]["model"]["id"] for p in hook.parcels} == set("abcdx")
    with Tail({"bootstrap.servers": kafka.bootstrap}, [names("dead-letters")]) as tail:
        dead = [record for _ in range(50) if not tail.at_end for record in tail.read()]
    assert [(dict(one.headers)["__dlq.errors.stage"], one.key) for one in dead] == [
        (b"deliver", b"ep-b")
    ]


def test_everything_arrives_whatever_vendors_answer_and_however_often_control_is_killed(
    kafka: AnyBroker, unique: Unique, tmp_path: Path
) -> None:
    fire = Fire(kafka, unique("fire"), tmp_path, seed=6)
    try:
        report = fire.run(episodes=16, kills=3, controls=2)
    finally:
        fire.close()
    log = (tmp_path / "control.log").read_text()
    assert report.good, "\n".join([*report.lines(), log[-4000:]])
    assert not any(secret in log for secret in (fire.slack.token, fire.pagerduty.routing_key))
    assert str(fire.slack.port) not in log
