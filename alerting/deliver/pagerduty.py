"""How does PagerDuty get an event? One request to Events v2; its `dedup_key` makes a second one harmless."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from alerting.deliver.calls import Answer, Line, encoded
from alerting.deliver.classify import by_status
from alerting.deliver.sink import Failed, Parcel, Sent

EVENTS = "https://events.pagerduty.com/v2/enqueue"
MOST_BYTES = 512 * 1024
ACCEPTED = 202
REFUSED = range(400, 500)  # only these say why
_FIELDS = re.compile(
    r"\b(routing_key|event_action|dedup_key|summary|source|severity|timestamp|component|group|class|custom_details"
    r"|images|links|client_url|client|payload)\b"
)


@dataclass(frozen=True, slots=True)
class PagerDuty:
    """Events API v2 with the routing key of one integration."""

    receiver: str
    routing_key: str = field(repr=False)
    line: Line = field(repr=False)
    now_ms: Callable[[], int] = field(repr=False)

    async def send(self, parcel: Parcel) -> Sent | Failed:
        """Send one event. Too large a one goes without its details, so that somebody is woken at all."""
        payload = parcel.notification.payload
        body = self._body(payload)
        if len(body) > MOST_BYTES:
            body = self._body(_without_details(payload))
        if len(body) > MOST_BYTES:
            return Failed("client", retry=False, said="larger than 512 KiB without its details")
        answer = await self.line.post(body, {"content-type": "application/json"}, read=REFUSED)
        if isinstance(answer, Failed):
            return answer
        if answer.status == ACCEPTED:
            return Sent()
        failed = by_status(answer.status, answer.retry_after, self.now_ms())
        about = _about(answer)
        said = f"{failed.said}, about {about}" if about else failed.said
        return Failed(failed.trouble, failed.retry, said, failed.after_s)

    def _body(self, payload: dict[str, Any]) -> bytes:
        return encoded({"routing_key": self.routing_key, **payload})

    async def close(self) -> None:
        await self.line.close()


def _without_details(payload: dict[str, Any]) -> dict[str, Any]:
    inner = payload.get("payload")
    if not isinstance(inner, dict):
        return payload
    kept = {name: part for name, part in inner.items() if name != "custom_details"}
    return {**payload, "payload": kept}


def _about(answer: Answer) -> str:
    """The fields that its `errors` name. Their text is not told: it may quote what we sent.

    >>> _about(Answer(400, b'{"errors": ["Length of \\'routing_key\\' is incorrect (should be 32 characters)"]}'))
    'routing_key'
    """
    errors = answer.document().get("errors")
    if not isinstance(errors, list):
        return ""
    found = [name for each in errors[:20] for name in _FIELDS.findall(str(each))]
    return ", ".join(dict.fromkeys(found))
