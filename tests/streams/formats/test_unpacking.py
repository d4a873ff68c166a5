"""Is an event the same event however it is packed, and is what is packed wrongly a dead letter that says why?"""

import base64
import json
import math
import struct
from datetime import UTC, date, datetime, time
from decimal import Decimal
from io import BytesIO
from typing import Any
from uuid import UUID

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.broker import Partition
from streams.formats import avro
from streams.formats.registered import Identity, Known, Schema
from streams.formats.unpacking import Unpacking
from streams.lifecycle import Lifecycle
from streams.profiling.profiler import Profiler
from tests.builders import (
    NAMES,
    Profiled,
    batch,
    encode,
    event,
    lifecycle,
    profiled,
    registered,
    small,
    stream,
)

PREDICTION = json.dumps(
    {
        "type": "record",
        "name": "Prediction",
        "namespace": "example.loans",
        "fields": [
            {"name": "model_id", "type": "string"},
            {"name": "model_version", "type": ["null", "string"], "default": None},
            {"name": "timestamp", "type": {"type": "long", "logicalType": "timestamp-millis"}},
            {
                "name": "features",
                "type": {
                    "type": "record",
                    "name": "Features",
                    "fields": [
                        {"name": "income", "type": ["null", "double"]},
                        {"name": "home", "type": {"type": "enum", "name": "Home", "symbols": ["rent", "own", "other"]}},
                    ],
                },
            },
            {"name": "prediction", "type": "string"},
            {"name": "score", "type": "double"},
        ],
    }
)  # fmt: skip
GUID = UUID("89791762-2336-4186-9674-299b90a802e2")
KNOWN: dict[Identity, Schema] = {
    1: Schema("AVRO", PREDICTION),
    GUID: Schema("AVRO", PREDICTION),
    2: Schema("JSON", '{"type": "object"}'),
    3: Schema("PROTOBUF", 'syntax = "proto3";'),
    4: Schema("AVRO", '{"type": "record", "name": "E", "fields": ['),
}
BINARY = (
    ("ce_specversion", b"1.0"),
    ("ce_id", b"7f1c"),
    ("ce_source", b"/loans"),
    ("ce_type", b"prediction"),
    ("content-type", b"application/json"),
)
STRUCTURED = (("content-type", b"application/cloudevents+json; charset=UTF-8"),)
Headers = tuple[tuple[str, bytes], ...]


def framed(identity: int, payload: bytes) -> bytes:
    """Confluent's wire format."""
    return struct.pack(">bI", 0, identity) + payload


def in_avro(one: dict[str, Any]) -> bytes:
    written = BytesIO()
    fastavro.schemaless_writer(written, fastavro.parse_schema(json.loads(PREDICTION)), one)
    return written.getvalue()


def envelope(data: Any = ..., **more: Any) -> bytes:
    given = {"specversion": "1.0", "id": "7f1c", "source": "/loans", "type": "prediction"}
    return json.dumps(given | ({} if data is ... else {"data": data}) | more).encode()


def packed(form: str, one: dict[str, Any]) -> tuple[bytes, Headers]:
    """An event in a form, and its headers."""
    plain = encode([one])[0]
    match form:
        case "json":
            return plain, ()
        case "avro":
            return framed(1, in_avro(one)), ()
        case "avro, schema in a header":
            return in_avro(one), (("__value_schema_id", framed(1, b"")),)
        case "avro, GUID in a header":
            return in_avro(one), (("__value_schema_id", b"\x01" + GUID.bytes),)
        case "json-schema":
            return framed(2, plain), ()
        case "cloudevents, binary":
            return plain, BINARY
        case "cloudevents, structured":
            return envelope(one), STRUCTURED
        case "cloudevents, structured, nothing said":
            return envelope(one), ()
    return envelope(data_base64=base64.b64encode(plain).decode()), STRUCTURED


FORMS = (
    "avro",
    "avro, schema in a header",
    "avro, GUID in a header",
    "json-schema",
    "cloudevents, binary",
    "cloudevents, structured",
    "cloudevents, structured, nothing said",
    "cloudevents, base64",
)


def reads(form: str, **source: Any) -> Lifecycle:
    return lifecycle(source={"predictions": {"format": form, **source}})


def taken(of: Lifecycle, rows: list[tuple[bytes, Headers]], *, lenient: bool = False) -> Profiled:
    """What a profiler makes of records."""
    one, found = (
        Profiler(NAMES, 1, lambda topic: 1, Unpacking(Known(KNOWN), lenient=lenient)),
        Profiled(),
    )
    one.follow(registered(of, small()))
    one.gained(Partition("leeway.predictions", 0), iter(()))
    for offset, (value, headers) in enumerate(rows):
        one.step(batch([value], headers=headers, first_offset=offset))
    found.add(one.flush(), small())
    return found


def same(one: Profiled, other: Profiled) -> bool:
    return (one.counted, one.reasons, one.came_in) == (other.counted, other.reasons, other.came_in)


EVENTS = [
    *stream(50),
    event(features={"income": None, "home": "own"}),
    event(model_version=None),
    event(model_id="stranger"),
]


@pytest.mark.parametrize("form", FORMS)
def test_an_event_counts_the_same_in_every_form(form: str) -> None:
    plain = profiled(encode(EVENTS))
    assert same(taken(reads(form.partition(",")[0]), [packed(form, e) for e in EVENTS]), plain)


def test_lifecycles_may_disagree_about_a_topic() -> None:
    one = Profiler(NAMES, 1, lambda topic: 1, Unpacking(Known(KNOWN)))
    forms = ["json", "avro", "cloudevents, structured", "cloudevents, binary", "json-schema"]
    for form in forms:
        name = form.partition(",")[0]
        of = lifecycle(model_id=f"m-{name}", source={"predictions": {"format": name}})
        one.follow(registered(of, None))
    for form in forms:
        name = form.partition(",")[0]
        value, headers = packed(form, event(model_id=f"m-{name}"))
        one.step(batch([value], headers=headers))
    found = Profiled()
    found.add(one.flush(), None)
    assert found.reasons == []
    assert len({key[0] for key in found.counted}) == 4


@pytest.mark.parametrize(
    ("form", "value", "headers", "reason", "message"),
    [
        ("avro", b'{"model_id": "m"}', (), "schema_missing", "neither begins with"),
        ("avro", framed(9, b""), (), "schema_unknown", "no schema 9"),
        ("avro", framed(2, b"{}"), (), "schema_type", "JSON"),
        ("avro", framed(3, b"\0"), (), "schema_type", "PROTOBUF"),
        ("avro", framed(4, b"\0"), (), "schema_type", "not a schema"),
        ("avro", framed(1, b"\x02"), (), "not_avro", ""),
        ("avro", framed(1, b""), (), "not_avro", ""),
        ("avro", framed(1, in_avro(event()) + b"!"), (), "not_avro", "1 bytes are left over"),
        ("avro", b"\0\0", (), "schema_missing", ""),
        ("avro", b"", (), "empty", ""),
        ("avro", framed(1, bytes(1 << 20)), (), "too_large", ""),
        ("avro", in_avro(event()), (("__value_schema_id", b"one"),), "schema_missing", ""),
        ("json-schema", framed(2, b"{"), (), "not_json", ""),
        ("json-schema", framed(1, in_avro(event())), (), "schema_type", "AVRO"),
        ("cloudevents", b"{", STRUCTURED, "cloudevent", ""),
        ("cloudevents", envelope(event(), specversion="2.0"), STRUCTURED, "cloudevent", "2.0"),
        ("cloudevents", envelope(event(), id=""), STRUCTURED, "cloudevent", "id"),
        ("cloudevents", envelope(event(), type=None), (), "cloudevent", "type"),
        ("cloudevents", encode([event()])[0], (), "cloudevent", "specversion"),
        ("cloudevents", encode([event()])[0], BINARY[:3], "cloudevent", "ce_type is missing"),
        ("cloudevents", b"<a/>", (*BINARY[:4], ("content-type", b"text/xml")), "cloudevent", "text/xml"),
        ("cloudevents", b"\0", (("content-type", b"application/cloudevents+avro"),), "cloudevent", "avro"),
        ("cloudevents", envelope(), STRUCTURED, "empty", ""),
        ("cloudevents", envelope("text"), STRUCTURED, "not_object", ""),
        ("cloudevents", envelope(data_base64="?"), STRUCTURED, "cloudevent", "not base64"),
        ("cloudevents", envelope(event(), data_base64="e30="), STRUCTURED, "cloudevent", "both"),
        ("cloudevents", envelope({}), STRUCTURED, "model_id", ""),
    ],
)  # fmt: skip
def test_what_is_packed_wrongly_is_a_dead_letter_with_its_reason(
    form: str, value: bytes, headers: Headers, reason: str, message: str
) -> None:
    found = taken(reads(form), [(value, headers)])
    (dead,) = found.dead
    about = dict(dead.headers)
    assert about["leeway.reason"].decode() == reason
    assert message in about["__dlq.errors.message"].decode()
    assert dead.value == (value or b"")
    assert dead.headers[: len(headers)] == headers


def test_a_dead_letter_is_what_the_producer_sent_and_not_what_it_stands_for() -> None:
    value, headers = packed("avro", event(model_id="not a name"))
    (dead,) = taken(reads("avro"), [(value, headers)]).dead
    assert (dead.value, dict(dead.headers)["leeway.reason"]) == (value, b"model_id")


@pytest.mark.parametrize("form", ["cloudevents, binary", "cloudevents, structured"])
def test_attributes_can_be_read_in_both_modes(form: str) -> None:
    one = event(model_id=..., timestamp=...)
    of = reads(
        "cloudevents",
        fields={
            "model_id": {"const": "m"},
            "timestamp": "$headers.ce_time",
            "event_id": "$headers.ce_id",
        },
    )
    plain, headers = packed(form, one)
    if headers == STRUCTURED:
        plain = envelope(one, time="2026-03-02T00:00:00Z")
    else:
        headers = (*headers, ("ce_time", b"2026-03-02T00:00:00Z"))
    found = taken(of, [(plain, headers)])
    assert found.reasons == []
    assert same(found, profiled(encode([event()])))


def test_a_file_of_events_is_read_whatever_the_topic_has() -> None:
    of = lifecycle(source={"predictions": {"format": "avro"}})
    assert same(
        taken(of, [(v, ()) for v in encode(EVENTS)], lenient=True), profiled(encode(EVENTS))
    )


def test_json_alone_is_not_looked_at() -> None:
    one = batch([b"{}"])
    assert Unpacking(Known())(one, frozenset(["json"])) is one


# ------------------------------------------------------------------------------------- what Avro's types become

TYPES: dict[str, tuple[Any, Any, Any]] = {
    "timestamp-millis": (
        {"type": "long", "logicalType": "timestamp-millis"},
        datetime(2026, 3, 2, 7, 0, 0, 123_000, UTC),
        "2026-03-02T07:00:00.123000Z",
    ),
    "timestamp-micros": (
        {"type": "long", "logicalType": "timestamp-micros"},
        datetime(2026, 3, 2, 7, 0, 0, 123_456, UTC),
        "2026-03-02T07:00:00.123456Z",
    ),
    "local time": (
        {"type": "long", "logicalType": "local-timestamp-millis"},
        datetime(2026, 3, 2, 7, tzinfo=UTC).replace(tzinfo=None),
        "2026-03-02T07:00:00",
    ),
    "date": ({"type": "int", "logicalType": "date"}, date(2026, 3, 2), "2026-03-02"),
    "time": ({"type": "int", "logicalType": "time-millis"}, time(7, 30), "07:30:00"),
    "decimal": (
        {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2},
        Decimal("41200.50"),
        41200.5,
    ),
    "uuid": (
        {"type": "string", "logicalType": "uuid"},
        UUID("89791762-2336-4186-9674-299b90a802e2"),
        "89791762-2336-4186-9674-299b90a802e2",
    ),
    "bytes": ("bytes", b"\x00\xff", "AP8="),
    "fixed": ({"type": "fixed", "name": "F", "size": 2}, b"ab", "YWI="),
    "map": ({"type": "map", "values": "double"}, {"a": 1.5}, {"a": 1.5}),
    "array": ({"type": "array", "items": "int"}, [1, 2], [1, 2]),
    "union": (["null", "boolean", "long"], 2**60, 2**60),
    "nothing": (["null", "string"], None, None),
}


def decoded(type_: Any, value: Any) -> bytes:
    schema = {"type": "record", "name": "R", "fields": [{"name": "v", "type": type_}]}
    written = BytesIO()
    fastavro.schemaless_writer(written, fastavro.parse_schema(schema), {"v": value})
    return avro.reader(Schema("AVRO", json.dumps(schema)))(written.getvalue())


@pytest.mark.parametrize(("type_", "value", "wanted"), TYPES.values(), ids=TYPES)
def test_types_come_out_as_documented(type_: Any, value: Any, wanted: Any) -> None:
    assert json.loads(decoded(type_, value)) == {"v": wanted}


@given(st.lists(st.floats() | st.none() | st.text()))
def test_every_number_and_text_comes_out_as_it_went_in(values: list[Any]) -> None:
    found = json.loads(decoded({"type": "array", "items": ["null", "double", "string"]}, values))
    for was, now in zip(values, found["v"], strict=True):
        assert was == now or (math.isnan(was) and math.isnan(now))


def test_a_number_that_is_none_costs_that_field() -> None:
    found = taken(
        reads("avro"), [packed("avro", event(features={"income": math.nan, "home": "own"}))]
    )
    assert found.only.invalid == {"feature:income": {"non_finite": 1}}


def test_a_time_beyond_all_years_is_refused_as_the_number_that_it_is() -> None:
    found = taken(reads("avro"), [packed("avro", event(2**60))])
    assert found.reasons == ["timestamp_unit"]


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ('{"type": "record", "name": "N", "fields": [{"name": "next", "type": ["null", "N"]}]}', "N refers to itself"),
        ('{"type": "array", "items": "null"}', "an array of nothing"),
        ('{"type": "array", "items": {"type": "record", "name": "E", "fields": []}}', "an array of nothing"),
        ('{"type": "map", "values": {"type": "array", "items": "null"}}', "an array of nothing"),
        ('{"type": "record", "name": "R", "fields": [{"name": "a", "type": "Missing"}]}', "not a schema"),
        ('"int', "not a schema"),
    ],
)  # fmt: skip
def test_a_schema_whose_values_have_no_end_is_refused(schema: str, why: str) -> None:
    found = Profiled()
    one = Profiler(NAMES, 1, lambda t: 1, Unpacking(Known({7: Schema("AVRO", schema)})))
    one.follow(registered(reads("avro"), small()))
    one.step(batch([framed(7, b"\x02" * 1000)]))
    found.add(one.flush(), small())
    assert found.reasons == ["schema_type"]
    assert why in dict(found.dead[0].headers)["__dlq.errors.message"].decode()


def test_a_schema_may_refer_to_others() -> None:
    home = '{"type": "enum", "name": "Home", "symbols": ["rent", "own"]}'
    schema = '{"type": "record", "name": "R", "fields": [{"name": "h", "type": "Home"}]}'
    assert avro.reader(Schema("AVRO", schema, (home,)))(b"\x02") == b'{"h":"own"}'


@given(st.binary(max_size=60))
def test_no_bytes_break_the_reader(value: bytes) -> None:
    found = taken(reads("avro"), [(framed(1, value), ())])
    assert len(found.reasons) + sum(c.events for c in found.counted.values()) <= 1
