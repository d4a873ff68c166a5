"""What differs between the hours of a season? A reference, bets and a pool for each of its slots, one alarm for all.

A daily cycle is no drift: a window is compared with the reference's windows of the same slot. The scores are those of
the whole reference, in every slot with that slot's own mid-ranks and bounds; where a slot cannot carry a bet (its
reference holds too few rows, or nearly always the same value) that bet stands still in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from detectors.alarm.scores import ENOUGH, Score, scores
from detectors.alarm.sequential import BETS, COMPONENTS, Panel, Part, Watched
from detectors.edges import MINIMUM_ROWS
from detectors.samples.effects import Floats, Ints, midranks
from detectors.series import Series

KEPT_PANELS = 2  # a panel takes .3 MB and about two milliseconds; windows come in order


@dataclass(frozen=True, slots=True, eq=False)
class Slots:
    """The slots of a plan. S slots, K series of the reference, W watched ones; C cells."""

    references: Ints  # (S, C): the reference of every slot
    rows: Floats  # (S,): expected rows per window
    watched: tuple[Watched, ...]  # with the scores of the whole reference
    series: tuple[Series, ...]  # (W,)
    solid: NDArray[np.bool_]  # (S, W): series with enough reference rows in the slot
    column: Ints  # (C,): which watched series a cell belongs to, -1: none
    overall: float  # expected rows per window of the whole reference: φ belongs to it
    _panels: dict[int, Panel] = field(default_factory=dict)

    @staticmethod
    def compile(
        references: Ints,
        rows: Floats,
        series: Sequence[Series],
        watched: Sequence[Watched],
        overall: float,
    ) -> "Slots":
        """Lay out the slots of the watched `series`, whose scores and places `watched` holds."""
        column = np.full(references.shape[1], -1)
        for k, (s, w) in enumerate(zip(series, watched, strict=True)):
            column[w.offset : w.offset + s.cells] = k
        values = [
            references[:, w.offset : w.offset + s.values].sum(1)
            for s, w in zip(series, watched, strict=True)
        ]
        return Slots(
            references,
            rows,
            tuple(watched),
            tuple(series),
            np.stack(values, axis=1) >= MINIMUM_ROWS,
            column,
            overall,
        )

    def judges(self, slot: int) -> bool:
        """Whether the reference of a slot supports any verdict."""
        return bool(self.solid[slot].any())

    def panel(self, slot: int) -> Panel:
        """The bets of a slot."""
        if slot not in self._panels:
            while len(self._panels) >= KEPT_PANELS:
                self._panels.pop(next(iter(self._panels)))  # the oldest
            self._panels[slot] = self._compile(slot)
        return self._panels[slot]

    def part(self, slot: int, counts: Ints) -> Part:
        """What `step_slots` wants of a window."""
        return Part(slot, self.panel(slot), counts)

    def _compile(self, slot: int) -> Panel:
        counts, watched, shut = self.references[slot], [], []
        n = float(self.rows[slot])
        for k, (s, w) in enumerate(zip(self.series, self.watched, strict=True)):
            cells = counts[w.offset : w.offset + s.cells]
            found = tuple(in_slot(score, s, cells) for score in w.scores)
            watched.append(Watched(w.offset, found, w.phi))
            varies = any(score.kind == "location" for score in found)
            constant = varies and _constant(s, cells, n)
            shut += [
                np.full(COMPONENTS, True)
                if not self.solid[slot, k] or _idle(each, varies=varies, constant=constant)
                else _too_rare(each, cells, n)
                for each in found
            ]
        return Panel.compile(watched, counts, self.overall, shut=np.stack(shut))

    def spread(self, slot: int, counts: Ints) -> Ints:
        """Counts (C,) of one slot as those of all, (S, C)."""
        out = np.zeros_like(self.references)
        out[slot] = counts
        return out

    def _rows(self, counts: Ints) -> Floats:
        """Rows of every watched series, (slots, W), in counts (slots, C)."""
        places = zip(self.watched, self.series, strict=True)
        rows = [counts[:, w.offset : w.offset + s.cells].sum(1) for w, s in places]
        return np.stack(rows, axis=1).astype(np.float64)

    def comparable(self, counts: Ints) -> tuple[Ints, Ints]:
        """A reference (C,) for counts (S, C) of several slots, and those of them that it can be compared with.

        The mixture of the slots' references, weighted by the current rows in each: what the current rows would look
        like if every slot were as it was. Its size is that of a sample with the same variance,
        :math:`m = 1 / \\sum_s w_s^2 / m_s`; that rows are stratified by slot makes both sides vary less, so intervals
        are on the safe side. Of one slot it is that slot's reference. A series counts in the slots that hold enough
        reference rows of it. Blind to a change of volume between slots, which is no drift of the values.
        """
        held = np.flatnonzero(counts.any(1))  # in most windows one
        references = self.references[held]
        solid = np.where(self.column < 0, False, self.solid[held][:, self.column])
        current = np.where(solid, counts[held], 0)
        now, had = self._rows(current), self._rows(np.where(solid, references, 0))
        weight = now / np.maximum(now.sum(0), 1.0)
        size = 1 / np.maximum((weight * weight / np.maximum(had, 1.0)).sum(0), 1e-18)
        each = (size * weight / np.maximum(had, 1.0))[:, self.column]
        mixed = np.rint(np.add.reduce(np.where(solid, references * each, 0.0), axis=0))
        return mixed.astype(np.int64), current.sum(0)


def in_slot(score: Score, series: Series, counts: Ints) -> Score:
    """A score of the whole reference as it is in a slot with these counts: other mid-ranks, other usual value."""
    if score.indicator and score.kind != "unusual":
        return score
    inner = counts[: series.values]
    share = inner / max(int(inner.sum()), 1)
    values = np.zeros_like(score.values)
    if score.kind == "unusual":
        values[: len(share)] = 1.0
        values[int(share.argmax())] = 0.0
    else:
        u = midranks(share)
        values[: len(share)] = u if score.kind == "location" else np.abs(2 * u - 1)
    return Score(score.kind, score.name, values, score.live, score.indicator, score.rare)


def seasonal_scores(
    series: Series, references: Ints, per_window: Floats, rows: float
) -> tuple[Score, ...]:
    """The scores of a series under a season: those of all slots together, (S, cells), in windows of `rows` rows.

    A number that is nearly constant in some slot (`per_window` rows each) has the score `unusual` for it as well.
    """
    whole = references.sum(0)
    found = scores(series, whole, rows)
    if not any(s.kind == "location" for s in found) or _varies(series, references, per_window):
        return found
    values, live = np.zeros(series.cells), np.zeros(series.cells, bool)
    values[: series.values], live[: series.values] = 1.0, True
    values[int(whole[: series.values].argmax())] = 0.0
    return (*found, Score("unusual", "unusual", values, live, indicator=True, rare=True))


def _constant(series: Series, counts: Ints, rows: float) -> bool:
    """Whether a number has nearly always the same value, as in `detectors.alarm.scores`."""
    values = counts[: series.values]
    return bool(rows * (1 - values.max() / max(int(values.sum()), 1)) < ENOUGH)


def _varies(series: Series, references: Ints, rows: Floats) -> bool:
    """Whether a number varies in all slots that hold enough of it; (S, cells) and (S,)."""
    return not any(
        _constant(series, counts, float(n))
        for counts, n in zip(references, rows, strict=True)
        if counts[: series.values].sum() >= MINIMUM_ROWS
    )


def _idle(score: Score, *, varies: bool, constant: bool) -> bool:
    """Whether a score has nothing to say in a slot: of a number that varies elsewhere, but is `constant` here."""
    if score.kind == "unusual":
        return varies and not constant  # location and spread see more
    return constant and not score.indicator


def _too_rare(score: Score, counts: Ints, rows: float) -> NDArray[np.bool_]:
    """Which components of a score may not bet in a slot, (20,): an indicator rare in it only grows by surprise."""
    out = np.zeros(COMPONENTS, bool)
    if score.indicator and not score.rare:
        live = counts[score.live]
        share = float((live * score.values[score.live]).sum()) / max(float(live.sum()), 1.0)
        out[len(BETS) :] = rows * min(share, 1 - share) < ENOUGH
    return out
