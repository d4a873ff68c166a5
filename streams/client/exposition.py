"""How do an emitter's counts get beside a server's own metrics? One collector per registry of prometheus-client.

prometheus-client is imported only where a registry of it was given.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakKeyDictionary, WeakSet

from streams.client.channel import Counts

if TYPE_CHECKING:
    from prometheus_client.core import Metric

__all__ = ["METRICS", "show"]

METRICS = {  # name -> what it counts
    "leeway_emitter_sent_total": "Events handed over.",
    "leeway_emitter_delivered_total": "Events acknowledged.",
    "leeway_emitter_waiting": "Events in the queue.",
    "leeway_emitter_dropped_total": "Events lost, by reason.",
}


class Counting(Protocol):
    """An emitter, as far as it is shown."""

    model_id: str

    @property
    def counts(self) -> Counts: ...


def show(emitter: Counting, registry: Any) -> None:
    """Show the counts of an emitter in a `prometheus_client.CollectorRegistry`, for as long as it lives."""
    exposition = _SHOWN.get(registry)
    if exposition is None:
        exposition = _SHOWN[registry] = Exposition()
        registry.register(exposition)
    exposition.emitters.add(emitter)


class Exposition:
    """All emitters of one registry: a metric may be described only once in it."""

    def __init__(self) -> None:
        self.emitters: WeakSet[Counting] = WeakSet()

    def describe(self) -> list["Metric"]:
        """Nothing: so the registry does not ask for counts before there are any."""
        return []

    def collect(self) -> Iterator["Metric"]:
        """The metrics, at the time of a scrape."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        found: dict[str, list[Counts]] = {}
        for emitter in list(self.emitters):
            found.setdefault(emitter.model_id, []).append(emitter.counts)
        totals: tuple[tuple[Any, str, Callable[[Counts], int]], ...] = (
            (CounterMetricFamily, "leeway_emitter_sent_total", lambda of: of.sent),
            (CounterMetricFamily, "leeway_emitter_delivered_total", lambda of: of.delivered),
            (GaugeMetricFamily, "leeway_emitter_waiting", lambda of: of.waiting),
        )
        for family, name, value in totals:
            metric = family(name, METRICS[name], labels=["model"])
            for model, of in sorted(found.items()):
                metric.add_metric([model], sum(map(value, of)))
            yield metric
        name = "leeway_emitter_dropped_total"
        dropped = CounterMetricFamily(name, METRICS[name], labels=["model", "reason"])
        for model, of in sorted(found.items()):
            for reason in sorted({reason for counts in of for reason in counts.dropped}):
                n = sum(counts.dropped.get(reason, 0) for counts in of)
                dropped.add_metric([model, reason], n)
        yield dropped


_SHOWN: "WeakKeyDictionary[Any, Exposition]" = WeakKeyDictionary()
