"""What was counted of how a model runs and of what it is fed, in one window."""

from base64 import b64decode, b64encode
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.judging.packing import pack
from detectors.operations import repeats
from detectors.operations.layout import TOTAL, predictions
from streams.judging.windows import OpenWindow, unpack_counts
from streams.messages import Summary, capped
from streams.messages import unpack_counts as unpack_health

Ints = NDArray[np.int64]


@dataclass(slots=True)
class HealthWindow:
    """What has been counted so far in one window under one reference. Summaries add up in any order."""

    counted: OpenWindow
    sums: Ints  # flat: of the values of each series, and of their squares
    vector: Ints = field(default_factory=lambda: np.zeros(TOTAL, np.int64))
    sample: repeats.Sample = repeats.EMPTY
    names: dict[str, int] = field(default_factory=dict)
    predicted: set[int] = field(default_factory=set)  # panes with predictions

    @classmethod
    def like(cls, summary: Summary) -> "HealthWindow":
        """Nothing counted yet, in the cells of this summary."""
        sums: Ints = np.zeros(len(summary.sums) // 8, np.int64)
        return cls(OpenWindow.like(summary), sums)

    def merge(self, summary: Summary) -> None:
        """Add a summary of the same reference."""
        self.counted.merge(summary)
        self.sums = self.sums + np.frombuffer(summary.sums, "<i8")
        vector = unpack_health(summary.health, TOTAL)
        self.vector = self.vector + vector
        if predictions(vector):
            self.predicted.add(summary.pane_start_ms)
        if summary.repeats:
            self.sample = repeats.merged([self.sample, repeats.unpack(summary.repeats)])
        self._name(summary.names)

    def absorb(self, other: "HealthWindow") -> None:
        """Add what was counted in another window."""
        self.counted.absorb(other.counted)
        self.sums = self.sums + other.sums
        self.vector = self.vector + other.vector
        self.sample = repeats.merged([self.sample, other.sample])
        self.predicted |= other.predicted
        self._name(other.names)

    def _name(self, names: dict[str, int]) -> None:
        if names:
            both = [*self.names, *names]
            self.names = capped({n: self.names.get(n, 0) + names.get(n, 0) for n in both})

    def to_data(self) -> dict[str, object]:
        """Plain data; `from_data` reads it back."""
        return {
            "counted": self.counted.to_data(),
            "sums": pack(self.sums),
            "vector": pack(self.vector),
            "repeats": b64encode(repeats.pack(self.sample)).decode(),
            "names": self.names,
            "predicted": sorted(self.predicted),
        }

    @classmethod
    def from_data(cls, data: object) -> "HealthWindow":
        """The inverse of `to_data`."""
        kept = msgspec.convert(data, _Kept)
        return cls(
            OpenWindow.from_data(kept.counted),
            unpack_counts(kept.sums),
            unpack_counts(kept.vector),
            repeats.unpack(b64decode(kept.repeats)),
            kept.names,
            set(kept.predicted),
        )


class _Kept(msgspec.Struct):
    counted: dict[str, object]
    sums: str
    vector: str
    repeats: str
    names: dict[str, int]
    predicted: list[int]
