"""`leeway run`: the service. All roles supervised on one machine, or one of them."""

import os
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli import output
from streams.cli.connection import BrokersOption, ConfigOption, service_of
from streams.cli.options import ReferencesOption
from streams.errors import UsageError
from streams.supervisor import (
    RESTARTS,
    ROLES,
    SUPERVISED,
    Child,
    Supervisor,
    end_with_parent,
    leeway,
    supervise,
)
from streams.topics import Names

if TYPE_CHECKING:
    from streams.metrics import Meter
    from streams.service import Service

__all__ = ["EXAMPLE", "children", "command"]

EXAMPLE = "leeway run examples/elec2.yaml --brokers localhost:9092"


def command(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="FILE", help="lifecycles to apply first")
    ] = None,
    role: Annotated[
        str | None, typer.Option(metavar="ROLE", help=f"run one role alone: {', '.join(ROLES)}")
    ] = None,
    instance: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="of this process in its role, the same after a restart"),
    ] = None,
    profilers: Annotated[
        int, typer.Option(metavar="N", min=1, max=256, help="how many profilers to start")
    ] = 1,
    reference: ReferencesOption = None,
    brokers: BrokersOption = None,
    config: ConfigOption = None,
) -> int:
    """Run the service until SIGTERM or Ctrl-C: the first drains, the second forces.

    Without --role all roles run as child processes that are restarted when they fail. In production give each role
    its own deployment; another profiler is another process with --role profiler and its own --instance.
    """
    from streams.service import notices

    service = service_of(brokers, config)
    if role is not None and role not in ROLES:
        raise UsageError(f"--role {role}: expected {', '.join(ROLES[:-1])} or {ROLES[-1]}")
    _prepare(service, files or (), reference or (), role)
    if role is not None:
        _run_role(service, role, instance or f"{role}-1")
        return 0
    for notice in notices(service):
        output.remark(f"notice: {notice}")
    output.remark(f"console: http://{service.http.host}:{service.http.port}/")
    kept = Supervisor(children(service, profilers, brokers, config), _say)
    return supervise(kept)


def children(
    service: "Service", profilers: int, brokers: str | None, config: Path | None
) -> tuple[Child, ...]:
    """All roles as children of a supervisor, each with a name that it keeps when it is restarted."""
    options = [
        *(("--brokers", brokers) if brokers else ()),
        *(("--config", str(config)) if config else ()),
    ]
    names = [("profiler", f"profiler-{number}") for number in range(1, profilers + 1)]
    names += [("joiner", "joiner-1"), ("judge", "judge-1"), ("control", "control-1")]
    found = []
    for place, (role, name) in enumerate(names):
        port = service.metrics.port + place if service.metrics.port else 0
        environment = {SUPERVISED: "1", "LEEWAY_METRICS_PORT": str(port)}
        environment["OPENBLAS_NUM_THREADS"] = (
            "1"  # a role is one thread; more would fight for cores
        )
        found.append(
            Child(name, leeway("run", "--role", role, "--instance", name, *options), environment)
        )
    return tuple(found)


def _prepare(
    service: "Service", files: Sequence[Path], given: Sequence[Path], role: str | None
) -> None:
    """Apply the lifecycles, and see to it that all topics are there.

    Who runs everything says who hears of alerts; a role alone does so with lifecycles only: its file may be older.
    """
    from streams.cli.files import named, references
    from streams.joining.pairs import check_partitions, pairs
    from streams.kafka.admin import topic_partitions
    from streams.offline.sources import source_topics
    from streams.registration import check_formats, register, see_to_topics

    found = named(files, [receiver.name for receiver in service.receivers])
    names = Names(service.topics.prefix)
    sources = sorted({topic for one in found for topic in source_topics(one.lifecycle, names)})
    known = references(found, given)
    check_formats(service, [one.lifecycle for one in found])
    see_to_topics(service, sources)
    if joined := pairs([one.lifecycle for one in found], names):
        check_partitions(joined, topic_partitions(service.properties).__getitem__)
    if found or role is None:
        register(service, [one.lifecycle for one in found], known)


def _run_role(service: "Service", role: str, instance: str) -> None:
    from streams import logs
    from streams.loop import stopping

    logs.configure(role=instance)
    if os.environ.get(SUPERVISED):
        end_with_parent()
    properties, names = service.properties, Names(service.topics.prefix)
    if role == "control":
        from streams.control.app import run
        from streams.control.outgoing import reachable

        run(
            properties,
            prefix=names.prefix,
            host=service.http.host,
            port=service.http.port,
            tokens_file=service.http.tokens_file,
            version=_version(),
            receivers=reachable(service, os.environ),
            signing_secrets=service.signing_secrets(os.environ),
            meter=_meter(service, role),
        )
        return
    from streams import metrics, roles
    from streams.service import state_directory

    meter = _meter(service, role)
    if service.metrics.port:
        metrics.serve(meter, service.http.host, service.metrics.port)
    with stopping() as stopped:
        registry = service.schema_registry.settings(os.environ)
        process = roles.Process(properties, names, instance, meter, stopped, registry)
        logs.info("role.started", role=instance)
        if role == "profiler":
            roles.profiler(process)
        elif role == "joiner":
            directory = service.joiner.directory or state_directory(os.environ)
            roles.joiner(process, directory, service.joiner.memory_bytes)
        else:
            roles.judge(process, service.public, service.events.mode)
    logs.info("role.stopped", role=instance)


def _meter(service: "Service", role: str) -> "Meter":
    from streams.metrics import Meter

    asked = service.metrics
    return Meter(
        role,
        _version(),
        models=asked.models,
        series=10 if asked.series == "top10" else 0,
        restarts=int(os.environ.get(RESTARTS, "0")),
    )


def _say(name: str, line: str) -> None:
    sys.stderr.write(f"{name:<11} {line}\n")
    sys.stderr.flush()


def _version() -> str:
    try:
        return metadata.version("leeway-drift")
    except metadata.PackageNotFoundError:
        return "0"
