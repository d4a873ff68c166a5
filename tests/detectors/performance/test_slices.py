"""What is counted for slices, and what a search in the counts finds and does not find."""

from itertools import permutations
from math import isfinite

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom

from detectors.performance.concentration import Found, search
from detectors.performance.slices import SliceLayout, count
from detectors.performance.tallies import compare
from detectors.samples.effects import Ints
from detectors.series import Series

DECILES = tuple(float(i) for i in range(1, 10))


def numbers(how_many: int) -> list[Series]:
    return [Series(f"feature:f{i}", "number", edges=DECILES) for i in range(how_many)]


def counted(layout: SliceLayout, cells: Ints, wrong: Ints) -> Ints:
    n = len(wrong)
    (found,) = count(layout, cells, wrong, np.ones(n, int), np.zeros(n, int), 1)
    return np.asarray(found)


def rows(generator: np.random.Generator, features: int, n: int) -> Ints:
    return generator.integers(0, 10, (features, n))


def names(found: Found) -> list[str]:
    return [each.name for each in found.slices]


def test_a_planted_cell_is_found_first_and_alone() -> None:
    generator = np.random.default_rng(1)
    layout = SliceLayout.of(numbers(10))
    cells = rows(generator, 10, 10_000)
    wrong = generator.random(10_000) < np.where(cells[3] == 7, 0.35, 0.1)
    found = search(layout, counted(layout, cells, wrong.astype(int)))
    assert names(found) == ["feature:f3 bin 8 of 10"]
    best = found.slices[0]
    assert best.low > 0.15
    assert best.high < 0.35
    assert best.lift is not None
    assert 2.5 < best.lift < 4.5
    assert best.share == pytest.approx(0.2, abs=0.05)
    assert best.p_value < 1e-6


def test_a_planted_pair_is_found_first_and_its_parts_are_not_named_beside_it() -> None:
    generator = np.random.default_rng(2)
    layout = SliceLayout.of(numbers(10))
    cells = rows(generator, 10, 20_000)
    planted = (cells[2] < 2) & (cells[5] >= 7)
    wrong = generator.random(20_000) < np.where(planted, 0.5, 0.1)
    found = search(layout, counted(layout, cells, wrong.astype(int)))
    assert names(found) == ["feature:f2 bins 1-2 of 10 and feature:f5 bins 8-10 of 10"]


def test_two_planted_cells_are_both_found() -> None:
    generator = np.random.default_rng(3)
    layout = SliceLayout.of(numbers(6))
    cells = rows(generator, 6, 20_000)
    wrong = generator.random(20_000) < 0.1 + 0.25 * (cells[0] == 0) + 0.2 * (cells[4] == 9)
    found = search(layout, counted(layout, cells, wrong.astype(int)))
    assert names(found) == ["feature:f0 bin 1 of 10", "feature:f4 bin 10 of 10"]


def test_a_copy_of_a_feature_is_not_named_a_second_time() -> None:
    generator = np.random.default_rng(4)
    layout = SliceLayout.of(numbers(5))
    cells = rows(generator, 5, 20_000)
    cells[4] = np.where(generator.random(20_000) < 0.9, cells[1], cells[4])
    wrong = generator.random(20_000) < np.where(cells[1] == 2, 0.4, 0.1)
    found = search(layout, counted(layout, cells, wrong.astype(int)))
    assert names(found) == ["feature:f1 bin 3 of 10"]


def test_damage_that_is_everywhere_alike_names_no_slice_against_the_past() -> None:
    generator = np.random.default_rng(5)
    layout = SliceLayout.of(numbers(8))
    cells = rows(generator, 8, 40_000)
    level = np.where(cells[0] == 3, 0.3, 0.1)  # always was a hard bin
    wrong = generator.random(40_000) < level + 0.1 * (np.arange(40_000) >= 30_000)
    past = counted(layout, cells[:, :30_000], wrong[:30_000].astype(int))
    now = counted(layout, cells[:, 30_000:], wrong[30_000:].astype(int))
    assert names(search(layout, now)) == ["feature:f0 bin 4 of 10"]
    assert names(search(layout, now, past=past)) == []


def test_a_cell_that_became_worse_is_found_beside_one_that_always_was_bad() -> None:
    generator = np.random.default_rng(6)
    layout = SliceLayout.of(numbers(8))
    cells = rows(generator, 8, 40_000)
    level = np.where(cells[0] == 3, 0.4, 0.1)
    after = np.arange(40_000) >= 30_000
    wrong = generator.random(40_000) < level + 0.2 * ((cells[6] == 0) & after)
    past = counted(layout, cells[:, :30_000], wrong[:30_000].astype(int))
    now = counted(layout, cells[:, 30_000:], wrong[30_000:].astype(int))
    found = search(layout, now, past=past)
    assert names(found) == ["feature:f6 bin 1 of 10"]
    assert found.slices[0].against == pytest.approx(0.13, abs=0.02)
    assert found.slices[0].share > 0.7


def test_a_loss_that_is_larger_in_a_slice_is_found() -> None:
    generator = np.random.default_rng(7)
    layout = SliceLayout.of(numbers(6), "loss", 2.0)
    cells = rows(generator, 6, 10_000)
    loss = np.abs(generator.normal(0, 1, 10_000)) * np.where(cells[1] == 5, 2.0, 1.0)
    found = search(layout, counted(layout, cells, layout.whole(loss)))
    assert names(found) == ["feature:f1 bin 6 of 10"]
    assert found.slices[0].rate == pytest.approx(1.6, abs=0.1)
    assert found.slices[0].against == pytest.approx(0.8, abs=0.02)


def test_a_segment_is_named_by_its_name() -> None:
    layout = SliceLayout.of([])
    segments = {"country=a": (500, 40), "country=b": (400, 30), "country=c": (100, 40)}
    found = search(layout, np.array([1000, 110]), segments)
    assert names(found) == ["country=c"]
    assert found.looked_at == 3


@pytest.mark.parametrize("lost", ["error", "loss"])
@pytest.mark.parametrize("with_past", [False, True])
def test_where_errors_concentrate_nowhere_a_slice_is_named_in_at_most_one_window_of_twenty(
    lost: str, with_past: bool
) -> None:
    generator = np.random.default_rng([8, with_past])
    runs, n, m = 150, 1_500, 6_000
    layout = SliceLayout.of(numbers(6), "error" if lost == "error" else "loss")
    wrongly = 0
    for _ in range(runs):
        cells = rows(generator, 6, n + m)
        if lost == "error":
            wrong = (generator.random(n + m) < 0.08).astype(np.int64)
        else:
            wrong = layout.whole(generator.exponential(1.0, n + m))
        past = counted(layout, cells[:, n:], wrong[n:]) if with_past else None
        now = counted(layout, cells[:, :n], wrong[:n])
        wrongly += bool(search(layout, now, past=past, floor=0.0).slices)
    assert wrongly <= 0.05 * runs + 4 * np.sqrt(0.05 * 0.95 * runs)


def test_counts_are_the_same_for_any_split_in_any_order_and_a_weight_of_minus_one_takes_back() -> (
    None
):
    generator = np.random.default_rng(9)
    layout = SliceLayout.of(numbers(4), "loss")
    n = 20_000  # more than are counted at once
    cells = generator.integers(-1, 12, (4, n))
    wrong, weights = generator.integers(0, 131_073, n), generator.choice([1, 1, 1, -1], n)
    of = generator.integers(0, 3, n)
    whole = count(layout, cells, wrong, weights, of, 3)
    for order in permutations(np.array_split(generator.permutation(n), 3)):
        parts = [count(layout, cells[:, p], wrong[p], weights[p], of[p], 3) for p in order]
        assert np.array_equal(sum(parts), whole)
    back = count(layout, cells, wrong, -weights, of, 3)
    assert not (whole + back).any()


def test_counts_equal_a_plain_loop() -> None:
    generator = np.random.default_rng(10)
    series = [
        *numbers(1),
        Series("feature:kind", "category", categories=tuple("abcdef"), known=("g",)),
    ]
    layout = SliceLayout.of(series)
    cells = np.stack([generator.integers(-1, 12, 300), generator.integers(-1, 9, 300)])
    wrong = generator.integers(0, 2, 300)
    plain = np.zeros((1 + 12 + 9 + 16, 2), int)
    for (a, b), error in zip(cells.T.tolist(), wrong.tolist(), strict=True):
        places = [0]
        places += [1 + a] if a >= 0 else []
        places += [13 + b] if b >= 0 else []
        if 0 <= a < 10 and 0 <= b < 7:
            group = [0, 0, 1, 1, 1, 2, 2, 3, 3, 3][a]
            places.append(22 + group * 4 + min(b, 3))
        for place in places:
            plain[place] += (1, error)
    assert counted(layout, cells, wrong).tolist() == plain.ravel().tolist()


def test_what_has_no_room_is_named_and_the_length_is_bounded() -> None:
    layout = SliceLayout.of(numbers(400))
    assert layout.total <= 4_096
    assert layout.left_out[0] == f"feature:f{layout.singles}"
    assert layout.left_out[-1] == "pairs: 66 of 66"
    assert SliceLayout.of(numbers(50)).left_out == ()
    assert search(layout, np.zeros(layout.total, int)).left_out == layout.left_out


@pytest.mark.parametrize("errors", [0, 40, 1_000])
def test_few_rows_no_errors_or_only_errors_name_nothing(errors: int) -> None:
    layout = SliceLayout.of(numbers(3))
    cells = np.zeros((3, 1_000), int)
    wrong = (np.arange(1_000) < errors).astype(int)
    for past in (None, counted(layout, cells, wrong)):
        found = search(layout, counted(layout, cells, wrong), {"x=1": (0, 0)}, past=past)
        assert found.slices == ()
        assert found.looked_at == 3 * 12 + 3 * 16 + 1
    assert search(layout, np.zeros(layout.total, int)).slices == ()


def test_a_value_that_the_past_did_not_have_is_held_against_the_whole_past() -> None:
    generator = np.random.default_rng(11)
    layout = SliceLayout.of([Series("feature:kind", "category", categories=("a", "b"))])
    cells = generator.integers(0, 2, (1, 5_000))
    wrong = (generator.random(5_000) < 0.1).astype(int)
    past = counted(layout, cells, wrong)
    cells[0, :500], wrong[:500] = 2, generator.random(500) < 0.5
    found = search(layout, counted(layout, cells, wrong), past=past)
    assert names(found) == ["feature:kind unseen"]
    assert found.slices[0].against == pytest.approx(0.1, abs=0.02)


@given(
    seed=st.integers(0, 2**32),
    largest=st.sampled_from([40, 3_000, 2**50]),
    lowest=st.sampled_from([-1, -0.01, 0]),
    lost=st.sampled_from(["error", "loss"]),
    with_past=st.booleans(),
)
@settings(max_examples=100)
def test_any_integers_give_finite_numbers(
    seed: int, largest: int, lowest: float, lost: str, with_past: bool
) -> None:
    generator = np.random.default_rng(seed)
    layout = SliceLayout.of(numbers(2), "error" if lost == "error" else "loss")
    low = int(lowest * largest)
    now, past = (generator.integers(low, largest, layout.total) for _ in range(2))
    now[: layout.width] *= generator.integers(0, 40)
    of = {"a": now[: layout.width].tolist()}
    found = search(layout, now, of, past=past if with_past else None)
    for each in found.slices:
        assert all(map(isfinite, (x for x in each[1:] if x is not None)))
        assert each.low <= each.high
        assert 0 <= each.p_value <= 0.05


def test_the_tail_of_errors_given_the_margins_is_never_too_small_and_hardly_too_large() -> None:
    generator = np.random.default_rng(12)
    for _ in range(300):
        rows = int(generator.integers(60, 5_000))
        errors, n = (int(x) for x in generator.integers((1, 30), (rows, rows - 29)))
        own = generator.hypergeometric(errors, rows - errors, n)
        k = min(int(own + generator.integers(0, 12)), errors, n)
        inside = np.array([[n, k], [0.0, 0.0]])
        excess, log_p = compare(inside, np.array([[rows - n, errors - k], [0, 0]]), past=False)
        exact = float(hypergeom.sf(k - 1, rows, errors, n))
        if excess > 0 and log_p < 0:
            assert exact * (1 - 1e-9) <= float(np.exp(log_p))
            if exact < 1e-3:
                assert float(np.exp(log_p)) < 1.5 * exact


def test_layouts_have_one_digest_if_their_counts_may_be_added() -> None:
    layout = SliceLayout.of(numbers(3))
    assert layout.digest == SliceLayout.of(numbers(3)).digest
    others = [
        SliceLayout.of(numbers(2)),
        SliceLayout.of(numbers(3), "loss"),
        SliceLayout.of(numbers(3), "loss", 2.0),
        SliceLayout.of(numbers(3), paired=2),
        SliceLayout.of([*numbers(2), Series("feature:f2", "number", edges=DECILES[1:])]),
    ]
    assert len({layout.digest, *(each.digest for each in others)}) == 6
    with pytest.raises(ValueError, match="scale"):
        SliceLayout.of(numbers(1), "loss", 0.0)


def test_copies_of_which_no_pairs_are_counted_are_both_named() -> None:
    generator = np.random.default_rng(13)
    layout = SliceLayout.of(numbers(4), paired=2)
    cells = rows(generator, 4, 10_000)
    cells[3] = cells[2]
    wrong = generator.random(10_000) < np.where(cells[2] == 2, 0.4, 0.1)
    found = search(layout, counted(layout, cells, wrong.astype(int)))
    assert names(found) == ["feature:f2 bin 3 of 10", "feature:f3 bin 3 of 10"]


def test_a_pair_is_not_named_a_second_time_through_a_copy_of_one_of_its_features() -> None:
    generator = np.random.default_rng(14)
    layout = SliceLayout.of(numbers(4))
    cells = rows(generator, 4, 30_000)
    cells[3] = np.where(generator.random(30_000) < 0.95, cells[0], cells[3])
    planted = (cells[0] < 2) & (cells[1] >= 7)
    wrong = generator.random(30_000) < np.where(planted, 0.5, 0.1)
    found = search(layout, counted(layout, cells, wrong.astype(int)))
    assert names(found) == ["feature:f0 bins 1-2 of 10 and feature:f1 bins 8-10 of 10"]


def test_two_pairs_with_a_feature_in_common_are_both_named() -> None:
    generator = np.random.default_rng(15)
    layout = SliceLayout.of(numbers(3), longest=2 * (1 + 3 * 12 + 2 * 16))
    assert layout.pairs == ((0, 1), (0, 2))
    cells = rows(generator, 3, 40_000)
    worse = (cells[0] < 2) & ((cells[1] >= 7) | (cells[2] < 2))
    wrong = generator.random(40_000) < np.where(worse, 0.5, 0.1)
    found = search(layout, counted(layout, cells, wrong.astype(int)))
    assert set(names(found)) >= {
        "feature:f0 bins 1-2 of 10 and feature:f1 bins 8-10 of 10",
        "feature:f0 bins 1-2 of 10 and feature:f2 bins 1-2 of 10",
    }


def test_without_features_and_segments_nothing_was_looked_at() -> None:
    assert search(SliceLayout.of([]), np.array([1_000, 100])) == Found((), 0, "rest", ())


def test_a_segment_is_held_against_its_own_past() -> None:
    layout = SliceLayout.of([])
    past = np.array([10_000, 1_000])
    before = {"plan=free": (5_000, 900), "plan=paid": (5_000, 100)}
    now = {"plan=free": (500, 95), "plan=paid": (500, 60)}
    found = search(layout, np.array([1_000, 155]), now, past=past, past_segments=before)
    assert names(found) == ["plan=paid"]
    assert found.slices[0].against == 0.02
    assert found.slices[0].lift == pytest.approx(6.0)


def test_counts_of_another_layout_are_refused() -> None:
    with pytest.raises(ValueError, match="integers"):
        search(SliceLayout.of(numbers(2)), np.zeros(7, int))
