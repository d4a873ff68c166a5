"""The page on deploying: what it tells to type works, as far as this machine can say."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from streams.control.door import Door
from streams.service import load_service

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/deploying.md").read_text("utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.S)
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))


def test_a_token_is_made_as_the_page_says_and_opens_the_door(tmp_path: Path) -> None:
    (commands,) = (text for kind, text in BLOCKS if kind == "sh" and "/dev/urandom" in text)
    done = subprocess.run(
        ["sh", "-eu", "-c", commands], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    token = done.stdout.strip()
    assert re.fullmatch("[0-9a-f]{64}", token)
    door = Door.at("0.0.0.0", 8080, tmp_path / "tokens")
    assert door.admit("/", {"Host": "leeway", "Authorization": f"Bearer {token}"}) == "grafana"


@pytest.mark.parametrize("text", [text for kind, text in BLOCKS if kind == "yaml"])
def test_a_service_file_on_the_page_is_read(text: str, tmp_path: Path) -> None:
    path, secret = tmp_path / "leeway.yaml", tmp_path / "secret"
    secret.write_text("given")
    path.write_text(text.replace("/run/secrets/kafka", str(secret)))
    assert load_service(path, {}).public_receivers


def test_every_service_file_and_port_that_the_page_names_is_there() -> None:
    for file in re.findall(r"`(deploy/[\w./-]+?)/?`", PAGE):
        assert (ROOT / file).exists(), file
    for role in re.findall(r"--scale (\w+)=", PAGE):
        assert role in COMPOSE["services"]
    for profile in re.findall(r"--profile (\w+)", PAGE):
        assert any(profile in of.get("profiles", ()) for of in COMPOSE["services"].values())
    published = {
        re.sub(r"\$\{\w+:-(\d+)\}", r"\1", port).rpartition(":")[0]
        for of in COMPOSE["services"].values()
        for port in of.get("ports", ())
    }
    table = re.findall(r"\| `(?:http://)?(127\.0\.0\.1:\d+)`", PAGE)
    assert set(table) == published


@pytest.mark.parametrize("text", [text for kind, text in BLOCKS if kind == "sh"])
def test_what_is_typed_is_shell(text: str) -> None:
    subprocess.run(["bash", "-n", "-c", text], check=True, timeout=10)


def test_its_make_targets_are_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    assert set(re.findall(r"(?:`|^)make ([a-z-]+)", PAGE, re.M)) <= targets
