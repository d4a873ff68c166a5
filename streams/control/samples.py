"""What does the read model mean in numbers? Samples for `/metrics`, derived anew for every scrape."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from streams.broker import Partition
from streams.lifecycle.metrics import METRICS as OF_MODELS
from streams.metrics import (
    ALARM,
    ALERTS,
    BUILD,
    CIRCUIT_OPEN,
    CONTROL,
    EFFECT,
    EPISODES_OPEN,
    HEARTBEAT,
    LAG,
    MAX_OTHER_VERSIONS,
    MODEL_COVERAGE,
    MODEL_LAST_EVENT,
    MODEL_LATENCY,
    MODEL_METRIC,
    MODEL_REFERENCE,
    MODEL_STATE,
    MODEL_THRESHOLD,
    NOTIFICATION_OLDEST,
    NOTIFICATIONS_SUPPRESSED,
    OTHER,
    QUANTILES,
    SERIES_EFFECT,
    SUPPRESSIONS,
    TRIGGERS,
    WINDOWS_JUDGED,
    Bounds,
    Models,
    Sample,
    summed,
)
from streams.views import answers
from streams.views.deliveries import Delivering
from streams.views.read import Judged, ReadModel, Scoped, Story
from streams.views.vitals import Vitals

OURS = frozenset(OF_MODELS) | {"label_coverage", "label_lag"}
MOST_METRICS = 50  # of a version and scope
VERDICTS = ("stable", "drifting", "severe", "insufficient")
TRANSITIONS = (
    "requested",
    "approved",
    "rejected",
    "cancelled",
    "started",
    "completed",
    "failed",
)


def of_control(
    version: str, now_ms: int, reading: Sequence[tuple[Partition, int, int]]
) -> list[Sample]:
    """What control says of itself; `reading` has its position in each partition and where that ends."""
    return [
        Sample(BUILD, (version,), 1),
        Sample(HEARTBEAT, ("control",), now_ms / 1000),
        *(
            Sample(LAG, ("control", topic, str(number)), max(end - position, 0))
            for (topic, number), position, end in reading
        ),
    ]


def of_pipeline(vitals: Vitals) -> list[Sample]:
    """How far behind the other roles are, by what their groups committed."""
    return [
        Sample(LAG, (of.role, share.topic, str(share.partition)), share.lag)
        for of in vitals.roles
        if of.role != CONTROL
        for share in of.topics
    ]


class _Shown(NamedTuple):
    """A metric's last value, and the line that the lifecycle draws for it."""

    value: float
    threshold: float | None


class Sampler:
    """What control knows of models, as samples. The newest results are decoded once, not with every scrape.

    Moments, ratios and metrics of models that share the label `other` are left out: no sum is one.
    """

    def __init__(self, read: ReadModel, bounds: Bounds = Bounds()) -> None:  # noqa: B008
        self._read, self._bounds = read, bounds
        self._known: dict[Scoped, tuple[str, Mapping[str, _Shown]]] = {}

    def of_models(self, now_ms: int) -> list[Sample]:
        """Everything that has a model's name for a label, and how many alerts there were."""
        read, models = self._read, Models(self._bounds.models)
        added, single = list[Sample](), list[Sample]()
        for model_id in answers.model_ids(read):
            label = models.label(model_id)
            view = answers.model(read, model_id, now_ms)
            added += [
                Sample(MODEL_STATE, (label, state), float(state == view.state))
                for state in answers.STATES
            ]
            added += [
                Sample(WINDOWS_JUDGED, (label, verdict), read.judged[model_id, verdict])
                for verdict in VERDICTS
            ]
            added += _of_episodes(label, view.open_episodes)
            added += _transitions(read, label, model_id)
            if label != OTHER:
                single += _moments(label, view)
                single += self._drift(label, view)
                single += self._measured(label, view)
        return summed(added) + single + _alerts(read)

    def _drift(self, label: str, view: answers.ModelView) -> Iterator[Sample]:
        """How far the current version's inputs, and its outcomes, are from their reference."""
        newest = view.newest
        if newest is not None:
            yield from (
                Sample(EFFECT, (label, kind), ratio) for kind, ratio in newest.effects.items()
            )
            if newest.alarm_ratio is not None:
                yield Sample(ALARM, (label, "data_drift"), newest.alarm_ratio)
            if self._bounds.series:
                yield from _top(label, newest, self._bounds.series)
        subject = Scoped(view.model_id, view.version, "all", "outcomes")
        outcomes = self._read.results.get(view.model_id, {}).get(subject)
        if outcomes and outcomes[-1].alarm_ratio is not None:
            yield Sample(ALARM, (label, "concept_drift"), outcomes[-1].alarm_ratio)

    def _measured(self, label: str, view: answers.ModelView) -> Iterator[Sample]:
        """The last value of every metric, of the current version and of the two that were heard of last."""
        of_model = self._read.results.get(view.model_id, {})
        newest = {
            subject: history[-1]
            for subject, history in of_model.items()
            if subject.segment == "all" and history
        }
        for version in _versions(view.version, newest):
            found: dict[str, _Shown] = {}
            for subject in sorted(newest):
                if subject.version == version:
                    # of two scopes that tell the same, what is known of ripe labels comes first: "matured" < "outcomes"
                    found = {**self._values(newest[subject]), **found}
            for name, (value, threshold) in sorted(found.items()):
                if threshold is not None:
                    yield Sample(MODEL_THRESHOLD, (label, version, name), threshold)
                if (quantile := QUANTILES.get(name)) is not None:
                    yield Sample(MODEL_LATENCY, (label, version, quantile), value / 1000)
                else:
                    yield Sample(MODEL_METRIC, (label, version, name), value)
            if version == view.version and "label_coverage" in found:
                yield Sample(MODEL_COVERAGE, (label,), found["label_coverage"].value)

    def _values(self, judged: Judged) -> Mapping[str, _Shown]:
        known = self._known.get(judged.subject)
        if known is None or known[0] != judged.result_id:
            entries = judged.document.get("metrics", {})
            usable = [name for name in entries if _is_number(entries[name].get("value"))]
            # what is called as a metric of ours first; the rest are features that a line is drawn for
            usable.sort(key=lambda name: (name.removesuffix("_estimated") not in OURS, name))
            values = {
                name: _Shown(float(entries[name]["value"]), entries[name].get("threshold"))
                for name in usable[:MOST_METRICS]
            }
            known = self._known[judged.subject] = (judged.result_id, values)
        return known[1]


def of_models(read: ReadModel, now_ms: int) -> list[Sample]:
    """What control knows of models, asked once."""
    return Sampler(read).of_models(now_ms)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _versions(current: str, newest: Mapping[Scoped, Judged]) -> list[str]:
    """The current version, and the two others that were judged last."""
    last: dict[str, int] = {}
    for subject, judged in newest.items():
        last[subject.version] = max(last.get(subject.version, 0), judged.end_ms)
    here = [current] if last.pop(current, None) is not None else []
    return here + sorted(last, key=lambda name: (-last[name], name))[:MAX_OTHER_VERSIONS]


def _top(label: str, newest: Judged, most: int) -> list[Sample]:
    """The series that changed most, in units of the smallest change that matters."""
    ratios = {
        one.series: abs(one.effect.value) / one.effect.floor
        for one in newest.series
        if one.effect is not None and one.effect.floor > 0
    }
    first = sorted(ratios, key=lambda name: (-ratios[name], name))[:most]
    return [Sample(SERIES_EFFECT, (label, name), ratios[name]) for name in first]


def of_delivery(read: ReadModel, delivering: Delivering) -> list[Sample]:
    """What waits for whom, whose circuit is open, and what deserved no message."""
    suppressed = Counter(read.suppressed)
    suppressed.update(delivering.suppressed)
    return [
        *(
            Sample(NOTIFICATIONS_SUPPRESSED, (reason,), suppressed[reason])
            for reason in SUPPRESSIONS
        ),
        *(
            Sample(NOTIFICATION_OLDEST, (name,), ms / 1000)
            for name, ms in sorted(delivering.oldest_ms.items())
        ),
        *(
            Sample(CIRCUIT_OPEN, (name,), float(circuit))
            for name, circuit in sorted(delivering.circuits.items())
        ),
    ]


def _moments(label: str, view: answers.ModelView) -> list[Sample]:
    found: list[Sample] = []
    if view.last_event_ms is not None:
        found.append(Sample(MODEL_LAST_EVENT, (label,), view.last_event_ms / 1000))
    if view.reference is not None and view.reference.end_ms is not None:
        found.append(Sample(MODEL_REFERENCE, (label,), view.reference.end_ms / 1000))
    return found


def _of_episodes(label: str, episodes: tuple[Story, ...]) -> list[Sample]:
    return [
        Sample(EPISODES_OPEN, (label, story.kind, story.latest.severity), 1) for story in episodes
    ]


def _transitions(read: ReadModel, label: str, model_id: str) -> list[Sample]:
    told = Counter(
        event.word for story in answers.stories(read.triggers, model_id) for event in story.history
    )
    return [
        Sample(TRIGGERS, (label, word), told[word] + read.forgotten_transitions[model_id, word])
        for word in TRANSITIONS
    ]


def _alerts(read: ReadModel) -> list[Sample]:
    told = Counter(read.forgotten_alerts)
    for story in answers.stories(read.episodes):
        told.update((story.kind, event.severity, event.word) for event in story.history)
    return [Sample(ALERTS, labels, count) for labels, count in sorted(told.items())]
