"""How large is the change of every watched series, in every way that has a limit? One flat vector of effects."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite

import numpy as np
from numpy.typing import NDArray

from detectors import effects
from detectors.effects import Floats, Interval, Ints
from detectors.scores import ScoreKind
from detectors.sequential import Watched
from detectors.series import Series

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


@dataclass(frozen=True, slots=True, eq=False)
class Gauge:
    """What to measure; compiled once. S watched series, C cells of the widest, E effects.

    The effects lie in this order: location and spread of the numbers that vary, the difference of every indicator,
    PSI of every series, total variation of categories.
    """

    place: Ints  # (C, S) into the flat counts, as in `Panel`
    where: NDArray[
        np.bool_
    ]  # (C, S): value cells, and `odd` of categories: the rows that are compared
    reference: Floats  # (C, S), 0 outside `where`
    phi: Floats  # (S,): the largest of the value scores
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

    @staticmethod
    def compile(
        series: Sequence[Series],
        watched: Sequence[Watched],
        place: Ints,
        counts: Ints,
        gates: Gates,
        least: int,
    ) -> "Gauge":
        """Lay out the effects of `series`, whose cells `place` finds in the flat reference `counts`."""
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
        entries: list[tuple[str, ScoreKind | None, int, float]] = [
            *(("auc_shift", s.kind, k, p) for k, s, p in varying["location"]),
            *(("spread", s.kind, k, p) for k, s, p in varying["spread"]),
            *(("difference", s.kind, k, p) for k, s, p in flags),
            *(("psi", None, k, float(phi[k])) for k in range(len(series))),
            *(("tv", None, k, float(phi[k])) for k in wide),
        ]
        limits = np.array([getattr(gates, name) for name, _, _, _ in entries])
        gauge = Gauge(
            place,
            where,
            np.where(where, cells, 0.0),
            phi,
            numbers,
            np.array(wide, np.int64),
            weights,
            indicators,
            np.add.reduce(weights * cells[:, indicators], axis=1),
            slice(2 * len(numbers) + len(flags), 2 * len(numbers) + len(flags) + len(series)),
            np.flatnonzero([score.kind == "missing" for _, score, _ in flags]),
            tuple(e[0] for e in entries),
            tuple(e[1] for e in entries),
            np.array([e[2] for e in entries], np.int64),
            np.array([e[3] for e in entries]),
            limits[:, 0],
            limits[:, 1],
            _shown(entries, limits[:, 0]),
            np.where(np.isfinite(limits).any(1), limits.min(1), 0.0),
            least,
            np.zeros(len(entries)),
        )
        exact = measure(gauge, counts * ENDLESS)
        return replace(gauge, own_error=(exact.high - exact.low) / 2)

    def largest(self, found: Interval) -> Ints:
        """For every series the effect of its values that is largest relative to its gate, (S,)."""
        size = np.abs(found.value[self.shown]) / self.drifting[self.shown]
        at = np.zeros(self.place.shape[1], np.int64)
        ordered = self.shown[np.argsort(size, kind="stable")]
        at[self.series[ordered]] = ordered  # the last write, the largest, stays
        return at


def _shown(entries: Sequence[tuple[str, ScoreKind | None, int, float]], drifting: Floats) -> Ints:
    """PSI stands for a series whose other effects are switched off; a missing share has its own entry."""
    last = [
        e
        for e, (_, kind, _, _) in enumerate(entries)
        if kind != "missing" and isfinite(drifting[e])
    ]
    first = [e for e, (name, _, _, _) in enumerate(entries) if name == "psi" and e not in last]
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


def measure(gauge: Gauge, counts: Ints) -> Interval:
    """All effects of `counts`, int64 of shape (total,): an interval of shape (E,).

    A series with fewer than `gauge.least` rows has effects of 0 and infinite intervals, but for shares, whose interval
    holds for any number of rows.
    """
    cells = padded(counts, gauge.place)
    current, n = np.where(gauge.where, cells, 0.0), gauge.numbers
    have, phi = indicated(gauge, cells), gauge.phis
    i, j = len(n), 2 * len(n)
    k = j + len(gauge.indicators)
    found = (
        effects.location(gauge.reference[:, n], current[:, n], phi[:i]),
        effects.spread(gauge.reference[:, n], current[:, n], phi[i:j]),
        effects.difference(gauge.had[0], gauge.had[1], have[0], have[1], phi[j:k]),
        effects.psi(gauge.reference, current, gauge.phi, gauge.where),
        effects.total_variation(
            gauge.reference[:, gauge.categories],
            current[:, gauge.categories],
            gauge.phi[gauge.categories],
        ),
    )
    value, low, high = (np.concatenate(part) for part in zip(*found, strict=True))
    few = (current.sum(0) < gauge.least)[gauge.series]
    few[j:k] = False
    return Interval(np.where(few, 0.0, value), np.where(few, -inf, low), np.where(few, inf, high))


def magnitude(found: Interval) -> tuple[Floats, Floats]:
    """Lower and upper bound of the absolute effects."""
    least = np.maximum(np.maximum(found.low, -found.high), 0.0)
    return least, np.maximum(np.abs(found.low), np.abs(found.high))
