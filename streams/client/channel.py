"""How do events get to Kafka without anybody waiting for it? A bounded queue, a thread beside it, and exact counts.

librdkafka keeps the queue, batches, compresses, sends, and tries again; a call of ours only puts an event into it, or
finds it full and counts it lost. Whatever takes time (making the client, hearing what could not be delivered, saying
so) happens in one background thread. Every event is counted exactly once: waiting, delivered, or lost for a reason.

A process that forks leaves its client to the parent: librdkafka's threads do not follow (its issues 1674 and 2374), so
the child makes its own at its first event, and never touches, nor frees, the one it inherited. What it does inherit are
the locks of threads that it has not: of one that was just looking up an address, say (glibc's getaddrinfo), and then it
could never look up any itself. So a fork waits a moment for a client that is about to connect.
"""

import atexit
import ctypes
import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from types import MappingProxyType
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

__all__ = ["Channel", "Counts", "Limits", "Tally"]

_LOG = logging.getLogger("leeway.client")
_POLL_S = 0.2
_TELL_EVERY_S = 60.0
_PURGED_S = 1.0  # until all that was given up has been heard of
_SETTLED_S = 0.5  # at most, until clients have connected, before a fork


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may wait, and how long."""

    events: int = 50_000  # in the queue
    bytes: int = 32 << 20
    linger: timedelta = timedelta(milliseconds=50)  # for a batch to fill
    patience: timedelta = timedelta(minutes=2)  # then an event is given up
    at_exit: timedelta = timedelta(seconds=2)  # to send what waits when the process ends
    ahead: timedelta = timedelta(minutes=5)  # how far a time may lie ahead of the clock


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the events of this process: ``sent == delivered + waiting + lost``, always.

    >>> Counts(sent=5, delivered=3, waiting=1, dropped={"queue_full": 1}).lost
    1
    """

    sent: int  # handed over, whatever came of it
    delivered: int  # acknowledged by all replicas in sync
    waiting: int  # in the queue, or on their way
    dropped: Mapping[str, int]  # by reason; an event given up may have arrived all the same
    fields: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))  # left empty

    @property
    def lost(self) -> int:
        """All that was dropped."""
        return sum(self.dropped.values())


class Tally:
    """A number that threads count up without a lock.

    >>> tally = Tally()
    >>> tally.add(), tally.value
    (0, 1)
    """

    __slots__ = ("_count", "add")

    def __init__(self) -> None:
        self._count = count()
        self.add: Callable[[], object] = self._count.__next__  # one step of the interpreter

    @property
    def value(self) -> int:
        return int(repr(self._count)[6:-1])  # "count(7)": the only way to look without counting


class Tallies:
    """Numbers by reason, as they come up."""

    def __init__(self) -> None:
        self._of: dict[str, Tally] = {}

    def add(self, reason: str) -> None:
        tally = self._of.get(reason)
        if tally is None:
            tally = self._of.setdefault(reason, Tally())
        tally.add()

    def values(self) -> dict[str, int]:
        return {reason: tally.value for reason, tally in sorted(self._of.copy().items())}


class Channel:
    """The way to Kafka of one emitter, in whatever process it is used.

    Parameters
    ----------
    properties
        librdkafka's.
    limits
        How much may wait, and how long.
    make
        A producer of those properties.
    """

    def __init__(
        self,
        properties: Mapping[str, Any],
        limits: Limits,
        make: Callable[[dict[str, Any]], Any],
    ) -> None:
        self._properties, self._limits, self._make = dict(properties), limits, make
        self._begin()
        _ALL.add(self)

    def _begin(self) -> None:
        """As nothing was ever sent: in a new process, too."""
        self._producer: Any = None
        self._produce: Callable[..., None] | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.RLock()  # for what happens once, never for an event
        self._ready, self._closing = threading.Event(), threading.Event()
        self._early: deque[tuple[str, bytes, str | None]] = deque()
        self._early_bytes = 0
        self._closed = self._over = self._broken = False
        self._why = ""  # the last thing that went wrong, in Kafka's words
        self._accepted, self._delivered = Tally(), 0
        self.refused, self._failed, self.fields = Tallies(), Tallies(), Tallies()

    # ---- in the caller's path

    def put(self, topic: str, value: bytes, key: str | None) -> None:
        """Queue an event, or count it lost."""
        produce = self._produce
        if produce is None:
            self._put_early(topic, value, key)
            return
        try:
            produce(topic, value, key)
        except BufferError:
            self.refused.add("queue_full")
        except KafkaException as failure:
            self.refused.add(self._reason(failure.args[0]))
        else:
            self._accepted.add()

    def _put_early(self, topic: str, value: bytes, key: str | None) -> None:
        """While the client is being made, which takes some milliseconds."""
        with self._lock:
            if self._closed:
                self.refused.add("closed")
                return
            too_many = len(self._early) >= self._limits.events
            if too_many or self._early_bytes + len(value) > self._limits.bytes:
                self.refused.add("queue_full")
                return
            self._early.append((topic, value, key))
            self._early_bytes += len(value)
            self._accepted.add()
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._serve, name="leeway-emitter", daemon=True
                )
                self._thread.start()

    def _reason(self, error: KafkaError) -> str:
        self._why = error.name()
        if error.fatal() or error.code() == KafkaError._FATAL:
            self._broken = True
        too_large = error.code() == KafkaError.MSG_SIZE_TOO_LARGE
        return "too_large" if too_large else "delivery_failed"

    # ---- in the background

    def _serve(self) -> None:
        told_at, told = time.monotonic() - _TELL_EVERY_S, 0
        while not self._closing.is_set():
            if self._producer is None:
                self._connect()
            elif self._broken:
                self._produce = None  # what comes meanwhile is early for the next one
                self._give_up(self._producer)
                self._producer = None
            else:
                self._producer.poll(_POLL_S)
                self._let_early_go()
            lost = sum(self._lost().values())
            if lost > told and time.monotonic() - told_at >= _TELL_EVERY_S:
                self._tell(lost - told)
                told_at, told = time.monotonic(), lost
        self._producer = None  # frees it, which may take long: nobody waits for this thread

    def _connect(self) -> None:
        try:
            producer = self._make({**self._properties, "on_delivery": self._heard})
        except KafkaException as failure:  # no memory, no threads
            self._why = failure.args[0].name()
            self._closing.wait(_POLL_S)
            return
        self._producer, self._broken = producer, False
        self._let_early_go()
        if not self._closed:
            self._produce = producer.produce
        self._ready.set()

    def _let_early_go(self) -> None:
        if not self._early:
            return
        with self._lock:
            while self._early and self._producer is not None:
                try:
                    self._producer.produce(*self._early[0])
                except BufferError:
                    self._failed.add("queue_full")
                except KafkaException as failure:
                    self._failed.add(self._reason(failure.args[0]))
                self._early.popleft()  # not before: it is always in one of the two
            self._early_bytes = sum(len(value) for _, value, _ in self._early)

    def _heard(self, error: KafkaError | None, message: object) -> None:
        if error is not None:
            self._failed.add(self._reason(error))

    def _give_up(self, producer: Any) -> None:
        """What still waits in a client is lost, and counted."""
        producer.purge()
        for _ in range(producer.flush(_PURGED_S)):
            self._failed.add("delivery_failed")

    def _tell(self, lost: int) -> None:
        """One line, without a value of anybody's."""
        reasons = ", ".join(f"{reason} {n}" for reason, n in self._lost().items())
        why = f"; Kafka says {self._why}" if self._why else ""
        _LOG.warning("events.lost count=%d since_start: %s%s", lost, reasons, why)

    # ---- for whoever owns it

    def _lost(self) -> dict[str, int]:
        return _together(self.refused.values(), self._failed.values())

    @property
    def counts(self) -> Counts:
        """What became of everything so far.

        In this order: an event that moves on meanwhile is seen waiting for longer, but never delivered too early.
        """
        producer, accepted = self._producer, self._accepted.value
        waiting = len(self._early)
        if producer is not None and not self._over:
            waiting += len(producer)
        of_refused, of_failed = self.refused.values(), self._failed.values()
        refused, failed = sum(of_refused.values()), sum(of_failed.values())
        self._delivered = delivered = max(self._delivered, accepted - waiting - failed)
        accepted = max(accepted, delivered + failed)
        return Counts(
            accepted + refused,
            delivered,
            accepted - delivered - failed,
            MappingProxyType(_together(of_refused, of_failed)),
            MappingProxyType(self.fields.values()),
        )

    def flush(self, timeout_s: float) -> bool:
        """Wait until nothing waits, or time is up. Returns whether nothing waits."""
        if self._thread is None or self._over:
            return True
        until = time.monotonic() + timeout_s
        self._ready.wait(max(0.0, timeout_s))
        producer = self._producer
        if producer is None:
            return False
        self._let_early_go()
        return bool(producer.flush(max(0.0, until - time.monotonic())) == 0)

    def close(self, timeout_s: float, *, ending: bool = False) -> None:
        """Send what waits, as far as time allows; the rest is lost and counted. Nothing is taken any more.

        `ending`: so is the process; then the client is left to it, since to free it may take long.
        """
        with self._lock:
            if self._closed:
                return
            self._closed, self._produce = True, None
        self.flush(timeout_s)
        producer = self._producer
        if producer is not None:
            if ending:
                _keep(producer)
            self._give_up(producer)
        with self._lock:
            self._over = True
            for _ in self._early:
                self._failed.add("delivery_failed")
            self._early.clear()
        self._closing.set()

    def close_at_exit(self, since: float) -> None:
        """The same at the end of the process, which began at `since` on the monotonic clock."""
        patience_s = since + self._limits.at_exit.total_seconds() - time.monotonic()
        self.close(max(0.0, patience_s), ending=True)

    def settle(self, until: float) -> None:
        """Before a fork: let a client connect that is about to, at most until then on the monotonic clock."""
        if not self.counts.delivered:
            self.flush(max(0.0, until - time.monotonic()))

    def renew(self) -> None:
        """In a child process, right after the fork."""
        if self._producer is not None:
            _keep(self._producer)
        self._begin()


def _together(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    return {reason: one.get(reason, 0) + other.get(reason, 0) for reason in sorted({*one, *other})}


def _keep(producer: object) -> None:
    """Never free this object: librdkafka would wait for threads that are not there, or are busy."""
    if isinstance(producer, Producer):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(producer))


_ALL: "weakref.WeakSet[Channel]" = weakref.WeakSet()


def _before_fork() -> None:
    until = time.monotonic() + _SETTLED_S
    for channel in list(_ALL):
        channel.settle(until)


def _after_fork() -> None:
    for channel in list(_ALL):
        channel.renew()


def _at_exit() -> None:
    began = time.monotonic()
    for channel in list(_ALL):
        channel.close_at_exit(began)


os.register_at_fork(before=_before_fork, after_in_child=_after_fork)
atexit.register(_at_exit)
