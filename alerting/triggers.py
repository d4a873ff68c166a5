"""Should this model be retrained? Who may ask, and what holds a request back.

A request is made once for its reason, one at a time, and not too often. What becomes of it is in `transitions`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal

from alerting.findings import BROKEN
from alerting.requests import (
    OF_LABELS,
    PRIORITIES,
    Since,
    Wish,
    document,
    of_problem,
    training_window,
)
from alerting.schedules import last_slot
from alerting.settings import Context, RetrainingCondition, RetrainingPolicy
from alerting.transitions import (
    TRANSITIONS,
    Moved,
    Refused,
    approve,
    cancel,
    is_open,
    move,
    overdue,
    reject,
    report,
    tick,
)
from alerting.types import (
    Episode,
    Finding,
    Priority,
    TrainingWindow,
    Trigger,
    TriggerMemory,
)
from alerting.wording import SUMMARY_LIMIT, clip
from detectors.types import Status

__all__ = [
    "TRANSITIONS",
    "Moved",
    "Refused",
    "approve",
    "asked",
    "cancel",
    "move",
    "overdue",
    "reject",
    "report",
    "request",
    "scheduled",
    "tick",
]

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
# A date that comes while a retraining is under way is met by that; one that comes too often is not.
_SPENT: tuple[HeldBack, ...] = ("open_trigger", "at_most")
_MOST_REMEMBERED = 100


def request(
    policy: RetrainingPolicy,
    memory: TriggerMemory,
    episode: Episode | None,
    finding: Finding,
    context: Context,
    events_since: Since,
    labels_since: Since = lambda since_ms: 0,
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
    memory, ended = overdue(policy, memory, context.at_ms)
    subject = context.subject
    if episode is None or (subject.version, subject.segment) != (policy.model.version, "all"):
        return memory, ended
    if _about(memory) == episode.episode_id and not episode.open:
        if memory.trigger is None or memory.trigger.status.name != "requested":
            return memory, ended
        note = "episode resolved before approval"
        memory, gone = move(policy, memory, "cancelled", context.at_ms, by="policy", note=note)
        return memory, (*ended, *gone)
    condition = _fulfilled(policy, episode, finding)
    if condition is None:
        return memory, ended
    wish = of_problem(condition, episode, finding, context.result_id)
    if _about(memory) == episode.episode_id and not _matters_more(wish, memory.trigger):
        return memory, ended  # one trigger per episode, unless it became more urgent
    window = training_window(policy, wish, context.at_ms, events_since, labels_since)
    memory, _, news = _weigh(policy, memory, wish, window, context.at_ms, tuple(others))
    return memory, (*ended, *news)


def scheduled(
    policy: RetrainingPolicy,
    memory: TriggerMemory,
    before_ms: int,
    at_ms: int,
    events_since: Since,
    labels_since: Since = lambda since_ms: 0,
    others: Iterable[Episode] = (),
    new_labels: int = 0,
) -> Moved:
    """Fold the time from one window to the next: dates that passed, and labels that became known.

    Each date asks once. Of several that passed at once only the last one asks. What broken data, too few of them or the
    cool-down hold back is asked when that is over, unless the next date comes first.

    Parameters
    ----------
    before_ms, at_ms : int
        The dates in (`before_ms`, `at_ms`] are looked at, each of them once.
    new_labels : int
        Labels that became known since the last call.
    """
    memory, ended = overdue(policy, memory, at_ms)
    since_ms = max(before_ms, memory.scheduled_until_ms)
    memory = replace(
        memory,
        scheduled_until_ms=max(since_ms, at_ms),
        labels=memory.labels + max(new_labels, 0),
    )
    told, problems = ended, tuple(others)
    for wish in _due(policy, memory, since_ms, at_ms):
        window = training_window(policy, wish, at_ms, events_since, labels_since)
        memory, held, news = _weigh(policy, memory, wish, window, at_ms, problems)
        told = (*told, *news)
        if isinstance(wish.anchor, int) and wish.condition.schedule is not None:
            waits = held is not None and held not in _SPENT
            memory = _waiting(memory, wish.condition.name, wish.anchor if waits else None)
    return memory, told


def asked(
    policy: RetrainingPolicy,
    memory: TriggerMemory,
    at_ms: int,
    by: str,
    reason: str | None,
    priority: Priority,
    command_id: str,
    events_since: Since,
    labels_since: Since = lambda since_ms: 0,
) -> Moved | Refused:
    """Somebody asks for a retraining: an entry `Manual` says what that comes to, else it is retrained.

    A person is not held back by the cool-down or by broken data, but by an open trigger and by `at_most`. Who may
    approve need not ask twice.
    """
    if policy.approvers and by not in policy.approvers:
        return Refused("not_an_approver")
    memory, ended = overdue(policy, memory, at_ms)
    usual = RetrainingCondition("manual", approval="required" if policy.approvers else "auto")
    written = next((condition for condition in policy.conditions if condition.by_hand), usual)
    urgent = max(priority, written.priority, key=PRIORITIES.index)
    said = clip(f"Asked for by {by}" + (f": {reason}" if reason else ""), SUMMARY_LIMIT)
    wish = Wish(replace(written, priority=urgent), "manual", command_id, said, by)
    if wish.trigger_id(policy) in memory.asked or _many(policy, memory, at_ms):
        return Refused("not_possible")
    if is_open(memory) and not _outranks(wish, memory):
        return Refused("not_possible")
    window = training_window(policy, wish, at_ms, events_since, labels_since)
    memory, told = _make(policy, memory, wish, window, at_ms)
    if wish.approval == "required" and by in policy.approvers:
        memory, agreed = move(policy, memory, "approved", at_ms, by=by)
        told = (*told, *agreed)
    return memory, (*ended, *told)


# ---- what asks


def _fulfilled(
    policy: RetrainingPolicy, episode: Episode, finding: Finding
) -> RetrainingCondition | None:
    """The condition that this problem fulfils; of several the most urgent, of equals the first that retrains.

    Drift of inputs must be severe and last. What labels say needs no more than its episode: there a detector has spent
    its budget, or a rule has waited (statistics 3.8). A condition that names a rule waits for that rule; where it was
    drawn for inputs, it is the user's own line, and has waited as well.
    """
    if not episode.open or finding.status not in (Status.DRIFTING, Status.SEVERE):
        return None
    lasting = finding.status == Status.SEVERE and finding.severe_windows >= policy.severe_windows
    matching = [
        condition
        for condition in policy.conditions
        if episode.kind in condition.kinds
        and (lasting or condition.by_rule or episode.kind in OF_LABELS)
        and (condition.rule is None or condition.rule in finding.rules)
    ]
    return max(matching, key=_standing, default=None)


def _due(
    policy: RetrainingPolicy, memory: TriggerMemory, since_ms: int, at_ms: int
) -> Sequence[Wish]:
    """The dates that passed or were held back, and enough labels; the most urgent first."""
    found = []
    for condition in policy.conditions:
        if condition.schedule is not None:
            slot = last_slot(condition.schedule, since_ms, at_ms)
            if slot is None:
                slot = memory.waiting.get(condition.name)
            if slot is not None:
                every = condition.schedule
                rhythm = f"every {every.days} days" if every.days else every.every
                found.append(Wish(condition, "schedule", slot, f"Scheduled: {rhythm}"))
        if condition.labels is not None:
            new = memory.labels - memory.labels_used
            if new >= condition.labels:
                said = f"{new:,} new labels, {condition.labels:,} were waited for"
                found.append(Wish(condition, "new_labels", memory.labels, said))
    return sorted(found, key=lambda wish: _standing(wish.condition), reverse=True)


# ---- what holds it back


def _weigh(
    policy: RetrainingPolicy,
    memory: TriggerMemory,
    wish: Wish,
    window: TrainingWindow,
    at_ms: int,
    others: Sequence[Episode],
) -> tuple[TriggerMemory, HeldBack | None, tuple[Trigger, ...]]:
    """Make a request, or hold it back and count that once."""
    if wish.trigger_id(policy) in memory.asked:
        return memory, "open_trigger", ()
    held = _held_back(policy, memory, wish, window, at_ms, others)
    if held is None:
        memory, told = _make(policy, memory, wish, window, at_ms)
        return memory, None, told
    if wish.about not in memory.suppressed_of:
        known = (*memory.suppressed_of, wish.about)[-_MOST_REMEMBERED:]
        memory = replace(memory, suppressed=memory.suppressed + 1, suppressed_of=known)
    return memory, held, ()


def _held_back(
    policy: RetrainingPolicy,
    memory: TriggerMemory,
    wish: Wish,
    window: TrainingWindow,
    at_ms: int,
    others: Sequence[Episode],
) -> HeldBack | None:
    """Why a request that is due must not be made now."""
    finding = wish.finding
    if finding is not None and finding.leading_score in BROKEN:
        return "broken_input"  # a broken pipeline is not new data: statistics 3.8
    for other in others:
        if other.open and other.kind == "data_quality" and _same_features(other, finding):
            return "data_quality"
        unhealthy = other.open and other.kind == "label_health"
        if unhealthy and other.severity in ("error", "critical") and wish.kind in OF_LABELS:
            return "label_health"
    superseded = is_open(memory) and _outranks(wish, memory)
    if is_open(memory) and not superseded:
        return "open_trigger"
    if at_ms < memory.cooldown_until_ms and not superseded:
        return "cooldown"
    if _many(policy, memory, at_ms):
        return "at_most"
    if window.records < policy.min_records:
        return "too_few_records"
    return "too_few_labels" if window.labelled < policy.min_labels else None


def _same_features(broken: Episode, finding: Finding | None) -> bool:
    """Whether broken data may be what is seen, or trained upon; not where both name features, and none of the same."""
    if finding is None or finding.kind != "data_drift":
        return True
    damaged, drifted = (
        {one.series for one in of.affected if one.series.startswith("feature:")}
        for of in (broken.finding, finding)
    )
    return not (damaged and drifted) or bool(damaged & drifted)


def _many(policy: RetrainingPolicy, memory: TriggerMemory, at_ms: int) -> bool:
    recent = sum(ms > at_ms - policy.at_most_per_ms for ms in memory.requested_ms)
    return recent >= policy.at_most


def _outranks(wish: Wish, memory: TriggerMemory) -> bool:
    """Whether a request that still waits for an answer gives way: to one that matters more, or to the next date."""
    waits = memory.trigger
    if waits is None or waits.status.name != "requested":
        return False
    if wish.code == waits.reason.code == "schedule" and wish.condition.name == waits.policy.name:
        return True
    return _matters_more(wish, waits)


def _matters_more(wish: Wish, than: Trigger | None) -> bool:
    """A retraining matters more than an evaluation, and then what is more urgent."""
    if than is None:
        return True
    mine = (not wish.evaluates, PRIORITIES.index(wish.condition.priority))
    return mine > (than.policy.action == "retrain", PRIORITIES.index(than.policy.priority))


def _standing(condition: RetrainingCondition) -> tuple[int, bool]:
    """Of those that hold at once the most urgent asks, and rather to retrain than to evaluate."""
    return PRIORITIES.index(condition.priority), condition.action == "retrain"


# ---- what is made of it


def _make(
    policy: RetrainingPolicy,
    memory: TriggerMemory,
    wish: Wish,
    window: TrainingWindow,
    at_ms: int,
) -> Moved:
    """The request, in place of one that gives way to it; approved at once where nobody must agree."""
    before: tuple[Trigger, ...] = ()
    trigger = document(policy, memory, wish, at_ms, window)
    if is_open(memory):
        note = f"superseded by {trigger.trigger_id}"
        memory, before = move(policy, memory, "cancelled", at_ms, by="policy", note=note)
    since_ms = at_ms - policy.at_most_per_ms
    uses_labels = not wish.evaluates or wish.code == "new_labels"
    memory = replace(
        memory,
        trigger=trigger,
        deadline_ms=at_ms + policy.expires_ms,
        cooldown_until_ms=at_ms + policy.cooldown_ms,
        requested_ms=(*(ms for ms in memory.requested_ms if ms > since_ms), at_ms),
        asked=(*memory.asked, trigger.trigger_id)[-_MOST_REMEMBERED:],
        suppressed=0,
        suppressed_of=(),
        labels_used=memory.labels if uses_labels else memory.labels_used,
        ticked=(),
        review=(),
    )
    if wish.approval != "auto":
        return memory, (*before, trigger)
    memory, approved = move(policy, memory, "approved", at_ms, by="policy")
    return memory, (*before, trigger, *approved)


def _waiting(memory: TriggerMemory, name: str, slot: int | None) -> TriggerMemory:
    """With a date that is held back; None: it is no longer."""
    if memory.waiting.get(name) == slot:
        return memory
    kept = {other: ms for other, ms in memory.waiting.items() if other != name}
    return replace(memory, waiting=kept if slot is None else {**kept, name: slot})


def _about(memory: TriggerMemory) -> str | None:
    """The episode that the last trigger is about."""
    return None if memory.trigger is None else memory.trigger.reason.episode_id
