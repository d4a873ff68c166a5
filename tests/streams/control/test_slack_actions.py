"""Clicks in Slack: only signed and recent ones count, and the same click is the same command."""

import asyncio
import json
import time
from typing import Any
from urllib.parse import urlencode

import pytest
from aiohttp.test_utils import TestClient

from alerting.render.slack import ACKNOWLEDGE, SILENCE
from streams.commands import Acknowledge, Command, Silence
from streams.control.door import Door
from streams.control.server import Site
from streams.control.slack_actions import PATH, check, commands, signature_of
from streams.views.problems import Problem
from tests.streams.control.test_commands import TOKENS, Visitor
from tests.streams.published import read_model

SECRET, NOW_S = "8f742231b10e8888abcd99yyyzzz85a5", 1_531_420_618
ABOUT = {"model_id": "loans", "episode_id": "ep-1", "kind": "data_drift", "segment": "country=DE"}


def click(action: str = ACKNOWLEDGE, value: Any = ABOUT, **more: Any) -> bytes:
    """What Slack posts when somebody clicks; only what is read of it, and a little beside."""
    said = value if isinstance(value, str) else json.dumps(value)
    payload = {
        "type": "block_actions",
        "user": {"id": "U1", "username": "ann", "team_id": "T1"},
        "actions": [
            {
                "type": "button",
                "action_id": action,
                "value": said,
                "action_ts": "1531420618.750000",
                "block_id": "b",
            }
        ],
        "message": {"text": "a whole message"},
    } | more
    return urlencode({"payload": json.dumps(payload)}).encode()


def test_the_signature_is_that_of_slacks_own_example() -> None:
    """https://docs.slack.dev/authentication/verifying-requests-from-slack"""
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
        b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
        b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    expected = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    assert signature_of(SECRET, str(1_531_420_618), body) == expected


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"signature": None}, "Signature"),
        ({"signature": "v0=00"}, "Signature"),
        ({"signature": "v0=\u00e9"}, "Signature"),
        ({"body": b"payload=x"}, "Signature"),
        ({"secrets": ["another"]}, "Signature"),
        ({"timestamp": None}, "Timestamp"),
        ({"timestamp": "soon"}, "Timestamp"),
        ({"timestamp": "\u0661"}, "Timestamp"),
        ({"timestamp": str(NOW_S + 1)}, "Signature"),
        ({"now_ms": (NOW_S + 301) * 1000}, "5 minutes"),
        ({"now_ms": (NOW_S - 301) * 1000}, "5 minutes"),
        ({"secrets": []}, "signing_secret"),
    ],
)
def test_what_slack_did_not_sign_lately_is_refused(change: dict[str, Any], said: str) -> None:
    body = click()
    shown: dict[str, Any] = {
        "secrets": ["older", SECRET],
        "timestamp": str(NOW_S),
        "signature": signature_of(SECRET, str(NOW_S), body),
        "body": body,
        "now_ms": NOW_S * 1000,
    }
    check(**shown)
    for edge in (NOW_S - 300, NOW_S + 300):
        check(**shown | {"now_ms": edge * 1000})
    with pytest.raises(Problem, match=said):
        check(**shown | change)


def test_a_click_is_a_command_of_who_clicked_and_the_same_click_is_the_same_command() -> None:
    (acknowledge,) = commands(click())
    assert isinstance(acknowledge, Acknowledge)
    assert (acknowledge.model_id, acknowledge.episode_id, acknowledge.by) == (
        *("loans", "ep-1", "slack:U1"),
    )
    assert acknowledge.note == "ann in Slack"
    assert commands(click()) == (acknowledge,)
    other = commands(click(user={"id": "U2", "name": "bob"}))[0]
    assert (other.by, other.note) == ("slack:U2", "bob in Slack")
    assert other.command_id != acknowledge.command_id


def test_a_click_on_silence_is_four_hours_from_the_click() -> None:
    (silence,) = commands(click(SILENCE))
    assert isinstance(silence, Silence)
    assert silence.until == "2018-07-12T22:36:58.750Z"
    assert (silence.match.kind, silence.match.segment) == ("data_drift", "country=DE")
    assert (silence.by, silence.reason) == ("slack:U1", "ann in Slack")


def test_what_is_none_of_our_buttons_is_nothing() -> None:
    assert commands(click("open-console", "")) == ()
    assert commands(click(type="view_submission")) == ()
    assert commands(click(actions=[])) == ()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"payload=",
        b"payload=%7B",
        b"payload=1&payload=2",
        b"other=1",
        b"\xff",
        click(value="not json"),
        click(value={"episode_id": "ep-1"}),
        click(user=None),
        click(user={"id": "U" * 300}),
        click(SILENCE, actions=[{"action_id": SILENCE, "action_ts": "x", "value": json.dumps(ABOUT)}]),
        click(SILENCE, actions=[{"action_id": SILENCE, "action_ts": "1e999", "value": json.dumps(ABOUT)}]),
        click(SILENCE, actions=[{"action_id": SILENCE, "action_ts": "NaN", "value": json.dumps(ABOUT)}]),
    ],
)  # fmt: skip
def test_what_slack_would_not_send_is_a_problem(body: bytes) -> None:
    with pytest.raises(Problem, match="not a payload"):
        commands(body)


class Slack(Visitor):
    """Slack, before a control that knows its secret."""

    secrets: tuple[str, ...] = (SECRET,)

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self._site = Site(self.read, lambda: True, list, "1", self._write, self.secrets)
        self._door = Door("127.0.0.1", 0, TOKENS)

    def post(self, body: bytes, *, secret: str = SECRET, **headers: str) -> int:
        timestamp = str(int(time.time()))
        signed = {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Slack-Request-Timestamp": timestamp,
            "X-Slack-Signature": signature_of(secret, timestamp, body),
            "Host": "leeway.example",  # as a proxy passes it on
        }

        async def use(client: TestClient[Any, Any]) -> int:
            async with client.post(PATH, data=body, headers=signed | headers) as response:
                return response.status

        status: int = self.visit(use)
        return status


def test_a_signed_click_needs_no_token_and_counts_once_however_often_it_is_told() -> None:
    slack = Slack(read=read_model())
    assert [slack.post(click()) for _ in range(3)] == [200, 200, 200]
    assert len(slack.written) == 1
    assert slack.post(click(SILENCE)) == 200
    kinds: list[type[Command]] = [type(command) for command in slack.written]
    assert kinds == [Acknowledge, Silence]
    assert slack.post(click(), secret="another") == 401
    assert slack.post(b"x" * (300 * 1024)) == 413
    slack.failing = True
    assert slack.post(click(user={"id": "U9"})) == 503, "the person sees that it did not work"


def test_a_click_that_kafka_takes_too_slowly_is_answered_in_time_and_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streams.control.server._SLACK_S", 0.05)
    slack, reached = Slack(), asyncio.Event()
    write = slack._write

    async def slowly(command: Command) -> None:
        await reached.wait()
        await write(command)

    slack._site = Site(slack.read, lambda: True, list, "1", slowly, slack.secrets)
    body, timestamp = click(), str(int(time.time()))
    signed = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Slack-Request-Timestamp": timestamp,
        "X-Slack-Signature": signature_of(SECRET, timestamp, body),
    }

    async def use(client: TestClient[Any, Any]) -> list[int]:
        async def once() -> int:
            async with client.post(PATH, data=body, headers=signed) as response:
                return response.status

        first = await once()
        reached.set()
        return [first, await once()]

    assert slack.visit(use) == [503, 200]
    assert len(slack.written) == 1


def test_without_a_signing_secret_there_are_no_buttons() -> None:
    visitor = Visitor()
    assert visitor.ask("POST", PATH, click()).status == 404
