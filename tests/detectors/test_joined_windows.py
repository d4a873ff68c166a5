"""Do small windows that are judged together keep the budget where their rows depend on each other for longer?"""

from math import log

import numpy as np
import pytest

from detectors.binning import Binner, Column
from detectors.judging.decision import Memory, Plan, Policy, decide
from detectors.reference.build import build
from detectors.reference.frozen import Season
from detectors.reference.seasons import Seasonal
from detectors.samples.effects import Floats, Ints
from detectors.types import Window

SMALL = 40  # rows of a window; 200 are judged together
LASTING = 200  # rows that share an effect: as many as are judged together
FEATURES = 5


def rows(generator: np.random.Generator, count: int) -> Floats:
    """Numbers with an effect that is common to stretches of many windows."""
    shared = generator.normal(scale=0.2, size=(FEATURES, count // LASTING))
    return generator.normal(size=(FEATURES, count)) + shared.repeat(LASTING, axis=1)


def columns(values: Floats) -> list[Column]:
    odd = np.zeros(values.shape[1], bool)
    return [Column(f"feature:x{k}", "number", v, odd) for k, v in enumerate(values)]


def slots(count: int) -> Ints:
    """A season without a meaning: 24 windows, one after the other."""
    return np.arange(count) // SMALL % 24


@pytest.mark.rate
@pytest.mark.parametrize("season", [None, "hour_of_day"])
def test_effects_that_last_longer_than_a_window_raise_no_alarm(season: str | None) -> None:
    generator = np.random.default_rng(7)
    past, present = rows(generator, 48_000), rows(generator, 12_000)
    reference, _ = build(
        columns(past),
        np.arange(48_000),
        reference_id="r",
        model_id="m",
        model_version="1",
        source="seed",
        window_ms=SMALL,
        bins=10,
        season=season,
        seasonal=[Seasonal(Season("hour_of_day", "UTC"), slots(48_000))],
    )
    plan = Plan.compile(reference, "all", Policy(log(1000)), [f"feature:x{k}" for k in range(5)])
    windows = Binner(plan.series).count(columns(present), np.arange(12_000) // SMALL, 300).cells
    memory: Memory | None = None
    highest, judged = -np.inf, 0
    for at, counts in enumerate(windows):
        slot = at % 24 if season else 0
        window = Window(at * SMALL, (at + 1) * SMALL, SMALL, slot=slot)
        memory, verdict = decide(plan, memory, window, counts)
        assert verdict.alarm is not None
        highest = max(highest, verdict.alarm.log_statistic or -np.inf)
        judged = verdict.alarm.looks
    assert judged == 60
    assert highest < log(1000)
