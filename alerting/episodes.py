"""Does this finding open, escalate, ease or resolve a problem? The life of an episode, as a fold over findings."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from alerting.announcing import News
from alerting.hearing import heard_of, height, said, tell, tell_late
from alerting.identity import episode_id
from alerting.routing import route
from alerting.settings import DAY_MS, Context, EpisodePolicy
from alerting.types import (
    SEVERITIES,
    Alert,
    Episode,
    Finding,
    Kind,
    ResolveReason,
    Subject,
)
from alerting.wording import clip, clock, duration
from detectors.types import Status

SILENT = "silent"  # the rule of a model whose events do not come
_FOLLOW_BROKEN_DATA: tuple[Kind, ...] = ("data_drift", "prediction_drift", "concept_drift")
REOPEN_WINDOWS = 3
_NAME, _NOTE = 70, 300  # characters of a person's name and words
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
        An insufficient finding neither opens, moves nor ends an episode; see `wake`.
    """
    if finding.status == Status.INSUFFICIENT:
        return (None, ()) if episode is None else wake(policy, episode, context)
    if episode is None or not episode.open:
        if finding.status == Status.STABLE:
            return episode, ()
        return _open(policy, episode, finding, context)
    return _go_on(policy, episode, finding, context)


def wake(
    policy: EpisodePolicy, episode: Episode, context: Context
) -> tuple[Episode, tuple[Alert, ...]]:
    """A window passed in which nothing was learnt of the problem.

    If it is open, it stays so: what could not be told may be told now, and what was told long ago is told again.
    """
    if not episode.open:
        return episode, ()
    return tell_late(policy, episode, episode.finding, context)


def resolve(
    policy: EpisodePolicy,
    episode: Episode,
    reason: ResolveReason,
    context: Context,
    finding: Finding | None = None,
    by: str | None = None,
) -> tuple[Episode, tuple[Alert, ...]]:
    """End an open episode.

    Parameters
    ----------
    finding : the one that showed it is over, if one did
    by : who said it is over, if somebody did
    """
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
    if by is not None:
        over += f" by {clip(by, _NAME)}"
    text = f"{over} after {length}, opened {opened}. It was: {episode.finding.summary}"
    heard = heard_of(policy, episode, context)
    news = News("resolved", text, heard, finding or episode.finding, reason)
    return tell(policy, ended, news, context)


def acknowledge(
    policy: EpisodePolicy, episode: Episode, context: Context, by: str, note: str | None = None
) -> tuple[Episode, tuple[Alert, ...]]:
    """Somebody looks after an open episode: it is told no more, until it gets worse. Said twice, it is heard once."""
    if episode.status != "open":
        return episode, ()
    text = f"Acknowledged by {clip(by, _NAME)}"
    text += f": {clip(note, _NOTE)}" if note else ""
    news = News(
        "acknowledged",
        f"{text.removesuffix('.')}. It is: {episode.finding.summary}",
        heard_of(policy, episode, context),
        episode.finding,
    )
    return tell(policy, replace(episode, status="acknowledged"), news, context)


def snooze(
    policy: EpisodePolicy, episode: Episode, until_ms: int, context: Context, by: str
) -> tuple[Episode, tuple[Alert, ...]]:
    """Deliver nothing of an open episode until then; whoever knows of it is reminded if it is still open.

    No alert says so: the command's outcome does, and `by` is in that.
    """
    if not episode.open or until_ms <= context.at_ms:
        return episode, ()
    return replace(episode, snoozed_until_ms=until_ms), ()


def inhibitor(
    kind: Kind,
    subject: Subject,
    episodes: Iterable[Episode],
    current_version: str,
    affected: Sequence[str] = (),
    *,
    severe: bool = False,
    hearing: Sequence[str] = (),
) -> str | None:
    """The open episode of the same model that explains a problem of this kind, so that nobody need hear of both.

    The table is that of contracts §6, with one line more: worse answers that people were told of as concept drift are
    not told again as a metric below its line, unless that is `severe`, or somebody else is `hearing` of it. Broken data
    explain the drift of what they are about: where `affected` names the leading inputs of a drift and none of them is
    broken, they explain nothing.
    """
    for other in episodes:
        if not other.open or other.subject.model_id != subject.model_id:
            continue
        if _explains_all(other, kind) or _explains_here(other, kind, subject, affected):
            return other.episode_id
        if kind == "performance" and not severe and _told_as_drift(other, subject, hearing):
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
    told = other.inhibited_ms is None  # else it is the drift that people know of
    return here and (kind == "prediction_drift" or (kind == "concept_drift" and told))


def _told_as_drift(other: Episode, subject: Subject, hearing: Sequence[str]) -> bool:
    """Whether all who would hear of it know already that its answers are worse: a detector is often a window ahead."""
    same = other.kind == "concept_drift" and other.subject == subject
    return same and bool(other.told) and {*hearing} <= {*other.told}


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
    segment = context.subject.segment
    heard = route(policy, finding.kind, finding.status, finding.rules, segment, at_ms)
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
            snoozed_until_ms=before.snoozed_until_ms,
        )
    return tell(policy, opened, News("opened", finding.summary, heard, finding), context)


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
    heard = heard_of(policy, now, context)
    now = replace(now, severity=heard.severity)
    before, after = height(episode), height(now)
    alerts: tuple[Alert, ...] = ()
    text = said(now.finding.summary, after, before)
    if after > before:
        now = replace(now, status="open")  # who looked after it must know
        now, alerts = tell(policy, now, News("escalated", text, heard, finding), context)
    elif after < before:
        now, alerts = tell(policy, now, News("eased", text, heard, finding), context)
    now, late = tell_late(policy, now, finding, context)
    return now, (*alerts, *late)
