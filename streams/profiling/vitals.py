"""How did the model run, and is what it was fed fresh? What events say beside their values, taken out and counted.

What an event does not have costs one look at it: the numbers are taken out in one call per field and batch, and counted
by numpy with those of many batches.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

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
    STATUSES,
    TIMED,
    TOTAL,
    UNKNOWN,
    latencies,
)
from streams.lifecycle import Lifecycle
from streams.lifecycle.paths import Const, Path
from streams.lifecycle.sources import FEATURE_FIELDS, PREDICTION_FIELDS
from streams.messages import MOST_NAMES, capped
from streams.profiling.fields import ANSWERED, is_text
from streams.profiling.reading import PREDICTIONS, Reading, moment_ms
from streams.profiling.rows import doubles
from streams.profiling.structs import Columns

Ints = NDArray[np.int64]
LONGEST_NAME = 128
_ODD = np.uint64(0x9E3779B97F4A7C15)
_SIXTEENTH = np.uint64(1 << 60)  # of all numbers of 64 bits
_PLAIN = LATENCY.start  # cells before those of latencies
_STATUS: Mapping[str | None, int] = {None: 0, **{status: k for k, status in enumerate(STATUSES)}}


class Counted:
    """What was counted for one group of events: a version, a pane, a combination of segments."""

    __slots__ = (
        "ids",
        "latencies",
        "names",
        "numbers",
        "pane_start_ms",
        "plain",
        "samples",
        "waiting",
    )

    def __init__(self, pane_start_ms: int) -> None:
        self.pane_start_ms = pane_start_ms
        self.plain = [0] * _PLAIN
        self.latencies: Ints | None = None
        self.numbers: list[bytes] = []  # latencies that wait
        self.names: dict[str, int] = {}
        self.ids: list[str] = []  # that wait
        self.waiting = 0  # how many
        self.samples: list[repeats.Sample] = []

    def identify(self, ids: Sequence[str | None]) -> None:
        """Count event ids; they wait for the function `identify`. None: an event has no id."""
        try:
            joined = "\0".join(ids)  # type: ignore[arg-type] # cheaper than to look first
        except TypeError:
            ids = [one for one in ids if one is not None]
            if not ids:
                return
            joined = "\0".join(ids)  # type: ignore[arg-type] # they are texts now
        self.ids.append(joined)
        self.waiting += len(ids)
        self.plain[IDENTIFIED] += len(ids)

    def unknown_status(self) -> None:
        """One of the predictions that were or will be counted as if they said nothing had a status nobody knows."""
        self.plain[0] -= 1
        self.plain[UNKNOWN] += 1

    def name(self, names: Iterable[str]) -> None:
        """An event had these names, which nobody declared."""
        for name in names:
            self.names[name] = self.names.get(name, 0) + 1
        if len(self.names) > MOST_NAMES:
            self.names = capped(self.names)

    def merge(self, other: "Counted") -> None:
        """Add what was counted for another group of the same pane."""
        self.plain = [a + b for a, b in zip(self.plain, other.plain, strict=True)]
        if other.latencies is not None:
            self.add_latencies(other.latencies)
        self.samples += other.samples
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
        """A sample of the ids that were settled."""
        return repeats.merged(self.samples)


class Vitals:
    """What one reading takes out of its events beside their values."""

    def __init__(self, reading: Reading, lifecycle: Lifecycle) -> None:
        self._predictions = reading.kind == PREDICTIONS
        self._reading = reading
        read = reading.extract
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
        self._declares = _declares(reading, self._known) if self._names is not None else None

    def take(
        self,
        events: Sequence[Any],
        fields: Columns,
        into: Counted,
        violations: dict[str, dict[str, int]],
    ) -> Sequence[Any] | None:
        """Count what these events of one group say; latencies and ids wait.

        Parameters
        ----------
        fields : their `columns`

        Returns
        -------
        the statuses of the events; None where all of them were answered
        """
        n, plain = len(events), into.plain
        if self._moment is not None:
            moments = self._moment(fields)
            if _any(moments):
                self._ages(events, moments, into, violations)
        if not self._predictions:
            plain[FEATURES] += n
            return None
        if self._latency is not None:
            numbers = self._latency(fields)
            if _any(numbers):
                into.numbers.append(doubles(numbers))
        if self._id is not None:
            into.identify(self._id(fields))
        statuses = self._status(fields) if self._status is not None else ()
        if not _any(statuses):
            plain[0] += n
            return None
        found = Counter(statuses)
        for status, times in found.items():
            plain[_STATUS[status]] += times
        return statuses if found.keys() - ANSWERED else None

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

    def undeclared(self, value: bytes) -> list[str]:
        """Names of features that this event has and nobody declared, sorted."""
        if self._names is None:
            return []
        if self._declares is not None:
            try:
                self._declares(value)
            except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
                pass  # a name more, or something else that is looked at below
            else:
                return []
        decode, read = self._names
        try:
            names = read(decode(value))
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            return []  # they cannot be told
        new = names.keys() - self._known if names else ()
        return sorted(filter(_legal, new)) if new else []


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


def identify(groups: Sequence[Counted]) -> None:
    """Make samples of all ids that wait."""
    waiting = [of for of in groups if of.ids]
    if not waiting:
        return
    joined = ["\0".join([*of.ids, ""]).encode() for of in waiting]
    lengths = [text.count(b"\0") for text in joined]
    panes = np.repeat(np.array([of.pane_start_ms for of in waiting]), lengths)
    hashes = repeats.salted(repeats.checksums(b"".join(joined)), panes)
    for of, sample in zip(waiting, repeats.samples(hashes, lengths), strict=True):
        of.samples.append(sample)
        of.ids.clear()
        of.waiting = 0


def looked_at(times_ms: Ints, values: Sequence[bytes | None]) -> Iterator[int]:
    """Which events' names are looked at: one in 128, by their times and lengths alone, so that it is the same ones in
    whatever batches they come.

    Parameters
    ----------
    values : of the records they came from

    >>> list(looked_at(np.arange(0, 4000, 20), [b"{}"] * 200))
    [50, 61, 75]
    """
    mixed = times_ms.astype(np.uint64) * _ODD
    some = np.flatnonzero(mixed < _SIXTEENTH)  # and of these one in eight
    for k, mix in zip(some.tolist(), mixed[some].tolist(), strict=True):
        value = values[k]
        if value is None:
            continue
        again = (mix ^ (mix >> 31) ^ len(value)) * 0x9E3779B97F4A7C15
        if (again >> 40) & 7 == 0:
            yield k


def _any(values: Sequence[Any]) -> bool:
    """Whether some value is not None. All mostly are or none is, and to compare other values with None is not cheap."""
    return bool(values) and (values[0] is not None or values.count(None) != len(values))


def _legal(name: str) -> bool:
    return 0 < len(name) <= LONGEST_NAME and name.isprintable() and is_text(name)


def _names_at(reading: Reading) -> tuple[Any, Any] | None:
    """How the names beside the declared features are read: a decoder, and the way to them in what it gives."""
    root = reading.root
    if root is None or any(not isinstance(s, str) or s.startswith("$") for s in root):
        return None
    type_: Any = dict[str, msgspec.Raw] | None
    if not root:
        return msgspec.json.Decoder(dict[str, msgspec.Raw]).decode, _reader(0)
    for step in reversed(root):
        type_ = msgspec.defstruct("At", [("v", type_, None)], rename={"v": str(step)}) | None
    return msgspec.json.Decoder(type_).decode, _reader(len(root))


def _declares(reading: Reading, known: frozenset[str]) -> Any:
    """What decodes events all of whose names are known, at a third of the price; None where there is no such way."""
    letters = "".join(sorted(known))
    letters += "".join(map(str, reading.root or ()))
    if not reading.root or not letters.isprintable() or '"' in letters or "\\" in letters:
        return None  # the last three can be no names of fields
    names = {f"f{k}": name for k, name in enumerate(sorted(known))}
    type_: Any = msgspec.defstruct(
        "Known",
        [(field, msgspec.Raw, None) for field in names],
        rename=names,
        forbid_unknown_fields=True,
        gc=False,
    )
    for step in reversed(reading.root):
        type_ = msgspec.defstruct(
            "At", [("v", type_ | None, None)], rename={"v": str(step)}, gc=False
        )
    return msgspec.json.Decoder(type_).decode


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
