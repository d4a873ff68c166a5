"""How do several controls share work, so that none is done by two? In one group, each reading from the beginning.

Whoever owns partition 1 of a topic owns partition 1 of the others (the range assignor, equal subscriptions), so one
control alone decides about an episode, whatever its channel. Nothing is committed: every assignment begins anew at the
beginning of what the log keeps, as a restart does, and what is done already stands on `leeway.deliveries`.

Being a member is not enough: a process that was stopped for longer than its session wakes up as one, and learns that
others took over only with its next heartbeat. So `confirmed` says when the coordinator last agreed.
"""

import time
from typing import Any, cast

import aiokafka
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaError
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from faust.types import TP

from streams.control.committed import CommittedConsumer, CommittedThread, CommittedTransport

CONFIRM_S = 1.0  # how often the coordinator is asked


class _Thread(CommittedThread):
    """Asks between two fetches whether we are still a member."""

    async def _fetch_records(
        self,
        consumer: aiokafka.AIOKafkaConsumer,
        active_partitions: set[TP],
        timeout: float | None = None,
        max_records: int | None = None,
    ) -> Any:
        reader = cast(SharedTransport, self.transport)
        asked = time.monotonic()
        if asked - reader.confirmed > CONFIRM_S:
            try:
                if await consumer._coordinator._do_heartbeat():
                    reader.confirmed = asked
            except KafkaError:
                pass  # not confirmed
        return await super()._fetch_records(consumer, active_partitions, timeout, max_records)


class _Consumer(CommittedConsumer):
    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)


class SharedTransport(CommittedTransport):
    """A transport whose partitions are shared with other controls.

    Attributes
    ----------
    confirmed : by the monotonic clock, when the coordinator was last asked and agreed that we are a member
    """

    Consumer = _Consumer
    assignor: type[AbstractPartitionAssignor] = RangePartitionAssignor
    confirmed: float = 0.0
