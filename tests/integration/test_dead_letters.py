"""Dead letters on a real broker: listed, sent again once, and never twice."""

import io
import json
import uuid
from contextlib import redirect_stdout
from typing import Any

import pytest

from streams.broker import Record
from streams.cli.app import run
from streams.kafka.admin import create_topics
from streams.kafka.commands import Tail, Writer
from streams.kafka.once import Once
from streams.local_kafka import AnyBroker
from streams.profiling.dead_letters import dead_letter
from streams.profiling.events import DeadLetter
from streams.topics import Names
from streams.views.resubmission import CAME_FROM, Letters, Wanted, together

pytestmark = pytest.mark.kafka


class Place:
    """A prefix of topics on a broker, and the command on it."""

    def __init__(self, kafka: AnyBroker, prefix: str) -> None:
        self.names, self.properties = Names(prefix), {"bootstrap.servers": kafka.bootstrap}
        self.source = self.names("predictions")
        create_topics(self.properties, self.names, partitions=2, more={self.source: 3})

    def refuse(self, *reasons: str, value: bytes | None = b'{"a": 1') -> None:
        """Write a dead letter for each reason, from partition 2 of the source."""
        writer = Writer(self.properties)
        for at, reason in enumerate(reasons):
            origin = Record(self.source, 2, at, 1, None, value, (("trace", b"t"),))
            writer.write(dead_letter(self.names, DeadLetter(origin, reason, "so it is")))
        writer.flush()

    def read(self, topic: str) -> list[Record]:
        found: list[Record] = []
        with Tail(self.properties, [topic]) as tail:
            while not tail.at_end:
                found += tail.read()
        return found

    def run(self, *arguments: str) -> tuple[int, Any]:
        told = io.StringIO()
        with redirect_stdout(told):
            brokers = self.properties["bootstrap.servers"]
            code = run(["dead-letters", *arguments, "--brokers", brokers, "--json"])
        return code, json.loads(told.getvalue())


@pytest.fixture
def place(kafka: AnyBroker, monkeypatch: pytest.MonkeyPatch) -> Place:
    prefix = f"letters-{uuid.uuid4().hex[:10]}."
    monkeypatch.setenv("LEEWAY_TOPICS_PREFIX", prefix)
    return Place(kafka, prefix)


def test_what_was_refused_is_listed_and_sent_again_once(place: Place) -> None:
    place.refuse("timestamp_unit", "timestamp_unit", "not_json")
    _, listed = place.run("list")
    assert listed["counts"] == [
        {"topic": place.source, "reason": "not_json", "count": 1},
        {"topic": place.source, "reason": "timestamp_unit", "count": 2},
    ]
    dry = place.run("replay", "--dry-run")
    assert dry == (0, {"dry_run": True, "sent": {place.source: 3}, "sent_before": 0, "refused": []})
    assert place.read(place.source) == []
    code, done = place.run("replay", "--reason", "timestamp_unit")
    assert (code, done["sent"]) == (0, {place.source: 2})
    sent = place.read(place.source)
    assert {(one.partition, one.value) for one in sent} == {(2, b'{"a": 1')}
    assert {dict(one.headers)[CAME_FROM] for one in sent} == {
        f"{place.source}/2/{at}".encode() for at in (0, 1)
    }
    code, rest = place.run("replay")
    assert (code, rest["sent"], rest["sent_before"]) == (0, {place.source: 1}, 2)
    assert place.run("replay")[1]["sent"] == {}
    assert len(place.read(place.source)) == 3
    assert [one["replayed"] for one in place.run("list")[1]["items"]] == [True] * 3


def test_what_cannot_be_sent_again_is_told_and_ends_with_one(place: Place) -> None:
    place.refuse("empty", value=None)
    code, told = place.run("replay")
    assert (code, told["sent"], told["refused"][0]["because"]) == (1, {}, "it has no value")


def test_whoever_replays_at_the_same_time_sends_nothing_twice(place: Place) -> None:
    place.refuse(*["not_json"] * 20)
    name = f"{place.names.prefix}dead-letters.replay"
    slow = Once(place.properties, name)
    letters, records = Letters(Wanted()), place.read(place.names("dead-letters"))
    for record in records:
        letters.see(record)
    chosen = {(one.partition, one.offset): one for one in letters.newest()}
    assert place.run("replay")[1]["sent"] == {place.source: 20}
    with pytest.raises(Exception, match="another process owns this work now"):
        slow.write(together(place.names, records, chosen))
    assert len(place.read(place.source)) == 20
