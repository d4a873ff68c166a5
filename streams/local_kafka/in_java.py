"""How does a Kafka run on this machine with Java, without Docker? Maven fetches it once."""

import os
import re
import shutil
import subprocess
import tempfile
import uuid
from contextlib import suppress
from datetime import timedelta
from fcntl import LOCK_EX, flock
from pathlib import Path
from time import monotonic
from typing import Literal, Self

from streams import logs
from streams.errors import BrokerError
from streams.local_kafka.answering import START, free_port, is_free, wait_for_answer
from streams.local_kafka.settings import SETTINGS, VERSION
from streams.local_kafka.tools import java, maven

__all__ = ["LocalKafka", "fetched", "jars"]

# A small heap, and no effort spent on code that lives for minutes.
_JVM = (
    "-Xms128m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Dorg.apache.logging.log4j.level=WARN",
)

_POM = f"""\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>leeway</groupId> <artifactId>kafka-jars</artifactId> <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId> <artifactId>kafka_2.13</artifactId> <version>{VERSION}</version>
    </dependency>
    <dependency> <!-- the broker brings an interface for logging and nothing behind it -->
      <groupId>org.apache.logging.log4j</groupId> <artifactId>log4j-slf4j-impl</artifactId> <version>2.24.3</version>
    </dependency>
  </dependencies>
</project>
"""

# Outlives us only if we are killed: then the pipe it reads from ends without the word, and it takes the broker, and
# data nobody can want any more, with it. Works for every way to die on every system, unlike a request to the kernel.
_WATCH = 'read -r word; [ "$word" = over ] || { kill -9 "$1"; [ -z "$2" ] || rm -rf -- "$2"; }'


def jars() -> Path:
    """Where the broker's jars are, or would be, kept."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "leeway" / f"kafka-{VERSION}"


def fetched() -> Path:
    """The directory of the broker's jars: complete or absent, never half. Maven fills it once (43 MB)."""
    directory = jars()
    if directory.is_dir():
        return directory
    directory.parent.mkdir(parents=True, exist_ok=True)
    with (directory.parent / f"{directory.name}.lock").open("w") as lock:
        flock(lock, LOCK_EX)  # whoever comes second waits, then finds them
        if directory.is_dir():
            return directory
        command = [maven(), "-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime"]
        logs.info("kafka.requested", version=VERSION, by="Maven", size="43 MB", once=True)
        with tempfile.TemporaryDirectory(dir=directory.parent, prefix="fetching-") as scratch:
            Path(scratch, "pom.xml").write_text(_POM)
            done = subprocess.run(
                [*command, "-DoutputDirectory=jars"],
                cwd=scratch,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                said = [line for line in done.stdout.splitlines() if line.startswith("[ERROR]")]
                raise BrokerError(
                    f"Maven could not fetch Kafka {VERSION}:\n" + "\n".join(said[:8]), retry=True
                )
            Path(scratch, "jars").rename(directory)
    return directory


class LocalKafka:
    """One broker on this machine, in Java: start, stop, kill, start again on the same data and address.

    As a context manager it is started, and at the end stopped; data nobody asked to keep is removed. It does not
    outlive this process, however that ends.

    Parameters
    ----------
    data
        Directory to keep (default: a temporary one).
    port
        Where to listen on 127.0.0.1 (default: the one `data` had before, if it is free, else any free port).

    Examples
    --------
    ::

        with LocalKafka() as kafka:
            kafka.bootstrap             # "127.0.0.1:41234"
            kafka.kill(); kafka.start() # a crash, and a restart
    """

    kind: Literal["java"] = "java"

    def __init__(self, data: Path | None = None, port: int | None = None) -> None:
        self._scratch = None if data else Path(tempfile.mkdtemp(prefix="leeway-kafka-"))
        self.home = (data or self._scratch or Path()).resolve()
        self._asked = port
        self._port: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._watch: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """The address clients connect to; the same after every restart."""
        if self._port is None:
            raise BrokerError("the broker was not started")
        return f"127.0.0.1:{self._port}"

    @property
    def pid(self) -> int | None:
        """The broker's process, while it runs."""
        process = self._process
        return process.pid if process and process.poll() is None else None

    def start(self, within: timedelta = START) -> Self:
        """Start on new or existing data, and return once a client has been answered.

        Raises
        ------
        MissingTool
            Java or Maven is missing.
        BrokerError
            The broker did not come up; the message ends with its last words.
        """
        command = [java(), *_JVM, "-cp", f"{fetched()}/*"]
        self.home.mkdir(parents=True, exist_ok=True)
        deadline = monotonic() + within.total_seconds()
        free_to_choose = self._asked is None and self._port is None
        try:
            self._start(command, deadline)
        except BrokerError:
            # Between our choosing a port and the broker's taking it, somebody else may have.
            if not (free_to_choose and "already in use" in self._last_words()):
                raise
            self._port = None
            self._start(command, deadline)
        logs.debug("kafka.started", brokers=self.bootstrap, data=self.home)
        return self

    def _start(self, command: list[str], deadline: float) -> None:
        self._port = self._port or self._asked or self._remembered() or free_port()
        properties = self.home / "server.properties"
        properties.write_text(_properties(self.home / "log", self._port, free_port(but=self._port)))
        with (self.home / "broker.log").open("wb") as log:
            if not (self.home / "log" / "meta.properties").exists():
                storage = ["kafka.tools.StorageTool", "format", "-t", str(uuid.uuid4())]
                formatted = subprocess.run(
                    [*command, *storage, "-c", str(properties)],
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    check=False,
                )
                if formatted.returncode:
                    shutil.rmtree(self.home / "log", ignore_errors=True)
                    raise BrokerError(f"Kafka could not use {self.home}:\n{self._last_words()}")
            # A session of its own: Ctrl-C reaches this process only, which then stops the broker in order.
            self._process = subprocess.Popen(
                [*command, "kafka.Kafka", str(properties)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._watch = subprocess.Popen(
            ["/bin/sh", "-c", _WATCH, "watch", str(self._process.pid), str(self._scratch or "")],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            wait_for_answer(self.bootstrap, deadline, self._ended)
        except BaseException as error:
            self.kill()
            if isinstance(error, BrokerError):
                raise BrokerError(f"{error}:\n{self._last_words()}") from None
            raise

    def _remembered(self) -> int | None:
        """The port this data was served at, if it can be had again."""
        properties = self.home / "server.properties"
        if not properties.exists():
            return None
        found = re.search(r"PLAINTEXT://127\.0\.0\.1:(\d+)", properties.read_text())
        return int(found[1]) if found and is_free(int(found[1])) else None

    def _ended(self) -> str | None:
        process = self._process
        if process is None or (code := process.poll()) is None:
            return None
        return f"the broker ended with exit code {code}"

    def _last_words(self) -> str:
        lines = (self.home / "broker.log").read_text(errors="replace").splitlines()
        # A Java stack is long and its reason is in front.
        return "\n".join(line for line in lines if not line.startswith("\tat "))[-2000:]

    def kill(self) -> None:
        """A crash: nothing is flushed, nobody is told."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._forget()

    def stop(self) -> None:
        """An orderly end. The data stays."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
        self._forget()

    def _forget(self) -> None:
        self._process = None
        if self._watch is not None:
            with suppress(BrokenPipeError):  # it was killed with us, or before us
                self._watch.communicate(b"over\n")
            self._watch = None

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)


def _properties(data: Path, port: int, controller_port: int) -> str:
    # A static quorum is read from here at every start; a dynamic one would keep the first ports in the data.
    settings = SETTINGS | {
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "log.dirs": str(data),
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())
