"""From events to counts: decode, bin, count, summarise. Stateless between commits.

The way of an event: `step` decodes a batch (fast, or record by record where something is wrong),
groups it by model, version, pane and segment, and packs its values; `flush` bins what waits and gives
out one summary per group, how far each source partition was read, and what was unusable, together
with the offsets all this used up.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import numpy as np

from detectors.operations.layout import STATUSES
from streams.broker import Batch, Outgoing, Partition, Record, Work
from streams.formats.unpacking import AS_IT_IS, Unpack
from streams.messages import (
    KIND,
    Intake,
    Profile,
    Progress,
    encode_profile,
    mark_of,
)
from streams.profiling.dead_letters import dead_letter
from streams.profiling.events import DeadLetter, Topic
from streams.profiling.labels import LabelReading
from streams.profiling.reach import Reach
from streams.profiling.reading import Defects, Reading
from streams.profiling.rows import Rows
from streams.profiling.sheet import Sheet, count
from streams.profiling.structs import Columns, columns
from streams.profiling.vitals import looked_at
from streams.registry import Registry
from streams.topics import Names

SETTLE_AT = 20_000  # rows that wait for numpy: fewer and its call overhead shows, more and they leave the cache
MAX_UNREGISTERED = 1_000  # names; the rest is one name
OTHER = "(other)"


@dataclass(slots=True)
class Seen:
    """What the metrics want to know of the time since the last flush."""

    events: Counter[str] = field(default_factory=Counter)  # by topic
    dead_letters: Counter[tuple[str, str]] = field(default_factory=Counter)  # by topic and reason
    fields: Counter[tuple[str, str]] = field(default_factory=Counter)  # by model and reason
    skipped: Counter[str] = field(default_factory=Counter)  # by reason
    nameless: int = 0  # events of unregistered models beyond the cap on their names
    predictions: Counter[tuple[str, str, str]] = field(
        default_factory=Counter
    )  # by model, version and status
    current: dict[str, str] = field(default_factory=dict)  # the version that answers, by model
    watermarks_ms: dict[Partition, int] = field(default_factory=dict)


class Profiler:
    """The first stage. See `streams.broker.Stage` for what is called when.

    Parameters
    ----------
    names : full topic names
    partitions : partitions of `leeway.profiles`
    partition_count : how many partitions a source topic has
    unpack : makes JSON of what a topic's records may be; as it is, no schema is known
    """

    def __init__(
        self,
        names: Names,
        partitions: int,
        partition_count: Callable[[str], int],
        unpack: Unpack = AS_IT_IS,
    ) -> None:
        self._names, self._partitions, self._unpack = names, partitions, unpack
        self._registry = Registry()
        self._compiled = -1  # revision of the registry that the rest was made from
        self._sheets: dict[str, Sheet] = {}
        self._rows: dict[type, tuple[Sheet, Reading, Rows, int]] = {}
        self._labels: dict[type, tuple[Sheet, LabelReading]] = {}
        self._topics: dict[str, Topic] = {}
        self.reach = Reach(partition_count)
        self.seen = Seen()
        self._void()

    @property
    def topics(self) -> tuple[str, ...]:
        """Every topic that a registered lifecycle reads, sorted."""
        self._compile()
        return tuple(sorted(self._topics))

    # ---- what the loop calls

    def gained(self, partition: Partition, kept: Iterator[Record]) -> None:
        self.reach.gained(partition)

    def dropped(self, partition: Partition) -> None:
        self.reach.dropped(partition)

    def follow(self, records: Sequence[Record]) -> None:
        self._registry.apply(records)

    def forget(self) -> None:
        """Nothing counted since the last commit is true any more, nor how far it reached."""
        for sheet in self._sheets.values():
            sheet.clear()
        self.reach.forget()
        self._void()

    def _void(self) -> None:
        self._waiting = 0
        self._dead: list[Outgoing] = []
        self._retired: list[Sheet] = []

    def step(self, batch: Batch) -> None:
        """Decode a batch, group it and pack its values."""
        self._compile()
        topic = self._topics.get(batch.topic)
        if topic is None:
            # No lifecycle reads it any more; its partitions leave with the next subscription.
            self._advance(batch, np.empty(0, np.int64), [])
            return
        batch = self._unpack(batch, topic.formats)
        if batch.topic == self._names("outcomes"):
            events, times, where = self._decode_outcomes(topic, batch)
        else:
            events, times, where = self._decode(topic, batch)
        self._advance(batch, times, where)
        self.reach.count_slots(batch.topic, times, where)
        if events:
            self._look_at_names(batch, events, times, where)
            self._add(topic, events, times)
            self._waiting += len(events)
            if self._waiting >= SETTLE_AT:
                self._settle()

    def heard(self) -> Collection[Partition]:
        """Partitions that brought usable events since this was last asked."""
        return self.reach.heard()

    def idle(self, silent_ms: Mapping[Partition, int]) -> None:
        """Note which partitions have crossed the silence after which some model leaves them out."""
        self._compile()
        self.reach.idle(silent_ms, self._idle_limits)

    def _advance(self, batch: Batch, times: Any, where: Sequence[int] | None) -> None:
        self.seen.events[batch.topic] += len(batch.partitions)
        self.seen.watermarks_ms |= self.reach.advance(batch, times, where)

    def flush(self) -> Work:
        """One summary per group, progress and intake for every judge, and the offsets all this used up."""
        self._compile()
        self._settle()
        records: list[Outgoing] = []
        for sheet in [*self._retired, *(self._sheets[model] for model in sorted(self._sheets))]:
            self._count_predictions(sheet)
            key = sheet.lifecycle.model_id.encode()
            records += [self._profile(summary, key=key) for summary in sheet.summaries()]
            records += [self._profile(found, key=key) for found in sheet.outcomes.records()]
            for reason, n in sheet.outcomes.defects.items():
                self.seen.fields[sheet.lifecycle.model_id, reason] += n
            sheet.clear()
        # Intake first: progress closes the slots that it belongs to.
        broadcasts: list[Intake | Progress] = [
            *self.reach.intake(),
            *self.reach.progress(self._topics),
        ]
        for broadcast in broadcasts:
            records += [self._profile(broadcast, partition=p) for p in range(self._partitions)]
        records += self._dead
        work = Work(records, self.reach.offsets)
        self.reach.void()
        self._void()
        return work

    def _count_predictions(self, sheet: Sheet) -> None:
        model_id = sheet.lifecycle.model_id
        for (version, _, _), group in sheet.groups.items():
            for status, n in zip((*STATUSES, "unknown"), group.counted.plain, strict=False):
                if n:
                    self.seen.predictions[model_id, version, status] += n
        if sheet.groups:
            self.seen.current[model_id] = sheet.lifecycle.version

    # ---- decoding

    def _compile(self) -> None:
        """Make everything that follows from the registered lifecycles; rows already packed keep their old sheet."""
        if self._compiled == self._registry.revision:
            return
        self._settle()
        former, self._sheets = self._sheets, {}
        self._rows.clear()
        self._labels.clear()
        by_topic: defaultdict[str, list[Reading]] = defaultdict(list)
        limits: defaultdict[str, set[int]] = defaultdict(set)
        panes: defaultdict[str, set[int]] = defaultdict(set)
        for model_id in self._registry.models:
            registered = self._registry.get(model_id)
            assert registered is not None  # it is in the list
            sheet = former.get(model_id)
            if sheet is None or not sheet.counts_for(registered):
                sheet = Sheet(registered, self._names)
            self._sheets[model_id] = sheet
            idle_ms = sheet.lifecycle.monitoring.window.idle // timedelta(milliseconds=1)
            for number, (reading, rows) in enumerate(zip(sheet.readings, sheet.rows, strict=True)):
                self._rows[reading.struct] = sheet, reading, rows, number
                by_topic[reading.topic].append(reading)
                limits[reading.topic].add(idle_ms)
                panes[reading.topic].add(sheet.pane_ms)
            for label in sheet.labels:
                self._labels[label.struct] = sheet, label
                by_topic[label.topic].append(label)
                limits[label.topic].add(idle_ms)
        kept = self._sheets.values()
        self._retired += [s for s in former.values() if s and s not in kept]
        self._topics = {name: Topic(of) for name, of in by_topic.items()}
        self._idle_limits = {name: tuple(sorted(of)) for name, of in limits.items()}
        # One length of pane for a whole topic, as nearly always, is grouped without a look at each event.
        self._pane_ms = {name: min(of) if len(of) == 1 else None for name, of in panes.items()}
        self._compiled = self._registry.revision

    def _decode(self, topic: Topic, batch: Batch) -> tuple[list[Any], Any, Sequence[int] | None]:
        """Events, their times, and which record of the batch each came from (None: one each, in order)."""
        fast = topic.read(batch.values, batch.timestamps_ms)
        if fast is not None:
            return *fast, None
        return self._decode_carefully(topic, batch)

    def _decode_outcomes(
        self, topic: Topic, batch: Batch
    ) -> tuple[list[Any], Any, Sequence[int] | None]:
        """The same for outcomes: between them the joiner says how far it has come."""
        at = []
        for index, value in enumerate(batch.values):
            if (mark := mark_of(value)) is None:
                at.append(index)
            else:
                self.reach.relay(mark)
        if len(at) == len(batch.values):
            return self._decode(topic, batch)
        if not at:
            return [], np.empty(0, np.int64), []
        events, times, where = self._decode(topic, batch.take(at))
        return events, times, at if where is None else [at[i] for i in where]

    def _decode_carefully(self, topic: Topic, batch: Batch) -> tuple[list[Any], Any, list[int]]:
        events: list[Any] = []
        times: list[int] = []
        where: list[int] = []
        highest = self.reach.highest_ms(batch)
        for index, value in enumerate(batch.values):
            number = batch.partitions[index]
            found = topic.read_one(value, batch.timestamps_ms[index])
            before = highest.get(number)
            if found is not None:
                events.append(found[0])
                times.append(found[1])
                where.append(index)
                highest[number] = max(before or found[1], found[1])
                continue
            record = batch.rows[index]
            careful = topic.look(record)
            for reading, event, defects in careful.events:
                events.append(event)
                times.append(reading.time_ms(event))
                where.append(index)
                highest[number] = max(highest.get(number) or times[-1], times[-1])
                if defects.of:
                    self._count_defects(reading, event, times[-1], defects)
            if careful.dead is not None:
                self._bury(careful.dead, before)
            elif careful.unregistered is not None:
                self._skip(record, before, careful.unregistered)
            elif not careful.events:
                self.seen.skipped["filtered"] += 1
        return events, np.array(times, np.int64), where

    def _count_defects(self, reading: Reading, event: Any, time_ms: int, defects: Defects) -> None:
        if isinstance(reading, LabelReading):
            of, _ = self._labels[reading.struct]
            of.outcomes.count_defects(reading, event, time_ms, defects)
            return
        sheet, _, _, _ = self._rows[reading.struct]
        group = sheet.group(*self._group_of(sheet, reading, event, time_ms // sheet.pane_ms))
        if "status" in defects.of:
            group.counted.unknown_status()
        for name, reason in defects.of.items():
            count(group.invalid, name, reason, 1)
            self.seen.fields[reading.model_id, reason] += 1

    def _bury(self, dead: DeadLetter, before_ms: int | None) -> None:
        self._dead.append(dead_letter(self._names, dead))
        letters = self.reach.beside(dead.record, before_ms).dead_letters
        letters[dead.reason] = letters.get(dead.reason, 0) + 1
        self.seen.dead_letters[dead.record.topic, dead.reason] += 1

    def _skip(self, record: Record, before_ms: int | None, model_id: str) -> None:
        names = self.reach.beside(record, before_ms).unregistered
        name = model_id if model_id in names or len(names) < MAX_UNREGISTERED else OTHER
        names[name] = names.get(name, 0) + 1
        self.seen.skipped["unregistered"] += 1
        self.seen.nameless += name is OTHER

    # ---- grouping and counting

    def _add(self, topic: Topic, events: list[Any], times: Any) -> None:
        if topic.labelled:
            events, times = self._add_labels(events, times)
            if not events:
                return
        for (kind, pane), of_pane in self._by_model_and_pane(topic, events, times):
            sheet, reading, rows, number = self._rows[kind]
            vitals = sheet.vitals[number]
            for version, values, of, fields in _split(sheet, reading, of_pane):
                usable = reading.version(version)
                group = sheet.group(usable, pane, values)
                group.events += len(of)
                if version is not None and version != usable:
                    count(group.invalid, "model_version", "model_version", len(of))
                    self.seen.fields[reading.model_id, "model_version"] += len(of)
                statuses = vitals.take(of, fields, group.counted, group.violations)
                if packed := rows.pack(of, fields, statuses):
                    group.waiting[number].append(packed)
                    group.lengths[number] += len(of)

    def _look_at_names(
        self, batch: Batch, events: list[Any], times: Any, where: Sequence[int] | None
    ) -> None:
        """Note features that nobody declared, in one event of many: which one, the event alone decides."""
        values = batch.values if where is None else [batch.values[i] for i in where]
        for k in looked_at(times, values):
            event, value = events[k], values[k]
            of = self._rows.get(type(event))
            if of is None or value is None:
                continue
            sheet, reading, _, number = of
            if names := sheet.vitals[number].undeclared(value):
                pane = int(times[k]) // sheet.pane_ms
                sheet.group(*self._group_of(sheet, reading, event, pane)).counted.name(names)

    def _add_labels(self, events: list[Any], times: Any) -> tuple[list[Any], Any]:
        """Hand labels to who counts them; what is left are predictions and feature events on the same topic."""
        of_type: defaultdict[type, list[int]] = defaultdict(list)
        for place, event in enumerate(events):
            of_type[type(event)].append(place)
        rest: list[int] = []
        for kind, places in of_type.items():
            if kind not in self._labels:
                rest += places
                continue
            sheet, reading = self._labels[kind]
            if not reading.nameless:
                all_of_it = len(places) == len(events)
                mine = events if all_of_it else [events[i] for i in places]
                sheet.outcomes.add(reading, mine, times if all_of_it else times[places])
        return [events[i] for i in sorted(rest)], times[sorted(rest)]

    def _by_model_and_pane(self, topic: Topic, events: list[Any], times: Any) -> Iterator[Any]:
        pane_ms = self._pane_ms[topic.readings[0].topic]
        if pane_ms is not None:
            panes = times // pane_ms
            first = int(panes[0])
            if (panes == first).all():
                by_type: defaultdict[type, list[Any]] = defaultdict(list)
                for event in events:
                    by_type[type(event)].append(event)
                yield from (((kind, first), of) for kind, of in by_type.items())
                return
            at: Iterator[int] = iter(panes.tolist())
        else:
            at = (
                t // self._rows[type(e)][0].pane_ms
                for e, t in zip(events, times.tolist(), strict=True)
            )
        groups: defaultdict[tuple[type, int], list[Any]] = defaultdict(list)
        for event, pane in zip(events, at, strict=True):
            groups[type(event), pane].append(event)
        yield from groups.items()

    def _group_of(
        self, sheet: Sheet, reading: Reading, event: Any, pane: int
    ) -> tuple[str, int, tuple[str, ...]]:
        read = reading.attribute.get("model_version")
        ((values, _),) = sheet.segments.split([event], reading)
        return reading.version(read(event) if read else None), pane, values

    def _settle(self) -> None:
        for sheet in self._sheets.values():
            if sheet.groups:
                sheet.settle()
        self._waiting = 0

    def _profile(
        self,
        record: Profile,
        *,
        key: bytes | None = None,
        partition: int | None = None,
    ) -> Outgoing:
        kind = type(record).__name__.lower().encode()
        return Outgoing(
            self._names("profiles"), key, encode_profile(record), ((KIND, kind),), partition
        )


def _split(
    sheet: Sheet, reading: Reading, events: list[Any]
) -> Iterator[tuple[Any, tuple[str, ...], list[Any], Columns]]:
    """Events of one reading by the version they name and their segments' values, with their fields.

    The version nearly always is the same for all: looking first is cheaper than grouping.
    """
    fields = columns(events) if not sheet.segments.simple else None
    versions: Sequence[Any] = (None,)
    if "model_version" in reading.extract:
        versions = (
            reading.extract["model_version"](fields)
            if fields is not None
            else list(map(reading.attribute["model_version"], events))
        )
    first = versions[0]
    if versions.count(first) == len(versions):
        if fields is not None:
            yield first, (), events, fields
            return
        groups = {first: events}
    else:
        groups = defaultdict(list)
        for version, event in zip(versions, events, strict=True):
            groups[version].append(event)
    for version, of_version in groups.items():
        for values, of in sheet.segments.split(of_version, reading):
            yield version, values, of, columns(of)
