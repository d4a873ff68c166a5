"""Which dead letters are sent again, what exactly is sent, and that none is sent twice."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.broker import Outgoing, Record
from streams.profiling.dead_letters import KEPT_BYTES, dead_letter
from streams.profiling.events import DeadLetter
from streams.topics import MAX_MESSAGE_BYTES, Names
from streams.views.rejected import Origin
from streams.views.resubmission import CAME_FROM, Letters, Wanted, again, mark, refusal, together

NAMES = Names()
THERE = {"loans": 4, "leeway.predictions": 1}


def event(offset: int = 0, **more: object) -> Record:
    given = {
        "topic": "loans",
        "partition": 2,
        "timestamp_ms": 5,
        "key": b"k",
        "value": b"{",
        "headers": (),
    }
    return Record(offset=offset, **(given | more))  # type: ignore[arg-type]


def refused(origin: Record, reason: str = "not_json") -> Outgoing:
    return dead_letter(NAMES, DeadLetter(origin, reason, "it cannot be read"))


def logged(outgoing: Iterable[Outgoing], partition: int = 1) -> list[Record]:
    """What a partition of the topic holds after this was written to it."""
    return [
        Record(one.topic, partition, at, 1_000 + at, one.key, one.value, one.headers)
        for at, one in enumerate(outgoing)
    ]


def seen(records: Iterable[Record], **wanted: object) -> Letters:
    letters = Letters(Wanted(**wanted))  # type: ignore[arg-type]
    for record in records:
        letters.see(record)
    return letters


@given(
    key=st.none() | st.binary(max_size=9),
    value=st.binary(min_size=1, max_size=99),
    headers=st.lists(
        st.tuples(
            st.sampled_from(("trace", "leeway.reason", "__dlq.errors.topic", "content-type")),
            st.binary(max_size=5),
        ),
        max_size=5,
    ),
)
def test_what_is_sent_again_is_byte_for_byte_what_was_refused(
    key: bytes | None, value: bytes, headers: list[tuple[str, bytes]]
) -> None:
    origin = event(17, key=key, value=value, headers=tuple(headers))
    (record,) = logged([refused(origin)])
    (letter,) = seen([record]).newest()
    found = again(record, letter)
    assert found == Outgoing(
        "loans", key, value, (*headers, (CAME_FROM, b"loans/2/17")), partition=2
    )


def test_a_mark_lies_behind_its_dead_letter_and_says_which_one_it_is() -> None:
    first, second = refused(event(1)), refused(event(2))
    (record, _) = logged([first, second])
    (letter,) = seen([record]).newest()
    marked = mark(NAMES, record, letter)
    assert (marked.topic, marked.partition, marked.value) == ("leeway.dead-letters", 1, None)
    letters = seen(logged([first, second, marked]))
    assert [letters.is_marked(one) for one in letters.newest()] == [True, False]


def test_a_topic_that_was_made_anew_has_new_records_in_old_places() -> None:
    one = refused(event(1))
    (letter,) = seen(logged([one])).newest()
    marked = mark(NAMES, logged([one])[0], letter)
    (again_refused,) = seen(logged([one, marked, one])).newest()
    assert again_refused.offset == 2
    assert not seen(logged([one, marked, one])).is_marked(again_refused)


def test_what_was_sent_again_and_refused_again_can_be_sent_once_more() -> None:
    record = logged([refused(event(1))])[0]
    (letter,) = seen([record]).newest()
    sent = again(record, letter)
    refused_again = refused(event(9, headers=sent.headers))
    both = logged([refused(event(1)), mark(NAMES, record, letter), refused_again])
    letters = seen(both)
    assert [letters.is_marked(one) for one in letters.newest()] == [True, False]
    third = again(both[2], letters.newest()[1])
    assert third.headers == ((CAME_FROM, b"loans/2/9"),)


@pytest.mark.parametrize(
    ("origin", "why"),
    [
        (event(), None),
        (event(topic="leeway.predictions", partition=0), None),
        (event(value=b"x" * MAX_MESSAGE_BYTES), "only the beginning of its 2,097,152 bytes was kept"),
        (event(value=None), "it has no value"),
        (event(value=b""), "it has no value"),
        (event(topic="gone"), "topic gone does not exist any more"),
        (event(partition=4), "topic loans has 4 partitions now: there is no 4"),
        (event(topic="leeway.alerts"), "leeway.alerts is Leeway's own: only its roles write there"),
    ],
)  # fmt: skip
def test_what_cannot_be_sent_again_says_why(origin: Record, why: str | None) -> None:
    (letter,) = seen(logged([refused(origin)])).newest()
    assert refusal(letter, THERE, NAMES) == why
    if letter.truncated:
        assert len(refused(origin).value or b"") == KEPT_BYTES


def test_only_what_fits_is_taken() -> None:
    records = logged(
        [refused(event(1)), refused(event(2), "too_deep"), refused(event(3, topic="x"))]
    )
    assert [one.origin.offset for one in seen(records, reason="too_deep").newest()] == [2]
    assert [one.origin.offset for one in seen(records, topic="x").newest()] == [3]
    assert [one.origin.offset for one in seen(records, since_ms=1_001).newest()] == [2, 3]
    letters = seen(records)
    chosen = {(1, 1): letters.newest()[1]}
    sent, marked = together(NAMES, records, chosen)
    assert (sent.topic, marked.topic) == ("loans", "leeway.dead-letters")


def test_a_long_list_keeps_the_newest_and_counts_all() -> None:
    letters = Letters(Wanted(), most=3)
    for record in logged([refused(event(at)) for at in range(20)]):
        letters.see(record)
    assert [one.origin.offset for one in letters.newest()] == [17, 18, 19]
    assert letters.counts == {("loans", "not_json"): 20}


def test_what_is_no_dead_letter_is_counted_apart() -> None:
    letters = seen(
        [
            event(headers=(("leeway.reason", b"x"),)),
            event(),
            event(headers=(("leeway.replayed", b"a"),)),
        ]
    )
    assert (letters.newest(), letters.unreadable) == ([], 3)


@given(st.text(max_size=20), st.integers(0, 99), st.integers(0, 10**12))
def test_an_origin_is_read_as_it_was_written(topic: str, partition: int, offset: int) -> None:
    one = Origin(topic, partition, offset)
    assert Origin.read(str(one)) == one
