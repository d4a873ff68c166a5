"""What does each path of `/api/v1` answer? Handlers over the read model: no sockets, no clock."""

import msgspec

from streams.commands import moment_ms
from streams.views import answers, deliveries
from streams.views.answers import Document
from streams.views.asked import Asked, Route
from streams.views.ledger import SILENCE_STATUSES
from streams.views.problems import Problem
from streams.views.read import Story

_EPISODE_STATUSES = ("open", "acknowledged", "resolved")
_SEVERITIES = ("info", "warning", "error", "critical")
_SCOPES = ("inputs", "outcomes", "health", "matured")
_TRIGGER_STATUSES = (
    "requested",
    "approved",
    "rejected",
    "cancelled",
    "started",
    "completed",
    "failed",
)


def list_models(asked: Asked) -> Document:
    state = asked.choice("state", answers.STATES)
    views = [answers.model(asked.read, one, asked.now_ms) for one in answers.model_ids(asked.read)]
    return asked.page(
        (view for view in views if state in (None, view.state)),
        lambda view: (view.model_id,),
        answers.model_document,
        newest_first=False,
    )


def get_model(asked: Asked) -> Document:
    view = answers.model(asked.read, asked.model_id(), asked.now_ms)
    return answers.model_detail(asked.read, view)


def list_series(asked: Asked) -> Document:
    model_id = asked.model_id()
    version = asked.query.get("version") or answers.current_version(asked.read, model_id)
    found = answers.latest(asked.read, model_id, version, asked.query.get("segment", "all"))
    numbered = list(enumerate(answers.series_documents(found)))
    return asked.page(numbered, lambda one: (one[0],), lambda one: one[1], newest_first=False)


def list_results(asked: Asked) -> Document:
    found = answers.results(
        asked.read,
        asked.model_id(),
        version=asked.query.get("version"),
        segment=asked.query.get("segment"),
        scope=asked.choice("scope", _SCOPES),
        start_ms=asked.time_ms("from"),
        end_ms=asked.time_ms("to"),
    )
    return asked.page(
        found,
        lambda judged: (judged.end_ms, judged.start_ms, judged.result_id),
        lambda judged: judged.document,
    )


def _story_key(story: Story) -> tuple[int, str]:
    return (story.since_ms, story.id)


def list_episodes(asked: Asked) -> Document:
    status = asked.choice("status", _EPISODE_STATUSES)
    severity = asked.choice("severity", _SEVERITIES)
    kind = asked.query.get("kind")
    found = (
        story
        for story in answers.stories(asked.read.episodes, asked.query.get("model"))
        if status in (None, story.latest.status)
        and severity in (None, story.latest.severity)
        and kind in (None, story.kind)
    )
    return asked.page(found, _story_key, lambda story: story.latest.document)


def get_episode(asked: Asked) -> Document:
    found = answers.story(asked.read.episodes, asked.path["id"])
    if found is None:
        raise Problem("not_found", f"no episode has the id {asked.path['id'][:200]!r}")
    return answers.story_document(found)


def list_triggers(asked: Asked) -> Document:
    status = asked.choice("status", _TRIGGER_STATUSES)
    found = (
        story
        for story in answers.stories(asked.read.triggers, asked.query.get("model"))
        if status in (None, story.latest.status)
    )
    return asked.page(found, _story_key, lambda story: story.latest.document)


def get_trigger(asked: Asked) -> Document:
    found = answers.story(asked.read.triggers, asked.path["id"])
    if found is None:
        raise Problem("not_found", f"no trigger has the id {asked.path['id'][:200]!r}")
    return answers.story_document(found)


def get_command(asked: Asked) -> Document:
    found = asked.read.commands.find(asked.path["id"])
    if found is None:
        raise Problem("not_found", f"no command has the id {asked.path['id'][:200]!r}")
    return asked.read.commands.document(found)


def list_silences(asked: Asked) -> Document:
    status, model_id = asked.choice("status", SILENCE_STATUSES), asked.query.get("model")
    found = (
        silence
        for silence in asked.read.commands.silences(asked.now_ms)
        if status in (None, silence["status"]) and model_id in (None, silence["model_id"])
    )
    return asked.page(
        found,
        lambda one: (moment_ms(one["until"]), one["silence_id"], one["model_id"]),
        lambda one: one,
    )


def health(asked: Asked) -> Document:
    """How far the read model is, what it could not read, and what came in."""
    return {
        "ready": asked.ready,
        "reading": [
            {"topic": topic, "partition": number, "position": position, "end": end}
            for (topic, number), position, end in asked.reading
        ],
        "unreadable": asked.read.unreadable,
        "sources": answers.intake_documents(asked.read),
        "breakers": [
            {"receiver": name, "open": circuit}
            for name, circuit in sorted(asked.delivering.circuits.items())
        ],
    }


def list_deliveries(asked: Asked) -> Document:
    """The last word about each episode at each receiver, the newest first."""
    receiver = asked.query.get("receiver")
    found = (one for one in asked.read.deliveries.values() if receiver in (None, one.receiver))
    return asked.page(
        found,
        lambda one: (one.at_ms, one.receiver, one.episode_id),
        lambda one: msgspec.to_builtins(deliveries.document(one)),
    )


def list_unregistered(asked: Asked) -> Document:
    return asked.page(
        answers.unregistered(asked.read),
        lambda item: (-item["events"], item["topic"], item["model_id"]),
        lambda item: item,
        newest_first=False,
    )


_LIST = ("limit", "cursor")
ROUTES = (
    Route("/models", ("state", *_LIST), list_models),
    Route("/models/{id}", (), get_model),
    Route("/models/{id}/series", ("version", "segment", *_LIST), list_series),
    Route(
        "/models/{id}/results",
        ("scope", "from", "to", "segment", "version", *_LIST),
        list_results,
    ),
    Route("/episodes", ("status", "kind", "severity", "model", *_LIST), list_episodes),
    Route("/episodes/{id}", (), get_episode),
    Route("/triggers", ("status", "model", *_LIST), list_triggers),
    Route("/triggers/{id}", (), get_trigger),
    Route("/commands/{id}", (), get_command),
    Route("/silences", ("status", "model", *_LIST), list_silences),
    Route("/deliveries", ("receiver", *_LIST), list_deliveries),
    Route("/health", (), health),
    Route("/unregistered", _LIST, list_unregistered),
)
