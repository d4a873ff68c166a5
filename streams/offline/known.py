"""Which outcomes does a reference know? Labels that say what was predicted, read and filtered as production does."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

import numpy as np

from detectors.performance.layout import Layout
from detectors.performance.reference import OutcomeReference, build_outcomes
from detectors.reference.build import Reference
from detectors.reference.outcomes import Known
from streams.broker import Record
from streams.lifecycle import Lifecycle
from streams.lifecycle.acts import windows
from streams.outcomes import settings_of, slices_of, task_of
from streams.profiling.events import Topic
from streams.profiling.labels import LABELS, WHOLE
from streams.profiling.outcome_rows import ABSENT, NO_DAY, Chunk, Codes, counted
from streams.profiling.sheet import Sheet
from streams.registry import Registered
from streams.topics import Names


def known_outcomes(
    lifecycle: Lifecycle, reference: Reference, labels: Iterable[bytes]
) -> tuple[Known | None, tuple[str, ...]]:
    """The outcomes of the time that a reference is of, and what they cannot support.

    Parameters
    ----------
    labels : label events; those that do not say what was predicted are left out

    Returns
    -------
    known, warnings : None where no label can be used; warnings one line each, for a person
    """
    sheet = Sheet(Registered(lifecycle, reference), Names())
    read, used = _count(sheet, labels)
    rows = sheet.outcomes.rows()
    warnings = []
    if used < read:
        warnings.append(
            f"{read - used:,} of {read:,} labels were left out: they do not say what was predicted"
        )
    if rows is None:
        return None, (*warnings, "no label can be used: outcomes will have no reference")
    made, more = _built(lifecycle, reference, rows, sheet)
    warnings += more
    if made is None:
        return None, tuple(warnings)
    if (rows.columns.lag_ms < 0).all():
        warnings.append(
            "reference labels are complete, early windows are not comparable: "
            "no label says when it was predicted"
        )
    rows = _recoded(rows, sheet.outcomes.texts(), made.layout)
    return _known(lifecycle, reference, made, rows, sheet), tuple(warnings)


def _count(sheet: Sheet, labels: Iterable[bytes]) -> tuple[int, int]:
    """Read label events into the sheet: how many there were, and how many of them were whole."""
    topic = Topic([one for one in sheet.labels if one.kind == LABELS])
    of_type = {one.struct: one for one in sheet.labels}
    read = used = 0
    by_reading: defaultdict[type, list[Any]] = defaultdict(list)
    for offset, value in enumerate(labels):
        read += 1
        found = topic.read_one(value, None)
        if found is not None:
            by_reading[type(found[0])].append(found[0])
            continue
        for _, event, _ in topic.look(Record("", 0, offset, None, None, value)).events:
            by_reading[type(event)].append(event)
    for kind, events in by_reading.items():
        reading = of_type[kind]
        if not reading.nameless:
            used += reading.whose(events).count(WHOLE)
            times = np.array([reading.time_ms(event) for event in events], np.int64)
            sheet.outcomes.add(reading, events, times)
    return read, used


def _built(
    lifecycle: Lifecycle, reference: Reference, rows: Chunk, sheet: Sheet
) -> tuple[OutcomeReference | None, tuple[str, ...]]:
    task, (classes, positive, score_range) = task_of(lifecycle, reference), settings_of(lifecycle)
    columns, texts = rows.columns, sheet.outcomes.texts()
    length = windows(lifecycle).outcomes or timedelta(days=1)
    said: tuple[Any, Any] = columns.label_values, columns.prediction_values
    if task != "number":
        codes = columns.labels.tolist(), columns.predictions.tolist()
        said = [texts.get(c) for c in codes[0]], [texts.get(c) for c in codes[1]]
    return build_outcomes(
        task,
        classes=classes,
        positive=positive,
        score_range=score_range,
        labels=said[0],
        predictions=said[1],
        scores=columns.scores,
        losses=columns.losses,
        times_ms=rows.panes * sheet.pane_ms,
        lag_ms=columns.lag_ms,
        window_ms=length // timedelta(milliseconds=1),
    )


def _recoded(rows: Chunk, texts: Mapping[int, str], layout: Layout) -> Chunk:
    """The same rows with the codes of another layout, each of them counted, in one pane and on no day."""
    codes, known = Codes(layout.classes), sorted(texts)
    place = np.full(max(known, default=0) + 2, ABSENT)  # the last one for what has no code
    place[known] = codes.of([texts[code] for code in known])
    columns = rows.columns
    none = np.zeros(len(rows.panes), np.int64)
    return rows._replace(
        panes=none,
        days=none + NO_DAY,
        counted=none == 0,
        columns=columns._replace(
            labels=place[columns.labels], predictions=place[columns.predictions]
        ),
        singles=[],
    )


def _known(
    lifecycle: Lifecycle, reference: Reference, made: OutcomeReference, rows: Chunk, sheet: Sheet
) -> Known:
    """With the counts of segments that the reference knows, and of slices."""
    segments = {}
    for definition in sheet.segments:
        subjects, of_key = sheet.outcomes.subjects(definition)
        names = sorted({name for _, name in subjects})
        place = np.array([names.index(name) for _, name in subjects])[of_key]
        for (segment, _), found in counted(made.layout, None, place[rows.keys], rows):
            segments[names[segment]] = found.cells
    known = [s.segment for s in reference.segments if s.segment in segments]
    slices = slices_of(lifecycle, reference, made.layout)
    of_slices = None
    if slices is not None:
        ((_, found),) = counted(made.layout, slices, np.zeros_like(rows.keys), rows)
        of_slices = (slices.digest, found.slices) if found.slices else None
    return Known(made, tuple((name, segments[name]) for name in known), of_slices)
