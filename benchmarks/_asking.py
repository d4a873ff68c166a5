"""What does a client wait for? Every path of the API equally often, each time about something else."""

import asyncio
import json
import random
import time
import urllib.request
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import aiohttp

from streams.control.api import ROUTES

_OF_A_MODEL = {
    "/models/{id}/compare": [{"a": "1.0.0", "b": "1.0.0"}],
    "/models/{id}/history": [{"scope": "health"}, {"scope": "inputs"}, {"scope": "outcomes"}],
    "/models/{id}/distribution": [
        {"series": "feature:income"},
        {"series": "feature:age"},
        {"series": "feature:income", "window": ""},  # an older one, which the log has
    ],
    "/models/{id}/results": [
        {"limit": "20"},
        {"scope": "inputs", "limit": "3"},
        {"scope": "health"},
    ],
}


class Answered(NamedTuple):
    """One request: which path, how long it took, and what came."""

    path: str
    ms: float
    status: int
    size: int  # bytes of the body as it came, packed


def get(url: str) -> Any:
    """An answer, at once."""
    with urllib.request.urlopen(url, timeout=60) as answer:
        return json.loads(answer.read())


def paths(url: str, count: int, seed: int = 1) -> Iterator[tuple[str, str]]:
    """So many requests: the route's path, and what is asked for. Those of one route come in turns with all others."""
    dice = random.Random(seed)
    api = f"{url}/api/v1"
    models = get(f"{api}/models?limit=500")["items"]
    silences = get(f"{api}/silences?limit=500")["items"]
    ids = {
        "models": [
            m["model_id"] for m in models if m["last_window"] and m["last_window"]["events"]
        ],
        "episodes": [one["episode_id"] for one in get(f"{api}/episodes?limit=500")["items"]],
        "triggers": [one["trigger_id"] for one in get(f"{api}/triggers?limit=500")["items"]],
        "commands": [f"{one['model_id']}-s1" for one in silences],
    }
    ends = [
        one["window"]["end"]
        for one in get(f"{api}/models/{ids['models'][0]}/results?scope=inputs&limit=48")["items"]
    ]
    routes = [route for route in ROUTES if "{id}" not in route.path or ids[_kind(route.path)]]
    for number in range(count):
        path = routes[number % len(routes)].path
        query = dict(dice.choice(_OF_A_MODEL.get(path, [{}])))
        if "window" in query:
            query["window"] = dice.choice(ends)
        wanted = path
        if "{id}" in path:
            wanted = path.replace("{id}", quote(dice.choice(ids[_kind(path)]), safe=""))
        yield path, f"/api/v1{wanted}" + (f"?{urlencode(query)}" if query else "")


def _kind(path: str) -> str:
    return path.split("/")[1]


def ask(url: str, wanted: Sequence[tuple[str, str]], connections: int) -> list[Answered]:
    """Ask for all of it, by so many connections at once, each as soon as it was answered."""
    return asyncio.run(_ask(url, wanted, connections))


async def _ask(url: str, wanted: Sequence[tuple[str, str]], connections: int) -> list[Answered]:
    waiting, found = iter(wanted), list[Answered]()
    connector = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:

        async def work() -> None:
            for path, asked in waiting:
                began = time.perf_counter()
                async with session.get(url + asked, headers={"Accept-Encoding": "gzip"}) as answer:
                    body = await answer.read()
                took = (time.perf_counter() - began) * 1000
                found.append(Answered(path, took, answer.status, len(body)))

        await asyncio.gather(*(work() for _ in range(connections)))
    return found
