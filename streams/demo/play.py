"""How does the demonstration run? Real roles as child processes, real Kafka, a seeded stream, a look at the outputs."""

import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from detectors.reference.build import Reference, build, with_outcomes
from streams.broker import Outgoing
from streams.demo.findings import Finding, compare, epoch_ms
from streams.demo.plan import HOUR_MS, REFERENCE, Hour, first_days, hours, placed
from streams.demo.show import Screen
from streams.errors import BrokerError
from streams.kafka.admin import topic_partitions
from streams.kafka.commands import Tail, Writer, past
from streams.lifecycle import Lifecycle, load
from streams.local_kafka import any_broker, free_port
from streams.offline import story
from streams.offline.known import known_outcomes
from streams.profiling.columns import columns
from streams.registration import register, see_to_topics
from streams.registry import Registry
from streams.service import Service, load_service
from streams.supervisor import ROLES, SUPERVISED, Child, Supervisor, leeway
from streams.topics import Names

__all__ = ["Played", "demo_lifecycle", "feed", "play"]

HOUR_S = 0.15  # an hour of event time is played in so long
_END_S = 30.0  # until the last window must have been judged
_LOOK = ("results", "alerts", "alerts.slack", "alerts.pagerduty", "retraining")
# receivers without secrets: everything is rendered for them, and nothing leaves this machine
_SERVICE = """\
brokers: {brokers}
topics: {{prefix: "{prefix}", partitions: 2}}
receivers:
  - {{name: slack, channel: Slack, target: "#ml-alerts"}}
  - {{name: pagerduty, channel: PagerDuty}}
http: {{port: {port}}}
metrics: {{port: 0}}
"""


@dataclass(frozen=True, slots=True)
class Played:
    """What came of it."""

    findings: tuple[Finding, ...]
    events: int
    windows: int
    seconds: float

    @property
    def fits(self) -> bool:
        return all(one.fits for one in self.findings)


def play(brokers: str | None, *, seed: int, screen: Screen, keep: bool = False) -> Played:
    """Play the whole plan.

    Parameters
    ----------
    brokers
        Where Kafka is; None: one is started, and ended with the play.
    keep
        Leave the console open at the end, until Ctrl-C.

    Raises
    ------
    MissingTool, BrokerError
        There is no Kafka to be had.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="leeway-demo-") as directory:
        screen.say("looking for a Kafka" if brokers else "starting a Kafka")
        with any_broker(brokers) as kafka:
            screen.say(f"using {kafka.described}")
            config = Path(directory, "leeway.yaml")
            config.write_text(
                _SERVICE.format(
                    brokers=kafka.bootstrap,
                    prefix=f"leeway-demo-{uuid.uuid4().hex[:8]}.",
                    port=free_port(),
                )
            )
            service = load_service(config, {})
            names = _prepare(service, seed, screen)
            with (
                _running(_roles(config)),
                Tail(service.properties, [names(t) for t in _LOOK]) as tail,
            ):
                watched = _Watched(names, tail, screen)
                sent = _send(service, names, watched, seed, screen)
                _finish(watched)
                screen.close()
                findings = compare(
                    placed(),
                    story.episodes(watched.values["alerts"]),
                    story.triggers(watched.values["retraining"]),
                )
                played = Played(findings, sent, watched.windows, round(time.monotonic() - began, 1))
                screen.result(findings)
                if keep:
                    _wait(screen, f"http://{service.http.host}:{service.http.port}/")
            return played


def feed(service: Service, *, seed: int, screen: Screen) -> int:
    """Play the stream into a Leeway that runs already; returns how many events were sent.

    What is found of them is for its console to show. A second play would come too late for windows that were judged:
    where the model is registered, nothing is sent.

    Raises
    ------
    UsageError, BrokerError
        There is no Kafka to be had.
    """
    names = Names(service.topics.prefix)
    if _registered(service, names):
        screen.say(
            f"{demo_lifecycle().model_id} is registered already: its stream was played before"
        )
        return 0
    _prepare(service, seed, screen)
    with Tail(service.properties, [names(topic) for topic in _LOOK]) as tail:
        watched = _Watched(names, tail, screen)
        sent = _send(service, names, watched, seed, screen)
        _finish(watched)
    return sent


def _registered(service: Service, names: Names) -> bool:
    model_id = demo_lifecycle().model_id
    if names("models") not in topic_partitions(service.properties):
        return False
    registry = Registry()
    for records in past(service.properties, [names("models")]):
        registry.apply(records)
    return model_id in registry.models


def _prepare(service: Service, seed: int, screen: Screen) -> Names:
    """See to the topics, build the reference and register the model."""
    lifecycle = demo_lifecycle()
    before = [made for _, _, made in hours([first_days()], seed=seed)]
    reference = known_reference(lifecycle, before)
    screen.say(
        f"reference {reference.reference_id}: {reference.built_from.events:,} events of {REFERENCE.says}"
    )
    names = Names(service.topics.prefix)
    see_to_topics(service, [names.prefix + kind for kind in ("predictions", "labels")])
    register(service, [lifecycle], {lifecycle.model_id: reference})
    return names


def _wait(screen: Screen, console: str) -> None:
    screen.tell(f"the console is at {console} until you press Ctrl-C")
    with suppress(KeyboardInterrupt):  # this is how it is meant to end
        threading.Event().wait()


def demo_lifecycle() -> Lifecycle:
    """The lifecycle that the demonstration registers."""
    text = resources.files("streams.demo").joinpath("lifecycle.yaml").read_text(encoding="utf-8")
    (lifecycle,) = load(text, "streams/demo/lifecycle.yaml")
    return lifecycle


def known_reference(lifecycle: Lifecycle, past: Sequence[Hour]) -> Reference:
    """What `leeway baseline` would build from these hours."""
    predictions = [event.value for made in past for event in made.predictions]
    found = columns(lifecycle, predictions)
    reference, _ = build(
        found.columns,
        found.times_ms,
        reference_id="first-days",
        model_id=lifecycle.model_id,
        model_version=lifecycle.version,
        source="demo",
        window_ms=HOUR_MS,
        segments=found.segments,
    )
    labels = [event.value for made in past for event in made.labels]
    known, _ = known_outcomes(lifecycle, reference, labels, lambda: predictions)
    return reference if known is None else with_outcomes(reference, known)


def _roles(config: Path) -> tuple[Child, ...]:
    environment = {SUPERVISED: "1"}
    return tuple(
        Child(
            f"{role}-1",
            leeway("run", "--role", role, "--instance", f"{role}-1", "--config", str(config)),
            environment,
        )
        for role in ROLES
    )


@contextmanager
def _running(roles: Sequence[Child]) -> Iterator[None]:
    """The roles, tended by a thread of their own."""
    stop, told = threading.Event(), _Log()
    supervisor = Supervisor(roles, told)

    def tend() -> None:
        while not stop.is_set():
            supervisor.tend()
            if supervisor.exit_code is not None:
                return

    thread = threading.Thread(target=tend, name="supervisor")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        supervisor.stop(drain_s=10.0)
    if supervisor.exit_code is not None:
        raise BrokerError(f"a role could not run: {told.last}")


class _Log:
    """Keeps the last line the roles wrote; a demonstration that went well needs none of them."""

    def __init__(self) -> None:
        self.last = ""

    def __call__(self, name: str, line: str) -> None:
        self.last = f"{name}: {line}"


class _Watched:
    """What the output topics have brought so far."""

    def __init__(self, names: Names, tail: Tail, screen: Screen) -> None:
        self._short = {names(topic): topic for topic in _LOOK}
        self._tail, self._screen = tail, screen
        self.values: dict[str, list[bytes | None]] = {topic: [] for topic in _LOOK}
        self.windows = 0
        self.judged_until_ms = 0

    def look(self, seconds: float) -> None:
        """Take in what comes within the time."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            for record in self._tail.read(left):
                topic = self._short[record.topic]
                self.values[topic].append(record.value)
                if topic == "results":
                    self._judged(record.value)
                else:
                    self._screen.found(topic, record)

    def _judged(self, value: bytes | None) -> None:
        for result in story.results([value]):
            if result.segment == "all" and result.scope == "inputs":
                self.windows += 1
                self.judged_until_ms = max(self.judged_until_ms, epoch_ms(result.window.end))


def _send(service: Service, names: Names, watched: _Watched, seed: int, screen: Screen) -> int:
    """Play hour after hour, looking at the outputs in between; how many events were sent."""
    writer, sent = Writer(service.properties), 0
    due, phase = time.monotonic(), None
    # From the reference on: what becomes of its last loans is known when the play has begun.
    for start_ms, place, made in hours((first_days(), *placed()), seed=seed):
        if place.phase is REFERENCE:
            continue
        if place is not phase:
            screen.phase(place)
            phase = place
        for kind, events in (("predictions", made.predictions), ("labels", made.labels)):
            for event in events:
                writer.write(Outgoing(names.prefix + kind, event.key.encode(), event.value))
                sent += 1
        due += HOUR_S
        watched.look(due - time.monotonic())
        screen.at(start_ms, sent, watched.windows)
    writer.flush()
    return sent


def _finish(watched: _Watched) -> None:
    """Wait until the last window has been judged: the topic falls silent, and that closes it."""
    end_ms, until = placed()[-1].end_ms, time.monotonic() + _END_S
    while watched.judged_until_ms < end_ms and time.monotonic() < until:
        watched.look(0.2)
