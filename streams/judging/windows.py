"""Open windows of one subject: counts that arrived, until the watermark closes them."""

from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.judging.packing import pack, unpack_ints
from streams.messages import Summary, add, unpack_cells

Ints = NDArray[np.int64]


@dataclass(slots=True)
class OpenWindow:
    """What has been counted so far in one window under one reference. Summaries add up in any order."""

    cells: Ints
    events: int = 0
    panes: set[int] = field(default_factory=set)
    invalid: dict[str, dict[str, int]] = field(default_factory=dict)
    violations: dict[str, dict[str, int]] = field(default_factory=dict)

    def merge(self, summary: Summary) -> None:
        """Add a summary of the same reference."""
        self.cells += unpack_cells(summary.cells)
        self.events += summary.events
        self.panes.add(summary.pane_start_ms)
        add(self.invalid, summary.invalid)
        add(self.violations, summary.violations)

    def absorb(self, other: "OpenWindow") -> None:
        """Add what was counted in another window."""
        self.cells += other.cells
        self.events += other.events
        self.panes |= other.panes
        add(self.invalid, other.invalid)
        add(self.violations, other.violations)

    @classmethod
    def like(cls, summary: Summary) -> "OpenWindow":
        """Nothing counted yet, in the cells of this summary."""
        return cls(np.zeros_like(unpack_cells(summary.cells)))

    def to_data(self) -> dict[str, object]:
        """Plain data; `from_data` reads it back."""
        return {
            "events": self.events,
            "panes": sorted(self.panes),
            "cells": pack(self.cells),
            "invalid": self.invalid,
            "violations": self.violations,
        }

    @classmethod
    def from_data(cls, data: object) -> "OpenWindow":
        """The inverse of `to_data`."""
        kept = msgspec.convert(data, _Kept)
        return cls(
            unpack_counts(kept.cells), kept.events, set(kept.panes), kept.invalid, kept.violations
        )


def unpack_counts(cells: str | list[int]) -> Ints:
    """Counts as they are kept: packed, or, by Leeway 0.1, one by one."""
    return np.array(cells, np.int64) if isinstance(cells, list) else unpack_ints(cells)


class _Kept(msgspec.Struct):
    events: int
    panes: list[int]
    cells: str | list[int]
    invalid: dict[str, dict[str, int]]
    violations: dict[str, dict[str, int]]
