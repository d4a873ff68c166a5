"""How do records and offsets get into Kafka together or not at all? One transactional producer per process."""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from streams import logs
from streams.broker import Aborted, Outgoing, Work
from streams.errors import BrokerError
from streams.kafka.errors import QUIET, explained, is_fencing, is_permanent, translated
from streams.topics import MAX_MESSAGE_BYTES

__all__ = ["KafkaWriter", "insist"]

T = TypeVar("T")

CALL_S = 5.0  # one call
PATIENCE_S = 30.0  # its repetitions, and all calls of a commit together
_STALLED_S = 45.0  # then the watchdog bites
_STUCK_S = 15.0  # in the one call that may not mind its time-out
_OUT_OF_REACH = (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN)
_ANY_PARTITION = -1
_UNUSABLE = 3  # exit code: what the command needs is not there or not usable

_DEFAULTS = {
    "batch.size": "1000000",
    "compression.type": "lz4",
    "linger.ms": "20",  # a commit does not wait for it
    "transaction.timeout.ms": "30000",  # how long a dead process's open transaction holds readers up
}
_FIXED: Mapping[str, str | bool] = {
    "delivery.report.only.error": True,
    "enable.idempotence": "true",
    "message.max.bytes": str(MAX_MESSAGE_BYTES),
    "partitioner": "consistent_random",  # CRC-32 of the key, which contracts promise
}


def insist(call: Callable[[float], T], until: float) -> T:
    """Repeat a call while its error is retriable; a time-out is, the same call resumes where it was.

    Parameters
    ----------
    call
        Takes the seconds it may last.
    until
        On the monotonic clock; later, the error is raised.
    """
    while True:
        try:
            return call(CALL_S)
        except KafkaException as failure:
            error: KafkaError = failure.args[0]
            patient = error.retriable() or error.code() == KafkaError._TIMED_OUT
            if not patient or time.monotonic() > until:
                raise


class KafkaWriter:
    """A transactional producer with a name: whoever takes the same name later fences this one.

    Parameters
    ----------
    properties : mapping of str to str
        librdkafka's, with ``bootstrap.servers``.
    name : str
        The transactional id, the same in every life of the process.

    Raises
    ------
    BrokerError
        No broker answers, or none that accepts us.
    UsageError
        A property is wrong.
    """

    def __init__(self, properties: Mapping[str, str], name: str) -> None:
        self._brokers = properties["bootstrap.servers"]
        self._settings = {
            **QUIET,
            **_DEFAULTS,
            **properties,
            **_FIXED,
            "client.id": name,
            "transactional.id": name,
            "error_cb": self.hear,
            "on_delivery": self._delivered,
        }
        self._heard: KafkaError | None = None
        self._undelivered: KafkaError | None = None
        self._lost_sight = False  # of a broker, since the producer was made
        with translated("use Kafka", self._brokers):
            self._producer = self._new_producer()
        with self._asking("use Kafka"):
            self._producer.list_topics(timeout=2 * CALL_S)  # a wrong address is noticed here
            insist(self._producer.init_transactions, time.monotonic() + PATIENCE_S)

    def _new_producer(self) -> Producer:
        return Producer(self._settings, logger=logging.getLogger("streams.kafka.broker"))

    def _renew(self, until: float) -> None:
        """Go on with another producer after a broker was out of reach.

        One that knew the group's coordinator before may wait for ever for a connection that nobody makes any more
        (librdkafka issue 5511). Between transactions nothing is lost with it.
        """
        self._lost_sight = False
        self._producer = self._new_producer()
        insist(self._producer.init_transactions, until)

    def partitions(self) -> dict[str, int]:
        """Every topic that can be seen, and how many partitions it has."""
        with self._asking("list topics"):  # all of them: asking for one could create it
            topics = self._producer.list_topics(timeout=2 * CALL_S).topics
        return {name: len(topic.partitions) for name, topic in topics.items()}

    def write(self, work: Work, membership: object) -> None:
        """Write records and offsets in one transaction.

        Parameters
        ----------
        work
            What to write.
        membership
            The consumer's group metadata, which the broker checks; unused without offsets.

        Raises
        ------
        Aborted
            Nothing was written.
        Fenced
            Somebody else has our name.
        BrokerError
            The outcome is unknown, or it would fail again.
        """
        with _watched(_STALLED_S), self._asking("commit"):
            until = time.monotonic() + PATIENCE_S
            self._undelivered = None
            self._producer.poll(0)  # what was heard since the last commit
            if self._lost_sight:
                self._renew(until)
            try:
                self._transact(work, membership, until)
            except KafkaException as failure:
                self._after(failure, until)

    def _transact(self, work: Work, membership: object, until: float) -> None:
        self._producer.begin_transaction()
        for record in work.records:
            self._produce(record, until)
        if work.offsets:
            offsets = [
                TopicPartition(*where, offset, work.notes[where])
                if where in work.notes
                else TopicPartition(*where, offset)
                for where, offset in work.offsets.items()
            ]
            send = self._producer.send_offsets_to_transaction
            with _watched(_STUCK_S):
                insist(lambda timeout_s: send(offsets, membership, timeout_s), until)
        insist(self._producer.commit_transaction, until)

    def _produce(self, record: Outgoing, until: float) -> None:
        partition = _ANY_PARTITION if record.partition is None else record.partition
        headers: list[tuple[str, str | bytes | None]] | None = list(record.headers) or None
        while True:
            try:
                self._producer.produce(
                    record.topic, record.value, record.key, partition, headers=headers
                )
                return
            except BufferError:  # a very large work: let some of it out first
                if time.monotonic() > until:
                    message = "cannot commit: Kafka takes no more records"
                    raise BrokerError(message, retry=True) from None
                self._producer.poll(0.05)

    def _after(self, failure: KafkaException, until: float) -> None:
        """End a transaction that failed, and say what that means."""
        error: KafkaError = failure.args[0]
        cause = (
            self._undelivered or error
        )  # the records that could not be delivered, if that was it
        if is_fencing(error) or error.fatal():
            raise failure
        if not error.txn_requires_abort() and not is_permanent(cause):
            raise failure  # the outcome is the broker's; only a new process finds out
        insist(self._producer.abort_transaction, until)
        if is_permanent(cause):
            raise explained(cause, "write", self._brokers) from failure
        raise Aborted(cause.str()) from failure

    def close(self) -> None:
        with suppress(KafkaException):  # fenced, or out of reach: what was not committed is void
            self._producer.close()

    def _asking(self, doing: str) -> AbstractContextManager[None]:
        return translated(doing, self._brokers, self.overheard)

    def overheard(self) -> KafkaError | None:
        """The last thing the client said on the side."""
        self._producer.poll(0)  # this is when it speaks
        return self._heard

    def hear(self, error: KafkaError) -> None:
        """The client says something on the side."""
        if self._heard is None or self._heard.code() != error.code():
            logs.debug("client.failed", code=error.name(), said=error.str())
        self._heard = error
        if error.code() in _OUT_OF_REACH:
            self._lost_sight = True

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None and self._undelivered is None:
            self._undelivered = error


@contextmanager
def _watched(patience_s: float) -> Iterator[None]:
    """End the process when a commit does not end.

    When a broker restarts in the middle of one, `send_offsets_to_transaction` can block for many minutes whatever its
    time-out says (librdkafka issues 5456 and 5511), and nothing inside this process can end that call.
    """

    def bite() -> None:
        last_words = f"a commit did not end within {patience_s:.0f} s: ending the process\n"
        os.write(2, last_words.encode())
        os._exit(_UNUSABLE)

    dog = threading.Timer(patience_s, bite)
    dog.daemon = True
    dog.start()
    try:
        yield
    finally:
        dog.cancel()
