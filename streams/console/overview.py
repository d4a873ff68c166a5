"""What does a person see first? What is firing, and how every model is, the worst first."""

from collections.abc import Callable, Sequence
from typing import Any

from streams.commands import moment_ms
from streams.console.html import Content, Html, element, link
from streams.console.parts import (
    Page,
    filters,
    model_path,
    moment,
    name,
    path,
    pill,
    problems,
    requests,
    screen,
    search,
    section,
    select,
    table,
)
from streams.console.strips import strip
from streams.console.wording import ago, clock, number, times
from streams.views import answers
from streams.views.answers import STATES, Document, ModelView
from streams.views.asked import Asked
from streams.views.read import ReadModel, Scoped

STRIP = 36  # windows in a strip
SILENCES = 6
FIRING = 6  # cards; the rest is on the page of episodes
_WORST_FIRST = ("down", "degraded", "unknown", "healthy", "retired")
_SEVERITIES = ("critical", "error", "warning", "info")
_Key = Callable[[ModelView], Any]


def _rank(view: ModelView) -> tuple[Any, ...]:
    found = [_severities(view).get(one, 0) for one in _SEVERITIES]
    return _WORST_FIRST.index(view.state), [-count for count in found], -_alarm(view), view.model_id


def _alarm(view: ModelView) -> float:
    return (view.newest.alarm_ratio if view.newest else None) or 0.0


ORDERS: dict[str, _Key] = {
    "state": _rank,
    "model": lambda view: (view.name.casefold(), view.model_id),
    "alarm": lambda view: (-_alarm(view), view.model_id),
    "last_event": lambda view: (-(view.last_event_ms or 0), view.model_id),
    "owner": lambda view: ((_owner(view) or "\uffff").casefold(), view.model_id),
}


def index(asked: Asked) -> str:
    """The front page: what is firing now, and every model with its state and the reason for it."""
    read = asked.read
    chosen, order = asked.choice("state", STATES), asked.choice("sort", tuple(ORDERS)) or "state"
    views = [answers.model(read, one, asked.now_ms) for one in answers.model_ids(read)]
    firing = answers.open_episodes(read)
    silences = read.commands.silences(asked.now_ms)
    quiet = [one for one in silences if one["status"] in ("active", "pending")]
    problem = f"{number(len(firing))} open {'problem' if len(firing) == 1 else 'problems'}"
    wanted = (asked.query.get("q") or "").casefold().strip()
    shown = [
        view
        for view in sorted(views, key=ORDERS[order])
        if chosen in (None, view.state) and wanted in _text(view)
    ]
    strangers = answers.unregistered(read)
    unknown = (
        section("Not registered", _strangers(strangers), id_="not-registered")
        if strangers
        else None
    )
    if not (views or firing or quiet):
        title = "Nothing is watched yet"
        return screen(asked, title, "/", element("h1", title), _first(), unknown)
    return screen(
        asked,
        f"{number(len(firing))} firing" if firing else "Nothing is firing",
        "/",
        element("h1", problem if firing else "Nothing is firing"),
        _tiles(views, chosen),
        section("Firing now", problems(firing, views, FIRING, path("/episodes", status="open")), id_="firing"),
        section(f"Models ({len(views)})", _models(asked, views, shown, order), id_="of-models"),
        section("Silences", _silences(quiet), id_="silences") if quiet else None,
        section("Recent triggers", requests(read, None), id_="recent-triggers"),
        unknown,
    )  # fmt: skip


def _first() -> Html:
    """What to do where nothing is known."""
    steps = (
        ("Draft a model's lifecycle from its data", "leeway init SOURCE"),
        ("Build the reference that it is compared with", "leeway baseline FILE --data SOURCE"),
        ("Register it", "leeway apply FILE"),
    )
    listed = (element("li", said, ": ", element("code", typed)) for said, typed in steps)
    return section("No model is registered yet", element("ol", *listed), id_="first")


def _silences(quiet: Sequence[Document]) -> Html:
    """Of what nobody is told, and who said so."""
    rows = [
        (
            link(name(one["model_id"]), model_path(one["model_id"])),
            ", ".join(one["match"].values()) or "everything",
            one["status"],
            moment(moment_ms(one["until"]), short=True),
            one["by"],
            one["reason"],
        )
        for one in sorted(quiet, key=lambda one: (one["until"], one["silence_id"]))[:SILENCES]
    ]
    left = len(quiet) - len(rows)
    more = element("p", link(f"and {number(left)} more", "/silences"), class_="meta")
    head = ("Model", "About", "State", "Until", "By", "Because")
    return element("div", table(head, rows, label="Silences"), more if left else None)


def _owner(view: ModelView) -> str | None:
    return view.registered.owner if view.registered else None


def _text(view: ModelView) -> str:
    """What a search looks through."""
    return f"{view.model_id}\n{view.name}\n{_owner(view) or ''}\n{view.state}".casefold()


def _tiles(views: Sequence[ModelView], chosen: str | None) -> Html | None:
    """How many models are in each state; a tile shows only these."""
    if not views:
        return None
    tiles = []
    for state in _WORST_FIRST:
        count = sum(view.state == state for view in views)
        if count or state == "healthy":
            current = "true" if state == chosen else None
            to = "/" if current else path("/", state=state)
            inner = element("b", number(count)), pill(state)
            tile = element("a", *inner, href=to, class_="stay", aria_current=current)
            tiles.append(element("li", tile))
    return element("ul", *tiles, class_="tiles", aria_label="models by state")


def _models(asked: Asked, views: Sequence[ModelView], shown: Sequence[ModelView], order: str) -> Content:  # fmt: skip
    kept = {key: value for key, value in asked.query.items() if key in ("state", "q") and value}
    fields = (
        search("q", "Name or owner", asked.query.get("q")),
        select("state", "State", STATES, asked.query.get("state")),
        element("input", type="hidden", name="sort", value=order) if order != "state" else None,
    )
    if not shown:
        found: Content = element("p", "No model is like that. ", link("Show all", "/"), class_="empty")  # fmt: skip
    else:
        head = [_sorter(text, key, kept) for text, key in _HEAD]
        by = next(at for at, (_, key) in enumerate(_HEAD) if key == order)
        rows = [_row(asked, view) for view in shown]
        found = table(
            head,
            rows,
            label="Models",
            sorts=(by, "descending" if order in ("alarm", "last_event") else "ascending"),
            ids=[f"m-{view.model_id}" for view in shown],
            id_="models",
            stacks=True,
        )
    said = f"{number(len(shown))} of {number(len(views))} shown"
    note = element("p", said, class_="meta") if len(shown) < len(views) else None
    return filters(*fields, narrows="models"), note, found


_HEAD = (
    ("Model", "model"),
    ("State", "state"),
    ("Open", None),
    ("Alarm", "alarm"),
    ("Last windows", None),
    ("Last event", "last_event"),
    ("Owner", "owner"),
)


def _sorter(text: str, key: str | None, kept: dict[str, str]) -> Content:
    if key is None:
        return text
    to = path("/", **kept, sort=None if key == "state" else key)
    return element("a", text, href=to, class_="stay")


def _row(asked: Asked, view: ModelView) -> tuple[Content, ...]:
    ended = view.last_event_ms
    return (
        (
            link(name(view.name), model_path(view.model_id)),
            element("span", view.version, class_="meta") if view.version else None,
        ),
        (
            pill(view.state),
            None if view.state == "healthy" else element("span", view.because, class_="meta why"),
        ),
        _open(view),
        _gauge(view),
        strip(_recent(asked.read, view)),
        "–" if ended is None else element("span", ago(asked.now_ms - ended), title=clock(ended)),
        name(_owner(view) or "–"),
    )


def _severities(view: ModelView) -> dict[str, int]:
    found: dict[str, int] = {}
    for story in view.open_episodes:
        found[story.latest.severity] = found.get(story.latest.severity, 0) + 1
    return found


def _open(view: ModelView) -> Content:
    counts = _severities(view)
    if not counts:
        return "–"
    return [
        element("span", f"{counts[one]} {one}", class_=f"pill severity-{one}")
        for one in _SEVERITIES
        if one in counts
    ]


def _gauge(view: ModelView) -> Content:
    """Which part of the alarm's threshold is reached: what is spent of the false alarms that were allowed."""
    ratio = view.newest.alarm_ratio if view.newest else None
    if ratio is None:
        return "–"
    share = f"{min(ratio, 1.0):.2g}"
    return element("meter", value=share, low=".5", high=".8", optimum="0"), f" {times(ratio)}"


def _recent(read: ReadModel, view: ModelView) -> list[str]:
    subject = Scoped(view.model_id, view.version, "all", "inputs")
    past = read.results.get(view.model_id, {}).get(subject)
    return [] if past is None else [one.verdict for one in past[-STRIP:]]


def _strangers(found: Sequence[Document]) -> Html:
    names = ", ".join(item["model_id"] for item in found[:10])
    more = f" and {number(len(found) - 10)} more" if len(found) > 10 else ""
    return element(
        "p",
        "Events come of models that nobody registered: ",
        element("bdi", names),
        f"{more}. ",
        link("Pipeline", "/pipeline"),
        class_="meta",
    )


INDEX = Page("/", ("q", "state", "sort"), index)
