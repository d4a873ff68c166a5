"""What has been counted of one model's outcomes since the last flush? Rows that wait, and the records they become.

An outcome is a prediction with its truth: a whole label event, or what the joiner made of one.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import numpy as np

from detectors.performance.counting import Columns
from detectors.reference.build import Reference
from detectors.samples.effects import Ints
from detectors.series import Series
from streams.lifecycle import Lifecycle
from streams.messages import Outcomes, add
from streams.outcomes import digest_of, layout_of, one_by_one, sliced, slices_of
from streams.profiling.codes import Codes as FeatureCodes
from streams.profiling.codes import split
from streams.profiling.labels import WHOLE, LabelReading
from streams.profiling.outcome_rows import (
    ABSENT,
    DAY_MS,
    NO_DAY,
    NOTHING,
    TOO_LONG,
    Chunk,
    Codes,
    Counted,
    Mask,
    counted,
    joined,
)
from streams.profiling.reading import Defects
from streams.segments import Definition, Definitions, text_of

Key = tuple[str, tuple[str, ...]]  # version, values of the simple groupings


class Tally:
    """Outcomes of one model under one reference.

    Parameters
    ----------
    codes : of the reference's categories
    """

    def __init__(
        self,
        lifecycle: Lifecycle,
        reference: Reference | None,
        codes: Mapping[str, FeatureCodes],
        segments: Definitions,
    ) -> None:
        self._layout = layout_of(lifecycle, reference)
        self._slices = slices_of(lifecycle, reference, self._layout)
        self._digest = digest_of(self._layout, self._slices)
        self._features, self._categories = sliced(lifecycle, reference), codes
        self._segments, self._one_by_one = segments, one_by_one(lifecycle)
        self._model_id = lifecycle.model_id
        health = lifecycle.monitoring.labels
        self._least = health.min_confidence if health is not None else 0.0
        maturity = health.maturity if health is not None else None
        self._maturity_ms = None if maturity is None else maturity // timedelta(milliseconds=1)
        self._pane_ms = lifecycle.monitoring.window.pane // timedelta(milliseconds=1)
        self.clear()

    def clear(self) -> None:
        """Forget what waits."""
        self._codes = Codes(self._layout.classes)
        self._keys: dict[Key, int] = {}
        self._chunks: list[Chunk] = []
        self._invalid: dict[tuple[int, int], dict[str, dict[str, int]]] = {}
        self.defects: Counter[str] = Counter()  # by reason, for the metrics

    def __bool__(self) -> bool:
        return bool(self._chunks or self._invalid)

    # ---- what comes in

    def add(self, reading: LabelReading, events: list[Any], times: Ints) -> None:
        """Take in the whole ones of these label events; the joiner takes the others."""
        whole = np.array(reading.whose(events), np.int64) == WHOLE
        if not whole.all():
            events = [event for event, mine in zip(events, whole.tolist(), strict=True) if mine]
            times = times[whole]
        if not events:
            return
        predicted = reading.moments_ms("prediction_timestamp", events)
        panes = self._panes(times, predicted)
        written = reading.column("model_version", events)
        versions = [reading.version(version) for version in written]
        keys = self._keys_of(reading, versions, events)
        columns = self._columns(reading, events, np.where(predicted < 0, -1, times - predicted))
        kept, defects = self._kept(reading, events, times, predicted, columns)
        odd = [w is not None and w != v for w, v in zip(written, versions, strict=True)]
        defects["model_version", "model_version"] = np.array(odd, bool)
        for (name, reason), which in defects.items():
            self._count_invalid(name, reason, keys[which], panes[which])
        columns = self._without_strange(columns)
        counted = np.ones(len(events), bool)
        if self._maturity_ms is not None:
            counted = columns.lag_ms <= self._maturity_ms
        singles: list[tuple[str, int]] = []
        if self._one_by_one:
            ids = [event_id or "" for event_id in reading.column("event_id", events)]
            both = zip(ids, times.tolist(), strict=True)
            singles = [one for one, mine in zip(both, kept.tolist(), strict=True) if mine]
        cells = self._cells(reading, events)
        days = np.where(predicted < 0, NO_DAY, predicted // DAY_MS * DAY_MS)
        self._chunks.append(
            Chunk(
                keys[kept],
                panes[kept],
                days[kept],
                counted[kept],
                columns.rows(kept),
                cells[:, kept],
                singles,
            )
        )

    def count_defects(
        self, reading: LabelReading, event: Any, time_ms: int, defects: Defects
    ) -> None:
        """Count what is wrong with an event beside its values."""
        predicted = reading.moments_ms("prediction_timestamp", [event])
        version = reading.version(reading.column("model_version", [event])[0])
        keys = self._keys_of(reading, [version], [event])
        panes = self._panes(np.array([time_ms]), predicted)
        for name, reason in defects.of.items():
            self._count_invalid(name, reason, keys, panes)

    def _panes(self, times: Ints, predicted: Ints) -> Ints:
        """A label's pane is that of its time; where outcomes must mature, that of the prediction."""
        if self._maturity_ms is not None:
            times = np.where(predicted >= 0, predicted, times)
        return times // self._pane_ms

    def _keys_of(self, reading: LabelReading, versions: list[str], events: list[Any]) -> Ints:
        """The key of each event, by number."""
        raw = [reading.column(f"segment:{name}", events) for name in self._segments.simple]
        columns = [
            [v if v is None or v.__class__ is str else text_of(v) for v in column] for column in raw
        ]
        numbers: dict[tuple[Any, ...], int] = {}
        found = [
            numbers.setdefault(key, len(numbers)) for key in zip(versions, *columns, strict=True)
        ]
        named = [(version, self._segments.texts(texts)) for version, *texts in numbers]
        mine = [self._keys.setdefault(key, len(self._keys)) for key in named]
        return np.array(mine, np.int64)[np.array(found, np.int64)]

    def _columns(self, reading: LabelReading, events: list[Any], lag_ms: Ints) -> Columns:
        labels, said = reading.column("label", events), reading.column("prediction", events)
        scores = reading.column("score", events)
        if None in scores and "scores" in reading.attribute:
            others = reading.column("scores", events)
            scores = [o if v is None else v for v, o in zip(scores, others, strict=True)]
        weights = [1 if w is None else w for w in reading.column("weight", events)]
        number = self._layout.task == "number"
        return Columns.of(
            len(events),
            labels=None if number else self._codes.of(labels),
            predictions=None if number else self._codes.of(said),
            label_values=np.array(labels, np.float64) if number else None,
            prediction_values=np.array(said, np.float64) if number else None,
            scores=np.array(scores, np.float64),
            losses=np.array(reading.column("loss", events), np.float64),
            weights=np.array(weights, np.int64),
            lag_ms=lag_ms,
        )

    def _kept(
        self,
        reading: LabelReading,
        events: list[Any],
        times: Ints,
        predicted: Ints,
        columns: Columns,
    ) -> tuple[Mask, dict[tuple[str, str], Mask]]:
        """Which outcomes count, and which rows have which defect: series, reason -> rows."""
        before = times < predicted
        confidence = np.array(reading.column("label_confidence", events), np.float64)
        uncertain = (confidence < self._least) & ~before
        unplaced = (predicted < 0) & (self._maturity_ms is not None)
        beyond = (columns.losses < 0) | (np.isfinite(columns.losses) & (columns.losses > 1))
        truth = np.isfinite(columns.losses) & ~beyond
        if self._layout.task != "feedback":
            truth |= (columns.labels >= 0) | np.isfinite(columns.label_values)
        return truth & ~before & ~uncertain & ~unplaced & (columns.weights != 0), {
            ("label", "label_before_prediction"): before,
            ("label", "uncertain"): uncertain,
            ("prediction_timestamp", "missing"): unplaced,
            ("loss", "range"): beyond,
            ("label", "too_long"): columns.labels == TOO_LONG,
            ("prediction", "too_long"): columns.predictions == TOO_LONG,
        }

    @staticmethod
    def _without_strange(columns: Columns) -> Columns:
        """What cannot be used is absent, but a number that is none: a wrong answer is an answer."""
        losses = columns.losses
        return columns._replace(
            labels=np.maximum(columns.labels, ABSENT),
            predictions=np.maximum(columns.predictions, ABSENT),
            losses=np.where((losses >= 0) & (losses <= 1), losses, np.nan),
        )

    def _count_invalid(self, name: str, reason: str, keys: Ints, panes: Ints) -> None:
        for key, pane in zip(keys.tolist(), panes.tolist(), strict=True):
            invalid = self._invalid.setdefault((key, pane), {})
            add(invalid, {name: {reason: 1}})
            self.defects[reason] += 1

    def _cells(self, reading: LabelReading, events: list[Any]) -> Ints:
        """(features, rows): the cell of each feature, -1 where it is not known or the event has none."""
        series = self._features
        columns = [reading.column(one.name, events) for one in series]
        there = np.zeros(len(events), bool)
        for column in columns:
            there |= np.array([value is not None for value in column], bool)
        found = np.full((len(series), len(events)), -1, np.int64)
        if there.any():
            for place, (one, column) in enumerate(zip(series, columns, strict=True)):
                found[place] = np.where(there, self._cells_of(one, column), -1)
        return found

    def _cells_of(self, series: Series, column: list[Any]) -> Ints:
        codes = self._categories.get(series.name)
        if codes is not None:
            found, _ = split(np.array([list(map(codes.of, column))]), [codes])
            only: Ints = found[0]
            return only
        values = np.array(column, np.float64)
        if series.support:
            support = np.array(series.support)
            bins = np.searchsorted(support[:-1] + 0.5, values)
            odd = (support[bins] != values) | np.isinf(values)
        else:
            bins, odd = np.searchsorted(np.array(series.edges), values), np.isinf(values)
        strange = np.where(np.isnan(values), series.values + 1, series.values)
        cells: Ints = np.where(odd | np.isnan(values), strange, bins)
        return cells

    # ---- what goes out

    def records(self) -> Iterator[Outcomes]:
        """One per version, segment and pane; an outcome is in one segment of each grouping."""
        if not self:
            return
        waiting = self.rows()
        for number, definition in enumerate(self._segments):
            subjects, of_key = self.subjects(definition)
            yield from self._records(number, subjects, of_key, waiting)

    def subjects(self, definition: Definition) -> tuple[list[tuple[str, str]], Ints]:
        """Versions and segments that outcomes wait for, and which of them each key is."""
        named = [(version, definition.name_of(values)) for version, values in self._keys]
        subjects = sorted(set(named))
        place = {subject: i for i, subject in enumerate(subjects)}
        return subjects, np.array([place[subject] for subject in named], np.int64)

    def rows(self) -> Chunk | None:
        """All outcomes that wait, None if there are none."""
        return joined(self._chunks) if self._chunks else None

    def texts(self) -> dict[int, str]:
        """The classes that codes in `rows` stand for."""
        codes = self._codes.items()
        return {code: text for text, code in codes if isinstance(text, str) and code >= 0}

    def _records(
        self, number: int, subjects: list[tuple[str, str]], of_key: Ints, waiting: Chunk | None
    ) -> Iterator[Outcomes]:
        invalid: dict[tuple[int, ...], dict[str, dict[str, int]]] = {}
        for (key, pane), defects in self._invalid.items():
            add(invalid.setdefault((int(of_key[key]), pane), {}), defects)
        records: dict[tuple[int, ...], Counted] = {}
        if waiting is not None:
            records = dict(counted(self._layout, self._slices, of_key[waiting.keys], waiting))
        for at in sorted({*records, *invalid}):
            found, (version, segment) = records.get(at, NOTHING), subjects[at[0]]
            yield Outcomes(
                model_id=self._model_id,
                model_version=version,
                segment=segment,
                definition=number,
                pane_start_ms=at[1] * self._pane_ms,
                digest=self._digest,
                outcomes=found.outcomes,
                corrected=found.corrected,
                cells=found.cells,
                days=found.days,
                slices=found.slices,
                values=found.values,
                invalid=invalid.get(at, {}),
            )
