"""What happens to a model where a window shows nothing, and only time passes?"""

from collections.abc import Sequence
from typing import Any

from alerting.episodes import wake
from alerting.triggers import scheduled
from alerting.types import Alert, Trigger
from streams.judging.circumstances import current, events_since, labels_since, of_window
from streams.judging.conclusions import Conclusion
from streams.judging.plans import UNVERSIONED, ModelPlan
from streams.judging.reigns import end
from streams.judging.scopes import Scope
from streams.judging.share import Share
from streams.judging.subjects import source_of


def tell(
    share: Share,
    plan: ModelPlan,
    scope: Scope[Any],
    end_ms: int,
    concluded: Sequence[Conclusion],
) -> tuple[Alert, ...]:
    """What was held back of open problems that a window showed nothing of, and may be told by now."""
    model = share.models[plan.lifecycle.model_id]
    versions = plan.lifecycle.version, UNVERSIONED
    heard = {(of.key, source_of(scope.name, f.kind)) for of in concluded for f in of.findings}
    open_here = [
        (key, source)
        for key, subject in model.subjects.items()
        if key[0] in versions
        for source, episode in subject.episodes.items()
        if episode.open and source.partition("/")[0] == scope.name
    ]
    told: tuple[Alert, ...] = ()
    for key, source in sorted(one for one in open_here if one not in heard):
        of = model.subjects[key].episodes
        finding = of[source].finding
        context = of_window(model, plan, scope, key, end_ms, None, finding, concluded)
        episode, alerts = wake(plan.episodes, of[source], context)
        told += alerts
        if episode is not of[source]:
            of[source] = episode
            share.put_episodes(plan, key)
    return told


def ask(share: Share, plan: ModelPlan, before_ms: int, labels: int) -> tuple[Trigger, ...]:
    """Time passed and labels came: that may be enough to ask for a retraining, or too much for a pipeline."""
    model = share.models[plan.lifecycle.model_id]
    if not plan.asks_by_itself and model.trigger.deadline_ms is None:
        return ()
    subject = current(plan, model)
    model.trigger, triggers = scheduled(
        plan.retraining,
        model.trigger,
        before_ms,
        model.judged_until_ms,
        events_since(subject),
        labels_since(subject, plan),
        model.episodes,
        labels,
    )
    return triggers


def retire(share: Share, plan: ModelPlan) -> tuple[Alert, ...]:
    """The model's life is over, and so is every problem it had."""
    model = share.models.get(plan.lifecycle.model_id)
    if model is None or not any(episode.open for episode in model.episodes):
        return ()
    return end(share, plan, None, model.judged_until_ms, "retired")
