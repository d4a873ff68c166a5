"""What does a person wait for who opens a page? Real headless Chromium, which has seen the chart library before."""

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from playwright.sync_api import BrowserContext, Page, sync_playwright

_ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--no-first-run"),
)
_WAITING = """() => [...document.querySelectorAll(".plot")].filter((plot) => {
  const box = plot.getBoundingClientRect();
  return box.height && box.top < innerHeight && !plot.querySelector(".main-svg");
}).length"""
_PATIENCE_S = 30.0
_SETTLED_S = 0.5  # a browser that starts, or stops, is busy
_PAUSE_S = 0.02  # asking all the time would take what the page needs


class Opened(NamedTuple):
    """One page as it was opened."""

    seconds: float  # until the document is there and every picture that can be seen is drawn
    transferred: int  # bytes on the wire, headers and all
    pictures: int


@contextmanager
def person(url: str, before: str, times: int = 3) -> Iterator[Callable[[str], Opened]]:
    """Somebody who looked at another page with pictures so many `times`, and starts the browser again for each page.

    Chromium keeps the chart library, and from the second time on what it was compiled to. Raises `SystemExit` where
    there is no Chromium.
    """
    found = shutil.which("chromium")
    if found is None:
        raise SystemExit("chromium is not installed: deploy/tools installs it")
    with sync_playwright() as player, tempfile.TemporaryDirectory() as profile:

        def look(path: str) -> Opened:
            browser = player.chromium.launch_persistent_context(
                profile,
                executable_path=found,
                args=list(_ARGUMENTS),
                viewport={"width": 1280, "height": 800},
            )
            try:
                return _opened(browser, url, path)
            finally:
                browser.close()

        for _ in range(times):
            look(before)
        yield look


def _opened(browser: BrowserContext, url: str, path: str) -> Opened:
    page = browser.new_page()
    wire, sizes = browser.new_cdp_session(page), list[float]()
    wire.send("Network.enable")
    wire.on("Network.loadingFinished", lambda done: sizes.append(done["encodedDataLength"]))
    threading.Event().wait(_SETTLED_S)
    began = time.perf_counter()
    page.goto(url + path, wait_until="load")
    _drawn(page, path)
    seconds = time.perf_counter() - began
    pictures: Any = page.locator(".plot .main-svg").count()
    threading.Event().wait(_SETTLED_S)  # what was compiled is written
    return Opened(seconds, int(sum(sizes)), pictures)


def _drawn(page: Page, path: str) -> None:
    """Wait until every picture that can be seen is there."""
    until = time.monotonic() + _PATIENCE_S
    while page.evaluate(_WAITING):
        if time.monotonic() > until:
            raise SystemExit(f"{path}: pictures were not drawn within {_PATIENCE_S:.0f} s")
        threading.Event().wait(_PAUSE_S)
