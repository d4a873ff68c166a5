"""Can the estimates of performance be believed? Each held against the truth once that is there.

An estimate is blind to a change of the relation between inputs and outcome. What makes that visible, late but surely,
is the truth of windows whose labels have come: `check` compares, `reliability` says what the last checks mean for the
estimates that are shown now. Silence is never trust: an estimate that was never checked says so.
"""

from collections.abc import Sequence
from math import sqrt
from typing import Literal, NamedTuple

from detectors.performance.estimate import Estimate
from detectors.performance.measured import Insufficient, Metric
from detectors.samples.effects import Z95

TOLERANCE = 0.02  # of a share: what an estimate may be off without being called wrong
RELATIVE = 0.1  # of other metrics: this part of the truth
SURE = 2.5758293035489004  # the normal distribution's 99.5 % point
RECENT = 3  # checks that count for the estimates shown now
OUTSIDE = 0.05  # share of predictions at scores that the reference hardly knew
_NO_SHARE = ("log_loss", "brier", "cost")
_LOWER_IS_BETTER = ("false_positive_rate", "false_negative_rate", *_NO_SHARE)

Outcome = Literal["agrees", "optimistic", "pessimistic", "not_comparable"]


class Check(NamedTuple):
    """An estimate beside the truth. `difference` is estimate less truth; `errors` their standard errors."""

    metric: str
    outcome: Outcome
    estimate: float
    truth: float
    difference: float
    errors: tuple[float, float]
    tolerance: float
    n: int  # labels behind the truth


def check(
    name: str, estimate: Estimate | Insufficient, truth: Metric | Insufficient, phi: float = 1.0
) -> Check:
    r"""Hold an estimate against the truth of the same predictions.

    Parameters
    ----------
    name : the metric
    truth : with its 95 % interval, of those of the predictions whose labels have come
    phi : over-dispersion of the error rate of windows, which the truth's interval does not know; that of the estimate
        was given to `calibrate`

    Returns
    -------
    Check
        ``optimistic`` or ``pessimistic`` where the difference is above the tolerance (.02 of a share, a tenth of the
        truth otherwise) and more than 2.58 standard errors; optimistic: the model is worse than was estimated.
        ``not_comparable`` where one of the two is missing.

    Notes
    -----
    The variance of the difference is at most that of the truth plus that of the calibration: both are of the same rows.

    Examples
    --------
    >>> hoped = Estimate(0.91, 0.90, 0.92, 5000, 0.004, 0.003)
    >>> check("accuracy", hoped, Metric(0.90, 0.892, 0.908, 5000)).outcome
    'agrees'
    >>> check("accuracy", hoped, Metric(0.81, 0.80, 0.82, 5000)).outcome
    'optimistic'
    """
    if isinstance(estimate, Insufficient) or isinstance(truth, Insufficient):
        return Check(name, "not_comparable", 0.0, 0.0, 0.0, (0.0, 0.0), 0.0, 0)
    errors = (estimate.calibration, sqrt(phi) * (truth.high - truth.low) / (2 * Z95))
    difference = estimate.value - truth.value
    tolerance = RELATIVE * abs(truth.value) if name in _NO_SHARE else TOLERANCE
    outcome = _outcome(name, difference, sqrt(errors[0] ** 2 + errors[1] ** 2), tolerance)
    return Check(name, outcome, estimate.value, truth.value, difference, errors, tolerance, truth.n)


def _outcome(name: str, difference: float, error: float, tolerance: float) -> Outcome:
    if abs(difference) <= max(tolerance, SURE * error):
        return "agrees"
    return "optimistic" if (difference < 0) == (name in _LOWER_IS_BETTER) else "pessimistic"


class Reliability(NamedTuple):
    """Whether an estimate can be relied upon, why not, and in how many of the last windows it was right."""

    state: Literal["unchecked", "confirmed", "unreliable"]
    reasons: tuple[str, ...]
    agreed: int
    checked: int


def reliability(
    checks: Sequence[Check], outside: float = 0.0, relation_changed: bool = False
) -> Reliability:
    """What the last checks of one metric mean for its estimate now.

    Parameters
    ----------
    checks : of this metric, oldest first; only the last three that could be compared count
    outside : `Estimates.outside` of the window shown
    relation_changed : concept drift is open for this model

    Returns
    -------
    Reliability
        ``unreliable`` where the newest check, two of the last three or all three together disagree with the truth,
        where more than 5 % of the predictions have scores that the reference hardly knew, or while the relation is
        known to have changed. ``confirmed`` where none of this and a check agreed; else ``unchecked``.

    Examples
    --------
    >>> wrong = Check("accuracy", "optimistic", 0.91, 0.81, 0.10, (0.003, 0.005), 0.02, 5000)
    >>> reliability([wrong]).reasons
    ('the last truth was worse than estimated: 0.810 instead of 0.910',)
    >>> reliability([]).state
    'unchecked'
    """
    recent = [each for each in checks if each.outcome != "not_comparable"][-RECENT:]
    agreed = sum(each.outcome == "agrees" for each in recent)
    reasons = []
    if relation_changed:
        reasons.append("the relation between inputs and outcome has changed")
    if recent and recent[-1].outcome != "agrees":
        last = recent[-1]
        way = "worse" if last.outcome == "optimistic" else "better"
        reasons.append(
            f"the last truth was {way} than estimated: {last.truth:.3f} instead of {last.estimate:.3f}"
        )
    elif 2 * agreed < len(recent):
        wrong = len(recent) - agreed
        reasons.append(
            f"the truth was not as estimated in {wrong} of the last {len(recent)} windows"
        )
    elif len(recent) > 1 and (together := _together(recent)) != "agrees":
        way = "worse" if together == "optimistic" else "better"
        reasons.append(f"the truth of the last {len(recent)} windows was {way} than estimated")
    if outside > OUTSIDE:
        reasons.append(f"{outside:.0%} of the predictions have scores the reference hardly knew")
    state: Literal["unchecked", "confirmed", "unreliable"] = (
        "unreliable" if reasons else "confirmed" if recent else "unchecked"
    )
    return Reliability(state, tuple(reasons), agreed, len(recent))


def _together(checks: Sequence[Check]) -> Outcome:
    """All of them as one: truths are independent, the calibration is the same."""
    weights = [1 / max(each.errors[1], 1e-9) ** 2 for each in checks]
    whole = sum(weights)
    mean = sum(w * c.difference for w, c in zip(weights, checks, strict=True)) / whole
    error = sqrt(1 / whole + max(each.errors[0] for each in checks) ** 2)
    return _outcome(checks[0].metric, mean, error, max(each.tolerance for each in checks))
