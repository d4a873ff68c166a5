import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.identity import (
    alert_id,
    derived,
    episode_id,
    notification_id,
    result_id,
    rfc3339,
    trigger_event_id,
    trigger_id,
)
from alerting.types import Subject
from tests.alerting.builders import GOLDEN, HOUR, SEVEN, SUBJECT

MIDNIGHT = SEVEN - 7 * HOUR


def golden(name: str) -> Any:
    return json.loads((GOLDEN / f"{name}.json").read_text())


def test_vector_of_the_contract_is_met() -> None:
    assert trigger_id("loan-default", "2.3.1", "recall-floor", "performance", 1772409600000) == (
        "rt-4c64a8ea292d618f167bbde418b75f8a2a8bc9c2"
    )


def test_ids_of_the_contract_s_alert_can_be_recomputed() -> None:
    alert = golden("alert")
    assert alert["episode_id"] == episode_id(SUBJECT, "data_drift", SEVEN)
    assert alert["alert_id"] == alert_id(alert["episode_id"], 1)
    assert alert["evidence"]["result_id"] == result_id(SUBJECT, "inputs", SEVEN - HOUR, SEVEN)


@pytest.mark.parametrize("channel", ["slack", "pagerduty", "email"])
def test_ids_of_the_contract_s_notifications_can_be_recomputed(channel: str) -> None:
    notification = golden(f"{channel}_notification")
    kind, opened = ("data_drift", SEVEN) if channel == "slack" else ("performance", MIDNIGHT)
    assert notification["episode_id"] == episode_id(SUBJECT, kind, opened)  # type: ignore[arg-type]
    assert notification["alert_id"] == alert_id(notification["episode_id"], 1)
    assert notification["idempotency_key"] == notification_id(notification["alert_id"], channel)


def test_ids_of_the_contract_s_trigger_can_be_recomputed() -> None:
    trigger = golden("trigger")
    episode = episode_id(SUBJECT, "performance", MIDNIGHT)
    day = result_id(SUBJECT, "outcomes", MIDNIGHT - 24 * HOUR, MIDNIGHT)
    assert trigger["trigger_id"] == trigger_id(
        "loan-default", "2.3.1", "recall-floor", "performance", MIDNIGHT
    )
    assert trigger["reason"]["episode_id"] == episode
    assert trigger["evidence"]["alert_ids"] == [alert_id(episode, 1)]
    assert trigger["evidence"]["result_ids"] == [day]


@given(st.lists(st.text(max_size=20) | st.integers(), min_size=1, max_size=5))
def test_an_id_is_legal_everywhere_and_differs_with_its_prefix(parts: list[str | int]) -> None:
    found = derived("ep", *parts)
    assert len(found) == 43
    assert set(found[3:]) <= set("0123456789abcdef")
    assert found != derived("al", *parts)


def test_parts_are_not_run_together() -> None:
    assert derived("ep", "a", "bc") != derived("ep", "ab", "c")
    assert trigger_event_id("rt-1", 1) != trigger_event_id("rt-1", 2)
    assert episode_id(Subject("m", "1", "x"), "pipeline", 0) != episode_id(
        Subject("m", "1"), "pipeline", 0
    )


@given(st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2099, 12, 31)))  # noqa: DTZ001
def test_times_say_the_very_millisecond(time: datetime) -> None:
    exact = time.replace(microsecond=time.microsecond // 1000 * 1000, tzinfo=UTC)
    said = rfc3339(round(exact.timestamp() * 1000))
    assert said.endswith("Z")
    assert len(said) == 24
    assert datetime.fromisoformat(said) == exact
