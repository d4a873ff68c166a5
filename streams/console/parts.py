"""What are the pages made of? The pieces that more than one page shows."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from alerting.identity import rfc3339
from streams.console.html import PLOTLY, Content, Html, element, link, page
from streams.console.pictures.picture import Picture, written
from streams.console.wording import clock, number, roughly, words
from streams.views import answers
from streams.views.answers import ModelView
from streams.views.asked import Asked
from streams.views.documents import Alert, Trigger, epoch_ms
from streams.views.read import ReadModel, Story

TRIGGERS = 10
LONG = 40  # characters of a name that may be cut


@dataclass(frozen=True, slots=True)
class Page:
    """A page: its path, the parameters it takes, and how it is written."""

    path: str
    parameters: tuple[str, ...]
    render: Callable[[Asked], str]


@dataclass(frozen=True, slots=True)
class _Place:
    """An entry of the navigation, and what its number counts."""

    title: str
    path: str
    counts: str
    count: Callable[[Asked], int | None]


def _open(asked: Asked) -> int:
    return sum(not story.ended for story in answers.stories(asked.read.episodes))


def _waiting(asked: Asked) -> int:
    return sum(not story.ended for story in answers.stories(asked.read.triggers))


def _silenced(asked: Asked) -> int:
    return sum(one["status"] == "active" for one in asked.read.commands.silences(asked.now_ms))


PLACES = (
    _Place("Overview", "/", "models", lambda asked: len(answers.model_ids(asked.read))),
    _Place("Episodes", "/episodes", "open", _open),
    _Place("Triggers", "/triggers", "not ended", _waiting),
    _Place("Silences", "/silences", "active", _silenced),
    _Place("Dead letters", "/dead-letters", "rejected", lambda asked: asked.read.rejected.total),
    _Place("Pipeline", "/pipeline", "", lambda asked: None),
)


def screen(
    asked: Asked,
    title: str,
    here: str,
    *content: Content,
    models: Sequence[str] = ("*",),
    kinds: Sequence[str] = ("result", "alert", "trigger", "command", "model"),
    pictures: bool = False,
    trouble: bool = False,
) -> Html:
    """A whole page of the console.

    Parameters
    ----------
    here : the path of the navigation's entry that the page belongs to
    models, kinds : of what changes the page shows something; ``*`` is any model
    pictures : whether it has any, and so needs the chart library
    trouble : whether it stands in place of one that cannot be shown yet
    """
    scripts = ("live.js", "actions.js", *((PLOTLY, "pictures.js") if pictures else ()))
    main = element(
        "main",
        *content,
        id="content",
        tabindex="-1",  # so that the skip link moves the keyboard there, not only the view
        data_models=json.dumps(list(models)),
        data_kinds=json.dumps(list(kinds)),
        data_trouble="" if trouble else None,
    )
    return page(f"{title} · Leeway", top(asked, here), main, scripts=scripts)


def top(asked: Asked, here: str = "") -> Html:
    """Where one is, where one can go, how old this is, and whether more is still being read."""
    return element(
        "header",
        element(
            "div",
            element("a", "Leeway", href="/", class_="brand"),
            element("nav", element("ul", *(_entry(asked, one, here) for one in PLACES)), aria_label="Pages"),
            element(
                "p",
                "as of ",
                moment(asked.now_ms),
                element("span", role="status", aria_live="polite", id="live", data_keep=""),
                class_="as-of",
            ),
            class_="bar",
        ),
        None if asked.ready else _reading(asked),
    )  # fmt: skip


def _entry(asked: Asked, one: _Place, here: str) -> Html:
    found = one.count(asked)
    meaning = element("span", f" {one.counts}", class_="sr")
    count = element("span", roughly(found), meaning, class_="count") if found else None
    current = "page" if one.path == here else None
    return element("li", element("a", one.title, count, href=one.path, aria_current=current))


def _reading(asked: Asked) -> Html:
    """Control has just started: what is shown is older than what is known."""
    read = sum(min(position, end) for _, position, end in asked.reading)
    ends = sum(end for _, _, end in asked.reading)
    share = f"{100 * read // ends}\N{NO-BREAK SPACE}%" if ends else "the beginning"
    return element(
        "p",
        element("strong", "Still reading the log"),
        f" ({share}",
        f", {number(read)} of {number(ends)} records" if ends else None,
        "): control has just started. What is shown may be incomplete or old; nothing is lost.",
        class_="banner reading",
        id="reading",
        role="status",
    )


def section(title: str, *content: Content, id_: str | None = None) -> Html:
    """A part of a page under its own heading; with an id where what precedes it may come and go."""
    return element("section", element("h2", title), *content, id=id_)


def picture(shown: Picture) -> Html:
    """A picture, and below it the same numbers as a table."""
    rows, many = shown.rows.written, shown.rows.many
    said = f"The first {len(rows)} of {number(many)}." if many > len(rows) else None
    figures: Content = element("p", "No figures yet.", class_="empty")
    if rows:
        figures = table(shown.head, rows, shown.figures, label=f"{shown.title}: figures")
    return written(
        shown, element("div", element("p", said, class_="meta") if said else None, figures)
    )


def filters(*fields: Content, narrows: str | None = None) -> Html:
    """A form whose fields say what the page shows, as its address does; it works without scripts.

    With scripts every keystroke counts, and ``narrows`` is the id of a table whose rows are narrowed at once.
    """
    go = element("button", "Show", type="submit")
    return element("form", *fields, go, class_="filter", method="get", role="search", data_narrows=narrows)  # fmt: skip


def search(name: str, title: str, value: str | None) -> Html:
    """A field for text to look for."""
    return element(
        "label",
        element("span", title),
        element("input", type="search", name=name, value=value or "", autocomplete="off", maxlength="200"),
    )  # fmt: skip


def select(name: str, title: str, choices: Sequence[str], chosen: str | None) -> Html:
    """A field for one of a few words, or any."""
    options = [element("option", "any", value="")]
    for one in choices:
        options.append(
            element("option", words(one), value=one, selected="" if one == chosen else None)
        )
    return element("label", element("span", title), element("select", *options, name=name))


def pill(state: str, kind: str = "state") -> Html:
    return element("span", words(state), class_=f"pill {kind}-{state}")


def moment(ms: int, *, short: bool = False) -> Html:
    return element("time", clock(ms, short=short), datetime=rfc3339(ms))


def model_path(model_id: str, **query: str) -> str:
    text = "&".join(f"{key}={quote(value, safe='')}" for key, value in query.items())
    return f"/models/{quote(model_id, safe='')}" + (f"?{text}" if text else "")


def path(base: str, **query: str | None) -> str:
    """The address of a page; what is None or empty is left out.

    >>> path("/episodes", status="open", model="a b", kind=None)
    '/episodes?status=open&model=a%20b'
    """
    text = "&".join(f"{key}={quote(value, safe='')}" for key, value in query.items() if value)
    return base + (f"?{text}" if text else "")


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


def problems(
    firing: Sequence[Story], views: Sequence[ModelView], most: int = 12, rest: str = "/episodes"
) -> Html:
    """What is firing, as cards; `rest` is where the others are listed."""
    if not firing:
        unknown = [view for view in views if view.state == "unknown"]
        also = f" {len(unknown)} of {len(views)} cannot be told." if unknown else ""
        return element("p", f"No problem is open.{also}", class_="empty")
    cards = element("div", *(_episode(story) for story in firing[:most]), class_="cards")
    left = len(firing) - most
    if left <= 0:
        return cards
    more = element("p", link(f"and {number(left)} more", rest), class_="meta")
    return element("div", cards, more)


def _episode(story: Story) -> Html:
    alert = story.latest.read_as(Alert)
    about = [link(name(story.model_id), model_path(story.model_id)), " ", story.version]
    if story.segment != "all":
        about += [" · ", name(story.segment)]
    return element(
        "article",
        element(
            "p",
            pill(story.latest.severity, "severity"),
            " ",
            element("b", words(story.kind)),
            " · ",
            *about,
        ),
        element("h3", link(alert.title or story.id, episode_path(story.id))),
        element("p", alert.summary, class_="clamped"),
        element(
            "p",
            "open since ",
            moment(story.since_ms),
            [", began about ", moment(epoch_ms(alert.since.estimate))] if alert.since else None,
            f" · {words(story.latest.word)} " if len(story.history) > 1 else "",
            moment(story.latest.at_ms, short=True) if len(story.history) > 1 else None,
            [" · ", link("runbook", alert.links.runbook)] if alert.links.runbook else None,
            class_="meta",
        ),
        class_=f"card severity-{story.latest.severity}",
        id=story.id,
    )


def name(text: str) -> Html:
    """A name somebody gave: of any script and length, it changes nothing around it."""
    return element("bdi", text, class_="name", title=text if len(text) > LONG else None)


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
                link(story.id[:11] + "…", trigger_path(story.id)),
            )
        )
    return table(("At", "Model", "Status", "Because of", "Summary", "Trigger"), rows)


def _label(head: Content) -> str | None:
    """What a cell is called where rows are cards: the column's head, if it is plain text."""
    return head if isinstance(head, str) and not isinstance(head, Html) else None


def table(
    head: Sequence[Content],
    rows: Sequence[Sequence[Content]],
    figures: Sequence[int] = (),
    *,
    label: str | None = None,
    sorts: tuple[int, str] | None = None,
    stacks: bool = False,
    id_: str | None = None,
    ids: Sequence[str] | None = None,
) -> Html:
    """A table that scrolls by itself where it is wider than the screen.

    Parameters
    ----------
    figures : columns of numbers
    label : what a screen reader calls it
    sorts : the column by which it is sorted, and how
    stacks : on a narrow screen each row becomes a card, and nothing scrolls
    ids : one for each row, where rows come, go and move
    """
    titles = (
        element(
            "th",
            text,
            scope="col",
            class_="figure" if at in figures else None,
            aria_sort=sorts[1] if sorts is not None and sorts[0] == at else None,
        )
        for at, text in enumerate(head)
    )

    def row(at: int, cells: Sequence[Content]) -> Html:
        written = (
            element(
                "td",
                cell,
                class_="figure" if column in figures else None,
                data_label=_label(head[column]) if stacks else None,
            )
            for column, cell in enumerate(cells)
        )
        return element("tr", *written, id=ids[at] if ids else None)

    body = element("tbody", *(row(at, cells) for at, cells in enumerate(rows)))
    # focusable: a wide table scrolls, and a keyboard must be able to
    return element(
        "div",
        element("table", element("thead", element("tr", *titles)), body),
        class_="scroll stacks" if stacks else "scroll",
        tabindex="0",
        role="region" if label else None,
        aria_label=label,
        id=id_,
    )
