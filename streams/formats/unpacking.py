"""Which JSON does a record stand for? One look at a batch, before anybody reads it.

What a topic's records may be is what the lifecycles that read it say. One record of a topic may be packed in another
way than the next: Avro and JSON Schema begin with a zero byte, which no JSON does, or name their schema in a header;
CloudEvents say so in headers. So it does not matter that two lifecycles disagree about a topic.

The framing of values is Confluent's: a zero byte and the schema's number in four bytes, big-endian; or, with no frame,
the header `__value_schema_id`, which holds the same five bytes, or a one byte and a GUID.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from streams.broker import Batch, Record, Rows
from streams.errors import InvalidEvent
from streams.formats import avro, cloudevents
from streams.formats.cloudevents import Headers
from streams.formats.refused import Refused
from streams.formats.registered import Identity, Known, Schema, Schemas, UnknownSchema
from streams.profiling.wire import MAX_BYTES

__all__ = ["AS_IT_IS", "FRAMED", "JSON", "Formats", "Unpack", "Unpacking", "batch_of"]

JSON, CLOUDEVENTS, AVRO, JSON_SCHEMA = "json", "cloudevents", "avro", "json-schema"
Formats = frozenset[str]
Unpack = Callable[[Batch, Formats], Batch]
_PLAIN: Formats = frozenset((JSON,))
FRAMED: Formats = frozenset((AVRO, JSON_SCHEMA))  # those that need a registry
_FORMAT_OF = {"AVRO": AVRO, "JSON": JSON_SCHEMA}
_SCHEMA_ID = "__value_schema_id"
_NUMBERED, _GUIDED = 0, 1


class Unpacking:
    """Turns batches into batches of JSON. What it learned of a schema it keeps.

    Parameters
    ----------
    schemas
        Asked once for each schema.
    lenient
        What is not packed at all is taken as it is, whatever the format: events out of a file are plain JSON.
    """

    def __init__(self, schemas: Schemas, *, lenient: bool = False) -> None:
        self._schemas, self._lenient = schemas, lenient
        self._readers: dict[Identity, Callable[[bytes, Formats], bytes]] = {}

    def __call__(self, batch: Batch, formats: Formats) -> Batch:
        """The batch as JSON; values that stand for no event are `Refused`.

        Raises
        ------
        BrokerError
            A schema could not be had. Nothing was concluded: the batch will be read again.
        """
        if formats <= _PLAIN:
            return batch
        if self._lenient:
            formats |= _PLAIN
        values = [
            self._unpacked(value, headers, formats)
            for value, headers in zip(batch.values, _headers(batch), strict=True)
        ]
        rows = _Unpacked(batch.rows, values, CLOUDEVENTS in formats)
        return Batch(
            batch.topic, values, batch.partitions, batch.offsets, batch.timestamps_ms, rows
        )

    def _unpacked(self, value: bytes | None, headers: Headers, formats: Formats) -> bytes | None:
        if not value:
            return value
        try:
            if len(value) > MAX_BYTES:
                raise InvalidEvent("too_large")
            return self._event(value, headers, formats)
        except InvalidEvent as defect:
            return Refused.of(defect)

    def _event(self, value: bytes, headers: Headers, formats: Formats) -> bytes:
        if CLOUDEVENTS in formats:
            if cloudevents.is_structured(headers):
                return cloudevents.of_structured(value, headers)
            if cloudevents.is_binary(headers):
                return cloudevents.of_binary(value, headers)
        if formats & FRAMED:
            identity, event = _framed(value, headers)
            if identity is not None:
                return self._reader(identity)(event, formats)
        if CLOUDEVENTS in formats:
            try:
                return cloudevents.of_structured(value)
            except InvalidEvent:
                if JSON not in formats:
                    raise
        if JSON in formats:
            return value
        raise InvalidEvent(
            "schema_missing", "it neither begins with a schema's number nor has it in a header"
        )

    def _reader(self, identity: Identity) -> Callable[[bytes, Formats], bytes]:
        found = self._readers.get(identity)
        if found is None:
            try:
                found = _reading(self._schemas.schema(identity))
            except UnknownSchema:
                raise InvalidEvent(
                    "schema_unknown", f"the registry has no schema {identity}"
                ) from None
            self._readers[identity] = found
        return found


def _reading(schema: Schema) -> Callable[[bytes, Formats], bytes]:
    """What makes JSON of the values of a schema."""
    kind = _FORMAT_OF.get(schema.kind)
    try:
        read = avro.reader(schema) if kind == AVRO else bytes
    except InvalidEvent as defect:
        refusal = defect

        def refuse(value: bytes, formats: Formats) -> bytes:
            raise refusal

        return refuse

    def decode(value: bytes, formats: Formats) -> bytes:
        if kind not in formats:
            raise InvalidEvent("schema_type", f"its schema is one of {schema.kind[:20]}")
        return read(value)

    return decode


def _framed(value: bytes, headers: Headers) -> tuple[Identity | None, bytes]:
    """The schema that a value names, and the rest of it."""
    for name, said in headers:
        if name == _SCHEMA_ID:
            identity, rest = _identity(said)
            return (None, value) if identity is None or rest else (identity, value)
    return _identity(value)


def _identity(framed: bytes) -> tuple[Identity | None, bytes]:
    if len(framed) >= 5 and framed[0] == _NUMBERED:
        return int.from_bytes(framed[1:5], "big"), framed[5:]
    if len(framed) >= 17 and framed[0] == _GUIDED:
        return UUID(bytes=framed[1:17]), framed[17:]
    return None, framed


def _headers(batch: Batch) -> Iterator[Headers]:
    return (batch.rows[i].headers for i in range(len(batch.values)))


@dataclass(frozen=True, slots=True)
class _Unpacked:
    """The records as they are now; `origin` is what was read."""

    rows: Rows
    values: Sequence[bytes | None]
    attributes: bool  # those of CloudEvents in structured mode are shown as headers

    def __getitem__(self, index: int) -> Record:
        origin, value = self.rows[index], self.values[index]
        if value is origin.value:
            return origin
        headers = origin.headers
        if self.attributes and origin.value and not isinstance(value, Refused):
            with suppress(ValueError):  # not every record of a topic need be one
                headers = (*headers, *cloudevents.attributes(origin.value))
        return origin._replace(value=value, headers=headers, origin=origin)


def batch_of(records: Sequence[Record]) -> Batch:
    """Records of one topic as a batch."""
    return Batch(
        records[0].topic if records else "",
        [record.value for record in records],
        [record.partition for record in records],
        [record.offset for record in records],
        [record.timestamp_ms for record in records],
        records,
    )


#: for events that come out of a file, and for tests: no schema is known
AS_IT_IS = Unpacking(Known(), lenient=True)
