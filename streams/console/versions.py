"""How do two versions of a model compare? The same numbers of both, over the time that both were judged."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from streams.console.html import Content, Html, element, link
from streams.console.parts import (
    Page,
    filters,
    model_path,
    moment,
    picture,
    pill,
    screen,
    section,
    select,
    table,
)
from streams.console.pictures import lines
from streams.console.strips import strip
from streams.console.wording import number, words
from streams.views import answers
from streams.views.answers import ModelView
from streams.views.asked import Asked
from streams.views.history import Line, Values
from streams.views.history import lines as known_lines
from streams.views.read import ReadModel

SCOPES = ("outcomes", "matured", "health", "inputs")
STRIP = 36  # windows


class Pair(NamedTuple):
    """One number of two versions."""

    scope: str
    a: Line
    b: Line


def versions(asked: Asked) -> str:
    """Every version of a model, and two of them side by side."""
    read = asked.read
    view = answers.model(read, asked.model_id(), asked.now_ms)
    names: list[str] = answers.model_detail(read, view)["versions"]
    b = asked.query.get("b") or view.version
    a = asked.query.get("a") or next((one for one in reversed(names) if one != b), b)
    found = pairs(read, view.model_id, a, b)
    return screen(
        asked,
        f"Versions of {view.name}",
        "",
        element("p", link(element("bdi", view.name), model_path(view.model_id)), class_="crumbs"),
        element("h1", "Versions"),
        section(f"All versions ({len(names)})", _all(read, view, names), id_="versions"),
        section("Side by side", _chooser(names, a, b), *_compared(found, a, b), id_="compared"),
        models=(view.model_id,),
        kinds=("result", "model", "command"),
        pictures=bool(found),
    )


def _all(read: ReadModel, view: ModelView, names: Sequence[str]) -> Html:
    rows = []
    for name in names:
        of = {
            subject.scope: past
            for subject, past in read.results.get(view.model_id, {}).items()
            if subject.version == name and subject.segment == "all" and len(past)
        }
        ends = [past[at].end_ms for past in of.values() for at in (0, -1)]
        inputs = of.get("inputs")
        newest = inputs[-1] if inputs else None
        rows.append(
            (
                link(element("bdi", name), model_path(view.model_id, version=name)),
                pill("current") if name == view.version else "–",
                "–" if newest is None else pill(newest.verdict, "verdict"),
                strip([one.verdict for one in inputs[-STRIP:]] if inputs else ()),
                moment(min(ends), short=True) if ends else "–",
                moment(max(ends), short=True) if ends else "–",
            )
        )
    if not rows:
        return element("p", "No version is known yet.", class_="empty")
    head = ("Version", "Now", "Verdict", "Last windows", "First window", "Last window")
    return table(head, rows, label="Versions", stacks=True)


def _chooser(names: Sequence[str], a: str, b: str) -> Html | None:
    if len(names) < 2:
        return None
    return filters(select("a", "Version", names, a), select("b", "beside", names, b))


def _compared(found: Sequence[Pair], a: str, b: str) -> list[Content]:
    if a == b:
        return [element("p", "There is no other version to compare with.", class_="empty")]
    if not found:
        said = f"Nothing was measured of both {a} and {b}."
        return [element("p", said, class_="empty")]
    rows = [_row(pair) for pair in found]
    head = ("Number", "Of", element("bdi", a), element("bdi", b), "Difference", "Windows of both")
    drawn = [_drawn(pair, a, b) for pair in found if _is_drawn(pair, found)]
    at_once = any(_at_once(pair)[0].size for pair in found)
    note = (
        "Means over the windows that both were judged in, so that what befell both is no difference."
        if at_once
        else "They never ran at the same time: each mean is over its own windows, and a difference may be the time's."
    )
    return [
        element("p", note, class_="meta"),
        table(head, rows, figures=(2, 3, 4, 5), label="Means"),
        element("div", *drawn, class_="pictures below"),
    ]


def _is_drawn(pair: Pair, found: Sequence[Pair]) -> bool:
    """What matured is drawn where labels are not told of as they come; the alarm is its own story."""
    if pair.scope == "inputs":
        return pair.a.name == "events"
    told = any(one.scope == "outcomes" and one.a.name == pair.a.name for one in found)
    return pair.scope != "matured" or not told


def _drawn(pair: Pair, a: str, b: str) -> Html:
    """Both over the time of both, if there is one."""
    start = max(int(one.end_ms[0]) for one in (pair.a, pair.b))
    end = min(int(one.end_ms[-1]) for one in (pair.a, pair.b))
    of_a, of_b = [_between(one, start, end) if start < end else one for one in (pair.a, pair.b)]
    return picture(lines.versions(of_a, of_b, a, b))


def _between(line: Line, start: int, end: int) -> Line:
    at = (line.end_ms >= start) & (line.end_ms <= end)
    value, low, high = line.value[at], line.low[at], line.high[at]
    return replace(line, end_ms=line.end_ms[at], value=value, low=low, high=high, n=line.n[at])


def pairs(read: ReadModel, model_id: str, a: str, b: str) -> list[Pair]:
    """Every number that was measured of both."""
    found = []
    for scope in SCOPES:
        of_a, of_b = (_lines(read, model_id, version, scope) for version in (a, b))
        if a != b:
            found += [Pair(scope, of_a[name], of_b[name]) for name in of_a if name in of_b]
    return found


def _lines(read: ReadModel, model_id: str, version: str, scope: str) -> Mapping[str, Line]:
    kept = known_lines(read, model_id, version, "all", scope)
    hidden = ("events", "late") if scope != "inputs" else ("late",)
    return {one.name: one for one in kept if one.name not in hidden}


def _at_once(pair: Pair) -> tuple[Values, Values]:
    """Values in the windows of both."""
    _, of_a, of_b = np.intersect1d(pair.a.end_ms, pair.b.end_ms, return_indices=True)
    a, b = pair.a.value[of_a], pair.b.value[of_b]
    both = np.isfinite(a) & np.isfinite(b)
    return a[both], b[both]


def _row(pair: Pair) -> tuple[Content, ...]:
    a, b = _at_once(pair)
    shared = len(a)
    if not shared:
        a, b = (one.value[np.isfinite(one.value)] for one in (pair.a, pair.b))
    name = words(pair.a.name)
    if not (len(a) and len(b)):
        return (name, words(pair.scope), "–", "–", "–", "0")
    means = float(a.mean()), float(b.mean())
    gap = means[1] - means[0]
    sign = "+" if gap > 0 else ""
    return (name, words(pair.scope), *map(number, means), f"{sign}{number(gap)}", number(shared))


VERSIONS = Page("/models/{id}/versions", ("a", "b"), versions)
