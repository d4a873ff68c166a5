"""What does a person see of one series in one window? Its values beside the reference's, and what follows."""

from collections.abc import Sequence

import msgspec
import numpy as np

from alerting.identity import rfc3339
from streams.console.html import Content, Html, element, link
from streams.console.model import shown_of
from streams.console.parts import (
    Page,
    filters,
    model_path,
    moment,
    path,
    picture,
    pill,
    screen,
    section,
    table,
)
from streams.console.pictures import cells, lines
from streams.console.pictures.drift import until
from streams.console.pictures.picture import Links, Picture
from streams.console.sections import About
from streams.console.wording import clock, effect, explained, number, p_value, percent, sentence
from streams.views import answers, history
from streams.views.answers import Document
from streams.views.asked import Asked
from streams.views.distribution import Distribution, distribution, document
from streams.views.documents import Result, Series
from streams.views.history import Line
from streams.views.problems import Problem
from streams.views.read import Scoped

LISTED = 72  # windows in the list to choose from; the picture leads to all


def series(asked: Asked) -> str:
    """A series in the newest window, or in the one that ends at `window`."""
    read, wanted = asked.read, asked.path["series"]
    view = answers.model(read, asked.model_id(), asked.now_ms)
    about = shown_of(asked, view)
    ends = history.windows(read, about.model_id, about.version, about.segment, "inputs")
    end = asked.time_ms("window")
    if end is not None and end not in ends:
        raise Problem("not_found", "no window that is known ends then")
    if end is None and len(ends):
        end = int(ends[-1])
    subject = Scoped(about.model_id, about.version, about.segment, "inputs")
    written = document(read, subject, end, asked.recalled)
    result = None if written is None else msgspec.convert(written, Result)
    of = next((one for one in result.series if one.series == wanted), None) if result else None
    if of is None and not _known(asked, wanted):
        raise Problem("not_found", f"{about.model_id[:200]!r} has no series {wanted[:200]!r}")
    found = distribution(
        read, about.model_id, about.version, about.segment, wanted, end, asked.recalled
    )
    drawn = _drawn(found)
    moved = _effects(asked, about, wanted)
    return screen(
        asked,
        f"{wanted} · {view.name}",
        "",
        _crumbs(view.name, about),
        element("h1", element("bdi", wanted), " ", pill(of.verdict, "verdict") if of else None),
        _said(of, result),
        _picker(asked, about, wanted, end, ends.tolist()),
        section("Distribution", drawn, id_="distribution"),
        section("Evidence", _evidence(of, found, _tests(written, wanted)), id_="evidence") if of else None,
        section("Over time", picture(moved), id_="over-time") if moved else None,
        section("What it is", _described(asked, wanted, found), id_="described"),
        models=(view.model_id,),
        kinds=("result", "model"),
        pictures=True,
    )  # fmt: skip


def _crumbs(name: str, about: About) -> Html:
    """Of which model, version and segment."""
    segment = None if about.segment == "all" else about.segment
    to = path(model_path(about.model_id), version=about.version, segment=segment)
    of_segment = [" · ", element("bdi", segment)] if segment else None
    return element(
        "p", link(element("bdi", name), to), f" {about.version}", of_segment, class_="crumbs"
    )


def _tests(written: Document | None, wanted: str) -> Sequence[Document]:
    """What each test measured, as the judge wrote it."""
    of_all = (written or {}).get("series", ())
    return next((one["evidence"] for one in of_all if one["series"] == wanted), ())


def _known(asked: Asked, wanted: str) -> bool:
    past = asked.read.results.get(asked.path["id"], {})
    return any(wanted in of.series for of in past.values())


def _said(of: Series | None, result: Result | None) -> Html:
    """The verdict as a sentence."""
    if of is None or result is None:
        return element("p", "This window says nothing of it.", class_="because")
    said = sentence(explained(of.reason))
    if of.effect is not None:
        against = "above" if abs(of.effect.value) > of.effect.floor else "below"
        said += f" {effect(of.effect)} is {against} the floor of {number(of.effect.floor)}."
    return element("p", said, class_="because")


def _picker(
    asked: Asked, about: About, wanted: str, end: int | None, ends: Sequence[int]
) -> Content:
    """The window before and after, and the windows around it."""
    if end is None:
        return element("p", "No window has been judged yet.", class_="empty")
    base = about.series_path(wanted)
    at = ends.index(end)
    newest = at == len(ends) - 1

    def step(text: str, other: int) -> Html:
        if not 0 <= other < len(ends):
            return element("span", text, class_="meta")
        to = base if other == len(ends) - 1 else until(base, rfc3339(ends[other]))
        return element("a", text, href=to, class_="stay")

    first = max(0, min(at - LISTED // 2, len(ends) - LISTED))
    options = [
        element("option", clock(one), value=rfc3339(one), selected="" if one == end else None)
        for one in reversed(ends[first : first + LISTED])
    ]
    chosen = {"version": asked.query.get("version"), "segment": asked.query.get("segment")}
    kept = [
        element("input", type="hidden", name=key, value=value)
        for key, value in chosen.items()
        if value
    ]
    field = element(
        "label", element("span", "Window to"), element("select", *options, name="window")
    )
    steps = element(
        "p",
        step("◂ before", at - 1),
        step("after ▸", at + 1),
        element("span", "the newest", class_="meta")
        if newest
        else step("newest ▸▸", len(ends) - 1),
        class_="choices",
    )
    return element("div", filters(*kept, field), steps, id="picker", class_="picker")


def _drawn(found: Distribution | None) -> Content:
    if found is None:
        return element(
            "p",
            "Nothing was counted cell by cell in this window, or its reference is not known.",
            class_="empty",
        )
    note = element(
        "p",
        "Personal data: cells have numbers here, and values are never shown.",
        class_="meta",
    )
    return picture(cells.distribution(found)), note if found.concealed else None


def _number(value: float | None) -> str:
    return "–" if value is None else number(value)


def _evidence(of: Series, found: Distribution | None, written: Sequence[Document]) -> Content:
    facts: list[tuple[str, Content]] = [
        ("Effect", "–" if of.effect is None else effect(of.effect)),
        ("Smallest that matters", "–" if of.effect is None else number(of.effect.floor)),
        ("Reference", f"{number(of.n_reference)} values"),
        ("Current", f"{number(of.n_current)} values"),
        ("Missing", f"{percent(of.missing.reference)} → {percent(of.missing.current)}"),
        ("Reason", explained(of.reason)),
    ]
    if found is not None:
        span = (moment(found.start_ms), " to ", moment(found.end_ms, short=True))
        facts.insert(0, ("Window", span))
    tests = [
        (
            str(one.get("detector", "")),
            _number(one.get("statistic")),
            p_value(one.get("p_value")),
            _number(one.get("e_value")),
        )
        for one in written
    ]
    said = element("dl", *(element("div", element("dt", k), element("dd", v)) for k, v in facts))
    if not tests:
        return said
    head = ("Test", "Statistic", "p", "e")
    return said, table(head, tests, figures=(1, 2, 3), label="Tests")


def _effects(asked: Asked, about: About, wanted: str) -> Picture | None:
    """The effect in units of its floor, window by window."""
    found = history.heat(
        asked.read, about.model_id, about.version, about.segment, about.start_ms, about.end_ms, 500
    )
    if wanted not in found.series:
        return None
    ratio = found.ratio[found.series.index(wanted)].astype(np.float64)
    none = np.full(len(ratio), np.nan)
    line = Line(
        "effect", found.end_ms, ratio, none, none, np.zeros(len(ratio), np.int64), None, 1.0
    )
    stem = until(about.series_path(wanted), "")
    return lines.effect(line, Links([stem], [rfc3339(one) for one in found.end_ms.tolist()]))


_ABOUT = (
    *("description", "unit", "type", "role", "source", "transformation", "leakage", "importance"),
    *("range", "allowed"),
)


def _described(asked: Asked, wanted: str, found: Distribution | None) -> Content:
    """What the lifecycle says of a feature."""
    registered = asked.read.lifecycles.get(asked.path["id"])
    lifecycle: Document = registered.lifecycle if registered else {}
    features: Document = lifecycle.get("features", {})
    feature = wanted.removeprefix("feature:")
    if feature not in features:  # what is watched in place of a text or a vector
        feature = feature.rpartition(".")[0]
    of = features.get(feature)
    if wanted in ("prediction", "score"):
        return element("p", f"The {wanted} of the model.", class_="meta")
    if of is None:
        return element("p", "The lifecycle does not say.", class_="empty")
    of = {"type": of} if isinstance(of, str) else of
    personal = feature in lifecycle.get("privacy", {}).get("pii", ())
    hidden = ("range", "allowed") if personal else ()
    facts = [
        (one, _text(of[one]))
        for one in _ABOUT
        if of.get(one) not in (None, "", []) and one not in hidden
    ]
    if personal:
        facts.append(("privacy", "personal data: values are never shown"))
    rows = (
        element("div", element("dt", key), element("dd", element("bdi", text)))
        for key, text in facts
    )
    return element("dl", *rows)


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join("any" if one is None else str(one) for one in value)
    return number(value) if isinstance(value, float) else str(value)


SERIES = Page("/models/{id}/series/{series}", ("version", "segment", "window"), series)
