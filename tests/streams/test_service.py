"""The service file and LEEWAY_ variables: every key, every mistake, and no secret anywhere."""

from datetime import timedelta
from pathlib import Path

import pytest

from streams.errors import LeewayError, LifecycleError, UsageError
from streams.service import Service, load_service

TOKEN = "xoxb-hunter2"


def written(folder: Path, text: str) -> Path:
    path = folder / "leeway.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def mistakes(folder: Path, text: str) -> list[str]:
    """The lines for a service file, without its name."""
    path = written(folder, text)
    with pytest.raises(LifecycleError) as error:
        load_service(path, {})
    return [line.removeprefix(f"{path}:") for line in error.value.mistakes]


COMPLETE = """
brokers: [a.example:9092, b.example:9092]
kafka:
  security.protocol: SASL_SSL
  sasl.username: leeway
  sasl.password: {env: KAFKA_PASSWORD}
  client.rack: eu-1
  log.queue: false
topics: {prefix: "ml.", partitions: 24, replication: 2, create: false}
receivers:
  - name: slack
    channel: Slack
    target: "#ml-alerts"
    token: {env: SLACK_TOKEN}
    signing_secret: {env: SIGNING}
    rate: 1 per second
    fallback: mail
  - {name: hook, channel: Slack, webhook: {env: HOOK}, send_resolved: false}
  - name: pager
    channel: PagerDuty
    routing_key: {env: KEY}
    url: "http://127.0.0.1:9/v2/enqueue"
    max_event_age: 12h
  - name: mail
    channel: Email
    host: smtp.example
    port: 587
    tls: starttls
    username: leeway
    password: {env: MAIL}
    from: leeway@example.com
    to: [team@example.com]
  - {name: own, channel: Webhook, url: "https://hooks.example/leeway", secret: {env: OWN}}
routing:
  - match:
      kind: data_drift
      severity: [Warning, Error]
      model_id: m
      owner: o
      environment: Staging
      segment: all
    receivers: [slack]
    repeat: 6h
    mute: {days: [Saturday, sunday], hours: "22:00-06:00"}
    continue: true
http: {host: 0.0.0.0, port: 80, tokens_file: tokens.txt}
metrics: {port: 0, series: top10}
limits: {event_bytes: 1000, depth: 8, segments: 10, unregistered_models: 5, bad_share: 5%}
links: {console: "https://leeway.example", runbooks: "https://wiki.example"}
events: {mode: structured}
"""


def test_every_key_of_the_file_is_read(tmp_path: Path) -> None:
    service = load_service(written(tmp_path, COMPLETE), {"KAFKA_PASSWORD": "hunter2"})
    assert service.brokers == "a.example:9092,b.example:9092"
    assert service.properties == {
        "bootstrap.servers": "a.example:9092,b.example:9092",
        "security.protocol": "SASL_SSL",
        "sasl.username": "leeway",
        "sasl.password": "hunter2",
        "client.rack": "eu-1",
        "log.queue": "false",
    }
    topics = service.topics
    assert (topics.prefix, topics.partitions, topics.replication, topics.create) == ("ml.", 24, 2, False)  # fmt: skip
    assert [(each.name, each.channel) for each in service.receivers] == [
        *(("slack", "slack"), ("hook", "slack"), ("pager", "pagerduty"), ("mail", "email"), ("own", "webhook")),
    ]  # fmt: skip
    assert service.receivers[2].max_event_age == timedelta(hours=12)
    (route,) = service.routing
    assert route.match.severity == ("warning", "error")
    assert route.continue_
    assert route.mute is not None
    assert route.mute.days == ("Saturday", "Sunday")
    assert route.mute.hours == (22 * 60, 6 * 60)
    http = service.http
    assert (http.host, http.port, http.tokens_file) == ("0.0.0.0", 80, Path("tokens.txt"))
    assert (service.metrics.port, service.metrics.series) == (0, "top10")
    assert (service.limits.event_bytes, service.limits.bad_share) == (1000, 0.05)
    assert (service.links.console, service.events.mode) == ("https://leeway.example", "structured")


def test_judges_know_receivers_without_their_secrets_and_no_webhooks(tmp_path: Path) -> None:
    service = load_service(written(tmp_path, COMPLETE), {"KAFKA_PASSWORD": "x"})
    known = {each.name: each for each in service.public_receivers}
    assert list(known) == ["slack", "hook", "pager", "mail"]
    assert (known["slack"].target, known["slack"].threads) == ("#ml-alerts", True)
    assert (known["hook"].threads, known["hook"].send_resolved) == (False, False)


def test_without_receivers_there_is_one_for_each_channel() -> None:
    receivers = load_service(None, {}).public_receivers
    assert [(each.name, each.channel) for each in receivers] == [
        *(("slack", "slack"), ("pagerduty", "pagerduty"), ("email", "email")),
    ]  # fmt: skip


def test_brokers_alone_are_enough() -> None:
    service = load_service(None, {"LEEWAY_BROKERS": "localhost:9092"})
    assert service.properties == {"bootstrap.servers": "localhost:9092"}
    assert service.topics.replication is None
    topics = service.topics
    assert (topics.prefix, topics.partitions, topics.create) == ("leeway.", 12, True)
    assert (service.http.host, service.http.port, service.metrics.port) == ("127.0.0.1", 8080, 9464)


def test_without_brokers_the_error_says_how_to_give_them() -> None:
    with pytest.raises(UsageError, match="set LEEWAY_BROKERS or --brokers"):
        _ = load_service(None, {}).properties


def test_the_file_of_the_working_directory_is_read_unless_another_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_service(None, {}).brokers == ""
    written(tmp_path, "brokers: here:1")
    (tmp_path / "other.yaml").write_text("brokers: there:1", encoding="utf-8")
    assert load_service(None, {}).brokers == "here:1"
    assert load_service(Path("other.yaml"), {}).brokers == "there:1"
    with pytest.raises(UsageError, match="no such file"):
        load_service(Path("none.yaml"), {})


def test_variables_are_stronger_than_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, COMPLETE)
    environment = {
        "KAFKA_PASSWORD": "x",
        "LEEWAY_BROKERS": "c:1",
        "LEEWAY_TOPICS_PREFIX": "other.",
        "LEEWAY_TOPICS_CREATE": "true",
        "LEEWAY_HTTP_TOKENS_FILE": "/run/tokens",
        "LEEWAY_HTTP_PORT": "81",
        "LEEWAY_METRICS_SERIES": "off",
        "LEEWAY_LINKS_CONSOLE": "https://elsewhere.example",
        "LEEWAY_EVENTS_MODE": "binary",
        "LEEWAY_LIMITS_DEPTH": "16",
        "LEEWAY_RECEIVERS_SLACK_TARGET": "#other",
        "LEEWAY_RECEIVERS_MAIL_TO": "a@example.com",
        "LEEWAY_KAFKA_SECURITY_PROTOCOL": "PLAINTEXT",
        "LEEWAY_KAFKA_SSL_CA_LOCATION": "/ca.pem",
        "LEEWAY_LOG_LEVEL": "debug",
    }
    service = load_service(path, environment)
    assert (service.brokers, service.topics.prefix, service.topics.create) == ("c:1", "other.", True)  # fmt: skip
    assert (service.http.tokens_file, service.http.port) == (Path("/run/tokens"), 81)
    assert (service.metrics.series, service.events.mode, service.limits.depth) == ("off", "binary", 16)  # fmt: skip
    assert service.links.console == "https://elsewhere.example"
    assert service.receivers[0].target == "#other"
    assert service.receivers[3].to == ("a@example.com",)
    assert service.properties["security.protocol"] == "PLAINTEXT"
    assert service.properties["ssl.ca.location"] == "/ca.pem"


def test_a_secret_comes_from_a_variable_or_from_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(f"  {TOKEN}\n", encoding="utf-8")
    by_file = {"LEEWAY_BROKERS": "a:1", "LEEWAY_KAFKA_SASL_PASSWORD_FILE": str(secret)}
    assert load_service(None, by_file).properties["sasl.password"] == TOKEN
    plain = {"LEEWAY_BROKERS": "a:1", "LEEWAY_KAFKA_SASL_PASSWORD": TOKEN}
    assert load_service(None, plain).properties["sasl.password"] == TOKEN
    for environment in (
        {"LEEWAY_RECEIVERS_SLACK_TOKEN_FILE": str(secret)},
        {"LEEWAY_RECEIVERS_SLACK_TOKEN": TOKEN},
    ):
        token = load_service(None, environment).receivers[0].token
        assert token is not None
        assert token.reveal(environment) == TOKEN


def test_no_secret_is_in_any_text_of_the_service(tmp_path: Path) -> None:
    environment = {
        "LEEWAY_BROKERS": "a:1",
        "LEEWAY_KAFKA_SASL_PASSWORD": TOKEN,
        "LEEWAY_KAFKA_SSL_KEY_PASSWORD": TOKEN,
        "LEEWAY_RECEIVERS_SLACK_TOKEN": TOKEN,
        "LEEWAY_RECEIVERS_PAGERDUTY_URL": f"https://events.example/{TOKEN}",
    }
    service = load_service(None, environment)
    for text in (repr(service), str(service), repr(service.properties), f"{service.kafka}"):
        assert TOKEN not in text


@pytest.mark.parametrize(
    "text",
    [
        f"receivers: [{{name: a, channel: Slack, token: {TOKEN}}}]",
        f"receivers: [{{name: a, channel: Slack, token: {{text: {TOKEN}}}}}]",
        f"receivers: [{{name: a, channel: Slack, token: [{TOKEN}]}}]",
        f"receivers: [{{name: a, channel: Slack, webhook: https://hooks.example/{TOKEN}}}]",
        f"receivers: [{{name: a, channel: Webhook, url: ftp://{TOKEN}}}]",
        f"receivers: [{{name: a, channel: Slack, token: > {TOKEN}}}]",
        f"receivers: [{{name: a, channel: Slack, token: a: {TOKEN}}}]",
        f"receivers: [{{name: a, channel: Slack, token: !{TOKEN} x}}]".replace(f"!{TOKEN}", "!x"),
        f"kafka: {{sasl.password: {TOKEN}}}",
        f"kafka: {{sasl.oauthbearer.client.secret: {TOKEN}}}",
        f"kafka: {{ssl.key.pem: {TOKEN}}}",
        f"kafka: {{client.id: [{TOKEN}]}}",
        f"kafka: {TOKEN}",
    ],
)
def test_no_secret_is_in_any_mistake(tmp_path: Path, text: str) -> None:
    assert TOKEN not in "\n".join(mistakes(tmp_path, text))


def test_a_secret_in_plain_text_has_exactly_its_line(tmp_path: Path) -> None:
    text = "brokers: a:1\n\n\n\n\n\nreceivers:\n- name: a\n  channel: Slack\n  target: x\n"
    text = text.replace("\n  channel: Slack", f"\n  token:     {TOKEN}\n  channel: Slack")
    assert mistakes(tmp_path, text) == [
        "9:14: receivers[0].token: a secret in plain text: expected {env: NAME} or {file: PATH}"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "broker: a:1",
            '1:1: broker: is not a key of the service file: '
            'expected a known key; did you mean "brokers"?',
        ),
        ("brokers: a b", '1:10: brokers: "a b" is not an address: expected HOST:PORT, several joined by commas'),
        (
            "prefix: x",
            '1:1: prefix: is not a key of the service file: '
            'expected a known key; did you mean "topics.prefix"?',
        ),
        (
            "topics: {partitions: 0}",
            "1:22: topics.partitions: 0 is too small: "
            "expected a whole number from 1 to 10,000",
        ),
        ("http: {port: 99999}", "1:14: http.port: 99999 is too large: expected a whole number from 0 to 65,535"),
        ("http: 8080", "1:7: http: 8080 is not a mapping: expected a mapping of host, port or tokens_file"),
        ("metrics: {series: all}", '1:19: metrics.series: "all" is not a choice of series: expected off or top10'),
        (
            "links: {console: http://x.example}",
            "1:18: links.console: is plain http: "
            "expected https, or http to this machine",
        ),
        ("kafka: {group.id: x}", "1:19: kafka.group.id: is set by Leeway: expected it to be left out"),
        (
            "kafka: {bootstrap.servers: x}",
            "1:28: kafka.bootstrap.servers: is set by Leeway: "
            "expected brokers instead",
        ),
        (
            "kafka: {Acks: 1}",
            "1:15: kafka.Acks: is not a librdkafka property: "
            "expected a name such as security.protocol",
        ),
        ("receivers: {name: a}", "1:12: receivers: a mapping is not a list: expected a list; write [ ] around it"),
        ("receivers: [{name: a}]", "1:13: receivers[0].channel: is missing: expected a value"),
        (
            "receivers: [{name: a, channel: Teams}]",
            '1:32: receivers[0].channel: "Teams" is not a channel: expected Slack, PagerDuty, Email or Webhook',
        ),
        (
            "receivers: [{name: a, channel: PagerDuty, token: {env: X}}]",
            "1:50: receivers[0].token: is not a key of a PagerDuty receiver: expected one of routing_key, url",
        ),
        (
            "receivers: [{name: a, channel: Slack, token: {env: X}}]",
            '1:13: receivers[0].target: is missing: expected the channel, such as "#ml-alerts"',
        ),
        (
            "receivers: [{name: a, channel: Slack, target: c, token: {env: X}, webhook: {env: Y}}]",
            "1:76: receivers[0].webhook: there is a token, too: expected one of the two",
        ),
        (
            "receivers: [{name: a, channel: Slack}, {name: a, channel: Slack}]",
            '1:47: receivers[1].name: "a" is the name of another receiver: expected each name once',
        ),
        (
            "receivers: [{name: a, channel: Slack, fallback: b}]",
            '1:49: receivers[0].fallback: "b" is not a receiver: expected the name of another one',
        ),
        (
            f"receivers: [{{name: a, channel: Email, host: h, from: a@b, to: [{', '.join(['a@b'] * 101)}]}}]",
            "1:63: receivers[0].to: has 101 addresses: expected at most 100, or a list",
        ),
        (
            "routing: [{receivers: [slak]}]",
            '1:24: routing[0].receivers[0]: "slak" is not a receiver: '
            'expected the name of another one; did you mean "slack"?',
        ),
        (
            "routing: [{mute: {hours: 22-6}}]",
            '1:26: routing[0].mute.hours: "22-6" are not hours of the day: '
            'expected hours such as 22:00-06:00',
        ),
        (
            "routing: [{match: {kind: drift}}]",
            '1:26: routing[0].match.kind: "drift" is not a kind of problem: '
            'expected data_drift, prediction_drift, concept_drift, '
            'performance, data_quality, label_health, operational, pipeline or version_regression',
        ),
        ("http: {port: 1}\nhttp: {port: 2}", "2:1: http: is given twice: expected each key once (first on line 1)"),
        ("- a", "1:1: is not a mapping: expected keys such as brokers"),
        ("brokers: a:1\n---\nbrokers: b:1", "3:1: a second document: expected one"),
    ],
)  # fmt: skip
def test_each_mistake_has_its_line(tmp_path: Path, text: str, expected: str) -> None:
    assert mistakes(tmp_path, text) == [expected]


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = "topics: {prefx: a}\nhttp: {port: x}\nhttp: {}\nreceivers: [{name: a, channel: Slack, token: x}]"
    assert [line.split(": ")[0] for line in mistakes(tmp_path, text)] == ["1:10", "2:14", "3:1", "4:46"]  # fmt: skip


def test_an_empty_file_says_nothing(tmp_path: Path) -> None:
    assert load_service(written(tmp_path, "# nothing\n"), {}) == load_service(None, {})


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"LEEWAY_HTTP_PORT": "x"}, 'LEEWAY_HTTP_PORT: "x" is not a number'),
        ({"LEEWAY_TOPICS_PREFX": "x"}, 'LEEWAY_TOPICS_PREFX: prefx is not a key of topics.*did you mean "prefix"'),
        ({"LEEWAY_TOPICS_CREATE": "maybe"}, 'LEEWAY_TOPICS_CREATE: "maybe" is not true or false'),
        ({"LEEWAY_RECEIVERS_TEAMS_TOKEN": TOKEN}, "LEEWAY_RECEIVERS_TEAMS_TOKEN: names no receiver"),
        ({"LEEWAY_RECEIVERS_SLACK_TOKN": TOKEN}, "LEEWAY_RECEIVERS_SLACK_TOKN: tokn is not a key of a receiver"),
        ({"LEEWAY_RECEIVERS_SLACK_URL": f"http://{TOKEN}"}, "is not a secret|is plain http"),
        ({"LEEWAY_KAFKA_GROUP_ID": "x"}, "LEEWAY_KAFKA_GROUP_ID: is set by Leeway"),
        ({"LEEWAY_KAFKA_SASL_PASSWORD_FILE": "/none"}, "a secret is missing: /none cannot be read"),
        ({"LEEWAY_KAFKA_SASL_PASSWORD": " "}, "set the environment variable LEEWAY_KAFKA_SASL_PASSWORD"),
        ({"LEEWAY_BROKERS": "http://x:1/y"}, "LEEWAY_BROKERS"),
        ({"LEEWAY_ROUTING_REPEAT": "x"}, "LEEWAY_ROUTING_REPEAT"),
    ],
)  # fmt: skip
def test_a_wrong_variable_is_named_and_no_secret_is_quoted(
    environment: dict[str, str], expected: str
) -> None:
    with pytest.raises(LeewayError, match=expected) as error:
        load_service(None, environment)
    assert TOKEN not in str(error.value)


def test_a_secret_that_is_missing_is_told_where_it_is_needed(tmp_path: Path) -> None:
    text = "brokers: a:1\nreceivers: [{name: s, channel: Slack, webhook: {env: NONE}}]"
    service: Service = load_service(written(tmp_path, text), {})
    webhook = service.receivers[0].webhook
    assert webhook is not None
    with pytest.raises(UsageError, match="set the environment variable NONE"):
        webhook.reveal({})
    with pytest.raises(UsageError, match="set the environment variable NONE"):
        load_service(written(tmp_path, "kafka: {sasl.password: {env: NONE}}"), {})
