"""The image and the compose file: everything they name exists, nobody is root, and nothing listens to the world."""

import fnmatch
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml

from streams.cli.app import COMMANDS
from streams.local_kafka.tools import docker_answers
from streams.metrics import CONTROL, HEARTBEAT, ROLES, Meter, serve
from streams.service import load_service
from streams.service_file import ServiceFile

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text("utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: of for name, of in SERVICES.items() if of["image"] == "leeway"}


def instructions() -> Iterator[tuple[str, str]]:
    """Each instruction of the Dockerfile with what it is given; comments and line breaks left out."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.M).replace("\\\n", " ")
    for line in filter(str.strip, text.splitlines()):
        name, _, rest = line.partition(" ")
        yield name, rest


def ignored(path: str) -> bool:
    """Whether .dockerignore keeps a path from the build: the last line that matches says."""
    out = False
    for line in (ROOT / ".dockerignore").read_text("utf-8").split():
        pattern = line.removeprefix("!")
        if fnmatch.fnmatch(path, pattern) or path.startswith(f"{pattern}/") or pattern == "*":
            out = not line.startswith("!")
    return out


def compose_client() -> list[str] | None:
    """A compose client of the second generation, if there is one: it needs no engine to check a file."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "leeway"
    built = [[str(path)] for path in cache.glob("docker-compose-*")]
    for client in (["docker", "compose"], ["docker-compose"], *built):
        if shutil.which(client[0]):
            done = subprocess.run(
                [*client, "version", "--format", "json"], capture_output=True, check=False
            )
            if done.returncode == 0:
                return client
    return None


# --------------------------------------------------------------------------------------- image


def test_what_the_image_copies_is_there_and_reaches_the_build() -> None:
    copied = [
        source
        for name, rest in instructions()
        if name == "COPY" and "--from" not in rest
        for source in [word for word in rest.split() if not word.startswith("--")][:-1]
    ]
    assert copied
    for source in copied:
        assert (ROOT / source).exists(), source
        assert not ignored(source), source
    for other in ("tests", ".git", "deploy/kubernetes"):
        assert ignored(other)


def test_the_image_is_built_in_stages_and_runs_as_nobody_special() -> None:
    names = [name for name, _ in instructions()]
    assert names.count("FROM") == 2
    last = list(instructions())[len(names) - 1 - names[::-1].index("FROM") :]
    assert [rest for name, rest in last if name == "USER"] == ["10001:10001"]
    settings = dict(last)
    assert json.loads(settings["ENTRYPOINT"]) == ["leeway"]
    assert json.loads(settings["CMD"]) == ["run"]
    assert settings["STOPSIGNAL"] == "SIGTERM"
    assert "healthy" in settings["HEALTHCHECK"]
    assert "pip install" not in " ".join(rest for _, rest in last)
    exposed = {int(port) for port in settings["EXPOSE"].split()}
    assert exposed == {ServiceFile().http.port, ServiceFile().metrics.port}


def test_the_image_builds_with_everything_that_hatchling_needs() -> None:
    (names,) = re.findall(r"keep = /\^\(([^)]*)\)==/", DOCKERFILE)
    needed, looked = ["hatchling"], set()
    while needed:
        name = needed.pop()
        looked.add(name)
        for line in metadata.requires(name) or ():
            if "extra ==" not in line and "python_version < " not in line:
                other = re.match(r"[\w.-]+", line)
                assert other
                if other[0].lower() not in looked:
                    needed.append(other[0].lower())
    assert looked <= set(names.split("|"))


# ------------------------------------------------------------------------------------- healthy


@contextmanager
def shown(heartbeat: float | None) -> Iterator[int]:
    meter = Meter("judge", "1.0.0")
    if heartbeat is not None:
        meter.set(HEARTBEAT, heartbeat)
    exporter = serve(meter, "127.0.0.1", 0)
    while taken(exporter.port + 1) or taken(exporter.port + 2):  # those are asked as well
        exporter.stop()
        exporter = serve(meter, "127.0.0.1", 0)
    try:
        yield exporter.port
    finally:
        exporter.stop()


def taken(port: int) -> bool:
    with socket.socket() as asked:
        return asked.connect_ex(("127.0.0.1", port)) == 0


def healthy(port: int) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, str(ROOT / "deploy/healthy")],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        env={**os.environ, "LEEWAY_METRICS_PORT": str(port), "LEEWAY_HTTP_PORT": "1"},
    )
    assert done.stderr == ""
    return done.returncode, done.stdout.strip()


def test_a_container_is_healthy_while_its_loop_turns() -> None:
    with shown(time.time()) as port:
        assert healthy(port) == (0, "at work")
    with shown(None) as port:  # it waits for its topics
        assert healthy(port) == (0, "at work")
    with shown(time.time() - 100) as port:
        code, said = healthy(port)
        assert code == 1
        assert re.fullmatch(r"the loop last turned 1\d\d s ago .*", said)
    assert healthy(port) == (1, "nobody listens")


# ------------------------------------------------------------------------------------- compose


def test_compose_starts_every_role_and_what_shows_them() -> None:
    commands = {name: " ".join(of["command"]) for name, of in OURS.items()}
    assert {name for name in ROLES if f"--role {name}" in commands[name]} == set(ROLES)
    assert {"kafka", "prometheus", "grafana"} <= SERVICES.keys()
    assert SERVICES["demo"]["profiles"] == ["demo"]
    known = {command.name for command in COMMANDS}
    for name, command in commands.items():
        words = command.removeprefix("exec leeway ").split()
        assert words[0] in known, name


def test_instances_of_a_scaled_role_have_names_of_their_own() -> None:
    for role in ("profiler", "judge"):
        assert f"--instance {role}-$$HOSTNAME" in SERVICES[role]["command"][0]
        assert "container_name" not in SERVICES[role]
        assert "ports" not in SERVICES[role]
    assert "--instance joiner-1" in SERVICES["joiner"]["command"][0]  # by which its store is found


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_may_do_little_and_listens_to_this_machine_alone(name: str) -> None:
    of = SERVICES[name]
    assert of["cap_drop"] == ["ALL"]
    assert of["security_opt"] == ["no-new-privileges:true"]
    assert of.get("read_only", False) or name == "kafka"  # its start writes its configuration
    assert not of.get("privileged", False)
    assert all(port.startswith("127.0.0.1:") for port in of.get("ports", ()))
    assert of.get("network_mode") in (None, "service:control")
    if name != "demo":
        assert of["restart"] == "unless-stopped"
    assert name in OURS or name == "door" or "healthcheck" in of
    assert ":" in of["image"] or name in OURS  # a pinned release
    for needed in of.get("depends_on", {}):
        assert needed in SERVICES
    for mount in of.get("volumes", ()):
        source = mount.split(":")[0]
        assert (ROOT / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]
        assert mount.endswith(":ro") or not source.startswith(".")


def test_a_role_has_time_to_drain_and_settings_that_it_reads() -> None:
    for name in ROLES:
        of = OURS[name]
        assert int(of["stop_grace_period"].removesuffix("s")) > 30
        settings = {key: text for key, text in of["environment"].items() if key[:6] == "LEEWAY"}
        service = load_service(None, settings)
        assert service.brokers == "kafka:19092"
        # a token would be needed if control listened to more than its own network's loopback
        assert (service.http.host == "127.0.0.1") == (name == CONTROL)


def test_there_is_no_secret_in_it() -> None:
    text = (ROOT / "docker-compose.yml").read_text("utf-8")
    assert not re.search(r"(?i)(password|secret|token)\w*\s*:\s*\S", text)


def test_prometheus_and_grafana_find_what_they_are_given() -> None:
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yaml").read_text("utf-8"))
    stages, control = config["scrape_configs"]
    assert set(stages["dns_sd_configs"][0]["names"]) == set(ROLES) - {CONTROL}
    assert stages["dns_sd_configs"][0]["port"] == ServiceFile().metrics.port
    assert control["static_configs"] == [{"targets": [f"127.0.0.1:{ServiceFile().http.port}"]}]
    assert SERVICES["prometheus"]["network_mode"] == "service:control"
    provisioning = ROOT / "deploy/grafana/provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources/prometheus.yaml").read_text())[
        "datasources"
    ]
    assert source["url"] == "http://control:9090"
    (provider,) = yaml.safe_load((provisioning / "dashboards/leeway.yaml").read_text())["providers"]
    mounts = dict(mount.split(":")[:2] for mount in SERVICES["grafana"]["volumes"])
    assert mounts["./deploy/grafana/dashboards"] == provider["options"]["path"]
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (ROOT / "deploy/grafana/dashboards" / Path(home).name).exists()


def test_the_compose_client_takes_the_file() -> None:
    client = compose_client()
    if client is None:
        pytest.skip(
            "no compose client of version 2: `deploy/compose version` builds one where there is Go"
        )
    done = subprocess.run(
        [
            *(*client, "-f", str(ROOT / "docker-compose.yml"), "--profile", "demo"),
            *("config", "--format", "json"),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["services"].keys() == SERVICES.keys()
    assert "warn" not in done.stderr.lower()


@pytest.mark.kafka
def test_the_image_builds_and_is_not_root() -> None:
    if not docker_answers():
        pytest.skip("no Docker engine answers: the image is not built here")
    import docker
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.image import DockerImage

    with DockerImage(path=str(ROOT), dockerfile_path="deploy/Dockerfile") as image:
        container = DockerContainer(str(image)).with_command("check --help")
        container = container.with_kwargs(read_only=True, tmpfs={"/tmp": ""})
        with container:
            code = container.get_wrapped_container().wait(timeout=60)["StatusCode"]
            shown_text = container.get_logs()[0].decode()
        assert code == 0
        assert "Usage: leeway check" in shown_text
        config = docker.from_env().images.get(str(image)).attrs["Config"]
        assert config["User"] == "10001:10001"
