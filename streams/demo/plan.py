"""What happens in the demonstration, and when? A seeded stream of loan applications with two known changes.

Everything follows from the seed: each hour has its own generator, so any hour can be made without those before it.
Times are event times; how fast the hours are played is somebody else's business.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
import numpy as np
from numpy.typing import NDArray

HOUR_MS = 3_600_000
START_MS = int(datetime(2025, 6, 2, tzinfo=UTC).timestamp()) * 1000  # a Monday, long past
EVENTS_PER_HOUR = 1000
DEFAULT_SEED = 7

_COUNTRIES = (("DE", 0.55), ("FR", 0.45))
_HOMES = (("rent", 0.42), ("mortgage", 0.36), ("own", 0.19), ("other", 0.03))
_PURPOSES = (
    ("car", 0.3),
    ("renovation", 0.22),
    ("consolidation", 0.2),
    ("education", 0.12),
    ("wedding", 0.09),
    ("medical", 0.07),
)
_TERMS = ((12, 0.1), (24, 0.22), (36, 0.33), (48, 0.2), (60, 0.15))
_NEW_HOME, _NEW_SHARE = "shared", 0.09

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of the stream. `feature` is what changes in it; None: nothing does."""

    name: str
    hours: int
    says: str
    feature: str | None = None
    retrains: bool = False  # whether the lifecycle's policy asks for a retraining


@dataclass(frozen=True, slots=True)
class Placed:
    """A phase with its place in event time, ``[start_ms, end_ms)``."""

    phase: Phase
    start_ms: int
    end_ms: int


REFERENCE = Phase("reference", 96, "the first four days: the reference is built from them")
PHASES = (
    Phase("quiet", 96, "four days in which nothing changes"),
    Phase("new unit", 24, "annual_income arrives in thousands", "annual_income", retrains=True),
    Phase("recovery", 36, "annual_income is back to normal"),
    Phase("new category", 24, f'a new value "{_NEW_HOME}" appears in home', "home"),
    Phase("recovery", 48, "home is back to normal"),
)


def placed(phases: Sequence[Phase] = PHASES) -> tuple[Placed, ...]:
    """The phases that are watched, one after another from the end of the reference on."""
    found, start_ms = [], START_MS + REFERENCE.hours * HOUR_MS
    for phase in phases:
        end_ms = start_ms + phase.hours * HOUR_MS
        found.append(Placed(phase, start_ms, end_ms))
        start_ms = end_ms
    return tuple(found)


def events(start_ms: int, phase: Phase, *, seed: int) -> list[bytes]:
    """The predictions of the hour that begins at `start_ms`, in order of event time, as JSON.

    Examples
    --------
    >>> hour = events(START_MS, REFERENCE, seed=1)
    >>> hour == events(START_MS, REFERENCE, seed=1), 900 < len(hour) < 1100
    (True, True)
    """
    hour = (start_ms - START_MS) // HOUR_MS
    random = np.random.Generator(np.random.PCG64([seed, hour]))
    count = int(random.poisson(EVENTS_PER_HOUR))
    times = np.sort(random.integers(0, HOUR_MS, count)) + start_ms
    income = np.round(random.lognormal(np.log(42_000), 0.45, count), -1)
    debt = np.round(random.beta(2.2, 4.0, count) * 1.2, 3)
    amount = np.round(random.lognormal(np.log(12_000), 0.6, count), -2)
    lines = random.poisson(5.0, count)
    term = _draw(random, _TERMS, count)
    home = _draw(random, _HOMES, count)
    purpose = _draw(random, _PURPOSES, count)
    employed = random.random(count) < 0.87
    country = _draw(random, _COUNTRIES, count)
    no_debt, no_job = random.random(count) < 0.02, random.random(count) < 0.01
    latency = np.round(random.gamma(6.0, 3.0, count), 1)
    moved = random.random(count) < _NEW_SHARE
    if phase.feature == "annual_income":
        income = income / 1000
    if phase.feature == "home":
        home = [_NEW_HOME if new else old for old, new in zip(home, moved.tolist(), strict=True)]
    score = _score(income, debt, amount, lines)
    encode = msgspec.json.Encoder().encode
    return [
        encode(
            {
                "event_id": f"loan-{seed}-{hour}-{row}",
                "model_id": "loan-default",
                "model_version": "2.3.1",
                "timestamp": time_ms,
                "features": {
                    "annual_income": of_income,
                    **({} if hidden_debt else {"debt_to_income": of_debt}),
                    "loan_amount": of_amount,
                    "term_months": of_term,
                    "credit_lines": of_lines,
                    "home": of_home,
                    **({} if hidden_job else {"employed": of_job}),
                    "purpose": of_purpose,
                },
                "prediction": "default" if of_score > 0.5 else "repaid",
                "score": of_score,
                "latency_ms": took,
                "tags": {"country": where},
            }
        )
        for row, (
            time_ms, of_income, of_debt, of_amount, of_term, of_lines, of_home, of_job, of_purpose, of_score,
            took, where, hidden_debt, hidden_job,
        ) in enumerate(
            zip(
                times.tolist(), income.tolist(), debt.tolist(), amount.tolist(), term, lines.tolist(), home,
                employed.tolist(), purpose, score.tolist(), latency.tolist(), country, no_debt.tolist(),
                no_job.tolist(), strict=True,
            )
        )
    ]  # fmt: skip


def _draw(
    random: np.random.Generator, shares: Sequence[tuple[object, float]], count: int
) -> list[object]:
    values = [value for value, _ in shares]
    places = random.choice(len(values), count, p=[share for _, share in shares])
    return [values[place] for place in places.tolist()]


def _score(income: Floats, debt: Floats, amount: Floats, lines: NDArray[np.int64]) -> Floats:
    """What the model says: a probability of default. Like trees, it goes no further than what it was trained on."""
    richer = np.clip(np.log(income / 42_000), -1.5, 1.5)
    larger = np.clip(np.log(amount / 12_000), -1.5, 1.5)
    logit = -1.6 - 1.1 * richer + 2.4 * (debt - 0.42) + 0.5 * larger + 0.05 * (lines - 5)
    rounded: Floats = np.round(1 / (1 + np.exp(-logit)), 4)
    return rounded
