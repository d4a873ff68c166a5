"""Which sink serves a receiver? From what the service file says to something that sends."""

import ssl
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

import httpx2

from alerting.deliver.calls import Limits, Line
from alerting.deliver.destination import Destination, Unusable, host_of, is_loopback, missing
from alerting.deliver.letter import Unsendable, address_of
from alerting.deliver.mail import PORTS, Mail, Server
from alerting.deliver.pagerduty import EVENTS, PagerDuty
from alerting.deliver.sink import Sink
from alerting.deliver.slack import API, SlackBot, SlackWebhook
from alerting.deliver.webhook import Webhook, key_of

DEFAULT_LIMITS = Limits()


def sinks(
    receivers: Sequence[Destination],
    now_ms: Callable[[], int],
    *,
    limits: Limits = DEFAULT_LIMITS,
    trust: Callable[[], ssl.SSLContext] = httpx2.create_ssl_context,
) -> dict[str, Sink]:
    """A sink for each receiver, by name.

    Parameters
    ----------
    receivers : each complete (`missing` says what one lacks)
    now_ms : the clock: webhooks are signed with it, letters dated, and dates in `Retry-After` counted from it
    limits : of each call
    trust : makes the context that knows whose certificates count; by default the system's, or `SSL_CERT_FILE`

    Raises
    ------
    Unusable
        One of them cannot be delivered to; the text begins with its name and quotes nothing else. Or the certificates
        to trust cannot be read.

    Examples
    --------
    >>> made = sinks([Destination("pager", "pagerduty", routing_key="R0UTINGKEY")], lambda: 0)
    >>> made["pager"]
    PagerDuty(receiver='pager')
    >>> sinks([Destination("hook", "webhook", url="http://example.org", secret="c2VjcmV0")], lambda: 0)
    Traceback (most recent call last):
    alerting.deliver.destination.Unusable: hook: plain http: expected https, or http to this machine
    """
    try:
        http, mail = (
            trust(),
            trust(),
        )  # two: the HTTP client tells servers of its protocol on its own
    except OSError:
        raise Unusable("the certificates to trust cannot be read: see SSL_CERT_FILE") from None
    made: dict[str, Sink] = {}
    for receiver in receivers:
        if receiver.name in made:
            raise Unusable(f"{receiver.name}: there are two of this name")
        try:
            made[receiver.name] = _sink(receiver, now_ms, limits, http, mail)
        except (Unusable, Unsendable) as error:
            raise Unusable(f"{receiver.name}: {error}") from None
    return made


def _sink(
    receiver: Destination,
    now_ms: Callable[[], int],
    limits: Limits,
    http: ssl.SSLContext,
    mail: ssl.SSLContext,
) -> Sink:
    lacks = missing(receiver)
    if lacks is not None:
        raise Unusable(f"it lacks {lacks}")
    name = receiver.name
    match receiver.channel:
        case "slack" if receiver.token:
            line = Line(_with_path(receiver.url, API), http, limits)
            return SlackBot(name, _plain(receiver.token), line, now_ms)
        case "slack":
            url = receiver.webhook or ""
            return SlackWebhook(name, url, Line(url, http, limits), now_ms)
        case "pagerduty":
            line = Line(_with_path(receiver.url, EVENTS), http, limits)
            return PagerDuty(name, _plain(receiver.routing_key or ""), line, now_ms)
        case "webhook":
            line = Line(receiver.url or "", http, limits, outside_only=True)
            return Webhook(name, key_of(receiver.secret or ""), line, now_ms)
        case "email":
            return _mail(receiver, now_ms, limits, mail)


def _mail(
    receiver: Destination, now_ms: Callable[[], int], limits: Limits, trust: ssl.SSLContext
) -> Mail:
    host, sender = receiver.host or "", receiver.sender or ""
    if receiver.tls == "none" and not is_loopback(host):
        raise Unusable("no encryption: expected starttls or tls, or a host that is this machine")
    if receiver.username is not None:
        _plain(receiver.username)
        _plain(receiver.password or "")
    for each in (sender, *receiver.to):
        address_of(each)
    server = Server(
        host=host,
        port=receiver.port or PORTS[receiver.tls],
        tls=receiver.tls,
        username=receiver.username,
        password=receiver.password,
    )
    return Mail(receiver.name, server, sender, receiver.to, trust, limits, now_ms)


def _with_path(url: str | None, default: str) -> str:
    """An address of the same service elsewhere; one that names only a machine has the usual path.

    >>> _with_path("https://events.eu.pagerduty.com/", EVENTS), _with_path(None, API)
    ('https://events.eu.pagerduty.com/v2/enqueue', 'https://slack.com/api')
    """
    if url is None:
        return default
    host_of(url)
    named = urlsplit(url)
    return (
        url
        if named.path.strip("/")
        else urlsplit(default)._replace(scheme=named.scheme, netloc=named.netloc).geturl()
    )


def _plain(secret: str) -> str:
    """A secret as it can stand in a header; the check keeps it out of an encoder's error."""
    if not secret.isascii() or not secret.isprintable():
        raise Unusable("a secret with characters beyond ASCII")
    return secret
