"""How are partitions read in full, outside any group? For what every process follows, and for states to restore."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from streams.broker import Partition, Record
from streams.errors import BrokerError
from streams.formats.modes import binary
from streams.kafka.errors import is_permanent

__all__ = ["KafkaReader", "record_of"]

_CALL_S = 10.0
_ASKING_S = 30.0  # where partitions end, while their leaders change
_PAUSE_S = 0.1
_STUCK_S = 120.0  # longer than any transaction may stay open
_SETTLE_S = 1.0  # longer than readers need to see what was committed
_AT_ONCE = 2000
_MOVED = frozenset(
    {
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError._TIMED_OUT,
        KafkaError._TRANSPORT,
    }
)
OF_GROUPS = ("group.", "partition.assignment.", "session.", "heartbeat.")
FIXED = {
    "auto.offset.reset": "earliest",
    "enable.auto.commit": "false",
    "enable.auto.offset.store": "false",
    "enable.partition.eof": "true",
    "isolation.level": "read_committed",
}


def record_of(message: Message) -> Record:
    """A record as stages see it."""
    headers: Any = message.headers()
    found = Record(
        message.topic() or "",
        message.partition() or 0,
        message.offset() or 0,
        message.timestamp()[1],
        message.key(),
        message.value(),
        tuple((name, _bytes(content)) for name, content in headers or ()),
    )
    return binary(found)


def _bytes(content: str | bytes | None) -> bytes:
    return content.encode() if isinstance(content, str) else content or b""


class KafkaReader:
    """Reads partitions from their beginning, committed records only, in no group and on no schedule.

    Parameters
    ----------
    settings : mapping of str to object
        librdkafka's; what belongs to groups is left out.
    admin : AdminClient
        Knows where partitions end.
    name : str
        Shows up in the broker's logs and quotas.
    partitions : sequence of Partition
        What to read.
    wait_ms : int
        How long the broker may hold an answer back while there is nothing new. Only such an answer shows the end of a
        partition, so this is the price of finding it, or of asking all the time.
    """

    def __init__(
        self,
        settings: Mapping[str, object],
        admin: AdminClient,
        name: str,
        partitions: Sequence[Partition],
        wait_ms: int,
    ) -> None:
        kept = {k: v for k, v in settings.items() if not k.startswith(OF_GROUPS)}
        self._consumer = Consumer(
            {
                **kept,
                **FIXED,
                "fetch.wait.max.ms": wait_ms,
                "group.id": name,
                "client.id": name,
            },
            logger=logging.getLogger("streams.kafka.broker"),
        )
        # Else the client looks for the leaders once a second, and asks where the beginning is after half of one.
        self._consumer.list_topics(timeout=_CALL_S)
        self._admin = admin
        self._positions = dict.fromkeys(partitions, 0)
        self._consumer.assign([TopicPartition(*p, OFFSET_BEGINNING) for p in partitions])

    def read(self) -> list[Record]:
        """What has arrived since the last call; does not wait."""
        records: list[Record] = []
        while messages := self._consumer.consume(_AT_ONCE, 0.0):
            self._take(messages, records)
        return records

    def read_to_end(
        self,
        *,
        wait_for_open_transactions: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> list[Record]:
        """Everything that was written before this call and is not read yet.

        Parameters
        ----------
        wait_for_open_transactions
            Wait until nothing that was written so far is undecided. Else an open transaction is what others have
            yet to conclude, and reading ends before it.

        Raises
        ------
        BrokerError
            Nothing has come for two minutes.
        """
        records: list[Record] = []
        ends = self._ask_ends(IsolationLevel.READ_UNCOMMITTED)
        moved = clock()
        while any(self._positions[partition] < end for partition, end in ends.items()):
            if messages := self._consumer.consume(_AT_ONCE, 0.05):
                self._take(messages, records)
                moved = clock()
            elif clock() - moved > _STUCK_S:
                where = ", ".join(
                    f"{p.topic}/{p.number}" for p in ends if self._positions[p] < ends[p]
                )
                raise BrokerError(
                    f"cannot read {where} to its end: nothing has come for two minutes", retry=True
                )
            elif not wait_for_open_transactions and clock() - moved > _SETTLE_S:
                ends = self._ask_ends(IsolationLevel.READ_COMMITTED)
        return records

    def close(self) -> None:
        self._consumer.close()

    def _take(self, messages: Sequence[Message], records: list[Record]) -> None:
        for message in messages:
            error = message.error()
            if error is None:
                record = record_of(message)
                records.append(record)
                self._positions[Partition(record.topic, record.partition)] = record.offset + 1
            elif error.code() == KafkaError._PARTITION_EOF:
                partition = Partition(message.topic() or "", message.partition() or 0)
                self._positions[partition] = message.offset() or 0
            elif error.fatal() or is_permanent(error):
                raise KafkaException(error)

    def _ask_ends(self, isolation: IsolationLevel) -> dict[Partition, int]:
        """Where the partitions end now, whoever leads them now."""
        until = time.monotonic() + _ASKING_S
        while True:
            try:
                return self._ends(isolation)
            except KafkaException as failure:
                if failure.args[0].code() not in _MOVED or time.monotonic() > until:
                    raise
            # The client goes on asking whom it knows until it is told to look (librdkafka 2.16).
            with suppress(KafkaException):
                self._admin.list_topics(timeout=_CALL_S)
            threading.Event().wait(_PAUSE_S)

    def _ends(self, isolation: IsolationLevel) -> dict[Partition, int]:
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        asked = {TopicPartition(*partition): latest for partition in self._positions}
        answers = self._admin.list_offsets(
            asked, isolation_level=isolation, request_timeout=_CALL_S
        )
        return {
            Partition(where.topic, where.partition): answer.result().offset
            for where, answer in answers.items()
        }
