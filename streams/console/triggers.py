"""Which retrainings were asked for, and where does each stand? The list of triggers."""

from collections import Counter
from collections.abc import Sequence

from streams.console.html import Html, element, link
from streams.console.lists import PER_PAGE, chosen, paging
from streams.console.parts import (
    Page,
    filters,
    model_path,
    moment,
    name,
    pill,
    screen,
    select,
    table,
    trigger_path,
)
from streams.console.wording import number, words
from streams.views import answers
from streams.views.asked import Asked
from streams.views.documents import Trigger
from streams.views.read import Story

STATUSES = ("requested", "approved", "started", "completed", "failed", "rejected", "cancelled")


def triggers(asked: Asked) -> str:
    """Every trigger that is known, the newest first."""
    status, model = chosen(asked, "status", STATUSES), chosen(asked, "model")
    every = list(answers.stories(asked.read.triggers))
    found = [
        story
        for story in every
        if status in (None, story.latest.status) and model in (None, story.model_id)
    ]
    shown, following = asked.part(found, lambda story: (story.since_ms, story.id), usual=PER_PAGE)
    return screen(
        asked,
        "Triggers",
        "/triggers",
        element("h1", "Triggers"),
        element(
            "p",
            "Requests to retrain. A pipeline starts once a request is approved, and on nothing else.",
            class_="because",
        ),
        element("p", _counted(found, len(every)), class_="because", id="counted"),
        filters(
            select("status", "Status", STATUSES, status),
            select("model", "Model", sorted({story.model_id for story in every}), model),
        ),
        element("section", _listed(shown), paging(asked, "/triggers", following)),
        models=("*",) if model is None else (model,),
        kinds=("trigger",),
    )


def _counted(found: Sequence[Story], of: int) -> str:
    if not of:
        return "No retraining was ever asked for."
    by = Counter(story.latest.status for story in found)
    told = ", ".join(f"{number(by[status])} {status}" for status in STATUSES if by[status])
    return f"{number(len(found))} of {number(of)}: {told}." if found else f"None of {number(of)}."


def _listed(shown: Sequence[Story]) -> Html:
    if not shown:
        return element("p", "No trigger is like that.", class_="empty")
    rows = []
    for story in shown:
        told = story.latest.read_as(Trigger)
        rows.append(
            (
                pill(story.latest.status, "trigger"),
                link(name(told.reason.summary or words(story.kind)), trigger_path(story.id)),
                words(story.kind),
                link(name(story.model_id), model_path(story.model_id)),
                told.policy.priority,
                moment(story.since_ms, short=True),
                moment(story.latest.at_ms, short=True),
                name(told.status.by) if told.status.by else "–",
                words(told.gates.decision) if told.gates.decision else "–",
            )
        )
    head = (
        "Status",
        "Why",
        "Because of",
        "Model",
        "Priority",
        "Asked",
        "Last step",
        "By",
        "Decision",
    )
    return table(head, rows, label="Triggers", stacks=True, ids=[story.id for story in shown])


TRIGGERS = Page("/triggers", ("status", "model", "limit", "cursor"), triggers)
