"""`leeway models`: which models are registered, and what each is compared with."""

from typing import Annotated

import typer

from streams.cli import output
from streams.cli.connection import BrokersOption, ConfigOption, read_topics, service_of

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "leeway models --brokers localhost:9092"


def command(
    brokers: BrokersOption = None,
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> None:
    """List the registered models: version, owner, revision of the lifecycle, reference."""
    from streams.registry import Registry

    registry = Registry()
    registry.apply(read_topics(service_of(brokers, config), "models")["models"])
    rows: list[dict[str, str | None]] = []
    for model_id in registry.models:
        found = registry.get(model_id)
        assert found is not None  # it is in the list
        rows.append(
            {
                "model_id": model_id,
                "version": found.lifecycle.version,
                "environment": found.lifecycle.deployment.environment,
                "owner": found.lifecycle.metadata.owner,
                "revision": found.lifecycle.revision,
                "reference_id": found.reference.reference_id if found.reference else None,
            }
        )
    if as_json:
        output.print_json({"models": rows})
    elif not rows:
        output.write("no model is registered: leeway apply FILE")
    else:
        output.table(tuple(rows[0]), (tuple(row.values()) for row in rows))
