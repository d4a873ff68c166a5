"""Under a budget a method that somebody named says what is shown first and what matters; the alarm stays what it is."""

from collections.abc import Callable, Mapping
from math import log

import numpy as np
import pytest

from detectors.judging.decision import Plan, Policy, Rule, written
from detectors.samples.effects import Ints
from detectors.samples.methods import METHODS
from detectors.series import Series
from detectors.types import Reason, SeriesVerdict, Status, Verdict
from tests.detectors import cases
from tests.detectors.cases import counts, judge, normal, reference

X, Y, C, B = cases.number("x"), cases.number("y"), cases.category("c", 6), cases.flag("b")
ALL = (X, Y, C, B)
NAMES = tuple(s.name for s in ALL)
LEVELS = np.full(6, 1 / 6)
EVEN = tuple(zip(ALL, (normal(), normal(), LEVELS, np.array([0.9, 0.1])), strict=True))
REFERENCE = reference(ALL, [counts(series, share, 10_000) for series, share in EVEN])


def window(x: float = 0.0, y: float = 0.0, c: float = 0.0, b: float = 0.0, gone: int = 0) -> Ints:
    """Shifts in sd, shares that moved, and how many values of x are missing."""
    levels = LEVELS.copy()
    levels[0], levels[1] = levels[0] + c, levels[1] - c
    return np.concatenate(
        [
            counts(X, normal(x), 1000 - gone, gone),
            counts(Y, normal(y), 1000),
            counts(C, levels, 1000),
            counts(B, [0.9 - b, 0.1 + b], 1000),
        ]
    )


def plan(rules: Mapping[str, Rule] | None = None, share: float = 0.0) -> Plan:
    policy = Policy(log(1e4), rules=rules or {}, share=share, inputs=NAMES)
    return Plan.compile(REFERENCE, "all", policy, NAMES)


def everywhere(rule: Rule) -> dict[str, Rule]:
    return dict.fromkeys(NAMES, rule)


def of(verdict: Verdict, name: str) -> SeriesVerdict:
    return next(s for s in verdict.series if s.series == name)


def alarms(verdicts: list[Verdict]) -> list[float | None]:
    return [v.alarm.log_statistic if v.alarm else None for v in verdicts]


@pytest.mark.parametrize("name", METHODS)
def test_a_named_method_never_moves_the_alarm(name: str) -> None:
    cells = [window(0.1 * i, c=0.01 * i) for i in range(5)]
    mine = [s for s in ALL if ("number" if s.numeric else "category") in METHODS[name].compares]
    _, verdicts = judge(plan({s.name: written(name) for s in mine}), None, cells)
    _, usual = judge(plan(), None, cells)
    assert alarms(verdicts) == alarms(usual)
    for series in mine:
        shown = of(verdicts[0], series.name)
        assert shown.effect is not None
        assert (shown.effect.name, shown.effect.floor) == (
            METHODS[name].effect,
            METHODS[name].threshold,
        )
        assert shown.evidence[0].detector == name
        usual_evidence = {e.detector: e for e in of(usual[0], series.name).evidence}
        assert usual_evidence.keys() <= {e.detector for e in shown.evidence}


@pytest.mark.parametrize("name", METHODS)
def test_an_episode_opens_beyond_the_written_threshold_and_not_below(name: str) -> None:
    method = METHODS[name]
    numeric = "number" in method.compares
    drifted = window(x=0.5) if numeric else window(c=0.12)
    series = X.name if numeric else C.name
    _, found = judge(plan({series: written(name)}), None, [drifted] * 4)
    effect = of(found[-1], series).effect
    assert effect is not None
    size = max(abs(effect.low), abs(effect.high)) if effect.low * effect.high > 0 else 0.0
    assert size > 0
    for threshold, status in (
        (2 * size, Status.STABLE),
        (0.5 * min(abs(effect.low), size), Status.DRIFTING),
    ):
        if threshold == 0:
            continue
        rule = written(name, threshold=threshold, severe=10 * size)
        _, verdicts = judge(plan({series: rule}), None, [drifted] * 4)
        assert verdicts[-1].status == status, (threshold, effect)
        if status == Status.STABLE:
            assert verdicts[-1].reason == Reason.BELOW_EFFECT_FLOOR


def test_severe_is_the_second_gate_of_the_named_effect() -> None:
    cells = [window(x=0.5)] * 6
    for severe, status in ((0.5, Status.DRIFTING), (0.15, Status.SEVERE)):
        rules = everywhere(written("psi", threshold=0.1, severe=severe))
        _, verdicts = judge(plan(rules), None, cells)
        assert verdicts[-1].status == status
        assert verdicts[-1].culprits[0].effect is not None
        assert verdicts[-1].culprits[0].effect.name == "psi"


def test_the_missing_share_keeps_its_own_gate() -> None:
    _, verdicts = judge(
        plan(everywhere(written("psi", threshold=5.0))), None, [window(gone=200)] * 3
    )
    assert verdicts[-1].status == Status.SEVERE
    (culprit,) = verdicts[-1].culprits
    assert (culprit.series, culprit.score) == ("missing:x", "missing")


def test_an_unseen_category_is_shown_though_another_method_was_named() -> None:
    cells = window()
    at = 2 * X.cells + C.values
    cells[at], cells[at - 1], cells[at - 2] = 200, cells[at - 1] - 100, cells[at - 2] - 100
    _, verdicts = judge(plan(everywhere(written("js", threshold=0.9))), None, [cells] * 3)
    assert verdicts[-1].status == Status.SEVERE
    (culprit,) = verdicts[-1].culprits
    assert culprit.effect is not None
    assert (culprit.score, culprit.effect.name) == ("odd", "difference")


def test_every_series_may_have_its_own_method() -> None:
    rules = {X.name: written("ks"), Y.name: written("wasserstein"), C.name: written("hellinger")}
    _, (verdict,) = judge(plan(rules), None, [window(0.3, 0.3, 0.05, 0.05)])
    shown = {s.series: s.effect.name for s in verdict.series if s.effect}
    assert shown == {
        X.name: "ks_statistic",
        Y.name: "wasserstein",
        C.name: "hellinger",
        B.name: "difference",
    }


def test_a_threshold_under_auto_is_the_gate_of_shares_and_chances_and_psi_gates_nothing() -> None:
    cells = [window(x=0.25)] * 4  # location .069
    for threshold, status in ((0.03, Status.DRIFTING), (0.2, Status.STABLE)):
        rule = written("auto", threshold=threshold, severe=1.0)
        _, verdicts = judge(plan(everywhere(rule)), None, cells)
        assert verdicts[-1].status == status


def test_a_level_under_a_budget_only_lengthens_the_list() -> None:
    cells = [window(x=0.14)]
    _, (strict,) = judge(plan(), None, cells)
    _, (loose,) = judge(plan(everywhere(written("auto", level=0.4))), None, cells)
    assert of(strict, X.name).reason == Reason.QUIET
    assert of(loose, X.name).reason != Reason.QUIET
    assert (loose.status, loose.alarm) == (strict.status, strict.alarm)


# ------------------------------------------------------------------------------- a share of the inputs


def test_with_a_share_one_series_alone_opens_nothing() -> None:
    alone, both = [window(x=0.5)] * 6, [window(x=0.5, y=0.5)] * 6
    _, first = judge(plan(share=0.5), None, alone)
    assert {v.status for v in first} == {Status.STABLE}
    assert first[-1].reason == Reason.BELOW_EFFECT_FLOOR
    assert first[-1].culprits[0].series == X.name
    _, second = judge(plan(share=0.5), None, both)
    assert second[-1].status == Status.SEVERE
    assert {c.series for c in second[-1].culprits} == {X.name, Y.name}


def test_a_series_that_joins_later_completes_the_share_and_becomes_a_culprit() -> None:
    cells = [*[window(x=0.5)] * 3, *[window(x=0.5, y=0.5)] * 6]
    _, verdicts = judge(plan(share=0.5), None, cells)
    assert {v.status for v in verdicts[:3]} == {Status.STABLE}
    assert verdicts[-1].status == Status.SEVERE
    assert {c.series for c in verdicts[-1].culprits} == {X.name, Y.name}


def test_a_late_series_is_not_measured_on_the_windows_before_it_moved() -> None:
    cells = [*[window(x=0.5)] * 40, *[window(x=0.5, y=0.5)] * 4]
    _, verdicts = judge(plan(share=0.5), None, cells)
    assert {v.status for v in verdicts[:40]} == {Status.STABLE}
    assert verdicts[-1].status == Status.SEVERE
    late = next(c for c in verdicts[-1].culprits if c.series == Y.name)
    assert late.effect is not None
    assert late.effect.value == pytest.approx(0.1357, abs=0.002)


def test_series_outside_the_share_open_an_episode_by_themselves() -> None:
    policy = Policy(log(1e4), share=1.0, inputs=NAMES[1:])
    outside = Plan.compile(REFERENCE, "all", policy, NAMES)
    _, verdicts = judge(outside, None, [window(x=0.5)] * 4)
    assert verdicts[-1].status == Status.SEVERE
    assert [c.series for c in verdicts[-1].culprits] == [X.name]


def test_inputs_short_of_their_share_are_no_culprits_of_what_something_else_opened() -> None:
    policy = Policy(log(1e4), share=1.0, inputs=NAMES[1:])
    mixed = Plan.compile(REFERENCE, "all", policy, NAMES)
    _, verdicts = judge(mixed, None, [window(x=0.5, y=0.5)] * 4)
    assert verdicts[-1].status == Status.SEVERE
    assert [c.series for c in verdicts[-1].culprits] == [X.name]


def test_a_share_only_ever_removes_alarms() -> None:
    generator = np.random.default_rng(3)
    cells = [window(generator.uniform(0, 0.3) * (i % 3 > 0), c=0.02 * (i % 4)) for i in range(20)]
    _, anyone = judge(plan(), None, cells)
    _, half = judge(plan(share=0.5), None, cells)
    loud = (Status.DRIFTING, Status.SEVERE)
    first = {
        name: next((i for i, v in enumerate(of_) if v.status in loud), 99)
        for name, of_ in (("anyone", anyone), ("half", half))
    }
    assert first["anyone"] <= first["half"]


# ------------------------------------------------------------------------------- whatever comes in

_ODD_WINDOWS: Mapping[str, Callable[[Series], Ints]] = {
    "nothing but missing": lambda series: np.array([0] * (series.cells - 1) + [1000]),
    "one row": lambda series: np.array([1] + [0] * (series.cells - 1)),
    "one cell": lambda series: np.array([0, 1000] + [0] * (series.cells - 2)),
    "nothing but invalid": lambda series: np.array([0] * (series.cells - 2) + [1000, 0]),
    "ten million rows": lambda series: np.array([10**7] + [0] * (series.cells - 1)),
    "like the reference": lambda series: np.array([300] * series.values + [0, 0]),
}


@pytest.mark.parametrize("literal", [False, True], ids=["budget", "every window"])
@pytest.mark.parametrize("name", METHODS)
def test_every_method_answers_every_window_with_finite_numbers(name: str, literal: bool) -> None:
    kinds = METHODS[name].compares
    rules = {
        s.name: written(name, literal=literal)
        for s in ALL
        if ("number" if s.numeric else "category") in kinds
    }
    cells = [
        np.concatenate([shape(series) for series in ALL]).astype(np.int64)
        for shape in _ODD_WINDOWS.values()
    ]
    cells += [
        np.concatenate([shape(s) if s is odd_one else counts(s, like, 1000) for s, like in EVEN])
        for shape in _ODD_WINDOWS.values()
        for odd_one in ALL
    ]
    memory, verdicts = judge(plan(rules), None, cells)
    assert memory is not None
    for verdict in verdicts:
        for s in verdict.series:
            assert all(np.isfinite(e.statistic) for e in s.evidence)
            assert all(e.p_value is not None and 0 < e.p_value <= 1 for e in s.evidence)
            if s.effect is not None:
                size = s.effect
                assert np.isfinite([size.value, size.low, size.high, size.floor]).all()
            assert (s.status == Status.INSUFFICIENT) is (s.effect is None)
