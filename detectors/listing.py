"""What does every single series look like in this window? The list people read; it never alarms.

Whether a series "moved" is decided by Benjamini-Yekutieli over the window's chi-square p-values [1]_: the share of
wrong entries is at most .01 whatever the dependence, and over time some entry is always wrong.

References
----------
.. [1] Benjamini, Y., Yekutieli, D. (2001). The control of the false discovery rate in multiple testing under
   dependency. Annals of Statistics 29.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from detectors import two_sample
from detectors.effects import Floats, Interval, Ints, psi_terms, smoothed
from detectors.gauge import Gauge, effect, measure, padded
from detectors.plan import Plan
from detectors.types import Evidence, Reason, SeriesVerdict, Status, TopBin

LISTED = 0.01  # share of wrong entries in the list
TOP_BINS = 3

Named = Mapping[str, tuple[Status, Reason]]  # what the alarm says about its culprits


def missing_name(series: str) -> str:
    """The name under which the missing share of a series is listed.

    >>> missing_name("feature:age"), missing_name("score")
    ('missing:age', 'missing:score')
    """
    return "missing:" + series.removeprefix("feature:")


def moved(p_values: Floats, alpha: float = LISTED) -> NDArray[np.bool_]:
    """Which of K series moved, by Benjamini-Yekutieli; NaN takes no part.

    >>> moved(np.array([0.5, 1e-9, 0.004])).tolist()
    [False, True, False]
    """
    tested = np.sort(p_values[np.isfinite(p_values)])
    k = len(tested)
    ranks = np.arange(1, k + 1)
    passed = np.flatnonzero(tested <= ranks * (alpha / (k * (1 / ranks).sum()))) if k else ranks
    limit = tested[passed[-1]] if len(passed) else -1.0
    return np.asarray(p_values <= limit)


def list_series(plan: Plan, counts: Ints, named: Named) -> tuple[SeriesVerdict, ...]:
    """A verdict for every watched series, strongest first: culprits, then by p-value, then by effect over its floor.

    Parameters
    ----------
    counts : int64, shape (plan.cells,)
    named : status and reason of the series that carry the alarm; the others are stable or insufficient
    """
    if plan.watch is None:
        return tuple(_too_small(plan, k, counts) for k in plan.too_small)
    gauge, positions = plan.watch.gauge, plan.watch.positions
    cells = padded(counts, gauge.place)
    current = np.where(gauge.where, cells, 0.0)
    found = measure(gauge, counts)
    chi = two_sample.chi_square(gauge.reference, current, gauge.phi)
    psi = two_sample.psi(gauge.reference, current, gauge.phi, gauge.where)
    n = current.sum(0)
    enough = n >= plan.policy.min_rows
    listed = moved(np.where(enough, chi.p_value, np.nan))
    shown = _shown(gauge, found)
    tests = _third(gauge, current, chi, found)
    bins = _top_bins(gauge, current)
    shares = [_missing_shares(plan, at, counts) for at in positions]
    ranked: list[tuple[tuple[int, float, float, int], SeriesVerdict]] = []
    rows_reference = gauge.reference.sum(0).astype(np.int64).tolist()
    rows_current = n.astype(np.int64).tolist()
    for k, at in enumerate(positions):
        name = plan.series[at].name
        if not enough[k]:
            verdict = SeriesVerdict(
                name,
                Status.INSUFFICIENT,
                Reason.TOO_FEW_EVENTS,
                rows_reference[k],
                rows_current[k],
                *shares[k],
                None,
            )
            ranked.append(((3, 1.0, 0.0, at), verdict))
            continue
        e = int(shown[k])
        size = float(abs(found.value[e]) / gauge.drifting[e])
        certain = max(float(found.low[e]), -float(found.high[e])) >= gauge.drifting[e]
        status, reason = named.get(name) or _quiet(moved=bool(listed[k]), certain=certain)
        evidence = (
            _evidence("chi2", chi.statistic[k], chi.p_value[k]),
            _evidence("psi", psi.statistic[k], psi.p_value[k]),
            *((tests[k],) if k in tests else ()),
        )
        verdict = SeriesVerdict(
            name, status, reason, rows_reference[k], rows_current[k], *shares[k],
            effect(gauge, found, e), evidence, bins[k],
        )  # fmt: skip
        ranked.append(((_RANK[status], float(chi.p_value[k]), -size, at), verdict))
    names = [plan.series[at].name for at in positions]
    ranked += _missing_entries(plan, gauge, names, found, cells, shares, named)
    ranked += [((3, 1.0, 0.0, k), _too_small(plan, k, counts)) for k in plan.too_small]
    ranked.sort(key=lambda pair: pair[0])
    return tuple(verdict for _, verdict in ranked)


_RANK = {Status.SEVERE: 0, Status.DRIFTING: 1, Status.STABLE: 2, Status.INSUFFICIENT: 3}


def _quiet(*, moved: bool, certain: bool) -> tuple[Status, Reason]:
    if not moved:
        return Status.STABLE, Reason.QUIET
    return Status.STABLE, Reason.NOT_PERSISTENT if certain else Reason.BELOW_EFFECT_FLOOR


def _evidence(detector: str, statistic: float, p_value: float) -> Evidence:
    # Six digits: more are not worth their bytes, and the last ones differ between processors.
    return Evidence(detector, round(float(statistic), 6), float(f"{p_value:.6g}"), None)


def _third(
    gauge: Gauge, current: Floats, chi: two_sample.Answer, found: Interval
) -> dict[int, Evidence]:
    """The test each type has besides chi-square and PSI: shift in location, or share that moved."""
    n = gauge.numbers
    shift = two_sample.shift_test(Interval(*(part[: len(n)] for part in found)))
    tests = {
        k: _evidence("auc_shift", value, p)
        for k, value, p in zip(n.tolist(), shift.statistic, shift.p_value, strict=True)
    }
    c = gauge.categories
    share = two_sample.moved_share(gauge.reference[:, c], current[:, c])
    tests |= {
        k: _evidence("tv", value, p)
        for k, value, p in zip(c.tolist(), share, chi.p_value[c], strict=True)
    }
    return tests


def _shown(gauge: Gauge, found: Interval) -> Ints:
    """For every series the effect that is largest relative to its floor; the missing share has its own entry."""
    size = np.abs(found.value) / gauge.drifting
    size[[kind == "missing" for kind in gauge.kinds]] = -1.0
    at = np.full(gauge.place.shape[1], -1)
    order = np.argsort(size, kind="stable")
    at[gauge.series[order]] = order  # the last write, the largest, stays
    return at


def _top_bins(gauge: Gauge, current: Floats) -> list[tuple[TopBin, ...]]:
    """The cells that contribute most to PSI, per series."""
    terms = psi_terms(smoothed(gauge.reference, gauge.where), smoothed(current, gauge.where))
    order = np.argsort(-terms, axis=0, kind="stable")[:TOP_BINS]
    of = gauge.where.sum(0).tolist()
    p = gauge.reference / np.maximum(gauge.reference.sum(0), 1)
    q = current / np.maximum(current.sum(0), 1)
    columns = zip(
        *(np.take_along_axis(a, order, 0).T.tolist() for a in (p, q, terms)),
        order.T.tolist(),
        of,
        strict=True,
    )
    return [
        tuple(
            TopBin(b + 1, width, round(before, 6), round(after, 6), round(term, 6))
            for before, after, term, b in zip(*column, bins, strict=True)
            if term > 0
        )
        for *column, bins, width in columns
    ]


def _missing_shares(plan: Plan, at: int, counts: Ints) -> tuple[float, float]:
    first, last = plan.offsets[at], plan.offsets[at] + plan.series[at].cells
    reference, current = (
        round(int(cells[last - 1]) / max(int(cells[first:last].sum()), 1), 6)
        for cells in (plan.counts, counts)
    )
    return reference, current


def _missing_entries(
    plan: Plan,
    gauge: Gauge,
    names: list[str],
    found: Interval,
    cells: Floats,
    shares: list[tuple[float, float]],
    named: Named,
) -> list[tuple[tuple[int, float, float, int], SeriesVerdict]]:
    rows = cells.sum(0)
    chosen = [
        e
        for e, kind in enumerate(gauge.kinds)
        if kind == "missing"
        and any(shares[gauge.series[e]])
        and rows[gauge.series[e]] >= plan.policy.min_rows
    ]
    if not chosen:
        return []
    at = np.array(chosen)
    columns = gauge.series[at]
    i = at - 2 * len(gauge.numbers)  # the indicator behind each effect
    have = np.add.reduce(gauge.weights[:, :, i] * cells[:, columns], axis=1)
    tests = two_sample.two_proportions(
        gauge.had[0, i], gauge.had[1, i], have[0], have[1], gauge.phis[at]
    )
    moving = moved(tests.p_value)
    out = []
    for j, e in enumerate(chosen):
        k = int(columns[j])
        name = missing_name(names[k])
        size = float(abs(found.value[e]) / gauge.drifting[e])
        certain = max(float(found.low[e]), -float(found.high[e])) >= gauge.drifting[e]
        status, reason = named.get(name) or _quiet(moved=bool(moving[j]), certain=certain)
        verdict = SeriesVerdict(
            name, status, reason, int(gauge.had[1, i[j]]), int(have[1, j]), *shares[k],
            effect(gauge, found, e), (_evidence("two_proportion", tests.statistic[j], tests.p_value[j]),),
        )  # fmt: skip
        out.append(((_RANK[status], float(tests.p_value[j]), -size, len(plan.series) + k), verdict))
    return out


def _too_small(plan: Plan, at: int, counts: Ints) -> SeriesVerdict:
    first, series = plan.offsets[at], plan.series[at]
    rows = slice(first, first + series.values + (not series.numeric))
    return SeriesVerdict(
        series.name,
        Status.INSUFFICIENT,
        Reason.REFERENCE_TOO_SMALL,
        int(plan.counts[rows].sum()),
        int(counts[rows].sum()),
        *_missing_shares(plan, at, counts),
        None,
    )
