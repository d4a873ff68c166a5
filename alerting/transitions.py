"""What may happen to a request to retrain once it was made? Its life, moved by people, pipelines and time.

`triggers` says when a request is made.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from alerting import gates
from alerting.identity import rfc3339
from alerting.settings import RetrainingPolicy
from alerting.types import (
    Episode,
    Link,
    Trigger,
    TriggerMemory,
    TriggerState,
    TriggerStatus,
)
from alerting.wording import clip, duration

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
NOTE_LIMIT = 1_000

Reason = Literal["unknown_trigger", "not_possible", "not_an_approver", "dry_run", "invalid"]
Moved = tuple[TriggerMemory, tuple[Trigger, ...]]
Measured = Callable[[str, str | None], float | None]  # a metric's value; of a segment, if one


@dataclass(frozen=True, slots=True)
class Refused:
    """A step that was not taken, and why, in one word."""

    reason: Reason


def is_open(memory: TriggerMemory) -> bool:
    """Whether the last trigger still goes somewhere."""
    return memory.trigger is not None and bool(TRANSITIONS[memory.trigger.status.name])


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
    allowed = {"approved": policy.start_within_ms, "started": policy.finish_within_ms}.get(status)
    deadline_ms = None if allowed is None else at_ms + allowed
    return _told(replace(memory, deadline_ms=deadline_ms), trigger, status, at_ms, by, note)


def _told(
    memory: TriggerMemory,
    trigger: Trigger,
    status: TriggerStatus,
    at_ms: int,
    by: str,
    note: str | None,
) -> Moved:
    """The next event of a trigger."""
    said = clip(note, NOTE_LIMIT) if note else None
    state = TriggerState(status, trigger.status.sequence + 1, rfc3339(at_ms), by, said)
    trigger = replace(trigger, status=state)
    return replace(memory, trigger=trigger), (trigger,)


def overdue(policy: RetrainingPolicy, memory: TriggerMemory, at_ms: int) -> Moved:
    """End what has waited too long, and what was asked for a version that answers no longer."""
    trigger = memory.trigger
    if trigger is None or not is_open(memory):
        return memory, ()
    status = trigger.status.name
    if status == "requested" and trigger.model.version != policy.model.version:
        note = f"superseded: {policy.model.version} is deployed"
        return move(policy, memory, "cancelled", at_ms, by="policy", note=note)
    if not _late(memory, at_ms):
        return memory, ()
    if status == "requested":
        return move(policy, memory, "cancelled", at_ms, by="policy", note="expired")
    if status == "approved":
        note = f"not started within {duration(policy.start_within_ms or 0)}"
    else:
        note = f"not finished within {duration(policy.finish_within_ms or 0)}"
    return move(policy, memory, "failed", at_ms, by="policy", note=note)


def _late(memory: TriggerMemory, at_ms: int) -> bool:
    return memory.deadline_ms is not None and at_ms >= memory.deadline_ms


# ---- by people


def approve(
    policy: RetrainingPolicy,
    memory: TriggerMemory,
    trigger_id: str,
    at_ms: int,
    by: str,
    note: str | None = None,
) -> Moved | Refused:
    """Somebody agrees: pipelines may start."""
    if memory.trigger is not None and memory.trigger.policy.dry_run:
        refused = _refused(policy, memory, trigger_id, "approved", at_ms, by)
        return refused or Refused("dry_run")
    return _by_hand(policy, memory, trigger_id, "approved", at_ms, by, note)


def reject(
    policy: RetrainingPolicy,
    memory: TriggerMemory,
    trigger_id: str,
    at_ms: int,
    by: str,
    note: str | None = None,
) -> Moved | Refused:
    """Somebody does not agree."""
    return _by_hand(policy, memory, trigger_id, "rejected", at_ms, by, note)


def cancel(
    policy: RetrainingPolicy,
    memory: TriggerMemory,
    trigger_id: str,
    at_ms: int,
    by: str,
    note: str | None = None,
) -> Moved | Refused:
    """Somebody takes it back, at any time before it is over."""
    return _by_hand(policy, memory, trigger_id, "cancelled", at_ms, by, note)


def _by_hand(
    policy: RetrainingPolicy,
    memory: TriggerMemory,
    trigger_id: str,
    status: TriggerStatus,
    at_ms: int,
    by: str,
    note: str | None,
) -> Moved | Refused:
    refused = _refused(policy, memory, trigger_id, status, at_ms, by)
    return refused or move(policy, memory, status, at_ms, by=by, note=note)


def _refused(
    policy: RetrainingPolicy,
    memory: TriggerMemory,
    trigger_id: str,
    status: TriggerStatus,
    at_ms: int,
    by: str,
) -> Refused | None:
    """Why a person's step is not taken; None: it may be."""
    if memory.trigger is None or memory.trigger.trigger_id != trigger_id:
        return Refused("unknown_trigger")
    if policy.approvers and by not in policy.approvers:
        return Refused("not_an_approver")
    if status not in TRANSITIONS[memory.trigger.status.name] or _late(memory, at_ms):
        return Refused("not_possible")  # what is late ends with the next window
    return None


def tick(
    policy: RetrainingPolicy,
    memory: TriggerMemory,
    trigger_id: str,
    check: str,
    at_ms: int,
    by: str,
) -> Moved | Refused:
    """Somebody made a check that only a person can make.

    Until the pipeline is done this is only remembered. Afterwards it may settle what is to be done with the new model:
    then the trigger is told again, as `completed`, with its decision.
    """
    trigger = memory.trigger
    if trigger is None or trigger.trigger_id != trigger_id:
        return Refused("unknown_trigger")
    if policy.approvers and by not in policy.approvers:
        return Refused("not_an_approver")
    done = trigger.status.name == "completed"
    if not done and not is_open(memory):
        return Refused("not_possible")
    wanted = next((c for c in trigger.gates.checks if c.casefold() == check.casefold()), None)
    if wanted is None:
        return Refused("invalid")
    if wanted in memory.ticked:
        return memory, ()
    memory = replace(memory, ticked=(*memory.ticked, wanted))
    if not done:
        return memory, ()
    found = gates.ticked(trigger.gates, wanted, memory.review)
    note = f"{wanted}: done. {gates.in_words(found, memory.review)}"
    return _told(memory, replace(trigger, gates=found), "completed", at_ms, by, note)


# ---- by pipelines


def report(
    policy: RetrainingPolicy,
    memory: TriggerMemory,
    trigger_id: str,
    status: Literal["started", "completed", "failed"],
    at_ms: int,
    by: str,
    *,
    run_url: str | None = None,
    model_version: str | None = None,
    metrics: Mapping[str, float] | None = None,
    slices: Mapping[str, Mapping[str, float]] | None = None,
    error: str | None = None,
    baseline: Measured = lambda metric, segment: None,
    current: Measured = lambda metric, segment: None,
    others: Iterable[Episode] = (),
) -> Moved | Refused:
    """Fold in what a pipeline says about its run; what is completed is held against the gates.

    A pipeline that reports the end of what it never said to have started has started it: both are told.

    Parameters
    ----------
    metrics, slices : of the new model; times in milliseconds
    baseline, current : of the present model, in the reference (else as written) and as measured last; None: not known
    others : all episodes of the model: an open one may make a person look
    """
    trigger = memory.trigger
    if trigger is None or trigger.trigger_id != trigger_id:
        return Refused("unknown_trigger")
    implied = trigger.status.name == "approved" and status == "completed"
    if not implied and status not in TRANSITIONS[trigger.status.name]:
        return Refused("not_possible")
    if _late(memory, at_ms):
        return Refused("not_possible")
    memory = replace(memory, trigger=_linked(trigger, run_url))
    told: tuple[Trigger, ...] = ()
    if implied:
        memory, told = move(policy, memory, "started", at_ms, by=by)
    if status != "completed":
        memory, last = move(policy, memory, status, at_ms, by=by, note=error)
        return memory, (*told, *last)
    assert memory.trigger is not None  # just put there
    found, review = gates.judged(
        policy,
        memory.trigger.gates,
        memory.ticked,
        gates.Candidate(metrics or {}, slices or {}, baseline, current),
        [episode for episode in others if episode.open],
    )
    memory = replace(memory, trigger=replace(memory.trigger, gates=found), review=review)
    of = f"{model_version}: " if model_version else ""
    note = of + gates.in_words(found, review)
    memory, last = move(policy, memory, "completed", at_ms, by=by, note=note)
    return memory, (*told, *last)


def _linked(trigger: Trigger, run_url: str | None) -> Trigger:
    """With a link to the run, if it is one that people can follow."""
    if run_url is None or not run_url.startswith(("https://", "http://")):
        return trigger
    others = tuple(link for link in trigger.links if link.text != "Run")
    return replace(trigger, links=(*others, Link(run_url, "Run")))
