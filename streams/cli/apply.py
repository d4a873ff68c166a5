"""`leeway apply`: register lifecycles and their references on Kafka, where every role reads them."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli import output
from streams.cli.connection import BrokersOption, ConfigOption, service_of
from streams.cli.files import Named, named, references
from streams.cli.options import ReferencesOption

if TYPE_CHECKING:
    from detectors.reference.build import Reference

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "leeway apply examples/elec2.yaml --brokers localhost:9092"


def command(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="lifecycle files (YAML)")],
    reference: ReferencesOption = None,
    brokers: BrokersOption = None,
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> None:
    """Register lifecycles and the references beside them. Running roles take them up at once.

    Where the service file names receivers or routes, these hold for all judges from now on. Doing it twice changes
    nothing.
    """
    from streams.registration import register, see_to_topics

    service = service_of(brokers, config)
    found = named(files, [receiver.name for receiver in service.receivers])
    known = references(found, reference or ())
    lifecycles = [one.lifecycle for one in found]
    see_to_topics(service)
    register(service, lifecycles, known)
    if as_json:
        heard = service.public.revision if service.says_who_hears else None
        output.print_json({"applied": [_told(one, known) for one in found], "routing": heard})
        return
    for one in found:
        told = _told(one, known)
        against = told["reference_id"] or f"no reference: leeway baseline {one.path} --data SOURCE"
        output.write(f"{told['model_id']} {told['version']} revision {told['revision']}: {against}")
    if service.says_who_hears:
        names = ", ".join(receiver.name for receiver in service.receivers) or "nobody is named"
        output.write(f"who hears of alerts, revision {service.public.revision}: {names}")


def _told(one: Named, known: Mapping[str, "Reference"]) -> dict[str, str | None]:
    lifecycle = one.lifecycle
    reference = known.get(lifecycle.model_id)
    return {
        "model_id": lifecycle.model_id,
        "version": lifecycle.version,
        "revision": lifecycle.revision,
        "reference_id": reference.reference_id if reference else None,
    }
