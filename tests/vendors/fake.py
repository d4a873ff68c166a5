"""How does a fake vendor run? In a thread with its own event loop, so that processes may be killed around it."""

import asyncio
import json
import ssl
import struct
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from socket import SO_LINGER, SOL_SOCKET
from typing import Any, Self

from aiohttp import web

from tests.vendors import Rejected
from tests.vendors.faults import Fault, Script


@dataclass(frozen=True, slots=True)
class Accepted:
    """A request that the vendor took: what was asked, with which headers, and when (Unix time)."""

    method: str
    message: Any
    headers: dict[str, str]
    at_s: float


@dataclass(frozen=True, slots=True)
class Reply:
    """What the vendor answers."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


class Fake:
    """A server in its own thread, as a context manager. After `stop`, `start` listens on the same port again.

    Attributes
    ----------
    accepted : what it took, in order
    rejected : what it refused by its own rules, which a test must explain
    requests : how often it was asked, faults included
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None, seed: int = 0) -> None:
        self.accepted: list[Accepted] = []
        self.rejected: list[Rejected] = []
        self.requests = 0
        self.port = 0
        self._tls = tls
        self._script = Script(seed)
        self.next = self._script.next
        self.always = self._script.always
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._over: asyncio.Event | None = None

    def start(self) -> Self:
        """Listen; returns when the port is bound."""
        ready: list[BaseException | None] = []
        bound = threading.Event()

        def told(error: BaseException | None = None) -> None:
            ready.append(error)
            bound.set()

        self._thread = threading.Thread(target=self._run, args=(told,), daemon=True)
        self._thread.start()
        bound.wait(10)
        if ready != [None]:
            raise RuntimeError("the fake did not start") from (ready[0] if ready else None)
        return self

    def stop(self) -> None:
        """Listen no longer, and end every connection."""
        loop, thread, over = self._loop, self._thread, self._over
        if loop is not None and thread is not None and over is not None:
            loop.call_soon_threadsafe(over.set)
            thread.join(10)
        self._loop = self._thread = self._over = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def scheme(self) -> str:
        return "https" if self._tls else "http"

    def _run(self, told: Callable[..., None]) -> None:
        async def live() -> None:
            self._loop = asyncio.get_running_loop()
            self._over = asyncio.Event()
            try:
                close = await self._listen()
            except OSError as error:
                told(error)
                return
            told()
            await self._over.wait()
            for _ in range(
                10
            ):  # a connection accepted just now is nobody's to close until the loop has turned
                await _turn()
            await close()

        asyncio.run(live())

    async def _listen(self) -> Callable[[], Coroutine[Any, Any, None]]:
        """Bind `port`, note which it was, and return what undoes it."""
        raise NotImplementedError

    async def _until_over(self) -> None:
        assert self._over is not None
        await self._over.wait()

    async def _over_in(self, seconds: float) -> bool:
        """Wait so long, unless it is over before."""
        try:
            await asyncio.wait_for(self._until_over(), max(seconds, 0.001))
        except TimeoutError:
            return False
        return True


class FakeHttp(Fake):
    """One that speaks HTTP; `take` says what the vendor answers, a fault stands in its way."""

    def take(self, path: str, headers: dict[str, str], body: bytes) -> Reply:
        """Accept or refuse a request as the vendor documents it."""
        raise NotImplementedError

    def accept(self, method: str, message: Any, headers: dict[str, str]) -> None:
        self.accepted.append(Accepted(method, message, headers, time.time()))

    async def _listen(self) -> Callable[[], Coroutine[Any, Any, None]]:
        app = web.Application(client_max_size=8 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
        await runner.setup()
        site = web.TCPSite(
            runner, "127.0.0.1", self.port, ssl_context=self._tls, reuse_address=True
        )
        await site.start()
        self.port = runner.addresses[0][1]
        return runner.cleanup

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        body = await request.read()
        fault = self._script.now()
        headers = {name.lower(): value for name, value in request.headers.items()}
        if fault is None or fault.takes:
            reply = self.take(request.path, headers, body)
        else:
            reply = Reply(fault.status, fault.body, fault.headers)
        if fault is None or fault.how == "answer":
            return _response(reply)
        if fault.how == "echo":
            told = [request.path_qs, *map(": ".join, headers.items()), body.decode()]
            errors = json.dumps({"ok": False, "error": told[0], "errors": told}).encode()
            return _response(Reply(fault.status, errors))
        return await self._break(request, fault, reply)

    async def _break(self, request: web.Request, fault: Fault, reply: Reply) -> web.StreamResponse:
        """Begin to answer, perhaps, and never end."""
        response: web.StreamResponse = web.Response(status=500)
        transport = request.transport
        if transport is None:
            return response
        if fault.how == "reset":
            no_time = struct.pack("ii", 1, 0)
            transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, no_time)
            transport.abort()
            return response
        if fault.how not in ("hang", "close", "garbage"):
            response = web.StreamResponse(status=reply.status, headers=dict(reply.headers))
            response.content_length = 2**40
            await response.prepare(request)
            await response.write(reply.body[: len(reply.body) // 2])
        if fault.how == "garbage":
            transport.write(fault.body)
        with suppress(ConnectionError):
            while fault.how in ("flood", "trickle") and not await self._over_in(
                0.0 if fault.how == "flood" else 0.05
            ):
                await response.write(b" " * (16384 if fault.how == "flood" else 1))
        if fault.how in ("hang", "hang in body"):
            await self._until_over()
        transport.close()
        return response


async def _turn() -> None:
    loop = asyncio.get_running_loop()
    turned = loop.create_future()
    loop.call_soon(turned.set_result, None)
    await turned


def _response(reply: Reply) -> web.Response:
    return web.Response(status=reply.status, body=reply.body, headers=dict(reply.headers))
