"""Bytes in, typed events out: how the lifecycles that read a topic see each of its records.

Every lifecycle's source mapping is compiled once into a msgspec struct (a `Reading`), so that a good
event costs one decode. What the fast path refuses is looked at field by field: a bad field costs that
field, an event that nobody could ever read is a dead letter with its reason, and a model nobody
registered is counted. The outcome depends on the event alone, never on its neighbours.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from types import MappingProxyType
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from streams.broker import Record
from streams.errors import InvalidEvent
from streams.lifecycle import Lifecycle
from streams.lifecycle.paths import Const, Path
from streams.profiling.codes import Codes
from streams.profiling.fields import FIRST_MS, LAST_MS, MODEL_ID, value_at
from streams.profiling.labels import NOBODYS, LabelReading
from streams.profiling.reading import FEATURES, PREDICTIONS, Defects, Reading
from streams.profiling.wire import parse, sound, sound_alone
from streams.topics import Names


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
        self.labelled = any(isinstance(r, LabelReading) for r in readings)
        # lifecycles that find these fields in the same places see the same event
        nameless = {(r.wants, r.unit): r for r in readings if r.nameless}
        self._nameless = tuple(nameless.values())
        self.readings = tuple(r for r in readings if not r.nameless)
        self._constant = [r for r in self.readings if r.constant_id]
        self._by_path: dict[Path, dict[str, list[Reading]]] = {}
        for reading in self.readings:
            if not isinstance(reading.id_path, Const):
                by_model = self._by_path.setdefault(reading.id_path, {})
                by_model.setdefault(reading.model_id, []).append(reading)
        every = (*self.readings, *self._nameless)
        self.reading_of: dict[type, Reading] = {r.struct: r for r in every}
        self.formats = frozenset(r.format for r in every)
        self.max_ahead_ms = min(r.max_ahead_ms for r in every)
        self.milliseconds = all(r.unit == "ms" for r in every)
        places = {r.dotted["timestamp"] for r in every}
        self._time_of = attrgetter(*places) if len(places) == 1 else None
        self.decode = self._fast()
        self._decoders = [d for d in (self.decode, self._fast_nameless()) if d is not None]

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

    def _fast_nameless(self) -> Callable[[Any], Any] | None:
        """For labels without a model id, if all lifecycles mean the same by them."""
        if self.decode is None or len(self._nameless) != 1 or not self._nameless[0].fast:
            return None
        return msgspec.json.Decoder(self._nameless[0].struct).decode

    def read(
        self, values: Sequence[bytes | None], timestamps_ms: Sequence[int | None]
    ) -> tuple[list[Any], NDArray[np.int64]] | None:
        """The fast path for a whole batch: events and their times; None if one of them needs a closer look."""
        for decode in self._decoders:
            try:
                events = list(map(decode, values))
                times = self.times_ms(events)
                fine = sound(values) and not self._any_ahead(times, timestamps_ms)  # type: ignore[arg-type]
            except (msgspec.MsgspecError, RecursionError, TypeError, ValueError, OverflowError):
                continue
            return (events, times) if fine and self._usable(events) else None
        return None

    def read_one(self, value: bytes | None, timestamp_ms: int | None) -> tuple[Any, int] | None:
        """The fast path for one record: its event and time; None if it needs a closer look."""
        for decode in self._decoders if value else ():
            try:
                event = decode(value)
                reading = self.reading_of[type(event)]
                time_ms = reading.time_ms(event)
            except (msgspec.MsgspecError, RecursionError, TypeError, ValueError, OverflowError):
                continue
            too_far = timestamp_ms is not None and time_ms > timestamp_ms + reading.max_ahead_ms
            fine = not too_far and FIRST_MS <= time_ms <= LAST_MS and sound_alone(value)  # type: ignore[arg-type]
            return (event, time_ms) if fine and self._usable([event]) else None
        return None

    def _usable(self, events: Sequence[Any]) -> bool:
        """Whether none is a label that nobody can use; what is no label is usable."""
        if not self.labelled:
            return True
        of_type: defaultdict[type, list[Any]] = defaultdict(list)
        for event in events:
            of_type[type(event)].append(event)
        return not any(_any_nobodys(self.reading_of[kind], of) for kind, of in of_type.items())

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
            useless = False
            for reading in self._readers(event, record, found):
                if reading.accepts(event, record):
                    struct, defects = reading.read(event, record)
                    if _any_nobodys(reading, [struct]):  # but perhaps it is more than a label
                        useless = True
                        continue
                    self._check_ahead(reading, struct, record)
                    found.events.append((reading, struct, defects))
            if useless and not found.events:
                raise InvalidEvent("label_incomplete")
        except InvalidEvent as defect:
            found.dead = DeadLetter(record, defect.reason, str(defect))
            found.events.clear()
        return found

    def _readers(self, event: object, record: Record, found: Careful) -> list[Reading]:
        readers = list(self._constant)
        named = written = False
        for path, by_model in self._by_path.items():
            model_id = value_at(event, path, record)
            written |= model_id is not None
            if isinstance(model_id, str) and MODEL_ID(model_id):
                named = True
                readers += by_model.get(model_id, ())
                found.unregistered = model_id
        if readers:
            found.unregistered = None
        elif not named and not written and self._nameless:
            readers += self._nameless
        elif not named:
            raise InvalidEvent("model_id")
        return readers

    @staticmethod
    def _check_ahead(reading: Reading, event: Any, record: Record) -> None:
        if record.timestamp_ms is None:
            return
        if reading.time_ms(event) > record.timestamp_ms + reading.max_ahead_ms:
            raise InvalidEvent("timestamp_future")


def _any_nobodys(reading: Reading, events: Sequence[Any]) -> bool:
    return isinstance(reading, LabelReading) and NOBODYS in reading.whose(events)


def readings(
    lifecycle: Lifecycle,
    names: Names,
    types: Mapping[str, str],
    codes: Mapping[str, Codes] = MappingProxyType({}),
    lengths: Mapping[str, int] = MappingProxyType({}),
) -> list[Reading]:
    """How a lifecycle reads its topics. See `Reading` for what is given."""
    source = lifecycle.source
    kinds = [(PREDICTIONS, source.predictions), (FEATURES, source.features)]
    return [
        Reading(lifecycle, kind, names, types, codes, lengths)
        for kind, of in kinds
        if of is not None
    ]
