"""Of what is nobody told, who said so, and until when? Silences: those that hold, those to come, those that ended."""

from collections.abc import Sequence
from typing import Any

from streams.commands import moment_ms
from streams.console import actions
from streams.console.forms import buttons
from streams.console.html import Content, Html, element, link
from streams.console.lists import PER_PAGE, chosen, paging
from streams.console.parts import (
    Page,
    filters,
    model_path,
    moment,
    name,
    pill,
    screen,
    section,
    select,
    table,
)
from streams.console.wording import words
from streams.views import answers
from streams.views.asked import Asked
from streams.views.ledger import SILENCE_STATUSES

_MATCHES = ("kind", "severity", "version", "segment", "series")


def silences(asked: Asked) -> str:
    """Every silence that is known, those that end last first."""
    read = asked.read
    status, model = chosen(asked, "status", SILENCE_STATUSES), chosen(asked, "model")
    every = read.commands.silences(asked.now_ms)
    found = [
        one for one in every if status in (None, one["status"]) and model in (None, one["model_id"])
    ]
    shown, following = asked.part(
        found,
        lambda one: (moment_ms(one["until"]), one["silence_id"], one["model_id"]),
        usual=PER_PAGE,
    )
    known = answers.model_ids(read)
    able = [one for one in known if actions.refused_of(read, one) is None]
    new = actions.silence(read, None, models=able) if able else None
    return screen(
        asked,
        "Silences",
        "/silences",
        element("h1", "Silences"),
        element(
            "p",
            "What is silenced is still found and shown; nobody is told. What is open at the end is told then.",
            class_="because",
        ),
        element("section", buttons(new), id="do"),
        filters(
            select("status", "State", SILENCE_STATUSES, status),
            select("model", "Model", known, model),
        ),
        *_sections(asked, shown, len(every)),
        paging(asked, "/silences", following),
        actions.lately(read, lambda one: one.word in ("silence", "unsilence")),
        models=("*",) if model is None else (model,),
        kinds=("command",),
    )


_TITLES = {
    "active": "Nobody is told of",
    "pending": "To come",
    "ended": "Ended",
    "refused": "Refused",
}


def _sections(asked: Asked, shown: Sequence[dict[str, Any]], of: int) -> list[Content]:
    if not shown:
        said = "No silence is like that." if of else "Nothing is silenced, and nothing ever was."
        return [element("section", element("p", said, class_="empty"), id="none")]
    return [
        section(
            title, _listed(asked, [one for one in shown if one["status"] == status]), id_=status
        )
        for status, title in _TITLES.items()
        if any(one["status"] == status for one in shown)
    ]


def _listed(asked: Asked, shown: Sequence[dict[str, Any]]) -> Html:
    ends = shown[0]["status"] in ("active", "pending")
    head = ("Model", "About", "State", "From", "Until", "By", "Because", *(("",) if ends else ()))
    rows = [_row(asked, one, ends=ends) for one in shown]
    ids = [one["silence_id"] for one in shown]
    return table(head, rows, label="Silences", stacks=True, ids=ids)


def _row(asked: Asked, one: dict[str, Any], *, ends: bool) -> tuple[Content, ...]:
    begins = one["from"]
    until = moment(moment_ms(one["until"]), short=True)
    cells: tuple[Content, ...] = (
        link(name(one["model_id"]), model_path(one["model_id"])),
        name(about(one["match"])),
        pill(one["status"], "silence"),
        "–" if begins is None else moment(moment_ms(begins), short=True),
        [until, f" (ended {one['ended_at'][:16]}Z)"] if one["ended_at"] else until,
        name(one["by"]),
        name(one["reason"]),
    )
    return (*cells, _ending(asked, one)) if ends else cells


def _ending(asked: Asked, one: dict[str, Any]) -> Content:
    read = asked.read
    known = read.commands.outcomes.get((one["command_id"], one["model_id"]))
    why_not = "it does not hold yet" if known is None else None
    return buttons(actions.unsilence(read, one["model_id"], one["silence_id"], why_not))


def about(match: dict[str, str]) -> str:
    """What a silence matches.

    >>> about({"segment": "country=DE", "kind": "data_drift"}), about({})
    ('kind data drift, segment country=DE', 'everything')
    """
    said = [
        f"{part} {words(match[part]) if part == 'kind' else match[part]}"
        for part in _MATCHES
        if part in match
    ]
    return ", ".join(said) or "everything"


SILENCES = Page("/silences", ("status", "model", "limit", "cursor"), silences)
