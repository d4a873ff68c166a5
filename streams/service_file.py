"""What may stand in `leeway.yaml`? The service file's sections (contracts §3)."""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, ClassVar, Literal, NamedTuple

from pydantic import BeforeValidator, ConfigDict, Field, PlainSerializer, PlainValidator

from alerting.render.letter import MOST_RECIPIENTS
from streams.errors import UsageError
from streams.lifecycle import grammar
from streams.lifecycle.conditions import KINDS
from streams.lifecycle.mistakes import Steps, Wrong, did_you_mean, quoted, shown
from streams.lifecycle.monitoring import SEVERITIES
from streams.lifecycle.written import (
    Boolean,
    Length,
    Port,
    Positive,
    Rate,
    Section,
    Share,
    Text,
    Texts,
    listed,
    matching,
    word,
)


class Secret:
    """Where a secret is kept. Its value appears in no text: not in `repr`, not in an error."""

    def __init__(self, kind: Literal["env", "file"], where: str) -> None:
        self.kind = kind
        self.where = where

    def __repr__(self) -> str:
        return f"Secret({self.kind}: {self.where})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and (self.kind, self.where) == (other.kind, other.where)

    def __hash__(self) -> int:
        return hash((self.kind, self.where))

    def reveal(self, environment: Mapping[str, str]) -> str:
        """The secret itself, without the blanks around it.

        Raises
        ------
        UsageError
            There is no such variable or file, or it is empty.
        """
        if self.kind == "env":
            value = environment.get(self.where, "").strip()
            if not value:
                raise UsageError(f"a secret is missing: set the environment variable {self.where}")
            return value
        try:
            value = Path(self.where).read_text(encoding="utf-8").strip()
        except (OSError, ValueError):
            raise UsageError(f"a secret is missing: {self.where} cannot be read") from None
        if not value:
            raise UsageError(f"a secret is missing: {self.where} is empty")
        return value


_SECRET = "{env: NAME} or {file: PATH}"


def secret(value: object) -> Secret:
    """``{env: NAME}`` or ``{file: PATH}``; plain text is refused, and not quoted."""
    if isinstance(value, Secret):
        return value
    if isinstance(value, dict):
        if len(value) == 1:
            ((kind, where),) = value.items()
            if kind in ("env", "file") and isinstance(where, str) and where.strip():
                return Secret(kind, where)
        raise Wrong("", "is not a secret", _SECRET)
    if value is None:
        raise Wrong("", "is empty", _SECRET)
    raise Wrong("", "a secret in plain text", _SECRET)


def _url(value: object) -> str:
    """An address; plain http only to this machine. It may hold a token, so it is never quoted."""
    text = value if isinstance(value, str) else ""
    loopback = re.fullmatch(r"http://(127\.\d+\.\d+\.\d+|localhost|\[::1\])(:\d+)?(/\S*)?", text)
    if loopback or re.fullmatch(r"https://[^\s/]+(/\S*)?", text):
        return text
    if text.startswith("http://"):
        raise Wrong("", "is plain http", "https, or http to this machine")
    raise Wrong("", "is not an address", "https://…")


def _address(value: object) -> str | Secret:
    return secret(value) if isinstance(value, dict | Secret) else _url(value)


_PROPERTY = re.compile(r"[a-z][a-z0-9]*(\.[a-z0-9]+)*")
_OURS = {
    "bootstrap.servers": "brokers",
    "group.id": "",
    "transactional.id": "",
    "isolation.level": "",
    "enable.auto.commit": "",
    "enable.auto.offset.store": "",
}
_SECRET_WORDS = ("password", "secret", "key.pem", "keystore.pem", "jaas")


def is_secret_property(name: str) -> bool:
    """Whether a librdkafka property holds a secret."""
    return any(each in name for each in _SECRET_WORDS)


def property_value(name: str, value: object) -> str | Secret:
    """The value of one librdkafka property, as librdkafka wants it: text.

    Raises
    ------
    Wrong
        It is no property's name, Leeway sets it itself, or it is a secret in plain text.
    """
    if not _PROPERTY.fullmatch(name):
        raise Wrong("", "is not a librdkafka property", "a name such as security.protocol")
    if name in _OURS:
        instead = f"{_OURS[name]} instead" if _OURS[name] else "it to be left out"
        raise Wrong("", "is set by Leeway", instead)
    if isinstance(value, dict | Secret):
        return secret(value)
    if is_secret_property(name):
        return secret(value)
    if isinstance(value, list) or value is None:
        raise Wrong(shown(value), "is not one value", "text, a number, true or false")
    return value if isinstance(value, str) else shown(value)


def _kafka(value: object) -> dict[str, str | Secret]:
    from streams.lifecycle.written import each

    if not isinstance(value, dict):
        raise Wrong("", "is not a mapping", "librdkafka properties by their own names")
    pairs = ((name, (name, written)) for name, written in value.items())
    return dict(zip(value, each(pairs, lambda pair: property_value(*pair)), strict=True))


def _brokers(value: object) -> str:
    addresses = [
        grammar.text(each).strip()
        for part in (value if isinstance(value, list | tuple) else [value])
        for each in (part.split(",") if isinstance(part, str) else [part])
    ]
    for address in addresses:
        if not re.fullmatch(
            r"(?:[A-Z_]+://)?[^\s:/@]+(?::\d{1,5})?|\[[0-9a-fA-F:]+\](:\d{1,5})?", address
        ):
            raise Wrong(quoted(address), "is not an address", "HOST:PORT, several joined by commas")
    return ",".join(addresses)


class Topics(Section):
    """Leeway's own topics. `replication` None: 3, or 1 where there is a single broker."""

    prefix: Annotated[
        str,
        PlainValidator(
            matching(r"[A-Za-z0-9._-]{1,100}", "a prefix", "at most 100 letters, digits and . _ -")
        ),
    ] = "leeway."
    partitions: Annotated[int, PlainValidator(grammar.whole(1, 10_000))] = 12
    replication: Annotated[int, PlainValidator(grammar.whole(1, 100))] | None = None
    create: Boolean = True


SecretField = Annotated[Secret, PlainValidator(secret)]
ChannelName = Literal["slack", "pagerduty", "email", "webhook"]
CHANNELS = {"Slack": "slack", "PagerDuty": "pagerduty", "Email": "email", "Webhook": "webhook"}
_TLS = {"starttls": "starttls", "tls": "tls", "none": "none"}


class Receiver(Section):
    """Somebody who is told: a channel, where on it, and the secrets that open it."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    name: Annotated[
        str,
        PlainValidator(
            matching(
                r"[A-Za-z0-9][A-Za-z0-9._ -]{0,63}",
                "a receiver's name",
                "at most 64 letters, digits and . _ -",
            )
        ),
    ]
    channel: Annotated[ChannelName, word(CHANNELS, "a channel")]
    target: Text | None = None
    token: SecretField | None = None
    webhook: SecretField | None = None
    signing_secret: SecretField | None = None
    routing_key: SecretField | None = None
    url: Annotated[str | Secret, PlainValidator(_address)] | None = Field(default=None, repr=False)
    host: Text | None = None
    port: Port | None = None
    tls: Annotated[Literal["starttls", "tls", "none"], word(_TLS, "a kind of encryption")] = (
        "starttls"
    )
    username: Text | None = None
    password: SecretField | None = None
    from_: Text | None = Field(default=None, alias="from")
    to: Texts = ()
    secret: SecretField | None = None
    send_resolved: Boolean = True
    rate: Rate | None = None
    max_event_age: Length = timedelta(hours=48)
    fallback: Text | None = None


FOR_ALL = ("name", "channel", "send_resolved", "rate", "max_event_age", "fallback")
KEYS: dict[str, tuple[str, ...]] = {
    "slack": ("target", "token", "webhook", "signing_secret", "url"),
    "pagerduty": ("routing_key", "url"),
    "email": ("host", "port", "tls", "username", "password", "from", "to"),
    "webhook": ("url", "secret"),
}
SECRETS = ("token", "webhook", "signing_secret", "routing_key", "password", "secret", "url")


class Match(Section):
    """Which alerts a route is for; what is not written matches any."""

    kind: Annotated[
        tuple[Annotated[str, word(list(KINDS), "a kind of problem")], ...], BeforeValidator(listed)
    ] = ()
    severity: Annotated[
        tuple[Annotated[str, word(SEVERITIES, "a severity")], ...], BeforeValidator(listed)
    ] = ()
    model_id: Texts = ()
    owner: Texts = ()
    environment: Texts = ()
    segment: Texts = ()


class Hours(NamedTuple):
    """From one time of day to another, in minutes after midnight UTC; `end` before `start` spans midnight."""

    start: int
    end: int

    def __str__(self) -> str:
        return "-".join(f"{minutes // 60:02}:{minutes % 60:02}" for minutes in self)


def _hours(value: object) -> Hours:
    expected = "hours such as 22:00-06:00"
    clock = r"([01]?\d|2[0-4]):([0-5]\d)"
    found = (
        re.fullmatch(rf"{clock}\s*(?:-|to)\s*{clock}", value.strip())
        if isinstance(value, str)
        else None
    )
    if found is None:
        raise Wrong(shown(value), "are not hours of the day", expected)
    start, end = (int(found[n]) * 60 + int(found[n + 1]) for n in (1, 3))
    if start == end or max(start, end) > 24 * 60:
        raise Wrong(shown(value), "are not hours of the day", expected)
    return Hours(start, end)


DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


class Mute(Section):
    """When a route is not used."""

    days: Annotated[
        tuple[Annotated[str, word(DAYS, "a day of the week")], ...], BeforeValidator(listed)
    ] = ()
    hours: (
        Annotated[Hours, PlainValidator(_hours), PlainSerializer(str, return_type=str)] | None
    ) = None


class Route(Section):
    """Who hears of matching alerts; the first route that matches ends the search unless it says `continue`."""

    match: Match = Match()
    receivers: Texts = ()
    repeat: Length | None = None
    mute: Mute | None = None
    continue_: Boolean = Field(default=False, alias="continue")


def _path(value: object) -> Path:
    return value if isinstance(value, Path) else Path(grammar.text(value))


class Http(Section):
    """Where the control role answers."""

    host: Text = "127.0.0.1"
    port: Port = 8080
    tokens_file: Annotated[Path, PlainValidator(_path), PlainSerializer(str)] | None = None


class Metrics(Section):
    """Prometheus metrics; port 0 switches them off. `models`: how many have a label of their own."""

    port: Port = 9464
    models: Positive = 1000
    series: Annotated[Literal["off", "top10"], word(["off", "top10"], "a choice of series")] = "off"


class Limits(Section):
    """The caps of contracts §0 and §1.3."""

    event_bytes: Positive = 1024 * 1024
    depth: Positive = 32
    segments: Positive = 200
    unregistered_models: Positive = 1000
    bad_share: Share = 0.01


class JoinerSection(Section):
    """Where predictions wait for their labels. `directory` None: below the user's own state."""

    directory: Annotated[Path, PlainValidator(_path), PlainSerializer(str)] | None = None
    memory_bytes: Positive = 128 * 1024 * 1024


class Links(Section):
    """Addresses that alerts link to."""

    console: Annotated[str, PlainValidator(_url)] | None = None
    runbooks: Annotated[str, PlainValidator(_url)] | None = None


def _registry_url(value: object) -> str:
    text = value if isinstance(value, str) else ""
    if not re.fullmatch(r"https?://[^\s/]+(/\S*)?", text):
        raise Wrong("", "is not an address", "https://…")
    if "@" in text:
        raise Wrong("", "has credentials in it", "username and password beside it")
    return text


class SchemaRegistry(Section):
    """Where the schemas of Avro and JSON Schema are; `ca` is a file of certificates."""

    url: Annotated[str, PlainValidator(_registry_url)] | None = None
    username: Text | None = None
    password: SecretField | None = None
    ca: Annotated[Path, PlainValidator(_path), PlainSerializer(str)] | None = None

    def settings(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Of Confluent's client, by their own names; {} where there is no registry.

        Raises
        ------
        UsageError
            The password that is named is not there.
        """
        if self.url is None:
            return {}
        found = {"url": self.url}
        if self.username is not None and self.password is not None:
            secret = self.password.reveal(environment)
            found["basic.auth.user.info"] = f"{self.username}:{secret}"
        return found | ({} if self.ca is None else {"ssl.ca.location": str(self.ca)})


class Events(Section):
    """How CloudEvents are written."""

    mode: Annotated[Literal["binary", "structured"], word(["binary", "structured"], "a mode")] = (
        "binary"
    )


class ServiceFile(Section):
    """Everything `leeway.yaml` may say."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    called: ClassVar[str] = "the service file"

    brokers: Annotated[str, PlainValidator(_brokers)] = ""
    kafka: Annotated[dict[str, str | Secret], PlainValidator(_kafka)] = Field(default={})
    topics: Topics = Topics()
    receivers: tuple[Receiver, ...] = ()
    routing: tuple[Route, ...] = ()
    http: Http = Http()
    metrics: Metrics = Metrics()
    limits: Limits = Limits()
    joiner: JoinerSection = JoinerSection()
    links: Links = Links()
    events: Events = Events()
    schema_registry: SchemaRegistry = SchemaRegistry()


def contradictions(file: ServiceFile) -> Iterator[tuple[Steps, Wrong]]:
    """Receivers with keys of another channel or without what they need, and names nobody has."""
    names = [receiver.name for receiver in file.receivers]
    for place, receiver in enumerate(file.receivers):
        path: Steps = ("receivers", place)
        if receiver.name in names[:place]:
            wrong = Wrong(
                quoted(receiver.name), "is the name of another receiver", "each name once"
            )
            yield (*path, "name"), wrong
        channel = next(word for word, meant in CHANNELS.items() if meant == receiver.channel)
        for field in sorted(receiver.model_fields_set):
            key = field.rstrip("_")
            if key not in (*FOR_ALL, *KEYS[receiver.channel]):
                what = f"is not a key of a {channel} receiver"
                yield (*path, key), Wrong("", what, f"one of {', '.join(KEYS[receiver.channel])}")
        if receiver.channel == "slack" and receiver.token and receiver.webhook:
            yield (*path, "webhook"), Wrong("", "there is a token, too", "one of the two")
        if receiver.channel == "slack" and receiver.token and not receiver.target:
            yield (*path, "target"), Wrong("", "is missing", 'the channel, such as "#ml-alerts"')
        if receiver.channel == "email":
            for key, given in (
                ("host", receiver.host),
                ("from", receiver.from_),
                ("to", receiver.to),
            ):
                if not given:
                    yield (*path, key), Wrong("", "is missing", _EMAIL[key])
            if len(receiver.to) > MOST_RECIPIENTS:
                what = f"has {len(receiver.to)} addresses"
                yield (*path, "to"), Wrong("", what, f"at most {MOST_RECIPIENTS}, or a list")
        if receiver.fallback is not None and (
            receiver.fallback not in names or receiver.fallback == receiver.name
        ):
            yield (*path, "fallback"), _nobody(receiver.fallback, names)
    yield from _of_registry(file.schema_registry)
    for place, route in enumerate(file.routing):
        for index, name in enumerate(route.receivers):
            if name not in (names or DEFAULT_RECEIVERS):
                known = names or list(DEFAULT_RECEIVERS)
                yield ("routing", place, "receivers", index), _nobody(name, known)


def _of_registry(registry: SchemaRegistry) -> Iterator[tuple[Steps, Wrong]]:
    at: Steps = ("schema_registry",)
    given = [key for key in ("username", "password", "ca") if getattr(registry, key) is not None]
    if registry.url is None:
        if given:
            yield (*at, "url"), Wrong("", "is missing", "the registry's address")
        return
    for key, other in (("username", "password"), ("password", "username")):
        if key in given and other not in given:
            yield (*at, other), Wrong("", "is missing", f"both or no {key}")
    if "password" in given and not _SAFE(registry.url):
        yield (*at, "url"), Wrong("", "would take the password unencrypted", "https://…")


_SAFE = re.compile(r"https://.*|http://(127\.\d+\.\d+\.\d+|localhost|\[::1\])([:/].*)?").fullmatch
_EMAIL = {"host": "the mail server", "from": "the sender's address", "to": "addresses"}
DEFAULT_RECEIVERS = ("slack", "pagerduty", "email")


def _nobody(name: str, names: list[str]) -> Wrong:
    return Wrong(
        quoted(name), "is not a receiver", "the name of another one", did_you_mean(name, names)
    )
