"""Any alert, whatever is in it: each payload is one that its vendor accepts, and it does nothing to its reader."""

import json

import msgspec
from hypothesis import HealthCheck, given, settings

from alerting.cloudevents import notification_headers
from alerting.deliver.letter import compose
from alerting.digest import Digest
from alerting.notify import render
from alerting.render import digest as digest_message
from alerting.render import shared as shared_message
from alerting.settings import Receiver
from alerting.shared import Shared
from alerting.types import Alert, Notification
from tests.alerting import drawn
from tests.vendors import cloudevents, mail, pagerduty, slack

OCTETS = 64 * 1024  # of a notification, contracts §0
OFTEN = settings(max_examples=1000, suppress_health_check=list(HealthCheck))
SELDOM = settings(OFTEN, max_examples=25)


def accepted(found: Notification | None, receiver: Receiver) -> None:
    """Hold a notification against the rules of its channel."""
    if found is None:
        return
    if receiver.channel == "slack":
        method: slack.Method = "post" if receiver.target else "webhook"
        slack.message(found.payload, method)
        slack.harmless(found.payload)
        slack.harmless({"text": found.reply or ""})
    elif receiver.channel == "pagerduty":
        pagerduty.event(found.payload, keyed=False)
    elif receiver.channel == "email":
        mail.payload(found.payload)
    else:
        cloudevents.event(found.payload)
        return  # as long as the alert is
    assert len(msgspec.json.encode(found)) <= OCTETS


@OFTEN
@given(drawn.alerts(), drawn.slack_receivers, drawn.mail_receivers)
def test_every_vendor_accepts_any_alert(
    alert: Alert, slack_receiver: Receiver, mail_receiver: Receiver
) -> None:
    for receiver in (slack_receiver, mail_receiver, drawn.PAGERDUTY, drawn.WEBHOOK):
        accepted(render(receiver, alert), receiver)
    found = render(drawn.PAGERDUTY, alert)
    if found is not None:
        cloudevents.headers(notification_headers(found, alert))


@SELDOM
@given(drawn.alerts(), drawn.mail_receivers)
def test_a_mail_server_accepts_the_letter_of_any_alert(alert: Alert, receiver: Receiver) -> None:
    found = render(receiver, alert)
    if found is not None:
        letter = compose(found.payload, "leeway@example.org", ("ops@example.org",), 0.0)
        read = mail.message(letter.content, len(letter.to))
        assert read["Message-ID"] == f"<{alert.alert_id}@leeway>"


@SELDOM
@given(drawn.digests(), drawn.slack_receivers, drawn.mail_receivers)
def test_every_vendor_accepts_any_digest(
    digest: Digest, slack_receiver: Receiver, mail_receiver: Receiver
) -> None:
    for receiver in (slack_receiver, mail_receiver):
        found = digest_message.notification(receiver, digest, "https://leeway.example/")
        assert found is not None
        accepted(found, receiver)


@SELDOM
@given(drawn.shared_causes(), drawn.slack_receivers, drawn.mail_receivers)
def test_every_vendor_accepts_any_shared_cause(
    shared: Shared, slack_receiver: Receiver, mail_receiver: Receiver
) -> None:
    for receiver in (slack_receiver, mail_receiver):
        for told in (False, True):
            found = shared_message.notification(receiver, shared, told=told)
            assert found is not None
            accepted(found, receiver)


@SELDOM
@given(drawn.alerts(), drawn.slack_receivers)
def test_rendering_twice_gives_the_same_bytes(alert: Alert, receiver: Receiver) -> None:
    first, second = (json.dumps(render(receiver, alert).payload) for _ in range(2))  # type: ignore[union-attr]
    assert first == second
