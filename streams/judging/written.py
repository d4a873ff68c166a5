"""What do the conditions of alerts say of a window of health? Metrics without labels, shares of bad values, silence."""

from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple

from alerting.settings import Persistence
from alerting.types import Kind
from detectors.operations.measures import Measure, share
from detectors.operations.rules import LEAST, Z99, Line, held, silence
from detectors.types import Check, Unit, Window
from streams.judging.compounds import Compound, compile_compounds, scope_of, told_conditions
from streams.judging.limits import OPERATIONAL, Limits
from streams.judging.lines import Lines, Rule, waits_of
from streams.judging.scopes import HEALTH, SCOPES
from streams.judging.vitals import HealthWindow
from streams.judging.waiting import called
from streams.lifecycle import Lifecycle
from streams.lifecycle.conditions import SHARES, MetricTest, SeriesTest, SilenceTest, Test
from streams.lifecycle.metrics import METRICS
from streams.segments import ALL

_UNFIT = ("non_finite",)  # reasons for which a value is missing, not strange
_OUTSIDE = ("range", "category")
_UNITS: Mapping[str, Unit] = {"share": "share", "number": "metric", "time": "time"}


class Conditions(NamedTuple):
    """The conditions of a lifecycle that windows are held against, beside the lines of metrics."""

    metrics: tuple[Rule, ...]
    shares: tuple[SeriesTest, ...]
    silences: tuple[SilenceTest, ...]
    waits: Mapping[str, Persistence]
    compounds: tuple[Compound, ...]
    parts: Mapping[str, tuple[Test, ...]]  # their tests, by the scope whose windows tell them
    lines: Mapping[str, Line]  # of those among them that are of metrics
    means: tuple[str, ...]  # features whose mean is asked for


def compile_conditions(lifecycle: Lifecycle, lines: Lines) -> Conditions:
    """Of those written for alerts, the ones that are a single test of what `health` counts; and all compounds."""
    shares: list[SeriesTest] = []
    silences: list[SilenceTest] = []
    waits = {rule.name: rule.persistence for rule in lines.rules}
    for condition in told_conditions(lifecycle):
        test = condition.tests[0]
        if len(condition.tests) > 1:
            continue
        if isinstance(test, SeriesTest) and test.statistic in SHARES:
            shares.append(test)
        elif isinstance(test, SilenceTest):
            silences.append(test)
        else:
            continue
        persistence = waits_of(condition.persistence)
        if persistence is not None:
            waits[str(test)] = persistence
    # a line that `performance_metrics` has as well is called by its metric, and held there
    mine = (rule for rule in lines.rules if rule.metric in OPERATIONAL and rule.name != rule.metric)
    compounds = compile_compounds(lifecycle, lines)
    tests = tuple(dict.fromkeys(test for one in compounds for test in one.tests))
    measured = {test.metric for test in tests if isinstance(test, MetricTest)}
    drawn = {str(test): lines.line_of(test) for test in tests if isinstance(test, MetricTest)}
    return Conditions(
        tuple(mine),
        tuple(shares),
        tuple(silences),
        waits,
        compounds,
        {
            scope.name: tuple(test for test in tests if scope_of(test) == scope.name)
            for scope in SCOPES
        },
        {name: line for name, line in drawn.items() if line is not None},
        tuple(name for name in lifecycle.features if name in measured),
    )


class Counted(NamedTuple):
    """What a window of health counted, as conditions need it."""

    limits: Limits
    windows: Mapping[str, HealthWindow]  # by the digest of the reference
    window: Window
    measured: Mapping[str, Measure]  # the metrics that need no labels, with their 99 % intervals
    last_ms: int | None  # end of the last pane with a prediction

    def share(self, test: SeriesTest) -> Check:
        """The share of a field's values that a test is about."""
        limits, counted = self.limits, self.windows.get(self.limits.digest)
        name, series = str(test), f"feature:{test.feature}"
        field = next((f for f in limits.fields if test.feature in (f.name, f.series)), None)
        measure = None
        if field is not None and counted is not None:
            series = field.series
            start = int(limits.starts[field.place])
            cells = counted.counted.cells[start : int(limits.starts[field.place + 1])]
            invalid = counted.counted.invalid.get(series, {})
            violations = counted.counted.violations.get(series, {})
            wrong = sum(n for reason, n in invalid.items() if reason not in _UNFIT)
            part = {
                "missing": int(cells[-1]),
                "unseen": max(int(cells[-2]) - wrong, 0),
                "invalid": sum(invalid.values()),
                "out_of_range": sum(violations.get(reason, 0) for reason in _OUTSIDE),
                "stale": violations.get("stale", 0),
            }[test.statistic]
            measure = share(part, int(cells.sum()), Z99)
        return held(Line(high=test.value, least=LEAST), name, series, measure)

    def silence(self, test: SilenceTest) -> Check:
        """How long no prediction came."""
        end_ms = self.window.end_ms
        silent_ms = None if self.last_ms is None else max(end_ms - self.last_ms, 0)
        most_ms = test.time // timedelta(milliseconds=1)
        return silence(silent_ms, most_ms, self.window.events)._replace(rule=str(test))


def checks(conditions: Conditions, counted: Counted) -> dict[Kind, list[Check]]:
    """What the conditions say of one window of segment `all`."""
    operational = [
        _metric(rule.metric, rule.name, rule.line, counted.measured)
        for rule in conditions.metrics
        if rule.segment == ALL
    ]
    operational += [counted.silence(test) for test in conditions.silences]
    return {
        "operational": [called(one, one.series.removeprefix("metric:")) for one in operational],
        "data_quality": [counted.share(test) for test in conditions.shares],
    }


def told(conditions: Conditions, counted: Counted) -> dict[str, Check]:
    """What a window of segment `all` says of the tests that are parts of compounds."""
    found = {}
    for test in conditions.parts[HEALTH.name]:
        if isinstance(test, SilenceTest):
            found[str(test)] = counted.silence(test)
        elif isinstance(test, SeriesTest):
            found[str(test)] = counted.share(test)
        elif isinstance(test, MetricTest):
            line = conditions.lines[str(test)]
            check = _metric(test.metric, str(test), line, counted.measured)
            found[str(test)] = called(check, test.metric)
    return found


def _metric(metric: str, rule: str, line: Line, measured: Mapping[str, Measure]) -> Check:
    about = METRICS.get(metric)
    series = f"metric:{metric}" if about is not None else f"feature:{metric}"
    unit: Unit = _UNITS[about.unit] if about is not None else "metric"
    return held(line, rule, series, measured.get(metric), unit=unit)
