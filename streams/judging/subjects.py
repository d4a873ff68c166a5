"""What is kept of a model and of each of its versions and segments, between two windows."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import msgspec

from alerting.silences import Silence
from alerting.types import Episode, Kind, TriggerMemory
from detectors.judging import decision
from detectors.performance import concept, named
from detectors.performance.labels import LabelMemory
from detectors.reference.grown import Seen
from detectors.sequences.values import Settings
from detectors.types import Window
from streams.commands import Inbox
from streams.judging.health import HealthMemory
from streams.judging.plans import ModelPlan
from streams.judging.scopes import INPUTS, Scope, W
from streams.judging.truths import Closed, Day
from streams.judging.waiting import Violated
from streams.judging.windows import unpack_counts
from streams.messages import Outcomes, Summary
from streams.segments import ALL

SubjectKey = tuple[str, str]  # version, segment
MOST_SUBJECTS = 2_000  # of a model; what exceeds it is left out and counted


def keys_of(record: Summary | Outcomes) -> tuple[SubjectKey, ...]:
    """The subjects that a record counts for: its own segment, and `all` where its definition adds up to that."""
    version, segment = record.model_version, record.segment
    both = record.definition == 0 and segment != ALL
    return ((version, segment), (version, ALL)) if both else ((version, segment),)


def source_of(scope: str, kind: Kind) -> str:
    """Who finds a kind of problem. A subject has one episode per source: that of the inputs may change its kind."""
    return scope if scope == INPUTS.name else f"{scope}/{kind}"


@dataclass(slots=True)
class InputsMemory:
    """What judging the inputs of one subject remembers."""

    memory: decision.Memory | None = None
    base: decision.Base | None = None  # by which the memory is kept
    digest: str = ""  # of the reference that the memory belongs to
    watched: tuple[int, ...] = ()  # the series of it that the memory is about
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

    def windows(self) -> Sequence[Window]:
        """Those that are remembered, restored ones too."""
        kept = (of for name, of in self.unread.items() if name.startswith("history/"))
        if self.memory is None:
            return [msgspec.convert(of["window"], Window) for of in kept]
        return [past.window for past in self.memory.history]

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
class TruthMemory:
    """What judging the outcomes of one subject remembers."""

    closed: dict[int, Closed] = field(default_factory=dict)  # judged windows, by start
    days: dict[int, Day] = field(default_factory=dict)  # of predictions, by start
    predictions: dict[int, int] = field(default_factory=dict)  # how many a day had, by its start
    hopes: dict[int, Closed] = field(default_factory=dict)  # the same days, for estimates
    singles: named.Founds | None = None  # what methods found that read errors one by one
    unread_singles: Any = None
    labels: LabelMemory = field(default_factory=LabelMemory)
    memory: concept.Memory | None = None  # of the detector
    digest: str = ""  # of what that belongs to
    unread: Any = None  # restored, until there is a plan to read it by
    fitted: concept.ConceptPlan | None = None  # the plan that the memory was last found to fit

    def recall(
        self, digest: str, detector: concept.ConceptPlan | None
    ) -> tuple[concept.Memory | None, bool]:
        """The memory under the present reference, and whether it begins anew."""
        if detector is None:
            return None, False
        kept, self.unread = self.unread, None
        if kept is not None and kept["digest"] == digest:
            try:
                self.memory = concept.from_data(detector.watches, kept["memory"])
                self.digest = digest
            except ValueError:
                pass  # another Leeway's
        known = kept is not None or self.digest != ""
        memory, same = self.memory, kept is None and self.fitted is detector
        self.fitted = detector
        ours = self.digest == digest
        if memory is not None and ours and (same or memory.fits(detector.watches)):
            return memory, False
        self.memory, self.digest = None, digest
        return None, known

    def found(self, singles: Sequence[Settings]) -> named.Founds:
        """What the methods that read errors one by one have found so far."""
        kept, self.unread_singles = self.unread_singles, None
        if kept is not None:
            with suppress(ValueError):  # others are named now
                self.singles = named.from_data(singles, kept)
        if self.singles is None or len(self.singles) != len(singles):
            self.singles = named.start(singles)
        return self.singles


@dataclass(slots=True)
class SubjectState:
    """What is kept of one version × segment of a model."""

    inputs: InputsMemory = field(default_factory=InputsMemory)
    health: HealthMemory = field(default_factory=HealthMemory)
    truths: TruthMemory = field(default_factory=TruthMemory)
    episodes: dict[str, Episode] = field(default_factory=dict)  # the last one of each source
    late: dict[str, int] = field(default_factory=dict)  # by scope; not yet shown in a result
    violated: Violated = field(default_factory=dict)  # rules that were broken lately
    seen: dict[int, Seen] = field(
        default_factory=dict
    )  # healthy windows, by start, that become a reference
    # by scope, by start, by digest of what they were counted under
    _windows: dict[str, dict[int, dict[str, Any]]] = field(default_factory=dict)

    def windows(self, scope: Scope[W]) -> dict[int, dict[str, W]]:
        """Open windows by their start, then by the digest of what they were counted under."""
        return self._windows.setdefault(scope.name, {})


@dataclass(slots=True)
class ScopeProgress:
    """How far the windows of one scope of a model were judged."""

    window_ms: int | None = None  # their length
    judged_until_ms: int | None = None
    empty: int = 0  # silent windows in a row


@dataclass(slots=True)
class Reign:
    """Which version answers, as far as the judge has acted on it, and until when what it shows is held back."""

    version: str | None = None  # None: none was seen yet
    grace_until_ms: int = 0
    former: tuple[str, ...] = ()  # versions that answered before, and open no episodes any more


@dataclass(slots=True)
class ModelState:
    """What is kept of one model."""

    progress: dict[str, ScopeProgress] = field(default_factory=dict)  # by scope
    slots_until_ms: int = 0  # of what came in, judged up to here
    subjects: dict[SubjectKey, SubjectState] = field(default_factory=dict)
    trigger: TriggerMemory = field(default_factory=TriggerMemory)
    pipeline: Episode | None = None
    joined: dict[int, dict[str, int]] = field(default_factory=dict)  # labels by what became of them
    inbox: Inbox = field(default_factory=Inbox)
    reign: Reign = field(default_factory=Reign)
    silences: tuple[Silence, ...] = ()  # those that hold or will hold

    def subject(self, key: SubjectKey) -> SubjectState | None:
        """A version and segment, known or new; None beyond the cap."""
        if key not in self.subjects and len(self.subjects) >= MOST_SUBJECTS:
            return None
        return self.subjects.setdefault(key, SubjectState())

    def of(self, scope: Scope[Any]) -> ScopeProgress:
        """How far a scope was judged."""
        return self.progress.setdefault(scope.name, ScopeProgress())

    def find(self, episode_id: str) -> tuple[SubjectKey | None, str, Episode] | None:
        """An episode with its subject (None: what came in has none) and its source; None: there is none."""
        if self.pipeline is not None and self.pipeline.episode_id == episode_id:
            return None, "pipeline", self.pipeline
        for key in sorted(self.subjects):
            for source, episode in sorted(self.subjects[key].episodes.items()):
                if episode.episode_id == episode_id:
                    return key, source, episode
        return None

    @property
    def judged_until_ms(self) -> int:
        """The end of the last window of any scope that was judged."""
        return max((of.judged_until_ms or 0 for of in self.progress.values()), default=0)

    @property
    def episodes(self) -> Iterator[Episode]:
        """All that are kept, resolved ones too."""
        # sorted: a restored judge knows its subjects in another order
        of_subjects = chain.from_iterable(
            (of[source] for source in sorted(of))
            for of in (self.subjects[key].episodes for key in sorted(self.subjects))
        )
        return chain([self.pipeline] if self.pipeline is not None else [], of_subjects)
