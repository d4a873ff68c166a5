"""What was counted of outcomes, and is kept: windows that are open, windows that were judged, days of predictions.

The length of a vector is known by who knows its layout. Here vectors grow as their records need, and are kept as the
places that are not zero: most of them are.
"""

from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.sequences.contract import Sample, merge, sample_from_data, sample_to_data
from streams.messages import Outcomes, add, pack_counts

Ints = NDArray[np.int64]
_NOTHING: Ints = np.zeros(0, np.int64)


def grown(counts: Ints, packed: bytes) -> Ints:
    """A vector and what `pack_counts` wrote, added; as long as the longer one.

    >>> grown(np.array([1, 2]), pack_counts(np.array([0, 0, 0, 5]))).tolist()
    [1, 2, 0, 5]
    """
    n = len(packed) // 12
    at = np.frombuffer(packed, "<i4", n)
    found = fitted(counts, max(len(counts), int(at.max()) + 1 if n else 0))
    found[at] += np.frombuffer(packed, "<i8", n, 4 * n)
    return found


def fitted(counts: Ints, total: int) -> Ints:
    """A copy of a vector in its full length; what it does not hold is 0."""
    found = np.zeros(total, np.int64)
    found[: len(counts)] = counts
    return found


def summed(one: Ints, other: Ints) -> Ints:
    """The sum of two vectors of one layout."""
    longer, shorter = (one, other) if len(one) >= len(other) else (other, one)
    found = longer.copy()
    found[: len(shorter)] += shorter
    return found


def to_text(counts: Ints) -> str:
    """A vector as it is kept."""
    return b64encode(pack_counts(counts)).decode()


def from_text(text: str) -> Ints:
    """The vector that `to_text` wrote."""
    return grown(_NOTHING, b64decode(text))


@dataclass(slots=True)
class OutcomeWindow:
    """What became known in one window, in one layout. Records add up in any order."""

    cells: Ints = field(default_factory=lambda: _NOTHING)
    outcomes: int = 0  # what was taken back subtracted
    corrected: int = 0
    panes: set[int] = field(default_factory=set)
    days: dict[int, Ints] = field(default_factory=dict)  # by start of the prediction's day
    slices: Ints = field(default_factory=lambda: _NOTHING)
    values: dict[int, Sample] = field(default_factory=dict)  # one by one, by pane
    invalid: dict[str, dict[str, int]] = field(default_factory=dict)
    predictions: dict[int, int] = field(default_factory=dict)  # made, by start of their day
    hopes: dict[int, Ints] = field(default_factory=dict)  # the same for estimates

    def merge(self, record: Outcomes) -> None:
        """Add a record of the same layout."""
        self.cells = grown(self.cells, record.cells)
        self.outcomes += record.outcomes
        self.corrected += record.corrected
        self.panes.add(record.pane_start_ms)
        self.slices = grown(self.slices, record.slices)
        add(self.invalid, record.invalid)
        if record.values:
            self._merge(record.pane_start_ms, sample_from_data(record.values))
        self.merge_days(record)

    def predict(self, day: int, many: int, hopes: bytes) -> None:
        """Add predictions that were made on a day."""
        self.predictions[day] = self.predictions.get(day, 0) + many
        if hopes:
            self.hopes[day] = grown(self.hopes.get(day, _NOTHING), hopes)

    def merge_days(self, record: Outcomes) -> None:
        """Add only what a record says about days: its window was judged."""
        for day, packed in record.days.items():
            self.days[day] = grown(self.days.get(day, _NOTHING), packed)

    def absorb(self, other: "OutcomeWindow") -> None:
        """Add what was counted in another window."""
        self.cells = summed(self.cells, other.cells)
        self.outcomes += other.outcomes
        self.corrected += other.corrected
        self.panes |= other.panes
        self.slices = summed(self.slices, other.slices)
        add(self.invalid, other.invalid)
        for day, many in other.predictions.items():
            self.predictions[day] = self.predictions.get(day, 0) + many
        for day, counts in other.hopes.items():
            self.hopes[day] = summed(self.hopes.get(day, _NOTHING), counts)
        for day, counts in other.days.items():
            self.days[day] = summed(self.days.get(day, _NOTHING), counts)
        for pane, of in other.values.items():
            self._merge(pane, of)

    def _merge(self, pane: int, of: Sample) -> None:
        before = self.values.get(pane)
        self.values[pane] = of if before is None else merge(before, of)

    def to_data(self) -> dict[str, object]:
        """Plain data; `from_data` reads it back."""
        return {
            "outcomes": self.outcomes,
            "corrected": self.corrected,
            "panes": sorted(self.panes),
            "cells": to_text(self.cells),
            "days": [[day, to_text(self.days[day])] for day in sorted(self.days)],
            "slices": to_text(self.slices),
            "values": [[pane, sample_to_data(self.values[pane])] for pane in sorted(self.values)],
            "invalid": self.invalid,
            "predictions": sorted(self.predictions.items()),
            "hopes": [[day, to_text(self.hopes[day])] for day in sorted(self.hopes)],
        }

    @classmethod
    def from_data(cls, data: object) -> "OutcomeWindow":
        """The inverse of `to_data`."""
        kept = msgspec.convert(data, _Kept)
        return cls(
            from_text(kept.cells),
            kept.outcomes,
            kept.corrected,
            set(kept.panes),
            {day: from_text(text) for day, text in kept.days},
            from_text(kept.slices),
            {pane: sample_from_data(of) for pane, of in kept.values},
            kept.invalid,
            dict(kept.predictions),
            {day: from_text(text) for day, text in kept.hopes},
        )


class _Kept(msgspec.Struct):
    outcomes: int
    corrected: int
    panes: list[int]
    cells: str
    days: list[tuple[int, str]]
    slices: str
    values: list[tuple[int, Any]]
    invalid: dict[str, dict[str, int]]
    predictions: list[tuple[int, int]]
    hopes: list[tuple[int, str]]


@dataclass(slots=True)
class Day:
    """What is known of the predictions of one day: the counts of their outcomes, and how often that was told."""

    counts: Ints = field(default_factory=lambda: _NOTHING)
    digest: str = ""  # of the layout
    revision: int = 0

    def to_data(self) -> dict[str, object]:
        """Plain data; `from_data` reads it back."""
        return {
            "counts": to_text(self.counts),
            "digest": self.digest,
            "revision": self.revision,
        }

    @classmethod
    def from_data(cls, data: Any) -> "Day":
        """The inverse of `to_data`."""
        return cls(from_text(data["counts"]), data["digest"], data["revision"])


@dataclass(slots=True)
class Closed:
    """A window of outcomes that was judged, kept so that longer periods are sums of it."""

    counts: Ints
    digest: str

    def to_data(self) -> dict[str, object]:
        """Plain data; `from_data` reads it back."""
        return {"counts": to_text(self.counts), "digest": self.digest}

    @classmethod
    def from_data(cls, data: Any) -> "Closed":
        """The inverse of `to_data`."""
        return cls(from_text(data["counts"]), data["digest"])
