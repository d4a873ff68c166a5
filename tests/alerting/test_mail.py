"""Mails: what a tired person reads first, how they hang together, and what their bars stand for."""

from dataclasses import replace
from typing import Any

import pytest

from alerting.identity import alert_id
from alerting.notify import render
from alerting.render.content import address
from alerting.render.letter import said
from alerting.settings import Receiver
from alerting.types import (
    Affected,
    Alert,
    AlertLinks,
    Bin,
    Change,
    Effect,
    EpisodeStatus,
    Missing,
)
from tests.alerting.builders import opened
from tests.vendors import mail

EMAIL = Receiver("email", "email", to=("ops@example.org",))
RECALL = Affected("metric:recall", 0.0, Effect("recall", 0.534, 0.497, 0.571, 0.62), None, ())
LINKS = AlertLinks("https://wiki.example/loan-drift", "https://leeway.example/loans")


def alert(**changes: Any) -> Alert:
    _, usual = opened()
    return replace(usual, links=LINKS, **changes)


def payload(given: Alert, receiver: Receiver = EMAIL) -> dict[str, Any]:
    found = render(receiver, given)
    assert found is not None
    mail.payload(found.payload)
    return found.payload


def lines(given: Alert) -> list[str]:
    text: str = payload(given)["text"]
    return text.split("\n")


def test_the_first_lines_say_what_how_bad_since_when_and_why() -> None:
    found = lines(alert(also_in=("country=DE",)))
    assert found[:2] == [
        "WARNING: severe data drift",
        "loan-default 2.3.1: annual_income and 1 more input drifted",
    ]
    labels = [line[:16].strip() for line in found[5 : found.index("", 6)] if line[:1].strip()]
    assert labels == ["How bad", "Since", "Where", "Probable cause"]
    text = " ".join(" ".join(found).split())
    assert "PSI 0.40 (0.36 to 0.45, floor 0.1); 4 times the smallest size that matters" in text
    assert "about 05:40 UTC (05:31 to 05:47 UTC), 1 h 20 min so far" in text
    assert "all events, also in country=DE" in text
    assert "the inputs changed while the data look intact" in text


def test_text_and_html_say_the_same() -> None:
    given = alert(cost={"amount": 19800, "unit": "EUR", "per": 1000}, also_in=("country=DE",))
    found = payload(given)
    for fact in (
        given.title,
        "4 times the smallest size that matters",
        "about 19,800 EUR more per 1,000 predictions",
        "the inputs changed while the data look intact",
        "3,544 against 50,000 in the reference",
        f"leeway ack {given.episode_id}",
        "https://wiki.example/loan-drift",
        "bin 1 of 10",
        "Loan default risk (loan-default 2.3.1, Production)",
    ):
        assert fact in " ".join(found["text"].split())
        assert fact in found["html"]


def test_the_commands_can_be_copied() -> None:
    found = lines(alert(segment="country=D'E"))
    (ack,) = (line for line in found if line.startswith("Acknowledge"))
    (silence,) = (line for line in found if line.startswith("Silence"))
    assert ack.endswith(f"  leeway ack {alert().episode_id}")
    assert silence.endswith(
        "  leeway silence loan-default --kind data_drift --segment 'country=D'\"'\"'E' --for 4h "
        '--reason "being looked at"'
    )


@pytest.mark.parametrize(
    ("change", "status", "wanted"),
    [
        ("opened", "open", ["Acknowledge", "Silence"]),
        ("repeated", "open", ["Acknowledge", "Silence"]),
        ("acknowledged", "acknowledged", ["Silence"]),
        ("resolved", "resolved", []),
    ],
)
def test_only_what_can_be_done_is_offered(
    change: Change, status: EpisodeStatus, wanted: list[str]
) -> None:
    found = lines(alert(change=change, status=status))
    words = [line.split(" ")[0] for line in found]
    assert [word for word in words if word in ("Acknowledge", "Silence")] == wanted


@pytest.mark.parametrize("segment", ["country=" + "x" * 300, "country=a\u202eb", "country=a  b"])
def test_a_segment_that_cannot_be_named_exactly_is_in_no_command(segment: str) -> None:
    assert not [line for line in lines(alert(segment=segment)) if "silence" in line]


@pytest.mark.parametrize(
    ("change", "reopened", "subject"),
    [
        ("opened", False, "[warning] loan-default"),
        ("opened", True, "[warning, back again] loan-default"),
        ("escalated", True, "[warning] loan-default"),
        ("repeated", False, "[warning, still open] loan-default"),
        ("acknowledged", False, "[acknowledged] loan-default"),
        ("resolved", False, "[resolved] loan-default"),
    ],
)
def test_the_subject_says_how_it_stands(change: Change, reopened: bool, subject: str) -> None:
    assert payload(alert(change=change, reopened=reopened))["subject"].startswith(subject)


def test_later_mails_answer_the_first_of_their_episode() -> None:
    first = alert()
    assert payload(first)["headers"] == {
        "Message-ID": f"<{first.alert_id}@leeway>",
        "Auto-Submitted": "auto-generated",
        "X-Leeway-Episode": first.episode_id,
    }
    third = replace(first, sequence=3, alert_id=alert_id(first.episode_id, 3), change="repeated")
    headers = payload(third)["headers"]
    assert headers["Message-ID"] == f"<{third.alert_id}@leeway>"
    assert headers["In-Reply-To"] == headers["References"] == f"<{first.alert_id}@leeway>"


def test_bars_are_as_long_as_the_shares_they_stand_for() -> None:
    bins = (Bin(1, 10, 0.1, 0.4), Bin(9, 10, 0.2, 0.0))
    one = Affected("feature:age", 0.8, None, Missing(0.01, 0.012), bins)
    found = payload(alert(affected=(one,), affected_total=1))
    drawn = [line.count("#") for line in found["text"].split("\n") if "%" in line and "  " in line]
    assert drawn == [5, 20, 10, 0]
    assert [f'width="{width}"' in found["html"] for width in (40, 160, 80)] == [True] * 3
    assert found["html"].count('height="12"') == 3, "no bar where there is nothing"


@pytest.mark.parametrize(("share", "shown"), [(0.029, False), (0.031, True)])
def test_missing_values_are_drawn_where_their_share_changed(share: float, shown: bool) -> None:
    one = Affected("feature:age", 0.8, None, Missing(0.01, share), (Bin(1, 10, 0.1, 0.4),))
    assert ("  missing" in lines(alert(affected=(one,), affected_total=1))) is shown


def test_what_broke_a_rule_is_shown_beside_its_limit() -> None:
    found = lines(alert(kind="performance", affected=(RECALL,), affected_total=1))
    text = " ".join(" ".join(found).split())
    assert "recall 0.53 (0.50 to 0.57, limit 0.62); 14 % below its limit" in text
    assert "recall: limit beside now" in text
    drawn = {line.split()[0]: line.count("#") for line in found if "#" in line}
    assert drawn == {"limit": 20, "now": 17}


def test_what_is_over_shows_neither_effect_nor_bars() -> None:
    over = alert(
        change="resolved",
        status="resolved",
        at="2026-03-02T10:20:00.000Z",
        resolved_at="2026-03-02T10:20:00.000Z",
    )
    text = payload(over)["text"]
    assert text.startswith("RESOLVED: data drift\n")
    assert "opened 07:00 UTC, lasted 3 h 20 min" in text
    assert "How bad" not in text
    assert "##" not in text


def test_names_can_neither_break_the_page_nor_the_order_of_words() -> None:
    one = replace(alert().affected[0], series="feature:<b>\u05e9\u05dc\u05d5\u05dd</b>\u202e\x00*")
    found = payload(alert(affected=(one, one), affected_total=2))
    assert "&lt;b&gt;<bdi>\u05e9\u05dc\u05d5\u05dd</bdi>&lt;/b&gt; *" in found["html"]
    assert "<b>\u2068\u05e9\u05dc\u05d5\u05dd\u2069</b> *: 83 % of the change" in found["text"]


@pytest.mark.parametrize(
    "text",
    [
        *("javascript:alert(1)", "//evil.example", "data:text/html,x", "runbooks/x.md", "", None),
        "https://" + "x" * 700,
    ],
)
def test_what_is_no_address_becomes_no_link(text: str | None) -> None:
    assert address(text) is None
    html = payload(replace(alert(), links=AlertLinks(text, None)))["html"]
    assert "href" not in html


def test_a_runbook_that_is_no_address_is_still_named() -> None:
    text = payload(replace(alert(), links=AlertLinks("runbooks/x.md", None)))["text"]
    assert "\nRunbook      runbooks/x.md\n" in text


def test_recipients_are_the_receiver_s() -> None:
    assert payload(alert())["to"] == ["ops@example.org"]
    assert payload(alert(), Receiver("email", "email"))["to"] == [], "then the sender's own list"


def test_said_escapes_what_html_would_read() -> None:
    assert said("<a href='x'>&amp;\n") == "&lt;a href=&#x27;x&#x27;&gt;&amp;amp;"
