"""`leeway tick`: a check that only a person can make was made."""

from typing import Annotated

import typer

from streams.cli.sending import Sender, TriggerArgument, acting

__all__ = ["EXAMPLE", "command"]

EXAMPLE = 'leeway tick rt-4c64 "A/B test against the current model" --brokers localhost:9092'


@acting
def command(
    sender: Sender,
    trigger: TriggerArgument,
    check: Annotated[
        str, typer.Argument(metavar="CHECK", help="as the lifecycle's validation_requirements say")
    ],
) -> int:
    """Say that a check of a retraining that only a person can make was made, and passed."""
    from streams.commands import TickCheck

    found = sender.trigger(trigger)
    return sender.give(TickCheck(**sender.about(found.model_id), trigger_id=found.id, check=check))
