"""What does detection cost? Binning, judging a window and river's ADWIN on the same values, in turns.

Times are CPU times of the fastest of several rounds in which the parts take turns: others on the machine slow all of
them down alike, so the ratios can be trusted more than the times.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from river.drift import ADWIN
from scipy import stats

from benchmarks._figures import Figure, Options
from benchmarks._panel import FIRST
from benchmarks._same_rows import planned
from detectors.alarm.sequential import State, standing, step
from detectors.binning import NumericCells
from detectors.judging.decision import decide
from detectors.sequences.values import Adwin
from detectors.types import Window

FEATURES, ROWS, WINDOWS = 50, 1_000, 20
FLAT_NS, SHARE_OF_ADWIN, JUDGED_MS, ADWIN_S = 25.0, 1 / 6, 1.0, 0.5


def cost(options: Options) -> Iterator[Figure]:
    """One core, fifty numbers, windows of 1,000 rows; nothing drifts."""
    generator = np.random.default_rng([2024, FIRST])
    reference = {f"x{k}": generator.normal(size=10_000) for k in range(FEATURES)}
    plan, _ = planned(reference, ROWS, 10_000)
    assert plan.watch is not None
    panel = plan.watch.panel
    numbers = NumericCells(plan.series, plan.offsets, plan.cells)
    blocks = [generator.normal(size=(FEATURES, ROWS)) for _ in range(WINDOWS)]
    counts = [numbers.count(block, [ROWS])[0][0] for block in blocks]
    values = generator.normal(size=100_000).tolist()
    raw, window = np.sort(reference["x0"]), blocks[0][0]

    def binned() -> None:
        for block in blocks:
            numbers.count(block, [ROWS])

    def stepped() -> None:
        state = State.start(panel.usable.shape, plan.counts)
        for at, c in enumerate(counts):
            state = step(panel, state, c, at)
            standing(panel, state)

    def judged() -> None:
        memory = None
        for at, c in enumerate(counts):
            memory, _ = decide(plan, memory, Window(at, at + 1, ROWS), c)

    def adwin() -> None:
        detector: Any = ADWIN()  # type: ignore[no-untyped-call]
        for value in values:
            detector.update(value)

    parts: dict[str, tuple[Callable[[], object], int]] = {
        "bin": (binned, WINDOWS * FEATURES * ROWS),
        "step": (stepped, WINDOWS),
        "judge": (judged, WINDOWS),
        "adwin": (adwin, len(values)),
        "ks": (lambda: [stats.ks_2samp(raw, window) for _ in range(20)], 20 * ROWS),
        "wasserstein": (
            lambda: [stats.wasserstein_distance(raw, window) for _ in range(20)],
            20 * ROWS,
        ),
    }
    took = _timed(parts, options.of(40, 1))
    timed = not options.short  # one round on a busy machine proves nothing
    bin_ns, adwin_ns, judge_ms = took["bin"] * 1e9, took["adwin"] * 1e9, took["judge"] * 1e3
    both = bin_ns + took["judge"] * 1e9 / (FEATURES * ROWS)
    fine = both <= FLAT_NS or both <= adwin_ns * SHARE_OF_ADWIN
    yield Figure(
        "COST",
        "binning, per value of a feature",
        f"{bin_ns:.1f} ns: 1/{adwin_ns / bin_ns:.1f} of ADWIN's update",
        "≤ 1/6 of ADWIN's update",
        bin_ns <= adwin_ns * SHARE_OF_ADWIN if timed else None,
    )
    yield Figure(
        "COST",
        f"binning and judging windows of {ROWS:,} rows, per value",
        f"{both:.1f} ns: 1/{adwin_ns / both:.1f} of ADWIN's update",
        f"≤ {FLAT_NS:.0f} ns, or ≤ 1/6 of ADWIN's update",
        fine if timed else None,
        f"ADWIN {adwin_ns:.0f} ns; scipy KS {took['ks'] * 1e9:.0f}; Wasserstein {took['wasserstein'] * 1e9:.0f}",
    )
    yield Figure(
        "COST",
        "a window of 50 features judged, with all evidence",
        f"{judge_ms:.2f} ms (alarm alone {took['step'] * 1e3:.2f})",
        f"≤ {JUDGED_MS:.0f} ms (aim 0.5)",
        judge_ms <= JUDGED_MS if timed else None,
        f"{judge_ms * 1e6 / adwin_ns:.0f} updates of ADWIN, of {FEATURES * ROWS:,} it would need",
    )
    million = generator.normal(size=100_000 if options.short else 1_000_000)
    began = time.process_time()
    Adwin().extend(Adwin().start(), million)
    whole = (time.process_time() - began) * 1e6 / len(million)
    yield Figure(
        "COST",
        "ADWIN behind our contract, 1,000,000 values",
        f"{whole:.2f} s",
        f"≤ {ADWIN_S} s",
        whole <= ADWIN_S if timed else None,
        f"river's own calls: {adwin_ns * 1e-3:.2f} s",
    )


def _timed(parts: dict[str, tuple[Callable[[], object], int]], rounds: int) -> dict[str, float]:
    """Seconds of CPU per unit, least of all rounds."""
    least = dict.fromkeys(parts, np.inf)
    for _ in range(rounds):
        for name, (run, units) in parts.items():
            began = time.process_time()
            run()
            least[name] = min(least[name], (time.process_time() - began) / units)
    return least
