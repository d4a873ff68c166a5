"""Should this model be retrained? Requests, their guards, and the life of a trigger."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Literal

from alerting.findings import BROKEN
from alerting.identity import alert_id, rfc3339, trigger_id
from alerting.settings import Context, RetrainingCondition, RetrainingPolicy
from alerting.types import (
    Basis,
    Episode,
    Finding,
    Gates,
    Kind,
    Link,
    ReasonCode,
    TrainingWindow,
    Trigger,
    TriggerEvidence,
    TriggerMemory,
    TriggerModel,
    TriggerPolicy,
    TriggerReason,
    TriggerState,
    TriggerStatus,
)
from alerting.wording import duration
from detectors.types import Status

# From each status to those that may follow; every other step is refused.
TRANSITIONS: dict[TriggerStatus, tuple[TriggerStatus, ...]] = {
    "requested": ("approved", "rejected", "cancelled"),
    "approved": ("started", "failed", "cancelled"),
    "started": ("completed", "failed", "cancelled"),
    "rejected": (),
    "cancelled": (),
    "completed": (),
    "failed": (),
}
MOST_ALERTS = 100
OF_LABELS = ("performance", "concept_drift")
_CODES: dict[Kind, ReasonCode] = {
    "data_drift": "data_drift",
    "prediction_drift": "prediction_drift",
    "concept_drift": "concept_drift",
    "performance": "performance",
}
_PRIORITIES = ("low", "normal", "high")

HeldBack = Literal[
    "broken_input",
    "data_quality",
    "label_health",
    "open_trigger",
    "cooldown",
    "at_most",
    "too_few_records",
    "too_few_labels",
]
Moved = tuple[TriggerMemory, tuple[Trigger, ...]]
Counters = tuple[Callable[[int], int], Callable[[int], int]]  # of events, of labels


def request(
    policy: RetrainingPolicy,
    memory: TriggerMemory,
    episode: Episode | None,
    finding: Finding,
    context: Context,
    events_since: Callable[[int], int],
    labels_since: Callable[[int], int] = lambda since_ms: 0,
    others: Iterable[Episode] = (),
) -> Moved:
    """Fold one window of one subject into the triggers of its model.

    Called after `advance` and for every window, insufficient ones too: deadlines pass with time. Only the current
    version, all segments together, can ask for a retraining.

    Parameters
    ----------
    episode : Episode or None
        As `advance` left it.
    events_since, labels_since : callable
        Number of events, and of labels, judged since a time (epoch ms), as far back as they are kept.
    others
        All episodes of the model: broken data veto every retraining, unhealthy labels hold back what rests on labels.

    Returns
    -------
    memory, triggers
        One document per step. Under approval `auto` `requested` and `approved` come together.
    """
    memory, ended = _overdue(policy, memory, context.at_ms)
    memory, news = _weigh(
        policy, memory, episode, finding, context, (events_since, labels_since), others
    )
    return memory, ended + news


def move(
    policy: RetrainingPolicy,
    memory: TriggerMemory,
    status: TriggerStatus,
    at_ms: int,
    *,
    by: str,
    note: str | None = None,
) -> Moved:
    """Take the model's trigger one step further; a step that `TRANSITIONS` does not have changes nothing."""
    trigger = memory.trigger
    if trigger is None or status not in TRANSITIONS[trigger.status.name]:
        return memory, ()
    if status == "approved" and trigger.policy.dry_run:
        return memory, ()
    state = TriggerState(status, trigger.status.sequence + 1, rfc3339(at_ms), by, note)
    trigger = replace(trigger, status=state)
    allowed = {"approved": policy.start_within_ms, "started": policy.finish_within_ms}.get(status)
    deadline_ms = None if allowed is None else at_ms + allowed
    return replace(memory, trigger=trigger, deadline_ms=deadline_ms), (trigger,)


def _overdue(policy: RetrainingPolicy, memory: TriggerMemory, at_ms: int) -> Moved:
    """End what has waited too long."""
    if memory.trigger is None or memory.deadline_ms is None or at_ms < memory.deadline_ms:
        return memory, ()
    status = memory.trigger.status.name
    if status == "requested":
        return move(policy, memory, "cancelled", at_ms, by="policy", note="expired")
    if status == "approved":
        note = f"not started within {duration(policy.start_within_ms or 0)}"
    else:
        note = f"not finished within {duration(policy.finish_within_ms or 0)}"
    return move(policy, memory, "failed", at_ms, by="policy", note=note)


def _weigh(
    policy: RetrainingPolicy,
    memory: TriggerMemory,
    episode: Episode | None,
    finding: Finding,
    context: Context,
    since: Counters,
    others: Iterable[Episode],
) -> Moved:
    """Request, hold back, or take back a request whose reason is gone."""
    subject = context.subject
    if episode is None or (subject.version, subject.segment) != (policy.model.version, "all"):
        return memory, ()
    about = None if memory.trigger is None else memory.trigger.reason.episode_id
    if about == episode.episode_id:  # one trigger per episode
        waits = memory.trigger is not None and memory.trigger.status.name == "requested"
        if episode.open or not waits:
            return memory, ()
        note = "episode resolved before approval"
        return move(policy, memory, "cancelled", context.at_ms, by="policy", note=note)
    condition = _fulfilled(policy, episode, finding)
    if condition is None:
        return memory, ()
    window = _training_window(policy, episode, finding, context.at_ms, since)
    if _held_back(policy, memory, finding, window, context.at_ms, others) is not None:
        if memory.suppressed_episode == episode.episode_id:  # counted already
            return memory, ()
        count = memory.suppressed + 1
        return replace(memory, suppressed=count, suppressed_episode=episode.episode_id), ()
    trigger = _trigger(policy, memory, condition, episode, finding, context, window)
    since_ms = context.at_ms - policy.at_most_per_ms
    memory = TriggerMemory(
        trigger=trigger,
        deadline_ms=context.at_ms + policy.expires_ms,
        cooldown_until_ms=context.at_ms + policy.cooldown_ms,
        requested_ms=(*(ms for ms in memory.requested_ms if ms > since_ms), context.at_ms),
    )
    if trigger.policy.approval != "auto":
        return memory, (trigger,)
    memory, approved = move(policy, memory, "approved", context.at_ms, by="policy")
    return memory, (trigger, *approved)


def _fulfilled(
    policy: RetrainingPolicy, episode: Episode, finding: Finding
) -> RetrainingCondition | None:
    """The condition that this problem fulfils; of several the most urgent, else the first.

    Drift of inputs must be severe and last. What labels say needs no more than its episode: there a detector has spent
    its budget, or a rule has waited (statistics 3.8). A condition that names a rule waits for that rule.
    """
    if not episode.open or finding.status not in (Status.DRIFTING, Status.SEVERE):
        return None
    lasting = finding.status == Status.SEVERE and finding.severe_windows >= policy.severe_windows
    if episode.kind not in OF_LABELS and not lasting:
        return None
    matching = [
        condition
        for condition in policy.conditions
        if episode.kind in condition.kinds
        and (condition.rule is None or condition.rule in finding.rules)
    ]
    return max(matching, key=lambda c: _PRIORITIES.index(c.priority), default=None)


def _held_back(
    policy: RetrainingPolicy,
    memory: TriggerMemory,
    finding: Finding,
    window: TrainingWindow,
    at_ms: int,
    others: Iterable[Episode],
) -> HeldBack | None:
    """Why a request that is due must not be made now."""
    if finding.leading_score in BROKEN:  # a broken pipeline is not new data: statistics 3.8
        return "broken_input"
    for other in others:
        if other.open and other.kind == "data_quality":
            return "data_quality"
        unhealthy = other.open and other.kind == "label_health"
        if unhealthy and other.severity in ("error", "critical") and finding.kind in OF_LABELS:
            return "label_health"
    if memory.trigger is not None and TRANSITIONS[memory.trigger.status.name]:
        return "open_trigger"
    if at_ms < memory.cooldown_until_ms:
        return "cooldown"
    if sum(ms > at_ms - policy.at_most_per_ms for ms in memory.requested_ms) >= policy.at_most:
        return "at_most"
    if window.records < policy.min_records:
        return "too_few_records"
    return "too_few_labels" if window.labelled < policy.min_labels else None


def _training_window(
    policy: RetrainingPolicy, episode: Episode, finding: Finding, at_ms: int, since: Counters
) -> TrainingWindow:
    """From the change to now if the lifecycle says so and the change is known, else the newest data.

    A rule does not know when a change began: its episode at least knows when it was first broken.
    """
    basis: Basis = "lookback"
    start_ms = at_ms - policy.lookback_ms
    if policy.basis == "change_point" and finding.since_ms is not None:
        basis, start_ms = "change_point", finding.since_ms
        if finding.rules:
            start_ms = min(start_ms, episode.opened_ms)
    events_since, labels_since = since
    return TrainingWindow(
        start=rfc3339(start_ms),
        end=rfc3339(at_ms),
        basis=basis,
        records=events_since(start_ms),
        labelled=labels_since(start_ms),
        offsets=(),
    )


def _trigger(
    policy: RetrainingPolicy,
    memory: TriggerMemory,
    condition: RetrainingCondition,
    episode: Episode,
    finding: Finding,
    context: Context,
    window: TrainingWindow,
) -> Trigger:
    """The document of a request."""
    model, at_ms = policy.model, context.at_ms
    code = _CODES[episode.kind]
    # drifting predictions are evaluated, never retrained upon by themselves (contracts §6)
    evaluate = condition.action == "evaluate" or code == "prediction_drift"
    alerts = range(max(1, episode.sequence - MOST_ALERTS + 1), episode.sequence + 1)
    results = dict.fromkeys(r for r in (episode.result_id, context.result_id) if r is not None)
    return Trigger(
        trigger_id=trigger_id(model.id, model.version, condition.name, code, episode.opened_ms),
        status=TriggerState("requested", 1, rfc3339(at_ms), "policy", None),
        model=TriggerModel(
            model.id,
            model.name,
            model.version,
            model.environment,
            model.owner,
            model.training_data_snapshot,
        ),
        reason=TriggerReason(code, finding.summary, episode.episode_id, episode.severity),
        training_window=window,
        evidence=TriggerEvidence(
            alert_ids=tuple(alert_id(episode.episode_id, sequence) for sequence in alerts),
            result_ids=tuple(results),
            signals=finding.signals,
            truncated=finding.affected_total - len(finding.affected),
        ),
        policy=TriggerPolicy(
            name=condition.name,
            action="evaluate" if evaluate else "retrain",
            approval="advisory" if evaluate else condition.approval,
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
