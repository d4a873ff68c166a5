"""`leeway retrain`: somebody asks for a retraining."""

from typing import Annotated, Any

import typer

from streams.cli.sending import ModelArgument, Sender, acting, choice

__all__ = ["EXAMPLE", "command"]

EXAMPLE = 'leeway retrain loans --reason "a new product" --brokers localhost:9092'


@acting
def command(
    sender: Sender,
    model: ModelArgument,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="why")] = None,
    priority: Annotated[
        str, typer.Option(metavar="PRIORITY", help="low, normal or high")
    ] = "normal",
) -> int:
    """Ask for a retraining of a model. The lifecycle's guards and approvers hold as for any other."""
    from streams.commands import Retrain

    wanted: Any = choice("--priority", priority, ("low", "normal", "high"))
    return sender.give(Retrain(**sender.about(model), reason=reason, priority=wanted))
