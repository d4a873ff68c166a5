"""Outcomes made by hand, as vectors in small layouts."""

import numpy as np

from detectors.performance.layout import Layout
from detectors.samples.effects import Ints
from detectors.series import Series
from detectors.types import Window

DAY = 86_400_000
BINARY = Layout.of("binary", ("no", "yes"), positive="yes")


def binary(right: int, wrong: int, yes: float = 0.5) -> Ints:
    """So many right and wrong predictions of a binary model; a share `yes` of the truths is yes."""
    counts = np.zeros(BINARY.total, np.int64)
    right_yes, wrong_yes = round(right * yes), round(wrong * yes)
    BINARY.read(counts, "confusion")[:2, :2] = [
        [right - right_yes, wrong - wrong_yes],
        [wrong_yes, right_yes],
    ]
    BINARY.read(counts, "right")[:] = right
    BINARY.read(counts, "label")[:2] = [
        right + wrong - right_yes - wrong_yes,
        right_yes + wrong_yes,
    ]
    BINARY.read(counts, "rows")[:] = right + wrong
    return counts


def window(day: int, events: int = 1) -> Window:
    return Window(day * DAY, (day + 1) * DAY, events)


def number_layout(loss: Series, label: Series) -> Layout:
    """Of a regression whose loss and truth are cut into these cells."""
    return Layout("number", label=label, loss=loss)
