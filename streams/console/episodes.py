"""Which problems were there, and which are open? The list of episodes, filtered, page by page."""

from collections import Counter
from collections.abc import Sequence

from alerting.types import SEVERITIES
from alerting.wording import duration
from streams.console.html import Content, Html, element, link
from streams.console.lists import PER_PAGE, chosen, paging
from streams.console.parts import (
    Page,
    episode_path,
    filters,
    model_path,
    moment,
    name,
    pill,
    screen,
    select,
    table,
)
from streams.console.wording import number, words
from streams.views import answers
from streams.views.asked import Asked
from streams.views.documents import Alert
from streams.views.read import Story

STATUSES = ("open", "acknowledged", "resolved")
_WHY = {"silence": "silenced", "inhibited": "explained by another"}
_FILTERS = ("status", "kind", "severity", "model")


def episodes(asked: Asked) -> str:
    """Every episode that is known, the newest first."""
    status, severity = chosen(asked, "status", STATUSES), chosen(asked, "severity", SEVERITIES)
    kind, model = chosen(asked, "kind"), chosen(asked, "model")
    every = list(answers.stories(asked.read.episodes))
    found = [
        story
        for story in every
        if status in (None, story.latest.status)
        and severity in (None, story.latest.severity)
        and kind in (None, story.kind)
        and model in (None, story.model_id)
    ]
    shown, following = asked.part(found, lambda story: (story.since_ms, story.id), usual=PER_PAGE)
    return screen(
        asked,
        "Episodes",
        "/episodes",
        element("h1", "Episodes"),
        element("p", counted(found, len(every)), class_="because", id="counted"),
        filters(
            select("status", "Status", STATUSES, status),
            select("severity", "Severity", SEVERITIES, severity),
            select("kind", "Kind", sorted({story.kind for story in every}), kind),
            select("model", "Model", sorted({story.model_id for story in every}), model),
        ),
        element("section", listed(shown, asked.now_ms), paging(asked, "/episodes", following)),
        models=("*",) if model is None else (model,),
        kinds=("alert",),
    )


def counted(found: Sequence[Story], of: int) -> str:
    """How many there are, by status.

    >>> counted([], 0)
    'No episode is known.'
    """
    if not of:
        return "No episode is known."
    by = Counter(story.latest.status for story in found)
    told = ", ".join(f"{number(by[status])} {status}" for status in STATUSES if by[status])
    return f"{number(len(found))} of {number(of)}: {told}." if found else f"None of {number(of)}."


def listed(shown: Sequence[Story], now_ms: int) -> Html:
    """Episodes as a table."""
    if not shown:
        return element("p", "No episode is like that.", class_="empty")
    rows = []
    for story in shown:
        told = story.latest.read_as(Alert)
        rows.append(
            (
                pill(story.latest.severity, "severity"),
                pill(story.latest.status, "episode"),
                words(story.kind),
                link(name(told.title or story.id), episode_path(story.id)),
                (
                    link(name(story.model_id), model_path(story.model_id)),
                    None if story.segment == "all" else [" ", name(story.segment)],
                ),
                moment(story.since_ms, short=True),
                duration((story.latest.at_ms if story.ended else now_ms) - story.since_ms),
                _kept_back(told),
            )
        )
    return table(
        ("Severity", "Status", "Kind", "What", "Whose", "Since", "For", "Told"),
        rows,
        figures=(6,),
        label="Episodes",
        stacks=True,
        ids=[story.id for story in shown],
    )


def _kept_back(told: Alert) -> Content:
    reason = told.delivery.reason
    return (
        "no: " + _WHY.get(reason, words(reason))
        if reason
        else ", ".join(told.delivery.receivers) or "console"
    )


EPISODES = Page("/episodes", (*_FILTERS, "limit", "cursor"), episodes)
