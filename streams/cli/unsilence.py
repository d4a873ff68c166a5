"""`leeway unsilence`: a silence ends now."""

from typing import Annotated

import typer

from streams.cli.sending import Sender, acting

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "leeway unsilence sl-77d0 --brokers localhost:9092"


@acting
def command(
    sender: Sender,
    silence: Annotated[
        str, typer.Argument(metavar="SILENCE", help="its id, or the beginning of it")
    ],
) -> int:
    """End a silence before its time. What it held back and is still open is told now."""
    from streams.commands import Unsilence

    found = sender.silence(silence)
    return sender.give(Unsilence(**sender.about(found.model_id), silence_id=found.id))
