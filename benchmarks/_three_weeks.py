"""Which models, which seasons and which problems does the simulated stream have? Everything from a seed.

A model has 30 numbers, 10 flags and 10 categories. Most of them follow the hour of the day, and are others on weekends;
so does the traffic. The reference is of the weeks before. Counts of an hour are drawn from what the cells of the
reference really hold then; labels are events, which a profiler counts.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.random import Generator

from benchmarks._panel import normal_shares, numbers
from detectors.operations.layout import LATENCY, STATUS, TOTAL
from detectors.reference.frozen import (
    Blocks,
    BuiltFrom,
    Reference,
    ReferenceSeries,
    Season,
    SegmentReference,
    SlotReference,
    digest,
)
from detectors.reference.seasons import Seasonal, per_series, slot_counts, with_slots
from detectors.samples.effects import Floats, Ints
from detectors.series import Series
from streams.lifecycle import Lifecycle, load
from streams.messages import Summary, pack_cells, pack_counts, pack_sums
from streams.offline.known import known_outcomes

START_MS = 1_772_409_600_000  # 2026-03-02T00:00:00Z, a Monday
HOUR_MS, DAY, WEEK = 3_600_000, 24, 168
NUMBERS, FLAGS, CATEGORIES, LEVELS = 30, 10, 10, 8
PANES = 12
MISSING, RARE = 0.002, 0.02  # shares of values that are always missing; of the rarest level
SAMPLE = 20_000  # rows whose deciles are the edges
LABELS, WRONG = 80, 0.1  # an hour, where a model has labels; of them wrong
SEGMENTS = {"country=DE": 0.88, "country=FR": 0.12}  # shares of the events
_LATENCY_CELL = LATENCY.start + 36  # every answer takes about 45 ms

How = Literal["shift", "ramp", "missing", "errors", "silence"]


@dataclass(frozen=True, slots=True)
class Problem:
    """What goes wrong, from when to when in hours after the start."""

    name: str
    models: tuple[int, ...]
    start: int
    end: int
    how: How
    features: tuple[int, ...] = ()  # of the numbers
    size: float = 0.0  # in sd, of a ramp at its end; share that is missing, or wrong
    segment: str | None = None  # None: in all

    def size_at(self, hour: int) -> float:
        """How large it is in an hour; 0 where there is none."""
        if not self.start <= hour < self.end:
            return 0.0
        ramps = self.how == "ramp"
        return self.size * (hour - self.start + 1) / (self.end - self.start) if ramps else self.size


@dataclass(frozen=True, slots=True)
class Deploy:
    """Another version answers from an hour on; a retrained one makes no more mistakes than the first did."""

    model: int
    hour: int
    version: str
    retrained: bool = False


@dataclass(frozen=True, slots=True)
class World:
    """How many models for how long, and what happens to them."""

    models: int
    hours: int
    problems: tuple[Problem, ...]
    deploys: tuple[Deploy, ...] = ()
    labelled: tuple[int, ...] = ()
    segmented: tuple[int, ...] = ()
    fine: tuple[int, ...] = ()  # those whose health is judged every five minutes, as is the default
    seed: int = 2026
    past: int = 6  # weeks of the reference

    def panes(self, model: int) -> int:
        """Of an hour."""
        return PANES if model in self.fine else 1


SHIFT = Problem("one feature shifts at once", (3,), 8 * DAY + 10, 11 * DAY, "shift", (4,), 0.5)
SHARED = Problem(
    "a shared feature breaks in 4 models", (5, 6, 7, 8), 10 * DAY + 6, 12 * DAY, "shift", (10,), 1.0
)
NULLS = Problem(
    "nulls from upstream", (11,), 9 * DAY + 8, 9 * DAY + 18, "missing", (1, 20), 0.3
)  # fmt: skip
ERRORS = Problem("accuracy falls, inputs stable", (14,), 8 * DAY, 21 * DAY, "errors", (), 0.25)
SLOW = Problem(
    "slow drift in a small segment", (17,), 7 * DAY, 21 * DAY, "ramp", (7,), 0.5, "country=FR"
)
OUTAGE = Problem(
    "outage: a source is silent", (16, 18, 19), 16 * DAY + 13, 16 * DAY + 18, "silence", (), 1.0
)
THREE_WEEKS = World(
    models=20,
    hours=3 * WEEK,
    problems=(SHIFT, SHARED, NULLS, ERRORS, SLOW, OUTAGE),
    deploys=(Deploy(1, 9 * DAY + 14, "1.0.1"), Deploy(14, 14 * DAY + 9, "1.1.0", retrained=True)),
    labelled=(2, 14),
    segmented=(17,),
    fine=(11, 16, 18, 19),
)


def name_of(model: int) -> str:
    """Its id."""
    return f"model-{model:02d}"


def topic_of(world: World, model: int) -> str:
    """The source it reads: those that an outage hits have one of their own."""
    silent = any(p.how == "silence" and model in p.models for p in world.problems)
    return "app.scored" if silent else "web.scored"


def lifecycle(world: World, model: int) -> Lifecycle:
    """What is written of a model: defaults, but for hourly health and the season."""
    features: dict[str, object] = {f"n{k}": "number" for k in range(NUMBERS)}
    features |= {f"b{k}": "boolean" for k in range(FLAGS)}
    features |= {f"c{k}": "category" for k in range(CATEGORIES)}
    document: dict[str, Any] = {
        "model_id": name_of(model),
        "version": "1.0.0",
        "metadata": {"owner": "simulation", "model_type": "Classification"},
        "deployment": {"environment": "Production"},
        "features": features,
        "source": {"predictions": {"topic": topic_of(world, model)}},
        "reference": {"season": "hour_of_week"},
        "monitoring": {
            "window": {"pane": f"{60 // world.panes(model)}m", "size": "1h", "lateness": "1m"},
            "data_quality": {"window": f"{60 // world.panes(model)}m"},
        },
    }
    if model in world.labelled:
        document["source"] |= {"labels": {}, "join": False}
        document["prediction"] = {"classes": ["no", "yes"], "positive": "yes"}
        document["monitoring"] |= {
            "performance_metrics": [
                {"metric": "accuracy", "threshold": "below 0.85", "measurement_frequency": "Daily"}
            ],
            "drift_detection": {"concept_drift": {"window": "1d", "threshold": "5 points"}},
        }
        document["retraining"] = {
            "trigger_conditions": [
                {"name": "worse", "trigger": "concept drift detected", "action": "retrain"}
            ]
        }
    if model in world.segmented:
        document["segments"] = ["country"]
    (one,) = load(json.dumps({"model_lifecycle": document}), f"{name_of(model)}.yaml")
    return one


# ---- what the cells hold


@dataclass(frozen=True, slots=True)
class Model:
    """One seeded model: how its features move with the hour of the week, and its series."""

    number: int
    means: Floats  # (hours of the week, numbers)
    flags: Floats  # (hours of the week, flags)
    levels: Floats  # (hours of the week, categories, levels)
    edges: Floats  # (numbers, edges)
    series: tuple[Series, ...]

    def shares(self, hours: Ints, shift: Floats | None = None) -> tuple[Floats, Floats, Floats]:
        """What the cells of numbers, flags, categories hold: (hours, features, cells).

        Parameters
        ----------
        shift : float64, shape (hours, numbers)
            Of the means, in sd.
        """
        slots = hours % WEEK
        means = self.means[slots] if shift is None else self.means[slots] + shift
        values = normal_shares(self.edges, means) * (1 - MISSING)
        numeric = np.pad(values, [(0, 0), (0, 0), (0, 2)])
        numeric[..., -1] = MISSING
        true = self.flags[slots]
        flags = np.pad(np.stack([1 - true, true], -1), [(0, 0), (0, 0), (0, 2)])
        return numeric, flags, np.pad(self.levels[slots], [(0, 0), (0, 0), (0, 2)])


def model_of(world: World, number: int) -> Model:
    """The model of a number."""
    dice = np.random.default_rng([world.seed, number])
    hours = np.arange(WEEK)
    weekend = (hours >= 5 * DAY)[:, None]
    day = np.sin(2 * np.pi * (hours[:, None] - dice.integers(24, size=NUMBERS)) / 24)
    swing = dice.uniform(0, 0.5, NUMBERS) * (dice.random(NUMBERS) < 0.7)
    means = day * swing + weekend * dice.normal(0, 0.25, NUMBERS)
    rush = np.sin(2 * np.pi * (hours[:, None] - dice.integers(24, size=FLAGS)) / 24)
    flags = 0.15 + 0.05 * rush * dice.random(FLAGS) + 0.04 * weekend * dice.random(FLAGS)
    base = dice.dirichlet(np.full(LEVELS, 4.0), CATEGORIES) + RARE
    moved = base[None] * (1 + 0.3 * weekend[..., None] * dice.uniform(-1, 1, base.shape))
    levels = moved / moved.sum(-1, keepdims=True)
    sample = np.sort(
        means[dice.integers(WEEK, size=SAMPLE)] + dice.normal(size=(SAMPLE, NUMBERS)), 0
    )
    edges = sample[SAMPLE // 10 - 1 : -1 : SAMPLE // 10].T.round(4)
    names = tuple(f"level {b}" for b in range(LEVELS))
    series = (
        *numbers(edges),
        *(Series(f"feature:b{k}", "boolean", categories=("false", "true")) for k in range(FLAGS)),
        *(Series(f"feature:c{k}", "category", categories=names) for k in range(CATEGORIES)),
    )
    return Model(number, means, flags, levels, edges, series)


def traffic(hours: Ints) -> Floats:
    """Events expected in every hour: by day and by night, fewer on weekends."""
    of_week = hours % WEEK
    by_day = 800 + 350 * np.sin(2 * np.pi * (of_week - 9) / 24)
    return np.asarray(by_day * np.where(of_week >= 5 * DAY, 0.75, 1.0))


def _draw(dice: Generator, events: Ints, shares: tuple[Floats, Floats, Floats]) -> Ints:
    """Counts of hours: (hours, cells)."""
    drawn = [dice.multinomial(events[:, None], of) for of in shares]
    return np.concatenate([of.reshape(len(events), -1) for of in drawn], axis=1)


# ---- the reference


def reference(world: World, model: Model, of: Lifecycle, version: str) -> Reference:
    """That of a version, of the weeks before the stream, drawn like it."""
    dice = np.random.default_rng([world.seed, model.number, 7, int(version.replace(".", ""))])
    hours = np.arange(-world.past * WEEK, 0)
    parts = _parts(world, model.number)
    events = [dice.poisson(traffic(hours) * share) for share in parts.values()]
    counts = [_draw(dice, n, model.shares(hours)) for n in events]
    whole, slots = np.sum(counts, axis=0), hours % WEEK
    start_ms = START_MS - world.past * WEEK * HOUR_MS
    total = np.sum(events, axis=0)
    at, series = 0, []
    for s in model.series:
        series.append(ReferenceSeries(s, tuple(whole[:, at : at + s.cells].sum(0).tolist())))
        at += s.cells
    plain = Reference(
        f"before-{version}",
        of.model_id,
        version,
        BuiltFrom("simulated", start_ms, START_MS, int(total.sum()), 60_000),
        Blocks(HOUR_MS, len(hours), int(np.median(total))),
        tuple(series),
    )
    made, _ = with_slots(plain, whole, Seasonal(Season("hour_of_week", "UTC"), slots))
    if len(parts) > 1:
        made = replace(made, segments=_segments(made, dict(zip(parts, counts, strict=True)), slots))
    if model.number in world.labelled:
        labels = list(labels_of(world, model.number, hours.tolist()))
        known, _ = known_outcomes(of, made, labels, list)
        made = replace(made, known=known)
    return replace(made, digest=digest(made))


def _segments(
    of: Reference, counts: Mapping[str, Ints], slots: Ints
) -> tuple[SegmentReference, ...]:
    assert of.season is not None
    found, width = [], of.series[0].series.cells
    held = np.bincount(slots, minlength=WEEK).tolist()
    for segment, cells in counts.items():
        by_slot = slot_counts(cells, slots, of.season)
        events = by_slot[:, :width].sum(1).tolist()
        mine = tuple(
            SlotReference(slot, held[slot], events[slot], per_series(of, by_slot[slot]))
            for slot in range(WEEK)
        )
        found.append(SegmentReference(segment, sum(events), per_series(of, cells.sum(0)), mine))
    return tuple(found)


def _parts(world: World, model: int) -> Mapping[str, float]:
    return SEGMENTS if model in world.segmented else {"all": 1.0}


# ---- the stream


@dataclass(frozen=True, slots=True)
class Hours:
    """Everything of one model, pane by pane."""

    panes: int  # of an hour
    events: Mapping[str, Ints]  # of a segment: (panes,)
    counts: Mapping[str, Ints]  # of a segment: (panes, cells)

    @property
    def all(self) -> Ints:
        """The counts of all segments together: (hours, cells)."""
        whole = np.sum(list(self.counts.values()), axis=0)
        return np.asarray(whole.reshape(-1, self.panes, whole.shape[1]).sum(1))


def stream(world: World, model: Model) -> Hours:
    """The hours of the stream, with what goes wrong in them."""
    dice = np.random.default_rng([world.seed, model.number, 1])
    panes = world.panes(model.number)
    hours = np.repeat(np.arange(world.hours), panes)
    mine = [p for p in world.problems if model.number in p.models]
    awake = np.ones(len(hours), np.int64)
    for p in mine:
        if p.how == "silence":
            awake[p.start * panes : p.end * panes] = 0
    events, counts = {}, {}
    for segment, share in _parts(world, model.number).items():
        here = [p for p in mine if p.segment in (None, segment)]
        events[segment] = dice.poisson(traffic(hours) * share / panes) * awake
        shift = np.zeros((len(hours), NUMBERS))
        for p in here:
            if p.how in ("shift", "ramp"):
                shift[:, p.features] += _sizes(p, hours)[:, None]
        shares = model.shares(hours, shift)
        for p in here:
            if p.how == "missing":
                lost = _sizes(p, hours)[:, None, None]
                numeric = shares[0][:, p.features] * (1 - lost)
                numeric[..., -1:] += lost
                shares[0][:, p.features] = numeric
        counts[segment] = _draw(dice, events[segment], shares)
    return Hours(panes, events, counts)


def _sizes(of: Problem, hours: Ints) -> Floats:
    return np.array([of.size_at(hour) for hour in hours.tolist()])


def version_at(world: World, model: int, hour: int) -> str:
    """The version that answers in an hour."""
    changed = (d.version for d in world.deploys if d.model == model and d.hour <= hour)
    return next(reversed(list(changed)), "1.0.0")


def wrong_at(world: World, model: int, hour: int) -> float:
    """Share of wrong answers in an hour: a retrained version is as good as the first was."""
    if any(d.model == model and d.retrained and d.hour <= hour for d in world.deploys):
        return WRONG
    found = (p.size_at(hour) for p in world.problems if p.how == "errors" and model in p.models)
    return max(found, default=0.0) or WRONG


def labels_of(world: World, model: int, hours: Sequence[int]) -> Iterator[bytes]:
    """Whole label events of some hours, in order: what was predicted one to six hours ago, and what was right."""
    for hour in hours:
        dice = np.random.default_rng([world.seed, model, 2, hour + world.past * WEEK])
        start = START_MS + hour * HOUR_MS
        times = (start + np.sort(dice.integers(HOUR_MS, size=LABELS))).tolist()
        lags = dice.integers(HOUR_MS, 6 * HOUR_MS, size=LABELS).tolist()
        said = (dice.random(LABELS) < 0.4).tolist()
        right = (dice.random(LABELS) >= wrong_at(world, model, hour)).tolist()
        version = version_at(world, model, hour)
        for k in range(LABELS):
            yield msgspec.json.encode(
                {
                    "event_id": f"{model}/{hour}/{k}",
                    "model_id": name_of(model),
                    "model_version": version,
                    "timestamp": times[k],
                    "prediction_timestamp": times[k] - lags[k],
                    "prediction": "yes" if said[k] else "no",
                    "label": "yes" if said[k] == right[k] else "no",
                }
            )


def summaries(
    world: World, model: Model, of: Hours, hour: int, compared: Reference
) -> Iterator[Summary]:
    """What a profiler would have counted in an hour: one for each segment and pane that had events."""
    for segment, counts in of.counts.items():
        for pane in range(hour * of.panes, (hour + 1) * of.panes):
            events = int(of.events[segment][pane])
            if not events:
                continue
            health = np.zeros(TOTAL, np.int64)
            health[STATUS.start] = health[_LATENCY_CELL] = events
            yield Summary(
                model_id=name_of(model.number),
                model_version=version_at(world, model.number, hour),
                segment=segment,
                definition=0,
                pane_start_ms=START_MS + pane * HOUR_MS // of.panes,
                reference_digest=compared.digest,
                events=events,
                cells=pack_cells(counts[pane]),
                sums=pack_sums(np.zeros(2 * len(model.series), np.int64)),
                invalid={},
                violations={},
                health=pack_counts(health),
            )
