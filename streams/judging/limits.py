"""What do a lifecycle's limits of quality and operation mean for the series of a reference? Compiled once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alerting.types import Kind
from detectors.operations.measures import QUANTILES
from detectors.operations.rules import Line
from detectors.reference import joint
from detectors.reference.build import Reference
from detectors.reference.derived import features_of
from detectors.series import Series
from detectors.types import Unit
from streams.lifecycle import Lifecycle
from streams.lifecycle.acts import windows
from streams.lifecycle.metrics import METRICS, UNKNOWN
from streams.lifecycle.monitoring import DataQuality, PerformanceMetric
from streams.segments import ALL

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
STATUS_METRICS = ("availability", "error_rate", "timeout_rate", "fallback_rate")
OPERATIONAL = (*STATUS_METRICS, *QUANTILES, "throughput")
OUTPUTS = ("positive_rate", "mean_score")
_UNITS: Mapping[str, Unit] = {"share": "share", "number": "metric", "time": "time"}


class Field(NamedTuple):
    """A value that events bring, and the series that says whether it is there."""

    name: str  # as rules name it: annual_income, prediction
    series: str  # feature:annual_income, prediction
    place: int  # of its series in the reference
    from_predictions: bool
    missing: float | None  # the largest share of null values that is well, where one was written


class WrittenLine(NamedTuple):
    """A metric that was given a line, as far as no labels are needed for it."""

    metric: str
    kind: Kind
    series: str
    unit: Unit
    line: Line
    reference: float | None
    segment: str
    every_ms: int


class Mean(NamedTuple):
    """How the mean of a numeric series follows from its sums."""

    place: int
    series: Series


@dataclass(frozen=True, slots=True, eq=False)
class Limits:
    """Everything that judging the health of one model needs to know."""

    window_ms: int
    pane_ms: int
    version: str
    quality: DataQuality
    silent_ms: int | None  # the longest silence that is well; None: what follows from the past
    gap_ms: int | None  # the longest one in the reference
    reference: Reference | None
    fields: tuple[Field, ...]
    lines: tuple[WrittenLine, ...]
    positive: int | None  # the cell of the positive class in the flat vector
    outputs: slice  # of the prediction's value cells
    means: Mapping[str, Mean]
    starts: Ints  # of the series in the flat vector
    _usual: dict[str, Ints] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Of the edges that summaries must have been binned with."""
        return self.reference.digest if self.reference is not None else ""

    def usual(self, segment: str) -> Ints:
        """The reference's counts of a segment, flat; those of all events where it does not know it."""
        if segment not in self._usual:
            assert self.reference is not None  # whoever asks has fields
            own = (s.counts for s in self.reference.segments if s.segment == segment)
            counts = next(own, tuple(r.counts for r in self.reference.series))
            self._usual[segment] = np.concatenate([np.array(of, np.int64) for of in counts])
        return self._usual[segment]


def compile_limits(lifecycle: Lifecycle, reference: Reference | None) -> Limits:
    """The limits of one model under the reference it is compared with."""
    series = [r.series for r in reference.series] if reference is not None else []
    starts = np.concatenate(([0], np.cumsum([s.cells for s in series]))).astype(np.int64)
    quality, length = lifecycle.monitoring.data_quality, _ms(windows(lifecycle).health)
    place = {s.name: k for k, s in enumerate(series)}
    positive, outputs = _positive(lifecycle, series, starts)
    return Limits(
        window_ms=length,
        pane_ms=_ms(lifecycle.monitoring.window.pane),
        version=lifecycle.version,
        quality=quality,
        silent_ms=None if quality.silent is None else _ms(quality.silent),
        gap_ms=reference.built_from.gap_ms if reference is not None else None,
        reference=reference,
        fields=_fields(lifecycle, reference, place),
        lines=tuple(
            _line(lifecycle, metric, length)
            for metric in lifecycle.monitoring.performance_metrics
            if _acts(lifecycle, metric)
        ),
        positive=positive,
        outputs=outputs,
        means=_means(lifecycle, series, place),
        starts=starts,
    )


def _fields(
    lifecycle: Lifecycle, reference: Reference | None, place: Mapping[str, int]
) -> tuple[Field, ...]:
    """Features, prediction and score as far as the reference has them; what is derived stands for its feature."""
    if reference is None:
        return ()
    of = features_of(reference.derived)
    first: dict[str, int] = {}
    for name, k in place.items():
        about = of.get(name, name)
        if about != joint.NAME:
            first.setdefault(about, k)
    found = []
    for series, k in first.items():
        feature = lifecycle.features.get(series.removeprefix("feature:"))
        if series.startswith("feature:") and (feature is None or feature.role == "analysis"):
            continue
        null = feature.nullable if feature is not None else True
        most = None if null is True else float(null)
        predicted = feature is None or feature.from_ == "predictions"
        found.append(Field(series.removeprefix("feature:"), series, k, predicted, most))
    return tuple(found)


def _acts(lifecycle: Lifecycle, metric: PerformanceMetric) -> bool:
    written = metric.threshold is not None or metric.critical is not None
    known = metric.metric in (*OPERATIONAL, *OUTPUTS) or metric.metric in lifecycle.features
    return written and known


def _line(lifecycle: Lifecycle, metric: PerformanceMetric, window_ms: int) -> WrittenLine:
    bound, critical, name = metric.threshold, metric.critical, metric.metric
    feature = lifecycle.features.get(name)
    kind: Kind = "operational" if name in OPERATIONAL else "performance"
    series = f"metric:{name}"
    if feature is not None:
        kind = "performance" if feature.role == "business" else "operational"
        series = f"feature:{name}"
    every = _ms(metric.measurement_frequency) if metric.measurement_frequency else window_ms
    return WrittenLine(
        metric=name,
        kind=kind,
        series=series,
        unit=_UNITS[METRICS.get(name, UNKNOWN).unit],
        line=Line(
            bound.min if bound else None,
            bound.max if bound else None,
            critical.min if critical else None,
            critical.max if critical else None,
            metric.min_events,
        ),
        reference=metric.current,
        segment=metric.segment or ALL,
        every_ms=max(every, window_ms),
    )


def _positive(lifecycle: Lifecycle, series: list[Series], starts: Ints) -> tuple[int | None, slice]:
    wanted = lifecycle.prediction.positive if lifecycle.prediction is not None else None
    for one, start in zip(series, starts.tolist(), strict=False):
        if one.name == "prediction" and not one.numeric and wanted in one.categories:
            values = slice(start, start + one.values)
            return start + one.categories.index(str(wanted)), values
    return None, slice(0, 0)


def _means(lifecycle: Lifecycle, series: list[Series], place: Mapping[str, int]) -> dict[str, Mean]:
    wanted = {"mean_score": "score"} | {name: f"feature:{name}" for name in lifecycle.features}
    return {
        metric: Mean(place[name], series[place[name]])
        for metric, name in wanted.items()
        if name in place and series[place[name]].numeric
    }


def _ms(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)
