"""Numbers held against limits: what they say together, how long they must hold, and how their episodes live."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.checks import from_checks, in_words, persisted
from alerting.episodes import advance, inhibitor
from alerting.findings import from_concept
from alerting.routing import route
from alerting.settings import AlertRule, Persistence, RetrainingCondition, RetrainingPolicy
from alerting.triggers import request
from alerting.types import Episode, Finding, Kind, TriggerMemory
from alerting.wording import SUMMARY_LIMIT, TITLE_LIMIT
from detectors.types import Check, Culprit, Effect, Status
from tests.alerting.builders import HOUR, MODEL, SEVEN, SUBJECT, context, policy, series, verdict

STABLE, DRIFTING, SEVERE, UNKNOWN = (
    Status.STABLE,
    Status.DRIFTING,
    Status.SEVERE,
    Status.INSUFFICIENT,
)


def check(rule: str = "recall", status: Status = DRIFTING, **changes: Any) -> Check:
    usual = Check(
        rule, f"metric:{rule}", status, status == STABLE, 0.534, 0.497, 0.571, 0.62, 1204, 0.71
    )
    return usual._replace(**{"unit": "metric", **changes})


def found(*checks: Check, kind: Kind = "performance", **more: Any) -> Finding:
    return from_checks(kind, checks, SEVEN - HOUR, SEVEN, **more)


def test_the_worst_check_leads_and_all_are_counted() -> None:
    finding = found(check("f1"), check("recall", SEVERE), check("auc", STABLE))
    assert finding.status == SEVERE
    assert finding.headline == "recall 0.534 (0.497 to 0.571), limit 0.62 and 1 more"
    assert finding.rules == ("recall", "f1")
    assert [a.series for a in finding.affected] == ["metric:recall", "metric:f1"]
    assert [s.threshold for s in finding.signals] == [0.62, 0.62]


def test_a_summary_says_what_how_much_the_usual_and_since_when() -> None:
    assert found(check()).summary == (
        "Recall 0.534 (0.497 to 0.571), limit 0.62 (reference 0.71). Since about 06:00 UTC."
    )


def test_nothing_known_is_insufficient_and_never_calm() -> None:
    assert (found(check(status=UNKNOWN)).status, found().status) == (UNKNOWN, UNKNOWN)
    assert not found().calm


def test_one_unknown_number_does_not_hide_the_others() -> None:
    assert found(check("auc", UNKNOWN), check("recall")).status == DRIFTING
    quiet = found(check("auc", UNKNOWN), check("recall", STABLE))
    assert (quiet.status, quiet.calm) == (STABLE, True)


def test_what_an_episode_is_about_must_be_known_to_be_well_before_it_resolves() -> None:
    episode, _ = advance(policy(), None, found(check("auc")), context())
    assert episode is not None
    waiting = found(check("auc", UNKNOWN), check("recall", STABLE), before=episode)
    assert (waiting.status, waiting.calm) == (STABLE, False)
    assert found(check("auc", STABLE), check("recall", UNKNOWN), before=episode).calm


def test_a_number_just_inside_its_limit_is_not_calm() -> None:
    assert not found(check(status=STABLE, calm=False)).calm


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"unit": "share"}, "recall 53 % (50 % to 57 %), limit 62 %"),
        ({"said": "no predictions for 25 min"}, "no predictions for 25 min"),
        ({"value": None, "low": None, "high": None}, "recall unknown"),
        ({"low": None, "high": None, "limit": None}, "recall 0.534"),
        ({"unit": "number", "value": 12345.0, "low": None, "high": None}, "recall 12,345, limit 0.62"),
        ({"unit": "time", "value": 12_345.0, "low": None, "high": None, "limit": 200.0}, "recall 12 s, limit 200 ms"),
    ],
)  # fmt: skip
def test_numbers_are_said_in_their_unit(changes: dict[str, Any], words: str) -> None:
    assert in_words(check(**changes)) == words


def test_a_rule_opens_after_two_of_three_windows_and_not_before() -> None:
    assert opened_after(Persistence(2, 3), "x.x") == [False, False, True]
    assert opened_after(Persistence(2, 3), "x..x.x") == [False] * 5 + [True]
    assert opened_after(Persistence(2, 3), "xx") == [False, True]


def test_a_rule_written_for_a_time_wants_every_window_of_it() -> None:
    rule = Persistence(for_ms=3 * HOUR)
    assert opened_after(rule, "xxx") == [False, False, True]
    assert opened_after(rule, "xx.xxx") == [False] * 5 + [True]


def test_what_has_waited_by_itself_opens_at_once() -> None:
    finding = found(check(at_once=True))
    assert persisted(Persistence(2, 3), (), finding, SEVEN, HOUR)[1].status == DRIFTING


def test_an_unknown_window_counts_neither_way() -> None:
    assert opened_after(Persistence(2, 3), "x?x") == [False, False, True]


def opened_after(rule: Persistence, windows: str) -> list[bool]:
    kept: tuple[int, ...] = ()
    said = []
    for number, sign in enumerate(windows):
        status = {"x": DRIFTING, ".": STABLE, "?": UNKNOWN}[sign]
        finding = found(check(status=status))
        kept, finding = persisted(rule, kept, finding, SEVEN + number * HOUR, HOUR)
        said.append(finding.status == DRIFTING)
    return said


def test_an_episode_of_a_rule_resolves_after_three_calm_windows() -> None:
    assert live([SEVERE, STABLE, STABLE]) == ["opened"]
    assert live([SEVERE, STABLE, STABLE, STABLE]) == ["opened", "resolved"]
    assert live([DRIFTING, STABLE, STABLE, DRIFTING, STABLE]) == ["opened"]


def test_a_rule_escalates_after_two_windows_and_eases_after_three() -> None:
    assert live([DRIFTING, SEVERE]) == ["opened"]
    assert live([DRIFTING, SEVERE, SEVERE]) == ["opened", "escalated"]
    assert live([SEVERE, *[DRIFTING] * 3]) == ["opened", "eased"]


def live(statuses: list[Status]) -> list[str]:
    episode: Episode | None = None
    said: list[str] = []
    for window, status in enumerate(statuses):
        finding = found(check(status=status), before=episode)
        episode, alerts = advance(policy(), episode, finding, context(window))
        said += [alert.change for alert in alerts]
    return said


@given(st.text(max_size=3000), st.floats(allow_nan=False, allow_infinity=False), st.integers(1, 40))
def test_alerts_of_checks_keep_their_limits(name: str, value: float, many: int) -> None:
    checks = [check(f"{name}{i}", value=value, low=value, high=value) for i in range(many)]
    _, (alert,) = advance(policy(), None, found(*checks), context())
    assert len(alert.title) <= TITLE_LIMIT
    assert len(alert.summary) <= SUMMARY_LIMIT


# --------------------------------------------------------------------------------- what explains what


def episode_of(kind: Kind, *checks: Check, status: Status = SEVERE) -> Episode:
    finding = found(*(checks or (check(status=status),)), kind=kind)
    episode, _ = advance(policy(), None, finding, context())
    assert episode is not None
    return episode


BROKEN = check("missing(age)", series="feature:age")
SILENT = check("silent", SEVERE, series="volume")


@pytest.mark.parametrize(
    ("source", "kind", "affected", "explains"),
    [
        (episode_of("data_quality", BROKEN), "data_drift", ("missing:age", "joint:age"), True),
        (episode_of("data_quality", BROKEN), "data_drift", ("feature:income",), False),
        (episode_of("data_quality", BROKEN), "prediction_drift", ("score",), True),
        (episode_of("data_quality", BROKEN), "concept_drift", ("loss",), True),
        (episode_of("data_quality", BROKEN), "performance", (), False),
        (episode_of("label_health"), "performance", (), True),
        (episode_of("label_health", status=DRIFTING), "performance", (), False),
        (episode_of("label_health"), "data_drift", (), False),
        (episode_of("performance"), "concept_drift", (), True),
        (episode_of("performance"), "prediction_drift", (), True),
        (episode_of("performance"), "data_drift", (), False),
        (episode_of("operational", SILENT), "label_health", (), True),
        (episode_of("operational", SILENT), "data_quality", (), True),
        (episode_of("operational"), "data_quality", (), False),
        (episode_of("operational", SILENT), "pipeline", (), False),
    ],
)
def test_what_explains_what(
    source: Episode, kind: Kind, affected: tuple[str, ...], explains: bool
) -> None:
    found_ = inhibitor(kind, SUBJECT, [source], SUBJECT.version, affected)
    assert found_ == (source.episode_id if explains else None)


def test_another_version_explains_nothing_about_this_one() -> None:
    elsewhere = replace(SUBJECT, version="9.9.9")
    source = episode_of("data_quality", BROKEN)
    assert inhibitor("data_drift", elsewhere, [source], "2.3.1", ("feature:age",)) is None


# --------------------------------------------------------------------------------- routes and retraining


def test_an_entry_that_names_a_rule_is_heard_only_while_that_is_broken() -> None:
    rule = AlertRule(("performance",), "drifting", "critical", ("pagerduty",), rule="recall")
    asked = policy(rules=(rule,))
    assert route(asked, "performance", DRIFTING, ("recall",)).severity == "critical"
    assert route(asked, "performance", DRIFTING, ("f1",)).severity == "error"


def requested(
    condition: RetrainingCondition,
    finding: Finding,
    *others: Episode,
    labels: int = 5_000,
    **changes: Any,
) -> list[str]:
    episode, _ = advance(policy(), None, finding, context())
    wanted = replace(RetrainingPolicy(MODEL, (condition,)), **changes)
    _, triggers = request(
        wanted,
        TriggerMemory(),
        episode,
        finding,
        context(),
        lambda since_ms: 100_000,
        lambda since_ms: labels,
        others,
    )
    return [trigger.status.name for trigger in triggers]


FLOOR = RetrainingCondition("recall-floor", ("performance",))


def test_a_broken_line_asks_for_retraining_at_once() -> None:
    assert requested(FLOOR, found(check())) == ["requested", "approved"]


def test_a_condition_that_names_a_rule_waits_for_that_rule() -> None:
    named = replace(FLOOR, rule="recall")
    assert requested(named, found(check("recall"))) == ["requested", "approved"]
    assert requested(named, found(check("f1"))) == []


def test_broken_data_veto_every_retraining() -> None:
    assert requested(FLOOR, found(check()), episode_of("data_quality", BROKEN)) == []


def test_unhealthy_labels_hold_back_what_rests_on_labels() -> None:
    assert requested(FLOOR, found(check()), episode_of("label_health")) == []
    mild = episode_of("label_health", status=DRIFTING)
    assert requested(FLOOR, found(check()), mild) == ["requested", "approved"]


def test_too_few_labels_hold_back_a_retraining() -> None:
    assert requested(FLOOR, found(check()), min_labels=10_000) == []
    assert requested(FLOOR, found(check()), min_labels=5_000) == ["requested", "approved"]


# --------------------------------------------------------------------------------- concept drift

LOSS = Effect("difference", 0.083, 0.051, 0.114, 0.02)


def test_concept_drift_says_by_how_much_the_model_errs_more_and_where() -> None:
    said = from_concept(
        verdict(
            culprits=(Culprit("loss", "location", 1.0, LOSS),),
            series=(series("loss", effect=LOSS, n_current=2_000),),
        ),
        ["country=DE carries 71 % of the excess errors"],
    )
    assert said.kind == "concept_drift"
    assert said.cause["class"] == "relation_change"
    assert said.headline == "the model errs more"
    assert said.summary == (
        "The model errs more: 8.3 points more (5.1 to 11.4, floor 2) in 2,000 labels, since about 05:40 UTC; "
        "country=DE carries 71 % of the excess errors."
    )


def test_a_shift_of_the_labels_is_told_apart_from_errors() -> None:
    said = from_concept(
        verdict(
            culprits=(Culprit("label", "category", 1.0, LOSS),),
            series=(series("label", effect=LOSS),),
        )
    )
    assert (said.cause["class"], said.headline) == ("label_shift", "labels are mixed differently")


def test_an_insufficient_concept_verdict_resolves_nothing() -> None:
    said = from_concept(verdict(UNKNOWN, series=()))
    assert (said.status, said.calm) == (UNKNOWN, False)
