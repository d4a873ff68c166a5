"""Which lines were written for metrics, by whatever key, and under which name is each of them a rule?

`performance_metrics`, `slices`, the conditions of `alerts` and those of `trigger_conditions` all draw lines. The same
line drawn twice is one rule, so that nobody hears of it twice.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import NamedTuple

from alerting.settings import Persistence
from detectors.operations.rules import LEAST, Line
from streams.lifecycle import Lifecycle, grammar
from streams.lifecycle.conditions import Condition, MetricTest
from streams.lifecycle.metrics import METRICS, UNKNOWN, Bound
from streams.segments import ALL, name_of

USUAL = Persistence()
_LEAST_LABELS = 200


class Rule(NamedTuple):
    """A line, what it is drawn for, and how long it must be crossed before anybody hears of it."""

    name: str  # in results and alerts
    metric: str
    line: Line
    segment: str = ALL  # a segment, or `country=` for every value of it
    period_ms: int | None = None  # measured over so long; None: over a window
    persistence: Persistence = USUAL
    current: float | None = None  # what it was when the line was drawn, as far as it was written

    def about(self, segment: str) -> bool:
        """Whether it is drawn for this segment."""
        if not self.segment.endswith("="):
            return self.segment == segment
        return segment.startswith(self.segment) and "," not in segment


Baseline = Callable[[str], float | None]  # a metric's value in the reference


class Lines:
    """All rules of a lifecycle that hold metrics against lines; the same line is one rule."""

    def __init__(self, lifecycle: Lifecycle, baseline: Baseline = lambda metric: None) -> None:
        self.lifecycle, self._baseline = lifecycle, baseline
        self.rules: list[Rule] = []
        for rule in (*_of_metrics(lifecycle), *_of_slices(lifecycle)):
            self._add(rule)
        for entry in lifecycle.monitoring.alerts:
            self._read(entry.condition, entry.persistence)
        for wish in lifecycle.retraining.trigger_conditions:
            if isinstance(wish.trigger, Condition):
                self._read(wish.trigger, wish.trigger.persistence)

    def _read(self, condition: Condition, waits: grammar.Persistence | None) -> None:
        test = only_metric(condition)
        if test is not None:
            self.rule_of(test, waits)

    def rule_of(self, test: MetricTest, waits: grammar.Persistence | None = None) -> str | None:
        """The name of the rule that a written test is; None where its line is not known.

        A test that says nothing of how long shares the rule of an equal line, however long that waits.
        """
        line = self.line_of(test)
        if line is None:
            return None
        written = waits_of(waits)
        rule = Rule(str(test), test.metric, line, persistence=written or USUAL)
        return self._add(rule, anyhow=written is None)

    def _add(self, rule: Rule, *, anyhow: bool = False) -> str:
        """Add a rule, unless it is one that is known; what it is called."""
        for known in self.rules:
            same = (known.metric, known.segment) == (rule.metric, rule.segment)
            waits = anyhow or known.persistence == rule.persistence
            if (
                same
                and waits
                and (known.line.low, known.line.high) == (rule.line.low, rule.line.high)
            ):
                return known.name
        names = {known.name for known in self.rules if known.segment == rule.segment}
        if rule.name in names:
            rule = rule._replace(
                name=f"{rule.name} for {rule.persistence.hits} of {rule.persistence.of}"
            )
        self.rules.append(rule)
        return rule.name

    def line_of(self, test: MetricTest) -> Line | None:
        """Where a written test draws its line; None where that is not known."""
        value = test.value
        amount: float | None = value.amount
        if value.base != "number":
            base = self._baseline(test.metric)
            if base is None:
                written = self.lifecycle.monitoring.performance_metrics
                base = next((m.current for m in written if m.metric == test.metric), None)
            if base is None:
                return None
            amount = base * (1 + value.amount) if value.unit == "%" else base + value.amount
        least = _least(test.metric)
        below = test.op.startswith("<")
        return Line(low=amount, least=least) if below else Line(high=amount, least=least)


def only_metric(condition: Condition) -> MetricTest | None:
    """The test of a condition that is nothing but a metric against a value."""
    first = condition.tests[0]
    return first if len(condition.tests) == 1 and isinstance(first, MetricTest) else None


def _of_metrics(lifecycle: Lifecycle) -> Iterator[Rule]:
    for written in lifecycle.monitoring.performance_metrics:
        if written.threshold is None and written.critical is None:
            continue
        line = _two(written.threshold, written.critical, written.min_events)
        every = written.measurement_frequency
        yield Rule(
            written.metric,
            written.metric,
            line,
            written.segment or ALL,
            every // timedelta(milliseconds=1) if every is not None else None,
            current=written.current,
        )


def _of_slices(lifecycle: Lifecycle) -> Iterator[Rule]:
    for cohort in lifecycle.monitoring.slices:
        if cohort.min is None and cohort.max is None:
            continue
        line = Line(low=cohort.min, high=cohort.max, least=cohort.min_events)
        prefix = name_of([(cohort.segment, "")])
        yield Rule(cohort.metric, cohort.metric, line, prefix)


def _two(first: Bound | None, second: Bound | None, least: int) -> Line:
    line = Line(least=max(least, LEAST))
    if first is not None:
        line = line._replace(low=first.min, high=first.max)
    if second is not None:
        line = line._replace(severe_low=second.min, severe_high=second.max)
    return line


def _least(metric: str) -> int:
    return _LEAST_LABELS if METRICS.get(metric, UNKNOWN).unit != "time" else LEAST


def waits_of(waits: grammar.Persistence | None) -> Persistence | None:
    if waits is None:
        return None
    if waits.time is not None:
        return Persistence(1, 1, waits.time // timedelta(milliseconds=1))
    return Persistence(waits.windows, waits.of)
