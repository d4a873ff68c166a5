"""What outlives a window, as records of `leeway.state` and back.

One record per part, JSON, keyed `M|V|SEGMENT|PART`; a null value deletes. Only what changed since the
last flush is written. A reader refuses formats that a newer Leeway wrote.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from streams.broker import Outgoing, Record
from streams.errors import StateError

FORMAT = 1
NOBODY = "-"  # in place of model, version or segment where a part belongs to none


class Part(msgspec.Struct, frozen=True):
    """One kept part: what it belongs to, its name and its plain data."""

    model_id: str
    version: str
    segment: str
    name: str
    data: Any

    @property
    def key(self) -> bytes:
        """
        >>> Part("fraud", "1.0.0", "country=DE", "window/0", {}).key
        b'fraud|1.0.0|country=DE|window/0'
        """
        return f"{self.model_id}|{self.version}|{self.segment}|{self.name}".encode()


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
        self._changed: dict[bytes, bytes | None] = {}

    def put(self, part: Part, *, as_of: str, revision: str | None) -> None:
        """Keep a part; the last of several before a flush counts."""
        document = _Document(FORMAT, part.name.partition("/")[0], as_of, revision, part.data)
        self._changed[part.key] = msgspec.json.encode(document)

    def delete(self, part: Part) -> None:
        """Keep it no longer."""
        self._changed[part.key] = None

    def flush(self) -> list[Outgoing]:
        """What to write, in order of the keys."""
        changed, self._changed = self._changed, {}
        return [
            Outgoing(self._topic, key, value, partition=self._partition)
            for key, value in sorted(changed.items(), key=lambda item: item[0])
        ]


def restore(records: Iterable[Record]) -> Iterator[Part]:
    """The parts that were kept.

    Raises
    ------
    StateError
        A newer Leeway wrote one.
    """
    for record in records:
        if record.key is None or record.value is None:
            continue
        document = msgspec.json.decode(record.value, type=_Document)
        if document.format > FORMAT:
            raise StateError(
                f"{record.topic}: {record.key.decode()} has format {document.format}, this Leeway reads up to "
                f"{FORMAT}: start the newer Leeway again, or delete the topic's records to begin anew"
            )
        model_id, version, segment, name = record.key.decode().split("|", 3)
        yield Part(model_id, version, segment, name, document.data)
