"""One contract for every method that people can name: a new row of METHODS is tested by itself."""

import inspect
from collections.abc import Callable
from math import inf
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.judging.gauge import magnitude
from detectors.samples import effects, two_sample
from detectors.samples.effects import Floats, Interval, Ints
from detectors.samples.methods import METHODS, Method, knots
from tests.detectors import cases

CELLS = 10
ENDS = knots([cases.number("x")])
every = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


def drawn(seed: int, shares: Floats, rows: int, size: int) -> Ints:
    """Counts of `size` series, (cells, size)."""
    return np.random.default_rng(seed).multinomial(rows, shares, size=size).T


def pairs(size: int = 4, rows: int = 1000, mean: float = 0.2) -> tuple[Ints, Ints]:
    """A reference and a shifted window for each of some series."""
    return drawn(1, cases.normal(), 10_000, size), drawn(2, cases.normal(mean), rows, size)


def bits(*arrays: Floats) -> list[bytes]:
    return [np.ascontiguousarray(a).tobytes() for a in arrays]


COUNTS = st.lists(
    st.tuples(st.integers(0, 10**7), st.integers(0, 10**7)) | st.tuples(st.just(0), st.just(0)),
    min_size=1,
    max_size=12,
)


@every
@settings(max_examples=30)
@given(cells=COUNTS, phi=st.sampled_from([1.0, 2.5, 1e4]))
def test_no_counts_make_a_method_undefined(
    method: Method, cells: list[tuple[int, int]], phi: float
) -> None:
    reference, current = np.array(cells).T
    for at in (None, knots([cases.number("x")])):
        found = method.measure(reference, current, phi, None, at)
        answer = method.test(reference, current, phi, None, at)
        rule = method.rule_value(reference, current, phi, None, at)
        assert found.low <= found.value <= found.high
        assert abs(float(found.value)) <= method.most
        assert np.isfinite([found.value, answer.statistic, rule]).all()
        assert two_sample.SMALLEST <= answer.p_value <= 1


@every
@pytest.mark.parametrize("current", [[0, 0, 0], [0, 40, 0]])
@pytest.mark.parametrize("reference", [[0, 0, 0], [0, 500, 0]])
def test_nothing_to_see_is_no_effect_and_no_surprise(
    method: Method, reference: list[int], current: list[int]
) -> None:
    counts = np.array(reference), np.array(current)
    found, answer = method.measure(*counts), method.test(*counts)
    assert (float(found.value), float(answer.p_value)) == (0, 1)
    assert found.low <= 0 <= found.high
    if not all(side.any() for side in counts):
        assert (float(found.low), float(found.high)) == (-inf, inf)


@every
def test_ten_million_rows_a_side_are_measured_as_shares(method: Method) -> None:
    shares = cases.counts(cases.number("x"), cases.normal(0.5), 10**7)[:CELLS]
    even = np.full(CELLS, 10**6)
    found = method.measure(even, shares, knots=ENDS)
    least, most = magnitude(found)
    assert least > 0.9 * abs(found.value)
    assert most < 1.1 * abs(found.value)
    assert method.test(even, shares, knots=ENDS).p_value < 1e-200
    assert float(method.test(even, even, knots=ENDS).p_value) == 1


@every
def test_zero_drift_lies_inside_the_interval_at_its_nominal_rate(method: Method) -> None:
    for shares, at, rows in (
        (cases.normal(), ENDS, 1000),
        (np.array([0.9, 0.1]), np.array([0.0, 0, 1, 1]), 1000),
        (np.array([0.5, 0.25, 0.125, 0.125]), np.repeat([0.0, 1, 2, 3], 2), 200),
    ):
        sides = drawn(3, shares, 10_000, 2000), drawn(4, shares, rows, 2000)
        found = method.measure(*sides, knots=at)
        assert ((found.low <= 0) & (found.high >= 0)).mean() >= 0.935


@every
def test_p_values_under_no_drift_are_not_too_small(method: Method) -> None:
    for shares, at in ((cases.normal(), ENDS), (np.array([0.9, 0.1]), np.array([0.0, 0, 1, 1]))):
        sides = drawn(5, shares, 10_000, 20_000), drawn(6, shares, 1000, 20_000)
        p_value = method.test(*sides, knots=at).p_value
        assert (p_value < 0.05).mean() < 0.056
        assert (p_value < 0.001).mean() < 0.002


@every
def test_rows_that_come_in_fours_are_what_a_dispersion_of_four_means(method: Method) -> None:
    shares = cases.normal()
    fours = 4 * drawn(9, shares, 2500, 10_000), 4 * drawn(10, shares, 500, 10_000)
    alone = method.test(*fours, knots=ENDS).p_value
    dispersed = method.test(*fours, 4.0, knots=ENDS).p_value
    assert (alone < 0.05).mean() > 0.15
    assert (dispersed < 0.05).mean() < 0.06
    found = method.measure(*fours, 4.0, knots=ENDS)
    assert ((found.low <= 0) & (found.high >= 0)).mean() >= 0.935


@every
def test_a_drift_is_found_and_measured(method: Method) -> None:
    reference, current = pairs(50, 5000, 0.5)
    if method.name == "two_proportion":
        reference, current = (np.vstack([x[:1], x[1:].sum(0)]) for x in (reference, current))
    found = method.measure(reference, current, knots=ENDS[: 2 * len(reference)])
    assert (magnitude(found)[0] > 0).all()
    assert (method.test(reference, current, knots=ENDS[: 2 * len(reference)]).p_value < 1e-4).all()


@every
def test_cells_that_nobody_uses_change_no_bit(method: Method) -> None:
    reference, current = pairs()
    wide = [np.vstack([side, np.zeros((6, 4), int)]) for side in (reference, current)]
    where = np.arange(CELLS + 6)[:, None] < np.full(4, CELLS)
    beyond = np.vstack([ENDS, np.repeat(ENDS[-1:], 12, axis=0)])
    for of in (method.measure, method.test):
        plain = of(reference, current, 1.5, np.ones((CELLS, 4), bool), ENDS)
        assert bits(*of(wide[0], wide[1], 1.5, where, beyond)) == bits(*plain)
        assert bits(*of(wide[0], wide[1], 1.5, where, ENDS)) == bits(*plain)


@every
def test_rows_outside_the_mask_change_no_bit(method: Method) -> None:
    reference, current = pairs()
    where = np.ones((CELLS, 4), bool)
    where[-1] = False
    spoiled = current.copy()
    spoiled[-1] = 12345
    for of in (method.measure, method.test):
        plain = of(reference, current, 1.0, where, ENDS)
        assert bits(*of(reference, spoiled, 1.0, where, ENDS)) == bits(*plain)


@every
@pytest.mark.parametrize("lay", [np.ascontiguousarray, np.asfortranarray])
def test_many_series_at_once_give_the_bits_of_each_alone(
    method: Method, lay: Callable[[Ints], Ints]
) -> None:
    reference, current = (lay(side) for side in pairs(7))
    phi = np.linspace(1, 4, 7)
    where = np.ones((CELLS, 7), bool)
    at = np.repeat(ENDS, 7, axis=1) * np.linspace(1, 2, 7)
    for of in (method.measure, method.test):
        together = of(reference, current, phi, where, at)
        for k in range(7):
            one = slice(k, k + 1)
            alone = of(reference[:, k], current[:, k], float(phi[k]), where[:, k], at[:, k])
            column = of(reference[:, one], current[:, one], phi[one], where[:, one], at[:, one])
            assert bits(*alone) == bits(*(part[k] for part in together))
            assert bits(*column) == bits(*(part[one] for part in together))


@every
def test_over_dispersion_makes_no_method_surer(method: Method) -> None:
    reference, current = pairs(20, 400)
    plain, wide = (method.measure(reference, current, phi, None, ENDS) for phi in (1.0, 4.0))
    assert (magnitude(wide)[0] <= magnitude(plain)[0]).all()
    if method.signed:
        assert (wide.value == plain.value).all()
        assert (wide.high - wide.low > plain.high - plain.low).all()
    else:  # more of it is taken for chance
        assert (wide.value <= plain.value).all()
    sure, unsure = (method.test(reference, current, phi, None, ENDS).p_value for phi in (1.0, 4.0))
    assert (sure <= unsure).all()


@pytest.mark.parametrize(
    "method", [m for m in METHODS.values() if m.effect != "cramers_v"], ids=lambda m: m.name
)  # V is corrected for bias by name
def test_the_rule_of_a_method_is_not_corrected_for_over_dispersion(method: Method) -> None:
    reference, current = pairs(20, 400)
    plain, wide = (
        method.rule_value(reference, current, phi, None, ENDS, "effect") for phi in (1.0, 4.0)
    )
    assert plain == pytest.approx(wide, rel=1e-12)


@every
def test_exchanging_the_sides_changes_no_more_than_the_sign(method: Method) -> None:
    reference, current = pairs(20, 3000)
    of_p, of_q = (
        method.test(reference, current, knots=ENDS),
        method.test(current, reference, knots=ENDS),
    )
    if method.name in ("auc_shift", "mean_shift"):
        assert of_p.statistic == pytest.approx(-of_q.statistic)
    else:
        assert np.abs(of_p.statistic) == pytest.approx(np.abs(of_q.statistic))
        assert of_p.p_value == pytest.approx(of_q.p_value)


ORDERED = ("ks", "wasserstein", "auc_shift", "mean_shift")


@every
def test_only_methods_for_numbers_mind_the_order_of_cells(method: Method) -> None:
    reference, current = pairs(20)
    order = np.random.default_rng(8).permutation(CELLS)
    plain = method.measure(reference, current)
    mixed = method.measure(reference[order], current[order])
    same = all(a == pytest.approx(b) for a, b in zip(plain, mixed, strict=True))
    assert same == (method.name not in ORDERED)
    assert method.compares == (("number",) if method.name in ORDERED else method.compares)


@every
def test_a_method_says_what_it_is(method: Method) -> None:
    assert METHODS[method.name] is method
    assert method.label
    assert set(method.compares) <= {"number", "category"}
    assert method.compares
    assert 0 < method.threshold < 2 * method.threshold <= method.most
    assert method.level is None or 0 < method.level < 1
    assert method.least_rows >= 1
    for told in (method.sees, method.blind_to, method.cost, method.source):
        assert len(told) > 5


def documented() -> list[Callable[..., Interval | two_sample.Answer]]:
    """The functions behind the methods."""
    from detectors.samples import distances, transport

    return [
        of
        for module, kind in (
            (effects, Interval),
            (distances, Interval),
            (transport, Interval),
            (two_sample, two_sample.Answer),
        )
        for _, of in inspect.getmembers(module, inspect.isfunction)
        if of.__module__ == module.__name__
        and not of.__name__.startswith("_")
        and of.__annotations__["return"] is kind
        and not of.__name__.endswith(("_of", "_test"))  # of a pair: what another one here documents
    ]


@pytest.mark.parametrize("of", documented(), ids=lambda of: f"{of.__module__}.{of.__name__}")
def test_every_effect_and_test_has_a_docstring_that_runs(
    of: Callable[..., Interval | two_sample.Answer],
) -> None:
    text = " ".join((of.__doc__ or "").split())
    assert ">>>" in text
    if of.__annotations__["return"] is Interval:
        assert ":math:" in text or "References" in text
        assert "Cost O(" in text
        assert any(word in text for word in ("blind", "Blind", "Sees", "Does not say"))


def test_the_documentation_lists_every_method_with_the_rows_it_wants() -> None:
    text = (Path(__file__).parents[2] / "docs" / "statistics.md").read_text(encoding="utf-8")
    section = text.split("\n## Methods\n")[1].split("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| `")]
    told = {cells[0].strip(" `"): int(cells[6].replace(",", "")) for cells in rows}
    assert told == {name: method.least_rows for name, method in METHODS.items()}
