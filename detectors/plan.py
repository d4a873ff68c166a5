"""What is watched in one subject, and by which rules? Everything that a reference and a policy fix, compiled once."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from detectors.edges import MINIMUM_ROWS
from detectors.effects import Ints
from detectors.frozen import WINDOWS_WORTH, Reference, ReferenceSeries
from detectors.gauge import Gates, Gauge
from detectors.scores import scores
from detectors.sequential import Panel, Watched
from detectors.series import Series

_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Policy:
    """When a window is judged, what is surprising and what matters."""

    log_threshold: float  # log A
    min_rows: int = 200
    hold: int = 3  # calm windows until an episode resolves
    gates: Gates = field(default_factory=Gates)
    history_ms: int = 30 * _DAY_MS


@dataclass(frozen=True, slots=True, eq=False)
class Watch:
    """The series that are watched: their places in `Plan.series`, their alarm and their effects."""

    positions: tuple[int, ...]
    panel: Panel
    gauge: Gauge


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
        per_series, rows = _counts(reference, segment)
        counts = np.array([c for cells in per_series for c in cells], np.int64)
        rows = max(rows, float(policy.min_rows))
        wanted = [k for k, s in enumerate(every) if s.name in series]
        values = [sum(cells[: s.values]) for s, cells in zip(every, per_series, strict=True)]
        solid = tuple(k for k in wanted if values[k] >= MINIMUM_ROWS)
        small = tuple(k for k in wanted if values[k] < MINIMUM_ROWS)
        watch, notes = None, []
        if solid:
            watched = [
                _watched(reference.series[k], offsets[k], np.array(per_series[k]), rows)
                for k in solid
            ]
            panel = Panel.compile(watched, counts, rows)
            gauge = Gauge.compile(
                [every[k] for k in solid],
                watched,
                panel.place,
                counts,
                policy.gates,
                policy.min_rows,
            )
            watch = Watch(solid, panel, gauge)
            if not all(reference.series[k].dispersion for k in solid):
                notes.append("row dependence not calibrated")
            if max(sum(per_series[k]) for k in solid) < WINDOWS_WORTH * rows:
                notes.append(
                    f"the reference holds fewer than {WINDOWS_WORTH} windows of {rows:.0f} events"
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


def _watched(reference: ReferenceSeries, offset: int, counts: Ints, rows: float) -> Watched:
    """The scores with their φ; one that was not calibrated by name takes the series' largest."""
    known = dict(reference.dispersion)
    largest = max(known.values(), default=1.0)
    found = scores(reference.series, counts, rows)
    return Watched(offset, found, tuple(known.get(s.name, largest) for s in found))
