"""`leeway rebaseline`: the present is normal."""

from typing import Annotated

import typer

from alerting.identity import rfc3339
from streams.cli.sending import ModelArgument, Sender, acting, instant
from streams.errors import UsageError

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "leeway rebaseline loans --reference loans-2026-03 --brokers localhost:9092"


@acting
def command(
    sender: Sender,
    model: ModelArgument,
    reference: Annotated[
        str | None, typer.Option(metavar="ID", help="of a reference that is registered")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="TIME", help="or: what was seen from here; refused in this release"
        ),
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="to here")] = None,
) -> int:
    """Say that the present is normal: compare with another reference from now on. Open episodes end."""
    from streams.commands import Rebaseline

    if (reference is None) == (start is None) or (start is None) != (end is None):
        raise UsageError("say either --reference ID, or --from TIME and --to TIME")
    return sender.give(
        Rebaseline(
            **sender.about(model),
            reference_id=reference,
            start=None if start is None else rfc3339(instant("--from", start)),
            end=None if end is None else rfc3339(instant("--to", end)),
        )
    )
