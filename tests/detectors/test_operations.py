"""Do counts of how a model runs add up, do they say what the events say, and do few events break no rule?"""

import hashlib
from collections import Counter
from itertools import pairwise
from random import Random
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.operations import repeats
from detectors.operations.layout import EDGES_MS, LATENCY, TOTAL, latencies
from detectors.operations.measures import Measure, measures, quantile, share
from detectors.operations.rules import (
    LEAST,
    Z99,
    Line,
    Shares,
    failing,
    half_unusable,
    held,
    shares,
    silence,
    volume,
)
from detectors.operations.volume import DAY_MS, HOUR_MS, LEAST_MS, Volume
from detectors.samples.effects import Floats, Ints
from detectors.types import Status

FIVE_MS = 300_000


def hashes(ids: list[str], pane_ms: int = 0) -> repeats.Hashes:
    """Of ids, as the profiler makes them."""
    return repeats.salted(np.array([crc32(i.encode()) for i in ids], np.uint32), pane_ms)


# ---- latencies


def test_the_edges_are_quarter_octaves_from_a_tenth_of_a_millisecond_on() -> None:
    exact = [0.1 * 2 ** (j / 4) for j in range(81)]
    assert np.allclose(EDGES_MS, exact, rtol=4e-16)
    assert round(EDGES_MS[-1] / 1000, 1) == 104.9


@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=60),
    st.integers(0, 60),
)
def test_latencies_counted_in_parts_and_in_any_order_are_those_counted_at_once(
    values: list[float], cut: int
) -> None:
    whole = latencies(np.array(values, np.float64))
    mixed = sorted(values, key=lambda v: hashlib.md5(repr(v).encode()).digest())
    parts = [latencies(np.array(p, np.float64)) for p in (mixed[:cut], mixed[cut:])]
    assert (parts[0] + parts[1] == whole).all()
    assert whole.sum() == len(values)
    groups = np.array([k % 3 for k in range(len(values))], np.int64)
    assert (latencies(np.array(values, np.float64), groups, 3).sum(0) == whole[0]).all()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("q", [0.5, 0.95, 0.99])
def test_a_quantile_is_within_half_a_cell_of_the_exact_one(seed: int, q: float) -> None:
    values = np.random.default_rng(seed).lognormal(3, 1.2, 2_000)
    exact = float(np.quantile(values, q, method="inverted_cdf"))
    found = quantile(latencies(values)[0], q)
    assert found is not None
    assert 2 ** (-1 / 8) - 1e-9 <= found.value / exact <= 2 ** (1 / 8) + 1e-9
    assert found.low <= exact <= found.high


def test_the_interval_of_a_quantile_holds_the_truth_as_often_as_it_says() -> None:
    random, truth, held_it = (
        np.random.default_rng(1),
        float(
            np.exp(3 + 1.6448536),
        ),
        0,
    )
    for _ in range(400):
        found = quantile(latencies(random.lognormal(3, 1, 300))[0], 0.95)
        assert found is not None
        held_it += found.low <= truth <= found.high
    assert held_it >= 0.95 * 400  # cells only widen it


def test_the_smallest_and_the_largest_latencies_give_finite_numbers() -> None:
    for values in (np.full(50, 1e-9), np.full(50, 1e12)):
        found = quantile(latencies(values)[0], 0.99)
        assert found is not None
        assert np.isfinite(found).all()
        assert found.low <= found.value <= found.high


def test_no_latency_has_no_quantile() -> None:
    assert quantile(latencies(np.array([np.nan, np.inf]))[0], 0.5) is None


# ---- shares of statuses


def vector(ok: int, error: int = 0, timeout: int = 0, fallback: int = 0, unknown: int = 0) -> Ints:
    found = np.zeros(TOTAL, np.int64)
    found[:5] = ok, error, timeout, fallback, unknown
    return found


def test_rates_are_shares_of_the_predictions_whose_status_is_known() -> None:
    found = measures(vector(80, 10, 5, 5, unknown=100), 60_000)
    assert found["error_rate"].value == 0.1
    assert found["timeout_rate"].value == 0.05
    assert found["fallback_rate"].value == 0.05
    assert found["availability"].value == 0.85
    assert found["throughput"].value == 200 / 60
    assert "latency_p50" not in found


def test_a_share_of_nothing_is_not_zero() -> None:
    assert share(0, 0) is None
    assert set(measures(vector(0), 60_000)) == {"throughput"}


# ---- repeats


def exact_share(ids: list[str]) -> float:
    return 1 - len(set(ids)) / len(ids)


@given(
    st.lists(st.integers(0, 400).map(str), max_size=900), st.lists(st.integers(0, 900), max_size=4)
)
@settings(max_examples=60)
def test_the_sample_of_the_whole_is_the_merged_sample_of_any_parts(
    ids: list[str], cuts: list[int]
) -> None:
    at = [0, *sorted(cuts), len(ids)]
    parts = [repeats.sample(hashes(ids[a:b])) for a, b in pairwise(at)]
    found, whole = repeats.merged(reversed(parts)), repeats.sample(hashes(ids))
    assert repeats.pack(found) == repeats.pack(whole)
    counts = Counter(hashes(ids).tolist())
    smallest = sorted(counts)[: repeats.K]
    assert whole.hashes.tolist() == smallest
    assert whole.times.tolist() == [counts[h] for h in smallest]


def test_few_ids_are_counted_exactly() -> None:
    ids = [f"e{k}" for k in range(100)] + ["e3"] * 4 + ["e5"]
    found = repeats.share(repeats.sample(hashes(ids)), len(ids))
    assert found is not None
    assert found.value == pytest.approx(exact_share(ids))


@pytest.mark.parametrize("part", [0.0, 0.05, 0.3, 0.9])
def test_the_share_of_repeats_is_estimated_within_its_interval(part: float) -> None:
    inside = 0
    for seed in range(60):
        random = np.random.default_rng([seed, 7])
        ids = [f"{seed}-{k}" for k in range(4_000)]
        ids += [ids[k] for k in np.flatnonzero(random.random(4_000) < part)]
        found = repeats.share(repeats.sample(hashes(ids)), len(ids), Z99)
        assert found is not None
        inside += found.low <= exact_share(ids) <= found.high
    assert inside >= 57


def test_one_id_that_stands_for_half_of_the_events_is_found() -> None:
    for constant in ("unknown", "none", "-", "0"):
        ids = [f"e{k}" for k in range(5_000)] + [constant] * 5_000
        found = repeats.share(repeats.sample(hashes(ids)), len(ids), Z99)
        assert found is not None
        assert found.low > 0.2
        assert abs(found.value - 0.5) < 0.15


def test_an_id_repeats_itself_within_its_pane_only() -> None:
    ids = [f"e{k}" for k in range(50)]
    both = [repeats.sample(hashes(ids, pane)) for pane in (0, 60_000)]
    found = repeats.share(repeats.merged(both), 100)
    assert found is not None
    assert found.value == 0


def test_what_is_no_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="pairs"):
        repeats.unpack(b"1234567")


# ---- rules


def null_rule(missing: int, events: int, before: int = 0, of: int = 10_000) -> Status:
    rule = Shares(
        "missing",
        ["feature:a"],
        ["a"],
        np.array([missing]),
        np.array([events]),
        np.array([0.02]),
        np.array([before]),
        np.array([of]),
        rises=True,
    )
    return shares(rule)[0].status


def test_a_burst_of_nulls_breaks_the_rule_and_a_usual_share_of_them_does_not() -> None:
    assert null_rule(300, 1_000) == Status.DRIFTING
    assert null_rule(300, 1_000, before=3_000) == Status.STABLE
    assert null_rule(0, 1_000) == Status.STABLE


@given(st.integers(1, LEAST - 1), st.data())
def test_few_events_never_alarm(events: int, data: st.DataObject) -> None:
    part = data.draw(st.integers(0, events))
    assert null_rule(part, events) == Status.INSUFFICIENT
    assert failing(share(events - part, events, Z99)).status == Status.INSUFFICIENT
    line = Line(high=0.0, severe_high=0.0, least=1)
    assert held(line, "error_rate", "m", share(part, events, Z99)).status == Status.INSUFFICIENT
    assert volume(part, float(events), 0.5).status == Status.INSUFFICIENT
    assert not half_unusable(np.array([part]), np.array([events]))


def test_rows_that_are_well_break_no_limit_a_hundred_times_over() -> None:
    random = np.random.default_rng(3)
    missing, before = random.binomial(200, 0.02, 2_000), np.full(2_000, 200)
    of = Shares(
        "missing",
        ["s"] * 2_000,
        ["s"] * 2_000,
        missing,
        np.full(2_000, 200),
        np.full(2_000, 0.02),
        before,
        np.full(2_000, 10_000),
        rises=True,
    )
    broken = sum(j.status == Status.DRIFTING for j in shares(of))
    assert broken <= 2  # the limit is two points above what is true


@given(st.integers(30, 5_000), st.data())
def test_a_share_never_is_outside_its_interval_and_never_nan(n: int, data: st.DataObject) -> None:
    part = data.draw(st.integers(0, n))
    (found,) = shares(
        Shares("invalid", ["s"], ["s"], np.array([part]), np.array([n]), np.array([0.01]))
    )
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low <= part / n + 1e-12
    assert part / n - 1e-12 <= found.high <= 1
    if found.status == Status.DRIFTING:
        assert not found.calm


@pytest.mark.parametrize(
    ("low", "high", "status"),
    [
        (0.8, 0.9, Status.STABLE),
        (0.65, 0.75, Status.STABLE),  # the line is inside
        (0.6, 0.69, Status.DRIFTING),
        (0.4, 0.49, Status.SEVERE),
    ],
)
def test_a_metric_is_a_problem_where_its_whole_interval_is_beyond_the_line(
    low: float, high: float, status: Status
) -> None:
    line = Line(low=0.7, severe_low=0.5)
    found = held(line, "availability", "m", Measure((low + high) / 2, low, high, 500))
    assert found.status == status


def test_a_metric_is_calm_a_tenth_of_the_way_back_to_what_is_usual() -> None:
    line = Line(low=0.7)
    near, inside = (
        held(line, "availability", "m", Measure(v, v - 0.1, v + 0.1, 500), reference=0.9)
        for v in (0.71, 0.73)
    )
    assert (near.status, near.calm, inside.calm) == (Status.STABLE, False, True)


def test_half_of_the_predictions_failing_is_severe_without_any_line() -> None:
    assert failing(share(100, 400, Z99)).status == Status.SEVERE
    assert failing(share(300, 400, Z99)).status == Status.STABLE
    assert failing(None).status == Status.INSUFFICIENT


# ---- volume and silence


def days(n: int, at_night: int = 100, by_day: int = 1_000) -> Volume:
    """A model that gets less from midnight to six."""
    kept = Volume()
    for start in range(0, n * DAY_MS, FIVE_MS):
        by_hour = at_night if start % DAY_MS < 6 * HOUR_MS else by_day
        kept = kept.seen([start], 60_000).after(start, by_hour, FIVE_MS)
    return kept


def test_what_is_usual_is_that_of_the_same_hour() -> None:
    kept = days(4)
    assert kept.usual(4 * DAY_MS + HOUR_MS, FIVE_MS) == 100
    assert kept.usual(4 * DAY_MS + 12 * HOUR_MS, FIVE_MS) == 1_000


def test_a_quiet_weekend_is_usual_once_there_was_one() -> None:
    kept = days(5)
    for day in (5, 6):
        for start in range(day * DAY_MS, (day + 1) * DAY_MS, FIVE_MS):
            kept = kept.after(start, 50, FIVE_MS)
    for start in range(7 * DAY_MS, 12 * DAY_MS, FIVE_MS):
        kept = kept.after(start, 1_000, FIVE_MS)
    assert kept.usual(12 * DAY_MS + 12 * HOUR_MS, FIVE_MS) == 50
    assert len(kept.hours) <= 8 * 24 + 1


def test_nothing_is_usual_before_a_dozen_windows() -> None:
    kept = Volume()
    for k in range(11):
        kept = kept.after(k * FIVE_MS, 100, FIVE_MS)
    assert kept.usual(11 * FIVE_MS, FIVE_MS) is None
    assert kept.most_silent_ms is None
    assert volume(0, None, 0.5).status == Status.INSUFFICIENT


def test_a_fall_to_a_third_breaks_the_rule_of_volume_and_chance_does_not() -> None:
    assert volume(330, 1_000.0, 0.5).status == Status.DRIFTING
    random = np.random.default_rng(0)
    broken = [volume(int(n), 100.0, 0.5).status for n in random.poisson(100, 5_000)]
    assert broken.count(Status.DRIFTING) == 0


def test_silence_is_broken_after_three_times_the_longest_usual_one() -> None:
    kept = days(1)
    assert kept.most_silent_ms == LEAST_MS
    last = DAY_MS - FIVE_MS + 60_000
    assert kept.silent_ms(last + LEAST_MS) == LEAST_MS
    assert silence(LEAST_MS, LEAST_MS, 0).status == Status.STABLE
    assert silence(LEAST_MS + 1, LEAST_MS, 0).status == Status.DRIFTING


def test_an_outage_does_not_become_usual() -> None:
    kept = days(1).seen([DAY_MS + 4 * HOUR_MS], 60_000)
    assert kept.most_silent_ms == LEAST_MS


def test_of_a_model_that_predicts_once_an_hour_silence_is_known_after_some_hours() -> None:
    kept, said = Volume(), []
    for start in range(0, 6 * HOUR_MS, FIVE_MS):
        n = int(start % HOUR_MS == 0)
        kept = kept.seen([start] * n, 60_000)
        said.append(kept.most_silent_ms)
        kept = kept.after(start, n, FIVE_MS)
    assert said[30] is None  # and nothing is said until it is known
    assert said[-1] == 3 * (HOUR_MS - 60_000)


def test_latency_cells_of_a_vector_are_those_of_its_block() -> None:
    found = np.zeros(TOTAL, np.int64)
    values: Floats = np.random.default_rng(0).lognormal(3, 1, 200)
    found[LATENCY] += latencies(values)[0]
    assert measures(found, 60_000)["latency_p95"].n == 200


@given(st.integers(0, 40), st.integers(1, 30), st.randoms(use_true_random=False))
@settings(max_examples=50)
def test_an_id_hashes_alike_among_ids_of_its_own_length_and_among_others(
    length: int, n: int, random: Random
) -> None:
    ids = [bytes(random.randrange(1, 256) for _ in range(length)) + b"\0" for _ in range(n)]
    alike = repeats.checksums(b"".join(ids))
    beside = repeats.checksums(b"".join([*ids, bytes([1]) * (length + 1) + b"\0"]))
    assert (alike == beside[:n]).all()


def test_salts_may_differ_from_id_to_id() -> None:
    ids, panes = np.array([7, 7, 9], np.uint32), np.array([0, 60_000, 60_000])
    one_by_one = [int(repeats.salted(ids[[k]], int(panes[k]))[0]) for k in range(3)]
    assert repeats.salted(ids, panes).tolist() == one_by_one
