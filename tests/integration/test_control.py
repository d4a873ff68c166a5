"""Control on a real broker: it sees what is committed, all of it, and nothing else."""

import asyncio
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewPartitions

from streams.broker import Partition, Record
from streams.control.app import Control, run, serve
from streams.control.door import Door
from streams.errors import UsageError
from streams.kafka.admin import create_topics
from streams.local_kafka import AnyBroker
from streams.profiling.dead_letters import dead_letter
from streams.profiling.events import DeadLetter
from streams.topics import Names
from tests.streams.published import alert, intake, lifecycle, result, trigger
from tests.until import until

pytestmark = pytest.mark.kafka

Unique = Callable[[str], str]


class Running:
    """A control in a thread of its own, and how to ask it."""

    def __init__(self, bootstrap: str, names: Names, **transport: Any) -> None:
        self._bootstrap, self._names, self._transport = bootstrap, names, transport
        self.port = 0
        self.control: Control
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="control")

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self.control = Control({"bootstrap.servers": self._bootstrap}, self._names)
        for setting, value in self._transport.items():
            setattr(self.control.app.transport, setting, value)
        await serve(self.control, Door("127.0.0.1", 0), "0.0.1", self._stop, opened=self._opened)

    def _opened(self, port: int) -> None:
        self.port = port

    def start(self) -> None:
        self._thread.start()
        until(lambda: self.port)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)
        assert not self._thread.is_alive(), "not stopped within 30 s"

    def ask(self, path: str) -> tuple[int, Any]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                body = answer.read().decode()
                json_body = answer.headers.get_content_type() == "application/json"
                return answer.status, json.loads(body) if json_body else body
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def items(self, path: str) -> list[Any]:
        status, body = self.ask(f"/api/v1{path}")
        assert status == 200
        return list(body["items"])


@contextmanager
def running(bootstrap: str, names: Names, **transport: Any) -> Iterator[Running]:
    one = Running(bootstrap, names, **transport)
    one.start()
    try:
        yield one
    finally:
        one.stop()


@pytest.fixture
def names(kafka: AnyBroker, unique: Unique) -> Names:
    names = Names(unique("control") + ".")
    create_topics({"bootstrap.servers": kafka.bootstrap}, names, partitions=2)
    return names


def write(producer: Producer, topic: str, key: str, document: Any) -> None:
    producer.produce(topic, json.dumps(document).encode(), key=key.encode())


def ready(one: Running) -> bool:
    return one.ask("/readyz")[0] == 200


def test_control_shows_what_was_written_before_and_after_its_start(
    kafka: AnyBroker, names: Names
) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    write(producer, names("models"), "lifecycle|loans", lifecycle())
    write(producer, names("results"), "loans", result(0))
    write(producer, names("state"), "-|-|-|intake", intake(a={"unregistered": {"stranger": 3}}))
    write(producer, names("state"), "loans|1.0.0|all|detector", {"large": "x" * 1000})
    producer.produce(names("results"), b"\xff", key=b"loans")
    producer.flush(10)
    with running(kafka.bootstrap, names) as one:
        until(lambda: ready(one))
        assert [model["state"] for model in one.items("/models")] == ["healthy"]
        assert one.items("/unregistered") == [{"model_id": "stranger", "topic": "a", "events": 3}]
        assert one.ask("/api/v1/health")[1]["unreadable"] == {names("results"): {"DecodeError": 1}}
        write(producer, names("alerts"), "loans", alert())
        write(producer, names("retraining"), "loans", trigger())
        producer.flush(10)
        until(lambda: one.items("/episodes") and one.items("/triggers"))
        assert one.items("/models")[0]["state"] == "degraded"
        assert 'leeway_episodes_open{kind="data_drift",model="loans"' in one.ask("/metrics")[1]
        assert "income drifted" in one.ask("/")[1]


def test_control_lists_the_newest_dead_letters_and_tells_how_the_roles_are(
    kafka: AnyBroker, names: Names
) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    origins = [Record("loans", 0, at, 1, b"k", b"{", ()) for at in range(30)]
    for origin in origins:
        out = dead_letter(names, DeadLetter(origin, "not_json", "it ends too early"))
        producer.produce(out.topic, out.value, out.key, 1, headers=list(out.headers))
    producer.flush(10)
    with running(kafka.bootstrap, names, newest={names("dead-letters"): 20}) as one:
        until(lambda: ready(one))
        found = one.items("/dead-letters")
        assert [item["origin"]["offset"] for item in found] == list(range(29, 9, -1))
        until(lambda: one.ask("/api/v1/health")[1]["roles_as_of"])
        roles = {role["role"]: role for role in one.ask("/api/v1/health")[1]["roles"]}
        assert (roles["control"]["state"], roles["control"]["lag"]) == ("waiting", 0)
        assert roles["judge"]["state"] in ("absent", "unknown")


def test_aborted_records_never_show(kafka: AnyBroker, names: Names, unique: Unique) -> None:
    judge = Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": unique("judge")})
    judge.init_transactions(20)
    with running(kafka.bootstrap, names) as one:
        until(lambda: ready(one))
        for hour in range(6):
            judge.begin_transaction()
            write(judge, names("results"), "loans", result(hour))
            write(judge, names("alerts"), "loans", alert(1, opened_hour=hour, hour=hour))
            judge.flush(10)  # on the broker, so a careless reader would see it
            if hour % 2:
                judge.commit_transaction(20)
            else:
                judge.abort_transaction(20)
        wanted = [result(hour) for hour in (5, 3, 1)]
        until(lambda: one.items("/models/loans/results") == wanted)
        assert len(one.items("/episodes")) == 3
    with running(
        kafka.bootstrap, names
    ) as again:  # the log now begins and ends with what was not committed
        until(lambda: ready(again))
        assert again.items("/models/loans/results") == wanted
        assert len(again.items("/episodes")) == 3


def test_a_second_control_knows_as_much_as_the_first(kafka: AnyBroker, names: Names) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    for hour in range(40):
        for model in ("loans", "churn", "fraud"):
            write(producer, names("results"), model, result(hour, model=model))
    producer.flush(10)
    with running(kafka.bootstrap, names) as one, running(kafka.bootstrap, names) as other:
        until(lambda: ready(one) and ready(other))
        for path in ("/models/loans/results", "/models/churn/results", "/models/fraud/results"):
            assert len(one.items(path)) == 40
            assert one.items(path) == other.items(path)


def test_a_rebalance_loses_nothing_and_counts_nothing_twice(kafka: AnyBroker, names: Names) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "topic.metadata.refresh.interval.ms": 100})  # fmt: skip
    with running(kafka.bootstrap, names, metadata_max_age_ms=200) as one:
        until(lambda: ready(one))
        for hour in range(30):
            write(producer, names("results"), "loans", result(hour))
        producer.flush(10)
        until(lambda: len(one.items("/models/loans/results")) == 30)
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
        grown = admin.create_partitions([NewPartitions(names("results"), 3)])
        for future in grown.values():
            future.result(10)
        until(lambda: Partition(names("results"), 2) in one.control.progress.starts)
        for hour in range(30, 60):
            write(producer, names("results"), "loans", result(hour))
        producer.produce(names("results"), json.dumps(result(0, model="new")).encode(), partition=2)
        producer.flush(10)
        until(lambda: len(one.items("/models/loans/results")) == 60)
        until(lambda: one.items("/models/new/results"))
        assert one.control.read.judged["loans", "stable"] == 60


def test_missing_topics_are_one_line(kafka: AnyBroker, unique: Unique) -> None:
    with pytest.raises(UsageError, match=r"topic .*models does not exist"):
        run({"bootstrap.servers": kafka.bootstrap}, prefix=unique("none") + ".", port=0)
