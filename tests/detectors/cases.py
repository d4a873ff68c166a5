"""Small references, windows and subjects to judge; everything seeded."""

from collections.abc import Iterable, Sequence
from math import log
from statistics import NormalDist

import numpy as np

from detectors.judging.decision import Gates, Memory, Plan, Policy, decide
from detectors.reference.frozen import Blocks, BuiltFrom, Reference, ReferenceSeries, digest
from detectors.samples.effects import Floats, Ints
from detectors.series import Series
from detectors.types import Verdict, Window

HOUR_MS = 3_600_000
DECILES = tuple(NormalDist().inv_cdf(i / 10) for i in range(1, 10))


def number(name: str) -> Series:
    """A standard normal feature in ten cells."""
    return Series(f"feature:{name}", "number", edges=DECILES)


def category(name: str, levels: int) -> Series:
    """A category of some levels."""
    return Series(
        f"feature:{name}", "category", categories=tuple(f"level {i}" for i in range(levels))
    )


def flag(name: str) -> Series:
    """A boolean feature."""
    return Series(f"feature:{name}", "boolean", categories=("false", "true"))


def normal(mean: float = 0.0, sd: float = 1.0) -> Floats:
    """Shares of the ten cells of `number` under another normal distribution."""
    cdf = NormalDist(mean, sd).cdf
    return np.diff([0.0, *(cdf(e) for e in DECILES), 1.0])


def counts(
    series: Series, shares: Iterable[float], rows: int, missing: int = 0, odd: int = 0
) -> Ints:
    """Counts as near as possible to the shares: no randomness."""
    ideal = np.array(list(shares)) * rows
    out = np.floor(ideal).astype(np.int64)
    short = rows - int(out.sum())
    out[np.argsort(out - ideal, kind="stable")[:short]] += 1
    return np.concatenate([out, [odd, missing]])


def drawn(
    generator: np.random.Generator, series: Series, shares: Sequence[float] | Floats, rows: int
) -> Ints:
    """Counts of independent rows."""
    return np.concatenate([generator.multinomial(rows, shares), [0, 0]])


def reference(
    series: Sequence[Series], cells: Sequence[Ints], rows: int = 1000, phi: float | None = 1.0
) -> Reference:
    """A reference of given counts; φ the same for all scores, or None: not calibrated."""
    names = () if phi is None else (("location", phi),)
    events = int(max(c.sum() for c in cells))
    built = Reference(
        "r1",
        "m",
        "1",
        BuiltFrom("test", 0, HOUR_MS * 40, events),
        Blocks(HOUR_MS, 40, rows),
        tuple(
            ReferenceSeries(s, tuple(c.tolist()), names) for s, c in zip(series, cells, strict=True)
        ),
    )
    return Reference(**{**{f: getattr(built, f) for f in built.__slots__}, "digest": digest(built)})


def plan(
    of: Reference, *, threshold: float = 1e4, min_rows: int = 200, gates: Gates | None = None
) -> Plan:
    """Everything watched."""
    policy = Policy(log(threshold), min_rows=min_rows, gates=gates or Gates())
    return Plan.compile(of, "all", policy, [r.series.name for r in of.series])


def window(index: int, events: int = 1000) -> Window:
    """The hour with this number."""
    return Window(index * HOUR_MS, (index + 1) * HOUR_MS, events, 0, 60)


def judge(
    of: Plan, memory: Memory | None, cells: Iterable[Ints], first: int = 0
) -> tuple[Memory | None, list[Verdict]]:
    """Window after window; the memory at the end and all verdicts."""
    verdicts = []
    for i, c in enumerate(cells):
        memory, verdict = decide(of, memory, window(first + i, int(c.sum())), c)
        verdicts.append(verdict)
    return memory, verdicts
