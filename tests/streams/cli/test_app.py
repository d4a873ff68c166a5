"""Does the command line answer quickly, and end as it says it does?"""

import importlib
import importlib.util
import os
import shlex
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from streams.cli import app, main
from streams.errors import BrokerError, LifecycleError, UsageError

HEAVY = ("aiokafka", "confluent_kafka", "faust", "numpy", "pyarrow", "pydantic", "river", "scipy")


def test_help_names_every_command_and_imports_nothing_heavy() -> None:
    script = (
        "import sys; from streams.cli import main; main(['--help']);"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout
    assert shown.rstrip().endswith("[]")
    for command in app.COMMANDS:
        assert f"  {command.name} " in shown


@pytest.mark.parametrize("command", app.COMMANDS, ids=lambda command: str(command.name))
def test_a_listed_command_exists(command: app.Command) -> None:
    assert importlib.util.find_spec(command.module), f"{command.module} is missing"


@pytest.mark.parametrize("command", app.COMMANDS, ids=lambda command: str(command.name))
def test_an_example_is_of_its_command_and_uses_only_options_it_has(command: app.Command) -> None:
    module = importlib.import_module(command.module)
    leeway, name, *arguments = shlex.split(module.EXAMPLE)
    assert (leeway, name) == ("leeway", command.name)
    options = {option for parameter in app.built(command).params for option in parameter.opts}
    assert {each for each in arguments if each.startswith("-")} <= options


def test_no_arguments_are_a_question_for_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "leeway COMMAND --help" in capsys.readouterr().out


def test_an_unknown_command_suggests_the_close_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chek"]) == 2
    assert capsys.readouterr().err == (
        "leeway: there is no command 'chek': did you mean 'check'?\n"
    )


def test_an_unknown_option_points_at_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--frobnicate"]) == 2
    assert "there is no option '--frobnicate'" in capsys.readouterr().err


def test_wrong_arguments_are_one_line_and_exit_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["broker", "--port", "many"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "--port" in said
    assert "leeway broker --help" in said


def test_help_of_a_command_ends_with_its_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["broker", "--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("Usage: leeway broker ")
    assert shown.rstrip().endswith("Example: leeway broker --data kafka-data --port 9092")


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (UsageError("there is no model 'x'"), 2, "leeway: there is no model 'x'\n"),
        (
            LifecycleError(["a.yaml:1:2: one", "a.yaml:3:4: two"]),
            2,
            "a.yaml:1:2: one\na.yaml:3:4: two\n",
        ),
        (BrokerError("no answer"), 3, "leeway: no answer\n"),
        (FileNotFoundError(2, "No such file", "x.csv"), 2, "leeway: x.csv: No such file\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_exception_becomes_its_exit_code_and_message(
    raised: BaseException,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def command() -> None:
        raise raised

    _install(command, monkeypatch)
    assert main(["status"]) == code
    assert capsys.readouterr().err == said


@pytest.mark.parametrize(("answer", "code"), [(None, 0), (0, 0), (4, 4)])
def test_what_a_command_returns_is_the_exit_code(
    answer: int | None, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def command() -> int | None:
        return answer

    _install(command, monkeypatch)
    assert main(["status"]) == code


def _install(command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    module = SimpleNamespace(command=command, EXAMPLE="leeway status")
    monkeypatch.setitem(sys.modules, "streams.cli.status", module)
    monkeypatch.setattr("streams.logs.configure", lambda: None)


def _leeway(script: str, output: int) -> subprocess.CompletedProcess[str]:
    """A process whose `leeway status` is `script`."""
    lines = (
        "import sys, types",
        "from streams.cli import main",
        f"def command(): {script}",
        "sys.modules['streams.cli.status'] = types.SimpleNamespace(command=command, EXAMPLE='')",
        "sys.argv[1:] = ['status']",
        "sys.exit(main())",
    )
    return subprocess.run(
        [sys.executable, "-c", "\n".join(lines)],
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        cwd=Path(__file__).parents[3],
    )


def test_a_defect_shows_its_traceback_and_says_that_it_is_one() -> None:
    ended = _leeway("raise ZeroDivisionError('oops')", subprocess.PIPE)
    assert ended.returncode == 1
    assert "Traceback" in ended.stderr
    assert ended.stderr.splitlines()[-1].startswith("leeway: a defect in Leeway")


def test_a_reader_that_has_gone_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    ended = _leeway("print('x' * 100_000, flush=True)", writing)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (0, "")
