"""What does a person see? Pages over the read model: what is firing, how each model is, and why."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from alerting.identity import rfc3339
from detectors.types import Reason
from streams.control import answers
from streams.control.answers import Document, ModelView
from streams.control.api import Asked, Route, get_model
from streams.control.html import Content, Html, element, link, page
from streams.control.views import Judged, ReadModel, Scoped, Story
from streams.control.wording import ago, clock, effect, number, p_value, percent, words

STRIP = 48  # windows in a strip
TRIGGERS = 10
RESULTS = 24
_REASONS = {reason.value: reason.explanation for reason in Reason}


@dataclass(frozen=True, slots=True)
class Page:
    """A page: its path and parameters, and how it is written."""

    route: Route
    render: Callable[[Asked], str]


def index(asked: Asked) -> str:
    """The front page: what is firing now, every model, recent triggers, what came in and could not be used."""
    read = asked.read
    views = [answers.model(read, one, asked.now_ms) for one in answers.model_ids(read)]
    firing = answers.open_episodes(read)
    title = f"{len(firing)} firing" if firing else "Nothing is firing"
    return page(
        f"{title} · Leeway",
        _top(asked),
        element(
            "main",
            _section("Firing now", _firing(read, firing, views)),
            _section(f"Models ({len(views)})", _models(read, views, asked.now_ms)),
            _section("Recent triggers", _triggers(read, None)),
            _section("Intake", _intake(read)),
            id="content",
        ),
    )


def model(asked: Asked) -> str:
    """One model: its state, open problems, and every series of its last windows with the numbers behind it."""
    read = asked.read
    found = get_model(asked)
    view = answers.model(read, found["model_id"], asked.now_ms)
    version = asked.query.get("version") or view.version
    segment = asked.query.get("segment") or "all"
    newest = answers.latest(read, view.model_id, version, segment)
    return page(
        f"{view.model_id} · Leeway",
        _top(asked),
        element(
            "main",
            element("h1", view.name, " ", _pill(view.state)),
            element("p", view.because, class_="because"),
            _facts(view, found, asked.now_ms),
            _section("Open problems", _firing(read, view.open_episodes, [view])),
            _subjects(view, found, version, segment),
            *(_judged(one) for one in newest),
            None if newest else element("p", "No window has been judged yet.", class_="empty"),
            _section("Results", _results(read, view, version, segment)),
            _section("Triggers", _triggers(read, view.model_id)),
            id="content",
        ),
    )


def _top(asked: Asked) -> Html:
    state = None if asked.ready else element("span", "still reading the log", class_="reading")
    return element(
        "header",
        element("a", "Leeway", href="/", class_="brand"),
        state,
        element("span", "as of ", _time(asked.now_ms), class_="as-of"),
    )


def _section(title: str, *content: Content) -> Html:
    return element("section", element("h2", title), *content)


def _pill(state: str, kind: str = "state") -> Html:
    return element("span", words(state), class_=f"pill {kind}-{state}")


def _time(ms: int, *, short: bool = False) -> Html:
    return element("time", clock(ms, short=short), datetime=rfc3339(ms))


def _model_path(model_id: str, **query: str) -> str:
    text = "&".join(f"{key}={quote(value, safe='')}" for key, value in query.items())
    return f"/models/{quote(model_id, safe='')}" + (f"?{text}" if text else "")


def _firing(read: ReadModel, firing: Sequence[Story], views: Sequence[ModelView]) -> Html:
    if not firing:
        unknown = [view for view in views if view.state == "unknown"]
        also = f" {len(unknown)} of {len(views)} cannot be told." if unknown else ""
        return element("p", f"No problem is open.{also}", class_="empty")
    return element("div", *(_episode(story) for story in firing), class_="cards")


def _episode(story: Story) -> Html:
    alert = story.latest.document
    since = _dict(alert.get("since")).get("estimate")
    about = [link(story.model_id, _model_path(story.model_id)), " ", story.version]
    if story.segment != "all":
        about += [" · ", story.segment]
    links = _dict(alert.get("links"))
    return element(
        "article",
        element(
            "p",
            _pill(story.latest.severity, "severity"),
            " ",
            words(story.kind),
            element("span", *about, class_="about"),
        ),
        element("h3", _str(alert.get("title")) or story.id),
        element("p", _str(alert.get("summary"))),
        element(
            "p",
            "open since ",
            _time(story.first.at_ms),
            f", began about {_moment(since)}" if since else "",
            f" · {words(story.latest.word)} {len(story.history)} of {len(story.history)}"
            if len(story.history) > 1
            else "",
            " · ",
            link("history", f"/api/v1/episodes/{quote(story.id, safe='')}"),
            [" · ", link("runbook", _str(links.get("runbook")))] if links.get("runbook") else None,
            class_="meta",
        ),
        class_=f"card severity-{story.latest.severity}",
    )


def _models(read: ReadModel, views: Sequence[ModelView], now_ms: int) -> Html:
    if not views:
        return element("p", "No model is registered yet: leeway apply FILE", class_="empty")
    rows = [
        (
            link(view.model_id, _model_path(view.model_id)),
            element("span", _pill(view.state), title=view.because),
            view.version or "–",
            _strip(_history(read, view)),
            "–" if view.newest is None else _time(view.newest.end_ms, short=True),
            number(len(view.open_episodes)) if view.open_episodes else "–",
            (view.registered.owner if view.registered else None) or "–",
        )
        for view in views
    ]
    return _table(("Model", "State", "Version", "Last windows", "Judged to", "Open", "Owner"), rows)


def _history(read: ReadModel, view: ModelView) -> list[Judged]:
    subject = Scoped(view.model_id, view.version, "all", "inputs")
    return read.results.get(view.model_id, {}).get(subject, [])[-STRIP:]


def _strip(history: Sequence[Judged]) -> Html:
    """The last windows, oldest first: colour and height both say the verdict."""
    if not history:
        return element("span", "none", class_="empty")
    counts = {
        verdict: sum(one.verdict == verdict for one in history)
        for verdict in ("severe", "drifting", "insufficient", "stable")
    }
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    return element(
        "span",
        *(
            element("i", class_=one.verdict, title=f"{clock(one.end_ms)} {one.verdict}")
            for one in history
        ),
        class_="strip",
        role="img",
        aria_label=f"last {len(history)} windows: {told}",
    )


def _triggers(read: ReadModel, model_id: str | None) -> Html:
    found = sorted(
        answers.stories(read.triggers, model_id),
        key=lambda story: (story.latest.at_ms, story.id),
        reverse=True,
    )
    if not found:
        return element("p", "No retraining was requested.", class_="empty")
    rows = []
    for story in found[:TRIGGERS]:
        reason = _dict(story.latest.document.get("reason"))
        rows.append(
            (
                _time(story.latest.at_ms, short=True),
                link(story.model_id, _model_path(story.model_id)),
                _pill(story.latest.status, "trigger"),
                words(story.kind),
                _str(reason.get("summary")),
                link(story.id[:11] + "…", f"/api/v1/triggers/{quote(story.id, safe='')}"),
            )
        )
    return _table(("At", "Model", "Status", "Because of", "Summary", "Trigger"), rows)


def _intake(read: ReadModel) -> Content:
    rows = []
    for item in answers.intake_documents(read):
        rejected = ", ".join(f"{number(n)} {words(why)}" for why, n in item["dead_letters"].items())
        rows.append(
            (
                item["topic"],
                number(item["events"]),
                rejected or "none",
                number(item["unregistered"]),
            )
        )
    if not rows:
        return element("p", "Nothing was reported yet.", class_="empty")
    names = [item["model_id"] for item in answers.unregistered(read)[:10]]
    note = f"Not registered: {', '.join(names)}" if names else None
    return (
        _table(("Topic", "Events", "Dead letters", "Of unregistered models"), rows),
        element("p", note, class_="meta") if note else None,
    )


def _facts(view: ModelView, found: Document, now_ms: int) -> Html:
    built = view.reference
    facts = (
        ("Model", view.model_id),
        ("Current version", view.version or "unknown"),
        ("Environment", found["environment"] or "–"),
        ("Owner", found["owner"] or "–"),
        ("Last event", "–" if view.last_event_ms is None else _time(view.last_event_ms)),
        ("Last verdict", "–" if view.newest is None else ago(now_ms - view.newest.logged_ms)),
        ("Reference", "none" if built is None else f"{built.reference_id}, {number(built.events)} events"),
        ("Lifecycle", found["lifecycle_revision"] or "not registered"),
    )  # fmt: skip
    return element("dl", *((element("div", element("dt", k), element("dd", v))) for k, v in facts))


def _subjects(view: ModelView, found: Document, version: str, segment: str) -> Html:
    def choices(title: str, names: Sequence[str], chosen: str, other: dict[str, str], key: str) -> Content:  # fmt: skip
        if len(names) < 2:
            return None
        return element(
            "p",
            element("b", f"{title} "),
            *(
                element("strong", name, class_="chosen")
                if name == chosen
                else element("a", name, href=_model_path(view.model_id, **{**other, key: name}))
                for name in names
            ),
            class_="choices",
        )

    return element(
        "nav",
        choices("Version", found["versions"], version, {"segment": segment}, "version"),
        choices("Segment", found["segments"], segment, {"version": version}, "segment"),
        aria_label="what is shown",
    )


def _judged(one: Judged) -> Html:
    """The last window of one scope: its verdict, its alarm, and each series."""
    document = one.document
    title = f"{words(one.subject.scope)}: {one.verdict}"
    alarm = ""
    if one.log_threshold:
        alarm = (
            f" Alarm at {percent((one.log_statistic or 0.0) / one.log_threshold)} of its threshold."
        )
    about = element(
        "p",
        _time(one.start_ms),
        " to ",
        _time(one.end_ms, short=True),
        f", {number(one.events)} events. {explained(one.reason)}.{alarm}",
    )
    series = [_series(item) for item in document.get("series", ())]
    head = (
        "Series",
        "Verdict",
        "Effect",
        "Floor",
        "p",
        "Reference",
        "Current",
        "Missing",
        "Most moved",
    )
    table = _table(head, series, figures=(3, 4, 5, 6)) if series else None
    return element("section", element("h2", title), about, table)


def explained(reason: str) -> str:
    """The sentence of a reason; the word itself where a later release says something new."""
    return _REASONS.get(reason, words(reason))


def _series(item: Document) -> tuple[Content, ...]:
    shown, missing = _dict(item.get("effect")), _dict(item.get("missing"))
    tested = [_dict(one).get("p_value") for one in item.get("evidence", ())]
    smallest = min((p for p in tested if isinstance(p, int | float)), default=None)
    bins = [
        f"{one['bin']} of {one['of']}: {percent(one['reference'])} → {percent(one['current'])}"
        for one in item.get("top_bins", ())[:2]
    ]
    verdict = _str(item.get("verdict"))
    return (
        element("b", _str(item.get("series"))),
        element("span", _pill(verdict, "verdict"), title=explained(_str(item.get("reason")))),
        effect(shown),
        number(shown["floor"]) if shown else "–",
        p_value(smallest),
        number(item.get("n_reference", 0)),
        number(item.get("n_current", 0)),
        f"{percent(missing.get('reference', 0))} → {percent(missing.get('current', 0))}",
        "; ".join(bins) or "–",
    )


def _results(read: ReadModel, view: ModelView, version: str, segment: str) -> Html:
    found = answers.results(read, view.model_id, version=version, segment=segment)[:RESULTS]
    if not found:
        return element("p", "None yet.", class_="empty")
    rows = [
        (
            _time(one.end_ms, short=True),
            words(one.subject.scope),
            _pill(one.verdict, "verdict"),
            explained(one.reason),
            number(one.events),
            percent((one.log_statistic or 0.0) / one.log_threshold) if one.log_threshold else "–",
        )
        for one in found
    ]
    return _table(("Window to", "Scope", "Verdict", "Because", "Events", "Alarm"), rows, figures=(4, 5))  # fmt: skip


def _table(
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
    table = element(
        "table", element("thead", element("tr", *titles)), element("tbody", *map(row, rows))
    )
    # focusable: a wide table scrolls, and a keyboard must be able to
    return element("div", table, class_="scroll", tabindex="0")


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _str(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _moment(text: Any) -> str:
    return f"{_str(text)[:16].replace('T', ' ')} UTC"


INDEX = Page(Route("/", (), lambda asked: {}), index)
MODEL = Page(Route("/models/{id}", ("version", "segment"), get_model), model)
