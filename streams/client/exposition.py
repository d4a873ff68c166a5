"""How do an emitter's counts get beside a server's own metrics? One collector per registry of prometheus-client.

prometheus-client is imported only where a registry of it was given.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakKeyDictionary, WeakSet

from streams.client.channel import Counts

if TYPE_CHECKING:
    from prometheus_client.core import Metric

__all__ = ["show"]


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
        totals: tuple[tuple[Any, str, str, Callable[[Counts], int]], ...] = (
            (CounterMetricFamily, "sent", "Events handed over.", lambda of: of.sent),
            (CounterMetricFamily, "delivered", "Events acknowledged.", lambda of: of.delivered),
            (GaugeMetricFamily, "waiting", "Events in the queue.", lambda of: of.waiting),
        )
        for family, name, told, value in totals:
            metric = family(f"leeway_emitter_{name}", told, labels=["model"])
            for model, of in sorted(found.items()):
                metric.add_metric([model], sum(map(value, of)))
            yield metric
        dropped = CounterMetricFamily(
            "leeway_emitter_dropped", "Events lost, by reason.", labels=["model", "reason"]
        )
        for model, of in sorted(found.items()):
            for reason in sorted({reason for counts in of for reason in counts.dropped}):
                n = sum(counts.dropped.get(reason, 0) for counts in of)
                dropped.add_metric([model, reason], n)
        yield dropped


_SHOWN: "WeakKeyDictionary[Any, Exposition]" = WeakKeyDictionary()
