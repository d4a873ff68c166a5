"""Which CloudEvents attributes travel with a document? Kafka headers of binary mode, contracts §5."""

import re
from typing import Any
from urllib.parse import quote

from alerting.identity import trigger_event_id
from alerting.types import Alert, AlertModel, Notification, Severity, Trigger, TriggerModel

Headers = tuple[tuple[str, bytes], ...]
# What a CloudEvents string may not have: control characters, half surrogates, and what is no character at all.
_ILLEGAL = re.compile(
    "[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | low) for plane in range(17) for low in (0xFFFE, 0xFFFF))
    + "]"
)
CONTENT_TYPE = "application/json"
STRUCTURED = "application/cloudevents+json"
SEVERITY_NUMBERS: dict[Severity, int] = {"info": 9, "warning": 13, "error": 17, "critical": 21}


def attributes(
    event_id: str,
    event_type: str,
    *,
    source: str,
    subject: str,
    time: str,
    schema: str,
    **extensions: str | None,
) -> Headers:
    """Headers of any event Leeway writes; an extension that is None is left out.

    A source is a URI reference: what an environment's name has that such a reference has not is percent-encoded.

    >>> for header in attributes("rs-1", "leeway.result.v1", source="/leeway/Production/m", subject="1/all",
    ...                          time="2026-03-02T07:00:00.000Z", schema="result", correlationid=None)[2:4]:
    ...     print(header)
    ('ce_id', b'rs-1')
    ('ce_type', b'leeway.result.v1')
    """
    members = {
        "content-type": CONTENT_TYPE,
        "ce_specversion": "1.0",
        "ce_id": event_id,
        "ce_type": event_type,
        "ce_source": quote(source, safe="/._~+-", errors="replace"),
        "ce_subject": subject,
        "ce_time": time,
        "ce_dataschema": f"urn:leeway:schema:{schema}:v1",
    }
    members |= {f"ce_{name}": text for name, text in extensions.items() if text is not None}
    return tuple((name, _ILLEGAL.sub("\ufffd", text).encode()) for name, text in members.items())


def structured(headers: Headers, data: Any) -> dict[str, Any]:
    """The same event in structured mode: attributes and data in one object.

    >>> structured((("content-type", b"application/json"), ("ce_id", b"al-1")), {"a": 1})
    {'id': 'al-1', 'datacontenttype': 'application/json', 'data': {'a': 1}}
    """
    named = {name[3:]: text.decode() for name, text in headers if name.startswith("ce_")}
    return named | {"datacontenttype": CONTENT_TYPE, "data": data}


def headers(document: Alert | Trigger) -> Headers:
    """Headers of an alert, or of one event in a trigger's life."""
    if isinstance(document, Alert):
        return attributes(
            document.alert_id,
            f"leeway.alert.{document.change}.v1",
            source=_source(document.model),
            subject=f"{document.model.version}/{document.segment}",
            time=document.at,
            schema="alert",
            correlationid=document.episode_id,
            causationid=document.evidence.result_id,
            severitytext=document.severity,
            severitynumber=str(SEVERITY_NUMBERS[document.severity]),
        )
    status, results = document.status, document.evidence.result_ids
    first = results[-1] if results else None
    before = trigger_event_id(document.trigger_id, status.sequence - 1)
    return attributes(
        trigger_event_id(document.trigger_id, status.sequence),
        f"leeway.retraining.{status.name}.v1",
        source=_source(document.model),
        subject=f"{document.model.version}/all",
        time=status.at,
        schema="trigger",
        correlationid=document.reason.episode_id,
        causationid=before if status.sequence > 1 else first,
        expirytime=document.policy.expires_at,
    )


def notification_headers(notification: Notification, alert: Alert) -> Headers:
    """Headers of a notification; whose it is stands in the alert that it renders.

    `ce_kind` and `ce_series` (the leading one) are what control groups by: the notification has no member for them.
    """
    return attributes(
        notification.idempotency_key,
        "leeway.notification.v1",
        source=_source(alert.model),
        subject=f"{alert.model.version}/{alert.segment}",
        time=notification.at,
        schema="notification",
        correlationid=alert.episode_id,
        causationid=alert.alert_id,
        severitytext=notification.severity,
        severitynumber=str(SEVERITY_NUMBERS[notification.severity]),
        kind=alert.kind,
        series=alert.affected[0].series if alert.affected else None,
    )


def _source(model: AlertModel | TriggerModel) -> str:
    return f"/leeway/{model.environment}/{model.id}"
