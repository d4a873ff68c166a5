"""Which dead letters can be sent again, and how is none sent twice? Pure; `leeway dead-letters` does the sending.

A dead letter goes back to the partition it came from: key, value and headers as they were, and one header more that
says which record it stands for. In the same Kafka transaction a mark is written behind the dead letter, in the same
partition of `leeway.dead-letters`. Whoever comes later sees both or neither; and as a mark is younger than what it
marks, it stays on the log at least as long. So each dead letter is sent again at most once, whatever is killed.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from streams.broker import Outgoing, Record
from streams.topics import TOPICS, Names
from streams.views.rejected import MARK, Origin, Rejection, rejection

CAME_FROM = "leeway.replayed-from"  # on what was sent again: the record it stands for
_OURS = (
    "__dlq.errors.topic",
    "__dlq.errors.partition",
    "__dlq.errors.offset",
    "__dlq.errors.group",
    "__dlq.errors.delivery.count",
    "__dlq.errors.message",
    "__dlq.errors.exception",
    "__dlq.errors.stage",
    "leeway.reason",
    "leeway.truncated",
    "leeway.size",
)
_SOURCE_LIKE = ("outcomes",)  # of our own topics, the one whose records are events
Key = tuple[int, Origin]  # partition of the dead letter, and where it came from


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which dead letters somebody asks for; None means any."""

    reason: str | None = None
    topic: str | None = None
    since_ms: int | None = None

    def fits(self, one: Rejection) -> bool:
        """Whether it is one of those.

        `since_ms` is compared with the time at which it was refused, by the log's clock.
        """
        return (
            self.reason in (None, one.reason)
            and self.topic in (None, one.origin.topic)
            and (self.since_ms is None or one.at_ms >= self.since_ms)
        )


@dataclass(slots=True)
class Letters:
    """The dead letters that fit, without their values, and which of them were sent again.

    Parameters
    ----------
    wanted : which
    most : how many are kept one by one, the newest; None: all
    """

    wanted: Wanted
    most: int | None = None
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)  # (topic, reason)
    unreadable: int = 0
    _kept: dict[Key, Rejection] = field(default_factory=dict)
    _marked: dict[Key, int] = field(default_factory=dict)  # offset of the mark

    def see(self, record: Record) -> None:
        """Take in a record of `leeway.dead-letters`, partition by partition in their order."""
        headers = {name: value.decode("utf-8", "replace") for name, value in record.headers}
        try:
            if "leeway.reason" in headers:
                self._add(rejection(record, headers))
            else:
                self._marked[record.partition, Origin.read(headers[MARK])] = record.offset
        except (ValueError, LookupError):
            self.unreadable += 1

    def _add(self, one: Rejection) -> None:
        if not self.wanted.fits(one):
            return
        self.counts[one.origin.topic, one.reason] += 1
        key = (one.partition, one.origin)
        self._kept.pop(key, None)
        self._kept[key] = one
        if self.most is not None and len(self._kept) > 2 * self.most:
            self._kept = {(o.partition, o.origin): o for o in self.newest()}

    def newest(self) -> list[Rejection]:
        """Those that are kept, the oldest first."""
        found = sorted(self._kept.values(), key=lambda one: (one.at_ms, one.partition, one.offset))
        return found if self.most is None else found[-self.most :]

    def is_marked(self, one: Rejection) -> bool:
        """Whether it was sent again: a mark lies behind it in its partition."""
        return self._marked.get((one.partition, one.origin), -1) > one.offset


def refusal(one: Rejection, there: Mapping[str, int], names: Names) -> str | None:
    """Why a dead letter cannot be sent again; None: it can.

    Parameters
    ----------
    there : topics that exist, with their numbers of partitions
    """
    own = {names(topic.name) for topic in TOPICS if topic.name not in _SOURCE_LIKE}
    topic = one.origin.topic
    if topic in own:
        return f"{topic} is Leeway's own: only its roles write there"
    if one.truncated:
        return f"only the beginning of its {one.size:,} bytes was kept"
    if one.size == 0:
        return "it has no value"
    if topic not in there:
        return f"topic {topic} does not exist any more"
    if one.origin.partition >= there[topic]:
        return (
            f"topic {topic} has {there[topic]} partitions now: there is no {one.origin.partition}"
        )
    return None


def again(record: Record, one: Rejection) -> Outgoing:
    """The record as it came, for the partition it came from."""
    headers: list[tuple[str, bytes]] = []
    ours = set(_OURS)
    for name, value in reversed(record.headers):
        if name in ours:
            ours.discard(name)  # ours was appended last; an earlier one is the producer's
        elif name != CAME_FROM:
            headers.append((name, value))
    came_from = (CAME_FROM, str(one.origin).encode())
    return Outgoing(
        one.origin.topic,
        record.key,
        record.value,
        (*reversed(headers), came_from),
        partition=one.origin.partition,
    )


def mark(names: Names, record: Record, one: Rejection) -> Outgoing:
    """What says that a dead letter was sent again."""
    headers = ((MARK, str(one.origin).encode()),)
    return Outgoing(names("dead-letters"), record.key, None, headers, partition=record.partition)


def together(
    names: Names, records: Iterable[Record], chosen: Mapping[tuple[int, int], Rejection]
) -> list[Outgoing]:
    """What has to be written in one transaction: those of the records that were chosen, and their marks.

    Parameters
    ----------
    chosen : by partition and offset of the dead letter
    """
    found: list[Outgoing] = []
    for record in records:
        one = chosen.get((record.partition, record.offset))
        if one is not None:
            found += (again(record, one), mark(names, record, one))
    return found
