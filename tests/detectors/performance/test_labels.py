"""Label health: what is said of labels that are few, late, one-sided, corrected, or not there at all."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.performance.labels import (
    Day,
    LabelHealth,
    LabelMemory,
    Limits,
    Seen,
    Usual,
    compared,
    judge_labels,
    lag_quantile,
)
from detectors.performance.layout import LAGS
from detectors.samples.effects import Ints
from detectors.types import Check, Reason, Status, Verdict, Window

HOUR, DAY = 3_600_000, 86_400_000
NOTHING, UNKNOWN, EMPTY = Limits(), Usual(), LabelMemory()


def lags(**buckets: int) -> Ints:
    """Labels by bucket: h1 for an hour, d1 a day, d7 a week, later, unknown."""
    place = {"m1": 0, "h1": 3, "h12": 5, "d1": 6, "d3": 7, "d7": 8, "later": 11, "unknown": 12}
    found = np.zeros(LAGS, np.int64)
    for name, n in buckets.items():
        found[place[name]] = n
    return found


def seen(outcomes: int = 400, predictions: int = 1000, corrected: int = 0) -> Seen:
    return Seen(predictions, outcomes, corrected, lags(h1=outcomes))


def day(at: int) -> Window:
    return Window(at * DAY, (at + 1) * DAY)


def check(found: LabelHealth, rule: str) -> Check:
    return next(c for c in found.checks if c.rule == rule)


def judged(
    limits: Limits = NOTHING,
    usual: Usual = UNKNOWN,
    of: Seen | None = None,
    days: list[Day] | None = None,
    at: int = 40,
    memory: LabelMemory = EMPTY,
) -> LabelHealth:
    return judge_labels(limits, usual, memory, day(at), of or seen(), days or [])[1]


def silent(
    days: int, limits: Limits = NOTHING, every: int = 1, known: int = 30
) -> list[LabelHealth]:
    """Labels every so many days for `known` days, then none."""
    memory, found = LabelMemory(), []
    for at in range(known + days):
        of = seen() if at < known and at % every == 0 else seen(0)
        memory, health = judge_labels(limits, Usual(), memory, day(at), of, [])
        memory = LabelMemory.from_data(json.loads(json.dumps(memory.to_data())))
        found.append(health)
    return found


def test_labels_that_stop_are_severe_after_twice_a_window() -> None:
    found = silent(5)
    status = [check(h, "no_labels").status for h in found[30:]]
    assert status == [*[Status.STABLE] * 2, *[Status.SEVERE] * 3]
    assert found[-1].status == Status.SEVERE
    assert not found[-1].calm
    assert [c.rule for c in found[-1].broken] == ["no_labels"]


def test_labels_that_come_once_a_week_are_not_missed_for_three_weeks() -> None:
    found = silent(25, every=7, known=29)
    broken = [at for at, h in enumerate(found) if h.status == Status.SEVERE]
    assert broken
    assert broken[0] == 29 + 3 * 6  # the last label came in window 28


def test_before_two_weeks_are_known_a_week_without_labels_is_no_silence() -> None:
    found = silent(9, known=2)
    assert [at for at, h in enumerate(found) if h.status == Status.SEVERE] == [9, 10]
    assert silent(9, Limits(delay_ms=HOUR), known=2)[5].status == Status.SEVERE


def test_labels_that_never_came_are_missed_only_if_their_delay_is_known() -> None:
    assert {h.status for h in silent(30, known=0)} == {Status.INSUFFICIENT}
    found = silent(30, Limits(delay_ms=10 * DAY), known=0)
    assert next(at for at, h in enumerate(found) if h.status == Status.SEVERE) == 15


def test_without_predictions_nothing_is_due() -> None:
    memory = LabelMemory(0, 0, 30 * DAY, DAY)
    found = judged(of=seen(0, predictions=3), memory=memory, at=90)
    assert check(found, "no_labels").status == Status.INSUFFICIENT
    assert found.status == Status.INSUFFICIENT


def test_coverage_is_that_of_the_newest_day_old_enough_cut_at_its_age() -> None:
    days = [
        Day(30 * DAY, 1000, lags(d1=650)),
        Day(36 * DAY, 1000, lags(d1=300, d7=500)),  # a week old: 300 within three days
        Day(39 * DAY, 1000, lags(d1=10)),  # too young to be judged
    ]
    limits = Limits(coverage=0.6, within_ms=3 * DAY)
    found = check(judged(limits, days=days), "label_coverage")
    assert found.status == Status.DRIFTING
    assert (found.value, found.limit, found.n) == (0.3, 0.6, 1000)
    assert check(judged(limits, days=days[:1]), "label_coverage").status == Status.STABLE
    assert check(judged(limits, days=days[2:]), "label_coverage").status == Status.INSUFFICIENT


def test_coverage_a_little_under_its_limit_is_not_surely_under_it() -> None:
    days = [Day(30 * DAY, 200, lags(d1=115))]
    found = check(judged(Limits(0.6, 3 * DAY), days=days), "label_coverage")
    assert found.status == Status.STABLE
    assert not found.calm


def test_without_a_limit_coverage_is_compared_with_earlier_days_of_equal_age() -> None:
    usual = Usual(lags=lags(h12=600, d1=350, d7=50))
    before = [Day(at * DAY, 1000, lags(d1=600 + 10 * (at % 3), d7=200)) for at in range(20)]
    fallen = Day(20 * DAY, 1000, lags(d1=400, d7=400))
    found = check(judged(usual=usual, days=[*before, fallen]), "label_coverage")
    assert found.status == Status.DRIFTING
    assert found.value == 0.4
    assert found.reference == pytest.approx(0.61, abs=0.005)
    usually = check(judged(usual=usual, days=before), "label_coverage")
    assert (usually.status, usually.calm) == (Status.STABLE, True)
    few = check(judged(usual=usual, days=[*before[:6], fallen]), "label_coverage")
    assert few.status == Status.INSUFFICIENT


def test_days_that_vary_a_lot_are_no_reason_for_an_alert() -> None:
    usual = Usual(lags=lags(d1=1000))
    before = [Day(at * DAY, 1000, lags(d1=600 + 250 * (-1) ** at)) for at in range(20)]
    low = Day(20 * DAY, 1000, lags(d1=400))
    found = check(judged(usual=usual, days=[*before, low]), "label_coverage")
    assert found.status == Status.STABLE


def test_older_labels_than_in_the_reference_make_performance_immature() -> None:
    usual = Usual(lags=lags(h1=800, h12=200))
    late = Seen(1000, 400, 0, lags(h1=50, d1=350))
    found = judged(usual=usual, of=late)
    assert found.immature
    assert check(found, "label_lag").said == "labels are 17 h old in the middle, usually 30 min"
    same = judged(usual=usual, of=Seen(1000, 400, 0, lags(h1=320, h12=80)))
    assert not same.immature
    assert check(same, "label_lag").calm
    assert not judged(usual=usual, of=Seen(1000, 20, 0, lags(d1=20))).immature
    no_lags = Usual(lags=lags(unknown=1000))
    assert check(judged(usual=no_lags, of=late), "label_lag").status == Status.INSUFFICIENT


def test_outcomes_with_labels_of_another_age_are_not_concluded_about() -> None:
    usual = Usual(lags=lags(h1=800, h12=200))
    late = judged(usual=usual, of=Seen(1000, 400, 0, lags(h1=50, d1=350)))
    drifting = Verdict(day(40), Status.DRIFTING, Reason.ALARM, None)
    found = compared(drifting, late)
    assert (found.status, found.reason) == (Status.INSUFFICIENT, Reason.LABELS_IMMATURE)
    assert compared(drifting, judged()) is drifting
    unknown = Verdict(day(40), Status.INSUFFICIENT, Reason.NO_REFERENCE, None)
    assert compared(unknown, late) is unknown


def test_the_largest_lag_may_be_exceeded_by_a_twentieth_of_the_labels() -> None:
    limits = Limits(max_lag_ms=DAY)
    few, many = (Seen(1000, 400, 0, lags(h1=400 - n, d7=n)) for n in (20, 60))
    assert check(judged(limits, of=few), "label_lag").status == Status.STABLE
    found = check(judged(limits, of=many), "label_lag")
    assert (found.status, found.value, found.limit) == (Status.DRIFTING, 0.15, 0.05)
    year = Limits(max_lag_ms=365 * DAY)
    assert check(judged(year, of=many), "label_lag").status == Status.STABLE
    none = Seen(1000, 9, 0, lags(h1=9))
    assert check(judged(limits, of=none), "label_lag").status == Status.INSUFFICIENT
    old = Seen(1000, 400, 0, lags(later=400))  # some may be older than a year: nobody counts it
    assert check(judged(year, of=old), "label_lag").status == Status.INSUFFICIENT


def test_labels_of_one_class_only_are_told_where_the_reference_makes_them_impossible() -> None:
    usual = Usual(classes=np.array([9000, 1000]))

    def one(classes: list[int]) -> Check:
        return check(
            judged(usual=usual, of=seen()._replace(classes=np.array(classes))), "label_one_sided"
        )

    assert one([0, 40]).status == Status.DRIFTING
    assert one([40, 0]).status == Status.STABLE  # .9 to the power of 40 is no wonder
    found = one([400, 0])
    assert found.status == Status.DRIFTING
    assert found.said == "all 400 labels are of one class, usually 90%"
    assert one([399, 1]).status == Status.STABLE
    assert one([0, 20]).status == Status.INSUFFICIENT
    assert one([0, 0]).status == Status.INSUFFICIENT


def test_corrections_beyond_their_share_are_told() -> None:
    assert check(judged(of=seen(corrected=4)), "label_corrections").status == Status.STABLE
    found = check(judged(of=seen(corrected=40)), "label_corrections")
    assert (found.status, found.value, found.limit) == (Status.DRIFTING, 0.1, 0.01)
    none = check(judged(Limits(max_corrections=0.0)), "label_corrections")
    assert (none.status, none.calm) == (Status.STABLE, True)


def test_all_is_well_and_calm() -> None:
    usual = Usual(lags(h1=1000), np.array([5000, 5000]))
    found = judged(usual=usual, of=seen()._replace(classes=np.array([210, 190])))
    assert (found.status, found.calm, found.broken) == (Status.STABLE, True, ())
    assert not found.immature


def test_the_middle_age_of_labels_comes_with_the_edges_of_its_bucket() -> None:
    assert lag_quantile(lags(unknown=5)) is None
    assert lag_quantile(lags(m1=100)) == (30_000, 0.0, 60_000.0, 100)
    late = lag_quantile(lags(later=100), 0.9) or (0.0, 0.0, 0.0, 0)
    assert late[1:] == (30.0 * DAY, 400.0 * DAY, 100)


counts = st.lists(st.integers(-5, 1000), min_size=LAGS, max_size=LAGS)


@settings(max_examples=60)
@given(
    of=counts,
    usual=st.none() | counts,
    classes=st.none() | st.lists(st.integers(-3, 500), min_size=2, max_size=2),
    predictions=st.integers(0, 1000),
    corrected=st.integers(0, 500),
    limits=st.builds(
        Limits,
        st.none() | st.floats(0, 1),
        st.none() | st.integers(1, 400 * DAY),
        st.none() | st.integers(1, 400 * DAY),
        st.none() | st.integers(1, 400 * DAY),
        st.floats(0, 1),
    ),
)
def test_any_counts_give_finite_numbers_and_a_verdict(
    of: list[int],
    usual: list[int] | None,
    classes: list[int] | None,
    predictions: int,
    corrected: int,
    limits: Limits,
) -> None:
    known = Usual(
        None if usual is None else np.array(usual), None if classes is None else np.array(classes)
    )
    arrived = np.array(of)
    days = [Day(at * DAY, predictions, arrived) for at in range(35)]
    now = Seen(predictions, int(arrived.sum()), corrected, arrived, known.classes)
    memory = LabelMemory(0, 0, 30 * DAY, DAY)
    _, found = judge_labels(limits, known, memory, day(40), now, days)
    for one in found.checks:
        numbers = [one.value, one.low, one.high, one.limit, one.reference]
        assert all(np.isfinite(x) for x in numbers if x is not None)
        assert one.status != Status.STABLE or one.value is not None
        assert not (one.calm and one.status != Status.STABLE)
