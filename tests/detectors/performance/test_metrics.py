"""Metrics from counts: scikit-learn's on random outcomes, in any order of adding up; none where nothing is known."""

import re
from itertools import pairwise
from math import isfinite
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn

from detectors import performance
from detectors.performance.counting import Columns, count
from detectors.performance.layout import GRID, Layout
from detectors.performance.metrics import (
    REASONS,
    Z99,
    Insufficient,
    Metric,
    confusion,
    errors,
    lags,
    metric,
    metrics,
    names,
    per_class,
)
from detectors.performance.numbers import truth_moments
from detectors.samples.effects import Floats, Ints

BINARY = Layout.of("binary", ("no", "yes"), "yes")
NUMBER = Layout.of("number")


def value(layout: Layout, counts: Ints, name: str, **more: object) -> float:
    found = metric(layout, counts, name, **more)  # type: ignore[arg-type]
    assert isinstance(found, Metric), (name, found)
    assert found.low <= found.value <= found.high, (name, found)
    return found.value


def scored(seed: int, rows: int = 3_000, rate: float = 0.3) -> tuple[Ints, Ints, Floats]:
    random = np.random.default_rng(seed)
    truth = (random.random(rows) < rate).astype(np.int64)
    score = random.beta(2 + 2 * truth, 4)
    return truth, (score > 0.4).astype(np.int64), score


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("rate", [0.02, 0.3, 0.9])
def test_binary_metrics_are_those_of_scikit_learn(seed: int, rate: float) -> None:
    truth, said, score = scored(seed, rate=rate)
    counts = count(BINARY, Columns.of(3_000, labels=truth, predictions=said, scores=score))[0]
    (tn, fp), (fn, tp) = sklearn.confusion_matrix(truth, said).tolist()
    assert confusion(BINARY, counts) == {"no": {"no": tn, "yes": fp}, "yes": {"no": fn, "yes": tp}}
    assert errors(BINARY, counts) == (fp + fn, 3_000)
    exact = {
        "accuracy": sklearn.accuracy_score(truth, said),
        "error": sklearn.zero_one_loss(truth, said),
        "balanced_accuracy": sklearn.balanced_accuracy_score(truth, said),
        "precision": sklearn.precision_score(truth, said),
        "recall": sklearn.recall_score(truth, said),
        "f1": sklearn.f1_score(truth, said),
        "specificity": sklearn.recall_score(truth, said, pos_label=0),
        "false_positive_rate": fp / (fp + tn),
        "false_negative_rate": fn / (fn + tp),
        "positive_rate": said.mean(),
    }
    for name, expected in exact.items():
        assert value(BINARY, counts, name) == pytest.approx(expected, abs=1e-12), name
    quantised = {
        "log_loss": sklearn.log_loss(truth, np.clip(score, 1e-6, 1 - 1e-6)),
        "brier": sklearn.brier_score_loss(truth, score),
        "mean_score": score.mean(),
    }
    for name, expected in quantised.items():
        assert value(BINARY, counts, name) == pytest.approx(expected, abs=2**-21), name
    assert value(BINARY, counts, "cost", costs={"false_positive": 2, "false_negative": 7}) == (
        pytest.approx((2 * fp + 7 * fn) / 3_000)
    )


@pytest.mark.parametrize("seed", range(5))
def test_auc_differs_from_that_of_all_scores_by_at_most_half_of_the_ties_in_a_bin(
    seed: int,
) -> None:
    truth, said, score = scored(seed, rate=0.05)
    exact = sklearn.roc_auc_score(truth, score)
    quantiles = np.quantile(score, np.arange(1, 50) / 50)
    for edges in (BINARY.score_edges, quantiles):
        layout = Layout("binary", ("no", "yes"), 1, edges, label=BINARY.label)
        counts = count(layout, Columns.of(3_000, labels=truth, predictions=said, scores=score))[0]
        bins = layout.read(counts, "score") / layout.read(counts, "score").sum(0)
        found = metric(layout, counts, "auc")
        assert isinstance(found, Metric)
        assert abs(found.value - exact) <= (bins[:, 0] * bins[:, 1]).sum() / 2 + 1e-12
        assert abs(found.value - exact) < 0.003
        assert found.low < exact < found.high


def test_auc_of_scores_that_are_bin_values_is_exact() -> None:
    truth, said, score = scored(1)
    score = np.round(score, 2)
    score[score < 0.05] = 0.05
    counts = count(BINARY, Columns.of(3_000, labels=truth, predictions=said, scores=score))[0]
    assert value(BINARY, counts, "auc") == pytest.approx(sklearn.roc_auc_score(truth, score))


@pytest.mark.parametrize("edges", [BINARY.score_edges, np.arange(1, 50) / 50], ids=["fixed", "50"])
def test_calibration_error_is_the_plain_one_over_twenty_groups(edges: Floats) -> None:
    truth, said, score = scored(3)
    layout = Layout("binary", ("no", "yes"), 1, edges, label=BINARY.label)
    counts = count(layout, Columns.of(3_000, labels=truth, predictions=said, scores=score))[0]
    groups = np.searchsorted(np.arange(1, 20) / 20, score)  # cells are open below, closed above
    if len(edges) == 49:
        groups = np.searchsorted(edges, score) * 20 // 50
    plain = sum(abs(truth[groups == g].sum() - score[groups == g].sum()) for g in np.unique(groups))
    found = metric(layout, counts, "calibration_error")
    assert isinstance(found, Metric)
    assert found.value == pytest.approx(plain / 3_000, abs=1e-5)


def test_calibration_error_of_right_scores_is_what_chance_alone_makes() -> None:
    random = np.random.default_rng(5)
    score = random.random(2_000)
    found = []
    for _ in range(100):
        truth = (random.random(2_000) < score).astype(np.int64)
        counts = count(BINARY, Columns.of(2_000, labels=truth, predictions=truth, scores=score))[0]
        found.append(metric(BINARY, counts, "calibration_error"))
    assert all(isinstance(one, Metric) for one in found)
    value, chance, low = (
        np.mean([getattr(one, name) for one in found]) for name in ("value", "chance", "low")
    )
    assert value == pytest.approx(chance, rel=0.05)
    assert low == 0


@pytest.mark.parametrize("kinds", [3, 7, 60])
def test_metrics_of_many_classes_are_scikit_learns_macro_averages(kinds: int) -> None:
    random = np.random.default_rng(kinds)
    truth = random.integers(0, kinds, 4_000)
    said = np.where(random.random(4_000) < 0.7, truth, random.integers(0, kinds, 4_000))
    layout = Layout.of("classes", [f"class {k}" for k in range(kinds)])
    counts = count(layout, Columns.of(4_000, labels=truth, predictions=said))[0]
    assert value(layout, counts, "accuracy") == pytest.approx(sklearn.accuracy_score(truth, said))
    for name, of in (
        ("precision", sklearn.precision_score),
        ("recall", sklearn.recall_score),
        ("f1", sklearn.f1_score),
    ):
        expected = of(truth, said, average="macro", zero_division=np.nan)
        assert value(layout, counts, name) == pytest.approx(expected), name
    balanced = sklearn.balanced_accuracy_score(truth, said)
    assert value(layout, counts, "balanced_accuracy") == pytest.approx(balanced)
    each = per_class(layout, counts)
    recalls = sklearn.recall_score(truth, said, average=None)
    precisions = sklearn.precision_score(truth, said, average=None)
    for k in range(kinds):
        of_class = each[f"class {k}"]
        assert of_class["recall"][0] == pytest.approx(recalls[k])
        assert of_class["precision"][0] == pytest.approx(precisions[k])
    matrix = confusion(layout, counts)
    assert sum(sum(row.values()) for row in matrix.values()) == 4_000
    if kinds > 50:
        assert len(matrix) == 51
        assert sum(matrix["other"].values()) == (truth >= 50).sum()


def test_a_right_prediction_of_a_class_unknown_to_the_layout_is_right() -> None:
    layout = Layout.of("classes", ("a", "b"))
    truth, said = np.array([0, 1, 2, 3, 3] * 10), np.array([0, 0, 2, 2, 3] * 10)
    counts = count(layout, Columns.of(50, labels=truth, predictions=said))[0]
    assert errors(layout, counts) == (20, 50)
    assert confusion(layout, counts)["other"] == {"a": 0, "b": 0, "other": 30}


@pytest.mark.parametrize("size", [1e-8, 1.0, 3e5, 1e15])
@pytest.mark.parametrize("shift", [0.0, 1e3])
def test_regression_metrics_are_those_of_scikit_learn_at_any_size(
    size: float, shift: float
) -> None:
    random = np.random.default_rng(7)
    truth = (random.normal(size=3_000) + shift) * size
    said = truth + random.normal(0.1, 0.3, 3_000) * size
    counts = count(NUMBER, Columns.of(3_000, label_values=truth, prediction_values=said))[0]
    expected = {
        "mae": sklearn.mean_absolute_error(truth, said),
        "rmse": sklearn.root_mean_squared_error(truth, said),
        "mape": sklearn.mean_absolute_percentage_error(truth, said),
        "bias": float((said - truth).mean()),
        "r2": sklearn.r2_score(truth, said),
    }
    for name, number in expected.items():
        assert value(NUMBER, counts, name) == pytest.approx(number, rel=1e-5), name
    over, under = (float(np.clip(sign * (said - truth), 0, None).sum()) for sign in (1, -1))
    cost = value(NUMBER, counts, "cost", costs={"over": 3, "under": 1})
    assert cost == pytest.approx((3 * over + under) / 3_000, rel=1e-6)
    mean, variance, fourth = truth_moments(NUMBER, counts)
    assert mean == pytest.approx(truth.mean(), rel=1e-6, abs=1e-6 * size)
    assert variance == pytest.approx(truth.var(), rel=1e-5)
    if not shift:
        assert fourth == pytest.approx(((truth - mean) ** 4).mean(), rel=1e-3)


def test_numbers_near_the_largest_float_are_counted_as_beyond_and_stay_finite() -> None:
    truth = np.array([1.7e308, -1.7e308, 1.0, 5e-324, 0.0] * 10)
    said = np.array([-1.7e308, 1.7e308, 1.0, 0.0, -5e-324] * 10)
    counts = count(NUMBER, Columns.of(50, label_values=truth, prediction_values=said))[0]
    assert NUMBER.read(counts, "number").tolist() == [50, 20, 40]
    for name, found in metrics(NUMBER, counts, costs={"over": 1}).items():
        assert isinstance(found, Metric), name
        assert all(isfinite(part) for part in found), (name, found)


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.integers(-1, 3),
            st.integers(-1, 3),
            st.one_of(st.none(), st.floats(-1, 2)),
            st.one_of(st.none(), st.floats(allow_nan=False)),
            st.one_of(st.none(), st.floats(allow_nan=False)),
            st.sampled_from([1, 1, 1, -1]),
        ),
        max_size=80,
    ),
    st.integers(0, 2**32),
    st.sampled_from(["binary", "classes", "number", "feedback"]),
)
def test_any_order_and_grouping_gives_the_same_bits_and_only_numbers(
    rows: list[tuple[int, int, float | None, float | None, float | None, int]], seed: int, task: str
) -> None:
    layout = {
        "binary": BINARY,
        "classes": Layout.of("classes", ("a", "b", "c")),
        "number": NUMBER,
        "feedback": Layout.of("feedback"),
    }[task]
    n = len(rows)
    given = [np.array(column) for column in zip(*rows, strict=True)] or [np.zeros(0)] * 6
    floats = [np.array([np.nan if v is None else v for v in c], np.float64) for c in given[2:5]]
    columns = Columns.of(
        n,
        labels=given[0].astype(np.int64),
        predictions=given[1].astype(np.int64),
        scores=floats[0],
        losses=floats[0],
        label_values=floats[1],
        prediction_values=floats[2],
        weights=given[5].astype(np.int64),
        lag_ms=np.arange(n) * 3_600_000 - 1,
    )
    whole = count(layout, columns)[0]
    random = np.random.default_rng(seed)
    order, groups = random.permutation(n), random.integers(0, 4, n)
    parts = count(layout, columns.rows(order), groups, 4)
    assert (parts.sum(0) == whole).all()
    negated = columns._replace(weights=-columns.weights)
    assert not (count(layout, negated)[0] + whole).any()
    found = metrics(layout, whole, costs={"false_positive": 1, "over": 2})
    for name, one in found.items():
        assert all(isfinite(part) for part in one if not isinstance(part, str)), (name, one)
    assert set(found) | {"mean_loss"} == {*names(layout, costs=True), "mean_loss"}
    assert lags(layout, whole).sum() <= n


@pytest.mark.parametrize("layout", [BINARY, NUMBER, Layout.of("classes"), Layout.of("feedback")])
def test_no_labels_are_insufficient_and_never_a_number(layout: Layout) -> None:
    for name, found in metrics(layout, np.zeros(layout.total, np.int64)).items():
        assert isinstance(found, Insufficient), name
        assert found.n < found.need, (name, found)


def test_outcomes_that_were_all_taken_back_are_no_outcomes() -> None:
    truth, said, score = scored(1)
    some = Columns.of(3_000, labels=truth, predictions=said, scores=score)
    both = count(BINARY, some) + count(BINARY, some._replace(weights=-some.weights))
    assert not both.any()


def test_a_metric_needs_thirty_labels_and_ten_of_either_side() -> None:
    def counted(positives: int, negatives: int) -> Ints:
        truth = np.array([1] * positives + [0] * negatives)
        some = Columns.of(len(truth), labels=truth, predictions=truth, scores=truth / 2)
        counts: Ints = count(BINARY, some)[0]
        return counts

    assert metric(BINARY, counted(19, 10), "accuracy") == Insufficient("too_few_labels", 29, 30)
    few = counted(9, 1_000)
    assert isinstance(metric(BINARY, few, "accuracy"), Metric)
    for name in ("precision", "recall", "f1", "auc", "balanced_accuracy"):
        assert metric(BINARY, few, name) == Insufficient("too_few_positives", 9, 10), name
        many = counted(1_000, 9)
        assert metric(BINARY, many, name) == Insufficient("too_few_negatives", 9, 10), name


def test_a_class_that_is_never_predicted_has_no_precision() -> None:
    truth = np.arange(100) % 2
    counts = count(BINARY, Columns.of(100, labels=truth, predictions=0 * truth))[0]
    assert metric(BINARY, counts, "precision") == Insufficient("none_predicted", 0, 1)
    assert value(BINARY, counts, "recall") == 0
    assert value(BINARY, counts, "f1") == 0


def test_constant_scores_rank_nothing() -> None:
    truth = np.arange(100) % 2
    some = Columns.of(100, labels=truth, predictions=truth, scores=np.full(100, 0.5))
    assert value(BINARY, count(BINARY, some)[0], "auc") == 0.5


def test_perfect_metrics_are_not_certain() -> None:
    truth = np.arange(100) % 2
    some = Columns.of(100, labels=truth, predictions=truth, scores=np.where(truth, 0.99, 0.01))
    counts = count(BINARY, some)[0]
    for name in ("accuracy", "recall", "f1", "auc", "balanced_accuracy"):
        found = metric(BINARY, counts, name)
        assert isinstance(found, Metric)
        assert found.value == found.high == 1, name
        assert 0.9 < found.low < 0.99, (name, found)


def test_one_constant_truth_has_no_r2() -> None:
    truth = np.full(50, 3.0)
    counts = count(NUMBER, Columns.of(50, label_values=truth, prediction_values=truth))[0]
    assert metric(NUMBER, counts, "r2") == Insufficient("constant_truth", 1, 2)
    assert value(NUMBER, counts, "rmse") == 0


def test_scores_that_are_no_probabilities_have_a_rank_only() -> None:
    layout = Layout.of("binary", ("no", "yes"), "yes", score_range=(-5.0, 5.0))
    assert not {"log_loss", "brier", "calibration_error"} & set(names(layout))
    truth, said, score = scored(2)
    some = Columns.of(3_000, labels=truth, predictions=said, scores=score * 10 - 5)
    counts = count(layout, some)[0]
    exact = sklearn.roc_auc_score(truth, score)
    assert value(layout, counts, "auc") == pytest.approx(exact, abs=0.003)
    assert value(layout, counts, "mean_score") == pytest.approx((score * 10 - 5).mean(), abs=1e-4)
    assert metric(layout, counts, "brier") == Insufficient("not_for_task", 0, 0)


def test_the_score_of_a_task_without_positive_class_is_the_confidence_of_its_prediction() -> None:
    random = np.random.default_rng(0)
    layout = Layout.of("classes", ("a", "b", "c"))
    truth, sure = random.integers(0, 3, 5_000), random.uniform(1 / 3, 1, 5_000)
    said = np.where(random.random(5_000) < sure, truth, (truth + 1) % 3)
    some = Columns.of(5_000, labels=truth, predictions=said, scores=sure)
    counts = count(layout, some)[0]
    found = metric(layout, counts, "calibration_error")
    assert isinstance(found, Metric)
    assert found.low == 0
    overconfident = some._replace(scores=np.full(5_000, 0.9))
    found = metric(layout, count(layout, overconfident)[0], "calibration_error")
    assert isinstance(found, Metric)
    assert found.value == pytest.approx(0.9 - (truth == said).mean(), abs=1e-3)
    assert found.low > 0.1


def test_a_positive_class_among_many_is_set_against_all_others() -> None:
    random = np.random.default_rng(8)
    truth = random.integers(0, 4, 3_000)
    said = np.where(random.random(3_000) < 0.6, truth, random.integers(0, 4, 3_000))
    score = np.clip(0.2 + 0.3 * (truth == 2) + random.normal(0, 0.15, 3_000), 0, 1)
    layout = Layout.of("classes", ("a", "b", "c"), "c")  # the fourth is other
    counts = count(layout, Columns.of(3_000, labels=truth, predictions=said, scores=score))[0]
    is_c, said_c = truth == 2, said == 2
    assert value(layout, counts, "false_positive_rate") == pytest.approx(said_c[~is_c].mean())
    assert value(layout, counts, "false_negative_rate") == pytest.approx(1 - said_c[is_c].mean())
    assert value(layout, counts, "specificity") == pytest.approx(1 - said_c[~is_c].mean())
    assert value(layout, counts, "positive_rate") == pytest.approx(said_c.mean())
    exact = sklearn.roc_auc_score(is_c, score)
    assert value(layout, counts, "auc") == pytest.approx(exact, abs=0.003)
    brier = sklearn.brier_score_loss(is_c, score)
    assert value(layout, counts, "brier") == pytest.approx(brier, abs=2**-20)
    wrong = 3 * (said_c & ~is_c).mean() + 5 * (is_c & ~said_c).mean()
    costs = {"false_positive": 3, "false_negative": 5}
    assert value(layout, counts, "cost", costs=costs) == pytest.approx(wrong)


@pytest.mark.parametrize("layout", [BINARY, NUMBER], ids=["binary", "number"])
def test_the_interval_of_a_rule_is_wider_than_the_one_shown(layout: Layout) -> None:
    truth, said, score = scored(6)
    some = Columns.of(
        3_000,
        labels=truth,
        predictions=said,
        scores=score,
        label_values=truth + score,
        prediction_values=score,
    )
    counts = count(layout, some)[0]
    costs = {"false_positive": 1, "under": 1}
    ruled = metrics(layout, counts, costs=costs, z=Z99)
    for name, shown in metrics(layout, counts, costs=costs).items():
        rule = ruled[name]
        assert isinstance(shown, Metric)
        assert isinstance(rule, Metric)
        assert rule.value == shown.value
        assert rule.low < shown.low or shown.low == 0, name
        assert rule.high > shown.high or shown.high == 1, name


def test_without_scores_or_classes_there_is_less_to_show() -> None:
    plain = Layout("binary", ("no", "yes"), 1, label=BINARY.label)
    assert plain.scored is None
    assert not {"auc", "log_loss", "calibration_error", "mean_score"} & set(names(plain))
    nothing = np.zeros(NUMBER.total, np.int64)
    assert confusion(NUMBER, nothing) == {}
    assert truth_moments(NUMBER, nothing) == (0, 0, 0)
    with pytest.raises(ValueError, match="expected 308 counts"):
        metric(NUMBER, nothing[1:], "mae")


def test_feedback_beside_labels_has_a_mean_loss_of_its_own() -> None:
    truth, said, _ = scored(7, 200)
    lost = np.where(np.arange(200) < 100, 0.25, np.nan)
    some = Columns.of(200, labels=truth, predictions=said, losses=lost)
    counts = count(BINARY, some)[0]
    assert metrics(BINARY, counts)["mean_loss"] == Metric(0.25, 0.25, 0.25, 100)
    assert "mean_loss" not in metrics(BINARY, counts * 0)


def test_costs_that_nobody_wrote_are_insufficient() -> None:
    truth, said, _ = scored(7, 200)
    some = Columns.of(
        200,
        labels=truth,
        predictions=said,
        label_values=truth.astype(np.float64),
        prediction_values=said.astype(np.float64),
    )
    for layout in (BINARY, NUMBER):
        counts = count(layout, some)[0]
        assert metric(layout, counts, "cost") == Insufficient("no_costs", 0, 1)
    zeros = Columns.of(200, label_values=np.zeros(200), prediction_values=np.ones(200))
    assert metric(NUMBER, count(NUMBER, zeros)[0], "mape") == Insufficient("only_zeros", 0, 30)
    one = Columns.of(60, labels=np.zeros(60, np.int64), predictions=np.zeros(60, np.int64))
    classes = Layout.of("classes", ("a", "b"))
    assert metric(classes, count(classes, one)[0], "recall") == Insufficient("one_class", 1, 2)


def test_scores_below_any_confidence_are_not_taken_for_confidences() -> None:
    layout = Layout.of("classes", ("no", "yes"))
    truth, said, score = scored(4)
    counts = count(layout, Columns.of(3_000, labels=truth, predictions=said, scores=score))[0]
    found = metric(layout, counts, "calibration_error")
    assert isinstance(found, Insufficient)
    assert found.reason == "no_confidences"
    assert found.n < found.need


def test_every_reason_to_have_no_value_is_explained() -> None:
    package = Path(performance.__file__).parent
    given = {
        reason
        for file in package.glob("*.py")
        for reason in re.findall(r'Insufficient\(\s*"(\w+)"', file.read_text())
    }
    assert {"too_few_labels", "constant_truth"} < given
    assert given <= set(REASONS)


def test_fixed_score_bins_hold_every_twentieth_and_both_tails() -> None:
    assert {k / 20 for k in range(1, 20)} <= set(GRID)
    assert GRID[0] == 1e-6
    assert GRID[-1] == 1 - 1e-6
    assert all(a < b for a, b in pairwise(GRID))
