"""What does a written trigger, action or validation requirement mean? (contracts 2.2)"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from streams.lifecycle.conditions import Condition, MetricTest, Test, condition
from streams.lifecycle.dates import Schedule, schedule
from streams.lifecycle.grammar import fold, one_of
from streams.lifecycle.metrics import METRICS, operator, without_lead
from streams.lifecycle.mistakes import Wrong, quoted, shown


@dataclass(frozen=True, slots=True)
class NewLabels:
    """So many labels since the last training."""

    count: int

    def __str__(self) -> str:
        return f"new labels >= {self.count}"


@dataclass(frozen=True, slots=True)
class Manual:
    """Only when a person asks."""

    def __str__(self) -> str:
        return "Manual"


Trigger = Condition | Schedule | NewLabels | Manual


def trigger(value: object, features: frozenset[str] | None = None) -> Trigger:
    """A condition, a schedule, ``new labels >= N`` or ``Manual``.

    >>> str(trigger("new labels >= 5,000")), str(trigger("every 2 weeks"))
    ('new labels >= 5000', 'every 14 days')
    """
    if isinstance(value, Condition | Schedule | NewLabels | Manual):
        return value
    if isinstance(value, str):
        text = without_lead(value)
        if fold(text) == "manual":
            return Manual()
        planned = schedule(text)
        if planned is not None:
            return planned
        if fold(text).startswith("new labels"):
            return _new_labels(text)
    return condition(value, features)


def _new_labels(text: str) -> NewLabels:
    sign, rest = operator(re.sub(r"(?i)^new[\s_-]+labels\s*", "", text))
    count = rest.strip().replace(",", "")
    if sign != ">=" or not re.fullmatch(r"[1-9]\d{0,11}", count):
        raise Wrong(quoted(text), "is not a number of labels", "new labels >= 5000")
    return NewLabels(int(count))


action = one_of(
    {
        "Initiate retraining pipeline": "retrain",
        "Evaluate if retraining needed": "evaluate",
        "Evaluate if retraining is needed": "evaluate",
        "notify": "notify",
    },
    "an action",
    "retrain, evaluate or notify",
)


@dataclass(frozen=True, slots=True)
class Requirement:
    """What must hold before a release: a bound that can be measured, or (None) a check that a person ticks."""

    text: str
    bound: MetricTest | None = None

    def __str__(self) -> str:
        return self.text


def requirement(written: object) -> Requirement:
    """Read a validation requirement; whatever is no metric bound is a check.

    >>> requirement("recall >= baseline").bound.metric, requirement("A/B test").bound
    ('recall', None)
    """
    if isinstance(written, Requirement):
        return written
    if not isinstance(written, str) or not written.strip():
        raise Wrong(
            shown(written) if written else "",
            "is not text",
            "a bound such as recall >= baseline, or a check in words",
        )
    try:
        tests: Sequence[Test] = condition(written).tests
    except Wrong:
        return Requirement(written)
    if len(tests) == 1 and isinstance(tests[0], MetricTest) and tests[0].metric in METRICS:
        return Requirement(written, tests[0])
    return Requirement(written)
