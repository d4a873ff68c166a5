"""How did the model run, and is what it was fed fresh? What events say beside their values, taken out and counted.

What an event does not have costs one look at it: the numbers are taken out in one call per field and batch, and counted
by numpy with those of many batches.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any
from zlib import crc32

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.operations import repeats
from detectors.operations.layout import (
    FEATURES,
    IDENTIFIED,
    LATENCY,
    MISSING,
    ODD,
    SAMPLED,
    STATUSES,
    TIMED,
    TOTAL,
    UNKNOWN,
    latencies,
)
from streams.lifecycle import Lifecycle
from streams.lifecycle.paths import Const, Path
from streams.lifecycle.settings import FEATURE_FIELDS, PREDICTION_FIELDS
from streams.messages import MOST_NAMES, capped
from streams.profiling.fields import is_text
from streams.profiling.reading import PREDICTIONS, Reading, moment_ms
from streams.profiling.rows import doubles

Ints = NDArray[np.int64]
LONGEST_NAME = 128
WAITING_IDS = 16_384  # of a group: more of them are made a sample
_ONE_IN = 64  # events whose names are looked at
_PLAIN = LATENCY.start  # cells before those of latencies
_STATUS: Mapping[str | None, int] = {None: 0, **{status: k for k, status in enumerate(STATUSES)}}


class Counted:
    """What was counted for one group of events: a version, a pane, a combination of segments."""

    __slots__ = ("_ids", "_sample", "_waiting", "latencies", "names", "numbers", "plain", "salt_ms")

    def __init__(self, pane_start_ms: int) -> None:
        self.salt_ms = pane_start_ms
        self.plain = [0] * _PLAIN
        self.latencies: Ints | None = None
        self.numbers: list[bytes] = []  # latencies that wait
        self.names: dict[str, int] = {}
        self._ids: list[bytes] = []
        self._waiting = 0  # ids
        self._sample = repeats.EMPTY

    def identify(self, ids: Iterable[str]) -> None:
        """Count event ids."""
        checksums = array("I", map(crc32, map(str.encode, ids)))
        self._ids.append(checksums.tobytes())
        self._waiting += len(checksums)
        self.plain[IDENTIFIED] += len(checksums)
        if self._waiting > WAITING_IDS:
            self._settle()

    def unknown_status(self) -> None:
        """One of the predictions that were or will be counted as if they said nothing had a status nobody knows."""
        self.plain[0] -= 1
        self.plain[UNKNOWN] += 1

    def name(self, names: Iterable[str]) -> None:
        """An event was looked at; these names in it were never declared."""
        self.plain[SAMPLED] += 1
        for name in names:
            self.names[name] = self.names.get(name, 0) + 1
        if len(self.names) > MOST_NAMES:
            self.names = capped(self.names)

    def merge(self, other: "Counted") -> None:
        """Add what was counted for another group of the same pane."""
        self.plain = [a + b for a, b in zip(self.plain, other.plain, strict=True)]
        if other.latencies is not None:
            self.add_latencies(other.latencies)
        self._sample = repeats.merged([self.sample, other.sample])
        for name, n in other.names.items():
            self.names[name] = self.names.get(name, 0) + n

    def add_latencies(self, cells: Ints) -> None:
        """Add counts of the block `LATENCY`."""
        self.latencies = cells if self.latencies is None else self.latencies + cells

    @property
    def vector(self) -> Ints:
        """All counts, by `detectors.operations.layout`."""
        found = np.zeros(TOTAL, np.int64)
        found[:_PLAIN] = self.plain
        if self.latencies is not None:
            found[LATENCY] = self.latencies
        # a prediction that says nothing of its latency waits for nobody
        found[MISSING] = found[:FEATURES].sum() - found[LATENCY.start : ODD + 1].sum()
        return found

    @property
    def sample(self) -> repeats.Sample:
        """A sample of the ids."""
        self._settle()
        return self._sample

    def _settle(self) -> None:
        if self._waiting:
            checksums = np.frombuffer(b"".join(self._ids), np.uint32)
            more = repeats.sample(repeats.salted(checksums, self.salt_ms))
            self._sample = repeats.merged([self._sample, more])
            self._ids.clear()
            self._waiting = 0


class Vitals:
    """What one reading takes out of its events beside their values."""

    def __init__(self, reading: Reading, lifecycle: Lifecycle) -> None:
        self._predictions = reading.kind == PREDICTIONS
        self._reading = reading
        read = reading.attribute
        self._status, self._latency = read.get("status"), read.get("latency_ms")
        self._id, self._moment = read.get("event_id"), read.get("feature_timestamp")
        self._fresh_ms = {
            name: feature.freshness // timedelta(milliseconds=1)
            for name, feature in lifecycle.features.items()
            if feature.freshness is not None and feature.from_ == reading.kind
        }
        self._declared = frozenset(
            name for name, feature in lifecycle.features.items() if feature.from_ == reading.kind
        )
        self._names, self._known = _names_at(reading), _known(reading, lifecycle)

    def take(
        self, events: Sequence[Any], into: Counted, violations: dict[str, dict[str, int]]
    ) -> None:
        """Count what these events of one group say; latencies wait for `settle`."""
        n, plain = len(events), into.plain
        if self._moment is not None:
            moments = list(map(self._moment, events))
            if moments.count(None) != n:
                self._ages(events, moments, into, violations)
        if not self._predictions:
            plain[FEATURES] += n
            return
        statuses = list(map(self._status, events)) if self._status is not None else []
        if not statuses or statuses.count(None) == n:
            plain[0] += n
        else:
            for status, times in Counter(statuses).items():
                plain[_STATUS[status]] += times
        if self._latency is not None:
            numbers = list(map(self._latency, events))
            if numbers.count(None) != n:
                into.numbers.append(doubles(numbers))
        if self._id is not None:
            ids = list(map(self._id, events))
            if none := ids.count(None):
                ids = [one for one in ids if one is not None] if none != n else []
            if ids:
                into.identify(ids)

    def _ages(
        self,
        events: Sequence[Any],
        moments: Sequence[Any],
        into: Counted,
        violations: dict[str, dict[str, int]],
    ) -> None:
        """How old features were when they were used."""
        into.plain[TIMED.start + (not self._predictions)] += len(moments) - moments.count(None)
        found: Counter[tuple[str, str]] = Counter()
        for event, moment in zip(events, moments, strict=True):
            if moment is None:
                continue
            at_ms = self._reading.time_ms(event)
            if not isinstance(moment, dict):
                age = at_ms - moment_ms(moment, self._reading.unit)
                if age < 0:
                    found["feature_timestamp", "leak"] += 1
                for name, most in self._fresh_ms.items():
                    if age > most:
                        found[f"feature:{name}", "stale"] += 1
                continue
            for name, one in moment.items():
                if one is None or name not in self._declared:
                    continue
                age = at_ms - moment_ms(one, self._reading.unit)
                if age < 0:
                    found[f"feature:{name}", "leak"] += 1
                if age > self._fresh_ms.get(name, age):
                    found[f"feature:{name}", "stale"] += 1
        for (series, reason), n in found.items():
            of = violations.setdefault(series, {})
            of[reason] = of.get(reason, 0) + n

    def undeclared(self, value: bytes) -> list[str] | None:
        """Names of features that this event has and nobody declared, sorted; None if they cannot be told."""
        if self._names is None:
            return None
        decode, read = self._names
        try:
            names = read(decode(value))
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            return None
        if not names:
            return []
        return sorted(n for n in names if n not in self._known and _legal(n))


def settle(groups: Sequence[tuple[Counted, dict[str, dict[str, int]]]]) -> None:
    """Count all latencies that wait. `groups`: with what was invalid in each, to which negative ones are added."""
    waiting = [(of, invalid) for of, invalid in groups if of.numbers]
    if not waiting:
        return
    packed = [b"".join(of.numbers) for of, _ in waiting]
    values = np.frombuffer(b"".join(packed))
    at = np.repeat(np.arange(len(packed)), [len(p) // 8 for p in packed])
    cells = latencies(values, at, len(packed))
    with np.errstate(invalid="ignore"):
        negative = np.bincount(at[values < 0], minlength=len(packed))
    for (of, invalid), more, below in zip(waiting, cells, negative.tolist(), strict=True):
        of.add_latencies(more)
        of.numbers.clear()
        if below:
            reasons = invalid.setdefault("latency_ms", {})
            reasons["negative"] = reasons.get("negative", 0) + below


def looked_at(times_ms: Ints, lengths: Ints) -> Ints:
    """Which events' names are looked at: one in 64, by their times and lengths alone, so that it is the same ones in
    whatever batches they come.

    >>> looked_at(np.arange(0, 4000, 20), np.full(200, 300)).tolist()
    []
    """
    mixed = times_ms.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= lengths.astype(np.uint64) * np.uint64(0xC2B2AE3D27D4EB4F)
    mixed = (mixed ^ (mixed >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)
    return np.flatnonzero(mixed < np.uint64(2**64 // _ONE_IN))


def _legal(name: str) -> bool:
    return 0 < len(name) <= LONGEST_NAME and name.isprintable() and is_text(name)


def _names_at(reading: Reading) -> tuple[Any, Any] | None:
    """How the names beside the declared features are read: a decoder, and the way to them in what it gives."""
    root = reading.root
    if root is None or any(not isinstance(s, str) or s.startswith("$") for s in root):
        return None
    type_: Any = dict[str, msgspec.Raw] | None
    if not root:
        return msgspec.json.Decoder(dict[str, msgspec.Raw]).decode, dict.keys
    for step in reversed(root):
        type_ = msgspec.defstruct("At", [("v", type_, None)], rename={"v": str(step)}) | None
    return msgspec.json.Decoder(type_).decode, _reader(len(root))


def _reader(depth: int) -> Any:
    def names(found: Any) -> Any:
        for _ in range(depth):
            found = None if found is None else found.v
        return found

    return names


def _known(reading: Reading, lifecycle: Lifecycle) -> frozenset[str]:
    """What may stand beside the declared features without being one."""
    root: Path = reading.root or ()
    written = PREDICTION_FIELDS if reading.kind == PREDICTIONS else FEATURE_FIELDS
    mapped = (reading.mapped(name) for name in written)
    paths = [*(p for p in mapped if not isinstance(p, Const)), *(w.path for w in reading.wants)]
    depth = len(root)
    beside = {str(p[depth]) for p in paths if len(p) > depth and p[:depth] == root}
    elsewhere = (f.path for f in lifecycle.features.values() if f.path is not None)
    beside |= {str(p[depth]) for p in elsewhere if len(p) > depth and p[:depth] == root}
    return frozenset(beside | set(lifecycle.features))
