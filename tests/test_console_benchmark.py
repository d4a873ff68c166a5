"""The benchmark of the console, small: it writes, starts control, asks, opens pages, and says whether limits hold."""

import shutil
import time

import pytest

from benchmarks.console import HOUR_MS, measure
from streams.local_kafka import AnyBroker
from tests.streams.fleet import Fleet

pytestmark = pytest.mark.kafka
NEEDED = pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")


@NEEDED
def test_every_figure_is_measured_and_memory_and_bytes_are_within_their_limits(
    kafka: AnyBroker,
) -> None:
    fleet = Fleet(7, 12, 2, time.time_ns() // 1_000_000 // HOUR_MS * HOUR_MS)
    figures = list(measure(kafka.bootstrap, fleet, requests=60, connections=2, opens=1))
    assert [one.benchmark for one in figures if one.met is not None] == [
        *("API", "PAGE", "PAGE", "PAGE", "MEMORY"),
    ], "an API path was not answered, or a page is missing"
    (memory,) = (one for one in figures if one.benchmark == "MEMORY")
    assert memory.met, memory.measured  # times are not judged here: other tests run beside this one
