"""What the read model keeps of dead letters: names and numbers, bounded, and never their content."""

import pytest

from streams.broker import Record
from streams.profiling.dead_letters import dead_letter
from streams.profiling.events import DeadLetter
from streams.views.read import ReadModel
from streams.views.rejected import MARK, MOST, MOST_COUNTS, OTHER, Rejected
from tests.streams.published import NAMES

SECRET = b'{"income": 41200'


def letter(offset: int, reason: str = "not_json", topic: str = "loans", at: int = 0) -> Record:
    origin = Record(topic, 0, offset, 5, b"k", SECRET, ())
    out = dead_letter(NAMES, DeadLetter(origin, reason, "it is no JSON"))
    return Record(out.topic, 0, at or offset, 1_000 + offset, out.key, out.value, out.headers)


def test_a_dead_letter_is_known_by_its_headers_alone() -> None:
    read = ReadModel(NAMES)
    assert read.fold(letter(3)) is None
    (found,) = read.rejected.newest()
    assert (found.reason, found.message, str(found.origin)) == (
        "not_json",
        "it is no JSON",
        "loans/0/3",
    )
    assert (found.size, found.group, found.stage) == (len(SECRET), "profiler", "decode")
    assert "41200" not in repr(read.rejected)


def test_the_newest_are_remembered_and_all_are_counted() -> None:
    rejected = Rejected()
    for at in range(MOST + 50):
        rejected.fold(letter(at, "too_deep" if at % 2 else "not_json"))
    assert len(rejected.newest()) == MOST
    assert rejected.newest()[0].origin.offset == MOST + 49
    assert rejected.total == MOST + 50
    assert len(rejected.newest("too_deep")) == MOST // 2
    assert rejected.newest(topic="other") == []


def test_counts_have_a_bound_and_lose_nothing() -> None:
    rejected = Rejected()
    for at in range(MOST_COUNTS + 5):
        rejected.fold(letter(at, f"reason {at}"))
    assert len(rejected.counts) == MOST_COUNTS + 1
    assert rejected.counts[OTHER, OTHER] == 5


def test_a_mark_says_when_it_was_sent_again() -> None:
    rejected = Rejected()
    rejected.fold(letter(1))
    rejected.fold(letter(2))
    rejected.fold(Record("d", 0, 9, 7_000, None, None, ((MARK, b"loans/0/1"),)))
    rejected.fold(Record("d", 1, 9, 8_000, None, None, ((MARK, b"loans/0/2"),)))
    assert {one.origin.offset: one.replayed_ms for one in rejected.newest()} == {1: 7_000, 2: None}


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("leeway.reason", b"not_json"),),
        ((MARK, b"\xff"),),
        (*letter(1).headers, ("__dlq.errors.offset", b"one")),
    ],
)
def test_what_is_none_of_ours_is_unreadable_and_harms_nothing(
    headers: tuple[tuple[str, bytes], ...],
) -> None:
    read = ReadModel(NAMES)
    assert read.fold(Record(NAMES("dead-letters"), 0, 0, 1, None, b"{}", headers)) is not None
    assert read.rejected.newest() == []
