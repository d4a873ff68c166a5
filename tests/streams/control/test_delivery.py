"""What control makes of deliveries: records, shared causes, digests, metrics, and who can be sent to at all."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from alerting.deliver.items import Delivery, Item, Key
from alerting.identity import digest_id, rfc3339, shared_id
from alerting.settings import DAY_MS, Receiver
from alerting.types import Alert
from alerting.types import Delivery as Heard
from streams.control import samples
from streams.control.daybook import Daybook
from streams.control.outgoing import reachable
from streams.control.shared_causes import GATHER_MS, Drifts
from streams.errors import UsageError
from streams.metrics import exposition
from streams.service import load_service
from streams.views.deliveries import Delivering, decode, encode, key_of
from streams.views.read import ReadModel
from tests.streams.control.test_api import ask
from tests.streams.published import NAMES, NOW_MS, alert, read_model, record, result
from tests.vendors import slack

HOUR = 3_600_000
GOLDEN = Path(__file__).resolve().parents[2] / "alerting" / "golden" / "alert.json"
SLACK, MAIL = Receiver("slack", "slack", "#ml"), Receiver("mail", "email", to=("a@example.org",))
PAGER = Receiver("pagerduty", "pagerduty")
EIGHT_MS = 1_772_438_400_000  # 2026-03-02T08:00:00Z


def published(
    model: str = "loans",
    sequence: int = 1,
    *,
    at_ms: int = NOW_MS,
    receivers: Iterable[str] = ("slack",),
    silenced_by: str | None = None,
    **changed: Any,
) -> Alert:
    one: Alert = msgspec.json.decode(GOLDEN.read_bytes(), type=Alert)
    return replace(
        one,
        alert_id=f"al-{model}-{sequence}",
        episode_id=f"ep-{model}",
        sequence=sequence,
        at=rfc3339(at_ms),
        model=replace(one.model, id=model),
        delivery=Heard(tuple(receivers), None, silenced_by, None),
        **changed,
    )


def delivery(
    receiver: str = "slack", episode: str = "ep-1", sequence: int = 1, **more: Any
) -> Delivery:
    usual: dict[str, Any] = {
        "channel": "slack",
        "model_id": "loans",
        "state": "sent",
        "change": "opened",
        "severity": "warning",
        "at_ms": NOW_MS,
    }
    return Delivery(receiver, episode, sequence=sequence, **(usual | more))


def folded(*deliveries: Delivery) -> ReadModel:
    return read_model(
        *(
            record("deliveries", str(one.key), encode(one)[1], offset)
            for offset, one in enumerate(deliveries)
        )
    )


# --- records --------------------------------------------------------------------------------------


def test_a_delivery_comes_back_from_its_record_as_it_was() -> None:
    one = delivery(
        attempts=3,
        last_error="status 500",
        first_attempt_ms=NOW_MS - 5,
        next_attempt_ms=NOW_MS + 7,
        slack_ts="C1/17.5",
        told=1,
        reached=True,
        fallback="ops | night",
    )
    key, value = encode(one)
    assert (key_of(key), decode(value)) == (one.key, one)
    assert json.loads(value)["next_attempt_at"] == rfc3339(NOW_MS + 7)


def test_the_newest_record_counts_and_a_null_forgets() -> None:
    read = folded(delivery(state="waiting"), delivery(sequence=2))
    assert read.deliveries[Key("slack", "ep-1")].sequence == 2
    read.fold(record("deliveries", "slack|ep-1", None, 2))
    assert read.deliveries == {}


def test_who_speaks_too_late_takes_nothing_back() -> None:
    read = folded(delivery(sequence=2), delivery(sequence=1), delivery(sequence=2, state="waiting"))
    assert read.deliveries[Key("slack", "ep-1")] == delivery(sequence=2)


def test_a_record_that_is_none_is_counted_and_changes_nothing() -> None:
    read = read_model(record("deliveries", "slack|ep-1", {"sequence": "one"}))
    assert read.deliveries == {}
    assert sum(read.unreadable[NAMES("deliveries")].values()) == 1


def test_deliveries_are_listed_newest_first_and_by_receiver() -> None:
    read = folded(delivery(), delivery("mail", at_ms=NOW_MS + 5), delivery("slack", "ep-2"))
    items = ask(read, "/deliveries")["items"]
    assert [(one["receiver"], one["episode_id"]) for one in items] == [
        ("mail", "ep-1"),
        ("slack", "ep-2"),
        ("slack", "ep-1"),
    ]
    assert items[0]["state"] == "sent"
    assert len(ask(read, "/deliveries", receiver="slack")["items"]) == 2


def test_metrics_tell_what_waits_what_rests_and_what_was_kept_back() -> None:
    kept = alert(1) | {"delivery": {"receivers": ["slack"], "silenced_by": "si-1"}}
    read = read_model(record("alerts", "loans", kept), record("alerts", "loans", kept, 1))
    doing = Delivering({"slack": True}, {"slack": NOW_MS}, {"superseded": 3})
    lines = exposition(samples.of_delivery(read, doing))[0].decode().splitlines()
    assert {
        'leeway_notifications_suppressed_total{reason="silence"} 1.0',
        'leeway_notifications_suppressed_total{reason="superseded"} 3.0',
        'leeway_notifications_suppressed_total{reason="flapping"} 0.0',
        'leeway_circuit_open{receiver="slack"} 1.0',
        'leeway_notification_oldest_timestamp_seconds{receiver="slack"} 1.7724456e+09',
    } <= set(lines)


# --- shared causes --------------------------------------------------------------------------------


class Told(dict[Key, int]):
    def __call__(self, key: Key) -> int:
        return self.get(key, 0)


def drifts(*models: str, told: Told | None = None, minutes: int = 1) -> Drifts:
    found = Drifts((SLACK, MAIL, PAGER), None, told or Told())
    for number, model in enumerate(models):
        at_ms = NOW_MS + number * minutes * 60_000
        found.heard(published(model, at_ms=at_ms, receivers=("slack", "pagerduty")), at_ms)
    return found


def notes(items: Iterable[Item]) -> list[tuple[str, int, str]]:
    return [(one.notification.receiver, one.sequence, one.notification.operation) for one in items]


def test_drift_of_one_series_in_three_models_is_told_once() -> None:
    found = drifts("a", "b", "c")
    assert all(found.shared(Key("slack", f"ep-{model}")) for model in "abc")
    assert notes(found.due(NOW_MS + GATHER_MS)) == [("slack", 5, "post")]
    assert list(found.due(NOW_MS + GATHER_MS - 1)) == []


def test_two_models_are_two_messages() -> None:
    found = drifts("a", "b")
    assert not found.shared(Key("slack", "ep-a"))
    assert list(found.due(NOW_MS + HOUR)) == []


def test_what_is_more_than_an_hour_away_is_another_cause() -> None:
    found = drifts("a", "b", "c", minutes=45)
    assert not any(found.shared(Key("slack", f"ep-{model}")) for model in "abc")


def test_a_fourth_model_updates_the_message_and_keeps_its_name() -> None:
    told = Told({Key("slack", shared_id("feature:annual_income", NOW_MS)): 5})
    found = drifts("a", "b", "c", "d", told=told)
    (item,) = found.due(NOW_MS + HOUR)
    assert notes([item]) == [("slack", 7, "update")]
    assert item.key == Key("slack", shared_id("feature:annual_income", NOW_MS))
    assert found.shared(Key("slack", "ep-d"))


def test_a_model_that_is_heard_of_late_joins_what_was_told() -> None:
    told = Told({Key("slack", shared_id("feature:annual_income", NOW_MS)): 3})
    found = drifts("a", "b", "c", told=told)
    found.heard(published("early", at_ms=NOW_MS - 60_000), NOW_MS + 60_000)
    assert {item.key.episode_id for item in found.due(NOW_MS + HOUR)} == {
        shared_id("feature:annual_income", NOW_MS)
    }


@pytest.mark.parametrize(
    "other",
    [
        {"severity": "critical"},
        {"kind": "performance"},
        {"change": "escalated"},
        {"affected": ()},
        {"silenced_by": "si-1"},
    ],
)
def test_only_drift_that_opened_and_is_told_is_gathered(other: dict[str, Any]) -> None:
    found = drifts("a", "b")
    found.heard(published("c", **other), NOW_MS)
    assert list(found.due(NOW_MS + HOUR)) == []


def test_a_shared_cause_is_over_when_the_last_of_its_models_is() -> None:
    told = Told({Key("slack", shared_id("feature:annual_income", NOW_MS)): 5})
    found = drifts("a", "b", "c", told=told)
    for model in "ab":
        found.heard(published(model, change="resolved", at_ms=NOW_MS + HOUR), NOW_MS + HOUR)
    assert notes(found.due(NOW_MS + HOUR)) == [("slack", 5, "update")]
    found.heard(published("c", change="resolved", at_ms=NOW_MS + 2 * HOUR), NOW_MS + 2 * HOUR)
    (item,) = found.due(NOW_MS + 2 * HOUR)
    assert notes([item]) == [("slack", 6, "update_and_reply")]
    assert (item.notification.change, item.at_ms) == ("resolved", NOW_MS + 2 * HOUR)
    found.heard(published("c", at_ms=NOW_MS + 3 * HOUR), NOW_MS + 3 * HOUR)
    assert not found.shared(Key("slack", "ep-c"))  # what comes back later is told by itself
    assert all(item.sequence < 6 for item in found.due(NOW_MS + 4 * HOUR))


def test_a_shared_cause_that_was_over_before_anybody_heard_is_one_message() -> None:
    found = drifts("a", "b", "c")
    for model in "abc":
        found.heard(published(model, change="resolved", at_ms=NOW_MS + HOUR), NOW_MS + HOUR)
    (item,) = found.due(NOW_MS + HOUR)
    assert item.opens
    assert notes([item]) == [("slack", 6, "post")]


def test_an_alert_that_is_read_again_is_one_alert() -> None:
    found = drifts("a", "a", "b", minutes=0)
    assert list(found.due(NOW_MS + HOUR)) == []


# --- digests --------------------------------------------------------------------------------------


def test_the_digest_of_a_day_has_what_was_kept_back_and_comes_at_eight() -> None:
    book = Daybook((SLACK, MAIL, PAGER), None, read_model())
    book.heard(published("a", silenced_by="si-1"), EIGHT_MS - HOUR)
    book.heard(published("b", silenced_by="si-1"), EIGHT_MS + HOUR)
    assert list(book.due(EIGHT_MS - 1)) == []
    (item,) = book.due(EIGHT_MS)
    assert item.key == Key("slack", digest_id("slack", EIGHT_MS - DAY_MS))
    assert (item.logged_ms, item.notification.change) == (EIGHT_MS, "opened")
    assert len(list(book.due(EIGHT_MS + DAY_MS))) == 1


def test_nothing_to_say_is_no_digest() -> None:
    book = Daybook((SLACK, MAIL), None, read_model())
    book.heard(published("a"), EIGHT_MS - HOUR)  # told
    assert list(book.due(EIGHT_MS)) == []


def test_what_expired_is_a_line_for_its_receiver_or_for_whoever_reads_digests() -> None:
    read = folded(
        delivery("mail", state="expired", at_ms=EIGHT_MS - 1),
        delivery("pagerduty", "ep-2", state="expired", at_ms=EIGHT_MS - 1),
        delivery("slack", "ep-3", state="sent", at_ms=EIGHT_MS - 1),
        delivery("slack", "ep-4", state="expired", at_ms=EIGHT_MS + 1),
    )
    found = {
        item.key.receiver: json.dumps(item.notification.payload)
        for item in Daybook((SLACK, MAIL, PAGER), None, read).due(EIGHT_MS)
    }
    assert sorted(found) == ["mail", "slack"]
    assert "pagerduty: opened" in found["slack"]
    assert "Could not be delivered" in found["mail"]


def test_models_of_which_nothing_was_known_all_day_are_named() -> None:
    day = {"timestamp_ms": EIGHT_MS - HOUR}
    blind = result(0, model="blind", verdict="insufficient", reason="no_reference")
    fine = result(0, model="fine", verdict="stable")
    early = result(
        0, model="fine", scope="outcomes", verdict="insufficient", reason="labels_immature"
    )
    read = read_model(
        record("results", "blind", blind, 0, **day),
        record("results", "fine", fine, 1, **day),
        record("results", "fine", early, 2, **day),
        record("results", "gone", result(0, model="gone"), 3, timestamp_ms=EIGHT_MS - 30 * HOUR),
    )
    (item,) = Daybook((SLACK,), None, read).due(EIGHT_MS)
    text = json.dumps(item.notification.payload)
    assert "blind 1.0.0, inputs: no reference" in text
    assert "fine 1.0.0, outcomes: labels immature" in text
    assert "gone 1.0.0" in text
    assert "fine 1.0.0, inputs" not in text


# --- who can be sent to ---------------------------------------------------------------------------


def service(tmp_path: Path, *receivers: dict[str, Any]) -> Any:
    file = tmp_path / "leeway.yaml"
    file.write_text(json.dumps({"brokers": "localhost:9092", "receivers": receivers}))
    return load_service(file, {})


def test_only_who_has_a_secret_is_sent_to(tmp_path: Path) -> None:
    found = reachable(
        service(
            tmp_path,
            {"name": "slack", "channel": "Slack"},
            {
                "name": "pager",
                "channel": "PagerDuty",
                "routing_key": {"env": "KEY"},
                "rate": "2 per 1 minute",
            },
        ),
        {"KEY": "R0UTINGKEY"},
    )
    assert list(found.sinks) == ["pager"]
    assert [(one.name, one.rate.count, one.rate.per_ms) for one in found.terms] == [
        ("pager", 2, 60_000)
    ]
    assert "R0UTINGKEY" not in repr(found)


def test_a_secret_that_is_named_and_not_there_is_one_line(tmp_path: Path) -> None:
    of = service(tmp_path, {"name": "pager", "channel": "PagerDuty", "routing_key": {"env": "KEY"}})
    with pytest.raises(UsageError, match="set the environment variable KEY"):
        reachable(of, {})


def test_without_receivers_nobody_is_sent_to(tmp_path: Path) -> None:
    assert reachable(service(tmp_path), {}).sinks == {}


def test_a_digest_and_a_shared_cause_are_what_the_vendors_take() -> None:
    book = Daybook((SLACK, MAIL), None, read_model())
    book.heard(published("a", receivers=("slack", "mail"), silenced_by="si-1"), EIGHT_MS - 1)
    found = [*book.due(EIGHT_MS), *drifts("a", "b", "c").due(NOW_MS + HOUR)]
    for item in found:
        if item.notification.channel == "slack":
            slack.message(item.notification.payload)
    assert len(found) == 3
