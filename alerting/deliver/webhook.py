"""How does anything else get an alert? A structured CloudEvent by POST, signed as Standard Webhooks 1.0 are [1]_.

References
----------
.. [1] Standard Webhooks, version 1.0.0: `webhook-id`, `webhook-timestamp`, `webhook-signature`.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field

from alerting.deliver.calls import Line, encoded
from alerting.deliver.classify import by_status
from alerting.deliver.destination import Unusable
from alerting.deliver.sink import Failed, Parcel, Sent

PREFIX = "whsec_"
SHORTEST_KEY, LONGEST_KEY = 24, 64  # bytes, as the standard has it


@dataclass(frozen=True, slots=True)
class Webhook:
    """A receiver of the user's own. The same alert has the same `webhook-id` however often it is sent."""

    receiver: str
    key: bytes = field(repr=False)
    line: Line = field(repr=False)
    now_ms: Callable[[], int] = field(repr=False)

    async def send(self, parcel: Parcel) -> Sent | Failed:
        notification = parcel.notification
        body, at_ms = encoded(notification.payload), self.now_ms()
        name, at_s = notification.idempotency_key, at_ms // 1000
        headers = {
            "content-type": "application/cloudevents+json",
            "webhook-id": name,
            "webhook-timestamp": str(at_s),
            "webhook-signature": signature(self.key, name, at_s, body),
        }
        answer = await self.line.post(body, headers, read=())
        if isinstance(answer, Failed):
            return answer
        if 200 <= answer.status < 300:
            return Sent()
        return by_status(answer.status, answer.retry_after, at_ms)

    async def close(self) -> None:
        await self.line.close()


def signature(key: bytes, name: str, at_s: int, body: bytes) -> str:
    """HMAC-SHA256 of `name.at_s.body` under `key`, as `v1,` and base64.

    Examples
    --------
    >>> key = key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    >>> signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='
    """
    signed = f"{name}.{at_s}.".encode() + body
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def key_of(secret: str) -> bytes:
    """The key in a secret as it is handed out: base64, usually after `whsec_`.

    Raises
    ------
    Unusable
        It is not base64, or not 24 to 64 bytes.
    """
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise Unusable("the secret is not base64: expected whsec_ and base64") from None
    if not SHORTEST_KEY <= len(key) <= LONGEST_KEY:
        raise Unusable(f"the secret has {len(key)} bytes: expected 24 to 64")
    return key
