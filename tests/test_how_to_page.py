"""Does docs/how-to.md work? Its lines are typed, one after the other, into a shell beside a running service."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from runpy import run_path
from threading import Event, Thread

import pytest

from streams.client import Emitter
from streams.local_kafka import AnyBroker
from tests.children import ended
from tests.until import until

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "how-to.md").read_text("utf-8")
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text("utf-8")
LIFECYCLE = re.compile(r"```yaml\n(model_lifecycle:.*?)```", re.S)
TYPED = re.compile(r"```sh\n(.*?)```", re.S)
SERVICE_FROM = "## … know why"


def typed(lines: str, folder: Path, **variables: str) -> str:
    """Type lines into a shell that ends at the first failure; what it printed."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", lines],
        cwd=folder,
        env={**os.environ, "PATH": path, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{lines}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the tutorial leaves behind, of shorter times."""
    made = tmp_path_factory.mktemp("how-to")
    script = ROOT / "examples" / "tutorial" / "churn.py"
    (made / "churn.yaml").write_text(LIFECYCLE.findall(TUTORIAL)[0], "utf-8")
    typed(
        f"cp '{script}' .\n"
        "python churn.py table training.parquet --days 3\n"
        "python churn.py table later.parquet --days 1 --first-day 3 --change-on 3\n"
        "leeway baseline churn.yaml --data training.parquet",
        made,
    )
    (made / "shaped.yaml").write_text(LIFECYCLE.findall(PAGE)[0], "utf-8")
    return made


@contextmanager
def service(folder: Path, broker: AnyBroker, prefix: str) -> Iterator[None]:
    """A running service, as in the tutorial."""
    settings = {
        "brokers": broker.bootstrap,
        "topics": {"prefix": f"{prefix}.", "partitions": 2},
        "http": {"port": 0},
        "metrics": {"port": 0},
        "joiner": {"directory": str(folder / "joined")},
    }
    (folder / "leeway.yaml").write_text(json.dumps(settings))
    log = folder / "run.log"
    with log.open("wb") as written:
        running = subprocess.Popen(
            [sys.executable, "-m", "streams.cli", "run", "churn.yaml"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stderr=written,
        )
    with ended(running):
        until(lambda: "console.opened" in log.read_text(), within=timedelta(seconds=60))
        yield


@contextmanager
def traffic(folder: Path, brokers: str, topic: str) -> Iterator[None]:
    """Events as the tutorial's script sends them, an hour of them in a moment, until somebody has seen enough."""
    churn, enough = run_path(str(folder / "churn.py")), Event()
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=600)

    def send() -> None:
        with Emitter(brokers, **churn["MODEL"], topics={"predictions": topic}) as emitter:
            for i in range(599):
                for at, customer in churn["hour"](start + i * timedelta(hours=1), i, change=False):
                    emitter.prediction(
                        customer, prediction="stays", score=churn["model"](customer), timestamp=at
                    )
                if enough.wait(0.5):
                    return

    sender = Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        enough.set()
        sender.join()


def test_lines_that_need_no_service_do_what_they_say(folder: Path) -> None:
    for lines in TYPED.findall(PAGE.split(SERVICE_FROM)[0]):
        typed(lines, folder)


@pytest.mark.kafka
def test_lines_beside_a_running_service_do_what_they_say(
    folder: Path, kafka: AnyBroker, unique: Callable[[str], str]
) -> None:
    prefix = unique("how-to")
    topic = f"{prefix}.predictions"
    with service(folder, kafka, prefix), traffic(folder, kafka.bootstrap, topic):
        typed("until leeway explain churn; do :; done", folder, LEEWAY_BROKERS=kafka.bootstrap)
        said = [
            typed(lines, folder, LEEWAY_BROKERS=kafka.bootstrap)
            for lines in TYPED.findall(PAGE.split(SERVICE_FROM)[1])
        ]
    assert "churn" in said[0]
    assert "prices change tonight" in said[1]
    (token,) = re.findall(r"^(ann:write:[0-9a-f]{64})\n$", (folder / "tokens").read_text())
    assert token
