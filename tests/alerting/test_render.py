import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
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
    EpisodeStatus,
    Notification,
    Severity,
)
from tests.alerting.builders import GOLDEN, RECEIVERS, opened
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


@pytest.mark.parametrize(
    "character", ["x", "&", '"', "\\", "ü", "🎉", "\x00", "\ud800", "|", "*", "\u05d0", "\u05d0x"]
)
def test_the_largest_slack_message_is_within_8000_and_can_be_written(character: str) -> None:
    long = character * 10_000
    effect = Effect(long, -123456.789, -123456.789, -123456.789, 0.123456)
    given = alert(
        change="escalated",
        title=long,
        summary=long,
        affected=(Affected(long, 0.123, effect, None, ()),) * 50,
        affected_total=10**9,
        also_in=(long, long, long),
        segment=character * 60,
        cause={"class": "pipeline_break", "hints": (long,) * 5},
        cost={"amount": 123456789.0, "unit": long, "per": 1000},
        model=AlertModel("m" * 100, long, "1" * 64, "Production", long),
        links=AlertLinks("https://" + character * 120, "https://" + character * 120),
    )
    found = rendered(replace(SLACK, target="#" + "c" * 80, buttons=True), given)
    slack_rules.message(found.payload)
    slack_rules.harmless(found.payload)
    assert found.reply is not None
    assert len(found.reply.encode()) <= 500


@given(NASTY, st.integers(3, 300))
def test_a_cut_text_never_cuts_an_entity(text: str, limit: int) -> None:
    found = fit(text, limit)
    assert len(found.encode()) <= limit
    assert "&" not in found.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("*a*", "∗a∗"),
        ("_a_ b_c", "ˍaˍ b_c"),
        ("~a~ `b`", "∼a∼ ˋbˋ"),
        ("@here a@b @", "＠here a@b @"),
        ("<!channel> & co", "&lt;!channel&gt; &amp; co"),
        ("\u05e9\u05dc\u05d5\u05dd x", "\u2068\u05e9\u05dc\u05d5\u05dd\u2069 x"),
        ("a\u202eb\x00c", "a b c"),
    ],
)
def test_a_name_is_no_markup_in_slack(name: str, shown: str) -> None:
    assert fit(name, 100) == shown


def test_the_number_is_bold_and_segments_are_code_and_neither_inside_a_word() -> None:
    said = "PSI 0.40 in DE, DEF and <DE>; PSI 0.40 again"
    payload = rendered(SLACK, alert(summary=said, also_in=("DE", "t"))).payload
    text = payload["attachments"][0]["blocks"][1]["text"]["text"]
    assert text == "*PSI 0.40* in `DE`, DEF and &lt;DE&gt;; PSI 0.40 again"


def test_slack_says_how_bad_in_words_what_it_costs_and_where() -> None:
    given = alert(
        segment="country=DE",
        cost={"amount": -0.5, "unit": "EUR", "per": 1000},
        summary="annual_income: more.",
        reopened=True,
    )
    blocks = rendered(SLACK, given).payload["attachments"][0]["blocks"]
    assert blocks[3]["elements"][0]["text"] == (
        "Back again · *4 times the smallest size that matters* · Since: about 05:40 UTC (05:31 to "
        "05:47 UTC), 1 h 20 min so far · Probable cause: the inputs changed while the data look intact; "
        "values changed, the missing rate did not"
    )
    assert [field["text"].replace("\n", " ") for field in blocks[4]["fields"][3:]] == [
        "*Where* `country=DE`",
        "*Cost* about 0.50 EUR less per 1,000 predictions",
    ]
    assert blocks[6]["elements"][0]["text"] == (
        "`leeway silence loan-default --kind data_drift --segment country=DE --for 4h "
        '--reason "being looked at"`'
    )


@pytest.mark.parametrize(
    ("change", "status", "segment", "names"),
    [
        ("opened", "open", "country=DE", ["leeway.acknowledge", "leeway.silence"]),
        ("acknowledged", "acknowledged", "all", ["leeway.silence"]),
        ("opened", "open", "x" * 400, ["leeway.acknowledge"]),
        ("acknowledged", "acknowledged", "x" * 400, None),
        ("resolved", "resolved", "all", None),
    ],
)
def test_buttons_offer_what_can_be_done_where_clicks_are_signed(
    change: Change, status: EpisodeStatus, segment: str, names: list[str] | None
) -> None:
    given = alert(change=change, status=status, segment=segment)
    assert "actions" not in json.dumps(rendered(SLACK, given).payload)
    payload = rendered(replace(SLACK, buttons=True), given).payload
    slack_rules.message(payload)
    last = payload["attachments"][0]["blocks"][-1]
    if names is None:
        assert last["type"] == "context"
        return
    assert [button["action_id"] for button in last["elements"]] == names
    about = json.loads(last["elements"][0]["value"])
    assert about["episode_id"] == given.episode_id
    assert about["segment"] == ("country=DE" if segment == "country=DE" else "all")


def test_a_runbook_that_is_no_address_is_named() -> None:
    given = alert(links=AlertLinks("runbooks/x.md", None))
    footer = rendered(SLACK, given).payload["attachments"][0]["blocks"][-2]["elements"][0]["text"]
    assert footer.startswith("Runbook: runbooks/x.md · `leeway ack ep-")
    event = rendered(PAGERDUTY, given).payload
    assert "links" not in event or event["links"] == []
    assert event["payload"]["custom_details"]["runbook"] == "runbooks/x.md"


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
