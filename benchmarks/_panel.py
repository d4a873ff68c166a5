"""Which streams are the alarm and its peers measured on? Fifty series, everything from a seed.

30 numbers N(0, 1), 10 flags of .1, 10 categories of ten equal levels; a reference of 10,000 rows; cells between the
deciles of that sample. A window's counts are multinomial over what these cells really hold.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.random import Generator
from scipy import special

from detectors.alarm.scores import scores
from detectors.alarm.sequential import Panel, Watched
from detectors.samples.effects import Floats, Ints
from detectors.series import Series

REFERENCE_ROWS = 10_000
NUMBERS, FLAGS, CATEGORIES = 30, 10, 10
FIRST, DRIFTING, FRESH = 0, 5_000, 900_000  # where seeds begin: no drift, drift, never looked at
DRIFT_AT = 50  # windows before the drift


@dataclass(frozen=True, slots=True)
class Drift:
    """What happens to one series from window 51 on."""

    name: str
    kind: int  # 0: the first number, 1: the first flag, 2: the first category
    mean: float = 0.0
    sd: float = 1.0
    share: float = 0.0  # moved to the flag, or from the category's first level to its second
    missing: float = 0.0


DRIFTS = (
    Drift("+.1 sd", 0, mean=0.1),
    Drift("+.25 sd", 0, mean=0.25),
    Drift("+.5 sd", 0, mean=0.5),
    Drift("variance × 1.5", 0, sd=sqrt(1.5)),
    Drift(".1 → .13", 1, share=0.03),
    Drift(".1 → .15", 1, share=0.05),
    Drift(".05 between categories", 2, share=0.05),
    Drift("missing 0 → .5 %", 0, missing=0.005),
    Drift("missing 0 → 2 %", 0, missing=0.02),
)


@dataclass(slots=True)
class Stream:
    """A seeded model: its reference, and windows without end. Drawing moves the generator on."""

    generator: Generator
    series: tuple[Series, ...]
    reference: Ints  # (cells,)
    shares: tuple[Floats, Floats, Floats]  # of the numbers, flags, categories: (features, cells)

    def windows(self, count: int, rows: int) -> Ints:
        """The counts of the next windows, shape (count, cells)."""
        drawn = [
            self.generator.multinomial(rows, np.broadcast_to(s, (count, *s.shape)))
            for s in self.shares
        ]
        return np.concatenate([d.reshape(count, -1) for d in drawn], axis=1)

    def drifted(self, drift: Drift) -> "Stream":
        """The same stream from here on, with a drift; this one stays as it is."""
        shares = deepcopy(self.shares)
        cells = shares[drift.kind][0]
        if drift.kind == 0:
            cells[:-2] = normal_shares(np.array(self.series[0].edges), drift.mean, drift.sd)
            cells *= 1 - drift.missing
            cells[-1] = drift.missing
        else:
            cells[0] -= drift.share
            cells[1] += drift.share
        return Stream(deepcopy(self.generator), self.series, self.reference, shares)


def normal_shares(edges: Floats, mean: float | Floats = 0.0, sd: float = 1.0) -> Floats:
    """What the cells between the edges hold of a normal distribution; edges on the last axis."""
    below = special.ndtr((edges - np.asarray(mean)[..., None]) / sd)
    ends = (*below.shape[:-1], 1)
    return np.diff(np.concatenate([np.zeros(ends), below, np.ones(ends)], axis=-1), axis=-1)


def fifty(seed: int) -> Stream:
    """The panel of fifty under the given seed."""
    generator = np.random.default_rng([2024, seed])
    sample = np.sort(generator.normal(size=(NUMBERS, REFERENCE_ROWS)), axis=1)
    edges = sample[:, REFERENCE_ROWS // 10 - 1 : -1 : REFERENCE_ROWS // 10]
    shares = (
        _wide(normal_shares(edges)),
        _wide(np.tile([0.9, 0.1], (FLAGS, 1))),
        _wide(np.full((CATEGORIES, 10), 0.1)),
    )
    deciles = np.full((NUMBERS, 10), REFERENCE_ROWS // 10)
    drawn = (generator.multinomial(REFERENCE_ROWS, s) for s in shares[1:])
    reference = np.concatenate(
        [np.pad(deciles, [(0, 0), (0, 2)]).ravel(), *(d.ravel() for d in drawn)]
    )
    series = (*numbers(edges), *_flags(), *_categories())
    return Stream(generator, series, reference, shares)


def numbers(edges: Floats) -> tuple[Series, ...]:
    """Numeric series with these edges, shape (features, edges)."""
    return tuple(
        Series(f"feature:n{k}", "number", edges=tuple(row.tolist())) for k, row in enumerate(edges)
    )


def _flags() -> list[Series]:
    return [Series(f"feature:b{k}", "boolean", categories=("false", "true")) for k in range(FLAGS)]


def _categories() -> list[Series]:
    levels = tuple(f"level {b}" for b in range(10))
    return [Series(f"feature:c{k}", "category", categories=levels) for k in range(CATEGORIES)]


def _wide(values: Floats) -> Floats:
    """With the cells `odd` and `missing`, which are empty."""
    return np.pad(values, [(0, 0), (0, 2)])


def compiled(
    series: Sequence[Series], reference: Ints, rows: int, phi: float | Floats = 1.0
) -> Panel:
    """The alarm over these series: every score with this φ, or each score with its own."""
    watched, at, row = [], 0, 0
    for s in series:
        found = scores(s, reference[at : at + s.cells], rows)
        of = np.broadcast_to(phi, len(found)) if np.ndim(phi) == 0 else phi[row : row + len(found)]  # type: ignore[index]
        watched.append(Watched(at, found, tuple(of.tolist())))
        at, row = at + s.cells, row + len(found)
    return Panel.compile(watched, reference, float(rows))
