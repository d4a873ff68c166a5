"""What does alerting need to know of a window besides what was found in it?"""

from collections.abc import Callable, Sequence
from typing import Any

from alerting.episodes import inhibitor
from alerting.routing import route
from alerting.settings import Context
from alerting.types import Finding, Subject
from detectors.types import Status
from streams.judging.conclusions import LOUD, Conclusion, shows
from streams.judging.plans import UNVERSIONED, ModelPlan
from streams.judging.scopes import DAY_MS, Scope
from streams.judging.subjects import ModelState, SubjectKey, SubjectState, source_of
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
    of = conclusion.key, conclusion.end_ms, conclusion.document.result_id
    return of_window(model, plan, scope, *of, finding, beside)


def of_window(
    model: ModelState,
    plan: ModelPlan,
    scope: Scope[Any],
    key: SubjectKey,
    end_ms: int,
    result_id: str | None,
    finding: Finding,
    beside: Sequence[Conclusion],
) -> Context:
    """The same for a subject that the window showed nothing of."""
    about = Subject(plan.lifecycle.model_id, *key)
    source, (version, segment) = source_of(scope.name, finding.kind), key
    timing = plan.timings[scope.name]
    also_in: tuple[str, ...] = ()
    inhibited_by = None
    before = model.subjects[key].episodes.get(source)
    if finding.status in LOUD or (before is not None and before.open):
        also_in = tuple(
            other.key[1]
            for other in beside
            if other.key[0] == version
            and other.key[1] not in (segment, ALL)
            and shows(other, scope.name, source)
        )
        rules = finding.rules
        heard = route(plan.episodes, finding.kind, finding.status, rules, segment, end_ms)
        inhibited_by = inhibitor(
            finding.kind,
            about,
            model.episodes,
            plan.lifecycle.version,
            [one.series for one in finding.affected],
            severe=finding.status == Status.SEVERE,
            hearing=heard.receivers,
        )
    return Context(
        subject=about,
        at_ms=end_ms,
        window_ms=timing.window_ms,
        result_id=result_id,
        also_in=also_in,
        inhibited_by=inhibited_by,
        held="grace" if in_grace(plan, model, key, end_ms) else None,
        silences=model.silences,
    )


def of_person(plan: ModelPlan, model: ModelState, subject: Subject, at_ms: int) -> Context:
    """What is known where no window shows anything: somebody said so, or time passed."""
    window_ms = plan.window_ms
    return Context(subject, at_ms, window_ms, result_id=None, silences=model.silences)


def in_grace(plan: ModelPlan, model: ModelState, key: SubjectKey, at_ms: int) -> bool:
    """Whether a version has just begun to answer: by a command, or by the day in the lifecycle's metadata."""
    if key[0] not in (plan.lifecycle.version, UNVERSIONED):
        return False
    if at_ms < model.reign.grace_until_ms:
        return True
    since_ms = plan.deployed_ms
    return since_ms is not None and since_ms <= at_ms < since_ms + plan.grace_ms


def current(plan: ModelPlan, model: ModelState) -> SubjectState | None:
    """What is kept of the current version, all segments together; of events without a version where it has none."""
    versions = plan.lifecycle.version, UNVERSIONED
    return next((model.subjects[v, ALL] for v in versions if (v, ALL) in model.subjects), None)


def events_since(subject: SubjectState | None) -> Callable[[int], int]:
    """How many events of a subject were judged since a time, as far back as its windows are kept."""
    if subject is None:
        return lambda since_ms: 0
    of = subject.inputs
    return lambda since_ms: sum(one.events for one in of.windows() if one.end_ms > since_ms)


def labels_since(subject: SubjectState | None, plan: ModelPlan) -> Callable[[int], int]:
    """How many predictions of a subject are labelled since a time, by the day on which they were made."""
    truths = plan.truths
    if truths is None or subject is None:
        return lambda since_ms: 0
    days = subject.truths.days
    return lambda since_ms: sum(
        truths.rows(day.counts)
        for start, day in days.items()
        if start + DAY_MS > since_ms and day.digest == truths.layout.digest
    )
