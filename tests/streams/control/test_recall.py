"""Records are read again once, together, and not for ever."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from streams.broker import Partition, Record
from streams.control.recall import Recall
from streams.errors import BrokerError
from streams.views.places import Place
from streams.views.problems import Problem

RESULTS = Partition("leeway.results", 0)


class Log:
    """Stands for Kafka: says what it was asked for, and fails as often as it is told to."""

    def __init__(self, failures: int = 0) -> None:
        self.asked: list[list[int]] = []
        self.opened = self.closed = 0
        self._failures = failures

    def open(self) -> "Log":
        self.opened += 1
        return self

    def read(self, places: Sequence[Place], within_s: float) -> Mapping[Place, Record | None]:
        self.asked.append([offset for _, offset in places])
        if len(self.asked) <= self._failures:
            raise BrokerError("away", retry=True)
        return {
            place: None if place[1] == 404 else Record(*place[0], place[1], 0, b"m", b"x" * 10)
            for place in places
        }

    def close(self) -> None:
        self.closed += 1


async def offsets(recall: Recall, *wanted: int) -> list[int | None]:
    found = await asyncio.gather(*(recall(RESULTS, offset) for offset in wanted))
    return [None if record is None else record.offset for record in found]


def test_what_is_asked_for_at_once_is_read_together_and_once() -> None:
    log = Log()

    async def ask() -> None:
        recall = Recall(log.open)
        assert await offsets(recall, 5, 3, 5, 404) == [5, 3, 5, None]
        assert await offsets(recall, 3) == [3]
        await recall.stop()

    asyncio.run(ask())
    assert log.asked == [[5, 3, 404]]
    assert (log.opened, log.closed) == (1, 1)


def test_only_as_many_records_are_remembered_as_fit() -> None:
    log = Log()

    async def ask() -> None:
        recall = Recall(log.open, cached_bytes=25)
        for offset in (1, 2, 3, 3, 1):
            await offsets(recall, offset)
        await recall.stop()

    asyncio.run(ask())
    assert log.asked == [[1], [2], [3], [1]]


def test_a_log_that_does_not_answer_is_a_problem_and_is_opened_anew() -> None:
    log = Log(failures=1)

    async def ask() -> None:
        recall = Recall(log.open)
        with pytest.raises(Problem, match="not_ready"):
            await recall(RESULTS, 1)
        assert await offsets(recall, 1) == [1]
        await recall.stop()

    asyncio.run(ask())
    assert (log.opened, log.closed) == (2, 2)
