"""Do the monitoring parts of a lifecycle contradict each other or the rest?"""

from datetime import timedelta

from streams.lifecycle.conditions import Condition, SeriesTest
from streams.lifecycle.contradiction import (
    Contradiction,
    Found,
    Names,
    repeated,
    unknown,
    with_article,
)
from streams.lifecycle.detection import PredictionDrift
from streams.lifecycle.drift import AUTO
from streams.lifecycle.grammar import LONGEST_WINDOW, human
from streams.lifecycle.metrics import Bound
from streams.lifecycle.mistakes import Steps, Wrong, bare, did_you_mean, quoted
from streams.lifecycle.settings import Lifecycle

CHANNELS = ("slack", "pagerduty", "email")
_SECOND = timedelta(seconds=1)
_HOUR = timedelta(hours=1)


def windows(lifecycle: Lifecycle, names: Names) -> Found:
    """Windows that are not whole panes, and panes that are no part of a window."""
    monitoring = lifecycle.monitoring
    base: Steps = ("monitoring", "window")
    pane, size = monitoring.window.pane, monitoring.window.size
    if pane % _SECOND:
        wrong = Wrong(human(pane), "is not a number of whole seconds", "1s or more")
        yield Contradiction((*base, "pane"), wrong)
        return
    if pane > LONGEST_WINDOW:
        wrong = Wrong(human(pane), "is longer than a window can be", "at most 31d")
        yield Contradiction((*base, "pane"), wrong)
        return
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


def season(lifecycle: Lifecycle, names: Names) -> Found:
    """Windows that do not lie within one slot of the season: an hour."""
    if lifecycle.reference.season == "none":
        return
    path: Steps = ("monitoring", "drift_detection", "data_drift", "check_frequency")
    length = lifecycle.monitoring.drift_detection.data_drift.check_frequency
    if length is None:
        path, length = ("monitoring", "window", "size"), lifecycle.monitoring.window.size
    if _HOUR % length:
        written = names.written(path)
        said = written if isinstance(written, str) else human(length)
        what = f"does not divide the hour of season {lifecycle.reference.season}"
        wrong = Wrong(said, what, "1h or a part of it, such as 15m")
        yield Contradiction(path, wrong, (("reference", "season"),))


def metrics(lifecycle: Lifecycle) -> Found:
    """Critical lines that are not worse than the threshold; slices without a value between their limits."""
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


def drift(lifecycle: Lifecycle, names: Names) -> Found:
    """Features nobody declared; severe thresholds that are not beyond the other one."""
    detection = lifecycle.monitoring.drift_detection
    base: Steps = ("monitoring", "drift_detection")
    monitored = detection.data_drift.features_monitored
    if monitored != "all":
        path: Steps = (*base, "data_drift", "features_monitored")
        yield from repeated(monitored, path, "each feature")
        if isinstance(names.written(("features",)), dict):
            for place, name in enumerate(monitored):
                if name not in names.features:
                    yield Contradiction((*path, place), unknown(name, "feature", names.features))
    if detection.data_drift.joint and isinstance(names.written(("features",)), dict):
        numbers = [
            name
            for name, f in lifecycle.features.items()
            if f.type in ("number", "integer")
            and (f.role == "input" if monitored == "all" else name in monitored)
        ]
        if len(numbers) < 2:
            wrong = Wrong(
                "true,",
                f"but {quoted(numbers[0])} is the only number that is monitored"
                if numbers
                else "but no number is monitored",
                "two features of type number or integer",
            )
            yield Contradiction((*base, "data_drift", "joint"), wrong, (("features",),))
    both: tuple[tuple[str, PredictionDrift], ...] = (
        ("data_drift", detection.data_drift),
        ("prediction_drift", detection.prediction_drift),
    )
    for key, drift in both:
        threshold, severe = drift.threshold, drift.severe
        if drift.alarm == "every_window" and drift.method == AUTO:
            wrong = Wrong("", "there is no rule to apply", "a method beside it, such as PSI")
            yield Contradiction((*base, key, "alarm"), wrong, ((*base, key, "method"),))
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


def labels(lifecycle: Lifecycle) -> Found:
    """Labels that are expected later than they must be there."""
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


def alerts(lifecycle: Lifecycle, names: Names) -> Found:
    """Names given twice, channels nobody has, waiting said twice, and conditions (see `condition`)."""
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
        yield from condition(rule.condition, (*path, "condition"), lifecycle, names, alerts=True)


def condition(
    condition: Condition, path: Steps, lifecycle: Lifecycle, names: Names, *, alerts: bool
) -> Found:
    """Series that nobody declared, statistics that their type does not have, tests the wrong way round."""
    for test in condition.tests:
        if not isinstance(test, SeriesTest):
            continue
        feature = lifecycle.features.get(test.feature)
        if test.feature not in names.features and test.feature not in ("prediction", "score"):
            if isinstance(names.written(("features",)), dict):
                yield Contradiction(path, unknown(test.feature, "feature", names.features))
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
                quoted(str(test)),
                f"measures what {with_article(kind)} has not",
                f"a statistic of {with_article(kind)}",
            )
            yield Contradiction(path, wrong, (("features", test.feature),))
        if alerts and test.op in ("<", "<="):
            wrong = Wrong(quoted(str(test)), "alerts when nothing is wrong", "a comparison with >")
            yield Contradiction(path, wrong)
