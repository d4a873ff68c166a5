"""docs/api.md says what the server does: every path, parameter and problem, and its examples answer."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from streams.control.api import ROUTES
from streams.control.push import KINDS, MOST_CLIENTS
from streams.control.server import Site
from streams.views.problems import TITLES
from streams.views.vitals import STATES
from tests.serving import served
from tests.streams.control.test_schemathesis import kept
from tests.streams.published import NOW_MS, fleet

PAGE = (Path(__file__).parents[3] / "docs" / "api.md").read_text()
WHERE = "http://127.0.0.1:8080"


def test_every_path_is_described_with_its_parameters_and_no_other() -> None:
    rows = re.findall(r"^\| `GET (/\S*)` \| (.*?) \| (\w+) \| (.*?) \|$", PAGE, re.MULTILINE)
    described = {path: (re.findall(r"`(\w+)`( \(needed\))?", asked), kind, about)
                 for path, asked, kind, about in rows if path != "/stream"}  # fmt: skip
    assert described == {
        route.path: (
            [
                (one.name, " (needed)" if one.required else "")
                for one in route.parameters
                if one.name not in ("limit", "cursor")
            ],
            "pages" if route.listed else "one",
            route.about,
        )
        for route in ROUTES
    }


def test_every_problem_state_and_kind_of_news_is_described() -> None:
    for name, (status, title) in TITLES.items():
        assert f"| {status} | `{name}` | {title} |" in PAGE
    for state in STATES:
        assert f"| `{state}` |" in PAGE
    for kind in KINDS:
        assert f"`{kind}`" in PAGE
    assert f"At most {MOST_CLIENTS} clients" in PAGE


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_every_line_to_type_answers() -> None:
    lines = [
        line
        for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
        for line in block.replace("\\\n", " ").splitlines()
        if line.startswith("curl")
    ]
    assert len(lines) >= 9
    site = Site(fleet(days=1), lambda: True, list, "1.2.3", kept, now_ms=lambda: NOW_MS)
    with served(site) as url:
        for line in lines:
            typed = line.replace(WHERE, url)
            streams = "/stream" in line
            code = "%{http_code}"
            told = subprocess.run(
                ["bash", "-c", f"{typed} -w '\n{code}'"],
                capture_output=True,
                text=True,
                timeout=20,
                check=False,
            )
            body, _, status = told.stdout.rpartition("\n")
            assert status in ("200", "202"), (line, told.stdout)
            assert body.startswith("retry:" if streams else "{"), line
            assert told.returncode == (28 if streams else 0), line  # 28: curl's --max-time
