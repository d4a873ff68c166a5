"""How often is there an alarm where nothing drifts? NULL-50 and DEPENDENT-50, and the classical rules beside them."""

from collections.abc import Iterator
from math import log

import numpy as np
from scipy.signal import lfilter

from benchmarks import _panel, _peers
from benchmarks._figures import Figure, Options, progress
from benchmarks._panel import FIRST, FRESH, Stream
from detectors.alarm.sequential import Panel, State, standing, step
from detectors.binning import Column, NumericCells
from detectors.judging.decision import Policy
from detectors.judging.plan import Plan
from detectors.reference.build import build
from detectors.samples.effects import Floats, Ints

WINDOWS = 200
BOUNDS = {10_000: 0.02, 1_000: 0.10}  # A: share of runs that may alarm
T, ROWS, LENIENT = 30, 1_000, 0.20  # DEPENDENT-50: reference windows, rows in one, allowed share


def highest(panel: Panel, reference: Ints, windows: Ints) -> float:
    """The largest log M over the windows."""
    state, top = State.start(panel.usable.shape, reference), -np.inf
    for at, counts in enumerate(windows):
        state = step(panel, state, counts, at)
        top = max(top, standing(panel, state).log)
    return top


def null_50(options: Options) -> Iterator[Figure]:
    """Fifty series, nothing drifts, 200 windows."""
    for rows in (200, 1_000) if options.short else (200, 1_000, 10_000):
        for name, first in (("first", FIRST), ("fresh", FRESH)):
            runs, tops = options.of(100, 4), list[float]()
            flags: dict[str, list[float]] = {}
            for i in range(runs):
                stream = _panel.fifty(first + i)
                panel = _panel.compiled(stream.series, stream.reference, rows)
                windows = stream.windows(WINDOWS, rows)
                tops.append(highest(panel, stream.reference, windows))
                if i < (2 if options.short else 5) and name == "first":
                    for rule, share in _windows_flagged(stream, windows, rows).items():
                        flags.setdefault(rule, []).append(share)
            progress(f"NULL-50 n = {rows:,}, {name} seeds: {runs} runs")
            shares = {a: float(np.mean([top >= log(a) for top in tops])) for a in BOUNDS}
            yield Figure(
                "NULL-50",
                f"n = {rows:,}, {name} seeds, {runs} runs",
                "; ".join(f"{s:.2f} at A = {a:,}" for a, s in shares.items()),
                "; ".join(f"≤ {b:.2f}" for b in BOUNDS.values()),
                all(shares[a] <= bound for a, bound in BOUNDS.items()),
                "windows with a flag: "
                + ", ".join(f"{rule} {np.mean(s):.0%}" for rule, s in flags.items())
                if flags
                else "",
            )


def _windows_flagged(stream: Stream, windows: Ints, rows: int) -> dict[str, float]:
    """By rule, the share of windows in which any of the fifty features is flagged."""
    of = stream.series, stream.reference, windows
    found = {
        "PSI > .2": _peers.flagged(_peers.psi_rule, *of),
        "KS p < .05 (chi2 for categories)": _peers.ks_or_chi_square(*of),
        "chi2 p < .05": _peers.flagged(_peers.chi_square_rule, *of),
    }
    if rows * 10 <= _panel.REFERENCE_ROWS:
        generator = np.random.default_rng([2024, 0, rows])
        found["JS > mean + 3 sd"] = _peers.three_sds(*of, rows, generator)
    return {rule: float(flags.any(1).mean()) for rule, flags in found.items()}


def dependent_50(options: Options) -> Iterator[Figure]:
    """Fifty numbers whose rows are AR(1); over-dispersion from 30 windows of the reference."""
    cases = {f"AR(1) {a}": np.full(50, a) for a in (0.0, 0.2, 0.5, 0.8)}
    cases["AR(1) half .8, half 0"] = np.repeat([0.8, 0.0], 25)
    runs = options.of(40, 1)
    for name, coefficient in cases.items():
        if options.short and name not in ("AR(1) 0.2", "AR(1) 0.5"):
            continue
        tops, trusting, peers = list[float](), list[float](), list[float]()
        for i in range(runs):
            generator = np.random.default_rng([2024, FIRST + i])
            plan, windows = _dependent(generator, coefficient, options)
            assert plan.watch is not None
            tops.append(highest(plan.watch.panel, plan.counts, windows))
            free = _panel.compiled(plan.series, plan.counts, ROWS)
            trusting.append(highest(free, plan.counts, windows))
            ks = _peers.flagged(_peers.ks_rule, plan.series, plan.counts, windows)
            peers.append(float(ks.mean()))
        progress(f"DEPENDENT-50 {name}: {runs} runs")
        share, loose = (float(np.mean([t >= log(1000) for t in x])) for x in (tops, trusting))
        yield Figure(
            "DEPENDENT-50",
            f"{name}, T = {T}, A = 1,000, {runs} runs",
            f"{share:.2f}",
            f"≤ {LENIENT:.2f}",
            share <= LENIENT,
            f"the same with φ = 1: {loose:.2f}; KS p < .05: {np.mean(peers):.1%} of feature-windows",
        )


def _dependent(
    generator: np.random.Generator, coefficient: Floats, options: Options
) -> tuple[Plan, Ints]:
    """A plan whose reference is 30 windows of AR(1) rows, and the 200 windows (short: 60) that follow."""
    rows = autoregressive(generator, coefficient, T * ROWS)
    columns = [
        Column(f"feature:n{k}", "number", values, np.zeros(len(values), bool))
        for k, values in enumerate(rows)
    ]
    reference, _ = build(
        columns,
        np.arange(T * ROWS),
        reference_id="r",
        model_id="m",
        model_version="1",
        source="seed",
        window_ms=ROWS,
        bins=10,
    )
    plan = Plan.compile(reference, "all", Policy(log(1000)), [c.name for c in columns])
    numbers = NumericCells(plan.series, plan.offsets, plan.cells)
    counted, blocks = [], 2 if options.short else 8
    for _ in range(blocks):  # of 25 windows: what fits the memory
        block = autoregressive(generator, coefficient, 25 * ROWS)
        counted.append(numbers.count(block, [ROWS] * 25)[0])
    return plan, np.concatenate(counted)


def autoregressive(generator: np.random.Generator, coefficient: Floats, rows: int) -> Floats:
    """Standard normal rows, each feature's correlated with the row before: (features, rows)."""
    noise = generator.normal(size=(len(coefficient), rows))
    for values, a in zip(noise, coefficient.tolist(), strict=True):
        scale = (1 - a * a) ** 0.5
        values[0] /= scale  # the first row is stationary, too
        values[:] = lfilter([scale], [1.0, -a], values)
    return noise
