"""Who is at the other end in tests? Fake Slack, PagerDuty and webhook receiver that keep the documented rules.

The rules are in `slack`, `pagerduty` and `cloudevents`; a mail server is in `tests.vendors.mail_server`. Each remembers
what it accepted and when, and breaks on demand: `fake.next(CUT.taking())`, `fake.always(0.1, HANG, status(500))`.
"""

import base64
import hashlib
import hmac
import json
import re
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.vendors import Rejected, cloudevents, pagerduty, slack
from tests.vendors.fake import FakeHttp, Reply


def _json(code: int, /, **members: object) -> Reply:
    return Reply(code, json.dumps(members).encode(), (("Content-Type", "application/json"),))


@dataclass(slots=True)
class Message:
    """A message in a channel: every version of it, the newest last, and what stands below it."""

    channel: str
    ts: str
    versions: list[dict[str, Any]]
    replies: list[dict[str, Any]] = field(default_factory=list)


class FakeSlack(FakeHttp):
    """`chat.postMessage`, `chat.update` and an incoming webhook.

    Parameters
    ----------
    token : the only one that opens it
    burst : how many messages a channel takes at once before it takes one per second; None: no limit

    Attributes
    ----------
    messages : by time stamp, in the order they were posted; replies are inside
    """

    def __init__(
        self,
        *,
        token: str = "xoxb-fake-token",
        burst: int | None = None,
        tls: ssl.SSLContext | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(tls=tls, seed=seed)
        self.token = token
        self.messages: dict[str, Message] = {}
        self._burst = burst
        self._channels: dict[str, str] = {}
        self._free: dict[str, tuple[float, float]] = {}  # messages that may come, since when

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/api"

    @property
    def webhook(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/services/T000/B000/fake-webhook-secret"

    def forget(self, ts: str) -> None:
        """Somebody deleted a message."""
        del self.messages[ts]

    def take(self, path: str, headers: dict[str, str], body: bytes) -> Reply:
        method = path.rpartition("/")[2]
        try:
            message = json.loads(body)
        except ValueError:
            message = None
        try:
            if path.startswith("/services/"):
                return self._by_webhook(path, headers, message)
            if headers.get("authorization") != f"Bearer {self.token}":
                return _json(200, ok=False, error="invalid_auth")
            if not headers.get("content-type", "").startswith("application/json"):
                return _json(200, ok=False, error="not_authed")  # a token in the header needs JSON
            if method == "chat.postMessage":
                return self._post(message, headers)
            if method == "chat.update":
                return self._update(message, headers)
        except Rejected as rejected:
            self.rejected.append(rejected)
            if path.startswith("/services/"):
                return Reply(400, rejected.reason.encode())
            return _json(200, ok=False, error=rejected.reason)
        return _json(200, ok=False, error="unknown_method")

    def _by_webhook(self, path: str, headers: dict[str, str], message: Any) -> Reply:
        if not self.webhook.endswith(path):
            return Reply(404, b"no_service")
        slack.message(message, "webhook")
        if not self._may("webhook"):
            return Reply(429, b"rate_limited", (("Retry-After", "1"),))
        self._keep("webhook", message)
        self.accept("webhook", message, headers)
        return Reply(200, b"ok")

    def _post(self, message: Any, headers: dict[str, str]) -> Reply:
        slack.message(message, "post")
        channel = self._channel(message["channel"])
        thread = message.get("thread_ts")
        if thread is not None and not self._known(thread, channel):
            return _json(200, ok=False, error="thread_not_found")
        if not self._may(channel):
            return Reply(429, b'{"ok":false,"error":"ratelimited"}', (("Retry-After", "1"),))
        ts = self._keep(channel, message)
        self.accept("chat.postMessage", message, headers)
        return _json(200, ok=True, channel=channel, ts=ts, message={"text": message.get("text")})

    def _update(self, message: Any, headers: dict[str, str]) -> Reply:
        slack.message(message, "update")
        channel, ts = message["channel"], message["ts"]
        if channel not in self._channels.values():  # an update takes no names
            return _json(200, ok=False, error="channel_not_found")
        if not self._known(ts, channel):
            return _json(200, ok=False, error="message_not_found")
        self.messages[ts].versions.append(message)
        self.accept("chat.update", message, headers)
        return _json(200, ok=True, channel=channel, ts=ts, text=message.get("text"))

    def _keep(self, channel: str, message: dict[str, Any]) -> str:
        thread = message.get("thread_ts")
        ts = f"17{len(self.accepted):08}.{len(self.accepted):06}"
        if thread is None:
            self.messages[ts] = Message(channel, ts, [message])
        else:
            self.messages[thread].replies.append(message)
        return ts

    def _known(self, ts: str, channel: str) -> bool:
        return ts in self.messages and self.messages[ts].channel == channel

    def _channel(self, name: str) -> str:
        if name in self._channels.values():
            return name
        return self._channels.setdefault(name.lstrip("#"), f"C{len(self._channels):08}")

    def _may(self, channel: str) -> bool:
        if self._burst is None:
            return True
        now = time.monotonic()
        free, since = self._free.get(channel, (float(self._burst), now))
        free = min(float(self._burst), free + now - since)
        self._free[channel] = (free - 1 if free >= 1 else free, now)
        return free >= 1


@dataclass(slots=True)
class Incident:
    """What a responder sees under one `dedup_key`: its actions in order, and how often it was opened anew."""

    status: str
    actions: list[str] = field(default_factory=list)
    opened: int = 1


class FakePagerDuty(FakeHttp):
    """Events API v2. A trigger opens an incident, or joins the open one of its key; after a resolve it opens another.

    Attributes
    ----------
    incidents : by `dedup_key`
    ignored : acknowledgements and resolves of what was never triggered or is resolved; PagerDuty takes and drops them
    """

    def __init__(
        self,
        *,
        routing_key: str = "R0UTINGKEYOFTHEFAKE0000000000000",
        tls: ssl.SSLContext | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(tls=tls, seed=seed)
        self.routing_key = routing_key
        self.incidents: dict[str, Incident] = {}
        self.ignored: list[tuple[str, str]] = []

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/v2/enqueue"

    def take(self, path: str, headers: dict[str, str], body: bytes) -> Reply:
        if path != "/v2/enqueue":
            return _json(404, status="not found")
        try:
            event = json.loads(body)
            pagerduty.event(event)
        except ValueError:
            return self._invalid(Rejected("invalid event", "no JSON"))
        except Rejected as rejected:
            return self._invalid(rejected)
        if event["routing_key"] != self.routing_key:
            return self._invalid(Rejected("invalid event", "Invalid routing key"))
        key = event.get("dedup_key") or f"made-{len(self.accepted)}"
        self._move(key, event["event_action"])
        self.accept(event["event_action"], event, headers)
        return _json(202, status="success", message="Event processed", dedup_key=key)

    def _move(self, key: str, action: str) -> None:
        incident = self.incidents.get(key)
        if action == "trigger":
            if incident is None:
                incident = self.incidents[key] = Incident("triggered")
            elif incident.status == "resolved":
                incident.status = "triggered"
                incident.opened += 1
        elif incident is None or incident.status == "resolved":
            self.ignored.append((key, action))
            return
        else:
            incident.status = f"{action}d"
        incident.actions.append(action)

    def _invalid(self, rejected: Rejected) -> Reply:
        self.rejected.append(rejected)
        return _json(
            400, status=rejected.reason, message="Event object is invalid", errors=[rejected.why]
        )


class FakeWebhook(FakeHttp):
    """A receiver of CloudEvents that checks Standard Webhooks signatures, five minutes wide."""

    TOLERANCE_S = 300

    def __init__(
        self,
        *,
        secret: str = "whsec_" + base64.b64encode(b"k" * 32).decode(),
        now: Callable[[], float] = time.time,
        tls: ssl.SSLContext | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(tls=tls, seed=seed)
        self.secret = secret
        self._now = now

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/hooks/leeway"

    @property
    def ids(self) -> list[str]:
        """`webhook-id` of what it took, in order: an id twice is the same event again."""
        return [each.headers["webhook-id"] for each in self.accepted]

    def take(self, path: str, headers: dict[str, str], body: bytes) -> Reply:
        try:
            self._check(headers, body)
            document = json.loads(body)
            cloudevents.event(document)
        except ValueError:
            return Reply(400, b"no JSON")
        except Rejected as rejected:
            self.rejected.append(rejected)
            return Reply(401 if rejected.reason == "signature" else 400, rejected.reason.encode())
        self.accept("POST", document, headers)
        return Reply(204, b"")

    def _check(self, headers: dict[str, str], body: bytes) -> None:
        name, at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        if not name or "." in name or not re.fullmatch(r"\d{1,12}", at):
            raise Rejected("signature", "webhook-id and webhook-timestamp")
        if abs(self._now() - int(at)) > self.TOLERANCE_S:
            raise Rejected("signature", "too old or too new")
        if headers.get("content-type") != "application/cloudevents+json":
            raise Rejected("content-type", headers.get("content-type", ""))
        key = base64.b64decode(self.secret.removeprefix("whsec_"))
        expected = hmac.digest(key, b".".join([name.encode(), at.encode(), body]), hashlib.sha256)
        for given in headers.get("webhook-signature", "").split(" "):
            version, _, text = given.partition(",")
            if version == "v1" and hmac.compare_digest(text, base64.b64encode(expected).decode()):
                return
        raise Rejected("signature", "does not match")
