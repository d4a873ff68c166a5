"""Was found what was planned? The plan beside the episodes and triggers of the service, one line per phase."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from streams.demo.plan import HOUR_MS, TRUTH, Placed
from streams.offline.story import EpisodeTold, TriggerTold

__all__ = ["Finding", "compare", "epoch_ms"]

_GRACE_MS = 3 * HOUR_MS  # an episode of a change may open so long after the change has ended
_MILLISECOND = timedelta(milliseconds=1)
_ASKED = {"retrain": "retraining approved", "evaluate": "an evaluation requested"}


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

    A quiet phase fits when people heard of nothing in it; a change when they heard of it, of the right kind and with
    the right series first (and it was asked for what the policy asks for); a recovery when that episode resolved and
    people heard of nothing new. What another problem explains is nothing that people hear of.
    """
    heard = [e for e in episodes if not e.explained]
    found: list[Finding] = []
    change: tuple[Placed, EpisodeTold | None] | None = None
    for place in plan:
        if place.phase.series is not None:
            episode = _of_change(place, heard)
            found.append(_change(place, episode, triggers))
            change = place, episode
        elif change is not None:
            found.append(_recovery(place, change[1], heard))
            change = None
        else:
            found.append(_quiet(place, heard))
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
    phase = place.phase
    near = _opened_in(episodes, place.start_ms, place.end_ms + _GRACE_MS)
    fitting = [
        e
        for e in near
        if e.segment == "all"
        and e.kind == phase.kind
        and (phase.series == TRUTH or e.affected[:1] == (phase.series,))
    ]
    return fitting[0] if fitting else None


def _quiet(place: Placed, episodes: Sequence[EpisodeTold]) -> Finding:
    raised = _opened_in(episodes, place.start_ms, place.end_ms)
    text = "nothing was raised" if not raised else f"raised: {'; '.join(e.title for e in raised)}"
    return Finding(place.phase.name, place.phase.says, text, None, not raised)


def _change(place: Placed, episode: EpisodeTold | None, triggers: Sequence[TriggerTold]) -> Finding:
    phase = place.phase
    if episode is None:
        return Finding(phase.name, phase.says, "not found", None, False)
    began_ms, ended_ms = place.start_ms, place.end_ms + _GRACE_MS
    requested = [t for t in triggers if began_ms < epoch_ms(t.requested_at) <= ended_ms]
    asked = {"retrain" if "approved" in t.states else "evaluate" for t in requested}
    text = f"{episode.severity}: {episode.title}" + "".join(
        f"; {_ASKED[word]}" for word in sorted(asked)
    )
    if phase.asks is not None and phase.asks not in asked:
        text += f"; not: {_ASKED[phase.asks]}"
    delay_ms = epoch_ms(episode.opened_at) - place.start_ms
    fits = asked == ({phase.asks} if phase.asks is not None else set())
    return Finding(phase.name, phase.says, text, delay_ms, fits)


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
