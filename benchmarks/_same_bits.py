"""Is the verdict the same however the events are cut, and whenever the process is killed? MERGE.

The rows of the same windows, in any order, partitions and batches, add up to the same counts and so to the same
verdicts; a memory written to JSON and read again at any window goes on to the same bits.
"""

import json
from collections.abc import Iterator
from math import log

import numpy as np

from benchmarks._figures import Figure, Options
from benchmarks._panel import FIRST
from detectors.binning import Binner, Column
from detectors.judging.decision import Policy, decide, from_data, to_data
from detectors.judging.memory import Memory
from detectors.judging.plan import Plan
from detectors.reference.build import build
from detectors.samples.effects import Ints
from detectors.types import Verdict, Window

ROWS, WINDOWS = 500, 24


def merge(options: Options) -> Iterator[Figure]:
    """The same events in other orders, cut in other ways, with restarts."""
    tries = options.of(20, 3)
    plan, columns = _planned()
    expected = _logs(plan, _counts(plan, columns, np.arange(ROWS * WINDOWS), [ROWS * WINDOWS]))
    same = restarted = True
    for i in range(tries):
        generator = np.random.default_rng([2024, FIRST, i])
        order = generator.permutation(ROWS * WINDOWS)  # across windows as well
        cuts = np.diff(
            [0, *sorted(generator.integers(0, len(order), 1 + 7 * i).tolist()), len(order)]
        )
        counts = _counts(plan, columns, order, cuts.tolist())
        same = same and _logs(plan, counts) == expected
        stops = set(generator.integers(0, WINDOWS, 6).tolist())
        restarted = restarted and _logs(plan, counts, stops) == expected
    for case, met in (
        (f"{tries} random orders, partitions and batches of the same windows", same),
        (f"{tries} times killed and restored from JSON at random windows", restarted),
    ):
        yield Figure(
            "MERGE", case, "log M: same bits" if met else "log M differs", "same bits", met
        )


def _planned() -> tuple[Plan, list[Column]]:
    """Two numbers and a category; the category's shares move in the second half."""
    generator = np.random.default_rng([2024, FIRST])
    total = 20_000 + ROWS * WINDOWS
    levels = np.where(
        np.arange(total) < total - ROWS * WINDOWS // 2,
        generator.integers(0, 5, total),
        generator.integers(0, 4, total),
    )
    columns = [
        Column("feature:x", "number", generator.normal(size=total), np.zeros(total, bool)),
        Column("feature:y", "number", generator.exponential(size=total), np.zeros(total, bool)),
        Column("feature:c", "category", [f"level {c}" for c in levels], np.zeros(total, bool)),
    ]
    past = [Column(c.name, c.type, c.values[:20_000], c.odd[:20_000]) for c in columns]
    reference, _ = build(
        past,
        np.arange(20_000),
        reference_id="r",
        model_id="m",
        model_version="1",
        source="seed",
        window_ms=ROWS,
    )
    plan = Plan.compile(reference, "all", Policy(log(1e4)), [c.name for c in columns])
    return plan, [Column(c.name, c.type, c.values[20_000:], c.odd[20_000:]) for c in columns]


def _counts(plan: Plan, columns: list[Column], order: Ints, cuts: list[int]) -> Ints:
    """The windows' counts, from events in this order, added up batch by batch."""
    binner, total = Binner(plan.series), np.zeros((WINDOWS, plan.cells), np.int64)
    at = 0
    for size in cuts:
        rows = order[at : at + size]
        at += size
        batch = [
            Column(
                c.name,
                c.type,
                c.values[rows] if isinstance(c.values, np.ndarray) else [c.values[r] for r in rows],
                c.odd[rows],
            )
            for c in columns
        ]
        total += binner.count(batch, rows // ROWS, WINDOWS).cells
    return total


def _logs(plan: Plan, windows: Ints, restarts: set[int] | None = None) -> list[Verdict]:
    """The verdicts, log M to the last published digit and every effect in them."""
    memory: Memory | None = None
    out = []
    for at, counts in enumerate(windows):
        if memory is not None and at in (restarts or set()):
            kept = json.loads(json.dumps(to_data(plan, memory)))
            memory, _ = from_data(plan, kept, memory.history)
        memory, verdict = decide(plan, memory, Window(at * ROWS, (at + 1) * ROWS, ROWS), counts)
        out.append(verdict)
    return out
