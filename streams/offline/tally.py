"""What would a replay have cost people, and what would it have been worth? Alerts, pages and delays, per model."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from streams.broker import Record
from streams.offline import story
from streams.offline.story import EpisodeTold

__all__ = ["DRIFT", "Tally", "tallies"]

DRIFT = (
    "data_drift",
    "prediction_drift",
    "concept_drift",
    "performance",
)  # what a change can show as
DAY_MS, MONTH_DAYS = 86_400_000, 30
_CHANNELS = ("slack", "pagerduty", "email")
_NONE_SEEN = 3.0  # so many are still possible, with 95 % confidence, where none was seen


@dataclass(frozen=True, slots=True)
class Tally:
    """One model of a replay. `changed_ms`: when something is known to have changed, None: nobody said.

    `verdicts` counts windows of inputs. `pages` are incidents that would have woken somebody, `messages` what each
    channel would have been sent.
    """

    model_id: str
    start_ms: int
    end_ms: int
    verdicts: Mapping[str, int]
    episodes: tuple[EpisodeTold, ...]
    messages: Mapping[str, int]
    pages: int
    changed_ms: int | None = None

    @property
    def days(self) -> float:
        return (self.end_ms - self.start_ms) / DAY_MS

    @property
    def told(self) -> tuple[EpisodeTold, ...]:
        """Episodes that no other one explained: those that people would have heard of."""
        return tuple(one for one in self.episodes if not one.explained)

    @property
    def drifts(self) -> tuple[EpisodeTold, ...]:
        """Episodes by which a change of data or world shows."""
        return tuple(one for one in self.told if one.kind in DRIFT)

    @property
    def quiet_days(self) -> float:
        """Days in which nothing is known to have changed; all, if nobody said when it did."""
        if self.changed_ms is None:
            return self.days
        return max(0.0, (min(self.changed_ms, self.end_ms) - self.start_ms) / DAY_MS)

    @property
    def false_alarms(self) -> tuple[EpisodeTold, ...]:
        """Drift found while nothing changed; if nobody said when something did, whatever was found."""
        if self.changed_ms is None:
            return self.drifts
        return tuple(one for one in self.drifts if _ms(one.opened_at) < self.changed_ms)

    @property
    def false_alarms_a_month(self) -> float | None:
        """None: there was no quiet time."""
        days = self.quiet_days
        return MONTH_DAYS * len(self.false_alarms) / days if days else None

    @property
    def at_most_a_month(self) -> float | None:
        """What none found does not rule out, with 95 % confidence (3 in the quiet time, the rule of three)."""
        days = self.quiet_days
        return MONTH_DAYS * _NONE_SEEN / days if days and not self.false_alarms else None

    @property
    def found(self) -> EpisodeTold | None:
        """What first showed the change."""
        if self.changed_ms is None:
            return None
        return next((one for one in self.drifts if _ms(one.opened_at) >= self.changed_ms), None)

    @property
    def delay_ms(self) -> int | None:
        """From the change to the episode that showed it; None: unknown, or it was not found."""
        if self.changed_ms is None or self.found is None:
            return None
        return _ms(self.found.opened_at) - self.changed_ms

    def a_week(self, count: int) -> float | None:
        """So many in all, per week; None: the time is too short to say."""
        return 7 * count / self.days if self.days >= 1 else None


def tallies(
    topics: Mapping[str, Sequence[Record]], changed_ms: int | None = None
) -> tuple[Tally, ...]:
    """Count what a replay wrote, model by model.

    Parameters
    ----------
    topics : `Replayed.topics`
    changed_ms : when something is known to have changed
    """
    values = {name: [record.value for record in found] for name, found in topics.items()}
    verdicts: dict[str, Counter[str]] = {}
    spans: dict[str, tuple[float, float]] = {}
    for one in story.results(values["results"]):
        if one.scope != "inputs":
            continue
        start, end = spans.get(one.model_id, (math.inf, -math.inf))
        window = _ms(one.window.start), _ms(one.window.end)
        spans[one.model_id] = min(start, window[0]), max(end, window[1])
        if one.segment == "all":
            verdicts.setdefault(one.model_id, Counter())[one.verdict] += 1
    opened: dict[str, list[EpisodeTold]] = {}
    for episode in story.episodes(values["alerts"]):
        opened.setdefault(episode.model_id, []).append(episode)
    messages: dict[str, Counter[str]] = {}
    pages: dict[str, set[str]] = {}
    for channel in _CHANNELS:
        for said in _notifications(values.get(f"alerts.{channel}", ())):
            messages.setdefault(said.model_id, Counter())[channel] += 1
            if channel == "pagerduty" and said.payload.get("event_action") == "trigger":
                pages.setdefault(said.model_id, set()).add(said.episode_id)
    return tuple(
        Tally(
            model_id,
            int(spans[model_id][0]),
            int(spans[model_id][1]),
            dict(sorted(verdicts.get(model_id, Counter()).items())),
            tuple(opened.get(model_id, ())),
            dict(sorted(messages.get(model_id, Counter()).items())),
            len(pages.get(model_id, ())),
            changed_ms,
        )
        for model_id in sorted(spans)
    )


class _Notification(msgspec.Struct, frozen=True):
    model_id: str
    episode_id: str
    payload: dict[str, Any] = {}


def _notifications(values: Sequence[bytes | None]) -> Iterator[_Notification]:
    for value in values:
        if value is not None:
            yield msgspec.json.decode(value, type=_Notification)


def _ms(moment: str) -> int:
    """
    >>> _ms("2026-03-02T07:00:00.000Z")
    1772434800000
    """
    return round(datetime.fromisoformat(moment).timestamp() * 1000)
