"""How is this process set up? `leeway.yaml`, then `LEEWAY_*`, read once at the start (contracts §3)."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from operator import attrgetter
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from alerting.deliver.destination import Destination, missing
from alerting.settings import Mute, RoutingRule
from alerting.settings import Receiver as PublicReceiver
from alerting.types import Channel
from streams.errors import LifecycleError, UsageError
from streams.lifecycle.loading import lines, text_of
from streams.lifecycle.mistakes import Mistake, Place, Steps, did_you_mean, dotted
from streams.lifecycle.nodes import Node, as_node, find, read
from streams.lifecycle.schema import keys_of, section_at
from streams.lifecycle.validation import explain
from streams.routing import Routing
from streams.service_file import (
    DAYS,
    DEFAULT_RECEIVERS,
    KEYS,
    SECRETS,
    Receiver,
    Route,
    SchemaRegistry,
    Secret,
    ServiceFile,
    contradictions,
    is_secret_property,
)

__all__ = ["Properties", "Service", "load_service"]

DEFAULT_FILE = Path("leeway.yaml")
_PREFIX = "LEEWAY_"
_REGISTRY = "schema_registry_"
_RENDERED: tuple[Channel, ...] = ("slack", "pagerduty", "email")


class Properties(dict[str, str]):
    """librdkafka's properties; secrets among them appear in no text."""

    def __repr__(self) -> str:
        masked = {name: "…" if is_secret_property(name) else value for name, value in self.items()}
        return f"Properties({masked})"

    __str__ = __repr__


class Service(ServiceFile):
    """How this process is set up. Secrets are revealed where they are used, and shown nowhere.

    Attributes
    ----------
    brokers
        Kafka's addresses, joined by commas; "" when none were given.
    topics, receivers, routing, http, metrics, limits, joiner, links, events, schema_registry
        The sections of the file, defaults filled in.
    says_who_hears
        Whether receivers or routing were given. Who only names a Kafka leaves for all what others said of them.
    """

    kafka: Any = Properties()
    says_who_hears: bool = False

    @property
    def properties(self) -> Properties:
        """librdkafka's properties with the addresses.

        Raises
        ------
        UsageError
            No address was given.
        """
        if not self.brokers:
            raise UsageError(
                "no Kafka was given: set LEEWAY_BROKERS or --brokers, or start one with leeway broker"
            )
        return Properties({**self.kafka, "bootstrap.servers": self.brokers})

    @property
    def public_receivers(self) -> tuple[PublicReceiver, ...]:
        """The receivers without their secrets, as judges and `leeway.models` know them.

        Without configured receivers there are three, named ``slack``, ``pagerduty`` and ``email``, so that the channel
        that a lifecycle names is always rendered to its topic, where anybody may deliver it. Webhooks are not among
        them: they are sent alerts as they are.
        """
        if not self.receivers:
            return tuple(PublicReceiver(name=name, channel=name) for name in _RENDERED)
        return tuple(
            PublicReceiver(
                name=each.name,
                channel=each.channel,
                target=each.target,
                threads=each.webhook is None,
                send_resolved=each.send_resolved,
                to=each.to,
                buttons=each.signing_secret is not None,
            )
            for each in self.receivers
            if each.channel != "webhook"
        )

    @property
    def public(self) -> Routing:
        """What judges know of this file."""
        return Routing(
            receivers=self.public_receivers,
            routing=tuple(_rule(route) for route in self.routing),
            console=self.links.console,
            runbook=self.links.runbooks,
        )

    def destinations(self, environment: Mapping[str, str]) -> tuple[Destination, ...]:
        """The receivers with their secrets, those that lack nothing. Only for whoever delivers.

        Raises
        ------
        UsageError
            A secret that is named is not there.
        """
        found = (_destination(each, environment) for each in self.receivers)
        return tuple(each for each in found if missing(each) is None)

    def signing_secrets(self, environment: Mapping[str, str]) -> tuple[str, ...]:
        """With which Slack signs what people click; none: nobody can.

        Raises
        ------
        UsageError
            A secret that is named is not there.
        """
        named = (each.signing_secret for each in self.receivers)
        return tuple(dict.fromkeys(each.reveal(environment) for each in named if each is not None))


def _rule(route: Route) -> RoutingRule:
    match, mute = route.match, None
    if (written := route.mute) is not None:
        hours = None if written.hours is None else (written.hours.start, written.hours.end)
        mute = Mute(tuple(DAYS.index(day) for day in written.days), hours)
    return RoutingRule(
        kinds=match.kind,  # type: ignore[arg-type]  # the file admits only kinds
        severities=match.severity,  # type: ignore[arg-type]  # and only severities
        models=match.model_id,
        owners=match.owner,
        environments=match.environment,
        segments=match.segment,
        receivers=route.receivers,
        repeat_ms=None if route.repeat is None else route.repeat // timedelta(milliseconds=1),
        mute=mute,
        go_on=route.continue_,
    )


def _destination(receiver: Receiver, environment: Mapping[str, str]) -> Destination:
    def plain(value: Secret | str | None) -> str | None:
        return value.reveal(environment) if isinstance(value, Secret) else value

    return Destination(
        name=receiver.name,
        channel=receiver.channel,
        url=plain(receiver.url),
        token=plain(receiver.token),
        webhook=plain(receiver.webhook),
        routing_key=plain(receiver.routing_key),
        host=receiver.host,
        port=receiver.port,
        tls=receiver.tls,
        username=receiver.username,
        password=plain(receiver.password),
        sender=receiver.from_,
        to=receiver.to,
        secret=plain(receiver.secret),
    )


def state_directory(environment: Mapping[str, str]) -> Path:
    """Where a process keeps what it can make anew, unless the service file says where.

    >>> state_directory({"XDG_STATE_HOME": "/var/lib"}).as_posix()
    '/var/lib/leeway'
    """
    base = environment.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "leeway"


NOT_YET = {  # what parses but does not act yet, and why
    "limits": "the caps hold; changing them comes with a later release",
}


def notices(service: Service) -> tuple[str, ...]:
    """One line for each key that was set and does not act yet.

    >>> notices(load_service(None, {"LEEWAY_LIMITS_DEPTH": "8"}))
    ('limits: parsed, does not act yet (the caps hold; changing them comes with a later release)',)
    """
    return tuple(
        f"{key}: parsed, does not act yet ({why})"
        for key, why in NOT_YET.items()
        if attrgetter(key)(service) != attrgetter(key)(ServiceFile())
    )


def load_service(path: Path | None, environment: Mapping[str, str]) -> Service:
    """Read the service file and the environment, which is stronger.

    Parameters
    ----------
    path
        The file; None: ``leeway.yaml`` of the working directory, if there is one.
    environment
        ``LEEWAY_SECTION_KEY`` for any key of the file (``LEEWAY_TOPICS_PREFIX``), ``LEEWAY_KAFKA_…`` for librdkafka's
        properties (underscores for dots), ``LEEWAY_RECEIVERS_NAME_KEY`` for a receiver of that name. A secret may be
        given as it is, or as the path of a file in the same name with ``_FILE``. ``LEEWAY_BROKERS`` alone is enough.

    Raises
    ------
    LifecycleError
        All mistakes of the file.
    UsageError
        The file cannot be read, a variable is wrong, or a secret that Kafka needs is missing.
    """
    if path is None and DEFAULT_FILE.is_file():
        path = DEFAULT_FILE
    body = Node(Place(1, 1), {})
    if path is not None:
        body = _written(path)
    data = body.plain()
    file = _checked(data, body, str(path))
    for name, steps, value in _variables(environment, file):
        _put(data, steps, value)
        _check_variable(data, name, steps)
    found = ServiceFile.model_validate(data)
    kafka = Properties(
        {
            name: value.reveal(environment) if isinstance(value, Secret) else value
            for name, value in found.kafka.items()
        }
    )
    fields = {name: getattr(found, name) for name in ServiceFile.model_fields}
    says = bool({"receivers", "routing"} & found.model_fields_set)
    return Service.model_construct(**{**fields, "kafka": kafka, "says_who_hears": says})


def _written(path: Path) -> Node:
    documents = read(text_of(path), secret=True)
    mistakes = list(documents.mistakes)
    for extra in documents.nodes[1:]:
        mistakes.append(Mistake(extra.place, (), "a second document: expected one"))
    body = documents.nodes[0] if documents.nodes else Node(Place(1, 1), {})
    if body.value is None:
        body.value = {}
    if not isinstance(body.value, dict):
        mistakes.append(Mistake(body.place, (), "is not a mapping: expected keys such as brokers"))
        raise LifecycleError(lines(mistakes, str(path)))
    if mistakes:
        told = {mistake.path for mistake in mistakes}
        tree = body.plain()
        try:
            ServiceFile.model_validate(tree)
        except ValidationError as error:
            more = explain(ServiceFile, error, body, tree, _hidden)
            mistakes += [
                each for each in more if each.path not in told and each.place not in documents.told
            ]
        raise LifecycleError(lines(mistakes, str(path)))
    return body


def _checked(data: Any, body: Node, name: str) -> ServiceFile:
    """The file as it is written, or all its mistakes."""
    try:
        file = ServiceFile.model_validate(data)
    except ValidationError as error:
        raise LifecycleError(
            lines(list(explain(ServiceFile, error, body, data, _hidden)), name)
        ) from None
    mistakes = []
    for path, wrong in contradictions(file):
        place, path = find(body, path)
        mistakes.append(Mistake(place, path, wrong.line(quote=not _hidden(path))))
    if mistakes:
        raise LifecycleError(lines(mistakes, name))
    return file


def _hidden(path: Steps) -> bool:
    """Whether what stands there may be a secret."""
    if path[:1] == ("kafka",) or path == ("schema_registry", "url"):
        return True
    return path[:1] == ("receivers",) and len(path) > 2 and path[2] in SECRETS


def _variables(
    environment: Mapping[str, str], file: ServiceFile
) -> Iterator[tuple[str, Steps, object]]:
    """Variables of ours in the order of their names, each with the key it stands for and its value."""
    for name in sorted(environment):
        if not name.startswith(_PREFIX):
            continue
        words = name.removeprefix(_PREFIX).lower()
        section, _, rest = words.partition("_")
        if words == "brokers":
            yield name, ("brokers",), environment[name]
        elif section == "kafka" and rest:
            yield name, *_property(name, rest, environment[name])
        elif section == "receivers" and rest:
            yield from _of_receiver(name, rest, environment[name], file)
        elif words.startswith(_REGISTRY):
            yield name, *_of_registry(name, words.removeprefix(_REGISTRY), environment[name])
        elif section in ServiceFile.model_fields and rest:
            known = section_at(ServiceFile, (section,))
            if not isinstance(known, type):
                raise UsageError(f"{name}: {section} has no variables: write it into leeway.yaml")
            keys = keys_of(known)
            if rest not in keys:
                hint = did_you_mean(rest, keys)
                raise UsageError(
                    f"{name}: {rest} is not a key of {section}: expected {', '.join(keys)}"
                    + (f"; {hint}" if hint else "")
                )
            yield name, (section, rest), _value(environment[name])


def _of_registry(name: str, key: str, value: str) -> tuple[Steps, object]:
    """``LEEWAY_SCHEMA_REGISTRY_URL``; the password is kept as the name of its variable, or as its file."""
    if key in ("password", "password_file"):
        where = {"file": value} if key.endswith("_file") else {"env": name}
        return ("schema_registry", "password"), where
    if key not in (keys := keys_of(SchemaRegistry)):
        hint = did_you_mean(key, keys)
        raise UsageError(
            f"{name}: {key} is not a key of schema_registry: expected {', '.join(keys)}"
            + (f"; {hint}" if hint else "")
        )
    return ("schema_registry", key), value


def _value(text: str) -> object:
    """A variable's value; `true` and `false` are booleans there as in the file."""
    return {"true": True, "false": False}.get(text, text)


def _property(name: str, rest: str, value: str) -> tuple[Steps, object]:
    """A librdkafka property; a secret is kept as the name of its variable, or as its file."""
    dots = rest.replace("_", ".")
    if dots.endswith(".file") and is_secret_property(dots):
        return ("kafka", dots.removesuffix(".file")), {"file": value}
    return ("kafka", dots), {"env": name} if is_secret_property(dots) else value


def _of_receiver(
    name: str, rest: str, value: str, file: ServiceFile
) -> Iterator[tuple[str, Steps, object]]:
    """``LEEWAY_RECEIVERS_SLACK_TOKEN`` is the token of the receiver named slack."""
    declared = [each.name for each in file.receivers]
    for place, (called, channel) in enumerate(
        [(each.name, each.channel) for each in file.receivers]
        or [(each, each) for each in DEFAULT_RECEIVERS]
    ):
        spelt = "".join(c if c.isalnum() else "_" for c in called.lower()) + "_"
        if not rest.startswith(spelt):
            continue
        key = rest.removeprefix(spelt)
        steps: Steps = ("receivers", place, key)
        keys = keys_of(Receiver)
        if not declared:
            steps = ("receivers", called, key)
        plain = key.removesuffix("_file")
        if plain in SECRETS and plain in KEYS[channel] and key != plain:
            yield name, (*steps[:2], plain), {"file": value}
        elif key in SECRETS and key != "url":
            yield name, steps, {"env": name}
        elif key in keys and key not in ("name", "channel"):
            yield name, steps, _value(value)
        else:
            raise UsageError(
                f"{name}: {key} is not a key of a receiver: expected {', '.join(KEYS[channel])}"
            )
        return
    raise UsageError(
        f"{name}: names no receiver: expected one of {', '.join(declared or DEFAULT_RECEIVERS)}"
    )


def _put(data: Any, steps: Steps, value: object) -> None:
    if steps[0] == "receivers" and isinstance(steps[1], str):  # one of those that need no file
        items = data.setdefault("receivers", [])
        if not items:
            items += [{"name": name, "channel": name} for name in DEFAULT_RECEIVERS]
        next(item for item in items if item["name"] == steps[1])[steps[2]] = value
        return
    for step in steps[:-1]:
        if isinstance(data, dict):
            data = data.setdefault(step, {})
        else:
            data = data[step]
    data[steps[-1]] = value


def _check_variable(data: Any, name: str, steps: Steps) -> None:
    """Say which variable is wrong; its value is not quoted where it may be a secret."""
    try:
        ServiceFile.model_validate(data)
    except ValidationError as error:
        body = as_node(data)
        for mistake in explain(ServiceFile, error, body, data, _hidden):
            raise UsageError(f"{name}: {mistake.text}") from None
        raise UsageError(f"{name}: {dotted(steps)} is wrong") from None
