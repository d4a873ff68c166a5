"""How many windows until a weak drift in one of fifty series is found? WEAK-50, and the classical rules beside it."""

from collections.abc import Iterator
from math import log

import numpy as np

from benchmarks import _panel, _peers
from benchmarks._figures import Figure, Options, progress
from benchmarks._panel import DRIFT_AT, DRIFTING, DRIFTS, FRESH, Stream
from detectors.alarm.sequential import Panel, State, standing, step

THRESHOLD = log(10_000)
MOST = 600  # windows until a drift counts as missed
BLOCK = 20
PEER_WINDOWS = 1_000

# Mean delay in windows: rows per window and φ -> one target per drift of `DRIFTS`.
TARGETS = {
    (1_000, 1.0): (5, 1.2, 1, 1.6, 5, 2.2, 2, 9, 1.2),
    (200, 1.0): (24, 4.2, 1.6, 5.6, 23, 8, 7.2, 38, 3.7),
    (1_000, 1.65): tuple(round(1.1 * d, 2) for d in (7.4, 1.7, 1.0, 2.0, 7.1, 2.7, 2.5, 32, 1.7)),
}
SLACK = 1.5  # of the short version's few runs


def weak_50(options: Options) -> Iterator[Figure]:
    """One series drifts from window 51 on."""
    sets = (("first", DRIFTING), ("fresh", FRESH))
    for (rows, phi), targets in TARGETS.items():
        if options.short and rows == 200:
            continue
        runs = options.of(100, 3)
        for name, first in sets[:1] if options.short else sets:
            early, found = _delays(first, runs, rows, phi)
            progress(f"WEAK-50 n = {rows:,}, φ = {phi}, {name} seeds: {runs} runs")
            peers = _peer_delays(rows, options) if name == "first" and phi == 1 else {}
            for drift, target in zip(DRIFTS, targets, strict=True):
                delays = found[drift.name]
                limit = target * SLACK if options.short else target
                missed = sum(d > MOST for d in delays)
                notes = f"; {early} alarms before" if early else ""
                notes += f"; {missed} missed" if missed else ""
                mean = float(np.mean(delays))
                yield Figure(
                    "WEAK-50",
                    f"{drift.name}, n = {rows:,}{f', φ = {phi}' if phi > 1 else ''}, {name} seeds",
                    f"{mean:.1f} ± {np.std(delays) / len(delays) ** 0.5:.1f} windows{notes}",
                    f"≤ {limit:.3g}",
                    round(mean, 1) <= limit and not missed,
                    peers.get(drift.name, ""),
                )


def _delays(first: int, runs: int, rows: int, phi: float) -> tuple[int, dict[str, list[int]]]:
    """Runs that alarmed before the drift, and each drift's delays in the others."""
    early, found = 0, {drift.name: list[int]() for drift in DRIFTS}
    for i in range(runs):
        stream = _panel.fifty(first + i)
        panel = _panel.compiled(stream.series, stream.reference, rows, phi)
        state = State.start(panel.usable.shape, stream.reference)
        quiet = True
        for at, counts in enumerate(stream.windows(DRIFT_AT, rows)):
            state = step(panel, state, counts, at)
            quiet = quiet and standing(panel, state).log < THRESHOLD
        if not quiet:
            early += 1
            continue
        for drift in DRIFTS:
            found[drift.name].append(_delay(panel, state, stream.drifted(drift), rows))
    return early, found


def _delay(panel: Panel, state: State, stream: Stream, rows: int) -> int:
    """Windows to the alarm: 1 is the drift's first."""
    for block in range(MOST // BLOCK):
        for at, counts in enumerate(stream.windows(BLOCK, rows)):
            state = step(panel, state, counts, at)
            if standing(panel, state).log >= THRESHOLD:
                return block * BLOCK + at + 1
    return MOST + 1


def _peer_delays(rows: int, options: Options) -> dict[str, str]:
    """By drift, on the drifting series: the mean delay of chi-square with Bonferroni's limit; how often PSI > .2."""
    runs, out = options.of(20, 2), {}
    for drift in DRIFTS:
        delays, hits = list[int](), list[float]()
        for i in range(runs):
            stream = _panel.fifty(DRIFTING + i)
            stream.windows(DRIFT_AT, rows)
            windows = stream.drifted(drift).windows(PEER_WINDOWS, rows)
            _, reference = _peers.features(stream.series, stream.reference)[drift.kind]
            _, current = _peers.features(stream.series, windows)[drift.kind]
            delays.append(_first(_peers.bonferroni_rule(reference, current)[:, 0]))
            hits.append(float(_peers.psi_rule(reference, current)[:, 0].mean()))
        out[drift.name] = (
            f"chi2 + Bonferroni at ARL 1,000: {_capped(delays)}; PSI > .2: {np.mean(hits):.0%} of windows"
        )
    return out


def _first(flags: _peers.Flags) -> int:
    return int(flags.argmax()) + 1 if flags.any() else PEER_WINDOWS + 1


def _capped(delays: list[int]) -> str:
    never = sum(d > PEER_WINDOWS for d in delays)
    mean = float(np.mean(np.minimum(delays, PEER_WINDOWS)))
    return f"{mean:.0f}" if not never else f"≥ {mean:.0f} (never in {never / len(delays):.0%})"
