"""Does what a person wrote as a condition open an episode of its kind, with the severity that was written beside it?"""

from datetime import datetime
from functools import cache
from typing import Any

import pytest

from alerting.settings import Receiver
from detectors.reference.build import Reference
from detectors.samples.methods import METHODS
from streams.broker import Record
from streams.lifecycle import Lifecycle
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
    else:
        one = one | {"features": one["features"] | {"income": one["features"]["income"] + 2}}
    return one | {"latency_ms": 900, "score": one["score"] * 0.6}


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
        ("mean score below 0.45", "performance", "mean_score 0.2"),
        ("income > 0.5", "operational", "income"),
        ("error rate above 10% and mean score below 0.45", "operational", "error_rate 20 %"),
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


# ---- conditions of several tests, and sizes of a change

LONG = range(6, 18)  # windows in which income is shifted
FAILING = range(10, 14)  # windows in which a fifth of the predictions fails


def watching(*conditions: str, retrain: str | None = None) -> Lifecycle:
    """A model of windows of five minutes whose own detector is as good as deaf."""
    alerts = []
    for written in conditions:
        severity, _, condition = written.rpartition(": ")
        alerts.append({"condition": condition, "severity": severity or "Critical"})
        alerts[-1]["channel"] = "PagerDuty"
    asks = [{"name": "own", "trigger": retrain, "action": "retrain"}] if retrain else []
    return lifecycle(
        monitoring={
            "window": {"size": "5m", "pane": "1m", "lateness": "1m"},
            "drift_detection": {"data_drift": {"method": "KS-test", "threshold": "D > 0.9"}},
            "data_quality": {"volume": 0.0001, "silent": "10h"},
            "alerts": alerts,
        },
        retraining={"trigger_conditions": asks},
    )


@cache
def counted() -> tuple[Reference, list[Record]]:
    """Two hours in which income moves for one, and a part of the predictions fails for a part of that."""
    of = watching()
    built = reference(of, stream(4_000, seed=9, start_ms=START_MS - 20 * HOUR_MS, latency_ms=12))
    events = []
    for n in range(WINDOWS):
        shift, failing = 1.5 if n in LONG else 0.0, n in FAILING
        start = START_MS + n * WINDOW_MS
        rows = stream(300, seed=n, start_ms=start, step_ms=1_000, shift=shift, latency_ms=12)
        events += [
            one | {"status": "error"} if failing and i % 5 == 0 else one
            for i, one in enumerate(rows)
        ]
    log = logged(events, (of, built))
    profile(log, limit=300, commit_after=300)
    return built, log.read("leeway.profiles")


def moved(
    *conditions: str, retrain: str | None = None, cut: int = 0
) -> dict[str, list[dict[str, Any]]]:
    """What a judge tells of them under these conditions, or what two do of which one reads the first `cut` records."""
    built, profiles = counted()
    log = logged([], (watching(*conditions, retrain=retrain), built))
    for part in (profiles[:cut], profiles[cut:]):
        for record in part:
            log.append(record.topic, record.value, record.key, partition=record.partition)
        judge(log, [PAGER])
    return {kind: documents(log, kind) for kind in ("alerts", "retraining")}


def window_of(document: dict[str, Any], at: str = "at") -> int:
    """Which window ended when this was told."""
    time = datetime.fromisoformat(document[at]).timestamp() * 1000
    return int(time - START_MS) // WINDOW_MS - 1


def of_kind(told: dict[str, list[dict[str, Any]]], kind: str) -> list[dict[str, Any]]:
    return [alert for alert in told["alerts"] if alert["kind"] == kind]


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("psi(income) > 0.5", "PSI of income "),
        ("js(income) > 0.2", "Jensen-Shannon of income "),
        ("ks(income) > 0.3", "KS"),
    ],
)
def test_a_size_beyond_a_line_of_one_s_own_opens_data_drift(condition: str, said: str) -> None:
    opened, *rest = of_kind(moved(condition), "data_drift")
    assert (opened["change"], opened["severity"]) == ("opened", "critical")
    assert opened["summary"].startswith(said)
    assert opened["affected"][0]["series"] == "feature:income"
    assert window_of(opened) == LONG.start + 1, "two windows of three, as rules wait"
    assert [alert["change"] for alert in rest] == ["resolved"]
    assert window_of(rest[0]) == LONG.stop


def test_of_too_few_rows_for_a_method_nothing_is_said() -> None:
    assert METHODS["wasserstein"].least_rows > 300
    assert of_kind(moved("wasserstein(income) > 0.1"), "data_drift") == []


def test_how_long_a_size_must_last_is_what_was_written() -> None:
    (opened, *_) = of_kind(moved("psi(income) > 0.5 for 20m"), "data_drift")
    assert window_of(opened) == LONG.start + 3
    assert of_kind(moved("psi(income) > 0.5 for 90m"), "data_drift") == []


def test_a_size_within_its_line_opens_nothing() -> None:
    assert of_kind(moved("psi(income) > 5"), "data_drift") == []


def test_tests_joined_by_and_open_when_the_last_of_them_holds() -> None:
    condition = "psi(income) > 0.5 and error_rate > 10% for 1 of 1 windows"
    opened, *rest = of_kind(moved(condition), "data_drift")
    assert window_of(opened) == FAILING.start
    assert "error_rate" in opened["summary"]
    assert (rest[-1]["change"], window_of(rest[-1])) == ("resolved", FAILING.stop)


def test_what_joins_is_the_kind_of_the_first_test() -> None:
    told = moved("error_rate > 10% and psi(income) > 0.5 for 1 of 1 windows")
    assert of_kind(told, "data_drift") == []
    opened, *_ = of_kind(told, "operational")
    # health is judged before inputs: what they say is known one window later
    assert window_of(opened) in (FAILING.start, FAILING.start + 1)
    assert opened["severity"] == "critical"


def test_a_test_that_never_holds_keeps_all_back() -> None:
    told = moved("psi(income) > 0.5 and error_rate > 90%", "error_rate > 10% and operational")
    assert of_kind(told, "data_drift") == []
    assert of_kind(told, "operational") == []


def test_an_open_problem_is_a_test_as_well() -> None:
    told = moved("error_rate > 10%", "psi(income) > 0.5 and operational for 1 of 1 windows")
    assert window_of(of_kind(told, "data_drift")[0]) in range(FAILING.start, FAILING.stop)


def test_a_kind_that_must_last_changes_its_severity_only_then() -> None:
    told = of_kind(
        moved("Warning: psi(income) > 0.5 for 1 of 1 windows", "data drift for 20m"), "data_drift"
    )
    found = [(alert["change"], alert["severity"], window_of(alert)) for alert in told[:2]]
    assert found == [
        ("opened", "warning", LONG.start),
        ("escalated", "critical", LONG.start + 3),
    ]


@pytest.mark.parametrize("window", [LONG.start + 2, FAILING.start + 1])
def test_a_judge_that_takes_over_in_between_tells_the_same(window: int) -> None:
    conditions = "psi(income) > 0.5 for 20m", "error_rate > 10% and psi(income) > 0.5"
    cut = len(counted()[1]) * window // WINDOWS
    assert moved(*conditions, cut=cut) == moved(*conditions)
    assert moved(*conditions)["alerts"]


def test_a_size_that_lasts_asks_for_retraining_once() -> None:
    told = moved(retrain="psi(income) > 0.5")
    names = [trigger["status"]["name"] for trigger in told["retraining"]]
    assert names == ["requested", "approved"]
    first = told["retraining"][0]
    assert first["reason"]["code"] == "data_drift"
    assert first["reason"]["summary"].startswith("PSI of income")
    assert window_of(first["status"]) == LONG.start + 1


def test_tests_joined_by_and_ask_for_retraining_when_all_of_them_hold() -> None:
    told = moved(retrain="error_rate > 10% and psi(income) > 0.5 for 1 of 1 windows")
    assert [t["status"]["name"] for t in told["retraining"]] == ["requested", "approved"]
    assert window_of(told["retraining"][0]["status"]) == FAILING.start
