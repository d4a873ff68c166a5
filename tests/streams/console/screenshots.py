"""How does the console look? Writes the pictures of it that the documentation shows.

``python -m tests.streams.console.screenshots docs/images``
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import browsing
from tests.browsing import Browse
from tests.streams.published import fleet

SIZE = (1280, 820)
SHOTS = {
    "console-overview": "/",
    "console-drift": "/models/churn#drift",
    "console-series": "/models/churn/series/feature:income",
}


@contextmanager
def browser() -> Iterator[Browse]:
    """Chromium outside of a test."""
    started = browsing.chromium()
    pages = browsing.browse(next(started))
    yield next(pages)
    for one in (pages, started):
        next(one, None)


def main(folder: Path) -> None:
    """Write a PNG for each of `SHOTS`."""
    folder.mkdir(parents=True, exist_ok=True)
    with browser() as browse:
        served = browse.serve(fleet(models=4, features=12, days=14))
        for name, path in SHOTS.items():
            page = browse.page(SIZE)
            page.goto(served.url + path)
            page.wait_for_selector("#live[data-state=live]")
            if path != "/":
                page.wait_for_selector(".picture .plot .main-svg")
            page.screenshot(path=folder / f"{name}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
