"""What is watched in the outcomes of one subject? Everything that a reference and a policy fix, compiled once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from detectors.edges import MINIMUM_ROWS
from detectors.performance.cells import Cells
from detectors.performance.layout import Layout
from detectors.performance.metrics import errors
from detectors.performance.reference import OutcomeReference
from detectors.performance.watches import LABEL, LOSS, Errors, Watch
from detectors.samples.effects import Floats, Interval, Ints
from detectors.sequences.losses import CERTAIN, LossCells

_DAY_MS = 86_400_000
_WINDOWS = 30  # that a reference without times is taken for


@dataclass(frozen=True, slots=True)
class ConceptPolicy:
    """When outcomes are judged, what is surprising and what matters.

    Both tolerances only ever raise a gate: .02 of a share, a twentieth of a mean loss.
    """

    log_threshold: float  # log A
    watched: tuple[str, ...] = (LOSS,)  # `LOSS`, `LABEL` or both: they share the budget
    tolerance: float = 0.0  # of the error rate; of a mean loss, relative to the reference's
    severe: float | None = None  # None: twice the tolerance, or the usual
    label_tolerance: float = 0.0  # of the share of a class
    label_severe: float | None = None
    min_labels: int = 30  # fewer say nothing: they are carried to the next window
    hold: int = 3  # calm windows until an episode resolves
    history_ms: int = 30 * _DAY_MS


@dataclass(frozen=True, slots=True, eq=False)
class ConceptPlan:
    """A reference and a policy, ready to judge windows of one segment."""

    policy: ConceptPolicy
    layout: Layout
    watches: tuple[Watch, ...]  # empty: the reference holds too few labels
    places: tuple[slice, ...]  # of every watch in `pick`
    notes: tuple[str, ...] = field(default=())

    @property
    def exact(self) -> bool:
        """Whether the bets are right at any number of labels: those on errors are, those on cells are asymptotic."""
        return all(isinstance(w, Errors) for w in self.watches)

    @staticmethod
    def compile(
        layout: Layout,
        reference: Ints,
        policy: ConceptPolicy,
        *,
        rows: float,
        dispersion: Mapping[str, Mapping[str, float]] | None = None,
        worth: Floats | None = None,
    ) -> "ConceptPlan":
        """Prepare to watch outcomes that are counted in `layout`.

        Parameters
        ----------
        reference : int64, (layout.total,)
        rows : expected outcomes per window
        dispersion : over-dispersion φ by watch (loss, label) and score: ``{"loss": {"error": 12.1}}``. A score that is
            not named takes the largest of its watch; None, or a watch without any: 1, and a note that says so
        worth : mean loss in every value cell of `layout.loss`, as `LossCells.worth`; needed where that is watched

        Examples
        --------
        >>> layout = Layout.of("binary", ("no", "yes"), positive="yes")
        >>> counts = np.zeros(layout.total, np.int64)
        >>> layout.read(counts, "confusion")[:2, :2] = [[7200, 800], [1200, 800]]
        >>> layout.read(counts, "right")[:] = 8000
        >>> plan = ConceptPlan.compile(layout, counts, ConceptPolicy(9.2), rows=500)
        >>> plan.watches[0].reference.tolist(), plan.notes
        ([8000, 2000], ('dependence of outcomes not calibrated',))
        """
        known = dispersion or {}
        watches: list[Watch] = []
        for name in (LOSS, LABEL):
            if name in policy.watched:
                found = _watch(layout, name, reference, policy, rows, known.get(name, {}), worth)
                if found is not None:
                    watches.append(found)
        ends = np.cumsum([0, *(len(w.reference) for w in watches)]).tolist()
        places = tuple(slice(a, b) for a, b in pairwise(ends))
        notes = []
        if not all(known.get(w.name) for w in watches):
            notes.append("dependence of outcomes not calibrated")
        if any(isinstance(w, Errors) and w.rate.p0 > CERTAIN for w in watches):
            notes.append("no error rate is above the one that is tolerated: errors are not watched")
        return ConceptPlan(policy, layout, tuple(watches), places, tuple(notes))

    @staticmethod
    def of(
        reference: OutcomeReference, policy: ConceptPolicy, rows: float | None = None
    ) -> "ConceptPlan":
        """`compile` for a reference as it was built.

        Parameters
        ----------
        rows : expected outcomes per window of the subject; None: those of the reference's windows
        """
        known = {name: dict(phis) for name, phis in reference.dispersion}
        classified = reference.layout.task in ("binary", "classes")
        loss = known.get("error" if classified else "loss", {})
        span = reference.span
        usual = span.rows if span is not None else reference.outcomes / _WINDOWS
        return ConceptPlan.compile(
            reference.layout,
            reference.counts,
            policy,
            rows=max(usual if rows is None else rows, 1.0),
            dispersion={LOSS: loss, LABEL: known.get("label", {})},
            worth=np.array(reference.worth) if reference.worth else None,
        )

    def pick(self, counts: Ints) -> Ints:
        """What the watches need of a vector of outcomes, one after another; there is at least one watch."""
        return np.concatenate([_cells(self.layout, w, counts) for w in self.watches])

    def measure(self, counts: Ints) -> list[Interval]:
        """The effects of every watch on what `pick` took."""
        return [w.measure(counts[at]) for w, at in zip(self.watches, self.places, strict=True)]


def _watch(
    layout: Layout,
    name: str,
    reference: Ints,
    policy: ConceptPolicy,
    rows: float,
    phi: Mapping[str, float],
    worth: Floats | None,
) -> Watch | None:
    if name == LABEL:
        if layout.label is None:
            return None
        counts = reference[layout.block("label")]
        if counts[: layout.label.values].sum() < MINIMUM_ROWS:
            return None
        tolerance, severe = policy.label_tolerance, policy.label_severe
        return Cells.labels(layout.label, counts, rows, phi, tolerance, severe)
    if layout.task in ("binary", "classes"):
        counts = _errors(layout, reference)
        if counts.sum() < MINIMUM_ROWS:
            return None
        largest = max(phi.values(), default=1.0)
        return Errors.compile(counts, rows, largest, policy.tolerance, policy.severe)
    counts = reference[layout.block("loss")]
    if layout.loss is None or worth is None or counts[: layout.loss.values].sum() < MINIMUM_ROWS:
        return None
    cells = LossCells(layout.loss, counts, worth)
    return Cells.loss(cells, rows, phi, policy.tolerance, policy.severe)


def _errors(layout: Layout, counts: Ints) -> Ints:
    """Right and wrong predictions; outcomes without a prediction are neither."""
    wrong, n = errors(layout, counts)
    return np.array([n - wrong, wrong], np.int64)


def _cells(layout: Layout, watch: Watch, counts: Ints) -> Ints:
    if watch.name == LABEL:
        found = counts[layout.block("label")]
    elif isinstance(watch, Errors):
        found = _errors(layout, counts)
    else:
        found = counts[layout.block("loss")]
    return np.maximum(found, 0)  # what was taken back from an earlier window is no evidence
