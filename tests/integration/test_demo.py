import json
import subprocess
from datetime import timedelta

import pytest

from streams.local_kafka import AnyBroker
from streams.supervisor import leeway

WITHIN = timedelta(seconds=150)  # it promises 90 s on a machine that does nothing else


@pytest.mark.kafka
def test_the_demonstration_finds_what_it_planned_and_raises_nothing_before(
    kafka: AnyBroker,
) -> None:
    done = subprocess.run(
        leeway("demo", "--json", "--brokers", kafka.bootstrap),
        capture_output=True,
        text=True,
        check=False,
        timeout=WITHIN.total_seconds(),
    )
    assert done.returncode == 0, done.stderr or done.stdout
    told = json.loads(done.stdout)
    assert [phase["fits"] for phase in told["phases"]] == [True] * 6
    assert told["phases"][0]["found"] == "nothing was raised"
    assert done.stderr == ""
