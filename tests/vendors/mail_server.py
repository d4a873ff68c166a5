"""A mail server on loopback: aiosmtpd, the rules of `tests.vendors.mail`, and faults on demand."""

import asyncio
import logging
import ssl
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import MISSING, SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.vendors import Rejected, mail
from tests.vendors.fake import Fake
from tests.vendors.faults import Fault

logging.getLogger("mail.log").setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class Mailed:
    """A letter that was taken."""

    sender: str
    to: tuple[str, ...]
    message: EmailMessage
    raw: bytes
    encrypted: bool
    user: str | None
    at_s: float


class _Connection(SMTP):
    """One dialogue; its fault is drawn when it begins."""

    def __init__(self, fake: "FakeMail", **options: Any) -> None:
        super().__init__(fake, hostname="fake", enable_SMTPUTF8=False, **options)
        self.fake = fake
        self.fault: Fault | None = None

    async def _handle_client(self) -> None:
        self.fake.requests += 1
        self.fault = self.fake.fault_of_one_dialogue()
        reply = await self.fake.meet(self, "connect")
        if reply is not None:
            await self.push(reply)
            transport: Any = self.transport
            transport.close()
            return
        await super()._handle_client()


class FakeMail(Fake):
    """SMTP with STARTTLS, TLS from the start, or plain; with a login where one is given.

    Attributes
    ----------
    letters : what it took, in order
    refuses : addresses it refuses, each with its reply
    """

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        starttls: ssl.SSLContext | None = None,
        login: tuple[str, str] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(tls=tls, seed=seed)
        self.letters: list[Mailed] = []
        self.refuses: dict[str, str] = {}
        self._starttls = starttls
        self._login = login

    def fault_of_one_dialogue(self) -> Fault | None:
        return self._script.now()

    async def _listen(self) -> Callable[[], Coroutine[Any, Any, None]]:
        loop = asyncio.get_running_loop()
        connections: list[_Connection] = []

        def connect() -> _Connection:
            connection = _Connection(
                self,
                loop=loop,
                tls_context=self._starttls,
                require_starttls=self._starttls is not None,
                authenticator=self._authenticate,
                auth_require_tls=self._tls is None and self._starttls is not None,
            )
            connections.append(connection)
            return connection

        server = await loop.create_server(
            connect, "127.0.0.1", self.port, ssl=self._tls, reuse_address=True
        )
        self.port = server.sockets[0].getsockname()[1]

        async def close() -> None:
            server.close()
            for connection in connections:
                transport: Any = connection.transport
                if transport is not None:
                    transport.abort()
            await server.wait_closed()

        return close

    async def meet(self, connection: SMTP, step: str) -> str | None:
        """What a fault says at this step, or None; it may never say anything."""
        fault = getattr(connection, "fault", None)
        if fault is None or fault.at != step:
            return None
        if fault.how == "answer":
            return str(fault.body.decode())
        if fault.how in ("hang", "hang in body"):
            await self._until_over()
        transport: Any = connection.transport
        if transport is not None:
            transport.close()
        return "421 closing"

    async def handle_EHLO(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, replies: list[str]
    ) -> list[str]:
        session.host_name = hostname
        said = await self.meet(server, "EHLO")
        return replies if said is None else [said]

    async def handle_AUTH(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, words: list[str]
    ) -> Any:
        said = await self.meet(server, "AUTH")
        return MISSING if said is None else said

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        said = await self.meet(server, "MAIL")
        if said is not None:
            return said
        if self._login is not None and not session.authenticated:
            return "530 5.7.0 Authentication required"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        said = await self.meet(server, "RCPT") or self.refuses.get(address)
        if said is not None:
            return said
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        fault = getattr(server, "fault", None)
        if fault is None or fault.at != "DATA" or fault.takes:
            said = self._take(session, envelope)
            return await self.meet(server, "DATA") or said
        return await self.meet(server, "DATA") or "451 nothing"

    def _take(self, session: Session, envelope: Envelope) -> str:
        raw = envelope.content
        assert isinstance(raw, bytes)
        try:
            message = mail.message(raw, len(envelope.rcpt_tos))
        except Rejected as rejected:
            self.rejected.append(rejected)
            return rejected.reason if rejected.reason[:1] == "5" else f"550 {rejected.reason}"
        who: Any = session.auth_data
        user = None if who is None else who.decode()
        encrypted = session.ssl is not None or self._tls is not None
        self.letters.append(
            Mailed(
                sender=envelope.mail_from or "",
                to=tuple(envelope.rcpt_tos),
                message=message,
                raw=raw,
                encrypted=encrypted,
                user=user,
                at_s=time.time(),
            )
        )
        return "250 OK"

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, given: Any
    ) -> AuthResult:
        if self._login is None or not isinstance(given, LoginPassword):
            return AuthResult(success=False, handled=False, message="535 5.7.8 no")
        user, password = self._login
        if (given.login, given.password) != (user.encode(), password.encode()):
            return AuthResult(success=False, handled=False, message="535 5.7.8 no")
        return AuthResult(success=True, auth_data=given.login)
