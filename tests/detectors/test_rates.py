"""Does the alarm keep its promise, and how fast is it? Short forms of NULL-50 and WEAK-50, seeded."""

from math import log

import numpy as np
import pytest

from detectors.effects import Floats, Ints
from detectors.scores import scores
from detectors.sequential import Panel, State, Watched, standing, step
from detectors.series import Series
from tests.detectors import cases

THRESHOLD = log(10_000)


def panel(generator: np.random.Generator, rows: int) -> tuple[Panel, Ints, list[Floats]]:
    """30 numbers, 10 flags, 10 categories of ten levels; the numbers' edges are deciles of a sample of 10,000."""
    kinds = [cases.number("n")] * 30 + [cases.flag("b")] * 10 + [cases.category("c", 10)] * 10
    shares = [_true_shares(generator, s) for s in kinds]
    blocks = [
        np.array([1000] * 10 + [0, 0]) if s.numeric else cases.drawn(generator, s, p, 10_000)
        for s, p in zip(kinds, shares, strict=True)
    ]
    reference = np.concatenate(blocks)
    watched, at = [], 0
    for s, block in zip(kinds, blocks, strict=True):
        found = scores(s, block, rows)
        watched.append(Watched(at, found, (1.0,) * len(found)))
        at += s.cells
    return Panel.compile(watched, reference, float(rows)), reference, shares


def _true_shares(generator: np.random.Generator, series: Series) -> Floats:
    """Of a number, what the cells between the deciles of a sample really hold."""
    if not series.numeric:
        return np.array([0.9, 0.1] if series.values == 2 else [0.1] * 10)
    spacings = generator.exponential(size=10_001)
    at = np.cumsum(spacings)[999::1000][:9] / spacings.sum()
    return np.diff([0.0, *at, 1.0])


def first_alarm(seed: int, rows: int, drift: float, limit: int) -> int | None:
    """Windows after the 20th until the alarm: None if there is none, negative before the drift of one number."""
    g = np.random.default_rng([2024, seed])
    of, reference, shares = panel(g, rows)
    state = State.start(of.usable.shape, reference)
    for t in range(limit):
        if t == 20 and drift:
            shares[0] = cases.normal(drift)
        counts = np.concatenate([np.r_[g.multinomial(rows, p), 0, 0] for p in shares])
        state = step(of, state, counts, t)
        if standing(of, state).log >= THRESHOLD:
            return t - 19
    return None


@pytest.mark.rate
@pytest.mark.parametrize("rows", [200, 1000])
def test_fifty_series_without_drift_raise_no_alarm(rows: int) -> None:
    assert [first_alarm(seed, rows, 0.0, 200) for seed in range(4)] == [None] * 4


@pytest.mark.rate
def test_a_quarter_deviation_in_one_of_fifty_series_is_found_in_two_windows() -> None:
    delays = [first_alarm(5000 + seed, 1000, 0.25, 30) for seed in range(6)]
    assert all(d is not None and 1 <= d <= 2 for d in delays), delays


@pytest.mark.rate
def test_a_tenth_of_a_deviation_is_found_in_five_windows_on_average() -> None:
    delays = [first_alarm(5000 + seed, 1000, 0.1, 60) for seed in range(10)]
    assert (
        np.mean([np.nan if d is None else d for d in delays]) <= 7
    )  # 10 runs: 5 and two standard errors
