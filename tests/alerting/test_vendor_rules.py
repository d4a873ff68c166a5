"""The validators of the vendors' rules refuse what is one beyond a limit: only so does passing them mean anything."""

from typing import Any

import pytest

from tests.vendors import Rejected, cloudevents, mail, pagerduty, slack

TEXT = {"type": "mrkdwn", "text": "a"}
SECTION = {"type": "section", "text": TEXT}
CONTEXT = {"type": "context", "elements": [TEXT]}
BUTTON = {
    "type": "button",
    "text": {"type": "plain_text", "text": "Go"},
    "action_id": "go",
    "value": "1",
}


def post(*blocks: Any, **members: Any) -> dict[str, Any]:
    return {"channel": "#ml", "text": "t", "blocks": list(blocks)} | members


def header(text: str, kind: str = "plain_text") -> dict[str, Any]:
    return {"type": "header", "text": {"type": kind, "text": text}}


def section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def fields(*texts: str) -> dict[str, Any]:
    return {"type": "section", "fields": [{"type": "mrkdwn", "text": text} for text in texts]}


@pytest.mark.parametrize(
    "payload",
    [
        post(header("x" * 150), section("x" * 3000), CONTEXT),
        post(fields(*["x" * 300] * 10)),
        post(fields("x" * 2000)),
        post(*[SECTION] * 50),
        post(text="x" * 3999),
        post(attachments=[{"color": "#ECB22E", "blocks": [SECTION]}]),
        post({"type": "actions", "elements": [BUTTON | {"action_id": f"{k}"} for k in range(25)]}),
        post({"type": "divider"}, thread_ts="1.2"),
    ],
)
def test_slack_takes_what_is_just_within_its_limits(payload: dict[str, Any]) -> None:
    slack.message(payload)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (post(header("x" * 151)), "invalid_blocks"),
        (post(header("x", "mrkdwn")), "invalid_blocks"),
        (post(header("")), "invalid_blocks"),
        (post(section("x" * 3001)), "invalid_blocks"),
        (post(section("")), "invalid_blocks"),
        (post({"type": "section"}), "invalid_blocks"),
        (post(fields("x" * 2001)), "invalid_blocks"),
        (post(fields(*["x"] * 11)), "invalid_blocks"),
        (post({"type": "context", "elements": [TEXT] * 11}), "invalid_blocks"),
        (post({"type": "context", "elements": []}), "invalid_blocks"),
        (post({"type": "picture"}), "invalid_blocks"),
        (post(SECTION | {"colour": "red"}), "invalid_blocks"),
        (post(*[SECTION] * 51), "invalid_blocks"),
        (post(*[SECTION] * 30, attachments=[{"blocks": [SECTION] * 21}]), "invalid_blocks"),
        (post({"type": "actions", "elements": [BUTTON, BUTTON]}), "invalid_blocks"),
        (post({"type": "actions", "elements": [BUTTON | {"value": "x" * 2001}]}), "invalid_blocks"),
        (post({"type": "actions", "elements": [BUTTON] * 26}), "invalid_blocks"),
        (post(text="x" * 4000), "msg_too_long"),
        (post(*[section("x" * 2900)] * 3), "msg_blocks_too_long"),
        (post(text=""), "no_text"),
        (post(attachments=[{}]), "no_text"),
        (post(attachments=[{"text": "a"}] * 101), "too_many_attachments"),
        (post(attachments=[{"text": "a", "color": "red"}]), "invalid_attachments"),
        (post(channel=""), "channel_not_found"),
        (post(colour="red"), "invalid_arguments"),
        (post(text="\ud800"), "invalid_json"),
        ([], "invalid_json"),
    ],
)
def test_slack_refuses_what_is_beyond_them(payload: Any, reason: str) -> None:
    with pytest.raises(Rejected) as refused:
        slack.message(payload)
    assert refused.value.reason == reason


def test_slack_updates_need_the_message_and_webhooks_no_channel() -> None:
    slack.message({"text": "a"}, "webhook")
    slack.message(post(ts="1405894322.002768"), "update")
    with pytest.raises(Rejected, match="message_not_found"):
        slack.message(post(), "update")


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("a &lt; b <https://wiki.example/a?b=c|Runbook>", True),
        ("`leeway ack --segment '@here'`", True),
        ("a < b", False),
        ("a & b", False),
        ("<!channel>", False),
        ("<@U1234>", False),
        ("<javascript:x|y>", False),
        ("@channel", False),
    ],
)
def test_what_would_call_people_or_lead_elsewhere_is_harm(text: str, passes: bool) -> None:
    if passes:
        slack.harmless(post(section(text)))
    else:
        with pytest.raises(Rejected):
            slack.harmless(post(section(text)))


def event(action: str = "trigger", **members: Any) -> dict[str, Any]:
    about = {"summary": "s", "source": "h", "severity": "error"} | members.pop("about", {})
    found = {"routing_key": "R" * 32, "event_action": action, "dedup_key": "k", "payload": about}
    return found | members


def test_pagerduty_takes_what_is_just_within_its_limits() -> None:
    pagerduty.event(event(about={"summary": "x" * 1024, "timestamp": "2026-03-02T07:00:00.000Z"}))
    pagerduty.event(event(dedup_key="x" * 255, links=[{"href": "https://a.example", "text": "a"}]))
    pagerduty.event({"event_action": "resolve", "dedup_key": "k"}, keyed=False)


@pytest.mark.parametrize(
    "body",
    [
        event("open"),
        event(dedup_key="x" * 256),
        event("acknowledge", dedup_key=None),
        event(routing_key="short"),
        event(about={"summary": "x" * 1025}),
        event(about={"summary": ""}),
        event(about={"source": ""}),
        event(about={"severity": "fatal"}),
        event(about={"timestamp": "yesterday"}),
        event(about={"custom_details": "text"}),
        event(about={"custom_details": {"x": "y" * 512 * 1024}}),
        event(about={"colour": "red"}),
        event(payload=None),
        event(links=[{"href": "javascript:x"}]),
        event(links={"href": "https://a.example"}),
        event(images=[{"src": "http://a.example/b.png"}]),
        event(client_url="nowhere"),
        event(colour="red"),
        "text",
    ],
)
def test_pagerduty_refuses_what_is_beyond_them(body: Any) -> None:
    with pytest.raises(Rejected, match="invalid event"):
        pagerduty.event(body)


LETTER = {
    "to": ["ops@example.org"],
    "subject": "[error] a",
    "text": "a\n",
    "html": "<p>a</p>",
    "headers": {"Message-ID": "<al-1@leeway>", "Auto-Submitted": "auto-generated"},
}


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"to": ["a@example.org"] * 101}, "to"),
        ({"to": ["nobody"]}, "to"),
        ({"subject": "a\r\nBcc: x@example.org"}, "Subject"),
        ({"subject": ""}, "Subject"),
        ({"subject": "x" * 201}, "subject"),
        ({"headers": LETTER["headers"] | {"X-A": "b\nc"}}, "X-A"),  # type: ignore[operator]
        ({"headers": LETTER["headers"] | {"Message-ID": "al-1"}}, "Message-ID"),  # type: ignore[operator]
        ({"headers": {"Message-ID": "<al-1@leeway>"}}, "headers"),
        ({"text": " \n"}, "text"),
        ({"text": "a\x07"}, "text"),
        ({"text": "x" * 200_000}, "payload"),
        ({"html": "<p>a"}, "html"),
        ({"html": "<p>a</b></p>"}, "html"),
        ({"html": "<script>a</script>"}, "html"),
        ({"html": '<img src="https://a.example/b.png">'}, "html"),
        ({"html": '<p style="background:url(https://a.example)">a</p>'}, "html"),
        ({"html": '<a href="javascript:x">a</a>'}, "html"),
        ({"html": '<p onclick="x">a</p>'}, "html"),
        ({"html": "<!-- a -->"}, "html"),
        ({"html": "<p>a\x07</p>"}, "html"),
        ({"cc": []}, "payload"),
    ],
)
def test_mails_beyond_the_limits_are_refused(members: dict[str, Any], reason: str) -> None:
    mail.payload(LETTER)
    with pytest.raises(Rejected) as refused:
        mail.payload(LETTER | members)
    assert refused.value.reason == reason


WIRE = (
    b"From: a@example.org\r\nTo: b@example.org\r\nDate: Mon, 02 Mar 2026 07:00:00 +0000\r\n"
    b"Message-ID: <al-1@leeway>\r\nSubject: a\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/alternative; boundary="b"\r\n\r\n'
    b"--b\r\nContent-Type: text/plain\r\n\r\na\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>a</p>\r\n--b--\r\n"
)


@pytest.mark.parametrize(
    "raw",
    [
        WIRE.replace(b"\r\n", b"\n"),
        WIRE.replace(b"Subject: a", b"Subject: " + b"x" * 1000),
        WIRE.replace(b"Subject: a", b"Subject: \xc3\xa9"),
        WIRE.replace(b"Subject: a\r\n", b""),
        WIRE.replace(b"Subject: a", b"Subject: a\r\nSubject: b"),
        WIRE.replace(b"<al-1@leeway>", b"al-1"),
        WIRE.replace(b"text/html", b"text/plain"),
        WIRE.replace(b"<p>a</p>", b"<p>a"),
        WIRE + b"x" * 256 * 1024,
    ],
)
def test_a_mail_server_refuses_what_no_rfc_allows(raw: bytes) -> None:
    assert mail.message(WIRE)["Subject"] == "a"
    with pytest.raises(Rejected):
        mail.message(raw)


def test_a_mail_server_takes_a_hundred_recipients() -> None:
    mail.message(WIRE, 100)
    with pytest.raises(Rejected, match="552"):
        mail.message(WIRE, 101)


CLOUD = {"specversion": "1.0", "id": "1", "source": "/leeway/a%20b/m", "type": "t"}


@pytest.mark.parametrize(
    "members",
    [
        {"specversion": "0.3"},
        {"id": ""},
        {"source": "/a b"},
        {"type": None},
        {"time": "yesterday"},
        {"dataschema": "schema"},
        {"subject": ""},
        {"subject": "a\nb"},
        {"subject": "\ufdd0"},
        {"severity_text": "a"},
        {"x" * 21: "a"},
        {"count": 2**31},
        {"about": {}},
        {"data": {"a": float("nan")}},
    ],
)
def test_what_is_no_cloudevent_is_refused(members: dict[str, Any]) -> None:
    cloudevents.event(CLOUD)
    with pytest.raises(Rejected):
        cloudevents.event(CLOUD | members)


def test_a_record_needs_its_content_type_and_each_attribute_once() -> None:
    pairs = [(f"ce_{name}", value.encode()) for name, value in CLOUD.items()]
    cloudevents.headers([*pairs, ("content-type", b"application/json")])
    for wrong in (pairs, [*pairs, pairs[0], ("content-type", b"application/json")]):
        with pytest.raises(Rejected, match="headers"):
            cloudevents.headers(wrong)
