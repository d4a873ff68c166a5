"""A month of many models, as records on the log: seeded, with everything that a page, a report or a list may show.

Every seventh model has the same story: well; a drifting feature; predictions that became worse; an outage that is over;
a new version; silent since a few hours; registered only. Documents are those of the service's own types, so that
whoever reads them reads what a judge would have written.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from alerting.identity import result_id, rfc3339
from alerting.types import Subject
from detectors.operations.measures import poisson
from detectors.reference.frozen import (
    Blocks,
    BuiltFrom,
    Reference,
    ReferenceSeries,
    SegmentReference,
    digest,
)
from detectors.samples.effects import wilson
from detectors.series import Series
from streams.messages import (
    AlarmDocument,
    EffectDocument,
    EvidenceDocument,
    MissingDocument,
    ResultDocument,
    SeriesDocument,
    TopBinDocument,
    WindowDocument,
    encode_json,
)

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
STORIES = ("well", "drifting", "worse", "outage", "released", "silent", "registered")
_MODELS = (
    "loan-default",
    "churn",
    "fraud-card",
    "order-minutes",
    "ad-clicks",
    "spam",
    "credit-limit",
)
_FEATURES = (
    "income",
    "age",
    "debt_ratio",
    "home",
    "employment_years",
    "open_lines",
    "postcode",
    "late_payments",
    "amount",
    "device",
    "is_returning",
    "hours_since_login",
)
_WORDS = {
    "home": ("rent", "own", "mortgage", "family"),
    "device": ("phone", "desktop", "tablet", "terminal", "other system"),
    "postcode": ("1000", "1100", "2000", "4000", "4700"),
}
_UNITS = {"income": "EUR", "age": "years", "amount": "EUR", "hours_since_login": "h"}


class Story(NamedTuple):
    """When something goes wrong, as hours before the end, and how far it is along at an hour."""

    name: str
    begins: int
    ends: int

    def level(self, hours_left: int) -> float:
        """0: as usual; 1: as bad as it gets."""
        if not self.ends < hours_left <= self.begins:
            return 0.0
        return min(1.0, (self.begins - hours_left + 1) / 12)


@dataclass(frozen=True)
class Model:
    """One model of the fleet: its reference, and how its features are distributed."""

    place: int
    features: int
    days: int
    segments: tuple[str, ...]
    seed: int
    now_ms: int

    @cached_property
    def id(self) -> str:
        known = self.place < len(_MODELS)
        return _MODELS[self.place] if known else f"model-{self.place:03d}"

    @cached_property
    def story(self) -> Story:
        name, hours = STORIES[self.place % len(STORIES)], 24 * self.days
        begins = {
            "drifting": hours // 5,
            "worse": hours // 6,
            "outage": hours // 2,
            "released": hours // 4,
            "silent": min(5, hours // 4),
        }.get(name, 0)
        return Story(name, begins, max(begins - 9, 0) if name == "outage" else 0)

    @cached_property
    def names(self) -> tuple[str, ...]:
        more = self.features - len(_FEATURES)
        return (_FEATURES + tuple(f"signal_{k:02d}" for k in range(max(more, 0))))[: self.features]

    @cached_property
    def series(self) -> tuple[Series, ...]:
        found = [self._one(f"feature:{name}", k) for k, name in enumerate(self.names)]
        found.append(Series("prediction", "category", categories=("no", "yes")))
        cuts = tuple(round(x, 2) for x in np.linspace(0.1, 0.9, 9).tolist())
        found.append(Series("score", "number", edges=cuts, centre=0.5, scale=0.2, ends=(0.0, 1.0)))
        return tuple(found)

    def _one(self, title: str, k: int) -> Series:
        name = title.removeprefix("feature:")
        if name in _WORDS:
            return Series(title, "category", categories=_WORDS[name], known=("caravan",))
        if name == "is_returning":
            return Series(title, "boolean", categories=("false", "true"))
        if name in ("open_lines", "late_payments") or k % 9 == 8:
            return Series(
                title,
                "integer",
                support=tuple(float(x) for x in range(8)),
                centre=3.0,
                ends=(0.0, 7.0),
            )
        middle = {"income": 42_000.0, "age": 41.0, "debt_ratio": 0.35, "amount": 120.0}.get(
            name, 10.0 + k
        )
        edges = tuple(float(f"{middle * (1 + 0.13 * (j - 4)):.4g}") for j in range(9))
        ends = (float(f"{middle * 0.2:.4g}"), float(f"{middle * 1.9:.4g}"))
        return Series(title, "number", edges=edges, centre=middle, scale=middle / 4, ends=ends)

    @cached_property
    def shares(self) -> NDArray[np.float64]:
        """[series, cell] of the reference; the last two cells are odd and missing."""
        rng = np.random.default_rng([self.seed, self.place])
        width = max(one.cells for one in self.series)
        found = np.zeros((len(self.series), width))
        for k, one in enumerate(self.series):
            hill = np.exp(-(((np.arange(one.values) + 0.5) / one.values - 0.45) ** 2) * 5)
            usual = hill if one.numeric else 1.0 / (1.0 + np.arange(one.values))
            found[k, : one.values] = usual * rng.uniform(0.7, 1.3, one.values)
            found[k, one.values + 1] = 0.02 * found[k].sum() if k % 10 == 2 else 0.0
        found /= found.sum(1, keepdims=True)
        return found

    @cached_property
    def drifted(self) -> NDArray[np.float64]:
        """The same where the first feature has moved far, and the third a little."""
        found = self.shares.copy()
        for k, tilt in ((0, 2.2), (2, 0.5)):
            if k < len(self.series) - 2:
                values = self.series[k].values
                found[k, :values] *= np.exp(tilt * np.linspace(-1, 1, values))
        found /= found.sum(1, keepdims=True)
        return found

    @cached_property
    def reference(self) -> Reference:
        many = 50_000
        counts = np.rint(self.shares * many).astype(int)
        series = tuple(
            ReferenceSeries(one, tuple(counts[k, : one.cells].tolist()))
            for k, one in enumerate(self.series)
        )
        parts = tuple(
            SegmentReference(
                name, many // 5, tuple(tuple(c // 5 for c in one.counts) for one in series)
            )
            for name in self.segments
        )
        begins = self.now_ms - self.days * DAY_MS
        built = BuiltFrom("training.parquet", begins - 60 * DAY_MS, begins - 5 * DAY_MS, many)
        made = Reference(
            f"{self.id}-training", self.id, "1.0.0", built, Blocks(HOUR_MS, 720, 70), series, parts
        )
        return replace(made, digest=digest(made))

    @property
    def registered(self) -> dict[str, Any]:
        """The lifecycle's file."""
        kinds = {
            "number": "number",
            "integer": "integer",
            "category": "category",
            "boolean": "boolean",
        }
        features: dict[str, Any] = {}
        for name, one in zip(self.names, self.series, strict=False):
            features[name] = {
                "type": kinds[one.type],
                "description": f"{name.replace('_', ' ')} at application",
            }
            if name in _UNITS:
                features[name]["unit"] = _UNITS[name]
        return {
            "model_id": self.id,
            "model_name": self.id.replace("-", " ").capitalize(),
            "version": "1.1.0" if self.story.name == "released" else "1.0.0",
            "metadata": {
                "purpose": "Who pays back",
                "owner": ("credit-risk", "growth", "fraud")[self.place % 3],
            },
            "features": features,
            "privacy": {"pii": [name for name in ("postcode",) if name in features]},
            "monitoring": {
                "performance_metrics": [
                    {"metric": "recall", "threshold": "below 0.75"},
                    {"metric": "Latency p95", "threshold": "120 ms"},
                ],
                "alerts": [
                    {"condition": "severe data drift", "severity": "Error", "channel": "Slack"}
                ],
            },
            "retraining": {
                "trigger_conditions": [
                    {
                        "name": "drifted",
                        "trigger": "data drift detected",
                        "action": "retrain",
                        "approval": "required",
                    }
                ]
            },
        }


# ---- results


#: The quiet hours of a model's day, by what they are of: events, and the series as they are written.
Drawn = dict[tuple[int, str, str, int], tuple[int, Any]]


@dataclass(frozen=True)
class Hour:
    """One model in one hour: what all of its results are drawn from."""

    model: Model
    start_ms: int
    hours_left: int
    version: str
    segment: str
    rng: np.random.Generator
    drawn: Drawn | None = None

    @property
    def level(self) -> float:
        return self.model.story.level(self.hours_left)

    @property
    def events(self) -> int:
        if self.model.story.name == "silent" and self.level:
            return 0
        day = 1 + 0.6 * np.sin((self.start_ms % DAY_MS) / DAY_MS * 2 * np.pi - 2)
        return int(self.rng.poisson(3600 * day * (1.0 if self.segment == "all" else 0.3)))

    def result(self, scope: str, verdict: str, reason: str, **more: Any) -> ResultDocument:
        length = DAY_MS if scope == "matured" else HOUR_MS
        start = self.start_ms // length * length
        about = Subject(self.model.id, self.version, self.segment)
        events = more.pop("events")
        times = rfc3339(start), rfc3339(start + length)
        return ResultDocument(
            result_id=result_id(about, scope, start, start + length),
            model_id=about.model_id,
            model_version=about.version,
            segment=about.segment,
            scope=scope,
            lifecycle_revision="9f2c1e77ab04",
            reference_id=self.model.reference.reference_id,
            window=WindowDocument(*times, events, int(events > 3000), 60 if events else 0),
            verdict=verdict,
            reason=reason,
            alarm=more.pop("alarm", None),
            metrics=more.pop("metrics", {}),
            quality={},
            truncated=0,
            series=more.pop("series", []),
            notes=[],
            **more,
        )

    def inputs(self) -> ResultDocument:
        key = (self.model.place, self.version, self.segment, self.start_ms // HOUR_MS % 24)
        known = None if self.drawn is None or self.level else self.drawn.get(key)
        many = self.events if known is None else known[0]
        if not many:
            alarm = AlarmDocument(0.4, 7.678, "1 per 90 days", 700)
            return self.result("inputs", "insufficient", "no_events", events=0, alarm=alarm)
        drifting = self.level if self.model.story.name == "drifting" else 0.0
        severe = drifting > 0.5
        verdict, reason = ("stable", "quiet")
        if drifting:
            verdict, reason = ("severe", "alarm_severe") if severe else ("drifting", "alarm")
        if known is None:
            known = many, self._drawn(many, drifting)
            if self.drawn is not None and not self.level:
                self.drawn[key] = many, msgspec.Raw(encode_json(known[1]))
        log = 40.0 * drifting if drifting else float(self.rng.gamma(2.0, 0.5))
        alarm = AlarmDocument(round(log, 6), 7.678, "1 per 90 days", 700)
        return self.result("inputs", verdict, reason, events=many, alarm=alarm, series=known[1])

    def _drawn(self, many: int, drifting: float) -> list[SeriesDocument]:
        shares = self.model.shares + drifting * (self.model.drifted - self.model.shares)
        # one more draw than needed of nothing: numpy wants shares that add up to at most one
        counts = self.rng.multinomial(many, shares / shares.sum(1, keepdims=True))
        return self._series(counts, drifting)

    def _series(self, counts: NDArray[np.int64], drifting: float) -> list[SeriesDocument]:
        model, shares = self.model, self.model.shares
        many = int(counts[0].sum())
        now, was = (counts + 0.5) / (many + 0.5), shares + 1e-6
        terms = (now - was) * np.log(now / was)
        psi, floor = terms.sum(1), 0.1
        order = np.argsort(-psi, kind="stable").tolist()
        sizes, chi = psi.round(6).tolist(), (psi * many / 2).round(6).tolist()
        cells, parts, shown = counts.tolist(), terms.round(6).tolist(), now.round(6).tolist()
        usual = shares.round(6).tolist()
        found = []
        for k in order:
            one, size = model.series[k], sizes[k]
            moved = drifting > 0 and size > floor
            top = (
                sorted(range(one.values), key=parts[k].__getitem__, reverse=True)[:3]
                if moved
                else []
            )
            p = max(1e-300, float(np.exp(-chi[k] / 20))) if moved else 0.5
            found.append(
                SeriesDocument(
                    series=one.name,
                    verdict=("severe" if size > 0.25 else "drifting") if moved else "stable",
                    reason=("alarm_severe" if size > 0.25 else "alarm") if moved else "quiet",
                    n_reference=50_000,
                    n_current=many - cells[k][one.values + 1],
                    missing=MissingDocument(
                        usual[k][one.values + 1], round(cells[k][one.values + 1] / many, 6)
                    ),
                    effect=EffectDocument(
                        "psi", size, round(size * 0.8, 6), round(size * 1.2 + 0.01, 6), floor
                    ),
                    evidence=[
                        EvidenceDocument("chi2", chi[k], p, None),
                        EvidenceDocument("psi", size, p, None),
                        EvidenceDocument("auc_shift" if one.numeric else "tv", size / 3, p, None),
                    ],
                    top_bins=[
                        TopBinDocument(b + 1, one.values, usual[k][b], shown[k][b], parts[k][b])
                        for b in top
                    ],
                    counts=cells[k][: one.cells],
                )
            )
        return found

    def outcomes(self, scope: str = "outcomes") -> ResultDocument:
        worse = self.level if self.model.story.name == "worse" else 0.0
        many = self.events // 3 if scope == "outcomes" else self.events * 6
        if not many:
            return self.result(scope, "insufficient", "no_events", events=0)
        metrics = {
            name: _share(
                self.rng, value - loss * worse, many, value, 0.75 if name == "recall" else None
            )
            for name, value, loss in (
                ("accuracy", 0.91, 0.09),
                ("recall", 0.84, 0.14),
                ("precision", 0.8, 0.08),
                ("f1", 0.82, 0.1),
            )
        }
        coverage = 0.95 if scope == "outcomes" else min(0.97, 0.02 * self.hours_left + 0.05)
        metrics["label_coverage"] = _share(self.rng, coverage, max(many, 30), None, None)
        if scope == "outcomes":
            metrics["accuracy_estimated"] = _share(self.rng, 0.905 - 0.02 * worse, many, 0.91, None)
        verdict, reason = ("severe", "rule") if worse > 0.7 else ("stable", "quiet")
        more: dict[str, Any] = {"revision": 3} if scope == "matured" else {}
        yes = int(many * 0.3 * metrics["recall"]["value"])
        confusion = {
            "yes": {"yes": yes, "no": many * 3 // 10 - yes},
            "no": {"no": many * 6 // 10, "yes": many // 10},
        }
        return self.result(
            scope, verdict, reason, events=many, metrics=metrics, confusion=confusion, **more
        )

    def health(self) -> ResultDocument:
        many, bad = self.events, self.level if self.model.story.name == "outage" else 0.0
        low, high = poisson(many)
        metrics: dict[str, Any] = {
            "throughput": {
                "value": many / 3600,
                "low": low / 3600,
                "high": high / 3600,
                "n": many,
                "reference": None,
                "threshold": None,
            }
        }
        if many:
            metrics["error_rate"] = _share(self.rng, 0.002 + 0.2 * bad, many, None, None)
            metrics["availability"] = _share(self.rng, 0.998 - 0.2 * bad, many, None, None)
            for name, ms in (("latency_p50", 18.0), ("latency_p95", 62.0), ("latency_p99", 110.0)):
                value = ms * (1 + 4 * bad) * float(self.rng.uniform(0.95, 1.05))
                limit = 120.0 if name == "latency_p95" else None
                metrics[name] = {
                    "value": value,
                    "low": value * 0.92,
                    "high": value * 1.09,
                    "n": many,
                    "reference": ms,
                    "threshold": limit,
                }
        verdict, reason = ("severe", "rule") if bad > 0.3 else ("stable", "quiet")
        if not many:
            verdict, reason = "severe", "rule"
        return self.result("health", verdict, reason, events=many, metrics=metrics)


def _share(
    rng: np.random.Generator, usual: float, n: int, reference: float | None, limit: float | None
) -> dict[str, Any]:
    value = float(rng.binomial(n, usual)) / n
    low, high = wilson(value, n, 1.96)
    return {
        "value": value,
        "low": float(low),
        "high": float(high),
        "n": n,
        "reference": reference,
        "threshold": limit,
    }


def results(
    model: Model, hours_left: int, rng: np.random.Generator, drawn: Drawn | None = None
) -> Iterator[ResultDocument]:
    """What the judge says of one model when an hour ends: inputs, health, every sixth hour outcomes, at midnight a day.

    `rng` is the model's own: asked hour by hour, in order. With `drawn` every day of inputs in which nothing happens is
    the same one: eight times as fast.
    """
    if model.story.name == "registered":
        return
    start = model.now_ms - hours_left * HOUR_MS
    for segment in ("all", *model.segments):
        yield from _hour(Hour(model, start, hours_left, "1.0.0", segment, rng, drawn))
    if model.story.name == "released" and hours_left <= model.story.begins:
        yield from _hour(Hour(model, start, hours_left, "1.1.0", "all", rng, drawn))


def _hour(of: Hour) -> Iterator[ResultDocument]:
    yield of.inputs()
    if of.segment != "all":
        return
    yield of.health()
    if of.hours_left % 6 == 1:
        yield of.outcomes()
    if of.start_ms % DAY_MS == DAY_MS - HOUR_MS:
        yield of.outcomes("matured")
