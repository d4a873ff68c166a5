"""What a lifecycle and its reference mean for outcomes: how they are counted, and what they are held against."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import NamedTuple

from alerting.settings import Persistence
from detectors.alarm import budget
from detectors.operations.rules import Line
from detectors.performance import named
from detectors.performance.calibrated import Calibration, calibrate
from detectors.performance.concept import ConceptPlan, ConceptPolicy
from detectors.performance.layout import Layout
from detectors.performance.metrics import Z99, Insufficient, Metric, metric, metrics
from detectors.performance.reference import OutcomeReference
from detectors.performance.rules import Change, degraded, gap, judge_line
from detectors.performance.slices import SliceLayout
from detectors.performance.unlabelled import EstimateLayout
from detectors.performance.watches import LABEL, LOSS
from detectors.reference.build import Reference
from detectors.samples.effects import Ints
from detectors.sequences.values import Settings
from detectors.types import Check
from streams import outcomes
from streams.judging.lines import Lines, Rule
from streams.judging.scopes import DAY_MS, Timing
from streams.lifecycle import Lifecycle
from streams.lifecycle.acts import windows
from streams.lifecycle.detection import ConceptDrift
from streams.lifecycle.metrics import METRICS, NEEDS_LABELS
from streams.lifecycle.monitoring import LabelHealth
from streams.segments import ALL, name_of

MOST_DAYS = 400  # of predictions, that are remembered
LONGEST_MS = 31 * DAY_MS  # a metric is the sum of at most so much
OF_LABELS = ("label_coverage", "label_lag")  # said of labels, not of the model
_DEGRADATION = "performance_degradation"
_WATCHED = {_DEGRADATION: LOSS, "label_drift": LABEL}


class Usual(NamedTuple):
    """What the outcomes of the reference were, in one segment."""

    counts: Ints
    metrics: Mapping[str, Metric]


class Cohorts(NamedTuple):
    """How far apart the values of a segment may be in a metric."""

    segment: str
    metric: str
    allowed: Change
    least: int

    @property
    def prefix(self) -> str:
        """What the names of its values begin with."""
        return name_of([(self.segment, "")])


class Held(NamedTuple):
    """What a rule says."""

    rule: Rule
    counts: Ints | None  # what it is about; None: its period is not over
    judged: Check


@dataclass(slots=True)
class TruthPlan:
    """What the judge needs to know of one model's outcomes."""

    layout: Layout
    slices: SliceLayout | None
    counted: str  # digest of both layouts: of what may be added
    hopes: EstimateLayout | None  # of predictions before their labels come
    calibration: Calibration | Insufficient  # of their scores
    timing: Timing
    keep_ms: int  # until then a prediction's truth may come
    lines: Lines
    rules: tuple[Rule, ...]  # of them, those that need labels
    cohorts: tuple[Cohorts, ...]
    fall: (
        tuple[str, float, Change] | None
    )  # a metric, what was written for it, and how far it may fall
    policy: ConceptPolicy
    costs: Mapping[str, float] | None
    health: LabelHealth
    singles: tuple[Settings, ...]  # methods that read errors one by one
    notes: tuple[str, ...]  # on those that cannot read them
    reference: Reference | None
    _plans: dict[str, ConceptPlan | None] = field(default_factory=dict)
    _usual: dict[str, Usual | None] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Of everything that a detector's memory belongs to."""
        of = self.reference.digest if self.reference is not None else ""
        return "/".join((of, self.layout.digest, *self.policy.watched))

    @property
    def longest_ms(self) -> int:
        """How far back judged windows are needed: for what is measured over more than one."""
        periods = (rule.period_ms or 0 for rule in self.rules)
        return min(max(periods, default=0), LONGEST_MS)

    def usual(self, segment: str) -> Usual | None:
        """The reference's outcomes of a segment; None where it has none in this layout."""
        if segment not in self._usual:
            found = _outcomes(self.reference, segment)
            fits = found is not None and found.layout.digest == self.layout.digest
            self._usual[segment] = (
                Usual(found.counts, _known(self.layout, found.counts, self.costs))
                if found is not None and fits
                else None
            )
        return self._usual[segment]

    def detector(self, segment: str) -> ConceptPlan | None:
        """The compiled detector of a segment; None if nothing can be compared with."""
        if segment not in self._plans:
            found = _outcomes(self.reference, segment)
            fits = found is not None and found.layout.digest == self.layout.digest
            self._plans[segment] = _detector(self, found) if found is not None and fits else None
        return self._plans[segment]

    def hold(self, segment: str, counts_of: Callable[[Rule], Ints | None]) -> list[Held]:
        """What the rules of a segment say.

        Parameters
        ----------
        counts_of : the outcomes that a rule is about; None while its period is not over
        """
        usual, found = self.usual(segment), []
        known = usual.metrics if usual is not None else {}
        for rule in self.rules:
            if not rule.about(segment) or rule.metric in OF_LABELS:
                continue
            counts = counts_of(rule)
            reference = known[rule.metric].value if rule.metric in known else rule.current
            judged = self.line(rule.name, rule.metric, rule.line, counts, reference)
            found.append(Held(rule, counts, judged))
        return found

    def line(
        self,
        rule: str,
        name: str,
        line: Line,
        counts: Ints | None,
        reference: float | None = None,
    ) -> Check:
        """A metric of these outcomes held against a line; None of them: nothing is known of it."""
        answer = None
        if counts is not None:
            answer = metric(self.layout, counts, name, costs=self.costs, z=Z99)
            if self.rows(counts) < line.least:
                answer = Insufficient("too_few_labels", self.rows(counts), line.least)
        return judge_line(
            rule,
            answer,
            line._replace(least=0),  # asked of all outcomes, above
            series=f"metric:{name}",
            reference=reference,
        )

    def worse(self, counts: Ints) -> list[Check]:
        """Whether the first metric fell too far below what was written for it, where no reference knows more."""
        if self.fall is None or self.usual(ALL) is not None:
            return []
        name, current, allowed = self.fall
        answer = metric(self.layout, counts, name, costs=self.costs, z=Z99)
        written = Metric(current, current, current, 0)
        better = METRICS[name].better
        return [
            degraded(
                f"{name}_degradation", answer, written, allowed, better, series=f"metric:{name}"
            )
        ]

    def apart(self, beside: Mapping[str, Ints], whole: Ints) -> list[Check]:
        """Whether the values of a segment differ too much.

        Parameters
        ----------
        beside : the outcomes of each segment
        whole : those of all together
        """
        found = []
        for of in self.cohorts:
            answers = {
                name: metric(self.layout, counts, of.metric, costs=self.costs, z=Z99)
                for name, counts in beside.items()
                if name.startswith(of.prefix) and "," not in name
            }
            of_all = metric(self.layout, whole, of.metric, costs=self.costs)
            rule, series = f"{of.metric}_gap({of.segment})", f"metric:{of.metric}"
            judged, lowest, highest = gap(
                rule,
                answers,
                of.allowed,
                series=series,
                reference=of_all.value if isinstance(of_all, Metric) else None,
                least=of.least,
            )
            if lowest is not None and judged.value is not None:
                said = f"{of.metric} differs by {judged.value:.3f} between {lowest} and {highest}"
                judged = judged._replace(said=f"{said}, limit {judged.limit:.3g}")
            found.append(judged)
        return found

    @property
    def waits(self) -> Mapping[str, Persistence]:
        """How long each rule must be broken before anybody hears of it."""
        return {rule.name: rule.persistence for rule in self.rules}

    def sliced(self) -> Ints | None:
        """The reference's counts of slices; None where it has none in this layout."""
        known = self.reference.known if self.reference is not None else None
        if known is None or self.slices is None:
            return None
        return known.sliced(self.slices.digest, self.slices.total)

    @property
    def phi(self) -> float:
        """Over-dispersion of the error rate of windows."""
        known = self.reference.outcomes if self.reference is not None else None
        return known.phi("error", "error") if known is not None else 1.0

    def rows(self, counts: Ints) -> int:
        """How many outcomes there are."""
        return max(int(counts[self.layout.block("rows")][0]), 0)


def _outcomes(reference: Reference | None, segment: str) -> OutcomeReference | None:
    if reference is None:
        return None
    return reference.outcomes if segment == ALL else reference.outcomes_of(segment)


def _detector(plan: TruthPlan, of: OutcomeReference) -> ConceptPlan:
    """Windows of a segment hold its part of the outcomes, those of another length theirs."""
    span, whole, rows = of.span, plan.usual(ALL), None
    if span is not None and whole is not None:
        part = of.outcomes / max(plan.rows(whole.counts), 1)
        # φ was measured on the reference's windows, and grows with longer ones
        rows = part * span.rows * min(1.0, plan.timing.window_ms / span.window_ms)
    return ConceptPlan.of(of, plan.policy, rows)


def _known(layout: Layout, counts: Ints, costs: Mapping[str, float] | None) -> dict[str, Metric]:
    found = metrics(layout, counts, costs=costs)
    return {name: answer for name, answer in found.items() if isinstance(answer, Metric)}


def compile_truths(lifecycle: Lifecycle, reference: Reference | None) -> TruthPlan | None:
    """The plan of one model; None where its labels are not read."""
    length = windows(lifecycle).outcomes
    if length is None or lifecycle.source.labels is None:
        return None
    window_ms = _ms(length)
    health = lifecycle.monitoring.labels or LabelHealth()
    layout = outcomes.layout_of(lifecycle, reference)
    slices = outcomes.slices_of(lifecycle, reference, layout)
    plan = TruthPlan(
        layout=layout,
        slices=slices,
        counted=outcomes.digest_of(layout, slices),
        hopes=outcomes.hopes_of(lifecycle, reference),
        calibration=_calibration(layout, reference),
        timing=Timing(window_ms, _ms(health.maturity) if health.maturity else 0, patient=True),
        keep_ms=_keep_ms(lifecycle, health),
        lines=Lines(lifecycle),
        rules=(),
        cohorts=_cohorts(lifecycle),
        fall=_fall(lifecycle),
        policy=ConceptPolicy(_log_threshold(lifecycle, reference, window_ms)),
        costs=_costs(lifecycle),
        health=health,
        singles=(),
        notes=(),
        reference=reference,
    )
    usual = plan.usual(ALL)
    known = {name: of.value for name, of in usual.metrics.items()} if usual is not None else {}
    plan.lines = Lines(lifecycle, known.get)
    plan.rules = tuple(
        rule._replace(period_ms=_period_ms(rule.period_ms, window_ms))
        for rule in plan.lines.rules
        if rule.metric in NEEDS_LABELS
    )
    plan.policy = _policy(lifecycle, plan)
    plan.singles, plan.notes = _singles(lifecycle, plan)
    return plan


def _singles(lifecycle: Lifecycle, plan: TruthPlan) -> tuple[tuple[Settings, ...], tuple[str, ...]]:
    concept = lifecycle.monitoring.drift_detection.concept_drift
    kinds = [method for method in concept.method if method in named.KINDS] if concept else []
    classified = plan.layout.task in ("binary", "classes")
    usual = plan.usual(ALL)
    mean, sd = _losses(usual.metrics) if usual is not None else (None, None)
    return named.detectors(kinds, errors=classified, mean=mean, sd=sd)


def _losses(known: Mapping[str, Metric]) -> tuple[float | None, float | None]:
    """Mean and standard deviation of single errors or losses in the reference."""
    if "accuracy" in known:
        wrong = 1 - known["accuracy"].value
        return wrong, (wrong * (1 - wrong)) ** 0.5
    if "mae" in known and "rmse" in known:
        mean, square = known["mae"].value, known["rmse"].value ** 2
        return mean, max(square - mean * mean, 0.0) ** 0.5
    return None, None


def _cohorts(lifecycle: Lifecycle) -> tuple[Cohorts, ...]:
    return tuple(
        Cohorts(
            of.segment, of.metric, Change(of.max_gap.amount, of.max_gap.relative), of.min_events
        )
        for of in lifecycle.monitoring.slices
        if of.max_gap is not None and of.metric in NEEDS_LABELS
    )


def _fall(lifecycle: Lifecycle) -> tuple[str, float, Change] | None:
    concept = lifecycle.monitoring.drift_detection.concept_drift
    if concept is None or concept.threshold is None or _DEGRADATION not in concept.method:
        return None
    change = Change(concept.threshold.amount, concept.threshold.relative)
    written = (m for m in lifecycle.monitoring.performance_metrics if m.metric in NEEDS_LABELS)
    first = next(written, None)
    if first is None or first.current is None or first.metric in OF_LABELS:
        return None
    return first.metric, first.current, change


def _calibration(layout: Layout, reference: Reference | None) -> Calibration | Insufficient:
    known = reference.outcomes if reference is not None else None
    if known is None or known.layout.digest != layout.digest:
        return Insufficient("uncalibrated", 0, 0)
    return calibrate(layout, known.counts, known.phi("error", "error"))


def _log_threshold(lifecycle: Lifecycle, reference: Reference | None, window_ms: int) -> float:
    """The budget of the model is split evenly: every segment has one alarm for inputs and one for outcomes."""
    allowed = lifecycle.monitoring.false_alarms
    subjects = 1 + (len(reference.segments) if reference else 0)
    return budget.log_threshold(allowed.count, _ms(allowed.per), window_ms, 2 * subjects)


def _policy(lifecycle: Lifecycle, plan: TruthPlan) -> ConceptPolicy:
    """What is watched, and from which change on.

    Points are points of the error rate; a percentage is one of the first performance metric, of accuracy where none is
    written. Of a mean loss both are relative to the reference's, of labels both are points of a class's share.
    """
    concept = lifecycle.monitoring.drift_detection.concept_drift or ConceptDrift()
    named = tuple(_WATCHED[method] for method in concept.method if method in _WATCHED)
    policy = ConceptPolicy(plan.policy.log_threshold, watched=named or (LOSS,))
    change, usual = concept.threshold, plan.usual(ALL)
    if change is None or usual is None:
        return policy
    tolerance = change.amount
    if plan.layout.task in ("binary", "classes"):
        written = (of.metric for of in lifecycle.monitoring.performance_metrics)
        first = next((name for name in written if name in usual.metrics), "accuracy")
        if change.relative and first in usual.metrics:
            tolerance *= abs(usual.metrics[first].value)
    return replace(policy, tolerance=tolerance, label_tolerance=change.amount)


def _costs(lifecycle: Lifecycle) -> Mapping[str, float] | None:
    costs = lifecycle.prediction.costs if lifecycle.prediction is not None else None
    if costs is None:
        return None
    names = ("false_positive", "false_negative", "over", "under")
    written = {name: getattr(costs, name) for name in names}
    return {name: cost for name, cost in written.items() if cost is not None} or None


def _keep_ms(lifecycle: Lifecycle, health: LabelHealth) -> int:
    join = lifecycle.source.join
    lengths = [health.within, health.max_lag, join.window if join is not None else None]
    longest = max((_ms(length) for length in lengths if length is not None), default=60 * DAY_MS)
    return min(longest, MOST_DAYS * DAY_MS)


def _period_ms(written_ms: int | None, window_ms: int) -> int | None:
    """A longer period is a number of whole windows; any other is the window."""
    longer = written_ms is not None and written_ms > window_ms and written_ms % window_ms == 0
    return written_ms if longer else None


def _ms(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)
