"""What does each defect of an event cost (contracts §1.3), whoever its neighbours are?"""

import json
import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.broker import Record
from streams.errors import InvalidEvent
from streams.profiling.events import Topic
from streams.profiling.fields import FIRST_MS, LAST_MS, parse_time
from streams.profiling.reading import PREDICTIONS, Reading
from streams.profiling.wire import MAX_BYTES, parse, sound, sound_alone
from tests.builders import (
    NAMES,
    START_MS,
    Profiled,
    encode,
    event,
    lifecycle,
    profiled,
    reference,
    small,
    stream,
)

SURROGATE = b'"\\ud800"'
TYPES = {"feature:income": "number", "feature:home": "category", "score": "number"}


def raw(**members: bytes) -> bytes:
    """An event some of whose members are written in a way that no encoder would."""
    good = {name: msgspec.json.encode(value) for name, value in event().items()} | members
    return b"{" + b",".join(b'"%b":%b' % (n.encode(), v) for n, v in good.items()) + b"}"


def with_features(**values: bytes) -> bytes:
    """The same for its features."""
    good = {"income": b"1.0", "home": b'"rent"'} | values
    return raw(
        features=b"{" + b",".join(b'"%b":%b' % (n.encode(), v) for n, v in good.items()) + b"}"
    )


def deep(levels: int) -> bytes:
    """An event of so many levels, in a member that nobody declared."""
    return raw(more=b"[" * (levels - 1) + b"]" * (levels - 1))


@dataclass(frozen=True)
class Costs:
    """What an event costs: all of it (`dead`), or some fields."""

    dead: str | None = None
    invalid: dict[str, str] = field(default_factory=dict)
    violations: dict[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    odd: tuple[str, ...] = ()  # invalid, or not in the reference
    absent: tuple[str, ...] = ()  # not an event of this series at all
    version: str = "1.0.0"


GOOD = Costs()
TABLE: dict[str, tuple[bytes | None, Costs]] = {
    "good": (raw(), GOOD),
    "null": (None, Costs(dead="empty")),
    "empty": (b"", Costs(dead="empty")),
    "blank": (b"  ", Costs(dead="not_json")),
    "not UTF-8": (b"\xff\xfe\x00", Costs(dead="not_json")),
    "not UTF-8 where nobody looks": (raw(more=b'"\xe9"'), Costs(dead="not_json")),
    "not UTF-8 in a name": (raw()[:-1] + b',"\xe9":1}', Costs(dead="not_json")),
    "truncated": (raw()[:40], Costs(dead="not_json")),
    "two objects": (raw() + raw(), Costs(dead="not_json")),
    "a byte order mark": (b"\xef\xbb\xbf" + raw(), Costs(dead="not_json")),
    "a list": (b"[" + raw() + b"]", Costs(dead="not_object")),
    "a text": (b'"income"', Costs(dead="not_object")),
    "a number": (b"17", Costs(dead="not_object")),
    "null in JSON": (b"null", Costs(dead="not_object")),
    "NaN alone": (b"NaN", Costs(dead="not_object")),
    "32 levels": (deep(32), GOOD),
    "33 levels": (deep(33), Costs(dead="too_deep")),
    "32 levels of objects": (
        raw(more=b'{"a":' * 30 + b"{}" + b"}" * 30),
        GOOD,
    ),
    "33 levels of objects": (
        raw(more=b'{"a":' * 31 + b"{}" + b"}" * 31),
        Costs(dead="too_deep"),
    ),
    "40 brackets side by side": (raw(more=b"[" + b",".join([b"{}"] * 40) + b"]"), GOOD),
    "40 brackets in a text": (raw(more=b'"' + b"[" * 40 + b'"'), GOOD),
    "1,000 levels": (deep(1_000), Costs(dead="too_deep")),
    "100,000 levels": (deep(100_000), Costs(dead="too_deep")),
    "a list of 100,000 levels": (b"[" * 100_000, Costs(dead="too_deep")),
    "as large as allowed": (raw(more=b'"%b"' % (b"x" * (MAX_BYTES - len(raw()) - 10))), GOOD),
    "a byte too large": (
        raw(more=b'"%b"' % (b"x" * (MAX_BYTES - len(raw()) - 9))),
        Costs(dead="too_large"),
    ),
    "no model id": (encode([event(model_id=...)])[0], Costs(dead="model_id")),
    "model id null": (raw(model_id=b"null"), Costs(dead="model_id")),
    "model id a number": (raw(model_id=b"7"), Costs(dead="model_id")),
    "model id empty": (raw(model_id=b'""'), Costs(dead="model_id")),
    "model id with a blank": (raw(model_id=b'"my model"'), Costs(dead="model_id")),
    "model id with a line break": (raw(model_id=b'"m\\n"'), Costs(dead="model_id")),
    "model id of 101 characters": (raw(model_id=b'"%b"' % (b"m" * 101)), Costs(dead="model_id")),
    "model id with half a character": (raw(model_id=SURROGATE), Costs(dead="model_id")),
    "no timestamp": (encode([event(timestamp=...)])[0], Costs(dead="timestamp_missing")),
    "timestamp null": (raw(timestamp=b"null"), Costs(dead="timestamp_missing")),
    "timestamp true": (raw(timestamp=b"true"), Costs(dead="timestamp_type")),
    "timestamp an object": (raw(timestamp=b"{}"), Costs(dead="timestamp_type")),
    "timestamp a list": (raw(timestamp=b"[1]"), Costs(dead="timestamp_type")),
    "timestamp a fraction": (raw(timestamp=b"1772409600000.5"), Costs(dead="timestamp_type")),
    "timestamp a whole fraction": (
        raw(timestamp=b"1772409600000.0"),
        Costs(dead="timestamp_type"),
    ),
    "timestamp an exponent": (raw(timestamp=b"1.7724096e12"), Costs(dead="timestamp_type")),
    "timestamp NaN": (raw(timestamp=b"NaN"), Costs(dead="timestamp_type")),
    "timestamp in seconds": (raw(timestamp=b"1772409600"), Costs(dead="timestamp_unit")),
    "timestamp in ns": (raw(timestamp=b"1772409600000000000"), Costs(dead="timestamp_unit")),
    "timestamp 0": (raw(timestamp=b"0"), Costs(dead="timestamp_unit")),
    "timestamp negative": (raw(timestamp=b"-1772409600000"), Costs(dead="timestamp_unit")),
    "timestamp of 400 digits": (raw(timestamp=b"1" * 400), Costs(dead="timestamp_unit")),
    "timestamp of 10,000 digits": (raw(timestamp=b"1" * 10_000), Costs(dead="timestamp_unit")),
    "year 1970": (raw(timestamp=b'"1970-12-31T23:59:59.999Z"'), Costs(dead="timestamp_unit")),
    "year 2100": (raw(timestamp=b'"2100-01-01T00:00:00Z"'), Costs(dead="timestamp_unit")),
    "year 2100 in ms": (raw(timestamp=b"4102444800000"), Costs(dead="timestamp_unit")),
    "year 1": (raw(timestamp=b'"0001-01-01T00:00:00+14:00"'), Costs(dead="timestamp_unit")),
    "year 9999": (raw(timestamp=b'"9999-12-31T23:59:59-14:00"'), Costs(dead="timestamp_unit")),
    "text without an offset": (
        raw(timestamp=b'"2026-03-02T00:00:00"'),
        Costs(dead="timestamp_zone"),
    ),
    "text without seconds and offset": (
        raw(timestamp=b'"2026-03-02 00:00"'),
        Costs(dead="timestamp_zone"),
    ),
    "a text that is no time": (raw(timestamp=b'"noon"'), Costs(dead="timestamp_type")),
    "the 30th of February": (raw(timestamp=b'"2026-02-30T00:00:00Z"'), Costs(dead="timestamp_type")),
    "a number in a text": (raw(timestamp=b'"1772409600000"'), Costs(dead="timestamp_type")),
    "text in UTC": (raw(timestamp=b'"2026-03-02T00:00:00Z"'), GOOD),
    "text with an offset": (raw(timestamp=b'"2026-03-02T02:00:00.25+02:00"'), GOOD),
    "feature NaN": (
        with_features(income=b"NaN"),
        Costs(invalid={"feature:income": "non_finite"}, missing=("feature:income",)),
    ),
    "score -Infinity": (
        raw(score=b"-Infinity"),
        Costs(invalid={"score": "non_finite"}, missing=("score",)),
    ),
    "feature 1e999": (
        with_features(income=b"1e999"),
        Costs(invalid={"feature:income": "non_finite"}, missing=("feature:income",)),
    ),
    "feature of 400 digits": (
        with_features(income=b"9" * 400),
        Costs(invalid={"feature:income": "non_finite"}, missing=("feature:income",)),
    ),
    "feature of 10,000 digits": (
        with_features(income=b"-" + b"9" * 10_000),
        Costs(invalid={"feature:income": "non_finite"}, missing=("feature:income",)),
    ),
    "NaN where nobody looks": (raw(more=b"NaN"), GOOD),
    "10,000 digits where nobody looks": (raw(more=b"9" * 10_000), GOOD),
    "a member twice": (
        with_features(income=b'"much","income":1.0'),
        GOOD,
    ),
    "a member twice, the last one wrong": (
        with_features(income=b'1.0,"income":"much"'),
        Costs(invalid={"feature:income": "type"}, odd=("feature:income",)),
    ),
    "model id twice": (raw(model_id=b'"x y","model_id":"m"'), GOOD),
    "features twice": (raw(features=b'{"income":"a"},"features":{"income":1.0,"home":"rent"}'), GOOD),
    "feature absent": (
        raw(features=b'{"home":"rent"}'),
        Costs(missing=("feature:income",)),
    ),
    "feature null": (with_features(home=b"null"), Costs(missing=("feature:home",))),
    "no features": (
        encode([event(features=...)])[0],
        Costs(missing=("feature:income", "feature:home")),
    ),
    "features no object": (
        raw(features=b"[1]"),
        Costs(missing=("feature:income", "feature:home")),
    ),
    "no prediction": (encode([event(prediction=...)])[0], Costs(missing=("prediction",))),
    "score null": (raw(score=b"null"), Costs(missing=("score",))),
    "a feature nobody declared": (with_features(age=b'"old"'), GOOD),
    "an empty key": (raw()[:-1] + b',"":{"":[]}}', GOOD),
    "text for a number": (
        with_features(income=b'"1.0"'),
        Costs(invalid={"feature:income": "type"}, odd=("feature:income",)),
    ),
    "boolean for a number": (
        with_features(income=b"true"),
        Costs(invalid={"feature:income": "type"}, odd=("feature:income",)),
    ),
    "a list for a number": (
        with_features(income=b"[1]"),
        Costs(invalid={"feature:income": "type"}, odd=("feature:income",)),
    ),
    "fraction for a category": (
        with_features(home=b"1.5"),
        Costs(invalid={"feature:home": "type"}, odd=("feature:home",)),
    ),
    "an object for a category": (
        with_features(home=b"{}"),
        Costs(invalid={"feature:home": "type"}, odd=("feature:home",)),
    ),
    "NaN for a category": (
        with_features(home=b"NaN"),
        Costs(invalid={"feature:home": "non_finite"}, missing=("feature:home",)),
    ),
    "half a character for a category": (
        with_features(home=SURROGATE),
        Costs(invalid={"feature:home": "type"}, odd=("feature:home",)),
    ),
    "half a character where nobody looks": (raw(more=SURROGATE), GOOD),
    "a category never seen": (with_features(home=b'"boat"'), Costs(odd=("feature:home",))),
    "an integer as category": (with_features(home=b"7"), Costs(odd=("feature:home",))),
    "a boolean as category": (with_features(home=b"false"), Costs(odd=("feature:home",))),
    "a category of 256 characters": (
        with_features(home=b'"%b"' % (b"x" * 256)),
        Costs(odd=("feature:home",)),
    ),
    "a category of 257 characters": (
        with_features(home=b'"%b"' % (b"x" * 257)),
        Costs(invalid={"feature:home": "too_long"}, odd=("feature:home",)),
    ),
    "a category of 300 digits": (
        with_features(home=b"7" * 300),
        Costs(invalid={"feature:home": "too_long"}, odd=("feature:home",)),
    ),
    "a category of 5,000 digits": (
        with_features(home=b"7" * 5_000),
        Costs(invalid={"feature:home": "too_long"}, odd=("feature:home",)),
    ),
    "unknown status": (raw(status=b'"done"'), Costs(invalid={"status": "status"})),
    "status a number": (raw(status=b"200"), Costs(invalid={"status": "status"})),
    "unusable version": (
        raw(model_version=b'"1 0"'),
        Costs(invalid={"model_version": "model_version"}, version="unversioned"),
    ),
    "version a number": (
        raw(model_version=b"1.0"),
        Costs(invalid={"model_version": "model_version"}, version="unversioned"),
    ),
    "no version": (encode([event(model_version=...)])[0], Costs(version="unversioned")),
    "another version": (raw(model_version=b'"2.0.0"'), Costs(version="2.0.0")),
    "status error": (raw(status=b'"error"'), Costs(absent=("prediction", "score"))),
    "status timeout without output": (
        encode([event(status="timeout", prediction=..., score=...)])[0],
        Costs(absent=("prediction", "score")),
    ),
    "status error with a score that nobody reads": (
        raw(status=b'"error"', score=b'"?"'),
        Costs(absent=("prediction", "score")),
    ),
    "status fallback": (raw(status=b'"fallback"'), GOOD),
    "status null": (raw(status=b"null"), GOOD),
    "two fields wrong": (
        raw(score=b'"high"', features=b'{"income":[],"home":"rent"}'),
        Costs(
            invalid={"score": "type", "feature:income": "type"}, odd=("score", "feature:income")
        ),
    ),
}  # fmt: skip


def check(found: Profiled, costs: Costs, neighbours: int = 0) -> None:
    """`found` is what `neighbours` good events and one event of these `costs` come to."""
    assert found.reasons == [costs.dead] * (costs.dead is not None)
    assert {key[1] for key in found.counted} <= {costs.version, "1.0.0"}
    if costs.dead is not None:
        assert sum(c.events for c in found.counted.values()) == neighbours
        return
    mine = found.counted["m", costs.version, "all", START_MS]
    others = neighbours if costs.version == "1.0.0" else 0
    assert mine.events == 1 + others
    assert mine.invalid == {name: {why: 1} for name, why in costs.invalid.items()}
    assert mine.violations == {name: {why: 1} for name, why in costs.violations.items()}
    for name, cells in mine.cells.items():
        assert sum(cells) == mine.events - (name in costs.absent)
        assert cells[-1] == (name in costs.missing), name
        assert cells[-2] == (name in costs.odd), name


@pytest.mark.parametrize("name", TABLE)
def test_each_defect_costs_what_the_contract_says(name: str) -> None:
    value, costs = TABLE[name]
    check(profiled([value]), costs)


@pytest.mark.parametrize("name", TABLE)
def test_no_defect_costs_a_neighbour(name: str) -> None:
    value, costs = TABLE[name]
    check(profiled([raw(), value, raw(), raw()]), costs, neighbours=3)


RULES = lifecycle(
    prediction={"classes": ["yes", "no"], "positive": "yes"},
    features={
        "income": {"type": "number", "range": [-2, 2]},
        "home": {"type": "category", "allowed": ["rent", "own"]},
    },
)


@pytest.mark.parametrize(
    ("value", "violations"),
    [
        (raw(score=b"1.5"), {"score": {"range": 1}}),
        (raw(score=b"-0.1"), {"score": {"range": 1}}),
        (with_features(income=b"2"), {}),
        (with_features(income=b"2.0001"), {"feature:income": {"range": 1}}),
        (with_features(home=b'"boat"'), {"feature:home": {"category": 1}}),
        (with_features(home=b"7"), {"feature:home": {"category": 1}}),
        (with_features(home=b'"other"'), {"feature:home": {"category": 1}}),
        (with_features(home=b"null", income=b"null"), {}),
        (with_features(home=b"[]", income=b"[]"), {}),  # invalid, which is worse
        (with_features(home=b'"%b"' % (b"x" * 300)), {}),
    ],
)
@pytest.mark.parametrize("neighbour", [raw(), raw(score=b'"?"'), b"{"])
def test_what_breaks_a_declared_rule_is_binned_and_counted(
    value: bytes, violations: dict[str, dict[str, int]], neighbour: bytes
) -> None:
    built = reference(RULES, stream(2_000))
    found = profiled([value, neighbour], RULES, built)
    assert found.only.violations == violations
    for cells in found.only.cells.values():
        assert sum(cells) == found.only.events


def test_an_event_of_a_stranger_is_counted_and_never_a_dead_letter() -> None:
    found = profiled([raw(model_id=b'"stranger"'), raw(), raw(model_id=b'"stranger"')])
    assert found.unregistered == {"stranger": 2}
    assert not found.dead
    assert found.only.events == 1


@settings(max_examples=60)
@given(st.data())
def test_any_split_into_batches_comes_to_the_same(data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from(sorted(TABLE)), min_size=1, max_size=30))
    values = [TABLE[name][0] for name in names if name != "100,000 levels"]
    partitions = [data.draw(st.integers(0, 2)) for _ in values]
    splits = data.draw(st.lists(st.integers(0, len(values)), max_size=6))
    flushes = data.draw(st.lists(st.integers(0, len(values)), max_size=3))
    whole = profiled(values, partitions=partitions)
    parts = profiled(values, partitions=partitions, splits=splits, flush_at=flushes)
    assert parts.counted == whole.counted
    assert parts.dead == whole.dead
    assert parts.came_in == whole.came_in
    assert parts.unread == whole.unread


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["m", "1.0.0", "error", "rent", "2026-03-02T00:00:00Z", START_MS]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["model_id", "timestamp", "features", "income", "home", "score", ""])
            | st.text(max_size=5),
            inner,
            max_size=6,
        )
    ),
    max_leaves=25,
)


@settings(max_examples=150)
@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_an_event_or_a_dead_letter_or_somebody_elses(value: bytes) -> None:
    found = profiled([value, raw()])
    counted = sum(one.events for one in found.counted.values())
    assert counted + len(found.dead) + sum(found.unregistered.values()) == 2
    assert counted >= 1


@settings(max_examples=100)
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(event(), JSON)))
def test_any_values_of_the_known_members_cost_at_most_themselves(members: dict[str, Any]) -> None:
    value = json.dumps(event() | members).encode()
    found = profiled([raw(), value])
    assert (
        sum(one.events for one in found.counted.values())
        + len(found.dead)
        + sum(found.unregistered.values())
        == 2
    )


@settings(max_examples=100)
@given(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
def test_what_the_parser_takes_is_an_object_and_all_else_is_refused(value: bytes) -> None:
    reason = ""
    try:
        assert isinstance(parse(value), dict)
    except InvalidEvent as refused:
        reason = refused.reason
    assert reason in ("", "empty", "too_large", "not_json", "too_deep", "not_object")


@settings(max_examples=100)
@given(JSON)
def test_the_fast_way_and_the_careful_one_agree_on_a_value(value: Any) -> None:
    topic = Topic([Reading(lifecycle(), PREDICTIONS, NAMES, TYPES)])
    text = json.dumps(event(features={"income": value, "home": value}, status=value)).encode()
    try:
        assert topic.decode is not None
        fast = topic.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        return
    ((reading, careful, defects),) = topic.look(Record("t", 0, 0, None, None, text)).events
    assert not defects.of
    for want in reading.wants:
        a, b = reading.attribute[want.name](fast), reading.attribute[want.name](careful)
        assert (str(a) if want.type == "category" and a is not None else a) == b


@pytest.mark.parametrize(
    ("unit", "written"),
    [
        ("ms", 1_772_434_693_412),
        ("s", 1_772_434_693),
        ("s", 1_772_434_693.412),
        ("us", 1_772_434_693_412_999),
        ("ns", 1_772_434_693_412_999_999),
    ],
)
def test_a_number_in_the_declared_unit_is_a_time(unit: str, written: float) -> None:
    of = lifecycle(source={"predictions": {"timestamp_unit": unit}})
    reading = Reading(of, PREDICTIONS, NAMES, TYPES)
    found = Topic([reading]).look(
        Record("t", 0, 0, None, None, encode([event(timestamp=written)])[0])
    )
    ((_, struct, _),) = found.events
    assert reading.time_ms(struct) == 1_772_434_693_000 + 412 * (
        not isinstance(written, int) or unit != "s"
    )


@given(st.integers(FIRST_MS, LAST_MS))
def test_seconds_with_decimals_are_cut_to_the_millisecond_that_was_written(time_ms: int) -> None:
    found = parse_time(float(f"{time_ms // 1000}.{time_ms % 1000:03}"), "s")
    assert isinstance(found, datetime)
    assert round(found.timestamp() * 1000) == time_ms


@given(st.integers(FIRST_MS + 1, LAST_MS), st.sampled_from(["s", "ms", "us", "ns"]))
def test_a_time_in_the_wrong_unit_is_refused_and_its_unit_is_named(time_ms: int, unit: str) -> None:
    per_ms = {"us": 1_000, "ns": 1_000_000}
    for other in {"s", "ms", "us", "ns"} - {unit}:
        written = time_ms // 1000 if other == "s" else time_ms * per_ms.get(other, 1)
        if other == "s" and written * 1000 < FIRST_MS:
            continue
        with pytest.raises(InvalidEvent, match=f"set timestamp_unit: {other}$"):
            parse_time(written, unit)


@given(st.integers(FIRST_MS, LAST_MS), st.integers(-14 * 60, 14 * 60))
def test_a_time_as_text_is_the_same_moment_in_any_offset(time_ms: int, minutes: int) -> None:
    moment = datetime.fromtimestamp(time_ms // 1000, UTC).replace(tzinfo=None)
    sign, of = "-" if minutes < 0 else "+", abs(minutes)
    offset = f"{sign}{of // 60:02}:{of % 60:02}"
    written = f"{moment.isoformat()}.{time_ms % 1000:03}{offset}"
    shifted = time_ms - minutes * 60_000
    if FIRST_MS <= shifted <= LAST_MS:
        found = parse_time(written, "ms")
        assert isinstance(found, datetime)
        assert math.floor(found.timestamp() * 1000 + 0.5) == shifted


@pytest.mark.parametrize("ahead_ms", [300_000, 300_001])
def test_an_event_further_ahead_of_the_log_than_allowed_is_a_dead_letter(ahead_ms: int) -> None:
    stamps = [START_MS - ahead_ms, START_MS]
    found = profiled([raw(), raw()], timestamps_ms=stamps)
    assert found.reasons == ["timestamp_future"] * (ahead_ms > 300_000)


def test_an_event_of_a_file_may_be_of_any_year() -> None:
    assert not profiled(encode([event(LAST_MS)])).dead


def test_one_record_without_a_log_time_does_not_excuse_the_others() -> None:
    found = profiled([raw(), raw()], timestamps_ms=[None, START_MS - 400_000])
    assert found.reasons == ["timestamp_future"]


@settings(max_examples=200)
@given(st.lists(st.integers(0, 40), max_size=12), st.sampled_from(["[", "{"]))
def test_values_are_sound_together_exactly_if_each_is_alone(depths: list[int], kind: str) -> None:
    opening, closing = ("[", "]") if kind == "[" else ('{"a":', "}")
    values = [
        f'{{"more": {opening * d}1{closing * d}, "text": "{"x" * d}"}}'.encode() for d in depths
    ]
    together = sound(values) if values else True
    assert together == all(sound_alone(v) for v in values) == all(d <= 31 for d in depths)


def test_an_integer_out_of_range_is_no_violation_beside_an_invalid_one_or_without() -> None:
    of = lifecycle(features={"rooms": {"type": "integer", "range": [0, 3]}, "home": "category"})
    rooms = [1, 2, 3] * 400
    built = reference(of, [event(START_MS + i, features={"rooms": r}) for i, r in enumerate(rooms)])
    odd = encode([event(features={"rooms": 9})])
    alone = profiled(odd, of, built).only
    beside = profiled(odd + encode([event(features={"rooms": "two"})]), of, built).only
    assert alone.violations == beside.violations == {"feature:rooms": {"range": 1}}


def test_a_missing_integer_is_missing_beside_an_invalid_one_as_well() -> None:
    of = lifecycle(features={"rooms": "integer", "home": "category"})
    rooms = [1, 2, 3] * 400
    built = reference(of, [event(START_MS + i, features={"rooms": r}) for i, r in enumerate(rooms)])
    assert built.series[0].series.support
    values = encode([event(features={"rooms": r}) for r in (None, 9, "two", 2)])
    assert profiled(values, of, built).only.cells["feature:rooms"] == [0, 1, 0, 2, 1]


def test_the_sums_are_those_of_the_values_that_count() -> None:
    values = encode(stream(200, step_ms=100))
    spoilt = encode([event(features={"income": "x"}), event(status="error", score=0.9)])
    found, clean = profiled(values + spoilt).only, profiled(values).only
    assert found.cells["score"] != clean.cells["score"]  # the spoilt income has a good score
    at = [r.series.name for r in small().series].index("feature:income") * 16
    of_error = profiled(spoilt[1:]).only.sums
    assert found.sums[at : at + 8] == sum_of(clean.sums[at : at + 8], of_error[at : at + 8])


def sum_of(a: bytes, b: bytes) -> bytes:
    return (
        int.from_bytes(a, "little", signed=True) + int.from_bytes(b, "little", signed=True)
    ).to_bytes(8, "little", signed=True)
