"""How large is the change of every watched series, in every way that has a limit? One flat vector of effects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite

import numpy as np
from numpy.typing import NDArray

from detectors.alarm.scores import ScoreKind
from detectors.alarm.sequential import Watched
from detectors.judging.rules import AUTO, Rule, Sides
from detectors.samples import effects
from detectors.samples.effects import Floats, Interval, Ints, Pair, paired
from detectors.samples.lists import LISTED
from detectors.samples.methods import METHODS, Method, knots
from detectors.series import Series

_OWN_GATES = ("odd", "missing")  # shares that keep their gates whatever method is named
ENDLESS = 10**6  # times the reference: a current side without error of its own


@dataclass(frozen=True, slots=True)
class Gates:
    """The smallest effects that matter: (drifting, severe) for every kind; infinity switches one off.

    .02 and .07 of location are a shift of about .07 and .25 standard deviations.
    """

    auc_shift: tuple[float, float] = (0.02, 0.07)
    spread: tuple[float, float] = (0.02, 0.07)
    difference: tuple[float, float] = (0.02, 0.10)
    psi: tuple[float, float] = (inf, 0.06)
    tv: tuple[float, float] = (0.03, 0.10)

    def of(self, effect: str, kind: ScoreKind | None, rule: Rule) -> tuple[float, float]:
        """The gates of an effect of a series under the rule that was written for it.

        A method that was named gates its own effect and no other of the values; a threshold under auto is one for all
        effects that are shares of rows, or chances. Shares of missing and odd rows keep their own.
        """
        if kind in _OWN_GATES or (rule.method == AUTO and rule.threshold is None):
            found: tuple[float, float] = getattr(self, effect)
            return found
        mine = effect == METHODS[rule.method].effect if rule.method != AUTO else effect != "psi"
        if not mine or rule.threshold is None or rule.severe is None:
            return inf, inf
        return rule.threshold, rule.severe


@dataclass(frozen=True, slots=True, eq=False)
class Named:
    """The series for which one method was named."""

    method: Method
    columns: Ints  # (N,)
    knots: Floats
    effects: slice | None  # where its effects lie; None: among those that every series has


@dataclass(frozen=True, slots=True)
class _Entry:
    """One effect of one series."""

    name: str
    kind: ScoreKind | None  # the score behind it
    series: int
    phi: float


@dataclass(frozen=True, slots=True, eq=False)
class Gauge:
    """What to measure; compiled once. S watched series, C cells of the widest, E effects.

    The effects lie in this order: location and spread of the numbers that vary, the difference of every indicator,
    PSI of every series, total variation of categories, then those of the methods that were named for some series and
    are not among these.
    """

    place: Ints  # (C, S) into the flat counts, as in `Panel`
    where: NDArray[
        np.bool_
    ]  # (C, S): value cells, and `odd` of categories: the rows that are compared
    reference: Floats  # (C, S), 0 outside `where`
    phi: Floats  # (S,): the largest of the value scores
    own_phi: Floats  # (3, S): of location, spread and PSI; where a series has no such score, `phi`
    numbers: Ints  # columns of the numbers that vary
    categories: Ints  # columns of categories of three cells or more
    weights: Floats  # (2, C, I): indicator, and the rows it is a share of
    indicators: Ints  # (I,): column of each indicator
    had: Floats  # (2, I): rows of the reference with the property, and all
    psi: slice  # which effects are those
    missing: Ints  # (S,): which indicator is the missing share of a series
    names: tuple[str, ...]  # (E,): auc_shift, spread, difference, psi, tv
    kinds: tuple[ScoreKind | None, ...]  # (E,): the score behind it
    series: Ints  # (E,): column
    phis: Floats  # (E,)
    drifting: Floats  # (E,): gates
    severe: Floats  # (E,)
    shown: (
        Ints  # effects that may stand for their series' values, in order of preference, least first
    )
    floors: (
        Floats  # (E,): the smallest size that matters, as published: 0 where nothing is too small
    )
    least: int  # current rows below which nothing is said but about shares
    own_error: Floats  # (E,): half-widths that no number of current rows can undercut
    rules: tuple[Rule, ...] = ()  # (S,): what was written of each series
    named: tuple[Named, ...] = ()
    aside: NDArray[np.bool_] | None = (
        None  # (E,): shown only where beyond its gate: another method was named
    )
    levels: Floats | None = None  # (S,): of the list, where one was written

    @staticmethod
    def compile(
        series: Sequence[Series],
        watched: Sequence[Watched],
        place: Ints,
        counts: Ints,
        gates: Gates,
        least: int,
        rules: Mapping[str, Rule] | None = None,
    ) -> "Gauge":
        """Lay out the effects of `series`, whose cells `place` finds in the flat reference `counts`.

        Parameters
        ----------
        rules : what was written, by name of the series; the others keep `gates`
        """
        of = tuple((rules or {}).get(s.name, _AS_USUAL) for s in series)
        where = np.zeros(place.shape, bool)
        for k, s in enumerate(series):
            where[: s.values + (not s.numeric), k] = True
        cells = padded(counts, place)
        rows = [
            (k, score, phi)
            for k, w in enumerate(watched)
            for score, phi in zip(w.scores, w.phi, strict=True)
        ]
        flags = [row for row in rows if row[1].indicator]
        weights = np.zeros((2, len(place), len(flags)))
        for i, (_, score, _) in enumerate(flags):
            weights[0, : len(score.values), i] = score.values
            weights[1, : len(score.live), i] = score.live
        indicators = np.array([k for k, _, _ in flags], np.int64)
        varying = {kind: [r for r in rows if r[1].kind == kind] for kind in ("location", "spread")}
        numbers = np.array([k for k, _, _ in varying["location"]], np.int64)
        wide = [k for k, s in enumerate(series) if not s.numeric and s.values >= 2]
        phi = np.array(
            [
                max(
                    (p for q, score, p in rows if q == k and score.kind not in ("odd", "missing")),
                    default=1.0,
                )
                for k in range(len(series))
            ]
        )
        entries = [
            *(_Entry("auc_shift", s.kind, k, p) for k, s, p in varying["location"]),
            *(_Entry("spread", s.kind, k, p) for k, s, p in varying["spread"]),
            *(_Entry("difference", s.kind, k, p) for k, s, p in flags),
            *(_Entry("psi", None, k, float(phi[k])) for k in range(len(series))),
            *(_Entry("tv", None, k, float(phi[k])) for k in wide),
        ]
        named = _named(series, of, entries)
        for group in named:
            if group.effects is not None:
                name = group.method.effect
                entries += [_Entry(name, None, k, float(phi[k])) for k in group.columns.tolist()]
        limits = np.array([gates.of(e.name, e.kind, of[e.series]) for e in entries])
        mine = [of[e.series].method for e in entries]
        aside = [
            m != AUTO and (METHODS[m].effect != e.name or e.kind in _OWN_GATES)
            for m, e in zip(mine, entries, strict=True)
        ]
        own_phi = np.tile(phi, (3, 1))
        for row, kind in enumerate(("location", "spread")):
            own_phi[row, numbers] = [p for _, _, p in varying[kind]]
        gauge = Gauge(
            place,
            where,
            np.where(where, cells, 0.0),
            phi,
            own_phi,
            numbers,
            np.array(wide, np.int64),
            weights,
            indicators,
            np.add.reduce(weights * cells[:, indicators], axis=1),
            slice(2 * len(numbers) + len(flags), 2 * len(numbers) + len(flags) + len(series)),
            np.flatnonzero([score.kind == "missing" for _, score, _ in flags]),
            tuple(e.name for e in entries),
            tuple(e.kind for e in entries),
            np.array([e.series for e in entries], np.int64),
            np.array([e.phi for e in entries]),
            limits[:, 0],
            limits[:, 1],
            _shown(entries, limits[:, 0]),
            np.where(np.isfinite(limits).any(1), limits.min(1), 0.0),
            least,
            np.zeros(len(entries)),
            of,
            named,
            np.array(aside, np.bool_) if named else None,
            _levels(of),
        )
        exact = measure(gauge, counts * ENDLESS)
        return replace(gauge, own_error=(exact.high - exact.low) / 2)

    def largest(self, found: Interval) -> Ints:
        """For every series the effect of its values that is largest relative to its gate, (S,)."""
        size = np.abs(found.value[self.shown]) / self.drifting[self.shown]
        if self.aside is not None:
            size[self.aside[self.shown] & (size < 1)] = -1.0
        at = np.zeros(self.place.shape[1], np.int64)
        ordered = self.shown[np.argsort(size, kind="stable")]
        at[self.series[ordered]] = ordered  # the last write, the largest, stays
        return at


_AS_USUAL = Rule()


def _named(
    series: Sequence[Series], of: Sequence[Rule], entries: Sequence[_Entry]
) -> tuple[Named, ...]:
    """The series of every method that was named; effects that no series has anyway come after the `entries`."""
    there = {(e.name, e.series) for e in entries if e.kind not in _OWN_GATES}
    after, found = len(entries), []
    for name, method in METHODS.items():
        columns = [k for k, rule in enumerate(of) if rule.method == name]
        more = [k for k in columns if (method.effect, k) not in there]
        for part in (more, [k for k in columns if k not in more]):
            if part:
                effects_at = slice(after, after + len(part)) if part is more else None
                after += len(part) if part is more else 0
                places = knots([series[k] for k in part])
                found.append(Named(method, np.array(part, np.int64), places, effects_at))
    return tuple(found)


def _levels(of: Sequence[Rule]) -> Floats | None:
    """Under a budget a p-value that was written is the level of the list, and nothing else."""
    levels = [rule.level if rule.level and not rule.literal else LISTED for rule in of]
    return np.array(levels) if set(levels) != {LISTED} else None


def _shown(entries: Sequence[_Entry], drifting: Floats) -> Ints:
    """PSI stands for a series whose other effects are switched off; a missing share has its own entry."""
    last = [e for e, of in enumerate(entries) if of.kind != "missing" and isfinite(drifting[e])]
    first = [e for e, of in enumerate(entries) if of.name == "psi" and e not in last]
    return np.array(first + last, np.int64)


def padded(counts: Ints, place: Ints) -> Floats:
    """Flat counts as one column per series, (C, S)."""
    return np.append(counts, 0).astype(np.float64)[place]


def indicated(gauge: Gauge, cells: Floats) -> Floats:
    """Rows with the property and all rows of every indicator, (2, I), from padded cells (C, S)."""
    return np.asarray(np.add.reduce(gauge.weights * cells[:, gauge.indicators], axis=1))


def against(gauge: Gauge, reference: Ints) -> Gauge:
    """The same effects, gates and own errors against another reference, int64 of shape (total,).

    Under a season: the reference of a window's slot, or a mixture of several. Own errors stay those of the whole
    reference: a tail that is long enough covers all slots.
    """
    cells = padded(reference, gauge.place)
    return replace(gauge, reference=np.where(gauge.where, cells, 0.0), had=indicated(gauge, cells))


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """A window beside the reference: what effects and tests are taken from, laid out once per window."""

    values: Pair  # the rows that are compared, (…, C, S)
    shares: Floats  # (2, 2, I): of the reference and the window, rows with the property and all, as `Gauge.had`


def compare(gauge: Gauge, counts: Ints) -> Compared:
    """Put `counts`, int64 of shape (total,), beside the reference."""
    cells = padded(counts, gauge.place)
    return Compared(
        paired(gauge.reference, np.where(gauge.where, cells, 0.0)),
        np.array((gauge.had, indicated(gauge, cells))),
    )


def measure(gauge: Gauge, counts: Ints) -> Interval:
    """All effects of `counts`, int64 of shape (total,): an interval of shape (E,)."""
    return measured(gauge, compare(gauge, counts))


def measured(gauge: Gauge, window: Compared) -> Interval:
    """All effects of a window: an interval of shape (E,).

    A series with fewer than `gauge.least` rows has effects of 0 and infinite intervals, but for shares, whose interval
    holds for any number of rows.
    """
    pair, numbers = window.values, gauge.numbers
    i = 2 * len(numbers)
    j = i + len(gauge.indicators)
    usual = effects.location_spread_psi_of(pair, gauge.own_phi)
    found = [
        Interval(*(part[:2].take(numbers, axis=1).ravel() for part in usual)),
        effects.difference_of(window.shares, gauge.phis[i:j]),
        Interval(*(part[2] for part in usual)),
    ]
    if len(wide := gauge.categories):
        moved = effects.total_variation_of(pair, gauge.phi)
        found.append(Interval(*(part[wide] for part in moved)))
    found += [of.method.measure(*sides(gauge, pair, of)) for of in gauge.named if of.effects]
    flat = np.concatenate([part for bound in zip(*found, strict=True) for part in bound])
    value, low, high = flat.reshape(3, -1)
    few = pair.rows[1] < gauge.least
    if few.any():
        unknown = few[gauge.series]
        unknown[i:j] = False
        value[unknown], low[unknown], high[unknown] = 0.0, -inf, inf
    return Interval(value, low, high)


def sides(gauge: Gauge, pair: Pair, of: Named) -> Sides:
    """What a method that was named compares."""
    at = of.columns
    reference, current = pair.counts[:, :, at]
    return reference, current, gauge.phi[at], gauge.where[:, at], of.knots


def magnitude(found: Interval) -> tuple[Floats, Floats]:
    """Lower and upper bound of the absolute effects."""
    least = np.maximum(np.maximum(found.low, -found.high), 0.0)
    return least, np.maximum(np.abs(found.low), np.abs(found.high))
