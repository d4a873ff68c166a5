"""`leeway approve`: a retraining may begin."""

from streams.cli.sending import Sender, TriggerArgument, acting

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "leeway approve rt-4c64 --by credit-risk-leads --brokers localhost:9092"


@acting
def command(sender: Sender, trigger: TriggerArgument) -> int:
    """Let a retraining begin: pipelines start on this, and on nothing else.

    Where the lifecycle names approvers, only they may.
    """
    from streams.commands import Approve

    found = sender.trigger(trigger)
    return sender.give(Approve(**sender.about(found.model_id), trigger_id=found.id))
