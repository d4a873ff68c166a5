"""What would the written drift rules do if nobody stopped them? Counted by simulation, said in one line for each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import NormalDist

import numpy as np

from detectors.judging.literal import DRAWS, expected
from detectors.judging.rules import AUTO, Rule
from detectors.reference.build import Reference
from detectors.reference.derived import features_of
from detectors.reference.joint import NAME as RELATIONS
from detectors.samples.effects import Ints
from detectors.sequences.contract import MOST_PER_PANE
from detectors.sequences.measured import DISCOURAGED, expected_false_alarms
from detectors.series import PARTS, Series
from streams.judging.policies import budget_text
from streams.judging.rules import OUTPUTS, rules
from streams.lifecycle import Lifecycle
from streams.lifecycle.acts import windows
from streams.lifecycle.detection import PredictionDrift
from streams.lifecycle.grammar import human

SEED = 20240  # equal files, equal lines
MOST_DRAWS = 5 * DRAWS  # of all series of a rule together
FEWEST_DRAWS = DRAWS // 10
ASSUMED = 10_000, 1_000  # rows of a reference and of a window while there is none
_WEEK = timedelta(days=7)
_OFTEN = {timedelta(hours=1): "hourly", timedelta(days=1): "daily", _WEEK: "weekly"}
_MEASURED_AS = {"adwin": "adwin", "hddm": "hddm_a", "page_hinkley": "page_hinkley", "ddm": "ddm"}
_MILLISECOND = timedelta(milliseconds=1)
_NORMAL = NormalDist()
_DECILES = tuple(_NORMAL.inv_cdf(i / 10) for i in range(1, 10))
_ENDS = _NORMAL.inv_cdf(0.001), _NORMAL.inv_cdf(0.999)


@dataclass(frozen=True, slots=True, eq=False)
class _Compared:
    """A series with the reference's rows that are compared, and what a window brings."""

    series: Series
    counts: Ints
    rows: float
    phi: float


def expectations(lifecycle: Lifecycle, reference: Reference | None) -> tuple[str, ...]:
    """One line, ``PATH: …``, for every method or threshold that was written and the type it applies to.

    And one for every method that reads errors one by one: what it finds while nothing changes.

    Parameters
    ----------
    reference : None if there is none yet; then even cells and usual numbers of rows are assumed, and the line says so
    """
    drift = lifecycle.monitoring.drift_detection
    sections: tuple[tuple[str, PredictionDrift], ...] = (
        ("data_drift", drift.data_drift),
        ("prediction_drift", drift.prediction_drift),
    )
    lines: list[str] = []
    for key, of in sections:
        if of.enabled:
            compared = list(_watched(lifecycle, reference, outputs=key == "prediction_drift"))
            path = f"monitoring.drift_detection.{key}"
            lines += [
                f"{path}: {line}" for line in _lines(lifecycle, of, compared, reference is None)
            ]
    return (*lines, *_of_errors(lifecycle, reference))


def _lines(
    lifecycle: Lifecycle, drift: PredictionDrift, compared: Sequence[_Compared], assumed: bool
) -> Iterator[str]:
    written = rules(lifecycle, [one.series for one in compared], literally=True)
    for numeric in (True, False):
        name = drift.method.number if numeric else drift.method.category
        if name == AUTO:
            continue
        groups: dict[Rule | None, list[_Compared]] = {}
        for one in compared:
            if one.series.numeric == numeric:
                rule = written.get(one.series.name)
                named = rule if rule is not None and rule.method != AUTO else None
                groups.setdefault(named, []).append(one)
        for rule, of in groups.items():
            if rule is None:
                noun = _many(len(of), numeric=numeric)
                yield f"{name} does not compare {noun}: auto watches, under the budget"
            else:
                yield _line(lifecycle, rule, of, numeric=numeric, assumed=assumed)


def _of_errors(lifecycle: Lifecycle, reference: Reference | None) -> Iterator[str]:
    concept = lifecycle.monitoring.drift_detection.concept_drift
    for name in concept.method if concept is not None else ():
        detector = _MEASURED_AS.get(name)
        if detector is None:
            continue
        known = reference.outcomes if reference is not None else None
        span = known.span if known is not None else None
        if span is not None:
            a_day, guess = span.rows * (timedelta(days=1) / _MILLISECOND / span.window_ms), ""
        else:
            a_day, guess = ASSUMED[1] * 24.0, " (no labels in a reference yet: so many assumed)"
        panes = timedelta(days=1) / lifecycle.monitoring.window.pane
        read = min(a_day, MOST_PER_PANE * panes)
        false = expected_false_alarms(detector, read) * 7
        worse = "; not for alarms anywhere" if detector in DISCOURAGED else ""
        yield (
            f"monitoring.drift_detection.concept_drift.method: {name} has no budget: about {_number(false)} false "
            f"alarms a week at {read:,.0f} labels a day while nothing changes, if they are independent, and many more "
            f"if not; evidence in results only, it opens nothing{worse}{guess}"
        )


def _line(
    lifecycle: Lifecycle, rule: Rule, of: Sequence[_Compared], *, numeric: bool, assumed: bool
) -> str:
    window = windows(lifecycle).inputs
    draws = max(FEWEST_DRAWS, min(DRAWS, MOST_DRAWS // len(of)))
    seen: dict[tuple[object, ...], tuple[float, float]] = {}
    false = found = 0.0
    drawn = 0
    generator = np.random.default_rng(SEED)
    for one in of:
        # Series of the same shape behave alike: simulated once.
        shape = (one.series.edges, one.series.support, one.counts.tobytes(), one.rows, one.phi)
        if shape not in seen:
            many = DRAWS if assumed else draws
            each = expected(
                rule, one.series, one.counts, one.rows, generator, phi=one.phi, draws=many
            )
            seen[shape], drawn = (each.false, each.found), drawn + many
        false, found = false + seen[shape][0], found + seen[shape][1]
    checks = len(of) * (_WEEK / window)
    flags = checks * false / len(of)
    often = _OFTEN.get(window, f"every {human(window)}")
    shift = "a .25 sd shift" if numeric else ".05 moved between two categories"
    rows = round(float(np.median([one.rows for one in of])))
    said = f"about {_number(flags)}" if false else f"fewer than {_number(checks * 3 / drawn)}"
    guess = (
        f" (no reference yet: even cells, {ASSUMED[0]:,} reference rows and {ASSUMED[1]:,} a window assumed)"
        if assumed
        else ""
    )
    return (
        f"{rule} on {_many(len(of), numeric=numeric)}, {often}, ~{rows:,} rows: {said} false flags a week with no "
        f"drift; finds {shift} in {100 * found / len(of):.0f} % of windows. "
        f"alarm: budget: at most {budget_text(lifecycle)}.{guess}"
    )


def _many(count: int, *, numeric: bool) -> str:
    noun = ("number", "numbers") if numeric else ("category", "categories")
    return f"{count} {noun[count != 1]}"


def _number(value: float) -> str:
    """
    >>> _number(6740.2), _number(1.26), _number(0.034)
    ('6,740', '1.3', '0.034')
    """
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _watched(
    lifecycle: Lifecycle, reference: Reference | None, *, outputs: bool
) -> Iterator[_Compared]:
    """What is monitored: as the reference holds it, else as the lifecycle declares it."""
    if reference is None:
        for series in _outputs(lifecycle) if outputs else _declared(lifecycle):
            even = np.full(series.values, ASSUMED[0] // series.values)
            yield _Compared(series, even, float(ASSUMED[1]), 1.0)
        return
    of = features_of(reference.derived)
    monitored = _monitored(lifecycle)
    for one in reference.series:
        name = of.get(one.series.name, one.series.name)
        if name == RELATIONS:
            continue
        if one.series.name in OUTPUTS if outputs else name.removeprefix("feature:") in monitored:
            counts = np.array(one.counts)
            live = counts[: one.series.values + (not one.series.numeric)]
            if live.sum():
                rows = reference.rows * float(live.sum() / max(counts.sum(), 1))
                phi = max((phi for _, phi in one.dispersion), default=1.0)
                yield _Compared(one.series, live, rows, phi)


def _monitored(lifecycle: Lifecycle) -> Sequence[str]:
    chosen = lifecycle.monitoring.drift_detection.data_drift.features_monitored
    inputs = [name for name, feature in lifecycle.features.items() if feature.role == "input"]
    return inputs if chosen == "all" else chosen


def _declared(lifecycle: Lifecycle) -> Iterator[Series]:
    for name in _monitored(lifecycle):
        feature = lifecycle.features.get(name)
        if feature is None or feature.type in ("number", "integer"):
            yield _number_series(f"feature:{name}")
        elif feature.type == "boolean":
            yield Series(f"feature:{name}", "boolean", categories=("false", "true"))
        elif feature.type == "category":
            yield Series(f"feature:{name}", "category", categories=tuple(map(str, range(10))))
        else:
            yield from (_number_series(f"feature:{name}.{part}") for part in PARTS[feature.type])


def _outputs(lifecycle: Lifecycle) -> Iterator[Series]:
    classes = lifecycle.prediction.classes if lifecycle.prediction else ()
    if classes:
        yield Series("prediction", "category", categories=tuple(map(str, classes)))
        yield _number_series("score")
    else:
        yield _number_series("prediction")


def _number_series(name: str) -> Series:
    return Series(name, "number", edges=_DECILES, ends=_ENDS)
