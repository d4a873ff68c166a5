"""Written rules of metrics: broken when surely beyond, calm when back inside by a tenth, silent on too little."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.performance.measured import Insufficient, Metric
from detectors.performance.metrics import Z99
from detectors.performance.rules import Change, Line, baseline, degraded, gap, judge_line
from detectors.samples.effects import difference, wilson
from detectors.types import Check, Status

POINTS = Change(0.02, relative=False)


def share(value: float, n: int) -> Metric:
    low, high = wilson(value, n, Z99)
    return Metric(value, float(low), float(high), n)


RECALL = Line(low=0.62, severe_low=0.58)


@pytest.mark.parametrize(
    ("answer", "status", "calm"),
    [
        (share(0.80, 1000), Status.STABLE, True),
        (share(0.625, 1000), Status.STABLE, False),  # inside, but not by a tenth of .09
        (share(0.635, 1000), Status.STABLE, True),
        (share(0.60, 1000), Status.STABLE, False),  # below, but not surely
        (share(0.57, 1000), Status.DRIFTING, False),
        (share(0.50, 1000), Status.SEVERE, False),
        (share(0.10, 150), Status.INSUFFICIENT, False),
        (Insufficient("too_few_positives", 4, 10), Status.INSUFFICIENT, False),
        (None, Status.INSUFFICIENT, False),
    ],
)
def test_a_floor_is_broken_where_the_whole_interval_is_below_it(
    answer: Metric | Insufficient | None, status: Status, calm: bool
) -> None:
    found = judge_line("recall", answer, RECALL, reference=0.71)
    assert (found.status, found.calm) == (status, calm)
    assert found.limit == 0.62
    assert found.series == "metric:recall"
    assert found.n == (0 if answer is None else answer.n)


def test_a_ceiling_is_broken_from_above() -> None:
    line = Line(high=0.5, severe_high=1.0)
    assert judge_line("log_loss", Metric(0.7, 0.6, 0.8, 500), line).status == Status.DRIFTING
    assert judge_line("log_loss", Metric(1.4, 1.2, 1.6, 500), line).status == Status.SEVERE
    assert judge_line("log_loss", Metric(0.4, 0.3, 0.6, 500), line).status == Status.STABLE


def test_only_critical_may_be_written() -> None:
    line = Line(severe_low=0.58)
    assert judge_line("recall", share(0.4, 1000), line).status == Status.SEVERE
    assert judge_line("recall", share(0.6, 1000), line).status == Status.STABLE


def test_a_number_may_be_written_relative_to_the_baseline() -> None:
    assert baseline(0.82) == 0.82
    assert baseline(-2.0, 0.05, relative=True) == pytest.approx(-1.9)


@settings(max_examples=50)
@given(
    k=st.integers(0, 1000), m=st.integers(0, 10_000), allowed=st.floats(0, 0.3), up=st.booleans()
)
def test_for_shares_the_difference_is_newcombes(k: int, m: int, allowed: float, up: bool) -> None:
    now, was = share(k / 1000, 1000), share(m / 10_000, 10_000)
    found = degraded("x", now, was, Change(allowed, relative=False), "lower" if up else "higher")
    newcombe = difference(m, 10_000, k, 1000, z=Z99)
    worse = float(newcombe.low if up else -newcombe.high)
    if abs(worse - allowed) > 1e-9 and abs(worse - 2 * allowed) > 1e-9:
        broken = found.status in (Status.DRIFTING, Status.SEVERE)
        assert broken == (worse > allowed)
        assert (found.status == Status.SEVERE) == (worse > 2 * allowed)
    assert not (found.calm and found.status != Status.STABLE)


def test_degradation_counts_the_error_of_the_reference_too() -> None:
    now = share(0.74, 2000)
    large = degraded("accuracy", now, share(0.80, 20_000), POINTS, "higher")
    small = degraded("accuracy", now, share(0.80, 300), POINTS, "higher")
    assert (large.status, small.status) == (Status.DRIFTING, Status.STABLE)
    written = Metric(0.80, 0.80, 0.80, 0)  # `current: 0.80` in the lifecycle
    assert degraded("accuracy", now, written, POINTS, "higher").status == Status.DRIFTING
    assert large.limit == pytest.approx(0.78)
    assert (large.reference, large.n_reference) == (0.80, 20_000)


def test_a_relative_change_is_a_share_of_the_reference() -> None:
    was, now = Metric(20.0, 19.5, 20.5, 10_000), Metric(21.8, 21.2, 22.4, 2000)
    tenth = degraded("mae", now, was, Change(0.10, relative=True), "lower")
    twentieth = degraded("mae", now, was, Change(0.05, relative=True), "lower")
    assert (tenth.status, twentieth.status) == (Status.STABLE, Status.DRIFTING)
    assert twentieth.limit == pytest.approx(21.0)
    severe = degraded(
        "mae", now, was, Change(0.01, relative=True), "lower", severe=Change(0.04, relative=True)
    )
    assert severe.status == Status.SEVERE


def test_a_metric_without_a_direction_may_move_either_way() -> None:
    was = share(0.5, 10_000)
    for value, limit in ((0.6, 0.52), (0.4, 0.48)):
        found = degraded("positive_rate", share(value, 2000), was, POINTS, None)
        assert found.status == Status.SEVERE
        assert found.limit == pytest.approx(limit)
    improved = degraded("accuracy", share(0.6, 2000), was, POINTS, "higher")
    assert (improved.status, improved.calm) == (Status.STABLE, True)


def test_nothing_is_said_without_reference_or_outcomes() -> None:
    was = share(0.8, 10_000)
    few = degraded("accuracy", share(0.1, 150), was, POINTS, "higher")
    assert (few.status, few.value, few.n) == (Status.INSUFFICIENT, 0.1, 150)
    none = degraded("accuracy", None, was, POINTS, "higher")
    assert (none.status, none.value, none.n) == (Status.INSUFFICIENT, None, 0)
    alone = degraded("accuracy", share(0.1, 1500), None, POINTS, "higher")
    assert (alone.status, alone.limit, alone.n) == (Status.INSUFFICIENT, None, 1500)
    missing = Insufficient("too_few_labels", 12, 30)
    assert degraded("accuracy", missing, missing, POINTS, "higher").n == 12
    assert degraded("accuracy", missing, was, POINTS, "higher").n == 12


def held(answers: dict[str, Metric | Insufficient], allowed: Change = POINTS) -> Check:
    return gap("max_gap(country)", answers, allowed, series="metric:recall", reference=0.8).judged


def test_the_largest_gap_between_values_is_held_against_what_is_allowed() -> None:
    of: dict[str, Metric | Insufficient] = {
        "DE": share(0.82, 4000),
        "FR": share(0.81, 4000),
        "US": share(0.72, 4000),
        "MT": share(0.10, 40),
        "LU": Insufficient("too_few_positives", 2, 10),
    }
    found = gap("max_gap(country)", of, POINTS, series="metric:recall")
    assert (found.lowest, found.highest) == ("US", "DE")
    assert found.judged.status == Status.SEVERE
    assert found.judged.n == 4000
    assert held(of, Change(0.1, relative=True)).status == Status.STABLE
    of.pop("US")
    assert held(of).status == Status.STABLE
    assert held({"DE": of["DE"], "MT": of["MT"]}).status == Status.INSUFFICIENT
    relative = Change(0.1, relative=True)
    assert gap("g", of, relative, series="s").judged.status == Status.INSUFFICIENT


def test_many_equal_values_have_no_gap_though_the_two_furthest_are_picked() -> None:
    """Of 40 groups of one rate the extremes lie far apart by chance; the interval knows that they were picked."""
    rng = np.random.default_rng(3)
    broken = 0
    for _ in range(100):
        of = {f"{k}": share(rng.binomial(300, 0.8) / 300, 300) for k in range(40)}
        broken += held(dict(of), Change(0.0, relative=False)).status != Status.STABLE
    assert broken <= 5
