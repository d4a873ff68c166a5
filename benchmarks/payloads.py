"""Do the vendors accept whatever we may have to say? Random alerts against the documented rules of every channel.

    python -m benchmarks.payloads [--alerts 10000] [--seed 6]

Hypothesis draws the alerts (`tests.alerting.drawn`: hostile names, extreme numbers, nothing or far too much of it all),
and for every tenth a digest and a shared cause. Every payload is held against the rules in `tests.vendors`; every
twentieth mail also goes through the letter that SMTP would carry. Exit code 1 if one payload is refused. Ten thousand
take about two minutes on one core.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from hypothesis import HealthCheck, Phase, given, seed, settings

from alerting.cloudevents import notification_headers
from alerting.deliver.letter import compose
from alerting.digest import Digest
from alerting.notify import render
from alerting.render import digest as digest_message
from alerting.render import shared as shared_message
from alerting.settings import Receiver
from alerting.shared import Shared
from alerting.types import Alert, Notification
from benchmarks._figures import markdown
from tests.alerting import drawn
from tests.vendors import Rejected, cloudevents, mail, pagerduty, slack

HEAD = ("channel", "payloads", "refused", "largest", "limit", "median time to render")
KIB = 1024
LIMITS = {
    "slack": f"{slack.MESSAGE_LIMIT:,} octets",
    "pagerduty": "512 KiB",
    "email": "64 KiB, on the wire 256 KiB",
    "letter": "256 KiB",
    "webhook": "as the alert",
    "headers": "–",
}
OCTETS = 64 * KIB  # of a notification


@dataclass(slots=True)
class Tally:
    """What became of one channel's payloads."""

    refused: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def _slack(found: Notification) -> None:
    slack.message(found.payload, "post" if "channel" in found.payload else "webhook")
    slack.harmless(found.payload)
    slack.harmless({"text": found.reply or ""})


RULES: dict[str, Callable[[Notification], Any]] = {
    "slack": _slack,
    "pagerduty": lambda found: pagerduty.event(found.payload, keyed=False),
    "email": lambda found: mail.payload(found.payload),
    "webhook": lambda found: cloudevents.event(found.payload),
}


class Panel:
    """Counts over all that was drawn."""

    def __init__(self) -> None:
        self.channels = {name: Tally() for name in LIMITS}

    def hold(self, make: Callable[[], Notification | None]) -> Notification | None:
        """Render one message and hold it against its channel's rules."""
        began = time.perf_counter()
        found = make()
        took = time.perf_counter() - began
        if found is None:
            return None
        tally = self.channels[found.channel]
        tally.seconds.append(took)
        octets = len(msgspec.json.encode(found.payload))
        tally.sizes.append(octets)
        self.judge(tally, lambda: RULES[found.channel](found))
        if found.channel != "webhook" and octets > OCTETS:
            tally.refused.append(f"{octets} octets")
        return found

    def letter(self, found: Notification) -> None:
        """What a mail becomes on the wire."""
        tally = self.channels["letter"]
        began = time.perf_counter()
        letter = compose(found.payload, "leeway@example.org", ("ops@example.org",), 0.0)
        tally.seconds.append(time.perf_counter() - began)
        tally.sizes.append(len(letter.content))
        self.judge(tally, lambda: mail.message(letter.content, len(letter.to)))

    def headers(self, found: Notification, alert: Alert) -> None:
        """The attributes on its record."""
        tally = self.channels["headers"]
        began = time.perf_counter()
        pairs = notification_headers(found, alert)
        tally.seconds.append(time.perf_counter() - began)
        tally.sizes.append(sum(len(name) + len(value) for name, value in pairs))
        self.judge(tally, lambda: cloudevents.headers(pairs))

    @staticmethod
    def judge(tally: Tally, check: Callable[[], Any]) -> None:
        try:
            check()
        except Rejected as refusal:
            tally.refused.append(str(refusal))

    def rows(self) -> Iterator[tuple[str, ...]]:
        for name, tally in self.channels.items():
            median = sorted(tally.seconds)[len(tally.seconds) // 2] if tally.seconds else 0.0
            yield (
                name,
                f"{len(tally.sizes):,}",
                str(len(tally.refused)),
                f"{max(tally.sizes, default=0):,}",
                LIMITS[name],
                f"{median * 1e6:.0f} µs",
            )


def draw(panel: Panel, alerts: int, start: int) -> None:
    """Draw so many alerts, and hold everything that is made of them against the rules."""
    few = max(1, alerts // 10)
    usual = settings(
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    drawn_so_far = 0

    @seed(start)
    @settings(usual, max_examples=alerts)
    @given(drawn.alerts(), drawn.slack_receivers, drawn.mail_receivers)
    def each_alert(alert: Alert, slack_receiver: Receiver, mail_receiver: Receiver) -> None:
        nonlocal drawn_so_far
        drawn_so_far += 1
        for receiver in (slack_receiver, drawn.PAGERDUTY, mail_receiver, drawn.WEBHOOK):
            found = panel.hold(lambda to=receiver: render(to, alert))  # type: ignore[misc]
            if found is not None and drawn_so_far % 20 == 0:
                panel.headers(found, alert)
                if found.channel == "email":
                    panel.letter(found)

    @seed(start)
    @settings(usual, max_examples=few)
    @given(drawn.digests(), drawn.slack_receivers, drawn.mail_receivers)
    def each_digest(digest: Digest, slack_receiver: Receiver, mail_receiver: Receiver) -> None:
        for receiver in (slack_receiver, mail_receiver):
            panel.hold(lambda to=receiver: digest_message.notification(to, digest))  # type: ignore[misc]

    @seed(start)
    @settings(usual, max_examples=few)
    @given(drawn.shared_causes(), drawn.slack_receivers, drawn.mail_receivers)
    def each_shared(shared: Shared, slack_receiver: Receiver, mail_receiver: Receiver) -> None:
        for receiver in (slack_receiver, mail_receiver):
            panel.hold(lambda to=receiver: shared_message.notification(to, shared))  # type: ignore[misc]

    each_alert()
    each_digest()
    each_shared()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--alerts", type=int, default=10_000, help="how many (10,000)")
    parser.add_argument("--seed", type=int, default=6)
    options = parser.parse_args(arguments)
    panel = Panel()
    draw(panel, options.alerts, options.seed)
    for line in markdown(HEAD, list(panel.rows())):
        print(line)
    refused = [f"{name}: {why}" for name, tally in panel.channels.items() for why in tally.refused]
    for why in refused[:10]:
        print(f"refused: {why[:300]}", file=sys.stderr)
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
