"""Do dates, labels and conditions on outcomes ask for a retraining in the windows in which they should?"""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

import pytest

from streams.broker import Record
from streams.lifecycle import Lifecycle
from tests.builders import START_MS, documents, judge, lifecycle
from tests.labelled import DAY_MS, DAYS, WORSE, built, logged, profile, story, watched

Triggers = list[dict[str, Any]]


def alone(alerts: Sequence[dict[str, Any]] = (), **retraining: Any) -> Lifecycle:
    """The labelled model without its segments."""
    said = watched().normalised()
    return lifecycle(
        source=said["source"],
        prediction=said["prediction"],
        monitoring=said["monitoring"] | {"alerts": list(alerts)},
        retraining=retraining,
    )


@cache
def profiles() -> list[Record]:
    """Twelve days with labels, of which three go wrong."""
    log = logged(story(), (alone(), built()))
    profile(log)
    return log.read("leeway.profiles")


def told(of: Lifecycle, topic: str) -> list[dict[str, Any]]:
    """What a judge says of them."""
    log = logged([], (of, built()))
    for record in profiles():
        log.append(record.topic, record.value, record.key, partition=record.partition)
    judge(log)
    return documents(log, topic)


def asked(*conditions: dict[str, Any], **guards: Any) -> Triggers:
    """What is asked for."""
    return told(alone(trigger_conditions=list(conditions), guards=guards), "retraining")


def day(document: dict[str, Any]) -> float:
    """When something was told, in days since the start."""
    return (datetime.fromisoformat(document["at"]).timestamp() * 1000 - START_MS) / DAY_MS


def requests(found: Triggers) -> list[tuple[str, float]]:
    return [
        (t["reason"]["code"], day(t["status"])) for t in found if t["status"]["name"] == "requested"
    ]


def test_every_day_asks_once_on_its_first_window() -> None:
    daily = {"trigger": "Scheduled: Daily", "action": "evaluate"}
    found = asked(daily, cooldown="1h", at_most="99 per 7 days")
    assert requests(found) == [("schedule", float(n)) for n in range(1, DAYS + 3)]


def test_so_many_new_labels_ask_again_and_again() -> None:
    often = {"trigger": "new labels >= 1000", "action": "retrain"}
    found = asked(often, cooldown="1h", at_most="99 per 7 days", start_within="1h")
    codes = {code for code, _ in requests(found)}
    assert codes == {"new_labels"}
    assert len(requests(found)) == 4, "4,800 labels, of which some never become known"
    assert all(t["training_window"]["labelled"] >= 1_000 for t in found)


@pytest.mark.parametrize(
    ("trigger", "asks"),
    [
        ("accuracy < 0.75 and label_coverage > 10%", True),
        ("accuracy < 0.75 and data drift", False),
        ("accuracy < 0.75 and label_lag > 10d", False),
        ("concept drift and accuracy < 0.8", True),
    ],
)
def test_tests_of_outcomes_joined_by_and_ask_while_all_of_them_hold(
    trigger: str, asks: bool
) -> None:
    found = requests(asked({"trigger": trigger, "action": "retrain"}))
    assert bool(found) == asks
    for _, at in found:
        assert WORSE.start < at <= WORSE.stop + 2


def test_a_compound_of_outcomes_opens_an_episode() -> None:
    alert = {"condition": "recall < 0.8 and accuracy < 0.8", "severity": "Critical"}
    (opened,) = [a for a in told(alone([alert]), "alerts") if a["kind"] == "performance"]
    assert (opened["change"], opened["severity"], day(opened)) == ("opened", "critical", 9.0)
