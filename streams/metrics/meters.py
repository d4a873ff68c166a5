"""How do processes count, and how is it shown? A `Meter` for each process; control adds samples that it derives.

A label has at most `MAX_MODELS` models, or as many as `metrics.models` says; the rest is `other`. Of a model's versions
three have a label: the current one, and two others.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    start_http_server,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from streams.metrics.listed import BUILD, OTHER, PREFIX, RESTARTS, Kind, Metric, counted

MAX_MODELS = 1000
MAX_OTHER_VERSIONS = 2
_KEPT_S = 3600.0  # another version keeps its label so long after it was last heard of

# A commit takes 8 to 32 ms on an idle broker (measured) and may take a minute before it is fenced.
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Sample(NamedTuple):
    """A value of a metric for some label values, in the order of the metric's labels."""

    metric: Metric
    labels: tuple[str, ...]
    value: float


class Bounds(NamedTuple):
    """How much may be told apart: models with a label of their own, and series of each model."""

    models: int = MAX_MODELS
    series: int = 0


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


class Versions:
    """Which versions of each model have a label of their own: the current one, and two others.

    A newcomer takes the place of one that was silent for an hour, so that nobody who invents versions can invent
    labels; until then it is `other`.

    Examples
    --------
    >>> versions = Versions()
    >>> [versions.label("m", name, current="3", now=0.0) for name in ("1", "2", "3", "4")]
    ['1', '2', '3', 'other']
    >>> versions.label("m", "4", current="3", now=3601.0)
    '4'
    """

    def __init__(self) -> None:
        self._heard: dict[str, dict[str, float]] = {}

    def label(self, model_id: str, version: str, *, current: str, now: float) -> str:
        if version == current:
            return version
        heard = self._heard.setdefault(model_id, {})
        heard.pop(current, None)
        if version not in heard and len(heard) >= MAX_OTHER_VERSIONS:
            silent = min(heard, key=lambda name: (heard[name], name))
            if now - heard[silent] < _KEPT_S:
                return OTHER
            del heard[silent]
        heard[version] = now
        return version


class Meter:
    """What one process of a role counts about itself, in a registry of its own.

    Label values are given in the order of the metric's labels, without `role`, which is the meter's. The role says
    which metrics it knows; `models` and `series` are its `bounds`; `restarts`: how often it was started again.

    Examples
    --------
    >>> from streams.metrics import EVENTS
    >>> meter = Meter("profiler", version="1.0.0")
    >>> meter.count(EVENTS, 500, "leeway.predictions")
    >>> b'leeway_events_total{topic="leeway.predictions"} 500.0' in meter.exposition()
    True
    """

    def __init__(
        self,
        role: str,
        version: str,
        *,
        models: int = MAX_MODELS,
        series: int = 0,
        restarts: int = 0,
    ) -> None:
        self.bounds = Bounds(models, series)
        self._role = role
        self._models = Models(models)
        self.versions = Versions()
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}
        known = counted(role)
        for metric in known:
            name = PREFIX + metric.name
            if metric.kind is Kind.COUNTER:
                self._counters[metric.name] = Counter(
                    name, metric.meaning, metric.labels, registry=self.registry
                )
                for values in metric.known:
                    self.count(metric, 0, *values)
            elif metric.kind is Kind.GAUGE:
                self._gauges[metric.name] = Gauge(
                    name, metric.meaning, metric.labels, registry=self.registry
                )
            else:
                self._histograms[metric.name] = Histogram(
                    name, metric.meaning, metric.labels, registry=self.registry, buckets=_BUCKETS
                )
        if BUILD in known:
            self.set(BUILD, 1, version)
        self.count(RESTARTS, restarts)

    def count(self, metric: Metric, amount: float, *labels: str) -> None:
        """Add to a counter."""
        _child(self._counters[metric.name], self._full(metric, labels)).inc(amount)

    def set(self, metric: Metric, value: float, *labels: str) -> None:
        """Set a gauge."""
        _child(self._gauges[metric.name], self._full(metric, labels)).set(value)

    def observe(self, metric: Metric, seconds: float, *labels: str) -> None:
        """Add an observation to a histogram."""
        _child(self._histograms[metric.name], self._full(metric, labels)).observe(seconds)

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


_Kept = TypeVar("_Kept", Counter, Gauge, Histogram)


def _child(of: _Kept, labels: tuple[str, ...]) -> _Kept:
    """The one of a metric with these label values; a metric without labels is its own."""
    return of.labels(*labels) if labels else of


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
