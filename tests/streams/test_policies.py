"""What does a lifecycle mean for alerting, retraining and the judge?"""

from datetime import timedelta
from typing import Any

import pytest

from alerting.settings import AlertRule, Receiver
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
    "condition", ["psi(income) > 0.2", "data drift detected and psi(income) > 0.2"]
)
def test_a_rule_on_numbers_is_left_to_a_later_release(condition: str) -> None:
    assert rule(condition, severity="Warning", channel="Slack") == ()


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
        ({"trigger": "Scheduled: Monthly", "action": "retrain"}, None),
        ({"trigger": "Manual", "action": "retrain"}, None),
    ],
)
def test_drift_and_performance_can_ask_for_retraining_and_nothing_else(
    entry: dict[str, str], expected: tuple[str, ...] | None
) -> None:
    found = policies.retraining(retraining({"name": "c", **entry}), None).conditions
    assert [c.kinds for c in found] == ([] if expected is None else [expected])


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
