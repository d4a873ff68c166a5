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


class _Dialogue:
    """One connection; `hold` runs in a thread, `cut` ends it from another."""

    def __init__(self, server: Server, trust: ssl.SSLContext, limits: Limits) -> None:
        self._server = server
        self._trust = trust
        self._limits = limits
        self._over = False
        if server.tls == "tls":
            self._smtp: smtplib.SMTP = smtplib.SMTP_SSL(timeout=limits.connect_s, context=trust)
        else:
            self._smtp = smtplib.SMTP(timeout=limits.connect_s)
        # The name for the certificate: smtplib notes it only when it connects in its constructor.
        self._smtp._host = server.host  # type: ignore[attr-defined]

    def hold(self, letter: Letter) -> Sent | Failed:
        """The whole dialogue, and what came of it."""
        try:
            self._connect()
            sent = self._hand_in(letter)
            with suppress(smtplib.SMTPException, OSError):
                self._smtp.quit()
            return sent
        except _Ended as ended:
            return ended.failed
        except smtplib.SMTPResponseException as error:  # raised by smtplib for some steps
            return by_reply(error.smtp_code, _step(error))
        except smtplib.SMTPNotSupportedError:
            return Failed("auth", retry=True, said="the server does not offer this login")
        except smtplib.SMTPServerDisconnected:
            return Failed("network", retry=True, said="the connection was lost")
        except smtplib.SMTPException:
            return Failed("auth", retry=True, said="the server offers no login we know")
        except ssl.SSLCertVerificationError:
            return Failed("network", retry=True, said="its certificate is not trusted")
        except TimeoutError:
            return Failed("timeout", retry=True, said="no answer in time")
        except OSError:
            return Failed("network", retry=True, said="no connection, or it was lost")
        except Refused as refused:
            return Failed("client", retry=False, said=str(refused))
        finally:
            self._smtp.close()

    def cut(self) -> None:
        """End the dialogue wherever it is; a thread that waits for an answer wakes up."""
        self._over = True
        if (sock := self._smtp.sock) is not None:
            with suppress(OSError):
                # Not `sock.shutdown`: under TLS that takes the encryption away from the thread that is reading.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def _connect(self) -> None:
        smtp, server = self._smtp, self._server
        self._expect(smtp.connect(server.host, server.port), "the connection", 220)
        if smtp.sock is None or self._over:
            raise TimeoutError
        smtp.sock.settimeout(self._limits.total_s)
        if server.tls == "none":
            check(smtp.sock.getpeername()[0], "this machine")
        self._expect(smtp.ehlo(), "EHLO", 250)
        if server.tls == "starttls":
            if not smtp.has_extn("starttls"):
                raise _Ended(Failed("server", retry=True, said="offers no STARTTLS"))
            self._expect(smtp.starttls(context=self._trust), "STARTTLS", 220)
            self._expect(smtp.ehlo(), "EHLO", 250)
        if server.username is not None:
            smtp.login(server.username, server.password or "")

    def _hand_in(self, letter: Letter) -> Sent:
        """Everybody whom the server takes gets it; only if it takes nobody has it failed."""
        smtp = self._smtp
        size = [f"size={len(letter.content)}"] if smtp.has_extn("size") else []
        self._expect(smtp.mail(letter.sender, size), "MAIL", 250)
        refused = [code for to in letter.to if (code := smtp.rcpt(to)[0]) not in (250, 251)]
        if len(refused) == len(letter.to):
            raise _Ended(by_reply(min(refused), "RCPT"))  # one that may pass later speaks for all
        self._expect(smtp.data(letter.content), "DATA", 250)
        if refused:
            codes = ", ".join(map(str, sorted(set(refused))))
            return Sent(said=f"{len(refused)} of {len(letter.to)} addresses refused: {codes}")
        return Sent()

    def _expect(self, reply: tuple[int, bytes], step: str, code: int) -> None:
        if reply[0] == -1:
            raise smtplib.SMTPServerDisconnected
        if reply[0] != code:
            raise _Ended(by_reply(reply[0], step))


def _step(error: smtplib.SMTPResponseException) -> str:
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return "AUTH"
    return "DATA" if isinstance(error, smtplib.SMTPDataError) else "a command"
