"""What a registered lifecycle means for the judge: windows, watermarks, thresholds and policies, compiled once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from alerting.settings import EpisodePolicy, Receiver, RetrainingPolicy, RoutingRule
from detectors.alarm import budget
from detectors.judging.decision import Plan, Policy
from detectors.judging.rules import LEAST_ROWS
from detectors.reference import joint
from detectors.reference.build import Reference
from detectors.reference.derived import features_of
from streams import seasons, segments
from streams.judging import policies
from streams.judging.limits import Limits, compile_limits
from streams.judging.lines import Lines
from streams.judging.rules import OUTPUTS, rules
from streams.judging.scopes import HEALTH, INPUTS, OUTCOMES, Timing
from streams.judging.truth_plan import TruthPlan, compile_truths
from streams.judging.waking import Readers
from streams.judging.written import Conditions, compile_conditions
from streams.lifecycle import Lifecycle
from streams.lifecycle.acts import windows
from streams.messages import joined_source
from streams.registry import Registered, release
from streams.topics import Names

UNVERSIONED = "unversioned"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class ModelPlan:
    """Everything the judge needs to know of one model."""

    lifecycle: Lifecycle
    reference: Reference | None
    readers: Readers  # the models that read what it reads
    timings: Mapping[str, Timing]  # by scope; a scope that is not judged has none
    pane_ms: int
    lateness_ms: int
    segments: segments.Definitions
    budget: str
    episodes: EpisodePolicy
    retraining: RetrainingPolicy
    policy: Policy
    monitored: tuple[str, ...]
    limits: Limits
    conditions: Conditions  # of alerts, that windows of health are held against
    lined: frozenset[str]  # segments that have windows of health
    truths: TruthPlan | None  # None: labels are not read
    slot_of: Callable[[int], int]  # of the window that starts at a time, in the reference's season
    given: bool = False  # the reference was named for the current version
    lent: bool = False  # it is another version's: the current one has none yet, and grows one
    _plans: dict[str, Plan | None] = field(default_factory=dict)

    def made_from(self, registered: Registered) -> bool:
        """Whether nothing about the model was written since it was compiled."""
        mine = self.lifecycle is registered.lifecycle and self.reference is registered.reference
        return mine and (self.given, self.lent) == (registered.given, registered.lent)

    @property
    def grace_ms(self) -> int:
        """For how long a new version's problems are not delivered."""
        return _ms(self.lifecycle.monitoring.window.grace)

    @property
    def deployed_ms(self) -> int | None:
        """When the version of the file was deployed, as far as the file says it."""
        day = self.lifecycle.metadata.deployed_date
        if day is None:
            return None
        return _ms(datetime(day.year, day.month, day.day, tzinfo=UTC) - _EPOCH)

    @property
    def asks_by_itself(self) -> bool:
        """Whether dates or labels ask for a retraining."""
        conditions = self.retraining.conditions
        return any(of.schedule is not None or of.labels is not None for of in conditions)

    @property
    def retired(self) -> bool:
        """Whether the model's life is over."""
        return self.lifecycle.retirement.status == "Retired"

    @property
    def window_ms(self) -> int:
        """Length of the windows of inputs."""
        return self.timings[INPUTS.name].window_ms

    @property
    def digest(self) -> str:
        """Of the edges that summaries must have been binned with."""
        return self.reference.digest if self.reference is not None else ""

    def detector(self, version: str, segment: str) -> Plan | None:
        """The compiled detector of a segment; None if nothing can be compared with."""
        if self.reference is None or not self.comparable(version) or not self._in_season:
            return None
        if segment not in self._plans:
            known = segment == segments.ALL or any(
                s.segment == segment for s in self.reference.segments
            )
            self._plans[segment] = self._compiled(self.reference, segment) if known else None
        return self._plans[segment]

    def _compiled(self, reference: Reference, segment: str) -> Plan:
        plan = Plan.compile(reference, segment, self.policy, self.monitored)
        notes = plan.notes
        if self.lifecycle.reference.season != "none" and reference.season is None:
            notes += ("the reference was built without its season",)
        together = self.lifecycle.monitoring.drift_detection.data_drift.joint
        if together and not any(isinstance(one, joint.Joint) for one in reference.derived):
            notes += ("the reference was built without joint series",)
        return plan if notes == plan.notes else replace(plan, notes=notes)

    def comparable(self, version: str) -> bool:
        """Whether a version is held against the reference.

        A patch release keeps the reference; any other version needs its own (contracts §5.5), or one that was named
        for it.
        """
        if self.reference is None:
            return False
        mine = self.reference.model_version
        if version in (self.lifecycle.version, UNVERSIONED) and self.lent:
            return False
        if self.given and version == self.lifecycle.version:
            return True
        return version in (mine, UNVERSIONED) or release(version) == release(mine)

    @property
    def _in_season(self) -> bool:
        """A reference with slots is of use for the windows and the clock that they were made for only."""
        assert self.reference is not None
        wanted, season = self.lifecycle.reference, self.reference.season
        if season is None:
            return True
        same = (season.name, season.timezone) == (wanted.season, wanted.timezone)
        return same and seasons.fits(self.window_ms)

    def start_of(self, time_ms: int) -> int:
        """Start of the window of inputs that holds a time."""
        return self.timings[INPUTS.name].start_of(time_ms)


def compile_plan(
    registered: Registered,
    names: Names,
    receivers: Sequence[Receiver],
    console: str | None,
    routing: Sequence[RoutingRule] = (),
    runbook: str | None = None,
) -> ModelPlan:
    """Compile what is registered for one model; the rest is what `streams.routing.Routing` says."""
    lifecycle, reference = registered.lifecycle, registered.reference
    window, monitoring = lifecycle.monitoring.window, lifecycle.monitoring
    definitions = segments.compile_definitions(lifecycle, reference)
    window_ms = _ms(windows(lifecycle).inputs)
    subjects = 1 + (len(reference.segments) if reference else 0)
    allowed = monitoring.false_alarms
    log_threshold = budget.log_threshold(allowed.count, _ms(allowed.per), window_ms, 2 * subjects)
    monitored = _monitored(lifecycle, reference)
    truths = compile_truths(lifecycle, reference)
    lines = truths.lines if truths is not None else Lines(lifecycle)
    limits = compile_limits(lifecycle, reference)
    timings = {HEALTH.name: Timing(limits.window_ms, ticks=True), INPUTS.name: Timing(window_ms)}
    if truths is not None:
        timings[OUTCOMES.name] = truths.timing
    return ModelPlan(
        lifecycle=lifecycle,
        reference=reference,
        readers=Readers(_topics(lifecycle, names), _ms(window.idle)),
        timings=timings,
        pane_ms=_ms(window.pane),
        lateness_ms=_ms(window.lateness),
        segments=definitions,
        budget=policies.budget_text(lifecycle),
        episodes=replace(
            policies.episodes(lifecycle, receivers, console, lines),
            routing=tuple(routing),
            runbook=runbook,
        ),
        retraining=policies.retraining(lifecycle, console, lines),
        policy=policy(lifecycle, reference, monitored, log_threshold),
        monitored=monitored,
        limits=limits,
        conditions=compile_conditions(lifecycle, lines),
        lined=frozenset(line.segment for line in limits.lines),
        truths=truths,
        slot_of=seasons.slot_of(reference.season)
        if reference and reference.season
        else lambda start_ms: 0,
        given=registered.given,
        lent=registered.lent,
    )


def policy(
    lifecycle: Lifecycle,
    reference: Reference | None,
    monitored: Sequence[str],
    log_threshold: float,
) -> Policy:
    """What was written about methods, gates and the share that must drift, for these series."""
    if reference is None:
        return Policy(log_threshold)
    series = [s.series for s in reference.series if s.series.name in monitored]
    relations = [n for n, f in features_of(reference.derived).items() if f == joint.NAME]
    of = rules(lifecycle, series, aside=relations)
    usual = Policy(log_threshold)
    return Policy(
        log_threshold,
        # A rule of every window is applied to every window; a budget joins those that are too small.
        min_rows=LEAST_ROWS
        if of and all(name in of and of[name].literal for name in monitored)
        else usual.min_rows,
        rules=of,
        share=lifecycle.monitoring.drift_detection.data_drift.share or 0.0,
        inputs=tuple(name for name in monitored if name not in OUTPUTS),
    )


def _ms(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)


def _topics(lifecycle: Lifecycle, names: Names) -> tuple[str, ...]:
    """All that tells how far a model's time is."""
    source = lifecycle.source
    kinds = {
        "predictions": source.predictions,
        "features": source.features,
        "labels": source.labels,
    }
    topics = [of.topic or names(kind) for kind, of in kinds.items() if of is not None]
    if source.labels is not None and source.join is not None:
        topics.append(joined_source(source.labels.topic or names("labels")))
    return tuple(topics)


def _monitored(lifecycle: Lifecycle, reference: Reference | None) -> tuple[str, ...]:
    """The series that count for the alarm, in the reference's order."""
    drift = lifecycle.monitoring.drift_detection
    wanted: set[str] = set()
    if drift.data_drift.enabled:
        chosen = drift.data_drift.features_monitored
        inputs = [n for n, f in lifecycle.features.items() if f.role == "input"]
        wanted |= {f"feature:{name}" for name in (inputs if chosen == "all" else chosen)}
    if drift.prediction_drift.enabled:
        wanted |= {"prediction", "score"}
    if drift.data_drift.joint:
        wanted.add(joint.NAME)
    if reference is None:
        return ()
    of = features_of(reference.derived)
    names = (s.series.name for s in reference.series)
    return tuple(name for name in names if of.get(name, name) in wanted)
