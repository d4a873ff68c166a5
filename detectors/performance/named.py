"""What do detectors that a user named say about the errors? Evidence beside the alarm: none of them has a budget.

They read single errors or losses in the order (time, event id), pane after pane, and count what they find. Such a count
is no p-value and no e-value, and by itself it opens nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from detectors.samples.effects import Floats
from detectors.sequences.contract import Sample
from detectors.sequences.values import Adwin, Ddm, HddmA, PageHinkley, Read, Settings
from detectors.types import Evidence, Verdict

KINDS = ("adwin", "hddm", "page_hinkley", "ddm")  # as a lifecycle names them


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What one detector remembers."""

    read: Read
    detections: int = 0
    last_ms: int | None = None  # time of the value at which it last found a change


Founds = tuple[Found, ...]


def detectors(
    kinds: Sequence[str], *, errors: bool, mean: float | None = None, sd: float | None = None
) -> tuple[tuple[Settings, ...], tuple[str, ...]]:
    """The detectors that were named and can read these values, and a note on each that cannot.

    Parameters
    ----------
    kinds : of `KINDS`
    errors : whether the values are 0 and 1; HDDM and DDM read nothing else
    mean, sd : of the values in the reference; without them only errors are read, and Page-Hinkley, whose limits are in
        standard deviations, is left out

    Examples
    --------
    >>> made, notes = detectors(["adwin", "page_hinkley"], errors=True)
    >>> [d.kind for d in made], notes
    (['adwin'], ('page_hinkley needs a reference with losses that vary',))
    """
    made: list[Settings] = []
    notes = []
    scale = mean is not None and sd is not None and sd > 0
    for kind in kinds:
        if kind == "adwin" and errors:
            made.append(Adwin())
        elif kind in ("hddm", "ddm"):
            if errors:
                made.append(HddmA() if kind == "hddm" else Ddm())
            else:
                notes.append(f"{kind} reads errors, not losses")
        elif scale:
            scaled = Adwin if kind == "adwin" else PageHinkley
            made.append(scaled.model_validate({"reference_mean": mean, "reference_sd": sd}))
        else:
            notes.append(f"{kind} needs a reference with losses that vary")
    return tuple(made), tuple(notes)


def start(of: Sequence[Settings]) -> Founds:
    """Nothing read yet."""
    return tuple(Found(d.start()) for d in of)


def extend(of: Sequence[Settings], before: Founds, values: Sample) -> Founds:
    """After the values of one more pane; panes must come in order.

    Raises
    ------
    ValueError
        A value is neither 0 nor 1 where only those are read.
    """
    ordered = sorted(values.entries, key=lambda e: (e.time_ms, e.event_id, e.value))
    found: list[Found] = []
    series: Floats = values.values()
    for detector, one in zip(of, before, strict=True):
        read, at = detector.extend(one.read, series)
        last = ordered[int(at[-1])].time_ms if len(at) else one.last_ms
        found.append(replace(one, read=read, detections=one.detections + len(at), last_ms=last))
    return tuple(found)


def evidence(of: Sequence[Settings], found: Founds) -> tuple[Evidence, ...]:
    """What each detector has found so far: `statistic` is the number of its detections.

    >>> made, _ = detectors(["hddm"], errors=True)
    >>> evidence(made, start(made))
    (Evidence(detector='hddm_a', statistic=0.0, p_value=None, e_value=None),)
    """
    return tuple(
        Evidence(d.kind, float(one.detections), None, None)
        for d, one in zip(of, found, strict=True)
    )


def beside(verdict: Verdict, series: str, more: tuple[Evidence, ...]) -> Verdict:
    """The verdict with evidence added to that of one series; what is concluded stays."""
    listed = tuple(
        s._replace(evidence=(*s.evidence, *more)) if s.series == series else s
        for s in verdict.series
    )
    return replace(verdict, series=listed)


def to_data(of: Sequence[Settings], found: Founds) -> list[Any]:
    """For JSON, exact."""
    return [
        [d.to_data(one.read), one.detections, one.last_ms] for d, one in zip(of, found, strict=True)
    ]


def from_data(of: Sequence[Settings], data: Sequence[Any]) -> Founds:
    """What `to_data` wrote.

    Raises
    ------
    ValueError
        It was written for other detectors.
    """
    if len(data) != len(of):
        raise ValueError(f"the kept state is that of {len(data)} detectors, not of {len(of)}")
    return tuple(
        Found(d.from_data(read), detections, last_ms)
        for d, (read, detections, last_ms) in zip(of, data, strict=True)
    )
