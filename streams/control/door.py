"""Who may ask? Where control listens, and what a request must show before it is answered.

On a loopback address no token is needed, but a web page elsewhere must not reach it through a person's browser: `Host`
must be a loopback name (no DNS rebinding) and a foreign `Origin` is refused. Any other address needs tokens.
"""

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from streams.control.slack_actions import PATH as SLACK
from streams.errors import UsageError
from streams.views.problems import Problem

_LINE = re.compile(r"([^\s:]{1,64}):(read|write):([0-9a-f]{64})")
OPEN = frozenset(("/healthz", "/readyz"))  # a probe has no token, and these tell nothing
SIGNED = frozenset((SLACK,))  # who asks shows a signature instead, whatever name it reached us by


@dataclass(frozen=True, slots=True)
class Token:
    """Who it stands for, what it allows, and the SHA-256 of its secret: the secret itself is nowhere."""

    name: str
    role: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class Door:
    """An address and who may enter. Without tokens only this machine may."""

    host: str
    port: int
    tokens: tuple[Token, ...] = ()

    @classmethod
    def at(cls, host: str, port: int, tokens_file: Path | None) -> "Door":
        """
        Raises
        ------
        UsageError
            The address is not a loopback one and there are no tokens, or the file is wrong.

        Examples
        --------
        >>> Door.at("127.0.0.1", 8080, None).local
        True
        >>> Door.at("0.0.0.0", 8080, None)
        Traceback (most recent call last):
        ...
        streams.errors.UsageError: http.host: 0.0.0.0 can be reached from other machines: set http.tokens_file ...
        """
        if tokens_file is not None:
            return cls(host, port, _tokens(tokens_file))
        door = cls(host, port)
        if not door.local:
            raise UsageError(
                f"http.host: {host} can be reached from other machines: set http.tokens_file to a file with lines"
                " name:role:sha256hex (role read or write), or use 127.0.0.1"
            )
        return door

    @property
    def local(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)

    def admit(self, path: str, headers: Mapping[str, str], *, writes: bool = False) -> str | None:
        """The name of the token that was shown; None where none is needed. Raises `Problem`."""
        if path in SIGNED:
            return None
        host, origin = headers.get("Host", ""), headers.get("Origin")
        if self.local and not is_loopback(_host(host)):
            raise Problem("forbidden", "Host: expected a name of this machine, such as localhost")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            raise Problem("forbidden", "Origin: requests from other sites are not answered")
        if not self.tokens or path in OPEN:
            return None
        scheme, _, secret = headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            raise Problem("unauthenticated", "Authorization: expected Bearer and a token")
        digest = hashlib.sha256(secret.strip().encode("utf-8", "surrogateescape")).digest()
        # all of them, each in constant time: how long it takes tells nothing about any
        shown = [token for token in self.tokens if hmac.compare_digest(token.digest, digest)]
        if not shown:
            raise Problem("unauthenticated", "Authorization: the token is not known")
        allowed = [token for token in shown if not writes or token.role == "write"]
        if not allowed:
            raise Problem("forbidden", f"the token {shown[0].name} may read, not write")
        return allowed[0].name


def is_loopback(host: str) -> bool:
    """
    >>> [is_loopback(host) for host in ("localhost", "127.0.0.1", "::1", "0.0.0.0", "leeway.example")]
    [True, True, True, False, False]
    """
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _host(header: str) -> str:
    """The name in a `Host` header, without its port."""
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


def _tokens(path: Path) -> tuple[Token, ...]:
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise UsageError(f"http.tokens_file: {path} cannot be read: {reason}") from None
    found: list[Token] = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        parts = _LINE.fullmatch(line.strip())
        if parts is None:
            raise UsageError(
                f"{path}:{number}: not a token: expected name:role:sha256hex, role read or write"
            )
        found.append(Token(parts[1], parts[2], bytes.fromhex(parts[3])))
    if not found:
        raise UsageError(f"{path}: holds no token: expected lines name:role:sha256hex")
    return tuple(found)
