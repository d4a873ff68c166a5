"""What happens in the demonstration, and when? A seeded stream of loan applications with three known changes.

Everything follows from the seed: each hour has its own generator, so any hour can be made without those before it.
Times are event times; how fast the hours are played is somebody else's business. What became of a loan is known some
hours after it was scored, as a label that names its prediction by `event_id` only.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

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
_LONGER_TERMS = ((12, 0.04), (24, 0.1), (36, 0.26), (48, 0.3), (60, 0.3))
_KNOWN_AFTER_H = (1, 7)  # how old a loan is when it is known what became of it
_HARDER_TIMES = 0.9  # logits by which more loans default, whatever the model says

Floats = NDArray[np.float64]
Asked = Literal["retrain", "evaluate"]


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of the stream. `series` is what changes in it; None: nothing does.

    `kind` is the problem that people must hear of, `asks` what the lifecycle's policy asks for because of it.
    """

    name: str
    hours: int
    says: str
    series: str | None = None
    kind: str = "data_drift"
    asks: Asked | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """A phase with its place in event time, ``[start_ms, end_ms)``."""

    phase: Phase
    start_ms: int
    end_ms: int


TERMS, DEBT = "feature:term_months", "feature:debt_to_income"
TRUTH = "truth"  # no input: what becomes of the loans
REFERENCE = Phase("reference", 96, "the first four days: the reference is built from them")
PHASES = (
    Phase("quiet", 96, "four days in which nothing changes"),
    Phase("longer terms", 24, "applicants ask for longer terms", TERMS, asks="evaluate"),
    Phase("recovery", 36, "terms are as they were"),
    Phase("upstream break", 12, "debt_to_income comes without values", DEBT, "data_quality"),
    Phase("recovery", 24, "debt_to_income is back"),
    Phase(
        "harder times",
        36,
        "the same applications, more defaults",
        TRUTH,
        "concept_drift",
        "retrain",
    ),
)


def placed(phases: Sequence[Phase] = PHASES) -> tuple[Placed, ...]:
    """The phases that are watched, one after another from the end of the reference on."""
    found, start_ms = [], first_days().end_ms
    for phase in phases:
        end_ms = start_ms + phase.hours * HOUR_MS
        found.append(Placed(phase, start_ms, end_ms))
        start_ms = end_ms
    return tuple(found)


def first_days() -> Placed:
    """The phase before all others, of which the reference is built."""
    return Placed(REFERENCE, START_MS, START_MS + REFERENCE.hours * HOUR_MS)


@dataclass(frozen=True, slots=True)
class Event:
    """One record: its key, its time and its JSON."""

    key: str
    time_ms: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Hour:
    """The predictions of an hour, in order of event time, and what became of them, in the same order."""

    predictions: tuple[Event, ...]
    labels: tuple[Event, ...]


def hour(start_ms: int, phase: Phase, *, seed: int) -> Hour:
    """The hour that begins at `start_ms`.

    Examples
    --------
    >>> first = hour(START_MS, REFERENCE, seed=1)
    >>> first == hour(START_MS, REFERENCE, seed=1), 900 < len(first.predictions) < 1100
    (True, True)
    """
    number = (start_ms - START_MS) // HOUR_MS
    random = np.random.Generator(np.random.PCG64([seed, number]))
    count = int(random.poisson(EVENTS_PER_HOUR))
    times = np.sort(random.integers(0, HOUR_MS, count)) + start_ms
    income = np.round(random.lognormal(np.log(42_000), 0.45, count), -1)
    debt = np.round(random.beta(2.2, 4.0, count) * 1.2, 3)
    amount = np.round(random.lognormal(np.log(12_000), 0.6, count), -2)
    lines = random.poisson(5.0, count)
    term = _draw(random, _LONGER_TERMS if phase.series == TERMS else _TERMS, count)
    home = _draw(random, _HOMES, count)
    purpose = _draw(random, _PURPOSES, count)
    employed = random.random(count) < 0.87
    country = _draw(random, _COUNTRIES, count)
    no_debt, no_job = random.random(count) < 0.02, random.random(count) < 0.01
    latency = np.round(random.gamma(6.0, 3.0, count), 1)
    truth = _logit(income, debt, amount, lines)
    luck = random.random(count)
    earliest, latest = (h * HOUR_MS for h in _KNOWN_AFTER_H)
    known = times + random.integers(earliest, latest, count)
    if phase.series == DEBT:
        no_debt = np.ones(count, bool)
    if phase.series == TRUTH:
        truth = truth + _HARDER_TIMES
    # where its debt is not known, an application is scored as the usual one
    score = _chance(_logit(income, np.where(no_debt, _USUAL_DEBT, debt), amount, lines))
    defaults = luck < _chance(truth)
    ids = [f"loan-{seed}-{number}-{row}" for row in range(count)]
    encode = msgspec.json.Encoder().encode
    predictions = tuple(
        Event(
            name,
            time_ms,
            encode(
                {
                    "event_id": name,
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
            ),
        )
        for (
            name, time_ms, of_income, of_debt, of_amount, of_term, of_lines, of_home, of_job, of_purpose, of_score,
            took, where, hidden_debt, hidden_job,
        ) in zip(
            ids, times.tolist(), income.tolist(), debt.tolist(), amount.tolist(), term, lines.tolist(), home,
            employed.tolist(), purpose, score.tolist(), latency.tolist(), country, no_debt.tolist(),
            no_job.tolist(), strict=True,
        )
    )  # fmt: skip
    labels = tuple(
        Event(
            name,
            known_ms,
            encode(
                {
                    "event_id": name,
                    "timestamp": known_ms,
                    "label": "default" if defaulted else "repaid",
                }
            ),
        )
        for name, known_ms, defaulted in zip(ids, known.tolist(), defaults.tolist(), strict=True)
    )
    return Hour(predictions, labels)


def hours(phases: Sequence[Placed], *, seed: int) -> Iterator[tuple[int, Placed, Hour]]:
    """The hours of phases one after another, each with the labels that became known in it, in order of their time."""
    due: defaultdict[int, list[Event]] = defaultdict(list)
    for place in phases:
        for start_ms in range(place.start_ms, place.end_ms, HOUR_MS):
            made = hour(start_ms, place.phase, seed=seed)
            for label in made.labels:
                due[label.time_ms // HOUR_MS].append(label)
            known = sorted(due.pop(start_ms // HOUR_MS, ()), key=lambda e: (e.time_ms, e.key))
            yield start_ms, place, Hour(made.predictions, tuple(known))


def _draw(
    random: np.random.Generator, shares: Sequence[tuple[object, float]], count: int
) -> list[object]:
    values = [value for value, _ in shares]
    places = random.choice(len(values), count, p=[share for _, share in shares])
    return [values[place] for place in places.tolist()]


_USUAL_DEBT = 0.42


def _logit(income: Floats, debt: Floats, amount: Floats, lines: NDArray[np.int64]) -> Floats:
    """How likely a default is. Like trees, it goes no further than what was trained on."""
    richer = np.clip(np.log(income / 42_000), -1.5, 1.5)
    larger = np.clip(np.log(amount / 12_000), -1.5, 1.5)
    found: Floats = (
        -1.6 - 1.1 * richer + 2.4 * (debt - _USUAL_DEBT) + 0.5 * larger + 0.05 * (lines - 5)
    )
    return found


def _chance(logit: Floats) -> Floats:
    rounded: Floats = np.round(1 / (1 + np.exp(-logit)), 4)
    return rounded
