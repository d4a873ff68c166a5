"""Who hears of alerts: the routes and receivers of the service file, on the log, and what judges make of them."""

from functools import cache
from pathlib import Path

import msgspec
import pytest

from alerting.settings import Mute, Receiver, RoutingRule
from streams import routing
from streams.broker import Record
from streams.memory import MemoryLog
from streams.registry import Registry
from streams.routing import Routing, routing_record
from streams.service import load_service
from tests.builders import (
    NAMES,
    documents,
    judge,
    lifecycle,
    logged,
    profile,
    reference,
    stream,
)

SLACK = Receiver("slack", "slack", "#ml")
OPS = Receiver("ops", "slack", "#ops", buttons=True)
FULL = Routing(
    receivers=(OPS, Receiver("mail", "email", to=("a@example.com",), send_resolved=False)),
    routing=(
        RoutingRule(
            kinds=("data_drift",),
            severities=("warning",),
            receivers=("ops",),
            repeat_ms=1000,
            mute=Mute((5, 6), (1320, 360)),
            go_on=True,
        ),
    ),
    console="https://leeway.example",
    runbook="https://wiki.example/drift",
)


def record(value: bytes | None) -> Record:
    return Record(NAMES("models"), 0, 0, None, b"routing", value)


def test_the_record_says_all_of_it_and_its_revision_changes_with_it() -> None:
    written = routing_record(NAMES, FULL)
    assert (written.key, written.partition) == (b"routing", 0)
    assert written.value is not None
    assert routing.decode(written.value) == FULL
    document = msgspec.json.decode(written.value)
    assert list(document)[:3] == ["revision", "routing", "receivers"]
    assert document["revision"] == FULL.revision != Routing().revision


def test_the_registry_keeps_the_last_one_and_leaves_it_where_another_cannot_be_read() -> None:
    registry = Registry()

    def said(*values: bytes | None) -> Routing | None:
        before = registry.revision
        registry.apply([record(value) for value in values])
        assert registry.revision > before, "what was compiled is stale"
        return registry.routing

    assert said(routing.encode(FULL), b'{"receivers": 1}') == FULL
    assert registry.unreadable == 1
    assert said(None) is None


@cache
def drifting() -> MemoryLog:
    """Counts of a model whose inputs move after a while."""
    window = {"size": "5m", "lateness": "1m", "pane": "1m"}
    of = lifecycle(monitoring={"window": window, "false_alarms": "1 per day"})
    quiet = stream(2_500, seed=5, step_ms=1_200)
    moved = stream(1_500, seed=6, step_ms=1_200, shift=2.0, start_ms=quiet[-1]["timestamp"] + 1_200)
    log = logged([*quiet, *moved], (of, reference(of, stream(10_000, seed=99))))
    profile(log)
    return log


def judged(*said: Routing) -> MemoryLog:
    """What a judge, who was started with `slack` alone, makes of it after these were written."""
    log = MemoryLog()
    for name in ("models", "profiles", "state", "commands", "results", "alerts", "alerts.slack"):
        log.create(NAMES(name), 1)
    for name in ("alerts.pagerduty", "alerts.email", "retraining"):
        log.create(NAMES(name), 1)
    for each in said:
        written = routing_record(NAMES, each)
        log.append(written.topic, written.value, written.key, partition=0)
    for name in ("models", "profiles"):
        for kept in drifting().read(NAMES(name)):
            log.append(kept.topic, kept.value, kept.key, partition=0, headers=kept.headers)
    judge(log, [SLACK])
    return log


def told(log: MemoryLog) -> tuple[set[str], set[str | None]]:
    """Who heard of the drift, and what is linked."""
    alerts = [alert for alert in documents(log, "alerts") if alert["kind"] == "data_drift"]
    heard = {name for alert in alerts for name in alert["delivery"]["receivers"]}
    return heard, {alert["links"]["runbook"] for alert in alerts}


def test_the_log_wins_over_what_a_judge_was_started_with() -> None:
    assert told(judged()) == ({"slack"}, {None})
    route = RoutingRule(kinds=("data_drift",), receivers=("ops",))
    said = Routing((OPS, SLACK), (route,), runbook="https://wiki.example/drift")
    log = judged(Routing(), said)
    assert told(log) == ({"ops"}, {"https://wiki.example/drift"})
    sent = documents(log, "alerts.slack")
    assert {one["receiver"] for one in sent} == {"ops"}
    assert {one["payload"]["channel"] for one in sent} == {"#ops"}


def test_nobody_hears_where_the_log_says_that_there_is_nobody() -> None:
    assert told(judged(Routing())) == (set(), {None})


SERVICE = """
receivers:
  - {name: slack, channel: Slack, target: "#ml", token: {env: TOKEN}, signing_secret: {env: SIGNING}}
  - {name: hook, channel: Slack, webhook: {env: HOOK}, send_resolved: false}
  - {name: pager, channel: PagerDuty, routing_key: {env: KEY}, url: "http://127.0.0.1:9/v2/enqueue"}
  - name: mail
    channel: Email
    host: smtp.example
    from: leeway@example.com
    to: [a@example.com]
    username: leeway
    password: {env: PW}
  - {name: own, channel: Webhook, url: {env: OWN_URL}, secret: {env: OWN}}
  - {name: other, channel: Slack, target: "#later"}
routing:
  - match: {kind: [data_drift, pipeline], severity: Warning, model_id: m, owner: o, environment: Staging, segment: all}
    receivers: [slack, mail]
    repeat: 6h
    mute: {days: [Saturday, sunday], hours: "22:00-06:00"}
    continue: true
  - {receivers: [hook]}
links: {console: "https://leeway.example", runbooks: "https://wiki.example/drift"}
"""
SECRETS = {
    "TOKEN": "xoxb-1", "SIGNING": "signs", "HOOK": "https://hooks.example/1", "KEY": "R1", "PW": "hunter2",
    "OWN_URL": "https://own.example/x", "OWN": "whsec_c2VjcmV0",
}  # fmt: skip


def test_what_the_service_file_says_is_what_judges_know_but_for_secrets(tmp_path: Path) -> None:
    (tmp_path / "leeway.yaml").write_text(SERVICE)
    public = load_service(tmp_path / "leeway.yaml", {}).public
    first, second = public.routing
    assert first == RoutingRule(
        kinds=("data_drift", "pipeline"),
        severities=("warning",),
        models=("m",),
        owners=("o",),
        environments=("Staging",),
        segments=("all",),
        receivers=("slack", "mail"),
        repeat_ms=6 * 3_600_000,
        mute=Mute((5, 6), (22 * 60, 6 * 60)),
        go_on=True,
    )
    assert second == RoutingRule(receivers=("hook",))
    known = {receiver.name: receiver for receiver in public.receivers}
    assert list(known) == ["slack", "hook", "pager", "mail", "other"]
    assert known["slack"].buttons
    assert not known["hook"].buttons
    assert known["mail"].to == ("a@example.com",)
    assert (public.console, public.runbook) == (
        *("https://leeway.example", "https://wiki.example/drift"),
    )
    text = routing.encode(public).decode()
    assert not any(name in text for name in (*SECRETS, *SECRETS.values()))


def test_destinations_have_their_secrets_and_show_them_nowhere(tmp_path: Path) -> None:
    (tmp_path / "leeway.yaml").write_text(SERVICE)
    service = load_service(tmp_path / "leeway.yaml", {})
    found = {one.name: one for one in service.destinations(SECRETS)}
    assert list(found) == ["slack", "hook", "pager", "mail", "own"], (
        "who lacks a secret is left out"
    )
    assert (found["slack"].token, found["hook"].webhook) == ("xoxb-1", "https://hooks.example/1")
    assert (found["pager"].routing_key, found["pager"].url) == ("R1", "http://127.0.0.1:9/v2/enqueue")  # fmt: skip
    mail = found["mail"]
    assert (mail.password, mail.sender, mail.to) == ("hunter2", "leeway@example.com", ("a@example.com",))  # fmt: skip
    assert (found["own"].url, found["own"].secret) == ("https://own.example/x", "whsec_c2VjcmV0")
    assert service.signing_secrets(SECRETS) == ("signs",)
    assert not any(secret in repr(found) for secret in SECRETS.values())


@pytest.mark.parametrize(
    ("text", "environment", "says"),
    [
        ("", {}, False),
        ("brokers: a:1\nhttp: {port: 1}", {"LEEWAY_BROKERS": "b:1"}, False),
        ("receivers: []", {}, True),
        ("routing: []", {}, True),
        ("links: {console: 'https://leeway.example'}", {}, False),
        ("", {"LEEWAY_RECEIVERS_SLACK_TARGET": "#ml"}, True),
        ("", {"LEEWAY_LINKS_CONSOLE": "https://leeway.example"}, False),
    ],
)
def test_who_only_names_a_kafka_says_nothing_about_who_hears(
    tmp_path: Path, text: str, environment: dict[str, str], says: bool
) -> None:
    (tmp_path / "leeway.yaml").write_text(text)
    assert load_service(tmp_path / "leeway.yaml", environment).says_who_hears is says
