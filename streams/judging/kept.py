"""What outlives a window, as records of `leeway.state` and back.

One record per part, JSON, keyed `M|V|SEGMENT|PART`; a null value deletes. Only what changed since the
last flush is written. A reader refuses formats that a newer Leeway wrote.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from alerting.identity import rfc3339
from streams.broker import Outgoing, Record
from streams.errors import StateError

# 1 wrote arrays as lists of numbers, 2 knew one scope and one episode of a subject, 3 no commands; all are read
FORMAT = 4
NOBODY = "-"  # in place of model, version or segment where a part belongs to none


class Key(NamedTuple):
    """What a part belongs to, and its name."""

    model_id: str
    version: str
    segment: str
    part: str

    @property
    def text(self) -> str:
        """
        >>> Key("fraud", "1.0.0", "country=DE", "window/0").text
        'fraud|1.0.0|country=DE|window/0'
        """
        return "|".join(self)


@dataclass(frozen=True, slots=True)
class _Change:
    data: Callable[[], object]
    as_of_ms: int
    revision: str | None


class _Format(msgspec.Struct):
    format: int


class _Document(msgspec.Struct):
    format: int
    part: str
    as_of: str
    lifecycle_revision: str | None
    data: Any


class Kept:
    """The parts of one partition that changed since the last flush."""

    def __init__(self, topic: str, partition: int) -> None:
        self._topic, self._partition = topic, partition
        self._changed: dict[Key, _Change | None] = {}

    def put(
        self, key: Key, data: Callable[[], object], *, as_of_ms: int, revision: str | None = None
    ) -> None:
        """Keep a part; `data` is asked for its plain data when it is written."""
        self._changed[key] = _Change(data, as_of_ms, revision)

    def delete(self, key: Key) -> None:
        """Keep it no longer."""
        self._changed[key] = None

    def flush(self) -> list[Outgoing]:
        """What to write, in order of the keys."""
        changed, self._changed = self._changed, {}
        return [
            Outgoing(self._topic, key.text.encode(), _encode(key, change), (), self._partition)
            for key, change in sorted(changed.items(), key=lambda item: item[0])
        ]


def _encode(key: Key, change: _Change | None) -> bytes | None:
    if change is None:
        return None
    as_of, part = rfc3339(change.as_of_ms), key.part.partition("/")[0]
    return msgspec.json.encode(_Document(FORMAT, part, as_of, change.revision, change.data()))


def restore(records: Iterable[Record]) -> Iterator[tuple[Key, Any]]:
    """The parts that were kept.

    Raises
    ------
    StateError
        A newer Leeway wrote one.
    """
    for record in records:
        if record.key is None or record.value is None:
            continue
        written = msgspec.json.decode(record.value, type=_Format).format
        if written > FORMAT:
            raise StateError(
                f"{record.topic}: {record.key.decode()} has format {written}, this Leeway reads up to "
                f"{FORMAT}: start the newer Leeway again, or delete the topic's records to begin anew"
            )
        document = msgspec.json.decode(record.value, type=_Document)
        yield Key(*record.key.decode().split("|", 3)), document.data
