"""How are requests answered? An aiohttp application: routes, headers and errors, and nothing about drift."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TypeVar
from urllib.parse import quote

import msgspec
from aiohttp import web
from aiohttp.typedefs import Middleware

from streams import logs
from streams.broker import Partition, Record
from streams.commands import MOST_BYTES, Command
from streams.console.pages import PAGES
from streams.console.parts import Page
from streams.console.trouble import trouble
from streams.control import commands, openapi, samples, slack_actions
from streams.control.api import ROUTES
from streams.control.commands import Counter
from streams.control.door import Door
from streams.control.encoding import (
    Answer,
    encoded,
    is_known,
    not_modified,
    representation,
    takes_gzip,
)
from streams.control.push import Hub
from streams.control.static import FOR_EVER, File, content, static_files
from streams.errors import BrokerError
from streams.metrics import HTTP_REQUESTS, OTHER, Meter, exposition
from streams.views.answers import Document
from streams.views.asked import Asked, Route, checked
from streams.views.deliveries import Delivering
from streams.views.places import Elsewhere, Recalled
from streams.views.problems import Problem
from streams.views.read import ReadModel, document_of
from streams.views.vitals import Vitals

Ready = Callable[[], bool]
Reading = Callable[[], Sequence[tuple[Partition, int, int]]]
Recall = Callable[[Partition, int], Awaitable[Record | None]]  # None: no longer on the log
T = TypeVar("T")

_READS = ("GET", "HEAD")
_SHOWN = web.RequestKey("shown", str)  # the name of the token that came with a request, or ""
_SLACK_S = 2.5  # Slack waits three seconds
_LONGEST_LINE = 64 * 1024
_RECALLS = 3  # an answer may find out in steps what it needs of the past
_HEADERS = {
    # the chart library sets styles of elements and makes pictures of its own; scripts are files of ours
    "Content-Security-Policy": "default-src 'none'; style-src 'self' 'unsafe-inline'; script-src 'self'; "
    "img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
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
    vitals : how the roles are
    recall : reads a record of the log again; None: what is no longer in memory cannot be told
    now_ms : the clock
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
        vitals: Callable[[], Vitals] = Vitals,
        recall: Recall | None = None,
        now_ms: Callable[[], int] | None = None,
    ) -> None:
        self._read, self._ready, self._reading, self._version = read, ready, reading, version
        self._now_ms = now_ms or _now_ms
        self._counter = Counter(read.commands, write, self._now_ms)
        self._signing_secrets = tuple(signing_secrets)
        self._meter = meter or Meter("control", version)
        self._sampler = samples.Sampler(read, self._meter.bounds)
        self._delivering, self._vitals, self._recall = delivering, vitals, recall
        self.hub = Hub()
        read.on_change = self.hub.tell

    def application(self, door: Door) -> web.Application:
        app = web.Application(
            middlewares=[_counted(self._meter), encoded, _errors, _guard(door)],
            client_max_size=slack_actions.MOST_BYTES,
        )
        app.on_response_prepare.append(_protect)
        app.on_shutdown.append(self._let_go)
        app.router.add_post("/api/v1/commands", self._command)
        app.router.add_post(slack_actions.PATH, self._slack)
        for route in ROUTES:
            app.router.add_get(f"/api/v1{route.path}", self._json(route))
        app.router.add_get("/api/v1/stream", self.hub.follow)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        described = openapi.document(self._version, tokens=bool(door.tokens))
        app.router.add_get("/openapi.json", _fixed(described, "application/json"))
        for page in PAGES:
            app.router.add_get(page.path, self._page(page))
        for file in static_files():
            app.router.add_get(f"/static/{file.name}", _constant(file))
        return app

    async def _let_go(self, app: web.Application) -> None:
        self.hub.close()

    def _asked(self, request: web.Request, query: Mapping[str, str]) -> Asked:
        return Asked(
            read=self._read,
            now_ms=self._now_ms(),
            path=dict(request.match_info),
            query=query,
            ready=self._ready(),
            reading=self._reading(),
            delivering=self._delivering(),
            vitals=self._vitals(),
        )

    async def _told(self, asked: Asked, answer: Callable[[Asked], T]) -> T:
        """The answer; what it needs of the past is read from the log meanwhile."""
        for _ in range(_RECALLS):
            try:
                return answer(asked)
            except Elsewhere as elsewhere:
                found = await self._recalled(elsewhere)
                asked = replace(asked, recalled={**asked.recalled, **found})
        return answer(asked)

    async def _recalled(self, elsewhere: Elsewhere) -> Recalled:
        if self._recall is None:
            return dict.fromkeys(elsewhere.places)
        records = await asyncio.gather(*(self._recall(*place) for place in elsewhere.places))
        values = (None if record is None else document_of(record) for record in records)
        return dict(zip(elsewhere.places, values, strict=True))

    def _json(self, route: Route) -> Answer:
        async def answer(request: web.Request) -> web.StreamResponse:
            document = await self._told(
                self._asked(request, route.query(request.query.items())), route.answer
            )
            return web.Response(body=msgspec.json.encode(document), content_type="application/json")

        return answer

    def _page(self, page: Page) -> Answer:
        async def answer(request: web.Request) -> web.StreamResponse:
            # a form without scripts sends also the fields that nobody filled
            filled = [(name, value) for name, value in request.query.items() if value]
            try:
                asked = self._asked(request, checked(page.parameters, filled))
                text, status = await self._told(asked, page.render), 200
            except Problem as problem:
                if "text/html" not in request.headers.get("Accept", ""):
                    raise
                text, status = trouble(self._asked(request, {}), problem), problem.status
            return web.Response(text=text, content_type="text/html", status=status)

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
        slack_actions.check(self._signing_secrets, timestamp, signature, body, self._now_ms())
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
        now_ms = self._now_ms()
        about = samples.of_control(self._version, now_ms, self._reading())
        if self._ready():
            about += samples.of_pipeline(self._vitals())
            about += self._sampler.of_models(now_ms)
            about += samples.of_delivery(self._read, self._delivering())
        body, kind = exposition(about)
        body += self._meter.exposition()
        return web.Response(body=body, headers={"Content-Type": kind})


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _fixed(body: bytes, kind: str) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, content_type=kind)

    return answer


def _constant(file: File) -> Answer:
    """A file, packed once; one whose name changes with its content is never asked for again."""

    async def answer(request: web.Request) -> web.StreamResponse:
        found = await asyncio.to_thread(content, file)
        packed = takes_gzip(request.headers.get("Accept-Encoding", ""))
        tag = representation(found.digest, packed)
        lasting = [("Cache-Control", FOR_EVER)] if file.lasting else []
        if is_known(request.if_none_match, tag):
            return not_modified(tag, lasting)
        response = web.Response(
            body=found.packed if packed else found.plain,
            content_type=file.kind,
            charset="utf-8" if file.kind.startswith("text/") else None,
            headers=[("Vary", "Accept-Encoding"), *lasting],
        )
        response.etag = tag
        if packed:
            response.headers["Content-Encoding"] = "gzip"
        return response

    return answer


async def _protect(request: web.Request, response: web.StreamResponse) -> None:
    """The same protective headers on every answer; what an answer says itself stays."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)


@web.middleware
async def _errors(request: web.Request, handler: Answer) -> web.StreamResponse:
    """Every error in one form."""
    try:
        return await handler(request)
    except Problem as problem:
        return _problem(problem, request)
    except web.HTTPNotFound:
        return _problem(Problem("not_found", "no such path"), request)
    except web.HTTPRequestEntityTooLarge:
        return _problem(Problem("too_large", "the body is too large"), request)
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        response = _problem(Problem("method_not_allowed", f"expected {allowed}"), request)
        response.headers["Allow"] = allowed
        return response
    except web.HTTPException:
        raise
    except Exception as error:  # noqa: BLE001 - a fault of ours: it is logged, and the page is told so
        logs.error("request.failed", traceback=True, path=request.path, error=type(error).__name__)
        return _problem(Problem("failed", "the log says more"), request)


def _counted(meter: Meter) -> Middleware:
    """Counts requests by the route they took; what took none is no label of its own."""

    @web.middleware
    async def counted(request: web.Request, handler: Answer) -> web.StreamResponse:
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
    async def guard(request: web.Request, handler: Answer) -> web.StreamResponse:
        writes = request.method not in _READS
        request[_SHOWN] = door.admit(request.path, request.headers, writes=writes) or ""
        return await handler(request)

    return guard


@asynccontextmanager
async def serving(site: Site, door: Door) -> AsyncIterator[int]:
    """Answer requests; gives the port (of use when the door's is 0).

    Raises
    ------
    BrokerError
        The address cannot be had.
    """
    runner = web.AppRunner(
        site.application(door),
        access_log=None,
        shutdown_timeout=1.0,
        max_line_size=_LONGEST_LINE,  # so that what is too long is refused by us, and says why
    )
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
