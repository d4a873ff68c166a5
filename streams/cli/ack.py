"""`leeway ack`: somebody looks after an episode."""

from streams.cli.sending import EpisodeArgument, Sender, acting

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "leeway ack ep-3f9c --brokers localhost:9092"


@acting
def command(sender: Sender, episode: EpisodeArgument) -> int:
    """Say that somebody looks after an episode.

    It is not repeated until it gets worse, and PagerDuty is told that it is acknowledged.
    """
    from streams.commands import Acknowledge

    found = sender.episode(episode)
    return sender.give(Acknowledge(**sender.about(found.model_id), episode_id=found.id))
