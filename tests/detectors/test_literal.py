"""What a written rule does, window by window, and how often it is wrong when nothing drifts."""

from collections.abc import Sequence
from dataclasses import replace
from math import log

import numpy as np
import pytest

from detectors.judging.decision import Memory, Plan, Policy, Rule, from_data, to_data, written
from detectors.judging.literal import (
    Broken,
    Seen,
    advance,
    expected,
    least,
    moved,
)
from detectors.judging.literal import (
    from_data as broken_from,
)
from detectors.judging.literal import to_data as broken_data
from detectors.judging.rules import LEAST_ROWS
from detectors.samples.effects import Ints
from detectors.samples.methods import METHODS
from detectors.series import Series
from detectors.types import Reason, SeriesVerdict, Status, Verdict
from tests.detectors import cases
from tests.detectors.cases import counts, judge, normal, reference

X, Y, C = cases.number("x"), cases.number("y"), cases.category("c", 6)
ALL = (X, Y, C)
EVEN, LEVELS = np.full(10, 0.1), np.full(6, 1 / 6)
REFERENCE = reference(
    ALL, [counts(X, EVEN, 10_000), counts(Y, EVEN, 10_000), counts(C, LEVELS, 10_000)]
)
DECILES = replace(X, ends=(-3.090232, 3.090232))


def window(x: float = 0.0, y: float = 0.0, c: float = 0.0, rows: int = 1000) -> Ints:
    """A window in which numbers were shifted by so many sd, and so much of c moved."""
    levels = LEVELS.copy()
    levels[0], levels[1] = levels[0] + c, levels[1] - c
    shares = ((X, normal(x)), (Y, normal(y)), (C, levels))
    return np.concatenate([counts(series, share, rows) for series, share in shares])


def plan(rule: Rule, *series: Series, share: float = 0.0, min_rows: int = 200) -> Plan:
    """Everything watched; these series under the rule, the rest under the budget."""
    rules = {s.name: rule for s in series}
    inputs = tuple(s.name for s in ALL)
    policy = Policy(log(1e4), min_rows, rules=rules, share=share, inputs=inputs)
    return Plan.compile(REFERENCE, "all", policy, inputs)


def of(verdict: Verdict, series: Series) -> SeriesVerdict:
    return next(s for s in verdict.series if s.series == series.name)


def statuses(verdicts: Sequence[Verdict]) -> list[str]:
    return [f"{v.status}, {v.reason}" for v in verdicts]


PSI = written("psi", threshold=0.2, severe=0.4, literal=True)


# ------------------------------------------------------------------------------- in a verdict


def test_a_broken_rule_is_a_verdict_of_its_series_and_opens_an_episode_at_once() -> None:
    _, (quiet, first) = judge(plan(PSI, *ALL), None, [window(), window(x=0.6)])
    assert (quiet.status, quiet.reason) == (Status.STABLE, Reason.QUIET)
    assert (first.status, first.reason) == (Status.DRIFTING, Reason.RULE)
    broken = of(first, X)
    assert (broken.status, broken.reason) == (Status.DRIFTING, Reason.RULE)
    assert broken.evidence[0].detector == "psi"
    assert broken.evidence[0].statistic > 0.2
    assert of(first, Y).status == Status.STABLE
    assert [c.series for c in first.culprits] == [X.name]
    assert first.onset is not None
    assert first.onset.estimate_ms == first.window.start_ms


def test_there_is_no_budget_and_no_alarm_statistic_where_every_series_has_its_rule() -> None:
    memory, verdicts = judge(plan(PSI, *ALL), None, [window(x=0.2)] * 30)
    assert {v.alarm for v in verdicts} == {None}
    assert {v.status for v in verdicts} == {Status.STABLE}, "PSI stays below .2 for ever"
    assert memory is not None
    assert memory.problem is None


def test_the_episode_ends_after_three_windows_without_a_flag() -> None:
    cells = [window(x=0.6), window(), window(), window(x=0.6), *[window()] * 4]
    _, verdicts = judge(plan(PSI, *ALL), None, cells)
    assert statuses(verdicts) == ["drifting, rule"] * 6 + ["stable, quiet"] * 2


def test_a_severe_rule_eases_after_three_windows_that_are_not() -> None:
    cells = [*[window(x=1.0)] * 2, *[window(x=0.6)] * 4]
    _, verdicts = judge(plan(PSI, *ALL), None, cells)
    assert [v.status.value for v in verdicts] == ["severe"] * 4 + ["drifting"] * 2
    assert [v.severe_windows for v in verdicts] == [1, 2, 3, 4, 0, 0]
    assert [of(v, X).status.value for v in verdicts] == ["severe"] * 2 + ["drifting"] * 4


def test_a_level_is_compared_with_p_and_a_threshold_with_the_size() -> None:
    small = [window(x=0.15)]
    for rule, found in (
        (written("ks", level=0.01, literal=True), True),
        (written("ks", level=1e-9, literal=True), False),
        (written("ks", threshold=0.05, literal=True), True),
        (written("ks", threshold=0.1, literal=True), False),
    ):
        _, (verdict,) = judge(plan(rule, X, Y), None, small)
        assert (of(verdict, X).reason == Reason.RULE) is found, rule


@pytest.mark.parametrize("name", METHODS)
def test_every_method_flags_a_large_change_and_names_itself_first(name: str) -> None:
    method = METHODS[name]
    mine = [s for s in ALL if ("number" if s.numeric else "category") in method.compares]
    rule = written(name, literal=True)
    _, (quiet, loud) = judge(plan(rule, *mine), None, [window(), window(1.5, 1.5, 0.15)])
    assert quiet.status == Status.STABLE
    for series in mine:
        if rule.level is None and name == "cramers_v":
            continue  # with ten times as many reference rows it hardly exceeds .2 (statistics 2)
        assert of(loud, series).reason == Reason.RULE, series
        assert of(loud, series).evidence[0].detector == name
    shown = of(quiet, mine[0]).effect
    assert shown is not None
    assert shown.name == method.effect
    assert shown.floor == method.threshold


def test_a_share_asks_for_so_many_series_at_once() -> None:
    two_of_three = plan(PSI, *ALL, share=0.5)
    _, (one, two) = judge(two_of_three, None, [window(x=0.6), window(x=0.6, y=0.6)])
    assert (one.status, one.reason) == (Status.STABLE, Reason.BELOW_EFFECT_FLOOR)
    assert of(one, X).status == Status.DRIFTING
    assert (two.status, two.reason) == (Status.DRIFTING, Reason.RULE)
    assert {c.series for c in two.culprits} == {X.name, Y.name}


def test_rules_and_a_budget_live_side_by_side() -> None:
    mixed = plan(PSI, X)
    cells = [*[window()] * 3, *[window(y=0.5)] * 3, *[window(x=0.6, y=0.5)] * 2]
    _, verdicts = judge(mixed, None, cells)
    assert verdicts[0].alarm is not None
    assert [v.reason.value for v in verdicts[3:]] == ["alarm_severe"] * 5
    assert [c.series for c in verdicts[5].culprits] == [Y.name]
    assert [c.series for c in verdicts[7].culprits] == [Y.name, X.name]
    assert of(verdicts[7], X).reason == Reason.RULE


def test_a_series_under_a_rule_does_not_move_the_budgets_alarm() -> None:
    alone = Plan.compile(REFERENCE, "all", Policy(log(1e4)), [Y.name, C.name])
    cells = [window(x=0.1 * i) for i in range(5)]
    _, mixed = judge(plan(PSI, X), None, cells)
    _, only = judge(alone, None, cells)
    assert [v.alarm and v.alarm.log_statistic for v in mixed] == pytest.approx(
        [v.alarm and v.alarm.log_statistic for v in only], abs=1e-6
    )


def test_what_rules_have_found_survives_a_restart() -> None:
    cells = [window(x=1.0), window(), window(x=0.6), *[window()] * 4]
    of_rules = plan(PSI, *ALL)
    _, at_once = judge(of_rules, None, cells)
    memory: Memory | None = None
    for i, each in enumerate(cells):
        memory, (verdict,) = judge(of_rules, memory, [each], first=i)
        assert verdict == at_once[i]
        assert memory is not None
        memory, _ = from_data(of_rules, to_data(of_rules, memory), memory.history)


def test_windows_of_few_rows_are_judged_under_a_rule_but_not_those_of_fewer() -> None:
    rule = plan(PSI, *ALL, min_rows=LEAST_ROWS)
    _, (seen,) = judge(rule, None, [window(x=2.0, rows=50)])
    assert seen.reason == Reason.RULE
    _, (declined,) = judge(rule, None, [window(x=2.0, rows=20)])
    assert (declined.status, declined.reason) == (Status.INSUFFICIENT, Reason.TOO_FEW_EVENTS)


# ------------------------------------------------------------------------------- parts


def test_a_rule_fills_in_what_was_not_written() -> None:
    assert written("psi") == Rule("psi", 0.2, 0.4)
    assert written("ks") == Rule("ks", 0.1, 0.2)
    assert written("ks", literal=True) == Rule("ks", 0.1, 0.2, 0.05, literal=True)
    assert written("ks", threshold=0.3, literal=True) == Rule("ks", 0.3, 0.6, literal=True)
    assert written("auto", level=0.05) == Rule(level=0.05)


def test_a_problem_counts_calm_windows_and_remembers_who_broke_it_last() -> None:
    both = advance(None, Seen((1, 0), (1,), (1, 0)), 3, 0, 9)
    assert both == Broken(0, 9, (1, 0), (1,), severe_windows=1)
    calm = advance(both, Seen((0,), (), ()), 3, 9, 18)
    assert calm == Broken(0, 9, (1, 0), (1,), calm=1, mild=1, severe_windows=2)
    assert calm is not None
    assert broken_from(broken_data(calm)) == calm


@pytest.mark.parametrize(("share", "of_all", "wanted"), [(0, 9, 1), (0.34, 3, 2), (1, 4, 4)])
def test_a_share_is_rounded_up(share: float, of_all: int, wanted: int) -> None:
    assert least(share, of_all) == wanted


# ------------------------------------------------------------------------------- how often it is wrong


CHECKS = 8_400  # 50 features, hourly, in a week
FEW = 4_000


@pytest.mark.parametrize(
    ("rule", "per_week"),  # statistics 2.3, at windows of 100, 1,000 and 10,000 rows
    [
        (written("psi", literal=True), (147, 0, 0)),
        (written("ks", literal=True), (144, 150, 143)),
        (written("chi2", literal=True), (415, 414, 420)),
        (written("js", literal=True), (6740, 0, 0)),
        (written("wasserstein", literal=True), (5380, 75, 0)),
    ],
    ids=lambda case: case.method if isinstance(case, Rule) else "",
)
def test_false_flags_of_a_week_are_those_of_the_specification(
    rule: Rule, per_week: tuple[int, ...]
) -> None:
    for rows, flags in zip((100, 1_000, 10_000), per_week, strict=True):
        generator = np.random.default_rng(23)
        found = expected(rule, DECILES, np.full(10, 1_000), rows, generator, draws=FEW)
        rate = flags / CHECKS
        slack = 4 * np.sqrt(max(rate * (1 - rate), 1e-4) / FEW)
        assert found.false == pytest.approx(rate, abs=slack), rows


def test_power_grows_with_the_window_for_a_test_and_not_for_a_distance() -> None:
    def power(name: str, rows: int) -> float:
        rule, generator = written(name, literal=True), np.random.default_rng(1)
        return expected(rule, DECILES, np.full(10, 1_000), rows, generator, draws=500).found

    assert power("ks", 1_000) > 0.99 > 0.5 > power("ks", 100)
    assert power("psi", 1_000) == 0.0 < power("psi", 100)


def test_dependent_rows_are_drawn_as_fewer() -> None:
    def draw(rows: int, m: int, phi: float) -> float:
        generator = np.random.default_rng(5)
        found = expected(PSI, X, np.full(10, m), rows, generator, phi=phi, draws=500)
        return found.false

    assert draw(400, 1_000, 4.0) == draw(100, 250, 1.0) > draw(400, 1_000, 1.0)


def test_the_small_shift_is_a_quarter_of_a_standard_deviation_or_a_twentieth_of_the_rows() -> None:
    assert moved(X, EVEN) == pytest.approx(normal(0.25), abs=1e-9)
    assert moved(C, np.array([0.5, 0.3, 0.2])).tolist() == pytest.approx([0.45, 0.35, 0.2])
    assert moved(C, np.array([1.0])).tolist() == [1.0]
    assert moved(X, np.array([1.0, 0.0])).tolist() == pytest.approx([1.0, 0.0])
