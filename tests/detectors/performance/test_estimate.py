"""Estimates before labels: against plain formulas on rows, against the truth, and whether they can be believed."""

from itertools import permutations
from math import isfinite

import numpy as np
import pytest

from detectors.performance import counting
from detectors.performance.calibrated import Calibration, calibrate
from detectors.performance.estimate import Estimate, Estimates, estimate
from detectors.performance.layout import Layout, Task, label_series
from detectors.performance.measured import Insufficient, Metric
from detectors.performance.metrics import metrics
from detectors.performance.trust import Check, check, reliability
from detectors.performance.unlabelled import EstimateLayout, count
from detectors.samples.effects import Floats, Ints

COSTS = {"false_positive": 1.0, "false_negative": 5.0}


def chance(scores: Floats) -> Floats:
    """What scores are worth in this world: they are too sure of themselves."""
    return np.asarray(1 / (1 + np.exp(-(0.7 * np.log(scores / (1 - scores)) - 0.2))))


def drawn(generator: np.random.Generator, n: int, shift: float = 0.0) -> tuple[Floats, Ints]:
    scores = 1 / (1 + np.exp(-generator.normal(shift - 1, 1.5, n)))
    return scores, (generator.random(n) < chance(scores)).astype(np.int64)


def layout_of(scores: Floats) -> Layout:
    edges = np.unique(np.quantile(scores, np.arange(1, 50) / 50))
    return Layout("binary", ("no", "yes"), 1, edges, label=label_series(("no", "yes")))


def outcomes(layout: Layout, scores: Floats, labels: Ints, threshold: float = 0.5) -> Ints:
    said = (scores > threshold).astype(np.int64)
    columns = counting.Columns.of(len(scores), labels=labels, predictions=said, scores=scores)
    return np.asarray(counting.count(layout, columns)[0])


def predictions(layout: Layout, scores: Floats, threshold: float = 0.5) -> Ints:
    said = (scores > threshold).astype(np.int64)
    of = np.zeros(len(scores), int)
    return np.asarray(count(EstimateLayout(layout), said, scores, of, 1)[0])


def estimated(
    layout: Layout, calibration: Calibration | Insufficient, scores: Floats, threshold: float = 0.5
) -> Estimates:
    counts = predictions(layout, scores, threshold)
    return estimate(EstimateLayout(layout), calibration, counts, COSTS)


def only(answer: Estimate | Insufficient) -> Estimate:
    assert isinstance(answer, Estimate), answer
    return answer


def test_estimates_equal_the_formulas_on_rows_within_the_resolution_of_bins() -> None:
    generator = np.random.default_rng(1)
    before, labels = drawn(generator, 400_000)
    layout = layout_of(before)
    scores, _ = drawn(generator, 50_000, 0.7)
    found = estimated(layout, calibrate(layout, outcomes(layout, before, labels, 0.4)), scores, 0.4)
    # Confidence-based estimation as it is written down for rows, with the calibration that is true here.
    c, said = chance(scores), scores > 0.4
    tp, fp = float(c[said].sum()), float((1 - c[said]).sum())
    fn, tn = float(c[~said].sum()), float((1 - c[~said]).sum())
    order = np.argsort(scores)
    misses = np.cumsum(1 - c[order])
    plain = {
        "accuracy": (tp + tn) / len(scores),
        "balanced_accuracy": (tp / (tp + fn) + tn / (tn + fp)) / 2,
        "precision": tp / (tp + fp),
        "recall": tp / (tp + fn),
        "f1": 2 * tp / (2 * tp + fp + fn),
        "false_positive_rate": fp / (fp + tn),
        "false_negative_rate": fn / (tp + fn),
        "cost": (fp + 5 * fn) / len(scores),
        "auc": float((c[order] * misses).sum()) / ((tp + fn) * (fp + tn)),
        "log_loss": -float((c * np.log(scores) + (1 - c) * np.log(1 - scores)).mean()),
        "brier": float((c * (1 - scores) ** 2 + (1 - c) * scores**2).mean()),
    }
    assert {*found.metrics} == {*plain}
    for name, value in plain.items():
        answer = only(found.metrics[name])
        assert answer.value == pytest.approx(value, abs=0.004 + 2 * answer.calibration), name
    assert found.outside == 0


@pytest.mark.parametrize(("m", "n", "shift"), [(3_000, 2_000, 1.5), (10_000, 5_000, -1.0)])
def test_intervals_hold_the_later_truth_under_covariate_shift(m: int, n: int, shift: float) -> None:
    runs = 120
    held: dict[str, int] = {}
    for run in range(runs):
        generator = np.random.default_rng([2, run])
        before, labels = drawn(generator, m)
        layout = layout_of(before)
        scores, later = drawn(generator, n, shift)
        found = estimated(layout, calibrate(layout, outcomes(layout, before, labels)), scores)
        truth = metrics(layout, outcomes(layout, scores, later), costs=COSTS)
        for name, answer in found.metrics.items():
            real = truth[name]
            assert isinstance(real, Metric)
            inside = only(answer).low <= real.value <= only(answer).high
            held[name] = held.get(name, 0) + inside
    assert min(held.values()) >= 0.95 * runs - 3 * np.sqrt(0.05 * 0.95 * runs), held


def test_an_estimate_after_covariate_shift_agrees_with_the_truth_and_after_concept_shift_does_not() -> (
    None
):
    generator = np.random.default_rng(3)
    before, labels = drawn(generator, 10_000)
    layout = layout_of(before)
    calibration = calibrate(layout, outcomes(layout, before, labels))
    scores, later = drawn(generator, 5_000, 1.0)
    found = estimated(layout, calibration, scores)
    truth = metrics(layout, outcomes(layout, scores, later))
    flipped = np.where(generator.random(5_000) < 0.15, 1 - later, later)
    worse = metrics(layout, outcomes(layout, scores, flipped))
    for name in ("accuracy", "recall", "precision", "f1", "false_positive_rate", "auc", "brier"):
        agreed = check(name, found.metrics[name], truth[name])
        assert agreed.outcome == "agrees", agreed
        assert reliability([agreed], found.outside).state == "confirmed"
        wrong = check(name, found.metrics[name], worse[name])
        assert wrong.outcome == "optimistic", wrong
        assert reliability([agreed, wrong], found.outside).state == "unreliable"


def test_a_truth_better_than_the_estimate_is_called_pessimistic_for_every_direction() -> None:
    sure = Estimate(0.5, 0.49, 0.51, 10_000, 0.004, 0.003)
    higher, lower = Metric(0.6, 0.59, 0.61, 10_000), Metric(0.4, 0.39, 0.41, 10_000)
    assert check("recall", sure, higher).outcome == "pessimistic"
    assert check("recall", sure, lower).outcome == "optimistic"
    assert check("brier", sure, lower).outcome == "pessimistic"
    assert check("false_positive_rate", sure, higher).outcome == "optimistic"


def test_a_small_bias_of_several_windows_is_seen_when_one_alone_does_not_show_it() -> None:
    hoped = Estimate(0.90, 0.88, 0.92, 400, 0.015, 0.004)
    one = check("accuracy", hoped, Metric(0.86, 0.825, 0.895, 400))
    assert one.outcome == "agrees"
    assert reliability([one]).state == "confirmed"
    found = reliability([one, one, one])
    assert found.state == "unreliable"
    assert found.reasons == ("the truth of the last 3 windows was worse than estimated",)


def test_an_estimate_that_was_mostly_wrong_is_unreliable_although_the_last_window_agrees() -> None:
    low = Check("accuracy", "pessimistic", 0.72, 0.77, -0.05, (0.005, 0.008), 0.02, 2_000)
    high = Check("accuracy", "optimistic", 0.80, 0.76, 0.04, (0.005, 0.008), 0.02, 2_000)
    right = Check("accuracy", "agrees", 0.77, 0.77, 0.0, (0.005, 0.008), 0.02, 2_000)
    assert reliability([low, high, right]).reasons == (
        "the truth was not as estimated in 2 of the last 3 windows",
    )
    assert reliability([low, high, right, right]).state == "confirmed"


def test_dependent_labels_are_allowed_to_be_further_off() -> None:
    hoped = Estimate(0.90, 0.89, 0.91, 4_000, 0.004, 0.003)
    real = Metric(0.87, 0.86, 0.88, 4_000)
    assert check("accuracy", hoped, real).outcome == "optimistic"
    assert check("accuracy", hoped, real, phi=9.0).outcome == "agrees"


def test_what_was_never_checked_is_not_called_reliable_and_a_changed_relation_makes_it_unreliable() -> (
    None
):
    nothing = check(
        "accuracy", Insufficient("uncalibrated", 0, 200), Metric(0.9, 0.89, 0.91, 5_000)
    )
    assert nothing.outcome == "not_comparable"
    assert reliability([nothing]).state == "unchecked"
    agreed = Check("accuracy", "agrees", 0.9, 0.9, 0.0, (0.003, 0.004), 0.02, 5_000)
    assert reliability([agreed]).state == "confirmed"
    assert reliability([agreed], relation_changed=True).state == "unreliable"
    assert reliability([agreed], outside=0.1).reasons == (
        "10% of the predictions have scores the reference hardly knew",
    )


def test_scores_that_the_reference_never_had_are_outside() -> None:
    generator = np.random.default_rng(4)
    before = generator.uniform(0.1, 0.4, 5_000)
    labels = (generator.random(5_000) < before).astype(np.int64)
    layout = layout_of(before)
    calibration = calibrate(layout, outcomes(layout, before, labels, 0.2))
    same = estimated(layout, calibration, generator.uniform(0.1, 0.4, 2_000), 0.2)
    high = estimated(layout, calibration, generator.uniform(0.3, 0.9, 2_000), 0.2)
    low = estimated(layout, calibration, generator.uniform(0.0, 0.12, 2_000), 0.2)
    assert same.outside == 0
    assert high.outside > 0.8
    assert low.outside > 0.8


def test_scores_that_rank_the_wrong_way_round_are_read_as_they_are() -> None:
    generator = np.random.default_rng(5)
    before, labels = drawn(generator, 20_000)
    layout = layout_of(before)
    calibration = calibrate(layout, outcomes(layout, before, 1 - labels))
    scores, later = drawn(generator, 5_000, 0.5)
    found = estimated(layout, calibration, scores)
    truth = metrics(layout, outcomes(layout, scores, 1 - later))
    for name in ("accuracy", "auc", "recall"):
        assert check(name, found.metrics[name], truth[name]).outcome == "agrees"
    assert only(found.metrics["auc"]).value < 0.3


def test_the_confidence_of_many_classes_estimates_accuracy_and_nothing_else() -> None:
    generator = np.random.default_rng(6)
    classes = ("a", "b", "c")
    layout = Layout.of("classes", classes)
    calibration: Calibration | Insufficient = Insufficient("uncalibrated", 0, 200)
    for shift, agreeing in ((0.0, True), (0.15, True)):
        n = 20_000
        sure = np.clip(generator.beta(5, 3, n) + shift, 0.34, 1)
        said = generator.integers(0, 3, n)
        right = generator.random(n) < 0.1 + 0.85 * sure
        columns = counting.Columns.of(
            n, labels=np.where(right, said, (said + 1) % 3), predictions=said, scores=sure
        )
        counts = counting.count(layout, columns)[0]
        if not shift:
            calibration = calibrate(layout, counts)
        of = EstimateLayout(layout)
        found = estimate(of, calibration, count(of, said, sure, np.zeros(n, int), 1)[0])
        assert list(found.metrics) == ["accuracy"]
        checked = check("accuracy", found.metrics["accuracy"], metrics(layout, counts)["accuracy"])
        assert (checked.outcome == "agrees") == agreeing


def test_predictions_without_a_class_count_for_what_needs_only_scores() -> None:
    generator = np.random.default_rng(7)
    before, labels = drawn(generator, 5_000)
    layout = layout_of(before)
    of = EstimateLayout(layout)
    counts = count(of, np.full(500, -1), drawn(generator, 500)[0], np.zeros(500, int), 1)[0]
    found = estimate(of, calibrate(layout, outcomes(layout, before, labels)), counts)
    assert found.metrics["accuracy"] == Insufficient("too_few_predictions", 0, 30)
    assert only(found.metrics["auc"]).n == 500


def test_counts_of_predictions_are_the_same_for_any_split_in_any_order() -> None:
    generator = np.random.default_rng(8)
    scores, said = drawn(generator, 3_000)
    scores[::7] = np.nan
    scores[::11] = np.inf
    layout = EstimateLayout(layout_of(scores[np.isfinite(scores)]))
    said, of = said - (generator.random(3_000) < 0.1), generator.integers(0, 4, 3_000)
    whole = count(layout, said, scores, of, 4)
    for order in permutations(np.array_split(generator.permutation(3_000), 3)):
        assert np.array_equal(
            sum(count(layout, said[p], scores[p], of[p], 4) for p in order), whole
        )
    assert whole.sum(0)[-1] == (~np.isfinite(scores)).sum()


@pytest.mark.parametrize(
    ("scores", "labels"),
    [
        (np.full(1_000, 0.5), np.arange(1_000) % 2),
        (np.arange(1_000) / 1_000, (np.arange(1_000) >= 500).astype(np.int64)),
        (np.repeat([0.0, 1.0], 500), np.arange(1_000) % 3 // 2),
    ],
    ids=["one score", "perfect scores", "only 0 and 1"],
)
def test_extreme_scores_give_finite_numbers_or_a_reason(scores: Floats, labels: Ints) -> None:
    layout = Layout.of("binary", ("no", "yes"), "yes")
    calibration = calibrate(layout, outcomes(layout, scores, labels))
    for current in (scores, scores[:30], scores[:5], np.zeros(100), np.ones(100)):
        for answer in estimated(layout, calibration, current).metrics.values():
            if isinstance(answer, Estimate):
                assert all(map(isfinite, answer))
                assert answer.low <= answer.value <= answer.high
            else:
                assert answer.n < answer.need


def test_without_calibration_every_metric_says_why() -> None:
    layout = Layout.of("binary", ("no", "yes"), "yes")
    empty = calibrate(layout, np.zeros(layout.total, np.int64))
    found = estimated(layout, empty, np.full(100, 0.5))
    assert {*found.metrics.values()} == {Insufficient("uncalibrated", 0, 200)}
    few = outcomes(layout, np.full(300, 0.2), (np.arange(300) < 4).astype(np.int64))
    assert calibrate(layout, few) == Insufficient("uncalibrated", 4, 10)
    unscored = Layout("binary", ("no", "yes"), 1)
    why = calibrate(unscored, np.zeros(unscored.total, np.int64))
    assert why == Insufficient("uncalibrated", 0, 200)
    tasks: tuple[Task, ...] = ("number", "feedback")
    for task in tasks:
        other = Layout.of(task)
        why = calibrate(other, np.zeros(other.total, np.int64))
        assert why == Insufficient("not_for_task", 0, 0)
        assert EstimateLayout(other).total == 0
        none = count(EstimateLayout(other), np.zeros(1, int), np.zeros(1), np.zeros(1, int), 2)
        assert none.shape == (2, 0)
        assert estimate(EstimateLayout(other), why, none[0]).metrics == {"accuracy": why}


def test_dependence_widens_the_intervals() -> None:
    generator = np.random.default_rng(9)
    before, labels = drawn(generator, 5_000)
    layout = layout_of(before)
    counts, reference = predictions(layout, before), outcomes(layout, before, labels)
    of = EstimateLayout(layout)
    for name, answer in estimate(of, calibrate(layout, reference), counts).metrics.items():
        wide = only(estimate(of, calibrate(layout, reference, 4.0), counts, phi=4.0).metrics[name])
        assert wide.value == only(answer).value
        assert wide.sampling == pytest.approx(2 * only(answer).sampling)
        assert wide.calibration == pytest.approx(2 * only(answer).calibration)
