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
from streams.judging.limits import OPERATIONAL
from streams.judging.lines import Lines
from streams.lifecycle import Lifecycle
from streams.lifecycle import monitoring as lifecycle_rules
from streams.lifecycle.conditions import (
    SHARES,
    Condition,
    KindTest,
    MetricTest,
    SeriesTest,
    SilenceTest,
    Test,
    Value,
)
from streams.lifecycle.metrics import NEEDS_LABELS
from streams.lifecycle.triggers import Trigger

# What may ask for a retraining (contracts §6).
RETRAINS: tuple[Kind, ...] = ("data_drift", "prediction_drift", "concept_drift", "performance")
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
    lifecycle: Lifecycle,
    receivers: Sequence[Receiver],
    console: str | None,
    lines: Lines | None = None,
) -> EpisodePolicy:
    """How this model's problems become alerts: entries that wait for a kind, or for a metric beyond a line.

    Parameters
    ----------
    lines : those of the lifecycle, where what the reference was is known to them
    """
    rules, lines = [], lines or Lines(lifecycle)
    for rule in lifecycle.monitoring.alerts:
        tests, said = rule.condition.tests, (rule.severity, rule.channels, rule.runbook)
        if len(tests) != 1:
            continue  # several tests at once do not act yet
        if isinstance(tests[0], KindTest):
            test = tests[0]
            level = "severe" if test.kind == "drift" else test.level
            rules.append(AlertRule(_kinds(test), level, *said))
            continue
        kind, name = _rule_of(tests[0], rule, lines)
        if name is not None:
            rules.append(AlertRule((kind,), "drifting", *said, name))
    return EpisodePolicy(
        model=model(lifecycle),
        rules=tuple(rules),
        receivers=tuple(receivers),
        budget=budget_text(lifecycle),
        console=_page(lifecycle, console),
    )


def _rule_of(test: Test, entry: lifecycle_rules.AlertRule, lines: Lines) -> tuple[Kind, str | None]:
    """The kind of problem that a test is about, and the name of its rule; None: it does not act yet."""
    if isinstance(test, MetricTest) and test.metric in NEEDS_LABELS:
        of_labels = test.metric in ("label_coverage", "label_lag")
        return (
            "label_health" if of_labels else "performance",
            lines.rule_of(test, entry.persistence),
        )
    if isinstance(test, MetricTest) and test.metric in OPERATIONAL:
        return "operational", lines.rule_of(test, entry.persistence)
    if isinstance(test, SeriesTest) and test.statistic in SHARES and test.op.startswith(">"):
        return "data_quality", str(test)
    if isinstance(test, SilenceTest):
        return "operational", str(test)
    return "performance", None


def retraining(
    lifecycle: Lifecycle, console: str | None, lines: Lines | None = None
) -> RetrainingPolicy:
    """When this model's problems become a request to retrain; `lines` as for `episodes`."""
    wanted, guards = lifecycle.retraining, lifecycle.retraining.guards
    conditions = []
    for entry in wanted.trigger_conditions:
        kinds, rule = _waits_for(entry.trigger, lines or Lines(lifecycle))
        if kinds and entry.action != "notify":
            conditions.append(
                RetrainingCondition(
                    entry.name, kinds, entry.action, entry.approval, entry.priority, rule
                )
            )
    pipeline = wanted.pipeline
    return RetrainingPolicy(
        model=model(lifecycle),
        conditions=tuple(conditions),
        approvers=wanted.approval_process.approvers,
        basis=wanted.training_window.from_,
        lookback_ms=_ms(wanted.training_window.lookback),
        min_records=wanted.training_window.min_records or 0,
        min_labels=wanted.training_window.min_labels or 0,
        cooldown_ms=_ms(guards.cooldown),
        at_most=guards.at_most.count,
        at_most_per_ms=_ms(guards.at_most.per),
        expires_ms=_ms(guards.expires),
        start_within_ms=_ms(guards.start_within),
        finish_within_ms=_ms(guards.finish_within),
        dry_run=guards.dry_run,
        pipeline=Pipeline(pipeline.location, pipeline.data_sources, dict(pipeline.params)),
        gates=_gates(lifecycle),
        checks=tuple(r.text for r in pipeline.validation_requirements if r.bound is None),
        console=_page(lifecycle, console),
    )


def _waits_for(trigger: Trigger, lines: Lines) -> tuple[tuple[Kind, ...], str | None]:
    """The kinds of problems that a trigger waits for, and the rule that must be broken. No kinds: it does not act."""
    tests = trigger.tests if isinstance(trigger, Condition) else ()
    if len(tests) != 1:
        return (), None
    test = tests[0]
    if isinstance(test, KindTest):
        return tuple(kind for kind in _kinds(test) if kind in RETRAINS), None
    if isinstance(test, MetricTest) and test.metric in NEEDS_LABELS:
        persistence = trigger.persistence if isinstance(trigger, Condition) else None
        name = lines.rule_of(test, persistence)
        return (("performance",), name) if name is not None else ((), None)
    return (), None


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
