"""Is what a subject remembers kept small, and to the last bit?"""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from detectors.judging.decision import (
    Base,
    Memory,
    Past,
    based,
    decide,
    from_data,
    state_to_data,
    to_data,
)
from detectors.judging.memory import MOST_STEPS
from detectors.judging.packing import pack, unpack_floats, unpack_ints
from detectors.types import Status, Window
from tests.detectors import cases
from tests.detectors.cases import HOUR_MS, counts, judge, normal, number, plan, reference

X = number("x")
PLAN = plan(reference([X], [counts(X, normal(), 10_000)]))
SAME, MOVED = counts(X, normal(), 1000), counts(X, normal(0.6), 1000)


@given(arrays.arrays(np.float64, st.integers(0, 20), elements=st.floats(width=64)))
def test_packed_floats_come_back_to_the_last_bit(values: Any) -> None:
    assert unpack_floats(pack(values)).tobytes() == values.tobytes()


@given(arrays.arrays(np.int64, st.integers(0, 20)))
def test_packed_whole_numbers_come_back(values: Any) -> None:
    assert unpack_ints(pack(values), values.size).tolist() == values.tolist()


@pytest.mark.parametrize(
    "text", [None, 7, "", "u2", "u2:A", "u2:AQ==", "f8:AQAC", "u3:AQAC", "u1:€", [1, 2]]
)
def test_what_nobody_packed_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r"packed numbers|base64"):
        unpack_ints(text)
    with pytest.raises(ValueError, match=r"packed numbers|base64"):
        unpack_floats(text)


def test_another_number_of_values_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 2 numbers, not 3"):
        unpack_ints(pack(np.arange(3)), 2)


def followed(cells: list[Any]) -> tuple[Memory, list[Base]]:
    """Window after window, and the base that each memory is kept by."""
    memory, bases = Memory.start(PLAN), list[Base]()
    for t, c in enumerate(cells):
        before = memory
        after, _ = decide(PLAN, before, cases.window(t), c)
        assert after is not None
        memory = after
        bases.append(based(bases[-1] if bases else None, before, memory))
    return memory, bases


def test_a_state_is_written_every_seventeenth_window() -> None:
    _, bases = followed([SAME] * 40)
    fresh = [t for t, base in enumerate(bases) if not base.steps]
    assert fresh == [0, MOST_STEPS + 1, 2 * (MOST_STEPS + 1)]
    assert bases[16].state is bases[0].state


def test_a_window_that_was_not_judged_leaves_the_base() -> None:
    _, bases = followed([SAME, SAME // 20, SAME * 0])
    assert bases[1] is bases[0]
    assert bases[2] is bases[0]


def test_a_resolution_makes_a_new_base() -> None:
    cells = [*[SAME] * 3, *[MOVED] * 3, *[SAME] * 7]
    _, verdicts = judge(PLAN, None, cells)
    end = next(t for t, v in enumerate(verdicts) if t > 4 and v.status == Status.STABLE)
    _, bases = followed(cells)
    assert bases[end].steps == ()
    assert bases[end].state.looks == 0
    assert bases[end - 1].steps == (1,) * (end - 1)


def test_windows_of_another_length_make_a_new_base() -> None:
    memory, bases = followed([SAME] * 3)
    longer = Window(2 * HOUR_MS, 5 * HOUR_MS, 1000)
    after, _ = decide(PLAN, memory, longer, SAME)
    assert after is not None
    assert based(bases[-1], memory, after).steps == ()


def test_a_history_that_forgets_makes_a_new_base() -> None:
    memory, bases = followed([SAME] * 3)
    after, _ = decide(PLAN, memory, cases.window(24 * 32), SAME)
    assert after is not None
    assert len(after.history) == 1
    assert based(bases[-1], memory, after).steps == ()


def kept() -> tuple[dict[str, Any], dict[str, Any], tuple[Past, ...], Memory]:
    memory, bases = followed([SAME] * 6)
    base = bases[-1]
    data = json.loads(json.dumps([to_data(PLAN, memory, base), state_to_data(PLAN, base.state)]))
    return data[0], data[1], memory.history, memory


def test_without_its_base_or_a_window_since_then_a_memory_is_refused() -> None:
    data, _, history, memory = kept()
    with pytest.raises(ValueError, match="lacks its base"):
        from_data(PLAN, data, history)
    with pytest.raises(ValueError, match="lacks windows"):
        from_data(PLAN, data, history[3:], memory.state)
    with pytest.raises(ValueError, match="does not follow from its base"):
        from_data(PLAN, data, history, memory.state)


def test_a_state_of_other_series_of_the_same_shape_is_refused() -> None:
    both = reference([X, number("y")], [counts(X, normal(), 10_000)] * 2)
    policy = PLAN.policy
    mine, other = (
        type(PLAN).compile(both, "all", policy, [f"feature:{name}"]) for name in ("x", "y")
    )
    memory, _ = judge(mine, None, [np.r_[SAME, SAME]])
    assert memory is not None
    with pytest.raises(ValueError, match="another reference or lifecycle"):
        from_data(other, to_data(mine, memory), ())


def test_what_the_first_release_wrote_is_read() -> None:
    cells = [*[SAME] * 3, *[MOVED] * 3]
    memory, _ = judge(PLAN, None, cells)
    assert memory is not None
    state, problem = memory.state, memory.problem
    assert problem is not None
    betted = np.isfinite(state.log)
    old = {
        "log": [v if np.isfinite(v) else None for v in state.log.ravel().tolist()],
        "path": state.path[betted].tolist(),
        "since": state.since[betted].tolist(),
        "pool": state.pool.tolist(),
        "looks": state.looks,
        "carried": {"window": [0, 1, 2, 3, 4], "counts": SAME.tolist()},
        "problem": {
            "onset": [problem.onset.estimate_ms, problem.onset.earliest_ms, problem.onset.latest_ms],
            "suspects": [[s.series, s.score, s.share, s.severe] for s in problem.suspects],
            "span": problem.span.tolist(),
            "graded": problem.graded.tolist(),
            "opened_ms": problem.opened_ms,
            "calm": problem.calm,
            "mild": problem.mild,
            "severe_windows": problem.severe_windows,
        },
    }  # fmt: skip
    found, base = from_data(PLAN, json.loads(json.dumps(old)), memory.history)
    assert base.steps == ()
    assert found.carried[0].window == Window(0, 1, 2, 3, 4)
    written = to_data(PLAN, memory)
    assert to_data(PLAN, found) == {**to_data(PLAN, found), "state": written["state"]}
    assert found.problem is not None
    assert np.array_equal(found.problem.span, problem.span)
    other = plan(reference([X, number("y")], [counts(X, normal(), 10_000)] * 2))
    with pytest.raises(ValueError, match="another reference"):
        from_data(other, old, ())


def test_a_window_costs_a_tenth_of_what_its_whole_state_would() -> None:
    g = np.random.default_rng(4)
    series = [number(f"x{k}") for k in range(50)]
    of = plan(reference(series, [cases.drawn(g, X, normal(), 10_000) for _ in series]))
    memory, sizes = Memory.start(of), list[int]()
    base: Base | None = None
    for t in range(2 * (MOST_STEPS + 1)):
        cells = np.concatenate([cases.drawn(g, X, normal(), 1000) for _ in series])
        before = memory
        after, _ = decide(of, before, cases.window(t), cells)
        assert after is not None
        memory, last = after, base
        base = based(base, before, memory)
        size = len(json.dumps(to_data(of, memory, base)))
        if last is None or base.state is not last.state:
            size += len(json.dumps(state_to_data(of, base.state)))
        sizes.append(size)
    assert max(sizes) < 110_000
    assert np.mean(sizes) < 7_500
