"""Are log lines the same for people and for machines, and one line per thing?"""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from streams import logs
from streams.errors import UsageError


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def written(stream: io.StringIO, environment: dict[str, str] | None = None, **always: str) -> str:
    logs.configure(stream, environment=environment or {}, **always)
    logs.warning("episode.opened", model="fraud", version=7, reason="it crossed")
    return stream.getvalue()


def test_a_terminal_gets_one_readable_line() -> None:
    moment, rest = written(Terminal(), role="judge").split(" ", 1)
    assert len(moment) == len("2026-03-14T09:05:02.118Z")
    assert moment.endswith("Z")
    assert rest == 'warning episode.opened role=judge model=fraud version=7 reason="it crossed"\n'


def test_anything_but_a_terminal_gets_the_same_keys_as_json() -> None:
    line = json.loads(written(io.StringIO(), role="judge"))
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "warning",
        "happened": "episode.opened",
        "role": "judge",
        "model": "fraud",
        "version": 7,
        "reason": "it crossed",
    }


def test_the_environment_decides_over_the_terminal() -> None:
    assert json.loads(written(Terminal(), {"LEEWAY_LOG_FORMAT": "json"}))["model"] == "fraud"
    assert " episode.opened model=fraud " in written(io.StringIO(), {"LEEWAY_LOG_FORMAT": "text"})


def test_a_level_below_the_limit_is_not_written() -> None:
    assert written(io.StringIO(), {"LEEWAY_LOG_LEVEL": "error"}) == ""


@pytest.mark.parametrize("name", ["LEEWAY_LOG_FORMAT", "LEEWAY_LOG_LEVEL"])
def test_a_wrong_setting_names_the_right_ones(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name}: 'xml' is not one of "):
        logs.configure(io.StringIO(), environment={name: "xml"})


def test_a_line_break_in_a_value_does_not_break_the_line() -> None:
    stream = Terminal()
    logs.configure(stream, environment={})
    logs.info("message.rejected", reason="first\nsecond")
    assert stream.getvalue().count("\n") == 1


def test_libraries_come_out_in_the_same_form_and_only_from_warning_up() -> None:
    stream = io.StringIO()
    logs.configure(stream, environment={})
    logging.getLogger("library").info("chatter")
    logging.getLogger("library").warning("lost %d", 3)
    line = json.loads(stream.getvalue())
    assert (line["happened"], line["library"], line["message"]) == (
        "library.logged",
        "library",
        "lost 3",
    )


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()])
def test_an_error_can_carry_its_traceback(stream: io.StringIO) -> None:
    logs.configure(stream, environment={})
    try:
        raise ValueError("broken")
    except ValueError:
        logs.error("stage.failed", traceback=True)
    assert "ValueError: broken" in stream.getvalue()
