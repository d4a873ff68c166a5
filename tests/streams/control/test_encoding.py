"""How answers travel: packed where that helps, and not again what is known."""

import asyncio
import gzip
from typing import Any

import pytest
from aiohttp import ClientSession, DummyCookieJar
from aiohttp.test_utils import TestServer

from streams.console.html import PLOTLY as NAMED
from streams.control.door import Door
from streams.control.encoding import takes_gzip
from streams.control.server import Site
from streams.control.static import PLOTLY, content, static_files
from tests.streams.control.test_schemathesis import kept
from tests.streams.published import NOW_MS, fleet

LARGE = "/api/v1/models"
PACKED = {"Accept-Encoding": "gzip"}
PLAIN = {"Accept-Encoding": "identity"}


@pytest.fixture(scope="module")
def site() -> Site:
    return Site(fleet(4, 2, 1), lambda: True, list, "1", kept, now_ms=lambda: NOW_MS)


def get(
    site: Site, path: str, headers: dict[str, str], method: str = "GET"
) -> tuple[int, Any, bytes]:
    """Status, headers and body as they came over the wire."""

    async def run() -> tuple[int, Any, bytes]:
        async with (
            TestServer(site.application(Door("127.0.0.1", 0))) as server,
            ClientSession(auto_decompress=False, cookie_jar=DummyCookieJar()) as client,
            client.request(method, server.make_url(path), headers=headers) as response,
        ):
            return response.status, response.headers, await response.read()

    return asyncio.run(run())


@pytest.mark.parametrize("path", [LARGE, "/", "/static/style.css", "/openapi.json"])
def test_packed_and_plain_hold_the_same_and_have_tags_of_their_own(site: Site, path: str) -> None:
    _, packed, small = get(site, path, PACKED)
    _, plain, whole = get(site, path, PLAIN)
    assert gzip.decompress(small) == whole
    assert packed["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain
    assert packed["ETag"] != plain["ETag"]
    assert packed["Vary"] == plain["Vary"] == "Accept-Encoding"
    for asked, headers in ((PACKED, packed), (PLAIN, plain)):
        known = {**asked, "If-None-Match": headers["ETag"]}
        status, again, nothing = get(site, path, known)
        assert (status, nothing, again["ETag"]) == (304, b"", headers["ETag"])
    status, *_ = get(site, path, {**PLAIN, "If-None-Match": packed["ETag"]})
    assert status == 200, "the packed form is not the plain one"


def test_what_is_short_is_not_packed(site: Site) -> None:
    _, headers, body = get(site, "/healthz", PACKED)
    assert "Content-Encoding" not in headers
    assert body == b'{"alive": true}'


def test_a_head_has_the_headers_and_no_body(site: Site) -> None:
    _, headers, _ = get(site, LARGE, PACKED)
    status, head, nothing = get(site, LARGE, PACKED, "HEAD")
    assert (status, nothing) == (200, b"")
    assert head["ETag"] == headers["ETag"]


def test_the_chart_library_is_kept_for_ever_and_comes_packed(site: Site) -> None:
    _, headers, body = get(site, f"/static/{PLOTLY}", PACKED)
    assert headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert len(body) < 1_600_000
    assert b"plotly.js v" in gzip.decompress(body)[:200]
    assert PLOTLY == NAMED, "pages load the release that is installed"


def test_every_file_of_the_console_is_served_and_nothing_else(site: Site) -> None:
    for file in static_files():
        status, headers, body = get(site, f"/static/{file.name}", PLAIN)
        assert (status, body) == (200, content(file).plain)
        assert headers["Content-Type"].startswith(file.kind)
    for path in ("/static/", "/static/..%2fpages.py", "/static/../pages.py"):
        assert get(site, path, PLAIN)[0] == 404


@pytest.mark.parametrize(
    ("said", "takes"),
    [
        ("gzip", True),
        ("GZIP;q=0.5", True),
        ("*", True),
        ("gzip;q=0, *", False),
        ("gzip;q=0.000", False),
        ("br, deflate", False),
        ("*;q=0", False),
        ("", False),
        (";;,,q=", False),
    ],
)
def test_only_who_takes_gzip_gets_it(said: str, takes: bool) -> None:
    assert takes_gzip(said) is takes
