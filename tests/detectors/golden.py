"""The streams behind the golden values: numbers that any language can make, cut into counts by hand."""

import itertools

import numpy as np

from detectors.samples.effects import Floats, Ints
from detectors.series import Series

REFERENCE_ROWS, ROWS, WINDOWS, DRIFT = 10_000, 1_000, 15, 11

SERIES = (
    Series("feature:number", "number", edges=tuple(b / 10 for b in range(1, 10))),
    Series("feature:binary", "boolean", categories=("false", "true")),
    Series("feature:category", "category", categories=("a", "b", "c", "d", "e")),
)
OFFSETS = (0, 12, 16)


def lcg(n: int, seed: int = 12345) -> Floats:
    """s <- (1103515245 s + 12345) mod 2^31; u = s / 2^31 after the step."""
    states = itertools.accumulate(
        range(n), lambda s, _: (1103515245 * s + 12345) % 2**31, initial=seed
    )
    return np.fromiter(itertools.islice(states, 1, None), np.float64) / 2**31


def windows(case: str) -> tuple[Ints, Ints]:
    """Counts of the reference, (23,), and of the 15 windows, (15, 23); `case` is what drifts from window 11 on."""
    u = lcg(4 * (REFERENCE_ROWS + ROWS * WINDOWS)).reshape(-1, 4)
    late = np.arange(len(u)) >= REFERENCE_ROWS + ROWS * (DRIFT - 1)
    first = np.where(late & (case == "numeric"), u[:, 0] * (1.2 - 0.2 * u[:, 0]), u[:, 0])
    number = np.minimum(np.floor(10 * first), 9).astype(int)
    number[late & (case == "missing") & (u[:, 3] < 0.01)] = 11
    binary = (u[:, 1] < np.where(late & (case == "binary"), 0.13, 0.1)).astype(int)
    category = np.searchsorted([0.4, 0.7, 0.9, 0.996], u[:, 2], side="right")
    cells = np.stack([number, binary + 12, category + 16], axis=1)
    starts = [0, *range(REFERENCE_ROWS, len(u) + 1, ROWS)]
    counts = np.stack(
        [np.bincount(cells[a:b].ravel(), minlength=23) for a, b in itertools.pairwise(starts)]
    )
    return counts[0], counts[1:]
