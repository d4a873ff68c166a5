"""Is a receiver worth trying? A breaker counts failures in a row, and after too many lets nothing pass for a while.

It keeps a receiver that is down from costing ten seconds for every message, and tells others that it is down.
"""

from dataclasses import dataclass

from alerting.deliver.sink import Failed

FAILURES = 5  # retryable ones in a row
FIRST_PAUSE_MS, LONGEST_PAUSE_MS = 30_000, 600_000
AUTH_PAUSE_MS = 900_000  # nobody repairs a token in thirty seconds


@dataclass(frozen=True, slots=True)
class Breaker:
    """What one receiver's answers came to.

    Parameters
    ----------
    failures : retryable failures since the last answer
    until_ms : nothing passes before; afterwards one message tries, and its outcome decides. None: closed
    pause_ms : how long it was open the last time; 0: not since it last worked
    """

    failures: int = 0
    until_ms: int | None = None
    pause_ms: int = 0

    @property
    def open(self) -> bool:
        """Whether the last word about this receiver is that it does not work."""
        return self.until_ms is not None

    def passes(self, now_ms: int, in_flight: int) -> bool:
        """Whether a message may try now: always if it is closed, one alone once the pause is over."""
        return self.until_ms is None or (now_ms >= self.until_ms and in_flight == 0)


CLOSED = Breaker()


def failed(breaker: Breaker, failure: Failed, now_ms: int) -> Breaker:
    """After a message failed.

    A receiver that asks us to wait, or that refuses one message, is alive: only what it cannot answer counts.

    >>> server = Failed("server", True, "status 500")
    >>> breaker = CLOSED
    >>> for at in range(5):
    ...     breaker = failed(breaker, server, at)
    >>> breaker.until_ms, failed(breaker, server, 40_000).pause_ms
    (30004, 60000)
    """
    if failure.trouble == "auth":
        return Breaker(breaker.failures, now_ms + AUTH_PAUSE_MS, AUTH_PAUSE_MS)
    if failure.trouble == "rate_limited":
        return CLOSED if breaker.open else breaker
    if not failure.retry:
        return CLOSED
    failures = breaker.failures + 1
    if breaker.open or failures >= FAILURES:
        pause = min(max(2 * breaker.pause_ms, FIRST_PAUSE_MS), LONGEST_PAUSE_MS)
        return Breaker(failures, now_ms + pause, pause)
    return Breaker(failures, None, breaker.pause_ms)
