"""Metrics: named as Prometheus wants, bounded in labels, and counted in a registry of one's own."""

import re
import urllib.request

import pytest

from streams import metrics
from streams.metrics import (
    BATCH_DURATION,
    CONTROL,
    EVENTS,
    EVENTS_LATE,
    EVENTS_SKIPPED,
    LAG_SECONDS,
    METRICS,
    MODEL_PREDICTIONS,
    RESTARTS,
    ROLES,
    SERIES_EFFECT,
    TRANSACTION_DURATION,
    TRANSACTIONS,
    Kind,
    Meter,
    Metric,
    Models,
    Versions,
    counted,
)


def lines(meter: Meter) -> set[str]:
    return set(meter.exposition().decode().splitlines())


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: str(metric.name))
def test_a_metric_is_named_for_its_kind_and_unit(metric: Metric) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", metric.name)
    assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
    if metric.kind is Kind.HISTOGRAM:
        assert metric.name.endswith("_seconds")
    assert metric.meaning.endswith((".", "1", "top10."))
    assert not {"event_id", "feature", "segment"} & set(metric.labels)
    assert ("series" in metric.labels) == (metric is SERIES_EFFECT)


def test_every_metric_is_there_once() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    for metric in METRICS:
        assert metric.by
        assert metric.derived == all(metric not in counted(role) for role in metric.by)
    assert set(metrics.described()) == {"leeway_" + metric.name for metric in METRICS}


def test_counters_of_known_values_start_at_zero() -> None:
    assert {
        'leeway_transactions_total{outcome="committed",role="judge"} 0.0',
        'leeway_transactions_total{outcome="fenced",role="judge"} 0.0',
        'leeway_capped_total{cap="subjects"} 0.0',
        'leeway_restarts_total{role="judge"} 0.0',
    } <= lines(Meter("judge", "1.0.0"))
    assert 'leeway_events_skipped_total{reason="retired"} 0.0' in lines(Meter("profiler", "1.0.0"))


@pytest.mark.parametrize("role", ROLES)
def test_a_role_says_nothing_of_what_it_does_not_count(role: str) -> None:
    shown = {
        line.split()[2] for line in lines(Meter(role, "1.0.0")) if line.startswith("# TYPE leeway_")
    }
    assert {name for name in shown if not name.endswith("_created")} == {
        metric.full_name for metric in counted(role)
    }


def test_a_process_says_what_it_takes_of_its_machine() -> None:
    names = {line.split(" ")[0] for line in lines(Meter("joiner", "1.0.0"))}
    assert set(metrics.PROCESS) <= names


def test_a_process_that_was_started_again_says_how_often() -> None:
    meter = Meter(CONTROL, "", restarts=3)
    assert 'leeway_restarts_total{role="control"} 3.0' in lines(meter)
    assert RESTARTS in counted(CONTROL)


def test_a_meter_counts_sets_and_observes_under_its_role() -> None:
    meter = Meter("profiler", "1.0.0")
    meter.count(EVENTS, 3, "a")
    meter.count(EVENTS, 4, "a")
    meter.count(EVENTS_SKIPPED, 2, "unregistered")
    meter.count(TRANSACTIONS, 1, "committed")
    meter.set(LAG_SECONDS, 9, "a")
    meter.set(LAG_SECONDS, 7, "b")
    meter.remove(LAG_SECONDS, "a")
    meter.observe(TRANSACTION_DURATION, 0.02)
    meter.observe(BATCH_DURATION, 0.02)
    found = lines(meter)
    assert {
        'leeway_events_total{topic="a"} 7.0',
        'leeway_events_skipped_total{reason="unregistered"} 2.0',
        'leeway_transactions_total{outcome="committed",role="profiler"} 1.0',
        'leeway_lag_seconds{role="profiler",topic="b"} 7.0',
        'leeway_transaction_duration_seconds_count{role="profiler"} 1.0',
        'leeway_transaction_duration_seconds_bucket{le="0.025",role="profiler"} 1.0',
        'leeway_build_info{version="1.0.0"} 1.0',
    } <= found
    assert not any("lag_seconds" in line and 'topic="a"' in line for line in found)


def test_models_beyond_the_cap_are_counted_as_other() -> None:
    meter = Meter("judge", "1.0.0")
    for number in range(metrics.MAX_MODELS + 5):
        meter.count(EVENTS_LATE, 1, f"m{number}")
    assert 'leeway_events_late_total{model="other"} 5.0' in lines(meter)
    assert Models().label("fraud") == "fraud"


@pytest.mark.parametrize("models", [1, 1_000])
def test_ten_thousand_models_of_many_versions_have_bounded_labels(models: int) -> None:
    meter = Meter("profiler", "1.0.0", models=models)
    for number in range(10_000):
        for version in range(5):
            label = meter.versions.label(f"m{number}", f"v{version}", current="v4", now=0.0)
            meter.count(MODEL_PREDICTIONS, 1, f"m{number}", label, "ok")
    shown = [line for line in lines(meter) if line.startswith("leeway_model_predictions_total{")]
    assert len(shown) == (models + 1) * 4  # the current one, two others, and the rest
    assert sum(float(line.split()[-1]) for line in shown) == 50_000


def test_a_new_version_takes_the_label_of_one_that_has_fallen_silent() -> None:
    versions = Versions()
    assert [versions.label("m", v, current="9", now=0.0) for v in "123"] == ["1", "2", "other"]
    assert versions.label("m", "2", current="9", now=3000.0) == "2"
    assert versions.label("m", "3", current="9", now=3700.0) == "3"  # 1 was silent for an hour
    assert versions.label("m", "1", current="9", now=3700.0) == "other"
    assert versions.label("m", "3", current="3", now=3700.0) == "3"
    assert versions.label("m", "1", current="3", now=3700.0) == "1"  # the place of the current one


def test_two_meters_do_not_share_a_registry() -> None:
    one, other = Meter("profiler", "1.0.0"), Meter("profiler", "1.0.0")
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
