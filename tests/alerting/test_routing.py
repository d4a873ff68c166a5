from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.routing import DEFAULTS, Route, is_muted, route
from alerting.settings import HOUR_MS, AlertRule, Mute, Receiver, RoutingRule
from alerting.types import Kind, Severity
from detectors.types import Status
from tests.alerting.builders import MODEL, RECEIVERS, SEVEN, policy

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


# ---- the service's routing


def heard(
    *routing: RoutingRule,
    kind: Kind = "performance",
    verdict: Status = Status.DRIFTING,
    rules: tuple[AlertRule, ...] = (),
    segment: str = "all",
    at_ms: int = 0,
) -> Route:
    """Who hears of an error, unless said otherwise; there are two more receivers than the default ones."""
    receivers = (*RECEIVERS, Receiver("ops", "slack"), Receiver("night", "pagerduty"))
    of = policy(routing=routing, rules=rules, receivers=receivers)
    return route(of, kind, verdict, (), segment, at_ms)


OPS = RoutingRule(receivers=("ops",))


def test_the_first_route_that_matches_ends_the_search() -> None:
    labels = RoutingRule(kinds=("label_health",), receivers=("email",))
    assert heard(labels, OPS).receivers == ("ops",)
    assert heard(labels, OPS, kind="label_health").receivers == ("email",)
    assert heard(labels).receivers == ("slack", "pagerduty"), "the defaults come last"


def test_a_route_that_goes_on_adds_to_what_follows() -> None:
    also = replace(OPS, go_on=True)
    assert heard(also).receivers == ("ops", "slack", "pagerduty")
    assert heard(also, RoutingRule(receivers=("email", "ops"))).receivers == ("ops", "email")


def test_a_lifecycle_s_own_channels_come_before_every_route() -> None:
    rule = AlertRule(("performance",), "drifting", channels=("email",))
    found = heard(replace(OPS, mute=Mute(days=(3,)), repeat_ms=1), rules=(rule,))
    assert (found.receivers, found.muted, found.repeat_ms) == (("email",), (), 12 * HOUR_MS)


def test_a_lifecycle_s_severity_alone_does_not_name_receivers() -> None:
    rule = AlertRule(("performance",), "drifting", "warning")
    assert heard(OPS, rules=(rule,))[:2] == ("warning", ("ops",))


@pytest.mark.parametrize(
    ("match", "matches"),
    [
        ({}, True),
        ({"kinds": ("performance", "pipeline")}, True),
        ({"kinds": ("pipeline",)}, False),
        ({"severities": ("error",)}, True),
        ({"severities": ("critical",)}, False),
        ({"models": ("loan-default",)}, True),
        ({"models": ("churn",)}, False),
        ({"owners": ("credit-risk",)}, True),
        ({"owners": ("growth",)}, False),
        ({"environments": ("production",)}, True),
        ({"environments": ("Staging",)}, False),
        ({"segments": ("country=DE",)}, True),
        ({"segments": ("all",)}, False),
        ({"kinds": ("performance",), "owners": ("growth",)}, False),
    ],
)
def test_a_route_is_for_what_matches_all_it_says(match: dict[str, Any], matches: bool) -> None:
    found = heard(replace(OPS, **match), segment="country=DE")
    assert (found.receivers == ("ops",)) is matches


def test_a_route_matches_the_severity_that_is_told() -> None:
    everything = RoutingRule(severities=("warning",), receivers=("email",))
    staging = policy(model=replace(MODEL, environment="Staging"), routing=(everything,))
    assert route(staging, "performance", Status.SEVERE).receivers == ("email",)


def test_a_route_without_receivers_keeps_the_default_ones() -> None:
    found = heard(RoutingRule(repeat_ms=HOUR_MS, mute=Mute(days=(3,))))
    assert found.receivers == found.muted == ("slack", "pagerduty")
    assert found.repeat_ms == HOUR_MS


def test_the_shortest_rhythm_counts_and_info_has_none() -> None:
    often, seldom = (replace(OPS, repeat_ms=n * HOUR_MS, go_on=True) for n in (1, 9))
    assert heard(seldom, often).repeat_ms == HOUR_MS
    info = AlertRule(("performance",), "drifting", "info")
    assert heard(often, rules=(info,)).repeat_ms is None
    assert heard(often, rules=(info,)).receivers == ()


def test_who_is_reached_on_another_way_is_not_muted() -> None:
    muted = replace(OPS, mute=Mute(days=(3,)), go_on=True)
    found = heard(muted, RoutingRule(receivers=("email",)))
    assert (found.receivers, found.muted) == (("ops", "email"), ("ops",))
    assert heard(muted, OPS).muted == ()


@pytest.mark.parametrize(
    ("mute", "muted"),
    [
        (Mute(), []),
        (Mute(days=(0,)), [*range(24)]),
        (Mute(days=(1,)), []),
        (Mute(hours=(6 * 60, 8 * 60)), [6, 7]),
        (Mute(hours=(22 * 60, 24 * 60)), [22, 23]),
        (Mute(hours=(22 * 60, 2 * 60)), [0, 1, 22, 23]),
        (Mute((0,), (22 * 60, 2 * 60)), [22, 23]),  # the night that begins on Monday
        (Mute((6,), (22 * 60, 2 * 60)), [0, 1]),  # the night that began on Sunday
        (Mute((6,), (6 * 60, 8 * 60)), []),
    ],
)
def test_hours_and_days_of_a_mute_on_a_monday(mute: Mute, muted: list[int]) -> None:
    monday = SEVEN - 7 * HOUR_MS
    assert [hour for hour in range(24) if is_muted(mute, monday + hour * HOUR_MS)] == muted


NOT_PAGING: tuple[Kind, ...] = ("data_drift", "prediction_drift")
ROUTES = st.builds(
    RoutingRule,
    kinds=st.lists(st.sampled_from([*DEFAULTS]), max_size=2).map(tuple),
    receivers=st.lists(st.sampled_from(["slack", "pagerduty", "email"]), max_size=3).map(tuple),
    go_on=st.booleans(),
)


@given(st.sampled_from(NOT_PAGING), st.sampled_from(list(Status)), st.lists(ROUTES, max_size=4))
def test_drift_without_labels_never_pages_unless_a_lifecycle_says_so(
    kind: Kind, verdict: Status, routing: list[RoutingRule]
) -> None:
    found = route(policy(routing=tuple(routing)), kind, verdict)
    assert found.severity == "warning"
    assert "pagerduty" not in found.receivers


def test_drift_pages_where_a_lifecycle_says_it_is_critical() -> None:
    error, critical = (AlertRule(("data_drift",), "severe", s) for s in ("error", "critical"))
    said = policy(rules=(error,))
    assert "pagerduty" not in route(said, "data_drift", Status.SEVERE).receivers
    said = policy(rules=(critical,))
    assert "pagerduty" in route(said, "data_drift", Status.SEVERE).receivers
