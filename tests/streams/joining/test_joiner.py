"""Do labels find their predictions, whatever is read first, fails, dies or is lost?"""

import copy
import random
from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.broker import Partition, Record
from streams.joining.joiner import Joiner
from streams.joining.store import Change, MemoryStore
from streams.loop import FOREVER_MS, Loop, drain
from streams.memory import MemoryBroker, MemoryLog
from streams.messages import Joined, Mark, decode_profile, mark_of
from streams.registry import lifecycle_record
from tests.builders import NAMES, START_MS, event, lifecycle
from tests.streams.joining import plain

MINUTE_MS = 60_000
WINDOW_MS = 6 * MINUTE_MS
SLACK_MS = 2 * MINUTE_MS
PREDICTIONS, LABELS = NAMES("predictions"), NAMES("labels")


def joining(predictions: dict[str, Any] | None = None, **keys: Any) -> Any:
    """A lifecycle whose labels are joined within six minutes. `predictions`: where it has them from."""
    source = {"predictions": predictions or {}, "labels": {}, "join": {"window": "6m"}}
    return lifecycle(
        prediction={"classes": ["yes", "no"], "positive": "yes"}, source=source, **keys
    )


def label(event_id: str, time_ms: int, said: str = "yes", **fields: Any) -> dict[str, Any]:
    """A label that needs its prediction."""
    return {"event_id": event_id, "model_id": "m", "timestamp": time_ms, "label": said} | fields


class Forgetful(MemoryStore):
    """A store that remembers what it held after each write, so that it can be found as an earlier one left it."""

    def __init__(self) -> None:
        super().__init__()
        self.former: list[tuple[bytes | None, dict[int, dict[bytes, bytes]]]] = [(None, {})]

    def write(self, changes: Mapping[bytes, Change], marks: bytes, gone_ms: int) -> None:
        super().write(changes, marks, gone_ms)
        self.former.append((self.marks, copy.deepcopy(self._buckets)))

    def as_found(self, lost: int) -> "Forgetful":
        """As a process finds it whose predecessor died before the last writes had reached the disk."""
        self.former = self.former[: max(1, len(self.former) - lost)]
        self.marks, buckets = self.former[-1]
        self._buckets = copy.deepcopy(buckets)
        return self


class World:
    """A log, and a joiner on it that can die."""

    def __init__(self, partitions: int = 1, **keys: Any) -> None:
        self.log = MemoryLog()
        self.predictions: list[list[dict[str, Any]]] = [[] for _ in range(partitions)]
        self.labels: list[list[dict[str, Any]]] = [[] for _ in range(partitions)]
        for topic in (PREDICTIONS, LABELS, NAMES("outcomes"), NAMES("profiles")):
            self.log.create(topic, partitions)
        self.log.create(NAMES("models"), 1)
        record = lifecycle_record(NAMES, joining(**keys))
        self.log.append(record.topic, record.value, record.key, partition=0)
        self.stores: dict[str, Forgetful] = {}
        self.start()

    def open_store(self, name: str) -> Forgetful:
        return self.stores.setdefault(name, Forgetful())

    def start(self) -> None:
        self.broker = MemoryBroker(self.log, "joiner")
        self.stage = Joiner(NAMES, self.open_store, self.log.partition_count)
        self.loop = Loop(self.broker, self.stage, [PREDICTIONS, LABELS], [NAMES("models")], limit=7)
        self.loop.start()

    def die(self, lost: int = 0) -> None:
        """And start again, with a store that lacks so many of its last writes."""
        self.broker.crash()
        for store in self.stores.values():
            store.as_found(lost)
        self.start()

    def silence(self) -> None:
        """Say who is silent, if nobody has anything to say."""
        polled = self.loop.turn()
        if not polled.batches:
            ends = [p for p in self.loop.owned if p in polled.ends]
            self.stage.idle(dict.fromkeys(ends, FOREVER_MS))

    def predict(self, written: dict[str, Any]) -> None:
        self._write(PREDICTIONS, self.predictions, written)

    def label(self, written: dict[str, Any]) -> None:
        self._write(LABELS, self.labels, written)

    def _write(self, topic: str, into: list[list[dict[str, Any]]], written: dict[str, Any]) -> None:
        key = written["event_id"].encode()
        where = self.log.append(topic, msgspec.json.encode(written), key)
        into[where.number].append(written)

    def drain(self) -> None:
        """Let everything come to its end."""
        self.broker.crash()
        drain(
            MemoryBroker(self.log, "joiner"),
            Joiner(NAMES, self.open_store, self.log.partition_count),
            topics=[PREDICTIONS, LABELS],
            followed=[NAMES("models")],
            limit=7,
        )

    @property
    def written(self) -> list[Record]:
        """The outcomes, without the marks between them."""
        return [r for r in self.log.read(NAMES("outcomes")) if mark_of(r.value) is None]

    @property
    def outcomes(self) -> Counter[tuple[str, int, str, int]]:
        found: Counter[tuple[str, int, str, int]] = Counter()
        for record in self.written:
            assert record.value is not None
            one = msgspec.json.decode(record.value)
            assert record.key == one["event_id"].encode()
            said = msgspec.json.encode(one["label"]).decode()
            found[one["event_id"], one["timestamp"], said, one["weight"]] += 1
        return found

    @property
    def counts(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for record in self.log.read(NAMES("profiles")):
            one = decode_profile(record.value or b"")
            assert isinstance(one, Joined)
            found.update(one.counts)
        return Counter({what: n for what, n in found.items() if n})

    def check(self) -> None:
        """All there is was joined, as it should be."""
        expected = plain.join(self.predictions, self.labels, WINDOW_MS, SLACK_MS)
        counts = self.counts
        counts.pop("unlabelled", None)
        assert self.outcomes == expected.outcomes
        assert counts == Counter({what: n for what, n in expected.counts.items() if n})


def test_a_label_that_finds_its_prediction_is_an_outcome_in_the_names_of_the_contract() -> None:
    world = World(segments=["country"])
    world.predict(
        event(
            event_id="a",
            tags={"country": "DE", "other": 1},
            scores={"yes": 0.5, "no": 0.5},
            model_version="2.0.0",
        )
    )
    world.label(label("a", START_MS + 5_000, "no", label_confidence=0.9))
    world.drain()
    (record,) = world.written
    assert msgspec.json.decode(record.value or b"") == {
        "event_id": "a",
        "model_id": "m",
        "timestamp": START_MS + 5_000,
        "label": "no",
        "label_confidence": 0.9,
        "weight": 1,
        "model_version": "2.0.0",
        "prediction_timestamp": START_MS,
        "prediction": "yes",
        "score": 0.5,
        "scores": {"yes": 0.5, "no": 0.5},
        "tags": {"country": "DE"},
        "features": {"income": 1.0, "home": "rent"},
    }
    world.check()


def test_an_outcome_has_what_can_be_read_of_a_prediction_that_is_not_as_it_should_be() -> None:
    world = World()
    world.predict(event(event_id="odd", features=None, model_version=5, status="who knows"))
    world.predict(event(event_id="failed", status="error"))
    for event_id in ("odd", "failed"):
        world.label(label(event_id, START_MS + 5_000))
    world.drain()
    odd, failed = (msgspec.json.decode(record.value or b"") for record in world.written)
    assert odd["model_version"] == "unversioned"
    assert (odd["prediction"], odd["features"]) == ("yes", {})
    assert failed["features"] == {"income": 1.0, "home": "rent"}
    assert not {"prediction", "score"} & failed.keys()
    world.check()


def test_what_stands_beside_a_prediction_is_kept_until_its_label_comes() -> None:
    world = World(predictions={"fields": {"model_version": "$headers.release"}})
    written = event(event_id="a", model_version="2.0.0")
    value = msgspec.json.encode(written)
    world.log.append(PREDICTIONS, value, b"a", headers=(("release", b"3.0.0"),))
    world.label(label("a", START_MS + 5_000))
    world.drain()
    (record,) = world.written
    assert msgspec.json.decode(record.value or b"")["model_version"] == "3.0.0"


HOUR_MS = 60 * MINUTE_MS


@pytest.mark.parametrize(
    ("silences", "behind_ms"),
    [
        (False, [0, 0, 0, 50_000, 300_000, 800_000]),
        # after a silence, what is as far behind as the horizon may find its prediction gone
        (True, [0, 0, 50_000, 100_000]),
    ],
    ids=["talking", "silent"],
)
@given(seed=st.integers(0, 2**32))
@settings(max_examples=60)
def test_outcomes_and_counts_depend_on_the_two_logs_alone(
    silences: bool, behind_ms: list[int], seed: int
) -> None:
    dice = random.Random(seed)
    world = World(partitions=dice.choice([1, 2, 3]))
    ids = [f"id{n}" for n in range(dice.choice([3, 30]))]
    now = START_MS
    for _ in range(dice.randrange(1, 120)):
        now += dice.choice([0, 100, 20_000, 20_000, 200_000])
        time = now - dice.choice(behind_ms)
        if dice.random() < 0.5:
            world.predict(event(time, event_id=dice.choice(ids)))
        else:
            world.label(label(dice.choice(ids), time, dice.choice(["yes", "no"])))
        chance = dice.random()
        if chance < 0.3:
            world.loop.turn()
        elif chance < 0.4:
            world.loop.commit()
        elif chance < 0.44:
            world.die(dice.choice([0, 1, 3, 1000]))
        elif chance < 0.47:
            world.broker.fail_next_commit()
        elif chance < 0.49 and not world.broker.expired:
            world.broker.expire()
        elif chance < 0.53 and silences:
            world.silence()
    world.drain()
    world.check()


def test_marks_say_how_far_labels_were_joined_and_come_after_what_was() -> None:
    world = World(partitions=2)
    world.predict(event(event_id="a"))
    world.label(label("a", START_MS + 5_000, "no"))
    world.drain()
    seen = 0
    marks: dict[int, Mark] = {}
    for record in world.log.read(NAMES("outcomes")):
        mark = mark_of(record.value)
        if mark is None:
            seen = msgspec.json.decode(record.value or b"")["timestamp"]
            assert record.partition not in marks or marks[record.partition].highest_ms is None
        else:
            assert (mark.labels, mark.partitions, record.partition) == (LABELS, 2, mark.partition)
            marks[mark.partition] = mark
    assert seen == START_MS + 5_000
    assert {mark.highest_ms for mark in marks.values()} == {START_MS + 5_000, None}
    assert all(mark.idle_ms for mark in marks.values()), "nothing more comes"


def test_while_labels_wait_for_their_turn_their_lane_is_not_silent() -> None:
    world = World()
    world.label(label("a", START_MS + 5_000, "no"))
    for _ in range(4):
        world.loop.turn()
        world.loop.commit()
    world.stage.idle({Partition(LABELS, 0): FOREVER_MS})
    world.loop.commit()
    found = [mark_of(r.value) for r in world.log.read(NAMES("outcomes"))]
    assert found
    assert all(mark is not None and mark.idle_ms == 0 for mark in found)
