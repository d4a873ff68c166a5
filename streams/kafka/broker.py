"""How do stages read from and write to Kafka? `KafkaBroker`: one consumer and one transactional producer.

Three rules carry exactly-once, and the code below is arranged around them:

* What a stage is handed and what is later committed agree: messages collected while partitions changed hands are
  thrown away where they no longer belong to us, and after an abort the reader goes back to the committed offsets.
* Nobody commits for a group it is no longer in: the group's metadata go with every commit, and a member whose name
  changed behind its back (its session ended) does not commit at all.
* Nobody restores a state that a predecessor may still be writing: first the group's offsets are stable, which no open
  transaction leaves them, then the state is read up to what had been written by then.
"""

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from operator import itemgetter
from threading import Event
from time import monotonic
from typing import Any, cast

from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from streams import logs
from streams.broker import (
    Aborted,
    Batch,
    Broker,
    Listener,
    Partition,
    Place,
    Polled,
    Record,
    Since,
    Work,
)
from streams.errors import BrokerError, UsageError
from streams.kafka.admin import stable_places
from streams.kafka.ends import Ends
from streams.kafka.errors import QUIET, bootstrap, explained, is_permanent, translated
from streams.kafka.reader import KafkaReader, record_of
from streams.kafka.writer import PATIENCE_S, KafkaWriter

__all__ = ["KafkaBroker"]

_DEFAULTS = {
    "auto.offset.reset": "earliest",
    "fetch.message.max.bytes": str(2 * 1024 * 1024),
    "fetch.min.bytes": "65536",  # fewer and fuller fetches while there is a backlog,
    "fetch.wait.max.ms": "100",  # at this price while there is none
    "fetch.queue.backoff.ms": "5",  # default 1000: a full queue would pause reading for a second
    "partition.assignment.strategy": "cooperative-sticky",
    "session.timeout.ms": "10000",
    "heartbeat.interval.ms": "3000",
}
_CLASSIC_ONLY = ("partition.assignment.strategy", "session.timeout.ms", "heartbeat.interval.ms")
_FIXED = {
    "enable.auto.commit": "false",
    "enable.auto.offset.store": "false",
    "enable.partition.eof": "true",
    "isolation.level": "read_committed",
}
_FATAL = frozenset(
    {KafkaError._FATAL, KafkaError._AUTHENTICATION, KafkaError.INCONSISTENT_GROUP_PROTOCOL}
)
# Called for every event through `map`, without a frame of Python in between. Only errors have no topic or offset.
_error = Message.error
_topic = cast(Callable[[Message], str], Message.topic)
_partition = cast(Callable[[Message], int], Message.partition)
_offset = cast(Callable[[Message], int], Message.offset)
_value = Message.value
_timestamp = Message.timestamp
_time_of = itemgetter(1)


class KafkaBroker(Broker):
    """One member of a group, with a producer that belongs to it alone.

    Parameters
    ----------
    properties : mapping of str to str
        librdkafka's, by their own names; at least ``bootstrap.servers``. Those that exactly-once rests on cannot be
        changed. ``group.protocol=consumer`` chooses the rebalance protocol of Kafka 4 (KIP-848).
    group : str
        The consumer group, and the first half of the transactional id.
    instance : str
        Names this process within the group, the same after a restart: it ends what the last life left open. A second
        process with the same name fences the first.

    Raises
    ------
    BrokerError
        No broker answers, or none that accepts us.
    UsageError
        A property is wrong.
    """

    def __init__(self, properties: Mapping[str, str], group: str, instance: str) -> None:
        self._brokers = bootstrap(properties)
        self._properties, self._group = dict(properties), group
        self._name = f"{group}.{instance}"
        reset = properties.get("auto.offset.reset", "earliest")
        self._beginning = OFFSET_END if reset in ("latest", "largest", "end") else OFFSET_BEGINNING
        self._consumer: Consumer | None = None
        self._listener: Listener | None = None
        self._single: str | None = None  # the topic, when only one is subscribed
        self._member: str | None = None  # our name in the group when it last told us anything
        self._reader: KafkaReader | None = None
        self._admin_client: AdminClient | None = None

        self._owned: dict[Partition, None] = {}
        self._ends = Ends()
        self._uncommitted: set[Partition] = set()  # the group has no offset, and nothing was read
        self._first: dict[Partition, int] = {}  # nor here, but reading began here
        self._places: dict[Partition, Place] = {}  # of what is owned and was committed
        self._held: frozenset[Partition] = frozenset()
        self._fresh: set[Partition] = set()  # assigned since; whether they are paused nobody says

        self._gained: dict[Partition, None] = {}  # in this poll; the listener hears at its end
        self._left: set[Partition] = set()  # in this poll
        self._must_rewind = self._closing = False
        self._failure: BaseException | None = None  # of a callback, for poll to raise

        self._writer = KafkaWriter(properties, self._name)

    # --------------------------------------------------------------------------------------------------- reading

    def subscribe(self, topics: Sequence[str], listener: Listener) -> None:
        for topic in topics:
            self.partition_count(topic)
        self._listener = listener
        self._single = topics[0] if len(topics) == 1 else None
        settings = {**QUIET, **_DEFAULTS, **self._properties, **_FIXED}
        if settings.get("group.protocol") == "consumer":
            for name in _CLASSIC_ONLY:  # the broker decides these
                if name not in self._properties:
                    del settings[name]
        names = {"group.id": self._group, "client.id": self._name}
        with self._asking("join the group"):
            self._consumer = Consumer(
                {**settings, **names, "error_cb": self._hear},
                logger=logging.getLogger("streams.kafka.broker"),
            )
            self._consumer.subscribe(
                list(topics),
                on_assign=self._assigned,
                on_revoke=self._revoked,
                on_lost=self._lost,
            )

    def poll(self, limit: int, timeout_s: float) -> Polled:
        consumer = self._consumer
        if consumer is None:
            return Polled()
        with self._asking("read"):
            messages = consumer.consume(limit, timeout_s)
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        errors = list(map(_error, messages))
        if any(errors):
            messages = self._sift(messages, errors)
        if self._left or self._gained or self._must_rewind:
            with self._asking("read the group's offsets"):
                messages = self._after_rebalance(messages)
        batches = self._batches(messages) if messages else ()
        return Polled(batches, self._ends.standing(consumer, self._owned))

    def _batches(self, messages: list[Message]) -> tuple[Batch, ...]:
        if self._single is not None:
            return (self._batch(self._single, messages),)
        names = list(map(_topic, messages))
        if names.count(names[0]) == len(names):
            return (self._batch(names[0], messages),)
        by_topic: dict[str, list[Message]] = {}
        for name, message in zip(names, messages, strict=True):
            by_topic.setdefault(name, []).append(message)
        return tuple(self._batch(name, several) for name, several in by_topic.items())

    def _batch(self, topic: str, messages: list[Message]) -> Batch:
        partitions, offsets = list(map(_partition, messages)), list(map(_offset, messages))
        last = dict(zip(partitions, offsets, strict=True))
        for number, offset in last.items():
            partition = Partition(topic, number)
            self._ends.read(partition, offset)
            if partition in self._uncommitted:
                self._uncommitted.remove(partition)
                self._first[partition] = offsets[partitions.index(number)]
        return Batch(
            topic,
            list(map(_value, messages)),
            partitions,
            offsets,
            list(map(_time_of, map(_timestamp, messages))),
            _Rows(messages),
        )

    def _sift(self, messages: list[Message], errors: Sequence[KafkaError | None]) -> list[Message]:
        """Take out of what a poll brought what is no message: ends of partitions, and trouble."""
        good = []
        for message, error in zip(messages, errors, strict=True):
            if error is None:
                good.append(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                if (partition := _named(message)) in self._owned:
                    self._ends.saw(partition, message.offset() or 0)
            elif error.fatal() or error.code() in _FATAL or is_permanent(error):
                raise explained(error, f"read {message.topic() or 'from Kafka'}", self._brokers)
            else:  # the client recovers by itself
                logs.debug("consumer.failed", code=error.name())
        return good

    def _hear(self, error: KafkaError) -> None:
        """The client says something on the side."""
        self._writer.hear(error)
        self._ends.hear(error)

    # ------------------------------------------------------------------------------------------------ rebalances

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._member = consumer.memberid()
        self._fresh.update(map(_named, partitions))
        for partition in map(_named, partitions):
            self._owned[partition] = self._gained[partition] = None

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._leave(partitions, lambda listener, known: listener.partitions_leaving(known))

    def _lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._leave(partitions, self._tell_lost)

    def _tell_lost(self, listener: Listener, partitions: Sequence[Partition]) -> None:
        listener.partitions_lost(partitions)
        self._must_rewind = True  # the listener forgot all it had, also of partitions that stay

    def _leave(
        self,
        partitions: list[TopicPartition],
        tell: Callable[[Listener, Sequence[Partition]], None],
    ) -> None:
        leaving = [partition for partition in map(_named, partitions) if partition in self._owned]
        known = [partition for partition in leaving if partition not in self._gained]
        try:
            if known and self._listener is not None and not self._closing and self._failure is None:
                tell(self._listener, known)
        except BaseException as failure:  # noqa: BLE001 - raised by poll; the client would lose its messages over it
            self._failure = failure
        for partition in leaving:
            self._left.add(partition)
            for known_here in (self._owned, self._gained, self._first, self._places):
                known_here.pop(partition, None)
            self._ends.forget(partition)
            self._uncommitted.discard(partition)

    def _after_rebalance(self, messages: list[Message]) -> list[Message]:
        """What of a poll's messages still counts once partitions have come and gone, or work was forgotten."""
        fresh = [partition for partition in self._gained if partition not in self._left]
        again = list(self._owned) if self._must_rewind else list(self._gained)
        again = [partition for partition in again if partition not in fresh]
        committed = self._committed([*fresh, *again])
        counts = fresh if self._must_rewind else self._owned.keys() - set(again)
        messages = [message for message in messages if _named(message) in counts]
        for partition in again:
            self._rewind(partition, committed.get(partition))
        self._places.update(committed)
        self._uncommitted.update(partition for partition in fresh if partition not in committed)
        gained, self._gained, self._left, self._must_rewind = list(self._gained), {}, set(), False
        if gained and self._listener is not None:
            self._listener.partitions_gained(gained)
        return messages

    def _committed(self, partitions: Sequence[Partition]) -> dict[Partition, Place]:
        if not partitions:
            return {}
        until = monotonic() + 2 * PATIENCE_S
        settings = {**QUIET, **self._properties}
        return stable_places(settings, self._group, partitions, until)

    def _rewind(self, partition: Partition, committed: Place | None) -> None:
        """Go back to what is committed, or to where reading began if nothing is."""
        self._ends.forget(partition)
        where = committed.offset if committed else self._first.get(partition, self._beginning)
        if self._consumer is not None:
            self._seek(self._consumer, TopicPartition(*partition, where), monotonic() + PATIENCE_S)

    def _seek(self, consumer: Consumer, where: TopicPartition, until: float) -> None:
        """Seek; a partition assigned a moment ago refuses until its reading has begun."""
        while True:
            try:
                consumer.seek(where)
                return
            except KafkaException as failure:
                if failure.args[0].code() != KafkaError._STATE or monotonic() > until:
                    raise
            Event().wait(0.02)

    # -------------------------------------------------------------------------------- reading again, and not reading

    def places(self) -> Mapping[Partition, Place]:
        return dict(self._places)

    def reread(self, partition: Partition, start: int | Since) -> None:
        consumer = self._consumer
        if consumer is None:
            return
        self._ends.forget(partition)
        with self._asking(f"read {partition.topic} again"):
            low, high = consumer.get_watermark_offsets(TopicPartition(*partition), PATIENCE_S)
            if isinstance(start, Since):
                asked = TopicPartition(*partition, start.time_ms)
                (found,) = consumer.offsets_for_times([asked], PATIENCE_S)
                start = found.offset if found.offset >= 0 else high
            where = TopicPartition(*partition, max(start, low))
            self._seek(consumer, where, monotonic() + PATIENCE_S)

    def hold(self, partitions: Collection[Partition]) -> None:
        wanted = frozenset(self._owned.keys() & set(partitions))
        if self._consumer is None or (wanted == self._held and not self._fresh):
            return
        fresh = self._fresh & self._owned.keys()
        with self._asking("pause reading"):
            if more := sorted(wanted - self._held | wanted & fresh):
                self._consumer.pause([TopicPartition(*partition) for partition in more])
            if fewer := sorted((self._held & self._owned.keys() | fresh) - wanted):
                self._consumer.resume([TopicPartition(*partition) for partition in fewer])
        self._held = wanted
        self._fresh.clear()

    # --------------------------------------------------------------------------------------------------- following

    def follow(self, topics: Sequence[str]) -> None:
        wanted = [Partition(t, n) for t in topics for n in range(self.partition_count(t))]
        if self._reader is not None:
            raise BrokerError("follow is called once, with all topics")
        with self._asking("follow " + ", ".join(topics)):
            self._reader = self._new_reader("follow", wanted, wait_ms=100)

    def followed(self, *, to_end: bool) -> Sequence[Record]:
        if self._reader is None:
            return ()
        with self._asking("follow"):
            return self._reader.read_to_end() if to_end else self._reader.read()

    def restore(self, partition: Partition) -> Iterator[Record]:
        with self._asking(f"restore {partition.topic}"):
            reader = self._new_reader("restore", [partition], wait_ms=10)
            try:
                records = reader.read_to_end(wait_for_open_transactions=True)
            finally:
                reader.close()
        newest: dict[bytes | None, Record] = {}
        for record in records:
            newest.pop(record.key, None)  # so that the order is that of the newest records
            newest[record.key] = record
        yield from (record for record in newest.values() if record.value is not None)

    def _new_reader(
        self, purpose: str, partitions: Sequence[Partition], *, wait_ms: int
    ) -> KafkaReader:
        settings = {**QUIET, **self._properties, "error_cb": self._writer.hear}
        return KafkaReader(settings, self._admin(), f"{self._group}.{purpose}", partitions, wait_ms)

    def _admin(self) -> AdminClient:
        if self._admin_client is None:
            settings: dict[str, Any] = {**QUIET, **self._properties}
            self._admin_client = AdminClient(
                settings, logger=logging.getLogger("streams.kafka.broker")
            )
        return self._admin_client

    def partition_count(self, topic: str) -> int:
        topics = self._writer.partitions()
        if topic not in topics:
            raise UsageError(
                f"topic {topic} does not exist at {self._brokers}: "
                "create it, or correct its name in the lifecycle"
            )
        return topics[topic]

    # ----------------------------------------------------------------------------------------------------- writing

    def commit(self, work: Work) -> None:
        if not work.records and not work.offsets:
            return
        try:
            self._writer.write(work, self._membership() if work.offsets else None)
        except Aborted:
            self._must_rewind = True  # in the next poll, when rebalances have been heard of
            raise
        for partition, offset in work.offsets.items():
            self._places[partition] = Place(offset, work.notes.get(partition, ""))
            self._uncommitted.discard(partition)
            self._first.pop(partition, None)

    def _membership(self) -> object:
        """What proves to the broker that we still belong to the group.

        After a session has ended the client forgets its name before it tells us, and the broker accepts offsets of
        the nameless without proof. So the name is compared after the proof was taken.
        """
        consumer = self._consumer
        if consumer is None:
            raise BrokerError("offsets are committed by who subscribes; this broker does not")
        membership: object = consumer.consumer_group_metadata()
        if not self._member or consumer.memberid() != self._member:
            raise Aborted("the group went on without us")
        return membership

    def close(self) -> None:
        self._closing = True
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        self._writer.close()

    def _asking(self, doing: str) -> AbstractContextManager[None]:
        return translated(doing, self._brokers, self._writer.overheard)


class _Rows:
    """The records of a batch, made when asked for."""

    __slots__ = ("_messages",)

    def __init__(self, messages: Sequence[Message]) -> None:
        self._messages = messages

    def __getitem__(self, index: int) -> Record:
        return record_of(self._messages[index])


def _named(where: Message | TopicPartition) -> Partition:
    """The partition of a message or of librdkafka's own TopicPartition."""
    if isinstance(where, Message):
        return Partition(where.topic() or "", where.partition() or 0)
    return Partition(where.topic, where.partition)
