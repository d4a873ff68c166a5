"""Who keeps the roles running? Child processes, restarted with growing patience, ended in order.

A child is told to end by SIGTERM and given time to drain. It also ends when its standard input closes, which happens
when the supervisor is gone for whatever reason: no role outlives the command that started it.
"""

import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import IO

ROLES = ("profiler", "joiner", "judge", "control")
SUPERVISED = "LEEWAY_SUPERVISED"  # in the environment of a role that must not outlive its parent
RESTARTS = "LEEWAY_RESTARTS"  # there too: how often it was started again
DRAIN_S = 30.0  # how long children may take to end before they are killed
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0  # before a child is started again; doubled each time
HEALTHY_S = 60.0  # a child that lived so long starts with the shortest pause again
HOPELESS = 5  # starts in a row that ended quickly with exit code 3 (what it needs is not there)
_QUICK_S = 10.0
_TICK_S = 0.2
_USER, _LACKING = 2, 3  # exit codes: the user's mistake; what it needs is not there
_LONGEST_LINE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Child:
    """A process to keep running: its name, command and what its environment has beyond ours."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Running:
    child: Child
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    pause_s: float = FIRST_PAUSE_S
    due_at: float = 0.0  # when to start it (again)
    failures: int = 0
    restarts: int = 0
    rest: bytes = b""  # of a line that has not ended


class Supervisor:
    """Keeps children running until it is told to stop.

    Parameters
    ----------
    children
        Their names are unique.
    say
        Given a child's name and each line it writes, and what the supervisor itself has to tell.
    """

    def __init__(self, children: Sequence[Child], say: Callable[[str, str], None]) -> None:
        self._running = [_Running(child) for child in children]
        self._say = say
        self._selector = selectors.DefaultSelector()
        self.exit_code: int | None = (
            None  # set when a child ended in a way that a restart cannot help
        )
        self.restarts = 0

    def tend(self, timeout_s: float = _TICK_S) -> None:
        """Start what is due, pass on what was written, notice what ended. Call it again and again."""
        now = time.monotonic()
        for running in self._running:
            if running.process is None and now >= running.due_at:
                self._start(running, now)
        self._listen(timeout_s)
        for running in self._running:
            if running.process is not None and running.process.poll() is not None:
                self._ended(running, time.monotonic())

    def stop(self, *, drain_s: float = DRAIN_S, hurry: threading.Event | None = None) -> None:
        """Ask every child to end; kill those that have not after `drain_s`, or at once when `hurry` is set."""
        deadline = time.monotonic() + drain_s
        for process in self._processes():
            _signal(process, signal.SIGTERM)
        while any(process.poll() is None for process in self._processes()):
            if time.monotonic() > deadline or (hurry is not None and hurry.is_set()):
                for process in self._processes():
                    _signal(process, signal.SIGKILL)
            self._listen(_TICK_S)
        for running in self._running:
            if running.process is not None:
                running.process.wait()
                self._let_go(running)
        self._selector.close()

    def pids(self) -> dict[str, int]:
        """Process ids of the children that are running, by name."""
        return {
            running.child.name: running.process.pid
            for running in self._running
            if running.process is not None
        }

    # ---------------------------------------------------------------------------------------------------- inside

    def _processes(self) -> Iterator[subprocess.Popen[bytes]]:
        return (r.process for r in self._running if r.process is not None)

    def _start(self, running: _Running, now: float) -> None:
        # its own session: Ctrl-C in a terminal reaches the supervisor alone, which then ends the children in order
        running.process = subprocess.Popen(
            running.child.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **running.child.environment, RESTARTS: str(running.restarts)},
            start_new_session=True,
        )
        running.started_at = now
        out = _pipe(running.process.stdout)
        os.set_blocking(out.fileno(), False)
        self._selector.register(out, selectors.EVENT_READ, running)

    def _listen(self, timeout_s: float) -> None:
        for key, _ in self._selector.select(timeout_s):
            running: _Running = key.data
            self._read(running, key.fd)

    def _read(self, running: _Running, descriptor: int) -> bool:
        try:
            got = os.read(descriptor, 65536)
        except BlockingIOError:
            return False
        *lines, running.rest = (running.rest + got).split(b"\n")
        if not got or len(running.rest) > _LONGEST_LINE:
            lines, running.rest = [*lines, running.rest], b""
        for line in lines:
            if text := line.decode("utf-8", "replace").rstrip():
                self._say(running.child.name, text)
        if not got and running.process is not None:
            self._forget_output(running.process)
        return bool(got)

    def _forget_output(self, process: subprocess.Popen[bytes]) -> None:
        out = _pipe(process.stdout)
        if out in self._selector.get_map():
            self._selector.unregister(out)

    def _let_go(self, running: _Running) -> None:
        process = running.process
        assert process is not None
        out = _pipe(process.stdout)
        while out in self._selector.get_map() and self._read(running, out.fileno()):
            pass
        self._forget_output(process)
        out.close()
        _pipe(process.stdin).close()
        running.process = None

    def _ended(self, running: _Running, now: float) -> None:
        process = running.process
        assert process is not None
        code, lived_s = process.returncode, now - running.started_at
        self._let_go(running)
        if lived_s >= HEALTHY_S:
            running.pause_s, running.failures = FIRST_PAUSE_S, 0
        running.failures = running.failures + 1 if lived_s < _QUICK_S and code == _LACKING else 0
        if code == _USER or running.failures >= HOPELESS:
            self.exit_code = code
            return
        self.restarts += 1
        running.restarts += 1
        running.due_at = now + running.pause_s
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        self._say(
            "supervisor",
            f"role.ended role={running.child.name} how={how!r} restart_in_s={running.pause_s:g}",
        )
        running.pause_s = min(LONGEST_PAUSE_S, running.pause_s * 2)


def supervise(supervisor: Supervisor) -> int:
    """Run until SIGTERM or SIGINT (a second one forces), or until a restart cannot help; returns the exit code."""
    with _signals() as (stop, hurry):
        while not stop.is_set() and supervisor.exit_code is None:
            supervisor.tend()
        supervisor.stop(hurry=hurry)
    return supervisor.exit_code or 0


def end_with_parent() -> None:
    """For a child: end as if by SIGTERM when standard input closes, that is, when the supervisor is gone."""

    def wait() -> None:
        while os.read(0, 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="parent", daemon=True).start()


def leeway(*arguments: str) -> tuple[str, ...]:
    """The command line of one of our own commands, run by this very interpreter."""
    return (sys.executable, "-m", "streams.cli", *arguments)


@contextmanager
def _signals() -> Iterator[tuple[threading.Event, threading.Event]]:
    """Events set by the first and by the second SIGTERM or SIGINT."""
    stop, hurry = threading.Event(), threading.Event()

    def heard(number: int, frame: FrameType | None) -> None:
        (hurry if stop.is_set() else stop).set()

    former = {number: signal.signal(number, heard) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop, hurry
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    if process.poll() is None:
        process.send_signal(number)


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None  # Popen was given PIPE
    return stream
