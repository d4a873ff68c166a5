"""How does news get to people? Notifications come in from Kafka, go out through sinks, and what came of it is recorded.

The outbox (`alerting.deliver.outbox`) decides; this is its clock, its reader and its hands. The order that makes a
restart harmless: at the start, and whenever partitions change hands, `leeway.deliveries` is read to its end, then the
channels' topics; what was sent is recorded, acknowledged by all replicas, before anything else happens to its key.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, cast

import msgspec
from aiokafka.errors import KafkaError
from faust.types import TP

from alerting.deliver.items import Act, Delivery, Item, Key, Redirect, Send, Settle
from alerting.deliver.outbox import Outbox
from alerting.deliver.sink import Failed, Sent
from alerting.digest import day_start
from alerting.notify import render
from alerting.settings import DAY_MS
from alerting.shared import mergeable
from alerting.types import Alert, Kind, Notification
from streams import logs
from streams.broker import Partition, Record
from streams.control.apps import folding, reader
from streams.control.committed import Progress
from streams.control.daybook import Daybook
from streams.control.outgoing import Reachable, now_ms
from streams.control.recording import Recorder
from streams.control.shared_causes import GATHER_MS, Drifts
from streams.control.shared_group import SharedTransport
from streams.metrics import NOTIFICATION_DURATION, NOTIFICATIONS, NOTIFICATIONS_FAILED, Meter
from streams.topics import Names
from streams.views import answers
from streams.views.deliveries import Delivering
from streams.views.documents import event_ms
from streams.views.read import ReadModel, document_of

CHANNELS = ("slack", "pagerduty", "email")
SEND_S = 25.0  # a sink has limits of its own; this one holds whatever it does
DRAIN_S = 12.0  # partitions that are to be given up wait so long for answers
_UNREADABLE = (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError)
TRUSTED = 0.75  # of a session after the coordinator agreed, what we own is ours
_OCCASION_MS = 1000
_LOOK_S = 0.25
_AGAIN_S = 0.05


class Courier:
    """Delivers what is on the channels' topics, together with all other controls.

    Parameters
    ----------
    read, progress : what this control knows, and how far it has read: the deliveries are part of that
    ready : whether it knows all that was written before its start
    meter : counts what was sent, and what was not
    """

    def __init__(
        self,
        kafka: Mapping[str, str],
        names: Names,
        receivers: Reachable,
        read: ReadModel,
        progress: Progress,
        ready: Callable[[], bool],
        meter: Meter,
    ) -> None:
        self._names, self._sinks, self._read, self._progress = (
            names,
            receivers.sinks,
            read,
            progress,
        )
        self._ready, self._meter = ready, meter
        self.outbox = Outbox(receivers.terms, lambda item: self._drifts.shared(item.key))
        self._drifts = Drifts(receivers.public, receivers.console, self._told)
        self._daybook = Daybook(receivers.public, receivers.console, read)
        self._digested = 0  # the day whose digests are in the outbox
        self._occasion_ms = 0  # when what no single alert says is looked for next
        self._public = {one.name: one for one in receivers.public}
        self._hooks = [one for one in receivers.public if one.channel == "webhook"]
        self.app = reader(f"{names.prefix}control-delivery", kafka, SharedTransport)
        self._recorder = Recorder(self.app, names)
        self._transport = cast(SharedTransport, self.app.transport)
        self._transport.wanted = lambda topic, key: True
        self._transport.folded = lambda partition: 0  # every assignment begins anew
        self._transport.progress = Progress()
        self._channels = frozenset(names(f"alerts.{channel}") for channel in CHANNELS)
        self._topics = (*sorted(self._channels), names("alerts"))
        folding(self.app, self._topics, self._fold)
        self.app.on_partitions_revoked.connect(self._revoked)
        self.app.on_partitions_assigned.connect(self._assigned)
        self._owned: frozenset[Partition] | None = None  # None: between two assignments
        self._trusted = False  # whether what we gave up was ours until we did
        self._open = False  # whether the outbox knows all it must know
        self._generation = 0
        self._ends: dict[Partition, int] | None = None  # of what must be known, at the assignment
        self._folded: dict[Partition, int] = {}
        self._arrived: list[Item] = []
        self._origins: dict[Key, dict[int, Record]] = {}  # of what is not done
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._trouble: BaseException | None = None

    # --- life -----------------------------------------------------------------------------------

    async def deliver(self) -> None:
        """Send until cancelled.

        Raises
        ------
        BrokerError
            Kafka cannot be had, or not any more.
        """
        while not self._ready():
            await self._sleep(_AGAIN_S)
        await self.app.start()
        ended = asyncio.create_task(self.app.wait())
        try:
            while not ended.done():
                if self._trouble is not None:
                    raise self._trouble
                await self._tend()
            if self.app.crash_reason is not None:
                raise self.app.crash_reason
        finally:
            ended.cancel()
            self._open = False
            await self._drain()

    async def stop(self) -> None:
        """Leave the group and close the sinks."""
        await self.app.stop()
        for sink in self._sinks.values():
            await sink.close()

    async def _tend(self) -> None:
        self._wake.clear()
        if not self._open and not await self._opened():
            await self._sleep(_AGAIN_S)
            return
        now = now_ms()
        if self._confirmed():
            self._occasions(now)
            for act in self.outbox.step(now):
                self._start(act)
        due_ms = self.outbox.next_ms(now)
        pause_s = _LOOK_S if due_ms is None else (due_ms - now) / 1000
        await self._sleep(min(max(pause_s, _AGAIN_S), _LOOK_S))

    def _told(self, key: Key) -> int:
        """The highest sequence that arrived, whoever sent it; 0: none."""
        record = self._read.deliveries.get(key)
        return 0 if record is None else record.told

    def _occasions(self, now_ms: int) -> None:
        """Shared causes and digests: one control speaks for all."""
        first = Partition(self._names("alerts.slack"), 0)
        if now_ms < self._occasion_ms or self._owned is None or first not in self._owned:
            return
        self._occasion_ms = now_ms + _OCCASION_MS
        for item in self._drifts.due(now_ms):
            self.outbox.add(item)
        if (day := day_start(now_ms)) != self._digested:
            self._digested = day
            for item in self._daybook.due(now_ms):
                self.outbox.add(item)

    def heard(self, record: Record) -> None:
        """An alert, as every control reads it: what is told together and what a digest says follows from all."""
        if record.value is None or (record.timestamp_ms or 0) < now_ms() - 2 * DAY_MS:
            return
        try:
            alert = msgspec.json.decode(document_of(record), type=Alert)
            self._drifts.heard(alert, record.timestamp_ms or 0)
            self._daybook.heard(alert, record.timestamp_ms or 0)
        except _UNREADABLE:
            return  # the read model has counted it

    async def _sleep(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), seconds)

    def _confirmed(self) -> bool:
        """Whether the group's coordinator agreed lately enough that what we own is still ours."""
        age_s = time.monotonic() - self._transport.confirmed
        return age_s < TRUSTED * float(self.app.conf.broker_session_timeout)

    # --- partitions come and go -----------------------------------------------------------------

    async def _revoked(self, app: Any, /, *args: Any, **kwargs: Any) -> None:
        """Begin nothing more, and have what has begun recorded before others take over."""
        self._trusted, self._owned, self._open = self._confirmed(), None, False
        await self._drain()
        self._trusted = False
        self._generation += 1
        self._transport.progress = Progress()
        self._folded, self._arrived, self._origins, self._ends = {}, [], {}, None
        self._digested = 0

    async def _assigned(self, app: Any, /, *args: Any, **kwargs: Any) -> None:
        assigned: set[TP] = args[0]
        self._owned = frozenset(Partition(tp.topic, tp.partition) for tp in assigned)
        self._wake.set()

    async def _drain(self) -> None:
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=DRAIN_S)
            for task in late:
                task.cancel()

    async def _opened(self) -> bool:
        """Open the outbox once everything that was written before the assignment is known."""
        owned, generation = self._owned, self._generation
        if not owned:
            return False
        reading = self._transport.progress
        if not (owned <= reading.starts.keys() and self._caught_up(owned, reading)):
            return False
        if self._ends is None:
            # asked after the assignment: what the former owners recorded lies before these ends
            needed = (self._names("deliveries"), self._names("alerts"))
            behind = [p for p in self._progress.ends if p.topic in needed]
            try:
                ends = await self.app.consumer.highwaters(*(TP(*p) for p in behind))
            except KafkaError as error:
                logs.warning("delivery.waits", error=type(error).__name__)
                return False
            if generation != self._generation:
                return False
            self._ends = {Partition(tp.topic, tp.partition): end for tp, end in ends.items()}
        if not self._known(self._ends):
            return False
        self.outbox.restart(self._read.deliveries)
        for item in self._arrived:
            self.outbox.add(item)
        self._arrived, self._open = [], True
        logs.info("delivery.ready", partitions=len(owned), waiting=self.outbox.waiting)
        return True

    def _caught_up(self, owned: frozenset[Partition], reading: Progress) -> bool:
        if any(reading.reached.get(p, -1) < reading.starts[p] for p in owned):
            return False
        return all(self._folded.get(p, 0) >= reading.handed_on.get(p, 0) for p in owned)

    def _known(self, ends: Mapping[Partition, int]) -> bool:
        """Whether the read model has everything before these ends."""
        if any(self._progress.reached.get(p, -1) < end for p, end in ends.items()):
            return False
        return all(self._read.position(p) >= self._progress.handed_on.get(p, 0) for p in ends)

    # --- what comes in --------------------------------------------------------------------------

    def _fold(self, record: Record) -> None:
        partition = Partition(record.topic, record.partition)
        self._folded[partition] = record.offset + 1
        if self._owned is not None and partition not in self._owned:
            return  # left over from a former assignment
        try:
            if record.topic in self._channels:
                note = msgspec.json.decode(document_of(record), type=Notification)
                if note.receiver in self._sinks:
                    self._add(self._item(note, record), record)
            elif self._hooks:
                alert = msgspec.json.decode(document_of(record), type=Alert)
                self._to_hooks(alert, record)
        except _UNREADABLE as error:
            logs.warning(
                "notification.unreadable",
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
                error=type(error).__name__,
            )

    def _item(self, note: Notification, record: Record) -> Item:
        """A notification as it waits: drift of inputs waits longer, to see where else it appears."""
        logged_ms, about = record.timestamp_ms or 0, dict(record.headers)
        kind, series = about.get("ce_kind", b"").decode(), about.get("ce_series", b"").decode()
        gathered = note.severity != "critical" and mergeable(note, cast(Kind, kind), series or None)
        held_ms = logged_ms + GATHER_MS if gathered else 0
        return Item(note, logged_ms, event_ms(note.at), held_ms, gathered)

    def _to_hooks(self, alert: Alert, record: Record) -> None:
        """Webhooks have no topic of their own: they get alerts, rendered here."""
        if not alert.delivery.suppressed:
            for hook in self._hooks:
                note = render(hook, alert)
                if note is not None:
                    self._add(Item(note, record.timestamp_ms or 0, event_ms(note.at)), record)

    def _add(self, item: Item, origin: Record | None = None) -> None:
        known = self._read.deliveries.get(item.key)
        if known is not None and known.covers(item.sequence):
            return
        if origin is not None:
            self._origins.setdefault(item.key, {})[item.sequence] = origin
        if self._open:
            self.outbox.add(item)
        else:
            self._arrived.append(item)
        self._wake.set()

    # --- what goes out --------------------------------------------------------------------------

    def delivering(self) -> Delivering:
        """How it is doing."""
        return Delivering(
            circuits={name: one.open for name, one in self.outbox.breakers().items()},
            oldest_ms=self.outbox.oldest_ms(),
            suppressed=self.outbox.suppressed,
        )

    def _start(self, act: Act) -> None:
        task = asyncio.create_task(self._do(act))
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._trouble = error
        self._wake.set()

    async def _do(self, act: Act) -> None:
        match act:
            case Send():
                outcome = await self._send(act)
                self._count(act, outcome)
                settle = self.outbox.answered(act.key, outcome, now_ms())
                if settle is not None:
                    await self._settle(settle)
            case Settle():
                await self._settle(act)
            case Redirect():
                await self._settle(Settle(act.record))
                self._stand_in(act)

    def _stand_in(self, act: Redirect) -> None:
        """Tell somebody else what its receiver cannot be told."""
        note, to = act.notification, self._public.get(act.to)
        story = answers.story(self._read.episodes, note.episode_id)
        if to is None or story is None or note.sequence not in story.told:
            return
        instead = render(to, story.told[note.sequence].read_as(Alert))
        if instead is not None:
            logs.warning(
                "notification.redirected", receiver=note.receiver, to=to.name, episode=story.id
            )
            self._add(act.item(instead))

    async def _send(self, act: Send) -> Sent | Failed:
        began = time.monotonic()
        try:
            async with asyncio.timeout(SEND_S):
                return await self._sinks[act.key.receiver].send(act.parcel)
        except TimeoutError:
            return Failed("timeout", True, f"no answer within {SEND_S:g} s")
        except Exception as error:  # noqa: BLE001 -- our fault in one message must not keep all others from leaving
            logs.error(
                "notification.unsendable", receiver=act.key.receiver, error=type(error).__name__
            )
            return Failed("client", False, type(error).__name__)
        finally:
            spent_s = time.monotonic() - began
            self._meter.observe(NOTIFICATION_DURATION, spent_s, act.parcel.notification.channel)

    def _count(self, act: Send, outcome: Sent | Failed) -> None:
        channel = act.parcel.notification.channel
        if isinstance(outcome, Sent):
            self._meter.count(NOTIFICATIONS, 1, channel)
        else:
            self._meter.count(NOTIFICATIONS_FAILED, 1, channel, outcome.trouble)

    async def _settle(self, settle: Settle) -> None:
        record = settle.record
        if not await self._still_ours():
            logs.warning("delivery.taken_over", receiver=record.receiver, episode=record.episode_id)
            return
        if settle.dead is not None:
            await self._bury(settle.dead, record.last_error or record.state)
        if record.state == "expired":
            self._meter.count(NOTIFICATIONS_FAILED, 1, record.channel, "expired")
        await self._recorder.delivery(record)
        self._forget(record)
        self.outbox.recorded(record)

    def _forget(self, record: Delivery) -> None:
        """What is decided needs no dead letter any more, nor does what it replaced."""
        if record.final:
            of = self._origins.get(record.key, {})
            self._origins[record.key] = {n: one for n, one in of.items() if n > record.sequence}
            if not self._origins[record.key]:
                del self._origins[record.key]

    async def _still_ours(self) -> bool:
        """Whether others may believe what we record. Who slept through its session learns here that it did."""
        generation = self._generation
        while not (self._confirmed() or self._trusted):
            if self._owned is None or generation != self._generation:
                return False
            await _pause(_AGAIN_S)
        return generation == self._generation

    async def _bury(self, note: Notification, why: str) -> None:
        """Keep what is never to be accepted where the other dead letters are."""
        logs.warning(
            "notification.refused", receiver=note.receiver, episode=note.episode_id, reason=why
        )
        of = self._origins.get(Key(note.receiver, note.episode_id), {})
        origin = of.get(note.sequence)
        if origin is not None:
            await self._recorder.dead(origin, why)


async def _pause(seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(asyncio.Event().wait(), seconds)
