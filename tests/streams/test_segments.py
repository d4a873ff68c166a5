"""Which segments does an event count for, and do they add up?"""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.reference.build import Reference
from streams.lifecycle import Lifecycle
from streams.profiling.columns import columns
from streams.segments import encode as encoded
from streams.segments import name_of
from tests.builders import (
    START_MS,
    Counted,
    encode,
    event,
    lifecycle,
    profiled,
    reference,
    stream,
)

COUNTRIES = ["DE", "FR", "a=b,c|d%"]


def tagged(n: int, **tags: list[Any]) -> list[dict[str, Any]]:
    """Seeded predictions whose tags take these values in turn; `...` is a tag left out."""
    out = []
    for i, e in enumerate(stream(n, step_ms=10)):
        of = {name: values[i % len(values)] for name, values in tags.items()}
        out.append(e | {"tags": {name: v for name, v in of.items() if v is not ...}})
    return out


def by_segment(
    events: list[Any], of: Lifecycle, built: Reference, **settings: Any
) -> dict[str, Counted]:
    """What each segment comes to, in one pane."""
    return {
        key[2]: one for key, one in profiled(encode(events), of, built, **settings).counted.items()
    }


def events_of(found: dict[str, Counted]) -> dict[str, int]:
    """How many events each segment has."""
    return {segment: one.events for segment, one in found.items()}


COUNTRY = lifecycle(segments=["country"])


def test_a_value_that_the_reference_knows_is_a_segment_of_its_own() -> None:
    built = reference(COUNTRY, tagged(600, country=["DE", "DE", "FR"]))
    assert [s.segment for s in built.segments] == ["country=DE", "country=FR"]
    new = tagged(5, country=["DE", "FR", "IT", None, ...])
    assert events_of(by_segment(new, COUNTRY, built)) == {
        "country=DE": 1,
        "country=FR": 1,
        "country=(other)": 1,
        "country=(none)": 2,
    }


@pytest.mark.parametrize("value", [[], {}, ["DE"]])
def test_a_tag_that_is_no_single_value_is_none(value: Any) -> None:
    built = reference(COUNTRY, tagged(600, country=["DE"]))
    assert events_of(by_segment([event(tags={"country": value})], COUNTRY, built)) == {
        "country=(none)": 1
    }


@pytest.mark.parametrize("tags", [None, "DE", ["DE"], 7])
def test_tags_that_are_no_object_have_no_values(tags: Any) -> None:
    built = reference(COUNTRY, tagged(600, country=["DE"]))
    found = by_segment([event(tags=tags), event(tags={"country": "DE"})], COUNTRY, built)
    assert events_of(found) == {"country=(none)": 1, "country=DE": 1}


def test_true_and_one_are_two_segments_whatever_comes_first() -> None:
    values: list[Any] = [True, 1, 1.0, "true", "1", False, 0]
    built = reference(COUNTRY, tagged(700, country=values))
    expected = {
        "country=true": 2,
        "country=1": 2,
        "country=1.0": 1,
        "country=false": 1,
        "country=0": 1,
    }
    events = tagged(7, country=values)
    for turned in range(7):
        found = by_segment(events[turned:] + events[:turned], COUNTRY, built)
        assert events_of(found) == expected


def test_what_has_a_meaning_in_names_is_percent_encoded() -> None:
    built = reference(COUNTRY, tagged(600, country=COUNTRIES))
    found = by_segment(tagged(3, country=COUNTRIES), COUNTRY, built)
    assert "country=a%3Db%2Cc%7Cd%25" in found
    assert all(one.events == 1 for one in found.values())
    assert {s.segment for s in built.segments} == set(found)


@given(st.text(max_size=20))
def test_a_name_holds_no_separator_and_no_control_character(text: str) -> None:
    name = encoded(text)
    assert not {"|", ",", "="} & set(name)
    assert all(ord(c) >= 32 and not 127 <= ord(c) < 160 for c in name)


@given(st.text(max_size=10), st.text(max_size=10))
def test_different_values_have_different_names(a: str, b: str) -> None:
    assert (encoded(a) == encoded(b)) == (a == b)


def test_a_long_value_is_cut_to_64_characters() -> None:
    built = reference(COUNTRY, tagged(600, country=["x" * 100]))
    assert [s.segment for s in built.segments] == ["country=" + "x" * 64]
    assert events_of(by_segment(tagged(1, country=["x" * 80]), COUNTRY, built)) == {
        "country=" + "x" * 64: 1
    }


def test_groupings_are_sorted_by_name() -> None:
    assert name_of([("country", "DE"), ("channel", "web")]) == "channel=web,country=DE"


CROSSED = lifecycle(segments=["country", "channel", {"by": ["country", "channel"]}])


def test_combinations_have_a_reference_and_counts_of_their_own() -> None:
    rows = tagged(1200, country=["DE", "DE", "FR"], channel=["web", "app"])
    built = reference(CROSSED, rows)
    combined = [s.segment for s in built.segments if "," in s.segment]
    assert combined == [
        "channel=app,country=DE",
        "channel=app,country=FR",
        "channel=web,country=DE",
        "channel=web,country=FR",
    ]
    new = tagged(4, country=["DE", "IT", "FR", ...], channel=["web", "web", "tv", "app"])
    found = by_segment(new, CROSSED, built)
    assert {name: one.events for name, one in found.items() if "," in name} == {
        "channel=web,country=DE": 1,
        "channel=(other),country=(other)": 3,
    }


def test_the_events_of_every_grouping_are_all_events() -> None:
    built = reference(CROSSED, tagged(1200, country=["DE", "FR"], channel=["web", "app", "tv"]))
    new = tagged(90, country=["DE", "IT", ...], channel=["web", "x", 1, None])
    found = by_segment(new, CROSSED, built)
    for grouping in ("country=", "channel=", "channel=,country="):
        name = grouping.partition("=")[0]
        mine = [
            one.events
            for segment, one in found.items()
            if segment.startswith(f"{name}=") and ("," in segment) == ("," in grouping)
        ]
        assert sum(mine) == 90


def test_a_reference_knows_the_most_frequent_values_and_calls_the_rest_other() -> None:
    of = lifecycle(segments=[{"name": "country", "max_values": 2}])
    rows = tagged(1000, country=["DE"] * 5 + ["FR"] * 3 + ["IT", ...])
    built = reference(of, rows)
    assert {s.segment: s.events for s in built.segments} == {
        "country=DE": 500,
        "country=FR": 300,
        "country=(other)": 100,
        "country=(none)": 100,
    }
    assert events_of(by_segment(tagged(10, country=["IT"]), of, built)) == {"country=(other)": 10}


def test_a_model_has_no_more_than_two_hundred_known_segments() -> None:
    of = lifecycle(segments=[{"name": "a", "max_values": 150}, {"name": "b", "max_values": 150}])
    values: list[Any] = [str(i) for i in range(160)]
    read = columns(of, encode(tagged(320, a=values, b=values)))
    sizes = {name: len(set(rows)) for name, rows in read.segments.items()}
    assert sizes == {"a": 151, "b": 51}


def test_ten_thousand_new_values_are_one_segment_and_one_group() -> None:
    of = lifecycle(segments=["country", "channel", {"by": ["country", "channel"]}])
    built = reference(of, tagged(600, country=["DE"], channel=["web"]))
    new = [
        event(START_MS + i, tags={"country": f"c{i}", "channel": f"w{i}"}) for i in range(10_000)
    ]
    assert set(by_segment(new, of, built)) == {
        "country=(other)",
        "channel=(other)",
        "channel=(other),country=(other)",
    }


@settings(max_examples=30)
@given(st.lists(st.sampled_from(["DE", "FR", "IT", 1, True, None, 2.5]), min_size=1, max_size=40))
def test_the_segments_of_a_grouping_add_up_to_all_exactly(values: list[Any]) -> None:
    rows = tagged(len(values), country=values)
    whole = profiled(encode(rows), lifecycle(), PLAIN).only
    parts = by_segment(rows, COUNTRY, SEGMENTED)
    assert sum(one.events for one in parts.values()) == whole.events
    for series, cells in whole.cells.items():
        added = [
            sum(column)
            for column in zip(*(one.cells[series] for one in parts.values()), strict=True)
        ]
        assert added == cells


PLAIN = reference(lifecycle(), tagged(600, country=["DE", "FR", 1, True]))
SEGMENTED = reference(COUNTRY, tagged(600, country=["DE", "FR", 1, True]))
