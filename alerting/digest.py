"""What was there beside the messages? Once a day, at 08:00 UTC, a receiver reads what deserved no message of its own.

Control notes items while it reads alerts, results and its own deliveries; at the end of the day they become one digest.
`alerting.render` makes a message of it. Where there is nothing to say, nothing is said.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from alerting.identity import digest_id, rfc3339
from alerting.settings import DAY_MS, HOUR_MS, Receiver
from alerting.types import SEVERITIES, Alert, Severity
from alerting.wording import clip

Why = Literal[
    "expired",  # could not be delivered in time
    "insufficient",  # cannot be judged
    "stale",  # nothing new comes
    "label_coverage",
    "grace",
    "silenced",
    "snoozed",
    "muted",
    "flapping",
    "inhibited",
    "staging",
    "info",
    "silence_ended",
    "told",  # delivered after all: takes back what was noted of it
    "untold",  # it changed, and that is no news to who never heard of it: moves what was noted of it
]
TITLES: dict[Why, str] = {  # in the order in which they are read
    "expired": "Could not be delivered in time",
    "insufficient": "Cannot be judged",
    "stale": "Nothing new arrives",
    "label_coverage": "Too few labels",
    "grace": "During the grace period after a deployment",
    "silenced": "Silenced",
    "snoozed": "Snoozed",
    "muted": "Muted at this time",
    "flapping": "Comes and goes",
    "inhibited": "Explained by another problem",
    "staging": "Not in production",
    "info": "For information",
    "silence_ended": "Silences that ended",
}
MOST_LINES = 20  # of a section
LINE_LIMIT = 200  # characters
_BEGINS_MS = 8 * HOUR_MS


@dataclass(frozen=True, slots=True)
class DigestItem:
    """One thing worth a line. Of several about the same the last one stands.

    Parameters
    ----------
    about : what tells it from others: an episode's id, or model/version/segment
    at : event time, as documents have it
    text : what to say of it, on one line
    sequence : which is the last where times are the same
    """

    why: Why
    model_id: str
    about: str
    at: str
    text: str
    severity: Severity = "info"
    open: bool = True
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class DigestLine:
    """What became of one thing during the day."""

    model_id: str
    text: str
    at: str
    severity: Severity
    open: bool  # still so at the end
    times: int  # how often it was noted


@dataclass(frozen=True, slots=True)
class DigestSection:
    """Lines of one reason, the worst first."""

    why: Why
    title: str
    lines: tuple[DigestLine, ...]
    more: int  # lines left out


@dataclass(frozen=True, slots=True)
class Digest:
    """What one receiver reads of a day."""

    digest_id: str
    receiver: str
    day_start: str
    day_end: str  # when it is sent
    total: int
    sections: tuple[DigestSection, ...]


def day_start(at_ms: int) -> int:
    """The 08:00 UTC at which the digest's day began.

    >>> rfc3339(day_start(1772434800000)), rfc3339(day_start(1772438400000))
    ('2026-03-01T08:00:00.000Z', '2026-03-02T08:00:00.000Z')
    """
    return (at_ms - _BEGINS_MS) // DAY_MS * DAY_MS + _BEGINS_MS


def noted(alert: Alert, receivers: Sequence[Receiver]) -> tuple[tuple[str, DigestItem], ...]:
    """What the digests say of an alert: receivers' names, each with its item.

    An alert that was kept back stands in the digests of those who would have heard it. What no receiver of a digest
    would have heard, such as an info, stands in that of the receiver named `slack`, or of all where nobody has this
    name. PagerDuty reads no digest. What was delivered takes back what was noted of the same episode.
    """
    why = _why(alert)
    readers = [receiver.name for receiver in receivers if receiver.channel != "pagerduty"]
    to = [name for name in alert.delivery.receivers if name in readers]
    if not to and why != "told":
        to = ["slack"] if "slack" in readers and why != "untold" else readers
    item = DigestItem(
        why=why,
        model_id=alert.model.id,
        about=alert.episode_id,
        at=alert.at,
        text=clip(alert.title, LINE_LIMIT),
        severity=alert.severity,
        open=alert.status != "resolved",
        sequence=alert.sequence,
    )
    return tuple((name, item) for name in to)


def digest(receiver: str, day_start_ms: int, items: Iterable[DigestItem]) -> Digest | None:
    """What a receiver reads of a day; None where there is nothing to say.

    Parameters
    ----------
    day_start_ms : as `day_start` says; with the receiver it makes the id
    items : those of the day, in any order

    Examples
    --------
    >>> item = DigestItem("info", "churn", "ep-1", "2026-03-02T07:00:00.000Z", "churn 1: age drifted")
    >>> [(of.title, of.lines[0].text) for of in digest("slack", 0, [item]).sections]
    [('For information', 'churn 1: age drifted')]
    >>> digest("slack", 0, [])
    """
    about: dict[tuple[str, str], list[DigestItem]] = {}
    for item in items:
        about.setdefault((item.model_id, item.about), []).append(item)
    lines: dict[Why, list[DigestLine]] = {why: [] for why in TITLES}
    for _, of in sorted(about.items()):
        last, *before = sorted(set(of), key=_order, reverse=True)
        why = next((item.why for item in (last, *before) if item.why != "untold"), last.why)
        if why in lines:
            lines[why].append(_line(last, len(before) + 1))
    sections = tuple(_section(why, of) for why, of in lines.items())
    kept = tuple(section for section in sections if section.lines)
    if not kept:
        return None
    return Digest(
        digest_id=digest_id(receiver, day_start_ms),
        receiver=receiver,
        day_start=rfc3339(day_start_ms),
        day_end=rfc3339(day_start_ms + DAY_MS),
        total=sum(len(section.lines) + section.more for section in kept),
        sections=kept,
    )


def _why(alert: Alert) -> Why:
    """Why an alert is in a digest. A silence is somebody's wish, so it is named first."""
    delivery = alert.delivery
    if delivery.silenced_by is not None:
        return "silenced"
    if delivery.held is not None:
        return delivery.held
    if delivery.inhibited_by is not None:
        return "inhibited"
    if delivery.receivers:
        return "told"
    return "info" if alert.severity == "info" else "untold"


def _order(item: DigestItem) -> tuple[str, int, str, str]:
    return item.at, item.sequence, item.why, item.text


def _line(item: DigestItem, times: int) -> DigestLine:
    text = clip(item.text, LINE_LIMIT)
    return DigestLine(item.model_id, text, item.at, item.severity, item.open, times)


def _section(why: Why, lines: Sequence[DigestLine]) -> DigestSection:
    """The worst first, then what is still open, then by model."""
    ordered = sorted(
        lines,
        key=lambda line: (
            -SEVERITIES.index(line.severity),
            not line.open,
            line.model_id,
            line.at,
            line.text,
        ),
    )
    shown = tuple(ordered[:MOST_LINES])
    return DigestSection(why, TITLES[why], shown, len(ordered) - len(shown))
