"""Which events do the rows of a Parquet or CSV file stand for?

Columns named like event fields become those fields, columns named like declared features become features, all others
become tags. A row is written as the JSON that a producer would have sent, so that everything behind it is the code that
runs in production. Nothing is repaired on the way, with three exceptions that a table forces on its writer: NaN stands
for "no value", whole numbers may be stored as floats, and CSV has no types but the declared ones.
"""

import csv
import gzip
import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import msgspec

from streams.errors import UsageError
from streams.offline.moments import TIMES, moment, times

Role = Literal[
    "time",  # and in another unit than milliseconds, where it is a number:
    "seconds",
    "microseconds",
    "nanoseconds",
    "number",
    "integer",
    "category",
    "boolean",
    "text",
    "vector",
    "tag",
    "any",  # as it lies there
]
Values = Sequence[object]

FIELDS: Mapping[str, Role] = {
    "event_id": "text",
    "model_id": "text",
    "model_version": "text",
    "timestamp": "time",
    "prediction": "category",
    "score": "number",
    "latency_ms": "number",
    "status": "text",
    "label": "category",
    "loss": "number",
    "label_timestamp": "time",
}
_SENT = tuple(field for field in FIELDS if field not in ("label", "loss", "label_timestamp"))
_TOLD = (
    "event_id",
    "model_id",
    "model_version",
    "timestamp",
    "prediction",
    "score",
    "label",
    "loss",
)

ROWS = 8192  # per batch: small beside a model's panes, large beside Python's cost per batch
_BEYOND = msgspec.Raw(b"1e999")  # how JSON can say infinite: a number beyond a double
_ABSENT_NUMBERS = frozenset(("", "na", "n/a", "nan", "null", "none"))
_TRUTH = {"true": True, "false": False, "1": True, "0": False}


@dataclass(frozen=True, slots=True)
class Table:
    """Columns and how to read them, batch by batch. `rows` None: nobody counted them."""

    name: str
    columns: tuple[str, ...]
    rows: int | None
    batches: Callable[[Mapping[str, Role]], Iterator[Mapping[str, Values]]]


def open_parquet(path: Path, name: str) -> Table:
    """A Parquet file, read a few thousand rows at a time whatever its row groups are."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            columns, rows = tuple(file.schema_arrow.names), file.metadata.num_rows
    except (pa.ArrowException, OSError) as error:
        raise UsageError(f"{name}: cannot be read as Parquet: {_first_line(error)}") from None

    def batches(roles: Mapping[str, Role]) -> Iterator[Mapping[str, Values]]:
        with pq.ParquetFile(path) as file:
            try:
                for batch in file.iter_batches(batch_size=ROWS, columns=list(roles)):
                    yield {
                        column: _from_arrow(batch.column(column), role, f"{name}: column {column}")
                        for column, role in roles.items()
                    }
            except (pa.ArrowException, OSError) as error:
                raise UsageError(f"{name}: is damaged: {_first_line(error)}") from None

    return Table(name, columns, rows, batches)


def open_csv(path: Path, name: str, *, packed: bool) -> Table:
    """A CSV file with a header, perhaps gzipped; an empty cell is no value."""

    def lines() -> Iterator[list[str]]:
        with (
            gzip.open(path) if packed else path.open("rb") as raw,
            io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as text,
        ):
            reader = csv.reader(text)
            try:
                yield from reader
            except csv.Error as error:
                raise UsageError(f"{name}:{reader.line_num}: not CSV: {error}") from None
            except UnicodeDecodeError:
                raise UsageError(f"{name}:{reader.line_num + 1}: not UTF-8 text") from None
            except (EOFError, gzip.BadGzipFile) as error:
                raise UsageError(f"{name}: is damaged: {error}") from None

    header = next(lines(), [])
    twice = sorted({column for column in header if header.count(column) > 1})
    if twice:
        raise UsageError(f"{name}: column {twice[0]!r} is there twice")

    def batches(roles: Mapping[str, Role]) -> Iterator[Mapping[str, Values]]:
        wanted = [(column, header.index(column), role) for column, role in roles.items()]
        kept: list[list[str]] = []

        def batch() -> Mapping[str, Values]:
            return {
                column: _from_text([row[at] for row in kept], role, f"{name}: column {column}")
                for column, at, role in wanted
            }

        rows = lines()
        next(rows, None)
        for number, row in enumerate(rows, start=2):
            if not row:
                continue
            if len(row) != len(header):
                raise UsageError(
                    f"{name}: row {number} has {len(row)} values, the header has {len(header)} columns"
                )
            kept.append(row)
            if len(kept) == ROWS:
                yield batch()
                kept.clear()
        if kept:
            yield batch()

    return Table(name, tuple(header), None, batches)


def roles(table: Table, features: Mapping[str, str]) -> dict[str, Role]:
    """What each column is. A declared feature decides the type of its column, even if it is also a field."""
    found: dict[str, Role] = {}
    for column in table.columns:
        declared = features.get(column)
        if declared in ("number", "integer", "category", "boolean", "vector"):
            found[column] = declared  # type: ignore[assignment] # narrowed by the line above
        elif declared is not None:
            found[column] = "text"
        else:
            found[column] = FIELDS.get(column, "tag")
    return found


def encode_rows(
    batch: Mapping[str, Values],
    *,
    features: Sequence[str],
    tags: Sequence[str],
    model_id: str | None,
    kept: Sequence[bool] | None,
    labels: bool = False,
    predicted: Values | None = None,
) -> list[bytes]:
    """The rows of a batch as events, in their order.

    Parameters
    ----------
    features, tags : columns that become members of `features` and `tags`
    model_id : for rows that carry none
    kept : which rows to write; None for all
    labels : whether each row is a label event, whose `timestamp` says when the label became known
    predicted : and when it was predicted
    """
    encode = msgspec.json.Encoder().encode
    sent = _TOLD if labels else _SENT
    fields = [(field, batch[field]) for field in sent if field in batch]
    if predicted is not None:
        fields.append(("prediction_timestamp", predicted))
    inputs = [(name, batch[name]) for name in features]
    notes = [(name, batch[name]) for name in tags]
    count = len(next(iter(batch.values()), ()))
    events: list[bytes] = []
    for row in range(count):
        if kept is not None and not kept[row]:
            continue
        event: dict[str, object] = {
            field: values[row] for field, values in fields if values[row] is not None
        }
        if model_id is not None:
            event.setdefault("model_id", model_id)
        if inputs or not labels:
            event["features"] = {
                name: values[row] for name, values in inputs if values[row] is not None
            }
        about = {name: values[row] for name, values in notes if values[row] is not None}
        if about:
            event["tags"] = about
        events.append(encode(event))
    return events


def encode_labels(
    batch: Mapping[str, Values],
    *,
    features: Sequence[str],
    tags: Sequence[str],
    model_id: str | None,
    kept: Sequence[bool] | None,
    whole: bool,
) -> list[tuple[int, bytes]]:
    """The labels that came for the rows of a batch of predictions, as events of their own: time and bytes.

    A row has one if it has a `label` or a `loss` and, where there is such a column, a `label_timestamp`; without the
    column the label is as old as its prediction, and says nothing about its lag.

    Parameters
    ----------
    whole : whether a label says what was predicted, of which features and tags; else it has the prediction's id only
    """
    known = "label_timestamp" in batch
    times = batch["label_timestamp" if known else "timestamp"]
    truths = [batch[name] for name in ("label", "loss") if name in batch]
    there = [
        time is not None and any(truth[row] is not None for truth in truths)
        for row, time in enumerate(times)
    ]
    if kept is not None:
        there = [both and mine for both, mine in zip(there, kept, strict=True)]
    told: dict[str, Values] = {name: batch[name] for name in _TOLD if name in batch}
    if not whole:
        told = {name: told[name] for name in told if name not in ("prediction", "score")}
    told["timestamp"] = times
    about = {name: batch[name] for name in (*features, *tags)} if whole else {}
    events = encode_rows(
        about | told,
        features=features if whole else (),
        tags=tags if whole else (),
        model_id=model_id,
        kept=there,
        labels=True,
        predicted=batch["timestamp"] if whole and known else None,
    )
    at = [
        time if isinstance(time, int) else 0
        for time, mine in zip(times, there, strict=True)
        if mine
    ]
    return list(zip(at, events, strict=True))


def _from_arrow(column: Any, role: Role, name: str) -> Values:
    """One Arrow column as JSON values; None where there is none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    moments = pa.types.is_timestamp(kind) or pa.types.is_date(kind)
    if role in TIMES or (role == "any" and moments):
        if moments:
            # without a zone it is read as UTC; safe=False: cut to milliseconds, as contracts 1.2 says
            cut = column.cast(pa.timestamp("ms"), safe=False).cast(pa.int64()).to_pylist()
            return [moment(ms) for ms in cut] if role == "any" else list(cut)
        return times(_listed(column, name), role, name)
    if role == "any":
        return _listed(column, name)
    if pa.types.is_floating(kind):
        values = pc.if_else(pc.is_nan(column), None, column).to_pylist()
        return _floats(values, whole=role in ("integer", "category"))
    values = _listed(column, name)
    if role == "vector":
        return [_vector(value) for value in values]
    if pa.types.is_decimal(kind):
        return _floats([None if v is None else float(v) for v in values], whole=role != "number")
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_string(kind):
        return list(values)
    return [_plain(value) for value in values]


def _listed(column: Any, name: str) -> list[Any]:
    """A column's values; dates beyond those that Python knows are a mistake of the file."""
    import pyarrow as pa

    try:
        return list(column.to_pylist())
    except (ArithmeticError, ValueError, pa.ArrowException) as error:
        raise UsageError(f"{name}: cannot be read: {_first_line(error)}") from None


def _floats(values: Sequence[float | None], *, whole: bool) -> Values:
    return [
        v
        if v is None
        else (_BEYOND if v > 0 else msgspec.Raw(b"-1e999"))
        if math.isinf(v)
        else int(v)
        if whole and v.is_integer()
        else v
        for v in values
    ]


def _plain(value: object) -> object:
    """What JSON can say of a value of a rarer type; None for what has no place in an event."""
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, str | int | float | bool):
        return value
    return None


def _from_text(values: Sequence[str], role: Role, name: str) -> Values:
    """One CSV column as JSON values of the declared type; what does not fit its type stays text, and counts as such."""
    if role in TIMES:
        return times([value or None for value in values], role, name)
    if role == "number":
        return [_number(value) for value in values]
    if role == "integer":
        return [_integer(value) for value in values]
    if role == "vector":
        return [_vector(value) for value in values]
    if role == "boolean":
        return [
            None if v.strip().lower() in _ABSENT_NUMBERS else _TRUTH.get(v.strip().lower(), v)
            for v in values
        ]
    return [value or None for value in values]


def _vector(value: object) -> object:
    """A vector that a cell holds as JSON text; what is none stays as it is."""
    if not isinstance(value, str):
        return value
    if value.strip().lower() in _ABSENT_NUMBERS:
        return None
    try:
        return msgspec.json.decode(value, type=list[object])
    except (msgspec.ValidationError, msgspec.DecodeError):
        return value


def _number(text: str) -> object:
    if text.strip().lower() in _ABSENT_NUMBERS:
        return None
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else _BEYOND


def _integer(text: str) -> object:
    try:
        return int(text)
    except ValueError:
        number = _number(text)
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
