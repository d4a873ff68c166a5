"""What does the API tell of the past? Versions side by side, matured days, lines, drift and distributions."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import numpy as np

from alerting.identity import rfc3339
from streams.views import answers
from streams.views.answers import Document
from streams.views.asked import Asked
from streams.views.distribution import distribution as drawn
from streams.views.history import VERDICTS, Line, Times, Values, heat, lines
from streams.views.past import Past, Scoped
from streams.views.problems import Problem
from streams.views.read import ReadModel

SCOPES = ("inputs", "outcomes", "health", "matured")
POINTS, MOST_POINTS = 500, 2_000
TOP, MOST_TOP = 100, 400
_EFFECTS = 5  # series of a comparison
_ALL = 1_000_000  # windows: thirty days have fewer
_NO_METRIC = ("events", "late", "alarm_ratio", "data_drift", "prediction_drift")


def list_versions(asked: Asked) -> Document:
    """Every version that somebody named or something was said of, the newest to be judged first."""
    model_id = asked.model_id()
    found = [_version(asked.read, model_id, one) for one in _versions(asked.read, model_id)]
    return asked.page(
        found, lambda one: (one["last_window"] or "", one["version"]), lambda one: one
    )


def _versions(read: ReadModel, model_id: str) -> list[str]:
    named = {subject.version for subject in read.results.get(model_id, {})}
    named |= {answers.current_version(read, model_id), *_previous(read, model_id)}
    return sorted(named - {""})


def _previous(read: ReadModel, model_id: str) -> Mapping[str, Mapping[str, Any]]:
    registered = read.lifecycles.get(model_id)
    versioning = (registered.lifecycle.get("versioning") if registered else None) or {}
    return {one["version"]: one for one in versioning.get("previous_versions") or ()}


def _version(read: ReadModel, model_id: str, version: str) -> Document:
    pasts = [
        past
        for subject, past in read.results.get(model_id, {}).items()
        if (subject.version, subject.segment) == (version, "all") and len(past)
    ]
    inputs = read.results.get(model_id, {}).get(Scoped(model_id, version, "all", "inputs"))
    told = _previous(read, model_id).get(version, {})
    deployed = told.get("deployed")
    return {
        "version": version,
        "current": version == answers.current_version(read, model_id),
        "verdict": inputs[-1].verdict if inputs else None,
        "first_window": rfc3339(min(past[0].start_ms for past in pasts)) if pasts else None,
        "last_window": rfc3339(max(past[-1].end_ms for past in pasts)) if pasts else None,
        "windows": len(inputs or ()),
        "deployed": None if deployed is None else str(deployed),
        "retired_reason": told.get("retired_reason"),
        "open_episodes": [
            story.id for story in answers.open_episodes(read, model_id) if story.version == version
        ],
    }


def compare(asked: Asked) -> Document:
    """The windows in which both versions were judged, the newest first."""
    model_id, segment = asked.model_id(), asked.query.get("segment", "all")
    known = _versions(asked.read, model_id)
    for name in ("a", "b"):
        if asked.query[name] not in known:
            raise Problem("not_found", f"{model_id} has no version {asked.query[name][:64]!r}")
    pairs = [
        pair
        for scope in SCOPES
        for pair in _Pair.of(asked.read, model_id, segment, scope, asked.query)
    ]
    start_ms, end_ms = asked.time_ms("from"), asked.time_ms("to")
    found = (
        (end, pair.scope, at_a, at_b, pair)
        for pair in pairs
        for end, at_a, at_b in pair.windows()
        if (end_ms is None or end <= end_ms)
        and (start_ms is None or pair.a[at_a].start_ms >= start_ms)
    )
    return asked.page(
        found, lambda one: (one[0], one[1]), lambda one: one[4].document(one[2], one[3])
    )


class _Pair:
    """Two versions in one scope."""

    def __init__(self, read: ReadModel, scope: str, a: Past, b: Past) -> None:
        self.scope, self.a, self.b = scope, a, b
        self._lines = [
            {one.name: one for one in lines(read, *past.subject, most=_ALL)} for past in (a, b)
        ]
        self._heat = [
            heat(read, *past.subject[:3], most=_ALL) if scope == "inputs" else None
            for past in (a, b)
        ]

    @classmethod
    def of(
        cls, read: ReadModel, model_id: str, segment: str, scope: str, query: Mapping[str, str]
    ) -> "Iterator[_Pair]":
        """The pair, if both were judged in this scope."""
        of_model = read.results.get(model_id, {})
        a, b = (of_model.get(Scoped(model_id, query[name], segment, scope)) for name in "ab")
        if a and b:
            yield cls(read, scope, a, b)

    def windows(self) -> Iterator[tuple[int, int, int]]:
        """The end of each common window, and which one it is of either."""
        ends_a, ends_b = (p.columns().rows["end"].astype(np.int64) for p in (self.a, self.b))
        common, at_a, at_b = np.intersect1d(ends_a, ends_b, return_indices=True)
        yield from zip(common.tolist(), at_a.tolist(), at_b.tolist(), strict=True)

    def document(self, at_a: int, at_b: int) -> Document:
        a, b = self.a[at_a], self.b[at_b]
        both = [name for name in self._lines[0] if name in self._lines[1]]
        measured = {
            name: _compared(self._lines[0][name], at_a, self._lines[1][name], at_b)
            for name in both
            if name not in _NO_METRIC
        }
        return {
            "scope": self.scope,
            "start": rfc3339(a.start_ms),
            "end": rfc3339(a.end_ms),
            **{
                side: {"events": one.events, "verdict": one.verdict, "reason": one.reason}
                for side, one in (("a", a), ("b", b))
            },
            "metrics": {name: one for name, one in measured.items() if one is not None},
            "effects": self._effects(at_a, at_b),
        }

    def _effects(self, at_a: int, at_b: int) -> list[Document]:
        ratios: list[dict[str, float]] = []
        for of, at in zip(self._heat, (at_a, at_b), strict=True):
            column = [] if of is None or not of.series else of.ratio[:, at].tolist()
            names = () if of is None else of.series
            ratios.append({n: r for n, r in zip(names, column, strict=True) if r == r})
        largest = sorted(
            ratios[0].keys() | ratios[1].keys(),
            key=lambda name: (-max(of.get(name, 0.0) for of in ratios), name),
        )
        return [
            {"series": name, "a": ratios[0].get(name), "b": ratios[1].get(name)}
            for name in largest[:_EFFECTS]
        ]


def _compared(a: Line, at_a: int, b: Line, at_b: int) -> Document | None:
    """Two numbers, and how far apart they are; None: one of them was not measured.

    The interval of the difference is made of the two intervals ("MOVER": Zou and Donner, Statistics in Medicine 27,
    2008): it has their coverage, and assumes that the two were measured on different events.
    """
    of_a, of_b = _measured(a, at_a), _measured(b, at_b)
    if of_a is None or of_b is None:
        return None
    difference = of_b["value"] - of_a["value"]
    low = high = None
    if None not in (of_a["low"], of_a["high"], of_b["low"], of_b["high"]):
        low = difference - float(
            np.hypot(of_b["value"] - of_b["low"], of_a["high"] - of_a["value"])
        )
        high = difference + float(
            np.hypot(of_b["high"] - of_b["value"], of_a["value"] - of_a["low"])
        )
    return {"a": of_a, "b": of_b, "difference": difference, "low": low, "high": high}


def _measured(line: Line, at: int) -> Document | None:
    value, low, high = (_number(column[at]) for column in (line.value, line.low, line.high))
    if value is None:
        return None
    return {"value": value, "low": low, "high": high, "n": int(line.n[at])}


def matured(asked: Asked) -> Document:
    """Performance by the day of the prediction, the newest first."""
    model_id, read = asked.model_id(), asked.read
    version = asked.query.get("version") or answers.current_version(read, model_id)
    subject = Scoped(model_id, version, asked.query.get("segment", "all"), "matured")
    past = read.results.get(model_id, {}).get(subject) or ()
    measured = lines(read, *subject, most=_ALL)
    start_ms, end_ms = asked.time_ms("from"), asked.time_ms("to")
    found = [
        at
        for at, day in enumerate(past)
        if (start_ms is None or day.start_ms >= start_ms)
        and (end_ms is None or day.end_ms <= end_ms)
    ]

    def document(at: int) -> Document:
        day = past[at]
        numbers = {one.name: _measured(one, at) for one in measured if one.name not in _NO_METRIC}
        coverage = numbers.pop("label_coverage", None)
        held = {one.name: (one.reference, one.threshold) for one in measured}
        return {
            "version": version,
            "start": rfc3339(day.start_ms),
            "end": rfc3339(day.end_ms),
            "events": day.events,
            "coverage": None if coverage is None else coverage["value"],
            "metrics": {
                name: {**one, "reference": held[name][0], "threshold": held[name][1]}
                for name, one in numbers.items()
                if one is not None
            },
        }

    return asked.page(found, lambda at: (past[at].end_ms,), document)


def history(asked: Asked) -> Document:
    """Numbers over time."""
    model_id = asked.model_id()
    version = asked.query.get("version") or answers.current_version(asked.read, model_id)
    segment, scope = asked.query.get("segment", "all"), asked.query.get("scope", "inputs")
    names = asked.query.get("names")
    found = lines(
        asked.read,
        model_id,
        version,
        segment,
        scope,
        names=None if names is None else dict.fromkeys(names.split(",")),
        start_ms=asked.time_ms("from"),
        end_ms=asked.time_ms("to"),
        most=int(asked.query.get("points", POINTS)),
    )
    return {
        "version": version,
        "segment": segment,
        "scope": scope,
        "end": _times(found[0].end_ms) if found else [],
        "lines": [
            {
                "name": one.name,
                "reference": _number(one.reference),
                "threshold": _number(one.threshold),
                "value": _numbers(one.value),
                "low": _numbers(one.low),
                "high": _numbers(one.high),
                "n": one.n.tolist(),
            }
            for one in found
        ],
    }


def drift(asked: Asked) -> Document:
    """Drift of every series over time."""
    model_id = asked.model_id()
    version = asked.query.get("version") or answers.current_version(asked.read, model_id)
    segment, top = asked.query.get("segment", "all"), int(asked.query.get("top", TOP))
    most = int(asked.query.get("points", POINTS))
    times = asked.time_ms("from"), asked.time_ms("to")
    found = heat(asked.read, model_id, version, segment, *times, most=most)
    return {
        "version": version,
        "segment": segment,
        "end": _times(found.end_ms),
        "series": [
            {
                "series": name,
                "ratio": _numbers(found.ratio[at].astype(np.float64)),
                "verdict": [VERDICTS[one] for one in found.verdict[at].tolist()],
            }
            for at, name in enumerate(found.series[:top])
        ],
    }


def distribution(asked: Asked) -> Document:
    """A series in one window, beside the reference."""
    model_id, series = asked.model_id(), asked.query["series"]
    version = asked.query.get("version") or answers.current_version(asked.read, model_id)
    segment = asked.query.get("segment", "all")
    found = drawn(
        asked.read, model_id, version, segment, series, asked.time_ms("window"), asked.recalled
    )
    if found is None:
        raise Problem("not_found", f"nothing was counted by cell for {series[:200]!r} then")
    return {
        "series": found.series,
        "version": version,
        "segment": segment,
        "start": rfc3339(found.start_ms),
        "end": rfc3339(found.end_ms),
        "verdict": found.verdict,
        "reason": found.reason,
        "effect": None if found.effect is None else msgspec.to_builtins(found.effect),
        "n_reference": found.n_reference,
        "n_current": found.n_current,
        "missing": {"reference": found.missing_reference, "current": found.missing_current},
        "ordered": found.ordered,
        "concealed": found.concealed,
        "unit": found.unit,
        "description": found.description,
        "cells": [
            {"label": label, "reference": usual, "current": now}
            for label, usual, now in zip(found.labels, found.reference, found.current, strict=True)
        ],
    }


def _times(ends: Times) -> list[str]:
    return [rfc3339(end) for end in ends.tolist()]


def _numbers(values: Values) -> list[float | None]:
    return [one if np.isfinite(one) else None for one in values.tolist()]


def _number(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)
