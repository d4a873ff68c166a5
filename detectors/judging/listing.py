"""What does every single series look like in this window? The list people read; it never alarms.

Whether a series "moved" is decided by Benjamini-Yekutieli over the window's p-values [1]_, those of chi-square or of
the method that was named for a series: the share of wrong entries is at most .01, or the level that was written,
whatever the dependence, and over time some entry is always wrong.

References
----------
.. [1] Benjamini, Y., Yekutieli, D. (2001). The control of the false discovery rate in multiple testing under
   dependency. Annals of Statistics 29.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import repeat
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from detectors.judging.gauge import Gauge, compare, magnitude, measured, sides
from detectors.judging.plan import Plan
from detectors.samples import two_sample
from detectors.samples.effects import Floats, Interval, Ints, Pair, psi_terms
from detectors.samples.lists import LISTED, benjamini_yekutieli
from detectors.types import Effect, Evidence, Reason, SeriesVerdict, Status, TopBin, rows_of

TOP_BINS = 3

Flags = NDArray[np.bool_]
Named = Mapping[str, tuple[Status, Reason]]  # what the alarm says about its culprits


def missing_name(series: str) -> str:
    """The name under which the missing share of a series is listed.

    >>> missing_name("feature:age"), missing_name("score")
    ('missing:age', 'missing:score')
    """
    return "missing:" + series.removeprefix("feature:")


def list_series(plan: Plan, counts: Ints, named: Named) -> tuple[SeriesVerdict, ...]:
    """A verdict for every watched series, strongest first: culprits, then by p-value, then by effect over its floor.

    Parameters
    ----------
    counts : int64, in the shape of the plan's pool: (plan.cells,), under a season (slots, plan.cells)
    named : status and reason of the series that carry the alarm; the others are stable or insufficient
    """
    flat = counts if counts.ndim == 1 else counts.sum(0)
    small = [(_LAST, _too_small(plan, k, flat, plan.counts)) for k in plan.too_small]
    thin, of_slots = plan.thin(counts)
    small += [(_LAST, _too_small(plan, k, flat, of_slots)) for k in thin]
    if plan.watch is None:
        return tuple(verdict for _, verdict in small)
    gauge, counts = plan.comparable(counts)
    names = [plan.series[at].name for at in plan.watch.positions]
    window = compare(gauge, counts)
    found = measured(gauge, window)
    missing = window.shares.take(gauge.missing, axis=2)
    before, after = (missing[:, 0] / np.maximum(missing[:, 1], 1)).round(6).tolist()
    missing_shares = list(zip(before, after, strict=True))
    ranked = _values(plan, gauge, names, window.values, found, missing_shares, named)
    ranked += _missing(plan, gauge, names, missing, found, missing_shares, named)
    if thin:
        unfounded = {plan.series[k].name for k in thin}
        ranked = [pair for pair in ranked if pair[1].series not in unfounded]
    ranked += small
    ranked.sort(key=itemgetter(0))  # stable: equals stay in the order of the lifecycle
    return tuple(verdict for _, verdict in ranked)


_Rank = tuple[int, float, float]
_Ranked = list[tuple[_Rank, SeriesVerdict]]
_RANK = {Status.SEVERE: 0, Status.DRIFTING: 1, Status.STABLE: 2}
_LAST: _Rank = (3, 1.0, 0.0)
# Of series that carry no alarm: not surprising, surprising, and surprising with an effect surely beyond its gate.
_QUIET = (
    (Status.STABLE, Reason.QUIET),
    (Status.STABLE, Reason.BELOW_EFFECT_FLOOR),
    (Status.STABLE, Reason.NOT_PERSISTENT),
)


def _values(
    plan: Plan,
    gauge: Gauge,
    names: list[str],
    pair: Pair,
    found: Interval,
    shares: list[tuple[float, float]],
    named: Named,
) -> _Ranked:
    """What the value cells say, series by series."""
    enough = pair.rows[1] >= plan.policy.min_rows
    chi = two_sample.chi_square_of(pair, gauge.phi)
    evidence = _evidence(gauge, pair, chi, found)
    p = _named_first(gauge, pair, chi.p_value, evidence)
    listed = _moved(np.where(enough, p, np.nan), gauge.levels)
    bins = _top_bins(gauge, pair, np.flatnonzero(chi.p_value < LISTED))
    effects, sizes, certain = effects_at(gauge, found, gauge.largest(found))
    before, after = zip(*shares, strict=True)
    m, n = pair.rows.astype(int).tolist()
    told = _told(names, listed, certain, named)
    status, reason = zip(*told, strict=True)
    top = [bins.get(k, ()) for k in range(len(names))]
    verdicts = rows_of(
        SeriesVerdict, names, status, reason, m, n, before, after, effects, evidence, top
    )
    out = list(zip(_ranks(status, p, sizes), verdicts, strict=True))
    for k in np.flatnonzero(~enough).tolist():
        few = _insufficient(names[k], Reason.TOO_FEW_EVENTS, m[k], n[k], shares[k])
        out[k] = (_LAST, few)
    return out


def _missing(
    plan: Plan,
    gauge: Gauge,
    names: list[str],
    missing: Floats,
    found: Interval,
    shares: list[tuple[float, float]],
    named: Named,
) -> _Ranked:
    """The missing share of every series of which reference or window misses any value.

    `missing`: as `Compared.shares`, of the series alone.
    """
    if not missing[:, 0].any():
        return []
    enough = missing[1, 1] >= plan.policy.min_rows
    of = np.flatnonzero(missing[:, 0].any(0) & enough).tolist()
    if not of:
        return []
    at = gauge.missing[of] + 2 * len(gauge.numbers)  # the effect of each indicator
    (a, m), (b, n) = missing[:, :, of]
    test = two_sample.two_proportions(a, m, b, n, gauge.phis[at])
    listed = _moved(test.p_value, None if gauge.levels is None else gauge.levels[of])
    p_values = _six_digits(test.p_value)
    effects, sizes, certain = effects_at(gauge, found, at)
    titles = [missing_name(names[k]) for k in of]
    status, reason = zip(*_told(titles, listed, certain, named), strict=True)
    tests = rows_of(
        Evidence, repeat("two_proportion"), _rounded(test.statistic), p_values, repeat(None)
    )
    rows = (side.astype(int).tolist() for side in (m, n))
    before, after = zip(*(shares[k] for k in of), strict=True)
    verdicts = rows_of(
        SeriesVerdict, titles, status, reason, *rows, before, after, effects, zip(tests), repeat(())
    )
    return list(zip(_ranks(status, np.array(p_values), sizes), verdicts, strict=True))


def _told(
    names: Sequence[str], listed: Flags, certain: Flags, named: Named
) -> list[tuple[Status, Reason]]:
    """What is concluded of each: what the alarm says, else whether it is listed, and surely beyond its gate."""
    quiet = np.where(listed, 1 + certain, 0).tolist()
    return [named.get(name) or _QUIET[k] for name, k in zip(names, quiet, strict=True)]


def _ranks(status: Sequence[Status], p_values: Floats, sizes: Floats) -> Iterator[_Rank]:
    ranks = map(_RANK.__getitem__, status)
    return zip(ranks, p_values.tolist(), (-sizes).tolist(), strict=True)


def _named_first(
    gauge: Gauge, pair: Pair, p: Floats, evidence: list[tuple[Evidence, ...]]
) -> Floats:
    """Put what the named methods say before the other evidence; the p-values of the list, theirs among them."""
    if not gauge.named:
        return p
    p = p.copy()
    for of in gauge.named:
        name, answer = of.method.name, of.method.test(*sides(gauge, pair, of))
        p[of.columns] = answer.p_value
        fields = zip(
            of.columns.tolist(),
            _rounded(answer.statistic),
            _six_digits(answer.p_value),
            strict=True,
        )
        for k, value, p_value in fields:
            others = tuple(e for e in evidence[k] if e.detector != name)
            evidence[k] = (Evidence(name, value, p_value, None), *others)
    return p


def _moved(p: Floats, levels: Floats | None) -> Flags:
    """Which series moved: one list for every level that was written."""
    if levels is None:
        return benjamini_yekutieli(p)
    out = np.zeros(len(p), bool)
    for level in np.unique(levels).tolist():
        of = levels == level
        out[of] = benjamini_yekutieli(p[of], level)
    return out


def _rounded(values: Floats) -> list[float]:
    # Six decimals: further ones are not worth their bytes, and the last differ between processors.
    return values.round(6).tolist()  # type: ignore[no-any-return]  # of one dimension


_POWERS = np.array([10.0**k for k in range(23)])


def _six_digits(p_values: Floats) -> list[float]:
    """Rounded to six significant digits."""
    # Up to 10^22 a power of ten is exact, and so the quotient is the float nearest to the digits.
    scale = _POWERS[np.minimum(5 - np.floor(np.log10(p_values)), 22).astype(int)]
    exact = np.rint(p_values * scale) / scale
    out: list[float] = exact.tolist()
    for k in np.flatnonzero(p_values < 1e-16).tolist():
        out[k] = float(f"{p_values[k]:.6g}")
    return out


def _evidence(
    gauge: Gauge, pair: Pair, chi: two_sample.Answer, found: Interval
) -> list[tuple[Evidence, ...]]:
    """Chi-square and PSI of every series, then what its type adds: shift in location, or share that moved."""
    n, c = gauge.numbers, gauge.categories
    psi = two_sample.psi_test(found.value[gauge.psi], pair, gauge.phi)
    shift = two_sample.shift_test(Interval(*(part[: len(n)] for part in found)))
    share = two_sample.moved_share(pair)[c] if len(c) else np.zeros(0)
    # Rounded all at once: a call for each of fifty series' tests costs more than the rounding.
    tests = (chi.statistic, psi.statistic, shift.statistic, share)
    values = _rounded(np.concatenate(tests))
    p_values = _six_digits(np.concatenate((chi.p_value, psi.p_value, shift.p_value)))
    s = len(chi.statistic)
    of_chi = rows_of(Evidence, repeat("chi2", s), values, p_values, repeat(None))
    of_psi = rows_of(Evidence, repeat("psi", s), values[s:], p_values[s:], repeat(None))
    p_shift, p_share = p_values[2 * s :], map(p_values.__getitem__, c.tolist())
    of_shift = rows_of(Evidence, repeat("auc_shift"), values[2 * s :], p_shift, repeat(None))
    of_share = rows_of(Evidence, repeat("tv"), values[2 * s + len(n) :], p_share, repeat(None))
    more: list[tuple[Evidence, ...]] = [()] * s
    for columns, tests_of in ((n, of_shift), (c, of_share)):
        for k, one in zip(columns.tolist(), tests_of, strict=False):
            more[k] = (one,)
    first = zip(of_chi, of_psi, strict=True)
    return [both + others for both, others in zip(first, more, strict=True)]


def effects_at(gauge: Gauge, found: Interval, at: Ints) -> tuple[list[Effect], Floats, Flags]:
    """The effects at some places, how large each is relative to its gate, and whether it surely exceeds that."""
    there = np.array(found)[:, at]
    least, _ = magnitude(Interval(*there))
    names = map(gauge.names.__getitem__, at.tolist())
    effects = list(rows_of(Effect, names, *there.round(6).tolist(), gauge.floors[at].tolist()))
    gates = gauge.drifting[at]
    return effects, np.abs(there[0]) / gates, least >= gates


def _top_bins(gauge: Gauge, pair: Pair, columns: Ints) -> dict[int, tuple[TopBin, ...]]:
    """The cells that contribute most to PSI. Only of columns that stand out: elsewhere the largest are noise."""
    if not len(columns):
        return {}
    terms = psi_terms(pair)[:, columns]
    order = np.argsort(-terms, axis=0, kind="stable")[:TOP_BINS]
    shown = np.concatenate((pair.share[:, :, columns], terms[None]))
    told = shown[:, order, np.arange(len(columns))].round(6)
    widths = np.add.reduce(gauge.where[:, columns], axis=0).tolist()
    every = zip(columns.tolist(), widths, order.T.tolist(), told.T.tolist(), strict=True)
    return {
        k: tuple(
            TopBin(b + 1, width, *shown)
            for b, shown in zip(cells, rows, strict=True)
            if shown[2] > 0
        )
        for k, width, cells, rows in every
    }


def _insufficient(
    name: str, reason: Reason, m: int, n: int, missing: tuple[float, float]
) -> SeriesVerdict:
    return SeriesVerdict(name, Status.INSUFFICIENT, reason, m, n, *missing, None)


def _too_small(plan: Plan, at: int, counts: Ints, reference: Ints) -> SeriesVerdict:
    first, series = plan.offsets[at], plan.series[at]
    values = slice(first, first + series.values + (not series.numeric))
    whole = slice(first, first + series.cells)
    before, after = (
        round(int(cells[whole][-1]) / max(int(cells[whole].sum()), 1), 6)
        for cells in (reference, counts)
    )
    rows = int(reference[values].sum()), int(counts[values].sum())
    return _insufficient(series.name, Reason.REFERENCE_TOO_SMALL, *rows, (before, after))
