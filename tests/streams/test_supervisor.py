import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from streams.supervisor import Child, Supervisor, leeway
from tests.until import until


class Said:
    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def __call__(self, name: str, line: str) -> None:
        self.lines.append((name, line))

    def of(self, name: str) -> list[str]:
        return [line for who, line in self.lines if who == name]


def python(name: str, code: str) -> Child:
    return Child(name, (sys.executable, "-u", "-c", code))


@pytest.fixture
def started() -> Iterator[Callable[..., tuple[Supervisor, Said]]]:
    """Supervisors that are stopped when the test is over, whatever came of it."""
    all_of_them: list[Supervisor] = []

    def start(*children: Child) -> tuple[Supervisor, Said]:
        said = Said()
        all_of_them.append(Supervisor(children, said))
        return all_of_them[-1], said

    yield start
    for supervisor in all_of_them:
        if supervisor.pids():
            supervisor.stop(drain_s=0)


Start = Callable[..., tuple[Supervisor, Said]]
WAITS = "import signal, sys; print('up'); signal.pause()"
DRAINS = """
import signal, sys
def end(*_):
    print('drained')
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print('up')
while True:
    signal.pause()
"""
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up')\nwhile True: signal.pause()"


def tended(supervisor: Supervisor, done: Callable[[], bool]) -> None:
    def turn() -> bool:
        supervisor.tend(0.05)
        return done()

    until(turn)


def test_a_child_is_told_how_often_it_was_started_again(started: Start) -> None:
    code = "import os; print(os.environ['LEEWAY_RESTARTS']); raise SystemExit(1)"
    supervisor, said = started(python("a", code), python("b", WAITS))
    tended(supervisor, lambda: said.of("a") == ["0", "1"])


def test_a_child_that_was_killed_is_started_again(started: Start) -> None:
    supervisor, said = started(python("a", WAITS))
    tended(supervisor, lambda: said.of("a") == ["up"])
    os.kill(supervisor.pids()["a"], signal.SIGKILL)
    tended(supervisor, lambda: said.of("a") == ["up", "up"])
    assert supervisor.restarts == 1
    assert any("signal 9" in line for line in said.of("supervisor"))


def test_a_child_is_told_to_end_and_its_last_words_are_heard(started: Start) -> None:
    supervisor, said = started(python("a", DRAINS), python("b", DRAINS))
    tended(supervisor, lambda: said.of("a") == said.of("b") == ["up"])
    supervisor.stop(drain_s=20)
    assert said.of("a") == said.of("b") == ["up", "drained"]
    assert not supervisor.pids()


def test_a_child_that_does_not_end_in_time_is_killed(started: Start) -> None:
    supervisor, said = started(python("a", STUBBORN))
    tended(supervisor, lambda: said.of("a") == ["up"])
    supervisor.stop(drain_s=0.2)
    assert not supervisor.pids()


def test_who_is_in_a_hurry_does_not_wait_for_the_drain(started: Start) -> None:
    supervisor, said = started(python("a", STUBBORN))
    tended(supervisor, lambda: said.of("a") == ["up"])
    hurry = threading.Event()
    hurry.set()
    supervisor.stop(drain_s=600, hurry=hurry)
    assert not supervisor.pids()


def test_a_mistake_of_the_user_ends_everything(started: Start) -> None:
    supervisor, said = started(python("a", "print('leeway: no such topic'); raise SystemExit(2)"))
    tended(supervisor, lambda: supervisor.exit_code is not None)
    assert supervisor.exit_code == 2
    assert said.of("a") == ["leeway: no such topic"]


def test_a_defect_is_tried_again(started: Start) -> None:
    supervisor, _ = started(python("a", "raise SystemExit(1)"))
    tended(supervisor, lambda: supervisor.restarts == 2)
    assert supervisor.exit_code is None


def test_a_child_ends_when_its_parent_is_gone() -> None:
    code = "from streams.supervisor import end_with_parent; import signal; end_with_parent(); signal.pause()"
    child = subprocess.Popen((sys.executable, "-c", code), stdin=subprocess.PIPE)
    try:
        assert child.stdin is not None
        child.stdin.close()
        assert child.wait(20) == -signal.SIGTERM
    finally:
        child.kill()
        child.wait()


def test_our_own_commands_are_run_by_this_interpreter() -> None:
    done = subprocess.run(
        leeway("--version"), capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.startswith("leeway ")
