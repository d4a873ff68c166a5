"""Which outcomes does a reference know? The labels of its time, joined, read and filtered as production does."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import msgspec
import numpy as np

from detectors.performance.layout import Layout
from detectors.performance.reference import OutcomeReference, build_outcomes
from detectors.reference.build import Reference, to_document
from detectors.reference.outcomes import Known
from streams.broker import Record
from streams.joining.joiner import Joiner
from streams.joining.store import MemoryStore
from streams.lifecycle import Lifecycle
from streams.lifecycle.acts import windows
from streams.loop import drain
from streams.memory import MemoryBroker, MemoryLog
from streams.messages import mark_of
from streams.offline.sources import topic_of
from streams.outcomes import settings_of, slices_of, task_of
from streams.profiling.events import Topic
from streams.profiling.labels import LABELS, OUTCOMES, WHOLE
from streams.profiling.outcome_rows import ABSENT, NO_DAY, Chunk, Codes, counted
from streams.profiling.sheet import Sheet
from streams.registry import Registered, lifecycle_record, reference_record
from streams.topics import TOPICS, Names


class _Outcome(msgspec.Struct):
    """What tells outcomes apart."""

    event_id: str
    prediction_timestamp: int
    weight: int


def known_outcomes(
    lifecycle: Lifecycle,
    reference: Reference,
    labels: Sequence[bytes],
    predictions: Callable[[], Iterable[bytes]],
) -> tuple[Known | None, tuple[str, ...]]:
    """The outcomes of the time that a reference is of, and what they cannot support.

    Parameters
    ----------
    labels : label events; those that do not say what was predicted are joined
    predictions : gives the prediction events, if they are needed for that

    Returns
    -------
    known, warnings : None where no label can be used; warnings one line each, for a person
    """
    if not labels:
        return None, ("the data hold no labels: outcomes will have no reference",)
    sheet = Sheet(Registered(lifecycle, reference), Names())
    used = _count(sheet, LABELS, labels)
    if used < len(labels) and lifecycle.source.join is not None:
        used += _count(sheet, OUTCOMES, _joined(lifecycle, reference, labels, predictions()))
    rows = sheet.outcomes.rows()
    warnings = []
    if used < len(labels):
        left = len(labels) - used
        warnings.append(f"{left:,} of {len(labels):,} labels were left out: of no prediction")
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


def _count(sheet: Sheet, kind: str, values: Iterable[bytes]) -> int:
    """Read label events or outcomes into the sheet: how many of them were whole."""
    mine = [one for one in sheet.labels if one.kind == kind]
    topic, of_type = Topic(mine), {one.struct: one for one in mine}
    by_reading: defaultdict[type, list[Any]] = defaultdict(list)
    for offset, value in enumerate(values):
        found = topic.read_one(value, None)
        if found is not None:
            by_reading[type(found[0])].append(found[0])
            continue
        for _, event, _ in topic.look(Record("", 0, offset, None, None, value)).events:
            by_reading[type(event)].append(event)
    used = 0
    for kind_of_event, events in by_reading.items():
        reading = of_type[kind_of_event]
        if not reading.nameless:
            used += reading.whose(events).count(WHOLE)
            times = np.array([reading.time_ms(event) for event in events], np.int64)
            sheet.outcomes.add(reading, events, times)
    return used


def _joined(
    lifecycle: Lifecycle,
    reference: Reference,
    labels: Iterable[bytes],
    predictions: Iterable[bytes],
) -> list[bytes]:
    """What the joiner makes of them. Where it corrected a truth, the last one."""
    names, log = Names(), MemoryLog()
    read = [topic_of(lifecycle, "predictions", names), topic_of(lifecycle, "labels", names)]
    for topic in (*read, *(names(one.name) for one in TOPICS)):
        log.create(topic, 1)
    for record in (
        lifecycle_record(names, lifecycle),
        reference_record(names, lifecycle.model_id, reference.reference_id, to_document(reference)),
    ):
        log.append(record.topic, record.value, record.key, partition=record.partition)
    for topic, values in zip(read, (predictions, labels), strict=True):
        for value in values:
            log.append(topic, value)
    joiner = Joiner(names, lambda name: MemoryStore(), log.partition_count)
    drain(MemoryBroker(log, "joiner"), joiner, topics=read, followed=[names("models")])
    decode, kept = msgspec.json.Decoder(_Outcome).decode, dict[tuple[str, int], bytes]()
    for found in log.read(names("outcomes")):
        value = found.value or b""
        if mark_of(value) is not None:
            continue
        one = decode(value)
        key = one.event_id, one.prediction_timestamp
        if one.weight > 0:
            kept[key] = value
        else:
            kept.pop(key)
    return list(kept.values())


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
