"""How is the rest of the pipeline? Asks Kafka about the consumer groups of the other roles, every few seconds.

Through aiokafka in the event loop, never through librdkafka's admin client: that one ends with a segmentation fault
where a group's coordinator is not ready. What cannot be asked is unknown, with a reason.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import aiokafka
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, for_code
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

from streams import logs
from streams.broker import Partition
from streams.control.credentials import broker_credentials
from streams.errors import LeewayError
from streams.joining.pairs import pairs
from streams.lifecycle import Lifecycle, from_json
from streams.offline.sources import source_topics
from streams.topics import Names
from streams.views.read import ReadModel
from streams.views.vitals import STALLED_MS, RoleVitals, Seen, Share, Vitals, of_role

EVERY_S = 10.0
_ASK_S = 15.0  # a look may take so long
_PEEK_S = 3.0  # for records that are there
_GROUPS = ("profiler", "joiner", "judge")
_LOOKS = 2 * STALLED_MS // 10_000
_NOT_THERE = 69  # GROUP_ID_NOT_FOUND: nobody has ever joined it
Reading = Callable[[], Sequence[tuple[Partition, int, int]]]


class Watch:
    """Looks after the other roles.

    Parameters
    ----------
    kafka : librdkafka's properties
    names : of the topics; the groups share their prefix
    read : which lifecycles are registered says which topics are read
    reading : how far control itself is
    now_ms : the clock
    every_s : between two looks
    """

    def __init__(
        self,
        kafka: Mapping[str, str],
        names: Names,
        read: ReadModel,
        reading: Reading,
        now_ms: Callable[[], int],
        every_s: float = EVERY_S,
    ) -> None:
        self._kafka, self._names, self._read, self._reading = kafka, names, read, reading
        self._now_ms, self._every_s = now_ms, every_s
        self.changed: Callable[[], None] = lambda: (
            None
        )  # told when something is otherwise than before
        self._seen: dict[str, deque[Seen]] = {role: deque(maxlen=_LOOKS) for role in _GROUPS}
        self._empty: dict[tuple[str, TopicPartition], tuple[int, int]] = {}
        self._lifecycles: dict[str, Lifecycle] = {}  # by revision
        self._admin: AIOKafkaAdminClient | None = None
        self._reader: aiokafka.AIOKafkaConsumer | None = None
        self._asked = Vitals()  # of the others

    @property
    def vitals(self) -> Vitals:
        """What was seen of the others, and how control itself is at this moment."""
        others = [one for one in self._asked.roles if one.role != "control"]
        return Vitals((*others, self._itself()), self._asked.as_of_ms)

    async def watch(self) -> None:
        """Look again and again, until cancelled."""
        never = asyncio.Event()
        try:
            while True:
                await self.look()
                with suppress(TimeoutError):
                    await asyncio.wait_for(never.wait(), self._every_s)
        finally:
            await self._close()

    async def look(self) -> None:
        """Look once; afterwards `vitals` says what was seen, or why nothing was."""
        before = _summary(self._asked)
        try:
            async with asyncio.timeout(_ASK_S):
                roles = await self._ask()
        # aiokafka raises what it likes where a broker's answer is an error
        except Exception as error:  # noqa: BLE001 - and its fault must not end the pages
            logs.debug("vitals.unknown", error=type(error).__name__)
            roles = [_unknown(role, error) for role in _GROUPS]
            await self._close()
        self._asked = Vitals(tuple(roles), self._now_ms())
        if before != _summary(self._asked):
            self.changed()

    async def _ask(self) -> list[RoleVitals]:
        admin, reader = await self._clients()
        wanted = self._topics()
        there = {one["topic"]: len(one["partitions"]) for one in await admin.describe_topics()}
        members = await self._members(admin)
        roles = []
        for role, topics in wanted.items():
            group = f"{self._names.prefix}{role}"
            committed = {
                partition: place.offset
                for partition, place in (await admin.list_consumer_group_offsets(group)).items()
                if place.offset >= 0
            }
            partitions = [
                TopicPartition(topic, number)
                for topic in sorted(topics & there.keys())
                for number in range(there[topic])
            ]
            ends = await reader.end_offsets(partitions) if partitions else {}
            starts = await reader.beginning_offsets(partitions) if partitions else {}
            shares = [
                Share(one.topic, one.partition, committed.get(one), ends[one], starts[one])
                for one in partitions
            ]
            readable = tuple(await self._without_markers(role, shares, reader))
            self._seen[role].append(Seen(self._now_ms(), members[group], readable))
            needed = role != "joiner" or bool(topics)
            roles.append(of_role(role, tuple(self._seen[role]), needed=needed))
        return roles

    def _topics(self) -> dict[str, set[str]]:
        """What each role should read."""
        registered = [one for one in self._read.lifecycles.values() if one is not None]
        known = {
            one.revision: self._lifecycles.get(one.revision) or from_json(one.document)
            for one in registered
        }
        self._lifecycles = known
        lifecycles = list(known.values())
        try:
            joined = pairs(lifecycles, self._names)
        except LeewayError:
            joined = []  # the joiner says so itself, and ends
        return {
            "profiler": {t for one in lifecycles for t in source_topics(one, self._names)},
            "joiner": {topic for pair in joined for topic in (pair.predictions, pair.labels)},
            "judge": {self._names("profiles"), self._names("commands")},
        }

    async def _members(self, admin: AIOKafkaAdminClient) -> dict[str, int | None]:
        """Members by group. A group of the protocol of KIP-848 looks dead to this question: None."""
        groups = [f"{self._names.prefix}{role}" for role in _GROUPS]
        if self._kafka.get("group.protocol") == "consumer":
            return dict.fromkeys(groups)
        found: dict[str, int | None] = {}
        for group in groups:
            # one at a time: aiokafka 0.14 reads answers of version 3 as if they were of version 2, and what it leaves
            # unread of one group it takes for the next (aiokafka/protocol/admin.py, DescribeGroupsRequest_v3)
            for response in await admin.describe_consumer_groups([group]):
                ((error, _, _, _, _, members, *_),) = response.groups
                if error not in (0, _NOT_THERE):
                    raise for_code(error)
                found[group] = len(members)
        return found

    async def _without_markers(
        self, role: str, shares: Sequence[Share], reader: aiokafka.AIOKafkaConsumer
    ) -> list[Share]:
        """The ends of what can be read. Transactions leave markers on the log, which have offsets and hold nothing:
        whoever read everything still seems to be behind by one. Looked at once, where a group does not go on."""
        spans = {TopicPartition(one.topic, one.partition): (_next(one), one.end) for one in shares}
        before = self._seen[role][-1].shares if self._seen[role] else ()
        rests = {(one.topic, one.partition, one.committed) for one in before}
        doubtful = {
            place: spans[place]
            for one in shares
            if one.lag and (one.topic, one.partition, one.committed) in rests
            for place in (TopicPartition(one.topic, one.partition),)
            if self._empty.get((role, place)) != spans[place]
        }
        if doubtful:
            for place in doubtful.keys() - await self._holding(reader, doubtful):
                self._empty[role, place] = spans[place]
        empty = {place for place, span in spans.items() if self._empty.get((role, place)) == span}
        return [
            replace(one, end=_next(one))
            if TopicPartition(one.topic, one.partition) in empty
            else one
            for one in shares
        ]

    async def _holding(
        self, reader: aiokafka.AIOKafkaConsumer, spans: Mapping[TopicPartition, tuple[int, int]]
    ) -> set[TopicPartition]:
        """Those in which there is a record that is committed, or may be: not all could be read in time."""
        reader.assign(list(spans))
        open_, held = set(spans), set[TopicPartition]()
        try:
            for place, (start, _) in spans.items():
                reader.seek(place, start)
            until = self._now_s() + _PEEK_S
            while open_ and self._now_s() < until:
                found = await reader.getmany(*open_, timeout_ms=100)
                held |= {place for place, records in found.items() if records}
                read = {place for place in open_ if await reader.position(place) >= spans[place][1]}
                open_ -= held | read
        finally:
            reader.assign([])
        return held | open_

    @staticmethod
    def _now_s() -> float:
        return asyncio.get_running_loop().time()

    async def _clients(self) -> tuple[AIOKafkaAdminClient, aiokafka.AIOKafkaConsumer]:
        if self._admin is not None and self._reader is not None:
            return self._admin, self._reader
        credentials = broker_credentials(self._kafka)
        common = {
            "bootstrap_servers": self._kafka["bootstrap.servers"],
            "client_id": "leeway-vitals",
            "request_timeout_ms": int(_ASK_S * 1000),
            **credentials_to_aiokafka_auth(credentials, None),
        }
        self._admin = AIOKafkaAdminClient(**common)
        await self._admin.start()
        self._reader = aiokafka.AIOKafkaConsumer(
            group_id=None,
            enable_auto_commit=False,
            isolation_level="read_committed",
            max_partition_fetch_bytes=4 * 1024,  # one record is enough, and comes whole
            metadata_max_age_ms=30_000,
            **common,
        )
        await self._reader.start()
        return self._admin, self._reader

    async def _close(self) -> None:
        admin, reader, self._admin, self._reader = self._admin, self._reader, None, None
        for closing in (admin and admin.close(), reader and reader.stop()):
            if closing is not None:
                with suppress(KafkaError, OSError, TimeoutError):
                    await asyncio.wait_for(closing, 2.0)

    def _itself(self) -> RoleVitals:
        shares = tuple(Share(p.topic, p.number, at, end) for p, at, end in self._reading())
        lag = sum(share.lag for share in shares)
        if not shares:
            return RoleVitals("control", "unknown", "it has yet to begin to read", 1)
        if lag:
            return RoleVitals(
                "control", "working", f"{lag:,} records are still read", 1, lag, shares
            )
        return RoleVitals("control", "waiting", "everything was read", 1, 0, shares)


def _summary(vitals: Vitals) -> list[tuple[str, str, int | None]]:
    return [(one.role, one.state, one.lag) for one in vitals.roles]


def _next(share: Share) -> int:
    """The next offset that a role has to read."""
    return share.start if share.committed is None else share.committed


def _unknown(role: str, error: BaseException) -> RoleVitals:
    """Nothing of the error's text: it may name addresses."""
    late = isinstance(error, TimeoutError)
    because = "Kafka does not answer" if late else f"Kafka cannot be asked: {type(error).__name__}"
    return RoleVitals(role, "unknown", because)
