"""Which messages are there, who writes them, and where are they? One row each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from alerting.types import Alert, Notification, Trigger
from streams.commands import Command, CommandOutcome
from streams.contracts import events, shapes
from streams.messages import Mark, Profile, ResultDocument
from streams.registry import Deployment
from streams.routing import Document as RoutingDocument
from streams.views.deliveries import DeliveryDocument

Direction = Literal["read", "written", "kept"]


@dataclass(frozen=True, slots=True)
class Document:
    """One kind of message.

    Attributes
    ----------
    type
        What its schema is made of; or the schema, where no type has its shape.
    direction
        `read`: others write it, and what we take never becomes narrower. `written`: we write it, and readers never
        get less, or something else. `kept`: we write it and read it, nobody else should.
    topics
        Where it is, without the prefix; input events are where a lifecycle says.
    events
        The `ce_type` that its records have, if they are CloudEvents.
    more
        Members of its schema beside those of the type: what several members say together.
    """

    name: str
    type: Any
    direction: Direction
    topics: tuple[str, ...]
    summary: str
    events: tuple[str, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def packed(self) -> bool:
        """Whether its records are MessagePack; the schema then is that of what they decode to."""
        return self.name == "profile"


_CHANGES = ("opened", "escalated", "eased", "acknowledged", "repeated", "resolved")
_STATUSES = ("requested", "approved", "rejected", "cancelled", "started", "completed", "failed")

DOCUMENTS: Mapping[str, Document] = {
    one.name: one
    for one in (
        Document(
            "prediction", events.Prediction, "read", ("predictions",), "A model answered once"
        ),
        Document("feature", events.Feature, "read", ("features",), "Features were computed"),
        Document(
            "label",
            events.Label,
            "read",
            ("labels",),
            "A truth became known",
            more=shapes.LABEL,
        ),
        Document("command", Command, "read", ("commands",), "Somebody asks for something"),
        Document(
            "result",
            ResultDocument,
            "written",
            ("results",),
            "One verdict",
            ("leeway.result.v1",),
        ),
        Document(
            "command-outcome",
            CommandOutcome,
            "written",
            ("results",),
            "What became of a command",
            ("leeway.command.v1",),
        ),
        Document(
            "alert",
            Alert,
            "written",
            ("alerts",),
            "One transition of an episode",
            tuple(f"leeway.alert.{change}.v1" for change in _CHANGES),
        ),
        Document(
            "notification",
            Notification,
            "written",
            ("alerts.slack", "alerts.pagerduty", "alerts.email"),
            "An alert rendered for one receiver",
            ("leeway.notification.v1",),
            more=shapes.NOTIFICATION,
        ),
        Document(
            "trigger",
            Trigger,
            "written",
            ("retraining",),
            "A request to retrain after one step of its life",
            tuple(f"leeway.retraining.{status}.v1" for status in _STATUSES),
        ),
        Document(
            "outcome", events.Outcome, "written", ("outcomes",), "A prediction with its truth"
        ),
        Document("mark", Mark, "kept", ("outcomes",), "How far labels have been joined"),
        Document("profile", Profile, "kept", ("profiles",), "Counts, and how far was read"),
        Document("lifecycle", shapes.LIFECYCLE, "kept", ("models",), "A model is registered"),
        Document("reference", shapes.REFERENCE, "kept", ("models",), "What it is compared with"),
        Document("deployment", Deployment, "kept", ("models",), "Another version answers now"),
        Document("routing", RoutingDocument, "kept", ("models",), "Who hears of alerts"),
        Document("state", shapes.STATE, "kept", ("state",), "What outlives a window"),
        Document("delivery", DeliveryDocument, "written", ("deliveries",), "What was sent to whom"),
        Document(
            "dead-letter",
            shapes.DEAD_LETTER,
            "written",
            ("dead-letters",),
            "The headers that a dead letter has beside those of its origin",
        ),
    )
}
