"""What does a command do to a model? One word where it does nothing."""

from collections.abc import Collection
from typing import Any, NamedTuple, get_args

from alerting import transitions
from alerting.episodes import acknowledge, resolve, snooze
from alerting.identity import rfc3339
from alerting.silences import LONGEST_MS, Match, Silence, added, wrong
from alerting.transitions import Moved, Refused
from alerting.triggers import asked
from alerting.types import Alert, Kind, ResolveReason, Severity, Trigger, TriggerStatus
from streams import commands as said
from streams.commands import Command, CommandOutcome, InvalidCommand, moment_ms
from streams.judging import reigns
from streams.judging.circumstances import current, events_since, labels_since, of_person
from streams.judging.measured import as_measured, as_usual
from streams.judging.plans import ModelPlan
from streams.judging.share import Share
from streams.judging.subjects import ModelState
from streams.registry import Deployment

MOST_SILENCES = 200  # of a model
_LONGEST_ID, _LONGEST_TEXT = 64, 256
_BY_PERSON = {
    said.Approve: transitions.approve,
    said.Reject: transitions.reject,
    said.Cancel: transitions.cancel,
}


class Obeyed(NamedTuple):
    """What a command came to. `refused`: why it came to nothing."""

    refused: str | None = None
    alerts: tuple[Alert, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    deployment: Deployment | None = None


class Registration(NamedTuple):
    """What is registered of a model besides its plan."""

    references: Collection[str]  # their ids
    version: str  # in the file of its lifecycle


class Unread(NamedTuple):
    """A command of which no more can be read than whose it is."""

    command_id: str
    command: str
    model_id: str
    by: str


def hear(value: bytes | None) -> Command | Unread | None:
    """What a record of `leeway.commands` says; None: it names no command of any model."""
    try:
        return said.decode(value)
    except InvalidCommand:
        found = said.named(value)
    command_id, model_id = found.get("command_id", ""), found.get("model_id", "")
    if not (0 < len(command_id) <= _LONGEST_ID and 0 < len(model_id) <= _LONGEST_TEXT):
        return None
    word, by = found.get("command", "unknown"), found.get("by", "unknown")
    return Unread(command_id, word[:_LONGEST_ID], model_id, by[:_LONGEST_TEXT])


def outcome(command: Command | Unread, refused: str | None, at_ms: int) -> CommandOutcome:
    """The document that says what a command came to."""
    return CommandOutcome(
        command_id=command.command_id,
        command=command.command if isinstance(command, Unread) else said.word(command),
        model_id=command.model_id,
        outcome="applied" if refused is None else "refused",
        reason=refused,
        by=command.by,
        applied_at=rfc3339(at_ms),
    )


def obey(
    share: Share, plan: ModelPlan, command: Command, at_ms: int, registered: Registration
) -> Obeyed:
    """Do what a command says, right before the window that ends at a time is judged."""
    model = share.models[command.model_id]
    match command:
        case said.Acknowledge() | said.Snooze() | said.Resolve():
            return _of_episode(share, plan, model, command, at_ms)
        case said.Silence():
            return _silence(share, plan, model, command, at_ms)
        case said.Unsilence():
            return _unsilence(share, plan, model, command)
        case said.Deployed():
            return _deployed(share, plan, command, at_ms, registered)
        case said.Rebaseline():
            return _rebaseline(share, plan, command, at_ms, registered)
        case _:
            return _of_trigger(share, plan, model, command, at_ms)


# ---- episodes and silences


def _of_episode(
    share: Share,
    plan: ModelPlan,
    model: ModelState,
    command: said.Acknowledge | said.Snooze | said.Resolve,
    at_ms: int,
) -> Obeyed:
    found = model.find(command.episode_id)
    if found is None:
        return Obeyed("unknown_episode")
    key, source, episode = found
    if not episode.open:
        return Obeyed("not_open")
    policy, context = plan.episodes, of_person(plan, model, episode.subject, at_ms)
    match command:
        case said.Acknowledge():
            episode, alerts = acknowledge(policy, episode, context, command.by, command.note)
        case said.Snooze():
            until_ms = moment_ms(command.until)
            if not at_ms < until_ms <= at_ms + LONGEST_MS:
                return Obeyed("invalid")
            episode, alerts = snooze(policy, episode, until_ms, context, command.by)
        case said.Resolve():
            episode, alerts = resolve(policy, episode, "manual", context, by=command.by)
    if key is None:
        model.pipeline = episode
        share.put_model(plan)
    else:
        model.subjects[key].episodes[source] = episode
        share.put_episodes(plan, key)
    return Obeyed(None, alerts)


def _silence(
    share: Share, plan: ModelPlan, model: ModelState, command: said.Silence, at_ms: int
) -> Obeyed:
    kind, severity = command.match.kind, command.match.severity
    if not (kind is None or kind in get_args(Kind)):
        return Obeyed("invalid")
    if not (severity is None or severity in get_args(Severity)):
        return Obeyed("invalid")
    match = Match(
        version=command.match.version,
        segment=command.match.segment,
        kind=kind,  # type: ignore[arg-type]  # one of them, see above
        severity=severity,  # type: ignore[arg-type]
        series=command.match.series,
    )
    from_ms = at_ms if command.from_ is None else moment_ms(command.from_)
    until_ms = moment_ms(command.until)
    silence = Silence(command.silence_id, match, from_ms, until_ms, command.by, command.reason)
    if wrong(silence, at_ms) is not None:
        return Obeyed("invalid")
    silences = added(model.silences, silence)
    if len(silences) > MOST_SILENCES:
        return Obeyed("not_possible")
    model.silences = silences
    share.put_silences(plan)
    return Obeyed()


def _unsilence(share: Share, plan: ModelPlan, model: ModelState, command: said.Unsilence) -> Obeyed:
    kept = tuple(one for one in model.silences if one.id != command.silence_id)
    if len(kept) == len(model.silences):
        return Obeyed("unknown_silence")
    model.silences = kept
    share.put_silences(plan)
    return Obeyed()


# ---- versions and references


def _deployed(
    share: Share, plan: ModelPlan, command: said.Deployed, at_ms: int, registered: Registration
) -> Obeyed:
    if command.model_version == plan.lifecycle.version:
        return Obeyed("same_version")
    if command.reference_id is not None and command.reference_id not in registered.references:
        return Obeyed("unknown_reference")
    reason: ResolveReason = "deployed" if command.trigger_id is None else "retrained"
    alerts = reigns.succeed(share, plan, command.model_version, at_ms, reason)
    triggers = _delivered(share, plan, command, at_ms)
    deployment = Deployment(
        model_id=command.model_id,
        version=command.model_version,
        reference_id=command.reference_id,
        at=rfc3339(at_ms),
        trigger_id=command.trigger_id,
        rollback=command.rollback,
        file_version=registered.version,
    )
    return Obeyed(None, alerts, triggers, deployment)


def _delivered(
    share: Share, plan: ModelPlan, command: said.Deployed, at_ms: int
) -> tuple[Trigger, ...]:
    """What was asked for is there: a pipeline that says no more than that has started and completed its run."""
    model = share.models[command.model_id]
    trigger = model.trigger.trigger
    if trigger is None or trigger.trigger_id != command.trigger_id:
        return ()
    told: tuple[Trigger, ...] = ()
    steps: tuple[TriggerStatus, ...] = ("started", "completed")
    for status in steps if trigger.status.name == "approved" else steps[1:]:
        note = f"{command.model_version} was deployed" if status == "completed" else None
        model.trigger, step = transitions.move(
            plan.retraining, model.trigger, status, at_ms, by=command.by, note=note
        )
        told += step
    if told:
        share.put_model(plan)
    return told


def _rebaseline(
    share: Share, plan: ModelPlan, command: said.Rebaseline, at_ms: int, registered: Registration
) -> Obeyed:
    """By another reference. One of what was seen between two times would need the counts of every window in them, which
    are not kept for so long: `leeway baseline --data topic:NAME` builds one from the topic."""
    if command.reference_id is None:
        return Obeyed("not_possible" if command.start or command.end else "invalid")
    if command.reference_id not in registered.references:
        return Obeyed("unknown_reference")
    alerts = reigns.rebaseline(share, plan, at_ms)
    deployment = Deployment(
        model_id=command.model_id,
        version=plan.lifecycle.version,
        reference_id=command.reference_id,
        at=rfc3339(at_ms),
        trigger_id=None,
        rollback=False,
        file_version=registered.version,
    )
    return Obeyed(None, alerts, (), deployment)


# ---- retraining


def _of_trigger(
    share: Share, plan: ModelPlan, model: ModelState, command: Command, at_ms: int
) -> Obeyed:
    found = _moved(plan, model, command, at_ms)
    if isinstance(found, Refused):
        return Obeyed(found.reason)
    model.trigger, triggers = found
    share.put_model(plan)
    return Obeyed(None, (), triggers)


def _moved(plan: ModelPlan, model: ModelState, command: Any, at_ms: int) -> Moved | Refused:
    policy, memory, by = plan.retraining, model.trigger, command.by
    if isinstance(command, said.Retrain):
        subject = current(plan, model)
        return asked(
            policy,
            memory,
            at_ms,
            by,
            command.reason,
            command.priority,
            command.command_id,
            events_since(subject),
            labels_since(subject, plan),
        )
    if isinstance(command, said.TickCheck):
        return transitions.tick(policy, memory, command.trigger_id, command.check, at_ms, by)
    if isinstance(command, said.Report):
        return transitions.report(
            policy,
            memory,
            command.trigger_id,
            command.status,
            at_ms,
            by,
            run_url=command.run_url,
            model_version=command.model_version,
            metrics=command.metrics,
            slices=command.slices,
            error=command.error,
            baseline=as_usual(plan),
            current=as_measured(plan, model),
            others=model.episodes,
        )
    step = _BY_PERSON[type(command)]
    return step(policy, memory, command.trigger_id, at_ms, by, command.note)
