"""What of an event does the joiner need? A prediction's id, time and own members; a label's id, time and truth.

Values are passed on as the JSON they came in: what is wrong with one of them is found and counted by the profiler,
which reads the outcome. So are dead letters: what cannot be read here is left out without a word.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple, get_args

import msgspec

from detectors.series import SeriesType
from streams.broker import Batch
from streams.joining.records import Label, Said
from streams.lifecycle import Lifecycle
from streams.lifecycle.paths import Const, Path
from streams.lifecycle.settings import Source
from streams.profiling.events import Topic
from streams.profiling.fields import ANSWERED, MODEL_ID
from streams.profiling.reading import PREDICTIONS, Reading
from streams.profiling.structs import Want
from streams.topics import Names

_json = msgspec.json.Encoder().encode
_OUTPUTS = ("prediction", "score", "scores")
_NULL = b"null"


class Read(NamedTuple):
    """What a batch of one partition brought: times and offsets of everything that could be read, and what is joined."""

    first: int  # the offset it begins with
    times_ms: list[int]
    offsets: list[int]
    at: list[int]  # which of these each of the rest is
    keys: list[bytes]
    rows: list[Any]  # predictions: (model id, content); labels: (models, said)


class PredictionReading(Reading):
    """How one lifecycle reads the predictions that wait for their labels.

    Parameters
    ----------
    sliced : features whose errors are told apart, so that outcomes must have them
    """

    def __init__(self, lifecycle: Lifecycle, names: Names, sliced: Sequence[str]) -> None:
        self._sliced = sliced
        super().__init__(lifecycle, PREDICTIONS, names, {})
        has = self.attribute
        #: the id of an event; None where there is none
        self.event_id: Callable[[Any], str | None] = has.get("event_id", _nothing)
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
        self._widths = len(outputs), len(outputs) + len(tags)
        self._take = _getter(self, ("model_version", "status", *outputs, *tags, *features))
        self._tags = _object("Tags", tags)
        self._features = _object("Features", features)
        fixed = ["model_version", "prediction_timestamp"]
        self._content = _object("Content", [*fixed, *outputs, "tags", "features", *constant])

    def _wanted(self, lifecycle: Lifecycle, types: Mapping[str, str]) -> Iterator[Want]:
        yield from self._special("timestamp", "time")
        yield from self._special("event_id", "id")
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

    def content(self, event: Any, time_ms: int) -> bytes:
        """The members of an outcome that are the prediction's, as JSON without the brackets."""
        written, status, *values = self._take(event)
        outputs, tags = self._widths
        said: Sequence[Any] = values[:outputs]
        constant = self._constant
        if status not in ANSWERED:
            said, constant = [None] * outputs, (None,) * len(constant)
        content = self._content(
            self.version(written),
            time_ms,
            *said,
            self._tags(*values[outputs:tags]) if tags > outputs else None,
            self._features(*values[tags:]) if len(values) > tags else None,
            *constant,
        )
        return _json(content)[1:-1]


class LabelReading(Reading):
    """How lifecycles of one mapping read labels that have to be joined; those that need not be are the profiler's."""

    def __init__(self, lifecycles: Sequence[Lifecycle], names: Names) -> None:
        self.models = tuple(lifecycle.model_id for lifecycle in lifecycles)
        self._positives = {
            one.model_id: one.prediction.positive if one.prediction else None for one in lifecycles
        }
        super().__init__(lifecycles[0], "labels", names, {})
        self._named = "model_id" in self.attribute

    def _source(self, lifecycle: Lifecycle, kind: str) -> Source | None:
        return lifecycle.source.labels

    def _mapped(self, name: str) -> Path | Const:
        mapped = super()._mapped(name)
        return Const(None) if name == "model_id" and not isinstance(mapped, Const) else mapped

    def _wanted(self, lifecycle: Lifecycle, types: Mapping[str, str]) -> Iterator[Want]:
        yield from self._special("timestamp", "time")
        yield from self._special("event_id", "id")
        for name in ("label", "loss", "label_confidence", *_OUTPUTS):
            yield from self._special(name, "json")
        model_id = super()._mapped("model_id")
        if not isinstance(model_id, Const):
            yield Want("model_id", model_id, "json")

    def label(self, event: Any) -> tuple[str, tuple[str, ...], Said] | None:
        """The id, the models it may be of, and the truth; None if it is not for the joiner."""
        event_id, label = self._field("event_id", event), self._text("label", event)
        if event_id is None or not label:
            return None
        models = self.models
        if self._named and (written := self._text("model_id", event)):
            model_id = _read(written)
            if not isinstance(model_id, str) or not MODEL_ID(model_id):
                return None
            models = (model_id,) if model_id in models else ()
        elif self._named:
            return event_id, models, Said(label, self._text("label_confidence", event))
        if not models or self._whole(models[0], event):
            return None
        return event_id, models, Said(label, self._text("label_confidence", event))

    def _whole(self, model_id: str, event: Any) -> bool:
        """Whether it says what was predicted, so that it needs no prediction."""
        if any(self._text(name, event) for name in ("loss", "prediction", "score")):
            return True
        positive, scores = self._positives[model_id], self._text("scores", event)
        if positive is None or not scores:
            return False
        found = _read(scores)
        return isinstance(found, dict) and found.get(positive) is not None

    def _field(self, name: str, event: Any) -> Any:
        read = self.attribute.get(name)
        return read(event) if read is not None else None

    def _text(self, name: str, event: Any) -> bytes:
        """A member's JSON; empty if it is null or not there."""
        read = self.attribute.get(name)
        if read is None:
            mapped = self._mapped(name)
            constant = mapped.value if isinstance(mapped, Const) else None
            return b"" if constant is None else _json(constant)
        raw = read(event)
        text = b"" if raw is None else bytes(raw)
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
    by_partition = _empty(batch)
    partitions, offsets, reading_of = batch.partitions, batch.offsets, topic.reading_of
    for index, event, time_ms in _events(topic, batch):
        read = by_partition[partitions[index]]
        reading: Any = reading_of[type(event)]
        times_ms = read.times_ms
        if (event_id := reading.event_id(event)) is not None:
            read.at.append(len(times_ms))
            read.keys.append(event_id.encode())
            read.rows.append((reading.model_id, reading.content(event, time_ms)))
        times_ms.append(time_ms)
        read.offsets.append(offsets[index])
    return by_partition


def read_labels(topics: Sequence[Topic], batch: Batch) -> dict[int, Read]:
    """Labels by partition, those that are to be joined. `topics`: the topic in each of its mappings."""
    by_partition = _empty(batch)
    readings = {kind: of for topic in topics for kind, of in topic.reading_of.items()}
    for index, event, time_ms in sorted(
        (found for topic in topics for found in _events(topic, batch)), key=itemgetter(0)
    ):
        read = by_partition[batch.partitions[index]]
        reading = readings[type(event)]
        assert isinstance(reading, LabelReading)
        if (found := reading.label(event)) is not None:
            event_id, models, said = found
            read.at.append(len(read.times_ms))
            read.keys.append(event_id.encode())
            read.rows.append(Label(models, time_ms, 0, said))
        read.times_ms.append(time_ms)
        read.offsets.append(batch.offsets[index])
    return by_partition


def _empty(batch: Batch) -> dict[int, Read]:
    by_partition: dict[int, Read] = {}
    for number, offset in zip(batch.partitions, batch.offsets, strict=True):
        if number not in by_partition:
            by_partition[number] = Read(offset, [], [], [], [], [])
    return by_partition


def _events(topic: Topic, batch: Batch) -> Iterator[tuple[int, Any, int]]:
    """What can be read of a batch: index, event, time."""
    fast = topic.read(batch.values, batch.timestamps_ms)
    if fast is not None:
        events, times = fast
        yield from zip(range(len(events)), events, times.tolist(), strict=True)
        return
    for index, value in enumerate(batch.values):
        found = topic.read_one(value, batch.timestamps_ms[index])
        if found is not None:
            yield index, *found
            continue
        for reading, event, _ in topic.look(batch.rows[index]).events:
            yield index, event, reading.time_ms(event)


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
