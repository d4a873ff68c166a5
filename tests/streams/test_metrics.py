"""Metrics: named as Prometheus wants, bounded in labels, and counted in a registry of one's own."""

import re
import urllib.request

import pytest

from streams import metrics
from streams.metrics import (
    BATCH_DURATION,
    COUNTED,
    EVENTS,
    EVENTS_LATE,
    EVENTS_SKIPPED,
    LAG,
    METRICS,
    TRANSACTION_DURATION,
    TRANSACTIONS,
    Kind,
    Meter,
    Metric,
    Models,
)


def lines(meter: Meter) -> set[str]:
    return set(meter.exposition().decode().splitlines())


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: str(metric.name))
def test_a_metric_is_named_for_its_kind_and_unit(metric: Metric) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", metric.name)
    assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
    if metric.kind is Kind.HISTOGRAM:
        assert metric.name.endswith("_seconds")
    assert metric.meaning.endswith((".", "1"))
    assert not {"event_id", "feature", "segment", "series"} & set(metric.labels)


def test_every_metric_is_there_once() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    assert set(COUNTED) <= set(METRICS)
    assert set(metrics.described()) == {"leeway_" + metric.name for metric in METRICS}


def test_counters_of_known_values_start_at_zero() -> None:
    assert {
        'leeway_transactions_total{outcome="committed",role="judge"} 0.0',
        'leeway_transactions_total{outcome="fenced",role="judge"} 0.0',
        'leeway_events_skipped_total{reason="retired"} 0.0',
    } <= lines(Meter("judge", "1.0.0"))


def test_a_meter_counts_sets_and_observes_under_its_role() -> None:
    meter = Meter("profiler", "1.0.0")
    meter.count(EVENTS, 3, "a")
    meter.count(EVENTS, 4, "a")
    meter.count(EVENTS_SKIPPED, 2, "unregistered")
    meter.count(TRANSACTIONS, 1, "committed")
    meter.set(LAG, 9, "a", "0")
    meter.set(LAG, 7, "a", "1")
    meter.remove(LAG, "a", "0")
    meter.observe(TRANSACTION_DURATION, 0.02)
    meter.observe(BATCH_DURATION, 0.02)
    found = lines(meter)
    assert {
        'leeway_events_total{topic="a"} 7.0',
        'leeway_events_skipped_total{reason="unregistered"} 2.0',
        'leeway_transactions_total{outcome="committed",role="profiler"} 1.0',
        'leeway_lag_events{partition="1",role="profiler",topic="a"} 7.0',
        'leeway_transaction_duration_seconds_count{role="profiler"} 1.0',
        'leeway_transaction_duration_seconds_bucket{le="0.025",role="profiler"} 1.0',
        'leeway_build_info{version="1.0.0"} 1.0',
    } <= found
    assert not any('partition="0"' in line for line in found)


def test_models_beyond_the_cap_are_counted_as_other() -> None:
    meter = Meter("judge", "1.0.0")
    for number in range(metrics.MAX_MODELS + 5):
        meter.count(EVENTS_LATE, 1, f"m{number}")
    assert 'leeway_events_late_total{model="other"} 5.0' in lines(meter)
    assert Models().label("fraud") == "fraud"


def test_two_meters_do_not_share_a_registry() -> None:
    one, other = Meter("judge", "1.0.0"), Meter("judge", "1.0.0")
    one.count(EVENTS, 1, "a")
    assert 'leeway_events_total{topic="a"} 1.0' not in lines(other)


def test_a_meter_can_be_scraped() -> None:
    exporter = metrics.serve(Meter("judge", "1.0.0"), "127.0.0.1", 0)
    try:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{exporter.port}/metrics", timeout=5
        ) as answer:
            assert b"leeway_build_info" in answer.read()
    finally:
        exporter.stop()
