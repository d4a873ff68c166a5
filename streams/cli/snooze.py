"""`leeway snooze`: nobody is told of an episode for a while."""

from typing import Annotated

import typer

from alerting.identity import rfc3339
from streams.cli.sending import EpisodeArgument, Sender, acting, now_ms, until_ms

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "leeway snooze ep-3f9c --for 2h --brokers localhost:9092"


@acting
def command(
    sender: Sender,
    episode: EpisodeArgument,
    for_: Annotated[
        str | None, typer.Option("--for", metavar="DURATION", help="such as 2h or 3d")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="or: RFC 3339")
    ] = None,
) -> int:
    """Tell nobody of an episode for a while. If it is still open then, its latest news is told."""
    from streams.commands import Snooze

    end = rfc3339(until_ms(now_ms(), for_, until))
    found = sender.episode(episode)
    return sender.give(Snooze(**sender.about(found.model_id), episode_id=found.id, until=end))
