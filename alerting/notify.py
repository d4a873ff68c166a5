"""Which messages go out for these alerts? One per receiver that is to hear it, rendered and ready to send."""

from collections.abc import Sequence
from typing import Any

from alerting.identity import notification_id
from alerting.render import email, pagerduty, slack, webhook
from alerting.settings import Receiver
from alerting.types import Alert, Notification, Operation, Severity

EXPIRES_AFTER_SECONDS: dict[Severity, int] = {
    "info": 24 * 3600,
    "warning": 12 * 3600,
    "error": 4 * 3600,
    "critical": 3600,
}
RESOLVED_EXPIRES_AFTER_SECONDS = 24 * 3600


def notify(receivers: Sequence[Receiver], alerts: Sequence[Alert]) -> tuple[Notification, ...]:
    """Render every alert for the receivers in its `delivery`, in their order.

    An inhibited, silenced or held alert makes none: its `delivery` says why.
    """
    known = {receiver.name: receiver for receiver in receivers}
    found = (
        render(known[name], alert)
        for alert in alerts
        if not alert.delivery.suppressed
        for name in alert.delivery.receivers
        if name in known
    )
    return tuple(notification for notification in found if notification is not None)


def render(receiver: Receiver, alert: Alert) -> Notification | None:
    """An alert for one receiver, whether or not its `delivery` names it; None where this is no news for it.

    PagerDuty gets no repeats, and who does not want to hear of ends gets none. A webhook gets everything: it is sent
    documents, not messages.
    """
    resolved = alert.change == "resolved"
    if resolved and not receiver.send_resolved:
        return None
    if alert.change == "repeated" and receiver.channel == "pagerduty":
        return None
    operation: Operation = "send"
    reply = None
    if receiver.channel == "slack":
        operation = slack.operation(alert, threads=receiver.threads)
        reply = slack.reply(alert) if operation == "update_and_reply" else None
    expires = RESOLVED_EXPIRES_AFTER_SECONDS if resolved else EXPIRES_AFTER_SECONDS[alert.severity]
    return Notification(
        idempotency_key=notification_id(alert.alert_id, receiver.name),
        receiver=receiver.name,
        channel=receiver.channel,
        alert_id=alert.alert_id,
        episode_id=alert.episode_id,
        sequence=alert.sequence,
        model_id=alert.model.id,
        change=alert.change,
        severity=alert.severity,
        at=alert.at,
        expires_after_seconds=expires,
        operation=operation,
        reply=reply,
        payload=_payload(receiver, alert),
    )


def _payload(receiver: Receiver, alert: Alert) -> dict[str, Any]:
    if receiver.channel == "slack":
        return slack.render(alert, receiver)
    if receiver.channel == "pagerduty":
        return pagerduty.render(alert)
    if receiver.channel == "email":
        return email.render(alert, receiver)
    return webhook.render(alert)
