"""Is every page of the console described, and is what it shows what it is?"""

import re
from hashlib import sha256
from pathlib import Path

from streams.console.pages import PAGES
from streams.control.door import Door, Token
from streams.control.server import _HEADERS
from tests.streams.console.screenshots import SHOTS

PAGE = Path("docs/console.md").read_text("utf-8")
ROW = re.compile(r"^\| `(/[^`]*)` \| [^|]+ \| ([^|]*)\|$", re.MULTILINE)


def test_every_page_is_described_with_its_parameters() -> None:
    described = {path: set(re.findall(r"`(\w+)`", given)) for path, given in ROW.findall(PAGE)}
    assert described == {page.path: set(page.parameters) for page in PAGES}


def test_its_pictures_are_there_and_small() -> None:
    for name in SHOTS:
        assert f"](images/{name}.png)" in PAGE
        image = Path(f"docs/images/{name}.png")
        assert image.read_bytes().startswith(b"\x89PNG")
        assert image.stat().st_size < 150_000, name


def test_the_proxy_that_is_shown_is_let_in() -> None:
    (block,) = re.findall(r"```nginx\n(.*?)```", PAGE, re.DOTALL)
    headers = dict(re.findall(r'proxy_set_header (\S+) "?([^";]*)"?;', block))
    door = Door("127.0.0.1", 8080, (Token("proxy", "write", sha256(b"TOKEN").digest()),))
    given = {name: value for name, value in headers.items() if value}  # nginx sends no empty one
    assert door.admit("/", given) == "proxy"


def test_the_policy_lets_no_foreign_host_and_no_inline_script_in() -> None:
    policy = _HEADERS["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "http" not in policy
    assert "frame-ancestors 'none'" in policy
