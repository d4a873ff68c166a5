"""How are single records read again, by their place on the log? In no group, committed ones only."""

import logging
import time
from collections.abc import Mapping, Sequence

from confluent_kafka import Consumer, KafkaError, TopicPartition

from streams.broker import Partition, Record
from streams.errors import BrokerError
from streams.kafka.errors import is_permanent
from streams.kafka.reader import FIXED, OF_GROUPS, record_of

_NEAR = 32  # records: what lies between is read, and dropped, rather than skipped
_POLL_S = 0.1


class PlaceReader:
    """Reads records whose place is known; one thread at a time.

    Parameters
    ----------
    settings : mapping
        librdkafka's properties; what belongs to groups is left out.
    name : str
        Shows up in the broker's logs and quotas.
    """

    def __init__(self, settings: Mapping[str, object], name: str) -> None:
        kept = {k: v for k, v in settings.items() if not k.startswith(OF_GROUPS)}
        wanted = {
            "group.id": name,
            "client.id": name,
            "auto.offset.reset": "error",  # what is not there must not be looked for elsewhere
            "fetch.wait.max.ms": 20,
            "fetch.message.max.bytes": 256
            * 1024,  # of a partition at a time: one record is asked for
            "queued.min.messages": 1,
            "fetch.queue.backoff.ms": 1,  # else every place after the first waits for a second
            "queued.max.messages.kbytes": 4096,
            "fetch.error.backoff.ms": 100,
        }
        self._consumer = Consumer(
            {**kept, **FIXED, **wanted}, logger=logging.getLogger("streams.kafka.broker")
        )

    def read(
        self, places: Sequence[tuple[Partition, int]], within_s: float
    ) -> dict[tuple[Partition, int], Record | None]:
        """The records at these places; None: the log has it no longer.

        Raises
        ------
        BrokerError
            They did not come within this time.
        """
        until = time.monotonic() + within_s
        found: dict[tuple[Partition, int], Record | None] = {}
        reading: Partition | None = None
        next_offset, ahead = 0, None
        try:
            for partition, offset in sorted(set(places)):
                if partition != reading or offset > next_offset + _NEAR:
                    self._consumer.assign([TopicPartition(*partition, offset)])
                    reading, next_offset, ahead = partition, offset, None
                while reading is not None and next_offset <= offset:
                    ahead = self._next(until)
                    if ahead is None:
                        reading = None  # reading stopped here; what follows is looked for anew
                    else:
                        next_offset = ahead.offset + 1
                there = ahead is not None and ahead.offset == offset
                found[partition, offset] = ahead if there else None
        finally:
            self._consumer.unassign()
        return found

    def _next(self, until: float) -> Record | None:
        """The next record of the partition that is assigned; None: there is none."""
        while time.monotonic() < until:
            message = self._consumer.poll(_POLL_S)
            if message is None:
                continue
            error = message.error()
            if error is None:
                return record_of(message)
            if error.code() in (KafkaError._PARTITION_EOF, KafkaError._AUTO_OFFSET_RESET):
                return None
            if error.fatal() or is_permanent(error):
                raise BrokerError(f"the log cannot be read: {error.str()}")
        raise BrokerError("the log did not answer in time", retry=True)

    def close(self) -> None:
        """Let go of the connections."""
        self._consumer.close()
