"""Does a lifecycle contradict itself? Each part may be fine alone; here they are read together."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from streams.lifecycle.conditions import (
    Condition,
    Manual,
    NewLabels,
    SeriesTest,
    Trigger,
)
from streams.lifecycle.grammar import LONGEST_WINDOW, Schedule, human
from streams.lifecycle.metrics import Bound, metric_name
from streams.lifecycle.mistakes import Steps, Wrong, bare, did_you_mean, quoted
from streams.lifecycle.monitoring import PredictionDrift
from streams.lifecycle.settings import (
    FEATURE_FIELDS,
    LABEL_FIELDS,
    PREDICTION_FIELDS,
    Feature,
    Lifecycle,
)

CHANNELS = ("slack", "pagerduty", "email")
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Names:
    """What the file declares, right or wrong, so that one mistake does not cause a second."""

    raw: Any
    features: frozenset[str]
    receivers: frozenset[str] | None  # None: any channel will do
    personal: frozenset[str]

    @classmethod
    def of(cls, raw: Any, receivers: Collection[str] | None) -> "Names":
        """Collect the names of a file's plain data."""
        declared = _at(raw, ("features",))
        watched = _at(raw, ("monitoring", "drift_detection", "data_drift", "features_monitored"))
        pii = _at(raw, ("privacy", "pii"))
        names = declared if isinstance(declared, dict) else watched
        return cls(
            raw,
            frozenset(name for name in names if isinstance(name, str))
            if isinstance(names, dict | list)
            else frozenset(),
            None if receivers is None else frozenset(receivers),
            frozenset(
                name for name in (pii if isinstance(pii, list) else [pii]) if isinstance(name, str)
            ),
        )

    def is_personal(self, path: Steps) -> bool:
        """Whether what stands at `path` may hold values of a PII feature."""
        return len(path) > 2 and path[0] == "features" and path[1] in self.personal

    def written(self, path: Steps) -> Any:
        """What was written at `path`; None where nothing was."""
        return _at(self.raw, path)


def _at(raw: Any, path: Steps) -> Any:
    for step in path:
        if isinstance(raw, dict):
            raw = raw.get(step)
        elif isinstance(raw, list) and isinstance(step, int) and step < len(raw):
            raw = raw[step]
        else:
            return None
    return raw


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two parts that cannot both be meant; `because` are the other parts that were read."""

    path: Steps
    wrong: Wrong
    because: tuple[Steps, ...] = ()


Found = Iterator[Contradiction]


def contradictions(lifecycle: Lifecycle, names: Names) -> Found:
    """Everything in which the lifecycle contradicts itself."""
    yield from _watches_something(names)
    yield from _prediction(lifecycle)
    yield from _deployment(lifecycle)
    yield from _sources(lifecycle)
    for name, feature in lifecycle.features.items():
        yield from _feature(("features", name), feature)
    yield from _segments(lifecycle)
    yield from _windows(lifecycle, names)
    yield from _metrics(lifecycle)
    yield from _drift(lifecycle, names)
    yield from _quality(lifecycle)
    yield from _alerts(lifecycle, names)
    yield from _retraining(lifecycle, names)
    yield from _versions(lifecycle)
    yield from _privacy(lifecycle, names)


def _watches_something(names: Names) -> Found:
    if not any(key in names.raw for key in ("features", "prediction", "monitoring")):
        yield Contradiction(
            (), Wrong("", "nothing is watched", "one of features, prediction and monitoring")
        )


def _prediction(lifecycle: Lifecycle) -> Found:
    prediction = lifecycle.prediction
    if prediction is None:
        return
    yield from _repeated(prediction.classes, ("prediction", "classes"), "a class")
    classes = prediction.classes
    if prediction.positive is not None and classes and prediction.positive not in classes:
        hint = did_you_mean(prediction.positive, classes)
        wrong = Wrong(
            quoted(prediction.positive),
            "is not a class",
            f"one of {', '.join(prediction.classes)}",
            hint,
        )
        yield Contradiction(("prediction", "positive"), wrong, (("prediction", "classes"),))
    costs = prediction.costs
    if costs is None:
        return
    number = lifecycle.metadata.model_type in ("Regression", "Forecasting")
    wanted = "over and under" if number else "false_positive and false_negative"
    for key in ("false_positive", "false_negative") if number else ("over", "under"):
        if getattr(costs, key) is not None:
            what = f"does not fit model_type {lifecycle.metadata.model_type}"
            yield Contradiction(
                ("prediction", "costs", key), Wrong("", what, wanted), (("metadata", "model_type"),)
            )
    for key in ("false_positive", "false_negative", "over", "under"):
        cost = getattr(costs, key)
        if cost is not None and cost < 0:
            wrong = Wrong(bare(cost), "is below 0", "a cost of 0 or more")
            yield Contradiction(("prediction", "costs", key), wrong)


def _deployment(lifecycle: Lifecycle) -> Found:
    scaling = lifecycle.deployment.scaling_config
    low, high = scaling.min_instances, scaling.max_instances
    if low is not None and high is not None and low > high:
        path = ("deployment", "scaling_config")
        wrong = Wrong(str(high), f"is below min_instances, {low}", "min_instances or more")
        yield Contradiction((*path, "max_instances"), wrong, ((*path, "min_instances"),))


def _sources(lifecycle: Lifecycle) -> Found:
    known = {"predictions": PREDICTION_FIELDS, "features": FEATURE_FIELDS, "labels": LABEL_FIELDS}
    for kind, fields in known.items():
        source = getattr(lifecycle.source, kind)
        for name in source.fields if source else ():
            if name not in fields:
                what = f"is not a field of {kind}"
                wrong = Wrong("", what, f"one of {', '.join(fields)}", did_you_mean(name, fields))
                yield Contradiction(("source", kind, "fields", name), wrong)
    for kind in ("predictions", "features"):
        users = [name for name, feature in lifecycle.features.items() if feature.from_ == kind]
        if users and getattr(lifecycle.source, kind) is None:
            more = f" and {len(users) - 1} more" if len(users) > 1 else ""
            wrong = Wrong("false,", f"but feature {quoted(users[0])}{more} needs it", "a source")
            yield Contradiction(("source", kind), wrong, (("features",),))


def _feature(path: Steps, feature: Feature) -> Found:
    numeric = feature.type in ("number", "integer")
    if feature.range is not None and not numeric:
        yield Contradiction(
            (*path, "range"),
            Wrong("", f"a {feature.type} has no range", _instead(feature.type)),
            ((*path, "type"),),
        )
    if feature.allowed is not None:
        if feature.type != "category":
            wrong = Wrong(
                "", f"{_a(feature.type)} has no allowed values", "range" if numeric else "none"
            )
            yield Contradiction((*path, "allowed"), wrong, ((*path, "type"),))
        elif not feature.allowed:
            yield Contradiction(
                (*path, "allowed"), Wrong("", "allows nothing", "a list of categories")
            )
        elif len(set(feature.allowed)) != len(feature.allowed):
            wrong = Wrong("", "has a category twice", "each category once")
            yield Contradiction((*path, "allowed"), wrong)
    if feature.min_effect is not None and feature.min_effect <= 0:
        wrong = Wrong("", "is not above 0", "the smallest effect that matters, such as 0.05")
        yield Contradiction((*path, "min_effect"), wrong)


def _a(word: str) -> str:
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def _instead(kind: str) -> str:
    return "allowed, a list of categories" if kind == "category" else "no range"


def _segments(lifecycle: Lifecycle) -> Found:
    declared = [segment.name for segment in lifecycle.segments]
    single = [segment.name for segment in lifecycle.segments if not segment.by]
    for place, segment in enumerate(lifecycle.segments):
        path: Steps = ("segments", place)
        if segment.name in declared[:place]:
            yield Contradiction(
                path, Wrong(quoted(segment.name), "is listed twice", "each segment once")
            )
        if segment.name == "all":
            yield Contradiction(path, Wrong('"all"', "is every event, always", "another name"))
        for index, name in enumerate(segment.by):
            if name not in single:
                yield Contradiction((*path, "by", index), _unknown(name, "segment", single))
    metrics = lifecycle.monitoring.performance_metrics
    for place, metric in enumerate(metrics):
        if metric.segment is not None:
            at: Steps = ("monitoring", "performance_metrics", place, "segment")
            yield from _segment_name(metric.segment, at, declared)
    for place, guard in enumerate(lifecycle.monitoring.slices):
        yield from _segment_name(
            guard.segment, ("monitoring", "slices", place, "segment"), declared
        )


def _segment_name(written: str, path: Steps, declared: Sequence[str]) -> Found:
    """A segment is named as `country`, or as one value of it, `country=DE`."""
    name = ",".join(sorted(part.partition("=")[0] for part in written.split(",")))
    if name not in declared and written != "all":
        yield Contradiction(path, _unknown(written, "segment", declared), (("segments",),))


def _unknown(name: str, noun: str, known: Iterable[str]) -> Wrong:
    return Wrong(quoted(name), f"is not a {noun}", "a declared one", did_you_mean(name, known))


def _repeated(items: Sequence[str], path: Steps, noun: str) -> Found:
    for place, item in enumerate(items):
        if item in items[:place]:
            yield Contradiction(
                (*path, place), Wrong(quoted(item), "is listed twice", f"{noun} once")
            )


def _windows(lifecycle: Lifecycle, names: Names) -> Found:
    monitoring = lifecycle.monitoring
    base: Steps = ("monitoring", "window")
    pane, size = monitoring.window.pane, monitoring.window.size
    if pane % _SECOND:
        wrong = Wrong(human(pane), "is not a number of whole seconds", "1s or more")
        yield Contradiction((*base, "pane"), wrong)
    elif pane > LONGEST_WINDOW:
        wrong = Wrong(human(pane), "is longer than a window can be", "at most 31d")
        yield Contradiction((*base, "pane"), wrong)
    drift: Steps = ("monitoring", "drift_detection")
    detection = monitoring.drift_detection
    found: list[tuple[Steps, timedelta | None]] = [
        ((*base, "size"), size),
        ((*drift, "data_drift", "check_frequency"), detection.data_drift.check_frequency),
        (
            (*drift, "prediction_drift", "check_frequency"),
            detection.prediction_drift.check_frequency,
        ),
        (
            (*drift, "concept_drift", "window"),
            detection.concept_drift.window if detection.concept_drift else None,
        ),
        (("monitoring", "data_quality", "window"), monitoring.data_quality.window),
    ]
    for place, metric in enumerate(monitoring.performance_metrics):
        at: Steps = ("monitoring", "performance_metrics", place, "measurement_frequency")
        found.append((at, metric.measurement_frequency))
    for path, length in found:
        written = names.written(path)
        if length is None or not length % pane:
            continue
        if written is not None:
            said = written if isinstance(written, str) else human(length)
            wrong = Wrong(said, "is not a multiple of the pane", f"a multiple of {human(pane)}")
            yield Contradiction(path, wrong, ((*base, "pane"),))
        elif path == (*base, "size"):
            wrong = Wrong(
                human(pane), f"does not divide the window's size, {human(size)}", "a part of it"
            )
            yield Contradiction((*base, "pane"), wrong, ((*base, "size"),))


def _metrics(lifecycle: Lifecycle) -> Found:
    for place, metric in enumerate(lifecycle.monitoring.performance_metrics):
        path: Steps = ("monitoring", "performance_metrics", place)
        if metric.critical is not None and metric.threshold is not None:
            yield from _beyond(metric.threshold, metric.critical, path)
        elif metric.critical is not None:
            wrong = Wrong("", "there is no threshold before it", "threshold beside critical")
            yield Contradiction((*path, "critical"), wrong, ((*path, "threshold"),))
    for place, guard in enumerate(lifecycle.monitoring.slices):
        if guard.min is not None and guard.max is not None and guard.min >= guard.max:
            wrong = Wrong(bare(guard.max), "is not above min", "min below max")
            yield Contradiction(("monitoring", "slices", place, "max"), wrong)


def _beyond(threshold: Bound, critical: Bound, path: Steps) -> Found:
    if (threshold.min is None) != (critical.min is None):
        wrong = Wrong("", "lies on the other side", "the same direction as threshold")
    elif threshold.min is not None and critical.line >= threshold.line:
        wrong = Wrong(
            bare(critical.line), "is not worse than the threshold", f"below {bare(threshold.line)}"
        )
    elif threshold.max is not None and critical.line <= threshold.line:
        wrong = Wrong(
            bare(critical.line), "is not worse than the threshold", f"above {bare(threshold.line)}"
        )
    else:
        return
    yield Contradiction((*path, "critical"), wrong, ((*path, "threshold"),))


def _drift(lifecycle: Lifecycle, names: Names) -> Found:
    detection = lifecycle.monitoring.drift_detection
    base: Steps = ("monitoring", "drift_detection")
    monitored = detection.data_drift.features_monitored
    if monitored != "all":
        path: Steps = (*base, "data_drift", "features_monitored")
        yield from _repeated(monitored, path, "each feature")
        if isinstance(names.written(("features",)), dict):
            for place, name in enumerate(monitored):
                if name not in names.features:
                    yield Contradiction((*path, place), _unknown(name, "feature", names.features))
    both: tuple[tuple[str, PredictionDrift], ...] = (
        ("data_drift", detection.data_drift),
        ("prediction_drift", detection.prediction_drift),
    )
    for key, drift in both:
        threshold, severe = drift.threshold, drift.severe
        if severe is None:
            continue
        at: Steps = (*base, key, "severe")
        because: tuple[Steps, ...] = ((*base, key, "threshold"), (*base, key, "method"))
        if threshold is None:
            yield Contradiction(
                at, Wrong("", "there is no threshold before it", "threshold beside severe"), because
            )
        elif threshold.measure != severe.measure:
            wrong = Wrong("", "is measured otherwise than the threshold", "the same measure twice")
            yield Contradiction(at, wrong, because)
        elif (
            (severe.value >= threshold.value)
            if severe.measure == "p"
            else (severe.value <= threshold.value)
        ):
            side = "below" if severe.measure == "p" else "above"
            what = "is not beyond the threshold"
            wrong = Wrong(bare(severe.value), what, f"{side} {bare(threshold.value)}")
            yield Contradiction(at, wrong, because)


def _quality(lifecycle: Lifecycle) -> Found:
    labels = lifecycle.monitoring.labels
    if labels is None:
        return
    path: Steps = ("monitoring", "labels")
    if labels.coverage is not None and labels.within is None:
        wrong = Wrong("", "does not say by when", "within beside coverage, such as within: 30d")
        yield Contradiction((*path, "coverage"), wrong, ((*path, "within"),))
    if labels.delay is not None and labels.within is not None and labels.within < labels.delay:
        wrong = Wrong(
            human(labels.within),
            f"is shorter than the delay, {human(labels.delay)}",
            "a longer time",
        )
        yield Contradiction((*path, "within"), wrong, ((*path, "delay"),))
    if labels.delay is not None and labels.max_lag is not None and labels.max_lag < labels.delay:
        wrong = Wrong(
            human(labels.max_lag),
            f"is shorter than the delay, {human(labels.delay)}",
            "a longer time",
        )
        yield Contradiction((*path, "max_lag"), wrong, ((*path, "delay"),))


def _alerts(lifecycle: Lifecycle, names: Names) -> Found:
    seen: list[str] = []
    for place, rule in enumerate(lifecycle.monitoring.alerts):
        path: Steps = ("monitoring", "alerts", place)
        if rule.name in seen:
            wrong = Wrong(quoted(rule.name), "is the name of another rule", "each name once")
            yield Contradiction((*path, "name"), wrong)
        seen.append(rule.name)
        if rule.for_ is not None and rule.condition.persistence is not None:
            wrong = Wrong("", "the condition says for how long, too", "one of the two")
            yield Contradiction((*path, "for"), wrong, ((*path, "condition"),))
        if names.written((*path, "channel")) == []:
            hint = "leave the key out for those that are usual for the kind"
            wrong = Wrong("", "is an empty list", "at least one channel", hint)
            yield Contradiction((*path, "channel"), wrong)
        for index, channel in enumerate(rule.channel):
            at: Steps = (*path, "channel", index)
            if names.receivers is not None and channel not in (*CHANNELS, *names.receivers):
                hint = did_you_mean(
                    channel, ["Slack", "PagerDuty", "Email", *sorted(names.receivers)]
                )
                expected = "Slack, PagerDuty, Email or the name of a receiver"
                yield Contradiction(at, Wrong(quoted(channel), "is not a channel", expected, hint))
            elif channel in rule.channel[:index]:
                yield Contradiction(
                    at, Wrong(quoted(channel), "is listed twice", "each channel once")
                )
        yield from _condition(rule.condition, (*path, "condition"), lifecycle, names, alerts=True)


def _condition(
    condition: Condition, path: Steps, lifecycle: Lifecycle, names: Names, *, alerts: bool
) -> Found:
    """Series that nobody declared, statistics that their type does not have, tests the wrong way round."""
    for test in condition.tests:
        if not isinstance(test, SeriesTest):
            continue
        feature = lifecycle.features.get(test.feature)
        if test.feature not in names.features and test.feature not in ("prediction", "score"):
            if isinstance(names.written(("features",)), dict):
                yield Contradiction(path, _unknown(test.feature, "feature", names.features))
            continue
        kind = feature.type if feature else ""
        only = {
            "ks": ("number", "integer"),
            "wasserstein": ("number", "integer"),
            "unseen": ("category", "boolean"),
            "out_of_range": ("number", "integer"),
        }
        if kind and kind not in only.get(test.statistic, (kind,)):
            wrong = Wrong(
                quoted(str(test)), f"measures what {_a(kind)} has not", f"a statistic of {_a(kind)}"
            )
            yield Contradiction(path, wrong, (("features", test.feature),))
        if alerts and test.op in ("<", "<="):
            wrong = Wrong(quoted(str(test)), "alerts when nothing is wrong", "a comparison with >")
            yield Contradiction(path, wrong)


def _retraining(lifecycle: Lifecycle, names: Names) -> Found:
    seen: list[str] = []
    for place, rule in enumerate(lifecycle.retraining.trigger_conditions):
        path: Steps = ("retraining", "trigger_conditions", place)
        if rule.name in seen:
            wrong = Wrong(quoted(rule.name), "is the name of another trigger", "each name once")
            yield Contradiction((*path, "name"), wrong)
        seen.append(rule.name)
        condition = _tested(rule.trigger)
        if condition is not None:
            at = (*path, "trigger")
            yield from _condition(condition, at, lifecycle, names, alerts=True)
            if any(
                str(test) in ("data quality", "severe data quality") for test in condition.tests
            ):
                wrong = Wrong(
                    quoted(str(condition)),
                    "never starts a retraining",
                    "another kind: bad data teach nothing",
                )
                yield Contradiction(at, wrong)
    approval = lifecycle.retraining.approval_process
    for key in ("auto_deploy_if", "manual_review_if"):
        wanted: Condition | None = getattr(approval, key)
        if wanted is not None:
            at = ("retraining", "approval_process", key)
            yield from _condition(wanted, at, lifecycle, names, alerts=False)
    gates = names.written(("retraining", "promotion_gates"))
    written: dict[str, str] = {}
    for name in gates if isinstance(gates, dict) else ():
        metric = metric_name(name) or name
        if metric in written:
            wrong = Wrong(
                "", f"is the same metric as {quoted(written[metric])}", "each metric once"
            )
            yield Contradiction(("retraining", "promotion_gates", name), wrong)
        written[metric] = name


def _tested(trigger: Trigger) -> Condition | None:
    return None if isinstance(trigger, Schedule | NewLabels | Manual) else trigger


def _versions(lifecycle: Lifecycle) -> Found:
    versioning, version = lifecycle.versioning, lifecycle.version
    if versioning.current_version not in (None, version):
        wrong = Wrong(
            quoted(versioning.current_version or ""),
            "is not the version of this file",
            quoted(version),
        )
        yield Contradiction(("versioning", "current_version"), wrong, (("version",),))
    available = versioning.rollback.available_versions
    path: Steps = ("versioning", "rollback", "available_versions")
    yield from _repeated(available, path, "each version")
    for place, name in enumerate(available):
        if name == version:
            wrong = Wrong(quoted(name), "is the current version", "an earlier one")
            yield Contradiction((*path, place), wrong, (("version",),))
    previous = [each.version for each in versioning.previous_versions]
    for place, name in enumerate(previous):
        at: Steps = ("versioning", "previous_versions", place, "version")
        if name == version:
            wrong = Wrong(quoted(name), "is the current version", "an earlier one")
            yield Contradiction(at, wrong, (("version",),))
        elif name in previous[:place]:
            yield Contradiction(at, Wrong(quoted(name), "is listed twice", "each version once"))
    if lifecycle.retirement.replacement == lifecycle.model_id:
        wrong = Wrong(quoted(lifecycle.model_id), "is this model", "another model, or null")
        yield Contradiction(("retirement", "replacement"), wrong, (("model_id",),))


def _privacy(lifecycle: Lifecycle, names: Names) -> Found:
    if not isinstance(names.written(("features",)), dict):
        return
    for place, name in enumerate(lifecycle.privacy.pii):
        if name not in names.features:
            yield Contradiction(
                ("privacy", "pii", place), _unknown(name, "feature", names.features)
            )
