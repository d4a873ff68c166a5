"""What the judge keeps of one partition: models, their subjects and sources, and their way to `leeway.state` and back.

A part is written when it changed, and read before the first record is judged.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from detectors.judging import decision
from detectors.judging.packing import pack
from detectors.performance import concept, named
from detectors.sequences.values import Settings
from detectors.types import Window
from streams.broker import Outgoing, Record
from streams.judging.intake import DAY_MS, CameIn
from streams.judging.kept import NOBODY, Kept, Key, restore
from streams.judging.plans import ModelPlan
from streams.judging.restoring import restore_model, restore_subject
from streams.judging.scopes import INPUTS, OUTCOMES, Scope, Timing, W
from streams.judging.subjects import (
    InputsMemory,
    ModelState,
    SubjectKey,
    SubjectState,
    TruthMemory,
)
from streams.judging.truths import Closed, Day
from streams.judging.waking import Readers, Waking
from streams.judging.watermarks import SourceProgress
from streams.messages import Intake, Progress


class Share:
    """Everything of one partition. `put_*` notes that a part changed; `flush` writes what was noted."""

    def __init__(self, topic: str, partition: int, kept: Iterable[Record]) -> None:
        self.partition = partition
        self.models: dict[str, ModelState] = {}
        self.sources: dict[str, SourceProgress] = {}
        self.waking = Waking()
        self.came_in = CameIn()
        self._kept = Kept(topic, partition)
        for key, data in restore(kept):
            self._restore(key, data)

    def flush(self) -> list[Outgoing]:
        """Records of everything that changed since the last flush."""
        return self._kept.flush()

    # ---- open windows

    @property
    def open_panes(self) -> int:
        """Panes with counts of inputs or outcomes whose windows are still open."""
        total = 0
        for model in self.models.values():
            for subject in model.subjects.values():
                for of_inputs in subject.windows(INPUTS).values():
                    total += sum(len(window.panes) for window in of_inputs.values())
                for of_outcomes in subject.windows(OUTCOMES).values():
                    total += sum(len(window.panes) for window in of_outcomes.values())
        return total

    def put_window(
        self, plan: ModelPlan, key: SubjectKey, scope: Scope[W], start: int, digest: str
    ) -> None:
        """An open window has more counts."""
        window = self.subject(plan, key).windows(scope)[start][digest]
        self._put(plan, (*key, f"{scope.part}/{start}/{digest}"), window.to_data, start)

    def close_window(
        self, plan: ModelPlan, key: SubjectKey, scope: Scope[W], start: int
    ) -> dict[str, W]:
        """A window is about to be judged; it is kept no longer."""
        closed = self.subject(plan, key).windows(scope).pop(start, {})
        for digest in closed:
            self._delete(plan, (*key, f"{scope.part}/{start}/{digest}"))
        return closed

    def align(self, plan: ModelPlan, scope: Scope[Any]) -> None:
        """Windows have another length now: what is open moves into the window of that length in which it began."""
        model, timing = self.models[plan.lifecycle.model_id], plan.timings[scope.name]
        progress = model.of(scope)
        if progress.window_ms == timing.window_ms:
            return
        progress.window_ms = timing.window_ms
        if progress.judged_until_ms is not None:
            progress.judged_until_ms = timing.start_of(progress.judged_until_ms)
        for key in model.subjects:
            self._realign(plan, key, scope, timing)
        self.put_model(plan)

    def _realign(self, plan: ModelPlan, key: SubjectKey, scope: Scope[Any], timing: Timing) -> None:
        windows = self.subject(plan, key).windows(scope)
        for start in sorted(windows):
            if (begins := timing.start_of(start)) == start:
                continue
            for digest, window in self.close_window(plan, key, scope, start).items():
                into = windows.setdefault(begins, {})
                if digest in into:
                    into[digest].absorb(window)
                else:
                    into[digest] = window
                self.put_window(plan, key, scope, begins, digest)

    def add_late(self, plan: ModelPlan, key: SubjectKey, scope: Scope[Any], events: int) -> None:
        """Events came too late for their window; the next result shows how many."""
        late = self.subject(plan, key).late
        late[scope.name] = late.get(scope.name, 0) + events
        self._put(plan, (*key, "late"), lambda: late, self._until(plan))

    def take_late(self, plan: ModelPlan, key: SubjectKey, scope: Scope[Any]) -> int:
        """How many came too late since the last result, which is being written."""
        late = self.subject(plan, key).late
        if not late.get(scope.name):
            return 0
        self._put(plan, (*key, "late"), lambda: late, self._until(plan))
        return late.pop(scope.name)

    # ---- what is remembered

    def put_memory(
        self,
        plan: ModelPlan,
        key: SubjectKey,
        detector: decision.Plan,
        before: decision.Memory,
        window: Window,
    ) -> None:
        """A window was judged: the detector's numbers changed, and its history by a window or two."""
        of, at_ms = self.subject(plan, key).inputs, window.end_ms
        memory = of.memory
        assert memory is not None  # it has just judged a window
        digest, base = of.digest, decision.based(of.base, before, memory)
        if of.base is None or base.state is not of.base.state:
            state = base.state
            self._put(plan, (*key, "base"), lambda: decision.state_to_data(detector, state), at_ms)
        of.base = base
        # Made when it is written: of many windows judged between two commits only the last one counts.
        self._put(
            plan,
            (*key, "detector"),
            lambda: {"digest": digest, "memory": decision.to_data(detector, memory, base)},
            at_ms,
        )
        starts = tuple(past.window.start_ms for past in memory.history)
        for past in memory.history:
            if past.window.start_ms not in of.stored:
                self._put(plan, (*key, f"history/{past.window.start_ms}"), _past(past), at_ms)
        for start in of.stored:
            if start not in starts:
                self._delete(plan, (*key, f"history/{start}"))
        of.stored = starts

    def put_episodes(self, plan: ModelPlan, key: SubjectKey) -> None:
        """An episode of a subject moved."""
        of = self.subject(plan, key).episodes
        self._put(
            plan,
            (*key, "episodes"),
            lambda: [{"source": one, **msgspec.to_builtins(of[one])} for one in sorted(of)],
            self._until(plan),
        )

    def put_model(self, plan: ModelPlan) -> None:
        """A model's windows were judged, or what is kept of it as a whole changed."""
        model = self.models[plan.lifecycle.model_id]
        trigger, pipeline = model.trigger, model.pipeline
        at_ms, nobody = self._until(plan), (NOBODY, NOBODY)
        self._put(plan, (*nobody, "progress"), lambda: _progress(model), at_ms)
        self._put(plan, (*nobody, "trigger"), lambda: msgspec.to_builtins(trigger), at_ms)
        if pipeline is not None:
            self._put(plan, (*nobody, "episodes"), lambda: [msgspec.to_builtins(pipeline)], at_ms)

    def put_inbox(self, plan: ModelPlan) -> None:
        """A command came, or took effect."""
        inbox = self.models[plan.lifecycle.model_id].inbox
        self._put(plan, (NOBODY, NOBODY, "commands"), inbox.to_data, self._until(plan))

    def put_reign(self, plan: ModelPlan) -> None:
        """Another version answers."""
        reign = self.models[plan.lifecycle.model_id].reign
        self._put(
            plan,
            (NOBODY, NOBODY, "reign"),
            lambda: msgspec.to_builtins(reign),
            self._until(plan),
        )

    def put_silences(self, plan: ModelPlan) -> None:
        """A silence was asked for, or is over."""
        silences = self.models[plan.lifecycle.model_id].silences
        key = NOBODY, NOBODY, "silences"
        if silences:
            self._put(plan, key, lambda: msgspec.to_builtins(silences), self._until(plan))
        else:
            self._delete(plan, key)

    def begin_anew(self, plan: ModelPlan, key: SubjectKey) -> None:
        """The detectors of a subject forget what they saw; what was counted and labelled stays."""
        of = self.subject(plan, key)
        inputs, truths = of.inputs, of.truths
        parts = {"detector", "base", *inputs.unread, *(f"history/{n}" for n in inputs.stored)}
        for part in sorted(parts):
            self._delete(plan, (*key, part))
        of.inputs = InputsMemory()
        self.forget_seen(plan, key)
        for part in ("concept", "singles"):
            self._delete(plan, (*key, part))
        truths.memory = truths.unread = truths.fitted = None
        truths.singles = truths.unread_singles = None
        truths.digest = ""

    def put_seen(self, plan: ModelPlan, key: SubjectKey, start: int) -> None:
        """A healthy window of a version without a reference is kept, or kept no longer."""
        of = self.subject(plan, key).seen
        if start in of:
            _, events, cells, digest = of[start]
            self._put(
                plan,
                (*key, f"seen/{start}"),
                lambda: {"events": events, "cells": pack(cells), "digest": digest},
                start,
            )
        else:
            self._delete(plan, (*key, f"seen/{start}"))

    def forget_seen(self, plan: ModelPlan, key: SubjectKey) -> None:
        """They are a reference now, or another version answers."""
        of = self.subject(plan, key).seen
        for start in sorted(of):
            del of[start]
            self.put_seen(plan, key, start)

    def put_joined(self, plan: ModelPlan, start: int) -> None:
        """More is known of what became of a window's labels, or it was judged."""
        of = self.models[plan.lifecycle.model_id].joined
        key = (NOBODY, NOBODY, f"joined/{start}")
        if start in of:
            self._put(plan, key, lambda: of[start], start)
        else:
            self._delete(plan, key)

    def put_closed(self, plan: ModelPlan, key: SubjectKey, start: int) -> None:
        """A judged window of outcomes is kept, or kept no longer."""
        self._put_or_delete(plan, (*key, f"closed/{start}"), self._truths(plan, key).closed, start)

    def put_hope(self, plan: ModelPlan, key: SubjectKey, start: int) -> None:
        """A day has more predictions to estimate from, or is remembered no longer."""
        self._put_or_delete(plan, (*key, f"hope/{start}"), self._truths(plan, key).hopes, start)

    def put_day(self, plan: ModelPlan, key: SubjectKey, start: int) -> None:
        """More is known of the predictions of a day, or nothing is remembered of it any longer."""
        self._put_or_delete(plan, (*key, f"day/{start}"), self._truths(plan, key).days, start)

    def put_predictions(self, plan: ModelPlan, key: SubjectKey) -> None:
        """A day has more predictions, or labels came."""
        of = self._truths(plan, key)
        self._put(
            plan,
            (*key, "predictions"),
            lambda: {"days": sorted(of.predictions.items()), "labels": of.labels.to_data()},
            self._until(plan),
        )

    def _put_or_delete(
        self,
        plan: ModelPlan,
        key: tuple[str, str, str],
        of: Mapping[int, Closed] | Mapping[int, Day],
        start: int,
    ) -> None:
        if start in of:
            self._put(plan, key, of[start].to_data, start)
        else:
            self._delete(plan, key)

    def put_health(self, plan: ModelPlan, key: SubjectKey, at_ms: int) -> None:
        """The health of a subject was judged."""
        memory = self.subject(plan, key).health
        self._put(plan, (*key, "running"), memory.to_data, at_ms)

    def put_concept(self, plan: ModelPlan, key: SubjectKey, at_ms: int) -> None:
        """The detector of outcomes judged a window."""
        of = self._truths(plan, key)
        memory, digest = of.memory, of.digest
        assert memory is not None  # it has just judged a window
        self._put(
            plan,
            (*key, "concept"),
            lambda: {"digest": digest, "memory": concept.to_data(memory)},
            at_ms,
        )

    def put_singles(
        self, plan: ModelPlan, key: SubjectKey, singles: Sequence[Settings], at_ms: int
    ) -> None:
        """Methods read errors one by one."""
        found = self._truths(plan, key).singles
        assert found is not None  # they have just read some
        self._put(plan, (*key, "singles"), lambda: named.to_data(singles, found), at_ms)

    def put_violated(self, plan: ModelPlan, key: SubjectKey) -> None:
        """Rules were broken, or what they did is long ago."""
        of = self.subject(plan, key).violated
        self._put(plan, (*key, "violated"), lambda: dict(sorted(of.items())), self._until(plan))

    def take_joined(self, plan: ModelPlan, start: int) -> dict[str, int]:
        """What became of the labels of a window that is being judged."""
        found = self.models[plan.lifecycle.model_id].joined.pop(start, None)
        if found is None:
            return {}
        self.put_joined(plan, start)
        return found

    def _truths(self, plan: ModelPlan, key: SubjectKey) -> TruthMemory:
        return self.subject(plan, key).truths

    # ---- what belongs to no model

    def hear(self, progress: Progress, readers: Iterable[Readers]) -> None:
        """More is known of how far a source was read."""
        nobody, waking = (NOBODY, NOBODY, NOBODY), self.waking
        woken = waking.hear(readers, self.sources, progress)
        source = self.sources.setdefault(progress.source, SourceProgress())
        source.add(progress)
        key, as_of_ms = f"source/{progress.source}", max(source.highest_ms.values(), default=0)
        self._kept.put(Key(*nobody, key), source.to_data, as_of_ms=as_of_ms)
        if woken:
            self._kept.put(Key(*nobody, "waking"), waking.to_data, as_of_ms=as_of_ms)

    def take_in(self, intake: Intake) -> None:
        """Add what came in to its slots and to the totals."""
        self.came_in.add(intake, self.sources.get(intake.source))
        self.put_intake()

    def forget_slots(self, source: str, before_ms: int) -> None:
        """Everybody who reads the source has judged its slots that start before this time."""
        if self.came_in.forget(source, before_ms):
            self.put_intake()

    def put_intake(self) -> None:
        """Slots were filled or judged. Every partition hears of all intake; one keeps the totals for people."""
        of = self.came_in
        for source, day_ms in of.moved:
            self._put_slots(source, day_ms)
        of.moved.clear()
        if self.partition == 0:
            key = Key(NOBODY, NOBODY, NOBODY, "intake")
            self._kept.put(key, lambda: {"sources": of.totals_to_data()}, as_of_ms=of.latest_ms)

    def _put_slots(self, source: str, day_ms: int) -> None:
        of, key = self.came_in, Key(NOBODY, NOBODY, NOBODY, f"slots/{source}/{day_ms}")
        if of.day(source, day_ms):
            self._kept.put(
                key, lambda: msgspec.to_builtins(of.day(source, day_ms)), as_of_ms=day_ms
            )
        else:
            self._kept.delete(key)

    # ---- writing

    def _put(
        self,
        plan: ModelPlan,
        key: tuple[str, str, str],
        data: Callable[[], object],
        at_ms: int,
    ) -> None:
        of = Key(plan.lifecycle.model_id, *key)
        self._kept.put(of, data, as_of_ms=at_ms, revision=plan.lifecycle.revision)

    def _delete(self, plan: ModelPlan, key: tuple[str, str, str]) -> None:
        self._kept.delete(Key(plan.lifecycle.model_id, *key))

    def subject(self, plan: ModelPlan, key: SubjectKey) -> SubjectState:
        """What is kept of a version and segment that is known."""
        return self.models[plan.lifecycle.model_id].subjects[key]

    def _until(self, plan: ModelPlan) -> int:
        return self.models[plan.lifecycle.model_id].judged_until_ms

    # ---- restoring

    def _restore(self, key: Key, data: Any) -> None:
        name, _, rest = key.part.partition("/")
        if key.model_id == NOBODY:
            if name == "source":
                self.sources[rest] = SourceProgress.from_data(data)
            elif name == "waking":
                self.waking = Waking.from_data(data)
            elif name == "slots" and rest:
                self.came_in.restore(rest.rpartition("/")[0], data)
            elif name == "slots":  # until format 2 all of them were one record
                for source, slot in data:
                    self.came_in.restore(source, [slot])
                    self.came_in.moved[source, slot[0] // DAY_MS * DAY_MS] = None
                self._kept.delete(key)
            elif name == "intake":
                self.came_in.totals_from_data(data["sources"])
            return
        model = self.models.setdefault(key.model_id, ModelState())
        if key.version == NOBODY:
            restore_model(model, key.part, data)
            return
        subject = model.subjects.setdefault((key.version, key.segment), SubjectState())
        restore_subject(subject, key.part, data)


def _past(past: decision.Past) -> Callable[[], object]:
    return lambda: {"window": msgspec.to_builtins(past.window), "cells": pack(past.counts)}


def _progress(model: ModelState) -> dict[str, object]:
    return {
        "slots_until_ms": model.slots_until_ms,
        "scopes": {name: msgspec.to_builtins(of) for name, of in sorted(model.progress.items())},
    }
