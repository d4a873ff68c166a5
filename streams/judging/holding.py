"""Which compound conditions hold at the end of this window, and what do they add to what was found in it?

Each window tells what its tests say; what the others say was told by theirs. A compound joins the problem of its kind,
and is one by itself where it names a number. It waits as any rule does: `streams.judging.waiting`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from alerting.checks import from_checks, in_words, persisted
from alerting.types import CauseClass, Episode, Finding, Kind
from detectors.types import Check, Status
from streams.judging.compounds import Compound, scope_of
from streams.judging.conclusions import LOUD, Conclusion
from streams.judging.plans import ModelPlan
from streams.judging.rules import OUTPUTS
from streams.judging.scopes import Scope
from streams.judging.share import Share
from streams.judging.subjects import SubjectState, source_of
from streams.judging.waiting import Violated
from streams.lifecycle.conditions import KindTest, Test
from streams.segments import ALL

_HOLDS = "holds/"  # and a test: what it said last
_WAITS = "and/"  # and a compound: since when it holds


def with_compounds(
    share: Share, plan: ModelPlan, scope: Scope[Any], conclusion: Conclusion
) -> Conclusion:
    """The conclusion of a window with what compound conditions make of it, of the current version as a whole."""
    compounds = plan.conditions.compounds
    if conclusion.key != (plan.lifecycle.version, ALL) or not compounds:
        return conclusion
    if conclusion.document.scope != scope.name:
        return conclusion  # a day that is told again is no window
    model = share.models[plan.lifecycle.model_id]
    subject = model.subjects[conclusion.key]
    before = dict(subject.violated)
    _remember(subject.violated, conclusion)
    problems = [
        episode
        for episode in model.episodes
        if episode.open and (episode.subject.version, episode.subject.segment) == conclusion.key
    ]
    found = conclusion.findings
    for one in compounds:
        if scope_of(one.lead) in (None, scope.name):
            here = _Here(plan, scope, subject, conclusion, problems)
            found = _opened(here, found, one) if one.opens else _joined(here, found, one)
    if subject.violated != before:
        share.put_violated(plan, conclusion.key)
    return conclusion._replace(findings=found)


class _Here(NamedTuple):
    """The window in which compounds are looked at."""

    plan: ModelPlan
    scope: Scope[Any]
    subject: SubjectState
    conclusion: Conclusion
    problems: Sequence[Episode]  # that are open

    @property
    def window(self) -> tuple[int, int]:
        """Start and end."""
        end_ms = self.conclusion.end_ms
        return end_ms - self.plan.timings[self.scope.name].window_ms, end_ms

    def patient(self, kind: Kind, one: Compound, check: Check) -> Check:
        """The check once it was broken for as long as it must be; until then it is as if it were not."""
        start_ms, end_ms = self.window
        violated, key = self.subject.violated, f"{_WAITS}{self.scope.name}/{kind}/{one.name}"
        alone = from_checks(kind, [check], start_ms, end_ms)
        ends = violated.pop(key, ())
        after, heard = persisted(one.persistence, ends, alone, end_ms, end_ms - start_ms)
        if after:
            violated[key] = after
        return check._replace(status=heard.status, calm=heard.calm)


def _remember(violated: Violated, conclusion: Conclusion) -> None:
    """What the tests of a window say; where it says nothing, what was said before stays."""
    for name, check in conclusion.tests.items():
        if check.status in LOUD:
            violated[_HOLDS + name] = (conclusion.end_ms,)
        elif check.status != Status.INSUFFICIENT:
            violated.pop(_HOLDS + name, None)


def _joined(here: _Here, findings: tuple[Finding, ...], one: Compound) -> tuple[Finding, ...]:
    """With the name of a compound in the problems of the kind that it is about."""
    found = []
    for finding in findings:
        if finding.kind in one.kinds and finding.status != Status.INSUFFICIENT:
            holds = _shows(one.lead, finding) and _others_hold(here, one)
            check = here.patient(finding.kind, one, _blank(here, one, holds=holds))
            finding = _named(finding, one) if check.status in LOUD else finding
        found.append(finding)
    return tuple(found)


def _opened(here: _Here, findings: tuple[Finding, ...], one: Compound) -> tuple[Finding, ...]:
    """With the problem that a compound is by itself, in the finding of its kind if there is one."""
    told = here.conclusion.tests.get(str(one.lead))
    if told is None:
        return findings  # nothing is known, and nothing was found
    at = next((k for k, of in enumerate(findings) if of.kind in one.kinds), None)
    finding = findings[at] if at is not None else None
    kind = one.kinds[0] if told.series not in OUTPUTS else one.kinds[-1]
    check = told._replace(rule=one.name)
    if len(one.tests) > 1 and told.status != Status.INSUFFICIENT:
        check = _blank(here, one, holds=told.status in LOUD and _others_hold(here, one))
    check = here.patient(kind, one, check)
    merged = _merged(here, finding, kind, one, check)
    return (*findings, merged) if at is None else (*findings[:at], merged, *findings[at + 1 :])


def _merged(
    here: _Here, finding: Finding | None, kind: Kind, one: Compound, check: Check
) -> Finding:
    """What was found, and what a compound says of it."""
    loud = check.status in LOUD
    if finding is not None and finding.status in LOUD:
        return _named(finding, one) if loud else finding
    before = here.subject.episodes.get(source_of(here.scope.name, kind))
    if loud or finding is None:
        cause: CauseClass = "input_shift" if kind == "data_drift" else "unknown"
        return from_checks(kind, [check], *here.window, cause=cause, before=before)
    blamed = before is not None and before.open and one.name in before.finding.rules
    unknown = check.status == Status.INSUFFICIENT
    if (blamed and unknown) or not (check.calm or unknown):
        return replace(finding, calm=False)
    return finding


def _named(finding: Finding, one: Compound) -> Finding:
    return replace(finding, rules=tuple(dict.fromkeys((*finding.rules, one.name))))


def _blank(here: _Here, one: Compound, *, holds: bool) -> Check:
    """A compound as one check: it has no number of its own."""
    told = here.conclusion.tests
    lead = told.get(str(one.lead))
    return Check(
        one.name,
        lead.series if lead is not None else f"rule:{one.name}",
        Status.DRIFTING if holds else Status.STABLE,
        not holds,
        *(None, None, None, None),
        lead.n if lead is not None else 0,
        said=" and ".join(_said(test, told) for test in one.tests),
        at_once=lead is not None and lead.at_once,
    )


def _others_hold(here: _Here, one: Compound) -> bool:
    """Whether all tests but the leading one held when they were told last."""
    violated = here.subject.violated
    return all(_holds(test, violated, here.problems) for test in one.tests if test is not one.lead)


def _shows(test: Test, finding: Finding) -> bool:
    severe = finding.status == Status.SEVERE
    shown = isinstance(test, KindTest) and test.holds(finding.kind, severe=severe)
    return shown and finding.status in LOUD


def _holds(test: Test, violated: Violated, problems: Iterable[Episode]) -> bool:
    """Whether a test held when it was told last; of a kind: whether such a problem is open."""
    if isinstance(test, KindTest):
        return any(test.holds(of.kind, severe=of.verdict == Status.SEVERE) for of in problems)
    return _HOLDS + str(test) in violated


def _said(test: Test, told: Mapping[str, Check]) -> str:
    """A test as people read it, with its number where this window tells it."""
    check = told.get(str(test))
    if check is None or check.value is None:
        return str(test)
    return in_words(check)
