"""One partition of the predictions and the same one of the labels: what is read of both, and what is kept.

Predictions are kept as they are read. Labels wait for their turn: the predictions of their time have been read, or none
come any more. So outcomes are written in the order of the labels, however fast each of the two topics is read, and a
label's offset is committed when it had its turn.

What a lane concludes since the last commit stays in memory until the next one has begun: the store never is ahead of
what is committed. Where it is behind (after a crash), or empty (on another machine), both partitions are read again up
to what is committed, and nothing is said about it.
"""

from collections import Counter, deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from streams.broker import Place, Since
from streams.joining.reading import Read
from streams.joining.records import (
    NOTHING,
    UNLABELLED,
    Fold,
    Found,
    Label,
    Prediction,
    decode,
    encode,
)
from streams.joining.shape import Shape
from streams.joining.store import Change, Store
from streams.joining.waiting import Chunk, Pending, cut, reached

MOST_PENDING = 10_000  # labels that wait for their turn; while there are more none are read
_NEVER = -(2**62)
_ENDLESS = 2**62
_MOST_CHANGES = 50_000  # that wait in memory while a lane is rebuilt


class Marks(msgspec.Struct, array_like=True):
    """What a store was folded from."""

    positions: dict[str, int] = {}  # topic -> next offset
    clocks_ms: dict[str, int] = {}  # topic -> how far its events have come
    floor_ms: int = _NEVER  # what ends before it and its horizon is gone
    open: dict[int, dict[str, int]] = {}  # bucket -> model -> predictions without a truth


class _Note(msgspec.Struct):
    """What is committed beside offsets, for a machine that knows nothing else."""

    floor_ms: int


_pack, _unpack = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder(Marks).decode


@dataclass(slots=True)
class _Unwritten:
    """What the store is told when the commit that it belongs to has happened."""

    changes: dict[bytes, Change] = field(default_factory=dict)
    marks: bytes | None = None


class Lane:
    """See the module. `found` is where conclusions go."""

    def __init__(self, number: int, shape: Shape, fold: Fold, store: Store, found: Found) -> None:
        self.number, self.shape, self.fold = number, shape, fold
        self._store, self._found = store, found
        self._least_idle_ms = min(shape.idle_ms.values())
        self._sealed = _Unwritten()
        self.owned: set[str] = set()
        self.rebuilt = 0  # records that were folded in again
        self._origins: dict[str, int] = {}  # topic -> the first offset that was delivered
        self.forget()

    def gained(self, topic: str) -> None:
        self.owned.add(topic)

    def dropped(self, topic: str) -> None:
        """What was flushed of it is committed, or forgotten."""
        self.settle()
        self.owned.discard(topic)
        self._origins.pop(topic, None)
        self.forget()

    def forget(self) -> None:
        """Nothing is known but what the store has, and nothing is read until it begins anew."""
        self._sealed = _Unwritten()
        self._recall()
        self._silent: dict[str, int] = {}
        self._next: dict[str, int] = {}  # topic -> offset after what was delivered
        self._chunks: dict[str, deque[Chunk]] = {t: deque() for t in self.shape.predictions}
        self._pending: dict[str, deque[Pending]] = {t: deque() for t in self.shape.labels}
        self._full: set[str] = set()
        self._until: dict[str, int] = {}  # what is read again, and up to where
        self._told: dict[str, tuple[int, int]] = {}  # topic -> offset and floor that are committed
        self._told_floor_ms = _NEVER
        self._marked: dict[
            str, tuple[int | None, int]
        ] = {}  # topic of labels -> what was told of it
        self.begun = False

    def _recall(self) -> None:
        marks = _unpack(self._store.marks) if self._store.marks is not None else Marks()
        self._positions, self._clocks = dict(marks.positions), dict(marks.clocks_ms)
        self._floor_ms, self._open = marks.floor_ms, {b: dict(of) for b, of in marks.open.items()}
        self._changes: dict[bytes, Change] = {}
        # topic of labels -> how far they have come, those before their turn too
        self._read_ms = {t: ms for t, ms in marks.clocks_ms.items() if t in self.shape.labels}

    def close(self) -> None:
        self.settle()
        self._store.close()

    def settle(self) -> None:
        """What was flushed is committed: tell the store."""
        sealed, self._sealed = self._sealed, _Unwritten()
        if sealed.marks is None:
            return
        gone_ms = self._gone_ms
        self._store.write(sealed.changes, sealed.marks, gone_ms)
        self._store.drop([bucket for bucket in self._store.buckets() if bucket < gone_ms])

    @property
    def store(self) -> Store:
        return self._store

    # ---- beginning

    @property
    def rebuilding(self) -> bool:
        return bool(self._until)

    @property
    def complete(self) -> bool:
        """All its topics are ours."""
        return len(self.owned) == len(self.shape.topics)

    def begin(self, places: Mapping[str, Place]) -> dict[str, int | Since]:
        """Everything is ours, and this is committed. Returns where to begin to read."""
        floor_ms = max((_floor(place) for place in places.values()), default=_NEVER)
        # the group was set back, or is another one: what the store has may never have been
        ahead = any(t not in places or at > places[t].offset for t, at in self._positions.items())
        if ahead or floor_ms > self._floor_ms + self.shape.reach_ms + self.shape.bucket_ms:
            self._store.erase()
            self._recall()
        known, self.begun = self._positions, True
        starts: dict[str, int | Since] = dict(self._origins)
        for topic, place in places.items():
            starts[topic] = known[topic] if topic in known else self._oldest(floor_ms)
            if starts[topic] != place.offset:
                self._until[topic] = place.offset
        self._told = {topic: (place.offset, floor_ms) for topic, place in places.items()}
        self._told_floor_ms = floor_ms
        if not self._until:
            self._catch_up()
        return starts

    def _catch_up(self) -> None:
        """All that is committed is known again; what was told of what ends before this is not told again."""
        self._floor_ms = max(self._floor_ms, self._told_floor_ms)
        for bucket in [bucket for bucket in self._open if bucket < self._gone_ms]:
            del self._open[bucket]

    def _oldest(self, floor_ms: int) -> int | Since:
        """Where to begin when nothing is known: nothing older than this counts any more."""
        if floor_ms == _NEVER:
            return 0
        oldest_ms = floor_ms - self.shape.reach_ms - self.shape.bucket_ms
        return Since(max(0, oldest_ms - self.shape.max_ahead_ms))

    # ---- what is read

    def take_predictions(self, topic: str, read: Read, end: int) -> None:
        """Predictions were read; `end` is the offset after them."""
        if self._takes(topic, read, end):
            self._chunks[topic].append(Chunk(read, end))

    def take_labels(self, topic: str, read: Read, end: int) -> None:
        """Labels were read."""
        if not self._takes(topic, read, end):
            return
        came = reached(self._read_ms.get(topic, _NEVER), read.times_ms)
        self._read_ms[topic] = came[-1]
        self._pending[topic].extend(
            Pending(
                read.offsets[at],
                came[at],
                key,
                Label(models, read.times_ms[at], came[at + 1], said),
            )
            for at, key, (models, said) in zip(read.at, read.keys, read.rows, strict=True)
        )

    def _takes(self, topic: str, read: Read, end: int) -> bool:
        self._origins.setdefault(topic, read.first)
        if not self.begun:
            return False  # it will be read again
        self._next[topic] = end
        if read.times_ms:
            self._silent.pop(topic, None)
        return True

    def silent(self, topic: str, silent_ms: int) -> None:
        """Nothing has come for so long, and nothing more is there."""
        if topic in self.held():
            return  # it was us who did not read
        self._silent[topic] = silent_ms
        if topic in self._until:
            self._next[topic] = max(self._until[topic], self._next.get(topic, 0))

    def held(self) -> Collection[str]:
        """Topics of which nothing more can be taken now."""
        if not self.begun:
            return self.owned
        if self._until:
            return [topic for topic in self.shape.topics if topic not in self._until]
        for topic, pending in self._pending.items():
            if len(pending) > MOST_PENDING:
                self._full.add(topic)
            elif len(pending) <= MOST_PENDING // 2:
                self._full.discard(topic)
        return [*sorted(self._full), *(t for t in self._chunks if self._is_hasty(t))]

    def _is_hasty(self, topic: str) -> bool:
        """Whether these predictions are so far ahead of their labels that too much would have to be kept."""
        if topic not in self._clocks:
            return False
        least = self._clocks[topic] - self.shape.horizon_ms
        return any(
            topic in of and label not in self._silent and self._read_ms.get(label, _NEVER) < least
            for label, of in self.shape.labels.items()
        )

    # ---- folding

    def pump(self) -> None:
        """Fold in what may be folded in by now."""
        if not self.begun:
            return
        if self._until and not self._again():
            return
        for topic, chunks in self._chunks.items():
            while chunks:
                self._predict(topic, chunks.popleft())
        for topic, pending in self._pending.items():
            self._give_turns(topic, pending)

    def _again(self) -> bool:
        """Fold in, silently, what was committed; whether that is all."""
        found, self._found = self._found, Found()
        for topic, until in list(self._until.items()):
            if topic in self._chunks:
                chunks = self._chunks[topic]
                while chunks and chunks[0].read.first < until:
                    chunk = chunks.popleft()
                    if chunk.end > until and (rest := cut(chunk, until)) is not None:
                        chunks.appendleft(rest)
                    self.rebuilt += len(chunk.read.keys)
                    self._predict(topic, chunk)
            else:
                pending = self._pending[topic]
                turn = [one for one in pending if one.offset < until]
                for _ in turn:
                    pending.popleft()
                self.rebuilt += len(turn)
                self._label(turn)
                self._advance(topic, pending)
            if self._next.get(topic, 0) >= until:
                del self._until[topic]
                self._positions[topic] = until
        self._found = found
        if not self._until:
            self._catch_up()
        if not self._until or len(self._changes) >= _MOST_CHANGES:
            self._keep_rebuilt()
        return not self._until

    def _keep_rebuilt(self) -> None:
        """What was committed long ago need not wait for a commit."""
        self._seal()
        self.settle()

    def _predict(self, topic: str, chunk: Chunk) -> None:
        read = chunk.read
        self._positions[topic] = chunk.end
        if not read.times_ms:
            return
        before = reached(self._clocks.get(topic, _NEVER), read.times_ms)
        changes, fold, slack_ms = self._changes, self.fold, self.fold.slack_ms
        opened: Counter[tuple[int, str]] = Counter()
        known = self._known(read.keys)
        size, gone_ms = self.shape.bucket_ms, self._gone_ms
        terms, times_ms = fold.terms, read.times_ms
        for at, key, (model_id, kept) in zip(read.at, read.keys, read.rows, strict=True):
            time_ms, reached_ms = times_ms[at], before[at]
            bucket = (time_ms // size + 1) * size
            if bucket < gone_ms or model_id not in terms:
                continue
            change = changes.get(key)
            if change is None and known:
                change = known.get(key)
            if change is None:
                if reached_ms > time_ms + slack_ms:
                    continue
                # as `Known((Prediction(…),))` is written, without making them
                changes[key] = bucket, encode((((model_id, time_ms, reached_ms, kept),),))
            else:
                new = Prediction(model_id, time_ms, reached_ms, kept)
                folded = fold.predicted(key, decode(change[1]), new, gone_ms, self._found)
                if folded is None:
                    continue
                changes[key] = max(bucket, change[0]), encode(folded)
            opened[bucket, model_id] += 1
        for (bucket, model_id), n in opened.items():
            of = self._open.setdefault(bucket, {})
            of[model_id] = of.get(model_id, 0) + n
        self._close_labelled()
        self._clocks[topic] = before[-1]

    def _give_turns(self, topic: str, pending: deque[Pending]) -> None:
        limit = min(map(self._reach_of, self.shape.labels[topic]))
        turn = []
        while pending and pending[0].label.turn_ms <= limit:
            turn.append(pending.popleft())
        self._label(turn)
        if topic in self._next:
            self._positions[topic] = pending[0].offset if pending else self._next[topic]
            self._advance(topic, pending)

    def _advance(self, topic: str, pending: deque[Pending]) -> None:
        """How far the labels before the next turn have come."""
        reached_ms = pending[0].before_ms if pending else self._read_ms.get(topic, _NEVER)
        if reached_ms > _NEVER:
            self._clocks[topic] = reached_ms

    def _reach_of(self, topic: str) -> int:
        if self._silent.get(topic, 0) >= self.shape.idle_ms[topic]:
            return _ENDLESS
        return self._clocks.get(topic, _NEVER)

    def _label(self, turn: Sequence[Pending]) -> None:
        if not turn:
            return
        known, changes = self._known([one.key for one in turn]), self._changes
        size, labelled, found = self.shape.bucket_ms, self.fold.labelled, self._found
        for one in turn:
            key, label = one.key, one.label
            change = changes.get(key) or known.get(key)
            before = decode(change[1]) if change else NOTHING
            folded = labelled(key, before, label, found)
            if folded is None:
                continue
            bucket = change[0] if change else 0
            if folded.waiting is not before.waiting:  # it must be there for as long as a prediction
                bucket = max(bucket, (label.time_ms // size + 1) * size)
            changes[key] = bucket, encode(folded)
        self._close_labelled()

    def _close_labelled(self) -> None:
        size, labelled = self.shape.bucket_ms, self._found.labelled
        for one in labelled:
            of = self._open.get((one.time_ms // size + 1) * size)
            if of is not None and one.model_id in of:
                of[one.model_id] -= 1
        labelled.clear()

    def _known(self, keys: Sequence[bytes]) -> Mapping[bytes, Change]:
        """What the store has; nothing waits to be written to it while anything is folded in."""
        changes = self._changes
        return self._store.get([key for key in keys if key not in changes])

    # ---- what leaves

    def flush(self) -> Iterator[tuple[str, int, str]]:
        """Offsets that moved: topic, next offset, note. Afterwards everything is taken for committed."""
        if not self.begun or self._until:
            return
        self._expire()
        note = (
            msgspec.json.encode(_Note(self._floor_ms)).decode() if self._floor_ms > _NEVER else ""
        )
        told = {topic: (offset, self._floor_ms) for topic, offset in self._positions.items()}
        moved = [topic for topic in told if self._told.get(topic) != told[topic]]
        self._told = told
        for topic in moved:
            yield topic, self._positions[topic], note
        if moved:
            self._seal()

    def marks(self) -> Iterator[tuple[str, int | None, int]]:
        """Of topics of labels: up to when they had their turn, and for how long none came; where that has moved."""
        if not self.begun or self._until:
            return
        for topic, pending in self._pending.items():
            silent_ms = 0 if pending else self._silent.get(topic, 0)
            now = self._clocks.get(topic), silent_ms // self._least_idle_ms
            if self._marked.get(topic) != now:
                self._marked[topic] = now
                yield topic, now[0], silent_ms

    @property
    def found(self) -> Found:
        """What was concluded since this was last emptied."""
        return self._found

    def _seal(self) -> None:
        marks = Marks(self._positions, self._clocks, self._floor_ms, self._open)
        self._sealed = _Unwritten(self._changes, _pack(marks))
        self._changes = {}

    def _expire(self) -> None:
        """Move on to what the events of all topics have come to; predictions that no label can reach are told."""
        floor_ms = self._reached_by_all()
        if floor_ms <= self._floor_ms:
            return
        self._floor_ms = floor_ms
        for bucket in sorted(bucket for bucket in self._open if bucket < self._gone_ms):
            for model_id, n in sorted(self._open.pop(bucket).items()):
                terms = self.fold.terms.get(model_id)
                if n and terms is not None:
                    until_ms = bucket + terms.window_ms
                    self._found.count(model_id, terms, until_ms, UNLABELLED, n)

    def _reached_by_all(self) -> int:
        talking = [
            self._clocks.get(topic, _NEVER)
            for topic in self.shape.topics
            if topic not in self._silent or self._pending.get(topic) or self._chunks.get(topic)
        ]
        return min(talking, default=self._floor_ms)

    @property
    def _gone_ms(self) -> int:
        """Buckets that end before this are gone."""
        return self._floor_ms - self.shape.reach_ms


def _floor(place: Place) -> int:
    try:
        return msgspec.json.decode(place.note, type=_Note).floor_ms
    except msgspec.MsgspecError:
        return _NEVER
