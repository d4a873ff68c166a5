"""Which kinds of windows does a model have, and which of them is due next?

One timeline for all of them: what is complete first is judged first, and at equal times what explains comes before what
it explains: what came in, then health, then inputs, then outcomes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Protocol, Self, TypeVar

from streams.judging.truths import OutcomeWindow
from streams.judging.vitals import HealthWindow
from streams.judging.waking import Readers, Waking
from streams.judging.watermarks import LONGEST_SILENCE_MS, SourceProgress
from streams.judging.windows import OpenWindow

DAY_MS = 24 * 60 * 60 * 1000
WEEK_MS = 7 * DAY_MS
MONDAY_MS = 4 * DAY_MS  # the first Monday after the epoch, a Thursday


class Counts(Protocol):
    """An open window of any scope."""

    def absorb(self, other: Self, /) -> None:
        """Add what was counted in another window."""

    def to_data(self) -> object:
        """Plain data."""


W = TypeVar("W", bound=Counts)


@dataclass(frozen=True, slots=True)
class Scope(Generic[W]):
    """A kind of windows: its name in results, and how its open windows are kept."""

    name: str
    part: str  # of the state: `PART/START/DIGEST`
    read: Callable[[Any], W]  # the inverse of the window's `to_data`


HEALTH = Scope("health", "health", HealthWindow.from_data)
INPUTS = Scope("inputs", "window", OpenWindow.from_data)
OUTCOMES = Scope("outcomes", "outcomes", OutcomeWindow.from_data)
SCOPES: tuple[Scope[Any], ...] = (
    HEALTH,
    INPUTS,
    OUTCOMES,
)  # in the order in which equal ends are judged


@dataclass(frozen=True, slots=True)
class Timing:
    """The windows of one scope of one model: their length, and how long after its end one is judged."""

    window_ms: int
    wait_ms: int = 0
    patient: bool = False  # where everything is silent, the end of the last window is waited for
    ticks: bool = False  # where everything is silent, time passes all the same: silence is judged

    def start_of(self, time_ms: int) -> int:
        """Start of the window that holds a time: multiples of its length, those of a week on Mondays."""
        offset = MONDAY_MS if self.window_ms == WEEK_MS else 0
        return (time_ms - offset) // self.window_ms * self.window_ms + offset


class Complete(NamedTuple):
    """How far everything of a model was read."""

    until_ms: int | None  # nothing earlier comes any more; None: nothing comes from anywhere
    last_ms: int  # then: the time of the last event of all
    silent_ms: int  # and for how long there was nothing

    def until(self, timing: Timing) -> int:
        """Where the last window ends that can be judged."""
        if self.until_ms is not None:
            return self.until_ms - timing.wait_ms
        end_ms = timing.start_of(self.last_ms) + timing.window_ms
        if timing.ticks and self.silent_ms <= LONGEST_SILENCE_MS:
            return max(end_ms, self.last_ms + self.silent_ms - timing.wait_ms)
        if not timing.patient or self.silent_ms >= end_ms + timing.wait_ms - self.last_ms:
            return end_ms  # the window that holds the last event is complete as well
        return end_ms - timing.window_ms


def complete(
    sources: Mapping[str, SourceProgress], readers: Readers, waking: Waking, lateness_ms: int
) -> Complete | None:
    """How far every topic of a model was read; None while that is not known. A silent one holds nobody up."""
    known = [sources[topic] for topic in readers.topics if topic in sources]
    if len(known) < len(readers.topics):
        return None
    if readers.silent(sources):
        last_ms = [highest_ms for source in known for highest_ms in source.highest_ms.values()]
        silent_ms = min(min(source.idle_ms.values()) for source in known)
        return Complete(None, max(last_ms), silent_ms) if last_ms else None
    until_ms = []
    for topic, source in zip(readers.topics, known, strict=True):
        left_out = readers.idle_ms, waking.of(readers, topic)
        if source.silent(*left_out):
            continue
        time_ms = source.watermark_ms(lateness_ms, *left_out)
        if time_ms is None:
            return None
        until_ms.append(time_ms)
    return Complete(min(until_ms), 0, 0)
