"""Do the producers in examples/producers send what Leeway reads, each in the way its own world runs it?"""

import asyncio
import csv
import json
import os
import runpy
import shutil
import subprocess
import sys
import types
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from streams.local_kafka import AnyBroker
from streams.local_kafka.in_java import jars
from tests.producing import Producers
from tests.streams.test_client_kafka import PARTITIONS, create, records

EXAMPLES = Path(__file__).resolve().parents[1] / "examples" / "producers"


class StandIn:
    """As much of FastAPI as the example needs, which is not among what tests install."""

    def __init__(self, lifespan: Any) -> None:
        self.state = types.SimpleNamespace()
        self.lifespan = lifespan
        self.routes: dict[str, Any] = {}

    def post(self, path: str) -> Any:
        return lambda answer: self.routes.setdefault(path, answer)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> types.SimpleNamespace:
    """The example, on a FastAPI that only stands in, and an emitter whose events are kept."""
    standing = types.SimpleNamespace(FastAPI=StandIn, Request=object)
    monkeypatch.setitem(sys.modules, "fastapi", standing)
    producers = Producers()
    made = runpy.run_path(str(EXAMPLES / "fastapi_server.py"))
    emitter_of = made["Emitter"]
    made["lifespan"].__wrapped__.__globals__["Emitter"] = lambda *where, **how: emitter_of(
        *where, **how, producer=producers, strict=True
    )
    return types.SimpleNamespace(**made, producers=producers)


def asked(server: types.SimpleNamespace, **customer: Any) -> Any:
    """What the example answers to a request, from its start to its end."""

    async def whole() -> Any:
        async with server.lifespan(server.app):
            request = types.SimpleNamespace(app=server.app)
            return await server.app.routes["/predict"](server.Customer(**customer), request)

    return asyncio.run(whole())


def test_the_server_answers_with_the_id_under_which_it_told(server: types.SimpleNamespace) -> None:
    answer = asked(server, tenure_days=10, plan="basic")
    (event,) = server.producers.events
    assert answer == {"prediction": "leaves", "event_id": event["event_id"]}
    assert event["features"] == {"tenure_days": 10, "plan": "basic", "monthly_fee": None}
    assert (event["score"], event["tags"]) == (0.8, {"channel": "web"})


def test_the_server_tells_a_failure_too(server: types.SimpleNamespace) -> None:
    with pytest.raises(ValueError, match="future"):
        asked(server, tenure_days=-1, plan="basic")
    assert server.producers.events[0]["status"] == "error"


def test_the_spark_job_is_python() -> None:
    """No more is known of it here: Spark is not among what tests install."""
    compile((EXAMPLES / "spark.py").read_text("utf-8"), "spark.py", "exec")


# ------------------------------------------------------------------------------- on a real Kafka


def run(*command: str, **environment: str) -> str:
    done = subprocess.run(
        command,
        env=os.environ | {"PYTHONPATH": str(EXAMPLES.parents[1])} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.kafka
def test_the_batch_job_and_the_labels_after_it_arrive_whole(
    kafka: AnyBroker, unique: Callable[[str], str], tmp_path: Path
) -> None:
    predictions, labels = unique("predictions"), unique("labels")
    create(kafka.bootstrap, predictions, labels)
    table = pd.DataFrame(
        {
            "tenure_days": range(25_000),
            "plan": ["basic", "plus"] * 12_500,
            "monthly_fee": [None, 9.99] * 12_500,
        }
    )
    customers, scored = str(tmp_path / "customers.parquet"), str(tmp_path / "scored.parquet")
    table.to_parquet(customers)
    python = (sys.executable, str(EXAMPLES / "batch.py"))
    run(*python, customers, scored, "--brokers", kafka.bootstrap, "--topic", predictions)
    sent = records(kafka.bootstrap, predictions)
    ids = pd.read_parquet(scored)["event_id"].tolist()
    assert sorted((r.key or b"").decode() for r in sent) == sorted(ids)
    assert len(set(ids)) == 25_000
    outcomes = tmp_path / "outcomes.csv"
    with outcomes.open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["event_id", "label", "known_at"])
        lines.writerows([one, "leaves", "2026-03-02T07:00:00+01:00"] for one in ids[:500])
    python = (sys.executable, str(EXAMPLES / "labels.py"))
    run(*python, str(outcomes), "--brokers", kafka.bootstrap, "--topic", labels)
    told = records(kafka.bootstrap, labels)
    assert {json.loads(r.value or b"")["event_id"] for r in told} == set(ids[:500])
    assert json.loads(told[0].value or b"")["timestamp"] == 1_772_431_200_000


@pytest.mark.kafka
def test_the_java_server_puts_events_where_pythons_labels_go(
    kafka: AnyBroker, unique: Callable[[str], str], tmp_path: Path
) -> None:
    libs = jars()
    if not shutil.which("javac") or not libs.is_dir():
        pytest.skip("needs a JDK 17, and the jars that `leeway broker` fetches with Maven")
    topic = unique("java")
    create(kafka.bootstrap, topic)
    run("javac", "-cp", f"{libs}/*", "-d", str(tmp_path), str(EXAMPLES / "Scored.java"))
    printed = run(
        "java",
        "-XX:TieredStopAtLevel=1",
        *("-cp", f"{libs}/*{os.pathsep}{tmp_path}", "Scored", kafka.bootstrap, topic, "1000"),
    )
    assert printed == "1000 delivered, 0 lost\n"
    found = records(kafka.bootstrap, topic)
    for record in found:
        assert record.partition == zlib.crc32(record.key or b"") % PARTITIONS
    features = [json.loads(record.value or b"")["features"] for record in found]
    assert sorted(f["tenure_days"] for f in features) == list(range(1_000))
    assert sum(f["monthly_fee"] is None for f in features) == 100
