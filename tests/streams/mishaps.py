"""What happens to members of a group: they turn and commit, and now and then a commit fails, or one of them is lost."""

import random
from collections.abc import Callable, Sequence

from streams.loop import Loop
from streams.memory import MemoryBroker

Member = tuple[MemoryBroker, Loop]


def befall(
    members: list[Member], start: Callable[[], Member], dice: random.Random, limits: Sequence[int]
) -> bool:
    """Let one thing happen to one of two members; whether it was a mishap. `start` makes one that takes its place."""
    which = dice.randrange(2)
    broker, loop = members[which]
    what = dice.choices(["turn", "commit", "abort", "crash", "expire"], [60, 25, 6, 5, 4])[0]
    if what == "turn":
        loop.limit = dice.choice(limits)
        loop.turn()
    elif what == "commit":
        loop.commit()
    elif what == "abort":
        broker.fail_next_commit()
    elif what == "crash":
        broker.crash()
        members[which] = start()
    elif not broker.expired:
        broker.expire()
    return what in ("abort", "crash", "expire")
