"""Are the drifts found that are known to be there, and nothing before? REAL-insects, REAL-elec2, REAL-synthetic."""

from collections.abc import Iterator

import numpy as np
from scipy import stats

from benchmarks import _libraries, _peers
from benchmarks._figures import Figure, Options, progress
from benchmarks._libraries import Table
from benchmarks._real import KNOWN, Fired, everything, load, of_verdicts
from benchmarks._same_rows import counted, planned
from detectors.judging.decision import decide
from detectors.types import Verdict, Window

# First alarm of the data, in production rows, and the features it has to name first.
FOUND = {
    "elec2": (7_393, 7_728, {"vicprice", "vicdemand", "transfer"}),
    "insects": (4_501, 6_500, {"f17", "f08", "f26"}),
}


def real_streams(options: Options) -> Iterator[Figure]:
    """The two real streams, each once."""
    for name, known in KNOWN.items():
        benchmark = f"REAL-{name}"
        if options.data is None or options.short:
            why = "not in the short version" if options.short else "the real streams are not here"
            yield Figure(benchmark, known.title, f"not measured: {why}")
            continue
        fired = everything(load(options.data, name))
        progress(f"{benchmark}: {len(fired)} rules")
        data, *others = fired
        trusting = next(f for f in others if f.rule == "Leeway, φ = 1")
        low, high, leaders = FOUND[name]
        first = data.first()
        window = (
            f"window {first // known.rows}, rows {first - known.rows + 1:,}–{first:,}"
            if first
            else "never"
        )
        fine = first is not None and low <= first <= high and set(data.named[:3]) == leaders
        loose = trusting.first()
        yield Figure(
            benchmark,
            f"{known.title}, A = 1,000",
            f"{window}: {', '.join(data.named[:3])} first; φ = 1: window {(loose or 0) // known.rows}",
            f"first alarm in rows {low:,}–{high:,}, naming {', '.join(sorted(leaders))}",
            fine,
            f"fired before row {known.quiet + 1:,}: "
            + "; ".join(_early(f, known.quiet) for f in others if "Leeway" not in f.rule),
        )
        errors = next(f for f in others if f.rule == "Leeway, errors")
        quiet = errors.before(4_500 if name == "insects" else known.quiet)
        yield Figure(
            benchmark,
            f"errors, {errors.note}",
            f"first alarm up to row {errors.first() or 0:,}",
            "none before the drift",
            not quiet and bool(errors.rows),
        )


def _early(fired: Fired, quiet: int) -> str:
    return f"{fired.rule} {fired.before(quiet)} times"


class _Set:
    """One of NannyML's bundled sets: where its drift begins, in windows of 1,000 rows of its analysis period."""

    def __init__(self, name: str, title: str, starts: int, skipped: tuple[str, ...]) -> None:
        self.name, self.title, self.starts, self.skipped = name, title, starts, skipped


SETS = (
    _Set("car_loan", "car loan", 26, ("id", "timestamp", "repaid")),
    _Set(
        "binary_classification",
        "work from home",
        26,
        ("id", "identifier", "timestamp", "period", "work_home_actual"),
    ),
    _Set(
        "multiclass_classification",
        "credit",
        31,
        ("id", "identifier", "timestamp", "period", "y_true"),
    ),
    _Set("car_price", "car price", 31, ("id", "timestamp", "y_true")),
)
ROWS = 1_000


def real_synthetic(options: Options) -> Iterator[Figure]:
    """NannyML's own sets, where NannyML is."""
    found = {} if options.short else _libraries.installed(options.pythons)
    absent = "not in the short version" if options.short else "not installed"
    if "nannyml" not in found:
        yield Figure("REAL-synthetic", "NannyML's sets", f"not measured: NannyML is {absent}")
        return
    version, python = found["nannyml"]
    for one in SETS:
        reference, current = (
            {k: v for k, v in table.items() if k not in one.skipped}
            for table in _libraries.dataset(python, one.name)
        )
        reference = {k: v for k, v in reference.items() if k in current}
        current = {k: current[k] for k in reference}
        firsts = []
        for block in (ROWS, None):  # φ from the reference, and φ = 1
            fired = _fired(reference, current, block)
            first = fired.first()
            firsts.append(first // ROWS if first else None)
            named = fired.named
        flags = _libraries.flags(python, "nannyml", reference, current, ROWS)
        progress(f"REAL-synthetic: {one.title}")
        told = " and ".join("never" if f is None else str(f) for f in firsts)
        yield Figure(
            "REAL-synthetic",
            f"{one.title}, A = 1,000",
            f"first alarm in window {told} (φ calibrated, φ = 1): {', '.join(named[:3])}",
            f"{one.starts} and {one.starts}",
            firsts == [one.starts] * 2,
            f"{_classical(reference, current, one.starts)}; NannyML {version}: a flag in "
            f"{sum(bool(f) for f in flags[: one.starts - 1])} of {one.starts - 1} windows before",
        )


def _fired(reference: Table, current: Table, block: int | None) -> Fired:
    plan, binner = planned(reference, ROWS, 1_000, block)
    memory, verdicts = None, list[Verdict]()
    for at, counts in enumerate(counted(binner, current, ROWS)):
        memory, verdict = decide(plan, memory, Window(at * ROWS, (at + 1) * ROWS, ROWS), counts)
        verdicts.append(verdict)
    return of_verdicts("Leeway", verdicts, [(at + 1) * ROWS for at in range(len(verdicts))])


def _classical(reference: Table, current: Table, starts: int) -> str:
    """Continuous columns that KS flags in any window before the drift; windows in which PSI > .2 sees it after."""
    plan, binner = planned(reference, ROWS, 1_000)
    windows = counted(binner, current, ROWS)
    flags = _peers.flagged(_peers.psi_rule, plan.series, plan.counts, windows)
    psi = np.logical_or.reduce(flags, axis=1)
    numbers = {k: v for k, v in reference.items() if v.dtype.kind == "f" and len(np.unique(v)) > 20}
    early = 0
    for name, values in numbers.items():
        early += any(
            stats.ks_2samp(values, current[name][w * ROWS : (w + 1) * ROWS], method="asymp").pvalue
            < _peers.P_LIMIT
            for w in range(starts - 1)
        )
    before, after = psi[: starts - 1], psi[starts - 1 :]
    return (
        f"KS p < .05 flags {early} of {len(numbers)} continuous columns before; "
        f"PSI > .2 fires in {before.sum()} windows before and {after.sum()} of {len(after)} after"
    )
