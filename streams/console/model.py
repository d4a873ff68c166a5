"""What does a person see of one model? Its state, what is open, a month in pictures, and the numbers behind it."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from streams.console import actions, sections
from streams.console.card import card
from streams.console.html import Content, Html, element, link
from streams.console.parts import (
    Page,
    model_path,
    moment,
    name,
    path,
    pill,
    problems,
    requests,
    screen,
    section,
    table,
)
from streams.console.sections import About
from streams.console.wording import (
    ago,
    effect,
    explained,
    number,
    p_value,
    percent,
    sentence,
    times,
    words,
)
from streams.views import answers
from streams.views.answers import Document, ModelView
from streams.views.asked import Asked
from streams.views.documents import Result, Series
from streams.views.past import documents
from streams.views.read import Built, ReadModel

RESULTS = 24
SERIES = 60  # rows; the others moved less
DAYS = ("1", "7", "30")
DAY_MS = 86_400_000
_WAITING = "No window has been judged yet: pictures come with the first."


def model(asked: Asked) -> str:
    """One model: its state, open problems, how it was lately, and every series of its last windows."""
    read = asked.read
    view = answers.model(read, asked.model_id(), asked.now_ms)
    found = answers.model_detail(read, view)
    about = shown_of(asked, view)
    drawn = sections.of_model(read, about, recalled=asked.recalled)
    judged = list(_judged(asked, about))
    results = _results(read, about)
    waiting = not (drawn or judged)
    described = card(view.registered.lifecycle) if view.registered else None
    rest = path("/episodes", model=view.model_id)
    return screen(
        asked,
        view.name,
        "",
        element("h1", element("bdi", view.name), " ", pill(view.state)),
        element("p", sentence(view.because), class_="because"),
        _facts(view, found, asked.now_ms),
        actions.for_model(asked, view),
        section("Open problems", problems(view.open_episodes, [view], rest=rest), id_="open"),
        _choices(asked, view, found, about),
        element("p", _WAITING, class_="empty") if waiting else None,
        *drawn,
        *judged,
        section("Results", results, id_="results") if results else None,
        section("About the model", described, id_="about") if described else None,
        section("Triggers", requests(read, view.model_id), id_="triggers"),
        actions.lately(read, lambda one: one.model_id == view.model_id),
        models=(view.model_id,),
        pictures=bool(drawn),
    )  # fmt: skip


def shown_of(asked: Asked, view: ModelView) -> About:
    """Which version and segment are asked for, and which time: so many days until the newest window."""
    version = asked.query.get("version") or view.version
    segment = asked.query.get("segment") or "all"
    days = int(asked.choice("days", DAYS) or DAYS[-1])
    of_model = asked.read.results.get(view.model_id, {})
    newest = [
        past[-1].end_ms for of, past in of_model.items() if of.version == version and len(past)
    ]
    end = max(newest, default=asked.now_ms)
    return About(view.model_id, version, segment, end - days * DAY_MS, end)


def _facts(view: ModelView, found: Document, now_ms: int) -> Html:
    built = view.reference
    ratio = view.newest.alarm_ratio if view.newest else None
    facts: tuple[tuple[str, Content], ...] = (
        ("Model", element("bdi", view.model_id)),
        ("Current version", view.version or "unknown"),
        ("Environment", found["environment"] or "–"),
        ("Owner", element("bdi", found["owner"] or "–")),
        ("Last event", "–" if view.last_event_ms is None else moment(view.last_event_ms)),
        ("Last verdict", "–" if view.newest is None else ago(now_ms - view.newest.logged_ms)),
        ("Alarm", "–" if ratio is None else f"at {times(ratio)} of its threshold"),
        ("Reference", "none" if built is None else _reference(built)),
        ("Lifecycle", found["lifecycle_revision"] or "not registered"),
    )  # fmt: skip
    return element("dl", *((element("div", element("dt", k), element("dd", v))) for k, v in facts))


def _reference(built: Built) -> Content:
    return element("bdi", built.reference_id), f", {number(built.events)} events"


def _choices(asked: Asked, view: ModelView, found: Document, about: About) -> Html:
    """Which version, segment and time the pictures below are of."""
    chosen = {
        "version": None if about.version == view.version else about.version,
        "segment": None if about.segment == "all" else about.segment,
        "days": asked.query.get("days"),
    }
    base = model_path(view.model_id)

    def choice(title: str, key: str, names: Sequence[tuple[str, str | None]], now: str) -> Html | None:  # fmt: skip
        if len(names) < 2:
            return None
        shown = [
            element("span", text, class_="chosen", aria_current="true")
            if text == now
            else element("a", text, href=path(base, **{**chosen, key: value}), class_="stay")
            for text, value in names
        ]
        return element("p", element("b", title), *shown, class_="choices")

    versions: list[str] = found["versions"]
    compare = None
    if len(versions) > 1:
        other = next((one for one in reversed(versions) if one != about.version), about.version)
        to = path(f"{base}/versions", a=other, b=about.version)
        compare = element("p", link("Compare versions side by side", to))
    days = chosen["days"] or DAYS[-1]
    spans = {one: f"{one} day" if one == "1" else f"{one} days" for one in DAYS}
    return element(
        "nav",
        choice("Version", "version", _but(view.version, versions), about.version),
        compare,
        choice("Segment", "segment", _but("all", found["segments"]), about.segment),
        choice("Time", "days", [(spans[one], value) for one, value in _but(DAYS[-1], DAYS)], spans[days]),
        aria_label="what is shown",
        id="choices",
    )  # fmt: skip


def _but(usual: str, names: Sequence[str]) -> list[tuple[str, str | None]]:
    """Each name with what the address says of it: nothing of the usual one."""
    return [(one, None if one == usual else one) for one in names]


_SERIES = ("Series", "Verdict", "Effect", "Floor", "p", "Reference", "Current", "Missing", "Most moved")  # fmt: skip


def _judged(asked: Asked, about: About) -> Iterator[Html]:
    """The last window of each scope: its verdict, its alarm, its broken rules, and each series."""
    newest = answers.latest(asked.read, about.model_id, about.version, about.segment)
    found = documents(newest, asked.recalled)
    for one, document in zip(newest, found, strict=True):
        result = None if document is None else msgspec.convert(document, Result)
        scope = one.subject.scope
        yield section(
            f"{words(scope)}: {one.verdict}",
            element(
                "p",
                moment(one.start_ms),
                " to ",
                moment(one.end_ms, short=True),
                f", {number(one.events)} events. {sentence(explained(one.reason))}",
                _alarmed(document),
            ),
            None if result is None else _rules(document),
            None if result is None else _all_series(result, about),
            id_=f"scope-{scope}",
        )


def _alarmed(document: Document | None) -> str | None:
    """How near the alarm is to firing, and what it may cost: the budget."""
    alarm = (document or {}).get("alarm")
    if not alarm:
        return None
    ratio = max(alarm.get("log_statistic") or 0.0, 0.0) / alarm["log_threshold"]
    budget, looks = alarm.get("budget"), alarm.get("looks")
    said = f" The alarm stands at {times(ratio)} of its threshold"
    if budget and looks is not None:
        said += f", after {number(looks)} windows since its last reset; allowed are {budget} false alarms"  # fmt: skip
    return f"{said}."


def _rules(document: Document) -> Html | None:
    broken = [
        (element("bdi", rule), _figure(of.get("value")), _figure(of.get("limit")))
        for rule, of in (document.get("quality") or {}).items()
        if isinstance(of, Mapping) and of.get("violated")
    ]
    if not broken:
        return None
    return table(("Broken rule", "Value", "Limit"), broken, figures=(1, 2), label="Broken rules")


def _figure(value: object) -> str:
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return number(float(value)) if known else "–"  # type: ignore[arg-type] # a number, as was asked


def _all_series(result: Result, about: About) -> Content:
    if not result.series:
        return None
    rows = [_series(one, about) for one in result.series[:SERIES]]
    left = len(result.series) - len(rows)
    note = element("p", f"and {number(left)} that moved less", class_="meta") if left else None
    return table(_SERIES, rows, figures=(3, 4, 5, 6), label="Series"), note


def _series(one: Series, about: About) -> tuple[Content, ...]:
    moved = [
        f"{cell.bin} of {cell.of}: {percent(cell.reference)} → {percent(cell.current)}"
        for cell in one.top_bins[:2]
    ]
    return (
        link(name(one.series), about.series_path(one.series)),
        element("span", pill(one.verdict, "verdict"), title=explained(one.reason)),
        "–" if one.effect is None else element("span", effect(one.effect), class_="whole"),
        "–" if one.effect is None else number(one.effect.floor),
        p_value(one.p_value),
        number(one.n_reference),
        number(one.n_current),
        element(
            "span",
            percent(one.missing.reference),
            " → ",
            percent(one.missing.current),
            class_="whole",
        ),
        "; ".join(moved) or "–",
    )


def _results(read: ReadModel, about: About) -> Html | None:
    found = answers.results(read, about.model_id, version=about.version, segment=about.segment)
    if not found:
        return None
    rows = [
        (
            moment(one.end_ms, short=True),
            words(one.subject.scope),
            pill(one.verdict, "verdict"),
            explained(one.reason),
            number(one.events),
            "–" if one.alarm_ratio is None else times(one.alarm_ratio),
        )
        for one in found[:RESULTS]
    ]
    return table(
        ("Window to", "Scope", "Verdict", "Because", "Events", "Alarm"), rows, figures=(4, 5), label="Results"
    )  # fmt: skip


MODEL = Page("/models/{id}", ("version", "segment", "days"), model)
