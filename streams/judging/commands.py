"""What does a command do to a model? One word where it does nothing."""

from collections.abc import Collection
from typing import NamedTuple

from alerting.episodes import acknowledge, resolve
from alerting.identity import rfc3339
from alerting.types import Alert, ResolveReason, Trigger
from streams.commands import (
    Acknowledge,
    Command,
    CommandOutcome,
    Deployed,
    InvalidCommand,
    Resolve,
    decode,
    named,
)
from streams.judging import reigns
from streams.judging.plans import ModelPlan
from streams.judging.share import Share
from streams.registry import Deployment

_LONGEST_ID, _LONGEST_TEXT = 64, 256


class Obeyed(NamedTuple):
    """What a command came to. `refused`: why it came to nothing."""

    refused: str | None = None
    alerts: tuple[Alert, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    deployment: Deployment | None = None


class Unread(NamedTuple):
    """A command of which no more can be read than whose it is."""

    command_id: str
    command: str
    model_id: str
    by: str


def hear(value: bytes | None) -> Command | Unread | None:
    """What a record of `leeway.commands` says; None: it names no command of any model."""
    try:
        return decode(value)
    except InvalidCommand:
        said = named(value)
    command_id, model_id = said.get("command_id", ""), said.get("model_id", "")
    if not (0 < len(command_id) <= _LONGEST_ID and 0 < len(model_id) <= _LONGEST_TEXT):
        return None
    word, by = said.get("command", "unknown"), said.get("by", "unknown")
    return Unread(command_id, word[:_LONGEST_ID], model_id, by[:_LONGEST_TEXT])


def outcome(command: Command | Unread, refused: str | None, at_ms: int) -> CommandOutcome:
    """The document that says what a command came to."""
    return CommandOutcome(
        command_id=command.command_id,
        command=command.command if isinstance(command, Unread) else _word(command),
        model_id=command.model_id,
        outcome="applied" if refused is None else "refused",
        reason=refused,
        by=command.by,
        applied_at=rfc3339(at_ms),
    )


def _word(command: Command) -> str:
    return str(type(command).__struct_config__.tag)


def obey(
    share: Share,
    plan: ModelPlan,
    command: Command,
    at_ms: int,
    references: Collection[str],
    file_version: str,
) -> Obeyed:
    """Do what a command says, right before the window that ends at a time is judged.

    Parameters
    ----------
    references : ids of those that are registered for the model
    file_version : what the file of the lifecycle says
    """
    if isinstance(command, Acknowledge | Resolve):
        return _of_episode(share, plan, command, at_ms)
    if isinstance(command, Deployed):
        return _deployed(share, plan, command, at_ms, references, file_version)
    return Obeyed("not_possible")


def _of_episode(
    share: Share, plan: ModelPlan, command: Acknowledge | Resolve, at_ms: int
) -> Obeyed:
    model = share.models[command.model_id]
    found = model.find(command.episode_id)
    if found is None:
        return Obeyed("unknown_episode")
    key, source, episode = found
    if not episode.open:
        return Obeyed("not_open")
    context = reigns.about(plan, episode.subject, at_ms)
    if isinstance(command, Resolve):
        episode, alerts = resolve(plan.episodes, episode, "manual", context)
    else:
        episode, alerts = acknowledge(plan.episodes, episode, context, command.by, command.note)
    if key is None:
        model.pipeline = episode
        share.put_model(plan)
    else:
        model.subjects[key].episodes[source] = episode
        share.put_episodes(plan, key)
    return Obeyed(None, alerts)


def _deployed(
    share: Share,
    plan: ModelPlan,
    command: Deployed,
    at_ms: int,
    references: Collection[str],
    file_version: str,
) -> Obeyed:
    if command.model_version == plan.lifecycle.version:
        return Obeyed("same_version")
    if command.reference_id is not None and command.reference_id not in references:
        return Obeyed("unknown_reference")
    deployment = Deployment(
        model_id=command.model_id,
        version=command.model_version,
        reference_id=command.reference_id,
        at=rfc3339(at_ms),
        trigger_id=command.trigger_id,
        rollback=command.rollback,
        file_version=file_version,
    )
    reason: ResolveReason = "deployed" if command.trigger_id is None else "retrained"
    alerts = reigns.succeed(share, plan, command.model_version, at_ms, reason)
    return Obeyed(None, alerts, (), deployment)
