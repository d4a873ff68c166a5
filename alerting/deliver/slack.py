"""How does Slack get a message? By a bot token (posts, edits, threads), or by an incoming webhook (posts only)."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from alerting.deliver.calls import Answer, Line, encoded
from alerting.deliver.classify import by_status
from alerting.deliver.sink import Failed, Parcel, Sent

API = "https://slack.com/api"
# Slack's words for what a later attempt may pass, and for a door that is shut to us whatever we bring.
RETRIED = frozenset(
    {
        "ratelimited",  # as the API writes it
        "rate_limited",
        "internal_error",
        "fatal_error",
        "request_timeout",
        "service_unavailable",
        "rollup_error",  # the same from an incoming webhook
    }
)
AUTH = frozenset(
    {
        "account_inactive",
        "invalid_auth",
        "invalid_token",
        "no_active_hooks",
        "no_service",
        "not_authed",
        "token_expired",
        "token_revoked",
    }
)
# The first message is gone, out of reach, or may not be edited any more: the news is posted anew.
NOT_EDITABLE = frozenset(
    {"message_not_found", "channel_not_found", "cant_update_message", "edit_window_closed"}
)
_NOT_FOR_UPDATES = ("unfurl_links", "unfurl_media")
_WORD = re.compile(r"[a-z][a-z_]{1,39}")
_JSON = {"content-type": "application/json; charset=utf-8"}


@dataclass(frozen=True, slots=True)
class SlackBot:
    """`chat.postMessage` and `chat.update` with a bot token.

    A thread is written `CHANNEL/TS`: an update needs the channel's id, which only the answer to the post tells [1]_.

    References
    ----------
    .. [1] slackapi/python-slack-sdk, issue 696: `chat.update` takes no channel names.
    """

    receiver: str
    token: str = field(repr=False)
    line: Line = field(repr=False)
    now_ms: Callable[[], int] = field(repr=False)

    async def send(self, parcel: Parcel) -> Sent | Failed:
        """Post, or rewrite the first message and reply below it; each call is made once."""
        notification, thread = parcel.notification, _thread(parcel.thread)
        payload = notification.payload
        if notification.operation in ("post", "send") or thread is None:
            return await self._call("chat.postMessage", payload)
        channel, ts = thread
        place = {} if channel is None else {"channel": channel}
        kept = {name: part for name, part in payload.items() if name not in _NOT_FOR_UPDATES}
        done = await self._call("chat.update", {**kept, **place, "ts": ts})
        if isinstance(done, Failed):
            if done.said in NOT_EDITABLE:
                return await self._call("chat.postMessage", payload)
            return done
        if notification.operation == "update_and_reply":
            said = notification.reply or payload.get("text", "")
            below = {"channel": payload.get("channel"), **place, "thread_ts": ts, "text": said}
            replied = await self._call("chat.postMessage", {**below, "unfurl_links": False})
            if isinstance(replied, Failed):
                return replied
        return Sent(parcel.thread)

    async def _call(self, method: str, payload: dict[str, Any]) -> Sent | Failed:
        headers = {**_JSON, "authorization": f"Bearer {self.token}"}
        answer = await self.line.post(encoded(payload), headers, f"/{method}")
        if isinstance(answer, Failed):
            return answer
        document = answer.document()
        if answer.status == 200 and document.get("ok") is True:
            return Sent(_name(document))
        return _failed(answer, document.get("error"), self.token, self.now_ms())

    async def close(self) -> None:
        await self.line.close()


@dataclass(frozen=True, slots=True)
class SlackWebhook:
    """An incoming webhook: it posts to its own channel, and what it posted cannot be changed."""

    receiver: str
    url: str = field(repr=False)
    line: Line = field(repr=False)
    now_ms: Callable[[], int] = field(repr=False)

    async def send(self, parcel: Parcel) -> Sent | Failed:
        payload = {
            name: part for name, part in parcel.notification.payload.items() if name != "channel"
        }
        answer = await self.line.post(encoded(payload), _JSON)
        if isinstance(answer, Failed):
            return answer
        word = answer.body[:100].decode("utf-8", "replace").strip()
        if answer.status == 200 and word == "ok":
            return Sent()
        return _failed(answer, word, self.url, self.now_ms())

    async def close(self) -> None:
        await self.line.close()


def _failed(answer: Answer, word: object, secret: str, now_ms: int) -> Failed:
    """By Slack's own word where it says one, else by the status. Other text is not told: it may be anybody's."""
    by_word = by_status(answer.status, answer.retry_after, now_ms)
    if not isinstance(word, str) or not _WORD.fullmatch(word) or word in secret:
        if answer.status != 200:
            return by_word
        return answer.lost or Failed(
            "server", retry=True, said="answered 200, but not as Slack does"
        )
    if word in AUTH:
        return Failed("auth", retry=True, said=word)
    if word in ("ratelimited", "rate_limited"):
        return Failed("rate_limited", retry=True, said=word, after_s=by_word.after_s)
    if word in RETRIED:
        return Failed("server", retry=True, said=word, after_s=by_word.after_s)
    if answer.status == 200:
        return Failed("client", retry=False, said=word)
    return Failed(by_word.trouble, by_word.retry, word, by_word.after_s)


def _name(document: dict[str, Any]) -> str | None:
    """How a later update finds the message, from the answer to its post."""
    channel, ts = document.get("channel"), document.get("ts")
    if isinstance(ts, str) and re.fullmatch(r"\d{1,12}\.\d{1,9}", ts):
        known = isinstance(channel, str) and re.fullmatch(r"[A-Z0-9]{2,32}", channel)
        return f"{channel}/{ts}" if known else ts
    return None


def _thread(name: str | None) -> tuple[str | None, str] | None:
    """The channel, where it is known, and the time stamp.

    >>> _thread("C024BE91L/1503435956.000247"), _thread("1503435956.000247"), _thread(None)
    (('C024BE91L', '1503435956.000247'), (None, '1503435956.000247'), None)
    """
    if name is None:
        return None
    channel, _, ts = name.rpartition("/")
    return channel or None, ts
