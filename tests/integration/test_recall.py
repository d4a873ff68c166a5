"""What the read model let go is read from a real broker again: what was asked for, and nothing else."""

import asyncio
from collections.abc import Callable

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from streams.broker import Partition
from streams.control.recall import Recall
from streams.kafka.places import PlaceReader
from streams.local_kafka import AnyBroker
from streams.topics import Names
from tests.integration.test_control import names as names
from tests.integration.test_control import ready, running, write
from tests.streams.published import lifecycle, result, series
from tests.until import until

pytestmark = pytest.mark.kafka
Unique = Callable[[str], str]


@pytest.fixture
def topic(kafka: AnyBroker, unique: Unique) -> str:
    """A topic with 120 records in one partition and some in another; every fourth of the first is aborted."""
    name = unique("recalled")
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    admin.create_topics([NewTopic(name, 2)])[name].result(10)
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": unique("judge")})
    producer.init_transactions(20)
    for start in range(0, 120, 4):
        producer.begin_transaction()
        for k in range(start, start + 4):
            producer.produce(name, f"record {k}".encode(), key=b"m", partition=0)
        producer.flush(10)
        if start % 16 == 12:
            producer.abort_transaction(20)
        else:
            producer.commit_transaction(20)
    producer.begin_transaction()
    producer.produce(name, b"another partition", key=b"m", partition=1)
    producer.commit_transaction(20)
    return name


def test_every_committed_record_is_found_by_its_place_and_no_other(
    kafka: AnyBroker, topic: str
) -> None:
    reader = PlaceReader({"bootstrap.servers": kafka.bootstrap}, "recall-test")
    try:
        # a transaction of four takes five offsets, the last one for its end
        places = [(Partition(topic, 0), offset) for offset in (*range(45), 3, 140, 9_999)]
        found = reader.read([*places, (Partition(topic, 1), 0)], 10)
    finally:
        reader.close()
    told = {
        offset: record.value for (p, offset), record in found.items() if record and not p.number
    }
    expected = {5 * run + k: f"record {4 * run + k}".encode() for run in range(9) for k in range(4)}
    for run in (3, 7):  # aborted
        for k in range(4):
            del expected[5 * run + k]
    expected[140] = b"record 112"
    assert told == expected
    assert found[Partition(topic, 0), 9_999] is None
    another = found[Partition(topic, 1), 0]
    assert another is not None
    assert another.value == b"another partition"


def test_a_record_that_retention_deleted_is_said_to_be_gone(kafka: AnyBroker, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    for done in admin.delete_records([TopicPartition(topic, 0, 50)]).values():
        done.result()

    async def ask() -> list[object]:
        recall = Recall.of({"bootstrap.servers": kafka.bootstrap}, Names("recall."))
        try:
            places = [(Partition(topic, 0), offset) for offset in (0, 49, 50)]
            return await asyncio.gather(*(recall(*place) for place in places))
        finally:
            await recall.stop()

    found = asyncio.run(ask())
    assert [record is None for record in found] == [True, True, False]


def test_an_old_window_of_a_large_model_is_answered_from_the_log(
    kafka: AnyBroker, names: Names
) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    write(producer, names("models"), "lifecycle|loans", lifecycle())
    wide = [series(f"feature:f{k:03d}", notes="x" * 400) for k in range(100)]
    for hour in range(12):
        write(producer, names("results"), "loans", result(hour, found=wide))
    producer.flush(10)
    with running(kafka.bootstrap, names) as one:
        until(lambda: ready(one))
        until(lambda: len(one.items("/models/loans/results")) == 12)
        (past,) = one.control.read.results["loans"].values()
        assert one.control.read.whole.get(past[0].place) is None, "it is in memory anyway"
        ids = [item["result_id"] for item in one.items("/models/loans/results")]
        assert ids == [result(hour)["result_id"] for hour in reversed(range(12))]
