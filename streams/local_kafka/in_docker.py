"""How does a Kafka run in Docker? From Apache's own image, through testcontainers."""

from datetime import timedelta
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal, Self

from streams import logs
from streams.errors import BrokerError
from streams.local_kafka.answering import START, free_port, wait_for_answer
from streams.local_kafka.settings import IMAGE, SETTINGS

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

__all__ = ["DockerKafka"]


class DockerKafka:
    """One broker in Docker, from Apache's own image: start, stop, kill, start again on the same data and address.

    The container and its data go when the context ends; should this process be killed, testcontainers' reaper
    removes it.
    """

    kind: Literal["docker"] = "docker"

    def __init__(self) -> None:
        self._container: DockerContainer | None = None
        self._bootstrap: str | None = None

    @property
    def bootstrap(self) -> str:
        """The address clients connect to; the same after every restart."""
        if self._bootstrap is None:
            raise BrokerError("the broker was not started")
        return self._bootstrap

    def start(self, within: timedelta = START) -> Self:
        """Create the container, or start it again, and return once a client has been answered.

        Raises
        ------
        BrokerError
            Docker refused, testcontainers is not installed, or the broker did not come up.
        """
        try:
            from docker.errors import DockerException
            from requests import RequestException
            from testcontainers.core.exceptions import ContainerStartException
        except ImportError:
            raise BrokerError(
                "testcontainers is missing: pip install 'leeway-drift[docker]'"
            ) from None
        try:
            if self._container is None:
                self._container = self._created()
                self._container.start()
            else:
                self._container.get_wrapped_container().start()
        except (DockerException, RequestException, ContainerStartException, OSError) as refused:
            raise BrokerError(f"Docker could not run {IMAGE}: {refused}") from refused
        wait_for_answer(self.bootstrap, monotonic() + within.total_seconds(), lambda: None)
        logs.debug("kafka.started", brokers=self.bootstrap, image=IMAGE)
        return self

    def _created(self) -> "DockerContainer":
        from testcontainers.core.container import DockerContainer

        container = DockerContainer(IMAGE)
        host = container.get_docker_client().host()
        port = free_port()
        self._bootstrap = f"{host}:{port}"
        ports: dict[str, Any] = container.ports
        ports["9092/tcp"] = ("127.0.0.1", port) if host in ("localhost", "127.0.0.1") else port
        settings = SETTINGS | {
            "listeners": "PLAINTEXT://:9092,CONTROLLER://127.0.0.1:9093",
            "advertised.listeners": f"PLAINTEXT://{self._bootstrap}",
            "controller.quorum.voters": "1@127.0.0.1:9093",
            "log.dirs": "/tmp/kafka",
        }
        for name, value in settings.items():
            container.with_env("KAFKA_" + name.upper().replace(".", "_"), value)
        return container.with_env("KAFKA_HEAP_OPTS", "-Xms128m -Xmx512m")

    def kill(self) -> None:
        """A crash: nothing is flushed, nobody is told."""
        if self._container is not None:
            self._container.get_wrapped_container().kill()

    def stop(self) -> None:
        """An orderly end. The data stays until the context ends."""
        if self._container is not None:
            self._container.get_wrapped_container().stop()

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        if self._container is not None:
            self._container.stop()
            self._container = None
