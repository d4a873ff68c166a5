"""How does Faust see what is committed, all of it, and nothing else?

Faust 0.15.3 reads uncommitted records under `at_least_once`, and a group without committed offsets is not rewound after
a rebalance: what was fetched before it is dropped for good (faust/transport/consumer.py `getmany`, aiokafka
`seek_to_committed`, which seeks only to offsets above 0). Control keeps its read model in memory, so the offset that
counts is the one the read model has folded, never one a broker remembers: this transport reads committed records, and
after every rebalance goes on exactly where the read model stands.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any, cast

import aiokafka
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from faust.transport.drivers.aiokafka import (
    AIOKafkaConsumerThread,
    Consumer,
    Transport,
    credentials_to_aiokafka_auth,
    server_list,
)
from faust.types import TP

from streams.broker import Partition

Wanted = Callable[[str, bytes | None], bool]
Position = Callable[[Partition], int]

FETCH_WAIT_MS = 100
RETRY_MS = 250


class Progress:
    """How far the reader came, told by its thread and read by everybody."""

    def __init__(self) -> None:
        self.starts: dict[
            Partition, int
        ] = {}  # where the log ended when the partition was assigned
        self.ends: dict[Partition, int] = {}  # where what is committed ended when last heard of
        self.reached: dict[Partition, int] = {}  # the reader's position
        self.handed_on: dict[
            Partition, int
        ] = {}  # next offset after the last record given to Faust

    def caught_up(self, topics: Iterable[str], folded: Position) -> bool:
        """Whether all that was in `topics` at the start has been folded by the read model."""
        # `reached` first: the thread writes it last, so what it covers is in `handed_on` already
        if not {partition.topic for partition in self.starts}.issuperset(topics):
            return False
        if any(self.reached.get(p, -1) < end for p, end in self.starts.items()):
            return False
        return all(folded(p) >= offset for p, offset in self.handed_on.items())


class CommittedThread(AIOKafkaConsumerThread):
    """The thread in which aiokafka reads; Faust talks to it through a queue."""

    def _create_worker_consumer(self, transport: Transport) -> aiokafka.AIOKafkaConsumer:
        conf, reader = self.app.conf, cast(CommittedTransport, transport)
        return aiokafka.AIOKafkaConsumer(
            client_id=conf.broker_client_id,
            group_id=conf.id,
            bootstrap_servers=server_list(transport.url, transport.default_port),
            partition_assignment_strategy=[reader.assignor],
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_records=conf.broker_max_poll_records,
            max_poll_interval_ms=int((conf.broker_max_poll_interval or 300) * 1000),
            max_partition_fetch_bytes=conf.consumer_max_fetch_size,
            fetch_max_wait_ms=FETCH_WAIT_MS,
            retry_backoff_ms=RETRY_MS,
            request_timeout_ms=int(conf.broker_request_timeout * 1000),
            session_timeout_ms=int(conf.broker_session_timeout * 1000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
            metadata_max_age_ms=reader.metadata_max_age_ms,
            **credentials_to_aiokafka_auth(conf.broker_credentials, conf.ssl_context),
        )

    async def _fetch_records(
        self,
        consumer: aiokafka.AIOKafkaConsumer,
        active_partitions: set[TP],
        timeout: float | None = None,
        max_records: int | None = None,
    ) -> Any:
        """Drop what nobody wants before Faust spends a hundred microseconds on it, and note how far we are."""
        reader = cast(CommittedTransport, self.transport)
        records = await super()._fetch_records(consumer, active_partitions, timeout, max_records)
        kept = {}
        for tp, fetched in records.items():
            wanted = [record for record in fetched if reader.wanted(tp.topic, record.key)]
            if wanted:
                kept[tp] = wanted
                reader.progress.handed_on[Partition(tp.topic, tp.partition)] = wanted[-1].offset + 1
        assigned = consumer._subscription.subscription.assignment
        if assigned is not None:
            for tp in assigned.tps:
                state = assigned.state_value(tp)
                if state is not None and state.has_valid_position:
                    partition = Partition(tp.topic, tp.partition)
                    reader.progress.reached[partition] = state.position
                    if state.lso is not None:
                        reader.progress.ends[partition] = state.lso
        return kept

    async def on_thread_stop(self) -> None:
        # aiokafka lets the cancellation of its own task escape when it is stopped while Kafka is away
        with suppress(asyncio.CancelledError):
            await super().on_thread_stop()

    async def seek_to_committed(self) -> Mapping[TP, int]:
        return cast(Mapping[TP, int], await self.call_thread(self._seek_to_folded))

    async def _seek_to_folded(self) -> Mapping[TP, int | None]:
        """Go on where the read model stands; from the beginning, or near the end, where it has seen nothing."""
        reader, consumer = cast(CommittedTransport, self.transport), self._ensure_consumer()
        assigned = sorted(consumer.assignment())
        ends = await consumer.end_offsets(assigned)
        offsets: dict[TP, int | None] = {}
        for tp in assigned:
            partition = Partition(tp.topic, tp.partition)
            folded = reader.folded(partition)
            if folded:
                consumer.seek(tp, folded)
            elif tp.topic in reader.newest:
                (first,) = (await consumer.beginning_offsets([tp])).values()
                consumer.seek(tp, max(first, ends[tp] - reader.newest[tp.topic]))
            else:
                await consumer.seek_to_beginning(tp)
            offsets[TP(tp.topic, tp.partition)] = folded or None
            reader.progress.starts.setdefault(partition, ends[tp])
            reader.progress.ends[partition] = ends[tp]
        return offsets

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Nothing: it compares a record's epoch time with this machine's monotonic clock and cries wolf."""


class CommittedConsumer(Consumer):
    """Faust's consumer, reading in our thread."""

    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return CommittedThread(self, loop=self.loop, beacon=self.beacon)


class CommittedTransport(Transport):
    """Faust's Kafka transport, reading committed records only, from where the read model stands.

    Parameters
    ----------
    wanted : whether a record of this topic with this key is worth decoding
    folded : the next offset the read model needs of a partition, 0 if it has seen none
    newest : topics of which, at the start, only so many records of each partition are wanted
    """

    Consumer = CommittedConsumer
    assignor: type[AbstractPartitionAssignor] = RoundRobinPartitionAssignor

    wanted: Wanted
    folded: Position
    progress: Progress
    newest: Mapping[str, int] = MappingProxyType({})
    metadata_max_age_ms: int = 30_000
