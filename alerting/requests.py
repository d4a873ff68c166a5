"""What does a request to retrain say? Its document, and the data that it suggests."""

from collections.abc import Callable
from dataclasses import dataclass

from alerting.identity import alert_id, rfc3339, trigger_id
from alerting.settings import RetrainingCondition, RetrainingPolicy
from alerting.types import (
    Approval,
    Basis,
    Episode,
    Finding,
    Gates,
    Kind,
    Link,
    Priority,
    ReasonCode,
    TrainingWindow,
    Trigger,
    TriggerEvidence,
    TriggerMemory,
    TriggerModel,
    TriggerPolicy,
    TriggerReason,
    TriggerState,
)

MOST_ALERTS = 100
OF_LABELS = ("performance", "concept_drift")
PRIORITIES: tuple[Priority, ...] = ("low", "normal", "high")  # least urgent first
_CODES: dict[Kind, ReasonCode] = {
    "data_drift": "data_drift",
    "prediction_drift": "prediction_drift",
    "concept_drift": "concept_drift",
    "performance": "performance",
}
Since = Callable[[int], int]


@dataclass(frozen=True, slots=True)
class Wish:
    """Why to retrain: a problem, a date, labels, or somebody's wish. `anchor` makes it this one and no other."""

    condition: RetrainingCondition
    code: ReasonCode
    anchor: int | str
    summary: str
    by: str = "policy"
    episode: Episode | None = None
    finding: Finding | None = None
    result_id: str | None = None

    @property
    def kind(self) -> Kind | None:
        """The kind of problem behind it, if one is."""
        return None if self.episode is None else self.episode.kind

    @property
    def about(self) -> str:
        """What is held back once, however often it asks."""
        if self.episode is not None:
            return self.episode.episode_id
        return f"{self.condition.name}/{self.code}/{self.anchor}"

    @property
    def evaluates(self) -> bool:
        """Whether a person is only asked to look: drifting predictions are never retrained upon (contracts §6)."""
        return self.condition.action == "evaluate" or self.code == "prediction_drift"

    @property
    def approval(self) -> Approval:
        """Who must agree."""
        return "advisory" if self.evaluates else self.condition.approval

    def trigger_id(self, policy: RetrainingPolicy) -> str:
        """The same for the same wish, whenever and wherever it is told."""
        model = policy.model
        return trigger_id(model.id, model.version, self.condition.name, self.code, self.anchor)


def of_problem(
    condition: RetrainingCondition, episode: Episode, finding: Finding, result_id: str | None
) -> Wish:
    """The wish that follows from an open episode."""
    return Wish(
        condition,
        _CODES[episode.kind],
        episode.opened_ms,
        finding.summary,
        episode=episode,
        finding=finding,
        result_id=result_id,
    )


def training_window(
    policy: RetrainingPolicy, wish: Wish, at_ms: int, events_since: Since, labels_since: Since
) -> TrainingWindow:
    """From the change to now if the lifecycle says so and the change is known, else the newest data.

    A rule does not know when a change began: its episode at least knows when it was first broken.
    """
    basis: Basis = "lookback"
    start_ms, finding = at_ms - policy.lookback_ms, wish.finding
    if policy.basis == "change_point" and finding is not None and finding.since_ms is not None:
        basis, start_ms = "change_point", finding.since_ms
        if finding.rules and wish.episode is not None:
            start_ms = min(start_ms, wish.episode.opened_ms)
    return TrainingWindow(
        start=rfc3339(start_ms),
        end=rfc3339(at_ms),
        basis=basis,
        records=events_since(start_ms),
        labelled=labels_since(start_ms),
        offsets=(),
    )


def document(
    policy: RetrainingPolicy, memory: TriggerMemory, wish: Wish, at_ms: int, window: TrainingWindow
) -> Trigger:
    """The document of a request."""
    model, episode, condition = policy.model, wish.episode, wish.condition
    return Trigger(
        trigger_id=wish.trigger_id(policy),
        status=TriggerState("requested", 1, rfc3339(at_ms), wish.by, None),
        model=TriggerModel(
            model.id,
            model.name,
            model.version,
            model.environment,
            model.owner,
            model.training_data_snapshot,
        ),
        reason=TriggerReason(
            wish.code,
            wish.summary,
            None if episode is None else episode.episode_id,
            None if episode is None else episode.severity,
        ),
        training_window=window,
        evidence=_evidence(wish),
        policy=TriggerPolicy(
            name=condition.name,
            action="evaluate" if wish.evaluates else "retrain",
            approval=wish.approval,
            approvers=policy.approvers,
            priority=condition.priority,
            expires_at=rfc3339(at_ms + policy.expires_ms),
            cooldown_until=rfc3339(at_ms + policy.cooldown_ms),
            previous_trigger_id=None if memory.trigger is None else memory.trigger.trigger_id,
            suppressed_since_last=memory.suppressed,
            dry_run=policy.dry_run,
        ),
        pipeline=policy.pipeline,
        gates=Gates(policy.gates, policy.checks, None, (), (), ()),
        links=() if policy.console is None else (Link(policy.console, "Console"),),
    )


def _evidence(wish: Wish) -> TriggerEvidence:
    """The alerts, results and measurements behind a wish; those who ask by themselves have none."""
    episode, finding = wish.episode, wish.finding
    if episode is None or finding is None:
        return TriggerEvidence((), (), (), 0)
    alerts = range(max(1, episode.sequence - MOST_ALERTS + 1), episode.sequence + 1)
    results = dict.fromkeys(r for r in (episode.result_id, wish.result_id) if r is not None)
    return TriggerEvidence(
        alert_ids=tuple(alert_id(episode.episode_id, sequence) for sequence in alerts),
        result_ids=tuple(results),
        signals=finding.signals,
        truncated=finding.affected_total - len(finding.affected),
    )
