"""Does the loop commit or forget work and its input together, and tell stages what they must know, when they must?"""

import signal
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.broker import Batch, Outgoing, Partition, Polled, Record, Work
from streams.errors import BrokerError, Fenced
from streams.loop import FOREVER_MS, Loop, Observer, Outcome, drain, run, stopping
from streams.memory import MemoryBroker, MemoryLog
from tests.integration.counting import Counting

SOURCE, SINK, STATE, MODELS = "source", "sink", "state", "models"
ALL = [Partition(SOURCE, 0), Partition(SOURCE, 1)]


@dataclass
class Clock:
    """Stands still unless it is moved."""

    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Diary:
    """A stage that writes down what it is told, and concludes one record per batch and per silence."""

    told: list[tuple[str, object]] = field(default_factory=list)
    work: Work = field(default_factory=Work)

    def gained(self, partition: Partition, kept: Iterator[Record]) -> None:
        self.told.append(("gained", partition))

    def dropped(self, partition: Partition) -> None:
        self.told.append(("dropped", partition))

    def follow(self, records: Sequence[Record]) -> None:
        self.told.append(("follow", [record.value for record in records]))

    def step(self, batch: Batch) -> None:
        self.told.append(("step", list(batch.values)))
        for number, offset in zip(batch.partitions, batch.offsets, strict=True):
            self.work.offsets[Partition(batch.topic, number)] = offset + 1
        self.work.records.append(Outgoing(SINK, None, b"%d" % len(batch.values)))

    def idle(self, silent_ms: Mapping[Partition, int]) -> None:
        self.told.append(("idle", dict(silent_ms)))

    def flush(self) -> Work:
        work, self.work = self.work, Work()
        return work

    def forget(self) -> None:
        self.told.append(("forget", None))
        self.work = Work()

    def said(self, kind: str) -> list[object]:
        return [what for name, what in self.told if name == kind]


@dataclass
class Hurrying(Diary):
    @property
    def urgent(self) -> bool:
        return bool(self.work.records)


@dataclass
class Noted(Observer):
    outcomes: list[tuple[Outcome, int]] = field(default_factory=list)
    records: int = 0

    def polled(self, polled: Polled, seconds: float) -> None:
        self.records += sum(len(batch.values) for batch in polled.batches)

    def committed(self, outcome: Outcome, records: int, seconds: float) -> None:
        self.outcomes.append((outcome, records))


class Slow(MemoryBroker):
    """Commits take time."""

    clock = Clock()
    seconds = 0.0

    def commit(self, work: Work) -> None:
        self.clock.now += self.seconds
        super().commit(work)


@pytest.fixture
def log() -> MemoryLog:
    log = MemoryLog()
    for topic, partitions in ((SOURCE, 2), (SINK, 1), (STATE, 2), (MODELS, 1)):
        log.create(topic, partitions)
    return log


def script(clock: Clock, *steps: Callable[[], object] | float) -> Callable[[], bool]:
    """A `stop` that before each turn does something, or moves the clock by so many seconds, and then stops."""
    remaining = iter(steps)

    def stop() -> bool:
        for step in remaining:
            if isinstance(step, float):
                clock.now += step
            else:
                step()
            return False
        return True

    return stop


def written(log: MemoryLog, topic: str = SINK) -> list[bytes | None]:
    return [record.value for record in log.read(topic)]


# --------------------------------------------------------------------------------------------------------------- run


def test_work_is_committed_when_due_and_not_before(log: MemoryLog) -> None:
    clock, stage = Clock(), Diary()
    log.append(SOURCE, b"1", partition=0)
    seen: list[int] = []
    steps: list[Callable[[], object] | float] = [
        0.0,
        0.5,
        lambda: seen.append(len(written(log))),
        0.6,
        lambda: seen.append(len(written(log))),
    ]
    run(
        MemoryBroker(log, "g"),
        stage,
        topics=[SOURCE],
        commit_every_s=1.0,
        clock=clock,
        stop=script(clock, *steps),
    )
    assert seen == [0, 1]
    assert log.committed("g", ALL[0]) == 1


def test_a_hurried_stage_is_committed_at_once(log: MemoryLog) -> None:
    clock, stage = Clock(), Hurrying()
    log.append(SOURCE, b"1", partition=0)
    seen: list[int] = []
    steps: list[Callable[[], object] | float] = [0.0, lambda: seen.append(len(written(log)))]
    run(MemoryBroker(log, "g"), stage, topics=[SOURCE], clock=clock, stop=script(clock, *steps))
    assert seen == [1]


def test_stop_commits_what_there_is_and_leaves_the_group(log: MemoryLog) -> None:
    clock, broker = Clock(), MemoryBroker(log, "g")
    log.append(SOURCE, b"1", partition=0)
    run(broker, Diary(), topics=[SOURCE], clock=clock, stop=script(clock, 0.0))
    assert written(log) == [b"1"]
    with pytest.raises(BrokerError, match="closed"):
        broker.poll(1, 0.0)


def test_nothing_concluded_is_no_transaction(log: MemoryLog) -> None:
    clock, noted = Clock(), Noted()
    steps = [2.0] * 5
    run(
        MemoryBroker(log, "g"),
        Diary(),
        topics=[SOURCE],
        clock=clock,
        stop=script(clock, *steps),
        observe=noted,
    )
    assert noted.outcomes == []


def test_an_aborted_commit_is_forgotten_and_read_again(log: MemoryLog) -> None:
    clock, stage, noted = Clock(), Diary(), Noted()
    broker = MemoryBroker(log, "g")
    log.append(SOURCE, b"1", partition=0)
    broker.fail_next_commit()
    run(
        broker,
        stage,
        topics=[SOURCE],
        clock=clock,
        stop=script(clock, 2.0, 2.0),
        observe=noted,
    )
    gained = [("gained", partition) for partition in ALL]
    step = ("step", [b"1"])
    told = [(name, what) for name, what in stage.told if name != "idle"]
    assert told == [*gained, step, ("forget", None), *gained, step]
    assert noted.outcomes == [(Outcome.ABORTED, 1), (Outcome.COMMITTED, 1)]
    assert written(log) == [b"1"]


def test_the_commit_interval_stretches_when_commits_take_long(log: MemoryLog) -> None:
    clock, noted = Clock(), Noted()
    broker = Slow(log, "g")
    broker.clock, broker.seconds = clock, 2.0

    def append() -> None:
        log.append(SOURCE, b"1", partition=0)
        clock.now += 1.0

    run(
        broker,
        Diary(),
        topics=[SOURCE],
        commit_every_s=1.0,
        clock=clock,
        stop=script(clock, *[append] * 18),
        observe=noted,
    )
    # At once due after 1 s, then 8 s after each commit of 2 s, and the last one at the end.
    assert len(noted.outcomes) == 4


def test_silence_is_told_when_it_begins_to_matter_and_then_once_a_second(log: MemoryLog) -> None:
    clock, stage = Clock(), Diary()
    steps: list[Callable[[], object] | float] = [0.0, *[0.25] * 8]
    steps += [lambda: log.append(SOURCE, b"1", partition=1), *[0.25] * 4]
    run(MemoryBroker(log, "g"), stage, topics=[SOURCE], clock=clock, stop=script(clock, *steps))
    first, second = ALL
    assert stage.said("idle") == [
        {first: 1000, second: 1000},
        {first: 2000, second: 2000},
        {first: 3000, second: 1000},  # a second after its record
    ]


def test_a_partition_with_a_backlog_is_not_silent(log: MemoryLog) -> None:
    clock, stage = Clock(), Diary()
    for n in range(20):
        log.append(SOURCE, b"%d" % n, partition=0)
    run(
        MemoryBroker(log, "g"),
        stage,
        topics=[SOURCE],
        limit=1,
        clock=clock,
        stop=script(clock, *[1.0] * 15),
    )
    assert stage.said("idle")
    assert all(ALL[0] not in told for told in stage.said("idle") if isinstance(told, dict))


def test_what_is_followed_comes_before_what_is_stepped(log: MemoryLog) -> None:
    clock, stage = Clock(), Diary()
    log.append(MODELS, b"old")

    def both() -> None:
        log.append(SOURCE, b"1", partition=0)
        log.append(MODELS, b"new")

    run(
        MemoryBroker(log, "g"),
        stage,
        topics=[SOURCE],
        followed=[MODELS],
        followed_to_end=True,
        clock=clock,
        stop=script(clock, both),
    )
    told = [(name, what) for name, what in stage.told if name in ("follow", "step")]
    assert told == [("follow", [b"old"]), ("follow", [b"new"]), ("step", [b"1"])]


def test_a_fenced_process_ends_and_says_so(log: MemoryLog) -> None:
    clock, noted = Clock(), Noted()
    log.append(SOURCE, b"1", partition=0)
    broker = MemoryBroker(log, "g", "same")

    class Meanwhile(Diary):
        def flush(self) -> Work:
            MemoryBroker(log, "g", "same")
            return super().flush()

    with pytest.raises(Fenced):
        run(
            broker,
            Meanwhile(),
            topics=[SOURCE],
            clock=clock,
            stop=script(clock, 0.0, 2.0),
            observe=noted,
        )
    assert noted.outcomes == [(Outcome.FENCED, 1)]
    assert written(log) == []


def test_the_first_signal_asks_to_stop_and_the_second_ends_the_process() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stopping() as stop:
        assert not stop()
        signal.raise_signal(signal.SIGTERM)
        assert stop()
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGTERM) is before


# ---------------------------------------------------------------------------------------------------------- rebalances


def test_what_leaves_is_committed_first_and_dropped_then(log: MemoryLog) -> None:
    stage = Diary()
    first = Loop(MemoryBroker(log, "g", "a"), stage, [SOURCE])
    first.start()
    log.append(SOURCE, b"1", partition=1)
    first.turn()
    second = Loop(MemoryBroker(log, "g", "b"), Diary(), [SOURCE])
    second.start()
    first.turn()
    assert stage.told[-1] == ("dropped", ALL[1])
    assert written(log) == [b"1"]
    assert log.committed("g", ALL[1]) == 1
    second.turn()
    assert (first.owned, second.owned) == ([ALL[0]], [ALL[1]])


def test_what_is_lost_is_never_committed(log: MemoryLog) -> None:
    stage, broker = Diary(), MemoryBroker(log, "g", "a")
    loop = Loop(broker, stage, [SOURCE])
    loop.start()
    log.append(SOURCE, b"1", partition=1)
    loop.turn()
    broker.expire()
    loop.turn()
    assert ("forget", None) in stage.told
    assert stage.said("dropped") == ALL
    assert stage.said("gained") == ALL * 2
    assert stage.said("step") == [[b"1"]] * 2
    assert written(log) == []


def test_an_abort_while_partitions_leave_forgets_and_then_drops(log: MemoryLog) -> None:
    stage, broker = Diary(), MemoryBroker(log, "g", "a")
    first = Loop(broker, stage, [SOURCE])
    first.start()
    log.append(SOURCE, b"0", partition=0)
    log.append(SOURCE, b"1", partition=1)
    first.turn()
    broker.fail_next_commit()
    Loop(MemoryBroker(log, "g", "b"), Diary(), [SOURCE]).start()
    first.turn()
    assert stage.told[-4:] == [
        ("forget", None),
        ("dropped", ALL[1]),
        ("gained", ALL[0]),
        ("step", [b"0"]),
    ]


def test_a_state_is_restored_for_the_partition_that_was_gained(log: MemoryLog) -> None:
    for value in (b"x", b"x", b"y"):
        log.append(SOURCE, value, partition=1)
    for life in range(3):
        log.append(SOURCE, b"x", partition=life % 2)
        broker = MemoryBroker(log, "g", f"{life}")
        loop = Loop(broker, Counting(SINK, STATE), [SOURCE], state_topic=STATE)
        loop.start()
        loop.turn()
        assert loop.commit() is Outcome.COMMITTED
        broker.crash()
    auditor = MemoryBroker(log, "auditor")
    kept = [(r.key, r.value) for n in range(2) for r in auditor.restore(Partition(STATE, n))]
    assert kept == [(b"x", b"2"), (b"y", b"1"), (b"x", b"3")]


ACTIONS = st.sampled_from(["turn", "commit", "abort", "crash", "expire", "leave", "join", "write"])


@settings(max_examples=200)
@given(st.lists(st.tuples(ACTIONS, st.integers(0, 3)), max_size=60))
def test_whatever_happens_to_members_each_event_is_counted_once(
    actions: list[tuple[str, int]],
) -> None:
    log = MemoryLog()
    for topic, partitions in ((SOURCE, 3), (SINK, 2), (STATE, 3)):
        log.create(topic, partitions)
    produced: Counter[bytes] = Counter()
    members: dict[int, Loop] = {}

    def join(number: int) -> Loop:
        broker = MemoryBroker(log, "g", f"{number}")
        loop = Loop(broker, Counting(SINK, STATE), [SOURCE], state_topic=STATE, limit=2)
        loop.start()
        return loop

    def write(number: int) -> None:
        for n in range(5):
            produced[b"%d" % (n % 2)] += 1
            log.append(SOURCE, b"%d" % (n % 2), partition=number % 3)

    for action, number in actions:
        if action == "write":
            write(number)
        elif action == "join":
            members[number] = join(number)  # if it is there, this fences it
        elif number in members:
            loop = members[number]
            broker = loop.broker
            assert isinstance(broker, MemoryBroker)
            if action == "turn":
                loop.turn()
            elif action == "commit":
                loop.commit()
            elif action == "abort":
                broker.fail_next_commit()
            elif action == "expire" and not broker.expired:
                broker.expire()
            elif action == "crash":
                members.pop(number)
                broker.crash()
            elif action == "leave":
                members.pop(number)
                loop.commit()
                broker.close()
    for loop in members.values():
        assert isinstance(loop.broker, MemoryBroker)
        loop.broker.crash()
    write(0)
    drain(MemoryBroker(log, "g", "last"), Counting(SINK, STATE), topics=[SOURCE], state_topic=STATE)
    counted: Counter[bytes] = Counter()
    for record in log.read(SINK):
        counted[record.key or b""] += int(record.value or b"")
    kept: Counter[bytes] = Counter()
    for n in range(3):
        for record in MemoryBroker(log, "auditor").restore(Partition(STATE, n)):
            kept[record.key or b""] += int(record.value or b"")
    assert counted == produced
    assert kept == produced


# ------------------------------------------------------------------------------------------------------------- drain


def test_drain_reads_everything_and_then_tells_that_nothing_comes_any_more(log: MemoryLog) -> None:
    @dataclass
    class Closing(Diary):
        def idle(self, silent_ms: Mapping[Partition, int]) -> None:
            super().idle(silent_ms)
            self.work.records.append(Outgoing(SINK, None, b"the last window"))

    stage = Closing()
    for n in range(25):
        log.append(SOURCE, b"%d" % n, partition=n % 2)
    drain(MemoryBroker(log, "g"), stage, topics=[SOURCE], limit=10, commit_after=10)
    assert stage.said("idle") == [dict.fromkeys(ALL, FOREVER_MS)]
    assert written(log) == [b"10", b"10", b"5", b"the last window"]
    assert [log.committed("g", partition) for partition in ALL] == [13, 12]


def test_drain_tells_the_end_again_when_its_last_commit_came_to_nothing(log: MemoryLog) -> None:
    stage, broker = Diary(), MemoryBroker(log, "g")
    log.append(SOURCE, b"1", partition=0)
    broker.fail_next_commit()
    drain(broker, stage, topics=[SOURCE])
    assert len(stage.said("idle")) == 2
    assert written(log) == [b"1"]
