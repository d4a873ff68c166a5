"""`leeway cancel`: a retraining is called off."""

from streams.cli.sending import Sender, TriggerArgument, acting

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "leeway cancel rt-4c64 --brokers localhost:9092"


@acting
def command(sender: Sender, trigger: TriggerArgument) -> int:
    """Call a retraining off, whether it has begun or not."""
    from streams.commands import Cancel

    found = sender.trigger(trigger)
    return sender.give(Cancel(**sender.about(found.model_id), trigger_id=found.id))
