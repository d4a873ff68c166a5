"""A real Prometheus scrapes a real `leeway run`: every role is up, and every metric of the list is there."""

import json
import os
import shutil
import socket
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from streams.broker import Outgoing
from streams.demo.plan import HOUR_MS, Hour, first_days, hours, placed
from streams.demo.play import demo_lifecycle, known_reference
from streams.local_kafka import AnyBroker, free_port
from streams.metrics import METRICS, ROLES
from streams.metrics.__main__ import FOLDER
from streams.metrics.rules import RULES
from tests.children import ended
from tests.integration.running import Deployment
from tests.until import until

PROMETHEUS = shutil.which("prometheus")
pytestmark = [
    pytest.mark.kafka,
    pytest.mark.skipif(
        PROMETHEUS is None,
        reason="prometheus is not installed: deploy/tools, or apt install prometheus",
    ),
]
SOON = timedelta(seconds=90)  # mostly a third of it is enough
_CONFIG = """\
global: {{scrape_interval: 1s, evaluation_interval: 1s, external_labels: {{runbooks: "https://docs.example"}}}}
rule_files: [{rules}]
scrape_configs:
  - job_name: leeway
    static_configs: [{{targets: {targets}}}]
"""


def ports(many: int) -> int:
    """The first of so many free ports in a row."""
    while True:
        first = free_port()
        try:
            for port in range(first, first + many):
                with socket.create_server(("127.0.0.1", port)):
                    pass
        except (OSError, OverflowError):
            continue
        return first


class Prometheus:
    """What a Prometheus on this port of this machine knows."""

    def __init__(self, port: int) -> None:
        self.port = port

    @classmethod
    @contextmanager
    def scraping(cls, targets: list[int], folder: Path) -> "Iterator[Prometheus]":
        """A new one, that scrapes these ports."""
        port, config = free_port(), folder / "prometheus.yaml"
        config.write_text(
            _CONFIG.format(
                rules=json.dumps(str(FOLDER / "prometheus/rules.yaml")),
                targets=json.dumps([f"127.0.0.1:{port}" for port in targets]),
            )
        )
        command = [
            str(PROMETHEUS),
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        with (
            (folder / "prometheus.log").open("wb") as log,
            ended(subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)),
        ):
            yield cls(port)

    def get(self, path: str, **query: str) -> Any:
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return json.load(answer)["data"]
        except OSError as error:
            raise AssertionError(f"not yet: {error}") from None

    def ask(self, expression: str) -> list[dict[str, Any]]:
        """The samples that an expression gives now."""
        found: list[dict[str, Any]] = self.get("query", query=expression)["result"]
        return found


@contextmanager
def leeway_run(config: Path, folder: Path) -> Iterator[None]:
    with (folder / "leeway.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "streams.cli", "run", "--config", str(config)],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "HOOK": "whsec_bm9ib2R5IGxpc3RlbnMgdGhlcmUsIGFuZCB3aWxsIG5vdA=="},
        )
        with ended(process):
            yield


def some_hours() -> list[Hour]:
    """A day in which nothing changes, and what comes of a change."""
    quiet, changed = placed()[:2]
    watched = (
        replace(quiet, start_ms=quiet.end_ms - 24 * HOUR_MS),
        replace(changed, end_ms=changed.start_ms + 12 * HOUR_MS),
    )
    return [made for _, _, made in hours(watched, seed=7)]


@contextmanager
def scraped(
    kafka: AnyBroker, prefix: str, folder: Path
) -> Iterator[tuple[Prometheus, Callable[[], None]]]:
    """Everything at work: the demonstration's stream, all roles, a receiver that does not answer, Prometheus; and what
    sends the first event again."""
    first, http = ports(len(ROLES) - 1), free_port()
    place = Deployment(
        kafka,
        prefix,
        folder,
        http={"port": http},
        metrics={"port": first, "series": "top10"},
        receivers=[
            {
                "name": "team",
                "channel": "Webhook",
                "max_event_age": "3650 days",
                "url": f"http://127.0.0.1:{free_port()}/",
                "secret": {"env": "HOOK"},
            }
        ],
        routing=[{"receivers": ["team"]}],
    )
    lifecycle = demo_lifecycle()
    days = replace(first_days(), start_ms=first_days().end_ms - 48 * HOUR_MS)
    reference = known_reference(lifecycle, [made for *_, made in hours([days], seed=7)])
    place.register([lifecycle], {lifecycle.model_id: reference})
    played = some_hours()
    with leeway_run(place.config, folder):
        writer = place.writer()
        for made in played:
            for kind, events in (("predictions", made.predictions), ("labels", made.labels)):
                for event in events:
                    writer.write(Outgoing(place.names(kind), event.key.encode(), event.value))
        for odd in (
            b"not JSON",
            made.predictions[0].value.replace(b'"employed":true', b'"employed":7'),
        ):
            writer.write(Outgoing(place.names("predictions"), b"", odd))
        writer.flush()

        def again() -> None:
            first_event = played[0].predictions[0]
            writer.write(Outgoing(place.names("predictions"), b"", first_event.value))
            writer.flush()

        targets = [http, *range(first, first + len(ROLES) - 1)]
        with Prometheus.scraping(targets, folder) as prometheus:
            yield prometheus, again


def test_prometheus_finds_every_metric_of_the_list_and_every_rule_holds_for_it(
    kafka: AnyBroker, unique: Callable[[str], str], tmp_path: Path
) -> None:
    with scraped(kafka, unique("scraped"), tmp_path) as (prometheus, again):
        until(lambda: len(prometheus.ask("up == 1")) == len(ROLES), SOON, "four targets up")

        listed = {metric.full_name: metric for metric in METRICS}
        seen: set[str] = set()

        def missing() -> set[str]:
            names = 'count by (__name__) ({__name__=~"leeway_.+"})'
            for sample in prometheus.ask(names):
                name = sample["metric"]["__name__"]
                seen.add(name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count"))
            return listed.keys() - seen

        def waited_for() -> str:
            return f"not yet seen: {sorted(missing())}"

        until(lambda: missing() <= {"leeway_events_late_total"}, SOON, waited_for)
        again()  # its window was judged
        until(lambda: not missing(), SOON, waited_for)
        # prometheus_client adds when each counter and histogram began
        assert {name for name in seen if not name.endswith("_created")} == listed.keys()

        # as OpenMetrics says it, which is asked for first, a counter's name has no _total
        types = {
            name.removesuffix("_total"): of[0]["type"]
            for name, of in prometheus.get("metadata").items()
        }
        assert {name: types[name.removesuffix("_total")] for name in listed} == {
            name: str(metric.kind) for name, metric in listed.items()
        }

        role_at = {
            sample["metric"]["instance"]: sample["metric"]["role"]
            for sample in prometheus.ask("leeway_heartbeat_timestamp_seconds")
        }
        assert sorted(role_at.values()) == sorted(ROLES)
        for sample in prometheus.ask('count by (__name__, instance) ({__name__=~"leeway_.+"})'):
            name, instance = sample["metric"]["__name__"], sample["metric"]["instance"]
            if name in listed:
                assert role_at[instance] in listed[name].by, name

        (predictions,) = prometheus.ask("sum(leeway_model_predictions_total)")
        (read,) = prometheus.ask('sum(leeway_events_total{topic=~".*predictions",instance!=""})')
        assert 0 < float(predictions["value"][1]) <= float(read["value"][1])

        def rules() -> list[dict[str, Any]]:
            (group,) = prometheus.get("rules")["groups"]
            found: list[dict[str, Any]] = group["rules"]
            assert all(rule["health"] != "unknown" for rule in found)
            return found

        loaded = until(rules)
        assert [rule["name"] for rule in loaded] == [rule.name for rule in RULES]
        assert [rule["lastError"] for rule in loaded if "lastError" in rule] == []
        resting = {rule["name"] for rule in loaded if rule["state"] == "inactive"}
        assert {"LeewayRoleDown", "LeewayRestartLoop", "LeewayTransactionsFailing"} <= resting

        # the demonstration plays a past: its events' times stand still, and that is what the rule says of it
        (stalled,) = (rule for rule in loaded if rule["name"] == "LeewayStalled")
        assert [alert["annotations"]["runbook_url"] for alert in stalled["alerts"]][:1] in (
            [],
            ["https://docs.example/operating.md#leewaystalled"],
        )
