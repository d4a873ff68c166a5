"""What was refused, and why? The dead letters of `leeway.dead-letters` by their headers; never their content."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from streams.broker import Record

MOST = 1_000  # dead letters that are remembered; the oldest are forgotten first
MOST_COUNTS = 1_000  # pairs of topic and reason that are counted apart
OTHER = "other"
MARK = (
    "leeway.replayed"  # on `leeway.dead-letters`: the dead letter of this origin was re-submitted
)
MOST_TEXT = 1_024


@dataclass(frozen=True, slots=True, order=True)
class Origin:
    """Where a dead letter came from: one record of one topic.

    >>> str(Origin("loans.scored", 2, 17))
    'loans.scored/2/17'
    """

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"

    @classmethod
    def read(cls, text: str) -> "Origin":
        """The inverse of `str`. Raises `ValueError`.

        >>> Origin.read("loans.scored/2/17").offset
        17
        """
        topic, partition, offset = text.rsplit("/", 2)
        return cls(topic, int(partition), int(offset))


@dataclass(frozen=True, slots=True)
class Rejection:
    """One dead letter, without its content.

    Parameters
    ----------
    reason, message : one word of contracts §1.3, and a sentence
    origin : the record that was refused
    at_ms : when it was written, by the log's clock
    size : bytes of the value as it came
    truncated : it was too large to be kept whole
    group, stage : which role refused it, doing what
    partition, offset : its own place on `leeway.dead-letters`
    replayed_ms : when it was re-submitted; None: never
    """

    reason: str
    message: str
    origin: Origin
    at_ms: int
    size: int
    truncated: bool
    group: str
    stage: str
    partition: int
    offset: int
    replayed_ms: int | None = None


@dataclass(slots=True)
class Rejected:
    """The newest dead letters, and how many there were.

    A record that marks another one as re-submitted lies in the same partition behind it.
    """

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)  # (topic, reason)
    _newest: dict[tuple[int, Origin], Rejection] = field(default_factory=dict)

    def fold(self, record: Record) -> None:
        """Take in a record of `leeway.dead-letters`. Raises `ValueError` where it is none of ours."""
        # what we say comes last: a producer may have sent headers of the same names
        headers = {name: value.decode("utf-8", "replace") for name, value in record.headers}
        if "leeway.reason" in headers:
            self._add(rejection(record, headers))
        elif MARK in headers:
            self._mark(record.partition, Origin.read(headers[MARK]), record.timestamp_ms or 0)
        else:
            raise ValueError("no dead letter")

    def _add(self, one: Rejection) -> None:
        counted = (one.origin.topic, one.reason)
        if counted not in self.counts and len(self.counts) >= MOST_COUNTS:
            counted = (OTHER, OTHER)
        self.counts[counted] += 1
        key = (one.partition, one.origin)
        self._newest.pop(key, None)
        self._newest[key] = one
        if len(self._newest) > MOST:
            del self._newest[next(iter(self._newest))]

    def _mark(self, partition: int, origin: Origin, at_ms: int) -> None:
        known = self._newest.get((partition, origin))
        if known is not None:
            self._newest[partition, origin] = replace(known, replayed_ms=at_ms)

    @property
    def total(self) -> int:
        """How many there were."""
        return self.counts.total()

    def newest(self, reason: str | None = None, topic: str | None = None) -> list[Rejection]:
        """Those that are remembered, the newest first; None means any."""
        found: Iterable[Rejection] = (
            one
            for one in self._newest.values()
            if reason in (None, one.reason) and topic in (None, one.origin.topic)
        )
        return sorted(found, key=lambda one: (one.at_ms, one.partition, one.offset), reverse=True)


def rejection(record: Record, headers: Mapping[str, str]) -> Rejection:
    """A dead letter's headers in words. Raises `KeyError` or `ValueError` where they are not ours."""
    value = record.value or b""
    truncated = headers.get("leeway.truncated") == "true"
    return Rejection(
        reason=headers["leeway.reason"][:MOST_TEXT],
        message=headers.get("__dlq.errors.message", "")[:MOST_TEXT],
        origin=Origin(
            headers["__dlq.errors.topic"],
            int(headers["__dlq.errors.partition"]),
            int(headers["__dlq.errors.offset"]),
        ),
        at_ms=record.timestamp_ms or 0,
        size=int(headers["leeway.size"]) if truncated else len(value),
        truncated=truncated,
        group=headers.get("__dlq.errors.group", "")[:MOST_TEXT],
        stage=headers.get("__dlq.errors.stage", "")[:MOST_TEXT],
        partition=record.partition,
        offset=record.offset,
    )
