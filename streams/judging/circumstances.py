"""What does alerting need to know of a window besides what was found in it?"""

from collections.abc import Callable, Sequence
from typing import Any

from alerting.episodes import inhibitor
from alerting.settings import Context
from alerting.types import Finding, Subject
from detectors.types import Status
from streams.judging.conclusions import LOUD, Conclusion, shows
from streams.judging.plans import ModelPlan
from streams.judging.scopes import DAY_MS, Scope
from streams.judging.subjects import ModelState, SubjectState, source_of
from streams.segments import ALL


def context_of(
    model: ModelState,
    plan: ModelPlan,
    scope: Scope[Any],
    conclusion: Conclusion,
    finding: Finding,
    beside: Sequence[Conclusion],
) -> Context:
    """What a decision needs to know of its window: who else has the problem, and what explains it."""
    about = Subject(plan.lifecycle.model_id, *conclusion.key)
    source, (version, segment) = source_of(scope.name, finding.kind), conclusion.key
    timing = plan.timings[scope.name]
    also_in: tuple[str, ...] = ()
    inhibited_by = None
    before = model.subjects[conclusion.key].episodes.get(source)
    if finding.status in LOUD or (before is not None and before.open):
        also_in = tuple(
            other.key[1]
            for other in beside
            if other.key[0] == version
            and other.key[1] not in (segment, ALL)
            and shows(other, scope.name, source)
        )
        inhibited_by = inhibitor(
            finding.kind,
            about,
            model.episodes,
            plan.lifecycle.version,
            [one.series for one in finding.affected],
            severe=finding.status == Status.SEVERE,
        )
    return Context(
        subject=about,
        at_ms=conclusion.end_ms,
        window_ms=timing.window_ms,
        result_id=conclusion.document.result_id,
        also_in=also_in,
        inhibited_by=inhibited_by,
    )


def events_since(subject: SubjectState) -> Callable[[int], int]:
    """How many events of a subject were judged since a time, as far back as its windows are kept."""
    memory = subject.inputs.memory
    history = memory.history if memory is not None else ()
    return lambda since_ms: sum(p.window.events for p in history if p.window.end_ms > since_ms)


def labels_since(subject: SubjectState, plan: ModelPlan) -> Callable[[int], int]:
    """How many predictions of a subject are labelled since a time, by the day on which they were made."""
    days, truths = subject.truths.days, plan.truths
    if truths is None:
        return lambda since_ms: 0
    return lambda since_ms: sum(
        truths.rows(day.counts)
        for start, day in days.items()
        if start + DAY_MS > since_ms and day.digest == truths.layout.digest
    )
