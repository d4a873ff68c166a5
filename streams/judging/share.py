"""What the judge keeps of one partition: models, their subjects and sources, and their way to `leeway.state` and back.

A part is written when it changed, and read before the first record is judged.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import msgspec

from alerting.types import Episode, TriggerMemory
from detectors.judging import decision
from detectors.judging.packing import pack
from detectors.types import Window
from streams.broker import Outgoing, Record
from streams.judging.kept import NOBODY, Kept, Key, restore
from streams.judging.plans import ModelPlan
from streams.judging.watermarks import SourceProgress
from streams.judging.windows import OpenWindow, unpack_counts
from streams.messages import SLOT_MS, Intake, Slot, Unread

SubjectKey = tuple[str, str]  # version, segment
MOST_NAMES = 1_000  # of unregistered models; the rest is one name
OTHER = "(other)"


@dataclass(slots=True)
class SubjectState:
    """What is kept of one version × segment of a model."""

    memory: decision.Memory | None = None
    base: decision.Base | None = None  # by which the memory is kept
    digest: str = ""  # of the reference that the memory belongs to
    watched: tuple[int, ...] = ()  # the series of it that the memory is about
    episode: Episode | None = None
    late: int = 0  # events that came too late, not yet shown in a result
    # by start, by reference
    windows: dict[int, dict[str, OpenWindow]] = field(default_factory=dict)
    stored: tuple[int, ...] = ()  # windows of the history that are on the state topic
    # restored, until there is a plan to read it by
    unread: dict[str, Any] = field(default_factory=dict)

    def recall(self, plan: ModelPlan, detector: decision.Plan) -> tuple[decision.Memory, bool]:
        """The memory under the present reference, and whether it begins anew."""
        if self.unread:
            self._read(plan, detector)
        watched = detector.watch.positions if detector.watch else ()
        same = (self.digest, self.watched) == (plan.digest, watched)
        if self.memory is not None and same and self.memory.fits(detector):
            return self.memory, False
        self.memory, self.base = decision.Memory.start(detector), None
        self.digest, self.watched = plan.digest, watched
        return self.memory, True

    def _read(self, plan: ModelPlan, detector: decision.Plan) -> None:
        parts, self.unread = self.unread, {}
        history = [
            decision.Past(msgspec.convert(past["window"], Window), unpack_counts(past["cells"]))
            for name, past in parts.items()
            if name.startswith("history/")
        ]
        history.sort(key=lambda past: (past.window.end_ms, past.window.start_ms))
        self.stored = tuple(past.window.start_ms for past in history)
        kept = parts.get("detector")
        if kept is not None and kept["digest"] == plan.digest:
            try:
                base = parts.get("base")
                state = None if base is None else decision.state_from_data(detector, base)
                self.memory, self.base = decision.from_data(
                    detector, kept["memory"], history, state
                )
                self.digest = plan.digest
                self.watched = detector.watch.positions if detector.watch else ()
            except ValueError:
                pass  # the lifecycle now watches other series: a new detector starts


@dataclass(slots=True)
class ModelState:
    """What is kept of one model."""

    window_ms: int | None = None  # the length of its windows
    judged_until_ms: int | None = None
    slots_until_ms: int = 0  # of what came in, judged up to here
    empty: int = 0  # silent windows in a row
    subjects: dict[SubjectKey, SubjectState] = field(default_factory=dict)
    trigger: TriggerMemory = field(default_factory=TriggerMemory)
    pipeline: Episode | None = None

    @property
    def episodes(self) -> Iterator[Episode]:
        """All that are kept, resolved ones too."""
        # sorted: a restored judge knows its subjects in another order
        of_subjects = (self.subjects[key].episode for key in sorted(self.subjects))
        return (e for e in chain([self.pipeline], of_subjects) if e is not None)


class Share:
    """Everything of one partition. `put_*` notes that a part changed; `flush` writes what was noted."""

    def __init__(self, topic: str, partition: int, kept: Iterable[Record]) -> None:
        self.partition = partition
        self.models: dict[str, ModelState] = {}
        self.sources: dict[str, SourceProgress] = {}
        self.slots: dict[tuple[str, int], Slot] = {}  # what came in, by source and start
        self.totals: dict[str, Slot] = {}  # the same since the beginning, by source
        self._kept = Kept(topic, partition)
        for key, data in restore(kept):
            self._restore(key, data)

    def flush(self) -> list[Outgoing]:
        """Records of everything that changed since the last flush."""
        return self._kept.flush()

    # ---- noting changes

    def put_window(self, plan: ModelPlan, key: SubjectKey, start: int, digest: str) -> None:
        """An open window has more counts."""
        window = self._subject(plan, key).windows[start][digest]
        self._put(plan, (*key, f"window/{start}/{digest}"), window.to_data, start)

    def close_window(self, plan: ModelPlan, key: SubjectKey, start: int) -> dict[str, OpenWindow]:
        """A window is about to be judged; it is kept no longer."""
        closed = self._subject(plan, key).windows.pop(start, {})
        for digest in closed:
            self._kept.delete(Key(plan.lifecycle.model_id, *key, f"window/{start}/{digest}"))
        return closed

    def align(self, plan: ModelPlan) -> None:
        """Windows have another length now: what is open moves into the window of that length in which it began."""
        model = self.models[plan.lifecycle.model_id]
        if model.window_ms == plan.window_ms:
            return
        model.window_ms = plan.window_ms
        if model.judged_until_ms is not None:
            model.judged_until_ms = plan.start_of(model.judged_until_ms)
        for key, subject in model.subjects.items():
            for start in sorted(subject.windows):
                if (begins := plan.start_of(start)) == start:
                    continue
                for digest, window in self.close_window(plan, key, start).items():
                    into = subject.windows.setdefault(begins, {})
                    if digest in into:
                        into[digest].absorb(window)
                    else:
                        into[digest] = window
                    self.put_window(plan, key, begins, digest)
        self.put_model(plan)

    def put_late(self, plan: ModelPlan, key: SubjectKey) -> None:
        """Events came too late for their window."""
        subject = self._subject(plan, key)
        self._put(plan, (*key, "late"), lambda: subject.late, self._until(plan))

    def put_memory(
        self,
        plan: ModelPlan,
        key: SubjectKey,
        detector: decision.Plan,
        before: decision.Memory,
        window: Window,
    ) -> None:
        """A window was judged: the detector's numbers changed, and its history by a window or two."""
        subject, at_ms = self._subject(plan, key), window.end_ms
        memory = subject.memory
        assert memory is not None  # it has just judged a window
        digest, base = subject.digest, decision.based(subject.base, before, memory)
        if subject.base is None or base.state is not subject.base.state:
            of = base.state
            self._put(plan, (*key, "base"), lambda: decision.state_to_data(detector, of), at_ms)
        subject.base = base
        # Made when it is written: of many windows judged between two commits only the last one counts.
        self._put(
            plan,
            (*key, "detector"),
            lambda: {"digest": digest, "memory": decision.to_data(detector, memory, base)},
            at_ms,
        )
        starts = tuple(past.window.start_ms for past in memory.history)
        for past in memory.history:
            if past.window.start_ms not in subject.stored:
                self._put(plan, (*key, f"history/{past.window.start_ms}"), _past(past), at_ms)
        for start in subject.stored:
            if start not in starts:
                self._kept.delete(Key(plan.lifecycle.model_id, *key, f"history/{start}"))
        subject.stored = starts

    def put_episode(self, plan: ModelPlan, key: SubjectKey) -> None:
        """A subject's episode moved."""
        episode = self._subject(plan, key).episode
        self._put(
            plan, (*key, "episodes"), lambda: [msgspec.to_builtins(episode)], self._until(plan)
        )

    def put_model(self, plan: ModelPlan) -> None:
        """A model's windows were judged, or what is kept of it as a whole changed."""
        model = self.models[plan.lifecycle.model_id]
        progress = {
            "window_ms": model.window_ms,
            "judged_until_ms": model.judged_until_ms,
            "slots_until_ms": model.slots_until_ms,
            "empty": model.empty,
        }
        trigger, pipeline = model.trigger, model.pipeline
        at_ms, nobody = self._until(plan), (NOBODY, NOBODY)
        self._put(plan, (*nobody, "progress"), lambda: progress, at_ms)
        self._put(plan, (*nobody, "trigger"), lambda: msgspec.to_builtins(trigger), at_ms)
        if pipeline is not None:
            self._put(plan, (*nobody, "episodes"), lambda: [msgspec.to_builtins(pipeline)], at_ms)

    def put_source(self, source: str) -> None:
        """More is known of how far a source was read."""
        progress = self.sources[source]
        key = Key(NOBODY, NOBODY, NOBODY, f"source/{source}")
        self._kept.put(key, progress.to_data, as_of_ms=max(progress.highest_ms.values(), default=0))

    def put_intake(self) -> None:
        """Slots were filled or judged. Every partition hears of all intake; one keeps the totals for people."""
        at_ms = max((slot.start_ms for slot in self.totals.values()), default=0)
        slots = Key(NOBODY, NOBODY, NOBODY, "slots")
        self._kept.put(slots, lambda: _slots(self.slots), as_of_ms=at_ms)
        if self.partition == 0:
            totals = Key(NOBODY, NOBODY, NOBODY, "intake")
            self._kept.put(totals, lambda: {"sources": _totals(self.totals)}, as_of_ms=at_ms)

    def take_in(self, intake: Intake) -> None:
        """Add what came in to its slots and to the totals."""
        for start, events in intake.events.items():
            self._take_in(intake.source, Slot(start, events, {}, {}))
        for unread in intake.unread:
            start = self._slot_of(intake.source, unread)
            slot = Slot(start, 0, unread.dead_letters, unread.unregistered)
            self._take_in(intake.source, slot)
        self.put_intake()

    def _take_in(self, source: str, slot: Slot) -> None:
        key = source, slot.start_ms
        self.slots[key] = _sum(self.slots.get(key), slot)
        self.totals[source] = _sum(self.totals.get(source), slot)

    def _slot_of(self, source: str, unread: Unread) -> int:
        """Start of the slot of the latest event that came before these records: wherever profilers began to read."""
        progress = self.sources.get(source)
        known = progress.highest_ms if progress is not None else {}
        times = [known[unread.partition]] if unread.partition in known else []
        if unread.after_ms is not None:
            times.append(unread.after_ms)
        time = max(times or known.values(), default=unread.logged_ms)
        return time // SLOT_MS * SLOT_MS

    def forget_slots(self, source: str, before_ms: int) -> None:
        """Everybody who reads the source has judged its slots that start before this time."""
        gone = [key for key in self.slots if key[0] == source and key[1] < before_ms]
        for key in gone:
            del self.slots[key]
        if gone:
            self.put_intake()

    def _put(self, plan: ModelPlan, key: tuple[str, str, str], data: Any, at_ms: int) -> None:
        of = Key(plan.lifecycle.model_id, *key)
        self._kept.put(of, data, as_of_ms=at_ms, revision=plan.lifecycle.revision)

    def _subject(self, plan: ModelPlan, key: SubjectKey) -> SubjectState:
        return self.models[plan.lifecycle.model_id].subjects[key]

    def _until(self, plan: ModelPlan) -> int:
        return self.models[plan.lifecycle.model_id].judged_until_ms or 0

    # ---- restoring

    def _restore(self, key: Key, data: Any) -> None:
        name, _, rest = key.part.partition("/")
        if key.model_id == NOBODY:
            if name == "source":
                self.sources[rest] = SourceProgress.from_data(data)
            elif name == "slots":
                self.slots = {
                    (source, slot[0]): msgspec.convert(slot, Slot) for source, slot in data
                }
            elif name == "intake":
                self.totals = {name: _total(of) for name, of in data["sources"].items()}
            return
        model = self.models.setdefault(key.model_id, ModelState())
        if key.version == NOBODY:
            if name == "progress":
                model.window_ms, model.judged_until_ms = data["window_ms"], data["judged_until_ms"]
                model.slots_until_ms, model.empty = data["slots_until_ms"], data["empty"]
            elif name == "trigger":
                model.trigger = msgspec.convert(data, TriggerMemory)
            elif name == "episodes":
                model.pipeline = msgspec.convert(data[0], Episode)
            return
        subject = model.subjects.setdefault((key.version, key.segment), SubjectState())
        if name == "window":
            start, _, digest = rest.partition("/")
            subject.windows.setdefault(int(start), {})[digest] = OpenWindow.from_data(data)
        elif name == "episodes":
            subject.episode = msgspec.convert(data[0], Episode)
        elif name == "late":
            subject.late = data
        else:
            subject.unread[key.part] = data


def _past(past: decision.Past) -> Any:
    return lambda: {"window": msgspec.to_builtins(past.window), "cells": pack(past.counts)}


def _slots(slots: dict[tuple[str, int], Slot]) -> list[object]:
    return [[source, msgspec.to_builtins(slots[source, start])] for source, start in sorted(slots)]


def _totals(totals: dict[str, Slot]) -> dict[str, object]:
    """What people see of the intake: per source topic, by name."""
    return {
        source: {
            "until_ms": of.start_ms,
            "events": of.events,
            "dead_letters": of.dead_letters,
            "unregistered": of.unregistered,
        }
        for source, of in sorted(totals.items())
    }


def _total(data: Any) -> Slot:
    return Slot(data["until_ms"], data["events"], data["dead_letters"], data["unregistered"])


def _sum(total: Slot | None, more: Slot) -> Slot:
    if total is None:
        return more
    return Slot(
        max(total.start_ms, more.start_ms),
        total.events + more.events,
        _capped(total.dead_letters, more.dead_letters),
        _capped(total.unregistered, more.unregistered),
    )


def _capped(total: dict[str, int], more: dict[str, int]) -> dict[str, int]:
    found = dict(total)
    for name, n in more.items():
        key = name if name in found or len(found) < MOST_NAMES else OTHER
        found[key] = found.get(key, 0) + n
    return dict(sorted(found.items()))
