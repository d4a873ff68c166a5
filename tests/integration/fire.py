"""Delivery under fire: vendors that fail in every way they can, and a control that is killed again and again.

Problems open, worsen and end meanwhile, written as a judge writes them. At the end the vendors' own memories are held
against what was written: nothing may be missing, and what came twice must be explained by a kill between the vendor's
answer and our record.
"""

import os
import random
import re
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from alerting.cloudevents import headers, notification_headers
from alerting.identity import rfc3339
from alerting.notify import render
from alerting.types import Alert, Change, Delivery, EpisodeStatus
from streams.broker import Outgoing
from streams.local_kafka import AnyBroker, free_port
from streams.supervisor import leeway
from tests.integration.running import Deployment
from tests.until import until
from tests.vendors.fake import Accepted
from tests.vendors.faults import CLOSE, CUT, HANG, HANG_IN_BODY, Fault, rate_limited, status
from tests.vendors.servers import FakePagerDuty, FakeSlack

GOLDEN = Path(__file__).resolve().parent.parent / "alerting" / "golden" / "alert.json"
STORIES: tuple[tuple[Change, ...], ...] = (
    ("opened",),
    ("opened", "resolved"),
    ("opened", "escalated", "resolved"),
    ("opened", "escalated", "acknowledged"),
    ("opened", "escalated", "eased", "acknowledged", "resolved"),
)
PARTITIONS = 12  # three of each channel and of the alerts
POISON = 10_000  # the episode that no vendor takes
BROKEN = ("1 to 150 characters", "summary has 1 to 1024 characters")  # the rules it breaks
FROZEN_S = 5.0  # longer than a session
WINDOW_S = 2.0  # between an answer and our record, generously
_NAME = re.compile(r"e(\d+)s(\d+)")
_STATUS: dict[str, EpisodeStatus] = {"acknowledged": "acknowledged", "resolved": "resolved"}
_ENDS = {"resolved": "resolved", "acknowledged": "acknowledged"}


@dataclass
class Report:
    """What came of it, as the vendors saw it."""

    transitions: int
    episodes: int
    kills: int
    requests: int = 0
    slack_messages: int = 0
    slack_twice: int = 0
    slack_unexplained: int = 0
    slack_wrong_state: list[int] = field(default_factory=list)
    incidents: int = 0
    incidents_opened_anew: int = 0
    incidents_wrong_state: list[int] = field(default_factory=list)
    refused: int = 0
    buried: int = 0  # of the two that no vendor takes, as dead letters with their reason
    seconds: float = 0.0

    def lines(self) -> Iterator[str]:
        yield f"{self.transitions} transitions of {self.episodes} episodes, {self.kills} kills, {self.seconds:.0f} s"
        yield f"requests to both vendors            {self.requests}, of which accepted {self.slack_messages} by Slack"
        yield f"Slack: episodes not in their state  {len(self.slack_wrong_state)}"
        yield f"Slack: told twice                   {self.slack_twice}"
        yield f"  outside of answer to record       {self.slack_unexplained}"
        yield f"PagerDuty: incidents                {self.incidents} for {self.episodes} episodes"
        yield f"PagerDuty: opened anew              {self.incidents_opened_anew}"
        yield f"PagerDuty: not in their state       {len(self.incidents_wrong_state)}"
        yield f"poisonous: among the dead letters   {self.buried} of 2"
        yield f"others refused by a vendor's rules  {self.refused}"

    @property
    def good(self) -> bool:
        wrong = self.slack_wrong_state or self.incidents_wrong_state
        return not (
            wrong
            or self.slack_unexplained
            or self.incidents_opened_anew
            or self.refused
            or self.buried != 2
            or self.incidents != self.episodes
        )


class Fire:
    """A place on a broker, two vendors, and one control after the other."""

    def __init__(self, broker: AnyBroker, prefix: str, folder: Path, seed: int = 0) -> None:
        self._random = random.Random(seed)
        self.slack = FakeSlack(seed=seed).start()
        self.pagerduty = FakePagerDuty(seed=seed).start()
        self.deployment = Deployment(
            broker,
            prefix,
            folder,
            receivers=[
                {
                    "name": "slack",
                    "channel": "Slack",
                    "target": "#ml",
                    "token": {"env": "FIRE_SLACK"},
                    "url": self.slack.url,
                    "rate": "50 per 1 second",
                },
                {
                    "name": "pagerduty",
                    "channel": "PagerDuty",
                    "routing_key": {"env": "FIRE_PAGER"},
                    "url": self.pagerduty.url,
                    "rate": "50 per 1 second",
                },
            ],
        )
        self.receivers = {one.name: one for one in self.deployment.service.public_receivers}
        self._writer = self.deployment.writer()
        self._alert = msgspec.json.decode(GOLDEN.read_bytes(), type=Alert)
        self._log = (folder / "control.log").open("ab")
        self._controls: list[subprocess.Popen[bytes]] = []
        self._frozen: tuple[subprocess.Popen[bytes], float] | None = None
        self._killed_at: list[float] = []
        self.stories: list[tuple[Change, ...]] = []
        self._dead = self.deployment.tail("dead-letters")
        self._buried: set[str] = set()

    def close(self) -> None:
        for control in self._controls:
            control.kill()
            control.wait()
        self._dead.close()
        self.slack.stop()
        self.pagerduty.stop()
        self._log.close()

    def run(
        self, *, episodes: int, kills: int, hang: bool = False, controls: int = 1, freezes: int = 0
    ) -> Report:
        """Write so many problems while controls are killed so often; then let everything arrive.

        Parameters
        ----------
        hang : whether some requests get no answer at all, which takes ten seconds each
        controls : how many share the work
        freezes : before so many of the kills, a control is stopped for longer than its session
        """
        began = time.monotonic()
        self.stories = [STORIES[number % len(STORIES)] for number in range(episodes)]
        waiting = self._shuffled()
        burning: list[Fault] = [rate_limited("1"), rate_limited("0.5"), status(500), CLOSE, CUT]
        for vendor in (self.slack, self.pagerduty):
            vendor.always(0.06, *burning)
        self.pagerduty.always(0.04, *burning, CUT.taking(), CLOSE.taking())
        if hang:
            self.slack.next(HANG, HANG_IN_BODY)
            self.pagerduty.next(HANG, HANG_IN_BODY)
        self._poison()
        for number in range(controls):
            self._start(number)
        for kill in range(kills):
            if kill < max(freezes, 1):
                until(self._shared, timedelta(seconds=60))
            if kill < freezes:
                self._freeze()
            self._write(waiting, len(waiting) // (kills - kill))
            more = self._accepted() + self._random.randint(2, 8)
            until(lambda more=more: self._accepted() >= more, timedelta(seconds=60))  # type: ignore[misc]
            threading.Event().wait(self._random.uniform(0, 0.05))
            self._kill()
        self._write(waiting, len(waiting))
        self.slack.always(0)
        self.pagerduty.always(0)
        until(self._settled, timedelta(seconds=240), lambda: "\n".join(self.report(0, 0).lines()))
        return self.report(kills, time.monotonic() - began)

    # --- control --------------------------------------------------------------------------------

    def _start(self, number: int) -> None:
        command = leeway("run", "--role", "control", "--config", str(self.deployment.config))
        secrets = {"FIRE_SLACK": self.slack.token, "FIRE_PAGER": self.pagerduty.routing_key}
        ports = {"LEEWAY_HTTP_PORT": str(free_port())}
        started = subprocess.Popen(
            command, env={**os.environ, **secrets, **ports}, stdout=self._log, stderr=self._log
        )
        self._controls[number : number + 1] = [started]

    def _kill(self) -> None:
        number = self._random.randrange(len(self._controls))
        victim = self._controls[number]
        assert victim.poll() is None, "control ended by itself"
        self._thaw()
        victim.kill()
        victim.wait()
        self._killed_at.append(time.time())
        self._start(number)

    def _shared(self) -> bool:
        """Whether all controls are at work. One alone is when it sends."""
        threading.Event().wait(0.3)  # each question is a client of its own
        return len(self._controls) == 1 or self.deployment.shared(
            "control-delivery", len(self._controls), PARTITIONS
        )

    def _freeze(self) -> None:
        """Stop one for longer than its session, so that another takes over what it has."""
        self._thaw()
        frozen = self._random.choice(self._controls)
        frozen.send_signal(signal.SIGSTOP)
        self._frozen = frozen, time.time()

    def _thaw(self) -> None:
        if self._frozen is not None:
            frozen, since = self._frozen
            threading.Event().wait(max(0.0, since + FROZEN_S - time.time()))
            frozen.send_signal(signal.SIGCONT)
            self._killed_at.append(since)
            self._frozen = None

    # --- what judges write ----------------------------------------------------------------------

    def _shuffled(self) -> list[tuple[int, int]]:
        """Episode and sequence of every transition, in an order in which each episode's are in theirs."""
        order = [number for number, story in enumerate(self.stories) for _ in story]
        self._random.shuffle(order)
        seen: Counter[int] = Counter()
        found = []
        for number in order:
            seen[number] += 1
            found.append((number, seen[number]))
        return found

    def _write(self, waiting: list[tuple[int, int]], count: int) -> None:
        records: list[Outgoing] = []
        for number, sequence in waiting[:count]:
            records += self._records(number, sequence)
        del waiting[:count]
        for record in records:
            self._writer.write(record)
        self._writer.flush()

    def _poison(self) -> None:
        """One message to each vendor that breaks its rules: nobody ever takes it, and nothing may wait for it."""
        alert = self.alert(0, 1)
        alert = replace(alert, alert_id=f"al-{POISON:040x}", episode_id=episode_id(POISON))
        for receiver in self.receivers.values():
            note = render(receiver, alert)
            assert note is not None
            if note.channel == "slack":
                note.payload["attachments"][0]["blocks"][0]["text"]["text"] = "x" * 151
            else:
                note.payload["payload"]["summary"] = "x" * 1025
            topic = self.deployment.names(f"alerts.{note.channel}")
            about = notification_headers(note, alert)
            key, body = note.episode_id.encode(), msgspec.json.encode(note)
            self._writer.write(Outgoing(topic, key, body, about))

    def _records(self, number: int, sequence: int) -> Iterator[Outgoing]:
        names = self.deployment.names
        alert = self.alert(number, sequence)
        body = msgspec.json.encode(alert)
        yield Outgoing(names("alerts"), alert.model.id.encode(), body, headers(alert))
        for receiver in self.receivers.values():
            note = render(receiver, alert)
            assert note is not None
            yield Outgoing(
                names(f"alerts.{note.channel}"),
                note.episode_id.encode(),
                msgspec.json.encode(note),
                notification_headers(note, alert),
            )

    def alert(self, number: int, sequence: int) -> Alert:
        change = self.stories[number][sequence - 1]
        at = rfc3339(time.time_ns() // 1_000_000)
        return replace(
            self._alert,
            alert_id=f"al-{number:040x}{sequence}"[:43],
            episode_id=episode_id(number),
            sequence=sequence,
            at=at,
            opened_at=at,
            change=change,
            status=_STATUS.get(change, "open"),
            resolve_reason="recovered" if change == "resolved" else None,
            resolved_at=at if change == "resolved" else None,
            kind="performance",
            severity="error",
            title=f"e{number}s{sequence}: recall fell",
            summary=f"e{number}s{sequence}: recall 0.53, floor 0.62",
            delivery=Delivery(("slack", "pagerduty"), None, None, None),
        )

    # --- what the vendors saw -------------------------------------------------------------------

    def _accepted(self) -> int:
        return len(self.slack.accepted) + len(self.pagerduty.accepted)

    def _settled(self) -> bool:
        report = self.report(0, 0)
        wrong = report.slack_wrong_state or report.incidents_wrong_state
        return not wrong and report.buried == 2

    def report(self, kills: int, seconds: float) -> Report:
        found = Report(sum(map(len, self.stories)), len(self.stories), kills, seconds=seconds)
        found.requests = self.slack.requests + self.pagerduty.requests
        found.slack_messages = len(self.slack.accepted)
        refused = [str(one) for one in (*self.slack.rejected, *self.pagerduty.rejected)]
        found.refused = sum(not any(rule in one for rule in BROKEN) for one in refused)
        found.buried = self._dead_letters()
        self._of_slack(found)
        self._of_pagerduty(found)
        return found

    def _dead_letters(self) -> int:
        """Of how many receivers there is a dead letter that says why, and nothing else is among them."""
        for record in self._dead.read():
            about = dict(record.headers)
            assert record.key == episode_id(POISON).encode()
            assert about["__dlq.errors.stage"] == b"deliver"
            assert about["__dlq.errors.message"]
            self._buried.add(about["__dlq.errors.topic"].decode())
        return len(self._buried)

    def _of_slack(self, report: Report) -> None:
        """The newest state anywhere in an episode's messages, and what was said more than once."""
        states: dict[int, int] = {}
        said: dict[tuple[str, int, int], list[Accepted]] = {}
        first: dict[int, list[Accepted]] = {}
        for one in list(self.slack.accepted):
            number, sequence = _about(one.message)
            states[number] = max(states.get(number, 0), sequence)
            if one.method == "chat.postMessage" and "thread_ts" in one.message:
                said.setdefault(("reply", number, sequence), []).append(one)
            elif one.method == "chat.postMessage":
                first.setdefault(number, []).append(one)
        for number, story in enumerate(self.stories):
            if states.get(number) != len(story):
                report.slack_wrong_state.append(number)
        for several in (*said.values(), *first.values()):
            for before, after in pairwise(several):
                report.slack_twice += 1
                report.slack_unexplained += not self._killed_between(before, after)

    def _killed_between(self, before: Accepted, after: Accepted) -> bool:
        return any(
            before.at_s <= at <= min(after.at_s, before.at_s + WINDOW_S) for at in self._killed_at
        )

    def _of_pagerduty(self, report: Report) -> None:
        incidents = dict(self.pagerduty.incidents)
        report.incidents = len(incidents)
        report.incidents_opened_anew = sum(one.opened - 1 for one in incidents.values())
        for number, story in enumerate(self.stories):
            incident = incidents.get(episode_id(number))
            wanted = _ENDS.get(story[-1], "triggered")
            if incident is None or incident.status != wanted:
                report.incidents_wrong_state.append(number)


def episode_id(number: int) -> str:
    return f"ep-{number:040x}"


def _about(message: dict[str, Any]) -> tuple[int, int]:
    found = _NAME.search(message["text"])
    assert found is not None, message["text"]
    return int(found[1]), int(found[2])
