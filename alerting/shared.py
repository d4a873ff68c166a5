"""Is it one thing that moved in many models? The same series drifting in several of them within an hour is told once.

Control asks this of what it is about to send, for each receiver. Every model's episode keeps its own life and its own
alerts; what is merged is only the first message to people. PagerDuty has an incident for every episode: not merged.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

from alerting.identity import shared_id
from alerting.settings import HOUR_MS
from alerting.types import SEVERITIES, Kind, Notification, Severity

LEAST_MODELS = 3
WITHIN_MS = HOUR_MS  # of event time, the first to the last


@dataclass(frozen=True, slots=True)
class News:
    """A drift that opened, on its way to one receiver."""

    receiver: str
    series: str  # the leading one
    model_id: str
    episode_id: str
    at_ms: int  # the end of the window in which it opened
    severity: Severity
    title: str


@dataclass(frozen=True, slots=True)
class Shared:
    """One message instead of many: this series moved in these models."""

    shared_id: str
    receiver: str
    series: str
    window_end_ms: int  # of the first that opened
    severity: Severity  # the highest among them
    members: tuple[News, ...]  # in order of time, then of models
    over_ms: int | None = None  # when the last of their episodes resolved; None: some are open

    @property
    def sequence(self) -> int:
        """Grows with every member, and once all of them are over: what is newer says more."""
        return 2 * len(self.members) - (self.over_ms is None)

    @property
    def models(self) -> tuple[str, ...]:
        """The models in which it moved, each once."""
        return tuple(dict.fromkeys(news.model_id for news in self.members))


@dataclass(frozen=True, slots=True)
class Gathered:
    """What is told together, and what is told by itself."""

    shared: tuple[Shared, ...]
    single: tuple[News, ...]


def mergeable(notification: Notification, kind: Kind, series: str | None) -> bool:
    """Whether a notification may be told as part of a shared cause: drift of inputs that opened, to people.

    Parameters
    ----------
    kind, series : of its alert; they travel in the notification's headers
    """
    opened = notification.change == "opened" and kind == "data_drift"
    return opened and series is not None and notification.channel != "pagerduty"


def gather(news: Iterable[News], announced: Sequence[Shared] = ()) -> Gathered:
    """Put together what is the same series of three or more models within an hour.

    Parameters
    ----------
    news : what opened lately, in any order
    announced : shared causes that were told lately; what belongs to one joins it, and its id stays

    Returns
    -------
    Gathered
        Shared causes to be told, new or with more members; and what is told by itself. All news are in one of the two,
        but for members of a cause that was announced with them.

    Examples
    --------
    >>> news = [News("slack", "feature:age", model, f"ep-{model}", 0, "warning", "age drifted") for model in "abc"]
    >>> gather(news).shared[0].models, gather(news[:2]).shared
    (('a', 'b', 'c'), ())
    """
    shared: list[Shared] = []
    single: list[News] = []
    for (receiver, series), of in groupby(sorted(set(news), key=_order), key=_cause):
        here = [one for one in announced if (one.receiver, one.series) == (receiver, series)]
        left, grown = _joined(list(of), here)
        together, alone = _clusters(left)
        shared += [*grown, *together]
        single += alone
    return Gathered(tuple(shared), tuple(single))


_cause = attrgetter("receiver", "series")
_order = attrgetter("receiver", "series", "at_ms", "model_id", "episode_id", "severity", "title")


def _joined(news: list[News], announced: Sequence[Shared]) -> tuple[list[News], list[Shared]]:
    """What belongs to no shared cause so far, and those that have more members now."""
    found = list(announced)
    left = []
    for one in news:
        at = next((i for i, of in enumerate(found) if _near(one, of)), None)
        if at is None:
            left.append(one)
        else:
            found[at] = _of(found[at].window_end_ms, [*found[at].members, one])
    return left, [now for now, before in zip(found, announced, strict=True) if now != before]


def _near(news: News, shared: Shared) -> bool:
    return abs(news.at_ms - shared.window_end_ms) <= WITHIN_MS


def _clusters(rest: list[News]) -> tuple[list[Shared], list[News]]:
    """Walk along time; from each on, what follows within the hour is one cause if it is in enough models."""
    together, alone = [], []
    while rest:
        first_ms = rest[0].at_ms
        near = [one for one in rest if one.at_ms <= first_ms + WITHIN_MS]
        models = {one.model_id for one in near}
        if len(models) >= LEAST_MODELS:
            together.append(_of(first_ms, near))
            rest = rest[len(near) :]
        else:
            alone.append(rest[0])
            rest = rest[1:]
    return together, alone


def _of(window_end_ms: int, members: Iterable[News]) -> Shared:
    ordered = tuple(sorted(dict.fromkeys(members), key=_order))
    first = ordered[0]
    worst = max((one.severity for one in ordered), key=SEVERITIES.index)
    name = shared_id(first.series, window_end_ms)
    return Shared(name, first.receiver, first.series, window_end_ms, worst, ordered)
