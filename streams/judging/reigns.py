"""What changes when another version answers? Its detectors begin anew, it is given time, and old problems are over."""

from collections.abc import Collection
from dataclasses import replace

from alerting.episodes import resolve
from alerting.types import Alert, ResolveReason
from streams.judging.circumstances import of_person
from streams.judging.plans import UNVERSIONED, ModelPlan
from streams.judging.share import Share
from streams.segments import ALL

MOST_FORMER = 50  # versions of a model that are known not to answer any more


def succeed(
    share: Share, plan: ModelPlan, version: str, at_ms: int, reason: ResolveReason
) -> tuple[Alert, ...]:
    """Another version answers from now on.

    Parameters
    ----------
    plan : that of the version that answered until now, or of the one that answers

    Returns
    -------
    alerts
        The ends of the former version's episodes.
    """
    model = share.models[plan.lifecycle.model_id]
    reign = model.reign
    alerts = end(share, plan, (reign.version or UNVERSIONED, UNVERSIONED), at_ms, reason)
    _begin_anew(share, plan, (version, UNVERSIONED))
    _inherit(share, plan, reign.version or UNVERSIONED, version, at_ms)
    if reign.version is not None:
        reign.former = (*reign.former, reign.version)[-MOST_FORMER:]
    reign.former = tuple(one for one in reign.former if one != version)
    reign.version, reign.grace_until_ms = version, at_ms + plan.grace_ms
    share.put_reign(plan)
    return alerts


def rebaseline(share: Share, plan: ModelPlan, at_ms: int) -> tuple[Alert, ...]:
    """What the current version shows from now on is compared with another past."""
    versions = plan.lifecycle.version, UNVERSIONED
    alerts = end(share, plan, versions, at_ms, "rebaselined")
    _begin_anew(share, plan, versions)
    return alerts


def end(
    share: Share,
    plan: ModelPlan,
    versions: Collection[str] | None,
    at_ms: int,
    reason: ResolveReason,
) -> tuple[Alert, ...]:
    """End the open episodes of these versions; None: all there are, that of what came in too."""
    model = share.models[plan.lifecycle.model_id]
    alerts: tuple[Alert, ...] = ()
    for key in sorted(model.subjects):
        if versions is not None and key[0] not in versions:
            continue
        of = model.subjects[key].episodes
        for source in sorted(of):
            if of[source].open:
                context = of_person(plan, model, of[source].subject, at_ms)
                of[source], ended = resolve(plan.episodes, of[source], reason, context)
                alerts += ended
                share.put_episodes(plan, key)
    if versions is None and model.pipeline is not None and model.pipeline.open:
        context = of_person(plan, model, model.pipeline.subject, at_ms)
        model.pipeline, ended = resolve(plan.episodes, model.pipeline, reason, context)
        alerts += ended
        share.put_model(plan)
    return alerts


def _begin_anew(share: Share, plan: ModelPlan, versions: Collection[str]) -> None:
    for key in sorted(share.models[plan.lifecycle.model_id].subjects):
        if key[0] in versions:
            share.begin_anew(plan, key)


def _inherit(share: Share, plan: ModelPlan, former: str, version: str, at_ms: int) -> None:
    """How many predictions are usual is a fact of who asks, not of the version that answers: it is not learned anew."""
    model = share.models[plan.lifecycle.model_id]
    before, key = model.subjects.get((former, ALL)), (version, ALL)
    after = model.subject(key) if before is not None else None
    if before is None or after is None:
        return
    after.health = replace(after.health, volume=before.health.volume)
    share.put_health(plan, key, at_ms)
