"""`leeway report`: all that is known of a model in one file, to be mailed, kept or printed."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli import app, output
from streams.cli.connection import BrokersOption, ConfigOption, service_of
from streams.cli.sending import ModelArgument, now_ms
from streams.errors import UsageError

if TYPE_CHECKING:
    from streams.broker import Record
    from streams.service import Service
    from streams.topics import Names

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "leeway report loan-default --out loans.html --brokers localhost:9092"

_DAYS = 30


def command(
    model: ModelArgument,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="default: MODEL.html here; - is the screen")
    ] = None,
    days: Annotated[
        int, typer.Option(metavar="N", min=1, max=_DAYS, help="how much of the past is shown")
    ] = _DAYS,
    version: Annotated[
        str | None, typer.Option(metavar="VERSION", help="default: the one deployed now")
    ] = None,
    segment: Annotated[
        str, typer.Option(metavar="SEGMENT", help="such as country=DE; default: the whole model")
    ] = "all",
    brokers: BrokersOption = None,
    config: ConfigOption = None,
) -> None:
    """Draw a model's past days, its problems and its pictures into one HTML file that needs nothing beside it.

    Read from Kafka itself, so it needs no running service. The file asks no network for anything.
    """
    from streams.console.report import Made, Shown, document
    from streams.console.report import model as sections
    from streams.console.wording import clock
    from streams.offline.drawn import gathered, stylesheet
    from streams.topics import Names
    from streams.views.past import KEPT_MS
    from streams.views.problems import Problem

    service = service_of(brokers, config)
    names, now = Names(service.topics.prefix), now_ms()
    known = gathered(names, _records(service, names, model), model_id=model, kept_ms=KEPT_MS)
    shown = Shown(model, version, segment, days)
    try:
        content = known.draw(lambda recalled: sections(known.read, shown, now, recalled))
    except Problem as unknown:
        raise UsageError(
            f"{unknown.detail}; leeway models lists those that are registered"
        ) from None
    made = Made(
        f"{model}: report",
        {
            "As of": clock(now),
            "Shown": f"{days} days",
            "Made by": f"leeway report, {app.version()}",
        },
    )
    output.write_document(
        out or Path(f"{model}.html"), document(made, [(model, content)], stylesheet())
    )


def _records(service: "Service", names: "Names", model: str) -> "Iterator[Record]":
    from streams.kafka import commands as kafka_commands
    from streams.offline.drawn import TOPICS

    for records in kafka_commands.past(service.properties, [names(topic) for topic in TOPICS]):
        yield from records
