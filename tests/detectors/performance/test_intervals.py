"""Do the intervals of metrics hold the truth as often as they say? Seeded simulations."""

from collections.abc import Callable

import numpy as np
import pytest

from detectors.performance.counting import Columns, count
from detectors.performance.layout import Layout
from detectors.performance.metrics import Metric, metrics
from detectors.samples.effects import Ints

RUNS = 300
ROWS = 400
MANY = 400_000  # rows that stand for the truth
COSTS = {"false_positive": 1.0, "false_negative": 5.0, "over": 1.0, "under": 3.0}
Draw = Callable[[np.random.Generator, int], Columns]


def rare(random: np.random.Generator, rows: int) -> Columns:
    """A tenth is positive; scores are right on average."""
    score = random.beta(0.6, 5.4, rows)
    truth = (random.random(rows) < score).astype(np.int64)
    return Columns.of(rows, labels=truth, predictions=(score > 0.3).astype(np.int64), scores=score)


def even(random: np.random.Generator, rows: int) -> Columns:
    """As many of either class, a good model."""
    truth = random.integers(0, 2, rows)
    score = random.beta(1 + 5 * truth, 6 - 5 * truth)
    return Columns.of(rows, labels=truth, predictions=(score > 0.5).astype(np.int64), scores=score)


def four(random: np.random.Generator, rows: int) -> Columns:
    """Four classes of unequal size, errors towards the next one."""
    truth = random.choice(4, rows, p=[0.5, 0.3, 0.15, 0.05])
    wrong = random.random(rows) < 0.25
    return Columns.of(rows, labels=truth, predictions=np.where(wrong, (truth + 1) % 4, truth))


def prices(random: np.random.Generator, rows: int) -> Columns:
    """Skewed truths, errors in proportion."""
    truth = random.lognormal(10, 0.4, rows)
    return Columns.of(
        rows,
        label_values=truth,
        prediction_values=truth * random.lognormal(0.02, 0.15, rows),
    )


def normal(random: np.random.Generator, rows: int) -> Columns:
    """Normal truths, normal errors."""
    truth = random.normal(50, 10, rows)
    return Columns.of(
        rows, label_values=truth, prediction_values=truth + random.normal(0.5, 4, rows)
    )


BINARY = Layout.of("binary", ("no", "yes"), "yes")


@pytest.mark.parametrize(
    ("layout", "draw"),
    [
        (BINARY, rare),
        (BINARY, even),
        (Layout.of("classes", "abcd"), four),
        (Layout.of("number"), prices),
        (Layout.of("number"), normal),
    ],
    ids=["rare", "even", "four", "prices", "normal"],
)
def test_the_interval_holds_the_truth_in_at_least_90_of_100_windows(
    layout: Layout, draw: Draw
) -> None:
    random = np.random.default_rng(11)
    groups = np.repeat(np.arange(RUNS), ROWS)
    windows: Ints = count(layout, draw(random, RUNS * ROWS), groups, RUNS)
    truths = {
        name: of
        for name, of in metrics(layout, count(layout, draw(random, MANY))[0], costs=COSTS).items()
        if isinstance(of, Metric)
    }
    held: dict[str, list[bool]] = {name: [] for name in truths}
    for window in windows:
        for name, found in metrics(layout, window, costs=COSTS).items():
            if isinstance(found, Metric):
                truth = truths[name].value
                if name == "calibration_error":  # a truth of about 0 is below any value
                    held[name].append(found.low <= truth)
                else:
                    held[name].append(found.low <= truth <= found.high)
    shares = {name: float(np.mean(inside)) for name, inside in held.items()}
    assert min(shares.values()) > 0.9, shares
