"""The page of silences: what holds, what comes, what ended, and who said so."""

from typing import Any

import pytest

from streams.commands import Command, Match, Silence, Unsilence
from streams.views.problems import Problem
from streams.views.read import ReadModel
from tests.streams.console.asking import ask, text
from tests.streams.console.judge import given, outcome
from tests.streams.published import lifecycle, read_model, record

LATER, SOON, PAST = "2026-03-03T00:00:00Z", "2026-03-02T11:00:00Z", "2026-03-02T09:00:00Z"


def silence(name: str, until: str = LATER, **more: Any) -> Silence:
    about: dict[str, Any] = {
        "command_id": name,
        "silence_id": name,
        "model_id": "loans",
        "by": "ann",
    }
    return Silence(until=until, reason="moving house", **(about | more))


def page(*said: tuple[Command, str | None] | Command, **query: str) -> str:
    """The page after commands; those beside an outcome were answered."""
    read = known(*said)
    return text(ask("/silences", read, **query))


def known(*said: tuple[Command, str | None] | Command) -> ReadModel:
    records = [record("models", "lifecycle|loans", lifecycle())]
    for one in said:
        command, refused = one if isinstance(one, tuple) else (one, "waits")
        records.append(given(command))
        if refused != "waits":
            records.append(outcome(command, refused))
    return read_model(*records)


def test_a_silence_says_about_what_until_when_by_whom_and_why() -> None:
    match = Match(kind="data_drift", segment="country=DE")
    said = page((silence("sl-1", match=match), None))
    assert "Nobody is told of" in said
    assert (
        "loans kind data drift, segment country=DE active 03-02 10:00 03-03 00:00 ann moving house"
        in said
    )


def test_silences_stand_under_what_they_are() -> None:
    ended = silence("sl-ended")
    said = page(
        (silence("sl-active"), None),
        silence("sl-waits"),
        (silence("sl-later", from_=SOON), None),
        (silence("sl-over", until=PAST), None),
        (ended, None),
        (Unsilence(command_id="c", model_id="loans", by="bob", silence_id="sl-ended"), None),
        (silence("sl-no"), "invalid"),
    )
    titles = [said.index(one) for one in ("Nobody is told of", "To come", "Ended", "Refused")]
    assert titles == sorted(titles)
    assert said.count("pending 03-02 11:00") == 1
    assert "03-03 00:00 (ended 2026-03-02T10:00Z)" in said
    assert "End silence : it does not hold yet" in said
    assert "refused it is not a command that the judges know, or its times make no sense" in said


def test_a_silence_is_ended_once() -> None:
    waits = Unsilence(command_id="c", model_id="loans", by="bob", silence_id="sl-1")
    said = page((silence("sl-1"), None), waits)
    assert "End silence : asked for already, and waits for the next window (by bob)" in said


def test_only_models_that_are_watched_can_be_silenced() -> None:
    markup = ask("/silences", known())
    assert '<option value="loans">loans</option>' in markup.split("<template>")[1]
    assert "<template>" not in ask("/silences", read_model())


def test_the_list_is_filtered() -> None:
    said = [(silence("sl-1"), None), (silence("sl-2", until=PAST), None)]
    assert "Ended" not in page(*said, status="active").split("Because")[1]
    assert "No silence is like that." in page(*said, status="pending", model="loans")
    assert "Nothing is silenced, and nothing ever was." in page()
    with pytest.raises(Problem, match="bad_request"):
        page(status="?")
