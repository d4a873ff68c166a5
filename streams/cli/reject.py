"""`leeway reject`: a retraining is refused."""

from streams.cli.sending import Sender, TriggerArgument, acting

__all__ = ["EXAMPLE", "command"]

EXAMPLE = 'leeway reject rt-4c64 --note "a holiday" --brokers localhost:9092'


@acting
def command(sender: Sender, trigger: TriggerArgument) -> int:
    """Refuse a retraining that was asked for. Where the lifecycle names approvers, only they may."""
    from streams.commands import Reject

    found = sender.trigger(trigger)
    return sender.give(Reject(**sender.about(found.model_id), trigger_id=found.id))
