"""Which messages go out for these alerts? One per receiver that is to hear it, rendered and ready to send."""

from collections.abc import Sequence

from alerting.identity import notification_id
from alerting.render import email, pagerduty, slack
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
    return tuple(
        notification
        for alert in alerts
        if not alert.delivery.suppressed
        for name in alert.delivery.receivers
        if name in known
        for notification in _render(known[name], alert)
    )


def _render(receiver: Receiver, alert: Alert) -> tuple[Notification, ...]:
    """One notification, or none where this receiver does not hear this kind of news."""
    resolved = alert.change == "resolved"
    if resolved and not receiver.send_resolved:
        return ()
    if alert.change == "repeated" and receiver.channel == "pagerduty":
        return ()
    operation: Operation = "send"
    reply = None
    if receiver.channel == "slack":
        payload = slack.render(alert, receiver.target)
        operation = slack.operation(alert, threads=receiver.threads)
        reply = slack.reply(alert) if operation == "update_and_reply" else None
    elif receiver.channel == "pagerduty":
        payload = pagerduty.render(alert)
    else:
        payload = email.render(alert, receiver)
    expires = RESOLVED_EXPIRES_AFTER_SECONDS if resolved else EXPIRES_AFTER_SECONDS[alert.severity]
    return (
        Notification(
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
            payload=payload,
        ),
    )
