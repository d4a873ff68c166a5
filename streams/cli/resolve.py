"""`leeway resolve`: an episode is over."""

from streams.cli.sending import EpisodeArgument, Sender, acting

__all__ = ["EXAMPLE", "command"]

EXAMPLE = 'leeway resolve ep-3f9c --note "planned move" --brokers localhost:9092'


@acting
def command(sender: Sender, episode: EpisodeArgument) -> int:
    """End an episode, whatever the numbers say. If they go on saying it, another one opens."""
    from streams.commands import Resolve

    found = sender.episode(episode)
    return sender.give(Resolve(**sender.about(found.model_id), episode_id=found.id))
