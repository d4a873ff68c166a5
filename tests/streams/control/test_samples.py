"""What control derives for Prometheus: everything that it should, from the newest results, and within its bounds."""

from collections import Counter
from typing import Any

import pytest

from streams.control.samples import MOST_METRICS, Sampler, of_delivery, of_pipeline
from streams.metrics import (
    CIRCUIT_OPEN,
    LAG,
    METRICS,
    MODEL_COVERAGE,
    MODEL_LATENCY,
    MODEL_METRIC,
    MODEL_THRESHOLD,
    NOTIFICATION_OLDEST,
    NOTIFICATIONS_SUPPRESSED,
    SERIES_EFFECT,
    Bounds,
    Metric,
    Sample,
)
from streams.views.deliveries import Delivering
from streams.views.read import ReadModel
from streams.views.vitals import RoleVitals, Share, Vitals
from tests.streams.published import NAMES, NOW_MS, fleet, result, told


def metric(value: float, **more: Any) -> dict[str, Any]:
    return {"value": value, "low": value, "high": value, "n": 9, "reference": None, **more}


def measured(hour: int, version: str, scope: str, **metrics: Any) -> Any:
    return told("results", result(hour, version=version, scope=scope) | {"metrics": metrics})


def read(*records: Any) -> ReadModel:
    model = ReadModel(NAMES)
    for offset, one in enumerate(records):
        assert model.fold(one._replace(offset=offset)) is None
    return model


def of(samples: list[Sample], wanted: Metric) -> dict[tuple[str, ...], float]:
    return {labels: value for found, labels, value in samples if found is wanted}


def test_everything_that_control_derives_of_a_fleet_is_there() -> None:
    found = {sample.metric for sample in Sampler(fleet(), Bounds(series=10)).of_models(NOW_MS)}
    beside = {LAG, CIRCUIT_OPEN, NOTIFICATION_OLDEST, NOTIFICATIONS_SUPPRESSED}
    assert {one.name for one in METRICS if one.derived} == {one.name for one in found | beside}
    assert not found & beside


def test_the_other_roles_are_as_far_behind_as_their_groups() -> None:
    shares = (Share("t", 0, 7, 10), Share("t", 1, None, 4))
    vitals = Vitals(
        (
            RoleVitals("judge", "working", "", 1, 7, shares),
            RoleVitals("control", "working", "", 1, 7, shares),
            RoleVitals("joiner", "unknown", ""),
        )
    )
    assert of(of_pipeline(vitals), LAG) == {("judge", "t", "0"): 3, ("judge", "t", "1"): 4}


def test_what_waits_for_whom_is_shown_and_what_deserved_no_message() -> None:
    delivering = Delivering({"team": True}, {"team": 5_000}, Counter({"digest": 2}))
    found = of_delivery(ReadModel(NAMES), delivering)
    assert of(found, CIRCUIT_OPEN) == {("team",): 1}
    assert of(found, NOTIFICATION_OLDEST) == {("team",): 5}
    assert of(found, NOTIFICATIONS_SUPPRESSED)["digest",] == 2


def test_metrics_are_those_of_the_newest_window_in_seconds_and_with_their_lines() -> None:
    model = read(
        measured(0, "1.0.0", "health", latency_p95=metric(900.0)),
        measured(1, "1.0.0", "health", latency_p95=metric(250.0, threshold=200.0)),
        measured(1, "1.0.0", "outcomes", accuracy=metric(0.9), label_coverage=metric(0.4)),
        measured(0, "1.0.0", "matured", label_coverage=metric(0.8), recall={"insufficient": "few"}),
    )
    found = Sampler(model).of_models(NOW_MS)
    assert of(found, MODEL_LATENCY) == {("loans", "1.0.0", "0.95"): 0.25}
    assert of(found, MODEL_THRESHOLD) == {("loans", "1.0.0", "latency_p95"): 200.0}
    assert of(found, MODEL_METRIC) == {
        ("loans", "1.0.0", "accuracy"): 0.9,
        ("loans", "1.0.0", "label_coverage"): 0.8,  # what is known of ripe labels
    }
    assert of(found, MODEL_COVERAGE) == {("loans",): 0.8}


def test_the_current_version_and_the_two_heard_of_last_are_shown() -> None:
    hours = {"1.0.0": 1, "2.0.0": 2, "3.0.0": 3, "4.0.0": 9, "5.0.0": 4}
    model = read(
        *(measured(hour, v, "health", throughput=metric(1.0)) for v, hour in hours.items()),
        told("results", result(10, version="1.0.0")),
    )
    shown = {version for _, version, _ in of(Sampler(model).of_models(NOW_MS), MODEL_METRIC)}
    assert shown == {"1.0.0", "4.0.0", "5.0.0"}


def test_only_so_many_metrics_of_a_version_are_shown_and_ours_come_first() -> None:
    odd = {f"feature_{n:03}": metric(1.0) for n in range(MOST_METRICS + 10)}
    model = read(measured(1, "1.0.0", "health", throughput=metric(2.0), **odd))
    found = of(Sampler(model).of_models(NOW_MS), MODEL_METRIC)
    assert len(found) == MOST_METRICS
    assert ("loans", "1.0.0", "throughput") in found


@pytest.mark.parametrize("most", [0, 10])
def test_series_are_shown_only_where_somebody_asked_for_them(most: int) -> None:
    names = of(Sampler(fleet(features=30), Bounds(series=most)).of_models(NOW_MS), SERIES_EFFECT)
    per_model = Counter(model for model, _ in names)
    assert max(per_model.values(), default=0) == most


def test_a_newest_result_is_decoded_once() -> None:
    sampler = Sampler(fleet())
    first = sampler.of_models(NOW_MS)
    known = dict(sampler._known)
    assert sampler.of_models(NOW_MS) == first
    assert all(sampler._known[subject] is kept for subject, kept in known.items())


def test_ten_thousand_models_have_a_bounded_number_of_samples() -> None:
    model = read(
        *(told("results", result(0, model=f"m{number:05}")) for number in range(10_000)),
    )
    bounds = Bounds(models=50)
    found = Sampler(model, bounds).of_models(NOW_MS)
    models = {sample.labels[0] for sample in found if sample.metric.labels[:1] == ("model",)}
    assert len(models) == bounds.models + 1
    per_model = Counter(sample.labels[0] for sample in found if "model" in sample.metric.labels)
    assert max(per_model.values()) < 30
    judged = [s.value for s in found if s.metric.name == "windows_judged_total"]
    assert sum(judged) == 10_000
