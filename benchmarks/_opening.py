"""What does a person wait for who opens a page? Real headless Chromium, with nothing in its cache but charts."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from playwright.sync_api import Browser, sync_playwright

_ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--no-first-run"),
)
_WAITING = """() => [...document.querySelectorAll(".plot")].filter((plot) => {
  const box = plot.getBoundingClientRect();
  return box.height && box.top < innerHeight && !plot.querySelector(".main-svg");
}).length"""
_PATIENCE_S = 30.0


class Opened(NamedTuple):
    """One page as it was opened."""

    seconds: float  # until the document is there and every picture that can be seen is drawn
    transferred: int  # bytes on the wire, headers and all
    pictures: int


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without a window. Raises `SystemExit` where there is none."""
    found = shutil.which("chromium")
    if found is None:
        raise SystemExit("chromium is not installed: deploy/tools installs it")
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=found, args=list(_ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


def opened(browser: Browser, url: str, path: str, charts: str) -> Opened:
    """Open a page in a context of its own that has seen the chart library, and nothing else."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    try:
        before = context.new_page()
        before.goto(url + charts)
        before.close()
        page = context.new_page()
        wire, sizes = context.new_cdp_session(page), list[float]()
        wire.send("Network.enable")
        wire.on("Network.loadingFinished", lambda done: sizes.append(done["encodedDataLength"]))
        began = time.perf_counter()
        page.goto(url + path, wait_until="load")
        while page.evaluate(_WAITING):
            if time.perf_counter() - began > _PATIENCE_S:
                raise SystemExit(f"{path}: pictures were not drawn within {_PATIENCE_S:.0f} s")
        seconds = time.perf_counter() - began
        pictures: Any = page.locator(".plot .main-svg").count()
        return Opened(seconds, int(sum(sizes)), pictures)
    finally:
        context.close()
