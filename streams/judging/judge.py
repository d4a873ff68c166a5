"""READ FIRST. From counts to decisions: merge, close windows, decide, alert, ask for retraining.

A deterministic fold over the partitions of `leeway.profiles`. The whole way of a window is in
`_measure` and `_judge`, in the order in which things happen. It makes no call to anybody and reads no
clock; what it concludes leaves in one transaction with the state it concluded it from.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from zlib import crc32

import msgspec
import numpy as np

from alerting.episodes import advance, inhibitor, resolve
from alerting.findings import from_intake, from_verdict
from alerting.notify import notify
from alerting.settings import Context, Receiver
from alerting.triggers import request
from alerting.types import Alert, Subject, Trigger
from detectors.judging import decision
from detectors.types import Status, Verdict, Window
from streams.broker import Batch, Outgoing, Partition, Record, Work
from streams.errors import StateError
from streams.judging import outputs
from streams.judging.plans import ModelPlan, compile_plan
from streams.judging.results import result
from streams.judging.share import ModelState, Share, SubjectKey, SubjectState
from streams.judging.watermarks import SourceProgress
from streams.judging.windows import OpenWindow
from streams.messages import SLOT_MS, Intake, Progress, Slot, Summary, decode_profile
from streams.registry import Registry
from streams.segments import ALL
from streams.topics import Names

MOST_EMPTY = (
    1_000  # silent windows in a row that are judged; then nothing is said until events return
)
MOST_SUBJECTS = 2_000  # version × segment of a model; what exceeds it is left out and counted
_LOUD = (Status.DRIFTING, Status.SEVERE)
_NOBODY_READS_MS = 2**62  # later than any slot


class _Measured(NamedTuple):
    """A closed window's verdict, and the counts it came from (None: of another reference, or none)."""

    verdict: Verdict
    counted: OpenWindow | None
    anew: bool = False  # the detector knew nothing of what came before


@dataclass(slots=True)
class Judged:
    """What the metrics want to know; they take it away and begin anew."""

    windows: Counter[tuple[str, str]] = field(default_factory=Counter)  # by model and verdict
    late: Counter[str] = field(default_factory=Counter)  # events by model
    capped: int = 0  # summaries of subjects beyond the cap


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
        self._planned = -1  # revision of the registry that the plans were made from
        self._shares: dict[int, Share] = {}
        self.judged = Judged()
        self._void()

    def _void(self) -> None:
        self._concluded: list[Outgoing] = []
        self._offsets: dict[Partition, int] = {}

    # ---- what the loop calls

    def gained(self, partition: Partition, kept: Iterator[Record]) -> None:
        self._shares[partition.number] = Share(self._names("state"), partition.number, kept)

    def dropped(self, partition: Partition) -> None:
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
            if share is None or value is None:
                continue
            try:
                record = decode_profile(value)
            except msgspec.MsgspecError as error:
                place = f"{batch.topic}-{partition}, offset {offset}"
                raise StateError(f"{place}: not a record of this Leeway: {error}") from None
            if isinstance(record, Summary):
                self._merge(share, record)
            elif isinstance(record, Intake):
                share.take_in(record)
            elif isinstance(record, Progress):
                self._advance(share, record)

    def flush(self) -> Work:
        """Everything concluded since the last flush, with the state it was concluded from."""
        concluded, offsets = self._concluded, self._offsets
        kept = [record for _, share in sorted(self._shares.items()) for record in share.flush()]
        self._void()
        return Work([*concluded, *kept], offsets)

    @property
    def urgent(self) -> bool:
        """Whether something was concluded that somebody waits for."""
        return bool(self._concluded)

    def _plan(self) -> None:
        """Compile what is registered, once for every change."""
        if self._planned == self._registry.revision:
            return
        self._plans.clear()
        for model_id in self._registry.models:
            of = self._registry.get(model_id)
            assert of is not None  # it is in the list
            self._plans[model_id] = compile_plan(of, self._names, self._receivers, self._console)
        self._planned = self._registry.revision

    # ---- merging

    def _merge(self, share: Share, summary: Summary) -> None:
        """Add a summary to its window, and to that of `all`; a window that was judged takes no more."""
        plan = self._plans.get(summary.model_id)
        if plan is None:
            return  # its lifecycle was taken away after the profiler had counted
        model = share.models.setdefault(summary.model_id, ModelState())
        share.align(plan)
        start = plan.start_of(summary.pane_start_ms)
        segments = {summary.segment: None} | ({ALL: None} if summary.definition == 0 else {})
        for segment in segments:
            key = summary.model_version, segment
            if key not in model.subjects and len(model.subjects) >= MOST_SUBJECTS:
                self.judged.capped += 1
                continue
            subject = model.subjects.setdefault(key, SubjectState())
            if model.judged_until_ms is not None and start < model.judged_until_ms:
                subject.late += summary.events
                self.judged.late[summary.model_id] += summary.events if segment == ALL else 0
                share.put_late(plan, key)
                continue
            windows = subject.windows.setdefault(start, {})
            if summary.reference_digest not in windows:
                windows[summary.reference_digest] = OpenWindow.like(summary)
            windows[summary.reference_digest].merge(summary)
            share.put_window(plan, key, start, summary.reference_digest)

    # ---- closing windows

    def _advance(self, share: Share, progress: Progress) -> None:
        """Take note of how far a source was read, and judge everything that is complete now."""
        share.sources.setdefault(progress.source, SourceProgress()).add(progress)
        share.put_source(progress.source)
        readers = [
            plan
            for model_id, plan in self._plans.items()
            if progress.source in plan.topics
            and crc32(model_id.encode()) % self._partitions == share.partition
        ]
        for plan in readers:
            self._close(share, plan)
        if not share.sources[progress.source].highest_ms:
            self._close_blind(share, progress.source, readers)
            return
        models = [share.models.get(plan.lifecycle.model_id) for plan in readers]
        judged = [model.slots_until_ms if model is not None else 0 for model in models]
        share.forget_slots(progress.source, min(judged, default=_NOBODY_READS_MS))

    def _close(self, share: Share, plan: ModelPlan) -> None:
        """Judge a model's windows, and what came in, in order of their ends: however many are complete at once."""
        until = _complete_until(share.sources, plan)
        if until is None:
            return
        model = share.models.setdefault(plan.lifecycle.model_id, ModelState())
        share.align(plan)
        slots = _complete_slots(share, plan, model, until)
        moved = False
        while True:
            window, slot = _next_window(model, plan, until), slots[0] if slots else None
            if slot is not None and (window is None or slot.end_ms <= window + plan.window_ms):
                model.slots_until_ms = slots.pop(0).end_ms
                self._judge_slot(share, plan, slot)
            elif window is not None:
                model.judged_until_ms = window + plan.window_ms
                self._judge_all(share, plan, window)
            else:
                break
            moved = True
        if moved:
            share.put_model(plan)

    def _judge_all(self, share: Share, plan: ModelPlan, start: int) -> None:
        """Judge one window of all versions and segments; `all` first, then the segments by name."""
        model = share.models[plan.lifecycle.model_id]
        due = [key for key, subject in model.subjects.items() if start in subject.windows]
        model.empty = 0 if due else model.empty + 1
        current = plan.lifecycle.version, ALL
        if not due and current in model.subjects:
            due = [current]  # silence is judged too: it is insufficient, never stable
        due.sort(key=lambda key: (key[0], key[1] != ALL, key[1]))
        measured = {key: self._measure(share, plan, key, start) for key in due}
        for key in due:
            self._judge(share, plan, key, measured)

    def _measure(self, share: Share, plan: ModelPlan, key: SubjectKey, start: int) -> _Measured:
        """Fold one closed window into the detector of its subject."""
        subject = share.models[plan.lifecycle.model_id].subjects[key]
        closed = share.close_window(plan, key, start)
        counted = closed.get(plan.digest)
        events = sum(window.events for window in closed.values())
        panes = len({pane for window in closed.values() for pane in window.panes})
        slot = plan.slot_of(start)
        window = Window(start, start + plan.window_ms, events, subject.late, panes, slot)
        if subject.late:
            subject.late = 0
            share.put_late(plan, key)
        # Counts of other edges can be compared with nothing.
        detector = plan.detector(*key) if counted is not None or not closed else None
        if detector is None:
            _, verdict = decision.decide(None, None, window, np.zeros(0, np.int64))
            return _Measured(verdict, counted)
        memory, anew = subject.recall(plan, detector)
        cells = counted.cells if counted is not None else np.zeros(detector.cells, np.int64)
        subject.memory, verdict = decision.decide(detector, memory, window, cells)
        share.put_memory(plan, key, detector, memory, window)
        return _Measured(verdict, counted, anew)

    def _judge(
        self,
        share: Share,
        plan: ModelPlan,
        key: SubjectKey,
        measured: Mapping[SubjectKey, _Measured],
    ) -> None:
        """From one verdict to everything that people and pipelines hear of it."""
        model = share.models[plan.lifecycle.model_id]
        subject, (verdict, counted, anew) = model.subjects[key], measured[key]
        about = Subject(plan.lifecycle.model_id, *key)
        document = result(plan, about, verdict, counted)
        finding = from_verdict(verdict)
        context = Context(
            subject=about,
            at_ms=verdict.window.end_ms,
            window_ms=plan.window_ms,
            result_id=document.result_id,
            also_in=_also_in(key, measured),
            inhibited_by=inhibitor(finding.kind, about, model.episodes, plan.lifecycle.version),
        )
        before = subject.episode
        ended: tuple[Alert, ...] = ()
        if anew and before is not None and before.open:  # another reference: the present is normal
            subject.episode, ended = resolve(plan.episodes, before, "rebaselined", context)
        subject.episode, alerts = advance(plan.episodes, subject.episode, finding, context)
        triggers: tuple[Trigger, ...] = ()
        if key == (plan.lifecycle.version, ALL):
            model.trigger, triggers = request(
                plan.retraining, model.trigger, subject.episode, finding, context, _counter(subject)
            )
        self._concluded.append(outputs.result_record(self._names, plan, document))
        self._publish((*ended, *alerts), triggers)
        if subject.episode is not before:
            share.put_episode(plan, key)
        self.judged.windows[plan.lifecycle.model_id, verdict.status] += 1

    def _publish(self, alerts: Sequence[Alert], triggers: Sequence[Trigger]) -> None:
        notifications = notify(self._receivers, alerts)
        self._concluded += outputs.alert_records(self._names, alerts)
        self._concluded += outputs.notification_records(self._names, alerts, notifications)
        self._concluded += outputs.trigger_records(self._names, triggers)

    # ---- what could not be used

    def _close_blind(self, share: Share, source: str, readers: Sequence[ModelPlan]) -> None:
        """Where nothing valid moves time, a slot ends when the one after the next begins, or nothing comes any more."""
        silent = share.sources[source].silent(max((plan.idle_ms for plan in readers), default=0))
        starts = sorted(start for name, start in share.slots if name == source)
        for start in starts:
            if silent or starts[-1] >= start + 2 * SLOT_MS:
                slot = share.slots.pop((source, start))
                share.put_intake()
                for plan in readers:
                    self._judge_slot(share, plan, slot)

    def _judge_slot(self, share: Share, plan: ModelPlan, slot: Slot) -> None:
        """Hold what was unusable in five minutes against the limit."""
        bad = sum(slot.dead_letters.values())
        finding = from_intake(bad, bad + slot.events, slot.dead_letters, slot.start_ms, slot.end_ms)
        about = Subject(plan.lifecycle.model_id, plan.lifecycle.version, ALL)
        context = Context(subject=about, at_ms=slot.end_ms, window_ms=SLOT_MS, result_id=None)
        model = share.models.setdefault(plan.lifecycle.model_id, ModelState())
        before = model.pipeline
        model.pipeline, alerts = advance(plan.episodes, before, finding, context)
        if model.pipeline is not before:
            self._publish(alerts, ())
            share.put_model(plan)


def _complete_until(sources: Mapping[str, SourceProgress], plan: ModelPlan) -> int | None:
    """Event time up to which every source of a model is complete; None while that is not known."""
    awake: list[int] = []
    ends: list[int] = []
    for topic in plan.topics:
        source = sources.get(topic)
        if source is None:
            return None
        time = source.watermark_ms(plan.lateness_ms, plan.idle_ms)
        if time is not None:
            awake.append(time)
        elif not source.silent(plan.idle_ms):
            return None
        else:  # a silent topic holds nobody up
            ends += source.highest_ms.values()
    if awake or not ends:
        return min(awake, default=None)
    # Nothing more comes from anywhere: the window that holds the last event is complete as well.
    return plan.start_of(max(ends)) + plan.window_ms


def _complete_slots(share: Share, plan: ModelPlan, model: ModelState, until: int) -> list[Slot]:
    """What came in on a model's sources and is complete but not judged, in order."""
    sources = [share.sources[topic] for topic in plan.topics if topic in share.sources]
    if all(source.silent(plan.idle_ms) for source in sources):
        latest = max(max(source.highest_ms.values(), default=0) for source in sources)
        until = max(until, latest // SLOT_MS * SLOT_MS + SLOT_MS)
    found = [
        (start, source)
        for source, start in share.slots
        if source in plan.topics
        and share.sources[source].highest_ms
        and model.slots_until_ms <= start <= until - SLOT_MS
    ]
    return [share.slots[source, start] for start, source in sorted(found)]


def _next_window(model: ModelState, plan: ModelPlan, until: int) -> int | None:
    """Start of the next window that is complete; what has been silent for long is skipped."""
    waiting = min((s for subject in model.subjects.values() for s in subject.windows), default=None)
    start = model.judged_until_ms
    if start is None or model.empty >= MOST_EMPTY:
        start = waiting
    return start if start is not None and start + plan.window_ms <= until else None


def _also_in(key: SubjectKey, measured: Mapping[SubjectKey, _Measured]) -> tuple[str, ...]:
    """Other segments of the same version with a problem in this window."""
    return tuple(
        segment
        for (version, segment), of in measured.items()
        if version == key[0] and segment not in (key[1], ALL) and of.verdict.status in _LOUD
    )


def _counter(subject: SubjectState) -> Callable[[int], int]:
    """How many events of a subject were judged since a time, as far back as its windows are kept."""
    history = subject.memory.history if subject.memory is not None else ()
    return lambda since_ms: sum(p.window.events for p in history if p.window.end_ms > since_ms)
