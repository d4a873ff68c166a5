"""Bytes in, typed events out: how the lifecycles that read a topic see each of its records.

Every lifecycle's source mapping is compiled once into a msgspec struct (a `Reading`), so that a good
event costs one decode. What the fast path refuses is looked at field by field: a bad field costs that
field, an event that nobody could ever read is a dead letter with its reason, and a model nobody
registered is counted. The outcome depends on the event alone, never on its neighbours.
"""

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

    def read_one(self, value: bytes | None, timestamp_ms: int | None) -> tuple[Any, int] | None:
        """The fast path for one record: its event and time; None if it needs a closer look."""
        if self.decode is None or not value:
            return None
        try:
            event = self.decode(value)
            reading = self.reading_of[type(event)]
            time_ms = reading.time_ms(event)
        except (msgspec.MsgspecError, RecursionError, TypeError, ValueError, OverflowError):
            return None
        too_far = timestamp_ms is not None and time_ms > timestamp_ms + reading.max_ahead_ms
        if too_far or not FIRST_MS <= time_ms <= LAST_MS or not sound_alone(value):
            return None
        return event, time_ms

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
            model_id = value_at(event, path, record)
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
