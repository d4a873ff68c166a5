"""How does a request leave? Once, over a connection of its own, within its time, to the peer it may go to.

The transport is used without the client around it: no redirects, no proxies or passwords from the environment, no
cookies, no decompression, and no log line with the address, which may be a secret.
"""

import asyncio
import json
import logging
import ssl
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2

from alerting.deliver.connected import Reach, Refused, guard, is_inside
from alerting.deliver.destination import Unusable, host_of, is_loopback
from alerting.deliver.sink import Failed

MOST_READ = 64 * 1024
# Its debug lines name hosts and answers.
logging.getLogger("httpcore2").setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a call may take, altogether and to connect."""

    total_s: float = 10.0
    connect_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Parameters
    ----------
    body : at most 64 KiB of it
    lost : why the body is not whole; None: it is, or is longer than that
    """

    status: int
    body: bytes = field(default=b"", repr=False)
    retry_after: str | None = None
    lost: Failed | None = None

    def document(self) -> dict[str, Any]:
        """The body as a JSON object; {} if it is none."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}


def encoded(payload: Mapping[str, Any]) -> bytes:
    """The bytes of a payload, the same each time.

    >>> encoded({"b": "é", "a": 1}).decode()
    '{"b":"é","a":1}'
    """
    text = json.dumps(payload, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


class Line:
    """A way to one address. Nothing is kept open between calls: a stale connection would lose a message.

    Parameters
    ----------
    url : https, or plain http to this machine; then the peer must be this machine, too
    trust : whose certificates count
    outside_only : refuse peers inside the network, unless the address itself says this machine

    Raises
    ------
    Unusable
        The address is neither.
    """

    def __init__(
        self, url: str, trust: ssl.SSLContext, limits: Limits, *, outside_only: bool = False
    ) -> None:
        host = host_of(url)
        reach: Reach = "outside" if outside_only else "anywhere"
        if is_loopback(host):
            reach = "this machine"
        elif outside_only and is_inside(host):
            raise Unusable("an address inside the network: expected one outside")
        try:
            httpx2.URL(url)
        except httpx2.InvalidURL:
            raise Unusable("not an address: expected https://…") from None
        self._url = url
        self._limits = limits
        self._guard = guard(reach)
        self._transport = httpx2.AsyncHTTPTransport(
            verify=trust,
            trust_env=False,
            limits=httpx2.Limits(max_keepalive_connections=0),
        )

    async def post(
        self,
        body: bytes,
        headers: Mapping[str, str],
        path: str = "",
        *,
        read: Container[int] = range(1000),
    ) -> Answer | Failed:
        """Send `body` once.

        `read` are the statuses whose bodies say more; the others are not waited for.
        """
        answer: Answer | None = None
        try:
            async with asyncio.timeout(self._limits.total_s):
                response = await self._transport.handle_async_request(
                    self._request(path, body, headers)
                )
                answer = Answer(response.status_code, b"", response.headers.get("retry-after"))
                try:
                    if response.status_code in read:
                        found = await _read(response)
                        answer = Answer(answer.status, found, answer.retry_after)
                finally:
                    await response.aclose()
        except (TimeoutError, httpx2.TransportError, OSError, Refused) as error:
            failed = _failed(error)
            if answer is None:
                return failed
            return Answer(answer.status, b"", answer.retry_after, lost=failed)
        return answer

    def _request(self, path: str, body: bytes, headers: Mapping[str, str]) -> httpx2.Request:
        limits = self._limits
        timeouts = {
            "connect": limits.connect_s,
            "read": limits.total_s,
            "write": limits.total_s,
            "pool": limits.total_s,
        }
        return httpx2.Request(
            "POST",
            self._url.rstrip("/") + path if path else self._url,
            content=body,
            headers={"user-agent": "leeway", "accept-encoding": "identity", **headers},
            extensions={"timeout": timeouts, "trace": self._guard},
        )

    async def close(self) -> None:
        await self._transport.aclose()


async def _read(response: httpx2.Response) -> bytes:
    parts, room = [], MOST_READ
    async for part in response.aiter_raw():
        parts.append(part[:room])
        room -= len(parts[-1])
        if room == 0:
            break
    return b"".join(parts)


def _failed(error: Exception) -> Failed:
    """What a person may read: never the text of `error`, which has addresses in it."""
    if isinstance(error, Refused):
        return Failed("client", retry=False, said=str(error))
    if isinstance(error, httpx2.ConnectTimeout):
        return Failed("timeout", retry=True, said="no connection in time")
    if isinstance(error, TimeoutError | httpx2.TimeoutException):
        return Failed("timeout", retry=True, said="no answer in time")
    if _untrusted(error):
        return Failed("network", retry=True, said="its certificate is not trusted")
    if isinstance(error, httpx2.ConnectError):
        return Failed("network", retry=True, said="no connection")
    if isinstance(error, httpx2.RemoteProtocolError):
        return Failed("network", retry=True, said="the answer ended early or is not HTTP")
    return Failed("network", retry=True, said="the connection was lost")


def _untrusted(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False
