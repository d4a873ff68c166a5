"""What has the judge said so far? Folds its records into the read model; no clock, no I/O.

Kafka may deliver a record again: Faust is at least once. A partition is a sequence that may jump back but never
forward, so a record below the position the model has reached was folded already and changes nothing. What the *log*
repeats (a judge that started over) overwrites what it said before, by id and sequence. Nothing increments but
numbers that cannot be had otherwise, and they only move with what is new.
"""

import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import msgspec

from alerting.deliver.items import Delivery, Key
from streams.broker import Partition, Record
from streams.errors import LeewayError
from streams.registry import Deployment
from streams.topics import Names
from streams.views.deliveries import decode, key_of
from streams.views.documents import (
    Alert,
    CloudEvent,
    Intake,
    Result,
    Source,
    Trigger,
    epoch_ms,
)
from streams.views.judged import Judged as Judged
from streams.views.judged import Scoped as Scoped
from streams.views.ledger import Ledger, is_outcome
from streams.views.past import KEPT_MS
from streams.views.pasts import Pasts
from streams.views.registered import Built as Built
from streams.views.registered import Registered as Registered
from streams.views.registered import built, registered
from streams.views.rejected import Rejected

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
_NEWS = {
    "models": "model",
    "results": "result",
    "alerts": "alert",
    "retraining": "trigger",
    "deliveries": "delivery",
    "commands": "command",
    "dead-letters": "dead-letter",
}
T = TypeVar("T")
ENDED = frozenset(("resolved", "rejected", "cancelled", "completed", "failed"))


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


class ReadModel:
    """Everything control knows; what it holds is replaced, never changed, so a page may keep what it was given.

    `kept_ms`: how much of every subject's past, in event time before its newest window.
    """

    def __init__(self, names: Names, *, kept_ms: int = KEPT_MS) -> None:
        self._pasts = Pasts(kept_ms)
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
        self._news = {names(topic): kind for topic, kind in _NEWS.items()}
        self._state_topic = names("state")
        self.topics = tuple(self._folds)
        self.positions: dict[Partition, int] = {}  # next offset to fold
        self.unreadable: dict[str, dict[str, int]] = {}  # topic -> kind of error -> records
        self.lifecycles: dict[str, Registered | None] = {}  # None: removed
        self.references: dict[str, dict[str, Built]] = {}  # by model; the newest last
        self.deployments: dict[str, Deployment] = {}  # the last of each model
        self.whole = self._pasts.whole  # documents of the newest windows
        self.results = self._pasts.by_model  # by model; oldest window first
        self.episodes: dict[str, dict[str, Story]] = {}  # by model, then by id
        self.open_episodes: dict[
            str, dict[str, Story]
        ] = {}  # those of `episodes` that have not ended
        self.triggers: dict[str, dict[str, Story]] = {}
        self.deliveries: dict[Key, Delivery] = {}  # the last word about each
        self.commands = Ledger()
        self.rejected = Rejected()
        self.on_change: Callable[[str, str], None] | None = (
            None  # told the kind of news and the model
        )
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
        if self.on_change is not None and record.topic in self._news:
            self.on_change(*self._said(record))
        return None

    def _said(self, record: Record) -> tuple[str, str]:
        """What kind of news a record is, and of which model."""
        kind, key = self._news[record.topic], (record.key or b"").decode("utf-8", "replace")
        if kind == "model":
            key = key.partition("|")[2].partition("|")[0]
        elif kind == "delivery":
            known = self.deliveries.get(key_of(record.key or b""))
            key = "" if known is None else known.model_id
        elif kind == "dead-letter":
            key = ""  # the key of the origin
        elif kind == "result" and is_outcome(record):
            kind = "command"
        return kind, key

    @property
    def intake(self) -> Mapping[str, Source]:
        """By source topic. Every judge partition has its own copy of the same facts: the newest speaks for all."""
        newest = max(self.intakes, key=lambda p: (self.intakes[p][0], -p), default=None)
        return {} if newest is None else self.intakes[newest][1]

    def reference_document(self, model_id: str, reference_id: str) -> Any:
        """A reference as `Built.reference` has it, as plain data; None: it is not known.

        Edges and categories may be personal data: `streams.views.distribution` knows of which features.
        """
        built = self.references.get(model_id, {}).get(reference_id)
        return None if built is None else msgspec.to_builtins(built.reference)

    def _registration(self, record: Record) -> None:
        what, _, rest = (record.key or b"").decode().partition("|")
        if what == "lifecycle":
            self.lifecycles[rest] = None if record.value is None else registered(record.value)
        elif what == "deployment":
            self.deployments.pop(rest, None)
            if record.value is not None:
                self.deployments[rest] = msgspec.json.decode(record.value, type=Deployment)
        elif what == "reference":
            model_id, _, reference_id = rest.partition("|")
            place = Partition(record.topic, record.partition), record.offset
            found = None if record.value is None else built(record.value, place)
            others = dict(self.references.get(model_id, {}))
            others.pop(reference_id, None)  # written again: it is the newest now
            self.references[model_id] = others if found is None else others | {reference_id: found}

    def _result(self, record: Record) -> None:
        if self.commands.hear(record):
            return
        value = document_of(record)
        found = msgspec.json.decode(value, type=Result)
        subject, end_ms = self._pasts.put(record, found, value), epoch_ms(found.window.end)
        if end_ms > self._judged_to.get(subject, -1):
            self._judged_to[subject] = end_ms
            self.judged[subject.model_id, found.verdict] += 1

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
        still = self.open_episodes.setdefault(model.id, {})
        still.pop(found.episode_id, None)
        whole = self.episodes[model.id][found.episode_id]
        if not whole.ended:
            still[found.episode_id] = whole

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
