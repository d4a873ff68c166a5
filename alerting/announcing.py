"""What is written down of a transition? The alert document: its words, its numbers, who hears it or why nobody does."""

from typing import NamedTuple

from alerting.identity import alert_id, rfc3339
from alerting.routing import Route
from alerting.settings import Context, EpisodePolicy
from alerting.types import (
    Alert,
    AlertEvidence,
    AlertLinks,
    AlertModel,
    Change,
    Delivery,
    Episode,
    Finding,
    ResolveReason,
)
from alerting.wording import SUMMARY_LIMIT, TITLE_LIMIT, clip
from detectors.types import Status

COSTS_PER = 1000  # predictions that an estimated cost is about


class News(NamedTuple):
    """A transition that is about to be published."""

    change: Change
    said: str
    heard: Route
    finding: Finding  # its numbers are the evidence
    reason: ResolveReason | None = None


def announce(
    policy: EpisodePolicy, episode: Episode, news: News, delivery: Delivery, context: Context
) -> Alert:
    """The alert about what an episode has come to."""
    model, subject = policy.model, episode.subject
    finding, described = news.finding, episode.finding
    return Alert(
        alert_id=alert_id(episode.episode_id, episode.sequence),
        episode_id=episode.episode_id,
        sequence=episode.sequence,
        at=rfc3339(context.at_ms),
        change=news.change,
        status=episode.status,
        resolve_reason=news.reason,
        kind=episode.kind,
        severity=episode.severity,
        verdict=Status.STABLE if news.reason == "recovered" else episode.verdict,
        title=_title(episode, news.reason),
        summary=clip(news.said + _seen_in(context.also_in), SUMMARY_LIMIT),
        opened_at=rfc3339(episode.opened_ms),
        resolved_at=None if episode.resolved_ms is None else rfc3339(episode.resolved_ms),
        since=described.since,
        reopened=episode.reopened > 0,
        model=AlertModel(model.id, model.name, subject.version, model.environment, model.owner),
        segment=subject.segment,
        also_in=context.also_in,
        affected_total=described.affected_total,
        affected=finding.affected or described.affected,
        cause=described.cause,
        cost=_cost(policy, described) if episode.open else None,
        evidence=AlertEvidence(
            context.result_id,
            finding.log_statistic,
            finding.log_threshold,
            finding.n_reference,
            finding.n_current,
            None if finding.log_threshold is None else policy.budget,
        ),
        delivery=delivery,
        links=AlertLinks(news.heard.runbook, policy.console),
    )


def _cost(policy: EpisodePolicy, finding: Finding) -> dict[str, float | str] | None:
    """What the predictions cost more than in the reference, where labels and the lifecycle's costs say it."""
    if finding.cost is None or policy.cost_unit is None:
        return None
    amount = round(COSTS_PER * finding.cost, 2)
    return {"amount": amount, "unit": policy.cost_unit, "per": COSTS_PER}


def _title(episode: Episode, reason: ResolveReason | None) -> str:
    subject = episode.subject
    name = clip(f"{subject.model_id} {subject.version}", 70)
    if subject.segment != "all":
        name = clip(f"{name} {subject.segment}", 100)
    headline = episode.finding.headline
    if reason is not None:
        headline = episode.finding.recovery if reason == "recovered" else f"closed as {reason}"
    return clip(f"{name}: {headline}", TITLE_LIMIT)


def _seen_in(segments: tuple[str, ...]) -> str:
    """Names them all up to three, then counts."""
    if not segments:
        return ""
    more = f" and {len(segments) - 3} more" if len(segments) > 3 else ""
    return f" Seen in {', '.join(segments[:3])}{more}."
