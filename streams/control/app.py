"""How does control run? A Faust app folds what the judge wrote into the read model; a web server answers from it."""

import asyncio
import logging
import signal
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

from aiokafka.errors import KafkaError

from streams import logs
from streams.broker import Partition, Record
from streams.control.apps import folding, reader
from streams.control.commands import Post
from streams.control.committed import CommittedTransport, Progress
from streams.control.delivery import Courier
from streams.control.door import Door
from streams.control.outgoing import Reachable, now_ms
from streams.control.recall import Recall
from streams.control.server import Site, serving
from streams.control.vitals import Watch
from streams.errors import BrokerError, UsageError
from streams.kafka.admin import topic_partitions
from streams.metrics import Meter
from streams.topics import Names
from streams.views.deliveries import Delivering
from streams.views.read import ReadModel

STOP_S = 4.0  # an orderly end may take so long; then the process ends anyway
DEAD_LETTERS = (
    10_000  # of each partition that are read at the start: garbage may come by the million
)
_SELDOM_S = 60.0  # a library that retries may say so once in this time


class _Seldom(logging.Filter):
    """Lets one line of a logger pass, then none for a while: aiokafka reports every retry of an outage as an error."""

    def __init__(self) -> None:
        super().__init__()
        self._due = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        if record.created < self._due:
            return False
        self._due = record.created + _SELDOM_S
        return True


def _quieten() -> None:
    """What ends control reaches us as an exception; what libraries try again is worth a line a minute."""
    for library in ("faust", "mode", "aiokafka"):
        logging.getLogger(library).setLevel(logging.ERROR)
    # "error" here is: not found yet, asking again
    logging.getLogger("aiokafka.consumer.group_coordinator").setLevel(logging.CRITICAL)
    for logger in ("aiokafka", "aiokafka.conn", "aiokafka.consumer.fetcher", "aiohttp.server"):
        logging.getLogger(logger).addFilter(_Seldom())


class Control:
    """The Faust app with its read model.

    Every start joins a consumer group of its own and reads from the beginning of what the log keeps. That is the
    simplest way to a complete read model: nothing is stored here, so nothing can be half there; a killed predecessor
    holds no partitions to wait for; and a second control is a second whole copy, not half of one. No offsets are
    committed, so a group that ended leaves nothing behind on the broker. Access rules need its prefix: `group_prefix`.
    """

    def __init__(
        self,
        kafka: Mapping[str, str],
        names: Names,
        receivers: Reachable | None = None,
        meter: Meter | None = None,
    ) -> None:
        self.kafka, self.names = kafka, names
        self.read, self._alerts = ReadModel(names), names("alerts")
        self.post = Post(kafka, names)
        self.progress = Progress()
        self.meter = meter or Meter("control", "")
        self.app = reader(f"{group_prefix(names)}{uuid.uuid4().hex[:12]}", kafka)
        transport = cast(CommittedTransport, self.app.transport)
        transport.wanted, transport.folded = self.read.wanted, self.read.position
        transport.progress = self.progress
        transport.newest = {names("dead-letters"): DEAD_LETTERS}
        folding(self.app, self.read.topics, self._fold)
        self.courier = (
            Courier(kafka, names, receivers, self.read, self.progress, self.caught_up, self.meter)
            if receivers is not None and receivers.sinks
            else None
        )

    async def read_until(self, stop: asyncio.Event) -> None:
        """Fold until `stop` is set. Raises `BrokerError` when Kafka cannot be had, or not any more."""
        tasks = [asyncio.create_task(stop.wait()), asyncio.create_task(self._read())]
        if self.courier is not None:
            tasks.append(asyncio.create_task(self.courier.deliver()))
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()
        except KafkaError as error:
            raise BrokerError(f"control: Kafka cannot be read: {type(error).__name__}") from error
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks[2:] or tasks)  # what was sent is recorded first
            for app in (self.courier, self.app):
                if app is not None:
                    try:
                        await asyncio.wait_for(app.stop(), STOP_S)
                    except TimeoutError:
                        logs.warning("control.abandoned", after_s=STOP_S)

    async def _read(self) -> None:
        await self.app.start()
        await self.app.wait()
        if self.app.crash_reason is not None:
            raise self.app.crash_reason

    def delivering(self) -> Delivering:
        """How delivery is doing."""
        return Delivering() if self.courier is None else self.courier.delivering()

    def caught_up(self) -> bool:
        """Whether everything written before the start has been folded."""
        return self.progress.caught_up(self.read.topics, self.read.position)

    def reading(self) -> list[tuple[Partition, int, int]]:
        """Per partition the reader's position, and where what is committed ends."""
        reached = self.progress.reached
        return [(p, reached.get(p, 0), end) for p, end in sorted(self.progress.ends.items())]

    def _fold(self, record: Record) -> None:
        error = self.read.fold(record)
        if self.courier is not None and record.topic == self._alerts:
            self.courier.heard(record)
        if error is not None:
            logs.warning(
                "record.unreadable",
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
                error=error,
            )


def group_prefix(names: Names) -> str:
    """What the names of control's consumer groups begin with.

    >>> group_prefix(Names("leeway."))
    'leeway.control-'
    """
    return f"{names.prefix}control-"


def run(
    kafka: Mapping[str, str],
    *,
    prefix: str = "leeway.",
    host: str = "127.0.0.1",
    port: int = 8080,
    tokens_file: Path | None = None,
    version: str = "0",
    receivers: Reachable | None = None,
    signing_secrets: Sequence[str] = (),
    meter: Meter | None = None,
) -> None:
    """Keep the read model and serve it until SIGTERM or SIGINT.

    Parameters
    ----------
    kafka : mapping
        librdkafka's properties, with at least ``bootstrap.servers``; see `streams.control.credentials`.
    prefix : str
        Of Leeway's topics, which must be there.
    host, port, tokens_file
        Where to listen, and who may ask; see `streams.control.door`.
    receivers
        Who is sent what the judges published; None: nobody.
    signing_secrets
        With which Slack signs what people click.
    meter
        What control counts itself, and how much of it may be told apart.

    Raises
    ------
    UsageError
        A setting is wrong, or the topics are not there.
    BrokerError
        Kafka or the address to listen on cannot be had.
    """
    _quieten()
    door = Door.at(host, port, tokens_file)
    names = Names(prefix)
    control_topics(kafka, names)
    asyncio.run(
        _run(lambda: Control(kafka, names, receivers, meter), door, version, signing_secrets)
    )


def control_topics(kafka: Mapping[str, str], names: Names) -> None:
    """Say in one line that Kafka, or a topic, is not there: Faust would wait for either for ever."""
    there = topic_partitions(kafka)
    missing = [topic for topic in ReadModel(names).topics if topic not in there]
    if missing:
        raise UsageError(
            f"topic {missing[0]} does not exist: `leeway run` and `leeway apply` create it, or set topics.create"
        )


async def serve(
    control: Control,
    door: Door,
    version: str,
    stop: asyncio.Event,
    signing_secrets: Sequence[str] = (),
    opened: Callable[[int], None] = lambda port: None,
) -> None:
    """Read and answer until `stop` is set; `opened` is told the port. `signing_secrets`: Slack's, for clicks.

    Raises
    ------
    BrokerError
        Kafka or the address to listen on cannot be had.
    """
    watch = Watch(control.kafka, control.names, control.read, control.reading, now_ms)
    recall = Recall.of(control.kafka, control.names)
    site = Site(
        control.read,
        control.caught_up,
        control.reading,
        version,
        control.post.write,
        signing_secrets,
        control.meter,
        control.delivering,
        vitals=lambda: watch.vitals,
        recall=recall,
    )
    watch.changed = lambda: site.hub.tell("pipeline", "")
    async with serving(site, door) as port:
        opened(port)
        watching = asyncio.create_task(watch.watch())
        try:
            await control.read_until(stop)
        finally:
            watching.cancel()
            await asyncio.wait([watching])
            await recall.stop()


async def _run(
    control: Callable[[], Control], door: Door, version: str, signing_secrets: Sequence[str]
) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve(control(), door, version, stop, signing_secrets)
