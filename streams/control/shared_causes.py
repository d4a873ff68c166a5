"""Is one thing drifting in many models? Every control knows all alerts, so every one answers alike without a word.

Drift of inputs that opened is held back for a short time. When that is over, it is told by itself, or, if the same
series drifts in enough models within the hour, as part of one message, which the owner of the first partition sends.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from alerting.deliver.items import Item, Key
from alerting.identity import shared_id
from alerting.render.shared import notification
from alerting.settings import DAY_MS, Receiver
from alerting.shared import News, Shared, gather
from alerting.types import Alert
from streams.views.documents import event_ms

GATHER_MS = 30_000  # so long drift is held back to see where else it appears
_KEPT_MS = 2 * DAY_MS  # of the log, beyond what any of it waits for
_CHANNELS = (
    "slack",
    "email",
)  # PagerDuty has an incident for each episode, webhooks get every alert


def series_of(alert: Alert) -> str | None:
    """The leading series of drift that may be told together with others; None for all other news."""
    if alert.change != "opened" or alert.kind != "data_drift" or alert.severity == "critical":
        return None
    return alert.affected[0].series if alert.affected else None


class _Logged(NamedTuple):
    news: News
    logged_ms: int


class _Over(NamedTuple):
    at_ms: int
    logged_ms: int


class Drifts:
    """Drift that opened lately, by who is to hear of it and by series."""

    def __init__(
        self,
        receivers: Sequence[Receiver],
        console: str | None,
        told: Callable[[Key], int],
    ) -> None:
        self._receivers = {one.name: one for one in receivers if one.channel in _CHANNELS}
        self._console, self._told = console, told
        self._of: dict[tuple[str, str], dict[str, _Logged]] = {}
        self._series: dict[Key, str] = {}
        self._over: dict[str, _Over] = {}  # episodes that resolved

    def heard(self, alert: Alert, logged_ms: int) -> None:
        """An alert was published."""
        if alert.change == "resolved":
            if any(key.episode_id == alert.episode_id for key in self._series):
                self._over[alert.episode_id] = _Over(event_ms(alert.at), logged_ms)
            return
        self._over.pop(alert.episode_id, None)  # continued
        series = series_of(alert)
        if series is None or alert.delivery.suppressed:
            return
        for name in alert.delivery.receivers:
            if name in self._receivers:
                at_ms, model_id = event_ms(alert.at), alert.model.id
                about = (series, model_id, alert.episode_id, at_ms, alert.severity, alert.title)
                logged = _Logged(News(name, *about), logged_ms)
                of = self._of.setdefault((name, series), {})
                of[alert.episode_id] = logged
                self._series[Key(name, alert.episode_id)] = series
                for old in [e for e, one in of.items() if one.logged_ms < logged_ms - _KEPT_MS]:
                    del of[old], self._series[Key(name, old)]
                    self._over.pop(old, None)

    def shared(self, key: Key) -> bool:
        """Whether this episode is told to this receiver as part of a shared cause."""
        series = self._series.get(key)
        return series is not None and any(
            news.episode_id == key.episode_id
            for cause in self._causes(key.receiver, series)
            for news in cause.members
        )

    def due(self, now_ms: int) -> Iterator[Item]:
        """Shared causes that are to be told now, those that were told before with fewer models too."""
        for (name, series), of in self._of.items():
            if len(of) < 3:
                continue
            for cause in self._causes(name, series):
                logged = [of[news.episode_id].logged_ms for news in cause.members]
                if min(logged) + GATHER_MS > now_ms:
                    continue
                times = [news.at_ms for news in cause.members]
                ends = [self._over.get(news.episode_id) for news in cause.members]
                over = [end for end in ends if end is not None]
                if len(over) == len(ends):
                    cause = replace(cause, over_ms=max(end.at_ms for end in over))
                    logged += [end.logged_ms for end in over]
                    times += [end.at_ms for end in over]
                before = self._told(Key(name, cause.shared_id)) > 0
                note = notification(
                    self._receivers[name], cause, told=before, console=self._console
                )
                if note is not None:
                    yield Item(note, max(logged), max(times), opening=not before)

    def _causes(self, name: str, series: str) -> Sequence[Shared]:
        """What is told together. A cause that was told keeps its id, whatever comes to be known later."""
        news = [logged.news for logged in self._of[name, series].values()]
        anchors: dict[str, News] = {}
        for one in sorted(news, key=lambda one: (one.at_ms, one.model_id)):
            own = shared_id(series, one.at_ms)
            if own not in anchors and self._told(Key(name, own)):
                anchors[own] = one
        announced = [
            Shared(own, name, series, one.at_ms, one.severity, (one,))
            for own, one in anchors.items()
        ]
        rest = [one for one in news if one not in anchors.values()]
        return gather(rest, announced=announced).shared
