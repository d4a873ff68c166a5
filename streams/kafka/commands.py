"""How do commands read and write Kafka? Outside any group: a topic's past, what is new in it, and single records.

Stages never come here; they read and write through `streams.kafka.broker`.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self
from zlib import crc32

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)

from streams import logs
from streams.broker import Outgoing, Partition, Record
from streams.errors import BrokerError, UsageError
from streams.kafka.admin import topic_partitions
from streams.kafka.errors import QUIET, explained, is_permanent, translated
from streams.kafka.reader import record_of

__all__ = ["NOTHING_YET", "Tail", "Writer", "past"]

_LOG = logging.getLogger("streams.kafka.broker")
_AT_ONCE = 5000
_WAIT_S = 0.2
_STUCK_S = 60.0
_FLUSH_S = 30.0
_ASKING_S = 10.0
_ANY_PARTITION = -1
NOTHING_YET = 2**62  # later than anything


class Tail:
    """Reads topics from their beginning, committed records only, and then whatever is new.

    Parameters
    ----------
    since_ms
        Begin with what was written at this time or later, by the log's clock; None: with everything. `NOTHING_YET`:
        with what is written after this was made.
    key
        Read only the partitions that hold records of this key; None: all of them.

    Raises
    ------
    UsageError
        A topic does not exist.
    BrokerError
        No broker answers, or none that accepts us.
    """

    def __init__(
        self,
        properties: Mapping[str, str],
        topics: Sequence[str],
        *,
        since_ms: int | None = None,
        key: str | None = None,
    ) -> None:
        self._brokers = properties.get("bootstrap.servers", "")
        there = topic_partitions(properties)
        if lacking := [topic for topic in topics if topic not in there]:
            raise UsageError(f"topic {lacking[0]} does not exist")
        self._unread = {
            Partition(t, one)
            for t in topics
            for one in (range(there[t]) if key is None else [crc32(key.encode()) % there[t]])
        }
        self._ends: dict[Partition, int] = {}  # as they were when the first record of each was read
        self._doing = f"read {', '.join(topics)}"
        with translated(self._doing, self._brokers):
            self._consumer = Consumer(
                {
                    **QUIET,
                    "fetch.wait.max.ms": "100",
                    **properties,
                    "group.id": "leeway-command",  # never joined, nothing committed
                    "client.id": "leeway-command",
                    "enable.auto.commit": "false",
                    "auto.offset.reset": "earliest",
                    "enable.partition.eof": "true",
                    "isolation.level": "read_committed",
                    "error_cb": _quiet,
                },
                logger=_LOG,
            )
            self._consumer.assign(self._beginnings(since_ms))

    def _beginnings(self, since_ms: int | None) -> list[TopicPartition]:
        if since_ms is None:
            return [TopicPartition(*p, OFFSET_BEGINNING) for p in self._unread]
        asked = [TopicPartition(*p, since_ms) for p in self._unread]
        found = self._consumer.offsets_for_times(asked, timeout=_ASKING_S)
        for one in found:
            if one.error is not None:
                raise KafkaException(one.error)
            if one.offset < 0:  # nothing is that late: asked for now, so that nothing can slip by
                _, one.offset = self._consumer.get_watermark_offsets(one, timeout=_ASKING_S)
        return found

    @property
    def at_end(self) -> bool:
        """Whether every partition was read to an end that it had meanwhile, however fast more is written to it."""
        return not self._unread

    def read(self, timeout_s: float = _WAIT_S) -> list[Record]:
        """What comes within the time; perhaps nothing."""
        with translated(self._doing, self._brokers):
            messages = self._consumer.consume(_AT_ONCE, timeout_s)
        return [record_of(message) for message in messages if self._usable(message)]

    def _usable(self, message: Message) -> bool:
        error = message.error()
        if error is None:
            if self._unread:
                self._mark(Partition(message.topic() or "", message.partition() or 0), message)
            return True
        if error.code() == KafkaError._PARTITION_EOF:
            self._unread.discard(Partition(message.topic() or "", message.partition() or 0))
        elif error.fatal() or is_permanent(error):
            raise explained(error, self._doing, self._brokers)
        return False

    def _mark(self, partition: Partition, message: Message) -> None:
        """The client tells of an end only when nothing comes for a while; a busy partition has none in this sense."""
        if partition in self._unread:
            if partition not in self._ends:
                place = TopicPartition(*partition)
                _, self._ends[partition] = self._consumer.get_watermark_offsets(place, cached=True)
            if (message.offset() or 0) + 1 >= self._ends[partition]:
                self._unread.discard(partition)

    def close(self) -> None:
        self._consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def past(
    properties: Mapping[str, str],
    topics: Sequence[str],
    *,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[list[Record]]:
    """Everything that is on these topics now, in chunks; order holds within a partition.

    Raises
    ------
    UsageError
        A topic does not exist.
    BrokerError
        No broker answers, or nothing has come for a minute.
    """
    with Tail(properties, topics) as tail:
        moved = clock()
        while not tail.at_end:
            if records := tail.read():
                yield records
                moved = clock()
            elif clock() - moved > _STUCK_S:
                raise BrokerError(f"cannot read {', '.join(topics)}: nothing has come for a minute")


class Writer:
    """Writes records with an idempotent producer; `flush` returns when all of them are acknowledged.

    Records of a given key go where Leeway's other writers put them (CRC-32 of the key).
    """

    def __init__(self, properties: Mapping[str, str]) -> None:
        self._brokers = properties.get("bootstrap.servers", "")
        self._failed: KafkaError | None = None
        with translated("write", self._brokers):
            self._producer = Producer(
                {
                    **QUIET,
                    "linger.ms": "20",
                    "compression.type": "lz4",
                    "queue.buffering.max.messages": "500000",
                    **properties,
                    "client.id": "leeway-command",
                    "enable.idempotence": "true",
                    "partitioner": "consistent_random",
                    "error_cb": _quiet,
                },
                logger=_LOG,
            )

    def write(self, record: Outgoing) -> None:
        """Hand a record over; it may wait in memory."""
        partition = _ANY_PARTITION if record.partition is None else record.partition
        with translated(f"write {record.topic}", self._brokers):
            while True:
                try:
                    self._producer.produce(
                        record.topic,
                        record.value,
                        record.key,
                        partition,
                        headers=list(record.headers),
                        on_delivery=self._delivered,
                    )
                    break
                except BufferError:
                    self._producer.poll(0.1)
            self._producer.poll(0)

    def flush(self) -> None:
        """Wait until everything is written.

        Raises
        ------
        BrokerError
            Something was refused, or nobody answers.
        """
        waiting = self._producer.flush(_FLUSH_S)
        if self._failed is not None:
            raise explained(self._failed, "write", self._brokers)
        if waiting:
            raise BrokerError(
                f"cannot write: no Kafka broker answers at {self._brokers}", retry=True
            )

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        self._failed = self._failed or error


def _quiet(error: KafkaError) -> None:
    logs.debug("kafka.said", error=error.str())
