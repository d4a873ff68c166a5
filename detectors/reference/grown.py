"""What is normal of a new version, where nobody built a reference for it? The first windows that it was healthy in."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from detectors.alarm.sequential import MIN_WINDOWS
from detectors.binning import Binner, Ints
from detectors.reference.build import dispersed
from detectors.reference.frozen import Blocks, BuiltFrom, Reference, SegmentReference, digest


class Seen(NamedTuple):
    """The counts of one window, in the cells of another reference."""

    start_ms: int
    events: int
    cells: Ints
    digest: str  # of that reference


def enough(windows: Sequence[Seen], least: int) -> bool:
    """Whether they are a reference: so many events, in windows from which dependence between rows can be told."""
    return len(windows) >= MIN_WINDOWS and sum(one.events for one in windows) >= least


def grown(
    former: Reference,
    windows: Sequence[Seen],
    segments: Mapping[str, Sequence[Seen]],
    *,
    reference_id: str,
    model_version: str,
    window_ms: int,
) -> Reference:
    """A reference with the edges of a former one and the counts of what was seen since.

    Parameters
    ----------
    former : whose cells the counts are in; its outcomes and its season are another version's, and left out
    windows : at least one, in order of time
    segments : the same for each segment
    """
    binner = Binner([one.series for one in former.series])
    counts = np.array([one.cells for one in windows], np.int64)
    total, events = counts.sum(0), np.array([one.events for one in windows])
    series = tuple(
        replace(one, counts=tuple(total[at : at + one.series.cells].tolist()), dispersion=())
        for one, at in zip(former.series, binner.offsets, strict=True)
    )
    whole = Reference(
        reference_id,
        former.model_id,
        model_version,
        BuiltFrom(
            "production",
            windows[0].start_ms,
            windows[-1].start_ms + window_ms,
            int(events.sum()),
        ),
        Blocks(window_ms, len(windows), int(np.median(events))),
        series,
        derived=former.derived,
    )
    whole = replace(whole, series=dispersed(whole, binner, counts))
    parts = tuple(_segment(binner, name, of) for name, of in sorted(segments.items()) if of)
    whole = replace(whole, segments=parts)
    return replace(whole, digest=digest(whole))


def _segment(binner: Binner, name: str, windows: Sequence[Seen]) -> SegmentReference:
    cells = np.array([one.cells for one in windows], np.int64).sum(0)
    counts = tuple(
        tuple(cells[at : at + series.cells].tolist())
        for series, at in zip(binner.series, binner.offsets, strict=True)
    )
    return SegmentReference(name, sum(one.events for one in windows), counts)
