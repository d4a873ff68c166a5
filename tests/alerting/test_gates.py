"""Is a new model promoted only where everything that was asked for is proven?"""

from dataclasses import replace
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.gates import Candidate, in_words, judged, ticked
from alerting.settings import ReleaseTest, RetrainingPolicy
from alerting.types import Bound, Episode, Gates
from detectors.types import Status
from tests.alerting.builders import MODEL, opened

BASELINE = {"recall": 0.71, "latency_p95": 70.0, "bad": nan}
CURRENT = {"recall": 0.66, "auc": 0.83}
POLICY = RetrainingPolicy(MODEL)


def candidate(
    metrics: dict[str, Any] | None = None, slices: dict[str, Any] | None = None
) -> Candidate:
    return Candidate(
        metrics or {},
        slices or {},
        lambda metric, segment: BASELINE.get(metric) if segment is None else None,
        lambda metric, segment: CURRENT.get(metric) if segment is None else None,
    )


def required(of: dict[str, Bound] | None = None, *checks: str) -> Gates:
    return Gates(of or {}, checks, None, (), (), ())


def decision(bound: Bound, reported: Any, metric: str = "recall") -> str | None:
    found, _ = judged(POLICY, required({metric: bound}), (), candidate({metric: reported}))
    return found.decision


@pytest.mark.parametrize(
    ("bound", "passes", "fails"),
    [
        ({"min": 0.62}, 0.62, 0.6199),
        ({"max": 0.04}, 0.04, 0.0401),
        ({"max": "80ms"}, 80.0, 80.1),
        ({"max": "0.08 s"}, 80.0, 80.1),
        ({"min": "62%"}, 0.62, 0.61),
        ({"min": "baseline"}, 0.71, 0.709),
        ({"min": "current"}, 0.66, 0.659),
        ({"min": "current - 1 point"}, 0.65, 0.649),
        ({"min": "current - 1 points"}, 0.65, 0.649),
        ({"min": "baseline + 2 pp"}, 0.73, 0.729),
        ({"min": "baseline - 10%"}, 0.639, 0.638),
        ({"min": "baseline - 0.01"}, 0.7, 0.699),
        ({"min": 0.5, "max": 0.6}, 0.55, 0.61),
    ],
)
def test_a_bound_is_what_it_says(bound: Bound, passes: float, fails: float) -> None:
    assert (decision(bound, passes), decision(bound, fails)) == ("promote", "reject")


def test_a_bound_relative_to_a_latency_is_in_milliseconds() -> None:
    bound: Bound = {"max": "baseline + 20ms"}
    assert decision(bound, 90.0, "latency_p95") == "promote"
    assert decision(bound, 90.5, "latency_p95") == "reject"


@pytest.mark.parametrize("bound", [{"min": "soon"}, {"min": ""}, {"min": "baseline - many"}, {}])
def test_a_bound_that_cannot_be_read_is_not_proven(bound: Bound) -> None:
    assert decision(bound, 0.99) == "hold"


@pytest.mark.parametrize("metric", ["unheard_of", "bad"])
def test_a_bound_on_what_nobody_knows_is_not_proven(metric: str) -> None:
    assert decision({"min": "baseline"}, 0.99, metric) == "hold"


@pytest.mark.parametrize("reported", [nan, inf, -inf, None, True, "0.9", 10**400])
def test_what_is_no_finite_number_is_not_proven(reported: Any) -> None:
    found, _ = judged(POLICY, required({"auc": {"min": 0.8}}), (), candidate({"auc": reported}))
    assert (found.decision, found.missing) == ("hold", ("auc",))


def test_a_failed_gate_rejects_whatever_else_is_missing() -> None:
    gates = required({"auc": {"min": 0.8}, "recall": {"min": 0.6}}, "A/B test")
    found, _ = judged(POLICY, gates, (), candidate({"auc": 0.7}))
    assert (found.decision, found.failed) == ("reject", ("auc",))
    assert found.missing == ("recall", "A/B test")
    assert in_words(found, ()) == "reject (failed auc; missing recall, A/B test)"


def test_checks_hold_until_they_are_ticked() -> None:
    gates = required({"auc": {"min": 0.8}}, "A/B test", "legal")
    found, review = judged(POLICY, gates, ("legal",), candidate({"auc": 0.9}))
    assert (found.decision, found.passed, found.missing) == (
        "hold", ("auc", "legal"), ("A/B test",)
    )  # fmt: skip
    assert ticked(found, "A/B test", review).decision == "promote"


@pytest.mark.parametrize(
    ("segment", "slices", "expected"),
    [
        ("country=DE", {"country=DE": {"auc": 0.81}}, "promote"),
        ("country=DE", {"DE": {"auc": 0.81}}, "promote"),
        ("country=DE", {"country=DE": {"auc": 0.79}, "country=FR": {"auc": 0.9}}, "reject"),
        ("country=DE", {"country=FR": {"auc": 0.9}}, "hold"),
        ("country", {"country=DE": {"auc": 0.81}, "country=FR": {"auc": 0.82}}, "promote"),
        ("country", {"country=DE": {"auc": 0.81}, "country=FR": {"auc": 0.5}}, "reject"),
        ("country", {"country=DE": {"auc": 0.81}, "country=FR": {}}, "hold"),
        ("country", {"channel=web": {"auc": 0.9}}, "hold"),
    ],
)
def test_a_gate_of_a_segment_is_about_its_slices(
    segment: str, slices: dict[str, Any], expected: str
) -> None:
    gates = required({"auc": {"min": 0.8, "segment": segment}})
    found, _ = judged(POLICY, gates, (), candidate({"auc": 0.99}, slices))
    assert found.decision == expected


def test_each_slice_is_held_against_what_it_was_itself() -> None:
    usual = {"country=DE": 0.7, "country=FR": 0.9}
    slices = {"country=DE": {"auc": 0.72}, "country=FR": {"auc": 0.88}}
    gates = required({"auc": {"min": "baseline", "segment": "country"}})
    of = Candidate({}, slices, lambda metric, segment: usual.get(str(segment)), lambda m, s: None)
    assert judged(POLICY, gates, (), of)[0].failed == ("auc",)
    better = replace(of, slices=slices | {"country=FR": {"auc": 0.9}})
    assert judged(POLICY, gates, (), better)[0].decision == "promote"


def test_two_gates_of_one_metric_both_count() -> None:
    gates = required({"auc": {"min": 0.8}, "auc >= current": {"min": "current", "metric": "auc"}})
    assert judged(POLICY, gates, (), candidate({"auc": 0.82}))[0].failed == ("auc >= current",)
    assert judged(POLICY, gates, (), candidate({"auc": 0.84}))[0].decision == "promote"


ALL_PASS = ReleaseTest("all gates pass", word="all gates pass")
ALWAYS, NEVER = ReleaseTest("always", word="always"), ReleaseTest("never", word="never")
QUALITY = ReleaseTest("data quality", kinds=("data_quality",))
BETTER = ReleaseTest("auc > current", metric="auc", bound={"min": "current"})
UNKNOWN = ReleaseTest("psi(age) > 0.2")


@pytest.mark.parametrize(
    ("promote_if", "review_if", "expected"),
    [
        ((), (), "promote"),
        ((ALL_PASS,), (), "promote"),
        ((ALWAYS,), (NEVER,), "promote"),
        ((NEVER,), (), "hold"),
        ((ALL_PASS, BETTER), (), "promote"),
        ((UNKNOWN,), (), "hold"),
        ((), (ALWAYS,), "hold"),
        ((), (UNKNOWN,), "hold"),
        ((), (QUALITY,), "promote"),
        ((), (QUALITY, UNKNOWN), "promote"),
        ((), (BETTER,), "hold"),
    ],
)
def test_when_a_person_must_look(
    promote_if: tuple[ReleaseTest, ...], review_if: tuple[ReleaseTest, ...], expected: str
) -> None:
    policy = replace(POLICY, promote_if=promote_if, review_if=review_if)
    of = candidate({"auc": 0.9})
    found, review = judged(policy, required({"auc": {"min": 0.8}}), (), of)
    assert found.decision == expected
    assert bool(review) == (expected == "hold")


def test_always_releases_nothing_that_is_not_proven() -> None:
    policy = replace(POLICY, promote_if=(ALWAYS,))
    assert judged(policy, required({"auc": {"min": 0.8}}), (), candidate())[0].decision == "hold"


def problem(kind: Any, verdict: Status = Status.DRIFTING) -> Episode:
    return replace(opened()[0], kind=kind, verdict=verdict)


def test_an_open_problem_makes_a_person_look() -> None:
    policy = replace(POLICY, review_if=(QUALITY,))
    found, review = judged(policy, required(), (), candidate(), [problem("data_quality")])
    assert found.decision == "hold"
    assert in_words(found, review) == "hold (manual_review_if: data quality)"
    assert judged(policy, required(), (), candidate(), [problem("operational")])[1] == ()


def test_drift_beyond_its_threshold_is_severe_drift_or_any_fall() -> None:
    drift = ReleaseTest(
        "drift threshold exceeded",
        kinds=("data_drift", "concept_drift", "performance"),
        severe=("data_drift",),
    )
    policy = replace(POLICY, review_if=(drift,))

    def due(of: Episode) -> bool:
        return bool(judged(policy, required(), (), candidate(), [of])[1])

    assert not due(problem("data_drift"))
    assert due(problem("data_drift", Status.SEVERE))
    assert due(problem("performance"))


NUMBER = st.one_of(st.floats(), st.none(), st.booleans(), st.integers())
BOUND = st.one_of(
    st.floats(),
    st.sampled_from(["baseline", "current - 1 point", "80ms", "nonsense", "current + 1e999"]),
    st.text(max_size=8),
)


@given(
    st.dictionaries(st.sampled_from("abc"), BOUND, max_size=3),
    st.dictionaries(st.sampled_from("abc"), NUMBER, max_size=3),
    st.lists(st.sampled_from(["x", "y"]), unique=True),
    st.lists(st.sampled_from(["x", "y"]), unique=True),
)
def test_promoted_is_only_what_passed_everything(
    lines: dict[str, Any], reported: dict[str, Any], checks: list[str], done: list[str]
) -> None:
    gates = required({name: {"min": line} for name, line in lines.items()}, *checks)
    found, _ = judged(POLICY, gates, done, candidate(reported))
    assert sorted((*found.passed, *found.failed, *found.missing)) == sorted((*lines, *checks))
    if found.decision == "promote":
        assert not found.failed
        assert not found.missing
        for name in lines:
            value = reported[name]
            assert isinstance(value, float | int)
            assert -inf < value < inf
            assert not isinstance(value, bool)
