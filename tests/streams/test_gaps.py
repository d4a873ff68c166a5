"""Does `check` call exactly that "later" which comes to nothing, and does it say what labels lack?"""

from typing import Any

import pytest

from streams.judging import policies
from streams.judging.compounds import scope_of
from streams.judging.limits import OPERATIONAL
from streams.judging.lines import Lines
from streams.judging.written import compile_conditions
from streams.lifecycle import Lifecycle, notices
from streams.lifecycle.conditions import condition
from streams.lifecycle.gaps import KINDS_THAT_RETRAIN, alert_gap, trigger_gap
from streams.lifecycle.metrics import NEEDS_LABELS
from streams.lifecycle.triggers import trigger
from tests.builders import lifecycle

LABELLED: dict[str, Any] = {"labels": {}}
MEASURED = {"performance_metrics": [{"metric": "latency_p95", "current": "60 ms"}]}
SAID = {"purpose": "p", "owner": "o", "framework": "f"}
CONDITIONS = [
    *("data drift", "severe data drift", "prediction drift", "concept drift", "performance"),
    *("data quality", "label health", "operational", "pipeline", "version regression"),
    *("drift threshold exceeded", "accuracy < 0.8", "accuracy < 0.8 for 2 of 3 windows"),
    *("mae > 3", "auc < baseline - 2 points", "label_coverage < 80%", "label_lag > 2d"),
    *("latency_p95 > 200 ms", "latency_p99 > baseline + 5%", "latency_p95 > baseline + 5%"),
    *("latency_p95 > current + 20 ms", "error_rate > 1%", "throughput < 5", "positive_rate > 0.4"),
    *("mean_score < 0.2", "income > 5", "home > 5", "missing(income) > 3%", "unseen(home) > 1%"),
    *("psi(income) > 0.2", "out_of_range(income) > 1%", "ks(income) > 0.1", "stale(income) > 5%"),
    *("no predictions for 20m", "data drift and accuracy < 0.8", "data drift for 10m"),
    *("js(home) > 0.1", "wasserstein(score) > 1 for 20m", "severe data drift and label health"),
    *("severe data drift for 2 of 3 windows", "accuracy < 0.8 and version regression"),
    *("error_rate > 1% and missing(income) > 3%", "no predictions for 20m and auc < baseline - 1%"),
    *("latency_p99 > baseline + 5% and data drift", "data drift and positive_rate > 0.4"),
]
REFUSED = ("data quality",)  # bad data teach nothing
TRIGGERS = [
    *(one for one in CONDITIONS if one not in REFUSED),
    *("Monthly", "every 14 days", "new labels >= 5000", "Manual"),
]


def labelled(**monitoring: Any) -> Lifecycle:
    return lifecycle(metadata=SAID, source=LABELLED, monitoring=MEASURED | monitoring)


def lines(of: Lifecycle) -> Lines:
    """As they are where the reference knows its outcomes."""
    return Lines(of, {"accuracy": 0.9, "auc": 0.9, "mae": 2.0}.get)


@pytest.mark.parametrize("written", CONDITIONS)
def test_a_condition_is_called_later_exactly_if_nothing_waits_for_it(written: str) -> None:
    of = labelled(alerts=[{"condition": written}])
    found = policies.episodes(of, (), None, lines(of)).rules
    acts = alert_gap(condition(written, frozenset(of.features)), of) is None
    # that a kind is routed says nothing of whether it is ever found
    assert acts == (bool(found) and found[0].kinds != ("version_regression",))


@pytest.mark.parametrize("written", TRIGGERS)
def test_a_trigger_is_called_later_exactly_if_it_asks_for_nothing(written: str) -> None:
    of = lifecycle(
        source=LABELLED,
        monitoring=MEASURED,
        retraining={"trigger_conditions": [{"trigger": written, "action": "retrain"}]},
    )
    found = policies.retraining(of, None, lines(of)).conditions
    read = trigger(written, frozenset(of.features))
    assert (trigger_gap(read, "retrain", of) is None) == bool(found)


@pytest.mark.parametrize("written", TRIGGERS)
def test_what_a_trigger_only_notifies_of_is_told_as_an_alert_is(written: str) -> None:
    wish = {"trigger": written, "action": "notify"}
    of = lifecycle(source=LABELLED, monitoring=MEASURED, retraining={"trigger_conditions": [wish]})
    assert policies.retraining(of, None, lines(of)).conditions == ()
    found = policies.episodes(of, (), None, lines(of)).rules
    read = trigger(written, frozenset(of.features))
    told = bool(found) and found[0].kinds != ("version_regression",)
    assert (trigger_gap(read, "notify", of) is None) == told


@pytest.mark.parametrize("written", [*CONDITIONS, *TRIGGERS])
def test_every_compound_that_a_policy_names_is_looked_at_in_windows(written: str) -> None:
    asked = [] if written in REFUSED else [{"trigger": written, "action": "retrain"}]
    of = lifecycle(
        source=LABELLED,
        monitoring=MEASURED | {"alerts": [{"condition": written}] if written in CONDITIONS else []},
        retraining={"trigger_conditions": asked},
    )
    drawn = lines(of)
    found = compile_conditions(of, drawn)
    named = {rule.rule for rule in policies.episodes(of, (), None, drawn).rules}
    named |= {condition.rule for condition in policies.retraining(of, None, drawn).conditions}
    lined = NEEDS_LABELS | set(OPERATIONAL)
    single = {rule.name for rule in drawn.rules if rule.metric in lined}
    single |= {str(test) for test in (*found.shares, *found.silences)}
    assert named - {None} - single == {one.name for one in found.compounds}
    told = [str(test) for tests in found.parts.values() for test in tests]
    numbers = [test for one in found.compounds for test in one.tests if scope_of(test)]
    assert set(told) == set(map(str, numbers))


def test_what_may_ask_for_a_retraining_is_what_the_policies_say() -> None:
    assert KINDS_THAT_RETRAIN == policies.RETRAINS


@pytest.mark.parametrize("written", ["missing(income) > 0.03", "no predictions for 20m"])
def test_conditions_on_what_needs_no_labels_are_held_against_health(written: str) -> None:
    of = lifecycle(monitoring={"alerts": [{"condition": written}]})
    found = compile_conditions(of, Lines(of))
    assert [*map(str, (*found.shares, *found.silences))] == [written]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (
            {"monitoring": {"performance_metrics": [{"metric": "recall", "threshold": 0.5}]}},
            "monitoring.performance_metrics[0]: needs labels",
        ),
        (
            {"monitoring": {"drift_detection": {"concept_drift": {}}}},
            "monitoring.drift_detection.concept_drift: needs labels",
        ),
        ({"monitoring": {"labels": {"max_lag": "2d"}}}, "monitoring.labels: needs labels"),
        (
            {"monitoring": {"alerts": [{"condition": "recall < 0.5"}]}},
            "monitoring.alerts[0].condition: needs labels",
        ),
        (
            {"monitoring": {"alerts": [{"condition": "Label health"}]}},
            "monitoring.alerts[0].condition: needs labels",
        ),
        (
            {
                "retraining": {
                    "trigger_conditions": [{"trigger": "concept drift", "action": "retrain"}]
                }
            },
            "retraining.trigger_conditions[0].trigger: needs labels",
        ),
        (
            {"retraining": {"training_window": {"min_labels": 10}}},
            "retraining.training_window.min_labels: holds every request back",
        ),
        (
            {
                "prediction": {
                    "classes": ["a", "b"],
                    "positive": "a",
                    "costs": {"false_positive": 1},
                }
            },
            "prediction.costs: needs labels",
        ),
    ],
)
def test_what_needs_labels_is_named_where_none_are_read(keys: dict[str, Any], said: str) -> None:
    (line,) = notices(lifecycle(metadata=SAID, **keys))
    assert line.startswith(said)
    assert notices(lifecycle(metadata=SAID, source=LABELLED, **keys)) == ()


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (
            {"prediction": {"classes": ["a", "b"], "costs": {"false_negative": 5}}},
            "prediction.costs: no cost is measured without prediction.positive",
        ),
        (
            {"monitoring": {"labels": {"maturity": "3h"}}},
            "judged 3h later; labels that come after that only show in matured days",
        ),
        (
            {"monitoring": {"labels": {"maturity": "3h", "delay": "1d"}}},
            "3h is shorter than the delay, 1d: most labels come too late",
        ),
        (
            {
                "source": {"labels": {}, "join": {"window": "1d"}},
                "monitoring": {"labels": {"max_lag": "3d"}},
            },
            "source.join.window: 1d is shorter than monitoring.labels.max_lag, 3d",
        ),
        (
            {
                "source": {"labels": {}, "predictions": False, "features": {}},
                "features": {"income": {"type": "number", "from": "features"}},
            },
            "source.labels: are joined with predictions, which are not read",
        ),
        (
            {
                "monitoring": {
                    "drift_detection": {"concept_drift": {"window": "1d"}},
                    "performance_metrics": [{"metric": "accuracy", "measurement_frequency": "36h"}],
                }
            },
            "measurement_frequency: 36h is no number of windows of outcomes",
        ),
        (
            {
                "segments": ["country"],
                "monitoring": {
                    "slices": [{"segment": "country", "metric": "latency_p95", "max": "1s"}]
                },
            },
            "monitoring.slices[0]: parsed, does not act yet (slices of latency_p95",
        ),
        (
            {"features": {"queue": {"type": "number", "role": "operational"}}},
            "features.queue.role: operational features are not watched for drift",
        ),
    ],
)
def test_what_labels_and_lines_lack_is_said(keys: dict[str, Any], said: str) -> None:
    (line,) = notices(lifecycle(**{"metadata": SAID, "source": LABELLED} | keys))
    assert said in line


def test_a_metric_of_a_longer_period_and_of_a_shorter_join_is_no_news() -> None:
    of = labelled(
        drift_detection={"concept_drift": {"window": "1d"}},
        performance_metrics=[{"metric": "accuracy", "measurement_frequency": "7d"}],
        labels={"max_lag": "3d", "coverage": "90%", "within": "5d"},
    )
    assert notices(of) == ()
