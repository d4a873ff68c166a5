"""The nouns of detection: what one test measured, and what is concluded from it. All immutable.

Those that every window makes hundreds of are named tuples, which are made three times as fast as data classes, and
from their columns (`rows_of`) twice as fast again.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import repeat
from typing import Any, Literal, NamedTuple, TypeVar


class Status(StrEnum):
    """What is concluded about a subject, or one series of it, in a window."""

    STABLE = "stable"
    DRIFTING = "drifting"
    SEVERE = "severe"
    INSUFFICIENT = "insufficient"  # not enough is known; never the same as stable


class Reason(StrEnum):
    """Why a verdict is what it is; `explanation` is the sentence that people see."""

    QUIET = "quiet"
    BELOW_EFFECT_FLOOR = "below_effect_floor"
    NOT_PERSISTENT = "not_persistent"
    ALARM = "alarm"
    ALARM_SEVERE = "alarm_severe"
    RULE = "rule"
    TOO_FEW_EVENTS = "too_few_events"
    NO_EVENTS = "no_events"
    NO_REFERENCE = "no_reference"
    REFERENCE_TOO_SMALL = "reference_too_small"
    GRACE = "grace"
    LABELS_IMMATURE = "labels_immature"

    @property
    def explanation(self) -> str:
        """
        >>> Reason("quiet").explanation
        'nothing surprising'
        """
        return _EXPLANATIONS[self]


_EXPLANATIONS = {
    Reason.QUIET: "nothing surprising",
    Reason.BELOW_EFFECT_FLOOR: "surprising, but smaller than the effect that matters",
    Reason.NOT_PERSISTENT: "beyond its limit, but not for long enough yet",
    Reason.ALARM: "the alarm crossed its threshold and the effect matters",
    Reason.ALARM_SEVERE: "the alarm crossed its threshold and the effect is severe",
    Reason.RULE: "a written rule was broken",
    Reason.TOO_FEW_EVENTS: "too few events so far; they are added to the next window",
    Reason.NO_EVENTS: "no event arrived in this window",
    Reason.NO_REFERENCE: "there is no reference to compare with",
    Reason.REFERENCE_TOO_SMALL: "the reference holds too few events to compare with",
    Reason.GRACE: "the version was deployed too recently",
    Reason.LABELS_IMMATURE: "the labels are not old enough to be compared",
}


@dataclass(frozen=True, slots=True)
class Window:
    """Consecutive panes judged together, ``[start_ms, end_ms)`` in epoch milliseconds."""

    start_ms: int
    end_ms: int
    events: int = 0
    late: int = 0  # events that came after an earlier window was judged, counted here
    panes: int = 0  # panes that had events
    slot: int = (
        0  # of the season, where the reference has one (`detectors.reference.frozen.Season`)
    )


class Effect(NamedTuple):
    """How different reference and current are, with its 95 % interval and the smallest size that matters."""

    name: str  # auc_shift, spread, difference, psi, tv, or the effect of a method that was named
    value: float
    low: float
    high: float
    floor: float


Row = TypeVar("Row", bound=NamedTuple)


def rows_of(kind: type[Row], *columns: Iterable[Any]) -> Iterator[Row]:
    """Named tuples from all their fields, column by column; as many as the shortest column has.

    >>> list(rows_of(Evidence, ["chi2", "psi"], [9.2, 0.1], [0.2, 0.3], repeat(None)))[1]
    Evidence(detector='psi', statistic=0.1, p_value=0.3, e_value=None)
    """
    assert len(columns) == len(kind._fields), "defaults are not filled in"
    return map(tuple.__new__, repeat(kind), zip(*columns))  # noqa: B905  # some columns never end


class Evidence(NamedTuple):
    """What one test measured on one window. Says nothing about alarms."""

    detector: str
    statistic: float
    p_value: float | None  # one of these two is a number, the other None: "not that kind of test";
    e_value: (
        float | None
    )  # both None: no test at all, a detector of which nothing is known but what it says


Unit = Literal["share", "metric", "time", "number"]  # of a number that people read


class Check(NamedTuple):
    """A number of one window, held against its limit.

    `status` is stable, drifting or severe as the interval is wholly beyond no line, the first or the second;
    insufficient where there is too little to say. `calm`: far enough inside to count towards a recovery.
    """

    rule: str  # missing(age), recall, latency_p99, silent: as results name it
    series: str  # feature:age, metric:recall, latency, volume
    status: Status
    calm: bool
    value: float | None
    low: float | None
    high: float | None
    limit: float | None
    n: int
    reference: float | None = None
    n_reference: int = 0
    unit: Unit = "share"
    said: str | None = None  # a sentence in place of the number
    at_once: bool = False  # has waited long enough by itself, such as a silence


class TopBin(NamedTuple):
    """A cell's additive share of the change; `bin` counts from 1."""

    bin: int
    of: int
    reference: float
    current: float
    contribution: float


class SeriesVerdict(NamedTuple):
    """What is concluded about one series in one window, strongest evidence included."""

    series: str
    status: Status
    reason: Reason
    n_reference: int
    n_current: int
    missing_reference: float
    missing_current: float
    effect: Effect | None
    evidence: tuple[Evidence, ...] = ()
    top_bins: tuple[TopBin, ...] = ()


@dataclass(frozen=True, slots=True)
class Culprit:
    """A series that carries the alarm; `score` names what moved, `share` its part of the alarm statistic."""

    series: str
    score: str  # location, spread, category, unusual, odd, missing
    share: float
    effect: Effect | None


@dataclass(frozen=True, slots=True)
class Alarm:
    """The sequential detector of a subject after this window (natural logarithms)."""

    log_statistic: float | None  # None: it has seen nothing since its last reset
    log_threshold: float
    looks: int  # windows since the last reset


@dataclass(frozen=True, slots=True)
class Onset:
    """When the change began, as the detector sees it: epoch milliseconds."""

    estimate_ms: int
    earliest_ms: int
    latest_ms: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is concluded about one subject in one window, and why.

    While an episode is open the status is `drifting` or `severe`; it becomes `stable` in the window that resolves it.
    `insufficient` changes nothing.
    """

    window: Window
    status: Status
    reason: Reason
    alarm: Alarm | None
    series: tuple[SeriesVerdict, ...] = ()  # strongest first
    culprits: tuple[
        Culprit, ...
    ] = ()  # by share of the alarm, largest first; set from the alarm on
    onset: Onset | None = None
    severe_windows: int = (
        0  # consecutive windows, this one included, in which the episode was severe
    )
    notes: tuple[str, ...] = field(default=())  # conditions of the guarantee that do not hold
