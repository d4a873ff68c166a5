"""Does this finding open, escalate, ease or resolve a problem? The life of an episode, as a fold over findings."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from alerting.identity import alert_id, episode_id, rfc3339
from alerting.routing import Route, route
from alerting.settings import DAY_MS, Context, EpisodePolicy
from alerting.types import (
    SEVERITIES,
    Alert,
    AlertEvidence,
    AlertLinks,
    AlertModel,
    Change,
    Delivery,
    Episode,
    Finding,
    Held,
    Kind,
    ResolveReason,
    Subject,
)
from alerting.wording import SUMMARY_LIMIT, TITLE_LIMIT, clip, clock, duration
from detectors.types import Status

SILENT = "silent"  # the rule of a model whose events do not come
_FOLLOW_BROKEN_DATA: tuple[Kind, ...] = ("data_drift", "prediction_drift", "concept_drift")
REOPEN_WINDOWS = 3
FLAPS = 3  # reopened more often than this in 24 hours is flapping


class Damping(NamedTuple):
    """Windows in a row before an open episode changes. Opening never waits."""

    escalate: int
    ease: int
    resolve: int


# The detector's verdicts are damped already (statistics 3.6); rules are damped here.
DETECTED = Damping(1, 1, 1)
RULED = Damping(2, 3, 3)
_DETECTORS: tuple[Kind, ...] = ("data_drift", "prediction_drift", "concept_drift")


class _News(NamedTuple):
    """A transition that is about to be published."""

    change: Change
    said: str
    heard: Route
    finding: Finding  # its numbers are the evidence
    reason: ResolveReason | None = None


def advance(
    policy: EpisodePolicy, episode: Episode | None, finding: Finding, context: Context
) -> tuple[Episode | None, tuple[Alert, ...]]:
    """Fold one finding into the episode of its source.

    Parameters
    ----------
    episode : Episode or None
        The last one of this subject and source, open or resolved.
    context : Context
        Its `at_ms` grows from call to call.

    Returns
    -------
    episode, alerts
        An insufficient finding returns the episode as it was, and no alert.
    """
    if finding.status == Status.INSUFFICIENT:
        return episode, ()
    if episode is None or not episode.open:
        if finding.status == Status.STABLE:
            return episode, ()
        return _open(policy, episode, finding, context)
    return _go_on(policy, episode, finding, context)


def resolve(
    policy: EpisodePolicy,
    episode: Episode,
    reason: ResolveReason,
    context: Context,
    finding: Finding | None = None,
) -> tuple[Episode, tuple[Alert, ...]]:
    """End an open episode; the finding is the one that showed it is over, if one did."""
    ended = replace(
        episode,
        status="resolved",
        resolved_ms=context.at_ms,
        good_windows=0,
        level_windows=0,
    )
    length = duration(context.at_ms - episode.opened_ms)
    opened = clock(episode.opened_ms, context.at_ms)
    over = "Back to normal" if reason == "recovered" else f"Closed as {reason}"
    said = f"{over} after {length}, opened {opened}. It was: {episode.finding.summary}"
    heard = route(policy, episode.kind, episode.verdict, episode.finding.rules)
    news = _News("resolved", said, heard, finding or episode.finding, reason)
    return _publish(policy, ended, news, context)


def inhibitor(
    kind: Kind,
    subject: Subject,
    episodes: Iterable[Episode],
    current_version: str,
    affected: Sequence[str] = (),
) -> str | None:
    """The open episode of the same model that explains a problem of this kind, so that nobody need hear of both.

    The table is that of contracts §6. Broken data explain the drift of what they are about: where `affected` names the
    leading inputs of a drift and none of them is broken, they explain nothing.
    """
    for other in episodes:
        if not other.open or other.subject.model_id != subject.model_id:
            continue
        if _explains_all(other, kind) or _explains_here(other, kind, subject, affected):
            return other.episode_id
        segment_of, version_of = other.subject.segment, other.subject.version
        same = segment_of == subject.segment, version_of == subject.version
        if other.kind == kind and (
            (same[1] and segment_of == "all" and not same[0])
            or (same[0] and version_of == current_version and not same[1])
        ):
            return other.episode_id
    return None


def _explains_all(other: Episode, kind: Kind) -> bool:
    """Where nothing can be judged, or nothing comes, every verdict follows from that."""
    if other.kind == "pipeline":
        return kind != "pipeline"
    silent = other.kind == "operational" and other.finding.leading_score == SILENT
    return silent and kind not in ("pipeline", "operational")


def _explains_here(other: Episode, kind: Kind, subject: Subject, affected: Sequence[str]) -> bool:
    if other.subject.version != subject.version:
        return False
    if other.kind == "data_quality":
        broken = {_plain(a.series) for a in other.finding.affected}
        about = {_plain(name) for name in affected}
        return kind in _FOLLOW_BROKEN_DATA and (
            kind != "data_drift" or not about or bool(about & broken)
        )
    if other.kind == "label_health":
        severe = SEVERITIES.index(other.severity) >= SEVERITIES.index("error")
        return severe and kind in ("performance", "concept_drift")
    here = other.kind == "performance" and other.subject.segment == subject.segment
    return here and kind in ("concept_drift", "prediction_drift")


def _plain(series: str) -> str:
    """The field that a series is about: ``feature:age``, ``missing:age`` and ``joint:age`` are about age."""
    return series.partition(":")[2] or series


def _open(
    policy: EpisodePolicy, before: Episode | None, finding: Finding, context: Context
) -> tuple[Episode, tuple[Alert, ...]]:
    at_ms = context.at_ms
    before = before if before is not None and before.kind == finding.kind else None
    reopenings: tuple[int, ...] = ()
    reopens = False
    if before is not None and before.resolved_ms is not None:
        reopens = at_ms - before.resolved_ms <= REOPEN_WINDOWS * context.window_ms
        reopenings = (*before.reopenings_ms, at_ms) if reopens else before.reopenings_ms
        reopenings = tuple(ms for ms in reopenings if at_ms - ms < DAY_MS)
    heard = route(policy, finding.kind, finding.status, finding.rules)
    opened = Episode(
        episode_id=episode_id(context.subject, finding.kind, at_ms),
        subject=context.subject,
        kind=finding.kind,
        status="open",
        severity=heard.severity,
        verdict=finding.status,
        sequence=0,
        opened_ms=at_ms,
        changed_ms=before.changed_ms if before else at_ms,
        resolved_ms=None,
        good_windows=0,
        level_windows=0,
        reopened=0,
        reopenings_ms=reopenings,
        flapping=before is not None and (before.flapping or len(reopenings) > FLAPS),
        told=(),
        inhibited_ms=None,
        result_id=context.result_id,
        finding=finding,
    )
    if before is not None and reopens:
        opened = replace(
            opened,
            episode_id=before.episode_id,
            sequence=before.sequence,
            opened_ms=before.opened_ms,
            reopened=before.reopened + 1,
            result_id=before.result_id,
        )
    return _publish(policy, opened, _News("opened", finding.summary, heard, finding), context)


def _go_on(
    policy: EpisodePolicy, episode: Episode, finding: Finding, context: Context
) -> tuple[Episode, tuple[Alert, ...]]:
    damping = DETECTED if episode.kind in _DETECTORS else RULED
    level = Status.SEVERE if finding.status == Status.SEVERE else Status.DRIFTING
    now = replace(
        episode,
        good_windows=episode.good_windows + 1 if finding.calm else 0,
        level_windows=episode.level_windows + 1 if level != episode.verdict else 0,
        finding=episode.finding if finding.status == Status.STABLE else finding,
    )
    if now.good_windows >= damping.resolve:
        return resolve(policy, now, "recovered", context, finding)
    if now.level_windows >= (damping.escalate if level == Status.SEVERE else damping.ease):
        now = replace(now, verdict=level, level_windows=0)
    heard = route(policy, now.kind, now.verdict, now.finding.rules)
    now = replace(now, severity=heard.severity)
    said = now.finding.summary
    if _height(now) > _height(episode):
        told = said if now.verdict == episode.verdict else f"Now severe. {said}"
        return _publish(policy, now, _News("escalated", told, heard, finding), context)
    if _height(now) < _height(episode):
        told = said if now.verdict == episode.verdict else f"No longer severe. {said}"
        return _publish(policy, now, _News("eased", told, heard, finding), context)
    if context.inhibited_by is not None:
        return replace(now, inhibited_ms=context.at_ms), ()
    free_ms = 0 if now.inhibited_ms is None else context.at_ms - now.inhibited_ms
    if free_ms >= 2 * context.window_ms and heard.receivers and not now.told and finding.visible:
        # one window after what explained it was over, it is news of its own; unless it is only waiting for its own
        # tail to be precise enough, as small segments do when all of them recovered together
        return _publish(policy, now, _News("opened", said, heard, finding), context)
    return now, ()


def _height(episode: Episode) -> tuple[int, bool]:
    return SEVERITIES.index(episode.severity), episode.verdict == Status.SEVERE


def _publish(
    policy: EpisodePolicy, episode: Episode, news: _News, context: Context
) -> tuple[Episode, tuple[Alert, ...]]:
    """Number the transition, decide who hears it, and write it down."""
    over = news.change == "resolved"
    quiet_day = context.at_ms - episode.changed_ms >= DAY_MS
    flapping = episode.flapping and not quiet_day
    held: Held | None = context.held or ("flapping" if flapping else None)
    if over:
        # who heard of the problem hears its end, whatever keeps other news back; nobody else does
        reasons = (None, None) if episode.told else (context.inhibited_by, held)
        delivery = Delivery(episode.told, reasons[0], None, reasons[1])
    else:
        # that a problem is less bad now is no news to who never heard of it
        fresh = () if news.change == "eased" and not episode.told else news.heard.receivers
        names = tuple(dict.fromkeys((*episode.told, *fresh)))
        delivery = Delivery(names, context.inhibited_by, None, held)
    told = episode.told if delivery.suppressed else delivery.receivers
    published = replace(
        episode,
        sequence=episode.sequence + 1,
        changed_ms=context.at_ms,
        flapping=flapping,
        told=() if over else told,
        inhibited_ms=context.at_ms if delivery.inhibited_by else None,
    )
    return published, (_alert(policy, published, news, delivery, context),)


def _alert(
    policy: EpisodePolicy, episode: Episode, news: _News, delivery: Delivery, context: Context
) -> Alert:
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
        cost=None,
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
