"""How does a model come to be watched? Its topics are there, and its lifecycle and reference on `leeway.models`."""

from collections.abc import Mapping, Sequence

from detectors.reference.build import Reference, to_document
from streams.errors import UsageError
from streams.formats.unpacking import FRAMED
from streams.kafka.admin import create_topics, topic_partitions
from streams.kafka.commands import Writer
from streams.lifecycle import Lifecycle
from streams.registry import lifecycle_record, reference_record
from streams.routing import routing_record
from streams.service import Service
from streams.topics import TOPICS, Names

__all__ = ["check_formats", "register", "see_to_topics"]


def see_to_topics(service: Service, sources: Sequence[str] = ()) -> None:
    """Create Leeway's own topics and the source topics that are missing, where that is allowed.

    Raises
    ------
    UsageError
        One is missing and may not be created, or no Kafka was given.
    BrokerError
        Kafka does not answer, or refuses.
    """
    properties, names = service.properties, Names(service.topics.prefix)
    there = topic_partitions(properties)
    lacking = [t for t in (*(names(topic.name) for topic in TOPICS), *sources) if t not in there]
    if not lacking:
        return
    if not service.topics.create:
        raise UsageError(
            f"topic {lacking[0]} does not exist, and topics.create is false: create it, or let Leeway do so"
        )
    create_topics(
        properties,
        names,
        partitions=service.topics.partitions,
        replication=service.topics.replication,
        more={topic: service.topics.partitions for topic in sources if topic not in there},
    )


def check_formats(service: Service, lifecycles: Sequence[Lifecycle]) -> None:
    """See to it that who reads events knows where their schemas are.

    Raises
    ------
    UsageError
        A lifecycle needs a schema registry, and none is named.
    """
    for lifecycle in lifecycles:
        for kind in ("predictions", "features", "labels"):
            source = getattr(lifecycle.source, kind)
            if source is not None and source.format in FRAMED and not service.schema_registry.url:
                raise UsageError(
                    f"{lifecycle.model_id}: source.{kind}.format is {source.format}, and there is no schema registry: "
                    "set schema_registry.url in leeway.yaml, or LEEWAY_SCHEMA_REGISTRY_URL"
                )


def register(
    service: Service, lifecycles: Sequence[Lifecycle], references: Mapping[str, Reference]
) -> None:
    """Write what registers these models (references by model id), and who hears of their alerts.

    Doing it twice changes nothing. Where nobody says who hears, that stays as it is.
    """
    names, writer = Names(service.topics.prefix), Writer(service.properties)
    for lifecycle in lifecycles:
        # the reference first: whoever sees the lifecycle can compare at once
        if (reference := references.get(lifecycle.model_id)) is not None:
            document = to_document(reference)
            writer.write(
                reference_record(names, lifecycle.model_id, reference.reference_id, document)
            )
        writer.write(lifecycle_record(names, lifecycle))
    if service.says_who_hears:
        writer.write(routing_record(names, service.public))
    writer.flush()
