"""What is measured? Every metric of Leeway once: its name, kind, meaning, labels, and the roles that show it.

The meters, the rules and dashboards under `deploy/`, the documentation and the tests read this list. No event id,
feature or segment is ever a label; the one exception is asked for by `metrics.series: top10`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from streams.formats.registered import ANSWERS
from streams.joining.records import COUNTED as COUNTED_JOINS

PREFIX = "leeway_"
OTHER = "other"  # the label of what is beyond a bound

PROFILER, JOINER, JUDGE, CONTROL = "profiler", "joiner", "judge", "control"
STAGES = (PROFILER, JOINER, JUDGE)
ROLES = (*STAGES, CONTROL)


class Kind(StrEnum):
    """What Prometheus may do with a metric."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. `name` is without the prefix; the name of a counter ends in ``_total``.

    `known` lists, for labels whose values are known before anything happened, those values: a counter of them starts
    at 0, so that its first step can be seen. `by` are the roles that show it; `derived`: control reads it off
    what is on the topics, and nobody counts it.
    """

    name: str
    kind: Kind
    meaning: str
    labels: tuple[str, ...] = ()
    known: tuple[tuple[str, ...], ...] = ()
    by: tuple[str, ...] = (CONTROL,)
    derived: bool = False

    @property
    def full_name(self) -> str:
        """As it is scraped.

        >>> EVENTS.full_name
        'leeway_events_total'
        """
        return PREFIX + self.name


_OUTCOMES = tuple((outcome,) for outcome in ("committed", "aborted", "fenced", "failed"))
_SUBJECTS, _NAMES = ("subjects",), ("unregistered_models",)  # what has a bound
QUANTILES = {"latency_p50": "0.5", "latency_p95": "0.95", "latency_p99": "0.99"}

# intake
EVENTS = Metric(
    "events_total",
    Kind.COUNTER,
    "Events read from a topic.",
    labels=("topic",),
    by=(PROFILER, JOINER),
)
EVENTS_INVALID = Metric(
    "events_invalid_total",
    Kind.COUNTER,
    "Events that went to the dead letters, by reason.",
    labels=(
        "topic",
        "reason",
    ),
    by=(PROFILER,),
)
FIELDS_INVALID = Metric(
    "fields_invalid_total",
    Kind.COUNTER,
    "Fields of otherwise valid events that could not be used, by reason.",
    labels=(
        "model",
        "reason",
    ),
    by=(PROFILER,),
)
EVENTS_SKIPPED = Metric(
    "events_skipped_total",
    Kind.COUNTER,
    "Events of models nobody registered, or that a filter leaves out.",
    labels=("reason",),
    known=(("unregistered",), ("filtered",), ("retired",)),
    by=(PROFILER,),
)
EVENTS_LATE = Metric(
    "events_late_total",
    Kind.COUNTER,
    "Events that came after their window was judged.",
    labels=("model",),
    by=(JUDGE,),
)
CAPPED = Metric(
    "capped_total",
    Kind.COUNTER,
    "What exceeded a bound and was left out, or counted under one name with others.",
    labels=("cap",),
    known=(_SUBJECTS, _NAMES),
    by=(PROFILER, JUDGE),
)
JOINS = Metric(
    "joins_total",
    Kind.COUNTER,
    "What became of labels that are joined with their predictions, and of predictions.",
    labels=("outcome",),
    known=tuple((outcome,) for outcome in COUNTED_JOINS),
    by=(JOINER,),
)
STORE = Metric(
    "joiner_store_bytes",
    Kind.GAUGE,
    "What the predictions that wait for their labels take, on disk and in memory.",
    labels=("where",),
    by=(JOINER,),
)

SCHEMAS = Metric(
    "schema_requests_total",
    Kind.COUNTER,
    "What came of asking the schema registry for a schema that was not known yet.",
    labels=("outcome",),
    known=tuple((answer,) for answer in ANSWERS),
    by=(PROFILER, JOINER),
)

# running
TRANSACTIONS = Metric(
    "transactions_total",
    Kind.COUNTER,
    "Transactions, by what became of them.",
    labels=(
        "role",
        "outcome",
    ),
    known=_OUTCOMES,
    by=STAGES,
)
TRANSACTION_DURATION = Metric(
    "transaction_duration_seconds",
    Kind.HISTOGRAM,
    "How long a transaction took, from its begin to its end.",
    labels=("role",),
    by=STAGES,
)
BATCH_DURATION = Metric(
    "batch_duration_seconds",
    Kind.HISTOGRAM,
    "How long one batch of records took to fold in.",
    labels=("role",),
    by=STAGES,
)
LAG = Metric(
    "lag_events",
    Kind.GAUGE,
    "Records written but not yet read.",
    labels=(
        "role",
        "topic",
        "partition",
    ),
    derived=True,
)
LAG_SECONDS = Metric(
    "lag_seconds",
    Kind.GAUGE,
    "How long ago what was read last of a topic was written; 0 where nothing waits.",
    labels=(
        "role",
        "topic",
    ),
    by=STAGES,
)
WATERMARK = Metric(
    "watermark_timestamp_seconds",
    Kind.GAUGE,
    "Highest event time read from a partition.",
    labels=(
        "topic",
        "partition",
    ),
    by=(PROFILER,),
)
HEARTBEAT = Metric(
    "heartbeat_timestamp_seconds",
    Kind.GAUGE,
    "When the process last went round its loop.",
    labels=("role",),
    by=ROLES,
)
RESTARTS = Metric(
    "restarts_total",
    Kind.COUNTER,
    "How often the process was started again after it had failed, by whoever runs all roles.",
    labels=("role",),
    known=((),),
    by=ROLES,
)
BUILD = Metric(
    "build_info",
    Kind.GAUGE,
    "The release that is running; always 1.",
    labels=("version",),
    by=ROLES,
)

# judging
WINDOWS_JUDGED = Metric(
    "windows_judged_total",
    Kind.COUNTER,
    "Windows judged, by verdict.",
    labels=(
        "model",
        "status",
    ),
    derived=True,
)
OPEN_PANES = Metric(
    "open_panes",
    Kind.GAUGE,
    "Panes with counts whose windows are not complete yet.",
    by=(JUDGE,),
)
EFFECT = Metric(
    "effect_ratio",
    Kind.GAUGE,
    "Largest effect of the last window over the smallest that matters.",
    labels=(
        "model",
        "kind",
    ),
    derived=True,
)
SERIES_EFFECT = Metric(
    "series_effect_ratio",
    Kind.GAUGE,
    "The same of the ten series of a model that changed most; only with metrics.series: top10.",
    labels=(
        "model",
        "series",
    ),
    derived=True,
)
ALARM = Metric(
    "alarm_ratio",
    Kind.GAUGE,
    "The alarm's log statistic over its log threshold; it fires at 1.",
    labels=(
        "model",
        "kind",
    ),
    derived=True,
)

# models
MODEL_STATE = Metric(
    "model_state",
    Kind.GAUGE,
    "1 for the state a model is in, 0 for the others.",
    labels=(
        "model",
        "state",
    ),
    derived=True,
)
MODEL_LAST_EVENT = Metric(
    "model_last_event_timestamp_seconds",
    Kind.GAUGE,
    "End of the last judged window that had events.",
    labels=("model",),
    derived=True,
)
MODEL_REFERENCE = Metric(
    "model_reference_timestamp_seconds",
    Kind.GAUGE,
    "Event time of the newest event in a model's reference.",
    labels=("model",),
    derived=True,
)
MODEL_PREDICTIONS = Metric(
    "model_predictions_total",
    Kind.COUNTER,
    "Predictions, by what became of them.",
    labels=(
        "model",
        "version",
        "status",
    ),
    by=(PROFILER,),
)
MODEL_LATENCY = Metric(
    "model_latency_seconds",
    Kind.GAUGE,
    "Percentiles of how long predictions took, in the last window.",
    labels=(
        "model",
        "version",
        "quantile",
    ),
    derived=True,
)
MODEL_METRIC = Metric(
    "model_metric",
    Kind.GAUGE,
    "The last value of a metric of a model.",
    labels=(
        "model",
        "version",
        "metric",
    ),
    derived=True,
)
MODEL_THRESHOLD = Metric(
    "model_metric_threshold",
    Kind.GAUGE,
    "The line that a model's lifecycle draws for a metric.",
    labels=("model", "version", "metric"),
    derived=True,
)
MODEL_COVERAGE = Metric(
    "model_label_coverage_ratio",
    Kind.GAUGE,
    "Share of the predictions of the current version that have a label by now.",
    labels=("model",),
    derived=True,
)

# alerting
EPISODES_OPEN = Metric(
    "episodes_open",
    Kind.GAUGE,
    "Problems that are open.",
    labels=(
        "model",
        "kind",
        "severity",
    ),
    derived=True,
)
ALERTS = Metric(
    "alerts_total",
    Kind.COUNTER,
    "Alerts published, by transition.",
    labels=(
        "kind",
        "severity",
        "change",
    ),
    derived=True,
)
TRIGGERS = Metric(
    "triggers_total",
    Kind.COUNTER,
    "Transitions of retraining triggers.",
    labels=(
        "model",
        "transition",
    ),
    derived=True,
)

# delivery
CHANNELS = ("slack", "pagerduty", "email", "webhook")
TROUBLES = ("network", "timeout", "rate_limited", "server", "client", "auth", "expired")
SUPPRESSIONS = (
    *("silence", "inhibited", "grace", "flapping", "staging", "muted", "snoozed"),
    *("superseded", "digest"),
)
NOTIFICATIONS = Metric(
    "notifications_total",
    Kind.COUNTER,
    "Messages that arrived, by kind of receiver.",
    labels=("sink",),
    known=tuple((channel,) for channel in CHANNELS),
)
NOTIFICATIONS_FAILED = Metric(
    "notifications_failed_total",
    Kind.COUNTER,
    "Attempts that failed, and news that expired, by reason.",
    labels=(
        "sink",
        "reason",
    ),
    known=tuple((channel, trouble) for channel in CHANNELS for trouble in TROUBLES),
)
NOTIFICATIONS_SUPPRESSED = Metric(
    "notifications_suppressed_total",
    Kind.COUNTER,
    "News that deserved no message, by reason.",
    labels=("reason",),
    known=tuple((reason,) for reason in SUPPRESSIONS),
    derived=True,
)
NOTIFICATION_DURATION = Metric(
    "notification_duration_seconds",
    Kind.HISTOGRAM,
    "How long a receiver took to answer.",
    labels=("sink",),
)
NOTIFICATION_OLDEST = Metric(
    "notification_oldest_timestamp_seconds",
    Kind.GAUGE,
    "When the oldest news that waits was published; absent while none waits.",
    labels=("receiver",),
    derived=True,
)
CIRCUIT_OPEN = Metric(
    "circuit_open",
    Kind.GAUGE,
    "1 while a receiver is given a rest after failures.",
    labels=("receiver",),
    derived=True,
)
HTTP_REQUESTS = Metric(
    "http_requests_total",
    Kind.COUNTER,
    "Requests to control.",
    labels=(
        "route",
        "status",
    ),
)

METRICS = (
    EVENTS,
    EVENTS_INVALID,
    FIELDS_INVALID,
    EVENTS_SKIPPED,
    EVENTS_LATE,
    CAPPED,
    JOINS,
    STORE,
    SCHEMAS,
    TRANSACTIONS,
    TRANSACTION_DURATION,
    BATCH_DURATION,
    LAG,
    LAG_SECONDS,
    WATERMARK,
    HEARTBEAT,
    RESTARTS,
    BUILD,
    WINDOWS_JUDGED,
    OPEN_PANES,
    EFFECT,
    SERIES_EFFECT,
    ALARM,
    MODEL_STATE,
    MODEL_LAST_EVENT,
    MODEL_REFERENCE,
    MODEL_PREDICTIONS,
    MODEL_LATENCY,
    MODEL_METRIC,
    MODEL_THRESHOLD,
    MODEL_COVERAGE,
    EPISODES_OPEN,
    ALERTS,
    TRIGGERS,
    NOTIFICATIONS,
    NOTIFICATIONS_FAILED,
    NOTIFICATIONS_SUPPRESSED,
    NOTIFICATION_DURATION,
    NOTIFICATION_OLDEST,
    CIRCUIT_OPEN,
    HTTP_REQUESTS,
)

# What prometheus_client says of every process on Linux, under the names that all its users share.
PROCESS = (
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
)


def counted(role: str) -> tuple[Metric, ...]:
    """What a process of a role counts itself.

    >>> [metric.name for metric in counted("control")][-1]
    'http_requests_total'
    """
    told = (HEARTBEAT, BUILD) if role == CONTROL else ()  # which it says anew with every scrape
    mine = (metric for metric in METRICS if role in metric.by and not metric.derived)
    return tuple(metric for metric in mine if metric not in told)


def described() -> Mapping[str, str]:
    """Every metric by its full name, with its meaning."""
    return {metric.full_name: metric.meaning for metric in METRICS}
