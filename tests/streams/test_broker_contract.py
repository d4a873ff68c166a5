"""Do the broker in memory and the one on Kafka keep the same promises?"""

from collections import Counter
from collections.abc import Iterator
from functools import partial

import pytest

from streams.broker import (
    Aborted,
    Batch,
    Broker,
    Outgoing,
    Partition,
    Place,
    Record,
    Since,
    Work,
)
from streams.errors import BrokerError, Fenced, LeewayError, UsageError
from streams.memory import partition_of
from tests.streams.doors import QUICK, Door, KafkaDoor, Member, MemoryDoor, drive

KINDS = [
    "memory",
    pytest.param("kafka", marks=pytest.mark.kafka),
]
PROTOCOLS = [*KINDS, pytest.param("kafka consumer", marks=pytest.mark.kafka)]


@pytest.fixture(params=KINDS)
def door(request: pytest.FixtureRequest) -> Iterator[Door]:
    yield from _open(request)


@pytest.fixture(params=PROTOCOLS)
def any_door(request: pytest.FixtureRequest) -> Iterator[Door]:
    """Also with the rebalance protocol of Kafka 4, for what concerns groups."""
    yield from _open(request)


def _open(request: pytest.FixtureRequest) -> Iterator[Door]:
    if request.param == "memory":
        opened: Door = MemoryDoor()
    else:
        bootstrap = request.getfixturevalue("kafka").bootstrap
        new = request.param == "kafka consumer"
        opened = KafkaDoor(bootstrap, **({"group.protocol": "consumer"} if new else QUICK))
    yield opened
    opened.close()


def _has(member: Member, records: int) -> bool:
    return len(member.records) >= records


def write(broker: Broker, topic: str, *values: bytes, partition: int | None = 0) -> None:
    broker.commit(Work([Outgoing(topic, None, value, partition=partition) for value in values]))


def everything(door: Door, topic: str, name: str = "auditor") -> list[Record]:
    """All that is committed on a topic, to a reader that has nothing to do with anybody."""
    auditor = door.member(name, name)
    auditor.follow([topic])
    return list(auditor.followed(to_end=True))


# ------------------------------------------------------------------------------------------------------ transactions


def test_records_are_seen_only_after_their_commit_and_all_at_once(door: Door) -> None:
    topic, writer, reader = door.topic(2), door.member("writers"), door.member("readers")
    reader.follow([topic])
    assert reader.followed(to_end=True) == []
    writer.commit(Work([Outgoing(topic, None, b"%d" % n, partition=n % 2) for n in range(10)]))
    seen = {record.value for record in reader.followed(to_end=True)}
    assert seen == {b"%d" % n for n in range(10)}


def test_an_aborted_commit_leaves_no_record_and_no_offset_and_the_reader_goes_back(
    door: Door,
) -> None:
    source, sink, writer = door.topic(), door.topic(), door.member("writers")
    write(writer, source, b"1", b"2", b"3")
    member = Member(door.member()).join(source)
    drive(member, to=lambda: member.values == [b"1", b"2", b"3"])
    door.fail_next_commit(member.broker)
    with pytest.raises(Aborted):
        member.commit(Outgoing(sink, b"k", b"void"))
    drive(member, to=lambda: member.values == [b"1", b"2", b"3"] * 2)
    member.commit(Outgoing(sink, b"k", b"valid"))
    assert [record.value for record in everything(door, sink)] == [b"valid"]
    member.broker.close()
    successor = Member(door.member(instance="b")).join(source)
    write(writer, source, b"4")
    drive(successor, to=lambda: successor.records)
    assert successor.values == [b"4"]


def test_after_an_abort_the_reader_goes_back_to_the_last_commit_and_no_further(door: Door) -> None:
    source, writer = door.topic(), door.member("writers")
    write(writer, source, b"1", b"2")
    member = Member(door.member()).join(source)
    drive(member, to=lambda: len(member.records) == 2)
    member.commit()
    write(writer, source, b"3")
    drive(member, to=lambda: len(member.records) == 3)
    door.fail_next_commit(member.broker)
    with pytest.raises(Aborted):
        member.commit()
    drive(member, to=lambda: len(member.records) == 4)
    assert member.values == [b"1", b"2", b"3", b"3"]


def test_records_and_offsets_are_committed_together(door: Door) -> None:
    source, sink, writer = door.topic(), door.topic(), door.member("writers")
    write(writer, source, *(b"%d" % n for n in range(50)))
    for life in range(5):  # each life reads ten, writes their number, and is gone without a word
        member = Member(door.member(instance="same"), commits=False).join(source)
        drive(member, to=partial(_has, member, 10), limit=10)
        member.next_offsets = {Partition(source, 0): member.records[9].offset + 1}
        member.commit(*(Outgoing(sink, None, value) for value in member.values[:10]))
        assert member.values[0] == b"%d" % (life * 10)
        member.broker.close()
    assert Counter(r.value for r in everything(door, sink)) == Counter(b"%d" % n for n in range(50))


def test_work_without_records_moves_the_offsets(door: Door) -> None:
    source, writer = door.topic(), door.member("writers")
    write(writer, source, b"1")
    member = Member(door.member()).join(source)
    drive(member, to=lambda: member.records)
    member.commit()
    member.broker.close()
    write(writer, source, b"2")
    successor = Member(door.member(instance="b")).join(source)
    drive(successor, to=lambda: successor.records)
    assert successor.values == [b"2"]


def test_empty_work_is_no_transaction(door: Door) -> None:
    broker = door.member()
    door.fail_next_commit(broker)
    broker.commit(Work())  # a transaction would have failed


def test_a_record_for_a_partition_that_does_not_exist_fails_for_good_and_writes_nothing(
    door: Door,
) -> None:
    topic, broker = door.topic(1), door.member()
    with pytest.raises(LeewayError):
        broker.commit(
            Work(
                [Outgoing(topic, None, b"1", partition=0), Outgoing(topic, None, b"2", partition=9)]
            )
        )
    assert everything(door, topic) == []


def test_thousands_of_records_are_one_commit(door: Door) -> None:
    topic, broker = door.topic(3), door.member()
    broker.commit(Work([Outgoing(topic, b"%d" % n, b"x" * 100) for n in range(20_000)]))
    assert len(everything(door, topic)) == 20_000


def test_a_record_of_one_and_a_half_megabytes_arrives_whole(door: Door) -> None:
    topic, writer = door.topic(), door.member("writers")
    value = bytes(range(256)) * 6_000
    write(writer, topic, value, b"small", value)
    member = Member(door.member()).join(topic)
    drive(member, to=lambda: len(member.records) == 3)
    assert member.values == [value, b"small", value]


# ------------------------------------------------------------------------------------------------------------ groups


def test_two_members_share_the_partitions_and_each_record_reaches_one_of_them(
    any_door: Door,
) -> None:
    topic, writer = any_door.topic(4), any_door.member("writers")
    first = Member(any_door.member(instance="a")).join(topic)
    drive(first, to=lambda: len(first.owned) == 4)
    second = Member(any_door.member(instance="b")).join(topic)
    drive(first, second, to=lambda: len(first.owned) == len(second.owned) == 2)
    assert first.owned | second.owned == {Partition(topic, number) for number in range(4)}
    writer.commit(Work([Outgoing(topic, None, b"%d" % n, partition=n % 4) for n in range(40)]))
    drive(first, second, to=lambda: len(first.records) + len(second.records) >= 40)
    assert Counter(first.values + second.values) == Counter(b"%d" % n for n in range(40))


def test_what_a_member_read_before_a_partition_leaves_is_not_read_again(any_door: Door) -> None:
    topic, writer = any_door.topic(2), any_door.member("writers")
    first = Member(any_door.member(instance="a")).join(topic)
    for n in range(2):
        write(writer, topic, *(b"%d-%d" % (n, i) for i in range(20)), partition=n)
    drive(first, to=lambda: len(first.records) == 40)
    second = Member(any_door.member(instance="b")).join(topic)
    drive(first, second, to=lambda: len(first.owned) == len(second.owned) == 1)
    assert [name for name, _ in first.events] == ["gained", "gained", "leaving"]
    for n in range(2):
        write(writer, topic, b"%d-late" % n, partition=n)
    drive(first, second, to=lambda: len(first.records) + len(second.records) >= 42)
    assert second.values == [b"%d-late" % next(iter(second.owned)).number]


def test_who_leaves_hands_over_at_what_was_committed(any_door: Door) -> None:
    topic, writer = any_door.topic(2), any_door.member("writers")
    for n in range(2):
        write(writer, topic, b"%d" % n, partition=n)
    first = Member(any_door.member(instance="a")).join(topic)
    drive(first, to=lambda: len(first.records) == 2)
    first.commit()
    for n in range(2):
        write(writer, topic, b"later", partition=n)
    drive(first, to=lambda: len(first.records) == 4)
    first.broker.close()  # commits nothing
    second = Member(any_door.member(instance="b")).join(topic)
    drive(second, to=lambda: len(second.records) == 2)
    assert second.values == [b"later", b"later"]


def test_an_abort_while_partitions_leave_is_read_again_by_both(any_door: Door) -> None:
    topic, writer = any_door.topic(2), any_door.member("writers")
    first = Member(any_door.member(instance="a")).join(topic)
    for n in range(2):
        write(writer, topic, b"%d" % n, partition=n)
    drive(first, to=lambda: len(first.records) == 2)

    def abort() -> None:
        any_door.fail_next_commit(first.broker)
        with pytest.raises(Aborted):
            first.broker.commit(Work([], dict(first.next_offsets)))
        first.records.clear()

    first.commit = lambda *records: abort()  # type: ignore[method-assign]
    second = Member(any_door.member(instance="b")).join(topic)
    drive(first, second, to=lambda: first.records and second.records)
    assert sorted(filter(None, first.values + second.values)) == [b"0", b"1"]


def test_a_second_process_of_the_same_name_fences_the_first(door: Door) -> None:
    source, sink, writer = door.topic(), door.topic(), door.member("writers")
    write(writer, source, b"1")
    zombie = Member(door.member(instance="same")).join(source)
    drive(zombie, to=lambda: zombie.records)
    door.member(instance="same")
    with pytest.raises(Fenced):
        zombie.commit(Outgoing(sink, None, b"void"))
    assert everything(door, sink) == []


# ----------------------------------------------------------------------------------------------------------- reading


def test_order_within_a_partition_is_kept(door: Door) -> None:
    topic, writer = door.topic(3), door.member("writers")
    writer.commit(Work([Outgoing(topic, None, b"%d" % n, partition=n % 3) for n in range(300)]))
    member = Member(door.member()).join(topic)
    drive(member, to=lambda: len(member.records) == 300, limit=7)
    for number in range(3):
        own = [record for record in member.records if record.partition == number]
        assert [record.value for record in own] == [b"%d" % n for n in range(number, 300, 3)]
        assert [record.offset for record in own] == sorted(record.offset for record in own)


def test_columns_and_rows_of_a_batch_say_the_same(door: Door) -> None:
    topic, other, writer = door.topic(2), door.topic(), door.member("writers")
    headers = (("leeway.kind", b"summary"), ("again", b""), ("again", b"\xff"))
    writer.commit(
        Work(
            [
                Outgoing(topic, b"key", b"value", headers, partition=1),
                Outgoing(topic, None, b"", partition=1),
                Outgoing(topic, b"", None, partition=0),
                Outgoing(other, b"key", b"elsewhere"),
            ]
        )
    )
    member = Member(door.member()).join(topic, other)
    batches: list[Batch] = []

    def four() -> bool:
        batches.extend(member.broker.poll(100, 0.05).batches)
        return sum(map(len, (batch.values for batch in batches))) == 4

    drive(to=four)
    rows = [batch.rows[i] for batch in batches for i in range(len(batch.values))]
    assert [
        Record(batch.topic, *place, rows[n].key, place_value, rows[n].headers)
        for n, (batch, place, place_value) in enumerate(
            (batch, (partition, offset, time), value)
            for batch in batches
            for partition, offset, time, value in zip(
                batch.partitions, batch.offsets, batch.timestamps_ms, batch.values, strict=True
            )
        )
    ] == rows
    found = {(r.topic, r.partition, r.key, r.value, r.headers) for r in rows}
    assert found == {
        (topic, 1, b"key", b"value", headers),
        (topic, 1, None, b"", ()),
        (topic, 0, b"", None, ()),
        (other, 0, b"key", b"elsewhere", ()),
    }


def test_a_keyed_record_goes_to_the_partition_of_its_crc32(door: Door) -> None:
    topic, broker = door.topic(7), door.member()
    keys = [f"model-{n}-ü".encode() for n in range(50)]
    broker.commit(Work([Outgoing(topic, key, b"") for key in keys]))
    found = {record.key: record.partition for record in everything(door, topic)}
    assert found == {key: partition_of(key, 7) for key in keys}


def test_a_partition_read_to_its_end_is_in_ends_until_something_comes(door: Door) -> None:
    topic, writer = door.topic(2), door.member("writers")
    member = Member(door.member()).join(topic)
    both = {Partition(topic, 0), Partition(topic, 1)}
    drive(member, to=lambda: member.ends == both)
    write(writer, topic, *(b"%d" % n for n in range(30)), partition=1)
    drive(member, to=lambda: member.records, limit=10)
    assert member.ends == {Partition(topic, 0)}
    drive(member, to=lambda: member.ends == both, limit=10)
    assert len(member.records) == 30


def test_subscribing_to_a_topic_that_does_not_exist_names_it(door: Door) -> None:
    broker = door.member()
    with pytest.raises(UsageError, match="no-such-topic"):
        broker.subscribe(["no-such-topic"], Member(broker))
    with pytest.raises(UsageError, match="no-such-topic"):
        broker.partition_count("no-such-topic")
    assert broker.partition_count(door.topic(5)) == 5


# ------------------------------------------------------------------------------------------------- following, restoring


def test_followers_read_everything_each_and_then_what_is_new(door: Door) -> None:
    topic, other, writer = door.topic(3), door.topic(), door.member("writers")
    writer.commit(Work([Outgoing(topic, b"%d" % n, b"old") for n in range(9)]))
    followers = [door.member("followers", name) for name in "ab"]
    for follower in followers:
        follower.follow([topic, other])
        assert len(follower.followed(to_end=True)) == 9
    write(writer, other, b"new")
    for follower in followers:
        assert [record.value for record in follower.followed(to_end=True)] == [b"new"]
        assert list(follower.followed(to_end=True)) == []
        assert list(follower.followed(to_end=False)) == []


def test_restore_brings_the_newest_of_each_key_in_order_and_not_what_was_deleted(
    door: Door,
) -> None:
    topic, broker = door.topic(2), door.member()
    for generation in (b"1", b"2"):
        broker.commit(
            Work([Outgoing(topic, key, generation, partition=1) for key in (b"b", b"a", b"c")])
        )
    broker.commit(
        Work(
            [
                Outgoing(topic, b"c", None, partition=1),
                Outgoing(topic, b"b", b"3", partition=1),
                Outgoing(topic, b"a", b"elsewhere", partition=0),
            ]
        )
    )
    kept = list(broker.restore(Partition(topic, 1)))
    assert [(record.key, record.value) for record in kept] == [(b"a", b"2"), (b"b", b"3")]


def test_restore_of_an_empty_partition_and_of_one_that_ends_in_an_abort_come_to_an_end(
    door: Door,
) -> None:
    topic, broker = door.topic(2), door.member()
    write(broker, topic, b"valid", partition=1)
    for number in range(2):
        door.fail_next_commit(broker)
        with pytest.raises(Aborted):
            write(broker, topic, b"void", partition=number)
    assert list(broker.restore(Partition(topic, 0))) == []
    assert [record.value for record in broker.restore(Partition(topic, 1))] == [b"valid"]


def test_a_closed_broker_commits_nothing(door: Door) -> None:
    topic, broker = door.topic(), door.member()
    broker.close()
    with pytest.raises((BrokerError, RuntimeError)):
        write(broker, topic, b"void")
    assert everything(door, topic) == []


# -------------------------------------------------------------------------------- reading again, and not reading


def test_what_was_noted_beside_an_offset_is_told_to_whoever_reads_on(any_door: Door) -> None:
    topic = any_door.topic()
    where = Partition(topic, 0)
    write(any_door.member("writers"), topic, b"1", b"2")
    first = Member(any_door.member()).join(topic)
    drive(first, to=lambda: _has(first, 2))
    first.broker.commit(Work([], {where: 2}, {where: "so far"}))
    assert first.broker.places() == {where: Place(2, "so far")}
    first.broker.close()
    second = Member(any_door.member()).join(topic)
    drive(second, to=lambda: bool(second.owned))
    assert second.broker.places() == {where: Place(2, "so far")}


def test_what_was_committed_can_be_read_again_from_an_offset_or_a_time(any_door: Door) -> None:
    topic = any_door.topic()
    write(any_door.member("writers"), topic, b"1", b"2", b"3")
    member = Member(any_door.member()).join(topic)
    drive(member, to=lambda: _has(member, 3))
    where = Partition(topic, 0)
    member.broker.commit(Work([], {where: 3}))
    member.broker.reread(where, 1)
    drive(member, to=lambda: _has(member, 5))
    member.broker.reread(where, Since(0))
    drive(member, to=lambda: _has(member, 8))
    values = [record.value for record in member.records]
    assert values == [b"1", b"2", b"3", b"2", b"3", b"1", b"2", b"3"]


def test_nothing_is_read_of_what_is_held_until_it_is_let_go(any_door: Door) -> None:
    topic = any_door.topic(2)
    held, free = Partition(topic, 0), Partition(topic, 1)
    member = Member(any_door.member()).join(topic)
    drive(member, to=lambda: len(member.owned) == 2)
    member.broker.hold([held])
    writer = any_door.member("writers")
    write(writer, topic, b"a", partition=0)
    write(writer, topic, b"b", partition=1)
    drive(member, to=lambda: _has(member, 1))
    assert [record.partition for record in member.records] == [free.number]
    member.broker.hold([])
    drive(member, to=lambda: _has(member, 2))
    assert [record.value for record in member.records] == [b"b", b"a"]
