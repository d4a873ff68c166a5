from typing import Any

import pytest

from alerting.findings import from_intake, from_verdict
from detectors.types import Alarm, Culprit, Effect, Onset, Status, TopBin
from tests.alerting.builders import CULPRIT, HOUR, ONSET, PSI, SEVEN, series, verdict

SCORE = Culprit("score", "location", 0.9, PSI)
PREDICTION = Culprit("prediction", "category", 0.2, PSI)


def test_a_summary_says_what_how_much_and_since_when() -> None:
    found = from_verdict(verdict(culprits=(CULPRIT,)))
    assert found.summary == (
        "annual_income: many more values in the lowest bin. "
        "PSI 0.40 (0.36 to 0.45, floor 0.1), since about 05:40 UTC."
    )
    assert found.headline == "annual_income drifted"
    assert found.since is not None
    assert found.since.estimate == "2026-03-02T05:40:00.000Z"


@pytest.mark.parametrize(
    ("culprits", "kind"),
    [
        ((CULPRIT,), "data_drift"),
        ((SCORE, CULPRIT), "data_drift"),
        ((Culprit("missing:home", "missing", 1.0, None),), "data_drift"),
        ((Culprit("missing:score", "missing", 1.0, None),), "prediction_drift"),
        ((Culprit("joint:age", "location", 1.0, PSI), SCORE), "data_drift"),
        ((Culprit("joint", "spread", 1.0, PSI),), "data_drift"),
        ((SCORE,), "prediction_drift"),
        ((PREDICTION, SCORE), "prediction_drift"),
        ((), "data_drift"),
    ],
)
def test_any_input_makes_it_data_drift(culprits: tuple[Culprit, ...], kind: str) -> None:
    assert from_verdict(verdict(culprits=culprits)).kind == kind


@pytest.mark.parametrize(
    ("culprits", "cause", "hint"),
    [
        ((CULPRIT,), "input_shift", "values changed, the missing rate did not"),
        (
            (Culprit("missing:home", "missing", 1.0, None), CULPRIT),
            "pipeline_break",
            "values are missing or unusable: repair the data before retraining on them",
        ),
        (
            (Culprit("feature:home", "odd", 1.0, None),),
            "pipeline_break",
            "values are missing or unusable: repair the data before retraining on them",
        ),
        ((SCORE, PREDICTION), "prediction_shift", "no input moved"),
    ],
)
def test_the_leading_culprit_names_the_cause(
    culprits: tuple[Culprit, ...], cause: str, hint: str
) -> None:
    found = from_verdict(verdict(culprits=culprits)).cause
    assert found == {"class": cause, "hints": (hint,)}


def test_without_culprits_the_cause_is_unknown() -> None:
    found = from_verdict(verdict(culprits=(), onset=None))
    assert found.cause == {"class": "unknown", "hints": ()}
    assert found.headline == "inputs drifted"
    assert found.summary == "the alarm crossed its threshold and the effect is severe"


def test_many_inputs_at_once_are_counted() -> None:
    names = [f"feature:f{i}" for i in range(5)]
    culprits = tuple(Culprit(name, "location", 0.2, PSI) for name in names)
    found = from_verdict(
        verdict(culprits=culprits, series=tuple(series(n) for n in [*names, "score"]))
    )
    assert found.cause["hints"][-1] == "5 of the 5 inputs moved at once"
    assert found.headline == "f0 and 4 more inputs drifted"
    assert found.summary.endswith("Also f1, f2, f3, f4.")


def test_what_changed_between_inputs_is_said_of_their_relations() -> None:
    of_one, of_all = (Culprit(name, "location", 0.5, PSI) for name in ("joint:age", "joint"))
    found = from_verdict(verdict(culprits=(of_one, of_all)))
    assert found.headline == "relations of age and 1 more input drifted"
    assert found.summary.endswith("Also relations between inputs.")
    assert found.cause["class"] == "input_shift"


def test_a_missing_rate_that_changed_too_is_not_denied() -> None:
    seen = (series(missing_current=0.4),)
    found = from_verdict(verdict(culprits=(CULPRIT,), series=seen))
    assert found.cause == {"class": "input_shift", "hints": ()}


@pytest.mark.parametrize(
    ("score", "changes", "words"),
    [
        ("location", {}, "many more values in the lowest bin"),
        (
            "location",
            {"top_bins": (TopBin(10, 10, 0.1, 0.15, 0.1),)},
            "more values in the highest bin",
        ),
        (
            "spread",
            {"top_bins": (TopBin(4, 10, 0.1, 0.04, 0.1),)},
            "far fewer values in bin 4 of 10",
        ),
        (
            "category",
            {"top_bins": (TopBin(3, 7, 0.1, 0.08, 0.1),)},
            "fewer values in category 3 of 7",
        ),
        ("spread", {"top_bins": ()}, "its values are spread differently"),
        ("unusual", {}, "values other than the usual one appeared"),
        ("odd", {}, "more invalid or unknown values"),
        (
            "missing",
            {"missing_current": 0.4},
            "missing in 40 % of the events, 1.1 % in the reference",
        ),
    ],
)
def test_each_score_has_its_words(score: str, changes: dict[str, Any], words: str) -> None:
    culprit = Culprit("feature:annual_income", score, 1.0, PSI)
    found = from_verdict(verdict(culprits=(culprit,), series=(series(**changes),)))
    assert found.summary.startswith(f"annual_income: {words}.")


def test_what_is_not_known_is_left_out() -> None:
    culprit = Culprit("feature:x", "missing", 1.0, None)
    found = from_verdict(verdict(culprits=(culprit,), series=(), onset=None, alarm=None))
    assert found.summary == "x: more missing values."
    assert (found.since, found.n_reference, found.log_statistic) == (None, None, None)
    assert found.n_current == 3601
    assert (found.affected[0].missing, found.affected[0].top_bins) == (None, ())
    assert found.signals == ()


def test_a_change_without_an_effect_still_has_a_time() -> None:
    culprit = Culprit("feature:x", "odd", 1.0, None)
    found = from_verdict(verdict(culprits=(culprit,)))
    assert found.summary == "x: more invalid or unknown values. Since about 05:40 UTC."


@pytest.mark.parametrize(
    ("onset_ms", "words"),
    [
        (SEVEN - 24 * HOUR, "since about 1 Mar 07:00 UTC."),
        (SEVEN - 3 * 365 * 24 * HOUR, "since about 2023 3 Mar 07:00 UTC."),
    ],
)
def test_a_time_of_another_day_has_its_date(onset_ms: int, words: str) -> None:
    onset = Onset(onset_ms, onset_ms, onset_ms)
    found = from_verdict(verdict(culprits=(CULPRIT,), onset=onset))
    assert found.summary.endswith(words)


def test_hundreds_of_culprits_are_cut_and_counted() -> None:
    culprits = tuple(Culprit(f"feature:f{i}", "location", 0.01, PSI) for i in range(300))
    seen = tuple(series(culprit.series) for culprit in culprits)
    found = from_verdict(verdict(culprits=culprits, series=seen))
    assert (len(found.affected), len(found.signals), found.affected_total) == (50, 50, 300)
    assert found.summary.endswith("Also f1, f2, f3, f4 and 295 more.")
    assert len(found.summary) <= 1024


def test_numbers_are_those_of_the_verdict() -> None:
    found = from_verdict(verdict(alarm=Alarm(41.23456789, 7.6783264, 3)))
    assert (found.log_statistic, found.log_threshold) == (41.234568, 7.678326)
    assert (found.n_reference, found.n_current) == (50000, 3544)
    first = found.signals[0]
    assert (first.value, first.threshold, first.reference) == (0.404, 0.1, 0.0)
    silent = from_verdict(verdict(alarm=Alarm(None, 7.678, 0)))
    assert silent.log_statistic is None
    assert silent.log_threshold == 7.678


def test_effects_of_a_proportion_keep_two_digits() -> None:
    small = Effect("difference", 0.0312, 0.0211, 0.0413, 0.02)
    found = from_verdict(verdict(culprits=(Culprit("feature:x", "odd", 1.0, small),), onset=ONSET))
    assert "difference 0.031 (0.021 to 0.041, floor 0.02)" in found.summary


@pytest.mark.parametrize(
    ("bad", "total", "status", "calm"),
    [
        (0, 0, Status.INSUFFICIENT, False),
        (99, 99, Status.INSUFFICIENT, False),
        (1, 100, Status.STABLE, False),  # exactly 1 % is not above 1 %, and not inside by a tenth
        (9, 1000, Status.STABLE, True),
        (2, 100, Status.DRIFTING, False),
        (100, 100, Status.SEVERE, False),
    ],
)
def test_intake_is_judged_from_a_hundred_events_on(
    bad: int, total: int, status: Status, calm: bool
) -> None:
    found = from_intake(bad, total, {"not_json": bad}, SEVEN - HOUR // 12, SEVEN)
    assert (found.status, found.calm, found.kind) == (status, calm, "pipeline")


def test_intake_names_the_most_frequent_defects_first() -> None:
    found = from_intake(
        400, 12400, {"model_id": 3, "timestamp_unit": 97, "not_json": 300}, SEVEN - HOUR, SEVEN
    )
    assert found.headline == "3.2 % of the events cannot be used"
    assert found.summary == (
        "400 of 12,400 events went to the dead letters (3.2 %, limit 1 %), since about 06:00 UTC: "
        "not_json 300, timestamp_unit 97, model_id 3."
    )
    unnamed = from_intake(400, 12400, {}, SEVEN - HOUR, SEVEN)
    assert unnamed.summary.endswith("since about 06:00 UTC.")
    assert unnamed.cause == {"class": "pipeline_break", "hints": ()}
