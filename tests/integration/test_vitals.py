"""What control tells of the other roles, on a real broker: who is there, what waits, and who was killed."""

import asyncio
import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Producer

from streams.broker import Outgoing
from streams.control.vitals import Watch
from streams.local_kafka import AnyBroker
from streams.supervisor import leeway
from streams.topics import Names
from streams.views.read import ReadModel
from streams.views.vitals import STALLED_MS, RoleVitals
from tests.integration.running import Deployment
from tests.streams.published import lifecycle, record
from tests.until import until

pytestmark = pytest.mark.kafka

Unique = Callable[[str], str]


class Looking:
    """A watch with a clock of its own: a minute passes in no time."""

    def __init__(self, deployment: Deployment) -> None:
        self.now_ms = 0
        read = ReadModel(Names())
        read.fold(record("models", "lifecycle|loans", lifecycle()))
        self.watch = Watch(deployment.properties, deployment.names, read, list, lambda: self.now_ms)
        self.loop = asyncio.new_event_loop()

    def look(self, role: str, *, after_ms: int = 1_000) -> RoleVitals:
        self.now_ms += after_ms
        self.loop.run_until_complete(self.watch.look())
        return self.watch.vitals.role(role)

    def until(self, fact: Callable[[RoleVitals], object], *, after_ms: int = 1_000) -> None:
        """Look at the judge until it is so."""
        until(
            lambda: fact(self.look("judge", after_ms=after_ms)),
            describe=lambda: self.watch.vitals.role("judge"),
        )

    def close(self) -> None:
        self.loop.run_until_complete(self.watch._close())
        self.loop.close()


def test_a_role_is_seen_to_come_to_work_to_stall_and_to_be_killed(
    kafka: AnyBroker, unique: Unique, tmp_path: Path
) -> None:
    deployment = Deployment(kafka, unique("vitals"), tmp_path)
    command = leeway("run", "--role", "judge", "--config", str(deployment.config))
    environment = {**os.environ, "LEEWAY_METRICS_PORT": "0"}
    looking = Looking(deployment)

    def said(number: int) -> None:
        writer = deployment.writer()
        writer.write(Outgoing(deployment.names("commands"), b"loans", b"{}"[: number + 1]))
        writer.flush()

    try:
        looking.until(lambda one: one.state == "absent")  # once the broker has its table of groups
        assert looking.look("profiler").because.startswith("nobody is in its group")
        assert not looking.look("joiner").needed
        judge = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        try:
            looking.until(lambda one: one.members == 1)
            said(1)
            looking.until(lambda one: any(share.committed for share in one.topics))
            looking.until(lambda one: one.lag == 0)
            _abort(deployment, unique("aborted"))
            looking.until(lambda one: one.state == "waiting", after_ms=STALLED_MS)
        finally:
            judge.kill()
            judge.wait()
        said(1)
        found = looking.look("judge")
        assert (found.members, found.lag) == (1, 1), "the group misses it only after a while"
        assert looking.look("judge", after_ms=STALLED_MS).state in ("stalled", "absent")
        looking.until(lambda one: one.state == "absent")
        assert "1 record waits" in looking.watch.vitals.role("judge").because
    finally:
        looking.close()


def _abort(deployment: Deployment, name: str) -> None:
    """Leave records and a marker on the log that nobody may read."""
    properties = {"bootstrap.servers": deployment.service.brokers, "transactional.id": name}
    producer = Producer(properties)
    producer.init_transactions(20)
    producer.begin_transaction()
    for partition in (0, 1):
        producer.produce(deployment.names("profiles"), b"nothing", partition=partition)
    producer.flush(10)
    producer.abort_transaction(20)


def test_a_kafka_that_is_not_there_makes_every_role_unknown() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    watch = Watch({"bootstrap.servers": address}, Names(), ReadModel(Names()), list, lambda: 7)
    asyncio.run(watch.look())
    judge = watch.vitals.role("judge")
    assert (judge.state, judge.members, judge.lag) == ("unknown", None, None)
    assert judge.because.startswith("Kafka ")
    assert address not in judge.because
    assert watch.vitals.as_of_ms == 7
