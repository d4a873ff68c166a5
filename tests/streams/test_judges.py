"""Two judges share models, crash, are taken for dead and start again: is every command obeyed once, at its window?"""

import random
from functools import cache
from typing import Any

import pytest

from streams.broker import Partition
from streams.commands import command_record
from streams.judging.judge import Judge
from streams.loop import Loop, Outcome
from streams.memory import MemoryBroker, MemoryLog
from streams.topics import TOPICS
from tests.builders import NAMES, profile
from tests.streams.mishaps import befall
from tests.streams.test_determinism import (
    SAID,
    SLACK,
    fresh_log,
    said,
    said_in_between,
)

PARTITIONS = 3
INPUT = ("leeway.profiles", "leeway.commands")


@cache
def profiled() -> MemoryLog:
    """What profilers counted of two models."""
    log = fresh_log()
    profile(log)
    return log


class Judges:
    """Two members of the judges' group on a log of their own."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.log = MemoryLog()
        for one in TOPICS:
            self.log.create(NAMES(one.name), one.partitions or PARTITIONS)
        for r in profiled().read("leeway.models"):
            self.log.append(r.topic, r.value, r.key, partition=r.partition)
        self._born = self.mishaps = 0
        self._members = [self._start(), self._start()]

    def _start(self) -> tuple[MemoryBroker, Loop]:
        broker = MemoryBroker(self.log, "judge", f"j{self._born}")
        self._born += 1
        loop = Loop(
            broker,
            Judge(NAMES, PARTITIONS, [SLACK]),
            INPUT,
            ["leeway.models"],
            "leeway.state",
            followed_to_end=True,
        )
        loop.start()
        return broker, loop

    def speak(self) -> None:
        """Commands arrive: each of them twice, one on the partition of another model."""
        for command in (*said_in_between(), *said_in_between()):
            record = command_record(NAMES, command)
            self.log.append(record.topic, record.value, record.key)
        foreign = command_record(NAMES, said_in_between()[0])
        for number in range(PARTITIONS):
            self.log.append(foreign.topic, foreign.value, foreign.key, partition=number)

    def count(self) -> None:
        """What was counted arrives."""
        for r in profiled().read("leeway.profiles"):
            self.log.append(r.topic, r.value, r.key, partition=r.partition, headers=r.headers)

    def some_time(self, steps: int) -> None:
        """Let so many things happen."""
        for _ in range(steps):
            self.mishaps += befall(self._members, self._start, self._random, [1, 13, 60])

    def finish(self) -> None:
        """Nothing more happens to them, and they read what is left."""
        quiet = 0
        while quiet < 6:
            before = self._read()
            for _, loop in self._members:
                loop.limit = 200
                polled = loop.turn()
                done = loop.commit() is Outcome.NOTHING and not polled.batches
                quiet = quiet + 1 if done and self._read() == before else 0

    def _read(self) -> list[int]:
        places = [Partition(topic, p) for topic in INPUT for p in range(PARTITIONS)]
        return [self.log.committed("judge", place) for place in places]


def heard(judges: Judges) -> dict[str, list[Any]]:
    """Everything that was said, and which versions answer."""
    models = [(r.key, r.value) for r in judges.log.read("leeway.models")]
    return said(judges.log) | {
        "models": sorted(m for m in models if b"deployment" in (m[0] or b""))
    }


@cache
def undisturbed() -> dict[str, list[Any]]:
    """What judges without mishaps come to."""
    judges = Judges(0)
    judges.speak()
    judges.finish()
    judges.count()
    judges.finish()
    return heard(judges)


def test_the_commands_are_worth_the_trouble() -> None:
    answers = [value for _, value, _ in undisturbed()["results"] if b'"command_id"' in value]
    assert len(answers) == len(said_in_between())
    assert len(undisturbed()["models"]) == 2
    assert set(undisturbed()) == {*SAID, "models"}


@pytest.mark.parametrize("seed", range(3))
def test_two_judges_with_aborts_and_crashes_obey_every_command_once(seed: int) -> None:
    judges = Judges(seed)
    judges.speak()
    judges.some_time(30)
    judges.finish()
    judges.count()
    judges.some_time(250)
    assert judges.mishaps > 10
    judges.finish()
    assert heard(judges) == undisturbed()
