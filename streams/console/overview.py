"""What does a person see first? What is firing, how each model is, and what was asked of retraining."""

from collections.abc import Sequence

from streams.commands import moment_ms
from streams.console.html import Content, Html, element, link
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
from streams.console.wording import clock, number, words
from streams.views import answers
from streams.views.answers import Document, ModelView
from streams.views.asked import Asked
from streams.views.read import Judged, ReadModel, Scoped

STRIP = 48  # windows in a strip


def index(asked: Asked) -> str:
    """The front page: what is firing now, every model, recent triggers, what came in and could not be used."""
    read = asked.read
    views = [answers.model(read, one, asked.now_ms) for one in answers.model_ids(read)]
    firing = answers.open_episodes(read)
    title = f"{len(firing)} firing" if firing else "Nothing is firing"
    silences = read.commands.silences(asked.now_ms)
    quiet = [one for one in silences if one["status"] in ("active", "pending")]
    return screen(
        asked,
        title,
        "/",
        section("Firing now", problems(firing, views)),
        section("Silences", _silences(quiet)) if quiet else None,
        section(f"Models ({len(views)})", _models(read, views, asked.now_ms)),
        section("Recent triggers", requests(read, None)),
        section("Intake", _intake(read)),
    )


def _silences(quiet: Sequence[Document]) -> Html:
    """Of what nobody is told, and who said so."""
    rows = [
        (
            link(one["model_id"], model_path(one["model_id"])),
            ", ".join(one["match"].values()) or "everything",
            one["status"],
            moment(moment_ms(one["until"]), short=True),
            one["by"],
            one["reason"],
        )
        for one in sorted(quiet, key=lambda one: (one["until"], one["silence_id"]))
    ]
    return table(("Model", "About", "State", "Until", "By", "Because"), rows)


def _models(read: ReadModel, views: Sequence[ModelView], now_ms: int) -> Html:
    if not views:
        return element("p", "No model is registered yet: leeway apply FILE", class_="empty")
    rows = [
        (
            link(view.model_id, model_path(view.model_id)),
            element("span", pill(view.state), title=view.because),
            view.version or "–",
            _strip(_history(read, view)),
            "–" if view.newest is None else moment(view.newest.end_ms, short=True),
            number(len(view.open_episodes)) if view.open_episodes else "–",
            (view.registered.owner if view.registered else None) or "–",
        )
        for view in views
    ]
    return table(("Model", "State", "Version", "Last windows", "Judged to", "Open", "Owner"), rows)


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
        table(("Topic", "Events", "Dead letters", "Of unregistered models"), rows),
        element("p", note, class_="meta") if note else None,
    )


INDEX = Page("/", (), index)
