"""Many events as columns: what a reference is built from, read by exactly the decoder that production uses."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.binning import INVALID_TEXT, MAX_CATEGORY_LENGTH, Column, json_text
from detectors.reference.derived import Raw
from detectors.series import SeriesType
from streams import segments
from streams.broker import Record
from streams.lifecycle import Lifecycle
from streams.profiling.events import Topic
from streams.profiling.fields import ANSWERED
from streams.profiling.reading import FEATURES, PREDICTIONS, Reading
from streams.profiling.structs import NUMERIC
from streams.topics import Names

MOST_LABELS = 50  # an output of more whole numbers than this is a quantity, not a class


class Columns(NamedTuple):
    """Events as columns, and what could not be read of them."""

    columns: list[Column | Raw]
    times_ms: NDArray[np.int64]
    segments: dict[str, list[str]]  # grouping, simple or combined -> the segment of each event
    rejected: Counter[str]  # events by reason


def columns(lifecycle: Lifecycle, events: Iterable[bytes], kind: str = PREDICTIONS) -> Columns:
    """Read events as one lifecycle sees them.

    Parameters
    ----------
    events : values of records of the lifecycle's topic
    kind : predictions or features

    Returns
    -------
    Columns
        In the lifecycle's order: features, prediction, score. Outputs that no event has are left out, and so are
        events that have no output because the model failed.
    """
    reading = Reading(lifecycle, kind, Names(), _types(lifecycle, kind))
    topic = Topic([reading])
    rejected: Counter[str] = Counter()
    read = list(_events(topic, reading, events, rejected))
    found = [_column(reading, want.name, want.type, read) for want in _in_order(reading)]
    kept = [c for c in found if c is not None]
    values = {
        segment.name: [
            segments.text_of(v) for v in map(reading.attribute[f"segment:{segment.name}"], read)
        ]
        for segment in lifecycle.segments
        if not segment.by
    }
    grouped = segments.most_frequent(lifecycle, values)
    times = np.array([reading.time_ms(event) for event in read], np.int64)
    return Columns(kept, times, grouped, rejected)


def related(lifecycle: Lifecycle) -> tuple[str, ...]:
    """The series whose relations are watched: numbers that are monitored, if the lifecycle asks for it."""
    drift = lifecycle.monitoring.drift_detection.data_drift
    chosen = drift.features_monitored
    return tuple(
        f"feature:{name}"
        for name, f in lifecycle.features.items()
        if drift.joint
        and f.type in NUMERIC
        and (f.role == "input" if chosen == "all" else name in chosen)
    )


def _types(lifecycle: Lifecycle, kind: str) -> dict[str, str]:
    """What each series is read as, before there is a reference to say so."""
    types: dict[str, str] = {f"feature:{name}": f.type for name, f in lifecycle.features.items()}
    if kind == FEATURES:
        return types
    prediction = lifecycle.prediction
    if prediction is not None and prediction.classes:
        booleans = set(prediction.classes) <= {"true", "false"}
        types["prediction"] = "boolean" if booleans else "category"
    elif lifecycle.metadata.model_type in ("Regression", "Forecasting"):
        types["prediction"] = "number"
    else:
        types["prediction"] = "output"
    types["score"] = "number"
    return types


def _in_order(reading: Reading) -> list[Any]:
    wants = {want.name: want for want in reading.wants}
    features = [name for name in wants if name.startswith("feature:")]
    return [wants[name] for name in (*features, "prediction", "score") if name in wants]


def _events(
    topic: Topic, reading: Reading, values: Iterable[bytes], rejected: Counter[str]
) -> Iterable[Any]:
    status = reading.attribute.get("status")
    for offset, value in enumerate(values):
        event = _one(topic, value, offset, rejected)
        if event is None:
            continue
        if status is not None and status(event) not in ANSWERED:
            rejected["status"] += 1
            continue
        yield event


def _one(topic: Topic, value: bytes, offset: int, rejected: Counter[str]) -> Any:
    if (read := topic.read_one(value, None)) is not None:
        return read[0]
    found = topic.look(Record("", 0, offset, None, None, value))
    if found.events:
        return found.events[0][1]
    rejected[
        found.dead.reason if found.dead else "unregistered" if found.unregistered else "filtered"
    ] += 1
    return None


def _column(reading: Reading, name: str, type_: str, events: list[Any]) -> Column | Raw | None:
    values = list(map(reading.attribute[name], events))
    if name == "score" and "scores" in reading.attribute:
        other = map(reading.attribute["scores"], events)
        values = [s if v is None else v for v, s in zip(values, other, strict=True)]
    if name in ("prediction", "score") and not any(v is not None for v in values):
        return None
    if type_ in ("text", "vector"):
        invalid = np.array([isinstance(v, float) for v in values], bool)
        return Raw(name, "text" if type_ == "text" else "vector", values, invalid)
    if type_ == "output":
        type_ = "number" if _is_quantity(values) else "category"
    if type_ in ("number", "integer"):
        numbers = np.array([_number(v) for v in values], np.float64)
        odd = np.isinf(numbers)
        numbers[odd] = np.nan
        return Column(name, _series_type(type_), numbers, odd)
    texts = [None if v is None else v if isinstance(v, str) else _text(v) for v in values]
    odd = np.array([t is not None and len(t) > MAX_CATEGORY_LENGTH for t in texts], bool)
    return Column(name, _series_type(type_), texts, odd)


def _is_quantity(values: list[Any]) -> bool:
    present = [v for v in values if v is not None]
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in present)
    if not numbers:
        return False
    return any(not float(v).is_integer() for v in present) or len(set(present)) > MOST_LABELS


def _number(value: Any) -> float:
    if value is None:
        return np.nan
    return (
        float(value) if isinstance(value, int | float) and not isinstance(value, bool) else np.inf
    )


def _text(value: Any) -> str:
    return json_text(value) if isinstance(value, bool | int) else INVALID_TEXT


_SERIES: Mapping[str, SeriesType] = {
    "number": "number",
    "integer": "integer",
    "category": "category",
    "boolean": "boolean",
}


def _series_type(type_: str) -> SeriesType:
    return _SERIES[type_]
