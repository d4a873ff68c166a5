"""Is the pipeline itself well? What each role's consumer group says, and what follows from it; no clock, no I/O."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

ROLES = ("profiler", "joiner", "judge", "control")
STATES = ("working", "waiting", "stalled", "absent", "unknown")
State = Literal["working", "waiting", "stalled", "absent", "unknown"]
STALLED_MS = 60_000  # what waits is not touched for so long: a transaction takes a second


@dataclass(frozen=True, slots=True)
class Share:
    """How far a role is in one partition.

    Parameters
    ----------
    committed : the next offset it has to read; None: it never committed one
    end : where what is committed ends
    """

    topic: str
    partition: int
    committed: int | None
    end: int

    @property
    def lag(self) -> int:
        """Records that wait. A role that never committed begins at the start of what the log keeps.

        >>> Share("leeway.profiles", 0, 7, 10).lag
        3
        """
        return max(self.end - (self.committed or 0), 0)


@dataclass(frozen=True, slots=True)
class RoleVitals:
    """How one role is.

    Parameters
    ----------
    state
        ``working``: what comes is read. ``waiting``: everything was read, and nothing comes. ``stalled``: something
        waits and nobody reads it. ``absent``: nobody is there. ``unknown``: it could not be asked.
    because : why we say so
    members : processes in its group; None: unknown
    lag : records that wait in all its partitions; None: unknown
    topics : how far it is, by topic and partition
    needed : False: nothing that is registered asks for this role
    """

    role: str
    state: State
    because: str
    members: int | None = None
    lag: int | None = None
    topics: tuple[Share, ...] = ()
    needed: bool = True


@dataclass(frozen=True, slots=True)
class Vitals:
    """How every role is; `as_of_ms` None: nobody has asked yet."""

    roles: tuple[RoleVitals, ...] = field(
        default=tuple(RoleVitals(role, "unknown", "nobody has asked yet") for role in ROLES)
    )
    as_of_ms: int | None = None

    def role(self, name: str) -> RoleVitals:
        """One of `ROLES`.

        >>> Vitals().role("judge").state
        'unknown'
        """
        return next(one for one in self.roles if one.role == name)


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of one group at one time; `members` None: the group could not be described."""

    at_ms: int
    members: int | None
    shares: tuple[Share, ...]


def of_role(role: str, seen: Sequence[Seen], *, needed: bool = True) -> RoleVitals:
    """What follows from the last looks at a group, the newest last.

    Examples
    --------
    >>> before, now = (Seen(at, 1, (Share("t", 0, 5, 9),)) for at in (0, 70_000))
    >>> of_role("judge", [before, now]).state
    'stalled'
    """
    now = seen[-1]
    lag = sum(share.lag for share in now.shares)
    state, because = _state(seen, now, lag, needed=needed)
    return RoleVitals(role, state, because, now.members, lag, now.shares, needed)


def _state(seen: Sequence[Seen], now: Seen, lag: int, *, needed: bool) -> tuple[State, str]:
    if now.members == 0:
        if not needed:
            return "absent", "nobody is in its group, and nothing that is registered needs it"
        waits = f", {lag:,} records wait" if lag else ""
        return "absent", f"nobody is in its group{waits}"
    unmoved = [one for one in seen if _places(one) == _places(now)]
    since_ms = now.at_ms - unmoved[0].at_ms
    stuck = {(share.topic, share.partition) for share in now.shares if share.lag}
    for one in unmoved:
        stuck &= {(share.topic, share.partition) for share in one.shares if share.lag}
    if stuck and since_ms >= STALLED_MS:
        return "stalled", f"{lag:,} records wait, and none was read for {since_ms // 1000} seconds"
    if len(unmoved) < len(seen):
        return (
            "working",
            f"it reads; {lag:,} records wait" if lag else "it reads, and nothing waits",
        )
    if lag:
        return "working", f"{lag:,} records wait; it has {STALLED_MS // 1000} seconds to go on"
    if not now.shares:
        return "waiting", "it has read nothing yet"
    return "waiting", "everything was read"


def _places(seen: Seen) -> tuple[int | None, ...]:
    return tuple(share.committed for share in seen.shares)
