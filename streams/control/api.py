"""What does each path of `/api/v1` answer? Handlers over the read model: no sockets, no clock."""

from typing import get_args

import msgspec

from alerting.identity import rfc3339
from alerting.types import SEVERITIES, Alert, EpisodeStatus, Kind, Trigger, TriggerStatus
from streams.commands import moment_ms
from streams.control import shapes
from streams.messages import ResultDocument
from streams.views import answers, deliveries, times
from streams.views.answers import Document
from streams.views.asked import LARGEST_LIMIT, LIMIT, Asked, Parameter, Route
from streams.views.ledger import SILENCE_STATUSES
from streams.views.problems import Problem
from streams.views.read import Story
from streams.views.rejected import Rejection
from streams.views.times import MOST_POINTS, MOST_TOP, POINTS, SCOPES, TOP
from streams.views.vitals import RoleVitals

PAGES = (
    Parameter("limit", f"how many items; {LIMIT} unless told", form="count", most=LARGEST_LIMIT),
    Parameter("cursor", "the `next` of the answer before", most=1_000),
)
FROM = Parameter("from", "windows that begin then or later", form="time")
TO = Parameter("to", "windows that end then or before", form="time")
VERSION = Parameter("version", "of the model")
CURRENT_VERSION = Parameter("version", "of the model; the current one unless told")
SEGMENT = Parameter("segment", "such as `country=DE`")
WHOLE_SEGMENT = Parameter("segment", "such as `country=DE`; `all` unless told")
MODEL = Parameter("model", "only of this model")
AT_MOST = Parameter(
    "points",
    f"windows at most, else runs of them together; {POINTS} unless told",
    form="count",
    most=MOST_POINTS,
)


def list_models(asked: Asked) -> Document:
    state = asked.query.get("state")
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
    numbered = list(enumerate(answers.series_documents(found, asked.recalled)))
    return asked.page(numbered, lambda one: (one[0],), lambda one: one[1], newest_first=False)


def list_results(asked: Asked) -> Document:
    found = answers.results(
        asked.read,
        asked.model_id(),
        version=asked.query.get("version"),
        segment=asked.query.get("segment"),
        scope=asked.query.get("scope"),
        start_ms=asked.time_ms("from"),
        end_ms=asked.time_ms("to"),
    )
    shown, following = asked.part(
        found, lambda judged: (judged.end_ms, judged.start_ms, *judged.subject)
    )
    return {"items": answers.result_documents(shown, asked.recalled), "next": following}


def _story_key(story: Story) -> tuple[int, str]:
    return (story.since_ms, story.id)


def list_episodes(asked: Asked) -> Document:
    status, severity = asked.query.get("status"), asked.query.get("severity")
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
    status = asked.query.get("status")
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
    status, model_id = asked.query.get("status"), asked.query.get("model")
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
    """How far the read model is, how the roles are, what could not be read, and what came in."""
    as_of_ms = asked.vitals.as_of_ms
    return {
        "ready": asked.ready,
        "roles": [_role(one) for one in asked.vitals.roles],
        "roles_as_of": None if as_of_ms is None else rfc3339(as_of_ms),
        "reading": [
            {"topic": topic, "partition": number, "position": position, "end": end}
            for (topic, number), position, end in asked.reading
        ],
        "unreadable": asked.read.unreadable,
        "sources": answers.intake_documents(asked.read),
        "dead_letters": asked.read.rejected.total,
        "breakers": [
            {"receiver": name, "open": circuit}
            for name, circuit in sorted(asked.delivering.circuits.items())
        ],
    }


def _role(vitals: RoleVitals) -> Document:
    return {
        "role": vitals.role,
        "state": vitals.state,
        "because": vitals.because,
        "needed": vitals.needed,
        "members": vitals.members,
        "lag": vitals.lag,
        "partitions": [
            {
                "topic": share.topic,
                "partition": share.partition,
                "committed": share.committed,
                "end": share.end,
                "lag": share.lag,
            }
            for share in vitals.topics
        ],
    }


def list_dead_letters(asked: Asked) -> Document:
    """The newest dead letters, by their headers alone."""
    found = asked.read.rejected.newest(asked.query.get("reason"), asked.query.get("topic"))
    return asked.page(found, lambda one: (one.at_ms, one.partition, one.offset), _rejection)


def _rejection(one: Rejection) -> Document:
    return {
        "reason": one.reason,
        "message": one.message,
        "origin": {
            "topic": one.origin.topic,
            "partition": one.origin.partition,
            "offset": one.origin.offset,
        },
        "at": rfc3339(one.at_ms),
        "size": one.size,
        "truncated": one.truncated,
        "group": one.group,
        "stage": one.stage,
        "partition": one.partition,
        "offset": one.offset,
        "replayed_at": None if one.replayed_ms is None else rfc3339(one.replayed_ms),
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


ROUTES = (
    Route(
        "/models",
        "How every model is, by name.",
        (Parameter("state", "only models that are so", answers.STATES), *PAGES),
        list_models,
        shapes.ModelSummary,
        listed=True,
    ),
    Route(
        "/models/{id}",
        "How a model is, with its lifecycle, versions, segments and references.",
        (),
        get_model,
        shapes.ModelDetail,
    ),
    Route(
        "/models/{id}/series",
        "The last verdict about each series, the strongest first.",
        (CURRENT_VERSION, WHOLE_SEGMENT, *PAGES),
        list_series,
        shapes.SeriesNow,
        listed=True,
    ),
    Route(
        "/models/{id}/results",
        "Results as they were published, the newest window first.",
        (Parameter("scope", "only of this scope", SCOPES), FROM, TO, SEGMENT, VERSION, *PAGES),
        list_results,
        ResultDocument,
        listed=True,
    ),
    Route(
        "/models/{id}/versions",
        "Every version of a model, the last to be judged first.",
        PAGES,
        times.list_versions,
        shapes.VersionSummary,
        listed=True,
    ),
    Route(
        "/models/{id}/compare",
        "The windows in which two versions were judged, side by side, the newest first.",
        (
            Parameter("a", "a version", required=True),
            Parameter("b", "the version beside it", required=True),
            WHOLE_SEGMENT,
            FROM,
            TO,
            *PAGES,
        ),
        times.compare,
        shapes.SideBySide,
        listed=True,
    ),
    Route(
        "/models/{id}/matured",
        "Performance by the day of the prediction, as far as labels have come; the newest first.",
        (FROM, TO, CURRENT_VERSION, WHOLE_SEGMENT, *PAGES),
        times.matured,
        shapes.MaturedDay,
        listed=True,
    ),
    Route(
        "/models/{id}/history",
        "Numbers over the last thirty days, as columns.",
        (
            Parameter("scope", "`inputs` unless told", SCOPES),
            Parameter("names", "only these numbers, with commas between: `accuracy,recall`"),
            FROM,
            TO,
            CURRENT_VERSION,
            WHOLE_SEGMENT,
            AT_MOST,
        ),
        times.history,
        shapes.History,
    ),
    Route(
        "/models/{id}/drift",
        "Drift of every series over the last thirty days, the most drifting first, as columns.",
        (
            FROM,
            TO,
            CURRENT_VERSION,
            WHOLE_SEGMENT,
            AT_MOST,
            Parameter("top", f"series at most; {TOP} unless told", form="count", most=MOST_TOP),
        ),
        times.drift,
        shapes.Drift,
    ),
    Route(
        "/models/{id}/distribution",
        "The values of a series in one window, beside the reference.",
        (
            Parameter("series", "such as `feature:income`", required=True),
            Parameter("window", "the end of the window; the newest unless told", form="time"),
            CURRENT_VERSION,
            WHOLE_SEGMENT,
        ),
        times.distribution,
        shapes.SeriesDistribution,
    ),
    Route(
        "/episodes",
        "Episodes as their latest alert tells them, the newest first.",
        (
            Parameter("status", "only such episodes", get_args(EpisodeStatus)),
            Parameter("kind", "only of this kind", get_args(Kind)),
            Parameter("severity", "only of this severity", SEVERITIES),
            MODEL,
            *PAGES,
        ),
        list_episodes,
        Alert,
        listed=True,
    ),
    Route("/episodes/{id}", "An episode with all its alerts.", (), get_episode, shapes.Episode),
    Route(
        "/triggers",
        "Retraining triggers as their latest status tells them, the newest first.",
        (Parameter("status", "only such triggers", get_args(TriggerStatus)), MODEL, *PAGES),
        list_triggers,
        Trigger,
        listed=True,
    ),
    Route("/triggers/{id}", "A trigger with all its statuses.", (), get_trigger, shapes.Request),
    Route(
        "/commands/{id}",
        "A command: pending, applied or refused.",
        (),
        get_command,
        shapes.CommandState,
    ),
    Route(
        "/silences",
        "Silences, the last to end first.",
        (Parameter("status", "only such silences", SILENCE_STATUSES), MODEL, *PAGES),
        list_silences,
        shapes.SilenceState,
        listed=True,
    ),
    Route(
        "/deliveries",
        "The last word about each episode at each receiver, the newest first.",
        (Parameter("receiver", "only to this receiver"), *PAGES),
        list_deliveries,
        deliveries.DeliveryDocument,
        listed=True,
    ),
    Route(
        "/dead-letters",
        "The newest dead letters: what was refused and why, never its content.",
        (
            Parameter("reason", "only of this reason, such as `not_json`"),
            Parameter("topic", "only from this topic"),
            *PAGES,
        ),
        list_dead_letters,
        shapes.DeadLetter,
        listed=True,
    ),
    Route(
        "/health",
        "How far control has read, how the other roles are, and what came in.",
        (),
        health,
        shapes.Health,
    ),
    Route(
        "/unregistered",
        "Models that nobody registered, by the events they sent.",
        PAGES,
        list_unregistered,
        shapes.UnregisteredModel,
        listed=True,
    ),
)
