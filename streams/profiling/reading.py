"""How does one lifecycle read one kind of event? Its source mapping, compiled once into a msgspec struct."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from operator import attrgetter
from types import MappingProxyType
from typing import Annotated, Any, Literal

import msgspec

from detectors.binning import MAX_CATEGORY_LENGTH
from detectors.reference.text import MOST_BYTES
from streams.broker import Record
from streams.errors import InvalidEvent
from streams.lifecycle import Lifecycle
from streams.lifecycle.paths import Const, Path
from streams.lifecycle.settings import Segment, Source
from streams.profiling.codes import Codes
from streams.profiling.fields import (
    ANSWERED,
    FIRST_MS,
    INVALID,
    LAST_MS,
    MOST_CHARACTERS,
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
from streams.topics import Names

PREDICTIONS, FEATURES = "predictions", "features"
_VITALS: Mapping[str, Mapping[str, str]] = {
    PREDICTIONS: {"event_id": "id", "latency_ms": "latency", "feature_timestamp": "moments"},
    FEATURES: {"feature_timestamp": "moments"},
}
NUMERIC = ("number", "integer")
SERIES = (*NUMERIC, "category", "boolean")
RAW = ("text", "identifier", "vector")  # what numbers are derived from


@dataclass(frozen=True, slots=True)
class Want:
    """One value a reading takes out of an event."""

    name: str  # a series, or a field of contracts §1.1
    path: Path
    type: str  # number integer category boolean output text identifier vector, or time version status tag


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
        self._tree = _Tree(self)
        self.struct = self._tree.struct
        self.attribute, self.dotted = self._tree.attribute, self._tree.dotted
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


class _Tree:
    """The struct types of a reading: one per object of the event that holds something wanted."""

    def __init__(self, reading: Reading) -> None:
        types: dict[Path, str] = {}
        annotations: dict[Path, Any] = {}
        self.fast = True
        for want in reading.wants:
            both = _together(types.get(want.path, want.type), want.type)
            self.fast = self.fast and both is not None
            types[want.path] = both or want.type
            annotations[want.path] = (
                reading.codes[want.name].annotation
                if want.name in reading.codes
                else _annotation(types[want.path], reading.unit, reading.lengths.get(want.name))
            )
        paths = list(types)
        # $key and the like, list indexes, and a value inside a value need the careful way
        for a in paths:
            odd = not a or any(isinstance(s, int) for s in a) or str(a[0]).startswith("$")
            inside = any(a != b and b[: len(a)] == a for b in paths)
            self.fast = self.fast and not odd and not inside
        tag: tuple[str, str] | None = None
        if not isinstance(reading.id_path, Const):
            (*above, name) = reading.id_path or ("$",)
            free = not above and isinstance(name, str) and name not in {p[0] for p in paths if p}
            self.fast = self.fast and free and not str(name).startswith("$")
            tag = str(name), reading.model_id
        self._shape: Any = None
        self.dotted: dict[str, str] = {}
        if self.fast:
            self._names = {path: f"v{i}" for i, path in enumerate(paths)}
            places: dict[Path, str] = {}
            # These lead in a struct, so that it begins with what is packed for numpy.
            self._packed = {w.path for w in reading.series if w.type in NUMERIC} | {
                w.path for w in reading.series if w.name in reading.codes
            }
            self._shape = _shape(paths)
            self.struct = self._define(self._shape, (), annotations, places, "", tag)
            self.dotted = {want.name: places[want.path] for want in reading.wants}
        else:  # one flat struct, filled by hand
            self.dotted = {want.name: f"v{i}" for i, want in enumerate(reading.wants)}
            fields = [(name, Any, None) for name in self.dotted.values()]
            self.struct = msgspec.defstruct("Event", fields, gc=False, frozen=True)
        self._wants = reading.wants
        self.attribute: dict[str, Callable[[Any], Any]] = {
            name: attrgetter(place) for name, place in self.dotted.items()
        }

    def _define(
        self,
        shape: Mapping[Any, Any],
        at: Path,
        annotations: Mapping[Path, Any],
        dotted: dict[Path, str],
        prefix: str,
        tag: tuple[str, str] | None,
    ) -> Any:
        fields: list[tuple[str, Any, Any]] = []
        rename: dict[str, str] = {}
        for key in sorted(shape, key=lambda k: (*at, k) not in self._packed):
            path: Path = (*at, key)
            name = self._names.get(path) or f"o{len(fields)}"
            rename[name] = str(key)
            if path in annotations:
                fields.append((name, annotations[path], None))
                dotted[path] = prefix + name
            else:
                inner = self._define(
                    shape[key], path, annotations, dotted, f"{prefix}{name}.", None
                )
                fields.append((name, inner, inner()))
        tag_field, of = tag or (None, None)
        return msgspec.defstruct(
            "Event" if not at else "Object",
            fields,
            gc=False,
            frozen=True,
            rename=rename,
            tag_field=tag_field,
            tag=of,
        )

    def assemble(self, values: Mapping[str, object]) -> Any:
        """The struct of values found one by one, by name."""
        if self._shape is None:
            return self.struct(**{place: values[name] for name, place in self.dotted.items()})
        # where a series is a segment's value as well, it decides
        tags_first = sorted(self._wants, key=lambda want: want.type != "tag")
        by_path = {want.path: values[want.name] for want in tags_first}
        return self._build(self.struct, self._shape, (), by_path)

    def _build(
        self, struct: Any, shape: Mapping[Any, Any], at: Path, values: Mapping[Path, object]
    ) -> Any:
        parts = {}
        inner = {f.encode_name: f for f in msgspec.structs.fields(struct)}
        for key, below in shape.items():
            path, of = (*at, key), inner[str(key)]
            parts[of.name] = (
                values[path] if path in values else self._build(of.type, below, path, values)
            )
        return struct(**parts)


def moment_ms(time: int | datetime, unit: str) -> int:
    """Epoch milliseconds of a time that was read."""
    return to_ms(time) if isinstance(time, datetime) else time * 1000 // UNIT_PER_S[unit]


def _together(one: str, other: str) -> str | None:
    """What a value is read as that is wanted twice; None if no one way of reading serves both."""
    if one == other:
        return one
    if "tag" in (one, other):  # a segment may be a category, whose values are texts or like texts
        series = other if one == "tag" else one
        return series if series in ("category", "boolean", "identifier") else None
    return None


def _shape(paths: Sequence[Path]) -> dict[Any, Any]:
    root: dict[Any, Any] = {}
    for path in paths:
        at = root
        for step in path:
            at = at.setdefault(step, {})
    return root


_NUMBER = float | None
_LATENCY = Annotated[float, msgspec.Meta(ge=0)] | None
# what needs more bits may be beyond a double, and is looked at
_INTEGER = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | None


# in UTF-8 no more than 64 KiB whatever they are; more characters than this are counted
_TEXT = Annotated[str, msgspec.Meta(max_length=MOST_BYTES // 4)] | None
_EVENT_ID = Annotated[str, msgspec.Meta(min_length=1, max_length=MOST_CHARACTERS)] | None
_IDENTIFIER = Annotated[str, msgspec.Meta(max_length=MAX_CATEGORY_LENGTH)] | int | None


def _annotation(type_: str, unit: str, length: int | None = None) -> Any:
    """What the fast path accepts; anything else is looked at carefully."""
    if type_ in ("time", "moment"):  # a moment is a time that need not be there
        low, high = (bound * UNIT_PER_S[unit] // 1000 for bound in (FIRST_MS, LAST_MS))
        whole = Annotated[int, msgspec.Meta(ge=low, le=high)]
        return whole | Annotated[datetime, msgspec.Meta(tz=True)] | None
    if type_ == "moments":
        one: Any = _annotation("moment", unit)
        return one | dict[str, one]
    if type_ == "boolean":
        return bool | None
    if type_ == "vector":
        return Annotated[list[float], msgspec.Meta(min_length=length, max_length=length)] | None
    return {
        "number": _NUMBER,
        "latency": _LATENCY,
        "integer": _INTEGER,
        "category": str | int | None,
        "text": _TEXT,
        "identifier": _IDENTIFIER,
        "output": str | int | float | bool | None,
        "version": str | None,
        "id": _EVENT_ID,
        "weight": Literal[1, -1] | None,
        "nothing": None,
        "json": msgspec.Raw,
        "status": Literal["ok", "error", "timeout", "fallback"] | None,
        "tag": str | int | float | bool | None,
    }[type_]
