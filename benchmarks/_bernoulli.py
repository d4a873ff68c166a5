"""Labels of one model through profiler and judge, one label in every window: what its results and alerts say.

The stages are those of production and so is everything between them: label events are JSON as producers write them,
profiler and judge hand over encoded records. Only the log is missing, which adds nothing to what they conclude.
"""

import json
from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import NamedTuple

import msgspec
import numpy as np

from benchmarks._labels import REFERENCE_LABELS, Stream
from detectors.reference.build import Reference, build, to_document, with_outcomes
from detectors.samples.effects import Floats
from streams.broker import Batch, Outgoing, Partition, Record
from streams.judging.judge import Judge
from streams.lifecycle import Lifecycle, load
from streams.loop import FOREVER_MS
from streams.offline.known import known_outcomes
from streams.profiling.columns import columns
from streams.profiling.profiler import Profiler
from streams.registry import lifecycle_record, reference_record
from streams.topics import Names

NAMES = Names()
WINDOW_MS = 1_000  # pane and window: a label each
START_MS = 1_772_409_600_000  # 2026-03-02T00:00:00Z
CHUNK, SMALL = 5_000, 50  # labels between two commits; where an alarm ends the reading
_LABELS, _PREDICTIONS = NAMES("labels"), NAMES("predictions")


def lifecycle(a: int) -> Lifecycle:
    """Errors against the reference, nothing tolerated beyond it, one alarm expected in A labels at most.

    A model has one budget and two alarms for every subject, inputs and outcomes. With one subject each of both has
    half of it: 2 in A windows together are 1 in A windows of outcomes.
    """
    document = {
        "model_id": "bernoulli",
        "version": "1",
        "features": {"x": "number"},
        "prediction": {"classes": ["no", "yes"], "positive": "yes"},
        "source": {"labels": {}, "join": False},
        "monitoring": {
            "window": {"pane": "1s", "size": "1d", "lateness": "0s", "idle": "1m"},
            "data_quality": {"window": "1d"},
            "false_alarms": f"2 per {a}s",
            "drift_detection": {
                "concept_drift": {"method": ["performance_degradation"], "window": "1s"}
            },
        },
    }
    (one,) = load(json.dumps({"model_lifecycle": document}), "bernoulli.yaml")
    return one


def reference(of: Lifecycle, errors: int) -> Reference:
    """What `leeway baseline` makes of 10,000 labels of which so many are errors.

    They became known at once, so nothing is known of the dependence of windows and φ is 1, as in the library's
    benchmark; the results say so. Single labels would have φ 1.02, its upper bound from 10,000 of them.
    """
    some = [
        msgspec.json.encode(
            {"model_id": "bernoulli", "timestamp": START_MS - i, "features": {"x": i}}
        )
        for i in range(1, 101)
    ]
    read = columns(of, some)
    built, _ = build(
        read.columns,
        read.times_ms,
        reference_id="r1",
        model_id=of.model_id,
        model_version=of.version,
        source="seeded",
        window_ms=24 * 3_600_000,
    )
    wrong = np.arange(REFERENCE_LABELS) < errors
    known, _ = known_outcomes(of, built, events(wrong.astype(np.float64), -1, step_ms=0), list)
    assert known is not None  # they are whole
    return with_outcomes(built, known)


def events(errors: Floats, first: int, step_ms: int = WINDOW_MS) -> list[bytes]:
    """Labels as their producer writes them, each with what was predicted; the first is in window `first`."""
    at = START_MS + first * WINDOW_MS
    return [
        b'{"model_id":"bernoulli","model_version":"1","event_id":"%d","timestamp":%d,'
        b'"prediction":"%s","label":"%s"}'
        % (i, at + i * step_ms, b"no" if wrong else b"yes", b"yes")
        for i, wrong in enumerate(errors.tolist())
    ]


class Seen(NamedTuple):
    """What a result says of one window, by the number of its label."""

    label: int
    crossed: bool  # M has reached A
    verdict: str


class _Window(msgspec.Struct):
    start: str


class _Alarm(msgspec.Struct):
    log_statistic: float | None
    log_threshold: float


class _Result(msgspec.Struct):
    scope: str
    window: _Window
    verdict: str
    alarm: _Alarm | None


class _Alert(msgspec.Struct):
    kind: str
    change: str
    opened_at: str


_read_result = msgspec.json.Decoder(_Result).decode
_read_alert = msgspec.json.Decoder(_Alert).decode


class Service:
    """Profiler and judge of one model. The state that the judge keeps is all that goes from one process to the next."""

    def __init__(self, of: Lifecycle, known: Reference, kept: Sequence[Record] = ()) -> None:
        document = to_document(known)
        registered = (
            lifecycle_record(NAMES, of),
            reference_record(NAMES, of.model_id, known.reference_id, document),
        )
        self._models = [
            Record(r.topic, 0, i, None, r.key, r.value) for i, r in enumerate(registered)
        ]
        self._profiler, self._judge = Profiler(NAMES, 1, lambda topic: 1), Judge(NAMES, 1, ())
        for stage, topics in (
            (self._profiler, (_LABELS, _PREDICTIONS)),
            (self._judge, (NAMES("profiles"),)),
        ):
            stage.follow(self._models)
            for topic in topics:
                stage.gained(Partition(topic, 0), iter(kept))
        self._kept = {record.key: record for record in kept}
        self._offsets = {_LABELS: 0, NAMES("profiles"): 0}
        self.opened: list[str] = []  # when episodes of concept drift opened
        self._profiler.idle({Partition(_PREDICTIONS, 0): FOREVER_MS})

    @property
    def kept(self) -> list[Record]:
        """The state topic, compacted."""
        return list(self._kept.values())

    def feed(self, labels: Sequence[bytes]) -> list[Seen]:
        """Results of the windows that these labels close: the last one's is not over yet."""
        self._profiler.step(self._batch(_LABELS, labels))
        return self._go_on()

    def rest(self) -> list[Seen]:
        """Results of what is open when nothing comes any more."""
        silent = dict.fromkeys((Partition(_LABELS, 0), Partition(_PREDICTIONS, 0)), FOREVER_MS)
        self._profiler.idle(silent)
        return self._go_on()

    def _go_on(self) -> list[Seen]:
        profiles = [r.value for r in self._profiler.flush().records if r.topic == NAMES("profiles")]
        self._judge.step(self._batch(NAMES("profiles"), profiles))
        return list(self._heard(self._judge.flush().records))

    def _heard(self, records: Sequence[Outgoing]) -> Iterator[Seen]:
        results, alerts, state = NAMES("results"), NAMES("alerts"), NAMES("state")
        for record in records:
            if record.topic == results and record.value is not None:
                found = _read_result(record.value)
                if found.scope == "outcomes" and found.alarm is not None:
                    log = found.alarm.log_statistic
                    crossed = log is not None and log >= found.alarm.log_threshold
                    yield Seen(_label(found.window.start), crossed, found.verdict)
            elif record.topic == alerts and record.value is not None:
                alert = _read_alert(record.value)
                if (alert.kind, alert.change) == ("concept_drift", "opened"):
                    self.opened.append(alert.opened_at)
            elif record.topic == state and record.value is None:
                self._kept.pop(record.key, None)
            elif record.topic == state:
                self._kept[record.key] = Record(state, 0, 0, None, record.key, record.value)

    def _batch(self, topic: str, values: Sequence[bytes | None]) -> Batch:
        first = self._offsets[topic]
        self._offsets[topic] += len(values)
        offsets = list(range(first, first + len(values)))
        rows = [
            Record(topic, 0, offset, None, None, value)
            for offset, value in zip(offsets, values, strict=True)
        ]
        return Batch(
            topic, values, [0] * len(values), offsets, list(repeat(None, len(values))), rows
        )


class Half(NamedTuple):
    """The labels before the change."""

    false: tuple[int, ...]  # labels at which M reached A; from the next one on the model began anew
    opened: int  # episodes, where nothing begins anew
    kept: tuple[Record, ...]  # what the judge keeps of the model at the end
    known: Reference


class Heard(NamedTuple):
    """Labels from a change to the first alarm, and to the episode. One more than there are: none; None: no episode."""

    delay: int
    opened: int | None


def first_half(stream: Stream, a: int) -> Half:
    """Read the labels before the change; after every false alarm the rest of them once more, by a new model."""
    of = lifecycle(a)
    known = reference(of, stream.reference_errors)
    labels, false, began, opened = events(stream.before, 0), list[int](), 0, 0
    while True:
        service = Service(of, known)
        seen = list(_through(service, labels[began:]))
        opened = opened if began else len(service.opened)
        at = next((one.label for one in seen if one.crossed), None)
        if at is None:
            return Half(tuple(false), opened, tuple(service.kept), known)
        false.append(at)
        began = at + 1


def second_half(stream: Stream, a: int, half: Half, after: Floats) -> Heard:
    """Read the labels after a change until an episode opens, by a judge that was started anew."""
    service, first = Service(lifecycle(a), half.known, half.kept), len(stream.before)
    labels, delay = events(after, first), None
    for seen in _through(service, labels, size=SMALL):
        if delay is None and seen.crossed:
            delay = seen.label - first + 1
        if delay is not None and service.opened:
            break
    opened = _label(service.opened[0]) - first if service.opened else None  # at the window's end
    return Heard(delay or len(after) + 1, opened)


def _through(service: Service, labels: Sequence[bytes], size: int = CHUNK) -> Iterator[Seen]:
    for start in range(0, len(labels), size):
        yield from service.feed(labels[start : start + size])
    yield from service.rest()


def _label(start: str) -> int:
    at = np.datetime64(start.removesuffix("Z"), "ms").astype(np.int64)
    return (int(at) - START_MS) // WINDOW_MS
