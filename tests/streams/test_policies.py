"""What does a lifecycle mean for alerting, retraining and the judge?"""

from datetime import timedelta
from typing import Any

import pytest

from alerting.settings import (
    AlertRule,
    Receiver,
    ReleaseTest,
    RetrainingCondition,
    Schedule,
)
from streams.judging import policies
from streams.judging.plans import ModelPlan, compile_plan
from streams.judging.scopes import WEEK_MS
from streams.lifecycle import Lifecycle
from streams.registry import Registered
from tests.builders import HOUR_MS, NAMES, START_MS, lifecycle, small

MINUTE_MS = 60_000


def plan(of: Lifecycle | None = None, *, reference: bool = True) -> ModelPlan:
    """The plan of a lifecycle."""
    of = of or lifecycle()
    return compile_plan(Registered(of, small() if reference else None), NAMES, (), None)


def monitoring(**keys: Any) -> Lifecycle:
    """A lifecycle that monitors like this."""
    return lifecycle(monitoring=keys)


def retraining(*conditions: dict[str, Any], **keys: Any) -> Lifecycle:
    """A lifecycle that retrains like this."""
    return lifecycle(retraining={"trigger_conditions": list(conditions), **keys})


def rule(condition: str, **keys: Any) -> tuple[AlertRule, ...]:
    """What one alert of a lifecycle comes to."""
    of = monitoring(alerts=[{"condition": condition, **keys}])
    return policies.episodes(of, (), None).rules


def test_a_rule_waits_for_its_kind_with_severity_channels_and_runbook() -> None:
    found = rule("Data drift detected", severity="Error", channel="Slack", runbook="https://w/x")
    assert found == (AlertRule(("data_drift",), "drifting", "error", ("slack",), "https://w/x"),)


@pytest.mark.parametrize(
    ("condition", "kinds", "level"),
    [
        ("severe data drift", ("data_drift",), "severe"),
        ("prediction drift detected", ("prediction_drift",), "drifting"),
        ("drift threshold exceeded", ("data_drift", "concept_drift", "performance"), "severe"),
    ],
)
def test_the_level_of_a_rule_follows_its_words(
    condition: str, kinds: tuple[str, ...], level: str
) -> None:
    (found,) = rule(condition, severity="Warning", channel="Slack")
    assert set(found.kinds) == set(kinds)
    assert found.level == level


@pytest.mark.parametrize(
    ("condition", "kinds", "level", "named"),
    [
        ("psi(income) > 0.2", ("data_drift", "prediction_drift"), "drifting", ""),
        ("severe data drift for 2 of 3 windows", ("data_drift",), "severe", ""),
        ("data drift detected and psi(income) > 0.2", ("data_drift",), "drifting", ""),
        ("error rate above 1% and data drift", ("operational",), "drifting", "error_rate > 0.01 and data drift"),
        ("missing(income) > 3% and error_rate > 1% for 10m", ("data_quality",), "drifting",
         "missing(income) > 0.03 and error_rate > 0.01 for 10m"),
    ],
)  # fmt: skip
def test_a_compound_joins_the_kind_of_its_first_test(
    condition: str, kinds: tuple[str, ...], level: str, named: str
) -> None:
    (found,) = rule(condition, severity="Critical", channel="Slack")
    assert (found.kinds, found.level, found.severity) == (kinds, level, "critical")
    assert found.rule == (named or condition.replace(" detected", ""))


def test_how_long_an_entry_waits_may_be_written_beside_it() -> None:
    (found,) = rule("data drift detected", **{"for": "10m"})
    assert found.rule == "data drift for 10m"


def test_the_model_travels_with_its_owner_and_environment() -> None:
    of = lifecycle(
        metadata={"owner": "lending", "training_data_snapshot": "s3"},
        deployment={"environment": "staging"},
    )
    found = policies.model(of)
    assert (found.owner, found.environment, found.training_data_snapshot) == (
        "lending",
        "staging",
        "s3",
    )
    assert not found.production


def test_receivers_and_the_page_are_those_of_the_service() -> None:
    slack = Receiver("slack", "slack", "#ml")
    found = policies.episodes(lifecycle(), [slack], "https://leeway.example/")
    assert found.receivers == (slack,)
    assert found.console == "https://leeway.example/models/m"
    assert policies.episodes(lifecycle(), [], None).console is None


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"trigger": "severe data drift", "action": "retrain"}, ("data_drift",)),
        (
            {"trigger": "drift threshold exceeded", "action": "evaluate"},
            ("data_drift", "concept_drift", "performance"),
        ),
        ({"trigger": "concept drift detected", "action": "retrain"}, ("concept_drift",)),
        ({"trigger": "recall drops below 0.6", "action": "retrain"}, ("performance",)),
        ({"trigger": "label health detected", "action": "retrain"}, None),
        ({"trigger": "prediction drift detected", "action": "retrain"}, ("prediction_drift",)),
        ({"trigger": "data drift detected", "action": "notify"}, None),
        ({"trigger": "operational and error rate > 1%", "action": "retrain"}, None),
        ({"trigger": "error rate > 1% and data drift", "action": "retrain"}, ("data_drift",)),
        (
            {"trigger": "psi(income) > 0.3", "action": "retrain"},
            ("data_drift", "prediction_drift"),
        ),
    ],
)
def test_of_all_problems_drift_and_performance_can_ask_for_retraining(
    entry: dict[str, str], expected: tuple[str, ...] | None
) -> None:
    found = policies.retraining(retraining({"name": "c", **entry}), None).conditions
    assert [c.kinds for c in found] == ([] if expected is None else [expected])


def test_dates_labels_and_people_can_ask_for_retraining() -> None:
    written = (
        {"name": "month", "trigger": "Scheduled: Monthly", "action": "evaluate"},
        {"name": "fortnight", "trigger": "every 2 weeks", "action": "retrain"},
        {"name": "labels", "trigger": "new labels >= 5,000", "action": "retrain"},
        {"name": "hand", "trigger": "Manual", "action": "retrain", "priority": "high"},
    )
    found = policies.retraining(retraining(*written), None).conditions
    assert found == (
        RetrainingCondition("month", (), "evaluate", "advisory", schedule=Schedule("monthly")),
        RetrainingCondition("fortnight", schedule=Schedule("days", 14)),
        RetrainingCondition("labels", labels=5_000),
        RetrainingCondition("hand", priority="high", by_hand=True),
    )


def test_approvers_make_a_retraining_wait_for_them() -> None:
    entry = {"name": "c", "trigger": "severe data drift", "action": "retrain"}
    alone = policies.retraining(retraining(entry), None)
    asked = policies.retraining(retraining(entry, approval_process={"approvers": ["ann"]}), None)
    assert alone.conditions[0].approval == "auto"
    assert (asked.conditions[0].approval, asked.approvers) == ("required", ("ann",))


def test_guards_gates_and_pipeline_are_carried_over() -> None:
    found = policies.retraining(
        retraining(
            training_window={"lookback": "30d", "from": "change_point", "min_records": 500},
            guards={"cooldown": "2d", "at_most": "3 per 10 days", "dry_run": True},
            pipeline={"location": "ci/x", "params": {"budget": "small"}},
            promotion_gates={"auc": {"min": 0.82}, "calibration_error": {"max": 0.04}},
        ),
        None,
    )
    day = timedelta(days=1) // timedelta(milliseconds=1)
    assert (found.basis, found.lookback_ms, found.min_records) == ("change_point", 30 * day, 500)
    assert (found.cooldown_ms, found.at_most, found.at_most_per_ms) == (2 * day, 3, 10 * day)
    assert found.dry_run
    assert (found.pipeline.location, found.pipeline.params) == ("ci/x", {"budget": "small"})
    assert found.gates == {"auc": {"min": 0.82}, "calibration_error": {"max": 0.04}}
    assert (found.start_within_ms, found.finish_within_ms) == (day, 7 * day)


def test_requirements_are_gates_where_they_bound_a_metric_and_else_checks() -> None:
    found = policies.retraining(
        retraining(
            guards={"start_within": "2h", "finish_within": "12h"},
            pipeline={
                "validation_requirements": [
                    "recall >= baseline",
                    "auc >= current - 1 point",
                    "latency p95 <= 80 ms",
                    "A/B test against the current model",
                ]
            },
            promotion_gates={"auc": {"min": 0.8}, "recall": {"min": "baseline", "segment": "home"}},
        ),
        None,
    )
    assert found.gates == {
        "auc": {"min": 0.8},
        "recall": {"min": "baseline", "segment": "home"},
        "recall >= baseline": {"min": "baseline", "metric": "recall"},
        "auc >= current - 1 point": {"min": "current - 1 points", "metric": "auc"},
        "latency_p95": {"max": "80ms"},
    }
    assert found.checks == ("A/B test against the current model",)
    assert (found.start_within_ms, found.finish_within_ms) == (2 * HOUR_MS, 12 * HOUR_MS)


def test_release_rules_become_tests_of_the_candidate_and_of_open_problems() -> None:
    process = {
        "auto_deploy_if": "all gates pass and auc > current + 1 point",
        "manual_review_if": "data quality",
    }
    found = policies.retraining(retraining(approval_process=process), None)
    assert found.promote_if == (
        ReleaseTest("all gates pass", word="all gates pass"),
        ReleaseTest("auc > current + 1 points", metric="auc", bound={"min": "current + 1 points"}),
    )
    assert found.review_if == (ReleaseTest("data quality", kinds=("data_quality",)),)
    drift = policies.retraining(
        retraining(approval_process={"manual_review_if": "drift threshold exceeded"}), None
    )
    assert drift.review_if[0].severe == ("data_drift",), "the other two are severe enough"


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("1 per 90 days", "1 per 90 days"),
        ("2 per 1 day", "2 per day"),
        ("3 per 90m", "3 per 90 minutes"),
        ("1 per 90s", "1 per 90 seconds"),
    ],
)
def test_the_budget_is_told_in_words(written: str, text: str) -> None:
    assert policies.budget_text(monitoring(false_alarms=written)) == text


# ---- the judge's plan


def test_a_smaller_budget_or_more_subjects_raise_the_threshold() -> None:
    usual = plan().policy.log_threshold
    strict = plan(monitoring(false_alarms="1 per 900 days")).policy.log_threshold
    assert strict > usual


@pytest.mark.parametrize(
    ("version", "judged"),
    [
        ("1.0.0", True),
        ("1.0.7", True),
        ("unversioned", True),
        ("1.1.0", False),
        ("2.0.0", False),
        ("1.0", False),
        ("1.0.0.1", False),
    ],
)
def test_only_a_patch_release_keeps_the_reference(version: str, judged: bool) -> None:
    assert (plan().detector(version, "all") is not None) == judged


def test_nothing_is_compared_without_a_reference_or_in_an_unknown_segment() -> None:
    assert plan(reference=False).detector("1.0.0", "all") is None
    assert plan().detector("1.0.0", "country=DE") is None


@pytest.mark.parametrize(
    ("of", "series"),
    [
        (monitoring(), ("feature:income", "feature:home", "prediction", "score")),
        (
            monitoring(drift_detection={"data_drift": {"features_monitored": ["home"]}}),
            ("feature:home", "prediction", "score"),
        ),
        (
            monitoring(drift_detection={"data_drift": {"enabled": False}}),
            ("prediction", "score"),
        ),
        (
            monitoring(drift_detection={"prediction_drift": {"enabled": False}}),
            ("feature:income", "feature:home"),
        ),
        (
            lifecycle(features={"income": {"type": "number", "role": "operational"}, "home": "category"}),
            ("feature:home", "prediction", "score"),
        ),
    ],
)  # fmt: skip
def test_what_is_monitored_follows_the_lifecycle(of: Lifecycle, series: tuple[str, ...]) -> None:
    assert plan(of).monitored == series


@pytest.mark.parametrize("window_ms", [5 * MINUTE_MS, HOUR_MS, 24 * HOUR_MS, 2 * 24 * HOUR_MS])
def test_windows_start_at_multiples_of_their_length(window_ms: int) -> None:
    one = plan(monitoring(window={"size": f"{window_ms // MINUTE_MS}m"}))
    start = one.start_of(START_MS + 17 * MINUTE_MS)
    assert start % window_ms == 0
    assert start <= START_MS + 17 * MINUTE_MS < start + window_ms


def test_weekly_windows_start_on_monday() -> None:
    one = plan(monitoring(window={"size": "7d"}))
    day = 24 * HOUR_MS
    assert one.window_ms == WEEK_MS
    assert {one.start_of(START_MS + n * day) for n in range(7)} == {
        START_MS
    }  # 2026-03-02, a Monday
    assert one.start_of(START_MS - 1) == START_MS - WEEK_MS
