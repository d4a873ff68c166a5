"""What fires when on the two real streams? Every rule there is, as the production rows at which it fires.

Rows and windows are counted from 1 at the first production row. The streams are read where they lie, never copied.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from scipy import stats

from benchmarks import _peers
from benchmarks._libraries import Table
from benchmarks._same_rows import counted, planned
from detectors.decision import decide
from detectors.effects import Floats
from detectors.losses import Bernoulli, tolerated
from detectors.scores import scores
from detectors.sequences import SequenceDetector
from detectors.sequential import dispersion
from detectors.series import Series
from detectors.types import Status, Verdict, Window
from detectors.values import Adwin, Ddm, Eddm, HddmA, HddmW, PageHinkley

A = 1_000  # the least a budget is turned into, so the earliest alarm there can be
IDS = ("event_id", "timestamp", "model_version", "split")
OUTPUTS = ("score", "prediction", "label", "label_timestamp")
SDS = 3.0


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a stream, and in what windows it is judged."""

    name: str
    file: str
    title: str
    rows: int  # per window
    block: int  # rows of the 30 reference windows that φ is from; φ grows with longer ones
    quiet: int  # production rows before which nothing should fire
    event: str  # what happens there


KNOWN = {
    "elec2": Known(
        "elec2",
        "elec2.parquet",
        "Elec2: electricity market, a week per window",
        336,
        333,
        7_424,
        "three constant features begin to move",
    ),
    "insects": Known(
        "insects",
        "insects_gradual.parquet",
        "Insects: gradual change of temperature, 200 rows per window",
        200,
        166,
        4_500,
        "earliest sign of the gradual drift",
    ),
}


@dataclass(frozen=True, slots=True)
class Real:
    """A real stream: features and errors before and after go-live."""

    known: Known
    reference: Table
    production: Table
    reference_errors: Floats
    errors: Floats
    times_ms: tuple[np.ndarray, np.ndarray]

    @property
    def windows(self) -> int:
        """Whole windows of production."""
        return len(self.errors) // self.known.rows


def load(folder: Path, name: str) -> Real:
    """Read one of them."""
    known = KNOWN[name]
    table = pq.read_table(folder / known.file)
    split = np.array(table["split"].to_pylist())
    sides = split == "reference", split == "production"
    values: dict[str, np.ndarray] = {}
    for column in table.column_names:
        if column in (*IDS, *OUTPUTS):
            continue
        read = table[column].to_numpy()
        values[column] = read if read.dtype.kind == "f" else read.astype(str)
    wrong = (
        np.array(table["prediction"].to_pylist()) != np.array(table["label"].to_pylist())
    ) * 1.0
    times = table["timestamp"].to_numpy().astype("datetime64[ms]").astype(np.int64)
    before, after = ({k: v[side] for k, v in values.items()} for side in sides)
    return Real(
        known,
        before,
        after,
        wrong[sides[0]],
        wrong[sides[1]],
        (times[sides[0]], times[sides[1]]),
    )


@dataclass(frozen=True, slots=True)
class Fired:
    """The rows up to which was read when a rule fired, and what it named."""

    rule: str
    rows: tuple[int, ...]
    looks: int  # how often it could have
    named: tuple[str, ...] = ()
    open: tuple[int, ...] = ()  # rows up to which was read while an episode was open
    note: str = ""

    def before(self, quiet: int) -> int:
        """How often it fired before there was anything to find."""
        return sum(row <= quiet for row in self.rows)

    def first(self, since: int = 0) -> int | None:
        """The first row after `since` at which it fired."""
        return next((row for row in self.rows if row > since), None)


def default(real: Real, *, calibrated: bool = True) -> Fired:
    """The alarm of the data at A = 1,000, with φ from the reference or with φ = 1."""
    known = real.known
    plan, binner = planned(real.reference, known.rows, A, known.block if calibrated else None)
    memory, verdicts = None, list[Verdict]()
    for at, counts in enumerate(counted(binner, real.production, known.rows)):
        window = Window(at * known.rows, (at + 1) * known.rows, known.rows)
        memory, verdict = decide(plan, memory, window, counts)
        verdicts.append(verdict)
    return of_verdicts(
        "Leeway, default" if calibrated else "Leeway, rows taken as independent",
        verdicts,
        [(at + 1) * known.rows for at in range(len(verdicts))],
    )


def of_verdicts(rule: str, verdicts: Sequence[Verdict], ends: Sequence[int]) -> Fired:
    """It fires where an alarm begins; `named` are the first alarm's culprits."""
    fired, opened, named, before = list[int](), list[int](), (), False
    for verdict, end in zip(verdicts, ends, strict=True):
        now = bool(verdict.culprits)
        if now and not before:
            fired.append(end)
            named = named or tuple(c.series.removeprefix("feature:") for c in verdict.culprits)
        if verdict.status in (Status.DRIFTING, Status.SEVERE):
            opened.append(end)
        if verdict.status is not Status.INSUFFICIENT:
            before = now
    looks = sum(v.status is not Status.INSUFFICIENT for v in verdicts)
    return Fired(rule, tuple(fired), looks, named, tuple(opened))


def classical(real: Real) -> Iterator[Fired]:
    """The rules on features; each fires in a window in which it flags any of them."""
    known = real.known
    plan, binner = planned(real.reference, known.rows, A)
    windows = counted(binner, real.production, known.rows)
    of = plan.series, plan.counts, windows
    flags = {
        "PSI > 0.2": _peers.flagged(_peers.psi_rule, *of).any(1),
        "KS p < .05 (chi2 for categories)": _raw_tests(real),
        "chi-square p < .05": _peers.flagged(_peers.chi_square_rule, *of).any(1),
        "mean ± 3 sd": _means(real),
    }
    ends = np.arange(1, len(windows) + 1) * known.rows
    for rule, flag in flags.items():
        yield Fired(rule, tuple(ends[flag].tolist()), len(windows))


def _raw_tests(real: Real) -> np.ndarray:
    """Kolmogorov-Smirnov on raw values; categories by chi-square."""
    known, out = real.known, np.zeros(real.windows, bool)
    plan, binner = planned(real.reference, known.rows, A)
    others = [s for s in plan.series if not s.numeric]
    if others:
        windows = counted(binner, real.production, known.rows)
        for numeric, pair in _by_kind(plan.series, plan.counts, windows):
            if not numeric:
                out |= _peers.chi_square_rule(*pair).any(1)
    for name, values in real.reference.items():
        if values.dtype.kind != "f":
            continue
        for w in range(real.windows):
            window = real.production[name][w * known.rows : (w + 1) * known.rows]
            out[w] |= bool(stats.ks_2samp(values, window, method="asymp").pvalue < _peers.P_LIMIT)
    return out


def _by_kind(series: Sequence[Series], reference: Any, windows: Any) -> Iterator[tuple[bool, Any]]:
    pairs = zip(_peers.features(series, reference), _peers.features(series, windows), strict=True)
    for (numeric, r), (_, w) in pairs:
        yield numeric, (r, w)


def _means(real: Real) -> np.ndarray:
    """A window's mean outside the mean ± 3 sd of the reference's windows; of any number."""
    known, out = real.known, np.zeros(real.windows, bool)
    for name, values in real.reference.items():
        if values.dtype.kind == "f":
            own, current = (_chunks(v, known.rows).mean(1) for v in (values, real.production[name]))
            out |= np.abs(current - own.mean()) > SDS * own.std()
    return out


def _chunks(values: Floats, rows: int) -> Floats:
    return values[: len(values) // rows * rows].reshape(-1, rows)


def error_dispersion(real: Real) -> float:
    """φ of the error rate, from the reference's windows."""
    chunks = _chunks(real.reference_errors, real.known.block)
    wrong = chunks.sum(1).astype(np.int64)
    zero = np.zeros_like(wrong)
    windows = np.stack([chunks.shape[1] - wrong, wrong, zero, zero], axis=1)
    series = Series("error", "boolean", categories=("right", "wrong"))
    return dispersion(windows, scores(series, windows.sum(0), real.known.block)[0])


def default_errors(real: Real, *, calibrated: bool = True) -> Fired:
    """The e-detector of the error rate, on the same windows; it starts again after an alarm."""
    known = real.known
    phi = error_dispersion(real) if calibrated else 1.0
    wrong, labels = int(real.reference_errors.sum()), len(real.reference_errors)
    rate = Bernoulli(tolerated(wrong, labels, phi), phi, known.block if calibrated else known.rows)
    run, fired = rate.start(), list[int]()
    for at, errors in enumerate(_chunks(real.errors, known.rows).sum(1).astype(int).tolist()):
        run = rate.step(run, errors, known.rows, at)
        if run.log_statistic >= log(A):
            fired.append((at + 1) * known.rows)
            run = rate.start()
    name = "Leeway, errors" if calibrated else "Leeway, errors, labels taken as independent"
    return Fired(name, tuple(fired), real.windows, note=f"φ = {phi:.1f}, tolerates {rate.p0:.3f}")


def river_errors(real: Real) -> Iterator[Fired]:
    """river's detectors on the errors, in order, after they have read the reference's."""
    mean = float(real.reference_errors.mean())
    detectors: dict[str, SequenceDetector[Any]] = {
        "ADWIN": Adwin(),
        "DDM": Ddm(),
        "HDDM-A": HddmA(),
        "HDDM-W": HddmW(),
        "EDDM": Eddm(),
        "Page-Hinkley": PageHinkley(reference_mean=mean, reference_sd=(mean * (1 - mean)) ** 0.5),
    }
    for name, detector in detectors.items():
        state, _ = detector.extend(detector.start(), real.reference_errors)
        _, found = detector.extend(state, real.errors)
        yield Fired(f"{name}, on errors", tuple((found + 1).tolist()), len(real.errors))


def everything(real: Real) -> list[Fired]:
    """All rules, in the order of the table and the picture."""
    return [
        default(real),
        default(real, calibrated=False),
        *classical(real),
        default_errors(real),
        default_errors(real, calibrated=False),
        *river_errors(real),
    ]
