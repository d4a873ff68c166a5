"""How is what was sent put on record? Written to Kafka until all replicas have it, and again until then."""

import faust
import stamina
from aiokafka.errors import KafkaError
from faust.exceptions import FaustError

from alerting.deliver.items import Delivery
from streams.broker import Outgoing, Record
from streams.errors import BrokerError
from streams.profiling.dead_letters import dead_letter
from streams.profiling.events import DeadLetter
from streams.topics import Names
from streams.views.deliveries import encode

RECORD_S = 60.0  # a record that Kafka does not take for so long ends this control


class Recorder:
    """Writes deliveries, and notifications that nobody takes.

    Here, and only here, a library may retry: the vendor's answer is known, and asking again would tell people twice.
    When messages are sent again is decided by the outbox, whose schedule outlives the process.
    """

    def __init__(self, app: faust.App, names: Names) -> None:
        self._app, self._names = app, names

    async def delivery(self, record: Delivery) -> None:
        """Put on record what became of a notification. Raises `BrokerError` where Kafka does not take it."""
        key, value = encode(record)
        await self._write(Outgoing(self._names("deliveries"), key, value))

    async def dead(self, origin: Record, why: str) -> None:
        """Keep a notification that its receiver refuses. Raises `BrokerError` where Kafka does not take it."""
        dead = DeadLetter(origin, "refused", why)
        await self._write(dead_letter(self._names, dead, group="control", stage="deliver"))

    async def _write(self, outgoing: Outgoing) -> None:
        try:
            async for attempt in stamina.retry_context(
                on=(KafkaError, FaustError), attempts=None, timeout=RECORD_S, wait_max=5.0
            ):
                with attempt:
                    await self._app.producer.send_and_wait(
                        outgoing.topic,
                        outgoing.key,
                        outgoing.value,
                        None,
                        None,
                        list(outgoing.headers),
                    )
        except (KafkaError, FaustError) as error:
            raise BrokerError(f"control: cannot write to Kafka: {type(error).__name__}") from error
