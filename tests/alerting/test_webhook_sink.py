"""Does a receiver of one's own get a signed event, and PagerDuty one it can act on?"""

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.deliver.calls import encoded
from alerting.deliver.classify import wait
from alerting.deliver.destination import Destination, Unusable
from alerting.deliver.make import sinks
from alerting.deliver.pagerduty import MOST_BYTES
from alerting.deliver.sink import Failed, Sent
from alerting.deliver.webhook import key_of, signature
from tests.alerting.rigs import EVENT, PAGER, PAGERDUTY, WEBHOOK, now_ms, parcel, usual
from tests.vendors.faults import CUT, status


def test_an_event_is_signed_and_named_for_its_notification() -> None:
    with WEBHOOK.tried() as (fake, trial):
        assert trial.send() == Sent()
        (accepted,) = fake.accepted
        assert accepted.message == EVENT
        assert accepted.headers["content-type"] == "application/cloudevents+json"
        assert fake.ids == [WEBHOOK.parcel.notification.idempotency_key]


def test_the_same_event_again_has_the_same_id_and_a_new_time() -> None:
    with WEBHOOK.tried() as (fake, trial):
        fake.next(CUT.taking())
        trial.send()
        trial.send()
        assert len(set(fake.ids)) == 1
        assert len(fake.accepted) == 2


def test_the_fake_refuses_another_key_and_another_time() -> None:
    other = "whsec_" + base64.b64encode(b"o" * 32).decode()
    with WEBHOOK.tried() as (fake, trial):
        assert trial.failed(secret=other) == ("auth", True, "answered 401")
    with WEBHOOK.tried(now=lambda: 0.0) as (fake, trial):
        assert trial.failed()[0] == "auth"
        assert fake.accepted == []


@pytest.mark.parametrize("code", [200, 201, 202, 204])
def test_any_2xx_is_success(code: int) -> None:
    with WEBHOOK.tried() as (fake, trial):
        fake.next(status(code))
        assert trial.send() == Sent()


@given(st.binary(min_size=24, max_size=64), st.binary(max_size=80), st.integers(0, 2**40))
def test_a_signature_is_of_its_key_body_and_time(key: bytes, body: bytes, at: int) -> None:
    made = signature(key, "nt-1", at, body)
    assert made == signature(key_of("whsec_" + base64.b64encode(key).decode()), "nt-1", at, body)
    assert made == signature(key_of(base64.b64encode(key).decode()), "nt-1", at, body)
    others = [
        signature(key[:-1] + bytes([key[-1] ^ 1]), "nt-1", at, body),
        signature(key, "nt-2", at, body),
        signature(key, "nt-1", at + 1, body),
        signature(key, "nt-1", at, body + b"."),
    ]
    assert made not in others


@pytest.mark.parametrize(
    "secret", ["whsec_", "short", "whsec_not base64!", base64.b64encode(b"k" * 65).decode()]
)
def test_a_secret_that_is_none_is_refused_and_not_quoted(secret: str) -> None:
    destination = Destination("hook", "webhook", url="https://example.org/", secret=secret)
    with pytest.raises(Unusable, match="hook: the secret") as raised:
        sinks([destination], now_ms, trust=usual)
    assert secret == "whsec_" or secret not in str(raised.value)


def test_a_date_without_a_zone_is_utc() -> None:
    assert wait("Thu, 01 Jan 1970 00:01:00 -0000", 0) == 60.0


@given(st.text() | st.integers(-(10**20), 10**20).map(str))
def test_any_header_is_a_wait_between_nothing_and_a_day_or_none(text: str) -> None:
    found = wait(text, 0)
    assert found is None or 0 <= found <= 24 * 3600


@settings(max_examples=50)
@given(
    st.recursive(
        st.none() | st.text() | st.integers(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )
)
def test_any_payload_has_bytes(value: Any) -> None:
    text = encoded({"a": value}).decode()
    assert json.loads(text).keys() == {"a"}


# --- PagerDuty ----------------------------------------------------------------------------------


def pager(action: str, **changes: Any) -> Any:
    return parcel({**PAGERDUTY, "event_action": action, **changes}, "pagerduty", operation="send")


def test_an_episode_is_one_incident_from_trigger_to_resolve() -> None:
    with PAGER.tried() as (fake, trial):
        for action in ("trigger", "trigger", "acknowledge", "resolve"):
            assert trial.send(pager(action)) == Sent()
        (incident,) = fake.incidents.values()
        assert (incident.status, incident.opened) == ("resolved", 1)
        assert incident.actions == ["trigger", "trigger", "acknowledge", "resolve"]
        assert fake.ignored == []


def test_the_fake_drops_a_resolve_that_overtook_its_trigger() -> None:
    with PAGER.tried() as (fake, trial):
        trial.send(pager("resolve"))
        trial.send(pager("trigger"))
        assert fake.ignored == [("ep-1", "resolve")]
        assert fake.incidents["ep-1"].status == "triggered"
        trial.send(pager("resolve"))
        trial.send(pager("trigger"))
        assert fake.incidents["ep-1"].opened == 2


def test_the_routing_key_is_added_on_the_way() -> None:
    with PAGER.tried() as (fake, trial):
        trial.send()
        (accepted,) = fake.accepted
        assert accepted.message == {**PAGERDUTY, "routing_key": fake.routing_key}


def test_a_refused_event_says_which_fields_and_nothing_of_them() -> None:
    with PAGER.tried() as (fake, trial):
        bad = {**PAGERDUTY["payload"], "severity": "plantedfeaturevalue"}  # type: ignore[dict-item]
        assert trial.failed(pager("trigger", payload=bad)) == (
            "client",
            False,
            "answered 400, about severity, source"
            if "source" in fake.rejected[-1:]
            else "answered 400, about severity",
        )


def test_too_large_an_event_goes_once_without_its_details() -> None:
    details = {"series": ["x" * 1000] * 600}
    inner = {**PAGERDUTY["payload"], "custom_details": details}  # type: ignore[dict-item]
    with PAGER.tried() as (fake, trial):
        assert trial.send(pager("trigger", payload=inner)) == Sent()
        (accepted,) = fake.accepted
        assert accepted.message["payload"] == PAGERDUTY["payload"]
        large = {**inner, "summary": "x" * MOST_BYTES}
        expected = Failed("client", retry=False, said="larger than 512 KiB without its details")
        assert trial.send(pager("trigger", payload=large)) == expected
        assert trial.send(pager("resolve", dedup_key="x" * MOST_BYTES, payload=None)) == expected
        assert fake.requests == 1


# --- making them --------------------------------------------------------------------------------


def test_a_receiver_that_lacks_something_is_told_what() -> None:
    lacking = {
        "slack": "a token or a webhook",
        "pagerduty": "a routing key",
        "email": "a host and a sender",
        "webhook": "an address and a secret",
    }
    for channel, what in lacking.items():
        with pytest.raises(Unusable, match=f"^r: it lacks {what}$"):
            sinks([Destination("r", channel)], now_ms, trust=usual)  # type: ignore[arg-type]


def test_certificates_that_cannot_be_read_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    with pytest.raises(Unusable, match="the certificates to trust cannot be read"):
        sinks([], now_ms)


def test_two_of_one_name_are_refused() -> None:
    one = Destination("pager", "pagerduty", routing_key="k")
    with pytest.raises(Unusable, match="pager: there are two of this name"):
        sinks([one, replace(one)], now_ms, trust=usual)


def test_a_mail_server_without_encryption_is_this_machine() -> None:
    far = Destination("m", "email", host="mail.example.org", sender="a@example.org", tls="none")
    with pytest.raises(Unusable, match="m: no encryption"):
        sinks([far], now_ms, trust=usual)
