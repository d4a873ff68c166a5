"""Up to which event time is a source complete? What the judge knows of the source partitions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from streams.messages import Progress, Report

LONGEST_SILENCE_MS = 31 * 24 * 3_600_000  # what is longer is no silence: nothing comes any more
NOBODY_LONGER: Mapping[int, int] = MappingProxyType({})


@dataclass(slots=True)
class SourceProgress:
    """One source topic, as far as the reports of all profilers tell. A fold; order among profilers does not matter."""

    partitions: int = 0  # how many the topic has
    highest_ms: dict[int, int] = field(default_factory=dict)
    idle_ms: dict[int, int] = field(default_factory=dict)
    offsets: dict[int, int] = field(default_factory=dict)

    def add(self, progress: Progress) -> None:
        """Fold in what one profiler reports."""
        self.partitions = max(self.partitions, progress.partitions)
        for report in progress.reports:
            self._add(report)

    def _add(self, report: Report) -> None:
        number = report.partition
        if report.highest_ms is not None:
            self.highest_ms[number] = max(
                self.highest_ms.get(number, report.highest_ms), report.highest_ms
            )
        self.idle_ms[number] = report.idle_ms
        self.offsets[number] = max(self.offsets.get(number, 0), report.offset)

    def watermark_ms(
        self, lateness_ms: int, idle_ms: int, longer_ms: Mapping[int, int] = NOBODY_LONGER
    ) -> int | None:
        """Event time up to which nothing on time is missing; None while some partition is unheard of.

        Only a partition that stands at its end, and has been silent for `idle_ms`, is left out; some must have been for
        longer (see `Waking`).
        """
        if not self.partitions or len(self.idle_ms) < self.partitions:
            return None
        awake = [n for n, silent in self.idle_ms.items() if silent < longer_ms.get(n, idle_ms)]
        if not awake or any(number not in self.highest_ms for number in awake):
            return None
        return min(self.highest_ms[number] for number in awake) - lateness_ms

    def silent(self, idle_ms: int, longer_ms: Mapping[int, int] = NOBODY_LONGER) -> bool:
        """Whether every partition stands at its end and has been silent for so long."""
        heard_of_all = 0 < self.partitions <= len(self.idle_ms)
        return heard_of_all and all(
            silent >= longer_ms.get(n, idle_ms) for n, silent in self.idle_ms.items()
        )

    def to_data(self) -> dict[str, object]:
        """Plain data; `from_data` reads it back."""
        reports = [
            [n, self.highest_ms.get(n), self.offsets.get(n, 0), idle]
            for n, idle in sorted(self.idle_ms.items())
        ]
        return {"partitions": self.partitions, "reports": reports}

    @classmethod
    def from_data(cls, data: dict[str, object]) -> "SourceProgress":
        """The inverse of `to_data`."""
        partitions, reports = data["partitions"], data["reports"]
        assert isinstance(partitions, int)
        assert isinstance(reports, list)
        found = cls()
        found.add(Progress("", partitions, [Report(*report) for report in reports]))
        return found
