"""Does an injected change do to a window's counts what the same change of its rows would have done?"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.binning import Binner, Column
from detectors.edges import cut
from detectors.injection import Injection, injections, spread_over
from detectors.samples.effects import Floats, Ints
from detectors.series import Series
from tests.detectors import cases


def number(values: Floats, *, type_: str = "number", bins: int = 10) -> Series:
    series = cut(column(values, type_), bins).series
    assert series is not None
    return series


def column(values: Floats, type_: str = "number") -> Column:
    assert type_ in ("number", "integer")
    return Column("feature:x", type_, values, np.zeros(len(values), bool))  # type: ignore[arg-type]


def counted(series: Series, values: Floats) -> Ints:
    return np.asarray(Binner([series]).count([column(values, series.type)]).cells[0])


def shifted(series: Series, values: Floats, size: float) -> Ints:
    counts = counted(series, values)
    Injection("shift", series, 0, values=(values[np.isfinite(values)],)).into(counts, size, 0)
    return counts


@pytest.mark.parametrize("size", [-2.0, -0.1, 0.03, 0.5, 5.0])
def test_a_shift_counts_what_shifted_values_would_be_counted_as(size: float) -> None:
    generator = np.random.default_rng(1)
    series = number(generator.gamma(2.0, 300.0, 5000))
    values = generator.gamma(2.0, 300.0, 700)
    values[::50] = np.nan
    expected = counted(series, values + size * series.scale)
    assert shifted(series, values, size).tolist() == expected.tolist()


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60),
    st.lists(st.floats(-1e6, 1e6), max_size=60),
    st.floats(-4, 4),
)
def test_no_shift_loses_a_row_and_none_of_nothing_changes_anything(
    reference: list[float], current: list[float], size: float
) -> None:
    series, values = number(np.array(reference)), np.array(current, np.float64)
    counts = counted(series, values)
    assert shifted(series, values, 0.0).tolist() == counts.tolist()
    after = shifted(series, values, size)
    assert after.sum() == counts.sum()
    assert (after >= 0).all()


@pytest.mark.parametrize("most", [6, 400])  # a cell for every value, and edges between them
def test_whole_numbers_stay_whole_and_move_by_the_size_on_average(most: int) -> None:
    generator = np.random.default_rng(2)
    values = generator.integers(0, most, 20_000).astype(np.float64)
    series = number(values, type_="integer")
    inside = values[(values >= most / 3) & (values <= most / 2)]
    injection = Injection("shift", series, 0, values=(inside,))
    counts = counted(series, inside)
    injection.into(counts, 0.3, 0)
    steps = 0.3 * series.scale
    if series.support:
        moved = (counts[: series.values] * np.array(series.support)).sum() / counts.sum()
        assert moved == pytest.approx(inside.mean() + steps, abs=0.01)
        assert counts[-2] == 0  # none became odd
    else:
        rng = np.floor(inside + steps + generator.random(len(inside)))
        assert counts[:-2] == pytest.approx(counted(series, rng)[:-2], abs=30)


def test_a_value_that_holds_a_cell_of_its_own_stays() -> None:
    values = np.concatenate([np.zeros(600), np.arange(1, 401) / 8])
    series = number(values, bins=5)
    before = counted(series, values)
    after = shifted(series, values, 0.2)
    assert after[0] == before[0] == 600
    assert after[-3] > before[-3]


def test_rows_that_have_no_value_at_hand_stay_where_they_are() -> None:
    series = number(np.arange(1000.0))
    counts = counted(series, np.arange(1000.0))
    Injection("shift", series, 0, values=(np.arange(500.0),)).into(counts, 100.0, 0)
    assert counts.sum() == 1000
    assert counts[-3] == 100 + 500


@pytest.mark.parametrize("size", [0.0004, 0.013, 0.3])
def test_a_share_is_moved_exactly_on_average_however_small_the_windows(size: float) -> None:
    series = cases.category("home", 3)
    injection = Injection("share", series, 0, source=(0,), target=1)
    moved = 0
    for at in range(1000):
        counts = np.array([120, 60, 20, 0, 0])
        injection.into(counts, size, at)
        assert counts.sum() == 200
        moved += 120 - int(counts[0])
    assert moved == pytest.approx(size * 200 * 1000, abs=2)


def test_missing_values_come_from_all_cells_in_proportion() -> None:
    series = cases.number("x")
    injection = Injection("missing", series, 0, source=tuple(range(10)), target=11)
    counts = np.array([100] * 10 + [0, 0])
    injection.into(counts, 0.2, 3)
    assert counts.tolist() == [80] * 10 + [0, 200]


@given(st.lists(st.integers(0, 50), min_size=1, max_size=8), st.integers(0, 500), st.floats(0, 1))
def test_rows_are_spread_over_cells_that_have_them(
    cells: list[int], rows: int, phase: float
) -> None:
    taken = spread_over(np.array(cells), rows, min(phase, 0.999))
    assert taken.sum() == min(rows, sum(cells))
    assert (taken <= np.array(cells)).all()


def test_every_watched_series_gets_a_change_of_its_kind() -> None:
    of = [cases.number("x"), cases.number("same"), cases.category("home", 3), cases.flag("on")]
    cells = [
        cases.counts(of[0], cases.normal(), 10_000),
        cases.counts(of[1], [0, 0, 0, 0, 1, 0, 0, 0, 0, 0], 10_000),
        cases.counts(of[2], [0.2, 0.5, 0.3], 10_000),
        cases.counts(of[3], [0.9, 0.1], 10_000),
    ]
    plan = cases.plan(cases.reference(of, cells))
    values, missing = injections(plan, {"feature:x": (np.zeros(3),)})
    assert [change and change.kind for change in values] == ["shift", "share", "share", "share"]
    assert [(change.source, change.target) for change in values[1:] if change] == [
        ((4,), 0),
        ((1,), 2),
        ((0,), 1),
    ]
    assert [change.target for change in missing] == [11, 11, 4, 3]
    assert injections(plan, {})[0][0] is None
