"""What a lifecycle says about alerting and retraining, as the frozen policies that `alerting` works by."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Literal

from alerting.settings import (
    AlertRule,
    EpisodePolicy,
    Model,
    Receiver,
    ReleaseTest,
    RetrainingCondition,
    RetrainingPolicy,
    Schedule,
)
from alerting.types import Bound, Kind, Pipeline
from streams.judging.compounds import compound, is_compound, kinds_of, lasting
from streams.judging.lines import Lines
from streams.lifecycle import Lifecycle, dates
from streams.lifecycle.conditions import (
    DRIFT_THRESHOLD,
    Condition,
    KindTest,
    MetricTest,
    Test,
    Value,
    WordTest,
)
from streams.lifecycle.gaps import leading
from streams.lifecycle.retraining import TriggerCondition
from streams.lifecycle.triggers import Manual, NewLabels

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
    lines = lines or Lines(lifecycle)
    rules = []
    for entry in lifecycle.monitoring.alerts:
        rule = _rule(lasting(entry), lines)
        if rule is not None:
            told = entry.severity, entry.channels, entry.runbook
            rules.append(AlertRule(rule.kinds, rule.level, *told, rule.rule))
    for wish in lifecycle.retraining.trigger_conditions:
        if wish.action == "notify" and isinstance(wish.trigger, Condition):
            rule = _rule(wish.trigger, lines)
            rules += [rule] if rule is not None else []
    return EpisodePolicy(
        model=model(lifecycle),
        rules=tuple(rules),
        receivers=tuple(receivers),
        budget=budget_text(lifecycle),
        console=_page(lifecycle, console),
        cost_unit=_cost_unit(lifecycle),
    )


def _cost_unit(lifecycle: Lifecycle) -> str | None:
    """What the costs of mistakes are counted in; None: there are none."""
    costs = None if lifecycle.prediction is None else lifecycle.prediction.costs
    return None if costs is None else costs.unit or ""


def _rule(condition: Condition, lines: Lines) -> AlertRule | None:
    """What a condition waits for, told as usual; None: it does not act."""
    test = condition.tests[0]
    if is_compound(condition):
        rule = compound(condition, lines)
        return None if rule is None else AlertRule(rule.kinds, _level(test), rule=rule.name)
    if isinstance(test, KindTest):
        return AlertRule(_kinds(test), _level(test))
    kinds, name = kinds_of(test, lines.lifecycle), str(test)
    if isinstance(test, MetricTest):
        of = lines.rule_of(test, condition.persistence) if kinds else None
        return None if of is None else AlertRule(kinds, "drifting", rule=of)
    return AlertRule(kinds, "drifting", rule=name)


def _level(test: Test) -> Literal["drifting", "severe"]:
    if not isinstance(test, KindTest):
        return "drifting"
    return "severe" if test.kind == DRIFT_THRESHOLD else test.level


def retraining(
    lifecycle: Lifecycle, console: str | None, lines: Lines | None = None
) -> RetrainingPolicy:
    """When this model's problems become a request to retrain; `lines` as for `episodes`."""
    wanted, guards = lifecycle.retraining, lifecycle.retraining.guards
    lines = lines or Lines(lifecycle)
    found = (_asks(entry, lines) for entry in wanted.trigger_conditions)
    conditions = [condition for condition in found if condition is not None]
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
        promote_if=_release(wanted.approval_process.auto_deploy_if),
        review_if=_release(wanted.approval_process.manual_review_if),
        console=_page(lifecycle, console),
    )


def _asks(entry: TriggerCondition, lines: Lines) -> RetrainingCondition | None:
    """What an entry waits for; None: it does not act."""
    trigger = entry.trigger
    if entry.action == "notify":
        return None
    usual = RetrainingCondition(entry.name, (), entry.action, entry.approval, entry.priority)
    if isinstance(trigger, dates.Schedule):
        return replace(usual, schedule=Schedule(trigger.every, trigger.days))
    if isinstance(trigger, NewLabels):
        return replace(usual, labels=trigger.count)
    if isinstance(trigger, Manual):
        return replace(usual, by_hand=True)
    test = leading(trigger)
    if test is None:
        return None
    kinds = tuple(kind for kind in kinds_of(test, lines.lifecycle) if kind in RETRAINS)
    if is_compound(trigger):
        rule = compound(trigger, lines, test)
        own = not isinstance(test, KindTest)
        return None if rule is None else replace(usual, kinds=kinds, rule=rule.name, by_rule=own)
    if not isinstance(test, MetricTest):
        return replace(usual, kinds=kinds)
    name = lines.rule_of(test, trigger.persistence)
    return None if name is None else replace(usual, kinds=kinds, rule=name)


def _release(condition: Condition | None) -> tuple[ReleaseTest, ...]:
    """What `auto_deploy_if` or `manual_review_if` asks of a retrained model."""
    return tuple(map(_release_test, condition.tests)) if condition is not None else ()


def _release_test(test: Test) -> ReleaseTest:
    if isinstance(test, WordTest):
        return ReleaseTest(test.word, word=test.word)  # type: ignore[arg-type]  # the grammar knows three
    if isinstance(test, KindTest):
        kinds = _kinds(test)
        severe = kinds if test.level == "severe" else ()
        if test.kind == DRIFT_THRESHOLD:
            severe = ("data_drift",)
        return ReleaseTest(str(test), kinds=kinds, severe=severe)
    if isinstance(test, MetricTest):
        side = "min" if test.op.startswith(">") else "max"
        return ReleaseTest(str(test), metric=test.metric, bound={side: _line(test.value)})
    return ReleaseTest(str(test))


def _gates(lifecycle: Lifecycle) -> dict[str, Bound]:
    """The promotion gates, and the validation requirements that are bounds of a metric.

    A metric that both of them bound has two gates.
    """
    found: dict[str, Bound] = {}
    for name, gate in lifecycle.retraining.promotion_gates.items():
        for side, value in (("min", gate.min), ("max", gate.max)):
            if value is not None:
                found[name] = {side: _line(value)}
        if gate.segment is not None:
            found[name]["segment"] = gate.segment
    for requirement in lifecycle.retraining.pipeline.validation_requirements:
        if (bound := requirement.bound) is not None:
            line: Bound = {"min" if ">" in bound.op else "max": _line(bound.value)}
            if found.setdefault(bound.metric, line) != line:
                found[requirement.text] = {**line, "metric": bound.metric}
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
