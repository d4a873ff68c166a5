"""Does the alarm keep its promise, and how fast is it? Short forms of NULL-50 and WEAK-50, seeded."""

from math import log

import numpy as np
import pytest
from scipy import signal

from detectors.alarm.scores import scores
from detectors.alarm.sequential import Panel, State, Watched, dispersion, standing, step
from detectors.samples.effects import Floats, Ints
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


def dependent(generator: np.random.Generator, windows: int, coefficient: float) -> list[Ints]:
    """Windows of a thousand rows of ten numbers, each of which is autoregressive over its rows."""
    noise = generator.normal(size=(windows * 1000, 10)) * np.sqrt(1 - coefficient**2)
    x = signal.lfilter([1.0], [1.0, -coefficient], noise, axis=0)
    cells = np.searchsorted(cases.DECILES, x) + 12 * np.arange(10)
    return [np.bincount(c.ravel(), minlength=120) for c in cells.reshape(windows, -1)]


def alarms(seed: int, coefficient: float, *, calibrated: bool) -> bool:
    """Whether 100 drift-free windows after a reference of 30 raise an alarm at A = 1,000."""
    g = np.random.default_rng([7, seed])
    series = cases.number("n")
    counts = dependent(g, 130, coefficient)
    reference = np.add.reduce(counts[:30])
    watched = []
    for at in range(0, 120, 12):
        found = scores(series, reference[at : at + 12], 1000)
        blocks = np.stack([c[at : at + 12] for c in counts[:30]])
        phi = tuple(dispersion(blocks, s) if calibrated else 1.0 for s in found)
        watched.append(Watched(at, found, phi))
    of = Panel.compile(watched, reference, 1000.0)
    state = State.start(of.usable.shape, reference)
    for t, c in enumerate(counts[30:]):
        state = step(of, state, c, t)
        if standing(of, state).log >= log(1000):
            return True
    return False


@pytest.mark.rate
@pytest.mark.parametrize("coefficient", [0.2, 0.5, 0.8])
def test_dependent_rows_raise_no_alarm_once_the_reference_showed_how_dependent(
    coefficient: float,
) -> None:
    assert sum(alarms(seed, coefficient, calibrated=True) for seed in range(4)) == 0


@pytest.mark.rate
def test_dependent_rows_taken_as_independent_raise_alarms() -> None:
    assert sum(alarms(seed, 0.8, calibrated=False) for seed in range(3)) == 3
