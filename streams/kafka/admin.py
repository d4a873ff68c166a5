"""Which topics are there, and which must Leeway create? Asking and creating are safe to repeat."""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streams.broker import Partition, Place
from streams.errors import UsageError
from streams.kafka.errors import QUIET, bootstrap, translated
from streams.topics import DAY_MS, MAX_MESSAGE_BYTES, TOPICS, Names, Topic

__all__ = [
    "Created",
    "cluster_id",
    "create_topics",
    "stable_places",
    "topic_partitions",
    "topic_settings",
]

_CALL_S = 10.0
_PAUSE_S = 0.02
_COORDINATOR_S = 5.0
_UNDECIDED = (
    KafkaError.UNSTABLE_OFFSET_COMMIT,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError._TIMED_OUT,
    KafkaError._TRANSPORT,
)
_DELETIONS_MS = DAY_MS  # a compacted topic keeps a deletion at least this long for readers that lag


@dataclass(frozen=True, slots=True)
class Created:
    """A topic that was not there before."""

    topic: str
    partitions: int
    replication: int


def topic_partitions(properties: Mapping[str, str]) -> dict[str, int]:
    """Every topic that can be seen, with the number of its partitions.

    Parameters
    ----------
    properties
        librdkafka's, with at least ``bootstrap.servers``.

    Raises
    ------
    BrokerError
        No broker answers, or none that accepts us.
    UsageError
        A property is wrong.
    """
    admin = _Admin(properties)
    with admin.asking("list topics"):
        return admin.partitions()


def cluster_id(properties: Mapping[str, str]) -> str:
    """The name that the cluster gave itself: what is kept of one is nothing to another.

    Raises
    ------
    BrokerError
        No broker answers, or none that accepts us.
    """
    admin = _Admin(properties)
    with admin.asking("ask for the cluster's name"):
        return str(admin.client.list_topics(timeout=_CALL_S).cluster_id)


def create_topics(
    properties: Mapping[str, str],
    names: Names,
    *,
    partitions: int = 12,
    replication: int | None = None,
    more: Mapping[str, int] | None = None,
) -> tuple[Created, ...]:
    """Create those of Leeway's own topics that are missing; what is there stays as it is.

    Parameters
    ----------
    properties
        librdkafka's, with at least ``bootstrap.servers``.
    names
        The prefix of the topics.
    partitions
        Of the topics that are shared by model.
    replication
        Copies of each record; None: 3, or 1 where there is a single broker.
    more
        Other topics to create, with their numbers of partitions and the cluster's own settings (for demos and tests).

    Returns
    -------
    tuple of Created
        What was created, in the order of `TOPICS`.

    Raises
    ------
    BrokerError
        No broker answers, or it refuses; the message names the topic.
    UsageError
        A property is wrong, or a topic that is there has another number of partitions than its siblings.
    """
    admin = _Admin(properties)
    with admin.asking("list topics"):
        there, brokers = admin.partitions(), admin.brokers()
    copies = replication or (3 if brokers >= 3 else 1)
    wanted = {names(topic.name): topic.partitions or partitions for topic in TOPICS}
    settings = {names(topic.name): topic_settings(topic, copies) for topic in TOPICS}
    _check_siblings(there, names, partitions)
    wanted |= more or {}
    missing = [
        NewTopic(name, count, copies, config=settings.get(name, {}))
        for name, count in wanted.items()
        if name not in there
    ]
    if not missing:
        return ()
    created = []
    for name, future in admin.client.create_topics(missing, operation_timeout=_CALL_S).items():
        with admin.asking(f"create topic {name}"):
            if _is_new(future):
                created.append(Created(name, wanted[name], copies))
    return tuple(created)


def stable_places(
    settings: Mapping[str, Any], group: str, partitions: Sequence[Partition], until: float
) -> dict[Partition, Place]:
    """Where the group stands, once no open transaction can change it; nothing where it never committed.

    Asked through a consumer that never joins the group. Not through that of a member: behind its own request to join,
    the answer would wait for all members. Not through an admin client: librdkafka 2.16 ends with a segmentation fault
    where the coordinator is not ready (`rd_kafka_handle_OffsetFetch` looks for a group that it does not have).
    Each time asked through a new client: one that has asked before gets no answer any more from a coordinator that was
    restarted since (every request times out, for ever; a client made after the restart is answered).

    Parameters
    ----------
    settings
        librdkafka's, for the client.
    until
        When to give up, on the monotonic clock.

    Raises
    ------
    KafkaException
        The broker refuses, or some offsets are still undecided.
    """
    asked = [TopicPartition(*partition) for partition in partitions]
    # read_committed makes it ask for stable offsets: those that no open transaction will move
    reading = {**settings, "group.id": group, "isolation.level": "read_committed"}
    while True:
        client = Consumer(reading, logger=logging.getLogger("streams.kafka.broker"))
        try:
            answers = client.committed(asked, timeout=_COORDINATOR_S)
            errors = [answer.error for answer in answers if answer.error is not None]
            if not errors:
                return {
                    Partition(one.topic, one.partition): Place(one.offset, one.metadata or "")
                    for one in answers
                    if one.offset >= 0
                }
            error: KafkaError = errors[0]
        except KafkaException as failure:
            error = failure.args[0]
        finally:
            client.close()
        if time.monotonic() > until or not (error.retriable() or error.code() in _UNDECIDED):
            raise KafkaException(error)
        threading.Event().wait(_PAUSE_S)


def topic_settings(topic: Topic, replication: int = 1) -> dict[str, str]:
    """Kafka's settings of a topic of ours."""
    settings = {"max.message.bytes": str(MAX_MESSAGE_BYTES)}
    if replication >= 3:
        settings["min.insync.replicas"] = "2"
    if topic.retention_days is None:
        return settings | {
            "cleanup.policy": "compact",
            "delete.retention.ms": str(_DELETIONS_MS),
        }
    policy = "compact,delete" if topic.compacted else "delete"
    retention_ms = str(topic.retention_days * DAY_MS)
    return settings | {"cleanup.policy": policy, "retention.ms": retention_ms}


def _check_siblings(there: Mapping[str, int], names: Names, partitions: int) -> None:
    """Profiles, state, commands and results of a model share a partition number, so they share a count."""
    for topic in TOPICS:
        name = names(topic.name)
        count = there.get(name, topic.partitions or partitions)
        if topic.partitions is None and count != partitions:
            raise UsageError(
                f"topic {name} has {count} partitions, but topics.partitions is {partitions}: "
                f"set it to {count}, or choose another topics.prefix"
            )


def _is_new(future: "Future[None]") -> bool:
    try:
        future.result()
    except KafkaException as failure:
        if failure.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:  # another process was quicker
            raise
        return False
    return True


class _Admin:
    """An admin client, and what it said on the side."""

    def __init__(self, properties: Mapping[str, str]) -> None:
        self._brokers = bootstrap(properties)
        self._heard: KafkaError | None = None
        settings: dict[str, Any] = {**QUIET, **properties, "error_cb": self._hear}
        with translated("use Kafka", self._brokers):
            self.client = AdminClient(settings, logger=logging.getLogger("streams.kafka.broker"))

    def asking(self, doing: str) -> AbstractContextManager[None]:
        return translated(doing, self._brokers, self._overheard)

    def partitions(self) -> dict[str, int]:
        topics = self.client.list_topics(timeout=_CALL_S).topics
        return {name: len(topic.partitions) for name, topic in sorted(topics.items())}

    def brokers(self) -> int:
        return len(self.client.list_topics(timeout=_CALL_S).brokers)

    def _hear(self, error: KafkaError) -> None:
        self._heard = error

    def _overheard(self) -> KafkaError | None:
        self.client.poll(0)  # this is when it speaks
        return self._heard
