"""Does a lifecycle contradict itself? Each part may be fine alone; here they are read together."""

from collections.abc import Sequence

from detectors.series import PARTS
from streams.lifecycle import check_monitoring
from streams.lifecycle.conditions import Condition
from streams.lifecycle.contradiction import (
    Contradiction,
    Found,
    Names,
    repeated,
    unknown,
    with_article,
)
from streams.lifecycle.inputs import Feature
from streams.lifecycle.metrics import metric_name
from streams.lifecycle.mistakes import Steps, Wrong, bare, did_you_mean, quoted
from streams.lifecycle.paths import UNREADABLE
from streams.lifecycle.settings import Lifecycle
from streams.lifecycle.sources import FEATURE_FIELDS, LABEL_FIELDS, PREDICTION_FIELDS


def contradictions(lifecycle: Lifecycle, names: Names) -> Found:
    """Everything in which the lifecycle contradicts itself."""
    yield from _watches_something(names)
    yield from _prediction(lifecycle)
    yield from _deployment(lifecycle)
    yield from _sources(lifecycle)
    for name, feature in lifecycle.features.items():
        yield from _feature(("features", name), feature)
    yield from _derived(lifecycle)
    yield from _segments(lifecycle)
    yield from check_monitoring.windows(lifecycle, names)
    yield from check_monitoring.season(lifecycle, names)
    yield from check_monitoring.metrics(lifecycle)
    yield from check_monitoring.drift(lifecycle, names)
    yield from check_monitoring.labels(lifecycle)
    yield from check_monitoring.alerts(lifecycle, names)
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
    yield from repeated(prediction.classes, ("prediction", "classes"), "a class")
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
                "",
                f"{with_article(feature.type)} has no allowed values",
                "range" if numeric else "none",
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


def _derived(lifecycle: Lifecycle) -> Found:
    """A feature must not have the name of a series that another one is watched as."""
    for name, feature in lifecycle.features.items():
        for part in PARTS.get(feature.type.replace("category", "identifier"), ()):
            if (taken := f"{name}.{part}") in lifecycle.features:
                wrong = Wrong("", f"is what {quoted(name)} is watched as", "another name")
                yield Contradiction(("features", taken), wrong, (("features", name),))


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
        if segment.path is None and not segment.by and UNREADABLE.search(segment.name):
            what = "has a quotation mark, a backslash or a control character"
            wrong = Wrong(quoted(segment.name), what, "another name, and a path")
            yield Contradiction(path, wrong)
        if segment.name == "all":
            yield Contradiction(path, Wrong('"all"', "is every event, always", "another name"))
        for index, name in enumerate(segment.by):
            if name not in single:
                yield Contradiction((*path, "by", index), unknown(name, "segment", single))
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
        yield Contradiction(path, unknown(written, "segment", declared), (("segments",),))


def _retraining(lifecycle: Lifecycle, names: Names) -> Found:
    seen: list[str] = []
    for place, rule in enumerate(lifecycle.retraining.trigger_conditions):
        path: Steps = ("retraining", "trigger_conditions", place)
        if rule.name in seen:
            wrong = Wrong(quoted(rule.name), "is the name of another trigger", "each name once")
            yield Contradiction((*path, "name"), wrong)
        seen.append(rule.name)
        condition = rule.trigger
        if isinstance(condition, Condition):
            at = (*path, "trigger")
            yield from check_monitoring.condition(condition, at, lifecycle, names, alerts=True)
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
            yield from check_monitoring.condition(wanted, at, lifecycle, names, alerts=False)
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
    yield from repeated(available, path, "each version")
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
            yield Contradiction(("privacy", "pii", place), unknown(name, "feature", names.features))
