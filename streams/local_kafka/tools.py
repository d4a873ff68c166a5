"""Is there, on this machine, what runs a Kafka? If not: what exactly is missing, and how to get it."""

import os
import re
import shutil
import subprocess

from streams.errors import MissingTool
from streams.local_kafka.settings import VERSION

__all__ = ["GET_DOCKER", "docker_answers", "java", "maven"]

_GET_JAVA = (
    "Debian and Ubuntu: sudo apt install openjdk-17-jre-headless",
    "Fedora: sudo dnf install java-21-openjdk-headless",
    "macOS: brew install openjdk@21, then follow its advice about the PATH",
)
_GET_MAVEN = (
    "Debian and Ubuntu: sudo apt install maven",
    "Fedora: sudo dnf install maven",
    "macOS: brew install maven",
)
GET_DOCKER = (
    "Linux: install Docker Engine (docs.docker.com/engine/install), start it, join the group 'docker'",
    "macOS: install Docker Desktop or colima, and start it",
)


def _missing(what: str, *how: str) -> MissingTool:
    return MissingTool("\n".join([what, *(f"  {line}" for line in how)]))


def java() -> str:
    """Path of a Java that can run the broker.

    Raises
    ------
    MissingTool
        There is none, or it is too old.
    """
    home = os.environ.get("JAVA_HOME")
    path = shutil.which("java", path=f"{home}/bin") if home else None
    if not (path := path or shutil.which("java")):
        raise _missing("Java 17 or newer is needed to run Kafka, and there is no java:", *_GET_JAVA)
    # macOS has a `java` that only says where to get one: asking for the version is the test.
    asked = subprocess.run([path, "-version"], capture_output=True, text=True, check=False)
    found = re.search(r'version "(?:1\.)?(\d+)', asked.stderr)
    if asked.returncode or not found:
        raise _missing(f"Java 17 or newer is needed, and {path} does not work:", *_GET_JAVA)
    if int(found[1]) < 17:
        raise _missing(
            f"Java 17 or newer is needed to run Kafka, and {path} is version {found[1]}:",
            *_GET_JAVA,
        )
    return path


def maven() -> str:
    """Path of Maven.

    Raises
    ------
    MissingTool
        There is none.
    """
    if not (path := shutil.which("mvn")):
        raise _missing(
            f"Maven is needed to fetch Kafka {VERSION}, and there is no mvn:", *_GET_MAVEN
        )
    return path


def docker_answers() -> bool:
    """Whether a Docker engine answers the command line tool within a few seconds."""
    if not (docker := shutil.which("docker")):
        return False
    ask = [docker, "version", "--format", "{{.Server.Version}}"]
    try:
        return subprocess.run(ask, capture_output=True, timeout=5, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False
