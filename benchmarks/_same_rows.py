"""What do Evidently and NannyML say of rows that Leeway judges, too? The fifty features as raw values."""

from collections.abc import Iterator
from math import log

import numpy as np
from scipy import stats

from benchmarks import _libraries, _panel
from benchmarks._figures import Figure, Options, progress
from benchmarks._libraries import Table
from benchmarks._panel import FIRST
from detectors.alarm.sequential import State, standing, step
from detectors.binning import Binner, Column
from detectors.judging.decision import Policy
from detectors.judging.plan import Plan
from detectors.reference.build import build
from detectors.samples.effects import Ints

QUIET, DRIFTING = 10, 10  # windows without drift, and after it
SHIFT = 0.25  # of one number
A = 10_000


def same_rows(options: Options) -> Iterator[Figure]:
    """Rows of the panel of fifty, in which one number moves by .25 sd after ten windows."""
    found = {} if options.short else _libraries.installed(options.pythons)
    for rows in (200, 1_000)[: 1 if options.short else 2]:
        generator = np.random.default_rng([2024, FIRST, rows])
        reference = _rows(generator, _panel.REFERENCE_ROWS, 0.0)
        parts = [
            _rows(generator, count * rows, by) for count, by in ((QUIET, 0.0), (DRIFTING, SHIFT))
        ]
        current = {k: np.concatenate([part[k] for part in parts]) for k in reference}
        alarmed = _leeway(reference, current, rows)
        before, delay = alarmed[:QUIET].any(), int(alarmed[QUIET:].argmax()) + 1
        peers = [_told("raw KS or chi2, p < .05", _tests(reference, current, rows))]
        for library in _libraries.LIBRARIES:
            if library not in found:
                peers.append(
                    f"{library}: not {'in the short version' if options.short else 'installed'}"
                )
                continue
            version, python = found[library]
            flags = _libraries.flags(python, library, reference, current, rows)
            peers.append(_told(f"{library} {version}", flags))
            progress(f"SAME-ROWS n = {rows:,}: {library}")
        yield Figure(
            "SAME-ROWS",
            f"n = {rows:,}, 10 windows without and 10 with +{SHIFT} sd",
            f"{'an' if before else 'no'} alarm before; alarm in window {delay} of the drift",
            "none before; ≤ 8" if rows == 200 else "none before; ≤ 3",
            not before and bool(alarmed.any()) and delay <= (8 if rows == 200 else 3),
            "; ".join(peers),
        )


def _told(name: str, flags: list[set[str]]) -> str:
    """Windows with any flag before the drift, and with a flag on the drifting feature after it."""
    before = sum(bool(f) for f in flags[:QUIET])
    after = sum("n0" in f for f in flags[QUIET:])
    return f"{name}: a flag in {before} of {QUIET} windows before, on the right feature in {after} of {DRIFTING} after"


def _rows(generator: np.random.Generator, rows: int, shift: float) -> Table:
    """Raw values: numbers as float64, flags and categories as texts."""
    numbers = {f"n{k}": generator.normal(size=rows) for k in range(_panel.NUMBERS)}
    numbers["n0"] += shift
    flags = {
        f"b{k}": np.where(generator.random(rows) < 0.1, "true", "false")
        for k in range(_panel.FLAGS)
    }
    categories = {
        f"c{k}": np.char.add("level ", generator.integers(0, 10, rows).astype(str))
        for k in range(_panel.CATEGORIES)
    }
    return numbers | flags | categories


def columns(table: Table) -> list[Column]:
    """As the library takes them: texts are categories, the empty text is missing."""
    return [
        Column(name, "number", values, np.zeros(len(values), bool))
        if values.dtype.kind == "f"
        else Column(
            name,
            "category",
            [text or None for text in values.tolist()],
            np.zeros(len(values), bool),
        )
        for name, values in table.items()
    ]


def planned(reference: Table, rows: int, a: float, block: int | None = None) -> tuple[Plan, Binner]:
    """A plan for windows of `rows` rows; φ from the reference cut into blocks of `block` rows, if given."""
    given = columns(reference)
    total = len(given[0].values)
    built, _ = build(
        given,
        np.arange(total) if block else None,
        reference_id="r",
        model_id="m",
        model_version="1",
        source="benchmark",
        window_ms=block or rows,
        bins=10,
    )
    policy = Policy(log(a), min_rows=min(rows, 200))
    plan = Plan.compile(built, "all", policy, [c.name for c in given])
    return plan, Binner(plan.series)


def _leeway(reference: Table, current: Table, rows: int) -> np.ndarray:
    """Per window, whether M has reached A."""
    plan, binner = planned(reference, rows, A)
    windows = counted(binner, current, rows)
    assert plan.watch is not None
    panel = _panel.compiled(plan.series, plan.counts, rows)
    state, out = State.start(panel.usable.shape, plan.counts), []
    for at, counts in enumerate(windows):
        state = step(panel, state, counts, at)
        out.append(standing(panel, state).log >= plan.policy.log_threshold)
    return np.array(out)


def counted(binner: Binner, table: Table, rows: int) -> Ints:
    """The counts of consecutive windows of `rows` rows; a last, shorter one is left out."""
    given = columns(table)
    whole = len(given[0].values) // rows
    groups = np.arange(whole * rows) // rows
    cut = [Column(c.name, c.type, c.values[: whole * rows], c.odd[: whole * rows]) for c in given]
    return binner.count(cut, groups, whole).cells


def _tests(reference: Table, current: Table, rows: int) -> list[set[str]]:
    """Kolmogorov-Smirnov on the raw numbers, chi-square on the rest, as scipy has them."""
    out = []
    for at in range(0, len(current["n0"]), rows):
        flagged = set()
        for name, values in reference.items():
            window = current[name][at : at + rows]
            if values.dtype.kind == "f":
                p = stats.ks_2samp(values, window, method="asymp").pvalue
            else:
                known, cells = np.unique(np.concatenate([values, window]), return_inverse=True)
                sides = [
                    np.bincount(part, minlength=len(known))
                    for part in (cells[: len(values)], cells[len(values) :])
                ]
                p = stats.chi2_contingency(np.stack(sides), correction=False).pvalue
            if p < 0.05:
                flagged.add(name)
        out.append(flagged)
    return out
