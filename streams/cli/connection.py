"""How does a command find Kafka? --brokers, LEEWAY_BROKERS, or leeway.yaml; read here and nowhere else."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from streams.broker import Record
    from streams.lifecycle import Lifecycle
    from streams.service import Service

__all__ = ["BrokersOption", "ConfigOption", "past", "read_topics", "service_of"]

BrokersOption = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT,...", help="Kafka's addresses; default: LEEWAY_BROKERS"),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="service file; default: leeway.yaml, if there is one here"),
]


def service_of(brokers: str | None, config: Path | None) -> "Service":
    """The service's settings, with the address that was typed before all others."""
    from streams.service import load_service

    environment = dict(os.environ)
    if brokers is not None:
        environment["LEEWAY_BROKERS"] = brokers
    return load_service(config, environment)


def past(
    topic: str,
    brokers: str | None,
    config: Path | None,
    lifecycles: Sequence["Lifecycle"] = (),
) -> Iterator[Sequence[bytes]]:
    """The values of a topic from its beginning to its present end, as JSON where the lifecycles say how to get it."""
    from streams.formats.unpacking import Unpacking, batch_of
    from streams.kafka import commands as kafka_commands
    from streams.kafka.schema_registry import SchemaRegistry
    from streams.offline.sources import formats
    from streams.topics import Names

    service = service_of(brokers, config)
    unpack = Unpacking(SchemaRegistry(service.schema_registry.settings(os.environ)))
    packed = formats(lifecycles, topic, Names(service.topics.prefix))
    for records in kafka_commands.past(service.properties, [topic]):
        values = unpack(batch_of(records), packed).values
        yield [b"" if value is None else value for value in values]


def read_topics(service: "Service", *topics: str) -> Mapping[str, list["Record"]]:
    """Everything on these topics of Leeway's, by their short names, in the order of the log's time.

    Raises
    ------
    UsageError
        They do not exist: Leeway never ran there.
    """
    from streams.kafka import commands as kafka_commands
    from streams.topics import Names

    names = Names(service.topics.prefix)
    found: dict[str, list[Record]] = {names(topic): [] for topic in topics}
    for records in kafka_commands.past(service.properties, list(found)):
        for record in records:
            found[record.topic].append(record)
    for of_topic in found.values():
        of_topic.sort(
            key=lambda record: (record.timestamp_ms or 0, record.partition, record.offset)
        )
    return {topic: found[names(topic)] for topic in topics}
