"""What is measured? Every metric of Leeway once, with its meaning; and how processes count, and how it is all shown.

`METRICS` is what the documentation and the tests read. A profiler or judge counts with a `Meter` of its own; control
derives its samples from the read model and shows them with `exposition`. No event id, feature or segment is ever a
label, and a label has at most `MAX_MODELS` models; the rest is `other`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from streams.joining.records import COUNTED as COUNTED_JOINS

PREFIX = "leeway_"
MAX_MODELS = 1000
OTHER = "other"


class Kind(StrEnum):
    """What Prometheus may do with a metric."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. `name` is without the prefix; the name of a counter ends in ``_total``.

    `known` lists, for labels whose values are known before anything happened, those values: a counter of them starts
    at 0, so that its first step can be seen.
    """

    name: str
    kind: Kind
    meaning: str
    labels: tuple[str, ...] = ()
    known: tuple[tuple[str, ...], ...] = ()


_OUTCOMES = tuple((outcome,) for outcome in ("committed", "aborted", "fenced"))

# intake
EVENTS = Metric("events_total", Kind.COUNTER, "Events read from a topic.", ("topic",))
EVENTS_INVALID = Metric(
    "events_invalid_total",
    Kind.COUNTER,
    "Events that went to the dead letters, by reason.",
    ("topic", "reason"),
)
FIELDS_INVALID = Metric(
    "fields_invalid_total",
    Kind.COUNTER,
    "Fields of otherwise valid events that could not be used, by reason.",
    ("model", "reason"),
)
EVENTS_SKIPPED = Metric(
    "events_skipped_total",
    Kind.COUNTER,
    "Events of models nobody registered, or that are retired.",
    ("reason",),
    (("unregistered",), ("retired",)),
)
EVENTS_LATE = Metric(
    "events_late_total",
    Kind.COUNTER,
    "Events that came after their window was judged.",
    ("model",),
)
JOINS = Metric(
    "joins_total",
    Kind.COUNTER,
    "What became of labels that are joined with their predictions, and of predictions.",
    ("outcome",),
    tuple((outcome,) for outcome in COUNTED_JOINS),
)
STORE = Metric(
    "joiner_store_bytes",
    Kind.GAUGE,
    "What the predictions that wait for their labels take, on disk and in memory.",
    ("where",),
)

# running
TRANSACTIONS = Metric(
    "transactions_total",
    Kind.COUNTER,
    "Transactions, by what became of them.",
    ("role", "outcome"),
    _OUTCOMES,
)
TRANSACTION_DURATION = Metric(
    "transaction_duration_seconds",
    Kind.HISTOGRAM,
    "How long a transaction took, from its begin to its end.",
    ("role",),
)
BATCH_DURATION = Metric(
    "batch_duration_seconds",
    Kind.HISTOGRAM,
    "How long one batch of records took to fold in.",
    ("role",),
)
LAG = Metric(
    "lag_events",
    Kind.GAUGE,
    "Records written but not yet read.",
    ("role", "topic", "partition"),
)
WATERMARK = Metric(
    "watermark_timestamp_seconds",
    Kind.GAUGE,
    "Event time up to which a partition is complete.",
    ("topic", "partition"),
)
HEARTBEAT = Metric(
    "heartbeat_timestamp_seconds",
    Kind.GAUGE,
    "When the process last went round its loop.",
    ("role",),
)
BUILD = Metric("build_info", Kind.GAUGE, "The release that is running; always 1.", ("version",))

# judging
WINDOWS_JUDGED = Metric(
    "windows_judged_total", Kind.COUNTER, "Windows judged, by verdict.", ("model", "status")
)
EFFECT = Metric(
    "effect_ratio",
    Kind.GAUGE,
    "Largest effect of the last window over the smallest that matters.",
    ("model", "kind"),
)
ALARM = Metric(
    "alarm_ratio",
    Kind.GAUGE,
    "The alarm's log statistic over its log threshold; it fires at 1.",
    ("model", "kind"),
)

# models
MODEL_STATE = Metric(
    "model_state",
    Kind.GAUGE,
    "1 for the state a model is in, 0 for the others.",
    ("model", "state"),
)
MODEL_LAST_EVENT = Metric(
    "model_last_event_timestamp_seconds",
    Kind.GAUGE,
    "End of the last judged window that had events.",
    ("model",),
)
MODEL_REFERENCE = Metric(
    "model_reference_timestamp_seconds",
    Kind.GAUGE,
    "Event time of the newest event in a model's reference.",
    ("model",),
)

# alerting
EPISODES_OPEN = Metric(
    "episodes_open", Kind.GAUGE, "Problems that are open.", ("model", "kind", "severity")
)
ALERTS = Metric(
    "alerts_total",
    Kind.COUNTER,
    "Alerts published, by transition.",
    ("kind", "severity", "change"),
)
TRIGGERS = Metric(
    "triggers_total",
    Kind.COUNTER,
    "Transitions of retraining triggers.",
    ("model", "transition"),
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
    ("sink",),
    tuple((channel,) for channel in CHANNELS),
)
NOTIFICATIONS_FAILED = Metric(
    "notifications_failed_total",
    Kind.COUNTER,
    "Attempts that failed, and news that expired, by reason.",
    ("sink", "reason"),
    tuple((channel, trouble) for channel in CHANNELS for trouble in TROUBLES),
)
NOTIFICATIONS_SUPPRESSED = Metric(
    "notifications_suppressed_total",
    Kind.COUNTER,
    "News that deserved no message, by reason.",
    ("reason",),
    tuple((reason,) for reason in SUPPRESSIONS),
)
NOTIFICATION_DURATION = Metric(
    "notification_duration_seconds",
    Kind.HISTOGRAM,
    "How long a receiver took to answer.",
    ("sink",),
)
NOTIFICATION_OLDEST = Metric(
    "notification_oldest_timestamp_seconds",
    Kind.GAUGE,
    "When the oldest news that waits was published; absent while none waits.",
    ("receiver",),
)
CIRCUIT_OPEN = Metric(
    "circuit_open", Kind.GAUGE, "1 while a receiver is given a rest after failures.", ("receiver",)
)
HTTP_REQUESTS = Metric(
    "http_requests_total", Kind.COUNTER, "Requests to control.", ("route", "status")
)

COUNTED = (  # what a profiler or judge counts itself
    EVENTS,
    EVENTS_INVALID,
    FIELDS_INVALID,
    EVENTS_SKIPPED,
    EVENTS_LATE,
    JOINS,
    STORE,
    TRANSACTIONS,
    TRANSACTION_DURATION,
    BATCH_DURATION,
    LAG,
    WATERMARK,
    HEARTBEAT,
    BUILD,
)
DELIVERED = (  # what control counts itself
    NOTIFICATIONS,
    NOTIFICATIONS_FAILED,
    NOTIFICATION_DURATION,
    HTTP_REQUESTS,
)
METRICS = (
    *COUNTED,
    WINDOWS_JUDGED,
    EFFECT,
    ALARM,
    MODEL_STATE,
    MODEL_LAST_EVENT,
    MODEL_REFERENCE,
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

# A commit takes 8 to 32 ms on an idle broker (measured) and may take a minute before it is fenced.
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Sample(NamedTuple):
    """A value of a metric for some label values, in the order of the metric's labels."""

    metric: Metric
    labels: tuple[str, ...]
    value: float


class Models:
    """Which models have a label of their own: the first `MAX_MODELS`; the rest share `other`."""

    def __init__(self, limit: int = MAX_MODELS) -> None:
        self._limit = limit
        self._known: set[str] = set()

    def label(self, model_id: str) -> str:
        """
        >>> models = Models(limit=1)
        >>> models.label("fraud"), models.label("churn"), models.label("fraud")
        ('fraud', 'other', 'fraud')
        """
        if model_id not in self._known:
            if len(self._known) >= self._limit:
                return OTHER
            self._known.add(model_id)
        return model_id


class Meter:
    """What one process of a role counts about itself, in a registry of its own.

    Label values are given in the order of the metric's labels, without `role`, which is the meter's. `counted` are the
    metrics that it knows.

    Examples
    --------
    >>> meter = Meter("profiler", version="1.0.0")
    >>> meter.count(EVENTS, 500, "leeway.predictions")
    >>> meter.set(LAG, 3, "leeway.predictions", "0")
    >>> b'leeway_events_total{topic="leeway.predictions"} 500.0' in meter.exposition()
    True
    """

    def __init__(self, role: str, version: str, counted: Sequence[Metric] = COUNTED) -> None:
        self._role = role
        self._models = Models()
        self.registry = CollectorRegistry()
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}
        for metric in counted:
            name = PREFIX + metric.name
            if metric.kind is Kind.COUNTER:
                self._counters[metric.name] = Counter(
                    name, metric.meaning, metric.labels, registry=self.registry
                )
                for known in metric.known:
                    self.count(metric, 0, *known)
            elif metric.kind is Kind.GAUGE:
                self._gauges[metric.name] = Gauge(
                    name, metric.meaning, metric.labels, registry=self.registry
                )
            else:
                self._histograms[metric.name] = Histogram(
                    name, metric.meaning, metric.labels, registry=self.registry, buckets=_BUCKETS
                )
        if BUILD in counted:
            self.set(BUILD, 1, version)

    def count(self, metric: Metric, amount: float, *labels: str) -> None:
        """Add to a counter."""
        self._counters[metric.name].labels(*self._full(metric, labels)).inc(amount)

    def set(self, metric: Metric, value: float, *labels: str) -> None:
        """Set a gauge."""
        self._gauges[metric.name].labels(*self._full(metric, labels)).set(value)

    def observe(self, metric: Metric, seconds: float, *labels: str) -> None:
        """Add an observation to a histogram."""
        self._histograms[metric.name].labels(*self._full(metric, labels)).observe(seconds)

    def remove(self, metric: Metric, *labels: str) -> None:
        """Stop showing a gauge: what it tells of is no longer ours."""
        self._gauges[metric.name].remove(*self._full(metric, labels))

    def exposition(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self.registry)

    def _full(self, metric: Metric, labels: tuple[str, ...]) -> tuple[str, ...]:
        given = iter(labels)
        return tuple(
            self._role
            if name == "role"
            else self._models.label(next(given))
            if name == "model"
            else next(given)
            for name in metric.labels
        )


class _Given(Collector):
    """Samples somebody else derived, as a registry wants them."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = samples

    def collect(self) -> Iterable[Family]:
        families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
        for metric, labels, value in self._samples:
            if metric.name not in families:
                make = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
                families[metric.name] = make(
                    PREFIX + metric.name, metric.meaning, labels=metric.labels
                )
            families[metric.name].add_metric(labels, value)
        return families.values()


def exposition(samples: Sequence[Sample]) -> tuple[bytes, str]:
    """Samples as Prometheus reads them, and the content type of that.

    >>> exposition([Sample(BUILD, ("1.0.0",), 1)])[0].decode().splitlines()[-1]
    'leeway_build_info{version="1.0.0"} 1.0'
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Given(samples))
    return generate_latest(registry), CONTENT_TYPE_LATEST


def summed(samples: Iterable[Sample]) -> list[Sample]:
    """Samples of the same metric and labels added up, as models that share the label `other` need."""
    totals: dict[tuple[Metric, tuple[str, ...]], float] = {}
    for metric, labels, value in samples:
        totals[metric, labels] = totals.get((metric, labels), 0.0) + value
    return [Sample(metric, labels, value) for (metric, labels), value in totals.items()]


class Exporter:
    """A meter shown at ``http://HOST:PORT/metrics`` until it is stopped; it never keeps a process alive."""

    def __init__(self, meter: Meter, host: str, port: int) -> None:
        self._server, self._thread = start_http_server(port, host, meter.registry)
        self.port: int = self._server.server_port

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def serve(meter: Meter, host: str, port: int) -> Exporter:
    """Show a meter; port 0 is any free one. Raises OSError if the port is taken."""
    return Exporter(meter, host, port)


def described() -> Mapping[str, str]:
    """Every metric by its full name, with its meaning."""
    return {PREFIX + metric.name: metric.meaning for metric in METRICS}
