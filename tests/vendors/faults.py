"""What can go wrong at the other end? Faults that a fake is told to have, next or at random."""

import random
import threading
from collections import deque
from dataclasses import dataclass, replace
from typing import Literal

How = Literal[
    "answer", "hang", "close", "reset", "cut", "hang in body", "flood", "trickle", "garbage", "echo"
]


@dataclass(frozen=True, slots=True)
class Fault:
    """What a fake does instead of answering as its vendor would.

    Parameters
    ----------
    status, headers, body : of an answer over HTTP; `body` of SMTP is the reply
    how : a whole answer; none, with the connection open (`hang`), closed or reset; half of one, and then either;
        a body without end, fast (`flood`) or slow (`trickle`); bytes that are no HTTP; or all that was sent, sent back
    at : SMTP: the command that meets it, `connect` for the greeting
    takes : whether the message arrives all the same, and only the answer is lost
    """

    name: str
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    how: How = "answer"
    at: str = "DATA"
    takes: bool = False

    def taking(self) -> "Fault":
        """The same after the message was accepted: the sender cannot know."""
        return replace(self, takes=True, name=f"{self.name}, taken")


HANG = Fault("hang", how="hang")
CLOSE = Fault("close", how="close")
RESET = Fault("reset", how="reset")
CUT = Fault("cut", how="cut", body=b'{"ok": true, "status": "success"}')
HANG_IN_BODY = Fault("hang in body", how="hang in body", body=CUT.body)
FLOOD = Fault("flood", how="flood")
TRICKLE = Fault("trickle", how="trickle")
GARBAGE = Fault("garbage", how="garbage", body=b"SSH-2.0-OpenSSH_9.6\r\n")
WRONG_JSON = Fault("wrong JSON", body=b'{"ok": tru')


def status(code: int, body: str = "") -> Fault:
    """An answer over HTTP with this status."""
    return Fault(str(code), status=code, body=body.encode())


def rate_limited(after: str | None = "1") -> Fault:
    """429, with `Retry-After` unless None."""
    headers = () if after is None else (("Retry-After", after),)
    return Fault("429", status=429, headers=headers)


def redirect(to: str) -> Fault:
    """307, which asks for the same request elsewhere."""
    return Fault("redirect", status=307, headers=(("Location", to),))


def echo(code: int) -> Fault:
    """An answer that says everything it was told, as some proxies do."""
    return Fault(f"echo {code}", status=code, how="echo")


def smtp(reply: str, at: str = "DATA") -> Fault:
    """An SMTP reply such as ``451 4.3.0 later`` to one command."""
    return Fault(f"{reply[:3]} to {at}", body=reply.encode(), at=at)


class Script:
    """Which fault comes now: those told by `next` in their order, then each of `always` with its probability.

    >>> script = Script(seed=7)
    >>> script.always(0.25, HANG, CLOSE)
    >>> script.next(None, CUT)
    >>> [fault and fault.name for fault in (script.now() for _ in range(6))]
    [None, 'cut', 'close', 'hang', None, 'hang']
    """

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._next: deque[Fault | None] = deque()
        self._always: list[tuple[float, Fault]] = []
        self._lock = threading.Lock()

    def next(self, *faults: Fault | None) -> None:
        """Answer like this, one after the other; None: as the vendor would."""
        with self._lock:
            self._next.extend(faults)

    def always(self, share: float, *faults: Fault) -> None:
        """From now on have each fault with this probability, in place of what was said before; seeded."""
        with self._lock:
            self._always = [(share, fault) for fault in faults]

    def now(self) -> Fault | None:
        """The fault of one request."""
        with self._lock:
            if self._next:
                return self._next.popleft()
            draw = self._chance.random()
            for share, fault in self._always:
                if draw < share:
                    return fault
                draw -= share
            return None
