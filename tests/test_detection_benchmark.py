"""Does detection keep its promises, and does docs/detection.md show what the commands print?"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import detection
from benchmarks._figures import Figure, Options
from benchmarks._picture import drawn
from benchmarks.detection import BENCHMARKS
from benchmarks.real_streams import measured, printed

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("LEEWAY_TEST_DATA", ROOT.parent / "shared" / "data"))
SHORT = Options(runs=None, short=True, data=None, pythons=())
TIMED = "COST"  # one round on a busy machine proves nothing


@pytest.mark.rate
@pytest.mark.parametrize("name", [name for name in BENCHMARKS if name != TIMED])
def test_the_short_benchmark_misses_no_target(name: str) -> None:
    found = list(BENCHMARKS[name](SHORT))
    assert found
    assert [f for f in found if f.met is False] == []


def test_the_short_benchmark_holds_no_time_against_a_busy_machine() -> None:
    assert {f.met for f in BENCHMARKS[TIMED](SHORT)} == {None}


@pytest.mark.parametrize(("met", "code"), [(True, 0), (None, 0), (False, 1)])
def test_a_missed_target_is_exit_code_1(
    met: bool | None, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def one(options: Options) -> Iterator[Figure]:
        yield Figure("COST", "a case", "2 ms", "≤ 1 ms", met)

    monkeypatch.setitem(BENCHMARKS, TIMED, one)
    assert detection.main(["--short", "--only", TIMED]) == code
    said = capsys.readouterr()
    assert "a case" in said.out
    assert ("missed: COST" in said.err) == bool(code)


@pytest.mark.skipif(
    not DATA.is_dir(), reason="needs the real streams: set LEEWAY_TEST_DATA to their folder"
)
def test_the_documented_table_and_picture_are_what_the_command_makes() -> None:
    found = measured(DATA)
    assert printed(found) in (ROOT / "docs" / "detection.md").read_text("utf-8")
    assert drawn(found) == (ROOT / "docs" / "real-streams.svg").read_text("utf-8")
