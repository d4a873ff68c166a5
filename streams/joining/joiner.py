"""The stage between labels and profiler: a label that finds its prediction becomes an outcome on `leeway.outcomes`.

Partition p of the predictions and partition p of the labels make a lane, read by one process: `streams.joining.lane`
is what happens in it, and `streams.joining.records` has the rules.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from streams.broker import Batch, Outgoing, Partition, Place, Record, Since, Work
from streams.formats.unpacking import AS_IT_IS, Unpack
from streams.joining.lane import Lane
from streams.joining.pairs import Pair, lanes, pairs, shape, terms, together
from streams.joining.reading import (
    LabelReading,
    PredictionReading,
    read_labels,
    read_predictions,
    sliced,
)
from streams.joining.records import Fold, Found, Prediction, Terms
from streams.joining.store import Size, Store
from streams.lifecycle import Lifecycle
from streams.messages import KIND, Joined, Mark, encode_mark, encode_profile
from streams.profiling.events import Topic
from streams.registry import Registry
from streams.topics import Names

__all__ = ["Joiner", "Seen"]


@dataclass(slots=True)
class Seen:
    """What the metrics want to know of the time since the last flush."""

    events: Counter[str] = field(default_factory=Counter)  # by topic
    joins: Counter[str] = field(default_factory=Counter)  # what became of labels


class Joiner:
    """See `streams.broker.Stage` for what is called when.

    Parameters
    ----------
    names : full topic names
    open_store : the store of a lane, by the lane's name
    partition_count : how many partitions a topic has
    unpack : makes JSON of what a topic's records may be; as it is, no schema is known
    """

    def __init__(
        self,
        names: Names,
        open_store: Callable[[str], Store],
        partition_count: Callable[[str], int],
        unpack: Unpack = AS_IT_IS,
    ) -> None:
        self._names, self._open_store, self._unpack = names, open_store, unpack
        self._partition_count = partition_count
        self._registry = Registry()
        self._compiled = -1
        self._terms: dict[str, Terms] = {}  # shared with all lanes
        self._readings: dict[str, PredictionReading] = {}  # by model
        self._predictions: dict[str, Topic] = {}
        self._labels: dict[str, list[Topic]] = {}
        self._group_of: dict[str, list[Pair]] = {}  # by topic
        self._lanes: dict[str, Lane] = {}
        self._lane_of: dict[Partition, Lane] = {}
        self._heard: dict[Partition, None] = {}
        self.seen = Seen()

    @property
    def topics(self) -> tuple[str, ...]:
        """Every topic that is joined for a registered lifecycle, sorted."""
        self._compile()
        return tuple(sorted([*self._predictions, *self._labels]))

    @property
    def rebuilding(self) -> int:
        """Records that were read again since this process began, while some lane still reads."""
        return sum(lane.rebuilt for lane in self._lanes.values() if lane.rebuilding)

    @property
    def lanes(self) -> tuple[str, ...]:
        """The names of those that are ours."""
        return tuple(self._lanes)

    def close(self) -> None:
        """Let go of the stores. What was not committed is void."""
        for lane in self._lanes.values():
            lane.close()
        self._lanes.clear()
        self._lane_of.clear()

    def size(self) -> Size:
        """What all stores take."""
        sizes = [lane.store.size() for lane in self._lanes.values()]
        return Size(sum(s.disk_bytes for s in sizes), sum(s.memory_bytes for s in sizes))

    # ---- what the loop calls

    def gained(self, partition: Partition, kept: Iterator[Record]) -> None:
        self._settle()
        self._compile()
        group = self._group_of.get(partition.topic)
        if group is None:
            return  # no lifecycle joins it any more; its partitions leave with the next subscription
        name = lanes(group, partition)
        lane = self._lanes.get(name)
        if lane is None:
            of = shape(group)
            fold = Fold(self._terms, of.slack_ms, self._members)
            lane = Lane(partition.number, of, fold, self._open_store(name), Found())
            self._lanes[name] = lane
        lane.gained(partition.topic)
        self._lane_of[partition] = lane

    def reread(self, places: Mapping[Partition, Place]) -> Mapping[Partition, int | Since]:
        starts: dict[Partition, int | Since] = {}
        for lane in self._lanes.values():
            if lane.begun or not lane.complete:
                continue
            mine = {p.topic: at for p, at in places.items() if self._lane_of.get(p) is lane}
            for topic, start in lane.begin(mine).items():
                starts[Partition(topic, lane.number)] = start
        return starts

    def dropped(self, partition: Partition) -> None:
        lane = self._lane_of.pop(partition, None)
        if lane is None:
            return
        lane.dropped(partition.topic)
        if not lane.owned:
            lane.close()
            self._lanes = {name: one for name, one in self._lanes.items() if one is not lane}

    def follow(self, records: Sequence[Record]) -> None:
        self._registry.apply(records)

    def forget(self) -> None:
        for lane in self._lanes.values():
            lane.forget()
        self._empty()

    def held(self) -> Collection[Partition]:
        return [
            Partition(topic, lane.number) for lane in self._lanes.values() for topic in lane.held()
        ]

    def heard(self) -> Collection[Partition]:
        """Partitions that brought usable events since this was last asked."""
        heard, self._heard = self._heard, {}
        return heard.keys()

    def step(self, batch: Batch) -> None:
        """Decode a batch, and fold in what has its turn."""
        self._settle()
        self._compile()
        self.seen.events[batch.topic] += len(batch.values)
        predictions, labels = self._predictions.get(batch.topic), self._labels.get(batch.topic)
        if predictions is not None:
            batch = self._unpack(batch, predictions.formats)
            reads = read_predictions(predictions, batch)
        elif labels is not None:
            batch = self._unpack(batch, frozenset().union(*(topic.formats for topic in labels)))
            reads = read_labels(labels, batch)
        else:
            return
        last = dict(zip(batch.partitions, batch.offsets, strict=True))
        for number, read in reads.items():
            partition = Partition(batch.topic, number)
            lane = self._lane_of.get(partition)
            if lane is None:
                continue
            if read.times_ms:
                self._heard[partition] = None
            if predictions is not None:
                lane.take_predictions(batch.topic, read, last[number] + 1)
            else:
                lane.take_labels(batch.topic, read, last[number] + 1)
            lane.pump()

    def idle(self, silent_ms: Mapping[Partition, int]) -> None:
        """Labels do not wait for predictions that do not come, nor predictions for labels."""
        self._settle()
        for partition, silent in sorted(silent_ms.items()):
            if (lane := self._lane_of.get(partition)) is not None:
                lane.silent(partition.topic, silent)
        for lane in self._lanes.values():
            lane.pump()

    def flush(self) -> Work:
        """Outcomes, what became of labels, and the offsets all this used up."""
        self._settle()
        work = Work()
        for lane in self._lanes.values():
            for topic, offset, note in lane.flush():
                partition = Partition(topic, lane.number)
                work.offsets[partition] = offset
                if note:
                    work.notes[partition] = note
        for lane in self._lanes.values():
            work.records += self._outcomes(lane)
        work.records += self._joined()
        self._empty()
        return work

    # ---- inside

    def _outcomes(self, lane: Lane) -> Iterator[Outgoing]:
        """What a lane has joined, then how far it has come: in one partition, so that they stay in this order."""
        topic = self._names("outcomes")
        number = lane.number % self._partition_count(topic)
        for key, value in lane.found.outcomes:
            yield Outgoing(topic, key, value, (), number)
        for labels, highest_ms, idle_ms in lane.marks():
            of = self._partition_count(labels)
            mark = Mark(labels, lane.number, of, highest_ms, idle_ms)
            yield Outgoing(topic, None, encode_mark(mark), (), number)

    def _joined(self) -> Iterator[Outgoing]:
        header = ((KIND, b"joined"),)
        counts_of: defaultdict[tuple[str, int], Counter[str]] = defaultdict(Counter)
        for lane in self._lanes.values():
            for place, n in lane.found.counts.items():
                for what, many in n.items():
                    counts_of[place][what] += many
        for (model_id, pane), counted in sorted(counts_of.items()):
            counts = {what: n for what, n in sorted(counted.items()) if n}
            self.seen.joins.update({what: n for what, n in counted.items() if n > 0})
            if counts:
                value = encode_profile(Joined(model_id, pane, counts))
                yield Outgoing(self._names("profiles"), model_id.encode(), value, header)

    def _members(self, one: Prediction) -> bytes:
        return self._readings[one.model_id].members(one.kept, one.time_ms)

    def _empty(self) -> None:
        for lane in self._lanes.values():
            lane.found.outcomes.clear()
            lane.found.counts.clear()

    def _settle(self) -> None:
        for lane in self._lanes.values():
            lane.settle()

    def _compile(self) -> None:
        """Make everything that follows from the registered lifecycles; lanes stay until their topics leave."""
        if self._compiled == self._registry.revision:
            return
        self._compiled = self._registry.revision
        registered = {
            model_id: found
            for model_id in self._registry.models
            if (found := self._registry.get(model_id)) is not None
        }
        joined = pairs([one.lifecycle for one in registered.values()], self._names)
        self._terms.clear()
        self._terms |= {pair.lifecycle.model_id: terms(pair.lifecycle) for pair in joined}
        self._group_of = {
            topic: group
            for group in together(joined)
            for pair in group
            for topic in (pair.predictions, pair.labels)
        }
        self._readings.clear()
        predictions: defaultdict[str, list[PredictionReading]] = defaultdict(list)
        labels: defaultdict[str, defaultdict[Any, list[Lifecycle]]] = defaultdict(
            lambda: defaultdict(list)
        )
        for pair in joined:
            one = registered[pair.lifecycle.model_id]
            wanted = sliced(one.lifecycle)
            reading = PredictionReading(one.lifecycle, self._names, wanted)
            self._readings[reading.model_id] = reading
            predictions[pair.predictions].append(reading)
            labels[pair.labels][_mapping(one.lifecycle)].append(one.lifecycle)
        self._predictions = {topic: Topic(of) for topic, of in predictions.items()}
        self._labels = {
            topic: [Topic([LabelReading(group, self._names)]) for group in of.values()]
            for topic, of in labels.items()
        }


def _mapping(lifecycle: Lifecycle) -> object:
    """Equal for lifecycles that read a label in the same way."""
    source = lifecycle.source.labels
    assert source is not None
    fields = sorted((name, repr(path)) for name, path in source.fields.items())
    ahead = lifecycle.monitoring.window.max_ahead
    return repr((fields, source.filter, source.timestamp_unit, ahead))
