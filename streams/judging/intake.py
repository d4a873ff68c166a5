"""What came in that nobody could use: slots of five minutes, until they are judged, and totals for people."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from streams.judging.waking import Readers
from streams.judging.watermarks import SourceProgress
from streams.messages import SLOT_MS, Intake, Slot, Unread

MOST_NAMES = 1_000  # of unregistered models; the rest is one name
OTHER = "(other)"
DAY_MS = 24 * 60 * 60 * 1000


@dataclass(slots=True)
class CameIn:
    """What came in on every source topic. Every partition hears all of it."""

    slots: dict[tuple[str, int], Slot] = field(default_factory=dict)  # by source and start
    totals: dict[str, Slot] = field(default_factory=dict)  # the same since the beginning, by source
    moved: dict[tuple[str, int], None] = field(default_factory=dict)  # days of sources to be kept

    def add(self, intake: Intake, progress: SourceProgress | None) -> None:
        """Add what came in to its slots and to the totals."""
        for start, events in intake.events.items():
            self._add(intake.source, Slot(start, events, {}, {}))
        for unread in intake.unread:
            start = _slot_of(unread, progress)
            self._add(intake.source, Slot(start, 0, unread.dead_letters, unread.unregistered))

    def _add(self, source: str, slot: Slot) -> None:
        key = source, slot.start_ms
        self.slots[key] = _sum(self.slots.get(key), slot)
        self._move(key)
        self.totals[source] = _sum(self.totals.get(source), slot)

    def forget(self, source: str, before_ms: int) -> bool:
        """Drop a source's slots that start before this time; whether there were any."""
        gone = [key for key in self.slots if key[0] == source and key[1] < before_ms]
        for key in gone:
            self.take(*key)
        return bool(gone)

    def take(self, source: str, start_ms: int) -> Slot:
        """A slot that is kept no longer."""
        self._move((source, start_ms))
        return self.slots.pop((source, start_ms))

    def _move(self, key: tuple[str, int]) -> None:
        self.moved[key[0], key[1] // DAY_MS * DAY_MS] = None

    def complete(
        self,
        sources: Mapping[str, SourceProgress],
        readers: Readers,
        since_ms: int,
        until_ms: int,
    ) -> list[Slot]:
        """The slots of their topics that nothing more comes into, in order.

        Parameters
        ----------
        since_ms, until_ms : int
            Those before were judged; up to here the topics are complete.
        """
        if readers.silent(sources):
            latest = max(max(sources[t].highest_ms.values(), default=0) for t in readers.topics)
            until_ms = max(until_ms, latest // SLOT_MS * SLOT_MS + SLOT_MS)
        found = [
            (start, source)
            for source, start in self.slots
            if source in readers.topics
            and sources[source].highest_ms
            and since_ms <= start <= until_ms - SLOT_MS
        ]
        return [self.slots[source, start] for start, source in sorted(found)]

    @property
    def latest_ms(self) -> int:
        """Start of the latest slot of all."""
        return max((slot.start_ms for slot in self.totals.values()), default=0)

    def day(self, source: str, day_ms: int) -> list[Slot]:
        """The slots of one day; kept as one record, as all of them may be more than a record holds."""
        starts = range(day_ms, day_ms + DAY_MS, SLOT_MS)
        return [self.slots[source, start] for start in starts if (source, start) in self.slots]

    def restore(self, source: str, slots: Any) -> None:
        """The inverse of `day`, from plain data."""
        for slot in slots:
            self.slots[source, slot[0]] = msgspec.convert(slot, Slot)

    def totals_to_data(self) -> dict[str, object]:
        """What people see of the intake: per source topic, by name."""
        return {
            source: {
                "until_ms": of.start_ms,
                "events": of.events,
                "dead_letters": of.dead_letters,
                "unregistered": of.unregistered,
            }
            for source, of in sorted(self.totals.items())
        }

    def totals_from_data(self, data: Any) -> None:
        """The inverse of `totals_to_data`."""
        self.totals = {
            name: Slot(of["until_ms"], of["events"], of["dead_letters"], of["unregistered"])
            for name, of in data.items()
        }


def _slot_of(unread: Unread, progress: SourceProgress | None) -> int:
    """Start of the slot of the latest event that came before these records: wherever profilers began to read."""
    known = progress.highest_ms if progress is not None else {}
    times = [known[unread.partition]] if unread.partition in known else []
    if unread.after_ms is not None:
        times.append(unread.after_ms)
    time = max(times or known.values(), default=unread.logged_ms)
    return time // SLOT_MS * SLOT_MS


def _sum(total: Slot | None, more: Slot) -> Slot:
    if total is None:
        return more
    return Slot(
        max(total.start_ms, more.start_ms),
        total.events + more.events,
        _capped(total.dead_letters, more.dead_letters),
        _capped(total.unregistered, more.unregistered),
    )


def _capped(total: dict[str, int], more: dict[str, int]) -> dict[str, int]:
    found = dict(total)
    for name, n in more.items():
        key = name if name in found or len(found) < MOST_NAMES else OTHER
        found[key] = found.get(key, 0) + n
    return dict(sorted(found.items()))
