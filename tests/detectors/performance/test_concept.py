"""Concept drift: golden values, the budget, delays, opening, easing and resolving, restarts, degenerate outcomes."""

import json
from dataclasses import replace
from math import log
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.performance.concept import ConceptPlan, ConceptPolicy, cause, decide
from detectors.performance.memory import MOST_WINDOWS, Memory, from_data, to_data
from detectors.performance.reference import build_outcomes
from detectors.samples.effects import Floats, Ints
from detectors.sequences.losses import LossCells
from detectors.series import Series
from detectors.types import Reason, Status, Verdict, Window
from tests.detectors.golden import lcg
from tests.detectors.performance.made import BINARY, DAY, binary, number_layout, window

REFERENCE = binary(8_000, 2_000)
POLICY = ConceptPolicy(round(log(1000), 6))
BOTH = replace(POLICY, watched=("loss", "label"))


def plan(policy: ConceptPolicy = POLICY, rows: float = 500.0) -> ConceptPlan:
    calibrated = {"loss": {"error": 1.0}, "label": {"category:1": 1.0}}
    return ConceptPlan.compile(BINARY, REFERENCE, policy, rows=rows, dispersion=calibrated)


def judged(
    of: ConceptPlan, windows: list[Ints], memory: Memory | None = None, first: int = 0
) -> tuple[Memory | None, list[Verdict]]:
    found = []
    for day, counts in enumerate(windows, first):
        memory, verdict = decide(of, memory, window(day, int(counts.max(initial=0))), counts)
        found.append(verdict)
    return memory, found


def drawn(seed: int, rate: float, windows: int, rows: int = 500, yes: float = 0.5) -> list[Ints]:
    rng = np.random.default_rng([5, seed])
    wrong = rng.binomial(rows, rate, windows).tolist()
    shares = (rng.binomial(rows, yes, windows) / rows).tolist()
    return [binary(rows - k, k, y) for k, y in zip(wrong, shares, strict=True)]


def test_windows_of_one_label_give_the_published_digits_and_the_published_alarm() -> None:
    policy = ConceptPolicy(round(log(1e5), 6), min_labels=1)
    of, memory, right, wrong = plan(policy, rows=1.0), None, binary(1, 0), binary(0, 1)
    error = lcg(20_000) < np.where(np.arange(20_000) < 10_000, 0.2, 0.3)
    published = {
        0: -0.243001,
        99: 5.239239,
        9_999: 6.473330,
        10_199: 8.051577,
        10_399: 8.528051,
        10_599: 9.741832,
    }
    for at in range(10_700):
        second = Window(at * 1000, at * 1000 + 1000, 1)
        memory, verdict = decide(of, memory, second, wrong if error[at] else right, listed=False)
        assert verdict.alarm is not None
        assert at not in published or verdict.alarm.log_statistic == published[at]
        assert bool(verdict.culprits) == (at == 10_699)
        assert memory is not None
        assert len(memory.history) <= MOST_WINDOWS
    assert verdict.status == Status.DRIFTING
    assert verdict.onset is not None
    assert 9_000_000 < verdict.onset.estimate_ms < 10_300_000


@pytest.mark.parametrize("policy", [POLICY, BOTH], ids=["errors", "errors and labels"])
def test_while_nothing_changes_the_budget_is_kept(policy: ConceptPolicy) -> None:
    """Bound: 200 windows at A = 1,000 alarm in at most a fifth of the runs; far fewer do, as the rate is tolerated."""
    alarms = 0
    of = plan(policy)
    for seed in range(10):
        memory, found = None, False
        for day, counts in enumerate(drawn(seed, 0.2, 200)):
            memory, verdict = decide(of, memory, window(day), counts, listed=False)
            found = found or bool(verdict.culprits)
        alarms += found
    assert alarms <= 2


@pytest.mark.parametrize(("rate", "most"), [(0.25, 8), (0.3, 3), (0.5, 1)])
def test_a_higher_error_rate_is_found_in_time_and_is_a_change_of_the_relation(
    rate: float, most: int
) -> None:
    _, before = judged(plan(), drawn(1, 0.2, 20))
    assert {v.status for v in before} == {Status.STABLE}
    memory, after = judged(plan(), drawn(2, 0.2, 20) + drawn(3, rate, 30))
    opened = next(k for k, v in enumerate(after) if v.status in (Status.DRIFTING, Status.SEVERE))
    assert 20 <= opened < 20 + most
    verdict = after[-1]
    assert cause(verdict) == "relation_change"
    assert [c.series for c in verdict.culprits] == ["loss"]
    assert verdict.onset is not None
    assert abs(verdict.onset.estimate_ms - 20 * DAY) <= 2 * DAY
    effect = verdict.culprits[0].effect
    assert effect is not None
    assert effect.low <= rate - 0.2 <= effect.high
    assert verdict.status == (Status.SEVERE if rate == 0.5 else Status.DRIFTING)
    assert memory is not None


def test_fewer_errors_are_no_alarm() -> None:
    _, found = judged(plan(), drawn(4, 0.05, 100))
    assert {v.status for v in found} == {Status.STABLE}
    assert not any(v.culprits for v in found)


def test_labels_that_shift_while_the_errors_stay_are_a_label_shift() -> None:
    _, found = judged(plan(BOTH), drawn(5, 0.2, 10) + drawn(6, 0.2, 20, yes=0.6))
    verdict = found[-1]
    assert verdict.status in (Status.DRIFTING, Status.SEVERE)
    assert cause(verdict) == "label_shift"
    assert [c.series for c in verdict.culprits] == ["label"]
    assert [s.series for s in verdict.series] == ["label", "loss"]
    assert not any(
        v.culprits for v in judged(plan(), drawn(5, 0.2, 10) + drawn(6, 0.2, 20, yes=0.6))[1]
    )


def test_watching_labels_too_costs_errors_a_delay_worth_log_two() -> None:
    """The mean of two M: never above the larger of both, never below half of it."""
    windows = drawn(7, 0.25, 6)
    alone, both = (judged(plan(p), windows)[1] for p in (POLICY, BOTH))
    for one, two in zip(alone, both, strict=True):
        assert one.alarm is not None
        assert two.alarm is not None
        assert one.alarm.log_statistic is not None
        assert two.alarm.log_statistic is not None
        assert two.alarm.log_statistic >= one.alarm.log_statistic - log(2) - 1e-6


def rare(policy: ConceptPolicy = POLICY) -> ConceptPlan:
    """Of a hundred predictions two are wrong: the alarm sees a third more of them, which is a fraction of a point."""
    known = {"loss": {"error": 1.0}}
    return ConceptPlan.compile(BINARY, binary(98_000, 2_000), policy, rows=2_000, dispersion=known)


def test_a_change_that_is_too_small_is_shown_and_opens_nothing() -> None:
    _, found = judged(rare(), drawn(8, 0.03, 40, rows=2_000))
    assert found[-1].culprits
    assert found[-1].status == Status.STABLE
    assert found[-1].reason == Reason.BELOW_EFFECT_FLOOR


def test_a_tolerance_raises_the_gate_and_the_rate_betted_against() -> None:
    policy = replace(POLICY, tolerance=0.15)
    _, found = judged(plan(policy), drawn(9, 0.3, 60))
    assert not any(v.culprits for v in found)
    _, found = judged(plan(policy), drawn(9, 0.45, 60))
    assert found[-1].status == Status.DRIFTING
    effect = found[-1].culprits[0].effect
    assert effect is not None
    assert effect.floor == 0.15


def test_significance_that_nobody_was_told_of_lapses() -> None:
    memory, found = judged(rare(), drawn(10, 0.03, 6, 2_000) + drawn(11, 0.015, 20, 2_000))
    assert any(v.culprits for v in found)
    assert not found[-1].culprits
    assert found[-1].reason == Reason.QUIET
    assert memory is not None
    assert memory.problem is None


def test_an_episode_eases_resolves_and_starts_over() -> None:
    of = plan()
    windows = drawn(12, 0.2, 5) + drawn(13, 0.5, 6) + drawn(14, 0.2, 40)
    memory, found = judged(of, windows)
    status = [v.status for v in found]
    first = status.index(Status.SEVERE)
    assert first == 5
    assert [v.severe_windows for v in found[5:9]] == [1, 2, 3, 4]
    resolved = status.index(Status.STABLE, first)
    assert 11 + POLICY.hold - 1 <= resolved <= 11 + 30
    assert set(status[resolved:]) == {Status.STABLE}
    assert not any(v.culprits for v in found[resolved:])
    assert Status.DRIFTING in status[first:resolved]  # it eased before it was over
    assert memory is not None
    assert memory.looks == len(windows) - resolved - 1


def test_an_episode_does_not_resolve_while_the_errors_stay() -> None:
    _, found = judged(plan(), drawn(15, 0.3, 60))
    opened = next(k for k, v in enumerate(found) if v.status != Status.STABLE)
    assert Status.STABLE not in [v.status for v in found[opened:]]


def test_the_alarm_sees_errors_in_every_window_and_calls_it_quiet_after_enough_labels() -> None:
    of = plan()
    memory, found = judged(of, [binary(8, 2)] * 3)
    assert [v.status for v in found] == [Status.INSUFFICIENT, Status.INSUFFICIENT, Status.STABLE]
    assert found[0].reason == Reason.TOO_FEW_EVENTS
    assert [v.alarm.looks for v in found if v.alarm is not None] == [1, 2, 3]
    assert found[2].series[0].n_current == 30
    _, (whole,) = judged(of, [binary(24, 6)])
    assert found[2].series[0].evidence == whole.series[0].evidence
    assert memory is not None
    assert memory.carried is None
    every, _ = judged(plan(replace(POLICY, min_labels=1)), [binary(8, 2)] * 3)
    assert every is not None
    assert np.array_equal(every.folds[0].log, memory.folds[0].log)


def test_an_alarm_in_windows_of_few_labels_is_told_at_once_and_is_over_after_enough() -> None:
    memory, found = judged(plan(rows=5.0), [binary(0, 5)] * 8)
    opened = next(k for k, v in enumerate(found) if v.status in (Status.DRIFTING, Status.SEVERE))
    assert opened == 5  # thirty labels are worth an effect
    assert {v.reason for v in found[:opened]} == {Reason.TOO_FEW_EVENTS}
    alarm = found[opened - 1].alarm
    assert alarm is not None
    assert (alarm.log_statistic or 0) > alarm.log_threshold
    _, after = judged(plan(rows=5.0), [binary(5, 0)] * 400, memory, first=8)
    over = next(k for k, v in enumerate(after) if v.status == Status.STABLE)
    assert after[over - 1].status in (Status.DRIFTING, Status.SEVERE)
    assert (over + 1 + len(found)) * 5 >= 3 * 30


def test_small_windows_of_labels_are_carried_until_they_hold_enough() -> None:
    of = plan(BOTH)
    memory, found = judged(of, [binary(8, 2)] * 3)
    assert [v.status for v in found] == [Status.INSUFFICIENT, Status.INSUFFICIENT, Status.STABLE]
    assert found[0].reason == Reason.TOO_FEW_EVENTS
    assert found[2].series[0].n_current == 30
    assert memory is not None
    assert memory.carried is None
    assert memory.looks == 1
    together, _ = judged(of, [binary(24, 6)])
    assert together is not None
    assert np.array_equal(together.folds[0].log, memory.folds[0].log)


def test_without_reference_or_with_too_small_a_one_nothing_is_concluded() -> None:
    memory, verdict = decide(None, None, window(0), binary(80, 20))
    assert (memory, verdict.status, verdict.reason) == (
        None,
        Status.INSUFFICIENT,
        Reason.NO_REFERENCE,
    )
    small = ConceptPlan.compile(BINARY, binary(100, 20), POLICY, rows=100)
    memory, verdict = decide(small, None, window(0), binary(80, 20))
    assert (verdict.status, verdict.reason) == (Status.INSUFFICIENT, Reason.REFERENCE_TOO_SMALL)


def test_no_outcome_changes_nothing() -> None:
    memory, _ = judged(plan(), drawn(16, 0.2, 3))
    after, verdict = decide(plan(), memory, window(3), binary(0, 0))
    assert after is memory
    assert (verdict.status, verdict.reason) == (Status.INSUFFICIENT, Reason.NO_EVENTS)


def test_outcomes_that_were_taken_back_from_an_earlier_window_are_no_evidence() -> None:
    counts = binary(80, 20)
    BINARY.read(counts, "right")[:] = 110  # ten errors more taken back than there were
    memory, verdict = decide(plan(BOTH), None, window(0), counts)
    assert verdict.status == Status.STABLE
    negative = np.full(BINARY.total, -3, np.int64)
    _, verdict = decide(plan(BOTH), memory, window(1), negative)
    assert verdict.status == Status.INSUFFICIENT


@pytest.mark.parametrize("wrong", [0, 10_000], ids=["never wrong", "always wrong"])
@pytest.mark.parametrize("k", [0, 250, 500])
def test_a_reference_of_one_kind_gives_finite_answers(wrong: int, k: int) -> None:
    of = ConceptPlan.compile(BINARY, binary(10_000 - wrong, wrong), BOTH, rows=500)
    _, found = judged(of, [binary(500 - k, k)] * 5)
    assert_finite(found[-1])
    if wrong == 0 and k:
        assert found[-1].status == Status.SEVERE
    assert "dependence of outcomes not calibrated" in found[-1].notes


def assert_finite(verdict: Verdict) -> None:
    for s in verdict.series:
        numbers = [s.missing_reference, s.missing_current, *(e.statistic for e in s.evidence)]
        numbers += [p for e in s.evidence for p in (e.p_value, e.e_value) if p is not None]
        if s.effect is not None:
            numbers += [s.effect.value, s.effect.low, s.effect.high, s.effect.floor]
        assert np.isfinite(numbers).all()


LOSSES = np.random.default_rng(11).gamma(2.0, 1.0, 10_000)
CELLS = LossCells.cut("loss", LOSSES)
TRUTH = Series("label", "number", edges=(-1.0, -0.5, 0.0, 0.5, 1.0))
NUMBER = number_layout(CELLS.series, TRUTH)


def numbers(losses: Floats, truth: Floats) -> Ints:
    counts = np.zeros(NUMBER.total, np.int64)
    counts[NUMBER.block("loss")] = CELLS.count(losses)
    cells = np.searchsorted(TRUTH.edges, truth)
    counts[NUMBER.block("label")] = np.bincount(cells, minlength=TRUTH.cells)
    counts[NUMBER.block("rows")] = len(losses)
    return counts


def number_plan(policy: ConceptPolicy = BOTH) -> ConceptPlan:
    reference = numbers(LOSSES, np.random.default_rng(12).normal(size=10_000))
    known = {"loss": {"loss": 1.0}, "label": {"location": 1.0}}
    return ConceptPlan.compile(
        NUMBER, reference, policy, rows=500, dispersion=known, worth=CELLS.worth
    )


def some(seed: int, windows: int, times: float = 1.0, shift: float = 0.0) -> list[Ints]:
    rng = np.random.default_rng([13, seed])
    return [
        numbers(times * rng.gamma(2.0, 1.0, 500), rng.normal(size=500) + shift)
        for _ in range(windows)
    ]


def test_a_larger_loss_of_a_regression_is_found_and_measured() -> None:
    _, found = judged(number_plan(), some(1, 20) + some(2, 25, times=1.25))
    assert {v.status for v in found[:20]} == {Status.STABLE}
    verdict = found[-1]
    assert verdict.status == Status.SEVERE
    assert cause(verdict) == "relation_change"
    effect = verdict.culprits[0].effect
    assert effect is not None
    assert effect.name == "loss_change"
    assert 0.18 < effect.value < 0.27  # bounded: what lies above the cap counts as the cap
    assert verdict.onset is not None
    assert abs(verdict.onset.estimate_ms - 20 * DAY) <= 2 * DAY


def test_a_smaller_loss_is_no_alarm_and_a_shift_of_the_truth_is_a_label_shift() -> None:
    _, found = judged(number_plan(), some(3, 40, times=0.5))
    assert not any(v.culprits for v in found)
    _, found = judged(number_plan(), some(4, 30, shift=0.3))
    assert cause(found[-1]) == "label_shift"
    assert found[-1].status in (Status.DRIFTING, Status.SEVERE)


def test_losses_that_vanish_are_a_broken_pipeline() -> None:
    windows = []
    for counts in some(5, 10):
        cells = counts[NUMBER.block("loss")]
        cells[0] -= 30
        cells[-1] += 30
        windows.append(np.maximum(counts, 0))
    _, found = judged(number_plan(), windows)
    assert cause(found[-1]) == "pipeline_break"


def same(a: Memory | None, b: Memory | None) -> bool:
    assert a is not None
    assert b is not None
    return json.dumps(to_data(a)) == json.dumps(to_data(b))


@settings(max_examples=8)
@given(
    cut=st.integers(0, 40),
    kind=st.sampled_from(["errors", "numbers"]),
    rows=st.sampled_from([12, 500]),
)
def test_a_restart_anywhere_continues_to_the_last_bit(cut: int, kind: str, rows: int) -> None:
    if kind == "errors":
        of = plan(BOTH)
        windows = drawn(20, 0.2, 10, rows) + drawn(21, 0.4, 10, rows) + drawn(22, 0.2, 20, rows)
    else:
        of, windows = number_plan(), some(6, 10) + some(7, 10, times=2.0) + some(8, 20)
    whole, verdicts = judged(of, windows)
    before, early = judged(of, windows[:cut])
    data: Any = None if before is None else json.loads(json.dumps(to_data(before)))
    kept = None if data is None else from_data(of.watches, data)
    after, late = judged(of, windows[cut:], kept, first=cut)
    assert early + late == verdicts
    assert same(whole, after)


def test_a_memory_of_other_watches_is_refused() -> None:
    memory, _ = judged(plan(), drawn(23, 0.2, 2))
    assert memory is not None
    with pytest.raises(ValueError, match="another reference or lifecycle"):
        from_data(plan(BOTH).watches, to_data(memory))
    assert memory.fits(plan().watches)
    assert not memory.fits(plan(BOTH).watches)
    with pytest.raises(ValueError, match="format 7"):
        from_data(plan().watches, {**to_data(memory), "format": 7})
    with pytest.raises(ValueError, match="expected"):
        decide(plan(), None, window(0), np.zeros(3, np.int64))


def test_a_memory_stays_small_for_ever() -> None:
    of = plan(replace(POLICY, min_labels=1), rows=1.0)
    memory, wrong = None, binary(0, 1)
    for at in range(800):
        memory, verdict = decide(
            of, memory, window(0 if at == 0 else at // 100), wrong, listed=False
        )
    assert memory is not None
    assert len(memory.history) <= MOST_WINDOWS
    assert sum(int(p.counts.sum()) for p in memory.history) == 800
    assert verdict.status == Status.SEVERE


def test_a_plan_is_made_from_a_reference_as_it_was_built() -> None:
    rng = np.random.default_rng(31)
    rows = 20_000
    truth = np.where(rng.random(rows) < 0.3, "yes", "no").tolist()
    said = [t if r > 0.2 else "no" for t, r in zip(truth, rng.random(rows), strict=True)]
    built, _ = build_outcomes(
        "binary",
        positive="yes",
        labels=truth,
        predictions=said,
        times_ms=np.arange(rows) * (DAY // 500),
        window_ms=DAY,
    )
    assert built is not None
    of = ConceptPlan.of(built, BOTH)
    loss, label = of.watches
    assert loss.reference.tolist() == [rows - built.errors[0], built.errors[0]]
    assert int(label.reference.sum()) == rows
    assert of.notes == ()
    assert dict(dict(built.dispersion)["error"])["error"] == loss.phi  # type: ignore[attr-defined]
    losses = rng.gamma(2.0, 1.0, rows)
    number, _ = build_outcomes(
        "number",
        labels=rng.normal(size=rows),
        predictions=losses,
        window_ms=DAY,
    )
    assert number is not None
    of = ConceptPlan.of(number, BOTH)
    assert [w.name for w in of.watches] == ["loss", "label"]
    assert of.notes == ("dependence of outcomes not calibrated",)
    _, verdict = decide(of, None, window(0), number.counts)
    assert_finite(verdict)
    feedback, _ = build_outcomes("feedback", losses=rng.random(rows), window_ms=DAY)
    assert feedback is not None
    assert [w.name for w in ConceptPlan.of(feedback, BOTH).watches] == ["loss"]


def test_where_every_error_rate_is_tolerated_a_note_says_so() -> None:
    _, found = judged(plan(replace(POLICY, tolerance=0.9)), [binary(0, 500)] * 3)
    assert found[-1].notes == (
        "no error rate is above the one that is tolerated: errors are not watched",
    )
    assert found[-1].alarm is not None
    assert found[-1].alarm.log_statistic is None


WATCHED = [*range(NUMBER.total)[NUMBER.block("label")], *range(NUMBER.total)[NUMBER.block("loss")]]
cells = st.lists(
    st.sampled_from([-2, 0, 1, 7, 90, 300]), min_size=len(WATCHED), max_size=len(WATCHED)
)


def spread(of: list[int]) -> Ints:
    counts = np.zeros(NUMBER.total, np.int64)
    counts[WATCHED] = of
    return counts


@settings(max_examples=40)
@given(reference=cells, windows=st.lists(cells, min_size=1, max_size=4))
def test_any_counts_give_finite_answers_and_a_memory_that_can_be_written(
    reference: list[int], windows: list[list[int]]
) -> None:
    known = np.maximum(spread(reference), 0)
    of = ConceptPlan.compile(NUMBER, known, BOTH, rows=100, worth=CELLS.worth)
    memory, found = judged(of, [spread(w) for w in windows])
    for verdict in found:
        assert_finite(verdict)
    if memory is not None:
        data = json.loads(json.dumps(to_data(memory), allow_nan=False))
        assert same(memory, from_data(of.watches, data))


@pytest.mark.parametrize("kept", ["missing", "odd", "one cell"])
def test_a_reference_without_usable_losses_or_of_one_value_is_survived(kept: str) -> None:
    reference = numbers(LOSSES, np.zeros(10_000))
    block = NUMBER.block("loss")
    place = {"missing": block.stop - 1, "odd": block.stop - 2, "one cell": block.start}[kept]
    reference[block] = 0
    reference[place] = 10_000
    of = ConceptPlan.compile(NUMBER, reference, BOTH, rows=500, worth=CELLS.worth)
    _, found = judged(of, some(40, 5))
    assert_finite(found[-1])
    names = [w.name for w in of.watches]
    assert names == (["loss", "label"] if kept == "one cell" else ["label"])


def test_a_series_of_few_labels_is_insufficient_though_the_alarm_may_look_at_each() -> None:
    of = plan(replace(POLICY, min_labels=1), rows=1.0)
    _, verdict = decide(of, None, window(0), binary(1, 0))
    assert verdict.status == Status.STABLE
    assert cause(verdict) == "unknown"
    (series,) = verdict.series
    assert (series.status, series.reason) == (Status.INSUFFICIENT, Reason.TOO_FEW_EVENTS)
    assert series.effect is None
    assert series.evidence == ()


def test_severe_may_be_written() -> None:
    policy = replace(POLICY, tolerance=0.05, severe=0.4)
    _, found = judged(plan(policy), drawn(17, 0.4, 20))
    assert found[-1].status == Status.DRIFTING
    _, found = judged(plan(policy), drawn(18, 0.8, 20))
    assert found[-1].status == Status.SEVERE
