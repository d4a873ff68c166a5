"""Any split of events into panes, partitions and batches, in any order, gives the same counts, log M and verdicts.

To the last bit. What is added up is whole numbers, so nothing else can come out; this is where somebody would notice
that it does not. The stages have the same test over a broker: `tests/streams/test_determinism.py`.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from math import log
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.alarm.sequential import State, standing, step
from detectors.binning import Binner, Column
from detectors.judging.decision import Memory, Plan, Policy, decide, from_data, to_data
from detectors.judging.rules import written
from detectors.reference.build import Reference, build
from detectors.reference.frozen import Season
from detectors.reference.seasons import Seasonal
from detectors.samples.effects import Floats, Ints
from detectors.sequences.losses import Bernoulli, LossCells, tolerated
from detectors.types import Verdict
from tests.detectors.cases import HOUR_MS, window

ROWS, WINDOWS = 240, 5
HOMES = ("rent", "own", "", "🦭", "none of these", "x" * 300)


class Rows(NamedTuple):
    """Events by column; the first two are numbers, then a whole number, a category and a boolean."""

    columns: tuple[Column, ...]

    def take(self, which: Ints) -> "Rows":
        return Rows(
            tuple(
                replace(
                    c,
                    values=[c.values[i] for i in which]
                    if isinstance(c.values, list)
                    else c.values[which],
                    odd=c.odd[which],
                )
                for c in self.columns
            )
        )


def drawn(seed: int, rows: int, shift: float = 0.0) -> Rows:
    """Events with everything that can be wrong with them."""
    g = np.random.default_rng(seed)
    income, age = g.lognormal(10 + shift, 2, rows), g.normal(size=rows)
    age[g.random(rows) < 0.05] = np.nan
    income[g.random(rows) < 0.02] = np.inf
    income[:2] = 1e308, 5e-324
    homes = g.choice(4 if rows > 1_000 else 6, rows)
    flags: list[str | None] = ["true" if u < 0.1 + shift / 10 else "false" for u in g.random(rows)]
    odd = g.random((5, rows)) < 0.01
    columns = (
        Column("feature:income", "number", income, odd[0]),
        Column("feature:age", "number", age, odd[1]),
        Column("feature:clicks", "integer", g.integers(0, 5, rows).astype(np.float64), odd[2]),
        Column("feature:home", "category", [None if i == 2 else HOMES[i] for i in homes], odd[3]),
        Column("feature:flag", "boolean", flags, odd[4]),
    )
    return Rows(columns)


@cache
def reference(kind: str = "budget") -> Reference:
    """Two weeks; under a season with a slot for every hour of the day."""
    hours = np.arange(13_440) // 40
    day = Season("hour_of_day", "UTC")
    built, _ = build(
        drawn(1, len(hours)).columns,
        hours * HOUR_MS,
        reference_id="r1",
        model_id="m",
        model_version="1",
        source="test",
        window_ms=HOUR_MS,
        season=day.name if kind == "season" else None,
        seasonal=[Seasonal(day, hours % 24)] if kind == "season" else [],
    )
    return built


@cache
def windows() -> tuple[Rows, ...]:
    """The last three have drifted."""
    return tuple(drawn(10 + i, ROWS, shift=1.5 * (i >= 2)) for i in range(WINDOWS))


def binner() -> Binner:
    return Binner([r.series for r in reference().series])


@cache
def plan(kind: str) -> Plan:
    names = [r.series.name for r in reference().series]
    rules = {
        "budget": {},
        "season": {},
        "rules": {
            names[0]: written("wasserstein"),
            names[1]: written("ks", literal=True),
            names[3]: written("psi", literal=True),
        },
    }[kind]
    # A low threshold: the split must not show in an episode either.
    return Plan.compile(reference(kind), "all", Policy(log(100.0), rules=rules), names)


def slot(kind: str, window_index: int) -> int:
    """The hour of the day of a window."""
    return window_index % 24 if kind == "season" else 0


class Parts(NamedTuple):
    """How the events of a window came: which pane, partition and batch each was in, and in which order."""

    order: Ints
    of: Ints  # (ROWS,): the part of every event
    parts: int


@st.composite
def splits(draw: st.DrawFn) -> Parts:
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    parts = draw(st.sampled_from([1, 2, 3, 7, 40, ROWS]))
    return Parts(generator.permutation(ROWS), generator.integers(0, parts, ROWS), parts)


def merged(rows: Rows, split: Parts, *, at_once: bool) -> tuple[Ints, Ints]:
    """Counts and moments of every part, added up in the order in which the parts came."""
    shuffled = rows.take(split.order)
    cells, sums = np.zeros(binner().total, np.int64), np.zeros((len(rows.columns), 2), np.int64)
    if at_once:  # as a profiler does: many panes in one call
        counted = binner().count(shuffled.columns, split.of, split.parts)
        for pane in range(split.parts):
            cells, sums = cells + counted.cells[pane], sums + counted.sums[pane]
        return cells, sums
    for part in range(split.parts):
        counted = binner().count(shuffled.take(np.flatnonzero(split.of == part)).columns)
        cells, sums = cells + counted.cells[0], sums + counted.sums[0]
    return cells, sums


def judged(
    kind: str, counts: Sequence[Ints], between: Callable[[Plan, Memory], Memory]
) -> tuple[list[Verdict], str]:
    memory: Memory | None = None
    verdicts = []
    for i, c in enumerate(counts):
        memory, verdict = decide(
            plan(kind), memory, replace(window(i, ROWS), slot=slot(kind, i)), c
        )
        assert memory is not None
        memory = between(plan(kind), memory)
        verdicts.append(verdict)
    assert memory is not None
    return verdicts, json.dumps(to_data(plan(kind), memory))


def kept(_: Plan, memory: Memory) -> Memory:
    return memory


def restarted(of: Plan, memory: Memory) -> Memory:
    return from_data(of, json.loads(json.dumps(to_data(of, memory))), memory.history)[0]


@cache
def whole() -> tuple[tuple[Ints, Ints], ...]:
    """Every window counted in one go, in the order in which the events happened."""
    counted = [binner().count(rows.columns) for rows in windows()]
    return tuple((c.cells[0], c.sums[0]) for c in counted)


@cache
def expected(kind: str) -> tuple[list[Verdict], str]:
    return judged(kind, [cells for cells, _ in whole()], kept)


@settings(max_examples=40)
@given(data=st.data(), at_once=st.booleans())
def test_any_split_and_order_gives_the_same_counts_and_moments(
    data: st.DataObject, *, at_once: bool
) -> None:
    which = data.draw(st.integers(0, WINDOWS - 1))
    cells, sums = merged(windows()[which], data.draw(splits()), at_once=at_once)
    assert cells.tolist() == whole()[which][0].tolist()
    assert sums.tolist() == whole()[which][1].tolist()


@pytest.mark.parametrize("kind", ["budget", "rules", "season"])
@settings(max_examples=8)
@given(parts=st.lists(splits(), min_size=WINDOWS, max_size=WINDOWS), at_once=st.booleans())
def test_any_split_and_order_gives_the_same_verdicts_to_the_last_bit(
    kind: str, parts: list[Parts], *, at_once: bool
) -> None:
    counts = [
        merged(rows, split, at_once=at_once)[0]
        for rows, split in zip(windows(), parts, strict=True)
    ]
    verdicts, memory = judged(kind, counts, restarted)
    assert verdicts == expected(kind)[0]
    assert memory == expected(kind)[1]


@pytest.mark.parametrize("kind", ["budget", "rules", "season"])
def test_what_is_compared_there_is_an_episode_with_effects(kind: str) -> None:
    last = expected(kind)[0][-1]
    assert last.status in ("drifting", "severe")
    assert last.alarm is not None
    assert last.alarm.log_statistic is not None
    assert all(s.effect is not None for s in last.series if s.evidence)


@settings(max_examples=40)
@given(split=splits())
def test_losses_add_up_in_any_split_and_order(split: Parts) -> None:
    generator = np.random.default_rng(4)
    cells = LossCells.cut("loss", generator.exponential(size=5_000))
    panel, rate = cells.panel(ROWS), Bernoulli(tolerated(1_000, 5_000), phi=1.7, rows=ROWS)
    losses: Floats = generator.exponential(1.5, ROWS)
    losses[:3] = np.nan, np.inf, 1e308
    shuffled = losses[split.order]
    parts = [shuffled[split.of == part] for part in range(split.parts)]

    def alarm(counts: Ints) -> Any:
        return step(panel, State.start(panel.usable.shape, cells.counts), counts, 0)

    one, many = alarm(cells.count(losses)), alarm(sum(cells.count(p) for p in parts))  # type: ignore[arg-type]
    assert one.log.tobytes() == many.log.tobytes()
    assert standing(panel, one).log == standing(panel, many).log
    wrong = sum(int((p > 1).sum()) for p in parts)
    single = rate.step(rate.start(), int((losses > 1).sum()), ROWS)
    assert rate.to_data(rate.step(rate.start(), wrong, ROWS)) == rate.to_data(single)
