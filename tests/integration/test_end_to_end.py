"""Does `leeway run` watch, tell, survive and end, with everything in place that a user has?"""

import json
import os
import signal
import subprocess
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from playwright.sync_api import Page, expect

from detectors.reference.build import to_document
from streams.broker import Record
from streams.commands import OUTCOME
from streams.errors import LeewayError
from streams.local_kafka import AnyBroker, DockerKafka, LocalKafka, free_port, source
from streams.offline import story
from streams.offline.replay import as_lines, replay
from streams.offline.sources import Chunk, Source
from streams.service import load_service
from streams.supervisor import leeway
from tests.browsing import Browse
from tests.integration import watched
from tests.integration.running import Deployment, produce
from tests.until import until

pytestmark = pytest.mark.kafka

PATIENCE = timedelta(seconds=60)
# Events are sent up to the end of these windows, each time when the service has been through something else.
STEPS = (56, 64, 72)
# Longer than a busy machine takes from the profiler's start to the first event: partitions that are left out by then
# would rightly find their events late.
IDLE = "9s"
SHOWN = ("results", "alerts", "alerts.slack", "alerts.pagerduty", "retraining")


@pytest.fixture
def broker() -> Iterator[DockerKafka | LocalKafka]:
    """One of our own, to stop and start."""
    try:
        ours = DockerKafka() if source(None) == "docker" else LocalKafka()
        started = ours.__enter__()
    except LeewayError as lacking:
        pytest.skip(f"no broker of our own: {lacking}")
    try:
        yield started
    finally:
        started.__exit__(None, None, None)


class Service:
    """A `leeway run` and what people ask it."""

    def __init__(self, place: Deployment, lifecycle: Path, log: Path) -> None:
        self._log, self.url = log, f"http://127.0.0.1:{place.service.http.port}"
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                leeway("run", str(lifecycle), "--config", str(place.config)),
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def ask(self, path: str) -> Any:
        """The answer's body; nothing while nobody answers, or the answer is an error."""
        try:
            with urllib.request.urlopen(f"{self.url}{path}", timeout=5) as found:
                body = found.read().decode()
                return json.loads(body) if "json" in found.headers["Content-Type"] else body
        except urllib.error.HTTPError as error:
            error.close()
            return None
        except OSError:
            return None

    def child(self, role: str) -> int | None:
        """The process that has this role now."""
        listed = subprocess.run(
            ["ps", "-A", "-ww", "-o", "pid=,ppid=,args="],
            capture_output=True,
            text=True,
            check=True,
        )
        for line in listed.stdout.splitlines():
            pid, parent, command = line.split(None, 2)
            if int(parent) == self.process.pid and f"--role {role}" in command:
                return int(pid)
        return None

    def said(self) -> str:
        return self._log.read_text()

    def __enter__(self) -> "Service":
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.process.kill()  # its children end by themselves when it is gone
        self.process.wait()
        if error is not None:
            error.add_note(self.said()[-5000:])


@pytest.fixture
def page(request: pytest.FixtureRequest) -> Page | None:
    """A page in a real browser; None where there is none."""
    try:
        browse: Browse = request.getfixturevalue("browse")
    except pytest.skip.Exception:
        return None
    return browse.page()


def test_a_service_tells_what_it_finds_and_survives_kills_and_a_restart_of_its_broker(
    broker: DockerKafka | LocalKafka,
    unique: Callable[[str], str],
    tmp_path: Path,
    page: Page | None,
) -> None:
    address = AnyBroker(broker.bootstrap, broker.kind)
    console = {"host": "127.0.0.1", "port": free_port()}
    # Nobody is missed whom a busy machine holds up for some seconds: none has to die when a broker restarts.
    patient = {"session.timeout.ms": "8000", "heartbeat.interval.ms": "300"}
    place = Deployment(
        address, unique("all"), tmp_path, http=console, metrics={"port": 0}, kafka=patient
    )
    first = _sent(0, STEPS[0])
    with Service(place, _files(tmp_path), tmp_path / "run.log") as service:
        until(lambda: service.ask("/readyz"), PATIENCE)
        assert service.ask("/healthz") == {"alive": True}

        produce(place, first)
        _until_judged(place, STEPS[0], service)
        _assert_told(place, service)
        if page is not None:
            _tick(page, service)

        _kill(service, "profiler")
        _kill(service, "judge")
        produce(place, _sent(STEPS[0], STEPS[1]))
        _until_judged(place, STEPS[1], service)
        if page is not None:
            _until_ticked(page)

        children = {role: service.child(role) for role in ("profiler", "judge")}
        broker.stop()
        broker.start()
        produce(place, _sent(STEPS[1], STEPS[2]))
        _until_judged(place, STEPS[2], service)
        assert children == {role: service.child(role) for role in children}, "none had to die"

        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(PATIENCE.total_seconds()) == 0, "drains, and ends with 0"
        assert service.ask("/healthz") is None
    found, wanted = place.read(*SHOWN), _expected(STEPS[-1])
    found["results"] = [one for one in found["results"] if not _is_outcome(one)]
    for topic in SHOWN:  # nothing was lost or said twice in all this
        said, due = _lines(found[topic]), _lines(wanted[topic])
        assert said - due == Counter(), f"{topic}: too much"
        assert due - said == Counter(), f"{topic}: lacking"


def _files(folder: Path) -> Path:
    """The lifecycles, and their references where `leeway run` looks for them."""
    path = folder / "models.yaml"
    path.write_text(watched.text(IDLE))
    for model_id, reference in watched.references().items():
        document = msgspec.json.encode(to_document(reference))
        (folder / f"{model_id}.reference.json").write_bytes(document)
    return path


def _sent(first: int, last: int) -> list[watched.Arrival]:
    start, end = (watched.START_MS + n * watched.WINDOW_MS for n in (first, last))
    return [arrival for arrival in watched.arrivals() if start <= arrival.time_ms < end]


def _expected(last: int) -> dict[str, list[Record]]:
    def chunks() -> Iterator[Chunk]:
        for kind in ("predictions", "features"):
            values = [arrival.value for arrival in _sent(0, last) if arrival.kind == kind]
            yield Chunk(kind, values, 0)

    found = replay(
        Source("seeded", watched.lifecycles(IDLE), None, (), chunks),
        watched.references(),
        receivers=load_service(None, {}).public_receivers,
    )
    return {topic: list(found.topics[topic]) for topic in SHOWN}


def _lines(records: list[Record]) -> Counter[bytes]:
    return Counter(as_lines([record]) for record in records)


def _until_judged(place: Deployment, last: int, service: Service) -> None:
    """Every window up to there has its results."""
    wanted, results = len(_expected(last)["results"]), 0
    with place.tail("results") as tail:

        def judged() -> bool:
            nonlocal results
            results += sum(not _is_outcome(one) for one in tail.read())
            assert service.process.poll() is None
            return results >= wanted

        until(judged, PATIENCE, lambda: f"{results} of {wanted} results")


def _is_outcome(one: Record) -> bool:
    """Whether it says what came of a command, and is no result."""
    return ("ce_type", OUTCOME.encode()) in one.headers


def _tick(page: Page, service: Service) -> None:
    """A person ticks a check in the console; it is asked for, and not done before a window is judged."""
    trigger = service.ask("/api/v1/triggers")["items"][0]["trigger_id"]
    page.goto(f"{service.url}/triggers/{trigger}")
    page.get_by_role("button", name="Tick", exact=True).click()
    page.get_by_role("dialog").get_by_label("Your name").fill("ann")
    page.get_by_role("dialog").get_by_role("button", name="Tick", exact=True).click()
    expect(page.locator(".told")).to_contain_text("it takes effect with the next window")
    expect(page.get_by_role("button", name="Tick", exact=True)).to_be_disabled()
    expect(page.locator("#asked")).to_contain_text("pending")


def _until_ticked(page: Page) -> None:
    """The judge said so, and the page shows it by itself."""
    expect(page.locator("#asked")).to_contain_text(
        "applied", timeout=PATIENCE.total_seconds() * 1e3
    )
    expect(page.locator("#gates")).to_contain_text("ticked by ann")
    expect(page.locator(".told")).to_contain_text("Tick: applied")
    page.close()


def _kill(service: Service, role: str) -> None:
    pid = until(lambda: service.child(role)) or 0
    os.kill(pid, signal.SIGKILL)
    until(lambda: service.child(role) not in (None, pid), PATIENCE, f"{role} comes back")


def _assert_told(place: Deployment, service: Service) -> None:
    """What was found is on every topic and in every answer where people look for it."""
    found = place.read(*SHOWN)
    told = story.episodes([record.value for record in found["alerts"]])
    assert {("loans", "data_drift"), ("churn", "data_drift")} <= {
        (e.model_id, e.kind) for e in told
    }
    assert found["alerts.slack"]
    assert found["alerts.pagerduty"]
    (trigger,) = story.triggers([record.value for record in found["retraining"]])
    assert (trigger.model_id, trigger.states) == ("loans", ("requested", "approved"))

    def shown() -> bool:
        items = (service.ask("/api/v1/episodes") or {"items": []})["items"]
        return {e.episode_id for e in told} == {item["episode_id"] for item in items}

    until(shown, PATIENCE)
    until(lambda: 'leeway_episodes_open{kind="data_drift",model="loans"' in service.ask("/metrics"))

    def asked() -> bool:
        items = (service.ask("/api/v1/triggers") or {"items": []})["items"]
        return [trigger.trigger_id] == [item["trigger_id"] for item in items]

    until(asked, PATIENCE)
