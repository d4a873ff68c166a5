"""Was found what was planned? The plan beside the episodes and triggers of the service, one line per phase."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from streams.demo.plan import HOUR_MS, Placed
from streams.offline.story import EpisodeTold, TriggerTold

__all__ = ["Finding", "compare", "epoch_ms"]

_GRACE_MS = 3 * HOUR_MS  # an episode of a change may open so long after the change has ended
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Finding:
    """What the service said about one phase, beside what was planned; delays are in event time."""

    phase: str
    planned: str
    found: str
    delay_ms: (
        int | None
    )  # from the beginning of the phase to the alert, or to the end of it; None: neither
    fits: bool


def compare(
    plan: Sequence[Placed], episodes: Sequence[EpisodeTold], triggers: Sequence[TriggerTold]
) -> tuple[Finding, ...]:
    """One finding per phase.

    A quiet phase fits when no episode opened in it; a change when an episode named its feature first (and a retraining
    was approved, where the policy asks for one); a recovery when that episode resolved and nothing new opened.
    """
    found: list[Finding] = []
    change: tuple[Placed, EpisodeTold | None] | None = None
    for place in plan:
        if place.phase.feature is not None:
            episode = _of_change(place, episodes)
            found.append(_change(place, episode, triggers))
            change = place, episode
        elif change is not None:
            found.append(_recovery(place, change[1], episodes))
            change = None
        else:
            found.append(_quiet(place, episodes))
    return tuple(found)


def epoch_ms(moment: str) -> int:
    """Milliseconds of a time as Leeway writes it.

    >>> epoch_ms("1970-01-01T00:00:01.500Z")
    1500
    """
    began = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    return (datetime.fromisoformat(moment) - began) // _MILLISECOND


def _opened_in(episodes: Sequence[EpisodeTold], start_ms: int, end_ms: int) -> list[EpisodeTold]:
    """Opened by a window that lies in this stretch: an episode opens at the end of its window."""
    return [e for e in episodes if start_ms < epoch_ms(e.opened_at) <= end_ms]


def _of_change(place: Placed, episodes: Sequence[EpisodeTold]) -> EpisodeTold | None:
    series = f"feature:{place.phase.feature}"
    near = _opened_in(episodes, place.start_ms, place.end_ms + _GRACE_MS)
    fitting = [e for e in near if e.segment == "all" and e.affected[:1] == (series,)]
    return fitting[0] if fitting else None


def _quiet(place: Placed, episodes: Sequence[EpisodeTold]) -> Finding:
    raised = _opened_in(episodes, place.start_ms, place.end_ms)
    text = "nothing was raised" if not raised else f"raised: {'; '.join(e.title for e in raised)}"
    return Finding(place.phase.name, place.phase.says, text, None, not raised)


def _change(place: Placed, episode: EpisodeTold | None, triggers: Sequence[TriggerTold]) -> Finding:
    phase = place.phase
    if episode is None:
        return Finding(phase.name, phase.says, "not found", None, False)
    approved = [
        t for t in triggers if t.episode_id == episode.episode_id and "approved" in t.states
    ]
    text = f"{episode.severity}: {episode.title}"
    if approved:
        text += "; retraining requested and approved"
    elif phase.retrains:
        text += "; no retraining was requested"
    delay_ms = epoch_ms(episode.opened_at) - place.start_ms
    return Finding(phase.name, phase.says, text, delay_ms, bool(approved) == phase.retrains)


def _recovery(
    place: Placed, episode: EpisodeTold | None, episodes: Sequence[EpisodeTold]
) -> Finding:
    phase = place.phase
    fresh = [
        e
        for e in _opened_in(episodes, place.start_ms, place.end_ms)
        if episode is None or (e.affected[:1] != episode.affected[:1])
    ]
    if fresh:
        raised = "; ".join(e.title for e in fresh)
        return Finding(phase.name, phase.says, f"raised: {raised}", None, False)
    if episode is None:
        return Finding(phase.name, phase.says, "nothing was open", None, False)
    if episode.resolved_at is None:
        return Finding(phase.name, phase.says, "still open", None, False)
    delay_ms = epoch_ms(episode.resolved_at) - place.start_ms
    return Finding(phase.name, phase.says, "resolved", delay_ms, delay_ms > 0)
