"""What did somebody write about a series? A method by its name, and from where on a change matters."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.samples.effects import Counts, Floats, Number
from detectors.samples.methods import METHODS

AUTO = "auto"
LEAST_ROWS = 30  # a window of fewer rows is added to the next one: no literal rule is about so few

_SIZES = {"ks": "D", "chi2": "V", "two_proportion": "difference"}  # of tests known by their p-value

Flags = NDArray[np.bool_]
Sides = tuple[Counts, Counts, Number, Flags | None, Floats]


@dataclass(frozen=True, slots=True)
class Rule:
    """What was written about a series: a method, and from where on a change matters.

    Under a budget `threshold` and `severe` are gates of the method's effect. A literal rule compares p with `level`
    where there is one, else the method's value with the threshold.
    """

    method: str = AUTO  # or a name of `detectors.samples.methods.METHODS`
    threshold: float | None = None  # None, with auto only: the gates of each effect
    severe: float | None = None
    level: float | None = None
    severe_level: float = 0.0
    literal: bool = False

    def __str__(self) -> str:
        """
        >>> str(written("psi", literal=True)), str(written("ks", level=0.05)), str(written("ks"))
        ('psi > 0.2', 'ks p < 0.05', 'ks D > 0.1')
        """
        if self.level is not None:
            return f"{self.method} p < {self.level:g}"
        size = f" {_SIZES[self.method]}" if self.method in _SIZES else ""
        return f"{self.method}{size} > {self.threshold:g}"


def written(
    method: str,
    *,
    threshold: float | None = None,
    severe: float | None = None,
    level: float | None = None,
    severe_level: float | None = None,
    literal: bool = False,
) -> Rule:
    """A rule with everything that was not written: the method's threshold, or its level; severe is twice the threshold.

    A test such as KS that is known by its p-value compares that, unless a threshold of its effect was written.

    Examples
    --------
    >>> written("psi", threshold=0.1)
    Rule(method='psi', threshold=0.1, severe=0.2, level=None, severe_level=0.0, literal=False)
    """
    if method != AUTO:
        usual = METHODS[method]
        if threshold is None and level is None and literal:
            level = usual.level
        threshold = usual.threshold if threshold is None else threshold
    if severe is None and threshold is not None:
        severe = 2 * threshold
    return Rule(method, threshold, severe, level, severe_level or 0.0, literal)


def broken(rule: Rule, sides: Sides) -> tuple[Flags, Flags, Floats]:
    """Where a literal rule is broken, where severely so, and what it compares relative to its limit: 1 at the limit.

    Parameters
    ----------
    sides : reference, current, φ, the cells that belong to the comparison, and their knots (`Method.measure`)
    """
    method = METHODS[rule.method]
    if rule.level is not None:
        p = method.rule_value(*sides, by="p")
        return p < rule.level, p < rule.severe_level, rule.level / p
    assert rule.threshold is not None  # as with every method that was named
    assert rule.severe is not None
    size = method.rule_value(*sides, by="effect")
    return size > rule.threshold, size > rule.severe, size / rule.threshold
