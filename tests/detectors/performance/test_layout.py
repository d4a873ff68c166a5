"""Outcomes as integers: what a layout allows, which cell an outcome is in, and how large sums may become."""

import numpy as np
import pytest

from detectors.performance import counting
from detectors.performance.counting import Columns, count
from detectors.performance.layout import (
    GRID,
    LAG_EDGES_MS,
    LAGS,
    MOST_CLASSES,
    Layout,
    fixed_edges,
    label_series,
)
from detectors.performance.magnitude import LARGEST, MAGNITUDES, added, halves, magnitudes, rounded
from detectors.performance.metrics import labels, lags
from detectors.series import Series

BINARY = Layout.of("binary", ("no", "yes"), "yes")
LARGEST_TERM = 2**30


def test_the_blocks_fill_the_vector_one_after_the_other() -> None:
    for layout in (BINARY, Layout.of("classes", "abc"), Layout.of("number"), Layout.of("feedback")):
        ends = [0, *(layout.block(name).stop for name in layout.shapes)]
        assert [layout.block(name).start for name in layout.shapes] == ends[:-1]
        assert ends[-1] == layout.total


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"task": "ranking"}, "task: expected one of binary, classes, number, feedback"),
        ({"classes": ("a", "a")}, "distinct"),
        ({"classes": ("a", "b", "c")}, "two classes"),
        ({"positive": None}, "positive"),
        ({"positive": 2}, "one of the classes"),
        ({"score_range": (1.0, 1.0)}, "score_range: expected two ascending numbers"),
        ({"score_range": (0.0, float("inf"))}, "score_range"),
        ({"centre": float("nan")}, "centre: expected a finite number"),
        ({"task": "classes", "classes": tuple(map(str, range(MOST_CLASSES + 1)))}, "at most 500"),
    ],
)
def test_a_layout_that_means_nothing_is_refused(change: dict[str, object], said: str) -> None:
    plain: dict[str, object] = {"task": "binary", "classes": ("a", "b"), "positive": 1}
    with pytest.raises(ValueError, match=said):
        Layout(**(plain | change))  # type: ignore[arg-type]


def test_everything_that_fixes_the_meaning_is_in_the_digest() -> None:
    label = label_series(("a", "b"))
    edges = np.array([0.5])
    others = [
        Layout("binary", ("a", "b"), 1, edges, label=label),
        Layout("binary", ("a", "b"), 0, edges, label=label),
        Layout("binary", ("b", "a"), 1, edges, label=label),
        Layout("classes", ("a", "b"), 1, edges, label=label),
        Layout("binary", ("a", "b"), 1, np.array([0.6]), label=label),
        Layout("binary", ("a", "b"), 1, edges, (0.0, 2.0), label=label),
        Layout("number"),
        Layout("number", centre=1.0),
        Layout("number", loss=Series("loss", "number", edges=(1.0,))),
        Layout("number", loss=Series("loss", "number", edges=(2.0,))),
        Layout("number", label=Series("label", "number", edges=(1.0,))),
        Layout("number", label=Series("label", "number", support=(1.0, 2.0))),
        Layout("feedback"),
    ]
    assert len({layout.digest for layout in others}) == len(others)
    again = Layout("binary", ("a", "b"), 1, np.array([0.5]), label=label_series(("a", "b")))
    assert again.digest == others[0].digest


def test_settings_that_fit_a_reference_are_counted_in_its_layout() -> None:
    reference = Layout(
        "binary", ("yes", "no"), 0, np.array([0.5]), label=label_series(("yes", "no"))
    )
    assert Layout.of("binary", ("no", "yes"), "yes", reference=reference) is reference
    assert Layout.of("binary", (), "yes", reference=reference) is reference
    for task, classes, positive, score_range in (
        ("classes", ("no", "yes"), "yes", (0.0, 1.0)),
        ("binary", ("no", "yes"), "no", (0.0, 1.0)),
        ("binary", ("never", "yes"), "yes", (0.0, 1.0)),
        ("binary", ("no", "yes"), "yes", (0.0, 100.0)),
    ):
        other = Layout.of(task, classes, positive, score_range, reference)  # type: ignore[arg-type]
        assert other is not reference
        assert other.digest != reference.digest


def test_classes_beyond_five_hundred_are_other() -> None:
    layout = Layout.of("classes", [str(k) for k in range(600)])
    assert len(layout.classes) == MOST_CLASSES
    truth = np.arange(600)
    counts = count(layout, Columns.of(600, labels=truth, predictions=truth))[0]
    assert labels(layout, counts)[MOST_CLASSES] == 100
    assert layout.read(counts, "right")[0] == 600


def test_without_known_classes_an_answer_is_still_right_or_wrong() -> None:
    layout = Layout.of("classes")
    some = Columns.of(3, labels=np.array([0, 1, 1]), predictions=np.array([0, 1, 0]))
    assert layout.read(count(layout, some)[0], "right")[0] == 2


def test_a_label_as_old_as_a_bucket_s_end_is_in_it() -> None:
    ages = np.array([0, *LAG_EDGES_MS, LAG_EDGES_MS[0] + 1, LAG_EDGES_MS[-1] + 1, -1])
    counts = count(BINARY, Columns.of(len(ages), lag_ms=ages))[0]
    assert lags(BINARY, counts).tolist() == [2, 2, *[1] * 9, 1, 1]
    assert LAGS == 13


def test_a_score_on_an_edge_is_in_the_cell_below_it() -> None:
    layout = Layout("binary", ("no", "yes"), 1, np.array([0.2, 0.6]), label=BINARY.label)
    score = np.array([0.2, np.nextafter(0.2, 1), 0.6, 0.7, -3.0, np.nan, np.inf])
    some = Columns.of(7, labels=np.array([0, 1, 1, 1, 0, 1, 1]), scores=score)
    counts = count(layout, some)[0]
    assert layout.read(counts, "score").tolist() == [[2, 0], [0, 2], [0, 1]]
    assert layout.read(counts, "score_sum").tolist() == [209715, 838861, 734003]


def test_what_is_absent_is_counted_where_it_is_known_and_nowhere_else() -> None:
    some = Columns.of(
        5,
        labels=np.array([1, -1, 0, 2, 1]),
        predictions=np.array([-1, 1, 0, 2, 5]),
        losses=np.array([np.nan, 0.25, np.nan, 7.0, -1.0]),
    )
    counts = count(BINARY, some)[0]
    assert BINARY.read(counts, "rows").tolist() == [5]
    assert labels(BINARY, counts).tolist() == [1, 2, 1, 0]
    assert BINARY.read(counts, "confusion").tolist() == [[1, 0, 0, 0], [0, 0, 1, 1], [0, 0, 1, 0]]
    assert BINARY.read(counts, "right").tolist() == [2]
    assert BINARY.read(counts, "feedback").tolist() == [3, 2**18 + 2**20, 2**16 + 2**20]
    assert not BINARY.read(counts, "score").any()


def test_losses_and_truths_of_numbers_are_in_the_cells_of_the_reference() -> None:
    layout = Layout(
        "number",
        label=Series("label", "number", support=(1.0, 2.0)),
        loss=Series("loss", "number", edges=(0.5, 1.0)),
    )
    truth = np.array([1.0, 2.0, 2.0, 1.5, np.inf, np.nan, 1.0])
    said = np.array([1.5, 2.0, 9.0, np.nan, np.inf, 1.0, -np.inf])
    counts = count(layout, Columns.of(7, label_values=truth, prediction_values=said))[0]
    assert labels(layout, counts).tolist() == [2, 2, 2, 0]
    assert layout.read(counts, "loss").tolist() == [2, 0, 1, 2, 1]
    assert layout.read(counts, "number").tolist() == [3, 0, 3]


def test_two_thousand_million_outcomes_do_not_overflow_any_sum() -> None:
    worst = np.array([1e-9, 1 - 1e-9, 0.0, 1.0])
    layout = Layout.of("binary", ("no", "yes"), "yes")
    some = Columns.of(4, labels=np.array([1, 0, 1, 0]), scores=worst, losses=np.ones(4))
    terms = [count(layout, some)[0].max()]
    sizes = np.array([2.0**k * m for k in range(-80, 90) for m in (1, 1.999999, 2 - 2**-52)])
    number = Layout.of("number")
    for sign in (-1, 1):
        one = Columns.of(
            len(sizes), label_values=sign * sizes, prediction_values=np.zeros(len(sizes))
        )
        each = count(number, one, np.arange(len(sizes)), len(sizes))
        terms.append(np.abs(each).max())
    assert max(terms) <= LARGEST_TERM
    assert LARGEST_TERM * 2**31 < 2**63
    assert LARGEST_TERM * counting.MOST_ROWS <= 2**53


def test_more_outcomes_than_one_pass_takes_are_counted_once_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    random = np.random.default_rng(1)
    some = Columns.of(1_000, labels=random.integers(0, 2, 1_000), scores=random.random(1_000))
    groups = random.integers(0, 3, 1_000)
    whole = count(BINARY, some, groups, 3)
    monkeypatch.setattr(counting, "MOST_ROWS", 7)
    assert (count(BINARY, some, groups, 3) == whole).all()


@pytest.mark.parametrize("power", [1, 2])
def test_sums_by_magnitude_are_exact_to_the_rounding_of_each_number(power: int) -> None:
    values = np.abs(np.random.default_rng(2).normal(size=500)) * 10.0 ** np.arange(-10, 15).repeat(
        20
    )
    k, m = magnitudes(values)
    sums = np.zeros((MAGNITUDES, power), np.int64)
    for part, column in enumerate((m,) if power == 1 else halves(m * m)):
        np.add.at(sums[:, part], k, column)
    found = added(sums[:, 0] if power == 1 else sums, power)
    assert float(found) == pytest.approx(float((values**power).sum()), rel=2**-22)
    one_by_one = sum(
        added(np.where(np.arange(MAGNITUDES) == a, b, 0), 1) ** power
        for a, b in zip(k.tolist(), m.tolist(), strict=True)
    )
    assert found == one_by_one


def test_a_number_is_rounded_to_a_four_millionth_of_itself_between_the_ends() -> None:
    sizes = np.geomspace(2.0**-48, LARGEST, 10_001)
    k, m = magnitudes(sizes)
    read = m * 2.0 ** (8.0 * k - 70)
    assert (np.abs(read / sizes - 1) <= 2.0**-22).all()
    assert m.max() <= LARGEST_TERM
    assert rounded(np.array([3 * 2**29])).tolist() == [2]


def test_scores_of_a_wider_range_are_cut_at_the_same_shares_of_it() -> None:
    assert fixed_edges((0.0, 1.0)).tolist() == list(GRID)
    wide = fixed_edges((-10.0, 10.0))
    assert len(wide) == len(GRID)
    assert wide[0] == pytest.approx(-10 + 20e-6)
