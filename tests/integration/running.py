"""Leeway as people run it: its roles as child processes on a real broker, restarted when they die."""

import json
import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from detectors.reference.build import Reference
from streams.broker import Outgoing, Record
from streams.kafka.admin import create_topics, topic_partitions
from streams.kafka.commands import Tail, Writer
from streams.lifecycle import Lifecycle
from streams.local_kafka import AnyBroker
from streams.registration import register
from streams.service import Service, load_service
from streams.supervisor import SUPERVISED, Child, Supervisor, leeway
from streams.topics import Names
from tests.integration.watched import Arrival

SOURCES = ("predictions", "features", "labels")


class Deployment:
    """A place for Leeway on a broker: a prefix of topics that nobody else has, and the file that says so.

    Parameters
    ----------
    broker
        Where; a killed member is missed as soon as this broker allows.
    prefix
        Of the topics' names.
    folder
        For the service file, `config`.
    partitions
        Of the topics that are shared by model.
    sources
        Partitions of the topics of events.
    """

    def __init__(
        self,
        broker: AnyBroker,
        prefix: str,
        folder: Path,
        *,
        partitions: int = 2,
        sources: int = 1,
        **sections: Any,
    ) -> None:
        self.names = Names(f"{prefix}.")
        self.config = folder / "leeway.yaml"
        session = {"session.timeout.ms": "2000", "heartbeat.interval.ms": "300"}
        if broker.kind == "given":  # its least is not ours to lower
            session["session.timeout.ms"] = "6000"
        document: dict[str, Any] = {
            "brokers": broker.bootstrap,
            "kafka": session,
            "topics": {"prefix": self.names.prefix, "partitions": partitions},
            "joiner": {"directory": str(folder / "joined")},
            **sections,
        }
        self.config.write_text(json.dumps(document))  # JSON is YAML
        self.service: Service = load_service(self.config, {})
        self.properties = self.service.properties
        create_topics(
            self.properties,
            self.names,
            partitions=partitions,
            more={self.names(kind): sources for kind in SOURCES},
        )

    def register(
        self, lifecycles: Sequence[Lifecycle], references: Mapping[str, Reference]
    ) -> None:
        register(self.service, lifecycles, references)

    def writer(self) -> Writer:
        return Writer(self.properties)

    def tail(self, *topics: str) -> Tail:
        """Committed records of these topics, by their short names."""
        return Tail(self.properties, [self.names(topic) for topic in topics])

    def read(self, *topics: str) -> dict[str, list[Record]]:
        """Everything that is committed to these topics now, in order of partition and offset."""
        found: dict[str, list[Record]] = {topic: [] for topic in topics}
        with self.tail(*topics) as tail:
            while not tail.at_end:
                for record in tail.read():
                    found[record.topic.removeprefix(self.names.prefix)].append(record)
        for records in found.values():
            records.sort(key=lambda record: (record.partition, record.offset))
        return found

    def shared(self, role: str, members: int, partitions: int) -> bool:
        """Whether so many processes have all partitions of their sources among them, each at least one."""
        admin = AdminClient({"bootstrap.servers": self.service.brokers})
        group = self.names.prefix + role
        try:
            described = admin.describe_consumer_groups([group], request_timeout=10)[group].result()
        except KafkaException:  # the broker has yet to make its table of groups
            return False
        shares = [len(member.assignment.topic_partitions) for member in described.members]
        return len(shares) == members and all(shares) and sum(shares) == partitions

    def children(self, **roles: int) -> list[Child]:
        """So many children of each role, as `leeway run` would start them."""
        return [
            Child(
                f"{role}-{number}",
                leeway(
                    *("run", "--role", role, "--instance", f"{role}-{number}"),
                    *("--config", str(self.config)),
                ),
                {SUPERVISED: "1", "LEEWAY_METRICS_PORT": "0"},
            )
            for role, count in roles.items()
            for number in range(1, count + 1)
        ]


class Roles:
    """Children under the product's own supervisor, tended by a thread; all of them end with the context."""

    def __init__(self, children: Sequence[Child]) -> None:
        self.names = tuple(child.name for child in children)
        self.said: list[str] = []
        self._kills: Counter[str] = Counter()
        self._supervisor = Supervisor(
            children, lambda name, line: self.said.append(f"{name} {line}")
        )
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._tend, name="supervisor")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()
        self._supervisor.stop(drain_s=10.0)
        if error is not None:
            error.add_note("\n".join(self.said[-100:]))

    def kill(self, name: str) -> bool:
        """Kill -9, if it runs just now."""
        with self._lock:  # nobody reaps it between our look and our blow
            pid = self._supervisor.pids().get(name)
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
                self._kills[name] += 1
        return pid is not None

    def works(self, name: str) -> bool:
        """Whether it has started, also since the last kill."""
        starts = sum(line.startswith(f"{name} ") and "role.started" in line for line in self.said)
        return starts > self._kills[name]

    @property
    def gave_up(self) -> int | None:
        return self._supervisor.exit_code

    def _tend(self) -> None:
        while not self._over.wait(0.02):
            with self._lock:
                self._supervisor.tend(0.05)


class Ends:
    """How long topics are: everything that was written, committed or not."""

    def __init__(self, properties: Mapping[str, str]) -> None:
        self._partitions = topic_partitions(properties)
        self._consumer = Consumer({**properties, "group.id": "ends"})

    def of(self, topic: str) -> int:
        numbers = range(self._partitions[topic])
        return sum(
            self._consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=10)[1]
            for number in numbers
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()


def produce(
    place: Deployment, stream: Sequence[Arrival], partition: Callable[[], int] = lambda: 0
) -> None:
    """Send events; each goes where it is told."""
    writer = place.writer()
    for arrival in stream:
        writer.write(Outgoing(place.names(arrival.kind), None, arrival.value, (), partition()))
    writer.flush()


@contextmanager
def producing(
    place: Deployment, stream: Sequence[Arrival], *, seed: int, partitions: int = 4
) -> Iterator[threading.Event]:
    """Send the stream bit by bit, and what is left at once when the event is set; all is sent when the context ends.

    No partition falls silent for as long as `idle` says before all is sent, or else its events would come late.
    """
    hurry, dice, writer = threading.Event(), random.Random(seed), place.writer()

    def send() -> None:
        for number, arrival in enumerate(stream):
            partition = dice.randrange(partitions)
            writer.write(Outgoing(place.names(arrival.kind), None, arrival.value, (), partition))
            if number % 300 == 0 and not hurry.is_set():
                writer.flush()
                hurry.wait(0.25)
        writer.flush()

    thread = threading.Thread(target=send, name="producer")
    thread.start()
    try:
        yield hurry
    finally:
        hurry.set()
        thread.join()
