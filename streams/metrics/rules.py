"""When should somebody look after Leeway itself? Alert rules for Prometheus, each with a case where it fires and one
where it does not.

They go through Prometheus and Alertmanager, never through Leeway: who is down cannot say so. `python -m
streams.metrics` writes them to `deploy/prometheus/`; `promtool test rules` tries them.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

# Where the documentation is published is not known here: Prometheus' external label `runbooks` says it.
RUNBOOK = '{{ or $externalLabels.runbooks "docs" }}/operating.md#'


@dataclass(frozen=True, slots=True)
class Case:
    """Samples, one a minute from time 0 on, in the notation of `promtool test rules`; and when to look.

    `labels` are those of the alert that fires then; None: none does.
    """

    series: Mapping[str, str]
    at: str
    labels: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One alert. `lasting`: for how long the expression has to hold before it fires."""

    name: str
    severity: str  # as Leeway's own alerts: info, warning, error, critical
    lasting: str
    expression: str
    summary: str
    description: str
    fires: Case
    rests: Case

    @property
    def anchor(self) -> str:
        """The heading of its runbook, as GitHub links to it."""
        return self.name.lower()


RULES = (
    Rule(
        "LeewayRoleDown",
        "critical",
        "1m",
        "time() - max by (role) (max_over_time(leeway_heartbeat_timestamp_seconds[1d])) > 60\n"
        "or max by (role) (time() - leeway_heartbeat_timestamp_seconds) > 60",
        "No {{ $labels.role }} of Leeway is at work.",
        "The last sign of life is {{ $value | humanizeDuration }} old: the process is gone, or hangs.",
        Case(
            {'leeway_heartbeat_timestamp_seconds{role="judge"}': "0+60x5 _x10"},
            "10m",
            {"role": "judge"},
        ),
        Case({'leeway_heartbeat_timestamp_seconds{role="judge"}': "0+60x20"}, "15m"),
    ),
    Rule(
        "LeewayStalled",
        "error",
        "5m",
        "time() - max by (topic) (leeway_watermark_timestamp_seconds) > 600\n"
        "and on (topic) sum by (topic) (rate(leeway_events_total[5m])) > 0",
        "Events of {{ $labels.topic }} arrive, but their time stands still.",
        "The newest event time is {{ $value | humanizeDuration }} old. No window can be judged until it moves.",
        Case(
            {
                'leeway_watermark_timestamp_seconds{topic="t",partition="0"}': "0x40",
                'leeway_events_total{topic="t"}': "0+60x40",
            },
            "20m",
            {"topic": "t"},
        ),
        Case(
            {
                'leeway_watermark_timestamp_seconds{topic="t",partition="0"}': "0x40",
                'leeway_events_total{topic="t"}': "60x40",
            },
            "20m",
        ),
    ),
    Rule(
        "LeewayLagHigh",
        "warning",
        "10m",
        "max by (role, topic) (leeway_lag_seconds) > 120",
        "The {{ $labels.role }} is behind on {{ $labels.topic }}.",
        "What it reads was written {{ $value | humanizeDuration }} ago.",
        Case(
            {'leeway_lag_seconds{role="profiler",topic="t"}': "0+60x40"},
            "14m",
            {"role": "profiler", "topic": "t"},
        ),
        Case({'leeway_lag_seconds{role="profiler",topic="t"}': "0+60x8 0x40"}, "14m"),
    ),
    Rule(
        "LeewayNoEvents",
        "warning",
        "15m",
        "sum(rate(leeway_events_total[15m])) == 0",
        "Nothing at all arrives.",
        "For half an hour no topic that a lifecycle reads has brought an event.",
        Case({'leeway_events_total{topic="t"}': "60x60"}, "40m", {}),
        Case({'leeway_events_total{topic="t"}': "0+1x60"}, "40m"),
    ),
    Rule(
        "LeewayRejecting",
        "warning",
        "10m",
        "sum by (topic) (rate(leeway_events_invalid_total[10m]))\n"
        "/ on (topic) sum by (topic) (rate(leeway_events_total[10m])) > 0.01",
        "Events of {{ $labels.topic }} are refused.",
        "{{ $value | humanizePercentage }} of them are dead letters.",
        Case(
            {
                'leeway_events_invalid_total{topic="t",reason="not_json"}': "0+2x40",
                'leeway_events_total{topic="t"}': "0+100x40",
            },
            "25m",
            {"topic": "t"},
        ),
        Case(
            {
                'leeway_events_invalid_total{topic="t",reason="not_json"}': "0+1x40",
                'leeway_events_total{topic="t"}': "0+200x40",
            },
            "25m",
        ),
    ),
    Rule(
        "LeewayDeadLettersGrowing",
        "info",
        "15m",
        "sum by (topic, reason) (increase(leeway_events_invalid_total[1h])) > 100",
        "More and more of {{ $labels.topic }} cannot be read: {{ $labels.reason }}.",
        "{{ $value | humanize }} events became dead letters within an hour.",
        Case(
            {'leeway_events_invalid_total{topic="t",reason="not_json"}': "0+4x120"},
            "60m",
            {"topic": "t", "reason": "not_json"},
        ),
        Case({'leeway_events_invalid_total{topic="t",reason="not_json"}': "0+1x120"}, "60m"),
    ),
    Rule(
        "LeewayTransactionsFailing",
        "error",
        "5m",
        'sum by (role) (increase(leeway_transactions_total{outcome!="committed"}[10m])) > 3',
        "Transactions of the {{ $labels.role }} fail.",
        "{{ $value | humanize }} did not commit within ten minutes. Nothing is lost: they are done again.",
        Case(
            {'leeway_transactions_total{role="judge",outcome="aborted"}': "0+1x30"},
            "15m",
            {"role": "judge"},
        ),
        Case(
            {
                'leeway_transactions_total{role="judge",outcome="committed"}': "0+60x30",
                'leeway_transactions_total{role="judge",outcome="aborted"}': "0x5 1x25",
            },
            "15m",
        ),
    ),
    Rule(
        "LeewayRestartLoop",
        "error",
        "0m",
        "max by (role) (increase(leeway_restarts_total[15m])) > 3\n"
        "or max by (role) (changes(process_start_time_seconds[15m])\n"
        "  * on (job, instance) group_left (role) (leeway_heartbeat_timestamp_seconds > bool 0)) > 3",
        "The {{ $labels.role }} ends again and again.",
        "It was started {{ $value | humanize }} times within fifteen minutes.",
        Case(
            {
                'process_start_time_seconds{job="leeway",instance="a"}': "60+60x20",
                'leeway_heartbeat_timestamp_seconds{job="leeway",instance="a",role="judge"}': "1+60x20",
            },
            "15m",
            {"role": "judge"},
        ),
        Case(
            {
                'leeway_restarts_total{role="judge"}': "0x10 1x10",
                'process_start_time_seconds{job="leeway",instance="a"}': "0x10 600x10",
                'leeway_heartbeat_timestamp_seconds{job="leeway",instance="a",role="judge"}': "1+60x20",
            },
            "15m",
        ),
    ),
    Rule(
        "LeewayNotificationsFailing",
        "error",
        "15m",
        "sum by (sink) (rate(leeway_notifications_failed_total[15m]))\n"
        "/ on (sink) (sum by (sink) (rate(leeway_notifications_total[15m]))\n"
        "  + on (sink) sum by (sink) (rate(leeway_notifications_failed_total[15m]))) > 0.01",
        "Messages by {{ $labels.sink }} fail.",
        "{{ $value | humanizePercentage }} of the attempts did not arrive.",
        Case(
            {
                'leeway_notifications_failed_total{sink="slack",reason="auth"}': "0+1x60",
                'leeway_notifications_total{sink="slack"}': "0x60",
            },
            "40m",
            {"sink": "slack"},
        ),
        Case(
            {
                'leeway_notifications_failed_total{sink="slack",reason="auth"}': "0x60",
                'leeway_notifications_total{sink="slack"}': "0+1x60",
            },
            "40m",
        ),
    ),
    Rule(
        "LeewayNotificationBacklog",
        "error",
        "1m",
        "time() - max by (receiver) (leeway_notification_oldest_timestamp_seconds) > 300",
        "{{ $labels.receiver }} is not told.",
        "The oldest news that waits for it is {{ $value | humanizeDuration }} old.",
        Case(
            {'leeway_notification_oldest_timestamp_seconds{receiver="team"}': "60x20"},
            "10m",
            {"receiver": "team"},
        ),
        Case(
            {'leeway_notification_oldest_timestamp_seconds{receiver="team"}': "60x3 stale _x20"},
            "10m",
        ),
    ),
    Rule(
        "LeewayCircuitOpen",
        "warning",
        "5m",
        "max by (receiver) (leeway_circuit_open) == 1",
        "{{ $labels.receiver }} is given a rest.",
        "It failed so often that it is tried seldom; its news waits.",
        Case({'leeway_circuit_open{receiver="team"}': "1x20"}, "10m", {"receiver": "team"}),
        Case({'leeway_circuit_open{receiver="team"}': "1x3 0x20"}, "10m"),
    ),
    Rule(
        "LeewayLateEvents",
        "warning",
        "15m",
        "sum(rate(leeway_events_late_total[15m]))\n"
        "/ (sum(rate(leeway_model_predictions_total[15m])) > 0) > 0.01",
        "Events come too late to be judged.",
        "{{ $value | humanizePercentage }} of them came after their window.",
        Case(
            {
                'leeway_events_late_total{model="m"}': "0+2x60",
                'leeway_model_predictions_total{model="m",version="1",status="ok"}': "0+100x60",
            },
            "40m",
            {},
        ),
        Case(
            {
                'leeway_events_late_total{model="m"}': "0+1x60",
                'leeway_model_predictions_total{model="m",version="1",status="ok"}': "0+200x60",
            },
            "40m",
        ),
    ),
    Rule(
        "LeewayLabelsNotJoined",
        "warning",
        "1h",
        'sum(increase(leeway_joins_total{outcome="unmatched"}[1h]))\n'
        '> 0.2 * sum(increase(leeway_joins_total{outcome="matched"}[1h]))',
        "Labels find no prediction.",
        "{{ $value | humanize }} labels of the last hour were not joined: more than a fifth of those that were.",
        Case(
            {
                'leeway_joins_total{outcome="unmatched"}': "0+3x180",
                'leeway_joins_total{outcome="matched"}': "0+10x180",
            },
            "150m",
            {},
        ),
        Case(
            {
                'leeway_joins_total{outcome="unmatched"}': "0+1x180",
                'leeway_joins_total{outcome="matched"}': "0+10x180",
            },
            "150m",
        ),
    ),
    Rule(
        "LeewayReferenceOld",
        "info",
        "1h",
        "time() - max by (model) (leeway_model_reference_timestamp_seconds) > 180 * 86400",
        "{{ $labels.model }} is compared with what was long ago.",
        "The newest event of its reference is {{ $value | humanizeDuration }} old.",
        Case(
            {'leeway_model_reference_timestamp_seconds{model="m"}': "-15552000x120"},
            "90m",
            {"model": "m"},
        ),
        Case({'leeway_model_reference_timestamp_seconds{model="m"}': "-15500000x120"}, "90m"),
    ),
    Rule(
        "LeewayRetrainLoop",
        "warning",
        "0m",
        'sum by (model) (increase(leeway_triggers_total{transition="requested"}[1d])) > 3',
        "{{ $labels.model }} is retrained again and again.",
        "{{ $value | humanize }} times within a day: retraining does not help.",
        Case(
            {
                'leeway_triggers_total{model="m",transition="requested"}': "0x60 1x60 2x60 3x60 4x60 5x900"
            },
            "600m",
            {"model": "m"},
        ),
        Case({'leeway_triggers_total{model="m",transition="requested"}': "0x60 1x900"}, "600m"),
    ),
)


def rules_file() -> str:
    """`deploy/prometheus/rules.yaml`."""
    return "\n".join(_rules()) + "\n"


def tests_file() -> str:
    """`deploy/prometheus/rules_test.yaml`, for `promtool test rules`."""
    return "\n".join(_tests()) + "\n"


def _rules() -> Iterator[str]:
    yield "# Written by `make deploy` from streams/metrics/rules.py. Runbooks are in docs/operating.md, or wherever"
    yield "# Prometheus' external label runbooks says that the documentation is."
    yield "groups:"
    yield "  - name: leeway"
    yield "    rules:"
    for rule in RULES:
        yield f"      - alert: {rule.name}"
        yield "        expr: |"
        yield from (f"          {line}" for line in rule.expression.splitlines())
        yield f"        for: {rule.lasting}"
        yield "        labels:"
        yield f"          severity: {rule.severity}"
        yield "        annotations:"
        yield f"          summary: {json.dumps(rule.summary)}"
        yield f"          description: {json.dumps(rule.description)}"
        yield f"          runbook_url: {json.dumps(RUNBOOK + rule.anchor)}"


def _tests() -> Iterator[str]:
    yield "# Written by `make deploy` from streams/metrics/rules.py. To try them: promtool test rules rules_test.yaml"
    yield "rule_files:"
    yield "  - rules.yaml"
    yield "evaluation_interval: 1m"
    yield "tests:"
    for rule in RULES:
        for what, case in (("fires", rule.fires), ("rests", rule.rests)):
            yield f"  - name: {rule.name} {what}"
            yield "    interval: 1m"
            yield "    input_series:"
            for series, values in case.series.items():
                yield f"      - series: {json.dumps(series)}"
                yield f"        values: {json.dumps(values)}"
            yield "    promql_expr_test:"
            alerts = f'ALERTS{{alertname="{rule.name}",alertstate="firing"}}'
            yield f"      - expr: {json.dumps(alerts)}"
            yield f"        eval_time: {case.at}"
            if case.labels is None:
                yield "        exp_samples: []"
                continue
            labels = {
                "alertname": rule.name,
                "alertstate": "firing",
                "severity": rule.severity,
                **case.labels,
            }
            shown = ",".join(f'{name}="{value}"' for name, value in labels.items())
            yield "        exp_samples:"
            yield f"          - labels: {json.dumps(f'ALERTS{{{shown}}}')}"
            yield "            value: 1"
