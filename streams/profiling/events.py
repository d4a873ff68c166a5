"""Bytes in, typed events out: how the lifecycles that read a topic see each of its records.

Every lifecycle's source mapping is compiled once into a msgspec struct (a `Reading`), so that a good
event costs one decode. What the fast path refuses is looked at field by field: a bad field costs that
field, an event that nobody could ever read is a dead letter with its reason, and a model nobody
registered is counted. The outcome depends on the event alone, never on its neighbours.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from operator import attrgetter
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.binning import INVALID_TEXT, MAX_CATEGORY_LENGTH, json_text
from streams.broker import Record
from streams.errors import InvalidEvent
from streams.lifecycle import Lifecycle
from streams.lifecycle.paths import Const, Path
from streams.lifecycle.settings import Segment
from streams.topics import Names

PREDICTIONS, FEATURES = "predictions", "features"
MAX_BYTES, MAX_DEPTH = 1 << 20, 32
FIRST_MS, LAST_MS = 31_536_000_000, 4_102_444_799_999  # the years 1971 to 2099
UNIT_PER_S = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
MODEL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}").fullmatch
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}").fullmatch
STATUSES = ("ok", "error", "timeout", "fallback")
ANSWERED = frozenset((None, "ok", "fallback"))  # other statuses have no prediction and no score

INVALID = math.inf  # a number of the wrong type: JSON has no infinity, so nothing else can be one
ABSENT = -math.inf  # a number that this event does not have to have
ABSENT_TEXT = "\0" * (MAX_CATEGORY_LENGTH + 2)  # the same for a category

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WITHOUT_ZONE = re.compile(r"\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?)?").fullmatch
_TEXT_TIME = Annotated[datetime, msgspec.Meta(tz=True)]
_BEYOND = (
    10**400
)  # stands for a whole number of even more digits: it, too, is no double and no time


@dataclass(frozen=True, slots=True)
class Want:
    """One value a reading takes out of an event."""

    name: str  # a series, or a field of contracts §1.1
    path: Path
    type: str  # number integer category boolean output, or time version status tag


class NonFinite:
    """Stands for a bare NaN or Infinity while an event is looked at field by field."""


@dataclass(slots=True)
class Defects:
    """Fields of one event that could not be used: series or field -> reason."""

    of: dict[str, str] = field(default_factory=dict)


def to_ms(moment: datetime) -> int:
    """Epoch milliseconds, cut.

    >>> to_ms(datetime(1970, 1, 1, 0, 0, 1, 999_999, tzinfo=UTC))
    1999
    """
    return (moment - _EPOCH) // timedelta(milliseconds=1)


class Reading:
    """How one lifecycle reads one kind of event from its topic.

    The fast path is to decode `struct`; it exists (`fast`) when the mapping uses nothing but keys.
    `read` is the careful one. Both give the same struct: `numbers` and `categories` say which
    attributes of it hold which series.
    """

    def __init__(
        self, lifecycle: Lifecycle, kind: str, names: Names, types: Mapping[str, str]
    ) -> None:
        source = lifecycle.source.predictions if kind == PREDICTIONS else lifecycle.source.features
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
        self.numbers = tuple(w for w in self.wants if w.type in ("number", "integer"))
        self.categories = tuple(w for w in self.wants if w.type in ("category", "boolean"))
        self._tree = _Tree(self)
        self.struct = self._tree.struct
        self.attribute, self.dotted = self._tree.attribute, self._tree.dotted
        self.fast = self._tree.fast and not self.filter

    def _mapped(self, name: str) -> Path | Const:
        return self._fields.get(name, (name,))

    def _wanted(self, lifecycle: Lifecycle, types: Mapping[str, str]) -> Iterator[Want]:
        """In the order of the wire struct: times and texts, then series."""
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
        time = self.attribute["timestamp"](event)
        return to_ms(time) if isinstance(time, datetime) else time * 1000 // UNIT_PER_S[self.unit]

    def version(self, written: str | None) -> str:
        """The version an event counts for."""
        if written is None or not VERSION(written):
            mapped = self._mapped("model_version")
            if isinstance(mapped, Const):
                return str(mapped.value)
            return "unversioned" if self.kind == PREDICTIONS else self.current
        return written

    def accepts(self, event: object, record: Record) -> bool:
        """Whether the lifecycle's filter keeps this event."""
        return all(_same(_get(event, path, record), value) for path, value in self.filter)

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
            values[want.name] = self._value(want, _get(event, want.path, record), defects)
        wrong = defects.of.pop("scores", None)
        if wrong and values.get("score") is None:  # else nobody looks at it
            defects.of["score"] = wrong
        if values.get("status") not in ANSWERED:
            for unread in ("prediction", "score"):
                defects.of.pop(unread, None)
        return self._tree.assemble(values), defects

    def _value(self, want: Want, raw: object, defects: Defects) -> object:
        if want.type == "time":
            unit = "ms" if want.path == ("$timestamp",) else self.unit
            time = parse_time(raw, unit)
            return time if isinstance(time, datetime) or unit == self.unit else _moment(time)
        if want.type == "tag":
            return _tag(raw)
        if raw is None:
            return None
        if want.type in ("version", "status"):
            fine = isinstance(raw, str) and (
                bool(VERSION(raw)) if want.type == "version" else raw in STATUSES
            )
            if not fine:
                defects.of[want.name] = want.name if want.name != "version" else "model_version"
            return raw if fine else None
        value, reason = _typed(raw, want.type)
        if reason is not None:
            defects.of[want.name] = reason
        return value


def _typed(raw: object, type_: str) -> tuple[object, str | None]:
    """A field's value as its series counts it, and what is wrong with it."""
    if type_ in ("number", "integer"):
        if isinstance(raw, NonFinite):
            return None, "non_finite"
        if isinstance(raw, bool) or not isinstance(raw, (int, float)):
            return INVALID, "type"
        try:
            number = float(raw)
        except OverflowError:
            return None, "non_finite"
        if not math.isfinite(number):
            return None, "non_finite"
        return (INVALID, "type") if type_ == "integer" and raw % 1 else (number, None)
    if isinstance(raw, NonFinite):
        return None, "non_finite"
    if type_ == "output" and isinstance(raw, float):
        return raw, None
    if type_ == "boolean":
        return (json_text(raw), None) if isinstance(raw, bool) else (INVALID_TEXT, "type")
    if isinstance(raw, bool | int):
        return json_text(raw), None
    if not isinstance(raw, str) or not _is_text(raw):
        return INVALID_TEXT, "type"
    return (raw, None) if len(raw) <= MAX_CATEGORY_LENGTH else (INVALID_TEXT, "too_long")


def _tag(raw: object) -> str | int | float | bool | None:
    """A segment's value, if it is one."""
    if isinstance(raw, float):
        return raw if math.isfinite(raw) else None
    return raw if isinstance(raw, int) or (isinstance(raw, str) and _is_text(raw)) else None


def _is_text(text: str) -> bool:
    """JSON can escape halves of characters, which nobody can write down as UTF-8."""
    return text.isascii() or not any("\ud800" <= c <= "\udfff" for c in text)


def _same(found: object, wanted: object) -> bool:
    """Equal as JSON has it: 1 is 1.0, but not true."""
    return found == wanted and isinstance(found, bool) == isinstance(wanted, bool)


def _moment(time_ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=time_ms)


def parse_time(raw: object, unit: str) -> int | datetime:
    """A timestamp in `unit`, or RFC 3339 text with an offset.

    Raises
    ------
    InvalidEvent
        With the reason, and the unit it looks like.

    Examples
    --------
    >>> parse_time(1772434693, "ms")
    Traceback (most recent call last):
    streams.errors.InvalidEvent: timestamp_unit: looks like seconds; set timestamp_unit: s
    """
    if raw is None:
        raise InvalidEvent("timestamp_missing")
    if isinstance(raw, str):
        return _parse_text_time(raw)
    if isinstance(raw, float) and unit == "s" and math.isfinite(raw):
        # by its shortest decimals, as the producer wrote it: 0.412 s is 412 ms
        time_ms = math.floor(Decimal(repr(raw)) * 1000)
        return _moment(_legal(time_ms, "ms", raw))
    if isinstance(raw, bool) or not isinstance(raw, int):
        raise InvalidEvent("timestamp_type")
    return _legal(raw, unit, raw)


def _legal(time: int, unit: str, written: int | float) -> int:
    """The time itself, if it is in the legal years."""
    if _is_legal(time, unit):
        return time
    for other, words in (
        ("s", "seconds"),
        ("ms", "milliseconds"),
        ("us", "microseconds"),
        ("ns", "nanoseconds"),
    ):
        if _is_legal(written, other):
            hint = f"looks like {words}; set timestamp_unit: {other}"
            raise InvalidEvent("timestamp_unit", hint)
    raise InvalidEvent("timestamp_unit", "outside the years 1971 to 2099 in every unit")


def _is_legal(time: int | float, unit: str) -> bool:
    # multiplied, not divided: a whole number may have more digits than a double can hold
    per_s = UNIT_PER_S[unit]
    return FIRST_MS * per_s <= time * 1000 < (LAST_MS + 1) * per_s


def _parse_text_time(raw: str) -> datetime:
    try:
        # what reads the times of good events, so that a time means the same beside a bad field
        moment = msgspec.convert(raw, _TEXT_TIME)
        legal = FIRST_MS <= to_ms(moment) <= LAST_MS
    except (msgspec.ValidationError, OverflowError, ValueError):
        raise InvalidEvent("timestamp_zone" if _WITHOUT_ZONE(raw) else "timestamp_type") from None
    if not legal:
        raise InvalidEvent("timestamp_unit", "outside the years 1971 to 2099")
    return moment


def _get(event: object, path: Path, record: Record) -> object:
    """The value at a path; None where there is none."""
    if path and isinstance(path[0], str) and path[0].startswith("$"):
        return _of_record(path, record)
    for step in path:
        if isinstance(step, int):
            if not isinstance(event, list) or step >= len(event):
                return None
            event = event[step]
        elif isinstance(event, dict):
            event = event.get(step)
        else:
            return None
    return event


def _of_record(path: Path, record: Record) -> object:
    if path[0] == "$timestamp":
        return record.timestamp_ms
    raw = record.key if path[0] == "$key" else dict(record.headers).get(str(path[1]))
    try:
        return raw.decode() if raw is not None else None
    except UnicodeDecodeError:
        return None


class _Tree:
    """The struct types of a reading: one per object of the event that holds something wanted."""

    def __init__(self, reading: Reading) -> None:
        types: dict[Path, str] = {}
        self.fast = True
        for want in reading.wants:
            both = _together(types.get(want.path, want.type), want.type)
            self.fast = self.fast and both is not None
            types[want.path] = both or want.type
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
            annotations = {path: _annotation(type_, reading.unit) for path, type_ in types.items()}
            places: dict[Path, str] = {}
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
        for key in sorted(shape, key=lambda k: _numbers_first(annotations.get((*at, k)))):
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


def _together(one: str, other: str) -> str | None:
    """What a value is read as that is wanted twice; None if no one way of reading serves both."""
    if one == other:
        return one
    if "tag" in (one, other):  # a segment may be a category, whose values are texts or like texts
        series = other if one == "tag" else one
        return series if series in ("category", "boolean") else None
    return None


def _shape(paths: Sequence[Path]) -> dict[Any, Any]:
    root: dict[Any, Any] = {}
    for path in paths:
        at = root
        for step in path:
            at = at.setdefault(step, {})
    return root


def _numbers_first(annotation: Any) -> int:
    """Numbers lead in a struct, so that a row of it begins with what is packed for numpy."""
    return 0 if annotation in (_NUMBER, _INTEGER) else 1


_NUMBER = float | None
# what needs more bits may be beyond a double, and is looked at
_INTEGER = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | None


def _annotation(type_: str, unit: str) -> Any:
    """What the fast path accepts; anything else is looked at carefully."""
    if type_ == "time":
        low, high = (bound * UNIT_PER_S[unit] // 1000 for bound in (FIRST_MS, LAST_MS))
        whole = Annotated[int, msgspec.Meta(ge=low, le=high)]
        return whole | Annotated[datetime, msgspec.Meta(tz=True)] | None
    if type_ == "boolean":
        return bool | None
    return {
        "number": _NUMBER,
        "integer": _INTEGER,
        "category": str | int | None,
        "output": str | int | float | bool | None,
        "version": str | None,
        "status": Literal["ok", "error", "timeout", "fallback"] | None,
        "tag": str | int | float | bool | None,
    }[type_]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that can never be processed."""

    record: Record
    reason: str
    message: str


@dataclass(slots=True)
class Careful:
    """What came of one record that the fast path refused."""

    events: list[tuple[Reading, Any, Defects]] = field(default_factory=list)
    dead: DeadLetter | None = None
    unregistered: str | None = None


class Topic:
    """All readings of one topic."""

    def __init__(self, readings: Sequence[Reading]) -> None:
        self.readings = tuple(readings)
        self._constant = [r for r in self.readings if r.constant_id]
        self._by_path: dict[Path, dict[str, list[Reading]]] = {}
        for reading in self.readings:
            if not isinstance(reading.id_path, Const):
                by_model = self._by_path.setdefault(reading.id_path, {})
                by_model.setdefault(reading.model_id, []).append(reading)
        self.reading_of: dict[type, Reading] = {r.struct: r for r in self.readings}
        self.max_ahead_ms = min(r.max_ahead_ms for r in self.readings)
        self.milliseconds = all(r.unit == "ms" for r in self.readings)
        places = {r.dotted["timestamp"] for r in self.readings}
        self._time_of = attrgetter(*places) if len(places) == 1 else None
        self.decode = self._fast()

    def _fast(self) -> Callable[[Any], Any] | None:
        """One decoder for all events: a tagged union of the models' structs, or the one struct of a one-model topic."""
        if not all(r.fast for r in self.readings) or len(self._by_path) + bool(self._constant) > 1:
            return None
        if self._constant:
            (first, *others) = self._constant
            return None if others else msgspec.json.Decoder(first.struct).decode
        ((path, by_model),) = self._by_path.items()
        if any(len(of) > 1 for of in by_model.values()):
            return None  # an event is more than one thing to the same model
        # Nobody: alone, a struct would not mind an event without a model id.
        union: Any = msgspec.defstruct("Nobody", (), tag_field=str(path[0]), tag="\0")
        for reading in self.readings:
            union = union | reading.struct
        return msgspec.json.Decoder(union).decode

    def read(
        self, values: Sequence[bytes | None], timestamps_ms: Sequence[int | None]
    ) -> tuple[list[Any], NDArray[np.int64]] | None:
        """The fast path for a whole batch: events and their times; None if one of them needs a closer look."""
        if self.decode is None:
            return None
        try:
            events = list(map(self.decode, values))
            times = self.times_ms(events)
            fine = sound(values) and not self._any_ahead(times, timestamps_ms)  # type: ignore[arg-type]
        except (msgspec.MsgspecError, RecursionError, TypeError, ValueError, OverflowError):
            return None
        return (events, times) if fine else None

    def _any_ahead(self, times: NDArray[np.int64], timestamps_ms: Sequence[int | None]) -> bool:
        """Whether some event may be too far ahead of the log's own time; files have none.

        Raises
        ------
        TypeError
            Some records have a time and others none.
        """
        if timestamps_ms.count(None) == len(timestamps_ms):
            return False
        return bool((times - np.array(timestamps_ms, np.int64)).max() > self.max_ahead_ms)

    def times_ms(self, events: Sequence[Any]) -> NDArray[np.int64]:
        """Event times of decoded events, in epoch milliseconds.

        Raises
        ------
        TypeError, ValueError
            Some event has none, or one outside the legal years.
        """
        if self.milliseconds and self._time_of is not None:
            try:
                return np.array(list(map(self._time_of, events)), np.int64)
            except TypeError:
                pass  # texts among them
        times = np.array([self.reading_of[type(e)].time_ms(e) for e in events], np.int64)
        if len(times) and not FIRST_MS <= times.min() <= times.max() <= LAST_MS:
            raise ValueError("a time outside the legal years")
        return times

    def look(self, record: Record) -> Careful:
        """One record, field by field."""
        found = Careful()
        try:
            event = parse(record.value)
            for reading in self._readers(event, record, found):
                if reading.accepts(event, record):
                    struct, defects = reading.read(event, record)
                    self._check_ahead(reading, struct, record)
                    found.events.append((reading, struct, defects))
        except InvalidEvent as defect:
            found.dead = DeadLetter(record, defect.reason, str(defect))
            found.events.clear()
        return found

    def _readers(self, event: object, record: Record, found: Careful) -> list[Reading]:
        readers = list(self._constant)
        named = False
        for path, by_model in self._by_path.items():
            model_id = _get(event, path, record)
            if isinstance(model_id, str) and MODEL_ID(model_id):
                named = True
                readers += by_model.get(model_id, ())
                found.unregistered = model_id
        if readers:
            found.unregistered = None
        elif not named:
            raise InvalidEvent("model_id")
        return readers

    @staticmethod
    def _check_ahead(reading: Reading, event: Any, record: Record) -> None:
        if record.timestamp_ms is None:
            return
        if reading.time_ms(event) > record.timestamp_ms + reading.max_ahead_ms:
            raise InvalidEvent("timestamp_future")


def _whole(digits: str) -> int:
    return int(digits) if len(digits) <= 400 else -_BEYOND if digits[0] == "-" else _BEYOND


_PASS = 512
_JSON = json.JSONDecoder(parse_int=_whole, parse_constant=lambda _: NonFinite())


def parse(value: bytes | None) -> object:
    """JSON as contracts §1.3 takes it.

    Raises
    ------
    InvalidEvent
        `empty`, `too_large`, `not_json`, `too_deep` or `not_object`.
    """
    if not value:
        raise InvalidEvent("empty")
    if len(value) > MAX_BYTES:
        raise InvalidEvent("too_large")
    try:
        event = _JSON.decode(value.decode())
    except RecursionError:
        raise InvalidEvent("too_deep") from None
    except ValueError:  # not UTF-8, or not JSON
        raise InvalidEvent("not_json") from None
    if isinstance(event, (dict, list)) and _deeper(event, MAX_DEPTH):
        raise InvalidEvent("too_deep")
    if not isinstance(event, dict):
        raise InvalidEvent("not_object")
    return event


def sound(values: Sequence[bytes]) -> bool:
    """Whether JSON that msgspec has decoded also is what it passes over unread: UTF-8, not too large, not too deep.

    Costs a few vectorised passes over some hundred values at a time, which then are still in the processor's cache.
    """
    return all(_sound(values[i : i + _PASS]) for i in range(0, len(values), _PASS))


def _sound(values: Sequence[bytes]) -> bool:
    longest, together = max(map(len, values)), b"".join(values)
    if longest > MAX_BYTES:
        return False
    if not together.isascii():
        try:
            together.decode()  # each ends with a bracket, so no character can span two
        except UnicodeDecodeError:
            return False
    letters = np.frombuffer(together, np.uint8)
    opening = letters == ord("{")
    if b"[" in together:
        opening |= letters == ord("[")
    at = np.flatnonzero(opening)
    # Only an event that holds more brackets than levels are allowed can be too deep.
    if len(at) <= MAX_DEPTH or (at[MAX_DEPTH:] - at[:-MAX_DEPTH]).min() >= longest:
        return True
    return not any(map(_too_deep, values))


def sound_alone(value: bytes) -> bool:
    """The same for one value."""
    if len(value) > MAX_BYTES or _too_deep(value):
        return False
    if not value.isascii():
        try:
            value.decode()
        except UnicodeDecodeError:
            return False
    return True


def _too_deep(value: bytes) -> bool:
    if value.count(b"{") + value.count(b"[") <= MAX_DEPTH:
        return False
    try:
        return _deeper(msgspec.json.decode(value), MAX_DEPTH)
    except (msgspec.MsgspecError, RecursionError):
        return True  # or something else that needs a closer look


def _deeper(event: object, limit: int) -> bool:
    """Whether containers nest more than `limit` deep; level by level, so depth costs no recursion."""
    level: list[Any] = [event]
    for _ in range(limit):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return False
    return True


def readings(lifecycle: Lifecycle, names: Names, types: Mapping[str, str]) -> list[Reading]:
    """How a lifecycle reads its topics; `types` says which series are counted, and as what."""
    source = lifecycle.source
    kinds = [(PREDICTIONS, source.predictions), (FEATURES, source.features)]
    return [Reading(lifecycle, kind, names, types) for kind, of in kinds if of is not None]
