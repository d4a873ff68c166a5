"""Is what a model is fed whole? Missing, invalid, strange and old values of one window, held against their limits."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.operations import repeats
from detectors.operations.layout import IDENTIFIED, TIMED, TOTAL
from detectors.operations.rules import LEAST, Z99, Line, Shares, half_unusable, held, shares
from detectors.types import Check, Status
from streams.judging.limits import Field, Limits
from streams.judging.vitals import HealthWindow
from streams.messages import add

Ints = NDArray[np.int64]
Reasons = dict[str, dict[str, int]]
REPEATS = 0.05  # the largest share of events that come again and is well
GONE = 0.95  # a feature that is missing in more has vanished
_PLAIN = ("latency_ms", "status", "event_id", "feature_timestamp", "model_version")  # no series
LOUD = (Status.SEVERE, Status.DRIFTING)


class Together(NamedTuple):
    """What does not depend on the reference, of all that was counted in a window."""

    events: int
    vector: Ints
    sample: repeats.Sample
    invalid: Reasons
    violations: Reasons
    names: tuple[str, ...]  # of features never declared, sorted
    predicted: tuple[int, ...]  # panes with predictions, by their starts

    @classmethod
    def of(cls, windows: Mapping[str, HealthWindow]) -> "Together":
        """Add up what was counted under different references."""
        invalid: Reasons = {}
        violations: Reasons = {}
        parts = [windows[digest] for digest in sorted(windows)]
        for part in parts:
            add(invalid, part.counted.invalid)
            add(violations, part.counted.violations)
        return cls(
            sum(part.counted.events for part in parts),
            sum((part.vector for part in parts), np.zeros(TOTAL, np.int64)),
            repeats.merged(part.sample for part in parts),
            invalid,
            violations,
            tuple(sorted({name for part in parts for name in part.names})),
            tuple(sorted({pane for part in parts for pane in part.predicted})),
        )


def quality(
    limits: Limits, counted: HealthWindow | None, of: Together, segment: str
) -> tuple[Check, ...]:
    """Every rule of data quality on one window.

    Parameters
    ----------
    counted : under the present reference; None: nothing was
    """
    found = [*_of_times(limits, of), *_plain(limits, of)]
    again = repeats.share(of.sample, int(of.vector[IDENTIFIED]), Z99)
    if again is not None:
        line = Line(high=REPEATS, least=LEAST)
        found.append(held(line, "repeats", "event_id", again, reference=0.0))
    if counted is not None and limits.fields:
        return (*_of_series(limits, counted, segment), *found)
    # values that nobody counted may be anything: then what is well says nothing
    unknown = [f.series for f in limits.fields] or ["all"]
    silent = (_unknown("missing", series) for series in unknown)
    return (*silent, *(j for j in found if j.status in LOUD))


def gone(limits: Limits, before: tuple[str, ...], judged: tuple[Check, ...]) -> tuple[str, ...]:
    """The features that are missing everywhere; what is not known stays as it was before."""
    of = {j.series: j for j in judged if j.rule.startswith("missing(")}
    found = []
    for field in limits.fields:
        now, known = field.series in before, of.get(field.series)
        if known is not None and known.status != Status.INSUFFICIENT:
            now = (known.low or 0.0) > GONE and (known.reference or 0.0) < GONE
        if now:
            found.append(field.series)
    return tuple(found)


def _unknown(rule: str, series: str) -> Check:
    return Check(rule, series, Status.INSUFFICIENT, False, None, None, None, None, 0)


def _of_series(limits: Limits, window: HealthWindow, segment: str) -> list[Check]:
    of, quality = limits.fields, limits.quality
    whole, odd, missing = _counts(limits, window.counted.cells)
    whole_before, odd_before, missing_before = _counts(limits, limits.usual(segment))
    wrong = _reasons(window.counted.invalid, of)
    unfit = wrong - _reasons(window.counted.invalid, of, "non_finite")  # those are missing as well
    outside = _reasons(window.counted.violations, of, "range", "category")
    every: Ints = np.arange(len(of))

    def rates(rule: str, part: Ints, limit: float, which: Ints = every) -> Shares:
        series, names = _about(of, which)
        most = np.full(len(which), limit)
        return Shares(rule, series, names, part[which], whole[which], most)

    series, names = _about(of, every)
    rise = quality.missing.amount
    before = missing_before / np.maximum(whole_before, 1)
    if (
        quality.missing.relative
    ):  # of nothing, five per cent more is as good as what it may have been
        most = rise * np.maximum(before, 3 / np.maximum(whole_before, 1))
    else:
        most = np.full(len(of), rise)
    null = np.array([k for k, f in enumerate(of) if f.missing is not None], np.int64)
    free = np.array([k for k, f in enumerate(of) if f.missing is None], np.int64)
    rising = Shares(
        "missing",
        *_about(of, free),
        missing[free],
        whole[free],
        most[free],
        missing_before[free],
        whole_before[free],
        rises=True,
    )
    written = rates("missing", missing, 0.0, null)
    written = written._replace(limit=np.array([of[k].missing for k in null], np.float64))
    unseen = Shares(
        "unseen",
        series,
        names,
        np.maximum(odd - unfit, 0),
        whole,
        np.full(len(of), quality.unseen),
        odd_before,
        whole_before,
        rises=True,
    )
    rules = (
        rising,
        written,
        rates("invalid", wrong, quality.invalid),
        rates("out_of_range", outside, quality.range),
        unseen,
    )
    found = [j for rule in rules for j in shares(rule)]
    inputs = np.array([f.series.startswith("feature:") for f in of], bool)
    if half_unusable((missing + unfit)[inputs], whole[inputs]):
        worse = ("missing", "invalid")
        found = [
            j._replace(status=Status.SEVERE)
            if j.status == Status.DRIFTING and j.rule.partition("(")[0] in worse
            else j
            for j in found
        ]
    return found


def _counts(limits: Limits, cells: Ints) -> tuple[Ints, Ints, Ints]:
    """Events, odd values and missing values of each field."""
    places = np.array([f.place for f in limits.fields], np.int64)
    whole = np.add.reduceat(cells, limits.starts[:-1])[places]
    ends = limits.starts[places + 1]
    return whole, cells[ends - 2], cells[ends - 1]


def _reasons(counts: Mapping[str, Mapping[str, int]], of: tuple[Field, ...], *only: str) -> Ints:
    return np.array(
        [
            sum(n for reason, n in counts.get(f.series, {}).items() if not only or reason in only)
            for f in of
        ],
        np.int64,
    )


def _about(of: tuple[Field, ...], which: Ints) -> tuple[list[str], list[str]]:
    chosen = [of[k] for k in which.tolist()]
    return [f.series for f in chosen], [f.name for f in chosen]


def _of_times(limits: Limits, window: Together) -> list[Check]:
    """How old features were, of the events that say so."""
    by_predictions, by_features = window.vector[TIMED].tolist()
    both = by_predictions + by_features
    found: list[Check] = []
    kind = {f.series: f.from_predictions for f in limits.fields}
    for reason, limit in (("stale", limits.quality.stale), ("leak", limits.quality.leak)):
        of = {s: r[reason] for s, r in sorted(window.violations.items()) if reason in r}
        timed = {True: by_predictions, False: by_features, None: both}
        whole = np.array([max(n, timed[kind.get(s)]) for s, n in of.items()], np.int64)
        names = [series.removeprefix("feature:") for series in of]
        part = np.array([*of.values()], np.int64)
        found += shares(Shares(reason, [*of], names, part, whole, np.full(len(of), limit)))
        if both and not of:
            found += [_none_of(reason, limit, both)]
    return found


def _plain(limits: Limits, window: Together) -> tuple[Check, ...]:
    """Fields that are no series."""
    wrong = {n: window.invalid[n] for n in _PLAIN if n in window.invalid}
    part = np.array([sum(reasons.values()) for reasons in wrong.values()], np.int64)
    whole = np.full(len(wrong), window.events)
    most = np.full(len(wrong), limits.quality.invalid)
    return shares(Shares("invalid", [*wrong], [*wrong], part, whole, most))


def _none_of(reason: str, limit: float, events: int) -> Check:
    status = Status.STABLE if events >= LEAST else Status.INSUFFICIENT
    calm = status == Status.STABLE
    return Check(reason, "feature_timestamp", status, calm, 0.0, 0.0, 0.0, limit, events)
