"""Do pyproject.toml, the locks, the changelog and the files for setting up say the same thing?"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from streams.local_kafka.settings import IMAGE

ROOT = Path(__file__).resolve().parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = {
    name: (ROOT / name).read_text() for name in ("requirements.lock", "deploy/requirements.lock")
}
# A pin: name, version, marker, and hashes on lines of their own.
PIN = re.compile(
    r"^(?P<name>[a-z0-9-]+)==(?P<version>\S+)(?: ; (?P<marker>[^\\]+))? \\\n(?P<hashes>(?:    --hash=.*\n?)+)",
    re.M,
)


def pins(lock: str) -> dict[str, re.Match[str]]:
    return {found["name"]: found for found in PIN.finditer(LOCKS[lock])}


def asked(*, everything: bool) -> list[Requirement]:
    lines = list(PROJECT["project"]["dependencies"])
    if everything:
        for group in (
            *PROJECT["project"]["optional-dependencies"].values(),
            *PROJECT["dependency-groups"].values(),
            PROJECT["build-system"]["requires"],
        ):
            lines += group
    return [Requirement(line) for line in lines]


@pytest.mark.parametrize(
    ("lock", "everything"), [("requirements.lock", True), ("deploy/requirements.lock", False)]
)
def test_every_direct_dependency_is_pinned_to_a_version_it_allows(
    lock: str, *, everything: bool
) -> None:
    found = pins(lock)
    for requirement in asked(everything=everything):
        pin = found.get(canonicalize_name(requirement.name))
        assert pin, f"{lock} lacks {requirement.name}: make lock"
        assert requirement.specifier.contains(pin["version"]), f"{requirement}: {pin['version']}"


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_has_pins_with_hashes_and_nothing_else(lock: str) -> None:
    assert PIN.sub("", LOCKS[lock]).strip() == ""
    for pin in pins(lock).values():
        assert all(
            re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?", line)
            for line in pin["hashes"].splitlines()
        ), pin["name"]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_place_to_get_things_from(lock: str) -> None:
    assert not re.search(
        r"://|@|index|find-links|\.(com|org|net|io)\b", LOCKS[lock].replace("hash=", "")
    )


def test_the_container_runs_the_versions_that_were_tested() -> None:
    tested = pins("requirements.lock")
    for name, pin in pins("deploy/requirements.lock").items():
        assert (name, pin["version"]) == (name, tested[name]["version"])


def test_what_is_installed_is_what_is_pinned() -> None:
    from importlib.metadata import PackageNotFoundError, version

    for name, pin in pins("requirements.lock").items():
        if pin["marker"] and not Marker(pin["marker"]).evaluate():
            continue
        try:
            installed = version(name)
        except PackageNotFoundError:
            pytest.fail(f"{name} is pinned and not installed: make setup")
        assert (name, installed) == (name, pin["version"])


def test_the_changelog_begins_with_the_version() -> None:
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert newest
    assert newest[1] == PROJECT["project"]["version"]


def test_every_change_says_what_kind_it_is() -> None:
    lines = re.findall(r"^\* .*", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert lines
    for line in lines:
        assert re.match(r"\* \[(CHANGE|FEATURE|FIX)\] \S", line), line


def test_every_target_of_the_makefile_is_declared_phony() -> None:
    text = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^([a-z-]+):", text, re.M)
    phony = re.search(r"^\.PHONY: (.*)$", text, re.M)
    assert phony
    assert sorted(targets) == sorted(phony[1].split())


def test_ci_ends_with_the_tests() -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    assert lines[-1] == "exec make test"
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_compose_and_the_tests_run_the_same_kafka_and_only_loopback_is_open() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    assert services["kafka"]["image"] == IMAGE
    for name, service in services.items():
        assert all(str(port).startswith("127.0.0.1:") for port in service.get("ports", [])), name
    ours = [service for service in services.values() if service["image"] == "leeway"]
    assert ours
    assert all(service["build"]["dockerfile"] == "deploy/Dockerfile" for service in ours)


def _bin(folder: Path, **scripts: str) -> dict[str, str]:
    """An environment whose PATH has these scripts and what a shell script needs, and nothing else."""
    for tool in ("cat", "cksum", "dirname", "sh", "rm"):
        found = shutil.which(tool)
        assert found
        (folder / tool).symlink_to(found)
    for name, text in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    return {"PATH": str(folder), "HOME": str(folder)}


def _setup(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "deploy" / "setup", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_setting_up_without_a_python_that_is_new_enough_says_how_to_get_one(tmp_path: Path) -> None:
    old = '[ "$1" = --version ] && echo Python 3.10.13 || exit 1'
    ended = _setup(_bin(tmp_path, python3=old))
    assert ended.returncode == 3
    assert "Python 3.11 or newer is needed; here there is Python 3.10.13" in ended.stderr
    for system in ("Debian", "Fedora", "macOS"):
        assert system in ended.stderr


def test_setting_up_without_ensurepip_names_the_package_that_has_it(tmp_path: Path) -> None:
    crippled = f'case "$2" in *ensurepip*) exit 1;; esac; exec {sys.executable} "$@"'
    ended = _setup(_bin(tmp_path, python3=crippled))
    assert ended.returncode == 3
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert f"sudo apt install python{version}-venv" in ended.stderr


def test_setting_up_without_any_way_to_a_kafka_names_all_of_them(tmp_path: Path) -> None:
    ended = _setup(_bin(tmp_path, python3=f'exec {sys.executable} "$@"'), "--kafka")
    assert ended.returncode == 3
    for way in ("Java 17", "Docker", "LEEWAY_BROKERS"):
        assert way in ended.stderr
    assert "Traceback" not in ended.stderr


def test_asking_for_a_kafka_needs_the_standard_library_only(tmp_path: Path) -> None:
    script = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import streams.local_kafka"
    ended = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert ended.returncode == 0, ended.stderr
