"""What has the judge said so far? Folds its records into the read model; no clock, no I/O.

Kafka may deliver a record again: Faust is at least once. A partition is a sequence that may jump back but never
forward, so a record below the position the model has reached was folded already and changes nothing. What the *log*
repeats (a judge that started over) overwrites what it said before, by id and sequence. Nothing increments but
numbers that cannot be had otherwise, and they only move with what is new.
"""

import zlib
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeVar

import msgspec

from alerting.deliver.items import Delivery, Key
from streams.broker import Partition, Record
from streams.errors import LeewayError
from streams.lifecycle import from_json
from streams.registry import Deployment
from streams.topics import Names
from streams.views.deliveries import decode, key_of
from streams.views.documents import (
    Alert,
    CloudEvent,
    Intake,
    LifecycleRecord,
    Reference,
    Result,
    Series,
    Source,
    Trigger,
    epoch_ms,
)
from streams.views.ledger import Ledger
from streams.views.rejected import Rejected

HISTORY = 200  # results kept of each subject and scope
STORIES = 500  # episodes, and triggers, kept of each model; those still open beyond that
INTAKE_KEY = b"-|-|-|intake"
_UNREADABLE = (
    msgspec.MsgspecError,
    LeewayError,
    ValueError,
    LookupError,
    OverflowError,
    RecursionError,
)
T = TypeVar("T")
ENDED = frozenset(("resolved", "rejected", "cancelled", "completed", "failed"))


class Scoped(NamedTuple):
    """What one line of results is about."""

    model_id: str
    version: str
    segment: str
    scope: str


@dataclass(frozen=True, slots=True, order=True)
class Judged:
    """One result: what lists, pages and metrics need of it, and the document itself, compressed."""

    end_ms: int
    start_ms: int
    result_id: str
    subject: Scoped
    events: int = field(compare=False)
    verdict: str = field(compare=False)
    reason: str = field(compare=False)
    log_statistic: float | None = field(compare=False)
    log_threshold: float | None = field(compare=False)
    effects: Mapping[str, float] = field(compare=False)  # kind -> largest effect over its floor
    logged_ms: int = field(compare=False)  # when it was written, by the log's clock
    packed: bytes = field(compare=False, repr=False)

    @property
    def document(self) -> Any:
        return msgspec.json.decode(zlib.decompress(self.packed))

    @property
    def alarm_ratio(self) -> float | None:
        """The alarm's log statistic over its log threshold; it fires at 1. None: there is no alarm."""
        if not self.log_threshold:
            return None
        return max(self.log_statistic or 0.0, 0.0) / self.log_threshold

    @property
    def series(self) -> list[Series]:
        return msgspec.json.decode(zlib.decompress(self.packed), type=Result).series


@dataclass(frozen=True, slots=True)
class Told:
    """One event of an episode or a trigger, as it was published."""

    at_ms: int
    word: str  # the change of an alert, the status of a trigger
    status: str
    severity: str  # of an alert; empty for a trigger
    packed: bytes = field(repr=False)

    @property
    def document(self) -> Any:
        return msgspec.json.decode(zlib.decompress(self.packed))

    def read_as(self, kind: type[T]) -> T:
        """The document as one of `streams.views.documents`."""
        return msgspec.json.decode(zlib.decompress(self.packed), type=kind)


@dataclass(frozen=True, slots=True)
class Story:
    """An episode or a trigger: everything published about it, by sequence."""

    id: str
    model_id: str
    version: str
    segment: str  # of an episode; empty for a trigger
    kind: str  # of an episode; of a trigger the code of its reason
    opened_ms: int | None  # of an episode, even if its first alert is no longer on the log
    told: Mapping[int, Told]

    @property
    def history(self) -> tuple[Told, ...]:
        return tuple(self.told[sequence] for sequence in sorted(self.told))

    @property
    def since_ms(self) -> int:
        return self.told[min(self.told)].at_ms if self.opened_ms is None else self.opened_ms

    @property
    def latest(self) -> Told:
        return self.told[max(self.told)]

    @property
    def ended(self) -> bool:
        return self.latest.status in ENDED


@dataclass(frozen=True, slots=True)
class Registered:
    """A model's lifecycle as it is on the log."""

    revision: str
    name: str
    version: str
    owner: str | None
    environment: str
    retired: bool
    document: bytes = field(repr=False)

    @property
    def lifecycle(self) -> Any:
        """The normalised file."""
        return msgspec.json.decode(self.document)["model_lifecycle"]


@dataclass(frozen=True, slots=True)
class Built:
    """A reference as it is on the log; `end_ms` None: its data had no times."""

    reference_id: str
    version: str
    events: int
    end_ms: int | None


class ReadModel:
    """Everything control knows; what it holds is replaced, never changed, so a page may keep what it was given."""

    def __init__(self, names: Names) -> None:
        self._folds: dict[str, Callable[[Record], None]] = {
            names("models"): self._registration,
            names("state"): self._state,
            names("results"): self._result,
            names("alerts"): self._alert,
            names("retraining"): self._trigger,
            names("deliveries"): self._delivery,
            names("commands"): self._command,
            names("dead-letters"): self._dead_letter,
        }
        self._state_topic = names("state")
        self.topics = tuple(self._folds)
        self.positions: dict[Partition, int] = {}  # next offset to fold
        self.unreadable: dict[str, dict[str, int]] = {}  # topic -> kind of error -> records
        self.lifecycles: dict[str, Registered | None] = {}  # None: removed
        self.references: dict[str, dict[str, Built]] = {}  # by model; the newest last
        self.deployments: dict[str, Deployment] = {}  # the last of each model
        self.results: dict[str, dict[Scoped, list[Judged]]] = {}  # by model; oldest window first
        self.episodes: dict[str, dict[str, Story]] = {}  # by model, then by id
        self.triggers: dict[str, dict[str, Story]] = {}
        self.deliveries: dict[Key, Delivery] = {}  # the last word about each
        self.commands = Ledger()
        self.rejected = Rejected()
        self.on_change: Callable[[str, str], None] | None = None  # told the kind of news and the model
        self.intakes: dict[int, tuple[int, Mapping[str, Source]]] = {}  # by state partition
        self.judged: Counter[tuple[str, str]] = Counter()  # (model, verdict) -> windows
        self.forgotten_alerts: Counter[tuple[str, str, str]] = Counter()  # (kind, severity, change)
        self.forgotten_transitions: Counter[tuple[str, str]] = Counter()  # (model, status)
        self.suppressed: Counter[str] = Counter()  # reason -> alerts that nobody was told
        self._judged_to: dict[Scoped, int] = {}

    def wanted(self, topic: str, key: bytes | None) -> bool:
        """Whether a record is worth decoding: of `leeway.state` only intake is."""
        return topic != self._state_topic or key == INTAKE_KEY

    def position(self, partition: Partition) -> int:
        """Next offset to fold; 0 if nothing of the partition has been seen."""
        return self.positions.get(partition, 0)

    def fold(self, record: Record) -> str | None:
        """Fold one record in.

        Returns
        -------
        str or None
            The kind of error of a record that cannot be read: it is counted and changes nothing else.
        """
        partition = Partition(record.topic, record.partition)
        if record.offset < self.position(partition):
            return None
        self.positions[partition] = record.offset + 1
        if not self.wanted(record.topic, record.key):
            return None
        try:
            self._folds[record.topic](record)
        except _UNREADABLE as error:
            kind = type(error).__name__
            of_topic = self.unreadable.get(record.topic, {})
            self.unreadable[record.topic] = of_topic | {kind: of_topic.get(kind, 0) + 1}
            return kind
        return None

    @property
    def intake(self) -> Mapping[str, Source]:
        """By source topic. Every judge partition has its own copy of the same facts: the newest speaks for all."""
        newest = max(self.intakes, key=lambda p: (self.intakes[p][0], -p), default=None)
        return {} if newest is None else self.intakes[newest][1]

    def _registration(self, record: Record) -> None:
        what, _, rest = (record.key or b"").decode().partition("|")
        if what == "lifecycle":
            self.lifecycles[rest] = None if record.value is None else _registered(record.value)
        elif what == "deployment":
            self.deployments.pop(rest, None)
            if record.value is not None:
                self.deployments[rest] = msgspec.json.decode(record.value, type=Deployment)
        elif what == "reference":
            model_id, _, reference_id = rest.partition("|")
            found = None if record.value is None else _built(record.value)
            others = dict(self.references.get(model_id, {}))
            others.pop(reference_id, None)  # written again: it is the newest now
            self.references[model_id] = others if found is None else others | {reference_id: found}

    def _result(self, record: Record) -> None:
        if self.commands.hear(record):
            return
        value = document_of(record)
        found = msgspec.json.decode(value, type=Result)
        subject = Scoped(found.model_id, found.model_version, found.segment, found.scope)
        judged = Judged(
            end_ms=epoch_ms(found.window.end),
            start_ms=epoch_ms(found.window.start),
            result_id=found.result_id,
            subject=subject,
            events=found.window.events,
            verdict=found.verdict,
            reason=found.reason,
            log_statistic=found.alarm.log_statistic if found.alarm else None,
            log_threshold=found.alarm.log_threshold if found.alarm else None,
            effects=_effects(found.series),
            logged_ms=record.timestamp_ms or 0,
            packed=zlib.compress(value, 1),
        )
        history = self.results.setdefault(subject.model_id, {}).setdefault(subject, [])
        at = bisect_left(history, judged)
        if at < len(history) and history[at] == judged:
            history[at] = judged
        else:
            insort(history, judged)
            del history[:-HISTORY]
        if judged.end_ms > self._judged_to.get(subject, -1):
            self._judged_to[subject] = judged.end_ms
            self.judged[subject.model_id, judged.verdict] += 1

    def _alert(self, record: Record) -> None:
        value = document_of(record)
        found = msgspec.json.decode(value, type=Alert)
        told = Told(
            at_ms=epoch_ms(found.at),
            word=found.change,
            status=found.status,
            severity=found.severity,
            packed=zlib.compress(value, 1),
        )
        model = found.model
        story = Story(
            id=found.episode_id,
            model_id=model.id,
            version=model.version,
            segment=found.segment,
            kind=found.kind,
            opened_ms=epoch_ms(found.opened_at),
            told={found.sequence: told},
        )
        before = self.episodes.get(model.id, {}).get(found.episode_id)
        reason = found.delivery.reason
        if reason is not None and (before is None or found.sequence not in before.told):
            self.suppressed[reason] += 1
        for event, old in _tell(self.episodes, story):
            self.forgotten_alerts[old.kind, event.severity, event.word] += 1

    def _trigger(self, record: Record) -> None:
        value = document_of(record)
        found = msgspec.json.decode(value, type=Trigger)
        status, model = found.status, found.model
        told = Told(
            at_ms=epoch_ms(status.at),
            word=status.name,
            status=status.name,
            severity="",
            packed=zlib.compress(value, 1),
        )
        story = Story(
            id=found.trigger_id,
            model_id=model.id,
            version=model.version,
            segment="",
            kind=found.reason.code,
            opened_ms=None,
            told={status.sequence: told},
        )
        for event, old in _tell(self.triggers, story):
            self.forgotten_transitions[old.model_id, event.word] += 1

    def _command(self, record: Record) -> None:
        self.commands.give(record)

    def _dead_letter(self, record: Record) -> None:
        self.rejected.fold(record)

    def _delivery(self, record: Record) -> None:
        key = key_of(record.key or b"")
        if record.value is None:
            self.deliveries.pop(key, None)
            return
        found, known = decode(record.value), self.deliveries.get(key)
        # a control that slept through its session may speak too late: what is final stays
        again = known is not None and found.sequence == known.sequence and found.final
        if known is None or again or not known.covers(found.sequence):
            self.deliveries[key] = found

    def _state(self, record: Record) -> None:
        if record.value is not None:
            found = msgspec.json.decode(record.value, type=Intake)
            self.intakes[record.partition] = (epoch_ms(found.as_of), found.data.sources)


def _tell(stories: dict[str, dict[str, Story]], news: Story) -> list[tuple[Told, Story]]:
    """Add an event to its story; the oldest stories that ended are dropped, so that memory has a bound."""
    of_model = stories.setdefault(news.model_id, {})
    before = of_model.get(news.id)
    of_model[news.id] = _merged(before, news)
    if len(of_model) <= STORIES:
        return []
    ended = [story for story in of_model.values() if story.ended and story.id != news.id]
    oldest = sorted(ended, key=lambda story: (story.since_ms, story.id))
    dropped: list[tuple[Told, Story]] = []
    for story in oldest[: len(of_model) - STORIES]:
        del of_model[story.id]
        dropped.extend((event, story) for event in story.history)
    return dropped


def _merged(before: Story | None, news: Story) -> Story:
    if before is None:
        return news
    told = {**before.told, **news.told}
    return replace(news, told=told)


def _header(record: Record, name: str) -> bytes | None:
    return next((value for key, value in record.headers if key == name), None)


def document_of(record: Record) -> bytes:
    """The document of a record, in binary or structured mode."""
    if record.value is None:
        raise ValueError("no value")
    if (_header(record, "content-type") or b"").startswith(b"application/cloudevents+json"):
        return bytes(msgspec.json.decode(record.value, type=CloudEvent).data)
    return record.value


def _registered(value: bytes) -> Registered:
    document = bytes(msgspec.json.decode(value, type=LifecycleRecord).lifecycle)
    lifecycle = from_json(document)
    return Registered(
        revision=lifecycle.revision,
        name=lifecycle.model_name,
        version=lifecycle.version,
        owner=lifecycle.metadata.owner,
        environment=lifecycle.deployment.environment,
        retired=lifecycle.retirement.status == "Retired",
        document=document,
    )


def _built(value: bytes) -> Built:
    found = msgspec.json.decode(value, type=Reference)
    built = found.built_from
    end_ms = None if built.end is None else epoch_ms(built.end)
    return Built(found.reference_id, found.model_version, built.events, end_ms)


def _effects(series: list[Series]) -> dict[str, float]:
    """Per kind, the largest effect in units of the smallest one that matters."""
    found: dict[str, float] = {}
    for one in series:
        if one.effect is not None and one.effect.floor > 0:
            kind = "data_drift" if ":" in one.series else "prediction_drift"
            found[kind] = max(found.get(kind, 0.0), abs(one.effect.value) / one.effect.floor)
    return found
