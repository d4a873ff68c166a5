"""What do the integration tests watch? Three seeded models in which every kind of finding occurs once.

Ten hours of event time in windows of five minutes. `loans` has segments, drifts, recovers and asks for a retraining;
`churn` reads feature events beside its predictions and pages; `rare` seldom has enough events for a verdict. In between
come records that nobody can read: now and then one, and once a burst.
"""

import json
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import msgspec
import numpy as np

from detectors.reference.build import Reference, build
from streams.lifecycle import Lifecycle, load
from streams.profiling.columns import columns

PANE_MS, WINDOW_MS, LATENESS_MS = 60_000, 300_000, 60_000
START_MS = 1_760_918_400_000  # 2025-10-20T00:00:00Z, a Monday, long past
WINDOWS = 120
END_MS = START_MS + WINDOWS * WINDOW_MS
EVENTS = 60_000
BURST_MS = START_MS + 41 * WINDOW_MS + 2 * PANE_MS  # in the middle of a window, as alerts open
_DRIFTS = range(40, 55)  # the windows in which the inputs of loans and churn are not what they were
_SHARES = {"loans": 0.5, "churn": 0.3, "usage": 0.15, "rare": 0.05}
_BURST = [b"\xff\xfe", b"{", b"[1, 2]", b"", b'{"model_id": 7}'] * 8
_REFERENCE_WINDOWS = 240  # so many that their own error keeps no episode open


class Arrival(NamedTuple):
    """A record that a producer sends; `time_ms` orders it among the others, whether or not it says so itself."""

    time_ms: int
    kind: str  # predictions or features
    value: bytes


def lifecycles(idle: str = "5s") -> tuple[Lifecycle, ...]:
    """The lifecycles of the three models; partitions are left out after `idle`."""
    return tuple(_load(document, idle)[0] for document in _DOCUMENTS)


def text(idle: str = "5s") -> str:
    """The same as a file: YAML of three documents."""
    return "\n---\n".join(json.dumps(_with_idle(document, idle)) for document in _DOCUMENTS)


@cache
def references() -> dict[str, Reference]:
    """What each model was trained on, by model id."""
    found = {}
    for one in _DOCUMENTS:
        (plain,) = _load({**one, "features": {n: _type(f) for n, f in one["features"].items()}})
        rows = _events(plain.model_id, -_REFERENCE_WINDOWS, 0, seed=5)
        read = columns(plain, [row.value for row in rows])
        found[plain.model_id], _ = build(
            read.columns,
            read.times_ms,
            reference_id="r1",
            model_id=plain.model_id,
            model_version=plain.version,
            source="seeded",
            window_ms=WINDOW_MS,
            segments=read.segments,
        )
    return found


@cache
def arrivals(seed: int = 1) -> tuple[Arrival, ...]:
    """The whole stream, in order of event time."""
    found = [a for name in _SHARES for a in _events(name, 0, WINDOWS, seed=seed)]
    random = np.random.default_rng(seed)
    for time_ms in random.integers(START_MS + WINDOW_MS, END_MS - WINDOW_MS, 12).tolist():
        found.append(Arrival(time_ms, "predictions", b'{"model_id": "loans", "timestamp": "noon"}'))
    found += [Arrival(BURST_MS + i, "predictions", value) for i, value in enumerate(_BURST)]
    found += [
        Arrival(START_MS + WINDOW_MS + i, "predictions", _stranger(START_MS + WINDOW_MS + i))
        for i in range(5)
    ]
    return tuple(sorted(found))


def shuffled(of: Sequence[Arrival], seed: int) -> list[Arrival]:
    """The same records in another order, none of them later than the lateness allows."""
    delays = np.random.default_rng(seed).integers(0, LATENESS_MS - 1, len(of)).tolist()
    order = sorted(range(len(of)), key=lambda i: (of[i].time_ms + delays[i], i))
    return [of[i] for i in order]


CHECK = "A/B test in one city"  # only a person can make it
_WINDOW = {"pane": "1m", "size": "5m", "lateness": "1m"}
_DOCUMENTS: tuple[dict[str, Any], ...] = (
    {
        "model_id": "loans",
        "version": "2.1.0",
        "metadata": {"purpose": "credit risk", "owner": "lending", "framework": "LightGBM"},
        "prediction": {"classes": ["repaid", "default"], "positive": "default"},
        "features": {
            "income": {"type": "number", "range": [-3.2, 4.5]},
            "home": "category",
            "employed": "boolean",
        },
        "segments": ["country"],
        "monitoring": {"window": _WINDOW, "false_alarms": "1 per 30 days"},
        "retraining": {
            "trigger_conditions": [
                {"name": "inputs", "trigger": "severe data drift", "action": "retrain"}
            ],
            "pipeline": {"validation_requirements": [CHECK]},
            "guards": {"cooldown": "1h"},
        },
    },
    {
        "model_id": "churn",
        "version": "7",
        "metadata": {"purpose": "retention", "owner": "growth", "framework": "XGBoost"},
        "deployment": {"environment": "Production"},
        "features": {"tenure": "number", "usage": {"type": "number", "from": "features"}},
        "monitoring": {
            "window": _WINDOW,
            "false_alarms": "1 per 30 days",
            "alerts": [
                {
                    "condition": "data drift detected",
                    "severity": "Critical",
                    "channel": ["Slack", "PagerDuty"],
                }
            ],
        },
    },
    {
        "model_id": "rare",
        "version": "1.0.0",
        "metadata": {"purpose": "fraud", "owner": "risk", "framework": "rules"},
        "features": {"amount": "number"},
        "monitoring": {"window": _WINDOW},
    },
)


def _with_idle(document: dict[str, Any], idle: str) -> dict[str, Any]:
    monitoring = {**document["monitoring"], "window": {**_WINDOW, "idle": idle}}
    return {"model_lifecycle": {**document, "monitoring": monitoring}}


def _load(document: dict[str, Any], idle: str = "5s") -> tuple[Lifecycle, ...]:
    return load(json.dumps(_with_idle(document, idle)), f"{document['model_id']}.yaml")


def _type(feature: Any) -> Any:
    """A feature as it is where everything comes in one event, as in training data."""
    if isinstance(feature, str):
        return feature
    return {key: value for key, value in feature.items() if key != "from"}


def _events(name: str, first: int, last: int, *, seed: int) -> list[Arrival]:
    """The events of a model (or, for `usage`, the feature events of churn) in some windows, in order of time."""
    random = np.random.default_rng([seed, *name.encode()])
    count = round(_SHARES[name] * EVENTS * (last - first) / WINDOWS)
    times = np.sort(random.integers(first * WINDOW_MS, last * WINDOW_MS, count)) + START_MS
    moved = np.isin((times - START_MS) // WINDOW_MS, _DRIFTS).tolist()
    values = random.normal(size=(count, 2)).round(6).tolist()
    shares = random.random((count, 4)).round(6).tolist()
    kind = "features" if name == "usage" else "predictions"
    training = last <= 0
    found = []
    for row, time_ms in enumerate(times.tolist()):
        fields = _MAKES[name](row, moved[row], values[row], shares[row])
        if training and name == "churn":
            fields["features"]["usage"] = values[row][1]
        event = {"model_id": name, "model_version": _VERSIONS[name], "timestamp": time_ms, **fields}
        found.append(Arrival(time_ms, kind, msgspec.json.encode(event)))
    return found


def _loan(row: int, moved: bool, values: list[float], shares: list[float]) -> dict[str, Any]:
    home = "rent" if shares[0] < 0.5 else "own" if shares[0] < 0.9 else "other"
    broken = shares[0] > 0.999  # costs this field, not the event
    return {
        "event_id": f"l{row}",
        "features": {
            "income": "a lot" if broken else values[0] + (1.2 if moved else 0.0),
            "home": home,
            "employed": None if shares[1] > 0.98 else shares[2] < 0.7,
        },
        "prediction": "default" if shares[3] > 0.6 else "repaid",
        "score": shares[3],
        "tags": {"country": "DE" if shares[1] < 0.6 else "FR"},
    }


def _churn(row: int, moved: bool, values: list[float], shares: list[float]) -> dict[str, Any]:
    return {"features": {"tenure": values[0] - (1.0 if moved else 0.0)}, "score": shares[0]}


def _usage(row: int, moved: bool, values: list[float], shares: list[float]) -> dict[str, Any]:
    return {"model_id": "churn", "features": {"usage": values[0]}}


def _rare(row: int, moved: bool, values: list[float], shares: list[float]) -> dict[str, Any]:
    return {"features": {"amount": values[0]}, "score": shares[0]}


_MAKES = {"loans": _loan, "churn": _churn, "usage": _usage, "rare": _rare}
_VERSIONS = {"loans": "2.1.0", "churn": "7", "usage": "7", "rare": "1.0.0"}


def _stranger(time_ms: int) -> bytes:
    return msgspec.json.encode({"model_id": "stranger", "timestamp": time_ms, "features": {}})
