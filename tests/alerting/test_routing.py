from dataclasses import replace

import pytest

from alerting.routing import DEFAULTS, route
from alerting.settings import AlertRule, Receiver
from alerting.types import Kind, Severity
from detectors.types import Status
from tests.alerting.builders import MODEL, RECEIVERS, policy

DRIFT = AlertRule(("data_drift",), "drifting", "error", ("Slack",), "https://wiki/drift")
SEVERE = AlertRule(("data_drift", "concept_drift"), "severe", "critical", ("pagerduty", "email"))


@pytest.mark.parametrize(
    ("kind", "drifting", "severe"),
    [
        ("data_drift", ("warning", "slack"), ("warning", "slack")),
        ("prediction_drift", ("warning", "slack"), ("warning", "slack")),
        ("pipeline", ("warning", "slack"), ("error", "slack")),
        ("label_health", ("warning", "slack"), ("error", "slack")),
        *(
            (kind, ("error", "slack pagerduty"), ("critical", "slack pagerduty email"))
            for kind in (
                "concept_drift",
                "performance",
                "data_quality",
                "operational",
                "version_regression",
            )
        ),
    ],
)
def test_defaults_are_those_of_the_contract(
    kind: Kind, drifting: tuple[str, str], severe: tuple[str, str]
) -> None:
    for status, expected in ((Status.DRIFTING, drifting), (Status.SEVERE, severe)):
        heard = route(policy(), kind, status)
        assert (heard.severity, " ".join(heard.receivers)) == expected
        assert heard.runbook is None


def test_every_kind_has_a_default() -> None:
    assert set(DEFAULTS) == set(Kind.__args__)  # type: ignore[attr-defined]


def test_a_rule_for_drift_holds_at_severe_too_and_a_severe_one_only_there() -> None:
    rules = policy(rules=(DRIFT, SEVERE))
    assert route(rules, "data_drift", Status.DRIFTING)[:3] == (
        "error",
        ("slack",),
        "https://wiki/drift",
    )
    assert route(rules, "data_drift", Status.SEVERE)[:3] == (
        "critical",
        ("pagerduty", "email", "slack"),
        "https://wiki/drift",
    )


def test_a_rule_may_lower_the_default() -> None:
    rule = AlertRule(("performance",), "drifting", "info")
    assert route(policy(rules=(rule,)), "performance", Status.SEVERE) == (
        "info",
        (),
        None,
        None,
        (),
    )


def test_a_rule_without_severity_keeps_the_default() -> None:
    rule = AlertRule(("pipeline",), "drifting", channels=("email",))
    assert route(policy(rules=(rule,)), "pipeline", Status.SEVERE)[:2] == ("error", ("email",))


def test_the_runbook_is_that_of_the_most_severe_rule_that_has_one() -> None:
    rules = (DRIFT, replace(SEVERE, runbook="https://wiki/severe"))
    assert route(policy(rules=rules), "data_drift", Status.SEVERE).runbook == "https://wiki/severe"
    assert route(policy(runbook="https://wiki/any"), "pipeline", Status.DRIFTING).runbook == (
        "https://wiki/any"
    )


@pytest.mark.parametrize(
    ("environment", "severity", "receivers"),
    [
        ("Production", "critical", ("pagerduty", "email", "slack")),
        ("production", "critical", ("pagerduty", "email", "slack")),
        ("Staging", "warning", ("email", "slack")),
    ],
)
def test_outside_production_nothing_passes_warning_or_reaches_pagerduty(
    environment: str, severity: Severity, receivers: tuple[str, ...]
) -> None:
    elsewhere = policy(rules=(DRIFT, SEVERE), model=replace(MODEL, environment=environment))
    heard = route(elsewhere, "data_drift", Status.SEVERE)
    assert (heard.severity, heard.receivers) == (severity, receivers)


@pytest.mark.parametrize(
    ("channel", "names"),
    [
        ("Slack", ("slack",)),
        ("ops", ("ops",)),
        ("PagerDuty", ("pagerduty",)),
        ("nobody", ()),
    ],
)
def test_a_channel_is_a_receiver_s_name_before_it_is_a_kind(
    channel: str, names: tuple[str, ...]
) -> None:
    receivers = (Receiver("ops", "slack"), *RECEIVERS)
    rule = AlertRule(("data_drift",), "drifting", "critical", (channel,))
    assert (
        route(policy(rules=(rule,), receivers=receivers), "data_drift", Status.SEVERE).receivers
        == names
    )


def test_a_kind_of_channel_means_all_its_receivers_where_none_has_its_name() -> None:
    receivers = (Receiver("ops", "slack"), Receiver("data", "slack"), Receiver("pd", "pagerduty"))
    rule = AlertRule(("data_drift",), "drifting", "critical", ("slack", "ops"))
    heard = route(policy(rules=(rule,), receivers=receivers), "data_drift", Status.SEVERE)
    assert heard.receivers == ("ops", "data")
    default = policy(receivers=receivers)
    assert route(default, "data_drift", Status.SEVERE).receivers == ()
