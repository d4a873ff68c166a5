"""What is sent next, to whom, and when? Notifications, what is on record and the time go in; acts come out.

The outbox neither sends nor writes: it says what to do, is told what came of it, and says what to put on record. Until
that record is written (`recorded`) nothing else happens to the same episode at the same receiver. Given the records and
the notifications again, it goes on where it stood: a restart is no special case.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from alerting.deliver import breaker as breakers
from alerting.deliver.breaker import CLOSED, Breaker
from alerting.deliver.items import (
    Act,
    Delivery,
    Item,
    Key,
    Redirect,
    Send,
    Settle,
    State,
    Terms,
)
from alerting.deliver.pace import Pace, wait_ms
from alerting.deliver.sink import Failed, Parcel, Sent
from alerting.types import SEVERITIES

# Messages to one receiver at the same time. What is on its way when control is killed may be told twice, except to
# PagerDuty, which knows its incidents.
IN_FLIGHT, IN_FLIGHT_TO_PAGERDUTY = 3, 8
_UNKNOWN = ("network", "timeout", "server")  # after these it may have arrived all the same


@dataclass(slots=True)
class _Box:
    """What waits for one key. `flying`: sent, not answered; `busy`: something is being done."""

    items: list[Item] = field(default_factory=list)
    flying: Item | None = None
    busy: bool = False
    redirected: bool = False


class Outbox:
    """Everything that is to be sent, and what is known about those it goes to.

    Parameters
    ----------
    terms : of the receivers that can be reached; what is for others is not for this outbox
    merged : asked once an item was held back long enough: whether it is told as part of something else
    """

    def __init__(
        self,
        terms: Iterable[Terms],
        merged: Callable[[Item], bool] = lambda item: False,
    ) -> None:
        self.terms = {one.name: one for one in terms}
        self.suppressed: Counter[str] = Counter()
        self._merged = merged
        self._records: dict[Key, Delivery] = {}
        self._boxes: dict[Key, _Box] = {}
        self._breakers = dict.fromkeys(self.terms, CLOSED)
        self._paces = dict.fromkeys(self.terms, Pace())
        self._flying: Counter[str] = Counter()

    # --- what came in -------------------------------------------------------------------------

    def restart(self, records: Mapping[Key, Delivery]) -> None:
        """Forget everything that waits and begin with these records; what is known of receivers stays."""
        self._records = dict(records)
        self._boxes = {}
        self._flying = Counter()

    def add(self, item: Item) -> None:
        """A notification was published, or one that stands in for another."""
        if item.notification.receiver not in self.terms:
            return
        record = self._records.get(item.key)
        if record is not None and record.covers(item.sequence):
            return
        box = self._boxes.setdefault(item.key, _Box())
        if any(item.sequence == other.sequence for other in (*box.items, box.flying) if other):
            return
        box.items.append(item)
        self._tidy(item.key, box)

    def answered(self, key: Key, outcome: Sent | Failed, now_ms: int) -> Settle | None:
        """What came of a `Send`: what is to be put on record. None: it was sent before the last restart."""
        box = self._boxes.get(key)
        if box is None or box.flying is None:
            return None
        item, box.flying = box.flying, None
        self._flying[key.receiver] -= 1
        before = self._records.get(key)
        attempts, first_ms = 1, now_ms
        if before is not None and before.sequence == item.sequence:
            attempts, first_ms = before.attempts + 1, before.first_attempt_ms or now_ms
        record = self._record(item, "sent", now_ms)
        record = replace(record, attempts=attempts, first_attempt_ms=first_ms)
        if isinstance(outcome, Sent):
            self._breakers[key.receiver] = CLOSED
            return Settle(
                replace(
                    record,
                    slack_ts=outcome.thread or record.slack_ts,
                    last_error=outcome.said,
                    told=item.sequence,
                    reached=True,
                )
            )
        self._breakers[key.receiver] = breakers.failed(
            self._breakers[key.receiver], outcome, now_ms
        )
        reached = record.reached or outcome.trouble in _UNKNOWN
        record = replace(record, last_error=outcome.said, reached=reached)
        if not outcome.retry and outcome.trouble != "auth":
            return Settle(replace(record, state="refused"), dead=item.notification)
        name, channel = item.notification.idempotency_key, record.channel
        wait = wait_ms(name, channel, attempts, now_ms - first_ms, outcome)
        if outcome.trouble == "rate_limited":
            self._paces[key.receiver] = self._paces[key.receiver].held(now_ms + wait)
        box.items.append(item)
        self._tidy(key, box)
        return Settle(replace(record, state="waiting", next_attempt_ms=now_ms + wait))

    def recorded(self, record: Delivery) -> None:
        """What was to be put on record is there: the key is free."""
        self._records[record.key] = record
        box = self._boxes.get(record.key)
        if box is not None:
            box.busy = False
            box.items = [one for one in box.items if not record.covers(one.sequence)]
            if not box.items:
                del self._boxes[record.key]

    # --- what to do ---------------------------------------------------------------------------

    def step(self, now_ms: int) -> list[Act]:
        """What is to be done now. Worst news first, then in the order they came."""
        idle = [(key, box) for key, box in self._boxes.items() if box.items and not box.busy]
        idle.sort(key=lambda pair: _urgency(pair[1].items[0]))
        return [act for key, box in idle if (act := self._next(key, box, now_ms)) is not None]

    def _next(self, key: Key, box: _Box, now_ms: int) -> Act | None:
        item, to = box.items[0], self.terms[key.receiver]
        record = self._records.get(key)
        tried = record is not None and record.sequence == item.sequence
        if not item.opens and not tried and not (record is not None and record.reached):
            return self._settled(box, item, "superseded", now_ms)
        if now_ms - item.at_ms > to.max_event_age_ms:
            return self._settled(box, item, "late", now_ms)
        expired = now_ms >= item.expires_ms
        if expired or self._breakers[key.receiver].open:
            redirect = self._redirect(key, box, item, now_ms)
            if redirect is not None:
                return redirect
            if expired:
                waits = record is not None and self._waits_for(record, item)
                return None if waits else self._settled(box, item, "expired", now_ms)
        if now_ms < item.not_before_ms:
            return None
        if item.gathered and self._merged(item):
            return self._settled(box, item, "merged", now_ms)
        if self._ready_ms(key, item, now_ms) > now_ms:
            return None
        box.items, box.flying, box.busy = box.items[1:], item, True
        self._flying[key.receiver] += 1
        self._paces[key.receiver] = self._paces[key.receiver].spent(to.rate, now_ms)
        return Send(key, Parcel(item.notification, record.slack_ts if record else None))

    def _ready_ms(self, key: Key, item: Item, now_ms: int) -> int:
        """The first moment at which nothing speaks against sending it, as far as is known."""
        flying, breaker = self._flying[key.receiver], self._breakers[key.receiver]
        pager = self.terms[key.receiver].channel == "pagerduty"
        if flying >= (IN_FLIGHT_TO_PAGERDUTY if pager else IN_FLIGHT):
            return item.expires_ms  # an answer comes first
        if not breaker.passes(now_ms, flying):
            return item.expires_ms if flying else breaker.until_ms or 0
        free = self._paces[key.receiver].free_ms(self.terms[key.receiver].rate, now_ms)
        record = self._records.get(key)
        if record is not None and record.sequence == item.sequence:
            free = max(free, record.next_attempt_ms or 0)
        return free

    def _redirect(self, key: Key, box: _Box, item: Item, now_ms: int) -> Redirect | None:
        """The fallback of a critical that cannot be told now; once."""
        if box.redirected or item.instead or item.notification.severity != "critical":
            return None
        if now_ms >= 2 * item.expires_ms - item.logged_ms:
            return None  # too late even for somebody else
        record = self._records.get(key)
        same = record is not None and record.sequence == item.sequence
        to = (record.fallback if same and record is not None else None) or self._fallback(key)
        box.redirected = True
        if to is None:
            return None
        other = self._records.get(Key(to, key.episode_id))
        if other is not None and other.told >= item.sequence:
            return None  # who hears it anyway
        box.busy = True
        return Redirect(
            replace(self._record(item, "waiting", now_ms, again=True), fallback=to),
            item.notification,
            to,
            item,
        )

    def _fallback(self, key: Key) -> str | None:
        named = self.terms[key.receiver].fallback
        if named is not None:
            return named if named in self.terms else None
        return next(
            (
                other.name
                for other in self.terms.values()
                if other.name != key.receiver
                and other.channel != "webhook"
                and not self._breakers[other.name].open
            ),
            None,
        )

    def _waits_for(self, record: Delivery, item: Item) -> bool:
        """Whether somebody else may yet hear it instead."""
        if record.fallback is None:
            return False
        box = self._boxes.get(Key(record.fallback, record.episode_id))
        return box is not None and any(
            other.sequence >= item.sequence for other in (*box.items, box.flying) if other
        )

    def _settled(self, box: _Box, item: Item, state: State, now_ms: int) -> Settle:
        box.busy = True
        if state in ("superseded", "merged"):
            self.suppressed["superseded"] += 1
        elif state == "late":
            self.suppressed["digest"] += 1
        return Settle(self._record(item, state, now_ms, again=True))

    def _record(self, item: Item, state: State, now_ms: int, *, again: bool = False) -> Delivery:
        """The next record of an item. `again`: no attempt was made, so what is known of attempts stays."""
        note, before = item.notification, self._records.get(item.key)
        fresh = Delivery(
            receiver=note.receiver,
            episode_id=note.episode_id,
            channel=note.channel,
            model_id=note.model_id,
            sequence=note.sequence,
            state=state,
            change=note.change,
            severity=note.severity,
            at_ms=now_ms,
        )
        if before is None:
            return fresh
        fresh = replace(fresh, slack_ts=before.slack_ts, told=before.told, reached=before.reached)
        if before.sequence != note.sequence:
            return fresh
        fresh = replace(fresh, fallback=before.fallback)
        if not again:
            return fresh
        return replace(
            fresh,
            attempts=before.attempts,
            last_error=before.last_error,
            first_attempt_ms=before.first_attempt_ms,
            next_attempt_ms=None if fresh.final else before.next_attempt_ms,
        )

    def _tidy(self, key: Key, box: _Box) -> None:
        """Keep the newest of what waits. PagerDuty needs an incident before it can be told anything else of it."""
        ordered = sorted(box.items, key=lambda one: one.sequence)
        kept = _kept(ordered, separate=self.terms[key.receiver].channel == "pagerduty")
        self.suppressed["superseded"] += len(ordered) - len(kept)
        if kept[0].sequence != box.items[0].sequence:
            box.redirected = False
        box.items = kept

    # --- what others ask ----------------------------------------------------------------------

    def next_ms(self, now_ms: int) -> int | None:
        """When `step` may have something to say that it does not say now; None: not before something comes in."""
        moments = [self._look_ms(key, box, now_ms) for key, box in self._boxes.items()]
        return min((moment for moment in moments if moment is not None), default=None)

    def _look_ms(self, key: Key, box: _Box, now_ms: int) -> int | None:
        if box.busy or not box.items:
            return None
        item = box.items[0]
        ready = max(self._ready_ms(key, item, now_ms), item.not_before_ms)
        return max(min(ready, item.expires_ms), now_ms + 1)

    def oldest_ms(self) -> dict[str, int]:
        """By receiver, when the oldest notification that waits was published."""
        found: dict[str, int] = {}
        for key, box in self._boxes.items():
            for item in (*box.items, box.flying):
                if item is not None:
                    found[key.receiver] = min(
                        found.get(key.receiver, item.logged_ms), item.logged_ms
                    )
        return found

    def breakers(self) -> Mapping[str, Breaker]:
        return self._breakers

    @property
    def waiting(self) -> int:
        """Notifications that are neither done nor being sent."""
        return sum(len(box.items) for box in self._boxes.values())


def _kept(items: list[Item], *, separate: bool) -> list[Item]:
    """Of items in order, those worth sending: the newest, which stands for all before it.

    `separate`: what opens is kept apart from what follows, for the receiver refuses the one without the other.
    """
    if not separate:
        opening = any(one.opens for one in items)
        return [replace(items[-1], opening=opening)]
    openings = [one for one in items if one.opens]
    first = openings[-1:]
    after = [one for one in items if not first or one.sequence > first[0].sequence]
    return [*first, *after[-1:]]


def _urgency(item: Item) -> tuple[int, int, int]:
    severity = SEVERITIES.index(item.notification.severity)
    return -severity, item.logged_ms, item.sequence
