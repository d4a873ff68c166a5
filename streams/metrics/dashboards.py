"""What do operators and owners look at in Grafana? Three dashboards as data.

`python -m streams.metrics` writes them to `deploy/grafana/dashboards/`. What single series and windows look like is in
Leeway's own console.
"""

from streams.metrics.panels import Dashboard, Panel, Query, Row

_STATES = {"healthy": "green", "degraded": "orange", "down": "red", "unknown": "gray"}
_SEVERITIES = {"info": "blue", "warning": "yellow", "error": "orange", "critical": "red"}


def _one(expression: str, legend: str = "") -> tuple[Query, ...]:
    return (Query(expression, legend),)


FLEET = Dashboard(
    "leeway-fleet",
    "Leeway: fleet",
    "now-24h",
    (
        Row(
            "Models",
            (
                Panel(
                    "Models by state",
                    _one("sum by (state) (leeway_model_state)", "{{state}}"),
                    colours=_STATES,
                ),
                Panel(
                    "Time since the last judged events",
                    _one(
                        "topk(20, time() - leeway_model_last_event_timestamp_seconds)", "{{model}}"
                    ),
                    "s",
                    "bargauge",
                    "The twenty models that have been silent longest.",
                ),
                Panel(
                    "Open episodes by severity",
                    _one("sum by (severity) (leeway_episodes_open)", "{{severity}}"),
                    colours=_SEVERITIES,
                ),
            ),
        ),
        Row(
            "Drift, worst 20",
            (
                Panel(
                    "Effect, over the smallest that matters",
                    _one("topk(20, leeway_effect_ratio)", "{{model}} {{kind}}"),
                    meaning="Above 1 is large enough to matter; whether it lasts, the alarm says.",
                    width=12,
                    at=1,
                ),
                Panel(
                    "Alarm, over its threshold",
                    _one("topk(20, leeway_alarm_ratio)", "{{model}} {{kind}}"),
                    meaning="It fires at 1. A slow climb is a small, real drift.",
                    width=12,
                    at=1,
                ),
            ),
        ),
        Row(
            "Alerts and retraining",
            (
                Panel(
                    "Retraining triggers in a day",
                    _one(
                        "sum by (transition) (increase(leeway_triggers_total[1d]))",
                        "{{transition}}",
                    ),
                ),
                Panel(
                    "Alerts in a day",
                    _one(
                        "sum by (change, severity) (increase(leeway_alerts_total[1d]))",
                        "{{change}} {{severity}}",
                    ),
                ),
                Panel(
                    "Windows judged in an hour",
                    _one(
                        "sum by (status) (increase(leeway_windows_judged_total[1h]))", "{{status}}"
                    ),
                ),
                Panel(
                    "Age of references, oldest 20",
                    _one(
                        "topk(20, time() - leeway_model_reference_timestamp_seconds)", "{{model}}"
                    ),
                    "s",
                    "bargauge",
                    width=24,
                ),
            ),
        ),
    ),
)

SERVICE = Dashboard(
    "leeway-service",
    "Leeway: service",
    "now-6h",
    (
        Row(
            "Throughput",
            (
                Panel(
                    "Events read",
                    _one(
                        "sum by (topic) (rate(leeway_events_total[$__rate_interval]))", "{{topic}}"
                    ),
                    "eps",
                ),
                Panel(
                    "Time for a batch, 99 of 100",
                    _one(
                        "histogram_quantile(0.99, sum by (le, role) "
                        "(rate(leeway_batch_duration_seconds_bucket[$__rate_interval])))",
                        "{{role}}",
                    ),
                    "s",
                ),
                Panel(
                    "Labels joined",
                    _one(
                        "sum by (outcome) (rate(leeway_joins_total[$__rate_interval]))",
                        "{{outcome}}",
                    ),
                    "eps",
                ),
            ),
        ),
        Row(
            "Lag and watermark",
            (
                Panel(
                    "Records that wait",
                    _one("sum by (role, topic) (leeway_lag_events)", "{{role}} {{topic}}"),
                ),
                Panel(
                    "Age of what was read last",
                    _one("max by (role, topic) (leeway_lag_seconds)", "{{role}} {{topic}}"),
                    "s",
                    at=120,
                ),
                Panel(
                    "Event time behind the clock",
                    _one(
                        "time() - max by (topic) (leeway_watermark_timestamp_seconds)", "{{topic}}"
                    ),
                    "s",
                    at=600,
                ),
                Panel("Panes that wait for their window", _one("sum(leeway_open_panes)", "panes")),
                Panel(
                    "Since the last sign of life",
                    _one("time() - max by (role) (leeway_heartbeat_timestamp_seconds)", "{{role}}"),
                    "s",
                    at=60,
                ),
                Panel(
                    "Releases and restarts",
                    (
                        Query("count by (version) (leeway_build_info)", "release {{version}}"),
                        Query(
                            "sum by (role) (increase(leeway_restarts_total[1h]))",
                            "{{role}} restarted",
                        ),
                    ),
                ),
            ),
        ),
        Row(
            "Transactions",
            (
                Panel(
                    "Transactions",
                    _one(
                        "sum by (role, outcome) "
                        "(rate(leeway_transactions_total[$__rate_interval]))",
                        "{{role}} {{outcome}}",
                    ),
                    "ops",
                    width=12,
                ),
                Panel(
                    "Time for a transaction, 99 of 100",
                    _one(
                        "histogram_quantile(0.99, sum by (le, role) "
                        "(rate(leeway_transaction_duration_seconds_bucket[$__rate_interval])))",
                        "{{role}}",
                    ),
                    "s",
                    width=12,
                ),
            ),
        ),
        Row(
            "Rejected and late",
            (
                Panel(
                    "Dead letters",
                    _one(
                        "sum by (topic, reason) (rate(leeway_events_invalid_total[$__rate_interval]))",
                        "{{topic}} {{reason}}",
                    ),
                    "eps",
                ),
                Panel(
                    "Fields that could not be used",
                    _one(
                        "topk(20, sum by (model, reason) "
                        "(rate(leeway_fields_invalid_total[$__rate_interval])))",
                        "{{model}} {{reason}}",
                    ),
                    "eps",
                ),
                Panel(
                    "Skipped, late, beyond a bound",
                    (
                        Query(
                            "sum by (reason) (rate(leeway_events_skipped_total[$__rate_interval]))",
                            "{{reason}}",
                        ),
                        Query("sum(rate(leeway_events_late_total[$__rate_interval]))", "late"),
                        Query(
                            "sum by (cap) (rate(leeway_capped_total[$__rate_interval]))",
                            "beyond {{cap}}",
                        ),
                    ),
                    "eps",
                ),
                Panel(
                    "Schemas asked of the registry in an hour",
                    _one(
                        "sum by (outcome) (increase(leeway_schema_requests_total[1h]))",
                        "{{outcome}}",
                    ),
                ),
            ),
        ),
        Row(
            "Delivery",
            (
                Panel(
                    "Messages that arrived, and attempts that failed",
                    (
                        Query(
                            "sum by (sink) (increase(leeway_notifications_total[1h]))",
                            "{{sink}} arrived",
                        ),
                        Query(
                            "sum by (sink, reason) (increase(leeway_notifications_failed_total[1h]))",
                            "{{sink}} {{reason}}",
                        ),
                    ),
                ),
                Panel(
                    "News that deserved no message",
                    _one(
                        "sum by (reason) (increase(leeway_notifications_suppressed_total[1h]))",
                        "{{reason}}",
                    ),
                ),
                Panel(
                    "Until a receiver answers, 99 of 100",
                    _one(
                        "histogram_quantile(0.99, sum by (le, sink) "
                        "(rate(leeway_notification_duration_seconds_bucket[$__rate_interval])))",
                        "{{sink}}",
                    ),
                    "s",
                ),
                Panel(
                    "Oldest news that waits",
                    _one(
                        "time() - max by (receiver) (leeway_notification_oldest_timestamp_seconds)",
                        "{{receiver}}",
                    ),
                    "s",
                    at=300,
                ),
                Panel(
                    "Receivers given a rest",
                    _one("max by (receiver) (leeway_circuit_open)", "{{receiver}}"),
                ),
                Panel(
                    "Requests to control",
                    _one(
                        "sum by (status) (rate(leeway_http_requests_total[$__rate_interval]))",
                        "{{status}}",
                    ),
                    "reqps",
                ),
            ),
        ),
        Row(
            "Memory and processor",
            (
                Panel(
                    "Memory",
                    _one(
                        "process_resident_memory_bytes * on (job, instance) group_left (role) "
                        "(leeway_heartbeat_timestamp_seconds > bool 0)",
                        "{{role}} {{instance}}",
                    ),
                    "bytes",
                ),
                Panel(
                    "Processor",
                    _one(
                        "rate(process_cpu_seconds_total[$__rate_interval]) * on (job, instance) "
                        "group_left (role) (leeway_heartbeat_timestamp_seconds > bool 0)",
                        "{{role}} {{instance}}",
                    ),
                    "percentunit",
                ),
                Panel(
                    "The joiner's store",
                    _one("sum by (where) (leeway_joiner_store_bytes)", "{{where}}"),
                    "bytes",
                ),
            ),
        ),
    ),
)


def _metrics(names: str) -> str:
    return f'leeway_model_metric{{model="$model",metric=~"{names}"}}'


_M = 'model="$model"'
_BAD = f'leeway_model_predictions_total{{{_M},status=~"error|timeout"}}'
_RUNNING = "availability|error_rate|timeout_rate|fallback_rate|throughput"
_LABELS = "label_coverage|label_lag"
_NOT_PERFORMANCE = f"{_RUNNING}|{_LABELS}|cost|mean_score|positive_rate"

MODEL = Dashboard(
    "leeway-model",
    "Leeway: model",
    "now-30d",
    (
        Row(
            "Health",
            (
                Panel(
                    "State",
                    _one(f"leeway_model_state{{{_M}}} == 1", "{{state}}"),
                    kind="stat",
                    colours=_STATES,
                ),
                Panel(
                    "Since the last judged events",
                    _one(f"time() - leeway_model_last_event_timestamp_seconds{{{_M}}}", "ago"),
                    "s",
                    "stat",
                ),
                Panel(
                    "Errors and timeouts in 24 hours",
                    _one(
                        f"sum(increase({_BAD}[1d])) "
                        f"/ sum(increase(leeway_model_predictions_total{{{_M}}}[1d]))",
                        "of all predictions",
                    ),
                    "percentunit",
                    "stat",
                ),
            ),
        ),
        Row(
            "Performance",
            (
                Panel(
                    "Metrics, and the lines drawn for them",
                    (
                        Query(
                            f'leeway_model_metric{{{_M},metric!~"{_NOT_PERFORMANCE}"}}',
                            "{{metric}} {{version}}",
                        ),
                        Query(
                            f'leeway_model_metric_threshold{{{_M},metric!~"{_NOT_PERFORMANCE}"}}',
                            "line of {{metric}} {{version}}",
                        ),
                    ),
                    width=24,
                ),
                Panel(
                    "Latency",
                    _one(
                        f"leeway_model_latency_seconds{{{_M}}}", "{{quantile}} version {{version}}"
                    ),
                    "s",
                ),
                Panel(
                    "Predictions",
                    _one(
                        "sum by (version) "
                        f"(rate(leeway_model_predictions_total{{{_M}}}[$__rate_interval]))",
                        "{{version}}",
                    ),
                    "reqps",
                ),
                Panel("Cost", _one(_metrics("cost"), "{{version}}")),
            ),
        ),
        Row(
            "Drift",
            (
                Panel(
                    "Effect by kind, over the smallest that matters",
                    _one(f'leeway_effect_ratio{{{_M},kind!="prediction_drift"}}', "{{kind}}"),
                    at=1,
                ),
                Panel(
                    "Drift of predictions",
                    _one(f'leeway_effect_ratio{{{_M},kind="prediction_drift"}}', "{{kind}}"),
                    at=1,
                ),
                Panel("Alarm", _one(f"leeway_alarm_ratio{{{_M}}}", "{{kind}}"), at=1),
                Panel(
                    "Series that changed most",
                    _one(f"topk(10, leeway_series_effect_ratio{{{_M}}})", "{{series}}"),
                    meaning="Only with `metrics.series: top10`; each is in Leeway's console.",
                    width=24,
                    at=1,
                ),
            ),
        ),
        Row(
            "Labels",
            (
                Panel(
                    "Predictions with a label",
                    _one(f"leeway_model_label_coverage_ratio{{{_M}}}", "share"),
                    "percentunit",
                    width=12,
                ),
                Panel(
                    "Until labels come",
                    _one(_metrics("label_lag"), "{{version}}"),
                    "ms",
                    width=12,
                ),
            ),
        ),
        Row(
            "Versions",
            (
                Panel(
                    "Share of predictions",
                    _one(
                        "sum by (version) "
                        f"(rate(leeway_model_predictions_total{{{_M}}}[1h])) / ignoring (version) "
                        f"group_left sum(rate(leeway_model_predictions_total{{{_M}}}[1h]))",
                        "{{version}}",
                    ),
                    "percentunit",
                ),
                Panel(
                    "Errors and timeouts",
                    _one(
                        f"sum by (version) (rate({_BAD}[1h])) / on (version) sum by (version) "
                        f"(rate(leeway_model_predictions_total{{{_M}}}[1h]))",
                        "{{version}}",
                    ),
                    "percentunit",
                ),
                Panel(
                    "Latency, 95 of 100",
                    _one(f'leeway_model_latency_seconds{{{_M},quantile="0.95"}}', "{{version}}"),
                    "s",
                ),
            ),
        ),
        Row(
            "Operations",
            (
                Panel(
                    "How it runs, and operational features with a line",
                    _one(
                        f'leeway_model_metric{{{_M},metric!~"{_LABELS}"}}',
                        "{{metric}} {{version}}",
                    ),
                ),
                Panel(
                    "Open episodes",
                    _one(
                        f"sum by (kind, severity) (leeway_episodes_open{{{_M}}})",
                        "{{kind}} {{severity}}",
                    ),
                ),
                Panel(
                    "Retraining triggers in a day",
                    _one(
                        f"sum by (transition) (increase(leeway_triggers_total{{{_M}}}[1d]))",
                        "{{transition}}",
                    ),
                ),
            ),
        ),
    ),
    by_model=True,
    marks=(
        (
            "Versions that begin to answer",
            f"count by (version) (rate(leeway_model_predictions_total{{{_M}}}[10m]) > 0) unless "
            f"count by (version) (rate(leeway_model_predictions_total{{{_M}}}[10m] offset 10m) > 0)",
            "version {{version}}",
        ),
    ),
)

DASHBOARDS = (FLEET, SERVICE, MODEL)
