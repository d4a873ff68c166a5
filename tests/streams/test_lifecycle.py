"""What a lifecycle file means once it is read: the tree, its defaults, its revision, what acts."""

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import LifecycleError, StateError
from streams.lifecycle import Lifecycle, from_json, load, notices, read, windows
from streams.lifecycle.acts import ACTS, NOT_YET
from streams.lifecycle.conditions import KindTest
from streams.lifecycle.monitoring import PerformanceMetric
from streams.lifecycle.nodes import read as read_nodes
from streams.lifecycle.paths import Const
from streams.lifecycle.schema import every_key
from streams.lifecycle.written import Section

EXAMPLES = Path(__file__).parents[2] / "examples"
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def one(*sections: str) -> Lifecycle:
    """The lifecycle with these sections; it watches one feature unless they say otherwise."""
    features = () if any(s.startswith("features") for s in sections) else ("features: {x: number}",)
    text = "\n  ".join(
        ["model_lifecycle:", "model_id: m", 'version: "1.2.0"', *sections, *features]
    )
    (found,) = load(text, "m.yaml")
    return found


def complete() -> Lifecycle:
    return read(EXAMPLES / "complete.yaml")[0]


# --------------------------------------------------------------------------------------- the tree


def test_the_smallest_example_has_the_whole_tree_with_its_defaults() -> None:
    (found,) = read(EXAMPLES / "smallest.yaml")
    assert (found.model_id, found.model_name, found.version) == (
        "parcel-delay",
        "parcel-delay",
        "1.0.0",
    )
    assert found.metadata.owner == "logistics"
    assert found.prediction is not None
    assert (found.prediction.classes, found.prediction.positive) == (("in_time", "late"), "late")
    assert found.prediction.score_range == (0.0, 1.0)
    assert found.deployment.environment == "Production"
    assert found.source.predictions is not None
    assert (found.source.predictions.topic, dict(found.source.predictions.fields)) == (None, {})
    assert (found.source.predictions.filter, found.source.predictions.timestamp_unit) == ((), "ms")
    assert found.source.features is None
    assert found.source.labels is None
    assert list(found.features) == ["distance_km", "weight_kg", "carrier", "express"]
    assert [f.type for f in found.features.values()] == ["number", "number", "category", "boolean"]
    carrier = found.features["carrier"]
    assert (carrier.path, carrier.from_, carrier.range, carrier.allowed) == (
        None,
        "predictions",
        None,
        None,
    )
    assert (carrier.nullable, carrier.role) == (True, "input")
    assert found.segments == ()
    reference = found.reference
    assert (reference.id, reference.from_, reference.bins) == (None, "training", None)
    assert (reference.max_age, reference.min_events) == (180 * DAY, 10_000)
    window = found.monitoring.window
    assert (window.pane, window.size, window.lateness) == (MINUTE, HOUR, MINUTE)
    assert (window.idle, window.max_ahead, window.grace) == (5 * MINUTE, 5 * MINUTE, 3 * HOUR)
    allowed = found.monitoring.false_alarms
    assert (allowed.count, allowed.per) == (1, 90 * DAY)
    drift = found.monitoring.drift_detection.data_drift
    assert (drift.enabled, drift.features_monitored, drift.alarm) == (True, "all", "budget")
    assert (drift.threshold, drift.severe, drift.check_frequency) == (None, None, None)
    (rule,) = found.monitoring.alerts
    assert rule.condition.tests == (KindTest("data_drift"),)
    assert (rule.name, rule.severity, rule.channels, rule.runbook, rule.for_) == (
        *("data-drift", "warning", ("slack",), None, None),
    )  # fmt: skip
    assert found.retraining.trigger_conditions == ()
    assert (found.retraining.training_window.lookback, found.retraining.training_window.from_) == (
        90 * DAY,
        "lookback",
    )
    guards = found.retraining.guards
    assert (guards.cooldown, guards.at_most.count, guards.at_most.per) == (DAY, 2, 7 * DAY)
    assert (guards.expires, guards.start_within, guards.finish_within) == (72 * HOUR, DAY, 7 * DAY)
    assert (found.privacy.pii, found.privacy.show_values) == ((), False)


def test_the_complete_example_uses_every_key_there_is() -> None:
    documents = yaml.safe_load_all((EXAMPLES / "complete.yaml").read_text(encoding="utf-8"))
    written = {path for document in documents for path in _paths(document["model_lifecycle"], ())}
    kinds = ("predictions", "features", "labels")  # of sources, which have the same keys
    written |= {(*p[:1], kind, *p[2:]) for p in written if p[:1] == ("source",) for kind in kinds}
    missing = [
        path for path in every_key(Lifecycle) if not any(_fits(path, each) for each in written)
    ]
    assert missing == []


def _paths(value: Any, before: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield before
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _paths(each, (*before, key))
    elif isinstance(value, list):
        for each in value:
            yield from _paths(each, (*before, "*"))


def _fits(pattern: tuple[str | int, ...], path: tuple[str, ...]) -> bool:
    return len(path) == len(pattern) and all(
        a in ("*", b) for a, b in zip(pattern, path, strict=True)
    )


def test_the_complete_example_means_what_it_says() -> None:
    found = complete()
    source = found.source.predictions
    assert source is not None
    assert source.fields["model_id"] == Const("order-minutes")
    assert source.fields["features"] == ("order", "inputs")
    assert source.filter == ((("meta", "kind"), "estimate"), (("meta", "shadow"), False))
    assert found.source.features is not None
    assert found.source.features.fields["timestamp"] == ("$timestamp",)
    assert found.features["distance_km"].path == ("order", "route", "km")
    assert found.features["queued_orders"].from_ == "features"
    assert found.features["queued_orders"].nullable == 0.02
    assert [(s.name, s.by) for s in found.segments] == [
        *(("city", ()), ("partner", ()), ("city,partner", ("city", "partner"))),
    ]  # fmt: skip
    drift = found.monitoring.drift_detection
    assert (drift.data_drift.method.number, drift.data_drift.method.category) == (
        "wasserstein",
        "psi",
    )
    assert drift.prediction_drift.threshold is not None
    assert drift.prediction_drift.threshold.measure == "D"
    assert drift.concept_drift is not None
    assert drift.concept_drift.window == 7 * DAY
    latency = found.monitoring.performance_metrics[1]
    assert (latency.metric, latency.current) == ("latency_p95", 60.0)
    assert latency.threshold is not None
    assert latency.threshold.max == 250.0
    rules = {rule.name: rule for rule in found.retraining.trigger_conditions}
    assert [rule.approval for rule in rules.values()] == [
        *("required", "advisory", "required", "auto", "advisory", "advisory", "required"),
    ]  # fmt: skip
    assert found.retraining.pipeline.validation_requirements[0].bound is not None


def test_a_retraining_needs_approval_only_where_there_are_approvers() -> None:
    trigger = "trigger_conditions: [{trigger: data drift, action: retrain}]"
    assert one(f"retraining: {{{trigger}}}").retraining.trigger_conditions[0].approval == "auto"
    asked = one(f"retraining: {{{trigger}, approval_process: {{approvers: [ann]}}}}")
    assert asked.retraining.trigger_conditions[0].approval == "required"


def test_severe_is_twice_the_threshold_unless_it_is_written() -> None:
    section = "monitoring: {drift_detection: {data_drift: {method: PSI, threshold: %s}}}"
    severe = one(section % "0.1").monitoring.drift_detection.data_drift.severe
    assert severe is not None
    assert severe.value == 0.2
    written = one(section % "0.1, severe: 0.3").monitoring.drift_detection.data_drift.severe
    assert written is not None
    assert written.value == 0.3
    assert one(section % '"p < 0.05"').monitoring.drift_detection.data_drift.severe is None


def test_the_feature_source_is_there_only_where_a_feature_or_the_file_wants_it() -> None:
    assert one().source.features is None
    assert one("features: {x: {type: number, from: features}}").source.features is not None
    assert one("source: {features: {topic: f}}").source.features is not None
    assert one("source: {labels: false}").source.labels is None


def test_labels_that_name_what_was_predicted_need_no_join_and_say_so_in_json() -> None:
    waits, none = one("source: {labels: {}}"), one("source: {labels: {}, join: false}")
    assert waits.source.join is not None
    assert waits.source.join.window == 60 * DAY
    assert none.source.join is None
    assert none.revision != waits.revision
    assert from_json(none.to_json()) == none


def test_rules_without_a_name_get_one_that_says_what_they_are_about() -> None:
    conditions = ["data drift", "data_drift detected", "accuracy < 0.5"]
    rules = ", ".join(f"{{condition: {each}}}" for each in conditions)
    found = one(f"monitoring: {{alerts: [{rules}]}}")
    assert [rule.name for rule in found.monitoring.alerts] == [
        "data-drift",
        "data-drift-2",
        "accuracy-below-0.5",
    ]


def test_a_rule_says_how_long_it_waits_wherever_that_is_written() -> None:
    found = one(
        "monitoring: {alerts: [{condition: data drift for 10m}, {condition: performance, for: 2 of 3 windows}]}"
    )
    first, second = (rule.persistence for rule in found.monitoring.alerts)
    assert first is not None
    assert second is not None
    assert (first.time, second.windows, second.of) == (10 * MINUTE, 2, 3)


def test_the_mean_of_a_feature_may_be_tested_like_a_metric() -> None:
    found = one(
        "features: {queue depth: {type: number, role: operational}}",
        "monitoring: {performance_metrics: [{metric: queue depth, threshold: {max: 9}}], "
        "alerts: [{condition: queue depth above 9}]}",
    )
    assert str(found.monitoring.alerts[0].condition) == "queue depth > 9"


def test_without_features_the_monitored_ones_are_declared_by_being_listed() -> None:
    (found,) = load(
        'model_lifecycle: {model_id: m, version: "1", prediction: {}, monitoring: {drift_detection: '
        "{data_drift: {features_monitored: [a, b]}}, alerts: [{condition: missing(a) > 5%}]}}",
        "m.yaml",
    )
    assert found.monitoring.drift_detection.data_drift.features_monitored == ("a", "b")


def test_every_part_can_be_built_from_what_it_holds() -> None:
    waiting: list[Any] = [complete()]
    while waiting:
        part = waiting.pop()
        if isinstance(part, PerformanceMetric):
            continue  # holds times as numbers, which a file may not
        if isinstance(part, Section):
            held = {
                about.alias or name: getattr(part, name)
                for name, about in type(part).model_fields.items()
                if about.is_required() or getattr(part, name) != about.default
            }
            assert type(part).model_validate(held) == part
            waiting += held.values()
        elif isinstance(part, tuple | dict):
            waiting += part.values() if isinstance(part, dict) else part


def test_a_lifecycle_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        one().version = "2"  # type: ignore[misc]


def test_several_models_may_share_a_file() -> None:
    assert [each.model_id for each in read(EXAMPLES / "complete.yaml")] == [
        "order-minutes",
        "order-fraud",
    ]


# ---------------------------------------------------------------------------------- strict reading


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        *(("true", True), ("false", False), ("no", "no"), ("NO", "NO"), ("on", "on"), ("True", "True")),
        *(("12:30", "12:30"), ("1_000", "1_000"), ("0x10", "0x10"), ("010", "010"), (".5", ".5")),
        *(("2026-01-31", "2026-01-31"), ("null", None), ("~", None), ("", None), ("Null", "Null")),
        *(("5", 5), ("-5", -5), ("2.10", 2.1), ("1e3", 1000.0), ("'5'", "5"), ('"true"', "true")),
        *((".inf", ".inf"), ("=", "="), ("9" * 40, "9" * 40)),
    ],
)  # fmt: skip
def test_a_value_is_what_json_would_make_of_it_or_text(written: str, meant: object) -> None:
    (node,) = read_nodes(f"a: {written}\n").nodes
    value = node.plain()["a"]
    assert value == meant
    assert isinstance(value, type(meant))


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_with_lines(text: str) -> None:
    try:
        load(text, "m.yaml")
    except LifecycleError as error:
        lines = error.mistakes
    else:
        lines = ["m.yaml:1:1: none"]
    assert all(line.startswith("m.yaml:") and "\n" not in line for line in lines)


_PIECES = """\
model_lifecycle:|model_id: m|version: "1"|features: {a: number}|monitoring:|  window: {size: 1h}|  alerts:
|  - condition: data drift|    severity: High|x: > 1|y: a: b|- a|*a|&a b|{|]||'|---|# c|? a|!t x
|source: {predictions: []}
|retraining: {trigger_conditions: [{trigger: 5}]}|\t""".replace("\n|", "|").split("|")


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from(_PIECES)), max_size=14))
def test_any_mixture_of_lines_is_read_or_refused_with_lines(rows: list[tuple[int, str]]) -> None:
    text = "\n".join(" " * depth + piece for depth, piece in rows)
    try:
        load(text, "m.yaml")
    except LifecycleError as error:
        lines = error.mistakes
    else:
        lines = ["m.yaml:1:1: none"]
    assert lines
    assert all(line.startswith("m.yaml:") and "\n" not in line for line in lines)


# ------------------------------------------------------------------------------ revision and JSON


def test_the_same_file_in_other_words_has_the_same_revision() -> None:
    first = one(
        "metadata: {owner: ann, purpose: p}",
        "monitoring: {window: {pane: 60s, size: 60m}, false_alarms: 1 per 90 days, "
        "alerts: [{condition: Alert if data drift detected, severity: WARNING, channel: [Slack]}]}",
        "features: {x: {type: number, range: [0, 10]}, y: category}",
    )
    second = one(
        "features: {y: {type: category}, x: {range: ['0', 1e1], type: Number}}",
        "monitoring:",
        "  alerts:",
        "  - {channel: slack, severity: Warning, condition: 'data_drift', name: data-drift}",
        "  window: {size: PT1H}",
        "metadata: {purpose: 'p', owner: \"ann\"}",
        "model_name: m",
    )
    assert first.revision == second.revision
    assert len(first.revision) == 12
    assert set(first.revision) <= set("0123456789abcdef")


def test_another_meaning_is_another_revision() -> None:
    assert one().revision != one("monitoring: {window: {size: 2h}}").revision
    assert one().revision != one("features: {x: integer}").revision


@pytest.mark.parametrize("name", ["smallest", "complete"])
def test_an_example_survives_json(name: str) -> None:
    for found in read(EXAMPLES / f"{name}.yaml"):
        again = from_json(found.to_json())
        assert again == found
        assert again.to_json() == found.to_json()
        assert list(again.features) == list(found.features)


def test_the_json_is_a_lifecycle_file_too() -> None:
    document = json.loads(complete().to_json())
    body = json.dumps({"model_lifecycle": document["model_lifecycle"]}, ensure_ascii=False)
    assert load(body, "m.json") == (complete(),)
    assert document["revision"] == complete().revision
    assert document["model_lifecycle"]["monitoring"]["window"]["size"] == "PT30M"


_LENGTHS = st.sampled_from(["2m", "10m", "1h", "PT90M", "1 day", "7d"])
_DRIFT = ["{method: PSI, threshold: 0.1}", '{method: KS, threshold: "D > 0.1"}', "{enabled: false}"]
_RULES = [
    "[]",
    "[{condition: recall < baseline - 2 points for 10m}]",
    "[{condition: psi(x) > 0.2 and js(x) > 0.1, for: 2 of 3 windows}]",
]
_TRIGGERS = ["data drift", '"Scheduled: Monthly"', "every 2 weeks", "new labels >= 10", "manual"]
_GATES = [
    "",
    "auc: {min: current - 1 point}",
    "latency p95: {max: 80ms, segment: a}",
    "own: {max: 3}",
]
_WRITTEN = {
    "metadata": ["{owner: ann}", "{deployed_date: 2026-01-31, model_type: ranking}"],
    "prediction": ["{classes: [1, 2, true], positive: 2}", "{score_range: [0, 100]}"],
    "deployment": ["{environment: staging}", "{scaling_config: {min_instances: 1}}"],
    "source": [
        "{predictions: false, features: {topic: f}}",
        '{predictions: {fields: {tags: ., score: "a[0].b"}, filter: {a.b: 1}}}',
    ],
    "segments": ["[a, b, {by: [b, a]}]", "[{name: c, path: tags.d, max_values: 3}]"],
    "reference": [
        "{season: none, timezone: Europe/Lisbon, bins: 7}",
        "{max_age: 2w, from: production}",
    ],
    "versioning": [
        '{current_version: "1.2.0"}',
        '{rollback: {available_versions: ["1"], rollback_time: 5m}}',
    ],
    "retirement": [
        "{data_retention: 7 years}",
        "{status: deprecated, deprecation_date: 2027-01-01}",
    ],
    "privacy": ["{pii: [x]}", "{show_values: true}"],
}
_SECTIONS = {name: st.sampled_from(texts) for name, texts in _WRITTEN.items()} | {
    "monitoring": st.builds(
        "{{window: {{size: {}}}, labels: {{delay: {}}}, drift_detection: {{{}: {}}}, alerts: {}}}".format,
        _LENGTHS,
        _LENGTHS,
        st.sampled_from(["data_drift", "prediction_drift"]),
        st.sampled_from(_DRIFT),
        st.sampled_from(_RULES),
    ),
    "retraining": st.builds(
        "{{trigger_conditions: [{{trigger: {}, action: {}}}], promotion_gates: {{{}}}}}".format,
        st.sampled_from(_TRIGGERS),
        st.sampled_from(["retrain", "evaluate", "notify"]),
        st.sampled_from(_GATES),
    ),
}


@given(st.fixed_dictionaries({}, optional=_SECTIONS), st.randoms(use_true_random=False))
def test_any_lifecycle_survives_json_and_another_order_of_its_keys(
    sections: dict[str, str], random: Any
) -> None:
    written = [f"{name}: {text}" for name, text in sections.items()]
    source = sections.get("source", "")
    origin = "features" if "predictions: false" in source else "predictions"
    written.append(f"features: {{x: {{type: number, from: {origin}}}}}")
    found = one(*written)
    assert from_json(found.to_json()) == found
    random.shuffle(written)
    assert one(*written).revision == found.revision


@pytest.mark.parametrize(
    "document",
    [b"", b"[]", b"{}", b'{"format": 1}', b'{"format": 1, "model_lifecycle": {"model_id": "m"}}', b'{"format": true}'],
)  # fmt: skip
def test_what_is_no_lifecycle_in_json_is_refused(document: bytes) -> None:
    with pytest.raises(LifecycleError):
        from_json(document)


def test_a_lifecycle_of_a_newer_leeway_is_refused_naming_both_formats() -> None:
    with pytest.raises(StateError, match=r"format 99, this Leeway reads 1"):
        from_json(b'{"format": 99, "model_lifecycle": {}}')


# ------------------------------------------------------------------------------ notices, windows


def test_every_key_either_acts_or_is_said_not_to() -> None:
    later = [tuple(row.path.split(".")) for row in NOT_YET if not row.values]
    acting = [tuple(path.split(".")) for path in ACTS]
    undecided = []
    for key in every_key(Lifecycle):
        said = [p for p in (*later, *acting) if _begins(key, p)]
        if not said:
            undecided.append(key)
    assert undecided == []


def _begins(key: tuple[str | int, ...], pattern: tuple[str, ...]) -> bool:
    return len(key) >= len(pattern) and all(
        a == b or "*" in (a, b) for a, b in zip(key, pattern, strict=False)
    )


def test_no_row_names_a_key_that_does_not_exist() -> None:
    keys = list(every_key(Lifecycle))
    for path in (*ACTS, *(row.path for row in NOT_YET)):
        assert any(_begins(key, tuple(path.split(".")[: len(key)])) for key in keys), path


def test_missing_purpose_owner_and_framework_are_noticed() -> None:
    said = [line.split(": ")[0] for line in notices(one())]
    assert said == ["metadata.purpose", "metadata.owner", "metadata.framework"]


def test_a_file_that_only_says_what_acts_has_no_notices() -> None:
    (found,) = read(EXAMPLES / "smallest.yaml")
    assert notices(found) == ()


_KNOWN = "metadata: {purpose: p, owner: o, framework: f}"


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        (
            "monitoring: {performance_metrics: [{metric: recall, threshold: 0.5}]}",
            "monitoring.performance_metrics[0]: needs labels, and none are read: write source.labels",
        ),
        (
            "monitoring: {alerts: [{condition: version regression and data drift}]}",
            "monitoring.alerts[0].condition: parsed, does not act yet (version regression comes with a later release)",
        ),
        (
            "retraining: {trigger_conditions: [{trigger: new labels >= 10, action: evaluate}]}",
            "retraining.trigger_conditions[0].trigger: needs labels, and none are read: write source.labels",
        ),
        (
            "retraining: {trigger_conditions: [{trigger: operational, action: evaluate}]}",
            "retraining.trigger_conditions[0].trigger: parsed, does not act yet (this release retrains on data drift, "
            "prediction drift, concept drift, performance, a metric of outcomes or how much a feature changed)",
        ),
        (
            "retraining: {trigger_conditions: [{trigger: Monthly, action: notify}]}",
            "retraining.trigger_conditions[0].trigger: parsed, does not act yet (only conditions are told to people)",
        ),
        (
            "retraining: {approval_process: {manual_review_if: psi(x) > 0.2}}",
            "retraining.approval_process.manual_review_if: psi(x) > 0.2 cannot be told of a new model: every release "
            "waits for a person",
        ),
        (
            "deployment: {environment: prod}",
            'deployment.environment: "prod" is not Production: nothing of this model may page',
        ),
        (
            "segments: [a, b, c, d, e]",
            "segments: up to 250 segments are asked for: 200 are kept, the rest is counted as (other)",
        ),
        (
            "monitoring: {drift_detection: {prediction_drift: {check_frequency: Daily}}}",
            "monitoring.drift_detection.prediction_drift.check_frequency: predictions are judged together with the "
            "features: every 1h",
        ),
    ],
)
def test_a_notice_says_what_a_person_should_know(section: str, expected: str) -> None:
    assert notices(one(_KNOWN, section)) == (expected,)


def test_a_p_value_under_a_budget_and_a_rule_the_wrong_way_round_are_noticed() -> None:
    said = "\n".join(
        notices(
            one(
                "monitoring: {drift_detection: {data_drift: {method: KS, threshold: p < 0.05}}, "
                "performance_metrics: [{metric: recall, current: 0.4, threshold: 0.5}], "
                "alerts: [{condition: accuracy > 0.99}]}"
            )
        )
    )
    assert "a p-value says how surprising, not how large" in said
    assert "monitoring.performance_metrics[0].current: is beyond the threshold already" in said
    assert "monitoring.alerts[0].condition: alerts when accuracy is good" in said


def test_windows_are_as_long_as_they_are_used() -> None:
    assert windows(one()).inputs == HOUR
    daily = one(
        "monitoring: {window: {size: 30m}, drift_detection: {data_drift: {check_frequency: Daily}}}"
    )
    assert (windows(daily).inputs, windows(daily).prediction) == (DAY, DAY)
    realtime = one(
        "monitoring: {window: {size: 30m}, drift_detection: {data_drift: {check_frequency: Real-time}}}"
    )
    assert windows(realtime).inputs == 30 * MINUTE
    assert windows(one("monitoring: {window: {pane: 3m, size: 30m}}")).health == 6 * MINUTE
    assert windows(one("monitoring: {drift_detection: {concept_drift: {}}}")).outcomes == DAY


def test_reading_a_lifecycle_imports_no_numbers_and_no_kafka() -> None:
    code = (
        "import sys, streams.lifecycle;"
        "print([m for m in ('numpy', 'scipy', 'msgspec', 'confluent_kafka', 'faust', 'river') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
