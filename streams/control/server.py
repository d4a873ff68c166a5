"""How are requests answered? An aiohttp application: routes, headers and errors, and nothing about drift."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files
from urllib.parse import quote

import msgspec
from aiohttp import web
from aiohttp.typedefs import Middleware

from streams import logs
from streams.broker import Partition
from streams.commands import MOST_BYTES, Command
from streams.console.pages import PAGES
from streams.console.parts import Page
from streams.control import commands, samples, slack_actions
from streams.control.api import ROUTES
from streams.control.commands import Counter
from streams.control.door import Door
from streams.errors import BrokerError
from streams.metrics import DELIVERED, HTTP_REQUESTS, OTHER, Meter, exposition
from streams.views.answers import Document
from streams.views.asked import Asked, Route, checked
from streams.views.deliveries import Delivering
from streams.views.problems import Problem
from streams.views.read import ReadModel

Ready = Callable[[], bool]
Reading = Callable[[], Sequence[tuple[Partition, int, int]]]
_Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]

_READS = ("GET", "HEAD")
_SHOWN = web.RequestKey("shown", str)  # the name of the token that came with a request, or ""
_SLACK_S = 2.5  # Slack waits three seconds
STATIC = {"style.css": "text/css", "refresh.js": "text/javascript"}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",  # keep, but ask: the ETag answers
}


class Site:
    """The read model as web pages, JSON and metrics.

    Parameters
    ----------
    ready : whether everything written before the start has been read
    reading : per partition the reader's position, and where what is committed ends
    write : posts a command, and returns when it is kept
    signing_secrets : with which Slack signs what people click
    meter : what control counts itself
    delivering : how delivery is doing
    """

    def __init__(
        self,
        read: ReadModel,
        ready: Ready,
        reading: Reading,
        version: str,
        write: Callable[[Command], Awaitable[None]],
        signing_secrets: Sequence[str] = (),
        meter: Meter | None = None,
        delivering: Callable[[], Delivering] = Delivering,
    ) -> None:
        self._read, self._ready, self._reading, self._version = read, ready, reading, version
        self._counter = Counter(read.commands, write, _now_ms)
        self._signing_secrets = tuple(signing_secrets)
        self._meter = meter or Meter("control", version, DELIVERED)
        self._delivering = delivering

    def application(self, door: Door) -> web.Application:
        app = web.Application(
            middlewares=[_counted(self._meter), _errors, _guard(door), _etag],
            client_max_size=slack_actions.MOST_BYTES,
        )
        app.router.add_post("/api/v1/commands", self._command)
        app.router.add_post(slack_actions.PATH, self._slack)
        for route in ROUTES:
            app.router.add_get(f"/api/v1{route.path}", self._json(route))
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        for page in PAGES:
            app.router.add_get(page.path, self._page(page))
        for name, kind in STATIC.items():
            body = files("streams.console").joinpath("static", name).read_bytes()
            app.router.add_get(f"/static/{name}", _constant(body, kind))
        return app

    def _asked(self, request: web.Request, parameters: tuple[str, ...]) -> Asked:
        return Asked(
            read=self._read,
            now_ms=_now_ms(),
            path=dict(request.match_info),
            query=checked(parameters, request.query.items()),
            ready=self._ready(),
            reading=self._reading(),
            delivering=self._delivering(),
        )

    def _json(self, route: Route) -> _Answer:
        async def answer(request: web.Request) -> web.StreamResponse:
            body = msgspec.json.encode(route.answer(self._asked(request, route.parameters)))
            return web.Response(body=body, content_type="application/json")

        return answer

    def _page(self, page: Page) -> _Answer:
        async def answer(request: web.Request) -> web.StreamResponse:
            text = page.render(self._asked(request, page.parameters))
            return web.Response(text=text, content_type="text/html")

        return answer

    async def _command(self, request: web.Request) -> web.StreamResponse:
        if request.content_type != "application/json":
            raise Problem("unsupported", "Content-Type: expected application/json")
        body = await request.read()
        if len(body) > MOST_BYTES:
            raise Problem("too_large", f"a command has at most {MOST_BYTES} bytes")
        key = request.headers.get("Idempotency-Key", "").strip().strip('"') or None
        known = commands.read(body, key, request[_SHOWN] or None)
        document = await self._take(known)
        place = f"/api/v1/commands/{quote(known.command_id, safe='')}"
        answer = msgspec.json.encode(document)
        return web.Response(
            status=202, body=answer, content_type="application/json", headers={"Location": place}
        )

    async def _slack(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        timestamp = request.headers.get("X-Slack-Request-Timestamp")
        signature = request.headers.get("X-Slack-Signature")
        slack_actions.check(self._signing_secrets, timestamp, signature, body, _now_ms())
        for command in slack_actions.commands(body):
            try:
                await asyncio.wait_for(self._take(command), _SLACK_S)
            except TimeoutError:
                raise Problem("not_ready", "Kafka has not taken it yet: try again") from None
        return web.Response()

    async def _take(self, command: Command) -> Document:
        if not self._ready():  # the id may have been used before
            raise Problem("not_ready", "what was written before the start is still being read")
        document = await self._counter.take(command)
        logs.info("command.given", command=document["command"], model=command.model_id)
        return document

    async def _healthz(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"alive": True})

    async def _readyz(self, request: web.Request) -> web.StreamResponse:
        if not self._ready():
            raise Problem("not_ready", "what was written before the start is still being read")
        return web.json_response({"ready": True})

    async def _metrics(self, request: web.Request) -> web.StreamResponse:
        # Before the read model is complete its counters would seem to race upwards: then only we ourselves are shown.
        now_ms = _now_ms()
        about = samples.of_control(self._version, now_ms, self._reading())
        if self._ready():
            about += samples.of_models(self._read, now_ms)
            about += samples.of_delivery(self._read, self._delivering())
        body, kind = exposition(about)
        body += self._meter.exposition()
        return web.Response(body=body, headers={"Content-Type": kind})


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _constant(body: bytes, kind: str) -> _Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, content_type=kind, charset="utf-8")

    return answer


@web.middleware
async def _errors(request: web.Request, handler: _Answer) -> web.StreamResponse:
    """Every error in one form, every answer with the same protective headers."""
    try:
        response = await handler(request)
    except Problem as problem:
        response = _problem(problem, request)
    except web.HTTPNotFound:
        response = _problem(Problem("not_found", "no such path"), request)
    except web.HTTPRequestEntityTooLarge:
        response = _problem(Problem("too_large", "the body is too large"), request)
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        response = _problem(Problem("method_not_allowed", f"expected {allowed}"), request)
        response.headers["Allow"] = allowed
    response.headers.update(_HEADERS)
    return response


def _counted(meter: Meter) -> Middleware:
    """Counts requests by the route they took; what took none is no label of its own."""

    @web.middleware
    async def counted(request: web.Request, handler: _Answer) -> web.StreamResponse:
        response = await handler(request)
        resource = request.match_info.route.resource
        route = OTHER if resource is None else resource.canonical
        meter.count(HTTP_REQUESTS, 1, route, str(response.status))
        return response

    return counted


def _problem(problem: Problem, request: web.Request) -> web.Response:
    headers = {"WWW-Authenticate": "Bearer"} if problem.status == 401 else {}
    return web.Response(
        status=problem.status,
        body=msgspec.json.encode(problem.document(request.path)),
        content_type="application/problem+json",
        headers=headers,
    )


def _guard(door: Door) -> Middleware:
    @web.middleware
    async def guard(request: web.Request, handler: _Answer) -> web.StreamResponse:
        writes = request.method not in _READS
        request[_SHOWN] = door.admit(request.path, request.headers, writes=writes) or ""
        return await handler(request)

    return guard


@web.middleware
async def _etag(request: web.Request, handler: _Answer) -> web.StreamResponse:
    response = await handler(request)
    if request.method not in _READS:
        return response
    if isinstance(response, web.Response) and isinstance(response.body, bytes):
        digest = hashlib.sha256(response.body).hexdigest()[:32]
        response.etag = digest
        known = request.if_none_match or ()
        if any(etag.value in (digest, "*") for etag in known):
            return web.Response(status=304, headers={"ETag": response.headers["ETag"]})
    return response


@asynccontextmanager
async def serving(site: Site, door: Door) -> AsyncIterator[int]:
    """Answer requests; gives the port (of use when the door's is 0).

    Raises
    ------
    BrokerError
        The address cannot be had.
    """
    runner = web.AppRunner(site.application(door), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        listener = web.TCPSite(runner, door.host, door.port)
        try:
            await listener.start()
        except OSError as error:
            raise BrokerError(
                f"http: cannot listen on {door.host}:{door.port}: {error.strerror or error}"
            ) from None
        port: int = runner.addresses[0][1]
        logs.info("console.opened", url=f"http://{door.host}:{port}/")
        yield port
    finally:
        await asyncio.shield(runner.cleanup())
