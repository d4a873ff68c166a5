"""Does the library print the digits that an independent implementation printed? The golden values.

Streams come from a generator that every language can write: s ← (1103515245·s + 12345) mod 2³¹, u = s/2³¹.
"""

from collections.abc import Iterator
from math import log
from statistics import NormalDist

import numpy as np

from benchmarks import _panel, _peers
from benchmarks._figures import Figure, Options
from detectors.alarm.sequential import State, standing, step
from detectors.samples import effects
from detectors.samples.effects import Floats, Ints
from detectors.sequences.labels import Labels
from detectors.sequences.losses import Bernoulli, tolerated
from detectors.sequences.values import Adwin, Ddm, Eddm, Fhddm, HddmA, HddmW, Kswin, PageHinkley
from detectors.series import Series


def golden(options: Options) -> Iterator[Figure]:
    """One line per group; a digit that differs is shown."""
    del options
    for name, group in (
        ("river's detections on the error stream", _detections),
        ("the e-detector of errors, label by label", _logs_of_labels),
        ("log M of the window stream, and the onset", _windows),
        ("effects of known shifts of a normal distribution", _effects),
    ):
        values = [(what, a, b) for what, got, wanted in group() for a, b in _pairs(got, wanted)]
        wrong = [f"{what}: {a}, not {b}" for what, a, b in values if a != b]
        yield Figure(
            "GOLDEN",
            name,
            f"{len(values) - len(wrong)} of {len(values)} values{''.join(f'; {w}' for w in wrong)}",
            "all, to the last digit",
            not wrong,
        )


def _pairs(got: tuple[float, ...], wanted: tuple[float, ...]) -> list[tuple[float, float]]:
    """Value by value; if there are more or fewer than wanted, their numbers."""
    if len(got) != len(wanted):
        return [(len(got), len(wanted))]
    return list(zip(got, wanted, strict=True))


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
    "KSWIN": (Kswin(seed=42), (18587,), (11652, 18591)),
    "FHDDM, fed 1 - x": (Fhddm(), (10720, 15435), (10074, 10868, 17312)),
    "EDDM, first three": (Eddm(), (152, 280, 448), (152, 280, 448)),
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


# log M, by case and window; the case is what drifts from window 11 on.
WINDOWS = {
    ("numeric", 1): -1.756470,
    ("numeric", 5): -0.142557,
    ("numeric", 10): 0.775694,
    ("numeric", 11): 1.530669,
    ("numeric", 12): 5.086389,
    ("numeric", 15): 15.544773,
    ("binary", 11): 4.415357,
    ("binary", 15): 14.932779,
    ("missing", 11): 13.423600,
    ("missing", 15): 66.520472,
}
ONSETS = {"numeric": 10, "binary": 11, "missing": 11}
SERIES = (
    Series("number", "number", edges=tuple(b / 10 for b in range(1, 10))),
    Series("binary", "boolean", categories=("false", "true")),
    Series("category", "category", categories=("a", "b", "c", "d", "e")),
)


def _windows() -> Iterator[_Golden]:
    u = lcg(100_000).reshape(25_000, 4)
    for case, onset in ONSETS.items():
        counts = _cells(u, case)
        panel = _panel.compiled(SERIES, counts[0], 1_000)
        state = State.start(panel.usable.shape, counts[0])
        for t, window in enumerate(counts[1:], 1):
            state = step(panel, state, window, t)
            now = standing(panel, state)
            if (case, t) in WINDOWS:
                yield f"{case}, window {t}", (round(now.log, 6),), (WINDOWS[case, t],)
        yield f"{case}, onset", (int(state.since.ravel()[now.components.argmax()]),), (onset,)


def _cells(u: Floats, case: str) -> Ints:
    """The reference of 10,000 rows and 15 windows of 1,000, (16, 23 cells)."""
    late = np.arange(len(u)) >= 20_000
    number = np.where(late & (case == "numeric"), u[:, 0] * (1.2 - 0.2 * u[:, 0]), u[:, 0])
    cell = np.minimum((10 * number).astype(np.int64), 9)
    cell[late & (case == "missing") & (u[:, 3] < 0.01)] = 11
    flag = 12 + (u[:, 1] < np.where(late & (case == "binary"), 0.13, 0.1))
    category = 16 + np.searchsorted([0.4, 0.7, 0.9, 0.996], u[:, 2], side="right")
    parts = np.split(np.stack([cell, flag, category], axis=1), range(10_000, 25_000, 1_000))
    return np.stack([np.bincount(part.ravel(), minlength=23) for part in parts])


POPULATION = {  # PSI, Jensen-Shannon, TV, location, spread
    "mean + .1 sd": (0.1, 1.0, (0.009587, 0.041561, 0.039828, 0.027753, 0.001479)),
    "mean + .25 sd": (0.25, 1.0, (0.059816, 0.103555, 0.098706, 0.069043, 0.009154)),
    "mean + .5 sd": (0.5, 1.0, (0.237749, 0.204684, 0.197412, 0.135698, 0.035390)),
    "variance × 1.5": (0.0, 1.5**0.5, (0.053101, 0.097622, 0.095384, 0.0, 0.058400)),
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
            _peers.jensen_shannon(reference, current[:, None])[0],
            np.abs(q - p).sum() / 2,
            effects.location(reference, current).value,
            effects.spread(reference, current).value,
        )
        yield name, tuple(abs(round(float(v), 6)) for v in got), wanted
