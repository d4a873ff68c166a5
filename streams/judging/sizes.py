"""How much did a feature change in this window, by the method that a condition names?

The method is another than that of the detector, perhaps, and so is the line: it is the user's own. Broken where the
whole 95 % interval of the effect is beyond it, calm once the effect is back inside by a tenth.
"""

from collections.abc import Iterable

import numpy as np

from detectors.judging.decision import Plan
from detectors.operations.rules import INSIDE
from detectors.reference.derived import Derivation, features_of
from detectors.samples.effects import Ints
from detectors.samples.methods import METHODS, knots
from detectors.types import Check, Status
from streams.lifecycle.conditions import SeriesTest


def sizes(
    plan: Plan, derived: Iterable[Derivation], slot: int, counts: Ints, tests: Iterable[SeriesTest]
) -> dict[str, Check]:
    """What the tests say of one window, by their text.

    Of a text or a vector the part that changed most counts.

    Parameters
    ----------
    slot : of the season that the window lies in
    counts : of the window, in the cells of the plan
    """
    of = features_of(tuple(derived))
    found = {}
    for test in tests:
        names = (f"feature:{test.feature}", test.feature)
        at = [k for k, s in enumerate(plan.series) if of.get(s.name, s.name) in names]
        checks = [_check(plan, k, slot, counts, test) for k in at]
        known = [check for check in checks if check.status != Status.INSUFFICIENT]
        found[str(test)] = max(
            known or checks or [_unknown(test)], key=lambda check: check.value or 0.0
        )
    return found


def _check(plan: Plan, at: int, slot: int, counts: Ints, test: SeriesTest) -> Check:
    series, method = plan.series[at], METHODS[test.statistic]
    reference = plan.counts if plan.slots is None else plan.slots.references[slot]
    # as everywhere: what is compared are the values, and of categories those never seen
    cells = slice(plan.offsets[at], plan.offsets[at] + series.values + (not series.numeric))
    before, now = reference[cells], counts[cells]
    m, n = int(before.sum()), int(now.sum())
    kind = "number" if series.numeric else "category"
    if kind not in method.compares or min(m, n) < method.least_rows:
        return _unknown(test, series.name, m, n)
    places = knots([series]) if series.numeric else None
    effect = method.measure(before[:, None], now[:, None], _phi(plan, at), knots=places)
    value, low, high = (float(part[0]) for part in effect)
    if not np.isfinite([value, low, high]).all():
        return _unknown(test, series.name, m, n)
    broken = low > test.value
    calm = not broken and value <= (1 - INSIDE) * test.value
    said = f"{method.label} of {series.name.removeprefix('feature:')} {value:.3g}"
    return Check(
        str(test),
        series.name,
        Status.DRIFTING if broken else Status.STABLE,
        calm,
        value,
        low,
        high,
        test.value,
        n,
        None,
        m,
        "number",
        f"{said} ({low:.3g} to {high:.3g}), limit {test.value:g}",
    )


def _phi(plan: Plan, at: int) -> float:
    """The over-dispersion of a series; of one that is not watched it is not known to be any."""
    if plan.watch is None or at not in plan.watch.positions:
        return 1.0
    return float(plan.watch.gauge.phi[plan.watch.positions.index(at)])


def _unknown(test: SeriesTest, series: str = "", m: int = 0, n: int = 0) -> Check:
    name = series or f"feature:{test.feature}"
    return Check(
        str(test), name, Status.INSUFFICIENT, False, None, None, None, test.value, n, None, m
    )
