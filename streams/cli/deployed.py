"""`leeway deployed`: another version answers now."""

from typing import Annotated

import typer

from streams.cli.sending import ModelArgument, Sender, acting

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "leeway deployed loans 2.4.0 --trigger rt-4c64 --reference loans-2026-03 --brokers localhost:9092"


@acting
def command(
    sender: Sender,
    model: ModelArgument,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="the one that answers now")],
    trigger: Annotated[
        str | None, typer.Option(metavar="TRIGGER", help="the retraining it comes from")
    ] = None,
    reference: Annotated[
        str | None, typer.Option(metavar="ID", help="its reference; leeway apply registers it")
    ] = None,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="back to an earlier version")
    ] = False,
) -> int:
    """Say that another version of a model answers now.

    Its detectors start anew and its grace period begins; episodes of the former version end. A patch release keeps the
    reference; any other version needs its own.
    """
    from streams.commands import Deployed

    return sender.give(
        Deployed(
            **sender.about(model),
            model_version=version,
            trigger_id=None if trigger is None else sender.trigger(trigger).id,
            reference_id=reference,
            rollback=rollback,
        )
    )
