"""Everything the grammar lists as accepted is accepted, everything it lists as refused is refused (contracts 2.2)."""

from collections.abc import Callable
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.lifecycle import dates, drift, grammar, metrics
from streams.lifecycle.conditions import (
    KINDS,
    Condition,
    KindTest,
    MetricTest,
    SeriesTest,
    SilenceTest,
    Value,
    WordTest,
    condition,
    value,
)
from streams.lifecycle.mistakes import Several, Wrong
from streams.lifecycle.paths import Const, field, path, path_text
from streams.lifecycle.triggers import Manual, NewLabels, action, requirement, trigger

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("90s", 90 * timedelta(seconds=1)),
        ("5m", 5 * MINUTE),
        ("1h30m", 90 * MINUTE),
        ("1h 30m", 90 * MINUTE),
        ("7d", 7 * DAY),
        ("2w", 14 * DAY),
        ("30 days", 30 * DAY),
        ("1 hour", HOUR),
        ("1 Day", DAY),
        ("250ms", timedelta(milliseconds=250)),
        ("1.5h", 90 * MINUTE),
        ("PT5M", 5 * MINUTE),
        ("P30D", 30 * DAY),
        ("P1DT12H", 36 * HOUR),
        ("PT0.25S", timedelta(milliseconds=250)),
        ("P2W", 14 * DAY),
    ],
)
def test_a_duration_is_read(written: str, meant: timedelta) -> None:
    assert grammar.duration(written) == meant


@pytest.mark.parametrize(
    "written",
    [
        *(5, "5", 5.0, "1 month", "1M", "P1M", "P1Y", "1 year", "5H", "5D", "12:30", "soon", "", True, None),
        *(["5m"], "5m5", "-5m", "5x", "P", "PT", "1e5m", "0.0001s", "9999999999w", "5 m h"),
    ],
)  # fmt: skip
def test_what_is_no_duration_is_refused(written: object) -> None:
    with pytest.raises(Wrong):
        grammar.duration(written)


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=36500)))
def test_a_duration_survives_being_written(length: timedelta) -> None:
    length -= timedelta(microseconds=length.microseconds % 1000)
    assert grammar.duration(grammar.iso(length)) == length
    assert grammar.duration(grammar.human(length)) == length


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        *(("Real-time", None), ("realtime", None), ("Hourly", HOUR), ("daily", DAY), ("WEEKLY", 7 * DAY)),
        *(("15m", 15 * MINUTE), ("31d", 31 * DAY)),
    ],
)  # fmt: skip
def test_a_frequency_is_read(written: str, meant: timedelta | None) -> None:
    assert grammar.frequency(written) == meant


@pytest.mark.parametrize("written", ["Monthly", "Yearly", "32d", "0s", 5, "often", None])
def test_what_is_no_frequency_is_refused(written: object) -> None:
    with pytest.raises(Wrong):
        grammar.frequency(written)


@pytest.mark.parametrize(
    ("written", "meant"), [("2%", 0.02), (0.02, 0.02), ("0.02", 0.02), (1, 1.0), (0, 0.0)]
)
def test_a_share_is_read(written: object, meant: float) -> None:
    assert grammar.share(written) == meant


@pytest.mark.parametrize("written", [2, "150%", -0.1, "2 points", "half", True, None, "1,5%"])
def test_what_is_no_share_is_refused(written: object) -> None:
    with pytest.raises(Wrong):
        grammar.share(written)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("5%", grammar.Change(0.05, relative=True)),
        ("5 points", grammar.Change(0.05, relative=False)),
        ("1 point", grammar.Change(0.01, relative=False)),
        ("5 pp", grammar.Change(0.05, relative=False)),
        ("0.5%", grammar.Change(0.005, relative=True)),
        ("5% degradation", grammar.Change(0.05, relative=True)),
    ],
)
def test_a_change_is_read_and_survives_being_written(written: str, meant: grammar.Change) -> None:
    assert grammar.change(written) == meant
    assert grammar.change(str(meant)) == meant


@pytest.mark.parametrize("written", [5, 0.05, "5", "0.05", "a bit", None, True])
def test_a_change_that_may_be_relative_or_absolute_is_refused(written: object) -> None:
    with pytest.raises(Wrong, match=r"may be relative or absolute|is not a change"):
        grammar.change(written)


@pytest.mark.parametrize(
    ("written", "meant"),
    [("1 per 90 days", "1 per 90d"), ("2 per 7d", "2 per 7d"), ("3 per day", "3 per 1d"), ("1 PER week", "1 per 7d")],
)  # fmt: skip
def test_a_rate_is_read_and_survives_being_written(written: str, meant: str) -> None:
    assert str(grammar.rate(written)) == meant
    assert grammar.rate(meant) == grammar.rate(written)


@pytest.mark.parametrize(
    "written", ["1 per month", "0 per day", "1 / day", 1, "1 per", "x per day"]
)
def test_what_is_no_rate_is_refused(written: object) -> None:
    with pytest.raises(Wrong):
        grammar.rate(written)


@pytest.mark.parametrize(
    ("written", "meant"),
    [("7 years", "P7Y"), ("18 months", "P18M"), ("90 days", "P90D"), ("P1Y6M", "P1Y6M"), ("1 year", "P1Y")],
)  # fmt: skip
def test_only_retention_may_have_months_and_years(written: str, meant: str) -> None:
    assert str(dates.retention(written)) == meant
    assert dates.retention(meant) == dates.retention(written)


def test_a_date_and_a_range_are_read() -> None:
    assert dates.date("2026-01-31") == date(2026, 1, 31)
    found = dates.date_range("2025-06-01 to 2025-12-01")
    assert (found.start, found.end) == (date(2025, 6, 1), date(2025, 12, 1))
    assert dates.date_range(str(found)) == found
    for wrong in ("31.01.2026", "2026-02-30", "2026-01-31T00:00:00Z", 2026):
        with pytest.raises(Wrong):
            dates.date(wrong)


# ------------------------------------------------------------------------------------ metrics


@pytest.mark.parametrize(
    ("name", "written", "meant"),
    [
        ("accuracy", 0.82, metrics.Bound(min=0.82)),
        ("accuracy", "82%", metrics.Bound(min=0.82)),
        ("accuracy", "below 0.82", metrics.Bound(min=0.82)),
        ("accuracy", "< 0.82", metrics.Bound(min=0.82)),
        ("accuracy", "Alert if below 0.82", metrics.Bound(min=0.82)),
        ("accuracy", "accuracy below 0.82", metrics.Bound(min=0.82)),
        ("accuracy", {"min": 0.82}, metrics.Bound(min=0.82)),
        ("latency_p99", "200 ms", metrics.Bound(max=200)),
        ("latency_p99", "Alert if > 0.2s", metrics.Bound(max=200)),
        ("error_rate", "above 1%", metrics.Bound(max=0.01)),
        ("cost", {"max": 45}, metrics.Bound(max=45)),
        ("throughput", "below 100", metrics.Bound(min=100)),
        ("queue", {"max": 10}, metrics.Bound(max=10)),
        ("mae", 4.5, metrics.Bound(max=4.5)),
    ],
)
def test_a_threshold_says_when_to_alert(name: str, written: object, meant: metrics.Bound) -> None:
    assert metrics.bound(written, name) == meant
    assert metrics.bound(metrics.bound_document(meant, name), name) == meant


@pytest.mark.parametrize(
    ("name", "written", "why"),
    [
        ("accuracy", ">= 0.82", "alerts when accuracy is good"),
        ("accuracy", {"max": 0.9}, "alerts when accuracy is good"),
        ("error_rate", "below 1%", "alerts when error_rate is good"),
        ("throughput", 100, "has no direction"),
        ("bias", "0.1", "has no direction"),
        ("latency_p99", 200, "has no unit"),
        ("accuracy", 82, "is above 1"),
        ("accuracy", "soon", "is not a threshold"),
        ("accuracy", [0.8], "is not a threshold"),
        ("accuracy", {"min": 1, "max": 2}, "is not a threshold"),
        ("cost", "45 EUR", "has a unit"),
    ],
)
def test_a_threshold_that_cannot_be_meant_is_refused(name: str, written: object, why: str) -> None:
    with pytest.raises(Wrong, match=why):
        metrics.bound(written, name)


def test_metrics_are_known_by_their_usual_names() -> None:
    names = {
        "Accuracy": "accuracy",
        "F1 score": "f1",
        "Latency p99": "latency_p99",
        "Latency (p95)": "latency_p95",
    }
    names |= {"False-Positive Rate": "false_positive_rate", "ROC AUC": "auc", "R2": "r2"}
    assert {written: metrics.metric(written) for written in names} == names
    with pytest.raises(Wrong, match="has no percentile"):
        metrics.metric("Latency")


# ------------------------------------------------------------------------------- drift thresholds


@pytest.mark.parametrize(
    ("method", "written", "meant"),
    [
        ("PSI", 0.2, drift.Threshold(0.2)),
        ("psi", "PSI > 0.2", drift.Threshold(0.2)),
        ("PSI", "> 0.2", drift.Threshold(0.2)),
        ("auto", 0.1, drift.Threshold(0.1)),
        ("KS-test", "p < 0.05", drift.Threshold(0.05, "p")),
        ("KS-test", "p-value < 0.05", drift.Threshold(0.05, "p")),
        ("KS-test", "D > 0.05", drift.Threshold(0.05, "D")),
        ("KS", "KS > 0.05", drift.Threshold(0.05, "D")),
        ("Chi-Square", "p < 0.05", drift.Threshold(0.05, "p")),
        ("JS", "0.1", drift.Threshold(0.1)),
        ("Hellinger", "Hellinger > 0.1", drift.Threshold(0.1)),
        ("total variation", "TV > 0.1", drift.Threshold(0.1)),
        ("Cramér's V", "Cramér's V > 0.2", drift.Threshold(0.2)),
        ("Cramers-V", "V > 0.2", drift.Threshold(0.2)),
        ("Chi-Square", "V > 0.2", drift.Threshold(0.2, "V")),
        ("Mean-shift", "mean shift exceeds 0.25", drift.Threshold(0.25)),
        ("AUC-shift", "> 0.05", drift.Threshold(0.05)),
        ("Two-proportion", "difference > 0.05", drift.Threshold(0.05, "difference")),
        ("two proportions", "p < 0.01", drift.Threshold(0.01, "p")),
    ],
)
def test_a_drift_threshold_is_read(method: str, written: object, meant: drift.Threshold) -> None:
    used = drift.methods(method)
    assert drift.threshold(written, used) == meant
    assert drift.threshold(drift.threshold_document(meant), used) == meant


def test_a_bare_number_under_a_test_may_be_p_or_a_distance() -> None:
    for name in ("KS-test", "Chi-Square", "Two-proportion"):
        with pytest.raises(Wrong, match="may be p or"):
            drift.threshold(0.05, drift.methods(name))


# ------------------------------------------------------------------------------------- conditions


def only(text: str) -> object:
    """The one test of a condition."""
    (test,) = condition(text).tests
    return test


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_a_condition_in_any_spelling(kind: str) -> None:
    words = kind.replace("_", " ")
    for written in (
        words,
        f"{words} detected",
        words.upper(),
        kind,
        f"Alert if {words} is detected",
    ):
        assert only(written) == KindTest(kind)
    assert only(f"severe {words}") == KindTest(kind, "severe")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Drift threshold exceeded", KindTest("drift", "severe")),
        ("Performance below threshold", KindTest("performance")),
        ("Recall drops below 0.62", MetricTest("recall", "<", Value(0.62))),
        ("recall < 62%", MetricTest("recall", "<", Value(0.62))),
        ("if accuracy at least 0.8", MetricTest("accuracy", ">=", Value(0.8))),
        ("when error rate exceeds 1%", MetricTest("error_rate", ">", Value(0.01))),
        ("latency p99 above 200 ms", MetricTest("latency_p99", ">", Value(200.0, unit="ms"))),
        ("mae <= baseline", MetricTest("mae", "<=", Value(0.0, "baseline"))),
        (
            "auc below baseline - 2 points",
            MetricTest("auc", "<", Value(-0.02, "baseline", "points")),
        ),
        ("mae exceeds current + 5%", MetricTest("mae", ">", Value(0.05, "current", "%"))),
        (
            "latency_p95 > baseline + 20 ms",
            MetricTest("latency_p95", ">", Value(20.0, "baseline", "ms")),
        ),
        ("queue_depth above 100", MetricTest("queue_depth", ">", Value(100.0))),
        ("psi(annual_income) > 0.2", SeriesTest("psi", "annual_income", ">", 0.2)),
        ("missing(x) > 5%", SeriesTest("missing", "x", ">", 0.05)),
        ("Out-of-range(x and y) exceeds 1%", SeriesTest("out_of_range", "x and y", ">", 0.01)),
        ("no predictions for 15m", SilenceTest(15 * MINUTE)),
        ("No predictions for 1 hour", SilenceTest(HOUR)),
    ],
)
def test_a_test_is_read(written: str, meant: object) -> None:
    assert only(written) == meant


@pytest.mark.parametrize(
    "written",
    [
        "data drift for 10m",
        "recall < 0.62 and severe data drift for 2 of 3 windows",
        "no predictions for 15m for 2 of 3 windows",
        "psi(a) > 0.2 and js(b) > 0.1 and missing(c) >= 0.5",
        "auc < baseline - 2 points",
        "latency_p95 > 80ms",
        "drift threshold exceeded",
    ],
)
def test_a_condition_survives_being_written(written: str) -> None:
    assert str(condition(written)) == written
    assert condition(str(condition(written))) == condition(written)


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("data drift or concept drift", "joins two conditions"),
        ("drift detected", "may be data drift, prediction drift or concept drift"),
        ("model looks bad", '"model" in "model looks bad"'),
        ("data drift looks bad", '"looks" in'),
        ("recall < 0.62 sometimes", '"sometimes" in'),
        ("data drift and", "joins nothing"),
        ("data drift and data drift", "the same test twice"),
        ("accuracy < baseline ± 2 points", "may be above or below"),
        ("accuracy < baseline - 2", "may be relative or absolute"),
        ("latency_p99 > 200", "has no unit"),
        ("latency > 200 ms", "has no percentile"),
        ("accuracy", '"accuracy" in'),
        ("accuracy <", "compares with nothing"),
        ("< 0.8", "compares nothing"),
        ("psi() > 0.2", "names no feature"),
        ("psi(x)", "compares with nothing"),
        ("no predictions", "for how long"),
        ("always", "belongs to the approval process"),
        ("", "is empty"),
        (5, "is not a condition"),
    ],
)
def test_a_condition_that_cannot_be_read_is_refused(written: object, why: str) -> None:
    with pytest.raises(Wrong) as error:
        condition(written)
    assert why in error.value.line()


def test_drift_threshold_exceeded_holds_for_severe_data_drift_concept_drift_and_performance() -> (
    None
):
    test = only("drift threshold exceeded")
    assert isinstance(test, KindTest)
    assert test.kinds == ("data_drift", "concept_drift", "performance")
    held = {
        (kind, severe)
        for kind in KINDS
        for severe in (False, True)
        if test.holds(kind, severe=severe)
    }
    assert held == {
        ("data_drift", True),
        *((kind, severe) for kind in ("concept_drift", "performance") for severe in (False, True)),
    }


def test_a_kind_holds_at_its_level_or_worse() -> None:
    mild, severe = KindTest("data_drift"), KindTest("data_drift", "severe")
    assert mild.holds("data_drift", severe=False)
    assert mild.holds("data_drift", severe=True)
    assert not severe.holds("data_drift", severe=False)
    assert not mild.holds("performance", severe=True)


def test_words_of_approval_are_conditions_there_alone() -> None:
    found = condition("all gates pass and recall >= baseline", approval=True)
    assert found.tests[0] == WordTest("all gates pass")
    assert condition("never", approval=True) == Condition((WordTest("never"),))


# --------------------------------------------------------------------------- triggers and actions


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Scheduled: Daily", "Scheduled: Daily"),
        ("Weekly", "Scheduled: Weekly"),
        ("scheduled monthly", "Scheduled: Monthly"),
        ("Scheduled: Quarterly", "Scheduled: Quarterly"),
        ("Yearly", "Scheduled: Yearly"),
        ("every 14 days", "every 14 days"),
        ("Scheduled: every 2 weeks", "every 14 days"),
    ],
)
def test_a_schedule_is_read_and_survives_being_written(written: str, meant: str) -> None:
    assert str(trigger(written)) == meant
    assert trigger(meant) == trigger(written)


def test_triggers_are_conditions_schedules_label_counts_or_manual() -> None:
    assert trigger("new labels >= 5000") == NewLabels(5000)
    assert trigger("New labels at least 5,000") == NewLabels(5000)
    assert trigger("Manual") == Manual()
    assert trigger("Recall drops below 0.62") == condition("recall < 0.62")


@pytest.mark.parametrize(
    "written", ["Scheduled: sometimes", "every 6 hours", "every month", "new labels", "whenever", 5]
)
def test_what_is_no_trigger_is_refused(written: object) -> None:
    with pytest.raises(Wrong):
        trigger(written)


def test_actions_are_three() -> None:
    assert action("Initiate retraining pipeline") == action("retrain") == "retrain"
    assert action("Evaluate if retraining needed") == action("evaluate") == "evaluate"
    assert action("notify") == "notify"
    with pytest.raises(Wrong):
        action("redeploy")


def test_a_requirement_is_a_bound_where_it_reads_as_one() -> None:
    assert requirement("recall >= baseline").bound == MetricTest(
        "recall", ">=", Value(0.0, "baseline")
    )
    for check in ("A/B test against the current model", "no bias or unfairness", "bugs < 3"):
        assert requirement(check).bound is None


# ------------------------------------------------------------------------------------------ paths


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("timestamp", ("timestamp",)),
        ("meta.at", ("meta", "at")),
        (r"a\.b.c", ("a.b", "c")),
        ("items[0].x", ("items", 0, "x")),
        ("[1][2]", (1, 2)),
        (".", ()),
        ("$key", ("$key",)),
        ("$timestamp", ("$timestamp",)),
        ("$headers.trace.id", ("$headers", "trace.id")),
        ("with blank", ("with blank",)),
    ],
)
def test_a_path_is_read_and_survives_being_written(
    written: str, meant: tuple[str | int, ...]
) -> None:
    assert path(written) == meant
    assert path(path_text(meant)) == meant


@pytest.mark.parametrize(
    "written",
    ["", "a..b", "a.", ".a", "a[*]", "*", "a[?(@.x)]", "a[x]", "a[0]b", "$", "$value", "a.b.c.d.e.f.g.h.i", 5, None],
)  # fmt: skip
def test_what_is_no_path_is_refused(written: object) -> None:
    with pytest.raises(Wrong):
        path(written)


@given(st.lists(st.one_of(st.integers(0, 999), st.text(min_size=1)), min_size=1, max_size=8))
def test_any_path_survives_being_written(steps: list[str | int]) -> None:
    text = path_text(tuple(steps))
    try:
        found = path(text)
    except Wrong:
        return  # wildcards and the like
    assert path(path_text(found)) == found


def test_a_field_may_be_a_constant() -> None:
    assert field({"const": "churn"}) == Const("churn")
    wrongs: list[object] = [{"const": 1, "path": "a"}, {"constant": 1}, {"const": [1]}, []]
    for wrong in wrongs:
        with pytest.raises(Wrong):
            field(wrong)


# ------------------------------------------------------------------------------------- robustness

READERS: list[Callable[[object], object]] = [
    *(grammar.duration, grammar.frequency, grammar.share, grammar.change, grammar.rate, dates.retention),
    *(dates.date, dates.date_range, grammar.persistence, grammar.number, grammar.boolean, grammar.text),
    *(condition, trigger, action, requirement, path, field, drift.methods, metrics.metric),
    lambda written: metrics.bound(written, "accuracy"),
    lambda written: drift.threshold(written, drift.AUTO),
    lambda written: value(written, "number"),
]  # fmt: skip
_WORDS = "data drift accuracy below 0.8 5% for and ( ) psi(x) > < <= baseline - points every Scheduled: PT5M 1M ± 2 of"


@given(
    st.sampled_from(READERS),
    st.one_of(
        *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.text(), max_size=2)),
        st.dictionaries(st.sampled_from(["min", "max", "number", "const"]), st.text(), max_size=2),
        st.lists(st.sampled_from(_WORDS.split()), max_size=8).map(" ".join),
    ),
)  # fmt: skip
def test_whatever_is_written_is_read_or_refused_with_a_line(
    read: Callable[[object], object], written: object
) -> None:
    try:
        read(written)
    except (Wrong, Several) as error:
        lines = [wrong.line() for wrong in getattr(error, "wrongs", [error])]
    else:
        lines = []
    assert all(": expected " in line and "\n" not in line for line in lines)
