"""Which topics of predictions and labels must be read together? Those that some lifecycle joins."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain

from streams.broker import Partition
from streams.errors import UsageError
from streams.joining.records import Terms
from streams.joining.shape import Shape
from streams.lifecycle import Lifecycle
from streams.topics import Names

_MS = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Pair:
    """The two topics of a lifecycle whose labels are joined."""

    lifecycle: Lifecycle
    predictions: str
    labels: str


def pairs(lifecycles: Sequence[Lifecycle], names: Names) -> list[Pair]:
    """Of those that join, in the order they are given.

    Raises
    ------
    UsageError
        A topic of labels is one of predictions as well.
    """
    found = []
    for one in lifecycles:
        source = one.source
        if source.labels is None or source.join is None or source.predictions is None:
            continue
        predictions = source.predictions.topic or names("predictions")
        found.append(Pair(one, predictions, source.labels.topic or names("labels")))
    for pair in found:
        for other in found:
            if pair.labels == other.predictions:
                raise UsageError(
                    f"topic {pair.labels} has the labels of {pair.lifecycle.model_id} and the predictions of "
                    f"{other.lifecycle.model_id}: labels are joined from a topic of their own; "
                    "set source.labels.topic, or source.join: false if labels name what was predicted"
                )
    return found


def together(found: Sequence[Pair]) -> list[list[Pair]]:
    """Pairs by what must be read by one process: those that share a topic, in order of their first topic."""
    groups: list[list[Pair]] = []
    for pair in sorted(found, key=lambda p: (p.predictions, p.labels, p.lifecycle.model_id)):
        mine = [
            g
            for g in groups
            if any({p.predictions, p.labels} & {pair.predictions, pair.labels} for p in g)
        ]
        groups = [g for g in groups if g not in mine]
        groups.append([*chain.from_iterable(mine), pair])
    return groups


def shape(group: Sequence[Pair]) -> Shape:
    """How a lane of these pairs looks."""
    labels: dict[str, dict[str, None]] = {}
    idle_ms: dict[str, int] = {}
    for pair in group:
        labels.setdefault(pair.labels, {})[pair.predictions] = None
        idle = pair.lifecycle.monitoring.window.idle // _MS
        idle_ms[pair.predictions] = max(idle, idle_ms.get(pair.predictions, 0))
    return Shape(
        {topic: tuple(sorted(of)) for topic, of in labels.items()},
        idle_ms,
        max(terms(pair.lifecycle).window_ms for pair in group),
        max(pair.lifecycle.monitoring.window.max_ahead // _MS for pair in group),
    )


def terms(lifecycle: Lifecycle) -> Terms:
    """What a lifecycle says about joining. It has a join."""
    join, labels = lifecycle.source.join, lifecycle.monitoring.labels
    assert join is not None
    return Terms(
        join.window // _MS,
        lifecycle.monitoring.window.pane // _MS,
        labels.min_confidence if labels is not None else 0.0,
    )


def check_partitions(found: Sequence[Pair], partition_count: Callable[[str], int]) -> None:
    """Labels meet their predictions only where both have the same number of partitions.

    Raises
    ------
    UsageError
        They have not, or a topic does not exist.
    """
    for pair in found:
        of_predictions, of_labels = map(partition_count, (pair.predictions, pair.labels))
        if of_predictions != of_labels:
            raise UsageError(
                f"{pair.lifecycle.model_id}: topic {pair.labels} has {of_labels} partitions and {pair.predictions} has "
                f"{of_predictions}: labels are joined with predictions by event id, so create {pair.labels} anew with "
                f"{of_predictions} partitions (both keyed by event id, with the same partitioner), or set "
                "source.join: false if labels name what was predicted"
            )


def lanes(group: Sequence[Pair], partition: Partition) -> str:
    """The name of a lane, the same in every life of a process."""
    return f"{min(pair.predictions for pair in group)}-{partition.number}"
