"""What did the past look like to the detectors? A source of events, counted into the windows production would judge.

The profiler of production counts, so what is counted, in which version, segment and cell, is what production would have
counted; only that no event is late here: a past is complete. Beside the counts stand the raw values of numbers, which
are needed to move them.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.binning import Column
from detectors.judging.memory import Past
from detectors.reference.build import Reference, to_document
from detectors.reference.joint import Joint
from detectors.types import Window
from streams.errors import UsageError
from streams.judging.plans import ModelPlan, compile_plan
from streams.judging.windows import OpenWindow
from streams.loop import drain
from streams.memory import MemoryBroker, MemoryLog
from streams.messages import Summary, decode_profile
from streams.offline.selection import Kind
from streams.offline.sources import Source, source_topics, topic_of
from streams.profiling.columns import Columns, columns
from streams.profiling.profiler import Profiler
from streams.registry import Registered, lifecycle_record, reference_record
from streams.segments import ALL
from streams.topics import TOPICS, Names

__all__ = ["History", "Subject", "read"]

Floats = NDArray[np.float64]
Subject = tuple[str, str]  # version, segment


@dataclass(frozen=True, slots=True)
class History:
    """One model's past, in windows.

    `windows` are those with events, in order; those counted under no reference that can be compared are not there.
    `numbers` holds the finite values of numeric series by the start of the window they were in, all versions together.
    """

    plan: ModelPlan
    reference: Reference
    windows: Mapping[Subject, tuple[Past, ...]]
    numbers: Mapping[str, Mapping[int, Floats]]
    events: int
    unusable: Mapping[str, int]  # events that are none, by reason
    incomparable: Mapping[str, int]  # events of versions that the reference is not of


def read(
    source: Source, reference: Reference, *, advance: Callable[[int], None] = lambda read: None
) -> History:
    """Read the past of the one lifecycle of a source.

    Raises
    ------
    UsageError
        No event of it can be compared with the reference.
    """
    (lifecycle,) = source.lifecycles
    names = Names()
    plan = compile_plan(Registered(lifecycle, reference), names, (), None)
    by_kind: dict[Kind, list[bytes]] = {}
    for chunk in source.chunks():
        if chunk.kind != "labels":
            by_kind.setdefault(chunk.kind, []).extend(chunk.events)
        advance(chunk.read)
    topics = source_topics(lifecycle, names)
    log = MemoryLog()
    for topic in topics:
        log.create(topic, 1)
    for topic_of_ours in TOPICS:
        log.create(names(topic_of_ours.name), 1)
    for record in (
        lifecycle_record(names, lifecycle),
        reference_record(names, lifecycle.model_id, reference.reference_id, to_document(reference)),
    ):
        log.append(record.topic, record.value, record.key, partition=record.partition)
    for kind, events in by_kind.items():
        topic = topic_of(lifecycle, kind, names)
        if topic not in topics:
            raise UsageError(
                f"these are {kind}, which no lifecycle reads: set --kind, or source.{kind}"
            )
        for event in events:
            log.append(topic, event)
    profiler = Profiler(names, 1, log.partition_count)
    followed = (names("models"),)
    drain(MemoryBroker(log, "profiler"), profiler, topics=sorted(topics), followed=followed)
    windows, incomparable = _windows(plan, log, names)
    if not windows:
        raise UsageError(_nothing(source, plan, reference, profiler, incomparable))
    numbers: dict[str, Mapping[int, Floats]] = {}
    for kind, events in by_kind.items():
        numbers |= _numbers(plan, reference, events, kind)
    unusable = Counter[str]()
    for (_, reason), n in profiler.seen.dead_letters.items():
        unusable[reason] += n
    unusable += profiler.seen.skipped
    return History(
        plan,
        reference,
        windows,
        numbers,
        sum(map(len, by_kind.values())),
        unusable,
        incomparable,
    )


def _windows(
    plan: ModelPlan, log: MemoryLog, names: Names
) -> tuple[dict[Subject, tuple[Past, ...]], Counter[str]]:
    """Merged as the judge merges: panes into windows, and the segments of the first grouping into all."""
    merged: defaultdict[Subject, dict[int, OpenWindow]] = defaultdict(dict)
    incomparable: Counter[str] = Counter()
    for record in log.read(names("profiles")):
        found = decode_profile(record.value or b"")
        if not isinstance(found, Summary):
            continue
        start = plan.start_of(found.pane_start_ms)
        for segment in dict.fromkeys([found.segment, *([ALL] if found.definition == 0 else [])]):
            if plan.detector(found.model_version, segment) is None:
                if segment == ALL:
                    incomparable[found.model_version] += found.events
                continue
            of = merged[found.model_version, segment]
            if start not in of:
                of[start] = OpenWindow.like(found)
            of[start].merge(found)
    return {
        subject: tuple(
            Past(
                Window(
                    start, start + plan.window_ms, w.events, 0, len(w.panes), plan.slot_of(start)
                ),
                w.cells,
            )
            for start, w in sorted(of.items())
        )
        for subject, of in sorted(merged.items())
    }, incomparable


def _numbers(
    plan: ModelPlan, reference: Reference, events: list[bytes], kind: str
) -> dict[str, Mapping[int, Floats]]:
    """Finite values of every numeric series of the reference, by window; what is derived from a feature too."""
    read = columns(plan.lifecycle, events, kind)
    numeric = {r.series.name for r in reference.series if r.series.numeric}
    starts = np.array([plan.start_of(t) for t in read.times_ms.tolist()], np.int64)
    order = np.argsort(starts, kind="stable")
    distinct, first = np.unique(starts[order], return_index=True)
    found: dict[str, Mapping[int, Floats]] = {}
    for name, values, odd in _measured(reference, read):
        if name in numeric:
            sorted_ = np.where(odd, np.nan, values)[order]
            parts = zip(distinct.tolist(), np.split(sorted_, first[1:]), strict=True)
            found[name] = {start: part[np.isfinite(part)] for start, part in parts}
    return found


def _measured(
    reference: Reference, read: Columns
) -> Iterator[tuple[str, Floats, NDArray[np.bool_]]]:
    """Numbers: those of features that are numbers, and those that the reference derives from other features."""
    of_feature = {one.feature: one for one in reference.derived if not isinstance(one, Joint)}
    for column in read.columns:
        if column.name in of_feature:
            one = of_feature[column.name]
            numbers = np.array([*map(one.measure(), column.values)], np.float64)
            for name, values in zip(one.names, numbers.reshape(-1, len(one.names)).T, strict=True):
                yield name, values, column.odd
        elif isinstance(column, Column) and column.type in ("number", "integer"):
            yield column.name, np.asarray(column.values, np.float64), column.odd


def _nothing(
    source: Source,
    plan: ModelPlan,
    reference: Reference,
    profiler: Profiler,
    incomparable: Mapping[str, int],
) -> str:
    """Why there is no window to judge."""
    wanted, season = plan.lifecycle.reference.season, reference.season
    if season is not None and season.name != wanted:
        return (
            f"the reference was built for season {season.name}, the lifecycle says {wanted}: "
            "build it anew with leeway baseline"
        )
    if incomparable:
        versions = ", ".join(sorted(incomparable))
        return (
            f"{source.name}: its events are of version {versions}, "
            f"the reference is of {reference.model_version}: nothing can be compared"
        )
    reasons = {reason for _, reason in profiler.seen.dead_letters} | set(profiler.seen.skipped)
    why = f" ({', '.join(sorted(reasons))})" if reasons else ""
    return f"{source.name}: none of its events is one of {plan.lifecycle.model_id}{why}"
