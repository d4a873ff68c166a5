"""Which partitions were read to their end? Only those of which their broker still says so.

The client tells once that an end was reached, and remembers how long a partition was when it last heard of it. While no
broker answers that is no knowledge: what was written meanwhile is unread, and its partition is not silent.
"""

from collections.abc import Container
from time import monotonic

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from streams.broker import Partition

_GONE = frozenset({KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT})
_ASK_EVERY_S = 1.0  # while there is doubt
_PATIENCE_S = 0.5  # with a broker that is asked


class Ends:
    """The ends that were seen, until records come after them."""

    def __init__(self) -> None:
        self._of: dict[Partition, int] = {}
        self._doubted, self._answered, self._ask_at = False, True, 0.0

    def hear(self, error: KafkaError) -> None:
        """The client lost somebody: whoever that was is asked before the next end is believed."""
        if error.code() in _GONE:
            self._doubted = True

    def saw(self, partition: Partition, end: int) -> None:
        """Reading came to this end."""
        self._of[partition] = end

    def read(self, partition: Partition, offset: int) -> None:
        """A record was read."""
        if self._of.get(partition, offset + 1) <= offset:
            del self._of[partition]

    def forget(self, partition: Partition) -> None:
        """It is somebody else's, or read anew."""
        self._of.pop(partition, None)

    def standing(self, consumer: Consumer, owned: Container[Partition]) -> frozenset[Partition]:
        """Those that were read to their end, and behind which no open transaction holds anything back."""
        if self._doubted and monotonic() >= self._ask_at:
            self._answered = self._ask(consumer, owned)
            self._doubted, self._ask_at = not self._answered, monotonic() + _ASK_EVERY_S
        if not self._answered:
            return frozenset()
        standing = []
        for partition, end in self._of.items():
            if partition in owned:
                _, high = consumer.get_watermark_offsets(TopicPartition(*partition), cached=True)
                if high <= end:
                    standing.append(partition)
        return frozenset(standing)

    def _ask(self, consumer: Consumer, owned: Container[Partition]) -> bool:
        """Whether the brokers of all these partitions answer."""
        try:
            for partition in self._of:
                if partition in owned:
                    consumer.get_watermark_offsets(TopicPartition(*partition), timeout=_PATIENCE_S)
        except KafkaException:
            return False
        return True
