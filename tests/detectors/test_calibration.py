"""Is what calibration says of a past what the detectors would have said? On windows of known shares."""

from math import inf

import numpy as np
import pytest

from detectors.alarm.scores import scores
from detectors.calibration import (
    DAY_MS,
    LOUD,
    WEEK_MS,
    Alone,
    Found,
    Judged,
    Run,
    _found_within,
    judge,
    problems,
    prove,
    rounded_up,
    runs,
    smallest,
)
from detectors.injection import Injection, injections
from detectors.judging.decision import decide
from detectors.judging.memory import Past
from detectors.judging.plan import Plan
from detectors.reference.dependence import dependence
from detectors.reference.frozen import Reference
from detectors.samples.effects import Floats
from detectors.series import Series
from detectors.types import Reason, Status, Verdict, Window
from tests.detectors import cases

ROWS, HOURS = 200, 60
NUMBERS = tuple(cases.number(f"x{i}") for i in range(4))
FLAG = cases.flag("on")
SERIES: tuple[Series, ...] = (*NUMBERS, FLAG)


@pytest.fixture(scope="module")
def reference() -> Reference:
    cells = [cases.counts(s, cases.normal(), 10_000) for s in NUMBERS]
    cells.append(cases.counts(FLAG, [0.9, 0.1], 10_000))
    return cases.reference(SERIES, cells, rows=ROWS)


@pytest.fixture(scope="module")
def plan(reference: Reference) -> Plan:
    return cases.plan(reference)


def drawn(shift_from: int = HOURS) -> tuple[tuple[Past, ...], dict[str, tuple[Floats, ...]]]:
    """Hours of rows, and the values of the numbers; from one hour on the first number is half a sd higher."""
    generator = np.random.default_rng(7)
    windows, values = [], {s.name: list[Floats]() for s in NUMBERS}
    for hour in range(HOURS):
        parts = []
        for s in NUMBERS:
            x = generator.normal(size=ROWS) + 0.5 * (s is NUMBERS[0] and hour >= shift_from)
            values[s.name].append(x)
            cells = np.bincount(np.searchsorted(s.edges, x, "left"), minlength=10)
            parts.append(np.append(cells, [0, 0]))
        on = generator.binomial(ROWS, 0.1)
        parts.append(np.array([ROWS - on, on, 0, 0]))
        windows.append(Past(cases.window(hour, ROWS), np.concatenate(parts)))
    return tuple(windows), {name: tuple(of) for name, of in values.items()}


WINDOWS, VALUES = drawn()


@pytest.fixture(scope="module")
def judged(plan: Plan) -> Judged:
    return judge(plan, WINDOWS)


def test_the_past_is_judged_as_decide_judges_it(plan: Plan, judged: Judged) -> None:
    _, verdicts = cases.judge(plan, None, [w.counts for w in WINDOWS])
    assert [(v.status, v.reason, v.alarm) for v in judged.verdicts] == [
        (v.status, v.reason, v.alarm) for v in verdicts
    ]
    assert problems(judged) == ()


def test_an_episode_lasts_from_its_first_loud_window_to_its_last(plan: Plan) -> None:
    windows, _ = drawn(shift_from=30)
    (found,) = problems(judge(plan, windows))
    assert 30 <= found.opened.start_ms // cases.HOUR_MS <= 34
    assert found.last == windows[-1].window
    assert found.open
    assert found.series == ("feature:x0",)


def test_what_is_insufficient_does_not_end_an_episode() -> None:
    statuses = [Status.DRIFTING, Status.INSUFFICIENT, Status.SEVERE, Status.STABLE, Status.DRIFTING]
    verdicts = tuple(
        Verdict(Window(i, i + 1), status, Reason.QUIET, None) for i, status in enumerate(statuses)
    )
    first, second = problems(Judged((), verdicts, {}))
    assert (first.opened.start_ms, first.last.start_ms, first.open, first.severe) == (
        0,
        2,
        False,
        True,
    )
    assert (second.opened.start_ms, second.open, second.severe) == (4, True, False)


def test_runs_begin_where_it_is_quiet_and_go_up_and_down(plan: Plan, judged: Judged) -> None:
    of = runs(plan, judged, DAY_MS, 10)
    assert len(of) == 10
    assert [run.sign for run in of] == [1, -1] * 5
    assert all(len(run.steps) == 24 for run in of)
    windows, _ = drawn(shift_from=30)
    early = runs(plan, judge(plan, windows), 6 * cases.HOUR_MS, 10)
    assert early
    assert max(run.steps[0][0] for run in early) <= 28


def test_a_short_past_is_used_again_at_the_same_hour_of_the_day(plan: Plan, judged: Judged) -> None:
    for run in runs(plan, judged, WEEK_MS, 3):
        assert len(run.steps) == 7 * 24
        starts = [past.window.start_ms // cases.HOUR_MS for _, past in run.steps]
        assert starts == list(range(starts[0], starts[0] + 168))
        assert all(at % 24 == start % 24 for (at, _), start in zip(run.steps, starts, strict=True))


def test_a_past_too_short_for_the_time_has_no_runs(plan: Plan) -> None:
    assert runs(plan, judge(plan, WINDOWS[:20]), WEEK_MS, 3) == ()
    assert runs(plan, judge(plan, ()), DAY_MS, 3) == ()
    assert runs(plan, judge(plan, WINDOWS), cases.HOUR_MS - 1, 3) == ()


def test_the_smallest_shift_is_near_what_the_detector_is_known_to_find(
    reference: Reference, plan: Plan, judged: Judged
) -> None:
    # Fifty features of 200 rows: .1 sd in 21 windows on average, .25 sd in 3.7. A day has 24.
    of = runs(plan, judged, DAY_MS, 10)
    values, missing = injections(plan, VALUES)
    sizes = smallest(plan, of, values, DAY_MS)
    assert ((sizes[:4] > 0.06) & (sizes[:4] < 0.2)).all()
    assert 0.015 < sizes[4] < 0.06  # .1 to .13 takes 20 windows
    for k in (0, 4):
        one, change = Alone.of(reference, "all", plan, k), values[k]
        assert change is not None
        found = prove(one, of, change, float(sizes[k]), DAY_MS)
        assert found.size is not None
        assert sizes[k] * 0.99 <= found.size <= 2 * sizes[k]
        assert 8 <= found.found <= 10
    gone = smallest(plan, of, missing, DAY_MS)
    assert ((gone > 0.003) & (gone < 0.04)).all()


def test_what_a_series_finds_alone_the_whole_model_finds_no_later(
    reference: Reference, plan: Plan, judged: Judged
) -> None:
    change = injections(plan, VALUES)[0][0]
    one = Alone.of(reference, "all", plan, 0)
    whole = Alone(plan, np.ones(len(one.rows), bool))
    assert change is not None
    for run in runs(plan, judged, DAY_MS, 4):
        for size in (0.1, 0.3):
            assert delay(whole, run, change, size) <= delay(one, run, change, size)


def delay(one: Alone, run: Run, change: Injection, size: float) -> float:
    memory = one.memory(run.memory)
    for number, (at, past) in enumerate(run.steps):
        counts = past.counts.copy()
        change.into(counts, run.size_of(change, size), at)
        memory, verdict = decide(one.plan, memory, past.window, counts)
        if verdict.status in LOUD:
            return number
    return inf


def test_a_size_that_is_not_found_grows_until_it_is(
    reference: Reference, plan: Plan, judged: Judged
) -> None:
    of = runs(plan, judged, DAY_MS, 5)
    change, one = injections(plan, VALUES)[0][0], Alone.of(reference, "all", plan, 0)
    assert change is not None
    found = prove(one, of, change, 0.02, DAY_MS)
    assert found.size is not None
    assert found.size > 0.05
    assert found.found >= 4
    assert sum(_found_within(one, run, change, found.size, DAY_MS, {}) for run in of) == found.found
    assert prove(one, of, change, float("nan"), DAY_MS).size == pytest.approx(found.size, rel=0.25)


def test_a_change_that_cannot_be_found_is_none(
    reference: Reference, plan: Plan, judged: Judged
) -> None:
    of = runs(plan, judged, cases.HOUR_MS, 3)
    nothing = Injection("shift", NUMBERS[0], 0, values=(np.zeros(0),) * HOURS)
    changes = (nothing, None, None, None, None)
    assert smallest(plan, of, changes, cases.HOUR_MS).tolist() == [inf] * 5
    one = Alone.of(reference, "all", plan, 0)
    assert prove(one, of, nothing, inf, cases.HOUR_MS) == Found(None, 0, 3)
    assert prove(one, of, nothing, 3.9, cases.HOUR_MS) == Found(None, 0, 3)


@pytest.mark.parametrize("size", [0.001, 0.0099999, 0.12345, 1.0, 3.99])
def test_a_size_is_rounded_up_to_two_digits(size: float) -> None:
    assert size * 0.999999 <= rounded_up(size) <= size * 1.1


def test_dependence_is_bounded_from_both_sides() -> None:
    generator = np.random.default_rng(3)
    shares = np.clip(0.3 + 0.05 * generator.normal(size=100), 0, 1)
    ones = generator.binomial(1000, shares)
    windows = np.stack([1000 - ones, ones, 0 * ones, 0 * ones], axis=1)
    score = scores(FLAG, windows.sum(0), 1000)[0]
    found = dependence(windows, FLAG, score)
    truth = 1 + 999 * 0.05**2 / 0.21
    assert found is not None
    assert 1 < found.low < truth < found.high
    independent = generator.binomial(1000, 0.3, size=100)
    steady = np.stack([1000 - independent, independent, 0 * ones, 0 * ones], axis=1)
    found = dependence(steady, FLAG, score)
    assert found is not None
    assert found.low == 1.0
    assert dependence(windows[:29], FLAG, score) is None
