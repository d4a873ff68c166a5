"""The page of dead letters: how many of each reason, what each means, where they came from; never their content."""

from streams.broker import Record
from streams.console.dead_letters import REASONS
from streams.profiling.dead_letters import dead_letter
from streams.profiling.events import DeadLetter
from streams.views.read import ReadModel
from tests.streams.console.asking import ask, text
from tests.streams.published import NAMES, NOW_MS, read_model
from tests.test_documentation import MESSAGES, rows


def dead(offset: int, reason: str = "not_json", topic: str = "loans.scored") -> Record:
    origin = Record(topic, 2, offset, NOW_MS, b"k", b"SECRET of somebody", ())
    letter = dead_letter(NAMES, DeadLetter(origin, reason, f"{reason}: no more than this"))
    return Record(letter.topic, 0, 0, NOW_MS, letter.key, letter.value, tuple(letter.headers))


def again(offset: int, topic: str = "loans.scored") -> Record:
    marked = (("leeway.replayed", f"{topic}/2/{offset}".encode()),)
    return Record(NAMES("dead-letters"), 0, 0, NOW_MS, None, None, marked)


def known() -> ReadModel:
    return read_model(dead(1), dead(2), dead(3, "empty", "churn.scored"), again(2))


def test_reasons_are_counted_explained_and_followed_by_what_to_do() -> None:
    said = text(ask("/dead-letters", known()))
    assert "not_json 2 loans.scored: 2 it is not UTF-8, or not JSON see the producer's serializer" in said  # fmt: skip
    assert "empty 1 churn.scored: 1 the value is null or has no bytes" in said


def test_the_newest_say_where_they_came_from_and_never_what_they_held() -> None:
    markup = ask("/dead-letters", known())
    assert "loans.scored/2/1 18 B profiler decode –" in text(markup)
    assert "loans.scored/2/2 18 B profiler decode again" in text(markup)
    assert "SECRET" not in markup


def test_they_are_filtered_by_reason_and_topic() -> None:
    newest = text(ask("/dead-letters", known(), reason="empty", topic="")).split("The newest")[1]
    assert "churn.scored/2/3" in newest
    assert "loans.scored/2/1" not in newest
    newest = text(ask("/dead-letters", known(), topic="loans.scored")).split("The newest")[1]
    assert "churn.scored/2/3" not in newest


def test_a_reason_that_is_not_known_sends_to_its_message() -> None:
    assert "read the message below" in text(ask("/dead-letters", read_model(dead(1, "full_moon"))))


def test_every_reason_that_there_is_is_explained() -> None:
    described = [row[0].strip("`") for row in rows(MESSAGES, "The whole event: a dead letter")]
    assert sorted(REASONS) == sorted(described)


def test_nothing_rejected_is_said() -> None:
    assert "Nothing was rejected." in text(ask("/dead-letters", read_model()))
