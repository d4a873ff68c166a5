"""Where does a real Apache Kafka come from on a machine that has none? For development, the demo and tests.

`any_broker` takes the first of: an address that was given; Docker, when an engine answers; Java and Maven. It is real
Kafka in every case: what only a broker can refute (transactions, fencing, rebalances) is not left to a double.

Only the wait for a broker's first answer needs more than the standard library, so that `python -m streams.local_kafka`
can say what is missing on a machine where nothing is installed yet.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Literal

from streams import logs
from streams.errors import BrokerError, MissingTool
from streams.local_kafka.answering import free_port
from streams.local_kafka.in_docker import DockerKafka
from streams.local_kafka.in_java import LocalKafka, jars
from streams.local_kafka.settings import VERSION
from streams.local_kafka.tools import GET_DOCKER, docker_answers, java, maven

__all__ = [
    "AnyBroker",
    "DockerKafka",
    "Kind",
    "LocalKafka",
    "any_broker",
    "free_port",
    "source",
]

Kind = Literal["given", "docker", "java"]


@dataclass(frozen=True, slots=True)
class AnyBroker:
    """A broker that answers, and where it came from."""

    bootstrap: str
    kind: Kind

    @property
    def described(self) -> str:
        """A phrase for people.

        >>> AnyBroker("127.0.0.1:9092", "java").described
        'Apache Kafka 4.1.1 in Java at 127.0.0.1:9092'
        """
        if self.kind == "given":
            return f"the Kafka at {self.bootstrap}"
        return f"Apache Kafka {VERSION} in {self.kind.capitalize()} at {self.bootstrap}"


def source(brokers: str | None) -> Kind:
    """Which kind of broker `any_broker` would try first.

    Raises
    ------
    MissingTool
        There is no way to one; the message names all of them.
    """
    if brokers:
        return "given"
    if docker_answers():
        return "docker"
    try:
        java()
        if not jars().is_dir():
            maven()
    except MissingTool as lacking:
        raise MissingTool(
            "No Kafka can be had here: no broker's address was given, no Docker engine answers, and\n"
            f"{lacking}\nOr get Docker:\n"
            + "\n".join(f"  {line}" for line in GET_DOCKER)
            + "\nOr name a running broker: LEEWAY_BROKERS=host:9092"
        ) from None
    return "java"


@contextmanager
def any_broker(brokers: str | None = None) -> Iterator[AnyBroker]:
    """The Kafka at `brokers`, or one that lives as long as the context: in Docker if an engine answers, else in Java.

    Raises
    ------
    MissingTool
        There is no way to a broker; the message names all of them.
    BrokerError
        A broker was tried and did not come up.
    """
    kind = source(brokers)
    if brokers:
        yield AnyBroker(brokers, kind)
        return
    with ExitStack() as stack:
        kafka: DockerKafka | LocalKafka
        try:
            kafka = (
                stack.enter_context(DockerKafka())
                if kind == "docker"
                else stack.enter_context(LocalKafka())
            )
        except BrokerError as refused:
            if kind != "docker":
                raise
            logs.warning("docker.failed", reason=str(refused), next="Java")
            kafka = stack.enter_context(LocalKafka())
        yield AnyBroker(kafka.bootstrap, kafka.kind)
