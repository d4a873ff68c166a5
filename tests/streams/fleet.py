"""A month of many models as it lies on the log: the records, in the order in which they were written."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from heapq import merge
from typing import NamedTuple
from zlib import crc32

import numpy as np

from alerting.deliver.items import Delivery
from alerting.identity import rfc3339
from detectors.reference.document import to_document
from streams.broker import Record
from streams.lifecycle import load
from streams.messages import encode_json
from streams.profiling.dead_letters import dead_letter
from streams.profiling.events import DeadLetter
from streams.registry import lifecycle_record
from streams.topics import TOPICS, Names
from streams.views import deliveries
from streams.views.rejected import MARK
from tests.streams.month import DAY_MS, HOUR_MS, Drawn, Model, results
from tests.streams.month_of_problems import OUTCOMES, problems

NAMES = Names()
PARTITIONS = 4  # of topics that have no number of their own
_PARTITIONS = {topic.name: topic.partitions or PARTITIONS for topic in TOPICS}
_REFUSED = (
    (NAMES("predictions"), "not_json", "it is no JSON"),
    (NAMES("predictions"), "timestamp_zone", "timestamp: no offset in '2026-03-02T07:00:00'"),
    (NAMES("predictions"), "timestamp_zone", "timestamp: no offset in '2026-03-02T08:00:00'"),
    (NAMES("labels"), "label_incomplete", "neither label nor loss"),
    (NAMES("labels"), "timestamp_missing", "timestamp: expected a time, found nothing"),
)


class Written(NamedTuple):
    """One record before it has a place."""

    at_ms: int
    topic: str
    key: str
    value: bytes | None
    kind: str = ""  # `ce_type`
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True)
class Fleet:
    """Size of what is made; `now_ms`: where the last hour ends; `alike`: quiet days are all the same, made once."""

    models: int
    features: int
    days: int
    now_ms: int
    segments: tuple[str, ...] = ()
    seed: int = 7
    alike: bool = False

    @cached_property
    def made(self) -> tuple[Model, ...]:
        """The models."""
        return tuple(
            Model(k, self.features, self.days, self.segments, self.seed, self.now_ms)
            for k in range(self.models)
        )

    def written(self) -> Iterator[Written]:
        """Everything, by the time at which it was written."""
        yield from self._registered()
        yield from merge(self._judged(), self._told(), self._taken(), key=lambda one: one.at_ms)

    def _registered(self) -> Iterator[Written]:
        at = self.now_ms - self.days * DAY_MS
        for model in self.made:
            (loaded,) = load(json.dumps({"model_lifecycle": model.registered}), f"{model.id}.yaml")
            document = lifecycle_record(NAMES, loaded).value or b""
            yield Written(at, "models", f"lifecycle|{model.id}", document)
            if model.story.name != "registered":
                found = model.reference
                key = f"reference|{model.id}|{found.reference_id}"
                yield Written(at, "models", key, json.dumps(to_document(found)).encode())

    def _judged(self) -> Iterator[Written]:
        rngs = [np.random.default_rng([self.seed, model.place, 1]) for model in self.made]
        drawn: Drawn | None = {} if self.alike else None
        for left in range(24 * self.days, 0, -1):
            at = self.now_ms - (left - 1) * HOUR_MS
            for model, rng in zip(self.made, rngs, strict=True):
                for result in results(model, left, rng, drawn):
                    yield Written(at, "results", model.id, encode_json(result), "leeway.result.v1")

    def _told(self) -> Iterator[Written]:
        found = []
        for model in self.made:
            for topic, key, document, at in problems(model):
                if isinstance(document, Delivery):
                    _, value = deliveries.encode(document)
                else:
                    value = encode_json(document)
                if topic == OUTCOMES:
                    found.append(Written(at, "results", key, value, "leeway.command.v1"))
                else:
                    found.append(Written(at, topic, key, value))
        return iter(sorted(found, key=lambda one: one.at_ms))

    def _taken(self) -> Iterator[Written]:
        """What could not be used of what came in: dead letters, one of them re-submitted, and strangers."""
        source = NAMES("predictions")
        begins = self.now_ms - 5 * HOUR_MS
        for k, (topic, reason, message) in enumerate(_REFUSED):
            origin = Record(topic, k % 3, 100 + k, begins, b"m", b'{"timestamp": "yesterday"}')
            out = dead_letter(NAMES, DeadLetter(origin, reason, message))
            at = begins + k * HOUR_MS // 4
            yield Written(at, "dead-letters", "m", out.value, headers=out.headers)
        again = ((MARK, f"{source}/0/100".encode()),)
        yield Written(begins + 2 * HOUR_MS, "dead-letters", "m", None, headers=again)
        came = {
            "events": 3_600 * 24 * self.days * len(self.made),
            "dead_letters": {"not_json": 1, "timestamp_zone": 2},
            "unregistered": {"a-stranger": 412, "old-model": 7},
        }
        intake = {
            "format": 1,
            "part": "intake",
            "as_of": rfc3339(self.now_ms),
            "data": {"sources": {source: came, NAMES("labels"): {"events": 12_000}}},
        }
        yield Written(self.now_ms, "state", "-|-|-|intake", encode_json(intake))


def records(fleet: Fleet) -> Iterator[Record]:
    """The records of a fleet with their places, as if one writer had written them all."""
    ends: dict[tuple[str, int], int] = {}
    for one in fleet.written():
        key = one.key.encode()
        partition = crc32(key) % _PARTITIONS[one.topic]
        offset = ends.get((one.topic, partition), 0)
        ends[one.topic, partition] = offset + 1
        yield Record(NAMES(one.topic), partition, offset, one.at_ms, key, one.value, headers(one))


def headers(one: Written) -> tuple[tuple[str, bytes], ...]:
    """What a record carries beside its value."""
    if one.headers:
        return one.headers
    found = (("content-type", b"application/json"),)
    return (*found, ("ce_type", one.kind.encode())) if one.kind else found
