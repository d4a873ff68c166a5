"""Do the joint series see relations, all of them and nothing else, with the same bits however events are split?"""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.binning import Column, Counts
from detectors.judging.decision import Memory, Plan, Policy, decide
from detectors.reference.build import Reference, build
from detectors.reference.joint import MOST, Joint, learn
from detectors.samples.effects import Floats
from detectors.types import Verdict, Window

ROWS, FEATURES = 1_000, 10
NAMES = tuple(f"feature:f{i}" for i in range(FEATURES))


def normal(rows: int, seed: int, pair: float = 0.0, features: int = FEATURES) -> Floats:
    """N(0,1) rows; the first two features are correlated."""
    values = np.random.default_rng([7, seed]).standard_normal((features, rows))
    values[1] = pair * values[0] + np.sqrt(1 - pair**2) * values[1]
    return values


def frozen(values: Floats) -> Reference:
    columns = [
        Column(name, "number", v, np.zeros(len(v), bool))
        for name, v in zip(NAMES, values, strict=False)
    ]
    reference, _ = build(
        columns, None, reference_id="r", model_id="m", model_version="1", source="s",
        window_ms=1000, together=NAMES,
    )  # fmt: skip
    return reference


@cache
def usual() -> Reference:
    return frozen(normal(10_000, 0))


def joint_of(reference: Reference) -> Joint:
    (one,) = reference.derived
    assert isinstance(one, Joint)
    return one


def counted(reference: Reference, values: Floats) -> Counts:
    from detectors.binning import Binner

    block = np.vstack([values, joint_of(reference).measured(values)])
    binner = Binner([r.series for r in reference.series])
    return binner.count(
        [
            Column(r.series.name, "number", row, np.zeros(len(row), bool))
            for r, row in zip(reference.series, block, strict=True)
        ]
    )


def judged(reference: Reference, windows: list[Floats]) -> list[Verdict]:
    plan = Plan.compile(
        reference, "all", Policy(np.log(1000.0)), tuple(r.series.name for r in reference.series)
    )
    memory: Memory | None = None
    found = []
    for i, values in enumerate(windows):
        window = Window(i * 1000, (i + 1) * 1000, values.shape[1])
        memory, verdict = decide(plan, memory, window, counted(reference, values).cells[0])
        found.append(verdict)
    return found


def alarmed(verdicts: list[Verdict]) -> int | None:
    over = (
        i
        for i, v in enumerate(verdicts, start=1)
        if v.alarm and v.alarm.log_statistic is not None
        and v.alarm.log_statistic >= v.alarm.log_threshold
    )  # fmt: skip
    return next(over, None)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_new_correlation_is_found_in_a_few_windows_while_no_feature_moves(seed: int) -> None:
    found = judged(usual(), [normal(ROWS, 100 * seed + i, pair=0.5) for i in range(6)])
    first = alarmed(found)
    assert first is not None
    assert first <= 4
    culprits = [c.series for v in found for c in v.culprits]
    assert culprits
    assert all(name.startswith("joint") for name in culprits)
    assert set(culprits) & {"joint:f0", "joint:f1"}


def test_a_correlation_that_breaks_is_found() -> None:
    reference = frozen(normal(10_000, 0, pair=0.6))
    first = alarmed(judged(reference, [normal(ROWS, i) for i in range(1, 5)]))
    assert first is not None
    assert first <= 3


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nothing_alarms_while_nothing_changes(seed: int) -> None:
    assert alarmed(judged(usual(), [normal(ROWS, 1000 * seed + i) for i in range(25)])) is None


def test_the_reference_measures_its_rows_as_if_they_were_new() -> None:
    values, new = normal(2_000, 1, features=30), normal(10_000, 2, features=30)
    names = [f"feature:f{i}" for i in range(30)]
    one, own = learn(names, values, np.arange(2_000))
    fresh = one.measured(new)
    error = fresh[0].std() * np.sqrt(1 / 2_000 + 1 / 10_000)
    assert abs(own[0].mean() - fresh[0].mean()) < 3 * error
    # what this is for: rows lie nearer to a centre that they helped to draw
    assert own[0].mean() - one.measured(values)[0].mean() > 2 * error


@settings(max_examples=30)
@given(st.lists(st.integers(0, 500), max_size=6))
def test_any_split_into_blocks_gives_the_same_bits(cuts: list[int]) -> None:
    values = normal(500, 3)
    one = joint_of(usual())
    whole = one.measured(values)
    parts = np.split(values, sorted(cuts), axis=1)
    assert np.concatenate([one.measured(part) for part in parts], axis=1).tobytes() == (
        whole.tobytes()
    )


def test_sums_are_exact_for_as_many_features_as_there_may_be() -> None:
    p, random = MOST, np.random.default_rng(5)
    lower = np.tril(random.integers(-127, 128, (p, p)))
    weights = (lower + np.tril(lower, -1).T).tolist()
    triangle = tuple(weights[i][j] for i in range(p) for j in range(i + 1))
    names = tuple(f"f{i}" for i in range(p))
    one = Joint(names, (0.0,) * p, (1.0,) * p, 0, triangle)
    values = random.choice([-1e308, 1e308, 3.0, 0.0], size=(p, 20))
    whole = np.clip(values, -4, 4).astype(int) * 32
    for column, row in zip(one.measured(values).T, whole.T.tolist(), strict=True):
        u = [sum(w * a for w, a in zip(of, row, strict=True)) for of in weights]
        halves = [sum(u[(i + k) % p] for k in range(1, p // 2 + 1)) for i in range(p)]
        assert column[0] == sum(x * x for x in u) / 32**2
        assert column[1:].tolist() == [x * half / 32**2 for x, half in zip(u, halves, strict=True)]


@pytest.mark.parametrize("strange", [np.nan, np.inf, -np.inf])
def test_a_missing_or_invalid_value_counts_as_the_centre(strange: float) -> None:
    one = joint_of(usual())
    values = normal(3, 6)
    centre = values.copy()
    values[4, 1], centre[4, 1] = strange, one.centre[4]
    assert np.array_equal(one.measured(values), one.measured(centre))


def test_equal_and_huge_features_do_no_harm() -> None:
    values = normal(2_000, 8, features=4)
    values[1] = values[0]
    values[2] *= 1e307
    values[3] = np.where(np.arange(2_000) == 7, 1.0, 0.0)
    one, own = learn(["a", "b", "c", "d"], values, np.arange(2_000))
    assert np.isfinite(own).all()
    apart = values.copy()
    apart[1] = -apart[0]
    assert one.measured(apart)[0].mean() > 3 * own[0].mean()


def test_weights_that_would_not_be_exact_are_refused() -> None:
    with pytest.raises(ValueError, match="too large"):
        Joint(("a", "b"), (0.0, 0.0), (1.0, 1.0), 3, (2**15, 1, 1))
