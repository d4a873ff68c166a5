"""What do tests need that look at pages in a real browser? A server, Chromium, and what it complains of.

`browse` is the fixture: `browse.serve(read)` answers requests, `browse.page(...)` is a page of Playwright. Whatever the
browser's console, a script or a request complains of fails the test that saw it.
"""

import asyncio
import os
import shutil
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from aiohttp import web
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from streams.broker import Partition, Record
from streams.commands import Command
from streams.control.door import Door
from streams.control.server import Site
from streams.views.read import ReadModel
from tests.streams.published import NOW_MS

T = TypeVar("T")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--font-render-hinting=none",
)
DESK, PHONE = (1280, 800), (360, 740)
PATIENCE_S = 30.0  # of a machine that does much else; nothing takes so long


async def nobody(command: Command) -> None:
    raise AssertionError("nothing is written here")


@dataclass
class Served:
    """A running application over a read model."""

    url: str
    site: Site
    read: ReadModel
    _loop: asyncio.AbstractEventLoop
    _runner: web.AppRunner

    def fold(self, *records: Record) -> None:
        """Fold more in, each at the next offset of its partition, as control does while people look."""

        async def folded() -> None:
            for one in records:
                at = self.read.position(Partition(one.topic, one.partition))
                self.read.fold(one._replace(offset=at))

        _run(self._loop, folded())

    def stop(self) -> None:
        _run(self._loop, self._runner.cleanup())


@dataclass
class Browse:
    """Pages of one test, and what they complained of."""

    browser: Browser
    _loop: asyncio.AbstractEventLoop
    complaints: list[str] = field(default_factory=list)
    _served: list[Served] = field(default_factory=list)
    _contexts: list[BrowserContext] = field(default_factory=list)

    def serve(
        self,
        read: ReadModel,
        *,
        ready: bool = True,
        reading: Sequence[tuple[Partition, int, int]] = (),
        now_ms: int = NOW_MS,
        write: Callable[[Command], Awaitable[None]] = nobody,
        port: int = 0,
        **more: Any,
    ) -> Served:
        """Answer requests about this read model, at a clock that stands still, until the test ends."""
        site = Site(
            read, lambda: ready, lambda: reading, "1.2.3", write, now_ms=lambda: now_ms, **more
        )

        async def start() -> tuple[web.AppRunner, int]:
            runner = web.AppRunner(
                site.application(Door("127.0.0.1", 0)), access_log=None, shutdown_timeout=0.2
            )
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", port).start()
            return runner, runner.addresses[0][1]

        runner, found = _run(self._loop, start())
        served = Served(f"http://127.0.0.1:{found}", site, read, self._loop, runner)
        self._served.append(served)
        return served

    def page(
        self,
        size: tuple[int, int] = DESK,
        *,
        dark: bool = False,
        scripts: bool = True,
        **more: Any,
    ) -> Page:
        """A new page in a context of its own; time zone and language are those of nobody in particular."""
        context = self.browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
            java_script_enabled=scripts,
            timezone_id="Pacific/Auckland",
            locale="en-GB",
            **more,
        )
        context.set_default_timeout(PATIENCE_S * 1e3)
        self._contexts.append(context)
        page = context.new_page()
        page.on("console", lambda said: self._hear(said.type, said.text))
        page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"[:300]))
        page.on("response", lambda got: self._answered(got.status, got.url))
        return page

    def _hear(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(f"console {kind}: {text}"[:300])

    def _answered(self, status: int, url: str) -> None:
        if status >= 400:
            self.complaints.append(f"{status}: {url}"[:300])

    def shot(self, page: Page, name: str, *, whole: bool | None = None) -> Path:
        """A screenshot, kept for people: in `.screenshots/`, or of whole pages in `$LEEWAY_SCREENSHOTS`."""
        folder = Path(SCREENSHOTS or ".screenshots")
        whole = bool(SCREENSHOTS) if whole is None else whole
        folder.mkdir(parents=True, exist_ok=True)
        place = folder / f"{name}.png"
        page.screenshot(path=place, full_page=whole)
        return place

    def close(self) -> None:
        for context in self._contexts:
            context.close()
        for served in self._served:
            served.stop()


SCREENSHOTS = os.environ.get("LEEWAY_SCREENSHOTS")  # before tests lose `LEEWAY_*`


def _run(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run_coroutine_threadsafe(work, loop).result(PATIENCE_S)


@dataclass(frozen=True)
class Chromium:
    """A browser; between tests its event loop must not seem to run, or no other test could use asyncio."""

    browser: Browser
    server: asyncio.AbstractEventLoop
    _own: asyncio.AbstractEventLoop

    def wake(self) -> None:
        asyncio._set_running_loop(self._own)

    def rest(self) -> None:
        asyncio._set_running_loop(None)


def chromium() -> Iterator[Chromium]:
    """The fixture of that name: Chromium, and a thread in which servers run; a worker has one of each."""
    place = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
    if place is None:
        pytest.skip("no chromium on this machine: deploy/tools installs it")
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="pages", daemon=True)
    thread.start()
    playwright = sync_playwright().start()
    expect.set_options(timeout=PATIENCE_S * 1e3)
    started: Chromium | None = None
    try:
        browser = playwright.chromium.launch(executable_path=place, args=list(ARGUMENTS))
        started = Chromium(browser, loop, asyncio.get_running_loop())
        started.rest()
        yield started
        started.wake()
        browser.close()
    finally:
        playwright.stop()
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def browse(chromium: Chromium) -> Iterator[Browse]:
    """The fixture of that name: pages in a real browser; what they complain of fails the test."""
    chromium.wake()
    pages = Browse(chromium.browser, chromium.server)
    try:
        yield pages
    finally:
        pages.close()
        chromium.rest()
    assert not pages.complaints, "\n".join(pages.complaints)
