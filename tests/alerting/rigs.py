"""How is a sink tried? One rig for each kind: its fake, the destination that leads there, and what it is to send."""

import asyncio
import base64
import ssl
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, TypeVar

import httpx2

from alerting.deliver.calls import Limits
from alerting.deliver.destination import Destination
from alerting.deliver.make import sinks
from alerting.deliver.sink import Failed, Parcel, Sent, Sink
from alerting.types import Channel, Notification
from tests.vendors.fake import Fake
from tests.vendors.mail_server import FakeMail
from tests.vendors.servers import FakePagerDuty, FakeSlack, FakeWebhook

T = TypeVar("T")

# Each must appear nowhere. Letters only, so that no pattern keeps them out by chance.
SECRETS = {
    "token": "xoxb-plantedtokenplanted",
    "routing_key": "PLANTEDROUTINGKEYPLANTEDROUTINGK",
    "password": "plantedpassword",
    "username": "planteduser",
    "webhook": "fake-webhook-secret",
    "path": "hooks/leeway",
    "secret": "whsec_" + base64.b64encode(b"plantedsigningkeyplanted").decode(),
    "key": "plantedsigningkeyplanted",
    "to": "planted.reader@example.org",
    "sender": "planted.sender@example.org",
    "host": "127.0.0.1",
    "payload": "plantedfeaturevalue",
}
LONG = Limits(total_s=10.0, connect_s=5.0)
SHORT = Limits(total_s=0.25, connect_s=0.2)  # for those who never answer

SLACK = {
    "channel": "#ml-alerts",
    "text": "warning: plantedfeaturevalue drifted",
    "unfurl_links": False,
}
PAGERDUTY = {
    "event_action": "trigger",
    "dedup_key": "ep-1",
    "payload": {
        "summary": "plantedfeaturevalue drifted",
        "source": "Production/m@1",
        "severity": "error",
    },
}
EVENT = {
    "specversion": "1.0",
    "id": "al-1",
    "source": "/leeway/Production/m",
    "type": "leeway.alert.opened.v1",
    "data": {"title": "plantedfeaturevalue"},
}
MAIL = {
    "to": [SECRETS["to"]],
    "subject": "[warning] plantedfeaturevalue",
    "text": "plantedfeaturevalue drifted",
    "html": "<p>plantedfeaturevalue drifted</p>",
    "headers": {"Message-ID": "<al-1@leeway>", "Auto-Submitted": "auto-generated"},
}


def parcel(
    payload: dict[str, Any], channel: Channel = "slack", thread: str | None = None, **changes: Any
) -> Parcel:
    """A notification with this payload."""
    notification = Notification(
        idempotency_key="nt-62dc3aa68f9d7ea1e63aae95b13fabd5eb9b8806",
        receiver="receiver",
        channel=channel,
        alert_id="al-1",
        episode_id="ep-1",
        sequence=1,
        model_id="m",
        change="opened",
        severity="warning",
        at="2026-03-02T07:00:00.000Z",
        expires_after_seconds=43200,
        operation="post",
        reply=None,
        payload=payload,
    )
    return Parcel(replace(notification, **changes), thread)


@dataclass(frozen=True, slots=True)
class Rig:
    """One kind of sink: `serve` makes its fake, `reach` the destination that leads to it."""

    name: str
    kind: str  # of the class that sends
    serve: Callable[..., Any]
    reach: Callable[[Any], Destination]
    parcel: Parcel
    arrived: Callable[[Any], Sequence[Any]]
    http: bool = True
    reads: bool = True  # whether it must read the body to know what became of it

    @contextmanager
    def tried(
        self,
        *,
        limits: Limits = LONG,
        trust: Callable[[], ssl.SSLContext] | None = None,
        **options: Any,
    ) -> Iterator[tuple[Any, "Trial"]]:
        """Its fake, running, and a way to send to it."""
        with self.serve(**options) as fake:
            yield fake, Trial(self, fake, limits, trust)


@dataclass(frozen=True, slots=True)
class Trial:
    """Sends through a sink of its own each time, with a loop of its own."""

    rig: Rig
    fake: Fake
    limits: Limits
    trust: Callable[[], ssl.SSLContext] | None

    def sink(self, **changes: Any) -> Sink:
        destination = replace(self.rig.reach(self.fake), name="receiver", **changes)
        trust = self.trust or usual
        return sinks([destination], now_ms, limits=self.limits, trust=trust)["receiver"]

    def send(self, sent: Parcel | None = None, **changes: Any) -> Sent | Failed:
        """What comes of sending the rig's parcel, or another one."""
        sink = self.sink(**changes)

        async def once() -> Sent | Failed:
            try:
                return await sink.send(sent or self.rig.parcel)
            finally:
                await sink.close()

        return run(once())

    def failed(self, sent: Parcel | None = None, **changes: Any) -> tuple[str, bool, str]:
        """How it fails: trouble, whether to retry, and what is said."""
        found = self.send(sent, **changes)
        assert isinstance(found, Failed), found
        return found.trouble, found.retry, found.said


@cache
def usual() -> ssl.SSLContext:
    """As in production, but read from disk once."""
    return httpx2.create_ssl_context()


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def now_ms() -> int:
    return int(time.time() * 1000)


BOT = Rig(
    name="slack-bot",
    kind="SlackBot",
    serve=lambda **more: FakeSlack(token=SECRETS["token"], **more),
    reach=lambda fake: Destination("r", "slack", url=fake.url, token=SECRETS["token"]),
    parcel=parcel(SLACK),
    arrived=lambda fake: fake.accepted,
)
INCOMING = Rig(
    name="slack-webhook",
    kind="SlackWebhook",
    serve=FakeSlack,
    reach=lambda fake: Destination("r", "slack", webhook=fake.webhook),
    parcel=parcel(SLACK),
    arrived=lambda fake: fake.accepted,
)
PAGER = Rig(
    name="pagerduty",
    kind="PagerDuty",
    serve=lambda **more: FakePagerDuty(routing_key=SECRETS["routing_key"], **more),
    reach=lambda fake: Destination(
        "r", "pagerduty", url=fake.url, routing_key=SECRETS["routing_key"]
    ),
    parcel=parcel(PAGERDUTY, "pagerduty", operation="send"),
    arrived=lambda fake: fake.accepted,
    reads=False,
)
WEBHOOK = Rig(
    name="webhook",
    kind="Webhook",
    serve=lambda **more: FakeWebhook(secret=SECRETS["secret"], **more),
    reach=lambda fake: Destination("r", "webhook", url=fake.url, secret=SECRETS["secret"]),
    parcel=parcel(EVENT, operation="send"),
    arrived=lambda fake: fake.accepted,
    reads=False,
)


def _letters(fake: FakeMail) -> Destination:
    return Destination(
        "r",
        "email",
        host="127.0.0.1",
        port=fake.port,
        tls="none",
        username=SECRETS["username"],
        password=SECRETS["password"],
        sender=f"Leeway <{SECRETS['sender']}>",
    )


LETTERS = Rig(
    name="email",
    kind="Mail",
    serve=lambda **more: FakeMail(**{"login": (SECRETS["username"], SECRETS["password"]), **more}),
    reach=_letters,
    parcel=parcel(MAIL, "email", operation="send"),
    arrived=lambda fake: fake.letters,
    http=False,
)
RIGS = (BOT, INCOMING, PAGER, WEBHOOK, LETTERS)
