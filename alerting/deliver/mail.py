"""How does a mail server get a letter? One SMTP dialogue in a thread, encrypted unless the server is this machine.

`smtplib` speaks it: thirty years of servers are in there. It blocks, so it runs beside the event loop; when time is up
its socket is shut down, and the thread ends with it.
"""

import asyncio
import smtplib
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from alerting.deliver.calls import Limits
from alerting.deliver.classify import by_reply
from alerting.deliver.connected import Refused, check
from alerting.deliver.destination import Encryption
from alerting.deliver.letter import Letter, Unsendable, compose
from alerting.deliver.sink import Failed, Parcel, Sent

PORTS: dict[Encryption, int] = {"starttls": 587, "tls": 465, "none": 25}


@dataclass(frozen=True, slots=True)
class Server:
    """Where letters are handed in, and as whom."""

    host: str = field(repr=False)
    port: int
    tls: Encryption
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Mail:
    """E-mail through one server. A letter sent twice has the same Message-ID."""

    receiver: str
    server: Server = field(repr=False)
    sender: str = field(repr=False)
    to: tuple[str, ...] = field(repr=False)
    trust: ssl.SSLContext = field(repr=False)
    limits: Limits
    now_ms: Callable[[], int] = field(repr=False)

    async def send(self, parcel: Parcel) -> Sent | Failed:
        payload = parcel.notification.payload
        try:
            letter = compose(payload, self.sender, self.to, self.now_ms() / 1000)
        except Unsendable as error:
            return Failed("client", retry=False, said=str(error))
        dialogue = _Dialogue(self.server, self.trust, self.limits)
        try:
            async with asyncio.timeout(self.limits.total_s):
                return await asyncio.to_thread(dialogue.hold, letter)
        except TimeoutError:
            return Failed("timeout", retry=True, said="no answer in time")
        finally:
            dialogue.cut()

    async def close(self) -> None:
        """Nothing is kept open."""


class _Ended(Exception):
    """The dialogue ends here without success."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.said)
        self.failed = failed


class _Client(smtplib.SMTP):
    """smtplib's dialogue over a socket that we open: it is what SMTP_SSL replaces, too."""

    def __init__(self, host: str, opened: Callable[[], socket.socket]) -> None:
        super().__init__()
        self._host = host  # STARTTLS holds the certificate against it; else noted only by a constructor that connects
        self._opened = opened

    def _get_socket(self, *_: object) -> socket.socket:
        return self._opened()


class _Dialogue:
    """One connection; `hold` runs in a thread, `cut` ends it from another."""

    def __init__(self, server: Server, trust: ssl.SSLContext, limits: Limits) -> None:
        self._server = server
        self._trust = trust
        self._limits = limits
        self._over = False
        self._end: socket.socket | None = None  # of the connection, whatever is wrapped around it

    def hold(self, letter: Letter) -> Sent | Failed:
        """The whole dialogue, and what came of it."""
        smtp = _Client(self._server.host, self._open)
        try:
            self._connect(smtp)
            sent = _hand_in(smtp, letter)
            with suppress(smtplib.SMTPException, OSError):
                smtp.quit()
            return sent
        except _Ended as ended:
            return ended.failed
        except (smtplib.SMTPException, OSError, Refused) as error:
            return _failed(error)
        finally:
            smtp.close()
            if self._end is not None:
                self._end.close()

    def cut(self) -> None:
        """End the dialogue wherever it is; a thread that waits for an answer wakes up."""
        self._over = True
        if self._end is not None:
            with suppress(OSError):
                self._end.shutdown(socket.SHUT_RDWR)

    def _open(self) -> socket.socket:
        server, limits = self._server, self._limits
        sock = socket.create_connection((server.host, server.port), limits.connect_s)
        try:
            self._end = sock.dup()
            if self._over:
                raise TimeoutError
            if server.tls == "none":
                check(sock.getpeername()[0], "this machine")
            if server.tls == "tls":
                sock = self._trust.wrap_socket(sock, server_hostname=server.host)
            sock.settimeout(limits.total_s)
        except (OSError, Refused):
            sock.close()
            raise
        return sock

    def _connect(self, smtp: smtplib.SMTP) -> None:
        server = self._server
        _expect(smtp.connect(server.host, server.port), "the connection")
        _expect(smtp.ehlo(), "EHLO")
        if server.tls == "starttls":
            if not smtp.has_extn("starttls"):
                raise _Ended(Failed("server", retry=True, said="offers no STARTTLS"))
            _expect(smtp.starttls(context=self._trust), "STARTTLS")
            _expect(smtp.ehlo(), "EHLO")
        if server.username is not None:
            smtp.login(server.username, server.password or "")


def _hand_in(smtp: smtplib.SMTP, letter: Letter) -> Sent:
    """Everybody whom the server takes gets it; only if it takes nobody has it failed."""
    size = [f"size={len(letter.content)}"] if smtp.has_extn("size") else []
    _expect(smtp.mail(letter.sender, size), "MAIL")
    refused = [code for to in letter.to if (code := smtp.rcpt(to)[0]) // 100 != 2]
    if len(refused) == len(letter.to):
        raise _Ended(by_reply(min(refused), "RCPT"))  # one that may pass later speaks for all
    _expect(smtp.data(letter.content), "DATA")
    if refused:
        codes = ", ".join(map(str, sorted(set(refused))))
        return Sent(said=f"{len(refused)} of {len(letter.to)} addresses refused: {codes}")
    return Sent()


def _expect(reply: tuple[int, bytes], step: str) -> None:
    if reply[0] // 100 != 2:
        raise _Ended(by_reply(reply[0], step))


def _failed(error: smtplib.SMTPException | OSError | Refused) -> Failed:
    """What a person may read: never the text of `error`, which quotes the server."""
    if isinstance(error, Refused):
        return Failed("client", retry=False, said=str(error))
    if isinstance(error, smtplib.SMTPResponseException):
        # Raised by smtplib itself, where it expects one answer.
        step = "AUTH" if isinstance(error, smtplib.SMTPAuthenticationError) else "DATA"
        return by_reply(error.smtp_code, step)
    if isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):
        return Failed("timeout", retry=True, said="no answer in time")
    if isinstance(error, smtplib.SMTPServerDisconnected):
        return Failed("network", retry=True, said="the connection was lost")
    if isinstance(error, smtplib.SMTPException):  # no AUTH, or none that both know
        return Failed("auth", retry=True, said="the server offers no login we know")
    if isinstance(error, ssl.SSLCertVerificationError):
        return Failed("network", retry=True, said="its certificate is not trusted")
    return Failed("network", retry=True, said="no connection, or it was lost")
