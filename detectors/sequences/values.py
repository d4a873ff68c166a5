"""Has a sequence of values changed? The detectors of river that a lifecycle can name, behind one contract.

Every class here is frozen settings and a `SequenceDetector`. None has a budget: what they do while nothing changes was
measured, see `detectors.sequences.measured`. `detectors.sequences.labels` has the ones with a bound.

A detector cannot be written down, but what it has read can: its state is the values since its last detection, and a
restart reads them again. After 20,000 values without a detection a new detector starts with the newest 5,000, in
production and in replay alike, so that a state stays small.
"""

from abc import ABC, abstractmethod
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import compress, count
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from detectors.samples.effects import Floats, Ints
from detectors.sequences.contract import LARGEST, screened
from detectors.sequences.kswin import Draws

# river is imported where a detector is made: it takes a second, and most lifecycles name none.

MOST = 20_000  # values without a detection
NEWEST = 5_000  # of them, what a new detector starts with

Step = Callable[[float], bool]  # reads one value; True: a change was found


class _Running:
    """A detector that has read `fed` values. Of the states that share it, the one with as many may go on with it."""

    __slots__ = ("fed", "settings", "step")

    def __init__(self, settings: "Settings") -> None:
        self.settings, self.step, self.fed = settings, settings._new(), 0

    def feed(self, values: Floats) -> int | None:
        """Read values up to the first detection; its position."""
        hit = next(compress(count(), map(self.step, self.settings._read(values).tolist())), None)
        # After a detection it is not used again: river resets it inside the next update, we start a new one.
        self.fed = self.fed + len(values) if hit is None else -1
        return hit


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """What a detector of this module remembers."""

    values: Floats  # since the last detection, at most the newest 20,000
    seen: int = 0
    skipped: int = 0
    running: _Running | None = field(default=None, repr=False)  # spares reading `values` again


class Settings(BaseModel, ABC):
    """Settings of one detector of river 0.26.1, under its name and with its defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: str
    binary: ClassVar[bool] = False  # reads errors, 0 or 1

    @abstractmethod
    def _new(self) -> Step:
        """A new detector."""

    def _read(self, values: Floats) -> Floats:
        """What the detector is given for these values."""
        return values

    def start(self) -> Read:
        """The state before the first value."""
        return Read(np.zeros(0))

    def extend(self, state: Read, values: Floats) -> tuple[Read, Ints]:
        """Read values; see `detectors.sequences.contract.SequenceDetector`."""
        finite, at = screened(values, binary=self.kind if self.binary else "")
        running = state.running
        if running is None or running.fed != len(state.values):
            running, _ = self._reading(state.values)
        kept, held, position, found = [state.values], len(state.values), 0, []
        while position < len(finite):
            part = finite[position : position + MOST - held]
            hit = running.feed(part)
            position += len(part) if hit is None else hit + 1
            if hit is not None:
                running, kept, held = _Running(self), [], 0
                found.append(int(at[position - 1]))
                continue
            kept.append(part)
            held += len(part)
            if held == MOST:
                # What the new detector finds in values that the old one had passed is found now.
                running, newest = self._reading(np.concatenate(kept)[-NEWEST:])
                if len(newest) < NEWEST:
                    found.append(int(at[position - 1]))
                kept, held = [newest], len(newest)
        seen, skipped = state.seen + len(finite), state.skipped + len(values) - len(finite)
        kept_values = np.concatenate(kept) if kept else np.zeros(0)
        return Read(kept_values, seen, skipped, running), np.array(found, np.int64)

    def _reading(self, values: Floats) -> tuple[_Running, Floats]:
        """A new detector that has read values, and those after its last detection."""
        running = _Running(self)
        while (hit := running.feed(values)) is not None:
            running, values = _Running(self), values[hit + 1 :]
        return running, values

    def to_data(self, state: Read) -> dict[str, Any]:
        """The state for JSON: the values as base64 of bits if all are 0 or 1, of little-endian float64 otherwise."""
        bits = bool(((state.values == 0) | (state.values == 1)).all())
        packed = np.packbits(state.values != 0) if bits else state.values.astype("<f8")
        return {
            "kind": self.kind,
            "n": len(state.values),
            "bits": bits,
            "values": b64encode(packed.tobytes()).decode("ascii"),
            "seen": state.seen,
            "skipped": state.skipped,
        }

    def from_data(self, data: dict[str, Any]) -> Read:
        """The state that `to_data` wrote.

        Raises
        ------
        ValueError
            It was written by another detector.
        """
        if data["kind"] != self.kind:
            raise ValueError(f"the kept state is that of {data['kind']}, not of {self.kind}")
        raw, n = b64decode(data["values"]), data["n"]
        if len(raw) != ((n + 7) // 8 if data["bits"] else 8 * n):
            raise ValueError(f"the kept state has {len(raw)} bytes, which are not {n} values")
        values = (
            np.unpackbits(np.frombuffer(raw, np.uint8), count=n).astype(np.float64)
            if data["bits"]
            else np.frombuffer(raw, "<f8").astype(np.float64)
        )
        return Read(values, data["seen"], data["skipped"])


def _made(of: Any, settings: Settings, *ours: str) -> Any:
    """river's own object; `ours` are settings that it does not know."""
    return of(**settings.model_dump(exclude={"kind", *ours}))


def _told(detector: Any) -> Step:
    """river's two calls as one."""
    update = detector.update

    def step(value: float) -> bool:
        update(value)
        return bool(detector.drift_detected)

    return step


Share = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]


class Scaled(Settings, ABC):
    """A detector in absolute units: it would mean something else for every series, so it reads (x - mean)/sd."""

    reference_mean: float
    reference_sd: Positive

    def _read(self, values: Floats) -> Floats:
        mean = min(max(self.reference_mean, -LARGEST), LARGEST)
        with np.errstate(over="ignore"):
            return np.clip((values - mean) / self.reference_sd, -LARGEST, LARGEST)


class Adwin(Scaled):
    """ADWIN [1]_: keeps a window and drops its older part once two parts have different means.

    Errors as they are; other values need the reference's mean and standard deviation, because a part of its bound is
    made for numbers of about 1: of normal values with sd .01 it misses a shift by a quarter of it for 9,000 values, and
    a constant far from 0 alarms by its rounding. Sees a change of the mean; blind to a change of spread alone (sd
    × 1.5: found in 10 % of 10,000 values). Assumes independent values (AR(1) .9: 821 detections in 100,000).
    Cost .1 µs per value.

    References
    ----------
    .. [1] Bifet, A., Gavaldà, R. (2007). Learning from time-changing data with adaptive windowing. SDM.
    """

    kind: Literal["adwin"] = "adwin"
    reference_mean: float = 0.0
    reference_sd: Positive = 1.0
    delta: Share = 0.002
    clock: int = Field(32, ge=1)
    max_buckets: int = Field(5, ge=1)
    min_window_length: int = Field(5, ge=1)
    grace_period: int = Field(10, ge=1)

    def _new(self) -> Step:
        from river.drift import ADWIN

        # Its inner object answers with the result itself: five times as fast as update and drift_detected.
        detector = _made(ADWIN, self, *Scaled.model_fields)
        step: Step = detector._helper.update
        return step


class PageHinkley(Scaled):
    """Page-Hinkley [1]_: the cumulated distance from the running mean, in standard deviations of the reference.

    Any values; sees a change of the mean, also a slow one. Blind to a change of spread. Cost .5 µs per value.

    References
    ----------
    .. [1] Page, E. S. (1954). Continuous inspection schemes. Biometrika 41.
    """

    kind: Literal["page_hinkley"] = "page_hinkley"
    min_instances: int = Field(30, ge=1)
    delta: float = Field(0.005, ge=0)
    threshold: Positive = 200.0
    alpha: float = Field(0.9999, gt=0, le=1)
    mode: Literal["up", "down", "both"] = "both"

    def _new(self) -> Step:
        from river.drift import PageHinkley as River

        return _told(_made(River, self, *Scaled.model_fields))


class Kswin(Settings):
    """KSWIN [1]_: a Kolmogorov-Smirnov test of the newest values against a random draw from those before.

    Any values; sees any change of their distribution. The draw needs a seed. It tests at every value: normal values
    that do not change give 152 detections in 100,000. Cost 20 µs per value.

    References
    ----------
    .. [1] Raab, C., Heusinger, M., Schleif, F.-M. (2020). Reactive soft prototype computing for concept drift streams.
       Neurocomputing 416.
    """

    kind: Literal["kswin"] = "kswin"
    seed: int
    alpha: Share = 0.005
    window_size: int = Field(100, ge=2, le=1000)
    stat_size: int = Field(30, ge=1, le=500)

    @model_validator(mode="after")
    def _room(self) -> Self:
        if self.window_size < 2 * self.stat_size:
            raise ValueError(
                "window_size must be at least twice stat_size: one half is drawn from the rest"
            )
        return self

    def _new(self) -> Step:
        from river.drift import KSWIN

        draw = KSWIN(seed=self.seed)._rng.sample
        return Draws(draw, self.window_size, self.stat_size, self.alpha).step


class Ddm(Settings):
    """DDM [1]_: the error rate against its lowest so far, in standard deviations.

    Errors, 0 or 1; sees a rise. Slow, and often alarms early on: its lowest is found among few labels. Cost .4 µs.

    References
    ----------
    .. [1] Gama, J., Medas, P., Castillo, G., Rodrigues, P. (2004). Learning with drift detection. SBIA.
    """

    kind: Literal["ddm"] = "ddm"
    binary: ClassVar[bool] = True
    warm_start: int = Field(30, ge=1)
    warning_threshold: Positive = 2.0
    drift_threshold: Positive = 3.0

    def _new(self) -> Step:
        from river.drift.binary import DDM

        return _told(_made(DDM, self))


class Eddm(Settings):
    """EDDM [1]_: the distance between two errors against its longest so far.

    Errors, 0 or 1; sees a rise. Alarms all the time: 4.6 times in 10,000 unchanging labels. Cost .3 µs.

    References
    ----------
    .. [1] Baena-García, M. et al. (2006). Early drift detection method. International workshop on knowledge discovery
       from data streams.
    """

    kind: Literal["eddm"] = "eddm"
    binary: ClassVar[bool] = True
    warm_start: int = Field(30, ge=1)
    alpha: Share = 0.95
    beta: Share = 0.9

    @model_validator(mode="after")
    def _order(self) -> Self:
        if self.alpha < self.beta:
            raise ValueError("alpha, the warning, must be at least beta, the detection")
        return self

    def _new(self) -> Step:
        from river.drift.binary import EDDM

        return _told(_made(EDDM, self))


class HddmA(Settings):
    """HDDM-A [1]_: Hoeffding's bound on two means, before and after the best cut.

    Errors, 0 or 1; sees a rise, with `two_sided_test` a fall too. Cost 2 µs.

    References
    ----------
    .. [1] Frías-Blanco, I. et al. (2015). Online and non-parametric drift detection methods based on Hoeffding's
       bounds. IEEE TKDE 27.
    """

    kind: Literal["hddm_a"] = "hddm_a"
    binary: ClassVar[bool] = True
    drift_confidence: Share = 0.001
    warning_confidence: Share = 0.005
    two_sided_test: bool = False

    def _new(self) -> Step:
        from river.drift.binary import HDDMA

        return _told(_made(HDDMA, self))


class HddmW(Settings):
    """HDDM-W: as `HddmA`, with exponentially weighted means and McDiarmid's bound: faster, with more false alarms.

    Errors, 0 or 1. Cost 2.5 µs. Source: that of `HddmA`.
    """

    kind: Literal["hddm_w"] = "hddm_w"
    binary: ClassVar[bool] = True
    drift_confidence: Share = 0.001
    warning_confidence: Share = 0.005
    lambda_val: Share = 0.05
    two_sided_test: bool = False

    def _new(self) -> Step:
        from river.drift.binary import HDDMW

        return _told(_made(HDDMW, self))


class Fhddm(Settings):
    """FHDDM [1]_: the share of right answers in a sliding window against its highest so far.

    Errors, 0 or 1; sees a rise. It looks for a fall in the share of ones, so it is fed 1 - x: fed errors, as its own
    documentation has it, it takes 17 times as long. Cost .3 µs.

    References
    ----------
    .. [1] Pesaranghader, A., Viktor, H. (2016). Fast Hoeffding drift detection method for evolving data streams.
       ECML PKDD.
    """

    kind: Literal["fhddm"] = "fhddm"
    binary: ClassVar[bool] = True
    sliding_window_size: int = Field(100, ge=2, le=NEWEST)
    confidence_level: Share = 1e-6
    short_window_size: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _shorter(self) -> Self:
        if self.short_window_size and self.short_window_size > self.sliding_window_size:
            raise ValueError("short_window_size must be at most sliding_window_size")
        return self

    def _read(self, values: Floats) -> Floats:
        return 1 - values

    def _new(self) -> Step:
        from river.drift.binary import FHDDM

        return _told(_made(FHDDM, self))


AnyValues = Annotated[
    Adwin | PageHinkley | Kswin | Ddm | Eddm | HddmA | HddmW | Fhddm, Field(discriminator="kind")
]
DETECTORS: Mapping[str, type[Settings]] = {
    "adwin": Adwin,
    "ddm": Ddm,
    "eddm": Eddm,
    "fhddm": Fhddm,
    "hddm_a": HddmA,
    "hddm_w": HddmW,
    "kswin": Kswin,
    "page_hinkley": PageHinkley,
}
