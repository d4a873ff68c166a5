"""References and windows of the worst values in every mixture: numbers, words, texts, vectors and their relations."""

import json
from collections.abc import Sequence
from math import log
from typing import Any, NamedTuple

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from detectors.binning import Binner, Column
from detectors.judging.decision import Memory, Plan, Policy, decide, from_data, to_data
from detectors.judging.rules import Rule, written
from detectors.reference.build import build, from_document, to_document
from detectors.reference.derived import Raw
from detectors.reference.frozen import Reference
from detectors.reference.joint import Joint
from detectors.samples.effects import Ints
from detectors.samples.methods import METHODS
from tests.detectors.cases import HOUR_MS, window
from tests.detectors.test_degenerate import objections

INF, NAN, MOST = np.inf, np.nan, 1.7976931348623157e308
NUMBERS = (
    *(0.0, -0.0, 1.0, -1.0, 0.1, 7.0, 1e308, -1e308, MOST, 5e-324, -5e-324, 1e-300, 1e16),
    *(2.0**53, 2.0**53 + 2, -(2.0**60), NAN, INF, -INF),
)
WORDS = ("", "a", "🦭", "\ud800", "x" * 256, "x" * 257, "\0", " ", "true", None)
TEXTS = ("", "hello world", "🦭 🦭", "x" * 20_000, "\ud800 b", "a " * 2_000, None, "٣ ½")
VECTORS = ((0.0, 0.0), (1e308, 1e308), (-1e308, 1e308), (5e-324, 0.0), (1.0,), (), None)


class Kind(NamedTuple):
    """A feature, and the values it is drawn from."""

    name: str
    type: Any
    values: tuple[Any, ...]


WHOLE = tuple(float(np.rint(v)) for v in NUMBERS)
KINDS = (
    Kind("feature:a", "number", NUMBERS),
    Kind("feature:b", "number", NUMBERS),
    Kind("feature:i", "integer", WHOLE),
    Kind("feature:w", "category", WORDS),
    Kind("feature:t", "text", TEXTS),
    Kind("feature:v", "vector", VECTORS),
)


def drawn(generator: np.random.Generator, rows: int, variety: int) -> list[Column | Raw]:
    """A column of each kind, of at most so many different values."""
    columns: list[Column | Raw] = []
    for kind in KINDS:
        among = generator.integers(0, len(kind.values), variety)
        values = [kind.values[among[i]] for i in generator.integers(0, variety, rows)]
        odd = generator.random(rows) < 0.01
        if kind.type in ("text", "vector"):
            columns.append(Raw(kind.name, kind.type, values, odd))
        else:
            table: Any = (
                np.array(values, np.float64) if kind.type in ("number", "integer") else values
            )
            columns.append(Column(kind.name, kind.type, table, odd))
    return columns


def counted(of: Reference, columns: Sequence[Column | Raw], rows: int) -> Ints:
    """As in production: what cannot be counted itself is measured event by event."""
    have: dict[str, Any] = {c.name: c.values for c in columns}
    odd = {c.name: c.odd for c in columns}
    for one in of.derived:
        if isinstance(one, Joint):
            block = [np.where(odd[f], np.nan, have[f]) for f in one.features]
            table = one.measured(np.stack(block))
            assert np.isfinite(table).all()
        else:
            measure = one.measure()
            table = np.array([measure(v) for v in have[one.feature]], np.float64).T
        have |= dict(zip(one.names, table, strict=True))
    binner = Binner([r.series for r in of.series])
    none = np.zeros(rows, bool)
    cells: Ints = binner.count(
        [Column(s.name, s.type, have[s.name], odd.get(s.name, none)) for s in binner.series]
    ).cells[0]
    assert cells.sum() == rows * len(binner.series)
    return cells


def named(of: Reference, generator: np.random.Generator) -> dict[str, Rule]:
    """A method for every series, some literal."""
    rules = {}
    for r in of.series:
        kind = "number" if r.series.numeric else "category"
        fitting = [name for name, method in METHODS.items() if kind in method.compares]
        chosen = fitting[int(generator.integers(0, len(fitting)))]
        rules[r.series.name] = written(chosen, literal=bool(generator.random() < 0.5))
    return rules


@settings(max_examples=12)
@example(seed=29660, rows=150, current=1, timed=False, ruled=False)  # a centre beyond all floats
@given(
    seed=st.integers(0, 2**31),
    rows=st.sampled_from([1, 150, 250, 600]),
    current=st.sampled_from([1, 30, 300, 1_000]),
    timed=st.booleans(),
    ruled=st.booleans(),
)
def test_whatever_comes_a_verdict_is_made_of_numbers(
    seed: int, rows: int, current: int, *, timed: bool, ruled: bool
) -> None:
    generator = np.random.default_rng(seed)
    of, warnings = build(
        drawn(generator, rows, variety=1 + seed % 6),
        np.arange(rows) * (HOUR_MS * 40 // rows) if timed else None,
        reference_id="r1",
        model_id="m",
        model_version="1",
        source="test",
        window_ms=HOUR_MS,
        together=[k.name for k in KINDS[:3]],
    )
    assert warnings  # so small a reference never goes without one
    assert from_document(json.loads(json.dumps(to_document(of), allow_nan=False))) == of
    policy = Policy(log(100), rules=named(of, generator) if ruled else {})
    plan = Plan.compile(of, "all", policy, [r.series.name for r in of.series])
    counts = counted(of, drawn(generator, current, variety=3), current)
    memory: Memory | None = None
    for i in range(3):
        memory, verdict = decide(plan, memory, window(i, current), counts)
        assert memory is not None
        assert objections(verdict) == []
        kept = json.loads(json.dumps(to_data(plan, memory), allow_nan=False))
        memory, _ = from_data(plan, kept, memory.history)
