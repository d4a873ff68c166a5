"""Where does a receiver live, and with which secrets? Filled from the service file, shown in no text."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

DestinationChannel = Literal["slack", "pagerduty", "email", "webhook"]
Encryption = Literal["starttls", "tls", "none"]


class Unusable(ValueError):
    """A destination cannot be delivered to as it is configured; the text quotes no value of it."""


@dataclass(frozen=True, slots=True, repr=False)
class Destination:
    """One receiver with all that is needed to reach it. Its `repr` has the name and the channel, nothing else.

    Parameters
    ----------
    name, channel : as in the service file
    url : Slack's API, PagerDuty's endpoint (both have a default), a webhook's address
    token, webhook : Slack: a bot token, or the address of an incoming webhook
    routing_key : PagerDuty
    host, port, tls, username, password, sender, to : e-mail; without a port 587, 465 under `tls`, 25 without encryption
    secret : a webhook's signing secret, `whsec_` and base64

    Examples
    --------
    >>> Destination("pager", "pagerduty", routing_key="R0UTINGKEY")
    Destination('pager', 'pagerduty')
    """

    name: str
    channel: DestinationChannel
    url: str | None = None
    token: str | None = None
    webhook: str | None = None
    routing_key: str | None = None
    host: str | None = None
    port: int | None = None
    tls: Encryption = "starttls"
    username: str | None = None
    password: str | None = None
    sender: str | None = None
    to: tuple[str, ...] = ()
    secret: str | None = None

    def __repr__(self) -> str:
        return f"Destination({self.name!r}, {self.channel!r})"


def missing(destination: Destination) -> str | None:
    """What it lacks to be delivered to, or None.

    Its notifications still stand on their topic, where anybody may deliver them.

    >>> missing(Destination("slack", "slack"))
    'a token or a webhook'
    """
    match destination.channel:
        case "slack":
            return None if destination.token or destination.webhook else "a token or a webhook"
        case "pagerduty":
            return None if destination.routing_key else "a routing key"
        case "email":
            return None if destination.host and destination.sender else "a host and a sender"
        case "webhook":
            return None if destination.url and destination.secret else "an address and a secret"


def is_loopback(host: str) -> bool:
    """Whether a name or a literal address means this machine.

    >>> [is_loopback(host) for host in ("localhost", "127.0.0.2", "::1", "::ffff:127.0.0.1", "example.org", "10.0.0.1")]
    [True, True, True, True, False, False]
    """
    if host.casefold() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def host_of(url: str) -> str:
    """The host of a usable address: https, or plain http to this machine.

    Raises
    ------
    Unusable
        It is no address, plain http leaves this machine, or a password stands in it.

    Examples
    --------
    >>> host_of("https://hooks.example.org/a?b=c"), host_of("http://[::1]:8080/a")
    ('hooks.example.org', '::1')
    >>> host_of("http://hooks.example.org/a")
    Traceback (most recent call last):
    alerting.deliver.destination.Unusable: plain http: expected https, or http to this machine
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise Unusable("not an address: expected https://…") from None
    if parts.scheme not in ("http", "https") or port == 0 or _ODD.search(url) or not _name(host):
        raise Unusable("not an address: expected https://…")
    if "@" in parts.netloc:
        raise Unusable("a name or password in an address: expected neither")
    if parts.scheme == "http" and not is_loopback(host):
        raise Unusable("plain http: expected https, or http to this machine")
    return host


def _name(host: str) -> bool:
    """Whether a resolver can be asked for it."""
    try:
        return bool(host) and (":" in host or bool(host.encode("idna")))
    except UnicodeError:  # an empty label, or one of more than 63 characters
        return False


_ODD = re.compile(r"[\x00-\x20\x7f\\]")
