"""Starting control: what is wrong is one line before anything is joined or opened, and an outage is not a flood."""

import logging

import pytest

from streams.broker import Partition
from streams.control.app import _Seldom, run
from streams.control.committed import Progress
from streams.errors import UsageError

A, B = Partition("a", 0), Partition("b", 0)


def line(created: float) -> logging.LogRecord:
    record = logging.LogRecord("aiokafka", logging.ERROR, "", 0, "again", None, None)
    record.created = created
    return record


def test_what_a_library_tries_again_is_worth_a_line_a_minute() -> None:
    seldom = _Seldom()
    passed = [moment for moment in range(1000, 1130, 10) if seldom.filter(line(moment))]
    assert passed == [1000, 1060, 1120]


def test_an_open_address_without_tokens_is_refused_before_kafka_is_asked() -> None:
    with pytest.raises(UsageError, match=r"http\.host"):
        run({"bootstrap.servers": "127.0.0.1:1"}, host="0.0.0.0")


def test_control_has_caught_up_when_all_that_was_there_at_the_start_is_folded() -> None:
    folded = {A: 0, B: 0}
    progress = Progress()

    def caught_up() -> bool:
        return progress.caught_up(("a", "b"), lambda partition: folded[partition])

    assert not caught_up(), "no partition was assigned yet"
    progress.starts = {A: 3}
    progress.reached = {A: 3}
    assert not caught_up(), "a topic has no partition yet"
    progress.starts[B] = 5
    progress.reached[B] = 4
    assert not caught_up(), "the reader is behind"
    progress.handed_on = {B: 4}
    progress.reached[B] = 5  # the last record was aborted: there is nothing more to hand on
    assert not caught_up(), "handed on, but not yet folded"
    folded[B] = 4
    assert caught_up()
