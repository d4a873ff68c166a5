"""What changes when another version answers? Its detectors begin anew, it is given time, and old problems are over."""

from datetime import UTC, datetime, timedelta

from alerting.episodes import resolve
from alerting.settings import Context
from alerting.types import Alert, ResolveReason
from streams.judging.plans import UNVERSIONED, ModelPlan
from streams.judging.scopes import INPUTS
from streams.judging.share import Share
from streams.judging.subjects import ModelState, SubjectKey

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


def about(plan: ModelPlan, episode_subject: object, at_ms: int) -> Context:
    """What is known where no window shows anything: somebody said so."""
    return Context(
        subject=episode_subject,  # type: ignore[arg-type]
        at_ms=at_ms,
        window_ms=plan.timings[INPUTS.name].window_ms,
        result_id=None,
    )


def succeed(
    share: Share, plan: ModelPlan, version: str, at_ms: int, reason: ResolveReason
) -> tuple[Alert, ...]:
    """Another version answers from now on.

    Parameters
    ----------
    plan : that of the version that answered until now

    Returns
    -------
    alerts
        The ends of the former version's episodes.
    """
    model = share.models[plan.lifecycle.model_id]
    former = model.reign.version
    alerts = end(share, plan, (former or UNVERSIONED, UNVERSIONED), at_ms, reason)
    for key in sorted(model.subjects):
        if key[0] in (version, UNVERSIONED):
            share.begin_anew(plan, key)
    grace_ms = plan.lifecycle.monitoring.window.grace // _MS
    model.reign.version, model.reign.grace_until_ms = version, at_ms + grace_ms
    share.put_reign(plan)
    return alerts


def rebaseline(share: Share, plan: ModelPlan, at_ms: int) -> tuple[Alert, ...]:
    """What the current version shows from now on is compared with another past."""
    model = share.models[plan.lifecycle.model_id]
    versions = plan.lifecycle.version, UNVERSIONED
    alerts = end(share, plan, versions, at_ms, "rebaselined")
    for key in sorted(model.subjects):
        if key[0] in versions:
            share.begin_anew(plan, key)
    return alerts


def end(
    share: Share,
    plan: ModelPlan,
    versions: tuple[str, ...] | None,
    at_ms: int,
    reason: ResolveReason,
) -> tuple[Alert, ...]:
    """End the open episodes of these versions (None: all, that of what came in too)."""
    model = share.models[plan.lifecycle.model_id]
    alerts: tuple[Alert, ...] = ()
    for key in sorted(model.subjects):
        if versions is not None and key[0] not in versions:
            continue
        of = model.subjects[key].episodes
        for source in sorted(of):
            if of[source].open:
                context = about(plan, of[source].subject, at_ms)
                of[source], ended = resolve(plan.episodes, of[source], reason, context)
                alerts += ended
                share.put_episodes(plan, key)
    if versions is None and model.pipeline is not None and model.pipeline.open:
        context = about(plan, model.pipeline.subject, at_ms)
        model.pipeline, ended = resolve(plan.episodes, model.pipeline, reason, context)
        alerts += ended
        share.put_model(plan)
    return alerts


def in_grace(plan: ModelPlan, model: ModelState, key: SubjectKey, at_ms: int) -> bool:
    """Whether a version has just begun to answer: by a command, or by the day in the lifecycle's metadata."""
    if key[0] not in (plan.lifecycle.version, UNVERSIONED):
        return False
    if at_ms < model.reign.grace_until_ms:
        return True
    day = plan.lifecycle.metadata.deployed_date
    if day is None:
        return False
    since_ms = (datetime(day.year, day.month, day.day, tzinfo=UTC) - _EPOCH) // _MS
    return since_ms <= at_ms < since_ms + plan.lifecycle.monitoring.window.grace // _MS
