"""May a retrained model be released? What its pipeline reports, held against the gates of its trigger.

What is missing, not finite or not readable is not proven: it never promotes.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Literal

from alerting.settings import ReleaseTest, RetrainingPolicy
from alerting.types import Bound, Episode, Gates
from detectors.types import Status

Decision = Literal["promote", "hold", "reject"]
_NUMBER = r"[0-9]{1,18}(?:\.[0-9]{1,18})?(?:e[+-]?[0-9]{1,3})?"
_PLAIN = re.compile(rf"(-?{_NUMBER})\s*(ms|s|%|)", re.I)
_BASED = re.compile(rf"(baseline|current)(?:\s*([+-])\s*({_NUMBER})\s*(points?|pp|%|ms|))?", re.I)
_UNITS = {"": 1.0, "ms": 1.0, "s": 1000.0, "%": 0.01}


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is known of a new model, and of the present one."""

    metrics: Mapping[str, float]
    slices: Mapping[str, Mapping[str, float]]  # segment -> metric -> number
    baseline: Callable[[str, str | None], float | None]
    current: Callable[[str, str | None], float | None]

    def line(self, written: float | str, metric: str, segment: str | None) -> float | None:
        """The number that a bound stands for; None where it cannot be known.

        Examples
        --------
        >>> of = Candidate({}, {}, lambda metric, segment: 0.7, lambda metric, segment: None)
        >>> of.line("80ms", "latency_p95", None), of.line("baseline - 5 points", "recall", None)
        (80.0, 0.65)
        >>> of.line("current - 1 point", "recall", None), of.line("soon", "recall", None)
        (None, None)
        """
        if not isinstance(written, str):
            return _finite(written)
        plain = _PLAIN.fullmatch(written.strip())
        if plain is not None:
            return _finite(float(plain[1]) * _UNITS[plain[2].lower()])
        based = _BASED.fullmatch(written.strip())
        if based is None:
            return None
        base = _finite(
            (self.baseline if based[1].lower() == "baseline" else self.current)(metric, segment)
        )
        if base is None or based[2] is None:
            return base
        size = float(based[3]) * (1 if based[2] == "+" else -1)
        unit = based[4].lower()
        if unit == "%":
            size *= abs(base) / 100
        elif unit.startswith("p"):
            size /= 100
        return _finite(round(base + size, 12))

    def values(self, metric: str, segment: str | None) -> list[tuple[str | None, float | None]]:
        """The metric, or that of each value of a segment, beside its name; None where it was not reported."""
        if segment is None:
            return [(None, _finite(self.metrics.get(metric)))]
        feature, _, value = segment.partition("=")
        reported = {segment: self.slices.get(segment, self.slices.get(value))}
        if not value:
            reported = {
                n: self.slices[n] for n in sorted(self.slices) if n.startswith(f"{feature}=")
            }
        found: list[tuple[str | None, float | None]] = [
            (name, _finite((of or {}).get(metric))) for name, of in reported.items()
        ]
        return found or [(segment, None)]


def judged(
    policy: RetrainingPolicy,
    gates: Gates,
    ticked: Sequence[str],
    candidate: Candidate,
    problems: Sequence[Episode] = (),
) -> tuple[Gates, tuple[str, ...]]:
    """Hold a candidate against the gates.

    Reject if a gate failed; else hold if something is missing or not ticked, if `auto_deploy_if` is not fulfilled, or
    if `manual_review_if` is or cannot be told; else promote.

    Parameters
    ----------
    problems : the open episodes of the model

    Returns
    -------
    gates, review
        With the decision; and why a person must look although nothing failed or is missing.
    """
    passed: list[str] = []
    failed: list[str] = []
    missing: list[str] = []
    for name, bound in gates.required.items():
        answer = _holds(name, bound, candidate)
        (missing if answer is None else passed if answer else failed).append(name)
    for check in gates.checks:
        (passed if check in ticked else missing).append(check)
    whole = not failed and not missing
    review = []
    for test in policy.promote_if:
        if _true(test, candidate, problems, whole) is not True:
            review.append(f"auto_deploy_if: {test.said}")
    due = [_true(test, candidate, problems, whole) for test in policy.review_if]
    if due and all(answer is not False for answer in due):
        review.append(f"manual_review_if: {' and '.join(test.said for test in policy.review_if)}")
    found = replace(gates, passed=tuple(passed), failed=tuple(failed), missing=tuple(missing))
    return replace(found, decision=_decided(found, review)), tuple(review)


def ticked(gates: Gates, check: str, review: Sequence[str]) -> Gates:
    """The gates once one more check was made, with the decision that follows."""
    missing = tuple(name for name in gates.missing if name != check)
    found = replace(gates, passed=(*gates.passed, check), missing=missing)
    return replace(found, decision=_decided(found, review))


def in_words(gates: Gates, review: Sequence[str]) -> str:
    """The decision and its reasons in one line."""
    why = [
        *([f"failed {', '.join(gates.failed)}"] if gates.failed else []),
        *([f"missing {', '.join(gates.missing)}"] if gates.missing else []),
        *review,
    ]
    return f"{gates.decision}" + (f" ({'; '.join(why)})" if why else "")


def _decided(gates: Gates, review: Sequence[str]) -> Decision:
    if gates.failed:
        return "reject"
    return "hold" if gates.missing or review else "promote"


def _holds(name: str, bound: Bound, candidate: Candidate) -> bool | None:
    """Whether a metric is within its bound; None: it is not known."""
    metric, segment = str(bound.get("metric", name)), bound.get("segment")
    of = None if segment is None else str(segment)
    sides = [side for side in ("min", "max") if side in bound]
    if not sides:
        return None
    answers: list[bool | None] = []
    for part, value in candidate.values(metric, of):
        for side in sides:
            line = candidate.line(bound[side], metric, part)
            if value is None or line is None:
                answers.append(None)
            else:
                answers.append(value >= line if side == "min" else value <= line)
    if False in answers:
        return False
    return None if None in answers else True


def _true(
    test: ReleaseTest, candidate: Candidate, problems: Sequence[Episode], whole: bool
) -> bool | None:
    """Whether a test of the release holds; None: it cannot be told."""
    if test.word is not None:
        return test.word == "always" or (test.word == "all gates pass" and whole)
    if test.kinds:
        return any(
            of.kind in test.kinds and (of.verdict == Status.SEVERE or of.kind not in test.severe)
            for of in problems
        )
    if test.metric is not None:
        return _holds(test.metric, test.bound, candidate)
    return None


def _finite(value: object) -> float | None:
    """A number, or None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if isfinite(number) else None
