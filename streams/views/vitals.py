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
    end : where the records end that it may read
    start : where the log begins now
    """

    topic: str
    partition: int
    committed: int | None
    end: int
    start: int = 0

    @property
    def lag(self) -> int:
        """Records that wait. A role that never committed begins at the start of the log.

        >>> Share("leeway.profiles", 0, 7, 10).lag, Share("leeway.profiles", 0, None, 10, start=8).lag
        (3, 2)
        """
        return max(self.end - (self.start if self.committed is None else self.committed), 0)


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
    waits = f"{lag:,} {'record waits' if lag == 1 else 'records wait'}" if lag else "nothing waits"
    if now.members == 0:
        asks = "" if needed else ", and nothing that is registered asks for it"
        return "absent", f"nobody is in its group{asks}; {waits}"
    stuck, since_ms = _stuck(seen)
    if stuck and now.at_ms - since_ms >= STALLED_MS:
        return (
            "stalled",
            f"{waits}, and {stuck[0]}/{stuck[1]} was not read for {(now.at_ms - since_ms) // 1000} seconds",
        )
    if any(_committed(one) != _committed(now) for one in seen):
        return "working", f"it reads; {waits}"
    if now.members is None:
        return "unknown", f"the broker does not tell who is in its group; {waits}"
    if lag:
        return "working", f"{waits}, for less than {STALLED_MS // 1000} seconds"
    return "waiting", "everything was read"


def _stuck(seen: Sequence[Seen]) -> tuple[tuple[str, int] | None, int]:
    """The partition in which records have waited longest without one being read, and since when."""
    longest: tuple[tuple[str, int] | None, int] = None, 0
    for share in seen[-1].shares:
        if not share.lag:
            continue
        place, since_ms = (share.topic, share.partition), seen[-1].at_ms
        for one in reversed(seen):
            before = next((s for s in one.shares if (s.topic, s.partition) == place), None)
            if before is None or before.committed != share.committed or not before.lag:
                break
            since_ms = one.at_ms
        if longest[0] is None or since_ms < longest[1]:
            longest = place, since_ms
    return longest


def _committed(seen: Seen) -> tuple[tuple[str, int, int | None], ...]:
    return tuple((share.topic, share.partition, share.committed) for share in seen.shares)
