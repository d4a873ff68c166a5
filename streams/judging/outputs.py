"""What the judge concluded, as records of the topics that others read."""

from collections.abc import Sequence

from alerting.cloudevents import attributes, headers, notification_headers
from alerting.types import Alert, Notification, Trigger
from streams.broker import Outgoing
from streams.judging.plans import ModelPlan
from streams.messages import ResultDocument, encode_json
from streams.topics import Names


def result_record(names: Names, plan: ModelPlan, result: ResultDocument) -> Outgoing:
    """One verdict, for `leeway.results`."""
    about = attributes(
        result.result_id,
        "leeway.result.v1",
        source=f"/leeway/{plan.lifecycle.deployment.environment}/{result.model_id}",
        subject=f"{result.model_version}/{result.segment}",
        time=result.window.end,
        schema="result",
    )
    return Outgoing(names("results"), result.model_id.encode(), encode_json(result), about)


def alert_records(names: Names, alerts: Sequence[Alert]) -> list[Outgoing]:
    """Transitions of episodes, for `leeway.alerts`."""
    return [
        Outgoing(names("alerts"), alert.model.id.encode(), encode_json(alert), headers(alert))
        for alert in alerts
    ]


def notification_records(
    names: Names, alerts: Sequence[Alert], notifications: Sequence[Notification]
) -> list[Outgoing]:
    """Rendered alerts, for the topic of their channel."""
    of = {alert.alert_id: alert for alert in alerts}
    return [
        Outgoing(
            names(f"alerts.{n.channel}"),
            n.episode_id.encode(),
            encode_json(n),
            notification_headers(n, of[n.alert_id]),
        )
        for n in notifications
    ]


def trigger_records(names: Names, triggers: Sequence[Trigger]) -> list[Outgoing]:
    """Steps in the life of requests to retrain, for `leeway.retraining`."""
    return [
        Outgoing(
            names("retraining"), trigger.model.id.encode(), encode_json(trigger), headers(trigger)
        )
        for trigger in triggers
    ]
