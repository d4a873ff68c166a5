"""Which event do these bytes of Avro stand for? JSON, with the logical types as contracts §1 takes values.

Times become RFC 3339 text, whatever unit they are counted in; dates and times of day ISO text; decimals numbers; UUIDs
text; bytes base64. NaN and infinities stay what they are: values that are no numbers.
"""

import json
import math
from collections.abc import Callable
from decimal import Decimal
from io import BytesIO
from typing import Any

import fastavro
import msgspec
from fastavro.schema import SchemaParseException

from streams.errors import InvalidEvent
from streams.formats.registered import Schema

_encode = msgspec.json.Encoder(decimal_format="number").encode
_NOTHING = "null"


def reader(schema: Schema) -> Callable[[bytes], bytes]:
    """What turns values of this schema into JSON; it raises `InvalidEvent` for bytes that are none.

    >>> read = reader(Schema("AVRO", '{"type": "record", "name": "E", "fields": [{"name": "n", "type": "int"}]}'))
    >>> read(b"\\x02")
    b'{"n":1}'

    Raises
    ------
    InvalidEvent
        It is no schema of Avro, or one whose values may take any depth or memory: one that refers to itself, or an
        array of nothing.
    """
    parsed, bare = _parsed(schema, logical=True), _parsed(schema, logical=False)
    read = fastavro.schemaless_reader

    def decode(value: bytes) -> bytes:
        taken = BytesIO(value)
        try:
            try:
                found = read(taken, parsed, None)
            except (OverflowError, ValueError):  # a time beyond all years: the number that it is
                taken.seek(0)
                found = read(taken, bare, None)
        except (ArithmeticError, EOFError, LookupError, TypeError, ValueError) as error:
            raise InvalidEvent("not_avro", type(error).__name__) from None
        if taken.tell() != len(value):
            raise InvalidEvent("not_avro", f"{len(value) - taken.tell()} bytes are left over")
        return as_json(found)

    return decode


def as_json(found: Any) -> bytes:
    """Decoded Avro as JSON.

    >>> as_json({"a": float("nan"), "b": None, "c": Decimal("1.50")})
    b'{"a": NaN, "b": null, "c": 1.5}'
    """
    text = _encode(found)
    if b"null" in text and _any_odd(found):
        return json.dumps(
            msgspec.to_builtins(found, builtin_types=(Decimal,)), default=float
        ).encode()
    return text


def _any_odd(found: Any) -> bool:
    """Whether there is a float in it that JSON does not have."""
    if isinstance(found, float):
        return not math.isfinite(found)
    if isinstance(found, dict):
        return any(map(_any_odd, found.values()))
    return isinstance(found, list) and any(map(_any_odd, found))


def _parsed(schema: Schema, *, logical: bool) -> Any:
    named: dict[str, Any] = {}
    try:
        for text in schema.needed:
            fastavro.parse_schema(_written(text, logical=logical), named)
        parsed = fastavro.parse_schema(_written(schema.text, logical=logical), named)
        _check(parsed, named, ())
    except (SchemaParseException, ValueError, TypeError, LookupError, RecursionError) as error:
        raise InvalidEvent("schema_type", f"not a schema of Avro: {type(error).__name__}") from None
    return parsed


def _written(text: str, *, logical: bool) -> Any:
    return json.loads(text) if logical else _bare(json.loads(text))


def _bare(schema: Any) -> Any:
    """A schema without its logical types."""
    if isinstance(schema, list):
        return list(map(_bare, schema))
    if not isinstance(schema, dict):
        return schema
    return {name: _bare(of) for name, of in schema.items() if name != "logicalType"}


def _check(schema: Any, named: dict[str, Any], inside: tuple[str, ...]) -> bool:
    """Raise `InvalidEvent` for a schema whose values could be as deep or as many as they like; whether a value of it
    takes no byte."""
    if isinstance(schema, list):
        for one in schema:
            _check(one, named, inside)
        return False
    if isinstance(schema, str):
        if schema not in named:
            return schema == _NOTHING
        if schema in inside:
            raise InvalidEvent("schema_type", f"{schema} refers to itself")
        return _check(named[schema], named, inside)
    kind = schema["type"]
    if kind in ("record", "error"):
        if schema["name"] in inside:
            raise InvalidEvent("schema_type", f"{schema['name']} refers to itself")
        within = (*inside, schema["name"])
        empty = [_check(field["type"], named, within) for field in schema["fields"]]
        return all(empty)
    if kind == "array":
        if _check(schema["items"], named, inside):
            raise InvalidEvent("schema_type", "an array of nothing")
    elif kind == "map":
        _check(schema["values"], named, inside)
    elif kind == "fixed":
        return bool(schema["size"] == 0)
    elif isinstance(kind, list | dict):
        return _check(kind, named, inside)
    return bool(kind == _NOTHING)
