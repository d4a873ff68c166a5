"""Workers that are killed and frozen at random, and started again, as a supervisor would."""

import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType

from tests.integration.worker import Spec


class Fleet:
    """Some workers of one kind; what happens to them is decided by a seed.

    Examples
    --------
    with Fleet(spec, workers=3, seed=1) as fleet:
        fleet.torment(8, 8.0, (0.5, 1.5))
        until(everything_is_there)
        fleet.revive()
    """

    def __init__(self, spec: Spec, workers: int, seed: int) -> None:
        self._specs = [replace(spec, instance=str(number)) for number in range(workers)]
        self._random = random.Random(seed)
        self.processes = [subprocess.Popen(each.command()) for each in self._specs]
        self.done: Counter[str] = Counter()

    def __enter__(self) -> "Fleet":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in self.processes:
            process.kill()
            process.wait()

    def torment(
        self,
        kills: int,
        freeze_s: float,
        pause_s: tuple[float, float],
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        """Kill at random moments, so many times; freeze one worker, long enough to be taken for dead."""
        never = threading.Event()
        frozen: subprocess.Popen[bytes] | None = None
        thaw = 0.0
        while self.done["kills"] < kills or frozen is not None:
            never.wait(self._random.uniform(*pause_s))
            meanwhile()
            if frozen is not None and time.monotonic() >= thaw:
                frozen.send_signal(signal.SIGCONT)
                frozen = None
            victim = self._random.randrange(len(self.processes))
            if self.processes[victim] is frozen:
                continue
            if self.done["kills"] >= kills // 3 and not self.done["freezes"]:
                frozen, thaw = self.processes[victim], time.monotonic() + freeze_s
                frozen.send_signal(signal.SIGSTOP)
                self.done["freezes"] += 1
            elif self.done["kills"] < kills:
                self.processes[victim].kill()
                self.processes[victim].wait()
                self._start(victim)
                self.done["kills"] += 1
            self.revive()

    def revive(self) -> None:
        """Start those again that have given up by themselves."""
        for number, process in enumerate(self.processes):
            if process.poll() is not None:
                self.done[f"ended with {process.returncode}"] += 1
                self._start(number)

    def stop(self) -> list[int]:
        """Ask all of them to finish, and return how they ended."""
        for process in self.processes:
            process.terminate()
        return [process.wait(30) for process in self.processes]

    def _start(self, number: int) -> None:
        self.processes[number] = subprocess.Popen(self._specs[number].command())
