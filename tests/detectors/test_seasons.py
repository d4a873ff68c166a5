"""Is a daily cycle no drift, and is drift under it found as fast as ever? SEASON-50 in small, and its parts."""

import json
from dataclasses import replace
from math import log, pi, sin

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.alarm.scores import scores
from detectors.alarm.sequential import State, _bets, _together, standing
from detectors.judging.decision import (
    Base,
    Memory,
    Plan,
    Policy,
    based,
    decide,
    from_data,
    state_from_data,
    state_to_data,
    to_data,
)
from detectors.judging.packing import pack
from detectors.reference.frozen import (
    Blocks,
    BuiltFrom,
    Reference,
    ReferenceSeries,
    Season,
    SegmentReference,
    SlotReference,
    digest,
)
from detectors.reference.seasons import Seasonal, dispersion_within, proposed, with_slots
from detectors.samples.effects import Floats, Ints
from detectors.series import Series
from detectors.types import Reason, Status, Verdict, Window
from tests.detectors import cases
from tests.detectors.cases import HOUR_MS, category, normal, number

DAY = Season("hour_of_day", "UTC")
X, C = number("x"), category("c", 3)


def daily(slot: int, shift: float = 0.0) -> Floats:
    """Shares of the ten cells of a number whose mean moves by half a standard deviation over the day."""
    return normal(0.5 * sin(2 * pi * slot / 24) + shift)


def reference_of(series: list[Series], windows: Ints, slots: Ints, rows: int) -> Reference:
    """A reference of hourly windows (T, cells), with the slots of a day."""
    whole, at, of = windows.sum(0), 0, []
    for s in series:
        of.append(ReferenceSeries(s, tuple(whole[at : at + s.cells].tolist())))
        at += s.cells
    built = BuiltFrom("test", 0, len(windows) * HOUR_MS, int(windows[:, : series[0].cells].sum()))
    blocks = Blocks(HOUR_MS, len(windows), rows)
    plain = Reference("r", "m", "1", built, blocks, tuple(of))
    found, _ = with_slots(plain, windows, Seasonal(DAY, slots))
    return replace(found, digest=digest(found))


def plan_of(reference: Reference, threshold: float = 1e4, min_rows: int = 200) -> Plan:
    """Everything watched."""
    policy = Policy(log(threshold), min_rows=min_rows)
    return Plan.compile(reference, "all", policy, [r.series.name for r in reference.series])


def hour(index: int, events: int) -> Window:
    """An hour since the epoch, in its slot of the day."""
    return replace(cases.window(index, events), slot=index % 24)


def judged(
    plan: Plan, memory: Memory | None, cells: list[Ints], first: int = 0
) -> tuple[Memory, list[Verdict]]:
    """Hour after hour; the memory at the end and all verdicts."""
    verdicts = []
    for i, c in enumerate(cells, first):
        memory, verdict = decide(plan, memory, hour(i, int(c[:12].sum())), c)
        verdicts.append(verdict)
    assert memory is not None
    return memory, verdicts


# ---- SEASON-50, a fifth of it

SERIES = 10


def hours(g: np.random.Generator, slots: range, shift: float = 0.0) -> Ints:
    """Hourly windows of a thousand rows of ten numbers with the same daily cycle; one of them is shifted."""
    out = []
    for t in slots:
        cells = g.multinomial(1000, daily(t % 24), size=SERIES)
        if shift:
            cells[0] = g.multinomial(1000, daily(t % 24, shift))
        out.append(np.hstack([cells, np.zeros((SERIES, 2), np.int64)]).ravel())
    return np.stack(out)


def delay(seed: int, shift: float, limit: int) -> int | None:
    """Windows from the shift, after two days without, to the alarm at A = 10,000; None if it does not come."""
    g = np.random.default_rng([2024, seed])
    series = [number(f"x{k}") for k in range(SERIES)]
    plan = plan_of(reference_of(series, hours(g, range(336)), np.arange(336) % 24, 1000))
    assert plan.watch is not None
    state = State.start(plan.watch.panel.usable.shape, plan.pool)
    for t in range(limit):
        (counts,) = hours(g, range(t, t + 1), shift if t >= 48 else 0.0)
        state = plan.step(state, [(t % 24, counts)], t)
        if standing(plan.watch.panel, state).log >= log(10_000):
            return t - 47
    return None


@pytest.mark.rate
def test_a_daily_cycle_raises_no_alarm_in_a_fortnight() -> None:
    assert [delay(seed, 0.0, 336) for seed in range(2)] == [None] * 2


@pytest.mark.rate
@pytest.mark.parametrize(("shift", "within"), [(0.1, 8), (0.25, 2), (0.5, 1)])
def test_a_shift_under_a_daily_cycle_is_found_as_fast_as_without(shift: float, within: int) -> None:
    delays = [delay(5000 + seed, shift, 100) for seed in range(3)]
    assert all(d is not None and d >= 1 for d in delays), delays
    assert np.mean([d or 0 for d in delays]) <= within


@pytest.mark.rate
def test_without_slots_the_cycle_is_an_alarm_at_once() -> None:
    g = np.random.default_rng(7)
    series = [number(f"x{k}") for k in range(SERIES)]
    seasonal = reference_of(series, hours(g, range(336)), np.arange(336) % 24, 1000)
    flat = replace(
        seasonal,
        season=None,
        slots=(),
        series=tuple(replace(r, dispersion=(("location", 1.0),)) for r in seasonal.series),
    )
    _, verdicts = judged(plan_of(flat), None, list(hours(g, range(6, 8))))
    assert [v.status for v in verdicts] == [Status.SEVERE] * 2


# ---- dependence and proposals


def test_dispersion_around_slots_does_not_see_the_cycle() -> None:
    g = np.random.default_rng(3)
    windows = hours(g, range(336))[:, :12]

    score = scores(X, windows.sum(0), 1000)[0]
    within = dispersion_within(windows, np.arange(336) % 24, X, score)
    assert within < 1.35
    assert dispersion_within(windows, np.zeros(336, np.int64), X, score) > 20


def test_dispersion_within_slots_needs_windows_beyond_one_per_slot() -> None:
    windows = np.tile([100] * 10 + [0, 0], (40, 1))

    score = scores(X, windows.sum(0), 1000)[0]
    with pytest.raises(ValueError, match="29 windows beyond one per slot, not 16"):
        dispersion_within(windows, np.arange(40) % 24, X, score)


@pytest.mark.parametrize(
    ("cycle", "days", "expected"),
    [
        ("day", 14, "hour_of_day"),
        ("week", 21, "hour_of_week"),
        ("none", 14, None),
        ("day", 6, None),
    ],
)
def test_the_season_that_explains_how_windows_differ_is_proposed(
    cycle: str, days: int, expected: str | None
) -> None:
    g = np.random.default_rng(11)
    when = np.arange(24 * days)
    shift = {
        "day": 0.3 * np.sin(2 * pi * when / 24),
        "week": 0.3 * ((when // 24) % 7 >= 5),
        "none": np.zeros(len(when)),
    }[cycle]
    windows = np.stack([np.r_[g.multinomial(1000, normal(s)), 0, 0] for s in shift])
    reference = reference_of([X], windows, when % 24, 1000)
    candidates = [
        Seasonal(DAY, when % 24),
        Seasonal(Season("hour_of_week", "UTC"), when % 168),
    ]
    found = proposed(replace(reference, season=None, slots=()), windows, candidates)
    assert [line.split()[1] for line in found] == ([expected] if expected else [])


# ---- what a slot can carry


def night_and_day(night: int = 300) -> Reference:
    """A number that is nearly always the lowest at night (slots 0 to 5), and a category; few rows at night."""
    g = np.random.default_rng(5)
    windows = []
    for t in range(24 * 14):
        rows = night if t % 24 < 6 else 1000
        shares = [1.0, *[0.0] * 9] if t % 24 < 6 else normal()
        few = [0.999, 0.001, 0.0] if t % 24 < 6 else [0.5, 0.3, 0.2]
        windows.append(np.r_[g.multinomial(rows, shares), 0, 0, g.multinomial(rows, few), 0, 0])
    return reference_of([X, C], np.stack(windows), np.arange(24 * 14) % 24, 1000)


NIGHT = np.r_[300, [0] * 11, 300, [0] * 4]


def noon(shift: float = 0.0, rows: int = 1000) -> Ints:
    return np.concatenate(
        [cases.counts(X, normal(shift), rows), cases.counts(C, [0.5, 0.3, 0.2], rows)]
    )


def test_a_number_that_is_constant_at_night_is_watched_for_other_values_there() -> None:
    plan = plan_of(night_and_day())
    memory, quiet = judged(plan, None, [NIGHT] * 6 + [noon()] * 18 + [NIGHT] * 3)
    assert {v.status for v in quiet} == {Status.STABLE}
    broken = np.r_[200, [0] * 8, 100, 0, 0, NIGHT[12:]]
    _, verdicts = judged(plan, memory, [broken] * 2, first=27)
    assert verdicts[-1].status == Status.SEVERE
    assert (verdicts[-1].culprits[0].series, verdicts[-1].culprits[0].score) == (
        "feature:x",
        "unusual",
    )


def test_by_day_the_same_number_is_watched_for_location_and_not_for_other_values() -> None:
    plan = plan_of(night_and_day())
    assert plan.watch is not None
    assert plan.slots is not None
    names = [s.name for s in plan.slots.watched[0].scores]
    assert names == ["location", "spread", "odd", "missing", "unusual"]
    day, night = plan.slots.panel(12).open[:5].any(1), plan.slots.panel(2).open[:5].any(1)
    assert day.tolist() == [True, True, True, True, False]
    assert night.tolist() == [False, False, True, True, True]


def test_a_category_that_is_rare_at_night_only_grows_by_surprise_there() -> None:
    plan = plan_of(night_and_day())
    assert plan.slots is not None
    first = 5  # rows of the category come after those of the number
    assert plan.slots.panel(12).open[first:].sum(1).tolist()[:3] == [20, 20, 20]
    assert plan.slots.panel(2).open[first : first + 3].sum(1).tolist() == [6, 6, 6]


def test_a_slot_whose_reference_is_too_small_is_insufficient_and_says_so() -> None:
    plan = plan_of(night_and_day(night=10))
    memory, verdicts = judged(plan, None, [NIGHT] * 6 + [noon()])
    assert {(v.status, v.reason) for v in verdicts[:6]} == {
        (Status.INSUFFICIENT, Reason.REFERENCE_TOO_SMALL)
    }
    assert "the reference holds too few events in slot 0 of its season" in verdicts[0].notes
    assert verdicts[6].status == Status.STABLE
    assert [p.window.slot for p in memory.history] == [6]


def test_a_series_that_is_missing_at_night_is_insufficient_at_night_alone() -> None:
    g = np.random.default_rng(6)
    windows = []
    for t in range(24 * 14):
        x = [0] * 11 + [1000] if t % 24 < 6 else [*g.multinomial(1000, normal()), 0, 0]
        windows.append(np.r_[x, g.multinomial(1000, [0.5, 0.3, 0.2]), 0, 0])
    plan = plan_of(reference_of([X, C], np.stack(windows), np.arange(24 * 14) % 24, 1000))
    dark = np.r_[[0] * 11, 1000, 500, 300, 200, 0, 0]
    _, verdicts = judged(plan, None, [dark] * 6 + [noon()])
    found = {s.series: (s.status, s.reason) for s in verdicts[0].series}
    assert found["feature:x"] == (Status.INSUFFICIENT, Reason.REFERENCE_TOO_SMALL)
    assert found["feature:c"] == (Status.STABLE, Reason.QUIET)
    assert {s.status for s in verdicts[6].series} == {Status.STABLE}


# ---- windows and spans over several slots

CYCLE = reference_of([X], np.stack([np.r_[np.rint(daily(t % 24) * 1000), 0, 0] for t in range(336)]).astype(np.int64),
                     np.arange(336) % 24, 1000)  # fmt: skip


def small(slot: int, rows: int, shift: float = 0.0) -> Ints:
    return cases.counts(X, daily(slot, shift), rows)


def test_small_windows_of_several_hours_are_judged_together_each_with_its_own_hour() -> None:
    plan = plan_of(CYCLE)
    memory, verdicts = judged(plan, None, [small(t % 24, 80) for t in range(72)])
    reasons = [v.reason for v in verdicts]
    assert reasons[:3] == [Reason.TOO_FEW_EVENTS, Reason.TOO_FEW_EVENTS, Reason.QUIET]
    assert set(reasons[2::3]) == {Reason.QUIET}
    assert [p.window.slot for p in memory.history[:6]] == [0, 1, 2, 3, 4, 5]
    assert np.array_equal(memory.state.pool[5], plan.pool[5] + 3 * small(5, 80))
    (first, *_) = verdicts[2].series
    assert first.n_current == 240
    assert abs(first.effect.value if first.effect else 1.0) < 0.01


def test_a_shift_in_small_windows_of_several_hours_is_found() -> None:
    plan = plan_of(CYCLE)
    memory, _ = judged(plan, None, [small(t % 24, 80) for t in range(48)])
    _, verdicts = judged(plan, memory, [small(t % 24, 80, 0.5) for t in range(48, 66)], first=48)
    assert verdicts[-1].status in (Status.DRIFTING, Status.SEVERE)
    assert verdicts[-1].onset is not None
    assert verdicts[-1].onset.estimate_ms == 48 * HOUR_MS


def test_a_window_split_into_two_halves_of_one_slot_bets_as_the_whole() -> None:
    plan = plan_of(CYCLE)
    assert plan.watch is not None
    start = State.start(plan.watch.panel.usable.shape, plan.pool)
    whole = plan.step(start, [(6, small(6, 1000))], 0)
    one = plan.step(start, [(6, small(6, 600)), (6, small(6, 1000) - small(6, 600))], 0)
    assert np.array_equal(one.pool, whole.pool)
    betted = np.isfinite(whole.log[:, :12])
    assert np.allclose(one.log[:, :12][betted], whole.log[:, :12][betted], rtol=0, atol=1e-9)


def test_the_combined_z_of_several_slots_has_variance_one() -> None:
    g = np.random.default_rng(17)

    plan = plan_of(CYCLE)
    assert plan.slots is not None
    z = []
    for _ in range(400):
        parts = []
        for slot, rows in ((0, 70), (6, 200), (18, 130)):
            # The reference is drawn anew: its own error is part of the variance.
            pool = np.r_[g.multinomial(14_000, daily(slot)), 0, 0]
            counts = np.r_[g.multinomial(rows, daily(slot)), 0, 0]
            parts.append(_bets(plan.slots.panel(slot), pool + counts, counts))
        z.append(_together(parts).z[0])
    phi = dict(CYCLE.series[0].dispersion)["location"]
    assert np.var(z) * phi == pytest.approx(1.0, abs=0.2)


def test_effects_over_a_day_are_measured_against_the_mixture_of_its_hours() -> None:
    plan = plan_of(CYCLE)
    assert plan.slots is not None
    spread = sum(plan.spread(t, small(t, 500)) for t in range(3, 10))
    reference, current = plan.slots.comparable(np.asarray(spread))
    assert np.array_equal(current, sum(small(t, 500) for t in range(3, 10)))
    assert reference.sum() == pytest.approx(7 * 14_000, rel=1e-3)
    mixed = np.mean([daily(t) for t in range(3, 10)], axis=0)
    assert np.allclose(reference[:10] / reference.sum(), mixed, atol=5e-4)
    found = plan.measure(np.asarray(spread))
    assert np.abs(found.value[:4]).max() < 0.002  # the last is PSI less its mean under no change
    assert found.value[4] <= 0


def test_of_one_slot_the_mixture_is_that_slots_reference() -> None:
    plan = plan_of(CYCLE)
    assert plan.slots is not None
    reference, current = plan.slots.comparable(plan.spread(7, small(7, 333)))
    assert np.array_equal(reference, plan.slots.references[7])
    assert np.array_equal(current, small(7, 333))


def test_a_mixture_is_as_large_as_a_sample_of_the_same_variance() -> None:
    plan = plan_of(CYCLE)
    assert plan.slots is not None
    uneven = plan.spread(0, small(0, 900)) + plan.spread(1, small(1, 100))
    reference, _ = plan.slots.comparable(uneven)
    assert reference.sum() == pytest.approx(14_000 / (0.9**2 + 0.1**2), rel=2e-3)


def test_an_episode_under_a_season_opens_resolves_and_leaves_every_pool_as_it_was() -> None:
    plan = plan_of(CYCLE)
    cells = [small(t % 24, 1000, 0.5 if 30 <= t < 60 else 0.0) for t in range(110)]
    memory, verdicts = judged(plan, None, cells)
    statuses = [v.status for v in verdicts]
    assert set(statuses[:30]) == {Status.STABLE}
    assert set(statuses[31:60]) == {Status.SEVERE}
    end = next(i for i in range(60, 110) if statuses[i] == Status.STABLE)
    assert end <= 72
    assert set(statuses[end:]) == {Status.STABLE}
    kept = [t for t in range(110) if t < 30 or t > end]
    pool = plan.pool + sum(plan.spread(t % 24, cells[t]) for t in kept)
    assert np.array_equal(memory.state.pool, pool)


# ---- bits


@settings(max_examples=6)
@given(st.integers(0, 1000), st.integers(1, 59))
def test_a_seasonal_memory_kept_by_base_and_steps_goes_on_with_the_same_bits(
    seed: int, stop: int
) -> None:
    g = np.random.default_rng(seed)
    plan = plan_of(CYCLE)
    rows = [int(g.choice([0, 90, 1000])) for _ in range(60)]
    cells = [
        np.r_[g.multinomial(n, daily(t % 24, 0.6 if 20 <= t < 34 else 0.0)), 0, 0]
        for t, n in enumerate(rows)
    ]
    straight, verdicts = judged(plan, None, cells)
    memory, base = Memory.start(plan), None
    written: dict[str, object] = {}
    for t in range(stop):
        before = memory
        memory, _ = judged(plan, before, [cells[t]], first=t)
        after: Base = based(base, before, memory)
        if base is None or after.state is not base.state:
            written["base"] = json.loads(json.dumps(state_to_data(plan, after.state)))
        base = after
        written["detector"] = json.loads(json.dumps(to_data(plan, memory, base)))
    state = state_from_data(plan, written["base"])  # type: ignore[arg-type]  # plain data
    restored, _ = from_data(plan, written["detector"], memory.history, state)  # type: ignore[arg-type]
    assert to_data(plan, restored) == to_data(plan, memory)
    after_restart, rest = judged(plan, restored, cells[stop:], first=stop)
    assert rest == verdicts[stop:]
    assert to_data(plan, after_restart) == to_data(plan, straight)


# ---- segments


def test_a_segment_has_slots_of_its_own_and_none_where_it_is_too_small() -> None:
    whole = CYCLE.slots
    half = tuple(
        SlotReference(s.slot, s.windows, s.events // 2, (tuple(small(s.slot, 7000, 0.3).tolist()),))
        for s in whole
        if s.slot != 4
    )
    counts = np.add.reduce([np.array(s.counts[0]) for s in half])
    segment = SegmentReference("country=DE", int(counts.sum()), (tuple(counts.tolist()),), half)
    of = replace(CYCLE, segments=(segment,))
    plan = Plan.compile(of, "country=DE", Policy(log(1e4)), ["feature:x"])
    assert plan.slots is not None
    assert plan.slots.rows[3] == 500
    _, verdicts = judged(plan, None, [small(t % 24, 500, 0.3) for t in range(30)])
    found = [v.status for v in verdicts]
    assert [t for t, status in enumerate(found) if status == Status.INSUFFICIENT] == [4, 28]
    assert set(found) == {Status.STABLE, Status.INSUFFICIENT}


def test_a_state_with_a_slot_too_many_is_refused() -> None:
    plan = plan_of(CYCLE)
    data = state_to_data(plan, Memory.start(plan).state)
    data["pool"] = [pack(np.array([24])), pack(np.zeros(12, np.int64))]
    with pytest.raises(ValueError, match="another reference or lifecycle"):
        state_from_data(plan, data)
