"""A stranger's test of the API: Schemathesis reads `/openapi.json` and asks what it says, and what it does not say."""

import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from streams.commands import Command
from streams.control.door import Door, Token
from streams.control.server import Site
from tests.serving import served
from tests.streams.published import NOW_MS, fleet

SECRET = "a secret of this test"
HOOKS = Path(__file__).with_name("schemathesis_hooks.py")


async def kept(command: Command) -> None:
    """Kafka takes everything."""


@pytest.mark.parametrize(
    ("tokens", "asked"),
    [
        # events do not end; they have tests of their own
        (True, ("--exclude-path", "/api/v1/stream")),
        # without tokens whoever gives a command says who they are
        (False, ("--include-path", "/api/v1/commands")),
    ],
)
def test_every_answer_is_as_described(tokens: bool, asked: tuple[str, str], tmp_path: Path) -> None:
    site = Site(fleet(3, 3, 1), lambda: True, list, "1.2.3", kept, now_ms=lambda: NOW_MS)
    token = Token("tester", "write", sha256(SECRET.encode()).digest())
    show = ("--header", f"Authorization: Bearer {SECRET}") if tokens else ()
    with served(site, Door("127.0.0.1", 0, (token,) if tokens else ())) as url:
        run = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json"),
                *("--checks", "all", "--max-examples", "4", "--seed", "1", *asked, *show),
                # the header above is always sent, so that none is ever missing; `ignored_auth` takes it away itself
                *("--exclude-checks", "missing_required_header"),
                "--generation-deterministic",
                *("--suppress-health-check", "all", "--no-shrink", "--no-color"),
            ],
            capture_output=True,
            text=True,
            timeout=300,
            cwd=tmp_path,
            env={**os.environ, "SCHEMATHESIS_HOOKS": str(HOOKS)},
            check=False,
        )
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
