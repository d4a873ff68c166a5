"""What of an event does the joiner need? A prediction's id and time, the rest once it has a label; a label's truth.

Values are passed on as the JSON they came in: what is wrong with one of them is found and counted by the profiler,
which reads the outcome. So are dead letters: what cannot be read here is left out without a word.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple, get_args

import msgspec

from detectors.series import SeriesType
from streams.broker import Batch, Record
from streams.joining.records import Said
from streams.lifecycle import Lifecycle
from streams.lifecycle.paths import Const, Path
from streams.lifecycle.sources import Source
from streams.profiling.events import Topic
from streams.profiling.fields import ANSWERED
from streams.profiling.reading import PREDICTIONS, Reading
from streams.profiling.structs import Want
from streams.profiling.wire import parse
from streams.topics import Names

_json = msgspec.json.Encoder().encode
_OUTPUTS = ("prediction", "score", "scores")
_OTHERS = ("loss", *_OUTPUTS)
_NULL = b"null"


class Read(NamedTuple):
    """What a batch of one partition brought: times and offsets of everything that could be read, and what is joined."""

    first: int  # the offset it begins with
    times_ms: list[int]
    offsets: list[int]
    at: list[int]  # which of these each of the rest is
    keys: list[bytes]
    rows: list[Any]  # predictions: (model id, what is kept of it); labels: (models, said)


class PredictionReading(Reading):
    """How one lifecycle reads the predictions that wait for their labels: whose they are, and when they were made.

    The rest is left in the event, for most predictions never get a label. `kept` is what waits in its place, and
    `members` what an outcome takes from that.

    Parameters
    ----------
    sliced : features whose errors are told apart, so that outcomes must have them
    """

    def __init__(self, lifecycle: Lifecycle, names: Names, sliced: Sequence[str]) -> None:
        super().__init__(lifecycle, PREDICTIONS, names, {})
        #: the id of an event; None where there is none
        self.event_id: Callable[[Any], str | None] = self.attribute.get("event_id", _nothing)
        self._outputs = _Outputs(lifecycle, names, sliced)

    def _wanted(self, lifecycle: Lifecycle, types: Mapping[str, str]) -> Iterator[Want]:
        yield from self._special("timestamp", "time")
        yield from self._special("event_id", "id")

    def kept(self, batch: Batch, index: int, time_ms: int) -> bytes:
        """A record as it waits for its label."""
        if self._outputs.of_value:
            return batch.values[index] or b""
        return self._outputs.members(batch.rows[index], time_ms)

    def members(self, kept: bytes, time_ms: int) -> bytes:
        """The members of outcomes that are the prediction's, as JSON without the brackets."""
        if not self._outputs.of_value:
            return kept
        return self._outputs.members(Record(self.topic, 0, 0, None, None, kept), time_ms)


class _Outputs(Reading):
    """How one lifecycle reads what outcomes repeat of a prediction. `of_value`: all of it is in the record's value."""

    def __init__(self, lifecycle: Lifecycle, names: Names, sliced: Sequence[str]) -> None:
        self._sliced = sliced
        super().__init__(lifecycle, PREDICTIONS, names, {})
        self.of_value = not any(str(want.path[0]).startswith("$") for want in self.wants)
        has = self.attribute
        tags = [name for name in has if name.startswith("segment:")]
        features = [name for name in has if name.startswith("feature:")]
        mapped = {name: self._mapped(name) for name in _OUTPUTS}
        constant = {
            name: msgspec.Raw(_json(of.value))
            for name, of in mapped.items()
            if isinstance(of, Const)
        }
        self._constant: tuple[Any, ...] = tuple(constant.values())
        outputs = [name for name in _OUTPUTS if name in has]
        self._widths = tuple(accumulate([2 + len(outputs), len(tags), len(features)]))
        self._take = _getter(self, ("model_version", "status", *outputs, *tags, *features))
        self._tags = _object("Tags", tags)
        self._features = _object("Features", features)
        fixed = ["model_version", "prediction_timestamp"]
        self._content = _object("Content", [*fixed, *outputs, "tags", "features", *constant])
        self._decode = msgspec.json.Decoder(self.struct).decode if self.fast else None

    def _wanted(self, lifecycle: Lifecycle, types: Mapping[str, str]) -> Iterator[Want]:
        yield from self._special("model_version", "version")
        yield from self._special("status", "status")
        for name in _OUTPUTS:
            yield from self._special(name, "json")
        for segment in self.segments:
            if not segment.by:
                yield Want(f"segment:{segment.name}", self._segment_path(segment), "json")
        root = self._mapped("features")
        for name in self._sliced:
            path = lifecycle.features[name].path
            if path is not None:
                yield Want(f"feature:{name}", path, "json")
            elif not isinstance(root, Const):
                yield Want(f"feature:{name}", (*root, name), "json")

    def members(self, record: Record, time_ms: int) -> bytes:
        """As JSON without the brackets, of a record that could be read before."""
        event = self._event(record)
        outputs, tags, features = self._widths
        values = self._take(event)
        said, constant = values[2:outputs], self._constant
        if values[1] not in ANSWERED:
            said, constant = (None,) * len(said), (None,) * len(constant)
        content = self._content(
            self.version(values[0]),
            time_ms,
            *said,
            self._tags(*values[outputs:tags]) if tags > outputs else None,
            self._features(*values[tags:]) if features > tags else None,
            *constant,
        )
        return _json(content)[1:-1]

    def _event(self, record: Record) -> Any:
        if self._decode is not None:
            try:
                return self._decode(record.value or b"")
            except (msgspec.MsgspecError, RecursionError):
                pass  # some field is not what it should be: which one, the careful way finds
        event, _ = self.read(parse(record.value), record)
        return event


class LabelReading(Reading):
    """How lifecycles of one mapping read labels that have to be joined; those that need not be are the profiler's."""

    def __init__(self, lifecycles: Sequence[Lifecycle], names: Names) -> None:
        self.models = tuple(lifecycle.model_id for lifecycle in lifecycles)
        self._positives = {
            one.model_id: one.prediction.positive if one.prediction else None for one in lifecycles
        }
        super().__init__(lifecycles[0], "labels", names, {})
        self._named = "model_id" in self.attribute
        #: by what an event has for a model id: without one it may be any
        self._models: dict[bytes, tuple[str, ...]] = {
            _json(model_id): (model_id,) for model_id in self.models
        }
        self._models[b""] = self.models
        mapped = {name: self._mapped(name) for name in ("label", "label_confidence", *_OTHERS)}
        self._constants = {
            name: _json(of.value)
            for name, of in mapped.items()
            if isinstance(of, Const) and of.value is not None
        }
        self._take = _getter(self, ("event_id", "label", "model_id", "label_confidence", *_OTHERS))

    def _source(self, lifecycle: Lifecycle, kind: str) -> Source | None:
        return lifecycle.source.labels

    def _mapped(self, name: str) -> Path | Const:
        mapped = super()._mapped(name)
        return Const(None) if name == "model_id" and not isinstance(mapped, Const) else mapped

    def _wanted(self, lifecycle: Lifecycle, types: Mapping[str, str]) -> Iterator[Want]:
        yield from self._special("timestamp", "time")
        yield from self._special("event_id", "id")
        for name in ("label", "label_confidence", *_OTHERS):
            yield from self._special(name, "json")
        model_id = super()._mapped("model_id")
        if not isinstance(model_id, Const):
            yield Want("model_id", model_id, "json")

    def label(self, event: Any) -> tuple[str, tuple[str, ...], Said] | None:
        """The id, the models it may be of, and the truth; None if it is not for the joiner."""
        event_id, label, model_id, confidence, *others = self._take(event)
        if event_id is None:
            return None
        models = self._models_of(model_id) if self._named else self.models
        text = self._text("label", label)
        if not text or not models:
            return None
        if (self._constants or any(others)) and self._whole(model_id, models, others):
            return None
        return event_id, models, Said(text, self._text("label_confidence", confidence))

    def _models_of(self, written: Any) -> tuple[str, ...]:
        text = self._text("model_id", written)
        return self._models.get(text) or self._read_models(text)

    def _read_models(self, text: bytes) -> tuple[str, ...]:
        model_id = _read(text)
        return (model_id,) if model_id in self.models else ()

    def _whole(self, model_id: Any, models: tuple[str, ...], others: Sequence[Any]) -> bool:
        """Whether it says what was predicted, so that it needs no prediction."""
        if self._named and not self._text("model_id", model_id):
            return False
        loss, prediction, score, scores = map(self._text, _OTHERS, others)
        if loss or prediction or score:
            return True
        positive = self._positives[models[0]]
        if positive is None or not scores:
            return False
        found = _read(scores)
        return isinstance(found, dict) and found.get(positive) is not None

    def _text(self, name: str, raw: Any) -> bytes:
        """A member's JSON; empty if it is null or not there."""
        if raw is None:
            return self._constants.get(name, b"")
        text = bytes(raw)
        return b"" if text == _NULL else text


def sliced(lifecycle: Lifecycle) -> tuple[str, ...]:
    """The features that outcomes must have: errors are told apart by them, if not now then by a later reference."""
    return tuple(
        name
        for name, feature in lifecycle.features.items()
        if feature.from_ == PREDICTIONS and feature.type in get_args(SeriesType)
    )


def read_predictions(topic: Topic, batch: Batch) -> dict[int, Read]:
    """Predictions by partition."""
    found: dict[int, Read] = {}
    for number, read, events, rows in _by_partition([topic], batch):
        found[number] = read
        kinds = dict.fromkeys(map(type, events))
        for kind in kinds:
            reading: Any = topic.reading_of[kind]
            of: Sequence[int] = range(len(events))
            if len(kinds) > 1:
                of = [i for i, event in enumerate(events) if type(event) is kind]
            ids = [reading.event_id(events[i]) for i in of]
            if None in ids:
                of = [i for i, event_id in zip(of, ids, strict=True) if event_id is not None]
                ids = [event_id for event_id in ids if event_id is not None]
            read.at.extend(of)
            read.keys.extend(map(str.encode, ids))
            kept, times_ms = reading.kept, read.times_ms
            read.rows.extend([(reading.model_id, kept(batch, rows[i], times_ms[i])) for i in of])
        if len(kinds) > 1:
            order = sorted(range(len(read.at)), key=read.at.__getitem__)
            columns: tuple[list[Any], ...] = (read.at, read.keys, read.rows)
            for column in columns:
                column[:] = [column[i] for i in order]
    return found


def read_labels(topics: Sequence[Topic], batch: Batch) -> dict[int, Read]:
    """Labels by partition, those that are to be joined. `topics`: the topic in each of its mappings."""
    readings: dict[type, Any] = {kind: of for t in topics for kind, of in t.reading_of.items()}
    found: dict[int, Read] = {}
    for number, read, events, _ in _by_partition(topics, batch):
        found[number] = read
        for at, event in enumerate(events):
            label = readings[type(event)].label(event)
            if label is not None:
                event_id, models, said = label
                read.at.append(at)
                read.keys.append(event_id.encode())
                read.rows.append((models, said))
    return found


def _by_partition(
    topics: Sequence[Topic], batch: Batch
) -> Iterator[tuple[int, Read, list[Any], Sequence[int]]]:
    """What can be read of a batch, in the order of each partition, with nothing said yet about joining: partition, what
    is known, events, and where in the batch each of them is."""
    partitions, offsets = batch.partitions, batch.offsets
    at, events, times_ms = _events(topics[0], batch)
    for topic in topics[1:]:
        more = _events(topic, batch)
        both = [*zip(at, events, times_ms, strict=True), *zip(*more, strict=True)]
        both.sort(key=itemgetter(0))
        at, events, times_ms = ([row[i] for row in both] for i in range(3))
    first: dict[int, int] = {}
    for number, offset in zip(reversed(partitions), reversed(offsets), strict=True):
        first[number] = offset
    if len(first) == 1:
        ((number, offset),) = first.items()
        yield number, Read(offset, times_ms, [offsets[i] for i in at], [], [], []), events, at
        return
    of = [partitions[i] for i in at]
    for number, offset in sorted(first.items()):
        mine = [i for i, where in enumerate(of) if where == number]
        rows = [at[i] for i in mine]
        read = Read(offset, [times_ms[i] for i in mine], [offsets[i] for i in rows], [], [], [])
        yield number, read, [events[i] for i in mine], rows


def _events(topic: Topic, batch: Batch) -> tuple[list[int], list[Any], list[int]]:
    """Place in the batch, event and time of what can be read."""
    fast = topic.read(batch.values, batch.timestamps_ms)
    if fast is not None:
        events, times = fast
        return list(range(len(events))), events, times.tolist()
    at: list[int] = []
    events, times_ms = [], []
    for index, value in enumerate(batch.values):
        found = topic.read_one(value, batch.timestamps_ms[index])
        if found is not None:
            at.append(index)
            events.append(found[0])
            times_ms.append(found[1])
            continue
        for reading, event, _ in topic.look(batch.rows[index]).events:
            at.append(index)
            events.append(event)
            times_ms.append(reading.time_ms(event))
    return at, events, times_ms


def _getter(reading: Reading, names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """Takes the values of these names out of an event, None for what is not read from it."""
    if all(name in reading.dotted for name in names):
        return attrgetter(*(reading.dotted[name] for name in names))
    takes: list[Callable[[Any], Any]] = [reading.attribute.get(name, _nothing) for name in names]
    return lambda event: tuple(take(event) for take in takes)


def _nothing(event: Any) -> None:
    return None


def _object(name: str, members: Sequence[str]) -> Callable[..., Any]:
    """A JSON object with these members, made of values by position; those that are None are left out."""
    fields = [(f"f{i}", Any, None) for i in range(len(members))]
    rename = {f"f{i}": member.partition(":")[2] or member for i, member in enumerate(members)}
    return msgspec.defstruct(name, fields, rename=rename, omit_defaults=True, frozen=True, gc=False)


def _read(text: bytes) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.MsgspecError:
        return None
