"""Who turns the crank? Poll, step, flush, commit: the one place where stages, brokers and the clock meet.

The sentence everything here keeps true: what a stage concluded and the input it concluded it from are committed
together or forgotten together.
"""

import signal
import time
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from types import FrameType

from streams.broker import (
    Aborted,
    Broker,
    Holding,
    Hurried,
    Listening,
    Partition,
    Polled,
    Record,
    Rereading,
    Stage,
)
from streams.errors import Fenced

__all__ = ["FOREVER_MS", "Loop", "Observer", "Outcome", "drain", "run", "stopping"]

FOREVER_MS = 2**62  # a silence that outlasts every idle limit: nothing comes after it
_POLL_S = 0.1  # how long a poll waits for records, and so how late a stop may be noticed
_SHARE = 4  # a commit that took n seconds is followed by at least this many times n without one
_LONGEST_S = 10.0  # but by no more than this: somebody waits for what is concluded


class Outcome(StrEnum):
    """What came of an attempt to commit."""

    NOTHING = "nothing"  # there was nothing to commit
    COMMITTED = "committed"
    ABORTED = "aborted"
    FENCED = "fenced"
    FAILED = "failed"


class Observer:
    """Told what the loop does, so that somebody can count it. This one does not listen."""

    def gained(self, partitions: Sequence[Partition]) -> None:
        """These are this member's now."""

    def dropped(self, partitions: Sequence[Partition]) -> None:
        """These are not any more."""

    def polled(self, polled: Polled, seconds: float) -> None:
        """A poll brought this, and following and stepping it took so many seconds."""

    def committed(self, outcome: Outcome, records: int, seconds: float) -> None:
        """An attempt to commit so many records ended like this."""


@dataclass(slots=True)
class Loop:
    """One stage behind one broker, and the listener that tells the stage which partitions are its own.

    `run` and `drain` turn it; tests that want several members at once turn theirs in any order they like.

    Attributes
    ----------
    topics : sequence of str
        Shared with the other members of the group.
    followed : sequence of str
        Read in full, whoever else reads them.
    state_topic : str or None
        Where a stage keeps its state: partition p of it is restored for partition p of a topic.
        None for a stage that keeps none.
    followed_to_end : bool
        Read the followed topics to their end before every batch. Dearer, but then a stage never steps records older
        than what it follows.
    limit : int
        Records of one poll.
    """

    broker: Broker
    stage: Stage
    topics: Sequence[str]
    followed: Sequence[str] = ()
    state_topic: str | None = None
    followed_to_end: bool = False
    limit: int = 1000
    observe: Observer = field(default_factory=Observer)
    clock: Callable[[], float] = lambda: 0.0
    _owned: dict[Partition, None] = field(default_factory=dict)
    _told: dict[Partition, None] = field(default_factory=dict)  # the stage counts on these
    _untold: dict[Partition, None] = field(default_factory=dict)  # owned; the stage must be told

    def start(self) -> None:
        """Read what is followed, then join the group."""
        if self.followed:
            self.broker.follow(self.followed)
            self._follow(to_end=True)
        self.broker.subscribe(self.topics, self)

    def turn(self, timeout_s: float = 0.0) -> Polled:
        """Poll once and let the stage have what came."""
        if isinstance(self.stage, Holding):
            self.broker.hold(self.stage.held())
        polled = self.broker.poll(self.limit, timeout_s)
        began = self.clock()
        if again := self._tell():
            polled = _without(polled, again)
        if self.followed:
            self._follow(to_end=self.followed_to_end and bool(polled.batches))
        for batch in polled.batches:
            self.stage.step(batch)
        self.observe.polled(polled, self.clock() - began)
        return polled

    def commit(self) -> Outcome:
        """Flush and commit; or have the stage forget everything, to go on with the next turn."""
        work = self.stage.flush()
        if not work.records and not work.offsets:
            return Outcome.NOTHING
        began, outcome = self.clock(), Outcome.FAILED
        try:
            self.broker.commit(work)
            outcome = Outcome.COMMITTED
        except Aborted:
            outcome = Outcome.ABORTED
            self._forget()
        except Fenced:
            outcome = Outcome.FENCED
            raise
        finally:
            self.observe.committed(outcome, len(work.records), self.clock() - began)
        return outcome

    @property
    def owned(self) -> Sequence[Partition]:
        """The partitions that are this member's now, in order."""
        return sorted(self._owned)

    # --------------------------------------------------------------------- the listener: called from inside poll

    def partitions_gained(self, partitions: Sequence[Partition]) -> None:
        """The stage is told after the poll: restoring a state may take longer than a rebalance should."""
        self._owned |= dict.fromkeys(partitions)
        self._untold |= dict.fromkeys(partitions)
        self.observe.gained(partitions)

    def partitions_leaving(self, partitions: Sequence[Partition]) -> None:
        self.commit()
        self._drop(partitions)

    def partitions_lost(self, partitions: Sequence[Partition]) -> None:
        self._forget()
        self._drop(partitions)

    # ---------------------------------------------------------------------------------------------------- inside

    def _forget(self) -> None:
        self.stage.forget()
        self._untold |= self._owned

    def _drop(self, partitions: Sequence[Partition]) -> None:
        self.observe.dropped(partitions)
        for partition in partitions:
            self._owned.pop(partition, None)
            self._untold.pop(partition, None)
            if partition in self._told:
                del self._told[partition]
                self.stage.dropped(partition)

    def _tell(self) -> Collection[Partition]:
        """Tell the stage what is its own now. What it reads again from elsewhere is returned."""
        if not self._untold:
            return ()
        for partition in sorted(self._untold):
            kept: Iterator[Record] = iter(())
            if self.state_topic is not None:
                kept = self.broker.restore(Partition(self.state_topic, partition.number))
            self._told[partition] = None
            self.stage.gained(partition, kept)
            if isinstance(kept, Generator):
                kept.close()  # a stage need not read it to its end
        self._untold.clear()
        if not isinstance(self.stage, Rereading):
            return ()
        again = self.stage.reread(self.broker.places())
        for partition, start in again.items():
            self.broker.reread(partition, start)
        return again.keys()

    def _follow(self, *, to_end: bool) -> None:
        if records := self.broker.followed(to_end=to_end):
            self.stage.follow(records)


def _without(polled: Polled, partitions: Collection[Partition]) -> Polled:
    """What a poll brought, but for these partitions."""
    batches = []
    for batch in polled.batches:
        out = {partition.number for partition in partitions if partition.topic == batch.topic}
        kept = [i for i, number in enumerate(batch.partitions) if number not in out]
        if len(kept) == len(batch.partitions):
            batches.append(batch)
        elif kept:
            batches.append(batch.take(kept))
    return Polled(tuple(batches), polled.ends.difference(partitions))


class _Silence:
    """Which partitions are silent, since when, and when the stage should hear of it."""

    def __init__(self, after_s: float, every_s: float) -> None:
        self._after_s, self._every_s = after_s, every_s
        self._since: dict[Partition, float] = {}
        self._reported: frozenset[Partition] = frozenset()
        self._due = 0.0

    def heard(
        self, polled: Polled, talking: Collection[Partition], now: float
    ) -> Mapping[Partition, int]:
        """What to tell the stage after this poll; mostly nothing."""
        self._since = {
            p: now if p in talking else self._since.get(p, now) for p in sorted(polled.ends)
        }
        silent = {p: at for p, at in self._since.items() if now - at >= self._after_s}
        fresh = silent.keys() - self._reported
        self._reported &= silent.keys()
        if not fresh and (not silent or now < self._due):
            return {}
        self._reported = frozenset(silent)
        self._due = now + self._every_s
        return {p: int((now - at) * 1000) for p, at in silent.items()}


def run(
    broker: Broker,
    stage: Stage,
    *,
    topics: Sequence[str],
    followed: Sequence[str] = (),
    state_topic: str | None = None,
    followed_to_end: bool = False,
    commit_every_s: float = 1.0,
    idle_after_s: float = 1.0,
    idle_every_s: float = 1.0,
    limit: int = 1000,
    stop: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.monotonic,
    observe: Observer | None = None,
) -> None:
    """Turn a stage until `stop` says so; then commit what there is, and leave the group.

    Parameters
    ----------
    commit_every_s : float
        The rhythm of transactions. It stretches while they take long: at most a fifth of the time is spent in them, or
        half of it while a `Hurried` stage has something that somebody waits for.
    idle_after_s, idle_every_s : float
        A partition that brought nothing for so long at its end is reported to the stage, then this often.
    topics, followed, state_topic, followed_to_end, limit
        See `Loop`.

    Raises
    ------
    Fenced
        Another process owns this work now.
    BrokerError
        Nothing more can be done in this process; a new one goes on where the last commit ended.
    """
    loop = Loop(
        broker,
        stage,
        topics,
        followed,
        state_topic,
        followed_to_end,
        limit,
        observe or Observer(),
        clock,
    )
    silence = _Silence(idle_after_s, idle_every_s)
    try:
        loop.start()
        hurried = stage if isinstance(stage, Hurried) else None
        commit_due, not_before = clock() + commit_every_s, clock()
        while not stop():
            polled = loop.turn(_POLL_S)
            now = clock()
            if silent_ms := silence.heard(polled, _talking(stage, polled), now):
                stage.idle(silent_ms)
            urgent = hurried is not None and now >= not_before and hurried.urgent
            if urgent or now >= commit_due:
                loop.commit()
                done = clock()
                not_before = done + (done - now)
                commit_due = done + max(commit_every_s, min(_SHARE * (done - now), _LONGEST_S))
        loop.commit()
    finally:
        broker.close()


def _talking(stage: Stage, polled: Polled) -> Collection[Partition]:
    if isinstance(stage, Listening):
        return stage.heard()
    return {Partition(b.topic, number) for b in polled.batches for number in set(b.partitions)}


def drain(
    broker: Broker,
    stage: Stage,
    *,
    topics: Sequence[str],
    followed: Sequence[str] = (),
    state_topic: str | None = None,
    followed_to_end: bool = False,
    limit: int = 10_000,
    commit_after: int = 50_000,
    observe: Observer | None = None,
) -> None:
    """Let a stage read everything there is, then tell it that nothing comes any more; commit what it concludes.

    The end of the input is a silence of `FOREVER_MS` on every partition. There is no clock in this: `broker` holds a
    log that nobody else writes to, and the caller closes it.

    Parameters
    ----------
    commit_after : int
        Records between two commits.
    """
    loop = Loop(
        broker,
        stage,
        topics,
        followed,
        state_topic,
        followed_to_end,
        limit,
        observe or Observer(),
    )
    loop.start()
    read = 0
    over = False  # the stage knows that nothing comes any more
    while True:
        polled = loop.turn()
        read += sum(len(batch.values) for batch in polled.batches)
        if polled.batches:
            over = False
        elif not over:
            ends = [partition for partition in loop.owned if partition in polled.ends]
            stage.idle(dict.fromkeys(ends, FOREVER_MS))
            over = len(ends) == len(loop.owned)  # nobody reads again, or holds back
        if polled.batches and read < commit_after:
            continue
        read = 0
        outcome = loop.commit()
        if outcome is Outcome.ABORTED:
            over = False
        elif outcome is Outcome.NOTHING and over:
            return


@contextmanager
def stopping() -> Iterator[Callable[[], bool]]:
    """Turn SIGTERM and SIGINT into something `run` can ask: the first drains, the second ends the process at once.

    Use it in the main thread.
    """
    asked = False

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
