"""What Leeway's own stages say to each other and to the world: wire forms and their versions.

Documents of alerts, notifications and triggers are defined in `alerting.types`; here are the result
and the records of `leeway.profiles`.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.performance.packed import pack_counts as pack_counts
from detectors.performance.packed import unpack_counts as unpack_counts

FORMAT = 1
MOST_NAMES = 200  # of features never declared
KIND = "leeway.kind"  # header of leeway.profiles: which of the records this is

Ints = NDArray[np.int64]


class Summary(msgspec.Struct, frozen=True, tag="summary", tag_field="kind", array_like=False):
    """Mergeable counts of one model × version × segment in one pane.

    `cells` and `sums` are the flat vectors of `detectors.binning`, packed as little-endian integers: their layout is
    that of the reference with this digest, so counts of different digests can never be added by mistake.
    """

    model_id: str
    model_version: str
    segment: str
    definition: int  # which of the lifecycle's segment definitions; 0 adds up to `all`
    pane_start_ms: int
    reference_digest: str
    events: int
    cells: bytes
    sums: bytes
    invalid: dict[str, dict[str, int]]  # series -> reason -> events
    violations: dict[str, dict[str, int]]
    format: int = FORMAT
    health: bytes = (
        b""  # of statuses, latencies and such: `detectors.operations.layout`, by `pack_counts`
    )
    repeats: bytes = b""  # a sample of event ids: `detectors.operations.repeats`
    names: dict[str, int] = {}  # features never declared, of the events whose names were looked at
    hopes: bytes = (
        b""  # predictions by score and class: `detectors.performance.unlabelled`, by `pack_counts`
    )


class Outcomes(msgspec.Struct, frozen=True, tag="outcomes", tag_field="kind"):
    """Mergeable counts of predictions with their truths, of one model × version × segment in one pane.

    The pane is that of the label's time; with `monitoring.labels.maturity`, that of the prediction's. What came too
    late for its pane by that setting is in `days` alone. A correction takes its former outcome back, so that a count
    may be negative until the pane's other records are added.
    """

    model_id: str
    model_version: str
    segment: str
    definition: int  # which of the lifecycle's segment definitions; 0 adds up to `all`
    pane_start_ms: int
    digest: str  # of the layout of the counts, a `detectors.performance.layout.Layout`
    outcomes: int  # in `cells`, those taken back subtracted
    corrected: int  # of them taken back
    cells: bytes  # packed by `pack_counts`, as are all vectors below
    days: dict[int, bytes]  # start of the prediction's day in epoch ms -> its counts, same layout
    slices: bytes  # of single features and pairs of them; b"" where nothing was counted
    values: list[
        Any
    ]  # `sample_to_data` of the errors or losses one by one; [] unless a method reads them
    invalid: dict[str, dict[str, int]]  # series -> reason -> label events
    format: int = FORMAT


class Joined(msgspec.Struct, frozen=True, tag="joined", tag_field="kind"):
    """What became of one model's labels in one pane of label time, as one joiner counted it: outcome -> labels."""

    model_id: str
    pane_start_ms: int
    counts: dict[str, int]  # matched unmatched duplicate conflict corrected early uncertain
    format: int = FORMAT


class Report(msgspec.Struct, frozen=True, array_like=True):
    """How far one source partition has been read. `highest_ms` None: nothing valid seen yet."""

    partition: int
    highest_ms: int | None
    offset: int
    idle_ms: (
        int  # silent for so long while the reader stood at the end of the log; 0 while events come
    )


class Progress(msgspec.Struct, frozen=True, tag="progress", tag_field="kind"):
    """How far a source topic has been read, as one profiler knows it; a copy goes to every partition."""

    source: str
    partitions: int  # of the source topic
    reports: list[Report]
    format: int = FORMAT


SLOT_MS = 5 * 60_000  # dead letters are held against the events of the same five minutes


class Slot(msgspec.Struct, frozen=True, array_like=True):
    """What came in during five minutes of event time: usable events, dead letters, unknown models."""

    start_ms: int
    events: int
    dead_letters: dict[str, int]
    unregistered: dict[str, int]

    @property
    def end_ms(self) -> int:
        """Where the next one starts."""
        return self.start_ms + SLOT_MS


class Unread(msgspec.Struct, frozen=True, array_like=True):
    """Records of one source partition that are no events. They have no event time; the one before them in their
    partition had one, which the profiler knows unless it began to read after it. The judge knows that one, too.
    """

    partition: int
    after_ms: int | None  # start of the slot of the latest event before them, as far as was read
    logged_ms: int  # start of their slot by the log's own time, which counts where there is no event at all
    dead_letters: dict[str, int]
    unregistered: dict[str, int]


class Intake(msgspec.Struct, frozen=True, tag="intake", tag_field="kind"):
    """What came in on a source topic, as one profiler counted it; a copy goes to every partition."""

    source: str
    events: dict[int, int]  # start of the slot -> events
    unread: list[Unread]
    format: int = FORMAT


Profile = Summary | Outcomes | Joined | Progress | Intake


class Mark(msgspec.Struct, frozen=True, tag="joined", tag_field="leeway.mark"):
    """A record among the outcomes: the joiner has written all that it will of labels up to a time.

    It says so of one partition of a topic of labels. Without it a joiner that is behind would look like one that has
    nothing to join.
    """

    labels: str  # the topic
    partition: int
    partitions: int
    highest_ms: int | None
    idle_ms: int  # no label came for so long; 0 while they come, or wait for their turn

    @property
    def source(self) -> str:
        """What the judge calls it: what is joined of these labels, as if it were a topic."""
        return joined_source(self.labels)


def joined_source(labels: str) -> str:
    """The name under which what is joined of a topic of labels is reported.

    >>> joined_source("leeway.labels")
    'joined:leeway.labels'
    """
    return f"joined:{labels}"


_MARK = b'{"leeway.mark":'
_mark = msgspec.json.Decoder(Mark).decode


def encode_mark(mark: Mark) -> bytes:
    """A mark as a record of `leeway.outcomes`."""
    return encode_json(mark)


def mark_of(value: bytes | None) -> Mark | None:
    """The mark that a record of `leeway.outcomes` is, if it is one.

    >>> mark_of(encode_mark(Mark("leeway.labels", 0, 4, None, 0))).partitions
    4
    >>> mark_of(b'{"event_id": "e1"}')
    """
    return _mark(value) if value is not None and value.startswith(_MARK) else None


_profiles: msgspec.msgpack.Decoder[Profile] = msgspec.msgpack.Decoder(Profile)
_pack = msgspec.msgpack.Encoder().encode


def encode_profile(record: Profile) -> bytes:
    return _pack(record)


def decode_profile(value: bytes) -> Profile:
    """Raises `msgspec.MsgspecError` on anything that this release does not write."""
    return _profiles.decode(value)


def pack_cells(cells: Ints) -> bytes:
    """Counts as little-endian int32: a pane holds fewer than 2^31 events."""
    return cells.astype("<i4").tobytes()


def unpack_cells(packed: bytes) -> Ints:
    """
    >>> unpack_cells(pack_cells(np.array([1, 0, 7])))
    array([1, 0, 7])
    """
    return np.frombuffer(packed, "<i4").astype(np.int64)


def pack_sums(sums: Ints) -> bytes:
    return sums.astype("<i8").tobytes()


def capped(names: Mapping[str, int]) -> dict[str, int]:
    """The first names by code points, sorted: the same ones in whatever order they were added up.

    >>> capped({"b": 1, "a": 2})
    {'a': 2, 'b': 1}
    """
    return {name: names[name] for name in sorted(names)[:MOST_NAMES]}


class WindowDocument(msgspec.Struct, frozen=True):
    start: str
    end: str
    events: int
    late: int
    panes: int


class AlarmDocument(msgspec.Struct, frozen=True):
    log_statistic: float | None
    log_threshold: float
    budget: str
    looks: int


class MissingDocument(msgspec.Struct, frozen=True):
    reference: float
    current: float


class EffectDocument(msgspec.Struct, frozen=True):
    name: str
    value: float
    low: float
    high: float
    floor: float


class EvidenceDocument(msgspec.Struct, frozen=True):
    detector: str
    statistic: float
    p_value: float | None
    e_value: float | None


class TopBinDocument(msgspec.Struct, frozen=True):
    bin: int
    of: int
    reference: float
    current: float
    contribution: float


class SeriesDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    series: str
    verdict: str
    reason: str
    n_reference: int
    n_current: int
    missing: MissingDocument
    effect: EffectDocument | None
    evidence: list[EvidenceDocument]
    top_bins: list[TopBinDocument]
    counts: list[int] = []  # by cell of the reference: values, odd, missing


class SliceDocument(msgspec.Struct, frozen=True):
    """Part of the outcomes in which errors concentrate; what it is compared with, and how sure that is."""

    name: str
    n: int
    value: float  # error rate, or mean loss
    against: float
    low: float  # of the difference
    high: float
    share: float  # of all errors
    p_value: float


class ResultDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """One verdict: one per model × version × segment × scope × window (leeway.results)."""

    result_id: str
    model_id: str
    model_version: str
    segment: str
    scope: str
    lifecycle_revision: str
    reference_id: str | None
    window: WindowDocument
    verdict: str
    reason: str
    alarm: AlarmDocument | None
    metrics: dict[str, Any]
    quality: dict[str, Any]
    truncated: int
    series: list[SeriesDocument]
    notes: list[str]  # conditions of the guarantee that do not hold
    revision: int = 0  # of scope matured: how often this window was told, from 1
    confusion: dict[str, dict[str, int]] = {}  # actual class -> predicted class -> outcomes
    slices: list[SliceDocument] = []  # where the errors are, searched when something is wrong


encode_json = msgspec.json.Encoder(decimal_format="number").encode


def add(total: dict[str, dict[str, int]], more: Mapping[str, Mapping[str, int]]) -> None:
    """Add nested counts in place."""
    for name, reasons in more.items():
        into = total.setdefault(name, {})
        for reason, n in reasons.items():
            into[reason] = into.get(reason, 0) + n
