"""When may the next message go? Our own rate for a receiver, and how long to wait before a message is tried again.

The waits of a message are not random but taken from its name: as spread out as chance would have it, and the same after
a restart. A library that retries inside one call cannot do that: its schedule dies with the process.
"""

from dataclasses import dataclass
from math import ceil
from zlib import crc32

from alerting.deliver.sink import Failed

SECOND_MS = 1000
LONGEST_WAIT_MS = 60 * SECOND_MS
EAGER_MS = 600 * SECOND_MS  # so long after its first attempt a message is tried eagerly,
SELDOM_MS = 300 * SECOND_MS  # then this often
LONGEST_ASKED_MS = 3600 * SECOND_MS  # nobody may silence us for longer
UNTOLD_WAIT_MS = 30 * SECOND_MS  # a receiver that is asked too much and does not say how long


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `burst` messages at once, and `count` within `per_ms` in the long run."""

    count: int
    per_ms: int
    burst: int

    @property
    def each_ms(self) -> float:
        return self.per_ms / self.count


RATES = {  # the vendors' own limits, or what a mail server puts up with
    "slack": Rate(1, SECOND_MS, 3),
    "pagerduty": Rate(60, 60 * SECOND_MS, 60),
    "email": Rate(10, 60 * SECOND_MS, 10),
    "webhook": Rate(600, 60 * SECOND_MS, 60),
}


@dataclass(frozen=True, slots=True)
class Pace:
    """How much of its rate a receiver has used up.

    Parameters
    ----------
    ahead_ms : the time at which all that was sent would be paid for, one message after the other
    held_ms : the receiver asked for silence until then
    """

    ahead_ms: float = 0.0
    held_ms: int = 0

    def free_ms(self, rate: Rate, now_ms: int) -> int:
        """When the next message may go; at most `now_ms` if it may go now.

        >>> pace, rate = Pace(), Rate(1, 1000, 3)
        >>> for _ in range(3):
        ...     pace = pace.spent(rate, 5000)
        >>> pace.free_ms(rate, 5000)
        6000
        """
        paid = self.ahead_ms - (rate.burst - 1) * rate.each_ms
        return max(ceil(paid), self.held_ms)

    def spent(self, rate: Rate, now_ms: int) -> "Pace":
        """After a message went."""
        return Pace(max(self.ahead_ms, now_ms) + rate.each_ms, self.held_ms)

    def held(self, until_ms: int) -> "Pace":
        """After the receiver asked for silence."""
        return Pace(self.ahead_ms, max(self.held_ms, until_ms))


def wait_ms(name: str, channel: str, attempts: int, tried_for_ms: int, failure: Failed) -> int:
    """How long a message waits after it failed.

    What the receiver asked for, else 1, 2, 4 … 60 s, of which a message waits a share that follows from its name (full
    jitter); after ten minutes of that five minutes each time.

    Parameters
    ----------
    name : of the message, which decides its share
    attempts : made so far, this one included
    tried_for_ms : since the first

    Notes
    -----
    "Full jitter" of M. Brooker, *Exponential Backoff and Jitter* (AWS Architecture Blog, 2015): of the schemes compared
    there the one with the least work for the receiver.

    Examples
    --------
    >>> wait_ms("nt-1", "slack", 1, 0, Failed("rate_limited", True, "status 429", after_s=7))
    7000
    >>> wait_ms("nt-1", "slack", 30, 600_000, Failed("server", True, "status 500"))
    300000
    """
    if failure.after_s is not None:
        return round(min(max(failure.after_s, 0.0) * SECOND_MS, LONGEST_ASKED_MS))
    if failure.trouble == "rate_limited":
        growth = 1 if channel == "slack" else 1 << min(attempts - 1, 2)
        return UNTOLD_WAIT_MS * growth
    if tried_for_ms >= EAGER_MS:
        return SELDOM_MS
    longest = min(SECOND_MS << min(attempts - 1, 10), LONGEST_WAIT_MS)
    return longest * crc32(f"{name} {attempts}".encode()) >> 32
