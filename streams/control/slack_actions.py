"""What did somebody click in Slack? Whether Slack really says so, and the command it stands for.

Slack posts a form with one field, `payload`, and signs it: `v0=` and the HMAC-SHA256, under the app's signing secret,
of `v0:TIMESTAMP:BODY`, the body byte for byte [1]_. It waits three seconds for an answer [2]_.

References
----------
.. [1] https://docs.slack.dev/authentication/verifying-requests-from-slack
.. [2] https://docs.slack.dev/interactivity/handling-user-interaction
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from urllib.parse import parse_qs

import msgspec

from alerting.identity import derived, rfc3339
from alerting.render.slack import ACKNOWLEDGE, SILENCE
from streams.commands import Acknowledge, Command, Match, Silence, decode
from streams.views.problems import Problem

PATH = "/slack/actions"
WINDOW_S = 5 * 60  # a request that is older was caught and is played again
SILENCE_MS = 4 * 60 * 60 * 1000
_SECONDS = re.compile(r"([0-9]{1,11})\.([0-9]{3,9})")
MOST_BYTES = 256 * 1024  # Slack sends the whole message along


class _User(msgspec.Struct):
    id: str
    username: str = ""
    name: str = ""


class _Action(msgspec.Struct):
    action_id: str
    action_ts: str
    value: str = ""


class _Payload(msgspec.Struct):
    type: str
    user: _User
    actions: list[_Action] = []


class _About(msgspec.Struct):
    """What `alerting.render.slack.button_value` puts into a button."""

    model_id: str
    episode_id: str
    kind: str
    segment: str


def check(
    secrets: Sequence[str], timestamp: str | None, signature: str | None, body: bytes, now_ms: int
) -> None:
    """Whether Slack sent this, lately.

    Raises
    ------
    Problem
        It is not signed with one of our secrets, or it is older than five minutes.

    Examples
    --------
    >>> signed = signature_of("s3cret", "1772434693", b"payload=%7B%7D")
    >>> check(["other", "s3cret"], "1772434693", signed, b"payload=%7B%7D", 1772434700000)
    >>> check(["s3cret"], "1772434693", signed, b"payload=%7B%7D", 1772435000000)
    Traceback (most recent call last):
    ...
    streams.views.problems.Problem: ('unauthenticated', 'X-Slack-Request-Timestamp: ...
    """
    if not secrets:
        raise Problem("not_found", "no receiver has a signing_secret")
    if timestamp is None or not (timestamp.isascii() and timestamp.isdecimal()):
        raise Problem("unauthenticated", "X-Slack-Request-Timestamp: expected seconds")
    shown = (signature or "").encode()
    # all of them, each in constant time: how long it takes tells nothing about any
    known = [
        hmac.compare_digest(signature_of(secret, timestamp, body).encode(), shown)
        for secret in secrets
    ]
    if not any(known):
        raise Problem("unauthenticated", "X-Slack-Signature: is not that of the body")
    if len(timestamp) > 12 or abs(now_ms // 1000 - int(timestamp)) > WINDOW_S:
        raise Problem("unauthenticated", "X-Slack-Request-Timestamp: is not of the last 5 minutes")


def signature_of(secret: str, timestamp: str, body: bytes) -> str:
    """What Slack writes into `X-Slack-Signature`."""
    signed = b":".join((b"v0", timestamp.encode(), body))
    return "v0=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def commands(body: bytes) -> tuple[Command, ...]:
    """What a click asks for; nothing where it is not one of our buttons.

    The same click gives the same commands, ids and all, whenever it is told again.

    Raises
    ------
    Problem
        It is not what Slack sends.
    """
    try:
        (text,) = parse_qs(body.decode(), strict_parsing=True, max_num_fields=10)["payload"]
        payload = msgspec.json.decode(text, type=_Payload)
        if payload.type != "block_actions":
            return ()
        found = [_command(payload.user, action) for action in payload.actions]
        return tuple(decode(msgspec.json.encode(one)) for one in found if one is not None)
    except (KeyError, ValueError, RecursionError, msgspec.MsgspecError):
        raise Problem("bad_request", "the body is not a payload of Slack's") from None


def _command(user: _User, action: _Action) -> Command | None:
    if action.action_id not in (ACKNOWLEDGE, SILENCE):
        return None  # a button that only opens an address is told of, too
    about = msgspec.json.decode(action.value, type=_About)
    who, when = f"slack:{user.id}", action.action_ts
    # names of people can be changed by them: the id is who it was, the name is for whoever reads
    note = f"{user.username or user.name or user.id} in Slack"
    command_id = derived("sk", when, user.id, action.action_id, about.episode_id)
    if action.action_id == ACKNOWLEDGE:
        return Acknowledge(
            command_id=command_id,
            model_id=about.model_id,
            by=who,
            note=note,
            episode_id=about.episode_id,
        )
    return Silence(
        command_id=command_id,
        model_id=about.model_id,
        by=who,
        silence_id=derived("sl", about.model_id, command_id),
        until=rfc3339(_ms(when) + SILENCE_MS),
        reason=note,
        match=Match(segment=about.segment, kind=about.kind),
    )


def _ms(seconds: str) -> int:
    """
    >>> _ms("1531420618.750000")
    1531420618750
    """
    found = _SECONDS.fullmatch(seconds)
    if found is None:
        raise ValueError("not a time of Slack's")
    return int(found[1]) * 1000 + int(found[2][:3])
