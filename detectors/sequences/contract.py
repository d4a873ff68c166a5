"""What do all detectors share that read single values, one after the other? Their contract, and the sample they read.

Such a detector depends on the order of its values: it is never merged, and every series has one writer. What it keeps
is plain data; `to_data` and `from_data` carry it over a restart without changing a single decision.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

from detectors.samples.effects import Floats, Ints

MOST_PER_PANE = 2_000  # values of a series in a pane that sequence detectors read
LARGEST = 1e100  # a value beyond counts as this one: sums of squares of many stay finite

State = TypeVar("State")


class SequenceDetector(Protocol[State]):
    """Frozen settings of a detector of changes in a sequence; the caller keeps the state.

    * Any split of the values into calls gives the same detections and the same state, to the bit.
    * `from_data(to_data(state))` continues identically, also through JSON.
    * A value that is not finite (NaN is missing) is skipped and counted in ``state.skipped``.
    * A value the detector cannot read (2 where only 0 and 1 are meant) is a ValueError that says so; nothing is read.
    """

    def start(self) -> State:
        """The state before the first value."""
        ...

    def extend(self, state: State, values: Floats) -> tuple[State, Ints]:
        """The state after `values`, float64 of shape (n,), and the positions in them at which a change was found."""
        ...

    def to_data(self, state: State) -> dict[str, Any]:
        """The state for JSON."""
        ...

    def from_data(self, data: dict[str, Any]) -> State:
        """The state that `to_data` wrote."""
        ...


def screened(values: Floats, *, binary: str = "") -> tuple[Floats, Ints]:
    """The finite values, none beyond `LARGEST`, and their positions.

    Parameters
    ----------
    binary : name of the detector if it reads 0 and 1 only

    Raises
    ------
    ValueError
        `values` is not one-dimensional, or not binary where it must be.

    Examples
    --------
    >>> screened(np.array([1.0, np.nan, 1e308]))
    (array([1.e+000, 1.e+100]), array([0, 2]))
    >>> screened(np.array([0.0, 2.0]), binary="ddm")
    Traceback (most recent call last):
        ...
    ValueError: ddm reads errors, 0 or 1, not 2.0
    """
    array = np.asarray(values, np.float64)
    if array.ndim != 1:
        raise ValueError(f"values are one after the other, not of shape {array.shape}")
    at = np.flatnonzero(np.isfinite(array))
    finite = np.clip(array[at], -LARGEST, LARGEST) + 0.0  # + 0.0: one zero
    if binary:
        strange = finite[(finite != 0.0) & (finite != 1.0)]
        if len(strange):
            raise ValueError(f"{binary} reads errors, 0 or 1, not {float(strange[0])!r}")
    return finite, at


class Entry(NamedTuple):
    """A value with what it is ordered by, and what it is drawn by; entries compare in the order of drawing."""

    draw: int  # 64-bit hash of the event id
    event_id: str
    time_ms: int
    value: float


@dataclass(frozen=True, slots=True)
class Sample:
    """The values of one series in a pane: all of them, or those whose ids have the smallest hashes.

    Such a *bottom-k sample* is as good as a random one and has no seed: it is the same whatever the order in which
    events came and however they were split, because the smallest of all are among the smallest of every part.

    Examples
    --------
    >>> left, right = sample([("a", 20, 1.0), ("b", 10, 2.0)]), sample([("c", 10, 3.0)])
    >>> merge(left, right) == merge(right, left) == sample([("c", 10, 3.0), ("b", 10, 2.0), ("a", 20, 1.0)])
    True
    >>> merge(left, right).values().tolist()
    [2.0, 3.0, 1.0]
    """

    entries: tuple[Entry, ...]  # in the order of drawing
    seen: int  # values there were, drawn or not

    def values(self) -> Floats:
        """The values in the order that detectors read them in: (event time, event id)."""
        ordered = sorted(self.entries, key=lambda e: (e.time_ms, e.event_id, e.value))
        return np.array([e.value for e in ordered], np.float64)


def sample(events: Iterable[tuple[str, int, float]], most: int = MOST_PER_PANE) -> Sample:
    """The sample of some events: (id, event time, value). Values that are not finite are left out.

    Cost: 1.5 µs per event, for the hash.
    """
    entries = sorted(
        Entry(_draw(event_id), event_id, time_ms, value)
        for event_id, time_ms, value in events
        if -np.inf < value < np.inf
    )
    return Sample(tuple(entries[:most]), len(entries))


def merge(first: Sample, second: Sample, most: int = MOST_PER_PANE) -> Sample:
    """The sample of both together; associative and commutative, to the bit."""
    entries = sorted((*first.entries, *second.entries))
    return Sample(tuple(entries[:most]), first.seen + second.seen)


def sample_to_data(of: Sample) -> list[Any]:
    """For JSON: the number of values seen, then id, time and value of the drawn ones. Hashes are not written."""
    return [of.seen, [[e.event_id, e.time_ms, e.value] for e in of.entries]]


def sample_from_data(data: Sequence[Any]) -> Sample:
    """The sample that `sample_to_data` wrote."""
    seen, entries = data
    return Sample(tuple(Entry(_draw(i), i, t, float(v)) for i, t, v in entries), seen)


def _draw(event_id: str) -> int:
    # surrogatepass: an id may hold half a character; it must not be an error here
    name = event_id.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big")
