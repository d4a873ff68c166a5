"""Does what a person wrote as a condition open an episode of its kind, with the severity that was written beside it?"""

from typing import Any

import pytest

from alerting.settings import Receiver
from streams.memory import MemoryLog
from tests.builders import (
    HOUR_MS,
    MINUTE_MS,
    START_MS,
    documents,
    judge,
    lifecycle,
    logged,
    profile,
    reference,
    stream,
)

WINDOW_MS, WINDOWS = 5 * MINUTE_MS, 24
BAD = range(8, 14)
PAGER = Receiver("pagerduty", "pagerduty")


def bad(one: dict[str, Any], n: int, i: int) -> dict[str, Any] | None:
    """An event of a window in which something is wrong; None: it does not come."""
    if n not in BAD:
        return one
    if i % 5 == 0:
        one = one | {"features": {"income": None, "home": "rent"}, "status": "error"}
    return one | {"latency_ms": 900}


def told(condition: str, *, silent: bool = False) -> list[dict[str, Any]]:
    """The alerts of a stream that was bad for half an hour, or did not come, with this condition."""
    of = lifecycle(
        monitoring={
            "window": {"size": "1h", "pane": "1m", "lateness": "1m"},
            "data_quality": {"missing": "90 points", "volume": 0.0001, "silent": "10h"},
            "alerts": [{"condition": condition, "severity": "Critical", "channel": "PagerDuty"}],
        }
    )
    built = reference(of, stream(4_000, seed=9, start_ms=START_MS - 20 * HOUR_MS, latency_ms=12))
    events = []
    for n in range(WINDOWS):
        if silent and n in BAD:
            continue
        rows = stream(300, seed=n, start_ms=START_MS + n * WINDOW_MS, step_ms=1_000, latency_ms=12)
        events += [e for i, one in enumerate(rows) if (e := one if silent else bad(one, n, i))]
    log: MemoryLog = logged(events, (of, built))
    profile(log)
    judge(log, [PAGER])
    return documents(log, "alerts")


@pytest.mark.parametrize(
    ("condition", "kind", "said"),
    [
        ("missing(income) > 5%", "data_quality", "income missing in 20 %"),
        ("error rate above 10%", "operational", "error_rate 20 %"),
        ("latency p99 above 500 ms", "operational", "latency_p99"),
        ("availability drops below 90% for 1 of 2 windows", "operational", "availability 80 %"),
    ],
)
def test_a_condition_on_what_is_counted_opens_an_episode_of_its_kind(
    condition: str, kind: str, said: str
) -> None:
    opened, *rest = [a for a in told(condition) if a["kind"] == kind]
    assert (opened["change"], opened["severity"]) == ("opened", "critical")
    assert opened["summary"].lower().startswith(said)
    assert opened["delivery"]["receivers"] == ["pagerduty"]
    assert rest[-1]["change"] == "resolved"


def test_how_long_a_condition_must_hold_is_what_was_written() -> None:
    def opened(condition: str) -> str:
        return str(next(a["at"] for a in told(condition) if a["kind"] == "operational"))

    at_once = opened("error rate above 10% for 1 of 1 windows")
    usual = opened("error rate above 10%")
    later = opened("error rate above 10% for 20m")
    assert at_once < usual < later


def test_silence_that_a_condition_names_is_told_when_events_come_back() -> None:
    opened, *rest = [
        a for a in told("no predictions for 15m", silent=True) if a["kind"] == "operational"
    ]
    assert (opened["change"], opened["severity"]) == ("opened", "critical")
    assert opened["summary"].startswith("No predictions for 20m, limit 15m")
    assert rest[-1]["change"] == "resolved"
