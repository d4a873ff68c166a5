"""What do an emitter's events meet on a real Kafka? A broker that answers or dies, a process that ends or forks."""

import json
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from streams.broker import Record
from streams.client import Emitter, Limits
from streams.kafka.commands import past
from streams.local_kafka import AnyBroker, LocalKafka
from tests.until import until

pytestmark = pytest.mark.kafka

ROOT = Path(__file__).resolve().parents[2]
PARTITIONS = 4


def create(bootstrap: str, *topics: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    for made in admin.create_topics([NewTopic(topic, PARTITIONS, 1) for topic in topics]).values():
        made.result(10)


def records(bootstrap: str, topic: str) -> list[Record]:
    return [one for some in past({"bootstrap.servers": bootstrap}, [topic]) for one in some]


def ids(bootstrap: str, topic: str) -> list[str]:
    return [json.loads(record.value or b"")["event_id"] for record in records(bootstrap, topic)]


@pytest.fixture
def topic(kafka: AnyBroker, unique: Callable[[str], str]) -> str:
    name = unique("predictions")
    create(kafka.bootstrap, name)
    return name


def run(script: str, *arguments: str) -> str:
    """What a script prints, run by itself."""
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_events_arrive_where_their_labels_will(
    kafka: AnyBroker, unique: Callable[[str], str]
) -> None:
    """Both by CRC-32 of the id, which is how the joiner finds the two of them together."""
    topics = {kind: unique(kind) for kind in ("predictions", "labels", "features")}
    create(kafka.bootstrap, *topics.values())
    with Emitter(kafka.bootstrap, model_id="m", topics=topics) as emitter:
        sent = [emitter.prediction({"i": i}) for i in range(1_000)]
        for event_id in sent:
            emitter.label(event_id, "yes")
        emitter.feature({"i": 1})
        assert emitter.flush()
        assert emitter.counts.delivered == 2_001
    predicted = records(kafka.bootstrap, topics["predictions"])
    labelled = records(kafka.bootstrap, topics["labels"])
    places = [{record.key: record.partition for record in found} for found in (predicted, labelled)]
    wanted = {one.encode(): zlib.crc32(one.encode()) % PARTITIONS for one in sent}
    assert places == [wanted, wanted]
    assert len(predicted) == len(labelled) == 1_000
    assert len(records(kafka.bootstrap, topics["features"])) == 1


def test_what_waits_is_sent_when_the_process_ends(kafka: AnyBroker, topic: str) -> None:
    script = """
import sys
from streams.client import Emitter
emitter = Emitter(sys.argv[1], model_id="m", topics={"predictions": sys.argv[2]})
for i in range(500):
    print(emitter.prediction({"i": i}))
"""
    printed = run(script, kafka.bootstrap, topic).split()
    assert sorted(ids(kafka.bootstrap, topic)) == sorted(printed)
    assert len(printed) == 500


def test_every_process_of_a_server_that_forks_sends_its_own_events(
    kafka: AnyBroker, topic: str
) -> None:
    """As gunicorn does with --preload; the parent's client is in use already."""
    script = """
import os, sys
from streams.client import Emitter
emitter = Emitter(sys.argv[1], model_id="m", topics={"predictions": sys.argv[2]})
first = [emitter.prediction({"worker": "parent"}) for _ in range(10)]
children = []
for worker in range(3):
    pid = os.fork()
    if not pid:
        for _ in range(100):
            emitter.prediction({"worker": worker})
        sys.exit(0 if emitter.flush() and emitter.counts.delivered == 100 else 1)
    children.append(pid)
for _ in range(10):
    emitter.prediction({"worker": "parent"})
codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
emitter.close()
print(codes, emitter.counts.delivered, emitter.counts.lost)
"""
    assert run(script, kafka.bootstrap, topic) == "[0, 0, 0] 20 0\n"
    found = ids(kafka.bootstrap, topic)
    assert len(found) == len(set(found)) == 320


def test_a_topic_nobody_created_costs_its_events_and_no_others(
    kafka: AnyBroker, topic: str, unique: Callable[[str], str]
) -> None:
    topics = {"predictions": topic, "labels": unique("missing")}
    limits = Limits(patience=timedelta(seconds=1))
    with Emitter(kafka.bootstrap, model_id="m", topics=topics, limits=limits) as emitter:
        emitter.label("a", "yes")
        emitter.prediction({}, event_id="a")
        until(lambda: emitter.counts.waiting == 0)
    assert emitter.counts.delivered == 1
    assert emitter.counts.dropped == {"delivery_failed": 1}


def test_a_broker_that_dies_costs_no_event_once_it_is_back() -> None:
    with LocalKafka() as kafka:
        create(kafka.bootstrap, "predictions")
        emitter = Emitter(kafka.bootstrap, model_id="m", topics={"predictions": "predictions"})
        sent = [emitter.prediction({"i": i}) for i in range(1_000)]
        until(lambda: emitter.counts.delivered > 0)
        sent += [emitter.prediction({"i": i}) for i in range(1_000)]
        kafka.kill()
        began = time.perf_counter()
        sent += [emitter.prediction({"i": i}) for i in range(1_000)]
        assert time.perf_counter() - began < 10  # a broker was away for as long as all this takes
        assert not emitter.flush(0.2)
        kafka.start()
        assert emitter.flush(20)
        assert emitter.counts.delivered == 3_000
        emitter.close()
        assert sorted(ids(kafka.bootstrap, "predictions")) == sorted(sent)


def test_nobody_waits_where_no_broker_answers() -> None:
    """Not even at the end of the process, for longer than its limit."""
    script = """
import sys, time
from datetime import timedelta
from streams.client import Emitter, Limits
began = time.monotonic()
emitter = Emitter("127.0.0.1:9", model_id="m", limits=Limits(at_exit=timedelta(seconds=0.3)))
for _ in range(1_000):
    emitter.prediction({})
print(time.monotonic() - began, flush=True)
"""
    began = time.monotonic()
    assert float(run(script)) < 10
    assert time.monotonic() - began < 30
