"""Records as the judge and the command line write them, with defaults; a test says only what it is about."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from alerting.identity import derived, rfc3339
from streams.broker import Record
from streams.lifecycle import load
from streams.registry import lifecycle_record
from streams.topics import Names
from streams.views.read import ReadModel
from tests.streams.fleet import Fleet, records

NAMES = Names()
HOUR_MS = 3_600_000
START_MS = 1_772_409_600_000  # 2026-03-02T00:00:00Z
NOW_MS = START_MS + 10 * HOUR_MS


def record(topic: str, key: str, document: object, offset: int = 0, **more: Any) -> Record:
    """A record of one of Leeway's topics; `document` bytes or None stays as it is."""
    is_raw = document is None or isinstance(document, bytes)
    value = document if is_raw else json.dumps(document).encode()
    return Record(
        topic=NAMES(topic),
        partition=more.pop("partition", 0),
        offset=offset,
        timestamp_ms=more.pop("timestamp_ms", NOW_MS),
        key=key.encode(),
        value=value,  # type: ignore[arg-type] # narrowed by is_raw
        headers=tuple(more.pop("headers", {"content-type": b"application/json"}).items()),
    )


def series(name: str = "feature:income", **more: Any) -> dict[str, Any]:
    return {
        "series": name,
        "verdict": "severe",
        "reason": "alarm_severe",
        "n_reference": 50000,
        "n_current": 3544,
        "missing": {"reference": 0.011, "current": 0.016},
        "effect": {"name": "psi", "value": 0.404, "low": 0.364, "high": 0.451, "floor": 0.1},
        "evidence": [{"detector": "chi2", "statistic": 2084.4, "p_value": 1e-300, "e_value": None}],
        "top_bins": [
            {"bin": 1, "of": 10, "reference": 0.1, "current": 0.355, "contribution": 0.322}
        ],
    } | more


def result(hour: int = 0, *, model: str = "loans", version: str = "1.0.0", segment: str = "all",
           scope: str = "inputs", verdict: str = "stable", reason: str = "quiet", events: int = 3600,
           found: Sequence[Mapping[str, Any]] = (), log_statistic: float | None = 1.5) -> dict[str, Any]:  # fmt: skip
    """The result of the window that begins `hour` hours after `START_MS`."""
    start_ms = START_MS + hour * HOUR_MS
    return {
        "result_id": derived("rs", model, version, segment, scope, start_ms, start_ms + HOUR_MS),
        "model_id": model,
        "model_version": version,
        "segment": segment,
        "scope": scope,
        "lifecycle_revision": "9f2c1e77ab04",
        "reference_id": "loans-2025-12",
        "window": {
            "start": rfc3339(start_ms),
            "end": rfc3339(start_ms + HOUR_MS),
            "events": events,
            "late": 0,
            "panes": 60,
        },
        "verdict": verdict,
        "reason": reason,
        "alarm": {
            "log_statistic": log_statistic,
            "log_threshold": 7.5,
            "budget": "1 per 90 days",
            "looks": 12,
        },
        "metrics": {},
        "quality": {},
        "truncated": 0,
        "series": list(found),
    }


def alert(sequence: int = 1, *, hour: int = 1, model: str = "loans", version: str = "1.0.0",
          segment: str = "all", kind: str = "data_drift", severity: str = "warning",
          change: str = "opened", opened_hour: int = 1, **more: Any) -> dict[str, Any]:  # fmt: skip
    opened_ms, at_ms = START_MS + opened_hour * HOUR_MS, START_MS + hour * HOUR_MS
    episode = derived("ep", model, version, segment, kind, opened_ms)
    return {
        "alert_id": derived("al", episode, sequence),
        "episode_id": episode,
        "sequence": sequence,
        "at": rfc3339(at_ms),
        "change": change,
        "status": "resolved" if change == "resolved" else "open",
        "resolve_reason": "recovered" if change == "resolved" else None,
        "kind": kind,
        "severity": severity,
        "verdict": "severe",
        "title": f"{model} {version}: income drifted",
        "summary": "income: PSI 0.40 (0.36 to 0.45, floor 0.1), since about 00:40 UTC.",
        "opened_at": rfc3339(opened_ms),
        "resolved_at": rfc3339(at_ms) if change == "resolved" else None,
        "since": {"estimate": rfc3339(opened_ms - 1_200_000)},
        "model": {"id": model, "name": "Loans", "version": version},
        "segment": segment,
        "links": {"runbook": "https://wiki.example/drift", "console": None},
    } | more


def trigger(sequence: int = 1, *, status: str = "requested", hour: int = 2, model: str = "loans",
            anchor: int = START_MS, **more: Any) -> dict[str, Any]:  # fmt: skip
    return {
        "trigger_id": derived("rt", model, "1.0.0", "inputs", "data_drift", anchor),
        "status": {
            "name": status,
            "sequence": sequence,
            "at": rfc3339(START_MS + hour * HOUR_MS),
            "by": "policy",
            "note": None,
        },
        "model": {"id": model, "name": "Loans", "version": "1.0.0"},
        "reason": {"code": "data_drift", "summary": "income drifted severely"},
    } | more


def lifecycle(model: str = "loans", version: str = "1.0.0", **more: Any) -> dict[str, Any]:
    """The record that registers a lifecycle, as `leeway apply` writes it."""
    document = {
        "model_id": model,
        "model_name": "Loans",
        "version": version,
        "metadata": {"owner": "credit-risk"},
        "features": {"income": "number"},
    }
    text = json.dumps({"model_lifecycle": document | more}, ensure_ascii=False)
    (loaded,) = load(text, "lifecycle.yaml")
    written = lifecycle_record(NAMES, loaded).value
    assert written is not None
    return dict(json.loads(written))


def reference(
    reference_id: str = "loans-2025-12", end: str | None = "2025-12-31T00:00:00.000Z"
) -> dict[str, Any]:
    return {
        "format": 1,
        "reference_id": reference_id,
        "model_id": "loans",
        "model_version": "1.0.0",
        "built_from": {"source": "loans.parquet", "start": None, "end": end, "events": 50000},
    }


def intake(hour: int = 1, /, **sources: Mapping[str, Any]) -> dict[str, Any]:
    as_of = rfc3339(START_MS + hour * HOUR_MS)
    return {"format": 1, "part": "intake", "as_of": as_of, "data": {"sources": sources}}


def read_model(*records: Record) -> ReadModel:
    """What is known after these records, folded in this order, each at the next offset of its partition."""
    read = ReadModel(NAMES)
    ends: dict[tuple[str, int], int] = {}
    for one in records:
        at = ends.get((one.topic, one.partition), 0)
        ends[one.topic, one.partition] = at + 1
        read.fold(one._replace(offset=at))
    return read


def told(topic: str, document: Mapping[str, Any], **more: Any) -> Record:
    """A document of the judge's, keyed by its model."""
    model = document.get("model", {}).get("id") or document["model_id"]
    return record(topic, model, document, **more)


def fleet(
    models: int = 7,
    features: int = 12,
    days: int = 2,
    *,
    segments: Sequence[str] = (),
    seed: int = 7,
    now_ms: int = NOW_MS,
) -> ReadModel:
    """What is known of a month of many models; `tests.streams.month` tells their stories. A new one every time."""
    read = ReadModel(NAMES)
    for one in records(Fleet(models, features, days, now_ms, tuple(segments), seed)):
        error = read.fold(one)
        assert error is None, (error, one.topic, one.key)
    return read
