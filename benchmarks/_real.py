"""What fires when on the two real streams? Every rule there is, as the production rows at which it fires.

Rows and windows are counted from 1 at the first production row. The streams are read where they lie, never copied.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from scipy import stats

from benchmarks import _peers
from benchmarks._libraries import Table
from benchmarks._same_rows import columns, counted, planned
from detectors.alarm.scores import scores
from detectors.alarm.sequential import dispersion
from detectors.binning import Binner
from detectors.judging.decision import Policy, decide
from detectors.judging.plan import Plan
from detectors.reference.build import build
from detectors.reference.frozen import Season
from detectors.reference.seasons import Seasonal
from detectors.samples.effects import Floats, Ints
from detectors.sequences.contract import SequenceDetector
from detectors.sequences.losses import Bernoulli, tolerated
from detectors.sequences.values import Adwin, Ddm, Eddm, HddmA, HddmW, PageHinkley
from detectors.series import Series
from detectors.types import Status, Verdict, Window

A = 1_000  # the least a budget is turned into, so the earliest alarm there can be
IDS = ("event_id", "timestamp", "model_version", "split")
OUTPUTS = ("score", "prediction", "label", "label_timestamp")
SDS = 3.0
HOUR_MS = 3_600_000
MONDAY_HOURS = 4 * 24  # 1970 began on a Thursday


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
    season: str = ""  # none: the reference is shorter than a season needs
    hours: int = 0  # length of its windows


KNOWN = {
    "elec2": Known(
        "elec2",
        "elec2.parquet",
        "Elec2: electricity market, a week per window",
        336,
        333,
        7_424,
        "three constant features begin to move",
        "hour_of_day",
        6,
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


@dataclass(frozen=True, eq=False)
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

    @cached_property
    def binned(self) -> tuple[Plan, Ints]:
        """A plan with φ = 1, and the counts of production's windows; they do not depend on φ."""
        plan, binner = planned(self.reference, self.known.rows, A)
        return plan, counted(binner, self.production, self.known.rows)


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
    said, true = (np.array(table[column].to_pylist()) for column in ("prediction", "label"))
    wrong = (said != true).astype(np.float64)
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
    plan, windows = real.binned
    if calibrated:
        plan, _ = planned(real.reference, known.rows, A, known.block)
    memory, verdicts = None, list[Verdict]()
    for at, counts in enumerate(windows):
        window = Window(at * known.rows, (at + 1) * known.rows, known.rows)
        memory, verdict = decide(plan, memory, window, counts)
        verdicts.append(verdict)
    return of_verdicts(
        "Leeway, default" if calibrated else "Leeway, φ = 1",
        verdicts,
        [(at + 1) * known.rows for at in range(len(verdicts))],
    )


def seasonal(real: Real, season: str, hours: int) -> Fired:
    """The same with a reference for every slot of a season, in windows of so many hours.

    A window shorter than a day can only be compared within a season; small ones are judged together, as always.
    """
    given, window_ms = columns(real.reference), hours * HOUR_MS
    slots = [_slots(times, season, hours) for times in real.times_ms]
    reference, _ = build(
        given,
        real.times_ms[0],
        reference_id="r",
        model_id="m",
        model_version="1",
        source="benchmark",
        window_ms=window_ms,
        bins=10,
        season=season,
        seasonal=[Seasonal(Season(season, "UTC"), slots[0])],
    )
    plan = Plan.compile(reference, "all", Policy(log(A)), [c.name for c in given])
    times = real.times_ms[1]
    numbers, first, groups = np.unique(times // window_ms, return_index=True, return_inverse=True)
    counts = Binner(plan.series).count(columns(real.production), groups, len(numbers)).cells
    ends = np.append(first[1:], len(times))
    memory, verdicts = None, list[Verdict]()
    for number, at, end, c in zip(numbers.tolist(), first, ends, counts, strict=True):
        window = Window(
            number * window_ms, (number + 1) * window_ms, int(end - at), slot=int(slots[1][at])
        )
        memory, verdict = decide(plan, memory, window, c)
        verdicts.append(verdict)
    name = f"Leeway, {season.replace('_', ' ')}, {hours} h windows"
    return of_verdicts(name, verdicts, ends.tolist())


def _slots(times_ms: Ints, season: str, hours: int) -> Ints:
    """The slot of every row: the hour at which its window starts, by the week since Monday."""
    start = times_ms // (hours * HOUR_MS) * hours
    return start % 24 if season == "hour_of_day" else (start - MONDAY_HOURS) % 168


def of_verdicts(rule: str, verdicts: Sequence[Verdict], ends: Sequence[int]) -> Fired:
    """It fires where an alarm begins; `named` are the first alarm's culprits."""
    fired, opened, before = list[int](), list[int](), False
    named: tuple[str, ...] = ()
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
    plan, windows = real.binned
    of = plan.series, plan.counts, windows
    flags = {
        "PSI > 0.2": _peers.flagged(_peers.psi_rule, *of).any(axis=1),
        "KS p < .05 (chi2 for categories)": _raw_tests(real),
        "chi-square p < .05": _peers.flagged(_peers.chi_square_rule, *of).any(axis=1),
        "mean ± 3 sd": _means(real),
    }
    ends = np.arange(1, len(windows) + 1) * real.known.rows
    for rule, flag in flags.items():
        yield Fired(rule, tuple(ends[flag].tolist()), len(windows))


def _raw_tests(real: Real) -> np.ndarray:
    """Kolmogorov-Smirnov on raw values; categories by chi-square."""
    known, out = real.known, np.zeros(real.windows, bool)
    plan, windows = real.binned
    for numeric, pair in _by_kind(plan.series, plan.counts, windows):
        if not numeric:
            out |= _peers.chi_square_rule(*pair).any(axis=1)
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
    name = "Leeway, errors" if calibrated else "Leeway, errors, φ = 1"
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
    known = real.known
    slots = [seasonal(real, known.season, known.hours)] if known.season else []
    return [
        default(real),
        *slots,
        default(real, calibrated=False),
        *classical(real),
        default_errors(real),
        default_errors(real, calibrated=False),
        *river_errors(real),
    ]
