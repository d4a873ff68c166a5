"""What does a report of models say? One document that needs nothing beside it: to be mailed, kept or printed."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from streams.console.account import culprits
from streams.console.card import card
from streams.console.html import Content, Html, element
from streams.console.meaning import CHANGES
from streams.console.parts import moment, name, picture, pill, requests, section, table
from streams.console.pictures import cells
from streams.console.pictures.picture import Picture
from streams.console.sections import VALUES, About, of_model
from streams.console.wording import explained, number, sentence, words
from streams.views import answers
from streams.views.distribution import distribution
from streams.views.documents import Alert
from streams.views.history import heat
from streams.views.places import NOTHING, Recalled
from streams.views.problems import Problem
from streams.views.read import ReadModel, Scoped, Story, Told

__all__ = ["Made", "Shown", "Stylesheet", "document", "model"]

DAY_MS = 86_400_000
MOST_DISTRIBUTIONS = 6  # the worst series of the newest window
MOST_EPISODES = 20
_ADDRESS = re.compile(r'<a (?=[^>]*\bhref="(?!https?:))[^>]*>(.*?)</a>', re.S)
_ID = re.compile(r'(<[a-z][^>]*? (?:id|for|aria-labelledby|aria-describedby)=")')


@dataclass(frozen=True, slots=True)
class Made:
    """How a report came to be: facts that are shown as they are, by name."""

    title: str
    facts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Shown:
    """What is shown of a model. Version None: the current one. `live`: it is watched, not replayed: it has a state."""

    model_id: str
    version: str | None = None
    segment: str = "all"
    days: int | None = None
    live: bool = True


@dataclass(frozen=True, slots=True)
class Stylesheet:
    """What a browser needs to show the document: styles, the drawing script, and the chart library, packed."""

    styles: str
    drawing: str
    charts: str  # base64 of gzip


def model(
    read: ReadModel, shown: Shown, now_ms: int, recalled: Recalled = NOTHING
) -> Sequence[Content]:
    """The sections of one model.

    Parameters
    ----------
    read : what is known
    shown : of which model, version and segment
    now_ms : the moment at which its state is told
    recalled : documents that were read from the log again

    Raises
    ------
    Problem
        Nobody knows the model, the version or the segment.
    Elsewhere
        Some of it is on the log only.
    """
    if shown.model_id not in answers.model_ids(read):
        raise Problem("not_found", f"no model has the id {shown.model_id!r}")
    view = answers.model(read, shown.model_id, now_ms)
    version = shown.version or view.version
    scopes = [
        (subject, past)
        for subject, past in read.results.get(shown.model_id, {}).items()
        if (subject.version, subject.segment) == (version, shown.segment) and len(past)
    ]
    if not scopes and (shown.version or shown.segment != "all"):
        raise Problem(
            "not_found",
            f"nothing was judged of {shown.model_id} {version}, segment {shown.segment}",
        )
    starts = [past[0].start_ms for _, past in scopes]
    ends = [past.newest_ms for _, past in scopes]
    end_ms = max(ends, default=now_ms)
    start_ms = min(starts, default=end_ms) if shown.days is None else end_ms - shown.days * DAY_MS
    about = About(shown.model_id, version, shown.segment, start_ms, end_ms)
    reference = view.reference
    facts: list[tuple[str, Content]] = [
        ("Model", name(shown.model_id)),
        ("Version", name(version) if version else "unknown"),
        ("Segment", name(shown.segment)),
        ("Windows", _span(about) if scopes else "none"),
        ("Reference", name(reference.reference_id) if reference else "none"),
        ("Lifecycle", view.registered.revision if view.registered else "not registered"),
    ]
    described = card(view.registered.lifecycle) if view.registered else None
    state = (pill(view.state), " ", sentence(view.because)) if shown.live else ()
    return (
        element("h2", name(view.name), class_="model"),
        element("p", *state, class_="because") if state else None,
        element("dl", *(element("div", element("dt", k), element("dd", v)) for k, v in facts)),
        described,
        _newest(read, about, scopes=bool(scopes)),
        _episodes(read, about),
        _distributions(read, about, recalled),
        of_model(read, about, leads=False, recalled=recalled),
        section("Triggers", requests(read, shown.model_id)),
    )


def _span(about: About) -> Content:
    return [moment(about.start_ms), " to ", moment(about.end_ms)]


def _newest(read: ReadModel, about: About, *, scopes: bool) -> Html:
    """The verdict of the newest window of each scope."""
    if not scopes:
        text = "0 windows: nothing has been judged yet, so there is nothing to draw."
        return element("p", text, class_="empty")
    rows = [
        (
            words(one.subject.scope),
            moment(one.end_ms),
            pill(one.verdict, "verdict"),
            explained(one.reason),
            number(one.events),
        )
        for one in answers.latest(read, about.model_id, about.version, about.segment)
    ]
    head = ("Scope", "Newest window to", "Verdict", "Because", "Events")
    return section(
        "Newest verdicts", table(head, rows, figures=(4,), label="Newest verdicts", stacks=True)
    )


def _episodes(read: ReadModel, about: About) -> Html:
    """Problems that are open, or were while these windows were judged; the newest first."""
    found = [
        story
        for story in answers.stories(read.episodes, about.model_id)
        if not story.ended or story.latest.at_ms >= about.start_ms
    ]
    found.sort(key=lambda story: (story.ended, -story.since_ms, story.id))
    if not found:
        return section("Problems", element("p", "No problem was open.", class_="empty"))
    left = len(found) - MOST_EPISODES
    return section(
        "Problems",
        *(_episode(story) for story in found[:MOST_EPISODES]),
        element("p", f"And {number(left)} older ones.", class_="meta") if left > 0 else None,
    )


def _episode(story: Story) -> Html:
    alert, first = story.latest.read_as(Alert), story.history[0].read_as(Alert)
    return element(
        "article",
        element(
            "p",
            pill(alert.severity, "severity"),
            " ",
            element("b", words(story.kind)),
            " · ",
            name(story.version),
            [" · ", element("bdi", story.segment)] if story.segment != "all" else None,
            " · ended" if story.ended else " · open",
        ),
        element("h3", alert.title or story.id),
        element(
            "p",
            "opened ",
            moment(story.since_ms),
            [", ended ", moment(story.latest.at_ms)] if story.ended else None,
            class_="meta",
        ),
        culprits(story, alert, first) if alert.affected else None,
        _timeline(story),
        class_=f"card severity-{alert.severity}",
    )


def _timeline(story: Story) -> Html:
    """Every transition, the first one first; the same thing told again and again is one line."""
    runs: list[list[Told]] = []
    for told in story.history:
        if runs and (runs[-1][-1].word, runs[-1][-1].severity) == (told.word, told.severity):
            runs[-1].append(told)
        else:
            runs.append([told])
    rows = [
        (
            [moment(run[0].at_ms), [" to ", moment(run[-1].at_ms)] if len(run) > 1 else None],
            CHANGES.get(run[0].word, words(run[0].word))
            + (f", {number(len(run))} times" if len(run) > 1 else ""),
            pill(run[0].severity, "severity"),
            run[-1].read_as(Alert).summary,
        )
        for run in runs
    ]
    return table(
        ("At", "What happened", "Severity", "Summary"), rows, label="What happened", stacks=True
    )


def _distributions(read: ReadModel, about: About, recalled: Recalled) -> Html | None:
    """The series that moved most in the newest window that could be judged: reference beside current."""
    subject = about.model_id, about.version, about.segment
    past = read.results.get(about.model_id, {}).get(Scoped(*subject, "inputs"), ())
    told = next((one for one in reversed(past) if one.verdict != "insufficient"), None)
    if told is None:
        return None
    order = heat(read, *subject, told.end_ms, told.end_ms, most=1).series
    outputs = [
        one for one in VALUES if distribution(read, *subject, one, None, recalled) is None
    ]  # those of the newest window are shown already, where they are known
    drawn: list[Picture] = []
    for series in (*(one for one in order if one not in VALUES), *outputs):
        one = distribution(read, *subject, series, told.end_ms, recalled)
        if one is not None and (len(drawn) < MOST_DISTRIBUTIONS or series in VALUES):
            at = len(drawn)
            drawn.append(
                cells.distribution(one, picture_id=f"worst-{at}", title=f"Values of {series}")
            )
    if not drawn:
        return None
    pictures = element("div", *(element("div", picture(one)) for one in drawn), class_="pictures")
    return section(
        "What moved most",
        element(
            "p",
            "Reference beside current, ",
            moment(told.start_ms),
            " to ",
            moment(told.end_ms),
            ": the newest window that could be judged.",
            class_="meta",
        ),
        pictures,
    )


# ------------------------------------------------------------------------------------------------------- the document
def document(
    made: Made,
    parts: Sequence[tuple[str, Sequence[Content]]],
    style: Stylesheet,
    before: Content = None,
) -> str:
    """The whole file.

    Parameters
    ----------
    made : what it is called and how it was made
    parts : each model's name and sections
    style : what makes it drawn
    before : what stands before the first model
    """
    facts = (
        element("div", element("dt", k), element("dd", element("bdi", v)))
        for k, v in made.facts.items()
    )
    several = len(parts) > 1
    contents = element("ul", *(element("li", element("bdi", title)) for title, _ in parts))
    body = element(
        "main",
        element("h1", made.title),
        element("dl", *facts),
        element("p", _NOTE, class_="meta", id="note", role="status"),
        before,
        section("Models", contents) if several else None,
        *(
            Html(_own(_closed(element("div", *content, class_="of-model")), f"m{at}-"))
            for at, (_, content) in enumerate(parts)
        ),
        id="content",
    )
    head = (
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", made.title),
        element("link", rel="icon", href="data:,"),
        Html(f"<style>{_raw(style.styles)}{_STYLE}</style>"),
    )
    scripts = ""
    if 'class="plot"' in body:
        scripts = (
            f'<script type="text/plain" id="charts">{style.charts}</script>'
            f'<script type="text/plain" id="drawing">{_raw(style.drawing)}</script>'
            f"<script>{_LOADER}</script>"
        )
    written = f'<html lang="en">{element("head", *head)}<body class="report">{body}{scripts}</body></html>'
    return f"<!doctype html>\n{written}\n"


_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data: blob:; "
    "base-uri 'none'; form-action 'none'"
)
_NOTE = "The pictures need scripts; without them open the figures below each."
_STYLE = """
.report .model { font-size: 1.35rem; margin-top: 2.5rem; }
.report .of-model + .of-model { border-top: 2px solid var(--line); }
.report article { margin: .8rem 0; }
.report .model::first-letter { text-transform: none; }
.report .scroll + .scroll { margin-top: .6rem; }
@media print {
  body { background: #fff; font-size: 10pt; }
  main { max-width: none; padding: 0; }
  figure, .card, tr { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
  .of-model + .of-model { break-before: page; }
  .scroll { overflow: visible; border: 0; }
  table { font-size: 8pt; }
  th, td { padding: .2rem .3rem; min-width: 0; white-space: normal; overflow-wrap: break-word; }
  td time, .whole, .pill { white-space: normal; }
  .pictures { display: block; }
  figure details, #note { display: none; }
}
@media print and (scripting: none) { figure details { display: block; } figure .plot { display: none; } }
@media (scripting: none) { figure .plot { display: none; } }
"""
_LOADER = """
"use strict";
(async () => {
  const note = document.getElementById("note");
  const text = (id) => document.getElementById(id).textContent;
  const run = (source) => {
    const script = document.createElement("script");
    script.textContent = source;
    document.head.append(script);
  };
  try {
    const packed = Uint8Array.from(atob(text("charts")), (letter) => letter.charCodeAt(0));
    const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    run(await new Response(unpacked).text());
    run(text("drawing"));
    note.hidden = true;
    const plots = () => document.querySelectorAll(".js-plotly-plot");
    const drawn = (change) => plots().forEach((plot) => Plotly.relayout(plot, change(plot)));
    addEventListener("beforeprint", () => drawn((plot) => ({ width: Math.min(660, plot.clientWidth) })));
    addEventListener("afterprint", () => drawn(() => ({ width: null, autosize: true })));
  } catch {
    note.textContent = "This browser cannot draw the pictures: open the figures below each.";
  }
})();
"""


def _raw(text: str) -> str:
    """Styles and scripts as they may stand in a document.

    Raises
    ------
    ValueError
        Something in them would end their element.
    """
    if re.search(r"</(script|style)|<!--", text, re.I):
        raise ValueError("this text cannot stand in a document: it would end its element")
    return text


def _closed(markup: str) -> str:
    """Markup without links to pages of a console that is not there.

    >>> _closed('<a href="/models/a" class="x">a</a>, <a href="https://b">b</a>')
    '<span>a</span>, <a href="https://b">b</a>'
    """
    return _ADDRESS.sub(r"<span>\1</span>", markup)


def _own(markup: str, before: str) -> str:
    """Markup whose ids no other model's part has.

    >>> _own('<p id="x">', "m1-")
    '<p id="m1-x">'
    """
    return _ID.sub(rf"\g<1>{before}", markup)
