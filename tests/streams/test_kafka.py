"""What only Kafka has: open transactions, settings that can be wrong, brokers that do not answer."""

import itertools
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from confluent_kafka import KafkaError, Producer

from streams.broker import Aborted, Partition, Work
from streams.errors import BrokerError, Fenced, LeewayError, UsageError
from streams.kafka import admin as kafka_admin
from streams.kafka import reader as kafka_reader
from streams.kafka import writer as kafka_writer
from streams.kafka.admin import create_topics, topic_partitions
from streams.kafka.broker import KafkaBroker
from streams.kafka.commands import past
from streams.kafka.errors import explained
from streams.local_kafka import AnyBroker, LocalKafka
from streams.topics import TOPICS, Names
from tests.streams.doors import QUICK, KafkaDoor, Member, drive

NOBODY = {"bootstrap.servers": "127.0.0.1:1"}


@pytest.fixture
def door(kafka: AnyBroker) -> Iterator[KafkaDoor]:
    door = KafkaDoor(kafka.bootstrap, **QUICK)
    yield door
    door.close()


@pytest.mark.parametrize(
    ("code", "kind", "says"),
    [
        (
            KafkaError._TRANSPORT,
            BrokerError,
            "no Kafka broker answers at here:9092.*`leeway broker`",
        ),
        (KafkaError._AUTHENTICATION, BrokerError, "refused the connection.*sasl"),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, BrokerError, "does not permit"),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, UsageError, "does not exist"),
        (KafkaError._INVALID_ARG, UsageError, "property"),
        (KafkaError.MSG_SIZE_TOO_LARGE, BrokerError, "too large"),
        (KafkaError._FENCED, Fenced, "another process"),
        (KafkaError.PRODUCER_FENCED, Fenced, "another process"),
        (KafkaError.COORDINATOR_NOT_AVAILABLE, BrokerError, "cannot commit: .*COORDINATOR"),
    ],
)
def test_an_error_says_what_was_attempted_and_what_to_do(
    code: int, kind: type[LeewayError], says: str
) -> None:
    error = explained(KafkaError(code), "commit", "here:9092")
    assert type(error) is kind
    with pytest.raises(kind, match=f"cannot commit.*{says}" if "cannot" not in says else says):
        raise error


def test_a_broker_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_admin, "_CALL_S", 0.2)
    monkeypatch.setattr(kafka_writer, "CALL_S", 0.1)
    with pytest.raises(BrokerError, match=r"127\.0\.0\.1:1.*LEEWAY_BROKERS"):
        topic_partitions(NOBODY)
    with pytest.raises(BrokerError, match=r"127\.0\.0\.1:1.*LEEWAY_BROKERS"):
        KafkaBroker(NOBODY, "g", "0")


def test_no_broker_at_all_says_what_to_set() -> None:
    with pytest.raises(BrokerError, match="LEEWAY_BROKERS"):
        KafkaBroker({}, "g", "0")


def test_a_property_that_does_not_exist_is_the_users_mistake() -> None:
    with pytest.raises(UsageError, match=r"sasl\.pasword"):
        topic_partitions({**NOBODY, "sasl.pasword": "x"})


@pytest.mark.kafka
def test_topics_are_created_once_and_as_the_table_says(door: KafkaDoor) -> None:
    names = Names(door.topic() + ".")
    created = create_topics(door.properties, names, partitions=5, more={names.prefix + "mine": 2})
    assert {made.topic for made in created} == {
        names.prefix + "mine",
        *(names(topic.name) for topic in TOPICS),
    }
    assert create_topics(door.properties, names, partitions=5) == ()
    there = topic_partitions(door.properties)
    assert there[names.prefix + "mine"] == 2
    for topic in TOPICS:
        assert there[names(topic.name)] == (topic.partitions or 5)
    with pytest.raises(UsageError, match=r"has 5 partitions, but topics.partitions is 6"):
        create_topics(door.properties, names, partitions=6)


@pytest.mark.kafka
def test_a_partition_whose_tail_is_undecided_is_not_at_its_end(door: KafkaDoor) -> None:
    topic = door.topic()
    other = Producer({**door.properties, "transactional.id": f"{topic}-other", "log_level": 2})
    other.init_transactions(10)
    other.begin_transaction()
    other.produce(topic, b"undecided")
    other.flush(10)
    member = Member(door.member()).join(topic)
    drive(member, to=lambda: member.owned)
    broker = member.broker
    assert isinstance(broker, KafkaBroker)
    drive(member, to=lambda: broker._ends._of)  # the reader can go no further
    assert member.poll().ends == frozenset()
    other.commit_transaction(10)
    drive(member, to=lambda: member.values == [b"undecided"] and member.ends)
    other.close()


@pytest.mark.kafka
@pytest.mark.parametrize("transactional", [False, True])
def test_the_past_of_a_topic_ends_while_others_go_on_writing_to_it(
    door: KafkaDoor, transactional: bool
) -> None:
    topic = door.topic(partitions=2)
    before = [b"%d" % n for n in range(500)]
    settings = {"transactional.id": f"{topic}-busy"} if transactional else {}
    busy, over = Producer({**door.properties, "linger.ms": 0, **settings}), threading.Event()

    def write(values: list[bytes]) -> None:
        if transactional:
            busy.begin_transaction()
        for number, value in enumerate(values):
            busy.produce(topic, value, partition=number % 2)
        busy.commit_transaction() if transactional else busy.flush()

    def go_on() -> None:
        while not over.wait(0.01):
            write([b"more", b"more"])

    if transactional:
        busy.init_transactions(10)
    write(before)
    others = threading.Thread(target=go_on)
    others.start()
    try:
        read = [record.value for records in past(door.properties, [topic]) for record in records]
    finally:
        over.set()
        others.join()
    assert sorted(value or b"" for value in read if value != b"more") == sorted(before)


@pytest.mark.kafka
def test_nothing_is_known_of_a_partitions_end_while_its_broker_does_not_answer() -> None:
    """What is written elsewhere meanwhile is unread: it must not count as silence, or it would come late."""
    try:
        broker = LocalKafka().__enter__()
    except LeewayError as lacking:
        pytest.skip(f"no broker of our own: {lacking}")
    with ExitStack() as stack:
        stack.push(broker.__exit__)
        door = KafkaDoor(broker.bootstrap, **{"session.timeout.ms": "60000"})  # it stays a member
        stack.callback(door.close)
        topic = door.topic(2)
        member = Member(door.member()).join(topic)
        ends = {Partition(topic, 0), Partition(topic, 1)}
        drive(member, to=lambda: member.ends == ends)
        broker.stop()
        drive(member, to=lambda: member.ends == frozenset())
        for _ in range(50):
            assert member.poll().ends == frozenset()
        assert member.owned == ends
        broker.start()
        drive(member, to=lambda: member.ends == ends)  # though nothing was written
        writer = Producer({**door.properties, "log_level": 2})
        writer.produce(topic, b"after", partition=1)
        writer.flush(10)
        drive(member, to=lambda: member.values == [b"after"])


@pytest.mark.kafka
def test_who_is_no_longer_in_the_group_does_not_commit(door: KafkaDoor) -> None:
    """The broker would take the offsets of a client without a name."""
    topic = door.topic()
    member = Member(door.member()).join(topic)
    drive(member, to=lambda: member.owned)
    broker = member.broker
    assert isinstance(broker, KafkaBroker)
    broker._member = "who we were"
    with pytest.raises(Aborted):
        broker.commit(Work([], {Partition(topic, 0): 7}))
    assert not broker._committed([Partition(topic, 0)])


@pytest.mark.kafka
def test_restore_waits_for_what_a_predecessor_has_not_decided_and_following_does_not(
    door: KafkaDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_reader, "_SETTLE_S", 0.0)
    topic, broker = door.topic(), door.member("judges")
    assert isinstance(broker, KafkaBroker)
    predecessor = Producer({**door.properties, "transactional.id": f"{topic}-p", "log_level": 2})
    predecessor.init_transactions(10)
    predecessor.begin_transaction()
    predecessor.produce(topic, b"counts", b"key")
    predecessor.flush(10)
    asked = itertools.count()

    def clock() -> float:
        """Time passes only where it is looked at, and the predecessor decides late."""
        now = next(asked)
        if now == 20:
            predecessor.commit_transaction(10)
        return now / 10

    for waits, found in ((False, []), (True, [b"counts"])):
        reader = broker._new_reader("restore", [Partition(topic, 0)], wait_ms=10)
        records = reader.read_to_end(wait_for_open_transactions=waits, clock=clock)
        assert [record.value for record in records] == found
        reader.close()
    predecessor.close()
