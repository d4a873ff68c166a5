"""What do people ask of the read model, and what is the answer? Pure; the time of day is an argument."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from alerting.identity import rfc3339
from streams.views.judged import written
from streams.views.past import documents
from streams.views.places import NOTHING, Recalled
from streams.views.read import Built, Judged, ReadModel, Registered, Scoped, Story

Document = dict[str, Any]

STATES = ("healthy", "degraded", "down", "unknown", "retired")
SILENCE_WINDOWS = (
    3  # without a verdict for so many windows, and at least `SILENCE_MS`, nothing is known
)
SILENCE_MS = 10 * 60 * 1000
_SEVERITIES = ("info", "warning", "error", "critical")


@dataclass(frozen=True, slots=True)
class ModelView:
    """How a model is, and why we say so."""

    model_id: str
    name: str
    state: str
    because: str
    version: str
    registered: Registered | None
    reference: Built | None
    newest: Judged | None  # of the current version's inputs, segment all
    last_event_ms: int | None  # end of the newest window that had events
    open_episodes: tuple[Story, ...]  # worst first


def model_ids(read: ReadModel) -> list[str]:
    """Every model somebody registered or something was said about, by name."""
    return sorted({*read.lifecycles, *read.results, *read.episodes, *read.triggers})


def current_version(read: ReadModel, model_id: str) -> str:
    """The deployed version, or that of the file; without one that of the newest result; else nothing is known."""
    registered, deployed = read.lifecycles.get(model_id), read.deployments.get(model_id)
    if registered is not None:
        holds = deployed is not None and deployed.holds(registered.version)
        return deployed.version if deployed is not None and holds else registered.version
    newest = [history[-1] for history in read.results.get(model_id, {}).values()]
    return max(newest).subject.version if newest else ""


def model(read: ReadModel, model_id: str, now_ms: int) -> ModelView:
    """How one model is. Silence is never health: without recent verdicts its state is unknown."""
    registered = read.lifecycles.get(model_id)
    version = current_version(read, model_id)
    results = read.results.get(model_id, {})
    history = results.get(Scoped(model_id, version, "all", "inputs"))
    newest = history[-1] if history else None
    seen = [past.last_event_ms for past in results.values() if past.last_event_ms is not None]
    episodes = open_episodes(read, model_id)
    state, because = _state(read, model_id, registered, newest, episodes, now_ms)
    return ModelView(
        model_id=model_id,
        name=registered.name if registered else model_id,
        state=state,
        because=because,
        version=version,
        registered=registered,
        reference=_reference(read, model_id, version),
        newest=newest,
        last_event_ms=max(seen, default=None),
        open_episodes=episodes,
    )


def _reference(read: ReadModel, model_id: str, version: str) -> Built | None:
    """The one that a version was deployed with, or the newest: of the version, or of all."""
    references, deployed = read.references.get(model_id, {}), read.deployments.get(model_id)
    if deployed is not None and deployed.version == version and deployed.reference_id in references:
        return references[deployed.reference_id]
    own = (built for built in reversed(references.values()) if built.version == version)
    return next(own, None) or next(reversed(references.values()), None)


def _state(
    read: ReadModel,
    model_id: str,
    registered: Registered | None,
    newest: Judged | None,
    episodes: tuple[Story, ...],
    now_ms: int,
) -> tuple[str, str]:
    removed = model_id in read.lifecycles and registered is None
    if removed or (registered is not None and registered.retired):
        return "retired", "the lifecycle was removed" if removed else "the lifecycle says so"
    bad = [story for story in episodes if story.latest.severity != "info"]
    if any(story.kind == "operational" for story in bad):
        return "down", "an operational problem is open"
    if bad:
        return "degraded", f"{len(bad)} open {'problem' if len(bad) == 1 else 'problems'}"
    if newest is None:
        return "unknown", "no window of the current version has been judged yet"
    silent_ms = now_ms - newest.logged_ms
    limit_ms = max(SILENCE_MS, SILENCE_WINDOWS * (newest.end_ms - newest.start_ms))
    if silent_ms > limit_ms:
        return "unknown", f"no verdict for {silent_ms // 60_000} minutes"
    if newest.verdict == "insufficient":
        return "unknown", f"the last window says {newest.reason.replace('_', ' ')}"
    return "healthy", "the last window was judged and nothing is open"


def open_episodes(read: ReadModel, model_id: str | None = None) -> tuple[Story, ...]:
    """What is firing: worst first, whole models before their segments, then the longest open."""
    return tuple(sorted(stories(read.open_episodes, model_id), key=_urgency))


def _urgency(story: Story) -> tuple[int, bool, int, str]:
    return -_rank(story.latest.severity), story.segment != "all", story.since_ms, story.id


def _rank(severity: str) -> int:
    return _SEVERITIES.index(severity) if severity in _SEVERITIES else -1


def stories(
    by_model: Mapping[str, Mapping[str, Story]], model_id: str | None = None
) -> Iterator[Story]:
    """Episodes or triggers of one model, or of all."""
    if model_id is not None:
        yield from by_model.get(model_id, {}).values()
    else:
        for of_model in by_model.values():
            yield from of_model.values()


def story(by_model: Mapping[str, Mapping[str, Story]], wanted: str) -> Story | None:
    """The episode or trigger with this id."""
    return next((of_model[wanted] for of_model in by_model.values() if wanted in of_model), None)


def results(
    read: ReadModel,
    model_id: str,
    *,
    version: str | None = None,
    segment: str | None = None,
    scope: str | None = None,
    start_ms: int | None = None,
    end_ms: int | None = None,
) -> list[Judged]:
    """Results of windows that lie within ``[start_ms, end_ms]``, newest first; None means any."""
    found = [
        judged
        for subject, history in read.results.get(model_id, {}).items()
        if version in (None, subject.version)
        and segment in (None, subject.segment)
        and scope in (None, subject.scope)
        for judged in history
        if (start_ms is None or judged.start_ms >= start_ms)
        and (end_ms is None or judged.end_ms <= end_ms)
    ]
    return sorted(found, reverse=True)


def latest(read: ReadModel, model_id: str, version: str, segment: str) -> list[Judged]:
    """The newest result of each scope of one subject."""
    return [
        history[-1]
        for subject, history in sorted(read.results.get(model_id, {}).items())
        if subject.version == version and subject.segment == segment
    ]


def model_document(view: ModelView) -> Document:
    """One entry of the list of models."""
    registered, newest = view.registered, view.newest
    return {
        "model_id": view.model_id,
        "model_name": view.name,
        "state": view.state,
        "because": view.because,
        "current_version": view.version or None,
        "environment": registered.environment if registered else None,
        "owner": registered.owner if registered else None,
        "last_event": None if view.last_event_ms is None else rfc3339(view.last_event_ms),
        "last_window": None if newest is None else window_document(newest),
        "open_episodes": [story.id for story in view.open_episodes],
        "lifecycle_revision": registered.revision if registered else None,
        "reference_id": view.reference.reference_id if view.reference else None,
    }


def model_detail(read: ReadModel, view: ModelView) -> Document:
    """Everything about one model, its lifecycle included."""
    subjects = sorted(read.results.get(view.model_id, {}))
    return {
        **model_document(view),
        "versions": sorted({subject.version for subject in subjects} | ({view.version} - {""})),
        "segments": sorted({subject.segment for subject in subjects}),
        "references": [
            {
                "reference_id": built.reference_id,
                "model_version": built.version,
                "events": built.events,
                "end": None if built.end_ms is None else rfc3339(built.end_ms),
            }
            for built in read.references.get(view.model_id, {}).values()
        ],
        "lifecycle": view.registered.lifecycle if view.registered else None,
    }


def window_document(judged: Judged) -> Document:
    """Which window a result is about and what it concluded."""
    return {
        "result_id": judged.result_id,
        "start": rfc3339(judged.start_ms),
        "end": rfc3339(judged.end_ms),
        "events": judged.events,
        "verdict": judged.verdict,
        "reason": judged.reason,
    }


def result_documents(found: Sequence[Judged], recalled: Recalled) -> list[Document | msgspec.Raw]:
    """What the judge wrote of each window, byte for byte; of one that the log has lost, what is still known.

    Raises `Elsewhere` where a document must be `recalled` first, naming all of them.
    """
    return [
        _outline(judged) if value is None else msgspec.Raw(value)
        for judged, value in zip(found, written(found, recalled), strict=True)
    ]


def _outline(judged: Judged) -> Document:
    model_id, version, segment, scope = judged.subject
    return {
        "result_id": judged.result_id,
        "model_id": model_id,
        "model_version": version,
        "segment": segment,
        "scope": scope,
        "window": window_document(judged),
        "verdict": judged.verdict,
        "reason": judged.reason,
        "alarm": None,
        "metrics": {},
        "quality": {},
        "truncated": 0,
        "series": [],
        "notes": ["the document is no longer on the log"],
    }


def series_documents(judged: Iterable[Judged], recalled: Recalled = NOTHING) -> list[Document]:
    """The series of results, each with the window it was judged in, strongest first as in the result."""
    found = list(judged)
    return [
        {**series, "scope": one.subject.scope, "window": window_document(one)}
        for one, document in zip(found, documents(found, recalled), strict=True)
        if document is not None
        for series in document["series"]
    ]


def story_document(told: Story) -> Document:
    """An episode or a trigger with all that was published about it, oldest first."""
    return {**told.latest.document, "history": [event.document for event in told.history]}


def unregistered(read: ReadModel) -> list[Document]:
    """Models nobody registered, with the events they sent, most events first."""
    found = [
        {"model_id": name, "topic": topic, "events": events}
        for topic, source in read.intake.items()
        for name, events in source.unregistered.items()
    ]
    return sorted(found, key=lambda item: (-item["events"], item["topic"], item["model_id"]))


def intake_documents(read: ReadModel) -> list[Document]:
    """What came in on each source topic, and what of it could not be used."""
    return [
        {
            "topic": topic,
            "events": source.events,
            "dead_letters": source.dead_letters,
            "unregistered": sum(source.unregistered.values()),
        }
        for topic, source in sorted(read.intake.items())
    ]
