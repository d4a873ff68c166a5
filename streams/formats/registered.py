"""What do the numbers in front of values mean? The door to a schema registry, and a registry in memory."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol
from uuid import UUID

Identity = int | UUID  # of a schema: its number, or its GUID where a header has that
FOUND, UNKNOWN, FAILED = "found", "unknown", "failed"
ANSWERS = (FOUND, UNKNOWN, FAILED)  # what came of asking a registry


class Schema(NamedTuple):
    """A schema as a registry has it.

    `kind` is AVRO, JSON or PROTOBUF; `needed` are the texts of the schemas that it refers to, each after those that it
    needs itself.
    """

    kind: str
    text: str
    needed: tuple[str, ...] = ()


class UnknownSchema(LookupError):
    """The registry answers that it has no such schema."""


class Schemas(Protocol):
    """Where schemas come from. A registry that does not answer is none that knows nothing: it is waited for."""

    def schema(self, identity: Identity) -> Schema:
        """A schema; the same one whenever it is asked for.

        Raises
        ------
        UnknownSchema
            There is none, says who must know.
        BrokerError
            Nobody answered for as long as somebody can be waited for.
        """


class Known(Schemas):
    """The registry's twin in memory."""

    def __init__(self, schemas: Mapping[Identity, Schema] | None = None) -> None:
        self._schemas = dict(schemas or {})

    def schema(self, identity: Identity) -> Schema:
        """
        >>> Known({1: Schema("JSON", "{}")}).schema(1).kind
        'JSON'
        """
        try:
            return self._schemas[identity]
        except KeyError:
            raise UnknownSchema(str(identity)) from None
