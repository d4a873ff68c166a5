import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.notify import notify
from alerting.render.slack import fit
from alerting.settings import Receiver
from alerting.types import (
    Affected,
    Alert,
    AlertLinks,
    AlertModel,
    Change,
    Delivery,
    Effect,
    Missing,
    Notification,
    Severity,
)
from tests.alerting.builders import GOLDEN, RECEIVERS, opened
from tests.vendors import mail as mail_rules
from tests.vendors import pagerduty as pagerduty_rules
from tests.vendors import slack as slack_rules

SLACK, PAGERDUTY, EMAIL = RECEIVERS
HEARD = Delivery(("slack", "pagerduty", "email"), None, None, None)
NASTY = st.one_of(
    st.text(max_size=80),
    st.sampled_from(
        ["x" * 10_000, "&<>|" * 2_500, "🎉" * 10_000, 'a\n\n"\\' * 2_000, "<!channel>"]
    ),
)


def alert(**changes: Any) -> Alert:
    _, usual = opened()
    return replace(usual, delivery=HEARD, **changes)


def rendered(receiver: Receiver, given: Alert) -> Notification:
    (notification,) = notify([receiver], [given])
    return notification


def texts(payload: Any) -> Iterator[str]:
    """Every text in a payload."""
    if isinstance(payload, str):
        yield payload
    elif isinstance(payload, dict):
        for value in payload.values():
            yield from texts(value)
    elif isinstance(payload, list):
        for value in payload:
            yield from texts(value)


@st.composite
def nasty_alerts(draw: st.DrawFn) -> Alert:
    effect = st.none() | st.builds(
        Effect,
        st.sampled_from(["psi", "auc_shift", "difference"]),
        st.floats(-1e9, 1e9),
        st.floats(-1e9, 1e9),
        st.floats(-1e9, 1e9),
        st.floats(1e-9, 1e9),
    )
    affected = st.builds(
        Affected,
        NASTY,
        st.floats(0, 1),
        effect,
        st.just(Missing(0.0, 0.0)),
        st.just(()),
    )
    return alert(
        change=draw(st.sampled_from(["opened", "escalated", "eased", "resolved"])),
        title=draw(NASTY),
        summary=draw(NASTY),
        affected=tuple(draw(st.lists(affected, max_size=50))),
        affected_total=draw(st.integers(0, 10**9)),
        also_in=tuple(draw(st.lists(NASTY, max_size=4))),
        model=AlertModel("m", draw(NASTY), "1", "Production", draw(st.none() | NASTY)),
        links=AlertLinks(draw(st.none() | NASTY), draw(st.none() | NASTY)),
    )


@settings(deadline=None)
@given(nasty_alerts())
def test_slack_messages_stay_within_every_limit_and_escape_everything(given: Alert) -> None:
    found = rendered(SLACK, given)
    slack_rules.message(found.payload)
    slack_rules.harmless(found.payload)
    slack_rules.harmless({"text": found.reply or ""})


@pytest.mark.parametrize("character", ["x", "&", '"', "\\", "ü", "🎉", "\x00", "\ud800", "|"])
def test_the_largest_slack_message_is_within_8000_and_can_be_written(character: str) -> None:
    long = character * 10_000
    effect = Effect("auc_shift", -123456.789, -123456.789, -123456.789, 0.123456)
    given = alert(
        change="escalated",
        title=long,
        summary=long,
        affected=(Affected(long, 0.123, effect, None, ()),) * 50,
        affected_total=10**9,
        also_in=(long, long, long),
        model=AlertModel("m" * 100, long, "1" * 64, "Production", long),
        links=AlertLinks("https://" + character * 80, "https://" + character * 80),
    )
    found = rendered(replace(SLACK, target="#" + "c" * 80), given)
    written = msgspec.json.encode(found.payload)
    assert len(written) <= 8000
    assert found.reply is not None
    assert len(found.reply) <= 500


@settings(deadline=None)
@given(nasty_alerts())
def test_pagerduty_events_stay_within_every_limit(given: Alert) -> None:
    payload = rendered(PAGERDUTY, given).payload
    pagerduty_rules.event(payload, keyed=False)
    assert payload["dedup_key"] == given.episode_id
    assert payload["event_action"] == ("resolve" if given.change == "resolved" else "trigger")


@settings(deadline=None)
@given(nasty_alerts())
def test_mails_stay_within_every_limit_and_load_and_run_nothing(given: Alert) -> None:
    mail_rules.payload(rendered(EMAIL, given).payload)


@settings(deadline=None)
@given(NASTY, st.integers(3, 300))
def test_a_cut_text_never_cuts_an_entity(text: str, limit: int) -> None:
    found = fit(text, limit)
    assert len(found.encode()) <= limit
    assert "&" not in found.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "")


@pytest.mark.parametrize(
    ("change", "threads", "operation", "replies"),
    [
        ("opened", True, "post", False),
        ("escalated", True, "update_and_reply", True),
        ("eased", True, "update_and_reply", True),
        ("acknowledged", True, "update_and_reply", True),
        ("resolved", True, "update_and_reply", True),
        ("repeated", True, "update", False),
        ("escalated", False, "post", False),
        ("resolved", False, "post", False),
    ],
)
def test_slack_rewrites_its_first_message_where_it_can(
    change: Change, threads: bool, operation: str, replies: bool
) -> None:
    found = rendered(replace(SLACK, threads=threads), alert(change=change))
    assert found.operation == operation
    assert (found.reply is not None) is replies


def test_a_reply_says_what_happened() -> None:
    found = rendered(SLACK, alert(change="escalated", summary="Now severe. a < b"))
    assert found.reply == "escalated (warning, severe): Now severe. a &lt; b"
    assert rendered(SLACK, alert(change="resolved", summary="Over.")).reply == "resolved: Over."


@pytest.mark.parametrize(
    ("change", "severity", "colour", "expires"),
    [
        ("opened", "warning", "#ECB22E", 12 * 3600),
        ("opened", "error", "#E8912D", 4 * 3600),
        ("opened", "critical", "#E01E5A", 3600),
        ("eased", "info", "#8C8C8C", 24 * 3600),
        ("resolved", "critical", "#2EB67D", 24 * 3600),
    ],
)
def test_colour_and_expiry_follow_severity(
    change: Change, severity: Severity, colour: str, expires: int
) -> None:
    found = rendered(SLACK, alert(change=change, severity=severity))
    assert found.payload["attachments"][0]["color"] == colour
    assert found.expires_after_seconds == expires


def test_ten_series_are_listed_and_the_rest_counted() -> None:
    _, usual = opened()
    many = tuple(replace(usual.affected[0], series=f"feature:f{i}") for i in range(12))
    given = alert(affected=(*many, replace(many[0], effect=None)), affected_total=30)
    lines = (
        rendered(SLACK, given).payload["attachments"][0]["blocks"][2]["text"]["text"].split("\n")
    )
    assert lines[0] == "• *f0* 83 % of the change, PSI 0.40 (0.36 to 0.45, floor 0.1)"
    assert lines[-1] == "+20 more"
    assert len(lines) == 11
    details = rendered(PAGERDUTY, given).payload["payload"]["custom_details"]
    assert len(details["series"]) == 11
    assert details["series"][-1] == "+20 more"


def test_a_feature_and_its_missing_rate_are_told_apart() -> None:
    _, usual = opened()
    first = usual.affected[0]
    both = (first, replace(first, series="missing:annual_income", effect=None))
    text = rendered(SLACK, alert(affected=both, affected_total=2))
    lines = text.payload["attachments"][0]["blocks"][2]["text"]["text"].split("\n")
    assert lines[1] == "• *annual_income (missing)* 83 % of the change"


def test_a_webhook_needs_no_channel_and_a_long_link_is_left_out() -> None:
    links = AlertLinks("https://wiki.example/a|b c", "https://x/" + "y" * 700)
    payload = rendered(Receiver("hook", "slack", threads=False), heard("hook", links=links)).payload
    assert "channel" not in payload
    footer = payload["attachments"][0]["blocks"][-2]["elements"][0]["text"]
    assert footer.startswith("<https://wiki.example/a%7Cb%20c|Runbook> · `leeway ack ep-")
    bare = heard("hook", links=AlertLinks(None, None), change="resolved")
    ended = rendered(Receiver("hook", "slack"), bare).payload
    assert ended["attachments"][0]["blocks"][-1]["elements"][0]["text"] == bare.episode_id


def heard(name: str, **changes: Any) -> Alert:
    return replace(alert(**changes), delivery=Delivery((name,), None, None, None))


@pytest.mark.parametrize(
    ("change", "action"),
    [
        ("opened", "trigger"),
        ("escalated", "trigger"),
        ("eased", "trigger"),
        ("acknowledged", "acknowledge"),
        ("resolved", "resolve"),
    ],
)
def test_pagerduty_knows_three_actions_under_one_key(change: Change, action: str) -> None:
    given = alert(change=change)
    found = rendered(PAGERDUTY, given)
    assert (found.operation, found.reply) == ("send", None)
    assert found.payload["event_action"] == action
    assert found.payload["dedup_key"] == given.episode_id
    assert ("payload" in found.payload) is (action == "trigger")


def test_pagerduty_gets_no_repeats() -> None:
    assert notify([PAGERDUTY], [alert(change="repeated")]) == ()


def test_pagerduty_payload_is_the_golden_one() -> None:
    given = alert(
        severity="critical",
        also_in=("country=DE",),
        links=AlertLinks("https://wiki.example/loan-drift", "https://leeway.example/loans"),
    )
    golden = json.loads((GOLDEN / "pagerduty_drift_payload.json").read_text())
    assert rendered(PAGERDUTY, given).payload == golden


def test_what_is_not_known_is_left_out_of_pagerduty() -> None:
    payload = rendered(PAGERDUTY, alert(model=AlertModel("m", "M", "1", "Test", None))).payload
    assert "client_url" not in payload
    assert "group" not in payload["payload"]
    assert "also_in" not in payload["payload"]["custom_details"]


@pytest.mark.parametrize(
    "delivery",
    [
        replace(HEARD, inhibited_by="ep-x"),
        replace(HEARD, silenced_by="night"),
        replace(HEARD, held="grace"),
        Delivery((), None, None, None),
        Delivery(("gone",), None, None, None),
    ],
)
def test_an_alert_kept_back_makes_no_notification(delivery: Delivery) -> None:
    assert notify(RECEIVERS, [replace(alert(), delivery=delivery)]) == ()


def test_each_receiver_gets_its_own() -> None:
    found = notify(RECEIVERS, [alert()])
    assert [notification.receiver for notification in found] == ["slack", "pagerduty", "email"]
    assert len({notification.idempotency_key for notification in found}) == 3


def test_who_does_not_want_to_hear_of_ends_does_not() -> None:
    receiver = replace(SLACK, send_resolved=False)
    assert notify([receiver], [alert(change="resolved")]) == ()
    assert len(notify([receiver], [alert()])) == 1


def test_no_feature_value_is_rendered_only_bin_numbers() -> None:
    given = alert()
    for receiver in (SLACK, PAGERDUTY):
        said = json.dumps(rendered(receiver, given).payload)
        assert "lowest bin" in said


def test_a_resolved_message_says_so_and_offers_no_acknowledgement() -> None:
    payload = rendered(SLACK, alert(change="resolved")).payload
    assert payload["text"].startswith("resolved: loan-default")
    assert "leeway ack" not in json.dumps(payload)
