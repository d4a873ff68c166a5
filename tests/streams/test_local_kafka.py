"""Is there a real Kafka where one can be had, does it come back with its data, and is what is missing named?"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from streams import local_kafka
from streams.errors import BrokerError, LeewayError, MissingTool
from streams.local_kafka import (
    AnyBroker,
    DockerKafka,
    LocalKafka,
    answering,
    in_java,
    source,
    tools,
)
from streams.topics import MAX_MESSAGE_BYTES
from tests.children import ended
from tests.until import until

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put scripts on a PATH that has nothing else: `path(java="exit 1")`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("JAVA_HOME", raising=False)

    def add(**scripts: str) -> None:
        for name, text in scripts.items():
            (folder / name).write_text(f"#!/bin/sh\n{text}\n")
            (folder / name).chmod(0o755)

    return add


JAVA_17 = """echo 'openjdk version "17.0.15" 2025-04-15' >&2"""


def test_an_address_that_is_given_is_taken(path: Callable[..., None]) -> None:
    path(docker="exit 0")
    assert source("kafka:9092") == "given"


def test_docker_comes_before_java(path: Callable[..., None]) -> None:
    path(docker="exit 0", java=JAVA_17, mvn="exit 0")
    assert source(None) == "docker"


def test_java_and_maven_are_taken_when_no_docker_engine_answers(
    path: Callable[..., None],
) -> None:
    path(docker="exit 1", java=JAVA_17, mvn="exit 0")
    assert source(None) == "java"


def test_maven_is_not_needed_once_kafka_was_fetched(path: Callable[..., None]) -> None:
    path(java=JAVA_17)
    in_java.jars().mkdir(parents=True)
    assert source(None) == "java"


def test_nothing_at_all_names_every_way_to_a_kafka(path: Callable[..., None]) -> None:
    with pytest.raises(MissingTool) as lacking:
        source(None)
    message = str(lacking.value)
    for way in ("there is no java", "apt install openjdk-17", "Docker", "LEEWAY_BROKERS"):
        assert way in message
    assert lacking.value.exit_code == 3


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("""echo 'java version "1.8.0_402"' >&2""", "version 8:"),
        ("""echo 'openjdk version "11.0.2" 2019-01-15' >&2""", "version 11:"),
        ("echo 'Unable to locate a Java Runtime.' >&2; exit 1", "does not work:"),
    ],
)
def test_a_java_that_cannot_run_kafka_is_refused_by_name(
    script: str, said: str, path: Callable[..., None]
) -> None:
    path(java=script)
    with pytest.raises(MissingTool, match=said) as lacking:
        tools.java()
    assert "brew install openjdk" in str(lacking.value)


def test_a_java_home_goes_before_the_path(
    path: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path(java="exit 1")
    java = tmp_path / "jdk" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\n{JAVA_17}\n")
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "jdk"))
    assert tools.java() == str(java)


def test_a_missing_maven_is_named_with_ways_to_get_it(path: Callable[..., None]) -> None:
    path(java=JAVA_17)
    with pytest.raises(MissingTool, match="Maven") as lacking:
        in_java.fetched()
    assert "dnf install maven" in str(lacking.value)


def test_a_maven_that_fails_leaves_nothing_half_done(path: Callable[..., None]) -> None:
    path(mvn="echo '[ERROR] no route to anywhere'; exit 1")
    with pytest.raises(BrokerError, match="no route to anywhere"):
        in_java.fetched()
    assert [file.name for file in in_java.jars().parent.iterdir()] == ["kafka-4.1.1.lock"]


def test_two_processes_that_need_kafka_at_once_fetch_it_once(
    path: Callable[..., None], tmp_path: Path
) -> None:
    path(mvn=f"echo fetched >>{tmp_path}/log; /bin/sleep 0.2; /bin/mkdir jars")
    script = "from streams.local_kafka.in_java import fetched; print(fetched())"
    both = [
        subprocess.Popen(
            [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    answers = {one.communicate()[0] for one in both}
    assert answers == {f"{in_java.jars()}\n"}
    assert (tmp_path / "log").read_text() == "fetched\n"


def test_a_broker_that_ends_at_once_leaves_its_last_words(
    path: Callable[..., None], tmp_path: Path
) -> None:
    # Formats, answers for its version, and then cannot run.
    path(
        java='case "$*" in *-version*) echo \'openjdk version "21"\' >&2;; '
        '*kafka.Kafka*) echo "FATAL: no space left"; exit 1;; esac'
    )
    in_java.jars().mkdir(parents=True)
    with pytest.raises(BrokerError, match=r"exit code 1:\nFATAL: no space left"):
        LocalKafka(tmp_path / "data").start()


def _values(kafka: AnyBroker | DockerKafka | LocalKafka, topic: str, count: int) -> list[bytes]:
    """The first `count` values that are committed on a topic of one partition."""
    settings = {"group.id": "reads", "auto.offset.reset": "earliest", "enable.auto.commit": False}
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, **settings})
    consumer.subscribe([topic])
    found: list[bytes] = []

    def complete() -> bool:
        found.extend(m.value() or b"" for m in consumer.consume(count, 0.1) if m.error() is None)
        return len(found) >= count

    try:
        until(complete, describe=lambda: found)
    finally:
        consumer.close()
    return found


def _write(
    kafka: AnyBroker | DockerKafka | LocalKafka, topic: str, value: bytes, **settings: object
) -> None:
    """One value, in a transaction of its own."""
    producer = Producer(
        {"bootstrap.servers": kafka.bootstrap, "transactional.id": topic, **settings}
    )
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(topic, value)
    producer.commit_transaction(30)


def _create(kafka: AnyBroker | DockerKafka | LocalKafka, topic: str, **config: str) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    admin.create_topics([NewTopic(topic, 1, 1, config=config)])[topic].result()


@pytest.fixture
def ours() -> DockerKafka | LocalKafka:
    """A broker to kill, of the kind this machine can have; a given one is not ours."""
    try:
        return DockerKafka() if source(None) == "docker" else LocalKafka()
    except MissingTool as lacking:
        pytest.skip(str(lacking))


@pytest.fixture
def _in_java() -> None:
    try:
        tools.java()
        in_java.fetched()
    except LeewayError as lacking:
        pytest.skip(str(lacking))


@pytest.mark.kafka
def test_killed_and_stopped_brokers_come_back_at_the_same_address_with_what_was_committed(
    ours: DockerKafka | LocalKafka,
) -> None:
    with ours as kafka:
        address = kafka.bootstrap
        _create(kafka, "events")
        _write(kafka, "events", b"before")
        kafka.kill()
        kafka.start()
        _write(kafka, "events", b"after a crash")
        kafka.stop()
        kafka.start()
        assert kafka.bootstrap == address
        assert _values(kafka, "events", 2) == [b"before", b"after a crash"]


@pytest.mark.kafka
def test_a_record_of_the_largest_size_is_accepted(
    kafka: AnyBroker, unique: Callable[[str], str]
) -> None:
    topic = unique("large")
    _create(kafka, topic, **{"max.message.bytes": str(2 * MAX_MESSAGE_BYTES)})
    value = os.urandom(MAX_MESSAGE_BYTES)
    _write(kafka, topic, value, **{"message.max.bytes": 2 * MAX_MESSAGE_BYTES})
    assert _values(kafka, topic, 1) == [value]


@pytest.mark.kafka
@pytest.mark.usefixtures("_in_java")
def test_leeway_broker_prints_its_address_and_ends_in_order_on_sigterm(tmp_path: Path) -> None:
    data = tmp_path / "data"
    broker = subprocess.Popen(
        [sys.executable, "-m", "streams.cli", "broker", "--data", data],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    with ended(broker):
        assert broker.stdout
        address = broker.stdout.readline().strip()
        client = AdminClient({"bootstrap.servers": address})
        assert client.list_topics(timeout=10).brokers
        broker.send_signal(signal.SIGTERM)
        assert broker.wait(30) == 0
    # Only an orderly end leaves this.
    assert (data / "log" / ".kafka_cleanshutdown").exists()


@pytest.mark.kafka
@pytest.mark.usefixtures("_in_java")
def test_a_broker_does_not_outlive_the_process_that_started_it(tmp_path: Path) -> None:
    script = (
        "import sys; from streams.local_kafka import LocalKafka\n"
        "with LocalKafka() as kafka: print(kafka.pid, kafka.home, flush=True); sys.stdin.read()"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with owner:
        assert owner.stdout
        pid, home = owner.stdout.readline().split()
        assert int(pid) > 0
        assert Path(home).exists()
        owner.kill()

    def gone() -> bool:
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return not Path(home).exists()
        return False

    until(gone, describe=f"broker {pid} ends and {home} is removed")


def test_docker_that_fails_falls_back_to_java(
    path: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refuses:
        def __enter__(self) -> None:
            raise BrokerError("no such image")

        def __exit__(self, *_: object) -> None:
            """Never entered."""

    class Runs:
        bootstrap, kind = "127.0.0.1:1", "java"

        def __enter__(self) -> "Runs":
            return self

        def __exit__(self, *_: object) -> None:
            """Nothing runs."""

    path(docker="exit 0")
    monkeypatch.setattr(local_kafka, "DockerKafka", Refuses)
    monkeypatch.setattr(local_kafka, "LocalKafka", Runs)
    with local_kafka.any_broker() as broker:
        assert broker == AnyBroker("127.0.0.1:1", "java")


def test_a_broker_and_its_controller_never_get_the_same_port(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = iter([4001, 4001, 4002])

    class Probe:
        def __enter__(self) -> "Probe":
            return self

        def __exit__(self, *of: object) -> None: ...

        def getsockname(self) -> tuple[str, int]:
            return "127.0.0.1", next(given)

    monkeypatch.setattr("socket.create_server", lambda where: Probe())
    assert answering.free_port(but=4001) == 4002
