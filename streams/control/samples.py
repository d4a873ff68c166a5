"""What does the read model mean in numbers? Samples for `/metrics`, derived anew for every scrape."""

from collections import Counter
from collections.abc import Sequence

from streams.broker import Partition
from streams.metrics import (
    ALARM,
    ALERTS,
    BUILD,
    CIRCUIT_OPEN,
    EFFECT,
    EPISODES_OPEN,
    HEARTBEAT,
    LAG,
    MODEL_LAST_EVENT,
    MODEL_REFERENCE,
    MODEL_STATE,
    NOTIFICATION_OLDEST,
    NOTIFICATIONS_SUPPRESSED,
    OTHER,
    SUPPRESSIONS,
    TRIGGERS,
    WINDOWS_JUDGED,
    Models,
    Sample,
    summed,
)
from streams.views import answers
from streams.views.deliveries import Delivering
from streams.views.read import ReadModel, Story

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


def of_models(read: ReadModel, now_ms: int) -> list[Sample]:
    """What control knows of models. Moments and ratios of models that share `other` are left out: no sum is one."""
    models, added, single = Models(), list[Sample](), list[Sample]()
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
    return summed(added) + single + _alerts(read)


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
    newest = view.newest
    if newest is not None:
        found += [Sample(EFFECT, (label, kind), ratio) for kind, ratio in newest.effects.items()]
        if newest.alarm_ratio is not None:
            found.append(Sample(ALARM, (label, "data_drift"), newest.alarm_ratio))
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
