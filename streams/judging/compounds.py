"""Which conditions are more than one number against one line, and what kind of problem do they join?

Tests joined by `and`, kinds of problems that must last, and how much a feature changed by a method of one's own. Each
is one rule: it holds while all of its tests do, as each of them was told last.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from alerting.settings import Persistence
from alerting.types import Kind
from streams.judging.limits import OPERATIONAL
from streams.judging.lines import USUAL, Lines, waits_of
from streams.judging.scopes import HEALTH, INPUTS, OUTCOMES
from streams.lifecycle import Lifecycle
from streams.lifecycle.conditions import (
    SHARES,
    SIZES,
    Condition,
    KindTest,
    MetricTest,
    SeriesTest,
    SilenceTest,
    Test,
)
from streams.lifecycle.gaps import alert_gap, leading
from streams.lifecycle.metrics import NEEDS_LABELS
from streams.lifecycle.monitoring import AlertRule

AT_ONCE = Persistence(1, 1)
OF_LABELS = ("label_coverage", "label_lag")


class Compound(NamedTuple):
    """A condition that is a rule of its own."""

    name: str  # in findings
    tests: tuple[Test, ...]
    lead: Test
    kinds: tuple[Kind, ...]  # of the lead: the problems it joins
    persistence: Persistence

    @property
    def opens(self) -> bool:
        """Whether it is a problem by itself; a kind is one already."""
        return not isinstance(self.lead, KindTest)


def kinds_of(test: Test, lifecycle: Lifecycle) -> tuple[Kind, ...]:
    """The kinds of problems that a test is about; none for what is no test of a stream."""
    if isinstance(test, KindTest):
        return tuple(test.kinds)  # type: ignore[arg-type]  # the grammar admits only kinds
    if isinstance(test, SilenceTest):
        return ("operational",)
    if isinstance(test, SeriesTest):
        return ("data_quality",) if test.statistic in SHARES else ("data_drift", "prediction_drift")
    if not isinstance(test, MetricTest):
        return ()
    feature = lifecycle.features.get(test.metric)
    if test.metric in OPERATIONAL or (feature is not None and feature.role != "business"):
        return ("operational",)
    return ("label_health",) if test.metric in OF_LABELS else ("performance",)


def scope_of(test: Test) -> str | None:
    """The windows that tell whether a test holds; None: those of the kind it names."""
    if isinstance(test, SeriesTest):
        return HEALTH.name if test.statistic in SHARES else INPUTS.name
    if isinstance(test, MetricTest):
        return OUTCOMES.name if test.metric in NEEDS_LABELS else HEALTH.name
    return HEALTH.name if isinstance(test, SilenceTest) else None


def compound(condition: Condition, lines: Lines, lead: Test | None = None) -> Compound | None:
    """The rule that a condition is; None where it is simpler, or where one of its tests cannot be told.

    Parameters
    ----------
    lead : the test whose problem it joins; None: the first
    """
    if not is_compound(condition) or alert_gap(condition, lines.lifecycle) is not None:
        return None
    if not all(_tellable(test, lines) for test in condition.tests):
        return None
    lead = lead or condition.tests[0]
    waits = waits_of(condition.persistence)
    usual = AT_ONCE if isinstance(lead, KindTest) else USUAL
    kinds = kinds_of(lead, lines.lifecycle)
    return Compound(str(condition), condition.tests, lead, kinds, waits or usual)


def told_conditions(lifecycle: Lifecycle) -> Iterator[Condition]:
    """All that people asked to be told of, with how long each must hold."""
    yield from map(lasting, lifecycle.monitoring.alerts)
    for wish in lifecycle.retraining.trigger_conditions:
        if wish.action == "notify" and isinstance(wish.trigger, Condition):
            yield wish.trigger


def lasting(entry: AlertRule) -> Condition:
    """The condition of an alert, with how long it must hold, wherever that was written."""
    return replace(entry.condition, persistence=entry.persistence)


def is_compound(condition: Condition) -> bool:
    """Whether a condition is a rule of this module."""
    first = condition.tests[0]
    if len(condition.tests) > 1:
        return True
    if isinstance(first, KindTest):
        return condition.persistence is not None
    if isinstance(first, MetricTest):  # lines of the others are those of `Lines`
        return first.metric not in NEEDS_LABELS and first.metric not in OPERATIONAL
    return isinstance(first, SeriesTest) and first.statistic in SIZES


def _tellable(test: Test, lines: Lines) -> bool:
    return not isinstance(test, MetricTest) or lines.line_of(test) is not None


def compile_compounds(lifecycle: Lifecycle, lines: Lines) -> tuple[Compound, ...]:
    """All compounds of a lifecycle, each once for the problem it joins."""
    return tuple(dict.fromkeys(_compounds(lifecycle, lines)))


def _compounds(lifecycle: Lifecycle, lines: Lines) -> Iterator[Compound]:
    for condition in told_conditions(lifecycle):
        found = compound(condition, lines)
        if found is not None:
            yield found
    for wish in lifecycle.retraining.trigger_conditions:
        if isinstance(wish.trigger, Condition) and wish.action != "notify":
            lead = leading(wish.trigger)
            found = compound(wish.trigger, lines, lead) if lead is not None else None
            if found is not None:
                yield found
