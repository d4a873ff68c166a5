"""Is a daily cycle drift, and is a drift found within one? SEASON-50: with and without a reference per hour.

Fifty numbers with a sine of ± .5 sd over the day, windows of an hour and 1,000 rows, 14 days of reference, A = 10,000.
One number moves from the 49th window on.
"""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from math import log, pi, sin

import numpy as np
from numpy.random import Generator

from benchmarks import _panel, _peers
from benchmarks._figures import Figure, Options, progress
from benchmarks._panel import FIRST
from detectors.alarm.scores import scores
from detectors.alarm.sequential import State, dispersion, standing
from detectors.judging.decision import Policy
from detectors.judging.plan import Plan
from detectors.reference.frozen import Blocks, BuiltFrom, Reference, ReferenceSeries, Season
from detectors.reference.seasons import Seasonal, with_slots
from detectors.samples.effects import Floats, Ints

FEATURES, ROWS, HOURS, DAYS = 50, 1_000, 24, 14
SWING, DRIFT_AT = 0.5, 48
SHIFTS = {0.1: 6.0, 0.25: 1.5, 0.5: 1.0}  # sd: largest mean delay
A = 10_000
SLACK = 2.0  # of the short version's single run
HOUR_MS = 3_600_000
WAYS = ("φ = 1, no slots", "φ from the reference, no slots", "24 slots, φ around their means")


def season_50(options: Options) -> Iterator[Figure]:
    """Alarms without a drift, and delays with one, in three ways."""
    runs = options.of(20, 1)
    alarms, found = (
        dict.fromkeys(WAYS, 0),
        {way: {s: list[int]() for s in SHIFTS} for way in WAYS},
    )
    flagged = list[float]()
    for i in range(runs):
        generator = np.random.default_rng([2024, FIRST + i])
        edges, past = _reference(generator)
        quiet = _windows(generator, edges, 0, DRIFT_AT if options.short else DAYS * HOURS, 0.0)
        plans = _plans(edges, past)
        for way, plan in zip(WAYS, plans, strict=True):
            alarms[way] += _first(plan, plan_start(plan), quiet, 0) is not None
            if way == WAYS[0]:
                flags = _peers.flagged(_peers.ks_rule, plan.series, plan.counts, quiet)
                flagged.append(float(flags.any(1).mean()))
                continue
            before = plan_start(plan)
            for at, counts in enumerate(quiet[:DRIFT_AT]):
                before = plan.step(before, [(_slot(plan, at), counts)], at)
            for shift, delays in found[way].items():
                drifting = deepcopy(generator)
                windows = _windows(
                    drifting,
                    edges,
                    DRIFT_AT,
                    24 if options.short else DAYS * HOURS - DRIFT_AT,
                    shift,
                )
                found_at = _first(plan, before, windows, DRIFT_AT)
                delays.append(found_at or DAYS * HOURS - DRIFT_AT + 1)
    progress(f"SEASON-50: {runs} runs")
    for way in WAYS:
        measured = {shift: delays for shift, delays in found[way].items() if delays}
        told = "".join(f"; +{shift} sd {_told(delays)}" for shift, delays in measured.items())
        seasonal = way == WAYS[2]
        fine = not alarms[way] and all(
            np.mean(delays) <= SHIFTS[shift] * (SLACK if options.short else 1)
            for shift, delays in measured.items()
        )
        yield Figure(
            "SEASON-50",
            f"{way}, {runs} runs",
            f"{alarms[way]} null runs alarmed{told}",
            "0; ≤ 6, ≤ 1.5, ≤ 1" if seasonal else "",
            fine if seasonal else None,
            f"KS p < .05: a flag in {np.mean(flagged):.0%} of windows" if way == WAYS[0] else "",
        )


def _told(delays: list[int]) -> str:
    never = sum(d > DAYS * HOURS - DRIFT_AT for d in delays)
    return f"not found in {never} of {len(delays)}" if never else f"{np.mean(delays):.1f}"


def _hour_shares(edges: Floats, shift: float) -> Floats:
    """What the cells hold at every hour: (hours, features, cells)."""
    means = np.array([SWING * sin(2 * pi * h / HOURS) for h in range(HOURS)])
    by_feature = np.tile(means[:, None], (1, FEATURES))
    by_feature[:, 0] += shift
    return np.pad(_panel.normal_shares(edges[None], by_feature), [(0, 0), (0, 0), (0, 2)])


def _windows(generator: Generator, edges: Floats, start: int, count: int, shift: float) -> Ints:
    """Hourly counts from hour `start` on, (count, cells)."""
    hours = (start + np.arange(count)) % HOURS
    drawn = generator.multinomial(ROWS, _hour_shares(edges, shift)[hours])
    return drawn.reshape(count, -1)


def _reference(generator: Generator) -> tuple[Floats, Ints]:
    """Deciles of 10,000 rows drawn over the day, and the counts of the reference's windows."""
    total = _panel.REFERENCE_ROWS
    means = SWING * np.sin(2 * pi * np.arange(total) / HOURS)
    sample = np.sort(generator.normal(size=(FEATURES, total)) + means, axis=1)
    edges = sample[:, total // 10 - 1 : -1 : total // 10]
    return edges, _windows(generator, edges, 0, DAYS * HOURS, 0.0)


def _plans(edges: Floats, past: Ints) -> tuple[Plan, Plan, Plan]:
    """One for each of `WAYS`."""
    series = _panel.numbers(edges)
    width = series[0].cells
    parts = tuple(
        ReferenceSeries(s, tuple(past[:, k * width : (k + 1) * width].sum(0).tolist()))
        for k, s in enumerate(series)
    )
    events = ROWS * len(past)
    plain = Reference(
        "r",
        "m",
        "1",
        BuiltFrom("seed", 0, len(past) * HOUR_MS, events),
        Blocks(HOUR_MS, len(past), ROWS),
        parts,
    )
    dispersed = tuple(
        replace(r, dispersion=_phi(r, past[:, k * width : (k + 1) * width]))
        for k, r in enumerate(parts)
    )
    slots = Seasonal(Season("hour_of_day", "UTC"), np.arange(len(past)) % HOURS)
    seasonal, _ = with_slots(plain, past, slots)
    names = [s.name for s in series]
    first, second, third = (
        Plan.compile(of, "all", Policy(log(A)), names)
        for of in (plain, replace(plain, series=dispersed), seasonal)
    )
    return first, second, third


def _phi(of: ReferenceSeries, windows: Ints) -> tuple[tuple[str, float], ...]:
    found = scores(of.series, np.array(of.counts), ROWS)
    return tuple((score.name, dispersion(windows, score)) for score in found)


def plan_start(plan: Plan) -> State:
    """No evidence yet."""
    assert plan.watch is not None
    return State.start(plan.watch.panel.usable.shape, plan.pool)


def _slot(plan: Plan, hour: int) -> int:
    return hour % HOURS if plan.slots is not None else 0


def _first(plan: Plan, state: State, windows: Ints, start: int) -> int | None:
    """Windows to the alarm, counted from 1."""
    assert plan.watch is not None
    for at, counts in enumerate(windows):
        state = plan.step(state, [(_slot(plan, start + at), counts)], start + at)
        if standing(plan.watch.panel, state).log >= plan.policy.log_threshold:
            return at + 1
    return None
