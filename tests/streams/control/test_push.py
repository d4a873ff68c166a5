"""Server-sent events: what a page hears, how often, and what becomes of a client that is slow or one too many."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer

from streams.broker import Record
from streams.control.door import Door
from streams.control.push import ALL, KINDS, MOST_NAMES, Hub, event
from streams.control.server import Site
from streams.views.problems import Problem
from tests.streams.control.test_schemathesis import kept
from tests.streams.published import alert, lifecycle, read_model, record, result, told, trigger

Client = TestClient[Any, Any]


def listen(hub: Hub, use: Callable[[Client], Awaitable[None]]) -> None:
    """Use a client of an application that only has the stream."""

    async def follow(request: web.Request) -> web.StreamResponse:
        try:
            return await hub.follow(request)
        except Problem as problem:
            return web.Response(status=problem.status)

    async def close(app: web.Application) -> None:
        hub.close()

    async def run() -> None:
        app = web.Application()
        app.router.add_get("/stream", follow)
        app.on_shutdown.append(close)
        async with TestClient(TestServer(app)) as client:
            await use(client)

    asyncio.run(run())


async def hello(response: ClientResponse) -> None:
    assert (response.status, response.content_type) == (200, "text/event-stream")
    assert await response.content.readuntil(b"\n\n") == b"retry: 2000\n\n"


async def heard(response: ClientResponse) -> dict[str, list[str]]:
    async with asyncio.timeout(5):
        said = (await response.content.readuntil(b"\n\n")).decode()
    name, data, *_ = said.splitlines()
    assert name == "event: changed"
    return dict(json.loads(data.removeprefix("data: ")))


async def alone(hub: Hub, *models: str) -> None:
    """Wait until nobody listens; meanwhile something happens to these models again and again."""
    async with asyncio.timeout(10):
        while hub.clients:
            for model in models:
                hub.tell("result", model)
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.Event().wait(), 0.002)


def test_what_happens_at_once_is_told_together() -> None:
    hub = Hub(every_s=0.01)

    async def use(client: Client) -> None:
        async with client.get("/stream") as one, client.get("/stream") as other:
            await hello(one)
            await hello(other)
            for model in ("b", "a", "b"):
                hub.tell("result", model)
            hub.tell("pipeline", "")
            for each in (one, other):
                assert await heard(each) == {"models": ["a", "b"], "kinds": ["pipeline", "result"]}
            hub.tell("alert", "c")
            assert await heard(one) == {"models": ["c"], "kinds": ["alert"]}

    listen(hub, use)
    assert hub.clients == 0


def test_a_client_with_nothing_to_hear_hears_that_we_are_there() -> None:
    async def use(client: Client) -> None:
        async with client.get("/stream") as one:
            await hello(one)
            assert (await one.content.readuntil(b"\n\n")).startswith(b":")

    listen(Hub(heartbeat_s=0.01), use)


def test_one_client_too_many_is_refused_until_another_leaves() -> None:
    hub = Hub(most=1)

    async def use(client: Client) -> None:
        async with client.get("/stream") as one:
            await hello(one)
            async with client.get("/stream") as other:
                assert other.status == 429
        await alone(hub)
        async with client.get("/stream") as again:
            await hello(again)

    listen(hub, use)


def test_a_client_that_takes_nothing_is_let_go() -> None:
    hub = Hub(every_s=0.0, patience_s=0.05)
    names = [f"model-{number}-{'x' * 200}" for number in range(MOST_NAMES)]

    async def use(client: Client) -> None:
        response = await client.get("/stream")
        await hello(response)
        response.connection.transport.pause_reading()  # type: ignore[union-attr]
        await alone(hub, *names)
        response.close()

    listen(hub, use)


def test_more_names_than_anybody_looks_at_are_one_star() -> None:
    hub = Hub(every_s=0.01)

    async def use(client: Client) -> None:
        async with client.get("/stream") as one:
            await hello(one)
            for number in range(MOST_NAMES + 5):
                hub.tell("result", f"m{number}")
            assert await heard(one) == {"models": [ALL], "kinds": ["result"]}

    listen(hub, use)


@pytest.mark.parametrize(
    ("kind", "one"),
    [
        ("result", told("results", result())),
        ("alert", told("alerts", alert())),
        ("trigger", told("retraining", trigger())),
        ("model", record("models", "lifecycle|loans", lifecycle())),
    ],
)
def test_every_kind_of_news_is_told_with_its_model(kind: str, one: Record) -> None:
    read = read_model()
    heard: list[tuple[str, str]] = []
    read.on_change = lambda kind, model_id: heard.append((kind, model_id))
    read.fold(one)
    assert heard == [(kind, "loans")]
    assert kind in KINDS


def test_the_application_streams_and_ends() -> None:
    site = Site(read_model(), lambda: True, list, "1", kept)

    async def run() -> None:
        app = site.application(Door("127.0.0.1", 0))
        async with TestClient(TestServer(app)) as client:
            response = await client.get("/api/v1/stream")
            await hello(response)
            assert response.headers["Cache-Control"] == "no-cache"
            assert "Content-Security-Policy" in response.headers
            head = await client.head("/api/v1/stream")
            assert head.status == 200
            site.hub.tell("pipeline", "")
            assert (await heard(response))["kinds"] == ["pipeline"]

    asyncio.run(run())


def test_no_name_ends_an_event_early() -> None:
    assert event({"a\n\nevent: x"}, {"result"}).count(b"\n\n") == 1
