"""What would have been raised, and what would it have cost? The head of a replay's report."""

from collections.abc import Sequence

from alerting.wording import duration
from streams.console.html import Content, Html, element
from streams.console.parts import moment, name, pill, section, table
from streams.console.wording import number, words
from streams.offline.tally import Tally

__all__ = ["backtest"]

MOST_EPISODES = 50


def backtest(found: Sequence[Tally]) -> Content:
    """Tables of what a replay of each model came to.

    Parameters
    ----------
    found : one of each model
    """
    if not found:
        return element("p", "0 windows: nothing could be judged.", class_="empty")
    return _raised(found), _cost(found), _episodes(found)


def _raised(found: Sequence[Tally]) -> Html:
    rows = [
        (
            name(one.model_id),
            moment(one.start_ms),
            moment(one.end_ms),
            number(sum(one.verdicts.values())),
            *(number(one.verdicts.get(word, 0)) for word in _VERDICTS),
            number(len(one.told)),
            number(len(one.episodes) - len(one.told)),
        )
        for one in found
    ]
    head = ("Model", "From", "To", "Windows", *(words(w).capitalize() for w in _VERDICTS))
    return section(
        "What would have been raised",
        table(
            (*head, "Problems", "Explained by others"),
            rows,
            figures=tuple(range(3, 3 + len(_VERDICTS) + 3)),
            label="What would have been raised",
            stacks=True,
        ),
        id_="raised",
    )


_VERDICTS = ("stable", "drifting", "severe", "insufficient")


def _cost(found: Sequence[Tally]) -> Html:
    rows = [
        (
            name(one.model_id),
            _rate(one),
            _delay(one),
            _a_week(one, one.pages),
            *(_a_week(one, one.messages.get(channel, 0)) for channel in ("slack", "email")),
        )
        for one in found
    ]
    note = _SINCE if any(one.changed_ms is not None for one in found) else _NOBODY_SAID
    head = (
        "Model",
        "False alarms a month",
        "Delay",
        "Pages a week",
        "Slack a week",
        "Mails a week",
    )
    return section(
        "What it would have cost",
        table(head, rows, figures=(3, 4, 5), label="What it would have cost", stacks=True),
        element("p", note, class_="meta"),
        id_="cost",
    )


_SINCE = (
    "Drift that was found before the change is a false alarm; the delay is the time from the change to the first "
    "problem after it."
)
_NOBODY_SAID = (
    "Nobody said when something changed (--changed TIME): the delay is not known, and drift is a false alarm only if "
    "nothing changed at all."
)


def _rate(one: Tally) -> str:
    rate, most = one.false_alarms_a_month, one.at_most_a_month
    if rate is None:
        return "not known: no quiet time"
    days = f"in {number(round(one.quiet_days, 1))} days"
    if most is not None:
        return f"0 {days} (at most {number(round(most, 2))} with 95 % confidence)"
    unless = "" if one.changed_ms is not None else "at most "
    return f"{unless}{number(round(rate, 2))} ({len(one.false_alarms)} {days})"


def _delay(one: Tally) -> Content:
    if one.changed_ms is None:
        return "not known"
    if one.delay_ms is None or one.found is None:
        return "not found"
    return [duration(one.delay_ms), " (", words(one.found.kind), ")"]


def _a_week(one: Tally, count: int) -> str:
    rate = one.a_week(count)
    return f"{count} in less than a day" if rate is None else number(round(rate, 2))


def _episodes(found: Sequence[Tally]) -> Html | None:
    """Every problem of every model, in the order in which they opened."""
    told = sorted(
        (episode for one in found for episode in one.episodes),
        key=lambda episode: (episode.opened_at, episode.model_id, episode.episode_id),
    )
    if not told:
        return None
    rows = [
        (
            _short(one.opened_at),
            _short(one.since),
            _short(one.resolved_at) or "open",
            pill(one.severity, "severity"),
            words(one.kind),
            name(one.segment),
            element("bdi", one.title),
        )
        for one in told[:MOST_EPISODES]
    ]
    head = ("Opened", "Began", "Resolved", "Severity", "Kind", "Segment", "What")
    left = len(told) - len(rows)
    more = element("p", f"And {number(left)} more.", class_="meta") if left else None
    return section(
        "Problems in order", table(head, rows, label="Problems in order", stacks=True), more
    )


def _short(moment: str | None) -> str:
    return "" if moment is None else moment[:16].replace("T", " ")
