from dataclasses import replace
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.episodes import advance, inhibitor, resolve
from alerting.findings import from_intake
from alerting.identity import alert_id, episode_id
from alerting.settings import AlertRule
from alerting.types import Alert, Episode, Held, Kind, Subject
from detectors.types import Status
from tests.alerting.builders import (
    MODEL,
    SEVEN,
    SUBJECT,
    context,
    finding,
    opened,
    policy,
)

STABLE, DRIFTING, SEVERE, UNKNOWN = (
    Status.STABLE,
    Status.DRIFTING,
    Status.SEVERE,
    Status.INSUFFICIENT,
)


def live(*statuses: Status | None) -> tuple[Episode | None, list[Alert]]:
    """One finding per window; None is a window without any."""
    episode: Episode | None = None
    alerts: list[Alert] = []
    for window, status in enumerate(statuses):
        if status is not None:
            episode, news = advance(policy(), episode, finding(status), context(window))
            alerts += news
    return episode, alerts


def intake(*shares: float, total: int = 1000) -> list[Alert]:
    """Five-minute slots with these shares of bad events."""
    episode: Episode | None = None
    alerts: list[Alert] = []
    for window, share in enumerate(shares):
        found = from_intake(round(share * total), total, {"not_json": 1}, 0, 300_000)
        episode, news = advance(policy(), episode, found, context(window))
        alerts += news
    return alerts


def changes(alerts: list[Alert]) -> list[str]:
    return [alert.change for alert in alerts]


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ((STABLE,), []),
        ((UNKNOWN,), []),
        ((DRIFTING,), ["opened"]),
        ((SEVERE, SEVERE), ["opened"]),
        ((DRIFTING, SEVERE, DRIFTING), ["opened", "escalated", "eased"]),
        ((DRIFTING, STABLE, STABLE), ["opened", "resolved"]),
        ((SEVERE, UNKNOWN, UNKNOWN, STABLE), ["opened", "resolved"]),
        ((DRIFTING, STABLE, DRIFTING), ["opened", "resolved", "opened"]),
    ],
)
def test_transitions_of_detected_drift(statuses: tuple[Status, ...], expected: list[str]) -> None:
    assert changes(live(*statuses)[1]) == expected


@given(st.lists(st.sampled_from(list(Status)), max_size=30))
def test_sequences_are_dense_and_ids_follow_from_content(statuses: list[Status]) -> None:
    _, alerts = live(*statuses)
    last: dict[str, int] = {}
    for alert in alerts:
        last[alert.episode_id] = last.get(alert.episode_id, 0) + 1
        assert alert.sequence == last[alert.episode_id]
        assert alert.alert_id == alert_id(alert.episode_id, alert.sequence)
        assert len(alert.title) <= 150
        assert len(alert.summary) <= 1024
    assert alerts == live(*statuses)[1]


@given(st.lists(st.sampled_from(list(Status)), max_size=20), st.integers(0, 25))
def test_insufficient_neither_opens_nor_resolves_an_episode(
    statuses: list[Status], where: int
) -> None:
    episode, _ = live(*statuses)
    after, alerts = advance(policy(), episode, finding(UNKNOWN), context(where))
    assert (after and after.status) == (episode and episode.status)
    assert set(changes(list(alerts))) <= {"repeated"}


@given(st.lists(st.sampled_from(list(Status)), max_size=12))
def test_an_episode_survives_as_bytes(statuses: list[Status]) -> None:
    episode, _ = live(*statuses)
    again = msgspec.json.decode(msgspec.json.encode(episode), type=Episode | None)
    assert again == episode


def test_an_opening_says_whose_what_and_where() -> None:
    rule = AlertRule(("data_drift",), "drifting", "error", ("slack", "pagerduty"), "https://wiki/d")
    here = context(also_in=("country=DE", "country=FR", "country=IT", "country=ES", "country=PT"))
    linked = policy(rules=(rule,), console="https://leeway.example/models/loan-default")
    _, (alert,) = advance(linked, None, finding(), here)
    assert alert.episode_id == episode_id(SUBJECT, "data_drift", SEVEN)
    assert alert.title == "loan-default 2.3.1: annual_income and 1 more input drifted"
    assert alert.summary.endswith("Seen in country=DE, country=FR, country=IT and 2 more.")
    assert (alert.status, alert.severity, alert.verdict) == ("open", "error", SEVERE)
    assert (alert.opened_at, alert.resolved_at) == ("2026-03-02T07:00:00.000Z", None)
    assert alert.evidence.budget == "1 per 90 days"
    assert alert.delivery.receivers == ("slack", "pagerduty")
    assert alert.links.runbook == "https://wiki/d"
    assert alert.model.owner == "credit-risk"


def test_a_title_keeps_its_headline_however_long_the_names_are() -> None:
    subject = Subject("m" * 100, "v" * 64, "country=" + "x" * 200)
    _, (alert,) = advance(policy(), None, finding(), context(subject=subject))
    assert "annual_income" in alert.title
    assert len(alert.title) <= 150


def test_a_resolution_says_how_long_it_was_and_what_it_was() -> None:
    _, alerts = live(SEVERE, SEVERE, None, STABLE)
    end = alerts[-1]
    assert (end.change, end.status, end.resolve_reason) == ("resolved", "resolved", "recovered")
    assert (end.verdict, end.resolved_at) == (STABLE, "2026-03-02T10:00:00.000Z")
    assert end.title == "loan-default 2.3.1: annual_income and 1 more input recovered"
    assert end.summary.startswith("Back to normal after 3 h, opened 07:00 UTC. It was: annual_inc")
    assert end.affected == alerts[0].affected
    assert end.delivery.receivers == ("slack",)


def test_an_episode_can_be_ended_by_what_happened_to_the_model() -> None:
    episode, _ = opened()
    ended, (alert,) = resolve(policy(), episode, "deployed", context(5))
    assert not ended.open
    assert (alert.resolve_reason, alert.verdict) == ("deployed", SEVERE)
    assert alert.title == "loan-default 2.3.1: closed as deployed"
    assert alert.summary.startswith("Closed as deployed after 5 h")


def test_the_level_shows_in_the_words() -> None:
    _, alerts = live(DRIFTING, SEVERE, DRIFTING)
    assert alerts[1].summary.startswith("Now severe. annual_income")
    assert alerts[2].summary.startswith("No longer severe. annual_income")


def test_a_changed_rule_moves_an_open_episode_by_itself() -> None:
    critical = policy(rules=(AlertRule(("data_drift",), "drifting", "critical"),))
    episode, _ = opened()
    raised, (up,) = advance(critical, episode, finding(), context(1))
    assert (up.change, up.severity) == ("escalated", "critical")
    assert up.summary.startswith("annual_income")
    _, (down,) = advance(policy(), raised, finding(), context(2))
    assert (down.change, down.severity) == ("eased", "warning")
    assert down.summary.startswith("annual_income")
    assert down.delivery.receivers == ("slack", "pagerduty", "email"), "who heard hears on"


@pytest.mark.parametrize(("gap", "continues"), [(3, True), (4, False)])
def test_within_three_windows_an_episode_continues(gap: int, continues: bool) -> None:
    _, (first, _, again) = live(SEVERE, STABLE, *[None] * (gap - 1), SEVERE)
    assert (again.episode_id == first.episode_id) is continues
    assert again.reopened is continues
    assert again.sequence == (3 if continues else 1)
    assert (again.opened_at == first.opened_at) is continues
    assert again.resolved_at is None


def test_another_kind_is_another_episode() -> None:
    episode, _ = live(SEVERE, STABLE)
    other = finding(SEVERE, kind="prediction_drift")
    after, (alert,) = advance(policy(), episode, other, context(2))
    assert after is not None
    assert (alert.sequence, alert.reopened, after.reopenings_ms) == (1, False, ())


def test_more_than_three_reopenings_a_day_are_held_until_a_quiet_day() -> None:
    statuses: list[Status | None] = [SEVERE, STABLE] * 6
    episode, alerts = live(*statuses)
    openings = [alert for alert in alerts if alert.change == "opened"]
    assert [alert.delivery.held for alert in openings] == [None] * 4 + ["flapping"] * 2
    endings = [alert for alert in alerts if alert.change == "resolved"]
    assert [alert.delivery.receivers for alert in endings] == [("slack",)] * 4 + [()] * 2
    assert [alert.delivery.held for alert in endings] == [None] * 4 + ["flapping"] * 2
    _, (soon,) = advance(policy(), episode, finding(), context(11 + 20))
    assert soon.episode_id != openings[0].episode_id
    assert soon.delivery.held == "flapping"
    _, (later,) = advance(policy(), episode, finding(), context(11 + 24))
    assert later.delivery.held is None


def test_a_pipeline_problem_opens_at_once_and_needs_three_good_slots_to_end() -> None:
    bad, good = 0.05, 0.0
    assert changes(intake(bad, good, good, bad, good, good)) == ["opened"]
    assert changes(intake(bad, good, good, good)) == ["opened", "resolved"]
    assert changes(intake(bad, 0.01, 0.01, 0.01, 0.01)) == ["opened"]  # not inside by a tenth


def test_a_pipeline_problem_escalates_after_two_slots_and_eases_after_three() -> None:
    alerts = intake(0.05, 1.0, 0.05, 1.0, 1.0, 0.05, 0.05, 0.05)
    assert changes(alerts) == ["opened", "escalated", "eased"]
    assert [alert.severity for alert in alerts] == ["warning", "error", "warning"]
    assert [alert.at[11:13] for alert in alerts] == ["07", "11", "14"]


def test_nothing_that_can_be_judged_opens_as_an_error() -> None:
    (alert,) = intake(1.0)
    assert (alert.severity, alert.verdict, alert.kind) == ("error", SEVERE, "pipeline")
    assert alert.evidence.budget is None
    assert alert.affected == ()


@pytest.mark.parametrize("held", get_args(Held))
def test_held_alerts_are_published_and_say_so(held: Held) -> None:
    episode, (alert,) = advance(policy(), None, finding(), context(held=held))
    assert alert.delivery.held == held
    assert alert.delivery.suppressed
    assert episode is not None
    assert episode.told == ()


def test_an_inhibited_episode_is_delivered_one_window_after_its_source_resolved() -> None:
    alerts: list[Alert] = []
    episode: Episode | None = None
    for window in range(8):
        source = "ep-source" if window < 4 else None
        here = context(window, inhibited_by=source)
        episode, news = advance(policy(), episode, finding(), here)
        alerts += news
    assert [(a.change, a.at[11:13], a.delivery.inhibited_by) for a in alerts] == [
        ("opened", "07", "ep-source"),
        ("opened", "12", None),
    ]


def test_an_inhibited_episode_that_no_longer_shows_is_not_delivered_after_its_source() -> None:
    episode, _ = advance(policy(), None, finding(), context(inhibited_by="ep-source"))
    for window in range(1, 6):
        here = context(window, inhibited_by="ep-source" if window < 2 else None)
        episode, alerts = advance(policy(), episode, replace(finding(), visible=False), here)
        assert alerts == ()
    _, (end,) = advance(policy(), episode, finding(STABLE), context(6))
    assert (end.change, end.delivery.receivers) == ("resolved", ())


def test_nobody_hears_the_end_of_what_they_never_heard_of() -> None:
    episode, _ = advance(policy(), None, finding(), context(inhibited_by="ep-source"))
    _, (end,) = advance(policy(), episode, finding(STABLE), context(1))
    assert end.delivery.receivers == ()


def test_who_heard_of_a_problem_hears_its_end_whatever_holds_it_back() -> None:
    episode, _ = opened()
    _, (end,) = advance(policy(), episode, finding(STABLE), context(1, inhibited_by="ep-x"))
    assert end.delivery.receivers == ("slack",)
    assert not end.delivery.suppressed


def other(kind: Kind = "data_drift", subject: Subject = SUBJECT, **changes: Any) -> Episode:
    episode, _ = opened()
    return replace(episode, kind=kind, subject=subject, episode_id="ep-other", **changes)


@pytest.mark.parametrize(
    ("source", "explains"),
    [
        (other("pipeline"), True),
        (other("pipeline", status="resolved"), False),
        (other("pipeline", Subject("churn", "2.3.1")), False),
        (other(), True),  # segment all
        (other("prediction_drift"), False),
        (other(subject=Subject("loan-default", "2.3.1", "country=FR")), False),
        (other(subject=Subject("loan-default", "2.4.0", "country=DE")), True),  # the current one
        (other(subject=Subject("loan-default", "2.4.0")), False),
        (other(subject=Subject("loan-default", "2.2.0", "country=DE")), False),
    ],
)
def test_what_explains_drift_in_a_segment_of_an_older_version(
    source: Episode, explains: bool
) -> None:
    subject = Subject("loan-default", "2.3.1", "country=DE")
    found = inhibitor("data_drift", subject, [source], "2.4.0")
    assert found == ("ep-other" if explains else None)


def test_a_pipeline_problem_is_not_explained_by_another() -> None:
    elsewhere = Subject("loan-default", "2.3.1", "country=DE")
    assert inhibitor("pipeline", elsewhere, [other("pipeline", elsewhere)], "2.3.1") is None


@pytest.mark.parametrize(
    ("source", "severe", "explains"),
    [
        (other("concept_drift"), False, True),
        (other("concept_drift"), True, False),
        (other("concept_drift", told=()), False, False),
        (other("concept_drift", subject=Subject("loan-default", "2.3.1", "DE")), False, False),
        (other("prediction_drift"), False, False),
    ],
)
def test_a_metric_below_its_line_is_not_told_where_people_know_of_worse_answers(
    source: Episode, severe: bool, explains: bool
) -> None:
    found = inhibitor("performance", SUBJECT, [source], SUBJECT.version, severe=severe)
    assert found == ("ep-other" if explains else None)


@pytest.mark.parametrize(
    ("hearing", "explains"),
    [(("slack",), True), (("slack", "email"), False), ((), True)],
)
def test_a_metric_below_its_line_is_told_to_who_knows_nothing_of_worse_answers(
    hearing: tuple[str, ...], explains: bool
) -> None:
    source = other("concept_drift", told=("slack", "pagerduty"))
    found = inhibitor("performance", SUBJECT, [source], SUBJECT.version, hearing=hearing)
    assert (found == "ep-other") is explains


def test_a_metric_that_nobody_was_told_of_keeps_no_news_of_the_drift_back() -> None:
    quiet = other("performance", inhibited_ms=1)
    assert inhibitor("concept_drift", SUBJECT, [quiet], SUBJECT.version) is None
    told = other("performance")
    assert inhibitor("concept_drift", SUBJECT, [told], SUBJECT.version) == "ep-other"


def test_severity_stops_at_warning_outside_production() -> None:
    staging = policy(
        model=replace(MODEL, environment="Staging"),
        rules=(AlertRule(("data_drift",), "severe", "critical"),),
    )
    _, (alert,) = advance(staging, None, finding(), context())
    assert (alert.severity, alert.delivery.receivers) == ("warning", ("slack",))
