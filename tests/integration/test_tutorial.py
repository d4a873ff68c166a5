"""Does the tutorial work? Its page is walked from top to bottom, as somebody would who types what it says."""

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest

from streams.local_kafka import free_port
from tests.children import ended
from tests.test_documentation import Block, blocks
from tests.until import until

pytestmark = pytest.mark.kafka

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "tutorial.md").read_text("utf-8")
EXAMPLE = (ROOT / "examples" / "tutorial" / "churn.py").read_text("utf-8")
IN_THE_PAGE = "127.0.0.1:41234", "127.0.0.1:8080"  # the broker, the console
STAYS = ("leeway broker", "leeway run")  # in terminals of their own
# What no two walks have in common: ids and times. An id that comes again is the same again.
VARIES = {
    r"ep-[0-9a-f]{8,40}": r"ep-[0-9a-f]{8,40}",
    r"\d{4}-\d\d-\d\dT\d\d:00:00\.000Z": r"\d{4}-\d\d-\d\dT\d\d:\d\d:00\.000Z",
    r"cm-[0-9a-f]{32}": r"cm-[0-9a-f]{32}",
    r"[\d.]+ MB": r"[\d.]+ MB",
}


class Walk:
    """Somebody in an empty folder, with the terminals they have opened."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._stack = folder, stack
        self._replaced = {IN_THE_PAGE[1]: f"127.0.0.1:{free_port()}"}
        self._environment = {
            **{name: of for name, of in os.environ.items() if not name.startswith("LEEWAY_")},
            "CLONE": str(ROOT),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "COLUMNS": "200",
            "LEEWAY_HTTP_PORT": self._replaced[IN_THE_PAGE[1]].rpartition(":")[2],
            "LEEWAY_METRICS_PORT": "0",
            "LEEWAY_TOPICS_PARTITIONS": "3",
            "XDG_STATE_HOME": str(folder / "state"),
        }

    @property
    def console(self) -> str:
        return f"http://{self._replaced[IN_THE_PAGE[1]]}"

    def type(self, text: str) -> str:
        """Run the lines of a block, and return what they print."""
        lines = []
        for line in self._as_here(text).splitlines():
            if line.startswith("export "):
                name, _, value = line.removeprefix("export ").partition("=")
                self._environment[name] = value.partition(" ")[0]
            elif line.startswith(STAYS):
                self._leave_running(line)
            else:
                lines.append(line)
        done = subprocess.run(
            ["bash", "-ec", "\n".join(lines)],
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}"
        return done.stdout

    def see(self, typed: str, said: str, wanted: str) -> None:
        """What was typed ends with what the page says; what is judged may take a moment to become that."""
        said = flat(said)
        (*_, last) = typed.splitlines()
        looks = last.startswith(("leeway status", "leeway explain"))
        pattern, ids = self._pattern(wanted)

        def found() -> "re.Match[str] | None":
            nonlocal said
            if not (match := re.search(rf"{pattern}\Z", said)) and looks:
                said = flat(self.type(last))
                match = re.search(rf"{pattern}\Z", said)
            return match

        within = timedelta(seconds=60 if looks else 0)
        match = until(found, within, lambda: f"{wanted}\n-- but --\n{said}")
        assert match is not None
        self._replaced |= {one: match[f"id{i}"] for i, one in enumerate(ids)}

    def _pattern(self, wanted: str) -> tuple[str, list[str]]:
        """What to look for, and the ids of the page that it catches."""
        ids: list[str] = []
        pattern = re.escape(flat(self._as_here(wanted)))
        for i, (written, here) in enumerate(VARIES.items()):
            for one in dict.fromkeys(re.findall(written, flat(wanted))):
                if i == 0 and one not in self._replaced:
                    pattern = pattern.replace(re.escape(one), f"(?P<id{len(ids)}>{here})", 1)
                    ids.append(one)
                elif i:
                    pattern = pattern.replace(re.escape(one), here)
        return pattern, ids

    def _as_here(self, text: str) -> str:
        for there, here in self._replaced.items():
            text = text.replace(there, here)
        return text

    def _leave_running(self, line: str) -> None:
        log = self._folder / f"{line.split()[1]}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                line.split(), cwd=self._folder, env=self._environment, stdout=out, stderr=out
            )
        self._stack.enter_context(ended(process))
        if line == "leeway broker":
            said = until(
                lambda: re.search(r"^127\.0\.0\.1:\d+$", log.read_text(), re.M),
                timedelta(seconds=60),
                log.read_text,
            )
            assert said is not None
            self._replaced[IN_THE_PAGE[0]] = said[0]
        else:
            until(self._is_open, timedelta(seconds=60), log.read_text)

    def _is_open(self) -> bool:
        try:
            return httpx2.get(f"{self.console}/readyz").status_code == 200
        except httpx2.TransportError:
            return False


def flat(text: str) -> str:
    """Without what only lays a text out."""
    return "\n".join(" ".join(line.split()) for line in text.strip().splitlines())


@pytest.fixture
def walk(tmp_path: Path) -> Iterator[Walk]:
    with ExitStack() as stack:
        yield Walk(tmp_path, stack)


def test_the_tutorial_works_as_it_is_written(walk: Walk, tmp_path: Path) -> None:
    typed = said = ""
    for block in blocks(PAGE):
        if block.language == "sh":
            typed, said = block.text, walk.type(block.text)
        elif block.language == "text":
            walk.see(typed, said, block.text)
        elif block.language == "yaml":
            (tmp_path / "churn.yaml").write_text(block.text, "utf-8")
    assert (tmp_path / "later.html").stat().st_size > 100_000
    for path in ("/", "/models/churn", "/episodes"):
        answer = httpx2.get(walk.console + path, follow_redirects=True)
        assert answer.status_code == 200
        assert "churn" in answer.text


def test_the_program_of_the_tutorial_is_the_examples_own() -> None:
    def of(language: str) -> Iterator[Block]:
        return (block for block in blocks(PAGE) if block.language == language)

    (piece,) = of("python")
    assert textwrap.indent(piece.text, "    ") in EXAMPLE
