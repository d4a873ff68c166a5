"""A running control without Kafka: the application over a read model, in a thread of its own."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from streams.control.door import Door
from streams.control.server import Site, serving
from tests.until import until


@contextmanager
def served(site: Site, door: Door | None = None) -> Iterator[str]:
    """The address of the application while the block lasts."""
    loop, stop, ports = asyncio.new_event_loop(), asyncio.Event(), list[int]()

    async def serve() -> None:
        async with serving(site, door or Door("127.0.0.1", 0)) as port:
            ports.append(port)
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), name="served")
    thread.start()
    try:
        until(lambda: ports or not thread.is_alive())
        yield f"http://127.0.0.1:{ports[0]}"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()
        assert not thread.is_alive()
