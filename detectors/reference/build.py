"""What is "normal"? Builds the frozen summary that windows are compared with, and says what it cannot support.

Its parts are in `detectors.reference.frozen`, its written form in `detectors.reference.document`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from detectors.alarm.scores import every_score
from detectors.alarm.sequential import MIN_WINDOWS, dispersion
from detectors.binning import Binner, Column
from detectors.edges import MINIMUM_ROWS, cut
from detectors.reference.derived import Raw, as_new, derive
from detectors.reference.document import from_document, to_document
from detectors.reference.frozen import (
    WINDOWS_WORTH,
    Blocks,
    BuiltFrom,
    Reference,
    ReferenceSeries,
    Season,
    SegmentReference,
    SlotReference,
    digest,
)
from detectors.reference.outcomes import Known
from detectors.reference.seasons import (
    DAYS,
    Seasonal,
    by_slot,
    chosen,
    of_windows,
    per_series,
    proposed,
    too_short,
    with_slots,
)
from detectors.samples.effects import Ints

__all__ = [
    "Blocks",
    "BuiltFrom",
    "Reference",
    "ReferenceSeries",
    "Season",
    "Seasonal",
    "SegmentReference",
    "SlotReference",
    "build",
    "digest",
    "from_document",
    "to_document",
    "with_outcomes",
]

BINS, MANY_BINS = 10, 20
MANY_ROWS = 2_000  # rows per window from which twenty cells are filled well enough
WANTED_ROWS = 10_000


def build(
    columns: Sequence[Column | Raw],
    times_ms: Ints | None,
    *,
    reference_id: str,
    model_id: str,
    model_version: str,
    source: str,
    window_ms: int,
    bins: int | None = None,
    segments: Mapping[str, Sequence[str]] | None = None,
    together: Sequence[str] = (),
    season: str | None = None,
    seasonal: Sequence[Seasonal] = (),
) -> tuple[Reference, tuple[str, ...]]:
    """Freeze a reference, and say what it cannot support.

    Parameters
    ----------
    columns : the series, in the lifecycle's order, all of one length
    times_ms : int64, shape (rows,)
        Event times; None if the data has none (a shuffled training set): then row dependence cannot be calibrated.
    window_ms : length of the windows production will be judged in
    bins : cells of a number; None: 10, or 20 from 2,000 rows per window
    segments : grouping -> the segment that each row is in (``country=DE``), already cut to the most frequent ones
    season : the name of one of `seasonal`: every slot of it gets a reference of its own; None: there are no slots
    seasonal : seasons to choose from, with the slot of every row; all rows of a window are in one slot. Without
        `season` they are compared, and one that explains most of how windows vary is proposed
    together : names of the numbers whose relations are watched (`detectors.reference.joint`); none: these are not

    Returns
    -------
    reference, warnings : one line each, for a person

    Raises
    ------
    ValueError
        There is no row, or `season` is none of `seasonal`.

    Examples
    --------
    >>> age = Column("feature:age", "integer", np.arange(20.0, 70.0).repeat(40), np.zeros(2000, bool))
    >>> reference, warnings = build([age], None, reference_id="r1", model_id="m", model_version="1",
    ...                             source="train.csv", window_ms=3_600_000, bins=4)
    >>> reference.series[0].series.edges, reference.series[0].counts
    ((32.5, 44.5, 57.5), (520, 480, 520, 480, 0, 0))
    >>> print(*warnings, sep=chr(10))
    the reference holds 2000 events, of at least 10000 wanted
    row dependence not calibrated: the reference has no event times
    """
    events = len(columns[0].values) if columns else 0
    if not events:
        raise ValueError("a reference needs events")
    slots_of = chosen(season, seasonal, times_ms)
    blocks, windows, first = None, None, None
    if times_ms is not None:
        _, first, windows = np.unique(times_ms // window_ms, return_index=True, return_inverse=True)
        sizes = np.bincount(windows)
        blocks = Blocks(window_ms, len(sizes), int(np.median(sizes)))
    warnings = []
    if events < WANTED_ROWS:
        warnings.append(f"the reference holds {events} events, of at least {WANTED_ROWS} wanted")
    if blocks and events < WINDOWS_WORTH * blocks.rows:
        warnings.append(
            f"the reference holds {events} events, fewer than {WINDOWS_WORTH} windows of {blocks.rows}"
        )
    cells = bins or (MANY_BINS if blocks and blocks.rows >= MANY_ROWS else BINS)
    enough = blocks is not None and blocks.windows >= MIN_WINDOWS
    groups = windows if enough and windows is not None else np.arange(events)
    found, derived, said = derive(columns, groups, together)
    kept = list(found)
    cuts = [cut(column, cells) for column in kept]
    warnings += [*said, *(w for c in cuts for w in c.warnings)]
    series = [c.series for c in cuts]
    for k, column in enumerate(kept):
        kept[k], more = as_new(column, groups)
        warnings += more
    binner = Binner(series)
    built = BuiltFrom(
        source,
        None if times_ms is None else int(times_ms.min()),
        None if times_ms is None else int(times_ms.max()) + 1,
        events,
        None if times_ms is None else int(np.diff(np.sort(times_ms)).max(initial=0)),
    )
    reference = Reference(
        reference_id,
        model_id,
        model_version,
        built,
        blocks,
        _counted(binner, kept),
        derived=derived,
    )
    if slots_of is not None and windows is not None and first is not None and blocks is not None:
        counts = binner.count(kept, windows, blocks.windows).cells
        reference, more = with_slots(reference, counts, of_windows(slots_of, first))
        warnings += more
        if too_short(reference, slots_of.season.name):
            warnings.append(
                f"reference.season: {slots_of.season.name} needs the windows of at least "
                f"{DAYS[slots_of.season.name]} days, the reference holds {blocks.windows}"
            )
    elif windows is None or first is None or blocks is None:
        warnings.append("row dependence not calibrated: the reference has no event times")
    elif blocks.windows < MIN_WINDOWS:
        warnings.append(
            f"row dependence not calibrated: the reference spans {blocks.windows} windows, "
            f"of at least {MIN_WINDOWS} needed"
        )
    else:
        counts = binner.count(kept, windows, blocks.windows).cells
        reference = replace(reference, series=dispersed(reference, binner, counts))
        candidates = [of_windows(one, first) for one in seasonal]
        warnings += proposed(reference, counts, candidates)
    reference = replace(
        reference, segments=_segments(binner, kept, segments or {}, warnings, reference, slots_of)
    )
    return replace(reference, digest=digest(reference)), tuple(warnings)


def with_outcomes(reference: Reference, known: Known) -> Reference:
    """The reference with its outcomes, under a digest of its own."""
    both = replace(reference, known=known)
    return replace(both, digest=digest(both))


def _counted(binner: Binner, columns: Sequence[Column]) -> tuple[ReferenceSeries, ...]:
    cells = binner.count(columns).cells[0]
    return tuple(
        ReferenceSeries(s, tuple(cells[at : at + s.cells].tolist()))
        for s, at in zip(binner.series, binner.offsets, strict=True)
    )


def dispersed(reference: Reference, binner: Binner, counts: Ints) -> tuple[ReferenceSeries, ...]:
    """The series with φ for every score that any window or segment may come to use."""
    out = []
    for r, at in zip(reference.series, binner.offsets, strict=True):
        windows = counts[:, at : at + r.series.cells]
        named = every_score(r.series, windows.sum(0), reference.rows)
        # Four decimals: a person reads them, and more would pretend to more than 30 windows know.
        phi = tuple((name, round(dispersion(windows, s), 4)) for name, s in named.items())
        out.append(replace(r, dispersion=phi))
    return tuple(out)


def _segments(
    binner: Binner,
    columns: Sequence[Column],
    segments: Mapping[str, Sequence[str]],
    warnings: list[str],
    reference: Reference,
    slots_of: Seasonal | None,
) -> tuple[SegmentReference, ...]:
    out = []
    windows = {s.slot: s.windows for s in reference.slots}
    for of_rows in segments.values():
        distinct, rows = np.unique(np.asarray(of_rows, object).astype(str), return_inverse=True)
        sizes = np.bincount(rows)
        counts = binner.count(columns, rows, len(distinct)).cells
        of_segments = by_slot(binner, columns, distinct, rows, slots_of)
        for segment, events, cells in zip(distinct.tolist(), sizes.tolist(), counts, strict=True):
            mine = tuple(
                SlotReference(slot, windows[slot], n, per_series(reference, of))
                for slot, n, of in of_segments.get(segment, ())
            )
            out.append(SegmentReference(segment, events, per_series(reference, cells), mine))
            if events < MINIMUM_ROWS:
                warnings.append(
                    f"{segment}: only {events} events, of at least {MINIMUM_ROWS}: every verdict will be insufficient"
                )
    return tuple(out)
