"""Both brokers behind one face, for the suite that holds them to the same promises."""

import itertools
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streams.broker import Broker, Outgoing, Partition, Record, Work
from streams.kafka.broker import KafkaBroker
from streams.memory import MemoryBroker, MemoryLog
from streams.topics import MAX_MESSAGE_BYTES
from tests.until import until

# A dead member is noticed after its session, a new one with the next heartbeat.
QUICK = {"session.timeout.ms": "6000", "heartbeat.interval.ms": "200"}


class Door(Protocol):
    """A log with topics, and members of groups that come and go."""

    def topic(self, partitions: int = 1) -> str:
        """A new topic that nobody else uses."""

    def member(self, group: str = "readers", instance: str = "a") -> Broker:
        """A process of a group; groups of different tests do not meet."""

    def fail_next_commit(self, broker: Broker) -> None:
        """Let everything of the next commit be written but the decision."""

    def close(self) -> None: ...


class MemoryDoor:
    """Everything in this process."""

    def __init__(self) -> None:
        self._log = MemoryLog()
        self._numbers = itertools.count()

    def topic(self, partitions: int = 1) -> str:
        topic = f"topic-{next(self._numbers)}"
        self._log.create(topic, partitions)
        return topic

    def member(self, group: str = "readers", instance: str = "a") -> Broker:
        return MemoryBroker(self._log, group, instance)

    def fail_next_commit(self, broker: Broker) -> None:
        assert isinstance(broker, MemoryBroker)
        broker.fail_next_commit()

    def close(self) -> None:
        pass


class KafkaDoor:
    """A real broker, and names of our own on it."""

    def __init__(self, bootstrap: str, **properties: str) -> None:
        self.properties = {"bootstrap.servers": bootstrap, **properties}
        self._own = uuid.uuid4().hex[:10]
        self._numbers = itertools.count()
        self._members: list[KafkaBroker] = []
        self._admin = AdminClient({"bootstrap.servers": bootstrap})

    def topic(self, partitions: int = 1) -> str:
        topic = f"{self._own}-{next(self._numbers)}"
        settings = {"max.message.bytes": str(MAX_MESSAGE_BYTES)}
        self._admin.create_topics([NewTopic(topic, partitions, 1, config=settings)])[topic].result()
        until(lambda: topic in self._admin.list_topics(timeout=10).topics)
        return topic

    def member(self, group: str = "readers", instance: str = "a") -> Broker:
        broker = KafkaBroker(self.properties, f"{self._own}-{group}", instance)
        self._members.append(broker)
        return broker

    def fail_next_commit(self, broker: Broker) -> None:
        assert isinstance(broker, KafkaBroker)
        writer: Any = broker._writer
        writer._producer = _Undecided(writer)

    def close(self) -> None:
        for member in self._members:
            member.close()


class _Undecided:
    """A producer whose next transaction is written in full and then cannot be committed."""

    def __init__(self, writer: Any) -> None:
        self._writer, self._producer = writer, writer._producer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._producer, name)

    def commit_transaction(self, timeout_s: float) -> None:
        self._writer._producer = self._producer
        self._producer.flush(timeout_s)
        error = KafkaError(KafkaError._INCONSISTENT, "as asked for", txn_requires_abort=True)
        raise KafkaException(error)


@dataclass
class Member:
    """A process that does nothing but read, and remembers what its broker told it."""

    broker: Broker
    commits: bool = True  # before partitions leave
    owned: set[Partition] = field(default_factory=set)
    events: list[tuple[str, Partition]] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    ends: frozenset[Partition] = frozenset()
    next_offsets: dict[Partition, int] = field(default_factory=dict)

    def join(self, *topics: str) -> "Member":
        self.broker.subscribe(topics, self)
        return self

    def partitions_gained(self, partitions: Sequence[Partition]) -> None:
        self.owned |= set(partitions)
        self.events += [("gained", partition) for partition in partitions]

    def partitions_leaving(self, partitions: Sequence[Partition]) -> None:
        if self.commits:
            self.commit()
        self.owned -= set(partitions)
        self.events += [("leaving", partition) for partition in partitions]

    def partitions_lost(self, partitions: Sequence[Partition]) -> None:
        self.next_offsets.clear()
        self.owned -= set(partitions)
        self.events += [("lost", partition) for partition in partitions]

    def poll(self, limit: int = 100) -> "Member":
        polled = self.broker.poll(limit, 0.02)
        for batch in polled.batches:
            for row in range(len(batch.values)):
                record = batch.rows[row]
                self.records.append(record)
                self.next_offsets[Partition(record.topic, record.partition)] = record.offset + 1
        self.ends = polled.ends
        return self

    def commit(self, *records: Outgoing) -> None:
        work = Work(list(records), dict(self.next_offsets))
        self.next_offsets.clear()
        self.broker.commit(work)

    @property
    def values(self) -> list[bytes | None]:
        return [record.value for record in self.records]


def drive(*members: Member, to: Callable[[], object], limit: int = 100) -> None:
    """Poll the members in turn until a fact holds."""

    def reached() -> bool:
        for member in members:
            member.poll(limit)
        return bool(to())

    until(reached, describe=lambda: [(m.owned, len(m.records)) for m in members])
