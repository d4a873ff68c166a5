"""The default detectors of errors and losses: golden values, bits, rates, and degenerate input."""

import json
from math import inf, log
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.alarm.sequential import BETS, FIXED, TILTS, Panel, State, standing, step
from detectors.samples.effects import Floats, Ints
from detectors.sequences.contract import SequenceDetector
from detectors.sequences.labels import BATCH, Labels, Unreferenced
from detectors.sequences.losses import Bernoulli, LossCells, Run, tolerated
from tests.detectors.golden import lcg

RATE = Bernoulli(tolerated(2_000, 10_000))
LABELS = Labels(RATE, log(1e5))


def errors() -> Floats:
    """20,000 errors at a rate of .2, .3 from the 10,000th on."""
    return (lcg(20_000) < np.where(np.arange(20_000) < 10_000, 0.2, 0.3)).astype(np.float64)


def test_the_portable_stream_gives_the_published_digits() -> None:
    assert round(RATE.p0, 6) == 0.212267
    published = {
        1: -0.243001,
        100: 5.239239,
        10_000: 6.473330,
        10_200: 8.051577,
        10_400: 8.528051,
        10_600: 9.741832,
    }
    state, read = LABELS.start(), 0
    for n, value in published.items():
        state, found = LABELS.extend(state, errors()[read:n])
        read = n
        assert found.tolist() == []
        assert round(LABELS.log_statistic(state), 6) == value
    state, found = LABELS.extend(state, errors()[read:10_700])
    assert found.tolist() == [10_699 - read]
    assert state.found is not None
    assert state.found[0] == 10_699
    assert 9_000 < state.found[1] < 10_300  # the change came at 10,000


def test_windows_of_one_label_are_labels_one_by_one() -> None:
    run = RATE.start()
    for i, error in enumerate(errors()[:10_699]):
        run = RATE.step(run, int(error), 1, at=i)
    before, _ = LABELS.extend(LABELS.start(), errors()[:10_699])
    assert run.log_statistic == pytest.approx(LABELS.log_statistic(before), abs=1e-9)
    after, _ = LABELS.extend(before, errors()[10_699:10_700])
    assert after.found is not None
    assert RATE.step(run, 1, 1, at=10_699).onset == after.found[1]


@settings(max_examples=30)
@given(data=st.data())
def test_the_order_inside_a_window_and_who_counted_it_do_not_matter(data: st.DataObject) -> None:
    """A window's numbers add up; any split of its labels into parts gives the same bits."""
    stream = errors()[9_900:10_400].astype(np.int64)
    order = data.draw(st.permutations(range(100)))
    cut = data.draw(st.integers(0, 100))
    first, second = RATE.start(), RATE.start()
    for at in range(0, 500, 100):
        window = stream[at : at + 100]
        first = RATE.step(first, int(window.sum()), 100, at)
        shuffled = window[order]
        second = RATE.step(second, int(shuffled[:cut].sum() + shuffled[cut:].sum()), 100, at)
    assert RATE.to_data(first) == RATE.to_data(second)


def test_a_run_survives_json_to_the_last_bit() -> None:
    run = RATE.start()
    for at in range(4):
        kept = json.loads(json.dumps(RATE.to_data(run), allow_nan=False))
        again = RATE.step(RATE.from_data(kept), 25, 100, at)
        run = RATE.step(run, 25, 100, at)
        assert RATE.to_data(again) == RATE.to_data(run)


def test_a_window_without_labels_stands_still() -> None:
    run = RATE.step(RATE.start(), 25, 100)
    assert RATE.step(run, 0, 0) is run
    assert RATE.start().log_statistic == -inf


def test_fewer_errors_are_no_alarm() -> None:
    run = RATE.start()
    for at in range(500):
        run = RATE.step(run, 0, 1_000, at)
    assert run.log_statistic < 0


def test_overdispersion_slows_and_grows_with_the_window() -> None:
    def after(rate: Bernoulli, n: int = 1_000) -> float:
        return rate.step(rate.start(), n * 3 // 10, n).log_statistic

    p0 = RATE.p0
    assert after(Bernoulli(p0)) > after(Bernoulli(p0, 4.0)) > 0
    assert after(Bernoulli(p0, 4.0, rows=1_000)) == after(Bernoulli(p0, 4.0))
    assert after(Bernoulli(p0, 4.0, rows=500)) == after(Bernoulli(p0, 7.0))


@pytest.mark.parametrize(("k", "n"), [(-1, 10), (11, 10), (1, 0)])
def test_an_impossible_window_is_refused(k: int, n: int) -> None:
    with pytest.raises(ValueError, match="no window"):
        RATE.step(RATE.start(), k, n)


def test_impossible_settings_are_refused() -> None:
    for p0 in (0.0, 1.5, float("nan")):
        with pytest.raises(ValueError, match="tolerated rate"):
            Bernoulli(p0)
    for phi in (0.5, inf, float("nan")):
        with pytest.raises(ValueError, match="over-dispersion"):
            Bernoulli(0.2, phi)
        with pytest.raises(ValueError, match="over-dispersion"):
            tolerated(1, 10, phi)
    for log_a in (0.0, 101.0, float("nan")):
        with pytest.raises(ValueError, match="log A"):
            Labels(RATE, log_a)
        with pytest.raises(ValueError, match="log A"):
            Unreferenced(log_a)
    for wrong, labels in ((1, 0), (5, 4), (-1, 4)):
        with pytest.raises(ValueError, match="no reference"):
            tolerated(wrong, labels)


@pytest.mark.parametrize("wrong", [0, 50, 100])
@pytest.mark.parametrize("size", [100, 10_000_000])
def test_a_reference_of_any_rate_gives_numbers(wrong: int, size: int) -> None:
    rate = Bernoulli(tolerated(wrong * size // 100, size, tolerance=0.001))
    run, labels = rate.start(), Labels(rate, log(1e5))
    for at, (k, n) in enumerate([(0, 1), (1, 1), (0, 10_000_000), (10_000_000, 10_000_000)]):
        run = rate.step(run, k, n, at)
        assert not np.isnan(run.log).any()
        assert run.log_statistic < inf
    state, found = labels.extend(labels.start(), np.ones(600))
    assert not np.isnan(labels.log_statistic(state))
    if wrong == 100:  # nothing can be worse than always wrong
        assert run.log_statistic == -inf
        assert (found.tolist(), state.seen) == ([], 600)


def null_alarms(watch: SequenceDetector[Any], rate: float, streams: int, labels: int) -> float:
    """False alarms in so many streams of independent labels."""
    generator = np.random.default_rng(20_260_301)
    stream = (generator.random((streams, labels)) < rate).astype(np.float64)
    return float(sum(len(watch.extend(watch.start(), s)[1]) for s in stream))


def test_false_alarms_keep_the_bound_and_changes_are_found() -> None:
    """A short form of the benchmark: a tenth of the bound's streams, at a tenth of A. 4 sd above the bound fail."""
    watch = Labels(RATE, log(1e4))
    bound = 20 * 20_000 / 1e4
    assert null_alarms(watch, 0.2, 20, 20_000) <= bound + 4 * bound**0.5
    generator = np.random.default_rng(9)
    delays = {}
    for later in (0.3, 0.5):
        stream = (generator.random((40, 2_000)) < later).astype(np.float64)
        delays[later] = np.mean([watch.extend(watch.start(), s)[1][0] for s in stream])
    assert delays[0.3] < 330
    assert delays[0.5] < 50


@pytest.mark.parametrize("rate", [0.2, 0.01])
def test_without_a_reference_the_bound_holds_for_rare_errors_too(rate: float) -> None:
    watch = Unreferenced(log(1e5))
    bound = 20 * 20_000 / 1e5
    assert null_alarms(watch, rate, 20, 20_000) <= bound + 4 * bound**0.5


def test_without_a_reference_the_tenth_batch_is_the_first_to_bet() -> None:
    watch = Unreferenced(log(2e6))
    few = np.tile([1.0, 0, 0, 0, 0], 50)
    state, _ = watch.extend(watch.start(), few[: 10 * BATCH - 1])
    assert state.log_statistic == -inf
    state, _ = watch.extend(state, few[-1:])
    assert state.log_statistic > -inf
    assert state.pool == (50, 250)


# ------------------------------------------------------------------------------ bounded losses

GENERATOR = np.random.default_rng(11)
LOSSES = GENERATOR.exponential(size=10_000)
CELLS = LossCells.cut("loss", LOSSES)


def folded(cells: LossCells, windows: list[Ints], rows: float = 1_000.0) -> tuple[Panel, State]:
    panel = cells.panel(rows)
    state = State.start(panel.usable.shape, cells.counts)
    for t, counts in enumerate(windows):
        state = step(panel, state, counts, t)
    return panel, state


def drawn(scale: float, windows: int, seed: int = 5) -> list[Ints]:
    generator = np.random.default_rng(seed)
    return [CELLS.count(scale * generator.exponential(size=1_000)) for _ in range(windows)]


def test_a_cell_is_worth_its_mean_loss_as_a_share_of_the_topmost() -> None:
    cap = np.sort(LOSSES)[int(np.ceil(0.999 * 10_000)) - 1]
    assert CELLS.series.edges[-1] == cap
    assert CELLS.counts.sum() == 10_000
    assert CELLS.counts[-3] == (cap < LOSSES).sum() == 10
    below = LOSSES[cap >= LOSSES]
    top = LOSSES[CELLS.series.edges[-2] < LOSSES]
    first = below[below <= CELLS.series.edges[0]].mean()
    assert CELLS.worth[0] == pytest.approx(first / np.minimum(top, cap).mean(), rel=1e-12)
    assert (np.diff(CELLS.worth[:-1]) > 0).all()
    assert CELLS.worth[-2:].tolist() == [1.0, 1.0]


def test_larger_losses_alarm_and_smaller_ones_do_not() -> None:
    assert standing(*folded(CELLS, drawn(1.0, 40))).log < log(1e3)
    assert standing(*folded(CELLS, drawn(1.25, 5))).log > log(1e4)
    assert standing(*folded(CELLS, drawn(0.5, 40))).log < log(1e3)


def test_only_upward_bets_are_made_on_the_loss_and_their_weights_are_whole() -> None:
    panel = CELLS.panel(10_000.0)
    assert panel.usable[0].tolist() == [True] * len(BETS) + [False] * len(BETS) + [
        bool(t > 0) for t in TILTS
    ]
    assert panel.usable.shape[1] == FIXED + len(TILTS)
    weight = np.where(panel.usable, np.exp(panel.log_prior), 0).sum(1)
    np.testing.assert_allclose(weight, 0.25)


def test_a_single_outlier_counts_no_more_than_the_cap() -> None:
    calm = GENERATOR.exponential(size=1_000)
    once = np.where(np.arange(1_000) == 0, 1e308, calm)
    assert standing(*folded(CELLS, [CELLS.count(once)])).log < log(10)


def test_many_losses_above_the_cap_alarm() -> None:
    calm = np.random.default_rng(2).exponential(size=1_000)
    some = np.where(np.arange(1_000) < 20, 100.0, calm)
    assert standing(*folded(CELLS, [CELLS.count(some)] * 3)).log > log(1e4)


@pytest.mark.parametrize(
    "losses",
    [
        np.zeros(1_000),
        np.full(1_000, 7.0),
        np.where(np.arange(5_000) < 2, 3.0, 0.0),
        np.full(1_000, 1e308),
        np.array([0.0, 1e308] * 500),
        np.array([5.0]),
        np.repeat([0.0, 0.1, 0.2], 500),
        np.append(np.full(999, np.nan), 1.0),
    ],
    ids=["zero", "constant", "rarely", "huge", "both ends", "one", "three", "one seen"],
)
def test_degenerate_losses_give_numbers(losses: Floats) -> None:
    cells = LossCells.cut("loss", losses)
    assert np.isfinite(cells.worth).all()
    assert ((cells.worth >= 0) & (cells.worth <= 1)).all()
    strange = np.array([np.nan, np.inf, -1.0, 0.0, 1e308])
    windows = [cells.count(w) for w in (losses, strange, np.zeros(0), losses)]
    panel, state = folded(cells, windows)
    assert not np.isnan(state.log).any()
    assert not np.isnan(standing(panel, state).log)
    calm = folded(cells, [cells.count(np.resize(losses, 1_000))] * 20)
    assert standing(*calm).log < log(1e3)


@pytest.mark.parametrize("losses", [[], [np.nan], [-1.0, 2.0]])
def test_a_reference_without_usable_losses_is_refused(losses: list[float]) -> None:
    with pytest.raises(ValueError, match="finite and not negative"):
        LossCells.cut("loss", np.array(losses))


def test_a_fresh_run_is_what_a_reset_leaves() -> None:
    assert isinstance(RATE.start(), Run)
    assert RATE.to_data(RATE.start()) == RATE.to_data(RATE.from_data(RATE.to_data(RATE.start())))
