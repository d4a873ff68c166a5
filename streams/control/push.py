"""How does a page hear that something changed? Server-sent events: which models, and what kinds of news.

News is told as names, not as content: a page that is open asks again for what it shows. So what waits for a client is
two small sets, however much happens, and a client that is slow hears less often, not later and later.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
from aiohttp import web

from streams.views.problems import Problem

KINDS = ("result", "alert", "trigger", "command", "delivery", "dead-letter", "model", "pipeline")
ALL = "*"  # instead of more names than `MOST_NAMES`
MOST_NAMES = 200
MOST_CLIENTS = 100
EVERY_S = 0.5  # at most two events a second
HEARTBEAT_S = 15.0  # a connection that is not used is closed by what stands between
PATIENCE_S = 10.0  # who does not take what is sent is let go
_HELLO = b"retry: 2000\n\n"
_ALIVE = b": still here\n\n"
_HEADERS = {"X-Accel-Buffering": "no"}  # a proxy must not collect events


@dataclass(slots=True, eq=False)
class _Client:
    """Somebody who listens, and what they were not told yet."""

    request: web.Request
    models: set[str] = field(default_factory=set)
    kinds: set[str] = field(default_factory=set)
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def gone(self) -> bool:
        """Whether the connection is closed: it is noticed late, when the next event is sent."""
        transport = self.request.transport
        return transport is None or transport.is_closing()

    def take(self) -> bytes:
        message = event(self.models, self.kinds)
        self.models, self.kinds = set(), set()
        self.woken.clear()
        return message


class Hub:
    """Tells everybody who listens that something changed.

    Parameters
    ----------
    most : clients at a time; others are refused
    every_s : the shortest time between two events of a client
    heartbeat_s : after so long without an event a comment is sent
    """

    def __init__(
        self,
        most: int = MOST_CLIENTS,
        every_s: float = EVERY_S,
        heartbeat_s: float = HEARTBEAT_S,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._most, self._every_s = most, every_s
        self._heartbeat_s, self._patience_s = heartbeat_s, patience_s
        self._clients: set[_Client] = set()
        self._closed = False

    @property
    def clients(self) -> int:
        """How many listen."""
        return sum(not client.gone for client in self._clients)

    def tell(self, kind: str, model_id: str) -> None:
        """Something of this kind changed for this model (empty: for none in particular). Costs next to nothing."""
        for client in self._clients:
            client.kinds.add(kind)
            if model_id and ALL not in client.models:
                client.models.add(model_id)
                if len(client.models) > MOST_NAMES:
                    client.models = {ALL}
            client.woken.set()

    def close(self) -> None:
        """Let everybody go; nobody is let in again."""
        self._closed = True
        for client in self._clients:
            client.woken.set()

    async def follow(self, request: web.Request) -> web.StreamResponse:
        """Answer a request with events until the client leaves, or is too slow.

        Raises
        ------
        Problem
            `too_many`: enough clients listen already.
        """
        if self._closed:
            raise Problem("not_ready", "the server ends")
        if self.clients >= self._most:
            raise Problem("too_many", f"{self._most} clients listen already: close a page")
        response = web.StreamResponse(headers=_HEADERS)
        response.content_type, response.charset = "text/event-stream", "utf-8"
        if request.method == "HEAD":
            await response.prepare(request)
            return response
        client = _Client(request)
        self._clients.add(client)
        try:
            await response.prepare(request)
            await self._send(response, lambda: _HELLO)
            while not self._closed:
                try:
                    await asyncio.wait_for(client.woken.wait(), self._heartbeat_s)
                except TimeoutError:
                    await self._send(response, lambda: _ALIVE)
                    continue
                if not self._closed:
                    await self._send(response, client.take)
                    await asyncio.sleep(self._every_s)  # noqa: TID251 - what comes meanwhile is told together
        except (ConnectionError, TimeoutError):
            request.protocol.force_close()  # nothing more is kept for it
        finally:
            self._clients.discard(client)
        return response

    async def _send(self, response: web.StreamResponse, message: Callable[[], bytes]) -> None:
        async with asyncio.timeout(self._patience_s):
            await response.write(message())


def event(models: set[str], kinds: set[str]) -> bytes:
    r"""An event as it goes over the wire.

    >>> event({"loans"}, {"result"})
    b'event: changed\ndata: {"models":["loans"],"kinds":["result"]}\n\n'
    """
    data = msgspec.json.encode({"models": sorted(models), "kinds": sorted(kinds)})
    return b"event: changed\ndata: " + data + b"\n\n"
