"""The life of a problem: quiet, significant, opened, severe, calm, resolved; and everything that must not move it."""

import json
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.judging.decision import Gates, Memory, Plan, decide, from_data, to_data
from detectors.reference.frozen import BuiltFrom, Reference, ReferenceSeries, SegmentReference
from detectors.samples.effects import Ints
from detectors.types import Reason, Status, Verdict
from tests.detectors import cases
from tests.detectors.cases import HOUR_MS, counts, judge, normal, number, plan, reference, window

X, Y = number("x"), number("y")
FLAT = counts(X, normal(), 10_000)
LEVELS = cases.category("c", 10)


def two(shift: float = 0.0, rows: int = 1000, missing: int = 0) -> Ints:
    """A window of x, which may have drifted, and y, which has not."""
    return np.concatenate(
        [counts(X, normal(shift), rows - missing, missing), counts(Y, normal(), rows)]
    )


PLAN = plan(reference([X, Y], [FLAT, FLAT]))


def brief(verdicts: list[Verdict]) -> list[tuple[str, str]]:
    return [(v.status.value, v.reason.value) for v in verdicts]


def test_a_drift_opens_grows_severe_calms_and_resolves() -> None:
    memory, quiet = judge(PLAN, None, [two()] * 5)
    memory, drift = judge(PLAN, memory, [two(0.5)] * 4, first=5)
    memory, calm = judge(PLAN, memory, [two()] * 12, first=9)
    assert set(brief(quiet)) == {("stable", "quiet")}
    assert set(brief(drift)) == {("severe", "alarm_severe")}
    assert [v.severe_windows for v in drift] == [1, 2, 3, 4]
    (culprit,) = drift[0].culprits
    assert (culprit.series, culprit.score) == ("feature:x", "location")
    assert culprit.share > 0.99
    assert culprit.effect is not None
    assert culprit.effect.low < 0.135698 < culprit.effect.high
    assert drift[0].onset is not None
    assert drift[0].onset.estimate_ms == 5 * HOUR_MS
    assert drift[0].onset.earliest_ms <= 5 * HOUR_MS < drift[0].onset.latest_ms <= 6 * HOUR_MS
    resolved = brief(calm).index(("stable", "quiet"))
    assert 4 <= resolved <= 8
    assert {v.status for v in calm[resolved:]} == {Status.STABLE}
    assert calm[resolved].culprits == ()
    assert memory is not None
    assert memory.problem is None


def test_resolving_forgets_the_evidence_and_takes_the_drift_out_of_the_pool() -> None:
    memory, verdicts = judge(PLAN, None, [*[two()] * 5, *[two(0.5)] * 4, *[two()] * 7])
    end = next(i for i, v in enumerate(verdicts) if i > 5 and v.status == Status.STABLE)
    memory, _ = judge(PLAN, None, [*[two()] * 5, *[two(0.5)] * 4, *[two()] * 7][: end + 1])
    assert memory is not None
    assert memory.state.looks == 0
    assert np.array_equal(memory.state.pool, PLAN.counts + 5 * two())
    _, after = judge(PLAN, memory, [two()], first=end + 1)
    assert after[0].alarm is not None
    assert after[0].alarm.looks == 1


def test_a_severe_drift_that_weakens_eases_before_it_resolves() -> None:
    cells = [*[two()] * 3, *[two(0.5)] * 4, *[two(0.12)] * 12]
    _, verdicts = judge(PLAN, None, cells)
    statuses = [v.status.value for v in verdicts]
    assert statuses[3] == "severe"
    assert statuses[-1] == "drifting"
    assert "stable" not in statuses[3:]
    eased = statuses.index("drifting")
    assert set(statuses[eased:]) == {"drifting"}
    assert verdicts[eased].severe_windows == 0


def test_a_change_below_the_floor_is_stable_whatever_its_significance() -> None:
    of = plan(reference([X], [counts(X, normal(), 10_000_000)], rows=1_000_000))
    _, verdicts = judge(of, None, [counts(X, normal(0.03), 1_000_000)] * 6)
    assert set(brief(verdicts[2:])) == {("stable", "below_effect_floor")}
    assert verdicts[-1].culprits[0].series == "feature:x"
    assert verdicts[-1].series[0].reason == Reason.BELOW_EFFECT_FLOOR
    assert verdicts[-1].onset is not None


def test_ten_million_rows_do_not_make_a_hundredth_of_a_deviation_an_alarm() -> None:
    of = plan(reference([X], [counts(X, normal(), 10_000_000)], rows=10_000_000))
    _, verdicts = judge(of, None, [counts(X, normal(0.01), 10_000_000)] * 20)
    assert {v.status for v in verdicts} == {Status.STABLE}


def test_significance_that_fades_unpublished_lapses() -> None:
    of = plan(reference([X], [counts(X, normal(), 1_000_000)], rows=20_000))
    drift, calm = (counts(X, normal(mean), 20_000) for mean in (0.05, 0.0))
    memory, verdicts = judge(of, None, [drift] * 5)
    assert verdicts[-1].reason == Reason.BELOW_EFFECT_FLOOR
    memory, verdicts = judge(of, memory, [calm] * 25, first=5)
    assert verdicts[-1].reason == Reason.QUIET
    assert memory is not None
    assert memory.problem is None
    assert memory.state.looks == 30


def test_fifty_rows_are_insufficient_and_carried() -> None:
    memory, verdicts = judge(PLAN, None, [two(rows=50)] * 5)
    few = ("insufficient", "too_few_events")
    assert brief(verdicts) == [few, few, few, ("stable", "quiet"), few]
    assert memory is not None
    assert [p.window.start_ms for p in memory.history] == [0]
    assert memory.history[0].window.end_ms == 4 * HOUR_MS
    assert memory.history[0].window.panes == 240
    (carried,) = memory.carried
    assert np.array_equal(carried.counts, two(rows=50))


def test_carried_windows_start_the_onset_where_the_first_of_them_starts() -> None:
    memory, _ = judge(PLAN, None, [two()] * 4)
    _, verdicts = judge(PLAN, memory, [two(1.0, rows=100)] * 4, first=4)
    assert verdicts[1].status == Status.SEVERE
    assert verdicts[1].onset is not None
    assert verdicts[1].onset.estimate_ms == 4 * HOUR_MS


@pytest.mark.parametrize("empty", [two() * 0, two(rows=20)])
def test_insufficient_neither_opens_nor_resolves_an_episode(empty: Ints) -> None:
    memory, verdicts = judge(PLAN, None, [*[two()] * 3, *[two(0.5)] * 2])
    assert memory is not None
    problem = memory.problem
    after, silent = judge(PLAN, memory, [empty] * 5, first=5)
    assert {v.status for v in silent} == {Status.INSUFFICIENT}
    assert after is not None
    assert after.problem is problem
    assert after.state is memory.state
    assert silent[0].alarm == verdicts[-1].alarm


def test_without_a_reference_everything_is_insufficient() -> None:
    memory, verdict = decide(None, None, window(0), two())
    assert memory is None
    assert (verdict.status, verdict.reason) == (Status.INSUFFICIENT, Reason.NO_REFERENCE)


def test_a_reference_that_is_too_small_is_insufficient_and_says_which() -> None:
    of = plan(reference([X], [counts(X, normal(), 199)]))
    memory, (verdict,) = judge(of, None, [counts(X, normal(), 1000)])
    assert (verdict.status, verdict.reason) == (Status.INSUFFICIENT, Reason.REFERENCE_TOO_SMALL)
    assert [(s.series, s.reason) for s in verdict.series] == [
        ("feature:x", Reason.REFERENCE_TOO_SMALL)
    ]
    assert verdict.alarm is None
    assert memory is not None
    data = to_data(of, memory)
    restored, _ = from_data(of, json.loads(json.dumps(data)), ())
    assert to_data(of, restored) == data


def test_one_series_that_is_too_small_leaves_the_others_watched() -> None:
    of = plan(reference([X, Y], [counts(X, normal(), 150), FLAT]))
    _, verdicts = judge(of, None, [two(2.0)] * 3)
    assert {v.status for v in verdicts} == {Status.STABLE}
    assert [(s.series, s.status) for s in verdicts[-1].series] == [
        ("feature:y", Status.STABLE),
        ("feature:x", Status.INSUFFICIENT),
    ]


def test_a_series_that_is_not_monitored_is_counted_and_nothing_else() -> None:
    of = Plan.compile(reference([X, Y], [FLAT, FLAT]), "all", PLAN.policy, ["feature:y"])
    assert of.cells == PLAN.cells
    _, verdicts = judge(of, None, [two(2.0)] * 5)
    assert {v.status for v in verdicts} == {Status.STABLE}
    assert {s.series for s in verdicts[-1].series} == {"feature:y"}


def test_missing_values_are_named_and_shown_on_their_own() -> None:
    _, verdicts = judge(PLAN, None, [*[two()] * 3, *[two(missing=200)] * 3])
    last = verdicts[-1]
    assert last.status == Status.SEVERE
    assert [(c.series, c.score) for c in last.culprits] == [("missing:x", "missing")]
    first = last.series[0]
    assert (first.series, first.status) == ("missing:x", Status.SEVERE)
    assert (first.missing_reference, first.missing_current) == (0.0, 0.2)
    assert first.effect is not None
    assert (first.effect.name, first.effect.value) == ("difference", 0.2)
    assert [e.detector for e in first.evidence] == ["two_proportion"]
    assert {s.series for s in verdicts[0].series} == {"feature:x", "feature:y"}


def test_a_series_that_is_all_missing_is_insufficient_itself_and_severe_as_missing() -> None:
    gone = np.concatenate([np.array([*[0] * 11, 1000]), counts(Y, normal(), 1000)])
    _, verdicts = judge(PLAN, None, [*[two()] * 3, *[gone] * 3])
    found = {s.series: s for s in verdicts[-1].series}
    assert found["missing:x"].status == Status.SEVERE
    assert found["feature:x"].status == Status.INSUFFICIENT
    assert found["feature:x"].effect is None
    assert verdicts[-1].culprits[0].effect is not None


def test_odd_values_are_drift_of_their_series() -> None:
    odd = np.concatenate([counts(X, normal(), 900, 0, odd=100), counts(Y, normal(), 1000)])
    _, verdicts = judge(PLAN, None, [*[two()] * 3, *[odd] * 3])
    (culprit,) = verdicts[-1].culprits
    assert (culprit.series, culprit.score) == ("feature:x", "odd")
    assert culprit.effect is not None
    assert (culprit.effect.name, culprit.effect.value) == ("difference", 0.1)


def test_a_change_of_spread_alone_is_found_and_named() -> None:
    wide = np.concatenate([counts(X, normal(sd=1.5), 1000), counts(Y, normal(), 1000)])
    _, verdicts = judge(PLAN, None, [*[two()] * 3, *[wide] * 3])
    (culprit,) = verdicts[-1].culprits
    assert culprit.score == "spread"
    assert culprit.effect is not None
    assert culprit.effect.name == "spread"


def test_categories_and_unseen_values_are_found() -> None:
    of = plan(reference([LEVELS], [counts(LEVELS, [0.1] * 10, 10_000)]))
    same = counts(LEVELS, [0.1] * 10, 1000)
    moved = counts(LEVELS, [0.2, 0.0, *[0.1] * 8], 1000)
    unseen = counts(LEVELS, [0.1] * 10, 850, odd=150)
    for drifted, score, name in ((moved, "category", "tv"), (unseen, "odd", "tv")):
        _, verdicts = judge(of, None, [*[same] * 3, *[drifted] * 3])
        (culprit,) = verdicts[-1].culprits
        assert verdicts[-1].status == Status.SEVERE
        assert culprit.score == score
        assert culprit.effect is not None
        assert culprit.effect.name in (name, "difference")
        assert [e.detector for e in verdicts[-1].series[0].evidence] == ["chi2", "psi", "tv"]


def test_a_nearly_constant_number_is_watched_for_other_values() -> None:
    shares = [0.999, *[0.0] * 8, 0.001]
    of = plan(reference([X], [counts(X, shares, 10_000)]))
    same, other = (counts(X, s, 1000) for s in (shares, [0.9, *[0.0] * 8, 0.1]))
    _, verdicts = judge(of, None, [*[same] * 3, *[other] * 2])
    (culprit,) = verdicts[-1].culprits
    assert culprit.score == "unusual"
    assert verdicts[2].status == Status.STABLE
    assert [e.detector for e in verdicts[-1].series[0].evidence] == ["chi2", "psi"]


def test_a_constant_category_shows_its_odd_share() -> None:
    one = cases.category("one", 1)
    of = plan(reference([one], [np.array([10_000, 0, 0])]))
    _, verdicts = judge(of, None, [np.array([1000, 0, 0]), np.array([700, 300, 0])])
    assert verdicts[0].series[0].evidence[0].p_value == 1.0
    assert verdicts[1].status == Status.SEVERE


def test_several_series_over_the_threshold_are_all_culprits_largest_first() -> None:
    both = np.concatenate([counts(X, normal(0.6), 1000), counts(Y, normal(0.4), 1000)])
    _, verdicts = judge(PLAN, None, [*[two()] * 3, *[both] * 3])
    assert [c.series for c in verdicts[-1].culprits] == ["feature:x", "feature:y"]


def test_series_are_listed_strongest_first_with_their_largest_bins() -> None:
    _, verdicts = judge(PLAN, None, [np.concatenate([two()[:12], two(0.3)[:12]])])
    first, second = verdicts[0].series
    assert (first.series, second.series) == ("feature:y", "feature:x")
    assert len(first.top_bins) == 3
    assert first.top_bins[0].contribution >= first.top_bins[1].contribution > 0
    assert {(b.of, b.reference) for b in first.top_bins} == {(10, 0.1)}
    assert second.top_bins == ()


def test_a_series_that_moved_in_one_window_is_told_apart_from_one_that_drifts() -> None:
    of = plan(reference([X, Y], [FLAT, FLAT]), threshold=1e60)
    _, verdicts = judge(of, None, [two(0.3)])
    assert verdicts[0].status == Status.STABLE
    assert verdicts[0].series[0].reason == Reason.NOT_PERSISTENT


def test_psi_can_be_the_gate() -> None:
    off = (float("inf"), float("inf"))
    gates = Gates(auc_shift=off, spread=off, difference=off, psi=(0.2, 0.4), tv=off)
    of = plan(reference([X, Y], [FLAT, FLAT]), gates=gates)
    _, verdicts = judge(of, None, [*[two()] * 2, *[two(0.3)] * 3])
    assert verdicts[-1].reason == Reason.BELOW_EFFECT_FLOOR
    assert verdicts[-1].culprits[0].effect is not None
    assert verdicts[-1].culprits[0].effect.name == "psi"
    _, verdicts = judge(of, None, [*[two()] * 2, *[two(0.6)] * 3])
    assert verdicts[-1].status == Status.DRIFTING
    assert verdicts[-1].culprits[0].effect is not None
    assert verdicts[-1].culprits[0].effect.floor == 0.2


def test_an_episode_on_a_common_category_resolves_although_its_reference_is_small() -> None:
    flag = cases.flag("half")
    of = plan(reference([flag], [counts(flag, [0.5, 0.5], 1000)], rows=500))
    same, moved = (counts(flag, [1 - p, p], 500) for p in (0.5, 0.8))
    _, verdicts = judge(of, None, [*[same] * 3, *[moved] * 3, *[same] * 30])
    statuses = [v.status.value for v in verdicts]
    assert statuses[5] == "severe"
    assert statuses[-1] == "stable"


def test_no_episode_resolves_while_its_drift_lasts() -> None:
    _, verdicts = judge(PLAN, None, [*[two()] * 3, *[two(0.25)] * 40])
    assert {v.status for v in verdicts[4:]} <= {Status.DRIFTING, Status.SEVERE}


def test_the_history_ends_after_thirty_days() -> None:
    memory, _ = judge(PLAN, None, [two()] * 3)
    assert memory is not None
    later = 31 * 24
    memory, _ = judge(PLAN, memory, [two()], first=later)
    assert memory is not None
    assert [p.window.start_ms for p in memory.history] == [later * HOUR_MS]


def test_segments_have_their_own_counts_and_an_unknown_one_has_none() -> None:
    whole = reference([X], [FLAT])
    half = SegmentReference("country=DE", 5000, (tuple(counts(X, normal(0.5), 5000).tolist()),))
    of = Reference(**{**{f: getattr(whole, f) for f in whole.__slots__}, "segments": (half,)})
    german = Plan.compile(of, "country=DE", PLAN.policy, ["feature:x"])
    assert german.watch is not None
    assert german.watch.panel.rows == 500
    _, verdicts = judge(german, None, [counts(X, normal(0.5), 1000)] * 3)
    assert {v.status for v in verdicts} == {Status.STABLE}
    unknown = Plan.compile(of, "country=FR", PLAN.policy, ["feature:x"])
    _, (verdict,) = judge(unknown, None, [counts(X, normal(), 1000)])
    assert verdict.reason == Reason.REFERENCE_TOO_SMALL


def test_notes_say_which_conditions_do_not_hold() -> None:
    assert PLAN.notes == ()
    of = plan(reference([X], [counts(X, normal(), 5000)], phi=None))
    _, (verdict,) = judge(of, None, [counts(X, normal(), 1000)])
    assert verdict.notes == (
        "row dependence not calibrated",
        "the reference holds fewer than 10 windows of 1000 events",
    )


def test_without_event_times_windows_are_assumed_to_be_a_tenth_of_the_reference() -> None:
    series = (ReferenceSeries(X, tuple(counts(X, normal(), 4000).tolist())),)
    of = Reference("r", "m", "1", BuiltFrom("s", None, None, 4000), None, series)
    compiled = Plan.compile(of, "all", PLAN.policy, ["feature:x"])
    assert compiled.watch is not None
    assert compiled.watch.panel.rows == 400


def test_counts_of_another_plan_are_refused() -> None:
    with pytest.raises(ValueError, match="expected 24 counts"):
        decide(PLAN, None, window(0), np.zeros(12, np.int64))


def test_a_state_of_another_plan_is_refused() -> None:
    memory, _ = judge(PLAN, None, [two()])
    assert memory is not None
    other = plan(reference([X], [FLAT]))
    with pytest.raises(ValueError, match="another reference"):
        from_data(other, to_data(PLAN, memory), ())


def stream(seed: int, length: int) -> Iterator[Ints]:
    """Windows of changing size of two numbers, a category and a flag; one of them drifts for a while."""
    g = np.random.default_rng(seed)
    flag = cases.flag("f")
    for t in range(length):
        rows = int(g.choice([0, 60, 150, 400, 1000]))
        drift = 8 <= t < 16
        yield np.concatenate(
            [
                cases.drawn(g, X, normal(0.6 if drift and seed % 2 else 0.0), rows),
                cases.drawn(g, Y, normal(), rows),
                cases.drawn(g, LEVELS, [0.1] * 10, rows),
                cases.drawn(g, flag, [0.6, 0.4] if drift else [0.9, 0.1], rows),
            ]
        )


MIXED = plan(
    reference(
        [X, Y, LEVELS, cases.flag("f")],
        [
            FLAT,
            FLAT,
            counts(LEVELS, [0.1] * 10, 10_000),
            counts(cases.flag("f"), [0.9, 0.1], 10_000),
        ],
    )
)


@settings(max_examples=15)
@given(st.integers(0, 1000), st.integers(1, 29))
def test_a_memory_that_went_through_json_goes_on_with_the_same_bits(seed: int, stop: int) -> None:
    cells = list(stream(seed, 30))
    straight, verdicts = judge(MIXED, None, cells)
    memory, first = judge(MIXED, None, cells[:stop])
    assert memory is not None
    data = json.loads(json.dumps(to_data(MIXED, memory), allow_nan=False))
    restored, _ = from_data(MIXED, data, memory.history)
    assert to_data(MIXED, restored) == to_data(MIXED, memory)
    after, second = judge(MIXED, restored, cells[stop:], first=stop)
    assert first + second == verdicts
    assert after is not None
    assert straight is not None
    assert to_data(MIXED, after) == to_data(MIXED, straight)


@settings(max_examples=10)
@given(st.integers(0, 1000))
def test_a_verdict_is_finite_and_its_arguments_stay_as_they_were(seed: int) -> None:
    memory: Memory | None = None
    for t, cells in enumerate(stream(seed, 20)):
        before, kept = (memory and to_data(MIXED, memory)), cells.copy()
        after, verdict = decide(MIXED, memory, window(t), cells)
        assert (memory and to_data(MIXED, memory)) == before
        assert np.array_equal(cells, kept)
        memory = after
        for s in verdict.series:
            assert all(1e-300 <= (e.p_value or 0) <= 1 for e in s.evidence)
            assert all(np.isfinite(e.statistic) for e in s.evidence)
            if s.effect is not None:
                size = s.effect
                assert np.isfinite([size.value, size.low, size.high, size.floor]).all()


@settings(max_examples=20)
@given(st.integers(0, 1000), st.permutations(range(6)))
def test_the_order_in_which_parts_of_a_window_are_added_does_not_show(
    seed: int, order: list[int]
) -> None:
    parts = list(stream(seed, 6))
    one = np.add.reduce(parts)
    other = np.add.reduce([parts[i] for i in order])
    first, second = (decide(MIXED, None, window(0), c) for c in (one, other))
    assert first[1] == second[1]
