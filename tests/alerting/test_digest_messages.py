"""Digests and shared causes as messages, and alerts as events for a webhook."""

import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from alerting.digest import Digest, DigestItem, digest
from alerting.identity import notification_id
from alerting.notify import notify, render
from alerting.render import digest as digest_message
from alerting.render import shared as shared_message
from alerting.settings import Receiver
from alerting.shared import News, Shared, gather
from alerting.types import Alert, Delivery, Notification
from tests.alerting.builders import GOLDEN, SEVEN, opened
from tests.vendors import cloudevents, mail, slack

SLACK = Receiver("slack", "slack", "#ml")
EMAIL = Receiver("email", "email", to=("ops@example.org",))
PAGERDUTY = Receiver("pagerduty", "pagerduty")
WEBHOOK = Receiver("own", "webhook")
CONSOLE = "https://leeway.example/"
AT = "2026-03-02T07:00:00.000Z"


def day(*items: DigestItem) -> Digest:
    found = digest("slack", 1_772_352_000_000, items)
    assert found is not None
    return found


def item(n: int, why: Any = "info", **changes: Any) -> DigestItem:
    return replace(DigestItem(why, "churn", f"ep-{n}", AT, f"churn 1: f{n} drifted"), **changes)


def shared(models: int = 3) -> Shared:
    news = [
        News(
            "slack",
            "feature:age",
            f"m{k}",
            f"ep-{k}",
            SEVEN + 60_000 * k,
            "warning",
            f"m{k} 1: age drifted",
        )
        for k in range(models)
    ]
    (found,) = gather(news).shared
    return found


def message(found: Notification | None) -> Notification:
    assert found is not None
    if found.channel == "slack":
        slack.message(found.payload)
        slack.harmless(found.payload)
    else:
        mail.payload(found.payload)
    return found


def blocks(found: Notification) -> list[str]:
    return list(slack.texts(found.payload["attachments"]))


# ------------------------------------------------------------------------------------------------ digests


def test_a_digest_names_what_deserved_no_message_by_its_reason() -> None:
    given = day(item(1), item(2, "expired", severity="critical", open=False))
    found = message(digest_message.notification(SLACK, given, CONSOLE))
    assert blocks(found) == [
        "Digest of 2026-03-02: 2 things that deserved no message",
        "*Could not be delivered in time*\n• churn 1: f2 drifted (critical, over by now)",
        "*For information*\n• churn 1: f1 drifted",
        f"<{CONSOLE}|Console> · {given.digest_id}",
    ]
    assert found.severity == "critical"
    assert found.operation == "post"
    assert found.idempotency_key == notification_id(given.digest_id, "slack")
    assert (found.alert_id, found.episode_id, found.model_id) == (
        given.digest_id,
        given.digest_id,
        "",
    )


def test_a_digest_by_mail_says_the_same() -> None:
    given = day(item(1), item(2, "expired"))
    found = message(digest_message.notification(EMAIL, given, CONSOLE))
    assert found.operation == "send"
    assert found.payload["subject"].startswith("[digest] Digest of 2026-03-02: 2 things")
    assert found.payload["headers"]["Message-ID"] == f"<{given.digest_id}@leeway>"
    for part in (found.payload["text"], found.payload["html"]):
        assert "Could not be delivered in time" in part
        assert "churn 1: f1 drifted" in part
        assert CONSOLE in part


def test_one_thing_is_one_thing() -> None:
    found = message(digest_message.notification(SLACK, day(item(1))))
    assert found.payload["text"] == "Digest of 2026-03-02: 1 thing that deserved no message"


def test_what_does_not_fit_is_counted() -> None:
    many = [
        item(n, why, text="x" * 180, severity="warning")
        for why in ("expired", "silenced", "muted", "flapping")
        for n in range({"expired": 30}.get(why, 15))
    ]
    given = day(*(replace(one, about=f"{one.why}{k}") for k, one in enumerate(many)))
    said = blocks(message(digest_message.notification(SLACK, given)))[1:-1]
    shown = [part.count("• ") for part in said]
    more = [int(part.rpartition("+")[2].split()[0]) for part in said if "+" in part]
    assert sum(shown) + sum(more) == given.total == len(many)
    assert shown[0] > 0
    by_mail = message(digest_message.notification(EMAIL, given)).payload["text"]
    assert by_mail.count("- x") == 20 + 3 * 15
    assert "+10 more" in by_mail


@pytest.mark.parametrize("receiver", [PAGERDUTY, WEBHOOK])
def test_who_reads_no_digest_and_no_shared_cause_gets_none(receiver: Receiver) -> None:
    assert digest_message.notification(receiver, day(item(1))) is None
    assert shared_message.notification(receiver, shared()) is None


# ------------------------------------------------------------------------------------------------ shared causes


def test_a_shared_cause_names_every_model_and_how_to_acknowledge_each() -> None:
    found = message(shared_message.notification(SLACK, shared(), console=CONSOLE))
    said = blocks(found)
    assert said[0] == "age drifted in 3 models"
    assert said[1] == shared_message.WHY
    listed = "\n".join(said[2:-1])
    for k in range(3):
        assert f"• m{k} 1: age drifted (07:0{k} UTC)\n   `leeway ack ep-{k}`" in listed
    assert found.payload["text"] == "warning: age drifted in 3 models"
    assert found.sequence == 5  # two for each model, one less while it is open somewhere
    assert found.episode_id == shared().shared_id


def test_a_shared_cause_by_mail_says_the_same() -> None:
    found = message(shared_message.notification(EMAIL, shared(12), console=CONSOLE))
    text = found.payload["text"]
    assert text.startswith("WARNING: one cause, many models\nage drifted in 12 models\n")
    assert "- m0 1: age drifted (07:00 UTC)" in text
    assert "- and 2 more" in text
    assert "Acknowledge m9  leeway ack ep-9" in text
    assert "leeway ack ep-9" in found.payload["html"]


def test_a_shared_cause_that_grows_rewrites_or_answers_its_first_message() -> None:
    first, grown = shared(3), shared(4)
    assert first.shared_id == grown.shared_id
    one, two = (shared_message.notification(SLACK, s, told=s is grown) for s in (first, grown))
    assert (message(one).operation, message(two).operation) == ("post", "update")
    assert message(one).idempotency_key != message(two).idempotency_key
    assert message(one).sequence < message(two).sequence
    webhook = shared_message.notification(replace(SLACK, threads=False), grown, told=True)
    assert message(webhook).operation == "post"
    headers = message(shared_message.notification(EMAIL, grown, told=True)).payload["headers"]
    assert headers["References"] == headers["In-Reply-To"] == f"<{first.shared_id}@leeway>"
    assert headers["Message-ID"] == f"<{first.shared_id}.7@leeway>"


def test_the_end_of_a_shared_cause_rewrites_its_message_and_asks_for_nothing() -> None:
    over = replace(shared(), over_ms=shared().members[-1].at_ms + 3_600_000)
    found = message(shared_message.notification(SLACK, over, told=True))
    assert (found.change, found.operation) == ("resolved", "update_and_reply")
    assert found.reply == "age drifted in 3 models: over in all of them"
    assert found.sequence > message(shared_message.notification(SLACK, shared())).sequence
    assert "leeway ack" not in str(found.payload)
    mail = message(shared_message.notification(EMAIL, over, told=True)).payload
    assert mail["subject"] == "[resolved] age drifted in 3 models: over in all of them"
    assert "leeway ack" not in mail["text"] + mail["html"]
    silent = replace(SLACK, send_resolved=False)
    assert shared_message.notification(silent, over, told=True) is None


# ------------------------------------------------------------------------------------------------ webhooks


def test_a_webhook_gets_the_alert_as_a_cloudevent() -> None:
    _, usual = opened()
    given = replace(usual, delivery=Delivery(("own",), None, None, None))
    (found,) = notify([WEBHOOK], [given])
    assert (found.channel, found.operation, found.reply) == ("webhook", "send", None)
    cloudevents.event(found.payload)
    assert found.payload["data"] == json.loads(msgspec.json.encode(given))
    assert found.payload["id"] == given.alert_id
    assert found.payload["type"] == "leeway.alert.opened.v1"
    assert found.payload["correlationid"] == given.episode_id
    assert found.payload["datacontenttype"] == "application/json"


def test_the_contract_s_alert_survives_the_webhook_member_for_member() -> None:
    given = json.loads((GOLDEN / "alert.json").read_text())

    found = render(WEBHOOK, msgspec.convert(given, Alert))
    assert found is not None
    assert json.dumps(found.payload["data"]) == json.dumps(given)


def test_an_environment_with_a_space_is_still_a_source() -> None:
    _, usual = opened()
    given = replace(usual, model=replace(usual.model, environment="Staging EU\n/ä"))
    found = render(WEBHOOK, given)
    assert found is not None
    cloudevents.event(found.payload)
    assert found.payload["source"] == "/leeway/Staging%20EU%0A/%C3%A4/loan-default"
