"""What a lifecycle says about alerting and retraining, as the frozen policies that `alerting` works by."""

from collections.abc import Sequence
from datetime import timedelta

from alerting.settings import (
    AlertRule,
    EpisodePolicy,
    Model,
    Receiver,
    RetrainingCondition,
    RetrainingPolicy,
)
from alerting.types import Bound, Kind, Pipeline
from streams.lifecycle import Lifecycle
from streams.lifecycle.conditions import KindTest, Value

DRIFT: tuple[Kind, ...] = ("data_drift", "prediction_drift")  # what is detected in this release
_UNITS = (
    (timedelta(days=1), "day"),
    (timedelta(hours=1), "hour"),
    (timedelta(minutes=1), "minute"),
)


def budget_text(lifecycle: Lifecycle) -> str:
    """The false-alarm budget in words.

    >>> from streams.lifecycle import load
    >>> one, = load('model_lifecycle: {model_id: m, version: "1", features: {x: number}}', "m.yaml")
    >>> budget_text(one)
    '1 per 90 days'
    """
    allowed = lifecycle.monitoring.false_alarms
    for unit, word in _UNITS:
        if allowed.per % unit == timedelta(0):
            many = allowed.per // unit
            return f"{allowed.count} per {word if many == 1 else f'{many} {word}s'}"
    return f"{allowed.count} per {allowed.per.total_seconds():g} seconds"


def model(lifecycle: Lifecycle) -> Model:
    """Whose alerts these are."""
    return Model(
        id=lifecycle.model_id,
        name=lifecycle.model_name,
        version=lifecycle.version,
        environment=lifecycle.deployment.environment,
        owner=lifecycle.metadata.owner,
        training_data_snapshot=lifecycle.metadata.training_data_snapshot,
    )


def episodes(
    lifecycle: Lifecycle, receivers: Sequence[Receiver], console: str | None
) -> EpisodePolicy:
    """How this model's problems become alerts: rules that wait for a kind; the others do not act yet."""
    rules = []
    for rule in lifecycle.monitoring.alerts:
        tests = rule.condition.tests
        if len(tests) == 1 and isinstance(tests[0], KindTest):
            test = tests[0]
            level = "severe" if test.kind == "drift" else test.level
            rules.append(AlertRule(_kinds(test), level, rule.severity, rule.channels, rule.runbook))
    return EpisodePolicy(
        model=model(lifecycle),
        rules=tuple(rules),
        receivers=tuple(receivers),
        budget=budget_text(lifecycle),
        console=_page(lifecycle, console),
    )


def retraining(lifecycle: Lifecycle, console: str | None) -> RetrainingPolicy:
    """When this model's drift becomes a request to retrain."""
    wanted, guards = lifecycle.retraining, lifecycle.retraining.guards
    conditions = []
    for entry in wanted.trigger_conditions:
        tests = getattr(entry.trigger, "tests", ())
        kinds = tuple(
            k for test in tests if isinstance(test, KindTest) for k in _kinds(test) if k in DRIFT
        )
        if kinds and len(tests) == 1 and entry.action != "notify":
            conditions.append(
                RetrainingCondition(entry.name, kinds, entry.action, entry.approval, entry.priority)
            )
    pipeline = wanted.pipeline
    return RetrainingPolicy(
        model=model(lifecycle),
        conditions=tuple(conditions),
        approvers=wanted.approval_process.approvers,
        basis=wanted.training_window.from_,
        lookback_ms=_ms(wanted.training_window.lookback),
        min_records=wanted.training_window.min_records or 0,
        cooldown_ms=_ms(guards.cooldown),
        at_most=guards.at_most.count,
        at_most_per_ms=_ms(guards.at_most.per),
        expires_ms=_ms(guards.expires),
        start_within_ms=None,  # until reports of pipelines are read, no deadline can be missed
        finish_within_ms=None,
        dry_run=guards.dry_run,
        pipeline=Pipeline(pipeline.location, pipeline.data_sources, dict(pipeline.params)),
        gates=_gates(lifecycle),
        checks=tuple(r.text for r in pipeline.validation_requirements if r.bound is None),
        console=_page(lifecycle, console),
    )


def _gates(lifecycle: Lifecycle) -> dict[str, Bound]:
    """The promotion gates, and the validation requirements that are bounds of a metric."""
    found: dict[str, Bound] = {}
    for requirement in lifecycle.retraining.pipeline.validation_requirements:
        if (bound := requirement.bound) is not None:
            found[bound.metric] = {"min" if ">" in bound.op else "max": _line(bound.value)}
    for name, gate in lifecycle.retraining.promotion_gates.items():
        for side, value in (("min", gate.min), ("max", gate.max)):
            if value is not None:
                found[name] = {side: _line(value)}
        if gate.segment is not None:
            found[name]["segment"] = gate.segment
    return found


def _line(value: Value) -> float | str:
    """A bound as contracts write it: a number, or text with its unit or base."""
    return value.amount if value.base == "number" and not value.unit else str(value)


def _kinds(test: KindTest) -> tuple[Kind, ...]:
    return tuple(test.kinds)  # type: ignore[arg-type]  # the grammar admits only kinds


def _page(lifecycle: Lifecycle, console: str | None) -> str | None:
    return f"{console.rstrip('/')}/models/{lifecycle.model_id}" if console else None


def _ms(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)
