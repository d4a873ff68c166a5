"""READ FIRST. From counts to decisions: merge, close windows, decide, alert, ask for retraining.

A deterministic fold over the partitions of `leeway.profiles`. The whole way of a window is in
`_measure` and `_judge`, in the order in which things happen. It makes no call to anybody and reads no
clock; what it concludes leaves in one transaction with the state it concluded it from.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple
from zlib import crc32

import msgspec
import numpy as np

from alerting.episodes import advance, inhibitor
from alerting.findings import from_intake, from_verdict
from alerting.identity import rfc3339
from alerting.notify import notify
from alerting.settings import Context, Receiver
from alerting.triggers import request
from alerting.types import Alert, Episode, Subject, Trigger, TriggerMemory
from detectors import decision
from detectors.types import Status, Verdict, Window
from streams import outputs
from streams.broker import Batch, Outgoing, Partition, Record, Work
from streams.kept import NOBODY, Kept, Part, restore
from streams.messages import Intake, Progress, Summary, decode_profile
from streams.plans import ModelPlan, compile_plan
from streams.registry import Registry
from streams.results import result
from streams.segments import ALL
from streams.topics import Names
from streams.watermarks import SourceProgress
from streams.windows import OpenWindow

MOST_EMPTY = 1_000  # windows in a row that are judged as silent; after that nothing is said until events return
MOST_SUBJECTS = (
    2_000  # version × segment of a model; what exceeds it is counted with the version's `all`
)
SLOT_MS = 5 * 60_000


@dataclass(slots=True)
class _Subject:
    """What is kept of one version × segment of a model."""

    memory: decision.Memory | None = None
    digest: str = ""  # of the reference that the memory belongs to
    late: int = 0
    windows: dict[int, dict[str, OpenWindow]] = field(
        default_factory=dict
    )  # by start and reference
    episode: Episode | None = None
    stored: tuple[int, ...] = ()  # windows of the history that are on the state topic
    unread: dict[str, object] = field(
        default_factory=dict
    )  # parts restored before the lifecycle was known


@dataclass(slots=True)
class _Model:
    """What is kept of one model."""

    judged_until_ms: int | None = None
    empty: int = 0  # silent windows in a row
    subjects: dict[tuple[str, str], _Subject] = field(default_factory=dict)
    trigger: TriggerMemory = field(default_factory=TriggerMemory)
    pipeline: Episode | None = None


@dataclass(slots=True)
class _Share:
    """Everything of one partition of `leeway.profiles`."""

    kept: Kept
    models: dict[str, _Model] = field(default_factory=dict)
    sources: dict[str, SourceProgress] = field(default_factory=dict)
    slots: dict[tuple[str, int], Intake] = field(default_factory=dict)
    intake: dict[str, Intake] = field(default_factory=dict)  # totals


class _Measured(NamedTuple):
    """A closed window's verdict, and the counts it came from (None: of another reference, or none)."""

    verdict: Verdict
    counted: OpenWindow | None


@dataclass(slots=True)
class Judged:
    """What the metrics want to know of the time since the last flush."""

    windows: Counter[tuple[str, str]] = field(default_factory=Counter)  # by model and verdict
    late: Counter[str] = field(default_factory=Counter)  # by model
    alerts: int = 0
    triggers: int = 0


class Judge:
    """The second stage. See `streams.broker.Stage` for what is called when.

    Parameters
    ----------
    names : full topic names
    partitions : partitions of `leeway.profiles`; a model's is the CRC-32 of its id
    receivers : who can be notified, without secrets
    console : address of the console's pages, for links
    """

    def __init__(
        self,
        names: Names,
        partitions: int,
        receivers: Sequence[Receiver],
        console: str | None = None,
    ) -> None:
        self._names, self._partitions = names, partitions
        self._receivers, self._console = tuple(receivers), console
        self._registry = Registry()
        self._plans: dict[str, ModelPlan] = {}
        self._planned = -1
        self._shares: dict[int, _Share] = {}
        self.judged = Judged()
        self._void()

    def _void(self) -> None:
        self._records: list[Outgoing] = []
        self._offsets: dict[Partition, int] = {}

    # ---- what the loop calls

    def gained(self, partition: Partition, kept: Iterator[Record]) -> None:
        if partition.topic != self._names("profiles"):
            return
        share = _Share(Kept(self._names("state"), partition.number))
        for part in restore(kept):
            _restore(share, part)
        self._shares[partition.number] = share

    def dropped(self, partition: Partition) -> None:
        if partition.topic == self._names("profiles"):
            self._shares.pop(partition.number, None)

    def follow(self, records: Sequence[Record]) -> None:
        self._registry.apply(records)

    def forget(self) -> None:
        self._shares.clear()
        self._void()

    def idle(self, silent_ms: Mapping[Partition, int]) -> None:
        """A silent input means nothing here: time comes from the profilers' reports."""

    def step(self, batch: Batch) -> None:
        """Fold records in, one after another; a report of progress may close windows."""
        self._plan()
        for value, partition, offset in zip(
            batch.values, batch.partitions, batch.offsets, strict=True
        ):
            self._offsets[Partition(batch.topic, partition)] = offset + 1
            share = self._shares.get(partition)
            if share is None or value is None or batch.topic != self._names("profiles"):
                continue
            record = decode_profile(value)
            if isinstance(record, Summary):
                self._merge(share, record)
            elif isinstance(record, Progress):
                share.sources.setdefault(record.source, SourceProgress()).add(record)
                self._put_progress(share, record.source)
                self._close(share, partition, record.source)
            else:
                self._take_in(share, partition, record)

    def flush(self) -> Work:
        """Everything concluded since the last flush, with the state it was concluded from."""
        said = bool(self._records)
        for _, share in sorted(self._shares.items()):
            self._records += share.kept.flush()
        work = Work(self._records, self._offsets, urgent=said)
        self._void()
        return work

    @property
    def urgent(self) -> bool:
        """Whether something was concluded that somebody waits for."""
        return bool(self._records)

    # ---- merging

    def _plan(self) -> None:
        if self._planned == self._registry.revision:
            return
        self._plans.clear()
        for model_id in self._registry.models:
            registered = self._registry.get(model_id)
            assert registered is not None  # it is in the list
            self._plans[model_id] = compile_plan(
                registered, self._names, self._receivers, self._console
            )
        self._planned = self._registry.revision

    def _merge(self, share: _Share, summary: Summary) -> None:
        plan = self._plans.get(summary.model_id)
        if plan is None:
            return  # its lifecycle was taken away after the profiler had counted
        model = share.models.setdefault(summary.model_id, _Model())
        segments = (ALL,) if summary.segment == ALL else (summary.segment,)
        if summary.definition == 0 and summary.segment != ALL:
            segments = (ALL, summary.segment)
        start = plan.start_of(summary.pane_start_ms)
        for segment in segments:
            key = summary.model_version, segment
            if key not in model.subjects and len(model.subjects) >= MOST_SUBJECTS:
                continue
            subject = model.subjects.setdefault(key, _Subject())
            if model.judged_until_ms is not None and start < model.judged_until_ms:
                subject.late += summary.events
                self._put_late(share, plan, summary.model_id, key, subject)
                if segment == ALL:
                    self.judged.late[summary.model_id] += summary.events
                continue
            of_start = subject.windows.setdefault(start, {})
            window = of_start.get(summary.reference_digest)
            if window is None:
                cells = len(summary.cells) // 4
                window = of_start[summary.reference_digest] = OpenWindow.empty(cells)
            window.merge(summary)
            part = _window_part(summary.model_id, *key, start, summary.reference_digest, window)
            share.kept.put(
                part, as_of=rfc3339(summary.pane_start_ms), revision=plan.lifecycle.revision
            )

    # ---- closing windows

    def _close(self, share: _Share, partition: int, source: str) -> None:
        """Judge every window that this source's watermark has passed."""
        plans = [
            (model_id, plan)
            for model_id, plan in self._plans.items()
            if source in plan.topics and crc32(model_id.encode()) % self._partitions == partition
        ]
        for model_id, plan in plans:
            if model_id in share.models:
                self._close_model(share, model_id, plan)
        self._close_slots(share, source, plans)

    def _close_model(self, share: _Share, model_id: str, plan: ModelPlan) -> None:
        until = _complete_until(share.sources, plan)
        model = share.models[model_id]
        if until is None:
            return
        moved = False
        while (start := _next_window(model, plan, until)) is not None:
            self._judge_model(share, model_id, model, plan, start)
            model.judged_until_ms = start + plan.window_ms
            moved = True
        if moved:
            self._put_model(share, model_id, model, plan)

    def _judge_model(
        self, share: _Share, model_id: str, model: _Model, plan: ModelPlan, start: int
    ) -> None:
        """Judge one window of all versions and segments; `all` first, then the segments by name."""
        due = [key for key, s in model.subjects.items() if start in s.windows]
        current = plan.lifecycle.version, ALL
        if due:
            model.empty = 0
        else:
            model.empty += 1
            due = [current] if current in model.subjects else []
        due.sort(key=lambda key: (key[0], key[1] != ALL, key[1]))
        measured = {key: self._measure(share, model_id, model, plan, key, start) for key in due}
        for key in due:
            self._judge(share, model_id, model, plan, key, measured)

    def _measure(
        self,
        share: _Share,
        model_id: str,
        model: _Model,
        plan: ModelPlan,
        key: tuple[str, str],
        start: int,
    ) -> _Measured:
        """Fold one closed window into the detector of its subject."""
        subject = model.subjects[key]
        by_digest = subject.windows.pop(start, {})
        for digest in by_digest:
            share.kept.delete(_window_part(model_id, *key, start, digest, None))
        counted = by_digest.get(plan.digest)
        events = sum(window.events for window in by_digest.values())
        panes = len({pane for window in by_digest.values() for pane in window.panes})
        window = Window(start, start + plan.window_ms, events, subject.late, panes)
        subject.late = 0
        detector = plan.detector(*key) if counted is not None or not by_digest else None
        memory = _memory(subject, plan, detector)
        cells = (
            counted.cells
            if counted is not None
            else np.zeros(detector.cells if detector else 0, np.int64)
        )
        after, verdict = decision.decide(detector, memory, window, cells)
        if detector is not None:
            subject.memory, subject.digest = after, plan.digest
            self._put_memory(share, model_id, plan, key, subject, window)
        return _Measured(verdict, counted)

    def _judge(
        self,
        share: _Share,
        model_id: str,
        model: _Model,
        plan: ModelPlan,
        key: tuple[str, str],
        measured: Mapping[tuple[str, str], _Measured],
    ) -> None:
        """From one verdict to everything that people and pipelines hear of it."""
        subject, (verdict, counted) = model.subjects[key], measured[key]
        about = Subject(model_id, *key)
        document = result(plan, about, verdict, counted)
        finding = from_verdict(verdict)
        context = Context(
            subject=about,
            at_ms=verdict.window.end_ms,
            window_ms=plan.window_ms,
            result_id=document.result_id,
            also_in=_also_in(key, measured),
            inhibited_by=inhibitor(finding.kind, about, _episodes(model), plan.lifecycle.version),
        )
        subject.episode, alerts = advance(plan.episodes, subject.episode, finding, context)
        triggers: tuple[Trigger, ...] = ()
        if key == (plan.lifecycle.version, ALL):
            model.trigger, triggers = request(
                plan.retraining,
                model.trigger,
                subject.episode,
                finding,
                context,
                _events_since(subject),
            )
        self._records.append(outputs.result_record(self._names, plan, document))
        self._publish(alerts, triggers)
        self._put_decisions(share, model_id, model, plan, key)
        self.judged.windows[model_id, verdict.status] += 1

    def _publish(self, alerts: Sequence[Alert], triggers: Sequence[Trigger]) -> None:
        self._records += outputs.alert_records(self._names, alerts)
        self._records += outputs.notification_records(
            self._names, alerts, notify(self._receivers, alerts)
        )
        self._records += outputs.trigger_records(self._names, triggers)
        self.judged.alerts += len(alerts)
        self.judged.triggers += len(triggers)

    # ---- what could not be used

    def _take_in(self, share: _Share, partition: int, intake: Intake) -> None:
        """Count what came in; one partition keeps the totals that people see."""
        key = intake.source, intake.slot_start_ms
        share.slots[key] = _sum(share.slots.get(key), intake)
        if partition == 0:
            share.intake[intake.source] = _sum(share.intake.get(intake.source), intake)
        self._put_intake(share, partition)

    def _close_slots(
        self, share: _Share, source: str, plans: Sequence[tuple[str, ModelPlan]]
    ) -> None:
        """Hold what was unusable in five minutes against the limit, once they are complete."""
        progress = share.sources[source]
        lateness = max((plan.lateness_ms for _, plan in plans), default=0)
        idle = max((plan.idle_ms for _, plan in plans), default=0)
        watermark = progress.watermark_ms(lateness, idle)
        starts = sorted(start for name, start in share.slots if name == source)
        for start in starts:
            end = start + SLOT_MS
            if watermark is not None:
                complete = watermark >= end
            else:  # where nothing valid moves time, a slot is over when the one after the next has begun
                stuck = not progress.highest_ms and starts[-1] >= end + SLOT_MS
                complete = stuck or progress.silent(idle)
            if complete:
                slot = share.slots.pop((source, start))
                for model_id, plan in plans:
                    self._judge_slot(share, model_id, plan, slot, end)

    def _judge_slot(
        self, share: _Share, model_id: str, plan: ModelPlan, slot: Intake, end: int
    ) -> None:
        bad = sum(slot.dead_letters.values())
        finding = from_intake(bad, bad + slot.events, slot.dead_letters, end - SLOT_MS, end)
        about = Subject(model_id, plan.lifecycle.version, ALL)
        context = Context(subject=about, at_ms=end, window_ms=SLOT_MS, result_id=None)
        model = share.models.get(model_id) or _Model()
        before = model.pipeline
        model.pipeline, alerts = advance(plan.episodes, before, finding, context)
        if model.pipeline is not before:
            share.models[model_id] = model
            self._publish(alerts, ())
            self._put_model(share, model_id, model, plan)

    # ---- what is kept

    def _put_late(
        self, share: _Share, plan: ModelPlan, model_id: str, key: tuple[str, str], subject: _Subject
    ) -> None:
        as_of = rfc3339(share.models[model_id].judged_until_ms or 0)
        part = Part(model_id, *key, "late", subject.late)
        share.kept.put(part, as_of=as_of, revision=plan.lifecycle.revision)

    def _put_memory(
        self,
        share: _Share,
        model_id: str,
        plan: ModelPlan,
        key: tuple[str, str],
        subject: _Subject,
        window: Window,
    ) -> None:
        """The detector's numbers, and each window of its history once."""
        as_of, revision = rfc3339(window.end_ms), plan.lifecycle.revision
        memory = subject.memory
        assert memory is not None
        data = {"digest": subject.digest, "memory": decision.to_data(memory)}
        share.kept.put(Part(model_id, *key, "detector", data), as_of=as_of, revision=revision)
        starts = tuple(past.window.start_ms for past in memory.history)
        for past in memory.history:
            if past.window.start_ms not in subject.stored:
                name = f"history/{past.window.start_ms}"
                data = {"window": msgspec.to_builtins(past.window), "cells": past.counts.tolist()}
                share.kept.put(Part(model_id, *key, name, data), as_of=as_of, revision=revision)
        for start in subject.stored:
            if start not in starts:
                share.kept.delete(Part(model_id, *key, f"history/{start}", None))
        subject.stored = starts
        if window.late:
            share.kept.delete(Part(model_id, *key, "late", None))

    def _put_decisions(
        self, share: _Share, model_id: str, model: _Model, plan: ModelPlan, key: tuple[str, str]
    ) -> None:
        episode, as_of = model.subjects[key].episode, rfc3339(model.judged_until_ms or 0)
        if episode is not None:
            part = Part(model_id, *key, "episodes", [msgspec.to_builtins(episode)])
            share.kept.put(part, as_of=as_of, revision=plan.lifecycle.revision)

    def _put_model(self, share: _Share, model_id: str, model: _Model, plan: ModelPlan) -> None:
        as_of, revision = rfc3339(model.judged_until_ms or 0), plan.lifecycle.revision
        progress = {"judged_until_ms": model.judged_until_ms, "empty": model.empty}
        share.kept.put(
            Part(model_id, NOBODY, NOBODY, "progress", progress), as_of=as_of, revision=revision
        )
        trigger = msgspec.to_builtins(model.trigger)
        share.kept.put(
            Part(model_id, NOBODY, NOBODY, "trigger", trigger), as_of=as_of, revision=revision
        )
        if model.pipeline is not None:
            part = Part(model_id, NOBODY, NOBODY, "episodes", [msgspec.to_builtins(model.pipeline)])
            share.kept.put(part, as_of=as_of, revision=revision)

    def _put_progress(self, share: _Share, source: str) -> None:
        progress = share.sources[source]
        as_of = rfc3339(max(progress.highest_ms.values(), default=0))
        part = Part(NOBODY, NOBODY, NOBODY, f"source/{source}", progress.to_data())
        share.kept.put(part, as_of=as_of, revision=None)

    def _put_intake(self, share: _Share, partition: int) -> None:
        as_of = rfc3339(max(start for _, start in share.slots))
        slots = [msgspec.to_builtins(share.slots[key]) for key in sorted(share.slots)]
        share.kept.put(Part(NOBODY, NOBODY, NOBODY, "slots", slots), as_of=as_of, revision=None)
        if partition == 0:
            sources = {
                name: msgspec.to_builtins(total) for name, total in sorted(share.intake.items())
            }
            part = Part(NOBODY, NOBODY, NOBODY, "intake", {"sources": sources})
            share.kept.put(part, as_of=as_of, revision=None)


def _complete_until(sources: Mapping[str, SourceProgress], plan: ModelPlan) -> int | None:
    """Event time up to which every source of a model is complete; None while that is not known."""
    times: list[int] = []
    for topic in plan.topics:
        source = sources.get(topic)
        if source is None:
            return None
        time = source.watermark_ms(plan.lateness_ms, plan.idle_ms)
        if time is None and not source.silent(plan.idle_ms):
            return None
        if time is None and source.highest_ms:
            # Nothing more comes: the window that holds the last event is complete as well.
            time = plan.start_of(max(source.highest_ms.values())) + plan.window_ms
        if time is not None:  # a silent topic that never held an event holds nobody up
            times.append(time)
    return min(times, default=None)


def _next_window(model: _Model, plan: ModelPlan, until: int) -> int | None:
    """Start of the next window that is complete, skipping what has been silent for too long."""
    waiting = min((s for subject in model.subjects.values() for s in subject.windows), default=None)
    start = model.judged_until_ms
    if start is None or (model.empty >= MOST_EMPTY and waiting is not None):
        start = waiting
    if start is None or start + plan.window_ms > until:
        return None
    if model.empty >= MOST_EMPTY and waiting is None:
        model.judged_until_ms = plan.start_of(until)
        return None
    return start


def _also_in(
    key: tuple[str, str], measured: Mapping[tuple[str, str], _Measured]
) -> tuple[str, ...]:
    """Other segments of the same version with a problem in this window."""
    loud = (Status.DRIFTING, Status.SEVERE)
    return tuple(
        segment
        for (version, segment), of in measured.items()
        if version == key[0] and segment not in (key[1], ALL) and of.verdict.status in loud
    )


def _episodes(model: _Model) -> Iterator[Episode]:
    of_subjects = (subject.episode for subject in model.subjects.values())
    return (episode for episode in chain([model.pipeline], of_subjects) if episode is not None)


def _events_since(subject: _Subject) -> Callable[[int], int]:
    """How many events of a subject were judged since a time, as far back as its windows are kept."""
    history = subject.memory.history if subject.memory is not None else ()
    return lambda since_ms: sum(p.window.events for p in history if p.window.end_ms > since_ms)


def _memory(
    subject: _Subject, plan: ModelPlan, detector: decision.Plan | None
) -> decision.Memory | None:
    """The subject's memory under the present reference: restored, kept, or fresh."""
    if detector is None:
        return subject.memory
    if subject.unread:
        parts, subject.unread = subject.unread, {}
        _restore_memory(subject, plan, detector, parts)
    if subject.memory is None or subject.digest != plan.digest:
        return decision.Memory.start(detector)
    return subject.memory


def _restore_memory(
    subject: _Subject, plan: ModelPlan, detector: decision.Plan, parts: Mapping[str, object]
) -> None:
    found = msgspec.convert(parts["detector"], dict[str, object])
    history = [
        decision.Past(msgspec.convert(past["window"], Window), np.array(past["cells"], np.int64))
        for name, past in sorted(parts.items())
        if name.startswith("history/") and isinstance(past, dict)
    ]
    history.sort(key=lambda past: past.window.start_ms)
    subject.stored = tuple(past.window.start_ms for past in history)
    if found["digest"] == plan.digest:
        subject.memory = decision.from_data(detector, found["memory"], tuple(history))
        subject.digest = plan.digest


def _window_part(
    model_id: str, version: str, segment: str, start: int, digest: str, window: OpenWindow | None
) -> Part:
    data = window.to_data() if window is not None else None
    return Part(model_id, version, segment, f"window/{start}/{digest}", data)


def _sum(total: Intake | None, more: Intake) -> Intake:
    if total is None:
        return more
    dead, unregistered = dict(total.dead_letters), dict(total.unregistered)
    for into, counts in ((dead, more.dead_letters), (unregistered, more.unregistered)):
        for name, n in counts.items():
            known = name in into or len(into) < 1_000
            name = name if known else "(other)"
            into[name] = into.get(name, 0) + n
    return Intake(
        total.source,
        max(total.slot_start_ms, more.slot_start_ms),
        total.events + more.events,
        dict(sorted(dead.items())),
        dict(sorted(unregistered.items())),
    )


def _restore(share: _Share, part: Part) -> None:
    """Put one kept part back in its place."""
    name, _, rest = part.name.partition("/")
    if part.model_id == NOBODY:
        if name == "source":
            share.sources[rest] = SourceProgress.from_data(part.data)
        elif name == "slots":
            slots = [msgspec.convert(slot, Intake) for slot in part.data]
            share.slots = {(slot.source, slot.slot_start_ms): slot for slot in slots}
        elif name == "intake":
            share.intake = {
                n: msgspec.convert(total, Intake) for n, total in part.data["sources"].items()
            }
        return
    model = share.models.setdefault(part.model_id, _Model())
    if part.version == NOBODY:
        if name == "progress":
            model.judged_until_ms, model.empty = part.data["judged_until_ms"], part.data["empty"]
        elif name == "trigger":
            model.trigger = msgspec.convert(part.data, TriggerMemory)
        elif name == "episodes":
            model.pipeline = msgspec.convert(part.data[0], Episode)
        return
    subject = model.subjects.setdefault((part.version, part.segment), _Subject())
    if name == "window":
        start, _, digest = rest.partition("/")
        subject.windows.setdefault(int(start), {})[digest] = OpenWindow.from_data(part.data)
    elif name == "episodes":
        subject.episode = msgspec.convert(part.data[0], Episode)
    elif name == "late":
        subject.late = part.data
    else:
        subject.unread[part.name] = part.data
