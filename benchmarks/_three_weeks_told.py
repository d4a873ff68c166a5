"""What does a person get of what the judge wrote? New messages, lines in threads, incidents and digests.

Routing and inhibition are the judge's; what control does with it is done here with the same functions: one cause in
several models becomes one message (`alerting.shared`), and what was kept back becomes lines of a day's digest.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec

from alerting.digest import DigestItem, day_start, digest, noted
from alerting.shared import News, gather, mergeable
from alerting.types import Alert, Change, Notification
from benchmarks._three_weeks import HOUR_MS, START_MS
from benchmarks._three_weeks_run import NAMES, RECEIVERS
from streams.memory import MemoryLog

Form = Literal["message", "reply", "edit", "incident", "update", "digest"]
NO_BEGINNING = ("acknowledged", "eased", "resolved")  # no news to who knows nothing of the problem
_alert = msgspec.json.Decoder(Alert).decode
_notification = msgspec.json.Decoder(Notification).decode


@dataclass(frozen=True, slots=True)
class Told:
    """One thing that somebody got. A reply is a line in a thread, an edit makes no sound, nor does an update of an
    incident; a digest has `lines`.
    """

    form: Form
    hour: int  # of the stream; the window that showed it ended then
    models: tuple[str, ...]
    text: str
    change: Change | None = None
    lines: int = 0


def received(log: MemoryLog) -> list[Told]:
    """Everything, in order of time.

    Raises
    ------
    ValueError
        A transition was told twice to the same receiver.
    """
    alerts = {a.alert_id: a for a in (_alert(r.value or b"") for r in log.read(NAMES("alerts")))}
    sent = [
        _notification(r.value or b"")
        for topic in ("alerts.slack", "alerts.pagerduty")
        for r in log.read(NAMES(topic))
    ]
    sent.sort(key=lambda n: (n.at, n.episode_id, n.sequence))
    if len({n.idempotency_key for n in sent}) < len(sent):
        raise ValueError("a transition was told twice")
    news = {n.idempotency_key: _news(n, alerts[n.alert_id]) for n in sent}
    gathered = gather(of for of in news.values() if of is not None)
    merged = {of for one in gathered.shared for of in one.members}
    found = [
        Told(
            "message",
            _hour(one.window_end_ms),
            one.models,
            f"{one.series} in {len(one.models)} models",
            "opened",
        )
        for one in gathered.shared
    ]
    known: set[tuple[str, str]] = set()  # receivers and the episodes that they have a message of
    for n in sent:
        of, key = news[n.idempotency_key], (n.receiver, n.episode_id)
        if (of is not None and of in merged) or (key not in known and n.change in NO_BEGINNING):
            continue  # told with others; what follows from that is no news either
        found.append(_told(n, alerts[n.alert_id].title, known=key in known))
        known.add(key)
    found += _digests(list(alerts.values()))
    return sorted(found, key=lambda told: (told.hour, told.models, told.form))


def _told(of: Notification, title: str, *, known: bool) -> Told:
    forms: dict[str, Form] = {"post": "message", "update": "edit", "update_and_reply": "reply"}
    form = forms.get(of.operation, "update" if known else "incident")
    if form in ("edit", "reply") and not known:
        form = "message"  # there is nothing to write it below
    hour = _hour(_ms(of.at))
    return Told(form, hour, (of.model_id,), f"{of.severity} {of.change}: {title}", of.change)


def _news(of: Notification, alert: Alert) -> News | None:
    """What may be told together with others; None: it is told by itself."""
    series = alert.affected[0].series if alert.affected else None
    if not mergeable(of, alert.kind, series) or series is None:
        return None
    return News(
        of.receiver, series, of.model_id, of.episode_id, _ms(of.at), of.severity, alert.title
    )


def _digests(alerts: Sequence[Alert]) -> Iterator[Told]:
    """What stands in the digests, one for each receiver and day that has anything to say."""
    days: defaultdict[tuple[str, int], list[DigestItem]] = defaultdict(list)
    for alert in alerts:
        for receiver, item in noted(alert, RECEIVERS):
            days[receiver, day_start(_ms(item.at))].append(item)
    for (receiver, start), items in sorted(days.items()):
        told = digest(receiver, start, items)
        if told is not None:
            lines = [line for section in told.sections for line in section.lines]
            models = tuple(sorted({line.model_id for line in lines}))
            yield Told("digest", _hour(_ms(told.day_end)), models, lines[0].text, None, told.total)


def _ms(time: str) -> int:
    return round(datetime.fromisoformat(time).timestamp() * 1000)


def _hour(time_ms: int) -> int:
    """The hour in which a window ended: one that ends at 10:00 was from 9 to 10."""
    return (time_ms - 1 - START_MS) // HOUR_MS
