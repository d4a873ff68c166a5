"""The alarm: golden values, its bits, and when it stands still."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.alarm.scores import scores
from detectors.alarm.sequential import (
    COMPONENTS,
    FIXED,
    Panel,
    State,
    Watched,
    dispersion,
    standing,
    step,
)
from detectors.samples.effects import Ints
from detectors.series import Series
from tests.detectors import cases, golden

D3, D4 = slice(0, FIXED), slice(FIXED, COMPONENTS)

GOLDEN = [
    ("numeric", 1, (87, 887, 379), -3.205304, -2.024146, -1.756470, (-1.889825, -1.749538, -1.645028)),
    ("numeric", 5, (106, 907, 415), -2.397569, -0.253346, -0.142557, (-0.648721, -0.518395, 0.394218)),
    ("numeric", 10, (78, 900, 421), -2.233987, 0.725129, 0.775694, (0.143822, -0.902576, 1.600618)),
    ("numeric", 11, (99, 891, 408), -1.984050, 1.500461, 1.530669, (1.965428, -0.723668, 1.831119)),
    ("numeric", 12, (86, 897, 403), -0.670037, 5.083222, 5.086389, (6.174598, -0.680056, 1.507891)),
    ("numeric", 15, (78, 905, 397), 4.890542, 15.544750, 15.544773, (16.643385, -0.632767, 1.191544)),
    ("binary", 11, (116, 859, 408), -1.080629, 4.411246, 4.415357, (-0.345037, 5.485565, 1.831119)),
    ("binary", 15, (90, 884, 397), 3.601615, 14.932767, 14.932779, (0.171749, 16.031391, 1.191544)),
    ("missing", 11, (115, 891, 408), 13.423596, 0.868529, 13.423600, (14.522209, -0.723668, 1.831119)),
    ("missing", 15, (90, 905, 397), 66.520472, 0.443181, 66.520472, (67.619084, -0.632767, 1.191544)),
]  # fmt: skip


def watched(series: tuple[Series, ...], reference: Ints, rows: float = 1000.0) -> list[Watched]:
    out, at = [], 0
    for s in series:
        found = scores(s, reference[at : at + s.cells], rows)
        out.append(Watched(at, found, (1.0,) * len(found)))
        at += s.cells
    return out


@cache
def golden_states(case: str) -> tuple[Panel, Ints, list[State]]:
    reference, windows = golden.windows(case)
    panel = Panel.compile(watched(golden.SERIES, reference), reference, 1000.0)
    states = [State.start(panel.usable.shape, reference)]
    for t, counts in enumerate(windows):
        states.append(step(panel, states[-1], counts, t + 1))
    return panel, windows, states


@pytest.mark.parametrize(
    ("case", "window", "first", "d3", "d4", "log", "features"),
    GOLDEN,
    ids=[f"{case}-{window}" for case, window, *_ in GOLDEN],
)
def test_the_golden_stream_gives_the_published_digits(
    case: str,
    window: int,
    first: tuple[int, ...],
    d3: float,
    d4: float,
    log: float,
    features: tuple[float, ...],
) -> None:
    panel, windows, states = golden_states(case)
    now = standing(panel, states[window])
    assert tuple(windows[window - 1][list(golden.OFFSETS)]) == first
    assert round(now.log, 6) == log
    assert tuple(now.series.round(6).tolist()) == features
    assert round(standing(panel, states[window], D3).log, 6) == d3
    assert round(standing(panel, states[window], D4).log, 6) == d4


@pytest.mark.parametrize("case", ["binary", "missing"])
def test_before_the_drift_all_golden_cases_are_one(case: str) -> None:
    panel, windows, states = golden_states(case)
    _, others, _ = golden_states("numeric")
    assert np.array_equal(windows[:10], others[:10])
    now = [round(standing(panel, states[w]).log, 6) for w in (1, 5, 10)]
    assert now == [-1.75647, -0.142557, 0.775694]
    assert windows[10:, 11].max() == (14 if case == "missing" else 0)


@pytest.mark.parametrize(("case", "onset"), [("numeric", 10), ("binary", 11), ("missing", 11)])
def test_the_leading_component_tells_when_the_golden_drift_began(case: str, onset: int) -> None:
    panel, _, states = golden_states(case)
    now = standing(panel, states[15])
    assert states[15].since.ravel()[now.components.argmax()] == onset


def test_the_golden_series_have_the_published_scores() -> None:
    reference, _ = golden.windows("numeric")
    found = [w.scores for w in watched(golden.SERIES, reference)]
    assert [len(s) for s in found] == [4, 3, 7]
    assert [s.name for s in found[2] if s.rare] == ["rest", "odd", "missing"]


@st.composite
def panels(draw: st.DrawFn) -> tuple[tuple[Series, ...], list[list[Ints]]]:
    """Some series, and for each of them a reference and three windows."""
    kinds = [cases.number("x"), cases.flag("b"), cases.category("c", 3), cases.category("d", 23)]
    series = tuple(draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=4)))
    seed = draw(st.integers(0, 2**32 - 1))
    g = np.random.default_rng(seed)
    blocks = []
    for s in series:
        shares = g.dirichlet(np.ones(s.cells))
        blocks.append([g.multinomial(rows, shares) for rows in (5000, 300, 0, 700)])
    return series, blocks


@settings(max_examples=40)
@given(panels())
def test_the_bits_of_a_series_do_not_depend_on_its_neighbours(
    case: tuple[tuple[Series, ...], list[list[Ints]]],
) -> None:
    series, blocks = case

    def run(which: list[int]) -> tuple[State, list[float]]:
        reference, *windows = (np.concatenate([blocks[k][t] for k in which]) for t in range(4))
        panel = Panel.compile(watched(tuple(series[k] for k in which), reference), reference, 1e3)
        state = State.start(panel.usable.shape, reference)
        for t, counts in enumerate(windows):
            state = step(panel, state, counts, t)
        return state, standing(panel, state).series.tolist()

    together, logs = run(list(range(len(series))))
    row = 0
    for k in range(len(series)):
        alone, (log,) = run([k])
        rows = slice(row, row + len(alone.log))
        row = rows.stop
        assert np.array_equal(together.log[rows], alone.log)
        assert np.array_equal(together.path[rows], alone.path)
        assert logs[k] == log


def test_a_step_changes_neither_the_state_nor_the_counts_it_is_given() -> None:
    panel, windows, states = golden_states("numeric")
    kept = [a.copy() for a in (states[3].log, states[3].path, states[3].since, states[3].pool)]
    counts = windows[3].copy()
    step(panel, states[3], counts, 4)
    assert all(
        np.array_equal(a, b)
        for a, b in zip(
            kept, (states[3].log, states[3].path, states[3].since, states[3].pool), strict=True
        )
    )
    assert np.array_equal(counts, windows[3])


def test_a_series_without_rows_stands_still() -> None:
    panel, windows, states = golden_states("numeric")
    counts = windows[0].copy()
    counts[:12] = 0
    after = step(panel, states[5], counts, 6)
    rows = panel.series == 0
    assert np.array_equal(after.log[rows], states[5].log[rows])
    assert np.array_equal(after.since[rows], states[5].since[rows])
    assert not np.array_equal(after.log[~rows], states[5].log[~rows])


def test_nothing_bets_on_a_z_score_without_rows_behind_it() -> None:
    flag = cases.flag("rare")
    reference = np.array([9990, 10, 0, 0])
    panel = Panel.compile(watched((flag,), reference), reference, 1000.0)
    state = step(
        panel, State.start(panel.usable.shape, reference), np.array([999, 1, 0, 0]), at_ms=0
    )
    assert np.isneginf(state.log[:, D4]).all()
    assert np.isfinite(state.log[:, :9]).all()


def test_between_five_and_twenty_rows_only_the_smaller_tilts_are_betted_on() -> None:
    flag = cases.flag("some")
    reference = np.array([9900, 100, 0, 0])
    panel = Panel.compile(watched((flag,), reference), reference, 1000.0)
    state = step(panel, State.start(panel.usable.shape, reference), np.array([990, 10, 0, 0]), 0)
    assert np.isfinite(state.log[0, D4]).tolist() == [False, *[True] * 6, False]


def test_before_the_first_window_there_is_no_evidence() -> None:
    panel, _, states = golden_states("numeric")
    now = standing(panel, states[0])
    assert np.isneginf(now.log)
    assert np.isneginf(now.series).all()


def test_with_all_weight_on_d3_no_drift_within_the_tolerance_is_evidence() -> None:
    series = cases.number("x")
    reference = cases.counts(series, cases.normal(), 10_000)
    logs = {}
    for tolerance in (0.0, 0.05):
        panel = Panel.compile(
            watched((series,), reference), reference, 1000.0, tolerance, weights=(1.0, 0.0)
        )
        state = State.start(panel.usable.shape, reference)
        for t in range(60):
            state = step(panel, state, cases.counts(series, cases.normal(0.1), 1000), t)
        logs[tolerance] = standing(panel, state).log
    assert logs[0.0] > 10
    assert logs[0.05] < 0


@pytest.mark.parametrize(("weights", "share"), [((1.0, 0.0), D3), ((0.0, 1.0), D4)])
def test_either_family_can_be_had_alone(weights: tuple[float, float], share: slice) -> None:
    series = cases.number("x")
    reference = cases.counts(series, cases.normal(), 10_000)
    alone = Panel.compile(watched((series,), reference), reference, 1000.0, weights=weights)
    state = State.start(alone.usable.shape, reference)
    for t in range(5):
        state = step(alone, state, cases.counts(series, cases.normal(0.3), 1000), t)
    indicators = alone.indicator  # rare ones have no D4 and bet by D3 whatever the weights
    kept = np.zeros(COMPONENTS, bool)
    kept[share] = True
    assert np.isfinite(state.log[~indicators][:, kept]).all()
    assert np.isneginf(state.log[~indicators][:, ~kept]).all()
    assert standing(alone, state).log == standing(alone, state, slice(0, COMPONENTS)).log > 5


def test_over_dispersion_takes_power_from_both_families() -> None:
    series = cases.number("x")
    reference = cases.counts(series, cases.normal(), 10_000)
    logs = []
    for phi in (1.0, 3.0):
        (w,) = watched((series,), reference)
        panel = Panel.compile([Watched(0, w.scores, (phi,) * 4)], reference, 1000.0)
        state = State.start(panel.usable.shape, reference)
        for t in range(3):
            state = step(panel, state, cases.counts(series, cases.normal(0.5), 1000), t)
        logs.append((standing(panel, state, D3).log, standing(panel, state, D4).log))
    assert logs[1][0] < logs[0][0]
    assert logs[1][1] < logs[0][1]


def test_dispersion_of_independent_windows_is_bounded_as_published() -> None:
    g = np.random.default_rng(7)
    series = cases.number("x")
    score = scores(series, np.array([1000] * 10 + [0, 0]), 1000)[0]
    found = [
        dispersion(np.stack([cases.drawn(g, series, [0.1] * 10, 1000) for _ in range(30)]), score)
        for _ in range(150)
    ]
    assert np.mean(found) == pytest.approx(1.65, abs=0.12)


def test_dispersion_of_a_score_that_never_varies_is_one() -> None:
    series = cases.number("x")
    odd = scores(series, np.array([1000] * 10 + [0, 0]), 1000)[2]
    assert dispersion(np.tile([100] * 10 + [0, 0], (30, 1)), odd) == 1.0


def test_dispersion_needs_thirty_windows() -> None:
    series = cases.number("x")
    score = scores(series, np.array([1000] * 10 + [0, 0]), 1000)[0]
    with pytest.raises(ValueError, match="30 windows"):
        dispersion(np.tile([100] * 10 + [0, 0], (29, 1)), score)
