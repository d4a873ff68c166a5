"""Who hears of a transition, and what keeps it from them? What nobody could hear is told when they can.

An episode remembers who was told, and how bad they were told it is. So nothing that was held back needs a queue: once
nothing holds it back any more, whoever does not know how it stands is told.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from alerting.announcing import News, announce
from alerting.routing import Route, route
from alerting.settings import DAY_MS, Context, EpisodePolicy
from alerting.silences import matching
from alerting.types import SEVERITIES, Alert, Change, Delivery, Episode, Finding, Held
from alerting.wording import duration
from detectors.types import Status

_ANSWERS: tuple[Change, ...] = ("acknowledged", "resolved")  # only for those who were told


class Why(NamedTuple):
    """What keeps news from being delivered."""

    inhibited_by: str | None
    silenced_by: str | None
    held: Held | None


def height(episode: Episode) -> int:
    """How bad it is: the severity, and within that whether it is severe."""
    return 2 * SEVERITIES.index(episode.severity) + (episode.verdict == Status.SEVERE)


def heard_of(policy: EpisodePolicy, episode: Episode, context: Context) -> Route:
    """Who is to hear of an episode as it stands."""
    rules, segment = episode.finding.rules, episode.subject.segment
    return route(policy, episode.kind, episode.verdict, rules, segment, context.at_ms)


def said(summary: str, now: int, before: int) -> str:
    """A finding's summary at another height, with the words for what changed."""
    if now % 2 == before % 2:
        return summary
    return f"Now severe. {summary}" if now % 2 else f"No longer severe. {summary}"


def tell(
    policy: EpisodePolicy, episode: Episode, news: News, context: Context
) -> tuple[Episode, tuple[Alert, ...]]:
    """Publish a transition, to whoever may hear of it now."""
    why = _why(episode, context)
    if news.change in _ANSWERS:
        # who heard of the problem hears this, whatever keeps other news back
        reasons = Why(None, None, None) if episode.told else why
        delivery = Delivery(episode.told, *reasons)
    else:
        delivery = _delivery(_audience(episode, news), news.heard.muted, why)
    return _published(policy, episode, news, delivery, context)


def tell_late(
    policy: EpisodePolicy, episode: Episode, finding: Finding, context: Context
) -> tuple[Episode, tuple[Alert, ...]]:
    """Tell who could not hear how an open episode stands, or everybody again after a while.

    What another episode explained is news of its own one window after that is over, while it shows by itself; it may
    only be waiting for its tail to be precise enough, as small segments do when all of them recovered together. What
    was held back for a time (grace, silence, snooze, mute, flapping) is told as soon as the time is over: as `opened`
    to who has not heard of it, else as the change that it came to. What somebody looks after is not told again.

    Parameters
    ----------
    finding : its numbers are the evidence
    """
    at_ms, heard = context.at_ms, heard_of(policy, episode, context)
    why = _why(episode, context)
    if why.inhibited_by is not None:
        return replace(episode, inhibited_ms=at_ms), ()
    freed = episode.inhibited_ms is None or at_ms - episode.inhibited_ms >= 2 * context.window_ms
    if any(why) or not freed or episode.status == "acknowledged":
        return episode, ()
    free = [name for name in heard.receivers if name not in heard.muted]
    fresh = tuple(name for name in free if name not in episode.told)
    told = [name for name in episode.told if name not in heard.muted]
    summary, now = finding.summary or episode.finding.summary, height(episode)
    if fresh and (finding.visible or episode.inhibited_ms is None):
        news, to = News("opened", summary, heard, finding), fresh
    elif behind := _behind(episode, told, now):
        before = episode.levels[behind[0]]
        change: Change = "escalated" if before < now else "eased"
        news, to = News(change, said(summary, now, before), heard, finding), behind
    elif again := _again(policy, episode, heard, told, at_ms):
        text = f"Still open after {duration(at_ms - episode.opened_ms)}. {summary}"
        news, to = News("repeated", text, heard, finding), again
    else:
        return episode, ()
    now_told, alerts = _published(policy, episode, news, Delivery(to, None, None, None), context)
    later, others = tell_late(policy, now_told, finding, context)  # who hears another change of it
    return later, (*alerts, *others)


def _why(episode: Episode, context: Context) -> Why:
    at_ms, until_ms = context.at_ms, episode.snoozed_until_ms
    series = [one.series for one in episode.finding.affected]
    of = episode.subject, episode.kind, episode.severity, series
    held: Held | None = context.held or ("flapping" if _flaps(episode, at_ms) else None)
    if until_ms is not None and at_ms < until_ms:
        held = "snoozed"
    return Why(context.inhibited_by, matching(context.silences, *of, at_ms), held)


def _flaps(episode: Episode, at_ms: int) -> bool:
    """It comes and goes, and has not been quiet for a day since."""
    return episode.flapping and at_ms - episode.changed_ms < DAY_MS


def _audience(episode: Episode, news: News) -> tuple[str, ...]:
    """To whom a change is one: who was told before that it is as bad hears nothing new."""
    now = height(episode)
    if news.change == "eased":  # that it is less bad is no news to who never heard of it
        return tuple(name for name in episode.told if episode.levels.get(name, now + 1) > now)
    names = dict.fromkeys((*episode.told, *news.heard.receivers))
    return tuple(name for name in names if episode.levels.get(name, -1) < now)


def _delivery(names: tuple[str, ...], muted: tuple[str, ...], why: Why) -> Delivery:
    """To all of them or to nobody; but where only some are muted, the others hear it."""
    free = tuple(name for name in names if name not in muted)
    if any(why) or free == names:
        return Delivery(names, *why)
    return Delivery(free, *why) if free else Delivery(names, None, None, "muted")


def _behind(episode: Episode, told: Sequence[str], now: int) -> tuple[str, ...]:
    """Those who believe that it is less bad than it is; if there are none, those who believe that it is worse."""
    known = {name: episode.levels.get(name, now) for name in told}
    lower = tuple(name for name, level in known.items() if level < now)
    return lower or tuple(name for name, level in known.items() if level > now)


def _again(
    policy: EpisodePolicy, episode: Episode, heard: Route, told: Sequence[str], at_ms: int
) -> tuple[str, ...]:
    """Who is to be reminded: of what was told long ago, or when a snooze is over. PagerDuty reminds by itself."""
    if heard.repeat_ms is None:
        return ()
    since_ms = episode.changed_ms if episode.told_ms is None else episode.told_ms
    if episode.snoozed_until_ms is None and at_ms - since_ms < heard.repeat_ms:
        return ()
    pagers = {receiver.name for receiver in policy.receivers if receiver.channel == "pagerduty"}
    return tuple(name for name in told if name not in pagers)


def _published(
    policy: EpisodePolicy, episode: Episode, news: News, delivery: Delivery, context: Context
) -> tuple[Episode, tuple[Alert, ...]]:
    """Number the transition, remember who knows of it, and write it down."""
    at_ms, over = context.at_ms, news.change == "resolved"
    reached = () if delivery.suppressed else delivery.receivers
    inhibited_ms = None if reached else episode.inhibited_ms
    awake = reached and news.change not in _ANSWERS
    published = replace(
        episode,
        sequence=episode.sequence + 1,
        changed_ms=at_ms,
        flapping=_flaps(episode, at_ms),
        told=() if over else tuple(dict.fromkeys((*episode.told, *reached))),
        levels={} if over else {**episode.levels, **dict.fromkeys(reached, height(episode))},
        told_ms=at_ms if reached else episode.told_ms,
        inhibited_ms=at_ms if delivery.inhibited_by else inhibited_ms,
        snoozed_until_ms=None if awake else episode.snoozed_until_ms,
    )
    return published, (announce(policy, published, news, delivery, context),)
