"""What is watched in one subject, and by which rules? Everything that a reference and a policy fix, compiled once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from detectors.alarm.scores import scores
from detectors.alarm.sequential import Panel, State, Watched, step, step_slots
from detectors.alarm.slots import Slots, seasonal_scores
from detectors.edges import MINIMUM_ROWS
from detectors.judging.gauge import Gates, Gauge, against, measure
from detectors.judging.rules import Rule
from detectors.reference.frozen import WINDOWS_WORTH, Reference, ReferenceSeries, SlotReference
from detectors.samples.effects import Floats, Interval, Ints
from detectors.series import Series

_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Policy:
    """When a window is judged, what is surprising and what matters.

    `rules` holds what was written of single series, by name: a method with its gates, or a literal rule. An episode
    opens only when a `share` of the `inputs` drift by themselves; 0: any will do.
    """

    log_threshold: float  # log A
    min_rows: int = 200
    hold: int = 3  # calm windows until an episode resolves
    gates: Gates = field(default_factory=Gates)
    history_ms: int = 30 * _DAY_MS
    rules: Mapping[str, Rule] = field(default_factory=dict)
    share: float = 0.0
    inputs: tuple[str, ...] = ()  # the series that the share is of


@dataclass(frozen=True, slots=True, eq=False)
class Watch:
    """The series that are watched: their places in `Plan.series`, their alarm and their effects.

    Under a season `panel` and `gauge` are those of the whole reference: they say how scores and effects are laid out,
    and `slots` holds what differs between slots.
    """

    positions: tuple[int, ...]
    panel: Panel
    gauge: Gauge
    literal: NDArray[np.bool_]  # (S,): series under a rule of their own, outside the budget
    inputs: NDArray[np.bool_]  # (S,): those that `Policy.share` is of
    budgeted: int  # how many series the budget pays for: those that are not under such a rule
    slots: Slots | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A reference and a policy, ready to judge windows of one segment.

    `series` and `offsets` say how the flat vector of `cells` counts is laid out: the cells of all series of the
    reference, one after another. All are counted, those of `watch` are judged.
    """

    policy: Policy
    series: tuple[Series, ...]
    offsets: tuple[int, ...]
    cells: int
    counts: Ints  # (cells,): the reference of this segment
    watch: Watch | None  # None: nothing can be watched
    too_small: tuple[
        int, ...
    ]  # positions of series whose reference holds too few rows to be watched
    notes: tuple[str, ...]  # conditions of the guarantee that do not hold

    @property
    def pool(self) -> Ints:
        """What the pool starts as: the reference, (cells,), or that of every slot, (slots, cells)."""
        return self.counts if self.slots is None else self.slots.references

    @property
    def slots(self) -> Slots | None:
        """What differs between the slots of a season."""
        return self.watch.slots if self.watch is not None else None

    def judges(self, slot: int) -> bool:
        """Whether the reference of a slot supports any verdict."""
        return self.slots is None or self.slots.judges(slot)

    def step(self, state: State, parts: Sequence[tuple[int, Ints]], at_ms: int) -> State:
        """The alarm's state after the rows of a window: (slot, counts) of every slot they fell into."""
        assert self.watch is not None  # else there is nothing to advance
        if self.slots is None:
            ((_, counts),) = parts
            return step(self.watch.panel, state, counts, at_ms)
        return step_slots([self.slots.part(*part) for part in parts], state, at_ms)

    def spread(self, slot: int, counts: Ints) -> Ints:
        """Counts of one slot in the shape of the pool; those add up over windows."""
        return counts if self.slots is None else self.slots.spread(slot, counts)

    def comparable(self, counts: Ints) -> tuple[Gauge, Ints]:
        """The gauge against what counts in the shape of the pool are compared with, and those as (cells,)."""
        assert self.watch is not None  # else there is nothing to compare
        if self.slots is None:
            return self.watch.gauge, counts
        reference, current = self.slots.comparable(counts)
        return against(self.watch.gauge, reference), current

    def thin(self, counts: Ints) -> tuple[tuple[int, ...], Ints]:
        """Positions of watched series whose reference is too small in the slots of these counts, and that reference."""
        if self.watch is None or self.slots is None:
            return (), self.counts
        held = np.flatnonzero(counts.any(1))
        of: list[bool] = np.any(self.slots.solid[held], axis=0).tolist()
        thin = tuple(at for at, solid in zip(self.watch.positions, of, strict=True) if not solid)
        return thin, self.slots.references[held].sum(0)

    def measure(self, counts: Ints) -> Interval:
        """All effects of counts in the shape of the pool."""
        return measure(*self.comparable(counts))

    @staticmethod
    def compile(
        reference: Reference, segment: str, policy: Policy, series: Sequence[str]
    ) -> "Plan":
        """Prepare to watch the named `series` of a segment (``all``, ``country=DE``).

        A segment that the reference does not contain has nothing to compare with: every verdict is insufficient.
        """
        every = tuple(r.series for r in reference.series)
        widths = [s.cells for s in every]
        offsets = tuple(sum(widths[:k]) for k in range(len(widths)))
        per_series, expected = _counts(reference, segment)
        counts = np.array([c for cells in per_series for c in cells], np.int64)
        rows = max(expected, float(policy.min_rows))
        expected = max(expected, 1.0)  # φ belongs to such windows, however many are judged together
        wanted = [k for k, s in enumerate(every) if s.name in series]
        values = [sum(cells[: s.values]) for s, cells in zip(every, per_series, strict=True)]
        solid = tuple(k for k in wanted if values[k] >= MINIMUM_ROWS)
        small = tuple(k for k in wanted if values[k] < MINIMUM_ROWS)
        watch, notes = None, []
        if solid:
            slots, per_window = _slots(reference, segment, len(counts), float(policy.min_rows))
            watched = [
                _watched(reference.series[k], offsets[k], np.array(per_series[k]), rows)
                if slots is None
                else _seasonal(reference.series[k], offsets[k], slots, per_window, rows)
                for k in solid
            ]
            panel = Panel.compile(watched, counts, expected)
            gauge = Gauge.compile(
                [every[k] for k in solid],
                watched,
                panel.place,
                counts,
                policy.gates,
                policy.min_rows,
                policy.rules,
            )
            of = [every[k] for k in solid]
            literal = np.array([rule.literal for rule in gauge.rules])
            watch = Watch(
                solid,
                panel,
                gauge,
                literal,
                np.array([every[k].name in policy.inputs for k in solid]),
                int((~literal).sum()),
                None if slots is None else Slots.compile(slots, per_window, of, watched, expected),
            )
            if not all(reference.series[k].dispersion for k in solid):
                notes.append("row dependence not calibrated")
            if max(sum(per_series[k]) for k in solid) < WINDOWS_WORTH * rows:
                notes.append(
                    f"the reference holds fewer than {WINDOWS_WORTH} windows of {rows:.0f} events"
                )
            if watch.literal.any():
                notes.append(
                    f"{int(watch.literal.sum())} series have rules of every window, outside the budget"
                )
        return Plan(policy, every, offsets, len(counts), counts, watch, small, tuple(notes))


def _counts(reference: Reference, segment: str) -> tuple[tuple[tuple[int, ...], ...], float]:
    """The counts of a segment per series, and its expected rows per window."""
    if segment == "all":
        return tuple(r.counts for r in reference.series), reference.rows
    for s in reference.segments:
        if s.segment == segment:
            return s.counts, reference.rows * s.events / max(reference.built_from.events, 1)
    return tuple((0,) * r.series.cells for r in reference.series), 0.0


def _slots(
    reference: Reference, segment: str, cells: int, least: float
) -> tuple[Ints | None, Floats]:
    """The counts of every slot of a segment, (S, cells), and its rows per window; None without a season."""
    if reference.season is None:
        return None, np.zeros(0)
    of: tuple[SlotReference, ...] = reference.slots
    if segment != "all":
        of = next((s.slots for s in reference.segments if s.segment == segment), ())
    counts = np.zeros((reference.season.slots, cells), np.int64)
    rows = np.full(len(counts), least)
    for s in of:
        counts[s.slot] = [c for cells_of in s.counts for c in cells_of]
        rows[s.slot] = max(least, s.events / s.windows)
    return counts, rows


def _seasonal(
    reference: ReferenceSeries, offset: int, slots: Ints, per_window: Floats, rows: float
) -> Watched:
    known = dict(reference.dispersion)
    largest = max(known.values(), default=1.0)
    cells = slots[:, offset : offset + reference.series.cells]
    found = seasonal_scores(reference.series, cells, per_window, rows)
    return Watched(offset, found, tuple(known.get(s.name, largest) for s in found))


def _watched(reference: ReferenceSeries, offset: int, counts: Ints, rows: float) -> Watched:
    """The scores with their φ; one that was not calibrated by name takes the series' largest."""
    known = dict(reference.dispersion)
    largest = max(known.values(), default=1.0)
    found = scores(reference.series, counts, rows)
    return Watched(offset, found, tuple(known.get(s.name, largest) for s in found))
