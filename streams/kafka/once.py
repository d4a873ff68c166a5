"""How is something written together or not at all, by one writer at a time? A named transactional producer."""

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from confluent_kafka import KafkaException, Producer

from streams.broker import Outgoing
from streams.kafka.errors import QUIET, translated
from streams.kafka.writer import insist
from streams.topics import MAX_MESSAGE_BYTES

__all__ = ["Once"]

PATIENCE_S = 30.0
_ANY_PARTITION = -1


class Once:
    """Writes in transactions under a name that only one writer has: whoever comes later ends what came before.

    Parameters
    ----------
    properties : librdkafka's
    name : the transactional id

    Raises
    ------
    BrokerError
        No broker answers, or it refuses.
    """

    def __init__(self, properties: Mapping[str, str], name: str) -> None:
        self._brokers = properties.get("bootstrap.servers", "")
        with translated("write", self._brokers):
            self._producer = Producer(
                {
                    **QUIET,
                    "compression.type": "lz4",
                    **properties,
                    "client.id": "leeway-command",
                    "transactional.id": name,
                    "transaction.timeout.ms": "60000",
                    "message.max.bytes": str(MAX_MESSAGE_BYTES),
                },
                logger=logging.getLogger("streams.kafka.broker"),
            )
            insist(self._producer.init_transactions, time.monotonic() + PATIENCE_S)

    def write(self, records: Sequence[Outgoing]) -> None:
        """All of them are written when this returns; none of them when it raises.

        Raises
        ------
        BrokerError
            The brokers refuse; `Fenced` where another writer of this name has begun.
        """
        try:
            with translated("write", self._brokers):
                self._producer.begin_transaction()
                for record in records:
                    partition = _ANY_PARTITION if record.partition is None else record.partition
                    self._producer.produce(
                        record.topic,
                        record.value,
                        record.key,
                        partition,
                        headers=list(record.headers),
                    )
                    self._producer.poll(0)
                insist(self._producer.commit_transaction, time.monotonic() + PATIENCE_S)
        except BaseException:
            with suppress(KafkaException):
                self._producer.abort_transaction(PATIENCE_S)
            raise
