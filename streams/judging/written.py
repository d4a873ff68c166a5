"""What do the conditions of alerts say of a window of health? Metrics without labels, shares of bad values, silence."""

from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple

import numpy as np

from alerting.settings import Persistence
from alerting.types import Kind
from detectors.operations.layout import TOTAL
from detectors.operations.measures import measures, share
from detectors.operations.rules import LEAST, Z99, Line, held, silence
from detectors.types import Check, Window
from streams.judging.limits import OPERATIONAL, Limits
from streams.judging.lines import Lines, Rule, waits_of
from streams.judging.vitals import HealthWindow
from streams.judging.waiting import called
from streams.lifecycle import Lifecycle
from streams.lifecycle.conditions import SHARES, SeriesTest, SilenceTest
from streams.segments import ALL

_UNFIT = ("non_finite",)  # reasons for which a value is missing, not strange
_OUTSIDE = ("range", "category")


class Conditions(NamedTuple):
    """The conditions of a lifecycle that windows of health are held against."""

    metrics: tuple[Rule, ...]
    shares: tuple[SeriesTest, ...]
    silences: tuple[SilenceTest, ...]
    waits: Mapping[str, Persistence]


def compile_conditions(lifecycle: Lifecycle, lines: Lines) -> Conditions:
    """Of those written for alerts, the ones that are a single test of what `health` counts."""
    shares: list[SeriesTest] = []
    silences: list[SilenceTest] = []
    waits = {rule.name: rule.persistence for rule in lines.rules}
    for entry in lifecycle.monitoring.alerts:
        test = entry.condition.tests[0]
        if len(entry.condition.tests) > 1:
            continue
        if isinstance(test, SeriesTest) and test.statistic in SHARES and test.op.startswith(">"):
            shares.append(test)
        elif isinstance(test, SilenceTest):
            silences.append(test)
        else:
            continue
        persistence = waits_of(entry.persistence)
        if persistence is not None:
            waits[str(test)] = persistence
    # a line that `performance_metrics` has as well is called by its metric, and held there
    mine = (rule for rule in lines.rules if rule.metric in OPERATIONAL and rule.name != rule.metric)
    return Conditions(tuple(mine), tuple(shares), tuple(silences), waits)


def checks(
    conditions: Conditions,
    limits: Limits,
    windows: Mapping[str, HealthWindow],
    window: Window,
    last_ms: int | None,
) -> dict[Kind, list[Check]]:
    """What the conditions say of one window of segment `all`.

    Parameters
    ----------
    windows : what was counted, by the digest of the reference
    last_ms : end of the last pane with a prediction
    """
    vector = sum((of.vector for of in windows.values()), np.zeros(TOTAL, np.int64))
    measured = measures(vector, window.end_ms - window.start_ms, Z99)
    operational = [
        held(
            rule.line,
            rule.name,
            f"metric:{rule.metric}",
            measured.get(rule.metric),
            unit="time" if rule.metric.startswith("latency") else "share",
        )
        for rule in conditions.metrics
        if rule.segment == ALL
    ]
    for test in conditions.silences:
        silent_ms = None if last_ms is None else max(window.end_ms - last_ms, 0)
        most_ms = test.time // timedelta(milliseconds=1)
        found = silence(silent_ms, most_ms, window.events)
        operational.append(found._replace(rule=str(test)))
    counted = windows.get(limits.digest)
    quality = [_share(test, limits, counted) for test in conditions.shares]
    return {
        "operational": [called(one, one.series.removeprefix("metric:")) for one in operational],
        "data_quality": quality,
    }


def _share(test: SeriesTest, limits: Limits, counted: HealthWindow | None) -> Check:
    """The share of a field's values that a test is about."""
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
