"""What did the judge write then? Records that the read model let go are read from the log again, by their place."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from streams.broker import Partition, Record
from streams.errors import LeewayError
from streams.kafka.places import PlaceReader
from streams.topics import Names
from streams.views.places import Place
from streams.views.problems import Problem

CACHED_BYTES = 16 * 1024 * 1024
WITHIN_S = 5.0


class Places(Protocol):
    """Whoever reads records by their place."""

    def read(self, places: Sequence[Place], within_s: float) -> Mapping[Place, Record | None]: ...
    def close(self) -> None: ...


class Recall:
    """Reads records of the log again, in a thread of its own; those that are asked for at once, together.

    The last ones are remembered, as many as fit in 16 MiB: a person who looks at a window looks at it from several
    sides.

    Parameters
    ----------
    open_ : makes the reader; called when the first record is asked for, and after a failure
    """

    def __init__(self, open_: Callable[[], Places], cached_bytes: int = CACHED_BYTES) -> None:
        self._open, self._left = open_, cached_bytes
        self._reader: Places | None = None
        self._known: OrderedDict[Place, Record] = OrderedDict()
        self._asked: dict[Place, asyncio.Future[Record | None]] = {}
        self._working: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "recall")

    @classmethod
    def of(cls, kafka: Mapping[str, str], names: Names) -> "Recall":
        """From a Kafka, by librdkafka's properties."""
        return cls(lambda: PlaceReader(kafka, f"{names.prefix}control-recall"))

    async def __call__(self, partition: Partition, offset: int) -> Record | None:
        """The record at this place; None: it is no longer on the log.

        Raises
        ------
        Problem
            Kafka does not answer in time.
        """
        place = partition, offset
        if place in self._known:
            self._known.move_to_end(place)
            return self._known[place]
        if place not in self._asked:
            self._asked[place] = asyncio.get_running_loop().create_future()
        waiting = self._asked[place]
        if self._working is None or self._working.done():
            self._working = asyncio.create_task(self._work())
        try:
            return await asyncio.shield(waiting)
        except LeewayError as error:
            detail = (
                "what was told then is on the log only, and the log cannot be read now: try again"
            )
            raise Problem("not_ready", detail) from error

    async def stop(self) -> None:
        """Let go of Kafka; waits until what is being read has come or failed."""
        if self._working is not None:
            await asyncio.wait([self._working])
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while places := [place for place, future in self._asked.items() if not future.done()]:
            try:
                found = await loop.run_in_executor(self._thread, self._read, places)
            except LeewayError as error:
                for place in places:
                    future = self._asked.pop(place)
                    future.set_exception(error)
                    future.exception()  # whoever asked may be gone
            else:
                for place in places:
                    self._asked.pop(place).set_result(found.get(place))
                    self._remember(place, found.get(place))

    def _read(self, places: Sequence[Place]) -> Mapping[Place, Record | None]:
        if self._reader is None:
            self._reader = self._open()
        try:
            return self._reader.read(places, WITHIN_S)
        except LeewayError:
            self._close()  # what failed once may go on failing: the next one begins anew
            raise

    def _close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _remember(self, place: Place, record: Record | None) -> None:
        if record is None or record.value is None:
            return
        self._known[place] = record
        self._left -= len(record.value)
        while self._left < 0:
            _, oldest = self._known.popitem(last=False)
            self._left += len(oldest.value or b"")
