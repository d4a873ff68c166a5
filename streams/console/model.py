"""What does a person see of one model? Its state, what is open, and the numbers behind its last windows."""

from collections.abc import Sequence

from detectors.types import Reason
from streams.console.html import Content, Html, element
from streams.console.parts import (
    Page,
    model_path,
    moment,
    pill,
    problems,
    requests,
    screen,
    section,
    table,
)
from streams.console.wording import ago, effect, number, p_value, percent, sentence, times, words
from streams.views import answers
from streams.views.answers import Document, ModelView
from streams.views.asked import Asked
from streams.views.documents import Series
from streams.views.read import Judged, ReadModel

RESULTS = 24
_REASONS = {reason.value: reason.explanation for reason in Reason}


def model(asked: Asked) -> str:
    """One model: its state, open problems, and every series of its last windows with the numbers behind it."""
    read = asked.read
    view = answers.model(read, asked.model_id(), asked.now_ms)
    found = answers.model_detail(read, view)
    version = asked.query.get("version") or view.version
    segment = asked.query.get("segment") or "all"
    newest = answers.latest(read, view.model_id, version, segment)
    return screen(
        asked,
        view.model_id,
        "",
        (
            element("h1", view.name, " ", pill(view.state)),
            element("p", view.because, class_="because"),
            _facts(view, found, asked.now_ms),
            section("Open problems", problems(view.open_episodes, [view])),
            _subjects(view, found, version, segment),
            *(_judged(one) for one in newest),
            None if newest else element("p", "No window has been judged yet.", class_="empty"),
            section("Results", _results(read, view, version, segment)),
            section("Triggers", requests(read, view.model_id)),
        ),
        models=(view.model_id,),
    )


def _facts(view: ModelView, found: Document, now_ms: int) -> Html:
    built = view.reference
    facts = (
        ("Model", view.model_id),
        ("Current version", view.version or "unknown"),
        ("Environment", found["environment"] or "–"),
        ("Owner", found["owner"] or "–"),
        ("Last event", "–" if view.last_event_ms is None else moment(view.last_event_ms)),
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
                else element("a", name, href=model_path(view.model_id, **{**other, key: name}))
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


_SERIES = ("Series", "Verdict", "Effect", "Floor", "p", "Reference", "Current", "Missing", "Most moved")  # fmt: skip


def _judged(one: Judged) -> Html:
    """The last window of one scope: its verdict, its alarm, and each series."""
    ratio = one.alarm_ratio
    about = element(
        "p",
        moment(one.start_ms),
        " to ",
        moment(one.end_ms, short=True),
        f", {number(one.events)} events. {sentence(explained(one.reason))}",
        None if ratio is None else f" The alarm stands at {times(ratio)} of its threshold.",
    )
    rows = [_series(series) for series in one.series]
    return section(
        f"{words(one.subject.scope)}: {one.verdict}",
        about,
        table(_SERIES, rows, figures=(3, 4, 5, 6)) if rows else None,
    )


def explained(reason: str) -> str:
    """The sentence of a reason; the word itself where a later release says something new."""
    return _REASONS.get(reason, words(reason))


def _series(one: Series) -> tuple[Content, ...]:
    moved = [
        f"{cell.bin} of {cell.of}: {percent(cell.reference)} → {percent(cell.current)}"
        for cell in one.top_bins[:2]
    ]
    return (
        element("b", one.series),
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


def _results(read: ReadModel, view: ModelView, version: str, segment: str) -> Html:
    found = answers.results(read, view.model_id, version=version, segment=segment)[:RESULTS]
    if not found:
        return element("p", "None yet.", class_="empty")
    rows = [
        (
            moment(one.end_ms, short=True),
            words(one.subject.scope),
            pill(one.verdict, "verdict"),
            explained(one.reason),
            number(one.events),
            "–" if one.alarm_ratio is None else times(one.alarm_ratio),
        )
        for one in found
    ]
    return table(("Window to", "Scope", "Verdict", "Because", "Events", "Alarm"), rows, figures=(4, 5))  # fmt: skip


MODEL = Page("/models/{id}", ("version", "segment"), model)
