"""What has been counted for one model since the last flush? Groups of events, and the summaries they become."""

from collections.abc import Iterator, Mapping
from datetime import timedelta

import numpy as np

from detectors.binning import Binner, Ints
from detectors.operations.repeats import pack
from detectors.reference.build import Reference
from detectors.reference.derived import Derivation, Vector
from detectors.reference.joint import Joint
from streams import segments
from streams.lifecycle import Lifecycle
from streams.messages import (
    Summary,
    add,
    capped,
    pack_cells,
    pack_counts,
    pack_sums,
)
from streams.outcomes import hopes_of, label_types, layout_of, sliced
from streams.profiling.codes import Codes
from streams.profiling.events import readings
from streams.profiling.labels import LabelReading, label_readings
from streams.profiling.outcomes import Tally
from streams.profiling.rows import Rows
from streams.profiling.vitals import Counted, Vitals, identify, settle
from streams.registry import Registered
from streams.topics import Names

WAITING_IDS = 20_000  # of a model: more of them are made a sample


class Group:
    """What was counted for one version, pane and combination of segment values of a model."""

    __slots__ = (
        "cells",
        "counted",
        "events",
        "hopes",
        "invalid",
        "lengths",
        "sums",
        "violations",
        "waiting",
    )

    def __init__(self, sheet: "Sheet", pane: int) -> None:
        self.events = 0
        self.counted = Counted(pane * sheet.pane_ms)
        self.cells = np.zeros(sheet.binner.total, np.int64)
        self.sums = np.zeros((len(sheet.binner.series), 2), np.int64)
        self.waiting: list[list[tuple[bytes, ...]]] = [[] for _ in sheet.rows]
        self.hopes: Ints | None = None  # predictions for an estimate
        self.lengths: list[int] = [0] * len(sheet.rows)  # events that wait
        self.invalid: dict[str, dict[str, int]] = {}
        self.violations: dict[str, dict[str, int]] = {}


class Sheet:
    """Everything counted for one model under one reference since the last flush."""

    def __init__(self, registered: Registered, names: Names) -> None:
        self._registered = registered
        self.lifecycle, reference = registered.lifecycle, registered.reference
        self.digest = reference.digest if reference else ""
        series = [r.series for r in reference.series] if reference else []
        self.binner = Binner(series)
        allowed, ranges = _allowed(self.lifecycle), _ranges(self.lifecycle)
        codes = {
            of.series.name: Codes(of, allowed.get(of.series.name))
            for of in self.binner.categories.values()
        }
        derived = _derived(self.lifecycle, reference)
        types: dict[str, str] = {s.name: s.type for s in series}
        types |= {d.feature: d.type for d in derived if not isinstance(d, Joint)}
        lengths = {d.feature: len(d.centre) for d in derived if isinstance(d, Vector)}
        self.readings = readings(self.lifecycle, names, types, codes, lengths)
        self.hopes = hopes_of(self.lifecycle, reference)
        self.rows = [
            Rows(reading, self.binner, codes, ranges, derived, self.hopes)
            for reading in self.readings
        ]
        self.vitals = [Vitals(reading, self.lifecycle) for reading in self.readings]
        self.segments = segments.compile_definitions(self.lifecycle, reference)
        self.labels, self.outcomes = _labels(self.lifecycle, reference, names, codes, self.segments)
        self.pane_ms = self.lifecycle.monitoring.window.pane // timedelta(milliseconds=1)
        self.groups: dict[tuple[str, int, tuple[str, ...]], Group] = {}

    def clear(self) -> None:
        """Forget what was counted since the last flush."""
        self.groups.clear()
        self.outcomes.clear()

    def __bool__(self) -> bool:
        return bool(self.groups or self.outcomes)

    def counts_for(self, registered: Registered) -> bool:
        """Whether this is what it was made from: nothing about the model was written since."""
        mine = self._registered
        return mine.lifecycle is registered.lifecycle and mine.reference is registered.reference

    def group(self, version: str, pane: int, values: tuple[str, ...]) -> Group:
        key = version, pane, values
        found = self.groups.get(key)
        if found is None:
            found = self.groups[key] = Group(self, pane)
        return found

    def settle(self) -> None:
        """Bin and count all rows that wait, one call per reading."""
        settle([(group.counted, group.invalid) for group in self.groups.values()])
        if sum(group.counted.waiting for group in self.groups.values()) > WAITING_IDS:
            identify([group.counted for group in self.groups.values()])
        for number, rows in enumerate(self.rows):
            waiting = [g for g in self.groups.values() if g.waiting[number]]
            if not waiting:
                continue
            packed = [part for group in waiting for part in group.waiting[number]]
            lengths = [group.lengths[number] for group in waiting]
            invalid = [group.invalid for group in waiting]
            violations = [group.violations for group in waiting]
            cells, sums, hopes = rows.count(packed, lengths, invalid, violations)
            if hopes is not None:
                for group, hoped in zip(waiting, hopes, strict=True):
                    group.hopes = hoped if group.hopes is None else group.hopes + hoped
            for group, more, moments in zip(waiting, cells, sums, strict=True):
                group.cells += more
                group.sums[rows.positions] += moments
                group.waiting[number].clear()
                group.lengths[number] = 0

    def summaries(self) -> Iterator[Summary]:
        """One per version, pane and segment, in that order; an event is in one segment of each definition."""
        identify([group.counted for group in self.groups.values()])
        total: dict[tuple[str, int, int, str], Group] = {}
        for (version, pane, values), group in self.groups.items():
            for number, definition in enumerate(self.segments):
                key = version, pane, number, definition.name_of(values)
                into = total.get(key)
                if into is None and len(self.segments) == 1 and not self.segments[0].by:
                    total[key] = group
                    continue
                into = total[key] = into or Group(self, pane)
                _merge(into, group)
        for version, pane, number, segment in sorted(total):
            group = total[version, pane, number, segment]
            yield Summary(
                model_id=self.lifecycle.model_id,
                model_version=version,
                segment=segment,
                definition=number,
                pane_start_ms=pane * self.pane_ms,
                reference_digest=self.digest,
                events=group.events,
                cells=pack_cells(group.cells),
                sums=pack_sums(group.sums),
                invalid=group.invalid,
                violations=group.violations,
                health=pack_counts(group.counted.vector),
                repeats=pack(group.counted.sample),
                names=capped(group.counted.names),
                hopes=pack_counts(group.hopes) if group.hopes is not None else b"",
            )


def _labels(
    lifecycle: Lifecycle,
    reference: Reference | None,
    names: Names,
    codes: Mapping[str, Codes],
    definitions: segments.Definitions,
) -> tuple[list[LabelReading], Tally]:
    """How labels are read, and where outcomes are counted."""
    types: dict[str, str] = {series.name: series.type for series in sliced(lifecycle, reference)}
    of_features = {name: codes[name] for name in types if name in codes}  # outputs stay texts
    types |= label_types(layout_of(lifecycle, reference))
    readings = label_readings(lifecycle, names, types, of_features)
    return readings, Tally(lifecycle, reference, of_features, definitions)


def _merge(into: Group, group: Group) -> None:
    into.events += group.events
    into.cells += group.cells
    into.sums += group.sums
    if group.hopes is not None:
        into.hopes = group.hopes if into.hopes is None else into.hopes + group.hopes
    into.counted.merge(group.counted)
    add(into.invalid, group.invalid)
    add(into.violations, group.violations)


def _ranges(lifecycle: Lifecycle) -> dict[str, tuple[float, float]]:
    """Declared bounds per numeric series; what lies outside is counted as a violation and binned as it is."""
    found = {f"feature:{n}": f.range for n, f in lifecycle.features.items() if f.range is not None}
    if lifecycle.prediction is not None and lifecycle.prediction.score_range is not None:
        found["score"] = lifecycle.prediction.score_range
    return {name: (float(low), float(high)) for name, (low, high) in found.items()}


def _derived(lifecycle: Lifecycle, reference: Reference | None) -> tuple[Derivation, ...]:
    """What is derived from events; the joint series only while they are asked for."""
    together = lifecycle.monitoring.drift_detection.data_drift.joint
    derived = reference.derived if reference is not None else ()
    return tuple(d for d in derived if together or not isinstance(d, Joint))


def _allowed(lifecycle: Lifecycle) -> dict[str, frozenset[str]]:
    """Declared values per categorical series; others are counted as a violation and where they belong."""
    return {
        f"feature:{name}": frozenset(feature.allowed)
        for name, feature in lifecycle.features.items()
        if feature.allowed is not None
    }


def count(into: dict[str, dict[str, int]], series: str, reason: str, n: int) -> None:
    of = into.setdefault(series, {})
    of[reason] = of.get(reason, 0) + n
