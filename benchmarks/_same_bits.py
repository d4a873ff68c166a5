"""Are the figures the same however the events are cut, and those of the specification? MERGE and the golden values.

MERGE: the rows of the same windows, in any order, partitions and batches, add up to the same counts and so to the same
log M; a memory written to JSON and read again at any window goes on to the same bits. The golden values are digits
that an independent implementation printed: of the e-detectors, river's detectors and the effects.
"""

import json
from collections.abc import Iterator
from math import log
from statistics import NormalDist

import numpy as np

from benchmarks import _panel
from benchmarks._figures import Figure, Options
from benchmarks._panel import FIRST
from detectors import effects
from detectors.binning import Binner, Column
from detectors.decision import Policy, decide, from_data, to_data
from detectors.effects import Floats, Ints
from detectors.labels import Labels
from detectors.losses import Bernoulli, tolerated
from detectors.memory import Memory
from detectors.plan import Plan
from detectors.reference import build
from detectors.types import Verdict, Window
from detectors.values import Adwin, Ddm, HddmA, HddmW, PageHinkley

ROWS, WINDOWS = 500, 24


def merge(options: Options) -> Iterator[Figure]:
    """The same events in other orders, cut in other ways, with restarts."""
    tries = options.of(20, 3)
    plan, columns = _planned()
    expected = _logs(plan, _counts(plan, columns, np.arange(ROWS * WINDOWS), [ROWS * WINDOWS]))
    same = restarted = True
    for i in range(tries):
        generator = np.random.default_rng([2024, FIRST, i])
        order = generator.permutation(ROWS * WINDOWS)  # across windows as well
        cuts = np.diff(
            [0, *sorted(generator.integers(0, len(order), 1 + 7 * i).tolist()), len(order)]
        )
        counts = _counts(plan, columns, order, cuts.tolist())
        same = same and _logs(plan, counts) == expected
        stops = set(generator.integers(0, WINDOWS, 6).tolist())
        restarted = restarted and _logs(plan, counts, stops) == expected
    for case, met in (
        (f"{tries} random orders, partitions and batches of the same windows", same),
        (f"{tries} times killed and restored from JSON at random windows", restarted),
    ):
        yield Figure(
            "MERGE", case, "log M: same bits" if met else "log M differs", "same bits", met
        )


def _planned() -> tuple[Plan, list[Column]]:
    """Two numbers and a category; the category's shares move in the second half."""
    generator = np.random.default_rng([2024, FIRST])
    total = 20_000 + ROWS * WINDOWS
    levels = np.where(
        np.arange(total) < total - ROWS * WINDOWS // 2,
        generator.integers(0, 5, total),
        generator.integers(0, 4, total),
    )
    columns = [
        Column("feature:x", "number", generator.normal(size=total), np.zeros(total, bool)),
        Column("feature:y", "number", generator.exponential(size=total), np.zeros(total, bool)),
        Column("feature:c", "category", [f"level {c}" for c in levels], np.zeros(total, bool)),
    ]
    past = [Column(c.name, c.type, c.values[:20_000], c.odd[:20_000]) for c in columns]
    reference, _ = build(
        past,
        np.arange(20_000),
        reference_id="r",
        model_id="m",
        model_version="1",
        source="seed",
        window_ms=ROWS,
    )
    plan = Plan.compile(reference, "all", Policy(log(1e4)), [c.name for c in columns])
    return plan, [Column(c.name, c.type, c.values[20_000:], c.odd[20_000:]) for c in columns]


def _counts(plan: Plan, columns: list[Column], order: Ints, cuts: list[int]) -> Ints:
    """The windows' counts, from events in this order, added up batch by batch."""
    binner, total = Binner(plan.series), np.zeros((WINDOWS, plan.cells), np.int64)
    at = 0
    for size in cuts:
        rows = order[at : at + size]
        at += size
        batch = [
            Column(
                c.name,
                c.type,
                c.values[rows] if isinstance(c.values, np.ndarray) else [c.values[r] for r in rows],
                c.odd[rows],
            )
            for c in columns
        ]
        total += binner.count(batch, rows // ROWS, WINDOWS).cells
    return total


def _logs(plan: Plan, windows: Ints, restarts: set[int] | None = None) -> list[Verdict]:
    """The verdicts, log M to the last published digit and every effect in them."""
    memory: Memory | None = None
    out = []
    for at, counts in enumerate(windows):
        if memory is not None and at in (restarts or set()):
            kept = json.loads(json.dumps(to_data(plan, memory)))
            memory, _ = from_data(plan, kept, memory.history)
        memory, verdict = decide(plan, memory, Window(at * ROWS, (at + 1) * ROWS, ROWS), counts)
        out.append(verdict)
    return out


def golden(options: Options) -> Iterator[Figure]:
    """Digits of §6.2 that need no more than a generator; the window stream is in tests/detectors."""
    del options
    for name, got, wanted in (*_detections(), *_logs_of_labels(), *_effects()):
        met = got == wanted
        yield Figure("golden values", name, _told(got), "the same" if met else _told(wanted), met)


def _told(values: tuple[float, ...]) -> str:
    return ", ".join(f"{v:g}" if isinstance(v, int) else f"{v:.6f}" for v in values)


def lcg(count: int) -> Floats:
    """s ← (1103515245·s + 12345) mod 2³¹ from 12345 on; s/2³¹."""
    out, state = np.empty(count), 12345
    for i in range(count):
        state = (1103515245 * state + 12345) & 0x7FFFFFFF
        out[i] = state / 2147483648
    return out


def _switched(u: Floats, rate: float) -> Floats:
    return (u < np.where(np.arange(len(u)) < 10_000, 0.2, rate)).astype(np.float64)


_Golden = tuple[str, tuple[float, ...], tuple[float, ...]]

DETECTIONS = {
    "ADWIN": (Adwin(), (10719,), (10111,)),
    "PageHinkley, raw": (
        PageHinkley(reference_mean=0.0, reference_sd=1.0, threshold=50.0),
        (9969, 12338, 15468),
        (9969, 10870, 16646),
    ),
    "DDM": (Ddm(), (87, 10815), (87, 10220, 10404)),
    "HDDMA": (HddmA(), (10896,), (10225,)),
    "HDDMW, first three": (HddmW(), (9877, 11824, 14425), (9877, 10075, 10404)),
}


def _detections() -> Iterator[_Golden]:
    u = lcg(20_000)
    for name, (detector, *wanted) in DETECTIONS.items():
        for rate, at in zip((0.3, 0.5), wanted, strict=True):
            errors = _switched(u, rate)
            _, found = detector.extend(detector.start(), errors)
            yield f"{name}, .2 → {rate}", tuple(found.tolist()[: max(len(at), 3)]), at


def _logs_of_labels() -> Iterator[_Golden]:
    rate = Bernoulli(tolerated(2_000, 10_000))
    errors = _switched(lcg(20_000), 0.3)
    yield "loss: p0", (round(rate.p0, 6),), (0.212267,)
    watch = Labels(rate, 100.0)
    wanted = {1: -0.243001, 100: 5.239239, 10_000: 6.473330, 10_200: 8.051577, 10_400: 8.528051}
    wanted[10_600] = 9.741832
    got = tuple(
        round(watch.log_statistic(watch.extend(watch.start(), errors[:n])[0]), 6) for n in wanted
    )
    yield "loss: log M after 1, 100, 10,000, 10,200 … labels", got, tuple(wanted.values())
    budget = Labels(rate, log(1e5))
    yield (
        "loss: first M ≥ 10⁵",
        tuple(budget.extend(budget.start(), errors)[1].tolist()[:1]),
        (10699,),
    )


POPULATION = {  # PSI, TV, location, spread
    "mean + .1 sd": (0.1, 1.0, (0.009587, 0.039828, 0.027753, 0.001479)),
    "mean + .25 sd": (0.25, 1.0, (0.059816, 0.098706, 0.069043, 0.009154)),
    "mean + .5 sd": (0.5, 1.0, (0.237749, 0.197412, 0.135698, 0.035390)),
    "variance × 1.5": (0.0, 1.5**0.5, (0.053101, 0.095384, 0.0, 0.058400)),
}


def _effects() -> Iterator[_Golden]:
    rows = 10**12  # counts so large that rounding them to whole rows is far beyond the sixth digit
    deciles = np.array([NormalDist().inv_cdf(b / 10) for b in range(1, 10)])
    reference = np.full(10, rows // 10)
    for name, (mean, sd, wanted) in POPULATION.items():
        share = _panel.normal_shares(deciles, mean, sd)
        current = np.rint(share * rows).astype(np.int64)
        (p, _), (q, _) = effects.shares(reference), effects.shares(current)
        got = (
            effects.psi(reference, current).value,
            np.abs(q - p).sum() / 2,
            effects.location(reference, current).value,
            effects.spread(reference, current).value,
        )
        yield (
            f"{name}: PSI, TV, location, spread",
            tuple(abs(round(float(v), 6)) for v in got),
            wanted,
        )
