from dataclasses import replace
from typing import Any

import pytest

from alerting.silences import LONGEST_MS, Match, Silence, added, matching, split, wrong
from alerting.types import Subject

ABOUT = Subject("loan-default", "2.3.1", "country=DE")
HERE = Silence("s-1", Match(), 100, 200, "ann", "a campaign")


def found(match: Match, series: tuple[str, ...] = ("feature:age",), at_ms: int = 150) -> str | None:
    silence = replace(HERE, match=match)
    return matching([silence], ABOUT, "data_drift", "warning", series, at_ms)


@pytest.mark.parametrize(("at_ms", "holds"), [(99, False), (100, True), (199, True), (200, False)])
def test_a_silence_holds_from_its_beginning_until_its_end(at_ms: int, holds: bool) -> None:
    assert (found(Match(), at_ms=at_ms) == "s-1") is holds


@pytest.mark.parametrize(
    ("match", "matches"),
    [
        ({}, True),
        ({"version": "2.3.1"}, True),
        ({"version": "2.4.0"}, False),
        ({"segment": "country=DE"}, True),
        ({"segment": "all"}, False),
        ({"kind": "data_drift"}, True),
        ({"kind": "performance"}, False),
        ({"severity": "warning"}, True),
        ({"severity": "error"}, False),
        ({"series": "feature:age"}, True),
        ({"series": "age"}, True),
        ({"series": "missing:age"}, False),
        ({"series": "feature:ag"}, False),
        ({"version": "2.3.1", "kind": "performance"}, False),
    ],
)
def test_a_silence_is_about_what_matches_all_it_says(match: dict[str, Any], matches: bool) -> None:
    assert (found(Match(**match)) == "s-1") is matches


@pytest.mark.parametrize(
    ("series", "matches"),
    [
        ((), False),
        (("age",), True),
        (("feature:age", "missing:age", "joint:age"), True),
        (("feature:age", "feature:plan"), False),
    ],
)
def test_what_joins_a_silenced_series_is_heard(series: tuple[str, ...], matches: bool) -> None:
    assert (found(Match(series="age"), series) == "s-1") is matches


def test_the_first_that_matches_is_named() -> None:
    others = [replace(HERE, id="s-0", until_ms=101), HERE, replace(HERE, id="s-2")]
    assert matching(others, ABOUT, "pipeline", "error", (), 150) == "s-1"
    assert matching([], ABOUT, "pipeline", "error", (), 150) is None


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, None),
        ({"by": " "}, "nobody asked for it"),
        ({"reason": ""}, "it has no reason"),
        ({"until_ms": 100}, "it ends before it begins"),
        ({"from_ms": 10, "until_ms": 50}, "it is over already"),
        ({"until_ms": 100 + LONGEST_MS}, None),
        ({"until_ms": 101 + LONGEST_MS}, "it lasts longer than 30 days"),
        ({"from_ms": 300, "until_ms": 400}, None),
    ],
)
def test_a_silence_needs_a_person_a_reason_and_an_end(
    changes: dict[str, Any], why: str | None
) -> None:
    assert wrong(replace(HERE, **changes), at_ms=50) == why


def test_a_silence_of_the_same_id_takes_the_place_of_the_former() -> None:
    early, late = replace(HERE, id="s-0"), replace(HERE, id="s-2")
    longer = replace(HERE, until_ms=300)
    assert added(added(added((), late), HERE), early) == (early, HERE, late)
    assert added((early, HERE, late), longer) == (early, longer, late)


def test_silences_that_are_over_are_told_apart() -> None:
    soon = replace(HERE, id="s-2", from_ms=500, until_ms=600)
    assert split((HERE, soon), 199) == ((HERE, soon), ())
    assert split((HERE, soon), 200) == ((soon,), (HERE,))
