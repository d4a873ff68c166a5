"""What does a rule that somebody wrote do, window by window? It is applied as it stands, without a budget.

`PSI > 0.2` or `p < 0.05` for every series and window: each break is a flag, a problem opens when enough series are
flagged and ends after some windows without. Such a rule says nothing about how often it is wrong; `expected` measures
that, by simulation: how often it fires when nothing drifts, and how often it finds a small shift.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import numpy as np
from scipy import special

from detectors.judging.gauge import Gauge, compare, sides
from detectors.judging.plan import Watch
from detectors.judging.rules import Flags, Rule, broken
from detectors.samples.effects import Floats, Ints, shares
from detectors.samples.methods import knots
from detectors.series import Series
from detectors.types import Reason, Status

DRAWS = 20_000  # simulated windows of a series
SHIFT = 0.25  # standard deviations a number is moved by when the power is simulated
MOVED = 0.05  # share of rows that change their category then
_AT_ONCE = 4_000  # windows drawn together: the working arrays stay small


# ------------------------------------------------------------------------------- flags of one window


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """Which series broke their rule in a window."""

    flags: tuple[int, ...] = ()  # of all watched series, strongest first
    severe: tuple[int, ...] = ()
    counted: tuple[int, ...] = ()  # flags that are as many as a problem takes

    def named(self, names: Sequence[str]) -> Mapping[str, tuple[Status, Reason]]:
        """The verdict of every flagged series."""
        return {
            names[k]: (Status.SEVERE if k in self.severe else Status.DRIFTING, Reason.RULE)
            for k in self.flags
        }


def look(watch: Watch, gauge: Gauge, counts: Ints, share: float, least_rows: int) -> Seen:
    """Apply the literal rules to one window.

    Parameters
    ----------
    gauge, counts : what `Plan.comparable` gives
    share : of the inputs under a literal rule that must break theirs; 0: any will do. Other series count by themselves
    least_rows : a series with fewer rows breaks no rule
    """
    if not watch.literal.any():
        return Seen()
    pair = compare(gauge, counts).values
    size = len(watch.literal)
    flags, severe, strength = np.zeros(size, bool), np.zeros(size, bool), np.zeros(size)
    for of in gauge.named:
        rules = [gauge.rules[k] for k in of.columns.tolist()]
        for rule in dict.fromkeys(rules):
            if rule.literal:
                here = np.array([each == rule for each in rules])
                at = of.columns[here]
                found = broken(rule, sides(gauge, pair, of))
                flags[at], severe[at], strength[at] = (part[here] for part in found)
    flags &= pair.rows[1] >= least_rows
    inputs = flags & watch.inputs
    enough = inputs.sum() >= least(share, int((watch.literal & watch.inputs).sum()))
    order = np.argsort(-strength, kind="stable")

    def ranked(which: Flags) -> tuple[int, ...]:
        return tuple(order[which[order]].tolist())

    return Seen(ranked(flags), ranked(flags & severe), ranked(flags if enough else flags & ~inputs))


# ------------------------------------------------------------------------------- from flags to a problem


@dataclass(frozen=True, slots=True)
class Broken:
    """A problem that written rules have found; `series` are those of the last window with enough flags."""

    opened_ms: int
    until_ms: int  # end of the window that opened it
    series: tuple[int, ...]
    severe: tuple[int, ...] = ()
    calm: int = 0  # consecutive windows without enough flags
    mild: int = 0  # consecutive windows without enough severe flags
    severe_windows: int = 0


@dataclass(frozen=True, slots=True)
class Ruled:
    """What the literal rules say after a window."""

    seen: Seen
    broken: Broken | None


def advance(
    problem: Broken | None, seen: Seen, hold: int, start_ms: int, end_ms: int
) -> Broken | None:
    """The problem after one more window; None: there is none.

    Parameters
    ----------
    hold : windows without enough flags after which it has ended, or without severe ones after which it has eased

    Examples
    --------
    >>> first = advance(None, Seen((3,), (), (3,)), hold=2, start_ms=0, end_ms=9)
    >>> second = advance(first, Seen(), hold=2, start_ms=9, end_ms=18)
    >>> second.calm, advance(second, Seen(), hold=2, start_ms=18, end_ms=27)
    (1, None)
    """
    if problem is None:
        if not seen.counted:
            return None
        problem = Broken(start_ms, end_ms, ())
    severe = tuple(k for k in seen.counted if k in seen.severe)
    if not seen.counted:
        problem = replace(problem, calm=problem.calm + 1, mild=problem.mild + 1)
        if problem.calm >= hold:
            return None
    elif severe:
        problem = replace(problem, series=seen.counted, severe=severe, calm=0, mild=0)
    else:
        problem = replace(problem, series=seen.counted, calm=0, mild=problem.mild + 1)
    if problem.severe and problem.mild >= hold:
        problem = replace(problem, severe=(), mild=0)
    return replace(problem, severe_windows=problem.severe_windows + 1 if problem.severe else 0)


def least(share: float, of: int) -> int:
    """How many of so many series a share is; 0 stands for any.

    >>> least(0.0, 50), least(0.3, 50), least(0.3, 7)
    (1, 15, 3)
    """
    return max(1, ceil(share * of - 1e-9))


def to_data(problem: Broken) -> list[Any]:
    """JSON-able and exact."""
    return [problem.opened_ms, problem.until_ms, list(problem.series), list(problem.severe),
            problem.calm, problem.mild, problem.severe_windows]  # fmt: skip


def from_data(data: Sequence[Any]) -> Broken:
    """What `to_data` wrote."""
    opened, until, series, severe, *counts = data
    return Broken(opened, until, tuple(series), tuple(severe), *counts)


# ------------------------------------------------------------------------------- how often is it wrong?


@dataclass(frozen=True, slots=True)
class Expected:
    """How often a rule flags a series: shares of `draws` windows without drift, and with a small one."""

    draws: int
    false: float
    found: float


def moved(series: Series, share: Floats) -> Floats:
    """Shares of the cells after a small shift.

    Of numbers: a quarter of a standard deviation upwards, if they were normal, or any monotone function of a normal
    number. Of categories: a twentieth of all rows from the largest to the one after it, or as many as it has.

    Examples
    --------
    >>> even = Series("x", "number", edges=(0.0,))
    >>> moved(even, np.array([0.5, 0.5])).round(3).tolist()
    [0.401, 0.599]
    """
    if series.numeric:
        below = np.minimum(np.cumsum(share), 1.0)
        below[-1] = 1.0
        after = special.ndtr(special.ndtri(below) - SHIFT)
        return np.asarray(np.diff(after, prepend=0.0))
    order = np.argsort(-share, kind="stable")
    out = share.copy()
    if len(order) > 1:
        part = min(MOVED, float(share[order[0]]))
        out[order[0]] -= part
        out[order[1]] += part
    return out


def expected(
    rule: Rule,
    series: Series,
    counts: Ints,
    rows: float,
    generator: np.random.Generator,
    *,
    phi: float = 1.0,
    draws: int = DRAWS,
) -> Expected:
    """How often the literal rule flags a series in windows without drift, and in windows with a small one.

    Parameters
    ----------
    counts : int64, shape (B,)
        The reference's rows that are compared: the value cells, and ``odd`` of categories.
    rows : of one window
    generator : the caller's, seeded: equal seeds, equal answers
    phi : over-dispersion; rows are drawn as if there were that many times fewer

    Notes
    -----
    Pairs of multinomials of both sides' sizes, from the reference's shares: the reference is a sample, too. What is not
    in the shares (a season, a reference that was unlike production from the start) makes a rule worse than this. Cost:
    about .1 s for 20,000 draws of ten cells.
    """
    share, _ = shares(counts)
    shifted = moved(series, share)
    m, n = (max(1, round(size / phi)) for size in (float(counts.sum()), rows))
    places = knots([series])
    false = found = done = 0
    while done < draws:
        size = min(_AT_ONCE, draws - done)
        reference, same, drifted = (
            generator.multinomial(of, p, size).T for of, p in ((m, share), (n, share), (n, shifted))
        )
        false, found = (
            before + int(broken(rule, (reference, current, 1.0, None, places))[0].sum())
            for before, current in ((false, same), (found, drifted))
        )
        done += size
    return Expected(draws, false / draws, found / draws)
