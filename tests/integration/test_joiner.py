"""Does the joiner, run as people run it, count each label once whatever is killed, and say what must be changed?"""

import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from benchmarks import joiner as benchmark
from streams.kafka.admin import create_topics
from streams.local_kafka import AnyBroker
from streams.supervisor import leeway
from streams.topics import Names

pytestmark = pytest.mark.kafka


def test_killed_joiners_that_lose_their_stores_count_as_pandas_does(
    kafka: AnyBroker, capfd: pytest.CaptureFixture[str]
) -> None:
    code = benchmark.run(kafka, events=30_000, kills=3, seed=7, timed=False)
    said = capfd.readouterr()
    assert code == 0, said.out + said.err
    assert "and its store deleted" in said.out


def test_unequal_partitions_are_refused_with_what_to_change(
    kafka: AnyBroker, unique: Callable[[str], str], tmp_path: Path
) -> None:
    names = Names(f"{unique('unequal')}.")
    properties = {"bootstrap.servers": kafka.bootstrap}
    sources = {names("predictions"): 3, names("labels"): 2}
    create_topics(properties, names, partitions=2, more=sources)
    benchmark.register(kafka.bootstrap, names, tuple(sources))
    config = tmp_path / "leeway.yaml"
    config.write_bytes(
        msgspec.json.encode(
            {
                "brokers": kafka.bootstrap,
                "topics": {"prefix": names.prefix, "partitions": 2},
                "joiner": {"directory": str(tmp_path / "stores")},
            }
        )
    )
    ended = subprocess.run(
        leeway("run", "--role", "joiner", "--config", str(config)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert "has 2 partitions" in ended.stderr
    assert f"create {names('labels')} anew with 3 partitions" in ended.stderr
