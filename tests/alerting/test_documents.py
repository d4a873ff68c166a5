"""Documents: member for member those of the contract; headers; schemas."""

import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from alerting.cloudevents import headers, notification_headers
from alerting.notify import notify
from alerting.types import Alert, Notification, Trigger
from streams.schemas import DOCUMENTS, FOLDER, schema
from tests.alerting.builders import GOLDEN, RECEIVERS

EXAMPLES = {
    "alert": Alert,
    "trigger": Trigger,
    "slack_notification": Notification,
    "pagerduty_notification": Notification,
    "email_notification": Notification,
}


def example(name: str) -> Any:
    return msgspec.json.decode((GOLDEN / f"{name}.json").read_bytes(), type=EXAMPLES[name])


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_contract_s_documents_are_ours_in_members_and_order(name: str) -> None:
    given = json.loads((GOLDEN / f"{name}.json").read_text())
    ours = json.loads(msgspec.json.encode(example(name)))
    assert json.dumps(ours) == json.dumps(given)  # texts: the order counts


def test_the_contract_s_alert_renders_as_the_contract_s_slack_notification() -> None:
    """Every block of it, word for word and in its order; ours says more between them: size, cause, how to silence."""
    (ours,), theirs = notify(RECEIVERS, [example("alert")]), example("slack_notification")
    bare = [replace(one, payload={}) for one in (ours, theirs)]
    assert bare[0] == bare[1]
    (shown,), (wanted,) = (one.payload.pop("attachments") for one in (ours, theirs))
    assert ours.payload == theirs.payload
    blocks, required = shown.pop("blocks"), wanted.pop("blocks")
    assert shown == wanted
    assert [block for block in blocks if block in required] == required
    assert len(blocks) == len(required) + 2


def test_headers_of_an_alert_name_what_it_is_and_what_caused_it() -> None:
    assert dict(headers(example("alert"))) == {
        "content-type": b"application/json",
        "ce_specversion": b"1.0",
        "ce_id": b"al-042222b3871d5af65402ee1207966c51ed139810",
        "ce_type": b"leeway.alert.opened.v1",
        "ce_source": b"/leeway/Production/loan-default",
        "ce_subject": b"2.3.1/all",
        "ce_time": b"2026-03-02T07:00:00.000Z",
        "ce_dataschema": b"urn:leeway:schema:alert:v1",
        "ce_correlationid": b"ep-cc4bf51c852f7693b96a6b6c89ffa43927bca0d7",
        "ce_causationid": b"rs-cb5aadb1cac4254b16c9c3ce77e424cfef56f53f",
        "ce_severitytext": b"warning",
        "ce_severitynumber": b"13",
    }


def test_headers_of_a_notification_point_to_its_alert() -> None:
    found = dict(notification_headers(example("slack_notification"), example("alert")))
    assert found["ce_type"] == b"leeway.notification.v1"
    assert found["ce_id"] == b"nt-62dc3aa68f9d7ea1e63aae95b13fabd5eb9b8806"
    assert found["ce_causationid"] == b"al-042222b3871d5af65402ee1207966c51ed139810"
    assert found["ce_dataschema"] == b"urn:leeway:schema:notification:v1"
    assert found["ce_kind"] == b"data_drift"
    assert found["ce_series"] == b"feature:annual_income"


def test_each_event_of_a_trigger_has_its_own_id_and_follows_from_the_one_before() -> None:
    requested = example("trigger")
    first = dict(headers(requested))
    assert first["ce_type"] == b"leeway.retraining.requested.v1"
    assert first["ce_causationid"] == b"rs-98777bd39e2b90592603d0943cef82af16ca27a6"
    assert first["ce_expirytime"] == b"2026-03-05T00:00:00.000Z"
    state = replace(requested.status, name="approved", sequence=2)
    approved = dict(headers(replace(requested, status=state)))
    assert approved["ce_type"] == b"leeway.retraining.approved.v1"
    assert approved["ce_causationid"] == first["ce_id"] != approved["ce_id"]
    by_hand = replace(requested, evidence=replace(requested.evidence, result_ids=()))
    assert "ce_causationid" not in dict(headers(by_hand))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_schema_files_equal_the_code(name: str) -> None:
    assert (FOLDER / f"{name}.json").read_bytes() == schema(name), "run python -m streams.schemas"
