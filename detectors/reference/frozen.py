"""What does a reference consist of? Its parts, and the digest that says whether two are the same."""

import hashlib
import json
from dataclasses import dataclass, field

from detectors.performance.reference import OutcomeReference
from detectors.reference.derived import Derivation, Identifier, Text, Vector
from detectors.reference.outcomes import Known, known_text
from detectors.series import Series

WINDOWS_WORTH = 10  # a reference should hold the rows of ten windows
UNKNOWN_ROWS = 1_000  # rows per window where the reference has no event times to tell


@dataclass(frozen=True, slots=True)
class BuiltFrom:
    """Where the reference came from; times in epoch milliseconds, None without event times."""

    source: str
    start_ms: int | None
    end_ms: int | None
    events: int
    gap_ms: int | None = (
        None  # the longest time without an event; says nothing of counts, so no part of the digest
    )


@dataclass(frozen=True, slots=True)
class Blocks:
    """The windows the reference's own event times fall into; `rows` is the median number of events in one."""

    window_ms: int
    windows: int
    rows: int


SLOTS = {"hour_of_day": 24, "hour_of_week": 168}  # of every season


@dataclass(frozen=True, slots=True)
class Season:
    """A cycle that is no drift: its name, and where its hours are read.

    A window's slot is the local hour of its start: 0 to 23, or, by the week, 24 for every day since Monday added.
    """

    name: str  # hour_of_day, hour_of_week
    timezone: str

    @property
    def slots(self) -> int:
        """How many it has."""
        return SLOTS[self.name]


@dataclass(frozen=True, slots=True)
class SlotReference:
    """The counts of one slot for every series in order, and the windows they came in."""

    slot: int
    windows: int
    events: int
    counts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class ReferenceSeries:
    """One series with its counts. `dispersion`: score name and φ; empty if it could not be calibrated."""

    series: Series
    counts: tuple[int, ...]
    dispersion: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class SegmentReference:
    """The counts of one segment, ``country=DE``, for every series in order."""

    segment: str
    events: int
    counts: tuple[tuple[int, ...], ...]
    slots: tuple[SlotReference, ...] = ()  # those that hold enough events to be compared with


@dataclass(frozen=True, slots=True)
class Reference:
    """A frozen reference. `digest` covers everything else: counts of different digests are never added."""

    reference_id: str
    model_id: str
    model_version: str
    built_from: BuiltFrom
    blocks: Blocks | None
    series: tuple[ReferenceSeries, ...]
    segments: tuple[SegmentReference, ...] = ()
    digest: str = ""
    derived: tuple[Derivation, ...] = ()
    season: Season | None = None
    slots: tuple[SlotReference, ...] = ()  # of a season, by number; those that hold events
    known: Known | None = field(default=None, compare=False)  # outcomes; the digest compares them

    @property
    def outcomes(self) -> OutcomeReference | None:
        """What was normal of its outcomes; None if it has none."""
        return None if self.known is None else self.known.whole

    def outcomes_of(self, segment: str) -> OutcomeReference | None:
        """The same of one segment."""
        return None if self.known is None else self.known.of(segment)

    @property
    def rows(self) -> float:
        """Expected rows per window of all segments together."""
        if self.blocks is not None:
            return float(self.blocks.rows)
        return min(UNKNOWN_ROWS, self.built_from.events / WINDOWS_WORTH)


def digest(reference: Reference) -> str:
    """First 40 hex digits of SHA-256 over the reference as canonical JSON, its order of series included."""
    parts = [
        [r.series.name, r.series.type, list(r.series.edges), list(r.series.support),
         list(r.series.categories), list(r.series.known), r.series.centre, r.series.scale,
         list(r.counts), [list(d) for d in r.dispersion],
         *([] if r.series.ends is None else [list(r.series.ends)])]
        for r in reference.series
    ]  # fmt: skip
    built, blocks = reference.built_from, reference.blocks
    whole: list[object] = [
        reference.reference_id,
        reference.model_id,
        reference.model_version,
        [built.source, built.start_ms, built.end_ms, built.events],
        blocks and [blocks.window_ms, blocks.windows, blocks.rows],
        parts,
        [[s.segment, s.events, [list(c) for c in s.counts]] for s in reference.segments],
    ]
    if reference.season is not None:
        whole += [
            [reference.season.name, reference.season.timezone],
            _plain(reference.slots),
            [_plain(s.slots) for s in reference.segments],
        ]
    if reference.derived:
        whole.append([_parts(one) for one in reference.derived])
    if reference.known is not None:
        whole.append(["outcomes", known_text(reference.known)])
    text = json.dumps(whole, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:40]


def _plain(slots: tuple[SlotReference, ...]) -> list[object]:
    return [[s.slot, s.windows, s.events, [list(c) for c in s.counts]] for s in slots]


def _parts(one: Derivation) -> list[object]:
    match one:
        case Text() | Identifier():
            return [one.type, one.feature, one.known and list(one.known)]
        case Vector():
            return [one.type, one.feature, list(one.centre)]
        case _:
            parts = one.features, one.centre, one.scale, one.weights
            return ["joint", *(list(part) for part in parts), one.shift]
