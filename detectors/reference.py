"""What is "normal"? Builds the frozen summary that windows are compared with, and says what it cannot support.

Its parts are in `detectors.frozen`, its written form in `detectors.document`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from detectors.binning import Binner, Column
from detectors.document import from_document, to_document
from detectors.edges import MINIMUM_ROWS, cut
from detectors.effects import Ints
from detectors.frozen import (
    WINDOWS_WORTH,
    Blocks,
    BuiltFrom,
    Reference,
    ReferenceSeries,
    SegmentReference,
    digest,
)
from detectors.scores import every_score
from detectors.sequential import MIN_WINDOWS, dispersion

__all__ = [
    "Blocks",
    "BuiltFrom",
    "Reference",
    "ReferenceSeries",
    "SegmentReference",
    "build",
    "digest",
    "from_document",
    "to_document",
]

BINS, MANY_BINS = 10, 20
MANY_ROWS = 2_000  # rows per window from which twenty cells are filled well enough
WANTED_ROWS = 10_000


def build(
    columns: Sequence[Column],
    times_ms: Ints | None,
    *,
    reference_id: str,
    model_id: str,
    model_version: str,
    source: str,
    window_ms: int,
    bins: int | None = None,
    segments: Mapping[str, Sequence[str]] | None = None,
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

    Returns
    -------
    reference, warnings : one line each, for a person

    Raises
    ------
    ValueError
        There is no row.

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
    blocks, windows = None, None
    if times_ms is not None:
        _, windows = np.unique(times_ms // window_ms, return_inverse=True)
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
    cuts = [cut(column, cells) for column in columns]
    warnings += [w for c in cuts for w in c.warnings]
    series = [c.series for c in cuts if c.series is not None]
    kept = [column for column, c in zip(columns, cuts, strict=True) if c.series is not None]
    binner = Binner(series)
    built = BuiltFrom(
        source,
        None if times_ms is None else int(times_ms.min()),
        None if times_ms is None else int(times_ms.max()) + 1,
        events,
    )
    reference = Reference(
        reference_id, model_id, model_version, built, blocks, _counted(binner, kept), ()
    )
    if windows is None or blocks is None:
        warnings.append("row dependence not calibrated: the reference has no event times")
    elif blocks.windows < MIN_WINDOWS:
        warnings.append(
            f"row dependence not calibrated: the reference spans {blocks.windows} windows, "
            f"of at least {MIN_WINDOWS} needed"
        )
    else:
        counts = binner.count(kept, windows, blocks.windows).cells
        reference = replace(reference, series=_dispersed(reference, binner, counts))
    reference = replace(reference, segments=_segments(binner, kept, segments or {}, warnings))
    return replace(reference, digest=digest(reference)), tuple(warnings)


def _counted(binner: Binner, columns: Sequence[Column]) -> tuple[ReferenceSeries, ...]:
    cells = binner.count(columns).cells[0]
    return tuple(
        ReferenceSeries(s, tuple(cells[at : at + s.cells].tolist()))
        for s, at in zip(binner.series, binner.offsets, strict=True)
    )


def _dispersed(reference: Reference, binner: Binner, counts: Ints) -> tuple[ReferenceSeries, ...]:
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
) -> tuple[SegmentReference, ...]:
    out = []
    for of_rows in segments.values():
        distinct, rows = np.unique(np.asarray(of_rows, object).astype(str), return_inverse=True)
        sizes = np.bincount(rows)
        counts = binner.count(columns, rows, len(distinct)).cells
        for segment, events, cells in zip(distinct.tolist(), sizes.tolist(), counts, strict=True):
            per_series = tuple(
                tuple(cells[at : at + s.cells].tolist())
                for s, at in zip(binner.series, binner.offsets, strict=True)
            )
            out.append(SegmentReference(segment, events, per_series))
            if events < MINIMUM_ROWS:
                warnings.append(
                    f"{segment}: only {events} events, of at least {MINIMUM_ROWS}: every verdict will be insufficient"
                )
    return tuple(out)
