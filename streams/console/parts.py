"""What are the pages made of? The pieces that more than one page shows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from alerting.identity import rfc3339
from streams.console.html import Content, Html, element, link
from streams.console.wording import clock, words
from streams.views import answers
from streams.views.answers import ModelView
from streams.views.asked import Asked
from streams.views.documents import Alert, Trigger, epoch_ms
from streams.views.read import ReadModel, Story

TRIGGERS = 10


@dataclass(frozen=True, slots=True)
class Page:
    """A page: its path, the parameters it takes, and how it is written."""

    path: str
    parameters: tuple[str, ...]
    render: Callable[[Asked], str]


def top(asked: Asked) -> Html:
    state = None if asked.ready else element("span", "still reading the log", class_="reading")
    return element(
        "header",
        element("a", "Leeway", href="/", class_="brand"),
        state,
        element("span", "as of ", moment(asked.now_ms), class_="as-of"),
    )


def section(title: str, *content: Content) -> Html:
    return element("section", element("h2", title), *content)


def pill(state: str, kind: str = "state") -> Html:
    return element("span", words(state), class_=f"pill {kind}-{state}")


def moment(ms: int, *, short: bool = False) -> Html:
    return element("time", clock(ms, short=short), datetime=rfc3339(ms))


def model_path(model_id: str, **query: str) -> str:
    text = "&".join(f"{key}={quote(value, safe='')}" for key, value in query.items())
    return f"/models/{quote(model_id, safe='')}" + (f"?{text}" if text else "")


def episode_path(episode_id: str) -> str:
    """
    >>> episode_path("ep-1/2")
    '/episodes/ep-1%2F2'
    """
    return f"/episodes/{quote(episode_id, safe='')}"


def trigger_path(trigger_id: str) -> str:
    """
    >>> trigger_path("rt-1")
    '/triggers/rt-1'
    """
    return f"/triggers/{quote(trigger_id, safe='')}"


def series_path(model_id: str, series: str, **query: str) -> str:
    """
    >>> series_path("loans", "feature:income", segment="a b")
    '/models/loans/series/feature%3Aincome?segment=a%20b'
    """
    path, _, asked = model_path(model_id, **query).partition("?")
    return f"{path}/series/{quote(series, safe='')}" + (f"?{asked}" if asked else "")


def problems(firing: Sequence[Story], views: Sequence[ModelView]) -> Html:
    if not firing:
        unknown = [view for view in views if view.state == "unknown"]
        also = f" {len(unknown)} of {len(views)} cannot be told." if unknown else ""
        return element("p", f"No problem is open.{also}", class_="empty")
    return element("div", *(_episode(story) for story in firing), class_="cards")


def _episode(story: Story) -> Html:
    alert = story.latest.read_as(Alert)
    about = [link(story.model_id, model_path(story.model_id)), " ", story.version]
    if story.segment != "all":
        about += [" · ", story.segment]
    return element(
        "article",
        element(
            "p",
            pill(story.latest.severity, "severity"),
            " ",
            words(story.kind),
            element("span", *about, class_="about"),
        ),
        element("h3", alert.title or story.id),
        element("p", alert.summary),
        element(
            "p",
            "open since ",
            moment(story.since_ms),
            [", began about ", moment(epoch_ms(alert.since.estimate))] if alert.since else None,
            f" · {words(story.latest.word)} " if len(story.history) > 1 else "",
            moment(story.latest.at_ms, short=True) if len(story.history) > 1 else None,
            " · ",
            link("history", f"/api/v1/episodes/{quote(story.id, safe='')}"),
            [" · ", link("runbook", alert.links.runbook)] if alert.links.runbook else None,
            class_="meta",
        ),
        class_=f"card severity-{story.latest.severity}",
    )


def requests(read: ReadModel, model_id: str | None) -> Html:
    found = sorted(
        answers.stories(read.triggers, model_id),
        key=lambda story: (story.latest.at_ms, story.id),
        reverse=True,
    )
    if not found:
        return element("p", "No retraining was requested.", class_="empty")
    rows = []
    for story in found[:TRIGGERS]:
        rows.append(
            (
                moment(story.latest.at_ms, short=True),
                link(story.model_id, model_path(story.model_id)),
                pill(story.latest.status, "trigger"),
                words(story.kind),
                story.latest.read_as(Trigger).reason.summary,
                link(story.id[:11] + "…", f"/api/v1/triggers/{quote(story.id, safe='')}"),
            )
        )
    return table(("At", "Model", "Status", "Because of", "Summary", "Trigger"), rows)


def table(
    head: Sequence[str], rows: Sequence[Sequence[Content]], figures: Sequence[int] = ()
) -> Html:
    def row(cells: Sequence[Content]) -> Html:
        return element(
            "tr",
            *(
                element("td", cell, class_="figure" if at in figures else None)
                for at, cell in enumerate(cells)
            ),
        )

    titles = (
        element("th", text, scope="col", class_="figure" if at in figures else None)
        for at, text in enumerate(head)
    )
    header = element("thead", element("tr", *titles))
    # focusable: a wide table scrolls, and a keyboard must be able to
    return element(
        "div",
        element("table", header, element("tbody", *map(row, rows))),
        class_="scroll",
        tabindex="0",
    )
