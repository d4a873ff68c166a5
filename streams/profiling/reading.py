"""How does one lifecycle read one kind of event? Its source mapping, compiled once into a msgspec struct."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from streams.broker import Record
from streams.errors import InvalidEvent
from streams.lifecycle import Lifecycle
from streams.lifecycle.inputs import Segment
from streams.lifecycle.paths import Const, Path
from streams.lifecycle.sources import Source
from streams.profiling.codes import Codes
from streams.profiling.fields import (
    ANSWERED,
    INVALID,
    STATUSES,
    UNIT_PER_S,
    VERSION,
    is_event_id,
    moment_of,
    parse_time,
    raw_of,
    same,
    tag_of,
    to_ms,
    typed,
    value_at,
)
from streams.profiling.structs import NUMERIC, RAW, SERIES, Tree, Want
from streams.topics import Names

PREDICTIONS, FEATURES = "predictions", "features"
_VITALS: Mapping[str, Mapping[str, str]] = {
    PREDICTIONS: {"event_id": "id", "latency_ms": "latency", "feature_timestamp": "moments"},
    FEATURES: {"feature_timestamp": "moments"},
}


@dataclass(slots=True)
class Defects:
    """Fields of one event that could not be used: series or field -> reason."""

    of: dict[str, str] = field(default_factory=dict)


class Reading:
    """How one lifecycle reads one kind of event from its topic.

    The fast path is to decode `struct`; it exists (`fast`) when the mapping uses nothing but keys.
    `read` is the careful one. Both give the same struct: `series` says which attributes of it hold series.

    Parameters
    ----------
    types : what each series that is wanted is read as
    codes : of categories, as far as they are read as codes and not as texts
    lengths : of vectors, as far as they are known
    """

    nameless = False  # whether it reads events that name no model

    def __init__(
        self,
        lifecycle: Lifecycle,
        kind: str,
        names: Names,
        types: Mapping[str, str],
        codes: Mapping[str, Codes] = MappingProxyType({}),
        lengths: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        source = self._source(lifecycle, kind)
        assert source is not None  # `readings` asks only for those there are
        self.kind, self.model_id, self.current = kind, lifecycle.model_id, lifecycle.version
        self.topic = source.topic or names(kind)
        self.max_ahead_ms = lifecycle.monitoring.window.max_ahead // timedelta(milliseconds=1)
        self.unit = source.timestamp_unit
        self.filter = source.filter
        self.format = source.format
        self._fields = source.fields
        self.segments = lifecycle.segments
        self._positive = lifecycle.prediction.positive if lifecycle.prediction else None
        self.id_path = self._mapped("model_id")
        self.wants = tuple(self._wanted(lifecycle, types))
        # a latency may be a series as well, under that one's name
        self.series = tuple(w for w in self.wants if w.type in SERIES and w.name != "latency_ms")
        self.raw = tuple(w for w in self.wants if w.type in RAW)
        self.lengths = {w.name: lengths[w.name] for w in self.raw if w.name in lengths}
        wanted = Counter(want.path for want in self.wants)
        # what is wanted twice, say as a segment's value too, is read as the text it is
        self.codes = {
            w.name: codes[w.name] for w in self.wants if w.name in codes and wanted[w.path] == 1
        }
        self.version = lru_cache(maxsize=1000)(self._version)  # asked for every group of events
        self._tree = Tree(
            self.wants,
            self.series,
            self.codes,
            self.lengths,
            self.unit,
            self.id_path,
            self.model_id,
        )
        self.struct = self._tree.struct
        self.attribute, self.dotted = self._tree.attribute, self._tree.dotted
        self.extract = self._tree.extract  # the same for `columns` of many events
        self.fast = self._tree.fast and not self.filter

    def _source(self, lifecycle: Lifecycle, kind: str) -> Source | None:
        return lifecycle.source.predictions if kind == PREDICTIONS else lifecycle.source.features

    def _mapped(self, name: str) -> Path | Const:
        return self._fields.get(name, (name,))

    @property
    def root(self) -> Path | None:
        """Where the features are; None if nowhere."""
        mapped = self._mapped("features")
        return None if isinstance(mapped, Const) else mapped

    def mapped(self, name: str) -> Path | Const:
        """Where a field of contracts §1.1 is."""
        return self._mapped(name)

    def _wanted(self, lifecycle: Lifecycle, types: Mapping[str, str]) -> Iterator[Want]:
        """In the order of the wire struct: times and texts, then series, then what says how the model ran."""
        values = list(self._values(lifecycle, types))
        yield from values
        for name, type_ in _VITALS.get(self.kind, {}).items():
            path = self._mapped(name)
            if isinstance(path, Const):
                continue
            same = [want for want in values if want.path == path]
            if type_ == "latency" and len(same) == 1 and same[0].type in NUMERIC:
                yield Want(name, path, same[0].type)
            elif self._is_free(path, values):
                yield Want(name, path, type_)

    def _is_free(self, path: Path, wants: Sequence[Want]) -> bool:
        """Whether reading this, too, is a key more: no series may become slower for it."""
        if not path or any(not isinstance(s, str) or s.startswith("$") for s in path):
            return False
        others = [want.path for want in wants]
        if not isinstance(self.id_path, Const):
            others.append(self.id_path)
        return not any(a[: len(b)] == b or b[: len(a)] == a for a in [path] for b in others)

    def _values(self, lifecycle: Lifecycle, types: Mapping[str, str]) -> Iterator[Want]:
        yield from self._special("timestamp", "time")
        yield from self._special("model_version", "version")
        if self.kind == PREDICTIONS:
            yield from self._special("status", "status")
            yield from self._special("score", types.get("score"))
            if self._positive and "score" in types:
                scores = self._mapped("scores")
                if not isinstance(scores, Const):
                    yield Want("scores", (*scores, self._positive), types["score"])
            yield from self._special("prediction", types.get("prediction"))
        for segment in self.segments:
            if not segment.by:
                yield Want(f"segment:{segment.name}", self._segment_path(segment), "tag")
        root = self._mapped("features")
        for name, feature in lifecycle.features.items():
            type_, series = types.get(f"feature:{name}"), f"feature:{name}"
            if type_ is None or feature.from_ != self.kind:
                continue
            if feature.path is not None:
                yield Want(series, feature.path, type_)
            elif not isinstance(root, Const):
                yield Want(series, (*root, name), type_)

    def _special(self, name: str, type_: str | None) -> Iterator[Want]:
        mapped = self._mapped(name)
        if type_ is not None and not isinstance(mapped, Const):
            yield Want(name, mapped, type_)

    def _segment_path(self, segment: Segment) -> Path:
        tags = self._mapped("tags")
        if segment.path is not None:
            return segment.path
        return (*tags, segment.name) if not isinstance(tags, Const) else ("tags", segment.name)

    @property
    def constant_id(self) -> bool:
        """Every event of the topic is this model's."""
        return isinstance(self.id_path, Const)

    # ---- what a value in the struct means

    def time_ms(self, event: Any) -> int:
        """Event time of a decoded event."""
        return moment_ms(self.attribute["timestamp"](event), self.unit)

    def _version(self, written: str | None) -> str:
        """The version an event counts for."""
        if written is None or not VERSION(written):
            mapped = self._mapped("model_version")
            if isinstance(mapped, Const):
                return str(mapped.value)
            return "unversioned" if self.kind == PREDICTIONS else self.current
        return written

    def accepts(self, event: object, record: Record) -> bool:
        """Whether the lifecycle's filter keeps this event."""
        return all(same(value_at(event, path, record), value) for path, value in self.filter)

    def read(self, event: object, record: Record) -> tuple[Any, Defects]:
        """Look at each field on its own.

        Raises
        ------
        InvalidEvent
            The event has no usable time.
        """
        defects = Defects()
        values: dict[str, object] = {}
        for want in self.wants:
            values[want.name] = self._value(want, value_at(event, want.path, record), defects)
        wrong = defects.of.pop("scores", None)
        if wrong and values.get("score") is None:  # else nobody looks at it
            defects.of["score"] = wrong
        if values.get("status") not in ANSWERED:
            for unread in ("prediction", "score"):
                defects.of.pop(unread, None)
        return self._tree.assemble(values), defects

    def _value(self, want: Want, raw: object, defects: Defects) -> object:
        if want.type == "time":
            return self._time(want, raw)
        if want.type == "tag":
            return tag_of(raw)
        if raw is None:
            return None
        if want.type == "json":
            return raw_of(raw)
        if want.type == "id":
            if not is_event_id(raw):
                defects.of[want.name] = "event_id"
            return raw if is_event_id(raw) else None
        if want.type == "moments":
            return self._moments(want, raw, defects)
        if want.type in ("version", "status"):
            fine = isinstance(raw, str) and (
                bool(VERSION(raw)) if want.type == "version" else raw in STATUSES
            )
            if not fine:
                defects.of[want.name] = want.name if want.name != "version" else "model_version"
            return raw if fine else None
        latency = want.type == "latency"
        value, reason = typed(raw, "number" if latency else want.type, self.lengths.get(want.name))
        if latency and isinstance(value, float) and value < 0:
            value, reason = INVALID, "negative"
        if reason is not None:
            defects.of[want.name] = reason
        codes = self.codes.get(want.name)
        return value if codes is None else codes.of(value)  # type: ignore[arg-type]

    def _moments(self, want: Want, raw: object, defects: Defects) -> object:
        """One time, or one for each feature; those that are none are left out."""
        found: dict[str, object] = {}
        for name, one in raw.items() if isinstance(raw, dict) else [("", raw)]:
            try:
                found[name] = None if one is None else self._time(want, one)
            except InvalidEvent as defect:
                defects.of[want.name] = defect.reason
        return found if isinstance(raw, dict) else found.get("")

    def _time(self, want: Want, raw: object) -> int | datetime:
        unit = "ms" if want.path == ("$timestamp",) else self.unit
        time = parse_time(raw, unit)
        return time if isinstance(time, datetime) or unit == self.unit else moment_of(time)


def moment_ms(time: int | datetime, unit: str) -> int:
    """Epoch milliseconds of a time that was read."""
    return to_ms(time) if isinstance(time, datetime) else time * 1000 // UNIT_PER_S[unit]
