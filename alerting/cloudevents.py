"""Which CloudEvents attributes travel with a document? Kafka headers of binary mode, contracts §5."""

from alerting.identity import trigger_event_id
from alerting.types import Alert, Notification, Severity, Trigger

Headers = tuple[tuple[str, bytes], ...]
SEVERITY_NUMBERS: dict[Severity, int] = {"info": 9, "warning": 13, "error": 17, "critical": 21}


def attributes(
    *,
    id: str,
    type: str,
    environment: str,
    model_id: str,
    version: str,
    segment: str,
    time: str,
    schema: str,
    correlation: str | None = None,
    causation: str | None = None,
    expiry: str | None = None,
    severity: Severity | None = None,
) -> Headers:
    """Headers of any event Leeway writes; what is None is left out.

    >>> attributes(id="rs-1", type="leeway.result.v1", environment="Production", model_id="m", version="1", segment="all",
    ...     time="2026-03-02T07:00:00.000Z", schema="result")[4]
    ('ce_source', b'/leeway/Production/m')
    """
    members: dict[str, str | None] = {
        "content-type": "application/json",
        "ce_specversion": "1.0",
        "ce_id": id,
        "ce_type": type,
        "ce_source": f"/leeway/{environment}/{model_id}",
        "ce_subject": f"{version}/{segment}",
        "ce_time": time,
        "ce_dataschema": f"urn:leeway:schema:{schema}:v1",
        "ce_correlationid": correlation,
        "ce_causationid": causation,
        "ce_expirytime": expiry,
        "ce_severitytext": severity,
        "ce_severitynumber": None if severity is None else str(SEVERITY_NUMBERS[severity]),
    }
    return tuple((name, value.encode()) for name, value in members.items() if value is not None)


def headers(document: Alert | Trigger) -> Headers:
    """Headers of an alert or of one event in a trigger's life."""
    if isinstance(document, Alert):
        return attributes(
            id=document.alert_id,
            type=f"leeway.alert.{document.change}.v1",
            environment=document.model.environment,
            model_id=document.model.id,
            version=document.model.version,
            segment=document.segment,
            time=document.at,
            schema="alert",
            correlation=document.episode_id,
            causation=document.evidence.result_id,
            severity=document.severity,
        )
    status, results = document.status, document.evidence.result_ids
    before = trigger_event_id(document.trigger_id, status.sequence - 1)
    return attributes(
        id=trigger_event_id(document.trigger_id, status.sequence),
        type=f"leeway.retraining.{status.name}.v1",
        environment=document.model.environment,
        model_id=document.model.id,
        version=document.model.version,
        segment="all",
        time=status.at,
        schema="trigger",
        correlation=document.reason.episode_id,
        causation=before if status.sequence > 1 else results[-1] if results else None,
        expiry=document.policy.expires_at,
    )


def notification_headers(notification: Notification, alert: Alert) -> Headers:
    """Headers of a notification; whose it is stands in the alert it renders."""
    return attributes(
        id=notification.idempotency_key,
        type="leeway.notification.v1",
        environment=alert.model.environment,
        model_id=alert.model.id,
        version=alert.model.version,
        segment=alert.segment,
        time=notification.at,
        schema="notification",
        correlation=alert.episode_id,
        causation=alert.alert_id,
        severity=notification.severity,
    )
